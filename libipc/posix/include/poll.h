/* POSIX poll.h: poll: see parley.h. */
#include "parley.h"
