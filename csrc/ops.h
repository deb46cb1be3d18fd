// SPDX-License-Identifier: Apache-2.0
// The ops as the bindings see them: cpu::NAME(task, threads) and, in a build with CUDA, cuda::NAME(task, device,
// stream), declared in NAME.h. Tasks are taken as checked: shapes agree, strides stay inside the owners' memory,
// outputs overlap nothing. Whatever else is wrong is thrown as std::invalid_argument. CUDA work is queued on `stream`
// (a cudaStream_t) of `device`; nothing waits for it.
#pragma once

#include <cstdint>

#include "blend/blend.h"
#include "reblur/reblur.h"
#include "sharpness/sharpness.h"
#include "warp/warp.h"

namespace deblur {

namespace cpu {
// The instruction set chosen on this processor: "base", "x86-64-v3" or "x86-64-v4". DEBLUR_ISA=base|v3|v4 in the
// environment lowers it.
const char* instruction_set();
}  // namespace cpu

#if defined(DEBLUR_WITH_CUDA)
namespace cuda {
// Number of usable devices: 0 where there is no driver, or one too old for this build.
int devices();
int runtime_version();
}  // namespace cuda
#endif

}  // namespace deblur
