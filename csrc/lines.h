// SPDX-License-Identifier: Apache-2.0
// Lines of one channel in memory, of any type and step, to and from runs of floats; for the CPU's loops.
#pragma once

#include "half.h"

namespace deblur {
namespace {

// Steps between pixels known when this is compiled make loops that vectorise.
template <class T>
DEBLUR_FN void read_line(const T* from, int64_t step, int64_t count, float* to) {
    if constexpr (sizeof(T) == 2) {
        if (step == 1) return to_floats(from, to, count);
    }
    if (step == 1) {
        for (int64_t i = 0; i < count; ++i) to[i] = value_of(from[i]);
    } else if (step == 2) {
        for (int64_t i = 0; i < count; ++i) to[i] = value_of(from[2 * i]);
    } else if (step == 3) {
        for (int64_t i = 0; i < count; ++i) to[i] = value_of(from[3 * i]);
    } else {
        for (int64_t i = 0; i < count; ++i) to[i] = value_of(from[i * step]);
    }
}

}  // namespace
}  // namespace deblur
