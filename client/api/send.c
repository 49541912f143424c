/* send.c - rows of one stream, gathered into batches that a client_sender_t gets acknowledged. */
#include "client/api/state.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include "client/api/report.h"

#include <stddef.h>
#include <string.h>

enum {
    BATCH_ROWS = 500,
    LINGER_MS = 5,
    WINDOW = 16,
    BATCH_BYTES_MAX = 8 << 20, /* below the limit of a message, whatever is around the rows */
    CELL_BYTES = 9,            /* at most, of a number or around a text */
    ROWS_CHUNK = 64 << 10,
    NEVER_MS = 1 << 28,
    WAIT_MS = 1000,
};

struct weir_sender {
    uint32_t magic;
    weir_t *weir;
    weir_sender_t *next;
    client_sender_t *inner;
    uint64_t tag;
    uint32_t batch_rows;
    uint32_t linger_ms;
    uint32_t window;
    bool acks;
    bool failure_told;
    uint32_t uncollected; /* acknowledgements */
    arena_t *names;
    text_t *columns;
    size_t columns_count;
    /* the batch that is gathered: */
    arena_t *texts;
    raw_t *cells;
    size_t rows;
    size_t rows_room;
    size_t bytes;
    uint64_t first_row;
    int64_t due_ms;
    report_t *report;
};

/* ---- acknowledgements ---- */

static void acknowledged (void *arg, const client_acknowledged_t *what)
{
    weir_sender_t *self = arg;
    error_t fine;
    report_add (self->report, what);
    if (!self->acks)
        return;
    error_clear (&fine);
    told_t *told = api_tell (self->weir, WEIR_EVENT_ACK, self->tag, &fine);
    told->arena = arena_new (1024);
    told->event.ack = ack_new (what, told->arena);
    told->sender = self;
    self->uncollected++;
}

void api_sender_collected (weir_sender_t *sender)
{
    sender->uncollected--;
}

/* ---- opening and closing ---- */

weir_status_t weir_producer_new (uint8_t producer[WEIR_PRODUCER_SIZE], weir_error_t *error)
{
    if (!producer)
        return api_invalid (error, "weir_producer_new takes a place for the id");
    client_producer_new (producer);
    return api_ok (error);
}

static weir_status_t check_options (const weir_sender_options_t *options, weir_error_t *error)
{
    if (!api_name (options->stream))
        return api_invalid (error, "a sender names a stream, in 1 to %d bytes of UTF-8",
                            WIRE_NAME_MAX);
    if (options->columns_count == 0 || options->columns_count > 1024 || !options->columns)
        return api_invalid (error, "a sender has 1 to 1024 columns");
    for (size_t i = 0; i < options->columns_count; i++) {
        if (!api_name (options->columns[i]))
            return api_invalid (error, "column %zu is not 1 to %d bytes of UTF-8", i,
                                WIRE_NAME_MAX);
        for (size_t j = 0; j < i; j++)
            if (strcmp (options->columns[i], options->columns[j]) == 0)
                return api_invalid (error, "column %s is there twice", options->columns[i]);
    }
    if (options->batch_rows > WEIR_BATCH_ROWS_MAX ||
        options->batch_rows * options->columns_count > WIRE_CELLS_MAX)
        return api_invalid (error, "a batch has at most %d rows and %d values", WEIR_BATCH_ROWS_MAX,
                            WIRE_CELLS_MAX);
    if (options->window > WEIR_WINDOW_MAX)
        return api_invalid (error, "a window is at most %d batches", WEIR_WINDOW_MAX);
    if (options->flags & ~(uint32_t)(WEIR_SEND_ACKS | WEIR_SEND_RESUMED))
        return api_invalid (error, "a flag of the sender is unknown");
    if (options->first_sequence > UINT64_MAX / 2)
        return api_invalid (error, "first_sequence is too high");
    return WEIR_OK;
}

static client_sender_t *inner_new (weir_sender_t *self, const weir_sender_options_t *options)
{
    client_sender_options_t inner = {
        .stream = options->stream,
        .first_sequence = options->first_sequence > 0 ? options->first_sequence : 1,
        .resumed = options->flags & WEIR_SEND_RESUMED,
        .unacknowledged = self->window,
        .patience_ms = options->patience_ms,
        .acknowledged = acknowledged,
        .arg = self,
    };
    if (options->producer)
        memcpy (inner.producer, options->producer, sizeof inner.producer);
    else
        client_producer_new (inner.producer);
    return client_sender_begin (self->weir->client, &inner);
}

