// SPDX-License-Identifier: Apache-2.0
// The op on the CPU: cut into rows of tiles for threads.
#include "drive.h"
#include "sharpness_loops.h"

namespace deblur {
namespace cpu {

void sharpness(const SharpnessTask& t, int threads) {
    // Neighbouring rows of tiles, as the loops ask for memory ahead of them, but several pieces for each thread.
    const int64_t rows = t.image.n * t.out.h, grain = std::min<int64_t>(8, rows / (4 * threads));
    for_each(rows, grain, threads, [&](int64_t begin, int64_t end) {
        const std::unique_ptr<double[]> memory(new double[static_cast<size_t>(scratch_doubles(t))]);
        for (int64_t i = begin; i < end; ++i) DEBLUR_LOOP(sharpness)(t, i / t.out.h, i % t.out.h, memory.get());
    });
}

}  // namespace cpu
}  // namespace deblur
