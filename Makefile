# Two commands set everything up: `make demo` fits, renders and reports on the embedded sample; `make test` runs all checks and tests.
PYTHON ?= python3
VENV ?= .venv
# A CPU build; set TORCH=torch to let pip choose (a CUDA build on Linux).
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
GPU_PYTHON ?= $(BIN)/python
RUN ?= runs/demo
REAL ?= runs/demo-real
SECONDS_TO_FIT ?= 60
SECONDS_TO_FIT_REAL ?= 300
export OMP_WAIT_POLICY = PASSIVE

.PHONY: demo demo-real test check install viewer node-tools sanitize cross-check gpu-check clean

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

# The same from raw videos of a man by four calibrated cameras, the demo of Pose2Sim, of which 51 MB are fetched once.
REAL_VIDEOS = $(shell $(BIN)/python -c "from avatar.assets import demo_path; print(demo_path())")
demo-real: $(VENV)/.pose
	$(BIN)/avatar assets fetch pose
	$(BIN)/avatar assets fetch pose2sim-demo
	$(BIN)/avatar prepare --videos "$(REAL_VIDEOS)/videos" --calibration "$(REAL_VIDEOS)/Calib.qca.txt" \
		--boards "$(REAL_VIDEOS)/boards" --board checkerboard:4x7:60 --rate 30 --max-height 960 --out $(REAL)/capture
	$(BIN)/avatar fit hybrid --refine --capture $(REAL)/capture --run $(REAL)/run --budget-seconds $(SECONDS_TO_FIT_REAL) --overwrite
	$(BIN)/avatar evaluate --run $(REAL)/run --capture $(REAL)/capture --split test_novel_time
	$(BIN)/avatar evaluate --run $(REAL)/run --capture $(REAL)/capture --split test_novel_view
	$(BIN)/avatar render --run $(REAL)/run --out $(REAL)/orbit.mp4
	@echo "Open $(REAL)/capture/report/index.html on the capture, $(REAL)/run/report/index.html on the avatar; $(REAL)/orbit.mp4 shows it"

$(VENV)/.pose: $(VENV)/.installed
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['pose'], sep='\n')" \
		| $(BIN)/python -m pip install --quiet --requirement /dev/stdin
	touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

test: check node-tools
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

# The page of the viewer. What this builds is committed: only who changes viewer/page needs Node.
viewer: node-tools
	cd viewer && npm run build

# With Node at hand the tests also check types and files by the tools of the web; a Chromium tries the page itself.
NODE_TOOLS := viewer/node_modules/.installed
node-tools:
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(NODE_TOOLS) && cd viewer && npm run --silent check; \
		else echo "npm is not installed: tests that need it are skipped"; fi

$(NODE_TOOLS): viewer/package-lock.json
	cd viewer && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# The engine with the address and undefined-behaviour sanitizers under its own tests, and its pool under the thread sanitizer.
SANITIZED := build/sanitize
SANITIZERS = $(shell $(CXX) -print-file-name=libasan.so):$(shell $(CXX) -print-file-name=libubsan.so):$(shell $(CXX) -print-file-name=libstdc++.so)
sanitize: install
	cmake -B $(SANITIZED) -DCMAKE_BUILD_TYPE=Release -DAVATAR_SANITIZE=address,undefined -DAVATAR_VARIANTS=v3
	cmake --build $(SANITIZED) --parallel
	AVATAR_ENGINE=$(SANITIZED)/_engine.so AVATAR_ISA=v3 LD_PRELOAD=$(SANITIZERS) ASAN_OPTIONS=detect_leaks=0 \
		$(BIN)/python -m pytest -q tests/engine -k "not variants and not memory and not stand_in"
	$(CXX) -std=c++17 -O1 -g -fsanitize=thread -pthread -Iavatar/engine/csrc tests/engine/pool_stress.cpp \
		avatar/engine/csrc/pool.cpp -o $(SANITIZED)/pool_stress
	$(SANITIZED)/pool_stress

# Compiles every kernel for 64-bit ARM and, with Clang, for this processor.
cross-check:
	cmake -B build/arm64 -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
		-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
	cmake --build build/arm64 --parallel
	cmake -B build/clang -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++
	cmake --build build/clang --parallel

# On a machine with a GPU, by an interpreter with a CUDA build of torch; nothing is installed for it.
gpu-check:
	PYTHONPATH=.:$$PYTHONPATH $(GPU_PYTHON) -c "import avatar; avatar.__path__.append('.'); from avatar.tools.gpu_check import main; main()"

clean:
	rm -rf build $(VENV) runs
