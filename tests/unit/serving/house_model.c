/* The definitions that a house has. */
#include "tests/unit/serving/house.h"

static const char by_items[] = "views:\n"
                               "  by_items:\n"
                               "    from: payments\n"
                               "    key: items\n"
                               "    features: {n: count()}\n";

static const char *const shrinks[] = { "views:\n"
                                       "  shrinks:\n"
                                       "    from: payments\n"
                                       "    features: {a: count(), b: sum(items), c: max(items)}\n",
                                       "views:\n"
                                       "  shrinks:\n"
                                       "    from: payments\n"
                                       "    features: {b: sum(items)}\n" };

/* Its features are those of `spend`. */
static const char moves[] = "streams:\n"
                            "  refunds:\n"
                            "    key: user\n"
                            "    time: ts\n"
                            "    fields:\n"
                            "      user: {type: string, required: true}\n"
                            "      amount: float64\n"
                            "      items: int64\n"
                            "      ts: {type: timestamp, unit: us}\n"
                            "views:\n"
                            "  moves:\n"
                            "    from: [payments, refunds]\n"
                            "    features:\n"
                            "      n: count() over 1h, lifetime\n"
                            "      s: sum(amount) over 1h, 7d\n"
                            "      m: max(items) over 1h\n"
                            "      l: last(items)\n";

static const char service[] = "services:\n"
                              "  model:\n"
                              "    views:\n"
                              "      seen: {view: visits, key: {user: sender}}\n"
                              "      mine: {view: spend, key: {user: sender}}\n"
                              "      yours: {view: spend, key: {user: receiver}}\n"
                              "    request: {extra: int64, word: string, weight: float64}\n"
                              "    features:\n"
                              "      - yours:s_7d\n"
                              "      - seen:twice\n"
                              "      - seen:by_items\n"
                              "      - {feature: \"mine:m_1h\", default: -1}\n"
                              "      - word\n"
                              "      - share\n"
                              "      - same\n"
                              "      - {feature: weight, default: 0.5}\n"
                              "    derived:\n"
                              "      share: {expr: weight * mine.s_7d / sum, default: 0}\n"
                              "      sum: mine.s_7d + yours.s_7d\n"
                              "      same: sender = receiver\n"
                              "  earlier:\n"
                              "    as_of: before\n"
                              "    views: visits\n"
                              "    features: [\"visits:visits\"]\n";

void house_write_definitions (const house_t *self, uint64_t version, wire_writer_t *writer)
{
    if (self->moves)
        payments_write_definitions_and (writer, version, "refunds", moves);
    else if (self->shrinks)
        payments_write_definitions_and (writer, version, "shrinks", shrinks[version > 1]);
    else if (self->service)
        payments_write_definitions_and (writer, version, "model", service);
    else
        payments_write_definitions_and (writer, version, self->other_key ? "by_items" : NULL,
                                        by_items);
}

model_t *house_owners_model (const house_t *self)
{
    if (!self->moves)
        return payments_model (self->owners_definitions);
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    message_t message;
    model_t *model;
    error_t error;
    const void *data;
    size_t size;
    wire_begin (writer, MESSAGE_DEFINITIONS_OK, 1);
    house_write_definitions (self, self->owners_definitions, writer);
    cr_assert (wire_end (writer, &data, &size));
    cr_assert_eq (wire_decode (decoder, data, size, &message, &error), STATUS_OK);
    cr_assert_eq (model_from_message (message.body, &model, &error), STATUS_OK, "%s", error.text);
    wire_writer_destroy (&writer);
    wire_decoder_destroy (&decoder);
    return model;
}

void house_take_damages (house_t *self, wire_list_t damaged)
{
    self->damaged_views = self->damaged_runs = 0;
    for (uint32_t i = 0; i < damaged.count; i++) {
        bool view = text_is (wire_text (&damaged.items[i], "kind"), "view");
        self->damaged_views += view;
        self->damaged_runs += !view;
    }
}
