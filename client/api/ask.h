/* ask.h - what weir's own programs ask through a handle beside queries: something of one node that
 * takes no arguments, as definitions and metrics. Not of the library's users. */
#ifndef WEIR_API_ASK_H
#define WEIR_API_ASK_H

#include "client/include/weir.h"
#include "client/lib/client.h"

/* What came of it: `reply` of the kind that answers, valid until this returns, or NULL and `error`.
 * Called from weir_poll, and from nothing else; it may ask again. */
typedef void ask_done_fn (void *arg, const message_t *reply, const error_t *error);

/* Asks a node of the role `kind`, without a body, and does not wait: `done` is told within
 * `timeout_ms`, or never when the handle is closed before. Who does not answer, or stands by, is
 * passed over for the next. */
void api_ask (weir_t *weir, client_role_t role, message_kind_t kind, int timeout_ms,
              ask_done_fn *done, void *arg);

/* From now on the serving node at this endpoint is the only one that is asked. Before the first
 * call that sends. */
void api_ask_only (weir_t *weir, const char *serving);

#endif
