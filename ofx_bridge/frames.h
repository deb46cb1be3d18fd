// SPDX-License-Identifier: Apache-2.0
// Which frames of the host a render takes, and bringing them to where the worker reads them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host.h"
#include "worker_client.h"

namespace bridge {

// The pictures that rendering `frame` takes, itself among them; it alone where the worker needs no other from the host.
std::vector<int64_t> frames_needed(Connection& connection, const wire::ModelInfo& info, const std::string& model,
                                   const std::string& clip, int64_t frame, const Patience& patience);

// A frame to bring: its picture, for as long as this call lasts, or null where the host has none.
using Fetch = std::function<void(int64_t frame, const std::function<void(const Image&)>& use)>;

// Fills slots 1.. of the connection with the pictures of `frames`; slot 0 is for the result. Those of another size than
// `form`, and those that the host lacks, are left out; `frame` comes from `form` itself. Pictures that are there
// already, by the host's own identifier of them, are not copied again.
std::vector<wire::Place> bring(Connection& connection, const std::vector<int64_t>& frames, int64_t frame,
                               const Image& form, Coding coding, const std::string& scope, const Fetch& fetch,
                               const Patience& patience);

}  // namespace bridge
