/* Fuzzer of the reader of definitions: whatever the bytes, they are refused with a place and a
 * reason, or they compile and have canonical texts that read back to themselves. The first byte
 * chooses: a file of definitions, a weir.yaml, a feature's text, a view's filter, a derived
 * feature, a service over two roles. */
#include "base/check.h"
#include "feature/advice.h"
#include "feature/plan.h"
#include "feature/project.h"
#include "feature/service_plan.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static const char stream[] = "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, a: "
                             "float64, b: int64, c: bool, t: timestamp}\n";

static void check_refusal (const error_t *error)
{
    CHECK (error->status == STATUS_INVALID || error->status == STATUS_UNSUPPORTED);
    CHECK (strchr (error->text, ':') != NULL);
    CHECK (text_is_utf8 (text_of (error->text)) || strlen (error->text) == ERROR_TEXT_MAX - 1);
}

/* Over each stream the same, and over all of them the same cells. */
static void check_plans (const view_t *first, const view_t *second)
{
    CHECK (first->sources_count == second->sources_count);
    CHECK (first->meaning == second->meaning);
    plan_t *whole = plan_new (first);
    for (size_t i = 0; i < first->sources_count; i++) {
        plan_t *a = plan_new_over (first, i);
        plan_t *b = plan_new_over (second, i);
        CHECK (a->hash == b->hash);
        CHECK (a->cells_count == whole->cells_count && a->cells_size == whole->cells_size);
        for (size_t c = 0; c < a->cells_count; c++)
            CHECK (a->cells[c].slot == whole->cells[c].slot &&
                   state_spec_equal (a->slots[a->cells[c].slot].spec,
                                     whole->slots[whole->cells[c].slot].spec));
        plan_destroy (&a);
        plan_destroy (&b);
    }
    plan_destroy (&whole);
}

static void check_service (const service_t *first, const service_t *second)
{
    CHECK (strcmp (first->text, second->text) == 0);
    CHECK (service_meaning (first) == service_meaning (second));
    CHECK (first->inputs_count == second->inputs_count);
    service_plan_t *plan = service_plan_new (first);
    CHECK (plan->outputs_count == first->outputs_count);
    for (size_t i = 0; i < plan->outputs_count; i++) {
        CHECK (plan->outputs[i] < plan->plan->features_count);
        CHECK (plan->plan->features[plan->outputs[i]].type.type == first->outputs[i].type.type);
    }
    service_plan_destroy (&plan);
    plan = service_plan_new_raw (first);
    CHECK (plan->outputs_count == first->features_count);
    for (size_t i = 0; i < plan->outputs_count; i++)
        CHECK (plan->plan->features[plan->outputs[i]].type.type == first->features[i].type.type);
    service_plan_destroy (&plan);
    CHECK (service_same_kind (first, second));
}

static void check_reads_back (const definitions_t *first)
{
    definition_file_t files[STREAMS_MAX + VIEWS_MAX + SERVICES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < first->streams_count; i++)
        files[count++] = (definition_file_t){ "s", text_of (first->streams[i].text) };
    for (size_t i = 0; i < first->views_count; i++)
        files[count++] = (definition_file_t){ "v", text_of (first->views[i].text) };
    for (size_t i = 0; i < first->services_count; i++)
        files[count++] = (definition_file_t){ "a", text_of (first->services[i].text) };
    definitions_t *second = NULL;
    error_t error;
    status_t status = definitions_read (files, count, &second, &error);
    CHECK (status == STATUS_OK);
    CHECK (second->streams_count == first->streams_count);
    CHECK (second->views_count == first->views_count);
    for (size_t i = 0; i < first->streams_count; i++)
        CHECK (strcmp (first->streams[i].text, second->streams[i].text) == 0);
    for (size_t i = 0; i < first->views_count; i++) {
        CHECK (strcmp (first->views[i].text, second->views[i].text) == 0);
        check_plans (&first->views[i], &second->views[i]);
    }
    CHECK (second->services_count == first->services_count);
    for (size_t i = 0; i < first->services_count; i++)
        check_service (&first->services[i], &second->services[i]);
    definitions_destroy (&second);
}

static void read_definitions (const definition_file_t *files, size_t count)
{
    definitions_t *definitions = NULL;
    error_t error;
    if (definitions_read (files, count, &definitions, &error) != STATUS_OK) {
        CHECK (definitions == NULL);
        check_refusal (&error);
        return;
    }
    check_reads_back (definitions);
    buf_t advice;
    buf_init (&advice, 1 << 20);
    (void)definitions_advise (definitions, TIME_HOUR, &advice);
    buf_release (&advice);
    definitions_destroy (&definitions);
}

static void read_project (text_t text)
{
    project_t *project = NULL;
    error_t error;
    if (project_parse ("dir", text, &project, &error) != STATUS_OK) {
        check_refusal (&error);
        return;
    }
    CHECK (project->serving_count > 0);
    CHECK (project->partitions > 0);
    project_destroy (&project);
}

/* The bytes as a text in single quotes, inside a view. */
static void read_inside (const char *before, text_t text, const char *after)
{
    buf_t view;
    buf_init (&view, DEFINITION_FILE_MAX);
    buf_put_string (&view, "views:\n  v:\n    from: s\n");
    buf_put_string (&view, before);
    buf_put_u8 (&view, '\'');
    for (uint32_t i = 0; i < text.size; i++) {
        buf_put_u8 (&view, (uint8_t)text.data[i]);
        if (text.data[i] == '\'')
            buf_put_u8 (&view, '\'');
    }
    buf_printf (&view, "'\n%s", after);
    definition_file_t files[] = { { "s", text_of (stream) },
                                  { "v", { (const char *)view.data, (uint32_t)view.size } } };
    if (!view.bad)
        read_definitions (files, 2);
    buf_release (&view);
}

/* The bytes as what a service has beside its views. */
static void read_service (text_t text)
{
    static const char before[] = "views:\n  v:\n    from: s\n    request: {r: float64}\n    "
                                 "features:\n      n: count() over 1h, 7d\n      m: sum(a)\n"
                                 "      each: count() by k\n    derived: {d: n_1h + r}\nservices:\n"
                                 "  x:\n    views: {one: v, two: {view: v@v1, key: {k: other}}}\n";
    buf_t file;
    buf_init (&file, DEFINITION_FILE_MAX);
    buf_put_string (&file, before);
    buf_put (&file, text.data, text.size);
    definition_file_t files[] = { { "s", text_of (stream) },
                                  { "v", { (const char *)file.data, (uint32_t)file.size } } };
    if (!file.bad)
        read_definitions (files, 2);
    buf_release (&file);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size == 0 || size > DEFINITION_FILE_MAX)
        return 0;
    text_t text = { (const char *)data + 1, (uint32_t)size - 1 };
    definition_file_t file = { "f", text };
    switch (data[0] % 4) {
    case 0:
        read_definitions (&file, 1);
        break;
    case 1:
        read_project (text);
        break;
    case 2:
        read_inside ("    features:\n      x: ", text, "");
        break;
    default:
        if (data[0] % 16 == 15)
            read_service (text);
        else if (data[0] % 8 == 7)
            read_inside (
                "    request: {r: float64, s: string}\n    features:\n      n: count() over "
                "1h, 7d\n      m: sum(a)\n      each: count() by k\n    derived:\n      e: "
                "n_1h + 1\n      d: ",
                text, "      f: d\n");
        else
            read_inside ("    where: ", text, "    features:\n      x: count()\n");
        break;
    }
    return 0;
}
