# Everything works in a fresh clone with Python 3.11+ and Git; `make help` lists the targets.
#   PYTHON=python3.12  the interpreter for the virtual environment
#   ARGS="-k plan"     more arguments for the program behind demo, test, bench or serve

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
LOCK := .ci/constraints.txt
SOURCES_OF_INSTALL := pyproject.toml $(LOCK) registry_tool/__init__.py

# pip reads these, also for the environment in which it builds the package.
export PIP_CONSTRAINT := $(LOCK)
export PIP_BUILD_CONSTRAINT := $(LOCK)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check bench serve clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed ## install, then build and publish a real model without any daemon
	@$(BIN)/registry-tool demo --dir .demo $(ARGS)

test: $(VENV)/.installed-dev ## install, get missing services where allowed, run all tests
	@.ci/services
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: $(VENV)/.installed-dev ## lint, formatting, types, layers, generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict registry_tool
	$(BIN)/lint-imports
	$(BIN)/python -m registry_tool schema --check schemas

bench: $(VENV)/.installed-dev ## measure beside the peers, write benchmarks/results/
	@$(BIN)/python -m benchmarks $(ARGS)

serve: $(VENV)/.installed ## serve the web index of this repository
	@$(BIN)/registry-tool serve --help >/dev/null 2>&1 || \
	  { echo "make serve: this version of registry-tool has no serve command yet" >&2; exit 1; }
	@$(BIN)/registry-tool serve $(ARGS)

clean: ## remove the virtual environment, caches and build output
	rm -rf $(VENV) .demo build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# --- The virtual environment; the stamps keep an installation from being repeated ---

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "There is no $(PYTHON). Name a Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "registry-tool needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	    echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments: its ensurepip or venv module is missing." >&2; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: $(BIN)/python $(SOURCES_OF_INSTALL)
	@echo "Installing registry-tool into $(VENV)"
	@$(BIN)/python -m pip install --quiet -c $(LOCK) -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python $(SOURCES_OF_INSTALL)
	@echo "Installing registry-tool and what its tests need into $(VENV)"
	@$(BIN)/python -m pip install --quiet -c $(LOCK) -e '.[dev]'
	@touch $(VENV)/.installed $@
