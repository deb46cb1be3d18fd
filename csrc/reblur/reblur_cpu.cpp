// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include <type_traits>
#include <utility>

#include "reblur_paths.h"
#include "reblur_plane.h"
#include "simd.h"

#if defined(__GNUC__) && defined(__AVX__)
#include <immintrin.h>
#endif

namespace deblur {
namespace {

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

// ---- Halves of vectors of eight

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
DEBLUR_FN f8 first_halves(f8 a, f8 b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11); }
DEBLUR_FN f8 second_halves(f8 a, f8 b) { return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15); }
DEBLUR_FN f8 halves_swapped(f8 v) { return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3); }

// Lane J of each half all over its half.
template <int J>
DEBLUR_FN f8 spread(f8 v) {
    return __builtin_shufflevector(v, v, J, J, J, J, J + 4, J + 4, J + 4, J + 4);
}
#else
DEBLUR_FN f8 both(f4 a, f4 b) {
    float all[8];
    store(all, a), store(all + 4, b);
    return load<f8>(all);
}
DEBLUR_FN f8 first_halves(f8 a, f8 b) { return both(part<0>(a), part<0>(b)); }
DEBLUR_FN f8 second_halves(f8 a, f8 b) { return both(part<4>(a), part<4>(b)); }
DEBLUR_FN f8 halves_swapped(f8 v) { return both(part<4>(v), part<0>(v)); }
template <int J>
DEBLUR_FN f8 spread(f8 v) {
    const float a = v[J], b = v[J + 4];
    return f8{a, a, a, a, b, b, b, b};
}
#endif

// Eight floats, the second four first.
DEBLUR_FN f8 load_swapped(const float* p) {
#if defined(__GNUC__) && defined(__AVX__)
    // A shuffle would wait for the one port that can do it.
    const __m256 second = _mm256_castps128_ps256(_mm_loadu_ps(p + 4));
    return reinterpret_cast<f8>(_mm256_insertf128_ps(second, _mm_loadu_ps(p), 1));
#else
    return halves_swapped(load<f8>(p));
#endif
}

// mean_along's sums for one moment, or a pair of them, of pixel J of eight, whose columns weigh `across`. A pixel and
// its right neighbour lie side by side in memory: one vector of eight reads both.
template <bool Bends, int J>
DEBLUR_FN void add_taps(const float* linear, int row, const Taps& taps, f8 across, f8* sum) {
    const float* ahead = linear + J * 4 + taps.offset[J];
    f8 above = load<f8>(ahead), below = load<f8>(ahead + row);
    if constexpr (!Bends) {
        const float* behind = linear + (J - 1) * 4 - taps.offset[J];
        above = above + load_swapped(behind), below = below + load_swapped(behind - row);
    }
    sum[J] = sum[J] + (above * taps.upper[J] + below * taps.lower[J]) * across;
}

// Of the pixels that have more than i samples, or pairs of them.
template <bool Bends, bool All, size_t... J>
DEBLUR_FN void add_taps(const float* linear, int row, const Taps& taps, const int* samples, int i, f8* sum,
                        std::index_sequence<J...>) {
    const f8 left = load<f8>(taps.left), right = load<f8>(taps.right);
    const f8 across[2] = {first_halves(left, right), second_halves(left, right)};
    const auto has = [&](int j) { return All || i < (Bends ? samples[j] : samples[j] / 2); };
    ((has(J) ? add_taps<Bends, J>(linear, row, taps, spread<J % 4>(across[J / 4]), sum) : void()), ...);
}

template <bool Bends, size_t... J>
DEBLUR_FN void put_means(const float* linear, const Paths& paths, int first, const f8* sum, float* to,
                         std::index_sequence<J...>) {
    f4 total[] = {part<0>(sum[J]) + part<4>(sum[J])...};
    for (int j = 0; j < kGroup; ++j) {
        if (!Bends && paths.samples[first + j] % 2 != 0) total[j] = total[j] + load<f4>(linear + j * 4);
        store(to + j * 4, total[j] * paths.one_over_n[first + j]);
    }
}

// mean_along for eight pixels whose paths keep inside the part, of `least` to `most` samples; `linear` is where the
// first of them lies.
template <bool Bends>
DEBLUR_FN void integrate(const float* linear, int row, const Paths& paths, int first, int least, int most, float* to) {
    const auto eight = std::make_index_sequence<kGroup>();
    alignas(64) Taps taps[2];  // of this moment and of the next
    f8 sum[kGroup] = {};       // never indexed by a variable, so that it stays in registers
    const int all = Bends ? least : least / 2;
    find_taps<Bends, false>(paths, first, 0, row, taps[0]);
    int i = 0;
    for (; i < all; ++i) {
        if (i + 1 < all) {
            find_taps<Bends, true>(paths, first, i + 1, row, taps[(i + 1) % 2]);
        } else {
            find_taps<Bends, false>(paths, first, i + 1, row, taps[(i + 1) % 2]);
        }
        add_taps<Bends, true>(linear, row, taps[i % 2], nullptr, i, sum, eight);
    }
    for (; i < (Bends ? most : most / 2); ++i) {
        find_taps<Bends, false>(paths, first, i + 1, row, taps[(i + 1) % 2]);
        add_taps<Bends, false>(linear, row, taps[i % 2], paths.samples + first, i, sum, eight);
    }
    put_means<Bends>(linear, paths, first, sum, to, eight);
}

