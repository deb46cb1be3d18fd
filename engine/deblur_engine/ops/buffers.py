# SPDX-License-Identifier: Apache-2.0
"""What is common to all ops: arrays, tensors and DLPack objects as [N, C, H, W] views, checked, and the call itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from .. import _ops

__all__ = ["Array", "Call", "choice", "dtype_name", "shape_text", "whole"]

Array = TypeVar("Array")  # numpy.ndarray, torch.Tensor or an object with __dlpack__

_NAMES = {np.dtype(name): name for name in ("uint8", "uint16", "float16", "float32")}  # dtype.name is slow

_LEGACY_STREAM = 1  # CUDA's default stream, as DLPack and the array interface number it
_ON_HOST, _ON_CUDA = (1, 3), (2, 13)  # DLPack's device types: plain and pinned; device and managed memory


def shape_text(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(str(side) for side in shape) + "]"


def dtype_name(view: Any) -> str:
    """ "float32", ... of an array, a tensor or a DeviceArray."""
    return str(view.dtype).removeprefix("torch.")


def whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: is {value!r}; it must be a whole number")
    if not low <= value <= high:
        raise ValueError(f"{name}: is {value}; it must lie in {low}..{high}")
    return int(value)


def choice(name: str, value: Any, among: Mapping[Any, int]) -> int:
    try:
        return among[value]
    except (KeyError, TypeError):
        legal = ", ".join(repr(key) for key in among)
        raise ValueError(f"{name}: is {value!r}; it must be one of {legal}") from None


@dataclass(frozen=True)
class DeviceArray:
    """Memory of a CUDA device that came by DLPack; strides in bytes. Lives as long as its capsule."""

    pointer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    typestr: str
    read_only: bool
    device: str
    capsule: Any

    @classmethod
    def of(cls, value: Any, stream: int) -> DeviceArray:
        """``value``'s memory, whose owner lets ``stream`` wait for what it has queued on it."""
        try:  # a capsule of version 1 says whether it may be written to
            capsule = value.__dlpack__(stream=stream, max_version=(1, 0))
        except TypeError:
            capsule = value.__dlpack__(stream=stream)
        number = value.__dlpack_device__()[1]
        return cls(*_ops.read_dlpack(capsule), device=f"cuda:{int(number)}", capsule=capsule)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.typestr)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.typestr,
            "data": (self.pointer, self.read_only),
            "strides": self.strides,
            "version": 3,
        }


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _dlpack_device(value: Any) -> tuple[int, int] | None:
    """DLPack's (type, number) of the device that an object other than an array or a tensor lies on."""
    if isinstance(value, np.ndarray) or _is_tensor(value):
        return None
    if not (hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__")):
        return None
    kind, number = value.__dlpack_device__()
    return int(kind), int(number)


def _device_of(value: Any) -> str:
    """Where an array, a tensor or an object with __dlpack__ lies: "cpu", "cuda:0", ..."""
    if _is_tensor(value):
        return str(value.device)
    if isinstance(value, DeviceArray):
        return value.device
    place = _dlpack_device(value)
    if place is None or place[0] in _ON_HOST:
        return "cpu"
    return f"cuda:{place[1]}" if place[0] in _ON_CUDA else f"DLPack device {place}"


def _stream_of(value: Any) -> int:
    """The stream that a CUDA object's owner names as its own (CuPy: the caller's current one), or CUDA's default."""
    described = getattr(value, "__cuda_array_interface__", None) or {}
    return int(described.get("stream") or _LEGACY_STREAM)


def _borrowed(name: str, value: Any, dtypes: tuple[str, ...], writes: bool, stream: int) -> Any:
    """``value``'s own memory as a NumPy array, a CUDA tensor or a DeviceArray, of one of the dtypes.

    Misaligned input is copied where that can be done, on the CPU.
    """
    if _is_tensor(value):
        return _borrowed_tensor(name, value, dtypes)
    place = _dlpack_device(value)
    if place is not None:
        if place[0] not in (*_ON_HOST, *_ON_CUDA):
            raise ValueError(f"{name}: is on DLPack device {place}; it must be on the CPU or a CUDA device")
        try:
            value = np.from_dlpack(value) if place[0] in _ON_HOST else DeviceArray.of(value, stream)
        except (BufferError, RuntimeError, TypeError) as error:  # a type that NumPy has not (bfloat16), a gradient, ...
            raise TypeError(
                f"{name}: is a {type(value).__name__} whose memory cannot be borrowed by DLPack ({error}); "
                f"it must be {' or '.join(dtypes)}"
            ) from error
    if not isinstance(value, (np.ndarray, DeviceArray)):
        raise TypeError(
            f"{name}: is a {type(value).__name__}; it must be a NumPy array, a torch tensor or have __dlpack__"
        )
    if _NAMES.get(value.dtype) not in dtypes or not value.dtype.isnative:
        found = value.dtype.name if value.dtype.isnative else f"{value.dtype.str} (swapped bytes)"
        raise TypeError(f"{name}: is {found}; it must be {' or '.join(dtypes)}")
    if isinstance(value, np.ndarray):
        read_only, aligned = not value.flags.writeable, value.flags.aligned
        if not aligned and not writes:
            return value.copy()
    else:
        read_only, aligned = value.read_only, value.pointer % value.dtype.itemsize == 0
    if writes and read_only:
        raise ValueError(f"{name}: is read-only; it must be writable")
    if not aligned:
        raise ValueError(f"{name}: its memory is misaligned; it must be aligned to its elements")
    return value


def _borrowed_tensor(name: str, value: Any, dtypes: tuple[str, ...]) -> Any:
    torch = sys.modules["torch"]
    found = dtype_name(value)
    if found not in dtypes:
        raise TypeError(f"{name}: is {found}; it must be {' or '.join(dtypes)}")
    if value.device.type not in ("cpu", "cuda"):
        raise ValueError(f"{name}: is on {value.device}; it must be on the CPU or a CUDA device")
    if value.layout is not torch.strided:
        raise TypeError(f"{name}: is {value.layout}; it must be a strided tensor")
    if value.requires_grad and torch.is_grad_enabled():
        raise ValueError(f"{name}: requires a gradient, which the ops do not compute; pass {name}.detach()")
    value = value.detach()
    return value if value.device.type == "cuda" else value.numpy()


def _arranged(view: Any, axes: tuple[int | None, ...]) -> Any:
    """A view with the axes in another order; None is a new axis of length 1."""
    if isinstance(view, DeviceArray):
        return replace(
            view,
            shape=tuple(1 if axis is None else view.shape[axis] for axis in axes),
            strides=tuple(0 if axis is None else view.strides[axis] for axis in axes),
        )
    order = [axis for axis in axes if axis is not None]
    turned = view.transpose(order) if isinstance(view, np.ndarray) else view.permute(order)
    return turned[tuple(None if axis is None else slice(None) for axis in axes)]


@dataclass(frozen=True)
class _Extent:
    """The memory that a view may touch: on which device, from which byte to before which byte."""

    device: str
    first: int
    stop: int

    @classmethod
    def of(cls, view: Any) -> _Extent:
        device, size, steps = _device_of(view), _item_size(view), _strides(view)
        if isinstance(view, np.ndarray):
            origin = view.__array_interface__["data"][0]
        else:
            origin = view.pointer if isinstance(view, DeviceArray) else view.data_ptr()
        if 0 in view.shape:
            return cls(device, origin, origin)
        reach = [(side - 1) * step for side, step in zip(view.shape, steps, strict=True)]
        low, high = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0)
        return cls(device, origin + low, origin + high + size)

    def overlaps(self, other: _Extent) -> bool:
        return self.device == other.device and self.first < other.stop and other.first < self.stop


