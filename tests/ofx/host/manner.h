// SPDX-License-Identifier: Apache-2.0
// How hosts behave, as far as a plug-in notices. Each real host is a set of these manners; a single one can be turned
// on besides (a "quirk").
#pragma once

#include <string>
#include <vector>

namespace host {

enum class Temporal {
    honest,   // what is asked for, nothing beyond the clip's ends
    held,     // beyond an end the picture at the end
    current,  // the current frame whatever is asked for, with status OK
    null,     // status OK and no picture, but for the current frame
    failing,  // an error, but for the current frame
};

struct Manner {
    std::string name = "plain", application = "org.deblur.testhost";
    bool temporal_flag = true;
    Temporal temporal = Temporal::honest;
    bool tiles = false;
    bool any_window = false;         // renders a part of the picture
    bool claims_unit_scale = false;  // render scale (1, 1) whatever the pictures' size
    bool per_frame_instance = false, status_ignored = false;
    bool loads_again = false;  // Load and all that follows it once more for each instance, in whatever thread
    bool asks_identity = true, asks_frames_needed = true, asks_regions = true, has_sequences = true;
    bool multi_thread = true, memory = true, threads_forbidden = false;
    bool message_v1 = true, message_v2 = true, progress = true;
    bool strings = true, strings_break_later = false;
    bool knows_1_5 = true;     // the properties of OpenFX 1.5
    bool source_path = false;  // the file and frame behind the effect, as Resolve tells them
    bool frame_range = true;
    bool negative_rows = false;
    bool rgb = false, label_float = false;
    int padding = 0;  // bytes behind each row
    int origin_x = 0, origin_y = 0;
    std::vector<std::string> depths = {"float", "short", "half", "byte"};
};

// Throw std::invalid_argument for a name that is unknown.
Manner manner_of(const std::string& name);
void add_quirk(Manner& manner, const std::string& name);

}  // namespace host
