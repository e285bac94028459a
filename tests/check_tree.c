/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Trees: what is removed, walked, copied and moved, what is not, and what is
 * left of the library's after errors, without memory and without descriptors,
 * when each system call fails, and when others change the tree meanwhile.
 *
 * What is moved goes to another file system, in /dev/shm. Where there is none,
 * renames fail as if there were. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include "support.h"
#include "counting.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define malloc  fault_malloc
#define calloc  fault_calloc
#define realloc fault_realloc
#define strdup  fault_strdup
#define free    fault_free
#include "eio.c"

/* One of the calls of eiotree.c fails, or others do something just before. */
static struct
{
  int at; /* which, from now on; 0: none */
  const char *only; /* of those of this name, or null */
  atomic_int calls;
  int error; /* 0: it goes on */
  int lasts; /* all after it fail, too */
  void (*act) (void);
  int fired;
  const char *call; /* which that was */
  int far; /* renames fail with EXDEV */
} fault;
static int link_error;       /* of linkat, or 0 */
static int told_type = -1;   /* what entries say theirs is, or -1 */
static int without_renameat2;
static ino_t mounted;        /* a directory that is on a device of its own */
static unsigned may_be_open; /* directories of a tree, or 0 */
static atomic_int holds;     /* so many copies of files wait in the middle */
static void (*before_allocation) (void); /* once, or null */

/* What no tree may do. */
static atomic_int inherited; /* descriptors that other programs would get */
static atomic_int exposed;   /* what is made, until it has its own mode */
static atomic_int unopened;  /* descriptors that are closed, but not open */

/* Directories that were synchronised, and flags that all copies had. */
static struct
{
  atomic_int n, flags;
  ino_t dirs[8];
} synced;

static int
stumble (const char *call)
{
  int saved = errno, n;

  if (!fault.at || (fault.only && strcmp (fault.only, call)))
    return 0;
  n = ++fault.calls;
  if (n < fault.at || (n > fault.at && !fault.lasts))
    return 0;
  fault.fired = 1;
  fault.call = call;
  if (fault.act)
    fault.act ();
  errno = fault.error ? fault.error : saved;
  return fault.error;
}

static int
stumble_copying (int flags)
{
  synced.flags &= flags;
  if (holds && holds-- > 0)
    take (&let_go);
  return stumble ("eio_copy_fd_sync");
}

static int
stray (const char *call)
{
  errno = EXDEV;
  return fault.far || stumble (call);
}

static int
refuse (const char *call)
{
  errno = link_error;
  return link_error || stumble (call);
}

static struct dirent *
change_type (struct dirent *de)
{
  if (de && told_type >= 0)
    de->d_type = (unsigned char)told_type;
  return de;
}

static int
stat_mount (int fd, struct stat *st)
{
  int res = fstat (fd, st);

  if (!res && st->st_ino == mounted)
    st->st_dev ^= 1;
  return res;
}

/* The following note what is against the rules. */
static int
open_as (int in, const char *name, int flags, mode_t mode)
{
  inherited += !(flags & O_CLOEXEC);
  exposed += flags & O_CREAT && mode & 077;
  return openat (in, name, flags, mode);
}

static int
duplicate (int fd, int command, int least)
{
  inherited += command != F_DUPFD_CLOEXEC;
  return fcntl (fd, command, least);
}

static int
make_dir_as (int in, const char *name, mode_t mode)
{
  exposed += (mode & 077) != 0;
  return mkdirat (in, name, mode);
}

static int
make_node_as (int in, const char *name, mode_t mode, dev_t dev)
{
  exposed += (mode & 077) != 0;
  return mknodat (in, name, mode, dev);
}

static int
close_open (int fd)
{
  int res = close (fd);

  unopened += res && errno == EBADF;
  return res;
}

static int
synchronise (int fd)
{
  struct stat st;
  int i = synced.n++;

  if (i < LENGTH (synced.dirs) && !fstat (fd, &st))
    synced.dirs[i] = st.st_ino;
  return fsync (fd);
}

#define openat(...)     (stumble ("openat") ? -1 : open_as (__VA_ARGS__))
#define fstat(...)      (stumble ("fstat") ? -1 : stat_mount (__VA_ARGS__))
#define fstatat(...)    (stumble ("fstatat") ? -1 : fstatat (__VA_ARGS__))
#define mkdirat(...)    (stumble ("mkdirat") ? -1 : make_dir_as (__VA_ARGS__))
#define unlinkat(...)   (stumble ("unlinkat") ? -1 : unlinkat (__VA_ARGS__))
#define linkat(...)     (refuse ("linkat") ? -1 : linkat (__VA_ARGS__))
#define symlinkat(...)  (stumble ("symlinkat") ? -1 : symlinkat (__VA_ARGS__))
#define mknodat(...)    (stumble ("mknodat") ? -1 : make_node_as (__VA_ARGS__))
#define readlinkat(...) (stumble ("readlinkat") ? -1 : readlinkat (__VA_ARGS__))
#define fchownat(...)   (stumble ("fchownat") ? -1 : fchownat (__VA_ARGS__))
#define fchmodat(...)   (stumble ("fchmodat") ? -1 : fchmodat (__VA_ARGS__))
#define utimensat(...)  (stumble ("utimensat") ? -1 : utimensat (__VA_ARGS__))
#define fcntl(...)      (stumble ("fcntl") ? -1 : duplicate (__VA_ARGS__))
#define fsync(...)      (stumble ("fsync") ? -1 : synchronise (__VA_ARGS__))
#define renameat(...)   (stray ("renameat") ? -1 : renameat (__VA_ARGS__))
#define syscall(...) \
  (without_renameat2 ? (errno = ENOSYS, -1) \
   : stray ("syscall") ? -1 : syscall (__VA_ARGS__))
#define fdopendir(fd) \
  (stumble ("fdopendir") ? (DIR *)0 : fdopendir (fd))
#define readdir(dir) \
  (stumble ("readdir") ? (struct dirent *)0 : change_type (readdir (dir)))
#define close(fd) \
  (stumble ("close") ? (void)close_open (fd), -1 : close_open (fd))
#define eio_copy_fd_sync(in, out, st, flags, ...) \
  (stumble_copying (flags) ? -1 \
   : eio_copy_fd_sync (in, out, st, flags, __VA_ARGS__))
#include "eiotree.c"
#undef openat
#undef fstat
#undef fstatat
#undef mkdirat
#undef unlinkat
#undef linkat
#undef symlinkat
#undef mknodat
#undef readlinkat
#undef fchownat
#undef fchmodat
#undef utimensat
#undef fcntl
#undef fsync
#undef renameat
#undef syscall
#undef fdopendir
#undef readdir
#undef close
#undef eio_copy_fd_sync
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
  void (*act) (void) = before_allocation;

  if (ecb_expect_false (act != 0))
    {
      before_allocation = 0;
      act ();
    }
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

/* Whether it is, with so many bytes, or, if that is negative, a directory. */
static int
is_there (int fd, const char *name, off_t size)
{
  struct stat st;

  return !fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW)
         && (size < 0 ? S_ISDIR (st.st_mode) : st.st_size == size);
}

/* Directories of which one after the other is left for others beside it. */
static const char *const branches[]
    = { "t", "t/a", "t/a/b", "t/a/b/c", "t/a/d", "t/a/d/e", "t/f", "t/f/g" };

static void
make_branches (void)
{
  int i;

  for (i = 0; i < LENGTH (branches); ++i)
    make_dir (branches[i]);
}

static ino_t
inode (const char *name)
{
  struct stat st;

  ck_assert_int_eq (fstatat (base, name, &st, AT_SYMLINK_NOFOLLOW), 0);
  return st.st_ino;
}

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

/* --- faults ------------------------------------------------------------- */

/* The nth call from now on fails, or, if there is no error, others act just
 * before. */
static void
arm (int n, int error, void (*act) (void))
{
  fault.calls = fault.fired = fault.lasts = 0;
  fault.only = 0;
  fault.error = error;
  fault.act = act;
  fault.at = n;
}

/* The same, of calls of this name. */
static void
arm_only (const char *only, int n, int error, void (*act) (void))
{
  arm (0, error, act);
  fault.only = only;
  fault.at = n;
}

/* Sees to it that no more directories are kept open than a test says. */
static eio_req *
keep_few_open (eio_req *req)
{
  if (req && may_be_open)
    ((eio__tree *)req)->may_open = may_be_open;
  return req;
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
  int exact;      /* directory and name lead to the entry */
  eio_req *cancel;
} seen;

static void
expect_entry (const char *dir, const char *name, const eio_dirent *dirent)
{
  char path[600];
  struct stat st;

  snprintf (path, sizeof path, "%s%s%s", dir, *dir ? "/" : "", name);
  ck_assert_msg (!lstat (path, &st) && st.st_ino == dirent->inode
                   && IFTODT (st.st_mode) == dirent->type,
                 "%s", path);
}

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
      seen.unsure += IFTODT (st->st_mode) != dirent->type;
    }
  if (len > seen.deepest)
    seen.deepest = len;
  if (!*dir)
    seen.order = seen.entries;
  ck_assert_int_eq (dirent->namelen, strlen (name));
  ck_assert_ptr_null (strstr (dir, "//"));
  if (seen.exact)
    expect_entry (dir, name, dirent);
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

/* Those that are open are on a list, and counted. */
static unsigned int
open_dirs (const eio__tree *tree)
{
  const eio__treedir *dir = tree->newest;
  unsigned int n = 0;

  for (; dir; dir = dir->older)
    ++n;
  return n;
}

