/* weir init - a project that runs as it is. */
#include "client/cli/command.h"
#include "client/cli/inference.h"
#include "client/cli/payments.h"
#include "client/cli/terminal.h"

#include "base/mem.h"
#include "base/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLE_EVENTS = 2000, SAMPLE_USERS = 100, SAMPLE_SIZE_MAX = 4 << 20 };

static const char settings[] =
    "# This project's cluster. `weir up -d` starts its nodes on this machine.\n"
    "cluster: %s\n"
    "data: ./data        # everything that is kept; on a disk of this machine\n"
    "partitions: 4       # of every stream; cannot be changed later\n"
    "batch:\n"
    "  every: 10m        # a recompute, when there is something new; or `never`\n"
    "nodes:\n"
    "  base_port: 7600   # coordinator; serving is at 7601, speed workers from 7611 on\n"
    "# security:           # keys on every connection: `weir keygen node --role node`, `weir "
    "keygen\n"
    "#   keys: ./keys      # client --role admin`, then this; docs/security.md says more\n";

static const char definitions[] =
    "# What is known, and what is computed from it. `weir check` reads this without a cluster.\n"
    "streams:\n"
    "  payments:\n"
    "    key: user_id\n"
    "    time: ts\n"
    "    fields:\n"
    "      payment_id: string\n"
    "      user_id:  {type: string, required: true}\n"
    "      merchant: string\n"
    "      amount:   float64\n"
    "      status:   string\n"
    "      ts:       {type: timestamp, unit: ms}\n"
    "\n"
    "views:\n"
    "  user_spend:\n"
    "    from: payments\n"
    "    where: status is distinct from 'declined'\n"
    "    features:\n"
    "      txn_count:  count() over 1h, 24h, 7d, 30d, lifetime\n"
    "      spend:      sum(amount) over 1h, 7d\n"
    "      avg_amount: mean(amount) over 30d\n"
    "      max_amount: max(amount) over 24h\n"
    "      merchants:  approx_count_distinct(merchant) over 7d\n"
    "      refunds:    count() where amount < 0 over 7d\n"
    "      last_seen:  last(ts)\n"
    "      spend_at:   sum(amount) by merchant over 24h     # a map\n"
    "    derived:                                           # computed when it is asked for\n"
    "      spend_share:     spend_1h / spend_7d\n"
    "      days_since_seen: (now - last_seen) / 1d\n";

static const char read_me[] =
    "# %s\n"
    "\n"
    "    weir up -d                        # the nodes, on this machine\n"
    "    weir apply --yes                  # registers features/*.yaml\n"
    "    weir load payments sample.csv     # history\n"
    "    weir get user_spend user_id=u1    # one user's features, now\n"
    "\n"
    "    weir generate payments --live --rate 50 | weir send payments -    # new events; Ctrl-C "
    "ends it\n"
    "    weir get user_spend user_id=u1 --as-of -1h --json\n"
    "    weir recompute --wait             # or every 10 minutes by itself\n"
    "    weir status\n"
    "    weir down\n"
    "\n"
    "weir.yaml says where things run, features/payments.yaml what is computed, and sample.csv is "
    "made up.\n";

typedef struct starter {
    const char *name; /* below the project's directory */
    buf_t text;
} starter_t;

enum { STARTER_SETTINGS, STARTER_DEFINITIONS, STARTER_README, STARTER_SAMPLE, STARTERS };

static void write_sample (buf_t *out)
{
    int64_t now = clock_us ();
    payments_options_t options = { .events = SAMPLE_EVENTS,
                                   .users = SAMPLE_USERS,
                                   .seed = 1,
                                   .from = now - 30 * TIME_DAY,
                                   .until = now,
                                   .format = FORMAT_CSV };
    payments_t *payments = payments_new (&options);
    payments_header (payments, out);
    while (payments_next (payments, out))
        ;
    payments_destroy (&payments);
}

