/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Trees: what is removed, and walked, what is not, and what is left of the
 * library's after errors, without memory and without descriptors, and when
 * others change the tree meanwhile. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include "support.h"
#include "counting.h"

#define malloc  fault_malloc
#define calloc  fault_calloc
#define realloc fault_realloc
#define strdup  fault_strdup
#define free    fault_free
#include "eio.c"
#include "eiotree.c"
#undef malloc
#undef calloc
#undef realloc
#undef strdup
#undef free
#include "run.h"

static atomic_int fail_at; /* which allocation from now on; 0: none */

static int
out_of_memory (void)
{
  if (ecb_expect_false (fail_at > 0) && atomic_fetch_sub (&fail_at, 1) == 1)
    {
      errno = ENOMEM;
      return 1;
    }
  return 0;
}

/* --- trees -------------------------------------------------------------- */

static int base; /* the scratch directory */

static void
make_file (const char *name)
{
  int fd = openat (base, name, O_CREAT | O_WRONLY, 0600);

  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (write (fd, "12345", 5), 5);
  close (fd);
}

static void
make_dir (const char *name)
{
  ck_assert_msg (!mkdirat (base, name, 0700), "%s: %s", name,
                 strerror (errno));
}

static void
make_link (const char *to, const char *name)
{
  ck_assert_int_eq (symlinkat (to, base, name), 0);
}

static int
exists (const char *name)
{
  struct stat st;

  return !fstatat (base, name, &st, AT_SYMLINK_NOFOLLOW);
}

/* 14 entries: t itself, 3 directories in it, 7 files, 3 links. */
enum { ENTRIES = 14, DIRECTORIES = 4 };
static void
make_tree (void)
{
  static const char *const files[]
      = { "t/ ", "t/new\nline", "t/-rf", "t/\xff\xfe", "t/a/...", "t/a/*",
          "t/a/b/$(x)" };
  int i;

  if (!exists ("outside"))
    {
      make_dir ("outside");
      make_file ("outside/kept");
    }
  make_dir ("t");
  make_dir ("t/a");
  make_dir ("t/a/b");
  make_dir ("t/empty");
  for (i = 0; i < LENGTH (files); ++i)
    make_file (files[i]);
  make_link ("../outside", "t/link");
  make_link ("nowhere", "t/a/dangling");
  make_link ("..", "t/a/up");
}

/* A chain of directories, each with a file and another directory. */
static void
make_deep (const char *name, int levels)
{
  int fd, next;

  make_dir (name);
  fd = openat (base, name, O_RDONLY | O_DIRECTORY);
  while (levels--)
    {
      ck_assert_int_eq (mkdirat (fd, "beside", 0700), 0);
      ck_assert_int_eq (mkdirat (fd, "below", 0700), 0);
      next = openat (fd, "file", O_CREAT | O_WRONLY, 0600);
      ck_assert_int_ge (next, 0);
      close (next);
      next = openat (fd, "below", O_RDONLY | O_DIRECTORY);
      ck_assert_int_ge (next, 0);
      close (fd);
      fd = next;
    }
  close (fd);
}

static void
make_wide (const char *name, int entries)
{
  char buf[300];
  int i;

  make_dir (name);
  for (i = 0; i < entries; ++i)
    {
      snprintf (buf, sizeof buf, "%s/%0*d", name, i % 200 + 8, i);
      if (i % 16)
        make_file (buf);
      else
        make_dir (buf);
    }
}

/* --- walking ------------------------------------------------------------ */

static struct
{
  int entries, directories, links, stats, errors;
  int skip, stop; /* at this name's first character; after so many */
  int order;      /* of the root among all */
  int deepest;    /* path, in bytes */
  int unsure;     /* types that do not agree with stats */
  int polls;      /* it calls eio_poll */
  eio_req *cancel;
} seen;

