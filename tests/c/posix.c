/* posix: every call of the shim from C, held against what POSIX says of it.
 *
 * The same file is compiled for Parley and for the host's own Linux (`cc tests/c/posix.c`): what fails there is a
 * mistake of this file, what fails only here is a mistake of Parley. It uses nothing but system calls, so that a
 * failure has one suspect. Run it with a directory that does not exist yet; it is made, worked in, and removed.
 *
 * Output: `ok NAME`, `FAIL NAME: why` or `skip NAME: why` for each test, then the totals; the exit status is 1 if
 * anything failed.
 */

#define _GNU_SOURCE /* getdents64 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "posix/check.h"
#include "posix/scratch.h"
#include "posix/open.h"
#include "posix/data.h"
#include "posix/names.h"
#include "posix/descriptors.h"
#include "posix/time.h"
#include "posix/process.h"

#define TEST(name) { #name, name }

static const struct {
    const char *name;
    test_function *run;
} tests[] = {
    TEST(open_creates),
    TEST(open_takes_the_lowest_descriptor),
    TEST(open_truncates),
    TEST(open_appends),
    TEST(open_directories),
    TEST(paths_that_are_too_long),
    TEST(paths_that_are_odd),
    TEST(close_twice),
    TEST(success_leaves_errno_alone),
    TEST(read_what_was_written),
    TEST(read_and_write_nothing),
    TEST(large_transfers),
    TEST(access_modes),
    TEST(bad_buffers),
    TEST(pread_and_pwrite_leave_the_offset),
    TEST(lseek_moves),
    TEST(holes_read_as_zeros),
    TEST(each_open_has_its_offset),
    TEST(devices),
    TEST(stat_describes_a_file),
    TEST(stat_describes_others),
    TEST(stat_fails),
    TEST(mkdir_and_rmdir),
    TEST(removed_directories_are_empty),
    TEST(getdents64_lists),
    TEST(getdents64_while_names_go),
    TEST(unlinked_files_live_while_open),
    TEST(unlink_is_for_files),
    TEST(rename_files),
    TEST(rename_keeps_open_files),
    TEST(rename_directories),
    TEST(dup_shares_the_offset),
    TEST(dup2_replaces),
    TEST(output_is_redirected),
    TEST(descriptors_run_out),
    TEST(poll_says_what_is_ready),
    TEST(poll_fails),
    TEST(clock_gettime_clocks),
    TEST(clocks_agree),
    TEST(file_times_are_now),
    TEST(nanosleep_sleeps),
    TEST(nanosleep_fails),
    TEST(process_ids),
    TEST(sched_yield_returns),
    TEST(floating_point_works),
};

/* Writes what was said, as a line. */
static void print_line(void)
{
    size_t at = 0;
    ssize_t count;

    why[why_length++] = '\n';
    while (at < why_length && (count = write(STDOUT_FILENO, why + at, why_length - at)) > 0)
        at += (size_t)count;
    why_length = 0;
}

static int run(size_t index)
{
    static char reason[sizeof why];
    static const char *const words[] = { "FAIL ", "ok ", "skip " };
    int verdict = tests[index].run();

    memcpy(reason, why, why_length);
    reason[why_length] = '\0';
    why_length = 0;
    say(words[verdict]);
    say(tests[index].name);
    if (verdict != PASSED) {
        say(": ");
        say(reason);
    }
    print_line();
    return verdict;
}

int main(int argc, char **argv)
{
    const size_t count = sizeof tests / sizeof *tests;
    long totals[] = { 0, 0, 0 };
    size_t index;

    if (argc != 2 || argv[2] != NULL || strlen(argv[1]) > 200) {
        say("usage: posix DIRECTORY, which does not exist yet");
        print_line();
        return 2;
    }
    scratch = argv[1];
    if (mkdir(scratch, 0755) != 0) {
        failed(__LINE__, "cannot make the scratch directory");
        print_line();
        return 2;
    }
    for (index = 0; index < count; index++)
        totals[run(index)]++;
    say("posix-c: ");
    say_number(totals[PASSED]);
    say(" passed, ");
    say_number(totals[FAILED]);
    say(" failed, ");
    say_number(totals[SKIPPED]);
    say(" skipped");
    print_line();
    return rmdir(scratch) != 0 || totals[FAILED] > 0;
}
