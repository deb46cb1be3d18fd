// SPDX-License-Identifier: Apache-2.0
// The messages between plug-in and worker, as docs/wire.md writes them down. Reading trusts nothing: a length that
// exceeds what is there, a text that is no UTF-8, or bytes left over raise Malformed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bridge::wire {

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers travel as they lie in memory, which has to be little-endian"
#endif

constexpr uint32_t magic = 0x31574244;  // "DBW1"
constexpr uint16_t version = 1;
constexpr uint32_t most_payload = 1u << 20;
constexpr uint32_t most_text = 4096;
constexpr uint32_t most_items = 4096;
constexpr uint64_t alignment = 64;  // of a picture in a surface

enum class Type : uint16_t {
    hello = 1,
    welcome = 2,
    error = 3,
    alive = 4,
    done = 5,
    attach = 10,
    detach = 11,
    attach_named = 12,
    model = 20,
    model_info = 21,
    needs = 22,
    needed = 23,
    render = 30,
    rendered = 31,
    fit = 40,
    job = 41,
    fit_frame = 42,
    fit_start = 43,
    fit_status = 44,
    fit_state = 45,
    fit_cancel = 46,
    status = 50,
    state = 51,
    stop = 52,
};

// What a model's clip is coded by; `untagged` is taken for BT.709 and may be log.
enum class Curve : uint32_t {
    unknown = 0,
    bt709 = 1,
    srgb = 2,
    gamma22 = 3,
    linear = 4,
    gamma28 = 5,
    pq = 6,
    hlg = 7,
    log = 8,
    untagged = 9,
};

// How references come to the worker.
enum class Route : uint32_t { none = 0, file = 1, host = 2, kept = 3 };

constexpr uint32_t code_model = 9, code_bad_message = 100, code_version = 101;
constexpr uint32_t render_protect = 1, render_interactive = 2, render_alone = 4;
constexpr uint32_t rendered_unchanged = 1, rendered_noteworthy = 2, rendered_wanted = 4, rendered_forsaken = 8;
constexpr uint32_t fit_overwrite = 1, fit_frames_follow = 2;

struct Header {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t length;
    uint32_t reserved;
    uint64_t sequence;
};
static_assert(sizeof(Header) == 24 && offsetof(Header, length) == 8 && offsetof(Header, sequence) == 16);

struct Malformed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline bool is_utf8(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    for (size_t i = 0; i < text.size();) {
        const unsigned char lead = byte(i);
        if (lead == 0) return false;
        const size_t more = lead < 0x80 ? 0 : lead < 0xc2 ? 4 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 4;
        if (more == 4 || text.size() - i <= more) return false;
        for (size_t k = 1; k <= more; ++k)
            if ((byte(i + k) & 0xc0) != 0x80) return false;
        if (more > 1) {  // neither overlong nor a surrogate nor beyond U+10FFFF
            const unsigned char second = byte(i + 1);
            if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
                (lead == 0xf4 && second > 0x8f))
                return false;
        }
        i += more + 1;
    }
    return true;
}

class Writer {
public:
    template <class T>
    Writer& number(T value) {
        static_assert(std::is_arithmetic_v<T>);
        const auto* from = reinterpret_cast<const uint8_t*>(&value);
        bytes_.insert(bytes_.end(), from, from + sizeof value);
        return *this;
    }
    Writer& text(std::string_view value) {
        if (value.size() > most_text || !is_utf8(value)) throw Malformed("a text that cannot be sent");
        number(static_cast<uint32_t>(value.size()));
        bytes_.insert(bytes_.end(), value.begin(), value.end());
        return *this;
    }
    const std::vector<uint8_t>& bytes() const { return bytes_; }

private:
    std::vector<uint8_t> bytes_;
};

class Reader {
public:
    Reader(const uint8_t* data, size_t size) : at_(data), left_(size) {}
    explicit Reader(const std::vector<uint8_t>& bytes) : Reader(bytes.data(), bytes.size()) {}

    template <class T>
    T number() {
        static_assert(std::is_arithmetic_v<T>);
        T value;
        std::memcpy(&value, take(sizeof value), sizeof value);
        return value;
    }
    std::string text() {
        const auto size = number<uint32_t>();
        if (size > most_text) throw Malformed("a text of " + std::to_string(size) + " bytes");
        const auto* from = reinterpret_cast<const char*>(take(size));
        if (!is_utf8({from, size})) throw Malformed("a text that is no UTF-8");
        return {from, size};
    }
    std::vector<int64_t> frames() {
        const auto count = number<uint32_t>();
        if (count > most_items || count > left_ / sizeof(int64_t))
            throw Malformed("a list of " + std::to_string(count) + " frames");
        std::vector<int64_t> list(count);
        for (auto& frame : list) frame = number<int64_t>();
        return list;
    }
    void end() const {
        if (left_ != 0) throw Malformed(std::to_string(left_) + " bytes too many");
    }

private:
    const uint8_t* take(size_t size) {
        if (size > left_) throw Malformed("the message ends too early");
        const uint8_t* from = at_;
        at_ += size, left_ -= size;
        return from;
    }
    const uint8_t* at_;
    size_t left_;
};

