// SPDX-License-Identifier: Apache-2.0
// What a C++ test says where something is not so, without ending there.
#pragma once

#include <cstdio>

namespace deblur {

inline int failures = 0;

}  // namespace deblur

#define EXPECT(CONDITION)                                                       \
    do {                                                                        \
        if (!(CONDITION)) {                                                     \
            std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #CONDITION); \
            ++deblur::failures;                                                 \
        }                                                                       \
    } while (false)
