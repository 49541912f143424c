/* nodes.h - the nodes of a project on this machine, as processes.
 *
 * Each logs to <data>/logs/<name>.log and has its process id in <data>/run/<name>.pid while it
 * runs. An id counts only as long as that process is a weir node of this name and project: ids are
 * used again by others. */
#ifndef WEIR_CLI_NODES_H
#define WEIR_CLI_NODES_H

#include "base/status.h"
#include "feature/project.h"

#include <sys/types.h>

enum { NODES_MOST = 3 * PROJECT_NODES_MAX + PROJECT_COORDINATORS_MAX };

typedef struct local_node {
    char name[64];
    const char *kind;   /* "coordinator" */
    pid_t pid;          /* 0: does not run */
    uint64_t log_start; /* bytes of its log when it was started */
} local_node_t;

/* The nodes that weir.yaml asks for, the coordinators first; which of them run is filled in.
 * Returns how many. */
size_t nodes_find (const project_t *project, local_node_t nodes[NODES_MOST]);

/* Adds those that run, and that weir.yaml asked for when they were started, but not now. Returns
 * how many there are in all. */
size_t nodes_add_left (const project_t *project, local_node_t nodes[NODES_MOST], size_t count);

/* Makes the directories that nodes need. */
MUST_CHECK status_t nodes_prepare (const project_t *project, error_t *error);

/* Who starts nodes takes a turn: two at once would each meet the nodes of the other in the places
 * of its own. After nodes_prepare; a descriptor to be closed when the turn ends, BUSY when another
 * has it. It ends with the process, too. */
MUST_CHECK status_t nodes_take_turn (const project_t *project, int *turn, error_t *error);

/* Starts one as a process of its own that outlives us. Of one whose id could not be kept, node->pid
 * is set as well, for it runs: nobody else would find it to stop it. */
MUST_CHECK status_t node_start (const project_t *project, local_node_t *node, error_t *error);
/* Does it still run? Takes its exit status if it was our child. Forgets the process if not. */
bool node_runs (const project_t *project, local_node_t *node);
/* Has one that node_start started got its place and its endpoint, as its log says? Whoever answers
 * there before that is not it. */
bool node_is_placed (const project_t *project, const local_node_t *node);
/* Has it got definitions, as far as it answers by them? The coordinator may still take the node for
 * the one that ran before under its name, and has no say in this. */
bool node_has_definitions (const project_t *project, const local_node_t *node);
/* Sends a signal, if it runs. */
void node_signal (const project_t *project, local_node_t *node, int number);
/* Removes the file of its process id. */
void node_forget (const project_t *project, const local_node_t *node);

/* The last line that it logged since it was started; "" when none. */
void node_last_words (const project_t *project, const local_node_t *node, char *text, size_t size);

/* Was it started before weir.yaml was last written? It goes by what that said then. */
bool node_is_older (const project_t *project, const local_node_t *node);

/* <data>/logs/<name>.log; freed by the caller. */
char *node_log_path (const project_t *project, const char *name);

#endif
