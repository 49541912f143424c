/* A view gets another meaning while everything goes on: its second version is told to be active
 * only when all of history is in it. That its answers, and those of the first, are exact is
 * answers.c's business. */
#include "tests/sim/peek.h"
#include "tests/sim/shadow.h"

void versions_take_definitions (sim_check_t *self, const sim_node_t *from, const wire_value_t *body)
{
    wire_list_t objects = wire_list (body, "objects");
    for (uint32_t i = 0; i < objects.count && !self->second_active; i++) {
        const wire_value_t *object = &objects.items[i];
        if (!text_is (wire_text (object, "name"), "changes") ||
            wire_uint (object, "version", 0) != 2 || wire_has (object, "state"))
            continue;
        if (!peek_has_view (from->core, "pay/user", "changes", 2))
            sim_fail (self->sim,
                      "%s tells that changes@v2 is active, and not all of history is in "
                      "it",
                      from->name);
        sim_log (self->sim, "changes@v2 is active");
        self->second_active = true;
    }
}
