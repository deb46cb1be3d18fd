// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "loops.h"
#include "sharpness.h"

namespace deblur {

DEBLUR_EACH_ISA(
    // Rows begin..end of tiles of picture n.
    void sharpness(const SharpnessTask&, int64_t n, int64_t begin, int64_t end, float* scratch);)

}  // namespace deblur
