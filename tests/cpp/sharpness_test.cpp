// SPDX-License-Identifier: Apache-2.0
#include "testing.h"

namespace deblur {
namespace {

void on(int64_t n, int64_t h, int64_t w, Order order, int threads) {
    for (const int64_t c : {1, 3})
        for (const int tile : {1, 8, 33}) {
            Owned image(n, c, h, w, order), out(n, 1, (h + tile - 1) / tile, (w + tile - 1) / tile, Order::planar);
            SharpnessTask task;
            const Picture<const float> p = image.read();
            task.image.data = p.data;
            task.image.n = n, task.image.c = c, task.image.h = h, task.image.w = w;
            task.image.sn = p.sn, task.image.sc = p.sc, task.image.sh = p.sh, task.image.sw = p.sw;
            task.out = out.view, task.tile = tile;
            for (const Measure measure : {Measure::laplacian, Measure::tenengrad}) {
                task.measure = measure;
                for (float& v : image.memory) v = 0.5f;
                cpu::sharpness(task, threads);
                EXPECT(all_within(out.memory, 0, 1e-12f));
                image.fill(0, 1);
                cpu::sharpness(task, threads);
                EXPECT(all_within(out.memory, 0, 64));
            }
        }
}

}  // namespace

void test_sharpness() {
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) { on(2, h, w, order, threads); });
}

}  // namespace deblur
