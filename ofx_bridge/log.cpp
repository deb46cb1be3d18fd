// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

namespace bridge {
namespace {

constexpr off_t most_bytes = 2 << 20;  // the worker begins the file anew at 1 MiB; without one nobody does

}  // namespace

void write_log(const std::string& path, const std::string& line) noexcept try {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return;
    struct stat facts{};
    if (fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size < most_bytes) {
        char when[32] = "";
        const std::time_t now = std::time(nullptr);
        std::tm parts{};
        if (localtime_r(&now, &parts) != nullptr) std::strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &parts);
        const std::string text = std::string(when) + " plug-in " + std::to_string(getpid()) + ": " + line + "\n";
        if (write(file, text.data(), text.size()) < 0) { /* a log that cannot be written is no reason to fail */
        }
    }
    close(file);
} catch (...) {
}

}  // namespace bridge
