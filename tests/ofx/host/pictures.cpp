// SPDX-License-Identifier: Apache-2.0
#include "pictures.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "record.h"

namespace host {
namespace {

constexpr size_t guard = 4096;
constexpr uint8_t guard_byte = 0xa5, blank_byte = 0x5b;

// Pages that were used before cost nothing: as in a host that keeps a cache of pictures.
std::mutex& pool_mutex() {
    static std::mutex mutex;
    return mutex;
}
std::vector<std::vector<uint8_t>>& pool() {
    static std::vector<std::vector<uint8_t>> all;
    return all;
}

std::vector<uint8_t> memory_of(size_t bytes) {
    {
        const std::lock_guard<std::mutex> lock(pool_mutex());
        for (auto& each : pool())
            if (each.size() == bytes) {
                std::vector<uint8_t> found = std::move(each);
                each = std::move(pool().back());
                pool().pop_back();
                return found;
            }
    }
    return std::vector<uint8_t>(bytes);
}

}  // namespace

Packed read_file(const std::string& path, size_t bytes) {
    std::ifstream file(path, std::ios::binary);
    Packed data(bytes);
    if (!file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(bytes)) || file.peek() != EOF)
        throw std::runtime_error(path + " does not hold " + std::to_string(bytes) + " bytes");
    return data;
}

void write_file(const std::string& path, const Packed& data) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
    if (!file.flush()) throw std::runtime_error(path + " cannot be written");
}

Picture::Picture(const Format& format, const Manner& manner, std::string what) : format(format), what(std::move(what)) {
    const size_t row = static_cast<size_t>(format.width) * format.pixel_bytes();
    stride_ = row + static_cast<size_t>(manner.padding);
    const auto rows = static_cast<size_t>(format.height);
    memory_ = memory_of(2 * guard + stride_ * rows);
    std::memset(memory_.data(), guard_byte, guard);
    std::memset(memory_.data() + guard + stride_ * rows, guard_byte, guard);
    if (manner.padding > 0)
        for (size_t y = 0; y < rows; ++y)
            std::memset(memory_.data() + guard + y * stride_ + row, guard_byte, static_cast<size_t>(manner.padding));
    bounds = {manner.origin_x, manner.origin_y, manner.origin_x + format.width, manner.origin_y + format.height};
    data = memory_.data() + guard;
    row_bytes = static_cast<ptrdiff_t>(stride_);
    if (manner.negative_rows) data += stride_ * (rows - 1), row_bytes = -row_bytes;
}

Picture::~Picture() {
    const std::lock_guard<std::mutex> lock(pool_mutex());
    if (pool().size() < 24) pool().push_back(std::move(memory_));
}

void Picture::fill(const Packed& packed) {
    const size_t bytes = static_cast<size_t>(format.width) * format.pixel_bytes();
    for (int y = 0; y < format.height; ++y)
        std::memcpy(row(bounds.y2 - 1 - y), packed.data() + static_cast<size_t>(y) * bytes, bytes);
}

void Picture::fill_pattern() {
    const size_t bytes = static_cast<size_t>(format.width) * format.pixel_bytes();
    for (int y = bounds.y1; y < bounds.y2; ++y) std::memset(row(y), blank_byte, bytes);
}

Packed Picture::packed() const {
    const size_t bytes = static_cast<size_t>(format.width) * format.pixel_bytes();
    Packed out(format.bytes());
    for (int y = 0; y < format.height; ++y)
        std::memcpy(out.data() + static_cast<size_t>(y) * bytes, row(bounds.y2 - 1 - y), bytes);
    return out;
}

void Picture::check_guards() const {
    const auto whole = [](const uint8_t* from, size_t count) {
        return std::all_of(from, from + count, [](uint8_t byte) { return byte == guard_byte; });
    };
    const size_t row = static_cast<size_t>(format.width) * format.pixel_bytes();
    const auto rows = static_cast<size_t>(format.height);
    if (!whole(memory_.data(), guard) || !whole(memory_.data() + guard + stride_ * rows, guard))
        violation("wrote outside of the memory of the picture of " + what);
    for (size_t y = 0; stride_ > row && y < rows; ++y)
        if (!whole(memory_.data() + guard + y * stride_ + row, stride_ - row))
            return violation("wrote into the padding of a row of " + what);
}

bool Picture::untouched(int x, int y) const {
    const uint8_t* at = row(y) + static_cast<ptrdiff_t>(x - bounds.x1) * format.pixel_bytes();
    return std::all_of(at, at + format.pixel_bytes(), [](uint8_t byte) { return byte == blank_byte; });
}

int Picture::check_window(ofx::RectI window) const {
    int blank = 0, outside = 0;
    for (int y = bounds.y1; y < bounds.y2; ++y)
        for (int x = bounds.x1; x < bounds.x2; ++x) {
            const bool inside = x >= window.x1 && x < window.x2 && y >= window.y1 && y < window.y2;
            if (untouched(x, y)) {
                blank += inside;
            } else {
                outside += !inside;
            }
        }
    if (outside > 0) violation("wrote " + std::to_string(outside) + " pixels of " + what + " outside of the window");
    return blank;
}

void Picture::check_equal(const Packed& expected) const {
    if (packed() != expected) violation("wrote into the picture of " + what);
}

std::shared_ptr<const Packed> Footage::frame(int number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto found = read_.find(number); found != read_.end()) return found->second;
    const auto file = files.find(number);
    if (file == files.end()) return nullptr;
    return read_[number] = std::make_shared<const Packed>(read_file(file->second, format.bytes()));
}

void Footage::replace(int number, const std::string& path) {
    const std::lock_guard<std::mutex> lock(mutex_);
    files[number] = path;
    read_.erase(number);
}

}  // namespace host
