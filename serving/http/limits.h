/* limits.h - what HTTP takes and keeps at most. docs/http.md has all of them. */
#ifndef WEIR_HTTP_LIMITS_H
#define WEIR_HTTP_LIMITS_H

#include "client/include/weir.h"

enum {
    HTTP_CONNECTIONS_MAX = 1024,  /* more wait until one of these closes */
    HTTP_HEADERS_MAX = 16 << 10,  /* bytes of a request's line and headers */
    HTTP_BODY_MAX = 4 << 20,      /* bytes of a body */
    HTTP_UNREAD_MAX = 16 << 20,   /* bytes of one that is refused and taken all the same, so that
                                     its client sees the answer; of larger ones the connection
                                     is closed */
    HTTP_BODIES_MAX = 64 << 20,   /* bytes of all bodies that are coming in */
    HTTP_ANSWER_MAX = 64 << 20,   /* bytes of an answer */
    HTTP_ANSWERS_MAX = 256 << 20, /* bytes of answers that are not read yet; beyond that … */
    HTTP_ANSWER_SMALL = 64 << 10, /* … only such as have so many at most */
    HTTP_GETS_MAX = 256,          /* views that are asked for at a time, by all requests */
    HTTP_REQUEST_ROWS_MAX = 4096, /* entity rows of a request */
    HTTP_REQUEST_VIEWS_MAX = 32,  /* views of a request */
    HTTP_REQUEST_FEATURES_MAX = 2048, /* features of a request */
    HTTP_SENDERS_MAX = 32,            /* streams, with their columns, that are pushed to */
    HTTP_PUSHES_MAX = 256,            /* pushes under way */
    HTTP_TOKENS_MAX = 1024,
    HTTP_TOKEN_MIN = 16, /* bytes of a token */
    HTTP_TOKEN_MAX = 255,

    HTTP_FIRST_MS = 10000,  /* from a connection to its first request's headers */
    HTTP_IDLE_MS = 60000,   /* from an answer to the next request's headers */
    HTTP_BODY_MS = 20000,   /* from headers to the end of the body */
    HTTP_ANSWER_MS = 60000, /* that a client may take to read an answer */
    HTTP_LINE_MS = 2000,    /* that a request waits for gets of others to end */
    HTTP_PUSH_MS = 10000,   /* that a push waits for its acknowledgement */
};

_Static_assert(HTTP_ANSWERS_MAX >= 2 * HTTP_ANSWER_MAX, "the memory of any answer fits, alone");
_Static_assert((int)HTTP_REQUEST_ROWS_MAX == WEIR_KEYS_MAX, "one get has them");

#endif
