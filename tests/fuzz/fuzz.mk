# Fuzz entry points: tests/fuzz/NAME.c, one for each decoder of bytes from outside, and one for the cores,
# whose messages are changed on their way (tests/fuzz/town). `make fuzz TARGET=wire MINUTES=10` fuzzes with
# coverage, for which it needs clang and its libFuzzer; `make fuzz-smoke` runs the corpora and seeded
# mutations of them in every other variant.
FUZZERS := $(basename $(notdir $(wildcard tests/fuzz/*.c)))
FUZZ_LIBRARIES := http skew intake batchview timeline storage block feature aggregate expr wire sim-disk base
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
ALL_OBJECTS += $(3)
$(BUILD)/fuzz/$(1): $(BUILD)/obj/tests/fuzz/$(1).o $(3) $(FUZZ_DRIVER) $(call archives_of,$(2))
	@mkdir -p $$(@D)
	@$(CC) $(LDFLAGS) $(FUZZ_LINK) -o $$@ $$^ $(LDLIBS)
fuzz-$(1): $(BUILD)/fuzz/$(1)
	@mkdir -p tests/fuzz/corpus/$(1)
	$$< -max_total_time=$(FUZZ_SECONDS) -max_len=65536 tests/fuzz/corpus/$(1)
endef
# The cores are whole programs' worth of code: they have libraries of their own, and fewer mutations.
FUZZERS_CORES := cores
FUZZ_LIBRARIES_CORES := sim-cores rig sim-disk
$(foreach f,$(filter-out $(FUZZERS_CORES),$(FUZZERS)),$(eval $(call fuzz_rule,$(f),$(FUZZ_LIBRARIES))))
$(foreach f,$(FUZZERS_CORES),$(eval $(call fuzz_rule,$(f),$(FUZZ_LIBRARIES_CORES),$(call objects_of,$(wildcard tests/fuzz/town/*.c)))))
ALL_OBJECTS += $(FUZZ_DRIVER)

TARGET ?=
.PHONY: fuzz fuzz-smoke
fuzz: ## fuzz with coverage, with clang (TARGET=wire MINUTES=10)
	@[ -n "$(filter $(FUZZERS),$(TARGET))" ] || { echo "make fuzz: TARGET is one of: $(FUZZERS)"; exit 1; }
	@echo 'int LLVMFuzzerTestOneInput (void) { return 0; }' | clang -x c -fsanitize=fuzzer - -o /dev/null 2> /dev/null || \
		{ echo "make fuzz: this needs clang with libFuzzer (apt install clang libclang-rt-14-dev)"; exit 1; }
	@$(MAKE) VARIANT=fuzz CC=clang fuzz-$(TARGET) FUZZ_SECONDS=$$(($(MINUTES) * 60))

# Of the cores each input runs a whole town: fewer of them.
FUZZ_SMOKES := $(FUZZERS:%=fuzz-smoke-%)
$(FUZZERS_CORES:%=fuzz-smoke-%): FUZZ_LESS := / 100
.PHONY: $(FUZZ_SMOKES)
$(FUZZ_SMOKES): fuzz-smoke-%: $(BUILD)/fuzz/%
	@$< tests/fuzz/corpus/$* $$(($(FUZZ_MUTATIONS) $(FUZZ_LESS))) $(FUZZ_SEED)
fuzz-smoke: $(FUZZ_SMOKES) ## every fuzz entry point over its corpus and seeded mutations

# The samples that are kept in tests/fuzz/corpus: good ones of everything, written anew.
FUZZ_SEEDS_OBJECTS := $(call objects_of,$(wildcard tests/fuzz/driver/seeds*.c))
ALL_OBJECTS += $(FUZZ_SEEDS_OBJECTS)
$(BUILD)/fuzz/seeds: $(FUZZ_SEEDS_OBJECTS) $(call archives_of,$(FUZZ_LIBRARIES))
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
fuzz-seeds: $(BUILD)/fuzz/seeds ## write good samples of every format to tests/fuzz/corpus
	$< tests/fuzz/corpus
