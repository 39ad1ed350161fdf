# Two commands set everything up: `make demo` fits, renders and reports on the embedded sample; `make test` runs all checks and tests.
PYTHON ?= python3
VENV ?= .venv
# A CPU build; set TORCH=torch to let pip choose (a CUDA build on Linux).
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
RUN ?= runs/demo
SECONDS_TO_FIT ?= 60
export OMP_WAIT_POLICY = PASSIVE

.PHONY: demo test check install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml CMakeLists.txt $(wildcard avatar/engine/csrc/*)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: install
	$(BIN)/avatar fit hybrid --capture data/samples/dancer --run $(RUN) --split train --budget-seconds $(SECONDS_TO_FIT) --overwrite
	$(BIN)/avatar evaluate --run $(RUN) --capture data/samples/dancer --split test_novel_view --json $(RUN)/test_novel_view.json
	$(BIN)/avatar evaluate --run $(RUN) --capture data/samples/dancer --split test_novel_pose --json $(RUN)/test_novel_pose.json
	@echo "Open $(RUN)/report/index.html"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

test: check
	$(BIN)/python -m pytest -q

clean:
	rm -rf build $(VENV) runs
