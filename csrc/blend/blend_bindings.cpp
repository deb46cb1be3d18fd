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

// The integer code that stands for 1 in `bits` bits; 1 for floats.
float full_scale(Sample sample, int bits) {
    if (sample == Sample::f16 || sample == Sample::f32) return 1.0f;
    if (bits < 1 || bits > 8 * bytes_of(sample)) refuse("bits", "more than the type has, or none");
    return static_cast<float>((1 << bits) - 1);
}

void finish(const py::object& sum, const py::object& weight, const py::object& out, int bits, const py::object& device,
            uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    FinishTask task;
    task.sum = read.floats("accumulator", sum);
    task.weight = read.floats("weight_sum", weight);
    const Borrowed to = read.borrow("out", out);
    task.out = picture<void>("out", to);
    task.sample = to.sample;
    task.full = full_scale(to.sample, bits);
    same_size("weight_sum", task.weight, task.sum, 1);
    same_size("out", task.out, task.sum, task.sum.c);
    DEBLUR_RUN(finish, task)
}

void mix(const py::object& base, const py::object& result, const py::object& weight, const py::object& out,
         float strength, int bits, const py::object& device, uintptr_t stream, int threads) {
    const Where at = where(device, stream, threads);
    const Reader read{at.cuda()};
    MixTask task;
    const Borrowed from = read.borrow("base", base), to = read.borrow("out", out);
    task.base = picture<const void>("base", from);
    task.result = read.floats("result", result);
    task.weight = read.floats("weight", weight);
    task.out = picture<void>("out", to);
    task.sample = from.sample;
    task.full = full_scale(from.sample, bits);
    task.strength = strength;
    if (to.sample != from.sample) refuse("out", "not of the base's type");
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
    m.def("finish", finish, arg("accumulator"), arg("weight_sum"), arg("out"), arg("bits"), DEBLUR_WHERE);
    m.def("mix", mix, arg("base"), arg("result"), arg("weight"), arg("out"), arg("strength"), arg("bits"),
          DEBLUR_WHERE);
}

}  // namespace deblur
