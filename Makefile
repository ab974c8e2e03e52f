# One Makefile: setup, quickstart, example, check, test, test-full, lint, bench.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PARALLEL := -n auto --dist worksteal
RUNNABLE := .venv/.runnable
UV := $(shell command -v uv 2>/dev/null)
VENV := $(if $(UV),uv venv --quiet --allow-existing --python $(PYTHON) .venv,$(PYTHON) -m venv .venv)
INSTALL := $(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile)

.PHONY: setup quickstart example check core test test-full lint bench

setup: $(READY)

# What running needs and nothing else; made anew only when the dependencies change. With uv where it is, which is much faster.
$(RUNNABLE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("evalharness needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	$(VENV)
	$(INSTALL) --editable .
	@touch $(RUNNABLE)

# And what tests need.
$(READY): $(RUNNABLE)
	$(INSTALL) --editable '.[dev]'
	@touch $(READY)

quickstart: $(RUNNABLE)
	$(BIN)/harness run suites/quickstart.yaml

# The committed run, made anew.
example: $(RUNNABLE)
	rm -rf reports/example
	$(BIN)/harness run suites/quickstart.yaml --out reports/example

# Before a commit, under a minute: the linters, and the tests that need no socket and no process, side by side.
check: $(READY)
	@$(MAKE) --no-print-directory -j2 core lint

core: $(READY)
	$(BIN)/python -m pytest --core -q $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

# Kill and failure sweeps probe every instant, and not one of each kind; properties are tried on four times as many examples.
test-full: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) --full $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@for each in engine transport throttling report everyday; do $(BIN)/python tests/benchmarks/$$each.py || exit 1; done
