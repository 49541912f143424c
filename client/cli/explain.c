#include "client/cli/explain.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "client/cli/terminal.h"

#include <string.h>

enum {
    SAMPLE_CHUNK = 1 << 20,
    REACH_DEFAULT_DAYS = 30,
    LINE_MAX_BYTES = 1 << 20,
};

static const char *const KINDS[] = {
#define X(name, number, ...) [number] = #name,
    STATE_TABLE (X)
#undef X
};

/* ---- measuring ---- */

int64_t explain_reach (const view_t *view)
{
    int64_t reach = 0;
    for (size_t i = 0; i < view->features_count; i++) {
        const feature_t *feature = &view->features[i];
        int64_t window = feature->window == WINDOW_LIFETIME ? 0 : feature->window;
        if (window + feature->delay > reach)
            reach = window + feature->delay;
    }
    return reach > 0 ? reach : REACH_DEFAULT_DAYS * TIME_DAY;
}

/* Bytes of an encoded key with strings of that size. */
static size_t key_size (const view_t *view, size_t string_bytes)
{
    char text[KEY_SIZE_MAX];
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    memset (text, 'x', sizeof text);
    for (size_t i = 0; i < view->key_count; i++) {
        value_t value = { .type = view->stream->fields[view->key[i]].type };
        if (value.type == TYPE_STRING)
            value.s = (text_t){ text, (uint32_t)(string_bytes < 512 ? string_bytes : 512) };
        key_put (&key, &value);
    }
    size_t size = key.size;
    buf_release (&key);
    return size;
}

static size_t partial_size (const plan_t *plan, uint32_t slot, const projection_t *rows,
                            size_t count, buf_t *partial)
{
    state_spec_t spec = plan->slots[slot].spec;
    void *acc = mem_alloc (state_size (spec));
    state_init (spec, acc);
    for (size_t i = 0; i < count; i++)
        plan_fold_slot (plan, slot, acc, rows, i);
    buf_clear (partial);
    state_encode (spec, acc, partial);
    state_release (spec, acc);
    mem_free (acc);
    return partial->size;
}

static void measure_partials (explain_t *self, size_t events, const sample_values_t *values)
{
    arena_t *arena = arena_new (SAMPLE_CHUNK);
    projection_t rows = plan_sample (self->plan, events, 1000 * TIME_DAY - self->keys.over,
                                     1000 * TIME_DAY, values, arena);
    buf_t partial;
    buf_init (&partial, AGGREGATE_PARTIAL_MAX);
    for (uint32_t slot = 0; slot < self->plan->slots_count; slot++) {
        self->partial[slot].one = partial_size (self->plan, slot, &rows, 1, &partial);
        self->partial[slot].all = partial_size (self->plan, slot, &rows, events, &partial);
    }
    buf_release (&partial);
    arena_destroy (&arena);
}

status_t explain_init (explain_t *self, const view_t *view, const explain_keys_t *keys,
                       error_t *error)
{
    plan_t *plan = plan_new (view);
    *self = (explain_t){ .view = view, .plan = plan, .keys = *keys };
    self->partial = mem_zero (plan->slots_count, sizeof *self->partial);
    self->group = mem_zero (FEATURES_MAX, sizeof *self->group);
    self->group_of = mem_zero (FEATURES_MAX, sizeof *self->group_of);
    self->groups = batchview_groups (plan, self->group, self->group_of);
    const sample_values_t values = { .string_bytes = keys->string_bytes,
                                     .distinct = keys->distinct,
                                     .key_bytes = key_size (view, keys->string_bytes) };
    size_t events = keys->events < BATCHVIEW_ESTIMATE_ROWS_MAX ? (size_t)(keys->events + 0.5)
                                                               : BATCHVIEW_ESTIMATE_ROWS_MAX;
    measure_partials (self, events, &values);
    self->realtime = timeline_estimate (plan, keys->events, &values);
    return batchview_estimate (plan, keys->events, keys->over, &values, &self->batch, error);
}

