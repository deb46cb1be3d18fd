// SPDX-License-Identifier: Apache-2.0
// The means along paths that keep inside a part, a group of pixels at a time. Part of reblur_cpu.cpp.
#pragma once

#include <utility>

#include "reblur_paths.h"

namespace deblur {
namespace {

constexpr int kMoments = 16;  // of a group's paths, whose taps are worked out before they are read

// ---- The four taps of a moment at once: sixteen floats, in as many vectors as the processor's need

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12) && defined(__AVX512F__)
#define DEBLUR_FLOATS 16
typedef float Floats __attribute__((vector_size(64)));
constexpr __mmask16 kAll = 0xffff;  // where none is said, GCC warns of its own header's values
#elif defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12) && defined(__AVX__)
#define DEBLUR_FLOATS 8
typedef f8 Floats;
#else
#define DEBLUR_FLOATS 4
typedef f4 Floats;
#endif
constexpr int kFloats = DEBLUR_FLOATS;
constexpr int kVectors = 16 / kFloats;

struct Four {
    Floats of[kVectors];
};

// A vector's fours, the last first.
DEBLUR_FN Floats mirrored(const float* p) {
#if DEBLUR_FLOATS == 16
    const __m512 v = _mm512_loadu_ps(p);
    return reinterpret_cast<Floats>(_mm512_maskz_shuffle_f32x4(kAll, v, v, 0x1b));
#elif DEBLUR_FLOATS == 8
    // A shuffle would wait for the one port that can do it.
    const __m256 second = _mm256_castps128_ps256(_mm_loadu_ps(p + 4));
    return reinterpret_cast<Floats>(_mm256_insertf128_ps(second, _mm_loadu_ps(p), 1));
#else
    return load<Floats>(p);
#endif
}

// In every four of two vectors: the first two values of each in turns, or the second two; the first two of each side by
// side, or the second two.
#if DEBLUR_FLOATS == 16
DEBLUR_FN Floats firsts(Floats a, Floats b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
}
DEBLUR_FN Floats seconds(Floats a, Floats b) {
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}
DEBLUR_FN Floats first_pairs(Floats a, Floats b) {
    return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
}
DEBLUR_FN Floats second_pairs(Floats a, Floats b) {
    return __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}
#elif DEBLUR_FLOATS == 8
DEBLUR_FN Floats firsts(Floats a, Floats b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13); }
DEBLUR_FN Floats seconds(Floats a, Floats b) { return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15); }
DEBLUR_FN Floats first_pairs(Floats a, Floats b) { return __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13); }
DEBLUR_FN Floats second_pairs(Floats a, Floats b) { return __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15); }
#else
DEBLUR_FN Floats firsts(Floats a, Floats b) { return Floats{a[0], b[0], a[1], b[1]}; }
DEBLUR_FN Floats seconds(Floats a, Floats b) { return Floats{a[2], b[2], a[3], b[3]}; }
DEBLUR_FN Floats first_pairs(Floats a, Floats b) { return Floats{a[0], a[1], b[0], b[1]}; }
DEBLUR_FN Floats second_pairs(Floats a, Floats b) { return Floats{a[2], a[3], b[2], b[3]}; }
#endif

// A vector of each of four kinds of values to fours: that of the j-th values begins at four_at(j).
DEBLUR_FN void interleave(const float* a, const float* b, const float* c, const float* d, float* to) {
    const Floats va = load<Floats>(a), vb = load<Floats>(b), vc = load<Floats>(c), vd = load<Floats>(d);
    const Floats ab = firsts(va, vb), cd = firsts(vc, vd), later_ab = seconds(va, vb), later_cd = seconds(vc, vd);
    store(to, first_pairs(ab, cd)), store(to + kFloats, second_pairs(ab, cd));
    store(to + 2 * kFloats, first_pairs(later_ab, later_cd)), store(to + 3 * kFloats, second_pairs(later_ab, later_cd));
}
DEBLUR_FN int four_at(int j) { return j / kFloats * (4 * kFloats) + j % 4 * kFloats + j % kFloats / 4 * 4; }

// Of four weights, each for the four floats of its tap: the K-th vector of them.
template <int K>
DEBLUR_FN Floats spread(const float* weights) {
#if DEBLUR_FLOATS == 16
    const __m512 all = _mm512_maskz_broadcast_f32x4(kAll, _mm_loadu_ps(weights));
    const __m512i tap = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    return reinterpret_cast<Floats>(_mm512_maskz_permutevar_ps(kAll, all, tap));
#elif DEBLUR_FLOATS == 8
    constexpr int a = 2 * K, b = 2 * K + 1;
    const f8 all = reinterpret_cast<f8>(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(weights)));
    return __builtin_shufflevector(all, all, a, a, a, a, b + 4, b + 4, b + 4, b + 4);
#else
    const float w = weights[K];
    return Floats{w, w, w, w};
#endif
}

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

DEBLUR_FN f4 backwards(f4 v) {
#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
    return __builtin_shufflevector(v, v, 3, 2, 1, 0);
#else
    return f4{v[3], v[2], v[1], v[0]};
#endif
}

