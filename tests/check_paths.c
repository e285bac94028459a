/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Requests on paths, and those on descriptors that change or tell a file's
 * status.  Paths relative to a wd are check_wd.c's matter. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "run.h"

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

#define GIB ((off_t)1 << 30)

enum { PATH_BUF = 8160 };

/*****************************************************************************
 * Files                                                                     *
 *****************************************************************************/

/* A path in the scratch directory; the last 32 stay valid. */
static char *
path_of (const char *name)
{
  static char *paths[32];
  static int turn;
  char **path = &paths[turn++ % LENGTH (paths)];

  free (*path);
  *path = strdup (scratch_path (name));
  ck_assert_ptr_nonnull (*path);
  return *path;
}

static char *
file_of (const char *name)
{
  char *path = path_of (name);
  write_file (path, "0123456789", 10);
  return path;
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
  ck_assert_int_eq (chdir ("open"), 0);
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
  const struct stat *st = &got_stat;

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

START_TEST (statvfs_tells_what_the_system_tells)
{
  static const char *const paths[] = { "/proc", "/dev", 0 };
  char *fifo = path_of ("fifo");
  int i;

  ck_assert_int_eq (mkfifo (fifo, 0), 0);
  for (i = 0; i < LENGTH (paths); ++i)
    {
      const char *path = paths[i] ? paths[i] : fifo;
      struct statvfs want;
      ck_assert_int_eq (statvfs (path, &want), 0);
      gives (0, eio_statvfs (path, KEEP));
      ck_assert_uint_eq (got_statvfs.f_bsize, want.f_bsize);
      ck_assert_uint_eq (got_statvfs.f_frsize, want.f_frsize);
      ck_assert_uint_eq (got_statvfs.f_blocks, want.f_blocks);
      ck_assert_uint_eq (got_statvfs.f_fsid, want.f_fsid);
      ck_assert_uint_eq (got_statvfs.f_flag, want.f_flag);
      ck_assert_uint_eq (got_statvfs.f_namemax, want.f_namemax);

      memset (&got_statvfs, 0, sizeof got_statvfs);
      if (paths[i])
        gives (0, eio_fstatvfs (open_existing (path, O_RDONLY), KEEP));
      else
        gives (0, eio_fstatvfs (open_existing (scratch (), O_RDONLY), KEEP));
      ck_assert_uint_eq (got_statvfs.f_fsid, want.f_fsid);
      ck_assert_uint_eq (got_statvfs.f_namemax, want.f_namemax);
    }
}
END_TEST

START_TEST (status_goes_to_the_callers_buffer_or_a_malloc_block)
{
  static const int types[] = { EIO_STAT, EIO_LSTAT, EIO_FSTAT, EIO_STATVFS,
                               EIO_FSTATVFS };
  char *path = file_of ("file");
  int fd = open_existing (path, O_RDONLY), i;

  for (i = 0; i < LENGTH (types); ++i)
    {
      union { struct stat st; struct statvfs vfs; } buf;
      eio_req req = { .type = types[i], .int1 = fd, .ptr1 = path };

      gives (0, submit (req));
      ck_assert_ptr_nonnull (got.ptr2);
      ck_assert (got.flags & EIO_FLAG_PTR2_FREE);

      memset (&buf, 0xff, sizeof buf);
      req.ptr2 = &buf;
      gives (0, submit (req));
      ck_assert_ptr_eq (got.ptr2, &buf);
      ck_assert (!(got.flags & EIO_FLAG_PTR2_FREE));
      if (i < 3)
        ck_assert_int_eq (buf.st.st_size, 10);
      else
        ck_assert_uint_eq (buf.vfs.f_namemax, got_statvfs.f_namemax);
    }
}
END_TEST

START_TEST (status_of_bad_descriptors_is_ebadf)
{
  fails (EBADF, eio_fstat (-1, KEEP));
  fails (EBADF, eio_fstatvfs (-1, KEEP));
  fails (EBADF, eio_fchmod (-1, 0600, KEEP));
  fails (EBADF, eio_fchown (-1, (uid_t)-1, (gid_t)-1, KEEP));
  fails (EBADF, eio_futime (-1, 1, 2, KEEP));
  fails (EBADF, eio_futime (-1, -1, -1, KEEP));
}
END_TEST

/*****************************************************************************
 * truncate                                                                  *
 *****************************************************************************/

START_TEST (truncate_shrinks_and_grows)
{
  char *path = file_of ("file"), *link = path_of ("link");
  char buf[20] = "";

  gives (0, eio_truncate (path, 3, KEEP));
  ck_assert_int_eq (status_of (path).st_size, 3);
  gives (0, eio_truncate (path, 6, KEEP));
  ck_assert_int_eq (read (open_existing (path, O_RDONLY), buf, 20), 6);
  ck_assert_int_eq (memcmp (buf, "012\0\0\0", 6), 0);
  gives (0, eio_truncate (path, 5 * GIB, KEEP));
  ck_assert_int_eq (status_of (path).st_size, 5 * GIB);
  ck_assert_int_eq (symlink ("file", link), 0);
  gives (0, eio_truncate (link, 0, KEEP));
  ck_assert_int_eq (status_of (path).st_size, 0);
}
END_TEST

START_TEST (truncate_reports_the_systems_errors)
{
  char *path = file_of ("file"), *link = path_of ("link");

  ck_assert_int_eq (symlink ("missing", link), 0);
  fails (EINVAL, eio_truncate (path, -1, KEEP));
  fails (ENOENT, eio_truncate (path_of ("missing"), 0, KEEP));
  fails (ENOENT, eio_truncate (link, 0, KEEP));
  fails (EISDIR, eio_truncate (scratch (), 0, KEEP));
  ck_assert (!exists (scratch_path ("missing")));
  ck_assert_int_eq (status_of (path).st_size, 10);
}
END_TEST

/* A reader of the FIFO would see a hangup if it had been opened for writing,
 * and without a reader, opening it would wait for one. */
START_TEST (truncate_does_not_open_fifos)
{
  char *path = path_of ("fifo");
  struct pollfd p = { .events = POLLIN };

  ck_assert_int_eq (mkfifo (path, 0666), 0);
  agrees (truncate (path, 0), eio_truncate (path, 0, KEEP));
  p.fd = open_existing (path, O_RDONLY | O_NONBLOCK);
  agrees (truncate (path, 0), eio_truncate (path, 0, KEEP));
  ck_assert_int_eq (poll (&p, 1, 0), 0);
}
END_TEST

START_TEST (truncate_and_statvfs_do_not_open_devices)
{
  agrees (truncate ("/dev/null", 0), eio_truncate ("/dev/null", 0, KEEP));
  agrees (truncate ("/dev/tty", 0), eio_truncate ("/dev/tty", 0, KEEP));
  gives (0, eio_statvfs ("/dev/tty", KEEP));
}
END_TEST

#ifdef __linux__
START_TEST (truncate_and_statvfs_open_nothing)
{
  char *path = file_of ("file"), buf[4096];
  int fd = inotify_init1 (IN_NONBLOCK);

  if (fd < 0)
    return;
  ck_assert_int_ge (inotify_add_watch (fd, path, IN_OPEN | IN_CLOSE), 0);
  gives (0, eio_statvfs (path, KEEP));
  gives (0, eio_truncate (path, 3, KEEP));
  ck_assert_int_eq (read (fd, buf, sizeof buf), -1);
  ck_assert_int_eq (errno, EAGAIN);

  close (open_existing (path, O_RDONLY));
  ck_assert_int_gt (read (fd, buf, sizeof buf), 0);
}
END_TEST
#endif

static void
try_rights (void)
{
  const char *path = "open/file";

  write_file (path, "0123456789", 10);
  ck_assert_int_eq (chmod (path, 0444), 0);
  fails (EACCES, eio_truncate (path, 0, KEEP));
  ck_assert_int_eq (chmod (path, 0222), 0);
  gives (0, eio_truncate (path, 5, KEEP));
  ck_assert_int_eq (chmod (path, 0), 0);
  fails (EACCES, eio_truncate (path, 0, KEEP));
  gives (0, eio_statvfs (path, KEEP));
  gives (0, eio_stat (path, KEEP));
  ck_assert_int_eq (status_of (path).st_size, 5);
  ck_assert_int_eq (unlink (path), 0);
}

START_TEST (truncate_and_statvfs_need_the_systems_rights_only)
{
  as_user (try_rights);
}
END_TEST

/*****************************************************************************
 * utime, futime                                                             *
 *****************************************************************************/

/* What the time is as a double, rounded down to a nanosecond. */
static const struct
{
  eio_tstamp t;
  long long sec;
  long nsec;
} times[] = {
  { 0, 0, 0 },
  { 1.5, 1, 500000000 },
  { 1234567890.123456, 1234567890, 123456001 },
  { 1700000000.999999, 1700000000, 999999046 },
  { 1700000001.0, 1700000001, 0 },
  { 4294967296.25, 4294967296, 250000000 },
  { -1, -1, 0 },
  { -1.5, -2, 500000000 },
  { -0.25, -1, 750000000 },
  { -0.000001, -1, 999999000 },
  { -1e-10, -1, 999999999 },
  { -1e-20, -1, 999999999 },
  { -1000000000.75, -1000000001, 250000000 },
};

/* Rounded down, and by no more than a microsecond; or what the file system
 * makes of the right time. */
static void
expect_time (const struct timespec *ts, int i, const struct timespec *twin)
{
  long low = times[i].nsec < 1000 ? 0 : times[i].nsec - 1000;

  if (twin->tv_sec != times[i].sec || twin->tv_nsec != times[i].nsec)
    ck_assert_int_eq (ts->tv_sec, twin->tv_sec);
  else
    {
      ck_assert_int_eq (ts->tv_sec, times[i].sec);
      ck_assert_int_ge (ts->tv_nsec, low);
      ck_assert_int_le (ts->tv_nsec, times[i].nsec);
    }
}

/* Sets both times, and has the system set what that has to be. */
static void
try_times (int atime, int mtime, int by_fd)
{
  char *path = file_of ("file"), *twin = file_of ("twin");
  struct stat st, want;
  struct timespec ts[2] = { { (time_t)times[atime].sec, times[atime].nsec },
                            { (time_t)times[mtime].sec, times[mtime].nsec } };
  int fd = open_existing (path, O_RDWR);

  if (ts[0].tv_sec != times[atime].sec || ts[1].tv_sec != times[mtime].sec)
    {
      fails (EINVAL, eio_utime (path, times[atime].t, times[mtime].t, KEEP));
      close (fd);
      return;
    }

  ck_assert_int_eq (utimensat (AT_FDCWD, twin, ts, 0), 0);
  if (by_fd)
    gives (0, eio_futime (fd, times[atime].t, times[mtime].t, KEEP));
  else
    gives (0, eio_utime (path, times[atime].t, times[mtime].t, KEEP));

  st = status_of (path);
  want = status_of (twin);
  expect_time (&st.st_atim, atime, &want.st_atim);
  expect_time (&st.st_mtim, mtime, &want.st_mtim);
  close (fd);
}

START_TEST (utime_rounds_down_and_is_as_fine_as_a_double)
{
  int i;

  for (i = 0; i < LENGTH (times); ++i)
    {
      try_times (i, 1, _i);
      try_times (1, i, _i);
      try_times (i, (i + 1) % LENGTH (times), _i);
    }
}
END_TEST

static eio_req *
utime_by (int by_fd, const char *path, int fd, eio_tstamp atime,
          eio_tstamp mtime)
{
  return by_fd ? eio_futime (fd, atime, mtime, KEEP)
               : eio_utime (path, atime, mtime, KEEP);
}

START_TEST (utime_of_both_minus_1_is_now)
{
  char *path = file_of ("file");
  int fd = open_existing (path, O_RDWR);
  time_t before = time (0);
  struct stat st;

  gives (0, utime_by (_i, path, fd, 1, 2));
  ck_assert_int_eq (status_of (path).st_mtime, 2);
  gives (0, utime_by (_i, path, fd, -1, -1));
  st = status_of (path);
  ck_assert_int_ge (st.st_atime, before - 1);
  ck_assert_int_le (st.st_atime, time (0) + 1);
  ck_assert_int_ge (st.st_mtime, before - 1);
  ck_assert_int_le (st.st_mtime, time (0) + 1);
}
END_TEST

START_TEST (utime_of_no_time_fails_and_changes_nothing)
{
  static const eio_tstamp bad[] = { NAN, -NAN, INFINITY, -INFINITY, 1e300,
                                    -1e300, 1e20, -1e20 };
  char *path = file_of ("file");
  int fd = open_existing (path, O_RDWR), i;

  gives (0, utime_by (_i, path, fd, 1, 2));
  for (i = 0; i < LENGTH (bad); ++i)
    {
      fails (EINVAL, utime_by (_i, path, fd, bad[i], 5));
      fails (EINVAL, utime_by (_i, path, fd, 5, bad[i]));
      fails (EINVAL, utime_by (_i, path, fd, -1, bad[i]));
      fails (EINVAL, utime_by (_i, path, fd, bad[i], bad[i]));
    }
  ck_assert_int_eq (status_of (path).st_atime, 1);
  ck_assert_int_eq (status_of (path).st_mtime, 2);
}
END_TEST

START_TEST (utime_follows_links)
{
  char *path = file_of ("file"), *link = path_of ("link");

  ck_assert_int_eq (symlink (path, link), 0);
  gives (0, eio_utime (link, 1, 2, KEEP));
  ck_assert_int_eq (status_of (path).st_mtime, 2);
  ck_assert_int_ne (status_of (link).st_mtime, 2);
}
END_TEST

/* Who may write, may set the times to now, but to nothing else. */
static void
try_times_of_others (void)
{
  int fd = open_existing ("file", O_RDWR);

  gives (0, eio_utime ("file", -1, -1, KEEP));
  gives (0, eio_futime (fd, -1, -1, KEEP));
  fails (EPERM, eio_utime ("file", 1, -1, KEEP));
  fails (EPERM, eio_futime (fd, -1, 1, KEEP));
}

START_TEST (utime_now_needs_the_right_to_write_only)
{
  if (geteuid ())
    return;
  ck_assert_int_eq (chmod (file_of ("file"), 0666), 0);
  as_user (try_times_of_others);
}
END_TEST

/*****************************************************************************
 * chmod, chown                                                              *
 *****************************************************************************/

START_TEST (chmod_sets_the_mode)
{
  static const mode_t modes[] = { 0, 0644, 0777, 01755, 04711, 07777 };
  char *file = file_of ("file"), *twin = file_of ("twin");
  char *link = path_of ("link");
  int fd = open_existing (file, O_RDONLY), i;

  ck_assert_int_eq (symlink (file, link), 0);
  for (i = 0; i < LENGTH (modes); ++i)
    {
      ck_assert_int_eq (chmod (twin, modes[i]), 0);
      gives (0, eio_chmod (link, modes[i], KEEP));
      expect_mode (file, status_of (twin).st_mode);
      ck_assert_int_eq (chmod (file, 0600), 0);
      gives (0, eio_fchmod (fd, modes[i], KEEP));
      expect_mode (file, status_of (twin).st_mode);
    }
  ck_assert (S_ISLNK (status_of (link).st_mode));
}
END_TEST

static void
expect_owner (const char *path, uid_t uid, gid_t gid)
{
  ck_assert_uint_eq (status_of (path).st_uid, uid);
  ck_assert_uint_eq (status_of (path).st_gid, gid);
}

START_TEST (chown_of_minus_1_changes_nothing)
{
  char *path = file_of ("file");
  int fd = open_existing (path, O_RDONLY);
  struct stat st = status_of (path);

  gives (0, eio_chown (path, (uid_t)-1, (gid_t)-1, KEEP));
  gives (0, eio_fchown (fd, (uid_t)-1, (gid_t)-1, KEEP));
  gives (0, eio_chown (path, st.st_uid, (gid_t)-1, KEEP));
  gives (0, eio_fchown (fd, (uid_t)-1, st.st_gid, KEEP));
  expect_owner (path, st.st_uid, st.st_gid);
}
END_TEST

START_TEST (chown_sets_owner_and_group)
{
  char *path = file_of ("file"), *link = path_of ("link");
  int fd = open_existing (path, O_RDONLY);

  if (geteuid ())
    return;
  ck_assert_int_eq (symlink (path, link), 0);
  gives (0, eio_chown (link, 1234, 5678, KEEP));
  expect_owner (path, 1234, 5678);
  expect_owner (link, geteuid (), getegid ());
  gives (0, eio_chown (path, 4321, (gid_t)-1, KEEP));
  expect_owner (path, 4321, 5678);
  gives (0, eio_fchown (fd, (uid_t)-1, 8765, KEEP));
  expect_owner (path, 4321, 8765);
  gives (0, eio_fchown (fd, 4294967290u, 4294967289u, KEEP));
  expect_owner (path, 4294967290u, 4294967289u);
}
END_TEST

static void
try_owners (void)
{
  int fd;

  write_file ("open/file", "", 0);
  fd = open_existing ("open/file", O_RDONLY);
  fails (EPERM, eio_chown ("open/file", 0, (gid_t)-1, KEEP));
  fails (EPERM, eio_fchown (fd, 0, (gid_t)-1, KEEP));
  fails (EPERM, eio_chmod ("/", 0777, KEEP));
  ck_assert_int_eq (unlink ("open/file"), 0);
}

START_TEST (owners_are_changed_by_root_only)
{
  as_user (try_owners);
}
END_TEST

/*****************************************************************************
 * unlink, rmdir, mkdir, mknod                                               *
 *****************************************************************************/

START_TEST (unlink_removes_files_and_links)
{
  char *file = file_of ("file"), *link = path_of ("link");

  ck_assert_int_eq (symlink (file, link), 0);
  gives (0, eio_unlink (link, KEEP));
  ck_assert (!exists (link));
  ck_assert (exists (file));
  gives (0, eio_unlink (file, KEEP));
  ck_assert (!exists (file));
  fails (ENOENT, eio_unlink (file, KEEP));
  ck_assert_int_eq (mkdir (file, 0777), 0);
  agrees (unlink (file), eio_unlink (file, KEEP));
  ck_assert (exists (file));
}
END_TEST

START_TEST (rmdir_removes_empty_directories)
{
  char *file = file_of ("file"), *dir = path_of ("dir");
  char *link = path_of ("link"), *inner = path_of ("dir/inner");

  ck_assert_int_eq (mkdir (dir, 0777), 0);
  ck_assert_int_eq (mkdir (inner, 0777), 0);
  ck_assert_int_eq (symlink (dir, link), 0);
  agrees (rmdir (dir), eio_rmdir (dir, KEEP));
  fails (ENOTDIR, eio_rmdir (file, KEEP));
  fails (ENOTDIR, eio_rmdir (link, KEEP));
  gives (0, eio_rmdir (inner, KEEP));
  ck_assert (!exists (inner));
  ck_assert_int_eq (chdir (dir), 0);
  fails (EINVAL, eio_rmdir (".", KEEP));
  agrees (rename (".", "../new"), eio_rename (".", "../new", KEEP));
  gives (0, eio_rmdir (dir, KEEP));
  ck_assert (!exists (dir));
  ck_assert_int_eq (chdir ("/"), 0);
}
END_TEST

START_TEST (mkdir_makes_directories)
{
  char *dir = path_of ("dir");

  umask (022);
  gives (0, eio_mkdir (dir, 0777, KEEP));
  expect_mode (dir, S_IFDIR | 0755);
  fails (EEXIST, eio_mkdir (dir, 0777, KEEP));
  gives (0, eio_mkdir (path_of ("dir/sub"), 01700, KEEP));
  expect_mode (path_of ("dir/sub"), S_IFDIR | 01700);
  gives (0, eio_mkdir (path_of ("slash/"), 0700, KEEP));
  fails (EEXIST, eio_mkdir (file_of ("file"), 0700, KEEP));
}
END_TEST

START_TEST (mknod_makes_files_and_fifos)
{
  static const mode_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK };
  int i;

  umask (022);
  for (i = 0; i < LENGTH (types); ++i)
    {
      char *path = path_of ("node");
      gives (0, eio_mknod (path, types[i] | 0666, 0, KEEP));
      expect_mode (path, types[i] | 0644);
      fails (EEXIST, eio_mknod (path, types[i] | 0666, 0, KEEP));
      ck_assert_int_eq (unlink (path), 0);
    }
  gives (0, eio_mknod (path_of ("zero"), 0600, 0, KEEP));
  expect_mode (path_of ("zero"), S_IFREG | 0600);
  fails (EINVAL, eio_mknod (path_of ("other"), S_IFMT, 0, KEEP));
}
END_TEST

