// SPDX-License-Identifier: Apache-2.0
// One JSON object on one line.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace host {

inline std::string in_quotes(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\', out += c;
        } else if (byte < 0x20) {
            char code[8];
            std::snprintf(code, sizeof code, "\\u%04x", byte);
            out += code;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

inline std::string json(const std::string& text) { return in_quotes(text); }
inline std::string json(const char* text) { return in_quotes(text); }
inline std::string json(bool value) { return value ? "true" : "false"; }
inline std::string json(int value) { return std::to_string(value); }
inline std::string json(size_t value) { return std::to_string(value); }
inline std::string json(double value) {
    if (!std::isfinite(value)) return "null";
    char text[40];
    std::snprintf(text, sizeof text, "%.10g", value);
    return text;
}
template <class T>
std::string json(const std::vector<T>& values) {
    std::string out = "[";
    for (const T& value : values) out += (out.size() > 1 ? "," : "") + json(value);
    return out + "]";
}

class Object {
public:
    template <class T>
    Object& add(const char* key, const T& value) {
        return raw(key, json(value));
    }
    Object& raw(const char* key, const std::string& value) {
        text_ += (text_.empty() ? "" : ",") + in_quotes(key) + ":" + value;
        return *this;
    }
    std::string text() const { return "{" + text_ + "}"; }
    void print() const {  // in one piece: threads print too
        const std::string line = text() + "\n";
        std::fwrite(line.data(), 1, line.size(), stdout);
        std::fflush(stdout);
    }

private:
    std::string text_;
};

}  // namespace host
