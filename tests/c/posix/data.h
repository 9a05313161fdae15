/* read, write, pread, pwrite and lseek. */

static int read_what_was_written(void)
{
    char found[16] = "";
    int fd;

    CHECK((fd = open(in_scratch("file"), O_RDWR | O_CREAT | O_EXCL, 0644)) >= 0);
    CHECK(write(fd, "hello, world", 12) == 12);
    CHECK(read(fd, found, sizeof found) == 0);
    CHECK(lseek(fd, 7, SEEK_SET) == 7);
    CHECK(read(fd, found, sizeof found) == 5);
    CHECK(memcmp(found, "world", 5) == 0);
    CHECK(read(fd, found, sizeof found) == 0);
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int read_and_write_nothing(void)
{
    struct stat st;
    char byte = 'x';
    int fd;

    CHECK((fd = open(in_scratch("file"), O_RDWR | O_CREAT, 0644)) >= 0);
    CHECK(write(fd, &byte, 0) == 0);
    CHECK(read(fd, &byte, 0) == 0);
    CHECK(pwrite(fd, &byte, 0, 100) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int large_transfers(void)
{
    static unsigned char out[40000], in[sizeof out + 1];
    size_t at;
    int fd;

    for (at = 0; at < sizeof out; at++)
        out[at] = (unsigned char)(at * 7 + at / 251);
    CHECK((fd = open(in_scratch("file"), O_RDWR | O_CREAT, 0644)) >= 0);
    CHECK(write(fd, out, sizeof out) == (ssize_t)sizeof out);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(read(fd, in, sizeof in) == (ssize_t)sizeof out);
    CHECK(memcmp(in, out, sizeof out) == 0);
    CHECK(pread(fd, in, 5000, 4095) == 5000);
    CHECK(memcmp(in, out + 4095, 5000) == 0);
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int access_modes(void)
{
    char byte = 'x';
    int fd;

    CHECK(make_file("file", "text"));
    CHECK((fd = open(in_scratch("file"), O_RDONLY)) >= 0);
    FAILS(EBADF, write(fd, &byte, 1));
    FAILS(EBADF, pwrite(fd, &byte, 1, 0));
    CHECK(close(fd) == 0);
    CHECK((fd = open(in_scratch("file"), O_WRONLY)) >= 0);
    FAILS(EBADF, read(fd, &byte, 1));
    FAILS(EBADF, pread(fd, &byte, 1, 0));
    CHECK(close(fd) == 0);
    CHECK(file_is("file", "text"));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int bad_buffers(void)
{
    int fd;

    CHECK((fd = open(in_scratch("file"), O_RDWR | O_CREAT, 0644)) >= 0);
    FAILS(EFAULT, write(fd, nowhere, 4));
    FAILS(EFAULT, write(fd, kernel_half, 4));
    CHECK(write(fd, "text", 4) == 4);
    FAILS(EFAULT, pread(fd, nowhere, 4, 0));
    FAILS(EFAULT, pread(fd, kernel_half, 4, 0));
    FAILS(EFAULT, pread(fd, (void *)"constant", 4, 0));
    FAILS(EFAULT, fstat(fd, nowhere));
    FAILS(EFAULT, stat(scratch, nowhere));
    CHECK(close(fd) == 0);
    CHECK(file_is("file", "text"));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int pread_and_pwrite_leave_the_offset(void)
{
    char found[8];
    int fd;

    CHECK((fd = open(in_scratch("file"), O_RDWR | O_CREAT, 0644)) >= 0);
    CHECK(write(fd, "abcdef", 6) == 6);
    CHECK(pwrite(fd, "XY", 2, 1) == 2);
    CHECK(pread(fd, found, 3, 2) == 3);
    CHECK(memcmp(found, "Yde", 3) == 0);
    CHECK(pread(fd, found, sizeof found, 4) == 2);
    CHECK(pread(fd, found, sizeof found, 6) == 0);
    CHECK(pread(fd, found, sizeof found, 1000) == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == 6);
    FAILS(EINVAL, pread(fd, found, 1, -1));
    FAILS(EINVAL, pwrite(fd, found, 1, -1));
    CHECK(close(fd) == 0);
    CHECK(file_is("file", "aXYdef"));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int lseek_moves(void)
{
    int fd;

    CHECK(make_file("file", "0123456789"));
    CHECK((fd = open(in_scratch("file"), O_RDONLY)) >= 0);
    CHECK(lseek(fd, 4, SEEK_SET) == 4);
    CHECK(lseek(fd, 2, SEEK_CUR) == 6);
    CHECK(lseek(fd, -3, SEEK_CUR) == 3);
    CHECK(lseek(fd, -1, SEEK_END) == 9);
    CHECK(lseek(fd, 90, SEEK_END) == 100);
    FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
    FAILS(EINVAL, lseek(fd, -11, SEEK_END));
    FAILS(EINVAL, lseek(fd, 0, 99));
    CHECK(lseek(fd, 0, SEEK_CUR) == 100);
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int holes_read_as_zeros(void)
{
    struct stat st;
    char found[5001];
    size_t at;
    int fd;

    CHECK((fd = open(in_scratch("file"), O_RDWR | O_CREAT, 0644)) >= 0);
    CHECK(lseek(fd, 5000, SEEK_SET) == 5000);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
    CHECK(write(fd, "!", 1) == 1);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 5001);
    memset(found, 'x', sizeof found);
    CHECK(pread(fd, found, sizeof found, 0) == (ssize_t)sizeof found);
    for (at = 0; at < 5000; at++)
        CHECK(found[at] == 0);
    CHECK(found[5000] == '!');
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int each_open_has_its_offset(void)
{
    char found[8];
    int writer, reader;

    CHECK((writer = open(in_scratch("file"), O_WRONLY | O_CREAT, 0644)) >= 0);
    CHECK((reader = open(in_scratch("file"), O_RDONLY)) >= 0);
    CHECK(read(reader, found, sizeof found) == 0);
    CHECK(write(writer, "abc", 3) == 3);
    CHECK(read(reader, found, sizeof found) == 3 && memcmp(found, "abc", 3) == 0);
    CHECK(write(writer, "de", 2) == 2);
    CHECK(read(reader, found, sizeof found) == 2 && memcmp(found, "de", 2) == 0);
    CHECK(make_file("file", "")); /* truncates it under both */
    CHECK(read(reader, found, sizeof found) == 0);
    CHECK(write(writer, "f", 1) == 1);
    CHECK(lseek(reader, 0, SEEK_END) == 6);
    CHECK(pread(reader, found, 6, 0) == 6 && memcmp(found, "\0\0\0\0\0f", 6) == 0);
    CHECK(close(writer) == 0 && close(reader) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int devices(void)
{
    char found[64];
    size_t at;
    int fd;

    CHECK((fd = open("/dev/null", O_RDWR)) >= 0);
    CHECK(write(fd, "gone", 4) == 4);
    CHECK(read(fd, found, sizeof found) == 0);
    CHECK(close(fd) == 0);
    memset(found, 'x', sizeof found);
    CHECK((fd = open("/dev/zero", O_RDONLY)) >= 0);
    CHECK(read(fd, found, sizeof found) == (ssize_t)sizeof found);
    for (at = 0; at < sizeof found; at++)
        CHECK(found[at] == 0);
    CHECK(close(fd) == 0);
    CHECK((fd = open("/dev/full", O_WRONLY)) >= 0);
    FAILS(ENOSPC, write(fd, "x", 1));
    CHECK(close(fd) == 0);
    return PASSED;
}
