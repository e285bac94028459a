/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Memory runs out.  eio.c is included with an allocator that fails on demand
 * and counts blocks; a sample of every request type is then run again and
 * again, with the first, the second, … allocation failing, until one of them
 * needed fewer.  Each run has to end in success or in ENOMEM, and to leave
 * nothing behind. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "counting.h"

#include <sys/file.h>
#include <sys/wait.h>

/*****************************************************************************
 * The allocator                                                             *
 *****************************************************************************/

enum { ONE, ALL_FROM };

static atomic_int asked;      /* allocations since starve () */
static atomic_int refused;    /* of which so many failed */
static atomic_int fail_at;    /* which fails, from 1; 0: none */
static atomic_int fail_after; /* do all later ones fail too? */

static void
starve (int nth, int mode)
{
  asked = refused = 0;
  fail_after = mode == ALL_FROM;
  fail_at = nth;
}

/* Returns how many allocations failed. */
static int
stop_starving (void)
{
  fail_at = 0;
  return refused;
}

static int
out_of_memory (void)
{
  int at = fail_at;
  int n = atomic_fetch_add (&asked, 1) + 1;

  if (!at || n < at || (n > at && !fail_after))
    return 0;
  ++refused;
  errno = ENOMEM;
  return 1;
}

/* A poor system: it lacks readahead and all calls that copy, says of files that
 * they are empty, tells no types of entries and no path of a descriptor, and
 * cannot do by descriptor what it can by path; and a file is moved to another
 * file system.  Substitutes need memory. */
static atomic_int poor, moves_away;

ecb_unused static ssize_t
poor_readahead (int fd, off_t offset, size_t count)
{
  errno = ENOSYS;
  return poor ? -1 : readahead (fd, offset, count);
}

ecb_unused static int
poor_fstat (int fd, struct stat *st)
{
  int res = fstat (fd, st);

  if (poor)
    st->st_size = 0;
  return res;
}

ecb_unused static int
poor_fstatvfs (int fd, struct statvfs *st)
{
  errno = EBADF;
  return poor ? -1 : fstatvfs (fd, st);
}

ecb_unused static int
poor_truncate (const char *file, off_t length)
{
  errno = ENOENT;
  return poor && !strncmp (file, "/proc", 5) ? -1 : truncate (file, length);
}

ecb_unused static ssize_t
poor_sendfile (int out, int in, off_t *offset, size_t count)
{
  errno = EINVAL;
  return poor ? -1 : sendfile (out, in, offset, count);
}

ecb_unused static ssize_t
poor_readlinkat (int at, const char *file, char *buf, size_t size)
{
  errno = ENOENT;
  return poor && !strncmp (file, "/proc", 5)
           ? -1
           : readlinkat (at, file, buf, size);
}

ecb_unused static struct dirent *
poor_readdir (DIR *dir)
{
  struct dirent *de = readdir (dir);

  if (de && poor)
    de->d_type = DT_UNKNOWN;
  return de;
}

ecb_unused static int
poor_renameat (int at, const char *from, int at2, const char *to)
{
  errno = EXDEV;
  return atomic_exchange (&moves_away, 0) ? -1 : renameat (at, from, at2, to);
}

static int fake_ioctl (int fd, unsigned long command, void *arg);

/* clang-format off */
#undef strdup
#define malloc               fault_malloc
#define calloc               fault_calloc
#define realloc              fault_realloc
#define free                 fault_free
#define strdup               fault_strdup
#define readahead(fd, o, n)  poor_readahead (fd, o, n)
#define fstat(fd, st)        poor_fstat (fd, st)
#define fstatvfs(fd, st)     poor_fstatvfs (fd, st)
#define truncate(path, n)    poor_truncate (path, n)
#define sendfile(...)        poor_sendfile (__VA_ARGS__)
#define readdir(dir)         poor_readdir (dir)
#define readlinkat(...)      poor_readlinkat (__VA_ARGS__)
#define renameat(...)        poor_renameat (__VA_ARGS__)
/* clang-format on */

/* How long a disk takes, what its file system can do, and how much memory this
 * user may lock, is beside the point here: these do nothing, and evaluate what
 * they are given. */
static int
do_nothing (int fd, ...)
{
  (void)fd;
  return 0;
}

static long
fake_syscall (long number, long a, long b, long c, long d, long e, long f)
{
  switch (number)
    {
    case SYS_copy_file_range:
      errno = EXDEV;
      return poor ? -1 : syscall (number, a, b, c, d, e, f);
    case SYS_splice:
    case SYS_syncfs:
    case SYS_tee: return 0;
    default: return syscall (number, a, b, c, d, e, f);
    }
}

/* clang-format off */
#define sync()               do_nothing (0)
#define fsync(fd)            do_nothing (fd)
#define fdatasync(fd)        do_nothing (fd)
#define sync_file_range(...) do_nothing (__VA_ARGS__)
#define fallocate(...)       do_nothing (__VA_ARGS__)
#define mlock(addr, length)  do_nothing (0, addr, length)
#define mlockall(flags)      do_nothing (flags)
#define munlock(addr, n)     do_nothing (0, addr, n)
#define munlockall()         do_nothing (0)
#define ioctl(fd, nr, arg)   fake_ioctl (fd, nr, (void *)(arg))
#define syscall(...)         SYSCALL (__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define SYSCALL(nr, a, b, c, d, e, f, ...) \
  fake_syscall (nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
                (long)(f))
#define getxattr(p, k, v, n)   ((void)(k), fake_attrs (v, n))
#define lgetxattr(p, k, v, n)  ((void)(k), fake_attrs (v, n))
#define fgetxattr(fd, k, v, n) ((void)(k), fake_attrs (v, n))
#define listxattr(p, v, n)     fake_attrs (v, n)
#define llistxattr(p, v, n)    fake_attrs (v, n)
#define flistxattr(fd, v, n)   fake_attrs (v, n)
#define setxattr(...)          do_nothing (0, __VA_ARGS__)
#define lsetxattr(...)         do_nothing (0, __VA_ARGS__)
#define fsetxattr(...)         do_nothing (__VA_ARGS__)
#define removexattr(...)       do_nothing (0, __VA_ARGS__)
#define lremovexattr(...)      do_nothing (0, __VA_ARGS__)
#define fremovexattr(...)      do_nothing (__VA_ARGS__)
/* clang-format on */

