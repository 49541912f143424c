#include "client/cli/beside.h"

#include "base/mem.h"
#include "client/cli/incoming.h"

#include <stdio.h>
#include <string.h>

json_t *beside_read (const char *path)
{
    char *name = mem_format ("%s.weir.json", path);
    json_t *beside = json_load_file (name, 0, NULL);
    mem_free (name);
    return beside;
}

uint32_t beside_version (const json_t *beside, text_t name)
{
    const json_t *versions = json_object_get (beside, "versions");
    const json_t *number = json_object_getn (versions, name.data, name.size);
    json_int_t version = json_is_integer (number) ? json_integer_value (number) : 0;
    return version > 0 && version <= UINT32_MAX ? (uint32_t)version : 0;
}

status_t beside_check (const json_t *beside, const char *path, error_t *error)
{
    char hash[33];
    const json_t *out = json_object_get (beside, "out");
    const char *then = json_string_value (json_object_get (out, "xxh3_128"));
    status_t status = content_hash (path, hash, error);
    if (status == STATUS_OK && (!then || strcmp (then, hash) != 0))
        return error_set (error, STATUS_INVALID,
                          "the training set was changed since it was made: make it again with "
                          "`weir training-set --version`");
    return status;
}

void beside_datasets (const json_t *beside, char *text, size_t size)
{
    size_t i, used = 0;
    const json_t *pinned;
    text[0] = '\0';
    json_array_foreach (json_object_get (beside, "pinned"), i, pinned)
    {
        const char *log = json_string_value (json_object_get (pinned, "log"));
        const char *dataset = json_string_value (json_object_get (pinned, "dataset"));
        int more = snprintf (text + used, size - used, "%s%s %s", used > 0 ? ", " : "",
                             log ? log : "?", dataset ? dataset : "?");
        if (more < 0 || (size_t)more >= size - used) {
            text[used] = '\0'; /* those that fit */
            return;
        }
        used += (size_t)more;
    }
}
