#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "expr/tree.h"

void expr_destroy (expr_t **self_p)
{
    expr_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, EXPR_MAGIC);
    *self_p = NULL;
    self->magic = 0;
    for (size_t i = 0; i < self->zones_count; i++)
        zone_destroy (&self->zones[i]);
    arena_destroy (&self->arena);
    mem_free (self);
}

type_t expr_type (const expr_t *self)
{
    CHECK_OBJECT (self, EXPR_MAGIC);
    return self->nodes[self->nodes_count - 1].type;
}

void expr_columns (const expr_t *self, void (*each) (void *arg, uint32_t column), void *arg)
{
    CHECK_OBJECT (self, EXPR_MAGIC);
    for (size_t i = 0; i < self->nodes_count; i++) {
        const node_t *node = &self->nodes[i];
        bool seen = node->kind != NODE_FIELD;
        for (size_t k = 0; k < i && !seen; k++)
            seen = self->nodes[k].kind == NODE_FIELD &&
                   self->nodes[k].field.column == node->field.column;
        if (!seen)
            each (arg, node->field.column);
    }
}
