/* mistakes.h - collects what is wrong with files, to be told all at once. */
#ifndef WEIR_FEATURE_MISTAKES_H
#define WEIR_FEATURE_MISTAKES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

enum {
    MISTAKES_MAX = 20,           /* told; the rest are counted */
    MISTAKE_TEXT_MAX = 1024,     /* bytes; longer ones are cut */
    MISTAKE_SHOWN_MAX = 60,      /* bytes of a user's text that a message repeats */
    MISTAKES_TEXT_MAX = 1 << 16, /* bytes of all of them */
};

/* Where in a file, counted from 1; columns are characters. */
typedef struct place {
    const char *file;
    uint32_t order; /* of the file among those read together */
    uint32_t line;
    uint32_t column;
} place_t;

typedef struct mistake {
    place_t place;
    const char *text;
} mistake_t;

typedef struct mistakes {
    arena_t *arena;
    mistake_t list[MISTAKES_MAX];
    size_t count;
    size_t total;
    size_t unsupported; /* of the total */
    size_t unchecked;   /* views that others' mistakes kept from being read; told last */
    size_t unserved;    /* services that mistakes in their views kept from being read; likewise */
    size_t underived; /* views whose own mistakes kept what is derived from being read; likewise */
} mistakes_t;

/* Texts live in `arena`. */
void mistakes_init (mistakes_t *self, arena_t *arena);

/* Adds "what; suggestion". `status` is UNSUPPORTED or INVALID. Control characters become blanks. */
void mistakes_add (mistakes_t *self, place_t place, status_t status, const char *format, ...)
    PRINTF_LIKE (4, 5);

/* OK when there are none. Otherwise UNSUPPORTED when all are, else INVALID; one line each,
 * "file:line:column: text", in the order of files and lines, is appended to `lines` (may be NULL)
 * and, as far as they fit, to `error`. */
MUST_CHECK status_t mistakes_finish (mistakes_t *self, buf_t *lines, error_t *error);

/* The beginning of a user's text that a message may repeat: one line, not too long. Borrowed. */
text_t mistake_shown (text_t text);

#endif