#include "eio.c"

#undef malloc
#undef calloc
#undef realloc
#undef free
#undef strdup
#undef readahead
#undef fstat
#undef fstatvfs
#undef truncate
#undef readdir
#undef readlinkat
#undef ioctl
#undef sync
#undef syscall
#undef fsync
#undef fdatasync
#undef sync_file_range
#undef fallocate
#undef mlock
#undef mlockall

#include "sample.h"

/* Files are cloned, and have more extents than one call tells. */
static int
fake_ioctl (int fd, unsigned long command, void *arg)
{
  eio_sys_extents *map = arg;
  unsigned i;

  switch (command & 0xffff)
    {
    case 0x9409:
      errno = EOPNOTSUPP;
      return poor ? -1 : 0;
    case 0x660b:
      for (i = 0; i < map->count; ++i)
        {
          map->extents[i].logical = map->start + i;
          map->extents[i].length = 1;
          map->extents[i].flags = map->start > map->count;
        }
      map->mapped = map->count;
      return 0;
    default: return ioctl (fd, command, arg);
    }
}

#include "requests.h"

/*****************************************************************************
 * Wrappers                                                                  *
 *****************************************************************************/

/* clang-format off */
#define END EIO_PRI_DEFAULT, cb, data

static eio_req *
submit_fd_wrapper (const eio_req *r, eio_cb cb, void *data)
{
  switch (r->type)
    {
    case EIO_CLOSE: return eio_close (r->int1, END);
    case EIO_DUP2: return eio_dup2 (r->int1, r->int2, END);
    case EIO_SEEK: return eio_seek (r->int1, r->offs, r->int2, END);
    case EIO_READ: return eio_read (r->int1, r->ptr2, r->size, r->offs, END);
    case EIO_WRITE: return eio_write (r->int1, r->ptr2, r->size, r->offs, END);
    case EIO_FCNTL: return eio_fcntl (r->int1, r->int2, r->ptr2, END);
    case EIO_IOCTL: return eio_ioctl (r->int1, r->int2, r->ptr2, END);
    case EIO_READAHEAD: return eio_readahead (r->int1, r->offs, r->size, END);
    case EIO_SENDFILE:
      return eio_sendfile (r->int1, r->int2, r->offs, r->size, END);
    case EIO_FSTAT: return eio_fstat (r->int1, END);
    case EIO_FSTATVFS: return eio_fstatvfs (r->int1, END);
    case EIO_FTRUNCATE: return eio_ftruncate (r->int1, r->offs, END);
    case EIO_FUTIME: return eio_futime (r->int1, r->nv1, r->nv2, END);
    case EIO_FCHMOD: return eio_fchmod (r->int1, r->int2, END);
    case EIO_FCHOWN: return eio_fchown (r->int1, r->int2, r->int3, END);
    case EIO_FSYNC: return eio_fsync (r->int1, END);
    case EIO_FDATASYNC: return eio_fdatasync (r->int1, END);
    case EIO_SYNCFS: return eio_syncfs (r->int1, END);
    case EIO_SYNC_FILE_RANGE:
      return eio_sync_file_range (r->int1, r->offs, r->size, r->int2, END);
    case EIO_FALLOCATE:
      return eio_fallocate (r->int1, r->int2, r->offs, r->size, END);
    default: ck_abort_msg ("no wrapper for type %d", r->type);
    }
}

/* As -1, a position, where there is no second offset. */
static off_t
second_offset (const eio_req *r)
{
  return r->ptr2 ? *(const off_t *)r->ptr2 : -1;
}

/* Types 50 to 74. */
static eio_req *
submit_data_wrapper (const eio_req *r, eio_cb cb, void *data)
{
  const char *name = (const char *)r->int3;

  switch (r->type)
    {
    case EIO_READV:
      return eio_readv (r->int1, r->ptr2, r->size, r->offs, r->int2, END);
    case EIO_WRITEV:
      return eio_writev (r->int1, r->ptr2, r->size, r->offs, r->int2, END);
    case EIO_READ_ALL:
      return eio_read_all (r->int1, r->ptr2, r->size, r->offs, END);
    case EIO_WRITE_ALL:
      return eio_write_all (r->int1, r->ptr2, r->size, r->offs, END);
    case EIO_STATX: return eio_statx (r->ptr1, r->int1, r->int2, END);
    case EIO_FSTATX: return eio_fstatx (r->int1, r->int2, END);
    case EIO_COPY_RANGE:
      return eio_copy_range (r->int1, r->offs, r->int2, second_offset (r),
                             r->size, END);
    case EIO_CLONE: return eio_clone (r->int1, r->int2, END);
    case EIO_SPLICE:
      return eio_splice (r->int1, r->offs, r->int2, second_offset (r),
                         r->size, r->int3, END);
    case EIO_TEE: return eio_tee (r->int1, r->int2, r->size, r->int3, END);
    case EIO_FADVISE:
      return eio_fadvise (r->int1, r->offs, r->size, r->int2, END);
    case EIO_MADVISE: return eio_madvise (r->ptr2, r->size, r->int1, END);
    case EIO_MINCORE: return eio_mincore (r->ptr1, r->size, END);
    case EIO_MUNLOCK: return eio_munlock (r->ptr2, r->size, END);
    case EIO_MUNLOCKALL: return eio_munlockall (END);
    case EIO_FULLSYNC: return eio_fullsync (r->int1, END);
    case EIO_FIEMAP:
      return eio_fiemap (r->int1, r->offs, r->size, r->int2, END);
    case EIO_GETXATTR: return eio_getxattr (r->ptr1, name, r->int2, END);
    case EIO_SETXATTR:
      return eio_setxattr (r->ptr1, name, r->ptr2, r->size, r->int2, END);
    case EIO_LISTXATTR: return eio_listxattr (r->ptr1, r->int2, END);
    case EIO_REMOVEXATTR: return eio_removexattr (r->ptr1, name, r->int2, END);
    case EIO_FGETXATTR: return eio_fgetxattr (r->int1, name, END);
    case EIO_FSETXATTR:
      return eio_fsetxattr (r->int1, name, r->ptr2, r->size, r->int2, END);
    case EIO_FLISTXATTR: return eio_flistxattr (r->int1, END);
    case EIO_FREMOVEXATTR:
      return eio_fremovexattr (r->int1, name, r->int2, END);
    default: return submit_fd_wrapper (r, cb, data);
    }
}

