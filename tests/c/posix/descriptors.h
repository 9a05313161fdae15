/* dup, dup2, and how many descriptors there are. */

static int dup_shares_the_offset(void)
{
    char found[4];
    int fd, copy;

    CHECK(make_file("file", "abcdef"));
    CHECK((fd = open(in_scratch("file"), O_RDONLY)) >= 0);
    CHECK((copy = dup(fd)) == fd + 1);
    CHECK(read(fd, found, 2) == 2);
    CHECK(read(copy, found + 2, 2) == 2);
    CHECK(memcmp(found, "abcd", 4) == 0);
    CHECK(close(fd) == 0);
    CHECK(lseek(copy, 0, SEEK_CUR) == 4);
    CHECK(close(copy) == 0);
    FAILS(EBADF, dup(copy));
    FAILS(EBADF, dup(-1));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int dup2_replaces(void)
{
    char found[4];
    int one, other;

    CHECK(make_file("file", "abcdef"));
    CHECK((one = open(in_scratch("file"), O_RDONLY)) >= 0);
    CHECK((other = open("/dev/null", O_RDONLY)) >= 0);
    CHECK(dup2(one, other) == other);
    CHECK(read(other, found, 3) == 3 && memcmp(found, "abc", 3) == 0);
    CHECK(dup2(one, one) == one);
    CHECK(dup2(one, 200) == 200);
    CHECK(read(200, found, 3) == 3 && memcmp(found, "def", 3) == 0);
    CHECK(close(200) == 0);
    CHECK(close(other) == 0);
    FAILS(EBADF, dup2(other, 200));
    FAILS(EBADF, dup2(other, other));
    FAILS(EBADF, close(200));
    FAILS(EBADF, dup2(one, -1));
    FAILS(EBADF, dup2(one, 1 << 30));
    CHECK(close(one) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

/* What a shell does for `>file`. */
static int output_is_redirected(void)
{
    int fd, saved, written;

    CHECK((fd = open(in_scratch("file"), O_WRONLY | O_CREAT, 0644)) >= 0);
    CHECK((saved = dup(STDOUT_FILENO)) >= 0);
    CHECK(dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
    CHECK(close(fd) == 0);
    written = write(STDOUT_FILENO, "inside", 6) == 6;
    CHECK(dup2(saved, STDOUT_FILENO) == STDOUT_FILENO);
    CHECK(close(saved) == 0);
    CHECK(written && file_is("file", "inside"));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int descriptors_run_out(void)
{
    int first, last, fd, error = 0;

    CHECK((first = last = dup(1)) >= 0);
    while (last < 1500 && error == 0) { /* some hosts allow a million */
        if ((fd = dup(1)) < 0)
            error = errno;
        else
            last = fd;
    }
    if (error != 0)
        errno = 0, fd = open("/dev/null", O_RDONLY);
    for (; last >= first; last--)
        CHECK(close(last) == 0);
    CHECK(error == 0 || (error == EMFILE && fd == -1 && errno == EMFILE));
    return PASSED;
}

static int poll_says_what_is_ready(void)
{
    struct pollfd files[4] = {
        { .fd = -1, .events = POLLIN, .revents = -1 },
        { .events = POLLOUT | POLLIN, .revents = -1 },
        { .fd = 999, .events = POLLIN, .revents = -1 },
        { .events = 0, .revents = -1 },
    };
    int fd;

    CHECK((fd = open("/dev/zero", O_RDWR)) >= 0);
    files[1].fd = files[3].fd = fd;
    CHECK(poll(files, 4, -1) == 2);
    CHECK(files[0].revents == 0 && files[1].revents == (POLLIN | POLLOUT));
    CHECK(files[2].revents == POLLNVAL && files[3].revents == 0);
    CHECK(files[1].fd == fd && files[1].events == (POLLOUT | POLLIN));
    CHECK(poll(&files[3], 1, 0) == 0 && poll(&files[3], 1, 10) == 0 && poll(NULL, 0, 1) == 0);
    CHECK(close(fd) == 0);
    return PASSED;
}

static int poll_fails(void)
{
    struct pollfd *volatile nowhere = (struct pollfd *)8; /* the compiler need not know */

    FAILS(EFAULT, poll(nowhere, 1, 0));
    FAILS(EINVAL, poll(nowhere, 1L << 20, 0));
    return PASSED;
}
