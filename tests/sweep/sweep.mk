# Crashes and failures at every system call of the real programs (tests/sweep). Included by the
# Makefile. Not with sanitizers: their libraries want to be the first that are loaded.
PROGRAM ?=
KIND ?=
POINTS ?=
# make test always takes the same points; other seeds are for the desk
SWEEP_SEED ?= 1
SWEEP_OPTIONS ?=
INJECT := $(BUILD)/lib/weir-inject.so
$(INJECT): tests/sweep/inject.c tests/sweep/control.h | build/deps.ok
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) -std=gnu17 $(filter-out -Wmissing-prototypes,$(WARNINGS)) -O2 -g -fno-builtin -fPIC -shared -o $@ $< -ldl

SWEEP_RUN = tests/sweep/run --bin $(BUILD)/bin --inject $(INJECT) --seed $(SWEEP_SEED) \
	$(if $(PROGRAM),--program $(PROGRAM)) $(if $(KIND),--fault $(KIND)) $(if $(POINTS),--points $(POINTS)) $(SWEEP_OPTIONS)

.PHONY: sweep sweep-smoke
sweep: programs $(INJECT) build/test-deps.ok ## crash and fail at the Nth call, for every N (PROGRAM=coordinator KIND=disk-eio POINTS=all)
	@$(SWEEP_RUN)

SWEEP_SMOKE := disk-kill,disk-torn,disk-eio,disk-enospc,disk-short,net-kill,net-reset,memory-enomem
sweep-smoke: programs $(INJECT) build/test-deps.ok ## a few N of the faults that matter most, a minute at most (SWEEP_SEED=2: others)
	@$(SWEEP_RUN) --fault $(SWEEP_SMOKE) --points 2 --minutes 1 --quiet --jobs 6
