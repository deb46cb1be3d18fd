// SPDX-License-Identifier: Apache-2.0
// An OpenFX host for tests: loads a plug-in, plays the manners of the hosts that there are, and watches whether the
// plug-in keeps to the interface. Frames are raw files: packed, top row first. See --help.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>

#include "json.h"
#include "session.h"

namespace {

constexpr const char* help =
    "ofx_test_host PLUGIN.ofx --size WxH [options]\n"
    "  --manner NAME      plain, mlt, natron, hostdemo, runner, resolve or nuke\n"
    "  --quirk NAME       one manner more: negative-rows, padded, offset, rgb, label-float, no-suites, no-message-v2,\n"
    "                     no-progress, null-neighbours, failing-neighbours, no-temporal, no-range, no-strings, "
    "no-1.5,\n"
    "                     source-path, status-ignored, per-frame-instance\n"
    "  --depth NAME       of the files and of what the plug-in sees: byte, short, half or float\n"
    "  --frame N=FILE     the clip's picture at time N\n"
    "  --range A-B        the clip's frames on the time line; else those that there are files for\n"
    "  --fps N  --scale S (pixels of a picture per pixel of the project)  --premultiplied\n"
    "  --source-file FILE --source-first N   what a host of the manner of Resolve tells of the file\n"
    "  --out FOLDER       where frames go\n"
    "  --no-checks        for measuring: neither guards nor pictures are looked at\n"
    "  --instances N  --threads N  --interactive  --final  --abort-after MS  --set ID=VALUE\n"
    "  --times A,B,...  --repeat N  --press ID   done in this order; without any of them commands come from the\n"
    "                     standard input, a line each (session.cpp lists them)\n"
    "Prints a line of JSON for each frame. Exit code: 0, 1 the plug-in broke a rule, 2 usage, 3 it cannot be loaded.\n";

using host::Setting;

struct Wish {
    std::string plugin, out, times, press;
    std::vector<std::string> set;
    Setting setting;
    host::RenderOptions options;
    int instances = 1, threads = 1, repeat = 1;
    bool help = false;
};

std::pair<std::string, std::string> split(const std::string& text, char at) {
    const size_t place = text.find(at, 1);
    if (place == std::string::npos) throw std::invalid_argument(text + ": no '" + at + "' in it");
    return {text.substr(0, place), text.substr(place + 1)};
}

void read(int count, char** words, Wish& wish) {
    Setting& setting = wish.setting;
    std::vector<std::string> quirks;
    bool ranged = false;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        const auto next = [&]() -> std::string {
            if (++i >= count) throw std::invalid_argument(word + " takes a value");
            return words[i];
        };
        if (word == "--help") {
            wish.help = true;
        } else if (word == "--manner") {
            setting.manner = host::manner_of(next());
        } else if (word == "--quirk") {
            quirks.push_back(next());
        } else if (word == "--depth") {
            setting.footage.format.depth = next();
        } else if (word == "--size") {
            const auto [width, height] = split(next(), 'x');
            setting.footage.format.width = std::stoi(width), setting.footage.format.height = std::stoi(height);
        } else if (word == "--frame") {
            const auto [number, file] = split(next(), '=');
            setting.footage.files[std::stoi(number)] = file;
        } else if (word == "--range") {
            const auto [first, last] = split(next(), '-');
            setting.first = std::stoi(first), setting.last = std::stoi(last), ranged = true;
        } else if (word == "--fps") {
            setting.fps = std::stod(next());
        } else if (word == "--scale") {
            setting.scale = std::stod(next());
        } else if (word == "--premultiplied") {
            setting.premultiplied = true;
        } else if (word == "--source-file") {
            setting.source_file = next();
        } else if (word == "--source-first") {
            setting.source_first = std::stoi(next());
        } else if (word == "--out") {
            wish.out = next();
        } else if (word == "--no-checks") {
            setting.checks = false;
        } else if (word == "--instances") {
            wish.instances = std::stoi(next());
        } else if (word == "--threads") {
            wish.threads = std::stoi(next());
        } else if (word == "--interactive") {
            wish.options.interactive = true;
        } else if (word == "--final") {
            wish.options.interactive = false;
        } else if (word == "--abort-after") {
            wish.options.abort_after_ms = std::stoi(next());
        } else if (word == "--set") {
            wish.set.push_back(next());
        } else if (word == "--times") {
            wish.times = next();
        } else if (word == "--repeat") {
            wish.repeat = std::stoi(next());
        } else if (word == "--press") {
            wish.press = next();
        } else if (wish.plugin.empty() && word[0] != '-') {
            wish.plugin = word;
        } else {
            throw std::invalid_argument("no option " + word);
        }
    }
    for (const std::string& quirk : quirks) host::add_quirk(setting.manner, quirk);
    if (wish.help) return;
    host::Format& format = setting.footage.format;
    if (wish.plugin.empty() || format.width < 1 || format.height < 1) throw std::invalid_argument("plug-in and --size");
    if (setting.manner.rgb) format.channels = 3;
    if (setting.manner.label_float) format.depth = "byte";
    if (!ranged && !setting.footage.files.empty())
        setting.first = setting.footage.files.begin()->first, setting.last = setting.footage.files.rbegin()->first;
}

std::string spaced(std::string list) {
    for (char& c : list)
        if (c == ',') c = ' ';
    return list;
}

void run(host::Session& session, const Wish& wish) {
    for (const std::string& each : wish.set) {
        const auto [id, value] = split(each, '=');
        session.obey("load " + id + " " + value);
    }
    if (!wish.press.empty()) session.obey("press " + wish.press);
    const bool together = wish.instances > 1 || wish.threads > 1;
    if (!wish.times.empty())
        for (int i = 0; i < wish.repeat; ++i) session.obey((together ? "parallel " : "render ") + spaced(wish.times));
    if (!wish.times.empty() || !wish.press.empty()) return;
    for (std::string line; std::getline(std::cin, line);) {
        try {
            if (!session.obey(line)) return;
        } catch (const std::exception& error) {
            host::Object().add("event", "error").add("error", error.what()).print();
        }
        host::Object().add("event", "done").print();
    }
}

}  // namespace

int main(int count, char** words) {
    Wish wish;
    try {
        read(count, words, wish);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ofx_test_host: %s\n", error.what());
        return 2;
    }
    if (wish.help) return std::fputs(help, stdout), 0;
    host::PlugIn plugin(wish.plugin, wish.setting);
    try {
        plugin.load();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ofx_test_host: %s\n", error.what());
        return 3;
    }
    try {
        host::Session session(plugin, wish.setting, wish.out, wish.instances, wish.threads);
        session.options = wish.options;
        run(session, wish);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ofx_test_host: %s\n", error.what());
        return 2;
    }
    plugin.unload();
    host::Object().add("event", "end").add("violations", host::violations_in_all()).print();
    return host::violations_in_all() > 0 ? 1 : 0;
}
