// SPDX-License-Identifier: Apache-2.0
// Pictures in files (packed, top row first) and in memory, in the layout that a host of some manner uses, with guards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "manner.h"
#include "more_api.h"

namespace host {

struct Format {
    int width = 0, height = 0;
    std::string depth = "float";  // of the numbers
    int channels = 4;
    int value_bytes() const { return depth == "byte" ? 1 : depth == "float" ? 4 : 2; }
    int pixel_bytes() const { return channels * value_bytes(); }
    size_t bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(height) * pixel_bytes(); }
};

using Packed = std::vector<uint8_t>;

Packed read_file(const std::string& path, size_t bytes);
void write_file(const std::string& path, const Packed& data);

// Memory for one picture; everything around its pixels is filled with a pattern that must stay.
class Picture {
public:
    Picture(const Format& format, const Manner& manner, std::string what);
    ~Picture();
    Picture(const Picture&) = delete;
    Picture& operator=(const Picture&) = delete;

    const Format format;
    const std::string what;
    ofx::RectI bounds{};
    ptrdiff_t row_bytes = 0;
    uint8_t* data = nullptr;  // of the pixel bottom left

    uint8_t* row(int y) const { return data + row_bytes * (y - bounds.y1); }
    void fill(const Packed& packed);
    void fill_pattern();  // what memory that nobody wrote to holds
    Packed packed() const;

    // Whether guards and padding are what they were; a violation if not.
    void check_guards() const;
    // The number of pixels within `window` that nobody wrote to; a violation if one outside was.
    int check_window(ofx::RectI window) const;
    void check_equal(const Packed& packed) const;

private:
    bool untouched(int x, int y) const;
    std::vector<uint8_t> memory_;
    size_t stride_ = 0;
};

// The frames of the clip, read once.
class Footage {
public:
    Format format;
    std::map<int, std::string> files;
    // Null where there is no such frame.
    std::shared_ptr<const Packed> frame(int number);
    void replace(int number, const std::string& path);

private:
    std::mutex mutex_;
    std::map<int, std::shared_ptr<const Packed>> read_;
};

}  // namespace host
