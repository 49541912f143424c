/* state.h - handles of the C library from inside (client/include/weir.h).
 *
 * What comes in through the library is checked here: below it, wrong arguments are bugs. */
#ifndef WEIR_API_STATE_H
#define WEIR_API_STATE_H

#include "client/include/weir.h"
#include "client/lib/gets.h"
#include "client/lib/session.h"

enum { HANDLE_MAGIC = 0x77656972, API_SENDER_MAGIC = 0x77736e64, ANSWER_MAGIC = 0x77616e73 };

/* An event that nobody has collected, or that is the caller's. */
typedef struct told told_t;
struct told {
    weir_event_t event; /* first: an event is its told_t */
    weir_error_t error;
    arena_t *arena;        /* of an acknowledgement's lists; or NULL */
    weir_sender_t *sender; /* whose window it takes up, while it is not collected */
    told_t *next;
};

struct weir {
    uint32_t magic;
    client_t *client;
    gets_t *gets;
    gets_t *single; /* of weir_get; NULL before the first */
    size_t gets_max;
    arena_t *scratch; /* of one call */
    told_t *first;    /* events, in the order in which they happened */
    told_t *last;
    size_t told;
    size_t answers_told; /* of these */
    weir_sender_t *senders;
    struct ask *asks; /* ask.c */
    int epoll;        /* -1 before weir_fd */
    int timer;
    uint64_t watched; /* transport_descriptors' set + 1; 0: none yet */
    int64_t armed_ms;
};

/* ---- arguments.c ---- */

/* Fills the caller's error (which may be NULL) and returns its status. */
weir_status_t api_fail (weir_error_t *to, const error_t *from);
weir_status_t api_invalid (weir_error_t *to, const char *format, ...) PRINTF_LIKE (2, 3);
weir_status_t api_ok (weir_error_t *to);
void api_error (weir_error_t *to, const error_t *from);

/* A structure with its size first, as this version knows it: of an earlier version 0 is added, of a
 * later one what is unknown must be 0. `least` is the size in the first version. */
MUST_CHECK bool api_options (void *own, size_t own_size, size_t least, const void *given);

/* A name: 1 to 255 bytes of UTF-8. */
bool api_name (const char *name);
/* A cell or a part of a key; false for a list, a map, an unknown type, and text that is not UTF-8.
 */
bool api_scalar (const weir_value_t *value);

/* ---- answer.c ---- */

/* Of a body that client_check_results has seen. */
weir_answer_t *api_answer_new (const wire_value_t *body);
/* The places of a map of `log/partition` in `arena`; what is none is left out. */
weir_position_t *positions_new (const wire_value_t *map, arena_t *arena, size_t *count);

/* ---- get.c ---- */

/* What came of a query that is told, and of one that is waited for. */
gets_done_fn api_get_told, api_get_waited;

/* ---- send.c ---- */

/* Sends batches that have waited for long enough; returns when the next one has, ms. */
int64_t api_senders_step (weir_t *self);
/* Tells of senders that have ended. */
void api_senders_look (weir_t *self);
size_t api_senders_pending (const weir_t *self);
void api_senders_close (weir_t *self);
/* An acknowledgement was collected. */
void api_sender_collected (weir_sender_t *sender);

/* ---- ask.c ---- */

/* Unmakes what was answered. Not while parties are gone through. */
void api_asks_sweep (weir_t *self);
size_t api_asks_pending (const weir_t *self);
bool api_asks_untold (const weir_t *self); /* there is something for api_asks_sweep to tell */
void api_asks_close (weir_t *self);

/* ---- handle.c ---- */

/* Has everything do what is due and waits at most `wait_ms` for messages. */
MUST_CHECK status_t api_work (weir_t *self, int64_t wait_ms, error_t *error);
/* Sets the descriptor of weir_fd, if there is one, for what is due next. */
void api_arm (weir_t *self);
/* A new event at the end of the queue. */
told_t *api_tell (weir_t *self, weir_event_kind_t kind, uint64_t tag, const error_t *error);
/* The events of a sender that goes do not count for it any more. */
void api_forget_sender (weir_t *self, const weir_sender_t *sender);

#endif
