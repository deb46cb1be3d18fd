// SPDX-License-Identifier: Apache-2.0
// Pixels in blocks: between a host's stored values and the engine's numbers. For pixels.cpp alone.
// Every loop goes over a block of a row that stays in the first-level cache, with its values one after the other and no
// branches, so that compilers vectorise it whatever the depth. Blocks hold four channels, or three, as the host does.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "half.h"
#include "pixels.h"
#include "simd.h"
#include "transfer.h"

// Of one translation unit, compiled with its flags.
namespace bridge {
namespace {

using deblur::Half;

constexpr int block = 256;               // pixels
constexpr float most = 65504.0f;         // the largest half
constexpr float difference_gain = 2.0f;  // in the view that shows differences about a middle grey

// ---- stored values to numbers and back, `count` of them

void load(const uint8_t* from, float* to, int count) {
    for (int i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) * (1.0f / 255.0f);
}
void load(const uint16_t* from, float* to, int count) {
    for (int i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) * (1.0f / 65535.0f);
}
void load(const Half* from, float* to, int count) { deblur::to_floats(from, to, count); }
void load(const float* from, float* to, int count) {
    std::memcpy(to, from, sizeof(float) * static_cast<size_t>(count));
}

uint8_t stored(float v, uint8_t) { return static_cast<uint8_t>(deblur::clamped(v, 0.0f, 1.0f) * 255.0f + 0.5f); }
uint16_t stored(float v, uint16_t) {
    return static_cast<uint16_t>(static_cast<int32_t>(deblur::clamped(v, 0.0f, 1.0f) * 65535.0f + 0.5f));
}
Half stored(float v, Half) { return deblur::to_half(v); }
float stored(float v, float) { return v; }

// ---- numbers of the host to numbers of the engine and back

// A value that is none spreads over all that a network sees of it; one beyond all measure does the same.
DEBLUR_FN float sane(float v) {
    v = v == v ? v : 0.0f;
    return deblur::smaller(deblur::larger(v, -most), most);
}

// Curves take computing, all else memory alone sets the pace of: so they are there for wider instruction sets too, with
// the same bits, since nothing is contracted. A sanitizer is not ready yet when the loader chooses among them.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BRIDGE_WIDER __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BRIDGE_WIDER
#endif

template <Transfer K>
DEBLUR_FN void encode(float* v, int count) {
    for (int i = 0; i < count; ++i) v[i] = deblur::from_linear<K>(v[i]);
}
template <Transfer K>
DEBLUR_FN void decode(float* v, int count) {
    for (int i = 0; i < count; ++i) v[i] = deblur::to_linear<K>(v[i]);
}

BRIDGE_WIDER void encode(float* v, int count, Transfer curve) {
    switch (curve) {
        case Transfer::none: return;
        case Transfer::srgb: return encode<Transfer::srgb>(v, count);
        case Transfer::bt709: return encode<Transfer::bt709>(v, count);
        case Transfer::gamma22: return encode<Transfer::gamma22>(v, count);
    }
}
BRIDGE_WIDER void decode(float* v, int count, Transfer curve) {
    switch (curve) {
        case Transfer::none: return;
        case Transfer::srgb: return decode<Transfer::srgb>(v, count);
        case Transfer::bt709: return decode<Transfer::bt709>(v, count);
        case Transfer::gamma22: return decode<Transfer::gamma22>(v, count);
    }
}

// RGBA only: colours over alpha. Where there is no alpha they stay what they are.
void divide_by_alpha(float* v, int pixels) {
    for (int i = 0; i < pixels; ++i) {
        const float alpha = v[4 * i + 3], factor = alpha > 0.0f ? 1.0f / alpha : 1.0f;
        for (int c = 0; c < 3; ++c) v[4 * i + c] *= factor;
    }
}
void multiply_by_alpha(float* v, const float* alphas, int pixels) {
    for (int i = 0; i < pixels; ++i) {
        const float alpha = alphas[4 * i + 3], factor = alpha > 0.0f ? alpha : 1.0f;
        for (int c = 0; c < 3; ++c) v[4 * i + c] *= factor;
    }
}

// A block of the host's numbers, colours no longer multiplied by alpha, which stays as it is in `alphas`.
template <class T>
void numbers(const T* from, float* to, float* alphas, int pixels, const HostPicture& form) {
    const int count = pixels * form.channels;
    load(from, to, count);
    if (form.premultiplied) {
        std::memcpy(alphas, to, sizeof(float) * static_cast<size_t>(count));
        divide_by_alpha(to, pixels);
    }
}

// Four channels to three: each store of four spills into the pixel after it, which comes next.
void drop_alpha(const float* from, float* to, int pixels) {
    for (int i = 0; i + 1 < pixels; ++i) deblur::store(to + 3 * i, deblur::load<deblur::f4>(from + 4 * i));
    if (pixels > 0) std::memcpy(to + 3 * (pixels - 1), from + 4 * (pixels - 1), 3 * sizeof(float));
}

// Three channels to four; the fourth is of no account.
void add_alpha(const float* from, float* to, int pixels) {
    for (int i = 0; i + 1 < pixels; ++i) deblur::store(to + 4 * i, deblur::load<deblur::f4>(from + 3 * i));
    if (pixels > 0) {
        std::memcpy(to + 4 * (pixels - 1), from + 3 * (pixels - 1), 3 * sizeof(float));
        to[4 * (pixels - 1) + 3] = 0.0f;
    }
}

// 1 in place of values that came back as they went or could not be sent, 0 of all others.
BRIDGE_WIDER void mark_own(float* values, const float* back, const float* sent, int count) {
    for (int i = 0; i < count; ++i) {
        const bool same = deblur::bits_of(back[i]) == deblur::bits_of(sent[i]);
        values[i] = (same | (sane(values[i]) != values[i])) ? 1.0f : 0.0f;
    }
}

struct Buffers {
    alignas(64) float before[4 * block], after[4 * block], alphas[4 * block], sent[4 * block];
    alignas(64) uint8_t stand_in[16 * block];
};

// ---- RGBA floats that are the engine's own numbers: what most hosts send, and memory alone sets the pace

bool opaque(const float* rgba, int pixels) {
    bool all = true;
    for (int i = 0; i < pixels; ++i) all &= rgba[4 * i + 3] == 1.0f;
    return all;
}

bool plain(const float* from, int pixels, const HostPicture& form, Coding coding) {
    return form.channels == 4 && coding.from_light == Transfer::none && (!form.premultiplied || opaque(from, pixels));
}

// Three channels travel as four: each store of four spills into the pixel after it, which comes next, but for the last.
void take_plain(const float* from, float* to, int pixels, Taken& taken) {
    int i = 0;
#if defined(__GNUC__)
    typedef uint32_t u4 __attribute__((vector_size(16)));
    // Without their signs floats rise as their bits do, and what is no number lies above all that are.
    u4 largest = {}, missing = {};
    for (; i + 1 < pixels; ++i) {
        u4 v;
        std::memcpy(&v, from + 4 * i, sizeof v);
        const u4 size = v & 0x7fffffffu;
        largest = size > largest ? size : largest;
        missing |= v ^ 0x3f800000u;  // 1.0f
        std::memcpy(to + 3 * i, &v, sizeof v);
    }
    const auto limit = static_cast<uint32_t>(deblur::bits_of(most));
    taken.opaque &= missing[3] == 0;
    if (largest[0] > limit || largest[1] > limit || largest[2] > limit) i = 0;  // once more, value by value
#endif
    for (; i < pixels; ++i) {
        for (int c = 0; c < 3; ++c) {
            to[3 * i + c] = sane(from[4 * i + c]);
            taken.exact &= to[3 * i + c] == from[4 * i + c];
        }
        taken.opaque &= from[4 * i + 3] == 1.0f;
    }
}

void give_plain(const float* result, const float* source, float* to, int pixels) {
    int i = 0;
#if defined(__GNUC__)
    for (; i + 1 < pixels; ++i) {
        const deblur::f4 made = deblur::load<deblur::f4>(result + 3 * i),
                         own = deblur::load<deblur::f4>(source + 4 * i);
        // Nothing of alpha, and false for what is no number.
        const deblur::f4 limits = {most, most, most, -1.0f}, size = own < 0.0f ? -own : own;
        deblur::store(to + 4 * i, size <= limits ? made : own);
    }
#endif
    for (; i < pixels; ++i)
        for (int c = 0; c < 4; ++c)
            to[4 * i + c] = c < 3 && std::fabs(source[4 * i + c]) <= most ? result[3 * i + c] : source[4 * i + c];
}

// ---- what tells pictures apart

constexpr uint64_t mixer = 0x9E3779B97F4A7C15u;

uint64_t mixed(uint64_t v) {  // SplitMix64's end
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9u;
    v = (v ^ (v >> 27)) * 0x94D049BB133111EBu;
    return v ^ (v >> 31);
}

struct Keys {
    alignas(16) uint32_t of[3 * block];
    Keys() {
        uint64_t state = 0;
        for (uint32_t& key : of) key = static_cast<uint32_t>(mixed(state += mixer) >> 32);
    }
};
const Keys keys;

// NH of the block's bits: the sum of products of pairs with keys added (Black et al., "UMAC", CRYPTO '99).
uint64_t mark_of(const float* values, int count) {
    uint64_t sum = 0;
    int i = 0;
#if defined(__SSE2__)
    __m128i sums = _mm_setzero_si128();
    for (; i + 3 < count; i += 4) {
        const __m128i v = _mm_add_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values + i)),
                                        _mm_load_si128(reinterpret_cast<const __m128i*>(keys.of + i)));
        sums = _mm_add_epi64(sums, _mm_mul_epu32(v, _mm_srli_epi64(v, 32)));
    }
    alignas(16) uint64_t halves[2];
    _mm_store_si128(reinterpret_cast<__m128i*>(halves), sums);
    sum = halves[0] + halves[1];
