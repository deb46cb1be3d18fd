// SPDX-License-Identifier: Apache-2.0
// Sharpness of a tile: the mean over its pixels of the squared Laplacian, or of the squared Sobel gradient, of luma.
// Neighbours beyond the border replicate it. A sum is made of kLanes partial sums in a fixed order, so that it does not
// depend on threads or on the width of a processor's vectors.
#pragma once

#include "common.h"

namespace deblur {

constexpr int kLanes = 16;
constexpr int kRowsInFloat = 8;  // lines summed in float before the sums move on into double

struct SharpnessTask {
    Picture<const void> image;  // one channel, or three: R'G'B'
    Sample sample = Sample::f32;
    Picture<float> out;  // [N, 1, tiles down, tiles across]
    int tile = 32;
    Measure measure = Measure::laplacian;
};

// BT.709's weights; for judging sharpness the difference to other primaries does not matter.
DEBLUR_FN float luma(float r, float g, float b) { return 0.2126f * r + 0.7152f * g + 0.0722f * b; }

DEBLUR_FN float laplacian_energy(float up, float left, float centre, float right, float down) {
    const float v = (up + down) + (left + right) - 4.0f * centre;
    return v * v;
}

// a b c / d . e / f g h: Sobel, divided by 8 so that it is the slope per pixel.
DEBLUR_FN float gradient_energy(float a, float b, float c, float d, float e, float f, float g, float h) {
    const float gx = ((c - a) + (h - f) + 2.0f * (e - d)) * 0.125f;
    const float gy = ((f - a) + (h - c) + 2.0f * (g - b)) * 0.125f;
    return gx * gx + gy * gy;
}

// The square of what a sample type's full scale is, for energies of values in 0..1.
DEBLUR_FN double energy_scale(Sample sample) {
    return sample == Sample::u8 ? 1.0 / (255.0 * 255.0) : sample == Sample::u16 ? 1.0 / (65535.0 * 65535.0) : 1.0;
}

// The op as a whole; see ops.h.
namespace cpu {
void sharpness(const SharpnessTask&, int threads);
}
namespace cuda {
void sharpness(const SharpnessTask&, int device, uintptr_t stream);
}

}  // namespace deblur
