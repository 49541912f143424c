# The Python package (client/python). Included by the Makefile.
#
# Its unit tests are Python's own, and run from the checkout. `make python-package` is what a user does: a wheel, installed into
# a fresh environment with pandas, pyarrow and mypy from the network; the same tests there, with those that need them.
PYTHON := /usr/bin/python3
PYTHON_VENV := build/python-venv
PYTHON_TESTS := -B -m unittest discover -s tests/unit/python

.PHONY: unit-python python-package
test-unit: | unit-python
unit-python: build/test-deps.ok ## the Python package's unit tests
	@echo "  TEST $@"
	@PYTHONPATH=client/python $(PYTHON) $(PYTHON_TESTS) 2>&1 | awk '{ all = all $$0 "\n" } END { if (!/^OK/) { printf "%s", all; exit 1 } }'

python-package: ## build its wheel, and try it in a fresh environment with pandas, pyarrow and mypy (needs the network)
	@tests/checks/packages python3-venv
	@rm -rf $(PYTHON_VENV) build/python-wheel build/python-source
	@mkdir -p build && cp -r client/python build/python-source
	@$(PYTHON) -m venv $(PYTHON_VENV)
	@$(PYTHON_VENV)/bin/pip -q wheel --no-deps -w build/python-wheel build/python-source
	@$(PYTHON_VENV)/bin/pip -q install "$$(ls build/python-wheel/weir-*.whl)[pandas,arrow]" mypy types-PyYAML
	@env -u PYTHONPATH $(PYTHON_VENV)/bin/python $(PYTHON_TESTS)
	@cd $(PYTHON_VENV) && bin/python -m mypy --config-file ../../client/python/pyproject.toml -p weir
