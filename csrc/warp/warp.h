// SPDX-License-Identifier: Apache-2.0
// Backward warp: out(p) = image(p + flow(p)), interpolated, and its gradients. The maths of one axis of one pixel, and
// what a call is told.
#pragma once

#include "common.h"

namespace deblur {

constexpr float kLongest = 1048576.0f;  // where displacement() cuts

// Everything is float32 or float16; image and out share a type.
struct WarpTask {
    Picture<const void> image;
    Picture<const void> flow;  // two channels: dx, dy
    Picture<void> out;         // flow's height and width, image's channels
    Picture<float> mask;       // one channel; data may be null
    Sample sample = Sample::f32, flow_sample = Sample::f32;
    Filter filter = Filter::bilinear;
    Border border = Border::replicate;
};

// The gradients of a loss to image and flow from that to the warped picture. Image, grad and grad_image share a type,
// flow and grad_flow another.
struct WarpGradTask {
    Picture<const void> image, flow;
    Picture<const void> grad;             // shaped like the image
    Picture<void> grad_image, grad_flow;  // data may be null
    Sample sample = Sample::f32, flow_sample = Sample::f32;
    Filter filter = Filter::bilinear;
    Border border = Border::replicate;
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

// The weights' derivatives by f.
template <int TAPS>
DEBLUR_FN void filter_slopes(float f, float* d) {
    if constexpr (TAPS == 2) {
        d[0] = -1.0f;
        d[1] = 1.0f;
    } else {
        const float g = 1.0f - f;
        d[0] = -0.5f * g * (g - 2.0f * f);
        d[3] = -0.5f * f * (2.0f * g - f);
        d[1] = f * (4.5f * f - 5.0f);
        d[2] = -g * (4.5f * g - 5.0f);
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

// A sample position as a pixel, the tap left of it, and what is left over: 0..1.
struct Split {
    int base;
    float f;
};

template <int TAPS, Border BORDER>
DEBLUR_FN Split split(float x, int size) {
    // Far enough beyond the border every position gives the same: it is cut there, where no tap is inside.
    float cut = x;
    if constexpr (BORDER != Border::reflect) {
        const float beyond = BORDER == Border::replicate && TAPS == 2 ? 0.0f : 3.0f;
        cut = clamped(x, -beyond, static_cast<float>(size - 1) + beyond);
    }
    // Towards minus infinity, without a library call.
    int base = static_cast<int>(cut);
    base -= static_cast<float>(base) > cut ? 1 : 0;
    // At the last pixel the pair before it serves as well, with all the weight on its second: inside the picture.
    if constexpr (BORDER == Border::replicate && TAPS == 2) base = larger(smaller(base, size - 2), 0);
    return Split{base, cut - static_cast<float>(base)};
}

// Whether the taps of a position all lie inside the picture, so that no border matters. (Not && : it vectorises.)
template <int TAPS>
DEBLUR_FN int all_inside(int base, int size) {
    return (base >= TAPS / 2 - 1) & (base < size - TAPS / 2);
}

// The source index of the k-th tap: inside the picture, or -1 for a tap that counts as zero.
template <int TAPS, Border BORDER>
DEBLUR_FN int tap_index(int base, int k, int size) {
    const int i = base + k - (TAPS / 2 - 1), held = smaller(larger(i, 0), size - 1);
    if constexpr (BORDER == Border::reflect) return reflected(i, size);
    if constexpr (BORDER == Border::zero) return i == held ? i : -1;
    return held;
}

template <int TAPS>
struct Axis {
    int index[TAPS];
    float weight[TAPS];
};

template <int TAPS, Border BORDER>
DEBLUR_FN Axis<TAPS> axis_taps(float x, int size) {
    const Split at = split<TAPS, BORDER>(x, size);
    Axis<TAPS> axis;
    filter_weights<TAPS>(at.f, axis.weight);
    for (int k = 0; k < TAPS; ++k) axis.index[k] = tap_index<TAPS, BORDER>(at.base, k, size);
    return axis;
}

// The same with the derivatives of the weights by the displacement: zero where the read does not move with it. At a
// kink (bilinear: at every pixel) the derivative is that to the right.
template <int TAPS>
struct SlopedAxis {
    int index[TAPS];
    float weight[TAPS], slope[TAPS];
};

template <int TAPS, Border BORDER>
DEBLUR_FN SlopedAxis<TAPS> sloped_taps(float x, float displaced, int size) {
    const Split at = split<TAPS, BORDER>(x, size);
    SlopedAxis<TAPS> axis;
    filter_weights<TAPS>(at.f, axis.weight);
    filter_slopes<TAPS>(at.f, axis.slope);
    int moves = (displaced >= -kLongest) & (displaced <= kLongest);
    if constexpr (BORDER == Border::replicate && TAPS == 2) moves &= (x >= 0.0f) & (x < static_cast<float>(size - 1));
    for (int k = 0; k < TAPS; ++k) {
        axis.index[k] = tap_index<TAPS, BORDER>(at.base, k, size);
        axis.slope[k] = moves ? axis.slope[k] : 0.0f;
    }
    return axis;
}

// How much of a bilinear read lay inside the picture; a flow that is not finite points nowhere.
DEBLUR_FN float covered(float x, float y, int width, int height, float dx, float dy) {
    const float inside_x = clamped(smaller(x + 1.0f, static_cast<float>(width) - x), 0.0f, 1.0f);
    const float inside_y = clamped(smaller(y + 1.0f, static_cast<float>(height) - y), 0.0f, 1.0f);
    return (dx - dx == 0.0f) & (dy - dy == 0.0f) ? inside_x * inside_y : 0.0f;
}

// The op as a whole; see ops.h.
namespace cpu {
void warp(const WarpTask&, int threads);
void warp_backward(const WarpGradTask&, int threads);
}  // namespace cpu
namespace cuda {
void warp(const WarpTask&, int device, uintptr_t stream);
void warp_backward(const WarpGradTask&, int device, uintptr_t stream);
}  // namespace cuda

}  // namespace deblur
