/* service.h - the service that simulated users ask for: `pair`, of two users, over views of theirs.
 */
#ifndef WEIR_SIM_SERVICE_H
#define WEIR_SIM_SERVICE_H

#include "tests/sim/check.h"

enum { SERVICE_ROLES = 3 };

/* Appends its definition. */
void service_define (buf_t *out);

/* What was asked: of each role, as if its view had been. */
typedef struct service_question {
    sim_question_t role[SERVICE_ROLES];
} service_question_t;

/* The views and features of the roles, without keys and times. */
void service_question_init (service_question_t *question);
/* An entity more, of two users (encoded keys, in the run's arena). */
void service_question_add (service_question_t *question, text_t mine, text_t yours);

/* A `get.ok` came: what each role has in it must be an answer of its view, all of the same events.
 * *complete says whether all of it was. */
void service_check (sim_check_t *check, sim_t *sim, const service_question_t *question,
                    const wire_value_t *body, bool *complete);

#endif
