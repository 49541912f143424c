/* keys.c - key pairs and keyrings in files. */
#include "base/mem.h"
#include "tests/rig/scratch.h"
#include "transport/keyring.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static error_t error;
static scratch_t scratch;

static void set_up (void)
{
    scratch_make (&scratch);
}

static void tear_down (void)
{
    scratch_remove (&scratch);
}

TestSuite (keys, .init = set_up, .fini = tear_down, .timeout = 60);

static unsigned mode_of (const char *name)
{
    struct stat about;
    cr_assert_eq (stat (scratch_path (&scratch, name), &about), 0, "%s", name);
    return about.st_mode & 0777;
}

static void generate (const char *name, peer_role_t role)
{
    cr_assert_eq (key_generate (scratch_path (&scratch, "keys"), name, role, &error), STATUS_OK,
                  "%s", error.text);
}

static void write_text (const char *name, const char *text)
{
    FILE *file = fopen (scratch_path (&scratch, name), "w");
    cr_assert_not_null (file);
    fputs (text, file);
    cr_assert_eq (fclose (file), 0);
}

static keyring_t *read_ring (const char *own)
{
    keyring_t *ring;
    cr_assert_eq (
        keyring_read (scratch_path (&scratch, "keys"), scratch_path (&scratch, own), &ring, &error),
        STATUS_OK, "%s", error.text);
    return ring;
}

Test (keys, a_new_pair_is_in_files_of_safe_modes)
{
    key_pair_t pair;
    char key[KEY_TEXT_SIZE + 1];
    umask (0);
    generate ("node", ROLE_NODE);
    cr_assert_eq (mode_of ("keys"), 0700);
    cr_assert_eq (mode_of ("keys/accepted"), 0700);
    cr_assert_eq (mode_of ("keys/node.secret"), 0600);
    cr_assert_eq (mode_of ("keys/accepted/node.node.pub"), 0644);
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "keys/node.secret"), &pair, &error),
                  STATUS_OK);
    cr_assert_eq (
        key_read_public (scratch_path (&scratch, "keys/accepted/node.node.pub"), key, &error),
        STATUS_OK);
    cr_assert_str_eq (key, pair.public);
    cr_assert_eq (
        key_read_pair (scratch_path (&scratch, "keys/accepted/node.node.pub"), &pair, &error),
        STATUS_INVALID);
}

Test (keys, nothing_is_written_over)
{
    key_pair_t before, after;
    generate ("a", ROLE_READER);
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "keys/a.secret"), &before, &error),
                  STATUS_OK);
    cr_assert_eq (key_generate (scratch_path (&scratch, "keys"), "a", ROLE_READER, &error),
                  STATUS_EXISTS);
    cr_assert (strstr (error.text, "is there already"), "%s", error.text);
    /* the public file alone is reason enough, and leaves no secret behind */
    cr_assert_eq (unlink (scratch_path (&scratch, "keys/a.secret")), 0);
    cr_assert_eq (key_generate (scratch_path (&scratch, "keys"), "a", ROLE_READER, &error),
                  STATUS_EXISTS);
    cr_assert_neq (access (scratch_path (&scratch, "keys/a.secret"), F_OK), 0);
    cr_assert_eq (unlink (scratch_path (&scratch, "keys/accepted/a.reader.pub")), 0);
    generate ("a", ROLE_READER);
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "keys/a.secret"), &after, &error),
                  STATUS_OK);
    cr_assert_neq (strcmp (before.secret, after.secret), 0);
}

Test (keys, a_name_is_a_name)
{
    static const char *const bad[] = { "", "a/b", "..", "a.b", "a b", "ä" };
    char long_name[KEY_NAME_MAX + 2];
    memset (long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq (key_generate (scratch_path (&scratch, "keys"), bad[i], ROLE_NODE, &error),
                      STATUS_INVALID);
    cr_expect_eq (key_generate (scratch_path (&scratch, "keys"), long_name, ROLE_NODE, &error),
                  STATUS_INVALID);
    long_name[KEY_NAME_MAX] = '\0';
    generate (long_name, ROLE_NODE);
}

Test (keys, a_secret_that_others_can_read_is_refused)
{
    key_pair_t pair;
    generate ("node", ROLE_NODE);
    static const mode_t bad[] = { 0640, 0604, 0620, 0601 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq (chmod (scratch_path (&scratch, "keys/node.secret"), bad[i]), 0);
        cr_assert_eq (key_read_pair (scratch_path (&scratch, "keys/node.secret"), &pair, &error),
                      STATUS_INVALID);
        cr_assert (strstr (error.text, "chmod 600"), "%s", error.text);
    }
    cr_assert_eq (chmod (scratch_path (&scratch, "keys/node.secret"), 0400), 0);
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "keys/node.secret"), &pair, &error),
                  STATUS_OK);
}

