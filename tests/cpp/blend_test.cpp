// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "testing.h"

namespace deblur {
namespace {

void on(int64_t n, int64_t c, int64_t h, int64_t w, Order order, int threads) {
    Owned sum(n, c, h + 3, w + 2, order), weight(n, 1, h + 3, w + 2, order), tile(n, c, h, w, order);
    tile.fill(0, 1);
    BlendTask task;
    task.sum = sum.view, task.weight = weight.view, task.tile = tile.read();
    task.y = 3, task.x = 2, task.feather = 4;
    cpu::blend(task, threads);
    EXPECT(all_within(sum.memory, 0, 1) && all_within(weight.memory, 0, 1));
    EXPECT(at(weight.view, 0, 0, 0, 0) == 0.0f);

    Owned base(n, c, h, w, order), out(n, c, h, w, order), share(n, 1, h, w, order);
    base.fill(0, 1);
    for (float& v : tile.memory) v = std::numeric_limits<float>::quiet_NaN();
    MixTask mix;
    mix.base = base.read(), mix.result = tile.read(), mix.weight = share.read(), mix.out = out.view;
    cpu::mix(mix, threads);
    EXPECT(out.memory == base.memory);
}

}  // namespace

void test_blend() {
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) {
        for (const int64_t c : {1, 2, 3, 4, 5}) on(1, c, h, w, order, threads);
    });
}

}  // namespace deblur
