// SPDX-License-Identifier: Apache-2.0
// Every depth, number of channels, premultiplication and curve, there and back, in pictures that end where their memory
// does. What the engine leaves alone keeps its bits, whatever they are.
#include "pixels.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "../../cpp/expect.h"
#include "half.h"

using namespace bridge;

namespace {

using deblur::failures;

std::mt19937 generator(3);

struct Owned {
    std::vector<uint8_t> memory;
    HostPicture picture;

    Owned(int width, int height, Depth depth, int channels, bool premultiplied, bool flipped, int padding) {
        picture.bounds = {-3, 5, -3 + width, 5 + height};
        picture.depth = depth, picture.channels = channels;
        picture.premultiplied = premultiplied && channels == 4;
        const ptrdiff_t row = static_cast<ptrdiff_t>(width) * picture.pixel_bytes() + padding;
        memory.assign(static_cast<size_t>(row * height), 0xA5);
        picture.row_bytes = flipped ? -row : row;
        picture.data = memory.data() + (flipped ? row * (height - 1) : 0);
    }
    // Any bits at all for what is left alone.
    void fill_with_anything() {
        for (auto& byte : memory) byte = static_cast<uint8_t>(generator());
    }
    void put(int x, int y, int c, float v) {
        uint8_t* at = picture.row(y) + (x - picture.bounds.x1) * picture.pixel_bytes();
        const float cut = std::fmin(std::fmax(v, 0.0f), 1.0f);
        switch (picture.depth) {
            case Depth::byte: at[c] = static_cast<uint8_t>(cut * 255 + 0.5f); break;
            case Depth::word: {
                const auto n = static_cast<uint16_t>(cut * 65535 + 0.5f);
                std::memcpy(at + 2 * c, &n, 2);
                break;
            }
            case Depth::half: {
                const deblur::Half n = deblur::to_half(v);
                std::memcpy(at + 2 * c, &n, 2);
                break;
            }
            case Depth::floating: std::memcpy(at + 4 * c, &v, 4); break;
        }
    }
    float get(int x, int y, int c) const {
        const uint8_t* at = picture.row(y) + (x - picture.bounds.x1) * picture.pixel_bytes();
        uint16_t n;
        float v;
        switch (picture.depth) {
            case Depth::byte: return static_cast<float>(at[c]) / 255;
            case Depth::word: std::memcpy(&n, at + 2 * c, 2); return static_cast<float>(n) / 65535;
            case Depth::half: std::memcpy(&n, at + 2 * c, 2); return deblur::to_float(deblur::Half{n});
            case Depth::floating: std::memcpy(&v, at + 4 * c, 4); return v;
        }
        return 0;
    }
    bool same_pixels(const Owned& other) const {
        for (int y = picture.bounds.y1; y < picture.bounds.y2; ++y)
            if (std::memcmp(picture.row(y), other.picture.row(y),
                            static_cast<size_t>(picture.bounds.width() * picture.pixel_bytes())) != 0)
                return false;
        return true;
    }
};

float step_of(Depth depth) {
    return depth == Depth::byte   ? 1.0f / 255
           : depth == Depth::word ? 1.0f / 65535
           : depth == Depth::half ? 1e-3f
                                  : 1e-6f;
}

double srgb_to_light(double v) { return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); }
double light_to_srgb(double v) { return v <= 0.0031308 ? v * 12.92 : 1.055 * std::pow(v, 1 / 2.4) - 0.055; }

// What take() says spares give() a look at the source, and changes nothing of what comes out.
void same_either_way(const std::vector<float>& result, const std::vector<float>& sent, Taken taken, const Owned& source,
                     Coding coding) {
    const HostPicture& form = source.picture;
    Owned one(form.bounds.width(), form.bounds.height(), form.depth, form.channels, form.premultiplied, false, 0);
    Owned other = one;
    other.picture.data = other.memory.data();
    give(result.data(), sent.data(), taken, form, coding, Show::result, one.picture, one.picture.bounds);
    give(result.data(), sent.data(), {false, false, 0}, form, coding, Show::result, other.picture,
         other.picture.bounds);
    EXPECT(one.same_pixels(other));
}

