#include "node/security.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY TIME_SECOND
#define WARN_EVERY TIME_SECOND

enum { UNMET_LOOKS = 5 }; /* in seconds, as it is looked once a second */

/* ---- keys ---- */

static char *choose_secret (const project_t *project, const char *name, const char *key)
{
    if (key)
        return mem_string (key);
    char *own = mem_format ("%s/%s.secret", project->keys, name);
    if (access (own, F_OK) == 0)
        return own;
    mem_free (own);
    return mem_format ("%s/node.secret", project->keys);
}

/* A node whose own key others would refuse is better told so by itself. */
static status_t check_own (const keyring_t *keyring, const char *path, error_t *error)
{
    const key_pair_t *own = keyring_own (keyring);
    const accepted_key_t *accepted = keyring_find (keyring, own->public);
    if (accepted && accepted->role == ROLE_NODE)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "the key in %s (public key %s) is not accepted as a node's: no NAME.node.pub "
                      "in accepted/ holds it; `weir keygen NAME --role node` makes a pair that is",
                      path, own->public);
}

static status_t read_keys (const security_t *self, keyring_t **keyring, error_t *error)
{
    status_t status = keyring_read (self->directory, self->secret_path, keyring, error);
    if (status == STATUS_NOT_FOUND)
        return error_prefix (error, "weir.yaml sets security (`weir keygen node --role node` makes "
                                    "the nodes' key)");
    if (status == STATUS_OK)
        status = check_own (*keyring, self->secret_path, error);
    if (status != STATUS_OK)
        keyring_destroy (keyring);
    return status;
}

status_t security_open (security_t *self, const project_t *project, const char *name,
                        const char *key, keyring_t **keyring, error_t *error)
{
    *self = (security_t){ .directory = project->keys };
    *keyring = NULL;
    if (!self->directory)
        return STATUS_OK;
    self->secret_path = choose_secret (project, name, key);
    self->writer = wire_writer_new ();
    status_t status = read_keys (self, keyring, error);
    if (status == STATUS_OK && keyring_complaint (*keyring)[0] != '\0') {
        status = error_set (error, STATUS_INVALID, "%s", keyring_complaint (*keyring));
        keyring_destroy (keyring);
    }
    return status;
}

void security_release (security_t *self)
{
    mem_free (self->secret_path);
    wire_writer_destroy (&self->writer);
    *self = (security_t){ .directory = NULL };
}

/* Each problem is told once, until it is another or none. */
static void tell_problem (security_t *self, env_t *env, const char *problem)
{
    if (problem[0] != '\0' && strcmp (problem, self->problem) != 0)
        env_log (env, LOG_ERROR, "keys: %s", problem);
    snprintf (self->problem, sizeof self->problem, "%s", problem);
}

/* A bad file, also that of our own pair, keeps nobody else's key from being taken up or removed. */
static void take_keys (security_t *self, env_t *env, transport_t *transport)
{
    error_t error;
    keyring_t *keyring = NULL;
    if (read_keys (self, &keyring, &error) == STATUS_OK) {
        tell_problem (self, env, keyring_complaint (keyring));
    } else {
        const key_pair_t *own = keyring_own (transport_keyring (transport));
        tell_problem (self, env, error.text);
        if (keyring_read_accepted (self->directory, self->secret_path, own, &keyring, &error) !=
            STATUS_OK)
            return; /* the directory cannot be read: nothing is known of who was removed */
    }
    bool is_other = strcmp (keyring_own (keyring)->public,
                            keyring_own (transport_keyring (transport))->public) != 0;
    env_log (env, LOG_INFO, "keys read again: %zu accepted, %zu of them nodes'%s",
             keyring_count (keyring), keyring_servers (keyring),
             is_other ? "; this node's own key is another" : "");
    self->reread++;
    if (transport_rekey (transport, &keyring, &error) != STATUS_OK)
        tell_problem (self, env, error.text);
}

