// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: for some lines of a crop at a time a pass into linear light, then one along the paths.
#include <mutex>

#include "drive.h"
#include "reblur_loops.h"

namespace deblur {
namespace cpu {
namespace {

constexpr int64_t kPad = 64;            // pixels that a part goes on beyond the picture at most; longer paths take longer
constexpr int64_t kInCache = 1 << 18;   // floats
constexpr int64_t kMostKept = 1 << 21;  // floats, in each thread

// Along one axis: what a crop's paths read, of the picture and beyond it.
void find_extent(float reach, int64_t from, int64_t count, int64_t size, int64_t& first, int64_t& length) {
    const int64_t around = static_cast<int64_t>(reach) + 2, beyond = std::min(around, kPad);
    first = std::max(from - around, -beyond);
    length = std::min(from + count + around, size + beyond) - first;
}

// How far the paths of a crop lead.
Reach find_reach_of(const ReblurTask& t, const Piece& p, int threads) {
    Reach most;
    std::mutex mutex;
    for_each(p.h, grain_of(p.w), threads, [&](int64_t begin, int64_t end) {
        const Reach reach = DEBLUR_LOOP(find_reach)(t, p, begin, end);
        const std::lock_guard<std::mutex> lock(mutex);
        most.along = std::max(most.along, reach.along), most.down = std::max(most.down, reach.down);
    });
    return most;
}

// Memory for one piece of work at a time in each thread, kept for the next one: that which is new costs more than what
// is done with it.
float* kept_room(int64_t floats) {
    static thread_local std::unique_ptr<float[]> memory;
    static thread_local int64_t size = 0;
    if (size < floats) {
        memory.reset(), size = 0;
        memory = room(floats), size = floats;
    }
    return memory.get();
}

// Lines of a crop, with what their paths read.
void blur_lines(const ReblurTask& t, Piece p, const Reach& most, int64_t begin, int64_t end) {
    find_extent(most.down, p.crop.y + begin, end - begin, t.image.h, p.top, p.down);
    check_extent(p.down, p.across * 4);
    const int64_t floats = p.down * p.across * 4 + 2 * kSlack, lines = 2 * (p.across + kSlack);
    std::unique_ptr<float[]> once;
    float* memory;
    if (floats + lines <= kMostKept) {
        memory = kept_room(floats + lines);
    } else {
        once = room(floats + lines), memory = once.get();
    }
    p.linear = memory + kSlack, p.lines = memory + floats;
    for (p.c0 = 0; p.c0 < t.image.c; p.c0 += 4) {
        p.channels = static_cast<int>(std::min<int64_t>(4, t.image.c - p.c0));
        DEBLUR_LOOP(linearise)(t, p);
        DEBLUR_LOOP(reblur)(t, p, begin, end);
    }
}

void blur(const ReblurTask& t, int64_t i, int threads) {
    Piece p;
    p.crop = crop_of(t, i), p.index = i;
    p.h = p.crop.way & 4 ? t.out.w : t.out.h, p.w = p.crop.way & 4 ? t.out.h : t.out.w;
    const Reach most = find_reach_of(t, p, threads);
    find_extent(most.along, p.crop.x, p.w, t.image.w, p.left, p.across);
    // As many lines at a time as stay in a processor's cache with what their paths read above and below, of which the
    // next lines read a part once more: not much more than what is read once.
    const int64_t around = 2 * (static_cast<int64_t>(most.down) + 2);
    const int64_t fit = kInCache / (p.across * 4) - around;
    int64_t lines = std::max(std::max(fit, 2 * around), int64_t{16});
    if (threads > 1) lines = std::min(lines, std::max((p.h + 2 * threads - 1) / (2 * threads), 2 * around));
    for_each((p.h + lines - 1) / lines, 1, threads, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k)
            blur_lines(t, p, most, k * lines, std::min(p.h, (k + 1) * lines));
    });
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
