#include "client/cli/command.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/version.h"
#include "client/cli/terminal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS_MAX = 32, COMMON_OPTIONS = 4, HELP_COLUMN = 30 };

static const command_t *const commands[] = {
#define X(name) &command_##name,
    COMMAND_TABLE (X)
#undef X
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* ---- help ---- */

static void print_commands (FILE *out)
{
    fputs ("Usage: weir COMMAND [OPTION...] [WORD...]\n\n"
           "Exact, fresh features over batch and stream.\n",
           out);
    const char *group = "";
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp (group, commands[i]->group) != 0) /* those of a group stand together */
            fprintf (out, "\n%s:\n", commands[i]->group);
        group = commands[i]->group;
        fprintf (out, "  %-12s %s\n", commands[i]->name, commands[i]->purpose);
    }
    fputs ("\n`weir COMMAND --help` shows options and examples. A first walk:\n\n"
           "  weir init my-project && cd my-project\n"
           "  weir up -d && weir apply --yes\n"
           "  weir load payments sample.csv\n"
           "  weir get user_spend user_id=u1\n",
           out);
}

static void print_option (FILE *out, const option_spec_t *spec)
{
    char head[128];
    char letter[8] = "    ";
    if (spec->letter)
        snprintf (letter, sizeof letter, "-%c, ", spec->letter);
    int size = snprintf (head, sizeof head, "  %s--%s%s%s", letter, spec->name,
                         spec->value ? " " : "", spec->value ? spec->value : "");
    if (size >= HELP_COLUMN)
        fprintf (out, "%s\n%*s%s\n", head, HELP_COLUMN, "", spec->help);
    else
        fprintf (out, "%-*s%s\n", HELP_COLUMN, head, spec->help);
}

static void print_help (const command_t *command, const option_spec_t *specs, size_t count)
{
    printf ("Usage: weir %s [OPTION...]%s%s\n\n%s\n\nOptions:\n", command->name,
            command->operands[0] ? " " : "", command->operands, command->purpose);
    for (size_t i = 0; i < count; i++)
        print_option (stdout, &specs[i]);
    if (command->details)
        printf ("\n%s\n", command->details);
    printf ("\nExamples:\n%s\n", command->examples);
}

/* ---- dispatch ---- */

static const command_t *find_command (const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp (commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int no_command (const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *nearest = text_nearest (name, names, COMMANDS);
    fprintf (stderr, "weir: there is no %s \"%s\"", name[0] == '-' ? "option" : "command", name);
    if (nearest)
        fprintf (stderr, "; did you mean `weir %s`?", nearest);
    if (name[0] == '-')
        fputs ("; options but -C and --json stand after the command", stderr);
    fputs ("\n`weir --help` lists the commands\n", stderr);
    return EXIT_USAGE;
}

static int run (const command_t *command, const char *directory, bool json, const char **words,
                size_t count)
{
    call_t call = { .command = command,
                    .words = words,
                    .words_count = count,
                    .directory = directory,
                    .json = json };
    int status = command->run (&call);
    client_close (&call.weir);
    project_destroy (&call.project);
    if (fflush (stdout) != 0 || ferror (stdout)) {
        fputs ("weir: the output could not be written\n", stderr);
        return status == EXIT_DONE ? EXIT_FAILED : status;
    }
    return status;
}

static int help (const char *name)
{
    const char *words[] = { "--help" };
    if (!name) {
        print_commands (stdout);
        return EXIT_DONE;
    }
    const command_t *command = find_command (name);
    return command ? run (command, NULL, false, words, 1) : no_command (name);
}

static int dispatch (int argc, const char **argv)
{
    const char *directory = NULL;
    bool json = false;
    int at = 1;
    /* what every command takes may also stand before it */
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp (argv[at], "--json") == 0)
            json = true;
        else if (strcmp (argv[at], "-C") == 0 && at + 1 < argc)
            directory = argv[++at];
        else if (strncmp (argv[at], "-C", 2) == 0 && argv[at][2])
            directory = argv[at] + 2;
        else
            break;
    }
    if (at < argc && strcmp (argv[at], "-C") == 0) {
        fputs ("weir: -C takes a directory, as in `weir -C my-project status`\n", stderr);
        return EXIT_USAGE;
    }
    if (at == argc) {
        print_commands (stderr);
        return EXIT_USAGE;
    }
    if (strcmp (argv[at], "--help") == 0 || strcmp (argv[at], "-h") == 0)
        return help (NULL);
    if (strcmp (argv[at], "help") == 0)
        return help (at + 1 < argc ? argv[at + 1] : NULL);
    if (strcmp (argv[at], "--version") == 0) {
        puts ("weir " WEIR_VERSION);
        return EXIT_DONE;
    }
    const command_t *command = find_command (argv[at]);
    return command ? run (command, directory, json, argv + at + 1, (size_t)(argc - at - 1))
                   : no_command (argv[at]);
}

