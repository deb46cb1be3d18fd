// SPDX-License-Identifier: Apache-2.0
// What the plug-in may call.
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "host.h"

namespace testhost {

thread_local ImageObject* current_output = nullptr;

World& world() {
    static World one;
    return one;
}

namespace {

using ofx::Status;

Props* props(ofx::PropertySet set) { return reinterpret_cast<Props*>(set); }
EffectObject* effect(ofx::Effect e) { return reinterpret_cast<EffectObject*>(e); }

// ---- properties

template <class T, class V>
Status put(ofx::PropertySet set, const char* name, int index, V value) {
    if (set == nullptr) return ofx::stat_err_bad_handle;
    if (index < 0) return ofx::stat_err_bad_index;
    props(set)->set(name, T(value), static_cast<size_t>(index));
    return ofx::stat_ok;
}

template <class T>
T* find(ofx::PropertySet set, const char* name, int index, Status* status) {
    *status = ofx::stat_err_bad_handle;
    if (set == nullptr) return nullptr;
    Props* p = props(set);
    const std::lock_guard<std::mutex> lock(p->mutex);
    const auto found = p->values.find(name);
    *status = ofx::stat_err_unknown;
    if (found == p->values.end()) return nullptr;
    *status = ofx::stat_err_bad_index;
    if (index < 0 || static_cast<size_t>(index) >= found->second.size()) return nullptr;
    T* value = std::get_if<T>(&found->second[static_cast<size_t>(index)]);
    *status = value ? ofx::stat_ok : ofx::stat_err_value;
    return value;
}

Status set_pointer(ofx::PropertySet s, const char* n, int i, void* v) { return put<void*>(s, n, i, v); }
Status set_string(ofx::PropertySet s, const char* n, int i, const char* v) { return put<std::string>(s, n, i, v); }
Status set_double(ofx::PropertySet s, const char* n, int i, double v) { return put<double>(s, n, i, v); }
Status set_int(ofx::PropertySet s, const char* n, int i, int v) { return put<int>(s, n, i, v); }
Status get_pointer(ofx::PropertySet s, const char* n, int i, void** v) {
    Status status;
    if (void** found = find<void*>(s, n, i, &status)) *v = *found;
    return status;
}
Status get_string(ofx::PropertySet s, const char* n, int i, char** v) {
    Status status;
    if (auto* found = find<std::string>(s, n, i, &status)) *v = found->data();
    return status;
}
Status get_double(ofx::PropertySet s, const char* n, int i, double* v) {
    Status status;
    if (double* found = find<double>(s, n, i, &status)) *v = *found;
    return status;
}
Status get_int(ofx::PropertySet s, const char* n, int i, int* v) {
    Status status;
    if (int* found = find<int>(s, n, i, &status)) *v = *found;
    return status;
}
template <class V, Status (*ONE)(ofx::PropertySet, const char*, int, V)>
Status many(ofx::PropertySet s, const char* n, int count, const V* v) {
    for (int i = 0; i < count; ++i)
        if (const Status status = ONE(s, n, i, v[i])) return status;
    return ofx::stat_ok;
}
template <class V, Status (*ONE)(ofx::PropertySet, const char*, int, V*)>
Status all(ofx::PropertySet s, const char* n, int count, V* v) {
    for (int i = 0; i < count; ++i)
        if (const Status status = ONE(s, n, i, v + i)) return status;
    return ofx::stat_ok;
}
Status set_pointers(ofx::PropertySet s, const char* n, int count, void* const* v) {
    for (int i = 0; i < count; ++i) set_pointer(s, n, i, v[i]);
    return ofx::stat_ok;
}
Status reset(ofx::PropertySet, const char*) { return ofx::stat_ok; }
Status dimension(ofx::PropertySet s, const char* n, int* count) {
    const std::lock_guard<std::mutex> lock(props(s)->mutex);
    const auto found = props(s)->values.find(n);
    if (found == props(s)->values.end()) return ofx::stat_err_unknown;
    *count = static_cast<int>(found->second.size());
    return ofx::stat_ok;
}

const ofx::PropertySuite property_suite = {set_pointer,
                                           set_string,
                                           set_double,
                                           set_int,
                                           set_pointers,
                                           many<const char*, set_string>,
                                           many<double, set_double>,
                                           many<int, set_int>,
                                           get_pointer,
                                           get_string,
                                           get_double,
                                           get_int,
                                           all<void*, get_pointer>,
                                           all<char*, get_string>,
                                           all<double, get_double>,
                                           all<int, get_int>,
                                           reset,
                                           dimension};

// ---- images

Status effect_props(ofx::Effect e, ofx::PropertySet* out) {
    if (e == nullptr) return ofx::stat_err_bad_handle;
    *out = effect(e)->props.handle();
    return ofx::stat_ok;
}
Status param_set(ofx::Effect e, ofx::ParamSet* out) {
    if (e == nullptr) return ofx::stat_err_bad_handle;
    *out = reinterpret_cast<ofx::ParamSet>(effect(e));
    return ofx::stat_ok;
}
Status clip_define(ofx::Effect e, const char* name, ofx::PropertySet* out) {
    auto& clip = effect(e)->clips[name];
    clip = std::make_unique<ClipObject>();
    clip->effect = effect(e);
    clip->is_output = std::string(name) == ofx::clip_output;
    if (out) *out = clip->props.handle();
    return ofx::stat_ok;
}
Status clip_handle(ofx::Effect e, const char* name, ofx::Clip* clip, ofx::PropertySet* out) {
    const auto found = effect(e)->clips.find(name);
    if (found == effect(e)->clips.end()) return ofx::stat_err_bad_handle;
    *clip = reinterpret_cast<ofx::Clip>(found->second.get());
    if (out) *out = found->second->props.handle();
    return ofx::stat_ok;
}
Status clip_props(ofx::Clip clip, ofx::PropertySet* out) {
    *out = reinterpret_cast<ClipObject*>(clip)->props.handle();
    return ofx::stat_ok;
}

Status get_image(ofx::Clip handle, ofx::Time time, const ofx::RectD*, ofx::PropertySet* out) {
    auto* clip = reinterpret_cast<ClipObject*>(handle);
    World& w = world();
    if (clip->is_output) {
        if (current_output == nullptr) return ofx::stat_failed;
        *out = current_output->handle();
        return ofx::stat_ok;
    }
    *out = nullptr;
    if (w.manners.no_source) return ofx::stat_failed;
    double current;
    {
        const std::lock_guard<std::mutex> lock(clip->effect->mutex);
        current = clip->effect->current;
    }
    if (w.manners.answers_current) time = current;
    const bool other = std::lround(time) != std::lround(current) && !clip->effect->changing;
    if (other && w.manners.null_neighbours) return ofx::stat_ok;
    if (other && w.manners.failing_neighbours) return ofx::stat_failed;
    long number = std::lround(time) - w.footage.first;
    if (w.manners.holds_ends) number = std::min(std::max(number, 0l), static_cast<long>(w.footage.frames) - 1);
    if (number < 0 || number >= w.footage.frames) return ofx::stat_failed;
    ++w.fetched;
    auto image = make_image(w.footage.bytes.data() + w.footage.frame() * static_cast<size_t>(number));
    if (!w.manners.no_identifiers) image->set(ofx::image_identifier, "frame " + std::to_string(number));
    ++w.images_out;
    *out = image.release()->handle();
    return ofx::stat_ok;
}

Status release_image(ofx::PropertySet set) {
    auto* image = static_cast<ImageObject*>(props(set));
    if (image == current_output) return ofx::stat_ok;
    --world().images_out;
    delete image;
    return ofx::stat_ok;
}
Status region(ofx::Clip, ofx::Time, ofx::RectD* out) {
    const Manners& m = world().manners;
    const Footage& f = world().footage;
    *out = {double(m.origin_x), double(m.origin_y), double(m.origin_x + f.width), double(m.origin_y + f.height)};
    return ofx::stat_ok;
}
int aborts(ofx::Effect) {
    World& w = world();
    if (w.abort_after < 0) return 0;
    if (w.abort_after == 0) return 1;
    --w.abort_after;
    return 0;
}
const ofx::ImageEffectSuite image_suite = {effect_props, param_set,     clip_define, clip_handle, clip_props,
                                           get_image,    release_image, region,      aborts,      nullptr,
                                           nullptr,      nullptr,       nullptr};

// ---- parameters

Status param_define(ofx::ParamSet set, const char* type, const char* name, ofx::PropertySet* out) {
    auto* e = reinterpret_cast<EffectObject*>(set);
    const std::string kind = type;
    if (e->lost_params && world().manners.strings_break) return ofx::stat_err_unsupported;
    if (kind == ofx::param_string) e->lost_params = true;
    auto param = std::make_unique<ParamObject>();
    param->type = kind;
    if (out) *out = param->props.handle();
    e->order.push_back(name);
    e->params[name] = std::move(param);
    return ofx::stat_ok;
}
Status param_handle(ofx::ParamSet set, const char* name, ofx::Param* out, ofx::PropertySet* properties) {
    auto* e = reinterpret_cast<EffectObject*>(set);
    const auto found = e->params.find(name);
    if (found == e->params.end()) return ofx::stat_err_unknown;
    *out = reinterpret_cast<ofx::Param>(found->second.get());
    if (properties) *properties = found->second->props.handle();
    return ofx::stat_ok;
}
Status value_to(ofx::Param handle, va_list list) {
    auto* param = reinterpret_cast<ParamObject*>(handle);
    const std::lock_guard<std::mutex> lock(param->mutex);
    if (auto* number = std::get_if<double>(&param->value)) {
        *va_arg(list, double*) = *number;
    } else if (auto* whole = std::get_if<int>(&param->value)) {
        *va_arg(list, int*) = *whole;
    } else {
        *va_arg(list, char**) = std::get<std::string>(param->value).data();
    }
    return ofx::stat_ok;
}
Status get_value(ofx::Param param, ...) {
    va_list list;
    va_start(list, param);
    const Status status = value_to(param, list);
    va_end(list);
    return status;
}
Status get_value_at(ofx::Param param, ofx::Time time, ...) {
    va_list list;
    va_start(list, time);
    const Status status = value_to(param, list);
    va_end(list);
    return status;
}
thread_local EffectObject* changing_effect = nullptr;

Status set_value(ofx::Param handle, ...) {
    auto* param = reinterpret_cast<ParamObject*>(handle);
    if (changing_effect == nullptr && world().manners.refuses_set) {
        ++world().sets_refused;
        return ofx::stat_failed;
    }
    const std::lock_guard<std::mutex> lock(param->mutex);
    va_list list;
    va_start(list, handle);
    if (std::holds_alternative<double>(param->value))
        param->value = va_arg(list, double);
    else if (std::holds_alternative<int>(param->value))
        param->value = va_arg(list, int);
    else
        param->value = std::string(va_arg(list, const char*));
    va_end(list);
    return ofx::stat_ok;
}
const ofx::ParameterSuite parameter_suite = {param_define, param_handle, nullptr,   nullptr, get_value, get_value_at,
                                             nullptr,      nullptr,      set_value, nullptr, nullptr,   nullptr,
                                             nullptr,      nullptr,      nullptr,   nullptr, nullptr,   nullptr};

// ---- messages and progress

std::string written(const char* format, va_list list) {
    char text[4096];
    std::vsnprintf(text, sizeof text, format, list);
    return text;
}
Status message(void* e, const char*, const char*, const char* format, ...) {
    va_list list;
    va_start(list, format);
    const std::string text = written(format, list);
    va_end(list);
    auto* object = static_cast<EffectObject*>(e);
    const std::lock_guard<std::mutex> lock(object->mutex);
    object->messages.push_back(text);
    return ofx::stat_ok;
}
Status persistent(void* e, const char* type, const char*, const char* format, ...) {
    va_list list;
    va_start(list, format);
    const std::string text = written(format, list);
    va_end(list);
    auto* object = static_cast<EffectObject*>(e);
    const std::lock_guard<std::mutex> lock(object->mutex);
    object->message = text, object->message_type = type;
    return ofx::stat_ok;
}
Status clear_persistent(void* e) {
    auto* object = static_cast<EffectObject*>(e);
    const std::lock_guard<std::mutex> lock(object->mutex);
    object->message.clear(), object->message_type.clear();
    return ofx::stat_ok;
}
const ofx::MessageSuiteV2 message_suite = {message, persistent, clear_persistent};
const ofx::MessageSuiteV2 message_suite_with_holes = {message, nullptr, nullptr};

Status progress_start(void*, const char*) { return ofx::stat_ok; }
Status progress_update(void*, double share) {
    World& w = world();
    if (!(share >= 0 && share <= 1)) return ofx::stat_err_value;
    const int done = ++w.progress_updates;
    return w.manners.cancel_after >= 0 && done > w.manners.cancel_after ? ofx::stat_reply_no : ofx::stat_reply_yes;
}
Status progress_end(void*) { return ofx::stat_ok; }
const ofx::ProgressSuiteV1 progress_suite = {progress_start, progress_update, progress_end};

const void* fetch(ofx::PropertySet, const char* suite, int version) {
    const std::string name = suite;
    const Manners& m = world().manners;
    if (name == ofx::suite_property && version == 1) return &property_suite;
    if (name == ofx::suite_image_effect && version == 1) return &image_suite;
    if (name == ofx::suite_parameter && version == 1) return &parameter_suite;
    if (name == ofx::suite_message && version == 2 && !m.no_message)
        return m.no_persistent ? &message_suite_with_holes : &message_suite;
    if (name == ofx::suite_progress && version == 1 && !m.no_progress) return &progress_suite;
    return nullptr;
}

}  // namespace

void set_changing(EffectObject* e) { changing_effect = e; }

const ofx::Host* host() {
    static Props about;
    static ofx::Host one{about.handle(), fetch};
    about.set(ofx::prop_type, std::string(ofx::type_host));
    about.set(ofx::prop_name, world().manners.name);
    about.set(ofx::prop_temporal, world().manners.temporal ? 1 : 0);
    return &one;
}

}  // namespace testhost
