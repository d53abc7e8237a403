# make demo: label the example clips with the model that comes with the project.
# make test: everything that has to hold. Both in an environment of their own.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test format

demo: .venv/ready
	@$(BIN)/python predict_video.py --input example_clips \
		--output output --timeline output --json output --overwrite --no-preview

test: .venv/ready-to-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

format: .venv/ready-to-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/ready: requirements.txt constraints.txt
	@echo "installing into .venv, which takes a few minutes the first time"
	@$(PYTHON) -m venv .venv
	@$(INSTALL) -r requirements.txt
	@$(BIN)/python -c "import cv2" 2>/dev/null || { \
		echo "no libGL or GLib on this machine: taking OpenCV without a preview window"; \
		$(BIN)/pip uninstall --quiet --yes opencv-python; \
		$(INSTALL) "opencv-python-headless>=5.0,<6"; }
	@touch $@

.venv/ready-to-test: requirements-dev.txt .venv/ready
	@$(INSTALL) -r requirements-dev.txt
	@touch $@