static int
see (eio_req *walk, const char *dir, const eio_dirent *dirent,
     const char *name, const struct stat *st)
{
  int len = (int)strlen (dir);

  ++seen.entries;
  seen.directories += dirent->type == EIO_DT_DIR;
  seen.links += dirent->type == EIO_DT_LNK;
  seen.unsure += dirent->type == EIO_DT_UNKNOWN;
  if (st)
    {
      ++seen.stats;
      seen.unsure += S_ISDIR (st->st_mode) != (dirent->type == EIO_DT_DIR);
    }
  if (len > seen.deepest)
    seen.deepest = len;
  if (!*dir)
    seen.order = seen.entries;
  ck_assert_int_eq (dirent->namelen, strlen (name));
  if (seen.polls)
    eio_poll ();
  if (seen.cancel)
    eio_cancel (walk);
  if (seen.stop && seen.entries == seen.stop)
    return EIO_WALK_STOP;
  return seen.skip && *name == seen.skip ? EIO_WALK_SKIP : 0;
}

static int first_error; /* of the list */
static char error_path[300];
static int error_count;

static int
keep_tree (eio_req *req)
{
  const char *path;
  struct eio_progress progress;
  int error;

  for (error_count = 0;
       (error = eio_tree_errors (req, (unsigned)error_count, &path));
       ++error_count)
    if (!error_count)
      {
        first_error = error;
        snprintf (error_path, sizeof error_path, "%s", path);
      }
  ck_assert_ptr_null (path);
  if (!EIO_CANCELLED (req))
    {
      ck_assert_int_eq (req->result, req->errorno ? -1 : 0);
      ck_assert (!error_count || req->errorno == first_error);
    }
  ck_assert_int_eq (eio_tree_progress (req, &progress), 0);
  ck_assert_uint_eq (progress.entries_done, progress.entries_total);
  keep (req);
  got.finish = keep;
  return 0;
}
#define TREE keep_tree, 0

static void
walks (const char *name, int flags, unsigned maxreq, int error)
{
  int skip = seen.skip, stop = seen.stop, polls = seen.polls;

  memset (&seen, 0, sizeof seen);
  seen.skip = skip;
  seen.stop = stop;
  seen.polls = polls;
  if (error)
    fails (error, eio_walk (name, flags, maxreq, see, TREE));
  else
    gives (0, eio_walk (name, flags, maxreq, see, TREE));
  ck_assert_int_eq (seen.unsure, 0);
}

START_TEST (walk_all)
{
  unsigned maxreq;

  make_tree ();
  for (maxreq = 0; maxreq < 5; ++maxreq)
    {
      walks ("t", 0, maxreq, 0);
      ck_assert_int_eq (seen.entries, ENTRIES);
      ck_assert_int_eq (seen.directories, DIRECTORIES);
      ck_assert_int_eq (seen.links, 3);
      ck_assert_int_eq (seen.stats, 0);
      ck_assert_int_eq (seen.order, 1);
      ck_assert_int_eq (seen.deepest, 5);

      walks ("t/", EIO_WALK_STAT | EIO_WALK_POSTORDER, maxreq, 0);
      ck_assert_int_eq (seen.entries, ENTRIES);
      ck_assert_int_eq (seen.stats, ENTRIES);
      ck_assert_int_eq (seen.order, ENTRIES);
      seen.polls = 1;
      walks ("t", EIO_WALK_STAT | EIO_WALK_POSTORDER, maxreq, 0);
      ck_assert_int_eq (seen.entries, ENTRIES);
      ck_assert_int_eq (seen.order, ENTRIES);
      seen.polls = 0;
    }
}
END_TEST

