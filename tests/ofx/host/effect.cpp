// SPDX-License-Identifier: Apache-2.0
#include "effect.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "living.h"

namespace host {
namespace {

Living& effects() {
    static Living all("an effect");
    return all;
}
Living& all_clips() {
    static Living all("a clip");
    return all;
}

std::string depth_name(const std::string& depth) {
    return depth == "byte"    ? ofx::depth_byte
           : depth == "short" ? ofx::depth_short
           : depth == "half"  ? ofx::depth_half
                              : ofx::depth_float;
}

void describe(Properties& p, const Setting& setting) {
    const auto writes = [&](const char* name, Value value) { p.put(name, {std::move(value)}, Access::write); };
    const auto grows = [&](const char* name) { p.put(name, {}, Access::write, true); };
    p.put(ofx::prop_type, {std::string(ofx::type_effect)});
    for (const char* name : {ofx::prop_label, ofx::prop_short_label, ofx::prop_long_label, ofx::prop_grouping,
                             ofx::prop_version_label, ofx::prop_thread_safety})
        writes(name, std::string());
    for (const char* name : {ofx::prop_supported_contexts, ofx::prop_supported_depths}) grows(name);
    for (const char* name : {ofx::prop_single_instance, ofx::prop_host_frame_threading, ofx::prop_multi_resolution,
                             ofx::prop_tiles, ofx::prop_temporal, ofx::prop_field_twice, ofx::prop_multiple_depths,
                             ofx::prop_multiple_pars, ofx::prop_sequential})
        writes(name, 0);
    writes(ofx::prop_instance_data, static_cast<void*>(nullptr));
    p.put(ofx::prop_version, {1, 0}, Access::write, true);
    p.put(ofx::prop_file_path, {std::string()});
    if (setting.manner.knows_1_5) {
        writes(ofx::prop_description, std::string());
        writes(ofx::prop_no_spatial_awareness, std::string("false"));
    }
}

}  // namespace

Effect::Effect(const Setting& setting, std::string what)
    : setting(setting), properties(std::move(what)), parameters(setting.manner) {
    describe(properties, setting);
    effects().enter(this);
}

Effect::Effect(const Effect& described)
    : setting(described.setting), properties(described.properties), parameters(described.parameters) {
    effects().enter(this);
}

Effect::~Effect() {
    effects().leave(this);
    for (const auto& [name, clip] : clips) all_clips().leave(clip.get());
}

Effect* Effect::of(const void* handle) {
    return effects().has(handle) ? static_cast<Effect*>(const_cast<void*>(handle)) : nullptr;
}

Instance::Instance(const Effect& described, Footage& footage) : Effect(described), footage(footage) {
    const Manner& manner = setting.manner;
    const double width = footage.format.width / setting.scale, height = footage.format.height / setting.scale;
    properties.put(ofx::prop_type, {std::string(ofx::type_instance)});
    properties.put(ofx::prop_context, {std::string(ofx::context_filter)});
    properties.put(ofx::prop_instance_data, {static_cast<void*>(nullptr)}, Access::write);
    properties.put(ofx::prop_project_size, {width, height});
    properties.put(ofx::prop_project_offset, {0.0, 0.0});
    properties.put(ofx::prop_project_extent, {width, height});
    properties.put(ofx::prop_project_aspect, {1.0});
    properties.put(ofx::prop_effect_duration, {static_cast<double>(setting.last - setting.first + 1)});
    properties.put(ofx::prop_frame_rate, {setting.fps});
    if (manner.source_path) properties.put(ofx::resolve_file_path, {setting.source_file});
    for (const auto& [name, about] : described.clips) {
        auto clip = std::make_unique<Clip>(Clip{name, about->properties, this});
        Properties& p = clip->properties;
        const std::string depth = manner.label_float ? "float" : footage.format.depth;
        const std::string components = footage.format.channels == 4 ? ofx::components_rgba : ofx::components_rgb;
        p.put(ofx::prop_type, {std::string(ofx::type_clip)});
        for (const char* each : {ofx::prop_depth, ofx::clip_unmapped_depth}) p.put(each, {depth_name(depth)});
        for (const char* each : {ofx::prop_components, ofx::clip_unmapped_components}) p.put(each, {components});
        p.put(ofx::prop_premultiplication, {std::string(footage.format.channels == 3 ? ofx::opaque
                                                        : setting.premultiplied      ? ofx::premultiplied
                                                                                     : ofx::unpremultiplied)});
        p.put(ofx::image_aspect, {1.0});
        p.put(ofx::prop_frame_rate, {setting.fps});
        p.put(ofx::prop_unmapped_rate, {setting.fps});
        if (manner.frame_range)
            for (const char* each : {ofx::prop_frame_range, ofx::prop_unmapped_range})
                p.put(each, {static_cast<double>(setting.first), static_cast<double>(setting.last)});
        p.put(ofx::clip_field_order, {std::string(ofx::field_none)});
        p.put(ofx::clip_connected, {1});
        p.put(ofx::clip_continuous, {0});
        all_clips().enter(clip.get());
        clips[name] = std::move(clip);
    }
}

Message Instance::message() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return message_;
}

