/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Requests on paths, and those on descriptors that change or tell a file's
 * status.  Paths relative to a wd are check_wd.c's matter. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
# include <sys/inotify.h>
#endif

#define LENGTH(array) ((int)(sizeof (array) / sizeof *(array)))
#define GIB ((off_t)1 << 30)

enum { NOBODY = 65534, PATH_BUF = 8160 };

/*****************************************************************************
 * Running one request                                                       *
 *****************************************************************************/

/* The last request as its finish saw it.  Its buffers are ours until the
 * next one. */
static eio_req got;

static int
keep (eio_req *req)
{
  got = *req;
  req->flags &= (unsigned char)~(EIO_FLAG_PTR1_FREE | EIO_FLAG_PTR2_FREE);
  return 0;
}

#define KEEP EIO_PRI_DEFAULT, keep, 0

static eio_ssize_t
run (eio_req *req)
{
  if (got.flags & EIO_FLAG_PTR2_FREE)
    free (got.ptr2);
  memset (&got, 0, sizeof got);

  ck_assert_ptr_nonnull (req);
  host_drain ();
  ck_assert_msg (got.finish == keep, "finish was not called");
  return got.result;
}

static eio_req *
submit (eio_req req)
{
  static eio_req mine;
  mine = req;
  mine.finish = keep;
  eio_submit (&mine);
  return &mine;
}

static void
expect (int line, const char *call, eio_ssize_t result, long long want,
        int error)
{
  ck_assert_msg (result == want && got.errorno == error,
                 "line %d: %s: result %lld, errno %d (%s); not %lld, %d (%s)",
                 line, call, (long long)result, got.errorno,
                 strerror (got.errorno), want, error, strerror (error));
}

