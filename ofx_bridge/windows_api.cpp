// SPDX-License-Identifier: Apache-2.0
#include "windows_api.h"

#include <sddl.h>

#include <vector>

#include "failure.h"

namespace bridge::windows {

std::wstring wide(const std::string& text) {
    const int size = static_cast<int>(text.size());
    const int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), size, nullptr, 0);
    std::wstring out(static_cast<size_t>(length > 0 ? length : 0), L'\0');
    if (length > 0) MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), size, out.data(), length);
    return out;
}

std::string narrow(const std::wstring& text) {
    const int size = static_cast<int>(text.size());
    const int length = WideCharToMultiByte(CP_UTF8, 0, text.data(), size, nullptr, 0, nullptr, nullptr);
    std::string out(static_cast<size_t>(length > 0 ? length : 0), '\0');
    if (length > 0) WideCharToMultiByte(CP_UTF8, 0, text.data(), size, out.data(), length, nullptr, nullptr);
    return out;
}

std::string said(DWORD error) {
    wchar_t text[512] = L"";
    const DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, error, 0,
                                        text, static_cast<DWORD>(std::size(text)), nullptr);
    std::string out = narrow(std::wstring(text, length));
    while (!out.empty() && (static_cast<unsigned char>(out.back()) <= ' ' || out.back() == '.')) out.pop_back();
    return out.empty() ? "error " + std::to_string(error) : out;
}

std::wstring variable(const wchar_t* name) {
    std::wstring value;
    // Another thread may change it between the two calls.
    for (DWORD room = GetEnvironmentVariableW(name, nullptr, 0); room > value.size();) {
        value.resize(room);
        room = GetEnvironmentVariableW(name, value.data(), room);
        if (room < value.size()) {
            value.resize(room);
            return value;
        }
    }
    return L"";
}

std::wstring user_of(HANDLE process) {
    HANDLE opened = nullptr;
    if (!OpenProcessToken(process, TOKEN_QUERY, &opened)) return L"";
    const Handle token(opened);
    DWORD size = 0;
    GetTokenInformation(token.get(), TokenUser, nullptr, 0, &size);
    std::vector<char> bytes(size);
    if (size == 0 || !GetTokenInformation(token.get(), TokenUser, bytes.data(), size, &size)) return L"";
    wchar_t* text = nullptr;
    if (!ConvertSidToStringSidW(reinterpret_cast<const TOKEN_USER*>(bytes.data())->User.Sid, &text)) return L"";
    std::wstring out = text;
    LocalFree(text);
    return out;
}

OnlyThisUser::OnlyThisUser(bool inherited) {
    const std::wstring user = user_of(GetCurrentProcess());
    if (user.empty()) throw Failure("Windows does not tell who this user is: " + said(GetLastError()));
    // Protected: nothing is inherited from above. GA, FA: all rights; SY, BA: the system, administrators.
    const std::wstring list =
        inherited ? L"D:P(A;OICI;FA;;;" + user + L")(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)" : L"D:P(A;;GA;;;" + user + L")";
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(list.c_str(), SDDL_REVISION_1,
                                                              &attributes_.lpSecurityDescriptor, nullptr))
        throw Failure("no access list can be made: " + said(GetLastError()));
}

}  // namespace bridge::windows