void Instance::set_message(Message message) {
    const std::lock_guard<std::mutex> lock(mutex_);
    message_ = std::move(message);
}

namespace {

using ofx::Status;

// A picture lent to the plug-in.
struct Loan {
    Properties properties;
    std::shared_ptr<Picture> picture;
    std::shared_ptr<const Packed> expected;  // of the source's: what must be in it when it comes back
    const Record* record;
};
std::mutex& loans_mutex() {
    static std::mutex mutex;
    return mutex;
}
std::map<ofx::PropertySet, std::unique_ptr<Loan>>& loans() {
    static std::map<ofx::PropertySet, std::unique_ptr<Loan>> all;
    return all;
}

Clip* clip_of(ofx::Clip handle) { return all_clips().has(handle) ? reinterpret_cast<Clip*>(handle) : nullptr; }

Status get_properties(ofx::Effect handle, ofx::PropertySet* out) {
    Effect* effect = Effect::of(handle);
    if (effect == nullptr) return ofx::stat_err_bad_handle;
    *out = effect->properties.handle();
    return ofx::stat_ok;
}

Status get_parameters(ofx::Effect handle, ofx::ParamSet* out) {
    Effect* effect = Effect::of(handle);
    if (effect == nullptr) return ofx::stat_err_bad_handle;
    *out = effect->parameters.handle();
    return ofx::stat_ok;
}

Status define_clip(ofx::Effect handle, const char* name, ofx::PropertySet* out) {
    Effect* effect = Effect::of(handle);
    if (effect == nullptr) return ofx::stat_err_bad_handle;
    if (InAction::current() == nullptr || InAction::current()->name != ofx::action_describe_in_context)
        return violation(std::string("defines clip ") + name + " outside of DescribeInContext"), ofx::stat_failed;
    auto clip = std::make_unique<Clip>(Clip{name, Properties(std::string("clip ") + name)});
    Properties& p = clip->properties;
    p.put(ofx::prop_type, {std::string(ofx::type_clip)});
    p.put(ofx::prop_name, {std::string(name)});
    for (const char* label : {ofx::prop_label, ofx::prop_short_label, ofx::prop_long_label})
        p.put(label, {std::string(name)}, Access::write);
    p.put(ofx::prop_supported_components, {}, Access::write, true);
    for (const char* each : {ofx::prop_temporal, ofx::clip_optional, ofx::clip_is_mask})
        p.put(each, {0}, Access::write);
    p.put(ofx::prop_tiles, {1}, Access::write);
    p.put(ofx::clip_field_extraction, {std::string("OfxImageFieldDoubled")}, Access::write);
    all_clips().enter(clip.get());
    *out = p.handle();
    effect->clips[name] = std::move(clip);
    return ofx::stat_ok;
}

Status clip_handle(ofx::Effect handle, const char* name, ofx::Clip* clip, ofx::PropertySet* properties) {
    Effect* effect = Effect::of(handle);
    if (effect == nullptr) return ofx::stat_err_bad_handle;
    const auto found = effect->clips.find(name);
    if (found == effect->clips.end()) return ofx::stat_err_bad_handle;
    if (found->second->owner == nullptr) violation("asks a descriptor for the handle of a clip");
    if (clip) *clip = found->second->handle();
    if (properties) *properties = found->second->properties.handle();
    return ofx::stat_ok;
}

Status clip_properties(ofx::Clip handle, ofx::PropertySet* out) {
    Clip* clip = clip_of(handle);
    if (clip == nullptr) return ofx::stat_err_bad_handle;
    *out = clip->properties.handle();
    return ofx::stat_ok;
}

// The clip's frame for a time, as this host's manner is; -1 << 30 where there is none. `null` is for those that say OK.
constexpr int none = -(1 << 30), null = none + 1;
int frame_for(const Setting& setting, double time, const Frame* frame) {
    const int wanted = static_cast<int>(std::lround(time));
    const bool current = frame != nullptr && time == frame->time;
    switch (setting.manner.temporal) {
        case Temporal::current: return frame ? static_cast<int>(std::lround(frame->time)) : wanted;
        case Temporal::held: return std::clamp(wanted, setting.first, setting.last);
        case Temporal::null: return current || frame == nullptr ? wanted : null;
        case Temporal::failing: return current || frame == nullptr ? wanted : none;
        case Temporal::honest: break;
    }
    return wanted >= setting.first && wanted <= setting.last ? wanted : none;
}

std::unique_ptr<Loan> lend(const Clip& clip, std::shared_ptr<Picture> picture, const std::string& identifier) {
    const Setting& setting = clip.owner->setting;
    auto loan =
        std::unique_ptr<Loan>(new Loan{Properties("image of " + clip.name), std::move(picture), nullptr, nullptr});
    Properties& p = loan->properties;
    const Picture& shown = *loan->picture;
    const double scale = setting.manner.claims_unit_scale ? 1.0 : setting.scale;
    p.put(ofx::prop_type, {std::string(ofx::type_image)});
    for (const char* each : {ofx::prop_depth, ofx::prop_components, ofx::prop_premultiplication})
        p.put(each, clip.properties.all(each));
    p.put(ofx::prop_render_scale, {scale, scale});
    p.put(ofx::image_aspect, {1.0});
    p.put(ofx::image_data, {static_cast<void*>(shown.data)});
    p.put(ofx::image_bounds, {shown.bounds.x1, shown.bounds.y1, shown.bounds.x2, shown.bounds.y2});
    p.put(ofx::image_region, p.all(ofx::image_bounds));
    p.put(ofx::image_row_bytes, {static_cast<int>(shown.row_bytes)});
    p.put(ofx::image_field, {std::string(ofx::field_none)});
    p.put(ofx::image_identifier, {identifier});
    return loan;
}

Status get_image(ofx::Clip handle, ofx::Time time, const ofx::RectD*, ofx::PropertySet* out) {
    const auto begun = Clock::now();
    Clip* clip = clip_of(handle);
    if (out != nullptr) *out = nullptr;
    if (clip == nullptr) return ofx::stat_err_bad_handle;
    if (clip->owner == nullptr) return violation("asks a descriptor for a picture"), ofx::stat_failed;
    InAction* action = InAction::current();
    if (action == nullptr || (action->name != ofx::action_render && action->name != ofx::action_instance_changed))
        return violation("asks for a picture outside of Render and InstanceChanged"), ofx::stat_failed;
    if (std::isnan(time)) return violation("asks for a picture at no time"), ofx::stat_failed;
    const Setting& setting = clip->owner->setting;
    Frame* frame = action->frame;
    {
        const std::lock_guard<std::mutex> lock(action->record->mutex);
        action->record->fetched.emplace_back(clip->name, time);
    }
    std::unique_ptr<Loan> loan;
    if (clip->name == ofx::clip_output) {
        if (frame == nullptr || time != frame->time) return violation("asks for the output of another time"), 1;
        loan = lend(*clip, frame->output, "output");
    } else {
        const int number = frame_for(setting, time, frame);
        if (number == null) return ofx::stat_ok;
        const auto data = number == none ? nullptr : clip->owner->footage.frame(number);
        if (data == nullptr) return ofx::stat_failed;
        const bool current = frame != nullptr && number == std::lround(frame->time);
        std::shared_ptr<Picture> picture = current ? frame->source : nullptr;
        if (picture == nullptr) {
            picture = std::make_shared<Picture>(clip->owner->footage.format, setting.manner,
                                                clip->name + " at " + std::to_string(number));
            picture->fill(*data);
        }
        loan = lend(*clip, picture, "frame " + std::to_string(number));
        loan->expected = data;
    }
    loan->record = action->record;
    *out = loan->properties.handle();
    {
        const std::lock_guard<std::mutex> lock(loans_mutex());
        loans()[*out] = std::move(loan);
    }
    const std::lock_guard<std::mutex> lock(action->record->mutex);
    action->record->host_ms += std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
    return ofx::stat_ok;
}

void check(const Loan& loan, bool checks) {
    if (!checks) return;
    loan.picture->check_guards();
    if (loan.expected) loan.picture->check_equal(*loan.expected);
}

Status release_image(ofx::PropertySet handle) {
    const auto begun = Clock::now();
    std::unique_ptr<Loan> loan;
    {
        const std::lock_guard<std::mutex> lock(loans_mutex());
        const auto found = loans().find(handle);
        if (found != loans().end()) {
            loan = std::move(found->second);
            loans().erase(found);
        }
    }
    if (loan == nullptr) return violation("gives back a picture that it does not have"), ofx::stat_err_bad_handle;
    InAction* action = InAction::current();
    check(*loan, action && action->instance && action->instance->setting.checks);
    if (action == nullptr) return ofx::stat_ok;
    const std::lock_guard<std::mutex> lock(action->record->mutex);
    action->record->host_ms += std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
    return ofx::stat_ok;
}

Status region(ofx::Clip handle, ofx::Time, ofx::RectD* out) {
    const Clip* clip = clip_of(handle);
    if (clip == nullptr || clip->owner == nullptr) return ofx::stat_err_bad_handle;
    const Setting& setting = clip->owner->setting;
    const Format& format = clip->owner->footage.format;
    const double scale = setting.manner.claims_unit_scale ? 1.0 : setting.scale;
    *out = {setting.manner.origin_x / scale, setting.manner.origin_y / scale,
            (setting.manner.origin_x + format.width) / scale, (setting.manner.origin_y + format.height) / scale};
    return ofx::stat_ok;
}

int is_aborted(ofx::Effect handle) {
    if (Effect::of(handle) == nullptr) return 1;
    const InAction* action = InAction::current();
    if (action == nullptr) return 0;
    ++action->record->aborts;
    return action->frame != nullptr && Clock::now() >= action->frame->abort_at ? 1 : 0;
}

struct Block {
    void* data;
};
Status memory_alloc(ofx::Effect, size_t bytes, ofx::Memory* out) {
    *out = reinterpret_cast<ofx::Memory>(new Block{std::malloc(bytes)});
    return ofx::stat_ok;
}
Status memory_free(ofx::Memory handle) {
    auto* block = reinterpret_cast<Block*>(handle);
    std::free(block->data);
    delete block;
    return ofx::stat_ok;
}
Status memory_lock(ofx::Memory handle, void** out) {
    *out = reinterpret_cast<Block*>(handle)->data;
    return ofx::stat_ok;
}
Status memory_unlock(ofx::Memory) { return ofx::stat_ok; }

}  // namespace

void check_returned(const Record* record) {
    std::vector<std::unique_ptr<Loan>> kept;
    {
        const std::lock_guard<std::mutex> lock(loans_mutex());
        for (auto at = loans().begin(); at != loans().end();) {
            const bool mine = at->second->record == record;
            if (mine) kept.push_back(std::move(at->second));
            at = mine ? loans().erase(at) : std::next(at);
        }
    }
    for (const auto& loan : kept) violation("did not give back the picture of " + loan->picture->what);
}

const ofx::ImageEffectSuite& image_effect_suite() {
    static const ofx::ImageEffectSuite suite = {
        get_properties, get_parameters, define_clip,  clip_handle, clip_properties, get_image,    release_image,
        region,         is_aborted,     memory_alloc, memory_free, memory_lock,     memory_unlock};
    return suite;
}

}  // namespace host
