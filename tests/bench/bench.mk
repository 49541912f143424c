# Benchmarks (docs/benchmarks.md). Load generators are C programs, bench.py runs them side by side
# with what they are compared with. Included by the Makefile, whose variables and rules it uses.
BENCH_PROGRAMS := recompute floor query ingest speed
BENCH_LIBRARIES := batch-worker timeline transport

define bench_rule
ALL_OBJECTS += $(BUILD)/obj/tests/bench/$(1).o
$(BUILD)/bench/$(1): $(BUILD)/obj/tests/bench/$(1).o $(BUILD)/obj/tests/bench/measure.o $(BUILD)/obj/tests/bench/talk.o $(call archives_of,$(BENCH_LIBRARIES))
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$(CC) $(LDFLAGS) -o $$@ $$^ $(LDLIBS)
endef
$(foreach b,$(BENCH_PROGRAMS),$(eval $(call bench_rule,$(b))))
ALL_OBJECTS += $(BUILD)/obj/tests/bench/measure.o $(BUILD)/obj/tests/bench/talk.o

.PHONY: bench bench-smoke bench-programs
bench-programs: $(addprefix $(BUILD)/bench/,$(BENCH_PROGRAMS))

bench: bench-programs programs ## figures against floors measured in the same run (4 minutes; tests/bench)
	@tests/bench/bench.py --build $(BUILD)

bench-smoke: bench-programs programs ## the same on tiny sizes, to show that it runs
	@tests/bench/bench.py --build $(BUILD) --smoke
