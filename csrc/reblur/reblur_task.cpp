// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: for each tile of each crop a pass into linear light, then one along the paths.
#include <mutex>

#include "drive.h"
#include "reblur_loops.h"

namespace deblur {
namespace cpu {
namespace {

constexpr int64_t kCacheLine = 16;      // floats
constexpr int64_t kMostKept = 1 << 20;  // floats, in each thread
constexpr int64_t kPad = 64;  // pixels that a part goes on beyond the picture at most; longer paths take longer

// Along one axis: how far around its tile a part goes, and what it takes of the picture and beyond it.
int64_t around(float reach) { return static_cast<int64_t>(reach) + 2; }

void find_extent(int64_t around, int64_t from, int64_t count, int64_t size, int64_t& first, int64_t& length) {
    const int64_t beyond = std::min(around, kPad);
    first = std::max(from - around, -beyond);
    length = std::min(from + count + around, size + beyond) - first;
}

Piece whole_crop(const ReblurTask& t, int64_t i) {
    Piece p;
    p.crop = crop_of(t, i), p.index = i;
    p.h = p.crop.way & 4 ? t.out.w : t.out.h, p.w = p.crop.way & 4 ? t.out.h : t.out.w;
    return p;
}

Reach find_reach(const ReblurTask& t, const Piece& crop, int threads) {
    Reach most;
    std::mutex mutex;
    for_each(crop.h, grain_of(crop.w), threads, [&](int64_t begin, int64_t end) {
        Piece rows = crop;
        rows.y = begin, rows.h = end - begin;
        const Reach reach = DEBLUR_LOOP(find_reach)(t, rows);
        const std::lock_guard<std::mutex> lock(mutex);
        most.along = std::max(most.along, reach.along), most.down = std::max(most.down, reach.down);
    });
    return most;
}

// Memory for one tile at a time in each thread, kept for the next: what is new costs more than what is done with it.
// `once` holds what is too much to keep.
float* kept_room(int64_t floats, std::unique_ptr<float[]>& once) {
    static thread_local std::unique_ptr<float[]> kept;
    static thread_local int64_t size = 0;
    if (floats > kMostKept) {
        once = room(floats);
        return once.get();
    }
    if (floats > size) {
        kept.reset(), size = 0;
        kept = room(floats), size = floats;
    }
    return kept.get();
}

float* at_cache_line(float* memory) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(memory), line = kCacheLine * sizeof(float);
    return reinterpret_cast<float*>((address + line - 1) / line * line);
}

void blur(const ReblurTask& t, int64_t i, int threads) {
    const Piece crop = whole_crop(t, i);
    const Reach reach = find_reach(t, crop, threads);
    const int64_t beside = around(reach.along), above = around(reach.down);
    // Parts of tiles that the L2 cache holds, unless what lies around a tile would be more than the tile.
    const int64_t h = std::min(crop.h, std::max<int64_t>(128, 4 * above));
    const int64_t w = std::min(crop.w, std::max<int64_t>(256, 4 * beside));
    const int64_t across = (crop.w + w - 1) / w, down = (crop.h + h - 1) / h;
    for_each(down * across, 1, threads, [&](int64_t begin, int64_t end) {
        std::unique_ptr<float[]> once;
        for (int64_t tile = begin; tile < end; ++tile) {
            Piece p = crop;
            p.y = tile / across * h, p.x = tile % across * w;
            p.h = std::min(h, crop.h - p.y), p.w = std::min(w, crop.w - p.x);
            find_extent(beside, p.crop.x + p.x, p.w, t.image.w, p.left, p.across);
            find_extent(above, p.crop.y + p.y, p.h, t.image.h, p.top, p.down);
            check_extent(p.down, p.across * kPixel);
            const int64_t part = (p.down * p.across + kGroup) * kPixel, needed = part + 2 * (p.across + kGroup);
            // Vectors as long as a cache line that start in the middle of one at most.
            p.linear = at_cache_line(kept_room(needed + kCacheLine, once));
            p.lines = p.linear + part;
            for (p.c0 = 0; p.c0 < t.image.c; p.c0 += 4) {
                p.channels = static_cast<int>(std::min<int64_t>(4, t.image.c - p.c0));
                DEBLUR_LOOP(linearise)(t, p);
                DEBLUR_LOOP(reblur)(t, p);
            }
        }
    });
}

}  // namespace

void reblur(const ReblurTask& t, int threads) {
    if (t.out.n * t.out.c * t.out.h * t.out.w == 0) return;
    // Many crops are shared out whole, so that each stays in one processor's cache; of a few, the tiles are.
    const bool many = t.out.n >= 2 * threads;
    for_each(t.out.n, 1, many ? threads : 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) blur(t, i, many ? 1 : threads);
    });
}

}  // namespace cpu
}  // namespace deblur
