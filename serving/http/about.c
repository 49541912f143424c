/* about.c - what is told of the node: /health, /metrics and /openapi.json. */
#include "client/api/ask.h"
#include "serving/http/endpoints.h"

#include "base/number.h"

#include <inttypes.h>
#include <math.h>

enum { HEALTH_MS = 1000, METRICS_MS = 2000 };

void handle_openapi (exchange_t *exchange)
{
    endpoints_describe (http_has_tokens (exchange->http), &exchange->answer);
    exchange_answer (exchange, 200, "application/json");
}

/* ---- health ---- */

static void pinged (void *arg, const message_t *reply, const error_t *error)
{
    exchange_t *exchange = arg;
    (void)error;
    exchange_answer (exchange, reply && http_model (exchange->http) ? 200 : 503, NULL);
}

/* A node whose core is stuck does not answer, and one that knows no definitions answers nothing
 * else. */
void handle_health (exchange_t *exchange)
{
    api_ask (http_weir (exchange->http), CLIENT_SERVING, MESSAGE_PING, HEALTH_MS, pinged, exchange);
}

/* ---- metrics ---- */

static bool is_letter (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_number (const wire_value_t *value)
{
    return value->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
           value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
           value->type == MSGPACK_OBJECT_FLOAT64 || value->type == MSGPACK_OBJECT_FLOAT32 ||
           value->type == MSGPACK_OBJECT_BOOLEAN;
}

static void put_number (const wire_value_t *value, buf_t *out)
{
    switch (value->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        buf_printf (out, "%" PRIu64, value->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        buf_printf (out, "%" PRId64, value->via.i64);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        buf_put_string (out, value->via.boolean ? "1" : "0");
        break;
    default:
        if (isinf (value->via.f64))
            buf_put_string (out, value->via.f64 > 0 ? "+Inf" : "-Inf");
        else
            number_format_float (out, value->via.f64);
        break;
    }
}

/* "weir_NAME{node="serving-1"} 12"; a name of other characters than Prometheus' has _ for them. */
static void put_metric (const char *node, text_t name, const wire_value_t *value, buf_t *out)
{
    char own[128] = "weir_";
    size_t size = 5;
    for (uint32_t i = 0; i < name.size && size < sizeof own - 1; i++)
        own[size++] = is_letter (name.data[i]) ? name.data[i] : '_';
    own[size] = '\0';
    buf_printf (out, "# TYPE %s untyped\n%s{node=\"%s\"} ", own, own, node);
    put_number (value, out);
    buf_put_u8 (out, '\n');
}

static void measured (void *arg, const message_t *reply, const error_t *error)
{
    exchange_t *exchange = arg;
    trouble_t trouble;
    if (!reply) {
        (void)trouble_told (&trouble, (int32_t)error->status, error->retry_ms, error->text);
        exchange_trouble (exchange, &trouble);
        return;
    }
    const wire_value_t *values = wire_map (reply->body, "values");
    for (uint32_t i = 0; i < values->via.map.size; i++) {
        const msgpack_object_kv *pair = &values->via.map.ptr[i];
        if (pair->key.type == MSGPACK_OBJECT_STR && is_number (&pair->val))
            put_metric (http_node (exchange->http), wire_item_text (&pair->key), &pair->val,
                        &exchange->answer);
    }
    http_write_metrics (exchange->http, &exchange->answer);
    exchange_answer (exchange, 200, "text/plain; version=0.0.4; charset=utf-8");
}

void handle_metrics (exchange_t *exchange)
{
    api_ask (http_weir (exchange->http), CLIENT_SERVING, MESSAGE_METRICS, METRICS_MS, measured,
             exchange);
}