static int
keep_tree (eio_req *req)
{
  const eio__tree *tree = (const eio__tree *)req;
  const char *path;
  struct eio_progress progress;
  int error;

  ck_assert_int_eq (inherited, 0);
  ck_assert_int_eq (exposed, 0);
  ck_assert_int_eq (unopened, 0);
  ck_assert_uint_eq (tree->nopen, open_dirs (tree));
  for (error_count = 0;
       (error = eio_tree_errors (req, (unsigned)error_count, &path));
       ++error_count)
    if (!error_count)
      {
        first_error = error;
        snprintf (error_path, sizeof error_path, "%s", path);
      }
  ck_assert_ptr_null (path);
  ck_assert_int_eq (eio_tree_errors (req, (unsigned)error_count + 1, &path), 0);
  ck_assert_int_eq (eio_tree_errors (req, 0, 0),
                    error_count ? first_error : 0);
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
  int exact = seen.exact;
  eio_req *req;

  memset (&seen, 0, sizeof seen);
  seen.skip = skip;
  seen.stop = stop;
  seen.polls = polls;
  seen.exact = exact;
  req = keep_few_open (eio_walk (name, flags, maxreq, see, TREE));
  if (error)
    fails (error, req);
  else
    gives (0, req);
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

/* Directories that links led to, when they had to be closed, or could not be
 * read at first. */
START_TEST (walk_links_again)
{
  enum { READS = LENGTH (branches) + 1 };
  int n;

  make_branches ();
  make_dir ("w");
  make_link ("../t", "w/link");
  may_be_open = 1;
  walks ("w", EIO_WALK_FOLLOW, 1, 0);
  ck_assert_int_eq (seen.entries, READS);
  may_be_open = 0;
  for (n = 1; n <= READS; ++n)
    {
      arm_only ("fcntl", n, EMFILE, 0);
      walks ("w", EIO_WALK_FOLLOW, 2, 0);
      fault.at = 0;
      ck_assert_int_eq (seen.entries, READS);
      ck_assert_int_eq (fault.calls, READS + 1);
    }
}
END_TEST

/* Whether directories tell types or not, or some that are unknown. */
START_TEST (walk_types)
{
  static const int told[] = { -1, DT_UNKNOWN, EIO_DT_MAX, 255 };
  int i, entries = ENTRIES + 4;

  make_tree ();
  make_file ("t/.hidden");
  make_dir ("t/..hidden");
  ck_assert_int_eq (mkfifoat (base, "t/fifo", 0600), 0);
  ck_assert_int_eq (mknodat (base, "t/socket", S_IFSOCK | 0600, 0), 0);
  entries += !mknodat (base, "t/null", S_IFCHR | 0600, makedev (1, 3));
  entries += !mknodat (base, "t/disk", S_IFBLK | 0600, makedev (7, 0));
  for (i = 0; i < LENGTH (told); ++i)
    {
      told_type = told[i];
      walks ("t", EIO_WALK_STAT, 0, 0);
      ck_assert_int_eq (seen.stats, entries);
      seen.exact = 1;
      walks ("t", 0, 0, 0);
      ck_assert_int_eq (seen.entries, entries);
      seen.exact = 0;
    }
  gives (0, eio_rmtree ("t", 0, 0, TREE));
  ck_assert (!exists ("t"));
  told_type = -1;
}
END_TEST

static int
see_progress (eio_req *walk, const char *dir, const eio_dirent *dirent,
              const char *name, const struct stat *st)
{
  struct eio_progress p;

  eio_tree_progress (walk, &p);
  ck_assert_uint_eq (p.entries_done, seen.entries + 1);
  ck_assert_uint_eq (p.entries_total, 0);
  ck_assert_uint_eq (p.bytes_total, 0);
  return see (walk, dir, dirent, name, st);
}

START_TEST (walk_counts)
{
  make_tree ();
  gives (0, eio_walk ("t", 0, 0, see_progress, TREE));
  ck_assert_int_eq (seen.entries, ENTRIES);
}
END_TEST

/* What is on another device is not entered, which is no error. */
START_TEST (walk_up_to_mounts)
{
  make_tree ();
  mounted = inode ("t/a");
  walks ("t", EIO_WALK_XDEV, 0, 0);
  ck_assert_int_eq (seen.entries, ENTRIES - 6);
  walks ("t", 0, 0, 0);
  ck_assert_int_eq (seen.entries, ENTRIES);
  walks ("t/a", EIO_WALK_XDEV, 0, 0);
  ck_assert_int_eq (seen.entries, 7);
  gives (0, eio_cptree ("t", "u", EIO_TREE_XDEV, 0, TREE));
  ck_assert (exists ("u/empty") && exists ("u/a") && !exists ("u/a/b"));
  gives (0, eio_cptree ("t", "u", 0, 0, TREE));
  ck_assert (exists ("u/a/b/$(x)"));
  mounted = 0;
}
END_TEST

/* Of directories that were found before the end none is opened. */
START_TEST (walk_no_further)
{
  char path[20];
  int i;

  make_dir ("t");
  for (i = 0; i < 20; ++i)
    {
      snprintf (path, sizeof path, "t/%d", i);
      make_dir (path);
    }
  seen.stop = 15;
  arm_only ("openat", INT_MAX, 0, 0);
  walks ("t", 0, 0, 0);
  fault.at = 0;
  ck_assert_int_eq (seen.entries, 15);
  ck_assert_int_eq (fault.calls, 1);
}
END_TEST

/* It is at an end in the middle of a directory. */
START_TEST (walk_part)
{
  int fds = count_fds ();

  make_wide ("t", 600);
  seen.stop = 10;
  walks ("t", 0, 1, 0);
  ck_assert_int_eq (seen.entries, 10);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* Those at which the memory for paths has to grow are among them. */
START_TEST (walk_paths_of_all_lengths)
{
  char path[600];
  int i, len = snprintf (path, sizeof path, "t/%0200d", 0);

  make_dir ("t");
  make_dir (path);
  for (i = 1; i < 100; ++i)
    {
      snprintf (path + len, sizeof path - (size_t)len, "/%0*d", i, 0);
      make_dir (path);
      strcat (path, "/x");
      make_file (path);
    }
  seen.exact = 1;
  walks ("t", 0, 1, 0);
  seen.exact = 0;
  ck_assert_int_eq (seen.entries, 2 + 2 * 99);
}
END_TEST

static int
see_spares (eio_req *req)
{
  const eio__tree *tree = (const eio__tree *)req;

  ck_assert_uint_eq (tree->limit, EIO__TREE_MAXREQ_MAX);
  ck_assert_uint_eq (tree->nspares, EIO__TREE_SPARES);
  return keep_tree (req);
}

/* More batches at a time than are kept. */
START_TEST (walk_by_many)
{
  int i;

  make_dir ("t");
  for (i = 0; i < EIO__TREE_SPARES + 10; ++i)
    {
      char name[20];

      snprintf (name, sizeof name, "t/%d", i);
      make_dir (name);
    }
  gives (0, eio_walk ("t", 0, 1000, see, see_spares, 0));
  ck_assert_int_eq (seen.entries, EIO__TREE_SPARES + 11);
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

static void
fail_often (void)
{
  base = open (".", O_RDONLY | O_DIRECTORY);
  make_wide ("open/t", 11000);
  ck_assert_int_eq (fchmodat (base, "open/t", 0500, 0), 0);
  fails (EACCES, eio_rmtree ("open/t", 0, 0, TREE));
  ck_assert_int_eq (error_count, EIO__TREE_ERRORS);
  fchmodat (base, "open/t", 0700, 0);
  gives (0, eio_rmtree ("open/t", 0, 0, TREE));
  close (base);
}

START_TEST (remove_with_many_errors)
{
  as_user (fail_often);
}
END_TEST

/* What is on another device stays, and what it is in. */
START_TEST (remove_up_to_mounts)
{
  make_tree ();
  mounted = inode ("t/a/b");
  fails (EXDEV, eio_rmtree ("t/", EIO_TREE_XDEV, 0, TREE));
  ck_assert_int_eq (error_count, 1);
  ck_assert_str_eq (error_path, "t/a/b");
  ck_assert (exists ("t/a/b/$(x)") && !exists ("t/a/*"));
  gives (0, eio_rmtree ("t", 0, 0, TREE));
  mounted = 0;
}
END_TEST

/* A directory that others fill is read again, but not for ever. Some systems
 * say EEXIST of one that is not empty. */
START_TEST (remove_what_is_filled)
{
  make_dir ("t");
  make_file ("t/file");
  arm_only ("unlinkat", 2, EEXIST, 0);
  gives (0, eio_rmtree ("t", 0, 0, TREE));
  ck_assert_int_eq (fault.calls, 3);
  ck_assert (!exists ("t"));

  make_dir ("t");
  arm_only ("unlinkat", 1, ENOTEMPTY, 0);
  fault.lasts = 1;
  fails (ENOTEMPTY, eio_rmtree ("t", 0, 0, TREE));
  fault.at = 0;
  ck_assert_int_eq (fault.calls, 1 + EIO__TREE_RESCANS);
  ck_assert_int_eq (error_count, 1);
  ck_assert_str_eq (error_path, "t");
}
END_TEST

static int most_fds;

static void
note_fds (void)
{
  int fds = count_fds ();

  if (fds > most_fds)
    most_fds = fds;
}

/* Of directories that others are in, no more than there should be, also when
 * more is to be done in each than one job does. */
START_TEST (remove_with_few_open)
{
  enum { LEVELS = 30 };
  char path[200] = "t";
  int i, k, len = 1, fds;

  for (i = 0; i < LEVELS; ++i)
    {
      make_dir (path);
      for (k = 0; k < EIO__TREE_SLICE + 1; ++k)
        {
          snprintf (path + len, 10, "/%d", k);
          make_file (path);
        }
      len += snprintf (path + len, 10, "/d");
    }
  may_be_open = 1;
  most_fds = 0;
  fds = count_fds ();
  arm_only ("unlinkat", 1, 0, note_fds);
  fault.lasts = 1;
  gives (0, keep_few_open (eio_rmtree ("t", 0, 1, TREE)));
  fault.at = may_be_open = 0;
  ck_assert (!exists ("t"));
  ck_assert_msg (most_fds < fds + 16, "%d descriptors", most_fds - fds);
}
END_TEST

START_TEST (remove_without_callback)
{
  make_tree ();
  ck_assert_ptr_nonnull (eio_rmtree ("t", 0, 0, 0, 0));
  host_drain ();
  ck_assert (!exists ("t"));
}
END_TEST

/* --- copying ------------------------------------------------------------ */

/* How many attributes of users an entry has that another, if there is one, has
 * as well. */
static int
common_attributes (int a, const char *name, int b, const char *to_name)
{
  char path[2][300], list[100], value[2][100];
  ssize_t n, m, i;
  int count = 0;

  snprintf (path[0], sizeof path[0], "/proc/self/fd/%d/%s", a, name);
  snprintf (path[1], sizeof path[1], "/proc/self/fd/%d/%s", b, to_name);
  n = llistxattr (path[0], list, sizeof list);
  for (i = 0; i < n; i += (ssize_t)strlen (list + i) + 1)
    if (!strncmp (list + i, "user.", 5))
      {
        m = lgetxattr (path[0], list + i, value[0], 100);
        count += m == lgetxattr (path[1], list + i, value[1], 100)
                 && !memcmp (value[0], value[1], (size_t)m);
      }
  return count;
}

static const char *what; /* is not alike, */
static char where[300];  /* and of what */

static int
differs (const char *name, const char *in)
{
  what = in;
  snprintf (where, sizeof where, "%s", name);
  return 1;
}

static int differ (int a, int b, const char *name, const char *to_name,
                   int times);

static int
contents_differ (int a, int b, const char *name, int is_dir, int times)
{
  char text[2][100] = { "", "" };
  struct dirent *de;
  int res = 0;
  DIR *d;

  if (is_dir)
    {
      d = fdopendir (dup (a));
      while (!res && (de = readdir (d)))
        if (!eio__tree_is_dot (de->d_name))
          res = differ (a, b, de->d_name, de->d_name, times);
      closedir (d);
      return res;
    }
  if (read (a, text[0], 100) != read (b, text[1], 100)
      || memcmp (text[0], text[1], 100))
    return differs (name, "contents");
  return 0;
}

/* Whether two entries are not alike, or something that is in them. What b has
 * besides does not count, nor do the times if it is so wished. */
static int
differ (int a, int b, const char *name, const char *to_name, int times)
{
  struct stat st[2];
  char text[2][100] = { "", "" };
  int fd[2], res, is_dir;

  if (fstatat (a, name, &st[0], AT_SYMLINK_NOFOLLOW)
      || fstatat (b, to_name, &st[1], AT_SYMLINK_NOFOLLOW))
    return differs (name, "existence");
  if (st[0].st_mode != st[1].st_mode || st[0].st_uid != st[1].st_uid
      || st[0].st_gid != st[1].st_gid)
    return differs (name, "mode");
  if (st[0].st_rdev != st[1].st_rdev)
    return differs (name, "device");
  is_dir = S_ISDIR (st[0].st_mode);
  if (!is_dir && st[0].st_size != st[1].st_size)
    return differs (name, "size");
  if (times
      && (st[0].st_mtim.tv_sec != st[1].st_mtim.tv_sec
          || st[0].st_mtim.tv_nsec != st[1].st_mtim.tv_nsec
          || (!is_dir && st[0].st_nlink != st[1].st_nlink)))
    return differs (name, "times or names");
  if (S_ISLNK (st[0].st_mode)
      && (readlinkat (a, name, text[0], 99) < 0
          || readlinkat (b, to_name, text[1], 99) < 0
          || strcmp (text[0], text[1])))
    return differs (name, "link");
  if (times)
    {
      res = common_attributes (a, name, b, to_name);
      if (res != common_attributes (a, name, a, name)
          || res != common_attributes (b, to_name, b, to_name))
        return differs (name, "attributes");
    }
  if (!is_dir && !S_ISREG (st[0].st_mode))
    return 0;
  if (!is_dir && st[1].st_blocks > st[0].st_blocks + 16)
    return differs (name, "blocks");

  fd[0] = openat (a, name, O_RDONLY);
  fd[1] = openat (b, to_name, O_RDONLY);
  res = contents_differ (fd[0], fd[1], name, is_dir, times);
  close (fd[0]);
  close (fd[1]);
  return res;
}

static void
compare (int a, int b, const char *name, const char *to_name, int times)
{
  int res = differ (a, b, name, to_name, times);

  ck_assert_msg (!res, "%s is not alike: %s", where, what);
}

/* With what only copies notice. */
static void
make_rich_tree (void)
{
  struct timespec times[2] = { { 1000000000, 1 }, { 1100000000, 123456789 } };
  char name[260] = "";
  int fd;

  make_tree ();
  make_file ("t/sparse");
  fd = openat (base, "t/sparse", O_WRONLY);
  ck_assert_int_eq (pwrite (fd, "x", 1, 1 << 24), 1);
  ck_assert_int_eq (ftruncate (fd, 1 << 25), 0);
  ck_assert_int_eq (fsetxattr (fd, "user.a", "one", 3, 0), 0);
  ck_assert_int_eq (fsetxattr (fd, "user.empty", "", 0, 0), 0);
  close (fd);
  fd = openat (base, "t/a/b", O_RDONLY);
  ck_assert_int_eq (fsetxattr (fd, "user.of", "directory", 9, 0), 0);
  close (fd);
  memset (name, 'n', 257);
  memcpy (name, "t/", 2);
  make_file (name);
  if (!mknodat (base, "t/null", S_IFCHR | 0622, makedev (1, 3)))
    ck_assert_int_eq (fchmodat (base, "t/null", 0622, 0), 0);
  ck_assert_int_eq (mknodat (base, "t/socket", S_IFSOCK | 0600, 0), 0);
  ck_assert_int_eq (linkat (base, "t/-rf", base, "t/a/same", 0), 0);
  ck_assert_int_eq (linkat (base, "t/-rf", base, "t/a/b/same", 0), 0);
  ck_assert_int_eq (linkat (base, "t/link", base, "t/a/b/link", 0), 0);
  ck_assert_int_eq (mkfifoat (base, "t/fifo", 0640), 0);
  ck_assert_int_eq (fchmodat (base, "t/fifo", 0604, 0), 0);
  ck_assert_int_eq (fchmodat (base, "t/-rf", 04755, 0), 0);
  ck_assert_int_eq (fchmodat (base, "t/a/*", geteuid () ? 0400 : 0, 0), 0);
  ck_assert_int_eq (utimensat (base, "t/link", times, AT_SYMLINK_NOFOLLOW),
                    0);
  ck_assert_int_eq (utimensat (base, "t/-rf", times, 0), 0);
  ck_assert_int_eq (utimensat (base, "t/a/b", times, 0), 0);
  ck_assert_int_eq (utimensat (base, "t/a", times, 0), 0);
  ck_assert_int_eq (fchmodat (base, "t/a", geteuid () ? 0755 : 0555, 0), 0);
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
  compare (base, base, "t/link", "u", 0);
  gives (0, eio_cptree ("t/-rf", "u", EIO_COPY_ARCHIVE, 0, TREE));
  compare (base, base, "t/-rf", "u", 0);
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

/* It is not for a tree to say whether a file system can do that. */
START_TEST (copy_by_clones)
{
  int can;

  make_tree ();
  make_file ("file");
  can = !run (eio_copy ("file", "clone", EIO_COPY_CLONE_ONLY, KEEP));
  run (eio_cptree ("t/-rf", "u", EIO_COPY_CLONE_ONLY, 0, TREE));
  ck_assert_int_eq (!got.result, can);
  ck_assert_int_eq (exists ("u"), can);
}
END_TEST

/* Some systems do not say how long a link is. */
START_TEST (copy_link_of_no_size)
{
  char text[2][300] = { "", "" };

  if (readlink ("/proc/self/cwd", text[0], 299) < 0)
    return;
  gives (0, eio_cptree ("/proc/self/cwd", "u", 0, 0, TREE));
  ck_assert_int_gt (readlinkat (base, "u", text[1], 299), 0);
  ck_assert_str_eq (text[0], text[1]);
}
END_TEST

/* What is not allowed or not possible is left out; all else is an error. */
START_TEST (copy_status_that_cannot_be)
{
  static const char *const calls[] = { "fchownat", "fchmodat", "utimensat" };
  static const int errors[] = { EPERM, ENOSYS, ENOTSUP, EOPNOTSUPP, EIO };
  int error = errors[_i], i;

  ck_assert_int_eq (mkfifoat (base, "fifo", 0600), 0);
  for (i = 0; i < LENGTH (calls); ++i)
    {
      arm_only (calls[i], 1, error, 0);
      fault.lasts = 1;
      run (eio_cptree ("fifo", "u", EIO_COPY_ARCHIVE, 0, TREE));
      fault.at = 0;
      ck_assert (fault.fired);
      ck_assert_int_eq (got.errorno, error == EIO ? EIO : 0);
      ck_assert (exists ("u"));
    }
}
END_TEST

/* Who must not give files away may still set their group. */
START_TEST (copy_group)
{
  struct stat st;

  if (geteuid ())
    return;
  ck_assert_int_eq (mkfifoat (base, "fifo", 0600), 0);
  ck_assert_int_eq (fchownat (base, "fifo", NOBODY, NOBODY, 0), 0);
  arm_only ("fchownat", 1, EPERM, 0);
  gives (0, eio_cptree ("fifo", "u", EIO_COPY_ARCHIVE, 0, TREE));
  fault.at = 0;
  ck_assert_int_eq (fstatat (base, "u", &st, 0), 0);
  ck_assert_uint_eq (st.st_uid, 0);
  ck_assert_uint_eq (st.st_gid, NOBODY);
}
END_TEST

/* All of it has to be on the disk, and its name. */
START_TEST (copy_that_cannot_be_finished)
{
  static const int errors[] = { EIO, EINTR };
  int n, i;

  make_file ("file");
  arm_only ("fsync", 1, EIO, 0);
  fails (EIO, eio_cptree ("file", "u", EIO_COPY_SYNC, 0, TREE));
  gives (0, eio_cptree ("file", "u", EIO_COPY_SYNC, 0, TREE));
  arm_only ("fsync", 1, EIO, 0);
  fails (EIO, eio_mvtree ("u", "v", EIO_COPY_SYNC, 0, TREE));
  arm_only ("fsync", 2, EIO, 0);
  fails (EIO, eio_mvtree ("v", "u", EIO_COPY_SYNC, 0, TREE));
  gives (0, eio_rmtree ("u", 0, 0, TREE));

  /* That of the copy comes first; after EINTR it is closed. */
  for (i = 0; i < LENGTH (errors); ++i)
    for (n = 1; n < 3; ++n)
      {
        int error = n == 1 && errors[i] == EIO ? EIO : 0;

        arm_only ("close", n, errors[i], 0);
        run (eio_cptree ("file", "u", 0, 0, TREE));
        fault.at = 0;
        ck_assert (fault.fired);
        ck_assert_int_eq (got.errorno, error);
        ck_assert_int_eq (exists ("u"), !error);
      }
}
END_TEST

/* What changes hands is not executed as its new owner, or group. */
START_TEST (copy_set_ids)
{
  static const mode_t want[] = { 06640, 04640, 02640, 0640 };
  struct stat st;
  int i;

  if (geteuid () || getegid ())
    return;
  for (i = 0; i < 4; ++i)
    {
      ck_assert_int_eq (mkfifoat (base, "f", 0600), 0);
      ck_assert_int_eq (fchownat (base, "f", i & 2 ? NOBODY : 0,
                                  i & 1 ? NOBODY : 0, 0), 0);
      ck_assert_int_eq (fchmodat (base, "f", 06640, 0), 0);
      gives (0, eio_cptree ("f", "g", 0, 0, TREE));
      ck_assert_int_eq (fstatat (base, "g", &st, 0), 0);
      ck_assert_uint_eq (st.st_mode & 07777, want[i]);
      ck_assert (!unlinkat (base, "f", 0) && !unlinkat (base, "g", 0));
    }
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
  fails (EEXIST, eio_cptree ("outside", "t/empty", EIO_COPY_EXCL, 0, TREE));
  fails (ENOTDIR, eio_cptree ("t", "t/-rf", 0, 0, TREE));
  fails (EINVAL, eio_cptree ("t", "/", 0, 0, TREE));
  fails (ENOTDIR, eio_cptree ("t/-rf/", "u", 0, 0, TREE));
  fails (ENOTDIR, eio_cptree ("t/-rf", "u/", 0, 0, TREE));
  ck_assert (!exists ("u"));
  fails (EINVAL, eio_cptree ("t", "t/inside", 0, 0, TREE));
  ck_assert (exists ("t/inside/a/b/$(x)") && !exists ("t/inside/inside"));
}
END_TEST

static int
names (const char *name)
{
  struct stat st;

  ck_assert_int_eq (fstatat (base, name, &st, AT_SYMLINK_NOFOLLOW), 0);
  return (int)st.st_nlink;
}

static void
make_name (const char *of, const char *name)
{
  ck_assert_int_eq (linkat (base, of, base, name, 0), 0);
}

/* Names outside of the tree do not count. What is in the way of a link goes,
 * as what is in the way of a file does. */
START_TEST (copy_names)
{
  make_tree ();
  make_name ("t/-rf", "t/a/b/same");
  make_name ("t/-rf", "t/empty/same");
  make_name ("t/-rf", "outside/same");
  make_name ("outside/kept", "t/kept");
  make_name ("t/a/dangling", "t/dangling");

  gives (0, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 0, TREE));
  ck_assert_int_eq (names ("u/-rf"), 3);
  ck_assert_uint_eq (inode ("u/-rf"), inode ("u/a/b/same"));
  ck_assert_uint_eq (inode ("u/-rf"), inode ("u/empty/same"));
  ck_assert_uint_ne (inode ("u/-rf"), inode ("t/-rf"));
  ck_assert_int_eq (names ("u/kept"), 1);
  ck_assert_uint_eq (inode ("u/dangling"), inode ("u/a/dangling"));
  gives (0, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 0, TREE));
  ck_assert_int_eq (names ("u/-rf"), 3);
  ck_assert_uint_eq (inode ("u/-rf"), inode ("u/a/b/same"));

  unlinkat (base, "u/a/b/same", 0);
  make_dir ("u/a/b/same");
  unlinkat (base, "u/empty/same", 0);
  make_link ("../../outside/kept", "u/empty/same");
  fails (EISDIR, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 1, TREE));
  ck_assert_uint_eq (inode ("u/-rf"), inode ("u/empty/same"));

  gives (0, eio_cptree ("t", "v", EIO_COPY_OWNER | EIO_COPY_TIMES, 0, TREE));
  ck_assert_int_eq (names ("v/-rf"), 1);
}
END_TEST

/* While the first copy is under way, the other names wait; the directories
 * that these are in are open, and so others are not begun. */
START_TEST (copy_waits_for_names)
{
  enum { NAMES = 60 };
  char path[20];
  int i, fds;

  make_dir ("t");
  make_file ("of");
  for (i = 0; i < NAMES; ++i)
    {
      snprintf (path, sizeof path, "t/%d", i);
      make_dir (path);
      snprintf (path, sizeof path, "t/%d/same", i);
      make_name ("of", path);
    }
  prepare_stays ();
  holds = 1;
  fds = count_fds ();
  eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 0, TREE);
  while (holds || eio_nreqs () > 2) /* the tree, and the first copy */
    {
      host_wait (10);
      eio_poll ();
    }
  fds = count_fds () - fds;
  give (&let_go, 1);
  host_drain ();
  ck_assert_int_eq (got.result, 0);
  ck_assert_int_eq (names ("u/0/same"), NAMES);
  ck_assert_msg (fds > 6 && fds < NAMES, "%d descriptors", fds);
}
END_TEST

