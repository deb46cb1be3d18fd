// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include <utility>

#include "reblur_loops.h"
#include "simd.h"

namespace deblur {
namespace {

constexpr int kBlock = 64;  // pixels that are fetched, converted and stored together: in the L1 cache
constexpr int kGroup = 8;   // pixels whose paths are followed together

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
        for (int i = 0; i < count; ++i) to[i * 4] = r[i], to[i * 4 + 1] = g[i], to[i * 4 + 2] = b[i], to[i * 4 + 3] = 0;
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
        float* plane = floats + c * kBlock;
        if (sw == 1) {
            to_floats(from + c * sc, plane, count);
        } else {
            for (int i = 0; i < count; ++i) plane[i] = to_float(from[c * sc + i * sw]);
        }
    }
    fetch_floats(floats, kBlock, 1, channels, count, to);
}

DEBLUR_FN void put_floats(const float* from, int channels, int count, float* to, int64_t sc, int64_t sw) {
    if (channels == 3 && sc == 1 && sw == 3) {
        for (int i = 0; i < count; ++i) store_pixel<3>(to + i * 3, load<f4>(from + i * 4), i == count - 1);
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

template <class T>
DEBLUR_FN void fetch_from(const Picture<const void>& image, const Piece& p, int64_t y, int64_t x, int count,
                          float* to) {
    const auto from = typed<const T>(image);
    fetch(&at(from, p.crop.picture, p.c0, y, x), from.sc, from.sw, p.channels, count, to);
}

DEBLUR_FN void fetch(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, float* to) {
    if (t.sample == Sample::f16) {
        fetch_from<Half>(t.image, p, y, x, count, to);
    } else {
        fetch_from<float>(t.image, p, y, x, count, to);
    }
}

template <class T>
DEBLUR_FN void put_to(const Picture<void>& picture, const Piece& p, int64_t y, int64_t x, int count,
                      const float* from) {
    const auto to = unturned(typed<T>(picture), p.index, p.crop.way);
    put(from, p.channels, count, &at(to, 0, p.c0, y, x), to.sc, to.sw);
}

DEBLUR_FN void put(const ReblurTask& t, const Picture<void>& to, const Piece& p, int64_t y, int64_t x, int count,
                   const float* from) {
    if (t.out_sample == Sample::f16) {
        put_to<Half>(to, p, y, x, count, from);
    } else {
        put_to<float>(to, p, y, x, count, from);
    }
}

// ---- Paths

struct Paths {
    float x[kBlock];  // where the pixels lie
    float mx[kBlock], my[kBlock], kx[kBlock], ky[kBlock], one_over_n[kBlock];
    int samples[kBlock], still[kBlock], strays[kBlock];
};

DEBLUR_FN void read_field(const Picture<const float>& field, const Crop& crop, int64_t y, int64_t x, int count,
                          float* dx, float* dy) {
    if (field.data == nullptr) {
        for (int i = 0; i < count; ++i) dx[i] = dy[i] = 0.0f;
        return;
    }
    const float* u = &at(field, crop.picture, 0, y, x);
    const float* v = u + field.sc;
    for (int i = 0; i < count; ++i) dx[i] = u[i * field.sw] * crop.scale, dy[i] = v[i * field.sw] * crop.scale;
}

// Of `count` pixels from (y, x) of the picture on, and to fill the last group, of some that do not move.
DEBLUR_FN void find_paths(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, Paths& to) {
    read_field(t.motion, p.crop, y, x, count, to.mx, to.my);
    read_field(t.curvature, p.crop, y, x, count, to.kx, to.ky);
    const int filled = (count + kGroup - 1) / kGroup * kGroup;
    for (int i = count; i < filled; ++i) to.mx[i] = to.my[i] = to.kx[i] = to.ky[i] = 0.0f;
    const float at_y = static_cast<float>(y);
    const float right = static_cast<float>(t.image.w - 2), bottom = static_cast<float>(t.image.h - 2);
    for (int i = 0; i < filled; ++i) {
        const Path path = path_of(to.mx[i], to.my[i], to.kx[i], to.ky[i], t.samples);
        const float at_x = static_cast<float>(x + i);
        const float rx = reach_of(path.mx, path.kx), ry = reach_of(path.my, path.ky);
        to.x[i] = at_x;
        to.mx[i] = path.mx, to.my[i] = path.my, to.kx[i] = path.kx, to.ky[i] = path.ky;
        to.samples[i] = path.samples, to.still[i] = path.still;
        to.one_over_n[i] = 1.0f / static_cast<float>(path.samples);
        // A pixel of slack, so that no rounding leads out.
        to.strays[i] = (at_x - rx < 1.0f) | (at_x + rx > right) | (at_y - ry < 1.0f) | (at_y + ry > bottom);
    }
}

// Where the taps of eight pixels lie, each at one moment of its path, and what they weigh.
struct Taps {
    int offset[kGroup];  // of the upper left tap, in floats
    float upper_left[kGroup], upper_right[kGroup], lower_left[kGroup], lower_right[kGroup];
};

// `Even`: all eight have as many samples. Otherwise one that has fewer reads its last again, which then weighs nothing.
template <bool Even, bool Inside>
DEBLUR_FN void find_taps(const Paths& p, int first, int i, float y, int wide, int high, int row, int origin, Taps& to) {
    for (int j = 0; j < kGroup; ++j) {
        const int n = p.samples[first + j];
        const float s = moment(Even ? i : smaller(i, n - 1), p.one_over_n[first + j]);
        const Pair px = pair_at<Inside>(position(p.x[first + j], p.mx[first + j], p.kx[first + j], s), wide);
        const Pair py = pair_at<Inside>(position(y, p.my[first + j], p.ky[first + j], s), high);
        const float near = Even || i < n ? py.near : 0.0f, far = Even || i < n ? py.far : 0.0f;
        to.offset[j] = py.index * row + px.index * 4 - origin;
        to.upper_left[j] = px.near * near, to.upper_right[j] = px.far * near;
        to.lower_left[j] = px.near * far, to.lower_right[j] = px.far * far;
    }
}

DEBLUR_FN f8 side_by_side(const float* left, const float* right) {
    const f4 a = load<f4>(left), b = load<f4>(right);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}

// Lane J of each half all over its half.
template <int J>
DEBLUR_FN f8 spread(f8 v) {
    return __builtin_shufflevector(v, v, J, J, J, J, J + 4, J + 4, J + 4, J + 4);
}

template <size_t... J>
DEBLUR_FN void add_samples(const float* linear, int row, const Taps& taps, f8* sum, std::index_sequence<J...>) {
    const f8 upper[2] = {side_by_side(taps.upper_left, taps.upper_right),
                         side_by_side(taps.upper_left + 4, taps.upper_right + 4)};
    const f8 lower[2] = {side_by_side(taps.lower_left, taps.lower_right),
                         side_by_side(taps.lower_left + 4, taps.lower_right + 4)};
    ((sum[J] = sum[J] + (load<f8>(linear + taps.offset[J]) * spread<J % 4>(upper[J / 4]) +
                         load<f8>(linear + taps.offset[J] + row) * spread<J % 4>(lower[J / 4]))),
     ...);
}

// The means over eight pixels' paths. A pixel and its right neighbour lie side by side in memory: one vector of eight
// reads both, and the two halves are added only after the last sample.
template <bool Even, bool Inside>
DEBLUR_FN void integrate(const Piece& p, const Paths& paths, int first, int samples, float y, int wide, int high,
                         float* to) {
    const int row = static_cast<int>(p.across * 4), origin = static_cast<int>(p.top * row + p.left * 4);
    alignas(64) Taps taps;
    f8 sum[kGroup] = {};
    for (int i = 0; i < samples; ++i) {
        find_taps<Even, Inside>(paths, first, i, y, wide, high, row, origin, taps);
        add_samples(p.linear, row, taps, sum, std::make_index_sequence<kGroup>());
    }
    for (int j = 0; j < kGroup; ++j) {
        float half[8];
        store(half, sum[j]);
        store(to + j * 4, (load<f4>(half) + load<f4>(half + 4)) * paths.one_over_n[first + j]);
    }
}

DEBLUR_FN void integrate(const ReblurTask& t, const Piece& p, const Paths& paths, int first, float y, float* to) {
    int most = 0, least = 1 << 30, still = 1, strays = 0;
    for (int i = first; i < first + kGroup; ++i) {
        most = larger(most, paths.samples[i]), least = smaller(least, paths.samples[i]);
        still &= paths.still[i], strays |= paths.strays[i];
    }
    if (still) return;
    const int wide = larger(static_cast<int>(t.image.w), 2), high = larger(static_cast<int>(t.image.h), 2);
    if (most != least) {
        integrate<false, false>(p, paths, first, most, y, wide, high, to);
    } else if (strays) {
        integrate<true, false>(p, paths, first, most, y, wide, high, to);
    } else {
        integrate<true, true>(p, paths, first, most, y, wide, high, to);
    }
}

void put_turned(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, const Paths& paths) {
    const Picture<float> to = unturned(t.turned, p.index, p.crop.way);
    const int swapped = p.crop.way & 4 ? 1 : 0;
    const float along = p.crop.way & 1 ? -1.0f : 1.0f, down = p.crop.way & 2 ? -1.0f : 1.0f;
    float *dx = &at(to, 0, swapped, y, x), *dy = &at(to, 0, 1 - swapped, y, x);
    for (int i = 0; i < count; ++i) dx[i * to.sw] = paths.mx[i] * along, dy[i * to.sw] = paths.my[i] * down;
}

template <Transfer K>
void reblur_rows(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    alignas(64) float pixels[kBlock * 4] = {}, original[kBlock * 4];
    alignas(64) Paths paths;
    // Down a strip, whose paths read what the lines above have brought into the L1 cache.
    for (int64_t x0 = 0; x0 < p.w; x0 += kBlock) {
        const int count = static_cast<int>(p.w - x0 < kBlock ? p.w - x0 : kBlock);
        for (int64_t y0 = begin; y0 < end; ++y0) {
            const int64_t y = p.crop.y + y0, x = p.crop.x + x0;
            find_paths(t, p, y, x, count, paths);
            int still = 0;
            for (int i = 0; i < count; ++i) still |= paths.still[i];
            for (int i = 0; i < count; i += kGroup)
                integrate(t, p, paths, i, static_cast<float>(y), pixels + i * 4);
            for (int i = 0; i < kBlock * 4; ++i) pixels[i] = from_linear<K>(pixels[i]);
            if (still || t.sharp.data != nullptr) fetch(t, p, y, x, count, original);
            // What does not move keeps its bits, whatever the transfer curve rounds.
            if (still)
                for (int i = 0; i < count; ++i)
                    if (paths.still[i]) store(pixels + i * 4, load<f4>(original + i * 4));
            put(t, t.out, p, y0, x0, count, pixels);
            if (t.sharp.data != nullptr) put(t, t.sharp, p, y0, x0, count, original);
            if (t.turned.data != nullptr && p.c0 == 0) put_turned(t, p, y0, x0, count, paths);
        }
    }
}

template <Transfer K>
void linearise_rows(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    const int64_t inside = t.image.w < 2 ? 1 : p.across;
    for (int64_t y = begin; y < end; ++y) {
        const int64_t from_y = p.top + y < t.image.h ? p.top + y : t.image.h - 1;
        float* line = p.linear + y * p.across * 4;
        for (int64_t x = 0; x < inside; x += kBlock) {
            const int count = static_cast<int>(inside - x < kBlock ? inside - x : kBlock);
            float* to = line + x * 4;
            fetch(t, p, from_y, p.left + x, count, to);
            for (int i = 0; i < count * 4; ++i) to[i] = to_linear<K>(to[i]);
        }
        if (inside < p.across) store(line + 4, load<f4>(line));
    }
}

}  // namespace

void DEBLUR_ISA::find_reach(const ReblurTask& t, Piece& p) {
    alignas(64) Paths paths;
    float along = 0.0f, down = 0.0f;
    for (int64_t y = 0; y < p.h; ++y)
        for (int64_t x = 0; x < p.w; x += kBlock) {
            const int count = static_cast<int>(p.w - x < kBlock ? p.w - x : kBlock);
            read_field(t.motion, p.crop, p.crop.y + y, p.crop.x + x, count, paths.mx, paths.my);
            read_field(t.curvature, p.crop, p.crop.y + y, p.crop.x + x, count, paths.kx, paths.ky);
            for (int i = 0; i < count; ++i) {
                along = larger(along, reach_of(displacement(paths.mx[i]), displacement(paths.kx[i])));
                down = larger(down, reach_of(displacement(paths.my[i]), displacement(paths.ky[i])));
            }
        }
    // Two pixels more: for what rounding adds, and for the second tap.
    const auto cut = [](float reach, int64_t from, int64_t count, int64_t size, int64_t& first, int64_t& length) {
        const int64_t around = static_cast<int64_t>(reach) + 2;
        const int64_t low = from - around, stop = from + count + around;
        first = low > 0 ? low : 0;
        length = (stop < size ? stop : size) - first;
    };
    cut(along, p.crop.x, p.w, p.across, p.left, p.across);
    cut(down, p.crop.y, p.h, p.down, p.top, p.down);
}

void DEBLUR_ISA::linearise(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    switch (t.transfer) {
        case Transfer::none: return linearise_rows<Transfer::none>(t, p, begin, end);
        case Transfer::srgb: return linearise_rows<Transfer::srgb>(t, p, begin, end);
        case Transfer::bt709: return linearise_rows<Transfer::bt709>(t, p, begin, end);
        case Transfer::gamma22: return linearise_rows<Transfer::gamma22>(t, p, begin, end);
    }
}

void DEBLUR_ISA::reblur(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    switch (t.transfer) {
        case Transfer::none: return reblur_rows<Transfer::none>(t, p, begin, end);
        case Transfer::srgb: return reblur_rows<Transfer::srgb>(t, p, begin, end);
        case Transfer::bt709: return reblur_rows<Transfer::bt709>(t, p, begin, end);
        case Transfer::gamma22: return reblur_rows<Transfer::gamma22>(t, p, begin, end);
    }
}

}  // namespace deblur