/* From type 75 on. */
static eio_req *
submit_file_wrapper (const eio_req *r, eio_cb cb, void *data)
{
  eio_dir *dir = (eio_dir *)r->int3;

  switch (r->type)
    {
    case EIO_ACCESS: return eio_access (r->ptr1, r->int2, END);
    case EIO_LCHOWN: return eio_lchown (r->ptr1, r->int2, r->int3, END);
    case EIO_LUTIME: return eio_lutime (r->ptr1, r->nv1, r->nv2, END);
    case EIO_UTIMENS: return eio_utimens (r->ptr1, r->ptr2, r->int1, END);
    case EIO_FUTIMENS: return eio_futimens (r->int1, r->ptr2, END);
    case EIO_LCHMOD: return eio_lchmod (r->ptr1, r->int2, END);
    case EIO_RENAME2: return eio_rename2 (r->ptr1, r->ptr2, r->int2, END);
    case EIO_LINK2: return eio_link2 (r->ptr1, r->ptr2, r->int1, END);
    case EIO_UNLINK2: return eio_unlink2 (r->ptr1, r->int1, END);
    case EIO_OPEN2: return eio_open2 (r->ptr1, r->int1, r->int2, r->int3, END);
    case EIO_MKDTEMP: return eio_mkdtemp (r->ptr1, END);
    case EIO_MKSTEMP: return eio_mkstemp (r->ptr1, END);
    case EIO_TMPFILE: return eio_tmpfile (r->ptr1, r->int1, r->int2, END);
    case EIO_LINKFD: return eio_linkfd (r->int1, r->ptr1, END);
    case EIO_MKDIRS: return eio_mkdirs (r->ptr1, r->int2, END);
    case EIO_OPENDIR: return eio_opendir (r->ptr1, END);
    case EIO_READDIR_NEXT:
      return eio_readdir_next (dir, r->size, r->int1, END);
    case EIO_CLOSEDIR: return eio_closedir (dir, END);
    case EIO_LOAD: return eio_load (r->ptr1, END);
    case EIO_SAVE:
      return eio_save (r->ptr1, r->ptr2, r->size, r->int2, r->int1, END);
    case EIO_PATHSYNC: return eio_pathsync (r->ptr1, END);
    case EIO_SCANDIR: return eio_scandir (r->ptr1, r->int1, END);
    case EIO_COPY: return eio_copy (r->ptr1, r->ptr2, r->int1, END);
    case EIO_MOVE: return eio_move (r->ptr1, r->ptr2, r->int1, END);
    case EIO_FLOCK: return eio_flock (r->int1, r->int2, r->nv1, END);
    case EIO_LOCK:
      return eio_lock (r->int1, r->int2, r->offs, 0, r->nv1, END);
    default: return submit_data_wrapper (r, cb, data);
    }
}

static eio_req *
submit_path_wrapper (const eio_req *r, eio_cb cb, void *data)
{
  switch (r->type)
    {
    case EIO_WD_OPEN: return eio_wd_open (r->ptr1, END);
    case EIO_REALPATH: return eio_realpath (r->ptr1, END);
    case EIO_READDIR: return eio_readdir (r->ptr1, r->int1, END);
    case EIO_OPEN: return eio_open (r->ptr1, r->int1, r->int2, END);
    case EIO_STAT: return eio_stat (r->ptr1, END);
    case EIO_LSTAT: return eio_lstat (r->ptr1, END);
    case EIO_STATVFS: return eio_statvfs (r->ptr1, END);
    case EIO_TRUNCATE: return eio_truncate (r->ptr1, r->offs, END);
    case EIO_UTIME: return eio_utime (r->ptr1, r->nv1, r->nv2, END);
    case EIO_CHMOD: return eio_chmod (r->ptr1, r->int2, END);
    case EIO_CHOWN: return eio_chown (r->ptr1, r->int2, r->int3, END);
    case EIO_UNLINK: return eio_unlink (r->ptr1, END);
    case EIO_RMDIR: return eio_rmdir (r->ptr1, END);
    case EIO_MKDIR: return eio_mkdir (r->ptr1, r->int2, END);
    case EIO_RENAME: return eio_rename (r->ptr1, r->ptr2, END);
    case EIO_MKNOD: return eio_mknod (r->ptr1, r->int2, r->offs, END);
    case EIO_LINK: return eio_link (r->ptr1, r->ptr2, END);
    case EIO_SYMLINK: return eio_symlink (r->ptr1, r->ptr2, END);
    case EIO_READLINK: return eio_readlink (r->ptr1, END);
    case EIO_SLURP:
      return eio_slurp (r->ptr1, r->ptr2, r->size, r->offs, END);
    default: return submit_file_wrapper (r, cb, data);
    }
}

static eio_req *
submit_wrapper (const eio_req *r, eio_cb cb, void *data)
{
  switch (r->type)
    {
    case EIO_CUSTOM: return eio_custom (r->feed, END);
    case EIO_WD_CLOSE: return eio_wd_close (r->wd, END);
    case EIO_SYNC: return eio_sync (END);
    case EIO_MSYNC: return eio_msync (r->ptr2, r->size, r->int1, END);
    case EIO_MTOUCH: return eio_mtouch (r->ptr2, r->size, r->int1, END);
    case EIO_MLOCK: return eio_mlock (r->ptr2, r->size, END);
    case EIO_MLOCKALL: return eio_mlockall (r->int1, END);
    case EIO_NOP: return eio_nop (END);
    case EIO_BUSY: return eio_busy (r->nv1, END);
    default: return submit_path_wrapper (r, cb, data);
    }
}
/* clang-format on */

/*****************************************************************************
 * Running one                                                               *
 *****************************************************************************/

typedef struct
{
  outcome seen; /* first, for note */
  unsigned long digest;
  int destroyed;
  eio_req req;
} run;

static int
ended (eio_req *req)
{
  run *r = req->data;

  r->digest = digest (req);
  close_result (req);
  return note (req);
}

static void
destroyed (eio_req *req)
{
  ++((run *)req->data)->destroyed;
}

enum { BY_WRAPPER, BY_SUBMIT };

