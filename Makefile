# All a developer does, with nothing but python3 (3.11 or newer) and make: .venv is made by itself, from the locks.

# the first that is new enough; choose another with: make PYTHON=… test
PYTHON ?= $(firstword $(foreach p,python3 python3.12 python3.11 python3.13 python3.14,$(if $(call new_enough,$p),$p)))
new_enough = $(shell $1 -c 'import sys; print("yes" * (sys.version_info >= (3, 11)))' 2>/dev/null)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# every byte is checked against the lock: our own package is built with the locked build tool, without the index
INSTALL_OURSELVES := $(PIP) install --no-index --no-deps --no-build-isolation --editable .
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links pyproject.toml

# what the tests cover of all lines and branches must not fall below this, in percent
COVERED := 95
MEASURED := --cov --cov-report=

.DELETE_ON_ERROR:
.PHONY: help demo test servers chaos bench bench-window check format-check lint walls types format lock clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1	/p' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## a bulk cancel with everything simulated, in a few seconds; ARGS=--web in the browser
	@$(BIN)/bulk-cancel demo $(ARGS)

# three processes, whatever the machine: tests wait more than they work. Two for faults, which are to be told apart from a
# busy machine; their long form runs alone
test: $(VENV)/.dev ## all tests and what they cover, or some: make test ARGS="tests/unit -x"
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	@mkdir -p build; status=0; \
		$(BIN)/python -m pytest $(MEASURED) --numprocesses 3 --dist loadfile --ignore tests/system/chaos || status=1; \
		$(BIN)/python -m pytest $(MEASURED) --cov-append --numprocesses 2 --dist loadfile tests/system/chaos || status=1; \
		$(BIN)/coverage report --fail-under $(COVERED) || status=1; exit $$status
endif

servers: $(VENV)/.dev ## the tests of what stands in Redis, on every other Redis and Valkey that is here
	@$(BIN)/python -m tests.servers $(ARGS)

chaos: $(VENV)/.dev ## every fault in its long form, and what became of the orders, as a table
	@mkdir -p build && rm -f build/chaos.jsonl
	@status=0; CHAOS=long CHAOS_REPORT=build/chaos.jsonl $(BIN)/python -m pytest tests/system/chaos $(ARGS) || status=$$?; \
		$(BIN)/python -m tests.system.chaos.table build/chaos.jsonl && exit $$status

bench: $(VENV)/.bench ## measure everything against its peers, into bench/README.md: forty minutes on a quiet machine
	$(BIN)/python -m bench $(ARGS)

bench-window: $(VENV)/.bench ## how much of the allowed rate one lane uses under delay: 100 s a run, ARGS="--runs 2"
	$(BIN)/python -m bench.window_use $(ARGS)

check: format-check lint walls types test servers ## what .ci/run runs: format, lint, walls, types, tests, other servers

format-check: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	$(BIN)/ruff check .

walls: $(VENV)/.dev ## which room imports which: the contracts in pyproject.toml
	$(BIN)/lint-imports --no-cache --no-logo

types: $(VENV)/.dev build/types
	$(BIN)/mypy
	$(BIN)/mypy examples

# the folders under the names that they have when installed
build/types:
	@mkdir -p $@/bulk_cancel && ln -sfn ../../../tasks $@/bulk_cancel/tasks && ln -sfn ../../../worker $@/bulk_cancel/worker

format: $(VENV)/.dev ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev ## renew the locks
	$(LOCK) --extra worker --extra cli --extra gateway --group build --output-file requirements.lock
	$(LOCK) --extra all --group build --constraint requirements.lock --output-file requirements-demo.lock
	$(LOCK) --extra all --group dev --constraint requirements-demo.lock --output-file requirements-dev.lock
	$(LOCK) --extra all --group bench --constraint requirements-dev.lock --output-file requirements-bench.lock

clean: ## remove .venv and all caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" && test -n "$(call new_enough,$(PYTHON))" || \
		{ echo "bulk-cancel needs Python 3.11 or newer; $(or $(PYTHON),python3) is older or not there." \
		"Install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.demo: requirements-demo.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements-demo.lock
	$(INSTALL_OURSELVES)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	$(INSTALL_OURSELVES)
	@touch $(VENV)/.demo $@

$(VENV)/.bench: requirements-bench.lock $(VENV)/.dev
	$(PIP) install --require-hashes --requirement requirements-bench.lock
	@touch $@
