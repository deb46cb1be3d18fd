// SPDX-License-Identifier: Apache-2.0
// Which objects of one kind there are: every handle that a plug-in hands in is looked up before it is followed.
#pragma once

#include <set>
#include <shared_mutex>
#include <string>

#include "record.h"

namespace host {

class Living {
public:
    explicit Living(const char* what) : what_(what) {}

    void enter(const void* it) {
        const std::unique_lock<std::shared_mutex> lock(mutex_);
        all_.insert(it);
    }
    void leave(const void* it) {
        const std::unique_lock<std::shared_mutex> lock(mutex_);
        all_.erase(it);
    }
    // False, and a violation, for a handle that is none.
    bool has(const void* it) const {
        {
            const std::shared_lock<std::shared_mutex> lock(mutex_);
            if (all_.count(it) != 0) return true;
        }
        violation(what_ + (it ? " that is not, or no longer, there" : " that is NULL"));
        return false;
    }

private:
    const std::string what_;
    mutable std::shared_mutex mutex_;
    std::set<const void*> all_;
};

}  // namespace host
