// SPDX-License-Identifier: Apache-2.0
#include "dlpack.h"

#include <cstdint>
#include <cstring>
#include <string>

namespace py = pybind11;

namespace deblur {
namespace {

// DLPack's binary interface; the names of its members are the standard's.
struct DLTensor {
    void* data;
    struct {
        int32_t device_type, device_id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t* shape;
    int64_t* strides;  // in elements; null where packed
    uint64_t byte_offset;
};

struct DLManagedTensor {
    DLTensor dl_tensor;
    void* manager_ctx;
    void (*deleter)(DLManagedTensor*);
};

struct DLManagedTensorVersioned {
    struct {
        uint32_t major, minor;
    } version;
    void* manager_ctx;
    void (*deleter)(DLManagedTensorVersioned*);
    uint64_t flags;
    DLTensor dl_tensor;
};

constexpr uint64_t kReadOnly = 1;

std::string type_of(const DLTensor& t) {
    const char* kinds = "iuf";
    if (t.dtype.code > 2 || t.dtype.lanes != 1 || t.dtype.bits % 8 != 0 || t.dtype.bits == 0)
        throw py::buffer_error("DLPack: type code " + std::to_string(t.dtype.code) + " of " +
                               std::to_string(t.dtype.bits) + " bits and " + std::to_string(t.dtype.lanes) +
                               " lanes is not known here");
    return std::string(t.dtype.bits == 8 ? "|" : "<") + kinds[t.dtype.code] + std::to_string(t.dtype.bits / 8);
}

}  // namespace

py::tuple read_dlpack(const py::capsule& capsule) {
    const char* name = capsule.name();
    const DLTensor* t = nullptr;
    bool read_only = false;
    if (name != nullptr && std::strcmp(name, "dltensor") == 0) {
        t = &capsule.get_pointer<DLManagedTensor>()->dl_tensor;
    } else if (name != nullptr && std::strcmp(name, "dltensor_versioned") == 0) {
        const auto* managed = capsule.get_pointer<DLManagedTensorVersioned>();
        if (managed->version.major != 1) throw py::buffer_error("DLPack: its version is not 1");
        t = &managed->dl_tensor;
        read_only = (managed->flags & kReadOnly) != 0;
    } else {
        throw py::buffer_error("DLPack: not a capsule that has yet to be read");
    }
    const std::string type = type_of(*t);
    const py::ssize_t size = t->dtype.bits / 8;
    py::tuple shape(t->ndim), strides(t->ndim);
    py::ssize_t packed = size;
    for (int i = t->ndim - 1; i >= 0; --i) {
        shape[i] = t->shape[i];
        strides[i] = t->strides != nullptr ? t->strides[i] * size : packed;
        packed *= t->shape[i];
    }
    const auto address = reinterpret_cast<uintptr_t>(t->data) + t->byte_offset;
    return py::make_tuple(address, shape, strides, type, read_only);
}

}  // namespace deblur
