/* The pages that show definitions: every example is read, every message is what is said. */
#include "base/mem.h"
#include "feature/definition.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { PAGE_MAX = 1 << 20, BLOCKS_MAX = 64 };

static char *read_page (const char *path)
{
    FILE *file = fopen (path, "r");
    cr_assert_not_null (file, "run from the top of the checkout");
    char *text = mem_zero (PAGE_MAX, 1);
    size_t size = fread (text, 1, PAGE_MAX - 1, file);
    cr_assert_lt (size, (size_t)PAGE_MAX - 1);
    fclose (file);
    return text;
}

typedef struct block {
    char name[64]; /* page:line */
    text_t text;
} block_t;

static bool begins (text_t text, const char *with)
{
    return text.size >= strlen (with) && memcmp (text.data, with, strlen (with)) == 0;
}

/* The YAML blocks of a page. */
static size_t find_blocks (const char *path, const char *page, block_t *blocks)
{
    static const char open[] = "\n```yaml\n", close[] = "\n```";
    size_t count = 0;
    for (const char *at = page; (at = strstr (at, open)) != NULL;) {
        const char *start = at + strlen (open);
        const char *end = strstr (start, close);
        cr_assert_not_null (end, "%s: a block has no end", path);
        cr_assert_lt (count, (size_t)BLOCKS_MAX);
        size_t line = 1;
        for (const char *c = page; c < start; c++)
            line += *c == '\n';
        block_t *block = &blocks[count++];
        (void)snprintf (block->name, sizeof block->name, "%s:%zu", path, line);
        block->text = (text_t){ start, (uint32_t)(end + 1 - start) };
        at = end;
    }
    return count;
}

/* A page's blocks of definitions are the files of one project. */
static void check_page (const char *path, size_t least)
{
    block_t blocks[BLOCKS_MAX];
    definition_file_t files[BLOCKS_MAX];
    char *page = read_page (path);
    size_t blocks_count = find_blocks (path, page, blocks), count = 0;
    for (size_t i = 0; i < blocks_count; i++) {
        bool is_settings = begins (blocks[i].text, "cluster:");
        bool is_part = begins (blocks[i].text, " ");
        bool is_file = begins (blocks[i].text, "streams:") || begins (blocks[i].text, "views:") ||
                       begins (blocks[i].text, "services:");
        cr_expect (is_settings || is_part || is_file, "%s: what is this?", blocks[i].name);
        if (is_file)
            files[count++] = (definition_file_t){ blocks[i].name, blocks[i].text };
    }
    cr_expect_geq (count, least, "%s has lost its examples", path);
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (files, count, &definitions, &error);
    cr_expect_eq (status, STATUS_OK, "%s", error.text);
    definitions_destroy (&definitions);
    mem_free (page);
}

Test (documentation, of_definitions_has_examples_that_are_right)
{
    check_page ("docs/definitions.md", 3);
}

Test (documentation, of_services_has_examples_that_are_right)
{
    check_page ("docs/services.md", 1);
}

Test (documentation, of_recipes_has_examples_that_are_right)
{
    check_page ("docs/recipes.md", 12);
}

Test (documentation, of_the_project_has_examples_that_are_right)
{
    check_page ("README.md", 1);
}

#define STREAM                                                                                     \
    "streams:\n  payments:\n    key: user_id\n    time: ts\n    fields:\n      user_id: string\n"  \
    "      amount: float64\n      n: int64\n      ok: bool\n      ts: timestamp\n"
#define VIEW STREAM "views:\n  v:\n    from: payments\n    features:\n"

#define SERVICE "services:\n  s:\n    views: v\n"

/* In the order of the page. */
static const char *const mistaken[] = {
    "streams:\n  s:\n    feilds: {}\n    fields: {a: string, t: timestamp}\n    key: a\n    time: "
    "t\n",
    "streams:\n  s:\n    fields:\n      a: integer\n",
    "\n" VIEW "      x: total(amount)\n",
    "\n" VIEW "      x: sum(amont)\n",
    "\n" VIEW "      x: sum(user_id)\n",
    "\n" VIEW "      x: sum(amount) ovr 7d\n",
    "\n" VIEW "      x: sum(amount) over 7\n",
    "\n" VIEW "      x: sum(amount) over 7d by n\n",
    VIEW "      x_7d: count()\n      x: sum(amount) over 7d\n",
    "\n" VIEW "      spend: sum(amount) over 1h, 7d\n    derived:\n      twice:   2 * spend\n",
    "\n" VIEW "      spend: sum(amount) over 1h, 7d\n    derived:\n      r: amount / spend_7d\n",
    "\n\n" VIEW "      n: count()\n    derived:\n      d: a\n      a: b + 1\n      b: n + c\n"
    "      c: a * 2\n",
    STREAM "views:\n  v:\n    from: payments\n    features: {spend: sum(amount) over 1h, 7d}\n",
    VIEW "      spent: sum(amount) over 7d, 30d\n" SERVICE "    features: [\"v:spnt_7d\"]\n",
    "streams:\n  s:\n    id: a\n    key: []\n    time: t\n    fields:\n      t: timestamp\n",
};

/* What the mistake's line says, without its place. */
static const char *said_of (const char *line)
{
    const char *said = strstr (line, ": ");
    return said != NULL ? said + 2 : line;
}

Test (documentation, of_definitions_has_the_messages_that_are_given)
{
    enum { MISTAKEN = sizeof mistaken / sizeof *mistaken };
    char *page = read_page ("docs/definitions.md");
    size_t count = 0;
    for (char *at = page; (at = strstr (at, "\n| `")) != NULL; at++) {
        char *from = at + strlen ("\n| ");
        from += strspn (from, "`");
        if (strncmp (from, "f.yaml:", 7) != 0)
            continue;
        size_t ticks = (size_t)(from - at) - strlen ("\n| ");
        char *end = strstr (from, ticks == 2 ? "`` |" : "` |");
        cr_assert_not_null (end);
        cr_assert_lt (count, (size_t)MISTAKEN, "%.60s has no case here", from);
        char message[512];
        (void)snprintf (message, sizeof message, "%.*s", (int)(end - from), from);
        definition_file_t file = { "f.yaml", text_of (mistaken[count]) };
        definitions_t *definitions = NULL;
        error_t error;
        cr_assert_neq (definitions_read (&file, 1, &definitions, &error), STATUS_OK, "%s", message);
        char *line = strchr (error.text, '\n');
        if (line != NULL)
            *line = '\0';
        cr_expect_str_eq (said_of (error.text), said_of (message));
        count++;
    }
    cr_expect_eq (count, (size_t)MISTAKEN);
    mem_free (page);
}
