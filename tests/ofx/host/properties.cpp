// SPDX-License-Identifier: Apache-2.0
#include "properties.h"

#include "living.h"

namespace host {
namespace {

const char* const kinds[] = {"pointer", "string", "double", "int"};

Living& sets() {
    static Living all("a property set");
    return all;
}

// Of OpenFX 1.5 or of a single host: a plug-in may try them anywhere and has to live with the answer.
bool may_be_tried(const std::string& name) {
    return name.find("Colour") != std::string::npos || name.find("PropSrc") != std::string::npos ||
           name == ofx::prop_no_spatial_awareness || name == ofx::prop_description || name == ofx::prop_icon;
}

}  // namespace

Properties::Properties(std::string what) : what_(std::move(what)) { sets().enter(this); }

Properties::Properties(const Properties& other) : Properties(other.what_) {
    const std::lock_guard<std::mutex> lock(other.mutex_);
    properties_ = other.properties_;
}

Properties::~Properties() { sets().leave(this); }

Properties* Properties::of(ofx::PropertySet handle) {
    return sets().has(handle) ? reinterpret_cast<Properties*>(handle) : nullptr;
}

void Properties::put(const std::string& name, std::vector<Value> values, Access access, bool grows) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t kind = values.empty() ? 1 : values[0].index();
    properties_[name] = {values, values, kind, access, grows};
}

void Properties::remove(const std::string& name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    properties_.erase(name);
}

std::vector<Value> Properties::all(const std::string& name) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = properties_.find(name);
    return found == properties_.end() ? std::vector<Value>() : found->second.values;
}

bool Properties::has(const std::string& name) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return properties_.count(name) != 0;
}

std::string Properties::text(const std::string& name, size_t index) const {
    const auto values = all(name);
    return index < values.size() && values[index].index() == 1 ? std::get<1>(values[index]) : "";
}
double Properties::number(const std::string& name, size_t index) const {
    const auto values = all(name);
    return index < values.size() && values[index].index() == 2 ? std::get<2>(values[index]) : 0.0;
}
int Properties::integer(const std::string& name, size_t index) const {
    const auto values = all(name);
    return index < values.size() && values[index].index() == 3 ? std::get<3>(values[index]) : 0;
}
std::vector<std::string> Properties::texts(const std::string& name) const {
    std::vector<std::string> out;
    for (const Value& value : all(name))
        if (value.index() == 1) out.push_back(std::get<1>(value));
    return out;
}
std::vector<double> Properties::numbers(const std::string& name) const {
    std::vector<double> out;
    for (const Value& value : all(name))
        if (value.index() == 2) out.push_back(std::get<2>(value));
    return out;
}

ofx::Status Properties::set(const char* name, int index, Value value) {
    if (name == nullptr) return violation("a property without a name"), ofx::stat_err_unknown;
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = properties_.find(name);
    if (found == properties_.end()) {
        if (may_be_tried(name)) {
            refused(std::string("set ") + name);
        } else {
            violation(what_ + " has no property " + name + " to set");
        }
        return ofx::stat_err_unknown;
    }
    Property& property = found->second;
    if (property.access == Access::read) {
        violation(what_ + ": " + name + " is not the plug-in's to set");
        return ofx::stat_err_value;
    }
    if (property.kind != value.index()) {
        violation(what_ + ": " + name + " is of type " + kinds[property.kind] + ", not " + kinds[value.index()]);
        return ofx::stat_err_value;
    }
    const auto place = static_cast<size_t>(index);
    if (index < 0 || place > property.values.size() || (place == property.values.size() && !property.grows)) {
        violation(what_ + ": " + name + " has no index " + std::to_string(index));
        return ofx::stat_err_bad_index;
    }
    if (place == property.values.size()) property.values.emplace_back();
    property.values[place] = std::move(value);
    return ofx::stat_ok;
}

