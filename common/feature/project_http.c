/* project_http.c - paths, and where serving nodes speak HTTP, in weir.yaml. */
#include "feature/project_read.h"

#include "feature/endpoint.h"

const char *project_read_path (project_t *project, mistakes_t *mistakes, const tree_node_t *node,
                               const char *otherwise, const char *what)
{
    text_t path = text_of (otherwise);
    if (node != NULL) {
        if (!tree_check_text (mistakes, node, what))
            return NULL;
        path = node->text;
    }
    if (path.size > PATH_TEXT_MAX) {
        tree_mistake (mistakes, node, "the path is too long (at most %d bytes)", PATH_TEXT_MAX);
        return NULL;
    }
    if (path.size >= 2 && memcmp (path.data, "./", 2) == 0)
        path = (text_t){ path.data + 2, path.size - 2 };
    buf_t joined;
    buf_init (&joined, 64 * 1024);
    if (path.size == 0 || path.data[0] != '/')
        buf_printf (&joined, "%s/", project->directory);
    buf_put (&joined, path.data, path.size);
    const char *full = arena_string (project->arena, text_of (buf_string (&joined)));
    buf_release (&joined);
    return full;
}

/* ---- http ---- */

static bool is_protected (const project_t *project)
{
    return project->http.certificate != NULL && project->http.tokens != NULL;
}

/* "host:port", that others cannot reach unless it is protected; NULL with a mistake. */
static const char *read_address (project_t *project, mistakes_t *mistakes, const tree_node_t *node)
{
    buf_t endpoint;
    error_t error;
    const char *address = NULL;
    buf_init (&endpoint, 64 * 1024);
    buf_printf (&endpoint, "tcp://" TEXT_FORMAT, TEXT_ARGS (node->text));
    text_t text = { (const char *)endpoint.data, (uint32_t)endpoint.size };
    if (endpoint.bad || memchr (node->text.data, '/', node->text.size) ||
        endpoint_check (text, &error) != STATUS_OK)
        tree_mistake (mistakes, node,
                      "expected host:port, by which others reach it, as in 127.0.0.1:6566");
    else if (!project->open && !is_protected (project) && !endpoint_is_local (text))
        tree_mistake (mistakes, node,
                      "this is beyond this machine: it takes `certificate` and `private_key` and "
                      "`tokens` (docs/http.md), or use 127.0.0.1, or let everybody in who can "
                      "connect, with `security: {open: true}`");
    else
        address = arena_string (project->arena, node->text);
    buf_release (&endpoint);
    return address;
}

static void read_addresses (project_t *project, mistakes_t *mistakes, const tree_node_t *http)
{
    project_http_t *out = &project->http;
    const tree_node_t *node = tree_get (http, "serving");
    const tree_node_t *given[PROJECT_NODES_MAX];
    size_t count;
    if (node == NULL) {
        tree_mistake (mistakes, http,
                      "`http` needs `serving`: host:port of the serving node, or a list of them");
        return;
    }
    if (!tree_check_texts (mistakes, node, "host:port, or a list of them", given, PROJECT_NODES_MAX,
                           &count))
        return;
    if (count == 0 || count > project->serving_count)
        tree_mistake (mistakes, node, "there are %zu serving nodes, and %zu addresses for them",
                      project->serving_count, count);
    out->serving = arena_zero (project->arena, PROJECT_NODES_MAX, sizeof *out->serving);
    for (size_t i = 0; i < count; i++) {
        const char *address = read_address (project, mistakes, given[i]);
        for (size_t k = 0; address != NULL && k < out->serving_count; k++)
            if (strcmp (out->serving[k], address) == 0)
                tree_mistake (mistakes, given[i], "this is the address of another node already");
        if (address != NULL)
            out->serving[out->serving_count++] = address;
    }
}

static void read_key (project_t *project, mistakes_t *mistakes, const tree_node_t *node)
{
    if (project->keys != NULL)
        project->http.key = "http";
    if (node == NULL)
        return;
    if (project->keys == NULL)
        tree_mistake (mistakes, node, "`key` is for a cluster with keys: `security: {keys: DIR}`");
    else if (tree_check_text (mistakes, node, "the name of a key, as given to `weir keygen`")) {
        if (node->text.size > 255 || memchr (node->text.data, '/', node->text.size))
            tree_mistake (mistakes, node, "the name of a key has no / and at most 255 bytes");
        project->http.key = arena_string (project->arena, node->text);
    }
}

void project_read_http (project_t *project, mistakes_t *mistakes, const tree_node_t *http)
{
    static const char *const known[] = { "serving", "certificate", "private_key",
                                         "tokens",  "key",         NULL };
    static const tree_keys_t keys = { "`http`", known, NULL };
    project_http_t *out = &project->http;
    if (http == NULL || !tree_check_keys (mistakes, http, &keys))
        return;
    const tree_node_t *certificate = tree_get (http, "certificate");
    const tree_node_t *private_key = tree_get (http, "private_key");
    const tree_node_t *tokens = tree_get (http, "tokens");
    if (certificate != NULL)
        out->certificate = project_read_path (project, mistakes, certificate, "", "a file");
    if (private_key != NULL)
        out->private_key = project_read_path (project, mistakes, private_key, "", "a file");
    if (tokens != NULL)
        out->tokens = project_read_path (project, mistakes, tokens, "", "a file");
    if ((certificate == NULL) != (private_key == NULL))
        tree_mistake (mistakes, certificate != NULL ? certificate : private_key,
                      "`certificate` and `private_key` go together");
    if (project->keys != NULL && tokens == NULL)
        tree_mistake (mistakes, http,
                      "the cluster has keys, and HTTP would let everybody in without: say which "
                      "`tokens` it asks for (docs/http.md)");
    read_key (project, mistakes, tree_get (http, "key"));
    read_addresses (project, mistakes, http);
}
