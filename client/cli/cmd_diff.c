/* weir diff - what two versions of a view or service define differently. */
#include "client/cli/command.h"
#include "client/cli/terminal.h"
#include "client/cli/version_texts.h"

#include "base/mem.h"
#include "base/number.h"

#include <inttypes.h>

enum { DIFF_MAX = 16 << 20, LINES_MAX = 8192 };

/* Of `version`, or, with 0, of the active one; NULL. */
static const wire_value_t *find (wire_list_t versions, uint32_t version)
{
    const wire_value_t *found = NULL;
    for (uint32_t i = 0; i < versions.count; i++) {
        const wire_value_t *it = &versions.items[i];
        if (version != 0 ? wire_uint (it, "version", 0) == version
                         : text_is (wire_text (it, "state"), "active"))
            found = it;
    }
    return found;
}

static int not_there (const call_t *call, text_t name, uint32_t version)
{
    error_t error;
    status_t status = version != 0
                          ? error_set (&error, STATUS_NOT_FOUND,
                                       "there is no " TEXT_FORMAT "@v%" PRIu32
                                       "; `weir versions " TEXT_FORMAT "` lists all",
                                       TEXT_ARGS (name), version, TEXT_ARGS (name))
                          : error_set (&error, STATUS_NOT_FOUND,
                                       TEXT_FORMAT " has no active version", TEXT_ARGS (name));
    return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

static size_t count_lines (text_t text)
{
    size_t count = 1;
    for (uint32_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    return count;
}

static int print_diff (const call_t *call, const wire_value_t *a, const wire_value_t *b)
{
    text_t before = wire_text (a, "text"), after = wire_text (b, "text");
    buf_t out, lines;
    error_t error;
    if (count_lines (before) > LINES_MAX || count_lines (after) > LINES_MAX) {
        status_t status =
            error_set (&error, STATUS_TOO_LARGE, "a definition has over %d lines", LINES_MAX);
        return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
    }
    buf_init (&out, DIFF_MAX);
    buf_init (&lines, DIFF_MAX);
    bool differ = version_texts_compare (before, after, &lines);
    text_t all = { buf_string (&lines), (uint32_t)lines.size };
    text_t name = wire_text (a, "name");
    if (call->json) {
        buf_printf (&out,
                    "{\"name\":\"" TEXT_FORMAT "\",\"from\":\"v%" PRIu64 "\",\"to\":\"v%" PRIu64
                    "\",\"differ\":%s,\"diff\":",
                    TEXT_ARGS (name), wire_uint (a, "version", 0), wire_uint (b, "version", 0),
                    differ ? "true" : "false");
        number_format_json_string (&out, all);
        buf_put_string (&out, "}\n");
    } else {
        buf_printf (&out, "--- " TEXT_FORMAT "@v%" PRIu64 "\n+++ " TEXT_FORMAT "@v%" PRIu64 "\n%s",
                    TEXT_ARGS (name), wire_uint (a, "version", 0), TEXT_ARGS (name),
                    wire_uint (b, "version", 0), differ ? all.data : "  they are the same\n");
    }
    print_buf (&out);
    buf_release (&lines);
    buf_release (&out);
    return EXIT_DONE;
}

static int run (call_t *call)
{
    text_t name, other;
    uint32_t first, second = 0;
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (!version_reference (text_of (call->words[0]), &name, &first) || first == 0)
        return call_usage (call, "'%s': a version is written user_spend@v1", call->words[0]);
    if (call->words_count > 1 && (!version_reference (text_of (call->words[1]), &other, &second) ||
                                  second == 0 || !text_equal (name, other)))
        return call_usage (call, "'%s': what %s is compared with is a version of the same name",
                           call->words[1], call->words[0]);
    if (!call_weir (call))
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    wire_writer_t *writer = client_begin (call->weir, MESSAGE_VERSIONS);
    wire_field_text (writer, "name", name);
    if (client_call (call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, &error) !=
        STATUS_OK)
        return call_failed (call, &error);
    wire_list_t versions = wire_list (reply.body, "versions");
    const wire_value_t *a = find (versions, first), *b = find (versions, second);
    if (!a || !b)
        return not_there (call, name, !a ? first : second);
    return print_diff (call, a, b);
}

const command_t command_diff = {
    .name = "diff",
    .group = "Definitions",
    .operands = "NAME@vN [NAME@vM]",
    .purpose = "Shows what two versions of a view or service define differently",
    .details = "With one it is compared with the active version. Retired versions can be compared, "
               "too.",
    .examples = "  weir diff user_spend@v1 user_spend@v2\n  weir diff transfer_model@v1",
    .least = 1,
    .most = 2,
    .run = run,
};
