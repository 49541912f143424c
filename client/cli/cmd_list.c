/* weir list, weir show, weir delete - what is defined, and what there is. */
#include "client/cli/registered.h"
#include "client/cli/status_view.h"
#include "client/cli/terminal.h"
#include "client/cli/work.h"

#include "base/mem.h"
#include "base/number.h"
#include "feature/plan.h"

#include <string.h>

/* ---- list ---- */

static void put_names (buf_t *out, const char *name, const stream_t *stream, const uint32_t *key,
                       size_t key_count)
{
    buf_put_string (out, "{\"name\":");
    number_format_json_string (out, text_of (name));
    buf_put_string (out, ",\"key\":[");
    for (size_t i = 0; i < key_count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        number_format_json_string (out, text_of (stream->fields[key[i]].name));
    }
    buf_put_u8 (out, ']');
}

static void add_key (table_t *table, const stream_t *stream, const uint32_t *key, size_t key_count)
{
    buf_t names;
    buf_init (&names, 4096);
    for (size_t i = 0; i < key_count; i++)
        buf_printf (&names, "%s%s", i > 0 ? ", " : "", stream->fields[key[i]].name);
    table_add (table, text_of (key_count > 0 ? buf_string (&names) : "(global)"));
    buf_release (&names);
}

/* "payments", and of several streams ["payments","refunds"]. */
static void put_from (buf_t *out, const view_t *view)
{
    bool several = view->sources_count > 1;
    buf_put_string (out, several ? ",\"from\":[" : ",\"from\":");
    for (size_t i = 0; i < view->sources_count; i++)
        buf_printf (out, "%s\"%s\"", i > 0 ? "," : "", view->sources[i].stream->name);
    buf_put_string (out, several ? "]" : "");
}

static void list_streams (const definitions_t *definitions, bool json, buf_t *out)
{
    static const char *const heads[] = { "STREAM", "KEY", "TIME", ">FIELDS", NULL };
    table_t *table = table_new (heads);
    for (size_t i = 0; i < definitions->streams_count; i++) {
        const stream_t *stream = &definitions->streams[i];
        if (json) {
            put_names (out, stream->name, stream, stream->key, stream->key_count);
            buf_printf (out, ",\"time\":\"%s\",\"fields\":%zu}\n",
                        stream->fields[stream->time].name, stream->fields_count);
        } else {
            table_add (table, text_of (stream->name));
            add_key (table, stream, stream->key, stream->key_count);
            table_add (table, text_of (stream->fields[stream->time].name));
            table_addf (table, "%zu", stream->fields_count);
        }
    }
    table_format (table, out);
    table_destroy (&table);
}

static void add_sources (table_t *table, const view_t *view)
{
    buf_t names;
    buf_init (&names, 4096);
    view_format_sources (view, &names);
    table_add (table, text_of (buf_string (&names)));
    buf_release (&names);
}

static void put_version (uint32_t version, version_state_t state, buf_t *out)
{
    buf_printf (out, ",\"version\":\"v%u\",\"state\":\"%s\"", version, version_state_word (state));
}

static void list_views (const definitions_t *definitions, bool json, buf_t *out)
{
    static const char *const heads[] = { "VIEW", "VERSION",   "STATE", "FROM",
                                         "KEY",  ">FEATURES", NULL };
    table_t *table = table_new (heads);
    for (size_t i = 0; i < definitions->views_count; i++) {
        const view_t *view = &definitions->views[i];
        if (json) {
            put_names (out, view->name, view->stream, view->key, view->key_count);
            put_version (view->version, view->state, out);
            put_from (out, view);
            buf_printf (out, ",\"features\":%zu}\n", view->features_count + view->derived_count);
        } else {
            table_add (table, text_of (view->name));
            table_addf (table, "v%u", view->version);
            table_add (table, text_of (version_state_word (view->state)));
            add_sources (table, view);
            add_key (table, view->stream, view->key, view->key_count);
            table_addf (table, "%zu", view->features_count + view->derived_count);
        }
    }
    table_format (table, out);
    table_destroy (&table);
}

