# SPDX-License-Identifier: Apache-2.0
# A toolchain for other systems: clang with their headers and libraries, as PyPI's `ziglang` brings them. In the
# environment: DEBLUR_ZIG, the program; DEBLUR_ZIG_TARGET, as in x86_64-windows-gnu or aarch64-macos.11.0.
set(zig $ENV{DEBLUR_ZIG})
set(target $ENV{DEBLUR_ZIG_TARGET})
if(target MATCHES "windows")
  set(CMAKE_SYSTEM_NAME Windows)
else()
  set(CMAKE_SYSTEM_NAME Darwin)
  set(CMAKE_USER_MAKE_RULES_OVERRIDE ${CMAKE_CURRENT_LIST_DIR}/zig_macos.cmake)
endif()
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR "${target}")
set(CMAKE_CXX_COMPILER ${zig} c++ -target ${target})
set(DEBLUR_X86_BASE -mcpu=x86_64_v2 CACHE STRING "")
# What is installed here says nothing about there.
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
