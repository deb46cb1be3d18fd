// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <utility>

#include "half.h"
#include "testing.h"

namespace deblur {
namespace {

Picture<const void> untyped(const Owned& o) {
    Picture<const void> p;
    p.data = o.view.data;
    p.n = o.view.n, p.c = o.view.c, p.h = o.view.h, p.w = o.view.w;
    p.sn = o.view.sn, p.sc = o.view.sc, p.sh = o.view.sh, p.sw = o.view.sw;
    return p;
}

Picture<void> untyped(Owned& o) {
    const Picture<const void> read = untyped(const_cast<const Owned&>(o));
    Picture<void> p;
    p.data = o.view.data;
    p.n = read.n, p.c = read.c, p.h = read.h, p.w = read.w;
    p.sn = read.sn, p.sc = read.sc, p.sh = read.sh, p.sw = read.sw;
    return p;
}

// The same layout in half precision, in memory that ends where the picture does.
struct OwnedHalf {
    std::vector<Half> memory;
    Picture<void> view;

    explicit OwnedHalf(Owned& like) : memory(like.memory.size()), view(untyped(like)) {
        to_halfs(like.memory.data(), memory.data(), static_cast<int64_t>(memory.size()));
        view.data = memory.data() + (like.view.data - like.memory.data());
    }
    Picture<const void> read() const {
        Picture<const void> p;
        p.data = view.data;
        p.n = view.n, p.c = view.c, p.h = view.h, p.w = view.w;
        p.sn = view.sn, p.sc = view.sc, p.sh = view.sh, p.sw = view.sw;
        return p;
    }
};

void on(int64_t n, int64_t c, int64_t h, int64_t w, Order order, int threads) {
    Owned image(n, c, h, w, order), flow(n, 2, h, w, order), out(n, c, h, w, order), mask(n, 1, h, w, order);
    image.fill(0, 1);
    for (const Filter filter : {Filter::bilinear, Filter::bicubic})
        for (const Border border : {Border::replicate, Border::zero, Border::reflect}) {
            WarpTask task;
            task.image = untyped(std::as_const(image)), task.flow = untyped(std::as_const(flow));
            task.out = untyped(out), task.mask = mask.view;
            task.filter = filter, task.border = border;
            for (float& v : flow.memory) v = 0;
            cpu::warp(task, threads);
            EXPECT(out.memory == image.memory);
            EXPECT(all_within(mask.memory, 1, 1));
            flow.fill(-2.0f * static_cast<float>(w + h), 2.0f * static_cast<float>(w + h));
            spoil(flow.memory);
            cpu::warp(task, threads);
            EXPECT(filter == Filter::bilinear ? all_within(out.memory, 0, 1.00001f)
                                              : all_within(out.memory, -0.7f, 1.7f));
            EXPECT(all_within(mask.memory, 0, 1));

            // Incoming gradients of 1: what a pixel gives away is 1, unless beyond a border of zeros.
            Owned grad(n, c, h, w, order), to_image(n, c, h, w, order), to_flow(n, 2, h, w, order);
            for (float& v : grad.memory) v = 1;
            WarpGradTask back;
            back.image = task.image, back.flow = task.flow, back.grad = untyped(std::as_const(grad));
            back.grad_image = untyped(to_image), back.grad_flow = untyped(to_flow);
            back.filter = filter, back.border = border;
            cpu::warp_backward(back, threads);
            double sum = 0;
            for (float v : to_image.memory) sum += v;
            const double whole = static_cast<double>(grad.memory.size());
            EXPECT(border == Border::zero ? sum <= whole * 1.3 : std::abs(sum - whole) < whole * 1e-4);
            EXPECT(all_within(to_flow.memory, -10.0f * static_cast<float>(c), 10.0f * static_cast<float>(c)));

            OwnedHalf half_image(image), half_flow(flow), half_out(out), half_grad(grad), half_to(to_flow);
            task.image = half_image.read(), task.flow = half_flow.read(), task.out = half_out.view;
            task.sample = task.flow_sample = Sample::f16;
            cpu::warp(task, threads);
            back.image = half_image.read(), back.flow = half_flow.read(), back.grad = half_grad.read();
            back.grad_image = half_out.view, back.grad_flow = half_to.view;
            back.sample = back.flow_sample = Sample::f16;
            cpu::warp_backward(back, threads);
            for (const Half v : half_out.memory) EXPECT(std::isfinite(to_float(v)));
        }
}

}  // namespace

void test_warp() {
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) {
        for (const int64_t c : {1, 2, 3, 4, 5}) on(2, c, h, w, order, threads);
    });
}

}  // namespace deblur
