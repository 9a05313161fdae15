/* POSIX sched.h: sched_yield: see parley.h. */
#include "parley.h"
