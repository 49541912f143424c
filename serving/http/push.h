/* push.h - a POST /push: rows of a stream, which a sender of the C library gets acknowledged. */
#ifndef WEIR_HTTP_PUSH_H
#define WEIR_HTTP_PUSH_H

#include "serving/http/exchange.h"
#include "serving/http/form.h"

/* name, type, required, what it is */
#define PUSH_FIELDS(X)                                                                             \
    X ("push_source_name", FORM_TEXT, true, "The stream.")                                         \
    X ("df", FORM_COLUMNS, true, "Its fields by name: lists of one length.")                       \
    X ("to", FORM_TEXT, false,                                                                     \
       "online, offline or online_and_offline: events are in both, whichever it is.")              \
    X ("allow_registry_cache", FORM_BOOL, false, "Means nothing here.")                            \
    X ("transform_on_write", FORM_BOOL, false, "Means nothing here.")

extern const form_field_t push_fields[];
extern const size_t push_fields_count;

/* The rows of a body. */
typedef struct push_rows {
    arena_t *arena; /* owns all of it */
    const char *stream;
    columns_t columns;
    weir_value_t *cells; /* row by row */
} push_rows_t;

/* NULL with what is wrong. */
push_rows_t *push_read (text_t body, const model_t *model, trouble_t *trouble);
void push_rows_destroy (push_rows_t **self_p);

typedef struct pushes pushes_t;
pushes_t *pushes_new (void);
void pushes_destroy (pushes_t **self_p);

/* An acknowledgement, or the end of a sender: of the events of senders all. */
void pushes_told (pushes_t *self, http_t *http, const weir_event_t *event);
/* Those whose rows are not all acknowledged, also where nobody waits for that any more. */
size_t pushes_count (const pushes_t *self);
/* Goes on with rows that found no room, and ends pushes whose time is over; when next, ms. */
int64_t pushes_step (pushes_t *self, http_t *http);

#endif
