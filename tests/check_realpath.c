/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* realpath: against what the system says, on a random tree of directories,
 * files and links, and the edges of the contract one by one. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "run.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BUF = 8160 };

/*****************************************************************************
 * What the system says                                                      *
 *****************************************************************************/

typedef struct
{
  int error;
  char path[2 * PATH_MAX];
} answer;

static answer
ask_libc (const char *path)
{
  answer a = { 0, "" };

  if (!realpath (path, a.path))
    {
      a.error = errno;
      a.path[0] = 0;
    }
  return a;
}

/* The kernel tells the path of what it opened. */
static answer
ask_kernel (const char *path)
{
  answer a = { 0, "" };
#ifdef O_PATH
  char name[50];
  int fd = open (path, O_PATH);

  if (fd < 0)
    {
      a.error = errno;
      return a;
    }
  snprintf (name, sizeof name, "/proc/self/fd/%d", fd);
  if (readlink (name, a.path, sizeof a.path - 1) < 0)
    a = ask_libc (path);
  close (fd);
  return a;
#else
  (void)a;
  return ask_libc (path);
#endif
}

static int
same_answer (const answer *a, const answer *b)
{
  return a->error == b->error && !strcmp (a->path, b->path);
}

/* Where realpath(3) says something else than the kernel does (some versions
 * let a file be followed by a slash), the kernel is right. */
static answer
ask_system (const char *path)
{
  answer a = ask_libc (path), b = ask_kernel (path);
  return same_answer (&a, &b) ? a : b;
}

static void
expect_answer (const char *path, eio_req *req, const answer *want)
{
  eio_ssize_t n = (eio_ssize_t)strlen (want->path);

  run (req);
  if (want->error)
    ck_assert_msg (got.result == -1 && got.errorno == want->error,
                   "\"%s\": %ld, %s; not %s", path, (long)got.result,
                   strerror (got.errorno), strerror (want->error));
  else
    ck_assert_msg (got.result == n && !got.errorno && got.ptr2
                     && !memcmp (got.ptr2, want->path, (size_t)n),
                   "\"%s\": %ld, %s, \"%.*s\"; not %ld, \"%s\"", path,
                   (long)got.result, strerror (got.errorno),
                   got.result > 0 ? (int)got.result : 0, (char *)got.ptr2,
                   (long)n, want->path);
}

/* The library agrees with the system about this path. */
static void
check_path (const char *path)
{
  answer want = ask_system (path);
  expect_answer (path, eio_realpath (path, KEEP), &want);
}

/* The path is what this one is in truth. */
static void
resolves (const char *path, const char *to)
{
  answer want = { 0, "" };
  snprintf (want.path, sizeof want.path, "%s", to);
  expect_answer (path, eio_realpath (path, KEEP), &want);
}

/* All tests run in the scratch directory; its canonical path is kept. */
static char base[PATH_MAX];

static const char *
in_base (const char *name)
{
  static char paths[4][2 * PATH_MAX];
  static int turn;
  char *path = paths[turn++ % LENGTH (paths)];
  snprintf (path, sizeof paths[0], "%s/%s", base, name);
  return path;
}

static void
start (void)
{
  host_start ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  ck_assert_ptr_nonnull (getcwd (base, sizeof base));
}

/*****************************************************************************
 * A random tree                                                             *
 *****************************************************************************/

/* The same on every system. */
static unsigned random_state = 4711;

static unsigned
pick (unsigned n)
{
  random_state = random_state * 1103515245 + 12345;
  return (random_state >> 8) / 7 % n;
}

static const char *const names[] = { "a", "b", "c", "d", "long-name" };

/* A few components, which are likely to exist, with all that may be between
 * and behind them. */
static void
random_path (char *buf, size_t size, unsigned components)
{
  static const char *const slashes[] = { "/", "/", "/", "/", "//", "/./" };
  unsigned n = 1 + pick (components);

  buf[0] = 0;
  while (n--)
    {
      unsigned kind = pick (12);
      const char *part = kind == 0 ? "." : kind < 3 ? ".." : kind == 3
                         ? "none" : names[pick (LENGTH (names))];
      size_t used = strlen (buf);
      snprintf (buf + used, size - used, "%s%s", part,
                n || !pick (6) ? slashes[pick (LENGTH (slashes))] : "");
    }
}

enum { MAX_DIRS = 100 };
static char dirs[MAX_DIRS][100];
static int ndirs;

