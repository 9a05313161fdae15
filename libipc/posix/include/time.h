/* POSIX time.h: clocks and nanosleep: see parley.h. */
#include "parley.h"
