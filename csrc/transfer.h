// SPDX-License-Identifier: Apache-2.0
// Between a clip's R'G'B' and linear light. Written without branches or library calls, so that a compiler vectorises
// it and host and device round alike. Relative error under 1e-6. Negative values mirror: f(-x) = -f(x).
#pragma once

#include "common.h"

namespace deblur {

// log2 of a positive normal number: the mantissa is brought to [1/sqrt 2, sqrt 2), then 2/ln 2 * atanh of
// (m - 1) / (m + 1) by its series, whose first term left out is under 4e-10.
DEBLUR_FN float log2_positive(float x) {
    const int32_t bits = bits_of(x);
    const int32_t exponent = (bits - 0x3f3504f3) >> 23;  // 0x3f3504f3 is 1/sqrt 2
    const float m = float_of(bits - exponent * 8388608);
    const float z = (m - 1.0f) / (m + 1.0f);
    const float q = z * z;
    const float series = 2.8853901f + q * (0.96179669f + q * (0.57707802f + q * (0.41219859f + q * 0.32059890f)));
    return static_cast<float>(exponent) + z * series;
}

// 2^y by the Taylor series about the nearest integer; y is cut to the range of normal numbers.
DEBLUR_FN float exp2_normal(float y) {
    y = clamped(y, -126.0f, 127.0f);
    const float shifted = y + 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
    const float whole = shifted - 12582912.0f;
    const float f = y - whole;
    const float series =
        1.0f + f * (0.69314718f +
                    f * (0.24022651f +
                         f * (0.055504109f +
                              f * (0.0096181291f + f * (0.0013333558f + f * (1.5403530e-4f + f * 1.5252734e-5f))))));
    return series * float_of((static_cast<int32_t>(whole) + 127) << 23);
}

// x^e for x >= 0; 0 below the smallest normal number.
DEBLUR_FN float power(float x, float e) {
    const float p = exp2_normal(e * log2_positive(larger(x, 1.17549435e-38f)));
    return x < 1.17549435e-38f ? 0.0f : p;
}

// Sign of s on the magnitude m.
DEBLUR_FN float signed_as(float m, float s) { return s < 0.0f ? -m : m; }

template <Transfer K>
DEBLUR_FN float to_linear(float v) {
    if constexpr (K == Transfer::none) return v;
    const float a = v < 0.0f ? -v : v;
    float out;
    if constexpr (K == Transfer::srgb) {
        const float curve = power((a + 0.055f) * (1.0f / 1.055f), 2.4f);
        out = a <= 0.04045f ? a * (1.0f / 12.92f) : curve;
    } else if constexpr (K == Transfer::bt709) {
        const float curve = power((a + 0.099f) * (1.0f / 1.099f), 1.0f / 0.45f);
        out = a < 0.081f ? a * (1.0f / 4.5f) : curve;
    } else {
        out = power(a, 2.2f);
    }
    return signed_as(out, v);
}

template <Transfer K>
DEBLUR_FN float from_linear(float v) {
    if constexpr (K == Transfer::none) return v;
    const float a = v < 0.0f ? -v : v;
    float out;
    if constexpr (K == Transfer::srgb) {
        const float curve = 1.055f * power(a, 1.0f / 2.4f) - 0.055f;
        out = a <= 0.0031308f ? a * 12.92f : curve;
    } else if constexpr (K == Transfer::bt709) {
        const float curve = 1.099f * power(a, 0.45f) - 0.099f;
        out = a < 0.018f ? a * 4.5f : curve;
    } else {
        out = power(a, 1.0f / 2.2f);
    }
    return signed_as(out, v);
}

}  // namespace deblur
