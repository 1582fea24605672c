# Two commands a new user needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

help:  ## Say what can be made.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt requirements-demo.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Gradus needs Python 3.11 or later; set PYTHON=/path/to/python")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --no-deps --requirement requirements-demo.txt
	@touch $@

install: $(READY)  ## Make .venv and install Gradus with everything its tests need.

demo: $(READY)  ## Run the main job on 2,225 news articles; under 10 minutes on 2 cores.
	$(BIN)/gradus run plans/news.yaml

check: $(READY)  ## Lint, format, types, layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## Checks and tests; at most 20 minutes on 2 cores.
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile

coverage: $(READY)  ## The fast tests once more, with the lines and branches that they reach.
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile --cov --cov-report=term

test-slow: $(READY) browser  ## Kill suites, browser, large files; at most 45 minutes.
	$(BIN)/pytest -m slow --numprocesses 2 --dist loadfile

browser:
	@command -v chromium >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	    && apt-get update -qq && apt-get install -y -qq chromium >/dev/null \
	    || { echo "make test-slow needs the browser chromium: install it first"; exit 1; }; }

docs: $(READY)  ## Build the documentation into site/.
	$(BIN)/python docs/reference.py
	$(BIN)/mkdocs build --strict

clean:  ## Remove what was built, not the runs.
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

.PHONY: help install demo check test coverage test-slow browser docs clean
