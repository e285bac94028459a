/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Fuzzing the whole interface: bytes are calls, 8 each (see record), which
 * the library makes in one directory and plain system calls in another.
 * Outcomes have to be the same, and in the end both directories.
 *
 * So that there is one right answer, calls are collected in batches.  Paused:
 * all is queued before one worker executes it, so the order is known, and what
 * is cancelled does not execute.  Running: several workers execute at once,
 * but whatever changes something does so alone.  Either way, each request has
 * to end once, and want_poll, done_poll, and the counters to agree. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "fuzz.h"

#include <math.h>
#include <stdatomic.h>

#include "shadow.h"

typedef struct
{
  uint8_t what;    /* kind, or one of those that follow the kinds */
  uint8_t how;     /* see HOW_* */
  uint8_t name[2]; /* paths */
  uint8_t fd;      /* slots: low and high half */
  uint8_t arg;     /* int1, int2, pri */
  int8_t offs;
  uint8_t size;
} record;

enum
{
  HOW_MINE     = 1,  /* filled by hand, not by a wrapper */
  HOW_JOINS    = 2,  /* the group */
  HOW_CANCEL   = 4,  /* is cancelled at once */
  HOW_ABSOLUTE = 8,  /* has absolute paths */
  HOW_WD       = 16, /* is relative to a wd, */
  HOW_INVALID  = 32, /* ... to EIO_INVALID_WD */
  HOW_ACT      = 64  /* 0 to 3: what finish does */
};

enum
{
  MAX_CALLS = 64,
  FDS       = 4,
  WDS       = 2,
  POOLS     = 3
};