/* Runs the request to its end.  Returns 0 when the wrapper returned null, and
 * then checks why. */
static int
execute (const eio_req *req, int by, run *r)
{
  memset (r, 0, sizeof *r);
  r->req = *req;
  errno = 0;
  if (by == BY_SUBMIT)
    {
      r->req.data = r;
      r->req.finish = ended;
      r->req.destroy = destroyed;
      eio_submit (&r->req);
    }
  else if (!submit_wrapper (&r->req, ended, r))
    {
      ck_assert_int_eq (errno, ENOMEM);
      ck_assert_uint_eq (eio_nreqs (), 0);
      return 0;
    }
  host_drain ();
  ck_assert_int_eq (r->seen.calls, 1);
  ck_assert_int_eq (r->destroyed, by == BY_SUBMIT);
  return 1;
}

/* Runs it with the wd or the directory that it needs, if any, and with the
 * given allocation failing.  Returns whether one did. */
static int
execute_starved (const sample *s, int by, int nth, int mode, run *r)
{
  eio_req req = s->req;
  int hungry, done;

  renew_fixture ();
  if (s->how & WD || req.type == EIO_WD_CLOSE)
    req.wd = eio_wd_open_sync (0, path[SUB_PATH]);
  ck_assert_ptr_ne (req.wd, EIO_INVALID_WD);
  if (needs_dir (&req))
    req.int3 = open_dir ();

  poor = s->how & POOR;
  moves_away = poor && req.type == EIO_MOVE;
  starve (nth, mode);
  done = execute (&req, by, r);
  hungry = stop_starving ();

  if (req.type != EIO_WD_CLOSE || !done)
    eio_wd_close_sync (req.wd);
  if (needs_dir (&req) && (req.type != EIO_CLOSEDIR || !done))
    close_dir (req.int3);
  if (!done || (r->seen.result == -1 && r->seen.errorno == ENOMEM))
    ck_assert_msg (hungry, "ENOMEM without need");
  return hungry;
}

static void
wake (int warm)
{
  outcome o = { 0 };

  eio_set_min_parallel (1);
  if (!warm)
    return;
  ck_assert_ptr_nonnull (eio_nop (0, note, &o));
  host_drain ();
}

/* The same on a worker that is there already, and on one that has to be
 * started: then also its own allocations fail.  Returns whether any did. */
static int
check_starved (const sample *s, int by, int nth, int mode, int warm,
               const run *clean)
{
  run r;
  estate before = take_stock ();
  int hungry;

  wake (warm);
  hungry = execute_starved (s, by, nth, mode, &r);
  if (r.seen.calls && r.digest != clean->digest
      && (s->req.type != EIO_READDIR_NEXT || r.seen.result <= 0))
    {
      ck_assert_msg (s->req.type != EIO_READAHEAD,
                     "readahead(2) does not know ENOMEM");
      assert_fails (r.seen, ENOMEM);
    }

  /* The same worker must be none the worse for it. */
  ck_assert_int_eq (execute_starved (s, by, 0, ONE, &r), 0);
  ck_assert_int_eq (r.digest, clean->digest);

  assert_same_estate (before, take_stock (), s->name);
  return hungry;
}

static void
check_sample (const sample *s, int by, int mode)
{
  run clean;
  int nth, warm;

  wake (1);
  execute_starved (s, by, 0, ONE, &clean);
  ck_assert_msg (clean.seen.result >= 0, "%s: %s", s->name,
                 strerror (clean.seen.errorno));

  for (warm = 0; warm < 2; ++warm)
    for (nth = 1; check_starved (s, by, nth, mode, warm, &clean); ++nth)
      ck_assert_msg (nth < 200, "%s never succeeds", s->name);
}

/* That many files, with such long names, need more than one block. */
enum { ENTRIES = 150, DIGITS = 200 };

static void
check_all_ways (const sample *s, int mode)
{
  host_start ();
  make_fixture ("file");
  make_directory (reads_dir (&s->req) ? ENTRIES : 0, DIGITS);
  if (!(s->how & WD))
    check_sample (s, BY_WRAPPER, mode);
  check_sample (s, BY_SUBMIT, mode);
}

START_TEST (all_types_have_a_sample)
{
  int type, i;

  for (type = 0; type < EIO_REQ_TYPE_NUM; ++type)
    {
      for (i = 0; i < SAMPLES && samples[i].req.type != type; ++i)
        continue;
      ck_assert_msg (i < SAMPLES || !eio_strtype (type) || type == EIO_GROUP,
                     "%s has none", eio_strtype (type));
    }
}
END_TEST

START_TEST (request_survives_one_failing_allocation)
{
  check_all_ways (&samples[_i], ONE);
}
END_TEST

START_TEST (request_survives_lasting_lack_of_memory)
{
  check_all_ways (&samples[_i], ALL_FROM);
}
END_TEST

/* Of more bytes than one buffer holds, by hand. */
enum { MANY_BYTES = 1 << 20, MANY_ENTRIES = 2000 };

/* clang-format off */
static const sample large_samples[] = {
  S (SENDFILE,        PLAIN, .int1 = APPEND, .int2 = DATA, .size = MANY_BYTES),
  S (SENDFILE,        POOR,  .int1 = OUT, .int2 = DATA, .size = MANY_BYTES),
  S (READAHEAD,       POOR,  FD, .size = MANY_BYTES),
};
/* clang-format on */

static void
check_idle_worker (const sample *s, int by)
{
  long blocks;
  run r;

  eio_set_parallel (1);
  wake (1);
  blocks = live;
  execute_starved (s, by, 0, ONE, &r);
  ck_assert_msg (r.seen.result >= 0, "%s: %s", s->name,
                 strerror (r.seen.errorno));
  ck_assert_msg (live == blocks, "%s: %ld blocks, then %ld", s->name, blocks,
                 (long)live);
  ck_assert_uint_eq (eio_nthreads (), 1);
}

/* What a worker keeps for its next request would be there until it ends, which
 * it may never do. */
START_TEST (idle_workers_hold_nothing)
{
  const sample *s = _i < SAMPLES ? &samples[_i] : &large_samples[_i - SAMPLES];

  host_start ();
  make_fixture ("file");
  make_directory (reads_dir (&s->req) ? MANY_ENTRIES : 0, 20);
  if (_i >= SAMPLES)
    ck_assert_int_eq (ftruncate (DATA, MANY_BYTES), 0);
  if (!(s->how & WD))
    check_idle_worker (s, BY_WRAPPER);
  check_idle_worker (s, BY_SUBMIT);
}
END_TEST

