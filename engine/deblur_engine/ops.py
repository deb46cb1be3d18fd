# SPDX-License-Identifier: Apache-2.0
"""The native ops, for NumPy arrays and torch tensors: sharpness, warp, reblur, tile blending.

An op returns the kind it was given. NumPy pictures are ``[H, W]``, ``[H, W, C]`` or ``[N, H, W, C]``; torch tensors
are ``[C, H, W]`` or ``[N, C, H, W]``, on the CPU or on a CUDA device (then the work is queued on the caller's current
stream). A map of one value a pixel (mask, weight) is ``[H, W]`` beside ``[H, W(, C)]`` and ``[C, H, W]``,
``[N, H, W]`` beside ``[N, H, W, C]`` and ``[N, 1, H, W]`` beside ``[N, C, H, W]``. Any strides will do, inputs are
never copied unless their memory is misaligned, and pictures are float32 unless said otherwise. A flow is in pixels,
``(dx, dy)``, backward: ``warped(p) = image(p + flow(p))``. A displacement that is not finite counts as none.

Threads: ``threads`` bounds a call, ``OMP_NUM_THREADS`` bounds every call, the processors of this process bound both
where neither is set. The GIL is released. Results depend neither on the threads nor on the processor's instruction
set. Errors: ``TypeError`` for what has the wrong type or dtype, ``ValueError`` for a wrong shape, device or value;
both name the argument, what it is and what it should be. Gradients are not computed: a tensor that requires them is
refused.

torch is used where the caller brings its tensors, and never imported from here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from . import _ops

__all__ = ["blend_tiles", "build_info", "cuda_available", "mix", "reblur", "sharpness", "warp"]

Array = TypeVar("Array")  # numpy.ndarray or torch.Tensor

_FILTERS = {"bilinear": 0, "bicubic": 1}
_BORDERS = {"replicate": 0, "zero": 1, "reflect": 2}
_MEASURES = {"laplacian": 0, "tenengrad": 1}
_TRANSFERS = {None: 0, "srgb": 1, "bt709": 2, "gamma2.2": 3}


def cuda_available() -> bool:
    """Whether the CUDA kernels can run here: built in, and a driver and a device found."""
    return int(_ops.cuda_devices()) > 0


def build_info() -> dict[str, Any]:
    """How the native module was built and what it uses here.

    ``instruction_set`` (of the CPU loops: "base", "x86-64-v3", "x86-64-v4"), ``threads`` (of a call that names none),
    ``compiler``, ``cuda`` (built in), ``cuda_runtime`` (version number or None), ``cuda_archs``, ``cuda_devices``.
    """
    return {**_ops.build_info(), "cuda_devices": int(_ops.cuda_devices())}


def sharpness(
    image: Array,
    tile: int = 32,
    measure: Literal["laplacian", "tenengrad"] = "laplacian",
    *,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """How sharp each tile of a picture is.

    ``image``: one channel, or three whose BT.709 luma is taken; uint8, uint16 or float32, read as 0..1 (integers by
    their full scale). Returns float32 ``[ceil(H / tile), ceil(W / tile)]`` (with ``N`` in front for a batch): the mean
    over each tile of the squared Laplacian (4 neighbours), or of the squared Sobel gradient per pixel for
    "tenengrad". Borders are replicated; tiles at the right and the bottom may be smaller.
    """
    call = _Call("image", image, dtypes=("uint8", "uint16", "float32"), channels=(1, 3))
    tile = _whole("tile", tile, 1, 1 << 30)
    kind = _choice("measure", measure, _MEASURES)
    down, across = -(-call.height // tile), -(-call.width // tile)
    # Like a map of one value a pixel, of another size; a batch of tensors too is [N, H, W] here.
    shape = (call.count, down, across) if call.batched else (down, across)
    if out is None:
        result = call.new(shape)
    else:
        call.check_like("out", out, shape)
        result = out
    view = call.plain(result)
    call.run(
        _ops.sharpness,
        threads,
        inputs={"image": image},
        outputs={"out": result},
        image=call.view,
        out=view[:, None] if call.batched else view[None, None],
        tile=tile,
        measure=kind,
    )
    return result


def warp(
    image: Array,
    flow: Array,
    mode: Literal["bilinear", "bicubic"] = "bilinear",
    border: Literal["replicate", "zero", "reflect"] = "replicate",
    out: Array | None = None,
    return_mask: bool = False,
    *,
    threads: int | None = None,
) -> Any:
    """``image`` read at ``p + flow(p)`` for every pixel ``p``.

    ``flow``: float32, two channels, of the image's height and width. ``mode`` "bicubic" is Catmull-Rom. Beyond its
    border the picture goes on by its edge pixels ("replicate"), by zeros, or mirrored about the edge pixels' centres
    ("reflect"). With ``return_mask`` the result is a pair with a float32 map of how much of each bilinear read lay
    inside the picture: 1 inside, 0 from one pixel outside on, 0 where the flow is not finite.
    Values of the image that are not finite reach every pixel that has one among its taps.
    """
    call = _Call("image", image)
    mode_code = _choice("mode", mode, _FILTERS)
    border_code = _choice("border", border, _BORDERS)
    flow_view = call.field("flow", flow)
    result, out_view = call.output(out)
    mask = call.new(call.map_shape) if return_mask else None
    call.run(
        _ops.warp,
        threads,
        inputs={"image": image, "flow": flow},
        outputs={"out": result},
        image=call.view,
        flow=flow_view,
        out=out_view,
        mask=None if mask is None else call.map_view(mask),
        filter=mode_code,
        border=border_code,
    )
    return result if mask is None else (result, mask)


def reblur(
    image: Array,
    motion: Array,
    curvature: Array | None = None,
    samples: int | None = None,
    *,
    transfer: Literal["srgb", "bt709", "gamma2.2"] | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """``image`` blurred by its motion during the exposure.

    ``out(p) = mean over s in [-1/2, 1/2] of image(p + s motion(p) + (s² - 1/12) curvature(p))``, read bilinearly,
    borders replicated. ``motion`` and ``curvature``: float32, two channels, pixels. The mean is taken over the middles
    of ``samples`` equal parts (1..4096); None chooses for each pixel by the length of its path, one a pixel and one
    more, at most 65. ``transfer`` names the curve that is undone before and redone after, so that light is averaged;
    None averages the values as they are. Pixels with no motion and no curvature keep their bits.
    """
    call = _Call("image", image)
    code = _choice("transfer", transfer, _TRANSFERS)
    count = 0 if samples is None else _whole("samples", samples, 1, 4096)
    motion_view = call.field("motion", motion)
    inputs = {"image": image, "motion": motion}
    curvature_view = None
    if curvature is not None:
        curvature_view = call.field("curvature", curvature)
        inputs["curvature"] = curvature
    result, out_view = call.output(out)
    # The device kernels read linear light from memory of torch's own allocator, which knows the stream.
    scratch = call.new((call.count, call.channels, call.height, call.width)) if call.cuda and code else None
    call.run(
        _ops.reblur,
        threads,
        inputs=inputs,
        outputs={"out": result},
        image=call.view,
        motion=motion_view,
        curvature=curvature_view,
        out=out_view,
        transfer=code,
        samples=count,
        scratch=scratch,
    )
    return result


def blend_tiles(
    accumulator: Array, weight_sum: Array, tile: Array, y: int, x: int, feather: int, *, threads: int | None = None
) -> None:
    """Add a tile, weighted, to ``accumulator``, and its weights to ``weight_sum``; both change in place.

    The tile's first pixel lies at ``(y, x)`` and all of it inside. Its weight rises from 0 to 1 over ``feather``
    pixels from each edge that is not an edge of the accumulator, so that tiles which overlap by ``feather`` add up to
    a weight of 1. Divide the accumulator by ``weight_sum`` when all tiles are in. ``weight_sum``: one value a pixel.
    """
    call = _Call("accumulator", accumulator)
    total_view = call.map_view(weight_sum, "weight_sum")
    y, x = _whole("y", y, 0, 1 << 40), _whole("x", x, 0, 1 << 40)
    feather = _whole("feather", feather, 0, 1 << 30)
    part = _Call("tile", tile)
    call.same_place("tile", part)
    if (part.count, part.channels) != (call.count, call.channels) or part.batched != call.batched:
        raise ValueError(
            f"tile: shape {_shape(tile)} does not fit the accumulator's {_shape(accumulator)}: "
            "all but height and width must be alike"
        )
    if y + part.height > call.height or x + part.width > call.width:
        raise ValueError(
            f"tile: {part.height} x {part.width} pixels (height x width) at y={y}, x={x} reach beyond the "
            f"accumulator's {call.height} x {call.width}"
        )
    call.run(
        _ops.blend,
        threads,
        inputs={"tile": tile},
        outputs={"accumulator": accumulator, "weight_sum": weight_sum},
        accumulator=call.view,
        weight_sum=total_view,
        tile=part.view,
        y=y,
        x=x,
        feather=feather,
    )


def mix(
    base: Array,
    result: Array,
    weight: Array,
    *,
    strength: float = 1.0,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """``base + strength * weight * (result - base)``; where the weight is 0, the base's bits exactly.

    ``weight``: float32, one value a pixel, nominally 0..1. What ``result`` holds where the weight is 0 (NaN, say)
    does not matter.
    """
    call = _Call("base", base)
    other = _Call("result", result)
    call.same_place("result", other)
    call.check_like("result", result, tuple(base.shape))  # type: ignore[attr-defined]
    weight_view = call.map_view(weight, "weight", writes=False)
    strength = float(strength)
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength: is {strength}; it must lie in 0..1")
    mixed, out_view = call.output(out)
    call.run(
        _ops.mix,
        threads,
        inputs={"base": base, "result": result, "weight": weight},
        outputs={"out": mixed},
        base=call.view,
        result=other.view,
        weight=weight_view,
        out=out_view,
        strength=strength,
    )
    return mixed


# ---- what is common to all calls


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _shape(value: Any) -> str:
    return "[" + ", ".join(str(side) for side in value.shape) + "]"


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: is {value!r}; it must be a whole number")
    if not low <= value <= high:
        raise ValueError(f"{name}: is {value}; it must lie in {low}..{high}")
    return int(value)


def _choice(name: str, value: Any, among: dict[Any, int]) -> int:
    try:
        return among[value]
    except (KeyError, TypeError):
        legal = ", ".join(repr(key) for key in among)
        raise ValueError(f"{name}: is {value!r}; it must be one of {legal}") from None


def _check_kind(name: str, value: Any, dtypes: tuple[str, ...], writes: bool) -> bool:
    """Whether ``value`` is a tensor; raises unless it is an array or a tensor of one of the dtypes."""
    tensor = _is_tensor(value)
    if not tensor and not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: is a {type(value).__name__}; it must be a NumPy array or a torch tensor")
    if _dtype(value) not in dtypes or (not tensor and not value.dtype.isnative):
        found = _dtype(value) if tensor or value.dtype.isnative else f"{value.dtype.str} (swapped bytes)"
        raise TypeError(f"{name}: is {found}; it must be {' or '.join(dtypes)}")
    if tensor:
        if value.device.type not in ("cpu", "cuda"):
            raise ValueError(f"{name}: is on {value.device}; it must be on the CPU or a CUDA device")
        if value.layout is not sys.modules["torch"].strided:
            raise TypeError(f"{name}: is {value.layout}; it must be a strided tensor")
        if value.requires_grad and sys.modules["torch"].is_grad_enabled():
            raise ValueError(f"{name}: requires a gradient, which the ops do not compute; pass {name}.detach()")
    elif writes and not value.flags.writeable:
        raise ValueError(f"{name}: is read-only; it must be writable")
    elif writes and not value.flags.aligned:
        raise ValueError(f"{name}: its memory is misaligned; it must be aligned to its elements")
    return tensor


@dataclass(frozen=True)
class _Extent:
    """The memory that a view may touch: on which device, from which byte to before which byte."""

    device: str
    first: int
    stop: int

    @classmethod
    def of(cls, value: Any) -> _Extent:
        if isinstance(value, np.ndarray):
            device, size, origin = "cpu", value.itemsize, value.__array_interface__["data"][0]
            steps = value.strides
        else:
            device, size, origin = str(value.device), value.element_size(), value.data_ptr()
            steps = tuple(step * size for step in value.stride())
        if 0 in value.shape:
            return cls(device, origin, origin)
        reach = [(side - 1) * step for side, step in zip(value.shape, steps, strict=True)]
        low, high = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0)
        return cls(device, origin + low, origin + high + size)

    def overlaps(self, other: _Extent) -> bool:
        return self.device == other.device and self.first < other.stop and other.first < self.stop


class _Call:
    """One picture argument as an [N, C, H, W] view, and what the call's other arguments must be to fit it."""

    def __init__(
        self, name: str, value: Any, dtypes: tuple[str, ...] = ("float32",), channels: tuple[int, ...] | None = None
    ) -> None:
        self.name = name
        self.value = value
        self.tensor = _check_kind(name, value, dtypes, writes=False)
        legal = (3, 4) if self.tensor else (2, 3, 4)
        if value.ndim not in legal:
            layouts = "[C, H, W] or [N, C, H, W]" if self.tensor else "[H, W], [H, W, C] or [N, H, W, C]"
            raise ValueError(f"{name}: shape {_shape(value)} has {value.ndim} dimensions; it must be {layouts}")
        self.batched = value.ndim == 4
        self.view = self.four(value)
        self.count, self.channels, self.height, self.width = (int(side) for side in self.view.shape)
        if self.height < 1 or self.width < 1 or self.channels < 1:
            raise ValueError(f"{name}: shape {_shape(value)} holds no pixels")
        if channels is not None and self.channels not in channels:
            wanted = " or ".join(str(count) for count in channels)
            raise ValueError(f"{name}: shape {_shape(value)} has {self.channels} channels; it must have {wanted}")
        self.cuda = self.tensor and value.device.type == "cuda"

    @property
    def map_shape(self) -> tuple[int, ...]:
        """Shape of a map of one value a pixel."""
        if not self.batched:
            return (self.height, self.width)
        return (self.count, 1, self.height, self.width) if self.tensor else (self.count, self.height, self.width)

    def plain(self, value: Any) -> Any:
        """A tensor on the CPU as a NumPy view of its memory; misaligned arrays as a copy; all else as it is."""
        if not self.tensor:
            return value if value.flags.aligned else value.copy()
        value = value.detach()
        return value if value.device.type == "cuda" else value.numpy()

    def four(self, value: Any) -> Any:
        """A picture as [N, C, H, W], without a copy."""
        view = self.plain(value)
        if self.tensor:
            return view if view.ndim == 4 else view[None]
        if view.ndim == 2:
            return view[None, None]
        return view.transpose(2, 0, 1)[None] if view.ndim == 3 else view.transpose(0, 3, 1, 2)

    def same_place(self, name: str, other: _Call) -> None:
        if self.tensor != other.tensor:
            wanted = "a torch tensor" if self.tensor else "a NumPy array"
            raise TypeError(f"{name}: is a {type(other.value).__name__}; it must be {wanted}, as {self.name} is")
        if self.tensor and self.value.device != other.value.device:
            raise ValueError(f"{name}: is on {other.value.device}; it must be on {self.value.device}, like {self.name}")

    def check_like(self, name: str, value: Any, shape: tuple[int, ...], writes: bool = True) -> None:
        """Raise unless ``value`` is float32 of this shape, of the same kind and on the same device as the picture."""
        tensor = _check_kind(name, value, ("float32",), writes)
        if tensor != self.tensor:
            wanted = "a torch tensor" if self.tensor else "a NumPy array"
            raise TypeError(f"{name}: is a {type(value).__name__}; it must be {wanted}, as {self.name} is")
        if tensor and value.device != self.value.device:
            raise ValueError(f"{name}: is on {value.device}; it must be on {self.value.device}, like {self.name}")
        if tuple(value.shape) != shape:
            wanted = "[" + ", ".join(str(side) for side in shape) + "]"
            raise ValueError(f"{name}: shape {_shape(value)}; it must be {wanted} to fit {self.name}'s")

    def field(self, name: str, value: Any) -> Any:
        """A vector a pixel, as [N, 2, H, W]."""
        if self.tensor:
            shape: tuple[int, ...] = (self.count, 2, self.height, self.width)
            shape = shape if self.batched else shape[1:]
        else:
            shape = (self.count, self.height, self.width, 2)
            shape = shape if self.batched else shape[1:]
        self.check_like(name, value, shape, writes=False)
        return self.four(value)

    def map_view(self, value: Any, name: str = "mask", writes: bool = True) -> Any:
        """A map of one value a pixel, as [N, 1, H, W]."""
        self.check_like(name, value, self.map_shape, writes)
        view = self.plain(value)
        if not self.batched:
            return view[None, None]
        return view if self.tensor else view[:, None]

    def output(self, out: Any) -> tuple[Any, Any]:
        """A new picture, or ``out`` if it fits, and its [N, C, H, W] view."""
        shape = tuple(self.value.shape)
        if out is None:
            out = self.new(shape)
        else:
            self.check_like("out", out, shape)
        return out, self.four(out)

    def new(self, shape: tuple[int, ...]) -> Any:
        """Uninitialised float32 memory beside the picture."""
        if self.tensor:
            return self.value.new_empty(shape, dtype=sys.modules["torch"].float32)
        return np.empty(shape, np.float32)

    def run(
        self, op: Any, threads: int | None, *, inputs: dict[str, Any], outputs: dict[str, Any], **arguments: Any
    ) -> None:
        count = 0 if threads is None else _whole("threads", threads, 1, 1 << 16)
        written = {name: _Extent.of(value) for name, value in outputs.items()}
        for name, extent in written.items():
            _check_distinct(name, outputs[name])
            for other, value in [*inputs.items(), *((n, v) for n, v in outputs.items() if n != name)]:
                if extent.overlaps(_Extent.of(value)):
                    raise ValueError(f"{name}: shares memory with {other}; it must have memory of its own")
        if self.count == 0:
            return
        if not self.cuda:
            op(**arguments, threads=count)
            return
        if not cuda_available():
            raise ValueError(
                f"{self.name}: is on {self.value.device}, and the native ops cannot use CUDA here "
                "(see deblur_engine.ops.build_info()); move it to the CPU"
            )
        torch = sys.modules["torch"]
        index = self.value.device.index
        op(**arguments, device=index, stream=torch.cuda.current_stream(index).cuda_stream)


def _check_distinct(name: str, value: Any) -> None:
    """Raise where two elements of an output may be one place in memory (a broadcast, say)."""
    steps = value.strides if isinstance(value, np.ndarray) else value.stride()
    if 0 in value.shape:
        return
    used = sorted((abs(step), side) for step, side in zip(steps, value.shape, strict=True) if side > 1)
    reach = value.itemsize if isinstance(value, np.ndarray) else 1
    for step, side in used:
        if step < reach:
            raise ValueError(f"{name}: several of its elements share memory; each must have its own")
        reach = step * (side - 1) + reach
