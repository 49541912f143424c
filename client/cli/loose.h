/* loose.h - fields of maps whose shape the protocol leaves open, as the nodes and logs of `status`:
 * what is not there, or of another type, is nothing. */
#ifndef WEIR_CLI_LOOSE_H
#define WEIR_CLI_LOOSE_H

#include "wire/wire.h"

/* NULL when there is none. */
const wire_value_t *loose_any (const wire_value_t *map, const char *name);
/* Empty when it is no text; borrowed. */
text_t loose_text (const wire_value_t *map, const char *name);
/* 0 when it is no unsigned integer. */
uint64_t loose_uint (const wire_value_t *map, const char *name);
/* Of no items when it is no list. */
wire_list_t loose_list (const wire_value_t *map, const char *name);

#endif
