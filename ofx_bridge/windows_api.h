// SPDX-License-Identifier: Apache-2.0
// What the Windows files share: handles, texts (UTF-8 inside the bridge, UTF-16 at the border), and who is who.
#pragma once

#if !defined(NOMINMAX)
#define NOMINMAX
#endif
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <string>
#include <utility>

namespace bridge::windows {

class Handle {
public:
    Handle() = default;
    explicit Handle(HANDLE handle) : handle_(handle == INVALID_HANDLE_VALUE ? nullptr : handle) {}
    Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Handle() {
        if (handle_ != nullptr) CloseHandle(handle_);
    }
    HANDLE get() const { return handle_; }
    HANDLE release() { return std::exchange(handle_, nullptr); }
    explicit operator bool() const { return handle_ != nullptr; }

private:
    HANDLE handle_ = nullptr;
};

std::wstring wide(const std::string& text);    // "" for what is no UTF-8
std::string narrow(const std::wstring& text);  // lone surrogates become U+FFFD
std::string said(DWORD error);                 // what the system calls an error
std::wstring variable(const wchar_t* name);    // of the environment; "" where it is not set

// The security identifier of a process' user as text; "" where the system does not tell.
std::wstring user_of(HANDLE process);

// An access list for this process' user alone.
class OnlyThisUser {
public:
    // `inherited`: for a folder, so that it holds for all that comes into it; the system and administrators may enter
    // it, as everywhere. Throws Failure.
    explicit OnlyThisUser(bool inherited = false);
    ~OnlyThisUser() { LocalFree(attributes_.lpSecurityDescriptor); }
    OnlyThisUser(const OnlyThisUser&) = delete;
    OnlyThisUser& operator=(const OnlyThisUser&) = delete;
    SECURITY_ATTRIBUTES* get() { return &attributes_; }

private:
    SECURITY_ATTRIBUTES attributes_{sizeof(SECURITY_ATTRIBUTES), nullptr, FALSE};
};

}  // namespace bridge::windows
