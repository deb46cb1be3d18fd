// SPDX-License-Identifier: Apache-2.0
#include "manner.h"

#include <functional>
#include <map>
#include <stdexcept>

namespace host {

Manner manner_of(const std::string& name) {
    Manner m;
    m.name = name;
    if (name == "plain") {
    } else if (name == "mlt") {
        m.application = "MLT";
        m.temporal_flag = false, m.temporal = Temporal::current;
        m.per_frame_instance = m.status_ignored = m.loads_again = true;
        m.asks_identity = m.asks_frames_needed = m.asks_regions = false;
        m.negative_rows = true;
        m.knows_1_5 = false;
    } else if (name == "natron") {
        m.application = "fr.inria.Natron";
        m.temporal = Temporal::held;
        m.tiles = true;
        m.origin_x = -7, m.origin_y = 11, m.padding = 48;
        m.depths = {"float"};
        m.knows_1_5 = false;
    } else if (name == "hostdemo") {
        m.application = "OFXDemoHost";
        m.tiles = true;
        m.strings_break_later = true;
        m.label_float = true;
        m.depths = {"byte"};
        m.knows_1_5 = false;
    } else if (name == "runner") {
        m.application = "org.openfx.runner";
        m.temporal_flag = false, m.temporal = Temporal::failing;
        m.tiles = m.any_window = true;
        m.multi_thread = m.memory = true, m.threads_forbidden = true;
        m.message_v1 = m.message_v2 = m.progress = false;
        m.depths = {"float"};
        m.knows_1_5 = false;
        m.frame_range = false;
    } else if (name == "resolve") {
        m.application = "DaVinciResolve";
        m.claims_unit_scale = true;
        m.message_v2 = false;
        m.source_path = true;
        m.padding = 64, m.negative_rows = true;
        m.depths = {"float", "short", "byte"};
    } else if (name == "nuke") {
        m.application = "uk.co.thefoundry.nuke";
        m.tiles = true;
        m.origin_x = 5, m.origin_y = 3;
        m.temporal = Temporal::held;
        m.depths = {"float"};
    } else {
        throw std::invalid_argument("no manner " + name);
    }
    return m;
}

void add_quirk(Manner& m, const std::string& name) {
    const std::map<std::string, std::function<void()>> all = {
        {"negative-rows", [&] { m.negative_rows = true; }},
        {"padded", [&] { m.padding = 48; }},
        {"offset", [&] { m.origin_x = -13, m.origin_y = 29; }},
        {"rgb", [&] { m.rgb = true; }},
        {"label-float", [&] { m.label_float = true; }},
        {"no-suites", [&] { m.multi_thread = m.memory = m.message_v1 = m.message_v2 = m.progress = false; }},
        {"no-message-v2", [&] { m.message_v2 = false; }},
        {"no-progress", [&] { m.progress = false; }},
        {"null-neighbours", [&] { m.temporal = Temporal::null; }},
        {"failing-neighbours", [&] { m.temporal = Temporal::failing; }},
        {"no-temporal", [&] { m.temporal_flag = false, m.temporal = Temporal::current; }},
        {"no-range", [&] { m.frame_range = false; }},
        {"no-strings", [&] { m.strings = false; }},
        {"no-1.5", [&] { m.knows_1_5 = false; }},
        {"source-path", [&] { m.source_path = true; }},
        {"status-ignored", [&] { m.status_ignored = true; }},
        {"per-frame-instance", [&] { m.per_frame_instance = true; }},
    };
    const auto found = all.find(name);
    if (found == all.end()) throw std::invalid_argument("no quirk " + name);
    found->second();
}

}  // namespace host
