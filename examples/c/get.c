/* get PROJECT VIEW FIELD VALUE - prints the features of one entity. */
#include <weir.h>

#include <inttypes.h>
#include <stdio.h>

static void print_value (const weir_value_t *value)
{
    switch (value->type) {
    case WEIR_BOOL:
        printf ("%s", value->as.i ? "true" : "false");
        break;
    case WEIR_INT64:
        printf ("%" PRId64, value->as.i);
        break;
    case WEIR_TIMESTAMP:
        printf ("%" PRId64 " us", value->as.i);
        break;
    case WEIR_FLOAT64:
        printf ("%.17g", value->as.f);
        break;
    case WEIR_STRING:
    case WEIR_DECIMAL:
        printf ("%s", value->as.text);
        break;
    case WEIR_LIST:
        for (uint32_t i = 0; i < value->size; i++) {
            printf ("%s", i > 0 ? ", " : "[");
            print_value (&value->as.items[i]);
        }
        printf ("%s", value->size > 0 ? "]" : "[]");
        break;
    case WEIR_MAP:
        for (uint64_t i = 0; i < value->as.map->count; i++) {
            printf ("%s", i > 0 ? ", " : "{");
            print_value (&value->as.map->keys[i]);
            printf (": ");
            print_value (&value->as.map->values[i]);
        }
        printf ("%s", value->as.map->count > 0 ? "}" : "{}");
        break;
    default:
        printf ("null");
    }
}

static void print_answer (const weir_answer_t *answer)
{
    const char *text;
    for (size_t i = 0; i < weir_answer_features (answer); i++) {
        printf ("%s = ", weir_answer_feature (answer, i));
        print_value (weir_answer_value (answer, 0, i));
        text = weir_answer_error (answer, 0, i);
        printf ("%s%s\n", text ? "  could not be computed: " : "", text ? text : "");
    }
    for (size_t i = 0; i < weir_answer_positions (answer, 0); i++) {
        const weir_position_t *position = weir_answer_position (answer, 0, i);
        printf ("every event of %s/%" PRIu32 " below %" PRIu64 " is in it\n", position->log,
                position->partition, position->position);
    }
    for (size_t i = 0; (text = weir_answer_missing (answer, 0, i)); i++)
        printf ("missing: %s\n", text);
}

int main (int argc, char **argv)
{
    weir_options_t options;
    weir_get_t get;
    weir_t *weir;
    weir_answer_t *answer = NULL;
    weir_error_t error;
    if (argc != 5) {
        fprintf (stderr, "usage: get PROJECT VIEW FIELD VALUE\n");
        return 2;
    }
    weir_options_init (&options);
    options.project = argv[1];
    if (weir_open (&options, &weir, &error) != WEIR_OK) {
        fprintf (stderr, "get: %s\n", error.text);
        return 1;
    }
    const char *field = argv[3];
    weir_value_t key = weir_string (argv[4]);
    weir_get_init (&get);
    get.view = argv[2];
    get.key_fields = &field;
    get.key_fields_count = 1;
    get.keys = &key;
    get.keys_count = 1;
    get.deadline_ms = 5000;
    if (weir_get (weir, &get, &answer, &error) == WEIR_OK)
        print_answer (answer);
    else
        fprintf (stderr, "get: %s: %s\n", weir_status_word ((weir_status_t)error.status),
                 error.text);
    int status = !answer ? 1 : weir_answer_complete (answer, 0) ? 0 : 4;
    weir_answer_destroy (&answer);
    weir_close (&weir);
    return status;
}