int weir_main (int argc, char **argv)
{
    const char **words = mem_zero ((size_t)argc + 1, sizeof *words);
    for (int i = 0; i < argc; i++)
        words[i] = argv[i];
    int status = dispatch (argc, words);
    mem_free (words);
    return status;
}

/* ---- options and usage ---- */

int call_usage (const call_t *call, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    fprintf (stderr, "weir %s: ", call->command->name);
    vfprintf (stderr, format, arguments);
    fprintf (stderr, "\n`weir %s --help` shows how it is used\n", call->command->name);
    va_end (arguments);
    return EXIT_USAGE;
}

static bool check_operands (const call_t *call, int *exit_status)
{
    const command_t *command = call->command;
    if (call->words_count < command->least)
        *exit_status = call_usage (call, "expected %s", command->operands);
    else if (call->words_count > command->most)
        *exit_status = call_usage (call, "\"%s\" is not expected here", call->words[command->most]);
    else
        return true;
    return false;
}

bool call_options (call_t *call, const option_spec_t *specs, size_t count, int *exit_status)
{
    bool wants_help = false;
    CHECK (count + COMMON_OPTIONS <= OPTIONS_MAX);
    const option_spec_t common[COMMON_OPTIONS] = {
        { 'C', "directory", "DIR", "the project (default: here, or above, where weir.yaml is)",
          &call->directory, NULL },
        { 0, "json", NULL, "results as JSON", NULL, &call->json },
        { 0, "key", "FILE",
          "secret key, where security is on (default: $WEIR_KEY, or client.secret)", &call->key,
          NULL },
        { 'h', "help", NULL, "this text", NULL, &wants_help },
    };
    option_spec_t all[OPTIONS_MAX];
    for (size_t i = 0; i < count; i++)
        all[i] = specs[i];
    memcpy (all + count, common, sizeof common);
    error_t error;
    status_t status = options_parse (all, count + COMMON_OPTIONS, call->words, call->words_count,
                                     &call->words_count, &error);
    *exit_status = EXIT_DONE;
    if (wants_help) {
        print_help (call->command, all, count + COMMON_OPTIONS);
        return false;
    }
    if (status != STATUS_OK) {
        *exit_status = call_usage (call, "%s", error.text);
        return false;
    }
    return check_operands (call, exit_status);
}

bool call_agreed (const call_t *call, bool yes, const char *question, const char *nothing)
{
    bool asked = true;
    if (yes || ask_yes (question, &asked))
        return true;
    fprintf (stderr, "weir %s: %s%s\n", call->command->name, nothing,
             asked ? "" : "; without a terminal to ask at, --yes says that it shall be");
    return false;
}

bool call_number (const call_t *call, const char *option, const char *text, int64_t most,
                  int64_t *number)
{
    if (number_parse_int (text_of (text), number) && *number >= 1 && *number <= most)
        return true;
    (void)call_usage (call, "--%s takes a number from 1 to %lld, not \"%s\"", option,
                      (long long)most, text);
    return false;
}

/* ---- project and cluster ---- */

int call_failed (const call_t *call, const error_t *error)
{
    progress_end ();
    fprintf (stderr, "weir %s: %s\n", call->command->name, error->text);
    return call->weir && client_unreachable (call->weir) ? EXIT_UNREACHABLE : EXIT_FAILED;
}

/* Cuts `path` to the nearest directory, itself or above, with a weir.yaml. */
static bool find_above (char *path)
{
    for (;;) {
        char *file = mem_format ("%s/" PROJECT_FILE, path);
        bool found = access (file, F_OK) == 0;
        mem_free (file);
        char *slash = strrchr (path, '/');
        if (found || !slash)
            return found;
        if (path[1] == '\0')
            return false;
        slash[slash == path] = '\0';
    }
}

bool call_project (call_t *call)
{
    char path[PATH_MAX];
    error_t error;
    if (call->project)
        return true;
    const char *wanted = call->directory ? call->directory : ".";
    status_t status = STATUS_OK;
    if (!realpath (wanted, path))
        status = error_set_errno (&error, errno, "%s", wanted);
    else if (!call->directory && !find_above (path))
        status = error_set (&error, STATUS_NOT_FOUND,
                            "there is no " PROJECT_FILE " here or above; -C DIR says where a "
                            "project is, and `weir init DIR` writes one");
    if (status == STATUS_OK)
        status = project_read (path, &call->project, &error);
    if (status != STATUS_OK)
        (void)call_failed (call, &error);
    return status == STATUS_OK;
}

bool call_weir (call_t *call)
{
    if (!call_project (call))
        return false;
    if (!call->weir) {
        call->weir = client_of_project (call->project);
        client_use_key (call->weir, call->key);
    }
    return true;
}

void print_json (const wire_value_t *body)
{
    buf_t out;
    buf_init (&out, 64 << 20);
    client_any_json (body, &out);
    puts (buf_string (&out));
    buf_release (&out);
}
