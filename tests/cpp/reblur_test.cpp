// SPDX-License-Identifier: Apache-2.0
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

}  // namespace

void test_reblur() {
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) {
        on(1, 3, h, w, order, threads);
        on(2, 5, h, w, order, threads);
    });
}

}  // namespace deblur
