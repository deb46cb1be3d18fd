// SPDX-License-Identifier: Apache-2.0
#include "effect.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "frames.h"
#include "platform.h"

namespace bridge {
namespace {

uint64_t next_key() {
    static std::atomic<uint64_t> last{0};
    return ++last;
}

std::string absolute(std::string path) {
    if (path.rfind("file://", 0) == 0) path.erase(0, 7);
#if defined(_WIN32)
    if (path.size() > 2 && path[0] == '/' && path[2] == ':') path.erase(0, 1);  // file:///C:/...
#endif
    if (path.empty() || !wire::is_utf8(path)) return "";
    std::error_code error;
    const auto whole = std::filesystem::absolute(platform::native(path), error);
    path = error ? path : platform::utf8(whole.lexically_normal());
    return path.size() <= wire::most_text && wire::is_utf8(path) ? path : "";
}

}  // namespace

Effect::Effect(ofx::Effect handle) : handle_(handle), key_(next_key()) {
    const auto& suite = host().image();
    suite.getPropertySet(handle, &properties_);
    suite.clipGetHandle(handle, ofx::clip_source, &source_, &source_properties_);
    suite.clipGetHandle(handle, ofx::clip_output, &output_, nullptr);
    ofx::ParamSet set = nullptr;
    suite.getParamSet(handle, &set);
    for (const Control& control : controls) {
        ofx::Param param = nullptr;
        if (set != nullptr && host().params().paramGetHandle(set, control.name, &param, nullptr) == ofx::stat_ok)
            params_[control.name] = param;
    }
}

Chosen Effect::chosen(double time) const {
    const auto& suite = host().params();
    const auto number = [&](const char* name, auto value) {
        const auto found = params_.find(name);
        auto read = value;
        if (found == params_.end() || found->second == nullptr) return value;
        return suite.paramGetValueAtTime(found->second, time, &read) == ofx::stat_ok ? read : value;
    };
    const auto text = [&](const char* name) {
        const auto found = params_.find(name);
        char* value = nullptr;
        if (found == params_.end() || suite.paramGetValueAtTime(found->second, time, &value) != ofx::stat_ok) return "";
        return const_cast<const char*>(value != nullptr ? value : "");
    };
    Chosen now;
    const double strength = number("strength", 1.0);
    now.strength = std::isfinite(strength) ? std::clamp(strength, 0.0, 1.0) : 1.0;
    now.protect = number("protect", 1) != 0;
    now.footage = static_cast<Footage>(std::clamp(number("footage", 0), 0, 3));
    now.view = static_cast<View>(std::clamp(number("view", 0), 0, 3));
    now.device = devices[std::clamp(number("device", 0), 0, 2)];
    now.preset = presets[std::clamp(number("preset", 1), 0, 2)];
    now.first_frame = number("firstFrame", 0);
    now.background = number("background", 0) != 0;
    now.model = absolute(text("model"));
    now.clip = absolute(text("clip"));
    if (now.clip.empty()) now.clip = absolute(host().text(properties_, ofx::resolve_file_path));
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!fitted_model_.empty()) now.model = fitted_model_;
    return now;
}

int64_t Effect::frame_at(double time, const Chosen& chosen, ofx::PropertySet in) const {
    if (const auto frame = host().whole(in, ofx::resolve_frame)) return *frame;
    if (const auto frame = host().number(in, ofx::resolve_frame)) return std::llround(*frame);
    return std::llround(time) - chosen.first_frame;
}

bool Effect::is_identity(double time) const { return chosen(time).leaves_all_alone(); }

void Effect::name_frames(double time, ofx::PropertySet out) {
    const Chosen now = chosen(time);
    if (!host().temporal() || now.leaves_all_alone() || (now.model.empty() && now.clip.empty())) return;
    // The host waits for this before it does anything else. Where the engine takes longer the frame alone is named; its
    // render asks again.
    const auto end = Clock::now() + setting("DEBLUR_NEEDS_SECONDS", 3);
    const Patience patience{std::chrono::seconds(60),
                            [&] { return Clock::now() > end || host().image().abort(handle_) != 0; }};
    const int64_t frame = frame_at(time, now, nullptr);
    Worker& worker = Worker::of(now.device);
    Lease lease = worker.lease(key_, patience);
    std::vector<int64_t> frames;
    try {
        const auto info = worker.model(*lease, now.model, now.clip, patience);
        frames = frames_needed(*lease, info, now.model, now.clip, frame, patience);
    } catch (const wire::Malformed&) {
        lease.drop();
        throw;
    }
    std::sort(frames.begin(), frames.end());
    int index = 0;
    for (size_t i = 0; i < frames.size();) {
        size_t last = i;
        while (last + 1 < frames.size() && frames[last + 1] <= frames[last] + 1) ++last;
        host().set(out, ofx::frame_range_of_source, time + static_cast<double>(frames[i] - frame), index++);
        host().set(out, ofx::frame_range_of_source, time + static_cast<double>(frames[last] - frame), index++);
        i = last + 1;
    }
}

void Effect::say(const std::string& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    status_ = status;
}

void Effect::complain(const char* type, const std::string& message) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        status_ = message;
        wanted_ = {type, message};
    }
    settle();
}

void Effect::content() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        wanted_ = {};
    }
    settle();
}

// Several threads say different things of their frames: what was said last has to stand in the end. No lock is held
// while the host is called, which may wait for a thread that waits for the lock.
void Effect::settle() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (telling_) return;  // who is at it looks again
    telling_ = true;
    while (shown_ != wanted_.text) {
        const Message now = wanted_;
        shown_ = now.text;
        lock.unlock();
        if (now.text.empty()) {
            host().clear_persistent(handle_);
        } else {
            host().show_persistent(handle_, now.type, now.text);
        }
        lock.lock();
    }
    telling_ = false;
}

void Effect::set_text(const char* name, const std::string& value) {
    const auto found = params_.find(name);
    if (found != params_.end()) host().params().paramSetValue(found->second, value.c_str());
}

void Effect::show_status() {
    std::string text, model;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        text = status_;
        model = fitted_model_;
    }
    if (!model.empty()) {
        set_text("model", model);
        const std::lock_guard<std::mutex> lock(mutex_);
        fitted_model_.clear();
    }
    set_text("status", text);
}

}  // namespace bridge
