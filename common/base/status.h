/* status.h - what a call can answer, and the message that goes with it.
 *
 * What a user, a peer, the disk or the network can cause is a status; what only a bug can cause is
 * an assert (check.h). A function that can fail takes an `error_t *error` last (never NULL unless
 * its comment says so) and fills it before it returns anything but STATUS_OK. Each layer may put
 * what it was doing in front with error_prefix. */
#ifndef WEIR_BASE_STATUS_H
#define WEIR_BASE_STATUS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* glibc's errno.h has an `error_t` of its own, an int that nothing here uses. Taking the name after
 * that header was read works in any order of includes. */
#define error_t status_error_t

/* name, word that goes over the wire and into --json */
#define STATUS_TABLE(X)                                                                            \
    X (OK, "ok")                                                                                   \
    X (INVALID, "invalid")         /* input breaks a rule; trying again will not help */           \
    X (NOT_FOUND, "not-found")     /* the thing named does not exist */                            \
    X (EXISTS, "exists")           /* it is there already */                                       \
    X (CORRUPT, "corrupt")         /* stored or received bytes fail a check */                     \
    X (VERSION, "version")         /* another version of a format or protocol */                   \
    X (TOO_LARGE, "too-large")     /* over a stated limit */                                       \
    X (RANGE, "range")             /* a number outside what its type can hold */                   \
    X (IO, "io")                   /* the disk or network failed */                                \
    X (NO_SPACE, "no-space")       /* the disk is full */                                          \
    X (BUSY, "busy")               /* back-pressure: try again later */                            \
    X (STALE, "stale")             /* the asker's picture is old: refresh it and ask again */      \
    X (FENCED, "fenced")           /* the lease is not ours (any more) */                          \
    X (TIMEOUT, "timeout")         /* a deadline passed */                                         \
    X (UNAVAILABLE, "unavailable") /* nobody can answer just now */                                \
    X (CANCELLED, "cancelled")     /* stopped on request */                                        \
    X (UNSUPPORTED, "unsupported") /* known, but not done by this version */                       \
    X (DENIED, "denied")           /* whoever asks may not: no such key, or not of that role */    \
    X (END, "end")                 /* an iterator is exhausted; not an error */

typedef enum status {
#define X(name, word) STATUS_##name,
    STATUS_TABLE (X)
#undef X
        STATUS_COUNT
} status_t;

#define MUST_CHECK                     __attribute__ ((warn_unused_result))
#define PRINTF_LIKE(text_at, first_at) __attribute__ ((format (printf, text_at, first_at)))

enum { ERROR_TEXT_MAX = 1024 }; /* bytes, with the final NUL; longer messages are cut */

typedef struct error {
    status_t status;
    uint32_t retry_ms; /* of BUSY and NO_SPACE: ask again after so long; 0: it is not known */
    char text[ERROR_TEXT_MAX];
} error_t;

/* The word of `status` (static storage). */
const char *status_word (status_t status);

/* The status whose word is `word`, or STATUS_INVALID when there is none. */
status_t status_from_word (const char *word);

/* Makes `error` say nothing (STATUS_OK, empty text). */
void error_clear (error_t *error);

/* Fills `error` (which may be NULL) and returns `status`, so that callers can return the call. */
status_t error_set (error_t *error, status_t status, const char *format, ...) PRINTF_LIKE (3, 4);

/* The same for one that passes: who is told waits `retry_ms` before it asks again. */
status_t error_set_retry (error_t *error, status_t status, uint32_t retry_ms, const char *format,
                          ...) PRINTF_LIKE (4, 5);

/* Puts formatted text and ": " before the message and returns the error's status. */
status_t error_prefix (error_t *error, const char *format, ...) PRINTF_LIKE (2, 3);

/* Fills `error` from errno value `code`: ENOSPC and EDQUOT give NO_SPACE, ENOENT NOT_FOUND, EEXIST
 * EXISTS, all else IO. The message is the formatted text, ": " and strerror. */
status_t error_set_errno (error_t *error, int code, const char *format, ...) PRINTF_LIKE (3, 4);

#endif
