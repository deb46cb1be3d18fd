// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "failure.h"
#include "platform.h"

extern char** environ;

namespace bridge::platform {
namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

bool is_program(const std::string& path) {
    struct stat facts{};
    return stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::string on_the_path(const std::string& name) {
    const std::string folders = variable("PATH");
    for (size_t from = 0; from <= folders.size();) {
        const size_t to = std::min(folders.find(':', from), folders.size());
        const std::string folder = folders.substr(from, to - from);
        if (!folder.empty() && is_program(folder + "/" + name)) return folder + "/" + name;
        from = to + 1;
    }
    return "";
}

// .../DeblurEngine.ofx.bundle/Contents, from where this code was loaded from.
std::string bundle_contents() {
    Dl_info here{};
    if (dladdr(reinterpret_cast<const void*>(&bundle_contents), &here) == 0 || here.dli_fname == nullptr) return "";
    std::string path = here.dli_fname;
    for (int up = 0; up < 2; ++up) {
        const size_t slash = path.rfind('/');
        if (slash == std::string::npos) return "";
        path.resize(slash);
    }
    return path;
}

// What an editor sets for its own Python and libraries breaks those of the engine.
bool is_the_hosts_own(const char* entry) {
    for (const char* name : {"PYTHONHOME=", "PYTHONPATH=", "PYTHONSTARTUP=", "LD_LIBRARY_PATH=", "LD_PRELOAD=",
                             "DYLD_LIBRARY_PATH=", "DYLD_INSERT_LIBRARIES="})
        if (std::strncmp(entry, name, std::strlen(name)) == 0) return true;
    return false;
}

// A pipe that no program started here inherits. One that the host starts meanwhile would keep it open, and this process
// waiting at it: so the flag is there from the start, where the system can do that.
bool closing_pipe(int (&ends)[2]) {
#if defined(__linux__)
    return pipe2(ends, O_CLOEXEC) == 0;
#else
    return pipe(ends) == 0 && fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0;
#endif
}

// In the child of a fork, where only calls may be made that a signal handler may make too.
void close_all_but_standard(int keep, int most) {
#if defined(__linux__) && defined(SYS_close_range)
    if (syscall(SYS_close_range, 3u, static_cast<unsigned>(keep - 1), 0u) == 0 &&
        syscall(SYS_close_range, static_cast<unsigned>(keep + 1), ~0u, 0u) == 0)
        return;
#endif
    for (int file = 3; file < most; ++file)
        if (file != keep) close(file);
}

}  // namespace

std::string runtime_folder() {
    std::string folder = variable("DEBLUR_RUNTIME_DIR");
    if (folder.empty() && !variable("XDG_RUNTIME_DIR").empty()) folder = variable("XDG_RUNTIME_DIR") + "/deblur-engine";
    if (folder.empty()) folder = "/tmp/deblur-engine-" + std::to_string(geteuid());
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        throw NoEngine("the folder " + folder + " cannot be made: " + std::strerror(errno), "set DEBLUR_RUNTIME_DIR");
    struct stat facts{};
    if (lstat(folder.c_str(), &facts) != 0 || !S_ISDIR(facts.st_mode) || facts.st_uid != geteuid() ||
        (facts.st_mode & 077) != 0)
        throw NoEngine("the folder " + folder + " is a link, another user's, or open to others",
                       "remove it, or set DEBLUR_RUNTIME_DIR to a folder of mode 0700");
    return folder;
}

std::string data_folder() {
    if (const std::string named = variable("XDG_DATA_HOME"); !named.empty()) return named;
    const std::string home = variable("HOME");
#if defined(__APPLE__)
    return home.empty() ? "" : home + "/Library/Application Support";
#else
    return home.empty() ? "" : home + "/.local/share";
#endif
}

std::string engine_program() {
    const std::string named = variable("DEBLUR_ENGINE");
    if (!named.empty()) {
        const std::string found = named.find('/') == std::string::npos ? on_the_path(named) : named;
        if (is_program(found)) return found;
        throw NoEngine("DEBLUR_ENGINE is " + named + ", which is no program");
    }
    std::ifstream note(bundle_contents() + "/Resources/engine");
    std::string line;
    if (std::getline(note, line) && !line.empty()) {
        if (is_program(line)) return line;
        throw NoEngine("the engine is no longer at " + line, "run: deblur-engine plugin install");
    }
    const std::string found = on_the_path("deblur-engine");
    if (found.empty())
        throw NoEngine("deblur-engine is not installed",
                       "pip install deblur-engine, then: deblur-engine plugin install");
    return found;
}

int64_t start(const std::string& program, const std::string& device, const std::string& log) {
    // Everything that takes memory or a lock happens before the fork.
    std::vector<const char*> words{program.c_str(), "serve", "--device", device.c_str(), nullptr};
    std::vector<char*> surroundings;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
        if (!is_the_hosts_own(*entry)) surroundings.push_back(*entry);
    surroundings.push_back(nullptr);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int errors = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    int report[2] = {-1, -1};  // carries the reason why exec failed; closed by exec where it did not
    const long most = std::min(sysconf(_SC_OPEN_MAX), 65536L);
    const bool ready = nothing >= 0 && closing_pipe(report);
    // Signals wait, so that no handler of the host runs in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t child = ready ? fork() : -1;
    if (child == 0) {
        struct sigaction plain{};
        plain.sa_handler = SIG_DFL;
        for (int number = 1; number < 32; ++number) sigaction(number, &plain, nullptr);
        setsid();
        dup2(nothing, 0), dup2(nothing, 1), dup2(errors >= 0 ? errors : nothing, 2);
        close_all_but_standard(report[1], static_cast<int>(most));
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        execve(words[0], const_cast<char* const*>(words.data()), surroundings.data());
        const int reason = errno;
        if (write(report[1], &reason, sizeof reason) < 0) _exit(126);
        _exit(127);
    }
    int reason = child < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (report[1] >= 0) close(report[1]);
    if (child > 0) {
        ssize_t got;
        do got = read(report[0], &reason, sizeof reason);
        while (got < 0 && errno == EINTR);
        if (got > 0) waitpid(child, nullptr, 0);
    }
    for (const int file : {report[0], nothing, errors})
        if (file >= 0) close(file);
    if (reason != 0 || child < 0) throw NoEngine(program + " cannot be started: " + std::strerror(reason));
    return child;
}

std::string ending(int64_t process) {
    int status = 0;
    const pid_t found = waitpid(static_cast<pid_t>(process), &status, WNOHANG);
    if (found == 0) return "";
    if (found < 0) return errno == EINTR ? "" : "it ended";  // somebody else has waited for it
    if (WIFSIGNALED(status)) return "it was ended by signal " + std::to_string(WTERMSIG(status));
    return "it ended with code " + std::to_string(WEXITSTATUS(status));
}

uint32_t process_id() { return static_cast<uint32_t>(getpid()); }

std::string local_time(const char* format) {
    char text[64] = "";
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    if (localtime_r(&now, &parts) == nullptr || std::strftime(text, sizeof text, format, &parts) == 0) return "";
    return text;
}

void append(const std::string& path, const std::string& text, int64_t most) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return;
    struct stat facts{};
    if (fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size < most &&
        write(file, text.data(), text.size()) < 0) { /* a log that cannot be written is no reason to fail */
    }
    close(file);
}

bool open_document(const std::string& path) {
#if defined(__APPLE__)
    const std::string opener = "/usr/bin/open";
#else
    const std::string opener = on_the_path("xdg-open");
#endif
    if (opener.empty() || access(path.c_str(), R_OK) != 0) return false;
    const pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) {
        if (fork() != 0) _exit(0);  // the opener belongs to nobody here, so that nobody has to wait for it
        setsid();
        execl(opener.c_str(), opener.c_str(), path.c_str(), static_cast<char*>(nullptr));
        _exit(127);
    }
    waitpid(child, nullptr, 0);
    return true;
}

}  // namespace bridge::platform
