// SPDX-License-Identifier: Apache-2.0
// One block a tile. In floats, a warp takes kBlockRows lines of it and adds up in the order that sharpness.h lays down:
// the same bits as the CPU's. 8-bit luma is summed exactly, four pixels of a word at a time where words can be read.
#include <type_traits>

#include "cuda_common.h"
#include "half.h"
#include "ops.h"
#include "sharpness.h"

namespace deblur {
namespace cuda {
namespace {

constexpr int kWarps = 4;  // blocks of kBlockRows lines at a time
constexpr unsigned kAll = 0xffffffffu;

struct Extent {
    int64_t x0, x1, y0, y1;
    __device__ int64_t pixels() const { return (x1 - x0) * (y1 - y0); }
};

__device__ Extent tile_extent(const SharpnessTask& t) {
    const int64_t x0 = static_cast<int64_t>(blockIdx.x) * t.tile, y0 = static_cast<int64_t>(blockIdx.y) * t.tile;
    return {x0, x0 + t.tile < t.image.w ? x0 + t.tile : t.image.w, y0,
            y0 + t.tile < t.image.h ? y0 + t.tile : t.image.h};
}

// V: float, or int for 8-bit luma.
template <class T, class V>
__device__ V luma_at(const Picture<const void>& p, int64_t n, int64_t y, int64_t x) {
    y = y < 0 ? 0 : y >= p.h ? p.h - 1 : y;
    x = x < 0 ? 0 : x >= p.w ? p.w - 1 : x;
    const T* pixel = static_cast<const T*>(p.data) + n * p.sn + y * p.sh + x * p.sw;
    if constexpr (std::is_same<V, int>::value) {
        return pixel[0];
    } else {
        if (p.c == 1) return value_of(pixel[0]);
        return luma(value_of(pixel[0]), value_of(pixel[p.sc]), value_of(pixel[2 * p.sc]));
    }
}

template <class T, Measure M, class V>
__device__ V energy_at(const Picture<const void>& p, int64_t n, int64_t y, int64_t x) {
    const auto v = [&](int dy, int dx) { return luma_at<T, V>(p, n, y + dy, x + dx); };
    if constexpr (M == Measure::laplacian)
        return laplacian_energy(v(-1, 0), v(0, -1), v(0, 0), v(0, 1), v(1, 0));
    else
        return gradient_energy(v(-1, -1), v(-1, 0), v(-1, 1), v(0, -1), v(0, 1), v(1, -1), v(1, 0), v(1, 1));
}

template <class T, Measure M>
__global__ void float_kernel(SharpnessTask t) {
    __shared__ float folded[kWarps][kSums];
    const int lane = threadIdx.x % kLanes, parity = threadIdx.x / kLanes, warp = threadIdx.y;
    const int64_t n = blockIdx.z;
    const Extent e = tile_extent(t);
    double sums[kSums] = {};
    for (int64_t first = e.y0; first < e.y1; first += kWarps * kBlockRows) {
        const int64_t begin = first + warp * kBlockRows, end = begin + kBlockRows < e.y1 ? begin + kBlockRows : e.y1;
        float sum = 0.0f;
        for (int64_t x = e.x0 + lane; x < e.x1; x += kLanes)
            for (int64_t y = begin + parity; y < end; y += 2) sum += energy_at<T, M, float>(t.image, n, y, x);
        sum += __shfl_down_sync(kAll, sum, 16);
        sum += __shfl_down_sync(kAll, sum, 8);
        sum += __shfl_down_sync(kAll, sum, 4);
        if (threadIdx.x < kSums) folded[warp][threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.x == 0 && warp == 0)
            for (int b = 0; b < kWarps && first + b * kBlockRows < e.y1; ++b)
                for (int k = 0; k < kSums; ++k) sums[k] += folded[b][k];
        __syncthreads();
    }
    if (threadIdx.x == 0 && warp == 0)
        at(t.out, n, 0, blockIdx.y, blockIdx.x) =
            mean_energy((sums[0] + sums[1]) + (sums[2] + sums[3]), false, t, e.pixels());
}

// Four pixels of a word and their neighbours.
struct Four {
    uint32_t before, here, after;
};

__device__ Four four_at(const Picture<const void>& p, const uint8_t* line, int64_t x) {
    const uint32_t* word = reinterpret_cast<const uint32_t*>(line + x);
    const uint32_t here = word[0];
    const uint32_t left = x > 0 ? word[-1] : here << 24, right = x + 4 < p.w ? word[1] : here >> 24;
    return {__funnelshift_l(left, here, 8), here, __funnelshift_r(here, right, 8)};
}

// The first and third, the second and fourth byte, with 16 bits each.
__device__ uint32_t even(uint32_t v) { return v & 0x00ff00ff; }
__device__ uint32_t odd(uint32_t v) { return v >> 8 & 0x00ff00ff; }

// Two Laplacians' squares. Each is 1024 more while it shares a word with the other: it stays positive.
__device__ uint32_t pair_energy(uint32_t around, uint32_t here) {
    const uint32_t both = around + 0x04000400u - 4 * here;
    const int low = static_cast<int>(both & 0xffff) - 1024, high = static_cast<int>(both >> 16) - 1024;
    return static_cast<uint32_t>(low * low + high * high);
}

// Whether a picture's lines are words, and so are its tiles'.
bool in_words(const SharpnessTask& t) {
    const Picture<const void>& p = t.image;
    return p.sw == 1 && p.w % 4 == 0 && p.sh % 4 == 0 && p.sn % 4 == 0 && t.tile % 4 == 0 &&
           reinterpret_cast<uintptr_t>(p.data) % 4 == 0 && t.measure == Measure::laplacian;
}

// The sum of an exact kernel's threads, in thread 0.
__device__ unsigned long long block_sum(unsigned long long sum) {
    __shared__ unsigned long long parts[kWarps];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(kAll, sum, step);
    if (threadIdx.x == 0) parts[threadIdx.y] = sum;
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0)
        for (int b = 1; b < blockDim.y; ++b) sum += parts[b];
    return sum;
}

__global__ void word_kernel(SharpnessTask t) {
    const Picture<const void>& p = t.image;
    const int64_t n = blockIdx.z;
    const Extent e = tile_extent(t);
    const uint8_t* const picture = static_cast<const uint8_t*>(p.data) + n * p.sn;
    const auto line = [&](int64_t y) { return picture + (y < 0 ? 0 : y >= p.h ? p.h - 1 : y) * p.sh; };
    // A thread takes kBlockRows lines of a column of words.
    const int64_t across = (e.x1 - e.x0) / 4, down = (e.y1 - e.y0 + kBlockRows - 1) / kBlockRows;
    unsigned long long sum = 0;
    for (int64_t i = threadIdx.y * 32 + threadIdx.x; i < across * down; i += blockDim.y * 32) {
        const int64_t x = e.x0 + i % across * 4, begin = e.y0 + i / across * kBlockRows;
        const int64_t end = begin + kBlockRows < e.y1 ? begin + kBlockRows : e.y1;
        uint32_t above = four_at(p, line(begin - 1), x).here, part = 0;
        Four here = four_at(p, line(begin), x);
        for (int64_t y = begin; y < end; ++y) {
            const Four below = four_at(p, line(y + 1), x);
            part += pair_energy(even(above) + even(below.here) + even(here.before) + even(here.after), even(here.here));
            part += pair_energy(odd(above) + odd(below.here) + odd(here.before) + odd(here.after), odd(here.here));
            above = here.here, here = below;
        }
        sum += part;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0 && threadIdx.y == 0)
        at(t.out, n, 0, blockIdx.y, blockIdx.x) = mean_energy(static_cast<double>(sum), true, t, e.pixels());
}

template <Measure M>
__global__ void byte_kernel(SharpnessTask t) {
    const int64_t n = blockIdx.z;
    const Extent e = tile_extent(t);
    unsigned long long sum = 0;
    for (int64_t y = e.y0 + threadIdx.y; y < e.y1; y += blockDim.y)
        for (int64_t x = e.x0 + threadIdx.x; x < e.x1; x += 32) sum += energy_at<uint8_t, M, int>(t.image, n, y, x);
    sum = block_sum(sum);
    if (threadIdx.x == 0 && threadIdx.y == 0)
        at(t.out, n, 0, blockIdx.y, blockIdx.x) = mean_energy(static_cast<double>(sum), true, t, e.pixels());
}

template <class T>
void launch_floats(const SharpnessTask& t, const dim3& blocks, cudaStream_t stream) {
    const dim3 threads(32, kWarps, 1);
    if (t.measure == Measure::laplacian) {
        float_kernel<T, Measure::laplacian><<<blocks, threads, 0, stream>>>(t);
    } else {
        float_kernel<T, Measure::tenengrad><<<blocks, threads, 0, stream>>>(t);
    }
}

void launch_bytes(const SharpnessTask& t, const dim3& blocks, cudaStream_t stream) {
    if (in_words(t)) {  // a tile of 32 x 32 pixels keeps one warp busy
        const int warps = t.tile <= 32 ? 1 : kWarps;
        word_kernel<<<blocks, dim3(32, warps, 1), 0, stream>>>(t);
    } else if (t.measure == Measure::laplacian) {
        byte_kernel<Measure::laplacian><<<blocks, dim3(32, kWarps, 1), 0, stream>>>(t);
    } else {
        byte_kernel<Measure::tenengrad><<<blocks, dim3(32, kWarps, 1), 0, stream>>>(t);
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
            case Sample::u8:
                if (t.image.c == 1)
                    launch_bytes(t, blocks, queue);
                else
                    launch_floats<uint8_t>(t, blocks, queue);
                break;
            case Sample::u16: launch_floats<uint16_t>(t, blocks, queue); break;
            case Sample::f16: launch_floats<Half>(t, blocks, queue); break;
            case Sample::f32: launch_floats<float>(t, blocks, queue); break;
        }
        check(cudaGetLastError(), "sharpness");
    }
}

}  // namespace cuda
}  // namespace deblur