START_TEST (walk_some)
{
  make_tree ();
  seen.skip = 'a';
  walks ("t", 0, 0, 0);
  ck_assert_int_eq (seen.entries, 8);
  seen.skip = 't';
  walks ("t", 0, 0, 0);
  ck_assert_int_eq (seen.entries, 1);
  seen.skip = 0;
  seen.stop = 3;
  walks ("t", 0, 0, 0);
  ck_assert_int_eq (seen.entries, 3);
  walks ("t", EIO_WALK_POSTORDER, 0, 0);
  ck_assert_int_eq (seen.entries, 3);
  seen.stop = 0;
  walks ("t/-rf", EIO_WALK_STAT, 0, 0);
  ck_assert_int_eq (seen.entries, 1);
  walks ("t/link", 0, 0, 0);
  ck_assert_int_eq (seen.links, 1);
  walks ("t/link/", 0, 0, 0);
  ck_assert_int_eq (seen.entries, 2);
  walks (".", EIO_WALK_XDEV, 0, 0);
  ck_assert_int_eq (seen.entries, ENTRIES + 3);
  walks ("/proc/self/task/../../self/fdinfo", EIO_WALK_STAT, 0, 0);

  walks ("missing", 0, 0, ENOENT);
  walks ("", 0, 0, ENOENT);
  walks (0, 0, 0, EINVAL);
  walks ("t", 16, 0, EINVAL);
  fails (EINVAL, eio_walk ("t", 0, 0, 0, TREE));
}
END_TEST

/* t/link is a directory with a file; t/a/up leads back. */
START_TEST (walk_links)
{
  make_tree ();
  walks ("t", EIO_WALK_FOLLOW | EIO_WALK_STAT, 0, ELOOP);
  ck_assert_int_eq (seen.entries, ENTRIES + 1);
  ck_assert_int_eq (seen.links, 1);
  ck_assert_int_eq (seen.directories, DIRECTORIES + 2);
  ck_assert_int_eq (error_count, 1);
  ck_assert_str_eq (error_path, "t/a/up");
  walks ("t/link", EIO_WALK_FOLLOW, 0, 0);
  ck_assert_int_eq (seen.entries, 2);
}
END_TEST

/* --- removing ----------------------------------------------------------- */

START_TEST (remove_all)
{
  unsigned maxreq;

  for (maxreq = 0; maxreq < 5; ++maxreq)
    {
      make_tree ();
      gives (0, eio_rmtree (maxreq & 1 ? "t///" : "t", 0, maxreq, TREE));
      ck_assert (!exists ("t"));
      ck_assert (exists ("outside/kept"));
    }
  make_tree ();
  gives (0, eio_rmtree (scratch_path ("t/a"), EIO_TREE_XDEV, 0, TREE));
  ck_assert (exists ("t") && !exists ("t/a"));
  gives (0, eio_rmtree ("t/ ", 0, 0, TREE));
  gives (0, eio_rmtree ("t/link", 0, 0, TREE));
  ck_assert (!exists ("t/link") && exists ("outside/kept"));
}
END_TEST

START_TEST (remove_nothing)
{
  make_tree ();
  fails (ENOENT, eio_rmtree ("missing", 0, 0, TREE));
  ck_assert_str_eq (error_path, "missing");
  fails (ENOENT, eio_rmtree ("missing/t", 0, 0, TREE));
  fails (ENOTDIR, eio_rmtree ("t/link/", 0, 0, TREE));
  fails (ENOTDIR, eio_rmtree ("t/-rf/", 0, 0, TREE));
  fails (ENOTDIR, eio_rmtree ("t/-rf/x", 0, 0, TREE));
  fails (EINVAL, eio_rmtree (".", 0, 0, TREE));
  fails (EINVAL, eio_rmtree ("t/..", 0, 0, TREE));
  fails (EINVAL, eio_rmtree ("t", 1, 0, TREE));
  fails (EINVAL, eio_rmtree (0, 0, 0, TREE));
  fails (ENOENT, eio_rmtree ("", 0, 0, TREE));
  fails (EBUSY, eio_rmtree ("///", 0, 0, TREE));
  walks ("t", 0, 0, 0);
  ck_assert_int_eq (seen.entries, ENTRIES);
}
END_TEST

