/* POSIX sys/stat.h: see ../parley.h. */
#include "../parley.h"
