// SPDX-License-Identifier: Apache-2.0
// The buttons. A fit runs in the worker; where the host shows progress, it is waited for here, because only here may
// the control be set that makes the project keep the new model's path.
#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <thread>

#include "colour.h"
#include "effect.h"
#include "frames.h"
#include "platform.h"

namespace bridge {
namespace {

using std::chrono::seconds;

// The host's bar; where it shows none, nothing is ever cancelled by it.
class Progress {
public:
    Progress(ofx::Effect effect, const char* label) : effect_(effect), suite_(host().progress()) {
        if (suite_ != nullptr) suite_->progressStart(effect_, label);
    }
    ~Progress() {
        if (suite_ != nullptr) suite_->progressEnd(effect_);
    }
    bool goes_on(double share) const {
        return suite_ == nullptr || suite_->progressUpdate(effect_, share) != ofx::stat_reply_no;
    }

private:
    ofx::Effect effect_;
    const ofx::ProgressSuiteV1* suite_;
};

std::string place_for_models() {
    const std::string data = platform::data_folder();
    if (data.empty()) throw Failure("no place for the model", "set Model File to where it shall be written");
    const std::filesystem::path folder = platform::native(data) / "deblur-engine";
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw Failure("the folder " + platform::utf8(folder) + " cannot be made: " + error.message());
    return platform::utf8(folder / ("timeline-" + std::to_string(std::time(nullptr)) + ".deblur.onnx"));
}

const Patience short_wait{seconds(60), nullptr};

}  // namespace

void Effect::changed(const std::string& name, bool by_user, double time) {
    if (!by_user) return;
    try {
        if (name == "fit") {
            fit(time);
        } else if (name == "cancel") {
            cancel_fit();
        } else if (name == "reload") {
            Worker& worker = Worker::of(chosen(time).device);
            worker.forget_models();
            worker.try_again_at_once();
            follow_fit(false);
        } else if (name == "openLog") {
            const std::string path = Worker::of(chosen(time).device).log_path();
            if (!platform::open_document(path)) host().show_message(handle_, "The log is " + path);
        } else if (name == "model") {
            const std::lock_guard<std::mutex> lock(mutex_);
            fitted_model_.clear();
        } else {
            follow_fit(false);
        }
    } catch (const Failure& error) {
        complain(ofx::message_error, "Deblur: " + error.whole());
        host().show_message(handle_, error.whole());
    } catch (const wire::Malformed& error) {
        complain(ofx::message_error, std::string("Deblur: the engine sent what is no message: ") + error.what());
    }
    show_status();
}

void Effect::fit(double time) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (job_ != 0) throw Failure("a fit runs already for this effect", "press Cancel Fit first");
    }
    Chosen now = chosen(time);
    Worker::of(now.device).try_again_at_once();
    if (now.clip.empty() && !now.model.empty() && exists(platform::native(now.model))) {
        try {  // the clip that the model was fitted to, if it is still there
            Worker& worker = Worker::of(now.device);
            Lease lease = worker.lease(key_, short_wait);
            now.clip = worker.model(*lease, now.model, "", short_wait).clip;
        } catch (const Refused&) {
        }
    }
    if (!now.clip.empty()) {
        fit_by_path(now);
    } else {
        fit_from_host(now);
    }
    if (host().progress() == nullptr || now.background) {
        say("A fit runs. Press Reload to see how far it is");
        return;
    }
    follow_fit(true);
}

void Effect::fit_by_path(const Chosen& now) {
    Lease lease = Worker::of(now.device).lease(key_, short_wait);
    const auto payload = lease->ask(wire::Type::fit, wire::fit(now.clip, now.model, now.preset, 0, wire::fit_overwrite),
                                    wire::Type::job, short_wait);
    const std::lock_guard<std::mutex> lock(mutex_);
    job_ = wire::Job{wire::Reader(payload)}.number;
    job_device_ = now.device;
}

