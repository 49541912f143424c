/* http_model.h - definitions as a coordinator tells them, for the readers of HTTP's bodies. */
#ifndef WEIR_FUZZ_HTTP_MODEL_H
#define WEIR_FUZZ_HTTP_MODEL_H

#include "base/check.h"
#include "member/model.h"

static const char http_stream[] =
    "streams:\n  payments:\n    key: user_id\n    time: ts\n    fields:\n      user_id: string\n"
    "      shop: int64\n      amount: float64\n      ts: timestamp\n";
static const char http_spend[] =
    "views:\n  spend:\n    from: payments\n    features:\n      n: count()\n"
    "      total: sum(amount) over 1h, 7d\n";
static const char http_pairs[] =
    "views:\n  pairs:\n    from: payments\n    key: [user_id, shop]\n"
    "    request: {least: float64}\n    features:\n      n: count()\n      top: max(amount)\n"
    "    derived:\n      above: top > least\n";
static const char http_all[] = "views:\n  everything:\n    from: payments\n    key: []\n"
                               "    features:\n      n_all: count()\n";

static const char http_service[] =
    "services:\n  model:\n    views:\n      buyer: {view: spend, key: {user_id: buyer_id}}\n"
    "      seller: {view: spend, key: {user_id: seller_id}}\n    request: {amount: float64}\n"
    "    features: ['buyer:total_7d', 'seller:n', 'buyer:n', amount, ratio, who]\n"
    "    derived:\n      ratio: amount / buyer.total_7d\n      who: buyer_id\n"
    "    preprocess:\n      who: {encode: {one_hot: ['a:b', c]}}\n";

static void http_object (wire_writer_t *writer, const char *kind, const char *name,
                         const char *text, uint64_t version)
{
    wire_open_map (writer);
    wire_field_string (writer, "kind", kind);
    wire_field_string (writer, "name", name);
    wire_field_uint (writer, "version", version);
    wire_field_string (writer, "text", text);
    wire_close (writer);
}

/* Of version 7, with `spend` as v2. */
static model_t *http_model_new (void)
{
    const void *data;
    size_t size;
    message_t message;
    model_t *model;
    error_t error;
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    wire_begin (writer, MESSAGE_DEFINITIONS_OK, 1);
    wire_field_uint (writer, "version", 7);
    wire_field_list (writer, "objects");
    http_object (writer, "stream", "payments", http_stream, 1);
    http_object (writer, "view", "spend", http_spend, 2);
    http_object (writer, "view", "pairs", http_pairs, 1);
    http_object (writer, "view", "everything", http_all, 1);
    http_object (writer, "service", "model", http_service, 3);
    wire_close (writer);
    CHECK (wire_end (writer, &data, &size));
    status_t status = wire_decode (decoder, data, size, &message, &error);
    CHECK (status == STATUS_OK);
    status = model_from_message (message.body, &model, &error);
    CHECK (status == STATUS_OK);
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
    return model;
}

#endif