static void
make_random_link (const char *path)
{
  char rest[100], target[PATH_MAX + 100];

  random_path (rest, sizeof rest, 4);
  if (pick (3))
    strcpy (target, rest);
  else
    snprintf (target, sizeof target, "%s/%s", base, rest);
  ck_assert_int_eq (symlink (target, path), 0);
}

/* Fills a directory, and those in it, to that depth. */
static void
make_random_entries (const char *dir, int depth)
{
  int i;

  for (i = 0; i < LENGTH (names); ++i)
    {
      unsigned kind = pick (8);
      char path[80];
      snprintf (path, sizeof path, "%s/%s", dir, names[i]);
      if (kind == 0)
        write_file (path, "x", 1);
      else if (kind < 4)
        make_random_link (path);
      else if (kind < 7 && depth && ndirs < MAX_DIRS)
        {
          ck_assert_int_eq (mkdir (path, 0777), 0);
          strcpy (dirs[ndirs++], path);
          make_random_entries (path, depth - 1);
        }
    }
}

static void
make_random_tree (unsigned seed)
{
  random_state = seed;
  strcpy (dirs[ndirs++], ".");
  make_random_entries (".", 4);
  ck_assert_int_gt (ndirs, 20);
}

enum { RANDOM_PATHS = 1500 };

/* Not everything fails, and not everything works. */
static void
check_variety (int resolved)
{
  ck_assert_int_gt (resolved, RANDOM_PATHS / 20);
  ck_assert_int_lt (resolved, RANDOM_PATHS * 19 / 20);
}

START_TEST (random_paths_are_resolved_as_the_system_does)
{
  int i, resolved = 0;

  make_random_tree (4711 + (unsigned)_i);
  for (i = 0; i < RANDOM_PATHS; ++i)
    {
      char path[2 * PATH_MAX], rest[300];
      int absolute = !pick (3);
      random_path (rest, sizeof rest, 7);
      snprintf (path, sizeof path, "%s%s%s/%s", absolute ? base : "",
                absolute ? "/" : "", dirs[pick ((unsigned)ndirs)], rest);
      check_path (path);
      resolved += got.result > 0;
    }
  check_variety (resolved);
}
END_TEST

START_TEST (random_paths_are_resolved_against_a_wd)
{
  int i, resolved = 0;
  eio_wd wds[MAX_DIRS];

  make_random_tree (815 + (unsigned)_i);
  for (i = 0; i < ndirs; ++i)
    {
      wds[i] = eio_wd_open_sync (EIO_CWD, dirs[i]);
      ck_assert_ptr_ne (wds[i], EIO_INVALID_WD);
    }
  for (i = 0; i < RANDOM_PATHS; ++i)
    {
      int dir = (int)pick ((unsigned)ndirs);
      char path[1000], rest[300];
      answer want;
      random_path (rest, sizeof rest, 7);
      snprintf (path, sizeof path, "%s/%s", dirs[dir], rest);
      want = ask_system (path);
      expect_answer (path, submit ((eio_req) { .type = EIO_REALPATH,
                                               .wd = wds[dir],
                                               .ptr1 = rest }), &want);
      resolved += got.result > 0;
    }
  check_variety (resolved);
  while (ndirs)
    eio_wd_close_sync (wds[--ndirs]);
}
END_TEST

/*****************************************************************************
 * Edges                                                                     *
 *****************************************************************************/

START_TEST (the_root_has_one_slash)
{
  static const char *const paths[] = { "/", "//", "///", "/.", "/./", "/..",
                                       "/../..", "/dev/..", "/dev/../",
                                       "//dev//..//." };
  int i;

  for (i = 0; i < LENGTH (paths); ++i)
    resolves (paths[i], "/");
  resolves ("//dev", "/dev");
  resolves ("/../dev/", "/dev");
}
END_TEST

START_TEST (dot_gives_the_current_directory)
{
  ck_assert_int_eq (mkdir ("dir", 0777), 0);
  resolves (".", base);
  resolves ("./", base);
  resolves ("././.", base);
  resolves ("dir/..", base);
  ck_assert_int_eq (chdir ("dir"), 0);
  resolves (".", in_base ("dir"));
  resolves ("..", base);
  resolves ("../dir/.", in_base ("dir"));
  ck_assert_int_eq (chdir ("/"), 0);
  resolves (".", "/");
  resolves ("..", "/");
  resolves ("dev", "/dev");
  ck_assert_int_eq (chdir ("/proc/self"), 0);
  check_path (".");
}
END_TEST