START_TEST (mknod_makes_devices)
{
  static const struct
  {
    mode_t type;
    unsigned major, minor;
  } devices[] = { { S_IFCHR, 1, 3 }, { S_IFBLK, 7, 250 },
                  { S_IFCHR, 0xabc, 0x12345 } };
  int i;

  for (i = 0; i < LENGTH (devices); ++i)
    {
      dev_t dev = makedev (devices[i].major, devices[i].minor);
      char *path = path_of ("node"), *twin = path_of ("twin");
      if (mknod (twin, devices[i].type | 0600, dev))
        {
          fails (errno, eio_mknod (path, devices[i].type | 0600, dev, KEEP));
          continue;
        }
      gives (0, eio_mknod (path, devices[i].type | 0600, dev, KEEP));
      expect_mode (path, devices[i].type | 0600);
      ck_assert_uint_eq (status_of (path).st_rdev, dev);
      unlink (path);
      unlink (twin);
    }
}
END_TEST

/*****************************************************************************
 * link, symlink, readlink, rename                                           *
 *****************************************************************************/

START_TEST (link_makes_another_name)
{
  char *file = file_of ("file"), *name = path_of ("name");
  char *soft = path_of ("soft"), *soft2 = path_of ("soft2");

  gives (0, eio_link (file, name, KEEP));
  ck_assert_uint_eq (status_of (file).st_nlink, 2);
  ck_assert_uint_eq (status_of (file).st_ino, status_of (name).st_ino);
  fails (EEXIST, eio_link (file, name, KEEP));
  fails (ENOENT, eio_link (path_of ("missing"), path_of ("x"), KEEP));
  agrees (link (scratch (), path_of ("x")),
          eio_link (scratch (), path_of ("x"), KEEP));
  fails (EXDEV, eio_link ("/proc/version", path_of ("x"), KEEP));

  ck_assert_int_eq (symlink ("nowhere", soft), 0);
  gives (0, eio_link (soft, soft2, KEEP));
  ck_assert_uint_eq (status_of (soft).st_ino, status_of (soft2).st_ino);
}
END_TEST

