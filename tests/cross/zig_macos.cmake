# SPDX-License-Identifier: Apache-2.0
# Read after CMake's own rules. zig makes no bundles, in Apple's sense of the word; a host loads a dynamic library too.
set(CMAKE_SHARED_MODULE_CREATE_CXX_FLAGS -dynamiclib)
