// SPDX-License-Identifier: Apache-2.0
// Motion blur: out(p) = mean over s in [-1/2, 1/2] of image(p + s m(p) + (s^2 - 1/12) k(p)), bilinear, borders
// replicated, optionally in linear light. The term 1/12 is the mean of s^2: curvature alone does not shift a picture.
#pragma once

#include <cmath>

#include "common.h"
#include "transfer.h"

namespace deblur {

constexpr int kMostSamples = 65;

struct ReblurTask {
    Picture<const float> image;
    Picture<const float> motion;     // two channels, pixels over the exposure
    Picture<const float> curvature;  // two channels, pixels; data may be null
    Picture<float> out;
    Transfer transfer = Transfer::none;
    int samples = 0;  // 0: by the length of each pixel's path
};

// What a pixel's path is: motion, curvature and the number of sample points on it. `still` pixels are copied.
struct Path {
    float mx, my, kx, ky;
    int samples;
    int still;
};

DEBLUR_FN Path path_of(float mx, float my, float kx, float ky, int samples) {
    Path path;
    path.mx = displacement(mx), path.my = displacement(my);
    path.kx = displacement(kx), path.ky = displacement(ky);
    // |d/ds| is |m + 2 s k|, whose mean is at most |m| + |k| / 2. One point a pixel of path, and one more, keeps
    // bilinear reading free of gaps.
    const float straight = path.mx * path.mx + path.my * path.my;
    const float bend = path.kx * path.kx + path.ky * path.ky;
    const float length = sqrtf(straight) + 0.5f * sqrtf(bend);
    const int wanted = 1 + static_cast<int>(smaller(length, static_cast<float>(kMostSamples)) + 0.9999f);
    path.samples = samples > 0 ? samples : smaller(wanted, kMostSamples);
    // Not && : without branches the loop over this vectorises.
    path.still = (path.mx == 0.0f) & (path.my == 0.0f) & (path.kx == 0.0f) & (path.ky == 0.0f);
    return path;
}

// Middle of the i-th of n equal parts of the exposure.
DEBLUR_FN float moment(int i, float one_over_n) { return (static_cast<float>(i) + 0.5f) * one_over_n - 0.5f; }

DEBLUR_FN float position(float p, float m, float k, float s) { return p + (s * m + (s * s - 1.0f / 12.0f) * k); }

// One axis of a bilinear read with the border replicated: the taps are index and index + 1, so a picture of one pixel
// has to be padded to two.
struct Pair {
    int index;
    float weight;  // of the second tap
};

DEBLUR_FN Pair pair_at(float x, int size) {
    const float cut = clamped(x, 0.0f, static_cast<float>(size - 1));
    Pair pair;
    pair.index = smaller(static_cast<int>(cut), size - 2);
    pair.weight = cut - static_cast<float>(pair.index);
    return pair;
}

template <class V>
DEBLUR_FN V between(V upper, V lower, float weight) {
    return upper + (lower - upper) * weight;
}

// The op as a whole; see ops.h.
namespace cpu {
void reblur(const ReblurTask&, int threads);
}
namespace cuda {
// `linear` is scratch, shaped like the image and contiguous, needed where the task has a transfer curve.
void reblur(const ReblurTask&, float* linear, int device, uintptr_t stream);
}  // namespace cuda

}  // namespace deblur