START_TEST (symlink_stores_its_first_path_unchanged)
{
  static const char *const texts[] = { "/", ".", "no/such/file", "//a//b/../",
                                       "with\nnewline", "\377\376" };
  char *link = path_of ("link"), buf[100];
  int i;

  for (i = 0; i < LENGTH (texts); ++i)
    {
      ssize_t n = (ssize_t)strlen (texts[i]);
      gives (0, eio_symlink (texts[i], link, KEEP));
      ck_assert_int_eq (readlink (link, buf, sizeof buf), n);
      ck_assert_int_eq (memcmp (buf, texts[i], (size_t)n), 0);
      fails (EEXIST, eio_symlink (texts[i], link, KEEP));
      ck_assert_int_eq (unlink (link), 0);
    }
}
END_TEST

START_TEST (readlink_gives_the_contents)
{
  static const int lengths[] = { 1, 2, 59, 60, 255, 256, 1023, 4095 };
  char text[PATH_MAX], *link = path_of ("link");
  int i;

  memset (text, 'x', sizeof text);
  for (i = 0; i < LENGTH (lengths); ++i)
    {
      text[lengths[i]] = 0;
      if (!symlink (text, link))
        {
          gives (lengths[i], eio_readlink (link, KEEP));
          ck_assert (got.flags & EIO_FLAG_PTR2_FREE);
          ck_assert_ptr_nonnull (got.ptr2);
          ck_assert_int_eq (
            memcmp (got.ptr2, text, (size_t)lengths[i]), 0);
          ck_assert_int_eq (unlink (link), 0);
        }
      text[lengths[i]] = 'x';
    }
}
END_TEST

