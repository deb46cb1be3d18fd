// SPDX-License-Identifier: Apache-2.0
#include "isa.h"

#include <cstdlib>
#include <string>

#include "ops.h"

namespace deblur {
namespace {

Isa choose() {
#if defined(DEBLUR_MULTI_ISA)
    const char* text = std::getenv("DEBLUR_ISA");
    const std::string limit = text ? text : "";
    // What each level of the x86-64 psABI adds, asked for feature by feature: not every compiler knows the levels'
    // names, nor f16c (every processor with AVX2 has it).
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v4 && limit != "base" && limit != "v3") return Isa::v4;
    if (v3 && limit != "base") return Isa::v3;
#endif
    return Isa::base;
}

}  // namespace

Isa isa() {
    static const Isa chosen = choose();
    return chosen;
}

const char* cpu::instruction_set() {
    const char* names[] = {"base", "x86-64-v3", "x86-64-v4"};
    return names[static_cast<int>(isa())];
}

}  // namespace deblur
