/* service_plan.h - a service compiled: what its features come to when those of its roles are there.
 *
 * Its plan has no slots and no cells: what is not derived is an input, which a role's view has
 * answered (outcome.h). The values of its request are the fields of its key, and then those of the
 * service's request. */
#ifndef WEIR_FEATURE_SERVICE_PLAN_H
#define WEIR_FEATURE_SERVICE_PLAN_H

#include "feature/plan.h"

typedef struct service_plan {
    plan_t *plan; /* features: the inputs, the derived ones, and what is answered beside them */
    uint32_t *outputs; /* the plan's feature for each place of an answer */
    size_t outputs_count;
} service_plan_t;

/* Compiles a checked service; cannot fail. It stands alone. Each place is that of one of the
 * service's outputs. A feature that lacks numbers has none but the reason for it. */
service_plan_t *service_plan_new (const service_t *service);
/* The same with nothing preprocessed, as `weir fit` needs it: each place is that of one of the
 * features that the service names. */
service_plan_t *service_plan_new_raw (const service_t *service);
void service_plan_destroy (service_plan_t **self_p);

#endif
