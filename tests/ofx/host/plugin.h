// SPDX-License-Identifier: Apache-2.0
// A plug-in's binary and the actions that it is sent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "effect.h"

namespace host {

struct RenderOptions {
    bool interactive = true;
    int abort_after_ms = -1;
    bool part = false;  // only `window`, relative to the picture's corner
    ofx::RectI window{};
};

// What became of a frame.
struct Outcome {
    ofx::Status status = ofx::stat_failed;
    bool identity = false;
    double identity_time = 0;
    std::vector<double> needed;  // first, last, first, last, ...
    int blank = 0;               // pixels in the window that nobody wrote to
    double ms = 0;               // of Render, without what this host itself took
    Packed picture;
    Message message;
};

class PlugIn {
public:
    PlugIn(std::string path, const Setting& setting);
    ~PlugIn();

    // Load to DescribeInContext; throws std::runtime_error.
    void load();
    void unload();
    const Effect& described() const { return *described_; }
    std::string identifier() const { return plugin_->pluginIdentifier; }

    std::unique_ptr<Instance> create(Footage& footage, Record& record);
    void destroy(std::unique_ptr<Instance> instance, Record& record);
    Outcome render(Instance& instance, double time, const RenderOptions& options, Record& record);
    ofx::Status changed(Instance& instance, const std::string& name, const char* reason, double time, Record& record);
    void purge(Record& record);

private:
    std::unique_ptr<Effect> describe(Record& record);  // from setHost on
    ofx::Status act(const char* action, Effect* effect, Properties* in, Properties* out, Record& record,
                    Frame* frame = nullptr);
    void preferences(Instance& instance, Record& record);

    const std::string path_;
    const Setting& setting_;
    void* library_ = nullptr;
    ofx::Plugin* plugin_ = nullptr;
    Properties host_properties_;
    ofx::Host host_{};
    std::unique_ptr<Effect> described_;
};

}  // namespace host
