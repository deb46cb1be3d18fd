// SPDX-License-Identifier: Apache-2.0
// What a host calls: the plug-in's three doors, and its actions. No exception leaves.
#include <atomic>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "describe.h"
#include "effect.h"
#include "host.h"
#include "worker_client.h"

#if defined(_WIN32)
#define BRIDGE_EXPORT extern "C" __declspec(dllexport)
#else
#define BRIDGE_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace bridge {
namespace {

std::atomic<const ofx::Host*> the_host{nullptr};

ofx::PropertySet properties_of(ofx::Effect handle) {
    ofx::PropertySet set = nullptr;
    host().image().getPropertySet(handle, &set);
    return set;
}

// Null where the instance's creation failed: some hosts go on with it all the same.
Effect* effect_of(ofx::Effect handle) {
    return static_cast<Effect*>(host().pointer(properties_of(handle), ofx::prop_instance_data));
}

ofx::Status load() {
    if (!host().attach(the_host)) return ofx::stat_err_missing_host_feature;
    Worker::set_host(host().name());
    return ofx::stat_ok;
}

ofx::Status create(ofx::Effect handle) {
    host().set_pointer(properties_of(handle), ofx::prop_instance_data, nullptr);
    host().set_pointer(properties_of(handle), ofx::prop_instance_data, new Effect(handle));
    return ofx::stat_ok;
}

ofx::Status destroy(ofx::Effect handle) {
    delete effect_of(handle);
    host().set_pointer(properties_of(handle), ofx::prop_instance_data, nullptr);
    return ofx::stat_ok;
}

ofx::Status identity(const Effect& effect, ofx::PropertySet in, ofx::PropertySet out) {
    const double time = host().number(in, ofx::prop_time).value_or(0);
    if (!effect.is_identity(time)) return ofx::stat_reply_default;
    host().set(out, ofx::prop_name, ofx::clip_source);
    host().set(out, ofx::prop_time, time);
    return ofx::stat_ok;
}

// Blur is judged over the whole picture, whatever window of it is wanted.
ofx::Status regions(const Effect& effect, ofx::PropertySet in, ofx::PropertySet out) {
    ofx::RectD region{};
    const double time = host().number(in, ofx::prop_time).value_or(0);
    if (effect.source() == nullptr ||
        host().image().clipGetRegionOfDefinition(effect.source(), time, &region) != ofx::stat_ok)
        return ofx::stat_reply_default;
    const double sides[] = {region.x1, region.y1, region.x2, region.y2};
    for (int i = 0; i < 4; ++i) host().set(out, ofx::region_of_source, sides[i], i);
    return ofx::stat_ok;
}

ofx::Status on_instance(const std::string& action, ofx::Effect handle, ofx::PropertySet in, ofx::PropertySet out) {
    if (action == ofx::action_create_instance) return create(handle);
    if (action == ofx::action_destroy_instance) return destroy(handle);
    Effect* effect = effect_of(handle);
    if (effect == nullptr) return action == ofx::action_render ? ofx::stat_failed : ofx::stat_reply_default;
    if (action == ofx::action_render) return effect->render(in);
    if (action == ofx::action_is_identity) return identity(*effect, in, out);
    if (action == ofx::action_regions_of_interest) return regions(*effect, in, out);
    if (action == ofx::action_frames_needed) {
        try {
            effect->name_frames(host().number(in, ofx::prop_time).value_or(0), out);
        } catch (const std::exception&) {  // the frame itself will do; its render says what is wrong
            return ofx::stat_reply_default;
        }
        return ofx::stat_ok;
    }
    if (action == ofx::action_instance_changed) {
        effect->changed(host().text(in, ofx::prop_name),
                        host().text(in, ofx::prop_change_reason) == ofx::change_user_edited,
                        host().number(in, ofx::prop_time).value_or(0));
        return ofx::stat_ok;
    }
    return ofx::stat_reply_default;
}

ofx::Status act(const std::string& action, ofx::Effect handle, ofx::PropertySet in, ofx::PropertySet out) {
    if (action == ofx::action_load) return load();
    if (!host().attached()) return ofx::stat_err_missing_host_feature;
    if (action == ofx::action_unload || action == ofx::action_purge_caches) {
        Worker::forget_idle();
        return ofx::stat_ok;
    }
    if (handle == nullptr) return ofx::stat_err_bad_handle;
    if (action == ofx::action_describe) return describe(handle), ofx::stat_ok;
    if (action == ofx::action_describe_in_context) return describe_in_context(handle), ofx::stat_ok;
    return on_instance(action, handle, in, out);
}

ofx::Status main_entry(const char* action, const void* handle, ofx::PropertySet in, ofx::PropertySet out) try {
    if (action == nullptr) return ofx::stat_err_value;
    return act(action, static_cast<ofx::Effect>(const_cast<void*>(handle)), in, out);
} catch (const std::bad_alloc&) {
    return ofx::stat_err_memory;
} catch (...) {
    return ofx::stat_failed;
}

void set_host(ofx::Host* given) { the_host = given; }

ofx::Plugin plugin = {ofx::image_effect_api,
                      ofx::image_effect_api_version,
                      "org.deblur-engine.DeblurEngine",
                      1,
                      0,
                      &set_host,
                      &main_entry};

}  // namespace
}  // namespace bridge

BRIDGE_EXPORT int OfxGetNumberOfPlugins(void) { return 1; }

BRIDGE_EXPORT ofx::Plugin* OfxGetPlugin(int index) { return index == 0 ? &bridge::plugin : nullptr; }

BRIDGE_EXPORT ofx::Status OfxSetHost(const ofx::Host* given) {
    bridge::the_host = given;
    return ofx::stat_ok;
}