/* clang-format off */
static const kind kinds[] = {
  { EIO_NOP, 0, { 0 }, { 0 } },
  { EIO_CUSTOM, 0, { 0, 0, ENOTTY, EIO }, { 0 } },
  { EIO_BUSY, 0, { 0 }, { 0 } },
  { EIO_WD_OPEN, PATH, { 0 }, { 0 } },
  { EIO_WD_CLOSE, ALONE | DROPS, { 0 }, { 0 } },
  { EIO_CLOSE, FD | ALONE | DROPS, { 0 }, { 0 } },
  { EIO_DUP2, FD | FD2 | ALONE, { 0 }, { 0 } },
  { EIO_SEEK, FD | WRITES, { 0 }, { 0, 1, 2, SEEK_DATA } },
  { EIO_READ, FD, { 0 }, { 0 } },
  { EIO_WRITE, FD | WRITES, { 0 }, { 0 } },
  { EIO_FCNTL, FD, { 0 }, { F_GETFL, F_GETFD, 9999, F_GETFL } },
  { EIO_IOCTL, FD, { 0 }, { FIONREAD, FIONREAD, 1, FIONREAD } },
  { EIO_READAHEAD, FD | EITHER, { 0 }, { 0 } },
  { EIO_SENDFILE, FD | FD2 | ALONE | EITHER, { 0 }, { 0 } },
  { EIO_FSTAT, FD, { 0 }, { 0 } },
  { EIO_FSTATVFS, FD, { 0 }, { 0 } },
  { EIO_FTRUNCATE, FD | WRITES, { 0 }, { 0 } },
  { EIO_FUTIME, FD | WRITES, { 0 }, { 0 } },
  { EIO_FCHMOD, FD | WRITES, { 0 }, { 0644, 0700, 04711, 0 } },
  { EIO_FCHOWN, FD | WRITES, { 0 }, { 0, 1, 2, -1 } },
  { EIO_FSYNC, FD, { 0 }, { 0 } },
  { EIO_FDATASYNC, FD, { 0 }, { 0 } },
  { EIO_SYNCFS, FD, { 0 }, { 0 } },
  { EIO_MSYNC, 0, { EIO_MS_SYNC, 4, 4, 4 }, { 0 } },
  { EIO_MTOUCH, 0, { 0, EIO_MT_MODIFY, 0, 1 }, { 0 } },
  { EIO_SYNC_FILE_RANGE, FD | EITHER, { 0 }, { 0, 1, 2, 7 } },
  { EIO_FALLOCATE, FD | WRITES, { 0 }, { 0, 1, 3, 2 } },
  { EIO_MLOCK, 0, { 0 }, { 0 } },
  { EIO_REALPATH, PATH, { 0 }, { 0 } },
  { EIO_READDIR, PATH, { 0, 1, 3, 5 }, { 0 } },
  { EIO_OPEN, PATH | WRITES,
    { O_RDWR | O_CREAT, O_RDONLY, O_WRONLY | O_APPEND | O_TRUNC,
      O_RDWR | O_CREAT | O_EXCL }, { 0644, 0700, 04711, 0 } },
  { EIO_OPEN, PATH, { O_RDONLY, O_RDWR, O_RDONLY | O_DIRECTORY,
                      O_WRONLY | O_NOFOLLOW }, { 0 } },
  { EIO_STAT, PATH, { 0 }, { 0 } },
  { EIO_LSTAT, PATH, { 0 }, { 0 } },
  { EIO_STATVFS, PATH, { 0 }, { 0 } },
  { EIO_TRUNCATE, PATH | WRITES, { 0 }, { 0 } },
  { EIO_UTIME, PATH | WRITES, { 0 }, { 0 } },
  { EIO_CHMOD, PATH | WRITES, { 0 }, { 0644, 0700, 04711, 0 } },
  { EIO_CHOWN, PATH | WRITES, { 0 }, { 0, 1, 2, -1 } },
  { EIO_UNLINK, PATH | WRITES, { 0 }, { 0 } },
  { EIO_RMDIR, PATH | WRITES, { 0 }, { 0 } },
  { EIO_MKDIR, PATH | WRITES, { 0 }, { 0755, 0700, 01777, 0 } },
  { EIO_RENAME, PATH | PATH2 | WRITES, { 0 },
    { 0, 0, EIO_RENAME_NOREPLACE, EIO_RENAME_EXCHANGE } },
  { EIO_MKNOD, PATH | WRITES, { 0 },
    { S_IFREG | 0600, S_IFSOCK | 0600, S_IFREG, S_IFDIR } },
  { EIO_LINK, PATH | PATH2 | WRITES, { 0 }, { 0 } },
  { EIO_SYMLINK, PATH | PATH2 | WRITES, { 0 }, { 0 } },
  { EIO_READLINK, PATH, { 0 }, { 0 } },
  { EIO_SLURP, PATH, { 0 }, { 0 } },
  { EIO_READV, FD, { 0 }, { 0 } },
  { EIO_WRITEV, FD | WRITES, { 0 }, { 0 } },
  { EIO_READ_ALL, FD, { 0 }, { 0 } },
  { EIO_WRITE_ALL, FD | WRITES, { 0 }, { 0 } },
  { EIO_STATX, PATH, { 0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0 },
    { EIO_STATX_BASIC_STATS, EIO_STATX_ALL, 0x7ff, 0x7ff } },
  { EIO_FSTATX, FD, { 0 }, { EIO_STATX_BASIC_STATS, 0x7ff, 0x7ff, 0x7ff } },
  { EIO_COPY_RANGE, FD | FD2 | ALONE | EITHER, { 0 }, { 0 } },
  { EIO_CLONE, FD | FD2 | ALONE | EITHER, { 0 }, { 0 } },
  { EIO_SPLICE, FD | FD2 | ALONE | EITHER, { 0 }, { 0 } },
  { EIO_TEE, FD | FD2 | ALONE | EITHER, { 0 }, { 0 } },
  { EIO_FADVISE, FD, { 0 }, { POSIX_FADV_NORMAL, POSIX_FADV_DONTNEED, 99,
                              POSIX_FADV_RANDOM } },
  { EIO_MADVISE, 0, { MADV_NORMAL, MADV_RANDOM, MADV_WILLNEED, 9999 },
    { 0 } },
  { EIO_MINCORE, 0, { 0 }, { 0 } },
  { EIO_MUNLOCK, 0, { 0 }, { 0 } },
  { EIO_FULLSYNC, FD, { 0 }, { 0 } },
  { EIO_FIEMAP, FD | EITHER, { 0 }, { 0 } },
  { EIO_GETXATTR, PATH, { 0 }, { 0, AT_SYMLINK_NOFOLLOW, 0, 0 } },
  { EIO_SETXATTR, PATH | WRITES, { 0 },
    { 0, AT_SYMLINK_NOFOLLOW, EIO_XATTR_CREATE, EIO_XATTR_REPLACE } },
  { EIO_LISTXATTR, PATH, { 0 }, { 0, AT_SYMLINK_NOFOLLOW, 0, 0 } },
  { EIO_REMOVEXATTR, PATH | WRITES, { 0 },
    { 0, AT_SYMLINK_NOFOLLOW, 0, 0 } },
  { EIO_FGETXATTR, FD, { 0 }, { 0 } },
  { EIO_FSETXATTR, FD | WRITES, { 0 }, { 0, 1, 2, 0 } },
  { EIO_FLISTXATTR, FD, { 0 }, { 0 } },
  { EIO_FREMOVEXATTR, FD | WRITES, { 0 }, { 0 } },
  { EIO_ACCESS, PATH, { 0 }, { F_OK, X_OK, R_OK | W_OK, 99 } },
  { EIO_LCHOWN, PATH | WRITES, { 0 }, { 0, 1, 2, -1 } },
  { EIO_LUTIME, PATH | WRITES, { 0 }, { 0 } },
  { EIO_UTIMENS, PATH | WRITES, { 0, AT_SYMLINK_NOFOLLOW, 0, 9999 }, { 0 } },
  { EIO_FUTIMENS, FD | WRITES, { 0 }, { 0 } },
  { EIO_RENAME2, PATH | PATH2 | WRITES, { 0 },
    { 0, EIO_RENAME_EXCHANGE, EIO_RENAME_NOREPLACE, 3 } },
  { EIO_LINK2, PATH | PATH2 | WRITES, { 0, AT_SYMLINK_FOLLOW, 0, 9999 },
    { 0 } },
  { EIO_UNLINK2, PATH | WRITES, { 0, AT_REMOVEDIR, 0, 9999 }, { 0 } },
  { EIO_OPEN2, PATH | WRITES, { O_RDWR, O_RDONLY, O_RDWR | O_CREAT,
                                O_RDWR | O_TRUNC }, { 0 } },
  { EIO_MKDTEMP, PATH | ALONE | EITHER, { 0 }, { 0 } },
  { EIO_MKSTEMP, PATH | ALONE | EITHER, { 0 }, { 0 } },
  { EIO_TMPFILE, PATH, { O_RDWR, O_WRONLY, O_RDWR | O_EXCL, O_RDWR },
    { 0644, 0700, 0600, 0 } },
  { EIO_LINKFD, FD | PATH | WRITES | EITHER, { 0 }, { 0 } },
  { EIO_MKDIRS, PATH | WRITES | EITHER, { 0 }, { 0755, 0700, 01777, 0 } },
  { EIO_OPENDIR, PATH, { 0 }, { 0 } },
  { EIO_LOAD, PATH | EITHER, { 0 }, { 0 } },
  { EIO_SAVE, PATH | WRITES | EITHER, { 0, 0, EIO_SAVE_SYNC, 0 },
    { 0, 0600, 0, 0644 } },
  { EIO_PATHSYNC, PATH, { 0 }, { 0 } },
  { EIO_SCANDIR, PATH, { 0, 1, 3, 5 }, { 0 } },
  { EIO_COPY, PATH | PATH2 | WRITES | EITHER,
    { 0, EIO_COPY_EXCL, EIO_COPY_OWNER | EIO_COPY_TIMES, 16 }, { 0 } },
  { EIO_MOVE, PATH | PATH2 | WRITES | EITHER,
    { 0, EIO_COPY_EXCL, 0, EIO_COPY_ARCHIVE }, { 0 } },
};

/* A relative path that a link may contain cannot lead out. */
static char long_name[2][257];
static const char *const paths[] = {
  "a", "b", "c", "d", "e", "l", "d/a", "d/b", "d/d", "d/d/a", "d/d/d/d",
  "l/a", "l/d", "e/l", "e/d", "", ".", "a/", "d/", "l/", "none/a", "a/a",
  "./a", "d//a", "d/.", "\xff\n", long_name[0], long_name[1], 0,
  /* these may */ "..", "d/..", "l/.."
};
enum { SAFE_PATHS = 28, NULL_PATH = 28 };
/* clang-format on */

/* --- the host ----------------------------------------------------------- */

typedef struct
{
  eio_pool *pool; /* of the first: null, the default one */
  atomic_int inside, wants, dones;
} host;

static host hosts[POOLS];
static int home; /* the directory that we came from */
static int current, paused, workers, how_to_poll;
static atomic_int hooked; /* workers that called the hooks */
static int fds[FDS][2]; /* eio's and the shadow's, or -1 */
static eio_wd wds[WDS];
static int shadow_wds[WDS];
static call calls[MAX_CALLS];
static int ncalls;
static call *group; /* that calls may join */
static int closing; /* what is submitted may be cancelled */

