// SPDX-License-Identifier: Apache-2.0
// Work shared out to threads.
#pragma once

#include <cstdint>
#include <functional>

namespace deblur {

// How many threads a call may use: the processors of this process, or OMP_NUM_THREADS, or `asked` where positive,
// whichever is least.
int allowed_threads(int asked);

// Calls body(begin, end) on pieces of at most `grain` of the range 0..count, on up to `threads` threads (the caller's
// is one of them). Returns when all are done; the first exception thrown by a piece is thrown again here.
void for_each(int64_t count, int64_t grain, int threads, const std::function<void(int64_t, int64_t)>& body);

}  // namespace deblur
