/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* One call of fuzz_api.c, and what plain system calls do in its place, in the
 * shadow directory.  Include after fuzz.h. */

#ifndef SHADOW_H_
#define SHADOW_H_

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>

/* What a call came to, in a form that is the same on both sides. */
typedef struct
{
  long result;
  int error;
  uint64_t bytes; /* hash of what it delivered */
} outcome;

enum
{
  PATH   = 1,  /* takes one, */
  PATH2  = 2,  /* or two */
  FD     = 4,  /* takes a descriptor as int1, */
  FD2    = 8,  /* or another one as int2 */
  WRITES = 16, /* must not run beside others */
  ALONE  = 32, /* nor may others even be queued */
  EITHER = 64, /* which error it is, is not compared */
  DROPS  = 128 /* releases something, so executes even when cancelled */
};

typedef struct
{
  int type, is;
  int int1[4], int2[4]; /* to choose from */
} kind;

typedef struct call
{
  const kind *kind;
  eio_req ask;             /* what eio is asked, with our paths */
  eio_req *req;            /* the request, until destroy; */
  void (*destroy) (eio_req *req); /* the wrapper's */
  int mine;                /* the request is ours to free */
  int absent;              /* paths: null, or a wd that is invalid */
  int slot;                /* that gets the descriptor or wd, or loses it */
  int dirfd[2], fd[2];     /* the shadow's */
  const char *name[2];     /* the shadow's, in path, */
  char path[2][PATH_MAX + 600]; /* ... eio's */
  char data[4096];
  struct iovec iov[2];
  struct timespec times[2];
  int finishes, destroys, cancelled, act;
  struct call *grp;
  int members, to_feed, fed; /* of a group */
  int opened[2];             /* descriptor: eio's, the shadow's */
  eio_wd wd;
  outcome got, want;
} call;

static int eio_root, shadow_root; /* open directories */
static char roots[2][PATH_MAX];   /* their paths, of the same length */
static void *pages[2];            /* memory to work on: eio's, the shadow's */

enum { PAGES_SIZE = 4 * 4096 };

/* --- noting --------------------------------------------------------------- */

static uint64_t
hash_stat (const struct stat *st)
{
  long v[] = { st->st_mode, st->st_uid, st->st_gid, (long)st->st_nlink,
               S_ISDIR (st->st_mode) ? 0 : st->st_size,
               st->st_mtime < 1000000 ? st->st_mtime : -1 };

  return hash (1, v, sizeof v);
}

static uint64_t
hash_statvfs (const struct statvfs *st)
{
  return st->f_bsize + st->f_namemax;
}

/* A canonical path, cut where it is different. */
static uint64_t
hash_real (const char *path, size_t len)
{
  size_t root = strlen (roots[0]), up = strlen (top) + 1;
  size_t cut = len >= root ? root : len > up ? up + 1 : len;

  return hash (len, path + cut, len - cut);
}

/* --- what is more than one system call ----------------------------------- */

static long
fail (int error)
{
  errno = error;
  return -1;
}

static struct timespec
time_of (double t)
{
  struct timespec ts = { (time_t)t, 0 };

  if ((double)ts.tv_sec > t)
    --ts.tv_sec;
  ts.tv_nsec = (long)((t - (double)ts.tv_sec) * 1e9);
  return ts;
}

static const struct timespec *
times_of (call *c)
{
  c->times[0] = time_of (c->ask.nv1);
  c->times[1] = time_of (c->ask.nv2);
  return c->ask.nv1 == -1 && c->ask.nv2 == -1 ? 0 : c->times;
}

/* An absolute path of what is relative to a descriptor. */
static const char *
by_proc (const call *c, int i)
{
  static char path[2][PATH_MAX];

  snprintf (path[i], sizeof path[i], "/proc/self/fd/%d/%s", c->dirfd[i],
            c->name[i]);
  return path[i];
}

