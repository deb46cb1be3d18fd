// SPDX-License-Identifier: Apache-2.0
// deblur_engine._ops: arrays in, arrays filled. ops.py is its only caller and does the talking to users; what is
// checked here is what keeps memory safe.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <optional>
#include <string>

#include "for_each.h"
#include "ops.h"

namespace py = pybind11;

namespace deblur {
namespace {

[[noreturn]] void refuse(const char* name, const std::string& why) {
    throw py::value_error(std::string(name) + ": " + why);
}

// A borrowed [N, C, H, W] view, of host memory (a NumPy array) or of a CUDA device's (__cuda_array_interface__).
struct Borrowed {
    void* data = nullptr;
    std::string type;  // "|u1", "<u2", "<f4"
    py::ssize_t shape[4] = {}, stride[4] = {};
    bool writable = false;
};

Borrowed on_host(const char* name, const py::handle& object) {
    if (!py::isinstance<py::array>(object)) refuse(name, "not a NumPy array");
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (array.ndim() != 4) refuse(name, "not four-dimensional");
    Borrowed b;
    b.data = const_cast<void*>(array.data());
    b.type = py::str(array.dtype().attr("str"));
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
    b.type = d["typestr"].cast<std::string>();
    b.writable = !data[1].cast<bool>();
    const bool spread = d.contains("strides") && !py::object(d["strides"]).is_none();
    py::ssize_t packed = b.type.empty() ? 0 : b.type.back() - '0';
    for (int i = 3; i >= 0; --i) {
        b.shape[i] = shape[i].cast<py::ssize_t>();
        b.stride[i] = spread ? py::tuple(d["strides"])[i].cast<py::ssize_t>() : packed;
        packed *= b.shape[i];
    }
    return b;
}

template <class T>
Picture<T> picture(const char* name, const Borrowed& b, int64_t size, bool writes) {
    if (writes && !b.writable) refuse(name, "read-only");
    Picture<T> p;
    p.data = static_cast<T*>(b.data);
    p.n = b.shape[0], p.c = b.shape[1], p.h = b.shape[2], p.w = b.shape[3];
    for (int i = 0; i < 4; ++i)
        if (b.stride[i] % size != 0) refuse(name, "strides are not whole elements");
    p.sn = b.stride[0] / size, p.sc = b.stride[1] / size, p.sh = b.stride[2] / size, p.sw = b.stride[3] / size;
    return p;
}

// Reads the arguments of one call, all on the host or all on one device.
struct Reader {
    bool device;

    Borrowed borrow(const char* name, const py::handle& o) const {
        return device ? on_device(name, o) : on_host(name, o);
    }

    template <class T = const float>
    Picture<T> floats(const char* name, const py::handle& o) const {
        const Borrowed b = borrow(name, o);
        if (b.type != "<f4") refuse(name, "not float32 but " + b.type);
        return picture<T>(name, b, 4, !std::is_const<T>::value);
    }

