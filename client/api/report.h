/* report.h - what came of a sender's rows: of one batch, and of all. */
#ifndef WEIR_API_REPORT_H
#define WEIR_API_REPORT_H

#include "client/api/state.h"

/* An acknowledgement as it is told, all of it in `arena`. */
weir_ack_t *ack_new (const client_acknowledged_t *what, arena_t *arena);

typedef struct report report_t;

report_t *report_new (void);
void report_destroy (report_t **self_p);

void report_put (report_t *self); /* one more row was */
void report_add (report_t *self, const client_acknowledged_t *what);
/* Borrowed until the next call with the report. */
const weir_report_t *report_tell (report_t *self);

#endif
