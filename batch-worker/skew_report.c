#include "batch-worker/skew.h"

#include "base/decimal.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* ---- values ---- */

static void put_values (buf_t *out, const value_t *values, size_t count)
{
    buf_put_u8 (out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        skew_put_value (out, &values[i]);
    }
    buf_put_u8 (out, ']');
}

static void put_float (buf_t *out, double value)
{
    const char *quote = isfinite (value) ? "" : "\"";
    buf_put_string (out, quote);
    number_format_float (out, value);
    buf_put_string (out, quote);
}

void skew_put_value (buf_t *out, const value_t *value)
{
    if (value->null) {
        buf_put_string (out, "null");
        return;
    }
    switch (type_family (value->type)) {
    case TYPE_BOOL:
        buf_put_string (out, value->i ? "true" : "false");
        break;
    case TYPE_FLOAT64:
        put_float (out, value->f);
        break;
    case TYPE_STRING:
        number_format_json_string (out, value->s);
        break;
    case TYPE_TIMESTAMP:
        buf_put_u8 (out, '"');
        time_format (out, value->i);
        buf_put_u8 (out, '"');
        break;
    case TYPE_DECIMAL:
        buf_put_u8 (out, '"');
        decimal_format (out, value->d, type_scale (value->type));
        buf_put_u8 (out, '"');
        break;
    case TYPE_LIST:
        put_values (out, value->list->items, value->list->count);
        break;
    case TYPE_MAP:
        buf_put_string (out, "{\"keys\":");
        put_values (out, value->map->keys, value->map->count);
        buf_put_string (out, ",\"values\":");
        put_values (out, value->map->values, value->map->count);
        buf_put_u8 (out, '}');
        break;
    default:
        buf_printf (out, "%" PRId64, value->i);
    }
}

/* ---- alerts ---- */

static void alert (skew_t *self, const char *text)
{
    self->alerts_all++;
    if (self->alerts_count < SKEW_ALERTS_MAX)
        self->alerts[self->alerts_count++] = text;
}

static void alert_of_spread (skew_t *self, const char *name, const distribution_result_t *result)
{
    task_t *task = self->task;
    const task_thresholds_t *most = &task->setting.thresholds;
    if (result->psi > most->psi)
        alert (self, task_format (task, "%s: PSI %.3f is above %g", name, result->psi, most->psi));
    if (result->ks > most->ks)
        alert (self, task_format (task, "%s: Kolmogorov-Smirnov %.3f is above %g", name, result->ks,
                                  most->ks));
    if (fabs (result->null_rate) > most->null_rate)
        alert (self, task_format (task, "%s: %.1f %% are null in serving, %.1f %% in training",
                                  name, 100 * result->sides[SIDE_SERVING].null_rate,
                                  100 * result->sides[SIDE_TRAINING].null_rate));
}

static const char *output_name (const skew_t *self, size_t at)
{
    return self->target.plan->features[self->target.outputs[at]].name;
}

static void raise_alerts (skew_t *self)
{
    const skew_counts_t *counts = &self->counts;
    if (counts->mismatches > 0)
        alert (self, task_format (self->task,
                                  "%" PRIu64 " of %" PRIu64
                                  " answers are not what history gives where they stood",
                                  counts->mismatches, counts->compared));
    for (size_t i = 0; self->spreads != NULL && i < self->target.outputs_count; i++)
        if (self->spreads[i].in_training && self->spreads[i].problem == NULL)
            alert_of_spread (self, output_name (self, i), &self->spreads[i].result);
}

/* ---- the report ---- */

static void put_counts (const skew_counts_t *counts, buf_t *out)
{
    buf_printf (out,
                "\"answers\":%" PRIu64 ",\"compared\":%" PRIu64 ",\"mismatches\":%" PRIu64
                ",\"late\":%" PRIu64 ",\"removed\":%" PRIu64 ",\"incomplete\":%" PRIu64
                ",\"ahead\":%" PRIu64 ",\"other_version\":%" PRIu64 ",\"damaged\":%" PRIu64
                ",\"torn_bytes\":%" PRIu64,
                counts->answers, counts->compared, counts->mismatches, counts->late,
                counts->removed, counts->incomplete, counts->ahead, counts->versions,
                counts->damaged, counts->torn);
}

