// SPDX-License-Identifier: Apache-2.0
// What the host is told to do, command by command; each answers with one line of JSON (see commands in session.cpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugin.h"

namespace host {

class Session {
public:
    Session(PlugIn& plugin, Setting& setting, std::string out, int instances, int threads);
    ~Session();

    // Returns false after "quit". Throws std::exception for a command that makes no sense.
    bool obey(const std::string& line);
    RenderOptions options;

private:
    struct Seat {
        std::unique_ptr<Instance> instance;
        std::vector<std::pair<std::string, std::string>> set;  // what a new instance begins with
    };

    void create();
    void destroy();
    void frames(const std::vector<double>& times, bool parallel);
    void frame(size_t seat, double time);
    void change(const std::string& id, const std::string& value, bool tell);
    void told(const char* event, const std::string& name, ofx::Status status, const Record& record);
    Instance& first();

    PlugIn& plugin_;
    Setting& setting_;
    const std::string out_;
    const int threads_;
    std::vector<Seat> seats_;
    std::atomic<int> written_{0};
};

}  // namespace host
