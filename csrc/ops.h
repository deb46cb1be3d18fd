// SPDX-License-Identifier: Apache-2.0
// The ops as the bindings see them. Tasks are taken as checked: shapes agree, strides stay inside the owners' memory,
// outputs overlap nothing. Whatever else is wrong is thrown as std::invalid_argument.
#pragma once

#include <cstdint>

#include "blend/blend.h"
#include "reblur/reblur.h"
#include "sharpness/sharpness.h"
#include "warp/warp.h"

namespace deblur {

namespace cpu {
void sharpness(const SharpnessTask&, int threads);
void warp(const WarpTask&, int threads);
void reblur(const ReblurTask&, int threads);
void blend(const BlendTask&, int threads);
void mix(const MixTask&, int threads);

// The instruction set chosen on this processor: "base", "x86-64-v3" or "x86-64-v4". DEBLUR_ISA=base|v3|v4 in the
// environment lowers it.
const char* instruction_set();
}  // namespace cpu

#if defined(DEBLUR_WITH_CUDA)
namespace cuda {
// Work is queued on `stream` (a cudaStream_t) of `device`; nothing waits for it.
void sharpness(const SharpnessTask&, int device, uintptr_t stream);
void warp(const WarpTask&, int device, uintptr_t stream);
// `linear` is scratch, shaped like the image and contiguous, needed where the task has a transfer curve.
void reblur(const ReblurTask&, float* linear, int device, uintptr_t stream);
void blend(const BlendTask&, int device, uintptr_t stream);
void mix(const MixTask&, int device, uintptr_t stream);

// Number of usable devices: 0 where there is no driver, or one too old for this build.
int devices();
int runtime_version();
}  // namespace cuda
#endif

}  // namespace deblur
