# make demo: label the example clips with the bundled model.
# make test: formatting, lint, types and the everyday tests. make test-all: the slow tests, too.
# With another Python: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BOTH_CORES := --numprocesses 2 --dist worksteal
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all check format

# Threads of the two processes would wait for each other.
test test-all: export OPENBLAS_NUM_THREADS = 1

demo: $(VENV)/ready
	@$(BIN)/python predict_video.py --input example_clips \
		--output output --page output --timeline output --json output --overwrite --no-preview

test: check
	$(BIN)/pytest $(BOTH_CORES) -m "not slow"

test-all: check
	$(BIN)/pytest $(BOTH_CORES) --hypothesis-profile thorough

check: $(VENV)/ready-to-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/ready-to-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/ready: requirements.txt constraints.txt
	@echo "installing into $(VENV), which takes a few minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r requirements.txt
	@$(BIN)/python -c "import cv2" 2>/dev/null || { \
		echo "no libGL or GLib on this machine: taking OpenCV without a preview window"; \
		$(BIN)/pip uninstall --quiet --yes opencv-python; \
		$(INSTALL) "opencv-python-headless>=5.0,<6"; }
	@touch $@

$(VENV)/ready-to-test: requirements-dev.txt requirements-heic.txt requirements-ray.txt $(VENV)/ready
	@$(INSTALL) -r requirements-dev.txt
	@touch $@