/* Some fail while keys are changed, or a node starts; those that go on failing are a mistake. */
static void tell_unmet (security_t *self, env_t *env, const transport_t *transport)
{
    transport_counts_t counts = transport_counts (transport);
    self->unmet_looks = counts.unmet > self->unmet ? self->unmet_looks + 1 : 0;
    self->unmet = counts.unmet;
    if (self->unmet_looks == UNMET_LOOKS)
        env_log (env, LOG_ERROR,
                 "connections to other nodes fail with this node's key (public key %s): is it in "
                 "their accepted/, and theirs in the one here? (docs/security.md)",
                 keyring_own (transport_keyring (transport))->public);
}

void security_look (security_t *self, env_t *env, transport_t *transport, bool now)
{
    int64_t time = self->directory ? env->boot_us (env) : 0;
    if (!self->directory || (!now && time < self->look_us))
        return;
    self->look_us = time + LOOK_EVERY;
    if (!now)
        tell_unmet (self, env, transport);
    if (keyring_changed (transport_keyring (transport)))
        take_keys (self, env, transport);
    else if (!transport_listens (transport)) {
        error_t error;
        keyring_t *same = NULL;
        if (transport_rekey (transport, &same, &error) != STATUS_OK)
            tell_problem (self, env, error.text);
    }
}

int64_t security_due (const security_t *self)
{
    return self->directory ? self->look_us : INT64_MAX;
}

/* ---- messages ---- */

static void warn (security_t *self, env_t *env, const char *text)
{
    int64_t time = env->boot_us (env);
    if (self->warned_us != 0 && time < self->warned_us + WARN_EVERY)
        return;
    self->warned_us = time;
    env_log (env, LOG_WARNING, "refused a message: %s (%llu so far)", text,
             (unsigned long long)self->denied);
}

static void deny (security_t *self, env_t *env, const peer_t *from, message_kind_t kind,
                  uint64_t id)
{
    const void *data;
    size_t size;
    error_t error;
    self->denied++;
    if (from->role == ROLE_NONE)
        (void)error_set (&error, STATUS_DENIED, "this key is not accepted any more");
    else
        (void)error_set (&error, STATUS_DENIED, "the role %s may not send \"%s\": it takes %s",
                         peer_role_word (from->role), message_word (kind),
                         access_words (message_access (kind)));
    warn (self, env, error.text);
    if (id == 0)
        return;
    wire_error (self->writer, id, &error, &data, &size);
    env->send (env, from, data, size);
}

bool security_admits (security_t *self, env_t *env, const peer_t *from, const void *data,
                      size_t size)
{
    message_kind_t kind;
    uint64_t id;
    if (!self->directory)
        return true;
    if (!wire_peek (data, size, &kind, &id) || kind == MESSAGE_NONE)
        return true; /* which the core refuses, whoever sent it */
    bool is_question = message_is_request (kind);
    if (is_question != (from->incoming != 0)) {
        self->stray++;
        return false;
    }
    if (!is_question || message_allowed (kind, from->role))
        return true;
    deny (self, env, from, kind, id);
    return false;
}

size_t security_counters (const security_t *self, const transport_t *transport,
                          env_counter_t counters[ENV_COUNTERS_MAX])
{
    transport_counts_t counts = transport_counts (transport);
    const keyring_t *keyring = transport_keyring (transport);
    const env_counter_t all[] = {
        { "messages_denied", self->denied },
        { "messages_stray", self->stray },
        { "messages_dropped", counts.dropped },
        { "messages_bytes", counts.held },
        { "answers_unread", counts.unread },
        { "connections", counts.present },
        { "connections_cut", counts.cut },
        { "connections_accepted", counts.accepted },
        { "handshakes_succeeded", counts.succeeded },
        { "handshakes_refused", counts.refused },
        { "handshakes_failed", counts.failed },
        { "handshakes_broken_off", counts.broken_off },
        { "handshakes_unmet", counts.unmet },
        { "keys_accepted", keyring ? keyring_count (keyring) : 0 },
        { "keys_reread", self->reread },
    };
    _Static_assert(sizeof all / sizeof *all <= ENV_COUNTERS_MAX, "");
    memcpy (counters, all, sizeof all);
    return sizeof all / sizeof *all;
}