/* The names of a service's key and of its request's values. */
static void put_fields (const field_t *fields, size_t count, const char *quote, const char *between,
                        buf_t *out)
{
    for (size_t i = 0; i < count; i++)
        buf_printf (out, "%s%s%s%s", i > 0 ? between : "", quote, fields[i].name, quote);
}

/* Views with their versions, each once. */
static void put_views (const service_t *service, bool json, buf_t *out)
{
    size_t start = out->size;
    for (size_t i = 0; i < service->roles_count; i++) {
        const view_t *view = service->roles[i].view;
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen = seen || service->roles[k].view == view;
        if (!seen)
            buf_printf (out, json ? "%s\"%s\":\"v%u\"" : "%s%s@v%u",
                        out->size > start ? (json ? "," : ", ") : "", view->name, view->version);
    }
}

static void service_json (const service_t *service, buf_t *out)
{
    buf_printf (out, "{\"name\":\"%s\",\"key\":[", service->name);
    put_fields (service->keys, service->keys_count, "\"", ",", out);
    buf_put_u8 (out, ']');
    put_version (service->version, service->state, out);
    buf_printf (out, ",\"as_of\":\"%s\",\"views\":{", service->before ? "before" : "at");
    put_views (service, true, out);
    buf_put_u8 (out, '}');
}

static void list_services (const definitions_t *definitions, bool json, buf_t *out)
{
    static const char *const heads[] = { "SERVICE", "VERSION",   "STATE", "KEY",
                                         "VIEWS",   ">FEATURES", NULL };
    table_t *table = table_new (heads);
    buf_t text;
    buf_init (&text, 1 << 14);
    for (size_t i = 0; i < definitions->services_count; i++) {
        const service_t *service = &definitions->services[i];
        if (json) {
            service_json (service, out);
            buf_printf (out, ",\"features\":%zu}\n", service->outputs_count);
            continue;
        }
        table_add (table, text_of (service->name));
        table_addf (table, "v%u", service->version);
        table_add (table, text_of (version_state_word (service->state)));
        buf_clear (&text);
        put_fields (service->keys, service->keys_count, "", ", ", &text);
        table_add (table, text_of (service->keys_count > 0 ? buf_string (&text) : "(global)"));
        buf_clear (&text);
        put_views (service, false, &text);
        table_add (table, text_of (buf_string (&text)));
        table_addf (table, "%zu", service->outputs_count);
    }
    buf_release (&text);
    table_format (table, out);
    table_destroy (&table);
}

/* What is told of the plan's feature; they are in the view's order, the derived ones last. */
static const about_t *about_of (const view_t *view, size_t feature)
{
    return feature < view->features_count ? &view->features[feature].about
                                          : &view->derived[feature - view->features_count].about;
}

static void put_tags (const about_t *about, buf_t *out)
{
    buf_clear (out);
    for (size_t i = 0; i < about->tags_count; i++)
        buf_printf (out, "%s%s", i > 0 ? ", " : "", about->tags[i]);
}

/* ,"description":…,"owner":…,"tags":[…]: those that there are. */
static void put_about_json (const about_t *about, buf_t *out)
{
    if (about->description) {
        buf_put_string (out, ",\"description\":");
        number_format_json_string (out, text_of (about->description));
    }
    if (about->owner) {
        buf_put_string (out, ",\"owner\":");
        number_format_json_string (out, text_of (about->owner));
    }
    for (size_t i = 0; i < about->tags_count; i++) {
        buf_put_string (out, i > 0 ? "," : ",\"tags\":[");
        number_format_json_string (out, text_of (about->tags[i]));
    }
    if (about->tags_count > 0)
        buf_put_u8 (out, ']');
}

