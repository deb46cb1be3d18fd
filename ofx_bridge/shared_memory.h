// SPDX-License-Identifier: Apache-2.0
// Memory that this process makes and the worker maps too. Its size is fixed for good: on Linux it is sealed, so that no
// peer can shrink it and thereby end this process with SIGBUS; macOS sizes such memory only once, and on Windows it
// has no call that would shrink it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bridge {

class SharedMemory {
public:
    explicit SharedMemory(size_t bytes);  // throws Failure
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    uint8_t* data() const { return data_; }
    size_t bytes() const { return bytes_; }
    // How the worker gets at it: by a descriptor that goes with ATTACH or, where name() is not "", by ATTACH_NAMED.
    int descriptor() const { return descriptor_; }
    const std::string& name() const { return name_; }

private:
    size_t bytes_;
    int descriptor_ = -1;
#if defined(_WIN32)
    void* section_ = nullptr;
#endif
    std::string name_;
    uint8_t* data_ = nullptr;
};

}  // namespace bridge
