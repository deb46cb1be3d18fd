// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include "reblur_loops.h"
#include "simd.h"

namespace deblur {
namespace {

constexpr int kVector = 8;
constexpr int kRoom = (kMostSamples + kVector - 1) / kVector * kVector;

struct Samples {
    int offset[kRoom];  // of the upper left tap, in floats
    float wx[kRoom], wy[kRoom];
};

// Positions are worked out for whole vectors; those past the last sample are never read.
DEBLUR_FN void work_out(const Path& p, int first, int count, float one_over_n, float x, float y, int width, int height,
                        int row, Samples& to) {
    const int padded = (count + kVector - 1) / kVector * kVector;
    for (int i = 0; i < padded; ++i) {
        const float s = moment(first + i, one_over_n);
        const Pair px = pair_at(position(x, p.mx, p.kx, s), width);
        const Pair py = pair_at(position(y, p.my, p.ky, s), height);
        to.offset[i] = py.index * row + px.index * 4;
        to.wx[i] = px.weight;
        to.wy[i] = py.weight;
    }
}

// A pixel and its right neighbour lie side by side in memory: one vector of eight reads both, and the two halves are
// added only after the last sample.
DEBLUR_FN f4 integrate(const float* linear, int row, const Path& p, float one_over_n, float x, float y, int width,
                       int height) {
    const f8 left = {1, 1, 1, 1, 0, 0, 0, 0}, slope = {-1, -1, -1, -1, 1, 1, 1, 1};
    alignas(32) Samples at;
    f8 sum{};
    for (int first = 0; first < p.samples; first += kRoom) {
        const int count = smaller(kRoom, p.samples - first);
        work_out(p, first, count, one_over_n, x, y, width, height, row, at);
        for (int i = 0; i < count; ++i) {
            const float* from = linear + at.offset[i];
            const f8 upper = load<f8>(from), lower = load<f8>(from + row);
            sum = sum + (left + slope * at.wx[i]) * between(upper, lower, at.wy[i]);
        }
    }
    float half[8];
    store(half, sum);
    return (load<f4>(half) + load<f4>(half + 4)) * one_over_n;
}

constexpr int kBlock = 64;  // pixels whose paths are worked out together: a loop that vectorises, in the L1 cache

struct Paths {
    float mx[kBlock], my[kBlock], kx[kBlock], ky[kBlock], one_over_n[kBlock];
    int samples[kBlock], still[kBlock];
};

void read_field(const Picture<const float>& field, int64_t n, int64_t y, int64_t x, int count, float* dx, float* dy) {
    if (field.data == nullptr) {
        for (int i = 0; i < count; ++i) dx[i] = dy[i] = 0.0f;
        return;
    }
    const float* u = &at(field, n, 0, y, x);
    const float* v = u + field.sc;
    for (int i = 0; i < count; ++i) dx[i] = u[i * field.sw], dy[i] = v[i * field.sw];
}

void find_paths(const ReblurTask& t, int64_t n, int64_t y, int64_t x, int count, Paths& to) {
    read_field(t.motion, n, y, x, count, to.mx, to.my);
    read_field(t.curvature, n, y, x, count, to.kx, to.ky);
    for (int i = 0; i < count; ++i) {
        const Path p = path_of(to.mx[i], to.my[i], to.kx[i], to.ky[i], t.samples);
        to.mx[i] = p.mx, to.my[i] = p.my, to.kx[i] = p.kx, to.ky[i] = p.ky;
        to.samples[i] = p.samples, to.still[i] = p.still;
        to.one_over_n[i] = 1.0f / static_cast<float>(p.samples);
    }
}

template <Transfer K>
void reblur_rows(const ReblurTask& t, const Interleaved& linear, int64_t n, int64_t c0, int64_t begin, int64_t end) {
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    // A picture one pixel wide or high has been padded to two, alike, so that two taps always exist.
    const int wide = larger(width, 2), high = larger(height, 2);
    alignas(64) float pixels[kBlock * 4];
    alignas(64) Paths paths;
    for (int64_t y = begin; y < end; ++y) {
        for (int x0 = 0; x0 < width; x0 += kBlock) {
            const int count = smaller(kBlock, width - x0);
            find_paths(t, n, y, x0, count, paths);
            for (int i = 0; i < count; ++i) {
                const Path path = {paths.mx[i], paths.my[i],      paths.kx[i],
                                   paths.ky[i], paths.samples[i], paths.still[i]};
                f4 v{};
                if (!path.still)
                    v = integrate(linear.data, static_cast<int>(linear.row), path, paths.one_over_n[i],
                                  static_cast<float>(x0 + i), static_cast<float>(y), wide, high);
                store(pixels + i * 4, v);
            }
            for (int i = 0; i < count * 4; ++i) pixels[i] = from_linear<K>(pixels[i]);
            for (int c = 0; c < linear.channels; ++c) {
                float* to = &at(t.out, n, c0 + c, y, x0);
                for (int i = 0; i < count; ++i) to[i * t.out.sw] = pixels[i * 4 + c];
            }
            // What does not move keeps its bits, whatever the transfer curve rounds.
            for (int i = 0; i < count; ++i)
                if (paths.still[i])
                    for (int c = 0; c < linear.channels; ++c)
                        at(t.out, n, c0 + c, y, x0 + i) = at(t.image, n, c0 + c, y, x0 + i);
        }
    }
}

template <Transfer K>
void linearise_rows(const Picture<const float>& p, int64_t n, int64_t c0, int channels, float* to, int64_t row,
                    int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
        const int64_t from_y = y < p.h ? y : p.h - 1;
        float* line = to + y * row;
        const float* from = &at(p, n, c0, from_y, 0);
        for (int64_t x = 0; x < p.w; ++x)
            for (int c = 0; c < 4; ++c) line[x * 4 + c] = c < channels ? from[x * p.sw + c * p.sc] : 0.0f;
        for (int64_t i = 0; i < p.w * 4; ++i) line[i] = to_linear<K>(line[i]);
        if (p.w == 1)
            for (int c = 0; c < 4; ++c) line[4 + c] = line[c];
    }
}

}  // namespace

void DEBLUR_ISA::linearise(Transfer transfer, const Picture<const float>& p, int64_t n, int64_t c0, int channels,
                           float* to, int64_t row, int64_t begin, int64_t end) {
    switch (transfer) {
        case Transfer::none: return linearise_rows<Transfer::none>(p, n, c0, channels, to, row, begin, end);
        case Transfer::srgb: return linearise_rows<Transfer::srgb>(p, n, c0, channels, to, row, begin, end);
        case Transfer::bt709: return linearise_rows<Transfer::bt709>(p, n, c0, channels, to, row, begin, end);
        case Transfer::gamma22: return linearise_rows<Transfer::gamma22>(p, n, c0, channels, to, row, begin, end);
    }
}

void DEBLUR_ISA::reblur(const ReblurTask& t, const Interleaved& l, int64_t n, int64_t c0, int64_t begin, int64_t end) {
    switch (t.transfer) {
        case Transfer::none: return reblur_rows<Transfer::none>(t, l, n, c0, begin, end);
        case Transfer::srgb: return reblur_rows<Transfer::srgb>(t, l, n, c0, begin, end);
        case Transfer::bt709: return reblur_rows<Transfer::bt709>(t, l, n, c0, begin, end);
        case Transfer::gamma22: return reblur_rows<Transfer::gamma22>(t, l, n, c0, begin, end);
    }
}

}  // namespace deblur