START_TEST (a_removed_current_directory_is_enoent)
{
  ck_assert_int_eq (mkdir ("dir", 0777), 0);
  ck_assert_int_eq (chdir ("dir"), 0);
  ck_assert_int_eq (rmdir ("../dir"), 0);
  fails (ENOENT, eio_realpath (".", KEEP));
  fails (ENOENT, eio_realpath ("x", KEEP));
  resolves ("/dev", "/dev");
  ck_assert_int_eq (chdir (base), 0);
}
END_TEST

START_TEST (no_path_is_einval_and_an_empty_one_enoent)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, ".");

  fails (ENOENT, eio_realpath ("", KEEP));
  fails (EINVAL, submit ((eio_req) { .type = EIO_REALPATH }));
  fails (ENOENT, submit ((eio_req) { .type = EIO_REALPATH, .wd = wd,
                                     .ptr1 = "" }));
  fails (EINVAL, submit ((eio_req) { .type = EIO_REALPATH, .wd = wd }));
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (what_follows_a_file_is_enotdir)
{
  static const char *const behind[] = { "/", "/.", "/..", "//", "/../", "/./",
                                        "/x", "/../file", "/./../file",
                                        "/../../dev" };
  static const char *const files[] = { "file", "link", "/etc/passwd" };
  char path[200];
  int i, j;

  write_file ("file", "x", 1);
  ck_assert_int_eq (symlink ("file", "link"), 0);
  ck_assert_int_eq (symlink ("file/", "slash"), 0);
  resolves ("file", in_base ("file"));
  resolves ("link", in_base ("file"));
  fails (ENOTDIR, eio_realpath ("slash", KEEP));
  for (i = 0; i < LENGTH (files); ++i)
    for (j = 0; j < LENGTH (behind); ++j)
      {
        answer want = { ENOTDIR, "" };
        snprintf (path, sizeof path, "%s%s", files[i], behind[j]);
        expect_answer (path, eio_realpath (path, KEEP), &want);
      }
}
END_TEST

START_TEST (what_follows_nothing_is_enoent)
{
  static const char *const paths[] = { "none", "none/", "none/..", "none/x",
                                       "none/../file", "dangling",
                                       "dangling/", "dangling/.." };
  int i;

  write_file ("file", "x", 1);
  ck_assert_int_eq (symlink ("nowhere", "dangling"), 0);
  for (i = 0; i < LENGTH (paths); ++i)
    fails (ENOENT, eio_realpath (paths[i], KEEP));
}
END_TEST

/* Dots that are not "." or "..". */
START_TEST (names_of_dots_are_names)
{
  static const char *const names[] = { "...", "....", "..x", ".x", "x.", "x..",
                                       ". ", " " };
  char path[100];
  int i;

  for (i = 0; i < LENGTH (names); ++i)
    {
      ck_assert_int_eq (mkdir (names[i], 0777), 0);
      snprintf (path, sizeof path, "./%s/./", names[i]);
      resolves (path, in_base (names[i]));
      snprintf (path, sizeof path, "%s/..", names[i]);
      resolves (path, base);
    }
}
END_TEST

START_TEST (result_is_a_malloc_block_or_the_callers_buffer)
{
  char *buf = malloc (PATH_BUF), want[PATH_MAX];
  size_t n, i;

  strcpy (want, base);
  n = strlen (want);
  gives ((eio_ssize_t)n, eio_realpath (".", KEEP));
  ck_assert (got.flags & EIO_FLAG_PTR2_FREE);
  ck_assert_ptr_null (memchr (got.ptr2, 0, n));

  /* Nothing shows of the names on the way. */
  ck_assert_int_eq (mkdir ("directory", 0777), 0);
  gives ((eio_ssize_t)n, eio_realpath ("directory/..", KEEP));
  for (i = 0; i < 20; ++i)
    ck_assert_int_eq (((char *)got.ptr2)[n + i], 0);

  gives ((eio_ssize_t)n, submit ((eio_req) { .type = EIO_REALPATH,
                                             .ptr1 = ".", .ptr2 = buf }));
  ck_assert_ptr_eq (got.ptr2, buf);
  ck_assert (!(got.flags & EIO_FLAG_PTR2_FREE));
  ck_assert_int_eq (memcmp (buf, want, n), 0);
  free (buf);
}
END_TEST

