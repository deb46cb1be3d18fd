// SPDX-License-Identifier: Apache-2.0
#include "blend.h"
#include "cuda_common.h"
#include "ops.h"

namespace deblur {
namespace cuda {
namespace {

__global__ void blend_kernel(BlendTask t) {
    const Picture<const float>& tile = t.tile;
    const bool left = t.x > 0, right = t.x + tile.w < t.sum.w, top = t.y > 0, bottom = t.y + tile.h < t.sum.h;
    DEBLUR_EACH_PIXEL(tile.n, tile.h, tile.w) {
        const float w = feathered(y, tile.h, t.feather, top, bottom) * feathered(x, tile.w, t.feather, left, right);
        at(t.weight, n, 0, t.y + y, t.x + x) += w;
        for (int64_t c = 0; c < tile.c; ++c) at(t.sum, n, c, t.y + y, t.x + x) += w * at(tile, n, c, y, x);
    }
}

__global__ void mix_kernel(MixTask t) {
    DEBLUR_EACH_PIXEL(t.base.n, t.base.h, t.base.w) {
        const float w = at(t.weight, n, 0, y, x) * t.strength;
        for (int64_t c = 0; c < t.base.c; ++c)
            at(t.out, n, c, y, x) = mixed(at(t.base, n, c, y, x), at(t.result, n, c, y, x), w);
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

void mix(const MixTask& t, int device, uintptr_t stream) {
    const OnDevice current(device);
    const Layout l = by_pixel(t.base.n, t.base.h, t.base.w);
    mix_kernel<<<l.blocks, l.threads, 0, reinterpret_cast<cudaStream_t>(stream)>>>(t);
    check(cudaGetLastError(), "mix");
}

}  // namespace cuda
}  // namespace deblur