void explain_release (explain_t *self)
{
    plan_destroy (&self->plan);
    mem_free (self->partial);
    mem_free (self->group);
    mem_free (self->group_of);
    *self = (explain_t){ 0 };
}

/* ---- pieces of both forms ---- */

static void put_expression (const expr_t *expr, buf_t *out)
{
    expr_format (expr, out);
}

/* How many slots read a lane, or have a filter. */
static size_t lane_users (const plan_t *plan, uint32_t lane)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->slots_count; i++) {
        bool reads = false;
        for (uint32_t k = 0; k < plan->slots[i].inputs; k++)
            reads |= plan->slots[i].lane[k] == lane;
        count += reads;
    }
    return count;
}

static size_t filter_users (const plan_t *plan, int32_t filter)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->slots_count; i++)
        count += plan->slots[i].filter == filter;
    return count;
}

/* Calls for the features of a slot, in the view's order. */
static void put_features (const plan_t *plan, uint32_t slot, bool json, buf_t *out)
{
    bool any = false;
    for (size_t i = 0; i < plan->features_count; i++) {
        const plan_feature_t *feature = &plan->features[i];
        if (feature->derived != NULL || plan->cells[feature->cell].slot != slot)
            continue;
        buf_put_string (out, any ? (json ? "," : ", ") : "");
        if (json)
            number_format_json_string (out, text_of (plan->features[i].name));
        else
            buf_put_string (out, plan->features[i].name);
        any = true;
    }
}

static void put_windows (const plan_t *plan, uint32_t slot, bool json, buf_t *out)
{
    bool any = false;
    for (size_t i = 0; i < plan->cells_count; i++) {
        int64_t window = plan->cells[i].window;
        if (plan->cells[i].slot != slot)
            continue;
        buf_put_string (out, any ? (json ? "," : ", ") : "");
        if (window == WINDOW_LIFETIME)
            buf_put_string (out, json ? "\"lifetime\"" : "lifetime");
        else if (json)
            buf_printf (out, "%lld", (long long)window);
        else
            duration_format (out, window);
        any = true;
    }
}

/* ---- for people ---- */

static void cell_of_buf (table_t *table, buf_t *cell)
{
    table_add (table, text_of (buf_string (cell)));
    buf_clear (cell);
}

static void text_head (const explain_t *self, buf_t *out)
{
    const plan_t *plan = self->plan;
    size_t features = plan->features_count - plan->derived_count;
    const view_t *view = self->view;
    bool several = view->sources_count > 1;
    buf_printf (out, "%s from ", plan->view);
    view_format_sources (view, out);
    for (size_t i = 0; i < view->sources_count; i++)
        buf_printf (out, "%s%s",
                    i > 0     ? ", "
                    : several ? ", logs "
                              : ", log ",
                    view->sources[i].log_name);
    buf_put_string (out, ", horizon ");
    duration_format (out, plan->horizon);
    if (view->ttl > 0) {
        buf_put_string (out, ", ttl ");
        duration_format (out, view->ttl);
    }
    if (several)
        buf_put_string (out, "\na union: each log has the states below, and its own sizes");
    buf_printf (out,
                "\n%zu feature%s are %zu cell%s (a window of a state) of %zu state%s over %zu "
                "input%s and %zu filter%s\n",
                features, plural (features), plan->cells_count, plural (plan->cells_count),
                plan->slots_count, plural (plan->slots_count), plan->lanes_count,
                plural (plan->lanes_count), plan->filters_count, plural (plan->filters_count));
    if (plan->derived_count > 0)
        buf_printf (out,
                    "%zu more %s derived from them when they are answered, and cost no state\n",
                    plan->derived_count, plan->derived_count == 1 ? "is" : "are");
    if (plan->where != NULL) {
        buf_put_string (out, "only events where ");
        put_expression (plan->where, out);
        buf_put_string (out, "\n");
    }
    buf_put_string (out, "\n");
}

