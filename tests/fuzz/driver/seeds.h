/* seeds.h - small good samples for every fuzz entry point; a program of its own. */
#ifndef WEIR_TESTS_FUZZ_SEEDS_H
#define WEIR_TESTS_FUZZ_SEEDS_H

#include "base/buf.h"

/* Writes a sample of entry point `name`; they are numbered. Ends the program when it cannot. */
void seed_write (const char *name, const void *data, size_t size);

void seeds_of_storage (void); /* block, run, log, dedupe, batchview */
void seeds_of_states (void);  /* partial, answer, payload */
void seeds_of_texts (void);   /* definition, expr, csv, ndjson, http */
void seeds_of_wire (void);
void seeds_of_samples (void); /* sample */

#endif
