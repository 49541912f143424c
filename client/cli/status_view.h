/* status_view.h - the tables of `status`. */
#ifndef WEIR_CLI_STATUS_VIEW_H
#define WEIR_CLI_STATUS_VIEW_H

#include "client/cli/command.h"

/* All take the body of a reply to `status`. */
void print_nodes (const wire_value_t *body);
void print_disk (const wire_value_t *body); /* and an empty line */
void print_partitions (const wire_value_t *body);
/* Files of datasets that serving nodes found damaged; nothing when there are none. */
void print_damaged (const wire_value_t *body);
/* Partitions that cannot be built, and views that have no file, with why; nothing when there are
 * none. */
void print_stuck (const wire_value_t *body);
/* Versions that are not complete yet, or that wait to be fitted. */
void print_building (const wire_value_t *body);
/* Layers that are folded while recomputes go on. */
void print_folds (const wire_value_t *body);

/* Appends the first partition that has failed, and why; nothing when none has. */
void put_failed_partition (buf_t *out, const wire_value_t *body);

/* Nodes whose lease is good, the coordinators among them. */
uint32_t count_alive (const wire_value_t *body);

/* What the latest looks at answers found (docs/skew.md). */
void print_skew (const wire_value_t *body);

#endif
