# Two commands do all the set-up: `make run` and `make test`.
VENV   := .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := $(VENV)/bin
COMMA  := ,
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
# Without compiled bytecode every start of the command line compiles its libraries again, which takes half a minute.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-all test-system lint bench clean help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.installed  ## set-up, then the main job: bars to published predictions (profile sample)
	$(BIN)/tradehits run

test: $(VENV)/.installed-test lint  ## set-up, linters, types and tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow and not system"

test-all: $(VENV)/.installed-test lint  ## the tests and the longer studies
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --hypothesis-profile=searching -m "not system"

test-system: $(VENV)/.installed-test  ## what needs Python 3.13 or Debian's packages: the BigQuery emulator
	bash tests/system/debian_packages.sh
	bash tests/system/emulator_env.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -o timeout=1200 -m system tests/system tests/contract

lint: $(VENV)/.installed-test  ## ruff, import-linter, mypy, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --disable-progress-bar -p 2 warehouse/sql

bench: $(VENV)/.installed-bench  ## side-by-side benchmarks; one of them: make bench ONLY=indicators SIZE=small
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(SIZE),--size $(SIZE))

clean:  ## remove everything generated but MLflow's store and your data
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv installs the pinned set in well under a minute; plain pip does the same where uv cannot reach the index.
define install
$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '$(1)' \
  || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '$(1)'
endef

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.)
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[test$(COMMA)sources])
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,.[bench])
	@touch $@ $(VENV)/.installed
