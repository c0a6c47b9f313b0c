# The course from the command line. Works with GNU make 3.81 and newer and a POSIX shell.
# make setup PYTHON=python3.12   takes another Python;   make lab PORT=9000   another port;
# make notebooks CHAPTERS="2 cosine"   only some chapters.

PYTHON ?= python3
VENV := .venv
NEWEST := .venv-newest
BIN := $(VENV)/bin

.PHONY: help setup lab test test-newest run-tests gate notebooks gpu-check attack-table clean

help:
	@echo "make setup        install everything into $(VENV)             (3 minutes after the download, once)"
	@echo "make lab          open the notebooks in JupyterLab           (10 seconds)"
	@echo "make test         all tests, and all notebooks run           (up to 35 minutes)"
	@echo "make test-newest  the same with the newest packages          (longer than that)"
	@echo "make gate         each exercise's check, with many seeds     (minutes)"
	@echo "make notebooks    run the chapters, make the exercises       (up to 20 minutes)"
	@echo "make gpu-check    the tests that need a GPU, on the GPU      (2 minutes)"
	@echo "make attack-table hostile submissions, here and in nbgrader  (10 minutes)"
	@echo "make clean        remove what setup and tests made; my_work/ stays"

setup: $(VENV)/.installed
	@echo "Everything is installed in $(VENV). Next: make lab"

# .installing is there from the first step of an installation to its last: where it is found, that one failed half-way
# and is thrown away. The installation starts over too when the Python that it was made from is gone. An update that
# fails, without a network for example, throws nothing away: pip leaves the old packages where they were.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "The course needs Python 3.11 or newer; $(PYTHON) is: `$(PYTHON) --version 2>&1`." >&2; \
	  echo "Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@if test -e $(VENV)/.installing || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "Making $(VENV) (10 seconds)"; rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); fi
	@touch $(VENV)/.installing
	@echo "Installing the packages of constraints.txt (3 minutes after the download)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev]" || { \
	  if test -e $@; then rm $(VENV)/.installing; \
	    echo "The update failed; what was installed before is kept: $(BIN)/embedcourse lab" >&2; fi; exit 1; }
	@rm $(VENV)/.installing
	@touch $@

lab: setup
	@$(BIN)/embedcourse lab

test: setup
	@$(MAKE) --no-print-directory run-tests BIN=$(BIN)

# The newest versions that pyproject.toml allows. Lines with < are the tested versions, lines with > those taken now.
test-newest:
	@echo "Installing the newest packages into $(NEWEST) (5 minutes after the download)"
	@$(PYTHON) -m venv $(NEWEST)
	@$(NEWEST)/bin/python -m pip install -qq --disable-pip-version-check --upgrade --upgrade-strategy eager -e ".[dev]"
	@echo "Versions that differ from constraints.txt:"
	@$(NEWEST)/bin/python -m pip freeze -qq --exclude-editable | sed 's/+[^ ]*$$//' | diff constraints.txt - | grep '^[<>]' \
	  || echo "none"
	@$(MAKE) --no-print-directory run-tests BIN=$(NEWEST)/bin

# Progress goes to a folder of its own, so that a test run counts for nobody; nothing is fetched.
ALONE = EMBEDCOURSE_HOME="$(CURDIR)/$(BIN)/../test-home" HF_HUB_OFFLINE=1

run-tests:
	@rm -rf $(BIN)/../test-home
	@echo "1/4 Style (seconds)"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "2/4 Imports between the parts (seconds)"
	@$(BIN)/lint-imports
	@echo "3/4 Tests of the package (minutes)"
	@$(ALONE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal tests
	@echo "4/4 All chapters and solutions, every cell run (minutes)"
	@$(ALONE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadscope --nbval-lax --nbval-current-env --nbval-cell-timeout=300 chapters solutions

# Rounding at a threshold shows with one seed of fifty.
gate: setup
	@echo "Trying every solution with 60 secret seeds, and every wrong idea with 20 (minutes)"
	@$(ALONE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --seeds 60 tests/checks/test_gate.py

notebooks: setup
	@echo "Running the chapters and making the exercises (up to 20 minutes)"
	@$(BIN)/python -m embedcourse.authoring $(CHAPTERS)

gpu-check: setup
	@$(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { \
	  echo "There is no GPU that torch can use here, so nothing was checked." >&2; exit 1; }
	@echo "Running the tests that take a device, on the GPU (2 minutes)"
	@$(BIN)/python -c 'import torch; print(torch.cuda.get_device_name(), "with torch", torch.__version__)'
	@$(BIN)/python -m pytest -q -k cuda --table tests

# Linux only: it grades hostile submissions, each in a box, and runs nbgrader on those that cannot leave its folder.
attack-table: setup
	@echo "Grading every hostile submission of tests/grading/attacks twice (10 minutes)"
	@$(BIN)/python -m benchmarks.attack_table

clean:
	rm -rf $(VENV) $(NEWEST) *.egg-info build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
