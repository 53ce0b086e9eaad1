# The virtual environment is made on first use; PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: demo test test-all check types docs bench bench-gpu accuracy setup lock

setup: .venv/dev

.venv/core: pyproject.toml constraints.txt
	@echo "setting up .venv (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) -e '.[train]'
	@touch $@

.venv/dev: .venv/core
	@$(PIP) -e '.[dev]'
	@touch $@

# make demo              a synthetic clip, with exact masks to compare with
# make demo VIDEO=path   your own video
demo: .venv/core
ifdef VIDEO
	@$(BIN)/cuemask segment "$(VIDEO)" --out "demo/$(basename $(notdir $(VIDEO)))" --resume
else
	@rm -rf demo/phantom demo/phantom-run
	@$(BIN)/cuemask phantom --out demo/phantom --frames 48 --quiet
	@$(BIN)/cuemask segment demo/phantom/clip.mp4 --out demo/phantom-run >/dev/null
	@$(BIN)/cuemask evaluate demo/phantom-run/clip demo/phantom/masks
	@echo
	@echo "Open these:"
	@ls demo/phantom-run/report.html demo/phantom-run/clip/overlay.mp4 demo/phantom-run/clip/sheet.png demo/phantom-run/clip/confidence.csv demo/phantom-run/losses.png
	@ls -d demo/phantom-run/clip/masks demo/phantom-run/model.safetensors
endif

# A process for each processor, each with files of its own: `python -m pytest tests/cues` runs a part in one.
BESIDE := -n logical --maxprocesses 4 --dist loadfile

test: .venv/dev
	@$(BIN)/python -m pytest $(BESIDE)

test-all: .venv/dev
	@$(BIN)/python -m pytest $(BESIDE) -m "slow or not slow" --cov --cov-report=term:skip-covered

check: .venv/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-cache

# Takes a minute or more on 2 cores, so it is no part of `check`; .ci/run has both.
types: .venv/dev
	@$(BIN)/pyright --pythonpath $(BIN)/python

# All dependencies with their hashes, for every system and Python at once. torch and the CUDA libraries that some of its builds
# ask for are left to constraints.txt: which build fits is a matter of the machine. Needs uv: pip install uv
TORCHS := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc \
  cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 -c constraints.txt --generate-hashes \
  --no-header --no-annotate --quiet $(addprefix --no-emit-package ,$(TORCHS))
# What the images of the Dockerfile hold.
DEPLOYED := train runtime export dicom cluster stores

lock:
	@$(LOCK) --all-extras -o requirements.lock
	@$(LOCK) $(addprefix --extra ,$(DEPLOYED)) -o deploy/requirements.lock

# Fails on any link or anchor that leads nowhere.
docs: .venv/dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "documentation: build/site/index.html"

# Each replaces its own table in benchmarks/results/<machine>.json and .md. The published size of the training step,
# 512x640 and 6 pairs, takes minutes more and is a command of its own:
#   .venv/bin/python -m benchmarks.training_step --size 512x640
bench: .venv/dev
	@$(BIN)/python -m benchmarks.cues
	@$(BIN)/python -m benchmarks.training_step
	@$(BIN)/python -m benchmarks.frame_costs
	@$(BIN)/python -m benchmarks.inference
	@$(BIN)/python -m benchmarks.length

# On a machine with a GPU, in at most eight minutes: CUDA tests, training steps, prediction by torch, ONNX Runtime and
# TensorRT, a whole video; replaces benchmarks/results/gpu.md. To see without a GPU that the way is clear:
#   .venv/bin/python -m benchmarks.gpu --device cpu --small
bench-gpu: .venv/dev
	@$(BIN)/python -m benchmarks.gpu

# Every recipe against true masks, hours on 2 cores; broken off, it goes on where it was. Real frames: $CUEMASK_DATA.
accuracy: .venv/dev
	@$(BIN)/python -m benchmarks.accuracy
