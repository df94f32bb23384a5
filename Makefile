# `make run` sets up and runs the whole experiment on made-up data; `make test` sets up and runs the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

PORT ?= 8000

.PHONY: run serve-demo test check notebooks registry-demo setup clean

run: setup
	$(BIN)/trialtune run quick --out runs/quick

# The classifiers of `make run` over HTTP, and a page to try them; Ctrl-C ends it.
QUICK := runs/quick/tasks
serve-demo: run
	$(BIN)/trialtune serve $(QUICK)/stop-reasons/classifiers/base-seed-1 $(QUICK)/sex/classifiers/base-seed-1 --port $(PORT)

test: setup check
	HF_HUB_OFFLINE=1 $(BIN)/pytest

check: setup
	$(BIN)/ruff check src tests tools benchmarks notebooks
	$(BIN)/ruff format --check src tests tools benchmarks notebooks
	$(BIN)/mypy

# Saved outputs come from real trials: make notebooks DATA=../shared/data
notebooks: setup
	HF_HUB_OFFLINE=1 $(BIN)/python tools/run_notebooks.py --data $(DATA)

# Sync, kill, resume, update and diff against a stand-in registry, every count checked.
registry-demo: setup
	$(BIN)/python tools/registry_demo.py

setup: $(VENV)/installed

# PyTorch comes first and pinned: a looser demand would fetch gigabytes of CUDA libraries.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("trialtune needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