static void
signal_host (host *h, int wanted)
{
  MUST (!atomic_fetch_add (&h->inside, 1), "two at once");
  MUST (h->wants == h->dones + !wanted, "want %d, done %d", h->wants,
        h->dones);
  ++*(wanted ? &h->wants : &h->dones);
  atomic_fetch_sub (&h->inside, 1);
}

static void
want_pool (void *h)
{
  signal_host (h, 1);
}

static void
done_pool (void *h)
{
  signal_host (h, 0);
}

static void
want_default (void)
{
  signal_host (&hosts[0], 1);
}

static void
done_default (void)
{
  signal_host (&hosts[0], 0);
}

static void
count_thread (void *n)
{
  ++*(atomic_int *)n;
}

static void
uncount_thread (void *n)
{
  --*(atomic_int *)n;
}

static void
note_slow (const eio_req *req, eio_tstamp seconds)
{
  MUST (req && seconds >= 0, "slow");
}

/* Exactly what has been queued, in the order of priority, will execute. */
static int
is_exact (void)
{
  return paused && !eio_get_inline ();
}

static void
hold_or_run (void)
{
  if (!paused)
    eio_set_parallel ((unsigned)workers);
  else if (workers & 1)
    eio_set_max_parallel (0);
  else
    eio_set_parallel (0);
}

/* --- callbacks ---------------------------------------------------------- */

static call *start_nop (void);
static void cancel (call *c);

/* What was delivered, as the shadow notes it. */
static uint64_t
note_bytes (call *c, const eio_req *req)
{
  names list = { .n = 0 };
  uint64_t h = 0;
  size_t n = (size_t)req->result;

  switch (c->kind->type)
    {
    case EIO_READV: return hash (2, c->data, n);
    case EIO_READ: case EIO_READ_ALL: case EIO_READLINK: case EIO_SLURP:
    case EIO_LOAD: case EIO_GETXATTR: case EIO_FGETXATTR:
    case EIO_LISTXATTR: case EIO_FLISTXATTR:
      return hash (2, req->ptr2, n);
    case EIO_REALPATH: return hash_real (req->ptr2, n);
    case EIO_READDIR: case EIO_SCANDIR:
      take_names (&list, req);
      h = sort_names (&list);
      free_names (&list);
      return h;
    case EIO_STAT: case EIO_LSTAT: case EIO_FSTAT:
      return hash_stat (EIO_STAT_BUF (req));
    case EIO_STATVFS: case EIO_FSTATVFS:
      return hash_statvfs (EIO_STATVFS_BUF (req));
    case EIO_STATX: case EIO_FSTATX:
      {
        const struct eio_statx *x = EIO_STATX_BUF (req);
        struct stat st = { .st_mode = x->mode, .st_uid = x->uid,
                           .st_gid = x->gid, .st_nlink = x->nlink,
                           .st_size = (off_t)x->size, .st_mtim = x->mtime };
        return hash_stat (&st);
      }
    case EIO_SEEK: return (uint64_t)req->offs;
    case EIO_IOCTL: return *(unsigned *)c->data;
    default: return 0;
    }
}

/* A new name is removed at once; what can be compared goes into result. */
static long
note_result (call *c, eio_req *req)
{
  switch (c->kind->type)
    {
    case EIO_OPEN: case EIO_OPEN2: case EIO_TMPFILE:
      c->opened[0] = (int)req->result;
      return 0;
    case EIO_MKSTEMP:
    case EIO_MKDTEMP:
      MUST (!unlinkat (c->ask.wd ? *(int *)c->ask.wd : AT_FDCWD, req->ptr1,
                       c->kind->type == EIO_MKDTEMP ? AT_REMOVEDIR : 0),
            "%s", (char *)req->ptr1);
      if (c->kind->type == EIO_MKSTEMP)
        close ((int)req->result);
      return 0;
    case EIO_WD_OPEN:
      c->wd = req->wd;
      return 0;
    case EIO_OPENDIR:
      MUST (eio_closedir (eio_req_dir (req), 0, 0, 0), "closedir");
      return 0;
    case EIO_REALPATH: return (long)req->result - (long)strlen (top);
    case EIO_DUP2: case EIO_FIEMAP: return 0; /* fd; extents may differ */
    default: return req->result;
    }
}

static void
leave_group (call *c)
{
  if (c->grp)
    --c->grp->members;
}

static int
finish (eio_req *req)
{
  call *c = req->data;

  MUST (!c->finishes++ && !c->destroys, "type %d ends twice", req->type);
  leave_group (c);
  MUST (req->result != -1 || req->errorno, "type %d fails", req->type);
  if (req->type == EIO_GROUP)
    MUST (!c->members, "%d members are left", c->members);
  else
    {
      c->got.error = req->result < 0 ? req->errorno : 0;
      c->got.bytes = req->result < 0 ? 0 : note_bytes (c, req);
      c->got.result = req->result < 0 ? -1 : note_result (c, req);
    }
  if (c->act == 2)
    eio_poll ();
  else if (c->act == 3)
    start_nop ();
  return c->act == 1 ? 7 : 0;
}

static void
destroy (eio_req *req)
{
  call *c = req->data;

  MUST (!c->destroys++, "type %d", req->type);
  MUST (c->finishes || c->cancelled, "type %d was not finished", req->type);
  if (!c->finishes)
    {
      MUST (req->type == EIO_GROUP
              || (req->result == -1 && req->errorno == ECANCELED),
            "type %d: cancelled, but %ld", req->type, (long)req->result);
      leave_group (c);
    }
  if (c == group)
    group = 0;
  c->req = 0;
  if (c->mine)
    free (req);
  else
    c->destroy (req);
}

static void
execute (eio_req *req)
{
  call *c = req->data;

  errno = c->ask.int1;
  req->result = c->ask.int1 ? -1 : 42;
}

/* --- making calls ------------------------------------------------------- */

static call *
new_call (const kind *k)
{
  call *c = &calls[ncalls];

  if (ncalls == MAX_CALLS)
    return 0;
  ++ncalls;
  memset (c, 0, offsetof (call, path));
  memset (&c->iov, 0, sizeof *c - offsetof (call, iov));
  c->kind = k;
  c->ask.type = (signed char)k->type;
  c->slot = c->opened[0] = c->opened[1] = -1;
  return c;
}

