/* terminal.h - what is for people: progress, questions, tables, sizes. */
#ifndef WEIR_CLI_TERMINAL_H
#define WEIR_CLI_TERMINAL_H

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"

/* Shows one line on stderr in place of the one before, if stderr is a terminal, the work has gone
 * on for a second, and the line shown is not too fresh. */
void progress (const char *format, ...) PRINTF_LIKE (1, 2);
/* From now on progress goes to what is no terminal too, as a line now and then. */
void progress_in_lines (void);
/* Shows how much is done, and of what file, as whoever works on files tells it. */
void progress_bytes (void *unused, const char *path, uint64_t done, uint64_t total);
/* Removes the line, so that something else can be printed; the next piece of work begins. */
void progress_end (void);

/* Asks on the terminal; only "y" and "yes" are true. False without asking when stdin or stderr is
 * no terminal: *asked tells. */
bool ask_yes (const char *question, bool *asked);

/* The bytes, on stdout. */
void print_buf (const buf_t *text);

/* CLOCK_MONOTONIC, ms. */
int64_t monotonic_ms (void);
/* The wall clock, µs. */
int64_t clock_us (void);

/* Waits; earlier when a signal came. */
void wait_ms (int ms);

/* Appends "12.3 MB", "1.2 M". */
void format_bytes (buf_t *out, uint64_t bytes);
void format_count (buf_t *out, double count);
/* Appends "3 s", "2 min 5 s", "1 h 20 min". */
void format_seconds (buf_t *out, uint64_t seconds);
/* What a noun ends with after a number: "s", but for one nothing. */
const char *plural (uint64_t count);

/* On SIGINT, SIGTERM and SIGHUP: the file at `path`, if any, is removed and the program ends with
 * status 130. The path is copied; NULL or "" only ends it. */
void interrupt_removes (const char *path);

/* On the first of these signals, only interrupt_came becomes true; the next ends the program. */
void interrupt_waits (void);
bool interrupt_came (void);

/* A table of texts with aligned columns. */
typedef struct table table_t;

/* Columns named in `heads`, ended by NULL; a name that begins with ">" is aligned to the right. */
table_t *table_new (const char *const *heads);
void table_destroy (table_t **self_p);
void table_add (table_t *self, text_t cell); /* the next cell, copied */
void table_addf (table_t *self, const char *format, ...) PRINTF_LIKE (2, 3);
/* Appends heads and rows, two blanks between columns. Without rows, nothing. */
void table_format (const table_t *self, buf_t *out);
/* Prints it on stdout. */
void table_print (const table_t *self);

#endif
