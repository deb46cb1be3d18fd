// SPDX-License-Identifier: Apache-2.0
// The ops on the CPU: cut into rows for threads.
#include "blend_loops.h"
#include "drive.h"

namespace deblur {
namespace cpu {

void blend(const BlendTask& t, int threads) {
    over_batch(t.tile.n, t.tile.h, t.tile.w, threads,
               [&](int64_t n, int64_t begin, int64_t end) { DEBLUR_LOOP(blend)(t, n, begin, end); });
}

void finish(const FinishTask& t, int threads) {
    over_batch(t.sum.n, t.sum.h, t.sum.w, threads,
               [&](int64_t n, int64_t begin, int64_t end) { DEBLUR_LOOP(finish)(t, n, begin, end); });
}

void mix(const MixTask& t, int threads) {
    over_batch(t.base.n, t.base.h, t.base.w, threads,
               [&](int64_t n, int64_t begin, int64_t end) { DEBLUR_LOOP(mix)(t, n, begin, end); });
}

}  // namespace cpu
}  // namespace deblur
