// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "bindings.h"

namespace deblur {
namespace {

// Rows (picture, y, x, way, scale).
std::vector<Crop> read_crops(const py::sequence& rows, const ReblurTask& t) {
    std::vector<Crop> crops;
    for (const py::handle row : rows) {
        const auto values = py::reinterpret_borrow<py::sequence>(row);
        if (values.size() != 5) refuse("crops", "a row is not (picture, y, x, way, scale)");
        Crop c;
        c.picture = values[0].cast<int64_t>(), c.y = values[1].cast<int64_t>(), c.x = values[2].cast<int64_t>();
        c.way = values[3].cast<int>(), c.scale = values[4].cast<float>();
        if (c.way < 0 || c.way > 7) refuse("crops", "a way is not 0..7");
        const int64_t h = c.way & 4 ? t.out.w : t.out.h, w = c.way & 4 ? t.out.h : t.out.w;
        if (c.picture < 0 || c.picture >= t.image.n || c.y < 0 || c.y > t.image.h - h || c.x < 0 || c.x > t.image.w - w)
            refuse("crops", "one does not lie inside its picture");
        crops.push_back(c);
    }
    if (static_cast<int64_t>(crops.size()) != t.out.n) refuse("crops", "not as many as out has pictures");
    return crops;
}

void reblur(const py::object& image, const py::object& motion, const py::object& curvature, const py::object& out,
            int transfer, int samples, const py::object& crops, const py::object& sharp, const py::object& turned,
            const py::object& scratch, const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    ReblurTask task;
    task.image = read.floating<const void>("image", image, task.sample);
    task.out = read.floating<void>("out", out, task.out_sample);
    task.motion = read.floats("motion", motion);
    task.transfer = static_cast<Transfer>(transfer), task.samples = samples;
    if (task.image.h < 1 || task.image.w < 1) refuse("image", "has no pixels");
    if (samples < 0) refuse("samples", "must not be negative");
    same_size("motion", task.motion, task.image, 2);
    if (!curvature.is_none()) {
        task.curvature = read.floats("curvature", curvature);
        same_size("curvature", task.curvature, task.image, 2);
    }
    std::vector<Crop> chosen;
    if (crops.is_none()) {
        same_size("out", task.out, task.image, task.image.c);
    } else {
        if (task.out.c != task.image.c) refuse("out", "shape does not fit the other arguments");
        chosen = read_crops(crops, task);
        task.crops = chosen.data();
    }
    if (!sharp.is_none()) {
        const Borrowed b = read.borrow("sharp", sharp);
        if (b.sample != task.out_sample) refuse("sharp", "not of out's type");
        task.sharp = picture<void>("sharp", b);
        same_size("sharp", task.sharp, task.out, task.out.c);
    }
    if (!turned.is_none()) {
        task.turned = read.output("turned", turned);
        same_size("turned", task.turned, task.out, 2);
    }
    Picture<float> linear;
    if (at.cuda() && task.transfer != Transfer::none) {
        linear = read.output("scratch", scratch);
        if (linear.n != task.out.n || linear.c != task.image.c || linear.h < 1 || linear.h > task.image.h ||
            linear.w < 1 || linear.w > task.image.w)
            refuse("scratch", "shape does not fit the other arguments");
        if (linear.sw != 1 || linear.sh != linear.w || linear.sc != linear.h * linear.w ||
            (linear.n > 1 && linear.sn != linear.c * linear.sc))
            refuse("scratch", "not contiguous");
    }
    DEBLUR_RUN(reblur, task, linear.data, linear.h, linear.w)
}

}  // namespace

void bind_reblur(py::module_& m) {
    using py::arg;
    m.def("reblur", reblur, arg("image"), arg("motion"), arg("curvature"), arg("out"), arg("transfer"), arg("samples"),
          arg("crops") = py::none(), arg("sharp") = py::none(), arg("turned") = py::none(), arg("scratch") = py::none(),
          DEBLUR_WHERE);
}

}  // namespace deblur
