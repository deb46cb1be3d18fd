// SPDX-License-Identifier: Apache-2.0
// Four and eight floats at once, for the loops that a compiler does not vectorise by itself (gathers of pixels).
// GCC and Clang lower these types to whatever the instruction set has; elsewhere they are plain loops.
#pragma once

#include <cstring>

#include "common.h"

#if defined(__GNUC__) && defined(__SSE2__)
#include <immintrin.h>
#endif

namespace deblur {

#if defined(__GNUC__)
typedef float f2 __attribute__((vector_size(8)));
typedef float f4 __attribute__((vector_size(16)));
typedef float f8 __attribute__((vector_size(32)));
#else
template <int N>
struct Lanes {
    float v[N];
    float& operator[](int i) { return v[i]; }
    float operator[](int i) const { return v[i]; }
};
template <int N>
static inline Lanes<N> operator+(Lanes<N> a, Lanes<N> b) {
    for (int i = 0; i < N; ++i) a.v[i] += b.v[i];
    return a;
}
template <int N>
static inline Lanes<N> operator-(Lanes<N> a, Lanes<N> b) {
    for (int i = 0; i < N; ++i) a.v[i] -= b.v[i];
    return a;
}
template <int N>
static inline Lanes<N> operator*(Lanes<N> a, Lanes<N> b) {
    for (int i = 0; i < N; ++i) a.v[i] *= b.v[i];
    return a;
}
template <int N>
static inline Lanes<N> operator*(float a, Lanes<N> b) {
    for (int i = 0; i < N; ++i) b.v[i] *= a;
    return b;
}
template <int N>
static inline Lanes<N> operator*(Lanes<N> a, float b) {
    return b * a;
}
typedef Lanes<2> f2;
typedef Lanes<4> f4;
typedef Lanes<8> f8;
#endif

template <class V>
DEBLUR_FN V load(const float* p) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class V>
DEBLUR_FN void store(float* p, V v) {
    std::memcpy(p, &v, sizeof v);
}

// Four neighbouring lanes of eight, from lane FIRST on; of two fours taken as eight.
#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
template <int FIRST>
DEBLUR_FN f4 part(f8 v) {
#if defined(__AVX__)
    // GCC would swap the halves first, where one instruction can store the second.
    if constexpr (FIRST == 4) return reinterpret_cast<f4>(_mm256_extractf128_ps(reinterpret_cast<__m256>(v), 1));
#endif
    return __builtin_shufflevector(v, v, FIRST, FIRST + 1, FIRST + 2, FIRST + 3);
}
template <int FIRST>
DEBLUR_FN f4 joined(f4 a, f4 b) {
    return __builtin_shufflevector(a, b, FIRST, FIRST + 1, FIRST + 2, FIRST + 3);
}
#else
template <int FIRST>
DEBLUR_FN f4 part(f8 v) {
    return f4{v[FIRST], v[FIRST + 1], v[FIRST + 2], v[FIRST + 3]};
}
template <int FIRST>
DEBLUR_FN f4 joined(f4 a, f4 b) {
    float both[8];
    store(both, a), store(both + 4, b);
    return load<f4>(both + FIRST);
}
#endif

// The vector that one pixel of C channels travels in.
template <int C>
struct PixelOf;
template <>
struct PixelOf<1> {
    typedef float V;
};
template <>
struct PixelOf<2> {
    typedef f2 V;
};
template <>
struct PixelOf<3> {
    typedef f4 V;
};
template <>
struct PixelOf<4> {
    typedef f4 V;
};

// Reading three channels as four floats touches the float behind the pixel: `Whole` says that it may be touched.
template <int C, bool Whole>
DEBLUR_FN typename PixelOf<C>::V load_pixel(const float* p) {
    if constexpr (C == 3 && !Whole) {
        f4 v = {p[0], p[1], p[2], 0.0f};
        return v;
    } else {
        return load<typename PixelOf<C>::V>(p);
    }
}

// Storing three channels as four floats spills into the pixel behind, which is stored next: not so after the `last`.
template <int C>
DEBLUR_FN void store_pixel(float* p, typename PixelOf<C>::V v, bool last) {
    if (C == 3 && last) {
        std::memcpy(p, &v, 3 * sizeof(float));
    } else {
        store(p, v);
    }
}

}  // namespace deblur
