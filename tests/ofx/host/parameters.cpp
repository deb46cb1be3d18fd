// SPDX-License-Identifier: Apache-2.0
#include "parameters.h"

#include <algorithm>
#include <cstdarg>
#include <set>
#include <stdexcept>

#include "json.h"
#include "living.h"

namespace host {
namespace {

Living& sets() {
    static Living all("a parameter set");
    return all;
}
Living& parameters() {
    static Living all("a parameter");
    return all;
}

Properties described_by(const std::string& type, const std::string& id) {
    Properties p("parameter " + id);
    const auto text = [&](const char* name, const std::string& value) { p.put(name, {value}, Access::write); };
    const auto integer = [&](const char* name, int value) { p.put(name, {value}, Access::write); };
    p.put(ofx::prop_type, {std::string(ofx::type_parameter)});
    p.put(ofx::prop_name, {id});
    p.put(ofx::param_type, {type});
    for (const char* name : {ofx::prop_label, ofx::prop_short_label, ofx::prop_long_label}) text(name, id);
    text(ofx::param_hint, "");
    text(ofx::param_script_name, id);
    text(ofx::param_parent, "");
    for (const char* name : {ofx::param_enabled, ofx::param_can_undo}) integer(name, 1);
    integer(ofx::param_secret, 0);
    p.put(ofx::prop_icon, {std::string(), std::string()}, Access::write);
    if (type == ofx::param_page) p.put(ofx::param_page_child, {}, Access::write, true);
    if (type == ofx::param_group) integer(ofx::param_group_open, 1);
    if (type == ofx::param_button || type == ofx::param_page || type == ofx::param_group) return p;
    integer(ofx::param_animates, type == ofx::param_string ? 0 : 1);
    integer(ofx::param_evaluate, 1);
    integer(ofx::param_persistent, 1);
    integer(ofx::param_plugin_may_write, 0);
    text(ofx::param_cache, "OfxParamInvalidateValueChange");
    p.put(ofx::param_is_animating, {0});
    p.put(ofx::param_is_auto_keying, {0});
    if (type == ofx::param_double) {
        for (const auto& [name, value] : std::map<const char*, double>{{ofx::param_default, 0.0},
                                                                       {ofx::param_min, -1e30},
                                                                       {ofx::param_max, 1e30},
                                                                       {ofx::param_display_min, -1e30},
                                                                       {ofx::param_display_max, 1e30},
                                                                       {ofx::param_increment, 1.0}})
            p.put(name, {value}, Access::write);
        integer(ofx::param_digits, 2);
        text(ofx::param_double_type, ofx::param_double_plain);
    } else if (type == ofx::param_string) {
        text(ofx::param_default, "");
        text(ofx::param_string_mode, ofx::param_single_line);
        integer(ofx::param_path_exists, 1);
    } else {
        integer(ofx::param_default, 0);
        if (type == ofx::param_integer)
            for (const char* name : {ofx::param_min, ofx::param_max, ofx::param_display_min, ofx::param_display_max})
                integer(name, 0);
        if (type == ofx::param_choice) p.put(ofx::param_choice_option, {}, Access::write, true);
    }
    return p;
}

}  // namespace

Parameter::Parameter(std::string type, std::string id)
    : type(std::move(type)), id(std::move(id)), properties(described_by(this->type, this->id)) {
    parameters().enter(this);
}

Parameter::Parameter(const Parameter& d) : type(d.type), id(d.id), properties(d.properties), broken(d.broken) {
    parameters().enter(this);
    text = properties.text(ofx::param_default);
    number = properties.number(ofx::param_default);
    integer = properties.integer(ofx::param_default);
}

bool Parameter::is_integer() const {
    return type == ofx::param_integer || type == ofx::param_boolean || type == ofx::param_choice;
}

double Parameter::number_at(double time) const {
    if (keys.empty()) return number;
    const auto after = keys.lower_bound(time);
    if (after == keys.begin()) return after->second;
    const auto before = std::prev(after);
    if (after == keys.end()) return before->second;
    const double share = (time - before->first) / (after->first - before->first);
    return before->second + share * (after->second - before->second);
}

void Parameter::assign(const std::string& value) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (is_text()) {
        text = value;
    } else if (is_number()) {
        number = std::stod(value), keys.clear();
    } else if (type == ofx::param_choice) {
        const auto options = properties.texts(ofx::param_choice_option);
        const auto found = std::find(options.begin(), options.end(), value);
        integer = found != options.end() ? static_cast<int>(found - options.begin()) : std::stoi(value);
        if (integer < 0 || integer >= static_cast<int>(options.size()))
            throw std::invalid_argument(id + " has no option " + value);
    } else if (is_integer()) {
        integer = std::stoi(value);
    } else {
        throw std::invalid_argument(id + " has no value");
    }
}

