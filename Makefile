# Every target sets itself up: a virtual environment in .venv, the package (editable) and its tools.
# `make help` lists the targets.

PYTHON ?= python3
VENV   ?= .venv
STREAM := examples/streams/uniswap_v2_v3
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LANES  := $(CURDIR)/.cache/lanes

# One compiled-module cache a lane: numba's own key does not know every switch that changes the code.
lane = DISRUPTOR_CACHE=$(LANES)/$(1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz crash check lint types layers bounds nojit doctest format clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

setup: $(READY) ## create .venv and install the package with its tools

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no '$(PYTHON)' found: install Python 3.11 or newer, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1), and 3.11 or newer is needed: say make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) lacks the venv module: install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing into $(VENV)" && $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

demo: $(READY) ## find arbitrage in the recorded stream that ships with the project
	$(BIN)/disruptor scan $(STREAM).logs.jsonl.zst --blocks $(STREAM).blocks.jsonl.zst --tokens $(STREAM).tokens.json

test: $(READY) ## run the tests, compiled
	$(call lane,jit) $(BIN)/pytest

fuzz: $(READY) ## any bytes in any file of a journal, many times over; FUZZ=50000 for longer
	DISRUPTOR_FUZZ=$(or $(FUZZ),5000) $(call lane,jit) $(BIN)/pytest tests/journal/test_fuzz*.py

crash: $(READY) ## power lost and kill -9 at random moments, many times over; CRASHES=200 KILLS=1000 for longer
	DISRUPTOR_CRASHES=$(or $(CRASHES),50) DISRUPTOR_KILLS=$(or $(KILLS),200) $(call lane,jit) $(BIN)/pytest tests/journal/test_crashes.py tests/engine/test_live_kills.py

check: lint types layers test bounds nojit doctest ## everything that CI runs; -j2 runs lanes side by side

# They share a lane's cache, so one after the other.
ifneq ($(filter check,$(MAKECMDGOALS)),)
doctest: | test
endif

lint: $(READY) ## formatting and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY) ## mypy, strict
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases bench

layers: $(READY) ## which folder may import which
	$(BIN)/lint-imports

bounds: $(READY) ## the tests, compiled with bounds checks
	NUMBA_BOUNDSCHECK=1 $(call lane,bounds) $(BIN)/pytest

nojit: $(READY) ## the tests with the JIT off, and coverage
	NUMBA_DISABLE_JIT=1 $(call lane,nojit) $(BIN)/pytest --cov

doctest: $(READY) ## examples in docstrings and documents
	$(call lane,jit) $(BIN)/pytest --doctest-modules --doctest-glob='*.md' disruptor README.md docs

format: $(READY) ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and all caches
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
