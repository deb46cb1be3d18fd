// SPDX-License-Identifier: Apache-2.0
// What a host does to an effect, in words:
//   set:NAME=VALUE       a control is set by the user (a choice by its place)
//   get:NAME             its value
//   press:NAME           a button
//   render:T  preview:T  a final or an interactive frame, written to --out
//   window:X1,Y1,X2,Y2   of the renders that follow
//   abort:N              the host wants the frame no longer after N looks; -1 never
//   needed:T  identity:T the actions of these names
//   threads:N:A-B        frames A to B by N threads on the one instance
//   instances:N:A-B      the same by N instances, each in its thread
//   repeat:N:A-B         N rounds over frames A to B in one thread, timed; nothing is written
//   reload               the binary is unloaded and loaded again, with a new instance
//   rss                  resident KiB of this process
//   sleep:SECONDS  purge  describe
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "host.h"

namespace testhost {

void set_changing(EffectObject* effect);

namespace {

using Clock = std::chrono::steady_clock;

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        char code[8];
        if (c == '"' || c == '\\') {
            out += '\\', out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            std::snprintf(code, sizeof code, "\\u%04x", c);
            out += code;
        } else {
            out += c;
        }
    }
    return out + '"';
}

class Stage {
public:
    Stage(std::string path, const std::string& out) : path_(std::move(path)), out_(out, std::ios::binary) {}

    bool open() {
        binary_ = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (binary_ == nullptr) {
            std::fprintf(stderr, "%s\n", dlerror());
            return false;
        }
        const auto count = reinterpret_cast<int (*)()>(dlsym(binary_, "OfxGetNumberOfPlugins"));
        const auto get = reinterpret_cast<ofx::Plugin* (*)(int)>(dlsym(binary_, "OfxGetPlugin"));
        if (count == nullptr || get == nullptr || count() != 1 || get(1) != nullptr) return false;
        plugin_ = get(0);
        plugin_->setHost(const_cast<ofx::Host*>(host()));
        if (call(ofx::action_load, nullptr, nullptr, nullptr) != ofx::stat_ok) return false;
        descriptor_ = std::make_unique<EffectObject>();
        if (call(ofx::action_describe, descriptor_.get(), nullptr, nullptr) != ofx::stat_ok) return false;
        Props context;
        context.set(ofx::prop_context, std::string(ofx::context_filter));
        if (call(ofx::action_describe_in_context, descriptor_.get(), &context, nullptr) != ofx::stat_ok) return false;
        main_ = create();
        return main_ != nullptr;
    }

    void close() {
        destroy(std::move(main_));
        call(ofx::action_unload, nullptr, nullptr, nullptr);
        descriptor_.reset();
        dlclose(binary_);
    }

    bool act(const std::string& command);

private:
    ofx::Status call(const char* action, EffectObject* on, Props* in, Props* out) {
        return plugin_->mainEntry(action, on, in ? in->handle() : nullptr, out ? out->handle() : nullptr);
    }

    // An instance is what was described, with values; those that the user set go over to every new one.
    std::unique_ptr<EffectObject> create() {
        auto effect = std::make_unique<EffectObject>();
        const Manners& m = world().manners;
        const Footage& f = world().footage;
        effect->props.set(ofx::prop_type, std::string(ofx::type_instance));
        effect->props.set(ofx::prop_context, std::string(ofx::context_filter));
        if (!m.source_path.empty()) effect->props.set(ofx::resolve_file_path, m.source_path);
        for (const auto& [name, clip] : descriptor_->clips) {
            auto& copy = effect->clips[name];
            copy = std::make_unique<ClipObject>();
            copy->effect = effect.get();
            copy->is_output = clip->is_output;
            copy->props.set(ofx::clip_connected, 1);
            if (!m.colourspace.empty()) copy->props.set(ofx::clip_colourspace, m.colourspace);
            if (m.no_frame_range) continue;
            copy->props.set(ofx::prop_frame_range, double(f.first), 0);
            copy->props.set(ofx::prop_frame_range, double(f.first + f.frames - 1), 1);
            copy->props.set(ofx::prop_frame_rate, 25.0);
        }
        for (const auto& [name, param] : descriptor_->params) {
            auto& copy = effect->params[name];
            copy = std::make_unique<ParamObject>();
            copy->type = param->type;
            copy->value = start_value(*param);
            const auto set = set_.find(name);
            if (set != set_.end()) assign(*copy, set->second);
        }
        const ofx::Status status = call(ofx::action_create_instance, effect.get(), nullptr, nullptr);
        if (status != ofx::stat_ok && status != ofx::stat_reply_default) return nullptr;
        return effect;
    }

