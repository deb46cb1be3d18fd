// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include <type_traits>

#include "half.h"
#include "sharpness_loops.h"

namespace deblur {
namespace {

template <class T>
const T* line_of(const Picture<const void>& p, int64_t n, int64_t y) {
    return static_cast<const T*>(p.data) + n * p.sn + y * p.sh;
}

// One line of luma in the sample type's own units, with its ends repeated at [-1] and [w].
template <class T>
void read_line(const Picture<const void>& p, int64_t n, int64_t y, float* to) {
    y = y < 0 ? 0 : y >= p.h ? p.h - 1 : y;
    const T* from = line_of<T>(p, n, y);
    const int64_t w = p.w, sw = p.sw, sc = p.sc;
    if (p.c == 1 && sw == 1) {
        if constexpr (std::is_same<T, Half>::value)
            to_floats(from, to, w);
        else
            for (int64_t x = 0; x < w; ++x) to[x] = value_of(from[x]);
    } else if (p.c == 1) {
        for (int64_t x = 0; x < w; ++x) to[x] = value_of(from[x * sw]);
    } else if (sw == 3 && sc == 1) {
        for (int64_t x = 0; x < w; ++x)
            to[x] = luma(value_of(from[3 * x]), value_of(from[3 * x + 1]), value_of(from[3 * x + 2]));
    } else {
        for (int64_t x = 0; x < w; ++x)
            to[x] = luma(value_of(from[x * sw]), value_of(from[x * sw + sc]), value_of(from[x * sw + 2 * sc]));
    }
    to[-1] = to[0];
    to[w] = to[w - 1];
}

template <Measure M>
inline float energy(const float* above, const float* here, const float* below, int64_t x) {
    if constexpr (M == Measure::laplacian)
        return laplacian_energy(above[x], here[x - 1], here[x], here[x + 1], below[x]);
    else
        return gradient_energy(above[x - 1], above[x], above[x + 1], here[x - 1], here[x + 1], below[x - 1], below[x],
                               below[x + 1]);
}

// Adds one line's energies to the lanes of the tiles it crosses.
template <Measure M>
void add_line(const float* above, const float* here, const float* below, int64_t w, int tile, float* lanes) {
    for (int64_t x0 = 0; x0 < w; x0 += tile, lanes += kLanes) {
        const int64_t x1 = x0 + tile < w ? x0 + tile : w;
        int64_t x = x0;
        for (; x + kLanes <= x1; x += kLanes)
            for (int k = 0; k < kLanes; ++k) lanes[k] += energy<M>(above, here, below, x + k);
        for (int k = 0; x + k < x1; ++k) lanes[k] += energy<M>(above, here, below, x + k);
    }
}

template <class T, Measure M>
void tile_rows(const SharpnessTask& t, int64_t n, int64_t begin, int64_t end, float* scratch) {
    const int64_t w = t.image.w, h = t.image.h, across = t.out.w, room = (w + 2 + 15) / 16 * 16 + 16;
    float* above = scratch + 16;
    float* here = above + room;
    float* below = here + room;
    float* lanes = scratch + 3 * room + 16;
    double* sums = reinterpret_cast<double*>(lanes + (across * kLanes + 15) / 16 * 16);
    for (int64_t ty = begin; ty < end; ++ty) {
        const int64_t y0 = ty * t.tile, y1 = y0 + t.tile < h ? y0 + t.tile : h;
        for (int64_t i = 0; i < across * kLanes; ++i) lanes[i] = 0.0f;
        for (int64_t i = 0; i < across; ++i) sums[i] = 0.0;
        read_line<T>(t.image, n, y0 - 1, above);
        read_line<T>(t.image, n, y0, here);
        for (int64_t y = y0; y < y1; ++y) {
            read_line<T>(t.image, n, y + 1, below);
            add_line<M>(above, here, below, w, t.tile, lanes);
            float* oldest = above;
            above = here, here = below, below = oldest;
            if ((y - y0) % kRowsInFloat == kRowsInFloat - 1 || y == y1 - 1) {
                for (int64_t i = 0; i < across; ++i) {
                    double sum = 0.0;
                    for (int k = 0; k < kLanes; ++k) sum += lanes[i * kLanes + k];
                    sums[i] += sum;
                }
                for (int64_t i = 0; i < across * kLanes; ++i) lanes[i] = 0.0f;
            }
        }
        for (int64_t i = 0; i < across; ++i) {
            const int64_t x0 = i * t.tile, x1 = x0 + t.tile < w ? x0 + t.tile : w;
            const double pixels = static_cast<double>((x1 - x0) * (y1 - y0));
            at(t.out, n, 0, ty, i) = static_cast<float>(sums[i] / pixels * energy_scale(t.sample));
        }
    }
}

template <class T>
void by_measure(const SharpnessTask& t, int64_t n, int64_t begin, int64_t end, float* scratch) {
    if (t.measure == Measure::laplacian) return tile_rows<T, Measure::laplacian>(t, n, begin, end, scratch);
    return tile_rows<T, Measure::tenengrad>(t, n, begin, end, scratch);
}

}  // namespace

void DEBLUR_ISA::sharpness(const SharpnessTask& t, int64_t n, int64_t begin, int64_t end, float* scratch) {
    switch (t.sample) {
        case Sample::u8: return by_measure<uint8_t>(t, n, begin, end, scratch);
        case Sample::u16: return by_measure<uint16_t>(t, n, begin, end, scratch);
        case Sample::f16: return by_measure<Half>(t, n, begin, end, scratch);
        case Sample::f32: return by_measure<float>(t, n, begin, end, scratch);
    }
}

}  // namespace deblur
