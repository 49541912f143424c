/* seeds.c - writes the samples that fuzzing starts from: for every entry point some that are good,
 * so that mutations of them come far.
 *
 * usage: PROGRAM CORPUS_DIR */
#include "tests/fuzz/driver/seeds.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *corpus;

void seed_write (const char *name, const void *data, size_t size)
{
    static const char *last = "";
    static unsigned number;
    number = strcmp (name, last) == 0 ? number + 1 : 0;
    last = name;
    char *dir = mem_format ("%s/%s", corpus, name);
    char *path = mem_format ("%s/seed-%03u", dir, number);
    bool made = mkdir (dir, 0777) == 0 || errno == EEXIST;
    FILE *file = made ? fopen (path, "wb") : NULL;
    if (!file || fwrite (data, 1, size, file) != size || fclose (file) != 0) {
        perror (path);
        exit (EXIT_FAILURE);
    }
    mem_free (path);
    mem_free (dir);
}

int main (int argc, char **argv)
{
    if (argc != 2) {
        fprintf (stderr, "usage: %s CORPUS_DIR\n", argv[0]);
        return 2;
    }
    corpus = argv[1];
    if (mkdir (corpus, 0777) != 0 && errno != EEXIST) {
        perror (corpus);
        return EXIT_FAILURE;
    }
    seeds_of_storage ();
    seeds_of_states ();
    seeds_of_texts ();
    seeds_of_wire ();
    seeds_of_samples ();
    return EXIT_SUCCESS;
}
