// SPDX-License-Identifier: Apache-2.0
#include "windows_api.h"
// ^ before the rest
#include <bcrypt.h>

#include "failure.h"
#include "shared_memory.h"

namespace bridge {
namespace {

using namespace windows;

// A name that nobody can guess, of this session.
std::string fresh_name() {
    unsigned char random[16];
    if (BCryptGenRandom(nullptr, random, sizeof random, BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0)
        throw Failure("Windows gives no random numbers");
    std::string name = "Local\\deblur-engine-";
    for (const unsigned char byte : random)
        name += "0123456789abcdef"[byte >> 4], name += "0123456789abcdef"[byte & 15];
    return name;
}

}  // namespace

SharedMemory::SharedMemory(size_t bytes) : bytes_(bytes), name_(fresh_name()) {
    OnlyThisUser access;
    // Of the paging file, and committed: memory that only seems to be there does not exist.
    Handle section(CreateFileMappingW(INVALID_HANDLE_VALUE, access.get(), PAGE_READWRITE,
                                      static_cast<DWORD>(uint64_t{bytes} >> 32), static_cast<DWORD>(bytes),
                                      wide(name_).c_str()));
    DWORD error = GetLastError();
    if (section && error == ERROR_ALREADY_EXISTS) throw Failure("shared memory of that name exists already");
    if (section) {
        data_ = static_cast<uint8_t*>(MapViewOfFile(section.get(), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, bytes));
        error = GetLastError();
    }
    if (data_ == nullptr)
        throw Failure("no " + std::to_string(bytes >> 20) + " MiB of shared memory: " + said(error),
                      "close other programs, or render at a smaller size");
    section_ = section.release();
}

SharedMemory::~SharedMemory() {
    UnmapViewOfFile(data_);
    CloseHandle(section_);
}

}  // namespace bridge
