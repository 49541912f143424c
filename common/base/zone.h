/* zone.h - named time zones, read from the system's TZif files (RFC 9636). */
#ifndef WEIR_BASE_ZONE_H
#define WEIR_BASE_ZONE_H

#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct zone zone_t;

/* Opens `name` ("America/New_York") below /usr/share/zoneinfo. Names with "..", a leading "/" or
 * other than letters, digits, "_+-/" are INVALID; an unknown one is NOT_FOUND. The file is read
 * with plain stdio: zones are opened when definitions are compiled, never on an event's path. */
MUST_CHECK status_t zone_open (const char *name, zone_t **zone, error_t *error);
void zone_destroy (zone_t **self_p);

/* As zone_open, from the bytes of a TZif file (for tests and fuzzing). */
MUST_CHECK status_t zone_read (const void *data, size_t size, zone_t **zone, error_t *error);

/* Local wall-clock µs (as if it were UTC) to UTC µs. Ambiguous: the first occurrence. Nonexistent:
 * INVALID. */
MUST_CHECK status_t zone_to_utc (const zone_t *self, int64_t local, int64_t *utc, error_t *error);

/* The first instant at which the zone's clock shows `local` (as above), or at which it jumps over
 * it. False when that is outside int64. */
bool zone_start (const zone_t *self, int64_t local, int64_t *utc);

/* Seconds east of UTC at the instant `utc` (µs). */
int32_t zone_offset (const zone_t *self, int64_t utc);

#endif