START_TEST (readlink_fills_the_callers_buffer)
{
  char *buf = malloc (PATH_BUF), *link = path_of ("link");

  memset (buf, '?', PATH_BUF);
  ck_assert_int_eq (symlink ("contents", link), 0);
  gives (8, submit ((eio_req) { .type = EIO_READLINK, .ptr1 = link,
                                .ptr2 = buf }));
  ck_assert_ptr_eq (got.ptr2, buf);
  ck_assert (!(got.flags & EIO_FLAG_PTR2_FREE));
  ck_assert_int_eq (memcmp (buf, "contents", 8), 0);
  ck_assert_int_eq (buf[9], '?');
  free (buf);
}
END_TEST

START_TEST (readlink_reports_the_systems_errors)
{
  fails (EINVAL, eio_readlink (file_of ("file"), KEEP));
  fails (EINVAL, eio_readlink (scratch (), KEEP));
  fails (ENOENT, eio_readlink (path_of ("missing"), KEEP));
}
END_TEST

START_TEST (rename_moves_and_replaces)
{
  char *a = file_of ("a"), *b = file_of ("b"), *c = path_of ("c");
  ino_t inode = status_of (a).st_ino;

  gives (0, eio_rename (a, b, KEEP));
  ck_assert (!exists (a));
  ck_assert_uint_eq (status_of (b).st_ino, inode);
  gives (0, eio_rename (b, c, KEEP));
  ck_assert_uint_eq (status_of (c).st_ino, inode);

  ck_assert_int_eq (mkdir (a, 0777), 0);
  agrees (rename (c, a), eio_rename (c, a, KEEP));
  agrees (rename (a, c), eio_rename (a, c, KEEP));
  fails (EINVAL, eio_rename (a, path_of ("a/b"), KEEP));
  fails (ENOENT, eio_rename (path_of ("missing"), b, KEEP));
}
END_TEST

