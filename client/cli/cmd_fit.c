/* weir fit - the numbers of a service's `preprocess`, from a training set. */
#include "client/cli/applied.h"
#include "client/cli/author.h"
#include "client/cli/fit_file.h"
#include "client/cli/registered.h"
#include "client/cli/terminal.h"

#include "base/mem.h"
#include "base/number.h"
#include "feature/definition_format.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum {
    MEMORY_DEFAULT = 1024, /* MiB */
    MEMORY_MOST = 1 << 20,
    FIT_TIMEOUT_MS = 30000,
    SHOWN_CATEGORIES = 8,
    SHOWN_MAX = 1 << 16,
};

typedef struct fitting {
    call_t *call;
    service_t *service; /* of `registered`, with its numbers once they are there */
    registered_t registered;
    const char *path;
    const char *message;
    bool dry_run;
    bool yes;
} fitting_t;

/* ---- what was found ---- */

static void put_numbers (const preprocess_t *steps, buf_t *out)
{
    const char *const *words = steps->has_scale ? scale_words (steps->scale) : NULL;
    if (steps->impute == IMPUTE_MEDIAN || steps->impute == IMPUTE_MEAN) {
        buf_printf (out, "%s ", impute_word (steps->impute));
        number_format_float (out, steps->imputed.f);
        buf_put_string (out, words && !steps->scale_is_given ? "; " : "");
    }
    for (size_t i = 0; i < 2 && words && !steps->scale_is_given; i++) {
        buf_printf (out, "%s%s ", i > 0 ? ", " : "", words[i]);
        number_format_float (out, steps->scaled_by[i]);
    }
    if (steps->encode != ENCODE_NONE)
        buf_printf (out, "%s: ", encode_word (steps->encode));
    for (size_t i = 0; i < steps->categories_count && i < SHOWN_CATEGORIES; i++) {
        buf_put_string (out, i > 0 ? ", " : "");
        category_format (&steps->categories[i], out);
    }
    if (steps->categories_count > SHOWN_CATEGORIES)
        buf_printf (out, ", … (%zu)", steps->categories_count);
}

static void show (const fitting_t *self, const fit_t *fit)
{
    static const char *const heads[] = { "FEATURE", ">NULL", ">NOT NULL", "NUMBERS", NULL };
    table_t *table = table_new (heads);
    buf_t numbers;
    buf_init (&numbers, SHOWN_MAX);
    for (size_t i = 0; i < fit_columns (fit); i++) {
        const service_feature_t *feature = fit_column (fit, i);
        uint64_t nulls, values;
        fit_counts (fit, i, &nulls, &values);
        buf_clear (&numbers);
        put_numbers (&feature->preprocess, &numbers);
        table_add (table, text_of (feature->name));
        table_addf (table, "%" PRIu64, nulls);
        table_addf (table, "%" PRIu64, values);
        table_add (table, text_of (buf_string (&numbers)));
    }
    printf ("%s: %" PRIu64 " rows, SHA-256 %s\n\n", self->path, self->service->fitted_rows,
            self->service->fitted_on);
    table_print (table);
    char hash[PREPROCESS_HASH_DIGITS + 1];
    if (service_preprocess_hash (self->service, hash))
        printf ("\npreprocessing with these numbers: SHA-256 %s\n", hash);
    puts ("");
    fflush (stdout);
    buf_release (&numbers);
    table_destroy (&table);
}

/* ---- telling the cluster ---- */

static status_t tell (const fitting_t *self, bool dry_run, const char *text, message_t *reply,
                      error_t *error)
{
    wire_writer_t *writer = client_begin (self->call->weir, MESSAGE_FIT);
    wire_field_string (writer, "service", self->service->name);
    wire_field_uint (writer, "version", self->service->version);
    wire_field_string (writer, "text", text);
    if (dry_run)
        wire_field_bool (writer, "dry_run", true);
    if (self->message)
        wire_field_string (writer, "message", self->message);
    char author[AUTHOR_MAX + 1];
    author_name (author);
    wire_field_string (writer, "author", author);
    return client_call (self->call->weir, CLIENT_COORDINATOR, FIT_TIMEOUT_MS, reply, error);
}

