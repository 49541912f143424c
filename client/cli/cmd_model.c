/* weir model add - which model goes with a version of a service, and what it was trained on. */
#include "client/cli/annotation.h"
#include "client/cli/beside.h"
#include "client/cli/incoming.h"
#include "client/cli/registered.h"
#include "client/cli/source.h"

#include "base/mem.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

enum {
    HASH_DIGITS = 2 * crypto_hash_sha256_BYTES,
    NAME_SHOWN_MAX = 255,
    OWN_NAME_MAX = 40, /* bytes: a label takes 63, and "_training_set_datasets" is behind it */
};

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

/* A file as it is named and known again. */
typedef struct known_file {
    char name[NAME_SHOWN_MAX + 1]; /* without its directories */
    char size[24];                 /* bytes */
    char hash[HASH_DIGITS + 1];    /* SHA-256 */
} known_file_t;

static status_t know (const char *path, known_file_t *file, error_t *error)
{
    source_t source;
    crypto_hash_sha256_state state;
    unsigned char bytes[crypto_hash_sha256_BYTES];
    const char *slash = strrchr (path, '/');
    status_t status = source_open (&source, path, "csv", error); /* whatever it is: bytes */
    if (status != STATUS_OK)
        return status;
    (void)crypto_hash_sha256_init (&state);
    while (status == STATUS_OK && !source.ended) {
        status = source_fill (&source, error);
        (void)crypto_hash_sha256_update (&state, source.data, source.size);
        source.at = source.size;
    }
    (void)crypto_hash_sha256_final (&state, bytes);
    (void)sodium_bin2hex (file->hash, sizeof file->hash, bytes, sizeof bytes);
    (void)snprintf (file->size, sizeof file->size, "%" PRIu64, source.bytes);
    (void)snprintf (file->name, sizeof file->name, "%s", slash ? slash + 1 : path);
    source_close (&source);
    if (status == STATUS_OK && !text_is_utf8 (text_of (file->name)))
        return error_set (error, STATUS_INVALID, "%s: its name is not UTF-8, or too long", path);
    return status;
}

/* ---- the training set ---- */

typedef struct trained_on {
    known_file_t file;
    /* "payments/user_id d12, …": which it was made from, or "" */
    char datasets[BESIDE_DATASETS_MAX + 1];
} trained_on_t;

static status_t check_version (const json_t *beside, const char *reference, error_t *error)
{
    text_t name;
    uint32_t version;
    (void)version_reference (text_of (reference), &name, &version);
    if (beside_version (beside, name) == version)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "the training set is not of %s: make it with `weir training-set %s`, or name "
                      "the version that it is of",
                      reference, reference);
}

/* What was written beside the training set, if it is there, says what it is. */
static status_t look_beside (const char *path, const char *reference, trained_on_t *set,
                             error_t *error)
{
    char *name = mem_format ("%s.weir.json", path);
    json_t *beside = beside_read (path);
    status_t status = STATUS_OK;
    if (beside)
        status = check_version (beside, reference, error);
    else
        fprintf (stderr,
                 "weir model: there is no %s: of which version and datasets the training set is, "
                 "is not known\n",
                 name);
    if (status == STATUS_OK && json_is_true (json_object_get (beside, "without_preprocess")))
        status = error_set (error, STATUS_INVALID,
                            "the training set was made with --raw, without the service's "
                            "preprocessing: a model trained on it would be served other values; "
                            "make it without --raw");
    if (status == STATUS_OK && beside)
        status = beside_check (beside, path, error);
    if (status == STATUS_OK)
        beside_datasets (beside, set->datasets, sizeof set->datasets);
    else
        status = error_prefix (error, "%s", name);
    json_decref (beside);
    mem_free (name);
    return status;
}

/* That of the version's preprocessing; "" when it has none, or lacks numbers. */
static status_t know_preprocess (call_t *call, text_t name, uint32_t version,
                                 char hash[PREPROCESS_HASH_DIGITS + 1], error_t *error)
{
    registered_t registered;
    status_t status = registered_read (call, &registered, error);
    if (status != STATUS_OK)
        return status;
    const service_t *service = definitions_service_version (registered.definitions, name, version);
    if (!service || !service_preprocess_hash (service, hash))
        hash[0] = '\0';
    registered_release (&registered);
    return STATUS_OK;
}

/* What is kept of a model; with a name of its own, beside others. */
static int keep (call_t *call, const char *own_name, const known_file_t *model,
                 const char *preprocess, const trained_on_t *trained)
{
    static const char *const labels[] = {
        "model",        "model_bytes",         "model_sha256",         "preprocess_sha256",
        "training_set", "training_set_sha256", "training_set_datasets"
    };
    enum { LABELS = sizeof labels / sizeof *labels };
    const char *values[] = { model->name,        model->size,        model->hash,      preprocess,
                             trained->file.name, trained->file.hash, trained->datasets };
    annotation_t list[LABELS];
    char *names[LABELS];
    for (size_t i = 0; i < LABELS; i++) {
        names[i] = mem_format ("%s%s%s", own_name ? own_name : "", own_name ? "_" : "", labels[i]);
        list[i] = (annotation_t){ text_of (names[i]), values[i] };
    }
    int exit_status = annotate (call, call->words[1], list, LABELS);
    for (size_t i = 0; i < LABELS; i++)
        mem_free (names[i]);
    return exit_status;
}

static int run (call_t *call)
{
    const char *set = NULL, *own_name = NULL;
    const option_spec_t specs[] = {
        { 0, "training-set", "FILE", "what it was trained on", &set, NULL },
        { 0, "as", "NAME", "its own name, beside other models that read the version", &own_name,
          NULL },
    };
    text_t name;
    uint32_t version;
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (own_name && (own_name[0] == '\0' || strlen (own_name) > OWN_NAME_MAX ||
                     own_name[strspn (own_name, NAME_LETTERS)] != '\0'))
        return call_usage (call, "--as takes a name of up to %d letters, digits, _, - and .",
                           OWN_NAME_MAX);
    if (strcmp (call->words[0], "add") != 0)
        return call_usage (call, "there is `weir model add`, not `weir model %s`", call->words[0]);
    if (!call_version (call, call->words[1], &name, &version, &exit_status))
        return exit_status;
    known_file_t model;
    trained_on_t trained = { .datasets = "" };
    error_t error;
    status_t status = know (call->words[2], &model, &error);
    if (status == STATUS_OK && set)
        status = know (set, &trained.file, &error);
    if (status == STATUS_OK && set)
        status = look_beside (set, call->words[1], &trained, &error);
    if (status != STATUS_OK)
        return call_failed (call, &error);
    if (!call_weir (call))
        return EXIT_FAILED;
    char preprocess[PREPROCESS_HASH_DIGITS + 1];
    status = know_preprocess (call, name, version, preprocess, &error);
    if (status != STATUS_OK)
        return call_failed (call, &error);
    return keep (call, own_name, &model, preprocess, &trained);
}

const command_t command_model = {
    .name = "model",
    .group = "Definitions",
    .operands = "add SERVICE@vN FILE",
    .purpose = "Keeps with a version of a service which model reads it, and what it was trained on",
    .details = "The file's name, size and SHA-256 are kept, those of the training set, and the "
               "SHA-256 of the service's\npreprocessing; not the files themselves. `weir versions` "
               "shows them. Another one takes the place of the first,\nunless it has a name of its "
               "own.",
    .examples = "  weir model add fraud_model@v3 model.pkl --training-set train.csv\n"
                "  weir model add fraud_model@v3 next.pkl --training-set may.csv --as challenger",
    .least = 3,
    .most = 3,
    .run = run,
};