static void take_columns (weir_sender_t *self, const weir_sender_options_t *options)
{
    self->names = arena_new (1024);
    self->columns_count = options->columns_count;
    self->columns = arena_zero (self->names, options->columns_count, sizeof *self->columns);
    for (size_t i = 0; i < options->columns_count; i++)
        self->columns[i] = arena_text (self->names, text_of (options->columns[i]));
}

weir_status_t weir_sender_open (weir_t *weir, const weir_sender_options_t *options,
                                weir_sender_t **sender, weir_error_t *error)
{
    weir_sender_options_t own;
    if (!weir || !sender)
        return api_invalid (error, "weir_sender_open takes a handle and a place for the sender");
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    *sender = NULL;
    if (!api_options (&own, sizeof own, sizeof own, options))
        return api_invalid (error, "weir_sender_options_init was not called for the options, or "
                                   "they are of a later version");
    weir_status_t checked = check_options (&own, error);
    if (checked != WEIR_OK)
        return checked;
    weir_sender_t *self = mem_zero (1, sizeof *self);
    self->magic = API_SENDER_MAGIC;
    self->weir = weir;
    self->tag = own.tag;
    self->batch_rows = own.batch_rows;
    if (self->batch_rows == 0)
        self->batch_rows = BATCH_ROWS;
    self->linger_ms = own.linger_ms > 0 ? own.linger_ms : LINGER_MS;
    self->window = own.window > 0 ? own.window : WINDOW;
    self->acks = own.flags & WEIR_SEND_ACKS;
    self->texts = arena_new (ROWS_CHUNK);
    self->report = report_new ();
    take_columns (self, &own);
    self->inner = inner_new (self, &own);
    self->next = weir->senders;
    weir->senders = self;
    *sender = self;
    return api_ok (error);
}

void weir_sender_close (weir_sender_t **sender_p)
{
    weir_sender_t *self = sender_p ? *sender_p : NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, API_SENDER_MAGIC);
    *sender_p = NULL;
    weir_sender_t **at = &self->weir->senders;
    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    api_forget_sender (self->weir, self);
    client_sender_destroy (&self->inner);
    arena_destroy (&self->names);
    arena_destroy (&self->texts);
    report_destroy (&self->report);
    mem_free (self->cells);
    self->magic = 0;
    mem_free (self);
}

void api_senders_close (weir_t *self)
{
    while (self->senders) {
        weir_sender_t *sender = self->senders;
        weir_sender_close (&sender);
    }
}

/* ---- a row ---- */

/* Times go as text, which those of other years have none of: their µs would be taken for a number
 * in the unit of their field. */
#define YEAR_0 INT64_C (-62167219200000000) /* µs since 1970 */

static bool is_sent (const weir_value_t *value)
{
    return api_scalar (value) && (value->type != WEIR_TIMESTAMP ||
                                  (value->as.i >= YEAR_0 && value->as.i <= TIME_EVENT_MAX));
}

/* What a row takes in a message, at most; 0 when it has a value that no row can have. */
static size_t measure (const weir_sender_t *self, const weir_value_t *row)
{
    size_t bytes = CELL_BYTES;
    for (size_t i = 0; i < self->columns_count; i++) {
        if (!is_sent (&row[i]))
            return 0;
        bytes += CELL_BYTES;
        if (row[i].type == WEIR_STRING || row[i].type == WEIR_DECIMAL)
            bytes += row[i].size;
        if (row[i].type == WEIR_TIMESTAMP)
            bytes += 32;
    }
    return bytes;
}

static raw_t text_cell (weir_sender_t *self, text_t text)
{
    return (raw_t){ .kind = RAW_TEXT, .s = arena_text (self->texts, text) };
}

/* A number means a time in the unit of its field, so that times go as text. */
static raw_t time_cell (weir_sender_t *self, int64_t us)
{
    buf_t text;
    buf_init (&text, 64);
    time_format (&text, us);
    raw_t cell = text_cell (self, text_of (buf_string (&text)));
    buf_release (&text);
    return cell;
}

