// plain PROJECT - the header alone in C++: opens a project, and says what the library thinks of a
// question without a view.
#include <weir.h>

#include <cstdio>
#include <memory>

struct close_weir {
    void operator() (weir_t *weir) const
    {
        weir_close (&weir);
    }
};

int main (int argc, char **argv)
{
    weir_options_t options;
    weir_error_t error;
    weir_t *opened = nullptr;
    if (argc != 2)
        return 2;
    weir_options_init (&options);
    options.project = argv[1];
    if (weir_open (&options, &opened, &error) != WEIR_OK) {
        std::fprintf (stderr, "plain: %s\n", error.text);
        return 1;
    }
    std::unique_ptr<weir_t, close_weir> weir (opened);
    weir_get_t get;
    weir_answer_t *answer = nullptr;
    weir_get_init (&get);
    weir_status_t status = weir_get (weir.get (), &get, &answer, &error);
    std::printf ("weir %s: %s: %s\n", weir_version (), weir_status_word (status), error.text);
    return status == WEIR_INVALID && !answer ? 0 : 1;
}
