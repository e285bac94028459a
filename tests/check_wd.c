/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Working directories: opening and closing them, and every type of request
 * on paths relative to one. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
# include <sys/inotify.h>
#endif

/*****************************************************************************
 * Files and directories                                                     *
 *****************************************************************************/

static int
wd_fd (eio_wd wd)
{
  return *(int *)wd; /* the first member, which embedders read */
}

static struct stat
status_at (int dir, const char *path)
{
  struct stat st;
  ck_assert_msg (!fstatat (dir, path, &st, AT_SYMLINK_NOFOLLOW), "%s: %s",
                 path, strerror (errno));
  return st;
}

static int
is_open (int fd)
{
  return fcntl (fd, F_GETFD) != -1;
}

static void
expect_same (struct stat a, struct stat b)
{
  ck_assert_uint_eq (a.st_dev, b.st_dev);
  ck_assert_uint_eq (a.st_ino, b.st_ino);
}

static void
make_dir (const char *path)
{
  ck_assert_msg (!mkdir (path, 0777), "%s: %s", path, strerror (errno));
}

/* A directory with a file of that many bytes, a link to it, and another
 * directory with one file. */
static void
make_tree (const char *path, size_t size)
{
  static const char digits[] = "0123456789";
  char *cwd = getcwd (0, 0);

  make_dir (path);
  ck_assert_int_eq (chdir (path), 0);
  write_file ("file", digits, size);
  ck_assert_int_eq (symlink ("file", "link"), 0);
  make_dir ("sub");
  write_file ("sub/x", "", 0);
  ck_assert_int_eq (chdir (cwd), 0);
  free (cwd);
}

static void
check_wd (eio_wd wd, const char *path)
{
  struct stat st;

  ck_assert_ptr_ne (wd, EIO_INVALID_WD);
  ck_assert_ptr_ne (wd, EIO_CWD);
  ck_assert_int_gt (wd_fd (wd), 0);
  ck_assert_int_eq (stat (path, &st), 0);
  expect_same (status_at (wd_fd (wd), "."), st);
}

static eio_wd
open_wd (const char *path)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, path);
  check_wd (wd, path);
  return wd;
}

/* All tests run in the scratch directory; its canonical path is kept. */
static char base[PATH_MAX];

static void
start (void)
{
  host_start ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  ck_assert_ptr_nonnull (getcwd (base, sizeof base));
}

/*****************************************************************************
 * wd_open, wd_close                                                         *
 *****************************************************************************/

