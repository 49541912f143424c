#include "client/cli/command.h"

int main (int argc, char **argv)
{
    return weir_main (argc, argv);
}
