# weir - GNU make, non-recursive. `make help` prints the targets.
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec

VARIANT ?= release
VARIANTS := debug release asan tsan coverage fuzz
ifeq ($(filter $(VARIANT),$(VARIANTS)),)
$(error VARIANT=$(VARIANT): choose one of $(VARIANTS))
endif
BUILD := build/$(VARIANT)

# ---- what Debian packages provide: installed by `make deps`, which everything that compiles waits for ----
PACKAGES := gcc libc6-dev binutils tzdata libzmq3-dev libczmq-dev libmsgpack-dev \
            liblz4-dev libzstd-dev libsqlite3-dev libyaml-dev libjansson-dev libcsv-dev libxxhash-dev \
            libsodium-dev libgmp-dev libmpfr-dev libmicrohttpd-dev
PACKAGES_TEST := libcriterion-dev clang-format g++ pkgconf python3 python3-zmq python3-msgpack \
                 python3-yaml python3-sklearn procps git iproute2 openssl

# ---- the house: each library and what it may use (checked by tests/checks/layering) ----
LIBRARIES := base expr aggregate feature block timeline storage batchview catalog fsck backup wire transport member \
             skew intake trainset node coordinator training batch-worker speed-worker serving client api http command oracle sim-disk rig hdr

USES_base :=
USES_expr := base
USES_aggregate := base
USES_feature := expr aggregate base
USES_block := base
# Samples of answers, and how values of two samples are spread.
USES_skew := block aggregate base
USES_timeline := feature aggregate base
USES_storage := block base
USES_batchview := feature aggregate storage base
USES_catalog := base
USES_fsck := catalog batchview storage block base
USES_backup := fsck catalog storage base
USES_wire := base
USES_intake := storage block wire feature base
USES_transport := wire base
# Training sets between those who ask for them and those who compute them: rows, and what they come to.
USES_trainset := storage block feature aggregate base
USES_node := transport feature storage wire base
USES_member := feature wire base
# The programs' pure cores are libraries too, so that the simulator can link them all.
USES_coordinator := catalog intake feature wire storage base
# Point-in-time features, which batch workers compute.
USES_training := storage block feature aggregate base
USES_batch-worker := skew training trainset member intake batchview storage block timeline feature aggregate wire base
USES_speed-worker := member intake timeline storage block feature aggregate wire base
USES_serving := skew member intake batchview timeline storage block feature aggregate expr wire base
USES_client := transport wire intake feature base
# What of the C library is not in `client`: handles, and the checking of arguments.
USES_api := client transport wire intake feature base
# HTTP on a serving node: a thread of its own that asks as a client does.
USES_http := api client member intake feature wire base
# The `weir` command but for its main.c, so that its parts can be tested.
USES_command := client trainset transport backup fsck storage wire intake batchview timeline feature aggregate expr base
USES_oracle := base
USES_sim-disk := base
USES_rig := member transport feature wire oracle base
# How long things took, in benchmarks.
USES_hdr := base

DIR_coordinator := coordinator
DIR_batch-worker := batch-worker
DIR_training := batch-worker/training
DIR_speed-worker := speed-worker
DIR_serving := serving
DIR_client := client/lib
DIR_api := client/api
DIR_http := serving/http
DIR_command := client/cli
DIR_oracle := tests/oracle
DIR_sim-disk := tests/sim/disk
DIR_rig := tests/rig
DIR_hdr := tests/bench/hdr
dir_of = $(or $(DIR_$(1)),common/$(1))

# everything that a library needs, itself first, each once
uses_all = $(1) $(foreach u,$(USES_$(1)),$(call uses_all,$(u)))
# (at its last place, so that an archive comes before those it uses)
closure = $(shell printf '%s\n' $(foreach l,$(1),$(call uses_all,$(l))) | tac | awk '!s[$$0]++' | tac)

# ---- programs: name, directory with main.c, libraries ----
PROGRAMS := weir-coordinator weir-batch-worker weir-speed-worker weir-serving weir
MAIN_weir-coordinator := coordinator/main.c
MAIN_weir-batch-worker := batch-worker/main.c
MAIN_weir-speed-worker := speed-worker/main.c
MAIN_weir-serving := serving/main.c
MAIN_weir := client/cli/main.c
LINK_weir-coordinator := coordinator node
LINK_weir-batch-worker := batch-worker node
LINK_weir-speed-worker := speed-worker node
LINK_weir-serving := serving http node
LINK_weir := command
# what a program or a library's tests need beside LDLIBS
LDLIBS_weir-serving := -lmicrohttpd
LDLIBS_http := -lmicrohttpd

