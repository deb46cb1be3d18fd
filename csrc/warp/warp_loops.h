// SPDX-License-Identifier: Apache-2.0
// The CPU's loops, one set of them for each instruction set.
#pragma once

#include "loops.h"
#include "warp.h"

namespace deblur {

DEBLUR_EACH_ISA(
    // Rows begin..end of picture n; `image` is the task's as float32, planar or with its channels side by side.
    void warp(const WarpTask&, const Picture<const float>& image, int64_t n, int64_t begin, int64_t end);
    void warp_grad_flow(const WarpGradTask&, const Picture<const float>& image, int64_t n, int64_t begin, int64_t end);
    // Fills rows top..bottom of picture n of `to`, the task's grad_image as float32.
    void warp_grad_image(const WarpGradTask&, const Picture<float>& to, int64_t n, int64_t top, int64_t bottom);
    // Half to float, row by row, or any layout to planar.
    void widen(const Picture<const void>& from, Sample, const Picture<float>& to, int64_t n, int64_t begin,
               int64_t end);
    // Planar float to half of any layout.
    void narrow(const Picture<const float>& from, const Picture<void>& to, int64_t n, int64_t begin, int64_t end);)

}  // namespace deblur
