// SPDX-License-Identifier: Apache-2.0
// Property sets. Each knows which properties it has; a plug-in that sets another one, or with another type, errs.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "more_api.h"

namespace host {

using Value = std::variant<void*, std::string, double, int>;
enum class Access { read, write };  // the plug-in's

class Properties {
public:
    explicit Properties(std::string what);
    ~Properties();
    Properties(const Properties& other);  // an instance's begin as the descriptor's are
    Properties& operator=(const Properties&) = delete;

    ofx::PropertySet handle() { return reinterpret_cast<ofx::PropertySet>(this); }
    // The set behind a handle; null, and a violation, for one that is none of ours.
    static Properties* of(ofx::PropertySet handle);
    const std::string& what() const { return what_; }

    // The host's side. A property is there from its first put() on; `grows` tells one of any length.
    void put(const std::string& name, std::vector<Value> values, Access access = Access::read, bool grows = false);
    void remove(const std::string& name);
    std::vector<Value> all(const std::string& name) const;
    std::string text(const std::string& name, size_t index = 0) const;
    double number(const std::string& name, size_t index = 0) const;
    int integer(const std::string& name, size_t index = 0) const;
    std::vector<std::string> texts(const std::string& name) const;
    std::vector<double> numbers(const std::string& name) const;
    bool has(const std::string& name) const;

    // The plug-in's side.
    ofx::Status set(const char* name, int index, Value value);
    ofx::Status get(const char* name, int index, Value& value, size_t kind);
    ofx::Status size(const char* name, int& count) const;
    ofx::Status reset(const char* name);
    // Where a text lies; it stays there until the property is set.
    char* text_at(const char* name, int index);

private:
    struct Property {
        std::vector<Value> values, first;
        size_t kind = 0;
        Access access = Access::read;
        bool grows = false;
    };
    std::string what_;
    mutable std::mutex mutex_;
    std::map<std::string, Property> properties_;
};

const ofx::PropertySuite& property_suite();

}  // namespace host
