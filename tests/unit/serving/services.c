/* Services in a `get`: one answer made of several views, for several entities of a request. */
#include "base/random.h"
#include "tests/unit/serving/house.h"

enum { ENTITIES = 40, OUTPUTS = 8 };

/* One entity as it is asked for; words and weights are there or not. */
typedef struct entity {
    unsigned sender, receiver;
    bool extra, word, weight;
    int64_t as_of;
} entity_t;

static void start (house_t *house, uint64_t seed)
{
    house_init (house, seed);
    house->service = true;
    house->definitions = house->owners_definitions = 2;
    house_pass (house, TIME_SECOND);
    house_add (house, 200);
    house_publish (house, 2, true, false);
    house_add (house, 150);
    house_pass (house, TIME_SECOND);
}

static void put_request (house_t *house, const entity_t *entity)
{
    if (entity->extra)
        wire_field_int (house->writer, "extra", entity->sender + 1);
    if (entity->word)
        wire_field_string (house->writer, "word", payments_user (entity->receiver));
    if (entity->weight)
        wire_field_string (house->writer, "weight", "0.25"); /* as the command line sends it */
}

/* `apart`: the request's values are in a list of their own. */
static void put_entities (house_t *house, const entity_t *entities, size_t count, bool apart)
{
    wire_field_list (house->writer, "keys");
    for (size_t i = 0; i < count; i++) {
        wire_open_map (house->writer);
        wire_field_string (house->writer, "sender", payments_user (entities[i].sender));
        wire_field_string (house->writer, "receiver", payments_user (entities[i].receiver));
        if (!apart)
            put_request (house, &entities[i]);
        wire_close (house->writer);
    }
    wire_close (house->writer);
    if (!apart)
        return;
    wire_field_list (house->writer, "request");
    for (size_t i = 0; i < count; i++) {
        wire_open_map (house->writer);
        put_request (house, &entities[i]);
        wire_close (house->writer);
    }
    wire_close (house->writer);
}

static void begin (house_t *house, const char *service)
{
    wire_begin (house->writer, MESSAGE_GET, house->next_id++);
    wire_field_string (house->writer, "view", service);
}

static void put_times (house_t *house, const entity_t *entities, size_t count)
{
    wire_field_list (house->writer, "as_ofs");
    for (size_t i = 0; i < count; i++)
        wire_put_int (house->writer, entities[i].as_of);
    wire_close (house->writer);
}

static const entity_t one = { 1, 2, true, true, true, 0 };

static void ask_one (house_t *house)
{
    begin (house, "model");
    put_entities (house, &one, 1, false);
}

/* ---- against the views ---- */

/* What a view answers for the senders or receivers; a copy of the reply's bytes. */
typedef struct by_hand {
    wire_decoder_t *decoder;
    uint8_t *bytes;
    message_t message;
} by_hand_t;

static by_hand_t ask_view (house_t *house, const char *view, const entity_t *entities, bool senders)
{
    unsigned users[ENTITIES];
    by_hand_t got = { .decoder = wire_decoder_new () };
    for (size_t i = 0; i < ENTITIES; i++)
        users[i] = senders ? entities[i].sender : entities[i].receiver;
    house_get (house, view, users, ENTITIES);
    put_times (house, entities, ENTITIES);
    if (strcmp (view, "visits") == 0) {
        wire_field_list (house->writer, "request");
        for (size_t i = 0; i < ENTITIES; i++) {
            wire_open_map (house->writer);
            if (entities[i].extra)
                wire_field_int (house->writer, "extra", entities[i].sender + 1);
            wire_close (house->writer);
        }
        wire_close (house->writer);
    }
    house_ask (house);
    house_pass (house, HOUSE_DEADLINE + TIME_SECOND);
    cr_assert (house_answered (house));
    size_t size = house->replies->size;
    got.bytes = mem_alloc (size);
    memcpy (got.bytes, house->replies->data, size);
    (void)house_reply (house, MESSAGE_GET_OK);
    error_t error;
    cr_assert_eq (wire_decode (got.decoder, got.bytes, size, &got.message, &error), STATUS_OK);
    return got;
}

