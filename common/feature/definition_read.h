/* definition_read.h - what the readers of streams and views share while files are read. */
#ifndef WEIR_FEATURE_DEFINITION_READ_H
#define WEIR_FEATURE_DEFINITION_READ_H

#include "feature/definition.h"
#include "feature/tree_check.h"
#include "feature/view_scope.h"

#define HORIZON_MIN  TIME_MINUTE
#define HORIZON_MOST (3650 * TIME_DAY)
#define TTL_MIN      TIME_SECOND
#define TTL_MOST     (3650 * TIME_DAY)

enum {
    COLUMN_NAME_MAX = 255,  /* bytes */
    DESCRIPTION_MAX = 4096, /* bytes */
    OWNER_MAX = 255,        /* bytes */
};

typedef struct definition_reader {
    definitions_t *out;
    arena_t *scratch; /* trees, messages, what is forgotten when all is read */
    mistakes_t mistakes;
    const definitions_input_t *input;
    const tree_node_t **stream_keys; /* where each stream is defined */
    bool *stream_good;               /* false: views from it are not looked at further */
    const tree_node_t **view_keys;
    bool *view_good; /* false: services over them are not looked at further */
    const tree_node_t **service_keys;
} definition_reader_t;

/* Reads one stream or view; `key` is its name, with the body as value. False when mistakes were
 * added; what was made may still be given to definitions_destroy. */
bool stream_read (definition_reader_t *reader, const tree_node_t *key, stream_t *stream);
bool view_read (definition_reader_t *reader, const tree_node_t *key, view_t *view);
/* Views have been read. */
bool service_read (definition_reader_t *reader, const tree_node_t *key, service_t *service);
/* `views` of a service's body: its roles and the fields of its key. False when the rest cannot be
 * read without them. */
bool service_read_roles (definition_reader_t *reader, const tree_node_t *body, service_t *service);

/* `preprocess` and `fitted` of a service's body; its features have been read. */
void service_read_preprocess (definition_reader_t *reader, const tree_node_t *body,
                              service_t *service);
/* `encode` of a feature of that type, and the value that stands for null before it. */
void preprocess_read_encode (definition_reader_t *reader, const tree_node_t *steps,
                             const service_feature_t *feature, preprocess_t *out);

/* The field that `key` names, from its type alone or the long form with those `keys`. */
void field_read (definition_reader_t *reader, const tree_node_t *key, const tree_keys_t *keys,
                 field_t *field);

/* The computed fields among the stream's, whose other fields have been read. `fields` are the nodes
 * of all. */
void computed_read (definition_reader_t *reader, const tree_node_t *fields, stream_t *stream);
/* The fields of a key of the stream, which has its fields already; mistakes are added. */
void key_read (definition_reader_t *reader, const tree_node_t *node, const stream_t *stream,
               uint32_t key[KEY_FIELDS_MAX], size_t *count);
/* The name of the log of that key in the definitions' arena; NULL, with a mistake at `node`, when
 * it is too long. */
const char *key_log_name (definition_reader_t *reader, const tree_node_t *node,
                          const stream_t *stream, const uint32_t *key, size_t count);

/* A description that may be kept; NULL, with a mistake, when not. */
const char *description_read (definition_reader_t *reader, const tree_node_t *node);

/* `description`, `owner` and `tags` of a long form's body. */
void about_read (definition_reader_t *reader, const tree_node_t *body, about_t *about);

/* `default` of a long form's body: as in a feature's text, but a string stands for itself. False
 * when there is none, or with a mistake. */
bool default_entry_read (definition_reader_t *reader, const tree_node_t *body,
                         const result_type_t *type, value_t *value, const char **canonical);

/* A mistake in an expression, at byte `at` of the node's text, with what YAML may have done to it.
 */
void expression_mistake (mistakes_t *mistakes, const tree_node_t *node, size_t at,
                         const error_t *error);

/* The values of a request. `taken` says what else of its definition has the name, as in "a feature
 * of the view"; NULL: nothing. A NULL node is not there. */
typedef const char *name_taken_t (const void *arg, text_t name);
void request_read (definition_reader_t *reader, const tree_node_t *node, name_taken_t *taken,
                   const void *arg, field_t **request, size_t *count);

/* Whose derived features are read, a view or a service. */
typedef struct derived_home {
    void *arg;          /* of the functions */
    const char *what;   /* "view 'spend'": for messages */
    derived_t *derived; /* those that are there so far … */
    size_t count;       /* … how many … */
    size_t most;        /* … and may be */
    /* May a derived feature have that name? Otherwise with a mistake. */
    bool (*is_free) (void *arg, const tree_node_t *key);
    /* What their expressions may name, once the names of all are known; mistaken[i]: the i-th has a
     * mistake. A name that it refuses is told in the note. */
    const expr_scope_t *(*scope) (void *arg, const bool *mistaken);
    scope_note_t *note;
    /* Says more of a refused name than the parser knows. */
    void (*explain) (void *arg, error_t *error);
} derived_home_t;

/* Sets `derived` and `count` of the home; a NULL node is not there. */
void derived_read (definition_reader_t *reader, const tree_node_t *node, derived_home_t *home);

/* "spend_1h, spend_7d": the view's features that an entry of that name makes with its windows;
 * false for none. */
bool view_put_windows (const view_t *view, const char *name, buf_t *out);

/* `request` and `derived` of a view whose features have been read; NULL nodes are not there.
 * `made_by` has the entry that each feature comes from. */
void view_read_request (definition_reader_t *reader, const tree_node_t *node, view_t *view);
void view_read_derived (definition_reader_t *reader, const tree_node_t *node, view_t *view,
                        const tree_node_t *const *made_by);

/* The canonical text in the definitions' arena; NULL, with a mistake at `key`, when it has become
 * too large to be read back. Releases the buffer. */
const char *definition_text (definition_reader_t *reader, const tree_node_t *key, buf_t *text);

#endif