/* Many files of many names, by many workers. */
START_TEST (copy_many_names)
{
  enum { FILES = 60, NAMES = 12 };
  char name[40], first[40];
  int i, j, turn;

  make_dir ("t");
  for (j = 0; j < NAMES; ++j)
    {
      snprintf (name, sizeof name, "t/%d", j);
      make_dir (name);
      for (i = 0; i < FILES; ++i)
        {
          snprintf (name, sizeof name, "t/%d/%d", j, i);
          snprintf (first, sizeof first, "t/0/%d", i);
          if (j)
            make_name (first, name);
          else
            make_file (name);
        }
    }
  for (turn = 0; turn < 5; ++turn)
    {
      gives (0, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 8, TREE));
      compare (base, base, "t", "u", 1);
      for (i = 0; i < FILES; ++i)
        {
          snprintf (first, sizeof first, "u/0/%d", i);
          ck_assert_int_eq (names (first), NAMES);
        }
      gives (0, eio_rmtree ("u", 0, 0, TREE));
    }
  fault.far = 1;
  gives (0, eio_mvtree ("t", "u", 0, 8, TREE));
  fault.far = 0;
  ck_assert (!exists ("t"));
  ck_assert_int_eq (names (first), NAMES);
  ck_assert_int_eq (blocks_left (), 0);
}
END_TEST

/* The first copy's path is longer than a path may be. */
START_TEST (copy_names_far_down)
{
  enum { LEVELS = 20 };
  char name[251] = "";
  int i, k, fd, next;

  memset (name, '-', sizeof name - 1);
  make_dir ("t");
  make_file ("file");
  for (i = 0; i < 2; ++i)
    {
      fd = openat (base, "t", O_RDONLY | O_DIRECTORY);
      for (k = 0; k < LEVELS; ++k)
        {
          name[0] = (char)('0' + i);
          ck_assert_int_eq (mkdirat (fd, name, 0700), 0);
          next = openat (fd, name, O_RDONLY | O_DIRECTORY);
          close (fd);
          fd = next;
        }
      ck_assert_int_eq (linkat (base, "file", fd, "same", 0), 0);
      close (fd);
    }
  ck_assert (!unlinkat (base, "file", 0));
  gives (0, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 0, TREE));
  compare (base, base, "t", "u", 1);
  gives (0, eio_rmtree ("t", 0, 0, TREE));
  gives (0, eio_rmtree ("u", 0, 0, TREE));
}
END_TEST

static eio__tree *new_tree;
static eio__treeid new_id;
static eio__treefile *new_file;

static void
find_new_file (void)
{
  new_file = eio__tree_find_file (new_tree, &new_id);
}

