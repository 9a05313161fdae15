/* POSIX sys/time.h: gettimeofday: see ../parley.h. */
#include "../parley.h"
