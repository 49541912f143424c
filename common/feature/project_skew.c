/* project_skew.c - the sample of answers that serving keeps, and what raises an alert. */
#include "feature/project_read.h"

#include "base/number.h"
#include "base/timestamp.h"

/* A number from 0 to `most`. */
static void read_number (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                         double most, double *value)
{
    double number;
    if (node == NULL || !tree_check_text (mistakes, node, what))
        return;
    if (number_parse_float (node->text, &number) && number >= 0 && number <= most)
        *value = number;
    else
        tree_mistake (mistakes, node, "%s is a number from 0 to %g", what, most);
}

void project_read_skew (project_t *project, mistakes_t *mistakes, const tree_node_t *skew)
{
    static const char *const known[] = { "sample", "keep", "size", "psi", "ks", "null_rate", NULL };
    static const tree_keys_t keys = { "`skew`", known, NULL };
    const uint64_t mib = 1 << 20;
    const double psi_most = 100;
    project_skew_t *self = &project->skew;
    const tree_node_t *node;
    *self = (project_skew_t){
        .keep = 7 * TIME_DAY, .size = 1024 * mib, .psi = 0.2, .ks = 0.1, .null_rate = 0.05
    };
    if (skew == NULL || !tree_check_keys (mistakes, skew, &keys))
        return;
    read_number (mistakes, tree_get (skew, "sample"), "`sample`, a share of the keys", 1,
                 &self->sample);
    read_number (mistakes, tree_get (skew, "psi"), "`psi`", psi_most, &self->psi);
    read_number (mistakes, tree_get (skew, "ks"), "`ks`", 1, &self->ks);
    read_number (mistakes, tree_get (skew, "null_rate"), "`null_rate`", 1, &self->null_rate);
    if ((node = tree_get (skew, "keep")) != NULL)
        (void)tree_read_duration (mistakes, node, "keep", TIME_MINUTE, 3650 * TIME_DAY,
                                  &self->keep);
    if ((node = tree_get (skew, "size")) != NULL)
        (void)tree_read_size (mistakes, node, "size", 16 * mib, (uint64_t)1 << 40, &self->size);
}
