// SPDX-License-Identifier: Apache-2.0
#include "describe.h"

#include <string>

#include "host.h"
#include "params.h"

namespace bridge {
namespace {

const char* type_of(Kind kind) {
    switch (kind) {
        case Kind::number: return ofx::param_double;
        case Kind::whole: return ofx::param_integer;
        case Kind::toggle: return ofx::param_boolean;
        case Kind::choice: return ofx::param_choice;
        case Kind::button: return ofx::param_button;
        case Kind::text:
        case Kind::path: return ofx::param_string;
    }
    return ofx::param_string;
}

void define(ofx::ParamSet set, const Control& control) {
    ofx::PropertySet props = nullptr;
    if (host().params().paramDefine(set, type_of(control.kind), control.name, &props) != ofx::stat_ok) return;
    const HostSide& h = host();
    for (const char* label : {ofx::prop_label, ofx::prop_short_label, ofx::prop_long_label})
        h.set(props, label, control.label);
    h.set(props, ofx::param_hint, control.hint);
    h.set(props, ofx::param_script_name, control.name);
    if (control.kind != Kind::button) h.set(props, ofx::param_animates, control.animates ? 1 : 0);
    const int whole = static_cast<int>(control.standard);
    switch (control.kind) {
        case Kind::number:
            h.set(props, ofx::param_double_type, ofx::param_double_plain);
            h.set(props, ofx::param_default, control.standard);
            h.set(props, ofx::param_min, control.low);
            h.set(props, ofx::param_max, control.high);
            h.set(props, ofx::param_display_min, control.low);
            h.set(props, ofx::param_display_max, control.high);
            break;
        case Kind::whole:
            h.set(props, ofx::param_default, whole);
            h.set(props, ofx::param_min, static_cast<int>(control.low));
            h.set(props, ofx::param_max, static_cast<int>(control.high));
            h.set(props, ofx::param_display_min, 0);
            h.set(props, ofx::param_display_max, 10000);
            break;
        case Kind::toggle: h.set(props, ofx::param_default, whole); break;
        case Kind::choice: {
            const std::string options = control.options;
            int index = 0;
            for (size_t from = 0; from <= options.size();) {
                const size_t to = std::min(options.find('|', from), options.size());
                h.set(props, ofx::param_choice_option, options.substr(from, to - from).c_str(), index++);
                from = to + 1;
            }
            h.set(props, ofx::param_default, whole);
            break;
        }
        case Kind::button: break;
        case Kind::path:
            h.set(props, ofx::param_string_mode, ofx::param_file_path);
            h.set(props, ofx::param_path_exists, 0);  // a fit may be about to write it
            h.set(props, ofx::param_default, "");
            break;
        case Kind::text:
            h.set(props, ofx::param_string_mode, ofx::param_single_line);
            h.set(props, ofx::param_default, "");
            h.set(props, ofx::param_enabled, 0);
            h.set(props, ofx::param_evaluate, 0);
            h.set(props, ofx::param_persistent, 0);
            break;
    }
}

}  // namespace

void describe(ofx::Effect effect) {
    const HostSide& h = host();
    ofx::PropertySet props = nullptr;
    h.image().getPropertySet(effect, &props);
    for (const char* label : {ofx::prop_label, ofx::prop_short_label, ofx::prop_long_label})
        h.set(props, label, "Deblur Engine");
    h.set(props, ofx::prop_grouping, "Filter");
    h.set(
        props, ofx::prop_description,
        "Takes the motion blur out of a clip with the clip's own sharp frames. Fit makes the model, CLIP.deblur.onnx; "
        "the engine works in a process of its own.");
    h.set(props, ofx::prop_supported_contexts, ofx::context_filter, 0);
    h.set(props, ofx::prop_supported_contexts, ofx::context_general, 1);
    int index = 0;
    for (const char* depth : {ofx::depth_float, ofx::depth_half, ofx::depth_short, ofx::depth_byte})
        h.set(props, ofx::prop_supported_depths, depth, index++);
    h.set(props, ofx::prop_single_instance, 0);
    h.set(props, ofx::prop_host_frame_threading, 0);
    h.set(props, ofx::prop_multi_resolution, 1);
    h.set(props, ofx::prop_tiles, 0);
    h.set(props, ofx::prop_temporal, 1);
    h.set(props, ofx::prop_field_twice, 0);
    h.set(props, ofx::prop_multiple_depths, 0);
    h.set(props, ofx::prop_multiple_pars, 0);
    h.set(props, ofx::prop_thread_safety, ofx::render_fully_safe);
    h.set(props, ofx::prop_no_spatial_awareness, "false");
}

void describe_in_context(ofx::Effect effect) {
    const HostSide& h = host();
    for (const char* name : {ofx::clip_source, ofx::clip_output}) {
        ofx::PropertySet props = nullptr;
        if (h.image().clipDefine(effect, name, &props) != ofx::stat_ok) continue;
        h.set(props, ofx::prop_supported_components, ofx::components_rgba, 0);
        h.set(props, ofx::prop_tiles, 0);
        h.set(props, ofx::prop_temporal, name == ofx::clip_source ? 1 : 0);
        h.set(props, ofx::clip_optional, 0);
    }
    ofx::ParamSet set = nullptr;
    if (h.image().getParamSet(effect, &set) != ofx::stat_ok || set == nullptr) return;
    for (const Control& control : controls) define(set, control);
}

}  // namespace bridge
