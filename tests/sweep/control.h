/* control.h - what the driver tells the injector, and what the injector tells back: one page of
 * memory, mapped by both from the file that WEIR_SWEEP names. It outlives the process under test,
 * so the count goes on over its restarts and a fault that was done is not done again.
 *
 * tests/sweep/control.py writes the same layout. */
#ifndef WEIR_SWEEP_CONTROL_H
#define WEIR_SWEEP_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

enum { CONTROL_MAGIC = 0x50455753, CONTROL_WHAT = 256 };

/* Kinds of calls, as a mask. */
enum { KIND_DISK = 1, KIND_NET = 2, KIND_MEMORY = 4 };

typedef enum action {
    ACTION_NONE,  /* nothing is done any more, and nothing is counted */
    ACTION_KILL,  /* SIGKILL of the process instead of the call */
    ACTION_AFTER, /* the call, then SIGKILL */
    ACTION_TORN,  /* half of a write, then SIGKILL */
    ACTION_ERROR, /* the call fails with `error`; only calls that can fail so are counted */
    ACTION_SHORT, /* a read or write does half of what was asked for */
    ACTION_STOP,  /* SIGSTOP, then the call */
} action_t;

typedef struct control {
    uint32_t magic;
    _Atomic uint32_t action;
    uint32_t kinds;
    int32_t error;
    uint64_t at;     /* the call that it is done at, from 1 on; 0 counts only */
    uint32_t sticky; /* and at all that follow, until the action is set to none */
    _Atomic uint32_t fired;
    _Atomic uint64_t count;  /* calls so far that it could be done at */
    char what[CONTROL_WHAT]; /* the call that it was done at first */
} control_t;

_Static_assert(sizeof (control_t) == 40 + CONTROL_WHAT, "control.py has the same layout");

#endif
