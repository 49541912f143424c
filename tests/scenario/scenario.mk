# Scenarios: real processes on loopback (tests/scenario). Included by the Makefile.
# WEIR_FLIGHTS and WEIR_TAXI name real data for those who have it (examples/flights, examples/taxi).
SCENARIOS ?=
SCENARIO_JOBS ?= 1
SCENARIO_RUN := VARIANT=$(VARIANT) tests/scenario/run

.PHONY: scenario scenario-flights
scenario: programs $(ORACLE) build/test-deps.ok ## real processes: failures, bad input, exact answers (SCENARIOS="kill basic")
	@WEIR_FLIGHTS_ROWS=$${WEIR_FLIGHTS_ROWS:-300000} WEIR_FLIGHTS_QUERIES=$${WEIR_FLIGHTS_QUERIES:-200} \
		$(SCENARIO_RUN) --jobs $(SCENARIO_JOBS) $(SCENARIOS)

scenario-flights: programs $(ORACLE) build/test-deps.ok ## the whole of WEIR_FLIGHTS, thousands of answers
	@$(SCENARIO_RUN) flights
