// SPDX-License-Identifier: Apache-2.0
// ofx_host PLUGIN.ofx [--manners NAME] [--SWITCH[=VALUE] ...] --source RAW --size WxH --frames N --out RAW COMMAND...
// Each command prints one line of JSON; see commands.cpp.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "host.h"

using namespace testhost;

int main(int argc, char** argv) {
    std::string plugin, source, out;
    std::vector<std::string> commands;
    Manners& m = world().manners;
    Footage& f = world().footage;
    const std::map<std::string, bool*> switches = {
        {"temporal", &m.temporal},
        {"answers-current", &m.answers_current},
        {"holds-ends", &m.holds_ends},
        {"null-neighbours", &m.null_neighbours},
        {"failing-neighbours", &m.failing_neighbours},
        {"per-frame-instance", &m.per_frame_instance},
        {"negative-rows", &m.negative_rows},
        {"calls-bytes-float", &m.calls_bytes_float},
        {"no-message", &m.no_message},
        {"no-persistent", &m.no_persistent},
        {"no-progress", &m.no_progress},
        {"strings-break", &m.strings_break},
        {"no-frame-range", &m.no_frame_range},
        {"no-identifiers", &m.no_identifiers},
        {"no-source", &m.no_source},
        {"premultiplied", &f.premultiplied},
    };
    const std::map<std::string, int*> numbers = {
        {"padding", &m.padding},           {"origin-x", &m.origin_x},
        {"origin-y", &m.origin_y},         {"frames", &f.frames},
        {"channels", &f.channels},         {"first", &f.first},
        {"source-frame", &m.source_frame}, {"cancel-after", &m.cancel_after},
    };
    const std::map<std::string, std::string*> texts = {
        {"source", &source},
        {"out", &out},
        {"depth", &f.depth},
        {"source-path", &m.source_path},
        {"colourspace", &m.colourspace},
        {"name", &m.name},
    };
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word.rfind("--", 0) != 0) {
            (plugin.empty() ? plugin : commands.emplace_back()) = word;
            continue;
        }
        const size_t equals = word.find('=');
        const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
        const std::string value = equals == std::string::npos ? "1" : word.substr(equals + 1);
        bool known = true;
        if (const auto it = switches.find(name); it != switches.end())
            *it->second = value != "0";
        else if (const auto number = numbers.find(name); number != numbers.end())
            *number->second = std::atoi(value.c_str());
        else if (const auto text = texts.find(name); text != texts.end())
            *text->second = value;
        else if (name == "size")
            known = std::sscanf(value.c_str(), "%dx%d", &f.width, &f.height) == 2;
        else if (name == "manners")
            known = play(m, value);
        else
            known = false;
        if (!known) {
            std::fprintf(stderr, "unknown: %s\n", word.c_str());
            return 2;
        }
    }
    std::ifstream file(source, std::ios::binary);
    f.bytes.assign(std::istreambuf_iterator<char>(file), {});
    if (f.bytes.size() != f.frame() * static_cast<size_t>(f.frames)) {
        std::fprintf(stderr, "%s holds %zu bytes, not %zu\n", source.c_str(), f.bytes.size(),
                     f.frame() * static_cast<size_t>(f.frames));
        return 2;
    }
    return run_commands(plugin, commands, out);
}