/*****************************************************************************
 * Links                                                                     *
 *****************************************************************************/

/* Links PREFIX1 to PREFIXn, each to the next, the last to the target; text
 * goes before and after the name of each. */
static void
make_chain (const char *prefix, int n, const char *target, const char *before,
            const char *after)
{
  char name[30], text[2 * PATH_MAX];
  int i;

  for (i = 1; i <= n; ++i)
    {
      snprintf (name, sizeof name, "%s%d", prefix, i);
      if (i < n)
        snprintf (text, sizeof text, "%s%s%d%s", before, prefix, i + 1,
                  after);
      else
        snprintf (text, sizeof text, "%s", target);
      ck_assert_int_eq (symlink (text, name), 0);
    }
}

START_TEST (forty_links_resolve_and_the_next_is_eloop)
{
  char before[PATH_MAX + 1], absolute[PATH_MAX + 10];

  write_file ("file", "x", 1);
  ck_assert_int_eq (mkdir ("dir", 0777), 0);
  write_file ("dir/file", "x", 1);

  snprintf (absolute, sizeof absolute, "%s/file", base);
  snprintf (before, sizeof before, "%s/", base);
  make_chain ("relative", 42, "file", "", "");
  make_chain ("absolute", 42, absolute, before, "");
  make_chain ("directory", 42, "dir", "dir/../", "");

  resolves ("relative4", in_base ("file")); /* 39 */
  resolves ("relative3", in_base ("file")); /* 40 */
  fails (ELOOP, eio_realpath ("relative2", KEEP));
  fails (ELOOP, eio_realpath ("relative1", KEEP));
  resolves ("absolute4", in_base ("file"));
  resolves ("absolute3", in_base ("file"));
  fails (ELOOP, eio_realpath ("absolute2", KEEP));
  resolves ("directory4/file", in_base ("dir/file"));
  resolves ("directory3/file", in_base ("dir/file"));
  resolves ("directory3", in_base ("dir"));
  fails (ELOOP, eio_realpath ("directory2/file", KEEP));
  fails (ELOOP, eio_realpath ("directory2", KEEP));
}
END_TEST

/* It is the sum that counts. */
START_TEST (links_of_all_components_are_counted)
{
  ck_assert_int_eq (mkdir ("dir", 0777), 0);
  make_chain ("link", 30, "dir", "", "");
  resolves ("link11/../link11", in_base ("dir")); /* 20 + 20 */
  fails (ELOOP, eio_realpath ("link11/../link10", KEEP));
  fails (ELOOP, eio_realpath ("link11/../link11/../link30", KEEP));
  resolves ("link11/../link12/../link30", in_base ("dir"));
}
END_TEST

START_TEST (loops_are_eloop)
{
  ck_assert_int_eq (symlink ("self", "self"), 0);
  ck_assert_int_eq (symlink ("pong", "ping"), 0);
  ck_assert_int_eq (symlink ("ping", "pong"), 0);
  ck_assert_int_eq (symlink ("grow/x", "grow"), 0);
  fails (ELOOP, eio_realpath ("self", KEEP));
  fails (ELOOP, eio_realpath ("self/", KEEP));
  fails (ELOOP, eio_realpath ("ping", KEEP));
  fails (ELOOP, eio_realpath ("pong/x", KEEP));
  fails (ELOOP, eio_realpath ("grow", KEEP));
}
END_TEST

START_TEST (links_to_odd_places_resolve)
{
  static const struct
  {
    const char *target, *path, *want; /* want: in base, or absolute */
  } table[] = {
    { "/", "link", "/" },          { "/", "link/dev", "/dev" },
    { "/", "link/..", "/" },       { ".", "link", "" },
    { ".", "link/link/link", "" }, { "..", "link/..", 0 },
    { "dir/../dir//", "link", "dir" }, { "//dev//null", "link", "/dev/null" },
    { "./dir/.", "link/../link", "dir" },
  };
  int i;

  ck_assert_int_eq (mkdir ("dir", 0777), 0);
  for (i = 0; i < LENGTH (table); ++i)
    {
      ck_assert_int_eq (symlink (table[i].target, "link"), 0);
      if (!table[i].want)
        check_path (table[i].path);
      else if (table[i].want[0] == '/')
        resolves (table[i].path, table[i].want);
      else
        resolves (table[i].path,
                  table[i].want[0] ? in_base (table[i].want) : base);
      ck_assert_int_eq (unlink ("link"), 0);
    }
  check_path ("/proc/self/cwd");
  check_path ("/proc/self/cwd/dir");
}
END_TEST

