/* A training set as a file: columns by name, cells by type, places of what is wrong, its hash, and
 * several readings. */
#include "client/cli/fit_file.h"

#include "base/mem.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { MUCH = 1 << 24 };

static scratch_t scratch;

static void make (void)
{
    scratch_make (&scratch);
}

static void clean (void)
{
    scratch_remove (&scratch);
}

TestSuite (fit_file, .init = make, .fini = clean);

static definitions_t *definitions_of (void)
{
    static const char text[] =
        "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, t: timestamp}\nviews:\n"
        "  v:\n    from: s\n    features: {n: count()}\nservices:\n  x:\n    views: v\n"
        "    request: {f: float64, g: float64, w: string}\n    features: [f, \"v:n\", g, w]\n"
        "    preprocess:\n      f: {impute: median}\n      g: {scale: robust}\n"
        "      \"v:n\": {scale: minmax}\n      w: {encode: one_hot}\n";
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    cr_assert_eq (definitions_read (&file, 1, &definitions, &error), STATUS_OK, "%s", error.text);
    return definitions;
}

static const char *write_file (const char *text)
{
    const char *path = scratch_path (&scratch, "set.csv");
    FILE *file = fopen (path, "w");
    cr_assert_not_null (file);
    cr_assert_geq (fputs (text, file), 0);
    cr_assert_eq (fclose (file), 0);
    return path;
}

/* What is fitted to the file with that text, within the memory; *out is for the caller to end. */
static status_t fit_text (const char *text, size_t memory, definitions_t **out, char *hash,
                          uint64_t *rows, error_t *error)
{
    *out = definitions_of ();
    service_t *service = &(*out)->services[0];
    fit_t *fit = fit_new (service, memory);
    status_t status = fit_file (fit, write_file (text), hash, rows, error);
    if (status == STATUS_OK)
        status = fit_set (fit, service, (*out)->arena, error);
    fit_destroy (&fit);
    return status;
}

static void check_refused (const char *text, status_t wanted, const char *reason)
{
    definitions_t *definitions;
    char hash[FIT_HASH_DIGITS + 1];
    uint64_t rows;
    error_t error;
    cr_expect_eq (fit_text (text, MUCH, &definitions, hash, &rows, &error), wanted);
    cr_expect_not_null (strstr (error.text, reason), "%s", error.text);
    definitions_destroy (&definitions);
}

Test (fit_file, has_columns_in_any_order_and_others_beside_them)
{
    static const char text[] = "label,w,g,v:n,f\nx,\"\",1.5, 3 ,\n,b,,7,2.5\n\"a\nb\",,2,-1,1e1\n";
    definitions_t *definitions;
    char hash[FIT_HASH_DIGITS + 1];
    uint64_t rows;
    error_t error;
    cr_assert_eq (fit_text (text, MUCH, &definitions, hash, &rows, &error), STATUS_OK, "%s",
                  error.text);
    const service_feature_t *features = definitions->services[0].features;
    cr_expect_eq (rows, 3);
    /* printf '...' | sha256sum */
    cr_expect_str_eq (hash, "301e41fc5858bc05527323642a69bc4ea40d2fb6640b869f1daa047d8654cedd");
    cr_expect_eq (features[0].preprocess.imputed.f, 6.25);
    cr_expect_eq (features[1].preprocess.scaled_by[0], -1);
    cr_expect_eq (features[1].preprocess.scaled_by[1], 7);
    cr_expect_eq (features[2].preprocess.scaled_by[0], 1.75);
    cr_expect_eq (features[2].preprocess.scaled_by[1], 0.25);
    cr_expect_eq (features[3].preprocess.categories_count, 2,
                  "the empty text is one, null is none");
    definitions_destroy (&definitions);
}

/* More rows than are read at once, in one reading and in several. */
Test (fit_file, gives_the_same_however_often_it_is_read)
{
    definitions_t *once, *twice;
    char first[FIT_HASH_DIGITS + 1], second[FIT_HASH_DIGITS + 1];
    uint64_t rows;
    error_t error;
    buf_t text;
    buf_init (&text, 1 << 22);
    buf_put_string (&text, "f,g,v:n,w\n");
    for (int i = 0; i < 20000; i++)
        buf_printf (&text, "%d.25,%d,%d,c%d\n", i * 7919 % 20000, i, i, i % 100);
    cr_assert_eq (fit_text (buf_string (&text), MUCH, &once, first, &rows, &error), STATUS_OK);
    cr_assert_eq (fit_text (buf_string (&text), 300000, &twice, second, &rows, &error), STATUS_OK,
                  "%s", error.text);
    cr_expect_eq (rows, 20000);
    cr_expect_str_eq (first, second);
    const service_feature_t *features = once->services[0].features;
    cr_expect_eq (features[0].preprocess.imputed.f, 9999.75);
    cr_expect_eq (features[2].preprocess.scaled_by[1], 9999.5);
    cr_expect_eq (once->services[0].outputs_count, 103);
    cr_expect_eq (service_meaning (&once->services[0]), service_meaning (&twice->services[0]));
    definitions_destroy (&once);
    definitions_destroy (&twice);
    check_refused ("f,g,v:n,w\n", STATUS_INVALID, "has no rows");
    buf_release (&text);
}

Test (fit_file, is_refused_with_the_place)
{
    check_refused ("f,g,v:n\n1,2,3\n", STATUS_NOT_FOUND,
                   "set.csv has no column \"w\"; columns are called as the service's features");
    check_refused ("f,g,v:m,w\n1,2,3,4\n", STATUS_NOT_FOUND,
                   "set.csv has no column \"v:n\", but \"v:m\"");
    check_refused ("f,g,f,v:n,w\n1,2,3,4,5\n", STATUS_INVALID, "set.csv has two columns \"f\"");
    check_refused ("f,g,v:n,w\n1,2,3,a\n1,2,3.5,a\n", STATUS_INVALID,
                   "set.csv: row 2: column v:n: '3.5' is not an int64");
    check_refused ("f,g,v:n,w\n1,2,3,a\n1,-inf,3,a\n", STATUS_INVALID,
                   "set.csv: row 2: column g: an infinity");
    check_refused ("f,g,v:n,w\n1,2,3,a\n1,2\n", STATUS_INVALID, "set.csv: ");
    check_refused ("f,g,v:n,w\n,2,3,a\n,2,3,a\n", STATUS_INVALID, "f: null in all 2 rows");
    definitions_t *definitions = definitions_of ();
    fit_t *fit = fit_new (&definitions->services[0], MUCH);
    char hash[FIT_HASH_DIGITS + 1];
    uint64_t rows;
    error_t error;
    cr_expect_eq (fit_file (fit, scratch.path, hash, &rows, &error), STATUS_INVALID);
    cr_expect_not_null (strstr (error.text, "is no file"));
    cr_expect_eq (fit_file (fit, scratch_path (&scratch, "none"), hash, &rows, &error),
                  STATUS_NOT_FOUND);
    fit_destroy (&fit);
    definitions_destroy (&definitions);
}
