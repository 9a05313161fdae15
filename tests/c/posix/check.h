/* A test and its verdict: what the tests of posix.c are written with. */

/* What a test returns; `why` says why it did not pass. */
enum { FAILED, PASSED, SKIPPED };

typedef int test_function(void);

static char why[256];
static size_t why_length;

static void say(const char *text)
{
    while (*text != '\0' && why_length < sizeof why - 2) /* a line's end must fit as well */
        why[why_length++] = *text++;
    why[why_length] = '\0';
}

static void say_number(long number)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    unsigned long rest = number < 0 ? -(unsigned long)number : (unsigned long)number;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (number < 0)
        digits[--at] = '-';
    say(digits + at);
}

static int failed(int line, const char *what)
{
    int error = errno;

    say("line ");
    say_number(line);
    say(": ");
    say(what);
    say(" (errno ");
    say_number(error);
    say(")");
    return FAILED;
}

/* It cannot be tried here. */
static int skipped(const char *reason)
{
    say(reason);
    return SKIPPED;
}

/* The condition holds. */
#define CHECK(condition)                                                                                          \
    do {                                                                                                          \
        if (!(condition))                                                                                         \
            return failed(__LINE__, #condition);                                                                  \
    } while (0)

/* The call fails, with this errno. */
#define FAILS(error, call)                                                                                        \
    do {                                                                                                          \
        errno = 0;                                                                                                \
        if ((call) != -1 || errno != (error))                                                                     \
            return failed(__LINE__, #call " is not " #error);                                                     \
    } while (0)

/* The value, which only the compiler might know better, is used as it is: calls with bad pointers on purpose. */
static void *volatile nowhere = NULL;
static void *volatile kernel_half = (void *)0xffff800000000000;
