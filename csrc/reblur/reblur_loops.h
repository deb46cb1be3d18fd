// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "loops.h"
#include "reblur.h"

namespace deblur {

// One crop at work: what of its picture its paths may read, and that in linear light, four floats a pixel. A picture
// one pixel wide or high counts as padded to two, alike, so that two taps always exist.
struct Piece {
    Crop crop;
    int64_t index = 0;                          // in the batch
    int64_t h = 0, w = 0;                       // of the crop, before it is turned
    int64_t top = 0, left = 0, down = 0, across = 0;  // of what is read
    float* linear = nullptr;                    // [down, across, 4]
    int64_t c0 = 0;                             // the first of the channels that this is about
    int channels = 0;                           // one to four
};

DEBLUR_EACH_ISA(
    // Sets what of the picture is read.
    void find_reach(const ReblurTask&, Piece&);
    // Rows begin..end of what is read.
    void linearise(const ReblurTask&, const Piece&, int64_t begin, int64_t end);
    // Rows begin..end of the crop, before it is turned.
    void reblur(const ReblurTask&, const Piece&, int64_t begin, int64_t end);)

}  // namespace deblur
