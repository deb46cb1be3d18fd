// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include "reblur_follow.h"
#include "reblur_paths.h"
#include "reblur_pixels.h"
#include "reblur_plane.h"

namespace deblur {
namespace {

// The means of a block of `count` pixels from (x, y) of the picture on.
template <class Of, bool Bends>
void integrate(const ReblurTask& t, const Piece& p, const Paths& paths, int count, int x, int y, float* to) {
    typedef typename Of::Value Value;
    const int row = static_cast<int>(p.across * Of::kStride), top = static_cast<int>(p.top),
              left = static_cast<int>(p.left);
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    const auto read = [&](int at_x, int at_y) {
        return load<Value>(p.linear + (at_y - top) * row + (at_x - left) * Of::kStride);
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
            follow<Of, Bends>(p.linear + (y - top) * row + (x + first - left) * Of::kStride, row, paths, first, least,
                              most, to + first * Of::kEach);
            continue;
        }
        for (int i = first; i < first + pixels; ++i) {
            Path path = {paths.mx[i], paths.my[i], 0.0f, 0.0f, paths.samples[i], paths.still[i]};
            if (Bends) path.kx = paths.kx[i], path.ky = paths.ky[i];
            store(to + i * Of::kEach, mean_along<Bends, Value>(path, x + i, y, width, height, read));
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

// Asks for the line of the part that the paths of the strip's next line will be the first to read: a strip is many
// short stretches of memory, which a processor does not foresee by itself.
template <int Stride>
DEBLUR_FN void prefetch_below(const Piece& p, int64_t y, int64_t x, int count) {
#if defined(__GNUC__)
    const int64_t above = p.crop.y + p.y - p.top, beside = p.crop.x + p.x - p.left;
    const int64_t line = y + 1 + above - p.top;
    if (line >= p.down) return;
    const float* from = p.linear + (line * p.across + x - beside - p.left) * Stride;
    for (int64_t i = 0; i < count + 2 * beside; i += 16 / Stride) __builtin_prefetch(from + i * Stride);
#else
    (void)p, (void)y, (void)x, (void)count;
#endif
}

template <class Of>
DEBLUR_FN void fetch_block(const ReblurTask& t, const Piece& p, int64_t y, int64_t x, int count, float* to) {
    if constexpr (Of::kEach == 1) {
        fetch_plane(t, p, y, x, count, to);
    } else {
        fetch(t, p, y, x, count, to);
    }
}

template <class Of>
DEBLUR_FN void put_block(const ReblurTask& t, const Picture<void>& to, const Piece& p, int64_t y, int64_t x, int count,
                         const float* from) {
    if constexpr (Of::kEach == 1) {
        put_plane(t, to, p, y, x, count, from);
    } else {
        put(t, to, p, y, x, count, from);
    }
}

template <class Of, bool Bends, Transfer K>
void reblur_tile(const ReblurTask& t, const Piece& p) {
    constexpr int kEach = Of::kEach;
    alignas(64) float pixels[kBlock * kEach] = {}, original[kBlock * kEach];
    alignas(64) Paths paths;
    // Down a strip, whose paths read what the lines above have brought into the L1 cache.
    for (int64_t x0 = p.x; x0 < p.x + p.w; x0 += kBlock) {
        const int count = static_cast<int>(smaller_of(kBlock, p.x + p.w - x0));
        for (int64_t y0 = p.y; y0 < p.y + p.h; ++y0) {
            const int64_t y = p.crop.y + y0, x = p.crop.x + x0;
            prefetch_below<Of::kStride>(p, y, x, count);
            if (t.samples > 0) {
                find_paths<Bends, true>(t, p, y, x, count, paths);
            } else {
                find_paths<Bends, false>(t, p, y, x, count, paths);
            }
            if (paths.any_moves)
                integrate<Of, Bends>(t, p, paths, count, static_cast<int>(x), static_cast<int>(y), pixels);
            out_of_linear<K>(pixels, count * kEach);
            if (paths.any_still || t.sharp.data != nullptr) fetch_block<Of>(t, p, y, x, count, original);
            // What does not move keeps its bits, whatever the transfer curve rounds.
            if (paths.any_still)
                for (int i = 0; i < count; ++i)
                    if (paths.still[i]) store(pixels + i * kEach, load<typename Of::Value>(original + i * kEach));
            put_block<Of>(t, t.out, p, y0, x0, count, pixels);
            if (t.sharp.data != nullptr) put_block<Of>(t, t.sharp, p, y0, x0, count, original);
            if (t.turned.data != nullptr && p.c0 == 0) put_turned(t, p, y0, x0, count, paths);
        }
    }
}

template <class Of, Transfer K>
void reblur_tile(const ReblurTask& t, const Piece& p) {
    if (t.curvature.data != nullptr) return reblur_tile<Of, true, K>(t, p);
    reblur_tile<Of, false, K>(t, p);
}

template <Transfer K>
void reblur_tile(const ReblurTask& t, const Piece& p) {
    if (p.channels == 1) return reblur_tile<OfPlane, K>(t, p);
    reblur_tile<OfPixels, K>(t, p);
}

// Fills what lies before the first and behind the last pixel of a line with these.
DEBLUR_FN void extend(float* line, int64_t first, int64_t last, int64_t across) {
    const f8 before = load<f8>(line + first * kPixel), behind = load<f8>(line + last * kPixel);
    for (int64_t x = 0; x < first; ++x) store(line + x * kPixel, before);
    for (int64_t x = last + 1; x < across; ++x) store(line + x * kPixel, behind);
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
void linearise_part(const ReblurTask& t, const Piece& p) {
    if (p.channels == 1) return linearise_plane<K>(t, p);
    alignas(64) float pixels[kBlock * 4];
    const int64_t first = larger_of(0, -p.left), last = smaller_of(p.across, t.image.w - p.left) - 1;
    const int64_t row = p.across * kPixel;
    for (int64_t y = 0; y < p.down; ++y) {
        const int64_t from_y = larger_of(0, smaller_of(p.top + y, t.image.h - 1));
        float *here = p.linear + y * row, *above = here - (y > 0 ? row : 0);
        for (int64_t x = first; x <= last; x += kBlock) {
            const int count = static_cast<int>(smaller_of(kBlock, last + 1 - x));
            fetch_linear<K>(t, p, from_y, p.left + x, count, pixels);
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