ofx::Status Properties::get(const char* name, int index, Value& value, size_t kind) {
    if (name == nullptr) return violation("a property without a name"), ofx::stat_err_unknown;
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = properties_.find(name);
    if (found == properties_.end()) return refused(std::string("get ") + name), ofx::stat_err_unknown;
    const Property& property = found->second;
    if (property.kind != kind) {
        violation(what_ + ": " + name + " is of type " + kinds[property.kind] + ", not " + kinds[kind]);
        return ofx::stat_err_value;
    }
    if (index < 0 || static_cast<size_t>(index) >= property.values.size()) return ofx::stat_err_bad_index;
    value = property.values[static_cast<size_t>(index)];
    return ofx::stat_ok;
}

char* Properties::text_at(const char* name, int index) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::get<1>(properties_[name].values[static_cast<size_t>(index)]).data();
}

ofx::Status Properties::size(const char* name, int& count) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = name ? properties_.find(name) : properties_.end();
    if (found == properties_.end()) return ofx::stat_err_unknown;
    count = static_cast<int>(found->second.values.size());
    return ofx::stat_ok;
}

ofx::Status Properties::reset(const char* name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = name ? properties_.find(name) : properties_.end();
    if (found == properties_.end()) return ofx::stat_err_unknown;
    found->second.values = found->second.first;
    return ofx::stat_ok;
}

namespace {

template <class Given>
Value value_of(Given given) {
    return given;
}
template <>
Value value_of(const char* given) {
    return std::string(given ? given : "");
}

template <class Given>
ofx::Status set_one(ofx::PropertySet handle, const char* name, int index, Given given) {
    Properties* set = Properties::of(handle);
    return set ? set->set(name, index, value_of(given)) : ofx::stat_err_bad_handle;
}
template <class Given>
ofx::Status set_many(ofx::PropertySet handle, const char* name, int count, const Given* given) {
    for (int i = 0; i < count; ++i)
        if (const ofx::Status status = set_one(handle, name, i, given[i]); status != ofx::stat_ok) return status;
    return ofx::stat_ok;
}

template <class Wanted>
ofx::Status get_one(ofx::PropertySet handle, const char* name, int index, Wanted* wanted) {
    Properties* set = Properties::of(handle);
    if (set == nullptr) return ofx::stat_err_bad_handle;
    if (wanted == nullptr) return violation("a property asked for with nowhere to put it"), ofx::stat_err_value;
    constexpr bool text = std::is_same_v<Wanted, char*>;
    Value value;
    const size_t kind = text ? 1 : Value(std::conditional_t<text, int, Wanted>{}).index();
    const ofx::Status status = set->get(name, index, value, kind);
    if (status != ofx::stat_ok) return status;
    if constexpr (text) {
        *wanted = set->text_at(name, index);
    } else {
        *wanted = std::get<Wanted>(value);
    }
    return ofx::stat_ok;
}
template <class Wanted>
ofx::Status get_many(ofx::PropertySet handle, const char* name, int count, Wanted* wanted) {
    for (int i = 0; i < count; ++i)
        if (const ofx::Status status = get_one(handle, name, i, wanted + i); status != ofx::stat_ok) return status;
    return ofx::stat_ok;
}

ofx::Status reset(ofx::PropertySet handle, const char* name) {
    Properties* set = Properties::of(handle);
    return set ? set->reset(name) : ofx::stat_err_bad_handle;
}
ofx::Status dimension(ofx::PropertySet handle, const char* name, int* count) {
    Properties* set = Properties::of(handle);
    return set ? set->size(name, *count) : ofx::stat_err_bad_handle;
}

}  // namespace

const ofx::PropertySuite& property_suite() {
    static const ofx::PropertySuite suite = {set_one<void*>,
                                             set_one<const char*>,
                                             set_one<double>,
                                             set_one<int>,
                                             set_many<void*>,
                                             set_many<const char*>,
                                             set_many<double>,
                                             set_many<int>,
                                             get_one<void*>,
                                             get_one<char*>,
                                             get_one<double>,
                                             get_one<int>,
                                             get_many<void*>,
                                             get_many<char*>,
                                             get_many<double>,
                                             get_many<int>,
                                             reset,
                                             dimension};
    return suite;
}

}  // namespace host
