/* POSIX stdio.h: rename; there are no streams: see parley.h. */
#include "parley.h"
