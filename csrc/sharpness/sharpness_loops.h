// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "loops.h"
#include "sharpness.h"

namespace deblur {

// Lines of luma that have to be brought together are so for about this many pixels at a time.
constexpr int64_t kChunk = 2048;

inline int64_t tiles_at_a_time(const SharpnessTask& t) {
    const int64_t tiles = t.tile < kChunk ? kChunk / t.tile : 1;
    return tiles < t.out.w ? tiles : t.out.w;
}

// Values of such a line, with a pixel in front and what a step may read behind; whole cache lines.
inline int64_t line_room(const SharpnessTask& t) {
    const int64_t pixels = tiles_at_a_time(t) * t.tile;
    return ((pixels < t.image.w ? pixels : t.image.w) + 1 + 64 + 15) / 16 * 16;
}

inline int64_t scratch_doubles(const SharpnessTask& t) { return t.out.w * kSums + (kBlockRows + 2) * line_room(t) / 2; }

DEBLUR_EACH_ISA(
    // Row ty of the tiles of picture n.
    void sharpness(const SharpnessTask&, int64_t n, int64_t ty, double* scratch);)

}  // namespace deblur