static long
shadow_realpath (call *c, uint64_t *bytes)
{
  char path[2 * PATH_MAX], real[PATH_MAX], proc[40];
  ssize_t n;

  if (!*c->name[0])
    return fail (ENOENT);
  snprintf (proc, sizeof proc, "/proc/self/fd/%d", c->dirfd[0]);
  n = readlink (proc, path, PATH_MAX);
  snprintf (path + n, sizeof path - (size_t)n, "/%s", c->name[0]);
  if (!realpath (path, real))
    return -1;
  *bytes = hash_real (real, strlen (real));
  return (long)(strlen (real) - strlen (top));
}

static long
shadow_readdir (call *c, uint64_t *bytes)
{
  names list = { .n = 0 };
  int n = read_names (&list, c->dirfd[0], c->name[0]);

  *bytes = sort_names (&list);
  free_names (&list);
  return n;
}

/* Copies by pread and write; offsets are as the requests have them. */
static long
shadow_copy_bytes (int in, off_t in_offs, int out, size_t size)
{
  char buf[4096];
  ssize_t n = pread (in, buf, size, in_offs);

  return n < 0 ? n : write (out, buf, (size_t)n);
}

static int
open_regular (int dirfd, const char *path, struct stat *st)
{
  int fd = openat (dirfd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

  if (fd >= 0 && !fstat (fd, st) && S_ISREG (st->st_mode))
    return fd;
  if (fd >= 0)
    close (fd);
  return -1;
}

/* EIO_LOAD and EIO_SLURP; size 0 is everything. */
static long
shadow_load (call *c, off_t offs, size_t size, uint64_t *bytes)
{
  int load = c->kind->type == EIO_LOAD;
  struct stat st;
  int fd = load ? open_regular (c->dirfd[0], c->name[0], &st)
                : openat (c->dirfd[0], c->name[0], O_RDONLY | O_CLOEXEC);
  char *buf;
  ssize_t n;

  if (fd < 0)
    return -1;
  fstat (fd, &st);
  if (offs < 0)
    offs = st.st_size + offs < 0 ? 0 : st.st_size + offs;
  if (!size)
    size = (size_t)st.st_size + 1;
  buf = malloc (size);
  n = pread (fd, buf, size, offs);
  if (n >= 0)
    *bytes = hash (2, buf, (size_t)n);
  free (buf);
  close (fd);
  return n;
}

/* To the file that a link leads to, by a new one; the owner stays. */
static long
shadow_save (call *c)
{
  const char *name = c->name[0], *last = strrchr (name, '/');
  char real[PATH_MAX];
  int dirfd = c->dirfd[0], fd;
  mode_t mode = (mode_t)c->ask.int2;
  struct stat st;

  last = last ? last + 1 : name;
  if (!*last || !strcmp (last, ".") || !strcmp (last, ".."))
    return fail (EISDIR);
  if (!fstatat (dirfd, name, &st, AT_SYMLINK_NOFOLLOW)
      && S_ISLNK (st.st_mode))
    {
      if (!realpath (by_proc (c, 0), real))
        return -1;
      name = real;
    }
  if (fstatat (dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
    st.st_mode = 0, st.st_uid = st.st_gid = 0;
  else if (!S_ISREG (st.st_mode))
    return fail (EINVAL);
  else if (unlinkat (dirfd, name, 0))
    return -1;

  fd = openat (dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return -1;
  MUST (write (fd, c->data, c->ask.size) == (ssize_t)c->ask.size, "save");
  if (st.st_mode)
    MUST (!fchown (fd, st.st_uid, st.st_gid), "save");
  fchmod (fd, st.st_mode && !mode ? st.st_mode & 07777
              : mode ? mode & ~(mode_t)022 : 0644);
  close (fd);
  return 0;
}

static int
open_target (call *c)
{
  int fd = openat (c->dirfd[1], c->name[1], O_WRONLY | O_CREAT | O_EXCL, 0600);

  if (fd < 0 && errno == EEXIST && !(c->ask.int1 & EIO_COPY_EXCL))
    {
      fd = openat (c->dirfd[1], c->name[1], O_WRONLY | O_NONBLOCK);
      if (fd < 0 && errno == ENOENT)
        fd = openat (c->dirfd[1], c->name[1], O_WRONLY | O_CREAT, 0600);
    }
  return fd;
}

/* Mode and, as flags say, owner and times. */
static void
copy_status (call *c, int out, const struct stat *from, const struct stat *to)
{
  mode_t mode = from->st_mode & 07777;
  struct timespec times[2] = { from->st_atim, from->st_mtim };

  if (c->ask.int1 & EIO_COPY_OWNER)
    MUST (!fchown (out, from->st_uid, from->st_gid), "copy");
  else
    mode &= ~((mode_t)(from->st_uid == to->st_uid ? 0 : S_ISUID)
              | (mode_t)(from->st_gid == to->st_gid ? 0 : S_ISGID));
  fchmod (out, mode);
  if (c->ask.int1 & EIO_COPY_TIMES)
    futimens (out, times);
}

static long
shadow_copy (call *c)
{
  struct stat from, to;
  int in = open_regular (c->dirfd[0], c->name[0], &from);
  int out = in < 0 ? -1 : open_target (c);
  long res = -1;

  if (out >= 0 && !fstat (out, &to) && S_ISREG (to.st_mode)
      && (from.st_ino != to.st_ino || from.st_dev != to.st_dev))
    {
      char buf[4096];
      ssize_t n;

      MUST (!ftruncate (out, 0), "copy");
      while ((n = read (in, buf, sizeof buf)) > 0)
        MUST (write (out, buf, (size_t)n) == n, "copy");
      copy_status (c, out, &from, &to);
      res = 0;
    }
  if (in >= 0)
    close (in);
  if (out >= 0)
    close (out);
  return res;
}

/* Makes one and removes it: its name is not the same. */
static long
shadow_mktemp (call *c)
{
  char path[PATH_MAX];
  int fd, dir = c->kind->type == EIO_MKDTEMP;

  snprintf (path, sizeof path, "%s", by_proc (c, 0));
  fd = dir ? (mkdtemp (path) ? 0 : -1) : mkostemp (path, O_CLOEXEC);
  if (fd < 0)
    return -1;
  if (!dir)
    close (fd);
  MUST (!remove (path), "%s", path);
  return 0;
}

static long
shadow_mkdirs (call *c)
{
  char path[1000];
  struct stat st;
  int made = 0;

  snprintf (path, sizeof path, "%s", c->name[0]);
  for (char *end = path; *end; ++end)
    if (*end == '/' && end[1] && end > path)
      {
        *end = 0;
        made += !mkdirat (c->dirfd[0], path, (mode_t)c->ask.int2 | 0300);
        *end = '/';
      }
  if (!mkdirat (c->dirfd[0], path, (mode_t)c->ask.int2))
    return made + 1;
  if (*path && !fstatat (c->dirfd[0], path, &st, 0) && S_ISDIR (st.st_mode))
    return made;
  return -1;
}

static long
shadow_linkfd (call *c)
{
  char proc[40];

  snprintf (proc, sizeof proc, "/proc/self/fd/%d", c->fd[0]);
  return fcntl (c->fd[0], F_GETFD) < 0
           ? -1
           : linkat (AT_FDCWD, proc, c->dirfd[0], c->name[0],
                     AT_SYMLINK_FOLLOW);
}

/* --- by families ---------------------------------------------------------- */

static long
shadow_transfer (call *c, uint64_t *bytes)
{
  int fd = c->fd[0];
  off_t offs = c->ask.offs;
  size_t size = c->iov[0].iov_len + c->iov[1].iov_len;
  char *buf = malloc (size + 1);
  struct iovec iov[2] = { { buf, c->iov[0].iov_len },
                          { buf + c->iov[0].iov_len, c->iov[1].iov_len } };
  long res = -1;

  switch (c->kind->type)
    {
    case EIO_READV:
      res = offs < 0 ? readv (fd, iov, 2) : preadv (fd, iov, 2, offs);
      break;
    case EIO_WRITEV:
      res = offs < 0 ? writev (fd, c->iov, 2)
                     : pwritev (fd, c->iov, 2, offs);
      break;
    case EIO_READ: case EIO_READ_ALL:
      res = offs < 0 ? read (fd, buf, size) : pread (fd, buf, size, offs);
      break;
    default: /* EIO_WRITE, EIO_WRITE_ALL */
      res = offs < 0 ? write (fd, c->data, size)
                     : pwrite (fd, c->data, size, offs);
    }
  if (res >= 0 && !(c->kind->is & WRITES))
    *bytes = hash (2, buf, (size_t)res);
  free (buf);
  return res;
}

static long
shadow_fiemap (call *c)
{
  struct fiemap map = { .fm_start = (uint64_t)c->ask.offs };

  map.fm_length = c->ask.size ? c->ask.size : FIEMAP_MAX_OFFSET - map.fm_start;
  return ioctl (c->fd[0], FS_IOC_FIEMAP, &map);
}

static long
shadow_fxattr (call *c, uint64_t *bytes)
{
  int fd = c->fd[0];
  char buf[4096];
  long res;

  switch (c->kind->type)
    {
    case EIO_FSETXATTR:
      return fsetxattr (fd, "user.a", c->data, c->ask.size, (int)c->ask.int2);
    case EIO_FREMOVEXATTR: return fremovexattr (fd, "user.a");
    case EIO_FGETXATTR: res = fgetxattr (fd, "user.a", buf, sizeof buf); break;
    case EIO_FLISTXATTR: res = flistxattr (fd, buf, sizeof buf); break;
    default: return shadow_transfer (c, bytes);
    }
  *bytes = res < 0 ? 0 : hash (2, buf, (size_t)res);
  return res;
}

static long
shadow_fd (call *c, uint64_t *bytes)
{
  int fd = c->fd[0], fd2 = c->fd[1];
  const eio_req *q = &c->ask;
  struct stat st;
  struct statvfs vfs;
  long res;
  int n = 0;

  switch (c->kind->type)
    {
    case EIO_CLOSE: return close (fd);
    case EIO_DUP2: return dup2 (fd, fd2) < 0 ? -1 : 0;
    case EIO_SEEK:
      res = lseek (fd, q->offs, (int)q->int2);
      *bytes = (uint64_t)res;
      return res < 0 ? -1 : 0;
    case EIO_FCNTL: return fcntl (fd, (int)q->int2, 0);
    case EIO_IOCTL:
      res = ioctl (fd, (unsigned long)q->int2, &n);
      *bytes = (unsigned)n;
      return res;
    case EIO_READAHEAD: return readahead (fd, q->offs, q->size);
    case EIO_SENDFILE:
    case EIO_COPY_RANGE: /* sendfile's int1 is the target */
      return c->kind->type == EIO_SENDFILE
               ? shadow_copy_bytes (fd2, q->offs, fd, q->size)
               : shadow_copy_bytes (fd, q->offs, fd2, q->size);
    case EIO_FSTAT:
    case EIO_FSTATX:
      res = fstat (fd, &st);
      *bytes = res ? 0 : hash_stat (&st);
      return res;
    case EIO_FSTATVFS:
      res = fstatvfs (fd, &vfs);
      *bytes = res ? 0 : hash_statvfs (&vfs);
      return res;
    case EIO_FTRUNCATE: return ftruncate (fd, q->offs);
    case EIO_FUTIME: return futimens (fd, times_of (c));
    case EIO_FUTIMENS: return futimens (fd, q->ptr2);
    case EIO_FCHMOD: return fchmod (fd, (mode_t)q->int2);
    case EIO_FCHOWN: return fchown (fd, (uid_t)q->int2, (gid_t)q->int3);
    case EIO_FSYNC: case EIO_FULLSYNC: return fsync (fd);
    case EIO_FDATASYNC: return fdatasync (fd);
    case EIO_SYNCFS: return syncfs (fd);
    case EIO_SYNC_FILE_RANGE:
      return sync_file_range (fd, q->offs, (off_t)q->size,
                              (unsigned)q->int2);
    case EIO_FALLOCATE:
      return fallocate (fd, (int)q->int2, q->offs, (off_t)q->size);
    case EIO_FADVISE:
      n = posix_fadvise (fd, q->offs, (off_t)q->size, (int)q->int2);
      return n ? fail (n) : 0;
    case EIO_CLONE: return ioctl (fd2, FICLONE, fd);
    case EIO_SPLICE: case EIO_TEE: return q->size ? fail (EINVAL) : 0;
    case EIO_FIEMAP: return shadow_fiemap (c);
    case EIO_LINKFD: return shadow_linkfd (c);
    default: return shadow_fxattr (c, bytes);
    }
}

/* The system has no *xattrat that is old enough. */
static long
shadow_xattr (call *c, uint64_t *bytes)
{
  const char *path = *c->name[0] ? by_proc (c, 0) : "";
  int here = c->ask.int2 & AT_SYMLINK_NOFOLLOW;
  int flags = (int)(c->ask.int2 & ~AT_SYMLINK_NOFOLLOW);
  char buf[4096];
  long res;

  switch (c->kind->type)
    {
    case EIO_SETXATTR:
      return (here ? lsetxattr : setxattr) (path, "user.a", c->data,
                                            c->ask.size, flags);
    case EIO_REMOVEXATTR:
      return (here ? lremovexattr : removexattr) (path, "user.a");
    case EIO_GETXATTR:
      res = (here ? lgetxattr : getxattr) (path, "user.a", buf, sizeof buf);
      break;
    default: /* EIO_LISTXATTR */
      res = (here ? llistxattr : listxattr) (path, buf, sizeof buf);
    }
  *bytes = res < 0 ? 0 : hash (2, buf, (size_t)res);
  return res;
}

static long
shadow_look (call *c, uint64_t *bytes)
{
  int dir = c->dirfd[0], fd;
  const char *name = c->name[0];
  struct stat st;
  struct statvfs vfs;
  char buf[PATH_MAX];
  long res;

  switch (c->kind->type)
    {
    case EIO_STAT: case EIO_LSTAT: case EIO_STATX:
      res = fstatat (dir, name, &st,
                     c->kind->type == EIO_LSTAT ? AT_SYMLINK_NOFOLLOW
                     : c->kind->type == EIO_STAT ? 0 : c->ask.int1);
      *bytes = res ? 0 : hash_stat (&st);
      return res;
    case EIO_STATVFS: case EIO_PATHSYNC: case EIO_OPENDIR:
      fd = openat (dir, name,
                   (c->kind->type == EIO_STATVFS    ? O_PATH
                    : c->kind->type == EIO_PATHSYNC ? O_RDONLY
                                                    : O_DIRECTORY)
                     | O_CLOEXEC);
      if (fd < 0)
        return -1;
      if (c->kind->type == EIO_STATVFS)
        *bytes = fstatvfs (fd, &vfs) ? 0 : hash_statvfs (&vfs);
      close (fd);
      return 0;
    case EIO_READLINK:
      res = readlinkat (dir, name, buf, sizeof buf);
      *bytes = res < 0 ? 0 : hash (2, buf, (size_t)res);
      return res;
    case EIO_REALPATH: return shadow_realpath (c, bytes);
    case EIO_READDIR: case EIO_SCANDIR: return shadow_readdir (c, bytes);
    case EIO_SLURP:
      return c->ask.ptr2 && !c->ask.size
               ? fail (EINVAL)
               : shadow_load (c, c->ask.offs, c->ask.size, bytes);
    case EIO_LOAD: return shadow_load (c, 0, 0, bytes);
    case EIO_ACCESS: return faccessat (dir, name, (int)c->ask.int2, 0);
    default: return shadow_xattr (c, bytes);
    }
}

static long
shadow_path (call *c, uint64_t *bytes)
{
  const eio_req *q = &c->ask;
  int dir = c->dirfd[0], dir2 = c->dirfd[1];
  const char *name = c->name[0], *name2 = c->name[1];
  int excl = c->ask.int1 & EIO_COPY_EXCL;

  switch (c->kind->type)
    {
    case EIO_OPEN: case EIO_OPEN2: case EIO_TMPFILE:
      return openat (dir, name,
                     q->int1 | (c->kind->type == EIO_TMPFILE ? O_TMPFILE : 0),
                     (mode_t)q->int2);
    case EIO_WD_OPEN: return openat (dir, name, O_PATH | O_DIRECTORY);
    case EIO_TRUNCATE: return truncate (*name ? by_proc (c, 0) : "", q->offs);
    case EIO_UTIME: return utimensat (dir, name, times_of (c), 0);
    case EIO_LUTIME:
      return utimensat (dir, name, times_of (c), AT_SYMLINK_NOFOLLOW);
    case EIO_UTIMENS: return utimensat (dir, name, q->ptr2, q->int1);
    case EIO_CHMOD: return fchmodat (dir, name, (mode_t)q->int2, 0);
    case EIO_CHOWN: case EIO_LCHOWN:
      return fchownat (dir, name, (uid_t)q->int2, (gid_t)q->int3,
                       c->kind->type == EIO_CHOWN ? 0 : AT_SYMLINK_NOFOLLOW);
    case EIO_UNLINK: return unlinkat (dir, name, 0);
    case EIO_UNLINK2: return unlinkat (dir, name, q->int1);
    case EIO_RMDIR: return unlinkat (dir, name, AT_REMOVEDIR);
    case EIO_MKDIR: return mkdirat (dir, name, (mode_t)q->int2);
    case EIO_MKDIRS: return shadow_mkdirs (c);
    case EIO_MKNOD: return mknodat (dir, name, (mode_t)q->int2, 0);
    case EIO_RENAME: case EIO_RENAME2:
      return renameat2 (dir, name, dir2, name2, (unsigned)q->int2);
    case EIO_MOVE:
      return renameat2 (dir, name, dir2, name2, excl ? RENAME_NOREPLACE : 0);
    case EIO_LINK: return linkat (dir, name, dir2, name2, 0);
    case EIO_LINK2: return linkat (dir, name, dir2, name2, q->int1);
    case EIO_SYMLINK: return symlinkat (name, dir2, name2);
    case EIO_SAVE: return shadow_save (c);
    case EIO_COPY: return shadow_copy (c);
    case EIO_MKDTEMP: case EIO_MKSTEMP: return shadow_mktemp (c);
    default: return shadow_look (c, bytes);
    }
}

static long
shadow_memory (call *c)
{
  void *at = pages[1];
  size_t size = c->ask.size;

  switch (c->kind->type)
    {
    case EIO_MSYNC: return msync (at, size, MS_SYNC);
    case EIO_MLOCK: return mlock (at, size);
    case EIO_MUNLOCK: return munlock (at, size);
    case EIO_MADVISE: return madvise (at, size, c->ask.int1);
    case EIO_MINCORE: return (long)((size + 4095) / 4096);
    default: return 0; /* EIO_MTOUCH, EIO_NOP, EIO_BUSY, EIO_MUNLOCKALL */
    }
}

/* Does what c asks for; returns what came out. */
static outcome
shadow (call *c)
{
  outcome o = { 0, 0, 0 };

  errno = 0;
  if (c->absent)
    o.result = fail (c->absent);
  else if (c->kind->type == EIO_CUSTOM)
    o.result = c->ask.int1 ? fail (c->ask.int1) : 42;
  else if (c->kind->type == EIO_WD_CLOSE)
    o.result = close (c->dirfd[0]);
  else if (c->kind->is & FD)
    o.result = shadow_fd (c, &o.bytes);
  else if (c->kind->is & PATH)
    o.result = shadow_path (c, &o.bytes);
  else
    o.result = shadow_memory (c);
  o.error = o.result < 0 ? errno : 0;
  o.bytes = o.result < 0 ? 0 : o.bytes;
  return o;
}

#endif