static void text_inputs (const plan_t *plan, buf_t *out, buf_t *cell)
{
    static const char *const heads[] = { "INPUT", "TYPE", ">STATES", "EXPRESSION", NULL };
    table_t *table = table_new (heads);
    for (uint32_t i = 0; i < plan->lanes_count; i++) {
        table_addf (table, "%u", i);
        table_add (table, text_of (type_word (expr_type (plan->lanes[i]))));
        table_addf (table, "%zu", lane_users (plan, i));
        put_expression (plan->lanes[i], cell);
        cell_of_buf (table, cell);
    }
    for (uint32_t i = 0; i < plan->filters_count; i++) {
        table_addf (table, "where %u", i);
        table_add (table, text_of ("bool"));
        table_addf (table, "%zu", filter_users (plan, (int32_t)i));
        put_expression (plan->filters[i], cell);
        cell_of_buf (table, cell);
    }
    table_format (table, out);
    table_destroy (&table);
    if (plan->lanes_count + plan->filters_count > 0)
        buf_put_string (out, "\n");
}

/* "SUM(0) by 1 where 0, 5 rows" */
static void put_state (const plan_slot_t *slot, buf_t *out)
{
    uint32_t first = slot->spec.by != TYPE_NONE;
    buf_put_string (out, KINDS[slot->spec.kind]);
    for (uint32_t i = first; i < slot->inputs; i++)
        buf_printf (out, "%s%u", i == first ? "(" : ", ", slot->lane[i]);
    buf_put_string (out, slot->inputs > first ? ")" : "");
    if (slot->spec.by != TYPE_NONE)
        buf_printf (out, " by %u", slot->lane[0]);
    if (slot->filter >= 0)
        buf_printf (out, " where %d", slot->filter);
    if (slot->spec.rows > 0)
        buf_printf (out, ", %u rows", slot->spec.rows);
}

static void text_states (const explain_t *self, buf_t *out, buf_t *cell)
{
    static const char *const heads[] = { "STATE",   "OVER",   "DELAY",    ">PARTIAL",
                                         ">OF ALL", ">ATOMS", "FEATURES", NULL };
    const plan_t *plan = self->plan;
    table_t *table = table_new (heads);
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        const plan_slot_t *slot = &plan->slots[i];
        put_state (slot, cell);
        cell_of_buf (table, cell);
        put_windows (plan, i, false, cell);
        cell_of_buf (table, cell);
        if (slot->delay > 0)
            duration_format (cell, slot->delay);
        cell_of_buf (table, cell);
        format_bytes (cell, self->partial[i].one);
        cell_of_buf (table, cell);
        format_bytes (cell, self->partial[i].all);
        cell_of_buf (table, cell);
        table_addf (table, "%u", self->group_of[i]);
        put_features (plan, i, false, cell);
        cell_of_buf (table, cell);
    }
    table_format (table, out);
    table_destroy (&table);
    buf_put_string (out, "\n");
}

static void text_groups (const explain_t *self, buf_t *out, buf_t *cell)
{
    static const char *const heads[] = { "ATOMS", ">STATES", ">WINDOWS", "DELAY", "CUT", NULL };
    table_t *table = table_new (heads);
    for (size_t i = 0; i < self->groups; i++) {
        const batchview_group_t *group = &self->group[i];
        table_addf (table, "%zu", i);
        table_addf (table, "%zu", group->slots);
        table_addf (table, "%zu", group->windows);
        if (group->delay > 0)
            duration_format (cell, group->delay);
        cell_of_buf (table, cell);
        if (group->spans == 0) {
            table_add (table, text_of ("nowhere"));
            continue;
        }
        buf_printf (cell, "at each event of %zu stretch%s, ", group->spans,
                    group->spans == 1 ? "" : "es");
        duration_format (cell, group->covered);
        buf_put_string (cell, group->spans == 1 ? " long" : " together");
        cell_of_buf (table, cell);
    }
    table_format (table, out);
    table_destroy (&table);
    buf_put_string (out, "\n");
}

