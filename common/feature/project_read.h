/* project_read.h - parts of reading weir.yaml that stand in files of their own. */
#ifndef WEIR_FEATURE_PROJECT_READ_H
#define WEIR_FEATURE_PROJECT_READ_H

#include "feature/project.h"
#include "feature/tree_check.h"

enum { PATH_TEXT_MAX = 1024 /* bytes */ };

/* A path as given, below the project's directory unless it is absolute; `otherwise` when it is not
 * given, NULL after a mistake. `what` it is, for messages: "a directory". Lives in the project. */
const char *project_read_path (project_t *project, mistakes_t *mistakes, const tree_node_t *node,
                               const char *otherwise, const char *what);

/* `http`, which may be NULL. What is said of nodes and of security has been read. */
void project_read_http (project_t *project, mistakes_t *mistakes, const tree_node_t *http);

/* `skew`, which may be NULL. */
void project_read_skew (project_t *project, mistakes_t *mistakes, const tree_node_t *skew);

#endif
