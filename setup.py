# SPDX-License-Identifier: Apache-2.0
"""Drives CMake for the native module and the OpenFX plug-in beside it; everything else stands in pyproject.toml.

torch is never imported: the native ops borrow buffers, so one build serves every torch. Environment:
DEBLUR_CUDA=auto|1|0 (auto: CUDA kernels where nvcc is found), DEBLUR_CUDA_ARCHS="80;90", CMAKE_ARGS.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BUNDLE = "DeblurEngine.ofx.bundle"


def machine_cmake() -> str | None:
    """The machine's CMake, if it is recent enough."""
    found = shutil.which("cmake")
    if found is None:
        return None
    try:
        text = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        major, minor = text.split()[2].split(".")[:2]
        return found if (int(major), int(minor)) >= (3, 25) else None
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return None


class CMakeBuild(build_ext):
    """Builds deblur_engine._ops with CMake and puts it where setuptools wants it."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        # Kept between builds and out of setuptools' temporary folders, so that a second build compiles only changes.
        build = ROOT / "build" / f"native-{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
        cache = build / "CMakeCache.txt"
        if cache.exists() and f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT.as_posix()}\n" not in cache.read_text():
            shutil.rmtree(build)  # the checkout was moved or copied: CMake refuses such a cache
        build.mkdir(parents=True, exist_ok=True)
        cmake = machine_cmake()
        if cmake is None:
            raise SystemExit("CMake 3.25 or later was not found: pip install cmake")
        configure = [
            cmake,
            f"-S{ROOT}",
            f"-B{build}",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DDEBLUR_CUDA={os.environ.get('DEBLUR_CUDA', 'auto')}",
        ]
        if "DEBLUR_CUDA_ARCHS" in os.environ:
            configure.append(f"-DDEBLUR_CUDA_ARCHS={os.environ['DEBLUR_CUDA_ARCHS']}")
        configure += shlex.split(os.environ.get("CMAKE_ARGS", ""))
        subprocess.run(configure, check=True)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        subprocess.run([cmake, "--build", str(build), "--config", "Release", "--parallel", jobs], check=True)
        subprocess.run([cmake, "--install", str(build), "--config", "Release", "--prefix", str(target)], check=True)

    def copy_extensions_to_source(self) -> None:
        """For an editable install: the module, and the effect that lies beside it."""
        super().copy_extensions_to_source()
        built = Path(self.build_lib) / "deblur_engine" / BUNDLE
        if built.is_dir():
            target = ROOT / "engine" / "deblur_engine" / BUNDLE
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(built, target)


class BuildWithScripts(build_py):
    """Takes plugin/ along as deblur_engine/plugin_files; an editable install finds it in the checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "deblur_engine" / "plugin_files"
            shutil.rmtree(target, ignore_errors=True)  # a file that has gone must not stay from an earlier build
            shutil.copytree(ROOT / "plugin", target, ignore=shutil.ignore_patterns("__pycache__"))


# The build front end installs what is named here before it builds: a machine without CMake gets it from the registry.
setup(
    ext_modules=[Extension("deblur_engine._ops", sources=[])],
    cmdclass={"build_ext": CMakeBuild, "build_py": BuildWithScripts},
    setup_requires=[] if machine_cmake() else ["cmake>=3.25"],
)