static raw_t cell_of (weir_sender_t *self, const weir_value_t *value)
{
    switch (value->type) {
    case WEIR_BOOL:
        return (raw_t){ .kind = RAW_BOOL, .i = value->as.i };
    case WEIR_INT64:
        return (raw_t){ .kind = RAW_INT, .i = value->as.i };
    case WEIR_FLOAT64:
        return (raw_t){ .kind = RAW_FLOAT, .f = value->as.f };
    case WEIR_TIMESTAMP:
        return time_cell (self, value->as.i);
    case WEIR_STRING:
    case WEIR_DECIMAL:
        return text_cell (self, (text_t){ value->size > 0 ? value->as.text : "", value->size });
    default:
        return (raw_t){ .kind = RAW_NULL };
    }
}

static void add_row (weir_sender_t *self, const weir_value_t *row, size_t bytes)
{
    if (self->rows == self->rows_room) {
        self->rows_room = self->rows_room > 0 ? 2 * self->rows_room : 16;
        self->cells =
            mem_resize (self->cells, self->rows_room * self->columns_count, sizeof *self->cells);
    }
    raw_t *cells = &self->cells[self->rows * self->columns_count];
    for (size_t i = 0; i < self->columns_count; i++)
        cells[i] = cell_of (self, &row[i]);
    if (self->rows == 0)
        self->due_ms = session_now_ms () + self->linger_ms;
    self->rows++;
    self->bytes += bytes;
    report_put (self->report);
}

/* ---- a batch ---- */

static bool is_full (const weir_sender_t *self, size_t more_bytes)
{
    return self->rows >= self->batch_rows ||
           (self->rows > 0 && self->bytes + more_bytes > BATCH_BYTES_MAX);
}

/* Is it the caller, and not the cluster, that the window waits for? */
static bool waits_for_caller (const weir_sender_t *self)
{
    return self->acks && self->uncollected > 0 &&
           client_sender_under_way (self->inner) + self->uncollected >= self->window;
}

/* BUSY when there is no room. */
static status_t push (weir_sender_t *self, error_t *error)
{
    const raw_table_t table = { .columns = self->columns,
                                .columns_count = self->columns_count,
                                .cells = self->cells,
                                .rows = self->rows };
    status_t status = client_sender_state (self->inner, error);
    if (status != STATUS_OK || self->rows == 0)
        return status;
    if (waits_for_caller (self))
        return error_set (error, STATUS_BUSY, "acknowledgements of %u batches are not collected",
                          self->uncollected);
    if (!client_sender_has_room (self->inner))
        return error_set (error, STATUS_BUSY, "%u batches are not acknowledged",
                          client_sender_under_way (self->inner));
    status = client_sender_send (self->inner, &table, self->first_row, error);
    if (status != STATUS_OK)
        return status;
    self->first_row += self->rows;
    self->rows = 0;
    self->bytes = 0;
    arena_reset (self->texts);
    return STATUS_OK;
}

/* Until `deadline` the window is waited for, unless it is the caller's to make room. */
static status_t push_by (weir_sender_t *self, int64_t deadline, error_t *error)
{
    status_t status = push (self, error);
    while (status == STATUS_BUSY && !waits_for_caller (self)) {
        error_t why;
        int64_t left = deadline - session_now_ms ();
        if (left <= 0)
            return status;
        status = api_work (self->weir, left < WAIT_MS ? left : WAIT_MS, &why);
        if (status != STATUS_OK)
            return error_set (error, status, "%s", why.text);
        status = push (self, error);
    }
    return status;
}

static int64_t deadline_of (int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : session_now_ms () + timeout_ms;
}

