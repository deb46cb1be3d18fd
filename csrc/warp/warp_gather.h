// SPDX-License-Identifier: Apache-2.0
// A block of warped pixels: where its taps lie and what they weigh, and the reading of them. Part of warp_cpu.cpp.
#pragma once

#include <limits>

#include "simd.h"
#include "warp_lines.h"

namespace deblur {
namespace {

constexpr int kGroup = 8;  // pixels read together where all their taps lie inside the picture
constexpr int kAhead = 3;  // rows

template <int TAPS>
struct BlockTaps {
    alignas(64) float x[kBlock], y[kBlock];  // positions
    alignas(64) int first[kBlock];           // where the first tap lies in memory, if all lie inside
    alignas(64) int inside[kBlock];
    alignas(64) float wx[TAPS][kBlock], wy[TAPS][kBlock];
};

// Where the first tap may lie at most. Three channels side by side are read as four floats; the one behind the
// picture's last pixel in memory may be nobody's.
template <int TAPS>
int last_first(const Picture<const float>& image) {
    if (TAPS != 2 || image.sw != 3) return std::numeric_limits<int>::max();
    const int64_t end = (image.sh > 0 ? (image.h - 1) * image.sh : 0) + image.w * 3;
    return static_cast<int>(end - 7 - (image.sh > 0 ? image.sh : 0));
}

template <int TAPS, Border BORDER>
void work_out(const Field& field, int x0, int y0, int count, const Picture<const float>& image, BlockTaps<TAPS>& t) {
    const int width = static_cast<int>(image.w), height = static_cast<int>(image.h);
    const int across = static_cast<int>(image.sw), down = static_cast<int>(image.sh);
    const int limit = last_first<TAPS>(image);
    for (int i = 0; i < count; ++i) {
        const float x = static_cast<float>(x0 + i) + displacement(field.dx[i]);
        const float y = static_cast<float>(y0) + displacement(field.dy[i]);
        const Split ax = split<TAPS, BORDER>(x, width), ay = split<TAPS, BORDER>(y, height);
        float wx[TAPS], wy[TAPS];
        filter_weights<TAPS>(ax.f, wx);
        filter_weights<TAPS>(ay.f, wy);
        t.x[i] = x, t.y[i] = y;
        t.first[i] = (ay.base - (TAPS / 2 - 1)) * down + (ax.base - (TAPS / 2 - 1)) * across;
        t.inside[i] = all_inside<TAPS>(ax.base, width) & all_inside<TAPS>(ay.base, height) & (t.first[i] <= limit);
        for (int k = 0; k < TAPS; ++k) t.wx[k][i] = wx[k], t.wy[k][i] = wy[k];
    }
}

// One pixel, whatever its taps and the image's layout. Down the columns first, then across them: the same order in
// every path and in the CUDA kernel, for the same bits.
template <int TAPS, Border BORDER>
void read_anywhere(const Picture<const float>& image, int64_t n, float x, float y, float* out, int64_t step) {
    const Axis<TAPS> ax = axis_taps<TAPS, BORDER>(x, static_cast<int>(image.w));
    const Axis<TAPS> ay = axis_taps<TAPS, BORDER>(y, static_cast<int>(image.h));
    for (int64_t c = 0; c < image.c; ++c) {
        const float* plane = &at(image, n, c, 0, 0);
        float sum = 0.0f;
        for (int k = 0; k < TAPS; ++k) {
            float down = 0.0f;
            for (int j = 0; j < TAPS; ++j) {
                const bool beyond = BORDER == Border::zero && (ax.index[k] | ay.index[j]) < 0;
                const float v = beyond ? 0.0f : plane[ay.index[j] * image.sh + ax.index[k] * image.sw];
                down = j == 0 ? ay.weight[0] * v : down + ay.weight[j] * v;
            }
            sum = k == 0 ? ax.weight[0] * down : sum + ax.weight[k] * down;
        }
        out[c * step] = sum;
    }
}

// Eight pairs of neighbours in memory, parted.
struct Pairs {
    f8 left, right;
};

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
DEBLUR_FN f8 four_pairs(const float* from, int a, int b, int c, int d) {
#if defined(__AVX__)
    // Loads that fill a vector, and blends, for which there are more units than for what moves values within vectors.
    const auto everywhere = [&](int at) {
        double pair;
        std::memcpy(&pair, from + at, sizeof pair);
        return _mm256_set1_pd(pair);
    };
    const __m256d low = _mm256_blend_pd(everywhere(a), everywhere(b), 2);
    const __m256d high = _mm256_blend_pd(everywhere(c), everywhere(d), 8);
    return reinterpret_cast<f8>(_mm256_blend_pd(low, high, 12));
#else
    const f4 low = __builtin_shufflevector(load<f2>(from + a), load<f2>(from + b), 0, 1, 2, 3);
    const f4 high = __builtin_shufflevector(load<f2>(from + c), load<f2>(from + d), 0, 1, 2, 3);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
#endif
}

DEBLUR_FN Pairs load_pairs(const float* from, const int* at) {
    // In this order of pixels the parting stays within the halves of a vector, which is one instruction.
    const f8 a = four_pairs(from, at[0], at[1], at[4], at[5]), b = four_pairs(from, at[2], at[3], at[6], at[7]);
    return Pairs{__builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14),
                 __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15)};
}

