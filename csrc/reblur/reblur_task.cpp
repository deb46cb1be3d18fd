// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: for each crop a pass into linear light, then one along the paths.
#include <mutex>

#include "drive.h"
#include "reblur_loops.h"

namespace deblur {
namespace cpu {
namespace {

constexpr int64_t kPad = 64;  // pixels that a part goes on beyond the picture at most; longer paths take longer

// Along one axis: what a crop's paths read, of the picture and beyond it.
void find_extent(float reach, int64_t from, int64_t count, int64_t size, int64_t& first, int64_t& length) {
    const int64_t around = static_cast<int64_t>(reach) + 2, beyond = std::min(around, kPad);
    first = std::max(from - around, -beyond);
    length = std::min(from + count + around, size + beyond) - first;
}

void find_part(const ReblurTask& t, Piece& p, int threads) {
    Reach most;
    std::mutex mutex;
    for_each(p.h, grain_of(p.w), threads, [&](int64_t begin, int64_t end) {
        const Reach reach = DEBLUR_LOOP(find_reach)(t, p, begin, end);
        const std::lock_guard<std::mutex> lock(mutex);
        most.along = std::max(most.along, reach.along), most.down = std::max(most.down, reach.down);
    });
    find_extent(most.along, p.crop.x, p.w, t.image.w, p.left, p.across);
    find_extent(most.down, p.crop.y, p.h, t.image.h, p.top, p.down);
}

void blur(const ReblurTask& t, int64_t i, int threads) {
    Piece p;
    p.crop = crop_of(t, i), p.index = i;
    p.h = p.crop.way & 4 ? t.out.w : t.out.h, p.w = p.crop.way & 4 ? t.out.h : t.out.w;
    find_part(t, p, threads);
    check_extent(p.down, p.across * 4);
    const auto linear = room(p.down * p.across * 4 + 2 * kSlack);
    p.linear = linear.get() + kSlack;
    for (p.c0 = 0; p.c0 < t.image.c; p.c0 += 4) {
        p.channels = static_cast<int>(std::min<int64_t>(4, t.image.c - p.c0));
        for_each(p.down, grain_of(p.across), threads,
                 [&](int64_t begin, int64_t end) { DEBLUR_LOOP(linearise)(t, p, begin, end); });
        for_each(p.h, grain_of(p.w), threads,
                 [&](int64_t begin, int64_t end) { DEBLUR_LOOP(reblur)(t, p, begin, end); });
    }
}

}  // namespace

void reblur(const ReblurTask& t, int threads) {
    if (t.out.n * t.out.c * t.out.h * t.out.w == 0) return;
    // Many crops are shared out whole, so that each stays in one processor's cache; of a few, the rows are.
    const bool many = t.out.n >= 2 * threads;
    for_each(t.out.n, 1, many ? threads : 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) blur(t, i, many ? 1 : threads);
    });
}

}  // namespace cpu
}  // namespace deblur
