/* distinct.h - HyperLogLog with all registers written out. */
#ifndef WEIR_ORACLE_DISTINCT_H
#define WEIR_ORACLE_DISTINCT_H

#include "base/value.h"

enum { DISTINCT_REGISTERS = 4096 };

typedef struct distinct_registers {
    uint8_t rank[DISTINCT_REGISTERS]; /* 0: nothing met */
} distinct_registers_t;

void distinct_clear (distinct_registers_t *self);
void distinct_add (distinct_registers_t *self, const value_t *value);
int64_t distinct_estimate (const distinct_registers_t *self);

#endif