/* The request succeeds with this result, or fails with this errno. */
#define gives(want, ...) \
  expect (__LINE__, #__VA_ARGS__, run (__VA_ARGS__), want, 0)
#define fails(error, ...) \
  expect (__LINE__, #__VA_ARGS__, run (__VA_ARGS__), -1, error)

/* The request does what the system call, made here and now, does. */
#define agrees(call, ...) \
  do { \
    long long res_ = (errno = 0, (long long)(call)); \
    int errno_ = res_ == -1 ? errno : 0; \
    expect (__LINE__, #__VA_ARGS__, run (__VA_ARGS__), res_, errno_); \
  } while (0)

/* Runs a test as an ordinary user, who may go through the scratch directory
 * and make files in its directory "open". */
static void
as_user (void (*test) (void))
{
  int status;
  pid_t pid;

  chmod (scratch (), 0755);
  mkdir (scratch_path ("open"), 0777);
  chmod (scratch_path ("open"), 0777);
  if (geteuid ())
    {
      test ();
      return;
    }

  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      if (setgroups (0, 0) || setgid (NOBODY) || setuid (NOBODY))
        _exit (99);
      host_start ();
      test ();
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
}

/*****************************************************************************
 * Files                                                                     *
 *****************************************************************************/

/* A path in the scratch directory that stays valid. */
static char *
path_of (const char *name)
{
  char *path = strdup (scratch_path (name));
  ck_assert_ptr_nonnull (path);
  return path;
}

static char *
file_of (const char *name)
{
  char *path = path_of (name);
  write_file (path, "0123456789", 10);
  return path;
}

static struct stat
status_of (const char *path)
{
  struct stat st;
  ck_assert_msg (!lstat (path, &st), "%s: %s", path, strerror (errno));
  return st;
}

static int
exists (const char *path)
{
  struct stat st;
  return !lstat (path, &st);
}

static void
expect_mode (const char *path, mode_t mode)
{
  ck_assert_uint_eq (status_of (path).st_mode, mode);
}

static int
open_existing (const char *path, int flags)
{
  int fd = open (path, flags);
  ck_assert_msg (fd >= 0, "%s: %s", path, strerror (errno));
  return fd;
}

/* A path of this length that means the same as a shorter one. */
static char *
padded_path (const char *path, size_t length)
{
  static char buf[2 * PATH_MAX];
  size_t n = strlen (path), i;

  ck_assert_uint_lt (length, sizeof buf);
  for (i = 0; i + n < length; ++i)
    buf[i] = '/';
  memcpy (buf + i, path, n + 1);
  return buf;
}

/*****************************************************************************
 * What holds for all of them                                                *
 *****************************************************************************/

/* One of each type, but for the paths: the first one is to be wrong in a
 * moment.  The second one is good. */
static const eio_req path_requests[] = {
  { .type = EIO_WD_OPEN },
  { .type = EIO_REALPATH },
  { .type = EIO_READDIR, .int1 = EIO_READDIR_DENTS },
  { .type = EIO_OPEN, .int1 = O_RDONLY },
  { .type = EIO_OPEN, .int1 = O_RDWR | O_CREAT, .int2 = 0600 },
  { .type = EIO_STAT },
  { .type = EIO_LSTAT },
  { .type = EIO_STATVFS },
  { .type = EIO_TRUNCATE },
  { .type = EIO_UTIME, .nv1 = 1, .nv2 = 2 },
  { .type = EIO_UTIME, .nv1 = -1, .nv2 = -1 },
  { .type = EIO_CHMOD, .int2 = 0600 },
  { .type = EIO_CHOWN, .int2 = -1, .int3 = -1 },
  { .type = EIO_UNLINK },
  { .type = EIO_RMDIR },
  { .type = EIO_MKDIR, .int2 = 0700 },
  { .type = EIO_MKNOD, .int2 = S_IFREG | 0600 },
  { .type = EIO_READLINK },
  { .type = EIO_SLURP },
  { .type = EIO_RENAME, .ptr2 = "new" },
  { .type = EIO_RENAME, .ptr2 = "new", .int2 = EIO_RENAME_NOREPLACE },
  { .type = EIO_LINK, .ptr2 = "new" },
};

/* And those where it is the second one that is to be wrong. */
static const eio_req path2_requests[] = {
  { .type = EIO_RENAME, .ptr1 = "file" },
  { .type = EIO_RENAME, .ptr1 = "file", .int2 = EIO_RENAME_NOREPLACE },
  { .type = EIO_LINK, .ptr1 = "file" },
  { .type = EIO_SYMLINK, .ptr1 = "file" },
};

static void
all_fail (int error, const char *path)
{
  int i;

  for (i = 0; i < LENGTH (path_requests); ++i)
    {
      eio_req req = path_requests[i];
      req.ptr1 = (char *)path;
      run (submit (req));
      ck_assert_msg (got.result == -1 && got.errorno == error,
                     "[%d], type %d, \"%.50s\": %ld, %s; not %s", i, req.type,
                     path ? path : "(null)", (long)got.result,
                     strerror (got.errorno), strerror (error));
      ck_assert (req.type != EIO_WD_OPEN || got.wd == EIO_INVALID_WD);
    }
}

static void
all_second_fail (int error, const char *path)
{
  int i;

  for (i = 0; i < LENGTH (path2_requests); ++i)
    {
      eio_req req = path2_requests[i];
      req.ptr2 = (char *)path;
      run (submit (req));
      ck_assert_msg (got.result == -1 && got.errorno == error,
                     "[%d], type %d, \"%.50s\": %ld, %s; not %s", i, req.type,
                     path ? path : "(null)", (long)got.result,
                     strerror (got.errorno), strerror (error));
    }
}

/* The current directory is the scratch directory, with one file. */
static void
enter_scratch (void)
{
  ck_assert_int_eq (chdir (scratch ()), 0);
  write_file ("file", "0123456789", 10);
}

START_TEST (null_paths_are_einval)
{
  enter_scratch ();
  all_fail (EINVAL, 0);
  all_second_fail (EINVAL, 0);
  fails (EINVAL, submit ((eio_req) { .type = EIO_SYMLINK, .ptr2 = "new" }));
  ck_assert (!exists ("new"));
}
END_TEST

START_TEST (empty_paths_are_enoent)
{
  enter_scratch ();
  all_fail (ENOENT, "");
  all_second_fail (ENOENT, "");
  fails (ENOENT, submit ((eio_req) { .type = EIO_SYMLINK, .ptr1 = "",
                                     .ptr2 = "new" }));
}
END_TEST

START_TEST (missing_directories_are_enoent)
{
  enter_scratch ();
  all_fail (ENOENT, "missing/x");
  all_second_fail (ENOENT, "missing/x");
}
END_TEST

START_TEST (files_in_place_of_directories_are_enotdir)
{
  enter_scratch ();
  all_fail (ENOTDIR, "file/x");
  all_second_fail (ENOTDIR, "file/x");
}
END_TEST

START_TEST (endless_links_are_eloop)
{
  enter_scratch ();
  ck_assert_int_eq (symlink ("loop", "loop"), 0);
  all_fail (ELOOP, "loop/x");
  all_second_fail (ELOOP, "loop/x");
}
END_TEST

START_TEST (long_paths_are_enametoolong)
{
  char name[300];

  enter_scratch ();
  memset (name, 'x', 299);
  name[299] = 0;
  all_fail (ENAMETOOLONG, name);
  all_second_fail (ENAMETOOLONG, name);
  all_fail (ENAMETOOLONG, padded_path ("/tmp/x", PATH_MAX));
  all_second_fail (ENAMETOOLONG, padded_path ("/tmp/x", PATH_MAX));
  all_fail (ENAMETOOLONG, padded_path ("/tmp/x", 2 * PATH_MAX - 1));
  all_second_fail (ENAMETOOLONG, padded_path ("/tmp/x", 2 * PATH_MAX - 1));
  fails (ENAMETOOLONG, eio_symlink (padded_path ("/", PATH_MAX), "new", KEEP));
}
END_TEST

START_TEST (the_longest_paths_work)
{
  char *path = file_of ("file"), *padded = padded_path (path, PATH_MAX - 1);

  gives (0, eio_stat (padded, KEEP));
  gives (0, eio_lstat (padded, KEEP));
  gives (0, eio_statvfs (padded, KEEP));
  gives (0, eio_truncate (padded, 5, KEEP));
  gives (0, eio_chmod (padded, 0600, KEEP));
  gives (5, eio_slurp (padded, 0, 0, 0, KEEP));
  gives ((eio_ssize_t)strlen (path), eio_realpath (padded, KEEP));
  gives (0, eio_unlink (padded, KEEP));
  ck_assert (!exists (path));
}
END_TEST

static void
try_unsearchable (void)
{
  ck_assert_int_eq (chdir (scratch_path ("open")), 0);
  write_file ("file", "x", 1);
  ck_assert_int_eq (mkdir ("closed", 0700), 0);
  ck_assert_int_eq (chmod ("closed", 0), 0);
  all_fail (EACCES, "closed/x");
  all_second_fail (EACCES, "closed/x");
  ck_assert_int_eq (rmdir ("closed"), 0);
}

START_TEST (unsearchable_directories_are_eacces)
{
  as_user (try_unsearchable);
}
END_TEST

START_TEST (umask_is_that_of_the_execution)
{
  eio_req *req;

  umask (0);
  eio_set_max_parallel (0);
  req = eio_mkdir (path_of ("dir"), 0777, KEEP);
  eio_mknod (path_of ("node"), S_IFREG | 0666, 0, 0, 0, 0);
  eio_open (path_of ("file"), O_WRONLY | O_CREAT, 0666, 0, 0, 0);
  umask (027);
  eio_set_min_parallel (1);
  gives (0, req);
  expect_mode (scratch_path ("dir"), S_IFDIR | 0750);
  expect_mode (scratch_path ("node"), S_IFREG | 0640);
  expect_mode (scratch_path ("file"), S_IFREG | 0640);
}
END_TEST

START_TEST (current_directory_is_that_of_the_execution)
{
  eio_req *req;

  ck_assert_int_eq (mkdir (scratch_path ("a"), 0777), 0);
  ck_assert_int_eq (mkdir (scratch_path ("b"), 0777), 0);
  ck_assert_int_eq (chdir (scratch_path ("a")), 0);
  eio_set_max_parallel (0);
  req = eio_mkdir ("made", 0777, KEEP);
  ck_assert_int_eq (chdir (scratch_path ("b")), 0);
  eio_set_min_parallel (1);
  gives (0, req);
  ck_assert (!exists (scratch_path ("a/made")));
  ck_assert (exists (scratch_path ("b/made")));
  ck_assert_int_eq (chdir ("/"), 0);
}
END_TEST

START_TEST (credentials_are_those_of_the_execution)
{
  char *path = file_of ("private");
  eio_req *req;

  if (geteuid ())
    return;
  ck_assert_int_eq (chmod (scratch (), 0755), 0);
  ck_assert_int_eq (chmod (path, 0600), 0);
  eio_set_max_parallel (0);
  req = eio_open (path, O_RDONLY, 0, KEEP);
  ck_assert_int_eq (seteuid (NOBODY), 0);
  eio_set_min_parallel (1);
  fails (EACCES, req);
  ck_assert_int_eq (seteuid (0), 0);
  ck_assert_int_ge (run (eio_open (path, O_RDONLY, 0, KEEP)), 0);
}
END_TEST

/*****************************************************************************
 * open                                                                      *
 *****************************************************************************/

/* Opens, checks the status flags, and returns the descriptor. */
static int
opens (const char *path, int flags, mode_t mode)
{
  int fd = (int)run (eio_open (path, flags, mode, KEEP));
  ck_assert_msg (fd >= 0, "%s", strerror (got.errorno));
  ck_assert_int_eq (got.errorno, 0);
  ck_assert_int_eq (fcntl (fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
                    flags & (O_ACCMODE | O_APPEND | O_NONBLOCK));
  ck_assert_int_eq (fcntl (fd, F_GETFD), flags & O_CLOEXEC ? FD_CLOEXEC : 0);
  return fd;
}

START_TEST (open_passes_flags_on)
{
  char *path = file_of ("file");
  int fd = opens (path, O_RDONLY, 0);

  ck_assert_uint_eq (status_of (path).st_size, 10);
  close (fd);
  close (opens (path, O_WRONLY | O_APPEND, 0));
  close (opens (path, O_RDWR | O_CLOEXEC | O_NONBLOCK, 0));
  close (opens (scratch (), O_RDONLY | O_DIRECTORY, 0));
  close (opens (path, O_WRONLY | O_TRUNC, 0));
  ck_assert_uint_eq (status_of (path).st_size, 0);
}
END_TEST

START_TEST (open_passes_the_mode_on)
{
  static const mode_t modes[] = { 0, 0400, 0640, 0777, 01644, 04755 };
  int i;

  umask (0);
  for (i = 0; i < LENGTH (modes); ++i)
    {
      char *path = path_of ("file");
      close (opens (path, O_RDWR | O_CREAT | O_EXCL, modes[i]));
      expect_mode (path, S_IFREG | modes[i]);
      fails (EEXIST, eio_open (path, O_RDWR | O_CREAT | O_EXCL, 0, KEEP));
      ck_assert_int_eq (unlink (path), 0);
    }
}
END_TEST

START_TEST (open_reports_the_systems_errors)
{
  char *file = file_of ("file"), *link = path_of ("link");

  ck_assert_int_eq (symlink (file, link), 0);
  fails (ENOENT, eio_open (path_of ("missing"), O_RDONLY, 0, KEEP));
  fails (EISDIR, eio_open (scratch (), O_WRONLY, 0, KEEP));
  fails (ENOTDIR, eio_open (file, O_RDONLY | O_DIRECTORY, 0, KEEP));
  fails (ELOOP, eio_open (link, O_RDONLY | O_NOFOLLOW, 0, KEEP));
  ck_assert_int_eq (mkfifo (path_of ("fifo"), 0666), 0);
  fails (ENXIO, eio_open (path_of ("fifo"), O_WRONLY | O_NONBLOCK, 0, KEEP));
}
END_TEST

/*****************************************************************************
 * stat, lstat, fstat, statvfs, fstatvfs                                     *
 *****************************************************************************/

static void
expect_stat (const struct stat *want)
{
  const struct stat *st = EIO_STAT_BUF (&got);

  ck_assert_ptr_nonnull (st);
  ck_assert_uint_eq (st->st_dev, want->st_dev);
  ck_assert_uint_eq (st->st_ino, want->st_ino);
  ck_assert_uint_eq (st->st_mode, want->st_mode);
  ck_assert_uint_eq (st->st_nlink, want->st_nlink);
  ck_assert_uint_eq (st->st_uid, want->st_uid);
  ck_assert_uint_eq (st->st_gid, want->st_gid);
  ck_assert_uint_eq (st->st_rdev, want->st_rdev);
  ck_assert_int_eq (st->st_size, want->st_size);
  ck_assert_int_eq (st->st_blocks, want->st_blocks);
  ck_assert_int_eq (st->st_blksize, want->st_blksize);
  ck_assert_int_eq (st->st_mtim.tv_sec, want->st_mtim.tv_sec);
  ck_assert_int_eq (st->st_mtim.tv_nsec, want->st_mtim.tv_nsec);
  ck_assert_int_eq (st->st_ctim.tv_nsec, want->st_ctim.tv_nsec);
}

START_TEST (stat_follows_links_and_lstat_does_not)
{
  char *file = file_of ("file"), *link = path_of ("link");
  struct stat of_file, of_link;

  ck_assert_int_eq (symlink (file, link), 0);
  of_file = status_of (file);
  of_link = status_of (link);

  gives (0, eio_stat (file, KEEP));
  ck_assert (got.flags & EIO_FLAG_PTR2_FREE
             || EIO_STAT_BUF (&got)); /* may be the request's own */
  expect_stat (&of_file);
  gives (0, eio_lstat (file, KEEP));
  expect_stat (&of_file);
  gives (0, eio_stat (link, KEEP));
  expect_stat (&of_file);
  gives (0, eio_lstat (link, KEEP));
  expect_stat (&of_link);
  gives (0, eio_fstat (open_existing (file, O_WRONLY), KEEP));
  expect_stat (&of_file);
}
END_TEST
