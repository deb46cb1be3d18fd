// SPDX-License-Identifier: Apache-2.0
// What can keep a frame from being made, and what is said about it.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace bridge {

// One of these ends a request; what() is fit for showing to a user.
class Failure : public std::runtime_error {
public:
    explicit Failure(const std::string& message, std::string hint = "")
        : std::runtime_error(message), hint_(std::move(hint)) {}
    std::string whole() const { return hint_.empty() ? what() : std::string(what()) + ": " + hint_; }

private:
    std::string hint_;
};

// The host wants the frame no longer.
struct Aborted : Failure {
    Aborted() : Failure("stopped by the host") {}
};

// There is no worker and none can be had (now).
struct NoEngine : Failure {
    using Failure::Failure;
};

// The connection is of no use any more: it ended, or what came is no message.
struct Lost : Failure {
    using Failure::Failure;
};

// The worker answered with an error; the connection is fine.
struct Refused : Failure {
    Refused(unsigned code, const std::string& message, std::string hint)
        : Failure(message, std::move(hint)), code(code) {}
    unsigned code;
};

}  // namespace bridge
