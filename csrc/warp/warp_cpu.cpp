// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include "simd.h"
#include "warp_loops.h"

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

// Down the columns first, then across them: the same order in every path and in the CUDA kernel, for the same bits.
// `Whole` promises that a float behind every pixel read may be read too (see load_pixel).
template <int C, int STEP, int TAPS, bool Whole>
void gather(const float* image, int64_t row, const BlockTaps<TAPS>& t, int count, float* out) {
    typedef typename PixelOf<C>::V V;
    for (int i = 0; i < count; ++i) {
        const float* lines[TAPS];
        for (int j = 0; j < TAPS; ++j) lines[j] = image + t.y[j][i] * row;
        V sum{};
        for (int k = 0; k < TAPS; ++k) {
            const int x = t.x[k][i] * STEP;
            V down = t.wy[0][i] * load_pixel<C, Whole>(lines[0] + x);
            for (int j = 1; j < TAPS; ++j) down = down + t.wy[j][i] * load_pixel<C, Whole>(lines[j] + x);
            sum = k == 0 ? t.wx[k][i] * down : sum + t.wx[k][i] * down;
        }
        store_pixel<C>(out + i * C, sum, i == count - 1);
    }
}

// For taps that lie side by side in memory: one vector reads those of a line together.
template <int C, int STEP>
void gather_pairs(const float* image, int64_t row, const BlockTaps<2>& t, int count, float* out) {
    for (int i = 0; i < count; ++i) {
        const float* from = image + t.x[0][i] * STEP;
        const f8 down = t.wy[0][i] * load<f8>(from + t.y[0][i] * row) + t.wy[1][i] * load<f8>(from + t.y[1][i] * row);
        store_pixel<C>(out + i * C, t.wx[0][i] * part<0>(down) + t.wx[1][i] * part<STEP>(down), i == count - 1);
    }
}

void gather_fours(const float* image, int64_t row, const BlockTaps<4>& t, int count, float* out) {
    for (int i = 0; i < count; ++i) {
        const float* from = image + t.x[0][i] * 3;
        const float* line = from + t.y[0][i] * row;
        f8 a = t.wy[0][i] * load<f8>(line);
        f4 b = t.wy[0][i] * load<f4>(line + 8);
        for (int j = 1; j < 4; ++j) {
            line = from + t.y[j][i] * row;
            a = a + t.wy[j][i] * load<f8>(line);
            b = b + t.wy[j][i] * load<f4>(line + 8);
        }
        const f4 upper = part<4>(a);
        const f4 sum = t.wx[0][i] * part<0>(a) + t.wx[1][i] * part<3>(a) + t.wx[2][i] * joined<2>(upper, b) +
                       t.wx[3][i] * joined<1>(b, b);
        store_pixel<3>(out + i * 3, sum, i == count - 1);
    }
}

// Whether the taps of every pixel of a block lie side by side: not so where a border folds or stops them.
template <int TAPS>
bool side_by_side(const BlockTaps<TAPS>& t, int count) {
    int apart = 0;
    for (int i = 0; i < count; ++i) apart |= t.x[TAPS - 1][i] - t.x[0][i] - (TAPS - 1);
    return apart == 0;
}

template <int C, int STEP, int TAPS>
void gather_block(const Interleaved& image, const BlockTaps<TAPS>& t, int count, int height, float* to) {
    bool whole = true;
    if constexpr (STEP == 3) {
        int lowest = 0;  // the picture's last row is the only one whose end is the memory's end
        for (int k = 0; k < TAPS; ++k)
            for (int i = 0; i < count; ++i) lowest = larger(lowest, t.y[k][i]);
        whole = lowest < height - 1;
    }
    if constexpr (C >= 3 && TAPS == 2)
        if (whole && side_by_side(t, count)) return gather_pairs<C, STEP>(image.data, image.row, t, count, to);
    if constexpr (STEP == 3 && TAPS == 4)
        if (side_by_side(t, count)) return gather_fours(image.data, image.row, t, count, to);
    if (whole) return gather<C, STEP, TAPS, true>(image.data, image.row, t, count, to);
    gather<C, STEP, TAPS, false>(image.data, image.row, t, count, to);
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
            gather_block<C, STEP, TAPS>(image, taps, count, height, to);
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
