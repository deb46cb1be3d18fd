// SPDX-License-Identifier: Apache-2.0
// One frame: from the host to the worker and back. The way without an engine is part of it: the source is shown while
// somebody works on it, and a final frame fails.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <optional>

#include "colour.h"
#include "effect.h"
#include "frames.h"

namespace bridge {
namespace {

using std::chrono::seconds;

constexpr const char* routes[] = {"no sharp references", "references from the clip's file", "references from the host",
                                  "references kept with the model"};

// The host's pixels per pixel of the clip; a clip that was fitted into another shape keeps its smaller ratio.
double scale_of(const wire::ModelInfo& info, const Box& bounds) {
    if (info.width == 0 || info.height == 0) return 0;
    return std::min(bounds.width() / static_cast<double>(info.width),
                    bounds.height() / static_cast<double>(info.height));
}

std::string in_ms(Clock::duration time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", std::chrono::duration<double, std::milli>(time).count());
    return text;
}

}  // namespace

ofx::Status Effect::render(ofx::PropertySet in) {
    const double time = host().number(in, ofx::prop_time).value_or(0);
    const Image output(output_, time);
    if (!output) return ofx::stat_failed;
    const Box window = host().box(in, ofx::prop_render_window).value_or(output.picture().bounds);
    const Image source(source_, time);
    if (!source) {
        clear(output.picture(), window);
        complain(ofx::message_error, "Deblur: no source picture: " + source.trouble());
        return ofx::stat_failed;
    }
    const Chosen now = chosen(time);
    if (now.leaves_all_alone() || source.picture().channels < 3 || output.picture().channels < 3) {
        pass(source.picture(), output.picture(), window);
        content();
        return ofx::stat_ok;
    }
    const bool interactive = host().whole(in, ofx::prop_interactive).value_or(0) != 0;
    std::string why;
    try {
        try {
            make(in, source, output, window, now, interactive);
        } catch (const Lost& error) {
            if (interactive) throw;
            // Once more with another worker: there are hosts that ignore the status, and a frame is lost for good
            // there.
            Worker::of(now.device).log("frame at " + std::to_string(time) + " is tried again: " + error.whole());
            make(in, source, output, window, now, interactive);
        }
        return ofx::stat_ok;
    } catch (const Aborted&) {
        pass(source.picture(), output.picture(), window);
        return ofx::stat_ok;
    } catch (const Failure& error) {
        why = error.whole();
    } catch (const std::exception& error) {
        why = error.what();
    }
    // Before anything else: there are hosts that show what is there, whatever the status.
    pass(source.picture(), output.picture(), window);
    // A film that is blurred in places must not be taken for a finished one.
    if (!interactive && host().deaf()) strike(output.picture(), window);
    Worker::of(now.device).log("frame at " + std::to_string(time) + ": " + why);
    complain(interactive ? ofx::message_warning : ofx::message_error,
             (interactive ? "Deblur shows the source: " : "Deblur failed: ") + why);
    return interactive ? ofx::stat_ok : ofx::stat_failed;
}

void Effect::make(ofx::PropertySet in, const Image& source, const Image& output, Box window, const Chosen& now,
                  bool interactive) {
    try {
        follow_fit(false);
    } catch (const NoEngine&) {  // the fit's; the frame asks for its own, and may wait for it
    }
    if (now.model.empty() && now.clip.empty())
        throw Failure("no model", "choose the clip's .deblur.onnx, or name the source clip and press Fit");
    const double time = host().number(in, ofx::prop_time).value_or(0);
    // There are hosts that go on after a final frame that failed: those that follow wait out a pause that is short.
    const Patience patience{interactive ? seconds(60) : seconds(600),
                            [this] { return host().image().abort(handle_) != 0; },
                            interactive ? seconds(0) : seconds(5)};
    Worker& worker = Worker::of(now.device);
    Lease lease = worker.lease(key_, patience);
    const int64_t process = lease->worker_process();
    try {
        const wire::ModelInfo info = worker.model(*lease, now.model, now.clip, patience);
        const std::string colourspace = host().text(source_properties_, ofx::clip_colourspace);
        const bool linear = is_linear(now.footage, source.picture(), colourspace);
        const Coding coding{linear ? curve_of(info.curve) : Transfer::none};
        const Show show = now.view == View::split        ? Show::split
                          : now.view == View::difference ? Show::difference
                          : now.view == View::map        ? Show::map
                                                         : Show::result;
        const int64_t frame = frame_at(time, now, in);
        const Box& bounds = source.picture().bounds;
        const auto begun = Clock::now();
        wire::Render request;
        request.model = now.model, request.clip = now.clip;
        request.frame = frame;
        request.width = static_cast<uint32_t>(bounds.width()), request.height = static_cast<uint32_t>(bounds.height());
        request.strength = static_cast<float>(now.strength);
        request.flags = (now.protect ? wire::render_protect : 0) | (interactive ? wire::render_interactive : 0);
        request.view = now.view == View::map ? 1 : 0;
        request.scale = scale_of(info, bounds);
        const auto ask = [&] {
            const auto payload = lease->ask(wire::Type::render, wire::render(request), wire::Type::rendered, patience);
            return wire::Rendered(wire::Reader(payload));
        };
        // Most frames of most clips are sharp: then no picture has to travel.
        std::optional<wire::Rendered> done;
        if (now.protect && (show == Show::result || show == Show::split)) done = ask();
        const auto foretold = Clock::now();
        auto copied_in = foretold, answered = foretold;
        bool unchanged = done && (done->flags & wire::rendered_unchanged) != 0;
        if (unchanged) {
            pass(source.picture(), output.picture(), window);
        } else {
            const auto frames = frames_needed(*lease, info, now.model, now.clip, frame, patience);
            const auto first = host().number(source_properties_, ofx::prop_frame_range, 0);
            const auto last = host().number(source_properties_, ofx::prop_frame_range, 1);
            const Fetch fetch = [&](int64_t number, const std::function<void(const Image&)>& use) {
                const double when = time + static_cast<double>(number - frame);
                // Beyond the ends some hosts repeat the last picture, which is not the one that was asked for.
                if (first && last && *first <= *last && (when < *first || when > *last)) return;
                const Image image(source_, when);
                if (image) use(image);
            };
            request.pictures = bring(*lease, frames, frame, source, coding, std::to_string(key_), fetch, patience);
            request.out_surface = Connection::surface, request.out_offset = lease->offset(0);
            copied_in = Clock::now();
            done = ask();
            answered = Clock::now();
            unchanged = (done->flags & wire::rendered_unchanged) != 0;
            const auto own = std::find_if(request.pictures.begin(), request.pictures.end(),
                                          [&](const wire::Place& place) { return place.frame == frame; });
            if (own == request.pictures.end()) throw Failure("the frame itself did not reach the engine", "");
            const auto slot = static_cast<size_t>(own->offset / lease->offset(1));
            const float* sent = lease->slot(slot);
            if (unchanged && show != Show::difference) {
                pass(source.picture(), output.picture(), window);
            } else {
                give(unchanged ? sent : lease->slot(0), sent, lease->held()[slot].taken, source.picture(), coding, show,
                     output.picture(), window);
            }
        }
        worker.worked();
        if (!interactive && (done->flags & wire::rendered_forsaken) != 0)
            throw Failure(done->note.empty() ? "the clip cannot be read" : done->note);
        std::string status = "Frame " + std::to_string(frame) + ": ";
        status += unchanged
                      ? "nothing to deblur"
                      : (done->references > 0 ? std::to_string(done->references) + " " : "") + routes[done->route];
        status += ", on " + lease->welcome().device + " in " + in_ms(copied_in - foretold) + " + " +
                  in_ms(answered - copied_in + (foretold - begun)) + " + " + in_ms(Clock::now() - answered) +
                  " ms (copied in, engine, copied out), of which aligned " +
                  in_ms(std::chrono::microseconds(done->aligned_us)) + ", restored " +
                  in_ms(std::chrono::microseconds(done->restored_us));
        const std::string note = told(*done, info, lease->welcome().engine, mismatch(now.footage, linear, info.curve));
        say(note.empty() ? status : status + ". " + note);
    } catch (const Lost& error) {
        lease.drop();
        worker.died(process, error.whole());
        throw;
    } catch (const wire::Malformed& error) {
        lease.drop();
        worker.died(process, error.what());
        throw Lost(std::string("the engine sent what is no message: ") + error.what());
    }
}

std::string Effect::told(const wire::Rendered& done, const wire::ModelInfo& info, const std::string& engine,
                         const std::string& remark) {
    std::string note;
    const auto add = [&](const std::string& text) {
        if (!text.empty()) note += (note.empty() ? "" : "; ") + text;
    };
    add(remark);
    add(done.note.empty() ? info.note : done.note);
    if (engine != DEBLUR_VERSION)
        add("the engine is of version " + engine + ", the plug-in of " + DEBLUR_VERSION +
            ": run deblur-engine plugin install");
    if (!remark.empty() || engine != DEBLUR_VERSION ||
        ((done.flags & wire::rendered_noteworthy) != 0 && !note.empty())) {
        complain(ofx::message_warning, "Deblur: " + note);
    } else {
        content();
    }
    return note;
}

}  // namespace bridge
