#include "abnf.h"

#include "base/check.h"
#include "base/mem.h"
#include "expr/expr.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <strings.h>

enum { PARTS_MAX = 1024, RULES_MAX = 64, NAME_SIZE = 32, DEPTH = 40 };

typedef enum part_kind {
    PART_ANY_OF, /* its parts, from `first` on, linked by `next` */
    PART_ALL_OF,
    PART_REPEAT, /* one part, `least` to `most` times */
    PART_LITERAL,
    PART_RANGE, /* a character from `least` to `most` */
    PART_RULE,
} part_kind_t;

typedef struct part {
    part_kind_t kind;
    int first, next; /* parts; -1 is none */
    uint32_t least, most;
    char text[NAME_SIZE]; /* of a literal, or a rule's name */
    bool exact;           /* the literal's case matters */
    int rule;             /* of a PART_RULE, but for those of RFC 5234, ALPHA and DIGIT */
    int depth;            /* how deep what it writes is at least */
} part_t;

struct abnf {
    part_t parts[PARTS_MAX];
    int parts_count;
    struct {
        char name[NAME_SIZE];
        int part;
        bool lexical; /* a token: no blanks in it */
    } rules[RULES_MAX];
    int rules_count;
    const char *const *names;
    const char *const *functions;
    const char *at; /* while reading */
};

/* ---- reading ---- */

static void skip_blanks (abnf_t *self)
{
    for (;;) {
        while (*self->at == ' ')
            self->at++;
        if (*self->at == ';')
            self->at += strcspn (self->at, "\n");
        if (self->at[0] != '\n' || self->at[1] != ' ') /* an indented line goes on */
            return;
        self->at++;
    }
}

static bool skip (abnf_t *self, char c)
{
    skip_blanks (self);
    if (*self->at != c)
        return false;
    self->at++;
    return true;
}

static int add_part (abnf_t *self, part_t part)
{
    cr_assert_lt (self->parts_count, PARTS_MAX);
    part.next = -1;
    part.depth = 1 << 20;
    self->parts[self->parts_count] = part;
    return self->parts_count++;
}

static size_t is_word_part (char c)
{
    return isalnum ((unsigned char)c) || c == '_';
}

static void take_word (abnf_t *self, char *word)
{
    size_t size = 0;
    for (; is_word_part (*self->at); self->at++) {
        cr_assert_lt (size + 1, (size_t)NAME_SIZE);
        word[size++] = *self->at;
    }
    word[size] = '\0';
    cr_assert_gt (size, 0u, "a name: %.20s", self->at);
}

static int read_literal (abnf_t *self, bool exact)
{
    part_t part = { .kind = PART_LITERAL, .first = -1, .exact = exact };
    size_t size = strcspn (self->at, "\"");
    cr_assert_lt (size, (size_t)NAME_SIZE);
    memcpy (part.text, self->at, size);
    self->at += size + 1;
    return add_part (self, part);
}

static int read_alternatives (abnf_t *self);

static int read_element (abnf_t *self)
{
    part_t part = { .kind = PART_RULE, .first = -1 };
    if (skip (self, '(')) {
        int inner = read_alternatives (self);
        cr_assert (skip (self, ')'));
        return inner;
    }
    if (skip (self, '"'))
        return read_literal (self, false);
    if (strncmp (self->at, "%s\"", 3) == 0) {
        self->at += 3;
        return read_literal (self, true);
    }
    if (strncmp (self->at, "%x", 2) == 0) {
        char *end;
        part.kind = PART_RANGE;
        part.least = part.most = (uint32_t)strtoul (self->at + 2, &end, 16);
        if (*end == '-')
            part.most = (uint32_t)strtoul (end + 1, &end, 16);
        self->at = end;
        return add_part (self, part);
    }
    take_word (self, part.text);
    return add_part (self, part);
}

static int read_repetition (abnf_t *self)
{
    part_t part = { .kind = PART_REPEAT, .most = UINT32_MAX };
    skip_blanks (self);
    if (isdigit ((unsigned char)*self->at) && self->at[1] == '*')
        part.least = (uint32_t)(*self->at++ - '0');
    if (skip (self, '*')) {
        part.first = read_element (self);
    } else if (skip (self, '[')) {
        part.most = 1;
        part.first = read_alternatives (self);
        cr_assert (skip (self, ']'));
    } else {
        return read_element (self);
    }
    return add_part (self, part);
}