void Effect::fit_from_host(const Chosen& now) {
    if (!host().temporal())
        throw Failure("this host shows the effect only the current frame", "name the clip's file in Source Clip");
    const auto first = host().number(source_properties_, ofx::prop_frame_range, 0);
    const auto last = host().number(source_properties_, ofx::prop_frame_range, 1);
    if (!first || !last || *last <= *first)
        throw Failure("the host does not say where the clip begins and ends", "name the clip's file in Source Clip");
    const double fps = host().number(source_properties_, ofx::prop_frame_rate).value_or(25);
    Lease lease = Worker::of(now.device).lease(key_, short_wait);
    const std::string out = now.model.empty() ? place_for_models() : now.model;
    const auto payload =
        lease->ask(wire::Type::fit, wire::fit("", out, now.preset, 0, wire::fit_overwrite | wire::fit_frames_follow),
                   wire::Type::job, short_wait);
    const uint64_t job = wire::Job{wire::Reader(payload)}.number;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        job_ = job;
        job_device_ = now.device;
    }
    try {
        const Progress bar(handle_, "Reading the clip's frames");
        const std::string colourspace = host().text(source_properties_, ofx::clip_colourspace);
        for (double when = *first; when <= *last; when += 1) {
            if (!bar.goes_on((when - *first) / (*last - *first + 1)) || host().image().abort(handle_) != 0)
                throw Failure("the fit was cancelled");
            const Image image(source_, when);
            if (!image || image.picture().channels < 3)
                throw Failure("the host has no picture at " + std::to_string(std::lround(when)), image.trouble());
            const Box& size = image.picture().bounds;
            lease->reserve(2,
                           sizeof(float) * 3 * static_cast<size_t>(size.width()) * static_cast<size_t>(size.height()),
                           short_wait);
            lease->held()[1] = {};
            // Light becomes BT.709: a model lives in a picture that looks even, and its file says so.
            Coding coding;
            if (is_linear(now.footage, image.picture(), colourspace)) coding.from_light = Transfer::bt709;
            take(image.picture(), coding, lease->slot(1));
            lease->ask(
                wire::Type::fit_frame,
                wire::fit_frame(job, std::llround(when) - now.first_frame, static_cast<uint32_t>(size.width()),
                                static_cast<uint32_t>(size.height()), fps, Connection::surface, lease->offset(1)),
                wire::Type::done, short_wait);
        }
        lease->ask(wire::Type::fit_start, wire::job(job), wire::Type::done, short_wait);
    } catch (...) {
        cancel_fit();
        throw;
    }
}

bool Effect::follow_fit(bool wait) {
    uint64_t job;
    std::string device;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        job = job_, device = job_device_;
        if (job == 0) return true;
    }
    const auto ended = [&](const std::string& status) {
        const std::lock_guard<std::mutex> lock(mutex_);
        job_ = 0;
        status_ = status;
        return true;
    };
    std::unique_ptr<Progress> bar;
    if (wait) bar = std::make_unique<Progress>(handle_, "Fitting a model to the clip");
    double share = 0;
    // A worker that is busy, or hangs, keeps neither the bar from being cancelled nor a frame from being aborted.
    const Patience patience{seconds(60),
                            [&] { return bar != nullptr ? !bar->goes_on(share) : host().image().abort(handle_) != 0; }};
    Worker& worker = Worker::of(device);
    for (;;) {
        int64_t process = -1;
        try {
            Lease lease = worker.lease(key_, patience);
            process = lease->worker_process();
            const auto payload = lease->ask(wire::Type::fit_status, wire::job(job), wire::Type::fit_state, patience);
            const wire::FitState state{wire::Reader(payload)};
            switch (state.state) {
                case wire::FitStage::done: {
                    worker.forget_models();
                    {
                        const std::lock_guard<std::mutex> lock(mutex_);
                        fitted_model_ = state.model;
                    }
                    return ended("Fitted: " + state.model);
                }
                case wire::FitStage::failed:
                    ended("The fit failed: " + state.message);
                    if (wait) throw Failure("the fit failed: " + state.message);
                    return true;
                case wire::FitStage::cancelled: return ended("The fit was cancelled");
                case wire::FitStage::waits:
                case wire::FitStage::runs: break;
            }
            say("Fitting: " + state.stage + ", " + std::to_string(std::lround(state.share * 100)) + " %");
            if (!wait) return false;
            share = state.share;
            patience.check();
        } catch (const Aborted&) {
            if (!wait) throw;
            cancel_fit();
            return true;
        } catch (const Refused& error) {  // another worker, which knows nothing of it
            ended("The fit was lost: " + error.whole());
            if (wait) throw Failure("the fit was lost: " + error.whole());
            return true;
        } catch (const Lost& error) {
            worker.died(process, error.whole());
            ended("The fit was lost: " + error.whole());
            if (wait) throw Failure("the fit was lost: " + error.whole());
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
}

void Effect::cancel_fit() {
    uint64_t job;
    std::string device;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        job = job_, device = job_device_;
        job_ = 0;
        status_ = job == 0 ? "No fit runs" : "The fit was cancelled";
    }
    if (job == 0) return;
    try {
        Lease lease = Worker::of(device).lease(key_, short_wait);
        lease->ask(wire::Type::fit_cancel, wire::job(job), wire::Type::done, short_wait);
    } catch (const Failure& error) {
        Worker::of(device).log(error.whole());
    }
}

}  // namespace bridge
