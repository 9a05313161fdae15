/* open and close. */

static int open_creates(void)
{
    const char *path = in_scratch("file");
    int fd;

    FAILS(ENOENT, open(path, O_RDONLY));
    CHECK((fd = open(path, O_WRONLY | O_CREAT, 0600)) > 2);
    CHECK(close(fd) == 0);
    FAILS(EEXIST, open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    CHECK((fd = open(path, O_WRONLY | O_CREAT, 0644)) > 2);
    CHECK(close(fd) == 0);
    CHECK(unlink(path) == 0);
    /* The mode holds for the next to open it, not for the one who makes it. */
    CHECK((fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0)) > 2);
    CHECK(write(fd, "x", 1) == 1);
    CHECK(close(fd) == 0);
    CHECK(unlink(path) == 0);
    return PASSED;
}

static int open_takes_the_lowest_descriptor(void)
{
    int first, second, third;

    CHECK((first = open("/dev/null", O_RDONLY)) >= 0);
    CHECK((second = open("/dev/null", O_RDONLY)) == first + 1);
    CHECK(close(first) == 0);
    CHECK((third = open("/dev/zero", O_RDONLY)) == first);
    CHECK(close(second) == 0);
    CHECK(close(third) == 0);
    return PASSED;
}

static int open_truncates(void)
{
    CHECK(make_file("file", "many words"));
    CHECK(make_file("file", "few"));
    CHECK(file_is("file", "few"));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int open_appends(void)
{
    int fd;

    CHECK(make_file("file", "one,"));
    CHECK((fd = open(in_scratch("file"), O_WRONLY | O_APPEND)) >= 0);
    CHECK(write(fd, "two,", 4) == 4);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(write(fd, "three", 5) == 5);
    CHECK(lseek(fd, 0, SEEK_CUR) == 13);
    CHECK(close(fd) == 0);
    CHECK(file_is("file", "one,two,three"));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int open_directories(void)
{
    char byte;
    int fd;

    CHECK(make_file("file", "x"));
    FAILS(EISDIR, open(scratch, O_WRONLY));
    FAILS(EISDIR, open(scratch, O_RDWR));
    FAILS(ENOTDIR, open(in_scratch("file"), O_RDONLY | O_DIRECTORY));
    FAILS(ENOTDIR, open(in_scratch("file/below"), O_RDONLY));
    FAILS(ENOENT, open(in_scratch("missing/below"), O_WRONLY | O_CREAT, 0644));
    FAILS(ENOTDIR, open("/dev/null", O_RDONLY | O_DIRECTORY));
    FAILS(ENOTDIR, open("/dev/null/", O_RDONLY));
    CHECK((fd = open(scratch, O_RDONLY | O_DIRECTORY)) >= 0);
    FAILS(EISDIR, read(fd, &byte, 1));
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int paths_that_are_too_long(void)
{
    struct stat st;

    FAILS(ENAMETOOLONG, open(in_scratch(long_name(256)), O_WRONLY | O_CREAT, 0644));
    FAILS(ENAMETOOLONG, open(long_name(5000), O_RDONLY));
    FAILS(ENAMETOOLONG, stat(long_name(4096), &st));
    FAILS(ENAMETOOLONG, mkdir(long_name(5000), 0755));
    FAILS(ENAMETOOLONG, unlink(long_name(5000)));
    FAILS(ENAMETOOLONG, rename(scratch, long_name(5000)));
    return PASSED;
}

static int paths_that_are_odd(void)
{
    struct stat here, there;

    FAILS(ENOENT, open("", O_RDONLY));
    FAILS(ENOENT, stat("", &here));
    FAILS(EFAULT, open(nowhere, O_RDONLY));
    FAILS(EFAULT, open(kernel_half, O_RDONLY));
    FAILS(ENOENT, mkdir("", 0755));
    FAILS(ENOENT, rmdir(""));
    FAILS(ENOENT, unlink(""));
    FAILS(ENOENT, rename("", in_scratch("a")));
    FAILS(EFAULT, mkdir(nowhere, 0755));
    FAILS(EFAULT, rename(scratch, nowhere));
    FAILS(EEXIST, mkdir("/", 0755));
    FAILS(EBUSY, rmdir("/"));
    CHECK(mkdir(in_scratch("a"), 0755) == 0);
    CHECK(stat(in_scratch("a"), &here) == 0);
    CHECK(stat(in_scratch(".//a/../a/./"), &there) == 0);
    CHECK(here.st_ino == there.st_ino && here.st_dev == there.st_dev);
    CHECK(rmdir(in_scratch("a/")) == 0);
    return PASSED;
}

static int close_twice(void)
{
    char byte = 0;
    int fd;

    CHECK((fd = open("/dev/null", O_RDWR)) >= 0);
    CHECK(close(fd) == 0);
    FAILS(EBADF, close(fd));
    FAILS(EBADF, read(fd, &byte, 1));
    FAILS(EBADF, write(fd, &byte, 1));
    FAILS(EBADF, lseek(fd, 0, SEEK_SET));
    FAILS(EBADF, close(-1));
    FAILS(EBADF, read(-1, &byte, 1));
    return PASSED;
}

static int success_leaves_errno_alone(void)
{
    errno = ERANGE;
    CHECK(getpid() > 0);
    CHECK(close(dup(1)) == 0);
    CHECK(errno == ERANGE);
    return PASSED;
}
