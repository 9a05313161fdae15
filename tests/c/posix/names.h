/* stat, fstat, mkdir, rmdir, getdents64, unlink and rename. */

static int stat_describes_a_file(void)
{
    struct stat by_name, by_fd;
    int fd;

    CHECK((fd = open(in_scratch("file"), O_RDWR | O_CREAT | O_EXCL, 0600)) >= 0);
    CHECK(write(fd, "12345", 5) == 5);
    CHECK(stat(in_scratch("file"), &by_name) == 0);
    CHECK(fstat(fd, &by_fd) == 0);
    CHECK(S_ISREG(by_name.st_mode) && !S_ISDIR(by_name.st_mode));
    CHECK((by_name.st_mode & 07777) == 0600);
    CHECK(by_name.st_size == 5 && by_name.st_nlink == 1 && by_name.st_blksize > 0);
    CHECK(by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev);
    CHECK(by_name.st_size == by_fd.st_size && by_name.st_mode == by_fd.st_mode);
    CHECK(close(fd) == 0);
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int stat_describes_others(void)
{
    struct stat st;

    CHECK(stat(scratch, &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink >= 1);
    CHECK(stat("/", &st) == 0 && S_ISDIR(st.st_mode));
    CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x103);
    CHECK(stat("/dev/zero", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x105);
    return PASSED;
}

static int stat_fails(void)
{
    struct stat st;

    CHECK(make_file("file", "x"));
    FAILS(ENOENT, stat(in_scratch("missing"), &st));
    FAILS(ENOTDIR, stat(in_scratch("file/below"), &st));
    FAILS(ENOTDIR, stat(in_scratch("file/"), &st));
    FAILS(EBADF, fstat(-1, &st));
    CHECK(unlink(in_scratch("file")) == 0);
    return PASSED;
}

static int mkdir_and_rmdir(void)
{
    struct stat st;

    CHECK(mkdir(in_scratch("d"), 0700) == 0);
    CHECK(stat(in_scratch("d"), &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
    FAILS(EEXIST, mkdir(in_scratch("d"), 0755));
    FAILS(ENOENT, mkdir(in_scratch("missing/d"), 0755));
    CHECK(make_file("d/file", "x"));
    FAILS(EEXIST, mkdir(in_scratch("d/file"), 0755));
    FAILS(ENOTDIR, mkdir(in_scratch("d/file/below"), 0755));
    FAILS(ENOTEMPTY, rmdir(in_scratch("d")));
    FAILS(ENOTDIR, rmdir(in_scratch("d/file")));
    FAILS(EINVAL, rmdir(in_scratch("d/.")));
    CHECK(unlink(in_scratch("d/file")) == 0);
    CHECK(rmdir(in_scratch("d")) == 0);
    FAILS(ENOENT, rmdir(in_scratch("d")));
    return PASSED;
}

static int removed_directories_are_empty(void)
{
    struct stat st;
    int fd;

    CHECK(mkdir(in_scratch("d"), 0755) == 0);
    CHECK((fd = open(in_scratch("d"), O_RDONLY | O_DIRECTORY)) >= 0);
    CHECK(rmdir(in_scratch("d")) == 0);
    CHECK(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
    CHECK(close(fd) == 0);
    CHECK(is_gone("d"));
    return PASSED;
}

/* What a directory holds, as a set of bits: 1 `.`, 2 `..`, 4 `file`, 8 `sub`, 16 anything else; -1: an error. */
static int list(int fd, size_t room, ino_t file)
{
    static _Alignas(struct dirent64) char records[1024];
    int found = 0;
    ssize_t length, at;

    while ((length = getdents64(fd, records, room)) > 0) {
        for (at = 0; at < length;) {
            struct dirent64 *entry = (struct dirent64 *)(records + at);
            int bit = 16;

            if (strlen(entry->d_name) == 1 && entry->d_name[0] == '.')
                bit = entry->d_type == DT_DIR ? 1 : 16;
            else if (strlen(entry->d_name) == 2 && memcmp(entry->d_name, "..", 2) == 0)
                bit = entry->d_type == DT_DIR ? 2 : 16;
            else if (strlen(entry->d_name) == 4 && memcmp(entry->d_name, "file", 4) == 0)
                bit = entry->d_type == DT_REG && entry->d_ino == file ? 4 : 16;
            else if (strlen(entry->d_name) == 3 && memcmp(entry->d_name, "sub", 3) == 0)
                bit = entry->d_type == DT_DIR ? 8 : 16;
            found |= found & bit ? 16 : bit; /* twice is wrong as well */
            at += entry->d_reclen;
        }
    }
    return length < 0 ? -1 : found;
}

static int getdents64_lists(void)
{
    struct stat st;
    char room[16];
    int fd;

    CHECK(mkdir(in_scratch("d"), 0755) == 0);
    CHECK(mkdir(in_scratch("d/sub"), 0755) == 0);
    CHECK(make_file("d/file", "x"));
    CHECK(stat(in_scratch("d/file"), &st) == 0);
    CHECK((fd = open(in_scratch("d"), O_RDONLY | O_DIRECTORY)) >= 0);
    CHECK(list(fd, 1024, st.st_ino) == (1 | 2 | 4 | 8));
    CHECK(getdents64(fd, room, sizeof room) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    FAILS(EINVAL, getdents64(fd, room, sizeof room));
    CHECK(list(fd, 32, st.st_ino) == (1 | 2 | 4 | 8));
    CHECK(close(fd) == 0);
    CHECK((fd = open(in_scratch("d/file"), O_RDONLY)) >= 0);
    FAILS(ENOTDIR, getdents64(fd, room, sizeof room));
    CHECK(close(fd) == 0);
    FAILS(EBADF, getdents64(-1, room, sizeof room));
    CHECK(unlink(in_scratch("d/file")) == 0);
    CHECK(rmdir(in_scratch("d/sub")) == 0);
    CHECK(rmdir(in_scratch("d")) == 0);
    return PASSED;
}

/* The path of file number `number` in the directory of the test below. */
static const char *numbered(int number)
{
    char name[] = "d/file00";

    name[6] = (char)('0' + number / 10);
    name[7] = (char)('0' + number % 10);
    return in_scratch(name);
}

/* Names that are neither made nor removed meanwhile are found exactly once, whatever happens to others. */
static int getdents64_while_names_go(void)
{
    static _Alignas(struct dirent64) char records[1024];
    int fd, number, seen = 0;
    ssize_t length, at;

    CHECK(mkdir(in_scratch("d"), 0755) == 0);
    for (number = 0; number < 60; number++) {
        CHECK((fd = open(numbered(number), O_WRONLY | O_CREAT | O_EXCL, 0644)) >= 0);
        CHECK(close(fd) == 0);
    }
    CHECK((fd = open(in_scratch("d"), O_RDONLY | O_DIRECTORY)) >= 0);
    while ((length = getdents64(fd, records, 160)) > 0) {
        for (at = 0; at < length; at += ((struct dirent64 *)(records + at))->d_reclen) {
            const char *name = ((struct dirent64 *)(records + at))->d_name;

            if (strlen(name) != 6)
                continue;
            seen++;
            CHECK(unlink(numbered((name[4] - '0') * 10 + name[5] - '0')) == 0);
        }
    }
    CHECK(length == 0 && seen == 60);
    CHECK(close(fd) == 0);
    CHECK(rmdir(in_scratch("d")) == 0);
    return PASSED;
}

static int unlinked_files_live_while_open(void)
{
    struct stat st;
    char found[4];
    int fd;

    CHECK(make_file("file", "text"));
    CHECK((fd = open(in_scratch("file"), O_RDONLY)) >= 0);
    CHECK(unlink(in_scratch("file")) == 0);
    CHECK(is_gone("file"));
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 4);
    CHECK(read(fd, found, 4) == 4 && memcmp(found, "text", 4) == 0);
    CHECK(close(fd) == 0);
    FAILS(ENOENT, unlink(in_scratch("file")));
    return PASSED;
}

static int unlink_is_for_files(void)
{
    CHECK(mkdir(in_scratch("d"), 0755) == 0);
    CHECK(unlink(in_scratch("d")) == -1);
    CHECK(errno == EISDIR || errno == EPERM); /* Linux; POSIX */
    CHECK(make_file("file", "x"));
    FAILS(ENOTDIR, unlink(in_scratch("file/")));
    CHECK(unlink(in_scratch("file")) == 0);
    CHECK(rmdir(in_scratch("d")) == 0);
    return PASSED;
}

static int rename_files(void)
{
    CHECK(make_file("a", "first"));
    CHECK(rename(in_scratch("a"), in_scratch("b")) == 0);
    CHECK(is_gone("a") && file_is("b", "first"));
    CHECK(make_file("a", "second"));
    CHECK(rename(in_scratch("a"), in_scratch("b")) == 0);
    CHECK(is_gone("a") && file_is("b", "second"));
    CHECK(rename(in_scratch("b"), in_scratch("b")) == 0);
    CHECK(file_is("b", "second"));
    FAILS(ENOENT, rename(in_scratch("a"), in_scratch("c")));
    FAILS(ENOENT, rename(in_scratch("b"), in_scratch("missing/b")));
    FAILS(ENOTDIR, rename(in_scratch("b"), in_scratch("c/")));
    FAILS(ENOTDIR, rename(in_scratch("b"), in_scratch("b/c")));
    CHECK(unlink(in_scratch("b")) == 0);
    return PASSED;
}

static int rename_keeps_open_files(void)
{
    char found[8];
    int fd;

    CHECK(make_file("a", "old"));
    CHECK(make_file("b", "new"));
    CHECK((fd = open(in_scratch("b"), O_RDONLY)) >= 0);
    CHECK(rename(in_scratch("a"), in_scratch("b")) == 0);
    CHECK(read(fd, found, sizeof found) == 3 && memcmp(found, "new", 3) == 0);
    CHECK(close(fd) == 0);
    CHECK(file_is("b", "old"));
    CHECK(unlink(in_scratch("b")) == 0);
    return PASSED;
}

static int rename_directories(void)
{
    struct stat parent, up;

    CHECK(mkdir(in_scratch("a"), 0755) == 0);
    CHECK(mkdir(in_scratch("b"), 0755) == 0);
    CHECK(make_file("a/file", "x"));
    FAILS(ENOTEMPTY, rename(in_scratch("b"), in_scratch("a")));
    FAILS(EINVAL, rename(in_scratch("a"), in_scratch("a/below")));
    FAILS(EISDIR, rename(in_scratch("a/file"), in_scratch("b")));
    FAILS(ENOTDIR, rename(in_scratch("b"), in_scratch("a/file")));
    CHECK(rename(in_scratch("a"), in_scratch("b")) == 0);
    CHECK(is_gone("a") && file_is("b/file", "x"));
    CHECK(mkdir(in_scratch("a"), 0755) == 0);
    CHECK(rename(in_scratch("a"), in_scratch("b/a")) == 0);
    CHECK(stat(in_scratch("b"), &parent) == 0 && stat(in_scratch("b/a/.."), &up) == 0);
    CHECK(parent.st_ino == up.st_ino);
    CHECK(rmdir(in_scratch("b/a")) == 0);
    CHECK(rename(in_scratch("b/file"), in_scratch("file")) == 0);
    CHECK(is_gone("b/file") && file_is("file", "x"));
    CHECK(unlink(in_scratch("file")) == 0);
    CHECK(rmdir(in_scratch("b")) == 0);
    return PASSED;
}
