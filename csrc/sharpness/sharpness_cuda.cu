// SPDX-License-Identifier: Apache-2.0
// One block a tile. Thread (lane, group) adds up what the CPU's loop adds up in that lane over kRowsInFloat lines, and
// the partial sums are added in the CPU's order: the same bits on both.
#include "cuda_common.h"
#include "half.h"
#include "ops.h"
#include "sharpness.h"

namespace deblur {
namespace cuda {
namespace {

constexpr int kGroups = 8;  // of kRowsInFloat lines each, at a time

template <class T>
__device__ float luma_at(const Picture<const void>& p, int64_t n, int64_t y, int64_t x) {
    y = y < 0 ? 0 : y >= p.h ? p.h - 1 : y;
    x = x < 0 ? 0 : x >= p.w ? p.w - 1 : x;
    const T* pixel = static_cast<const T*>(p.data) + n * p.sn + y * p.sh + x * p.sw;
    if (p.c == 1) return value_of(pixel[0]);
    return luma(value_of(pixel[0]), value_of(pixel[p.sc]), value_of(pixel[2 * p.sc]));
}

template <class T, Measure M>
__device__ float energy_at(const Picture<const void>& p, int64_t n, int64_t y, int64_t x) {
    const auto v = [&](int dy, int dx) { return luma_at<T>(p, n, y + dy, x + dx); };
    if constexpr (M == Measure::laplacian)
        return laplacian_energy(v(-1, 0), v(0, -1), v(0, 0), v(0, 1), v(1, 0));
    else
        return gradient_energy(v(-1, -1), v(-1, 0), v(-1, 1), v(0, -1), v(0, 1), v(1, -1), v(1, 0), v(1, 1));
}

template <class T, Measure M>
__global__ void sharpness_kernel(SharpnessTask t) {
    __shared__ float lanes[kGroups][kLanes];
    const int lane = threadIdx.x, group = threadIdx.y;
    const int64_t n = blockIdx.z, ty = blockIdx.y, tx = blockIdx.x;
    const int64_t y0 = ty * t.tile, y1 = y0 + t.tile < t.image.h ? y0 + t.tile : t.image.h;
    const int64_t x0 = tx * t.tile, x1 = x0 + t.tile < t.image.w ? x0 + t.tile : t.image.w;
    double total = 0.0;
    for (int64_t first = y0; first < y1; first += kGroups * kRowsInFloat) {
        const int64_t begin = first + group * kRowsInFloat;
        float sum = 0.0f;
        for (int64_t y = begin; y < begin + kRowsInFloat && y < y1; ++y)
            for (int64_t x = x0 + lane; x < x1; x += kLanes) sum += energy_at<T, M>(t.image, n, y, x);
        lanes[group][lane] = sum;
        __syncthreads();
        if (lane == 0 && group == 0) {
            for (int g = 0; g < kGroups && first + g * kRowsInFloat < y1; ++g) {
                double part = 0.0;
                for (int k = 0; k < kLanes; ++k) part += lanes[g][k];
                total += part;
            }
        }
        __syncthreads();
    }
    if (lane == 0 && group == 0)
        at(t.out, n, 0, ty, tx) =
            static_cast<float>(total / static_cast<double>((x1 - x0) * (y1 - y0)) * energy_scale(t.sample));
}

template <class T>
void launch(const SharpnessTask& t, const dim3& blocks, cudaStream_t stream) {
    const dim3 threads(kLanes, kGroups, 1);
    if (t.measure == Measure::laplacian) {
        sharpness_kernel<T, Measure::laplacian><<<blocks, threads, 0, stream>>>(t);
    } else {
        sharpness_kernel<T, Measure::tenengrad><<<blocks, threads, 0, stream>>>(t);
    }
}

}  // namespace

void sharpness(const SharpnessTask& whole, int device, uintptr_t stream) {
    const OnDevice current(device);
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    if (whole.out.h > 65535) throw std::invalid_argument("tile: too small for a picture of this height");
    // A grid is at most 65535 deep: a larger batch takes several.
    for (int64_t n = 0; n < whole.image.n; n += 65535) {
        SharpnessTask t = whole;
        t.image.n = t.out.n = std::min<int64_t>(65535, whole.image.n - n);
        t.image.data = static_cast<const char*>(whole.image.data) + n * whole.image.sn * bytes_of(t.sample);
        t.out.data += n * t.out.sn;
        const dim3 blocks(static_cast<unsigned>(t.out.w), static_cast<unsigned>(t.out.h),
                          static_cast<unsigned>(t.image.n));
        switch (t.sample) {
            case Sample::u8: launch<uint8_t>(t, blocks, queue); break;
            case Sample::u16: launch<uint16_t>(t, blocks, queue); break;
            case Sample::f16: launch<Half>(t, blocks, queue); break;
            case Sample::f32: launch<float>(t, blocks, queue); break;
        }
        check(cudaGetLastError(), "sharpness");
    }
}

}  // namespace cuda
}  // namespace deblur
