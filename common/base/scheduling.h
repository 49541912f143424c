/* scheduling.h - whose turn it is on processors that not all can have at once: threads that
 * somebody waits for, and work behind them.
 *
 * All of it is asked of the system, which may know nothing of it or refuse it: then things are as
 * they were, and nothing is told. */
#ifndef WEIR_BASE_SCHEDULING_H
#define WEIR_BASE_SCHEDULING_H

enum { SCHEDULING_NICE_MAX = 19 };

/* For the calling thread and those that it starts from now on: many short turns. Whoever asks for
 * short turns gets the next one sooner, and no more of the processor in all (EEVDF, Stoica and
 * Abdel-Wahab, 1995; Linux from 6.12 on). A thread that is not under the usual policy stays as it
 * is. */
void scheduling_short_turns (void);

/* For the same: turns that are a little longer, when others leave room. They get a share that is
 * smaller by `nice` steps, 0 to SCHEDULING_NICE_MAX, of about a quarter each, and all that nobody
 * else wants; and they take no turn from a thread that runs. A thread whose share is smaller
 * already keeps that. */
void scheduling_behind (int nice);

/* In work that goes on for long, several times in a turn of 0.25 ms where that can be: a thread
 * that is behind has had its turn when it is over, and whoever became ready meanwhile gets one. The
 * system would notice at its next tick, up to 4 ms later, when others than the one that wakes are
 * in the line as well. For other threads it is nothing. */
void scheduling_give_way (void);

#endif