static void
remove_as_user (void)
{
  base = open (".", O_RDONLY | O_DIRECTORY);
  make_dir ("open/t");
  make_dir ("open/t/fine");
  make_file ("open/t/fine/file");
  make_dir ("open/t/unreadable");
  make_dir ("open/t/full");
  make_file ("open/t/full/file");
  make_dir ("open/t/fixed");
  make_file ("open/t/fixed/file");
  ck_assert_int_eq (fchmodat (base, "open/t/unreadable", 0, 0), 0);
  ck_assert_int_eq (fchmodat (base, "open/t/full", 0, 0), 0);
  ck_assert_int_eq (fchmodat (base, "open/t/fixed", 0500, 0), 0);

  walks ("open/t", EIO_WALK_STAT, 0, EACCES);
  ck_assert_int_eq (error_count, 2);
  ck_assert_int_eq (seen.entries, 7);
  fails (EACCES, eio_rmtree ("open/t", 0, 0, TREE));
  ck_assert_int_eq (error_count, 2);
  ck_assert (!exists ("open/t/fine") && !exists ("open/t/unreadable"));
  ck_assert (exists ("open/t/full") && exists ("open/t/fixed/file"));
  fchmodat (base, "open/t/full", 0700, 0);
  fchmodat (base, "open/t/fixed", 0700, 0);
  gives (0, eio_rmtree ("open/t", 0, 0, TREE));
  close (base);
}

START_TEST (remove_what_may_be)
{
  as_user (remove_as_user);
}
END_TEST

/* --- copying ------------------------------------------------------------ */

/* Whether two entries are alike, and all that is in them. */
static void
compare (int a, int b, const char *name, const char *to_name, int times)
{
  struct stat st[2];
  char text[2][100] = { "", "" };
  struct dirent *de;
  int fd[2];
  DIR *d;

  ck_assert_int_eq (fstatat (a, name, &st[0], AT_SYMLINK_NOFOLLOW), 0);
  ck_assert_msg (!fstatat (b, to_name, &st[1], AT_SYMLINK_NOFOLLOW),
                 "%s is missing", to_name);
  ck_assert_uint_eq (st[0].st_mode, st[1].st_mode);
  ck_assert_uint_eq (st[0].st_uid, st[1].st_uid);
  ck_assert_uint_eq (st[0].st_rdev, st[1].st_rdev);
  if (!S_ISDIR (st[0].st_mode))
    ck_assert_int_eq (st[0].st_size, st[1].st_size);
  if (times)
    {
      ck_assert_int_eq (st[0].st_mtim.tv_sec, st[1].st_mtim.tv_sec);
      ck_assert_int_eq (st[0].st_mtim.tv_nsec, st[1].st_mtim.tv_nsec);
    }
  if (S_ISLNK (st[0].st_mode))
    {
      ck_assert_int_ge (readlinkat (a, name, text[0], 99), 0);
      ck_assert_int_ge (readlinkat (b, to_name, text[1], 99), 0);
      ck_assert_str_eq (text[0], text[1]);
    }
  if (!S_ISDIR (st[0].st_mode) && !S_ISREG (st[0].st_mode))
    return;

  fd[0] = openat (a, name, O_RDONLY);
  fd[1] = openat (b, to_name, O_RDONLY);
  if (S_ISDIR (st[0].st_mode))
    {
      d = fdopendir (dup (fd[0]));
      while ((de = readdir (d)))
        if (strcmp (de->d_name, ".") && strcmp (de->d_name, ".."))
          compare (fd[0], fd[1], de->d_name, de->d_name, times);
      closedir (d);
    }
  else
    {
      ck_assert_int_eq (read (fd[0], text[0], 100),
                        read (fd[1], text[1], 100));
      ck_assert_int_eq (memcmp (text[0], text[1], 100), 0);
      ck_assert_int_le (st[1].st_blocks, st[0].st_blocks + 16);
    }
  close (fd[0]);
  close (fd[1]);
}

