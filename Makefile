# Two commands do everything on a machine that has only Python >= 3.11 and pip: `make demo` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
T ?= tests
UV := $(shell command -v uv 2>/dev/null)

ifeq ($(UV),)
make_venv = $(PYTHON) -m venv $(1)
pip_install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
else
make_venv = $(UV) venv --quiet --allow-existing --python $(PYTHON) $(1)
pip_install = $(UV) pip install --quiet --python $(1)/bin/python
endif

.PHONY: help install peers demo test check fix types layers lint bench docs clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## make .venv and install potrio into it (editable, with the tools)

$(VENV)/.installed: pyproject.toml
	$(call make_venv,$(VENV))
	$(call pip_install,$(VENV)) -e '.[cli,test,dev]'
	@touch $@

peers: $(PEERS)/.installed  ## make .venv-peers: the third-party clients of the interop tests

$(PEERS)/.installed: tests/interop/requirements.txt
	$(call make_venv,$(PEERS))
	$(call pip_install,$(PEERS)) -r tests/interop/requirements.txt
	@touch $@

demo: install  ## the main job: a venue in its own process, a supervised client trading on it
	$(BIN)/python -m potrio demo

test: install peers  ## every test (narrow it with T=tests/protocol)
	$(BIN)/python -m pytest -q -n 2 $(T)

lint: install  ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install  ## mypy --strict
	$(BIN)/mypy

layers: install  ## the import contracts
	$(BIN)/lint-imports

check: lint types layers test  ## everything a merge needs

fix: install  ## format and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what the other commands made
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build docs/_build
