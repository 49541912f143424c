/* skew_view.h - a report of `weir skew`, for people. */
#ifndef WEIR_CLI_SKEW_VIEW_H
#define WEIR_CLI_SKEW_VIEW_H

#include "base/status.h"
#include "base/text.h"

/* Prints a report (docs/skew.md), as it is or for people, and says how many mismatches it has.
 * CORRUPT when it is none. */
MUST_CHECK status_t skew_show (text_t report, bool json, uint64_t *mismatches, error_t *error);

#endif
