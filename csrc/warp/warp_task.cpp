// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: cut into rows for threads, odd layouts brought into the one that the loops read.
#include "drive.h"
#include "warp_loops.h"

namespace deblur {
namespace cpu {

void warp(const WarpTask& t, int threads) {
    const Picture<const float>& p = t.image;
    if (t.out.n * t.out.c * t.out.h * t.out.w == 0) return;
    const bool in_place = p.c <= 4 && (p.c == 1 || p.sc == 1) && p.sw == p.c && p.sh >= p.w * p.c;
    check_extent(p.h, in_place ? p.sh : p.w * 4);
    for (int64_t c0 = 0; c0 < p.c; c0 += 4) {
        const int channels = static_cast<int>(std::min<int64_t>(4, p.c - c0));
        if (in_place) {
            over_batch(t.out.n, t.out.h, t.out.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
                const Interleaved image{p.data + n * p.sn, p.sh, channels, channels};
                DEBLUR_LOOP(warp)(t, image, n, 0, begin, end);
            });
            continue;
        }
        // Planar, flipped or otherwise spread: interleaved first, which costs one pass and lets one read fetch a pixel.
        const int step = channels == 3 ? 4 : channels;
        const int64_t row = p.w * step;
        const auto packed = room(p.n * p.h * row);
        over_batch(p.n, p.h, p.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            DEBLUR_LOOP(pack)(p, n, c0, channels, packed.get() + n * p.h * row, row, begin, end);
        });
        over_batch(t.out.n, t.out.h, t.out.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            const Interleaved image{packed.get() + n * p.h * row, row, step, channels};
            DEBLUR_LOOP(warp)(t, image, n, c0, begin, end);
        });
    }
}

}  // namespace cpu
}  // namespace deblur
