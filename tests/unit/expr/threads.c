/* One expression, evaluated by many threads at once. */
#include "base/timestamp.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>

enum { THREADS = 4, ROWS = 300, ROUNDS = 5 };

typedef struct worker {
    pthread_t thread;
    const expr_t *expr;
    uint64_t sum; /* of the bits of all results */
} worker_t;

static void *evaluate (void *arg)
{
    worker_t *self = arg;
    for (int round = 0; round < ROUNDS; round++) {
        arena_t *arena = arena_new (1 << 14);
        column_t columns[FIELD_COUNT];
        for (size_t k = 0; k < FIELD_COUNT; k++)
            columns[k] = column_new (arena, field_types[k], ROWS);
        for (size_t r = 0; r < ROWS; r++) {
            value_t value = { .type = TYPE_FLOAT64, .f = 0.37 * (double)(r + 1) };
            column_set (&columns[FIELD_amount], r, &value);
            value = (value_t){ .type = TYPE_TIMESTAMP, .i = (int64_t)r * 7 * TIME_DAY };
            column_set (&columns[FIELD_ts], r, &value);
        }
        column_t got = expr_eval (self->expr, columns, ROWS, arena);
        for (size_t r = 0; r < ROWS; r++)
            self->sum = self->sum * 31 + (uint64_t)got.i[r] + got.valid[r];
        arena_destroy (&arena);
    }
    return NULL;
}

Test (threads, evaluate_one_expression_to_the_same_bits)
{
    static const char *const texts[] = {
        "pow(amount, 1.7) + ln(amount) * sin(amount) - atan2(amount, exp(-amount))",
        "to_unix(date_trunc('month', ts, 'America/New_York')) + hour(ts, 'Europe/Berlin')",
        "length(cast(amount as string) || lower('ABC')) + hash_bucket(amount, ts, 1000)",
    };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        expr_t *expr = parse (texts[k]);
        worker_t workers[THREADS + 1] = { 0 };
        for (int i = 0; i <= THREADS; i++)
            workers[i].expr = expr;
        for (int i = 0; i < THREADS; i++)
            cr_assert_eq (pthread_create (&workers[i].thread, NULL, evaluate, &workers[i]), 0);
        evaluate (&workers[THREADS]);
        for (int i = 0; i < THREADS; i++) {
            cr_assert_eq (pthread_join (workers[i].thread, NULL), 0);
            cr_expect_eq (workers[i].sum, workers[THREADS].sum, "%s", texts[k]);
        }
        cr_expect_neq (workers[THREADS].sum, 0u);
        expr_destroy (&expr);
    }
}
