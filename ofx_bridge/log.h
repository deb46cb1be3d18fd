// SPDX-License-Identifier: Apache-2.0
// What went wrong, written behind what the worker itself says: one file tells the whole story.
#pragma once

#include <string>

namespace bridge {

// Appends a line to `path`; where that cannot be, nothing happens. Never throws.
void write_log(const std::string& path, const std::string& line) noexcept;

}  // namespace bridge
