# Scenarios: real processes on loopback (tests/scenario). Included by the Makefile.
# WEIR_FLIGHTS and WEIR_TAXI name real data for those who have it (examples/flights, examples/taxi).
SCENARIOS ?=
# A scenario waits for most of its time, and takes a fifth of a processor.
SCENARIO_JOBS ?= 4
SCENARIO_RUN := VARIANT=$(VARIANT) tests/scenario/run

# Hosts in network namespaces (tests/hosts): a program that uses none of the libraries.
HOSTS := $(BUILD)/tests/hosts
ALL_OBJECTS += $(BUILD)/obj/tests/hosts/hosts.o
$(HOSTS): $(BUILD)/obj/tests/hosts/hosts.o
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^

# Calls of the disk that fail or stop a node, preloaded: plain in every variant.
FAULTS := $(BUILD)/tests/faults.so
$(FAULTS): tests/hosts/faults.c | build/test-deps.ok
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 $(WARNINGS) -D_GNU_SOURCE -O2 -fPIC -shared -o $@ $<

# make scenario always has the same faults in chaos, so that a run says something about a change; make chaos has others.
.PHONY: scenario scenario-flights chaos
scenario: programs $(ORACLE) $(HOSTS) $(FAULTS) build/test-deps.ok ## real processes: failures, bad input, exact answers (SCENARIOS="kill basic")
	@WEIR_FLIGHTS_ROWS=$${WEIR_FLIGHTS_ROWS:-300000} WEIR_FLIGHTS_QUERIES=$${WEIR_FLIGHTS_QUERIES:-200} \
		WEIR_CHAOS_SEED=$${WEIR_CHAOS_SEED:-1} WEIR_SKEW_ANSWERS=$${WEIR_SKEW_ANSWERS:-4000} \
		$(SCENARIO_RUN) --jobs $(SCENARIO_JOBS) $(SCENARIOS)

MINUTES ?= 1
SEED ?=
chaos: programs $(HOSTS) $(FAULTS) build/test-deps.ok ## kill -9, SIGSTOP and bad links at random, answers checked all the time (MINUTES=30 SEED=7)
	@WEIR_CHAOS_MINUTES=$(MINUTES) WEIR_CHAOS_SEED=$(SEED) WEIR_MORE_TIME=$$(($(MINUTES) * 70)) $(SCENARIO_RUN) --show chaos

scenario-flights: programs $(ORACLE) build/test-deps.ok ## the whole of WEIR_FLIGHTS, thousands of answers
	@$(SCENARIO_RUN) flights