std::string Parameter::shown() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return is_text() ? json(text) : is_number() ? json(number) : is_integer() ? json(integer) : "null";
}

Parameters::Parameters(const Manner& manner) : manner(manner), properties("parameter set") {
    properties.put(ofx::param_page_order, {}, Access::write, true);
    sets().enter(this);
}

Parameters::Parameters(const Parameters& d) : manner(d.manner), properties(d.properties), described(true) {
    for (const auto& each : d.all) all.push_back(std::make_unique<Parameter>(*each));
    sets().enter(this);
}

Parameters::~Parameters() {
    sets().leave(this);
    for (const auto& each : all) parameters().leave(each.get());
}

Parameters* Parameters::of(ofx::ParamSet handle) {
    return sets().has(handle) ? reinterpret_cast<Parameters*>(handle) : nullptr;
}

Parameter* Parameters::find(const std::string& id) const {
    for (const auto& each : all)
        if (each->id == id) return each.get();
    return nullptr;
}

namespace {

using ofx::Status;

Parameter* of(ofx::Param handle) { return parameters().has(handle) ? reinterpret_cast<Parameter*>(handle) : nullptr; }

Status define(ofx::ParamSet handle, const char* type, const char* id, ofx::PropertySet* out) {
    Parameters* set = Parameters::of(handle);
    if (set == nullptr) return ofx::stat_err_bad_handle;
    if (InAction::current() == nullptr || InAction::current()->name != ofx::action_describe_in_context ||
        set->described)
        return violation(std::string("defines parameter ") + id + " outside of DescribeInContext"), ofx::stat_failed;
    const std::string kind = type;
    const std::set<std::string> known = {ofx::param_integer, ofx::param_double, ofx::param_boolean, ofx::param_choice,
                                         ofx::param_string,  ofx::param_button, ofx::param_page,    ofx::param_group};
    if (known.count(kind) == 0) {
        violation(std::string(id) + " is of a type that hosts do not all have: " + kind);
        return ofx::stat_err_unsupported;
    }
    if (set->find(id) != nullptr) return violation(std::string("defines parameter ") + id + " twice"), 6;
    if (kind == ofx::param_string && !set->manner.strings) return refused(std::string("define ") + id), 5;
    set->all.push_back(std::make_unique<Parameter>(type, id));
    const bool after_text =
        std::any_of(set->all.begin(), set->all.end() - 1, [](const auto& p) { return p->is_text(); });
    set->all.back()->broken = set->manner.strings_break_later && after_text;
    if (out) *out = set->all.back()->properties.handle();
    return ofx::stat_ok;
}

Status get_handle(ofx::ParamSet handle, const char* id, ofx::Param* out, ofx::PropertySet* properties) {
    const Parameters* set = Parameters::of(handle);
    if (set == nullptr) return ofx::stat_err_bad_handle;
    Parameter* found = set->find(id);
    if (found == nullptr || found->broken) return refused(std::string("handle of ") + id), ofx::stat_err_unknown;
    if (out) *out = found->handle();
    if (properties) *properties = found->properties.handle();
    return ofx::stat_ok;
}

Status set_properties(ofx::ParamSet handle, ofx::PropertySet* out) {
    Parameters* set = Parameters::of(handle);
    if (set == nullptr) return ofx::stat_err_bad_handle;
    *out = set->properties.handle();
    return ofx::stat_ok;
}
Status param_properties(ofx::Param handle, ofx::PropertySet* out) {
    Parameter* param = of(handle);
    if (param == nullptr) return ofx::stat_err_bad_handle;
    *out = param->properties.handle();
    return ofx::stat_ok;
}

Status give_value(Parameter& param, double time, bool timed, va_list list) {
    const std::lock_guard<std::mutex> lock(param.mutex);
    InAction* action = InAction::current();
    if (action == nullptr) return violation("asks for the value of " + param.id + " outside of any action"), 1;
    if (param.is_text()) {
        *va_arg(list, char**) = action->keep(param.text);
    } else if (param.is_number()) {
        *va_arg(list, double*) = timed ? param.number_at(time) : param.number;
    } else if (param.is_integer()) {
        *va_arg(list, int*) = param.integer;
    } else {
        return violation(param.id + " has no value"), ofx::stat_err_unsupported;
    }
    return ofx::stat_ok;
}

Status get_value(ofx::Param handle, ...) {
    Parameter* param = of(handle);
    if (param == nullptr) return ofx::stat_err_bad_handle;
    va_list list;
    va_start(list, handle);
    const Status status = give_value(*param, 0, false, list);
    va_end(list);
    return status;
}
Status get_value_at(ofx::Param handle, double time, ...) {
    Parameter* param = of(handle);
    if (param == nullptr) return ofx::stat_err_bad_handle;
    va_list list;
    va_start(list, time);
    const Status status = give_value(*param, time, true, list);
    va_end(list);
    return status;
}

Status take_value(Parameter& param, va_list list) {
    const InAction* action = InAction::current();
    const std::string where = action ? action->name : "no action";
    if (where != ofx::action_instance_changed) {
        violation("sets " + param.id + " in " + where);
        return ofx::stat_failed;
    }
    {
        const std::lock_guard<std::mutex> lock(action->record->mutex);
        action->record->edited.push_back(param.id);
    }
    const std::lock_guard<std::mutex> lock(param.mutex);
    if (param.is_text()) {
        param.text = va_arg(list, const char*);
    } else if (param.is_number()) {
        param.number = va_arg(list, double);
    } else if (param.is_integer()) {
        param.integer = va_arg(list, int);
    } else {
        return ofx::stat_err_unsupported;
    }
    return ofx::stat_ok;
}
Status set_value(ofx::Param handle, ...) {
    Parameter* param = of(handle);
    if (param == nullptr) return ofx::stat_err_bad_handle;
    va_list list;
    va_start(list, handle);
    const Status status = take_value(*param, list);
    va_end(list);
    return status;
}
Status set_value_at(ofx::Param handle, double time, ...) {
    Parameter* param = of(handle);
    if (param == nullptr) return ofx::stat_err_bad_handle;
    va_list list;
    va_start(list, time);
    const Status status = take_value(*param, list);
    va_end(list);
    return status;
}

Status derivative(ofx::Param, ofx::Time, ...) { return ofx::stat_err_unsupported; }
Status integral(ofx::Param, ofx::Time, ofx::Time, ...) { return ofx::stat_err_unsupported; }

Status key_count(ofx::Param handle, unsigned int* count) {
    const Parameter* param = of(handle);
    if (param == nullptr) return ofx::stat_err_bad_handle;
    *count = static_cast<unsigned int>(param->keys.size());
    return ofx::stat_ok;
}
Status key_time(ofx::Param handle, unsigned int index, ofx::Time* time) {
    const Parameter* param = of(handle);
    if (param == nullptr) return ofx::stat_err_bad_handle;
    if (index >= param->keys.size()) return ofx::stat_err_bad_index;
    *time = std::next(param->keys.begin(), index)->first;
    return ofx::stat_ok;
}
Status key_index(ofx::Param, ofx::Time, int, int*) { return ofx::stat_failed; }
Status delete_key(ofx::Param, ofx::Time) { return ofx::stat_err_unsupported; }
Status delete_keys(ofx::Param) { return ofx::stat_err_unsupported; }
Status copy(ofx::Param, ofx::Param, ofx::Time, const ofx::RangeD*) { return ofx::stat_err_unsupported; }
Status edit_begin(ofx::ParamSet, const char*) { return ofx::stat_ok; }
Status edit_end(ofx::ParamSet) { return ofx::stat_ok; }

}  // namespace

const ofx::ParameterSuite& parameter_suite() {
    static const ofx::ParameterSuite suite = {define,       get_handle, set_properties, param_properties, get_value,
                                              get_value_at, derivative, integral,       set_value,        set_value_at,
                                              key_count,    key_time,   key_index,      delete_key,       delete_keys,
                                              copy,         edit_begin, edit_end};
    return suite;
}

}  // namespace host
