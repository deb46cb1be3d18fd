// SPDX-License-Identifier: Apache-2.0
// What every op shares: how a picture in memory is described, and how maths is marked for host and device.
#pragma once

#include <cstdint>
#include <cstring>

// Everything marked DEBLUR_FN has internal linkage: the same header is compiled for several instruction sets, and the
// linker must never pick an AVX-512 copy of a function for a processor without it.
#if defined(__CUDACC__)
#define DEBLUR_FN static __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define DEBLUR_FN static inline __attribute__((always_inline))
#else
#define DEBLUR_FN static __forceinline
#endif

namespace deblur {

// A picture (or a batch, a flow, a weight map) that somebody else owns: [N, C, H, W] with strides in elements.
// Interleaved and planar memory, crops, flips and broadcasts are all only strides.
template <class T>
struct Picture {
    T* data = nullptr;
    int64_t n = 0, c = 0, h = 0, w = 0;
    int64_t sn = 0, sc = 0, sh = 0, sw = 0;
};

// What one value of a picture is stored as. Integers stand for 0..1 by their full scale.
enum class Sample : int { u8 = 0, u16 = 1, f16 = 2, f32 = 3 };

enum class Border : int { replicate = 0, zero = 1, reflect = 2 };
enum class Filter : int { bilinear = 0, bicubic = 1 };
enum class Measure : int { laplacian = 0, tenengrad = 1 };
enum class Transfer : int { none = 0, srgb = 1, bt709 = 2, gamma22 = 3 };

DEBLUR_FN int32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
    return __float_as_int(x);
#else
    int32_t i;
    std::memcpy(&i, &x, sizeof i);
    return i;
#endif
}

DEBLUR_FN float float_of(int32_t i) {
#if defined(__CUDA_ARCH__)
    return __int_as_float(i);
#else
    float x;
    std::memcpy(&x, &i, sizeof x);
    return x;
#endif
}

DEBLUR_FN float smaller(float a, float b) { return a < b ? a : b; }
DEBLUR_FN float larger(float a, float b) { return a > b ? a : b; }
DEBLUR_FN int smaller(int a, int b) { return a < b ? a : b; }
DEBLUR_FN int larger(int a, int b) { return a > b ? a : b; }

// The order of the comparisons sends NaN to `low`.
DEBLUR_FN float clamped(float x, float low, float high) { return smaller(larger(x, low), high); }

// A displacement that is not a finite number counts as none; one of more than 2^20 pixels is cut there, so that the
// conversion to an integer that follows is defined.
DEBLUR_FN float displacement(float u) {
    const float limit = 1048576.0f, cut = clamped(u, -limit, limit);
    return u - u == 0.0f ? cut : 0.0f;
}

DEBLUR_FN int64_t bytes_of(Sample s) { return s == Sample::u8 ? 1 : s == Sample::f32 ? 4 : 2; }

template <class T>
DEBLUR_FN T& at(const Picture<T>& p, int64_t n, int64_t c, int64_t y, int64_t x) {
    return p.data[n * p.sn + c * p.sc + y * p.sh + x * p.sw];
}

}  // namespace deblur