#endif
    const auto keyed = [&](int at) {
        return static_cast<uint64_t>(static_cast<uint32_t>(deblur::bits_of(values[at])) + keys.of[at]);
    };
    for (; i + 1 < count; i += 2) sum += (keyed(i) & 0xffffffffu) * (keyed(i + 1) & 0xffffffffu);
    if (i < count) sum += mixed(keyed(i));
    return sum;
}

// ---- a block in any form

template <class T>
void take_block(const T* from, float* to, int pixels, const HostPicture& form, Coding coding, Buffers& b,
                Taken& taken) {
    if constexpr (std::is_same_v<T, float>)
        if (plain(from, pixels, form, coding)) return take_plain(from, to, pixels, taken);
    const int count = pixels * form.channels;
    numbers(from, b.before, b.alphas, pixels, form);
    bool exact = coding.from_light == Transfer::none;
    if (exact && form.channels == 4) {
        const bool all = opaque(b.before, pixels);
        exact = all || !form.premultiplied;
        taken.opaque &= all;
    } else {
        taken.opaque = false;
    }
    int32_t changed = 0;
    for (int i = 0; i < count; ++i) {
        const float v = sane(b.before[i]);
        changed |= deblur::bits_of(v) ^ deblur::bits_of(b.before[i]);
        b.before[i] = v;
    }
    taken.exact &= exact && changed == 0;
    encode(b.before, count, coding.from_light);
    if (form.channels == 4) {
        drop_alpha(b.before, to, pixels);
    } else {
        std::memcpy(to, b.before, sizeof(float) * static_cast<size_t>(count));
    }
}

