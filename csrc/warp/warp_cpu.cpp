// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include "warp_gather.h"
#include "warp_grad.h"
#include "warp_lines.h"

namespace deblur {
namespace {

template <int C, int TAPS, Border BORDER>
void warp_rows(const WarpTask& task, const Picture<const float>& image, int64_t n, int64_t begin, int64_t end) {
    const int width = static_cast<int>(image.w), height = static_cast<int>(image.h);
    constexpr int kAtOnce = 4;  // channels
    constexpr int64_t kStep = C == 0 ? 1 : C, kPlane = C == 0 ? kBlock : 1;
    alignas(64) float pixels[kBlock * kAtOnce + 4];
    Field field;
    BlockTaps<TAPS> taps;
    const Picture<void>& out = task.out;
    const int64_t size = bytes_of(task.sample);
    for (int64_t y = begin; y < end; ++y) {
        for (int x = 0; x < width; x += kBlock) {
            const int count = smaller(kBlock, width - x);
            read_field(task.flow, task.flow_sample, n, y, x, count, field);
            work_out<TAPS, BORDER>(field, x, static_cast<int>(y), count, image, taps);
            for (int64_t c = 0; c < image.c; c += kAtOnce) {
                Picture<const float> part = image;
                part.data += c * image.sc;
                part.c = image.c - c < kAtOnce ? image.c - c : kAtOnce;
                char* to = static_cast<char*>(out.data) + (n * out.sn + c * out.sc + y * out.sh + x * out.sw) * size;
                prefetch<C>(part, n, taps, count, to, out.sw * size, out.sc * size);
                if (C == 0 && task.sample == Sample::f32 && out.sw == 1) {  // straight to where they belong
                    read_block<C, TAPS, BORDER>(part, n, taps, count, reinterpret_cast<float*>(to), out.sc);
                    continue;
                }
                read_block<C, TAPS, BORDER>(part, n, taps, count, pixels, kPlane);
                if (task.sample == Sample::f16) {
                    write_block(pixels, kStep, kPlane, part.c, count, reinterpret_cast<Half*>(to), out.sw, out.sc);
                } else {
                    write_block(pixels, kStep, kPlane, part.c, count, reinterpret_cast<float*>(to), out.sw, out.sc);
                }
            }
            if (task.mask.data == nullptr) continue;
            for (int i = 0; i < count; ++i)
                pixels[i] = covered(taps.x[i], taps.y[i], width, height, field.dx[i], field.dy[i]);
            float* to = &at(task.mask, n, 0, y, x);
            for (int i = 0; i < count; ++i) to[i * task.mask.sw] = pixels[i];
        }
    }
}

template <int C, int TAPS>
void by_border(const WarpTask& t, const Picture<const float>& i, int64_t n, int64_t begin, int64_t end) {
    switch (t.border) {
        case Border::replicate: return warp_rows<C, TAPS, Border::replicate>(t, i, n, begin, end);
        case Border::zero: return warp_rows<C, TAPS, Border::zero>(t, i, n, begin, end);
        case Border::reflect: return warp_rows<C, TAPS, Border::reflect>(t, i, n, begin, end);
    }
}

template <int C>
void by_filter(const WarpTask& t, const Picture<const float>& i, int64_t n, int64_t begin, int64_t end) {
    if (t.filter == Filter::bilinear) return by_border<C, 2>(t, i, n, begin, end);
    return by_border<C, 4>(t, i, n, begin, end);
}

template <int TAPS>
void grad_flow_by_border(const WarpGradTask& t, const Picture<const float>& i, int64_t n, int64_t begin, int64_t end) {
    switch (t.border) {
        case Border::replicate: return grad_flow_rows<TAPS, Border::replicate>(t, i, n, begin, end);
        case Border::zero: return grad_flow_rows<TAPS, Border::zero>(t, i, n, begin, end);
        case Border::reflect: return grad_flow_rows<TAPS, Border::reflect>(t, i, n, begin, end);
    }
}

template <int TAPS>
void grad_image_by_border(const WarpGradTask& t, const Picture<float>& to, int64_t n, int64_t top, int64_t bottom) {
    switch (t.border) {
        case Border::replicate: return grad_image_rows<TAPS, Border::replicate>(t, to, n, top, bottom);
        case Border::zero: return grad_image_rows<TAPS, Border::zero>(t, to, n, top, bottom);
        case Border::reflect: return grad_image_rows<TAPS, Border::reflect>(t, to, n, top, bottom);
    }
}

}  // namespace

void DEBLUR_ISA::widen(const Picture<const void>& from, Sample sample, const Picture<float>& to, int64_t n,
                       int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
        for (int64_t c = 0; c < from.c; ++c) {
            float* line = &at(to, n, c, y, 0);
            for (int64_t x = 0; x < from.w; x += kBlock)
                read_line(from, sample, n, c, y, x, static_cast<int>(from.w - x < kBlock ? from.w - x : kBlock),
                          line + x);
        }
    }
}

void DEBLUR_ISA::narrow(const Picture<const float>& from, const Picture<void>& to, int64_t n, int64_t begin,
                        int64_t end) {
    for (int64_t y = begin; y < end; ++y)
        for (int64_t c = 0; c < from.c; ++c)
            for (int64_t x = 0; x < from.w; x += kBlock)
                write_block(&at(from, n, c, y, x), 1, 0, 1, static_cast<int>(from.w - x < kBlock ? from.w - x : kBlock),
                            static_cast<Half*>(to.data) + n * to.sn + c * to.sc + y * to.sh + x * to.sw, to.sw, 0);
}

void DEBLUR_ISA::warp(const WarpTask& t, const Picture<const float>& i, int64_t n, int64_t begin, int64_t end) {
    if (i.sw == 1 || i.w == 1) return by_filter<0>(t, i, n, begin, end);
    if (i.c == 2) return by_filter<2>(t, i, n, begin, end);
    if (i.c == 3) return by_filter<3>(t, i, n, begin, end);
    return by_filter<4>(t, i, n, begin, end);
}

void DEBLUR_ISA::warp_grad_flow(const WarpGradTask& t, const Picture<const float>& i, int64_t n, int64_t begin,
                                int64_t end) {
    if (t.filter == Filter::bilinear) return grad_flow_by_border<2>(t, i, n, begin, end);
    return grad_flow_by_border<4>(t, i, n, begin, end);
}

void DEBLUR_ISA::warp_grad_image(const WarpGradTask& t, const Picture<float>& to, int64_t n, int64_t top,
                                 int64_t bottom) {
    if (t.filter == Filter::bilinear) return grad_image_by_border<2>(t, to, n, top, bottom);
    return grad_image_by_border<4>(t, to, n, top, bottom);
}

}  // namespace deblur
