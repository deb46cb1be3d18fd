// SPDX-License-Identifier: Apache-2.0
// The paths of a run of pixels, and where their taps lie; for the loops of one instruction set.
#pragma once

#include "reblur_loops.h"

namespace deblur {
namespace {

constexpr int kBlock = 64;  // pixels that are fetched, converted and stored together: in the L1 cache
constexpr int kGroup = 8;   // pixels whose paths are followed together

DEBLUR_FN int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
DEBLUR_FN int64_t larger_of(int64_t a, int64_t b) { return a > b ? a : b; }

struct Paths {
    float mx[kBlock], my[kBlock], kx[kBlock], ky[kBlock], one_over_n[kBlock];
    float slack[kBlock];  // pixels between a path's outermost tap and the end of the part
    int samples[kBlock], still[kBlock];
};

DEBLUR_FN void read_field(const Picture<const float>& field, const Crop& crop, int64_t y, int64_t x, int count,
                          float* dx, float* dy) {
    if (field.data == nullptr) {
        for (int i = 0; i < count; ++i) dx[i] = dy[i] = 0.0f;
        return;
    }
    const float* u = &at(field, crop.picture, 0, y, x);
    const float* v = u + field.sc;
    const float scale = crop.scale;
    if (field.sw == 2 && field.sc == 1) {
        for (int i = 0; i < count; ++i) dx[i] = u[i * 2] * scale, dy[i] = u[i * 2 + 1] * scale;
    } else if (field.sw == 1) {
        for (int i = 0; i < count; ++i) dx[i] = u[i] * scale, dy[i] = v[i] * scale;
    } else {
        for (int i = 0; i < count; ++i) dx[i] = u[i * field.sw] * scale, dy[i] = v[i * field.sw] * scale;
    }
}

// Of `count` pixels from (y, x) of the picture on, and to fill the last group, of some that do not move.
template <bool Fixed>
DEBLUR_FN void find_paths(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, Paths& to) {
    read_field(t.motion, p.crop, y, x, count, to.mx, to.my);
    read_field(t.curvature, p.crop, y, x, count, to.kx, to.ky);
    const int filled = (count + kGroup - 1) / kGroup * kGroup;
    for (int i = count; i < filled; ++i) to.mx[i] = to.my[i] = to.kx[i] = to.ky[i] = 0.0f;
    const float before = static_cast<float>(x - p.left), behind = static_cast<float>(p.left + p.across - 1 - x);
    const float around = static_cast<float>(smaller_of(y - p.top, p.top + p.down - 1 - y));
    for (int i = 0; i < filled; ++i) {
        const Path path = path_of<Fixed>(to.mx[i], to.my[i], to.kx[i], to.ky[i], t.samples);
        to.mx[i] = path.mx, to.my[i] = path.my, to.kx[i] = path.kx, to.ky[i] = path.ky;
        to.samples[i] = path.samples, to.still[i] = path.still;
        to.one_over_n[i] = 1.0f / static_cast<float>(path.samples);
        const float beside = smaller(before + static_cast<float>(i), behind - static_cast<float>(i));
        const float room_x = beside - reach_of(path.mx, path.kx), room_y = around - reach_of(path.my, path.ky);
        to.slack[i] = i < count ? smaller(room_x, room_y) - 1.0f : 0.0f;
    }
}

// Where the taps of eight pixels lie, each at one moment of its path, and what their rows and columns weigh.
struct Taps {
    int offset[kGroup];  // of the upper left tap from its pixel, in floats
    float left[kGroup], right[kGroup], upper[kGroup], lower[kGroup];
};

// `All`: every path has an i-th sample, or a pair of them. Otherwise one that has not stays at its last, which nobody
// reads.
template <bool Bends, bool All>
DEBLUR_FN void find_taps(const Paths& p, int first, int i, int row, Taps& to) {
    for (int j = 0; j < kGroup; ++j) {
        const int steps = Bends ? p.samples[first + j] : p.samples[first + j] / 2;
        const float s = moment(All ? i : larger(0, smaller(i, steps - 1)), p.one_over_n[first + j]);
        const Away x = away<Bends>(p.mx[first + j], p.kx[first + j], s);
        const Away y = away<Bends>(p.my[first + j], p.ky[first + j], s);
        to.offset[j] = y.whole * row + x.whole * 4;
        to.left[j] = x.near, to.right[j] = x.far, to.upper[j] = y.near, to.lower[j] = y.far;
    }
#if defined(__GNUC__)
    // Keeps the compiler from working these out again for every use of them instead of reading them back.
    asm("" : "+m"(to));
#endif
}

}  // namespace
}  // namespace deblur
