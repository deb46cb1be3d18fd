// SPDX-License-Identifier: Apache-2.0
// The paths of a block of pixels, from fields of motion and curvature. Part of reblur_cpu.cpp.
#pragma once

#include "reblur_pixels.h"

namespace deblur {
namespace {

DEBLUR_FN int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
DEBLUR_FN int64_t larger_of(int64_t a, int64_t b) { return a > b ? a : b; }

struct Paths {
    float mx[kBlock], my[kBlock], kx[kBlock], ky[kBlock], one_over_n[kBlock];
    int samples[kBlock], still[kBlock];
    int leaves[kBlock];                    // whether taps of the path may lie beyond the part
    int any_still, any_moves, any_leaves;  // of the block
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
template <bool Bends, bool Fixed>
DEBLUR_FN void find_paths(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, Paths& to) {
    read_field(t.motion, p.crop, y, x, count, to.mx, to.my);
    if (Bends) read_field(t.curvature, p.crop, y, x, count, to.kx, to.ky);
    const int filled = (count + kGroup - 1) / kGroup * kGroup;
    for (int i = count; i < filled; ++i) to.mx[i] = to.my[i] = to.kx[i] = to.ky[i] = 0.0f;
    const float before = static_cast<float>(x - p.left), behind = static_cast<float>(p.left + p.across - 1 - x);
    const float around = static_cast<float>(smaller_of(y - p.top, p.top + p.down - 1 - y));
    int any_still = 0, any_moves = 0, any_leaves = 0;
    for (int i = 0; i < filled; ++i) {
        const Path path =
            path_of<Fixed>(to.mx[i], to.my[i], Bends ? to.kx[i] : 0.0f, Bends ? to.ky[i] : 0.0f, t.samples);
        to.mx[i] = path.mx, to.my[i] = path.my;
        if (Bends) to.kx[i] = path.kx, to.ky[i] = path.ky;
        to.samples[i] = path.samples, to.still[i] = path.still;
        to.one_over_n[i] = 1.0f / static_cast<float>(path.samples);
        const float beside = smaller(before + static_cast<float>(i), behind - static_cast<float>(i));
        const float room_x = beside - reach_of(path.mx, path.kx), room_y = around - reach_of(path.my, path.ky);
        to.leaves[i] = (smaller(room_x, room_y) < 1.0f) & (i < count);
        any_still |= path.still & (i < count), any_moves |= path.still ^ 1, any_leaves |= to.leaves[i];
    }
    to.any_still = any_still, to.any_moves = any_moves, to.any_leaves = any_leaves;
}

}  // namespace
}  // namespace deblur