void marks_tell_pictures_apart(Owned& source, Coding coding) {
    const Box b = source.picture.bounds;
    std::vector<float> picture(static_cast<size_t>(b.width()) * static_cast<size_t>(b.height()) * 3);
    const Taken first = take(source.picture, coding, picture.data());
    EXPECT(first.mark != 0 && take(source.picture, coding, picture.data()).mark == first.mark);
    for (int i = 0; i < 8; ++i) {
        const int x = b.x1 + static_cast<int>(generator() % static_cast<unsigned>(b.width())),
                  y = b.y1 + static_cast<int>(generator() % static_cast<unsigned>(b.height())), c = i % 3;
        const float was = source.get(x, y, c);
        source.put(x, y, c, was < 0.5f ? was + 0.25f : was - 0.25f);
        EXPECT(take(source.picture, coding, picture.data()).mark != first.mark);
        source.put(x, y, c, was);
    }
    EXPECT(take(source.picture, coding, picture.data()).mark == first.mark);
}

void try_one(int width, int height, Depth depth, int channels, bool premultiplied, bool flipped, Transfer curve,
             bool opaque) {
    const int padding = flipped ? 12 : 0;
    const Coding coding{curve};
    std::vector<float> picture(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);

    // Anything, left alone.
    Owned anything(width, height, depth, channels, premultiplied, flipped, padding);
    anything.fill_with_anything();
    Owned out(width, height, depth, channels, premultiplied, !flipped, padding);
    const Taken odd = take(anything.picture, coding, picture.data());
    for (const float v : picture) EXPECT(std::isfinite(v));
    std::vector<float> sent = picture;
    give(picture.data(), sent.data(), odd, anything.picture, coding, Show::result, out.picture, out.picture.bounds);
    EXPECT(out.same_pixels(anything));
    same_either_way(picture, sent, odd, anything, coding);
    // Changed, all but what could not be sent as it is.
    for (float& v : picture) v = 0.25f;
    same_either_way(picture, sent, odd, anything, coding);
    give(picture.data(), sent.data(), odd, anything.picture, coding, Show::result, out.picture, out.picture.bounds);
    for (int y = out.picture.bounds.y1; y < out.picture.bounds.y2; ++y)
        for (int x = out.picture.bounds.x1; x < out.picture.bounds.x2; ++x)
            for (int c = 0; c < 3 && depth == Depth::floating; ++c) {
                const float was = anything.get(x, y, c), is = out.get(x, y, c);
                if (!(std::fabs(was) <= 65504.0f) && !anything.picture.premultiplied)
                    EXPECT(std::memcmp(&was, &is, sizeof was) == 0);
            }

    // Known values against arithmetic in double, then changed.
    Owned known(width, height, depth, channels, premultiplied, flipped, padding);
    std::uniform_real_distribution<float> any(0.02f, 0.9f), alphas(0.2f, 1.0f);
    const Box b = known.picture.bounds;
    for (int y = b.y1; y < b.y2; ++y)
        for (int x = b.x1; x < b.x2; ++x) {
            const float alpha = channels == 4 && !opaque ? alphas(generator) : 1;
            for (int c = 0; c < 3; ++c) known.put(x, y, c, any(generator) * (known.picture.premultiplied ? alpha : 1));
            if (channels == 4) known.put(x, y, 3, alpha);
        }
    const Taken taken = take(known.picture, coding, picture.data());
    EXPECT(taken.exact == (curve == Transfer::none && (!known.picture.premultiplied || opaque)));
    EXPECT(channels == 3 || taken.opaque == (opaque && curve == Transfer::none));
    if (width < 300) marks_tell_pictures_apart(known, coding);
    sent = picture;
    const auto at = [&](int x, int y, int c) -> float& {
        return picture[(static_cast<size_t>(b.y2 - 1 - y) * static_cast<size_t>(width) +
                        static_cast<size_t>(x - b.x1)) *
                           3 +
                       static_cast<size_t>(c)];
    };
    for (int y = b.y1; y < b.y2; ++y)
        for (int x = b.x1; x < b.x2; ++x)
            for (int c = 0; c < 3; ++c) {
                double v = known.get(x, y, c);
                if (known.picture.premultiplied) v /= known.get(x, y, 3);
                if (curve == Transfer::srgb) v = light_to_srgb(v);
                EXPECT(std::fabs(at(x, y, c) - v) < 3e-6);
                if (x % 3 > 0) at(x, y, c) = at(x, y, c) * 0.5f + 0.1f;
            }
    same_either_way(picture, sent, taken, known, coding);
    give(picture.data(), sent.data(), taken, known.picture, coding, Show::result, out.picture, out.picture.bounds);
    for (int y = b.y1; y < b.y2; ++y)
        for (int x = b.x1; x < b.x2; ++x) {
            const double alpha = known.picture.premultiplied ? known.get(x, y, 3) : 1;
            for (int c = 0; c < 3; ++c) {
                double v = at(x, y, c);
                if (curve == Transfer::srgb) v = srgb_to_light(v);
                EXPECT(std::fabs(out.get(x, y, c) - v * alpha) < 0.51 * step_of(depth) + 3e-6);
            }
            if (channels == 4) EXPECT(out.get(x, y, 3) == known.get(x, y, 3));
        }

    // Split: left as it was. Window: the rest untouched.
    Owned parts(width, height, depth, channels, premultiplied, flipped, padding);
    give(picture.data(), sent.data(), taken, known.picture, coding, Show::split, parts.picture, parts.picture.bounds);
    for (int x = b.x1; x < b.x2; ++x)
        EXPECT(parts.get(x, b.y1, 0) == (x < b.x1 + width / 2 ? known : out).get(x, b.y1, 0));
    if (width > 2 && height > 2) {
        Owned inside(width, height, depth, channels, premultiplied, flipped, padding);
        give(picture.data(), sent.data(), taken, known.picture, coding, Show::result, inside.picture,
             {b.x1 + 1, b.y1 + 1, b.x2 - 1, b.y2 - 1});
        const Owned fresh(width, height, depth, channels, premultiplied, flipped, padding);
        EXPECT(std::memcmp(inside.picture.row(b.y1), fresh.picture.row(b.y1), 4) == 0);
        EXPECT(inside.get(b.x1 + 1, b.y1 + 1, 1) == out.get(b.x1 + 1, b.y1 + 1, 1));
        EXPECT(inside.memory[static_cast<size_t>(std::abs(inside.picture.row_bytes)) - 1] == 0xA5);
    }
}

