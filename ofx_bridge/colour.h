// SPDX-License-Identifier: Apache-2.0
// What the host's numbers stand for, and what the model was fitted to.
#pragma once

#include <string>

#include "params.h"
#include "pixels.h"
#include "wire.h"

namespace bridge {

// Whether the host's pictures are scene-linear light; `colourspace` is what the host calls it, "" if it says nothing.
bool is_linear(Footage footage, const HostPicture& picture, const std::string& colourspace);

// The curve by which scene-linear light becomes what the model was fitted to; none where there is no such curve.
Transfer curve_of(wire::Curve model);

// What to say where the pictures that arrive are not what the model was fitted to; "" where they can be.
std::string mismatch(Footage footage, bool linear, wire::Curve model);

}  // namespace bridge
