/* replay.c - runs a fuzz entry point without a fuzzer: over the files of its corpus, and over
 * mutations of them made from a seed, so that every build of every variant goes through the
 * decoders with hostile bytes.
 *
 * usage: PROGRAM CORPUS_DIR MUTATIONS SEED
 *
 * An input that ends the process is kept as PROGRAM.crash; a directory with it alone is a corpus.
 */
#include "base/mem.h"
#include "base/random.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

enum { SAMPLES_MAX = 1024, SAMPLE_SIZE_MAX = 1 << 20, EDITS_MAX = 8 };

typedef struct sample {
    uint8_t *data;
    size_t size;
} sample_t;

static sample_t samples[SAMPLES_MAX];
static size_t samples_count;

/* What is run just now: kept in a file when the process ends by it. */
static const uint8_t *current;
static size_t current_size;
static char crash_path[4096];

static void keep_current (int number)
{
    int fd = open (crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0 && write (fd, current, current_size) == (ssize_t)current_size)
        (void)!write (STDERR_FILENO, crash_path, strlen (crash_path));
    (void)!write (STDERR_FILENO, " is the input\n", 14);
    signal (number, SIG_DFL);
    raise (number);
}

static void run_one (const uint8_t *data, size_t size)
{
    current = data;
    current_size = size;
    LLVMFuzzerTestOneInput (data, size);
}

static void load_file (const char *path)
{
    FILE *file = fopen (path, "rb");
    if (!file || samples_count == SAMPLES_MAX)
        return;
    uint8_t *data = mem_alloc (SAMPLE_SIZE_MAX);
    size_t size = fread (data, 1, SAMPLE_SIZE_MAX, file);
    fclose (file);
    samples[samples_count++] =
        (sample_t){ .data = mem_resize (data, size ? size : 1, 1), .size = size };
}

static void load_corpus (const char *dir)
{
    struct dirent **names;
    int count = scandir (dir, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            char *path = mem_format ("%s/%s", dir, names[i]->d_name);
            load_file (path);
            mem_free (path);
        }
        free (names[i]);
    }
    if (count >= 0)
        free (names);
}

static size_t edit (random_t *random, uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t at = random_below (random, size);
    switch (random_below (random, 6)) {
    case 0:
        data[at] ^= (uint8_t)(1u << random_below (random, 8));
        break;
    case 1:
        data[at] = (uint8_t)random_next (random);
        break;
    case 2: /* a number at an edge */
        memset (data + at, random_chance (random, 0.5) ? 0xff : 0,
                size - at < 8 ? size - at : 1 + random_below (random, 8));
        break;
    case 3: /* cut short */
        return at;
    case 4: { /* a piece again elsewhere */
        size_t from = random_below (random, size);
        size_t longest = size - (at > from ? at : from);
        memmove (data + at, data + from, random_below (random, longest) + 1);
        break;
    }
    default: /* a piece removed */
        memmove (data + at, data + at + 1, size - at - 1);
        return size - 1;
    }
    return size;
}

static void mutate (random_t *random)
{
    uint8_t *data;
    size_t size;
    if (samples_count == 0 || random_chance (random, 0.1)) {
        size = random_below (random, 512);
        data = mem_alloc (size);
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)random_next (random);
    } else {
        const sample_t *sample = &samples[random_below (random, samples_count)];
        size = sample->size;
        data = mem_alloc (size);
        memcpy (data, sample->data, size);
        for (uint64_t edits = 1 + random_below (random, EDITS_MAX); edits > 0; edits--)
            size = edit (random, data, size);
    }
    uint8_t *exact = mem_alloc (size); /* so that a read past the end is seen */
    memcpy (exact, data, size);
    mem_free (data);
    run_one (exact, size);
    mem_free (exact);
}

int main (int argc, char **argv)
{
    if (argc != 4) {
        fprintf (stderr, "usage: %s CORPUS_DIR MUTATIONS SEED\n", argv[0]);
        return 2;
    }
    snprintf (crash_path, sizeof crash_path, "%s.crash", argv[0]);
    signal (SIGABRT, keep_current);
    signal (SIGSEGV, keep_current);
    random_t random;
    random_seed (&random, strtoull (argv[3], NULL, 10));
    load_corpus (argv[1]);
    for (size_t i = 0; i < samples_count; i++)
        run_one (samples[i].data, samples[i].size);
    for (long i = strtol (argv[2], NULL, 10); i > 0; i--)
        mutate (&random);
    printf ("  FUZZ %s: %zu samples, %s mutations from seed %s\n", strrchr (argv[0], '/') + 1,
            samples_count, argv[2], argv[3]);
    for (size_t i = 0; i < samples_count; i++)
        mem_free (samples[i].data);
    return 0;
}
