// SPDX-License-Identifier: Apache-2.0
// What the ops' drivers on the CPU share: pieces of work for threads, and scratch memory. Not for the loops themselves,
// which are compiled for several instruction sets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>

#include "for_each.h"
#include "isa.h"
#include "ops.h"

namespace deblur {
namespace cpu {

// Memory that is not cleared: every element of it is written before it is read.
inline std::unique_ptr<float[]> room(int64_t floats) {
    return std::unique_ptr<float[]>(new float[static_cast<size_t>(floats)]);
}

// Small enough that threads end together, large enough that a piece is worth handing out.
inline int64_t grain_of(int64_t width) {
    return std::max<int64_t>(1, std::min<int64_t>(16, 8192 / std::max<int64_t>(1, width)));
}

inline void check_extent(int64_t h, int64_t row) {
    if (h * row > std::numeric_limits<int32_t>::max())
        throw std::invalid_argument("image: one picture of the batch must hold fewer than 2^31 values");
}

// Rows of all pictures of a batch as one range, so that many small pictures share threads as well as one large does.
template <class Rows>
void over_batch(int64_t n, int64_t h, int64_t w, int threads, const Rows& rows) {
    for_each(n * h, grain_of(w), threads, [&](int64_t begin, int64_t end) {
        while (begin < end) {
            const int64_t i = begin / h, stop = std::min(end, (i + 1) * h);
            rows(i, begin - i * h, stop - i * h);
            begin = stop;
        }
    });
}

}  // namespace cpu
}  // namespace deblur