/* A wrapper that refused, or memory: there is no such call. */
static call *
take_request (call *c, eio_req *req)
{
  if (!req)
    {
      MUST (errno == EAGAIN && eio_nreqs () >= eio_get_submit_limit (),
            "type %d refused, %u outstanding", c->kind->type, eio_nreqs ());
      MUST (c == &calls[--ncalls], "a call was refused after others");
      return 0;
    }
  MUST (c->kind->type == EIO_CUSTOM || (!req->result && !req->errorno),
        "type %d: early", c->kind->type);
  c->req = req;
  if (!c->mine)
    {
      c->destroy = req->destroy;
      req->destroy = destroy;
    }
  return c;
}

static call *
submit (call *c)
{
  eio_req *req = malloc (sizeof *req);

  c->mine = 1;
  MUST (req, "malloc");
  *req = c->ask;
  req->finish = finish;
  req->destroy = destroy;
  req->feed = c->kind->type == EIO_CUSTOM ? execute : 0;
  req->data = c;
  c->req = req;
  if (!eio_get_submit_limit ())
    eio_submit (req);
  else if (eio_try_submit (req))
    {
      free (req);
      req = 0;
    }
  return take_request (c, req);
}

static call *
start_nop (void)
{
  call *c = new_call (&kinds[0]);

  if (c)
    c->cancelled = closing;
  return c ? take_request (c, eio_nop (0, finish, c)) : 0;
}

#define END c->ask.pri, finish, c

/* Those without paths.  Null: there is none here. */
static eio_req *
wrap_fd (call *c)
{
  const eio_req *q = &c->ask;
  int fd = q->int1, fd2 = (int)q->int2;
  void *buf = q->ptr2;

  switch (q->type)
    {
    case EIO_NOP: return eio_nop (END);
    case EIO_BUSY: return eio_busy (q->nv1, END);
    case EIO_CUSTOM: return eio_custom (execute, END);
    case EIO_CLOSE: return eio_close (fd, END);
    case EIO_WD_CLOSE: return eio_wd_close (q->wd, END);
    case EIO_DUP2: return eio_dup2 (fd, fd2, END);
    case EIO_SEEK: return eio_seek (fd, q->offs, fd2, END);
    case EIO_READ: return eio_read (fd, buf, q->size, q->offs, END);
    case EIO_WRITE: return eio_write (fd, buf, q->size, q->offs, END);
    case EIO_READ_ALL: return eio_read_all (fd, buf, q->size, q->offs, END);
    case EIO_WRITE_ALL: return eio_write_all (fd, buf, q->size, q->offs, END);
    case EIO_READV: return eio_readv (fd, buf, 2, q->offs, 0, END);
    case EIO_WRITEV: return eio_writev (fd, buf, 2, q->offs, 0, END);
    case EIO_FSTAT: return eio_fstat (fd, END);
    case EIO_FTRUNCATE: return eio_ftruncate (fd, q->offs, END);
    case EIO_FCHMOD: return eio_fchmod (fd, (mode_t)q->int2, END);
    case EIO_FUTIME: return eio_futime (fd, q->nv1, q->nv2, END);
    case EIO_FUTIMENS: return eio_futimens (fd, buf, END);
    case EIO_SENDFILE: return eio_sendfile (fd, fd2, q->offs, q->size, END);
    case EIO_COPY_RANGE:
      return eio_copy_range (fd, q->offs, fd2, -1, q->size, END);
    case EIO_SPLICE: return eio_splice (fd, 0, fd2, 0, q->size, 0, END);
    case EIO_MTOUCH: return eio_mtouch (buf, q->size, fd, END);
    default: return 0;
    }
}

/* Those with paths. */
static eio_req *
wrap_path (call *c)
{
  const eio_req *q = &c->ask;
  const char *path = q->ptr1, *path2 = q->ptr2;
  eio_wd wd = q->wd, wd2 = (eio_wd)q->int3;
  mode_t mode = (mode_t)q->int2;

  switch (q->type)
    {
    case EIO_WD_OPEN: return eio_wd_open_at (wd, path, END);
    case EIO_OPEN: return eio_open_at (wd, path, q->int1, mode, END);
    case EIO_OPEN2: return eio_open2_at (wd, path, q->int1, mode, 0, END);
    case EIO_STAT: return eio_stat_at (wd, path, END);
    case EIO_LSTAT: return eio_lstat_at (wd, path, END);
    case EIO_STATVFS: return eio_statvfs_at (wd, path, END);
    case EIO_TRUNCATE: return eio_truncate_at (wd, path, q->offs, END);
    case EIO_CHMOD: return eio_chmod_at (wd, path, mode, END);
    case EIO_UTIME: return eio_utime_at (wd, path, q->nv1, q->nv2, END);
    case EIO_UTIMENS: return eio_utimens_at (wd, path, q->ptr2, q->int1, END);
    case EIO_READLINK: return eio_readlink_at (wd, path, END);
    case EIO_REALPATH: return eio_realpath_at (wd, path, END);
    case EIO_UNLINK: return eio_unlink_at (wd, path, END);
    case EIO_RMDIR: return eio_rmdir_at (wd, path, END);
    case EIO_MKDIR: return eio_mkdir_at (wd, path, mode, END);
    case EIO_MKDIRS: return eio_mkdirs_at (wd, path, mode, END);
    case EIO_LINK: return eio_link_at (wd, path, wd2, path2, END);
    case EIO_SYMLINK: return eio_symlink_at (wd, path, wd2, path2, END);
    case EIO_RENAME2:
      return eio_rename2_at (wd, path, wd2, path2, (unsigned)q->int2, END);
    case EIO_READDIR: return eio_readdir_at (wd, path, q->int1, END);
    case EIO_SCANDIR: return eio_scandir_at (wd, path, q->int1, END);
    case EIO_OPENDIR: return eio_opendir_at (wd, path, END);
    case EIO_MKDTEMP: return eio_mkdtemp_at (wd, path, END);
    case EIO_MKSTEMP: return eio_mkstemp_at (wd, path, END);
    case EIO_TMPFILE: return eio_tmpfile_at (wd, path, q->int1, mode, END);
    case EIO_LINKFD: return eio_linkfd_at (wd, q->int1, path, END);
    case EIO_LOAD: return eio_load_at (wd, path, END);
    case EIO_SAVE:
      return eio_save_at (wd, path, q->ptr2, q->size, mode, q->int1, END);
    case EIO_COPY:
      return eio_copy_at (wd, path, wd2, path2, q->int1, END);
    case EIO_MOVE:
      return eio_move_at (wd, path, wd2, path2, q->int1, END);
    case EIO_SLURP:
      return eio_slurp_at (wd, path, q->ptr2, q->size, q->offs, END);
    default: return wrap_fd (c);
    }
}

/* --- what bytes mean ---------------------------------------------------- */