// ---- what is sent

inline Writer hello(uint32_t pid, std::string_view engine, std::string_view host) {
    return Writer().number(pid).text(engine).text(host);
}
inline Writer attach(uint32_t surface, uint64_t bytes) { return Writer().number(surface).number(bytes); }
inline Writer attach_named(uint32_t surface, uint64_t bytes, std::string_view name) {
    return Writer().number(surface).number(bytes).text(name);
}
inline Writer detach(uint32_t surface) { return Writer().number(surface); }
inline Writer model(std::string_view model, std::string_view clip) { return Writer().text(model).text(clip); }
inline Writer needs(std::string_view model, std::string_view clip, int64_t frame) {
    return Writer().text(model).text(clip).number(frame);
}

struct Place {
    int64_t frame;
    uint32_t surface;
    uint64_t offset;
    uint64_t mark = 0;  // 0: unknown
};

struct Render {
    std::string model, clip;
    int64_t frame = 0;
    uint32_t width = 0, height = 0;
    float strength = 1;
    uint32_t flags = 0, view = 0;
    double scale = 0;
    std::vector<Place> pictures;
    uint32_t out_surface = 0;
    uint64_t out_offset = 0;
};

inline Writer render(const Render& r) {
    Writer to;
    to.text(r.model).text(r.clip).number(r.frame).number(r.width).number(r.height).number(r.strength);
    to.number(r.flags).number(r.view).number(r.scale).number(static_cast<uint32_t>(r.pictures.size()));
    for (const Place& place : r.pictures)
        to.number(place.frame).number(place.surface).number(place.offset).number(place.mark);
    return to.number(r.out_surface).number(r.out_offset);
}

inline Writer fit(std::string_view clip, std::string_view out, std::string_view preset, double minutes,
                  uint32_t flags) {
    return Writer().text(clip).text(out).text(preset).number(minutes).number(flags);
}
inline Writer fit_frame(uint64_t job, int64_t frame, uint32_t width, uint32_t height, double fps, uint32_t surface,
                        uint64_t offset) {
    return Writer().number(job).number(frame).number(width).number(height).number(fps).number(surface).number(offset);
}
inline Writer job(uint64_t number) { return Writer().number(number); }

// ---- what comes back

struct Welcome {
    uint32_t pid = 0;
    std::string engine, device, log;
    explicit Welcome(Reader from)
        : pid(from.number<uint32_t>()), engine(from.text()), device(from.text()), log(from.text()) {
        from.end();
    }
};

struct Error {
    uint32_t code = 0;
    std::string message, hint;
    explicit Error(Reader from) : code(from.number<uint32_t>()), message(from.text()), hint(from.text()) { from.end(); }
};

struct ModelInfo {
    std::string model, clip;
    uint32_t width = 0, height = 0;
    int64_t frames = 0;
    Curve curve = Curve::unknown;
    Route route = Route::none;
    uint64_t generation = 0;
    std::string note;
    ModelInfo() = default;
    explicit ModelInfo(Reader from) : model(from.text()), clip(from.text()) {
        width = from.number<uint32_t>(), height = from.number<uint32_t>();
        frames = from.number<int64_t>();
        const auto transfer = from.number<uint32_t>();
        const auto number = from.number<uint32_t>();
        generation = from.number<uint64_t>();
        note = from.text();
        from.end();
        if (transfer > 9 || number > 3) throw Malformed("a model of unknown transfer or route");
        curve = static_cast<Curve>(transfer), route = static_cast<Route>(number);
    }
};

struct Needed {
    uint32_t route = 0;
    std::vector<int64_t> frames;
    explicit Needed(Reader from) : route(from.number<uint32_t>()), frames(from.frames()) {
        from.end();
        if (route > 3) throw Malformed("an unknown route");
    }
};

struct Rendered {
    uint32_t flags = 0, references = 0, route = 0;
    uint32_t waited_us = 0, aligned_us = 0, restored_us = 0, total_us = 0;
    std::string note;
    explicit Rendered(Reader from) {
        for (uint32_t* field : {&flags, &references, &route, &waited_us, &aligned_us, &restored_us, &total_us})
            *field = from.number<uint32_t>();
        note = from.text();
        from.end();
        if (route > 3) throw Malformed("an unknown route");
    }
};

struct Job {
    uint64_t number = 0;
    explicit Job(Reader from) : number(from.number<uint64_t>()) { from.end(); }
};

enum class FitStage : uint32_t { waits = 0, runs = 1, done = 2, failed = 3, cancelled = 4 };

struct FitState {
    FitStage state = FitStage::waits;
    float share = 0;
    uint32_t code = 0;
    std::string stage, model, message;
    explicit FitState(Reader from) {
        const auto number = from.number<uint32_t>();
        share = from.number<float>();
        code = from.number<uint32_t>();
        stage = from.text(), model = from.text(), message = from.text();
        from.end();
        if (number > 4 || !(share >= 0 && share <= 1)) throw Malformed("an unknown state of a fit");
        state = static_cast<FitStage>(number);
    }
};

}  // namespace bridge::wire
