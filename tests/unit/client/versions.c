/* Versions that come in pages, from a played coordinator: good pages, and such as would never end.
 */
#include "base/check.h"
#include "base/mem.h"
#include "client/lib/client.h"
#include "tests/rig/node.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite (versions, .timeout = 60);

enum { TOLD_MAX = 8 };

typedef enum behaviour { GOOD, REPEATS, STANDS_STILL, DESCENDS, BREAKS_OFF } behaviour_t;

typedef struct played {
    rig_node_t node;
    behaviour_t behaviour;
    unsigned asked;
    char after[TOLD_MAX][64]; /* as the questions had it */
    bool named;               /* the last one */
} played_t;

static void put_version (wire_writer_t *writer, const char *kind, const char *name,
                         uint64_t version)
{
    wire_open_map (writer);
    wire_field_string (writer, "kind", kind);
    wire_field_string (writer, "name", name);
    wire_field_uint (writer, "version", version);
    wire_field_string (writer, "state", "live");
    wire_field_int (writer, "created", 0);
    wire_field_string (writer, "author", "");
    wire_field_string (writer, "message", "");
    wire_field_list (writer, "annotations");
    wire_close (writer);
    wire_close (writer);
}

/* Numbers above 9 come after 9, and services before views, whatever their names. */
static void put_good (wire_writer_t *writer, unsigned page)
{
    if (page == 0) {
        put_version (writer, "service", "z", 9);
        put_version (writer, "service", "z", 10);
    } else if (page == 1) {
        put_version (writer, "view", "a", 1);
    } else {
        put_version (writer, "view", "a", 2);
        put_version (writer, "view", "b", 1);
    }
}

static void put_page (played_t *self, wire_writer_t *writer, const message_t *message)
{
    unsigned page = self->asked++;
    const wire_value_t *after = wire_map (message->body, "after");
    self->named = wire_has (message->body, "name");
    if (after && page < TOLD_MAX)
        (void)snprintf (self->after[page], sizeof self->after[page],
                        TEXT_FORMAT " " TEXT_FORMAT " %d", TEXT_ARGS (wire_text (after, "kind")),
                        TEXT_ARGS (wire_text (after, "name")),
                        (int)wire_uint (after, "version", 0));
    wire_begin (writer, MESSAGE_VERSIONS_OK, message->id);
    wire_field_list (writer, "versions");
    if (self->behaviour != STANDS_STILL || page == 0)
        put_good (writer, self->behaviour == REPEATS ? 0 : page);
    if (self->behaviour == DESCENDS)
        put_version (writer, "service", "y", 11);
    wire_close (writer);
    if (self->behaviour != GOOD || page < 2)
        wire_field_bool (writer, "more", true);
}

static void answer (void *arg, const rig_reply_t *reply, const message_t *message)
{
    played_t *self = arg;
    if (message->kind == MESSAGE_PING) {
        rig_reply_pong (reply, message, "coordinator", "c");
        return;
    }
    CHECK (message->kind == MESSAGE_VERSIONS);
    if (self->behaviour == BREAKS_OFF && self->asked == 1) {
        self->asked++;
        wire_begin (reply->writer, MESSAGE_ERROR, message->id);
        wire_field_string (reply->writer, "status", status_word (STATUS_NOT_FOUND));
        wire_field_string (reply->writer, "text", "it is gone");
    } else {
        put_page (self, reply->writer, message);
    }
    rig_reply_send (reply);
}

typedef struct taken {
    buf_t text; /* "a@1 " … */
} taken_t;

static void take (void *arg, const wire_value_t *version)
{
    taken_t *self = arg;
    buf_printf (&self->text, TEXT_FORMAT "@%d ", TEXT_ARGS (wire_text (version, "name")),
                (int)wire_uint (version, "version", 0));
}

static status_t ask (played_t *self, behaviour_t behaviour, const char *name, taken_t *taken,
                     error_t *error)
{
    client_t *weir;
    *self = (played_t){ .node = { .answer = answer, .arg = self }, .behaviour = behaviour };
    buf_init (&taken->text, 1 << 12);
    rig_node_start (&self->node, "coordinator");
    cr_assert_eq (client_connect (self->node.endpoint, &weir, error), STATUS_OK);
    status_t status = client_versions (weir, name, take, taken, error);
    client_close (&weir);
    rig_node_stop (&self->node);
    return status;
}

Test (versions, of_all_pages_come_in_order)
{
    static played_t played;
    taken_t taken;
    error_t error;
    cr_assert_eq (ask (&played, GOOD, "a", &taken, &error), STATUS_OK, "%s", error.text);
    cr_expect_str_eq (buf_string (&taken.text), "z@9 z@10 a@1 a@2 b@1 ");
    cr_expect_str_eq (played.after[0], "");
    cr_expect_str_eq (played.after[1], "service z 10");
    cr_expect_str_eq (played.after[2], "view a 1");
    cr_expect (played.named);
    cr_expect_eq (played.asked, 3);
    buf_release (&taken.text);
}

Test (versions, end_with_a_coordinator_whose_pages_do_not)
{
    static played_t played;
    taken_t taken;
    error_t error;
    for (behaviour_t behaviour = REPEATS; behaviour <= DESCENDS; behaviour++) {
        cr_expect_eq (ask (&played, behaviour, NULL, &taken, &error), STATUS_CORRUPT);
        cr_expect_eq (played.asked, behaviour == DESCENDS ? 1 : 2);
        cr_expect_not (played.named);
        cr_expect_str_eq (buf_string (&taken.text), "z@9 z@10 ");
        buf_release (&taken.text);
    }
}

Test (versions, tell_what_failed_between_pages)
{
    static played_t played;
    taken_t taken;
    error_t error;
    cr_expect_eq (ask (&played, BREAKS_OFF, NULL, &taken, &error), STATUS_NOT_FOUND);
    cr_expect_not_null (strstr (error.text, "it is gone"), "%s", error.text);
    buf_release (&taken.text);
}