Test (keys, who_may_write_where_accepted_keys_are_is_told_of)
{
    static const char *const places[] = { "keys", "keys/accepted" };
    generate ("node", ROLE_NODE);
    generate ("a", ROLE_READER);
    keyring_t *ring = read_ring ("keys/node.secret");
    cr_assert_str_empty (keyring_complaint (ring));
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq (chmod (scratch_path (&scratch, places[i]), 0770), 0);
        cr_assert (keyring_changed (ring));
        keyring_destroy (&ring);
        ring = read_ring ("keys/node.secret");
        cr_assert (strstr (keyring_complaint (ring), "chmod 700"), "%s", keyring_complaint (ring));
        cr_assert_eq (keyring_count (ring), 2);
        cr_assert_eq (chmod (scratch_path (&scratch, places[i]), 0755), 0);
        keyring_destroy (&ring);
        ring = read_ring ("keys/node.secret");
        cr_assert_str_empty (keyring_complaint (ring));
    }
    cr_assert_eq (chmod (scratch_path (&scratch, "keys/accepted/a.reader.pub"), 0664), 0);
    cr_assert (keyring_changed (ring));
    keyring_destroy (&ring);
    ring = read_ring ("keys/node.secret");
    cr_assert (strstr (keyring_complaint (ring), "chmod 644"), "%s", keyring_complaint (ring));
    cr_assert_eq (keyring_count (ring), 1, "nobody is accepted by it");
    keyring_destroy (&ring);
}

Test (keys, damaged_files_are_refused)
{
    static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    char text[256];
    key_pair_t pair;
    static const char *const bad[] = {
        "", "public-key = \"short\"\n", "public-key\n",
        "public-key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
        "public-key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf~\""
    };
    char got[KEY_TEXT_SIZE + 1];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text ("x", bad[i]);
        cr_expect_eq (key_read_public (scratch_path (&scratch, "x"), got, &error), STATUS_INVALID,
                      "%s", bad[i]);
    }
    snprintf (text, sizeof text, "public-key = \"%s\"\nsecret-key = \"%s\"\n", key, key);
    write_text ("x", text);
    cr_assert_eq (key_read_public (scratch_path (&scratch, "x"), got, &error), STATUS_OK);
    cr_assert_eq (chmod (scratch_path (&scratch, "x"), 0600), 0);
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "x"), &pair, &error), STATUS_INVALID);
    cr_assert (strstr (error.text, "do not belong together"), "%s", error.text);
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "none"), &pair, &error), STATUS_NOT_FOUND);
    cr_assert_eq (key_read_pair (scratch.path, &pair, &error), STATUS_INVALID);
}

Test (keys, a_ring_knows_who_is_accepted_and_whom_to_trust)
{
    key_pair_t pair;
    generate ("node", ROLE_NODE);
    generate ("risk-team", ROLE_READER);
    keyring_t *ring = read_ring ("keys/node.secret");
    cr_assert_str_eq (keyring_complaint (ring), "");
    cr_assert_eq (keyring_count (ring), 2);
    cr_assert_eq (keyring_servers (ring), 1);
    cr_assert_str_eq (keyring_server (ring, 0), keyring_own (ring)->public);
    cr_assert_null (keyring_server (ring, 1));
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "keys/risk-team.secret"), &pair, &error),
                  STATUS_OK);
    const accepted_key_t *found = keyring_find (ring, pair.public);
    cr_assert_not_null (found);
    cr_assert_eq (found->role, ROLE_READER);
    cr_assert_str_eq (found->name, "risk-team");
    cr_assert_null (keyring_find (ring, pair.secret));
    cr_assert_not (keyring_changed (ring));
    keyring_destroy (&ring);
}

Test (keys, a_ring_notices_what_changes)
{
    generate ("node", ROLE_NODE);
    keyring_t *ring = read_ring ("keys/node.secret");
    generate ("b", ROLE_ADMIN);
    cr_assert (keyring_changed (ring));
    keyring_destroy (&ring);
    ring = read_ring ("keys/node.secret");
    cr_assert_eq (keyring_count (ring), 2);
    cr_assert_eq (rename (scratch_path (&scratch, "keys/accepted/b.admin.pub"),
                          scratch_path (&scratch, "keys/accepted/b.reader.pub")),
                  0);
    cr_assert (keyring_changed (ring));
    keyring_destroy (&ring);
    ring = read_ring ("keys/node.secret");
    cr_assert_eq (rename (scratch_path (&scratch, "keys/b.secret"),
                          scratch_path (&scratch, "keys/node.secret")),
                  0);
    cr_assert (keyring_changed (ring));
    keyring_destroy (&ring);
}

Test (keys, a_bad_file_accepts_nobody_and_is_told_of)
{
    generate ("node", ROLE_NODE);
    write_text ("keys/accepted/x.reader.pub", "nothing");
    write_text ("keys/accepted/README", "not a key");
    keyring_t *ring = read_ring ("keys/node.secret");
    cr_assert_eq (keyring_count (ring), 1);
    cr_assert (strstr (keyring_complaint (ring), "x.reader.pub"), "%s", keyring_complaint (ring));
    keyring_destroy (&ring);
    cr_assert_eq (rename (scratch_path (&scratch, "keys/accepted/x.reader.pub"),
                          scratch_path (&scratch, "keys/accepted/x.boss.pub")),
                  0);
    ring = read_ring ("keys/node.secret");
    cr_assert (strstr (keyring_complaint (ring), "NAME.ROLE.pub"), "%s", keyring_complaint (ring));
    keyring_destroy (&ring);
}

Test (keys, one_key_under_two_names_is_nobodys)
{
    generate ("node", ROLE_NODE);
    generate ("a", ROLE_READER);
    cr_assert_eq (link (scratch_path (&scratch, "keys/accepted/a.reader.pub"),
                        scratch_path (&scratch, "keys/accepted/a.admin.pub")),
                  0);
    keyring_t *ring = read_ring ("keys/node.secret");
    cr_assert_eq (keyring_count (ring), 1);
    cr_assert (strstr (keyring_complaint (ring), "the same key"), "%s", keyring_complaint (ring));
    keyring_destroy (&ring);
}