weir_status_t weir_sender_put (weir_sender_t *sender, const weir_value_t *row, int timeout_ms,
                               weir_error_t *error)
{
    error_t why;
    if (!sender || !row)
        return api_invalid (error, "weir_sender_put takes a sender and a row");
    CHECK_OBJECT (sender, API_SENDER_MAGIC);
    size_t bytes = measure (sender, row);
    if (bytes == 0)
        return api_invalid (error,
                            "a value of the row is of no type that is sent, no UTF-8, or a time "
                            "beyond the years 0 to 9999");
    if (bytes > BATCH_BYTES_MAX)
        return api_invalid (error, "the row is over %d bytes", BATCH_BYTES_MAX);
    status_t status = client_sender_state (sender->inner, &why);
    bool sends = is_full (sender, bytes);
    if (status == STATUS_OK && sends)
        status = push_by (sender, deadline_of (timeout_ms), &why);
    if (status == STATUS_OK) {
        add_row (sender, row, bytes);
        if (is_full (sender, 0) || session_now_ms () >= sender->due_ms) {
            sends = true;
            status = push (sender, &why);
            if (status == STATUS_BUSY)
                status = STATUS_OK; /* the row was taken, and goes later */
        }
    }
    if (sends || sender->rows == 1)
        api_arm (sender->weir);
    return status == STATUS_OK ? api_ok (error) : api_fail (error, &why);
}

weir_status_t weir_sender_push (weir_sender_t *sender, weir_error_t *error)
{
    error_t why;
    if (!sender)
        return api_invalid (error, "weir_sender_push takes a sender");
    CHECK_OBJECT (sender, API_SENDER_MAGIC);
    status_t status = push (sender, &why);
    if (status == STATUS_BUSY)
        sender->due_ms = 0;
    api_arm (sender->weir);
    return status == STATUS_OK ? api_ok (error) : api_fail (error, &why);
}

weir_status_t weir_sender_flush (weir_sender_t *sender, int timeout_ms, weir_error_t *error)
{
    error_t why;
    if (!sender)
        return api_invalid (error, "weir_sender_flush takes a sender");
    CHECK_OBJECT (sender, API_SENDER_MAGIC);
    int64_t deadline = deadline_of (timeout_ms);
    status_t status = push_by (sender, deadline, &why);
    if (status == STATUS_BUSY && !waits_for_caller (sender))
        status = STATUS_TIMEOUT;
    while (status == STATUS_OK && client_sender_under_way (sender->inner) > 0) {
        int64_t left = deadline - session_now_ms ();
        if (left <= 0)
            status = error_set (&why, STATUS_TIMEOUT, "%u batches are not acknowledged",
                                client_sender_under_way (sender->inner));
        if (status == STATUS_OK)
            status = api_work (sender->weir, left < WAIT_MS ? left : WAIT_MS, &why);
        if (status == STATUS_OK)
            status = client_sender_state (sender->inner, &why);
    }
    api_arm (sender->weir);
    if (status == STATUS_OK)
        return api_ok (error);
    why.status = status;
    return api_fail (error, &why);
}

const weir_report_t *weir_sender_report (weir_sender_t *sender)
{
    if (!sender)
        return NULL;
    CHECK_OBJECT (sender, API_SENDER_MAGIC);
    return report_tell (sender->report);
}

/* ---- all senders of a handle ---- */

int64_t api_senders_step (weir_t *self)
{
    int64_t now = session_now_ms (), next = now + NEVER_MS;
    for (weir_sender_t *sender = self->senders; sender; sender = sender->next) {
        error_t ignored; /* an end is told by whoever asks next; BUSY is when there is room again */
        if (sender->rows == 0)
            continue;
        if (now >= sender->due_ms || is_full (sender, 0))
            (void)!push (sender, &ignored);
        else if (sender->due_ms < next)
            next = sender->due_ms;
    }
    return next;
}

void api_senders_look (weir_t *self)
{
    error_t why;
    for (weir_sender_t *sender = self->senders; sender; sender = sender->next) {
        if (!sender->acks || sender->failure_told ||
            client_sender_state (sender->inner, &why) == STATUS_OK)
            continue;
        sender->failure_told = true;
        api_tell (self, WEIR_EVENT_FAILED, sender->tag, &why);
    }
}

/* Of one that has ended nothing is under way any more. */
size_t api_senders_pending (const weir_t *self)
{
    size_t pending = 0;
    error_t ignored;
    for (weir_sender_t *sender = self->senders; sender; sender = sender->next)
        if (client_sender_state (sender->inner, &ignored) == STATUS_OK)
            pending += client_sender_under_way (sender->inner) + (sender->rows > 0);
    return pending;
}
