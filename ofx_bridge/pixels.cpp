// SPDX-License-Identifier: Apache-2.0
// Every loop goes over a block of a row that stays in the first-level cache, with its values one after the other and no
// branches, so that compilers vectorise it whatever the depth. Blocks hold four channels, or three, as the host does.
#include "pixels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <system_error>
#include <thread>
#include <type_traits>

#include "half.h"
#include "simd.h"
#include "transfer.h"

namespace bridge {
namespace {

using deblur::Half;

constexpr int block = 256;               // pixels
constexpr int64_t large = 1 << 19;       // pixels from which on a second thread pays
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

template <Transfer K>
void encode(float* v, int count) {
    for (int i = 0; i < count; ++i) v[i] = deblur::from_linear<K>(v[i]);
}
template <Transfer K>
void decode(float* v, int count) {
    for (int i = 0; i < count; ++i) v[i] = deblur::to_linear<K>(v[i]);
}

void encode(float* v, int count, Transfer curve) {
    switch (curve) {
        case Transfer::none: return;
        case Transfer::srgb: return encode<Transfer::srgb>(v, count);
        case Transfer::bt709: return encode<Transfer::bt709>(v, count);
        case Transfer::gamma22: return encode<Transfer::gamma22>(v, count);
    }
}
void decode(float* v, int count, Transfer curve) {
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

bool same_bits(float a, float b) { return deblur::bits_of(a) == deblur::bits_of(b); }

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
void take_plain(const float* from, float* to, int pixels) {
    int i = 0;
#if defined(__GNUC__)
    for (; i + 1 < pixels; ++i) {
        deblur::f4 v = deblur::load<deblur::f4>(from + 4 * i);
        v = v == v ? v : deblur::f4{};
        v = v > most ? deblur::f4{} + most : v;
        deblur::store(to + 3 * i, v < -most ? deblur::f4{} - most : v);
    }
#endif
    for (; i < pixels; ++i)
        for (int c = 0; c < 3; ++c) to[3 * i + c] = sane(from[4 * i + c]);
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

// ---- a block in any form

template <class T>
void take_block(const T* from, float* to, int pixels, const HostPicture& form, Coding coding, Buffers& b) {
    if constexpr (std::is_same_v<T, float>)
        if (plain(from, pixels, form, coding)) return take_plain(from, to, pixels);
    const int count = pixels * form.channels;
    numbers(from, b.before, b.alphas, pixels, form);
    for (int i = 0; i < count; ++i) b.before[i] = sane(b.before[i]);
    encode(b.before, count, coding.from_light);
    if (form.channels == 4) {
        drop_alpha(b.before, to, pixels);
    } else {
        std::memcpy(to, b.before, sizeof(float) * static_cast<size_t>(count));
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
    for (int i = 0; i < count; ++i)
        b.before[i] = same_bits(b.after[i], b.sent[i]) || sane(b.before[i]) != b.before[i] ? 1.0f : 0.0f;
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

// ---- over the picture

// body(first row, one past the last) for all rows, in two threads where the picture is large.
template <class F>
void over_rows(int rows, int64_t pixels, F&& body) {
    if (pixels < large || rows < 2 || std::thread::hardware_concurrency() < 2) return body(0, rows);
    const int middle = rows / 2;
    std::thread other;
    try {
        other = std::thread([&] { body(middle, rows); });
    } catch (const std::system_error&) {  // no more threads: then alone
        return body(0, rows);
    }
    body(0, middle);
    other.join();
}

Box common_part(Box a, Box b) {
    return {std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)};
}

uint8_t* at(const HostPicture& picture, int x, int y) {
    return picture.row(y) + static_cast<ptrdiff_t>(x - picture.bounds.x1) * picture.pixel_bytes();
}

}  // namespace

int HostPicture::pixel_bytes() const {
    return channels * (depth == Depth::byte ? 1 : depth == Depth::floating ? 4 : 2);
}

void take(const HostPicture& source, Coding coding, float* picture) {
    const int width = source.bounds.width(), height = source.bounds.height();
    over_rows(height, static_cast<int64_t>(width) * height, [&](int first, int last) {
        Buffers buffers;
        for (int row = first; row < last; ++row) {
            const uint8_t* from = source.row(source.bounds.y2 - 1 - row);
            float* to = picture + static_cast<int64_t>(row) * width * 3;
            for (int x = 0; x < width; x += block) {
                const int pixels = std::min(block, width - x);
                with_type(source.depth, [&](auto t) {
                    const auto* values = reinterpret_cast<const decltype(t)*>(from) + x * source.channels;
                    take_block(values, to + 3 * x, pixels, source, coding, buffers);
                });
            }
        }
    });
}

void give(const float* result, const float* sent, const HostPicture& source, Coding coding, Show show,
          const HostPicture& output, Box window) {
    window = common_part(window, output.bounds);
    Box inside = common_part(window, source.bounds);
    if (inside.width() <= 0 || inside.height() <= 0) return clear(output, window);
    if (inside.width() != window.width() || inside.height() != window.height()) clear(output, window);
    if (show == Show::split) {  // the left half as it was
        const int middle = source.bounds.x1 + source.bounds.width() / 2;
        Box left = inside;
        left.x2 = std::clamp(middle, inside.x1, inside.x2);
        if (left.width() > 0) pass(source, output, left);
        inside.x1 = left.x2;
        if (inside.width() <= 0) return;
    }
    const int width = source.bounds.width();
    const int64_t pixels = static_cast<int64_t>(inside.width()) * inside.height();
    HostPicture form = source;  // of what the blocks are made of
    form.depth = output.depth, form.channels = output.channels;
    form.premultiplied = source.premultiplied && output.channels == 4 && source.channels == 4;
    over_rows(inside.height(), pixels, [&](int first, int last) {
        Buffers buffers;
        for (int row = first; row < last; ++row) {
            const int y = inside.y1 + row;
            const int64_t line = static_cast<int64_t>(source.bounds.y2 - 1 - y) * width * 3;
            for (int x = inside.x1; x < inside.x2; x += block) {
                const int count = std::min(block, inside.x2 - x);
                const uint8_t* original = at(source, x, y);
                if (!alike(source, output)) {
                    convert(original, source, buffers.stand_in, output, count);
                    original = buffers.stand_in;
                }
                with_type(output.depth, [&](auto t) {
                    using T = decltype(t);
                    const int64_t place = line + 3 * static_cast<int64_t>(x - source.bounds.x1);
                    give_block(result + place, sent + place, reinterpret_cast<const T*>(original),
                               reinterpret_cast<T*>(at(output, x, y)), count, form, coding, show, buffers);
                });
            }
        }
    });
}

void pass(const HostPicture& source, const HostPicture& output, Box window) {
    window = common_part(window, output.bounds);
    const Box inside = common_part(window, source.bounds);
    if (inside.width() <= 0 || inside.height() <= 0) return clear(output, window);
    if (inside.width() != window.width() || inside.height() != window.height()) clear(output, window);
    for (int y = inside.y1; y < inside.y2; ++y) {
        if (alike(source, output)) {
            std::memcpy(at(output, inside.x1, y), at(source, inside.x1, y),
                        static_cast<size_t>(inside.width()) * static_cast<size_t>(source.pixel_bytes()));
            continue;
        }
        for (int x = inside.x1; x < inside.x2; x += block)
            convert(at(source, x, y), source, at(output, x, y), output, std::min(block, inside.x2 - x));
    }
}

void strike(const HostPicture& output, Box window) {
    window = common_part(window, output.bounds);
    with_type(output.depth, [&](auto t) {
        using T = decltype(t);
        const T magenta[4] = {stored(1.0f, t), stored(0.0f, t), stored(1.0f, t), stored(1.0f, t)};
        for (int y = window.y1; y < window.y2; ++y)
            for (int x = window.x1; x < window.x2; ++x)
                if (((x + y) & 63) < 12)
                    std::memcpy(at(output, x, y), magenta, sizeof(T) * static_cast<size_t>(output.channels));
    });
}

void clear(const HostPicture& output, Box window) {
    window = common_part(window, output.bounds);
    if (window.width() <= 0) return;
    for (int y = window.y1; y < window.y2; ++y)
        std::memset(at(output, window.x1, y), 0,
                    static_cast<size_t>(window.width()) * static_cast<size_t>(output.pixel_bytes()));
}

}  // namespace bridge
