// SPDX-License-Identifier: Apache-2.0
// The instruction set of the loops, chosen on the processor at hand.
#pragma once

namespace deblur {

// The levels of the x86-64 psABI; elsewhere everything is the base.
enum class Isa : int { base = 0, v3 = 1, v4 = 2 };

Isa isa();

}  // namespace deblur

// The function NAME of the chosen instruction set's loops.
#if defined(DEBLUR_MULTI_ISA)
#define DEBLUR_LOOP(NAME)                                            \
    (::deblur::isa() == ::deblur::Isa::v4   ? ::deblur::isa_v4::NAME \
     : ::deblur::isa() == ::deblur::Isa::v3 ? ::deblur::isa_v3::NAME \
                                            : ::deblur::isa_base::NAME)
#else
#define DEBLUR_LOOP(NAME) ::deblur::isa_base::NAME
#endif
