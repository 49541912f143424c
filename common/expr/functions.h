/* functions.h - the functions of the language: adding one is adding a row here and its kernel,
 * eval_<name>, in functions.c.
 *
 * A signature is a letter for each argument, `>`, and a letter for the result:
 *   b bool, i int64, s string, t timestamp, d duration: that type;
 *   f float64, an int64 argument is widened;
 *   n int64 or float64; m those or duration; a any type. All arguments with the same one of these
 *   letters must agree (int64 widens to float64), and a result with it has the type agreed.
 * `*` after a letter: one or more such arguments (last only).
 *
 * STRICT: null when any argument is null; the kernel is called with the valid bits already set so,
 * and may only clear some. LENIENT: the kernel sees to nulls itself. */
#ifndef WEIR_EXPR_FUNCTIONS_H
#define WEIR_EXPR_FUNCTIONS_H

/* name, signature, nulls */
#define FUNCTION_TABLE(X)                                                                          \
    X (abs, "m>m", STRICT)                                                                         \
    X (coalesce, "a*>a", LENIENT)                                                                  \
    X (floor, "n>n", STRICT)                                                                       \
    X (lower, "s>s", STRICT)                                                                       \
    X (sqrt, "f>f", STRICT)                                                                        \
    X (starts_with, "ss>b", STRICT)                                                                \
    X (upper, "s>s", STRICT)

#endif