static eio_req *
rename_by (char *path, char *new_path, long flags)
{
  return submit ((eio_req) { .type = EIO_RENAME, .ptr1 = path,
                             .ptr2 = new_path, .int2 = flags });
}

#ifdef SYS_renameat2
/* Every call is made twice, by the system and by the library, on pairs of
 * files of the same kind. */
START_TEST (rename_flags_do_what_the_system_does)
{
  static const long flags[] = {
    0, EIO_RENAME_NOREPLACE, EIO_RENAME_EXCHANGE, EIO_RENAME_WHITEOUT,
    EIO_RENAME_NOREPLACE | EIO_RENAME_EXCHANGE, 1 << 20,
  };
  int i, both;

  for (i = 0; i < LENGTH (flags); ++i)
    for (both = 0; both < 2; ++both)
      {
        char *a = file_of ("a"), *b = path_of ("b");
        char *a2 = file_of ("a2"), *b2 = path_of ("b2");
        ino_t inode = status_of (a).st_ino, inode2 = status_of (a2).st_ino;

        if (both)
          {
            write_file (b, "", 0);
            write_file (b2, "", 0);
          }
        agrees (syscall (SYS_renameat2, AT_FDCWD, a2, AT_FDCWD, b2,
                         (unsigned)flags[i]), rename_by (a, b, flags[i]));
        ck_assert_int_eq (exists (a), exists (a2));
        ck_assert_int_eq (exists (b), exists (b2));
        ck_assert_int_eq (exists (a) && status_of (a).st_ino == inode,
                          exists (a2) && status_of (a2).st_ino == inode2);
        ck_assert_int_eq (exists (b) && status_of (b).st_ino == inode,
                          exists (b2) && status_of (b2).st_ino == inode2);
        unlink (a);
        unlink (a2);
        unlink (b);
        unlink (b2);
      }
}
END_TEST

