// SPDX-License-Identifier: Apache-2.0
#include "plugin.h"

#include <cmath>
#include <stdexcept>

#include "library.h"

namespace host {
namespace {

const Manner* fetched_by = nullptr;  // one host for a process, as in a real one

const void* fetch_suite(ofx::PropertySet host, const char* name, int version) {
    if (Properties::of(host) == nullptr) return nullptr;
    return suite(*fetched_by, name, version);
}

void put_scale(Properties& in, const Setting& setting) {
    const double scale = setting.manner.claims_unit_scale ? 1.0 : setting.scale;
    in.put(ofx::prop_render_scale, {scale, scale});
}

}  // namespace

PlugIn::PlugIn(std::string path, const Setting& setting)
    : path_(std::move(path)), setting_(setting), host_properties_("host") {
    const Manner& manner = setting.manner;
    Properties& p = host_properties_;
    p.put(ofx::prop_type, {std::string(ofx::type_host)});
    p.put(ofx::prop_name, {manner.application});
    p.put(ofx::prop_label, {manner.name});
    p.put(ofx::prop_version, {1, 0, 0});
    p.put(ofx::prop_version_label, {std::string("1.0")});
    p.put(ofx::prop_api_version, manner.knows_1_5 ? std::vector<Value>{1, 5} : std::vector<Value>{1, 4});
    p.put(ofx::prop_is_background, {0});
    p.put(ofx::prop_overlays, {0});
    p.put(ofx::prop_multi_resolution, {1});
    p.put(ofx::prop_tiles, {manner.tiles ? 1 : 0});
    p.put(ofx::prop_temporal, {manner.temporal_flag ? 1 : 0});
    p.put(ofx::prop_supported_components, {std::string(ofx::components_rgba)});
    p.put(ofx::prop_supported_contexts, {std::string(ofx::context_filter), std::string(ofx::context_general)});
    p.put(ofx::prop_multiple_depths, {0});
    p.put(ofx::prop_multiple_pars, {0});
    p.put(ofx::prop_setable_rate, {0});
    p.put(ofx::prop_setable_fielding, {0});
    p.put(ofx::prop_sequential, {0});
    p.put(ofx::host_params_most, {-1});
    host_.host = p.handle();
    host_.fetchSuite = fetch_suite;
    fetched_by = &setting.manner;
}

PlugIn::~PlugIn() {
    if (library_ != nullptr) unload();
}

void PlugIn::load() {
    library_ = open_library(path_);
    auto* count = symbol<int (*)()>(library_, "OfxGetNumberOfPlugins");
    auto* get = symbol<ofx::Plugin* (*)(int)>(library_, "OfxGetPlugin");
    if (count == nullptr || get == nullptr) throw std::runtime_error(path_ + " exports no plug-in");
    if (count() < 1) throw std::runtime_error(path_ + " holds no plug-in");
    if (get(count()) != nullptr) violation("gives a plug-in beyond the last one");
    plugin_ = get(0);
    if (plugin_ == nullptr || std::string(plugin_->pluginApi) != ofx::image_effect_api || plugin_->apiVersion != 1)
        throw std::runtime_error(path_ + " is no image effect");
    Record record;
    described_ = describe(record);
    for (const char* name : {ofx::clip_source, ofx::clip_output})
        if (described_->clips.count(name) == 0) throw std::runtime_error(std::string("no clip ") + name);
    if (described_->properties.texts(ofx::prop_supported_contexts).empty()) violation("supports no context");
    if (described_->properties.texts(ofx::prop_supported_depths).empty()) violation("supports no depth");
}

std::unique_ptr<Effect> PlugIn::describe(Record& record) {
    plugin_->setHost(&host_);
    if (act(ofx::action_load, nullptr, nullptr, nullptr, record) != ofx::stat_ok)
        throw std::runtime_error("Load failed");
    auto described = std::make_unique<Effect>(setting_, "effect");
    described->properties.put(ofx::prop_file_path, {path_});
    if (act(ofx::action_describe, described.get(), nullptr, nullptr, record) != ofx::stat_ok)
        throw std::runtime_error("Describe failed");
    Properties in("arguments of DescribeInContext");
    in.put(ofx::prop_context, {std::string(ofx::context_filter)});
    if (act(ofx::action_describe_in_context, described.get(), &in, nullptr, record) != ofx::stat_ok)
        throw std::runtime_error("DescribeInContext failed");
    return described;
}

void PlugIn::unload() {
    Record record;
    act(ofx::action_unload, nullptr, nullptr, nullptr, record);
    described_.reset();
    close_library(library_);
    library_ = nullptr, plugin_ = nullptr;
}

ofx::Status PlugIn::act(const char* action, Effect* effect, Properties* in, Properties* out, Record& record,
                        Frame* frame) {
    InAction scope(action, dynamic_cast<Instance*>(effect), &record);
    scope.frame = frame;
    const ofx::Status status = plugin_->mainEntry(action, effect ? effect->handle() : nullptr,
                                                  in ? in->handle() : nullptr, out ? out->handle() : nullptr);
    check_returned(&record);
    return status;
}

std::unique_ptr<Instance> PlugIn::create(Footage& footage, Record& record) {
    const auto again = setting_.manner.loads_again ? describe(record) : nullptr;
    auto instance = std::make_unique<Instance>(again ? *again : *described_, footage);
    const ofx::Status status = act(ofx::action_create_instance, instance.get(), nullptr, nullptr, record);
    instance->created = status == ofx::stat_ok || status == ofx::stat_reply_default;
    if (instance->created) preferences(*instance, record);
    return instance;
}

void PlugIn::destroy(std::unique_ptr<Instance> instance, Record& record) {
    act(ofx::action_destroy_instance, instance.get(), nullptr, nullptr, record);
}

void PlugIn::preferences(Instance& instance, Record& record) {
    Properties out("answers of GetClipPreferences");
    for (const auto& [name, clip] : instance.clips) {
        out.put(ofx::prop_clip_components_of + name, clip->properties.all(ofx::prop_components), Access::write);
        out.put(ofx::prop_clip_depth_of + name, clip->properties.all(ofx::prop_depth), Access::write);
        out.put(ofx::prop_clip_aspect_of + name, {1.0}, Access::write);
    }
    out.put(ofx::prop_frame_rate, {setting_.fps}, Access::write);
    out.put(ofx::clip_field_order, {std::string(ofx::field_none)}, Access::write);
    out.put(ofx::prop_premultiplication, instance.clips[ofx::clip_output]->properties.all(ofx::prop_premultiplication),
            Access::write);
    out.put(ofx::clip_continuous, {0}, Access::write);
    out.put(ofx::prop_frame_varying, {0}, Access::write);
    act(ofx::action_clip_preferences, &instance, nullptr, &out, record);
}

Outcome PlugIn::render(Instance& instance, double time, const RenderOptions& options, Record& record) {
    const Manner& manner = setting_.manner;
    Outcome outcome;
    Frame frame;
    frame.time = time;
    frame.format = instance.footage.format;
    frame.output = std::make_shared<Picture>(frame.format, manner, "Output");
    frame.output->fill_pattern();
    const auto current = instance.footage.frame(static_cast<int>(std::lround(time)));
    if (current != nullptr) {
        frame.source = std::make_shared<Picture>(frame.format, manner, "Source");
        frame.source->fill(*current);
    }
    ofx::RectI window = frame.output->bounds;
    if (options.part) {
        const ofx::RectI& w = options.window;
        window = {window.x1 + w.x1, window.y1 + w.y1, window.x1 + w.x2, window.y1 + w.y2};
    }
    // The manners of a host whose CreateInstance failed: most leave it be, one goes on.
    if (!instance.created && !manner.status_ignored) return outcome;

    Properties in("arguments of Render");
    in.put(ofx::prop_time, {time});
    in.put(ofx::prop_field_to_render, {std::string(ofx::field_none)});
    in.put(ofx::prop_render_window, {window.x1, window.y1, window.x2, window.y2});
    put_scale(in, setting_);
    in.put(ofx::prop_sequential_status, {0});
    in.put(ofx::prop_interactive, {options.interactive ? 1 : 0});
    in.put(ofx::prop_draft, {0});
    if (manner.source_path) in.put(ofx::resolve_frame, {setting_.source_first + static_cast<int>(std::lround(time))});

    if (manner.asks_regions) {
        Properties region("answers of GetRegionOfDefinition");
        region.put(ofx::prop_region_of_definition, {0.0, 0.0, 0.0, 0.0}, Access::write);
        act(ofx::action_region_of_definition, &instance, &in, &region, record);
        Properties interest("answers of GetRegionsOfInterest");
        interest.put(ofx::region_of_source, {0.0, 0.0, 0.0, 0.0}, Access::write);
        in.put(ofx::prop_region_of_interest, {0.0, 0.0, 1.0, 1.0});
        act(ofx::action_regions_of_interest, &instance, &in, &interest, record);
    }
    if (manner.asks_identity) {
        Properties out("answers of IsIdentity");
        out.put(ofx::prop_name, {std::string()}, Access::write);
        out.put(ofx::prop_time, {time}, Access::write);
        if (act(ofx::action_is_identity, &instance, &in, &out, record) == ofx::stat_ok) {
            if (out.text(ofx::prop_name) != ofx::clip_source) violation("is identical to " + out.text(ofx::prop_name));
            outcome.identity = true, outcome.identity_time = out.number(ofx::prop_time);
            outcome.status = ofx::stat_ok;
            const auto same = instance.footage.frame(static_cast<int>(std::lround(outcome.identity_time)));
            if (same != nullptr) outcome.picture = *same;
            outcome.message = instance.message();
            return outcome;
        }
    }
    if (manner.asks_frames_needed) {
        Properties out("answers of GetFramesNeeded");
        out.put(ofx::frame_range_of_source, {time, time}, Access::write, true);
        act(ofx::action_frames_needed, &instance, &in, &out, record);
        outcome.needed = out.numbers(ofx::frame_range_of_source);
        if (outcome.needed.size() % 2 != 0) violation("GetFramesNeeded gives half a range");
    }
    const auto sequence = [&](const char* action) {
        Properties range("arguments of a sequence");
        range.put(ofx::prop_frame_range, {time, time});
        range.put(ofx::prop_frame_step, {1.0});
        range.put(ofx::prop_is_background, {0});
        range.put(ofx::prop_interactive, {options.interactive ? 1 : 0});
        put_scale(range, setting_);
        act(action, &instance, &range, nullptr, record);
    };
    if (manner.has_sequences) sequence(ofx::action_begin_sequence);
    const double host_before = record.host_ms;
    const auto begun = Clock::now();
    if (options.abort_after_ms >= 0) frame.abort_at = begun + std::chrono::milliseconds(options.abort_after_ms);
    outcome.status = act(ofx::action_render, &instance, &in, nullptr, record, &frame);
    outcome.ms =
        std::chrono::duration<double, std::milli>(Clock::now() - begun).count() - (record.host_ms - host_before);
    if (manner.has_sequences) sequence(ofx::action_end_sequence);
    if (setting_.checks) {
        const InAction scope(ofx::action_render, &instance, &record);
        frame.output->check_guards();
        outcome.blank = frame.output->check_window(window);
        if (outcome.blank > 0 && current != nullptr)
            violation("left " + std::to_string(outcome.blank) + " pixels of the window unwritten");
        outcome.picture = frame.output->packed();
    }
    outcome.message = instance.message();
    return outcome;
}

ofx::Status PlugIn::changed(Instance& instance, const std::string& name, const char* reason, double time,
                            Record& record) {
    Properties about("arguments of InstanceChanged");
    about.put(ofx::prop_change_reason, {std::string(reason)});
    act(ofx::action_begin_instance_changed, &instance, &about, nullptr, record);
    about.put(ofx::prop_type, {std::string(reason == ofx::change_time ? ofx::type_effect : ofx::type_parameter)});
    about.put(ofx::prop_name, {name});
    about.put(ofx::prop_time, {time});
    put_scale(about, setting_);
    const ofx::Status status = act(ofx::action_instance_changed, &instance, &about, nullptr, record);
    // What the plug-in has set comes back to it; hosts end this at one round.
    about.put(ofx::prop_change_reason, {std::string(ofx::change_plugin_edited)});
    const std::vector<std::string> edited = std::move(record.edited);
    for (const std::string& each : edited) {
        about.put(ofx::prop_name, {each});
        act(ofx::action_instance_changed, &instance, &about, nullptr, record);
    }
    about.put(ofx::prop_type, {std::string()});
    act(ofx::action_end_instance_changed, &instance, &about, nullptr, record);
    return status;
}

void PlugIn::purge(Record& record) { act(ofx::action_purge_caches, nullptr, nullptr, nullptr, record); }

}  // namespace host