static void release (by_hand_t *got)
{
    wire_decoder_destroy (&got->decoder);
    mem_free (got->bytes);
}

static const wire_value_t *value_named (const message_t *message, uint32_t result, const char *name)
{
    wire_list_t names = wire_list (message->body, "features");
    wire_list_t results = wire_list (message->body, "results");
    cr_assert_lt (result, results.count);
    for (uint32_t i = 0; i < names.count; i++)
        if (text_is (wire_item_text (&names.items[i]), name))
            return &wire_list (&results.items[result], "values").items[i];
    cr_assert (false, "%s is not answered", name);
    return NULL;
}

/* To the bit; maps are compared as they are printed. */
static bool same (const wire_value_t *a, const wire_value_t *b)
{
    char text[2][4096];
    if (a->type == MSGPACK_OBJECT_FLOAT64 && b->type == MSGPACK_OBJECT_FLOAT64)
        return memcmp (&a->via.f64, &b->via.f64, sizeof a->via.f64) == 0;
    (void)msgpack_object_print_buffer (text[0], sizeof text[0], *a);
    (void)msgpack_object_print_buffer (text[1], sizeof text[1], *b);
    return a->type == b->type && strcmp (text[0], text[1]) == 0;
}

static bool is_nil (const wire_value_t *value)
{
    return value->type == MSGPACK_OBJECT_NIL;
}

/* What is made of the views' values and the request. */
static void check_made (const message_t *got, const message_t *mine, const message_t *yours,
                        uint32_t i, const entity_t *entity)
{
    const wire_value_t *share = value_named (got, i, "share");
    const wire_value_t *a = value_named (mine, i, "s_7d"), *b = value_named (yours, i, "s_7d");
    bool known = entity->weight && !is_nil (a) && !is_nil (b) && a->via.f64 + b->via.f64 != 0;
    double expected = known ? 0.25 * a->via.f64 / (a->via.f64 + b->via.f64) : 0;
    cr_assert_eq (share->via.f64, expected);
    cr_assert_eq (value_named (got, i, "same")->via.boolean, entity->sender == entity->receiver);
    cr_assert_eq (value_named (got, i, "weight")->via.f64, entity->weight ? 0.25 : 0.5);
    const wire_value_t *word = value_named (got, i, "word");
    cr_assert (entity->word ? text_is (wire_item_text (word), payments_user (entity->receiver))
                            : is_nil (word));
    const wire_value_t *most = value_named (got, i, "mine:m_1h");
    const wire_value_t *most_mine = value_named (mine, i, "m_1h");
    cr_assert (is_nil (most_mine) ? most->type == MSGPACK_OBJECT_NEGATIVE_INTEGER
                                  : same (most, most_mine));
}

/* Which roles a feature is said to be made of, and whose latest event each role tells. */
static void check_roles (const message_t *got, const by_hand_t *seen, const by_hand_t *mine,
                         const by_hand_t *yours)
{
    wire_list_t roles = wire_list (got->body, "roles"), reads = wire_list (got->body, "reads");
    wire_list_t names = wire_list (got->body, "features");
    wire_list_t results = wire_list (got->body, "results");
    uint64_t bit_mine = 0, bit_yours = 0, bit_seen = 0;
    cr_assert_eq (roles.count, 3);
    cr_assert_eq (reads.count, names.count);
    for (uint32_t r = 0; r < 3; r++) {
        text_t role = wire_item_text (&roles.items[r]);
        bool is_mine = text_is (role, "mine"), is_yours = text_is (role, "yours");
        const by_hand_t *by_hand = is_mine ? mine : is_yours ? yours : seen;
        *(is_mine ? &bit_mine : is_yours ? &bit_yours : &bit_seen) = UINT64_C (1) << r;
        for (uint32_t i = 0; i < results.count; i++) {
            wire_list_t latest = wire_list (&results.items[i], "latest");
            const wire_value_t *own = &wire_list (by_hand->message.body, "results").items[i];
            cr_assert_eq (latest.count, 3);
            cr_assert_eq (wire_item_int (&latest.items[r]),
                          wire_item_int (&wire_list (own, "latest").items[0]));
        }
    }
    for (uint32_t i = 0; i < names.count; i++) {
        text_t name = wire_item_text (&names.items[i]);
        uint64_t expected = text_is (name, "share")        ? bit_mine | bit_yours
                            : text_is (name, "mine:m_1h")  ? bit_mine
                            : text_is (name, "yours:s_7d") ? bit_yours
                            : name.size > 5 && !memcmp (name.data, "seen:", 5) ? bit_seen
                                                                               : 0;
        cr_assert_eq (wire_item_uint (&reads.items[i]), expected, TEXT_FORMAT, TEXT_ARGS (name));
    }
}

