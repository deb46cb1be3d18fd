// SPDX-License-Identifier: Apache-2.0
// Two ways of laying a result over something: tiles that overlap, summed with feathered weights, and a weighted mix
// that leaves what has no weight exactly as it was. Either ends in the type that a frame is stored as.
#pragma once

#include "half.h"

namespace deblur {

struct BlendTask {
    Picture<float> sum;     // [N, C, H, W]: += weight * tile
    Picture<float> weight;  // [N, 1, H, W]: += weight
    Picture<const float> tile;
    int64_t y = 0, x = 0;  // where the tile's first pixel lies in `sum`
    int feather = 0;
};

struct FinishTask {
    Picture<const float> sum, weight;  // as BlendTask leaves them
    Picture<void> out;                 // of `sample`
    Sample sample = Sample::f32;
    float full = 1.0f;  // the integer code that stands for 1
};

struct MixTask {
    Picture<const void> base;             // of `sample`, like out
    Picture<const float> result, weight;  // weight has one channel
    Picture<void> out;
    Sample sample = Sample::f32;
    float full = 1.0f;
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

// A value in units of its type, as the type stores it: integers are cut to 0..full (NaN: 0) and rounded to nearest
// even, halfs rounded.
DEBLUR_FN int32_t code_of(float v, float full) {
    return bits_of(clamped(v, 0.0f, full) + 8388608.0f) - bits_of(8388608.0f);  // 2^23: the addition rounds
}
DEBLUR_FN void put(uint8_t& to, float v, float full) { to = static_cast<uint8_t>(code_of(v, full)); }
DEBLUR_FN void put(uint16_t& to, float v, float full) { to = static_cast<uint16_t>(code_of(v, full)); }
DEBLUR_FN void put(Half& to, float v, float) { to = to_half(v); }
DEBLUR_FN void put(float& to, float v, float) { to = v; }

// `full` is 1 for floats: exact, so that their values are not changed.
DEBLUR_FN float finished(float sum, float weight, float full) { return sum / weight * full; }

// In units of the base. Where the weight is 0 the base's own bits are to be chosen instead, whatever the result holds.
DEBLUR_FN float mixed(float base, float result, float weight, float full) {
    return base + weight * (result * full - base);
}

// The ops as a whole; see ops.h.
namespace cpu {
void blend(const BlendTask&, int threads);
void finish(const FinishTask&, int threads);
void mix(const MixTask&, int threads);
}  // namespace cpu
namespace cuda {
void blend(const BlendTask&, int device, uintptr_t stream);
void finish(const FinishTask&, int device, uintptr_t stream);
void mix(const MixTask&, int device, uintptr_t stream);
}  // namespace cuda

}  // namespace deblur
