// SPDX-License-Identifier: Apache-2.0
#include "pixels.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>

#include "blocks.h"

namespace bridge {
namespace {

constexpr int64_t large = 1 << 19;  // pixels from which on a second thread pays
constexpr int band = 24;            // rows that a thread takes at a time

// ---- over the picture

// body(first row, one past the last) for all rows, in two threads where the picture is large. Each takes a few rows at
// a time: other work may hold one of them up.
template <class F>
void over_rows(int rows, int64_t pixels, F&& body) {
    if (pixels < large || rows <= band || std::thread::hardware_concurrency() < 2) return body(0, rows);
    std::atomic<int> next{0};
    const auto work = [&] {
        for (int first; (first = next.fetch_add(band)) < rows;) body(first, std::min(first + band, rows));
    };
    std::thread other;
    try {
        other = std::thread(work);
    } catch (const std::system_error&) {  // no more threads: then alone
    }
    work();
    if (other.joinable()) other.join();
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

Taken take(const HostPicture& source, Coding coding, float* picture) {
    const int width = source.bounds.width(), height = source.bounds.height();
    std::atomic<bool> exact{true}, opaque{true};
    std::atomic<uint64_t> marks{0};
    over_rows(height, static_cast<int64_t>(width) * height, [&](int first, int last) {
        Buffers buffers;
        Taken taken;
        uint64_t sum = 0;
        for (int row = first; row < last; ++row) {
            const uint8_t* from = source.row(source.bounds.y2 - 1 - row);
            float* to = picture + static_cast<int64_t>(row) * width * 3;
            uint64_t mark = static_cast<uint64_t>(row) * mixer;
            for (int x = 0; x < width; x += block) {
                const int pixels = std::min(block, width - x);
                with_type(source.depth, [&](auto t) {
                    const auto* values = reinterpret_cast<const decltype(t)*>(from) + x * source.channels;
                    take_block(values, to + 3 * x, pixels, source, coding, buffers, taken);
                });
                mark = mixed(mark + mark_of(to + 3 * x, 3 * pixels));
            }
            sum += mark;
        }
        marks += sum;  // in whatever order
        if (!taken.exact) exact = false;
        if (!taken.opaque) opaque = false;
    });
    return {exact, opaque, marks == 0 ? 1 : marks.load()};
}

void give(const float* result, const float* sent, Taken taken, const HostPicture& source, Coding coding, Show show,
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
    const bool exact = taken.exact && alike(source, output) && (show == Show::result || show == Show::split);
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
                    if (exact)
                        return give_exact(result + place, reinterpret_cast<const T*>(original),
                                          reinterpret_cast<T*>(at(output, x, y)), count, form, taken.opaque, buffers);
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
    over_rows(inside.height(), static_cast<int64_t>(inside.width()) * inside.height(), [&](int first, int last) {
        for (int y = inside.y1 + first; y < inside.y1 + last; ++y) {
            if (alike(source, output)) {
                std::memcpy(at(output, inside.x1, y), at(source, inside.x1, y),
                            static_cast<size_t>(inside.width()) * static_cast<size_t>(source.pixel_bytes()));
                continue;
            }
            for (int x = inside.x1; x < inside.x2; x += block)
                convert(at(source, x, y), source, at(output, x, y), output, std::min(block, inside.x2 - x));
        }
    });
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