/* With what only copies notice. */
static void
make_rich_tree (void)
{
  struct timespec times[2] = { { 1000000000, 1 }, { 1100000000, 123456789 } };
  int fd;

  make_tree ();
  make_file ("t/sparse");
  fd = openat (base, "t/sparse", O_WRONLY);
  ck_assert_int_eq (pwrite (fd, "x", 1, 1 << 24), 1);
  ck_assert_int_eq (ftruncate (fd, 1 << 25), 0);
  close (fd);
  ck_assert_int_eq (mkfifoat (base, "t/fifo", 0640), 0);
  ck_assert_int_eq (fchmodat (base, "t/fifo", 0604, 0), 0);
  ck_assert_int_eq (fchmodat (base, "t/-rf", 04755, 0), 0);
  ck_assert_int_eq (fchmodat (base, "t/a/*", 0, 0), 0);
  ck_assert_int_eq (utimensat (base, "t/link", times, AT_SYMLINK_NOFOLLOW),
                    0);
  ck_assert_int_eq (utimensat (base, "t/-rf", times, 0), 0);
  ck_assert_int_eq (utimensat (base, "t/a/b", times, 0), 0);
  ck_assert_int_eq (utimensat (base, "t/a", times, 0), 0);
  ck_assert_int_eq (fchmodat (base, "t/a", 0555, 0), 0);
  ck_assert_int_eq (utimensat (base, "t", times, 0), 0);
}

START_TEST (copy_all)
{
  unsigned maxreq;

  make_rich_tree ();
  for (maxreq = 0; maxreq < 5; ++maxreq)
    {
      gives (0, eio_cptree ("t", "u/", EIO_COPY_ARCHIVE, maxreq, TREE));
      compare (base, base, "t", "u", 1);
      gives (0, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, maxreq, TREE));
      compare (base, base, "t", "u", 1);
      gives (0, eio_rmtree ("u", 0, 0, TREE));
      gives (0, eio_cptree (scratch_path ("t"), scratch_path ("u"),
                            EIO_COPY_EXCL | EIO_COPY_SYNC | EIO_TREE_XDEV,
                            maxreq, TREE));
      compare (base, base, "t", "u", 0);
      gives (0, eio_rmtree ("u", 0, 0, TREE));
    }
  gives (0, eio_cptree ("t/link", "u", EIO_COPY_ARCHIVE, 0, TREE));
  compare (base, base, "t/link", "u", 1);
  gives (0, eio_cptree ("t/-rf", "u", EIO_COPY_ARCHIVE, 0, TREE));
  compare (base, base, "t/-rf", "u", 1);
  ck_assert (exists ("outside/kept"));
}
END_TEST

/* Nothing is written through links, and no directory is replaced. */
START_TEST (copy_over)
{
  make_rich_tree ();
  make_dir ("u");
  make_dir ("u/-rf");
  make_link ("../outside", "u/a");
  make_link ("../outside/kept", "u/ ");
  make_file ("u/more");
  fails (EISDIR, eio_cptree ("t/-rf", "u/-rf", 0, 0, TREE));
  run (eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 1, TREE));
  ck_assert_int_eq (got.result, -1);
  ck_assert_int_eq (error_count, 2);
  ck_assert (got.errorno == EISDIR || got.errorno == ENOTDIR);
  ck_assert (exists ("u/more") && !exists ("outside/b"));
  compare (base, base, "t/ ", "u/ ", 1);
  compare (base, base, "t/empty", "u/empty", 1);
}
END_TEST

START_TEST (copy_nothing)
{
  make_tree ();
  fails (ENOENT, eio_cptree ("missing", "u", 0, 0, TREE));
  fails (ENOENT, eio_cptree ("t", "missing/u", 0, 0, TREE));
  fails (ENOENT, eio_cptree ("", "u", 0, 0, TREE));
  fails (ENOENT, eio_cptree ("t", "", 0, 0, TREE));
  fails (EINVAL, eio_cptree (0, "u", 0, 0, TREE));
  fails (EINVAL, eio_cptree ("t", 0, 0, 0, TREE));
  fails (EINVAL, eio_cptree ("t", "t", 0, 0, TREE));
  fails (EINVAL, eio_cptree ("t/-rf", "t/-rf", 0, 0, TREE));
  fails (EINVAL, eio_cptree ("t", "u", 0x4000, 0, TREE));
  fails (EINVAL, eio_cptree ("/", "u", 0, 0, TREE));
  fails (EEXIST, eio_cptree ("t", "outside", EIO_COPY_EXCL, 0, TREE));
  fails (ENOTDIR, eio_cptree ("t", "t/-rf", 0, 0, TREE));
  fails (ENOTDIR, eio_cptree ("t/-rf/", "u", 0, 0, TREE));
  ck_assert (!exists ("u"));
  fails (EINVAL, eio_cptree ("t", "t/inside", 0, 0, TREE));
  ck_assert (exists ("t/inside/a/b/$(x)") && !exists ("t/inside/inside"));
}
END_TEST