static void put_size (buf_t *out, double bytes)
{
    format_bytes (out, (uint64_t)(bytes + 0.5));
}

/* " with 12 events" */
static void put_events (double events, buf_t *out)
{
    buf_put_string (out, " with ");
    if (events < 1000)
        buf_printf (out, "%.3g", events);
    else
        format_count (out, events);
    buf_printf (out, " event%s", events == 1 ? "" : "s");
}

static void text_sizes (const explain_t *self, buf_t *out)
{
    const explain_keys_t *keys = &self->keys;
    buf_put_string (out, "A key in the real-time view: ");
    put_size (out, self->realtime.key_bytes);
    buf_put_string (out, " and ");
    put_size (out, self->realtime.event_bytes);
    buf_put_string (out, " an event; ");
    put_size (out, self->realtime.bytes);
    put_events (keys->events, out);
    buf_put_string (out, "\n");
    buf_put_string (out, "A key in a batch view:       ");
    put_size (out, self->batch.fixed_bytes);
    buf_put_string (out, " and ");
    put_size (out, self->batch.atom_bytes);
    buf_put_string (out, " an event near an edge; ");
    put_size (out, self->batch.bytes);
    put_events (keys->events, out);
    buf_put_string (out, " over ");
    duration_format (out, keys->over);
    buf_printf (out, " (%.0f atom%s)\n", self->batch.atoms, self->batch.atoms == 1 ? "" : "s");
    buf_printf (out, "The number of events is %s; strings of %zu bytes, %llu different values\n",
                keys->events_of, keys->string_bytes, (unsigned long long)keys->distinct);
}

void explain_text (const explain_t *self, buf_t *out)
{
    buf_t cell;
    buf_init (&cell, LINE_MAX_BYTES);
    text_head (self, out);
    text_inputs (self->plan, out, &cell);
    text_states (self, out, &cell);
    text_groups (self, out, &cell);
    text_sizes (self, out);
    buf_release (&cell);
}

/* ---- JSON ---- */

static void json_expressions (const plan_t *plan, bool filters, buf_t *out)
{
    buf_t text;
    buf_init (&text, EXPR_TEXT_MAX);
    size_t count = filters ? plan->filters_count : plan->lanes_count;
    for (uint32_t i = 0; i < count; i++) {
        const expr_t *expr = filters ? plan->filters[i] : plan->lanes[i];
        buf_clear (&text);
        put_expression (expr, &text);
        buf_put_string (out, i > 0 ? ",{\"expression\":" : "{\"expression\":");
        number_format_json_string (out, text_of (buf_string (&text)));
        buf_printf (out, ",\"type\":\"%s\",\"states\":%zu}", type_word (expr_type (expr)),
                    filters ? filter_users (plan, (int32_t)i) : lane_users (plan, i));
    }
    buf_release (&text);
}

static void json_state (const explain_t *self, uint32_t at, buf_t *out)
{
    const plan_slot_t *slot = &self->plan->slots[at];
    buf_printf (out, "%s{\"kind\":\"%s\",\"inputs\":[", at > 0 ? "," : "", KINDS[slot->spec.kind]);
    for (uint32_t i = 0; i < slot->inputs; i++)
        buf_printf (out, "%s%u", i > 0 ? "," : "", slot->lane[i]);
    buf_printf (out, "],\"by\":%s,\"rows\":%u,\"filter\":",
                slot->spec.by != TYPE_NONE ? "true" : "false", slot->spec.rows);
    if (slot->filter >= 0)
        buf_printf (out, "%d", slot->filter);
    else
        buf_put_string (out, "null");
    buf_printf (out, ",\"delay_us\":%lld,\"windows_us\":[", (long long)slot->delay);
    put_windows (self->plan, at, true, out);
    buf_printf (out,
                "],\"large\":%s,\"atoms\":%u,\"partial_bytes\":%zu,\"partial_bytes_of_all\":%zu",
                state_is_large (slot->spec) ? "true" : "false", self->group_of[at],
                self->partial[at].one, self->partial[at].all);
    buf_put_string (out, ",\"features\":[");
    put_features (self->plan, at, true, out);
    buf_put_string (out, "]}");
}