# ---- compiler ----
CC := gcc
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wpointer-arith -Wcast-qual -Wwrite-strings -Werror
CFLAGS_debug := -O0 -g3
CFLAGS_release := -O2 -g
# (sanitizers tell functions and lines: more than -g1 would only be compiled and linked; EXTRA_CFLAGS=-g3 for a debugger)
CFLAGS_asan := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g1 -fsanitize=thread -fno-omit-frame-pointer
CFLAGS_coverage := -O0 -g3 --coverage
CFLAGS_fuzz := -O1 -g3 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ifeq ($(VARIANT),fuzz)
CC := clang
WARNINGS += -Wno-unknown-warning-option -Wno-sign-conversion -Wno-implicit-int-float-conversion
endif
CFLAGS := -std=gnu17 $(WARNINGS) $(CFLAGS_$(VARIANT)) -ffp-contract=off -fno-strict-aliasing \
          -pthread -D_GNU_SOURCE -DXXH_INLINE_ALL -MMD -MP -iquote common -iquote . $(EXTRA_CFLAGS)
LDFLAGS := $(filter -fsanitize% --coverage -g%,$(CFLAGS_$(VARIANT))) -pthread
LDLIBS := -lczmq -lzmq -lmsgpackc -llz4 -lzstd -lsqlite3 -lyaml -ljansson -lcsv -lsodium -lmpfr -lgmp -lm

