/* Linux's dirent.h: getdents64 and its records: see parley.h. */
#include "parley.h"
