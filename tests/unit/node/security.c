/* security.c - a node's keys, and what may reach its core. */
#include "node/security.h"

#include "base/mem.h"
#include "base/timestamp.h"
#include "tests/rig/scratch.h"
#include "wire/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static error_t error;
static scratch_t scratch;
static project_t *project;
static security_t security;
static wire_writer_t *writer;
static wire_decoder_t *decoder;

/* ---- a world that remembers what was sent and said ---- */

typedef struct world {
    env_t env;
    int64_t boot_us;
    char status[WIRE_NAME_MAX + 1]; /* of the error sent last */
    uint64_t id;
    unsigned sent;
    unsigned warnings;
    char said[ERROR_TEXT_MAX];
} world_t;

static world_t world;

static void world_send (env_t *env, const peer_t *to, const void *data, size_t size)
{
    message_t message;
    (void)env;
    cr_assert_eq (to->incoming, 1);
    cr_assert_eq (wire_decode (decoder, data, size, &message, &error), STATUS_OK);
    cr_assert_eq (message.kind, MESSAGE_ERROR);
    wire_copy (message.body, "status", world.status, sizeof world.status);
    world.id = message.id;
    world.sent++;
}

static int64_t world_boot_us (env_t *env)
{
    (void)env;
    return world.boot_us;
}

static void world_log (env_t *env, log_level_t level, const char *text)
{
    (void)env;
    world.warnings += level >= LOG_WARNING;
    snprintf (world.said, sizeof world.said, "%s", text);
}

static void set_up (void)
{
    scratch_make (&scratch);
    cr_assert_eq (project_parse (scratch.path, text_of ("cluster: shop\nsecurity: {keys: k}\n"),
                                 &project, &error),
                  STATUS_OK);
    writer = wire_writer_new ();
    decoder = wire_decoder_new ();
    world = (world_t){ .env = { .send = world_send, .boot_us = world_boot_us, .log = world_log },
                       .boot_us = TIME_HOUR };
}

static void tear_down (void)
{
    security_release (&security);
    wire_writer_destroy (&writer);
    wire_decoder_destroy (&decoder);
    project_destroy (&project);
    scratch_remove (&scratch);
}

TestSuite (security, .init = set_up, .fini = tear_down, .timeout = 60);

static void generate (const char *name, peer_role_t role)
{
    cr_assert_eq (key_generate (scratch_path (&scratch, "k"), name, role, &error), STATUS_OK, "%s",
                  error.text);
}

static status_t open_keys (const char *name, const char *key, keyring_t **keyring)
{
    security_release (&security);
    return security_open (&security, project, name, key, keyring, &error);
}

/* Expects the node not to start, for a reason that says `text`. */
static void expect_refused (const char *key, const char *text)
{
    keyring_t *keyring;
    cr_assert_neq (open_keys ("serving-1", key, &keyring), STATUS_OK);
    cr_assert_null (keyring);
    cr_assert (strstr (error.text, text), "\"%s\" does not say \"%s\"", error.text, text);
}

/* ---- keys ---- */

Test (security, without_keys_a_node_is_told_how_to_make_them)
{
    expect_refused (NULL, "weir keygen node --role node");
    generate ("client", ROLE_ADMIN);
    expect_refused (NULL, "weir keygen node --role node");
    expect_refused (scratch_path (&scratch, "k/client.secret"), "is not accepted as a node's");
    generate ("node", ROLE_NODE);
    cr_assert_eq (chmod (scratch_path (&scratch, "k/node.secret"), 0644), 0);
    expect_refused (NULL, "chmod 600");
}

Test (security, a_node_has_the_key_of_its_name_or_the_common_one)
{
    keyring_t *keyring;
    char common[KEY_TEXT_SIZE + 1];
    generate ("node", ROLE_NODE);
    cr_assert_eq (open_keys ("serving-1", NULL, &keyring), STATUS_OK, "%s", error.text);
    memcpy (common, keyring_own (keyring)->public, sizeof common);
    keyring_destroy (&keyring);
    generate ("serving-1", ROLE_NODE);
    cr_assert_eq (open_keys ("serving-1", NULL, &keyring), STATUS_OK, "%s", error.text);
    cr_assert_neq (strcmp (keyring_own (keyring)->public, common), 0);
    keyring_destroy (&keyring);
    cr_assert_eq (open_keys ("serving-1", scratch_path (&scratch, "k/node.secret"), &keyring),
                  STATUS_OK);
    cr_assert_str_eq (keyring_own (keyring)->public, common);
    keyring_destroy (&keyring);
}

Test (security, a_bad_accepted_file_keeps_a_node_from_starting)
{
    generate ("node", ROLE_NODE);
    generate ("a", ROLE_READER);
    cr_assert_eq (truncate (scratch_path (&scratch, "k/accepted/a.reader.pub"), 10), 0);
    expect_refused (NULL, "a.reader.pub");
}