def _item_size(view: Any) -> int:
    return int(view.element_size() if _is_tensor(view) else view.dtype.itemsize)


def _strides(view: Any) -> tuple[int, ...]:
    """In bytes."""
    return tuple(step * _item_size(view) for step in view.stride()) if _is_tensor(view) else tuple(view.strides)


def _check_distinct(name: str, view: Any) -> None:
    """Raise where two elements of an output may be one place in memory (a broadcast, say)."""
    if 0 in view.shape:
        return
    used = sorted((abs(step), side) for step, side in zip(_strides(view), view.shape, strict=True) if side > 1)
    reach = _item_size(view)
    for step, side in used:
        if step < reach:
            raise ValueError(f"{name}: several of its elements share memory; each must have its own")
        reach = step * (side - 1) + reach


class Call:
    """One picture argument as an [N, C, H, W] view, and what the call's other arguments must be to fit it.

    ``beside``: another picture of the same call, whose kind and device this one must share.
    """

    def __init__(
        self,
        name: str,
        value: Any,
        dtypes: tuple[str, ...] = ("float32",),
        channels: tuple[int, ...] | None = None,
        *,
        writes: bool = False,
        beside: Call | None = None,
    ) -> None:
        self.name = name
        self.tensor = _is_tensor(value)
        self.device = _device_of(value)
        self.cuda = self.device.startswith("cuda")
        self._stream = 0  # of a DLPack object on a CUDA device
        if beside is not None:
            beside._check_place(name, value)
            self._stream = beside._stream
        elif self.cuda and not self.tensor:
            self._stream = _stream_of(value)
        self._like = value
        view = _borrowed(name, value, dtypes, writes, self._stream)
        self.shape = tuple(int(side) for side in view.shape)
        legal = (3, 4) if self.tensor else (2, 3, 4)
        if view.ndim not in legal:
            layouts = "[C, H, W] or [N, C, H, W]" if self.tensor else "[H, W], [H, W, C] or [N, H, W, C]"
            raise ValueError(f"{name}: shape {shape_text(self.shape)} has {view.ndim} dimensions; it must be {layouts}")
        self.batched = view.ndim == 4
        self.view = _arranged(view, self._picture_axes(view.ndim))
        self.count, self.channels, self.height, self.width = (int(side) for side in self.view.shape)
        if self.height < 1 or self.width < 1 or self.channels < 1:
            raise ValueError(f"{name}: shape {shape_text(self.shape)} holds no pixels")
        if channels is not None and self.channels not in channels:
            wanted = " or ".join(str(count) for count in channels)
            raise ValueError(
                f"{name}: shape {shape_text(self.shape)} has {self.channels} channels; it must have {wanted}"
            )

    def _picture_axes(self, ndim: int) -> tuple[int | None, ...]:
        if self.tensor:
            return (0, 1, 2, 3) if ndim == 4 else (None, 0, 1, 2)
        return {2: (None, None, 0, 1), 3: (None, 2, 0, 1), 4: (0, 3, 1, 2)}[ndim]

    def _check_place(self, name: str, value: Any) -> None:
        """Raise unless ``value`` is of the picture's kind and on its device."""
        if _is_tensor(value) != self.tensor:
            wanted = "a torch tensor" if self.tensor else "a NumPy array or have __dlpack__"
            raise TypeError(f"{name}: is a {type(value).__name__}; it must be {wanted}, as {self.name} is")
        device = _device_of(value)
        if device != self.device:
            raise ValueError(f"{name}: is on {device}; it must be on {self.device}, like {self.name}")

    def argument(
        self,
        name: str,
        value: Any,
        shape: tuple[int, ...],
        axes: tuple[int | None, ...],
        *,
        dtypes: tuple[str, ...] = ("float32",),
        writes: bool = False,
    ) -> Any:
        """Another argument of this shape, of the picture's kind and on its device, its axes put into this order."""
        self._check_place(name, value)
        view = _borrowed(name, value, dtypes, writes, self._stream)
        if tuple(view.shape) != shape:
            raise ValueError(
                f"{name}: shape {shape_text(view.shape)}; it must be {shape_text(shape)} to fit {self.name}'s"
            )
        return _arranged(view, axes)

    def like(self, name: str, value: Any, *, dtypes: tuple[str, ...] = ("float32",), writes: bool = False) -> Any:
        """A picture of the same shape, as [N, C, H, W]."""
        axes = self._picture_axes(len(self.shape))
        return self.argument(name, value, self.shape, axes, dtypes=dtypes, writes=writes)

    @property
    def dtype(self) -> str:
        """The picture's own: "float32", ..."""
        return dtype_name(self.view)

    @property
    def field_shape(self) -> tuple[int, ...]:
        """Shape of a field of one vector a pixel."""
        whole_batch = (self.count, 2, self.height, self.width)
        if not self.tensor:
            whole_batch = (self.count, self.height, self.width, 2)
        return whole_batch if self.batched else whole_batch[1:]

    def field(self, name: str, value: Any, *, dtypes: tuple[str, ...] = ("float32",), writes: bool = False) -> Any:
        """A vector a pixel, as [N, 2, H, W]."""
        shape = self.field_shape
        return self.argument(name, value, shape, self._picture_axes(len(shape)), dtypes=dtypes, writes=writes)

    @property
    def map_shape(self) -> tuple[int, ...]:
        """Shape of a map of one value a pixel."""
        if not self.batched:
            return (self.height, self.width)
        return (self.count, 1, self.height, self.width) if self.tensor else (self.count, self.height, self.width)

    def map(self, name: str, value: Any, *, writes: bool = False) -> Any:
        """A map of one value a pixel, as [N, 1, H, W]."""
        axes: tuple[int | None, ...] = (None, None, 0, 1)
        if self.batched:
            axes = (0, 1, 2, 3) if self.tensor else (0, None, 1, 2)
        return self.argument(name, value, self.map_shape, axes, writes=writes)

    def output(
        self,
        out: Any,
        shape: tuple[int, ...] | None = None,
        axes: tuple[int | None, ...] | None = None,
        dtype: str = "float32",
    ) -> tuple[Any, Any]:
        """New memory, or ``out`` if it fits, and its [N, C, H, W] view; by default shaped like the picture."""
        shape = self.shape if shape is None else shape
        axes = self._picture_axes(len(shape)) if axes is None else axes
        if out is None:
            out = self.new("out", shape, dtype)
        return out, self.argument("out", out, shape, axes, dtypes=(dtype,), writes=True)

    def new(self, name: str, shape: tuple[int, ...], dtype: str = "float32") -> Any:
        """Uninitialised memory beside the picture; ``name`` is the argument that asks for it."""
        if self.tensor:
            return self._like.new_empty(shape, dtype=getattr(sys.modules["torch"], dtype), requires_grad=False)
        if self.cuda:
            way_out = f"do without, or pass {self.name} as a torch tensor" if name == "transfer" else f"pass {name}="
            raise ValueError(
                f"{name}: needs new memory on {self.device}, where the ops allocate none for a "
                f"{type(self._like).__name__}; {way_out}"
            )
        return np.empty(shape, dtype)

    def run(
        self, op: Any, threads: int | None, *, reads: dict[str, Any], writes: dict[str, Any], **arguments: Any
    ) -> None:
        """Call the native ``op`` with views that it reads and writes (None: an argument left out) and the rest."""
        count = 0 if threads is None else whole("threads", threads, 1, 1 << 16)
        extents = {name: _Extent.of(view) for name, view in {**reads, **writes}.items() if view is not None}
        for name, view in writes.items():
            if view is None:
                continue
            _check_distinct(name, view)
            for other, extent in extents.items():
                if other != name and extents[name].overlaps(extent):
                    raise ValueError(f"{name}: shares memory with {other}; it must have memory of its own")
        if self.count == 0:
            return
        if not self.cuda:
            op(**reads, **writes, **arguments, threads=count)
            return
        if not _ops.cuda_devices():
            raise ValueError(
                f"{self.name}: is on {self.device}, and the native ops cannot use CUDA here "
                "(see deblur_engine.ops.build_info()); move it to the CPU"
            )
        index = int(self.device.removeprefix("cuda:"))
        stream = sys.modules["torch"].cuda.current_stream(index).cuda_stream if self.tensor else self._stream
        op(**reads, **writes, **arguments, device=index, stream=stream)
