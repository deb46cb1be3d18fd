// SPDX-License-Identifier: Apache-2.0
// The gradients of a warp, to its flow and to its picture. Part of warp_cpu.cpp.
#pragma once

#include "warp_lines.h"

namespace deblur {
namespace {

// All taps of a block's pixels, with the derivatives of their weights.
template <int TAPS>
struct SlopedBlock {
    alignas(64) int x[TAPS][kBlock], y[TAPS][kBlock];
    alignas(64) float wx[TAPS][kBlock], wy[TAPS][kBlock], sx[TAPS][kBlock], sy[TAPS][kBlock];
};

template <int TAPS, Border BORDER>
void work_out(const Field& field, int x0, int y0, int count, int width, int height, SlopedBlock<TAPS>& t) {
    for (int i = 0; i < count; ++i) {
        const float x = static_cast<float>(x0 + i) + displacement(field.dx[i]);
        const float y = static_cast<float>(y0) + displacement(field.dy[i]);
        const SlopedAxis<TAPS> ax = sloped_taps<TAPS, BORDER>(x, field.dx[i], width);
        const SlopedAxis<TAPS> ay = sloped_taps<TAPS, BORDER>(y, field.dy[i], height);
        for (int k = 0; k < TAPS; ++k) {
            t.x[k][i] = ax.index[k], t.wx[k][i] = ax.weight[k], t.sx[k][i] = ax.slope[k];
            t.y[k][i] = ay.index[k], t.wy[k][i] = ay.weight[k], t.sy[k][i] = ay.slope[k];
        }
    }
}

// To the flow: the loss moves with dx as the picture's slope across, read at the sample position, times the incoming
// gradient, summed over the channels; with dy likewise.
template <int TAPS, Border BORDER>
void grad_flow_rows(const WarpGradTask& task, const Picture<const float>& image, int64_t n, int64_t begin,
                    int64_t end) {
    const int width = static_cast<int>(image.w), height = static_cast<int>(image.h);
    Field field, sum;
    SlopedBlock<TAPS> t;
    alignas(64) float grad[kBlock], value[TAPS * TAPS][kBlock];
    for (int64_t y = begin; y < end; ++y) {
        for (int x = 0; x < width; x += kBlock) {
            const int count = smaller(kBlock, width - x);
            read_field(task.flow, task.flow_sample, n, y, x, count, field);
            work_out<TAPS, BORDER>(field, x, static_cast<int>(y), count, width, height, t);
            for (int i = 0; i < count; ++i) sum.dx[i] = sum.dy[i] = 0.0f;
            for (int64_t c = 0; c < image.c; ++c) {
                const float* plane = &at(image, n, c, 0, 0);
                for (int i = 0; i < count; ++i) {
                    for (int j = 0; j < TAPS; ++j) {
                        for (int k = 0; k < TAPS; ++k) {
                            const bool beyond = BORDER == Border::zero && (t.x[k][i] | t.y[j][i]) < 0;
                            value[j * TAPS + k][i] = beyond ? 0.0f : plane[t.y[j][i] * image.sh + t.x[k][i] * image.sw];
                        }
                    }
                }
                read_line(task.grad, task.sample, n, c, y, x, count, grad);
                for (int i = 0; i < count; ++i) {
                    float across = 0.0f, down = 0.0f;
                    for (int k = 0; k < TAPS; ++k) {
                        float mean = 0.0f, slope = 0.0f;
                        for (int j = 0; j < TAPS; ++j) {
                            mean = mean + t.wy[j][i] * value[j * TAPS + k][i];
                            slope = slope + t.sy[j][i] * value[j * TAPS + k][i];
                        }
                        across = across + t.sx[k][i] * mean;
                        down = down + t.wx[k][i] * slope;
                    }
                    sum.dx[i] = sum.dx[i] + grad[i] * across;
                    sum.dy[i] = sum.dy[i] + grad[i] * down;
                }
            }
            const Picture<void>& out = task.grad_flow;
            const int64_t offset = n * out.sn + y * out.sh + x * out.sw;
            for (int c = 0; c < 2; ++c) {
                const float* from = c == 0 ? sum.dx : sum.dy;
                if (task.flow_sample == Sample::f16) {
                    write_block(from, 1, 0, 1, count, static_cast<Half*>(out.data) + offset + c * out.sc, out.sw, 0);
                } else {
                    write_block(from, 1, 0, 1, count, static_cast<float*>(out.data) + offset + c * out.sc, out.sw, 0);
                }
            }
        }
    }
}

// To the image: each pixel of the warped picture gives its gradient back to its taps. Only to those in rows top..bottom
// of picture n; a row gets its shares in the same order whatever the rows beside it.
template <int TAPS, Border BORDER>
void grad_image_rows(const WarpGradTask& task, const Picture<float>& to, int64_t n, int64_t top, int64_t bottom) {
    const int width = static_cast<int>(to.w), height = static_cast<int>(to.h);
    const int first = static_cast<int>(top), end = static_cast<int>(bottom);
    for (int64_t c = 0; c < to.c; ++c)
        for (int64_t y = top; y < bottom; ++y)
            for (int64_t x = 0; x < to.w; ++x) at(to, n, c, y, x) = 0.0f;
    Field field;
    SlopedBlock<TAPS> t;
    alignas(64) float grad[kBlock];
    for (int64_t y = 0; y < to.h; ++y) {
        for (int x = 0; x < width; x += kBlock) {
            const int count = smaller(kBlock, width - x);
            read_line(task.flow, task.flow_sample, n, 1, y, x, count, field.dy);
            int touched = BORDER == Border::reflect;  // whose rows are not in order
            for (int i = 0; i < count; ++i) {
                const Split at = split<TAPS, BORDER>(static_cast<float>(y) + displacement(field.dy[i]), height);
                touched |= (tap_index<TAPS, Border::replicate>(at.base, TAPS - 1, height) >= first) &
                           (tap_index<TAPS, Border::replicate>(at.base, 0, height) < end);
            }
            if (!touched) continue;
            read_line(task.flow, task.flow_sample, n, 0, y, x, count, field.dx);
            work_out<TAPS, BORDER>(field, x, static_cast<int>(y), count, width, height, t);
            for (int64_t c = 0; c < to.c; ++c) {
                read_line(task.grad, task.sample, n, c, y, x, count, grad);
                float* plane = &at(to, n, c, 0, 0);
                for (int i = 0; i < count; ++i) {
                    for (int j = 0; j < TAPS; ++j) {
                        if (t.y[j][i] < first || t.y[j][i] >= end) continue;
                        float* line = plane + t.y[j][i] * to.sh;
                        for (int k = 0; k < TAPS; ++k) {
                            if (BORDER == Border::zero && t.x[k][i] < 0) continue;
                            float& sum = line[t.x[k][i] * to.sw];
                            sum = sum + (t.wy[j][i] * t.wx[k][i]) * grad[i];
                        }
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace deblur
