// SPDX-License-Identifier: Apache-2.0
// Runs of values into linear light and back; for the loops of one instruction set.
#pragma once

#include "transfer.h"

namespace deblur {
namespace {

template <Transfer K>
void into_linear(float* values, int64_t count) {
    if constexpr (K == Transfer::none) return;
    for (int64_t i = 0; i < count; ++i) values[i] = to_linear<K>(values[i]);
}

template <Transfer K>
void out_of_linear(float* values, int64_t count) {
    if constexpr (K == Transfer::none) return;
    for (int64_t i = 0; i < count; ++i) values[i] = from_linear<K>(values[i]);
}

}  // namespace
}  // namespace deblur