static int done (const fitting_t *self, const message_t *reply, const char *how)
{
    uint64_t version = wire_uint (reply->body, "version", 0);
    wire_list_t changes = wire_list (reply->body, "changes");
    if (self->call->json)
        print_json (reply->body);
    else if (count_changes (changes, "same") == changes.count)
        printf ("the numbers are what they were: version %" PRIu64 "\n", version);
    else
        printf ("%s: version %" PRIu64 " of the definitions\n", how, version);
    return EXIT_DONE;
}

static int send_numbers (fitting_t *self, const char *text)
{
    message_t reply;
    error_t error;
    call_t *call = self->call;
    if (tell (self, true, text, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    wire_list_t changes = wire_list (reply.body, "changes");
    if (!call->json)
        print_changes (changes, false);
    if (self->dry_run || count_changes (changes, "same") == changes.count)
        return done (self, &reply, "would be fitted");
    if (!call_agreed (call, self->yes, "use these numbers from now on?", "nothing was changed"))
        return EXIT_FAILED;
    if (tell (self, false, text, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    uint64_t version = wire_uint (reply.body, "version", 0);
    int exit_status = done (self, &reply, "fitted");
    await_definitions (call, version);
    return exit_status;
}

/* ---- finding them ---- */

static status_t find_service (fitting_t *self, const char *name, error_t *error)
{
    definitions_t *definitions = self->registered.definitions;
    text_t bare;
    uint32_t version;
    if (!version_reference (text_of (name), &bare, &version))
        bare = text_of (name);
    const service_t *found = definitions_service_version (definitions, bare, version);
    const char *nearest = definitions_nearest_answer (definitions, text_of (name));
    if (!found && definitions_view_version (definitions, bare, version))
        return error_set (error, STATUS_INVALID,
                          "%s is a view: what is fitted is the `preprocess` of a service", name);
    if (!found)
        return error_set (error, STATUS_NOT_FOUND, "there is no service \"%s\"%s%s%s", name,
                          nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                          nearest ? "\"?" : "");
    self->service = &definitions->services[found - definitions->services];
    for (size_t i = 0; i < found->features_count; i++)
        if (preprocess_is_fitted_kind (&found->features[i].preprocess))
            return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "service %s has nothing to fit; write what is to be, as in preprocess: "
                      "{\"%s\": {impute: median, scale: standard}}, and apply that first",
                      name, found->features[0].name);
}

/* Of which version `weir training-set` says that the set is, when it has left its word beside it;
 * 0.
 */
static uint32_t version_of_set (const json_t *all, const char *service)
{
    json_int_t number =
        json_integer_value (json_object_get (json_object_get (all, "versions"), service));
    const char *of = json_string_value (json_object_get (all, "service"));
    return of && strcmp (of, service) == 0 && number > 0 && number <= UINT32_MAX ? (uint32_t)number
                                                                                 : 0;
}

/* Numbers of other features, or of what is preprocessed already, would be taken for right ones. */
static status_t check_set (const fitting_t *self, error_t *error)
{
    const service_t *service = self->service;
    char *beside = mem_format ("%s.weir.json", self->path);
    json_t *all = json_load_file (beside, 0, NULL);
    uint32_t version = version_of_set (all, service->name);
    bool raw = !json_is_false (json_object_get (all, "raw"));
    json_decref (all);
    mem_free (beside);
    if (version == 0)
        return STATUS_OK;
    const service_t *of = definitions_service_version (self->registered.definitions,
                                                       text_of (service->name), version);
    const char *other = of ? service_other_to_fit (service, of) : NULL;
    if (raw && of && !other)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "%s is %s of %s@v%" PRIu32 "%s%s%s; make it with `weir training-set "
                      "%s@v%" PRIu32 " --raw`",
                      self->path, raw ? "a set" : "the preprocessed set", service->name, version,
                      !raw || other ? "" : ", which is not there any more",
                      raw && other ? ", in which this is another feature: " : "",
                      raw && other ? other : "", service->name, service->version);
}

/* Fits, and sets the numbers in the service. */
static status_t find_numbers (fitting_t *self, fit_t *fit, error_t *error)
{
    arena_t *arena = self->registered.definitions->arena;
    char hash[FIT_HASH_DIGITS + 1];
    status_t status = check_set (self, error);
    if (status != STATUS_OK)
        return status;
    status = fit_file (fit, self->path, hash, &self->service->fitted_rows, error);
    if (status != STATUS_OK)
        return status;
    self->service->fitted_on = arena_string (arena, text_of (hash));
    return fit_set (fit, self->service, arena, error);
}

static int fit_service (fitting_t *self, size_t memory)
{
    error_t error;
    buf_t text;
    int exit_status;
    fit_t *fit = fit_new (self->service, memory);
    buf_init (&text, DEFINITION_FILE_MAX);
    status_t status = find_numbers (self, fit, &error);
    if (status == STATUS_OK) {
        service_format (self->service, &text);
        (void)buf_string (&text);
    }
    if (status == STATUS_OK && text.bad)
        status = error_set (&error, STATUS_TOO_LARGE, "its definition is over %d KiB with that",
                            DEFINITION_FILE_MAX >> 10);
    if (status == STATUS_OK) {
        if (!self->call->json)
            show (self, fit);
        exit_status = send_numbers (self, buf_string (&text));
    } else {
        exit_status = call_failed (self->call, &error);
    }
    buf_release (&text);
    fit_destroy (&fit);
    return exit_status;
}

static int run (call_t *call)
{
    fitting_t self = { .call = call };
    const char *memory = NULL;
    int64_t mib = MEMORY_DEFAULT;
    const option_spec_t specs[] = {
        { 0, "on", "FILE", "the training set, a CSV", &self.path, NULL },
        { 0, "dry-run", NULL, "show the numbers, and change nothing", NULL, &self.dry_run },
        { 'y', "yes", NULL, "do not ask", NULL, &self.yes },
        { 'm', "message", "TEXT", "why, for the version that it makes", &self.message, NULL },
        { 0, "memory", "MIB", "what quartiles may take (default 1024)", &memory, NULL },
    };
    int exit_status;
    error_t error;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!self.path)
        return call_usage (call, "--on FILE says what to fit to");
    if (memory && !call_number (call, "memory", memory, MEMORY_MOST, &mib))
        return EXIT_USAGE;
    if (!call_weir (call))
        return EXIT_FAILED;
    status_t status = registered_read (call, &self.registered, &error);
    if (status == STATUS_OK)
        status = find_service (&self, call->words[0], &error);
    exit_status =
        status == STATUS_OK ? fit_service (&self, (size_t)mib << 20) : call_failed (call, &error);
    registered_release (&self.registered);
    return exit_status;
}

const command_t command_fit = {
    .name = "fit",
    .group = "Definitions",
    .operands = "SERVICE",
    .purpose = "Finds the numbers of a service's `preprocess` in a training set",
    .details =
        "Imputed medians and means, scales and categories that the service asks for (impute: "
        "median, scale: standard,\nencode: one_hot) are found in a CSV whose columns are called "
        "as the service's features; other columns are\npassed over. The set has the features as "
        "they are before they are preprocessed. The numbers become part of\na new version of the "
        "service, and are the same for the same rows in any order.",
    .examples = "  weir fit transfer_model --on training.csv\n  weir fit transfer_model --on "
                "training.csv --dry-run\n  weir fit transfer_model --on training.csv --yes -m "
                "'October'",
    .least = 1,
    .most = 1,
    .run = run,
};