// Of a picture that went to the engine bit by bit, so that what it left alone comes back so. Alpha is the source's.
template <class T>
void give_exact(const float* result, const T* source, T* to, int pixels, const HostPicture& form, bool opaque,
                Buffers& b) {
    const int count = pixels * form.channels;
    if (form.channels == 3) {
        if constexpr (std::is_same_v<T, float>) {
            std::memcpy(to, result, sizeof(float) * static_cast<size_t>(count));
        } else {
            for (int i = 0; i < count; ++i) to[i] = stored(result[i], T{});
        }
        return;
    }
    if constexpr (std::is_same_v<T, float>) {
        if (!opaque) return give_plain(result, source, to, pixels);
        int i = 0;
#if defined(__GNUC__)
        for (; i + 1 < pixels; ++i) {
            deblur::f4 v = deblur::load<deblur::f4>(result + 3 * i);
            v[3] = 1.0f;
            deblur::store(to + 4 * i, v);
        }
#endif
        for (; i < pixels; ++i) {
            std::memcpy(to + 4 * i, result + 3 * i, 3 * sizeof(float));
            to[4 * i + 3] = 1.0f;
        }
    } else {
        add_alpha(result, b.after, pixels);
        for (int i = 0; i < count; ++i) to[i] = stored(b.after[i], T{});
        const T whole = stored(1.0f, T{});
        if (opaque) {
            for (int i = 0; i < pixels; ++i) to[4 * i + 3] = whole;
        } else {
            for (int i = 0; i < pixels; ++i) to[4 * i + 3] = source[4 * i + 3];
        }
    }
}