# ---- sources and objects ----
sources_of = $(filter-out %/main.c,$(wildcard $(call dir_of,$(1))/*.c))
objects_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
archive_of = $(BUILD)/lib/lib$(1).a
archives_of = $(foreach l,$(call closure,$(1)),$(call archive_of,$(l)))

ALL_OBJECTS :=
define library_rule
ALL_OBJECTS += $(call objects_of,$(call sources_of,$(1)))
$(call archive_of,$(1)): $(call objects_of,$(call sources_of,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach l,$(LIBRARIES),$(eval $(call library_rule,$(l))))

define program_rule
ALL_OBJECTS += $(call objects_of,$(MAIN_$(1)))
$(BUILD)/bin/$(1): $(call objects_of,$(MAIN_$(1))) $(call archives_of,$(LINK_$(1)))
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$(CC) $(LDFLAGS) -o $$@ $$^ $(LDLIBS) $(LDLIBS_$(1))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

$(BUILD)/obj/%.o: %.c | build/deps.ok
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(CFLAGS) -c -o $@ $<

-include client/client.mk
-include client/python/python.mk

TEST_SEEDS ?= 100

# ---- unit tests: tests/unit/<library>/*.c is one criterion program per library ----
# Under sanitizers tests/runner stands in for Criterion, which cannot start with ThreadSanitizer and
# has leaks of its own, now and then, that AddressSanitizer would fail a test for.
TEST_RUNNER :=
ifneq ($(filter asan tsan,$(VARIANT)),)
TEST_RUNNER := tests/runner/main.c
ALL_OBJECTS += $(call objects_of,$(TEST_RUNNER))
$(BUILD)/obj/tests/%.o: CFLAGS += -Itests/runner
export TSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/runner/tsan.supp
endif
UNIT_TESTS := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard tests/unit/*/*.c)))))
define unit_rule
ALL_OBJECTS += $(call objects_of,$(wildcard tests/unit/$(1)/*.c))
# they include criterion (a pattern without a recipe would add no prerequisite)
$(call objects_of,$(wildcard tests/unit/$(1)/*.c) $(TEST_SOURCES_$(1))): | build/test-deps.ok
$(BUILD)/tests/unit-$(1): $(call objects_of,$(wildcard tests/unit/$(1)/*.c) $(TEST_SOURCES_$(1)) $(TEST_RUNNER)) $(call archives_of,$(1) oracle $(TEST_USES_$(1)))
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$(CC) $(LDFLAGS) -o $$@ $$^ $(if $(TEST_RUNNER),,-lcriterion) $(LDLIBS) $(LDLIBS_$(1))
endef
# what a unit test needs beside its own sources and the library that it tests
TEST_SOURCES_feature := tests/unit/expr/abnf.c tests/unit/expr/page.c
TEST_USES_hdr := rig
TEST_SOURCES_training := tests/unit/feature/generate.c
TEST_USES_training := rig
TEST_USES_storage := sim-disk rig
TEST_USES_transport := rig
TEST_USES_node := rig
TEST_USES_client := rig
TEST_USES_api := rig
TEST_USES_http := rig
TEST_USES_command := rig
TEST_USES_catalog := sim-disk
TEST_USES_fsck := sim-disk
TEST_USES_backup := sim-disk
TEST_SOURCES_backup := tests/unit/fsck/stored.c tests/unit/fsck/stored_files.c
TEST_USES_skew := sim-disk rig
TEST_USES_batchview := timeline
TEST_USES_member := rig
TEST_USES_speed-worker := rig sim-disk
TEST_USES_serving := rig sim-disk
TEST_USES_batch-worker := sim-disk rig
TEST_USES_coordinator := rig sim-disk

-include tests/tests.mk
-include tests/fuzz/fuzz.mk
-include tests/scenario/scenario.mk
-include tests/sweep/sweep.mk
-include tests/feast/feast.mk
-include tests/bench/bench.mk
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t))))

.PHONY: all programs test demo fraud check deps test-deps docs-aggregates test-unit clean help compile_commands.json FORCE
programs: $(addprefix $(BUILD)/bin/,$(PROGRAMS)) ## build the five programs

all: programs library ## build everything users run

unit-%: $(BUILD)/tests/unit-% ## build and run one library's unit tests (make unit-base)
	$<

docs-aggregates: $(BUILD)/tests/unit-aggregate ## write the tables of docs/aggregates.md from aggregate.h
	@WRITE_DOCS=1 $< --quiet --filter 'documentation/has_the_tables_of_the_source'

test-unit: $(addprefix $(BUILD)/tests/unit-,$(UNIT_TESTS)) ## every unit and property test
	@for t in $^; do echo "  TEST $$t"; $$t --quiet || exit 1; done

test: ## everything a change must pass: checks, unit and property tests, simulator, scenarios, a few crash points, tiny benches
	@$(MAKE) programs check test-unit
	@$(MAKE) sim scenario SEEDS=$(TEST_SEEDS)
	@$(MAKE) sweep-smoke
	@$(MAKE) bench-smoke bench-online-smoke bench-batch-smoke

demo: programs ## a cluster on this machine: a million events, live ones, one user's features, a killed node
	@examples/demo/run $(BUILD)/bin $(BUILD)/demo $(DEMO_EVENTS)

fraud: programs ## raw payments to a model that scores live ones, with equal rows in training and serving (examples/fraud)
	@tests/checks/packages python3-sklearn python3-zmq python3-msgpack python3-yaml
	@examples/fraud/run $(BUILD)/bin $(BUILD)/fraud

# The simulator takes each core as one object, and may use everything.
CHECKED = $(filter-out sim,$(LIBRARIES))
check: $(foreach l,$(CHECKED),$(call archive_of,$(l))) build/test-deps.ok ## layering, headers, banned calls, formatting
	@printf '%s\n' $(foreach l,$(CHECKED),'$(l) $(call dir_of,$(l)) $(USES_$(l))') | tests/checks/layering $(BUILD)
	@for c in headers banned format size mutants limits criterion; do tests/checks/$$c || { echo "check $$c failed"; exit 1; }; done
	@echo "  checks passed"

deps: build/deps.ok ## install the Debian packages that are missing
build/deps.ok: Makefile
	@tests/checks/packages $(PACKAGES)
	@mkdir -p build && touch $@

test-deps: build/test-deps.ok ## the same for what the tests need beside
build/test-deps.ok: Makefile | build/deps.ok
	@tests/checks/packages $(PACKAGES_TEST)
	@mkdir -p build && touch $@

clean: ## remove everything that was built
	rm -rf build compile_commands.json

help: ## this list
	@awk -F':.*## ' '/^[a-zA-Z_%.-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  VARIANT=debug|release|asan|tsan|coverage|fuzz chooses the build (default release)"

-include $(ALL_OBJECTS:.o=.d)
