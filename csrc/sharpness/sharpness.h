// SPDX-License-Identifier: Apache-2.0
// Sharpness of a tile: the mean over its pixels of the squared Laplacian, or of the squared Sobel gradient, of luma.
// Neighbours beyond the border replicate it.
//
// The sums depend neither on threads, nor on the width of a processor's vectors, nor on the device:
// - 8-bit luma is summed in integers, exactly.
// - Everything else is summed in floats over blocks of kBlockRows lines of a tile: pixel (x, y) of a block goes, in
//   order of x and then of y, to the partial sum of its lane x % kLanes and of its line's parity. fold() makes kSums
//   sums of them, which are added up over a tile's blocks in doubles.
#pragma once

#include "common.h"

namespace deblur {

constexpr int kLanes = 16;
constexpr int kBlockRows = 8;
constexpr int kSums = 4;

struct SharpnessTask {
    Picture<const void> image;  // one channel, or three: R'G'B'
    Sample sample = Sample::f32;
    Picture<float> out;  // [N, 1, tiles down, tiles across]
    int tile = 32;
    Measure measure = Measure::laplacian;
};

// BT.709's weights; for judging sharpness the difference to other primaries does not matter.
DEBLUR_FN float luma(float r, float g, float b) { return 0.2126f * r + 0.7152f * g + 0.0722f * b; }

// V: a float or a vector of them.
template <class V>
DEBLUR_FN V laplacian_energy(V up, V left, V centre, V right, V down) {
    const V v = (up + down) + (left + right) - 4.0f * centre;
    return v * v;
}

// a b c / d . e / f g h: Sobel, divided by 8 so that it is the slope per pixel.
template <class V>
DEBLUR_FN V gradient_energy(V a, V b, V c, V d, V e, V f, V g, V h) {
    const V gx = ((c - a) + (h - f) + 2.0f * (e - d)) * 0.125f;
    const V gy = ((f - a) + (h - c) + 2.0f * (g - b)) * 0.125f;
    return gx * gx + gy * gy;
}

// The same of 8-bit luma, the gradient's 64-fold: at most 1020^2, and 2 * 1020^2.
DEBLUR_FN int32_t laplacian_energy(int up, int left, int centre, int right, int down) {
    const int v = up + down + left + right - 4 * centre;
    return v * v;
}
DEBLUR_FN int32_t gradient_energy(int a, int b, int c, int d, int e, int f, int g, int h) {
    const int gx = (c - a) + (h - f) + 2 * (e - d), gy = (f - a) + (h - c) + 2 * (g - b);
    return gx * gx + gy * gy;
}

// A block's sums from its lanes', the lines' two parities already added.
DEBLUR_FN void fold(const float (&lanes)[kLanes], float (&to)[kSums]) {
    for (int k = 0; k < kSums; ++k) to[k] = (lanes[k] + lanes[k + 8]) + (lanes[k + 4] + lanes[k + 12]);
}

// What a sum of energies is to be multiplied by to be that of values in 0..1.
DEBLUR_FN double energy_scale(Sample sample) {
    return sample == Sample::u8 ? 1.0 / (255.0 * 255.0) : sample == Sample::u16 ? 1.0 / (65535.0 * 65535.0) : 1.0;
}

// A tile's mean of its sum; `exact`: the sum is the integers'.
DEBLUR_FN float mean_energy(double sum, bool exact, const SharpnessTask& t, int64_t pixels) {
    const double eighths = exact && t.measure == Measure::tenengrad ? 1.0 / 64.0 : 1.0;
    return static_cast<float>(sum * eighths / static_cast<double>(pixels) * energy_scale(t.sample));
}

// The op as a whole; see ops.h.
namespace cpu {
void sharpness(const SharpnessTask&, int threads);
}
namespace cuda {
void sharpness(const SharpnessTask&, int device, uintptr_t stream);
}

}  // namespace deblur
