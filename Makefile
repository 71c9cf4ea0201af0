# Every target sets up .venv by itself when it is missing or older than the pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# make course DATASET=commons ENCODER=ViT-L-14/openai: other pictures, another encoder
ifdef DATASET
export GEOLIB_DATASET := $(DATASET)
endif
ifdef ENCODER
export GEOLIB_ENCODER := $(ENCODER)
endif

# Native threads that wait spin only briefly, also in notebooks that import torch first (geolib/common/threads.py).
ifeq ($(OMP_WAIT_POLICY)$(GOMP_SPINCOUNT)$(KMP_BLOCKTIME),)
export GOMP_SPINCOUNT := 10000
export KMP_BLOCKTIME := 1
endif

.DEFAULT_GOAL := help
.PHONY: help course notebooks lab test unit lint clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "geolib needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,notebooks,postcards]'
	@touch $@

course: $(READY) ## run every notebook in order, write executed copies to build/, print their headline numbers
	$(BIN)/python tools/course.py

notebooks: $(READY) ## the same, and put the outputs into the notebooks themselves, normalised, ready to be committed
	$(BIN)/python tools/course.py --write

lab: $(READY) ## open JupyterLab at the first notebook
	$(BIN)/jupyter lab "$$(ls notebooks/[0-9]*.ipynb | head -n 1)"

PYTEST := $(BIN)/python -m pytest -n 2 --ignore-glob='*/conftest.py'

test: $(READY) ## unit and property tests, examples in docstrings, every notebook at its fast setting; no network
	GEOLIB_FAST=1 $(PYTEST) --doctest-modules --nbmake --nbmake-timeout=600 tests geolib notebooks --ignore=tests/lint

unit: $(READY) ## the same without the notebooks
	$(PYTEST) --doctest-modules tests geolib --ignore=tests/lint --ignore=tests/course/test_notebooks_on_a_folder.py

lint: $(READY) ## ruff (code and notebooks), mypy --strict, and the tests of packaging, layout and prose
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy geolib postcards tools
	$(PYTEST) --quiet tests/lint

clean: ## remove what the other targets made here; downloads and drawn images stay in geolib's cache
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: model
model: $(READY) ## build the default model that ships in data/model; a test says when it is stale
	$(BIN)/python tools/default_model.py