    void destroy(std::unique_ptr<EffectObject> effect) {
        if (effect) call(ofx::action_destroy_instance, effect.get(), nullptr, nullptr);
    }

    static std::variant<int, double, std::string> start_value(const ParamObject& param) {
        const auto found = param.props.values.find(ofx::param_default);
        if (param.type == ofx::param_double)
            return found == param.props.values.end() ? 0.0 : std::get<double>(found->second[0]);
        if (param.type == ofx::param_string) return std::string();
        return found == param.props.values.end() ? 0 : std::get<int>(found->second[0]);
    }
    static void assign(ParamObject& param, const std::string& text) {
        const std::lock_guard<std::mutex> lock(param.mutex);
        if (param.type == ofx::param_double)
            param.value = std::atof(text.c_str());
        else if (param.type == ofx::param_string)
            param.value = text;
        else
            param.value = std::atoi(text.c_str());
    }

    void changed(const std::string& name) {
        Props in;
        in.set(ofx::prop_type, std::string(ofx::type_parameter));
        in.set(ofx::prop_name, name);
        in.set(ofx::prop_change_reason, std::string(ofx::change_user_edited));
        in.set(ofx::prop_time, main_->current);
        main_->changing = true;
        set_changing(main_.get());
        call(ofx::action_instance_changed, main_.get(), &in, nullptr);
        set_changing(nullptr);
        main_->changing = false;
    }

    struct Frame {
        ofx::Status status = ofx::stat_failed;
        std::vector<uint8_t> bytes;
        bool guards = false;
    };
    Frame render(EffectObject& effect, double time, bool interactive, bool keep = true) {
        const Footage& f = world().footage;
        const Manners& m = world().manners;
        const auto image = make_image(nullptr);
        Props in;
        in.set(ofx::prop_time, time);
        const int whole[] = {m.origin_x, m.origin_y, m.origin_x + f.width, m.origin_y + f.height};
        for (size_t i = 0; i < 4; ++i) in.set(ofx::prop_render_window, window_.empty() ? whole[i] : window_[i], i);
        in.set(ofx::prop_render_scale, 1.0, 0), in.set(ofx::prop_render_scale, 1.0, 1);
        in.set(ofx::prop_interactive, interactive ? 1 : 0);
        if (m.source_frame >= 0) in.set(ofx::resolve_frame, m.source_frame);
        {
            const std::lock_guard<std::mutex> lock(effect.mutex);
            effect.current = time;
        }
        current_output = image.get();
        Frame frame;
        frame.status = call(ofx::action_render, &effect, &in, nullptr);
        current_output = nullptr;
        frame.guards = image->guards_hold(f.row());
        if (keep) {
            frame.bytes.resize(f.frame());
            read_image(*image, frame.bytes.data());
        }
        return frame;
    }
    void write(const Frame& frame) {
        out_.write(reinterpret_cast<const char*>(frame.bytes.data()), static_cast<std::streamsize>(frame.bytes.size()));
        out_.flush();
    }