void beyond_the_source() {
    Owned source(6, 5, Depth::floating, 4, false, false, 0), out(10, 9, Depth::floating, 4, false, true, 8);
    source.picture.bounds = {0, 0, 6, 5};
    out.picture.bounds = {-2, -2, 8, 7};
    for (int y = 0; y < 5; ++y)
        for (int x = 0; x < 6; ++x)
            for (int c = 0; c < 4; ++c) source.put(x, y, c, static_cast<float>(x + 10 * y + 100 * c));
    pass(source.picture, out.picture, {-5, -5, 50, 50});
    for (int y = -2; y < 7; ++y)
        for (int x = -2; x < 8; ++x)
            EXPECT(out.get(x, y, 2) ==
                   (x >= 0 && x < 6 && y >= 0 && y < 5 ? static_cast<float>(x + 10 * y + 200) : 0.0f));
    pass(source.picture, out.picture, {100, 100, 120, 120});
}

void from_one_form_to_another() {
    for (const int channels : {3, 4}) {
        Owned source(300, 4, Depth::byte, 4, false, true, 4), out(300, 4, Depth::floating, channels, false, false, 0);
        source.fill_with_anything();
        pass(source.picture, out.picture, out.picture.bounds);
        std::vector<float> picture(300 * 4 * 3);
        const Taken taken = take(source.picture, {}, picture.data());
        const std::vector<float> sent = picture;
        for (auto& v : picture) v = 0.25f;
        const float kept = out.get(5, 6, 1);
        EXPECT(std::fabs(kept - source.get(5, 6, 1)) < 1e-6f);
        give(picture.data(), sent.data(), taken, source.picture, {}, Show::result, out.picture, out.picture.bounds);
        EXPECT(out.get(5, 6, 1) == 0.25f);
        if (channels == 4) EXPECT(std::fabs(out.get(5, 6, 3) - source.get(5, 6, 3)) < 1e-6f);
    }
}

}  // namespace

int main() {
    const int sizes[][2] = {{1, 1}, {2, 1}, {1, 3}, {255, 2}, {257, 5}, {1021, 601}};
    for (const auto& size : sizes)
        for (const Depth depth : {Depth::byte, Depth::word, Depth::half, Depth::floating})
            for (const int channels : {3, 4})
                for (const bool premultiplied : {false, true})
                    for (const Transfer curve : {Transfer::none, Transfer::srgb}) {
                        if (premultiplied && channels == 3) continue;
                        if (size[0] > 1000 && (curve != Transfer::none || depth == Depth::word)) continue;
                        for (const bool opaque : {false, true})
                            try_one(size[0], size[1], depth, channels, premultiplied, (size[0] + channels) % 2 == 0,
                                    curve, opaque);
                    }
    beyond_the_source();
    from_one_form_to_another();
    std::printf(failures == 0 ? "all well\n" : "%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
