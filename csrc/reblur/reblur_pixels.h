// SPDX-License-Identifier: Apache-2.0
// Pixels in memory, of any type and layout, to and from blocks of four floats a pixel. Part of reblur_cpu.cpp.
#pragma once

#include "lines.h"
#include "reblur_loops.h"
#include "simd.h"

namespace deblur {
namespace {

constexpr int kBlock = 64;  // pixels that are fetched, converted and stored together: in the L1 cache

// ---- Eight values of each of four kinds, to eight fours side by side

DEBLUR_FN void side_by_side(f8 a, f8 b, f8 c, f8 d, float* to) {
#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
    const f8 ab = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
    const f8 cd = __builtin_shufflevector(c, d, 0, 8, 1, 9, 4, 12, 5, 13);
    const f8 later_ab = __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    const f8 later_cd = __builtin_shufflevector(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
    const f8 fours[4] = {__builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13),
                         __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15),
                         __builtin_shufflevector(later_ab, later_cd, 0, 1, 8, 9, 4, 5, 12, 13),
                         __builtin_shufflevector(later_ab, later_cd, 2, 3, 10, 11, 6, 7, 14, 15)};
    for (int j = 0; j < 4; ++j) store(to + j * 4, part<0>(fours[j])), store(to + j * 4 + 16, part<4>(fours[j]));
#else
    for (int j = 0; j < 8; ++j) to[j * 4] = a[j], to[j * 4 + 1] = b[j], to[j * 4 + 2] = c[j], to[j * 4 + 3] = d[j];
#endif
}

// ---- Pixels in memory <-> blocks of four floats a pixel

// Steps between pixels known when this is compiled make loops that vectorise.
template <int Step>
DEBLUR_FN void spread_out(const float* from, int64_t sc, int64_t sw, int channels, int count, float* to) {
    if constexpr (Step != 0) sw = Step;
    for (int c = 0; c < 4; ++c) {
        const float* plane = from + c * sc;
        if (c < channels) {
            for (int i = 0; i < count; ++i) to[i * 4 + c] = plane[i * sw];
        } else {
            for (int i = 0; i < count; ++i) to[i * 4 + c] = 0.0f;
        }
    }
}

DEBLUR_FN void fetch_floats(const float* from, int64_t sc, int64_t sw, int channels, int count, float* to) {
    if (channels == 3 && sc == 1 && sw == 3) {
        // The fourth float is the next pixel's: nobody looks at it.
        for (int i = 0; i < count - 1; ++i) store(to + i * 4, load_pixel<3, true>(from + i * 3));
        store(to + (count - 1) * 4, load_pixel<3, false>(from + (count - 1) * 3));
    } else if (sw == 1 && channels == 3) {
        const float *r = from, *g = from + sc, *b = from + 2 * sc;
        int i = 0;
        for (; i + 8 <= count; i += 8)
            side_by_side(load<f8>(r + i), load<f8>(g + i), load<f8>(b + i), f8{}, to + i * 4);
        for (; i < count; ++i) to[i * 4] = r[i], to[i * 4 + 1] = g[i], to[i * 4 + 2] = b[i], to[i * 4 + 3] = 0;
    } else {
        spread_out<0>(from, sc, sw, channels, count, to);
    }
}

DEBLUR_FN void fetch(const float* from, int64_t sc, int64_t sw, int channels, int count, float* to) {
    fetch_floats(from, sc, sw, channels, count, to);
}

DEBLUR_FN void fetch(const Half* from, int64_t sc, int64_t sw, int channels, int count, float* to) {
    alignas(64) float floats[kBlock * 4];
    if (sc == 1 && sw == channels) {
        to_floats(from, floats, static_cast<int64_t>(count) * channels);
        fetch_floats(floats, 1, channels, channels, count, to);
        return;
    }
    for (int c = 0; c < channels; ++c) {
        read_line(from + c * sc, sw, count, floats + c * kBlock);
    }
    fetch_floats(floats, kBlock, 1, channels, count, to);
}

DEBLUR_FN void put_floats(const float* from, int channels, int count, float* to, int64_t sc, int64_t sw) {
    if (channels == 3 && sc == 1 && sw == 3) {
        for (int i = 0; i < count - 1; ++i) store_pixel<3>(to + i * 3, load<f4>(from + i * 4), false);
        store_pixel<3>(to + (count - 1) * 3, load<f4>(from + (count - 1) * 4), true);
    } else if (channels == 3 && sw == 1) {
        float *r = to, *g = to + sc, *b = to + 2 * sc;
        for (int i = 0; i < count; ++i) r[i] = from[i * 4], g[i] = from[i * 4 + 1], b[i] = from[i * 4 + 2];
    } else {
        for (int c = 0; c < channels; ++c)
            for (int i = 0; i < count; ++i) to[c * sc + i * sw] = from[i * 4 + c];
    }
}

DEBLUR_FN void put(const float* from, int channels, int count, float* to, int64_t sc, int64_t sw) {
    put_floats(from, channels, count, to, sc, sw);
}

DEBLUR_FN void put(const float* from, int channels, int count, Half* to, int64_t sc, int64_t sw) {
    alignas(64) float floats[kBlock * 4];
    alignas(64) Half halfs[kBlock * 4];
    if (sc == 1 && sw == channels) {
        put_floats(from, channels, count, floats, 1, channels);
        to_halfs(floats, to, static_cast<int64_t>(count) * channels);
        return;
    }
    put_floats(from, channels, count, floats, kBlock, 1);
    for (int c = 0; c < channels; ++c) {
        to_halfs(floats + c * kBlock, halfs, count);
        for (int i = 0; i < count; ++i) to[c * sc + i * sw] = halfs[i];
    }
}

// Calls work(data, sc, sw) with where pixel (y, x) of the piece's picture lies, by the type that it is stored as.
template <class Work>
DEBLUR_FN void in_image(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, const Work& work) {
    const auto& image = t.image;
    const int64_t offset = p.crop.picture * image.sn + p.c0 * image.sc + y * image.sh + x * image.sw;
    if (t.sample == Sample::f16) {
        work(static_cast<const Half*>(image.data) + offset, image.sc, image.sw);
    } else {
        work(static_cast<const float*>(image.data) + offset, image.sc, image.sw);
    }
}

// The same of a pixel of the crop in a picture that is written, `out` or `sharp`.
template <class Work>
DEBLUR_FN void in_crop(const ReblurTask& t, const Picture<void>& picture, const Piece& p, int64_t y, int64_t x,
                       const Work& work) {
    if (t.out_sample == Sample::f16) {
        const auto to = unturned(typed<Half>(picture), p.index, p.crop.way);
        work(&at(to, 0, p.c0, y, x), to.sc, to.sw);
    } else {
        const auto to = unturned(typed<float>(picture), p.index, p.crop.way);
        work(&at(to, 0, p.c0, y, x), to.sc, to.sw);
    }
}

DEBLUR_FN void fetch(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, float* to) {
    in_image(t, p, y, x, [&](auto* from, int64_t sc, int64_t sw) { fetch(from, sc, sw, p.channels, count, to); });
}

DEBLUR_FN void put(const ReblurTask& t, const Picture<void>& to, const Piece& p, int64_t y, int64_t x, int count,
                   const float* from) {
    in_crop(t, to, p, y, x, [&](auto* at, int64_t sc, int64_t sw) { put(from, p.channels, count, at, sc, sw); });
}

}  // namespace
}  // namespace deblur
