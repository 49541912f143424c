/* Out of memory is the end of a process, and no bad row. */
#include "base/mem.h"
#include "intake/intake.h"

#include <criterion/criterion.h>
#include <jansson.h>

Test (memory, is_taken_by_jansson_where_it_cannot_be_refused)
{
    json_malloc_t take;
    json_free_t give_back;
    text_reader_t *reader = text_reader_new (FORMAT_NDJSON, 10);
    json_get_alloc_funcs (&take, &give_back);
    cr_assert (take == mem_alloc);
    cr_assert (give_back == mem_free);
    text_reader_destroy (&reader);
}
