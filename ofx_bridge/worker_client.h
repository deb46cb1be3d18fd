// SPDX-License-Identifier: Apache-2.0
// The client's side of docs/wire.md. Workers and connections belong to the process: some hosts make an instance of the
// effect for every single frame.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "channel.h"
#include "failure.h"
#include "pixels.h"
#include "shared_memory.h"
#include "wire.h"

namespace bridge {

using Clock = std::chrono::steady_clock;

// Seconds from the environment, for tests.
std::chrono::milliseconds setting(const char* name, double otherwise);

// How long a request may take in all, who may end it sooner, and how long it waits until an engine that was lost or
// could not be started may be tried again: 0 where somebody looks on, who is shown the source meanwhile.
struct Patience {
    std::chrono::milliseconds limit{60'000};
    std::function<bool()> aborted;
    std::chrono::milliseconds pause{0};

    void check() const {
        if (aborted && aborted()) throw Aborted();
    }
};

// What a slot of a surface holds, so that a picture that is there already is not copied again.
struct Held {
    std::string what;  // "" nothing that may be used again
    int64_t frame = 0;
    Taken taken;
};

class Worker;

// One connection, for one thread at a time, with its pictures: one surface that is cut into equal slots.
class Connection {
public:
    Connection(std::unique_ptr<Channel> channel, const Patience& patience);

    // Sends a request and gives its answer's payload. Throws Refused for the worker's ERROR, Aborted, or Lost.
    std::vector<uint8_t> ask(wire::Type type, const wire::Writer& payload, wire::Type answer, const Patience& patience,
                             int descriptor = -1);

    // At least `count` slots of `bytes` each. What they held is gone if they had to be made anew.
    void reserve(size_t count, size_t bytes, const Patience& patience);
    float* slot(size_t number) const { return reinterpret_cast<float*>(memory_->data() + number * slot_bytes_); }
    uint64_t offset(size_t number) const { return number * slot_bytes_; }
    std::vector<Held>& held() { return held_; }
    static constexpr uint32_t surface = 1;

    bool usable() const { return !broken_ && !channel_->ended(); }
    bool broken() const { return broken_; }
    int64_t worker_process() const { return channel_->peer(); }
    const wire::Welcome& welcome() const { return *welcome_; }

    Clock::time_point used = Clock::now();
    uint64_t key = 0;  // who used it last

private:
    void send(const std::vector<uint8_t>& bytes, int descriptor, const Patience& patience, Clock::time_point end);
    void receive(uint8_t* data, size_t size, const Patience& patience, Clock::time_point end);
    void wait_step(const Patience& patience, Clock::time_point end);

    std::unique_ptr<Channel> channel_;
    std::unique_ptr<wire::Welcome> welcome_;
    std::unique_ptr<SharedMemory> memory_;
    size_t slot_bytes_ = 0;
    std::vector<Held> held_;
    uint64_t sequence_ = 0;
    Clock::time_point last_sign_;
    bool broken_ = false;
};

// A connection on loan; it goes back by itself, unless something went wrong with it.
class Lease {
public:
    Lease(Worker& worker, std::unique_ptr<Connection> connection)
        : worker_(&worker), connection_(std::move(connection)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Connection* operator->() const { return connection_.get(); }
    Connection& operator*() const { return *connection_; }
    void drop() { connection_.reset(); }

private:
    Worker* worker_;
    std::unique_ptr<Connection> connection_;
};

// The worker of one device: its connections, how it is started, and when it may be tried again.
class Worker {
public:
    static Worker& of(const std::string& device);   // auto, cpu, cuda
    static void forget_idle();                      // closes the connections that nobody uses
    static void set_host(const std::string& name);  // for HELLO

    // A connection, from those at hand if possible, the one that `key` used last first. Throws NoEngine or Aborted.
    Lease lease(uint64_t key, const Patience& patience);
    void try_again_at_once();  // ends the pause after failed starts
    void worked();             // a frame was made: the worker is well
    // It was lost in the middle of a request. Every thread that loses the same process says so; it counts once.
    void died(int64_t process, const std::string& reason);

    // What MODEL said, asked again after a second or on another worker.
    wire::ModelInfo model(Connection& connection, const std::string& model, const std::string& clip,
                          const Patience& patience);
    void forget_models();

    std::string log_path() const;
    void log(const std::string& line) const;

private:
    friend class Lease;
    explicit Worker(std::string device) : device_(std::move(device)) {}
    void give_back(std::unique_ptr<Connection> connection);
    std::unique_ptr<Connection> idle(uint64_t key);
    std::unique_ptr<Connection> open(const Patience& patience);
    bool may_start(const Patience& patience) const;  // throws NoEngine where the pause is longer than the patience

    struct Known {
        wire::ModelInfo info;
        int64_t process;
        Clock::time_point when;
    };

    const std::string device_;
    std::mutex starting_;           // held while a worker is started: one thread does it, the others wait
    std::vector<int64_t> started_;  // processes that nobody has waited for yet; with `starting_`
    mutable std::mutex mutex_;      // over all that follows
    std::vector<std::unique_ptr<Connection>> idle_;
    std::map<std::string, Known> models_;
    int failures_ = 0;
    int64_t dead_ = -1;  // the process that was lost last
    Clock::time_point not_before_{};
    std::string last_reason_;
};

}  // namespace bridge
