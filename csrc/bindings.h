// SPDX-License-Identifier: Apache-2.0
// What the bindings of every op share: arrays in, arrays filled. The package deblur_engine.ops is their only caller and
// does the talking to users; what is checked here is what keeps memory safe.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <type_traits>

#include "common.h"
#include "for_each.h"
#include "half.h"
#include "ops.h"

namespace deblur {

namespace py = pybind11;

void bind_blend(py::module_&);
void bind_reblur(py::module_&);
void bind_sharpness(py::module_&);
void bind_warp(py::module_&);

[[noreturn]] inline void refuse(const char* name, const std::string& why) {
    throw py::value_error(std::string(name) + ": " + why);
}

// A borrowed [N, C, H, W] view, of host memory (a NumPy array) or of a CUDA device's (__cuda_array_interface__).
struct Borrowed {
    void* data = nullptr;
    Sample sample = Sample::f32;
    py::ssize_t shape[4] = {}, stride[4] = {};  // strides in bytes
    bool writable = false;
};

Borrowed on_host(const char* name, const py::handle& object);
Borrowed on_device(const char* name, const py::handle& object);

template <class T>
struct SampleOf;
template <>
struct SampleOf<uint8_t> {
    static constexpr Sample value = Sample::u8;
};
template <>
struct SampleOf<uint16_t> {
    static constexpr Sample value = Sample::u16;
};
template <>
struct SampleOf<Half> {
    static constexpr Sample value = Sample::f16;
};
template <>
struct SampleOf<float> {
    static constexpr Sample value = Sample::f32;
};

const char* name_of(Sample);

// The view with strides in elements. T is the type of its values, or void for any; const for what is only read.
template <class T>
Picture<T> picture(const char* name, const Borrowed& b) {
    typedef std::remove_const_t<T> Value;
    if constexpr (!std::is_void<Value>::value)
        if (b.sample != SampleOf<Value>::value)
            refuse(name, std::string("not ") + name_of(SampleOf<Value>::value) + " but " + name_of(b.sample));
    if (!std::is_const<T>::value && !b.writable) refuse(name, "read-only");
    const int64_t size = bytes_of(b.sample);
    Picture<T> p;
    p.data = static_cast<T*>(b.data);
    p.n = b.shape[0], p.c = b.shape[1], p.h = b.shape[2], p.w = b.shape[3];
    for (const py::ssize_t step : b.stride)
        if (step % size != 0) refuse(name, "strides are not whole elements");
    p.sn = b.stride[0] / size, p.sc = b.stride[1] / size, p.sh = b.stride[2] / size, p.sw = b.stride[3] / size;
    return p;
}

// Reads the arguments of one call, all on the host or all on one device.
struct Reader {
    bool device;

    Borrowed borrow(const char* name, const py::handle& o) const {
        return device ? on_device(name, o) : on_host(name, o);
    }

    Picture<const float> floats(const char* name, const py::handle& o) const {
        return picture<const float>(name, borrow(name, o));
    }

    // What is interpolated: float32 or float16, read or written.
    template <class T>
    Picture<T> floating(const char* name, const py::handle& o, Sample& sample) const {
        const Borrowed b = borrow(name, o);
        if (b.sample != Sample::f32 && b.sample != Sample::f16)
            refuse(name, std::string("not float32 or float16 but ") + name_of(b.sample));
        sample = b.sample;
        return picture<T>(name, b);
    }

    Picture<float> output(const char* name, const py::handle& o) const { return picture<float>(name, borrow(name, o)); }
};

template <class A, class B>
void same_size(const char* name, const Picture<A>& a, const Picture<B>& like, int64_t channels) {
    if (a.n != like.n || a.h != like.h || a.w != like.w || a.c != channels)
        refuse(name, "shape does not fit the other arguments");
}

// Where a call runs: `stream` is given for CUDA only.
struct Where {
    int device = -1;
    uintptr_t stream = 0;
    int threads = 1;
    bool cuda() const { return device >= 0; }
};

Where where(const py::object& device, uintptr_t stream, int threads);

#if defined(DEBLUR_WITH_CUDA)
#define DEBLUR_RUN(OP, ...)                          \
    const py::gil_scoped_release release;            \
    if (at.cuda()) {                                 \
        cuda::OP(__VA_ARGS__, at.device, at.stream); \
    } else {                                         \
        cpu::OP(task, at.threads);                   \
    }
#else
#define DEBLUR_RUN(OP, ...)               \
    const py::gil_scoped_release release; \
    cpu::OP(task, at.threads);
#endif

// The last arguments of every op.
#define DEBLUR_WHERE py::arg("device") = py::none(), py::arg("stream") = 0, py::arg("threads") = 0

}  // namespace deblur
