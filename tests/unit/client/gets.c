/* A query that is waited for ends when there is nothing to wait for, whatever else is quiet. */
#include "client/lib/client.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite (gets, .timeout = 30);

static status_t ask (const char *text, error_t *error, bool *unreachable)
{
    project_t *project;
    message_t reply;
    text_t field = text_of ("user_id");
    value_t key = { .type = TYPE_STRING, .s = text_of ("u1") };
    const client_get_t get = {
        .view = "user_spend", .fields = &field, .fields_count = 1, .keys = &key, .keys_count = 1
    };
    cr_assert_eq (project_parse ("/tmp", text_of (text), &project, error), STATUS_OK, "%s",
                  error->text);
    client_t *client = client_of_project (project);
    project_destroy (&project);
    status_t status = client_get (client, &get, &reply, error);
    *unreachable = client_unreachable (client);
    if (status == STATUS_OK)
        cr_assert_not_null (reply.body);
    client_close (&client);
    return status;
}

Test (gets, of_a_cluster_that_is_down_say_so_at_once)
{
    error_t error;
    bool unreachable;
    cr_assert_eq (ask ("cluster: c\nnodes:\n  serving: ['ipc:///tmp/weir-gets-1', "
                       "'ipc:///tmp/weir-gets-2']\n",
                       &error, &unreachable),
                  STATUS_UNAVAILABLE);
    cr_expect (unreachable);
    cr_expect_not_null (strstr (error.text, "ipc:///tmp/weir-gets-1, ipc:///tmp/weir-gets-2"), "%s",
                        error.text);
}

Test (gets, without_a_key_where_one_is_needed_say_so)
{
    error_t error;
    bool unreachable;
    cr_assert_eq (
        ask ("cluster: c\nsecurity: {keys: /tmp/weir-gets-no-keys}\n", &error, &unreachable),
        STATUS_NOT_FOUND);
    cr_expect_not_null (strstr (error.text, "weir keygen"), "%s", error.text);
}
