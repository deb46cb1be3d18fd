// SPDX-License-Identifier: Apache-2.0
// Four and eight floats at once, for the loops that a compiler does not vectorise by itself (gathers of pixels).
// GCC and Clang lower these types to whatever the instruction set has; elsewhere they are plain loops.
#pragma once

#include <cstring>

#include "common.h"

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

template <int C>
DEBLUR_FN void store_pixel(float* p, typename PixelOf<C>::V v) {
    std::memcpy(p, &v, C * sizeof(float));
}

}  // namespace deblur
