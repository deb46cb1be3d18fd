# SPDX-License-Identifier: Apache-2.0
"""Calls of Windows that the standard library does not have: who is who, access lists, named memory."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from ctypes import POINTER, byref, c_size_t, c_ulong, c_void_p, c_wchar_p

assert sys.platform == "win32"

__all__ = [
    "OnlyThisUser",
    "client_of",
    "existing_memory",
    "make_private_folder",
    "own_sids",
    "owner_of",
    "server_of",
    "user_of",
    "working_set",
]

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_security = ctypes.WinDLL("advapi32", use_last_error=True)

_HANDLE, _DWORD, _BOOL = c_void_p, c_ulong, ctypes.c_int
_QUERY_LIMITED, _TOKEN_QUERY, _TOKEN_USER, _TOKEN_OWNER = 0x1000, 0x0008, 1, 4
_FILE_OBJECT, _OWNER = 1, 1
_MAP_READ_WRITE = 0x0006
_ALREADY_EXISTS = 183


class _Attributes(ctypes.Structure):
    _fields_ = (("length", _DWORD), ("descriptor", c_void_p), ("inherit", _BOOL))


class _Counters(ctypes.Structure):
    _fields_ = (
        ("size", _DWORD),
        ("faults", _DWORD),
        ("peak_working_set", c_size_t),
        ("working_set", c_size_t),
        ("rest", c_size_t * 6),
    )


def _typed(library: ctypes.CDLL, name: str, result: type, *arguments: type) -> ctypes._NamedFuncPointer:
    function: ctypes._NamedFuncPointer = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


_open_process = _typed(_kernel, "OpenProcess", _HANDLE, _DWORD, _BOOL, _DWORD)
_this_process = _typed(_kernel, "GetCurrentProcess", _HANDLE)
_close = _typed(_kernel, "CloseHandle", _BOOL, _HANDLE)
_free = _typed(_kernel, "LocalFree", c_void_p, c_void_p)
_client_id = _typed(_kernel, "GetNamedPipeClientProcessId", _BOOL, _HANDLE, POINTER(c_ulong))
_server_id = _typed(_kernel, "GetNamedPipeServerProcessId", _BOOL, _HANDLE, POINTER(c_ulong))
_open_mapping = _typed(_kernel, "OpenFileMappingW", _HANDLE, _DWORD, _BOOL, c_wchar_p)
_create_folder = _typed(_kernel, "CreateDirectoryW", _BOOL, c_wchar_p, POINTER(_Attributes))
_memory_of = _typed(_kernel, "K32GetProcessMemoryInfo", _BOOL, _HANDLE, POINTER(_Counters), _DWORD)
_open_token = _typed(_security, "OpenProcessToken", _BOOL, _HANDLE, _DWORD, POINTER(c_void_p))
_token_says = _typed(_security, "GetTokenInformation", _BOOL, _HANDLE, ctypes.c_int, c_void_p, _DWORD, POINTER(c_ulong))
_sid_text = _typed(_security, "ConvertSidToStringSidW", _BOOL, c_void_p, POINTER(c_void_p))
_descriptor = _typed(
    _security,
    "ConvertStringSecurityDescriptorToSecurityDescriptorW",
    _BOOL,
    c_wchar_p,
    _DWORD,
    POINTER(c_void_p),
    c_void_p,
)
_security_of = _typed(
    _security, "GetNamedSecurityInfoW", _DWORD, c_wchar_p, ctypes.c_int, _DWORD, *([POINTER(c_void_p)] * 5)
)


def _failed(code: int | None = None) -> OSError:
    return ctypes.WinError(ctypes.get_last_error() if code is None else code)


@contextlib.contextmanager
def _closing(handle: int | None) -> Iterator[int]:
    if not handle:
        raise _failed()
    try:
        yield handle
    finally:
        _close(handle)


def _text_of(sid: int | None) -> str:
    text = c_void_p()
    if not _sid_text(sid, byref(text)):
        raise _failed()
    try:
        return ctypes.wstring_at(text.value or 0)
    finally:
        _free(text)


def _told_by(process: int, what: int) -> str:
    token = c_void_p()
    if not _open_token(process, _TOKEN_QUERY, byref(token)):
        raise _failed()
    with _closing(token.value) as opened:
        room, size = ctypes.create_string_buffer(256), c_ulong()
        if not _token_says(opened, what, room, len(room), byref(size)):
            raise _failed()
        return _text_of(c_void_p.from_buffer(room).value)  # it begins with the pointer to the identifier


def user_of(process: int) -> str:
    """The security identifier of the user of a process, by its number; raises ``OSError``."""
    with _closing(_open_process(_QUERY_LIMITED, False, process)) as handle:
        return _told_by(handle, _TOKEN_USER)


def own_sids() -> set[str]:
    """This user, and who owns what this process makes: where it runs elevated, perhaps the administrators."""
    return {_told_by(_this_process(), what) for what in (_TOKEN_USER, _TOKEN_OWNER)}


def client_of(pipe: int) -> int:
    """The number of the process at a pipe's client end; raises ``OSError``."""
    return _number(_client_id, pipe)


def server_of(pipe: int) -> int:
    """The number of the process at a pipe's server end; raises ``OSError``."""
    return _number(_server_id, pipe)


def _number(call: ctypes._NamedFuncPointer, pipe: int) -> int:
    number = c_ulong()
    if not call(pipe, byref(number)):
        raise _failed()
    return number.value


class OnlyThisUser:
    """An access list for this user alone, as SECURITY_ATTRIBUTES at ``address`` while the object lives.

    ``inherited``: for a folder, so that it holds for all that comes into it; the system and administrators may enter
    it, as everywhere.
    """

    def __init__(self, inherited: bool = False) -> None:
        user = _told_by(_this_process(), _TOKEN_USER)
        words = f"D:P(A;;GA;;;{user})"
        if inherited:
            words = f"D:P(A;OICI;FA;;;{user})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
        self._made = c_void_p()
        if not _descriptor(words, 1, byref(self._made), None):
            raise _failed()
        self.attributes = _Attributes(ctypes.sizeof(_Attributes), self._made, False)
        self.address = ctypes.addressof(self.attributes)

    def __del__(self) -> None:
        _free(self._made)


def make_private_folder(path: str) -> None:
    """Make a folder that only this user may enter; one that is there stays as it is. Raises ``OSError``."""
    access = OnlyThisUser(inherited=True)
    if not _create_folder(path, byref(access.attributes)) and ctypes.get_last_error() != _ALREADY_EXISTS:
        raise _failed()


def owner_of(path: str) -> str:
    """The security identifier of a file's or folder's owner; raises ``OSError``."""
    owner, descriptor = c_void_p(), c_void_p()
    code = _security_of(path, _FILE_OBJECT, _OWNER, byref(owner), None, None, None, byref(descriptor))
    if code:
        raise _failed(code)
    try:
        return _text_of(owner.value)
    finally:
        _free(descriptor)


@contextlib.contextmanager
def existing_memory(name: str) -> Iterator[None]:
    """Hold named shared memory open; raises ``OSError`` where there is none, or not for this user."""
    with _closing(_open_mapping(_MAP_READ_WRITE, False, name)):
        yield


def working_set() -> int:
    """Bytes that this process has in memory; 0 where the system does not tell."""
    counters = _Counters(size=ctypes.sizeof(_Counters))
    return counters.working_set if _memory_of(_this_process(), byref(counters), counters.size) else 0
