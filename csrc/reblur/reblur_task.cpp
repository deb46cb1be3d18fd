// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: a pass into linear light, then one along the paths.
#include "drive.h"
#include "reblur_loops.h"

namespace deblur {
namespace cpu {

void reblur(const ReblurTask& t, int threads) {
    const Picture<const float>& p = t.image;
    if (p.n * p.c * p.h * p.w == 0) return;
    // Two taps always exist: a picture one pixel wide or high is repeated.
    const int64_t row = std::max<int64_t>(p.w, 2) * 4, high = std::max<int64_t>(p.h, 2);
    check_extent(high, row);
    const auto linear = room(p.n * high * row);
    for (int64_t c0 = 0; c0 < p.c; c0 += 4) {
        const int channels = static_cast<int>(std::min<int64_t>(4, p.c - c0));
        over_batch(p.n, high, p.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            DEBLUR_LOOP(linearise)(t.transfer, p, n, c0, channels, linear.get() + n * high * row, row, begin, end);
        });
        over_batch(p.n, p.h, p.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            const Interleaved image{linear.get() + n * high * row, row, 4, channels};
            DEBLUR_LOOP(reblur)(t, image, n, c0, begin, end);
        });
    }
}

}  // namespace cpu
}  // namespace deblur
