// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "testing.h"

namespace deblur {
namespace {

void on(int64_t n, int64_t c, int64_t h, int64_t w, Order order, int threads) {
    Owned image(n, c, h, w, order), motion(n, 2, h, w, order), bend(n, 2, h, w, order), out(n, c, h, w, order);
    image.fill(0, 1);
    for (const Transfer transfer : {Transfer::none, Transfer::srgb, Transfer::bt709, Transfer::gamma22})
        for (const int samples : {0, 1, 7, 64, 100}) {
            ReblurTask task;
            task.image = typed<const void>(image.read()), task.motion = motion.read(), task.out = typed<void>(out.view);
            task.transfer = transfer, task.samples = samples;
            for (float& v : motion.memory) v = 0;
            cpu::reblur(task, threads);
            EXPECT(out.memory == image.memory);
            task.curvature = bend.read();
            motion.fill(-30, 30), bend.fill(-9, 9);
            spoil(motion.memory), spoil(bend.memory);
            cpu::reblur(task, threads);
            EXPECT(all_within(out.memory, 0, 1.0001f));
        }
}

void crops_of(int64_t c, int64_t h, int64_t w, Order order, int threads) {
    const int64_t size = h < w ? (h + 1) / 2 : (w + 1) / 2;
    Owned image(2, c, h, w, order), motion(2, 2, h, w, order);
    Owned out(8, c, size, size, order), sharp(8, c, size, size, order), turned(8, 2, size, size, order);
    image.fill(0, 1), motion.fill(-30, 30), spoil(motion.memory);
    std::vector<Crop> crops;
    for (int way = 0; way < 8; ++way) {
        Crop crop;
        crop.picture = way % 2, crop.y = way % 3 ? h - size : 0, crop.x = way % 4 ? w - size : 0;
        crop.way = way, crop.scale = way == 5 ? 1e30f : 1.5f;
        crops.push_back(crop);
    }
    ReblurTask task;
    task.image = typed<const void>(image.read()), task.motion = motion.read();
    task.out = typed<void>(out.view), task.sharp = typed<void>(sharp.view), task.turned = turned.view;
    task.crops = crops.data(), task.transfer = Transfer::srgb;
    cpu::reblur(task, threads);
    EXPECT(all_within(out.memory, 0, 1.0001f) && all_within(sharp.memory, 0, 1));
    EXPECT(all_within(turned.memory, -1048576, 1048576));
    // In half precision and back: what did not move differs by its rounding only.
    std::vector<Half> halfs(static_cast<size_t>(2 * c * h * w)), back(static_cast<size_t>(8 * c * size * size));
    for (size_t i = 0; i < halfs.size(); ++i) halfs[i] = to_half(image.memory[i]);
    task.image.data = halfs.data() + (image.view.data - image.memory.data()), task.sample = Sample::f16;
    task.out.data = back.data() + (out.view.data - out.memory.data()), task.out_sample = Sample::f16;
    task.sharp.data = nullptr;
    cpu::reblur(task, threads);
    for (size_t i = 0; i < back.size(); ++i) EXPECT(std::fabs(to_float(back[i]) - out.memory[i]) < 0.01f);
}

}  // namespace

void test_reblur() {
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) {
        on(1, 3, h, w, order, threads);
        on(2, 5, h, w, order, threads);
        crops_of(3, h, w, order, threads);
        crops_of(5, h, w, order, threads);
    });
    on(1, 3, 131, 260, Order::planar, 3);  // more than a tile
}

}  // namespace deblur