/* A list of parts as one. */
static int read_several (abnf_t *self, part_kind_t kind, int (*read) (abnf_t *self),
                         bool (*goes_on) (abnf_t *self))
{
    int first = read (self);
    int last = first;
    while (goes_on (self)) {
        int part = read (self);
        self->parts[last].next = part;
        last = part;
    }
    return last == first ? first : add_part (self, (part_t){ .kind = kind, .first = first });
}

static bool at_element (abnf_t *self)
{
    skip_blanks (self);
    return *self->at != '\0' && *self->at != '\n' && strchr (")]/", *self->at) == NULL;
}

static bool at_alternative (abnf_t *self)
{
    return skip (self, '/');
}

static int read_concatenation (abnf_t *self)
{
    return read_several (self, PART_ALL_OF, read_repetition, at_element);
}

static int read_alternatives (abnf_t *self)
{
    return read_several (self, PART_ANY_OF, read_concatenation, at_alternative);
}

static int find_rule (const abnf_t *self, const char *name)
{
    for (int i = 0; i < self->rules_count; i++) {
        if (strcmp (self->rules[i].name, name) == 0)
            return i;
    }
    cr_assert (false, "no rule '%s'", name);
    return -1;
}

static void resolve (abnf_t *self)
{
    for (int i = 0; i < self->parts_count; i++) {
        part_t *part = &self->parts[i];
        if (part->kind == PART_RULE && !isupper ((unsigned char)part->text[0]))
            part->rule = find_rule (self, part->text);
    }
}

/* Of every part the least depth, until nothing changes. */
static void measure (abnf_t *self)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < self->parts_count; i++) {
            part_t *part = &self->parts[i];
            int depth = 0;
            if (part->kind == PART_RULE && isupper ((unsigned char)part->text[0]))
                depth = 1;
            else if (part->kind == PART_RULE)
                depth = 1 + self->parts[self->rules[part->rule].part].depth;
            else if (part->kind == PART_REPEAT)
                depth = part->least == 0 ? 0 : self->parts[part->first].depth;
            else if (part->kind == PART_ANY_OF)
                depth = 1 << 20;
            for (int k = part->first; k >= 0 && part->kind <= PART_ALL_OF;
                 k = self->parts[k].next) {
                int inner = self->parts[k].depth;
                bool better = part->kind == PART_ANY_OF ? inner < depth : inner > depth;
                depth = better ? inner : depth;
            }
            changed = changed || depth < part->depth;
            part->depth = depth < part->depth ? depth : part->depth;
        }
    }
}

abnf_t *abnf_read (const char *rules, const char *const *names, const char *const *functions)
{
    static const char *const lexical[] = { "integer", "float",  "exponent", "duration",
                                           "unit",    "string", "name",     "function" };
    abnf_t *self = mem_zero (1, sizeof *self);
    self->names = names;
    self->functions = functions;
    self->at = rules;
    while (*self->at != '\0') {
        cr_assert_lt (self->rules_count, RULES_MAX);
        char *name = self->rules[self->rules_count].name;
        take_word (self, name);
        cr_assert (skip (self, '='), "after %s", name);
        self->rules[self->rules_count].part = read_alternatives (self);
        for (size_t i = 0; i < sizeof lexical / sizeof *lexical; i++)
            self->rules[self->rules_count].lexical |= strcmp (name, lexical[i]) == 0;
        self->rules_count++;
        while (*self->at == '\n')
            self->at++;
    }
    resolve (self);
    measure (self);
    return self;
}

void abnf_destroy (abnf_t **self_p)
{
    mem_free (*self_p);
    *self_p = NULL;
}

/* ---- writing ---- */

typedef struct writer {
    const abnf_t *abnf;
    random_t *random;
    buf_t *out;
    bool lexical; /* inside a token */
} writer_t;

