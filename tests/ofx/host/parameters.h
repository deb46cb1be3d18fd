// SPDX-License-Identifier: Apache-2.0
// Parameters: described once, with values for each instance.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "manner.h"
#include "properties.h"

namespace host {

struct Parameter {
    std::string type, id;
    Properties properties;
    bool broken = false;  // a host that cannot deal with it: it has no handle
    // The value; `keys` instead of it where it is animated.
    std::string text;
    double number = 0;
    int integer = 0;
    std::map<double, double> keys;
    mutable std::mutex mutex;

    Parameter(std::string type, std::string id);
    Parameter(const Parameter& described);
    ofx::Param handle() { return reinterpret_cast<ofx::Param>(this); }

    bool is_number() const { return type == ofx::param_double; }
    bool is_text() const { return type == ofx::param_string; }
    bool is_integer() const;
    double number_at(double time) const;
    // From a text as a user would give it; a choice by its label or number. Throws std::invalid_argument.
    void assign(const std::string& value);
    std::string shown() const;
};

class Parameters {
public:
    explicit Parameters(const Manner& manner);
    ~Parameters();
    Parameters(const Parameters& described);
    ofx::ParamSet handle() { return reinterpret_cast<ofx::ParamSet>(this); }
    static Parameters* of(ofx::ParamSet handle);

    const Manner& manner;
    Properties properties;
    std::vector<std::unique_ptr<Parameter>> all;
    bool described = false;  // definition is over
    Parameter* find(const std::string& id) const;
};

const ofx::ParameterSuite& parameter_suite();

}  // namespace host
