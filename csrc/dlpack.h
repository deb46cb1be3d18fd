// SPDX-License-Identifier: Apache-2.0
// Reads what a DLPack capsule says (https://dmlc.github.io/dlpack), unversioned or of version 1.
#pragma once

#include <pybind11/pybind11.h>

namespace deblur {

// (address, shape, strides in bytes, type as in NumPy's array interface, read-only) of a capsule, which stays whole:
// its memory lives as long as it does. BufferError for what is no such capsule or has no such type.
pybind11::tuple read_dlpack(const pybind11::capsule& capsule);

}  // namespace deblur