template <bool Bends, bool Plane>
void integrate(const ReblurTask& t, const Piece& p, const Paths& paths, int first, int x, int y, float* to) {
    int most = 0, least = 1 << 30, still = 1;
    float slack = 0.0f;
    for (int i = first; i < first + kGroup; ++i) {
        most = larger(most, paths.samples[i]), least = smaller(least, paths.samples[i]);
        still &= paths.still[i], slack = smaller(slack, paths.slack[i]);
    }
    if (still) return;
    using V = std::conditional_t<Plane, float, f4>;
    const int row = static_cast<int>(p.across * 4), top = static_cast<int>(p.top), left = static_cast<int>(p.left);
    if (slack < 0.0f) {
        const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
        const auto read = [&](int at_x, int at_y) {
            return load<V>(p.linear + (at_y - top) * row + (at_x - left) * 4);
        };
        for (int j = 0; j < kGroup && x + j < width; ++j) {
            const int i = first + j;
            const Path path = {paths.mx[i], paths.my[i], paths.kx[i], paths.ky[i], paths.samples[i], paths.still[i]};
            store(to + j * (Plane ? 1 : 4), mean_along<Bends, V>(path, x + j, y, width, height, read));
        }
        return;
    }
    const float* linear = p.linear + (y - top) * row + (x - left) * 4;
    if constexpr (Plane) {
        integrate_plane<Bends>(linear, row, paths, first, least, most, to);
    } else {
        integrate<Bends>(linear, row, paths, first, least, most, to);
    }
}

void put_turned(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, const Paths& paths) {
    const Picture<float> to = unturned(t.turned, p.index, p.crop.way);
    const int swapped = p.crop.way & 4 ? 1 : 0;
    const float along = p.crop.way & 1 ? -1.0f : 1.0f, down = p.crop.way & 2 ? -1.0f : 1.0f;
    float *dx = &at(to, 0, swapped, y, x), *dy = &at(to, 0, 1 - swapped, y, x);
    for (int i = 0; i < count; ++i) dx[i * to.sw] = paths.mx[i] * along, dy[i * to.sw] = paths.my[i] * down;
}

template <bool Plane>
DEBLUR_FN void fetch_block(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, float* to) {
    if constexpr (Plane) {
        fetch_plane(t, p, y, x, count, to);
    } else {
        fetch(t, p, y, x, count, to);
    }
}

template <bool Plane>
DEBLUR_FN void put_block(const ReblurTask& t, const Picture<void>& to, const Piece& p, int64_t y, int64_t x, int count,
                         const float* from) {
    if constexpr (Plane) {
        put_plane(t, to, p, y, x, count, from);
    } else {
        put(t, to, p, y, x, count, from);
    }
}

// `Plane`: of one channel, a float a pixel on the way out; otherwise four.
template <Transfer K, bool Plane>
void reblur_rows(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    using V = std::conditional_t<Plane, float, f4>;
    constexpr int kEach = Plane ? 1 : 4;
    alignas(64) float pixels[kBlock * kEach] = {}, original[kBlock * kEach];
    alignas(64) Paths paths;
    // Down a strip, whose paths read what the lines above have brought into the L1 cache.
    for (int64_t x0 = 0; x0 < p.w; x0 += kBlock) {
        const int count = static_cast<int>(p.w - x0 < kBlock ? p.w - x0 : kBlock);
        for (int64_t y0 = begin; y0 < end; ++y0) {
            const int64_t y = p.crop.y + y0, x = p.crop.x + x0;
            if (t.samples > 0) {
                find_paths<true>(t, p, y, x, count, paths);
            } else {
                find_paths<false>(t, p, y, x, count, paths);
            }
            int still = 0;
            for (int i = 0; i < count; ++i) still |= paths.still[i];
            const int at_x = static_cast<int>(x), at_y = static_cast<int>(y);
            for (int i = 0; i < count; i += kGroup)
                if (t.curvature.data != nullptr) {
                    integrate<true, Plane>(t, p, paths, i, at_x + i, at_y, pixels + i * kEach);
                } else {
                    integrate<false, Plane>(t, p, paths, i, at_x + i, at_y, pixels + i * kEach);
                }
            out_of_linear<K>(pixels, count * kEach);
            if (still || t.sharp.data != nullptr) fetch_block<Plane>(t, p, y, x, count, original);
            // What does not move keeps its bits, whatever the transfer curve rounds.
            if (still)
                for (int i = 0; i < count; ++i)
                    if (paths.still[i]) store(pixels + i * kEach, load<V>(original + i * kEach));
            put_block<Plane>(t, t.out, p, y0, x0, count, pixels);
            if (t.sharp.data != nullptr) put_block<Plane>(t, t.sharp, p, y0, x0, count, original);
            if (t.turned.data != nullptr && p.c0 == 0) put_turned(t, p, y0, x0, count, paths);
        }
    }
}