Test (security, keys_are_read_again_when_they_change_and_once_a_second)
{
    keyring_t *keyring;
    transport_t *transport;
    generate ("node", ROLE_NODE);
    generate ("b", ROLE_ADMIN);
    cr_assert_eq (open_keys ("serving-1", NULL, &keyring), STATUS_OK, "%s", error.text);
    cr_assert_eq (transport_new_secured ("tcp://127.0.0.1:*", &keyring, &transport, &error),
                  STATUS_OK);
    security_look (&security, &world.env, transport, false);
    cr_assert_eq (security.reread, 0);
    cr_assert_eq (security_due (&security), world.boot_us + TIME_SECOND);
    generate ("a", ROLE_READER);
    security_look (&security, &world.env, transport, false);
    cr_assert_eq (security.reread, 0, "not due yet");
    security_look (&security, &world.env, transport, true);
    cr_assert_eq (security.reread, 1);
    cr_assert_eq (keyring_count (transport_keyring (transport)), 3);
    char own[KEY_TEXT_SIZE + 1];
    memcpy (own, keyring_own (transport_keyring (transport))->public, sizeof own);

    /* an own key that nobody would accept stays where it is, and is told of once */
    cr_assert_eq (
        rename (scratch_path (&scratch, "k/a.secret"), scratch_path (&scratch, "k/node.secret")),
        0);
    for (int i = 0; i < 3; i++) {
        world.boot_us += TIME_SECOND;
        security_look (&security, &world.env, transport, false);
    }
    cr_assert_eq (security.reread, 2, "once, for the file has changed once");
    cr_assert_eq (world.warnings, 1);
    cr_assert_str_eq (keyring_own (transport_keyring (transport))->public, own);

    /* but keeps nobody's key from being taken away */
    cr_assert_eq (unlink (scratch_path (&scratch, "k/accepted/b.admin.pub")), 0);
    world.boot_us += TIME_SECOND;
    security_look (&security, &world.env, transport, false);
    cr_assert_eq (keyring_count (transport_keyring (transport)), 2);
    cr_assert_eq (world.warnings, 1);

    /* a bad file of an accepted key keeps no other from being taken away */
    generate ("node2", ROLE_NODE);
    cr_assert_eq (rename (scratch_path (&scratch, "k/node2.secret"),
                          scratch_path (&scratch, "k/node.secret")),
                  0);
    cr_assert_eq (truncate (scratch_path (&scratch, "k/accepted/a.reader.pub"), 10), 0);
    world.boot_us += TIME_SECOND;
    security_look (&security, &world.env, transport, false);
    cr_assert_eq (security.reread, 4);
    cr_assert_eq (world.warnings, 2);
    cr_assert_eq (keyring_count (transport_keyring (transport)), 2, "both nodes' keys");
    cr_assert (transport_listens (transport));
    transport_destroy (&transport);
}

/* ---- messages ---- */

static void open_gate (void)
{
    keyring_t *keyring;
    generate ("node", ROLE_NODE);
    cr_assert_eq (open_keys ("serving-1", NULL, &keyring), STATUS_OK, "%s", error.text);
    keyring_destroy (&keyring);
}

static bool admits (message_kind_t kind, peer_role_t role, bool incoming, uint64_t id)
{
    const void *data;
    size_t size;
    peer_t from = peer_of_endpoint ("somebody");
    from.incoming = incoming;
    from.role = (uint8_t)role;
    wire_begin (writer, kind, id);
    cr_assert (wire_end (writer, &data, &size));
    return security_admits (&security, &world.env, &from, data, size);
}

Test (security, each_role_may_send_what_the_table_says)
{
    open_gate ();
    for (message_kind_t kind = MESSAGE_NONE + 1; kind < MESSAGE_KINDS; kind++) {
        for (unsigned role = ROLE_NONE; role < ROLE_OPEN; role++) {
            unsigned sent = world.sent;
            bool may = message_allowed (kind, (peer_role_t)role);
            cr_expect_eq (admits (kind, (peer_role_t)role, true, 5), may, "%s by %s",
                          message_word (kind), peer_role_word ((peer_role_t)role));
            if (!message_is_request (kind) || may) {
                cr_expect_eq (world.sent, sent);
                continue;
            }
            cr_expect_eq (world.sent, sent + 1);
            cr_expect_str_eq (world.status, "denied");
            cr_expect_eq (world.id, 5);
        }
    }
    cr_assert_gt (security.denied, 30);
}

Test (security, answers_come_from_whom_we_asked_and_questions_from_who_asks)
{
    open_gate ();
    cr_expect_not (admits (MESSAGE_BEAT_OK, ROLE_NODE, true, 1));
    cr_expect_not (admits (MESSAGE_ERROR, ROLE_NODE, true, 1));
    cr_expect_not (admits (MESSAGE_POKE, ROLE_NODE, true, 0));
    cr_expect_not (admits (MESSAGE_BEAT, ROLE_NODE, false, 1));
    cr_expect_eq (security.stray, 4);
    cr_expect (admits (MESSAGE_BEAT_OK, ROLE_NODE, false, 1));
    cr_expect (admits (MESSAGE_POKE, ROLE_NODE, false, 0));
    cr_expect_eq (world.sent, 0);
}

Test (security, refusals_are_told_to_the_log_once_a_second)
{
    open_gate ();
    for (int i = 0; i < 100; i++)
        cr_expect_not (admits (MESSAGE_SEND, ROLE_READER, true, 1));
    cr_expect_eq (world.warnings, 1);
    cr_expect (strstr (world.said, "the role reader may not send \"send\""), "%s", world.said);
    world.boot_us += TIME_SECOND;
    cr_expect_not (admits (MESSAGE_SEND, ROLE_NONE, true, 0));
    cr_expect_eq (world.warnings, 2);
    cr_expect_eq (world.sent, 100, "an id of 0 is not answered");
    cr_expect_eq (security.denied, 101);
}

Test (security, what_is_no_message_is_the_cores_to_refuse)
{
    peer_t from = { .size = 1, .incoming = 1, .role = ROLE_READER };
    open_gate ();
    cr_expect (security_admits (&security, &world.env, &from, "junk", 4));
    cr_expect (security_admits (&security, &world.env, &from, "", 0));
}

Test (security, without_security_everything_is_admitted)
{
    cr_expect (admits (MESSAGE_BEAT, ROLE_NONE, true, 1));
    cr_expect_eq (security_due (&security), INT64_MAX);
}
