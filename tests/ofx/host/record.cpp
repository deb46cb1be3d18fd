// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <algorithm>
#include <cstdio>

namespace host {
namespace {

thread_local InAction* innermost = nullptr;
std::atomic<size_t> counted{0};

}  // namespace

InAction::InAction(std::string name, Instance* instance, Record* record)
    : name(std::move(name)), instance(instance), record(record), outer_(innermost) {
    innermost = this;
}

InAction::~InAction() {
    innermost = outer_;
    for (auto& text : kept_) std::fill(text.begin(), text.end() - 1, '#');  // whoever kept the pointer shall see it
}

char* InAction::keep(const std::string& text) {
    kept_.emplace_back(text.begin(), text.end());
    kept_.back().push_back('\0');
    return kept_.back().data();
}

InAction* InAction::current() { return innermost; }

void violation(const std::string& what) {
    ++counted;
    const std::string where = innermost ? innermost->name + ": " + what : what;
    std::fprintf(stderr, "violation: %s\n", where.c_str());
    if (innermost == nullptr || innermost->record == nullptr) return;
    const std::lock_guard<std::mutex> lock(innermost->record->mutex);
    innermost->record->violations.push_back(where);
}

void refused(const std::string& what) {
    if (innermost == nullptr || innermost->record == nullptr) return;
    const std::lock_guard<std::mutex> lock(innermost->record->mutex);
    innermost->record->refused.push_back(what);
}

size_t violations_in_all() { return counted; }

}  // namespace host