static void check_against_views (house_t *house, random_t *random, bool apart)
{
    entity_t entities[ENTITIES];
    for (size_t i = 0; i < ENTITIES; i++)
        entities[i] = (entity_t){ .sender = (unsigned)random_below (random, PAYMENTS_USERS),
                                  .receiver = (unsigned)random_below (random, PAYMENTS_USERS),
                                  .extra = random_chance (random, 0.7),
                                  .word = random_chance (random, 0.7),
                                  .weight = random_chance (random, 0.7),
                                  .as_of = house->rig.clock -
                                           (int64_t)random_below (random, (uint64_t)TIME_WEEK) *
                                               (int64_t)random_below (random, 2) };
    by_hand_t seen = ask_view (house, "visits", entities, true);
    by_hand_t mine = ask_view (house, "spend", entities, true);
    by_hand_t yours = ask_view (house, "spend", entities, false);
    begin (house, "model");
    put_entities (house, entities, ENTITIES, apart);
    put_times (house, entities, ENTITIES);
    house_ask (house);
    house_pass (house, HOUSE_DEADLINE + TIME_SECOND);
    message_t got = house_reply (house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (got.body, "results");
    check_roles (&got, &seen, &mine, &yours);
    cr_assert_eq (results.count, ENTITIES);
    cr_assert_eq (wire_list (got.body, "features").count, OUTPUTS);
    for (uint32_t i = 0; i < ENTITIES; i++) {
        cr_assert (wire_bool (&results.items[i], "complete", false));
        cr_assert_eq (wire_int (&results.items[i], "as_of", 0), entities[i].as_of);
        cr_assert (
            same (value_named (&got, i, "yours:s_7d"), value_named (&yours.message, i, "s_7d")));
        cr_assert (
            same (value_named (&got, i, "seen:twice"), value_named (&seen.message, i, "twice")));
        cr_assert (same (value_named (&got, i, "seen:by_items"),
                         value_named (&seen.message, i, "by_items")));
        check_made (&got, &mine.message, &yours.message, i, &entities[i]);
    }
    release (&seen);
    release (&mine);
    release (&yours);
}

Test (services, answer_what_their_views_answer_put_together)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        house_t house;
        random_t random;
        random_seed (&random, seed);
        start (&house, 90 + seed);
        for (int round = 0; round < 3; round++) {
            check_against_views (&house, &random, round == 1);
            house_add (&house, 60);
            if (round == 1)
                house_publish (&house, 2, false, false);
        }
        house_release (&house);
    }
}

/* ---- as a whole ---- */

static bool has_version (const wire_value_t *versions, const char *name, const char *version)
{
    return wire_has (versions, name) && text_is (wire_text (versions, name), version);
}

