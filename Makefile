# Every target sets up what it needs, from a bare clone: a virtual environment in .venv, the packages
# of constraints.txt, and RabbitMQ from Debian's packages when it is missing and we are root.
#
#   PYTHON=python3.12              which Python makes the environment
#   TRACEDRPC_TEST_URL=rabbit://…  use this RabbitMQ instead of a private node
#   TRACEDRPC_INSTALL_BROKER=no    never install RabbitMQ
#   TRACEDRPC_INSTALL_CHROMIUM=no  never install Chromium
#   ARGS="-k deadline -x"          more arguments for pytest, the demo or the benchmark

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV ?= .venv
CONFORMANCE := .venv-conformance
BIN := $(VENV)/bin
LOGQL := tests/dashboards/logql
ARGS ?=
SCALE ?= no
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --constraint constraints.txt
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

PLAIN_SUITES := unit wire simulated fuzz
BROKER_SUITES := telemetry integration faults interop console dashboards soak
SUITES := $(PLAIN_SUITES) $(BROKER_SUITES)

.PHONY: help
help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|'
	@echo; echo "  one suite:        make $(SUITES:%=test-%)" | fold -s -w 96

# ---- the main job --------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.stamp-run broker ## example services on a real RabbitMQ, and their calls on a page until Ctrl-C
	@if [ -n "$$TRACEDRPC_TEST_URL" ]; then set -- --url "$$TRACEDRPC_TEST_URL"; fi; \
	$(BIN)/tracedrpc demo --once "$$@" $(ARGS)

.PHONY: test
test: $(VENV)/.stamp-dev $(CONFORMANCE)/.stamp broker chromium prometheus logql ## all suites in one run
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: lint types imports ## lint, types and imports

.PHONY: bench
bench: $(VENV)/.stamp-dev broker ## against stock oslo.messaging and a bare py-amqp echo, side by side
	@$(BIN)/python -m tests.bench.run $(ARGS)

.PHONY: bench-console
bench-console: $(VENV)/.stamp-dev ## what the console takes in and how quickly it answers; ARGS=--quick
	@$(BIN)/python -m tests.bench_console.run $(ARGS)

.PHONY: conformance
conformance: $(VENV)/.stamp-dev $(CONFORMANCE)/.stamp broker ## oslo.messaging's own RPC tests, run on us
	@$(BIN)/python -m pytest tests/interop/test_conformance.py $(ARGS)

# ---- the real engines ------------------------------------------------------------------------------

.PHONY: stack stack-down stack-test
stack: ## RabbitMQ, Collector, Jaeger, Prometheus, Loki, Grafana and the example services, in Docker; SCALE=yes
	@SCALE="$(SCALE)" scripts/stack up
stack-down: ## stop them; what they stored stays (scripts/stack remove deletes it)
	@SCALE="$(SCALE)" scripts/stack down
stack-test: ## the same on data of its own: trace, logs, metrics and exemplars asked for, then taken down
	@SCALE="$(SCALE)" scripts/stack-test

.PHONY: schedules
schedules: $(VENV)/.stamp-dev ## 10,000 seeded schedules against a simulated broker
	@TRACEDRPC_SCHEDULES=$${TRACEDRPC_SCHEDULES:-10000} $(BIN)/python -m pytest tests/simulated $(ARGS)

FUZZ_PATH := .:instrumentation:dashboards

.PHONY: fuzz
fuzz: $(VENV)/.stamp-fuzz ## what anybody may send, 60 s a target; ARGS="--seconds 5 request" for less
	@PYTHONPATH=$(FUZZ_PATH) $(BIN)/python -m tests.fuzz.run $(ARGS)

SECONDS ?= 600

.PHONY: soak
soak: $(VENV)/.stamp-dev broker ## ten minutes of calls with a dead collector; SECONDS=60 for less
	@PYTHONPATH=$(FUZZ_PATH) $(BIN)/python -m tests.soak.run --seconds $(SECONDS)

# ---- parts of it ---------------------------------------------------------------------------------

.PHONY: lint types imports
lint: $(VENV)/.stamp-dev ## ruff
	@$(BIN)/ruff check .