/*****************************************************************************
 * Long paths                                                                *
 *****************************************************************************/

START_TEST (long_links_resolve)
{
  char filler[3800];
  int i;

  for (i = 0; i < LENGTH (filler) - 1; i += 2)
    memcpy (filler + i, "/.", 2);
  filler[3798] = 0;

  ck_assert_int_eq (mkdir ("dir", 0777), 0);
  make_chain ("behind", 40, "dir", "", filler);
  resolves ("behind40", in_base ("dir"));
  resolves ("behind39", in_base ("dir"));
  resolves ("behind37", in_base ("dir"));
  resolves ("behind20", in_base ("dir"));
  resolves ("behind1", in_base ("dir"));
}
END_TEST

/* Goes down, one directory at a time, and has each level checked; comes up
 * again and removes them, because the whole path is too long to name. */
static void
with_deep_directories (int levels, void (*check) (const char *path))
{
  char path[PATH_BUF * 2], name[101];
  int i;

  memset (name, 'n', 100);
  name[100] = 0;
  strcpy (path, base);
  for (i = 0; i < levels; ++i)
    {
      ck_assert_int_eq (mkdir (name, 0777), 0);
      ck_assert_int_eq (chdir (name), 0);
      strcat (path, "/");
      strcat (path, name);
      check (path);
    }
  while (i--)
    {
      ck_assert_int_eq (chdir (".."), 0);
      ck_assert_int_eq (rmdir (name), 0);
    }
}

/* The path, if it is not too long for the system, and never a part of it. */
static void
expect_long (const char *path, eio_req *req)
{
  size_t n = strlen (path);

  run (req);
  if (got.result < 0 && n >= PATH_MAX)
    ck_assert_int_eq (got.errorno, ENAMETOOLONG);
  else
    {
      ck_assert_msg (got.result == (eio_ssize_t)n, "%ld (%s), not %lu",
                     (long)got.result, strerror (got.errorno),
                     (unsigned long)n);
      ck_assert_int_eq (memcmp (got.ptr2, path, n), 0);
    }
}

/* Names with which the path fits just so, or not. */
static void
fill_buffer (const char *path)
{
  static char sub[2 * PATH_BUF];
  size_t len = strlen (path) + 1, n;

  for (n = PATH_BUF - 3; n < PATH_BUF + 3; ++n)
    if (n > len && n - len <= 255)
      {
        memcpy (sub, path, len - 1);
        sub[len - 1] = '/';
        memset (sub + len, 'x', n - len);
        sub[n] = 0;
        ck_assert_int_eq (mkdir (sub + len, 0777), 0);
        expect_long (sub, eio_realpath (sub + len, KEEP));
        ck_assert_int_eq (rmdir (sub + len), 0);
      }
}

static void
check_deep_cwd (const char *path)
{
  char sub[2 * PATH_BUF];

  expect_long (path, eio_realpath (".", KEEP));
  if (strlen (path) < PATH_MAX)
    expect_long (path, eio_realpath (path, KEEP));

  fill_buffer (path);
  snprintf (sub, sizeof sub, "%s/sub", path);
  ck_assert_int_eq (mkdir ("sub", 0777), 0);
  ck_assert_int_eq (symlink ("sub", "link"), 0);
  expect_long (sub, eio_realpath ("sub", KEEP));
  expect_long (sub, eio_realpath ("link", KEEP));
  ck_assert_int_eq (unlink ("link"), 0);
  ck_assert_int_eq (rmdir ("sub"), 0);
}

START_TEST (deep_directories_resolve_or_are_enametoolong)
{
  with_deep_directories (84, check_deep_cwd);
}
END_TEST

static eio_wd deep_wd;

static void
check_deep_wd (const char *path)
{
  char name[101];
  eio_wd wd;

  memcpy (name, strrchr (path, '/') + 1, 101);
  wd = eio_wd_open_sync (deep_wd, name);
  if (wd == EIO_INVALID_WD)
    {
      ck_assert_int_eq (errno, ENAMETOOLONG);
      ck_assert_uint_ge (strlen (path), PATH_MAX);
      return;
    }
  eio_wd_close_sync (deep_wd);
  deep_wd = wd;
  expect_long (path, submit ((eio_req) { .type = EIO_REALPATH, .wd = wd,
                                         .ptr1 = "." }));
  gives (0, submit ((eio_req) { .type = EIO_STAT, .wd = wd, .ptr1 = "." }));
}

