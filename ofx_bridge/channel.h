// SPDX-License-Identifier: Apache-2.0
// One connection to the process that listens at an address, which must belong to the same user. Nothing here blocks
// for longer than it is told to, and nothing raises a signal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace bridge {

class Channel {
public:
    // Null where nobody listens; throws Lost if who listens is not this user.
    static std::unique_ptr<Channel> connect(const std::string& address);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // How many bytes went out within `wait`; 0 if none could. `descriptor` >= 0 goes with the first of them.
    // Both throw Lost when the other side is gone.
    size_t send(const uint8_t* data, size_t size, int descriptor, std::chrono::milliseconds wait);
    size_t receive(uint8_t* data, size_t size, std::chrono::milliseconds wait);

    bool ended() const;  // the other side has closed, or sent what nobody asked for
    int64_t peer() const { return peer_; }
    void kill_peer() const;  // the very process that was connected to, never one that got its number later

private:
    Channel(int socket, int64_t peer);
    int socket_;
    int64_t peer_;
    int peer_handle_ = -1;
};

}  // namespace bridge
