#include "client/cli/findings.h"

#include "base/number.h"
#include "client/cli/terminal.h"

#include <inttypes.h>
#include <stdio.h>

void findings_init (findings_t *self, bool json)
{
    self->json = json;
    buf_init (&self->text, FINDINGS_JSON_MAX);
}

void findings_release (findings_t *self)
{
    buf_release (&self->text);
}

static void put_text (buf_t *out, const char *name, const char *value)
{
    buf_printf (out, ",\"%s\":", name);
    number_format_json_string (out, text_of (value));
}

static void add_json (findings_t *self, const fsck_finding_t *finding)
{
    buf_t *out = &self->text;
    if (out->size > FINDINGS_JSON_MAX - (1 << 16))
        return;
    buf_printf (out, "%s{\"kind\":\"%s\"", out->size > 0 ? "," : "",
                fsck_kind_word (finding->kind));
    put_text (out, "path", finding->path);
    if (finding->has_place)
        buf_printf (out, ",\"byte\":%" PRIu64, finding->byte);
    if (finding->has_place && finding->bytes > 0)
        buf_printf (out, ",\"bytes\":%" PRIu64, finding->bytes);
    if (finding->log[0] != '\0') {
        put_text (out, "log", finding->log);
        buf_printf (out, ",\"partition\":%" PRIu32, finding->partition);
    }
    put_text (out, "what", finding->what);
    put_text (out, "holds", finding->holds);
    put_text (out, "remedy", finding->remedy);
    buf_printf (out, ",\"repaired\":%s}", finding->repaired ? "true" : "false");
}

static void print (const fsck_finding_t *finding)
{
    progress_end ();
    printf ("%s: %s", fsck_kind_word (finding->kind), finding->path);
    if (finding->has_place)
        printf (", byte %" PRIu64, finding->byte);
    printf ("\n  %s\n", finding->what);
    if (finding->holds[0] != '\0')
        printf ("  holds: %s\n", finding->holds);
    if (finding->repaired)
        puts ("  it was removed");
    else if (finding->remedy[0] != '\0')
        printf ("  remedy: %s\n", finding->remedy);
}

void findings_add (void *arg, const fsck_finding_t *finding)
{
    findings_t *self = arg;
    if (self->json)
        add_json (self, finding);
    else
        print (finding);
}

const char *findings_json (findings_t *self)
{
    return buf_string (&self->text);
}