/* --- large -------------------------------------------------------------- */

START_TEST (deep)
{
  enum { LEVELS = 2000 };

  make_deep ("d", LEVELS);
  walks ("d", 0, 0, 0);
  ck_assert_int_eq (seen.entries, 3 * LEVELS + 1);
  ck_assert_int_eq (seen.deepest, 6 * (LEVELS - 1) + 1);
  walks ("d", EIO_WALK_STAT | EIO_WALK_POSTORDER, 3, 0);
  ck_assert_int_eq (seen.entries, 3 * LEVELS + 1);
  gives (0, eio_cptree ("d", "copy", EIO_COPY_ARCHIVE, 3, TREE));
  gives (0, eio_rmtree ("d", 0, 0, TREE));
  walks ("copy", 0, 0, 0);
  ck_assert_int_eq (seen.entries, 3 * LEVELS + 1);
  gives (0, eio_rmtree ("copy", 0, 0, TREE));
  ck_assert (!exists ("d"));
}
END_TEST

START_TEST (wide)
{
  enum { WIDTH = 3000 };

  make_wide ("w", WIDTH);
  walks ("w", 0, 0, 0);
  ck_assert_int_eq (seen.entries, WIDTH + 1);
  walks ("w", EIO_WALK_STAT, 3, 0);
  ck_assert_int_eq (seen.stats, WIDTH + 1);
  gives (0, eio_cptree ("w", "copy", 0, 3, TREE));
  compare (base, base, "w", "copy", 0);
  gives (0, eio_rmtree ("w", 0, 0, TREE));
  ck_assert (!exists ("w"));
}
END_TEST

/* --- without descriptors, without memory ------------------------------- */

START_TEST (few_descriptors)
{
  struct rlimit before, few;
  int spare, done = 0;

  make_tree ();
  make_deep ("t/deep", 100);
  make_wide ("t/wide", 600);
  walks ("t", 0, 0, 0);
  getrlimit (RLIMIT_NOFILE, &before);
  few = before;
  for (spare = 1; spare < 40; ++spare)
    {
      few.rlim_cur = (rlim_t)count_fds () + (rlim_t)spare;
      setrlimit (RLIMIT_NOFILE, &few);
      memset (&seen, 0, sizeof seen);
      run (eio_walk ("t", EIO_WALK_STAT, 0, see, TREE));
      done += !got.result;
      ck_assert_msg (spare < 8 || !got.result, "%d: %s", spare,
                     strerror (got.errorno));
      if (!got.result)
        ck_assert_int_eq (seen.entries, ENTRIES + 302 + 600);
      else
        ck_assert_int_eq (got.errorno, EMFILE);
    }
  few.rlim_cur = (rlim_t)count_fds () + 8;
  setrlimit (RLIMIT_NOFILE, &few);
  gives (0, eio_rmtree ("t", 0, 0, TREE));
  setrlimit (RLIMIT_NOFILE, &before);
  ck_assert_int_ge (done, 32);
}
END_TEST

/* Once all that the library has is freed; then it begins anew. */
static long
blocks_left (void)
{
  long left;

  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  left = live;
  host_start ();
  return left;
}

