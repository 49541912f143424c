/* answer_plan.h - the stream and view whose records and answers are fuzzed. */
#ifndef WEIR_TESTS_FUZZ_ANSWER_PLAN_H
#define WEIR_TESTS_FUZZ_ANSWER_PLAN_H

#include "base/check.h"
#include "feature/plan.h"

/* Made at the first call, and kept. */
static inline const definitions_t *answer_definitions_once (void)
{
    static const char text[] = "streams:\n  s:\n    key: []\n    time: t\n"
                               "    fields: {a: float64, b: int64, c: string, t: timestamp, "
                               "m: 'decimal(30,2)'}\n"
                               "views:\n  v:\n    from: s\n    features:\n"
                               "      f0: count() over 1h, 7d\n"
                               "      f1: sum(a)\n"
                               "      f2: sum(b)\n"
                               "      f3: variance(a)\n"
                               "      f4: stddev_pop(b)\n"
                               "      f5: min(c)\n"
                               "      f6: max(a)\n"
                               "      f7: first(c)\n"
                               "      f8: last(b)\n"
                               "      f9: approx_count_distinct(c)\n"
                               "      f10: mean(a)\n"
                               "      f11: sum(m)\n"
                               "      f12: stddev(m)\n"
                               "      f13: last(m)\n";
    static definitions_t *definitions = NULL;
    if (definitions != NULL)
        return definitions;
    definition_file_t file = { "f", text_of (text) };
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    CHECK (status == STATUS_OK);
    return definitions;
}

static inline plan_t *answer_plan_once (void)
{
    static plan_t *plan = NULL;
    if (plan == NULL)
        plan = plan_new (&answer_definitions_once ()->views[0]);
    return plan;
}

#endif