START_TEST (rename_noreplace_and_exchange_work)
{
  char *a = file_of ("a"), *b = file_of ("b");
  ino_t inode_a = status_of (a).st_ino, inode_b = status_of (b).st_ino;

  if (syscall (SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 1) != -1
      || errno != EEXIST)
    return; /* the file system cannot */
  fails (EEXIST, rename_by (a, b, EIO_RENAME_NOREPLACE));
  ck_assert_uint_eq (status_of (b).st_ino, inode_b);
  gives (0, rename_by (a, b, EIO_RENAME_EXCHANGE));
  ck_assert_uint_eq (status_of (a).st_ino, inode_b);
  ck_assert_uint_eq (status_of (b).st_ino, inode_a);
  gives (0, rename_by (a, path_of ("c"), EIO_RENAME_NOREPLACE));
  fails (ENOENT, rename_by (a, b, EIO_RENAME_EXCHANGE));
}
END_TEST
#endif

/*****************************************************************************
 * Suite                                                                     *
 *****************************************************************************/

static void
add_general_tests (Suite *suite)
{
  TCase *tc = add_case (suite, "all", 60, host_start, 0);
  tcase_add_test (tc, null_paths_are_einval);
  tcase_add_test (tc, empty_paths_are_enoent);
  tcase_add_test (tc, missing_directories_are_enoent);
  tcase_add_test (tc, files_in_place_of_directories_are_enotdir);
  tcase_add_test (tc, endless_links_are_eloop);
  tcase_add_test (tc, long_paths_are_enametoolong);
  tcase_add_test (tc, the_longest_paths_work);
  tcase_add_test (tc, unsearchable_directories_are_eacces);
  tcase_add_test (tc, umask_is_that_of_the_execution);
  tcase_add_test (tc, current_directory_is_that_of_the_execution);
  tcase_add_test (tc, credentials_are_those_of_the_execution);

  tc = add_case (suite, "open", 60, host_start, 0);
  tcase_add_test (tc, open_passes_flags_on);
  tcase_add_test (tc, open_passes_the_mode_on);
  tcase_add_test (tc, open_reports_the_systems_errors);
}