/* While a worker adds a file another adds one, the same or not. */
START_TEST (files_are_added_meanwhile)
{
  static const eio__treeid id = { 1, 2 };
  eio__tree tree;
  eio__treefile *file;
  int i;

  for (i = 0; i < 2; ++i)
    {
      long before = live;

      memset (&tree, 0, sizeof tree);
      new_tree = &tree;
      new_id = id;
      new_id.ino += (ino_t)i;
      before_allocation = find_new_file;
      file = eio__tree_find_file (&tree, &id);
      ck_assert_ptr_nonnull (file);
      ck_assert_int_eq (file == new_file, !i);
      ck_assert_int_eq (live, before + 1 + i);
      ck_assert_ptr_eq (eio__tree_find_file (&tree, &id), file);
      ck_assert_ptr_eq (eio__tree_find_file (&tree, &new_id), new_file);
      eio__tree_free_files (tree.files);
      ck_assert_int_eq (live, before);
    }
}
END_TEST

static void
copy_as_user (void)
{
  struct stat st;
  int mine;

  base = open (".", O_RDONLY | O_DIRECTORY);
  mine = !fstat (base, &st) && st.st_uid == geteuid ();
  make_dir ("open/t");
  make_file ("open/t/file");
  make_dir ("open/t/shut");
  make_file ("open/t/shut/file");
  make_file ("open/t/secret");
  ck_assert_int_eq (fchmodat (base, "open/t/shut", 0, 0), 0);
  ck_assert_int_eq (fchmodat (base, "open/t/secret", 0, 0), 0);

  fails (EACCES, eio_cptree ("open/t", "open/u", EIO_COPY_ARCHIVE, 0, TREE));
  ck_assert_int_eq (error_count, 2);
  ck_assert (exists ("open/u/file") && !exists ("open/u/secret"));
  gives (0, eio_rmtree ("open/u", 0, 0, TREE));
  fault.far = 1;
  fails (EACCES, eio_mvtree ("open/t", "open/u", 0, 0, TREE));
  ck_assert (exists ("open/t/file"));
  fault.far = 0;
  if (!mine)
    fails (EACCES, eio_mvtree ("open/t", "t", 0, 0, TREE));

  gives (0, eio_cptree ("suid", "open/s", EIO_COPY_ARCHIVE, 0, TREE));
  ck_assert_int_eq (fstatat (base, "open/s/x", &st, 0), 0);
  ck_assert_uint_eq (st.st_mode & 07777, mine ? 06755 : 0755);
  ck_assert_int_eq (fstatat (base, "open/s/fifo", &st, 0), 0);
  ck_assert_uint_eq (st.st_mode & 07777, mine ? 06644 : 0644);
  ck_assert (exists ("open/s/link"));
  close (base);
}

START_TEST (copy_what_may_be)
{
  make_dir ("suid");
  make_file ("suid/x");
  ck_assert_int_eq (fchmodat (base, "suid", 0755, 0), 0);
  ck_assert_int_eq (fchmodat (base, "suid/x", 06755, 0), 0);
  ck_assert_int_eq (mkfifoat (base, "suid/fifo", 0600), 0);
  ck_assert_int_eq (fchmodat (base, "suid/fifo", 06644, 0), 0);
  make_link ("x", "suid/link");
  as_user (copy_as_user);
}
END_TEST

/* A link that cannot be becomes a file. */
static int
refuse_links (const char *what_is_left)
{
  int i, files = 0, error[] = { EMLINK, EXDEV, EPERM, ENOENT, EACCES };

  for (i = 0; i < LENGTH (error); ++i)
    {
      link_error = error[i];
      gives (0, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 1, TREE));
      files += names (what_is_left) == 1;
      gives (0, eio_rmtree ("u", 0, 0, TREE));
    }
  link_error = EIO;
  fails (EIO, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 1, TREE));
  gives (0, eio_rmtree ("u", 0, 0, TREE));
  link_error = 0;
  return files;
}

START_TEST (copy_no_names)
{
  make_tree ();
  make_name ("t/-rf", "t/a/b/same");
  ck_assert_int_eq (refuse_links ("u/-rf"), 5);
  ck_assert_int_eq (refuse_links ("u/a/b/same"), 5);
}
END_TEST

/* --- moving -------------------------------------------------------------- */

static char elsewhere[64]; /* on another file system, if there is one */
static pid_t elsewhere_of;

static void
leave_elsewhere (void)
{
  if (elsewhere_of == getpid ())
    remove_tree (elsewhere);
}

/* Returns a descriptor of it. */
static int
go_elsewhere (void)
{
  struct stat st[2];
  int fd;

  strcpy (elsewhere, "/dev/shm/eiotree.XXXXXX");
  if (mkdtemp (elsewhere))
    {
      elsewhere_of = getpid ();
      atexit (leave_elsewhere);
    }
  else
    {
      make_dir ("elsewhere");
      strcpy (elsewhere, "elsewhere");
    }
  fd = open (elsewhere, O_RDONLY | O_DIRECTORY);
  ck_assert (!fstat (fd, &st[0]) && !fstat (base, &st[1]));
  fault.far = st[0].st_dev == st[1].st_dev;
  return fd;
}

/* A path there (static, the last 4 stay valid). */
static const char *
there (const char *name)
{
  static char paths[4][100];
  static int turn;
  char *path = paths[turn++ % 4];

  snprintf (path, sizeof paths[0], "%s/%s", elsewhere, name);
  return path;
}

START_TEST (move_near)
{
  make_rich_tree ();
  gives (0, eio_cptree ("t", "ref", EIO_COPY_ARCHIVE, 0, TREE));
  gives (0, eio_mvtree ("t/", "u/", 0, 0, TREE));
  ck_assert (!exists ("t"));
  compare (base, base, "ref", "u", 1);
  gives (0, eio_mvtree ("u", scratch_path ("t"),
                        EIO_COPY_EXCL | EIO_COPY_SYNC | EIO_TREE_XDEV, 1,
                        TREE));
  compare (base, base, "ref", "t", 1);
  make_dir ("u");
  gives (0, eio_mvtree ("t", "u", EIO_COPY_SYNC, 0, TREE));
  gives (0, eio_mvtree ("u/link", "link", 0, 0, TREE));
  gives (0, eio_mvtree ("u/-rf", "link", 0, 0, TREE));
  gives (0, eio_mvtree ("u/fifo", "fifo", EIO_COPY_EXCL, 0, TREE));
  ck_assert (exists ("fifo") && !exists ("u/-rf"));
}
END_TEST

/* Nothing is replaced that others have, by whatever calls. */
START_TEST (move_near_without_renameat2)
{
  ino_t file, dir;

  make_tree ();
  file = inode ("t/-rf");
  dir = inode ("t");
  without_renameat2 = 1;
  fails (EEXIST, eio_mvtree ("t", "outside", EIO_COPY_EXCL, 0, TREE));
  fails (EEXIST, eio_mvtree ("t/-rf", "t/ ", EIO_COPY_EXCL, 0, TREE));
  fails (EEXIST, eio_mvtree ("t/-rf", "t/link", EIO_COPY_EXCL, 0, TREE));
  gives (0, eio_mvtree ("t/-rf", "file", EIO_COPY_EXCL, 0, TREE));
  gives (0, eio_mvtree ("t", "u", EIO_COPY_EXCL, 0, TREE));
  ck_assert (!exists ("t") && !exists ("u/-rf") && exists ("u/ "));
  ck_assert_uint_eq (inode ("file"), file);
  ck_assert_uint_eq (inode ("u"), dir);
  arm_only ("renameat", 1, EIO, 0);
  fails (EIO, eio_mvtree ("u", "v", EIO_COPY_EXCL, 0, TREE));
  arm_only ("renameat", 1, EIO, 0);
  fails (EIO, eio_mvtree ("file", "v", EIO_COPY_EXCL, 0, TREE));
  fault.at = 0;
  ck_assert (!exists ("v"));
  fault.far = 1;
  gives (0, eio_mvtree ("u", "v", EIO_COPY_EXCL, 0, TREE));
  gives (0, eio_mvtree ("file", "u", EIO_COPY_EXCL, 0, TREE));
  ck_assert (!exists ("file") && is_there (base, "u", 5) && exists ("v/ "));
  fault.far = without_renameat2 = 0;
}
END_TEST

/* Copies, or moves, from one directory to the other. */
static void
sync_all (int kind, const char *name)
{
  char from[20], to[20];

  snprintf (from, sizeof from, "a/%s", name);
  snprintf (to, sizeof to, "b/%s", name);
  synced.n = 0;
  synced.flags = ~0;
  gives (0, kind ? eio_mvtree (from, to, EIO_COPY_SYNC, 0, TREE)
                 : eio_cptree (from, to, EIO_COPY_SYNC, 0, TREE));
  ck_assert (synced.flags & EIO_COPY_SYNC);
  ck_assert_int_gt (synced.n, kind);
  ck_assert_int_le (synced.n, LENGTH (synced.dirs));
  ck_assert_uint_eq (synced.dirs[0], inode ("b"));
  ck_assert_uint_eq (synced.dirs[synced.n - 1], inode (kind ? "a" : "b"));
  ck_assert_int_eq (exists (from), !kind);
}

/* The new name is on the disk before the old one is not. */
START_TEST (names_are_synchronised)
{
  make_dir ("a");
  make_dir ("b");
  make_dir ("a/dir");
  make_file ("a/dir/file");
  make_file ("a/file");
  sync_all (0, "dir");
  sync_all (0, "file");
  ck_assert (!unlinkat (base, "b/dir/file", 0)
             && !unlinkat (base, "b/file", 0));
  fault.far = 1;
  sync_all (1, "dir");
  sync_all (1, "file");
  fault.far = 0;
  gives (0, eio_mvtree ("b/dir", "a/dir", 0, 0, TREE));
  gives (0, eio_mvtree ("b/file", "a/file", 0, 0, TREE));
  sync_all (1, "dir");
  sync_all (1, "file");
}
END_TEST

/* Both near and far. */
static void
move_nothing_to (const char *full, const char *file, const char *new)
{
  fails (EINVAL, eio_mvtree ("t", "t", 0, 0, TREE));
  fails (EINVAL, eio_mvtree ("t/-rf", "t/a/../-rf", 0, 0, TREE));
  fails (EINVAL, eio_mvtree ("t", new, 0x4000, 0, TREE));
  fails (EINVAL, eio_mvtree ("/", new, 0, 0, TREE));
  fails (EINVAL, eio_mvtree ("t/.", new, 0, 0, TREE));
  fails (EINVAL, eio_mvtree ("t", "outside/..", 0, 0, TREE));
  fails (EINVAL, eio_mvtree (0, new, 0, 0, TREE));
  fails (EINVAL, eio_mvtree ("t", 0, 0, 0, TREE));
  fails (ENOENT, eio_mvtree ("", new, 0, 0, TREE));
  fails (ENOENT, eio_mvtree ("t", "", 0, 0, TREE));
  fails (ENOENT, eio_mvtree ("missing", new, 0, 0, TREE));
  fails (ENOENT, eio_mvtree ("t", "missing/u", 0, 0, TREE));
  fails (ENOTEMPTY, eio_mvtree ("t", full, 0, 0, TREE));
  fails (EEXIST, eio_mvtree ("t", full, EIO_COPY_EXCL, 0, TREE));
  fails (ENOTDIR, eio_mvtree ("t", file, 0, 0, TREE));
  fails (EEXIST, eio_mvtree ("t", file, EIO_COPY_EXCL, 0, TREE));
  fails (EISDIR, eio_mvtree ("t/-rf", full, 0, 0, TREE));
  fails (EEXIST, eio_mvtree ("t/-rf", file, EIO_COPY_EXCL, 0, TREE));
  fails (ENOTDIR, eio_mvtree ("t/-rf/", new, 0, 0, TREE));
  fails (ENOTDIR, eio_mvtree ("t/link/", new, 0, 0, TREE));
  compare (base, base, "ref", "t", 1);
}

START_TEST (move_nothing)
{
  int fd = go_elsewhere (), far = fault.far;

  make_rich_tree ();
  gives (0, eio_cptree ("t", "ref", EIO_COPY_ARCHIVE, 0, TREE));
  ck_assert_int_eq (mkdirat (fd, "full", 0700), 0);
  ck_assert_int_eq (mkdirat (fd, "full/x", 0700), 0);
  write_file (there ("file"), "old", 3);
  make_file ("old");
  fault.far = 0;
  move_nothing_to ("outside", "old", "u");
  fault.far = far;
  move_nothing_to (there ("full"), there ("file"), there ("u"));
  fault.far = 0;
  fails (EINVAL, eio_mvtree ("t", "t/a/u", 0, 0, TREE));
  fails (EINVAL, eio_mvtree ("t", "t/a/u", EIO_COPY_EXCL, 0, TREE));
  compare (base, base, "ref", "t", 0);
  ck_assert (!faccessat (fd, "file", F_OK, 0) && exists ("outside/kept"));
  close (fd);
}
END_TEST

