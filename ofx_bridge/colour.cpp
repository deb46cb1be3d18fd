// SPDX-License-Identifier: Apache-2.0
#include "colour.h"

#include "host.h"

namespace bridge {
namespace {

const char* name_of(wire::Curve curve) {
    switch (curve) {
        case wire::Curve::unknown: return "pictures of an unknown curve";
        case wire::Curve::untagged:
        case wire::Curve::bt709: return "display-referred pictures (BT.709)";
        case wire::Curve::srgb: return "display-referred pictures (sRGB)";
        case wire::Curve::gamma22: return "display-referred pictures (gamma 2.2)";
        case wire::Curve::gamma28: return "display-referred pictures (gamma 2.8)";
        case wire::Curve::linear: return "scene-linear pictures";
        case wire::Curve::pq: return "PQ pictures";
        case wire::Curve::hlg: return "HLG pictures";
        case wire::Curve::log: return "log pictures";
    }
    return "";
}

}  // namespace

bool is_linear(Footage footage, const HostPicture& picture, const std::string& colourspace) {
    if (footage != Footage::automatic) return footage == Footage::linear;
    if (picture.depth == Depth::byte || picture.depth == Depth::word) return false;
    if (!colourspace.empty())
        return colourspace.find("lin") != std::string::npos || colourspace == "ACEScg" ||
               colourspace.rfind("ACES2065", 0) == 0;
    return host().linear();
}

Transfer curve_of(wire::Curve model) {
    switch (model) {
        case wire::Curve::untagged:
        case wire::Curve::bt709: return Transfer::bt709;
        case wire::Curve::srgb: return Transfer::srgb;
        case wire::Curve::gamma22: return Transfer::gamma22;
        default: return Transfer::none;
    }
}

std::string mismatch(Footage footage, bool linear, wire::Curve model) {
    if (model == wire::Curve::unknown) return "";
    std::string here, way;
    if (linear) {
        if (model == wire::Curve::linear || curve_of(model) != Transfer::none) return "";
        here = "scene linear", way = "convert them before the effect";
    } else if (model == wire::Curve::linear) {
        here = footage == Footage::log ? "log" : "not taken for that";
        way = "set Footage Colour to Scene linear if they are, else convert them before the effect";
    } else if (footage == Footage::log && model != wire::Curve::log && model != wire::Curve::untagged) {
        here = "log by Footage Colour", way = "fit a model to the log pictures, or convert them before the effect";
    } else if (footage == Footage::display && model == wire::Curve::log) {
        here = "display referred by Footage Colour", way = "put the effect before the conversion";
    } else {
        return "";
    }
    return std::string("the model was fitted to ") + name_of(model) + ", those here are " + here + ": " + way;
}

}  // namespace bridge
