#include "client/cli/applied.h"
#include "client/cli/loose.h"
#include "client/cli/terminal.h"
#include "client/cli/version_texts.h"

#include <string.h>

enum {
    NODES_WAIT_MS = 5000,
    NODES_LOOK_MS = 20,
    OUT_MAX = 64 << 20,
    LINES_INDENT = 2, /* and those of the text */
    LINES_SHOWN = 60, /* of one definition */
};

/* Without the lines that say which definition it is: "views:" and its name. */
static text_t inside_of (text_t text)
{
    for (int i = 0; i < 2; i++) {
        const char *end = text.size > 0 ? memchr (text.data, '\n', text.size) : NULL;
        if (!end)
            return text;
        text.size -= (uint32_t)(end + 1 - text.data);
        text.data = end + 1;
    }
    return text;
}

size_t count_changes (wire_list_t changes, const char *what)
{
    size_t count = 0;
    for (uint32_t i = 0; i < changes.count; i++)
        count += text_is (wire_text (&changes.items[i], "change"), what);
    return count;
}

void print_changes (wire_list_t changes, bool lines)
{
    buf_t out;
    buf_init (&out, OUT_MAX);
    for (uint32_t i = 0; i < changes.count; i++) {
        const wire_value_t *change = &changes.items[i];
        text_t what = wire_text (change, "change");
        text_t detail = wire_text (change, "detail");
        if (text_is (what, "same") && detail.size == 0)
            continue;
        const char *sign = text_is (what, "add")      ? "+"
                           : text_is (what, "remove") ? "-"
                           : text_is (what, "same")   ? "="
                                                      : "~";
        buf_printf (&out, "  %s " TEXT_FORMAT " " TEXT_FORMAT "%s" TEXT_FORMAT "\n", sign,
                    TEXT_ARGS (wire_text (change, "kind")), TEXT_ARGS (wire_text (change, "name")),
                    detail.size > 0 ? ": " : "", TEXT_ARGS (detail));
        if (lines && wire_has (change, "before"))
            version_texts_changes (inside_of (wire_text (change, "before")),
                                   inside_of (wire_text (change, "after")), LINES_INDENT,
                                   LINES_SHOWN, &out);
        else if (lines && text_is (what, "alter"))
            buf_printf (&out, "%*s  … its texts are too long to be shown\n", LINES_INDENT, "");
    }
    print_buf (&out);
    buf_release (&out);
    fflush (stdout);
}

/* Has every node that takes events or queries got that version? */
static bool nodes_have (wire_list_t nodes, uint64_t version)
{
    for (uint32_t i = 0; i < nodes.count; i++) {
        const wire_value_t *node = &nodes.items[i];
        bool concerned = text_is (loose_text (node, "kind"), "speed") ||
                         text_is (loose_text (node, "kind"), "serving");
        if (concerned && loose_uint (node, "lease_left_us") > 0 &&
            loose_uint (node, "definitions") < version)
            return false;
    }
    return true;
}

/* Nodes fetch definitions by themselves, within moments; who sends or asks next should find them
 * there. */
void await_definitions (call_t *call, uint64_t version)
{
    for (int waited = 0; waited < NODES_WAIT_MS; waited += NODES_LOOK_MS) {
        message_t status;
        error_t error;
        if (client_status (call->weir, &status, &error) != STATUS_OK ||
            nodes_have (wire_list (status.body, "nodes"), version))
            return;
        wait_ms (NODES_LOOK_MS);
    }
}
