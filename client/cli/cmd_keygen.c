/* weir keygen - a key pair, in files. */
#include "client/cli/command.h"

#include "base/mem.h"
#include "transport/keys.h"

#include <string.h>

/* Where the project keeps its keys; keys/ here when there is no project. Freed by the caller. */
static char *keys_directory (call_t *call, const char *given)
{
    project_t *project = NULL;
    error_t error;
    const char *directory = call->directory ? call->directory : ".";
    if (given)
        return mem_string (given);
    if (project_read (directory, &project, &error) == STATUS_OK && project->keys) {
        char *keys = mem_string (project->keys);
        project_destroy (&project);
        return keys;
    }
    project_destroy (&project);
    return mem_format ("%s/keys", directory);
}

static void tell (const call_t *call, const char *directory, peer_role_t role)
{
    const char *name = call->words[0], *word = peer_role_word (role);
    if (call->json)
        printf ("{\"secret\":\"%s/%s.secret\",\"public\":\"%s/accepted/%s.%s.pub\"}\n", directory,
                name, directory, name, word);
    else
        printf ("%s/%s.secret\n%s/accepted/%s.%s.pub\n", directory, name, directory, name, word);
}

static int run (call_t *call)
{
    const char *role_given = NULL, *directory_given = NULL;
    const option_spec_t specs[] = {
        { 0, "role", "ROLE", "reader, producer, admin or node", &role_given, NULL },
        { 0, "keys", "DIR", "the directory of keys (default: what weir.yaml says, or keys)",
          &directory_given, NULL },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof *specs, &exit_status))
        return exit_status;
    peer_role_t role = role_given ? peer_role_from_word (text_of (role_given)) : ROLE_NONE;
    if (role == ROLE_NONE)
        return call_usage (call, "--role takes reader, producer, admin or node%s%s",
                           role_given ? ", not " : "", role_given ? role_given : "");
    char *directory = keys_directory (call, directory_given);
    error_t error;
    exit_status = EXIT_DONE;
    if (key_generate (directory, call->words[0], role, &error) == STATUS_OK)
        tell (call, directory, role);
    else
        exit_status = call_failed (call, &error);
    mem_free (directory);
    return exit_status;
}

const command_t command_keygen = {
    .name = "keygen",
    .group = "A project",
    .operands = "NAME",
    .purpose = "Makes a key pair for a node or a client, in files",
    .details =
        "Writes keys/NAME.secret, which is for nobody else, and keys/accepted/NAME.ROLE.pub, "
        "which makes\nthe cluster accept it in that role. Nothing is written over. With "
        "`security: {keys: ./keys}` in\nweir.yaml nodes use node.secret and this command "
        "client.secret. docs/security.md says more.",
    .examples = "  weir keygen node --role node          # the nodes of this project\n"
                "  weir keygen client --role admin       # this command, here\n"
                "  weir keygen risk-team --role reader   # somebody who asks for features",
    .least = 1,
    .most = 1,
    .run = run,
};
