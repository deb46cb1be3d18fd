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

// 8-bit luma in memory of exactly its size: chequers of 0 and 255, whose Laplacian is 4 * 255 but at the border.
void on_bytes(int64_t h, int64_t w, int threads) {
    std::vector<uint8_t> chequers(static_cast<size_t>(h * w));
    for (int64_t i = 0; i < h * w; ++i) chequers[static_cast<size_t>(i)] = (i / w + i % w) % 2 ? 255 : 0;
    for (const int tile : {1, 16, 32, 33}) {
        Owned out(1, 1, (h + tile - 1) / tile, (w + tile - 1) / tile, Order::planar);
        SharpnessTask task;
        task.image.data = chequers.data();
        task.image.n = task.image.c = 1, task.image.h = h, task.image.w = w;
        task.image.sh = w, task.image.sw = 1;
        task.out = out.view, task.tile = tile, task.sample = Sample::u8;
        cpu::sharpness(task, threads);
        EXPECT(all_within(out.memory, 0, 16));
        for (int64_t ty = 1; (ty + 1) * tile < h; ++ty)
            for (int64_t tx = 1; (tx + 1) * tile < w; ++tx) EXPECT(at(out.view, 0, 0, ty, tx) == 16.0f);
    }
}

}  // namespace

void test_sharpness() {
    for (const int64_t w : {1, 2, 31, 33, 64, 100, 130}) on_bytes(70, w, 2);
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) { on(2, h, w, order, threads); });
}

}  // namespace deblur
