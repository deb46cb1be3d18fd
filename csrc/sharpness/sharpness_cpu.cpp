// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include <type_traits>

#include "half.h"
#include "sharpness_loops.h"
#include "simd.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace deblur {
namespace {

// ---- Lines: luma in floats, or 8-bit luma as it is. They are read where they lie if they lie so; else a stretch of
// each is brought together first, with a pixel more at both ends.

inline int64_t inside(int64_t i, int64_t size) { return i < 0 ? 0 : i >= size ? size - 1 : i; }

// A run of values as floats: where they are, or in `room`.
template <class T>
const float* widened(const T* from, int64_t count, float* room) {
    if constexpr (std::is_same<T, float>::value) {
        return from;
    } else {
        if constexpr (std::is_same<T, Half>::value)
            to_floats(from, room, count);
        else
            for (int64_t i = 0; i < count; ++i) room[i] = value_of(from[i]);
        return room;
    }
}

// Pixels begin..end of luma, in the sample type's own units; begin >= 0, end <= w.
template <class T, class L>
void read_pixels(const Picture<const void>& p, int64_t n, int64_t y, int64_t begin, int64_t end, L* to) {
    const int64_t sw = p.sw, sc = p.sc, count = end - begin;
    const T* from = static_cast<const T*>(p.data) + n * p.sn + y * p.sh + begin * sw;
    if constexpr (std::is_same<L, uint8_t>::value) {
        if (sw == 1)
            std::memcpy(to, from, static_cast<size_t>(count));
        else
            for (int64_t x = 0; x < count; ++x) to[x] = from[x * sw];
    } else if (p.c == 1) {
        if (sw != 1) {
            for (int64_t x = 0; x < count; ++x) to[x] = value_of(from[x * sw]);
        } else if (const float* values = widened(from, count, to); values != to) {
            std::memcpy(to, values, static_cast<size_t>(count) * sizeof(float));
        }
    } else if (std::is_same<T, Half>::value && ((sw == 3 && sc == 1) || sw == 1)) {
        // A part at a time, converted as a run.
        constexpr int64_t kPart = 128;
        float parts[3 * kPart];
        for (int64_t x = 0; x < count; x += kPart) {
            const int64_t pixels = x + kPart < count ? kPart : count - x;
            if (sw == 1) {
                for (int c = 0; c < 3; ++c) widened(from + x + c * sc, pixels, parts + c * kPart);
                for (int64_t i = 0; i < pixels; ++i) to[x + i] = luma(parts[i], parts[kPart + i], parts[2 * kPart + i]);
            } else {
                widened(from + 3 * x, 3 * pixels, parts);
                for (int64_t i = 0; i < pixels; ++i) to[x + i] = luma(parts[3 * i], parts[3 * i + 1], parts[3 * i + 2]);
            }
        }
    } else if (sw == 3 && sc == 1) {
        for (int64_t x = 0; x < count; ++x)
            to[x] = luma(value_of(from[3 * x]), value_of(from[3 * x + 1]), value_of(from[3 * x + 2]));
    } else if (sw == 1) {
        const T *green = from + sc, *blue = from + 2 * sc;
        for (int64_t x = 0; x < count; ++x) to[x] = luma(value_of(from[x]), value_of(green[x]), value_of(blue[x]));
    } else {
        for (int64_t x = 0; x < count; ++x)
            to[x] = luma(value_of(from[x * sw]), value_of(from[x * sw + sc]), value_of(from[x * sw + 2 * sc]));
    }
}

// Asks for lines that are due later, `ahead` values from this block's (0: they are not known yet). A block is many
// short stretches of memory, which a processor does not foresee by itself. To the L2 cache, which can wait for more of
// them at once than the L1.
template <class L>
DEBLUR_FN void prefetch_later(const L* const* line, int64_t x, int64_t ahead) {
#if defined(__GNUC__)
    if (ahead != 0)
        for (int r = 2; r < kBlockRows + 2; ++r) __builtin_prefetch(line[r] + x + ahead, 0, 2);
#else
    (void)line, (void)x, (void)ahead;
#endif
}

// So many whole blocks ahead that memory, which answers late, keeps up, and the L2 cache can hold them.
template <class L>
DEBLUR_FN int64_t lines_ahead(int64_t width) {
    const int64_t block = width * kBlockRows * static_cast<int64_t>(sizeof(L)), blocks = (64 << 10) / block;
    return kBlockRows * (blocks > 1 ? blocks : 1);
}

// ---- The energy of a block: `line` are its lines, and one more above and below, each at the first of `count` pixels.
// All energies read one pixel to the left and one to the right.

#if defined(__AVX512F__)
constexpr int kFloats = 16;
#elif defined(__AVX2__)
constexpr int kFloats = 8;
#else
constexpr int kFloats = 4;
#endif
#if defined(__GNUC__)
typedef float Floats __attribute__((vector_size(4 * kFloats)));
#else
typedef Lanes<kFloats> Floats;
#endif

template <Measure M, class P, class Load>
inline auto energy(P above, P here, P below, const Load& at) {
    if constexpr (M == Measure::laplacian)
        return laplacian_energy(at(above), at(here - 1), at(here), at(here + 1), at(below));
    else
        return gradient_energy(at(above - 1), at(above), at(above + 1), at(here - 1), at(here + 1), at(below - 1),
                               at(below), at(below + 1));
}

struct FloatParts {
    float parts[2][kLanes] = {};
    void add_to(double (&sums)[kSums]) const {
        float both[kLanes], folded[kSums];
        for (int k = 0; k < kLanes; ++k) both[k] = parts[0][k] + parts[1][k];
        fold(both, folded);
        for (int k = 0; k < kSums; ++k) sums[k] += folded[k];
    }
};

constexpr int kVectors = kLanes / kFloats;
struct FloatLanes {
    Floats of[2][kVectors] = {};
};

// Steps of kLanes pixels.
template <Measure M, int ROWS>
DEBLUR_FN FloatLanes add_steps(const float* const* line, int rows, int64_t begin, int64_t end, FloatLanes lanes) {
    const auto at = [](const float* p) { return load<Floats>(p); };
    for (int64_t x = begin; x < end; x += kLanes)
        for (int j = 0; j < kVectors; ++j) {
            const int64_t i = x + j * kFloats;
#pragma GCC unroll 8
            for (int r = 0; r < (ROWS ? ROWS : rows); ++r)
                lanes.of[r % 2][j] = lanes.of[r % 2][j] + energy<M>(line[r] + i, line[r + 1] + i, line[r + 2] + i, at);
        }
    return lanes;
}

// Whole tiles of whole steps, side by side.
template <Measure M>
void add_tiles(const float* const* line, int64_t ahead, int64_t tile, int64_t tiles, double (*sums)[kSums]) {
    for (int64_t i = 0; i < tiles; ++i) {
        for (int64_t x = i * tile; x < (i + 1) * tile; x += kLanes) prefetch_later(line, x, ahead);
        const FloatLanes lanes = add_steps<M, kBlockRows>(line, kBlockRows, i * tile, (i + 1) * tile, FloatLanes());
        float both[kLanes], folded[kSums];
        for (int j = 0; j < kVectors; ++j) store(both + j * kFloats, lanes.of[0][j] + lanes.of[1][j]);
        fold(both, folded);
        for (int k = 0; k < kSums; ++k) sums[i][k] += folded[k];
    }
}

// Any number of pixels.
template <Measure M>
void add_pixels(const float* const* line, int rows, int64_t count, FloatParts& sums) {
    const int64_t whole = count / kLanes * kLanes;
    if (whole > 0) {
        FloatLanes lanes;
        std::memcpy(&lanes, sums.parts, sizeof lanes);
        lanes = rows == kBlockRows ? add_steps<M, kBlockRows>(line, rows, 0, whole, lanes)
                                   : add_steps<M, 0>(line, rows, 0, whole, lanes);
        std::memcpy(sums.parts, &lanes, sizeof lanes);
    }
    const auto at = [](const float* p) { return *p; };
    for (int r = 0; r < rows; ++r)
        for (int64_t x = whole; x < count; ++x)
            sums.parts[r % 2][x - whole] += energy<M>(line[r] + x, line[r + 1] + x, line[r + 2] + x, at);
}

// 8-bit luma: 16-bit values of every second pixel, whose squares are added in pairs.
struct ByteParts {
    int64_t sum = 0;
    void add_to(int64_t (&sums)[kSums]) const { sums[0] += sum; }
};

#if defined(__GNUC__)
#if defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
typedef int16_t Words __attribute__((vector_size(kBytes)));
typedef uint16_t Pairs __attribute__((vector_size(kBytes)));
typedef int32_t Ints __attribute__((vector_size(kBytes)));

DEBLUR_FN Pairs pairs_at(const uint8_t* p) {
    Pairs v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
// The first and the second of two pixels.
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
DEBLUR_FN Words first(Pairs v) { return reinterpret_cast<Words>(v >> 8); }
DEBLUR_FN Words second(Pairs v) { return reinterpret_cast<Words>(v & 0xff); }
#else
DEBLUR_FN Words first(Pairs v) { return reinterpret_cast<Words>(v & 0xff); }
DEBLUR_FN Words second(Pairs v) { return reinterpret_cast<Words>(v >> 8); }
#endif

// Of each two pixels the first less four times the second (as bytes 1 and -4), and the other way about.
#if defined(__AVX2__)
DEBLUR_FN Words first_less(Pairs v) {
    return reinterpret_cast<Words>(_mm256_maddubs_epi16(reinterpret_cast<__m256i>(v), _mm256_set1_epi16(-0x03ff)));
}
DEBLUR_FN Words second_less(Pairs v) {
    return reinterpret_cast<Words>(_mm256_maddubs_epi16(reinterpret_cast<__m256i>(v), _mm256_set1_epi16(0x01fc)));
}
#elif defined(__SSSE3__)
DEBLUR_FN Words first_less(Pairs v) {
    return reinterpret_cast<Words>(_mm_maddubs_epi16(reinterpret_cast<__m128i>(v), _mm_set1_epi16(-0x03ff)));
}
DEBLUR_FN Words second_less(Pairs v) {
    return reinterpret_cast<Words>(_mm_maddubs_epi16(reinterpret_cast<__m128i>(v), _mm_set1_epi16(0x01fc)));
}
#else
DEBLUR_FN Words first_less(Pairs v) { return first(v) - (second(v) << 2); }
DEBLUR_FN Words second_less(Pairs v) { return second(v) - (first(v) << 2); }
#endif

// The sums of the squares of neighbours.
DEBLUR_FN Ints squares(Words v) {
#if defined(__AVX2__)
    return reinterpret_cast<Ints>(_mm256_madd_epi16(reinterpret_cast<__m256i>(v), reinterpret_cast<__m256i>(v)));
#elif defined(__SSE2__)
    return reinterpret_cast<Ints>(_mm_madd_epi16(reinterpret_cast<__m128i>(v), reinterpret_cast<__m128i>(v)));
#else
    const Ints both = reinterpret_cast<Ints>(v), low = both << 16 >> 16, high = both >> 16;
    return low * low + high * high;
#endif
}

// One step of kBytes pixels, of which the first `used` count.
template <int ROWS, bool WHOLE>
DEBLUR_FN Ints laplacian_step(const uint8_t* const* line, int rows, int64_t x, int64_t used, Ints energy) {
    constexpr int kWords = kBytes / 2;
    Words use_first = {}, use_second = {};
    if constexpr (!WHOLE)
        for (int i = 0; i < kWords; ++i)
            use_first[i] = 2 * i < used ? -1 : 0, use_second[i] = 2 * i + 1 < used ? -1 : 0;
    Pairs next = pairs_at(line[0] + x);
    Words above_first = first(next), above_second = second(next);
    next = pairs_at(line[1] + x);
    Words here_first = first(next), here_second = second(next);
#pragma GCC unroll 8
    for (int r = 0; r < (ROWS ? ROWS : rows); ++r) {
        next = pairs_at(line[r + 2] + x);
        const Words below_first = first(next), below_second = second(next);
        Words v = (above_first + below_first) + (first_less(pairs_at(line[r + 1] + x - 1)) + here_second);
        Words w = (above_second + below_second) + (second_less(pairs_at(line[r + 1] + x + 1)) + here_first);
        if constexpr (!WHOLE) v &= use_first, w &= use_second;
        energy += squares(v);
        energy += squares(w);
        above_first = here_first, above_second = here_second;
        here_first = below_first, here_second = below_second;
    }
    return energy;
}

template <int ROWS>
DEBLUR_FN int64_t laplacian_sum(const uint8_t* const* line, int rows, int64_t count) {
    // 64 steps of kBlockRows sums of twice two squares of at most 1020 fit 32 bits.
    constexpr int64_t kMost = 64 * kBytes;
    int64_t sum = 0;
    for (int64_t x = 0; x < count;) {
        const int64_t end = x + kMost < count ? x + kMost : count;
        Ints energy = {};
        for (; x + kBytes <= end; x += kBytes) energy = laplacian_step<ROWS, true>(line, rows, x, kBytes, energy);
        if (x < end) energy = laplacian_step<ROWS, false>(line, rows, x, end - x, energy), x = end;
        for (int i = 0; i < kBytes / 4; ++i) sum += energy[i];
    }
    return sum;
}

template <Measure M>
void add_tiles(const uint8_t* const* line, int64_t ahead, int64_t tile, int64_t tiles, int64_t (*sums)[kSums]) {
    constexpr int64_t kMost = 32 * kBytes;  // as many steps' sums, added once more, fit 32 bits
    for (int64_t i = 0; i < tiles; ++i)
        for (int64_t x = i * tile; x < (i + 1) * tile;) {
            const int64_t end = x + kMost < (i + 1) * tile ? x + kMost : (i + 1) * tile;
            Ints energy = {};
            for (; x < end; x += kBytes) {
                prefetch_later(line, x, ahead);
                energy = laplacian_step<kBlockRows, true>(line, kBlockRows, x, kBytes, energy);
            }
            int32_t parts[kBytes / 4];
            std::memcpy(parts, &energy, sizeof parts);
            for (int k = kSums; k < kBytes / 4; ++k) parts[k - kSums] += parts[k];
            for (int k = 0; k < kSums; ++k) sums[i][k] += parts[k];
        }
}
constexpr bool kQuickBytes = true;
#else
constexpr int kBytes = 16;
constexpr bool kQuickBytes = false;
#endif

template <Measure M>
void add_pixels(const uint8_t* const* line, int rows, int64_t count, ByteParts& sums) {
#if defined(__GNUC__)
    if (M == Measure::laplacian) {
        sums.sum +=
            rows == kBlockRows ? laplacian_sum<kBlockRows>(line, rows, count) : laplacian_sum<0>(line, rows, count);
        return;
    }
#endif
    const auto at = [](const uint8_t* p) { return static_cast<int>(*p); };
    for (int r = 0; r < rows; ++r)
        for (int64_t begin = 0; begin < count; begin += 512) {  // 512 energies fit 32 bits
            const int64_t end = begin + 512 < count ? begin + 512 : count;
            const uint8_t *above = line[r], *here = line[r + 1], *below = line[r + 2];
            int32_t sum = 0;
            for (int64_t x = begin; x < end; ++x) sum += energy<M>(above + x, here + x, below + x, at);
            sums.sum += sum;
        }
}

// ---- Blocks, tiles, rows of tiles.

// How many pixels a step takes, and how many beyond the last that counts it may read.
template <class L>
constexpr int64_t step_of() {
    return std::is_same<L, float>::value ? kLanes : kBytes;
}
template <class L>
constexpr int64_t beyond_of() {
    return std::is_same<L, float>::value ? 1 : kBytes;
}

// Whether add_tiles can do it.
template <class L, Measure M>
constexpr bool quick() {
    return std::is_same<L, float>::value || (kQuickBytes && M == Measure::laplacian);
}

// Adds the energies of tiles side by side, `w` pixels in all, each to its sums.
template <Measure M, class L, class Sum>
void add_block(const L* const* line, int rows, int64_t ahead, int64_t w, int64_t tile, int64_t tiles,
               Sum (*sums)[kSums]) {
    typedef std::conditional_t<std::is_same<L, float>::value, FloatParts, ByteParts> Parts;
    int64_t i = 0;
    if constexpr (quick<L, M>())
        if (rows == kBlockRows && tile % step_of<L>() == 0) {
            i = w / tile;
            add_tiles<M>(line, ahead, tile, i, sums);
        }
    for (; i < tiles; ++i) {
        const L* at[kBlockRows + 2];
        for (int r = 0; r < rows + 2; ++r) at[r] = line[r] + i * tile;
        Parts parts;
        add_pixels<M>(at, rows, tile < w - i * tile ? tile : w - i * tile, parts);
        parts.add_to(sums[i]);
    }
}

// Tiles tx.. of row ty. `direct`: the lines are read where they lie; no tile reaches to the border. Else they are
// brought together in `lines`.
template <class T, class L, Measure M, class Sum>
void some_tiles(const SharpnessTask& t, int64_t n, int64_t ty, int64_t tx, int64_t tiles, bool direct, L* lines,
                Sum (*sums)[kSums]) {
    const Picture<const void>& p = t.image;
    const int64_t y0 = ty * t.tile, y1 = y0 + t.tile < p.h ? y0 + t.tile : p.h;
    const int64_t x0 = tx * t.tile, x1 = (tx + tiles) * t.tile < p.w ? (tx + tiles) * t.tile : p.w;
    const int64_t room = line_room(t);
    for (int64_t i = 0; i < tiles; ++i)
        for (Sum& sum : sums[i]) sum = 0;
    int64_t unread = y0 - 1;  // the next line to be brought together
    for (int64_t y = y0; y < y1; y += kBlockRows) {
        const int rows = static_cast<int>(y + kBlockRows < y1 ? kBlockRows : y1 - y);
        const L* line[kBlockRows + 2];
        for (int r = 0; r < rows + 2; ++r) {
            const int64_t from = y + r - 1;
            if (direct) {
                line[r] = static_cast<const L*>(p.data) + n * p.sn + inside(from, p.h) * p.sh + x0;
                continue;
            }
            L* const to = lines + (from - y0 + 1) % (kBlockRows + 2) * room + 1;
            if (from == unread) {
                const int64_t left = x0 > 0 ? 1 : 0, right = x1 < p.w ? 1 : 0;
                read_pixels<T, L>(p, n, inside(from, p.h), x0 - left, x1 + right, to - left);
                if (!left) to[-1] = to[0];
                if (!right) to[x1 - x0] = to[x1 - x0 - 1];
                ++unread;
            }
            line[r] = to;
        }
        add_block<M, L>(line, rows, direct ? lines_ahead<L>(p.w) * p.sh : 0, x1 - x0, t.tile, tiles, sums);
    }
    for (int64_t i = 0; i < tiles; ++i) {
        const int64_t begin = x0 + i * t.tile, end = begin + t.tile < p.w ? begin + t.tile : p.w;
        const double sum = static_cast<double>((sums[i][0] + sums[i][1]) + (sums[i][2] + sums[i][3]));
        at(t.out, n, 0, ty, tx + i) = mean_energy(sum, std::is_same<L, uint8_t>::value, t, (end - begin) * (y1 - y0));
    }
}

template <class T, class L, Measure M>
void tile_row(const SharpnessTask& t, int64_t n, int64_t ty, double* scratch) {
    typedef std::conditional_t<std::is_same<L, float>::value, double, int64_t> Sum;
    Sum(*const sums)[kSums] = reinterpret_cast<Sum(*)[kSums]>(scratch);
    L* const lines = reinterpret_cast<L*>(scratch + t.out.w * kSums);
    int64_t first = t.out.w, last = t.out.w;  // the tiles that can be read where they lie
    if (std::is_same<T, L>::value && t.image.c == 1 && t.image.sw == 1) {
        first = 1;
        last = (t.image.w - beyond_of<L>()) / t.tile;
    }
    for (int64_t tx = 0; tx < t.out.w;) {
        const bool direct = tx >= first && tx < last;
        const int64_t end = direct ? last : tx < first && first < last ? first : t.out.w;
        const int64_t most = direct ? end - tx : tiles_at_a_time(t), tiles = most < end - tx ? most : end - tx;
        some_tiles<T, L, M>(t, n, ty, tx, tiles, direct, lines, sums);
        tx += tiles;
    }
}

template <class T, class L>
void by_measure(const SharpnessTask& t, int64_t n, int64_t ty, double* scratch) {
    if (t.measure == Measure::laplacian) return tile_row<T, L, Measure::laplacian>(t, n, ty, scratch);
    return tile_row<T, L, Measure::tenengrad>(t, n, ty, scratch);
}

}  // namespace

void DEBLUR_ISA::sharpness(const SharpnessTask& t, int64_t n, int64_t ty, double* scratch) {
    switch (t.sample) {
        case Sample::u8:
            return t.image.c == 1 ? by_measure<uint8_t, uint8_t>(t, n, ty, scratch)
                                  : by_measure<uint8_t, float>(t, n, ty, scratch);
        case Sample::u16: return by_measure<uint16_t, float>(t, n, ty, scratch);
        case Sample::f16: return by_measure<Half, float>(t, n, ty, scratch);
        case Sample::f32: return by_measure<float, float>(t, n, ty, scratch);
    }
}

}  // namespace deblur
