// SPDX-License-Identifier: Apache-2.0
#include "windows_api.h"
// ^ before the rest
#include <aclapi.h>
#include <shellapi.h>

#include <ctime>
#include <fstream>
#include <vector>

#include "failure.h"
#include "platform.h"

namespace bridge::platform {
namespace {

using namespace windows;

constexpr DWORD sharing = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

bool is_program(const std::wstring& path) {
    const DWORD facts = GetFileAttributesW(path.c_str());
    return facts != INVALID_FILE_ATTRIBUTES && (facts & FILE_ATTRIBUTE_DIRECTORY) == 0;
}

std::wstring on_the_path(const std::wstring& name) {
    std::wstring found(32768, L'\0');
    const std::wstring folders = variable(L"PATH");  // without the current folder, which SearchPathW begins with
    found.resize(
        SearchPathW(folders.c_str(), name.c_str(), L".exe", static_cast<DWORD>(found.size()), found.data(), nullptr));
    return is_program(found) ? found : L"";
}

// .../DeblurEngine.ofx.bundle/Contents, from where this code was loaded from.
std::wstring bundle_contents() {
    HMODULE here = nullptr;
    constexpr DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExW(how, reinterpret_cast<const wchar_t*>(&bundle_contents), &here)) return L"";
    std::wstring path(32768, L'\0');
    path.resize(GetModuleFileNameW(here, path.data(), static_cast<DWORD>(path.size())));
    for (int up = 0; up < 2; ++up) path.resize(std::min(path.find_last_of(L"\\/"), path.size()));
    return path;
}

bool is_link_or_file(const std::wstring& folder) {
    const DWORD facts = GetFileAttributesW(folder.c_str());
    return facts == INVALID_FILE_ATTRIBUTES || (facts & FILE_ATTRIBUTE_DIRECTORY) == 0 ||
           (facts & FILE_ATTRIBUTE_REPARSE_POINT) != 0;
}

// Whether the folder's owner is who owns what this process makes: the user, or where it runs elevated, perhaps the
// administrators.
bool is_ours(const std::wstring& folder) {
    PSID owner = nullptr;
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    if (GetNamedSecurityInfoW(folder.c_str(), SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner, nullptr, nullptr,
                              nullptr, &descriptor) != ERROR_SUCCESS)
        return false;
    bool found = false;
    HANDLE opened = nullptr;
    if (OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &opened)) {
        const Handle token(opened);
        for (const auto which : {TokenUser, TokenOwner}) {
            alignas(void*) char bytes[SECURITY_MAX_SID_SIZE + sizeof(TOKEN_USER)];
            DWORD size = 0;
            // Both begin with the pointer to the identifier.
            if (GetTokenInformation(token.get(), which, bytes, sizeof bytes, &size))
                found = found || EqualSid(owner, *reinterpret_cast<PSID*>(bytes));
        }
    }
    LocalFree(descriptor);
    return found;
}

// What an editor sets for its own Python breaks that of the engine.
bool is_the_hosts_own(const wchar_t* entry) {
    for (const wchar_t* name : {L"PYTHONHOME=", L"PYTHONPATH=", L"PYTHONSTARTUP="})
        if (_wcsnicmp(entry, name, wcslen(name)) == 0) return true;
    return false;
}

std::vector<wchar_t> surroundings() {
    std::vector<wchar_t> block;
    wchar_t* const all = GetEnvironmentStringsW();
    for (const wchar_t* entry = all; entry != nullptr && *entry != L'\0'; entry += wcslen(entry) + 1)
        if (!is_the_hosts_own(entry)) block.insert(block.end(), entry, entry + wcslen(entry) + 1);
    if (all != nullptr) FreeEnvironmentStringsW(all);
    if (block.empty()) block.push_back(L'\0');
    block.push_back(L'\0');
    return block;
}

// A list of the only handles that a new process gets.
class Inherited {
public:
    explicit Inherited(std::vector<HANDLE> handles) : handles_(std::move(handles)) {
        SIZE_T size = 0;
        InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
        room_.resize(size);
        auto* const list = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(room_.data());
        if (!InitializeProcThreadAttributeList(list, 1, 0, &size)) return;
        list_ = list;
        good_ = UpdateProcThreadAttribute(list_, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles_.data(),
                                          handles_.size() * sizeof(HANDLE), nullptr, nullptr);
    }
    ~Inherited() {
        if (list_ != nullptr) DeleteProcThreadAttributeList(list_);
    }
    Inherited(const Inherited&) = delete;
    Inherited& operator=(const Inherited&) = delete;
    LPPROC_THREAD_ATTRIBUTE_LIST get() const { return good_ ? list_ : nullptr; }

private:
    std::vector<HANDLE> handles_;
    std::vector<char> room_;
    LPPROC_THREAD_ATTRIBUTE_LIST list_ = nullptr;
    bool good_ = false;
};

}  // namespace

std::string runtime_folder() {
    std::wstring folder = variable(L"DEBLUR_RUNTIME_DIR");
    if (folder.empty()) {
        folder = variable(L"LOCALAPPDATA");
        if (folder.empty()) throw NoEngine("LOCALAPPDATA names no folder", "set DEBLUR_RUNTIME_DIR");
        folder += L"\\deblur-engine";
    }
    OnlyThisUser access(true);
    if (!CreateDirectoryW(folder.c_str(), access.get()) && GetLastError() != ERROR_ALREADY_EXISTS)
        throw NoEngine("the folder " + narrow(folder) + " cannot be made: " + said(GetLastError()),
                       "set DEBLUR_RUNTIME_DIR");
    if (is_link_or_file(folder) || !is_ours(folder))
        throw NoEngine("the folder " + narrow(folder) + " is a link or another user's",
                       "remove it, or set DEBLUR_RUNTIME_DIR to a folder of your own");
    return narrow(folder);
}

