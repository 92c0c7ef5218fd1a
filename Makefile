# Everything a developer does, and what CI does. `make help` lists it.
# Needs Python 3.11 or later, git and make; PostgreSQL and Redis come with the environment.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV    := .venv
BIN     := $(VENV)/bin
PY      := $(BIN)/python
WORKERS ?= 2
ARGS    ?=
SUITE   ?= api
OUT     ?= reports/bench-$(SUITE).json

# The interpreters that every wheel in the lock file is built for come first.
PYTHON  ?= $(shell for name in python3.11 python3.12 python3 python3.13 python3.14; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)

# Values that production would have, for the checks of production's settings.
PRODUCTION_LIKE := FLOWLEDGER_ENV=production ALLOWED_HOSTS=flowledger.example \
	SECRET_KEY=not-a-secret-but-long-enough-for-the-production-checks-0123456789abcdef

.PHONY: help setup install lock run demo test test-failed faults check check-code check-with-servers format bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make the environment in .venv, or bring it up to date with the lock file
	@$(PY) -c '' 2>/dev/null && cmp -s requirements-dev.lock $(VENV)/installed.lock || $(MAKE) install

install:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or later (with venv and ensurepip) found; name one with PYTHON=…" >&2; exit 1; }
	@echo "Installing the environment into $(VENV) with $$($(PYTHON) --version)."
	@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@echo "$(CURDIR)" > "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/flowledger-checkout.pth"
	@cp requirements-dev.lock $(VENV)/installed.lock

lock: setup ## Resolve the dependencies of pyproject.toml anew into the lock files
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --upgrade --python-version 3.11 --universal --generate-hashes \
		--no-emit-index-url --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --upgrade --python-version 3.11 --universal --generate-hashes \
		--no-emit-index-url --no-header --quiet --extra dev -c requirements.lock -o requirements-dev.lock
	$(BIN)/uv pip compile tests/bench/peers.in --upgrade --python-version 3.11 --universal --generate-hashes \
		--no-emit-index-url --no-header --quiet -c requirements.lock -o tests/bench/peers.lock

run: setup ## Run the application on its own servers, with a demo organisation (PORT=8000)
	@exec $(PY) -m flowledger.embedded --die-with-parent run

demo: setup ## Play the main job end to end on throw-away servers, and say how long each step took
	@$(PY) -m flowledger.embedded exec -- sh -c '$(PY) manage.py migrate --no-input --verbosity 0 && $(PY) manage.py demo'

test: setup ## Run the test suite on throw-away servers (ARGS="tests/embedded -k start")
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal -rs $(ARGS)

test-failed: setup ## Run what failed last, one test after the other; refuses when nothing is known to have failed
	@$(PY) -m pytest --last-failed --last-failed-no-failures none -rs $(ARGS)

faults: setup ## Run all tests that kill processes and servers, one after the other (FAULT_SEED=20261121)
	@FAULTS=all $(PY) -m pytest tests/faults -rs $(ARGS)

check: setup check-code ## Lint, types, import contracts, migrations, production settings, API schema
	@$(PY) -m flowledger.embedded exec -- $(MAKE) check-with-servers

check-code: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-with-servers:
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py lintmigrations --no-cache
	$(PRODUCTION_LIKE) $(PY) manage.py check --deploy --fail-level WARNING
	@mkdir -p reports
	$(PY) manage.py spectacular --validate --fail-on-warn --file reports/openapi.yaml
	$(BIN)/openapi-spec-validator reports/openapi.yaml

format: setup ## Format the code and repair what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure (SUITE=api, identity, outbox or sla, OUT=reports/bench-api.json, ARGS=--quick for a trial)
	@mkdir -p "$(dir $(OUT))"
	@$(PY) -m tests.bench --suite "$(SUITE)" --out "$(OUT)" $(ARGS)

clean: ## Remove the environment, caches and reports; the data in .data stays
	rm -rf $(VENV) .bench-peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage reports staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
