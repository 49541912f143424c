/* Out of memory is the end of the coordinator, and leaves nothing out of what it writes. */
#include "coordinator/state.h"

#include <criterion/criterion.h>
#include <jansson.h>

static void expect_ours (void)
{
    json_malloc_t take;
    json_free_t give_back;
    json_get_alloc_funcs (&take, &give_back);
    cr_assert (take == mem_alloc);
    cr_assert (give_back == mem_free);
}

Test (memory, is_taken_where_it_cannot_be_refused_when_runs_of_loads_are_written)
{
    load_t *load = load_new ();
    (void)load_add_log (load, "payments/user", 2);
    cr_assert_str_eq (load_runs_text (load, 2), "{\"payments/user\":[[],[]]}");
    expect_ours ();
    load_destroy (&load);
}

Test (memory, is_taken_where_it_cannot_be_refused_when_runs_of_loads_are_read)
{
    error_t error;
    load_t *load = load_new ();
    load->row.id = "1";
    load->row.runs = "{\"payments/user\":[[],[[\"a.run\",100,10]]]}";
    cr_assert_eq (load_runs_read (load, 2, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (load->logs[0].parts[1].runs_count, 1);
    expect_ours ();
    load_destroy (&load);
}