    Picture<float> output(const char* name, const py::handle& o) const { return floats<float>(name, o); }
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

void sharpness(const py::object& image, const py::object& out, int tile, int measure, const py::object& device,
               uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    const Borrowed b = read.borrow("image", image);
    SharpnessTask task;
    const int64_t size = b.type == "|u1" ? 1 : b.type == "<u2" ? 2 : b.type == "<f4" ? 4 : 0;
    if (size == 0) refuse("image", "not uint8, uint16 or float32 but " + b.type);
    task.sample = size == 1 ? Sample::u8 : size == 2 ? Sample::u16 : Sample::f32;
    task.image = picture<const void>("image", b, size, false);
    task.out = read.output("out", out);
    task.tile = tile;
    task.measure = static_cast<Measure>(measure);
    if (tile < 1) refuse("tile", "must be at least 1");
    if (task.image.c != 1 && task.image.c != 3) refuse("image", "must have one or three channels");
    if (task.image.h < 1 || task.image.w < 1) refuse("image", "has no pixels");
    if (task.out.n != task.image.n || task.out.c != 1 || task.out.h != (task.image.h + tile - 1) / tile ||
        task.out.w != (task.image.w + tile - 1) / tile)
        refuse("out", "shape does not fit the other arguments");
    DEBLUR_RUN(sharpness, task)
}

void warp(const py::object& image, const py::object& flow, const py::object& out, const py::object& mask, int filter,
          int border, const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    WarpTask task;
    task.image = read.floats("image", image);
    task.flow = read.floats("flow", flow);
    task.out = read.output("out", out);
    if (!mask.is_none()) task.mask = read.output("mask", mask);
    task.filter = static_cast<Filter>(filter);
    task.border = static_cast<Border>(border);
    same_size("flow", task.flow, task.image, 2);
    same_size("out", task.out, task.image, task.image.c);
    if (!mask.is_none()) same_size("mask", task.mask, task.image, 1);
    DEBLUR_RUN(warp, task)
}

void reblur(const py::object& image, const py::object& motion, const py::object& curvature, const py::object& out,
            int transfer, int samples, const py::object& scratch, const py::object& device, uintptr_t stream,
            int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    ReblurTask task;
    task.image = read.floats("image", image);
    task.motion = read.floats("motion", motion);
    if (!curvature.is_none()) task.curvature = read.floats("curvature", curvature);
    task.out = read.output("out", out);
    task.transfer = static_cast<Transfer>(transfer);
    task.samples = samples;
    if (samples < 0) refuse("samples", "must not be negative");
    same_size("motion", task.motion, task.image, 2);
    if (!curvature.is_none()) same_size("curvature", task.curvature, task.image, 2);
    same_size("out", task.out, task.image, task.image.c);
    float* linear = nullptr;
    if (at.cuda() && task.transfer != Transfer::none) {
        const Picture<float> s = read.output("scratch", scratch);
        same_size("scratch", s, task.image, task.image.c);
        if (s.sw != 1 || s.sh != s.w || s.sc != s.h * s.w || (s.n > 1 && s.sn != s.c * s.h * s.w))
            refuse("scratch", "not contiguous");
        linear = s.data;
    }
    (void)linear;
    DEBLUR_RUN(reblur, task, linear)
}

void blend(const py::object& sum, const py::object& weight, const py::object& tile, int64_t y, int64_t x, int feather,
           const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    BlendTask task;
    task.sum = read.output("accumulator", sum);
    task.weight = read.output("weight_sum", weight);
    task.tile = read.floats("tile", tile);
    task.y = y, task.x = x, task.feather = feather;
    same_size("weight_sum", task.weight, task.sum, 1);
    if (task.tile.n != task.sum.n || task.tile.c != task.sum.c || y < 0 || x < 0 || task.tile.h > task.sum.h - y ||
        task.tile.w > task.sum.w - x)
        refuse("tile", "does not lie inside the accumulator");
    DEBLUR_RUN(blend, task)
}

void mix(const py::object& base, const py::object& result, const py::object& weight, const py::object& out,
         float strength, const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    MixTask task;
    task.base = read.floats("base", base);
    task.result = read.floats("result", result);
    task.weight = read.floats("weight", weight);
    task.out = read.output("out", out);
    task.strength = strength;
    same_size("result", task.result, task.base, task.base.c);
    same_size("weight", task.weight, task.base, 1);
    same_size("out", task.out, task.base, task.base.c);
    DEBLUR_RUN(mix, task)
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
}  // namespace deblur

PYBIND11_MODULE(_ops, m, py::mod_gil_not_used()) {
    using py::arg;
    m.doc() = "Native ops of deblur_engine; call them through deblur_engine.ops.";
#define DEBLUR_WHERE arg("device") = py::none(), arg("stream") = 0, arg("threads") = 0
    m.def("sharpness", deblur::sharpness, arg("image"), arg("out"), arg("tile"), arg("measure"), DEBLUR_WHERE);
    m.def("warp", deblur::warp, arg("image"), arg("flow"), arg("out"), arg("mask"), arg("filter"), arg("border"),
          DEBLUR_WHERE);
    m.def("reblur", deblur::reblur, arg("image"), arg("motion"), arg("curvature"), arg("out"), arg("transfer"),
          arg("samples"), arg("scratch") = py::none(), DEBLUR_WHERE);
    m.def("blend", deblur::blend, arg("accumulator"), arg("weight_sum"), arg("tile"), arg("y"), arg("x"),
          arg("feather"), DEBLUR_WHERE);
    m.def("mix", deblur::mix, arg("base"), arg("result"), arg("weight"), arg("out"), arg("strength"), DEBLUR_WHERE);
    m.def("build_info", deblur::build_info);
    m.def("cuda_devices", deblur::cuda_devices);
}
