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
LIBRARIES += sim
DIR_sim := tests/sim
USES_sim := coordinator batch-worker speed-worker serving oracle sim-disk
$(eval $(call library_rule,sim))
SIM := $(BUILD)/bin/weir-sim
ALL_OBJECTS += $(call objects_of,tests/sim/main.c)
$(SIM): $(call objects_of,tests/sim/main.c) $(call archives_of,sim)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(LDLIBS)

SEEDS ?= 500
SEED_BASE ?= 0
SIM_MINUTES ?= 1
.PHONY: sim weir-sim
weir-sim: $(SIM) ## build the simulator (tests/sim)
sim: $(SIM) ## run the simulator: make sim SEEDS=500 SEED_BASE=0
	$(SIM) --seeds $(SEEDS) --seed-base $(SEED_BASE) --minutes $(SIM_MINUTES)
