// SPDX-License-Identifier: Apache-2.0
#include "cuda_common.h"
#include "ops.h"
#include "reblur.h"

namespace deblur {
namespace cuda {
namespace {

template <Transfer K>
__global__ void linearise_kernel(Picture<const float> from, Picture<float> to) {
    DEBLUR_EACH_PIXEL(from.n, from.h, from.w) {
        for (int64_t c = 0; c < from.c; ++c) at(to, n, c, y, x) = to_linear<K>(at(from, n, c, y, x));
    }
}

// Channels c0 .. c0 + C - 1. Both columns of taps are summed apart and added last, as on the CPU: the same bits.
template <int C, Transfer K>
__global__ void reblur_kernel(ReblurTask t, Picture<const float> linear, int64_t c0) {
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    const bool bends = t.curvature.data != nullptr;
    // A picture one pixel wide or high reads its only pixel as both taps.
    const int wide = larger(width, 2), high = larger(height, 2);
    const int64_t right = width > 1 ? linear.sw : 0, down = height > 1 ? linear.sh : 0;
    DEBLUR_EACH_PIXEL(t.out.n, t.out.h, t.out.w) {
        const Path p =
            path_of(at(t.motion, n, 0, y, x), at(t.motion, n, 1, y, x), bends ? at(t.curvature, n, 0, y, x) : 0.0f,
                    bends ? at(t.curvature, n, 1, y, x) : 0.0f, t.samples);
        if (p.still) {
            for (int c = 0; c < C; ++c) at(t.out, n, c0 + c, y, x) = at(t.image, n, c0 + c, y, x);
            continue;
        }
        const float one_over_n = 1.0f / static_cast<float>(p.samples);
        const float* image = &at(linear, n, c0, 0, 0);
        float left_sum[C] = {}, right_sum[C] = {};
        for (int i = 0; i < p.samples; ++i) {
            const float s = moment(i, one_over_n);
            const Pair px = pair_at(position(static_cast<float>(x), p.mx, p.kx, s), wide);
            const Pair py = pair_at(position(static_cast<float>(y), p.my, p.ky, s), high);
            const float* tap = image + py.index * down + px.index * right;
#pragma unroll
            for (int c = 0; c < C; ++c) {
                const float* q = tap + c * linear.sc;
                left_sum[c] = left_sum[c] + (1.0f - px.weight) * between(q[0], q[down], py.weight);
                right_sum[c] = right_sum[c] + px.weight * between(q[right], q[right + down], py.weight);
            }
        }
#pragma unroll
        for (int c = 0; c < C; ++c)
            at(t.out, n, c0 + c, y, x) = from_linear<K>((left_sum[c] + right_sum[c]) * one_over_n);
    }
}

template <int C, Transfer K>
void integrate(const ReblurTask& t, const Picture<const float>& linear, int64_t c0, cudaStream_t stream) {
    const Layout l = by_pixel(t.out.n, t.out.h, t.out.w);
    reblur_kernel<C, K><<<l.blocks, l.threads, 0, stream>>>(t, linear, c0);
}

template <Transfer K>
void launch(const ReblurTask& t, float* scratch, cudaStream_t stream) {
    Picture<const float> linear = t.image;
    if constexpr (K != Transfer::none) {
        Picture<float> to;
        to.data = scratch;
        to.n = t.image.n, to.c = t.image.c, to.h = t.image.h, to.w = t.image.w;
        to.sw = 1, to.sh = to.w, to.sc = to.h * to.w, to.sn = to.c * to.sc;
        const Layout l = by_pixel(to.n, to.h, to.w);
        linearise_kernel<K><<<l.blocks, l.threads, 0, stream>>>(t.image, to);
        check(cudaGetLastError(), "reblur (to linear light)");
        linear.data = to.data;
        linear.sn = to.sn, linear.sc = to.sc, linear.sh = to.sh, linear.sw = to.sw;
    }
    int64_t c = 0;
    for (; c + 3 <= t.image.c; c += 3) integrate<3, K>(t, linear, c, stream);
    for (; c < t.image.c; ++c) integrate<1, K>(t, linear, c, stream);
}

}  // namespace

void reblur(const ReblurTask& t, float* linear, int device, uintptr_t stream) {
    const OnDevice current(device);
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    switch (t.transfer) {
        case Transfer::none: launch<Transfer::none>(t, linear, queue); break;
        case Transfer::srgb: launch<Transfer::srgb>(t, linear, queue); break;
        case Transfer::bt709: launch<Transfer::bt709>(t, linear, queue); break;
        case Transfer::gamma22: launch<Transfer::gamma22>(t, linear, queue); break;
    }
    check(cudaGetLastError(), "reblur");
}

}  // namespace cuda
}  // namespace deblur
