// SPDX-License-Identifier: Apache-2.0
// One instance of the effect: its controls' handles, and the little that it remembers from frame to frame.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "host.h"
#include "params.h"
#include "worker_client.h"

namespace bridge {

// The controls' values for one moment.
struct Chosen {
    double strength = 1;
    bool protect = true;
    Footage footage = Footage::automatic;
    View view = View::result;
    std::string device = "auto", preset = "standard";
    bool background = false;
    int first_frame = 0;
    std::string model, clip;  // absolute paths, or ""

    bool leaves_all_alone() const { return strength <= 0 && view == View::result; }
};

class Effect {
public:
    explicit Effect(ofx::Effect handle);

    Chosen chosen(double time) const;
    ofx::Effect handle() const { return handle_; }
    ofx::Clip source() const { return source_; }
    ofx::Clip output() const { return output_; }
    uint64_t key() const { return key_; }
    int64_t frame_at(double time, const Chosen& chosen, ofx::PropertySet in) const;

    ofx::Status render(ofx::PropertySet in);
    bool is_identity(double time) const;
    void name_frames(double time, ofx::PropertySet out);  // GetFramesNeeded
    void changed(const std::string& name, bool by_user, double time);

private:
    void make(ofx::PropertySet in, const Image& source, const Image& output, Box window, const Chosen& chosen,
              bool interactive);
    std::string told(const wire::Rendered& done, const wire::ModelInfo& info, const std::string& engine,
                     const std::string& remark);                  // the frame's note, shown where it is worth it
    void say(const std::string& status);                          // for the status line, at the next chance
    void complain(const char* type, const std::string& message);  // and as a persistent message
    void content();                                               // takes the message back
    void settle();                                                // makes the host show what is to be said
    void fit(double time);
    void fit_by_path(const Chosen& chosen);
    void fit_from_host(const Chosen& chosen);
    bool follow_fit(bool wait);  // true when it has ended
    void cancel_fit();
    void show_status();  // only in InstanceChanged: some hosts refuse it elsewhere
    void set_text(const char* name, const std::string& value);

    const ofx::Effect handle_;
    ofx::PropertySet properties_ = nullptr;
    ofx::Clip source_ = nullptr, output_ = nullptr;
    ofx::PropertySet source_properties_ = nullptr;
    std::map<std::string, ofx::Param> params_;
    const uint64_t key_;

    mutable std::mutex mutex_;  // over what follows: hosts render an instance in several threads
    std::string status_, fitted_model_;
    struct Message {
        const char* type = nullptr;
        std::string text;  // "" none
    };
    Message wanted_;
    std::string shown_;
    bool telling_ = false;  // a thread is about to make `shown_` what is wanted
    uint64_t job_ = 0;
    std::string job_device_;
};

}  // namespace bridge
