// SPDX-License-Identifier: Apache-2.0
#include "cuda_common.h"
#include "half.h"
#include "ops.h"
#include "warp.h"

namespace deblur {
namespace cuda {
namespace {

// Through the read-only cache: what a call reads it never writes.
__device__ __forceinline__ float fetch(const float* p) { return __ldg(p); }
__device__ __forceinline__ float fetch(const Half* p) {
    return to_float(Half{__ldg(reinterpret_cast<const unsigned short*>(p))});
}
__device__ __forceinline__ void put(float* p, float v) { *p = v; }
__device__ __forceinline__ void put(Half* p, float v) { *p = to_half(v); }

template <class T>
__device__ __forceinline__ int64_t offset_of(const Picture<T>& p, int64_t n, int64_t c, int64_t y, int64_t x) {
    return n * p.sn + c * p.sc + y * p.sh + x * p.sw;
}

__device__ __forceinline__ float2 displaced_by(const Picture<const void>& flow, Sample sample, int64_t n, int64_t y,
                                               int64_t x) {
    const int64_t at = offset_of(flow, n, 0, y, x);
    if (sample == Sample::f16) {
        const Half* p = static_cast<const Half*>(flow.data) + at;
        return make_float2(fetch(p), fetch(p + flow.sc));
    }
    const float* p = static_cast<const float*>(flow.data) + at;
    return make_float2(fetch(p), fetch(p + flow.sc));
}

// C is the number of channels where the compiler shall know it, so that all their reads are under way at once; else 0.
template <class T, int C, int TAPS, Border BORDER>
__global__ void warp_kernel(WarpTask t) {
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    const int channels = C == 0 ? static_cast<int>(t.image.c) : C;
    DEBLUR_EACH_PIXEL(t.out.n, t.out.h, t.out.w) {
        const float2 d = displaced_by(t.flow, t.flow_sample, n, y, x);
        const float px = static_cast<float>(x) + displacement(d.x), py = static_cast<float>(y) + displacement(d.y);
        const Axis<TAPS> ax = axis_taps<TAPS, BORDER>(px, width), ay = axis_taps<TAPS, BORDER>(py, height);
        const T* image = static_cast<const T*>(t.image.data) + n * t.image.sn;
        T* out = static_cast<T*>(t.out.data) + offset_of(t.out, n, 0, y, x);
#pragma unroll
        for (int c = 0; c < channels; ++c) {
            float sum = 0.0f;
#pragma unroll
            for (int k = 0; k < TAPS; ++k) {
                const T* column = image + c * t.image.sc + ax.index[k] * t.image.sw;
                float down = 0.0f;
#pragma unroll
                for (int j = 0; j < TAPS; ++j) {
                    const bool beyond = BORDER == Border::zero && (ax.index[k] | ay.index[j]) < 0;
                    const float v = beyond ? 0.0f : fetch(column + ay.index[j] * t.image.sh);
                    down = j == 0 ? ay.weight[0] * v : down + ay.weight[j] * v;
                }
                sum = k == 0 ? ax.weight[0] * down : sum + ax.weight[k] * down;
            }
            put(out + c * t.out.sc, sum);
        }
        if (t.mask.data != nullptr) at(t.mask, n, 0, y, x) = covered(px, py, width, height, d.x, d.y);
    }
}

// ---- The gradient to the image is summed in fixed point: whole numbers add up to the same in any order, so atomics
// leave nothing to chance. What is not finite cannot be a whole number and is noted beside it.

constexpr unsigned kPlus = 1, kMinus = 2, kNaN = 4;  // four bits a value, eight values a word

struct Sums {
    unsigned long long* fixed = nullptr;  // [N, C, H, W], two's complement
    unsigned* odd = nullptr;
    unsigned* largest = nullptr;  // bits of the largest finite |grad|
    int bits = 0;                 // by which a value in -1..1 is shifted up, so that no sum overflows
};

// The power of two that brings what is given back into -1..1, and then up. Below 2^-80 it no longer grows: it has to
// stay a float.
__device__ __forceinline__ float scale_of(const Sums& s) {
    const int exponent = larger(static_cast<int>(*s.largest >> 23) - 127 + 1, -80);
    return float_of((127 + s.bits - exponent) << 23);
}

template <class T>
__global__ void largest_kernel(WarpGradTask t, Sums s) {
    unsigned most = 0;
    DEBLUR_EACH_PIXEL(t.grad.n, t.grad.h, t.grad.w) {
        const T* grad = static_cast<const T*>(t.grad.data) + offset_of(t.grad, n, 0, y, x);
        for (int64_t c = 0; c < t.grad.c; ++c) {
            const unsigned bits = static_cast<unsigned>(bits_of(fetch(grad + c * t.grad.sc))) & 0x7fffffffu;
            most = bits < 0x7f800000u && bits > most ? bits : most;
        }
    }
    if (most > *static_cast<volatile unsigned*>(s.largest)) atomicMax(s.largest, most);
}

template <class T, int TAPS, Border BORDER>
__global__ void grad_kernel(WarpGradTask t, Sums s) {
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    const float scale = t.grad_image.data == nullptr ? 0.0f : scale_of(s);
    DEBLUR_EACH_PIXEL(t.grad.n, t.grad.h, t.grad.w) {
        const float2 d = displaced_by(t.flow, t.flow_sample, n, y, x);
        const float px = static_cast<float>(x) + displacement(d.x), py = static_cast<float>(y) + displacement(d.y);
        const SlopedAxis<TAPS> ax = sloped_taps<TAPS, BORDER>(px, d.x, width);
        const SlopedAxis<TAPS> ay = sloped_taps<TAPS, BORDER>(py, d.y, height);
        float2 sum = make_float2(0.0f, 0.0f);
        for (int64_t c = 0; c < t.image.c; ++c) {
            const T* plane = static_cast<const T*>(t.image.data) + n * t.image.sn + c * t.image.sc;
            const float grad = fetch(static_cast<const T*>(t.grad.data) + offset_of(t.grad, n, c, y, x));
            float across = 0.0f, down = 0.0f;
#pragma unroll
            for (int k = 0; k < TAPS; ++k) {
                float mean = 0.0f, slope = 0.0f;
#pragma unroll
                for (int j = 0; j < TAPS; ++j) {
                    const bool beyond = BORDER == Border::zero && (ax.index[k] | ay.index[j]) < 0;
                    if (t.grad_flow.data != nullptr) {
                        const float v =
                            beyond ? 0.0f : fetch(plane + ay.index[j] * t.image.sh + ax.index[k] * t.image.sw);
                        mean = mean + ay.weight[j] * v;
                        slope = slope + ay.slope[j] * v;
                    }
                    if (t.grad_image.data == nullptr || beyond) continue;
                    const float share = (ay.weight[j] * ax.weight[k]) * grad;
                    const int64_t i = ((n * t.image.c + c) * height + ay.index[j]) * width + ax.index[k];
                    if (share - share == 0.0f) {
                        atomicAdd(s.fixed + i, static_cast<unsigned long long>(__float2ll_rn(share * scale)));
                    } else {
                        const unsigned what = share != share ? kNaN : share > 0.0f ? kPlus : kMinus;
                        atomicOr(s.odd + (i >> 3), what << ((i & 7) * 4));
                    }
                }
                across = across + ax.slope[k] * mean;
                down = down + ax.weight[k] * slope;
            }
            sum.x = sum.x + grad * across;
            sum.y = sum.y + grad * down;
        }
        if (t.grad_flow.data == nullptr) continue;
        const int64_t to = offset_of(t.grad_flow, n, 0, y, x);
        if (t.flow_sample == Sample::f16) {
            put(static_cast<Half*>(t.grad_flow.data) + to, sum.x);
            put(static_cast<Half*>(t.grad_flow.data) + to + t.grad_flow.sc, sum.y);
        } else {
            put(static_cast<float*>(t.grad_flow.data) + to, sum.x);
            put(static_cast<float*>(t.grad_flow.data) + to + t.grad_flow.sc, sum.y);
        }
    }
}

template <class T>
__global__ void sums_kernel(WarpGradTask t, Sums s) {
    const float step = 1.0f / scale_of(s);  // of a power of two: exact
    const Picture<void>& to = t.grad_image;
    DEBLUR_EACH_PIXEL(to.n, to.h, to.w) {
        for (int64_t c = 0; c < to.c; ++c) {
            const int64_t i = ((n * to.c + c) * to.h + y) * to.w + x;
            const unsigned odd = (s.odd[i >> 3] >> ((i & 7) * 4)) & 15u;
            float v = __ll2float_rn(static_cast<long long>(s.fixed[i])) * step;
            if (odd != 0) v = float_of(odd == kPlus ? 0x7f800000 : odd == kMinus ? -0x00800000 : 0x7fc00000);
            put(static_cast<T*>(to.data) + offset_of(to, n, c, y, x), v);
        }
    }
}

// Calls run(taps, border) with both as types.
template <Border B>
struct BorderOf {
    static constexpr Border value = B;
};
template <int N>
struct TapsOf {
    static constexpr int value = N;
};

template <class TAPS, class Run>
void by_border(Border border, const Run& run) {
    switch (border) {
        case Border::replicate: return run(TAPS{}, BorderOf<Border::replicate>{});
        case Border::zero: return run(TAPS{}, BorderOf<Border::zero>{});
        case Border::reflect: return run(TAPS{}, BorderOf<Border::reflect>{});
    }
}

template <class Run>
void by_filter(Filter filter, Border border, const Run& run) {
    if (filter == Filter::bilinear) return by_border<TapsOf<2>>(border, run);
    by_border<TapsOf<4>>(border, run);
}

template <class T>
void launch(const WarpTask& t, cudaStream_t stream) {
    const Layout l = by_pixel(t.out.n, t.out.h, t.out.w);
    by_filter(t.filter, t.border, [&](auto taps, auto border) {
        constexpr int kTaps = decltype(taps)::value;
        constexpr Border kBorder = decltype(border)::value;
        if (t.image.c == 3) {
            warp_kernel<T, 3, kTaps, kBorder><<<l.blocks, l.threads, 0, stream>>>(t);
        } else {
            warp_kernel<T, 0, kTaps, kBorder><<<l.blocks, l.threads, 0, stream>>>(t);
        }
    });
    check(cudaGetLastError(), "warp");
}

// Memory of the stream's own order.
class Scratch {
public:
    Scratch(size_t bytes, cudaStream_t stream) : stream_(stream) {
        if (bytes == 0) return;
        check(cudaMallocAsync(&data_, bytes, stream), "scratch memory of warp_backward");
        const cudaError_t cleared = cudaMemsetAsync(data_, 0, bytes, stream);
        if (cleared != cudaSuccess) cudaFreeAsync(data_, stream);
        check(cleared, "clearing scratch memory");
    }
    ~Scratch() {
        if (data_ != nullptr) cudaFreeAsync(data_, stream_);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    void* data() const { return data_; }

private:
    void* data_ = nullptr;
    cudaStream_t stream_;
};

template <class T>
void launch_backward(const WarpGradTask& t, cudaStream_t stream) {
    const Layout l = by_pixel(t.grad.n, t.grad.h, t.grad.w);
    const size_t values = static_cast<size_t>(t.grad.n * t.grad.c * t.grad.h * t.grad.w), words = (values + 7) / 8;
    const bool to_image = t.grad_image.data != nullptr;
    const Scratch scratch(to_image ? values * 8 + words * 4 + 4 : 0, stream);
    Sums s;
    if (to_image) {
        s.fixed = static_cast<unsigned long long*>(scratch.data());
        s.odd = reinterpret_cast<unsigned*>(s.fixed + values);
        s.largest = s.odd + words;
        // A pixel gives at most 1.7 times its gradient away; were all of a picture's to meet, 63 bits hold them.
        int pixels = 0;
        while ((int64_t{1} << pixels) < t.grad.h * t.grad.w) ++pixels;
        s.bits = 61 - pixels < 40 ? 61 - pixels : 40;
        largest_kernel<T><<<l.blocks, l.threads, 0, stream>>>(t, s);
    }
    by_filter(t.filter, t.border, [&](auto taps, auto border) {
        grad_kernel<T, decltype(taps)::value, decltype(border)::value><<<l.blocks, l.threads, 0, stream>>>(t, s);
    });
    if (to_image) sums_kernel<T><<<l.blocks, l.threads, 0, stream>>>(t, s);
    check(cudaGetLastError(), "warp_backward");
}

}  // namespace

void warp(const WarpTask& t, int device, uintptr_t stream) {
    if (t.out.n * t.out.c * t.out.h * t.out.w == 0) return;
    const OnDevice current(device);
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    if (t.sample == Sample::f16) return launch<Half>(t, queue);
    launch<float>(t, queue);
}

void warp_backward(const WarpGradTask& t, int device, uintptr_t stream) {
    if (t.grad.n * t.grad.c * t.grad.h * t.grad.w == 0) return;
    const OnDevice current(device);
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    if (t.sample == Sample::f16) return launch_backward<Half>(t, queue);
    launch_backward<float>(t, queue);
}

}  // namespace cuda
}  // namespace deblur
