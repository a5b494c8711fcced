CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3.10 python3)
READY := .venv/.ready
RUN := .venv/bin/python
PIP := sh tools/install.sh $(RUN)
SETTINGS := PRESET DATASET DATA_DIR RUNS_DIR
DEFAULTS := env $(SETTINGS:%=-u ENSEMBLE_SEG_%)

.PHONY: help setup notebooks test benchmark lab lint format refresh teacher address clean
.DELETE_ON_ERROR:

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1@\2/p' Makefile | awk -F@ '{printf "%-18s%s\n", $$1, $$2}'

setup: $(READY)  ## make .venv with the versions of requirements.txt
$(READY): requirements.txt pyproject.toml
	@python=$$(sh tools/find_python.sh $(CANDIDATES)) \
	  && echo "Setting up .venv with $$("$$python" -V) (a minute or two) ..." \
	  && rm -rf .venv && "$$python" -m venv .venv
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

notebooks: $(READY)  ## run the three notebooks; executed copies and the score table go to runs/
	@$(RUN) tools/notebooks.py run

test: lint  ## check the style, run the tests, run the notebooks with the smoke preset
	@$(DEFAULTS) $(RUN) -m pytest -n 2 --dist worksteal
	@runs=$$(mktemp -d) && trap 'rm -rf "$$runs"' EXIT INT TERM && $(DEFAULTS) \
	  ENSEMBLE_SEG_PRESET=smoke ENSEMBLE_SEG_RUNS_DIR="$$runs" $(RUN) -m pytest \
	  -p no:cacheprovider --nbval-lax --nbval-current-env --nbval-cell-timeout=600 -x notebooks

benchmark: $(READY)  ## measure speed, beside PyTorch where it is installed: benchmarks/README.md
	@$(DEFAULTS) $(RUN) -m benchmarks

lab: $(READY)  ## open the notebooks in JupyterLab
	@$(RUN) tools/notebooks.py lab

lint: $(READY)  ## check style and spelling
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m codespell_lib

format: $(READY)  ## bring code and notebooks into that style
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

refresh: $(READY)  ## run the notebooks and store their outputs in them, figures too
	@$(DEFAULTS) $(RUN) tools/notebooks.py refresh

teacher: $(READY)  ## write the teacher's edition of the notebooks to runs/teacher
	@$(RUN) tools/notebooks.py fill runs/teacher

address: $(READY)  ## write pyproject's repository address into README and notebooks
	@$(RUN) tools/notebooks.py address

clean:  ## remove all environments and caches; runs/ stays
	@rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
