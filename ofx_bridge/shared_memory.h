// SPDX-License-Identifier: Apache-2.0
// Memory that this process makes and the worker maps too. Its size is fixed for good: where the system can, it is
// sealed, so that no peer can shrink it and thereby end this process with SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bridge {

class SharedMemory {
public:
    explicit SharedMemory(size_t bytes);  // throws Failure
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    uint8_t* data() const { return data_; }
    size_t bytes() const { return bytes_; }
    int descriptor() const { return descriptor_; }

private:
    size_t bytes_;
    int descriptor_ = -1;
    uint8_t* data_ = nullptr;
};

}  // namespace bridge
