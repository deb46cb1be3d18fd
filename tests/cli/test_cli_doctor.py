# SPDX-License-Identifier: Apache-2.0
"""What doctor finds, on this machine and on broken ones."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from deblur_engine.doctor import checks, examine, gpu
from deblur_engine.doctor.gpu import Card, Driver

CARD = Card("A card", 8 << 30, (8, 6))


def named(report, name):
    return next(check for check in report.checks if check.name == name)


def test_this_machine(run):
    ran = run("doctor", "--json")
    found = {check["name"]: check for check in ran.json["checks"]}
    assert {"Python", "native ops", "GPU", "onnxruntime install", "onnxruntime providers", "torch", "OpenCV", "video",
            "image sequences", "disk", "CPU threads"} <= set(found)  # fmt: skip
    for name in ("Python", "onnxruntime providers", "OpenCV", "video", "image sequences"):
        assert found[name]["state"] != "failed", found[name]
    assert "CPU" in found["onnxruntime providers"]["found"]
    assert ran.code == (0 if ran.json["works"] else 1)
    assert all(check["advice"] for check in found.values() if check["state"] != "ok")


def test_the_table_shows_advice_under_what_needs_it(run, replace_engine):
    report = checks.Report((checks.Check("A", "ok", "fine"), checks.Check("B", "failed", "gone", "pip install b")))
    replace_engine(examine=lambda folder: report)
    ran = run("doctor")
    assert ran.code == 1
    assert [line.split() for line in ran.out.splitlines()] == [
        ["A", "ok", "fine"],
        ["B", "failed", "gone"],
        ["->", "pip", "install", "b"],
    ]
    assert "next:" not in ran.err


def test_a_note_is_no_failure():
    assert checks.Report((checks.Check("A", "note", "no GPU", "use the CPU"),)).works


def test_two_onnxruntimes_are_a_conflict(monkeypatch):
    both = {"onnxruntime": "1.20.0", "onnxruntime-gpu": "1.20.0"}
    monkeypatch.setattr(checks, "installed", lambda *names: {name: both[name] for name in names if name in both})
    check = named(examine(), "onnxruntime install")
    assert check.state == "failed" and "pip uninstall -y onnxruntime onnxruntime-gpu" in check.advice


def test_two_opencvs_are_a_conflict(monkeypatch):
    both = {"opencv-python": "4.10", "opencv-python-headless": "5.0"}
    monkeypatch.setattr(checks, "installed", lambda *names: {name: both[name] for name in names if name in both})
    check = named(examine(), "OpenCV")
    assert check.state == "failed" and "opencv-python opencv-python-headless" in check.advice


def test_a_gpu_that_onnxruntime_cannot_use_is_said(monkeypatch):
    monkeypatch.setattr(checks, "driver", lambda: Driver((12, 8), (CARD,)))
    monkeypatch.setattr(checks, "_runs", lambda onnxruntime, model, name: name == "CPUExecutionProvider")
    monkeypatch.setattr(checks, "installed", lambda *names: {"torch": "2.9.0+cpu"} if "torch" in names else {})
    report = examine()
    assert named(report, "GPU").found.startswith("cuda:0 A card, 8 GiB, compute capability 8.6")
    assert named(report, "onnxruntime on CUDA").state == "note"
    assert "cannot use it" in named(report, "torch").found


def test_torch_on_a_gpu_is_tried_in_its_own_process(monkeypatch):
    monkeypatch.setattr(checks, "driver", lambda: Driver((12, 8), (CARD,)))
    monkeypatch.setattr(checks, "installed", lambda *names: {"torch": "2.9.0"} if "torch" in names else {})
    answers = SimpleNamespace(returncode=1, stdout="", stderr="Traceback\nRuntimeError: driver too old\n")
    monkeypatch.setattr(checks.subprocess, "run", lambda *_, **__: answers)
    check = named(examine(), "torch")
    assert check.state == "note" and check.found.endswith("RuntimeError: driver too old")


def test_a_missing_encoder_is_named(monkeypatch):
    monkeypatch.setattr(checks, "_encodes", lambda av, name: name != "libx265")
    check = named(examine(), "video")
    assert check.state == "note" and "without libx265 (HEVC)" in check.found


def test_a_library_that_does_not_load_is_a_failed_check_and_the_rest_goes_on(monkeypatch):
    real = checks.import_module

    def broken(name):
        if name == "onnxruntime":
            raise ImportError("libonnxruntime.so: cannot open shared object file")
        return real(name)

    monkeypatch.setattr(checks, "import_module", broken)
    report = examine()
    assert not report.works
    assert named(report, "onnxruntime providers").found.startswith("ImportError: libonnxruntime")
    assert named(report, "CPU threads").found


def test_limits_on_threads_are_said(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "OMP_NUM_THREADS=1" in named(examine(), "CPU threads").found


def test_a_folder_that_cannot_be_written_to_is_said(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checks.tempfile, "TemporaryFile", refuse)
    check = named(examine(tmp_path), "disk")
    assert check.state == "note" and "not writable: Permission denied" in check.found


def test_doctor_imports_no_torch():
    code = (
        "import sys; from deblur_engine.doctor import examine; examine();"
        "print('torch' in sys.modules, 'deblur_engine.fitting' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]


class FakeCuda:
    """The driver's library with two cards, as ctypes calls it."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def cuInit(self, flags):  # noqa: N802
        return self.status

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = 12080
        return 0

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, device, index):  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name, length, device):  # noqa: N802
        name.value = f"Card {device.value}".encode()
        return 0

    def cuDeviceTotalMem_v2(self, memory, device):  # noqa: N802
        memory._obj.value = (device.value + 1) << 30
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        value._obj.value = {75: 9, 76: 0}[attribute]
        return 0


@pytest.mark.parametrize(("status", "problem"), [(100, "no device is visible"), (999, "the driver answers error 999")])
def test_a_driver_without_devices_says_why(monkeypatch, status, problem):
    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda name: FakeCuda(status))
    assert gpu.driver() == Driver((12, 8), (), problem)


def test_the_driver_lists_its_cards(monkeypatch):
    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda name: FakeCuda())
    cards = (Card("Card 0", 1 << 30, (9, 0)), Card("Card 1", 2 << 30, (9, 0)))
    assert gpu.driver() == Driver((12, 8), cards)


def test_a_machine_without_the_driver_is_no_error(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(gpu.ctypes, "CDLL", missing)
    assert gpu.driver() == Driver(None, (), "no NVIDIA driver is installed")