std::string data_folder() { return narrow(variable(L"LOCALAPPDATA")); }

std::string engine_program() {
    const std::wstring named = variable(L"DEBLUR_ENGINE");
    if (!named.empty()) {
        const std::wstring found = named.find_first_of(L"\\/") == std::wstring::npos ? on_the_path(named) : named;
        if (is_program(found)) return narrow(found);
        throw NoEngine("DEBLUR_ENGINE is " + narrow(named) + ", which is no program");
    }
    std::ifstream note(std::filesystem::path(bundle_contents()) / "Resources" / "engine", std::ios::binary);
    std::string line;
    if (std::getline(note, line) && !line.empty()) {
        if (line.back() == '\r') line.pop_back();
        if (is_program(wide(line))) return line;
        throw NoEngine("the engine is no longer at " + line, "run: deblur-engine plugin install");
    }
    const std::wstring found = on_the_path(L"deblur-engine");
    if (found.empty())
        throw NoEngine("deblur-engine is not installed",
                       "pip install deblur-engine, then: deblur-engine plugin install");
    return narrow(found);
}

int64_t start(const std::string& program, const std::string& device, const std::string& log) {
    SECURITY_ATTRIBUTES passed{sizeof(SECURITY_ATTRIBUTES), nullptr, TRUE};
    const Handle nothing(
        CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, sharing, &passed, OPEN_EXISTING, 0, nullptr));
    const Handle errors(CreateFileW(wide(log).c_str(), FILE_APPEND_DATA | SYNCHRONIZE, sharing, &passed, OPEN_ALWAYS,
                                    FILE_ATTRIBUTE_NORMAL, nullptr));
    std::vector<HANDLE> handles;
    if (nothing) handles.push_back(nothing.get());
    if (errors) handles.push_back(errors.get());
    const Inherited inherited(handles);
    if (!nothing || inherited.get() == nullptr)
        throw NoEngine(narrow(wide(program)) + " cannot be started: " + said(GetLastError()));
    STARTUPINFOEXW how{};
    how.StartupInfo.cb = sizeof how;
    how.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    how.StartupInfo.hStdInput = how.StartupInfo.hStdOutput = nothing.get();
    how.StartupInfo.hStdError = errors ? errors.get() : nothing.get();
    how.lpAttributeList = inherited.get();
    // Neither a path nor a device's name has a quotation mark in it.
    std::wstring words = L"\"" + wide(program) + L"\" serve --device " + wide(device);
    std::vector<wchar_t> environment = surroundings();
    constexpr DWORD flags =
        EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP;
    PROCESS_INFORMATION made{};
    // Where the editor runs in a job that ends its processes with it, the worker stays out of it if it may.
    bool begun = false;
    for (const DWORD more : {DWORD{CREATE_BREAKAWAY_FROM_JOB}, DWORD{0}})
        begun = begun || CreateProcessW(wide(program).c_str(), words.data(), nullptr, nullptr, TRUE, flags | more,
                                        environment.data(), nullptr, &how.StartupInfo, &made);
    if (!begun) throw NoEngine(program + " cannot be started: " + said(GetLastError()));
    CloseHandle(made.hThread);
    return reinterpret_cast<int64_t>(made.hProcess);
}

std::string ending(int64_t process) {
    const auto handle = reinterpret_cast<HANDLE>(process);
    if (WaitForSingleObject(handle, 0) == WAIT_TIMEOUT) return "";
    DWORD code = 0;
    const bool known = GetExitCodeProcess(handle, &code);
    CloseHandle(handle);
    return known ? "it ended with code " + std::to_string(code) : "it ended";
}

uint32_t process_id() { return GetCurrentProcessId(); }

std::string local_time(const char* format) {
    char text[64] = "";
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    if (localtime_s(&parts, &now) != 0 || std::strftime(text, sizeof text, format, &parts) == 0) return "";
    return text;
}

void append(const std::string& path, const std::string& text, int64_t most) {
    const Handle file(CreateFileW(wide(path).c_str(), FILE_APPEND_DATA | FILE_READ_ATTRIBUTES, sharing, nullptr,
                                  OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, nullptr));
    LARGE_INTEGER size{};
    DWORD written = 0;
    if (file && GetFileSizeEx(file.get(), &size) && size.QuadPart < most)
        WriteFile(file.get(), text.data(), static_cast<DWORD>(text.size()), &written, nullptr);
}

bool open_document(const std::string& path) {
    const std::wstring file = wide(path);
    if (GetFileAttributesW(file.c_str()) == INVALID_FILE_ATTRIBUTES) return false;
    // Values above 32 are success; the fallback is for where no program is known for .log.
    const auto open = [](const wchar_t* what, const wchar_t* with) {
        return reinterpret_cast<intptr_t>(ShellExecuteW(nullptr, L"open", what, with, nullptr, SW_SHOWNORMAL)) > 32;
    };
    return open(file.c_str(), nullptr) || open(L"notepad.exe", (L"\"" + file + L"\"").c_str());
}

}  // namespace bridge::platform
