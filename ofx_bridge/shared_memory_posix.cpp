// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "failure.h"
#include "shared_memory.h"

namespace bridge {
namespace {

int make_anonymous() {
#if defined(__linux__)
    const int descriptor = memfd_create("deblur-engine", MFD_CLOEXEC | MFD_ALLOW_SEALING);
#else
    // POSIX: a name that lives only until it is opened.
    static std::atomic<unsigned> counter{0};
    const std::string name = "/deblur-" + std::to_string(getpid()) + "-" + std::to_string(counter++);
    const int descriptor = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (descriptor >= 0) {
        shm_unlink(name.c_str());
        fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    }
#endif
    return descriptor;
}

// Before a byte is touched: on a full machine writing to memory that only seems to be there is SIGBUS.
int set_size(int descriptor, size_t bytes) {
#if defined(__linux__)
    if (ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) return errno;
    int error;
    do error = posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
    while (error == EINTR);
    if (error != 0) return error;
    return fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 ? 0 : errno;
#else
    return ftruncate(descriptor, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
#endif
}

}  // namespace

SharedMemory::SharedMemory(size_t bytes) : bytes_(bytes) {
    descriptor_ = make_anonymous();
    if (descriptor_ < 0) throw Failure(std::string("no shared memory: ") + std::strerror(errno));
    int error = set_size(descriptor_, bytes);
    void* mapped = MAP_FAILED;
    if (error == 0) {
        mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
        if (mapped == MAP_FAILED) error = errno;
    }
    if (error != 0) {
        close(descriptor_);
        throw Failure("no " + std::to_string(bytes >> 20) + " MiB of shared memory: " + std::strerror(error),
                      "close other programs, or render at a smaller size");
    }
    data_ = static_cast<uint8_t*>(mapped);
}

SharedMemory::~SharedMemory() {
    munmap(data_, bytes_);
    close(descriptor_);
}

}  // namespace bridge
