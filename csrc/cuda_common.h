// SPDX-License-Identifier: Apache-2.0
// What every kernel's launch shares. For .cu files only.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "common.h"

namespace deblur {
namespace cuda {

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

// Makes a device current for one call and puts the caller's back.
class OnDevice {
public:
    explicit OnDevice(int device) {
        check(cudaGetDevice(&before_), "cudaGetDevice");
        if (device != before_) check(cudaSetDevice(device), "cudaSetDevice");
        changed_ = device != before_;
    }
    ~OnDevice() {
        if (changed_) cudaSetDevice(before_);
    }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

private:
    int before_ = 0;
    bool changed_ = false;
};

// A thread for each pixel of a batch; warps run along rows. What a grid cannot hold is looped over.
struct Layout {
    dim3 blocks, threads;
};

inline Layout by_pixel(int64_t n, int64_t h, int64_t w) {
    Layout l;
    l.threads = dim3(32, 8, 1);
    l.blocks = dim3(static_cast<unsigned>((w + 31) / 32), static_cast<unsigned>(std::min<int64_t>((h + 7) / 8, 65535)),
                    static_cast<unsigned>(std::min<int64_t>(n, 65535)));
    return l;
}

// The loops that go with by_pixel.
#define DEBLUR_EACH_PIXEL(N, H, W)                                                             \
    const int64_t x = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;             \
    if (x >= (W)) return;                                                                      \
    for (int64_t n = blockIdx.z; n < (N); n += gridDim.z)                                      \
        for (int64_t y = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y; y < (H); \
             y += static_cast<int64_t>(gridDim.y) * blockDim.y)

}  // namespace cuda
}  // namespace deblur
