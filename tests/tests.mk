# What the tests need beyond unit tests: the oracle's program and the simulator. Included by the
# Makefile, whose variables and rules it uses.

# ---- weir-oracle: expected answers from a CSV of events; not installed ----
ORACLE := $(BUILD)/bin/weir-oracle
ALL_OBJECTS += $(call objects_of,tests/oracle/main.c)
$(ORACLE): $(call objects_of,tests/oracle/main.c) $(call archives_of,oracle)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: oracle
oracle: $(ORACLE) ## build weir-oracle, which says what answers must be (tests/oracle)

# ---- weir-sim: a cluster in one process on simulated time, network and disk ----
# The four cores are made for programs of their own, so some of their names are the same: each is
# linked into one object that shows only its interface.
CORES := coordinator batch-worker speed-worker serving
INTERFACE_coordinator := coordinator_core_*
INTERFACE_batch-worker := batch_core_*
INTERFACE_speed-worker := speed_core_*
INTERFACE_serving := serving_core_*
define core_rule
$(BUILD)/obj/tests/sim/cores/$(1).o: $(call archive_of,$(1))
	@mkdir -p $$(@D)
	@ld -r -o $$@ --whole-archive $$<
	@objcopy --wildcard --keep-global-symbol='$(INTERFACE_$(1))' $$@
endef
$(foreach c,$(CORES),$(eval $(call core_rule,$(c))))
USES_sim-cores := training trainset skew catalog member intake batchview timeline storage block feature aggregate expr wire base
$(call archive_of,sim-cores): $(foreach c,$(CORES),$(BUILD)/obj/tests/sim/cores/$(c).o)
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

LIBRARIES += sim
DIR_sim := tests/sim
USES_sim := sim-cores trainset member intake storage oracle sim-disk feature wire base
$(eval $(call library_rule,sim))
SIM := $(BUILD)/bin/weir-sim
ALL_OBJECTS += $(call objects_of,tests/sim/main.c)
$(SIM): $(call objects_of,tests/sim/main.c) $(call archives_of,sim)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

SEEDS ?= 500
SEED_BASE ?= 0
SIM_MINUTES ?= 1
MINUTES ?= 30
SOAK_JOBS ?= 2
SIM_FLAGS ?=
.PHONY: sim sim-soak weir-sim
weir-sim: $(SIM) ## build the simulator (tests/sim)
sim: $(SIM) ## run the simulator: make sim SEEDS=500 SEED_BASE=0
	$(SIM) --seeds $(SEEDS) --seed-base $(SEED_BASE) --minutes $(SIM_MINUTES) $(SIM_FLAGS)
sim-soak: $(SIM) ## run fresh seeds for long: make sim-soak MINUTES=60 SIM_FLAGS=--all-faults
	$(SIM) --soak $(MINUTES) --jobs $(SOAK_JOBS) --minutes $(SIM_MINUTES) $(SIM_FLAGS)

# ---- mutants: a test of the tests (tests/mutants) ----
MUTANTS ?=
.PHONY: mutants
mutants: $(SIM) ## plant one bug at a time and see that a test finds it: make mutants MUTANTS="log-not-synced"
	tests/mutants/run $(MUTANTS)
