// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: cut into rows for threads, odd layouts and half precision brought into what the loops read.
#include <cstdlib>

#include "drive.h"
#include "warp_loops.h"

namespace deblur {
namespace cpu {
namespace {

template <class T, class From>
Picture<T> same_view(T* data, const From& p) {
    Picture<T> view;
    view.data = data;
    view.n = p.n, view.c = p.c, view.h = p.h, view.w = p.w;
    view.sn = p.sn, view.sc = p.sc, view.sh = p.sh, view.sw = p.sw;
    return view;
}

template <class From>
Picture<float> planar(float* data, const From& like) {
    Picture<float> p = same_view(data, like);
    p.sw = 1, p.sh = p.w, p.sc = p.h * p.w, p.sn = p.c * p.sc;
    return p;
}

// A picture as float32, planar or with two to four channels side by side: its own memory, or a planar copy.
struct Plain {
    Picture<const float> picture;
    std::unique_ptr<float[]> copy;
};

Plain plain(const Picture<const void>& p, Sample sample, int threads) {
    const bool apart = p.sw == 1;
    const bool together = p.c >= 2 && p.c <= 4 && p.sc == 1 && p.sw == p.c && std::abs(p.sh) >= p.w * p.c;
    Plain made;
    if (sample == Sample::f32 && (apart || together)) {
        made.picture = same_view(static_cast<const float*>(p.data), p);
    } else {
        made.copy = room(p.n * p.c * p.h * p.w);
        const Picture<float> copy = planar(made.copy.get(), p);
        over_batch(p.n, p.h, p.w, threads,
                   [&](int64_t n, int64_t begin, int64_t end) { DEBLUR_LOOP(widen)(p, sample, copy, n, begin, end); });
        made.picture = same_view<const float>(copy.data, copy);
    }
    check_extent(p.h, std::abs(made.picture.sh));
    return made;
}

void grad_image(const WarpGradTask& t, int threads) {
    const Picture<void>& p = t.grad_image;
    const bool half = t.sample == Sample::f16;
    const auto sums = room(half ? p.n * p.c * p.h * p.w : 0);
    const Picture<float> to = half ? planar(sums.get(), p) : same_view(static_cast<float*>(p.data), p);
    // In bands of rows, as few as keep the threads busy: each has to look at every row's flow.
    const int64_t wanted = p.n >= 2 * threads || threads == 1 ? 1 : 2 * threads;
    const int64_t band = std::max<int64_t>(4, (p.h + wanted - 1) / wanted), bands = (p.h + band - 1) / band;
    for_each(p.n * bands, 1, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t top = i % bands * band;
            DEBLUR_LOOP(warp_grad_image)(t, to, i / bands, top, std::min(top + band, p.h));
        }
    });
    if (half)
        over_batch(p.n, p.h, p.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
            DEBLUR_LOOP(narrow)(same_view<const float>(to.data, to), p, n, begin, end);
        });
}

}  // namespace

void warp(const WarpTask& t, int threads) {
    if (t.out.n * t.out.c * t.out.h * t.out.w == 0) return;
    const Plain image = plain(t.image, t.sample, threads);
    over_batch(t.out.n, t.out.h, t.out.w, threads,
               [&](int64_t n, int64_t begin, int64_t end) { DEBLUR_LOOP(warp)(t, image.picture, n, begin, end); });
}

void warp_backward(const WarpGradTask& t, int threads) {
    if (t.grad.n * t.grad.c * t.grad.h * t.grad.w == 0) return;
    if (t.grad_image.data != nullptr) grad_image(t, threads);
    if (t.grad_flow.data == nullptr) return;
    const Plain image = plain(t.image, t.sample, threads);
    over_batch(t.grad.n, t.grad.h, t.grad.w, threads, [&](int64_t n, int64_t begin, int64_t end) {
        DEBLUR_LOOP(warp_grad_flow)(t, image.picture, n, begin, end);
    });
}

}  // namespace cpu
}  // namespace deblur
