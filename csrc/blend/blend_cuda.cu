// SPDX-License-Identifier: Apache-2.0
// A thread for each pixel: its weight is read once for all of its channels.
#include "blend.h"
#include "cuda_common.h"
#include "ops.h"

namespace deblur {
namespace cuda {
namespace {

template <class T, class P>
__device__ T& value_at(const Picture<P>& p, int64_t n, int64_t c, int64_t y, int64_t x) {
    return static_cast<T*>(p.data)[n * p.sn + c * p.sc + y * p.sh + x * p.sw];
}

__global__ void blend_kernel(BlendTask t) {
    const Picture<const float>& tile = t.tile;
    const bool left = t.x > 0, right = t.x + tile.w < t.sum.w, top = t.y > 0, bottom = t.y + tile.h < t.sum.h;
    DEBLUR_EACH_PIXEL(tile.n, tile.h, tile.w) {
        const float w = feathered(y, tile.h, t.feather, top, bottom) * feathered(x, tile.w, t.feather, left, right);
        at(t.weight, n, 0, t.y + y, t.x + x) += w;
        for (int64_t c = 0; c < tile.c; ++c) at(t.sum, n, c, t.y + y, t.x + x) += w * at(tile, n, c, y, x);
    }
}

template <class T>
__global__ void finish_kernel(FinishTask t) {
    DEBLUR_EACH_PIXEL(t.sum.n, t.sum.h, t.sum.w) {
        const float w = at(t.weight, n, 0, y, x);
        for (int64_t c = 0; c < t.sum.c; ++c)
            put(value_at<T>(t.out, n, c, y, x), finished(at(t.sum, n, c, y, x), w, t.full), t.full);
    }
}

template <class T>
__global__ void mix_kernel(MixTask t) {
    DEBLUR_EACH_PIXEL(t.base.n, t.base.h, t.base.w) {
        const float w = at(t.weight, n, 0, y, x) * t.strength;
        for (int64_t c = 0; c < t.base.c; ++c) {
            const T base = value_at<const T>(t.base, n, c, y, x);
            T changed;
            put(changed, mixed(value_of(base), at(t.result, n, c, y, x), w, t.full), t.full);
            value_at<T>(t.out, n, c, y, x) = w == 0.0f ? base : changed;
        }
    }
}

}  // namespace

void blend(const BlendTask& t, int device, uintptr_t stream) {
    if (t.tile.n * t.tile.h * t.tile.w == 0) return;
    const OnDevice current(device);
    const Layout l = by_pixel(t.tile.n, t.tile.h, t.tile.w);
    blend_kernel<<<l.blocks, l.threads, 0, reinterpret_cast<cudaStream_t>(stream)>>>(t);
    check(cudaGetLastError(), "blend_tiles");
}

void finish(const FinishTask& t, int device, uintptr_t stream) {
    const OnDevice current(device);
    const Layout l = by_pixel(t.sum.n, t.sum.h, t.sum.w);
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    switch (t.sample) {
        case Sample::u8: finish_kernel<uint8_t><<<l.blocks, l.threads, 0, queue>>>(t); break;
        case Sample::u16: finish_kernel<uint16_t><<<l.blocks, l.threads, 0, queue>>>(t); break;
        case Sample::f16: finish_kernel<Half><<<l.blocks, l.threads, 0, queue>>>(t); break;
        case Sample::f32: finish_kernel<float><<<l.blocks, l.threads, 0, queue>>>(t); break;
    }
    check(cudaGetLastError(), "finish_tiles");
}

void mix(const MixTask& t, int device, uintptr_t stream) {
    const OnDevice current(device);
    const Layout l = by_pixel(t.base.n, t.base.h, t.base.w);
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    switch (t.sample) {
        case Sample::u8: mix_kernel<uint8_t><<<l.blocks, l.threads, 0, queue>>>(t); break;
        case Sample::u16: mix_kernel<uint16_t><<<l.blocks, l.threads, 0, queue>>>(t); break;
        case Sample::f16: mix_kernel<Half><<<l.blocks, l.threads, 0, queue>>>(t); break;
        case Sample::f32: mix_kernel<float><<<l.blocks, l.threads, 0, queue>>>(t); break;
    }
    check(cudaGetLastError(), "mix");
}

}  // namespace cuda
}  // namespace deblur
