// SPDX-License-Identifier: Apache-2.0
// Effects as a host keeps them: described once, then instances with clips, parameters and messages. And the suites that
// are about them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "parameters.h"
#include "pictures.h"
#include "record.h"

namespace host {

// What the command line says about the clip and how it is shown.
struct Setting {
    Manner manner;
    Footage footage;
    int first = 0, last = -1;  // the clip's frames on the time line
    double fps = 25, scale = 1;
    bool premultiplied = false, checks = true;
    std::string source_file;  // as a host of the manner of Resolve tells it
    int source_first = 0;     // the file's frame at time 0
};

struct Instance;

struct Clip {
    std::string name;
    Properties properties;
    Instance* owner = nullptr;
    ofx::Clip handle() { return reinterpret_cast<ofx::Clip>(this); }
};

// A descriptor or an instance: both are an effect to the plug-in.
struct Effect {
    Effect(const Setting& setting, std::string what);
    Effect(const Effect& described);
    virtual ~Effect();
    ofx::Effect handle() { return reinterpret_cast<ofx::Effect>(this); }
    static Effect* of(const void* handle);

    const Setting& setting;
    Properties properties;
    Parameters parameters;
    std::map<std::string, std::unique_ptr<Clip>> clips;
};

struct Message {
    std::string type, text;
    bool there = false;
};

struct Instance : Effect {
    Instance(const Effect& described, Footage& footage);
    Footage& footage;
    bool created = false;            // the plug-in said so
    std::atomic<int> cancel_at{-1};  // the number of updates of a progress bar after which it is cancelled

    Message message() const;
    void set_message(Message message);

private:
    mutable std::mutex mutex_;
    Message message_;
};

// A frame while it is rendered.
struct Frame {
    double time = 0;
    Format format;
    std::shared_ptr<Picture> source, output;
    Clock::time_point abort_at = Clock::time_point::max();
};

// Violations if pictures lent in the course of `record` were not given back.
void check_returned(const Record* record);

const ofx::ImageEffectSuite& image_effect_suite();
// What fetchSuite gives a plug-in.
const void* suite(const Manner& manner, const std::string& name, int version);

}  // namespace host
