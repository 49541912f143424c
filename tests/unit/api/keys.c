/* The C library and clusters with security: who may ask, and what is told to who may not. */
#include "tests/rig/scratch.h"
#include "tests/unit/api/played.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static scratch_t scratch;
static played_t node, coordinator;
static weir_error_t error;
static char node_secret[512], key[512];

static void generate (const char *name, peer_role_t role)
{
    error_t why;
    cr_assert_eq (key_generate (scratch.path, name, role, &why), STATUS_OK, "%s", why.text);
}

/* A serving node and a coordinator that names it, of one key. */
static void set_up (void)
{
    scratch_make (&scratch);
    generate ("node", ROLE_NODE);
    generate ("client", ROLE_READER);
    snprintf (node_secret, sizeof node_secret, "%s", scratch_path (&scratch, "node.secret"));
    node.node.keys = coordinator.node.keys = scratch.path;
    node.node.secret = coordinator.node.secret = node_secret;
    played_start (&node, "secured");
    played_start (&coordinator, "secured-coordinator");
    coordinator.serving[0] = node.node.endpoint;
}

static void tear_down (void)
{
    played_stop (&node);
    played_stop (&coordinator);
    scratch_remove (&scratch);
}

TestSuite (keys, .init = set_up, .fini = tear_down, .timeout = 120);

static weir_status_t open_with (const char *directory, const char *secret, weir_t **weir)
{
    weir_options_t options;
    const char *endpoint = coordinator.node.endpoint;
    weir_options_init (&options);
    options.coordinators = &endpoint;
    options.coordinators_count = 1;
    options.keys = directory;
    options.key = secret;
    return weir_open (&options, weir, &error);
}

static weir_status_t ask (weir_t *weir)
{
    weir_answer_t *answer;
    weir_status_t status = weir_get (weir, played_get (1), &answer, &error);
    weir_answer_destroy (&answer);
    return status;
}

Test (keys, that_are_accepted_are_let_in)
{
    weir_t *weir;
    cr_assert_eq (open_with (scratch.path, NULL, &weir), WEIR_OK, "%s", error.text);
    for (int i = 0; i < 20; i++)
        cr_assert_eq (ask (weir), WEIR_OK, "%s", error.text);
    weir_close (&weir);
}

Test (keys, that_are_not_there_are_told_at_the_opening)
{
    weir_t *weir;
    snprintf (key, sizeof key, "%s", scratch_path (&scratch, "other.secret"));
    cr_assert_eq (open_with (scratch.path, key, &weir), WEIR_NOT_FOUND);
    cr_expect_null (weir);
    cr_expect_not_null (strstr (error.text, "weir keygen"), "%s", error.text);
}

/* Nodes read their keys once: the played ones do not know this one. */
Test (keys, that_are_not_accepted_are_told_so)
{
    weir_t *weir;
    generate ("late", ROLE_READER);
    snprintf (key, sizeof key, "%s", scratch_path (&scratch, "late.secret"));
    cr_assert_eq (open_with (scratch.path, key, &weir), WEIR_OK, "%s", error.text);
    cr_assert_eq (ask (weir), WEIR_DENIED, "%s", error.text);
    cr_expect_not_null (strstr (error.text, "does not accept this key"), "%s", error.text);
    cr_expect_eq (atomic_load (&node.gets), 0);
    weir_close (&weir);
}

Test (keys, are_asked_for_where_there_are_none)
{
    weir_t *weir;
    cr_assert_eq (open_with (NULL, NULL, &weir), WEIR_OK, "%s", error.text);
    cr_assert_eq (ask (weir), WEIR_DENIED, "%s", error.text);
    cr_expect_not_null (strstr (error.text, "wants a key"), "%s", error.text);
    weir_close (&weir);
}

Test (keys, of_a_node_that_is_not_trusted_are_no_use_to_it)
{
    scratch_t other;
    weir_t *weir;
    error_t why;
    scratch_make (&other);
    cr_assert_eq (key_generate (other.path, "node", ROLE_NODE, &why), STATUS_OK);
    cr_assert_eq (key_generate (other.path, "client", ROLE_READER, &why), STATUS_OK);
    cr_assert_eq (open_with (other.path, NULL, &weir), WEIR_OK, "%s", error.text);
    cr_assert_eq (ask (weir), WEIR_DENIED, "%s", error.text);
    cr_expect_eq (atomic_load (&coordinator.pings), 0);
    weir_close (&weir);
    scratch_remove (&other);
}

/* A node that is started anew with other keys: what is under way, and later gets, go on. */
Test (keys, that_change_are_taken_up_while_gets_are_under_way)
{
    weir_t *weir;
    weir_event_t *event;
    cr_assert_eq (open_with (scratch.path, NULL, &weir), WEIR_OK, "%s", error.text);
    cr_assert_eq (ask (weir), WEIR_OK, "%s", error.text);
    atomic_store (&node.node.silent, true);
    weir_get_t get = *played_get (1);
    get.patience_ms = 30000;
    cr_assert_eq (weir_get_submit (weir, &get, 1, &error), WEIR_OK);
    cr_assert_eq (weir_poll (weir, 100, &event, &error), WEIR_OK);
    cr_assert_null (event);
    played_stop (&node);
    generate ("next", ROLE_NODE);
    snprintf (node_secret, sizeof node_secret, "%s", scratch_path (&scratch, "next.secret"));
    atomic_store (&node.node.silent, false);
    played_start (&node, "secured");
    cr_assert_eq (weir_poll (weir, -1, &event, &error), WEIR_OK, "%s", error.text);
    cr_assert_not_null (event);
    cr_assert_not_null (event->answer, "%s", event->error->text);
    weir_event_destroy (&event);
    cr_assert_eq (ask (weir), WEIR_OK, "%s", error.text);
    weir_close (&weir);
}
