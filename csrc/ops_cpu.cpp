// SPDX-License-Identifier: Apache-2.0
// Each op on the CPU: how it is cut into pieces for threads, and how odd layouts are brought into the one that the
// loops of this instruction set read.
#include "ops_cpu.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

#include "for_each.h"
#include "ops.h"

namespace deblur {
namespace cpu {
namespace {

struct Loops {
    const char* name;
    decltype(&isa_base::warp) warp;
    decltype(&isa_base::reblur) reblur;
    decltype(&isa_base::linearise) linearise;
    decltype(&isa_base::pack) pack;
    decltype(&isa_base::sharpness) sharpness;
    decltype(&isa_base::blend) blend;
    decltype(&isa_base::mix) mix;
};

#define DEBLUR_LOOPS(NAME, ISA) \
    Loops { NAME, ISA::warp, ISA::reblur, ISA::linearise, ISA::pack, ISA::sharpness, ISA::blend, ISA::mix }

Loops choose() {
#if defined(DEBLUR_MULTI_ISA)
    const char* text = std::getenv("DEBLUR_ISA");
    const std::string limit = text ? text : "";
    // What each level of the x86-64 psABI adds, asked for feature by feature: not every compiler knows the levels'
    // names.
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v4 && limit != "base" && limit != "v3") return DEBLUR_LOOPS("x86-64-v4", isa_v4);
    if (v3 && limit != "base") return DEBLUR_LOOPS("x86-64-v3", isa_v3);
#endif
    return DEBLUR_LOOPS("base", isa_base);
}

const Loops& loops() {
    static const Loops chosen = choose();
    return chosen;
}

// Memory that is not cleared: every element of it is written before it is read.
std::unique_ptr<float[]> room(int64_t floats) {
    return std::unique_ptr<float[]>(new float[static_cast<size_t>(floats)]);
}

// Small enough that threads end together, large enough that a piece is worth handing out.
int64_t grain_of(int64_t width) {
    return std::max<int64_t>(1, std::min<int64_t>(16, 8192 / std::max<int64_t>(1, width)));
}

void check_extent(int64_t h, int64_t row) {
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

}  // namespace

const char* instruction_set() { return loops().name; }

void sharpness(const SharpnessTask& t, int threads) {
    const int64_t lines = (t.image.w + 2 + 15) / 16 * 16 + 16;
    const int64_t scratch = 3 * lines + t.out.w * 18 + 64;
    for_each(t.image.n * t.out.h, 1, threads, [&](int64_t begin, int64_t end) {
        const auto memory = room(scratch + 16);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t ty = i % t.out.h;
            loops().sharpness(t, i / t.out.h, ty, ty + 1, memory.get());
        }
    });
}

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
                loops().warp(t, image, n, 0, begin, end);
            });
            continue;
        }
        // Planar, flipped or otherwise spread: interleaved first, which costs one pass and lets one read fetch a pixel.
        const int step = channels == 3 ? 4 : channels;
        const int64_t row = p.w * step;
        const auto packed = room(p.n * p.h * row);
        over_batch(p.n, p.h, p.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            loops().pack(p, n, c0, channels, packed.get() + n * p.h * row, row, begin, end);
        });
        over_batch(t.out.n, t.out.h, t.out.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            const Interleaved image{packed.get() + n * p.h * row, row, step, channels};
            loops().warp(t, image, n, c0, begin, end);
        });
    }
}

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
            loops().linearise(t.transfer, p, n, c0, channels, linear.get() + n * high * row, row, begin, end);
        });
        over_batch(p.n, p.h, p.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            const Interleaved image{linear.get() + n * high * row, row, 4, channels};
            loops().reblur(t, image, n, c0, begin, end);
        });
    }
}

void blend(const BlendTask& t, int threads) {
    over_batch(t.tile.n, t.tile.h, t.tile.w, threads,
               [&](int64_t n, int64_t begin, int64_t end) { loops().blend(t, n, begin, end); });
}

void mix(const MixTask& t, int threads) {
    over_batch(t.base.n, t.base.h, t.base.w, threads,
               [&](int64_t n, int64_t begin, int64_t end) { loops().mix(t, n, begin, end); });
}

}  // namespace cpu
}  // namespace deblur
