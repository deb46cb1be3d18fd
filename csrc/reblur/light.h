// SPDX-License-Identifier: Apache-2.0
// Runs of values into linear light and back; for the loops of one instruction set.
#pragma once

#include "transfer.h"

// Nothing but arithmetic: here vectors of 512 bits gain a third.
#if defined(__GNUC__) && !defined(__clang__) && defined(__AVX512F__)
#define DEBLUR_WIDE __attribute__((noinline, target("prefer-vector-width=512")))
#else
#define DEBLUR_WIDE
#endif

namespace deblur {
namespace {

template <Transfer K>
DEBLUR_WIDE void into_linear(float* values, int64_t count) {
    if constexpr (K == Transfer::none) return;
    for (int64_t i = 0; i < count; ++i) values[i] = to_linear<K>(values[i]);
}

template <Transfer K>
DEBLUR_WIDE void out_of_linear(float* values, int64_t count) {
    if constexpr (K == Transfer::none) return;
    for (int64_t i = 0; i < count; ++i) values[i] = from_linear<K>(values[i]);
}

}  // namespace
}  // namespace deblur
