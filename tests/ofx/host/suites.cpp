// SPDX-License-Identifier: Apache-2.0
// The suites that a host may leave out: messages, progress, memory, threads.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "effect.h"

namespace host {
namespace {

using ofx::Status;

std::string formatted(const char* form, va_list list) {
    char text[4096];
    std::vsnprintf(text, sizeof text, form, list);
    return text;
}

Status message(void* handle, const char* type, const char*, const char* form, ...) {
    if (handle != nullptr && Effect::of(handle) == nullptr) return ofx::stat_err_bad_handle;
    va_list list;
    va_start(list, form);
    const std::string text = formatted(form, list);
    va_end(list);
    if (InAction* action = InAction::current()) {
        const std::lock_guard<std::mutex> lock(action->record->mutex);
        action->record->messages.push_back(std::string(type) + ": " + text);
    }
    return ofx::stat_ok;
}

Instance* instance_of(void* handle) { return dynamic_cast<Instance*>(Effect::of(handle)); }

Status set_persistent(void* handle, const char* type, const char*, const char* form, ...) {
    Instance* instance = instance_of(handle);
    if (instance == nullptr) return ofx::stat_err_bad_handle;
    va_list list;
    va_start(list, form);
    instance->set_message({type, formatted(form, list), true});
    va_end(list);
    return ofx::stat_ok;
}

Status clear_persistent(void* handle) {
    Instance* instance = instance_of(handle);
    if (instance == nullptr) return ofx::stat_err_bad_handle;
    instance->set_message({});
    return ofx::stat_ok;
}

Status progress_start(void* handle, const char*) {
    return instance_of(handle) ? ofx::stat_ok : ofx::stat_err_bad_handle;
}
Status progress_update(void* handle, double share) {
    Instance* instance = instance_of(handle);
    InAction* action = InAction::current();
    if (instance == nullptr || action == nullptr) return ofx::stat_err_bad_handle;
    if (!(share >= 0 && share <= 1)) violation("progress of " + std::to_string(share));
    const std::lock_guard<std::mutex> lock(action->record->mutex);
    action->record->progress = share;
    const int count = ++action->record->progress_updates;
    return instance->cancel_at >= 0 && count > instance->cancel_at ? ofx::stat_reply_no : ofx::stat_reply_yes;
}
Status progress_end(void* handle) { return instance_of(handle) ? ofx::stat_ok : ofx::stat_err_bad_handle; }

Status memory_alloc(void*, size_t bytes, void** out) {
    *out = std::malloc(bytes);
    return *out ? ofx::stat_ok : ofx::stat_err_memory;
}
Status memory_free(void* memory) { return std::free(memory), ofx::stat_ok; }

thread_local int thread_index = -1;

Status in_threads(ofx::ThreadFunction* function, unsigned int count, void* argument) {
    std::vector<std::thread> threads;
    for (unsigned int i = 0; i < count; ++i)
        threads.emplace_back([=] {
            thread_index = static_cast<int>(i);
            function(i, count, argument);
        });
    for (auto& thread : threads) thread.join();
    return ofx::stat_ok;
}
Status processors(unsigned int* count) { return *count = 2, ofx::stat_ok; }
Status index_of_thread(unsigned int* index) {
    if (thread_index < 0) return ofx::stat_failed;
    *index = static_cast<unsigned int>(thread_index);
    return ofx::stat_ok;
}
int is_spawned() { return thread_index >= 0; }
std::recursive_mutex* mutex_of(void* handle) { return static_cast<std::recursive_mutex*>(handle); }
Status mutex_create(void** out, int) { return *out = new std::recursive_mutex, ofx::stat_ok; }
Status mutex_destroy(void* handle) { return delete mutex_of(handle), ofx::stat_ok; }
Status mutex_lock(void* handle) { return mutex_of(handle)->lock(), ofx::stat_ok; }
Status mutex_unlock(void* handle) { return mutex_of(handle)->unlock(), ofx::stat_ok; }
Status mutex_try(void* handle) { return mutex_of(handle)->try_lock() ? ofx::stat_ok : ofx::stat_failed; }

}  // namespace

const void* suite(const Manner& manner, const std::string& name, int version) {
    static const ofx::MessageSuiteV1 message_1 = {message};
    static const ofx::MessageSuiteV2 message_2 = {message, set_persistent, clear_persistent};
    static const ofx::ProgressSuiteV1 progress = {progress_start, progress_update, progress_end};
    static const ofx::MemorySuiteV1 memory = {memory_alloc, memory_free};
    static const ofx::MultiThreadSuiteV1 threads = {in_threads, processors,   index_of_thread,
                                                    is_spawned, mutex_create, mutex_destroy,
                                                    mutex_lock, mutex_unlock, mutex_try};
    if (name == ofx::suite_property && version == 1) return &property_suite();
    if (name == ofx::suite_parameter && version == 1) return &parameter_suite();
    if (name == ofx::suite_image_effect && version == 1) return &image_effect_suite();
    if (name == ofx::suite_message && version == 1 && manner.message_v1) return &message_1;
    if (name == ofx::suite_message && version == 2 && manner.message_v2) return &message_2;
    if (name == ofx::suite_progress && version == 1 && manner.progress) return &progress;
    if (manner.threads_forbidden && (name == ofx::suite_memory || name == ofx::suite_multi_thread)) {
        violation("asks for " + name + ", at which such a host ends itself");
        return nullptr;
    }
    if (name == ofx::suite_memory && version == 1 && manner.memory) return &memory;
    if (name == ofx::suite_multi_thread && version == 1 && manner.multi_thread) return &threads;
    return nullptr;
}

}  // namespace host
