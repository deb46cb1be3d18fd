// SPDX-License-Identifier: Apache-2.0
// Backward warp: out(p) = image(p + flow(p)), interpolated. The maths of one pixel, and what a call is told.
#pragma once

#include "common.h"

namespace deblur {

struct WarpTask {
    Picture<const float> image;
    Picture<const float> flow;  // two channels: dx, dy
    Picture<float> out;         // flow's height and width, image's channels
    Picture<float> mask;        // one channel; data may be null
    Filter filter = Filter::bilinear;
    Border border = Border::replicate;
};

// Where one axis of a sample position falls: the source indices of its taps, always inside the picture, the weight of
// each, and how much of the bilinear weight lies inside.
template <int TAPS>
struct Axis {
    int index[TAPS];
    float weight[TAPS];
    float inside;
};

// Catmull-Rom: the cubic through four neighbours whose slope at a sample is half the difference of its neighbours.
template <int TAPS>
DEBLUR_FN void filter_weights(float f, float* w) {
    if constexpr (TAPS == 2) {
        w[0] = 1.0f - f;
        w[1] = f;
    } else {
        const float g = 1.0f - f;
        w[0] = -0.5f * f * g * g;
        w[3] = -0.5f * g * f * f;
        w[1] = g * (1.0f + f * (1.0f - 1.5f * f));
        w[2] = f * (1.0f + g * (1.0f - 1.5f * g));
    }
}

// i mirrored about the centres of the first and last sample, as often as it takes: 2 1 0 1 2 ... The outer clamp
// guards against the rounding of a huge i.
DEBLUR_FN int reflected(int i, int size) {
    const int period = larger(1, 2 * (size - 1));
    int r = i % period;
    r = r < 0 ? r + period : r;
    return smaller(r < size ? r : period - r, size - 1);
}

template <int TAPS, Border BORDER>
DEBLUR_FN Axis<TAPS> axis_taps(float x, int size) {
    const float last = static_cast<float>(size - 1);
    // Far enough beyond the border every position gives the same: it is cut there, where no tap is inside.
    float cut = x;
    if constexpr (BORDER != Border::reflect) {
        const float beyond = BORDER == Border::replicate && TAPS == 2 ? 0.0f : 3.0f;
        cut = clamped(x, -beyond, last + beyond);
    }
    // Towards minus infinity, without a library call.
    int base = static_cast<int>(cut);
    base -= static_cast<float>(base) > cut ? 1 : 0;
    // At the last pixel the pair before it serves as well, with all the weight on its second: taps side by side, which
    // the CPU reads with one vector.
    if constexpr (BORDER == Border::replicate && TAPS == 2) base = larger(smaller(base, size - 2), 0);
    const float f = cut - static_cast<float>(base);

    Axis<TAPS> axis;
    filter_weights<TAPS>(f, axis.weight);
    for (int k = 0; k < TAPS; ++k) {
        const int i = base + k - (TAPS / 2 - 1);
        if constexpr (BORDER == Border::reflect) {
            axis.index[k] = reflected(i, size);
        } else {
            axis.index[k] = smaller(larger(i, 0), size - 1);
        }
        if constexpr (BORDER == Border::zero) axis.weight[k] = i == axis.index[k] ? axis.weight[k] : 0.0f;
    }
    axis.inside = clamped(smaller(x + 1.0f, last + 1.0f - x), 0.0f, 1.0f);
    return axis;
}

// How much of a read lay inside the picture; a flow that is not finite points nowhere.
DEBLUR_FN float covered(float inside_x, float inside_y, float dx, float dy) {
    return dx - dx == 0.0f && dy - dy == 0.0f ? inside_x * inside_y : 0.0f;
}

// The op as a whole; see ops.h.
namespace cpu {
void warp(const WarpTask&, int threads);
}
namespace cuda {
void warp(const WarpTask&, int device, uintptr_t stream);
}

}  // namespace deblur