/* Of all views, with what is told of them. */
static void list_features (const definitions_t *definitions, bool json, buf_t *out)
{
    static const char *const heads[] = { "VIEW", "FEATURE",     "TYPE", "OWNER",
                                         "TAGS", "DESCRIPTION", NULL };
    table_t *table = table_new (heads);
    buf_t tags;
    buf_init (&tags, TAGS_MAX * (NAME_MAX_SIZE + 2) + 1);
    for (size_t v = 0; v < definitions->views_count; v++) {
        const view_t *view = &definitions->views[v];
        if (view != definitions_view (definitions, text_of (view->name)))
            continue; /* of other versions, `weir show NAME@vN` tells */
        plan_t *plan = plan_new (view);
        for (size_t i = 0; i < plan->features_count; i++) {
            const about_t *about = about_of (view, i);
            if (json) {
                buf_printf (out, "{\"view\":\"%s\",\"name\":\"%s\",\"type\":\"%s\"", view->name,
                            plan->features[i].name, plan->features[i].type_text);
                put_about_json (about, out);
                buf_put_string (out, "}\n");
                continue;
            }
            put_tags (about, &tags);
            table_add (table, text_of (view->name));
            table_add (table, text_of (plan->features[i].name));
            table_add (table, text_of (plan->features[i].type_text));
            table_add (table, text_of (about->owner ? about->owner : ""));
            table_add (table, text_of (buf_string (&tags)));
            table_add (table, text_of (about->description ? about->description : ""));
        }
        plan_destroy (&plan);
    }
    table_format (table, out);
    table_destroy (&table);
    buf_release (&tags);
}

/* ---- what can be listed ---- */

typedef enum kind {
    STREAMS,
    VIEWS,
    SERVICES,
    FEATURES,
    NODES,
    PARTITIONS,
    LOADS,
    RECOMPUTES
} kind_t;

static int list_definitions (call_t *call, kind_t kind)
{
    registered_t registered;
    error_t error;
    buf_t out;
    if (registered_read (call, &registered, &error) != STATUS_OK)
        return call_failed (call, &error);
    buf_init (&out, 64 << 20);
    if (kind == STREAMS)
        list_streams (registered.definitions, call->json, &out);
    else if (kind == VIEWS)
        list_views (registered.definitions, call->json, &out);
    else if (kind == SERVICES)
        list_services (registered.definitions, call->json, &out);
    else
        list_features (registered.definitions, call->json, &out);
    print_buf (&out);
    if (out.size == 0 && !call->json)
        printf ("there are no %s\n", call->words[0]);
    buf_release (&out);
    registered_release (&registered);
    return EXIT_DONE;
}

static void print_lines (wire_list_t list)
{
    for (uint32_t i = 0; i < list.count; i++)
        print_json (&list.items[i]);
}

