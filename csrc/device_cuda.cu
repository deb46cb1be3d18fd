// SPDX-License-Identifier: Apache-2.0
#include "cuda_common.h"
#include "ops.h"

namespace deblur {
namespace cuda {

int devices() {
    // Asked once: without a driver each question searches the disk for one.
    static const int found = [] {
        int count = 0;
        if (cudaGetDeviceCount(&count) != cudaSuccess) {
            cudaGetLastError();  // no driver is no error of a later call
            count = 0;
        }
        return count;
    }();
    return found;
}

int runtime_version() { return CUDART_VERSION; }

}  // namespace cuda
}  // namespace deblur
