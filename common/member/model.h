/* model.h - the cluster's definitions at one version, compiled: what every node works from. */
#ifndef WEIR_MEMBER_MODEL_H
#define WEIR_MEMBER_MODEL_H

#include "feature/definition.h"
#include "feature/keyed_log.h"
#include "feature/plan.h"
#include "feature/service_plan.h"
#include "wire/wire.h"

/* Immutable and shared by count. References are taken and given back on the core's thread; a job
 * that needs a model is given a reference before it is submitted. */
typedef struct model {
    uint64_t version;
    definitions_t *definitions;
    plan_t **plans; /* one per view and source, in the order of definitions->views */
    size_t plans_count;
    service_plan_t **services; /* in the order of definitions->services */
    unsigned references;
} model_t;

/* From the body of a `definitions.ok`. The caller holds one reference. INVALID when this program
 * does not understand a text. */
MUST_CHECK status_t model_from_message (const wire_value_t *body, model_t **model, error_t *error);

/* Of no definitions, version 0. */
model_t *model_empty (void);

model_t *model_ref (model_t *self);
void model_unref (model_t **self_p); /* nulls */

/* Which version of a view is meant by 0 is what definitions_view says. */

/* The plan of a view over its first source, which those over its other ones follow in `plans`; or
 * NULL. */
const plan_t *model_plan (const model_t *self, text_t view, uint32_t version);
/* The plan over that log of a view in that version, or NULL. */
const plan_t *model_plan_over (const model_t *self, text_t view, uint32_t version, text_t log_name);
/* Is some version of the view over that log? */
bool model_has_view (const model_t *self, text_t view, text_t log_name);
/* The plans of a view of this model over all of its sources, in their order, and how many. */
plan_t *const *model_plans (const model_t *self, const view_t *view, size_t *count);
/* The plan of a service of this model. */
const service_plan_t *model_service (const model_t *self, const service_t *service);
/* The keyed log of that name, borrowing from the model; false when no stream here has one. */
bool model_log (const model_t *self, text_t log_name, keyed_log_t *log);

#endif
