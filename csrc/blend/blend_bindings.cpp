// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

namespace deblur {
namespace {

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

}  // namespace

void bind_blend(py::module_& m) {
    using py::arg;
    m.def("blend", blend, arg("accumulator"), arg("weight_sum"), arg("tile"), arg("y"), arg("x"), arg("feather"),
          DEBLUR_WHERE);
    m.def("mix", mix, arg("base"), arg("result"), arg("weight"), arg("out"), arg("strength"), DEBLUR_WHERE);
}

}  // namespace deblur
