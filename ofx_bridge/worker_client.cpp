// SPDX-License-Identifier: Apache-2.0
#include "worker_client.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "log.h"
#include "platform.h"

namespace bridge {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t most_idle = 16;
constexpr seconds idle_for{60};
constexpr seconds model_is_fresh{1};
constexpr milliseconds look_again{20};

std::mutex& workers_mutex() {
    static std::mutex mutex;
    return mutex;
}
std::map<std::string, std::unique_ptr<Worker>>& workers() {
    static std::map<std::string, std::unique_ptr<Worker>> all;
    return all;
}

}  // namespace

milliseconds setting(const char* name, double otherwise) {
    const char* text = std::getenv(name);
    const double value = text ? std::atof(text) : 0;
    return milliseconds(static_cast<int64_t>((value > 0 ? value : otherwise) * 1000));
}

Lease::~Lease() {
    if (connection_) worker_->give_back(std::move(connection_));
}

Worker& Worker::of(const std::string& device) {
    const std::lock_guard<std::mutex> lock(workers_mutex());
    auto& worker = workers()[device];
    if (!worker) worker.reset(new Worker(device));
    return *worker;
}

void Worker::forget_idle() {
    const std::lock_guard<std::mutex> lock(workers_mutex());
    for (auto& [device, worker] : workers()) {
        const std::lock_guard<std::mutex> inner(worker->mutex_);
        worker->idle_.clear();
        worker->models_.clear();
    }
}

std::string Worker::log_path() const { return platform::runtime_folder() + "/worker-1-" + device_ + ".log"; }

void Worker::log(const std::string& line) const {
    try {
        write_log(log_path(), line);
    } catch (const Failure&) {  // without a folder there is no log
    }
}

void Worker::give_back(std::unique_ptr<Connection> connection) {
    if (connection->broken()) {
        connection.reset();
        return;
    }
    connection->used = Clock::now();
    std::vector<std::unique_ptr<Connection>> old;  // closed after the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(connection));
    const auto stale = std::stable_partition(idle_.begin(), idle_.end(),
                                             [](const auto& each) { return Clock::now() - each->used < idle_for; });
    std::move(stale, idle_.end(), std::back_inserter(old));
    idle_.erase(stale, idle_.end());
    if (idle_.size() > most_idle) {
        old.push_back(std::move(idle_.front()));
        idle_.erase(idle_.begin());
    }
}

std::unique_ptr<Connection> Worker::idle(uint64_t key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (!idle_.empty()) {
        auto found = std::find_if(idle_.rbegin(), idle_.rend(), [&](const auto& each) { return each->key == key; });
        const auto at = found == idle_.rend() ? idle_.end() - 1 : found.base() - 1;
        auto connection = std::move(*at);
        idle_.erase(at);
        // Of a worker that has left, or that somebody ended, in the meantime: no loss.
        if (connection->usable()) return connection;
    }
    return nullptr;
}

Lease Worker::lease(uint64_t key, const Patience& patience) {
    auto connection = idle(key);
    if (!connection) connection = open(patience);
    connection->key = key;
    return Lease(*this, std::move(connection));
}

