# Python 3.11 or newer and make are all that this needs. `make report`, `make explore`, `make lab`, `make test`, `make bench`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif

# make report DATA=folder MAPPING=name VOCABULARY=folder BY=arm ENDPOINT=168 CUTOFF=2024-12-31 OUT=reports ALLOW_ERRORS=1
OUT ?= reports
READING := $(if $(MAPPING),--mapping "$(MAPPING)") $(if $(VOCABULARY),--vocabulary "$(VOCABULARY)") \
	$(if $(CUTOFF),--cutoff "$(CUTOFF)")
OPTIONS := $(READING) $(if $(BY),--by "$(BY)") $(if $(ENDPOINT),--endpoint "$(ENDPOINT)") \
	$(if $(ALLOW_ERRORS),--allow-errors)

.PHONY: report explore lab test check bench coverage lock format clean

report: $(VENV)/.installed
	@$(BIN)/mesostats $(if $(DATA),report "$(DATA)" $(OPTIONS),demo) --out "$(OUT)"

# A page of questions on this machine: of the demo clinic, or with DATA, MAPPING, VOCABULARY and CUTOFF as for the report.
explore: $(VENV)/.installed
	@$(BIN)/mesostats explore $(if $(DATA),"$(DATA)" $(READING)) --open

lab: $(VENV)/.installed
	@$(BIN)/mesostats lab

$(VENV)/.created:
	@$(PYTHON) -c "import sys; sys.exit('mesostats needs Python 3.11 or newer, found ' + sys.version.split()[0] if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# The matrices are small: threads of the linear algebra would only wait for each other.
test coverage: export OPENBLAS_NUM_THREADS := 1

# Everything that guards the project.
test: check
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --verify notebooks/*.ipynb
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout notebooks/*.ipynb

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/run.py

# Coverage of the intervals that are the defaults; kept with `make coverage > benchmarks/COVERAGE.md`.
coverage: $(VENV)/.installed
	@$(BIN)/python benchmarks/coverage

# Pin all versions anew: for Python 3.11 and newer, on Linux, macOS and Windows.
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade
lock: $(VENV)/.installed-dev
	$(COMPILE) --extra build --output-file requirements.lock
	$(COMPILE) --extra build --group dev --output-file requirements-dev.lock

clean:
	rm -rf build dist reports .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
