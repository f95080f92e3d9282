# `make demo` and `make test` do all of their own set-up, in .venv. `make help` lists the rest.

ifeq ($(filter-out 1 2 3,$(firstword $(subst ., ,$(MAKE_VERSION)))),)
$(error GNU make 4.0 or newer is needed, this is $(or $(MAKE_VERSION),another make); on macOS: brew install make, then gmake)
endif

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

# The set-up is done again when a lock, the package's metadata or the place of the clone changes.
SETUP_FILES := $(wildcard requirements/*.txt requirements/*.sh) requirements/torch.in \
    pyproject.toml Resources/SampleData/unpack.py
HASH := $(shell (printf '%s\n' '$(CURDIR)'; cat $(SETUP_FILES)) | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.stamp-$(HASH)
BENCH_STAMP := $(VENV)/.bench-$(HASH)
DOCS_STAMP := $(VENV)/.docs-$(HASH)
DOCS := build/docs

# What the clone holds is what runs, whatever the caller's shell has set.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PYTHON TORCH_INDEX_URL
export ATTENTION_MAPS_SAMPLE_DATA := $(CURDIR)/$(VENV)/share/attention-maps/sample_data

.PHONY: help setup data slicer demo test lint format coverage bench docs lock clean

help: ## Show this list
	@echo "Usage: make TARGET [VARIABLE=value]"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1@\2/p' Makefile | awk -F@ '{ printf "  %-10s %s\n", $$1, $$2 }'
	@echo
	@echo "Variables:"
	@echo "  PYTHON           interpreter for .venv (3.11 to 3.13); default: the first one found"
	@echo "  TORCH_INDEX_URL  index of CPU wheels, see PyTorch's installation page; for machines"
	@echo "                   without a GPU where the default index has only the large CUDA build"
	@echo "  DEMO             folder that 'make demo' writes to; default: demo"

$(STAMP):
	@rm -f $(VENV)/.stamp-* $(VENV)/.bench-* $(VENV)/.docs-*
	@requirements/install.sh
	@touch $@

setup: $(STAMP) ## Set up .venv only (the other targets do so themselves)

data: ## Fetch what is missing of the sample data (the set-up does so, too)
	@requirements/install.sh

slicer: $(STAMP) ## Try again to install the Slicer packages where that had failed
	@requirements/install.sh slicer

demo: $(STAMP) ## Explain a brain extraction network on a head scan; results in demo/
	$(BIN)/attention-maps demo --output $(DEMO)
	@if [ -e $(VENV)/no-slicer-core ]; then \
	    echo "No scene.mrb: $$(cat $(VENV)/no-slicer-core). The overview was drawn by matplotlib."; \
	else \
	    set -x; $(BIN)/python SlicerAttentionMaps/SlicerAttentionMapsLib/DemoScene.py $(DEMO); \
	fi

test: $(STAMP) ## Lint, check types, run all tests; fails when any of them does
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/mypy || status=1; \
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile || status=1; \
	exit $$status

lint: $(STAMP) ## Lint and check types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Format the code, mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(STAMP) ## Run all tests and show which lines they miss
	OMP_NUM_THREADS=1 $(BIN)/pytest --cov --cov-report=term-missing

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install -qq --require-hashes --no-deps -r requirements/bench.txt
	@touch $@

bench: $(BENCH_STAMP) ## Print the cost table against captum, MONAI and M3d-CAM
	$(BIN)/python Testing/benchmarks/cost.py

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install -qq --require-hashes --no-deps -r requirements/docs.txt
	@touch $@

docs: $(DOCS_STAMP) ## Build the documentation in build/docs; fails on any warning
	$(BIN)/python -m sphinx -W --keep-going --quiet --jobs auto docs $(DOCS)
	@echo "$(DOCS)/index.html"

UV := $(VENV)/uv/bin/uv
UV_OPTIONS := --quiet --system-certs --universal --python-version 3.11 --no-annotate \
    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
COMPILE = $(UV) pip compile pyproject.toml $(UV_OPTIONS) --fork-strategy fewest \
    --constraints requirements/torch.in --no-emit-package torch
LOCK = $(COMPILE) --constraints $(VENV)/all.txt --generate-hashes

lock: $(STAMP) ## Resolve the newest versions and write requirements/*.txt
	$(BIN)/python -m venv $(VENV)/uv
	$(VENV)/uv/bin/pip install -qq --disable-pip-version-check uv==0.13.8
	$(COMPILE) --upgrade --all-extras --output-file $(VENV)/all.txt >/dev/null
	$(LOCK) --upgrade --extra test --output-file requirements/test.txt >/dev/null
	$(LOCK) --upgrade --extra bench --output-file requirements/bench.txt >/dev/null
	$(LOCK) --upgrade --extra docs --output-file requirements/docs.txt >/dev/null
	$(LOCK) --upgrade --extra slicer --output-file requirements/slicer.txt >/dev/null
	$(UV) pip compile requirements/data.in $(UV_OPTIONS) --no-deps --only-binary :all: \
	    --upgrade --generate-hashes --output-file requirements/data.txt >/dev/null

clean: ## Remove .venv, caches and the demo's results
	rm -rf $(VENV) $(DEMO) build Engine/*.egg-info .pytest_cache .ruff_cache .mypy_cache .coverage
	find Engine SlicerAttentionMaps Testing Resources -name __pycache__ -prune -exec rm -rf {} +
