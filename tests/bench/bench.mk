# Benchmarks (docs/benchmarks.md). Load generators are C programs, bench.py runs them side by side
# with what they are compared with. Included by the Makefile, whose variables and rules it uses.
BENCH_PROGRAMS := recompute floor query mixed stored ingest speed answers events batch load deltas training
BENCH_LIBRARIES := training batch-worker timeline client transport hdr
BENCH_SHARED := measure talk orders columnfile redis side arrivals producer stream

define bench_rule
ALL_OBJECTS += $(BUILD)/obj/tests/bench/$(1).o
$(BUILD)/bench/$(1): $(BUILD)/obj/tests/bench/$(1).o $(BENCH_SHARED:%=$(BUILD)/obj/tests/bench/%.o) $(call archives_of,$(BENCH_LIBRARIES))
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$(CC) $(LDFLAGS) -o $$@ $$^ $(LDLIBS)
endef
$(foreach b,$(BENCH_PROGRAMS),$(eval $(call bench_rule,$(b))))
ALL_OBJECTS += $(BENCH_SHARED:%=$(BUILD)/obj/tests/bench/%.o)

.PHONY: bench bench-smoke bench-soak bench-programs
MINUTES ?= 10
bench-programs: $(addprefix $(BUILD)/bench/,$(BENCH_PROGRAMS))

bench: bench-programs ## what one thread does in process: a batch worker's build, an event through a view (a minute)
	@tests/bench/bench.py --build $(BUILD)

bench-smoke: bench-programs programs ## the same on tiny sizes, and a short soak, to show that they run
	@tests/bench/bench.py --build $(BUILD) --smoke
	@tests/bench/bench.py --build $(BUILD) --smoke --only soak

# Redis is a peer here, and started by the benchmark itself.
PACKAGES_ONLINE := redis-server
.PHONY: bench-online bench-online-smoke bench-online-deps
bench-online-deps:
	@tests/checks/packages $(PACKAGES_ONLINE)

bench-online: bench-programs programs bench-online-deps ## ingest and queries beside ZeroMQ, the disk and Redis (8 minutes; BENCH_ONLINE='--only query')
	@tests/bench/online.py --build $(BUILD) $(BENCH_ONLINE)

bench-online-smoke: bench-programs programs bench-online-deps ## a tiny one of all of it
	@tests/bench/online.py --build $(BUILD) --out $(BUILD)/bench-online-smoke --smoke

bench-soak: bench-programs programs ## a stream at full rate for MINUTES=10: does what no batch view covers stay flat, and memory?
	@tests/bench/bench.py --build $(BUILD) --only soak --minutes $(MINUTES)

# The batch layer beside DuckDB, polars and pandas, which are Python packages of an environment of
# their own. BENCH_BATCH has more options: tests/bench/batch.py --help.
BENCH_VENV := build/bench-venv
$(BENCH_VENV)/ok: tests/bench/requirements.txt
	@tests/checks/packages python3-venv
	@python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(BUILD)/bench/nosync.so: tests/bench/nosync.c | build/deps.ok
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) -O2 -Wall -Wextra -D_GNU_SOURCE -shared -fPIC -o $@ $<

.PHONY: bench-batch bench-batch-smoke
bench-batch: bench-programs $(BUILD)/bench/nosync.so $(BENCH_VENV)/ok ## the batch layer beside DuckDB on the same events (BENCH_BATCH='--only bar'; --full: 100 M events)
	@$(BENCH_VENV)/bin/python3 tests/bench/batch.py --build $(BUILD) $(BENCH_BATCH)

bench-batch-smoke: bench-programs ## a tiny one of weir alone, against exact arithmetic
	@tests/bench/batch.py --build $(BUILD) --out $(BUILD)/bench-batch-smoke --smoke
