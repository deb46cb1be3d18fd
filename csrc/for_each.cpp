// SPDX-License-Identifier: Apache-2.0
#include "for_each.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace deblur {
namespace {

int processors() {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

// One call of for_each: threads take pieces by counting `next` up, so that a slow piece delays nobody.
struct Job {
    Job(int64_t count_, int64_t grain_, const std::function<void(int64_t, int64_t)>& body_)
        : count(count_), grain(grain_), body(body_) {}

    void work() {
        for (;;) {
            const int64_t begin = next.fetch_add(grain);
            if (begin >= count) return;
            const int64_t end = std::min(begin + grain, count);
            try {
                body(begin, end);
            } catch (...) {
                const std::lock_guard<std::mutex> lock(mutex);
                if (!error) error = std::current_exception();
            }
            if (done.fetch_add(end - begin) + (end - begin) == count) {
                const std::lock_guard<std::mutex> lock(mutex);
                finished.notify_all();
            }
        }
    }

    const int64_t count, grain;
    // Outlived by the Job where a helper wakes late; such a helper finds no piece left and never calls it.
    const std::function<void(int64_t, int64_t)>& body;
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
    std::exception_ptr error;
};

// Helpers that sleep between jobs. Several callers may share them: a caller always works on its own job, so that it
// ends even when every helper is busy elsewhere.
class Pool {
public:
    void invite(const std::shared_ptr<Job>& job, int helpers) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            try {
                while (size_ < helpers) {
                    std::thread([this] { serve(); }).detach();
                    ++size_;
                }
            } catch (const std::system_error&) {
                // The system gives no more threads: those that there are, or the caller alone, do the work.
            }
            for (int i = 0; i < std::min(helpers, size_); ++i) jobs_.push_back(job);
        }
        if (helpers == 1) {
            wake_.notify_one();
        } else {
            wake_.notify_all();
        }
    }

private:
    void serve() {
        for (;;) {
            std::shared_ptr<Job> job;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [this] { return !jobs_.empty(); });
                job = std::move(jobs_.front());
                jobs_.pop_front();
            }
            job->work();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::shared_ptr<Job>> jobs_;
    int size_ = 0;
};

std::atomic<Pool*> current{nullptr};

// Pools are never destroyed: their threads may outlast static destruction. A forked child inherits the memory of the
// pool but none of its threads, so it starts one of its own.
Pool& pool() {
    static const bool started = [] {
        current = new Pool;
#if !defined(_WIN32)
        pthread_atfork(nullptr, nullptr, [] { current = new Pool; });
#endif
        return true;
    }();
    (void)started;
    return *current.load();
}

}  // namespace

int allowed_threads(int asked) {
    int threads = processors();
    if (const char* text = std::getenv("OMP_NUM_THREADS")) {
        const int wanted = std::atoi(text);
        if (wanted > 0) threads = wanted;  // more than there are processors is the user's choice
    }
    return asked > 0 ? std::min(asked, threads) : threads;
}

void for_each(int64_t count, int64_t grain, int threads, const std::function<void(int64_t, int64_t)>& body) {
    if (count <= 0) return;
    grain = std::max<int64_t>(1, grain);
    const int64_t pieces = (count + grain - 1) / grain;
    const int helpers = static_cast<int>(std::min<int64_t>(threads, pieces)) - 1;
    if (helpers <= 0) {
        body(0, count);
        return;
    }
    const auto job = std::make_shared<Job>(count, grain, body);
    pool().invite(job, helpers);
    job->work();
    std::unique_lock<std::mutex> lock(job->mutex);
    job->finished.wait(lock, [&] { return job->done.load() == count; });
    if (job->error) std::rethrow_exception(job->error);
}

}  // namespace deblur
