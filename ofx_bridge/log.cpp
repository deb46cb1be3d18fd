// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include "platform.h"

namespace bridge {
namespace {

constexpr int64_t most_bytes = 2 << 20;  // the worker begins the file anew at 1 MiB; without one nobody does

}  // namespace

void write_log(const std::string& path, const std::string& line) noexcept try {
    const std::string who = " plug-in " + std::to_string(platform::process_id()) + ": ";
    platform::append(path, platform::local_time("%Y-%m-%d %H:%M:%S") + who + line + "\n", most_bytes);
} catch (...) {
}

}  // namespace bridge