Test (services, say_what_an_answer_stands_on)
{
    house_t house;
    start (&house, 80);
    ask_one (&house);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    const wire_value_t *versions = wire_map (message.body, "versions");
    const wire_value_t *result = &wire_list (message.body, "results").items[0];
    cr_expect (text_is (wire_text (message.body, "view"), "model"));
    cr_expect (text_is (wire_text (message.body, "version"), "v1"));
    cr_expect_eq (versions->via.map.size, 3);
    cr_expect (has_version (versions, "model", "v1"));
    cr_expect (has_version (versions, "spend", "v2"));
    cr_expect (has_version (versions, "visits", "v1"));
    cr_expect (text_is (wire_text (result, "dataset"), "d1"), "all roles are over one log");
    const wire_value_t *positions = wire_map (result, "positions");
    unsigned partitions[] = { payments_partition (1, PARTITIONS),
                              payments_partition (2, PARTITIONS) };
    cr_expect_eq (positions->via.map.size, 1u + (partitions[0] != partitions[1]));
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        (void)snprintf (name, sizeof name, "payments/user/%u", partitions[i]);
        cr_expect_eq (wire_uint (positions, name, 0), house.next_offset[partitions[i]]);
    }
    const wire_value_t *key = wire_map (result, "key");
    cr_expect_eq (key->via.map.size, 2);
    cr_expect (text_is (wire_text (key, "receiver"), payments_user (2)));
    house_release (&house);
}

Test (services, ask_an_owner_for_all_roles_in_one_message)
{
    house_t house;
    start (&house, 81);
    entity_t entities[ENTITIES];
    for (unsigned i = 0; i < ENTITIES; i++)
        entities[i] =
            (entity_t){ .sender = i % PAYMENTS_USERS, .receiver = (i + 3) % PAYMENTS_USERS };
    uint64_t messages = house.messages, queries = house.queries;
    begin (&house, "model");
    put_entities (&house, entities, ENTITIES, false);
    house_ask (&house);
    cr_assert (house_answered (&house));
    cr_expect_eq (house.queries - queries, 3 * (house.messages - messages), "one of each role");
    house_release (&house);
}

Test (services, may_be_asked_for_some_features_and_need_only_their_roles)
{
    house_t house;
    start (&house, 82);
    static const char *const names[][3] = { { "same", "word", NULL }, { "seen:twice", NULL } };
    for (size_t i = 0; i < 2; i++) {
        uint64_t queries = house.queries;
        ask_one (&house);
        wire_field_list (house.writer, "features");
        for (const char *const *name = names[i]; *name; name++)
            wire_put_string (house.writer, *name);
        wire_close (house.writer);
        house_ask (&house);
        message_t message = house_reply (&house, MESSAGE_GET_OK);
        const wire_value_t *result = &wire_list (message.body, "results").items[0];
        cr_expect (wire_bool (result, "complete", false));
        cr_expect_eq (house.queries - queries, i, "roles that are asked");
        cr_expect_eq (wire_map (result, "positions")->via.map.size, i);
        cr_expect_eq (wire_map (message.body, "versions")->via.map.size, 1 + i);
    }
    house_release (&house);
}

Test (services, leave_out_events_at_the_time_when_they_say_before)
{
    house_t house;
    start (&house, 83);
    for (int own = 0; own < 2; own++) {
        begin (&house, "earlier");
        wire_field_list (house.writer, "keys");
        wire_open_map (house.writer);
        wire_field_string (house.writer, "user", payments_user (4));
        wire_close (house.writer);
        wire_close (house.writer);
        wire_field_int (house.writer, "as_of", house.rig.clock);
        if (own)
            wire_field_bool (house.writer, "before", true); /* says the same once more */
        house_ask (&house);
        message_t message = house_reply (&house, MESSAGE_GET_OK);
        const wire_value_t *result = &wire_list (message.body, "results").items[0];
        cr_expect_eq (wire_int (result, "as_of", 0), house.rig.clock - 1);
    }
    house_release (&house);
}

/* One role is answered at once, another only after more has come: both are asked again, and stand
 * at one position then. */