/* Path i of a call, for both sides. */
static void
set_path (call *c, const record *r, int i)
{
  int n = r->name[i] % LENGTH (paths), type = c->kind->type;
  int temp = type == EIO_MKDTEMP || type == EIO_MKSTEMP;
  int content = type == EIO_SYMLINK && !i;
  int itself = c->ask.wd && !i && paths[n] && paths[n][0] == '.';
  char *path = c->path[i];

  if (n == NULL_PATH && !temp)
    {
      c->absent = EINVAL;
      return;
    }
  /* Nothing leads out of the directory; and what happens to "." of a wd is
   * not what the system does. */
  if ((n >= SAFE_PATHS && (content || type == EIO_WD_OPEN)) || itself
      || n == NULL_PATH)
    n = 0;
  *path = 0;
  if (r->how & HOW_ABSOLUTE && !content && *paths[n]
      && !(i ? (eio_wd)c->ask.int3 : c->ask.wd))
    sprintf (path, "%s/", roots[0]);
  c->name[i] = path + strlen (path);
  sprintf (path + strlen (path), "%s%s", paths[n],
           temp && r->arg & 1 ? "XXXXXX" : "");
}

static void
set_paths (call *c, const record *r)
{
  int n = r->fd >> 4 & 3;
  int wd = r->how & HOW_WD && wds[n % WDS] ? n % WDS : -1;
  int wd2 = n & 2 && wds[1] ? 1 : -1;

  c->ask.wd = wd < 0 ? EIO_CWD : wds[wd];
  c->dirfd[0] = wd < 0 ? shadow_root : shadow_wds[wd];
  if (r->how & HOW_INVALID && r->how & HOW_WD && c->kind->type != EIO_SYMLINK)
    {
      c->ask.wd = EIO_INVALID_WD;
      c->absent = ENOENT;
    }
  if (c->kind->is & PATH2)
    c->ask.int3 = wd2 < 0 ? 0 : (long)wds[wd2];
  c->dirfd[1] = wd2 >= 0 ? shadow_wds[wd2] : shadow_root;
  set_path (c, r, 0);
  c->ask.ptr1 = c->name[0] ? c->path[0] : 0;
  if (c->kind->is & PATH2)
    {
      set_path (c, r, 1);
      c->ask.ptr2 = c->name[1] ? c->path[1] : 0;
    }
  if (c->kind->type == EIO_SYMLINK && !c->ask.int3 && r->how & HOW_MINE
      && c->name[1] == c->path[1]) /* nor absolute */
    c->dirfd[1] = c->dirfd[0];
  if (c->absent == EINVAL) /* either is right if both are wrong */
    c->ask.wd = EIO_CWD;
}

static void
set_buffer (call *c, const record *r)
{
  int type = c->kind->type, n = (int)c->ask.size / 2;

  memset (c->data, 'a' + r->name[0] % 26, sizeof c->data);
  c->iov[0] = (struct iovec){ c->data, (size_t)n };
  c->iov[1] = (struct iovec){ c->data + n, c->ask.size - (size_t)n };
  c->times[0] = (struct timespec){ r->offs * 3, r->size * 1000000 };
  c->times[1] = (struct timespec){ r->size,
                                   r->offs == 5 ? UTIME_OMIT : 123 };

  if (type == EIO_READV || type == EIO_WRITEV)
    c->ask.ptr2 = c->iov, c->ask.size = 2;
  else if (type == EIO_UTIMENS || type == EIO_FUTIMENS)
    c->ask.ptr2 = c->times;
  else if (!(c->kind->is & (FD | PATH)))
    {
      c->ask.size = r->size % 4 * 4096;
      c->ask.ptr2 = type == EIO_MINCORE ? 0 : pages[0];
      c->ask.ptr1 = type == EIO_MINCORE ? pages[0] : 0;
    }
  else if (type == EIO_WRITE || type == EIO_WRITE_ALL || type == EIO_SAVE
           || type == EIO_SETXATTR || type == EIO_FSETXATTR
           || type == EIO_IOCTL
           || ((type == EIO_READ || type == EIO_READ_ALL
                || type == EIO_SLURP) && r->name[1] & 1))
    c->ask.ptr2 = c->data;
}

static void
set_numbers (call *c, const record *r)
{
  int type = c->kind->type, n = r->fd % FDS, n2 = (r->fd >> 2) % FDS;

  c->ask.int1 = c->kind->int1[r->arg & 3];
  c->ask.int2 = c->kind->int2[r->arg >> 2 & 3];
  c->ask.pri = (signed char)((r->arg >> 4) - 7);
  c->ask.offs = r->offs * 32;
  c->ask.size = r->size * 16u;
  c->ask.nv1 = type == EIO_BUSY ? r->size * 1e-6 : r->offs * 0.5;
  c->ask.nv2 = r->size == 255 ? -1 : r->size * 1.25;
  c->slot = type == EIO_WD_OPEN || type == EIO_WD_CLOSE ? n % WDS : n;
  if (type == EIO_CHOWN || type == EIO_LCHOWN || type == EIO_FCHOWN)
    c->ask.int3 = r->size & 1 ? -1 : 3;
  if (c->kind->is & FD)
    {
      c->ask.int1 = fds[n][0];
      c->fd[0] = fds[n][1];
    }
  if (c->kind->is & FD2)
    {
      c->ask.int2 = fds[n2][0];
      c->fd[1] = fds[n2][1];
    }
  if (type == EIO_GETXATTR || type == EIO_SETXATTR || type == EIO_REMOVEXATTR
      || type == EIO_FGETXATTR || type == EIO_FSETXATTR
      || type == EIO_FREMOVEXATTR)
    c->ask.int3 = (long)"user.a";
  if (type == EIO_GETXATTR || type == EIO_LISTXATTR || type == EIO_FGETXATTR
      || type == EIO_FLISTXATTR)
    c->ask.size = 0;
  if (type == EIO_MKNOD
      || (c->ask.offs < 0 && (type == EIO_SENDFILE || type == EIO_COPY_RANGE
                              || type == EIO_FADVISE)))
    c->ask.offs = 0;
  if (type == EIO_SEEK || type == EIO_OPEN || type == EIO_OPEN2)
    c->ask.size = 0;
  if (type == EIO_WD_CLOSE)
    {
      c->ask.wd = wds[c->slot];
      c->dirfd[0] = shadow_wds[c->slot];
    }
}