/*****************************************************************************
 * Others                                                                    *
 *****************************************************************************/

enum { MEMBERS = 5 };

static outcome member[MEMBERS], whole;
static int fed, accepted;

static void
add_member (eio_req *grp)
{
  eio_req *req = eio_nop (0, note, &member[fed++]);

  if (req)
    ++accepted;
  else
    ck_assert_int_eq (errno, ENOMEM);
  eio_grp_add (grp, req);
}

static void
add_until_enough (eio_req *grp)
{
  if (fed < MEMBERS)
    add_member (grp);
}

static void
add_all (eio_req *grp)
{
  while (fed < MEMBERS)
    add_member (grp);
}

static void
add_by_feeder (eio_req *grp)
{
  eio_grp_feed (grp, add_until_enough, 1);
}

/* Returns whether an allocation failed. */
static int
starve_group (void (*fill) (eio_req *), int nth, int mode)
{
  eio_req *grp;
  int i, hungry, finished = 0;

  memset (member, 0, sizeof member);
  memset (&whole, 0, sizeof whole);
  fed = accepted = 0;

  starve (nth, mode);
  errno = 0;
  grp = eio_grp (note, &whole);
  if (grp)
    {
      fill (grp);
      host_drain ();
    }
  else
    ck_assert_int_eq (errno, ENOMEM);
  hungry = stop_starving ();

  for (i = 0; i < MEMBERS; ++i)
    finished += member[i].calls;
  ck_assert_int_eq (finished, accepted);
  ck_assert_int_eq (whole.calls, grp != 0);
  ck_assert (hungry || finished == MEMBERS);
  return hungry;
}

static void
check_group (void (*fill) (eio_req *))
{
  int mode, nth;
  long blocks;

  host_start ();
  wake (1);
  starve_group (fill, 0, ONE);
  blocks = rest ();
  for (mode = ONE; mode <= ALL_FROM; ++mode)
    for (nth = 1, wake (0); starve_group (fill, nth, mode); ++nth)
      {
        ck_assert_int_eq (starve_group (fill, 0, ONE), 0);
        ck_assert_int_eq (rest (), blocks);
        wake (nth & 1);
      }
  ck_assert_int_eq (rest (), blocks);
}

START_TEST (group_survives_without_some_members)
{
  check_group (add_all);
}
END_TEST

START_TEST (feeder_that_gets_no_memory_ends_the_group)
{
  check_group (add_by_feeder);
}
END_TEST

/* The first time, and after another life. */
START_TEST (init_says_enomem_and_can_be_repeated)
{
  outcome o = { 0 };
  int nth, hungry = 1, failures = 0;

  if (_i)
    host_start ();
  for (nth = 1; hungry; ++nth)
    {
      int result;

      starve (nth, ALL_FROM);
      errno = 0;
      result = eio_init (0, 0);
      hungry = stop_starving ();
      failures += result == -1;
      if (hungry)
        ck_assert (result == 0 || (result == -1 && errno == ENOMEM));
      else
        ck_assert_int_eq (result, 0);
    }
  ck_assert_int_eq (failures > 0, _i);
  host_start ();
  ck_assert_ptr_nonnull (eio_nop (0, note, &o));
  host_drain ();
  assert_ok (o, 0);
}
END_TEST

static int nop_within;

static int
poll_within (eio_req *req)
{
  (void)req;
  if (nop_within--)
    {
      eio_nop (0, poll_within, 0);
      while (nop_within > 0)
        eio_poll ();
    }
  return 0;
}

static int
close_it (eio_req *req)
{
  if (req->result >= 0)
    close ((int)req->result);
  return 0;
}

/* What somebody else may have held the allocator's locks for, when it was
 * forked. */
START_TEST (child_begins_anew_without_memory)
{
  static eio_req req = { .type = EIO_NOP };
  etp_pool *parents;
  int lives, status;
  pid_t pid;

  for (lives = 0; lives < _i; ++lives)
    eio_init (0, 0);
  eio_set_max_parallel (0);
  eio_submit (&req);
  parents = EIO_POOL;

  starve (1, ALL_FROM);
  pid = fork ();
  if (!pid)
    {
      int failed = refused != 0 || EIO_POOL == parents || eio_nreqs () != 0
                   || eio_init (0, 0) != 0 || EIO_POOL == parents;
      _exit (failed);
    }
  stop_starving ();
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  ck_assert_uint_eq (eio_nreqs (), 1);
  eio_set_min_parallel (1);
  while (eio_nreqs ())
    eio_poll ();
}
END_TEST

/* A grandchild for which there is no memory: what had been spared was for its
 * parent.  Its pool is the default pool, one with workers, or one without. */
static eio_pool *kin[3];
static int wanted, unwanted;
static char order[4];

static void
want (void)
{
  ++wanted;
}

static void
unwant (void)
{
  ++unwanted;
}

static void
want_of (void *userdata)
{
  (void)userdata;
  want ();
}

static void
unwant_of (void *userdata)
{
  (void)userdata;
  unwant ();
}

static int
note_order (eio_req *req)
{
  strcat (order, req->data);
  return 0;
}

static eio_req late[]
  = { { .type = EIO_NOP, .pri = -1, .finish = note_order, .data = "1" },
      { .type = EIO_NOP, .finish = note_order, .data = "2" },
      { .type = EIO_GROUP, .finish = note_order, .data = "3" } };

