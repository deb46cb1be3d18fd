// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "loops.h"
#include "reblur.h"

namespace deblur {

constexpr int kPixel = 8;   // floats a pixel of a part: its own four, and the four of the pixel below it
constexpr int kPlane = 4;   // of one channel by itself: the pixel, the one below, the one to the right and that below
constexpr int kGroup = 16;  // pixels whose taps are worked out together

// A tile of a crop at work, and the part of the crop's picture that its paths may read, in linear light. Every pixel
// lies there beside the one below it, so that the four taps of a bilinear read are one run of sixteen floats: upper
// left, lower left, upper right, lower right. The part goes on beyond the picture's border, by its edge pixels, as far
// as paths do that are not very long.
struct Piece {
    Crop crop;
    int64_t index = 0;                                // in the batch
    int64_t y = 0, x = 0, h = 0, w = 0;               // of the tile in the crop, before it is turned
    int64_t top = 0, left = 0, down = 0, across = 0;  // of the part, in the picture
    float* linear = nullptr;  // [down, across, kPixel or kPlane], and kGroup pixels more that may be read
    float* lines = nullptr;   // scratch: two lines of across + kGroup
    int64_t c0 = 0;           // the first of the channels that this is about
    int channels = 0;         // one to four
};

// How far paths lead from their pixels, along rows and down columns.
struct Reach {
    float along = 0.0f, down = 0.0f;
};

DEBLUR_EACH_ISA(
    // Of the tile's pixels.
    Reach find_reach(const ReblurTask&, const Piece&);
    // The part.
    void linearise(const ReblurTask&, const Piece&);
    // The tile.
    void reblur(const ReblurTask&, const Piece&);)

}  // namespace deblur
