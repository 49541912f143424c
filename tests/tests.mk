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