    void tell(const std::string& command, ofx::Status status, double ms, const std::string& more = "") {
        std::string message, type, all;
        if (main_) {
            const std::lock_guard<std::mutex> lock(main_->mutex);
            message = main_->message, type = main_->message_type;
            for (const auto& each : main_->messages) all += (all.empty() ? "" : ", ") + quoted(each);
            main_->messages.clear();
        }
        std::printf(
            "{\"do\": %s, \"status\": %d, \"ms\": %.3f, \"message\": %s, \"type\": %s, \"messages\": [%s], "
            "\"images_out\": %d, \"sets_refused\": %d, \"fetched\": %d, \"progress\": %d%s}\n",
            quoted(command).c_str(), status, ms, quoted(message).c_str(), quoted(type).c_str(), all.c_str(),
            world().images_out.load(), world().sets_refused.load(), world().fetched.load(),
            world().progress_updates.load(), more.c_str());
        std::fflush(stdout);
    }

    void in_threads(const std::string& command, int count, int first, int last, bool own_instances);

    const std::string path_;
    std::ofstream out_;
    void* binary_ = nullptr;
    ofx::Plugin* plugin_ = nullptr;
    std::unique_ptr<EffectObject> descriptor_, main_;
    std::map<std::string, std::string> set_;
    std::vector<int> window_;
};

void Stage::in_threads(const std::string& command, int count, int first, int last, bool own_instances) {
    std::vector<Frame> frames(static_cast<size_t>(last - first + 1));
    std::atomic<int> next{first};
    std::atomic<int> failures{0}, spoiled{0};
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<EffectObject>> instances;
    for (int i = 0; own_instances && i < count; ++i) instances.push_back(create());
    const auto start = Clock::now();
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            for (int t = own_instances ? first : next++; t <= last; t = own_instances ? t + 1 : next++) {
                Frame frame = render(own_instances ? *instances[static_cast<size_t>(i)] : *main_, t, false);
                failures += frame.status != ofx::stat_ok;
                spoiled += !frame.guards;
                if (!own_instances || i == 0) frames[static_cast<size_t>(t - first)] = std::move(frame);
            }
        });
    for (auto& thread : threads) thread.join();
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    for (auto& instance : instances) destroy(std::move(instance));
    for (const auto& frame : frames) write(frame);
    tell(command, failures > 0 ? ofx::stat_failed : ofx::stat_ok, ms,
         std::string(", \"guards\": ") + (spoiled > 0 ? "false" : "true"));
}

