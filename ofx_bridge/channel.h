// SPDX-License-Identifier: Apache-2.0
// One connection to the process that listens at a meeting place, which must belong to the same user. Nothing here
// blocks for longer than it is told to, and nothing raises a signal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace bridge {

class Channel {
public:
    // `meeting`: the path in docs/wire.md without its ending (.sock, .pipe). Null where nobody listens; throws Lost if
    // who listens is not this user.
    static std::unique_ptr<Channel> connect(const std::string& meeting);
    virtual ~Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // How many bytes went out within `wait`; 0 if none could: then the next call has to bring the same bytes.
    // `descriptor` >= 0 goes with the first of them. Both throw Lost when the other side is gone.
    virtual size_t send(const uint8_t* data, size_t size, int descriptor, std::chrono::milliseconds wait) = 0;
    virtual size_t receive(uint8_t* data, size_t size, std::chrono::milliseconds wait) = 0;

    virtual bool ended() const = 0;      // the other side has closed, or sent what nobody asked for
    virtual void kill_peer() const = 0;  // the very process that was connected to, never one that got its number later
    int64_t peer() const { return peer_; }

protected:
    explicit Channel(int64_t peer) : peer_(peer) {}

private:
    const int64_t peer_;
};

}  // namespace bridge
