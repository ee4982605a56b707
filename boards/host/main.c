/* The command line's entry: which command, then its own file. */
#include <stdio.h>

#include "model/ossicle.h"

int main(void)
{
    printf("ossicle %s\n", ossicle_version());
    return 0;
}
