/* town.h - one of each core in one process, on a disk in memory, with a client who goes through
 * what clients do: so that messages can be changed on their way in the middle of real
 * conversations. */
#ifndef WEIR_TESTS_FUZZ_TOWN_H
#define WEIR_TESTS_FUZZ_TOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is done to one message: four bytes of the input. */
typedef struct town_edit {
    uint16_t message; /* the so many-th that is delivered */
    uint8_t
        value;   /* which of its values, those in maps and lists counted, over again from the end */
    uint8_t how; /* low 5 bits: another value, see edit.c; high 3: the way it goes, see town.c */
} town_edit_t;

/* Runs the town from its start until the client has asked for everything and all was answered, or
 * nothing came for long enough. Whatever the edits, no core may fail. Says how many messages there
 * were. */
size_t town_run (const town_edit_t *edits, size_t count, bool loud);

/* The message with one value replaced, in memory that the caller frees; `size` is made the new one.
 * Its kind, id and frame stay. NULL when it cannot be decoded. */
uint8_t *edit_message (const uint8_t *data, size_t *size, uint8_t value, uint8_t how);

#endif
