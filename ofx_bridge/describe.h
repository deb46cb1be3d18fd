// SPDX-License-Identifier: Apache-2.0
// What the effect tells a host about itself.
#pragma once

#include "openfx_api.h"

namespace bridge {

void describe(ofx::Effect effect);
void describe_in_context(ofx::Effect effect);

}  // namespace bridge