Test (services, stand_at_one_position_in_a_partition_of_a_log)
{
    house_t house;
    start (&house, 84);
    entity_t self = { 5, 5, true, false, true, house.rig.clock };
    house.silent_view = "visits";
    begin (&house, "model");
    put_entities (&house, &self, 1, false);
    put_times (&house, &self, 1);
    house_ask (&house);
    cr_assert_not (house_answered (&house));
    house_add (&house, 100);
    house.silent_view = NULL;
    house_pass (&house, TIME_SECOND);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    const wire_value_t *result = &wire_list (message.body, "results").items[0];
    cr_assert (wire_bool (result, "complete", false));
    uint32_t partition = payments_partition (5, PARTITIONS);
    char name[64];
    (void)snprintf (name, sizeof name, "payments/user/%u", partition);
    cr_assert_eq (wire_uint (wire_map (result, "positions"), name, 0),
                  house.next_offset[partition]);
    value_t expected = payments_expected (2, 3, house.payments, house.payments_count, 5, 0,
                                          UINT64_MAX, self.as_of);
    const wire_value_t *got = value_named (&message, 0, "yours:s_7d");
    cr_assert (expected.null ? is_nil (got) : got->via.f64 == expected.f,
               "the role that was answered first has what came since");
    house_release (&house);
}

/* Likewise when another entity's owner never answers. */
Test (services, stand_at_one_position_beside_an_entity_that_is_incomplete)
{
    house_t house;
    start (&house, 84);
    unsigned other = 0;
    while (payments_partition (other, PARTITIONS) == payments_partition (5, PARTITIONS))
        other++;
    entity_t both[] = { { 5, 5, true, false, true, house.rig.clock },
                        { other, other, true, false, true, house.rig.clock } };
    house.silent_view = "visits";
    house.silent_partition = payments_partition (other, PARTITIONS) + 1;
    begin (&house, "model");
    put_entities (&house, both, 2, false);
    put_times (&house, both, 2);
    house_ask (&house);
    house_add (&house, 100);
    house.silent_view = NULL;
    house_pass (&house, HOUSE_DEADLINE + TIME_SECOND);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_assert (wire_bool (&results.items[0], "complete", false));
    cr_assert_not (wire_bool (&results.items[1], "complete", true));
    value_t expected = payments_expected (2, 3, house.payments, house.payments_count, 5, 0,
                                          UINT64_MAX, both[0].as_of);
    const wire_value_t *got = value_named (&message, 0, "yours:s_7d");
    cr_assert (expected.null ? is_nil (got) : got->via.f64 == expected.f);
    house_release (&house);
}

/* Owners are asked three times and answer late, the first time only some roles; what comes of the
 * third question finds its parts about to be asked for again. */
Test (services, take_no_answer_twice_when_roles_are_asked_again)
{
    house_t house;
    start (&house, 91);
    entity_t self = { 5, 5, true, false, true, house.rig.clock };
    house.owners = OWNERS_LATE;
    house.silent_view = "visits";
    begin (&house, "model");
    put_entities (&house, &self, 1, false);
    put_times (&house, &self, 1);
    house_ask (&house);
    house.silent_view = NULL;
    for (int again = 0; again < 2; again++) {
        house_add (&house, 100);
        house_pass (&house, 400 * TIME_MS);
    }
    house_answers (&house);
    house.owners = OWNERS_ANSWER;
    house_pass (&house, TIME_SECOND);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert (wire_bool (&wire_list (message.body, "results").items[0], "complete", false));
    value_t expected = payments_expected (2, 3, house.payments, house.payments_count, 5, 0,
                                          UINT64_MAX, self.as_of);
    const wire_value_t *got = value_named (&message, 0, "yours:s_7d");
    cr_assert (expected.null ? is_nil (got) : got->via.f64 == expected.f);
    house_release (&house);
}

Test (services, are_incomplete_when_a_role_is_and_say_so_once)
{
    house_t house;
    start (&house, 85);
    for (int refuse = 0; refuse < 2; refuse++) {
        house.silent_view = "visits";
        entity_t self = { 5, 5, true, false, true, 0 };
        begin (&house, "model");
        put_entities (&house, &self, 1, false);
        if (refuse)
            wire_field_bool (house.writer, "refuse_incomplete", true);
        house_ask (&house);
        house_pass (&house, HOUSE_DEADLINE + TIME_SECOND);
        if (refuse) {
            house_expect_error (&house, STATUS_UNAVAILABLE, "payments/user/");
            continue;
        }
        message_t message = house_reply (&house, MESSAGE_GET_OK);
        const wire_value_t *result = &wire_list (message.body, "results").items[0];
        cr_expect_not (wire_bool (result, "complete", true));
        cr_expect_eq (wire_list (result, "incomplete").count, 1, "all roles are over one log");
    }
    house_release (&house);
}

