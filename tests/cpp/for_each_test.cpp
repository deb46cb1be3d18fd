// SPDX-License-Identifier: Apache-2.0
#include "for_each.h"

#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "testing.h"

namespace deblur {

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

}  // namespace deblur
