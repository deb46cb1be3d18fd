// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include <utility>

#include "reblur_loops.h"
#include "simd.h"

namespace deblur {
namespace {

constexpr int kBlock = 64;  // pixels that are fetched, converted and stored together: in the L1 cache
constexpr int kMoments = 16;  // of their paths that taps are worked out of before they are read

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

DEBLUR_FN int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
DEBLUR_FN int64_t larger_of(int64_t a, int64_t b) { return a > b ? a : b; }

// ---- The four taps of a moment at once: sixteen floats, in as many vectors as the processor's need

#if defined(__AVX512F__)
typedef float Floats __attribute__((vector_size(64)));
#elif defined(__AVX__)
typedef f8 Floats;
#else
typedef f4 Floats;
#endif
constexpr int kFloats = sizeof(Floats) / sizeof(float);
constexpr int kVectors = 16 / kFloats;

struct Four {
    Floats of[kVectors];
};

DEBLUR_FN Floats mirrored(const float* p) {
#if defined(__AVX512F__)
    const __m512 v = _mm512_loadu_ps(p);
    return reinterpret_cast<Floats>(_mm512_shuffle_f32x4(v, v, 0x1b));
#elif defined(__AVX__)
    const __m256 second = _mm256_castps128_ps256(_mm_loadu_ps(p + 4));
    return reinterpret_cast<Floats>(_mm256_insertf128_ps(second, _mm_loadu_ps(p), 1));
#else
    return load<Floats>(p);
#endif
}

// Four kinds of values, a vector of each, to fours: of value j from place four_at(j) on.
#if defined(__AVX512F__)
DEBLUR_FN Floats firsts(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm512_unpacklo_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}
DEBLUR_FN Floats seconds(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm512_unpackhi_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}
DEBLUR_FN Floats first_pairs(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm512_shuffle_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), 0x44));
}
DEBLUR_FN Floats second_pairs(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm512_shuffle_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), 0xee));
}
#elif defined(__AVX__)
DEBLUR_FN Floats firsts(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm256_unpacklo_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
}
DEBLUR_FN Floats seconds(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm256_unpackhi_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
}
DEBLUR_FN Floats first_pairs(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm256_shuffle_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), 0x44));
}
DEBLUR_FN Floats second_pairs(Floats a, Floats b) {
    return reinterpret_cast<Floats>(_mm256_shuffle_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), 0xee));
}
#else
DEBLUR_FN Floats firsts(Floats a, Floats b) { return Floats{a[0], b[0], a[1], b[1]}; }
DEBLUR_FN Floats seconds(Floats a, Floats b) { return Floats{a[2], b[2], a[3], b[3]}; }
DEBLUR_FN Floats first_pairs(Floats a, Floats b) { return Floats{a[0], a[1], b[0], b[1]}; }
DEBLUR_FN Floats second_pairs(Floats a, Floats b) { return Floats{a[2], a[3], b[2], b[3]}; }
#endif

DEBLUR_FN void interleave(const float* a, const float* b, const float* c, const float* d, float* to) {
    const Floats va = load<Floats>(a), vb = load<Floats>(b), vc = load<Floats>(c), vd = load<Floats>(d);
    const Floats ab = firsts(va, vb), cd = firsts(vc, vd), later_ab = seconds(va, vb), later_cd = seconds(vc, vd);
    store(to, first_pairs(ab, cd)), store(to + kFloats, second_pairs(ab, cd));
    store(to + 2 * kFloats, first_pairs(later_ab, later_cd)), store(to + 3 * kFloats, second_pairs(later_ab, later_cd));
}

// Every fourth lies in the same vector.
DEBLUR_FN int four_at(int j) { return j / kFloats * (4 * kFloats) + j % 4 * kFloats + j % kFloats / 4 * 4; }

// Each of four weights for the four floats of its tap.
#if defined(__AVX512F__)
template <int K>
DEBLUR_FN Floats spread(const float* weights) {
    const __m512 all = _mm512_broadcast_f32x4(_mm_load_ps(weights));
    return reinterpret_cast<Floats>(
        _mm512_permutevar_ps(all, _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0)));
}
#elif defined(__AVX__)
template <int K>
DEBLUR_FN Floats spread(const float* weights) {
    const __m256 all = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(weights));
    constexpr int a = 2 * K, b = 2 * K + 1;
    return reinterpret_cast<Floats>(_mm256_permutevar_ps(all, _mm256_set_epi32(b, b, b, b, a, a, a, a)));
}
#else
template <int K>
DEBLUR_FN Floats spread(const float* weights) {
    const float w = weights[K];
    return Floats{w, w, w, w};
}
#endif

