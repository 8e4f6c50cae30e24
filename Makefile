# Every target sets up what it needs. The README lists the same steps as plain commands.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check format lint types wheel-test clean

# train a small model on synthetic signatures, quantise it, verify with it and with the shipped one
demo: $(READY)
	$(BIN)/edge-sdk demo

# the built wheel on a bare environment, then everything else
test: wheel-test
	$(BIN)/pytest --ignore=tests/wheel

wheel-test: $(READY)
	$(BIN)/pytest tests/wheel

check: $(READY)
	$(BIN)/ruff format --check .
	$(MAKE) lint types test

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

clean:
	rm -rf .venv runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --no-deps: the lock file is complete, so no resolver runs and none can choose a CUDA build of torch.
# pip check then proves that the lock file is complete.
$(READY): pyproject.toml requirements/dev.lock
	$(PYTHON) -m venv .venv
	@echo "installing requirements/dev.lock into .venv (1.5 GB, a few minutes the first time)"
	$(BIN)/python -m pip install -qq --no-deps --no-compile --requirement requirements/dev.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $(READY)
