/* exit: the status that a program gives is what its parent sees, the lowest eight bits of it. */

#include <stdlib.h>

int main(void)
{
    exit(256 + 42);
}
