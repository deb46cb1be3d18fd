// SPDX-License-Identifier: Apache-2.0
// Lines of pictures and flows in memory, of any type and layout, to and from blocks of floats. Part of warp_cpu.cpp.
#pragma once

#include "lines.h"
#include "warp_loops.h"

namespace deblur {
namespace {

constexpr int kBlock = 64;  // pixels whose taps are worked out together: a loop that vectorises, in the L1 cache

struct Field {
    alignas(64) float dx[kBlock], dy[kBlock];
};

// `count` pixels of one channel, of float32 or float16.
void read_line(const Picture<const void>& p, Sample sample, int64_t n, int64_t c, int64_t y, int64_t x, int count,
               float* to) {
    const int64_t offset = n * p.sn + c * p.sc + y * p.sh + x * p.sw;
    if (sample == Sample::f16) return read_line(static_cast<const Half*>(p.data) + offset, p.sw, count, to);
    read_line(static_cast<const float*>(p.data) + offset, p.sw, count, to);
}

void read_field(const Picture<const void>& flow, Sample sample, int64_t n, int64_t y, int64_t x, int count, Field& to) {
    read_line(flow, sample, n, 0, y, x, count, to.dx);
    read_line(flow, sample, n, 1, y, x, count, to.dy);
}

void convert(const float* from, float* to, int64_t count) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}
void convert(const float* from, Half* to, int64_t count) { to_halfs(from, to, count); }
void convert(float from, float& to) { to = from; }
void convert(float from, Half& to) { to = to_half(from); }

// A block from where its pixels are `step` and its planes `plane` apart to its place in a picture.
template <class T>
void write_block(const float* from, int64_t step, int64_t plane, int64_t channels, int count, T* to, int64_t to_step,
                 int64_t to_plane) {
    if (step == channels && plane == 1 && to_step == step && to_plane == 1) return convert(from, to, count * channels);
    for (int64_t c = 0; c < channels; ++c) {
        if (step == 1 && to_step == 1) {
            convert(from + c * plane, to + c * to_plane, count);
        } else {
            for (int i = 0; i < count; ++i) convert(from[c * plane + i * step], to[c * to_plane + i * to_step]);
        }
    }
}

}  // namespace
}  // namespace deblur
