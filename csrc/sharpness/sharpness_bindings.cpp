// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

namespace deblur {
namespace {

void sharpness(const py::object& image, const py::object& out, int tile, int measure, const py::object& device,
               uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    const Borrowed b = read.borrow("image", image);
    SharpnessTask task;
    task.sample = b.sample;
    task.image = picture<const void>("image", b);
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

}  // namespace

void bind_sharpness(py::module_& m) {
    using py::arg;
    m.def("sharpness", sharpness, arg("image"), arg("out"), arg("tile"), arg("measure"), DEBLUR_WHERE);
}

}  // namespace deblur
