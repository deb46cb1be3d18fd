// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

namespace deblur {
namespace {

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

}  // namespace

void bind_warp(py::module_& m) {
    using py::arg;
    m.def("warp", warp, arg("image"), arg("flow"), arg("out"), arg("mask"), arg("filter"), arg("border"), DEBLUR_WHERE);
}

}  // namespace deblur
