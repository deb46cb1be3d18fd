// SPDX-License-Identifier: Apache-2.0
#include "cuda_common.h"
#include "ops.h"
#include "reblur.h"

namespace deblur {
namespace cuda {
namespace {

constexpr int kCrops = 64;  // of one launch: they travel as its arguments, so nothing is allocated or waited for

struct Batch {
    Crop crops[kCrops];
    int64_t first = 0;  // the first crop's place in the task's batch
    int count = 0;
};

// The part of a crop's picture that is held in linear light: the crop, and as much around it as the scratch allows.
struct Region {
    int64_t h = 0, w = 0, top = 0, left = 0;
};

DEBLUR_FN Region around(const Crop& c, int64_t crop_h, int64_t crop_w, const Picture<const void>& image, int64_t h,
                        int64_t w) {
    const int64_t top = c.y - (h - crop_h) / 2, left = c.x - (w - crop_w) / 2;
    Region r;
    r.h = h, r.w = w;
    r.top = top < 0 ? 0 : top > image.h - h ? image.h - h : top;
    r.left = left < 0 ? 0 : left > image.w - w ? image.w - w : left;
    return r;
}

template <class T, Transfer K>
__global__ void linearise_kernel(Picture<const void> image, Batch batch, int64_t crop_h, int64_t crop_w,
                                 Picture<float> linear) {
    const auto from = typed<const T>(image);
    DEBLUR_EACH_PIXEL(batch.count, linear.h, linear.w) {
        const Crop& crop = batch.crops[n];
        const bool swapped = crop.way & 4;
        const Region r = around(crop, swapped ? crop_w : crop_h, swapped ? crop_h : crop_w, image, linear.h, linear.w);
        for (int64_t c = 0; c < image.c; ++c)
            at(linear, batch.first + n, c, y, x) =
                to_linear<K>(value_of(at(from, crop.picture, c, r.top + y, r.left + x)));
    }
}

template <int C>
struct Channels {
    float v[C];
};
template <int C>
DEBLUR_FN Channels<C> operator+(Channels<C> a, const Channels<C>& b) {
    for (int c = 0; c < C; ++c) a.v[c] = a.v[c] + b.v[c];
    return a;
}
template <int C>
DEBLUR_FN Channels<C> operator*(Channels<C> a, float f) {
    for (int c = 0; c < C; ++c) a.v[c] = a.v[c] * f;
    return a;
}

DEBLUR_FN void put(float v, const Picture<void>& to, Sample sample, int64_t n, int64_t c, int64_t y, int64_t x) {
    if (sample == Sample::f16) {
        stored(v, at(typed<Half>(to), n, c, y, x));
    } else {
        stored(v, at(typed<float>(to), n, c, y, x));
    }
}

// Channels c0 .. c0 + C - 1; a thread for each pixel of the result.
template <int C, class T, Transfer K>
__global__ void reblur_kernel(ReblurTask t, Batch batch, Picture<float> linear, int64_t c0) {
    const int width = static_cast<int>(t.image.w), height = static_cast<int>(t.image.h);
    const bool bends = t.curvature.data != nullptr;
    const auto image = typed<const T>(t.image);
    DEBLUR_EACH_PIXEL(batch.count, t.out.h, t.out.w) {
        const Crop& crop = batch.crops[n];
        const int64_t i = batch.first + n;
        const bool swapped = crop.way & 4;
        const int64_t crop_h = swapped ? t.out.w : t.out.h, crop_w = swapped ? t.out.h : t.out.w;
        // Where the pixel lies before it is turned.
        const int64_t turned_y = swapped ? x : y, turned_x = swapped ? y : x;
        const int64_t from_y = crop.y + (crop.way & 2 ? crop_h - 1 - turned_y : turned_y);
        const int64_t from_x = crop.x + (crop.way & 1 ? crop_w - 1 - turned_x : turned_x);
        const auto vector = [&](const Picture<const float>& field, int64_t c) {
            return at(field, crop.picture, c, from_y, from_x) * crop.scale;
        };
        const float mx = vector(t.motion, 0), my = vector(t.motion, 1);
        const float kx = bends ? vector(t.curvature, 0) : 0.0f, ky = bends ? vector(t.curvature, 1) : 0.0f;
        const Path p = t.samples > 0 ? path_of<true>(mx, my, kx, ky, t.samples) : path_of<false>(mx, my, kx, ky, 0);
        const auto original = [&](int64_t c) { return value_of(at(image, crop.picture, c0 + c, from_y, from_x)); };
        if (t.sharp.data != nullptr)
            for (int c = 0; c < C; ++c) put(original(c), t.sharp, t.out_sample, i, c0 + c, y, x);
        if (t.turned.data != nullptr && c0 == 0) {
            at(t.turned, i, swapped ? 1 : 0, y, x) = crop.way & 1 ? -p.mx : p.mx;
            at(t.turned, i, swapped ? 0 : 1, y, x) = crop.way & 2 ? -p.my : p.my;
        }
        if (p.still) {
            for (int c = 0; c < C; ++c) put(original(c), t.out, t.out_sample, i, c0 + c, y, x);
            continue;
        }
        Region region;
        if constexpr (K != Transfer::none) region = around(crop, crop_h, crop_w, t.image, linear.h, linear.w);
        const T* pixels = &at(image, crop.picture, c0, 0, 0);
        const float* held = K == Transfer::none ? nullptr : &at(linear, i, c0, 0, 0);
        const auto read = [&](int at_x, int at_y) {
            Channels<C> v;
            const int64_t row = at_y - region.top, column = at_x - region.left;
            if (K != Transfer::none && row >= 0 && row < region.h && column >= 0 && column < region.w) {
                const float* q = held + row * linear.sh + column;
#pragma unroll
                for (int c = 0; c < C; ++c) v.v[c] = q[c * linear.sc];
            } else {
                const T* q = pixels + at_y * image.sh + at_x * image.sw;
                for (int c = 0; c < C; ++c) v.v[c] = to_linear<K>(value_of(q[c * image.sc]));
            }
            return v;
        };
        const int at_x = static_cast<int>(from_x), at_y = static_cast<int>(from_y);
        const Channels<C> mean = bends ? mean_along<true, Channels<C>>(p, at_x, at_y, width, height, read)
                                       : mean_along<false, Channels<C>>(p, at_x, at_y, width, height, read);
#pragma unroll
        for (int c = 0; c < C; ++c) put(from_linear<K>(mean.v[c]), t.out, t.out_sample, i, c0 + c, y, x);
    }
}

template <class T, Transfer K>
void launch(const ReblurTask& t, const Picture<float>& linear, cudaStream_t stream) {
    for (int64_t first = 0; first < t.out.n; first += kCrops) {
        Batch batch;
        batch.first = first, batch.count = static_cast<int>(std::min<int64_t>(kCrops, t.out.n - first));
        for (int i = 0; i < batch.count; ++i) batch.crops[i] = crop_of(t, first + i);
        if constexpr (K != Transfer::none) {
            const Layout l = by_pixel(batch.count, linear.h, linear.w);
            linearise_kernel<T, K><<<l.blocks, l.threads, 0, stream>>>(t.image, batch, t.out.h, t.out.w, linear);
            check(cudaGetLastError(), "reblur (to linear light)");
        }
        const Layout l = by_pixel(batch.count, t.out.h, t.out.w);
        int64_t c = 0;
        for (; c + 3 <= t.image.c; c += 3)
            reblur_kernel<3, T, K><<<l.blocks, l.threads, 0, stream>>>(t, batch, linear, c);
        for (; c < t.image.c; ++c) reblur_kernel<1, T, K><<<l.blocks, l.threads, 0, stream>>>(t, batch, linear, c);
        check(cudaGetLastError(), "reblur");
    }
}

template <class T>
void launch(const ReblurTask& t, const Picture<float>& linear, cudaStream_t stream) {
    switch (t.transfer) {
        case Transfer::none: return launch<T, Transfer::none>(t, linear, stream);
        case Transfer::srgb: return launch<T, Transfer::srgb>(t, linear, stream);
        case Transfer::bt709: return launch<T, Transfer::bt709>(t, linear, stream);
        case Transfer::gamma22: return launch<T, Transfer::gamma22>(t, linear, stream);
    }
}

}  // namespace

void reblur(const ReblurTask& t, float* linear, int64_t region_h, int64_t region_w, int device, uintptr_t stream) {
    if (t.out.n * t.out.c * t.out.h * t.out.w == 0) return;
    const OnDevice current(device);
    Picture<float> held;
    held.data = linear;
    held.n = t.out.n, held.c = t.image.c, held.h = region_h, held.w = region_w;
    held.sw = 1, held.sh = held.w, held.sc = held.h * held.w, held.sn = held.c * held.sc;
    const auto queue = reinterpret_cast<cudaStream_t>(stream);
    if (t.sample == Sample::f16) {
        launch<Half>(t, held, queue);
    } else {
        launch<float>(t, held, queue);
    }
}

}  // namespace cuda
}  // namespace deblur