static int
see_totals (eio_req *req)
{
  struct eio_progress p;

  eio_tree_progress (req, &p);
  ck_assert_uint_eq (p.bytes_done, p.bytes_total);
  ck_assert_uint_eq (p.entries_done, ENTRIES * 2);
  ck_assert_uint_eq (p.bytes_done, 7 * 5);
  return keep_tree (req);
}

static const eio_req *watched;
static struct eio_progress halfway;

static void
look_at_progress (void)
{
  eio_tree_progress (watched, &halfway);
}

/* When all has been copied it is known how much there is to be done. */
START_TEST (move_half)
{
  eio_req *req;

  make_tree ();
  fault.far = 1;
  arm_only ("unlinkat", 1, 0, look_at_progress);
  watched = req = eio_mvtree ("t", "u", 0, 1, TREE);
  gives (0, req);
  fault.at = fault.far = 0;
  ck_assert_int_ge (halfway.entries_done, ENTRIES);
  ck_assert_int_lt (halfway.entries_done, 2 * ENTRIES);
  ck_assert_uint_eq (halfway.entries_total, 2 * ENTRIES);
  ck_assert_uint_eq (halfway.bytes_done, 7 * 5);
  ck_assert_uint_eq (halfway.bytes_total, 7 * 5);
}
END_TEST

/* They are looked at before anything is removed. */
START_TEST (move_no_mounts)
{
  int fd = go_elsewhere ();

  make_tree ();
  mounted = inode ("t/a/b");
  fails (EXDEV, eio_mvtree ("t", there ("u"), EIO_TREE_XDEV, 0, TREE));
  mounted = 0;
  walks ("t", 0, 0, 0);
  ck_assert_int_eq (seen.entries, ENTRIES);
  close (fd);
}
END_TEST

START_TEST (move_far)
{
  int fd = go_elsewhere ();
  unsigned maxreq;

  make_rich_tree ();
  gives (0, eio_cptree ("t", "ref", EIO_COPY_ARCHIVE, 0, TREE));
  for (maxreq = 0; maxreq < 5; ++maxreq)
    {
      if (maxreq & 1)
        ck_assert_int_eq (mkdirat (fd, "u", 0700), 0);
      gives (0, eio_mvtree ("t", there ("u/"),
                            maxreq & 1 ? 0 : EIO_COPY_EXCL | EIO_COPY_SYNC,
                            maxreq, TREE));
      ck_assert (!exists ("t"));
      compare (base, fd, "ref", "u", 1);
      gives (0, eio_mvtree (there ("u"), "t", EIO_TREE_XDEV, maxreq, TREE));
      ck_assert_int_ne (faccessat (fd, "u", F_OK, 0), 0);
      compare (base, base, "ref", "t", 1);
    }

  gives (0, eio_mvtree ("t/-rf", there ("u"), EIO_COPY_SYNC, 0, TREE));
  gives (0, eio_mvtree ("t/link", there ("u"), 0, 0, TREE));
  gives (0, eio_mvtree ("t/fifo", there ("fifo"), EIO_COPY_EXCL, 0, TREE));
  gives (0, eio_mvtree ("t/socket", there ("socket"), 0, 0, TREE));
  ck_assert (!exists ("t/-rf") && !exists ("t/link") && !exists ("t/fifo"));
  compare (base, fd, "ref/fifo", "fifo", 1);
  compare (base, fd, "ref/link", "u", 0);
  gives (0, eio_rmtree ("t", 0, 0, TREE));
  make_tree ();
  gives (0, eio_mvtree ("t", there ("v"), 0, 2, see_totals, 0));
  close (fd);
}
END_TEST

/* --- each call ----------------------------------------------------------- */

static int target; /* the directory elsewhere */

