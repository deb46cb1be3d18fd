// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "platform.h"
#include "worker_client.h"

namespace bridge {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds step{20};  // between two looks at whether the host still wants the frame

std::string& host_name() {
    static std::string name;
    return name;
}
std::mutex& host_mutex() {
    static std::mutex mutex;
    return mutex;
}

}  // namespace

void Worker::set_host(const std::string& name) {
    const std::lock_guard<std::mutex> lock(host_mutex());
    host_name() = name.substr(0, 200);
}

Connection::Connection(std::unique_ptr<Channel> channel, const Patience& patience)
    : channel_(std::move(channel)), last_sign_(Clock::now()) {
    std::string host;
    {
        const std::lock_guard<std::mutex> lock(host_mutex());
        host = host_name();
    }
    if (!wire::is_utf8(host)) host.clear();
    const auto payload = ask(wire::Type::hello, wire::hello(platform::process_id(), DEBLUR_VERSION, host),
                             wire::Type::welcome, patience);
    try {
        welcome_ = std::make_unique<wire::Welcome>(wire::Reader(payload));
    } catch (const wire::Malformed& error) {
        throw Lost(std::string("the engine's greeting is no message: ") + error.what());
    }
}

std::vector<uint8_t> Connection::ask(wire::Type type, const wire::Writer& payload, wire::Type answer,
                                     const Patience& patience, int descriptor) {
    if (broken_) throw Lost("the engine's connection has ended");
    const auto end = Clock::now() + patience.limit;
    const std::vector<uint8_t>& body = payload.bytes();
    const wire::Header question{
        wire::magic, wire::version, static_cast<uint16_t>(type), static_cast<uint32_t>(body.size()), 0, ++sequence_};
    std::vector<uint8_t> bytes(sizeof question + body.size());
    std::memcpy(bytes.data(), &question, sizeof question);
    std::copy(body.begin(), body.end(), bytes.begin() + sizeof question);
    broken_ = true;  // until the answer is there: whatever is thrown on the way leaves it in the middle of something
    last_sign_ = Clock::now();
    send(bytes, descriptor, patience, end);
    for (;;) {
        wire::Header head;
        receive(reinterpret_cast<uint8_t*>(&head), sizeof head, patience, end);
        if (head.magic != wire::magic) throw Lost("what listens there is no engine of ours");
        if (head.version != wire::version)
            throw Lost("the engine speaks version " + std::to_string(head.version) + " of the protocol, the plug-in " +
                       std::to_string(wire::version) + ": run deblur-engine plugin install");
        if (head.length > wire::most_payload || head.reserved != 0) throw Lost("the engine sent what is no message");
        std::vector<uint8_t> content(head.length);
        receive(content.data(), content.size(), patience, end);
        const auto kind = static_cast<wire::Type>(head.type);
        if ((kind == wire::Type::alive || kind == wire::Type::done) && !content.empty())
            throw Lost("the engine sent what is no message");
        if (kind == wire::Type::error && (head.sequence == sequence_ || head.sequence == 0)) {
            try {
                const wire::Error error{wire::Reader(content)};
                if (head.sequence == 0 || error.code == wire::code_bad_message) throw Lost(error.message);
                broken_ = false;
                throw Refused(error.code, error.message, error.hint);
            } catch (const wire::Malformed& error) {
                throw Lost(std::string("the engine's error is no message: ") + error.what());
            }
        }
        if (head.sequence != sequence_ || kind == wire::Type::alive) {
            patience.check();  // who sends without end must not keep the host from ending it
            continue;
        }
        if (kind != answer)
            throw Lost("the engine answered with a message of type " + std::to_string(head.type) + " instead of " +
                       std::to_string(static_cast<int>(answer)));
        broken_ = false;
        return content;
    }
}

void Connection::wait_step(const Patience& patience, Clock::time_point end) {
    patience.check();
    const auto now = Clock::now();
    if (now - last_sign_ > setting("DEBLUR_SILENCE_SECONDS", 10)) {
        channel_->kill_peer();
        throw Lost("the engine did not answer any more and was ended");
    }
    if (now > end)
        throw Failure("the engine needed more than " + std::to_string(patience.limit.count() / 1000) + " seconds");
}

void Connection::send(const std::vector<uint8_t>& bytes, int descriptor, const Patience& patience,
                      Clock::time_point end) {
    for (size_t done = 0; done < bytes.size();) {
        const size_t sent = channel_->send(bytes.data() + done, bytes.size() - done, descriptor, step);
        if (sent > 0) {
            descriptor = -1;
            last_sign_ = Clock::now();
        } else {
            wait_step(patience, end);
        }
        done += sent;
    }
}

void Connection::receive(uint8_t* data, size_t size, const Patience& patience, Clock::time_point end) {
    for (size_t done = 0; done < size;) {
        const size_t got = channel_->receive(data + done, size - done, step);
        if (got > 0) last_sign_ = Clock::now();
        if (got == 0 || Clock::now() > end) wait_step(patience, end);
        done += got;
    }
}

void Connection::reserve(size_t count, size_t bytes, const Patience& patience) {
    bytes = (bytes + 4095) & ~size_t{4095};
    if (memory_ && slot_bytes_ == bytes && held_.size() >= count) return;
    if (memory_) {
        ask(wire::Type::detach, wire::detach(surface), wire::Type::done, patience);
        held_.clear();
        memory_.reset();  // before there is a second one
    }
    memory_ = std::make_unique<SharedMemory>(count * bytes);
    try {
        slot_bytes_ = bytes;
        held_.assign(count, {});
        if (memory_->name().empty()) {
            ask(wire::Type::attach, wire::attach(surface, memory_->bytes()), wire::Type::done, patience,
                memory_->descriptor());
        } else {
            ask(wire::Type::attach_named, wire::attach_named(surface, memory_->bytes(), memory_->name()),
                wire::Type::done, patience);
        }
    } catch (...) {
        broken_ = true;  // what this side has and what the other side has are not the same
        throw;
    }
}

}  // namespace bridge
