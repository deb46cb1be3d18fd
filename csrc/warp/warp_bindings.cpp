// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

namespace deblur {
namespace {

void same_type(const char* name, Sample sample, Sample like) {
    if (sample != like) refuse(name, std::string("not ") + name_of(like) + " but " + name_of(sample));
}

void warp(const py::object& image, const py::object& flow, const py::object& out, const py::object& mask, int filter,
          int border, const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    WarpTask task;
    Sample out_sample;
    task.image = read.floating<const void>("image", image, task.sample);
    task.flow = read.floating<const void>("flow", flow, task.flow_sample);
    task.out = read.floating<void>("out", out, out_sample);
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
    task.image = read.floating<const void>("image", image, task.sample);
    task.flow = read.floating<const void>("flow", flow, task.flow_sample);
    task.grad = read.floating<const void>("grad", grad, sample);
    same_type("grad", sample, task.sample);
    same_size("flow", task.flow, task.image, 2);
    same_size("grad", task.grad, task.image, task.image.c);
    if (!grad_image.is_none()) {
        task.grad_image = read.floating<void>("grad_image", grad_image, sample);
        same_type("grad_image", sample, task.sample);
        same_size("grad_image", task.grad_image, task.image, task.image.c);
    }
    if (!grad_flow.is_none()) {
        task.grad_flow = read.floating<void>("grad_flow", grad_flow, sample);
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