/* Whether each file in a is in b, or in c, with what it had. */
static int
is_kept (int a, int b, int c)
{
  DIR *d = fdopendir (dup (a));
  struct dirent *de;
  struct stat st;
  int fd[3], i, res = 1;

  rewinddir (d);
  while (res && (de = readdir (d)))
    {
      if (eio__tree_is_dot (de->d_name))
        continue;
      ck_assert (!fstatat (a, de->d_name, &st, AT_SYMLINK_NOFOLLOW));
      if (!S_ISDIR (st.st_mode))
        {
          res = !differ (a, b, de->d_name, de->d_name, 0)
                || !differ (a, c, de->d_name, de->d_name, 0);
          continue;
        }
      fd[0] = openat (a, de->d_name, O_RDONLY);
      fd[1] = openat (b, de->d_name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
      fd[2] = openat (c, de->d_name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
      res = (fd[1] >= 0 || fd[2] >= 0) && is_kept (fd[0], fd[1], fd[2]);
      for (i = 0; i < 3; ++i)
        if (fd[i] >= 0)
          close (fd[i]);
    }
  closedir (d);
  return res;
}

static int
open_if (int in, const char *name)
{
  return openat (in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/* Of a tree that was moved from t to u there. */
static int
is_safe (void)
{
  int a = open_if (base, "ref"), b = open_if (base, "t"),
      c = open_if (target, "u"), res = is_kept (a, b, c);

  close (a);
  if (b >= 0)
    close (b);
  if (c >= 0)
    close (c);
  return res;
}

/* Small, with something of all kinds. */
static void
make_small_tree (const char *name)
{
  char buf[40];

#define IN(entry) (snprintf (buf, sizeof buf, "%s/%s", name, entry), buf)
  make_dir (name);
  make_dir (IN ("a"));
  make_dir (IN ("a/b"));
  make_dir (IN ("empty"));
  make_file (IN ("file"));
  make_file (IN ("a/file"));
  make_file (IN ("a/b/same"));
  make_link ("a/b", IN ("link"));
  ck_assert_int_eq (mkfifoat (base, IN ("fifo"), 0640), 0);
  ck_assert (!linkat (base, buf, base, "tmp", 0));
  renameat (base, "tmp", base, IN ("a/fifo"));
  ck_assert (!linkat (base, IN ("a/b/same"), base, "tmp", 0));
  renameat (base, "tmp", base, IN ("empty/same"));
#undef IN
}

enum { WALK, REMOVE, COPY, MOVE };

static eio_req *
begin (int kind, unsigned maxreq)
{
  eio_req *req;

  memset (&seen, 0, sizeof seen);
  req = kind == WALK ? eio_walk ("t", EIO_WALK_STAT | EIO_WALK_POSTORDER,
                                 maxreq, see, TREE)
        : kind == REMOVE ? eio_rmtree ("t", 0, maxreq, TREE)
        : kind == COPY   ? eio_cptree ("t", there ("u"),
                                     EIO_COPY_ARCHIVE | EIO_COPY_SYNC,
                                     maxreq, TREE)
                       : eio_mvtree ("t", there ("u"), EIO_COPY_SYNC, maxreq,
                                     TREE);
  return keep_few_open (req);
}

/* As at first. */
static void
begin_anew (void)
{
  fault.at = 0;
  if (!faccessat (target, "u", F_OK, AT_SYMLINK_NOFOLLOW))
    gives (0, eio_rmtree (there ("u"), 0, 0, TREE));
  if (exists ("t") && differ (base, base, "ref", "t", 1))
    gives (0, eio_rmtree ("t", 0, 0, TREE));
  if (!exists ("t"))
    gives (0, eio_cptree ("ref", "t", EIO_COPY_ARCHIVE, 0, TREE));
}

/* What has to hold for what was done, whatever failed. */
static void
check_outcome (int kind, int error)
{
  if (kind == WALK && !got.result && error != ENOENT)
    ck_assert_int_eq (seen.entries, 11);
  if (kind == REMOVE && !got.result && error != ENOENT)
    ck_assert (!exists ("t"));
  if (kind == REMOVE && exists ("t"))
    ck_assert (got.result || error == ENOENT);
  if (kind == COPY)
    compare (base, base, "ref", "t", 1);
  if (kind == COPY && !got.result && error != ENOENT)
    compare (base, target, "ref", "u", 1);
  if (kind != MOVE)
    return;
  ck_assert_msg (is_safe (), "%s: lost", where);
  if (!got.result && error != ENOENT)
    ck_assert (!exists ("t"));
  if (error != ENOENT && (!exists ("t") || differ (base, base, "ref", "t", 0)))
    compare (base, target, "ref", "u", 1);
}

static void
fail_each (int kind, int error, int lasts)
{
  int n, fds;

  for (n = 1; n == 1 || fault.fired; ++n)
    {
      begin_anew ();
      fds = count_fds ();
      arm (n, error, 0);
      fault.lasts = lasts;
      run (begin (kind, 1));
      fault.at = 0;
      ck_assert_int_eq (count_fds (), fds);
      ck_assert (fault.fired || !got.result);
      check_outcome (kind, error);
    }
  ck_assert_int_gt (n, 30);
}

static const int fail_errors[] = { EIO, ENOENT, EMFILE, ENFILE };

START_TEST (each_call_fails)
{
  int kind = _i / LENGTH (fail_errors), i = _i % LENGTH (fail_errors);

  may_be_open = (kind + i) % 2;
  target = go_elsewhere ();
  make_small_tree ("ref");
  fail_each (kind, fail_errors[i], 0);
  close (target);
  ck_assert_int_eq (blocks_left (), 0);
}
END_TEST

/* As when a disk dies, or others take all descriptors. */
START_TEST (all_calls_fail_from_then_on)
{
  target = go_elsewhere ();
  make_small_tree ("ref");
  fail_each (_i / 2, _i % 2 ? EMFILE : EIO, 1);
  close (target);
  ck_assert_int_eq (blocks_left (), 0);
}
END_TEST

/* Opening a directory over a network may take long. */
START_TEST (interrupted_opens_are_repeated)
{
  int n;

  target = go_elsewhere ();
  make_small_tree ("ref");
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      begin_anew ();
      arm_only ("openat", n, EINTR, 0);
      run (begin (_i, 1));
      fault.at = 0;
      ck_assert_int_eq (got.result, 0);
      check_outcome (_i, 0);
    }
  ck_assert_int_gt (n, 5);
  close (target);
}
END_TEST

START_TEST (each_call_fails_without_types)
{
  target = go_elsewhere ();
  make_small_tree ("ref");
  told_type = DT_UNKNOWN;
  fail_each (_i, EIO, 0);
  told_type = -1;
  close (target);
}
END_TEST

/* As when two jobs have opened a directory from below. */
START_TEST (descriptors_of_the_slower_job_are_closed)
{
  eio__tree tree;
  eio__treedir dir;
  eio__treefds first, second;
  int i, fds = count_fds ();

  memset (&tree, 0, sizeof tree);
  memset (&dir, 0, sizeof dir);
  tree.root = &dir;
  dir.fds = eio__tree_no_fds;
  for (i = 0; i < 2; ++i)
    {
      first.at[i] = dup (base);
      second.at[i] = dup (base);
    }
  eio__tree_give_fds (&tree, &dir, &first);
  eio__tree_give_fds (&tree, &dir, &second);
  ck_assert_int_lt (first.at[0], 0);
  ck_assert_int_lt (second.at[1], 0);
  ck_assert_uint_eq (tree.ngarbage, 2);
  for (i = 0; i < 2; ++i)
    {
      ck_assert_int_eq (close (tree.garbage[i]), 0);
      ck_assert_int_eq (close (dir.fds.at[i]), 0);
    }
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* What is not the same in each of this, is not what was copied. */
START_TEST (marks_differ_in_all_that_makes_a_file)
{
  static const eio__treeid in = { 1, 2 };
  static const eio__treeid others[] = { { 1, 3 }, { 3, 2 } };
  struct stat st, sts[9];
  uint64_t mark;
  int i;

  ck_assert_int_eq (fstatat (base, ".", &st, 0), 0);
  st.st_mode = S_IFREG | 0600;
  for (i = 0; i < LENGTH (sts); ++i)
    sts[i] = st;
  ++sts[0].st_dev;
  ++sts[1].st_ino;
  sts[2].st_mode ^= 0100;
  sts[3].st_mode ^= S_IFREG ^ S_IFIFO;
  ++sts[4].st_size;
  ++sts[5].st_uid;
  ++sts[6].st_gid;
  ++sts[7].st_mtim.tv_sec;
  sts[8].st_mtim.tv_nsec ^= 1;

  mark = eio__tree_mark (&in, "ab", &st, 0);
  ck_assert (mark == eio__tree_mark (&in, "ab", &st, 0));
  ck_assert (mark != eio__tree_mark (&in, "ac", &st, 0));
  for (i = 0; i < LENGTH (others); ++i)
    ck_assert (mark != eio__tree_mark (&others[i], "ab", &st, 0));
  for (i = 0; i < LENGTH (sts); ++i)
    ck_assert_msg (mark != eio__tree_mark (&in, "ab", &sts[i], 0), "%d", i);

  /* A name that is removed changes the status of one that has several. */
  mark = eio__tree_mark (&in, "ab", &st, 1);
  ++st.st_ctim.tv_sec;
  ck_assert (mark == eio__tree_mark (&in, "ab", &st, 1));
  st.st_ctim = st.st_mtim;
  mark = eio__tree_mark (&in, "ab", &st, 0);
  ++st.st_ctim.tv_nsec;
  ck_assert (mark != eio__tree_mark (&in, "ab", &st, 0));
}
END_TEST

/* Of the directories that were closed and are opened again, too. */
START_TEST (each_look_at_a_directory_fails)
{
  int n, fds;

  make_branches ();
  may_be_open = 1;
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      fds = count_fds ();
      arm_only ("fstat", n, EIO, 0);
      memset (&seen, 0, sizeof seen);
      run (keep_few_open (eio_walk ("t", 0, 1, see, TREE)));
      fault.at = 0;
      ck_assert_int_eq (got.errorno, fault.fired ? EIO : 0);
      ck_assert (fault.fired || seen.entries == LENGTH (branches));
      ck_assert_int_eq (count_fds (), fds);
    }
  ck_assert_int_gt (fault.calls, LENGTH (branches));
}
END_TEST

/* --- others, before each call -------------------------------------------- */

static int acted; /* what they wanted to do could be done */

/* A link that leads outside takes the place of a directory. */
static void
lure (void)
{
  acted = !renameat (base, "t/a", base, "away")
          && !symlinkat (scratch_path ("outside"), base, "t/a");
}

static void
lure_target (void)
{
  acted = !renameat (target, "u/a", target, "away")
          && !symlinkat (scratch_path ("outside"), target, "u/a");
}

/* Another directory takes the place. */
static void
usurp (void)
{
  acted = !renameat (base, "t/a", base, "away")
          && !mkdirat (base, "t/a", 0700);
}

static void
usurp_target (void)
{
  acted = !renameat (target, "u/a", target, "away")
          && !mkdirat (target, "u/a", 0700);
}

static void
append_to (const char *name)
{
  int fd = openat (base, name, O_WRONLY | O_APPEND);

  acted = fd >= 0 && write (fd, "+", 1) == 1;
  if (fd >= 0)
    close (fd);
}

static void
append (void)
{
  append_to ("t/file");
}

/* To what has two names, unless the other has gone. */
static int has_both;

static void
append_to_same (void)
{
  has_both = exists ("t/empty/same");
  append_to ("t/a/b/same");
}

static void
add (void)
{
  int fd = openat (base, "t/a/new", O_WRONLY | O_CREAT, 0600);

  acted = fd >= 0;
  if (fd >= 0)
    close (fd);
  mkdirat (base, "t/a/newer", 0700);
}

static void
replace (void)
{
  acted = !unlinkat (base, "t/a/file", 0)
          && !mkdirat (base, "t/a/file", 0700);
}

/* One that has several names gets others. */
static void
add_names (void)
{
  acted = !linkat (base, "t/a/b/same", base, "t/a/other", 0)
          && !linkat (base, "t/a/b/same", base, "t/a/same", 0)
          && !linkat (base, "t/a/b/same", base, "t/a/b/other", 0);
}

/* Where a copy is going to be made. */
static void
intrude (void)
{
  int fd = openat (target, "u/file", O_WRONLY | O_CREAT | O_EXCL, 0600);

  acted = fd >= 0 && write (fd, "strange", 7) == 7;
  if (fd >= 0)
    close (fd);
}

static void
intrude_by_directory (void)
{
  acted = !mkdirat (target, "u/a", 0700);
}

/* One that has several names, and as many bytes as before. */
static void
overwrite (void)
{
  const struct timespec times[2] = { { 3, 0 }, { 4, 0 } };
  int fd = openat (base, "t/a/b/same", O_WRONLY);

  acted = fd >= 0 && pwrite (fd, "+", 1, 0) == 1 && !futimens (fd, times);
  if (fd >= 0)
    close (fd);
}

static int
is_overwritten (int dir, const char *name)
{
  int fd = openat (dir, name, O_RDONLY);
  char c = 0;

  if (fd >= 0)
    {
      ck_assert_int_eq (read (fd, &c, 1), 1);
      close (fd);
    }
  return c == '+';
}

/* What was appended, unless that came too late. */
static int
has_appended (const char *name)
{
  char from[40], to[40];

  snprintf (from, sizeof from, "t/%s", name);
  snprintf (to, sizeof to, "u/%s", name);
  return is_there (base, from, 6) || is_there (target, to, 6)
         || !strcmp (fault.call, "unlinkat");
}

/* Nothing happened outside, and nothing of others was lost. */
static void
check_act (int kind, void (*act) (void))
{
  int of_source = act == lure || act == usurp, a, b, c;

  ck_assert (is_there (base, "outside/kept", 5));
  ck_assert_int_eq (names ("outside"), 2);
  ck_assert_int_eq (unlinkat (base, "outside", AT_REMOVEDIR), -1);
  unlinkat (base, "outside/kept", 0);
  ck_assert_int_eq (unlinkat (base, "outside", AT_REMOVEDIR), 0);
  make_dir ("outside");
  make_file ("outside/kept");

  if (kind == REMOVE && act == add)
    ck_assert (!got.result && !exists ("t"));
  if (!acted || (kind != MOVE && (kind != COPY || got.result || of_source)))
    return;
  ck_assert (act != append || has_appended ("file"));
  ck_assert (act != append_to_same
             || (has_appended ("a/b/same")
                 && (!has_both || has_appended ("empty/same"))));
  ck_assert (act != overwrite || is_overwritten (base, "t/a/b/same")
             || is_overwritten (base, "t/empty/same")
             || is_overwritten (target, "u/a/b/same")
             || !strcmp (fault.call, "unlinkat"));
  ck_assert (act != add || is_there (base, "t/a/new", 0)
             || is_there (target, "u/a/new", 0));
  ck_assert (act != add || is_there (base, "t/a/newer", -1)
             || is_there (target, "u/a/newer", -1));
  ck_assert (act != add_names || is_there (base, "t/a/other", 5)
             || is_there (target, "u/a/other", 5));
  ck_assert (act != add_names || is_there (base, "t/a/b/other", 5)
             || is_there (target, "u/a/b/other", 5));
  ck_assert (act != add_names || is_there (base, "t/a/same", 5)
             || is_there (target, "u/a/same", 5));
  ck_assert (act != intrude || kind != MOVE
             || is_there (target, "u/file", 7));
  ck_assert (act != intrude_by_directory || kind != MOVE
             || got.errorno == EEXIST);
  ck_assert (act != replace || is_there (base, "t/a/file", -1)
             || is_there (target, "u/a/file", -1));
  if (!of_source && act != lure_target && act != usurp_target)
    return;
  a = open_if (base, "ref/a");
  b = of_source          ? open_if (base, "away")
      : kind == MOVE     ? open_if (base, "t/a")
                         : open_if (target, "u/a");
  c = of_source ? open_if (target, "u/a") : open_if (target, "away");
  if (!is_kept (a, b, c))
    {
      int d = open_if (target, "u/a"); /* entered after that */

      ck_assert_msg (act == usurp_target && is_kept (a, b, d), "%s: lost",
                     where);
      close (d);
    }
  close (a);
  if (b >= 0)
    close (b);
  if (c >= 0)
    close (c);
}

static void (*const acts[]) (void)
    = { lure, lure_target, append, append_to_same, overwrite,
        add, add_names, intrude, intrude_by_directory, replace, usurp,
        usurp_target };

START_TEST (others_act)
{
  int kind = _i / LENGTH (acts), n, fds, maxreq;
  void (*act) (void) = acts[_i % LENGTH (acts)];

  target = go_elsewhere ();
  make_dir ("outside");
  make_file ("outside/kept");
  make_small_tree ("ref");
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      fault.at = 0;
      if (exists ("away"))
        gives (0, eio_rmtree ("away", 0, 0, TREE));
      if (!faccessat (target, "away", F_OK, AT_SYMLINK_NOFOLLOW))
        gives (0, eio_rmtree (there ("away"), 0, 0, TREE));
      begin_anew ();
      fds = count_fds ();
      acted = 0;
      arm (n, 0, act);
      maxreq = act == append || act == append_to_same || act == overwrite
                 ? 1
                 : 1 + n % 2;
      may_be_open = act == usurp || act == usurp_target;
      run (begin (kind, (unsigned)maxreq));
      fault.at = 0;
      ck_assert_int_eq (count_fds (), fds);
      check_act (kind, act);
    }
  ck_assert_int_gt (n, 30);
  close (target);
}
END_TEST

/* Makes the request again and again, for somebody to act before one call after
 * the other, until that is one of this name. */
static void
meet (const char *call, void (*act) (void), eio_req *(*request) (void))
{
  int n = 0;

  do
    {
      if (exists ("t"))
        gives (0, eio_rmtree ("t", 0, 0, TREE));
      if (exists ("u"))
        gives (0, eio_rmtree ("u", 0, 0, TREE));
      make_tree ();
      make_name ("t/-rf", "t/a/same");
      acted = 0;
      arm (++n, 0, act);
      run (request ());
      fault.at = 0;
      ck_assert_msg (fault.fired, "no call of %s", call);
    }
  while (strcmp (fault.call, call) || !acted);
}

static eio_req *
copy_it (void)
{
  return eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 1, TREE);
}

static eio_req *
copy_it_anew (void)
{
  return eio_cptree ("t", "u", EIO_COPY_ARCHIVE | EIO_COPY_EXCL, 1, TREE);
}

static eio_req *
copy_file (void)
{
  return eio_cptree ("t/-rf", "u", 0, 0, TREE);
}

static eio_req *
copy_link (void)
{
  return eio_cptree ("t/link", "u", 0, 0, TREE);
}

static void
lengthen (void)
{
  acted = !unlinkat (base, "t/link", 0)
          && !symlinkat ("../outside/but/longer", base, "t/link");
}

/* A part of a link would be another one. */
START_TEST (links_grow)
{
  meet ("readlinkat", lengthen, copy_link);
  ck_assert_int_eq (got.errorno, ENAMETOOLONG);
  ck_assert (!exists ("u"));
}
END_TEST

/* Another file takes the place of the first copy. */
static void
replace_copy (void)
{
  const char *name = exists ("u/-rf") ? "u/-rf" : "u/a/same";

  write_file (scratch_path ("strange"), "strange", 7);
  acted = exists (name) && !renameat (base, "strange", base, name);
}

START_TEST (no_links_to_others_files)
{
  meet ("linkat", replace_copy, _i ? copy_it : copy_it_anew);
  ck_assert_int_eq (got.result, 0);
  ck_assert_int_eq (is_there (base, "u/-rf", 5)
                      + is_there (base, "u/a/same", 5), 1);
  ck_assert_int_eq (is_there (base, "u/-rf", 7)
                      + is_there (base, "u/a/same", 7), 1);
}
END_TEST

static void
vanish (void)
{
  acted = !unlinkat (base, "t/-rf", 0);
}

/* A copy is all of it, or there is none. */
START_TEST (files_vanish)
{
  int n;

  for (n = 1; n == 1 || fault.fired; ++n)
    {
      if (!exists ("t"))
        make_tree ();
      else if (!exists ("t/-rf"))
        make_file ("t/-rf");
      if (exists ("u"))
        gives (0, eio_rmtree ("u", 0, 0, TREE));
      arm (n, 0, vanish);
      run (copy_file ());
      fault.at = 0;
      ck_assert_int_eq (got.errorno, exists ("u") ? 0 : ENOENT);
      ck_assert (!exists ("u") || is_there (base, "u", 5));
    }
}
END_TEST

/* The directory that is copied is renamed to what it is copied to: it would
 * be copied onto itself, and each file removed to make room. */
static void
go_to_target (void)
{
  acted = !renameat (base, "t/a", base, "u/a");
}

START_TEST (no_copy_onto_itself)
{
  meet ("mkdirat", go_to_target, copy_it);
  ck_assert_int_eq (got.errorno, EINVAL);
  ck_assert_str_eq (error_path, "t/a");
  ck_assert (is_there (base, "u/a/*", 5) && is_there (base, "u/a/b/$(x)", 5));
}
END_TEST

static void
carry_off (void)
{
  acted = !renameat (base, "d/below/below", base, "outside/below");
}

/* A directory that can no more be read was removed; and where ".." cannot be
 * opened, names lead back. */
START_TEST (other_ways_are_found)
{
  int n, found = 0;

  make_branches ();
  arm_only ("readdir", 1, ENOENT, 0);
  walks ("t", 0, 1, 0);
  ck_assert_int_eq (seen.entries, 1);
  arm_only ("readdir", 1, ENOENT, 0);
  gives (0, eio_cptree ("t", "u", 0, 1, TREE));
  ck_assert (fault.fired && exists ("u") && !exists ("u/a"));
  may_be_open = 1;
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      if (!exists ("t"))
        make_branches ();
      arm_only ("openat", n, EIO, 0);
      run (keep_few_open (eio_rmtree ("t", 0, 1, TREE)));
      fault.at = 0;
      ck_assert_int_eq (got.errorno, exists ("t") ? EIO : 0);
      found += fault.fired && !got.result;
      if (exists ("t"))
        gives (0, eio_rmtree ("t", 0, 1, TREE));
    }
  ck_assert_int_gt (found, 0);
}
END_TEST

