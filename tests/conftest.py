# SPDX-License-Identifier: Apache-2.0
"""What all tests share: one thread for torch and the native ops, and what the marker ``gpu`` means."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import pytest
import torch

torch.set_num_threads(1)

# Machines that run tests differ in speed: no deadline. Derandomised, so that a failure is one everywhere.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("tests")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked ``gpu`` is skipped where there is no GPU, and fails where one was promised."""
    if item.get_closest_marker("gpu") is None:
        return
    from deblur_engine import ops

    if ops.cuda_available() and torch.cuda.is_available():
        return
    why = f"no usable GPU: torch sees {torch.cuda.device_count()}, the native ops {ops.build_info()['cuda_devices']}"
    if os.environ.get("DEBLUR_REQUIRE_CUDA") == "1":
        pytest.fail(f"DEBLUR_REQUIRE_CUDA=1, but {why}", pytrace=False)
    pytest.skip(why)
