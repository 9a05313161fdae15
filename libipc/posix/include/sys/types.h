/* POSIX sys/types.h: see ../parley.h. */
#include "../parley.h"
