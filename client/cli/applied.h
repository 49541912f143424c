/* applied.h - what a change of definitions comes to, as the coordinator tells it. */
#ifndef WEIR_CLI_APPLIED_H
#define WEIR_CLI_APPLIED_H

#include "client/cli/command.h"

/* How many are of that kind: "add", "same". */
size_t count_changes (wire_list_t changes, const char *what);
/* A line each, but for what stays the same and has nothing told of it; with `lines` also those of
 * what is altered, as it was and as it is to be. */
void print_changes (wire_list_t changes, bool lines);

/* Nodes fetch definitions by themselves, within moments; who sends or asks next should find them
 * there: waits a while for that version. */
void await_definitions (call_t *call, uint64_t version);

#endif