/* Nothing ends, hangs or goes the way of the parent's. */
static void
starve_in_child (eio_pool *pool)
{
  wanted = unwanted = 0;
  eio_pool_use (pool);
  need (eio_init (want, unwant) == -1 && errno == ENOMEM);
  need (eio_nreqs () == 0 && eio_poll () == 0 && eio_flush () == 0);
  eio_set_max_poll_reqs (1);
  eio_set_max_idle (7);
  eio_submit (&late[0]);
  eio_submit (&late[2]);
  eio_grp_add (&late[2], &late[1]);
  eio_submit (&late[1]);

  need (eio_nreqs () == 3 && eio_npending () == 0 && eio_nthreads () == 0);
  need (wanted == 1 && unwanted == 0);
  need (eio_poll () == -1 && errno == EAGAIN);
  need (eio_poll_wait (-1) == 0);
  need (eio_flush () == -1 && errno == EAGAIN);
  need (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1) == -1 && errno == ENOMEM);
  need (eio_pool_new_shared (0, 0, 0, 0) == 0 && errno == ENOMEM);
  starve (3, ALL_FROM); /* that one pool, and not the one with its workers */
  need (eio_pool_new_shared (0, 0, 0, 0) == 0 && errno == ENOMEM);
  need (!pool || (eio_pool_free (pool) == -1 && errno == EBUSY));
  need (wanted == 1 && unwanted == 0 && !*order);
}

/* All of it ends, once, and the settings are there. */
static void
recover_in_child (eio_pool *pool)
{
  stop_starving ();
  if (!pool)
    {
      wanted = unwanted = 0;
      need (eio_init (want, unwant) == 0 && wanted == 1);
    }
  eio_pool_use (pool);
  need (eio_nreqs () == 3 && eio_get_max_idle () == 7);
  need (eio_get_max_poll_reqs () == 1);
  need (eio_flush () == 0 && eio_nreqs () == 0);
  need (strlen (order) == 3 && strchr (order, '1')
        && strchr (order, '2') < strchr (order, '3'));
  need (wanted == unwanted);
  need (eio_pool_free (kin[2]) == 0 && eio_pool_free (kin[1]) == 0);
  eio_pool_use (0);
  need (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1) == 0 && eio_nthreads () == 0);
}

/* Returns in the grandchild, too. */
static int
fork_twice (eio_req *req)
{
  pid_t pid = fork (), child = pid;

  if (!pid)
    {
      begin_child ();
      starve (1, ALL_FROM);
      pid = fork ();
    }
  if (pid)
    {
      expect_success (pid);
      if (!child)
        _exit (0);
      return 0;
    }
  begin_child ();
  starve_in_child (req->data);
  return 0;
}

/* Forked by a callback, from 3 on, or not. */
START_TEST (child_waits_for_memory)
{
  eio_req req = { .type = EIO_NOP, .finish = fork_twice };
  pid_t self = getpid ();

  ck_assert_int_eq (eio_init (want, unwant), 0);
  kin[1] = eio_pool_new (want_of, unwant_of, 0);
  kin[2] = eio_pool_new_shared (kin[1], want_of, unwant_of, 0);
  req.data = kin[_i % 3];
  if (_i < 3)
    fork_twice (&req);
  else
    {
      eio_submit (&req);
      eio_flush ();
    }
  if (getpid () != self)
    {
      recover_in_child (req.data);
      _exit (0);
    }
  ck_assert_int_eq (eio_pool_free (kin[2]), 0);
  ck_assert_int_eq (eio_pool_free (kin[1]), 0);
}
END_TEST

/* With many workers, nested polls, earlier lives, and requests under way. */
START_TEST (shutdown_leaves_nothing_behind)
{
  int round, i;

  for (round = 0; round < 3; ++round)
    {
      static outcome seen[100];

      host_start ();
      eio_set_min_parallel (8);
      eio_poll_fd ();
      nop_within = 3;
      eio_nop (0, poll_within, 0);
      host_drain ();
      for (i = 0; i < 40; ++i)
        eio_busy (0.0005, i % 9 - 4, note, &seen[i]);
      eio_open (scratch (), O_RDONLY, 0, 0, close_it, 0);
      if (_i > 1)
        host_drain ();
      ck_assert_int_eq (eio_shutdown (_i & 1, -1), 0);
      ck_assert_int_eq (live, 0);
      ck_assert_uint_eq (eio_nreqs (), 0);
      ck_assert_uint_eq (eio_nthreads (), 0);
      ck_assert_ptr_eq (EIO_POOL, &eio__second_pool); /* Check has forked */
    }
  host_start (); /* for tear_down */
}
END_TEST

/* While memory is short, from the nth allocation on or just there. */
START_TEST (shutdown_needs_no_memory)
{
  outcome o;
  int nth, hungry = 1;

  for (nth = 1; hungry; ++nth)
    {
      memset (&o, 0, sizeof o);
      host_start ();
      wake (1);
      ck_assert_ptr_nonnull (eio_open (scratch (), O_RDONLY, 0, 0, close_it,
                                       0));
      ck_assert_ptr_nonnull (eio_nop (0, note, &o));
      starve (nth, _i / 2);
      ck_assert_int_eq (eio_shutdown (_i & 1, -1), 0);
      hungry = stop_starving ();
      ck_assert_int_eq (live, 0);
      ck_assert_uint_eq (eio_nthreads (), 0);
      ck_assert (_i & 1 || o.calls == 1);
    }
  host_start (); /* for tear_down */
}
END_TEST

/* A whole life of a pool. */
static void
live_in_a_pool (void)
{
  eio_req req = { .type = EIO_NOP, .finish = note };
  eio_pool *pool = eio_pool_new (0, 0, 0);
  outcome o = { 0 };

  if (!pool)
    {
      ck_assert_int_eq (errno, ENOMEM);
      return;
    }
  eio_pool_use (pool);
  eio_set_min_parallel (2);
  eio_set_max_idle (1);
  eio_set_reserved (1, 0);
  eio_set_stack_size (1 << 17);
  eio_set_thread_name ("a-name");
  ck_assert_int_ge (eio_poll_fd (), 0);
  req.data = &o;
  eio_submit (&req);
  while (eio_nreqs ())
    eio_poll ();
  assert_ok (o, 0);
  ck_assert_int_eq (eio_pool_free (pool), 0);
  eio_pool_use (0);
}

START_TEST (pools_survive_lack_of_memory)
{
  long blocks;
  int nth, fds, hungry = 1;

  host_start ();
  live_in_a_pool ();
  blocks = rest ();
  fds = count_fds ();
  for (nth = 1; hungry; ++nth)
    {
      starve (nth, _i);
      errno = 0;
      live_in_a_pool ();
      hungry = stop_starving ();
      ck_assert_int_eq (live, blocks);
      ck_assert_int_eq (count_fds (), fds);
    }
  ck_assert_int_gt (nth, 3);
}
END_TEST