// Where the engine's number is the very one that it was sent, and where it could not be sent the source's, the source's
// own value goes out.
template <class T>
void give_block(const float* result, const float* sent, const T* source, T* to, int pixels, const HostPicture& form,
                Coding coding, Show show, Buffers& b) {
    const int count = pixels * form.channels;
    if (show == Show::result || show == Show::split) {
        if (std::memcmp(result, sent, sizeof(float) * 3 * static_cast<size_t>(pixels)) == 0)
            return void(std::memcpy(to, source, sizeof(T) * static_cast<size_t>(count)));
        if constexpr (std::is_same_v<T, float>)
            if (plain(source, pixels, form, coding)) return give_plain(result, source, to, pixels);
    }
    numbers(source, b.before, b.alphas, pixels, form);
    if (form.channels == 4) {
        add_alpha(result, b.after, pixels);
        add_alpha(sent, b.sent, pixels);
        for (int i = 0; i < pixels; ++i) b.after[4 * i + 3] = b.sent[4 * i + 3] = b.before[4 * i + 3];
    } else {
        std::memcpy(b.after, result, sizeof(float) * static_cast<size_t>(count));
        std::memcpy(b.sent, sent, sizeof(float) * static_cast<size_t>(count));
    }
    // What goes out as the source's own is kept in `before`, which is used up by then: not 0 there.
    mark_own(b.before, b.after, b.sent, count);
    if (show == Show::difference || show == Show::map) {  // nothing here is the source's, but alpha
        for (int i = 0; i < count; ++i) {
            const bool alpha = form.channels == 4 && (i & 3) == 3;
            b.before[i] = alpha ? 1.0f : 0.0f;
            if (show == Show::difference && !alpha) b.after[i] = 0.5f + difference_gain * (b.after[i] - b.sent[i]);
        }
    }
    decode(b.after, count, coding.from_light);
    if (form.premultiplied) multiply_by_alpha(b.after, b.alphas, pixels);
    for (int i = 0; i < count; ++i) {
        const T value = stored(b.after[i], T{});
        to[i] = b.before[i] != 0.0f ? source[i] : value;
    }
}

// ---- one depth or number of channels to another, for hosts whose clips differ

template <class F>
void with_type(Depth depth, F&& body) {
    switch (depth) {
        case Depth::byte: return body(uint8_t{});
        case Depth::word: return body(uint16_t{});
        case Depth::half: return body(Half{});
        case Depth::floating: return body(float{});
    }
}

bool alike(const HostPicture& a, const HostPicture& b) { return a.depth == b.depth && a.channels == b.channels; }

// A block of `source` in the form of `form`.
void convert(const uint8_t* from, const HostPicture& source, uint8_t* to, const HostPicture& form, int pixels) {
    float numbers[4 * block], changed[4 * block];
    with_type(source.depth,
              [&](auto t) { load(reinterpret_cast<const decltype(t)*>(from), numbers, pixels * source.channels); });
    for (int i = 0; i < pixels; ++i)
        for (int c = 0; c < form.channels; ++c) {
            const bool there = c < source.channels && (source.channels > 1 || form.channels == 1);
            changed[i * form.channels + c] = there                  ? numbers[i * source.channels + c]
                                             : source.channels == 1 ? (c == 3 ? numbers[i] : 0.0f)
                                                                    : 1.0f;
        }
    with_type(form.depth, [&](auto t) {
        auto* out = reinterpret_cast<decltype(t)*>(to);
        for (int i = 0; i < pixels * form.channels; ++i) out[i] = stored(changed[i], t);
    });
}

}  // namespace
}  // namespace bridge
