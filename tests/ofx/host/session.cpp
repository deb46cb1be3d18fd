// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "json.h"

namespace host {
namespace {

void add_record(Object& line, const Record& record) {
    std::string fetched;
    for (const auto& [clip, time] : record.fetched)
        fetched += (fetched.empty() ? "" : ",") + ("[" + in_quotes(clip) + "," + json(time) + "]");
    line.raw("fetched", "[" + fetched + "]")
        .add("violations", record.violations)
        .add("refused", record.refused)
        .add("messages", record.messages)
        .add("aborts", record.aborts.load());
    if (record.progress_updates > 0)
        line.add("progress", record.progress).add("progress_updates", record.progress_updates);
}

std::string shown(const Message& message) {
    if (!message.there) return "null";
    return Object().add("type", message.type).add("text", message.text).text();
}

int resident_kb() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmRSS:", 0) == 0) return std::stoi(line.substr(6));
    return 0;
}

std::string values_of(const Properties& properties, const char* name) {
    std::string out;
    for (const Value& value : properties.all(name)) {
        out += out.empty() ? "" : ",";
        out += value.index() == 1   ? json(std::get<1>(value))
               : value.index() == 2 ? json(std::get<2>(value))
               : value.index() == 3 ? json(std::get<3>(value))
                                    : "null";
    }
    return "[" + out + "]";
}

}  // namespace

Session::Session(PlugIn& plugin, Setting& setting, std::string out, int instances, int threads)
    : plugin_(plugin), setting_(setting), out_(std::move(out)), threads_(threads), seats_(instances) {}

Session::~Session() { destroy(); }

void Session::create() {
    for (Seat& seat : seats_) {
        if (seat.instance) continue;
        Record record;
        // As a project does it that is opened: the values are there before the instance is.
        seat.instance = plugin_.create(setting_.footage, record);
        for (const auto& [id, value] : seat.set)
            if (Parameter* param = seat.instance->parameters.find(id)) param->assign(value);
    }
}

void Session::destroy() {
    for (Seat& seat : seats_) {
        Record record;
        if (seat.instance) plugin_.destroy(std::move(seat.instance), record);
    }
}

Instance& Session::first() {
    create();
    return *seats_.front().instance;
}

void Session::frame(size_t place, double time) {
    Seat& seat = seats_[place];
    Record record;
    std::unique_ptr<Instance> own;  // a host that makes an instance for a frame
    if (setting_.manner.per_frame_instance) {
        own = plugin_.create(setting_.footage, record);
        for (const auto& [id, value] : seat.set)
            if (Parameter* param = own->parameters.find(id)) param->assign(value);
    }
    Instance& instance = own ? *own : *seat.instance;
    const Outcome done = plugin_.render(instance, time, options, record);
    Object line;
    line.add("event", "frame").add("instance", place).add("time", time).add("status", done.status);
    line.add("identity", done.identity).add("identity_time", done.identity_time).add("needed", done.needed);
    line.add("blank", done.blank).add("ms", done.ms).raw("message", shown(done.message));
    if (own) plugin_.destroy(std::move(own), record);
    if (!out_.empty() && !done.picture.empty()) {
        const std::string path = out_ + "/frame-" + std::to_string(written_++) + ".raw";
        write_file(path, done.picture);
        line.add("out", path);
    }
    add_record(line, record);
    line.print();
}

void Session::frames(const std::vector<double>& times, bool parallel) {
    if (!setting_.manner.per_frame_instance) create();
    if (!parallel) {
        for (const double time : times) frame(0, time);
        return;
    }
    std::vector<std::pair<size_t, double>> jobs;
    for (const double time : times)
        for (size_t place = 0; place < seats_.size(); ++place) jobs.emplace_back(place, time);
    std::atomic<size_t> next{0};
    const auto work = [&] {
        for (size_t at = next++; at < jobs.size(); at = next++) frame(jobs[at].first, jobs[at].second);
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < threads_; ++i) threads.emplace_back(work);
    for (auto& thread : threads) thread.join();
}

void Session::told(const char* event, const std::string& name, ofx::Status status, const Record& record) {
    Object line;
    line.add("event", event).add("name", name).add("status", status);
    std::string values;
    for (const auto& param : first().parameters.all)
        values += (values.empty() ? "" : ",") + in_quotes(param->id) + ":" + param->shown();
    line.raw("values", "{" + values + "}").raw("message", shown(first().message()));
    add_record(line, record);
    line.print();
}