static void put_side (const distribution_summary_t *side, bool words, buf_t *out)
{
    buf_printf (out, "{\"count\":%" PRIu64 ",\"nulls\":%" PRIu64 ",\"null_rate\":", side->count,
                side->nulls);
    put_float (out, side->null_rate);
    if (words)
        buf_printf (out, ",\"distinct\":%" PRIu64, side->distinct);
    if (side->has_numbers) {
        buf_put_string (out, ",\"mean\":");
        put_float (out, side->mean);
        buf_put_string (out, ",\"quantiles\":{");
        for (int i = 0; i < DISTRIBUTION_QUANTILES; i++) {
            buf_printf (out, "%s\"%g\":", i > 0 ? "," : "", distribution_quantiles[i]);
            put_float (out, side->quantiles[i]);
        }
        buf_put_u8 (out, '}');
    }
    buf_put_u8 (out, '}');
}

static void put_spread (const skew_t *self, size_t at, buf_t *out)
{
    const skew_spread_t *spread = &self->spreads[at];
    const plan_feature_t *feature = &self->target.plan->features[self->target.outputs[at]];
    buf_put_string (out, "{\"feature\":");
    number_format_json_string (out, text_of (feature->name));
    buf_put_string (out, ",\"type\":");
    number_format_json_string (out, text_of (feature->type_text));
    if (!spread->in_training || spread->problem != NULL) {
        buf_put_string (out, ",\"problem\":");
        number_format_json_string (
            out,
            text_of (spread->problem ? spread->problem : "the training set has no such column"));
        buf_put_u8 (out, '}');
        return;
    }
    bool words = distribution_kind_of (feature->type.type) == DISTRIBUTION_WORDS;
    buf_put_string (out, ",\"training\":");
    put_side (&spread->result.sides[SIDE_TRAINING], words, out);
    buf_put_string (out, ",\"serving\":");
    put_side (&spread->result.sides[SIDE_SERVING], words, out);
    buf_put_string (out, ",\"psi\":");
    put_float (out, spread->result.psi);
    buf_put_string (out, ",\"ks\":");
    put_float (out, spread->result.ks);
    buf_put_string (out, ",\"null_rate_difference\":");
    put_float (out, spread->result.null_rate);
    buf_put_u8 (out, '}');
}

static void put_list (const char *name, const char *const *items, size_t count, bool quoted,
                      buf_t *out)
{
    buf_printf (out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        if (quoted)
            number_format_json_string (out, text_of (items[i]));
        else
            buf_put_string (out, items[i]);
    }
    buf_put_u8 (out, ']');
}

static void put_report (const skew_t *self, buf_t *out)
{
    buf_put_string (out, "{\"name\":");
    number_format_json_string (out, self->order->name);
    buf_printf (out, ",\"version\":\"v%" PRIu32 "\",\"since\":\"", self->target.version);
    time_format (out, self->order->since);
    buf_put_string (out, "\",");
    put_counts (&self->counts, out);
    put_list ("shown", self->shown, self->shown_count, false, out);
    if (self->spreads != NULL) {
        buf_put_string (out, ",\"distributions\":[");
        for (size_t i = 0; i < self->target.outputs_count; i++) {
            if (i > 0)
                buf_put_u8 (out, ',');
            put_spread (self, i, out);
        }
        buf_put_u8 (out, ']');
    }
    put_list ("alerts", self->alerts, self->alerts_count, true, out);
    buf_put_u8 (out, '}');
}

status_t skew_report (skew_t *self, error_t *error)
{
    task_t *task = self->task;
    buf_t out;
    raise_alerts (self);
    buf_init (&out, SKEW_REPORT_MAX);
    put_report (self, &out);
    status_t status = STATUS_OK;
    if (out.bad)
        status =
            error_set (error, STATUS_TOO_LARGE, "the report is over %d KiB", SKEW_REPORT_MAX >> 10);
    else
        task->skewed = (task_skewed_t){
            .report =
                arena_string (task->arena, (text_t){ (const char *)out.data, (uint32_t)out.size }),
            .compared = self->counts.compared,
            .mismatches = self->counts.mismatches,
            .late = self->counts.late,
            .alerts = arena_alloc (task->arena, sizeof self->alerts),
            .alerts_count = self->alerts_count,
        };
    if (status == STATUS_OK)
        memcpy (task->skewed.alerts, self->alerts, sizeof self->alerts);
    task->rows = self->counts.compared;
    buf_release (&out);
    return status;
}
