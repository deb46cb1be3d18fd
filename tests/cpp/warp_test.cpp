// SPDX-License-Identifier: Apache-2.0
#include "testing.h"

namespace deblur {
namespace {

void on(int64_t n, int64_t c, int64_t h, int64_t w, Order order, int threads) {
    Owned image(n, c, h, w, order), flow(n, 2, h, w, order), out(n, c, h, w, order), mask(n, 1, h, w, order);
    image.fill(0, 1);
    for (const Filter filter : {Filter::bilinear, Filter::bicubic})
        for (const Border border : {Border::replicate, Border::zero, Border::reflect}) {
            WarpTask task;
            task.image = image.read(), task.flow = flow.read(), task.out = out.view, task.mask = mask.view;
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
        }
}

}  // namespace

void test_warp() {
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) {
        for (const int64_t c : {1, 2, 3, 4, 5}) on(2, c, h, w, order, threads);
    });
}

}  // namespace deblur
