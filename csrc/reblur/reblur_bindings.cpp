// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

namespace deblur {
namespace {

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

}  // namespace

void bind_reblur(py::module_& m) {
    using py::arg;
    m.def("reblur", reblur, arg("image"), arg("motion"), arg("curvature"), arg("out"), arg("transfer"), arg("samples"),
          arg("scratch") = py::none(), DEBLUR_WHERE);
}

}  // namespace deblur
