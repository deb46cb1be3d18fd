// SPDX-License-Identifier: Apache-2.0
// Between a host's pictures, in whatever form they come, and the engine's: float32 [H, W, 3], R'G'B', top row first.
// Each way is one pass over memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common.h"

namespace bridge {

using deblur::Transfer;

enum class Depth { byte, word, half, floating };

struct Box {
    int x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // y upwards; x2 and y2 are outside
    int width() const { return x2 - x1; }
    int height() const { return y2 - y1; }
};

// A host's picture: the pixel (x1, y1), bottom left, lies at `data`; rows upwards are row_bytes apart, which may be
// negative and more than a row takes.
struct HostPicture {
    uint8_t* data = nullptr;
    ptrdiff_t row_bytes = 0;
    Box bounds;
    Depth depth = Depth::floating;
    int channels = 4;  // RGBA, RGB or a single one
    bool premultiplied = false;

    uint8_t* row(int y) const { return data + row_bytes * (y - bounds.y1); }
    int pixel_bytes() const;
};

enum class Show { result, split, difference, map };

// What makes the host's numbers the engine's: `from_light` is the curve of the clip where the host sends scene-linear
// light, else none.
struct Coding {
    Transfer from_light = Transfer::none;
};

// What take() met, so that give() and the engine need not look again.
struct Taken {
    bool exact = true;   // the engine has the colours' very values: no curve, no alpha divided out, all of them numbers
    bool opaque = true;  // alpha is known to be 1 everywhere
    uint64_t mark = 0;   // tells what the engine has from another picture of the same size
};

// All of `source` to the engine. Channels are 3 or 4. What is no number goes as 0, infinities as ±65504.
Taken take(const HostPicture& source, Coding coding, float* picture);

// `result` back to the host, within `window`, with alpha from `source`, which is what take() saw when it made `sent` of
// it and said `taken`. Values that the engine left alone, or that could not be sent as they are, keep the source's
// bits.
void give(const float* result, const float* sent, Taken taken, const HostPicture& source, Coding coding, Show show,
          const HostPicture& output, Box window);

// `source` as it is, within `window`; nothing (transparent black) where it does not reach.
void pass(const HostPicture& source, const HostPicture& output, Box window);

// Stripes across what is there, that nobody takes for a picture.
void strike(const HostPicture& output, Box window);

// Transparent black.
void clear(const HostPicture& output, Box window);

}  // namespace bridge