static void
mount_over (void)
{
  mounted = inode ("t/a");
}

/* A directory of another device may have the same number: what was in the one
 * before has vanished. */
START_TEST (mounted_meanwhile)
{
  int n, lost = 0;

  make_branches ();
  may_be_open = 1;
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      mounted = 0;
      arm (n, 0, mount_over);
      walks ("t", 0, 1, 0);
      fault.at = 0;
      lost += seen.entries < LENGTH (branches);
      ck_assert_int_ge (seen.entries, LENGTH (branches) - 2);
    }
  mounted = 0;
  ck_assert_int_gt (lost, 0);
}
END_TEST

/* What is lost with a directory of the target is missed. */
static void
remove_target (void)
{
  acted = !unlinkat (target, "u/a", AT_REMOVEDIR);
}

START_TEST (targets_are_replaced)
{
  char path[40];
  int n, i, missed = 0;

  make_branches ();
  target = base;
  may_be_open = 1;
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      acted = 0;
      arm (n, 0, _i ? remove_target : usurp_target);
      run (keep_few_open (eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 1, TREE)));
      fault.at = 0;
      missed += got.errorno == ESTALE;
      for (i = 0; i < LENGTH (branches) && !got.result; ++i)
        {
          snprintf (path, sizeof path, "u%s", branches[i] + 1);
          if (acted && !exists (path) && !strncmp (path, "u/a", 3))
            snprintf (path, sizeof path, "away%s", branches[i] + 3);
          ck_assert_msg (exists (path), "call %d: %s", n, path);
        }
      if (exists ("away"))
        gives (0, eio_rmtree ("away", 0, 0, TREE));
      gives (0, eio_rmtree ("u", 0, 0, TREE));
    }
  ck_assert_int_gt (missed, 0);
}
END_TEST

/* A link takes the place of the directory in t as that is opened. What is to be
 * removed is in a directory that is opened, too. Some systems say ELOOP. */
START_TEST (lured_with_loops)
{
  make_dir ("outside");
  make_file ("outside/kept");
  make_dir ("t");
  make_dir ("t/a");
  make_file ("t/a/file");
  arm_only ("openat", 2, ELOOP, lure);
  walks ("t", 0, 1, 0);
  ck_assert (acted);
  ck_assert_int_eq (seen.entries, 2);

  ck_assert (!unlinkat (base, "t/a", 0));
  ck_assert (!renameat (base, "away", base, "t/a"));
  arm_only ("openat", 3, ELOOP, lure);
  gives (0, eio_rmtree ("t", 0, 1, TREE));
  fault.at = 0;
  ck_assert (acted && !exists ("t"));
  ck_assert (exists ("away/file") && exists ("outside/kept"));

  make_dir ("t");
  ck_assert (!renameat (base, "away", base, "t/a"));
  told_type = DT_UNKNOWN;
  arm_only ("openat", 3, 0, lure);
  gives (0, eio_rmtree ("t", 0, 1, TREE));
  fault.at = 0;
  told_type = -1;
  ck_assert (acted && !exists ("t"));
  ck_assert (exists ("away/file") && exists ("outside/kept"));
}
END_TEST

static void
turn_in_circles (void)
{
  acted = !unlinkat (base, "t/a", 0) && !symlinkat ("a", base, "t/a");
}

/* What a link that is followed leads to is no more. */
START_TEST (links_lead_nowhere)
{
  make_dir ("outside");
  make_dir ("t");
  make_link ("../outside", "t/a");
  arm_only ("openat", 2, 0, turn_in_circles);
  walks ("t", EIO_WALK_FOLLOW, 1, ELOOP);
  fault.at = 0;
  ck_assert (acted);
  ck_assert_str_eq (error_path, "t/a");
}
END_TEST

static void
remove_copy (void)
{
  acted = !unlinkat (base, "u", 0);
}

/* What went wrong first is what counts, not that there is nothing to remove. */
START_TEST (failed_copies_vanish)
{
  make_file ("file");
  arm_only ("eio_copy_fd_sync", 1, EIO, remove_copy);
  fails (EIO, eio_cptree ("file", "u", 0, 1, TREE));
  fault.at = 0;
  ck_assert (acted && !exists ("u"));
}
END_TEST

static void
become_a_link (void)
{
  acted = !unlinkat (base, "t/file", 0)
          && !symlinkat ("../outside/kept", base, "t/file");
}

/* Before the file is opened: what both are in was, and both. */
START_TEST (files_become_links)
{
  make_dir ("outside");
  make_file ("outside/kept");
  make_dir ("t");
  make_file ("t/file");
  arm_only ("openat", 5, 0, become_a_link);
  gives (0, eio_cptree ("t", "u", 0, 1, TREE));
  fault.at = 0;
  ck_assert (acted && exists ("u") && !exists ("u/file"));

  ck_assert (!unlinkat (base, "t/file", 0));
  make_file ("t/file");
  arm_only ("openat", 3, 0, become_a_link);
  fails (ENOENT, eio_cptree ("t/file", "v", 0, 1, TREE));
  fault.at = 0;
  ck_assert (acted && !exists ("v"));
}
END_TEST

static void
become_a_fifo (void)
{
  acted = !unlinkat (base, "t/file", 0) && !mkfifoat (base, "t/file", 0600);
}

/* Nobody waits for a writer. */
START_TEST (files_become_fifos)
{
  make_dir ("t");
  make_file ("t/file");
  arm_only ("openat", 5, 0, become_a_fifo);
  gives (0, eio_cptree ("t", "u", 0, 1, TREE));
  fault.at = 0;
  ck_assert (acted && exists ("u") && !exists ("u/file"));
}
END_TEST

static void
become_a_directory (void)
{
  acted = !unlinkat (base, "fifo", 0) && !mkdirat (base, "fifo", 0700);
}

/* After both it and the target have been looked at. */
START_TEST (fifos_become_directories)
{
  ck_assert_int_eq (mkfifoat (base, "fifo", 0600), 0);
  arm_only ("fstatat", 3, 0, become_a_directory);
  fails (ENOENT, eio_cptree ("fifo", "u", 0, 1, TREE));
  fault.at = 0;
  ck_assert (acted && !exists ("u"));
}
END_TEST

static void
change_mode (void)
{
  acted = !fchmodat (base, "t/file", 0640, 0);
}

/* Of what was written only the time of the change tells. */
static void
overwrite_unseen (void)
{
  struct timespec times[2];
  struct stat st;
  int fd = openat (base, "t/file", O_WRONLY);

  acted = fd >= 0 && !fstat (fd, &st) && pwrite (fd, "+", 1, 0) == 1;
  if (acted)
    {
      times[0] = st.st_atim;
      times[1] = st.st_mtim;
      acted = !futimens (fd, times);
    }
  if (fd >= 0)
    close (fd);
}

static void (*const changes[]) (void)
    = { append, change_mode, overwrite_unseen };

/* What was done to a file that is moved it still has, there or here. */
START_TEST (files_change)
{
  struct stat st;
  int n, busy = 0;

  target = go_elsewhere ();
  make_dir ("t");
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      if (exists ("t/file"))
        unlinkat (base, "t/file", 0);
      unlinkat (target, "file", 0);
      make_file ("t/file");
      acted = 0;
      arm (n, 0, changes[_i]);
      run (eio_mvtree ("t/file", there ("file"), 0, 1, TREE));
      fault.at = 0;
      busy += got.errorno == EBUSY;
      if (fstatat (base, "t/file", &st, 0))
        ck_assert_int_eq (fstatat (target, "file", &st, 0), 0);
      if (acted)
        ck_assert ((_i == 0   ? st.st_size == 6
                    : _i == 1 ? (st.st_mode & 0777) == 0640
                              : is_overwritten (base, "t/file")
                                    || is_overwritten (target, "file"))
                   || !strcmp (fault.call, "unlinkat"));
      ck_assert (!got.result == !exists ("t/file"));
    }
  ck_assert_int_gt (busy, 0);
  close (target);
}
END_TEST

/* So deep that ".." leads back up, but not to where it did before. */
START_TEST (carried_off)
{
  int i, calls = INT_MAX;

  make_dir ("outside");
  make_file ("outside/kept");
  for (i = 0; i < 8; ++i)
    {
      make_deep ("d", EIO__TREE_OPEN + 20);
      acted = 0;
      arm (i ? calls / 8 * i : calls, 0, carry_off);
      run (eio_rmtree ("d", 0, 1, TREE));
      fault.at = 0;
      ck_assert_int_eq (acted, i > 0);
      ck_assert (exists ("outside/kept"));
      if (i)
        {
          ck_assert (exists ("outside/below"));
          gives (0, eio_rmtree ("outside/below", 0, 0, TREE));
          if (exists ("d"))
            gives (0, eio_rmtree ("d", 0, 0, TREE));
        }
      else
        calls = fault.calls;
    }
}
END_TEST

static pthread_t main_thread;

/* On a worker; what the poll thread closes goes on. */
static void
halt (void)
{
  if (pthread_equal (pthread_self (), main_thread))
    return;
  give (&arrived, 1);
  take (&let_go);
}

/* Cancelled at that call, of this name or any, if it is made on a worker. */
static void
cancel_at (const char *call, int n, int which, unsigned int maxreq,
           void (*cancel) (eio_req *req))
{
  int fds = count_fds ();
  eio_req *req;

  arm_only (call, n, 0, halt);
  req = begin (which, maxreq);
  while (eio_nreqs ())
    {
      eio_poll ();
      if (!sem_trywait (&arrived))
        {
          cancel (req);
          give (&let_go, 1);
        }
      sched_yield ();
    }
  fault.at = 0;
  ck_assert_int_eq (count_fds (), fds);
}

START_TEST (cancelled_each)
{
  int n;

  target = go_elsewhere ();
  make_small_tree ("ref");
  prepare_stays ();
  main_thread = pthread_self ();
  for (n = 1; n == 1 || fault.fired; ++n)
    {
      begin_anew ();
      cancel_at (0, n, _i, 1, eio_cancel);
      if (_i == COPY)
        compare (base, base, "ref", "t", 1);
      if (_i == MOVE)
        ck_assert_msg (is_safe (), "%s: lost", where);
    }
  ck_assert_int_gt (n, 30);
  close (target);
  ck_assert_int_eq (blocks_left (), 0);
}
END_TEST

/* Who cancels what is in the group learns that it was not all; what has been
 * found besides is left. */
START_TEST (cancelled_without_its_group)
{
  make_branches ();
  prepare_stays ();
  main_thread = pthread_self ();
  cancel_at ("openat", 3, REMOVE, 1, eio_grp_cancel);
  ck_assert_int_eq (got.result, -1);
  ck_assert_int_eq (got.errorno, ECANCELED);
  ck_assert_int_eq (error_count, 1);
  walks ("t", 0, 0, 0);
  ck_assert_int_eq (seen.entries, LENGTH (branches));
}
END_TEST

/* Jobs that have not begun have descriptors to close. */
START_TEST (cancelled_while_others_wait)
{
  char path[20];
  int n, i;

  make_dir ("t");
  for (i = 0; i < 20; ++i)
    {
      snprintf (path, sizeof path, "t/%d", i);
      make_dir (path);
    }
  prepare_stays ();
  main_thread = pthread_self ();
  eio_set_max_parallel (1);
  for (n = 1; n == 1 || fault.fired; ++n)
    cancel_at (0, n, WALK, 4, eio_cancel);
  ck_assert_int_gt (n, 60);
}
END_TEST

