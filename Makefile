# The commands of this house. `make help` lists them. Nothing here needs root but system-packages.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARTIFACTS := test-artifacts

# apt names; chromium for the browser tests, openssh for runbooks on a real sshd, util-linux and uidmap for the
# sandbox's hosts, systemd to check the units, acl for Ansible's become, procps and iproute2 for its facts.
APT := acl ca-certificates chromium git iproute2 make openssh-client openssh-server procps python3-venv sudo systemd uidmap util-linux

COMPILE := uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 \
  --no-emit-index-url --no-emit-find-links --no-header --quiet

# `make demo ONCE=1` ends by itself; otherwise the demo stays up until Ctrl-C.
ONCE ?=

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

.PHONY: setup
setup: $(STAMP) ## make .venv from the lock; quick when nothing changed

# The stamp depends on what was installed: another lock, or other entry points, and the environment is brought up to
# date. Editable, so that a clone runs as it is.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Orderly needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo absent)." >&2; \
	  echo "Install one, and name it: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) from requirements.lock (once; a minute or three)."; $(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; }
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(STAMP) ## everything on this machine, three requests fulfilled; ONCE=1 ends by itself
	$(BIN)/orderly demo $(if $(ONCE),--once)

.PHONY: test
test: $(STAMP) ## unit, contract and integration tests, with what is on this machine
	$(BIN)/python -m pytest tests/unit tests/contract tests/integration -m "not slow" $(ARGS)

.PHONY: test-all
test-all: $(STAMP) ## every test: slow, acceptance (browser) and chaos too; AFTER_TEST=1: only what `make test` leaves out
ifdef AFTER_TEST
	$(BIN)/python -m pytest tests --ignore=tests/unit --ignore=tests/contract --ignore=tests/integration $(ARGS)
	$(BIN)/python -m pytest tests/unit tests/contract tests/integration -m slow $(ARGS)
else
	$(BIN)/python -m pytest tests $(ARGS)
endif

.PHONY: lint
lint: $(STAMP) ## ruff, and ansible-lint over the runbooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd runbooks && PATH="$(abspath $(BIN)):$$PATH" ansible-lint --offline --strict

.PHONY: format
format: $(STAMP) ## let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

.PHONY: contracts
contracts: $(STAMP) ## the dependency law
	$(BIN)/lint-imports

.PHONY: bench
bench: $(STAMP) ## how fast it is here, held against baselines of the same run; ARGS="--only fulfilling --json FILE"
	PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

.PHONY: docs
docs: $(STAMP) ## make docs/reference anew from the code
	$(BIN)/python -m request_models.reference
	$(BIN)/python -m connectors.reference

.PHONY: lock
lock: ## write the locks anew (needs uv); no index address stands in them
	$(COMPILE) --extra sandbox --extra cluster --extra editor --group dev --output-file requirements.lock
	cp requirements.lock deploy/requirements.lock   # uv keeps to the versions that it finds in the file it writes
	$(COMPILE) --extra cluster --no-annotate --output-file deploy/requirements.lock

.PHONY: wheel
wheel: $(STAMP) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: system-packages
system-packages: ## as root, on Debian or Ubuntu: what the machine must have
	@command -v apt-get >/dev/null || { \
	  echo "Only Debian and Ubuntu are known here. Install what these apt packages hold: $(APT)" >&2; exit 1; }
	@test "$$(id -u)" = 0 || { echo "This needs root: sudo make system-packages" >&2; exit 1; }
	@missing=(); for package in $(APT); do \
	  dpkg-query -W -f='$${db:Status-Abbrev}' "$$package" 2>/dev/null | grep -q '^ii' || missing+=("$$package"); done; \
	  if [ "$${#missing[@]}" = 0 ]; then echo "All system packages are here."; exit 0; fi; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends "$${missing[@]}"

.PHONY: clean
clean: ## remove what was made here: .venv, caches, dist, test artifacts
	rm -rf $(VENV) dist build $(ARTIFACTS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
