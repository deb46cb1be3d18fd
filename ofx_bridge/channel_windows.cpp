// SPDX-License-Identifier: Apache-2.0
#include "windows_api.h"
// ^ before the rest
#include <algorithm>
#include <cstring>
#include <vector>

#include "channel.h"
#include "failure.h"
#include "platform.h"

namespace bridge {
namespace {

using std::chrono::milliseconds;
using namespace windows;

constexpr size_t most_at_once = 64 << 10;
constexpr wchar_t prefix[] = L"\\\\.\\pipe\\deblur-engine-";

[[noreturn]] void lost(DWORD error) { throw Lost("the engine's connection ended (" + said(error) + ")"); }

// The name that a worker wrote into the user's folder; "" where there is none, or what is no such name: a path to
// another machine's pipe, say.
std::wstring written_name(const std::string& path) {
    constexpr DWORD sharing = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    const Handle file(CreateFileW(wide(path).c_str(), GENERIC_READ, sharing, nullptr, OPEN_EXISTING, 0, nullptr));
    char text[128];
    DWORD size = 0;
    if (!file || !ReadFile(file.get(), text, sizeof text, &size, nullptr)) return L"";
    std::wstring name = wide(std::string(text, std::find(text, text + size, '\n')));
    const size_t begin = std::size(prefix) - 1;
    const bool ours = name.size() == begin + 32 && name.compare(0, begin, prefix) == 0 &&
                      name.find_first_not_of(L"0123456789abcdef", begin) == std::wstring::npos;
    return ours ? name : L"";
}

// One direction of a pipe. What has been begun goes on between two waits, with memory of its own: nobody may take the
// memory away from under the system.
class Transfer {
public:
    explicit Transfer(HANDLE pipe) : pipe_(pipe), done_(CreateEventW(nullptr, TRUE, FALSE, nullptr)) {
        if (!done_) throw Lost("no event: " + said(GetLastError()));
        state_.hEvent = done_.get();
    }
    ~Transfer() {
        DWORD moved = 0;
        if (pending_ && (CancelIoEx(pipe_, &state_) || GetLastError() == ERROR_NOT_FOUND))
            GetOverlappedResult(pipe_, &state_, &moved, TRUE);
    }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    bool pending() const { return pending_; }
    std::vector<uint8_t> bytes;

    void begin(bool writing) {
        const auto size = static_cast<DWORD>(bytes.size());
        const BOOL ended = writing ? WriteFile(pipe_, bytes.data(), size, nullptr, &state_)
                                   : ReadFile(pipe_, bytes.data(), size, nullptr, &state_);
        if (const DWORD error = GetLastError(); !ended && error != ERROR_IO_PENDING) lost(error);
        pending_ = true;
    }
    // How many bytes were moved, once that is known.
    size_t finish(milliseconds wait) {
        if (WaitForSingleObject(done_.get(), static_cast<DWORD>(wait.count())) == WAIT_TIMEOUT) return 0;
        DWORD moved = 0;
        pending_ = false;
        if (!GetOverlappedResult(pipe_, &state_, &moved, FALSE)) lost(GetLastError());
        return moved;
    }

private:
    const HANDLE pipe_;
    const Handle done_;
    OVERLAPPED state_{};
    bool pending_ = false;
};

class Pipe final : public Channel {
public:
    Pipe(Handle pipe, Handle process, DWORD peer)
        : Channel(peer), pipe_(std::move(pipe)), process_(std::move(process)), out_(pipe_.get()), in_(pipe_.get()) {}

    size_t send(const uint8_t* data, size_t size, int, milliseconds wait) override {
        if (!out_.pending()) {
            out_.bytes.assign(data, data + std::min(size, most_at_once));
            out_.begin(true);
        }
        return out_.finish(wait);
    }

    size_t receive(uint8_t* data, size_t size, milliseconds wait) override {
        if (at_ == filled_) {
            if (!in_.pending()) {
                in_.bytes.resize(most_at_once);
                in_.begin(false);
            }
            at_ = 0, filled_ = 0;
            filled_ = in_.finish(wait);
        }
        const size_t count = std::min(size, filled_ - at_);
        std::memcpy(data, in_.bytes.data() + at_, count);
        at_ += count;
        return count;
    }

    bool ended() const override {
        DWORD waiting = 0;
        return at_ != filled_ || in_.pending() || out_.pending() ||
               !PeekNamedPipe(pipe_.get(), nullptr, 0, nullptr, &waiting, nullptr) || waiting != 0;
    }

    void kill_peer() const override { TerminateProcess(process_.get(), 1); }

private:
    const Handle pipe_, process_;
    Transfer out_, in_;
    size_t at_ = 0, filled_ = 0;
};

}  // namespace

std::unique_ptr<Channel> Channel::connect(const std::string& meeting) {
    const std::wstring name = written_name(meeting + ".pipe");
    if (name.empty()) return nullptr;
    Handle pipe;
    for (int attempts = 20;; --attempts) {
        // The server may learn who this is, and not act in this user's name.
        pipe = Handle(CreateFileW(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                                  FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, nullptr));
        if (pipe) break;
        const DWORD error = GetLastError();
        if (error == ERROR_ACCESS_DENIED) throw Lost("who listens at " + meeting + ".pipe does not let this user in");
        if (error != ERROR_PIPE_BUSY || attempts == 0) return nullptr;
        WaitNamedPipeW(name.c_str(), 50);  // it takes in others just now
    }
    ULONG number = 0;
    if (!GetNamedPipeServerProcessId(pipe.get(), &number)) return nullptr;
    constexpr DWORD rights = PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE;
    Handle process(OpenProcess(rights | PROCESS_TERMINATE, FALSE, number));
    if (!process) process = Handle(OpenProcess(rights, FALSE, number));
    // As long as the other end is open its process is there, and the number nobody else's.
    if (!PeekNamedPipe(pipe.get(), nullptr, 0, nullptr, nullptr, nullptr)) return nullptr;
    const std::wstring user = process ? user_of(process.get()) : L"";
    if (user.empty() || user != user_of(GetCurrentProcess()))
        throw Lost("who listens at " + meeting + ".pipe is another user");
    return std::make_unique<Pipe>(std::move(pipe), std::move(process), number);
}

}  // namespace bridge
