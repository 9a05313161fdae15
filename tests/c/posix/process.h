/* getpid, getppid, sched_yield, and what survives a call. */

static int process_ids(void)
{
    CHECK(getpid() > 0);
    CHECK(getpid() == getpid());
    CHECK(getppid() != getpid());
    CHECK(getppid() == getppid());
    return PASSED;
}

static int sched_yield_returns(void)
{
    int round;

    for (round = 0; round < 100; round++)
        CHECK(sched_yield() == 0);
    return PASSED;
}

/* A program may use the vector registers, which the shim, the servers and the core do not. */
static int floating_point_works(void)
{
    volatile double parts[4] = { 1.5, 2.25, -3.125, 4096.0 };
    double sum = 0;
    int round;

    for (round = 0; round < 100; round++) {
        sum += parts[round % 4] * round;
        CHECK(sched_yield() == 0);
        CHECK(getpid() > 0);
    }
    CHECK(sum == 5223050.0);
    return PASSED;
}