static void json_groups (const explain_t *self, buf_t *out)
{
    for (size_t i = 0; i < self->groups; i++) {
        const batchview_group_t *group = &self->group[i];
        buf_printf (out,
                    "%s{\"states\":%zu,\"windows\":%zu,\"delay_us\":%lld,\"stretches\":%zu,"
                    "\"stretches_us\":%lld}",
                    i > 0 ? "," : "", group->slots, group->windows, (long long)group->delay,
                    group->spans, (long long)group->covered);
    }
}

static void json_sizes (const explain_t *self, buf_t *out)
{
    const timeline_estimate_t *realtime = &self->realtime;
    const batchview_estimate_t *batch = &self->batch;
    const explain_keys_t *keys = &self->keys;
    buf_printf (out,
                "\"realtime\":{\"empty_bytes\":%zu,\"key_bytes\":%.1f,\"event_bytes\":%.1f,"
                "\"row_bytes\":%zu,\"bytes_per_key\":%.1f}",
                realtime->empty_bytes, realtime->key_bytes, realtime->event_bytes,
                realtime->row_bytes, realtime->bytes);
    buf_printf (out,
                ",\"batch\":{\"fixed_bytes\":%.1f,\"atom_bytes\":%.1f,\"atoms\":%.0f,"
                "\"bytes_per_key\":%.1f}",
                batch->fixed_bytes, batch->atom_bytes, batch->atoms, batch->bytes);
    buf_printf (out,
                ",\"assumed\":{\"events_per_key\":%.3f,\"events_of\":\"%s\",\"over_us\":%lld,"
                "\"string_bytes\":%zu,\"distinct\":%llu}",
                keys->events, keys->events_of, (long long)keys->over, keys->string_bytes,
                (unsigned long long)keys->distinct);
}

void explain_json (const explain_t *self, buf_t *out)
{
    const plan_t *plan = self->plan;
    const view_t *view = self->view;
    buf_printf (out, "{\"view\":\"%s\",\"from\":\"%s\",\"log\":\"%s\",\"horizon_us\":%lld",
                plan->view, view->stream->name, plan->log_name, (long long)plan->horizon);
    if (view->ttl > 0)
        buf_printf (out, ",\"ttl_us\":%lld", (long long)view->ttl);
    for (size_t i = 1; i < view->sources_count; i++)
        buf_printf (out, "%s{\"from\":\"%s\",\"log\":\"%s\"}", i > 1 ? "," : ",\"also\":[",
                    view->sources[i].stream->name, view->sources[i].log_name);
    if (view->sources_count > 1)
        buf_put_u8 (out, ']');
    buf_printf (out, ",\"features\":%zu,\"derived\":%zu,\"cells\":%zu,\"inputs\":[",
                plan->features_count - plan->derived_count, plan->derived_count, plan->cells_count);
    json_expressions (plan, false, out);
    buf_put_string (out, "],\"filters\":[");
    json_expressions (plan, true, out);
    buf_put_string (out, "],\"states\":[");
    for (uint32_t i = 0; i < plan->slots_count; i++)
        json_state (self, i, out);
    buf_put_string (out, "],\"atoms\":[");
    json_groups (self, out);
    buf_put_string (out, "],");
    json_sizes (self, out);
    buf_put_string (out, "}\n");
}