START_TEST (deep_wds_work_or_are_enametoolong)
{
  deep_wd = eio_wd_open_sync (EIO_CWD, ".");
  with_deep_directories (45, check_deep_wd);
  eio_wd_close_sync (deep_wd);
}
END_TEST

START_TEST (what_the_kernel_refuses_is_enametoolong)
{
  char path[3 * PATH_BUF], name[300];
  size_t n;

  for (n = PATH_MAX; n < sizeof path; n += 1000)
    {
      memset (path, '/', n);
      path[n] = 0;
      fails (ENAMETOOLONG, eio_realpath (path, KEEP));
    }
  memset (name, 'x', 256);
  name[256] = 0;
  fails (ENAMETOOLONG, eio_realpath (name, KEEP));
  name[255] = 0;
  fails (ENOENT, eio_realpath (name, KEEP));
}
END_TEST

/*****************************************************************************
 * Rights                                                                    *
 *****************************************************************************/

static void
try_rights (void)
{
  static const char *const paths[] = {
    "closed", "closed/", "closed/.", "closed/..", "closed/x", "closed/x/..",
    "closed/../dir", "shut", "shut/", "shut/..", "shut/x", "dir/x",
    "dir/../closed", "link", "link/..", "link/x",
  };
  int i;

  ck_assert_int_eq (chdir ("open"), 0);
  ck_assert_int_eq (mkdir ("closed", 0777), 0);
  ck_assert_int_eq (mkdir ("closed/x", 0777), 0);
  ck_assert_int_eq (mkdir ("dir", 0777), 0);
  ck_assert_int_eq (mkdir ("dir/x", 0777), 0);
  ck_assert_int_eq (mkdir ("shut", 0666), 0);
  ck_assert_int_eq (symlink ("closed/x", "link"), 0);
  ck_assert_int_eq (chmod ("closed", 0), 0);
  ck_assert_int_eq (chmod ("dir", 0111), 0);

  for (i = 0; i < LENGTH (paths); ++i)
    check_path (paths[i]);
  fails (EACCES, eio_realpath ("closed/x", KEEP));
  fails (EACCES, eio_realpath ("link", KEEP));
  ck_assert_int_gt (run (eio_realpath ("dir/x", KEEP)), 0);
  ck_assert_int_gt (run (eio_realpath ("closed", KEEP)), 0);
  chmod ("closed", 0777);
  chmod ("dir", 0777);
}

START_TEST (directories_need_to_be_searchable_only)
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
  Suite *suite = suite_create ("realpath");
  TCase *tc = add_case (suite, "random", 60, start, 0);
  tcase_add_loop_test (tc, random_paths_are_resolved_as_the_system_does, 0,
                       2);
  tcase_add_loop_test (tc, random_paths_are_resolved_against_a_wd, 0, 2);

  tc = add_case (suite, "edges", 60, start, 0);
  tcase_add_test (tc, the_root_has_one_slash);
  tcase_add_test (tc, dot_gives_the_current_directory);
  tcase_add_test (tc, a_removed_current_directory_is_enoent);
  tcase_add_test (tc, no_path_is_einval_and_an_empty_one_enoent);
  tcase_add_test (tc, what_follows_a_file_is_enotdir);
  tcase_add_test (tc, what_follows_nothing_is_enoent);
  tcase_add_test (tc, names_of_dots_are_names);
  tcase_add_test (tc, result_is_a_malloc_block_or_the_callers_buffer);

  tc = add_case (suite, "links", 60, start, 0);
  tcase_add_test (tc, forty_links_resolve_and_the_next_is_eloop);
  tcase_add_test (tc, links_of_all_components_are_counted);
  tcase_add_test (tc, loops_are_eloop);
  tcase_add_test (tc, links_to_odd_places_resolve);

  tc = add_case (suite, "long paths", 60, start, 0);
  tcase_add_test (tc, long_links_resolve);
  tcase_add_test (tc, deep_directories_resolve_or_are_enametoolong);
  tcase_add_test (tc, deep_wds_work_or_are_enametoolong);
  tcase_add_test (tc, what_the_kernel_refuses_is_enametoolong);

  tc = add_case (suite, "rights", 60, start, 0);
  tcase_add_test (tc, directories_need_to_be_searchable_only);
  return run_suite (suite);
}