types: $(VENV)/.stamp-dev ## mypy --strict
	@$(BIN)/mypy --strict
imports: $(VENV)/.stamp-dev ## import-linter: who may import whom
	@$(BIN)/lint-imports

run-suite = @if find tests/$(1) -name 'test_*.py' 2>/dev/null | grep -q .; \
	then $(BIN)/python -m pytest tests/$(1) $(ARGS); else echo "tests/$(1): there is no such suite yet"; fi

.PHONY: $(SUITES:%=test-%)
$(PLAIN_SUITES:%=test-%): test-%: $(VENV)/.stamp-dev
	$(call run-suite,$*)
$(BROKER_SUITES:%=test-%): test-%: $(VENV)/.stamp-dev broker
	$(call run-suite,$*)
test-interop: $(CONFORMANCE)/.stamp
test-dashboards: prometheus logql
test-console: chromium

.PHONY: golden
golden: $(VENV)/.stamp-dev broker ## write the golden traces of tests/telemetry/fifteen anew; read the difference
	@TRACEDRPC_WRITE_GOLDEN=1 $(BIN)/python -m pytest tests/telemetry/fifteen/test_golden_traces.py $(ARGS)

.PHONY: dashboards
dashboards: $(VENV)/.stamp-dev ## write the JSON of dashboards/grafana anew
	@PYTHONPATH=dashboards $(BIN)/python -m grafana.generate

# ---- set-up --------------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.stamp-dev broker chromium ## only the set-up

.PHONY: broker
broker: ## RabbitMQ's binaries, from Debian's packages when they are missing
	@scripts/install-broker.sh

.PHONY: prometheus logql
prometheus: ## promtool and Prometheus for the tests of dashboards, from Debian's packages when they are missing
	@scripts/install-prometheus.sh
logql: ## Grafana's grammar of LogQL for the tests of dashboards, where there is Node.js
	@{ command -v npm && $(MAKE) --no-print-directory $(LOGQL)/node_modules/.stamp; } >/dev/null || \
	echo "logql: no npm, or it could not install; the queries for Loki are only looked over"

$(LOGQL)/node_modules/.stamp: $(LOGQL)/package.json
	@cd $(LOGQL) && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: chromium
chromium: ## Chromium, from Debian's packages when it is missing: for the tests of the console's page
	@scripts/install-chromium.sh

$(VENV)/.stamp-venv:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed; make PYTHON=/path/to/it"; exit 1; fi
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-build: $(VENV)/.stamp-venv constraints.txt
	@$(INSTALL) hatchling editables
	@touch $@

$(VENV)/.stamp-run: $(VENV)/.stamp-build pyproject.toml
	@echo "installing tracedrpc into $(VENV)"
	@$(INSTALL) --no-build-isolation --editable ".[console]"
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-build pyproject.toml tests/bench/requirements.txt
	@echo "installing tracedrpc and what its tests need into $(VENV)"
	@$(INSTALL) --no-build-isolation --editable ".[dev]" --requirement tests/bench/requirements.txt
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-fuzz: $(VENV)/.stamp-dev tests/fuzz/requirements.txt
	@$(INSTALL) --requirement tests/fuzz/requirements.txt
	@touch $@

# Stock oslo.messaging beside tracedrpc, with what its own tests need: for tests/interop only.
$(CONFORMANCE)/.stamp: constraints.txt pyproject.toml tests/interop/requirements.txt
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed; make PYTHON=/path/to/it"; exit 1; fi
	@echo "making $(CONFORMANCE) with oslo.messaging and what its tests need"
	@$(PYTHON) -m venv $(CONFORMANCE)
	@$(CONFORMANCE)/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt \
		hatchling editables
	@$(CONFORMANCE)/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt \
		--no-build-isolation --editable ".[oslo]" --requirement tests/interop/requirements.txt
	@touch $@

.PHONY: constraints
constraints: ## write constraints.txt anew, with the newest versions of everything
	@scripts/make-constraints.sh "$(PYTHON)"

.PHONY: clean
clean: ## remove the environment and every cache
	@rm -rf $(VENV) $(CONFORMANCE) $(LOGQL)/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