/* Where a directory is half read, or what was read is half done. */
START_TEST (cancelled_in_a_wide_directory)
{
  enum { WIDTH = 600, CALLS = WIDTH + WIDTH / 4 };
  int n;

  prepare_stays ();
  main_thread = pthread_self ();
  for (n = 1; n < CALLS; n += n < 10 ? 1 : CALLS / 10)
    {
      if (exists ("t"))
        gives (0, eio_rmtree ("t", 0, 0, TREE));
      make_wide ("t", WIDTH);
      cancel_at (0, n, REMOVE, 1, eio_cancel);
      ck_assert (exists ("t"));
    }
  cancel_at ("unlinkat", 10, REMOVE, 1, eio_cancel);
  ck_assert_int_eq (fault.calls, 10);
  ck_assert_int_eq (blocks_left (), 0);
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
  char name[20];
  int i;

  make_wide ("w", WIDTH);
  walks ("w", 0, 0, 0);
  ck_assert_int_eq (seen.entries, WIDTH + 1);
  walks ("w", EIO_WALK_STAT, 3, 0);
  ck_assert_int_eq (seen.stats, WIDTH + 1);
  gives (0, eio_cptree ("w", "copy", 0, 3, TREE));
  compare (base, base, "w", "copy", 0);
  gives (0, eio_rmtree ("w", 0, 0, TREE));
  ck_assert (!exists ("w"));

  /* Not so many bytes that these would be a batch. */
  make_dir ("w");
  for (i = 0; i < 3 * EIO__TREE_BATCH; ++i)
    {
      snprintf (name, sizeof name, "w/%d", i);
      make_file (name);
    }
  walks ("w", 0, 0, 0);
  ck_assert_int_eq (seen.entries, 3 * EIO__TREE_BATCH + 1);
}
END_TEST

/* Directories whose parents have batches still to come. */
START_TEST (paths_lead_to_entries)
{
  char path[300];
  int i, k;

  make_dir ("w");
  for (i = 0; i < 20; ++i)
    {
      snprintf (path, sizeof path, "w/%d", i);
      make_wide (path, 600);
      for (k = 0; k < 600; k += 16)
        {
          snprintf (path, sizeof path, "w/%d/%0*d/file", i, k % 200 + 8, k);
          make_file (path);
        }
    }
  for (i = 0; i < 8; ++i)
    {
      memset (&seen, 0, sizeof seen);
      seen.exact = 1;
      run (eio_walk ("w", i & 4 ? EIO_WALK_POSTORDER : 0, 1u << i % 4, see,
                     TREE));
      ck_assert_int_eq (got.result, 0);
      ck_assert_int_eq (seen.entries, 1 + 20 * (1 + 600 + 38));
    }
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
      run (eio_walk ("t", EIO_WALK_STAT, spare % 2, see, TREE));
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
  for (spare = 20; spare < 28; ++spare)
    {
      few.rlim_cur = (rlim_t)count_fds () + (rlim_t)spare;
      setrlimit (RLIMIT_NOFILE, &few);
      gives (0, eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 0, TREE));
      gives (0, eio_rmtree ("t", 0, 0, TREE));
      fault.far = 1;
      gives (0, eio_mvtree ("u", "t", 0, 0, TREE));
    }
  gives (0, eio_rmtree ("t", 0, 0, TREE));
  setrlimit (RLIMIT_NOFILE, &before);
  ck_assert_int_ge (done, 32);
}
END_TEST

/* Directories that are half read keep their streams open, unless these are in
 * the way of what is in them. */
START_TEST (half_read)
{
  struct rlimit before, few;
  char path[20];
  int i, spare;

  make_dir ("t");
  for (i = 0; i < 9; ++i)
    {
      snprintf (path, sizeof path, "t/%d", i);
      make_wide (path, 300);
    }
  getrlimit (RLIMIT_NOFILE, &before);
  few = before;
  for (spare = 20; spare < 32; spare += 3)
    {
      few.rlim_cur = (rlim_t)count_fds () + (rlim_t)spare;
      setrlimit (RLIMIT_NOFILE, &few);
      gives (0, eio_cptree ("t", "u", 0, 0, TREE));
      walks ("u", 0, 0, 0);
      ck_assert_int_eq (seen.entries, 1 + 9 * 301);
      gives (0, eio_rmtree ("u", 0, 0, TREE));
    }
  setrlimit (RLIMIT_NOFILE, &before);
  gives (0, eio_rmtree ("t", 0, 0, TREE));
}
END_TEST

START_TEST (no_memory)
{
  int n, fds, kind, fine;
  eio_req *req;

  run (eio_nop (0, keep, 0));
  target = go_elsewhere ();
  for (kind = 0; kind < 5; ++kind)
    for (n = 1, fine = 0; !fine; ++n)
      {
        if (!exists ("t"))
          {
            make_tree ();
            if (kind == 3)
              make_name ("t/-rf", "t/a/same");
          }
        blocks_left ();
        run (eio_nop (0, keep, 0));
        fds = count_fds ();
        memset (&seen, 0, sizeof seen);
        fail_at = n;
        req = kind == 2   ? eio_rmtree ("t", 0, 2, TREE)
              : kind == 3 ? eio_cptree ("t", "u", EIO_COPY_ARCHIVE, 2, TREE)
              : kind == 4 ? eio_mvtree ("t", there ("u"), 0, 2, TREE)
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
        if (kind == 4 && !faccessat (target, "u", F_OK, 0))
          gives (0, eio_rmtree (there ("u"), 0, 0, TREE));
        ck_assert (kind < 4 || !got.result || exists ("t"));
        ck_assert (kind != 2 || !got.result == !exists ("t"));
        ck_assert_int_eq (count_fds (), fds);
        ck_assert_int_eq (blocks_left (), 0);
      }
}
END_TEST

/* To directories whose parents had to be closed. */
START_TEST (no_memory_for_the_way_back)
{
  int n, fds, fine = 0;
  eio_req *req;

  make_branches ();
  may_be_open = 1;
  run (eio_nop (0, keep, 0));
  fds = count_fds ();
  for (n = 1; !fine; ++n)
    {
      memset (&seen, 0, sizeof seen);
      fail_at = n;
      req = keep_few_open (eio_walk ("t", 0, 1, see, TREE));
      if (req)
        {
          run (req);
          fine = fail_at > 0;
          ck_assert (!got.result || got.errorno == ENOMEM);
          ck_assert (got.result || seen.entries == LENGTH (branches));
          ck_assert (!fine || !got.result);
        }
      fail_at = 0;
      ck_assert_int_eq (count_fds (), fds);
      ck_assert_int_eq (blocks_left (), 0);
    }
}
END_TEST

/* An error is one, whether there is memory to keep it, or its path, or not. */
START_TEST (no_memory_for_errors)
{
  int n, fine = 0, without_path = 0;

  run (eio_nop (0, keep, 0));
  for (n = 1; !fine; ++n)
    {
      eio_req *req;

      fail_at = n;
      req = eio_rmtree ("missing", 0, 1, TREE);
      if (req)
        {
          fails (ENOENT, req);
          ck_assert_int_eq (error_count, 1);
          without_path += !*error_path;
          fine = fail_at > 0;
        }
      fail_at = 0;
    }
  ck_assert_str_eq (error_path, "missing");
  ck_assert_int_eq (without_path, 2);
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
    syscall (SYS_renameat2, base, "victim/x", base, "bait",
             EIO_RENAME_EXCHANGE);
  return 0;
}

START_TEST (swapped)
{
  pthread_t thread;
  struct stat st;
  double end = now () + 30;
  int i;

  make_tree ();
  make_dir ("victim");
  make_dir ("victim/x");
  make_link (scratch_path ("outside"), "bait");
  enough = 0;
  ck_assert_int_eq (pthread_create (&thread, 0, swap, 0), 0);
  for (i = 0; i < 10 || (i < 300 && now () < end); ++i)
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
  tcase_add_test (tc, walk_links_again);
  tcase_add_test (tc, walk_types);
  tcase_add_test (tc, walk_counts);
  tcase_add_test (tc, walk_up_to_mounts);
  tcase_add_test (tc, walk_no_further);
  tcase_add_test (tc, walk_part);
  tcase_add_test (tc, walk_paths_of_all_lengths);
  tcase_add_test (tc, walk_by_many);

  tc = add_case (suite, "rmtree", 60, start, stop_workers);
  tcase_add_test (tc, remove_all);
  tcase_add_test (tc, remove_nothing);
  tcase_add_test (tc, remove_what_may_be);
  tcase_add_test (tc, remove_with_many_errors);
  tcase_add_test (tc, remove_up_to_mounts);
  tcase_add_test (tc, remove_what_is_filled);
  tcase_add_test (tc, remove_with_few_open);
  tcase_add_test (tc, remove_without_callback);

  tc = add_case (suite, "cptree", 60, start, stop_workers);
  tcase_add_test (tc, copy_all);
  tcase_add_test (tc, copy_over);
  tcase_add_test (tc, copy_by_clones);
  tcase_add_test (tc, copy_link_of_no_size);
  tcase_add_loop_test (tc, copy_status_that_cannot_be, 0, 5);
  tcase_add_test (tc, copy_group);
  tcase_add_test (tc, copy_that_cannot_be_finished);
  tcase_add_test (tc, copy_set_ids);
  tcase_add_test (tc, copy_nothing);
  tcase_add_test (tc, copy_names);
  tcase_add_test (tc, copy_waits_for_names);
  tcase_add_test (tc, copy_many_names);
  tcase_add_test (tc, copy_names_far_down);
  tcase_add_test (tc, files_are_added_meanwhile);
  tcase_add_test (tc, copy_no_names);
  tcase_add_test (tc, copy_what_may_be);

  tc = add_case (suite, "mvtree", 60, start, stop_workers);
  tcase_add_test (tc, move_near);
  tcase_add_test (tc, move_near_without_renameat2);
  tcase_add_test (tc, names_are_synchronised);
  tcase_add_test (tc, move_nothing);
  tcase_add_test (tc, move_half);
  tcase_add_test (tc, move_no_mounts);
  tcase_add_test (tc, move_far);

  tc = add_case (suite, "calls", 120, start, stop_workers);
  tcase_add_loop_test (tc, each_call_fails, 0, 4 * LENGTH (fail_errors));
  tcase_add_loop_test (tc, all_calls_fail_from_then_on, 0, 8);
  tcase_add_loop_test (tc, interrupted_opens_are_repeated, 0, 4);
  tcase_add_loop_test (tc, each_call_fails_without_types, 0, 4);
  tcase_add_test (tc, descriptors_of_the_slower_job_are_closed);
  tcase_add_test (tc, marks_differ_in_all_that_makes_a_file);
  tcase_add_test (tc, each_look_at_a_directory_fails);
  tcase_add_loop_test (tc, others_act, 0, 4 * LENGTH (acts));
  tcase_add_test (tc, other_ways_are_found);
  tcase_add_test (tc, mounted_meanwhile);
  tcase_add_loop_test (tc, targets_are_replaced, 0, 2);
  tcase_add_test (tc, lured_with_loops);
  tcase_add_test (tc, links_lead_nowhere);
  tcase_add_test (tc, failed_copies_vanish);
  tcase_add_test (tc, files_become_links);
  tcase_add_test (tc, files_become_fifos);
  tcase_add_test (tc, fifos_become_directories);
  tcase_add_loop_test (tc, files_change, 0, LENGTH (changes));
  tcase_add_test (tc, carried_off);
  tcase_add_loop_test (tc, cancelled_each, 0, 4);
  tcase_add_test (tc, cancelled_without_its_group);
  tcase_add_test (tc, cancelled_while_others_wait);
  tcase_add_test (tc, cancelled_in_a_wide_directory);
  tcase_add_test (tc, links_grow);
  tcase_add_loop_test (tc, no_links_to_others_files, 0, 2);
  tcase_add_test (tc, files_vanish);
  tcase_add_test (tc, no_copy_onto_itself);

  tc = add_case (suite, "all", 120, start, stop_workers);
  tcase_add_test (tc, deep);
  tcase_add_test (tc, wide);
  tcase_add_test (tc, paths_lead_to_entries);
  tcase_add_test (tc, half_read);
  tcase_add_test (tc, no_memory);
  tcase_add_test (tc, no_memory_for_the_way_back);
  tcase_add_test (tc, no_memory_for_errors);
  tcase_add_test (tc, cancelled);
  tcase_add_test (tc, swapped);
  tcase_add_test (tc, meddled);
  tcase_add_test (tc, other_threads);

  /* valgrind limits descriptors itself: there, an open that fails by that has
   * made its file nonetheless, as in Linux none does. */
  tc = add_case (suite, "descriptors", 120, start, stop_workers);
  tcase_set_tags (tc, "not-valgrind");
  tcase_add_test (tc, few_descriptors);
  return run_suite (suite);
}