// sum + (ahead + behind) * weights; without a `behind`, sum + ahead * weights.
template <bool Pair, size_t... K>
DEBLUR_FN Four with_taps(const float* ahead, const float* behind, const float* weights, const Four& sum,
                         std::index_sequence<K...>) {
    const auto taps = [&](int k) {
        const Floats v = load<Floats>(ahead + k * kFloats);
        return Pair ? v + mirrored(behind + (kVectors - 1 - k) * kFloats) : v;
    };
    return {{sum.of[K] + taps(K) * spread<K>(weights)...}};
}

// What the four taps' sums make together.
DEBLUR_FN f4 total_of(const Four& sum) {
#if defined(__AVX512F__)
    const __m512 all = reinterpret_cast<__m512>(sum.of[0]);
    const f8 across =
        reinterpret_cast<f8>(_mm512_castps512_ps256(all)) + reinterpret_cast<f8>(_mm512_extractf32x8_ps(all, 1));
    return part<0>(across) + part<4>(across);
#elif defined(__AVX__)
    const f8 across = sum.of[0] + sum.of[1];
    return part<0>(across) + part<4>(across);
#else
    return (sum.of[0] + sum.of[2]) + (sum.of[1] + sum.of[3]);
#endif
}

// ---- Paths

struct Paths {
    float mx[kBlock], my[kBlock], kx[kBlock], ky[kBlock], one_over_n[kBlock];
    int samples[kBlock], still[kBlock];
    int leaves[kBlock];                        // whether taps of the path may lie beyond the part
    int any_still, any_moves, any_leaves;      // of the block
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

// Where the taps of a group's pixels lie at a run of moments of their paths, and what they weigh.
struct Taps {
    int offset[kMoments][kGroup];  // of the upper left tap from its pixel, in floats
    alignas(64) float weights[kMoments][kGroup * 4];  // of pixel j from four_at(j) on
};

// `All`: every path has an i-th moment. Else one that has not stays at its end, which nobody reads.
template <bool Bends, bool All>
DEBLUR_FN void find_taps(const Paths& p, int first, int i, int row, int* offset, float* weights) {
    alignas(64) float kinds[4][kGroup];
    for (int j = 0; j < kGroup; ++j) {
        const float at = moment(i, p.one_over_n[first + j]), s = All ? at : smaller(at, 0.5f);
        const Away x = away<Bends>(p.mx[first + j], Bends ? p.kx[first + j] : 0.0f, s);
        const Away y = away<Bends>(p.my[first + j], Bends ? p.ky[first + j] : 0.0f, s);
        const Weights w = weights_of(x, y);
        offset[j] = y.whole * row + x.whole * kPixel;
        kinds[0][j] = w.upper_left, kinds[1][j] = w.lower_left;
        kinds[2][j] = w.upper_right, kinds[3][j] = w.lower_right;
    }
    for (int j = 0; j < kGroup; j += kFloats)
        interleave(kinds[0] + j, kinds[1] + j, kinds[2] + j, kinds[3] + j, weights + j * 4);
}

// mean_along for a group whose paths keep inside the part, of `least` to `most` samples; `linear` is where the first of
// its pixels lies.
template <bool Bends>
DEBLUR_FN void follow(const float* linear, int row, const Paths& paths, int first, int least, int most, float* to) {
    Taps taps;
    alignas(64) Four sums[kGroup];
    const auto steps_of = [](int samples) { return Bends ? samples : samples / 2; };
    const int steps = steps_of(most);
    int begin = 0;
    do {
        const int end = smaller(begin + kMoments, steps), all = larger(begin, smaller(end, steps_of(least))) - begin;
        int i = 0;
        for (; i < all; ++i) find_taps<Bends, true>(paths, first, begin + i, row, taps.offset[i], taps.weights[i]);
        for (; i < end - begin; ++i)
            find_taps<Bends, false>(paths, first, begin + i, row, taps.offset[i], taps.weights[i]);
        // Four pixels at a time, so that no addition waits for the one before.
        for (int j = 0; j < kGroup; j += 4) {
            const float *here = linear + j * kPixel, *mirror = here - row - kPixel;
            const int* offsets = taps.offset[0] + j;
            const float* weights = taps.weights[0] + four_at(j);
            const auto with = [&](int q, const Four& sum) {
                const int64_t offset = offsets[i * kGroup + q];
                return with_taps<!Bends>(here + q * kPixel + offset, mirror + q * kPixel - offset,
                                         weights + (i * kGroup * 4 + q * kFloats), sum,
                                         std::make_index_sequence<kVectors>());
            };
            Four a{}, b{}, c{}, d{};
            if (begin != 0) a = sums[j], b = sums[j + 1], c = sums[j + 2], d = sums[j + 3];
            for (i = 0; i < all; ++i) a = with(0, a), b = with(1, b), c = with(2, c), d = with(3, d);
            if (all < end - begin) {
                const int* samples = paths.samples + first + j;
                const auto own = [&](int q) { return smaller(steps_of(samples[q]), end) - begin; };
                for (i = all; i < own(0); ++i) a = with(0, a);
                for (i = all; i < own(1); ++i) b = with(1, b);
                for (i = all; i < own(2); ++i) c = with(2, c);
                for (i = all; i < own(3); ++i) d = with(3, d);
            }
            if (end < steps) {
                sums[j] = a, sums[j + 1] = b, sums[j + 2] = c, sums[j + 3] = d;
                continue;
            }
            const auto finish = [&](int q, const Four& sum) {
                f4 total = total_of(sum);
                if (!Bends && paths.samples[first + j + q] % 2 != 0) total = total + load<f4>(here + q * kPixel);
                store(to + (j + q) * 4, total * paths.one_over_n[first + j + q]);
            };
            finish(0, a), finish(1, b), finish(2, c), finish(3, d);
        }
        begin = end;
    } while (begin < steps);
}

// The means of a block of `count` pixels from (x, y) of the picture on.
template <bool Bends>
void integrate(const ReblurTask& t, const Piece& p, const Paths& paths, int count, int x, int y, float* to) {
    const int row = static_cast<int>(p.across * kPixel), top = static_cast<int>(p.top), left = static_cast<int>(p.left);
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    const auto read = [&](int at_x, int at_y) {
        return load<f4>(p.linear + (at_y - top) * row + (at_x - left) * kPixel);
    };
    for (int first = 0; first < count; first += kGroup) {
        const int pixels = smaller(kGroup, count - first);
        int leaves = 0;
        if (paths.any_leaves)
            for (int i = first; i < first + pixels; ++i) leaves |= paths.leaves[i];
        if (!leaves) {
            int least = t.samples, most = t.samples;
            if (t.samples == 0) {
                least = most = paths.samples[first];
                for (int i = first + 1; i < first + kGroup; ++i)
                    least = smaller(least, paths.samples[i]), most = larger(most, paths.samples[i]);
            }
            follow<Bends>(p.linear + (y - top) * row + (x + first - left) * kPixel, row, paths, first, least, most,
                          to + first * 4);
            continue;
        }
        for (int i = first; i < first + pixels; ++i) {
            Path path = {paths.mx[i], paths.my[i], 0.0f, 0.0f, paths.samples[i], paths.still[i]};
            if (Bends) path.kx = paths.kx[i], path.ky = paths.ky[i];
            store(to + i * 4, mean_along<Bends, f4>(path, x + i, y, width, height, read));
        }
    }
}

void put_turned(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, const Paths& paths) {
    const Picture<float> to = unturned(t.turned, p.index, p.crop.way);
    const int swapped = p.crop.way & 4 ? 1 : 0;
    const float along = p.crop.way & 1 ? -1.0f : 1.0f, down = p.crop.way & 2 ? -1.0f : 1.0f;
    float *dx = &at(to, 0, swapped, y, x), *dy = &at(to, 0, 1 - swapped, y, x);
    for (int i = 0; i < count; ++i) dx[i * to.sw] = paths.mx[i] * along, dy[i * to.sw] = paths.my[i] * down;
}

template <bool Bends, Transfer K>
void reblur_tile(const ReblurTask& t, const Piece& p) {
    alignas(64) float pixels[kBlock * 4] = {}, original[kBlock * 4];
    alignas(64) Paths paths;
    // Down a strip, whose paths read what the lines above have brought into the L1 cache.
    for (int64_t x0 = p.x; x0 < p.x + p.w; x0 += kBlock) {
        const int count = static_cast<int>(smaller_of(kBlock, p.x + p.w - x0));
        for (int64_t y0 = p.y; y0 < p.y + p.h; ++y0) {
            const int64_t y = p.crop.y + y0, x = p.crop.x + x0;
            if (t.samples > 0) {
                find_paths<Bends, true>(t, p, y, x, count, paths);
            } else {
                find_paths<Bends, false>(t, p, y, x, count, paths);
            }
            if (paths.any_moves)
                integrate<Bends>(t, p, paths, count, static_cast<int>(x), static_cast<int>(y), pixels);
            for (int i = 0; i < kBlock * 4; ++i) pixels[i] = from_linear<K>(pixels[i]);
            if (paths.any_still || t.sharp.data != nullptr) fetch(t, p, y, x, count, original);
            // What does not move keeps its bits, whatever the transfer curve rounds.
            if (paths.any_still)
                for (int i = 0; i < count; ++i)
                    if (paths.still[i]) store(pixels + i * 4, load<f4>(original + i * 4));
            put(t, t.out, p, y0, x0, count, pixels);
            if (t.sharp.data != nullptr) put(t, t.sharp, p, y0, x0, count, original);
            if (t.turned.data != nullptr && p.c0 == 0) put_turned(t, p, y0, x0, count, paths);
        }
    }
}

template <Transfer K>
void reblur_tile(const ReblurTask& t, const Piece& p) {
    if (t.curvature.data != nullptr) return reblur_tile<true, K>(t, p);
    reblur_tile<false, K>(t, p);
}

// Fills what lies before the first and behind the last pixel of a line with these.
DEBLUR_FN void extend(float* line, int64_t first, int64_t last, int64_t across) {
    const f8 before = load<f8>(line + first * kPixel), behind = load<f8>(line + last * kPixel);
    for (int64_t x = 0; x < first; ++x) store(line + x * kPixel, before);
    for (int64_t x = last + 1; x < across; ++x) store(line + x * kPixel, behind);
}

template <Transfer K>
void linearise_part(const ReblurTask& t, const Piece& p) {
    alignas(64) float pixels[kBlock * 4];
    const int64_t first = larger_of(0, -p.left), last = smaller_of(p.across, t.image.w - p.left) - 1;
    const int64_t row = p.across * kPixel;
    for (int64_t y = 0; y < p.down; ++y) {
        const int64_t from_y = larger_of(0, smaller_of(p.top + y, t.image.h - 1));
        float *here = p.linear + y * row, *above = here - (y > 0 ? row : 0);
        for (int64_t x = first; x <= last; x += kBlock) {
            const int count = static_cast<int>(smaller_of(kBlock, last + 1 - x));
            fetch(t, p, from_y, p.left + x, count, pixels);
            for (int i = 0; i < count * 4; ++i) pixels[i] = to_linear<K>(pixels[i]);
            for (int i = 0; i < count; ++i) {
                const f4 pixel = load<f4>(pixels + i * 4);
                store(here + (x + i) * kPixel, pixel);
                store(above + (x + i) * kPixel + 4, pixel);  // the first line's own is overwritten by the next
            }
        }
        extend(above, first, last, p.across);  // which is whole now, but for its ends
    }
    extend(p.linear + (p.down - 1) * row, first, last, p.across);
}

}  // namespace

Reach DEBLUR_ISA::find_reach(const ReblurTask& t, const Piece& p) {
    alignas(64) Paths paths = {};
    const bool bends = t.curvature.data != nullptr;
    float along[kGroup] = {}, down[kGroup] = {};
    for (int64_t y = p.y; y < p.y + p.h; ++y)
        for (int64_t x = p.x; x < p.x + p.w; x += kBlock) {
            const int count = static_cast<int>(smaller_of(kBlock, p.x + p.w - x));
            read_field(t.motion, p.crop, p.crop.y + y, p.crop.x + x, count, paths.mx, paths.my);
            if (bends) read_field(t.curvature, p.crop, p.crop.y + y, p.crop.x + x, count, paths.kx, paths.ky);
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

void DEBLUR_ISA::reblur(const ReblurTask& t, const Piece& p) {
    switch (t.transfer) {
        case Transfer::none: return reblur_tile<Transfer::none>(t, p);
        case Transfer::srgb: return reblur_tile<Transfer::srgb>(t, p);
        case Transfer::bt709: return reblur_tile<Transfer::bt709>(t, p);
        case Transfer::gamma22: return reblur_tile<Transfer::gamma22>(t, p);
    }
}

}  // namespace deblur
