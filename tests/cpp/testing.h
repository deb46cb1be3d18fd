// SPDX-License-Identifier: Apache-2.0
// Every op on pictures of awkward sizes and layouts, in memory that ends where the picture ends: under the sanitizers
// a read or write beside it stops the program. Values are held to facts that need no second implementation.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "expect.h"
#include "ops.h"

namespace deblur {

inline std::mt19937 generator(7);

inline float random_float(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator); }

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

inline bool all_within(const std::vector<float>& values, float low, float high) {
    for (float v : values)
        if (!(v >= low && v <= high)) return false;
    return true;
}

constexpr float odd_values[] = {std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity(),
                                3.4e38f,
                                -3.4e38f,
                                2147483648.0f,
                                -1e9f,
                                0.0f};

inline void spoil(std::vector<float>& values) {
    for (float& v : values)
        if (random_float(0, 1) < 0.2f) v = odd_values[generator() % 8];
}

// Calls body(height, width, order, threads) for all the combinations worth trying.
inline void in_all_layouts(const std::function<void(int64_t, int64_t, Order, int)>& body) {
    const int64_t sizes[][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 2}, {17, 70}, {5, 130}};
    for (const auto& size : sizes)
        for (const Order order : {Order::interleaved, Order::planar, Order::mirrored})
            for (const int threads : {1, 3}) body(size[0], size[1], order, threads);
}

void test_blend();
void test_for_each();
void test_half();
void test_half_f16c();  // the same, by the processor's own conversion where it has one
void test_reblur();
void test_sharpness();
void test_warp();

}  // namespace deblur
