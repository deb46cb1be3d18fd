// SPDX-License-Identifier: Apache-2.0
// A library that is loaded at run time.
#pragma once

#include <stdexcept>
#include <string>
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace host {

inline void* open_library(const std::string& path) {
#if defined(_WIN32)
    if (void* found = LoadLibraryA(path.c_str())) return found;
    throw std::runtime_error(path + " cannot be loaded: error " + std::to_string(GetLastError()));
#else
    if (void* found = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return found;
    throw std::runtime_error(dlerror());
#endif
}

template <class Function>
Function symbol(void* library, const char* name) {
#if defined(_WIN32)
    return reinterpret_cast<Function>(reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name)));
#else
    return reinterpret_cast<Function>(dlsym(library, name));
#endif
}

inline void close_library(void* library) {
#if defined(_WIN32)
    FreeLibrary(static_cast<HMODULE>(library));
#else
    dlclose(library);
#endif
}

}  // namespace host
