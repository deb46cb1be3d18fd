// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

namespace deblur {
namespace {

// What is interpolated: float32 or float16, read or written.
template <class T>
Picture<T> floating(const Reader& read, const char* name, const py::handle& object, Sample& sample) {
    const Borrowed b = read.borrow(name, object);
    if (b.sample != Sample::f32 && b.sample != Sample::f16)
        refuse(name, std::string("not float32 or float16 but ") + name_of(b.sample));
    sample = b.sample;
    return picture<T>(name, b);
}

void same_type(const char* name, Sample sample, Sample like) {
    if (sample != like) refuse(name, std::string("not ") + name_of(like) + " but " + name_of(sample));
}

void warp(const py::object& image, const py::object& flow, const py::object& out, const py::object& mask, int filter,
          int border, const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    WarpTask task;
    Sample out_sample;
    task.image = floating<const void>(read, "image", image, task.sample);
    task.flow = floating<const void>(read, "flow", flow, task.flow_sample);
    task.out = floating<void>(read, "out", out, out_sample);
    if (!mask.is_none()) task.mask = read.output("mask", mask);
    task.filter = static_cast<Filter>(filter);
    task.border = static_cast<Border>(border);
    same_type("out", out_sample, task.sample);
    same_size("flow", task.flow, task.image, 2);
    same_size("out", task.out, task.image, task.image.c);
    if (!mask.is_none()) same_size("mask", task.mask, task.image, 1);
    DEBLUR_RUN(warp, task)
}

void warp_backward(const py::object& grad, const py::object& image, const py::object& flow,
                   const py::object& grad_image, const py::object& grad_flow, int filter, int border,
                   const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    WarpGradTask task;
    Sample sample;
    task.image = floating<const void>(read, "image", image, task.sample);
    task.flow = floating<const void>(read, "flow", flow, task.flow_sample);
    task.grad = floating<const void>(read, "grad", grad, sample);
    same_type("grad", sample, task.sample);
    same_size("flow", task.flow, task.image, 2);
    same_size("grad", task.grad, task.image, task.image.c);
    if (!grad_image.is_none()) {
        task.grad_image = floating<void>(read, "grad_image", grad_image, sample);
        same_type("grad_image", sample, task.sample);
        same_size("grad_image", task.grad_image, task.image, task.image.c);
    }
    if (!grad_flow.is_none()) {
        task.grad_flow = floating<void>(read, "grad_flow", grad_flow, sample);
        same_type("grad_flow", sample, task.flow_sample);
        same_size("grad_flow", task.grad_flow, task.image, 2);
    }
    task.filter = static_cast<Filter>(filter);
    task.border = static_cast<Border>(border);
    DEBLUR_RUN(warp_backward, task)
}

}  // namespace

void bind_warp(py::module_& m) {
    using py::arg;
    m.def("warp", warp, arg("image"), arg("flow"), arg("out"), arg("mask"), arg("filter"), arg("border"), DEBLUR_WHERE);
    m.def("warp_backward", warp_backward, arg("grad"), arg("image"), arg("flow"), arg("grad_image"), arg("grad_flow"),
          arg("filter"), arg("border"), DEBLUR_WHERE);
}

}  // namespace deblur
