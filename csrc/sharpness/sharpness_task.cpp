// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: cut into rows of tiles for threads.
#include "drive.h"
#include "sharpness_loops.h"

namespace deblur {
namespace cpu {

void sharpness(const SharpnessTask& t, int threads) {
    const int64_t lines = (t.image.w + 2 + 15) / 16 * 16 + 16;
    const int64_t scratch = 3 * lines + t.out.w * 18 + 64;
    for_each(t.image.n * t.out.h, 1, threads, [&](int64_t begin, int64_t end) {
        const auto memory = room(scratch + 16);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t ty = i % t.out.h;
            DEBLUR_LOOP(sharpness)(t, i / t.out.h, ty, ty + 1, memory.get());
        }
    });
}

}  // namespace cpu
}  // namespace deblur