std::unique_ptr<Connection> Worker::open(const Patience& patience) {
    const std::string meeting = platform::runtime_folder() + "/worker-1-" + device_;
    const auto greet = [&]() -> std::unique_ptr<Connection> {
        auto channel = Channel::connect(meeting);
        return channel ? std::make_unique<Connection>(std::move(channel), patience) : nullptr;
    };
    try {
        if (auto connection = greet()) return connection;
    } catch (const Lost& error) {  // it left, or hung, or is none of ours: start another
        log(error.whole());
    }
    std::unique_lock<std::mutex> start(starting_, std::defer_lock);
    for (;; std::this_thread::sleep_for(look_again)) {
        patience.check();
        if (!start.try_lock()) continue;
        if (may_start(patience)) break;
        start.unlock();  // who cannot wait so long does not wait for this thread either
    }
    try {
        const auto end = Clock::now() + setting("DEBLUR_START_SECONDS", 20);
        int64_t process = 0;
        std::string reason = "the engine did not begin to listen";
        bool gone = false;
        milliseconds pause = look_again;
        for (;;) {
            patience.check();
            try {
                if (auto connection = greet()) return connection;  // perhaps another thread's, or another editor's
            } catch (const Lost& error) {
                reason = error.whole();
                pause = std::min(2 * pause, milliseconds(1000));  // whoever listens there is none of ours
            }
            if (process == 0) {
                const std::string program = platform::engine_program();
                log("starts " + program + " serve --device " + device_);
                started_.erase(std::remove_if(started_.begin(), started_.end(),
                                              [](int64_t each) { return !platform::ending(each).empty(); }),
                               started_.end());
                process = platform::start(program, device_, log_path());
                started_.push_back(process);
            } else if (!gone) {
                const std::string ending = platform::ending(process);
                gone = !ending.empty();
                if (gone) started_.pop_back();
                // With code 0 it has found another one, which may not listen yet.
                if (gone && ending != "it ended with code 0")
                    throw NoEngine("the engine could not be started: " + ending, "see " + log_path());
            }
            if (Clock::now() > end) throw NoEngine(reason, "see " + log_path());
            for (const auto until = Clock::now() + pause; Clock::now() < until; std::this_thread::sleep_for(look_again))
                patience.check();
        }
    } catch (const Aborted&) {
        throw;
    } catch (const Failure& error) {
        log(error.whole());
        const std::lock_guard<std::mutex> lock(mutex_);
        last_reason_ = error.whole();
        failures_ = std::min(failures_ + 1, 7);
        not_before_ = Clock::now() + setting("DEBLUR_BACKOFF_SECONDS", 1) * std::min(1 << (failures_ - 1), 60);
        if (dynamic_cast<const NoEngine*>(&error) != nullptr) throw;
        throw NoEngine(error.whole());
    }
}

bool Worker::may_start(const Patience& patience) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto left = std::chrono::duration_cast<milliseconds>(not_before_ - Clock::now());
    if (left > patience.pause)
        throw NoEngine(last_reason_, "the next attempt is in " + std::to_string(left.count() / 1000 + 1) + " s");
    return left.count() <= 0;
}

void Worker::died(int64_t process, const std::string& reason) {
    log(reason);
    const std::lock_guard<std::mutex> lock(mutex_);
    models_.clear();
    if (process > 0 && process == dead_) return;
    dead_ = process;
    // The first time another one is started at once; one that never gets a frame done is not started for each frame.
    failures_ = std::min(failures_ + 1, 7);
    if (failures_ < 2) return;
    last_reason_ = reason;
    not_before_ = Clock::now() + setting("DEBLUR_BACKOFF_SECONDS", 1) * std::min(1 << (failures_ - 2), 60);
}

void Worker::worked() {
    const std::lock_guard<std::mutex> lock(mutex_);
    failures_ = 0;
    not_before_ = {};
}

void Worker::try_again_at_once() { worked(); }

wire::ModelInfo Worker::model(Connection& connection, const std::string& model, const std::string& clip,
                              const Patience& patience) {
    const std::string key = model + '\n' + clip;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = models_.find(key);
        if (found != models_.end() && found->second.process == connection.worker_process() &&
            Clock::now() - found->second.when < model_is_fresh)
            return found->second.info;
    }
    const auto payload = connection.ask(wire::Type::model, wire::model(model, clip), wire::Type::model_info, patience);
    wire::ModelInfo info{wire::Reader(payload)};
    const std::lock_guard<std::mutex> lock(mutex_);
    if (models_.size() > 64) models_.clear();
    models_[key] = {info, connection.worker_process(), Clock::now()};
    return info;
}

void Worker::forget_models() {
    const std::lock_guard<std::mutex> lock(mutex_);
    models_.clear();
}

}  // namespace bridge
