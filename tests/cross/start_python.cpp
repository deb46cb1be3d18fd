// SPDX-License-Identifier: Apache-2.0
// deblur-engine.exe for tests: as the one that pip makes, it starts Python, waits for it and ends as it did.
// In the environment: DEBLUR_TEST_PYTHON, the interpreter; DEBLUR_TEST_SCRIPT; DEBLUR_TEST_PATH, where modules are.
#include <process.h>
#include <windows.h>

#include <string>
#include <vector>

int main(int count, char** words) {
    const auto variable = [](const char* name) {
        char text[1024] = "";
        GetEnvironmentVariableA(name, text, sizeof text);
        return std::string(text);
    };
    // The plug-in must have taken an editor's away.
    if (!variable("PYTHONPATH").empty()) return 42;
    SetEnvironmentVariableA("PYTHONPATH", variable("DEBLUR_TEST_PATH").c_str());
    const std::string python = variable("DEBLUR_TEST_PYTHON"), script = variable("DEBLUR_TEST_SCRIPT");
    std::string line = "\"" + python + "\" \"" + script + "\"";
    for (int i = 1; i < count; ++i) line += std::string(" ") + words[i];
    STARTUPINFOA how{};
    how.cb = sizeof how;
    how.dwFlags = STARTF_USESTDHANDLES;
    how.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
    how.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    how.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    PROCESS_INFORMATION made{};
    if (!CreateProcessA(python.c_str(), line.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &how, &made))
        return 43;
    WaitForSingleObject(made.hProcess, INFINITE);
    DWORD code = 44;
    GetExitCodeProcess(made.hProcess, &code);
    return static_cast<int>(code);
}
