# `make train` from a fresh clone: an environment of the locked packages, then one run on real ratings. `make serve`: a
# web page on two small runs with plots, people and runtimes of their films, at http://127.0.0.1:8080. Each goal installs
# the packages that it needs, with PyTorch's CPU build where its index can be reached; CUDA=1 asks for the other one.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)
BIN := .venv/bin
CPU_BUILDS := https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip install --constraint requirements.lock
INSTALL := $(PIP) --no-build-isolation --editable
TORCH := --no-deps $(if $(CUDA),,--extra-index-url $(CPU_BUILDS)) torch
SERVED := outputs/served

.PHONY: help train serve test lint docs links lock clean

help: ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

train: .venv/core ## train neural collaborative filtering on MovieLens-100K
	$(BIN)/python train.py

serve: .venv/web $(SERVED)/ease/segments/segments.json $(SERVED)/ials/manifest.json ## open the web page, on two small models
	$(BIN)/python -m recsys serve $(SERVED)/ease $(SERVED)/ials

$(SERVED)/ease/manifest.json: | .venv/web
	$(BIN)/python train.py model=ease_newcomers metadata=tmdb5000 hydra.run.dir=$(SERVED)/ease

$(SERVED)/ials/manifest.json: | .venv/web
	$(BIN)/python train.py model=ials metadata=tmdb5000 hydra.run.dir=$(SERVED)/ials

$(SERVED)/ease/segments/segments.json: | $(SERVED)/ease/manifest.json
	$(BIN)/python -m recsys segments $(SERVED)/ease space=ratings

# A file's tests stay in one process, which makes its runs and starts its servers once: a third less time. There is one
# process more than cores, each with one thread, since tests wait for servers, browsers and disks for a quarter of their
# time; files come in the order of tests/conftest.py. Modules are compiled once, also where the environment says
# otherwise, since tests start some hundred processes.
test: lint docs ## lint, check types, build the manual, run the tests
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest --dist loadfile --no-loadscope-reorder \
		--numprocesses $$($(BIN)/python -c 'import os; print(os.cpu_count() + 1)')

# Later versions of Python differ in their own library, whose use mypy checks without the types of other packages in a
# tenth of the time. UP046 asks for syntax that 3.11 lacks.
LIGHT := --no-site-packages --no-warn-unused-ignores $(addprefix --disable-error-code ,arg-type call-arg valid-type)

lint: .venv/dev ## check style, format, spelling, prose and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell recsys configs docs experiments hydra_plugins train.py README.md
	$(BIN)/proselint check README.md docs/*.md experiments/*/README.md
	$(BIN)/mypy
	for minor in 12 13; do \
		$(BIN)/ruff check --quiet --ignore UP046 --target-version py3$$minor \
		&& $(BIN)/mypy $(LIGHT) --python-version 3.$$minor || exit; done

docs: .venv/dev ## build the manual, docs/_build/index.html
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build

links: .venv/dev ## check that the links of the manual to other sites lead somewhere
	$(BIN)/sphinx-build --quiet --builder linkcheck docs docs/_build/links

# Stamps of what is installed, the extras on top of the core. A stamp is touched last, so that an interrupted
# installation is repeated. An index for PyTorch that cannot be reached costs little time, and a connection that breaks
# is tried again. PyTorch is installed without its dependencies, which come with recsys; pip would report them as missing
# if it installed anything in between. setuptools builds Hydra's parser, which comes as source: venv brings an old one or
# none.
.venv/core: requirements.lock pyproject.toml
	$(if $(PYTHON),,$(error recsys needs Python 3.11, 3.12 or 3.13 with venv: install one, or name it with PYTHON=...))
	test -e $@ || $(PYTHON) -m venv --clear .venv
	$(PIP) hatchling editables setuptools
	$(PIP) --retries 1 $(TORCH) || $(PIP) $(TORCH)
	$(INSTALL) .
	touch $@

.venv/web: EXTRAS := [web,plots]
.venv/dev: EXTRAS := [dev]
.venv/web .venv/dev: .venv/core
	$(INSTALL) '.$(EXTRAS)'
	touch $@

lock: ## resolve pyproject.toml into requirements.lock (with Python 3.11, the oldest that it serves)
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install $(TORCH)==2.13.0
	.venv-lock/bin/pip install --editable '.[dev]' torch==2.13.0 hatchling editables
	{ head -1 requirements.lock; .venv-lock/bin/pip freeze --all --exclude pip --exclude recsys \
		| sed 's/+.*//' | sort -f; } > requirements.lock.partial
	mv requirements.lock.partial requirements.lock
	rm -rf .venv-lock

clean: ## remove the environment and what tools keep; cache/ and outputs/ stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis *.egg-info
