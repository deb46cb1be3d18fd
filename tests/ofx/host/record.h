// SPDX-License-Identifier: Apache-2.0
// What a plug-in did while an action ran, and which action a thread is in. A breach of the interface is a violation:
// the run goes on, and fails in the end.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace host {

using Clock = std::chrono::steady_clock;
struct Instance;
struct Frame;

// Of one frame, or of one other action.
struct Record {
    std::mutex mutex;
    std::vector<std::string> violations, refused, messages;
    std::vector<std::string> edited;  // parameters that the plug-in set
    std::vector<std::pair<std::string, double>> fetched;
    std::atomic<int> aborts{0};  // how often it asked
    double progress = -1;
    int progress_updates = 0;
    double host_ms = 0;  // spent by this host on making pictures
};

// A thread is in an action as long as one of these lives on its stack. What the plug-in was given for the length of
// the action goes with it.
class InAction {
public:
    InAction(std::string name, Instance* instance, Record* record);
    ~InAction();
    InAction(const InAction&) = delete;
    InAction& operator=(const InAction&) = delete;

    const std::string name;
    Instance* const instance;
    Record* const record;
    Frame* frame = nullptr;  // that is being rendered
    // A text that lives as long as the action.
    char* keep(const std::string& text);

    static InAction* current();

private:
    InAction* const outer_;
    std::vector<std::vector<char>> kept_;
};

// Noted with the action that runs, if one does.
void violation(const std::string& what);
void refused(const std::string& what);
size_t violations_in_all();

}  // namespace host
