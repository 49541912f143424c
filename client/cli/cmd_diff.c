/* weir diff - what two versions of a view or service define differently. */
#include "client/cli/command.h"
#include "client/cli/terminal.h"
#include "client/cli/version_texts.h"

#include "base/mem.h"
#include "base/number.h"

#include <inttypes.h>

enum { DIFF_MAX = 16 << 20 };

/* One of the two that are compared. */
typedef struct side {
    uint32_t version; /* 0: the active one, until it is found */
    char *text;       /* NULL: there is none */
} side_t;

static void take (void *arg, const wire_value_t *version)
{
    side_t *sides = arg;
    for (int i = 0; i < 2; i++) {
        bool is_it = sides[i].version != 0 ? wire_uint (version, "version", 0) == sides[i].version
                                           : text_is (wire_text (version, "state"), "active");
        if (!is_it)
            continue;
        text_t text = wire_text (version, "text");
        mem_free (sides[i].text);
        sides[i].text = mem_string_n (text.data, text.size);
        sides[i].version = (uint32_t)wire_uint (version, "version", 0);
    }
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

static int print_diff (const call_t *call, text_t name, const side_t *sides)
{
    text_t before = text_of (sides[0].text), after = text_of (sides[1].text);
    buf_t out, lines;
    error_t error;
    if (version_text_lines (before) > VERSION_LINES_MAX ||
        version_text_lines (after) > VERSION_LINES_MAX) {
        status_t status = error_set (&error, STATUS_TOO_LARGE, "a definition has over %d lines",
                                     VERSION_LINES_MAX);
        return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
    }
    buf_init (&out, DIFF_MAX);
    buf_init (&lines, DIFF_MAX);
    bool differ = version_texts_compare (before, after, &lines);
    text_t all = { buf_string (&lines), (uint32_t)lines.size };
    if (call->json) {
        buf_printf (&out,
                    "{\"name\":\"" TEXT_FORMAT "\",\"from\":\"v%" PRIu32 "\",\"to\":\"v%" PRIu32
                    "\",\"differ\":%s,\"diff\":",
                    TEXT_ARGS (name), sides[0].version, sides[1].version,
                    differ ? "true" : "false");
        number_format_json_string (&out, all);
        buf_put_string (&out, "}\n");
    } else {
        buf_printf (&out, "--- " TEXT_FORMAT "@v%" PRIu32 "\n+++ " TEXT_FORMAT "@v%" PRIu32 "\n%s",
                    TEXT_ARGS (name), sides[0].version, TEXT_ARGS (name), sides[1].version,
                    differ ? all.data : "  they are the same\n");
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
    error_t error;
    side_t sides[2] = { { first, NULL }, { second, NULL } };
    char *bare = mem_string_n (name.data, name.size);
    if (client_versions (call->weir, bare, take, sides, &error) != STATUS_OK)
        exit_status = call_failed (call, &error);
    else if (!sides[0].text || !sides[1].text)
        exit_status = not_there (call, name, !sides[0].text ? first : second);
    else
        exit_status = print_diff (call, name, sides);
    mem_free (sides[0].text);
    mem_free (sides[1].text);
    mem_free (bare);
    return exit_status;
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
