// SPDX-License-Identifier: Apache-2.0
// Every op on pictures of awkward sizes and layouts, in memory that ends where the picture ends: under the sanitizers
// a read or write beside it stops the program. Values are held to facts that need no second implementation.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "for_each.h"
#include "ops.h"

using namespace deblur;

namespace {

int failures = 0;

#define EXPECT(CONDITION)                                                       \
    do {                                                                        \
        if (!(CONDITION)) {                                                     \
            std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #CONDITION); \
            ++failures;                                                         \
        }                                                                       \
    } while (false)

std::mt19937 generator(7);

float random_float(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator); }

enum class Order { interleaved, planar, mirrored };

// Memory of exactly a picture's size, and the view of it.
struct Owned {
    std::vector<float> memory;
    Picture<float> view;

    Owned(int64_t n, int64_t c, int64_t h, int64_t w, Order order) : memory(static_cast<size_t>(n * c * h * w)) {
        view.n = n, view.c = c, view.h = h, view.w = w;
        view.data = memory.data();
        view.sn = c * h * w;
        if (order == Order::planar) {
            view.sc = h * w, view.sh = w, view.sw = 1;
        } else {
            view.sc = 1, view.sw = c, view.sh = c * w;
        }
        if (order == Order::mirrored) {
            view.data += (h - 1) * view.sh + (w - 1) * view.sw;
            view.sh = -view.sh, view.sw = -view.sw;
        }
    }
    void fill(float low, float high) {
        for (float& v : memory) v = random_float(low, high);
    }
    Picture<const float> read() const {
        Picture<const float> p;
        p.data = view.data;
        p.n = view.n, p.c = view.c, p.h = view.h, p.w = view.w;
        p.sn = view.sn, p.sc = view.sc, p.sh = view.sh, p.sw = view.sw;
        return p;
    }
};

bool all_within(const std::vector<float>& values, float low, float high) {
    for (float v : values)
        if (!(v >= low && v <= high)) return false;
    return true;
}

const float odd_values[] = {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            3.4e38f,
                            -3.4e38f,
                            2147483648.0f,
                            -1e9f,
                            0.0f};

void spoil(std::vector<float>& values) {
    for (float& v : values)
        if (random_float(0, 1) < 0.2f) v = odd_values[generator() % 8];
}

void test_warp(int64_t n, int64_t c, int64_t h, int64_t w, Order order, int threads) {
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

void test_reblur(int64_t n, int64_t c, int64_t h, int64_t w, Order order, int threads) {
    Owned image(n, c, h, w, order), motion(n, 2, h, w, order), bend(n, 2, h, w, order), out(n, c, h, w, order);
    image.fill(0, 1);
    for (const Transfer transfer : {Transfer::none, Transfer::srgb, Transfer::bt709, Transfer::gamma22})
        for (const int samples : {0, 1, 7, 64, 100}) {
            ReblurTask task;
            task.image = image.read(), task.motion = motion.read(), task.out = out.view;
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

void test_sharpness(int64_t n, int64_t h, int64_t w, Order order, int threads) {
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

void test_blend(int64_t n, int64_t c, int64_t h, int64_t w, Order order, int threads) {
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

void test_for_each() {
    std::vector<std::thread> callers;
    std::vector<int64_t> sums(6);
    for (size_t caller = 0; caller < sums.size(); ++caller)
        callers.emplace_back([&, caller] {
            for (int round = 0; round < 200; ++round) {
                std::vector<int64_t> seen(257);
                for_each(257, 3, 4, [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
                });
                for (int64_t count : seen) sums[caller] += count;
            }
        });
    for (auto& caller : callers) caller.join();
    for (int64_t sum : sums) EXPECT(sum == 257 * 200);

    bool thrown = false;
    try {
        for_each(100, 1, 3, [](int64_t begin, int64_t) {
            if (begin == 50) throw std::runtime_error("fifty");
        });
    } catch (const std::runtime_error&) {
        thrown = true;
    }
    EXPECT(thrown);
    for_each(0, 1, 3, [](int64_t, int64_t) { std::abort(); });
}

}  // namespace

int main() {
    std::printf("instruction set: %s\n", cpu::instruction_set());
    test_for_each();
    const int64_t sizes[][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 2}, {17, 70}, {5, 130}};
    for (const auto& size : sizes)
        for (const Order order : {Order::interleaved, Order::planar, Order::mirrored})
            for (const int threads : {1, 3}) {
                for (const int64_t c : {1, 2, 3, 4, 5}) {
                    test_warp(2, c, size[0], size[1], order, threads);
                    test_blend(1, c, size[0], size[1], order, threads);
                }
                test_reblur(1, 3, size[0], size[1], order, threads);
                test_reblur(2, 5, size[0], size[1], order, threads);
                test_sharpness(2, size[0], size[1], order, threads);
            }
    std::printf(failures == 0 ? "all well\n" : "%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
