# Every target sets up what it needs. docs/install.md lists the same steps as plain commands.
PYTHON ?= python3
BIN := .venv/bin
EXPORT := .venv/.export
DEV := .venv/.dev
# in two processes: a file's tests stay in one of them, for what they share, and files are begun in their order, for the
# long ones are in the middle
PYTEST := $(BIN)/pytest --ignore=tests/wheel --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-without-vnni sbom resolve gpu check format lint types docs pins wheel-test native-deps clean

# train a small model on synthetic signatures, quantise it, verify with it and with the shipped one
demo: $(EXPORT)
	$(BIN)/edge-sdk demo

# the built wheel on a bare environment, then everything else
test: wheel-test
	$(PYTEST)

# The same as on x86 without VNNI: what edge-sdk asks of engines there, and OpenVINO's and oneDNN's kernels.
test-without-vnni: $(DEV)
	EDGE_SDK_INSTRUCTIONS=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST)

# bills of materials (CycloneDX) of the wheel and of the shipped bundles: build/sbom
sbom: $(DEV)
	$(BIN)/python requirements/sbom.py build/sbom

# which wheels devices of other systems would get from the package index; needs the network, installs nothing
resolve: $(DEV)
	$(BIN)/python requirements/resolve.py

# What needs an NVIDIA GPU: the tests of TensorRT, then every bundle built, compared with ONNX Runtime, and timed beside
# trtexec where that is found. The lock file brings TensorRT for RTX; a TensorRT 10 or 11 that is installed goes before it.
gpu: $(DEV)
	$(BIN)/pytest tests/runtime/engines/tensorrt
	$(BIN)/python benchmarks/tensorrt_bundles.py

wheel-test: $(DEV)
	$(BIN)/pytest tests/wheel

check: $(DEV)
	$(BIN)/ruff format --check .
	$(MAKE) lint types docs test

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

types: $(DEV)
	$(BIN)/mypy

# the pages of docs/ and the API reference as a site: build/docs/index.html
docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# what native/ is built and tested with, from public packages: build/native-deps, where tests/native look for it
native-deps:
	native/dependencies.sh

# digests of the shipped bundles, after one was exported anew or its manifest edited, or the version changed
pins: $(EXPORT)
	$(BIN)/python -m edge_sdk.export.packaging.pins

clean:
	rm -rf .venv runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --no-deps: the lock files are complete, so no resolver runs and none can choose a CUDA build of torch.
# pip check then proves that they are complete.
$(EXPORT): pyproject.toml requirements/export.lock
	$(PYTHON) -m venv .venv
	@echo "installing requirements/export.lock into .venv (1.5 GB, a few minutes the first time)"
	$(BIN)/python -m pip install -qq --no-deps --no-compile --requirement requirements/export.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@

$(DEV): $(EXPORT) requirements/dev.lock
	@echo "installing requirements/dev.lock into .venv (another 1.5 GB: all engines and converters, test tools)"
	$(BIN)/python -m pip install -qq --no-deps --no-compile --requirement requirements/dev.lock
	$(BIN)/python -m pip check
	touch $@