// What the four taps' sums make together.
DEBLUR_FN f4 total_of(const Four& sum) {
#if DEBLUR_FLOATS == 16
    const Floats v = sum.of[0];
    const f8 across = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    return part<0>(across) + part<4>(across);
#elif DEBLUR_FLOATS == 8
    const f8 across = sum.of[0] + sum.of[1];
    return part<0>(across) + part<4>(across);
#else
    return (sum.of[0] + sum.of[2]) + (sum.of[1] + sum.of[3]);
#endif
}

// Where the taps of a group's pixels lie at a run of moments of their paths, and what they weigh.
struct Taps {
    int offset[kMoments * kGroup];                     // of the upper left tap from its pixel, in floats
    alignas(64) float weights[kMoments * kGroup * 4];  // a group's at a time; in it those of pixel j from four_at(j) on
};

// `Stride`: floats from pixel to pixel of a part. `All`: every path has an i-th moment. Else one that has not stays at
// its end, which nobody reads.
template <int Stride, bool Bends, bool All>
DEBLUR_FN void find_taps(const Paths& p, int first, int i, int row, Taps& to, int place) {
    alignas(64) float kinds[4][kGroup];
    for (int j = 0; j < kGroup; ++j) {
        const float at = moment(i, p.one_over_n[first + j]), s = All ? at : smaller(at, 0.5f);
        const Away x = away<Bends>(p.mx[first + j], Bends ? p.kx[first + j] : 0.0f, s);
        const Away y = away<Bends>(p.my[first + j], Bends ? p.ky[first + j] : 0.0f, s);
        const Weights w = weights_of(x, y);
        to.offset[place + j] = y.whole * row + x.whole * Stride;
        kinds[0][j] = w.upper_left, kinds[1][j] = w.lower_left;
        kinds[2][j] = w.upper_right, kinds[3][j] = w.lower_right;
    }
    for (int j = 0; j < kGroup; j += kFloats)
        interleave(kinds[0] + j, kinds[1] + j, kinds[2] + j, kinds[3] + j, to.weights + (place + j) * 4);
}

// What is summed along a path: pixels of up to four channels, or one channel by itself, whose four taps are one vector.
struct OfPixels {
    static constexpr int kStride = kPixel, kEach = 4;
    typedef Four Sum;
    typedef f4 Value;

    template <bool Pair>
    DEBLUR_FN Sum with(const float* ahead, const float* behind, const float* weights, const Sum& sum) {
        return with_taps<Pair>(ahead, behind, weights, sum, std::make_index_sequence<kVectors>());
    }
    DEBLUR_FN Value total(const Sum& sum) { return total_of(sum); }
};

struct OfPlane {
    static constexpr int kStride = kPlane, kEach = 1;
    typedef f4 Sum;
    typedef float Value;

    template <bool Pair>
    DEBLUR_FN Sum with(const float* ahead, const float* behind, const float* weights, const Sum& sum) {
        const f4 v = load<f4>(ahead);
        return sum + (Pair ? v + backwards(load<f4>(behind)) : v) * load<f4>(weights);
    }
    DEBLUR_FN Value total(const Sum& sum) { return (sum[0] + sum[2]) + (sum[1] + sum[3]); }
};

// mean_along for a group whose paths keep inside the part, of `least` to `most` samples; `linear` is where the first of
// its pixels lies.
template <class Of, bool Bends>
DEBLUR_FN void follow(const float* linear, int row, const Paths& paths, int first, int least, int most, float* to) {
    Taps taps;
    alignas(64) typename Of::Sum sums[kGroup];
    const auto steps_of = [](int samples) { return Bends ? samples : samples / 2; };
    const int steps = steps_of(most);
    int begin = 0;
    do {
        const int end = smaller(begin + kMoments, steps), all = larger(begin, smaller(end, steps_of(least))) - begin;
        int i = 0;
        for (; i < all; ++i) find_taps<Of::kStride, Bends, true>(paths, first, begin + i, row, taps, i * kGroup);
        for (; i < end - begin; ++i)
            find_taps<Of::kStride, Bends, false>(paths, first, begin + i, row, taps, i * kGroup);
        // Four pixels at a time, so that no addition waits for the one before.
        for (int j = 0; j < kGroup; j += 4) {
            const float *here = linear + j * Of::kStride, *mirror = here - row - Of::kStride;
            const int* offsets = taps.offset + j;
            const float* weights = taps.weights + four_at(j);
            const auto with = [&](int q, const typename Of::Sum& sum) {
                const int64_t offset = offsets[i * kGroup + q];
                return Of::template with<!Bends>(here + q * Of::kStride + offset, mirror + q * Of::kStride - offset,
                                                 weights + (i * kGroup * 4 + q * kFloats), sum);
            };
            typename Of::Sum a{}, b{}, c{}, d{};
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
            const auto finish = [&](int q, const typename Of::Sum& sum) {
                typename Of::Value total = Of::total(sum);
                if (!Bends && paths.samples[first + j + q] % 2 != 0)
                    total = total + load<typename Of::Value>(here + q * Of::kStride);
                store(to + (j + q) * Of::kEach, total * paths.one_over_n[first + j + q]);
            };
            finish(0, a), finish(1, b), finish(2, c), finish(3, d);
        }
        begin = end;
    } while (begin < steps);
}

}  // namespace
}  // namespace deblur
