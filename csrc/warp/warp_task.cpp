// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: cut into rows for threads, odd layouts and half precision brought into what the loops read.
#include "drive.h"
#include "warp_loops.h"

namespace deblur {
namespace cpu {
namespace {

// A picture as float32, planar or with two to four channels side by side: its own memory, or a planar copy.
struct Plain {
    Picture<const float> picture;
    std::unique_ptr<float[]> copy;
};

Plain plain(const Picture<const void>& p, Sample sample, int threads) {
    const bool planar = p.sw == 1, packed = p.c >= 2 && p.c <= 4 && p.sc == 1 && p.sw == p.c && std::abs(p.sh) >= p.w * p.c;
    Plain made;
    Picture<const float>& to = made.picture;
    to.n = p.n, to.c = p.c, to.h = p.h, to.w = p.w;
    if (sample == Sample::f32 && (planar || packed)) {
        to.data = static_cast<const float*>(p.data);
        to.sn = p.sn, to.sc = p.sc, to.sh = p.sh, to.sw = p.sw;
        check_extent(p.h, std::abs(p.sh));
        return made;
    }
    to.sw = 1, to.sh = p.w, to.sc = p.h * p.w, to.sn = p.c * p.h * p.w;
    check_extent(p.h, to.sh);
    made.copy = room(p.n * to.sn);
    to.data = made.copy.get();
    Picture<float> filled;
    filled.data = made.copy.get();
    filled.n = to.n, filled.c = to.c, filled.h = to.h, filled.w = to.w;
    filled.sn = to.sn, filled.sc = to.sc, filled.sh = to.sh, filled.sw = to.sw;
    over_batch(p.n, p.h, p.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
        DEBLUR_LOOP(widen)(p, sample, filled, n, begin, end);
    });
    return made;
}

}  // namespace

void warp(const WarpTask& t, int threads) {
    if (t.out.n * t.out.c * t.out.h * t.out.w == 0) return;
    const Plain image = plain(t.image, t.sample, threads);
    over_batch(t.out.n, t.out.h, t.out.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
        DEBLUR_LOOP(warp)(t, image.picture, n, begin, end);
    });
}

}  // namespace cpu
}  // namespace deblur
