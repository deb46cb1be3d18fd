// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <limits>
#include <type_traits>

#include "testing.h"

namespace deblur {
namespace {

template <class V>
Picture<V> untyped(const Picture<float>& p) {
    Picture<V> out;
    out.data = p.data;
    out.n = p.n, out.c = p.c, out.h = p.h, out.w = p.w;
    out.sn = p.sn, out.sc = p.sc, out.sh = p.sh, out.sw = p.sw;
    return out;
}

template <class T>
Sample sample_of() {
    return std::is_same<T, uint8_t>::value ? Sample::u8 : std::is_same<T, uint16_t>::value ? Sample::u16 : Sample::f16;
}

// Finished and mixed values in memory of another type that is as large as the picture and laid out like it.
template <class T>
void in_type(const Owned& values, const Owned& ones, int threads, float full) {
    std::vector<T> base(values.memory.size(), T()), out(values.memory.size());
    const auto laid = [&](std::vector<T>& memory) {
        Picture<void> p = untyped<void>(values.view);
        p.data = memory.data() + (values.view.data - values.memory.data());
        return p;
    };
    FinishTask finish;
    finish.sum = values.read(), finish.weight = ones.read(), finish.out = laid(out);
    finish.sample = sample_of<T>(), finish.full = full;
    cpu::finish(finish, threads);
    MixTask mix;
    mix.base = untyped<const void>(values.view), mix.base.data = laid(base).data;
    mix.result = values.read(), mix.weight = ones.read();
    mix.sample = finish.sample, mix.full = full;
    std::vector<T> mixed(base.size());
    mix.out = laid(mixed);
    cpu::mix(mix, threads);
    for (size_t i = 0; i < out.size(); ++i) {
        T wanted;
        put(wanted, values.memory[i] * full, full);  // from a base of 0 with weight 1, and divided by 1
        EXPECT(std::memcmp(&out[i], &wanted, sizeof wanted) == 0 && value_of(mixed[i]) == value_of(wanted));
    }
}

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
    mix.base = untyped<const void>(base.view), mix.result = tile.read(), mix.weight = share.read();
    mix.out = untyped<void>(out.view);
    cpu::mix(mix, threads);
    EXPECT(out.memory == base.memory);

    base.fill(-1, 2);
    share.fill(1, 1);
    in_type<uint8_t>(base, share, threads, 200);
    in_type<uint16_t>(base, share, threads, 1023);
    in_type<Half>(base, share, threads, 1);
}

}  // namespace

void test_blend() {
    in_all_layouts([](int64_t h, int64_t w, Order order, int threads) {
        for (const int64_t c : {1, 2, 3, 4, 5}) on(1, c, h, w, order, threads);
    });
}

}  // namespace deblur
