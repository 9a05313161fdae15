/* POSIX string.h: memory functions and strlen: see parley.h. */
#include "parley.h"
