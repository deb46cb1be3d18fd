// SPDX-License-Identifier: Apache-2.0
// Half precision (IEEE 754 binary16) in memory, float in the maths. Both ways by round to nearest even, with denormals
// and infinities; a NaN stays a NaN (quiet, its payload kept on the host, canonical on a CUDA device). The same bits
// from every instruction set; whether the processor flushes denormals does not matter.
#pragma once

#include "common.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#elif defined(__F16C__)
#include <immintrin.h>
#endif

namespace deblur {

struct Half {
    uint16_t bits;
};

DEBLUR_FN float to_float(Half h) {
#if defined(__CUDA_ARCH__)
    return __half2float(__ushort_as_half(h.bits));
#else
    const int32_t magnitude = h.bits & 0x7fff, sign = (h.bits & 0x8000) << 16;
    const int32_t shifted = magnitude << 13;
    const int32_t normal = shifted + 0x38000000;                                              // exponent bias 15 -> 127
    const int32_t quiet = magnitude > 0x7c00 ? 0x00400000 : 0;                                // NaN
    const int32_t endless = (shifted | 0x7f800000) | quiet;                                   // infinity or NaN
    const int32_t denormal = bits_of(float_of(shifted + 0x38800000) - float_of(0x38800000));  // exact
    const int32_t finite = magnitude < 0x0400 ? denormal : normal;
    return float_of((magnitude >= 0x7c00 ? endless : finite) | sign);
#endif
}

DEBLUR_FN Half to_half(float x) {
#if defined(__CUDA_ARCH__)
    return Half{__half_as_ushort(__float2half_rn(x))};
#else
    const int32_t bits = bits_of(x), magnitude = bits & 0x7fffffff, sign = (bits >> 16) & 0x8000;
    // Half a unit in the last place, less one where the last place is even; a carry into the exponent is right.
    const int32_t normal = (magnitude - 0x38000000 + 0x0fff + ((magnitude >> 13) & 1)) >> 13;
    // The last place of 0.5 is that of a denormal half: the addition rounds. Larger values, which might overflow in
    // the subtraction, are not used.
    const int32_t denormal = bits_of(float_of(magnitude < 0x38800000 ? magnitude : 0) + 0.5f) - 0x3f000000;
    const int32_t nan = 0x7e00 | ((magnitude >> 13) & 0x03ff);
    const int32_t endless = magnitude > 0x7f800000 ? nan : 0x7c00;
    const int32_t finite = magnitude < 0x38800000 ? denormal : normal;
    return Half{static_cast<uint16_t>((magnitude >= 0x47800000 ? endless : finite) | sign)};
#endif
}

// A stored value in the units of its type, for loops written once for all of Sample.
DEBLUR_FN float value_of(uint8_t v) { return static_cast<float>(v); }
DEBLUR_FN float value_of(uint16_t v) { return static_cast<float>(v); }
DEBLUR_FN float value_of(Half v) { return to_float(v); }
DEBLUR_FN float value_of(float v) { return v; }

#if !defined(__CUDACC__)

// Runs of neighbouring values, by the processor's own conversion where it has one.
DEBLUR_FN void to_floats(const Half* from, float* to, int64_t count) {
    int64_t i = 0;
#if defined(__F16C__)
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
#endif
    for (; i < count; ++i) to[i] = to_float(from[i]);
}

DEBLUR_FN void to_halfs(const float* from, Half* to, int64_t count) {
    int64_t i = 0;
#if defined(__F16C__)
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
#endif
    for (; i < count; ++i) to[i] = to_half(from[i]);
}

#endif

}  // namespace deblur