/* A transfer from a file to itself is not what two calls do. */
static int
is_same_file (const call *c)
{
  struct stat a, b;

  return c->kind->is & FD2 && c->kind->type != EIO_DUP2
         && !fstat (c->fd[0], &a) && !fstat (c->fd[1], &b)
         && a.st_ino == b.st_ino;
}

/* --- the end of a batch ------------------------------------------------- */

/* Takes what the call made: a descriptor or wd, into its slot. */
static void
keep (call *c)
{
  int type = c->kind->type, n = c->slot;

  if (c->opened[0] >= 0 || c->opened[1] >= 0)
    {
      if (fds[n][0] >= 0)
        close (fds[n][0]), close (fds[n][1]);
      fds[n][0] = c->opened[0], fds[n][1] = c->opened[1];
    }
  if (type == EIO_WD_OPEN && c->wd)
    {
      if (wds[n])
        eio_wd_close_sync (wds[n]), close (shadow_wds[n]);
      wds[n] = c->wd, shadow_wds[n] = (int)c->want.result;
    }
  if (type == EIO_CLOSE)
    fds[n][0] = fds[n][1] = -1;
  if (type == EIO_WD_CLOSE)
    wds[n] = 0;
}

/* Lets the shadow do it, too, and compares. */
static void
compare (call *c)
{
  int type = c->kind->type;

  if (c->cancelled && !(c->kind->is & DROPS)
      && (is_exact () || !c->finishes || c->got.error == ECANCELED))
    {
      MUST (c->got.result == (c->finishes ? -1 : 0), "type %d executed", type);
      return;
    }
  c->want = shadow (c);
  if (type == EIO_OPEN || type == EIO_OPEN2 || type == EIO_TMPFILE)
    {
      c->opened[1] = (int)c->want.result;
      c->want.result = c->want.result < 0 ? -1 : 0;
    }
  if (c->finishes)
    {
      long result = type == EIO_WD_OPEN && c->want.result > 0
                      ? 0 : c->want.result;

      if (c->kind->is & EITHER)
        c->want.error = c->got.error;
      MUST (c->got.result == result && c->got.error == c->want.error
              && c->got.bytes == c->want.bytes,
            "%s (%s, %s, %d, %ld): %ld, errno %d, %llx; not %ld, %d, %llx",
            eio_strtype (type), c->name[0], c->name[1], c->ask.int1,
            c->ask.int2, c->got.result, c->got.error,
            (unsigned long long)c->got.bytes, result, c->want.error,
            (unsigned long long)c->want.bytes);
    }
}

/* In the order in which they have been executed.  Ends the batch. */
static void
compare_all (void)
{
  for (int pri = EIO_PRI_MAX; pri >= EIO_PRI_MIN; --pri)
    for (int i = 0; i < ncalls; ++i)
      {
        call *c = &calls[i];
        int p = c->ask.pri > EIO_PRI_MAX   ? EIO_PRI_MAX
                : c->ask.pri < EIO_PRI_MIN ? EIO_PRI_MIN
                                           : c->ask.pri;

        if (p == pri && c->kind->type != EIO_GROUP)
          compare (c);
      }
  for (int i = 0; i < ncalls; ++i)
    keep (&calls[i]);
  ncalls = 0;
  group = 0;
}

/* Every request has ended as it should, and nothing is left. */
static void
check_ends (int closed)
{
  host *h = &hosts[current];
  struct eio_stats s;

  for (int i = 0; i < ncalls; ++i)
    {
      call *c = &calls[i];

      MUST (c->destroys == 1, "type %d: %d destroys", c->kind->type,
            c->destroys);
      if (!closed && !eio_get_finish_cancelled ())
        MUST (c->finishes == !c->cancelled, "type %d: %d finishes",
              c->kind->type, c->finishes);
      if (c->kind->type == EIO_GROUP && c->finishes && !c->cancelled
          && ncalls < MAX_CALLS && !closed && c->ask.int2 > 0)
        MUST (!c->to_feed, "%d not fed", c->to_feed);
    }
  MUST (!eio_nreqs () && !eio_nready () && !eio_npending (), "%u, %u, %u",
        eio_nreqs (), eio_nready (), eio_npending ());
  MUST (h->wants == h->dones, "want %d, done %d", h->wants, h->dones);
  if (closed)
    return;
  MUST (!eio_get_stats (&s, sizeof s)
          && s.submitted == s.finished + s.cancelled,
        "%llu are not %llu + %llu", (unsigned long long)s.submitted,
        (unsigned long long)s.finished, (unsigned long long)s.cancelled);
}

static void
poll_once (void)
{
  int res;

  if (how_to_poll == 1)
    eio_poll_wait (-1);
  else if (how_to_poll == 2)
    {
      struct pollfd p = { eio_poll_fd (), POLLIN, 0 };
      int n;

      do /* libFuzzer looks at the time by SIGALRM */
        n = poll (&p, 1, 60000);
      while (n < 0 && errno == EINTR);
      MUST (n == 1, "no result in 60 s");
    }
  res = how_to_poll == 3 || !how_to_poll ? eio_flush () : eio_poll ();
  MUST (!res || res == 7 || (res == -1 && errno == EAGAIN), "%d", res);
}

static void
settle (void)
{
  if (paused)
    eio_set_min_parallel (1);
  while (eio_nreqs ())
    poll_once ();
  check_ends (0);
  compare_all ();
  hold_or_run ();
}

/* Whatever is queued is executed, or cancelled, and the library begins again.
 */
static void
shut_down (const record *r)
{
  int mode = r->arg & 1 ? EIO_SHUTDOWN_CANCEL : EIO_SHUTDOWN_DRAIN;

  if (mode == EIO_SHUTDOWN_CANCEL)
    for (int i = 0; i < ncalls; ++i)
      calls[i].cancelled = 1;
  closing = mode == EIO_SHUTDOWN_CANCEL;
  MUST (!eio_shutdown (mode, -1), "shutdown");
  closing = 0;
  check_ends (1);
  compare_all ();
  MUST (current || !eio_init (want_default, done_default), "init");
  hold_or_run ();
}

/* --- calls that are not about files ------------------------------------- */

static void
cancel (call *c)
{
  c->cancelled = 1;
  for (int i = 0; i < ncalls; ++i)
    if (calls[i].grp == c && !calls[i].destroys)
      cancel (&calls[i]);
}

/* As a running call that writes is done when others start, it cannot be
 * cancelled while it executes. */