static void fill (starter_t *starters, const char *name)
{
    static const char *const names[STARTERS] = { PROJECT_FILE, "features/payments.yaml",
                                                 "README.md", "sample.csv" };
    for (size_t i = 0; i < STARTERS; i++) {
        starters[i].name = names[i];
        buf_init (&starters[i].text, SAMPLE_SIZE_MAX);
    }
    buf_printf (&starters[STARTER_SETTINGS].text, settings, name);
    buf_put_string (&starters[STARTER_DEFINITIONS].text, definitions);
    buf_printf (&starters[STARTER_README].text, read_me, name);
    write_sample (&starters[STARTER_SAMPLE].text);
}

static status_t make_dir (const char *path, error_t *error)
{
    if (mkdir (path, 0777) == 0 || errno == EEXIST)
        return STATUS_OK;
    return error_set_errno (error, errno, "%s", path);
}

static status_t write_new (const char *path, const buf_t *text, error_t *error)
{
    int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno (error, errno, "%s", path);
    ssize_t written = write (fd, text->data, text->size);
    int failed = written < 0 ? errno : written < (ssize_t)text->size ? ENOSPC : 0;
    if (close (fd) != 0 && !failed)
        failed = errno;
    if (!failed)
        return STATUS_OK;
    (void)unlink (path);
    return error_set_errno (error, failed, "%s", path);
}

/* All or none: what is there already is never written over. */
static status_t write_all (const char *directory, const starter_t *starters, error_t *error)
{
    status_t status = make_dir (directory, error);
    for (size_t i = 0; i < STARTERS && status == STATUS_OK; i++) {
        char *path = mem_format ("%s/%s", directory, starters[i].name);
        if (access (path, F_OK) == 0)
            status = error_set (error, STATUS_EXISTS,
                                "%s is there already, and nothing is written over", path);
        mem_free (path);
    }
    char *features = mem_format ("%s/features", directory);
    if (status == STATUS_OK)
        status = make_dir (features, error);
    mem_free (features);
    size_t written = 0;
    while (written < STARTERS && status == STATUS_OK) {
        char *path = mem_format ("%s/%s", directory, starters[written].name);
        status = write_new (path, &starters[written].text, error);
        written += status == STATUS_OK;
        mem_free (path);
    }
    while (status != STATUS_OK && written-- > 0) {
        char *path = mem_format ("%s/%s", directory, starters[written].name);
        (void)unlink (path); /* so that it can be tried again, with room */
        mem_free (path);
    }
    return status;
}

static int run (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    char name[NAME_MAX_SIZE + 1];
    char *directory = call->directory ? mem_format ("%s/%s", call->directory, call->words[0])
                                      : mem_string (call->words[0]);
    size_t size = strlen (directory);
    while (size > 1 && directory[size - 1] == '/')
        directory[--size] = '\0';
    infer_name (directory, name, sizeof name);
    starter_t starters[STARTERS];
    fill (starters, strcmp (directory, ".") == 0 ? "shop" : name);
    error_t error;
    status_t status = write_all (directory, starters, &error);
    for (size_t i = 0; i < STARTERS; i++) {
        if (status == STATUS_OK && !call->json)
            printf ("%s/%s\n", directory, starters[i].name);
        buf_release (&starters[i].text);
    }
    exit_status = status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
    if (status == STATUS_OK && !call->json)
        fprintf (stderr, "\nnext: cd %s && weir up -d\n", directory);
    mem_free (directory);
    return exit_status;
}

const command_t command_init = {
    .name = "init",
    .group = "A project",
    .operands = "DIR",
    .purpose = "Writes a starter project that runs as it is",
    .details = "Writes weir.yaml, features/payments.yaml, README.md and sample.csv, 30 days of "
               "made-up\npayments. Nothing that is there is written over.",
    .examples = "  weir init my-project && cd my-project && weir up -d",
    .least = 1,
    .most = 1,
    .run = run,
};