static int list_status (call_t *call, const char *kind)
{
    message_t reply;
    error_t error;
    if (client_status (call->weir, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    const char *name = strcmp (kind, "partitions") == 0 ? "logs" : kind;
    if (call->json)
        print_lines (wire_list (reply.body, name));
    else if (strcmp (kind, "nodes") == 0)
        print_nodes (reply.body);
    else if (strcmp (kind, "partitions") == 0)
        print_partitions (reply.body);
    else if (strcmp (kind, "loads") == 0)
        print_loads (wire_list (reply.body, "loads"));
    else
        print_recomputes (wire_list (reply.body, "recomputes"));
    return EXIT_DONE;
}

static int run_list (call_t *call)
{
    static const char *const kinds[] = {
        [STREAMS] = "streams",   [VIEWS] = "views",           [SERVICES] = "services",
        [FEATURES] = "features", [NODES] = "nodes",           [PARTITIONS] = "partitions",
        [LOADS] = "loads",       [RECOMPUTES] = "recomputes",
    };
    const size_t count = sizeof kinds / sizeof kinds[0];
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    size_t kind = 0;
    while (kind < count && strcmp (call->words[0], kinds[kind]) != 0)
        kind++;
    if (kind == count) {
        const char *nearest = text_nearest (call->words[0], kinds, count);
        return call_usage (call,
                           "\"%s\" cannot be listed%s%s%s what can: streams, views, services, "
                           "features, nodes, partitions, loads, recomputes",
                           call->words[0], nearest ? "; did you mean " : "", nearest ? nearest : "",
                           nearest ? "?" : ";");
    }
    if (!call_weir (call))
        return EXIT_FAILED;
    return kind <= FEATURES ? list_definitions (call, (kind_t)kind)
                            : list_status (call, kinds[kind]);
}

const command_t command_list = {
    .name = "list",
    .group = "Definitions",
    .operands = "streams|views|services|features|nodes|partitions|loads|recomputes",
    .purpose = "Lists what is defined, and what there is",
    .details = "With --json, one object a line.",
    .examples = "  weir list views\n  weir list features --json\n  weir list recomputes --json",
    .least = 1,
    .most = 1,
    .run = run_list,
};

/* ---- show ---- */

/* Owners and tags have columns where there are any. */
static void show_features (const view_t *view)
{
    plan_t *plan = plan_new (view);
    bool owners = false, tags = false;
    for (size_t i = 0; i < plan->features_count; i++) {
        owners = owners || about_of (view, i)->owner;
        tags = tags || about_of (view, i)->tags_count > 0;
    }
    const char *heads[] = { "FEATURE", "TYPE", NULL, NULL, NULL, NULL };
    size_t columns = 2;
    if (owners)
        heads[columns++] = "OWNER";
    if (tags)
        heads[columns++] = "TAGS";
    heads[columns] = "DESCRIPTION";
    table_t *table = table_new (heads);
    buf_t text;
    buf_init (&text, TAGS_MAX * (NAME_MAX_SIZE + 2) + 1);
    for (size_t i = 0; i < plan->features_count; i++) {
        const about_t *about = about_of (view, i);
        table_add (table, text_of (plan->features[i].name));
        table_add (table, text_of (plan->features[i].type_text));
        if (owners)
            table_add (table, text_of (about->owner ? about->owner : ""));
        put_tags (about, &text);
        if (tags)
            table_add (table, text_of (buf_string (&text)));
        table_add (table, text_of (about->description ? about->description : ""));
    }
    puts ("");
    table_print (table);
    buf_release (&text);
    table_destroy (&table);
    plan_destroy (&plan);
}

static void put_request (buf_t *out, const field_t *fields, size_t count)
{
    buf_put_string (out, ",\"request\":{");
    for (size_t i = 0; i < count; i++)
        buf_printf (out, "%s\"%s\":\"%s\"", i > 0 ? "," : "", fields[i].name,
                    type_word (fields[i].type));
    buf_put_string (out, "}");
}

/* The definition itself, which ends what is shown. */
static void put_text (buf_t *out, const char *text)
{
    buf_put_string (out, ",\"text\":");
    number_format_json_string (out, text_of (text));
    buf_put_string (out, "}\n");
}

static void show_view_json (const view_t *view, buf_t *out)
{
    plan_t *plan = plan_new (view);
    put_names (out, view->name, view->stream, view->key, view->key_count);
    buf_put_string (out, ",\"kind\":\"view\"");
    put_version (view->version, view->state, out);
    put_from (out, view);
    buf_put_string (out, ",\"features\":{");
    for (size_t i = 0; i < plan->features_count; i++)
        buf_printf (out, "%s\"%s\":\"%s\"", i > 0 ? "," : "", plan->features[i].name,
                    plan->features[i].type_text);
    buf_put_string (out, "}");
    put_request (out, view->request, view->request_count);
    put_text (out, view->text);
    plan_destroy (&plan);
}

static void show_stream_json (const stream_t *stream, buf_t *out)
{
    put_names (out, stream->name, stream, stream->key, stream->key_count);
    buf_put_string (out, ",\"kind\":\"stream\",\"fields\":{");
    for (size_t i = 0; i < stream->fields_count; i++) {
        buf_printf (out, "%s\"%s\":\"", i > 0 ? "," : "", stream->fields[i].name);
        field_type_format (&stream->fields[i], out);
        buf_put_u8 (out, '"');
    }
    buf_put_string (out, "}");
    put_text (out, stream->text);
}

/* In the order in which they are answered. */
static void show_outputs (const service_t *service)
{
    static const char *const heads[] = { "FEATURE", "TYPE", "DEFAULT", NULL };
    table_t *table = table_new (heads);
    buf_t type;
    buf_init (&type, RESULT_TYPE_TEXT_MAX);
    for (size_t i = 0; i < service->outputs_count; i++) {
        const service_output_t *output = &service->outputs[i];
        const service_feature_t *feature = &service->features[output->feature];
        const char *derived = feature->kind == OUTPUT_DERIVED
                                  ? service->derived[feature->index].default_text
                                  : feature->default_text;
        buf_clear (&type);
        result_type_format (&output->type, &type);
        table_add (table, text_of (output->name));
        table_add (table, text_of (buf_string (&type)));
        table_add (table, text_of (derived ? derived : ""));
    }
    puts ("");
    table_print (table);
    buf_release (&type);
    table_destroy (&table);
}

/* Where its numbers are from, and how many it lacks. */
static void show_fitted (const service_t *service)
{
    size_t unfitted = service_unfitted (service);
    if (service->fitted_on)
        printf ("\nnumbers were fitted to %llu rows, SHA-256 %s\n",
                (unsigned long long)service->fitted_rows, service->fitted_on);
    if (unfitted > 0)
        printf ("\n%zu feature%s answered as null until fitted: weir fit %s --on TRAINING_SET\n",
                unfitted, unfitted == 1 ? " is" : "s are", service->name);
}

static void put_fitted_json (const service_t *service, buf_t *out)
{
    if (service->fitted_on)
        buf_printf (out, ",\"fitted\":{\"on\":\"%s\",\"rows\":%llu}", service->fitted_on,
                    (unsigned long long)service->fitted_rows);
    if (service_unfitted (service) > 0)
        buf_printf (out, ",\"unfitted\":%zu", service_unfitted (service));
}

static void show_service_json (const service_t *service, buf_t *out)
{
    service_json (service, out);
    buf_put_string (out, ",\"kind\":\"service\",\"features\":{");
    for (size_t i = 0; i < service->outputs_count; i++) {
        buf_put_string (out, i > 0 ? "," : "");
        number_format_json_string (out, text_of (service->outputs[i].name));
        buf_put_string (out, ":\"");
        result_type_format (&service->outputs[i].type, out);
        buf_put_u8 (out, '"');
    }
    buf_put_string (out, "}");
    put_fitted_json (service, out);
    put_request (out, service->request, service->request_count);
    put_text (out, service->text);
}

static void show_service (const service_t *service, bool json)
{
    buf_t out;
    buf_init (&out, 16 << 20);
    if (json)
        show_service_json (service, &out);
    else
        buf_put_string (&out, service->text);
    print_buf (&out);
    buf_release (&out);
    if (!json) {
        show_outputs (service);
        show_fitted (service);
    }
}

static void show (const stream_t *stream, const view_t *view, bool json)
{
    buf_t out;
    buf_init (&out, 16 << 20);
    if (json && view)
        show_view_json (view, &out);
    else if (json)
        show_stream_json (stream, &out);
    else
        buf_put_string (&out, view ? view->text : stream->text);
    print_buf (&out);
    buf_release (&out);
    if (view && !json)
        show_features (view);
}

static const view_t *shown_view (const definitions_t *definitions, text_t name, uint32_t version)
{
    return version != 0 ? definitions_view_version (definitions, name, version)
                        : definitions_view (definitions, name);
}

static const service_t *shown_service (const definitions_t *definitions, text_t name,
                                       uint32_t version)
{
    return version != 0 ? definitions_service_version (definitions, name, version)
                        : definitions_service (definitions, name);
}

static int run_show (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    registered_t registered;
    error_t error;
    if (registered_read (call, &registered, &error) != STATUS_OK)
        return call_failed (call, &error);
    text_t name;
    uint32_t version;
    const stream_t *stream = NULL;
    const view_t *view = NULL;
    const service_t *service = NULL;
    if (version_reference (text_of (call->words[0]), &name, &version)) {
        view = shown_view (registered.definitions, name, version);
        service = shown_service (registered.definitions, name, version);
        stream = version == 0 ? definitions_stream (registered.definitions, name) : NULL;
    }
    if (service)
        show_service (service, call->json);
    else if (view || stream)
        show (stream, view, call->json);
    else
        exit_status =
            registered_not_there (registered.definitions, call->words[0], &error) == STATUS_OK
                ? EXIT_DONE
                : call_failed (call, &error);
    registered_release (&registered);
    return exit_status;
}

const command_t command_show = {
    .name = "show",
    .group = "Definitions",
    .operands = "NAME[@vN]",
    .purpose =
        "Prints the definition of a view, service or stream, and its features with their types",
    .details = NULL,
    .examples = "  weir show user_spend\n  weir show user_spend@v1\n  weir show transfer_model\n  "
                "weir show payments --json",
    .least = 1,
    .most = 1,
    .run = run_show,
};