START_TEST (wd_open_gives_the_directory_and_wd_close_closes_it)
{
  int fds, fd;
  eio_wd wd;

  make_dir ("dir");
  ck_assert_int_eq (symlink ("dir", "link"), 0);
  gives (0, eio_nop (KEEP));
  fds = count_fds ();

  gives (0, eio_wd_open (_i ? "link" : "dir", KEEP));
  wd = got.wd;
  check_wd (wd, "dir");
  fd = wd_fd (wd);
  ck_assert_int_eq (count_fds (), fds + 1);

  gives (0, eio_wd_close (wd, KEEP));
  ck_assert (!is_open (fd));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (wd_open_sync_and_wd_close_sync_do_the_same)
{
  int fds, fd;
  eio_wd wd, sub;

  make_tree ("dir", 3);
  fds = count_fds ();
  wd = eio_wd_open_sync (EIO_CWD, "dir");
  check_wd (wd, "dir");
  sub = eio_wd_open_sync (wd, "sub");
  check_wd (sub, "dir/sub");

  fd = wd_fd (wd);
  eio_wd_close_sync (wd);
  ck_assert (!is_open (fd));
  eio_wd_close_sync (sub);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (wd_close_sync_ignores_what_is_no_wd)
{
  int fds = count_fds ();
  eio_wd_close_sync (EIO_CWD);
  eio_wd_close_sync (EIO_INVALID_WD);
  ck_assert_int_eq (count_fds (), fds);
  ck_assert (is_open (host_fd ()));
}
END_TEST

START_TEST (wd_is_never_descriptor_0)
{
  eio_wd wd, wd2;
  int fds;

  close (0);
  fds = count_fds ();
  gives (0, eio_wd_open (".", KEEP));
  wd = got.wd;
  check_wd (wd, ".");
  wd2 = eio_wd_open_sync (EIO_CWD, "/");
  check_wd (wd2, "/");
  ck_assert (!is_open (0));
  ck_assert_int_eq (count_fds (), fds + 2);

  write_file ("file", "x", 1);
  gives (0, submit ((eio_req) { .type = EIO_STAT, .wd = wd,
                                .ptr1 = "file" }));
  gives (0, eio_wd_close (wd, KEEP));
  eio_wd_close_sync (wd2);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* One that would be descriptor 0 is another's copy. */
START_TEST (wd_is_closed_on_exec)
{
  eio_wd wd;

  if (_i)
    close (0);
  gives (0, eio_wd_open (".", KEEP));
  check_wd (got.wd, ".");
  ck_assert_int_eq (fcntl (wd_fd (got.wd), F_GETFD), FD_CLOEXEC);
  wd = open_wd (".");
  ck_assert_int_eq (fcntl (wd_fd (wd), F_GETFD), FD_CLOEXEC);
  eio_wd_close_sync (got.wd);
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (wd_open_reports_errors_and_leaks_no_descriptor)
{
  static const struct
  {
    const char *path;
    int error;
  } table[] = {
    { "file", ENOTDIR }, { "missing", ENOENT },   { "", ENOENT },
    { "loop", ELOOP },   { "dangling", ENOENT },  { "file/", ENOTDIR },
    { "file/.", ENOTDIR }, { "dir/file/x", ENOTDIR },
  };
  int fds, i;

  make_tree ("dir", 1);
  write_file ("file", "x", 1);
  ck_assert_int_eq (symlink ("loop", "loop"), 0);
  ck_assert_int_eq (symlink ("nowhere", "dangling"), 0);
  gives (0, eio_nop (KEEP));
  fds = count_fds ();
  for (i = 0; i < LENGTH (table); ++i)
    {
      fails (table[i].error, eio_wd_open (table[i].path, KEEP));
      ck_assert_ptr_eq (got.wd, EIO_INVALID_WD);
      errno = 0;
      ck_assert_ptr_eq (eio_wd_open_sync (EIO_CWD, table[i].path),
                        EIO_INVALID_WD);
      ck_assert_int_eq (errno, table[i].error);
    }
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (wd_open_fails_when_no_descriptors_are_left)
{
  struct rlimit limit;

  gives (0, eio_nop (KEEP));
  ck_assert_int_eq (getrlimit (RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 50;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
  while (dup (host_fd ()) >= 0)
    ;
  ck_assert_int_eq (errno, EMFILE);

  fails (EMFILE, eio_wd_open ("/", KEEP));
  ck_assert_ptr_eq (got.wd, EIO_INVALID_WD);
  errno = 0;
  ck_assert_ptr_eq (eio_wd_open_sync (EIO_CWD, "/"), EIO_INVALID_WD);
  ck_assert_int_eq (errno, EMFILE);

  limit.rlim_cur = limit.rlim_max;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
  gives (0, eio_wd_open ("/", KEEP));
  eio_wd_close_sync (got.wd);
}
END_TEST

/* A directory that may be gone through, but not read. */
static void
try_unreadable (void)
{
  eio_wd wd, sub;

  make_tree ("open/dir", 10);
  ck_assert_int_eq (chmod ("open/dir", 0111), 0);
  ck_assert_int_lt (open ("open/dir", O_RDONLY | O_DIRECTORY), 0);

  gives (0, eio_wd_open ("open/dir", KEEP));
  wd = got.wd;
  check_wd (wd, "open/dir");
  gives (0, submit ((eio_req) { .type = EIO_STAT, .wd = wd,
                                .ptr1 = "file" }));
  gives (10, submit ((eio_req) { .type = EIO_SLURP, .wd = wd,
                                 .ptr1 = "file" }));
  gives (0, submit ((eio_req) { .type = EIO_WD_OPEN, .wd = wd,
                                .ptr1 = "sub" }));
  eio_wd_close_sync (got.wd);
  fails (EACCES, submit ((eio_req) { .type = EIO_READDIR, .wd = wd,
                                     .ptr1 = "." }));
  sub = eio_wd_open_sync (wd, ".");
  check_wd (sub, "open/dir");
  eio_wd_close_sync (sub);
  eio_wd_close_sync (wd);
}

START_TEST (directories_need_not_be_readable)
{
  as_user (try_unreadable);
  chmod ("open/dir", 0777);
}
END_TEST

/*****************************************************************************
 * Relative and absolute paths                                               *
 *****************************************************************************/

/* What try_all works on: the directory "tree", by a descriptor of our own,
 * and how its files are named to the library. */
static int tree;
static eio_wd tree_wd;
static char tree_prefix[PATH_MAX];

static char *
name (const char *file)
{
  static char names[8][2 * PATH_MAX];
  static int turn;
  char *buf = names[turn++ % 8];
  snprintf (buf, sizeof names[0], "%s%s", tree_prefix, file);
  return buf;
}

/* A request on a path of the tree. */
#define ON(type_, file, ...) \
  submit ((eio_req) { .type = type_, .wd = tree_wd, .ptr1 = name (file), \
                      __VA_ARGS__ })

static int
in_tree (const char *file)
{
  struct stat st;
  return !fstatat (tree, file, &st, AT_SYMLINK_NOFOLLOW);
}

static void
try_reading (void)
{
  char want[2 * PATH_MAX];
  int fd;

  gives (0, ON (EIO_STAT, "link", .nv1 = 0));
  expect_same (got_stat, status_at (tree, "file"));
  gives (0, ON (EIO_LSTAT, "link", .nv1 = 0));
  expect_same (got_stat, status_at (tree, "link"));
  gives (0, ON (EIO_STATVFS, "link", .nv1 = 0));
  gives (4, ON (EIO_READLINK, "link", .nv1 = 0));
  ck_assert_int_eq (memcmp (got.ptr2, "file", 4), 0);
  gives (10, ON (EIO_SLURP, "file", .nv1 = 0));
  gives (1, ON (EIO_READDIR, "sub", .nv1 = 0));
  ck_assert_str_eq (got.ptr2, "x");
  gives (3, ON (EIO_READDIR, ".", .nv1 = 0));

  gives (0, ON (EIO_WD_OPEN, "sub", .nv1 = 0));
  expect_same (status_at (wd_fd (got.wd), "x"), status_at (tree, "sub/x"));
  eio_wd_close_sync (got.wd);

  fd = (int)run (ON (EIO_OPEN, "file", .int1 = O_RDONLY));
  ck_assert_int_ge (fd, 0);
  expect_same (status_at (tree, "file"), (fstat (fd, &got_stat), got_stat));
  close (fd);

  snprintf (want, sizeof want, "%s/tree/file", base);
  gives ((eio_ssize_t)strlen (want), ON (EIO_REALPATH, "sub/../link",
                                         .nv1 = 0));
  ck_assert_int_eq (memcmp (got.ptr2, want, strlen (want)), 0);
}

static void
try_changing (void)
{
  struct stat st;

  gives (0, ON (EIO_TRUNCATE, "link", .offs = 3));
  gives (0, ON (EIO_UTIME, "file", .nv1 = 1, .nv2 = 2));
  gives (0, ON (EIO_CHMOD, "file", .int2 = 0604));
  gives (0, ON (EIO_CHOWN, "file", .int2 = geteuid () ? -1 : 1234,
                .int3 = -1));
  st = status_at (tree, "file");
  ck_assert_int_eq (st.st_size, 3);
  ck_assert_int_eq (st.st_mtime, 2);
  ck_assert_uint_eq (st.st_mode, S_IFREG | 0604);
  ck_assert_uint_eq (st.st_uid, geteuid () ? geteuid () : 1234);
}

static void
try_making_and_removing (void)
{
  gives (0, ON (EIO_MKDIR, "made", .int2 = 0777));
  ck_assert (in_tree ("made"));
  gives (0, ON (EIO_RMDIR, "made", .nv1 = 0));
  ck_assert (!in_tree ("made"));
  gives (0, ON (EIO_MKNOD, "node", .int2 = S_IFIFO | 0600));
  ck_assert (in_tree ("node"));
  gives (0, ON (EIO_UNLINK, "node", .nv1 = 0));
  ck_assert (!in_tree ("node"));
}

static void
try_two_paths (void)
{
  const long wd = (long)tree_wd;

  gives (0, ON (EIO_RENAME, "file", .ptr2 = name ("moved"), .int3 = wd));
  ck_assert (!in_tree ("file") && in_tree ("moved"));
  gives (0, ON (EIO_LINK, "moved", .ptr2 = name ("file"), .int3 = wd));
  expect_same (status_at (tree, "file"), status_at (tree, "moved"));
  gives (0, submit ((eio_req) { .type = EIO_SYMLINK, .wd = tree_wd,
                                .ptr1 = "text", .ptr2 = name ("soft"),
                                .int3 = wd }));
  ck_assert (in_tree ("soft"));
}

/* Every type, in that order. */
static void
try_all (eio_wd wd, const char *prefix)
{
  char path[PATH_MAX + 10];

  snprintf (path, sizeof path, "%s/tree", base);
  tree = open (path, O_RDONLY | O_DIRECTORY);
  ck_assert_int_ge (tree, 0);
  tree_wd = wd;
  snprintf (tree_prefix, sizeof tree_prefix, "%s", prefix);

  try_reading ();
  try_changing ();
  try_making_and_removing ();
  try_two_paths ();
  close (tree);
}

/* The current directory has files of the same names, which nobody may
 * touch. */
static void
make_trees (void)
{
  make_tree ("decoy", 5);
  ck_assert_int_eq (utimensat (AT_FDCWD, "decoy/file",
                               (struct timespec[2]) { { 7, 0 }, { 7, 0 } },
                               0), 0);
  make_tree ("tree", 10);
}

static void
check_decoy (void)
{
  static const char *const none[] = { "made", "node", "moved", "soft" };
  struct stat st = status_at (AT_FDCWD, "decoy/file");
  int i;

  ck_assert_int_eq (st.st_size, 5);
  ck_assert_int_eq (st.st_mtime, 7);
  ck_assert_uint_eq (st.st_nlink, 1);
  ck_assert_int_eq (chdir ("decoy"), 0);
  for (i = 0; i < LENGTH (none); ++i)
    ck_assert (!exists (none[i]));
}

START_TEST (relative_paths_are_resolved_against_the_wd)
{
  eio_wd wd;

  make_trees ();
  wd = open_wd ("tree");
  ck_assert_int_eq (chdir ("decoy"), 0);
  try_all (wd, "");
  ck_assert_int_eq (chdir (base), 0);
  check_decoy ();
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (absolute_paths_ignore_the_wd)
{
  char prefix[PATH_MAX + 10];
  eio_wd wd;

  make_trees ();
  wd = open_wd ("decoy");
  snprintf (prefix, sizeof prefix, "%s/tree/", base);
  try_all (wd, prefix);
  check_decoy ();
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (without_a_wd_it_is_the_current_directory)
{
  make_trees ();
  ck_assert_int_eq (chdir ("tree"), 0);
  try_all (EIO_CWD, "");
  ck_assert_int_eq (chdir (base), 0);
  check_decoy ();
}
END_TEST

/* The descriptor goes where the directory goes. */
START_TEST (a_renamed_directory_is_still_the_same)
{
  eio_wd wd;

  make_trees ();
  wd = open_wd ("tree");
  ck_assert_int_eq (rename ("tree", "elsewhere"), 0);
  ck_assert_int_eq (rename ("decoy", "tree"), 0);
  tree = open ("elsewhere", O_RDONLY | O_DIRECTORY);
  tree_wd = wd;

  gives (0, ON (EIO_STAT, "file", .nv1 = 0));
  expect_same (got_stat, status_at (tree, "file"));
  gives (10, ON (EIO_SLURP, "file", .nv1 = 0));
  gives (0, ON (EIO_STATVFS, "file", .nv1 = 0));
  try_changing ();
  try_making_and_removing ();
  try_two_paths ();
  ck_assert_int_eq (rename ("tree", "decoy"), 0);
  check_decoy ();
  eio_wd_close_sync (wd);
}
END_TEST

/* Its path is not what it was; whatever is told has to be right. */
START_TEST (realpath_tells_nothing_wrong_of_a_renamed_directory)
{
  char path[PATH_MAX] = "";
  struct stat st;
  eio_wd wd;

  make_trees ();
  wd = open_wd ("tree");
  ck_assert_int_eq (rename ("tree", "elsewhere"), 0);
  ck_assert_int_eq (rename ("decoy", "tree"), 0);
  run (submit ((eio_req) { .type = EIO_REALPATH, .wd = wd,
                           .ptr1 = "file" }));
  if (got.result < 0)
    ck_assert_int_eq (got.errorno, ENOENT);
  else
    {
      memcpy (path, got.ptr2, (size_t)got.result);
      st = status_at (AT_FDCWD, path);
      expect_same (st, status_at (AT_FDCWD, "elsewhere/file"));
    }
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (a_removed_directory_is_enoent)
{
  static const int types[] = { EIO_STAT, EIO_OPEN, EIO_MKDIR, EIO_READLINK,
                               EIO_SLURP, EIO_STATVFS, EIO_TRUNCATE,
                               EIO_REALPATH, EIO_WD_OPEN, EIO_RMDIR };
  eio_wd wd;
  int i;

  make_dir ("dir");
  wd = open_wd ("dir");
  ck_assert_int_eq (rmdir ("dir"), 0);
  for (i = 0; i < LENGTH (types); ++i)
    fails (ENOENT, submit ((eio_req) { .type = types[i], .wd = wd,
                                       .ptr1 = "x", .int2 = 0777 }));
  eio_wd_close_sync (wd);
}
END_TEST

/*****************************************************************************
 * Invalid wds, second wds                                                   *
 *****************************************************************************/

static const eio_req path_requests[] = {
  { .type = EIO_WD_OPEN },
  { .type = EIO_REALPATH },
  { .type = EIO_READDIR },
  { .type = EIO_OPEN, .int1 = O_RDWR | O_CREAT, .int2 = 0600 },
  { .type = EIO_STAT },
  { .type = EIO_LSTAT },
  { .type = EIO_STATVFS },
  { .type = EIO_TRUNCATE },
  { .type = EIO_UTIME },
  { .type = EIO_CHMOD },
  { .type = EIO_CHOWN, .int2 = -1, .int3 = -1 },
  { .type = EIO_UNLINK },
  { .type = EIO_RMDIR },
  { .type = EIO_MKDIR, .int2 = 0700 },
  { .type = EIO_RENAME, .ptr2 = "new" },
  { .type = EIO_MKNOD, .int2 = S_IFREG | 0600 },
  { .type = EIO_LINK, .ptr2 = "new" },
  { .type = EIO_SYMLINK, .ptr2 = "new" },
  { .type = EIO_READLINK },
  { .type = EIO_SLURP },
};

START_TEST (invalid_wd_is_enoent_for_every_type)
{
  static char *const paths[] = { "file", "dir", ".", "/", "missing" };
  int i, j;

  write_file ("file", "0123456789", 10);
  make_dir ("dir");
  for (i = 0; i < LENGTH (path_requests); ++i)
    for (j = 0; j < LENGTH (paths); ++j)
      {
        eio_req req = path_requests[i];
        req.wd = EIO_INVALID_WD;
        req.ptr1 = paths[j];
        run (submit (req));
        ck_assert_msg (got.result == -1 && got.errorno == ENOENT,
                       "type %d, %s: %ld, %s", req.type, paths[j],
                       (long)got.result, strerror (got.errorno));
        ck_assert (req.type != EIO_WD_OPEN || got.wd == EIO_INVALID_WD);
      }
  ck_assert (exists ("dir"));
  ck_assert (!exists ("missing") && !exists ("new"));
  ck_assert_int_eq (status_at (AT_FDCWD, "file").st_size, 10);
}
END_TEST

START_TEST (invalid_second_wd_is_enoent)
{
  static const int types[] = { EIO_RENAME, EIO_LINK, EIO_SYMLINK };
  eio_wd wd = open_wd (".");
  int i;

  write_file ("file", "x", 1);
  for (i = 0; i < LENGTH (types); ++i)
    {
      fails (ENOENT, submit ((eio_req) { .type = types[i], .ptr1 = "file",
                                         .ptr2 = "new",
                                         .int3 = (long)EIO_INVALID_WD }));
      fails (ENOENT, submit ((eio_req) { .type = types[i], .wd = wd,
                                         .ptr1 = "file", .ptr2 = "new",
                                         .int3 = (long)EIO_INVALID_WD }));
    }
  ck_assert (exists ("file") && !exists ("new"));
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (wd_open_sync_of_an_invalid_wd_is_enoent)
{
  errno = 0;
  ck_assert_ptr_eq (eio_wd_open_sync (EIO_INVALID_WD, "/"), EIO_INVALID_WD);
  ck_assert_int_eq (errno, ENOENT);
}
END_TEST

START_TEST (wd_open_sync_of_no_path_is_einval)
{
  errno = 0;
  ck_assert_ptr_eq (eio_wd_open_sync (EIO_CWD, 0), EIO_INVALID_WD);
  ck_assert_int_eq (errno, EINVAL);
}
END_TEST

/* The request, from "file" of one wd to "new" of another. */
static eio_req *
pair (int type, eio_wd wd, eio_wd wd2)
{
  return submit ((eio_req) { .type = type, .wd = wd, .ptr1 = "file",
                             .ptr2 = "new", .int3 = (long)wd2 });
}

START_TEST (new_paths_are_resolved_against_the_second_wd)
{
  eio_wd a, b;

  make_tree ("a", 1);
  make_tree ("b", 2);
  make_tree ("c", 3);
  a = open_wd ("a");
  b = open_wd ("b");
  ck_assert_int_eq (chdir ("c"), 0);

  gives (0, pair (EIO_LINK, a, b));
  expect_same (status_at (AT_FDCWD, "../b/new"),
               status_at (AT_FDCWD, "../a/file"));
  ck_assert_int_eq (unlink ("../b/new"), 0);
  gives (0, pair (EIO_SYMLINK, a, b));
  ck_assert (S_ISLNK (status_at (AT_FDCWD, "../b/new").st_mode));
  gives (0, pair (EIO_RENAME, a, b));
  ck_assert_int_eq (status_at (AT_FDCWD, "../b/new").st_size, 1);
  ck_assert (!exists ("../a/file"));

  gives (0, pair (EIO_LINK, EIO_CWD, a));
  ck_assert_int_eq (status_at (AT_FDCWD, "../a/new").st_size, 3);
  ck_assert (!exists ("new"));
  eio_wd_close_sync (a);
  eio_wd_close_sync (b);
}
END_TEST

START_TEST (without_a_second_wd_only_symlink_takes_the_first)
{
  eio_wd a;

  make_tree ("a", 1);
  make_tree ("c", 3);
  a = open_wd ("a");
  ck_assert_int_eq (chdir ("c"), 0);

  gives (0, pair (EIO_SYMLINK, a, EIO_CWD));
  ck_assert (S_ISLNK (status_at (AT_FDCWD, "../a/new").st_mode));
  ck_assert (!exists ("new"));
  gives (0, pair (EIO_LINK, a, EIO_CWD));
  ck_assert_int_eq (status_at (AT_FDCWD, "new").st_size, 1);
  ck_assert_int_eq (unlink ("new"), 0);
  gives (0, pair (EIO_RENAME, a, EIO_CWD));
  ck_assert_int_eq (status_at (AT_FDCWD, "new").st_size, 1);
  ck_assert (!exists ("../a/file"));
  eio_wd_close_sync (a);
}
END_TEST

/*****************************************************************************
 * "." of a wd                                                               *
 *****************************************************************************/

static eio_req *
rename_dot (eio_wd wd, char *new_path, eio_wd wd2, long flags)
{
  return submit ((eio_req) { .type = EIO_RENAME, .wd = wd, .ptr1 = ".",
                             .ptr2 = new_path, .int3 = (long)wd2,
                             .int2 = flags });
}

static eio_req *
rmdir_dot (eio_wd wd)
{
  return submit ((eio_req) { .type = EIO_RMDIR, .wd = wd, .ptr1 = "." });
}

START_TEST (rename_of_dot_renames_the_directory)
{
  eio_wd wd, parent = open_wd (".");

  make_dir ("dir");
  make_dir ("other");
  wd = open_wd ("dir");
  ck_assert_int_eq (chdir ("other"), 0);
  gives (0, rename_dot (wd, "new", parent, 0));
  ck_assert (!exists ("../dir"));
  check_wd (wd, "../new");
  eio_wd_close_sync (wd);

  wd = open_wd ("../new");
  gives (0, rename_dot (wd, "newer", EIO_CWD, 0));
  check_wd (wd, "newer");
  ck_assert (!exists ("../new"));
  eio_wd_close_sync (wd);
  eio_wd_close_sync (parent);
}
END_TEST

START_TEST (rename_of_dot_takes_flags)
{
  eio_wd wd;

  make_dir ("dir");
  make_dir ("other");
  wd = open_wd ("dir");
  run (rename_dot (wd, "other", EIO_CWD, EIO_RENAME_NOREPLACE));
  ck_assert_int_eq (got.result, -1);
  ck_assert (got.errorno == EEXIST || got.errorno == EINVAL
             || got.errorno == ENOSYS);
  ck_assert (exists ("dir"));
  if (got.errorno == EEXIST)
    {
      gives (0, rename_dot (wd, "other", EIO_CWD, EIO_RENAME_EXCHANGE));
      check_wd (wd, "other");
      ck_assert (exists ("dir"));
    }
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (rmdir_of_dot_removes_the_directory)
{
  eio_wd wd;

  make_dir ("dir");
  wd = open_wd ("dir");
  write_file ("dir/file", "", 0);
  fails (ENOTEMPTY, rmdir_dot (wd));
  ck_assert_int_eq (unlink ("dir/file"), 0);
  ck_assert_int_eq (chdir ("/"), 0);
  gives (0, rmdir_dot (wd));
  ck_assert_int_eq (chdir (base), 0);
  ck_assert (!exists ("dir"));
  fails (ENOENT, rmdir_dot (wd));
  fails (ENOENT, rename_dot (wd, "new", EIO_CWD, 0));
  eio_wd_close_sync (wd);
}
END_TEST

/* Another directory, or a link to another, is where this one was. */
START_TEST (dot_never_acts_on_another_directory)
{
  eio_wd wd;

  make_dir ("dir");
  wd = open_wd ("dir");
  ck_assert_int_eq (rename ("dir", "moved"), 0);
  fails (ENOENT, rmdir_dot (wd));
  fails (ENOENT, rename_dot (wd, "new", EIO_CWD, 0));
  make_dir (_i ? "target" : "dir");
  if (_i)
    ck_assert_int_eq (symlink ("target", "dir"), 0);

  fails (ENOENT, rmdir_dot (wd));
  fails (ENOENT, rename_dot (wd, "new", EIO_CWD, 0));
  ck_assert (exists ("dir") && exists ("moved") && !exists ("new"));
  ck_assert (!_i || exists ("target"));
  eio_wd_close_sync (wd);
}
END_TEST

/* Through a link at opening, the directory is meant, not the link. */
START_TEST (dot_of_a_wd_opened_by_a_link_is_the_directory)
{
  eio_wd wd;

  make_dir ("dir");
  ck_assert_int_eq (symlink ("dir", "link"), 0);
  wd = open_wd ("link");
  gives (0, rename_dot (wd, "new", EIO_CWD, 0));
  ck_assert (!exists ("dir") && exists ("new"));
  ck_assert (S_ISLNK (status_at (AT_FDCWD, "link").st_mode));
  eio_wd_close_sync (wd);

  ck_assert_int_eq (rename ("new", "dir"), 0);
  wd = open_wd ("link");
  gives (0, rmdir_dot (wd));
  ck_assert (!exists ("dir") && exists ("link"));
  eio_wd_close_sync (wd);
}
END_TEST

/*****************************************************************************
 * realpath, statvfs, truncate                                               *
 *****************************************************************************/

static void
realpath_is (eio_wd wd, char *path, const char *want)
{
  gives ((eio_ssize_t)strlen (want),
         submit ((eio_req) { .type = EIO_REALPATH, .wd = wd,
                             .ptr1 = path }));
  ck_assert_int_eq (memcmp (got.ptr2, want, strlen (want)), 0);
}

START_TEST (realpath_against_the_root_has_one_slash)
{
  eio_wd root = open_wd ("/"), sub;
  char want[PATH_MAX + 10];

  realpath_is (root, ".", "/");
  realpath_is (root, "..", "/");
  realpath_is (root, "./", "/");
  realpath_is (root, "dev", "/dev");
  realpath_is (root, "dev/..", "/");
  realpath_is (root, "/dev", "/dev");
  realpath_is (root, "dev/../dev/null", "/dev/null");

  sub = eio_wd_open_sync (root, base + 1);
  check_wd (sub, ".");
  realpath_is (sub, ".", base);
  make_dir ("dir");
  snprintf (want, sizeof want, "%s/dir", base);
  realpath_is (sub, "dir", want);
  realpath_is (sub, "dir/..", base);
  eio_wd_close_sync (sub);
  eio_wd_close_sync (root);
}
END_TEST

/* See check_paths.c: the same with a wd, where there is no such system
 * call. */
START_TEST (truncate_opens_no_fifo)
{
  eio_wd wd = open_wd (".");
  struct pollfd p = { .events = POLLIN };

  ck_assert_int_eq (mkfifo ("fifo", 0666), 0);
  fails (EINVAL, submit ((eio_req) { .type = EIO_TRUNCATE, .wd = wd,
                                     .ptr1 = "fifo" }));
  p.fd = open ("fifo", O_RDONLY | O_NONBLOCK);
  ck_assert_int_ge (p.fd, 0);
  fails (EINVAL, submit ((eio_req) { .type = EIO_TRUNCATE, .wd = wd,
                                     .ptr1 = "fifo" }));
  ck_assert_int_eq (poll (&p, 1, 0), 0);
  gives (0, submit ((eio_req) { .type = EIO_STATVFS, .wd = wd,
                                .ptr1 = "fifo" }));
  ck_assert_int_eq (poll (&p, 1, 0), 0);
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (truncate_reports_the_systems_errors)
{
  static const struct
  {
    char *path;
    off_t size;
    int error;
  } table[] = {
    { "file", -1, EINVAL }, { "missing", 0, ENOENT }, { "sub", 0, EISDIR },
    { "dangling", 0, ENOENT }, { "file/", 0, ENOTDIR }, { "", 0, ENOENT },
    { ".", 0, EISDIR },
  };
  eio_wd wd;
  int i;

  make_tree ("dir", 10);
  ck_assert_int_eq (symlink ("none", "dir/dangling"), 0);
  wd = open_wd ("dir");
  for (i = 0; i < LENGTH (table); ++i)
    fails (table[i].error, submit ((eio_req) { .type = EIO_TRUNCATE,
                                               .wd = wd,
                                               .ptr1 = table[i].path,
                                               .offs = table[i].size }));
  ck_assert_int_eq (status_at (AT_FDCWD, "dir/file").st_size, 10);
  ck_assert (!exists ("dir/none"));
  eio_wd_close_sync (wd);
}
END_TEST

#ifdef __linux__
START_TEST (truncate_and_statvfs_open_nothing)
{
  int fd = inotify_init1 (IN_NONBLOCK);
  eio_wd wd = open_wd (".");
  char buf[4096];

  if (fd < 0)
    return;
  write_file ("file", "0123456789", 10);
  ck_assert_int_ge (inotify_add_watch (fd, "file", IN_OPEN | IN_CLOSE), 0);
  gives (0, submit ((eio_req) { .type = EIO_STATVFS, .wd = wd,
                                .ptr1 = "file" }));
  gives (0, submit ((eio_req) { .type = EIO_TRUNCATE, .wd = wd,
                                .ptr1 = "file", .offs = 3 }));
  ck_assert_int_eq (read (fd, buf, sizeof buf), -1);
  ck_assert_int_eq (errno, EAGAIN);
  ck_assert_int_eq (status_at (AT_FDCWD, "file").st_size, 3);
  eio_wd_close_sync (wd);
}
END_TEST
#endif

static void
try_rights (void)
{
  eio_wd wd = open_wd ("open");
  eio_req truncate = { .type = EIO_TRUNCATE, .wd = wd, .ptr1 = "file",
                       .offs = 5 };

  write_file ("open/file", "0123456789", 10);
  ck_assert_int_eq (chmod ("open/file", 0444), 0);
  fails (EACCES, submit (truncate));
  ck_assert_int_eq (chmod ("open/file", 0), 0);
  fails (EACCES, submit (truncate));
  gives (0, submit ((eio_req) { .type = EIO_STATVFS, .wd = wd,
                                .ptr1 = "file" }));
  ck_assert_int_eq (chmod ("open/file", 0222), 0);
  gives (0, submit (truncate));
  ck_assert_int_eq (status_at (AT_FDCWD, "open/file").st_size, 5);
  ck_assert_int_eq (unlink ("open/file"), 0);
  eio_wd_close_sync (wd);
}

START_TEST (truncate_and_statvfs_need_the_systems_rights_only)
{
  as_user (try_rights);
}
END_TEST

/*****************************************************************************
 * Suite                                                                     *
 *****************************************************************************/

int
main (void)
{
  Suite *suite = suite_create ("wd");
  TCase *tc = add_case (suite, "wd_open, wd_close", 60, start, 0);
  tcase_add_loop_test (
    tc, wd_open_gives_the_directory_and_wd_close_closes_it, 0, 2);
  tcase_add_test (tc, wd_open_sync_and_wd_close_sync_do_the_same);
  tcase_add_test (tc, wd_close_sync_ignores_what_is_no_wd);
  tcase_add_test (tc, wd_is_never_descriptor_0);
  tcase_add_loop_test (tc, wd_is_closed_on_exec, 0, 2);
  tcase_add_test (tc, wd_open_reports_errors_and_leaks_no_descriptor);
  tcase_add_test (tc, wd_open_fails_when_no_descriptors_are_left);
  tcase_add_test (tc, directories_need_not_be_readable);

  tc = add_case (suite, "paths", 60, start, 0);
  tcase_add_test (tc, relative_paths_are_resolved_against_the_wd);
  tcase_add_test (tc, absolute_paths_ignore_the_wd);
  tcase_add_test (tc, without_a_wd_it_is_the_current_directory);
  tcase_add_test (tc, a_renamed_directory_is_still_the_same);
  tcase_add_test (tc, realpath_tells_nothing_wrong_of_a_renamed_directory);
  tcase_add_test (tc, a_removed_directory_is_enoent);
  tcase_add_test (tc, invalid_wd_is_enoent_for_every_type);
  tcase_add_test (tc, invalid_second_wd_is_enoent);
  tcase_add_test (tc, wd_open_sync_of_an_invalid_wd_is_enoent);
  tcase_add_test (tc, wd_open_sync_of_no_path_is_einval);
  tcase_add_test (tc, new_paths_are_resolved_against_the_second_wd);
  tcase_add_test (tc, without_a_second_wd_only_symlink_takes_the_first);

  tc = add_case (suite, "dot", 60, start, 0);
  tcase_add_test (tc, rename_of_dot_renames_the_directory);
  tcase_add_test (tc, rename_of_dot_takes_flags);
  tcase_add_test (tc, rmdir_of_dot_removes_the_directory);
  tcase_add_loop_test (tc, dot_never_acts_on_another_directory, 0, 2);
  tcase_add_test (tc, dot_of_a_wd_opened_by_a_link_is_the_directory);

  tc = add_case (suite, "no system call", 60, start, 0);
  tcase_add_test (tc, realpath_against_the_root_has_one_slash);
  tcase_add_test (tc, truncate_opens_no_fifo);
  tcase_add_test (tc, truncate_reports_the_systems_errors);
#ifdef __linux__
  tcase_add_test (tc, truncate_and_statvfs_open_nothing);
#endif
  tcase_add_test (tc, truncate_and_statvfs_need_the_systems_rights_only);
  return run_suite (suite);
}
