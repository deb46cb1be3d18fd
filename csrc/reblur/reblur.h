// SPDX-License-Identifier: Apache-2.0
// Motion blur: out(p) = mean over s in [-1/2, 1/2] of image(p + s m(p) + (s^2 - 1/12) k(p)), bilinear, borders
// replicated, optionally in linear light. The term 1/12 is the mean of s^2: curvature alone does not shift a picture.
// What is blurred are whole pictures or crops of them, and a crop may be mirrored and transposed on the way out; light
// from beside the crop comes in.
#pragma once

#include <cmath>

#include "common.h"
#include "half.h"
#include "transfer.h"

namespace deblur {

constexpr int kMostSamples = 65;

// Which part of which picture goes to a place of the batch.
struct Crop {
    int64_t picture = 0, y = 0, x = 0;  // y, x: the upper left pixel
    int way = 0;                        // bit 0: mirrored left to right, bit 1: upside down, bit 2: then transposed
    float scale = 1.0f;                 // of its motion and curvature
};

struct ReblurTask {
    Picture<const void> image;  // float32 or float16
    Sample sample = Sample::f32;
    Picture<const float> motion;     // two channels, pixels over the exposure
    Picture<const float> curvature;  // two channels, pixels; data may be null
    const Crop* crops = nullptr;     // as many as `out` has pictures; null: every picture, whole
    Picture<void> out;               // float32 or float16
    Picture<void> sharp;             // the crops as they are, stored and shaped as `out` is; data may be null
    Picture<float> turned;           // the crops' motion, scaled, turned as they are; data may be null
    Sample out_sample = Sample::f32;
    Transfer transfer = Transfer::none;
    int samples = 0;  // 0: by the length of each pixel's path
};

inline Crop crop_of(const ReblurTask& t, int64_t i) {
    if (t.crops != nullptr) return t.crops[i];
    Crop whole;
    whole.picture = i;
    return whole;
}

// Picture n of a batch as its crop lay before it was turned.
template <class T>
DEBLUR_FN Picture<T> unturned(Picture<T> p, int64_t n, int way) {
    p.data += n * p.sn;
    p.n = 1;
    if (way & 4) {
        const int64_t h = p.h, sh = p.sh;
        p.h = p.w, p.sh = p.sw, p.w = h, p.sw = sh;
    }
    if (way & 1) p.data += (p.w - 1) * p.sw, p.sw = -p.sw;
    if (way & 2) p.data += (p.h - 1) * p.sh, p.sh = -p.sh;
    return p;
}

template <class T, class V>
DEBLUR_FN Picture<T> typed(const Picture<V>& p) {
    return {static_cast<T*>(p.data), p.n, p.c, p.h, p.w, p.sn, p.sc, p.sh, p.sw};
}

DEBLUR_FN void stored(float v, float& to) { to = v; }
DEBLUR_FN void stored(float v, Half& to) { to = to_half(v); }

// What a pixel's path is: motion, curvature and the number of sample points on it. `still` pixels are copied.
struct Path {
    float mx, my, kx, ky;
    int samples;
    int still;
};

// `Fixed`: of `samples` points; otherwise of as many as the path is long.
template <bool Fixed>
DEBLUR_FN Path path_of(float mx, float my, float kx, float ky, int samples) {
    Path path;
    path.mx = displacement(mx), path.my = displacement(my);
    path.kx = displacement(kx), path.ky = displacement(ky);
    path.samples = samples;
    if constexpr (!Fixed) {
        // |d/ds| is |m + 2 s k|, whose mean is at most |m| + |k| / 2. One point a pixel of path, and one more, keeps
        // bilinear reading free of gaps.
        const float straight = path.mx * path.mx + path.my * path.my;
        const float bend = path.kx * path.kx + path.ky * path.ky;
        const float length = sqrtf(straight) + 0.5f * sqrtf(bend);
        const int wanted = 1 + static_cast<int>(smaller(length, static_cast<float>(kMostSamples)) + 0.9999f);
        path.samples = smaller(wanted, kMostSamples);
    }
    path.still = fabsf(path.mx) + fabsf(path.my) + fabsf(path.kx) + fabsf(path.ky) == 0.0f;
    return path;
}

// How far a path leads along one axis from where it belongs: |s| is at most 1/2, |s^2 - 1/12| at most 1/6.
DEBLUR_FN float reach_of(float m, float k) { return 0.5f * fabsf(m) + (1.0f / 6.0f) * fabsf(k); }

// Middle of the i-th of n equal parts of the exposure.
DEBLUR_FN float moment(int i, float one_over_n) { return (static_cast<float>(i) + 0.5f) * one_over_n - 0.5f; }

// How far from its pixel a path is at a moment, along one axis: in whole pixels and the weights of that tap and the
// next.
struct Away {
    int whole;
    float near, far;
};

template <bool Bends>
DEBLUR_FN Away away(float m, float k, float s) {
    const float u = Bends ? s * m + (s * s - 1.0f / 12.0f) * k : s * m;
    const float whole = floorf(u);
    Away a;
    a.whole = static_cast<int>(whole);
    a.far = u - whole;
    a.near = 1.0f - a.far;
    return a;
}

DEBLUR_FN int within(int x, int size) { return smaller(larger(x, 0), size - 1); }

// What the four taps of a moment weigh.
struct Weights {
    float upper_left, lower_left, upper_right, lower_right;
};

DEBLUR_FN Weights weights_of(const Away& x, const Away& y) {
    return {x.near * y.near, x.near * y.far, x.far * y.near, x.far * y.far};
}

// The mean along the path of pixel (x, y) of a picture of w by h; read(x, y) gives a pixel of it.
//
// A straight path lies the same to both sides of its pixel: at -s the taps are those at s, mirrored, with the same
// weights, so the moments are taken in pairs, and what is alone in the middle is the pixel itself. Each of the four
// taps is summed apart, which is how vectors do it.
template <bool Bends, class V, class Read>
DEBLUR_FN V mean_along(const Path& p, int x, int y, int w, int h, const Read& read) {
    const float one_over_n = 1.0f / static_cast<float>(p.samples);
    V upper_left{}, lower_left{}, upper_right{}, lower_right{};
    const int steps = Bends ? p.samples : p.samples / 2;
    for (int i = 0; i < steps; ++i) {
        const float s = moment(i, one_over_n);
        const Away ax = away<Bends>(p.mx, p.kx, s), ay = away<Bends>(p.my, p.ky, s);
        const int x0 = within(x + ax.whole, w), x1 = within(x + ax.whole + 1, w);
        const int y0 = within(y + ay.whole, h), y1 = within(y + ay.whole + 1, h);
        V ul = read(x0, y0), ll = read(x0, y1), ur = read(x1, y0), lr = read(x1, y1);
        if constexpr (!Bends) {
            const int bx0 = within(x - ax.whole, w), bx1 = within(x - ax.whole - 1, w);
            const int by0 = within(y - ay.whole, h), by1 = within(y - ay.whole - 1, h);
            ul = ul + read(bx0, by0), ll = ll + read(bx0, by1), ur = ur + read(bx1, by0), lr = lr + read(bx1, by1);
        }
        const Weights weigh = weights_of(ax, ay);
        upper_left = upper_left + ul * weigh.upper_left, lower_left = lower_left + ll * weigh.lower_left;
        upper_right = upper_right + ur * weigh.upper_right, lower_right = lower_right + lr * weigh.lower_right;
    }
    V sum = (upper_left + upper_right) + (lower_left + lower_right);
    if (!Bends && p.samples % 2 != 0) sum = sum + read(x, y);
    return sum * one_over_n;
}

// The op as a whole; see ops.h.
namespace cpu {
void reblur(const ReblurTask&, int threads);
}
namespace cuda {
// `linear`, needed where the task has a transfer curve, is scratch: for each of out's pictures a contiguous
// [C, region_h, region_w], which takes the crop and what lies around it into linear light. Wherever paths lead beyond,
// the curve is undone read by read.
void reblur(const ReblurTask&, float* linear, int64_t region_h, int64_t region_w, int device, uintptr_t stream);
}  // namespace cuda

}  // namespace deblur
