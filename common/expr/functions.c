/* The functions of functions.h. A strict kernel is called with its result's valid bits set to those
 * of all arguments; arguments that are null hold 0 or the empty text. */
#include "base/arena.h"
#include "base/value.h"
#include "expr/tree.h"

#include <math.h>
#include <strings.h>

#define X(name, signature, nulls) static kernel_t eval_##name;
FUNCTION_TABLE (X)
#undef X

enum { LENIENT, STRICT };

static const function_t functions[] = {
#define X(name, signature, nulls) { #name, signature, nulls == STRICT, eval_##name },
    FUNCTION_TABLE (X)
#undef X
};

enum { FUNCTIONS = sizeof functions / sizeof *functions };

const function_t *function_find (text_t name)
{
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (strlen (functions[i].name) == name.size &&
            strncasecmp (functions[i].name, name.data, name.size) == 0)
            return &functions[i];
    }
    return NULL;
}

const char *const *function_names (size_t *count)
{
    static const char *const names[] = {
#define X(name, signature, nulls) #name,
        FUNCTION_TABLE (X)
#undef X
    };
    *count = FUNCTIONS;
    return names;
}

static void eval_abs (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        if (out->type == TYPE_FLOAT64) {
            out->f[r] = out->valid[r] ? fabs (a->column.f[r * a->step]) : 0.0;
            continue;
        }
        int64_t value = a->column.i[r * a->step];
        if (value == INT64_MIN) { /* the one whose opposite there is not */
            out->valid[r] = 0;
            value = 0;
        }
        out->i[r] = value < 0 ? -value : value;
    }
}

static void eval_floor (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        if (out->type == TYPE_FLOAT64)
            out->f[r] = out->valid[r] ? value_float (floor (a->column.f[r * a->step])) : 0.0;
        else
            out->i[r] = out->valid[r] ? a->column.i[r * a->step] : 0;
    }
}

static void eval_sqrt (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        double value = a->column.f[r * a->step];
        if (value < 0.0)
            out->valid[r] = 0;
        out->f[r] = out->valid[r] ? value_float (sqrt (value)) : 0.0;
    }
}

/* The first argument that is not null. Cells are 8 bytes, or a text. */
static void eval_coalesce (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        const vector_t *found = NULL;
        for (size_t k = 0; k < call->count && found == NULL; k++) {
            const vector_t *arg = call->args[k];
            if (arg->column.valid[r * arg->step])
                found = arg;
        }
        out->valid[r] = found != NULL;
        if (out->type == TYPE_STRING)
            out->s[r] = found != NULL ? found->column.s[r * found->step] : (text_t){ NULL, 0 };
        else if (out->type == TYPE_FLOAT64)
            out->f[r] = found != NULL ? found->column.f[r * found->step] : 0.0;
        else
            out->i[r] = found != NULL ? found->column.i[r * found->step] : 0;
    }
}

/* Maps the bytes `first` to `last` by adding `shift`, all others to themselves. */
static void map_bytes (const call_t *call, column_t *out, char first, char last, int shift)
{
    const vector_t *a = call->args[0];
    size_t size = 0;
    for (size_t r = 0; r < call->rows; r++)
        size += out->valid[r] ? a->column.s[r * a->step].size : 0;
    char *to = arena_alloc (call->arena, size + 1);
    for (size_t r = 0; r < call->rows; r++) {
        text_t from = out->valid[r] ? a->column.s[r * a->step] : (text_t){ NULL, 0 };
        out->s[r] = (text_t){ to, from.size };
        for (uint32_t i = 0; i < from.size; i++) {
            char c = from.data[i];
            *to++ = (char)(c >= first && c <= last ? c + shift : c);
        }
    }
}

static void eval_lower (const call_t *call, column_t *out)
{
    map_bytes (call, out, 'A', 'Z', 'a' - 'A');
}

static void eval_upper (const call_t *call, column_t *out)
{
    map_bytes (call, out, 'a', 'z', 'A' - 'a');
}

static void eval_starts_with (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = a->column.s[r * a->step];
        text_t prefix = b->column.s[r * b->step];
        bool begins = prefix.size <= text.size;
        if (begins)
            text.size = prefix.size;
        out->i[r] = out->valid[r] && begins && text_equal (text, prefix);
    }
}