START_TEST (wd_open_sync_leaves_nothing_behind)
{
  long blocks;
  int nth, fds, hungry = 1;

  host_start ();
  make_fixture ("file");
  make_directory (0, 0);
  blocks = live;
  fds = count_fds ();
  for (nth = 1; hungry; ++nth)
    {
      eio_wd wd;

      starve (nth, ONE);
      errno = 0;
      wd = eio_wd_open_sync (0, path[DIR_PATH]);
      hungry = stop_starving ();
      if (wd != EIO_INVALID_WD)
        eio_wd_close_sync (wd);
      else
        ck_assert (hungry && errno == ENOMEM);
      ck_assert_int_eq (live, blocks);
      ck_assert_int_eq (count_fds (), fds);
    }
  ck_assert_int_gt (nth, 2);
}
END_TEST

/* Links that leave more and more to do: "link.2/./././…", and so on. */
static void
make_long_links (int n)
{
  static char text[4000];
  char name[20];
  int i;

  for (i = 0; i < LENGTH (text) - 2; ++i)
    text[i] = i % 2 ? '.' : '/';
  for (i = 0; i < n; ++i)
    {
      snprintf (name, sizeof name, i == n - 1 ? "dir" : "link.%d", i + 1);
      memset (text, '/', 20);
      memcpy (text, name, strlen (name));
      snprintf (name, sizeof name, "link.%d", i);
      ck_assert_int_eq (symlink (text, scratch_path (name)), 0);
    }
}

START_TEST (long_links_leave_nothing_behind)
{
  static char out[1 << 14]; /* more than it takes */
  char real[PATH_MAX];
  long blocks;
  int nth, hungry = 1;

  host_start ();
  make_fixture ("file");
  make_directory (0, 0);
  make_long_links (8);
  ck_assert_ptr_nonnull (realpath (path[DIR_PATH], real));
  blocks = live;
  for (nth = 1; hungry; ++nth)
    {
      eio_ssize_t n;

      starve (nth, ONE);
      errno = 0;
      n = eio__realpath_to (0, scratch_path ("link.0"), out);
      hungry = stop_starving ();
      if (n < 0)
        ck_assert (hungry && errno == ENOMEM);
      else
        ck_assert_str_eq (out, real);
      ck_assert_int_eq (live, blocks);
    }
  ck_assert_int_gt (nth, 4); /* one for what is left to do, at least */
}
END_TEST

START_TEST (sendfile_sync_leaves_nothing_behind)
{
  long blocks;
  int nth, hungry = 1;

  host_start ();
  make_fixture ("file");
  blocks = live;
  for (nth = 1; hungry; ++nth)
    {
      eio_ssize_t result;

      starve (nth, ONE);
      errno = 0;
      result = eio_sendfile_sync (APPEND, DATA, 0, BYTES);
      hungry = stop_starving ();
      if (result == -1)
        ck_assert (hungry && errno == ENOMEM);
      else
        ck_assert_int_eq (result, BYTES);
      ck_assert_int_eq (live, blocks);
    }
}
END_TEST

/* Executed, then cancelled: what they opened is closed by a worker, which
 * takes a request, which takes memory.  Without and with that. */
