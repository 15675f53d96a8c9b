# Everything a developer types. `make help` prints the targets; CONTRIBUTING.md explains them.
# Nothing here needs Docker, a database, a cloud account or root.

# The interpreter that a new .venv is made with (3.11 to 3.14); an existing .venv keeps its own.
PYTHON ?= python3
# Arguments passed on: make test ARGS="-k onboarding -x"
ARGS ?=
# Test processes: one more than there are cores, because many tests wait for something. Each has its own
# PostgreSQL, so more than four only fight over the disk.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
WORKERS ?= $(shell if [ $(CORES) -ge 4 ]; then echo 4; elif [ $(CORES) -lt 2 ]; then echo 2; else echo $$(($(CORES) + 1)); fi)

BIN := .venv/bin
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# The longest first, so that no process is left with one at the end.
TESTS := tests/e2e tests/integration tests/contract tests/unit
IMAGE := build/protos.binpb

.DEFAULT_GOAL := help
# One recipe at a time even under `make -j`: the heavy targets bring their own parallelism.
.NOTPARALLEL:
.PHONY: help setup demo up test test-slow bench lint format protos openapi lock clean

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with the locked requirements and the command .venv/bin/coffer (quick when nothing changed)
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "make setup: there is no $(PYTHON); install Python 3.11 or newer, or say PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) tools/setup.py

demo: setup ## the whole product once, from nothing: about two minutes; ARGS=--keep leaves it running
	$(BIN)/coffer demo $(ARGS)

up: setup ## the stack in the foreground, with a stand-in of AWS KMS; data in .coffer, Ctrl-C stops it
	$(BIN)/coffer up --devcloud $(ARGS)

test: setup ## all tests except the slow ones, in parallel
	$(PYTEST) -m "not slow and not live" $(ARGS) $(TESTS)

test-slow: setup ## the proofs that take minutes: kill -9 in the middle of everything
	$(BIN)/pytest -n $(CORES) --dist loadfile --no-loadscope-reorder -m "slow and not live" $(ARGS) $(TESTS)

bench: setup ## the figures of docs/performance.md, measured here and now
	$(BIN)/python -m benchmarks $(ARGS)

lint: setup ## style, types, import rules, contract, generated files, compose file, image
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/protos.py --image $(IMAGE)
	$(BIN)/buf lint $(IMAGE) --path coffer
	$(BIN)/python tools/protos.py --check
	$(BIN)/python -m gateway.openapi --check
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/pytest -q tests/unit/frame

format: setup ## let ruff rewrite what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

protos: setup ## compile protos/coffer into protos/gen (commit the result)
	$(BIN)/python tools/protos.py

openapi: setup ## write gateway/openapi.json from the contract (commit the result)
	$(BIN)/python -m gateway.openapi

lock: setup ## resolve requirements/*.in into the hash-locked *.txt again (needs uv)
	cd requirements && uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url runtime.in -o runtime.txt
	cd requirements && uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url dev.in -o dev.txt

clean: ## remove .venv, build results and caches; never .coffer, which holds data
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
