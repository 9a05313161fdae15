/* POSIX fcntl.h: see parley.h. */
#include "parley.h"
