/* clock_gettime, gettimeofday, time and nanosleep. */

#define SECOND 1000000000L

static long nanoseconds(const struct timespec *t)
{
    return t->tv_sec * SECOND + t->tv_nsec;
}

static int clock_gettime_clocks(void)
{
    struct timespec before, after;
    int round;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    for (round = 0; round < 1000; round++) {
        CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
        CHECK(after.tv_nsec >= 0 && after.tv_nsec < SECOND);
        CHECK(nanoseconds(&after) >= nanoseconds(&before));
        before = after;
    }
    CHECK(clock_gettime(CLOCK_REALTIME, &after) == 0);
    CHECK(after.tv_sec > 1577836800); /* 2020 has begun */
    FAILS(EINVAL, clock_gettime(99, &after));
    return PASSED;
}

static int clocks_agree(void)
{
    struct timespec first, last;
    struct timeval day;
    time_t seconds, stored = 0;

    CHECK(clock_gettime(CLOCK_REALTIME, &first) == 0);
    CHECK(gettimeofday(&day, NULL) == 0);
    CHECK(clock_gettime(CLOCK_REALTIME, &last) == 0);
    CHECK(day.tv_usec >= 0 && day.tv_usec < 1000000);
    CHECK(first.tv_sec * 1000000 + first.tv_nsec / 1000 <= day.tv_sec * 1000000 + day.tv_usec);
    CHECK(day.tv_sec * 1000000 + day.tv_usec <= last.tv_sec * 1000000 + last.tv_nsec / 1000);
    /* Linux's time() may lag by a tick behind the exact clocks. */
    CHECK((seconds = time(&stored)) == stored);
    CHECK(seconds >= first.tv_sec - 1 && seconds <= last.tv_sec + 1);
    CHECK(time(NULL) >= seconds);
    return PASSED;
}

/* File times are the wall clock's; a file system may round them down to two seconds. */
static int file_times_are_now(void)
{
    struct timespec before, after;
    struct stat made, changed;
    int fd;

    CHECK(clock_gettime(CLOCK_REALTIME, &before) == 0);
    CHECK((fd = open(in_scratch("file"), O_WRONLY | O_CREAT, 0644)) >= 0);
    CHECK(fstat(fd, &made) == 0);
    CHECK(write(fd, "x", 1) == 1);
    CHECK(fstat(fd, &changed) == 0);
    CHECK(clock_gettime(CLOCK_REALTIME, &after) == 0);
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    if (made.st_mtime == 0 && made.st_ctime == 0)
        return skipped("the file system keeps no times");
    CHECK(made.st_mtime >= before.tv_sec - 2 && made.st_ctime >= before.tv_sec - 2);
    CHECK(changed.st_mtime >= made.st_mtime && changed.st_mtime <= after.tv_sec);
    return PASSED;
}

static int nanosleep_sleeps(void)
{
    struct timespec before, after, duration = { 0, 20000000 }, none = { 0, 0 };

    CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    CHECK(nanosleep(&duration, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
    CHECK(nanoseconds(&after) - nanoseconds(&before) >= 20000000);
    CHECK(nanoseconds(&after) - nanoseconds(&before) < 20 * SECOND);
    after = before;
    CHECK(nanosleep(&none, &after) == 0);
    CHECK(nanoseconds(&after) == nanoseconds(&before)); /* only an interrupted sleep has time left */
    return PASSED;
}

static int nanosleep_fails(void)
{
    struct timespec much = { 0, SECOND }, negative = { 0, -1 }, past = { -1, 0 };

    FAILS(EINVAL, nanosleep(&much, NULL));
    FAILS(EINVAL, nanosleep(&negative, NULL));
    FAILS(EINVAL, nanosleep(&past, NULL));
    FAILS(EFAULT, nanosleep(nowhere, NULL));
    return PASSED;
}
