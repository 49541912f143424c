#include "feature/advice.h"

#include "base/check.h"
#include "base/mem.h"
#include "feature/plan.h"
#include "feature/service_plan.h"

enum { ADVICE_CHUNK = 4096 };

typedef struct adviser {
    const view_t *view;
    const plan_t *plan;
    arena_t *arena;
    buf_t *lines;
    size_t count;
} adviser_t;

#define ADVISE(adviser, ...)                                                                       \
    do {                                                                                           \
        buf_printf ((adviser)->lines, "view %s: ", (adviser)->view->name);                         \
        buf_printf ((adviser)->lines, __VA_ARGS__);                                                \
        buf_put_u8 ((adviser)->lines, '\n');                                                       \
        (adviser)->count++;                                                                        \
    } while (0)

/* Is the feature null when there are no rows? All are where a ttl is over. */
static bool can_be_null (const adviser_t *adviser, const plan_feature_t *feature)
{
    if (adviser->view->ttl > 0)
        return true;
    const plan_cell_t *cell = &adviser->plan->cells[feature->cell];
    const state_spec_t spec = adviser->plan->slots[cell->slot].spec;
    const final_context_t context = { .window = cell->window,
                                      .parameter = feature->parameter,
                                      .arena = adviser->arena };
    void *acc = mem_alloc (state_size (spec)); /* which aligns to 16 */
    value_t value;
    error_t error;
    state_init (spec, acc);
    status_t status = state_final (spec, acc, feature->aggregate, &context, &value, &error);
    state_release (spec, acc);
    mem_free (acc);
    return status != STATUS_OK || value.null;
}

static void advise_defaults (adviser_t *adviser)
{
    for (size_t i = 0; i < adviser->view->features_count; i++) {
        const plan_feature_t *feature = &adviser->plan->features[i];
        if (feature->default_value.type != TYPE_NONE && !can_be_null (adviser, feature))
            ADVISE (adviser, "%s is never null, so its default has no effect", feature->name);
    }
}

static bool is_same (const plan_feature_t *a, const plan_feature_t *b)
{
    return a->cell == b->cell && a->aggregate == b->aggregate &&
           value_equal (&a->parameter, &b->parameter) &&
           value_equal (&a->default_value, &b->default_value);
}

static void advise_repeats (adviser_t *adviser)
{
    const plan_feature_t *features = adviser->plan->features;
    for (size_t i = 0; i < adviser->view->features_count; i++) {
        size_t other = 0;
        while (other < i && !is_same (&features[i], &features[other]))
            other++;
        if (other < i)
            ADVISE (adviser, "%s and %s are the same; one of them is enough", features[other].name,
                    features[i].name);
    }
}

static void advise_keys (adviser_t *adviser)
{
    const view_t *view = adviser->view;
    for (size_t i = 0; i < view->features_count; i++) {
        const feature_t *feature = &view->features[i];
        for (size_t k = 0; k < view->key_count; k++) {
            const char *key = view->stream->fields[view->key[k]].name;
            if (feature->by != NULL && strcmp (feature->by, key) == 0)
                ADVISE (adviser,
                        "%s is a map by %s, which is in the view's key: it has one entry at most; "
                        "leave `by %s` out",
                        feature->name, key, key);
        }
    }
}

static void advise_request (adviser_t *adviser)
{
    const plan_t *plan = adviser->plan;
    for (size_t i = 0; i < plan->request_count; i++) {
        bool used = false;
        for (size_t d = 0; d < plan->derived_count && !used; d++) {
            const plan_feature_t *feature = &plan->features[plan->derived[d]];
            for (size_t r = 0; r < feature->reads_count && !used; r++)
                used = feature->reads[r] == plan->features_count + i;
        }
        if (!used)
            ADVISE (adviser, "no derived feature uses the request's %s",
                    adviser->view->request[i].name);
    }
}

static void advise_horizon (adviser_t *adviser, int64_t every)
{
    if (every <= 0 || adviser->view->horizon / 2 >= every)
        return;
    buf_t horizon, least;
    buf_init (&horizon, 64);
    buf_init (&least, 64);
    duration_format (&horizon, adviser->view->horizon);
    duration_format (&least, 2 * every);
    ADVISE (adviser,
            "its horizon is %s, which is less than two recomputes are apart: towards the end of it "
            "answers are read from history; %s is enough",
            buf_string (&horizon), buf_string (&least));
    buf_release (&horizon);
    buf_release (&least);
}

/* Is the value of the service's request read, or handed on to a view? */
static bool is_used (const service_t *service, const plan_t *plan, size_t value)
{
    size_t number = service->keys_count + value;
    for (size_t d = 0; d < plan->derived_count; d++) {
        const plan_feature_t *feature = &plan->features[plan->derived[d]];
        for (size_t r = 0; r < feature->reads_count; r++) {
            if (feature->reads[r] == plan->features_count + number)
                return true;
        }
    }
    for (size_t i = 0; i < service->roles_count; i++) {
        const service_role_t *role = &service->roles[i];
        for (size_t r = 0; r < role->view->request_count; r++) {
            if (role->request[r] == (int32_t)number)
                return true;
        }
    }
    return false;
}

static size_t advise_service (const service_t *service, buf_t *lines)
{
    service_plan_t *compiled = service_plan_new_raw (service);
    size_t count = 0;
    for (size_t i = 0; i < service->request_count; i++) {
        if (is_used (service, compiled->plan, i))
            continue;
        buf_printf (lines, "service %s: nothing uses the request's %s\n", service->name,
                    service->request[i].name);
        count++;
    }
    for (size_t i = 0; i < service->roles_count; i++) {
        const service_role_t *role = &service->roles[i];
        for (size_t r = 0; r < role->view->request_count; r++) {
            if (role->request[r] >= 0)
                continue;
            buf_printf (lines,
                        "service %s: view %s takes a value %s of the request, which the service "
                        "does not have: it is null\n",
                        service->name, role->view->name, role->view->request[r].name);
            count++;
        }
    }
    service_plan_destroy (&compiled);
    size_t unfitted = service_unfitted (service);
    if (unfitted > 0)
        buf_printf (lines,
                    "service %s: %zu of its features %s answered as null until `weir fit %s --on "
                    "TRAINING_SET` has found their numbers, which stay in the cluster\n",
                    service->name, unfitted, unfitted == 1 ? "is" : "are", service->name);
    return count + (unfitted > 0);
}

size_t definitions_advise (const definitions_t *definitions, int64_t every, buf_t *lines)
{
    adviser_t adviser = { .lines = lines, .arena = arena_new (ADVICE_CHUNK) };
    for (size_t i = 0; i < definitions->views_count; i++) {
        plan_t *plan = plan_new (&definitions->views[i]);
        adviser.view = &definitions->views[i];
        adviser.plan = plan;
        advise_defaults (&adviser);
        advise_repeats (&adviser);
        advise_keys (&adviser);
        advise_request (&adviser);
        advise_horizon (&adviser, every);
        plan_destroy (&plan);
    }
    for (size_t i = 0; i < definitions->services_count; i++)
        adviser.count += advise_service (&definitions->services[i], lines);
    arena_destroy (&adviser.arena);
    return adviser.count;
}
