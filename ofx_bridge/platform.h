// SPDX-License-Identifier: Apache-2.0
// What differs between systems besides sockets and memory: folders, and starting a process.
#pragma once

#include <cstdint>
#include <string>

namespace bridge::platform {

// The folder of sockets and logs (docs/wire.md), made where it is missing; throws NoEngine where it is not this
// user's alone.
std::string runtime_folder();

// The program that the worker is started with: $DEBLUR_ENGINE, the bundle's Contents/Resources/engine, or
// deblur-engine on the path; throws NoEngine where there is none.
std::string engine_program();

// Starts `program arguments...` in a session of its own, with standard error appended to `log` and none of this
// process's other files. Returns its number; throws NoEngine.
int64_t start(const std::string& program, const std::string& device, const std::string& log);

// Whether the process has ended, and how: "" while it runs.
std::string ending(int64_t process);

// Has the desktop open a file; false where it cannot.
bool open_document(const std::string& path);

}  // namespace bridge::platform
