// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace bridge {

HostSide& host() {
    static HostSide one;
    return one;
}

bool HostSide::attach(const ofx::Host* given) {
    static std::mutex mutex;
    const HostSide found = of(given);
    const std::lock_guard<std::mutex> lock(mutex);
    if (found.all() != all()) *this = found;
    return attached();
}

HostSide HostSide::of(const ofx::Host* given) {
    HostSide found;
    if (given == nullptr || given->fetchSuite == nullptr) return found;
    const auto suite = [&](const char* name, int version) { return given->fetchSuite(given->host, name, version); };
    const auto* props = static_cast<const ofx::PropertySuite*>(suite(ofx::suite_property, 1));
    const auto* params = static_cast<const ofx::ParameterSuite*>(suite(ofx::suite_parameter, 1));
    const auto* images = static_cast<const ofx::ImageEffectSuite*>(suite(ofx::suite_image_effect, 1));
    if (props == nullptr || params == nullptr || images == nullptr) return found;
    found.host_ = given, found.props_ = props, found.image_ = images, found.params_ = params;
    found.message_ = static_cast<const ofx::MessageSuiteV2*>(suite(ofx::suite_message, 2));
    found.progress_ = static_cast<const ofx::ProgressSuiteV1*>(suite(ofx::suite_progress, 1));
    const std::string& name = found.name_ = found.text(given->host, ofx::prop_name);
    found.temporal_ = found.whole(given->host, ofx::prop_temporal).value_or(0) != 0;
    found.deaf_ = name == "MLT";
    // Their progress suites do nothing: whoever waited for one to be cancelled would wait for minutes.
    for (const char* known : {"MLT", "OFXDemoHost", "uk.co.thefoundry.OfxHostDemo"})
        if (name == known) found.progress_ = nullptr;
    for (const char* known : {"uk.co.thefoundry.nuke", "fr.inria.Natron", "DaVinciResolveFusion"})
        found.linear_ = found.linear_ || name.rfind(known, 0) == 0;
    return found;
}

std::string HostSide::text(ofx::PropertySet set, const char* name, int index) const {
    char* value = nullptr;
    if (set == nullptr || props_->propGetString(set, name, index, &value) != ofx::stat_ok || value == nullptr)
        return "";
    return value;
}

std::optional<int> HostSide::whole(ofx::PropertySet set, const char* name, int index) const {
    int value = 0;
    if (set == nullptr || props_->propGetInt(set, name, index, &value) != ofx::stat_ok) return std::nullopt;
    return value;
}

std::optional<double> HostSide::number(ofx::PropertySet set, const char* name, int index) const {
    double value = 0;
    if (set == nullptr || props_->propGetDouble(set, name, index, &value) != ofx::stat_ok || !std::isfinite(value))
        return std::nullopt;
    return value;
}

void* HostSide::pointer(ofx::PropertySet set, const char* name) const {
    void* value = nullptr;
    if (set == nullptr || props_->propGetPointer(set, name, 0, &value) != ofx::stat_ok) return nullptr;
    return value;
}

std::optional<Box> HostSide::box(ofx::PropertySet set, const char* name) const {
    int v[4] = {0, 0, 0, 0};
    if (set == nullptr || props_->propGetIntN(set, name, 4, v) != ofx::stat_ok) return std::nullopt;
    return Box{v[0], v[1], v[2], v[3]};
}

void HostSide::set(ofx::PropertySet set, const char* name, const char* value, int index) const {
    if (set != nullptr) props_->propSetString(set, name, index, value);
}
void HostSide::set(ofx::PropertySet set, const char* name, int value, int index) const {
    if (set != nullptr) props_->propSetInt(set, name, index, value);
}
void HostSide::set(ofx::PropertySet set, const char* name, double value, int index) const {
    if (set != nullptr) props_->propSetDouble(set, name, index, value);
}
void HostSide::set_pointer(ofx::PropertySet set, const char* name, void* value) const {
    if (set != nullptr) props_->propSetPointer(set, name, 0, value);
}

void HostSide::show_persistent(ofx::Effect effect, const char* type, const std::string& message) const {
    if (message_ == nullptr) return;
    // Some hosts give the suite with holes in it.
    if (message_->setPersistentMessage != nullptr)
        message_->setPersistentMessage(effect, type, "deblur", "%s", message.c_str());
}

void HostSide::clear_persistent(ofx::Effect effect) const {
    if (message_ != nullptr && message_->clearPersistentMessage != nullptr) message_->clearPersistentMessage(effect);
}

void HostSide::show_message(ofx::Effect effect, const std::string& message) const {
    if (message_ != nullptr && message_->message != nullptr)
        message_->message(effect, ofx::message_message, "deblur", "%s", message.c_str());
}

Image::Image(ofx::Clip clip, double time) {
    ofx::PropertySet handle = nullptr;
    if (clip == nullptr) {
        trouble_ = "the clip is not there";
    } else if (host().image().clipGetImage(clip, time, nullptr, &handle) != ofx::stat_ok || handle == nullptr) {
        trouble_ = "the host has no picture of it";
    } else {
        handle_ = handle;
        read();
    }
}

Image::~Image() {
    if (handle_ != nullptr) host().image().clipReleaseImage(handle_);
}

void Image::read() {
    HostPicture found;
    found.data = static_cast<uint8_t*>(host().pointer(handle_, ofx::image_data));
    const auto bounds = host().box(handle_, ofx::image_bounds);
    const auto rows = host().whole(handle_, ofx::image_row_bytes);
    if (found.data == nullptr || !bounds || !rows) {
        trouble_ = "the host's picture has no pixels";
        return;
    }
    found.bounds = *bounds;
    found.row_bytes = *rows;
    const int64_t width = int64_t{bounds->x2} - bounds->x1, height = int64_t{bounds->y2} - bounds->y1;
    if (width <= 0 || height <= 0 || width > 65536 || height > 65536) {
        trouble_ = "the host's picture is empty, or larger than 65536";
        return;
    }
    const std::string components = host().text(handle_, ofx::prop_components);
    found.channels = components == ofx::components_rgb ? 3 : components == ofx::components_alpha ? 1 : 4;
    const std::string depth = host().text(handle_, ofx::prop_depth);
    found.depth = depth == ofx::depth_byte    ? Depth::byte
                  : depth == ofx::depth_short ? Depth::word
                  : depth == ofx::depth_half  ? Depth::half
                                              : Depth::floating;
    // One host calls all its pictures float and sends bytes: rows cannot be shorter than what is in them.
    const int64_t row = std::llabs(static_cast<long long>(found.row_bytes));
    if (height > 1 && row < width * found.pixel_bytes()) {
        found.depth = Depth::byte;
        if (row < width * found.pixel_bytes()) {
            trouble_ = "the host's picture has rows that are too short for it";
            return;
        }
    }
    found.premultiplied =
        found.channels == 4 && host().text(handle_, ofx::prop_premultiplication) == ofx::premultiplied;
    identifier_ = host().text(handle_, ofx::image_identifier);
    picture_ = found;
}

}  // namespace bridge
