/* Paths and files in the scratch directory. */

static const char *scratch;

/* The path of a name in the scratch directory; good until the fourth call after this one. */
static const char *in_scratch(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    size_t length = strlen(scratch), more = strlen(name);

    memcpy(path, scratch, length);
    path[length] = '/';
    memcpy(path + length + 1, name, more + 1);
    return path;
}

/* Makes a file with these contents; 1 if that went well. */
static int make_file(const char *name, const char *contents)
{
    ssize_t length = (ssize_t)strlen(contents);
    int fd = open(in_scratch(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0)
        return 0;
    return (write(fd, contents, (size_t)length) == length) & (close(fd) == 0);
}

/* Whether the file has exactly these contents. */
static int file_is(const char *name, const char *contents)
{
    char found[128];
    int fd = open(in_scratch(name), O_RDONLY);
    ssize_t length = read(fd, found, sizeof found);

    if (fd < 0 || close(fd) != 0)
        return 0;
    return length == (ssize_t)strlen(contents) && memcmp(found, contents, (size_t)length) == 0;
}

/* Whether the name is not there. */
static int is_gone(const char *name)
{
    struct stat st;

    return stat(in_scratch(name), &st) == -1 && errno == ENOENT;
}

/* A name of `length` letters in the scratch directory. */
static const char *long_name(size_t length)
{
    static char name[6000];

    memset(name, 'n', length);
    name[length] = '\0';
    return name;
}
