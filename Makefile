# Two commands do everything on a machine that has only Python >= 3.11 and pip: `make demo` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PEERS := .venv-peers
AUTOBAHN := .venv-autobahn
BENCH := .venv-bench
ACTORS := .venv-bench-actors
BIN := $(VENV)/bin
T ?= tests
# Where this is set, each of the hundreds of Pythons that the tests start compiles anew whatever it imports.
export PYTHONDONTWRITEBYTECODE :=
SEEDS ?= 1..200
PLAN ?= swarm
UV := $(shell command -v uv 2>/dev/null)

# The first Python that is new enough, unless PYTHON names one. Each is run, not only looked up: version managers
# leave names on the path that do not work.
new_enough = -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$python $(new_enough) && { echo $$python; break; }; done)
endif
need_python = @$(or $(PYTHON),false) $(new_enough) || { \
	echo "potrio needs Python 3.11 or newer$(if $(PYTHON),; $(PYTHON) is not): install it, or say make PYTHON=/path/to/python3.11" >&2; \
	exit 1; }

# uv where it is installed. Without it the standard library, also where a distribution split ensurepip off.
ifeq ($(UV),)
make_venv = $(PYTHON) -m venv $(1) >/dev/null 2>&1 || { \
	$(PYTHON) -m venv --clear --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install --quiet pip; }
pip_install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
else
make_venv = $(UV) venv --quiet --allow-existing --python $(PYTHON) $(1)
pip_install = $(UV) pip install --quiet --python $(1)/bin/python
endif

.PHONY: help install peers bench-peers bench-actors demo test check sweep fix types layers lint soak swarm bench plots autobahn docs clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## make .venv and install potrio into it (editable, with the tools)

$(VENV)/.installed: pyproject.toml
	$(need_python)
	@$(call make_venv,$(VENV))
	$(call pip_install,$(VENV)) -e '.[cli,dashboard,dask,pandas,polars,arrow,proxy,test,dev]'
	@touch $@

peers: $(PEERS)/.installed  ## make .venv-peers: the third-party clients of the interop tests

$(PEERS)/.installed: tests/interop/requirements.txt tests/interop/clients.txt
	$(need_python)
	@$(call make_venv,$(PEERS))
	$(call pip_install,$(PEERS)) -r tests/interop/requirements.txt
	$(call pip_install,$(PEERS)) --no-deps -r tests/interop/clients.txt
	@touch $@

bench-peers: $(BENCH)/.installed  ## make .venv-bench: what the benchmarks compare with

$(BENCH)/.installed: benchmarks/requirements.txt tests/interop/clients.txt
	$(need_python)
	@$(call make_venv,$(BENCH))
	$(call pip_install,$(BENCH)) -r benchmarks/requirements.txt
	$(call pip_install,$(BENCH)) --no-deps -r tests/interop/clients.txt
	@touch $@

bench-actors: $(ACTORS)/.installed  ## make .venv-bench-actors: the actor libraries they compare with

$(ACTORS)/.installed: benchmarks/requirements-actors.txt
	$(need_python)
	@$(call make_venv,$(ACTORS))
	$(call pip_install,$(ACTORS)) -r benchmarks/requirements-actors.txt
	@touch $@

demo: install  ## the main job: a venue in its own process, a supervised client trading on it
	$(BIN)/python -m potrio demo

# Three for two cores: half of the time a test waits for a clock that is real, a deal that lasts five seconds.
test: install peers bench-peers bench-actors  ## every test (narrow it with T=tests/protocol)
	$(BIN)/python -m pytest -q -n 3 --dist worksteal $(T)

lint: install  ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install  ## mypy --strict
	$(BIN)/mypy

layers: install  ## the import contracts
	$(BIN)/lint-imports --no-logo

check: lint types layers docs test  ## everything a merge needs

sweep: install  ## two hundred seeds of the simulation (narrow it with SEEDS=1..20)
	$(BIN)/python -m loadsim simulate --seeds $(SEEDS) --hours 0.2 --jobs 2 --coverage \
		$(if $(filter 1..200,$(SEEDS)),--coverage-min 95)

soak: install  ## ten simulated hours of faults, then ten minutes over TCP (narrow it with S="--short")
	$(BIN)/python -m loadsim soak $(S)

swarm: install  ## 10 000 clients on one poller and 200 real ones against a venue in another process (15 000: PLAN=swarm-15000)
	$(BIN)/python -m loadsim run examples/plans/$(PLAN).toml --out swarm-report $(S)

bench: install bench-peers bench-actors  ## measure against peers in the same run (narrow it with B=decode)
	$(BIN)/python -m benchmarks $(B)

plots: bench-peers  ## draw the last full run into docs/plots
	$(BENCH)/bin/python benchmarks/plots.py

# The suite needs a Python 2.7, which PYTHON27 names or is looked for on the path and among pyenv's.
find_python27 = for python in $(PYTHON27) python2.7 python2 \
	"$$(pyenv prefix "$$(pyenv whence python2.7 2>/dev/null | tail -n 1)" 2>/dev/null)/bin/python2.7"; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1 && break; python=; done; \
	test -n "$$python" || { echo "the suite needs Python 2.7: install it, or say make PYTHON27=/path/to/python2.7" >&2; exit 1; }

autobahn: install $(AUTOBAHN)/.installed  ## judge the WebSocket codec by the Autobahn suite, both roles
	$(BIN)/python tools/autobahn.py --wstest $(AUTOBAHN)/suite/bin/wstest

$(AUTOBAHN)/.installed:
	$(need_python)
	@$(call make_venv,$(AUTOBAHN))
	$(call pip_install,$(AUTOBAHN)) virtualenv==20.15.1
	@$(find_python27); $(AUTOBAHN)/bin/virtualenv --quiet --python "$$python" $(AUTOBAHN)/suite
	$(AUTOBAHN)/suite/bin/pip install --quiet --disable-pip-version-check autobahntestsuite==25.10.1
	@touch $@

docs: $(VENV)/.docs  ## build the documentation into docs/_build; any warning is an error
	$(BIN)/sphinx-build -q -n -W --keep-going -b html docs docs/_build/html

$(VENV)/.docs: $(VENV)/.installed
	$(call pip_install,$(VENV)) -e '.[docs]'
	@touch $@

fix: install  ## format, mend what can be mended by itself, bring the code map up to date
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python docs/code_map.py

clean:  ## remove what the other commands made
	rm -rf $(VENV) $(PEERS) $(BENCH) $(ACTORS) $(AUTOBAHN) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build docs/_build
