# Every target makes its own environment: Python 3.11 or newer and make are all it takes.
PYTHON ?= python3
VENV ?= .venv
# A second environment, with the newest version of everything that pyproject.toml allows.
NEWEST ?= .venv-newest
# A third, with the lowest version of everything that pyproject.toml names.
LOWEST ?= .venv-lowest
PY := $(VENV)/bin/python
# Processes that share the tests: a number, or the cores there are, four at most; 0 is this one alone.
JOBS ?= logical
# Threads of linear algebra in each of them would only take the cores from each other.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
PYTEST := -q -n $(JOBS) --maxprocesses 4 --dist worksteal
# The quick tests of a file share what they have solved: one process takes all of them.
BY_FILE := --dist loadfile
# Compiled once for all processes that tests start, whatever the user's shell says.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
# Two targets must not install into one environment at a time.
.NOTPARALLEL:
.PHONY: help reproduce test test-long test-newest test-lowest bench lint style types imports spelling docs image page-image lock clean

help:
	@echo "make reproduce   the paper's study, written to results/kumawat_2021/"
	@echo "make test        the tests, but for the long ones"
	@echo "make test-long   the long tests"
	@echo "make test-newest a quick subset with the newest versions that are allowed"
	@echo "make test-lowest the same subset with the lowest versions that are allowed"
	@echo "make bench       timings side by side, written to benchmarks/RESULTS.md"
	@echo "make lint        style, types, import contract, spelling"
	@echo "make docs        the documentation, written to docs/_build/html/"
	@echo "make image       the container of the reactor's model (docker, podman or buildah)"
	@echo "make page-image  the container of the planner's page"
	@echo "make lock        choose the versions in uv.lock and constraints.txt anew"
	@echo "make clean       remove caches and built files"
	@echo
	@echo "PYTHON=python3.12 picks another interpreter for a new $(VENV)."

reproduce: $(VENV)/.with-test
	MPLBACKEND=Agg $(PY) case_studies/kumawat_2021/run.py

test: $(VENV)/.with-test
	$(ONE_THREAD) $(PY) -m pytest $(PYTEST) $(BY_FILE) -m "not long"

# What takes some CPU seconds and more cases of what quick ones show (marked "long"): `make test`
# is kept to about 6 CPU minutes.
test-long: $(VENV)/.with-test
	$(ONE_THREAD) $(PY) -m pytest $(PYTEST) -m long

# Meets each door: solvers, search, labels, learned regions, embedding, figures, the reactor.
test-newest: $(NEWEST)/.with-test
	$(NEWEST)/bin/python -m pip list --format=freeze | grep -iE '^(highspy|numpy|pandas|pyomo|scikit-learn|scipy)='
	$(ONE_THREAD) $(NEWEST)/bin/python -m pytest $(PYTEST) $(QUICK_TESTS)

# Packages that old may use what the newest Python or the packages below them call outdated.
test-lowest: $(LOWEST)/.with-test
	$(LOWEST)/bin/python -m pip list --format=freeze | grep -iE '^(highspy|numpy|pandas|pyomo|scikit-learn|scipy)='
	$(ONE_THREAD) $(LOWEST)/bin/python -m pytest $(PYTEST) -W ignore::DeprecationWarning -W ignore::FutureWarning $(QUICK_TESTS)

bench: $(VENV)/.with-bench
	$(PY) benchmarks/run.py

lint: style types imports spelling

style: $(VENV)/.with-test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(VENV)/.with-test
	$(PY) -m mypy

imports: $(VENV)/.with-test
	$(VENV)/bin/lint-imports

spelling: $(VENV)/.with-test
	$(VENV)/bin/codespell

# Every block of the pages runs as printed; then the pages are built.
docs: $(VENV)/.with-docs
	$(PY) docs/run_blocks.py
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html

# BASE=... and RUNTIME=... choose the base images.
image:
	container/build.sh

page-image:
	container/build.sh stnopt-page container/Containerfile.page

# The addresses that uv writes into its lock belong to whoever locked: only names, versions and
# markers are kept. Without the project's own requirements uv takes the lock for out of date, so
# that `uv sync` resolves again, prefers these versions and finds the files where the user's
# settings say.
lock: $(VENV)/.with-test
	$(PY) -m pip install -q uv
	$(PY) -m uv lock --upgrade
	$(PY) -m uv export -q --frozen --all-extras --no-hashes --no-annotate --no-header \
		--no-emit-project -o constraints.txt
	sed -E -e '/^sdist = /d' -e '/^wheels = \[/,/^\]/d' \
		-e 's/registry = "[^"]*"/registry = "."/' \
		-e '/^\[package\.metadata\]/,/^provides-extras/d' uv.lock > uv.lock.stripped
	mv uv.lock.stripped uv.lock

clean:
	rm -rf build dist docs/_build docs/gallery .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache
	find stnopt reactor_yield tests -name __pycache__ -prune -exec rm -rf {} +

QUICK_TESTS := tests/test_solve.py tests/test_interrupts.py tests/test_wrong_arguments.py \
	tests/scheduling/test_search_exit.py tests/scheduling/test_model.py \
	tests/scheduling/test_storage_in_time.py tests/plant/test_plant_examples.py \
	tests/feasibility/test_labelling.py tests/feasibility/test_region.py \
	tests/embedding/test_constraint.py tests/reactor_yield/test_reactor.py

$(NEWEST)/.with-test: pyproject.toml | $(NEWEST)/bin/python
	@echo "Installing the newest stnopt[test] allows into $(NEWEST) ..."
	@$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check --upgrade \
		--upgrade-strategy eager -e '.[test]'
	@touch $@

$(NEWEST)/bin/python: | $(PY)
	$(PYTHON) -m venv $(NEWEST) || { rm -f $@; exit 1; }

# uv chooses the lowest of what pyproject.toml names, and the newest of what that needs.
$(LOWEST)/.with-test: pyproject.toml | $(LOWEST)/bin/python
	@echo "Installing the lowest stnopt[test] allows into $(LOWEST) ..."
	@$(LOWEST)/bin/python -m pip install -q --disable-pip-version-check uv
	@$(LOWEST)/bin/python -m uv pip install -q --python $(LOWEST)/bin/python \
		--resolution lowest-direct -e '.[test]'
	@touch $@

$(LOWEST)/bin/python: | $(PY)
	$(PYTHON) -m venv $(LOWEST) || { rm -f $@; exit 1; }

# One stamp per extra, so that pip runs again only when what it reads has changed.
$(VENV)/.with-%: pyproject.toml constraints.txt | $(PY)
	@echo "Installing stnopt[$*] into $(VENV) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

$(PY):
	@$(PYTHON) -c '' || { \
		echo "$(PYTHON) does not run: install Python 3.11 or newer, or name it: make PYTHON=..." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "stnopt needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
			"Name a newer one: make PYTHON=python3.12 ..." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) comes without venv or ensurepip; on Debian and Ubuntu the package" \
			"python3-venv has them." >&2; \
		exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -f $(PY); exit 1; }
