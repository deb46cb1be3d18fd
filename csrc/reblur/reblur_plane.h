// SPDX-License-Identifier: Apache-2.0
// One channel by itself (luma): a quarter of the conversions, and all four taps of a bilinear read in one vector of
// four. Part of reblur_cpu.cpp.
#pragma once

#include "light.h"
#include "reblur_paths.h"

namespace deblur {
namespace {

DEBLUR_FN void put_plane(const float* from, int64_t count, float* to, int64_t sw) {
    if (sw == 1) {
        std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    } else {
        for (int64_t i = 0; i < count; ++i) to[i * sw] = from[i];
    }
}

DEBLUR_FN void put_plane(const float* from, int64_t count, Half* to, int64_t sw) {
    alignas(64) Half halfs[kBlock];
    to_halfs(from, halfs, count);
    for (int64_t i = 0; i < count; ++i) to[i * sw] = halfs[i];
}

DEBLUR_FN void fetch_plane(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int64_t count, float* to) {
    in_image(t, p, y, x, [&](auto* from, int64_t, int64_t sw) { read_line(from, sw, count, to); });
}

DEBLUR_FN void put_plane(const ReblurTask& t, const Picture<void>& to, const Piece& p, int64_t y, int64_t x,
                         int64_t count, const float* from) {
    in_crop(t, to, p, y, x, [&](auto* at, int64_t, int64_t sw) { put_plane(from, count, at, sw); });
}

// A line of the part in linear light, and behind it one value more, for the last pixel's right neighbour.
template <Transfer K>
DEBLUR_FN void linear_line(const ReblurTask& t, const Piece& p, int64_t y, float* line) {
    const int64_t first = larger_of(0, -p.left), last = smaller_of(p.across, t.image.w - p.left) - 1;
    fetch_plane(t, p, larger_of(0, smaller_of(p.top + y, t.image.h - 1)), p.left + first, last + 1 - first,
                line + first);
    into_linear<K>(line + first, last + 1 - first);
    for (int64_t x = 0; x < first; ++x) line[x] = line[first];
    for (int64_t x = last + 1; x <= p.across; ++x) line[x] = line[last];
}

template <Transfer K>
void linearise_plane(const ReblurTask& t, const Piece& p) {
    float* lines[2] = {p.lines, p.lines + p.across + kGroup};
    linear_line<K>(t, p, 0, lines[0]);
    for (int64_t y = 0; y < p.down; ++y) {
        const float *here = lines[y % 2], *below = lines[(y + 1) % 2];
        linear_line<K>(t, p, y + 1, lines[(y + 1) % 2]);
        float* to = p.linear + y * p.across * kPlane;
        int64_t x = 0;
        for (; x + 8 <= p.across; x += 8)
            side_by_side(load<f8>(here + x), load<f8>(below + x), load<f8>(here + x + 1), load<f8>(below + x + 1),
                         to + x * kPlane);
        for (; x < p.across; ++x) store(to + x * kPlane, f4{here[x], below[x], here[x + 1], below[x + 1]});
    }
}

}  // namespace
}  // namespace deblur
