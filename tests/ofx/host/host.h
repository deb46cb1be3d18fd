// SPDX-License-Identifier: Apache-2.0
// A host for one effect on one clip that lies in a file. It has no manners of its own: those of other hosts, good and
// bad, are switched on one by one.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "openfx_api.h"

namespace testhost {

struct Manners {
    std::string name = "org.deblur-engine.testhost";
    bool temporal = true;             // other frames than the current one can be had
    bool answers_current = false;     // whatever frame is asked for, the current one comes, with status OK
    bool holds_ends = false;          // beyond the ends the last frame comes
    bool null_neighbours = false;     // status OK, and no picture
    bool failing_neighbours = false;  // status failed
    bool per_frame_instance = false;
    bool negative_rows = false;
    int padding = 0;
    int origin_x = 0, origin_y = 0;
    bool calls_bytes_float = false;  // labels what it sends as float, whatever it is
    bool no_message = false, no_progress = false, no_persistent = false;
    bool strings_break = false;   // every parameter defined after a string is lost
    bool refuses_set = true;      // paramSetValue outside InstanceChanged fails
    bool no_frame_range = false;  // the clip does not say where it begins
    bool no_identifiers = false;
    bool no_source = false;
    std::string source_path;  // as Resolve tells it
    int source_frame = -1;    // as Resolve tells it; -1: it does not
    std::string colourspace;
    int cancel_after = -1;  // progress updates until somebody presses cancel
};
// Switches on what a host does: mlt, natron, hostdemo, runner, resolve, nuke. False for another name.
bool play(Manners& manners, const std::string& name);

struct Props {
    using Value = std::variant<int, double, std::string, void*>;
    std::map<std::string, std::vector<Value>> values;
    mutable std::mutex mutex;
    template <class T>
    void set(const std::string& name, T value, size_t index = 0) {
        const std::lock_guard<std::mutex> lock(mutex);
        auto& list = values[name];
        if (list.size() <= index) list.resize(index + 1);
        list[index] = value;
    }
    ofx::PropertySet handle() { return reinterpret_cast<ofx::PropertySet>(this); }
};

struct ParamObject {
    Props props;
    std::string type;
    std::variant<int, double, std::string> value;
    std::mutex mutex;
    std::string shown;  // what paramGetValue hands out lives here
};

struct EffectObject;
struct ClipObject {
    Props props;
    EffectObject* effect = nullptr;
    bool is_output = false;
};

// A picture as it lies in memory: with guards around it that nobody may write to.
struct ImageObject : Props {
    std::vector<uint8_t> memory;
    uint8_t* origin = nullptr;  // of the bottom row
    ptrdiff_t row_bytes = 0;
    bool guards_hold(size_t used_row) const;
};

struct EffectObject {
    Props props, param_set;
    std::map<std::string, std::unique_ptr<ParamObject>> params;
    std::vector<std::string> order;
    std::map<std::string, std::unique_ptr<ClipObject>> clips;
    bool lost_params = false;
    std::atomic<bool> changing{false};
    std::mutex mutex;  // over what follows
    std::string message, message_type;
    std::vector<std::string> messages;
    double current = 0;
};

// The clip: frames [N, H, W, channels], top row first.
struct Footage {
    int width = 0, height = 0, frames = 0, channels = 4;
    std::string depth = "float";  // byte, short, half, float
    bool premultiplied = false;
    int first = 0;  // the time of the first frame
    std::vector<uint8_t> bytes;
    size_t sample() const { return depth == "byte" ? 1 : depth == "float" ? 4 : 2; }
    size_t row() const { return static_cast<size_t>(width) * static_cast<size_t>(channels) * sample(); }
    size_t frame() const { return row() * static_cast<size_t>(height); }
};

struct World {
    Manners manners;
    Footage footage;
    std::atomic<int> abort_after{-1};  // calls of abort until it says yes; -1 never
    std::atomic<int> images_out{0};    // pictures that were lent and did not come back
    std::atomic<int> sets_refused{0}, fetched{0};
    std::atomic<int> progress_updates{0};
    std::mutex mutex;
    std::map<const void*, std::vector<double>> shares;
};
World& world();

std::unique_ptr<ImageObject> make_image(const uint8_t* frame);  // null: of a pattern, for output
void read_image(const ImageObject& image, uint8_t* to);

const ofx::Host* host();
extern thread_local ImageObject* current_output;

int run_commands(const std::string& plugin, const std::vector<std::string>& commands, const std::string& out);

}  // namespace testhost