static void
do_cancel (const record *r)
{
  call *c = ncalls ? &calls[r->size % ncalls] : 0;

  if (r->arg & 2 && group) /* with all that are around it */
    for (c = group; c->grp;)
      c = c->grp;
  if (!c || c->destroys)
    return;
  if (c->kind->type == EIO_GROUP && r->arg & 1)
    {
      eio_grp_cancel (c->req);
      for (int i = 0; i < ncalls; ++i)
        if (calls[i].grp == c && !calls[i].destroys)
          cancel (&calls[i]);
      c->to_feed = 0;
      return;
    }
  eio_cancel (c->req);
  cancel (c);
}

static void
join (call *c)
{
  if (!c || !group || group == c)
    return;
  c->grp = group;
  ++group->members;
  MUST (!eio_grp_add (group->req, c->req), "grp_add");
  if (group->cancelled)
    cancel (c);
}

static void
start_group (const record *r)
{
  static const kind a_group = { EIO_GROUP, 0, { 0 }, { 0 } };
  call *c = new_call (&a_group);

  if (!c)
    return;
  c->act = r->how / HOW_ACT;
  if (r->how & HOW_MINE)
    {
      c->ask.pri = (signed char)(r->arg >> 4);
      c = submit (c);
    }
  else
    c = take_request (c, eio_grp (finish, c));
  if (c && r->how & HOW_JOINS)
    join (c);
  if (c)
    group = c;
}

static void
feed (eio_req *req)
{
  call *grp = req->data, *c;

  MUST (!grp->cancelled && !grp->finishes, "fed in vain");
  MUST (grp->members < req->int2, "%d members, limit %ld", grp->members,
        req->int2);
  if (!grp->to_feed)
    return;
  c = start_nop ();
  if (!c)
    return;
  --grp->to_feed;
  c->grp = grp;
  ++grp->members;
  MUST (!eio_grp_add (req, c->req), "grp_add");
}

static void
start_feed (const record *r)
{
  if (!group || group->cancelled)
    return;
  group->ask.int2 = r->offs % 4;
  if (r->arg & 1)
    {
      eio_grp_limit (group->req, r->offs % 4);
      return;
    }
  group->to_feed = r->size % 16;
  eio_grp_feed (group->req, feed, r->offs % 4);
}

/* Another pool; that of before may go. */
static void
switch_pool (const record *r)
{
  host *h = &hosts[current];
  int next = r->size % POOLS;

  settle ();
  if (r->arg & 1 && h->pool && !(current == 1 && hosts[2].pool))
    {
      eio_pool *old = h->pool;

      eio_pool_use (0);
      MUST (!eio_pool_free (old), "pool_free");
      *h = (host){ .pool = 0 };
    }
  if (next == 1 && !hosts[1].pool)
    hosts[1].pool = eio_pool_new (want_pool, done_pool, &hosts[1]);
  if (next == 2 && !hosts[2].pool)
    hosts[2].pool = eio_pool_new_shared (hosts[1].pool, want_pool, done_pool,
                                         &hosts[2]);
  MUST (!next || hosts[next].pool, "pool_new");
  eio_pool_use (hosts[next].pool);
  current = next;
  hold_or_run ();
}

/* Numbers that change nothing but how fast it is, and who may notice. */
static void
set_something (const record *r)
{
  static const double times[] = { 0, -1, NAN, 1e-6, 1000 };
  static const unsigned numbers[] = { 0, 1, 3, 100 };
  double t = times[r->size % 5];
  unsigned n = numbers[r->size % 4];

  settle ();
  switch (r->arg & 15)
    {
    case 0: eio_set_max_poll_time (t); break;
    case 1: eio_set_max_poll_reqs (n); break;
    case 2: eio_set_max_outstanding (n); break;
    case 3: eio_set_submit_limit (n); break;
    case 4: eio_set_finish_cancelled (r->size & 1); break;
    case 5: eio_set_inline (r->size * 8u); break;
    case 6: eio_set_max_idle (n); break;
    case 7: eio_set_idle_timeout (n); break;
    case 8: eio_set_stack_size (r->size & 1 ? 1 << 20 : 0); break;
    case 9: eio_set_thread_name (r->size & 1 ? "\xff, a long name" : 0); break;
    case 10:
      eio_set_thread_hooks (count_thread, uncount_thread, &hooked);
      break;
    case 11: eio_set_reserved (r->size % 9 - 4, n); break;
    case 12: eio_set_ageing (t == 1e-6 ? 0 : t); break;
    case 13: eio_set_timing (r->size & 1); break;
    case 14: eio_set_slow (t, note_slow); break;
    default:
      MUST (eio_set_affinity (0, 0) == 0 && eio_set_ioprio (0) == 0, "set");
      eio_set_nothreads (r->size & 1);
    }
}

static void
set_mode (const record *r)
{
  settle ();
  paused = r->arg & 1;
  workers = 1 + (r->arg >> 1 & 3);
  how_to_poll = r->arg >> 3 & 3;
  hold_or_run ();
}

/* The directory that opendir opened, and what readdir_next said. */
static eio_dir *dir;
static int entries;

static int
take_dir (eio_req *req)
{
  dir = req->result ? 0 : eio_req_dir (req);
  return 0;
}

static int
take_entries (eio_req *req)
{
  MUST (req->result >= 0, "readdir_next: %d", req->errorno);
  take_names (req->data, req);
  entries = (int)req->result;
  return 0;
}

/* A directory in batches is the same as at once. */
static void
read_in_batches (const record *r)
{
  const char *path = paths[r->name[0] % NULL_PATH];
  names got = { .n = 0 }, want = { .n = 0 };
  int n, was_paused = paused;
  unsigned limit;

  settle ();
  limit = eio_get_submit_limit ();
  eio_set_submit_limit (0);
  paused = 0;
  hold_or_run ();
  n = read_names (&want, shadow_root, path);
  eio_opendir (path, 0, take_dir, 0);
  eio_flush ();
  MUST (!dir == (n < 0), "opendir: %s", path);
  for (entries = 1; dir && entries;)
    {
      eio_readdir_next (dir, r->size, r->arg & 7, 0, take_entries, &got);
      eio_flush ();
    }
  if (dir)
    eio_closedir (dir, 0, 0, 0);
  eio_flush ();
  MUST (sort_names (&got) == sort_names (&want), "%d names, not %d", got.n,
        want.n);
  free_names (&got);
  free_names (&want);
  eio_set_submit_limit (limit);
  paused = was_paused;
  hold_or_run ();
}

/* --- running ------------------------------------------------------------ */

