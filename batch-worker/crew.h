/* crew.h - threads that share the items of one piece of work, and wait for the next.
 *
 * What they do is computation, or calls that may be made from several threads (base/fs.h). With one
 * thread, which is the caller's, nothing is started, and everything runs where it is called. */
#ifndef WEIR_BATCH_WORKER_CREW_H
#define WEIR_BATCH_WORKER_CREW_H

#include <stddef.h>

typedef struct crew crew_t;

enum { CREW_MAX = 16 };

/* `threads` with the caller's, 1 to CREW_MAX. Fewer when the system gives no more. */
crew_t *crew_new (unsigned threads);
void crew_destroy (crew_t **self_p);

/* Members, the caller being 0. */
unsigned crew_size (const crew_t *self);

/* Does item 0 … count - 1, each once, in any order; `member` tells the threads apart. */
typedef void crew_work_f (void *arg, size_t item, unsigned member);

/* The others begin. The caller may do something else that they do not touch, and then ends it. */
void crew_begin (crew_t *self, size_t count, crew_work_f *work, void *arg);
/* Takes part; when it returns all items are done, and seen by the caller. */
void crew_end (crew_t *self);
/* Both. */
void crew_run (crew_t *self, size_t count, crew_work_f *work, void *arg);

#endif
