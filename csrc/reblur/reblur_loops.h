// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "loops.h"
#include "reblur.h"

namespace deblur {

// Lines of one crop at work: the part of its picture that their paths may read, in linear light, four floats a pixel
// (of one channel alone: the pixel, its right neighbour and the two below). It goes on beyond the picture's border, by
// its edge pixels, as far as paths do that are not very long.
struct Piece {
    Crop crop;
    int64_t index = 0;                                // in the batch
    int64_t h = 0, w = 0;                             // of the crop, before it is turned
    int64_t top = 0, left = 0, down = 0, across = 0;  // of the part, in the picture
    float* linear = nullptr;                          // [down, across, 4]
    float* lines = nullptr;                           // scratch: two lines of across + kSlack
    int64_t c0 = 0;                                   // the first of the channels that this is about
    int channels = 0;                                 // one to four
};

// How far paths lead from their pixels, along rows and down columns.
struct Reach {
    float along = 0.0f, down = 0.0f;
};

constexpr int kSlack = 32;  // floats beside `linear` that may be read, though not used

DEBLUR_EACH_ISA(
    // Of rows begin..end of the crop, before it is turned.
    Reach find_reach(const ReblurTask&, const Piece&, int64_t begin, int64_t end);
    // The whole part.
    void linearise(const ReblurTask&, const Piece&);
    // Rows begin..end of the crop, before it is turned.
    void reblur(const ReblurTask&, const Piece&, int64_t begin, int64_t end);)

}  // namespace deblur