bool Stage::act(const std::string& command) {
    const size_t colon = command.find(':');
    const std::string verb = command.substr(0, colon);
    const std::string rest = colon == std::string::npos ? "" : command.substr(colon + 1);
    const auto start = Clock::now();
    const auto ms = [&] { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); };
    int a = 0, b = 0, c = 0;
    if (verb == "render" || verb == "preview") {
        const double time = std::atof(rest.c_str());
        std::unique_ptr<EffectObject> once;
        if (world().manners.per_frame_instance) once = create();
        EffectObject& effect = once ? *once : *main_;
        const Frame frame = render(effect, time, verb == "preview");
        const double took = ms();
        if (once) {
            main_->message = once->message, main_->message_type = once->message_type;
            destroy(std::move(once));
        }
        write(frame);
        tell(command, frame.status, took, std::string(", \"guards\": ") + (frame.guards ? "true" : "false"));
    } else if (verb == "set") {
        const size_t equals = rest.find('=');
        const std::string name = rest.substr(0, equals);
        const auto found = main_->params.find(name);
        if (found == main_->params.end()) {
            tell(command, ofx::stat_err_unknown, ms());
            return true;
        }
        set_[name] = rest.substr(equals + 1);
        assign(*found->second, set_[name]);
        changed(name);
        tell(command, ofx::stat_ok, ms());
    } else if (verb == "get") {
        const auto found = main_->params.find(rest);
        std::string value = "null";
        if (found != main_->params.end()) {
            if (auto* number = std::get_if<double>(&found->second->value)) value = std::to_string(*number);
            if (auto* whole = std::get_if<int>(&found->second->value)) value = std::to_string(*whole);
            if (auto* text = std::get_if<std::string>(&found->second->value)) value = quoted(*text);
        }
        tell(command, ofx::stat_ok, ms(), ", \"value\": " + value);
    } else if (verb == "press") {
        changed(rest);
        tell(command, ofx::stat_ok, ms());
    } else if (verb == "window") {
        window_.assign(4, 0);
        if (std::sscanf(rest.c_str(), "%d,%d,%d,%d", &window_[0], &window_[1], &window_[2], &window_[3]) != 4)
            window_.clear();
    } else if (verb == "abort") {
        world().abort_after = std::atoi(rest.c_str());
    } else if (verb == "needed") {
        Props in, out;
        in.set(ofx::prop_time, std::atof(rest.c_str()));
        main_->current = std::atof(rest.c_str());
        const ofx::Status status = call(ofx::action_frames_needed, main_.get(), &in, &out);
        std::string list;
        for (const auto& value : out.values[ofx::frame_range_of_source])
            list += (list.empty() ? "" : ", ") + std::to_string(std::get<double>(value));
        tell(command, status, ms(), ", \"value\": [" + list + "]");
    } else if (verb == "identity") {
        Props in, out;
        in.set(ofx::prop_time, std::atof(rest.c_str()));
        tell(command, call(ofx::action_is_identity, main_.get(), &in, &out), ms());
    } else if ((verb == "threads" || verb == "instances") && std::sscanf(rest.c_str(), "%d:%d-%d", &a, &b, &c) == 3) {
        in_threads(command, a, b, c, verb == "instances");
    } else if (verb == "repeat" && std::sscanf(rest.c_str(), "%d:%d-%d", &a, &b, &c) == 3) {
        std::string list;
        int failures = 0;
        for (int i = 0; i < a; ++i)
            for (int t = b; t <= c; ++t) {
                const auto begun = Clock::now();
                failures += render(*main_, t, false, false).status != ofx::stat_ok;
                list += (list.empty() ? "" : ", ") +
                        std::to_string(std::chrono::duration<double, std::milli>(Clock::now() - begun).count());
            }
        tell(command, failures, ms(), ", \"value\": [" + list + "]");
    } else if (verb == "reload") {
        close();
        if (!open()) return false;
        tell(command, ofx::stat_ok, ms());
    } else if (verb == "purge") {
        tell(command, call(ofx::action_purge_caches, main_.get(), nullptr, nullptr), ms());
    } else if (verb == "describe") {
        std::string list;
        for (const auto& name : descriptor_->order) {
            const auto& values = descriptor_->params[name]->props.values;
            list += (list.empty() ? "" : ", ") + quoted(name);
            (void)values;
        }
        tell(command, ofx::stat_ok, ms(), ", \"value\": [" + list + "]");
    } else if (verb == "rss") {
        std::ifstream status("/proc/self/status");
        std::string line, value = "0";
        while (std::getline(status, line))
            if (line.rfind("VmRSS:", 0) == 0) value = std::to_string(std::atol(line.c_str() + 6));
        tell(command, ofx::stat_ok, ms(), ", \"value\": " + value);
    } else if (verb == "sleep") {
        std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(rest.c_str())));
    } else {
        std::fprintf(stderr, "unknown command: %s\n", command.c_str());
        return false;
    }
    return true;
}

}  // namespace

int run_commands(const std::string& plugin, const std::vector<std::string>& commands, const std::string& out) {
    Stage stage(plugin, out);
    if (!stage.open()) return 3;
    for (const auto& command : commands)
        if (!stage.act(command)) return 2;
    stage.close();
    std::printf("{\"do\": \"end\", \"status\": 0, \"images_out\": %d}\n", world().images_out.load());
    return 0;
}

}  // namespace testhost
