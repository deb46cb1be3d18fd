// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <cerrno>
#include <cstring>

#include "channel.h"
#include "failure.h"

#if !defined(MSG_NOSIGNAL)  // macOS: SO_NOSIGPIPE below does it
#define MSG_NOSIGNAL 0
#endif

namespace bridge {
namespace {

[[noreturn]] void lost(const char* what) { throw Lost(std::string("the engine's connection ended (") + what + ")"); }

// Whether `descriptor` is ready for `events` within `wait`.
bool ready(int descriptor, short events, std::chrono::milliseconds wait) {
    pollfd one{descriptor, events, 0};
    const int found = poll(&one, 1, static_cast<int>(wait.count()));
    if (found < 0 && errno != EINTR) lost(std::strerror(errno));
    return found > 0;
}

// The other side's user, and its process as the kernel knows it (-1 unknown).
bool peer_of(int socket, uid_t* user, int64_t* process) {
#if defined(__linux__)
    ucred who{};
    socklen_t size = sizeof who;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return false;
    *user = who.uid, *process = who.pid;
    return true;
#else
    gid_t group;
    if (getpeereid(socket, user, &group) != 0) return false;
    *process = -1;
#if defined(LOCAL_PEERPID)
    pid_t pid = -1;
    socklen_t size = sizeof pid;
    if (getsockopt(socket, SOL_LOCAL, LOCAL_PEERPID, &pid, &size) == 0) *process = pid;
#endif
    return true;
#endif
}

class Socket final : public Channel {
public:
    Socket(int socket, int64_t peer) : Channel(peer), socket_(socket) {
#if defined(__linux__) && defined(SYS_pidfd_open)
        if (peer > 0) peer_handle_ = static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(peer), 0));
#endif
    }

    ~Socket() override {
        ::close(socket_);
        if (peer_handle_ >= 0) ::close(peer_handle_);
    }

    size_t send(const uint8_t* data, size_t size, int descriptor, std::chrono::milliseconds wait) override {
        if (!ready(socket_, POLLOUT, wait)) return 0;
        iovec part{const_cast<uint8_t*>(data), size};
        msghdr message{};
        message.msg_iov = &part, message.msg_iovlen = 1;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        if (descriptor >= 0) {
            message.msg_control = control, message.msg_controllen = sizeof control;
            cmsghdr* head = CMSG_FIRSTHDR(&message);
            head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
        }
        const ssize_t sent = sendmsg(socket_, &message, MSG_NOSIGNAL);
        if (sent >= 0) return static_cast<size_t>(sent);
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
        lost(std::strerror(errno));
    }

    size_t receive(uint8_t* data, size_t size, std::chrono::milliseconds wait) override {
        if (!ready(socket_, POLLIN, wait)) return 0;
        // No room for control data: descriptors that a peer might send are dropped by the kernel.
        const ssize_t got = recv(socket_, data, size, 0);
        if (got > 0) return static_cast<size_t>(got);
        if (got == 0) lost("it closed");
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
        lost(std::strerror(errno));
    }

    bool ended() const override {
        pollfd one{socket_, POLLIN, 0};
        return poll(&one, 1, 0) != 0;
    }

    void kill_peer() const override {
#if defined(__linux__) && defined(SYS_pidfd_send_signal)
        if (peer_handle_ >= 0) {
            syscall(SYS_pidfd_send_signal, peer_handle_, SIGKILL, nullptr, 0);
            return;
        }
#endif
        if (peer() > 1) ::kill(static_cast<pid_t>(peer()), SIGKILL);
    }

private:
    const int socket_;
    int peer_handle_ = -1;
};

}  // namespace

std::unique_ptr<Channel> Channel::connect(const std::string& meeting) {
    const std::string address = meeting + ".sock";
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    if (address.size() >= sizeof where.sun_path)
        throw NoEngine("the path of the engine's socket is too long: " + address,
                       "set DEBLUR_RUNTIME_DIR to a short one");
    std::memcpy(where.sun_path, address.c_str(), address.size() + 1);
#if defined(SOCK_CLOEXEC)
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (socket >= 0) fcntl(socket, F_SETFD, FD_CLOEXEC);
#endif
    if (socket < 0) throw NoEngine(std::string("no socket: ") + std::strerror(errno));
#if defined(SO_NOSIGPIPE)
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    fcntl(socket, F_SETFL, O_NONBLOCK);
    // A full queue of a worker that hangs answers EAGAIN at once: the caller tries again until its deadline.
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
        ::close(socket);
        return nullptr;
    }
    uid_t user = 0;
    int64_t process = -1;
    if (!peer_of(socket, &user, &process) || user != geteuid()) {
        ::close(socket);
        throw Lost("who listens at " + address + " is another user");
    }
    return std::make_unique<Socket>(socket, process);
}

}  // namespace bridge
