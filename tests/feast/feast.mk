# The Feast SDK against serving nodes (docs/http.md). It comes over the network, so this is no part of `make test`.
FEAST_VENV := build/feast-venv
$(FEAST_VENV)/ok: tests/feast/requirements.txt
	@tests/checks/packages python3-venv openssl
	@python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: test-feast
test-feast: programs $(FEAST_VENV)/ok build/test-deps.ok ## the Feast SDK reads features from weir, unchanged (downloads it)
	@FEAST_PYTHON=$(CURDIR)/$(FEAST_VENV)/bin/python VARIANT=$(VARIANT) tests/scenario/run --show feast
