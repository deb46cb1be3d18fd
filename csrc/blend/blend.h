// SPDX-License-Identifier: Apache-2.0
// Two ways of laying a result over something: tiles that overlap, summed with feathered weights, and a weighted mix
// that leaves what has no weight exactly as it was.
#pragma once

#include "common.h"

namespace deblur {

struct BlendTask {
    Picture<float> sum;     // [N, C, H, W]: += weight * tile
    Picture<float> weight;  // [N, 1, H, W]: += weight
    Picture<const float> tile;
    int64_t y = 0, x = 0;  // where the tile's first pixel lies in `sum`
    int feather = 0;
};

struct MixTask {
    Picture<const float> base, result, weight;  // weight has one channel
    Picture<float> out;
    float strength = 1.0f;
};

// Weight along one axis of pixel i of a tile of `size` pixels: rises over `feather` pixels from an edge that another
// tile overlaps, and is 1 where the picture itself ends. Two tiles that overlap by `feather` sum to 1.
DEBLUR_FN float feathered(int64_t i, int64_t size, int feather, bool open_before, bool open_after) {
    float w = 1.0f;
    if (feather <= 0) return w;
    const float slope = 1.0f / static_cast<float>(feather);
    if (open_before) w = smaller(w, (static_cast<float>(i) + 0.5f) * slope);
    if (open_after) w = smaller(w, (static_cast<float>(size - 1 - i) + 0.5f) * slope);
    return w;
}

// Chosen, not multiplied, where the weight is 0: the base's own bits, whatever the result holds.
DEBLUR_FN float mixed(float base, float result, float weight) {
    return weight == 0.0f ? base : base + weight * (result - base);
}

// The ops as a whole; see ops.h.
namespace cpu {
void blend(const BlendTask&, int threads);
void mix(const MixTask&, int threads);
}  // namespace cpu
namespace cuda {
void blend(const BlendTask&, int device, uintptr_t stream);
void mix(const MixTask&, int device, uintptr_t stream);
}  // namespace cuda

}  // namespace deblur