START_TEST (no_memory)
{
  int n, fds, kind, fine;
  eio_req *req;

  run (eio_nop (0, keep, 0));
  for (kind = 0; kind < 4; ++kind)
    for (n = 1, fine = 0; !fine; ++n)
      {
        if (!exists ("t"))
          make_tree ();
        blocks_left ();
        run (eio_nop (0, keep, 0));
        fds = count_fds ();
        memset (&seen, 0, sizeof seen);
        fail_at = n;
        req = kind == 2   ? eio_rmtree ("t", 0, 2, TREE)
              : kind == 3 ? eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 2, TREE)
                  : eio_walk ("t",
                              kind ? EIO_WALK_STAT | EIO_WALK_POSTORDER : 0,
                              2, see, TREE);
        if (!req)
          {
            ck_assert_int_eq (errno, ENOMEM);
            fail_at = 0;
            continue;
          }
        run (req);
        fine = fail_at > 0;
        fail_at = 0;
        ck_assert (got.errorno == 0 || got.errorno == ENOMEM);
        ck_assert (!fine || !got.result);
        ck_assert (kind >= 2 || got.result || seen.entries == ENTRIES);
        if (kind == 3 && !got.result)
          compare (base, base, "t", "u", 1);
        if (kind == 3 && exists ("u"))
          gives (0, eio_rmtree ("u", 0, 0, TREE));
        ck_assert (kind != 2 || !got.result == !exists ("t"));
        ck_assert_int_eq (count_fds (), fds);
        ck_assert_int_eq (blocks_left (), 0);
      }
}
END_TEST

/* --- cancelled ---------------------------------------------------------- */

static void
wait_a_little (unsigned n)
{
  struct timespec t = { 0, (long)(n % 100) * 20000 };

  nanosleep (&t, 0);
}

START_TEST (cancelled)
{
  int fds = count_fds (), i;
  eio_req *req;

  for (i = 0; i < 60; ++i)
    {
      if (!exists ("t"))
        {
          make_tree ();
          make_deep ("t/deep", 50);
          make_wide ("t/wide", 300);
        }
      eio_set_finish_cancelled (i % 3 == 0);
      memset (&seen, 0, sizeof seen);
      got.result = 0;
      if (i % 7 == 6)
        req = eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 3, TREE);
      else
        req = i % 2 ? eio_rmtree ("t", 0, 3, TREE)
                  : eio_walk ("t", EIO_WALK_STAT, 3, see, TREE);
      ck_assert_ptr_nonnull (req);
      wait_a_little ((unsigned)i * 37);
      if (i % 5)
        eio_poll ();
      if (eio_nreqs () && i % 4)
        eio_cancel (req);
      else if (eio_nreqs ())
        {
          eio_grp_cancel (req);
          host_drain ();
          ck_assert (!got.result || got.errorno == ECANCELED);
        }
      host_drain ();
    }
  eio_set_finish_cancelled (0);
  memset (&seen, 0, sizeof seen);
  seen.cancel = (eio_req *)&seen;
  ck_assert_ptr_nonnull (eio_walk ("outside", 0, 0, see, TREE));
  host_drain ();
  ck_assert_int_eq (seen.entries, 1);
  ck_assert_int_eq (count_fds (), fds);

  ck_assert_ptr_nonnull (eio_walk (".", 0, 0, see, TREE));
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, -1), 0);
  ck_assert_int_eq (blocks_left (), 0);
}
END_TEST

/* --- while others are at it --------------------------------------------- */

static atomic_int enough;

/* Swaps an empty directory and a link that leads outside. */
static void *
swap (void *arg)
{
  (void)arg;
  while (!enough)
    renameat2 (base, "victim/x", base, "bait", RENAME_EXCHANGE);
  return 0;
}

START_TEST (swapped)
{
  pthread_t thread;
  struct stat st;
  int i;

  make_tree ();
  make_dir ("victim");
  make_dir ("victim/x");
  make_link (scratch_path ("outside"), "bait");
  enough = 0;
  ck_assert_int_eq (pthread_create (&thread, 0, swap, 0), 0);
  for (i = 0; i < 300; ++i)
    {
      memset (&seen, 0, sizeof seen);
      run (eio_walk ("victim", i & 1 ? EIO_WALK_STAT : 0, 0, see, TREE));
      ck_assert_int_eq (got.result, 0);
      ck_assert_int_le (seen.entries, 2);
      if (i % 10 == 9)
        run (eio_rmtree ("victim", 0, 0, TREE));
      run (eio_cptree ("victim", "copy", EIO_COPY_ARCHIVE, 0, TREE));
      ck_assert (!exists ("copy/kept"));
      if (!fstatat (base, "copy/x", &st, AT_SYMLINK_NOFOLLOW)
          && S_ISDIR (st.st_mode))
        ck_assert (!exists ("copy/x/kept"));
      run (eio_rmtree ("copy", 0, 0, TREE));
      ck_assert (!exists ("copy"));
      ck_assert (exists ("outside/kept"));
      if (!exists ("victim"))
        make_dir ("victim");
      if (!exists ("victim/x"))
        make_dir ("victim/x");
      if (!exists ("bait"))
        make_link (scratch_path ("outside"), "bait");
    }
  enough = 1;
  pthread_join (thread, 0);
  ck_assert (exists ("outside/kept"));
}
END_TEST

