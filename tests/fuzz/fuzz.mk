# Fuzz entry points: tests/fuzz/NAME.c, one for each decoder of bytes from outside. With clang and
# libclang-rt installed, `make VARIANT=fuzz fuzz-NAME` fuzzes with coverage; in every other variant
# `make fuzz-smoke` runs the corpora and seeded mutations of them.
FUZZERS := $(basename $(notdir $(wildcard tests/fuzz/*.c)))
FUZZ_LIBRARIES := intake batchview timeline storage block feature aggregate expr wire sim-disk base
FUZZ_MUTATIONS ?= 20000
FUZZ_SEED ?= 1
FUZZ_SECONDS ?= 60

ifeq ($(VARIANT),fuzz)
FUZZ_LINK := -fsanitize=fuzzer,address,undefined
FUZZ_DRIVER :=
else
FUZZ_LINK :=
FUZZ_DRIVER := $(BUILD)/obj/tests/fuzz/driver/replay.o
endif

define fuzz_rule
ALL_OBJECTS += $(BUILD)/obj/tests/fuzz/$(1).o
$(BUILD)/fuzz/$(1): $(BUILD)/obj/tests/fuzz/$(1).o $(FUZZ_DRIVER) $(call archives_of,$(FUZZ_LIBRARIES))
	@mkdir -p $$(@D)
	@$(CC) $(LDFLAGS) $(FUZZ_LINK) -o $$@ $$^ $(LDLIBS)
fuzz-$(1): $(BUILD)/fuzz/$(1)
	@mkdir -p tests/fuzz/corpus/$(1)
	$$< -max_total_time=$(FUZZ_SECONDS) -max_len=65536 tests/fuzz/corpus/$(1)
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzz_rule,$(f))))
ALL_OBJECTS += $(FUZZ_DRIVER)

fuzz-smoke: $(addprefix $(BUILD)/fuzz/,$(FUZZERS)) ## every fuzz entry point over its corpus and seeded mutations
	@for f in $(FUZZERS); do $(BUILD)/fuzz/$$f tests/fuzz/corpus/$$f $(FUZZ_MUTATIONS) $(FUZZ_SEED) || exit 1; done

# The samples that are kept in tests/fuzz/corpus: good ones of everything, written anew.
FUZZ_SEEDS_OBJECTS := $(call objects_of,$(wildcard tests/fuzz/driver/seeds*.c))
ALL_OBJECTS += $(FUZZ_SEEDS_OBJECTS)
$(BUILD)/fuzz/seeds: $(FUZZ_SEEDS_OBJECTS) $(call archives_of,$(FUZZ_LIBRARIES))
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
fuzz-seeds: $(BUILD)/fuzz/seeds ## write good samples of every format to tests/fuzz/corpus
	$< tests/fuzz/corpus
