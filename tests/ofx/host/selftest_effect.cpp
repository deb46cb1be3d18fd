// SPDX-License-Identifier: Apache-2.0
// A small effect that inverts float RGBA, for testing the test host: its parameter `fault` makes it break one rule, of
// which the host has to tell.
#include <cstring>
#include <string>

#include "openfx_api.h"

namespace {

using ofx::Status;

const ofx::Host* the_host;
const ofx::PropertySuite* props;
const ofx::ImageEffectSuite* images;
const ofx::ParameterSuite* params;

enum Fault { fine, keeps_image, writes_padding, writes_outside, writes_source, sets_param, leaves_blank, stale_handle };

struct View {
    ofx::PropertySet handle = nullptr;
    char* data = nullptr;
    int rows = 0, bounds[4] = {};
    View(ofx::Clip clip, double time) {
        if (images->clipGetImage(clip, time, nullptr, &handle) != ofx::stat_ok || handle == nullptr) return;
        void* at = nullptr;
        props->propGetPointer(handle, ofx::image_data, 0, &at);
        props->propGetInt(handle, ofx::image_row_bytes, 0, &rows);
        props->propGetIntN(handle, ofx::image_bounds, 4, bounds);
        data = static_cast<char*>(at);
    }
    float* at(int x, int y) const {
        return reinterpret_cast<float*>(data + static_cast<ptrdiff_t>(rows) * (y - bounds[1])) + 4 * (x - bounds[0]);
    }
};

Status render(ofx::Effect effect, ofx::PropertySet in) {
    double time = 0;
    int window[4];
    props->propGetDouble(in, ofx::prop_time, 0, &time);
    props->propGetIntN(in, ofx::prop_render_window, 4, window);
    ofx::Clip source, output;
    images->clipGetHandle(effect, ofx::clip_source, &source, nullptr);
    images->clipGetHandle(effect, ofx::clip_output, &output, nullptr);
    ofx::ParamSet set;
    ofx::Param param;
    int fault = fine;
    images->getParamSet(effect, &set);
    params->paramGetHandle(set, "fault", &param, nullptr);
    params->paramGetValue(param, &fault);
    const View from(source, time), to(output, time);
    if (from.data == nullptr || to.data == nullptr) return ofx::stat_failed;
    for (int y = window[1]; y < window[3]; ++y)
        for (int x = window[0]; x < window[2]; ++x) {
            if (fault == leaves_blank && x == window[0] && y == window[1]) continue;
            for (int c = 0; c < 4; ++c) to.at(x, y)[c] = c == 3 ? from.at(x, y)[c] : 1 - from.at(x, y)[c];
        }
    if (fault == writes_padding) to.at(to.bounds[2], to.bounds[1])[0] = 0;
    if (fault == writes_outside) to.at(window[0] - 1, window[1])[0] = 0;
    if (fault == writes_source) from.at(window[0], window[1])[0] += 1;
    if (fault == sets_param) params->paramSetValue(param, 1);
    if (fault != keeps_image) images->clipReleaseImage(from.handle);
    images->clipReleaseImage(to.handle);
    if (fault == stale_handle) {
        int rows = 0;
        props->propGetInt(from.handle, ofx::image_row_bytes, 0, &rows);
    }
    return ofx::stat_ok;
}

Status describe_in_context(ofx::Effect effect) {
    ofx::PropertySet set;
    for (const char* name : {ofx::clip_source, ofx::clip_output}) {
        images->clipDefine(effect, name, &set);
        props->propSetString(set, ofx::prop_supported_components, 0, ofx::components_rgba);
    }
    ofx::ParamSet all;
    images->getParamSet(effect, &all);
    params->paramDefine(all, ofx::param_integer, "fault", &set);
    return ofx::stat_ok;
}

Status describe(ofx::Effect effect) {
    ofx::PropertySet set;
    images->getPropertySet(effect, &set);
    props->propSetString(set, ofx::prop_supported_contexts, 0, ofx::context_filter);
    props->propSetString(set, ofx::prop_supported_depths, 0, ofx::depth_float);
    return ofx::stat_ok;
}

Status enter(const char* action, const void* handle, ofx::PropertySet in, ofx::PropertySet) {
    auto effect = static_cast<ofx::Effect>(const_cast<void*>(handle));
    const std::string what = action;
    if (what == ofx::action_load) {
        const auto fetch = [](const char* name) { return the_host->fetchSuite(the_host->host, name, 1); };
        props = static_cast<const ofx::PropertySuite*>(fetch(ofx::suite_property));
        images = static_cast<const ofx::ImageEffectSuite*>(fetch(ofx::suite_image_effect));
        params = static_cast<const ofx::ParameterSuite*>(fetch(ofx::suite_parameter));
        return props && images && params ? ofx::stat_ok : ofx::stat_err_missing_host_feature;
    }
    if (what == ofx::action_describe) return describe(effect);
    if (what == ofx::action_describe_in_context) return describe_in_context(effect);
    if (what == ofx::action_render) return render(effect, in);
    return ofx::stat_reply_default;
}

void set_host(ofx::Host* given) { the_host = given; }
ofx::Plugin plugin = {ofx::image_effect_api, 1, "org.deblur-engine.selftest", 1, 0, set_host, enter};

}  // namespace

extern "C" __attribute__((visibility("default"))) int OfxGetNumberOfPlugins() { return 1; }
extern "C" __attribute__((visibility("default"))) ofx::Plugin* OfxGetPlugin(int index) {
    return index == 0 ? &plugin : nullptr;
}