DEBLUR_FN void transpose(f4* v) {
    const f4 a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5), b = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
    const f4 c = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5), d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    v[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5), v[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    v[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5), v[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}
#else
DEBLUR_FN Pairs load_pairs(const float* from, const int* at) {
    float left[8], right[8];
    for (int i = 0; i < 8; ++i) left[i] = from[at[i]], right[i] = from[at[i] + 1];
    return Pairs{load<f8>(left), load<f8>(right)};
}

DEBLUR_FN void transpose(f4* v) {
    float from[16], to[16];
    for (int i = 0; i < 4; ++i) store(from + 4 * i, v[i]);
    for (int i = 0; i < 16; ++i) to[i] = from[i % 4 * 4 + i / 4];
    for (int i = 0; i < 4; ++i) v[i] = load<f4>(to + 4 * i);
}
#endif

// A group of pixels of one plane, read as pairs of neighbours.
DEBLUR_FN void read_planar(const float* plane, int64_t row, const BlockTaps<2>& t, int i, float* out) {
    const Pairs upper = load_pairs(plane, t.first + i), lower = load_pairs(plane + row, t.first + i);
    const f8 above = load<f8>(t.wy[0] + i), below = load<f8>(t.wy[1] + i);
    const f8 left = above * upper.left + below * lower.left, right = above * upper.right + below * lower.right;
    store(out, load<f8>(t.wx[0] + i) * left + load<f8>(t.wx[1] + i) * right);
}

DEBLUR_FN void read_planar(const float* plane, int64_t row, const BlockTaps<4>& t, int i, float* out) {
    for (int half = 0; half < kGroup; half += 4) {
        f4 down[4];
        for (int p = 0; p < 4; ++p) {
            const float* from = plane + t.first[i + half + p];
            down[p] = t.wy[0][i + half + p] * load<f4>(from);
            for (int j = 1; j < 4; ++j) down[p] = down[p] + t.wy[j][i + half + p] * load<f4>(from + j * row);
        }
        transpose(down);
        f4 sum = load<f4>(t.wx[0] + i + half) * down[0];
        for (int k = 1; k < 4; ++k) sum = sum + load<f4>(t.wx[k] + i + half) * down[k];
        store(out + half, sum);
    }
}

// One pixel whose channels lie side by side. Three of them are read as four floats where they are not the last.
template <int C>
DEBLUR_FN typename PixelOf<C>::V read_packed(const float* from, int64_t row, const BlockTaps<2>& t, int i) {
    typedef typename PixelOf<C>::V V;
    const float above = t.wy[0][i], below = t.wy[1][i];
    const V left = above * load<V>(from) + below * load<V>(from + row);
    const V right = above * load<V>(from + C) + below * load<V>(from + row + C);
    return t.wx[0][i] * left + t.wx[1][i] * right;
}

template <int C>
DEBLUR_FN typename PixelOf<C>::V read_packed(const float* from, int64_t row, const BlockTaps<4>& t, int i) {
    typedef typename PixelOf<C>::V V;
    if constexpr (C == 3) {  // twelve floats a line, and none behind them
        f8 a{};
        f4 b{};
        for (int j = 0; j < 4; ++j) {
            const f8 w = t.wy[j][i] * f8{1, 1, 1, 1, 1, 1, 1, 1};  // said once for both, read from memory once
            const f8 first = w * load<f8>(from + j * row);
            const f4 rest = part<0>(w) * load<f4>(from + j * row + 8);
            a = j == 0 ? first : a + first;
            b = j == 0 ? rest : b + rest;
        }
        const f4 upper = part<4>(a);
        return t.wx[0][i] * part<0>(a) + t.wx[1][i] * part<3>(a) + t.wx[2][i] * joined<2>(upper, b) +
               t.wx[3][i] * joined<1>(b, b);
    } else {
        V sum{};
        for (int k = 0; k < 4; ++k) {
            V down = t.wy[0][i] * load<V>(from + k * C);
            for (int j = 1; j < 4; ++j) down = down + t.wy[j][i] * load<V>(from + j * row + k * C);
            sum = k == 0 ? t.wx[0][i] * down : sum + t.wx[k][i] * down;
        }
        return sum;
    }
}

bool whole_group(const int* inside) {
    int all = 1;
    for (int i = 0; i < kGroup; ++i) all &= inside[i];
    return all != 0;
}

// A block of pixels into `to`: planes `plane` apart (C = 0), or C channels side by side, where one vector more may be
// written.
template <int C, int TAPS, Border BORDER>
void read_block(const Picture<const float>& image, int64_t n, const BlockTaps<TAPS>& t, int count, float* to,
                int64_t plane) {
    const float* base = &at(image, n, 0, 0, 0);
    constexpr int kStep = C == 0 ? 1 : C;
    for (int i = 0; i < count; i += kGroup) {
        const int end = smaller(i + kGroup, count);
        const bool whole = i + kGroup <= count && whole_group(t.inside + i);
        if constexpr (C == 0) {
            for (int64_t c = 0; c < image.c && whole; ++c)
                read_planar(base + c * image.sc, image.sh, t, i, to + c * plane + i);
        } else {
            for (int p = i; p < end; ++p)
                if (whole || t.inside[p]) store(to + p * C, read_packed<C>(base + t.first[p], image.sh, t, p));
        }
        // After its neighbours, since three channels are stored as four.
        for (int p = i; p < end && !whole; ++p)
            if (C == 0 || !t.inside[p]) read_anywhere<TAPS, BORDER>(image, n, t.x[p], t.y[p], to + p * kStep, plane);
    }
}

// Asks for what this block will read and write, and for what the one kAhead rows below will read if it moves alike:
// the processor foresees lines that run straight, not those that wander from row to row as a flow does. Asked
// for at their turn they come too late, which took as long as all the computing. Inlined always: to a call of a
// function that does nothing else, GCC sees no effect, and drops it. Steps of `out` in bytes.
template <int C, int TAPS>
DEBLUR_FN void prefetch(const Picture<const float>& image, int64_t n, const BlockTaps<TAPS>& t, int count,
                        const char* out, int64_t out_step, int64_t out_plane) {
#if defined(__GNUC__)
    constexpr int kLine = C == 0 ? 16 : 16 / C;  // pixels in a cache line
    const float* lowest = &at(image, n, 0, 0, 0) + (TAPS - 1) * image.sh;
    const int64_t later = kAhead * image.sh;  // maybe beyond the picture, which is no fault
    for (int i = 0; i < count; i += kLine) {
        for (int64_t c = 0; c < (C == 0 ? image.c : 1); ++c) {
            if (t.inside[i]) {
                const float* line = lowest + t.first[i] + c * image.sc;
                __builtin_prefetch(line);
                __builtin_prefetch(line + later, 0, 2);  // to the L2 cache
            }
            __builtin_prefetch(out + i * out_step + c * out_plane, 1);
        }
    }
#else
    (void)image, (void)n, (void)t, (void)count, (void)out, (void)out_step, (void)out_plane;
#endif
}

}  // namespace
}  // namespace deblur
