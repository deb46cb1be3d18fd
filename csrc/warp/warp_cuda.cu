// SPDX-License-Identifier: Apache-2.0
#include "cuda_common.h"
#include "ops.h"
#include "warp.h"

namespace deblur {
namespace cuda {
namespace {

template <int TAPS, Border BORDER>
__global__ void warp_kernel(WarpTask t) {
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    DEBLUR_EACH_PIXEL(t.out.n, t.out.h, t.out.w) {
        const float dx = at(t.flow, n, 0, y, x), dy = at(t.flow, n, 1, y, x);
        const Axis<TAPS> ax = axis_taps<TAPS, BORDER>(static_cast<float>(x) + displacement(dx), width);
        const Axis<TAPS> ay = axis_taps<TAPS, BORDER>(static_cast<float>(y) + displacement(dy), height);
        for (int64_t c = 0; c < t.image.c; ++c) {
            const float* image = &at(t.image, n, c, 0, 0);
            float sum = 0.0f;
#pragma unroll
            for (int k = 0; k < TAPS; ++k) {
                const float* column = image + ax.index[k] * t.image.sw;
                float down = ay.weight[0] * column[ay.index[0] * t.image.sh];
#pragma unroll
                for (int j = 1; j < TAPS; ++j) down = down + ay.weight[j] * column[ay.index[j] * t.image.sh];
                sum = k == 0 ? ax.weight[k] * down : sum + ax.weight[k] * down;
            }
            at(t.out, n, c, y, x) = sum;
        }
        if (t.mask.data != nullptr) at(t.mask, n, 0, y, x) = covered(ax.inside, ay.inside, dx, dy);
    }
}

template <int TAPS>
void launch(const WarpTask& t, cudaStream_t stream) {
    const Layout l = by_pixel(t.out.n, t.out.h, t.out.w);
    switch (t.border) {
        case Border::replicate: warp_kernel<TAPS, Border::replicate><<<l.blocks, l.threads, 0, stream>>>(t); break;
        case Border::zero: warp_kernel<TAPS, Border::zero><<<l.blocks, l.threads, 0, stream>>>(t); break;
        case Border::reflect: warp_kernel<TAPS, Border::reflect><<<l.blocks, l.threads, 0, stream>>>(t); break;
    }
}

}  // namespace

void warp(const WarpTask& t, int device, uintptr_t stream) {
    const OnDevice current(device);
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    if (t.filter == Filter::bilinear) {
        launch<2>(t, queue);
    } else {
        launch<4>(t, queue);
    }
    check(cudaGetLastError(), "warp");
}

}  // namespace cuda
}  // namespace deblur