static void
make_call (const record *r)
{
  const kind *k = &kinds[r->what % LENGTH (kinds)];
  int alone = k->is & ALONE
              || (!is_exact ()
                  && (k->is & WRITES || (k->is & FD && r->offs < 0)));
  call *c;

  if (alone || ncalls == MAX_CALLS)
    settle ();
  c = new_call (k);
  set_numbers (c, r);
  if (k->is & PATH)
    set_paths (c, r);
  set_buffer (c, r);
  if (is_same_file (c) || (k->type == EIO_WD_CLOSE && !c->ask.wd))
    {
      --ncalls;
      return;
    }
  c->act = r->how / HOW_ACT;
  if (!(r->how & HOW_MINE))
    {
      eio_req *req;

      errno = 0;
      req = wrap_path (c);
      c = req || errno ? take_request (c, req) : submit (c);
    }
  else
    c = submit (c);
  if (c && r->how & HOW_JOINS)
    join (c);
  if (c && r->how & HOW_CANCEL && (!alone || k->is & DROPS))
    {
      eio_cancel (c->req);
      c->cancelled = 1;
    }
  if (alone)
    settle ();
}

static void
run_record (const record *r)
{
  if (r->what < 168)
    make_call (r);
  else
    switch (r->what % 8)
      {
      case 0: start_group (r); break;
      case 1: start_feed (r); break;
      case 2: do_cancel (r); break;
      case 3: set_something (r); break;
      case 4: set_mode (r); break;
      case 5: switch_pool (r); break;
      case 6:
        if (r->arg & 2)
          shut_down (r);
        else
          read_in_batches (r);
        break;
      default:
        if (paused)
          settle ();
        else if (eio_nreqs ())
          poll_once ();
      }
}

/* What is under both is the same. */
static void
compare_trees (int a, int b)
{
  names in_a = { .n = 0 }, in_b = { .n = 0 };

  read_names (&in_a, a, ".");
  read_names (&in_b, b, ".");
  MUST (sort_names (&in_a) == sort_names (&in_b), "%d names, not %d", in_a.n,
        in_b.n);
  for (int i = 0; i < in_a.n; ++i)
    {
      const char *name = in_a.list[i];
      static char buf[2][1 << 17];
      struct stat st[2];
      int fd[2], at[2] = { a, b };
      ssize_t n[2] = { 0, 0 };

      for (int side = 0; side < 2; ++side)
        {
          fstatat (at[side], name, &st[side], AT_SYMLINK_NOFOLLOW);
          fd[side] = -1;
          if (S_ISDIR (st[side].st_mode) || S_ISREG (st[side].st_mode))
            fd[side] = openat (at[side], name, O_RDONLY);
          n[side] = S_ISLNK (st[side].st_mode)
                      ? readlinkat (at[side], name, buf[side], sizeof *buf)
                    : S_ISREG (st[side].st_mode)
                      ? read (fd[side], buf[side], sizeof *buf)
                      : 0;
        }
      MUST (hash_stat (&st[0]) == hash_stat (&st[1]), "status of %s: %o, %o",
            name, st[0].st_mode, st[1].st_mode);
      MUST (n[0] == n[1]
              && (n[0] < 0 || !memcmp (buf[0], buf[1], (size_t)n[0])),
            "contents of %s", name);
      if (S_ISDIR (st[0].st_mode) && fd[0] >= 0 && fd[1] >= 0)
        compare_trees (fd[0], fd[1]);
      for (int side = 0; side < 2; ++side)
        if (fd[side] >= 0)
          close (fd[side]);
    }
  free_names (&in_a);
  free_names (&in_b);
}

/* Makes directory i, with a few things in it; returns it, open. */
static int
make_root (int i)
{
  char up[PATH_MAX - 2];
  int fd, file;

  snprintf (up, sizeof up, "%s/%c", top, "es"[i]);
  snprintf (roots[i], sizeof roots[i], "%s/w", up);
  remove_tree (up);
  MUST (!mkdir (up, 0755) && !mkdir (roots[i], 0755), "%s", up);
  fd = open (roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  MUST (!mkdirat (fd, "d", 0755) && !mkdirat (fd, "d/d", 0755)
          && !symlinkat ("d", fd, "l"), "%s", up);
  file = openat (fd, "a", O_WRONLY | O_CREAT, 0644);
  MUST (write (file, roots, 300) == 300, "a");
  close (file);
  return fd;
}

static void
set_defaults (void)
{
  eio_set_max_poll_time (0);
  eio_set_max_poll_reqs (0);
  eio_set_max_outstanding (0);
  eio_set_submit_limit (0);
  eio_set_finish_cancelled (0);
  eio_set_inline (0);
  eio_set_max_idle (4);
  eio_set_idle_timeout (10);
  eio_set_stack_size (0);
  eio_set_thread_name (0);
  eio_set_thread_hooks (0, 0, 0);
  eio_set_reserved (0, 0);
  eio_set_ageing (0);
  eio_set_timing (0);
  eio_set_slow (0, 0);
  eio_set_nothreads (0);
}

static void
begin (void)
{
  if (!pages[0])
    {
      memset (long_name[0], 'n', 255);
      memset (long_name[1], 'n', 256);
      for (int i = 0; i < 2; ++i)
        pages[i] = mmap (0, PAGES_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
  home = open (".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  memset (fds, -1, sizeof fds);
  memset (wds, 0, sizeof wds);
  memset (hosts, 0, sizeof hosts);
  current = paused = how_to_poll = ncalls = 0;
  hooked = 0;
  workers = 3;
  eio_root = make_root (0);
  shadow_root = make_root (1);
  MUST (!chdir (roots[0]), "%s", roots[0]);
  MUST (!eio_init (want_default, done_default), "init");
  set_defaults ();
  hold_or_run ();
}

static void
end (void)
{
  settle ();
  for (int i = 0; i < WDS; ++i)
    if (wds[i])
      eio_wd_close_sync (wds[i]), close (shadow_wds[i]);
  for (int i = 0; i < FDS; ++i)
    if (fds[i][0] >= 0)
      close (fds[i][0]), close (fds[i][1]);
  eio_pool_use (0);
  for (int i = POOLS - 1; i > 0; --i)
    MUST (!hosts[i].pool || !eio_pool_free (hosts[i].pool), "pool_free");
  MUST (!eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), "shutdown");
  MUST (!hooked, "%d workers", hooked);
  compare_trees (eio_root, shadow_root);
  close (eio_root);
  close (shadow_root);
  MUST (!fchdir (home), "chdir");
  close (home);
}

static void
run_bytes (const uint8_t *data, size_t size)
{
  begin ();
  for (int i = 0; size >= sizeof (record) && i < 256; ++i)
    {
      record r;

      memcpy (&r, data, sizeof r);
      run_record (&r);
      data += sizeof r;
      size -= sizeof r;
    }
  end ();
}
