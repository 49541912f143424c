/* weir-serving: the core in the shell of common/node, and HTTP beside it where weir.yaml says so.
 */
#include "base/mem.h"
#include "base/timestamp.h"
#include "node/node.h"
#include "serving/core.h"
#include "serving/http/http.h"

#include <stdlib.h>
#include <string.h>

enum {
    JOB_THREADS = 4,
    SLOW_MAX = 3, /* one thread stays free for opening a new dataset */
};

#define DEFAULT_DEADLINE (2 * TIME_SECOND)

typedef struct program {
    serving_core_t *core;
    http_t *http; /* NULL: none */
} program_t;

static void receive (void *self, const peer_t *from, const void *data, size_t size)
{
    serving_core_receive (((program_t *)self)->core, from, data, size);
}

static void job_done (void *self, job_t *job)
{
    serving_core_job_done (((program_t *)self)->core, job);
}

static int64_t tick (void *self)
{
    return serving_core_tick (((program_t *)self)->core);
}

static void destroy (void *arg)
{
    program_t *self = arg;
    http_stop (&self->http);
    serving_core_destroy (&self->core);
    mem_free (self);
}

/* Where the node of this name speaks HTTP: the n-th that of serving-n. NULL: nowhere. */
static const char *address_of (const node_t *node)
{
    const project_http_t *http = &node->project->http;
    const char *dash = strrchr (node->name, '-');
    char *end = NULL;
    unsigned long number =
        dash && dash[1] > '0' && dash[1] <= '9' ? strtoul (dash + 1, &end, 10) : 0;
    if (number == 0 || *end != '\0' || number > http->serving_count)
        return NULL;
    return http->serving[number - 1];
}

static status_t start_http (program_t *self, const node_t *node, error_t *error)
{
    const http_options_t options = {
        .env = node->env,
        .project = node->project,
        .address = address_of (node),
        .endpoint = node->endpoint,
        .node = node->name,
    };
    return options.address ? http_start (&options, &self->http, error) : STATUS_OK;
}

static status_t make (const node_t *node, void **core, error_t *error)
{
    serving_options_t options = {
        .node = node->name,
        .cluster = node->cluster,
        .place = node->place,
        .partitions = node->project->partitions,
        .endpoint = node->endpoint,
        .coordinator = node->coordinator,
        .standbys = node->standbys,
        .standbys_count = node->standbys_count,
        .slow_max = SLOW_MAX,
        .sample = node->project->skew.sample,
        .sample_size = node->project->skew.size,
        .sample_keep = node->project->skew.keep,
        .node_memory = node->project->serving_memory,
        .default_deadline = DEFAULT_DEADLINE,
    };
    program_t *self = mem_zero (1, sizeof *self);
    status_t status = start_http (self, node, error);
    if (status != STATUS_OK) {
        mem_free (self);
        return status;
    }
    self->core = serving_core_new (node->env, &options);
    *core = self;
    return STATUS_OK;
}

int main (int argc, char **argv)
{
    static const node_core_t core = { receive, job_done, tick, destroy };
    const node_program_t program = {
        .kind = NODE_SERVING,
        .purpose = "Answers queries: batch view merged with real-time view.",
        .core = &core,
        .make = make,
        .threads = JOB_THREADS,
    };
    return node_main (&program, argc, argv);
}
