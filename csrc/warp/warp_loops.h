// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "loops.h"
#include "warp.h"

namespace deblur {

DEBLUR_EACH_ISA(
    // Rows begin..end of picture n, channels c0 on.
    void warp(const WarpTask&, const Interleaved& image, int64_t n, int64_t c0, int64_t begin, int64_t end);
    void pack(const Picture<const float>&, int64_t n, int64_t c0, int channels, float* to, int64_t row, int64_t begin,
              int64_t end);)

}  // namespace deblur