static void write_character (buf_t *out, uint32_t c)
{
    if (c < 0x80) {
        buf_put_u8 (out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_put_u8 (out, (uint8_t)(0xc0 | c >> 6));
        buf_put_u8 (out, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_put_string (out, "\xe4\xb8\xad");
    }
}

static void put_token (const writer_t *self, const char *token)
{
    buf_put_string (self->out, token);
    buf_put_string (self->out, self->lexical ? "" : " ");
}

static void write_part (writer_t *self, int number, int depth);

static const char *pick (random_t *random, const char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    return words[random_below (random, count)];
}

static void write_rule (writer_t *self, const part_t *part, int depth)
{
    const abnf_t *abnf = self->abnf;
    char c[2] = { 0 };
    if (strcmp (part->text, "DIGIT") == 0 || strcmp (part->text, "ALPHA") == 0) {
        c[0] = part->text[0] == 'D' ? (char)('0' + random_below (self->random, 10))
                                    : (char)('a' + random_below (self->random, 26));
        put_token (self, c);
        return;
    }
    int rule = part->rule;
    bool function = strcmp (part->text, "function") == 0;
    if (function || strcmp (part->text, "name") == 0) {
        put_token (self, pick (self->random, function ? abnf->functions : abnf->names));
        return;
    }
    bool begins = abnf->rules[rule].lexical && !self->lexical;
    self->lexical = self->lexical || begins;
    write_part (self, abnf->rules[rule].part, depth - 1);
    if (begins) {
        self->lexical = false;
        put_token (self, "");
    }
}

/* One of the parts; when it is deep already, one of the least depth. */
static int choose_part (writer_t *self, int first, int depth)
{
    const part_t *parts = self->abnf->parts;
    int chosen = first;
    uint64_t seen = 0;
    for (int k = first; k >= 0; k = parts[k].next) {
        if (depth <= 0 && parts[k].depth < parts[chosen].depth)
            chosen = k;
        else if (depth > 0 && random_below (self->random, ++seen) == 0)
            chosen = k;
    }
    return chosen;
}

static void write_part (writer_t *self, int number, int depth)
{
    const part_t *part = &self->abnf->parts[number];
    uint32_t times = part->least;
    switch (part->kind) {
    case PART_ANY_OF:
        write_part (self, choose_part (self, part->first, depth), depth);
        break;
    case PART_ALL_OF:
        for (int k = part->first; k >= 0; k = self->abnf->parts[k].next)
            write_part (self, k, depth);
        break;
    case PART_REPEAT:
        while (depth > 0 && times < part->most && random_chance (self->random, 0.25))
            times++;
        for (; times > 0; times--)
            write_part (self, part->first, depth);
        break;
    case PART_LITERAL:
        put_token (self, part->text);
        break;
    case PART_RANGE:
        write_character (self->out, part->least + (uint32_t)random_below (
                                                      self->random, part->most - part->least + 1));
        break;
    case PART_RULE:
        write_rule (self, part, depth);
        break;
    }
}

void abnf_write (const abnf_t *self, random_t *random, buf_t *out)
{
    writer_t writer = { .abnf = self, .random = random, .out = out };
    write_part (&writer, self->rules[0].part, DEPTH);
}

/* ---- matching: the set of places at which a part that begins at one place can end ---- */

typedef unsigned __int128 places_t; /* a bit for each place; ABNF_TEXT_MAX has one too */

typedef struct matcher {
    const abnf_t *abnf;
    text_t text;
    places_t found[RULES_MAX][ABNF_TEXT_MAX + 1]; /* what a rule matches from a place on, */
    bool known[RULES_MAX][ABNF_TEXT_MAX + 1];     /* when that was asked before */
} matcher_t;

static places_t match (matcher_t *self, int number, size_t from, bool lexical);

static places_t place (size_t at)
{
    return (places_t)1 << at;
}

static char byte_at (const matcher_t *self, size_t at)
{
    return at < self->text.size ? self->text.data[at] : '\0';
}

static size_t past_blanks (const matcher_t *self, size_t at, bool lexical)
{
    while (!lexical && at < self->text.size && strchr (" \t\n\r", byte_at (self, at)) != NULL)
        at++;
    return at;
}

/* Two tokens would run together when a word or number ends before a part of one. */
static bool runs_on (const matcher_t *self, size_t end)
{
    return end > 0 && is_word_part (byte_at (self, end - 1)) && is_word_part (byte_at (self, end));
}

static places_t match_literal (matcher_t *self, const part_t *part, size_t from, bool lexical)
{
    size_t at = past_blanks (self, from, lexical);
    size_t size = strlen (part->text);
    if (at + size > self->text.size)
        return 0;
    const char *bytes = self->text.data + at;
    bool same = part->exact ? memcmp (bytes, part->text, size) == 0
                            : strncasecmp (bytes, part->text, size) == 0;
    return same && (lexical || !runs_on (self, at + size)) ? place (at + size) : 0;
}

static places_t match_range (const matcher_t *self, const part_t *part, size_t from)
{
    text_t rest = { self->text.data + from, (uint32_t)(self->text.size - from) };
    uint32_t size = text_utf8_step (rest);
    uint32_t c = size == 1 ? (uint8_t)rest.data[0] : 0x80; /* all beyond are in one range */
    return size > 0 && c >= part->least && c <= part->most ? place (from + size) : 0;
}

/* A token is as long as it can be, and no keyword. */
static places_t keep_token (matcher_t *self, const char *rule, size_t from, places_t ends)
{
    size_t longest = from;
    for (size_t end = from; end <= self->text.size; end++)
        longest = ends & place (end) ? end : longest;
    text_t token = { self->text.data + from, (uint32_t)(longest - from) };
    bool function = strcmp (rule, "function") == 0;
    bool keyword = (function || strcmp (rule, "name") == 0) && expr_is_keyword (token);
    if (function && token.size == 4 && strncasecmp (token.data, "cast", 4) == 0)
        keyword = true;
    return longest > from && !keyword && !runs_on (self, longest) ? place (longest) : 0;
}

static places_t match_rule (matcher_t *self, const part_t *part, size_t from, bool lexical)
{
    if (isupper ((unsigned char)part->text[0])) {
        char c = byte_at (self, from);
        bool is = part->text[0] == 'D' ? isdigit ((unsigned char)c) : isalpha ((unsigned char)c);
        return is ? place (from + 1) : 0;
    }
    int rule = part->rule;
    if (lexical)
        return match (self, self->abnf->rules[rule].part, from, true);
    bool token = self->abnf->rules[rule].lexical;
    if (token)
        from = past_blanks (self, from, false);
    if (!self->known[rule][from]) {
        places_t ends = match (self, self->abnf->rules[rule].part, from, token);
        self->found[rule][from] = token ? keep_token (self, part->text, from, ends) : ends;
        self->known[rule][from] = true;
    }
    return self->found[rule][from];
}

/* From all of `starts`. */
static places_t match_from (matcher_t *self, int number, places_t starts, bool lexical)
{
    places_t ends = 0;
    for (size_t at = 0; at <= self->text.size; at++) {
        if (starts & place (at))
            ends |= match (self, number, at, lexical);
    }
    return ends;
}

static places_t match_repeat (matcher_t *self, const part_t *part, size_t from, bool lexical)
{
    places_t ends = 0;
    places_t now = place (from);
    for (uint32_t times = 0; now != 0 && times <= self->text.size; times++) {
        if (times >= part->least)
            ends |= now;
        now = times < part->most ? match_from (self, part->first, now, lexical) : 0;
    }
    return ends;
}

static places_t match (matcher_t *self, int number, size_t from, bool lexical)
{
    const part_t *part = &self->abnf->parts[number];
    places_t ends = 0;
    switch (part->kind) {
    case PART_ANY_OF:
        for (int k = part->first; k >= 0; k = self->abnf->parts[k].next)
            ends |= match (self, k, from, lexical);
        return ends;
    case PART_ALL_OF:
        ends = place (from);
        for (int k = part->first; k >= 0 && ends != 0; k = self->abnf->parts[k].next)
            ends = match_from (self, k, ends, lexical);
        return ends;
    case PART_REPEAT:
        return match_repeat (self, part, from, lexical);
    case PART_LITERAL:
        return match_literal (self, part, from, lexical);
    case PART_RANGE:
        return match_range (self, part, from);
    case PART_RULE:
        return match_rule (self, part, from, lexical);
    }
    return 0;
}

bool abnf_matches (const abnf_t *self, text_t text)
{
    cr_assert_leq (text.size, (uint32_t)ABNF_TEXT_MAX);
    matcher_t *matcher = mem_zero (1, sizeof *matcher);
    matcher->abnf = self;
    matcher->text = text;
    places_t ends = match (matcher, self->rules[0].part, 0, false);
    bool found = false;
    for (size_t at = 0; at <= text.size; at++)
        found = found || (ends & place (at) && past_blanks (matcher, at, false) == text.size);
    mem_free (matcher);
    return found;
}
