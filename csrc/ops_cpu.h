// SPDX-License-Identifier: Apache-2.0
// The loops of each op for a run of rows, one set of them per instruction set.
#pragma once

#include "blend/blend.h"
#include "common.h"
#include "reblur/reblur.h"
#include "sharpness/sharpness.h"
#include "warp/warp.h"

namespace deblur {

// Up to four channels of one picture, pixel by pixel: `step` floats from pixel to pixel, `row` from line to line.
// Three channels that have been packed travel in four floats.
struct Interleaved {
    const float* data = nullptr;
    int64_t row = 0;
    int step = 0;
    int channels = 0;
};

#define DEBLUR_ROWS_OF_EACH_OP                                                                                         \
    void warp(const WarpTask&, const Interleaved& image, int64_t n, int64_t c0, int64_t begin, int64_t end);           \
    void reblur(const ReblurTask&, const Interleaved& linear, int64_t n, int64_t c0, int64_t begin, int64_t end);      \
    void linearise(Transfer, const Picture<const float>&, int64_t n, int64_t c0, int channels, float* to, int64_t row, \
                   int64_t begin, int64_t end);                                                                        \
    void pack(const Picture<const float>&, int64_t n, int64_t c0, int channels, float* to, int64_t row, int64_t begin, \
              int64_t end);                                                                                            \
    void sharpness(const SharpnessTask&, int64_t n, int64_t begin, int64_t end, float* scratch);                       \
    void blend(const BlendTask&, int64_t n, int64_t begin, int64_t end);                                               \
    void mix(const MixTask&, int64_t n, int64_t begin, int64_t end);

namespace isa_base {
DEBLUR_ROWS_OF_EACH_OP
}
namespace isa_v3 {
DEBLUR_ROWS_OF_EACH_OP
}
namespace isa_v4 {
DEBLUR_ROWS_OF_EACH_OP
}

}  // namespace deblur
