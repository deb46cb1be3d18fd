// SPDX-License-Identifier: Apache-2.0
// deblur_engine._ops: how arrays are borrowed, and what is not of one op.
#include "bindings.h"

#include <pybind11/numpy.h>

#include "dlpack.h"

namespace deblur {
namespace {

struct Named {
    const char* type;  // as the array interface writes it
    const char* name;
    Sample sample;
};

constexpr Named kSamples[] = {{"|u1", "uint8", Sample::u8},
                              {"<u2", "uint16", Sample::u16},
                              {"<f2", "float16", Sample::f16},
                              {"<f4", "float32", Sample::f32}};

Sample sample_of(const char* name, const std::string& type) {
    for (const Named& known : kSamples)
        if (type == known.type) return known.sample;
    refuse(name, "not uint8, uint16, float16 or float32 but " + type);
}

py::dict build_info() {
    py::dict d;
    d["instruction_set"] = cpu::instruction_set();
    d["threads"] = allowed_threads(0);
    d["compiler"] = DEBLUR_COMPILER;
#if defined(DEBLUR_WITH_CUDA)
    d["cuda"] = true;
    d["cuda_runtime"] = cuda::runtime_version();
    d["cuda_archs"] = DEBLUR_CUDA_ARCHS;
#else
    d["cuda"] = false;
    d["cuda_runtime"] = py::none();
    d["cuda_archs"] = "";
#endif
    return d;
}

int cuda_devices() {
#if defined(DEBLUR_WITH_CUDA)
    const py::gil_scoped_release release;
    return cuda::devices();
#else
    return 0;
#endif
}

}  // namespace

const char* name_of(Sample sample) { return kSamples[static_cast<int>(sample)].name; }

Borrowed on_host(const char* name, const py::handle& object) {
    if (!py::isinstance<py::array>(object)) refuse(name, "not a NumPy array");
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (array.ndim() != 4) refuse(name, "not four-dimensional");
    Borrowed b;
    b.data = const_cast<void*>(array.data());
    b.sample = sample_of(name, py::str(array.dtype().attr("str")));
    b.writable = array.writeable();
    for (int i = 0; i < 4; ++i) b.shape[i] = array.shape(i), b.stride[i] = array.strides(i);
    return b;
}

Borrowed on_device(const char* name, const py::handle& object) {
    const py::dict d = object.attr("__cuda_array_interface__");
    const py::tuple shape = d["shape"], data = d["data"];
    if (shape.size() != 4) refuse(name, "not four-dimensional");
    Borrowed b;
    b.data = reinterpret_cast<void*>(data[0].cast<uintptr_t>());
    b.sample = sample_of(name, d["typestr"].cast<std::string>());
    b.writable = !data[1].cast<bool>();
    const bool spread = d.contains("strides") && !py::object(d["strides"]).is_none();
    py::ssize_t packed = bytes_of(b.sample);
    for (int i = 3; i >= 0; --i) {
        b.shape[i] = shape[i].cast<py::ssize_t>();
        b.stride[i] = spread ? py::tuple(d["strides"])[i].cast<py::ssize_t>() : packed;
        packed *= b.shape[i];
    }
    return b;
}

Where where(const py::object& device, uintptr_t stream, int threads) {
    Where w;
    w.threads = allowed_threads(threads);  // reads the environment, so while the GIL is held
    if (!device.is_none()) {
#if defined(DEBLUR_WITH_CUDA)
        w.device = device.cast<int>();
        w.stream = stream;
#else
        (void)stream;
        throw std::runtime_error("this build of deblur_engine has no CUDA kernels");
#endif
    }
    return w;
}

}  // namespace deblur

namespace py = pybind11;

PYBIND11_MODULE(_ops, m, py::mod_gil_not_used()) {
    m.doc() = "Native ops of deblur_engine; call them through deblur_engine.ops.";
    deblur::bind_blend(m);
    deblur::bind_reblur(m);
    deblur::bind_sharpness(m);
    deblur::bind_warp(m);
    m.def("build_info", deblur::build_info);
    m.def("cuda_devices", deblur::cuda_devices);
    m.def("read_dlpack", deblur::read_dlpack, py::arg("capsule"));
}
