// SPDX-License-Identifier: Apache-2.0
// What the loops of all ops share. They are compiled once for each instruction set (DEBLUR_ISA), so nothing with
// external linkage may stand here: see DEBLUR_FN.
#pragma once

#include "common.h"

// The declarations, for each instruction set.
#define DEBLUR_EACH_ISA(...) \
    namespace isa_base {     \
    __VA_ARGS__              \
    }                        \
    namespace isa_v3 {       \
    __VA_ARGS__              \
    }                        \
    namespace isa_v4 {       \
    __VA_ARGS__              \
    }