/* Makes and removes names in the tree, for a while. */
static void *
meddle (void *arg)
{
  char name[40];
  int i;

  for (i = 0; i < 400 && !enough; ++i)
    {
      if (i % 8 == 7) /* who never rests wins */
        nap (1);
      snprintf (name, sizeof name, "%s/a/new%d", (char *)arg, i % 7);
      if (mkdirat (base, name, 0700))
        unlinkat (base, name, AT_REMOVEDIR);
      snprintf (name, sizeof name, "%s/a/b", (char *)arg);
      unlinkat (base, name, AT_REMOVEDIR);
    }
  return 0;
}

START_TEST (meddled)
{
  pthread_t thread;
  int i;

  for (i = 0; i < 30; ++i)
    {
      make_tree ();
      enough = 0;
      ck_assert_int_eq (pthread_create (&thread, 0, meddle, "t"), 0);
      walks ("t", EIO_WALK_STAT, 0, 0);
      run (eio_rmtree ("t", 0, 0, TREE));
      if (got.result) /* he was faster, again and again */
        ck_assert_int_eq (got.errorno, ENOTEMPTY);
      enough = 1;
      pthread_join (thread, 0);
      if (exists ("t"))
        gives (0, eio_rmtree ("t", 0, 0, TREE));
      ck_assert (!exists ("t"));
    }
}
END_TEST

static int elsewhere_result;

static int
note_elsewhere (eio_req *req)
{
  elsewhere_result = (int)req->result + 1;
  return 0;
}

static void *
start_elsewhere (void *arg)
{
  (void)arg;
  ck_assert_ptr_nonnull (eio_rmtree ("t", 0, 0, note_elsewhere, 0));
  return 0;
}

START_TEST (other_threads)
{
  pthread_t thread;
  int i;

  for (i = 0; i < 20; ++i)
    {
      make_tree ();
      elsewhere_result = 0;
      ck_assert_int_eq (pthread_create (&thread, 0, start_elsewhere, 0), 0);
      while (!elsewhere_result)
        {
          eio_poll ();
          nap (1);
        }
      pthread_join (thread, 0);
      host_drain ();
      ck_assert_int_eq (elsewhere_result, 1);
      ck_assert (!exists ("t"));
    }
}
END_TEST

static void
start (void)
{
  host_start ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  base = open (".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
main (void)
{
  Suite *suite = suite_create ("tree");
  TCase *tc = add_case (suite, "walk", 60, start, stop_workers);

  tcase_add_test (tc, walk_all);
  tcase_add_test (tc, walk_some);
  tcase_add_test (tc, walk_links);

  tc = add_case (suite, "rmtree", 60, start, stop_workers);
  tcase_add_test (tc, remove_all);
  tcase_add_test (tc, remove_nothing);
  tcase_add_test (tc, remove_what_may_be);

  tc = add_case (suite, "cptree", 60, start, stop_workers);
  tcase_add_test (tc, copy_all);
  tcase_add_test (tc, copy_over);
  tcase_add_test (tc, copy_nothing);

  tc = add_case (suite, "all", 120, start, stop_workers);
  tcase_add_test (tc, deep);
  tcase_add_test (tc, wide);
  tcase_add_test (tc, few_descriptors);
  tcase_add_test (tc, no_memory);
  tcase_add_test (tc, cancelled);
  tcase_add_test (tc, swapped);
  tcase_add_test (tc, meddled);
  tcase_add_test (tc, other_threads);
  return run_suite (suite);
}
