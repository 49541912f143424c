/* peek.h - what a coordinator's memory holds, for what no message says. */
#ifndef WEIR_SIM_PEEK_H
#define WEIR_SIM_PEEK_H

#include <stdbool.h>
#include <stdint.h>

/* Has every partition of the log's current manifest files of that version of the view, one in each
 * of its layers? So it is of a log without a manifest. `core` is a coordinator's. */
bool peek_has_view (const void *core, const char *log, const char *view, uint32_t version);

#endif
