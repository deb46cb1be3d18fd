// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include "blend_loops.h"

namespace deblur {
namespace {

// STEP and SPREAD are the compile-time strides of neighbouring pixels and channels, 0 where they are not known.
template <int C, int STEP>
void mix_line(const float* base, const float* result, const float* weight, float* out, int64_t w, float strength) {
    for (int64_t x = 0; x < w; ++x)
        for (int c = 0; c < C; ++c)
            out[x * STEP + c] = mixed(base[x * STEP + c], result[x * STEP + c], weight[x] * strength);
}

template <class T>
bool lies(const Picture<T>& p, int64_t sw, int64_t sc) {
    return p.sw == sw && (p.c == 1 || p.sc == sc);
}

}  // namespace

void DEBLUR_ISA::blend(const BlendTask& t, int64_t n, int64_t begin, int64_t end) {
    const Picture<const float>& tile = t.tile;
    const bool left = t.x > 0, right = t.x + tile.w < t.sum.w, top = t.y > 0, bottom = t.y + tile.h < t.sum.h;
    constexpr int kBlock = 256;
    float weights[kBlock];
    for (int64_t y = begin; y < end; ++y) {
        const float down = feathered(y, tile.h, t.feather, top, bottom);
        for (int64_t x0 = 0; x0 < tile.w; x0 += kBlock) {
            const int64_t count = x0 + kBlock < tile.w ? kBlock : tile.w - x0;
            for (int64_t i = 0; i < count; ++i) weights[i] = down * feathered(x0 + i, tile.w, t.feather, left, right);
            float* total = &at(t.weight, n, 0, t.y + y, t.x + x0);
            for (int64_t i = 0; i < count; ++i) total[i * t.weight.sw] += weights[i];
            for (int64_t c = 0; c < tile.c; ++c) {
                float* sum = &at(t.sum, n, c, t.y + y, t.x + x0);
                const float* from = &at(tile, n, c, y, x0);
                for (int64_t i = 0; i < count; ++i) sum[i * t.sum.sw] += weights[i] * from[i * tile.sw];
            }
        }
    }
}

void DEBLUR_ISA::mix(const MixTask& t, int64_t n, int64_t begin, int64_t end) {
    const int64_t w = t.base.w;
    const bool rgb = t.base.c == 3 && lies(t.base, 3, 1) && lies(t.result, 3, 1) && lies(t.out, 3, 1);
    const bool planar = t.base.sw == 1 && t.result.sw == 1 && t.out.sw == 1;
    for (int64_t y = begin; y < end; ++y) {
        const float* weight = &at(t.weight, n, 0, y, 0);
        if (rgb && t.weight.sw == 1) {
            mix_line<3, 3>(&at(t.base, n, 0, y, 0), &at(t.result, n, 0, y, 0), weight, &at(t.out, n, 0, y, 0), w,
                           t.strength);
            continue;
        }
        for (int64_t c = 0; c < t.base.c; ++c) {
            const float* base = &at(t.base, n, c, y, 0);
            const float* result = &at(t.result, n, c, y, 0);
            float* out = &at(t.out, n, c, y, 0);
            if (planar && t.weight.sw == 1) {
                mix_line<1, 1>(base, result, weight, out, w, t.strength);
            } else {
                for (int64_t x = 0; x < w; ++x)
                    out[x * t.out.sw] =
                        mixed(base[x * t.base.sw], result[x * t.result.sw], weight[x * t.weight.sw] * t.strength);
            }
        }
    }
}

}  // namespace deblur
