/* POSIX unistd.h: see parley.h. */
#include "parley.h"