void Session::change(const std::string& id, const std::string& value, bool tell) {
    for (Seat& seat : seats_) {
        seat.set.emplace_back(id, value);
        if (!seat.instance) continue;
        Parameter* param = seat.instance->parameters.find(id);
        if (param == nullptr || param->broken) continue;
        param->assign(value);
        Record record;
        if (tell) plugin_.changed(*seat.instance, id, ofx::change_user_edited, 0, record);
    }
}

// set ID VALUE       as a user does it           load ID VALUE     as a project does it, without InstanceChanged
// key ID TIME VALUE  a key of an animation       press ID          a button
// edited ID          as if the plug-in itself had changed it
// render TIME ...    on the first instance       parallel TIME ... on all of them, in threads
// time TIME          the play head moves         interactive 0|1   the frames that follow
// abort MS           the frames that follow are aborted after so long; -1 not
// window X1 Y1 X2 Y2 or: window all              progress N        a progress bar is cancelled after N updates; -1 not
// create, destroy, purge, reload                 describe, values, memory
// file N PATH        another picture for frame N
bool Session::obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, name;
    words >> verb;
    const auto rest = [&] {
        std::string text;
        std::getline(words >> std::ws, text);
        return text;
    };
    const auto times = [&] {
        std::vector<double> all;
        for (double time; words >> time;) all.push_back(time);
        return all;
    };
    Record record;
    if (verb == "quit") return false;
    if (verb == "render" || verb == "parallel") {
        frames(times(), verb == "parallel");
    } else if (verb == "set" || verb == "load") {
        words >> name;
        change(name, rest(), verb == "set");
    } else if (verb == "key") {
        double time, value;
        if (!(words >> name >> time >> value)) throw std::invalid_argument("key ID TIME VALUE");
        create();
        for (Seat& seat : seats_) seat.instance->parameters.find(name)->keys[time] = value;
    } else if (verb == "press") {
        words >> name;
        told("press", name, plugin_.changed(first(), name, ofx::change_user_edited, 0, record), record);
    } else if (verb == "edited") {
        words >> name;
        told("edited", name, plugin_.changed(first(), name, ofx::change_plugin_edited, 0, record), record);
    } else if (verb == "time") {
        double time = 0;
        words >> time;
        told("time", "", plugin_.changed(first(), "", ofx::change_time, time, record), record);
    } else if (verb == "values") {
        told("values", "", ofx::stat_ok, record);
    } else if (verb == "interactive") {
        words >> options.interactive;
    } else if (verb == "abort") {
        words >> options.abort_after_ms;
    } else if (verb == "window") {
        ofx::RectI& w = options.window;
        options.part = static_cast<bool>(words >> w.x1 >> w.y1 >> w.x2 >> w.y2);
    } else if (verb == "progress") {
        int count = -1;
        words >> count;
        first().cancel_at = count;
    } else if (verb == "create") {
        create();
        Object().add("event", "create").add("created", first().created).print();
    } else if (verb == "destroy") {
        destroy();
    } else if (verb == "purge") {
        plugin_.purge(record);
    } else if (verb == "reload") {
        destroy();
        plugin_.unload();
        plugin_.load();
    } else if (verb == "memory") {
        Object().add("event", "memory").add("resident_kb", resident_kb()).print();
    } else if (verb == "file") {
        int number = 0;
        words >> number;
        setting_.footage.replace(number, rest());
    } else if (verb == "describe") {
        std::string params;
        for (const auto& param : plugin_.described().parameters.all) {
            const Properties& p = param->properties;
            Object about;
            about.add("id", param->id).add("type", param->type).add("label", p.text(ofx::prop_label));
            about.add("hint", p.text(ofx::param_hint));
            for (const char* each : {ofx::param_default, ofx::param_min, ofx::param_max, ofx::param_display_min,
                                     ofx::param_display_max, ofx::param_choice_option, ofx::param_animates})
                if (p.has(each)) about.raw(each, values_of(p, each));
            params += (params.empty() ? "" : ",") + about.text();
        }
        const Properties& p = plugin_.described().properties;
        Object about;
        about.add("event", "describe").add("identifier", plugin_.identifier());
        for (const char* each : {ofx::prop_label, ofx::prop_supported_contexts, ofx::prop_supported_depths,
                                 ofx::prop_tiles, ofx::prop_temporal, ofx::prop_thread_safety})
            about.raw(each, values_of(p, each));
        for (const auto& [clip, set] : plugin_.described().clips)
            about.raw(clip.c_str(), values_of(set->properties, ofx::prop_supported_components));
        about.raw("parameters", "[" + params + "]").print();
    } else if (!verb.empty()) {
        throw std::invalid_argument("no command " + verb);
    }
    return true;
}

}  // namespace host