START_TEST (cancelled_open_leaves_nothing_behind)
{
  outcome o = { 0 };
  eio_req *req;
  long blocks;
  int fds;

  host_start ();
  make_fixture ("file");
  make_directory (0, 0);
  wake (1);
  blocks = rest ();
  fds = count_fds ();
  wake (1);

  req = _i % 2 ? eio_wd_open (path[DIR_PATH], 0, note, &o)
               : eio_open (path[FILE_PATH], O_RDONLY, 0, 0, note, &o);
  wait_until (eio_npending () == 1);
  eio_cancel (req);
  if (_i / 2)
    starve (1, ALL_FROM);
  host_drain ();
  stop_starving ();

  ck_assert_int_eq (o.calls, 0);
  ck_assert_int_eq (rest (), blocks);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* Each of three callbacks polls for the next; 0 would say that nothing is
 * left. */
static int
poll_starved (eio_req *req)
{
  if (eio_poll ())
    {
      ck_assert_int_eq (errno, EAGAIN);
      ck_assert_int_gt (refused, 0);
    }
  else
    ck_assert_uint_eq (eio_npending (), 0);
  return note (req);
}

/* With a limit on what eio_poll may finish, and without. */
START_TEST (nested_poll_survives_lack_of_memory)
{
  outcome o[3] = { { 0 } };
  long blocks;
  int i;

  host_start ();
  wake (1);
  eio_set_max_poll_reqs (_i);
  blocks = rest ();
  wake (1);
  for (i = 0; i < 3; ++i)
    eio_nop (0, poll_starved, &o[i]);
  wait_until (eio_npending () == 3);
  starve (1, ALL_FROM);
  host_drain ();
  stop_starving ();
  for (i = 0; i < 3; ++i)
    assert_ok (o[i], 0);
  ck_assert_int_eq (rest (), blocks);
}
END_TEST

/*****************************************************************************
 * Memory that the library frees                                             *
 *****************************************************************************/

/* Blocks as finish and destroy saw them; what finish does to the flags. */
static long at_finish, at_destroy;
static int to_set, to_clear;

static int
change_flags (eio_req *req)
{
  at_finish = live;
  req->flags = (unsigned char)((req->flags | to_set) & ~to_clear);
  return note (req);
}

static void
count_at_destroy (eio_req *req)
{
  (void)req;
  at_destroy = live;
}

static void
run_flagged (eio_req req, outcome *o)
{
  static eio_req mine;

  memset (o, 0, sizeof *o);
  mine = req;
  mine.finish = change_flags;
  mine.destroy = count_at_destroy;
  mine.data = o;
  eio_submit (&mine);
  host_drain ();
  ck_assert_int_eq (o->calls, 1);
}

enum { BOTH = EIO_FLAG_PTR1_FREE | EIO_FLAG_PTR2_FREE };

/* What flags has when it is submitted, and what finish sets and clears. */
static const struct
{
  int submitted, set, clear;
} flaggings[] = {
  { BOTH, 0, 0 },
  { 0, 0, 0 },
  { BOTH, 0, BOTH },
  { BOTH, 0, EIO_FLAG_PTR1_FREE },
  { BOTH, 0, EIO_FLAG_PTR2_FREE },
  { 0, BOTH, 0 },
  { 0, EIO_FLAG_PTR1_FREE, 0 },
  { 0, EIO_FLAG_PTR2_FREE, 0 },
};

/* By the flags as finish left them; first of a request, then of a group. */
START_TEST (flagged_memory_is_freed_between_finish_and_destroy)
{
  int row = _i % LENGTH (flaggings), left;
  eio_req req = { .type = _i > row ? EIO_GROUP : EIO_NOP };
  long blocks;
  outcome o;

  host_start ();
  wake (1);
  blocks = live;
  req.ptr1 = fault_malloc (10);
  req.ptr2 = fault_malloc (10);
  req.flags = (unsigned char)flaggings[row].submitted;
  to_set = flaggings[row].set;
  to_clear = flaggings[row].clear;
  left = ~((flaggings[row].submitted | to_set) & ~to_clear);
  run_flagged (req, &o);

  if (left & EIO_FLAG_PTR1_FREE)
    fault_free (req.ptr1);
  if (left & EIO_FLAG_PTR2_FREE)
    fault_free (req.ptr2);
  ck_assert_int_eq (live, blocks);
  ck_assert_int_eq (at_finish - at_destroy,
                    2 - !!(left & EIO_FLAG_PTR1_FREE)
                      - !!(left & EIO_FLAG_PTR2_FREE));
}
END_TEST

/* The dents take the place of a path that the library has to free. */
START_TEST (readdir_frees_the_path_that_its_dents_replace)
{
  eio_req req = { .type = EIO_READDIR, DENTS, .flags = EIO_FLAG_PTR1_FREE };
  long blocks;
  outcome o;

  host_start ();
  make_fixture ("file");
  make_directory (3, 1);
  wake (1);
  blocks = live;
  req.ptr1 = strcpy (fault_malloc (strlen (path[DIR_PATH]) + 1),
                     path[DIR_PATH]);
  run_flagged (req, &o);
  assert_ok (o, 3);
  ck_assert_int_eq (at_finish - blocks, 2); /* dents and names */
  ck_assert_int_eq (at_destroy, blocks);
}
END_TEST

/* So does the path of a file that is made. */
START_TEST (temporary_names_free_the_template_that_they_replace)
{
  eio_req req = { .type = _i ? EIO_MKSTEMP : EIO_MKDTEMP,
                  .flags = EIO_FLAG_PTR1_FREE };
  long blocks;
  outcome o;

  host_start ();
  make_fixture ("file");
  wake (1);
  blocks = live;
  req.ptr1 = strcpy (fault_malloc (strlen (path[TEMP_PATH]) + 1),
                     path[TEMP_PATH]);
  run_flagged (req, &o);
  ck_assert_int_ge (o.result, 0);
  if (_i)
    close ((int)o.result);
  ck_assert_int_eq (at_finish - blocks, 1);
  ck_assert_int_eq (at_destroy, blocks);
}
END_TEST

/*****************************************************************************
 * Workers                                                                   *
 *****************************************************************************/

/* Lasting lack of memory, or just that of the first worker's. */
START_TEST (pool_without_memory_for_workers_goes_on)
{
  enum { N = 50 };
  static eio_req reqs[N];
  static outcome seen[N];
  outcome after = { 0 };
  int i;

  host_start ();
  starve (1, _i ? ALL_FROM : ONE);
  for (i = 0; i < N; ++i)
    {
      reqs[i].type = EIO_NOP;
      reqs[i].finish = note;
      reqs[i].data = &seen[i];
      eio_submit (&reqs[i]);
    }
  host_drain ();
  for (i = 0; i < N; ++i)
    assert_ok (seen[i], 0);
  ck_assert_int_gt (stop_starving (), 0);

  ck_assert_ptr_nonnull (eio_nop (0, note, &after));
  wait_until (eio_nthreads ());
  host_drain ();
  assert_ok (after, 0);
}
END_TEST

/* Every test has to leave a pool that can be brought to rest.  (And
 * ThreadSanitizer waits a second for threads that are left.) */
static void
tear_down (void)
{
  rest ();
}

int
main (void)
{
  Suite *suite = suite_create ("oom");
  TCase *each = add_case (suite, "each request", 60, 0, tear_down);
  TCase *others = add_case (suite, "others", 60, 0, tear_down);

  tcase_add_test (each, all_types_have_a_sample);
  tcase_add_loop_test (each, request_survives_one_failing_allocation, 0,
                       SAMPLES);
  tcase_add_loop_test (each, request_survives_lasting_lack_of_memory, 0,
                       SAMPLES);
  tcase_add_loop_test (each, idle_workers_hold_nothing, 0,
                       SAMPLES + LENGTH (large_samples));

  tcase_add_test (others, group_survives_without_some_members);
  tcase_add_test (others, feeder_that_gets_no_memory_ends_the_group);
  tcase_add_loop_test (others, init_says_enomem_and_can_be_repeated, 0, 2);
  tcase_add_loop_test (others, child_begins_anew_without_memory, 1, 4);
  tcase_add_loop_test (others, child_waits_for_memory, 0,
                       child_may_start_threads () ? 6 : 3);
  tcase_add_loop_test (others, shutdown_leaves_nothing_behind, 0, 4);
  tcase_add_loop_test (others, shutdown_needs_no_memory, 0, 4);
  tcase_add_loop_test (others, pools_survive_lack_of_memory, ONE,
                       ALL_FROM + 1);
  tcase_add_test (others, wd_open_sync_leaves_nothing_behind);
  tcase_add_test (others, long_links_leave_nothing_behind);
  tcase_add_test (others, sendfile_sync_leaves_nothing_behind);
  tcase_add_loop_test (others, cancelled_open_leaves_nothing_behind, 0, 4);
  tcase_add_loop_test (others, nested_poll_survives_lack_of_memory, 0, 2);
  tcase_add_loop_test (others,
                       flagged_memory_is_freed_between_finish_and_destroy, 0,
                       2 * LENGTH (flaggings));
  tcase_add_test (others, readdir_frees_the_path_that_its_dents_replace);
  tcase_add_loop_test (
    others, temporary_names_free_the_template_that_they_replace, 0, 2);
  tcase_add_loop_test (others, pool_without_memory_for_workers_goes_on, 0, 2);
  return run_suite (suite);
}
