/* POSIX stdlib.h: exit: see parley.h. */
#include "parley.h"
