// SPDX-License-Identifier: Apache-2.0
// One channel by itself (luma). In linear light each pixel lies together with its right neighbour and the two below, so
// that one vector of four reads all the taps of a path's moment; eight pixels' taps are then summed by vectors across
// pixels. The additions are those of mean_along, in its order.
#pragma once

#include "light.h"
#include "reblur_paths.h"
#include "simd.h"

namespace deblur {
namespace {

DEBLUR_FN void fetch_plane(const float* from, int64_t sw, int64_t count, float* to) {
    if (sw == 1) {
        std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    } else {
        for (int64_t i = 0; i < count; ++i) to[i] = from[i * sw];
    }
}

DEBLUR_FN void fetch_plane(const Half* from, int64_t sw, int64_t count, float* to) {
    if (sw == 1) {
        to_floats(from, to, count);
    } else {
        for (int64_t i = 0; i < count; ++i) to[i] = to_float(from[i * sw]);
    }
}

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

template <class T>
DEBLUR_FN void fetch_plane_as(const Picture<const void>& image, const Piece& p, int64_t y, int64_t x, int64_t count,
                              float* to) {
    const auto from = typed<const T>(image);
    fetch_plane(&at(from, p.crop.picture, p.c0, y, x), from.sw, count, to);
}

DEBLUR_FN void fetch_plane(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int64_t count, float* to) {
    if (t.sample == Sample::f16) {
        fetch_plane_as<Half>(t.image, p, y, x, count, to);
    } else {
        fetch_plane_as<float>(t.image, p, y, x, count, to);
    }
}

template <class T>
DEBLUR_FN void put_plane_as(const Picture<void>& picture, const Piece& p, int64_t y, int64_t x, int64_t count,
                            const float* from) {
    const auto to = unturned(typed<T>(picture), p.index, p.crop.way);
    put_plane(from, count, &at(to, 0, p.c0, y, x), to.sw);
}

DEBLUR_FN void put_plane(const ReblurTask& t, const Picture<void>& to, const Piece& p, int64_t y, int64_t x,
                         int64_t count, const float* from) {
    if (t.out_sample == Sample::f16) {
        put_plane_as<Half>(to, p, y, x, count, from);
    } else {
        put_plane_as<float>(to, p, y, x, count, from);
    }
}

// A line of the part in linear light, and behind it one value more that a pixel's right neighbour may be.
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
    float* lines[2] = {p.lines, p.lines + p.across + kSlack};
    linear_line<K>(t, p, 0, lines[0]);
    for (int64_t y = 0; y < p.down; ++y) {
        const float *here = lines[y % 2], *below = lines[(y + 1) % 2];
        linear_line<K>(t, p, y + 1, lines[(y + 1) % 2]);
        float* to = p.linear + y * p.across * 4;
        int64_t x = 0;
        for (; x + 8 <= p.across; x += 8) {
            const f8 a = load<f8>(here + x), b = load<f8>(here + x + 1);
            const f8 c = load<f8>(below + x), d = load<f8>(below + x + 1);
            const f8 ab = lanes_of<0, 8, 1, 9, 4, 12, 5, 13>(a, b), cd = lanes_of<0, 8, 1, 9, 4, 12, 5, 13>(c, d);
            const f8 ef = lanes_of<2, 10, 3, 11, 6, 14, 7, 15>(a, b), gh = lanes_of<2, 10, 3, 11, 6, 14, 7, 15>(c, d);
            const f8 p04 = lanes_of<0, 1, 8, 9, 4, 5, 12, 13>(ab, cd), p15 = lanes_of<2, 3, 10, 11, 6, 7, 14, 15>(ab, cd);
            const f8 p26 = lanes_of<0, 1, 8, 9, 4, 5, 12, 13>(ef, gh), p37 = lanes_of<2, 3, 10, 11, 6, 7, 14, 15>(ef, gh);
            store(to + x * 4, lanes_of<0, 1, 2, 3, 8, 9, 10, 11>(p04, p15));
            store(to + x * 4 + 8, lanes_of<0, 1, 2, 3, 8, 9, 10, 11>(p26, p37));
            store(to + x * 4 + 16, lanes_of<4, 5, 6, 7, 12, 13, 14, 15>(p04, p15));
            store(to + x * 4 + 24, lanes_of<4, 5, 6, 7, 12, 13, 14, 15>(p26, p37));
        }
        for (; x < p.across; ++x)
            to[x * 4] = here[x], to[x * 4 + 1] = here[x + 1], to[x * 4 + 2] = below[x], to[x * 4 + 3] = below[x + 1];
    }
}

// The taps of pixels J and J + 4 of eight at one moment, those of straight paths with what lies opposite added: upper
// left, upper right, lower left, lower right; twice.
template <bool Bends, int J>
DEBLUR_FN f8 taps_of(const float* linear, int row, const Taps& taps) {
    const float *one = linear + J * 4, *other = linear + (J + 4) * 4;
    const int here = taps.offset[J], there = taps.offset[J + 4];
    const f8 ahead = paired(load<f4>(one + here), load<f4>(other + there));
    if constexpr (Bends) return ahead;
    const f8 behind = paired(load<f4>(one - here - row - 4), load<f4>(other - there - row - 4));
    return ahead + lanes_of<3, 2, 1, 0, 7, 6, 5, 4>(behind, behind);
}

// What comes to the left and right sums of pixels 0, 1, 4 and 5, or of 2, 3, 6 and 7, by their taps and the weights
// of their rows and columns, each twice.
DEBLUR_FN f8 weighed(f8 a, f8 b, f8 upper, f8 lower, f8 across) {
    const f8 above = lanes_of<0, 1, 8, 9, 4, 5, 12, 13>(a, b), below = lanes_of<2, 3, 10, 11, 6, 7, 14, 15>(a, b);
    return (above * upper + below * lower) * across;
}

// mean_along for eight pixels whose paths keep inside the part, of `least` to `most` samples; `linear` is where the
// first of them lies.
template <bool Bends>
DEBLUR_FN void integrate_plane(const float* linear, int row, const Paths& paths, int first, int least, int most,
                               float* to) {
    alignas(64) Taps taps[2];  // of this moment and of the next
    alignas(32) float counts[kGroup], middle[kGroup];
    for (int j = 0; j < kGroup; ++j) {
        const int samples = paths.samples[first + j];
        counts[j] = static_cast<float>(Bends ? samples : samples / 2);
        middle[j] = !Bends && samples % 2 != 0 ? 1.0f : 0.0f;
    }
    const f8 steps = load<f8>(counts);
    const f8 steps_a = lanes_of<0, 0, 1, 1, 4, 4, 5, 5>(steps, steps);
    const f8 steps_b = lanes_of<2, 2, 3, 3, 6, 6, 7, 7>(steps, steps);
    f8 sum_a = {}, sum_b = {};
    const int all = Bends ? least : least / 2, last = Bends ? most : most / 2;
    find_taps<Bends, false>(paths, first, 0, row, taps[0]);
    for (int i = 0; i < last; ++i) {
        if (i + 1 < all) {
            find_taps<Bends, true>(paths, first, i + 1, row, taps[(i + 1) % 2]);
        } else {
            find_taps<Bends, false>(paths, first, i + 1, row, taps[(i + 1) % 2]);
        }
        const Taps& now = taps[i % 2];
        const f8 upper = load<f8>(now.upper), lower = load<f8>(now.lower);
        const f8 left = load<f8>(now.left), right = load<f8>(now.right);
        const f8 a = weighed(taps_of<Bends, 0>(linear, row, now), taps_of<Bends, 1>(linear, row, now),
                             lanes_of<0, 0, 1, 1, 4, 4, 5, 5>(upper, upper),
                             lanes_of<0, 0, 1, 1, 4, 4, 5, 5>(lower, lower),
                             lanes_of<0, 8, 1, 9, 4, 12, 5, 13>(left, right));
        const f8 b = weighed(taps_of<Bends, 2>(linear, row, now), taps_of<Bends, 3>(linear, row, now),
                             lanes_of<2, 2, 3, 3, 6, 6, 7, 7>(upper, upper),
                             lanes_of<2, 2, 3, 3, 6, 6, 7, 7>(lower, lower),
                             lanes_of<2, 10, 3, 11, 6, 14, 7, 15>(left, right));
        if (i < all) {
            sum_a = sum_a + a, sum_b = sum_b + b;
        } else {
            // A path that has ended keeps its sum, whatever lies where it would have gone on.
            const float f = static_cast<float>(i);
            const f8 moment = {f, f, f, f, f, f, f, f};
            sum_a = where_greater(steps_a, moment, sum_a + a, sum_a);
            sum_b = where_greater(steps_b, moment, sum_b + b, sum_b);
        }
    }
    f8 total = lanes_of<0, 2, 8, 10, 4, 6, 12, 14>(sum_a, sum_b) + lanes_of<1, 3, 9, 11, 5, 7, 13, 15>(sum_a, sum_b);
    const f8 own = {linear[0], linear[4], linear[8], linear[12], linear[16], linear[20], linear[24], linear[28]};
    total = where_greater(load<f8>(middle), f8{}, total + own, total);
    store(to, total * load<f8>(paths.one_over_n + first));
}

}  // namespace
}  // namespace deblur