template <Transfer K>
DEBLUR_FN void fetch_linear(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, float* to) {
    const auto& image = t.image;
    if (K != Transfer::none && t.sample == Sample::f32 && p.channels == 3 && image.sc == 1 && image.sw == 3) {
        alignas(64) float three[kBlock * 3];  // the curve costs more than all else here: not for a fourth that is none
        const auto from = typed<const float>(image);
        std::memcpy(three, &at(from, p.crop.picture, p.c0, y, x), static_cast<size_t>(count) * 3 * sizeof(float));
        into_linear<K>(three, count * 3);
        fetch_floats(three, 1, 3, 3, count, to);
    } else {
        fetch(t, p, y, x, count, to);
        into_linear<K>(to, count * 4);
    }
}

template <Transfer K>
void linearise_pixels(const ReblurTask& t, const Piece& p) {
    const int64_t first = larger_of(0, -p.left), last = smaller_of(p.across, t.image.w - p.left) - 1;
    for (int64_t y = 0; y < p.down; ++y) {
        const int64_t from_y = larger_of(0, smaller_of(p.top + y, t.image.h - 1));
        float* line = p.linear + y * p.across * 4;
        for (int64_t x = first; x <= last; x += kBlock) {
            const int count = static_cast<int>(smaller_of(kBlock, last + 1 - x));
            float* to = line + x * 4;
            fetch_linear<K>(t, p, from_y, p.left + x, count, to);
        }
        for (int64_t x = 0; x < first; ++x) store(line + x * 4, load<f4>(line + first * 4));
        for (int64_t x = last + 1; x < p.across; ++x) store(line + x * 4, load<f4>(line + last * 4));
    }
}

template <Transfer K>
void linearise_part(const ReblurTask& t, const Piece& p) {
    if (p.channels == 1) {
        linearise_plane<K>(t, p);
    } else {
        linearise_pixels<K>(t, p);
    }
}

template <Transfer K>
void reblur_part(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    if (p.channels == 1) {
        reblur_rows<K, true>(t, p, begin, end);
    } else {
        reblur_rows<K, false>(t, p, begin, end);
    }
}

}  // namespace

Reach DEBLUR_ISA::find_reach(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    alignas(64) Paths paths = {};
    float along[kGroup] = {}, down[kGroup] = {};
    for (int64_t y = begin; y < end; ++y)
        for (int64_t x = 0; x < p.w; x += kBlock) {
            const int count = static_cast<int>(smaller_of(kBlock, p.w - x));
            read_field(t.motion, p.crop, p.crop.y + y, p.crop.x + x, count, paths.mx, paths.my);
            if (t.curvature.data != nullptr)
                read_field(t.curvature, p.crop, p.crop.y + y, p.crop.x + x, count, paths.kx, paths.ky);
            const int filled = (count + kGroup - 1) / kGroup * kGroup;
            for (int i = count; i < filled; ++i) paths.mx[i] = paths.my[i] = paths.kx[i] = paths.ky[i] = 0.0f;
            for (int i = 0; i < filled; i += kGroup)
                for (int j = 0; j < kGroup; ++j) {
                    along[j] = larger(along[j], reach_of(displacement(paths.mx[i + j]), displacement(paths.kx[i + j])));
                    down[j] = larger(down[j], reach_of(displacement(paths.my[i + j]), displacement(paths.ky[i + j])));
                }
        }
    Reach most;
    for (int j = 0; j < kGroup; ++j) most.along = larger(most.along, along[j]), most.down = larger(most.down, down[j]);
    return most;
}

void DEBLUR_ISA::linearise(const ReblurTask& t, const Piece& p) {
    switch (t.transfer) {
        case Transfer::none: return linearise_part<Transfer::none>(t, p);
        case Transfer::srgb: return linearise_part<Transfer::srgb>(t, p);
        case Transfer::bt709: return linearise_part<Transfer::bt709>(t, p);
        case Transfer::gamma22: return linearise_part<Transfer::gamma22>(t, p);
    }
}

void DEBLUR_ISA::reblur(const ReblurTask& t, const Piece& p, int64_t begin, int64_t end) {
    switch (t.transfer) {
        case Transfer::none: return reblur_part<Transfer::none>(t, p, begin, end);
        case Transfer::srgb: return reblur_part<Transfer::srgb>(t, p, begin, end);
        case Transfer::bt709: return reblur_part<Transfer::bt709>(t, p, begin, end);
        case Transfer::gamma22: return reblur_part<Transfer::gamma22>(t, p, begin, end);
    }
}

}  // namespace deblur
