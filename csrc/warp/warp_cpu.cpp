// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); dispatch.cpp chooses when the module is loaded.
#include "ops_cpu.h"
#include "simd.h"
#include "warp.h"

namespace deblur {
namespace {

constexpr int kBlock = 64;  // pixels whose taps are worked out together: a loop that vectorises, in the L1 cache

template <int TAPS>
struct BlockTaps {
    int x[TAPS][kBlock], y[TAPS][kBlock];
    float wx[TAPS][kBlock], wy[TAPS][kBlock];
    float inside[kBlock];
};

template <int TAPS, Border BORDER>
void work_out(const float* dx, const float* dy, int x0, int y0, int count, int width, int height, BlockTaps<TAPS>& t) {
    for (int i = 0; i < count; ++i) {
        const Axis<TAPS> ax = axis_taps<TAPS, BORDER>(static_cast<float>(x0 + i) + displacement(dx[i]), width);
        const Axis<TAPS> ay = axis_taps<TAPS, BORDER>(static_cast<float>(y0) + displacement(dy[i]), height);
        for (int k = 0; k < TAPS; ++k) {
            t.x[k][i] = ax.index[k];
            t.wx[k][i] = ax.weight[k];
            t.y[k][i] = ay.index[k];
            t.wy[k][i] = ay.weight[k];
        }
        t.inside[i] = covered(ax.inside, ay.inside, dx[i], dy[i]);
    }
}

// `Whole` promises that a float behind every pixel read may be read too (see load_pixel).
template <int C, int STEP, int TAPS, bool Whole>
void gather(const float* image, int64_t row, const BlockTaps<TAPS>& t, int count, float* out) {
    typedef typename PixelOf<C>::V V;
    for (int i = 0; i < count; ++i) {
        V sum{};
        for (int j = 0; j < TAPS; ++j) {
            const float* line = image + t.y[j][i] * row;
            V across = t.wx[0][i] * load_pixel<C, Whole>(line + t.x[0][i] * STEP);
            for (int k = 1; k < TAPS; ++k) across = across + t.wx[k][i] * load_pixel<C, Whole>(line + t.x[k][i] * STEP);
            sum = j == 0 ? t.wy[j][i] * across : sum + t.wy[j][i] * across;
        }
        store_pixel<C>(out + i * C, sum);
    }
}

template <int C, int STEP, int TAPS, Border BORDER>
void warp_rows(const WarpTask& task, const Interleaved& image, int64_t n, int64_t c0, int64_t begin, int64_t end) {
    const int width = static_cast<int>(task.image.w), height = static_cast<int>(task.image.h);
    const int across = static_cast<int>(task.out.w);
    alignas(64) float dx[kBlock], dy[kBlock], pixels[kBlock * C];
    BlockTaps<TAPS> taps;
    const bool direct = task.out.sc == 1 && task.out.sw == C;
    for (int64_t y = begin; y < end; ++y) {
        for (int x = 0; x < across; x += kBlock) {
            const int count = smaller(kBlock, across - x);
            const float* u = &at(task.flow, n, 0, y, x);
            const float* v = u + task.flow.sc;
            for (int i = 0; i < count; ++i) dx[i] = u[i * task.flow.sw], dy[i] = v[i * task.flow.sw];
            work_out<TAPS, BORDER>(dx, dy, x, static_cast<int>(y), count, width, height, taps);

            float* first = &at(task.out, n, c0, y, x);
            float* to = direct ? first : pixels;
            bool whole = true;
            if constexpr (C == 3 && STEP == 3) {
                int lowest = 0;  // the picture's last row is the only one whose end is the memory's end
                for (int k = 0; k < TAPS; ++k)
                    for (int i = 0; i < count; ++i) lowest = larger(lowest, taps.y[k][i]);
                whole = lowest < height - 1;
            }
            if (whole) {
                gather<C, STEP, TAPS, true>(image.data, image.row, taps, count, to);
            } else {
                gather<C, STEP, TAPS, false>(image.data, image.row, taps, count, to);
            }
            if (!direct)
                for (int i = 0; i < count; ++i)
                    for (int c = 0; c < C; ++c) first[i * task.out.sw + c * task.out.sc] = pixels[i * C + c];
            if (task.mask.data != nullptr && c0 == 0)
                for (int i = 0; i < count; ++i) at(task.mask, n, 0, y, x + i) = taps.inside[i];
        }
    }
}

template <int C, int STEP, int TAPS>
void by_border(const WarpTask& t, const Interleaved& i, int64_t n, int64_t c0, int64_t begin, int64_t end) {
    switch (t.border) {
        case Border::replicate: return warp_rows<C, STEP, TAPS, Border::replicate>(t, i, n, c0, begin, end);
        case Border::zero: return warp_rows<C, STEP, TAPS, Border::zero>(t, i, n, c0, begin, end);
        case Border::reflect: return warp_rows<C, STEP, TAPS, Border::reflect>(t, i, n, c0, begin, end);
    }
}

template <int C, int STEP>
void by_filter(const WarpTask& t, const Interleaved& i, int64_t n, int64_t c0, int64_t begin, int64_t end) {
    if (t.filter == Filter::bilinear) return by_border<C, STEP, 2>(t, i, n, c0, begin, end);
    return by_border<C, STEP, 4>(t, i, n, c0, begin, end);
}

template <int C, int STEP>
void pack_rows(const Picture<const float>& p, int64_t n, int64_t c0, float* to, int64_t row, int64_t begin,
               int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
        const float* from = &at(p, n, c0, y, 0);
        float* line = to + y * row;
        if (p.sw == 1) {
            for (int64_t x = 0; x < p.w; ++x)
                for (int c = 0; c < STEP; ++c) line[x * STEP + c] = c < C ? from[x + c * p.sc] : 0.0f;
        } else {
            for (int64_t x = 0; x < p.w; ++x)
                for (int c = 0; c < STEP; ++c) line[x * STEP + c] = c < C ? from[x * p.sw + c * p.sc] : 0.0f;
        }
    }
}

}  // namespace

void DEBLUR_ISA::pack(const Picture<const float>& p, int64_t n, int64_t c0, int channels, float* to, int64_t row,
                      int64_t begin, int64_t end) {
    if (channels == 1) return pack_rows<1, 1>(p, n, c0, to, row, begin, end);
    if (channels == 2) return pack_rows<2, 2>(p, n, c0, to, row, begin, end);
    if (channels == 3) return pack_rows<3, 4>(p, n, c0, to, row, begin, end);
    return pack_rows<4, 4>(p, n, c0, to, row, begin, end);
}

void DEBLUR_ISA::warp(const WarpTask& t, const Interleaved& i, int64_t n, int64_t c0, int64_t begin, int64_t end) {
    if (i.channels == 1) return by_filter<1, 1>(t, i, n, c0, begin, end);
    if (i.channels == 2) return by_filter<2, 2>(t, i, n, c0, begin, end);
    if (i.channels == 4) return by_filter<4, 4>(t, i, n, c0, begin, end);
    return i.step == 3 ? by_filter<3, 3>(t, i, n, c0, begin, end) : by_filter<3, 4>(t, i, n, c0, begin, end);
}

}  // namespace deblur