static void
add_status_tests (Suite *suite)
{
  TCase *tc = add_case (suite, "status", 60, host_start, 0);
  tcase_add_test (tc, stat_follows_links_and_lstat_does_not);
  tcase_add_test (tc, statvfs_tells_what_the_system_tells);
  tcase_add_test (tc, status_goes_to_the_callers_buffer_or_a_malloc_block);
  tcase_add_test (tc, status_of_bad_descriptors_is_ebadf);

  tc = add_case (suite, "truncate", 60, host_start, 0);
  tcase_add_test (tc, truncate_shrinks_and_grows);
  tcase_add_test (tc, truncate_reports_the_systems_errors);
  tcase_add_test (tc, truncate_does_not_open_fifos);
  tcase_add_test (tc, truncate_and_statvfs_do_not_open_devices);
#ifdef __linux__
  tcase_add_test (tc, truncate_and_statvfs_open_nothing);
#endif
  tcase_add_test (tc, truncate_and_statvfs_need_the_systems_rights_only);

  tc = add_case (suite, "utime", 60, host_start, 0);
  tcase_add_loop_test (tc, utime_rounds_down_and_is_as_fine_as_a_double, 0,
                       2);
  tcase_add_loop_test (tc, utime_of_both_minus_1_is_now, 0, 2);
  tcase_add_loop_test (tc, utime_of_no_time_fails_and_changes_nothing, 0, 2);
  tcase_add_test (tc, utime_follows_links);
  tcase_add_test (tc, utime_now_needs_the_right_to_write_only);

  tc = add_case (suite, "chmod, chown", 60, host_start, 0);
  tcase_add_test (tc, chmod_sets_the_mode);
  tcase_add_test (tc, chown_of_minus_1_changes_nothing);
  tcase_add_test (tc, chown_sets_owner_and_group);
  tcase_add_test (tc, owners_are_changed_by_root_only);
}

static void
add_name_tests (Suite *suite)
{
  TCase *tc = add_case (suite, "names", 60, host_start, 0);
  tcase_add_test (tc, unlink_removes_files_and_links);
  tcase_add_test (tc, rmdir_removes_empty_directories);
  tcase_add_test (tc, mkdir_makes_directories);
  tcase_add_test (tc, mknod_makes_files_and_fifos);
  tcase_add_test (tc, mknod_makes_devices);
  tcase_add_test (tc, link_makes_another_name);
  tcase_add_test (tc, symlink_stores_its_first_path_unchanged);
  tcase_add_test (tc, readlink_gives_the_contents);
  tcase_add_test (tc, readlink_fills_the_callers_buffer);
  tcase_add_test (tc, readlink_reports_the_systems_errors);
  tcase_add_test (tc, rename_moves_and_replaces);
#ifdef SYS_renameat2
  tcase_add_test (tc, rename_flags_do_what_the_system_does);
  tcase_add_test (tc, rename_noreplace_and_exchange_work);
#endif
}

int
main (void)
{
  Suite *suite = suite_create ("paths");
  add_general_tests (suite);
  add_status_tests (suite);
  add_name_tests (suite);
  return run_suite (suite);
}