/* ---- what is refused ---- */

static void expect_refusal (house_t *house, status_t status, const char *text)
{
    house_ask (house);
    house_expect_error (house, status, text);
}

static void ask_with (house_t *house, const char *const *fields)
{
    begin (house, "model");
    wire_field_list (house->writer, "keys");
    wire_open_map (house->writer);
    for (; fields[0]; fields += 2)
        wire_field_string (house->writer, fields[0], fields[1]);
    wire_close (house->writer);
    wire_close (house->writer);
}

Test (services, refuse_what_is_no_entity_of_theirs)
{
    static const struct {
        const char *fields[8];
        status_t status;
        const char *text;
    } cases[] = {
        { { "sender", "a", NULL }, STATUS_INVALID, "the key lacks field 'receiver'" },
        { { "sender", "a", "reciever", "b", NULL },
          STATUS_NOT_FOUND,
          "'reciever' is neither a field of the key of service 'model' nor a value of its request; "
          "did you mean 'receiver'?" },
        { { "sender", "a", "receiver", "b", "extra", "much", NULL },
          STATUS_INVALID,
          "request value 'extra' takes a int64" },
        { { "sender", "a", "sender", "b", NULL }, STATUS_INVALID, "'sender' is given twice" },
    };
    house_t house;
    start (&house, 86);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask_with (&house, cases[i].fields);
        expect_refusal (&house, cases[i].status, cases[i].text);
    }
    house_release (&house);
}

Test (services, refuse_names_and_versions_that_do_not_exist)
{
    house_t house;
    start (&house, 87);
    begin (&house, "modle");
    put_entities (&house, &one, 1, false);
    expect_refusal (&house, STATUS_NOT_FOUND,
                    "there is no view or service 'modle'; did you mean 'model'?");
    begin (&house, "model@v2");
    put_entities (&house, &one, 1, false);
    expect_refusal (&house, STATUS_NOT_FOUND, "service 'model' has version v1, not v2");
    ask_one (&house);
    wire_field_list (house.writer, "features");
    wire_put_string (house.writer, "seen:twic");
    wire_close (house.writer);
    expect_refusal (&house, STATUS_NOT_FOUND,
                    "service 'model' has no feature 'seen:twic'; did you mean 'seen:twice'?");
    begin (&house, "model@v1");
    put_entities (&house, &one, 1, false);
    house_ask (&house);
    (void)house_reply (&house, MESSAGE_GET_OK);
    house_release (&house);
}

Test (services, count_an_entity_once_for_each_role)
{
    house_t house;
    start (&house, 88);
    enum { MANY = WIRE_KEYS_MAX / 3 + 1 };
    entity_t *entities = mem_zero (MANY, sizeof *entities);
    for (unsigned i = 0; i < MANY; i++)
        entities[i] = (entity_t){ .sender = i % PAYMENTS_USERS };
    begin (&house, "model");
    put_entities (&house, entities, MANY, false);
    expect_refusal (&house, STATUS_TOO_LARGE, "keys in 3 roles, over the limit of 4096");
    mem_free (entities);
    house_release (&house);
}

Test (services, hold_the_memory_of_all_roles_within_a_query)
{
    house_t house;
    house_init_limited (&house, 89, 16 << 10);
    house.service = true;
    house.definitions = house.owners_definitions = 2;
    house_pass (&house, TIME_SECOND);
    entity_t entities[ENTITIES] = { 0 };
    begin (&house, "model");
    put_entities (&house, entities, ENTITIES, false);
    expect_refusal (&house, STATUS_TOO_LARGE, "ask for fewer keys or features at a time");
    ask_one (&house);
    house_ask (&house);
    (void)house_reply (&house, MESSAGE_GET_OK);
    house_release (&house);
}
