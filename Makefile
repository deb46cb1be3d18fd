# SPDX-License-Identifier: Apache-2.0
# Every verb sets up what it needs: a virtual environment with the native build and the pinned packages, made once.
#   make test ARGS="-k warp"      PYTHON=python3.12      VENV=/elsewhere      DEBLUR_CUDA=0

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Threads that wait must not spin: on few cores they take the time of those that work.
export OMP_WAIT_POLICY := PASSIVE

NATIVE := CMakeLists.txt setup.py pyproject.toml constraints.txt $(wildcard csrc/* csrc/*/* ofx_bridge/*)
CPP := $(wildcard csrc/*.h csrc/*.cpp csrc/*.cu csrc/*/*.h csrc/*/*.cpp csrc/*/*.cu tests/cpp/*.cpp tests/cpp/*.h \
  ofx_bridge/*.h ofx_bridge/*.cpp tests/ofx/host/*.h tests/ofx/host/*.cpp \
  tests/cross/*.cpp)
BENCHES := $(wildcard tests/bench/ops.py tests/bench/roundtrip.py tests/bench/render.py tests/bench/fitting.py \
  tests/bench/alignment.py tests/bench/timeline.py tests/bench/quality)

.PHONY: help demo test lint bench gpu sanitize sanitize-ofx cross fuzz clean

help:
	@echo "make demo    fit to the clip in demo/, render it, show the measured gain"
	@echo "make test    all tests (those that need a GPU are skipped without one)"
	@echo "make lint    ruff, mypy, clang-format"
	@echo "make bench   what the engine's claims stand on: speed against other libraries, quality, round trips"
	@echo "make gpu     everything that needs a CUDA device: its tests, its benchmarks, a fit and a render; with"
	@echo "             FOOTAGE='CLIPS AND PICTURES' the warm start's training too, for MINUTES=10"
	@echo "make sanitize  the C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer; then sanitize-ofx"
	@echo "make sanitize-ofx  the OpenFX plug-in and its host under these, and under ThreadSanitizer"
	@echo "make cross   the OpenFX plug-in for Windows and macOS, by PyPI's ziglang (100 MB, fetched at the first time)"
	@echo "make fuzz    the readers of what comes over the wire, FUZZ_SECONDS=300 each"
	@echo "make clean   remove everything that make made"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Always with the constraints: nothing may bring in a version that the tests were not run with.
$(READY): $(BIN)/python $(NATIVE)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/python demo/run.py $(ARGS)

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CPP)

bench: $(READY)
	@set -e; for bench in $(BENCHES); do echo "== $$bench"; $(BIN)/python $$bench $(ARGS); done

gpu: $(READY)
	DEBLUR_REQUIRE_CUDA=1 $(BIN)/python -m pytest -m gpu $(ARGS)
	@if command -v compute-sanitizer > /dev/null; then \
	  for tool in memcheck racecheck; do \
	    echo "== compute-sanitizer $$tool"; \
	    DEBLUR_REQUIRE_CUDA=1 compute-sanitizer --tool $$tool --error-exitcode 9 --target-processes all \
	      $(BIN)/python -m pytest -m gpu tests/ops || exit; \
	  done; \
	else echo "compute-sanitizer was not found (it comes with the CUDA toolkit): memcheck and racecheck left out"; fi
	$(BIN)/python tests/bench/gpu.py
	$(BIN)/python tests/bench/fitting.py --device cuda --steps 50
	@if [ -n "$(FOOTAGE)" ]; then set -x; \
	  $(BIN)/python -m deblur_engine.fitting.pretrain --device cuda --batch 32 --processes $$(nproc) --pool 4000 \
	    --minutes $(or $(MINUTES),10) --init engine/deblur_engine/fitting/warm_start.safetensors \
	    --out build/warm_start.safetensors $(FOOTAGE); \
	else echo "the warm start's training was left out: it takes FOOTAGE='CLIPS AND PICTURES'"; fi

sanitize:
	cmake -S . -B build/sanitize -DDEBLUR_PYTHON=OFF -DDEBLUR_OFX=OFF -DDEBLUR_CPP_TESTS=ON -DDEBLUR_SANITIZE=ON -DDEBLUR_CUDA=0 \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo
	cmake --build build/sanitize --parallel
	UBSAN_OPTIONS=print_stacktrace=1 build/sanitize/tests/cpp/deblur_tests
	DEBLUR_ISA=base UBSAN_OPTIONS=print_stacktrace=1 build/sanitize/tests/cpp/deblur_tests
	$(MAKE) sanitize-ofx

sanitize-ofx: $(READY)
	@set -e; for kind in address thread; do \
	  echo "== $$kind"; DEBLUR_OFX_SANITIZE=$$kind OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1 \
	    ASAN_OPTIONS=detect_leaks=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
	    $(BIN)/python -m pytest tests/ofx -o timeout=1200 $(ARGS); \
	done

ZIGLANG ?= 0.17.1
cross: $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check ziglang==$(ZIGLANG)
	$(BIN)/python -m pytest tests/cross -o timeout=1200 $(ARGS)

FUZZ_SECONDS ?= 300
fuzz: $(READY)
	$(BIN)/python tests/fuzz/fuzz_wire.py build/fuzz/wire -artifact_prefix=build/fuzz/ -max_total_time=$(FUZZ_SECONDS)
	cmake -S . -B build/ofx-address -DDEBLUR_PYTHON=OFF -DDEBLUR_OPS=OFF -DDEBLUR_OFX_TESTS=ON -DDEBLUR_SANITIZE=address
	cmake --build build/ofx-address --target ofx_wire_fuzz
	timeout $(FUZZ_SECONDS) build/ofx-address/tests/ofx/host/ofx_wire_fuzz 1000000000 || test $$? = 124

clean:
	rm -rf build dist demo/out engine/*.egg-info engine/deblur_engine/_ops*.so \
	  engine/deblur_engine/DeblurEngine.ofx.bundle $(VENV)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find engine tests demo -name __pycache__ -type d -prune -exec rm -rf {} +
