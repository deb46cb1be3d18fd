// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "blend.h"
#include "loops.h"

namespace deblur {

DEBLUR_EACH_ISA(
    // Rows begin..end of picture n (of the tile's).
    void blend(const BlendTask&, int64_t n, int64_t begin, int64_t end);
    void finish(const FinishTask&, int64_t n, int64_t begin, int64_t end);
    void mix(const MixTask&, int64_t n, int64_t begin, int64_t end);)

}  // namespace deblur
