// SPDX-License-Identifier: Apache-2.0
// What differs between systems besides connections and shared memory: folders, files and starting a process. Paths are
// UTF-8 here and everywhere in the bridge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace bridge::platform {

// A path as the standard library takes it, and back.
inline std::filesystem::path native(const std::string& path) { return std::filesystem::u8path(path); }
inline std::string utf8(const std::filesystem::path& path) { return path.u8string(); }

// The folder where client and worker meet (docs/wire.md), made where it is missing; throws NoEngine where it is not
// this user's alone.
std::string runtime_folder();

// The folder for the user's data of all programs; "" where the system names none.
std::string data_folder();

// The program that the worker is started with: $DEBLUR_ENGINE, the bundle's Contents/Resources/engine, or
// deblur-engine on the path; throws NoEngine where there is none.
std::string engine_program();

// Starts `program serve --device ...` in a session of its own, with standard error appended to `log` and none of this
// process's other files. Returns what `ending` takes; throws NoEngine.
int64_t start(const std::string& program, const std::string& device, const std::string& log);

// Whether a started process has ended, and how: "" while it runs. To be asked until it says how, and no more then.
std::string ending(int64_t process);

uint32_t process_id();  // of this process

std::string local_time(const char* format);  // now, as strftime writes it

// Appends to a file of this user's that has less than `most` bytes; does nothing where that cannot be.
void append(const std::string& path, const std::string& text, int64_t most);

// Has the desktop open a file; false where it cannot.
bool open_document(const std::string& path);

}  // namespace bridge::platform
