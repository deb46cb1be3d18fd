// SPDX-License-Identifier: Apache-2.0
#include "testing.h"

int main() {
    std::printf("instruction set: %s\n", deblur::cpu::instruction_set());
    deblur::test_for_each();
    deblur::test_half();
    deblur::test_half_f16c();
    deblur::test_blend();
    deblur::test_reblur();
    deblur::test_sharpness();
    deblur::test_warp();
    std::printf(deblur::failures == 0 ? "all well\n" : "%d failures\n", deblur::failures);
    return deblur::failures == 0 ? 0 : 1;
}
