# `make run` sets up and runs the whole experiment on made-up data; `make test` sets up and runs the tests.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN = $(VENV)/Scripts
else
PYTHON ?= python3
BIN = $(VENV)/bin
endif
VENV := .venv
CONSTRAINTS := constraints.txt

PORT ?= 8000

.PHONY: run serve-demo test tests test-lowest test-newest check check-metadata dist docs docs-serve reference notebooks registry-demo models models/rows models/stop-reasons models/sex models/install setup clean

# A made-up registry labelled by the shipped classifiers, then an experiment of your own on it.
SAMPLE := runs/sample
run: setup
	$(BIN)/trialtune registry sample --out $(SAMPLE)
	$(BIN)/trialtune registry import $(SAMPLE)/studies.jsonl.gz --out $(SAMPLE)/snapshot.parquet
	$(BIN)/trialtune apply stop-reasons $(SAMPLE)/snapshot.parquet --out runs/labels/stop-reasons
	$(BIN)/trialtune apply sex $(SAMPLE)/snapshot.parquet --out runs/labels/sex
	$(BIN)/trialtune run quick --out runs/quick

# The classifiers of `make run` over HTTP, and a page to try them; Ctrl-C ends it.
QUICK := runs/quick/tasks
serve-demo: run
	$(BIN)/trialtune serve $(QUICK)/stop-reasons/classifiers/base-seed-1 $(QUICK)/sex/classifiers/base-seed-1 --port $(PORT)

test: check tests

tests: setup # make tests TESTS=tests/corpus
	HF_HUB_OFFLINE=1 $(BIN)/pytest $(TESTS)

# The same with the lowest versions that pyproject.toml allows, and with the newest that there are.
test-lowest:
	$(MAKE) tests VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt

test-newest:
	$(MAKE) tests VENV=.venv-newest CONSTRAINTS=

check: setup docs
	$(BIN)/ruff check src tests tools benchmarks notebooks packages
	$(BIN)/ruff format --check src tests tools benchmarks notebooks packages
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 # calls that Windows lacks
	$(BIN)/codespell src tests tools benchmarks notebooks packages docs findings .github *.md *.toml Makefile
	$(BIN)/pydoclint --quiet src packages/trialtune-models/src
	$(MAKE) check-metadata

PROJECTS := . packages/trialtune-models
check-metadata: setup
	$(BIN)/validate-pyproject $(PROJECTS:%=%/pyproject.toml)
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms \
	    $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

# A source distribution and a wheel of each package; the wheel is built from the former.
dist: setup
	rm -rf dist
	$(foreach project,$(PROJECTS),$(BIN)/python -m build --no-isolation --outdir dist $(project) &&) true

# The site, into site/; a broken link or reference ends it. The theme's note about its successor is left out.
docs docs-serve: export NO_MKDOCS_2_WARNING := 1
docs: setup
	$(BIN)/mkdocs build --strict --quiet

docs-serve: setup
	$(BIN)/mkdocs serve --dev-addr 127.0.0.1:$(PORT)

# The pages of docs/reference that come from the commands and settings.
reference: setup
	$(BIN)/python tools/reference.py

# Saved outputs come from real trials: make notebooks DATA=../shared/data
notebooks: setup
	HF_HUB_OFFLINE=1 $(BIN)/python tools/run_notebooks.py --data $(DATA)

# Sync, kill, resume, update and diff against a stand-in registry, every count checked.
registry-demo: setup
	$(BIN)/python tools/registry_demo.py

# The shipped classifiers, made again from the teachers' answers, on one core each so that the same processor
# gives the same bits: an hour on two cores, if `models/stop-reasons` and `models/sex` run side by side.
# The teachers themselves: packages/trialtune-models/training/teachers.sh
DATA ?= ../shared/data
MODELS := runs/models
TRAINING := packages/trialtune-models/training
models: models/rows
	$(MAKE) -j 2 models/stop-reasons models/sex
	$(MAKE) models/install

models/rows: setup
	$(BIN)/python $(TRAINING)/rows.py --data $(DATA) --out $(MODELS)
	$(BIN)/trialtune shrink --encoder embedded:minilm-l6 --intermediate-size 768 \
	    --texts $(MODELS)/vocabulary.parquet --out $(MODELS)/encoder

models/stop-reasons models/sex: export OMP_NUM_THREADS := 1
models/stop-reasons models/sex: models/%:
	$(BIN)/trialtune finetune $* --method full --data $(MODELS)/$(subst -,_,$*).parquet --encoder $(MODELS)/encoder \
	    --calibration $(MODELS)/$(subst -,_,$*)_calibration.parquet \
	    --teacher $(TRAINING)/answers/$*.parquet --unlabelled $(MODELS)/$(subst -,_,$*)_more.parquet \
	    --outliers $(TRAINING)/outliers.txt --set distillation_alpha=0.7 --set head_lr_multiplier=3 \
	    $(SETTINGS_$*) --out $(MODELS)/$*
SETTINGS_stop-reasons := --set epochs=3 --set batch_size=64 --set learning_rate=5e-4
SETTINGS_sex := --set epochs=2 --set batch_size=32 --set learning_rate=4e-4

# Their int8 graphs, compared with the originals on held-out rows, into the package.
models/install: setup
	$(BIN)/trialtune export $(MODELS)/stop-reasons --data $(DATA)/stop_reasons_dev.parquet \
	    --out $(MODELS)/stop-reasons-int8
	$(BIN)/trialtune export $(MODELS)/sex --data $(MODELS)/sex_test.parquet --out $(MODELS)/sex-int8
	$(BIN)/python $(TRAINING)/install.py $(MODELS)/stop-reasons-int8 --name stop-reasons \
	    --scores-of "hand-checked reasons labelled twice" \
	    --data-of "20,853 labelled stop reasons, 86,372 answered by MPNet"
	$(BIN)/python $(TRAINING)/install.py $(MODELS)/sex-int8 --name sex \
	    --scores-of "trials held out" \
	    --data-of "the sex field of 11,841 trials, 27,051 texts answered by MPNet"

setup: $(VENV)/installed

# PyTorch comes first and pinned: a looser demand would fetch gigabytes of CUDA libraries.
PIP_INSTALL = $(BIN)/python -m pip install --quiet $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit("trialtune needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) torch
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-* runs site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
