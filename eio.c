/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/*****************************************************************************
 * 0  About                                                                  *
 *                                                                           *
 * Contents, bottom up:                                                      *
 *   1  Configuration: what an embedder may define before including this     *
 *   2  Platform: eio_sys_*, every quirk of every system, all their #ifs     *
 *   3  Pool: etp_*, queues, workers, signal; the locking                    *
 *   4  Requests and groups: submit, finish, feed, cancel, poll              *
 *   5  Operations: one function a request type                              *
 *   6  Operation table and execution                                        *
 *   7  Public API, in the order of eio.h                                    *
 *   8  Wrappers                                                             *
 *   9  End: names that are not for the includer                             *
 *                                                                           *
 * Embedding: copy eio.c, eio.h, ecb.h, xthread.h and libeio.m4; in          *
 * configure.ac, after AC_PROG_CC, say m4_include([libeio.m4]); in one of    *
 * your files, define what section 1 lists, then #include "eio.c".           *
 *                                                                           *
 * Life of a request, with the functions that take the steps:                *
 *                                                                           *
 *    submit ─1→ ready ─2→ executing ─3→ pending ─4→ finishing ─5→ destroyed *
 *       └──────────── groups ─────────────↑ │ ↑         │                   *
 *                           8 ↓ ↑ 9       7 └─6→ waiting └─1→ (again) ready *
 *                            kept                                           *
 *                                                                           *
 *    1 etp_submit  2 etp_take_locked  3 etp_publish  4 etp_finish           *
 *    5 eio__complete  6 etp_finish: a group that has members                *
 *    7 eio__file_and_unlock: it has none any more                           *
 *    8 etp_keep: a lock that others have  9 etp_try_round: is it free now?  *
 *                                                                           *
 * Locks:                                                                    *
 *   1. A pool has reqlock, reslock, siglock and grplock; what each guards   *
 *      is said at struct etp_pool.                                          *
 *   2. No thread holds two of them, in any order. eio__pools_lock may be    *
 *      held when one is taken.                                              *
 *   3. Under reqlock, reslock or grplock, no callback of a request runs, no *
 *      system call is made that can block, and no worker is woken or        *
 *      started for a request. (Settings wake under reqlock.)                *
 *   4. want_poll and done_poll are called under siglock, and therefore must *
 *      not call the library.                                                *
 *   5. A function whose name ends in _locked is called with reqlock held,   *
 *      those of groups with grplock; eio__push and eio__pop with reqlock,   *
 *      or by the poll thread on its own queue. X_NEEDS, X_TAKES and X_GIVES *
 *      let clang check it of reqlock, reslock and siglock.                  *
 *   6. A request's members belong to the thread that has it: the submitter, *
 *      then the worker, then the poll thread; reqlock and the swap in       *
 *      etp_publish hand it over. Only cancelled is shared, and is atomic.   *
 *      What is kept is whose reqlock it is; who tries it again takes it out *
 *      for that.                                                            *
 *      The links grp*, and all of a group, are guarded by grplock.          *
 *                                                                           *
 * doc/internals.md tells how submit, park, wake, reap, publish and signal   *
 * work together, and why it was done so.                                    *
 *****************************************************************************/

#ifdef EIO_CONFIG_H
# include EIO_CONFIG_H
#else
# include "config.h"
#endif

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "xthread.h"
#include "eio.h"
#include "ecb.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*****************************************************************************
 * 1  Configuration                                                          *
 *                                                                           *
 * In eio.h: EIO_STRUCT_DIRENT, EIO_STRUCT_STAT, EIO_STRUCT_STATVFS,         *
 * EIO_REQ_MEMBERS, EIO_NO_WRAPPERS. Above: EIO_CONFIG_H. Below: EIO_PROBES. *
 *****************************************************************************/

/* Stack of a worker, in bytes. Custom requests need what they need. */
#ifndef EIO_STACKSIZE
# define EIO_STACKSIZE (256 * 1024)
#endif

/* Paths that are results may be this long at least, in bytes. */
#ifndef EIO_PATH_MIN
# define EIO_PATH_MIN 8160
#endif

/* An int expression in place of the call of finish. It is evaluated for
 * cancelled requests too, and then owns what they produced. */
#ifdef EIO_FINISH
# define EIO__TELLS_CANCELLED 1
#else
# define EIO__TELLS_CANCELLED 0
# define EIO_FINISH(req) ((req)->finish ? (req)->finish (req) : 0)
#endif

/* A statement in place of the call of destroy. */
#ifndef EIO_DESTROY
# define EIO_DESTROY(req) \
  do { if ((req)->destroy) (req)->destroy (req); } while (0)
#endif

/* A statement in place of the call of a group's feeder. Ours calls what the
 * caller looked at, as another thread may cancel the group. */
#ifndef EIO_FEED
# define EIO_FEED(req) feed (req)
#endif

/* More bytes of names than this make EIO_READDIR fail with EOVERFLOW:
 * eio_dirent.nameofs is an int. */
#ifndef EIO__NAMES_MAX
# define EIO__NAMES_MAX INT_MAX
#endif

/* Not to be defined, but for embedders to use: the default pool, and failing
 * as a system call does that the system lacks. */
#define EIO_POOL (eio__show_pool (ecb_load_acquire (eio__default_pool)))
#define EIO_ENOSYS() (errno = ENOSYS, -1)

/* With EIO_PROBES, tracers see each request's steps: static probes of provider
 * libeio, with the request, its type, and a value. */
#if EIO_PROBES
# include <sys/sdt.h>
# define EIO__PROBE(name, req, value) \
    DTRACE_PROBE3 (libeio, name, req, (req)->type, value)
#else
# define EIO__PROBE(name, req, value) ((void)0)
#endif

#if defined PATH_MAX && PATH_MAX > EIO_PATH_MIN
# define EIO__PATH_BUF PATH_MAX
#else
# define EIO__PATH_BUF EIO_PATH_MIN
#endif

#ifdef PATH_MAX
# define EIO__PATH_MAX PATH_MAX
#else
# define EIO__PATH_MAX EIO_PATH_MIN
#endif

/*****************************************************************************
 * 2  Platform                                                               *
 *                                                                           *
 * POSIX.1-2008 is taken for granted, openat and its family included. What   *
 * goes beyond is here: each function either does what its name says, or     *
 * fails with ENOSYS, so that the callers need no #if. The HAVE_ names are   *
 * libeio.m4's.                                                              *
 *                                                                           *
 * An embedder may have included system headers without _GNU_SOURCE; then    *
 * glibc and musl hide declarations that HAVE_ promises. SYNC_FILE_RANGE_    *
 * WRITE stands for their group; without it we go by system call number.     *
 *****************************************************************************/

#if HAVE_SYS_SYSCALL_H
# include <sys/syscall.h>
#endif
#if HAVE_SYS_PRCTL_H
# include <sys/prctl.h>
#endif
#if HAVE_SENDFILE && defined __linux__
# include <sys/sendfile.h>
#endif
#if HAVE_DL_ITERATE_PHDR && defined SYNC_FILE_RANGE_WRITE
# include <link.h>
#endif
#ifdef __linux__
# include <sys/eventfd.h>
# include <sys/vfs.h>
#endif
#ifndef _WIN32
# include <sys/ioctl.h>
# include <sys/mman.h>
# include <sys/resource.h>
# include <sys/statvfs.h>
# include <sys/uio.h>
#endif

/* Windows, by mingw-w64: names that are mapped to what there is, or fail. No
 * directory can be opened, so that all paths are relative to the process's. A
 * flag that is 0 has no effect there. Who includes this file has the names,
 * too. */
#ifdef _WIN32
enum
{
  EDQUOT = 1133,
  AT_FDCWD = -100,
  AT_SYMLINK_NOFOLLOW = 0x100,
  AT_REMOVEDIR = 0x200,
  FD_CLOEXEC = 1,
  F_GETFD = 1,
  F_SETFD = 2,
  F_GETFL = 3,
  F_SETFL = 4,
  F_SETLK = 6,
  F_RDLCK = 0,
  F_WRLCK = 1,
  F_UNLCK = 2,
  F_DUPFD_CLOEXEC = 1030,
  MS_ASYNC = 1,
  MS_INVALIDATE = 2,
  MS_SYNC = 4,
  MCL_CURRENT = 1,
  MCL_FUTURE = 2,
  O_CLOEXEC = O_NOINHERIT,
  O_DIRECTORY = 0,
  O_NOCTTY = 0,
  O_NOFOLLOW = 0,
  O_NONBLOCK = 0,
  S_ISGID = 02000,
  S_ISUID = 04000,
  _SC_PAGESIZE = 30
};

struct iovec { void *iov_base; size_t iov_len; };
struct statvfs { unsigned long f_bsize; };
struct flock { short l_type, l_whence; off_t l_start, l_len; int l_pid; };

static int
eio_sys_lacks (int zero, ...)
{
  (void)zero;
  return EIO_ENOSYS ();
}

# define EIO__LACKS(...) eio_sys_lacks (0, __VA_ARGS__)
# define EIO__AT_CWD(fd, call) ((fd) == AT_FDCWD ? (call) : EIO_ENOSYS ())
# define S_ISLNK(mode) ((void)(mode), 0)
# define openat(fd, path, ...) \
    EIO__AT_CWD (fd, open (path, O_BINARY | __VA_ARGS__))
# define mkdirat(fd, path, mode) \
    EIO__AT_CWD (fd, ((void)(mode), mkdir (path)))
# define unlinkat(fd, path, flags) \
    EIO__AT_CWD (fd, (flags) ? rmdir (path) : unlink (path))
# define renameat(fd, path, new_fd, new_path) \
    EIO__AT_CWD (fd, EIO__AT_CWD (new_fd, rename (path, new_path)))
# define fstatat(fd, path, st, flags) \
    EIO__AT_CWD (fd, ((void)(flags), stat (path, st)))
# define fsync(fd) _commit (fd)
# define sync() ((void)0)
# define fdopendir(fd) (EIO__LACKS (fd), (DIR *)0)
# define dirfd(dir) EIO__LACKS (dir)
# define faccessat(...) EIO__LACKS (__VA_ARGS__)
# define fchmod(...) EIO__LACKS (__VA_ARGS__)
# define fchmodat(...) EIO__LACKS (__VA_ARGS__)
# define fchown(...) EIO__LACKS (__VA_ARGS__)
# define fchownat(...) EIO__LACKS (__VA_ARGS__)
# define fcntl(...) EIO__LACKS (__VA_ARGS__)
# define fstatvfs(...) EIO__LACKS (__VA_ARGS__)
# define futimens(...) EIO__LACKS (__VA_ARGS__)
# define ioctl(...) EIO__LACKS (__VA_ARGS__)
# define linkat(...) EIO__LACKS (__VA_ARGS__)
# define mknodat(...) EIO__LACKS (__VA_ARGS__)
# define mlock(...) EIO__LACKS (__VA_ARGS__)
# define mlockall(...) EIO__LACKS (__VA_ARGS__)
# define msync(...) EIO__LACKS (__VA_ARGS__)
# define munlock(...) EIO__LACKS (__VA_ARGS__)
# define munlockall() EIO__LACKS (0)
# define pipe(...) EIO__LACKS (__VA_ARGS__)
# define pread(...) EIO__LACKS (__VA_ARGS__)
# define pwrite(...) EIO__LACKS (__VA_ARGS__)
# define readlinkat(...) EIO__LACKS (__VA_ARGS__)
# define readv(...) EIO__LACKS (__VA_ARGS__)
# define sigismember(...) 0
# define sigpending(...) ((void)0)
# define statvfs(...) EIO__LACKS (__VA_ARGS__)
# define symlinkat(...) EIO__LACKS (__VA_ARGS__)
# define sysconf(...) EIO__LACKS (__VA_ARGS__)
# define utimensat(...) EIO__LACKS (__VA_ARGS__)
# define writev(...) EIO__LACKS (__VA_ARGS__)
#endif

/* x32 has longs that are not those of its kernel. */
#if defined __linux__ && defined SYS_futex \
    && !(defined __x86_64__ && defined __ILP32__)
# define EIO__FUTEX 1
#else
# define EIO__FUTEX 0
#endif

#if defined __linux__ && defined SYS_sched_setaffinity
# define EIO__AFFINITY 1
#else
# define EIO__AFFINITY 0
#endif
#if defined __linux__ && defined SYS_ioprio_set
# define EIO__IOPRIO 1
#else
# define EIO__IOPRIO 0
#endif

/* A working directory carries a descriptor. */
#undef HAVE_AT
#define HAVE_AT 1

/* How to open a directory only to start paths from it, which needs no right
 * to read it. */
#if defined O_PATH
# define EIO__O_SEARCH O_PATH
#elif defined __O_PATH
# define EIO__O_SEARCH __O_PATH
#elif defined O_SEARCH
# define EIO__O_SEARCH O_SEARCH
#else
# define EIO__O_SEARCH O_RDONLY
#endif

/* That there is no such extended attribute. */
#ifdef ENOATTR
# define EIO__ENOATTR ENOATTR
#else
# define EIO__ENOATTR ENODATA
#endif

/* How to open anything without doing anything to it; 0 where impossible. */
#if defined O_PATH || defined __O_PATH
# define EIO__O_NOTHING EIO__O_SEARCH
#else
# define EIO__O_NOTHING 0
#endif

/* Linux, where headers may be older than the kernel. */
enum
{
  EIO__AT_EMPTY_PATH = 0x1000,
  EIO__AT_STATX_DONT_SYNC = 0x4000,
  EIO__MADV_POPULATE_READ = 22,
  EIO__MADV_POPULATE_WRITE = 23,
  EIO__MCL_ONFAULT = 4,
  EIO__FUTEX_WAIT = 0,
  EIO__FUTEX_WAKE = 1,
  EIO__IOPRIO_WHO_PROCESS = 1,
  EIO__MEMBARRIER = 8,
  EIO__MEMBARRIER_REGISTER = 16,
  EIO__RESOLVE_CACHED = 0x20,
  EIO__RWF_NOWAIT = 0x08,
  EIO__SYS_OPENAT2 = 437,
  EIO__SYS_CACHESTAT = 451 /* but on alpha */
};

/* realloc, and malloc where block is null, which say ENOMEM also where those
 * of the system, or what replaces them, do not. */
static void *
eio_sys_realloc (void *block, size_t size)
{
  block = realloc (block, size);
  if (!block)
    errno = ENOMEM;
  return block;
}

static int
eio_sys_close (int fd)
{
#if HAVE_POSIX_CLOSE
  return posix_close (fd, 0);
#else
  return close (fd);
#endif
}

static int
eio_sys_fdatasync (int fd)
{
#if HAVE_FDATASYNC
  return fdatasync (fd);
#else
  return fsync (fd);
#endif
}

static int
eio_sys_syncfs (int fd)
{
#if HAVE_SYS_SYNCFS && defined SYS_syncfs
  return (int)syscall (SYS_syncfs, fd);
#else
  (void)fd;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_sync_file_range (int fd, off_t offset, off_t nbytes, unsigned flags)
{
#if HAVE_SYNC_FILE_RANGE && defined SYNC_FILE_RANGE_WRITE
  return sync_file_range (fd, offset, nbytes, flags);
#elif HAVE_SYNC_FILE_RANGE && defined SYS_sync_file_range && defined __LP64__
  return (int)syscall (SYS_sync_file_range, fd, offset, nbytes, flags);
#else
  (void)fd, (void)offset, (void)nbytes, (void)flags;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_fallocate (int fd, int mode, off_t offset, off_t len)
{
#if HAVE_LINUX_FALLOCATE && defined SYNC_FILE_RANGE_WRITE
  return fallocate (fd, mode, offset, len);
#elif HAVE_LINUX_FALLOCATE && defined SYS_fallocate && defined __LP64__
  return (int)syscall (SYS_fallocate, fd, mode, offset, len);
#else
  (void)fd, (void)mode, (void)offset, (void)len;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_readahead (int fd, off_t offset, size_t count)
{
#if HAVE_READAHEAD && defined SYNC_FILE_RANGE_WRITE
  return (int)readahead (fd, offset, count);
#elif HAVE_READAHEAD && defined SYS_readahead && defined __LP64__
  return (int)syscall (SYS_readahead, fd, offset, count);
#else
  (void)fd, (void)offset, (void)count;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_renameat2 (int fd, const char *path, int new_fd, const char *new_path,
                   unsigned flags)
{
#if HAVE_RENAMEAT2 && defined SYS_renameat2
  return (int)syscall (SYS_renameat2, fd, path, new_fd, new_path, flags);
#else
  (void)fd, (void)path, (void)new_fd, (void)new_path, (void)flags;
  return EIO_ENOSYS ();
#endif
}

/* BSD and Darwin have calls of this name with other parameters. */
static ssize_t
eio_sys_sendfile (int ofd, int ifd, off_t offset, size_t count)
{
#if HAVE_SENDFILE && defined __linux__
  return sendfile (ofd, ifd, &offset, count);
#else
  (void)ofd, (void)ifd, (void)offset, (void)count;
  return EIO_ENOSYS ();
#endif
}

/* Makes pages present, as if each had been read, or read and written.
 * Linux 5.14. EINVAL can mean an old kernel or memory that cannot be
 * populated; an empty range succeeds where the advice is known. */
static int
eio_sys_populate (void *addr, size_t length, int modify)
{
#ifdef __linux__
  int advice = modify ? EIO__MADV_POPULATE_WRITE : EIO__MADV_POPULATE_READ;
  int res = madvise (addr, length, advice);

  if (!res || (errno != EINVAL && errno != ENOSYS && errno != EPERM))
    return res;
  if (errno == EINVAL && !madvise (addr, 0, advice))
    {
      errno = EINVAL;
      return -1;
    }
#else
  (void)addr, (void)length, (void)modify;
#endif
  return EIO_ENOSYS ();
}

/* Calls that requests are made of, repeated when they are interrupted: one that
 * began again as a whole each time might never end. What they open is for the
 * library alone. */
static int
eio_sys_open (int dirfd, const char *path, int flags)
{
  int fd;

  do
    fd = openat (dirfd, path, flags | O_CLOEXEC, 0600);
  while (fd < 0 && errno == EINTR);
  return fd;
}

static int
eio_sys_fstat (int fd, struct stat *st)
{
  int res;

  do
    res = fstat (fd, st);
  while (res && errno == EINTR);
  return res;
}

static int
eio_sys_stat (int dirfd, const char *path, struct stat *st, int flags)
{
  int res;

  do
    res = fstatat (dirfd, path, st, flags);
  while (res && errno == EINTR);
  return res;
}

static ssize_t
eio_sys_readlink (int dirfd, const char *path, char *buf, size_t size)
{
  ssize_t n;

  do
    n = readlinkat (dirfd, path, buf, size);
  while (n < 0 && errno == EINTR);
  return n;
}

/* The present path of what a descriptor is open on, with a 0, if the kernel
 * tells it. Returns its length. */
static ssize_t
eio_sys_fd_path (int fd, char *buf, size_t size)
{
#ifdef __linux__
  char link[40];
  ssize_t n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = eio_sys_readlink (AT_FDCWD, link, buf, size - 1);
  if (n > 0 && (size_t)n < size - 1 && buf[0] == '/')
    {
      buf[n] = 0;
      return n;
    }
#else
  (void)fd, (void)buf, (void)size;
#endif
  return EIO_ENOSYS ();
}

/* Opens what fd is open on without doing anything to it. Not by dup: to close
 * that would end the process's record locks. */
static int
eio_sys_open_same (int fd)
{
#ifdef __linux__
  char link[40];

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  return eio_sys_open (AT_FDCWD, link, EIO__O_NOTHING);
#else
  (void)fd;
  return EIO_ENOSYS ();
#endif
}

/* Whether reads of fd pass by the page cache. */
static int
eio_sys_is_direct (int fd)
{
#ifdef O_DIRECT
  int flags = fcntl (fd, F_GETFL);

  return flags >= 0 && flags & O_DIRECT;
#else
  (void)fd;
  return 0;
#endif
}

/* As pread, but fails with EAGAIN, or does less, rather than wait for the
 * device; or with EOPNOTSUPP where it cannot be told. Of direct reads it waits
 * for the end. Linux 4.14. */
static ssize_t
eio_sys_read_cached (int fd, void *buf, size_t count, off_t offset)
{
#if defined __linux__ && defined RWF_NOWAIT
  struct iovec iov = { buf, count };

  return preadv2 (fd, &iov, 1, offset, EIO__RWF_NOWAIT);
#else
  (void)fd, (void)buf, (void)count, (void)offset;
  return EIO_ENOSYS ();
#endif
}

/* Whether any of these bytes of a file are in memory; -1 if that cannot be
 * told. Linux 6.5. */
static int
eio_sys_has_cached (int fd, off_t offset, size_t length)
{
#if defined __linux__ && defined SYS_statx && !defined __alpha__
  unsigned long long range[2] = { (unsigned long long)offset, length };
  unsigned long long counts[5] = { 0 };

  if (!syscall (EIO__SYS_CACHESTAT, fd, range, counts, 0))
    return counts[0] > 0;
  return -1;
#else
  (void)fd, (void)offset, (void)length;
  return EIO_ENOSYS ();
#endif
}

/* The kernel's struct statx, which headers may lack, or have without its newer
 * members. */
typedef struct
{
  int64_t sec;
  uint32_t nsec;
  int32_t reserved;
} eio_sys_statx_time;

typedef struct
{
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, spare;
  uint64_t ino, size, blocks, attributes_mask;
  eio_sys_statx_time atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t mnt_id, spare2[13];
} eio_sys_statx_buf;

/* What fd is open on, as far as the kernel knows without asking a server. */
typedef struct
{
  unsigned dev; /* never 0 */
  unsigned mode;
  unsigned nlink;
} eio_sys_kind;

static int
eio_sys_get_kind (int fd, eio_sys_kind *kind)
{
#if defined __linux__ && defined SYS_statx
  /* Not libc's function, which may ask a server where there is no statx. */
  eio_sys_statx_buf st;

  if (syscall (SYS_statx, fd, "", EIO__AT_EMPTY_PATH | EIO__AT_STATX_DONT_SYNC,
               EIO_STATX_TYPE | EIO_STATX_NLINK, &st))
    return -1;
  kind->dev = st.dev_major << 20 | st.dev_minor;
  kind->mode = st.mode;
  kind->nlink = st.nlink;
  return 0;
#else
  (void)fd, (void)kind;
  return EIO_ENOSYS ();
#endif
}

/* Whether fd's file system is one that opens, stats and closes what it has in
 * memory without waiting for anybody. To ask may take its time. */
static int
eio_sys_is_local (int fd)
{
#ifdef __linux__
  static const unsigned local[] = {
    0xef53 /* ext2 to 4 */, 0x58465342 /* xfs */, 0x9123683e /* btrfs */,
    0xf2f52010 /* f2fs */, 0x01021994 /* tmpfs */, 0x858458f6 /* ramfs */
  };
  struct statfs st;
  size_t i;

  if (fstatfs (fd, &st))
    return 0;
  for (i = 0; i < sizeof local / sizeof *local; ++i)
    if (local[i] == (unsigned)st.f_type)
      return 1;
#else
  (void)fd;
#endif
  return 0;
}

static size_t
eio_sys_page_size (void)
{
  long size = sysconf (_SC_PAGESIZE);
  return size > 0 ? (size_t)size : 4096;
}

/* The type of a directory entry: the DT_ numbers are the same everywhere. */
static unsigned char
eio_sys_dtype (const EIO_STRUCT_DIRENT *de)
{
#ifdef DT_UNKNOWN
  return de->d_type < EIO_DT_MAX ? de->d_type : EIO_DT_UNKNOWN;
#else
  (void)de;
  return EIO_DT_UNKNOWN;
#endif
}

/* Nanoseconds of the monotonic clock. */
static unsigned long long
eio_sys_now (void)
{
  struct timespec t;
  clock_gettime (X_CLOCK, &t);
  return (unsigned long long)t.tv_sec * 1000000000u
         + (unsigned long long)t.tv_nsec;
}

/* Seconds in nanoseconds, rounded up. 0 for negative ones and NaN, and not
 * more than 30 years. */
static unsigned long long
eio_sys_ns (eio_tstamp seconds)
{
  const eio_tstamp max = 1e9;

  if (!(seconds > 0))
    return 0;
  return (unsigned long long)((seconds < max ? seconds : max) * 1e9) + 1;
}

static struct timespec
eio_sys_timespec (unsigned long long ns)
{
  struct timespec t;
  t.tv_sec = (time_t)(ns / 1000000000u);
  t.tv_nsec = (long)(ns % 1000000000u);
  return t;
}

/* So often is tried what cannot fail, unless something around the process has
 * it fail: somebody would wait for ever for what it does. */
enum
{
  EIO__SYS_TRIES = 8
};

/* Something that one thread waits for: it returns when that has been set, and
 * may return sooner. Deadlines are nanoseconds of the monotonic clock, 0 for
 * none. A futex does less than a condition variable; and those that are not
 * process-private are spread over a large table, where a thousand sleepers
 * are in nobody's way (Linux 6.16). */
typedef struct
{
  int state; /* 0: not set, 1: set, -1: somebody sleeps */
#if !EIO__FUTEX
  xmutex_t lock;
  xcond_t changed;
#endif
} eio_sys_event;

static int
eio_sys_init_event (eio_sys_event *event)
{
  event->state = 0;
#if EIO__FUTEX
  return 0;
#else
  X_MUTEX_CREATE (event->lock);
  return xcond_create_monotonic (&event->changed);
#endif
}

static void
eio_sys_set_event (eio_sys_event *event)
{
#if EIO__FUTEX
  int tries = EIO__SYS_TRIES;

  if (ecb_swap_seq_cst (event->state, 1) < 0)
    while (syscall (SYS_futex, &event->state, EIO__FUTEX_WAKE, 1, 0, 0, 0) < 0
           && --tries)
      continue;
#else
  X_LOCK (event->lock);
  event->state = 1;
  X_COND_SIGNAL (event->changed);
  X_UNLOCK (event->lock);
#endif
}

static void
eio_sys_await_event (eio_sys_event *event, unsigned long long deadline)
{
#if EIO__FUTEX
  unsigned long long now = deadline ? eio_sys_now () : 0;
  unsigned long long ns = deadline > now ? deadline - now : 0;
  long left[2] = { (long)(ns / 1000000000u), (long)(ns % 1000000000u) };
  const struct timespec a_moment = { 0, 1000000 };
  int unset = 0;

  if (ecb_cas_seq_cst (event->state, unset, -1)
      && syscall (SYS_futex, &event->state, EIO__FUTEX_WAIT, -1,
                  deadline ? left : 0, 0, 0)
      && errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT)
    nanosleep (&a_moment, 0);
  ecb_swap_seq_cst (event->state, 0);
#else
  struct timespec end = eio_sys_timespec (deadline);

  X_LOCK (event->lock);
  if (event->state)
    ;
  else if (deadline)
    X_COND_TIMEDWAIT (event->changed, event->lock, end);
  else
    X_COND_WAIT (event->changed, event->lock);
  event->state = 0;
  X_UNLOCK (event->lock);
#endif
}

/* A descriptor that others can watch. */
typedef struct
{
  int fd;   /* is readable while it is lit; 0: there is none */
  int end;  /* what is written to, to light it */
  int mark; /* of an eventfd: F_GETSIG says so, or 0 */
  dev_t dev;
  ino_t ino;
} eio_sys_beacon;

/* Descriptor 0 could be taken for none. */
static int
eio_sys_leave_0 (int fd)
{
  int saved, fd2 = fd;

  if (fd == 0)
    {
      fd2 = fcntl (0, F_DUPFD_CLOEXEC, 3);
      saved = errno;
      eio_sys_close (0);
      errno = saved;
    }
  return fd2;
}

static int
eio_sys_make_pipe (int ends[2])
{
  int i;

  if (pipe (ends))
    return -1;
  for (i = 0; i < 2; ++i)
    {
      ends[i] = eio_sys_leave_0 (ends[i]);
      fcntl (ends[i], F_SETFD, FD_CLOEXEC);
      fcntl (ends[i], F_SETFL, O_NONBLOCK);
    }
  if (ends[0] > 0 && ends[1] > 0)
    return 0;
  eio_sys_close (ends[0] > 0 ? ends[0] : ends[1]);
  errno = EMFILE;
  return -1;
}

static void
eio_sys_close_ends (int fd, int end)
{
  eio_sys_close (fd);
  if (end != fd)
    eio_sys_close (end);
}

#ifdef __linux__
/* All eventfds are one inode: the signal that ours would send, which none does,
 * tells them apart, each another, in other copies of the library, too. */
static int
eio_sys_mark (int fd)
{
# ifdef F_SETSIG
  static unsigned marked;
  size_t n = (size_t)&marked / sizeof marked + ecb_add_relaxed (marked, 1);
  int mark = (int)(n % 31) + 1;

  return fd >= 0 && !fcntl (fd, F_SETSIG, mark) ? mark : 0;
# else
  (void)fd;
  return 0;
# endif
}
#endif

/* An eventfd or the ends of a pipe. */
static int
eio_sys_open_beacon (eio_sys_beacon *beacon)
{
  int ends[2];

  beacon->mark = 0;
#ifdef __linux__
  ends[0] = ends[1] = eio_sys_leave_0 (eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK));
  beacon->mark = eio_sys_mark (ends[0]);
  if (ends[0] < 0 && eio_sys_make_pipe (ends))
    return -1;
#else
  if (eio_sys_make_pipe (ends))
    return -1;
#endif
  beacon->end = ends[1];
  beacon->fd = ends[0];
  return 0;
}

static int
eio_sys_make_beacon (eio_sys_beacon *beacon)
{
  struct stat st;
  int saved;

  if (eio_sys_open_beacon (beacon))
    return -1;
  if (eio_sys_fstat (beacon->fd, &st))
    {
      saved = errno;
      eio_sys_close_ends (beacon->fd, beacon->end);
      beacon->fd = 0;
      errno = saved;
      return -1;
    }
  beacon->dev = st.st_dev;
  beacon->ino = st.st_ino;
  return 0;
}

static int
eio_sys_is_foreign (const eio_sys_beacon *beacon, int fd)
{
  struct stat st;
  int foreign = eio_sys_fstat (fd, &st) ? errno == EBADF
                                        : st.st_dev != beacon->dev
                                              || st.st_ino != beacon->ino;

#ifdef F_GETSIG
  if (!foreign && beacon->mark)
    {
      int mark = fcntl (fd, F_GETSIG);

      foreign = mark >= 0 && mark != beacon->mark;
    }
#endif
  return foreign;
}

/* Programs that become daemons close all descriptors, and open others under
 * these numbers. */
static void
eio_sys_check_beacon (eio_sys_beacon *beacon)
{
  if (beacon->fd
      && (eio_sys_is_foreign (beacon, beacon->fd)
          || (beacon->end != beacon->fd
              && eio_sys_is_foreign (beacon, beacon->end))))
    beacon->fd = 0;
}

static void
eio_sys_close_beacon (eio_sys_beacon *beacon)
{
  eio_sys_check_beacon (beacon);
  if (beacon->fd)
    eio_sys_close_ends (beacon->fd, beacon->end);
  beacon->fd = 0;
}

/* In turns. */
static void
eio_sys_set_beacon (const eio_sys_beacon *beacon, int lit)
{
  unsigned long long token = 1;
  int tries = EIO__SYS_TRIES;
  ssize_t n = 0;

  if (beacon->fd)
    do
      n = lit ? write (beacon->end, &token, sizeof token)
              : read (beacon->fd, &token, sizeof token);
    while (n < 0 && (errno == EINTR || --tries));
}

/* In a forked child, which shares the descriptor with its parent: makes one
 * that has the same number, and is dark. */
static void
eio_sys_renew_beacon (eio_sys_beacon *beacon)
{
  int fd;

  eio_sys_check_beacon (beacon);
  fd = beacon->fd;
  if (!fd)
    return;
  eio_sys_close_ends (fd, beacon->end);
  beacon->fd = 0;
  if (eio_sys_make_beacon (beacon) || beacon->fd == fd)
    return;
  if (beacon->end == fd) /* of a pipe: it is in the way */
    {
      int end = fcntl (fd, F_DUPFD_CLOEXEC, 3);

      if (end < 0)
        return;
      beacon->end = end;
    }
  if (dup2 (beacon->fd, fd) == fd)
    {
      fcntl (fd, F_SETFD, FD_CLOEXEC);
      eio_sys_close (beacon->fd);
      beacon->end = beacon->end == beacon->fd ? fd : beacon->end;
      beacon->fd = fd;
    }
}

static void
eio_sys_nap (void)
{
  const struct timespec a_moment = { 0, 100000 };

  nanosleep (&a_moment, 0);
}

/* A lock of zeroes that one thread passes for next to nothing: the first that
 * ever enters. Once another comes, it costs all the same, a bit less than a
 * mutex; that one tells the first to stop, makes the system see to it that
 * each sees what the other wrote before it looked, and waits until it is out.
 * Nobody sleeps inside. */
typedef struct
{
  size_t owner; /* the first thread */
  int inside;   /* it is, or looks whether it may be */
  int alone;    /* it is */
  int shared;   /* 1: others have come, 2: and it has stopped */
  int locked;   /* then */
} eio_sys_latch;

/* Has all threads of the process that run execute a memory barrier, or asks for
 * the right to. Linux 4.14. */
static int
eio_sys_membarrier (int command)
{
#if defined __linux__ && defined SYS_membarrier
  return (int)syscall (SYS_membarrier, command, 0, 0);
#else
  (void)command;
  return EIO_ENOSYS ();
#endif
}

/* The owner enters. Returns 0 if it is not alone. */
static int
eio_sys_enter_alone (eio_sys_latch *latch)
{
  (void)ecb_load_acquire (latch->inside); /* a thread of before may have had
                                             this one's number */
  ecb_store_relaxed (latch->inside, 1);
  ecb_compiler_fence (); /* eio_sys_membarrier is the other half */
  if (ecb_expect_true (!ecb_load_acquire (latch->shared)))
    {
      latch->alone = 1;
      return 1;
    }
  ecb_store_release (latch->inside, 0);
  return 0;
}

/* Another than the owner comes, or the first of all, and becomes it. Returns
 * whether that was so. */
static int ecb_noinline
eio_sys_come (eio_sys_latch *latch, size_t self)
{
  size_t nobody = 0;
  int saved = errno;

  if (!ecb_load_relaxed (latch->owner)
      && !eio_sys_membarrier (EIO__MEMBARRIER_REGISTER)
      && ecb_cas_seq_cst (latch->owner, nobody, self))
    return eio_sys_enter_alone (latch);

  ecb_store_seq_cst (latch->shared, 1);
  if (eio_sys_membarrier (EIO__MEMBARRIER))
    eio_sys_nap (); /* no store takes that long to be seen */
  while (ecb_load_acquire (latch->inside))
    eio_sys_nap ();
  ecb_store_release (latch->shared, 2);
  errno = saved;
  return 0;
}

static void
eio_sys_enter (eio_sys_latch *latch)
{
  size_t self = (size_t)pthread_self ();
  int tries = 0;

  if (ecb_load_relaxed (latch->owner) == self)
    {
      if (eio_sys_enter_alone (latch))
        return;
    }
  else if (ecb_load_acquire (latch->shared) != 2
           && eio_sys_come (latch, self))
    return;

  while (ecb_swap_acquire (latch->locked, 1))
    if (++tries > 100)
      eio_sys_nap ();
}

static void
eio_sys_leave (eio_sys_latch *latch)
{
  if (ecb_expect_true (latch->alone))
    {
      latch->alone = 0;
      ecb_store_release (latch->inside, 0);
    }
  else
    ecb_store_release (latch->locked, 0);
}

/* Bytes that static TLS takes of each thread's stack; more than that, where
 * what has TLS was loaded by dlopen. */
#if HAVE_DL_ITERATE_PHDR && defined SYNC_FILE_RANGE_WRITE
static int
eio_sys_add_tls (struct dl_phdr_info *object, size_t size, void *sum)
{
  int i;

  (void)size;
  for (i = 0; i < object->dlpi_phnum; ++i)
    if (object->dlpi_phdr[i].p_type == PT_TLS)
      *(size_t *)sum += object->dlpi_phdr[i].p_memsz
                        + object->dlpi_phdr[i].p_align;
  return 0;
}

/* Asked once a process: the child of a fork may have inherited a linker that
 * is locked for ever. */
static size_t
eio_sys_tls_size (void)
{
  static size_t known; /* plus 1 */
  size_t size = ecb_load_relaxed (known);

  if (!size)
    {
      size = 1;
      dl_iterate_phdr (eio_sys_add_tls, &size);
      ecb_store_relaxed (known, size);
    }
  return size - 1;
}
#else
static size_t
eio_sys_tls_size (void)
{
  return 0;
}
#endif

/* What to ask for, so that a thread has a stack of that size. glibc takes
 * static TLS from it, and may leave less than a page: there a worker crashes
 * at once. */
static size_t
eio_sys_stack_size (size_t size)
{
  size_t tls = eio_sys_tls_size ();

#ifdef PTHREAD_STACK_MIN
  if (size < (size_t)PTHREAD_STACK_MIN)
    size = (size_t)PTHREAD_STACK_MIN;
#endif
  return size + tls < size ? size : size + tls;
}

static long
eio_sys_thread_id (void)
{
#if defined __linux__ && defined SYS_gettid
  return syscall (SYS_gettid);
#else
  return 0;
#endif
}

/* Whether a thread of this process has that number. */
static int
eio_sys_has_thread (long id)
{
#if defined __linux__ && defined SYS_tgkill
  return id && !syscall (SYS_tgkill, getpid (), id, 0);
#else
  (void)id;
  return 0;
#endif
}

/* Blocks what workers leave to the host, as in a worker. Returns whether
 * SIGPIPE was pending already. */
static int
eio_sys_block_signals (sigset_t *saved)
{
  sigset_t set;
  int had_pipe;

  sigpending (&set);
  had_pipe = sigismember (&set, SIGPIPE);
  xthread_sigmask (&set);
  pthread_sigmask (SIG_SETMASK, &set, saved);
  return had_pipe;
}

/* Undoes that, and drops the SIGPIPE of a write in between. */
static void
eio_sys_unblock_signals (const sigset_t *saved, int had_pipe)
{
#if defined _POSIX_REALTIME_SIGNALS && _POSIX_REALTIME_SIGNALS > 0
  const struct timespec now = { 0, 0 };
  sigset_t pipe;

  sigemptyset (&pipe);
  sigaddset (&pipe, SIGPIPE);
  if (!had_pipe)
    while (sigtimedwait (&pipe, 0, &now) < 0 && errno == EINTR)
      ;
#else
  (void)had_pipe;
#endif
  pthread_sigmask (SIG_SETMASK, saved, 0);
}

/* Of the calling thread. As ioprio_set(2), which libc does not wrap. */
static int
eio_sys_set_ioprio (int ioprio)
{
#if EIO__IOPRIO
  return (int)syscall (SYS_ioprio_set, EIO__IOPRIO_WHO_PROCESS, 0, ioprio);
#else
  (void)ioprio;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_set_affinity (const unsigned long *cpus, size_t size)
{
#if EIO__AFFINITY
  return (int)syscall (SYS_sched_setaffinity, 0, size, cpus);
#else
  (void)cpus, (void)size;
  return EIO_ENOSYS ();
#endif
}

static void
eio_sys_set_thread_name (const char *name)
{
#if HAVE_PRCTL_SET_NAME
  prctl (PR_SET_NAME, (unsigned long)name, 0, 0, 0);
#else
  (void)name;
#endif
}

/* What a worker has in common with the thread that started the pool, and not
 * with the worker that happened to start it. */
typedef struct
{
  int known;
  char name[16];                                        /* the process's */
  unsigned long cpus[1024 / (8 * sizeof (unsigned long))];
  long cpus_size;                             /* bytes; <= 0: not known */
  long policy;                                          /* < 0: not known */
  struct sched_param param;
  long nice;                           /* 20 - nice; <= 0: not known */
} eio_sys_traits;

/* By system call: pthread_getschedparam may tell what the creator had, and
 * musl's sched_getscheduler nothing. */
static void
eio_sys_get_traits (eio_sys_traits *traits)
{
  traits->known = 1;
  traits->cpus_size = 0;
  traits->policy = -1;
  traits->nice = 0;
#if defined __linux__ && defined SYS_sched_getaffinity
  traits->cpus_size = syscall (SYS_sched_getaffinity, 0, sizeof traits->cpus,
                               traits->cpus);
  if (!syscall (SYS_sched_getparam, 0, &traits->param))
    traits->policy = syscall (SYS_sched_getscheduler, 0);
  if (traits->policy > 0xff)
    traits->policy = -1; /* is reset on fork, so not meant to spread */
  traits->nice = syscall (SYS_getpriority, PRIO_PROCESS, 0);
#endif
}

/* Only the process's first thread has the process's name. */
static void
eio_sys_get_name (eio_sys_traits *traits)
{
#if HAVE_PRCTL_SET_NAME && defined SYS_gettid
  if (!traits->name[0] || syscall (SYS_gettid) == (long)getpid ())
    {
      char *suffix;

      prctl (PR_GET_NAME, (unsigned long)traits->name, 0, 0, 0);
      suffix = strrchr (traits->name, '/');
      if (suffix && !strcmp (suffix, "/eio"))
        *suffix = 0; /* a worker forked this process */
    }
#else
  (void)traits;
#endif
}

/* Makes the calling thread a worker in name and traits. Failure is no
 * reason not to work. */
static void
eio_sys_set_traits (eio_sys_traits *traits)
{
  eio_sys_traits own;

#if HAVE_PRCTL_SET_NAME
  strcpy (traits->name + strnlen (traits->name, 11), "/eio");
  eio_sys_set_thread_name (traits->name);
#endif

  if (!traits->known)
    return;
  eio_sys_get_traits (&own);
#if defined __linux__ && defined SYS_sched_setaffinity
  if (traits->cpus_size > 0 && own.cpus_size == traits->cpus_size
      && memcmp (own.cpus, traits->cpus, (size_t)own.cpus_size))
    eio_sys_set_affinity (traits->cpus, (size_t)traits->cpus_size);
  if (traits->policy >= 0
      && (own.policy != traits->policy
          || own.param.sched_priority != traits->param.sched_priority))
    syscall (SYS_sched_setscheduler, 0, traits->policy, &traits->param);
  if (traits->nice > 0 && own.nice != traits->nice)
    syscall (SYS_setpriority, PRIO_PROCESS, 0, 20 - traits->nice);
#endif
}

/* --- requests 50 to 74: descriptors, ranges, attributes ------------------- */

#if HAVE_XATTR
# include <sys/xattr.h>
#endif
#ifdef __linux__
# include <sys/sysmacros.h>
#endif

/* glibc and musl hide it without _GNU_SOURCE. */
#if HAVE_PREADV && (defined SYNC_FILE_RANGE_WRITE || !defined __linux__)
# define EIO__PREADV 1
#else
# define EIO__PREADV 0
#endif

/* As preadv and pwritev, one buffer after the other. */
static ecb_unused ssize_t
eio_sys_move_each (int fd, const struct iovec *iov, int n, off_t offset,
                   int writes)
{
  size_t done = 0, total = 0;
  int i;

  for (i = 0; i < n; ++i)
    {
      if (iov[i].iov_len > (size_t)-1 / 2 - total)
        {
          errno = EINVAL;
          return -1;
        }
      total += iov[i].iov_len;
    }

  i = 0;
  do
    {
      void *buf = n ? iov[i].iov_base : 0;
      size_t size = n ? iov[i].iov_len : 0;
      off_t at = offset + (off_t)done;
      ssize_t got = writes ? pwrite (fd, buf, size, at)
                           : pread (fd, buf, size, at);

      if (got < 0)
        return done ? (ssize_t)done : -1;
      done += (size_t)got;
      if ((size_t)got < size)
        break;
    }
  while (++i < n);
  return (ssize_t)done;
}

/* offset < 0: at the position. */
static ssize_t
eio_sys_readv (int fd, const struct iovec *iov, int n, off_t offset)
{
  if (offset < 0)
    return readv (fd, iov, n);
#if EIO__PREADV
  return preadv (fd, iov, n, offset);
#else
  return eio_sys_move_each (fd, iov, n, offset, 0);
#endif
}

static ssize_t
eio_sys_writev (int fd, const struct iovec *iov, int n, off_t offset)
{
  if (offset < 0)
    return writev (fd, iov, n);
#if EIO__PREADV
  return pwritev (fd, iov, n, offset);
#else
  return eio_sys_move_each (fd, iov, n, offset, 1);
#endif
}

/* The same with RWF_ flags. Linux 4.6. */
static ssize_t
eio_sys_readv2 (int fd, const struct iovec *iov, int n, off_t offset,
                int flags)
{
#if HAVE_PREADV2 && defined RWF_NOWAIT
  return preadv2 (fd, iov, n, offset < 0 ? -1 : offset, flags);
#elif HAVE_PREADV2 && defined SYS_preadv2 && defined __LP64__
  return syscall (SYS_preadv2, fd, iov, n, offset < 0 ? -1L : (long)offset, 0L,
                  flags);
#else
  (void)fd, (void)iov, (void)n, (void)offset, (void)flags;
  return EIO_ENOSYS ();
#endif
}

static ssize_t
eio_sys_writev2 (int fd, const struct iovec *iov, int n, off_t offset,
                 int flags)
{
#if HAVE_PREADV2 && defined RWF_NOWAIT
  return pwritev2 (fd, iov, n, offset < 0 ? -1 : offset, flags);
#elif HAVE_PREADV2 && defined SYS_pwritev2 && defined __LP64__
  return syscall (SYS_pwritev2, fd, iov, n, offset < 0 ? -1L : (long)offset,
                  0L, flags);
#else
  (void)fd, (void)iov, (void)n, (void)offset, (void)flags;
  return EIO_ENOSYS ();
#endif
}

#if HAVE_STATX && defined __linux__ && defined SYS_statx
static struct timespec
eio_sys_from_statx_time (const eio_sys_statx_time *t)
{
  struct timespec ts;

  ts.tv_sec = (time_t)t->sec;
  ts.tv_nsec = (long)t->nsec;
  return ts;
}

/* Some file systems fill what they then say is not valid. */
static void
eio_sys_from_statx (const eio_sys_statx_buf *st, struct eio_statx *res)
{
  uint32_t has = st->mask & EIO_STATX_ALL;

  memset (res, 0, sizeof *res);
  res->mask = has;
  res->type = has & EIO_STATX_TYPE ? (st->mode & S_IFMT) >> 12 : 0;
  res->mode = (has & EIO_STATX_TYPE ? st->mode & S_IFMT : 0)
              | (has & EIO_STATX_MODE ? st->mode & 07777 : 0);
  res->uid = has & EIO_STATX_UID ? st->uid : 0;
  res->gid = has & EIO_STATX_GID ? st->gid : 0;
  res->blksize = st->blksize;
  res->nlink = has & EIO_STATX_NLINK ? st->nlink : 0;
  res->ino = has & EIO_STATX_INO ? st->ino : 0;
  res->size = has & EIO_STATX_SIZE ? st->size : 0;
  res->blocks = has & EIO_STATX_BLOCKS ? st->blocks : 0;
  res->dev = makedev (st->dev_major, st->dev_minor);
  res->rdev = makedev (st->rdev_major, st->rdev_minor);
  res->mnt_id = has & EIO_STATX_MNT_ID ? st->mnt_id : 0;
  res->attributes = st->attributes;
  res->attributes_mask = st->attributes_mask;
  if (has & EIO_STATX_ATIME)
    res->atime = eio_sys_from_statx_time (&st->atime);
  if (has & EIO_STATX_BTIME)
    res->btime = eio_sys_from_statx_time (&st->btime);
  if (has & EIO_STATX_CTIME)
    res->ctime = eio_sys_from_statx_time (&st->ctime);
  if (has & EIO_STATX_MTIME)
    res->mtime = eio_sys_from_statx_time (&st->mtime);
}
#endif

/* By number: libc's function may make something up where the kernel has none.
 * Linux 4.11. */
static int
eio_sys_statx (int dirfd, const char *path, int flags, unsigned mask,
               struct eio_statx *res)
{
#if HAVE_STATX && defined __linux__ && defined SYS_statx
  eio_sys_statx_buf st;

  if (syscall (SYS_statx, dirfd, path, flags, mask, &st))
    return -1;
  eio_sys_from_statx (&st, res);
  return 0;
#else
  (void)dirfd, (void)path, (void)flags, (void)mask, (void)res;
  return EIO_ENOSYS ();
#endif
}

/* The flags of statx that fstatat knows; -1 if one is neither known nor a mere
 * wish. */
static int
eio_sys_fstatat_flags (int flags)
{
#ifdef __linux__
  enum { EIO__SYNC_TYPE = 0x6000 }; /* AT_STATX_*: what a server is asked */

  if ((flags & EIO__SYNC_TYPE) == EIO__SYNC_TYPE)
    return -1;
  flags &= ~EIO__SYNC_TYPE;
#endif
  return flags;
}

/* Offsets below 0 stand for positions. */
static ssize_t
eio_sys_copy_range (int in_fd, off_t in_offset, int out_fd, off_t out_offset,
                    size_t length)
{
#if HAVE_COPY_FILE_RANGE && defined __linux__ && defined SYS_copy_file_range
  /* By number: glibc before 2.30 emulates it. */
  long long in = in_offset, out = out_offset;

  return syscall (SYS_copy_file_range, in_fd, in < 0 ? 0 : &in, out_fd,
                  out < 0 ? 0 : &out, length, 0);
#elif HAVE_COPY_FILE_RANGE && !defined __linux__
  return copy_file_range (in_fd, in_offset < 0 ? 0 : &in_offset, out_fd,
                          out_offset < 0 ? 0 : &out_offset, length, 0);
#else
  (void)in_fd, (void)in_offset, (void)out_fd, (void)out_offset, (void)length;
  return EIO_ENOSYS ();
#endif
}

/* Whether what is written goes to the end, wherever it is meant to go. */
static int
eio_sys_appends (int fd)
{
  int flags = fcntl (fd, F_GETFL);

  return flags >= 0 && flags & O_APPEND;
}

/* FICLONE. Linux 4.5, some file systems. */
static int
eio_sys_clone (int src_fd, int dst_fd)
{
#if defined __linux__ && defined _IOW
  int res = ioctl (dst_fd, _IOW (0x94, 9, int), (void *)(intptr_t)src_fd);

  if (res < 0 && errno == ENOTTY)
    errno = EOPNOTSUPP;
  return res;
#else
  (void)src_fd, (void)dst_fd;
  return EIO_ENOSYS ();
#endif
}

/* By number, which needs no declarations. Offsets below 0 are null. */
static ssize_t
eio_sys_splice (int in_fd, off_t in_offset, int out_fd, off_t out_offset,
                size_t length, unsigned flags)
{
#if HAVE_SPLICE && defined SYS_splice
  long long in = in_offset, out = out_offset;

  return syscall (SYS_splice, in_fd, in < 0 ? 0 : &in, out_fd,
                  out < 0 ? 0 : &out, length, flags);
#else
  (void)in_fd, (void)in_offset, (void)out_fd, (void)out_offset;
  (void)length, (void)flags;
  return EIO_ENOSYS ();
#endif
}

static ssize_t
eio_sys_tee (int in_fd, int out_fd, size_t length, unsigned flags)
{
#if HAVE_SPLICE && defined SYS_tee
  return syscall (SYS_tee, in_fd, out_fd, length, flags);
#else
  (void)in_fd, (void)out_fd, (void)length, (void)flags;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_fadvise (int fd, off_t offset, off_t length, int advice)
{
#if HAVE_POSIX_FADVISE && defined POSIX_FADV_NORMAL
  int error = posix_fadvise (fd, offset, length, advice);

  if (!error)
    return 0;
  errno = error;
  return -1;
#else
  (void)fd, (void)offset, (void)length, (void)advice;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_madvise (void *addr, size_t length, int advice)
{
#if HAVE_MADVISE && defined MADV_NORMAL
  return madvise (addr, length, advice);
#else
  (void)addr, (void)length, (void)advice;
  return EIO_ENOSYS ();
#endif
}

/* Whether neighbours in the same pages may get this advice, too, as it changes
 * nothing but speed. */
static int
eio_sys_is_mere_advice (int advice)
{
#if HAVE_MADVISE && defined MADV_NORMAL
  return advice == MADV_NORMAL || advice == MADV_RANDOM
         || advice == MADV_SEQUENTIAL || advice == MADV_WILLNEED;
#else
  (void)advice;
  return 0;
#endif
}

/* The type of the vector differs between systems. */
static int
eio_sys_mincore (void *addr, size_t length, unsigned char *pages)
{
#if HAVE_MINCORE && defined __linux__ && defined SYS_mincore
  return (int)syscall (SYS_mincore, addr, length, pages);
#elif HAVE_MINCORE && !defined __linux__
  return mincore (addr, length, (void *)pages);
#else
  (void)addr, (void)length, (void)pages;
  return EIO_ENOSYS ();
#endif
}

/* Where fsync leaves data in the disk's own memory: Darwin. */
static int
eio_sys_fullsync (int fd)
{
#ifdef F_FULLFSYNC
  return fcntl (fd, F_FULLFSYNC);
#else
  (void)fd;
  return EIO_ENOSYS ();
#endif
}

/* Linux's struct fiemap and its extents. */
typedef struct
{
  uint64_t logical, physical, length, reserved64[2];
  uint32_t flags, reserved[3];
} eio_sys_extent;

typedef struct
{
  uint64_t start, length;
  uint32_t flags, mapped, count, reserved;
  eio_sys_extent extents[]; /* count of them, of which mapped are filled */
} eio_sys_extents;

/* Linux 2.6.28, some file systems. */
static int
eio_sys_fiemap (int fd, eio_sys_extents *map)
{
#if defined __linux__ && defined _IOWR
  int res = ioctl (fd, _IOWR ('f', 11, eio_sys_extents), map);

  if (res < 0 && errno == ENOTTY)
    errno = EOPNOTSUPP;
  return res;
#else
  (void)fd, (void)map;
  return EIO_ENOSYS ();
#endif
}

/* What has extended attributes. */
typedef struct
{
  const char *path; /* null: it is fd */
  int fd;
  int nofollow; /* if it is a link, the link itself */
} eio_sys_node;

/* size 0: only tells how many bytes there are. */
static ssize_t
eio_sys_getxattr (const eio_sys_node *node, const char *name, void *buf,
                  size_t size)
{
#if HAVE_XATTR
  return !node->path      ? fgetxattr (node->fd, name, buf, size)
         : node->nofollow ? lgetxattr (node->path, name, buf, size)
                          : getxattr (node->path, name, buf, size);
#else
  (void)node, (void)name, (void)buf, (void)size;
  return EIO_ENOSYS ();
#endif
}

static ssize_t
eio_sys_listxattr (const eio_sys_node *node, void *buf, size_t size)
{
#if HAVE_XATTR
  return !node->path      ? flistxattr (node->fd, buf, size)
         : node->nofollow ? llistxattr (node->path, buf, size)
                          : listxattr (node->path, buf, size);
#else
  (void)node, (void)buf, (void)size;
  return EIO_ENOSYS ();
#endif
}

/* flags: EIO_XATTR_* */
static int
eio_sys_setxattr (const eio_sys_node *node, const char *name,
                  const void *value, size_t size, int flags)
{
#if HAVE_XATTR
  int how = (flags & EIO_XATTR_CREATE ? XATTR_CREATE : 0)
            | (flags & EIO_XATTR_REPLACE ? XATTR_REPLACE : 0);

  return !node->path      ? fsetxattr (node->fd, name, value, size, how)
         : node->nofollow ? lsetxattr (node->path, name, value, size, how)
                          : setxattr (node->path, name, value, size, how);
#else
  (void)node, (void)name, (void)value, (void)size, (void)flags;
  return EIO_ENOSYS ();
#endif
}

static int
eio_sys_removexattr (const eio_sys_node *node, const char *name)
{
#if HAVE_XATTR
  return !node->path      ? fremovexattr (node->fd, name)
         : node->nofollow ? lremovexattr (node->path, name)
                          : removexattr (node->path, name);
#else
  (void)node, (void)name;
  return EIO_ENOSYS ();
#endif
}

/* --- requests 75 to 110: paths ------------------------------------------- */

/* For an unnamed file; 0 where there is no such thing. */
#if defined O_TMPFILE
# define EIO__O_TMPFILE O_TMPFILE
#elif defined __O_TMPFILE
# define EIO__O_TMPFILE (__O_TMPFILE | O_DIRECTORY)
#else
# define EIO__O_TMPFILE 0
#endif

/* As openat, with RESOLVE_ flags; it takes no mode where nothing is made.
 * Linux 5.6. */
static int
eio_sys_openat2 (int dirfd, const char *path, int flags, mode_t mode,
                 unsigned resolve)
{
#if defined __linux__ && defined SYS_statx /* headers of some age */
  int makes = flags & O_CREAT
              || (EIO__O_TMPFILE
                  && (flags & EIO__O_TMPFILE) == EIO__O_TMPFILE);
  unsigned long long how[3] = { (unsigned)flags, makes ? mode : 0, resolve };

# ifdef O_LARGEFILE /* which libc adds to what openat takes */
  if (!EIO__O_NOTHING || !(flags & EIO__O_NOTHING))
    how[0] |= O_LARGEFILE;
# endif
  return (int)syscall (EIO__SYS_OPENAT2, dirfd, path, how, sizeof how);
#else
  (void)dirfd, (void)path, (void)flags, (void)mode, (void)resolve;
  return EIO_ENOSYS ();
#endif
}

/* As openat, but fails with EAGAIN if the path is not all in the kernel's
 * memory. Linux 5.12. */
static int
eio_sys_open_cached (int dirfd, const char *path, int flags)
{
  return eio_sys_openat2 (dirfd, path, flags, 0, EIO__RESOLVE_CACHED);
}

/* An unnamed file in a directory. Linux 3.11; before, the kernel takes it for
 * an attempt to write to the directory, and says EISDIR. */
static int
eio_sys_open_unnamed (int dirfd, const char *path, int flags, mode_t mode)
{
#if EIO__O_TMPFILE
  int fd = openat (dirfd, path, flags | EIO__O_TMPFILE, mode);

  if (fd < 0 && errno == EISDIR)
    errno = ENOSYS;
  return fd;
#else
  (void)dirfd, (void)path, (void)flags, (void)mode;
  return EIO_ENOSYS ();
#endif
}

/* Gives what a descriptor is open on a name. By descriptor alone, Linux lets
 * only the privileged do it, and says ENOENT to others. */
static int
eio_sys_link_fd (int fd, int dirfd, const char *path)
{
  int res = EIO_ENOSYS ();
#ifdef __linux__
  char link[40];

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  res = linkat (AT_FDCWD, link, dirfd, path, AT_SYMLINK_FOLLOW);
  if (!res || errno != ENOENT)
    return res;
#endif
#ifdef AT_EMPTY_PATH
  res = linkat (fd, "", dirfd, path, AT_EMPTY_PATH);
#else
  (void)fd, (void)dirfd, (void)path;
#endif
  return res;
}

/* Not following a link. ENOTSUP where modes of links cannot be changed, and
 * glibc before 2.32 says so of anything. */
static int
eio_sys_lchmodat (int dirfd, const char *path, mode_t mode)
{
  return fchmodat (dirfd, path, mode, AT_SYMLINK_NOFOLLOW);
}

/* Bytes that nobody can guess, or at least nobody can know. */
static void
eio_sys_random (unsigned char *buf, size_t size)
{
  unsigned long long seed;
  ssize_t n = -1;
  size_t i;
  int fd;

#if defined __linux__ && defined SYS_getrandom
  n = (ssize_t)syscall (SYS_getrandom, buf, size, 1 /* do not wait */);
#endif
  if (n != (ssize_t)size
      && (fd = openat (AT_FDCWD, "/dev/urandom", O_RDONLY | O_CLOEXEC)) >= 0)
    {
      n = read (fd, buf, size);
      eio_sys_close (fd);
    }
  if (n == (ssize_t)size)
    return;

  seed = eio_sys_now () ^ (unsigned long long)(size_t)&seed << 24
         ^ (unsigned long long)getpid () << 40;
  for (i = 0; i < size; ++i)
    {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      buf[i] = (unsigned char)(seed >> 56);
    }
}

/* A file system in user space may be interrupted even there. */
static off_t
eio_sys_seek (int fd, off_t offset, int whence)
{
  off_t res;

  do
    res = lseek (fd, offset, whence);
  while (res < 0 && errno == EINTR);
  return res;
}

/* Finds the next bytes at or behind offset that are not in a hole, [*data,
 * *hole). ENXIO: there are none. */
static int
eio_sys_find_data (int fd, off_t offset, off_t *data, off_t *hole)
{
#if defined SEEK_DATA && defined SEEK_HOLE
  *data = eio_sys_seek (fd, offset, SEEK_DATA);
  *hole = *data < 0 ? -1 : eio_sys_seek (fd, *data, SEEK_HOLE);
  return *hole < 0 ? -1 : 0;
#else
  (void)fd, (void)offset, (void)data, (void)hole;
  return EIO_ENOSYS ();
#endif
}

#ifdef __APPLE__
# define st_atim st_atimespec
# define st_ctim st_ctimespec
# define st_mtim st_mtimespec
#endif

/* When a file was read, written, and changed in any way last. */
static void
eio_sys_get_times (const struct stat *st, struct timespec times[3])
{
#ifdef _WIN32
  memset (times, 0, 3 * sizeof *times);
  times[0].tv_sec = st->st_atime;
  times[1].tv_sec = st->st_mtime;
  times[2].tv_sec = st->st_ctime;
#else
  times[0] = st->st_atim;
  times[1] = st->st_mtim;
  times[2] = st->st_ctim;
#endif
}

/* The size of transfers that suits a file, and of what its data takes on the
 * disk, in units of 512 bytes; 0 where that is not known. */
static void
eio_sys_get_blocks (const struct stat *st, uint32_t *size, uint64_t *count)
{
#ifndef _WIN32
  *size = (uint32_t)st->st_blksize;
  *count = (uint64_t)st->st_blocks;
#else
  (void)st, *size = 0, *count = 0;
#endif
}

/* --- locks ---------------------------------------------------------------- */

#include <sys/file.h>

#ifdef LOCK_NB
enum
{
  EIO__LOCK_SH = LOCK_SH,
  EIO__LOCK_EX = LOCK_EX,
  EIO__LOCK_NB = LOCK_NB,
  EIO__LOCK_UN = LOCK_UN
};
#else
enum
{
  EIO__LOCK_SH = 1,
  EIO__LOCK_EX = 2,
  EIO__LOCK_NB = 4,
  EIO__LOCK_UN = 8
};
#endif

static int
eio_sys_flock (int fd, int operation)
{
#ifdef LOCK_NB
  return flock (fd, operation);
#else
  (void)fd, (void)operation;
  return EIO_ENOSYS ();
#endif
}

/* Sets a lock of the open file description on a range, or, where there are
 * none (Linux before 3.15 says EINVAL), one of the process. Does not wait:
 * EAGAIN, for which others than Linux may say EACCES, which to Linux means
 * that it is not allowed. */
static int
eio_sys_set_lock (int fd, struct flock *range)
{
  int res;

#ifdef F_OFD_SETLK
  res = fcntl (fd, F_OFD_SETLK, range);
  if (!res || (errno != EINVAL && errno != ENOSYS))
    return res;
#endif
  res = fcntl (fd, F_SETLK, range);
#ifndef __linux__
  if (res && errno == EACCES)
    errno = EAGAIN;
#endif
  return res;
}

/* Whether the open file description has locks: 1, 0, or -1 if the system does
 * not say. */
static int
eio_sys_has_locks (int fd)
{
#ifdef __linux__
  char text[4096];
  ssize_t n;
  int info;

  snprintf (text, sizeof text, "/proc/self/fdinfo/%d", fd);
  info = open (text, O_RDONLY | O_CLOEXEC);
  if (info < 0)
    return -1;
  n = read (info, text, sizeof text - 1);
  eio_sys_close (info);
  text[n > 0 ? n : 0] = 0;
  return n <= 0 ? -1 : strstr (text, "\nlock:") != 0;
#else
  (void)fd;
  return -1;
#endif
}

/*****************************************************************************
 * 3  Pool                                                                   *
 *****************************************************************************/

#define ETP_NUM_PRI (EIO_PRI_MAX - EIO_PRI_MIN + 1)

/* Bytes of the stack that an eio_poll takes, so that a later one can tell by
 * its own place whether it is called from its callbacks, or they were left. */
#define ETP_SCOPE_STACK 8192
#define ETP_INNER_SCOPE_STACK 256 /* of nested ones: they may be many */

/* An eio_poll finishes no more than so many requests that its callbacks
 * submitted and had answered at once. */
#define ETP_INLINE_BUDGET 64

/* Seconds; any longer is as good as for ever, and may not fit a time_t. */
#define ETP_MAX_IDLE_TIMEOUT 1000000000u

/* Nanoseconds between tries to start a thread, while somebody waits. */
#define ETP_NAP 5000000u

/* Locks that others have are tried again after this many nanoseconds, and then
 * after twice as many each time, but for the last of so many rounds. */
#define ETP_PAUSE 1000000u
#define ETP_NUM_ROUNDS 6

/* After a round, the thread that does this rests for so many times as long as
 * the round took. */
#define ETP_RESTS 4

/* eio_req.eio_outcome of a lock that others have */
#define ETP_BLOCKED (-2)

/* eio_req.eio_state */
enum
{
  ETP_FREE,     /* the caller's */
  ETP_QUEUED,   /* in a queue, or executing */
  ETP_WAITING,  /* a group that waits for its members */
  ETP_FINISHING /* its finish has begun; stays so, until submitted again */
};

/* etp_pool.over: what a thread that still works for a pool has to know when
 * its life is over. */
enum
{
  ETP_ABANDONED = 1, /* by eio_init: finish, and leave */
  ETP_INHERITED = 2  /* from a parent process: touch nothing; or, if it is
                        current, see etp_wait_for_memory */
};

/* etp_pool.draining: eio_shutdown */
enum
{
  ETP_DRAIN = 1, /* all of it is executed, whatever the settings are */
  ETP_CLOSE = 2  /* ... but cancelled before, also what is submitted */
};

/* etp_pool.watch: why the clock is asked */
enum
{
  ETP_TIMING = 1,
  ETP_SLOW = 2
};

/* eio_req.eio_timed: what eio_t tells */
enum
{
  ETP_QUEUE_TIME = 1, /* [0]: when it was submitted, for the histograms, */
  ETP_RUN_TIME = 2,   /* [1], [2]: ... begun to be executed, and done */
  ETP_AGE_TIME = 4,   /* [1]: while it is queued, since when it gains ranks */
  ETP_LOCK_TIME = 8   /* [2]: until when a lock is tried again, 0: for ever;
                         eio_frame is how often it was */
};

/* What is published, and counted */
enum
{
  ETP_EXECUTED, /* by a worker, or the poll thread */
  ETP_SKIPPED,  /* was cancelled before */
  ETP_INLINED,  /* was answered at once */
  ETP_GROUPED,  /* is a group that was submitted, */
  ETP_REFILED,  /* or has no members any more */
  ETP_NUM_KINDS
};

/* eio_req.flags, of a group */
enum
{
  ETP_FLAG_ADDED = 0x04,  /* something was added since this was cleared */
  ETP_FLAG_FEEDING = 0x08 /* its feeder runs */
};

typedef struct etp_worker etp_worker;
typedef struct etp_pool etp_pool; /* to hosts: eio_pool */

/* A FIFO for each priority. */
typedef struct
{
  eio_req *first[ETP_NUM_PRI];
  eio_req *last[ETP_NUM_PRI];
  unsigned ranks; /* bits of those that are not empty */
  int size;       /* read anywhere */
} etp_queue;

/* Results. Workers push them onto a stack; the poll thread takes all of it,
 * and sorts it. Embedders read size like an int. */
typedef struct
{
  eio_req *fresh;
  _Atomic int size; /* of what is sorted, too */
  unsigned long long count[ETP_NUM_KINDS];
} etp_results;

/* Requests by the logarithm of some time in microseconds. */
typedef struct
{
  unsigned long long n[32];
} etp_hist;

/* All of it is guarded by reqlock, but pool, which is constant. The structs
 * are reused, and freed by eio_shutdown only: whoever wakes a worker signals it
 * after the unlock, when it may have left already. */
struct etp_worker
{
  etp_pool *pool;
  xthread_t tid;
  eio_sys_event wakeup;
  eio_req *req;                         /* a host's that it executes; atomic */
  etp_pool *serving;                    /* whose it is, or was, until the
                                           worker is back */
  int rank;                             /* of a request of the host's; else
                                           ETP_NUM_PRI */
  int counts;                           /* in pool->ndone, when it is done:
                                           one more may be started */
  int woken;                            /* taken off the idle stack */
  long id;                              /* on pool->gone: of the thread, */
  unsigned long long left;              /* and when it left */
  etp_worker *idle_prev, *idle_next;
  etp_worker *prev, *next;              /* pool->workers, spares or gone */
  etp_worker *made_before;              /* all structs, for leak checkers */
};

/* An eio_poll that runs, and the callback that it is in. If the callback never
 * returns, this stays behind and tells what is left to do: so it is not on
 * the stack, and not in the request, which finish may fill anew. */
typedef struct etp_scope etp_scope;
struct etp_scope
{
  etp_scope *outer;     /* the eio_poll in whose callback this one runs */
  eio_req *req;         /* whose finish runs, unless it was submitted again */
  eio_req *grp;         /* its group */
  size_t frame;         /* the callback's frame is below this address */
};

/* A file system, and for how many requests more it is taken to be local, or,
 * if negative, not to be. */
typedef struct
{
  unsigned dev;
  int credit;
} etp_fs;

/* How many reads of a descriptor go to the workers before one is tried at
 * once again, and how often in a row that has failed, or succeeded. */
typedef struct
{
  unsigned char skip, fails, hits;
} etp_backoff;

/* Space between what different threads write, so that they do not wait for
 * each other's cache lines. */
#define ETP_APART(n) char apart##n[64]

/* Locks that were tried equally often, and are tried again together. */
typedef struct
{
  etp_queue reqs;
  unsigned long long due;               /* if there are any */
} etp_round;

/* What the host wants workers to be like. */
typedef struct
{
  size_t stack_size; /* 0: EIO_STACKSIZE */
  char name[16];     /* "": the process's */
  void (*on_start) (void *userdata);
  void (*on_stop) (void *userdata);
  void *userdata;
  unsigned long cpus[1024 / (8 * sizeof (unsigned long))];
  size_t cpus_size;  /* bytes; 0: the host's */
  int ioprio;        /* 0: the host's */
} etp_wishes;

struct etp_pool
{
  /* Whose workers execute the requests: crew's request side is used in place
   * of this one's. Mostly it is this pool itself. */
  etp_pool *crew;                       /* atomic: see eio__hand_over_crew */
  int nready;                           /* of its requests, queued with those
                                           of another pool; atomic; this, and
                                           the next two, are written under
                                           crew's reqlock */
  unsigned max_nready;
  unsigned long long nqueued;           /* ever */
  unsigned nhere;                       /* of its requests, those that pollers
                                           execute for want of workers; atomic,
                                           changed under the same lock */

  /* reqlock guards the request side: what is queued, and who serves it.
   * nworkers counts from the decision to start one to the decision to leave.
   * A worker is idle, or has a request, or is looking for one. */
  xmutex_t reqlock;
  etp_queue req_queue;
  etp_queue house_queue;                /* the library's own requests */
  etp_worker *workers;                  /* that have started */
  etp_worker *idle;                     /* stack, last parked on top */
  etp_worker *spares;                   /* structs for reuse */
  etp_worker *gone;                     /* of those that were not joined */
  etp_worker *made;                     /* all structs */
  xcond_t left;                         /* nworkers fell, or limit rose */
  unsigned nidle;
  unsigned nworkers;
  unsigned nbusy;                       /* took one and are not back yet */
  unsigned nwaiting;                    /* threads that wait for
                                           workers to leave */
  unsigned nblocked;                    /* ... that are workers */
  unsigned nreleases;                   /* how often they were let go */
  unsigned nstopping;                   /* left, and are in on_stop */
  unsigned max_nworkers;
  unsigned long long nstarted, nleft, nrefused; /* threads, ever */

  int nguests;                          /* of queued requests, those of other
                                           pools; atomic */

  /* Locks that wait, and the thread that tries them again: it is no worker,
   * and counts as none. */
  etp_round rounds[ETP_NUM_ROUNDS];
  etp_worker *keeper;                   /* null until it has begun */
  int has_keeper;                       /* or is about to; also read without
                                           the lock */
  int alerted;                          /* some of them were cancelled */
  int closing;                          /* all threads are to leave */

  /* If not all workers take just what is first: those for requests of low
   * rank leave nreserved others free, and requests gain ranks by waiting. */
  int planned;
  int reserved_rank;                    /* lower ones are low */
  unsigned nreserved;
  unsigned nlow_queued;
  unsigned nlow;                        /* that execute */
  unsigned long long ageing;            /* nanoseconds for a rank, 0: never */

  /* Atomic. Of the busy ones, those that are done executing: they say so
   * before they publish, so that nobody who gets the result has a thread
   * started in their place. They look only when they are back, as want_poll
   * may take its time. */
  unsigned ndone;
  int have_corpse;                      /* corpse left, is to be joined */
  xthread_t corpse;
  eio_sys_traits traits;
  etp_wishes wishes;

  ETP_APART (1);

  /* Written under reqlock, and read without it. */
  int stalled;                          /* no worker, and none to be had */
  int start_failed;                     /* so try again */

  /* Settings: atomic, and the first three written under reqlock. */
  unsigned limit, max_idle, idle_timeout;
  unsigned max_poll_reqs;               /* 0: no limit */
  unsigned max_poll_sec, max_poll_nsec; /* both 0: no limit */
  size_t inline_max;                    /* bytes; 0: nothing at once */
  unsigned max_outstanding;             /* 0: no limit */
  unsigned submit_limit;                /* 0: no limit */
  int finish_cancelled;
  int nothreads;                        /* EIO_NOTHREADS_ */
  int watch;                            /* ETP_TIMING, ETP_SLOW */
  int draining;                         /* ETP_DRAIN, ETP_CLOSE */
  size_t drain_thread, drain_frame;     /* where eio_shutdown is; atomic */
  int raised;                           /* the limit was 0 before that */

  /* Atomic. */
  int stack_try;                        /* what worked last in
                                           etp_create_thread */
  unsigned missing;                     /* EIO__NO_ bits */
  pid_t pid;                            /* of this life, 0: none yet */
  int over;                             /* ETP_ABANDONED, ETP_INHERITED */

  /* Of those that begin lives. The host knows its pools by their first; the
   * default pool has none that it knows. */
  etp_pool *first;                      /* null: this is the default pool */
  etp_pool *current;                    /* of the first: what it is now */
  etp_pool *next;                       /* of the first: on eio__pools */
  unsigned npins;                       /* of the first: keep it there */
  etp_pool *older;                      /* the one before */
  etp_pool *spare;                      /* zeroes, for a child */
  int inited;                           /* eio_init has been called */
  int atfork_set;

  ETP_APART (2);

  /* The poll thread needs no lock for results. Workers take this one while
   * they push one and count it, so that embedders who have it find the number
   * of results exact. */
  xmutex_t reslock;
  etp_results res_queue;
  etp_hist queue_hist, exec_hist, deliver_hist;

  ETP_APART (3);

  /* siglock guards the signal, and orders calls of the callbacks. */
  xmutex_t siglock;
  int signalled;                        /* want_poll came after done_poll;
                                           also read without the lock */
  unsigned long long nfinished;         /* ever, and not cancelled; or */
  unsigned long long ncancelled;
  eio_sys_beacon beacon;                /* lit while that is set */
  int has_arrival;
  eio_sys_event arrival;                /* set when that is */
  void (*want_poll) (void);             /* eio_init's, or ... */
  void (*done_poll) (void);
  void (*want_poll_of) (void *userdata); /* eio_pool_new's */
  void (*done_poll_of) (void *userdata);
  void *userdata;

  ETP_APART (4);

  /* The poll thread's own; others only look at the first of these, and
   * whether it is them. */
  unsigned nreqs;                       /* atomic */
  etp_queue sorted;                     /* results, see etp_next_result */
  int ntaken;                           /* ... from there, but still counted
                                           in res_queue.size; atomic */
  etp_scope *scope;                     /* inmost */
  size_t scope_thread;                  /* on which scopes were opened */
  etp_scope *spare_scopes;
  etp_scope first_scope;
  unsigned inline_left;                 /* of this poll's budget */
  unsigned max_npending;                /* atomic */
  unsigned npolls;                      /* atomic */
  unsigned finished, cancelled;         /* not in nfinished, ncancelled yet */
  unsigned long long slow;              /* nanoseconds, 0: none is; atomic */
  void (*slow_cb) (const eio_req *, eio_tstamp); /* atomic */
  int told;                             /* the last poll was ended by a
                                           callback's value */
  unsigned long long end;               /* of eio_shutdown, 0: none */

  /* grplock guards all groups' members and states, but not while a callback
   * runs. */
  eio_sys_latch grplock;
  eio_req *feeding;                     /* groups whose feeders run; others
                                           look whether there are any */
  unsigned nheld;                       /* groups that wait for members */

  /* Answering at once, section 6. */
  etp_fs fs[16];                        /* by device; under reqlock */
  etp_backoff backoff[64];              /* by descriptor; atomic */
};

/* For a child of it, which had better not allocate: somebody else may have
 * been in the allocator when it was forked. */
static etp_pool eio__second_pool;

static etp_pool eio__first_pool = {
  .crew = &eio__first_pool,
  .reqlock = X_MUTEX_INIT,
  .reslock = X_MUTEX_INIT,
  .siglock = X_MUTEX_INIT,
  .left = X_COND_INIT,
  .limit = 4,
  .max_idle = 4,
  .idle_timeout = 10,
  .spare_scopes = &eio__first_pool.first_scope,
  .spare = &eio__second_pool,
};

/* The one of this life. */
static etp_pool *eio__default_pool = &eio__first_pool;

/* Those that the host made, by their first lives. Changed under the lock, which
 * comes before all others, and by a single store each time: a child may find
 * it locked. */
static xmutex_t eio__pools_lock = X_MUTEX_INIT;
static etp_pool *eio__pools;
static etp_pool *eio__inherited; /* freed in a child, which may return there */
static int eio__has_pools;       /* or had, or the next; atomic */
static int eio__starved;         /* some wait for memory; atomic */

/* The calling thread's current one, by its first life. Null: the default. */
static __thread etp_pool *eio__using;

/* How many eio_polls of any pools it is in, or has left without return. */
static __thread unsigned eio__depth;

/* Whether it is in on_stop. */
static __thread int eio__stopping;

/* If it is a worker: whose, and whose request it executes, once there are
 * several pools. */
static __thread etp_pool *eio__working, *eio__serving;

static etp_pool *
etp_current_life (etp_pool *first)
{
  return first ? ecb_load_acquire (first->current)
               : ecb_load_acquire (eio__default_pool);
}

static etp_pool *eio__begin_childs_lives (void); /* section 7 */

/* The calling thread's current pool. */
static etp_pool *
eio__pool (void)
{
  if (ecb_expect_false (ecb_load_relaxed (eio__has_pools)))
    {
      if (ecb_load_relaxed (eio__starved))
        eio__begin_childs_lives ();
      return etp_current_life (eio__using);
    }
  return ecb_load_acquire (eio__default_pool);
}

static etp_pool *
etp_crew (etp_pool *pool)
{
  return ecb_load_acquire (pool->crew);
}

static size_t
eio__self (void)
{
  return (size_t)pthread_self ();
}

/* Not one that was inherited: this child may have freed it since. */
static void
etp_use (etp_pool *pool)
{
  if (ecb_expect_false (ecb_load_relaxed (eio__has_pools))
      && ecb_load_relaxed (pool->over) != ETP_INHERITED)
    eio__using = pool->first;
}

static void etp_keep (eio_req *req); /* locks that wait */
static int eio__execute (eio_req *req); /* section 6 */
static int eio__undo (eio_req *req, eio_req *todo); /* section 5 */
static int eio__answer (eio_req *req);
static etp_pool *eio__show_pool (etp_pool *pool); /* EIO_POOL; section 4 */

/* --- queues ------------------------------------------------------------- */

static void
eio__append (etp_queue *queue, int rank, eio_req *first, eio_req *last)
{
  if (queue->last[rank])
    queue->last[rank]->next = first;
  else
    {
      queue->first[rank] = first;
      queue->ranks |= 1u << rank;
    }
  queue->last[rank] = last;
}

static void
eio__push (etp_queue *queue, eio_req *req)
{
  int rank = req->eio_rank;

  req->next = 0;
  eio__append (queue, rank, req, req);
  ecb_store_relaxed (queue->size, queue->size + 1);
}

static int
eio__clamp_pri (int pri)
{
  return pri < EIO_PRI_MIN ? EIO_PRI_MIN : pri > EIO_PRI_MAX ? EIO_PRI_MAX
                                                             : pri;
}

static void
eio__set_rank (eio_req *req)
{
  req->eio_rank = (signed char)(eio__clamp_pri (req->pri) - EIO_PRI_MIN);
}

/* The first of these. */
static eio_req *
eio__pop_rank (etp_queue *queue, int rank)
{
  eio_req *req = queue->first[rank];

  queue->first[rank] = (eio_req *)req->next;
  if (!req->next)
    {
      queue->last[rank] = 0;
      queue->ranks &= ~(1u << rank);
    }
  ecb_store_relaxed (queue->size, queue->size - 1);
  return req;
}

/* The first of the highest priority, or null. */
static eio_req *
eio__pop (etp_queue *queue)
{
  return queue->ranks ? eio__pop_rank (queue, ecb_top_bit (queue->ranks)) : 0;
}

/* --- signal ------------------------------------------------------------- */

/* Whether the poll thread executes nothing, even if nobody else does. */
static int
etp_refuses_work (etp_pool *pool)
{
  return ecb_load_relaxed (pool->nothreads) == EIO_NOTHREADS_FAIL
         && !ecb_load_relaxed (pool->draining);
}

/* What eio_poll would find, and want_poll therefore announces. */
static int
etp_has_work (etp_pool *pool)
{
  return ecb_load_seq_cst (pool->res_queue.fresh)
         || ecb_load_relaxed (pool->sorted.size)
         || (ecb_load_seq_cst (etp_crew (pool)->stalled)
             && !etp_refuses_work (pool));
}

static void
etp_call_want (etp_pool *pool) X_NEEDS (pool->siglock)
{
  ecb_store_relaxed (pool->signalled, 1);
  eio_sys_set_beacon (&pool->beacon, 1);
  if (pool->has_arrival)
    eio_sys_set_event (&pool->arrival);
  if (pool->want_poll)
    pool->want_poll ();
  else if (pool->want_poll_of)
    pool->want_poll_of (pool->userdata);
}

static void
etp_call_done (etp_pool *pool) X_NEEDS (pool->siglock)
{
  if (pool->done_poll)
    pool->done_poll ();
  else if (pool->done_poll_of)
    pool->done_poll_of (pool->userdata);
  eio_sys_set_beacon (&pool->beacon, 0);
  ecb_store_seq_cst (pool->signalled, 0);
}

/* Called after something came to be that etp_has_work sees, unless it has
 * been signalled already. */
static void
etp_raise_signal (etp_pool *pool)
{
  if (ecb_load_seq_cst (pool->signalled)) /* etp_settle_signal */
    return;

  X_LOCK (pool->siglock);
  if (!pool->signalled && etp_has_work (pool))
    etp_call_want (pool);
  X_UNLOCK (pool->siglock);
}

/* The same for all that share these workers. want_poll may take its time, so
 * the list is not locked meanwhile. */
static void
etp_raise_signals (etp_pool *crew)
{
  etp_pool *first;

  etp_raise_signal (crew);
  if (!ecb_load_relaxed (eio__has_pools))
    return;

  X_LOCK (eio__pools_lock);
  for (first = eio__pools; first; first = first->next)
    if (etp_crew (first->current) == crew)
      {
        ++first->npins;
        X_UNLOCK (eio__pools_lock);
        etp_raise_signal (first->current);
        X_LOCK (eio__pools_lock);
        if (first->npins) /* else want_poll forked, and this is the child */
          --first->npins;
      }
  X_UNLOCK (eio__pools_lock);
}

static void
etp_count_finished (etp_pool *pool) X_NEEDS (pool->siglock)
{
  pool->nfinished += pool->finished;
  pool->ncancelled += pool->cancelled;
  pool->finished = pool->cancelled = 0;
}

/* Makes the signal say whether there is work, when eio_poll ends. Something
 * that came after the first look may have found the signal still up; the
 * second look sees it. Returns whether there is work. */
static int
etp_settle_signal (etp_pool *pool)
{
  int work;

  X_LOCK (pool->siglock);
  etp_count_finished (pool);
  work = etp_has_work (pool);
  if (!work && pool->signalled)
    {
      etp_call_done (pool);
      work = etp_has_work (pool); /* etp_raise_signal */
    }
  if (work && !pool->signalled)
    etp_call_want (pool);
  X_UNLOCK (pool->siglock);
  return work;
}

/* Called by the poller that was faster than the worker's signal: should the
 * callback not return, the host has to be told to poll again. */
static void
etp_announce (etp_pool *pool)
{
  X_LOCK (pool->siglock);
  if (!pool->signalled)
    etp_call_want (pool);
  X_UNLOCK (pool->siglock);
}

/* The number of the descriptor that is readable while there is work, or -1. */
static int
etp_poll_fd (etp_pool *pool)
{
  int fd;

  X_LOCK (pool->siglock);
  eio_sys_check_beacon (&pool->beacon);
  if (!pool->beacon.fd && !eio_sys_make_beacon (&pool->beacon)
      && pool->signalled)
    eio_sys_set_beacon (&pool->beacon, 1);
  fd = pool->beacon.fd ? pool->beacon.fd : -1;
  X_UNLOCK (pool->siglock);
  return fd;
}

/* --- results ------------------------------------------------------------ */

/* Nanoseconds. The clock may go backwards where there is no better one. */
static unsigned long long
eio__elapsed (unsigned long long from, unsigned long long to)
{
  return to > from ? to - from : 0;
}

static void
etp_add_to_hist (etp_hist *hist, unsigned long long from,
                 unsigned long long to)
{
  unsigned long long us = eio__elapsed (from, to) / 1000;
  int i = 0;

  while ((us >>= 1) && i < 31)
    ++i;
  ++hist->n[i];
}

/* What a result counts as, before others see it. */
static void
etp_count_result (etp_pool *pool, const eio_req *req, int kind)
  X_NEEDS (pool->reslock)
{
  ++pool->res_queue.count[kind];
  if (ecb_expect_false (req->eio_timed & ETP_QUEUE_TIME)
      && kind == ETP_EXECUTED)
    {
      etp_add_to_hist (&pool->queue_hist, req->eio_t[0], req->eio_t[1]);
      etp_add_to_hist (&pool->exec_hist, req->eio_t[1], req->eio_t[2]);
    }
}

/* Hands req over to the poll thread, which may take it before it has been
 * added to the number. An embedder who locks does not notice. */
static void
etp_publish (etp_pool *pool, eio_req *req, int kind)
{
  eio_req *first = ecb_load_relaxed (pool->res_queue.fresh);

  if (ecb_load_relaxed (pool->over))
    return;

  X_LOCK (pool->reslock);
  etp_count_result (pool, req, kind);
  do
    req->next = first;
  while (!ecb_cas_seq_cst (pool->res_queue.fresh, first, req));
  ++pool->res_queue.size;
  X_UNLOCK (pool->reslock);

  if (!first)
    etp_raise_signal (pool);
}

/* Queues what was published, the oldest first: they come newest first, so each
 * goes before those of its priority that this has met. */
static void
etp_sort_results (etp_pool *pool)
{
  eio_req *req = ecb_swap_acquire (pool->res_queue.fresh, 0);
  eio_req *first[ETP_NUM_PRI] = { 0 }, *last[ETP_NUM_PRI] = { 0 };
  int rank, n = 0;

  for (; req; ++n)
    {
      eio_req *before = (eio_req *)req->next;

      if (before)
        ecb_prefetch (&before->eio_rank, 0, 3);
      rank = req->eio_rank;
      if (!first[rank])
        last[rank] = req;
      req->next = first[rank];
      first[rank] = req;
      req = before;
    }

  for (rank = 0; rank < ETP_NUM_PRI; ++rank)
    if (first[rank])
      eio__append (&pool->sorted, rank, first[rank], last[rank]);
  n += pool->sorted.size;
  ecb_store_relaxed (pool->sorted.size, n);
  if ((unsigned)n > ecb_load_relaxed (pool->max_npending))
    ecb_store_relaxed (pool->max_npending, (unsigned)n);
}

/* What was taken counts no longer. */
static void
etp_discount_results (etp_pool *pool)
{
  if (ecb_load_relaxed (pool->ntaken))
    pool->res_queue.size -= (int)ecb_swap_acquire (pool->ntaken, 0);
}

/* The result to be finished next, or null. Workers write to where they are
 * counted, so that is left to the last of them. */
static eio_req *
etp_next_result (etp_pool *pool)
{
  eio_req *req;

  if (ecb_load_relaxed (pool->res_queue.fresh))
    etp_sort_results (pool);
  req = eio__pop (&pool->sorted);
  if (req)
    {
      ecb_add_relaxed (pool->ntaken, 1);
      if (!pool->sorted.size)
        etp_discount_results (pool);
    }
  return req;
}

/* --- wake and start ----------------------------------------------------- */

/* What etp_summon_locked decided, to be done after the unlock. */
typedef struct
{
  etp_worker *wake;
  int start;
} etp_action;

static void
etp_pop_idle_locked (etp_pool *pool, etp_worker *w) X_NEEDS (pool->reqlock)
{
  if (w->idle_prev)
    w->idle_prev->idle_next = w->idle_next;
  else
    pool->idle = w->idle_next;
  if (w->idle_next)
    w->idle_next->idle_prev = w->idle_prev;
  --pool->nidle;
  w->woken = 1;
}

/* Wakes n idle workers at most, which find that they have to leave. */
static void
etp_dismiss_locked (etp_pool *pool, unsigned n) X_NEEDS (pool->reqlock)
{
  for (; n && pool->idle; --n)
    {
      etp_worker *w = pool->idle;

      etp_pop_idle_locked (pool, w);
      eio_sys_set_event (&w->wakeup);
    }
}

/* How many workers may execute low requests. */
static unsigned
etp_low_limit_locked (etp_pool *pool) X_NEEDS (pool->reqlock)
{
  return pool->limit > pool->nreserved ? pool->limit - pool->nreserved : 1;
}

/* How many queued requests workers would take now, if there were enough. */
static unsigned
etp_count_ready_locked (etp_pool *pool) X_NEEDS (pool->reqlock)
{
  unsigned n = (unsigned)pool->req_queue.size, most;

  if (ecb_expect_true (!pool->planned))
    return n;
  most = etp_low_limit_locked (pool);
  most = most > pool->nlow ? most - pool->nlow : 0;
  return pool->nlow_queued > most ? n - pool->nlow_queued + most : n;
}

/* Sees to it that somebody looks at the queue, if less than enough are on
 * their way, and less than there are requests: they look after this unlock,
 * and when they take something, summon the next. A thread is started only if
 * there are more requests, ready and executing, than workers: those that are
 * done are as good as on their way. */
static etp_action
etp_summon_locked (etp_pool *pool, unsigned enough) X_NEEDS (pool->reqlock)
{
  etp_action action = { 0, 0 };
  unsigned looking = pool->nworkers - pool->nidle - pool->nbusy;
  unsigned queued = etp_count_ready_locked (pool)
                    + (unsigned)pool->house_queue.size;

  if (looking >= enough || looking >= queued)
    return action;

  if (pool->idle)
    {
      action.wake = pool->idle;
      etp_pop_idle_locked (pool, action.wake);
    }
  else if (queued > looking + ecb_load_relaxed (pool->ndone)
           && pool->nworkers < pool->limit)
    {
      ++pool->nworkers;
      action.start = 1;
      if (pool->nworkers > pool->max_nworkers)
        pool->max_nworkers = pool->nworkers;
    }
  return action;
}

static etp_worker *
etp_make_worker (etp_pool *pool)
{
  etp_worker *w = calloc (1, sizeof *w);
  etp_pool *spare;

  if (w && eio_sys_init_event (&w->wakeup))
    {
      free (w);
      w = 0;
    }
  if (!w)
    return 0;

  w->pool = pool;
  spare = ecb_load_relaxed (pool->spare) ? 0 : calloc (1, sizeof *pool);
  X_LOCK (pool->reqlock);
  if (!ecb_load_relaxed (pool->spare))
    {
      ecb_store_relaxed (pool->spare, spare);
      spare = 0;
    }
  w->made_before = pool->made;
  pool->made = w;
  X_UNLOCK (pool->reqlock);
  free (spare);
  return w;
}

/* A struct for a worker, or null when memory is out. */
static etp_worker *
etp_new_worker (etp_pool *pool)
{
  etp_worker *w;

  X_LOCK (pool->reqlock);
  w = pool->spares;
  if (w)
    pool->spares = w->next;
  else if ((w = pool->gone) && !eio_sys_has_thread (w->id))
    pool->gone = w->next;
  else
    w = 0;
  eio_sys_get_name (&pool->traits);
  if (!ecb_load_relaxed (pool->pid))
    ecb_store_relaxed (pool->pid, getpid ());
  X_UNLOCK (pool->reqlock);

  return w ? w : etp_make_worker (pool);
}

/* Systems refuse stacks that are too small for them by EINVAL; then a larger
 * one, and at last the default. */
static int
etp_create_thread (etp_pool *pool, etp_worker *w, void *(*proc) (void *))
{
  size_t wish = ecb_load_relaxed (pool->wishes.stack_size);
  size_t size = wish ? wish : (size_t)(EIO_STACKSIZE);
  const size_t sizes[]
    = { eio_sys_stack_size (size), eio_sys_stack_size (2 * size), 0 };
  int i = ecb_load_relaxed (pool->stack_try);
  xthread_t tid;

  for (;; ++i)
    {
      int error = xthread_start (&tid, proc, w, sizes[i]);

      if (!error)
        ecb_store_relaxed (pool->stack_try, i);
      if (error != EINVAL || !sizes[i])
        return error;
    }
}

/* A start that was decided on cannot be. Queued requests wait for the
 * workers that there are; when there is none, for eio_poll. One may have
 * parked meanwhile, trusting in the start. */
static void
etp_start_failed (etp_pool *pool, etp_worker *w)
{
  etp_action action = { 0, 0 };
  int stalled;

  X_LOCK (pool->reqlock);
  --pool->nworkers;
  ++pool->nrefused;
  if (pool->idle)
    action = etp_summon_locked (pool, 1);
  if (w)
    {
      w->next = pool->spares;
      pool->spares = w;
    }
  ecb_store_relaxed (pool->start_failed, 1);
  stalled = !pool->nworkers && pool->limit
            && (pool->req_queue.size || pool->house_queue.size);
  if (stalled)
    ecb_store_seq_cst (pool->stalled, 1);
  X_COND_BROADCAST (pool->left);
  X_UNLOCK (pool->reqlock);

  if (action.wake)
    eio_sys_set_event (&action.wake->wakeup);
  if (stalled)
    etp_raise_signals (pool);
}

static void
etp_end_stall (etp_pool *pool)
{
  X_LOCK (pool->reqlock);
  if (pool->nworkers || !pool->limit
      || (!pool->req_queue.size && !pool->house_queue.size))
    ecb_store_relaxed (pool->stalled, 0);
  X_UNLOCK (pool->reqlock);
}

X_THREAD_PROC (eio__worker_proc);

static void
etp_act (etp_pool *pool, etp_action action)
{
  if (action.wake)
    eio_sys_set_event (&action.wake->wakeup);

  if (action.start)
    {
      etp_worker *w = etp_new_worker (pool);

      if (!w || etp_create_thread (pool, w, eio__worker_proc))
        etp_start_failed (pool, w);
      else if (ecb_load_relaxed (pool->stalled))
        etp_end_stall (pool);
    }
}

/* --- workers ------------------------------------------------------------ */

/* When a thread that has been idle since then has been so for too long. */
static unsigned long long
etp_idle_end (etp_pool *pool, unsigned long long since)
{
  unsigned seconds = ecb_load_relaxed (pool->idle_timeout);

  return since
         + (seconds < ETP_MAX_IDLE_TIMEOUT ? seconds : ETP_MAX_IDLE_TIMEOUT)
             * 1000000000ull;
}

/* Waits to be woken; 0 when this worker is one too many and time is over. */
static int
etp_park_locked (etp_pool *pool, etp_worker *w) X_NEEDS (pool->reqlock)
{
  unsigned long long since = 0;

  w->woken = 0;
  w->idle_prev = 0;
  w->idle_next = pool->idle;
  if (pool->idle)
    pool->idle->idle_prev = w;
  pool->idle = w;
  ++pool->nidle;

  while (!w->woken)
    {
      unsigned long long end = 0;

      if (pool->nidle > pool->max_idle)
        {
          unsigned long long now = eio_sys_now ();

          if (!since)
            since = now;
          end = etp_idle_end (pool, since);
          if (now >= end)
            {
              etp_pop_idle_locked (pool, w);
              return 0;
            }
        }

      X_UNLOCK (pool->reqlock);
      eio_sys_await_event (&w->wakeup, end);
      X_LOCK (pool->reqlock);
    }

  return 1;
}

/* The rank that a queued request has gained by waiting. */
static unsigned long long
etp_aged_rank_locked (etp_pool *pool, const eio_req *req,
                      unsigned long long now) X_NEEDS (pool->reqlock)
{
  unsigned long long rank = (unsigned char)req->eio_rank;

  rank += eio__elapsed (req->eio_t[1], now) / pool->ageing;
  return rank < ETP_NUM_PRI ? rank : ETP_NUM_PRI - 1;
}

/* Whether a is to be taken before b, if they gain ranks by waiting. */
static int
etp_is_older_locked (etp_pool *pool, const eio_req *a, const eio_req *b,
                     unsigned long long now) X_NEEDS (pool->reqlock)
{
  unsigned long long rank = etp_aged_rank_locked (pool, a, now);
  unsigned long long other = etp_aged_rank_locked (pool, b, now);

  return rank > other || (rank == other && a->eio_t[1] < b->eio_t[1]);
}

/* The rank whose first request is to be taken next, or -1. */
static int ecb_noinline
etp_choose_rank_locked (etp_pool *pool) X_NEEDS (pool->reqlock)
{
  eio_req **first = pool->req_queue.first;
  int least = pool->nlow_queued && pool->nlow >= etp_low_limit_locked (pool)
                ? pool->reserved_rank
                : 0;
  int rank = ETP_NUM_PRI - 1, other;

  while (rank >= least && !first[rank])
    --rank;
  if (rank < least)
    return -1;

  if (pool->ageing)
    {
      unsigned long long now = eio_sys_now ();

      for (other = rank - 1; other >= least; --other)
        if (first[other]
            && etp_is_older_locked (pool, first[other], first[rank], now))
          rank = other;
    }
  return rank;
}

/* The next that the host submitted, or null. */
static eio_req *
etp_next_ready_locked (etp_pool *crew) X_NEEDS (crew->reqlock)
{
  eio_req *req;
  etp_pool *pool;

  if (ecb_expect_true (!crew->planned))
    req = eio__pop (&crew->req_queue);
  else
    {
      int rank = etp_choose_rank_locked (crew);

      req = rank < 0 ? 0 : eio__pop_rank (&crew->req_queue, rank);
      crew->nlow_queued -= req && rank < crew->reserved_rank;
    }
  if (!req)
    return 0;

  pool = req->eio_pool;
  if (ecb_expect_false (pool != crew))
    {
      ecb_store_relaxed (pool->nready, pool->nready - 1);
      ecb_store_relaxed (crew->nguests, crew->nguests - 1);
    }
  if (ecb_expect_false (ecb_load_relaxed (pool->watch)
                        || req->eio_timed & ETP_QUEUE_TIME))
    {
      req->eio_timed |= ETP_RUN_TIME;
      req->eio_t[1] = eio_sys_now ();
    }
  return req;
}

/* The next request for this worker; null when it has to leave. */
static eio_req *
etp_take_locked (etp_pool *pool, etp_worker *w) X_NEEDS (pool->reqlock)
{
  for (;;)
    {
      eio_req *req = eio__pop (&pool->house_queue);

      if (!req && pool->nworkers <= pool->limit)
        {
          req = etp_next_ready_locked (pool);
          pool->nlow += req && req->eio_rank < pool->reserved_rank;
        }
      if (req)
        {
          ++pool->nbusy;
          w->serving = req->eio_pool;
          w->rank = req->eio_state == ETP_FREE ? ETP_NUM_PRI : req->eio_rank;
          w->counts = pool->nworkers < pool->limit;
          ecb_store_relaxed (w->req, req->eio_state == ETP_FREE ? 0 : req);
          return req;
        }
      if (pool->nworkers > pool->limit || !etp_park_locked (pool, w))
        return 0;
    }
}

/* Whether it was a try to lock what others have locked. */
static int
eio__is_blocked (eio_req *req)
{
  if (ecb_expect_true (!(req->eio_timed & ETP_LOCK_TIME)))
    return 0;
  eio__set_rank (req); /* see eio__requeue_blocked */
  return req->eio_outcome == ETP_BLOCKED;
}

/* Requests of the library's own have nobody to be published to. w is null if
 * this is no worker. Returns 0 if the request has forked and this is the
 * child. */
static int
etp_run (etp_pool *pool, etp_worker *w, eio_req *req)
{
  int house = req->eio_state == ETP_FREE, executed, blocked;

  if (!(req->eio_timed & ETP_LOCK_TIME))
    EIO__PROBE (start, req, req->eio_rank);
  executed = eio__execute (req);
  if (ecb_load_relaxed (pool->over) == ETP_INHERITED)
    return 0;

  blocked = eio__is_blocked (req);
  if (!blocked)
    EIO__PROBE (done, req, req->eio_outcome);
  if (ecb_expect_false (req->eio_timed & ETP_RUN_TIME) && !blocked)
    {
      req->eio_t[2] = eio_sys_now ();
      if (!executed)
        ecb_store_relaxed (req->eio_timed, 0); /* etp_find_slow looks at it */
    }
  if (w)
    {
      ecb_store_relaxed (w->req, 0);
      if (w->counts)
        ecb_add_relaxed (pool->ndone, 1);
    }
  if (house)
    free (req);
  else if (ecb_expect_false (blocked))
    etp_keep (req);
  else
    etp_publish (req->eio_pool, req, executed ? ETP_EXECUTED : ETP_SKIPPED);
  return 1;
}

static void
etp_come_back_locked (etp_pool *pool, etp_worker *w) X_NEEDS (pool->reqlock)
{
  --pool->nbusy;
  pool->nlow -= w->rank < pool->reserved_rank;
  w->rank = ETP_NUM_PRI;
  w->serving = 0;
  if (w->counts)
    ecb_add_relaxed (pool->ndone, -1u);
}

static void
etp_enlist_locked (etp_pool *pool, etp_worker *w) X_NEEDS (pool->reqlock)
{
  w->rank = ETP_NUM_PRI;
  w->prev = 0;
  w->next = pool->workers;
  if (pool->workers)
    pool->workers->prev = w;
  pool->workers = w;
  ++pool->nstarted;
  ecb_store_relaxed (pool->start_failed, 0);
}

static void
etp_delist_locked (etp_pool *pool, etp_worker *w) X_NEEDS (pool->reqlock)
{
  if (w->prev)
    w->prev->next = w->next;
  else
    pool->workers = w->next;
  if (w->next)
    w->next->prev = w->prev;
  --pool->nworkers;
  ++pool->nleft;
}

/* The last that a thread does. It leaves in one step with the decision to. If
 * somebody waits for that, it lets itself be joined: by whoever leaves next,
 * the last by who waits. */
static void
etp_leave_and_unlock (etp_pool *pool, etp_worker *w, const etp_wishes *wishes)
  X_GIVES (pool->reqlock)
{
  int have_corpse = pool->have_corpse;
  xthread_t corpse = pool->corpse;
  etp_action action = etp_summon_locked (pool, 1);

  X_COND_BROADCAST (pool->left);

  pool->have_corpse = pool->nwaiting > 0;
  pool->corpse = w->tid;
  if (pool->have_corpse)
    {
      w->next = pool->spares;
      pool->spares = w;
    }
  else
    {
      pthread_detach (w->tid);
      w->left = eio_sys_now ();
      w->next = pool->gone;
      pool->gone = w;
    }
  pool->nstopping += !!wishes->on_stop;
  X_UNLOCK (pool->reqlock);

  etp_act (pool, action);
  if (have_corpse)
    pthread_join (corpse, 0);
  if (wishes->on_stop)
    {
      eio__stopping = 1;
      wishes->on_stop (wishes->userdata);
      if (ecb_load_relaxed (pool->over) == ETP_INHERITED)
        return; /* it forked */
      X_LOCK (pool->reqlock);
      --pool->nstopping;
      X_UNLOCK (pool->reqlock);
    }
}

/* Wakes or starts one more, beside those that are on their way. */
static void
etp_recruit (etp_pool *pool)
{
  etp_action action;

  X_LOCK (pool->reqlock);
  action = etp_summon_locked (pool, UINT_MAX);
  X_UNLOCK (pool->reqlock);
  etp_act (pool, action);
}

/* Settings may wake under the lock. */
static void
etp_wake_keeper_locked (etp_pool *pool) X_NEEDS (pool->reqlock)
{
  if (pool->keeper)
    eio_sys_set_event (&pool->keeper->wakeup);
}

/* The first that a thread does. Failure is no reason not to work. Returns 0 in
 * a child that on_start made, whose requests these are not. */
static int
etp_begin_and_unlock (etp_pool *pool, etp_worker *w, etp_wishes *wishes)
  X_GIVES (pool->reqlock)
{
  eio_sys_traits traits = pool->traits;

  *wishes = pool->wishes;
  w->tid = pthread_self ();
  w->id = eio_sys_thread_id ();
  X_UNLOCK (pool->reqlock);

  eio_sys_set_traits (&traits);
  if (wishes->name[0])
    eio_sys_set_thread_name (wishes->name);
  if (wishes->cpus_size)
    eio_sys_set_affinity (wishes->cpus, wishes->cpus_size);
  if (wishes->ioprio)
    eio_sys_set_ioprio (wishes->ioprio);

  eio__working = pool;
  etp_use (pool);
  if (wishes->on_start)
    wishes->on_start (wishes->userdata);
  return ecb_load_relaxed (pool->over) != ETP_INHERITED;
}

/* A new worker starts up to two more before it works: so many get to work
 * soon, and who submits has no part in it. */
X_THREAD_PROC (eio__worker_proc)
{
  etp_worker *w = thr_arg;
  etp_pool *pool = w->pool;
  etp_wishes wishes;
  eio_req *req;
  int is_new = 1;

  X_LOCK (pool->reqlock);
  etp_enlist_locked (pool, w);
  if (!etp_begin_and_unlock (pool, w, &wishes))
    return 0;

  X_LOCK (pool->reqlock);
  while ((req = etp_take_locked (pool, w)))
    {
      etp_action action = etp_summon_locked (pool, is_new ? UINT_MAX : 1);

      X_UNLOCK (pool->reqlock);
      etp_act (pool, action);
      if (ecb_expect_false (is_new))
        etp_recruit (pool);
      is_new = 0;
      if (ecb_expect_false (ecb_load_relaxed (eio__has_pools)))
        {
          eio__serving = w->serving;
          etp_use (w->serving ? w->serving : pool);
        }
      if (!etp_run (pool, w, req))
        return 0;
      X_LOCK (pool->reqlock);
      etp_come_back_locked (pool, w);
    }
  eio__serving = 0;
  etp_use (pool);
  etp_delist_locked (pool, w);
  etp_leave_and_unlock (pool, w, &wishes);

  return 0;
}

/* --- without workers ---------------------------------------------------- */

/* Executes one queued request on the calling thread, if there is no other. */
static void
etp_run_here (etp_pool *pool)
{
  etp_pool *crew = etp_crew (pool), *whose = 0, *using = eio__using;
  etp_pool *worked = eio__working, *served = eio__serving;
  eio_req *req = 0;
  sigset_t saved;
  int had_pipe;

  X_LOCK (crew->reqlock);
  if (!crew->nworkers && crew->limit && !etp_refuses_work (pool))
    {
      req = eio__pop (&crew->house_queue);
      if (!req)
        req = etp_next_ready_locked (crew);
      whose = req ? req->eio_pool : 0;
      if (whose)
        ecb_add_relaxed (whose->nhere, 1);
    }
  if (!crew->req_queue.size && !crew->house_queue.size)
    ecb_store_relaxed (crew->stalled, 0);
  X_UNLOCK (crew->reqlock);

  if (!req)
    return;

  /* As in a worker, so that it ends alike: writing to a broken pipe is an
   * error, and kills nobody; and a shutdown would wait for itself. */
  had_pipe = eio_sys_block_signals (&saved);
  eio__working = crew;
  eio__serving = whose;
  if (whose)
    etp_use (whose);
  if (!etp_run (pool, 0, req))
    whose = 0; /* this is a child */
  eio__working = worked;
  eio__serving = served;
  eio_sys_unblock_signals (&saved, had_pipe);
  if (ecb_load_relaxed (pool->over) != ETP_INHERITED)
    eio__using = using;

  if (whose)
    {
      X_LOCK (crew->reqlock);
      ecb_add_relaxed (whose->nhere, -1u);
      X_UNLOCK (crew->reqlock);
    }
}

/* Tries again to start a worker if one is needed. While none can be had,
 * executes one request in its place. Embedders that wait call it, too. */
static void
etp_maybe_start_thread (etp_pool *pool)
{
  etp_pool *crew = etp_crew (pool);
  etp_action action;

  X_LOCK (crew->reqlock);
  action = etp_summon_locked (crew, 1);
  if (!action.start)
    ecb_store_relaxed (crew->start_failed, 0);
  X_UNLOCK (crew->reqlock);
  etp_act (crew, action);

  if (ecb_load_relaxed (crew->stalled))
    etp_run_here (pool);
}

/* --- submit ------------------------------------------------------------- */

/* The crew, with its lock. It may be replaced until we have that. (A result
 * could not be told to be locked.) */
static void
etp_lock_crew (etp_pool *pool, etp_pool **crew) X_TAKES ((*crew)->reqlock)
{
  for (;;)
    {
      *crew = etp_crew (pool);
      X_LOCK ((*crew)->reqlock);
      if (ecb_expect_true (*crew == etp_crew (pool)))
        return;
      X_UNLOCK ((*crew)->reqlock);
    }
}

/* How many of its requests are queued. */
static unsigned
etp_nready (etp_pool *pool, etp_pool *crew)
{
  int n = pool == crew ? ecb_load_relaxed (crew->req_queue.size)
                           - ecb_load_relaxed (crew->nguests)
                       : ecb_load_relaxed (pool->nready);

  return n > 0 ? (unsigned)n : 0;
}

static void
etp_set_age_time (eio_req *req, unsigned long long now)
{
  if (!(req->eio_timed & ETP_AGE_TIME))
    req->eio_t[1] = now;
  req->eio_timed |= ETP_AGE_TIME;
}

static void
etp_push_ready_locked (etp_pool *crew, eio_req *req) X_NEEDS (crew->reqlock)
{
  eio__push (&crew->req_queue, req);
  if (ecb_expect_false (crew->planned))
    {
      if (crew->ageing)
        etp_set_age_time (req, eio_sys_now ());
      crew->nlow_queued += req->eio_rank < crew->reserved_rank;
    }
  if (ecb_expect_false (req->eio_pool != crew))
    ecb_store_relaxed (crew->nguests, crew->nguests + 1);
}

static void
etp_enqueue (etp_pool *pool, eio_req *req)
{
  etp_pool *crew;
  etp_action action;

  etp_lock_crew (pool, &crew);
  etp_push_ready_locked (crew, req);
  if (ecb_expect_false (pool != crew))
    ecb_store_relaxed (pool->nready, pool->nready + 1);
  ++pool->nqueued;
  if (etp_nready (pool, crew) > pool->max_nready)
    pool->max_nready = etp_nready (pool, crew);
  action = etp_summon_locked (crew, 1);
  X_UNLOCK (crew->reqlock);
  etp_act (crew, action);
}

/* What was queued with workers that are no more, and counts already; or what
 * was taken, and does not. */
static void
etp_requeue (eio_req *req, int taken)
{
  etp_pool *pool = req->eio_pool, *crew;
  etp_action action;

  etp_lock_crew (pool, &crew);
  etp_push_ready_locked (crew, req);
  if (taken && pool != crew)
    ecb_store_relaxed (pool->nready, pool->nready + 1);
  action = etp_summon_locked (crew, 1);
  X_UNLOCK (crew->reqlock);
  etp_act (crew, action);
}

/* Has a worker do this. Returns 0 if none is allowed, or memory is out. */
static int
etp_delegate (etp_pool *pool, const eio_req *todo)
{
  etp_pool *crew = etp_crew (pool);
  eio_req *req = ecb_load_relaxed (crew->limit) ? malloc (sizeof *req) : 0;
  etp_action action;

  if (!req)
    return 0;
  *req = *todo;
  req->eio_rank = -EIO_PRI_MIN;
  etp_lock_crew (pool, &crew);
  eio__push (&crew->house_queue, req);
  action = etp_summon_locked (crew, 1);
  X_UNLOCK (crew->reqlock);
  etp_act (crew, action);
  return 1;
}

/* Gives back what a cancelled request had opened: closing can block, so a
 * worker does it, if possible. */
static void
etp_housekeep (etp_pool *pool, const eio_req *todo)
{
  eio_req here = *todo;

  if (!etp_delegate (pool, todo))
    eio__execute (&here);
}

/* --- locks that wait ---------------------------------------------------- */

/* When some have to be tried again; 0 if there are none. */
static unsigned long long
etp_next_round_locked (etp_pool *pool) X_NEEDS (pool->reqlock)
{
  unsigned long long due = 0;
  etp_round *round;

  for (round = pool->rounds; round < pool->rounds + ETP_NUM_ROUNDS; ++round)
    if (round->reqs.size && (!due || round->due < due))
      due = round->due;
  return due;
}

/* Puts a lock into the round for how often it was tried, or, if its time would
 * be over before that, into an earlier one; the first begins in time. */
static void
etp_join_round_locked (etp_pool *pool, eio_req *req) X_NEEDS (pool->reqlock)
{
  unsigned long long now = eio_sys_now (), end = req->eio_t[2], due;
  size_t i = req->eio_frame < ETP_NUM_ROUNDS ? req->eio_frame
                                             : ETP_NUM_ROUNDS - 1;
  etp_round *round;

  ++req->eio_frame;
  for (;; --i)
    {
      round = &pool->rounds[i];
      due = round->reqs.size ? round->due : now + ((size_t)ETP_PAUSE << i);
      if (!i || !end || due <= end)
        break;
    }
  round->due = end && end < due ? end : due;
  eio__push (&round->reqs, req);
}

/* Takes those that are due, and those that were cancelled. */
static void
etp_take_round_locked (etp_pool *pool, etp_queue *taken,
                       unsigned long long now) X_NEEDS (pool->reqlock)
{
  etp_round *round;
  eio_req *req;

  memset (taken, 0, sizeof *taken);
  for (round = pool->rounds; round < pool->rounds + ETP_NUM_ROUNDS; ++round)
    if (round->due <= now || pool->alerted)
      {
        etp_queue all = round->reqs;

        memset (&round->reqs, 0, sizeof round->reqs);
        while ((req = eio__pop (&all)))
          eio__push (round->due <= now || EIO_CANCELLED (req) ? taken
                                                             : &round->reqs,
                     req);
      }
  pool->alerted = 0;
}

/* All of them. */
static void
etp_take_rounds_locked (etp_pool *pool, etp_queue *taken)
  X_NEEDS (pool->reqlock)
{
  etp_take_round_locked (pool, taken, ~0ull);
}

/* No keeper can be had: so they are queued as any other request, behind all,
 * as who is to unlock may wait in the same queue. Neither workers nor an
 * eio_poll that does their work try again all the time. */
static void
eio__requeue_blocked (etp_queue *blocked)
{
  const struct timespec pause = { 0, ETP_PAUSE };
  eio_req *req;

  nanosleep (&pause, 0);
  while ((req = eio__pop (blocked)))
    {
      req->eio_rank = 0;
      etp_requeue (req, 1);
    }
}

X_THREAD_PROC (eio__keeper_proc);

static void
etp_start_keeper (etp_pool *pool)
{
  etp_worker *w = etp_new_worker (pool);
  etp_queue blocked;

  if (w && !etp_create_thread (pool, w, eio__keeper_proc))
    return;

  X_LOCK (pool->reqlock);
  ecb_store_relaxed (pool->has_keeper, 0);
  ++pool->nrefused;
  if (w)
    {
      w->next = pool->spares;
      pool->spares = w;
    }
  etp_take_rounds_locked (pool, &blocked);
  X_UNLOCK (pool->reqlock);
  eio__requeue_blocked (&blocked);
}

/* Has the keeper look at what there is. If there is none, starts one if
 * something waits. */
static void
etp_call_keeper_and_unlock (etp_pool *pool) X_GIVES (pool->reqlock)
{
  etp_worker *w = pool->keeper;
  int start = !pool->has_keeper && !pool->closing
              && etp_next_round_locked (pool);

  if (start)
    ecb_store_relaxed (pool->has_keeper, 1);
  X_UNLOCK (pool->reqlock);
  if (w)
    eio_sys_set_event (&w->wakeup);
  if (start)
    etp_start_keeper (pool);
}

/* Takes over a lock from who has tried it in vain. */
static void
etp_keep (eio_req *req)
{
  etp_pool *pool = req->eio_pool, *crew;

  if (ecb_load_relaxed (pool->over))
    return;
  etp_lock_crew (pool, &crew);
  if (ecb_load_relaxed (pool->draining) == ETP_CLOSE)
    ecb_store_relaxed (req->cancelled, 1);
  crew->alerted |= EIO_CANCELLED (req);
  etp_join_round_locked (crew, req);
  etp_call_keeper_and_unlock (crew);
}

/* Has the keeper drop what was cancelled. Whoever gives it something that was
 * cancelled just now sees that, or it is seen at the next try. */
static void
etp_alert_keeper (etp_pool *pool)
{
  if (ecb_load_relaxed (pool->over) == ETP_INHERITED
      || !ecb_load_relaxed (etp_crew (pool)->has_keeper))
    return;
  etp_lock_crew (pool, &pool);
  pool->alerted = 1;
  etp_call_keeper_and_unlock (pool);
}

/* Waits until some are to be tried, but not before it has rested, or to be
 * dropped. Returns 0 when there is no need for a keeper any more. */
static int
etp_await_round_locked (etp_pool *pool, etp_worker *w,
                        unsigned long long rested) X_NEEDS (pool->reqlock)
{
  unsigned long long since = eio_sys_now (), now = since;

  for (;; now = eio_sys_now ())
    {
      unsigned long long due = etp_next_round_locked (pool);

      if (pool->closing || ecb_load_relaxed (pool->over))
        return 0;
      if (!due)
        {
          due = etp_idle_end (pool, since);
          if (!pool->limit || due <= now)
            return 0;
        }
      else
        {
          due = due > rested ? due : rested;
          if (pool->alerted || due <= now)
            return 1;
        }

      X_UNLOCK (pool->reqlock);
      eio_sys_await_event (&w->wakeup, due);
      X_LOCK (pool->reqlock);
    }
}

/* Tries them, and returns when the next may be tried. Meanwhile the pools of
 * those that are finished are not freed. */
static unsigned long long
etp_try_round (etp_pool *pool, etp_queue *taken)
{
  unsigned long long now = eio_sys_now ();
  eio_req *req;

  while ((req = eio__pop (taken)))
    {
      etp_pool *whose = req->eio_pool;

      ecb_add_relaxed (whose->nhere, 1);
      etp_run (pool, 0, req);
      X_LOCK (pool->reqlock);
      ecb_add_relaxed (whose->nhere, -1u);
      X_UNLOCK (pool->reqlock);
    }
  return now + ETP_RESTS * eio__elapsed (now, eio_sys_now ());
}

X_THREAD_PROC (eio__keeper_proc)
{
  etp_worker *w = thr_arg;
  etp_pool *pool = w->pool;
  unsigned long long rested = 0, now;
  etp_wishes wishes;
  etp_queue taken;

  X_LOCK (pool->reqlock);
  pool->keeper = w;
  if (!etp_begin_and_unlock (pool, w, &wishes))
    return 0;

  X_LOCK (pool->reqlock);
  while (etp_await_round_locked (pool, w, rested))
    {
      now = eio_sys_now ();
      etp_take_round_locked (pool, &taken, now < rested ? 0 : now);
      X_UNLOCK (pool->reqlock);
      rested = etp_try_round (pool, &taken);
      X_LOCK (pool->reqlock);
    }
  pool->keeper = 0;
  ecb_store_relaxed (pool->has_keeper, 0);
  etp_leave_and_unlock (pool, w, &wishes);

  return 0;
}

/* --- lives -------------------------------------------------------------- */

static void
etp_make_locks (etp_pool *pool)
{
  X_MUTEX_CREATE (pool->reqlock);
  X_MUTEX_CREATE (pool->reslock);
  X_MUTEX_CREATE (pool->siglock);
  X_COND_CREATE (pool->left);
}

/* Makes zeroes, which no thread of before has touched, a pool. */
static void
etp_prepare (etp_pool *pool)
{
  etp_make_locks (pool);
  pool->crew = pool;
  pool->limit = 4;
  pool->max_idle = 4;
  pool->idle_timeout = 10;
  pool->pid = getpid ();
  pool->spare_scopes = &pool->first_scope;
}

/* The same, with the settings of another, whose reqlock the caller has, unless
 * it is a child. */
static void
etp_begin_life (etp_pool *pool, etp_pool *old)
{
  etp_prepare (pool);
  pool->first = old->first;
  pool->limit = ecb_load_relaxed (old->limit);
  pool->max_idle = ecb_load_relaxed (old->max_idle);
  pool->idle_timeout = ecb_load_relaxed (old->idle_timeout);
  pool->max_poll_reqs = ecb_load_relaxed (old->max_poll_reqs);
  pool->max_poll_sec = ecb_load_relaxed (old->max_poll_sec);
  pool->max_poll_nsec = ecb_load_relaxed (old->max_poll_nsec);
  pool->inline_max = ecb_load_relaxed (old->inline_max);
  pool->max_outstanding = ecb_load_relaxed (old->max_outstanding);
  pool->submit_limit = ecb_load_relaxed (old->submit_limit);
  pool->finish_cancelled = ecb_load_relaxed (old->finish_cancelled);
  pool->nothreads = ecb_load_relaxed (old->nothreads);
  pool->watch = ecb_load_relaxed (old->watch);
  pool->slow_cb = ecb_load_relaxed (old->slow_cb);
  pool->slow = ecb_load_count (old->slow);
  pool->nreserved = old->nreserved;
  pool->reserved_rank = old->reserved_rank;
  pool->ageing = old->ageing;
  pool->planned = old->planned;
  pool->wishes = old->wishes;
  pool->want_poll = ecb_load_relaxed (old->want_poll);
  pool->done_poll = ecb_load_relaxed (old->done_poll);
  pool->want_poll_of = old->want_poll_of;
  pool->done_poll_of = old->done_poll_of;
  pool->userdata = old->userdata;
  pool->traits = old->traits;
  pool->stack_try = ecb_load_relaxed (old->stack_try);
  pool->missing = ecb_load_relaxed (old->missing);
  pool->older = old;
}

/* Hands the descriptor on, dark. */
static void
etp_take_beacon (etp_pool *pool, etp_pool *old)
{
  X_LOCK (old->siglock);
  eio_sys_check_beacon (&old->beacon);
  pool->beacon = old->beacon;
  if (old->signalled)
    eio_sys_set_beacon (&old->beacon, 0);
  old->beacon.fd = 0;
  X_UNLOCK (old->siglock);
}

/* Without a worker nobody else looks at that queue. */
static void
etp_keep_house_here (etp_pool *pool)
{
  eio_req *req;

  for (;;)
    {
      X_LOCK (pool->reqlock);
      req = pool->nworkers ? 0 : eio__pop (&pool->house_queue);
      X_UNLOCK (pool->reqlock);
      if (!req)
        return;
      eio__execute (req);
      free (req);
    }
}

/* Ends a life in a process that goes on: requests are dropped, workers leave
 * when they are done, and nobody is called any more. What cancelled requests
 * had opened is closed. The queues are empty, or nobody looks at them. */
static void
etp_abandon (etp_pool *pool)
{
  ecb_store_relaxed (pool->over, ETP_ABANDONED);

  X_LOCK (pool->siglock);
  ecb_store_relaxed (pool->want_poll, 0);
  ecb_store_relaxed (pool->done_poll, 0);
  X_UNLOCK (pool->siglock);

  while (etp_next_result (pool))
    ;

  X_LOCK (pool->reqlock);
  ecb_store_relaxed (pool->limit, 0);
  ecb_store_relaxed (pool->stalled, 0);
  etp_wake_keeper_locked (pool);
  etp_dismiss_locked (pool, pool->nidle);
  X_UNLOCK (pool->reqlock);
  etp_keep_house_here (pool);
}

/* This life, and those before that this process began. What it inherited is
 * left alone: a callback or worker that forked may return to it. */
#define EIO__FOR_LIVES(pool, latest) \
  for (pool = (latest); \
       pool && ecb_load_relaxed (pool->over) != ETP_INHERITED; \
       pool = pool->older)

static int
etp_is_other_process (etp_pool *pool)
{
  pid_t pid = ecb_load_relaxed (pool->pid);

  return pid && pid != getpid ();
}

/* Between fork's handlers. The thread's own: others may begin lives. */
static __thread int eio__forking;

/* Called where only a child, or a thread that forks, can tell the difference.
 * A pid alone does not: in a new namespace it may be the same. */
static int
etp_is_inherited (etp_pool *pool)
{
  return eio__forking || etp_is_other_process (pool);
}

/* Whoever was told before is to be forgotten. */
static void
etp_init (etp_pool *pool, void (*want_poll) (void), void (*done_poll) (void))
{
  X_LOCK (pool->siglock);
  eio_sys_check_beacon (&pool->beacon);
  if (pool->signalled)
    eio_sys_set_beacon (&pool->beacon, 0);
  ecb_store_seq_cst (pool->signalled, 0);
  ecb_store_relaxed (pool->want_poll, want_poll);
  ecb_store_relaxed (pool->done_poll, done_poll);
  X_UNLOCK (pool->siglock);

  X_LOCK (pool->reqlock);
  ecb_store_relaxed (pool->pid, getpid ());
  eio_sys_get_traits (&pool->traits);
  eio_sys_get_name (&pool->traits);
  X_UNLOCK (pool->reqlock);
  if (!ecb_load_relaxed (pool->spare))
    ecb_store_relaxed (pool->spare, calloc (1, sizeof *pool));
  pool->inited = 1;
  etp_raise_signal (pool);
}

/* --- children without memory -------------------------------------------- */

/* Has what was inherited do for settings, and for what is submitted, while
 * there is no memory for another life: locks may have been left locked, and
 * what there was is the parent's. Callbacks that forked return to none of this.
 */
static void
etp_wait_for_memory (etp_pool *pool)
{
  etp_make_locks (pool);
  memset (&pool->req_queue, 0, sizeof pool->req_queue);
  memset (&pool->house_queue, 0, sizeof pool->house_queue);
  memset (&pool->res_queue, 0, sizeof pool->res_queue);
  memset (pool->rounds, 0, sizeof pool->rounds);
  pool->workers = pool->idle = pool->keeper = 0;
  pool->nworkers = pool->nidle = pool->nbusy = pool->nwaiting = 0;
  pool->has_keeper = pool->stalled = pool->start_failed = 0;
  pool->nguests = pool->nready = pool->ntaken = 0;
  pool->nreqs = 0;
  pool->has_arrival = 0;
  pool->pid = getpid ();
}

static int
etp_waits_for_memory (etp_pool *pool)
{
  return ecb_load_relaxed (pool->over) == ETP_INHERITED
         && pool == etp_current_life (pool->first);
}

/* Keeps a request until the pool has another life; 0 if it has. */
static int
etp_shelve (etp_pool *pool, eio_req *req)
{
  int waits;

  X_LOCK (eio__pools_lock);
  waits = etp_waits_for_memory (pool);
  if (waits)
    {
      eio__set_rank (req);
      eio__push (&pool->sorted, req);
      ecb_add_relaxed (pool->nreqs, 1);
      etp_raise_signal (pool);
    }
  X_UNLOCK (eio__pools_lock);
  return waits;
}

/* --- settings ----------------------------------------------------------- */

/* Idle workers above the limit are woken to leave, busy ones see it when they
 * are done. */
static void
etp_limit_locked (etp_pool *pool, unsigned nthreads) X_NEEDS (pool->reqlock)
{
  ecb_store_relaxed (pool->limit, nthreads);
  if (!nthreads)
    {
      ecb_store_relaxed (pool->stalled, 0);
      etp_wake_keeper_locked (pool);
    }
  if (pool->nworkers > nthreads)
    etp_dismiss_locked (pool, pool->nworkers - nthreads);
  X_COND_BROADCAST (pool->left);
}

/* Does not wait for workers to leave. */
static void
etp_set_parallel (etp_pool *pool, unsigned least, unsigned most)
{
  unsigned limit;
  etp_action action;

  etp_lock_crew (pool, &pool);
  limit = pool->limit;
  etp_limit_locked (pool, limit < least  ? least
                          : limit > most ? most
                                         : limit);
  action = etp_summon_locked (pool, 1);
  X_UNLOCK (pool->reqlock);
  etp_act (pool, action);
}

static int
etp_is_worker_locked (etp_pool *pool) X_NEEDS (pool->reqlock)
{
  etp_worker *w = pool->workers;

  while (w && !pthread_equal (w->tid, pthread_self ()))
    w = w->next;
  return !!w;
}

/* Workers that wait, in custom requests, for others to leave do not wait for
 * each other: the one that finds that only they are left releases them all.
 * Who has set the limit has woken those that wait. */
static void
etp_wait_parallel_locked (etp_pool *pool, unsigned nthreads)
  X_NEEDS (pool->reqlock)
{
  int self = etp_is_worker_locked (pool);
  unsigned nreleases = pool->nreleases;

  pool->nblocked += (unsigned)self;
  while (pool->limit <= nthreads && pool->nworkers > nthreads)
    {
      if (self && pool->nworkers <= pool->nblocked)
        ++pool->nreleases;
      if (self && nreleases != pool->nreleases)
        break;
      X_COND_WAIT (pool->left, pool->reqlock);
    }
  pool->nblocked -= (unsigned)self;
}

/* Who leaves is waited for, and does not wait for others that do. */
static void
etp_set_max_parallel (etp_pool *pool, unsigned nthreads)
{
  int have_corpse = 0;
  xthread_t corpse;

  etp_lock_crew (pool, &pool);
  etp_limit_locked (pool, pool->limit < nthreads ? pool->limit : nthreads);
  if (!eio__stopping)
    {
      ++pool->nwaiting;
      etp_wait_parallel_locked (pool, nthreads);
      --pool->nwaiting;

      have_corpse = pool->have_corpse;
      corpse = pool->corpse;
      pool->have_corpse = 0;
    }
  X_UNLOCK (pool->reqlock);

  if (have_corpse)
    pthread_join (corpse, 0);
}

static void
etp_watch_locked (etp_pool *pool, int what, int on) X_NEEDS (pool->reqlock)
{
  ecb_store_relaxed (pool->watch, on ? pool->watch | what
                                     : pool->watch & ~what);
}

/* Idle workers decide anew how long they may be that. */
static void
etp_reconsider_and_unlock (etp_pool *pool) X_GIVES (pool->reqlock)
{
  etp_worker *w;

  for (w = pool->idle; w; w = w->idle_next)
    eio_sys_set_event (&w->wakeup);
  etp_wake_keeper_locked (pool);
  X_UNLOCK (pool->reqlock);
}

/*****************************************************************************
 * 4  Requests and groups                                                    *
 *****************************************************************************/

/* --- groups ------------------------------------------------------------- */

/* An inherited pool's lock may have been left locked by another thread. */
static void
etp_lock_groups (etp_pool *pool)
{
  if (ecb_load_relaxed (pool->over) != ETP_INHERITED)
    eio_sys_enter (&pool->grplock);
}

static void
etp_unlock_groups (etp_pool *pool)
{
  if (ecb_load_relaxed (pool->over) != ETP_INHERITED)
    eio_sys_leave (&pool->grplock);
}

/* A group with its pool's lock, if others know it. */
static void
eio__mark_cancelled (eio_req *req)
{
  ecb_store_relaxed (req->cancelled, 1);
  if (req->type == EIO_GROUP)
    req->feed = 0;
}

/* Calls a feeder without the lock. The group is on a list meanwhile, in case
 * that it never returns. */
static void ecb_noinline
eio__call_feeder_locked (eio_req *grp, void (*feed) (eio_req *))
{
  etp_pool *pool = grp->eio_pool, *using = eio__using;
  eio_req **link;
  size_t size = ecb_load_relaxed (pool->scope) || pool->feeding
                  ? ETP_INNER_SCOPE_STACK
                  : ETP_SCOPE_STACK;

  grp->eio_frame = (size_t)__builtin_alloca (size);
  grp->eio_extra = (void *)eio__self ();
  grp->eio_chain = pool->feeding;
  ecb_store_relaxed (pool->feeding, grp);
  etp_unlock_groups (pool);

  etp_use (pool);
  (void)feed;
  EIO_FEED (grp);
  if (ecb_load_relaxed (pool->over) != ETP_INHERITED)
    eio__using = using;

  etp_lock_groups (pool);
  for (link = &pool->feeding; *link && *link != grp;)
    link = &(*link)->eio_chain;
  if (*link)
    ecb_store_relaxed (*link, grp->eio_chain);
}

/* Calls the feeder until there are enough members, or it adds none. */
static void
eio__feed_locked (eio_req *grp)
{
  etp_pool *pool = grp->eio_pool;

  if (grp->flags & ETP_FLAG_FEEDING)
    return;
  if (grp->feed && ecb_load_relaxed (pool->draining) == ETP_CLOSE)
    eio__mark_cancelled (grp);

  while (grp->feed && grp->int2 > 0 && grp->size < (unsigned long)grp->int2
         && !EIO_CANCELLED (grp) && !ecb_load_relaxed (pool->over))
    {
      void (*feed) (eio_req *) = grp->feed;

      grp->flags &= (unsigned char)~ETP_FLAG_ADDED;
      grp->flags |= ETP_FLAG_FEEDING;
      eio__call_feeder_locked (grp, feed);
      grp->flags &= (unsigned char)~ETP_FLAG_FEEDING;
      if (!(grp->flags & ETP_FLAG_ADDED))
        grp->feed = 0;
    }
}

/* Whether nothing else would wake the group any more. */
static int
eio__is_idle_locked (const eio_req *grp)
{
  return !grp->size && grp->eio_state == ETP_WAITING
         && !(grp->flags & ETP_FLAG_FEEDING);
}

/* Puts a group that is idle back among the results, to be looked at. */
static void
eio__file_and_unlock (eio_req *grp)
{
  etp_pool *pool = grp->eio_pool;
  int idle = eio__is_idle_locked (grp)
             && ecb_load_relaxed (pool->over) != ETP_INHERITED;

  if (idle)
    {
      ecb_store_relaxed (grp->eio_state, ETP_QUEUED);
      --pool->nheld;
    }
  etp_unlock_groups (pool);
  if (idle)
    {
      ecb_add_relaxed (pool->nreqs, 1);
      etp_publish (pool, grp, ETP_REFILED);
    }
}

static void
eio__link_member_locked (eio_req *grp, eio_req *req)
{
  grp->flags |= ETP_FLAG_ADDED;
  ++grp->size;
  req->grp = grp;
  req->grp_prev = 0;
  req->grp_next = grp->grp_first;
  if (grp->grp_first)
    grp->grp_first->grp_prev = req;
  grp->grp_first = req;
}

/* The group's size is lowered later, by eio__member_left, and req->grp lasts
 * until then, for finish to look at. */
static void
eio__unlink_member_locked (eio_req *req)
{
  if (req->grp_prev)
    req->grp_prev->grp_next = req->grp_next;
  else
    req->grp->grp_first = req->grp_next;
  if (req->grp_next)
    req->grp_next->grp_prev = req->grp_prev;
  req->grp_prev = req->grp_next = 0;
}

static void
eio__member_left (eio_req *grp)
{
  etp_lock_groups (grp->eio_pool);
  --grp->size;
  eio__feed_locked (grp);
  eio__file_and_unlock (grp);
}

/* Looks at a group that was filed. Returns whether it has to be finished. */
static int
eio__has_ended (eio_req *grp)
{
  etp_pool *pool = grp->eio_pool;
  int ended;

  etp_lock_groups (pool);
  ecb_store_relaxed (grp->eio_state, ETP_WAITING);
  ++pool->nheld;
  eio__feed_locked (grp);
  ended = eio__is_idle_locked (grp) && !ecb_load_relaxed (pool->over);
  if (ended)
    {
      ecb_store_relaxed (grp->eio_state, ETP_FINISHING);
      --pool->nheld;
    }
  etp_unlock_groups (pool);
  return ended;
}

/* Walks the tree of members by its links: it may be deeper than the stack. */
static void
eio__cancel_members_locked (eio_req *grp)
{
  eio_req *req = grp->grp_first;

  grp->feed = 0;
  while (req)
    {
      eio__mark_cancelled (req);
      if (req->type == EIO_GROUP && req->grp_first)
        {
          req = req->grp_first;
          continue;
        }
      while (!req->grp_next && req->grp != grp)
        req = req->grp;
      req = req->grp_next;
    }
}

static void
eio__cancel_locked (eio_req *req)
{
  eio__mark_cancelled (req);
  if (req->type == EIO_GROUP)
    eio__cancel_members_locked (req);
}

/* --- finishing ---------------------------------------------------------- */

/* What a cancelled request has opened or made and nobody will be told of. The
 * outcome is made to say that there is nothing. */
static void
etp_revoke (etp_pool *pool, eio_req *req)
{
  eio_req todo;

  memset (&todo, 0, sizeof todo);
  if (req->type == EIO_OPEN && req->eio_outcome >= 0)
    {
      todo.type = EIO_CLOSE;
      todo.int1 = (int)req->eio_outcome;
      etp_housekeep (pool, &todo);
    }
  else if (req->type == EIO_WD_OPEN)
    {
      todo.type = EIO_WD_CLOSE;
      todo.wd = req->wd;
      req->wd = EIO_INVALID_WD;
      if (!req->eio_outcome)
        etp_housekeep (pool, &todo);
    }
  else if (req->eio_outcome >= 0 && eio__undo (req, &todo))
    etp_housekeep (pool, &todo);

  req->eio_outcome = -1;
  req->eio_outerrno = ECANCELED;
}

/* After finish: the request leaves its buffers, us, and its group. */
static void
eio__complete (etp_pool *pool, etp_scope *scope)
{
  eio_req *req = scope->req, *grp = scope->grp;

  scope->req = 0;
  if (req)
    {
      req->grp = 0;
      if (req->flags & EIO_FLAG_PTR1_FREE)
        free (req->ptr1);
      if (req->flags & EIO_FLAG_PTR2_FREE)
        free (req->ptr2);
      EIO_DESTROY (req);
      etp_use (pool);
    }

  scope->grp = 0;
  if (grp)
    eio__member_left (grp);
}

/* --- scopes ------------------------------------------------------------- */

/* Null when memory is out, which can only be inside of a callback. */
static etp_scope *
etp_open_scope (etp_pool *pool, size_t frame)
{
  etp_scope *scope = pool->spare_scopes;

  if (scope)
    pool->spare_scopes = scope->outer;
  else if (!(scope = malloc (sizeof *scope)))
    return 0;

  scope->req = scope->grp = 0;
  scope->frame = frame;
  scope->outer = pool->scope;
  ecb_store_relaxed (pool->scope_thread, eio__self ());
  ecb_store_release (pool->scope, scope); /* etp_submit */
  ecb_store_seq_cst (pool->npolls, pool->npolls + 1); /* etp_max_npending */
  ++eio__depth;
  return scope;
}

/* Completes what the inmost scope is in, and closes it. That may be left, too,
 * and then goes on by what the scope still holds: it is where it is completed,
 * now. And destroy may poll, and come back from there by longjmp. */
static void
etp_close_scope (etp_pool *pool, size_t frame)
{
  etp_scope *scope = pool->scope;

  scope->frame = frame;
  eio__complete (pool, scope);
  while (pool->scope != scope)
    etp_close_scope (pool, frame);
  --eio__depth;
  ecb_store_release (pool->scope, scope->outer);
  scope->outer = pool->spare_scopes;
  pool->spare_scopes = scope;
}

/* Closes the scopes within this one: this one's callback has returned, so
 * theirs never will. */
static void
etp_return_to_scope (etp_pool *pool, etp_scope *scope)
{
  while (pool->scope != scope)
    etp_close_scope (pool, scope->frame);
}

/* Those of another thread, which therefore have been left, become this one's. */
static void
etp_adopt_scopes (etp_pool *pool)
{
  etp_scope *scope;

  if (pool->scope_thread == eio__self ())
    return;
  for (scope = pool->scope; scope; scope = scope->outer)
    {
      scope->frame = 0;
      ++eio__depth;
    }
  ecb_store_relaxed (pool->scope_thread, eio__self ());
}

/* Whether scope's callback has certainly been left, as seen from an eio_poll
 * whose stretch of the stack ends at end. Stacks grow downwards: if that is
 * not below the scope's stretch, the function that owned it has returned. */
static int
etp_scope_is_left (etp_pool *pool, const etp_scope *scope, size_t end)
{
  return pool->scope_thread != eio__self () || scope->frame <= end;
}

/* Whether a group's feeder was called on this thread. */
static int
eio__is_own_feeder (const eio_req *grp)
{
  return grp->eio_extra == (void *)eio__self ();
}

/* Goes on with what callbacks left behind that did not return, by longjmp or
 * an exception: a request is completed as if finish had returned 0, a group
 * is fed again. The stretch of the stack begins at frame. */
static void
etp_settle (etp_pool *pool, size_t frame, size_t end)
{
  etp_pool *using = eio__using;
  eio_req **link;

  if (ecb_load_relaxed (pool->over) == ETP_INHERITED)
    return;
  etp_use (pool);
  etp_adopt_scopes (pool);
  while (pool->scope && etp_scope_is_left (pool, pool->scope, end))
    etp_close_scope (pool, frame);
  if (ecb_load_relaxed (pool->over) == ETP_INHERITED)
    return; /* destroy forked, and this is the child */

  X_LOCK (pool->siglock);
  etp_count_finished (pool);
  X_UNLOCK (pool->siglock);

  etp_lock_groups (pool);
  for (link = &pool->feeding; *link;)
    {
      eio_req *grp = *link;

      if (!eio__is_own_feeder (grp) || grp->eio_frame > end)
        {
          link = &grp->eio_chain;
          continue;
        }
      ecb_store_relaxed (*link, grp->eio_chain);
      grp->flags &= (unsigned char)~ETP_FLAG_FEEDING;
      eio__file_and_unlock (grp);
      etp_lock_groups (pool);
      link = &pool->feeding;
    }
  etp_unlock_groups (pool);
  eio__using = using;
}

/* --- finish ------------------------------------------------------------- */

/* From here on the request is in the scope, and out of its group. */
static void
etp_enter_finish (etp_pool *pool, etp_scope *scope, eio_req *req)
{
  if (req->grp)
    {
      etp_lock_groups (pool);
      eio__unlink_member_locked (req);
      etp_unlock_groups (pool);
    }
  ecb_store_relaxed (req->eio_state, ETP_FINISHING);
  scope->grp = req->grp;
  scope->req = req;
}

/* When finish has returned, the scope says whether the request was submitted
 * again. It may have been executed, finished and freed since. And finish may
 * have ended this life, by fork or by eio_init. */
static int
etp_call_finish (etp_pool *pool, etp_scope *scope, eio_req *req, int tell)
{
  int res;

  res = tell ? EIO_FINISH (req) : 0;
  etp_use (pool);

  if (!ecb_load_relaxed (pool->over))
    {
      etp_return_to_scope (pool, scope);
      eio__complete (pool, scope);
    }
  return res;
}

/* Tells the host of a request that takes, or took, long. */
static void
etp_report (etp_pool *pool, eio_req *req, unsigned long long ns)
{
  void (*cb) (const eio_req *, eio_tstamp) = ecb_load_acquire (pool->slow_cb);

  req->eio_reported = 1;
  if (cb)
    cb (req, (eio_tstamp)ns / 1e9);
  etp_use (pool);
}

/* Of a request that has been executed while the pool was watched. */
static void
etp_look_at_times (etp_pool *pool, etp_scope *scope, eio_req *req)
{
  unsigned long long ran = eio__elapsed (req->eio_t[1], req->eio_t[2]);
  unsigned long long slow = ecb_load_count (pool->slow);

  if (req->eio_timed & ETP_QUEUE_TIME)
    {
      X_LOCK (pool->reslock);
      etp_add_to_hist (&pool->deliver_hist, req->eio_t[2], eio_sys_now ());
      X_UNLOCK (pool->reslock);
    }
  if (slow && ran > slow && !req->eio_reported)
    {
      etp_report (pool, req, ran);
      if (!ecb_load_relaxed (pool->over))
        etp_return_to_scope (pool, scope);
    }
}

/* Finishes one that came out of the result queue. Returns 0 for a group that
 * has to wait, else 1, and what finish returned in res. Whether it was
 * cancelled is looked at once: it may be, by another thread, at any time. */
static int
etp_finish (etp_pool *pool, etp_scope *scope, eio_req *req, int *res)
{
  int tell, cancelled;

  ecb_add_relaxed (pool->nreqs, -1u);
  if (req->type == EIO_GROUP && !eio__has_ended (req))
    return 0;

  /* A shutdown cancels groups by their members, as they come. */
  if (req->grp && EIO_CANCELLED (req)
      && ecb_load_relaxed (pool->draining) == ETP_CLOSE)
    {
      etp_lock_groups (pool);
      eio__mark_cancelled (req->grp);
      etp_unlock_groups (pool);
    }
  etp_enter_finish (pool, scope, req);
  ++pool->finished;
  if (ecb_expect_false (req->eio_timed & ETP_RUN_TIME))
    {
      etp_look_at_times (pool, scope, req);
      if (ecb_load_relaxed (pool->over))
        return 1;
    }
  cancelled = EIO_CANCELLED (req);
  pool->finished -= (unsigned)cancelled;
  pool->cancelled += (unsigned)cancelled;
  EIO__PROBE (finish, req, cancelled);
  tell = EIO__TELLS_CANCELLED || ecb_load_relaxed (pool->finish_cancelled)
         || !cancelled;
  if (req->type != EIO_GROUP)
    {
      if (!tell)
        etp_revoke (pool, req);
      req->result = req->eio_outcome;
      req->errorno = req->eio_outerrno;
    }

  *res = etp_call_finish (pool, scope, req, tell);
  return 1;
}

/* --- submit ------------------------------------------------------------- */

/* A request that is submitted again from its own finish is not completed when
 * that returns, but its group goes on. */
static void
etp_notice_resubmission (etp_pool *pool, eio_req *req)
{
  etp_scope *scope = pool->scope;

  for (; scope; scope = scope->outer)
    if (scope->req == req)
      {
        scope->req = 0;
        if (req->grp == scope->grp) /* else it was added to another */
          req->grp = 0;
      }
}

static int
etp_is_polling (etp_pool *pool)
{
  return ecb_load_acquire (pool->scope) /* etp_open_scope */
         && ecb_load_relaxed (pool->scope_thread) == eio__self ();
}

/* The pool as embedders see it: what it says of results is exact in callbacks,
 * too. */
static etp_pool *
eio__show_pool (etp_pool *pool)
{
  if (etp_is_polling (pool))
    etp_discount_results (pool);
  return pool;
}

/* Answers a request on this thread, if that can be done without waiting. A
 * callback gets no more than its share, or the loop would stall. */
static int
etp_try_inline (etp_pool *pool, eio_req *req)
{
  int polling = etp_is_polling (pool);

  if (!ecb_load_relaxed (etp_crew (pool)->limit)
      || (polling && !pool->inline_left)
      || !eio__answer (req))
    return 0;
  if (polling)
    --pool->inline_left;
  return 1;
}

/* In finish, another pool than that of the request may be current. */
static void ecb_noinline
eio__notice_everywhere (eio_req *req)
{
  etp_pool *pool = etp_current_life (0), *first;

  if (etp_is_polling (pool))
    etp_notice_resubmission (pool, req);
  X_LOCK (eio__pools_lock);
  for (first = eio__pools; first; first = first->next)
    if (etp_is_polling (first->current))
      etp_notice_resubmission (first->current, req);
  X_UNLOCK (eio__pools_lock);
}

/* The pool of a group: that of its members, or this one. If it has not been
 * submitted yet, lives may have come and gone. */
static etp_pool *
eio__grp_pool (eio_req *grp, etp_pool *pool)
{
  if (ecb_load_relaxed (grp->eio_state) == ETP_FREE)
    {
      etp_pool *own = grp->eio_pool ? grp->eio_pool : pool;

      if (ecb_load_relaxed (own->over))
        own = etp_current_life (own->first);
      if (grp->eio_pool != own)
        grp->eio_pool = own;
    }
  return grp->eio_pool;
}

/* Where a request goes that is submitted to this pool. */
static etp_pool *
etp_choose_pool (etp_pool *pool, eio_req *req)
{
  int polling = etp_is_polling (pool);

  if (polling)
    etp_notice_resubmission (pool, req);
  if (ecb_expect_false (ecb_load_relaxed (eio__has_pools))
      && eio__depth > (unsigned)polling)
    eio__notice_everywhere (req);

  if (ecb_expect_false (req->grp))
    return eio__grp_pool (req->grp, pool);
  return req->type == EIO_GROUP
             && ecb_load_relaxed (req->eio_state) == ETP_FREE
           ? eio__grp_pool (req, pool)
           : pool;
}

/* Whether eio_shutdown cancels what comes, as seen from a function that is here
 * on the stack. One that a callback has left, by longjmp or an exception, is
 * over. */
static int ecb_noinline
etp_is_closing (etp_pool *pool, size_t here)
{
  if (ecb_load_relaxed (pool->drain_thread) == eio__self ()
      && ecb_load_relaxed (pool->drain_frame) <= here)
    {
      ecb_store_relaxed (pool->draining, 0);
      pool->end = 0;
    }
  return ecb_load_relaxed (pool->draining) == ETP_CLOSE;
}

/* A group may have members already, that others know. */
static void
etp_submit_group (etp_pool *pool, eio_req *grp)
{
  etp_lock_groups (pool);
  if (grp->eio_pool != pool)
    grp->eio_pool = pool;
  ecb_store_relaxed (grp->eio_state, ETP_QUEUED);
  if (ecb_load_relaxed (pool->draining)
      && etp_is_closing (pool, (size_t)__builtin_frame_address (0)))
    eio__mark_cancelled (grp);
  etp_unlock_groups (pool);
  etp_publish (pool, grp, ETP_GROUPED);
}

static void
etp_submit (etp_pool *pool, eio_req *req)
{
  pool = etp_choose_pool (pool, req);
  while (ecb_expect_false (ecb_load_relaxed (pool->over) == ETP_INHERITED))
    {
      if (etp_shelve (pool, req))
        return;
      pool = etp_current_life (pool->first);
    }
  EIO__PROBE (submit, req, req->pri);

  eio__set_rank (req);
  req->eio_timed = 0;
  req->eio_reported = 0;
  ecb_add_relaxed (pool->nreqs, 1);
  if (req->type == EIO_GROUP)
    {
      etp_submit_group (pool, req);
      return;
    }

  req->eio_pool = pool;
  ecb_store_relaxed (req->eio_state, ETP_QUEUED);
  req->result = 0;
  req->errorno = 0;
  if (ecb_expect_false (ecb_load_relaxed (pool->draining))
      && etp_is_closing (pool, (size_t)__builtin_frame_address (0)))
    eio__mark_cancelled (req);
  if (ecb_expect_false (ecb_load_relaxed (pool->watch) & ETP_TIMING))
    {
      req->eio_timed = ETP_QUEUE_TIME;
      req->eio_t[0] = eio_sys_now ();
    }

  if (ecb_expect_false (ecb_load_relaxed (pool->inline_max))
      && etp_try_inline (pool, req))
    etp_publish (pool, req, ETP_INLINED);
  else
    etp_enqueue (pool, req);
}

/* --- poll --------------------------------------------------------------- */

typedef struct
{
  unsigned reqs;           /* 0: no limit */
  unsigned long long time; /* of the monotonic clock, ns; 0: no limit */
} etp_poll_limits;

/* Nanoseconds. */
static unsigned long long
etp_get_max_poll_time (etp_pool *pool)
{
  return ecb_load_relaxed (pool->max_poll_sec) * 1000000000ull
         + ecb_load_relaxed (pool->max_poll_nsec);
}

static etp_poll_limits
etp_get_poll_limits (etp_pool *pool)
{
  etp_poll_limits limits;

  limits.reqs = ecb_load_relaxed (pool->max_poll_reqs);
  limits.time = etp_get_max_poll_time (pool);
  if (limits.time)
    limits.time += eio_sys_now ();
  if (pool->end && (!limits.time || limits.time > pool->end))
    limits.time = pool->end;
  return limits;
}

/* eio_poll's result when it stops for no callback's sake. */
static int
etp_end_poll (etp_pool *pool)
{
  if (!etp_settle_signal (pool)
      && !(ecb_load_relaxed (etp_crew (pool)->stalled)
           && etp_refuses_work (pool)))
    return 0;
  errno = EAGAIN;
  return -1;
}

/* Finishes results until there are none, a limit is reached, or a callback
 * returns non-zero; sets told then. */
static int
etp_poll_in_scope (etp_pool *pool, etp_scope *scope, int *told)
{
  etp_poll_limits limits = etp_get_poll_limits (pool);

  for (;;)
    {
      eio_req *req = etp_next_result (pool);
      int res = 0, finished;

      if (!req)
        {
          res = etp_end_poll (pool);
          if (res && ecb_load_relaxed (pool->res_queue.fresh))
            continue; /* it came at the last moment */
          return res;
        }

      if (ecb_expect_false (!ecb_load_relaxed (pool->signalled)))
        etp_announce (pool);
      finished = etp_finish (pool, scope, req, &res);
      if (ecb_load_relaxed (pool->over))
        {
          *told = res != 0;
          return res;
        }
      if (!finished)
        continue;
      if (res)
        {
          etp_settle_signal (pool);
          *told = 1;
          return res;
        }
      if ((limits.reqs && !--limits.reqs)
          || (!pool->inline_left && !scope->outer)
          || (limits.time && eio_sys_now () >= limits.time))
        return etp_end_poll (pool);
    }
}

/* A request that executes for longer than that, and has not been reported; or
 * null. */
static eio_req *
etp_find_slow (etp_pool *pool, unsigned long long now, unsigned long long ns)
{
  etp_pool *crew;

  EIO__FOR_LIVES (crew, etp_crew (pool))
    {
      eio_req *req, *slow = 0;
      etp_worker *w;

      X_LOCK (crew->reqlock);
      for (w = crew->workers; w && !slow; w = w->next)
        if (w->serving == pool && (req = ecb_load_relaxed (w->req))
            && ecb_load_relaxed (req->eio_timed) & ETP_RUN_TIME
            && !req->eio_reported
            && eio__elapsed (req->eio_t[1], now) > ns)
          slow = req;
      X_UNLOCK (crew->reqlock);
      if (slow)
        return slow;
    }
  return 0;
}

/* They cannot end before this does, as this is the thread that would finish
 * them. */
static void ecb_noinline
etp_report_slow (etp_pool *pool, etp_scope *scope)
{
  unsigned long long now = eio_sys_now (), ns;
  eio_req *req;

  while (!ecb_load_relaxed (pool->over) && (ns = ecb_load_count (pool->slow))
         && (req = etp_find_slow (pool, now, ns)))
    {
      etp_report (pool, req, eio__elapsed (req->eio_t[1], now));
      if (!ecb_load_relaxed (pool->over))
        etp_return_to_scope (pool, scope);
      now = eio_sys_now ();
    }
}

/* What callbacks left behind comes first. */
static int ecb_noinline
etp_poll_scoped (etp_pool *pool)
{
  size_t here = (size_t)__builtin_frame_address (0);
  size_t size = pool->scope && !etp_scope_is_left (pool, pool->scope, here)
                  ? ETP_INNER_SCOPE_STACK
                  : ETP_SCOPE_STACK;
  size_t frame = (size_t)__builtin_alloca (size);
  etp_scope *scope;
  int res, told = 0;

  if (ecb_expect_false (pool->scope || ecb_load_relaxed (pool->feeding)))
    {
      etp_discount_results (pool);
      etp_settle (pool, frame, frame + size);
    }
  if (ecb_load_relaxed (pool->over))
    return 0;
  if (ecb_expect_false (ecb_load_relaxed (etp_crew (pool)->start_failed)))
    etp_maybe_start_thread (pool);

  if (ecb_expect_false (ecb_load_relaxed (pool->draining)))
    etp_is_closing (pool, here);
  if (!pool->scope)
    pool->inline_left = ETP_INLINE_BUDGET;
  scope = etp_open_scope (pool, frame);
  if (!scope)
    {
      errno = EAGAIN;
      return -1;
    }

  if (ecb_expect_false (ecb_load_count (pool->slow)))
    etp_report_slow (pool, scope);
  res = ecb_load_relaxed (pool->over) ? 0
                                      : etp_poll_in_scope (pool, scope, &told);
  if (!ecb_load_relaxed (pool->over))
    {
      etp_discount_results (pool);
      etp_return_to_scope (pool, scope);
      etp_close_scope (pool, frame);
    }
  else if (eio__depth)
    --eio__depth;
  if (ecb_load_relaxed (pool->over) != ETP_INHERITED)
    pool->told = told;
  return res;
}

static int
etp_poll_once (etp_pool *pool)
{
  pool->told = 0;
  if (ecb_expect_false (ecb_load_relaxed (pool->over) == ETP_INHERITED))
    {
      errno = EAGAIN; /* shelved */
      return ecb_load_relaxed (pool->nreqs) ? -1 : 0;
    }
  if (!ecb_load_count (pool->slow) && !etp_has_work (pool)
      && !ecb_load_relaxed (pool->signalled)
      && !ecb_load_relaxed (etp_crew (pool)->start_failed) && !pool->scope
      && !ecb_load_relaxed (pool->feeding))
    return 0;
  return etp_poll_scoped (pool);
}

/* Exact on the poll thread. Others may count some that are being finished. */
static int
etp_npending (etp_pool *pool)
{
  int n = eio__show_pool (pool)->res_queue.size;

  return n > 0 ? n : 0; /* see etp_publish */
}

/* What callbacks left behind comes first. */
static void ecb_noinline
etp_settle_here (etp_pool *pool)
{
  size_t frame = (size_t)__builtin_alloca (ETP_SCOPE_STACK);

  if (pool->scope || ecb_load_relaxed (pool->feeding))
    etp_settle (pool, frame, frame + ETP_SCOPE_STACK);
}

/* Whether the signal can be waited for, from now on. */
static int
etp_has_arrival (etp_pool *pool)
{
  int res;

  X_LOCK (pool->siglock);
  if (!pool->has_arrival)
    pool->has_arrival = !eio_sys_init_event (&pool->arrival);
  res = pool->has_arrival;
  X_UNLOCK (pool->siglock);
  return res;
}

/* Waits until something may have changed. */
static void
etp_await_signal (etp_pool *pool, unsigned long long end)
{
  unsigned long long soon = eio_sys_now () + ETP_NAP;

  if (ecb_load_relaxed (etp_crew (pool)->stalled) && (!end || end > soon))
    end = soon; /* try again to start a thread */
  if (!etp_has_arrival (pool))
    eio_sys_nap ();
  else if (!etp_settle_signal (pool))
    eio_sys_await_event (&pool->arrival, end);
  else if (!etp_npending (pool))
    eio_sys_nap (); /* until a worker has counted what it pushed */
}

static int
eio__is_late (unsigned long long end)
{
  return end && eio_sys_now () >= end;
}

/* Waits until there are results, and returns how many; or until nothing is
 * outstanding, or time is over, and returns 0. */
static int
etp_wait (etp_pool *pool, unsigned long long end)
{
  etp_settle_here (pool);
  for (;;)
    {
      int n = etp_npending (pool);

      if (n || !ecb_load_relaxed (pool->nreqs)
          || ecb_load_relaxed (pool->over) || eio__is_late (end))
        return n;
      if (ecb_load_relaxed (etp_crew (pool)->start_failed))
        etp_maybe_start_thread (pool);
      if (!etp_npending (pool))
        etp_await_signal (pool, end);
    }
}

/* Whether the last poll leaves more outstanding than there may be, and it is
 * of use to go on. */
static int
etp_is_above (etp_pool *pool, unsigned nreqs)
{
  return !pool->told && !ecb_load_relaxed (pool->over)
         && ecb_load_relaxed (etp_crew (pool)->limit)
         && ecb_load_relaxed (pool->nreqs) > nreqs;
}

static int
etp_poll (etp_pool *pool)
{
  unsigned most = ecb_load_relaxed (pool->max_outstanding);
  int res = etp_poll_once (pool);

  while (most && etp_is_above (pool, most)
         && !(ecb_load_relaxed (etp_crew (pool)->stalled)
              && etp_refuses_work (pool)))
    {
      etp_wait (pool, 0);
      res = etp_poll_once (pool);
    }
  return res;
}

static int
etp_flush (etp_pool *pool)
{
  int res = etp_poll_once (pool);

  while (!pool->told && !ecb_load_relaxed (pool->over)
         && ecb_load_relaxed (pool->nreqs))
    {
      etp_wait (pool, 0);
      res = etp_poll_once (pool);
    }
  return pool->told || etp_waits_for_memory (pool) ? res : 0;
}

/* --- shutdown ----------------------------------------------------------- */

/* Whether a callback runs that an eio_poll of this pool called, as seen from a
 * function whose stretch of the stack ends at end. */
static int
etp_is_in_callback (etp_pool *pool, size_t end)
{
  etp_scope *scope = pool->scope;
  eio_req *grp;
  int res;

  while (scope && etp_scope_is_left (pool, scope, end))
    scope = scope->outer;
  res = !!scope;

  etp_lock_groups (pool);
  for (grp = pool->feeding; grp && !res; grp = grp->eio_chain)
    res = eio__is_own_feeder (grp) && grp->eio_frame > end;
  etp_unlock_groups (pool);
  return res;
}

static void
etp_cancel_in_locked (etp_pool *pool, etp_queue *queue)
{
  eio_req *req;
  int rank;

  for (rank = 0; rank < ETP_NUM_PRI; ++rank)
    for (req = queue->first[rank]; req; req = (eio_req *)req->next)
      if (req->eio_pool == pool)
        eio__mark_cancelled (req);
}

static void
etp_cancel_queued (etp_pool *pool)
{
  etp_pool *crew;
  int i;

  etp_lock_crew (pool, &crew);
  etp_cancel_in_locked (pool, &crew->req_queue);
  for (i = 0; i < ETP_NUM_ROUNDS; ++i)
    etp_cancel_in_locked (pool, &crew->rounds[i].reqs);
  crew->alerted = 1;
  etp_call_keeper_and_unlock (crew);
}

/* Polls and waits for so many nanoseconds, but not beyond end, with a worker at
 * least. */
static void
etp_drain (etp_pool *pool, unsigned long long end, unsigned long long ns)
{
  etp_pool *crew = etp_crew (pool);
  unsigned long long soon = eio_sys_now () + ns;

  if (!ecb_load_relaxed (crew->limit))
    {
      ecb_store_relaxed (crew->raised, 1);
      etp_set_parallel (crew, 1, 1);
    }
  etp_use (pool);
  pool->end = end;
  etp_poll_once (pool);
  if (!ecb_load_relaxed (pool->over) && ecb_load_relaxed (pool->nreqs))
    etp_wait (pool, end && end < soon ? end : soon);
  if (!ecb_load_relaxed (pool->over))
    pool->end = 0;
}

/* Whether a worker executes or publishes a request of this pool, or may do so
 * later with one of the library's own. */
static int
etp_is_served_locked (etp_pool *crew, etp_pool *pool) X_NEEDS (crew->reqlock)
{
  int rank = -EIO_PRI_MIN;
  eio_req *req;
  etp_worker *w;

  if (ecb_load_relaxed (pool->nhere))
    return 1;
  for (req = crew->house_queue.first[rank]; req; req = (eio_req *)req->next)
    if (req->eio_pool == pool)
      return 1;
  for (w = crew->workers; w; w = w->next)
    if (w->serving == pool)
      return 1;
  return 0;
}

/* Whether a thread is at its very end. Its number may be another's later. */
static int
eio__is_leaving (const etp_worker *w)
{
  return eio_sys_has_thread (w->id)
         && eio_sys_now () - w->left < 10 * 1000000000ull;
}

static int
etp_has_threads_locked (etp_pool *pool) X_NEEDS (pool->reqlock)
{
  return pool->nworkers || pool->has_keeper || pool->nstopping;
}

/* Whether what was left is served again, for pools that share the workers. */
static int
etp_has_threads (etp_pool *pool)
{
  int res;

  X_LOCK (pool->reqlock);
  res = etp_has_threads_locked (pool);
  X_UNLOCK (pool->reqlock);
  return res;
}

/* Has all workers leave, and the keeper, and waits for their threads to end.
 * Returns 0 if time is over before. */
static int
etp_join_workers (etp_pool *pool, unsigned long long end)
{
  int all, have_corpse;
  xthread_t corpse;
  etp_worker *w;

  X_LOCK (pool->reqlock);
  pool->closing = 1;
  etp_limit_locked (pool, 0);
  ++pool->nwaiting;
  while (etp_has_threads_locked (pool) && !eio__is_late (end))
    {
      X_UNLOCK (pool->reqlock);
      eio_sys_nap ();
      X_LOCK (pool->reqlock);
    }
  --pool->nwaiting;
  pool->closing = 0;
  all = !etp_has_threads_locked (pool);
  have_corpse = all && pool->have_corpse; /* else it may be in on_stop */
  corpse = pool->corpse;
  pool->have_corpse &= !all;
  X_UNLOCK (pool->reqlock);

  if (have_corpse)
    pthread_join (corpse, 0);
  if (all)
    etp_keep_house_here (pool);
  for (w = all ? pool->gone : 0; w; w = w->next)
    while (eio__is_leaving (w))
      {
        if (eio__is_late (end))
          return 0;
        eio_sys_nap ();
      }
  return all;
}

/* Waits until a pool without requests is out of the hands of others' workers,
 * those of the crew's earlier lives, too. */
static void
etp_await_servers (etp_pool *pool)
{
  etp_pool *crew;
  int served;

  EIO__FOR_LIVES (crew, etp_crew (pool))
    for (;;)
      {
        X_LOCK (crew->reqlock);
        served = etp_is_served_locked (crew, pool);
        X_UNLOCK (crew->reqlock);
        if (!served)
          break;
        etp_keep_house_here (crew);
        eio_sys_nap ();
      }
}

/* Frees what a pool without workers has. */
static void
etp_free_parts (etp_pool *pool)
{
  etp_worker *w = pool->made;
  etp_scope *scope = pool->spare_scopes;

  while (w)
    {
      etp_worker *before = w->made_before;

      free (w);
      w = before;
    }
  while (scope)
    {
      etp_scope *next = scope->outer;

      if (scope != &pool->first_scope)
        free (scope);
      scope = next;
    }
  pool->made = pool->spares = pool->gone = 0;
  pool->first_scope.outer = 0;
  pool->spare_scopes = &pool->first_scope;
}

/*****************************************************************************
 * 5  Operations                                                             *
 *                                                                           *
 * Each returns its request's result, or -1 with errno set. Section 6 has    *
 * seen to it before that paths are not null, that wds are valid, and that a *
 * result buffer is there; and tries again after EINTR.                      *
 *****************************************************************************/

struct eio_pwd
{
  int fd;      /* never 0; embedders read it */
  size_t len;  /* of str, without the 0 */
  char str[1]; /* canonical absolute path when it was opened; "" where that
                  cannot be had, as it is too long, or above it is no right
                  to search: the descriptor works all the same */
};

static int
eio__dirfd (eio_wd wd)
{
  return wd ? wd->fd : AT_FDCWD;
}

/* The wd of a second path: of RENAME, LINK and SYMLINK. */
static eio_wd
eio__new_wd (const eio_req *req)
{
  return (eio_wd)req->int3;
}

static int
eio__fail (int error)
{
  errno = error;
  return -1;
}

/* Closes fd, leaves errno alone. */
static void
eio__close_quietly (int fd)
{
  int saved = errno;
  eio_sys_close (fd);
  errno = saved;
}

static void
eio__free_quietly (void *memory)
{
  int saved = errno;
  free (memory);
  errno = saved;
}

/* Calls that we can do without. */
enum
{
  EIO__NO_FDATASYNC = 1 << 0,
  EIO__NO_SYNCFS = 1 << 1,
  EIO__NO_SYNC_FILE_RANGE = 1 << 2,
  EIO__NO_READAHEAD = 1 << 3,
  EIO__NO_POPULATE = 1 << 4,
  EIO__NO_OPENAT2 = 1 << 5,
  EIO__NO_STATX = 1 << 6,
  EIO__NO_CACHESTAT = 1 << 7,
  EIO__NO_PREADV2 = 1 << 8,
  EIO__NO_PWRITEV2 = 1 << 16,
  EIO__NO_COPY_RANGE = 1 << 17,
  EIO__NO_SPLICE = 1 << 18,
  EIO__NO_TEE = 1 << 19,
  EIO__NO_RENAMEAT2 = 1 << 20,
  EIO__NO_RESOLVE = 1 << 21,
  EIO__NO_TMPFILE = 1 << 22,

  /* What is refused by EINVAL, too, which a bad argument would be: asked again
   * of no descriptor, that says EBADF. */
  EIO__MAY_BE_EINVAL
  = EIO__NO_OPENAT2 | EIO__NO_STATX | EIO__NO_CACHESTAT | EIO__NO_COPY_RANGE
    | EIO__NO_SYNC_FILE_RANGE
};

/* Whether it is the call that fails with this error, and not the file: as it
 * does where there is no file at all. */
static int
eio__is_refused (unsigned which, int error)
{
  eio_sys_kind kind;

  errno = 0;
  switch (which)
    {
    case EIO__NO_FDATASYNC: eio_sys_fdatasync (-1); break;
    case EIO__NO_SYNCFS: eio_sys_syncfs (-1); break;
    case EIO__NO_SYNC_FILE_RANGE: eio_sys_sync_file_range (-1, 0, 0, 0); break;
    case EIO__NO_READAHEAD: eio_sys_readahead (-1, 0, 0); break;
    case EIO__NO_OPENAT2: eio_sys_open_cached (-1, ".", EIO__O_NOTHING); break;
    case EIO__NO_STATX: eio_sys_get_kind (-1, &kind); break;
    case EIO__NO_CACHESTAT: eio_sys_has_cached (-1, 0, 1); break;
    case EIO__NO_PREADV2: eio_sys_read_cached (-1, 0, 0, 0); break;
    case EIO__NO_PWRITEV2: eio_sys_writev2 (-1, 0, 0, 0, 0); break;
    case EIO__NO_COPY_RANGE: eio_sys_copy_range (-1, 0, -1, 0, 1); break;
    case EIO__NO_SPLICE: eio_sys_splice (-1, 0, -1, -1, 1, 0); break;
    case EIO__NO_TEE: eio_sys_tee (-1, -1, 1, 0); break;
    case EIO__NO_RENAMEAT2: eio_sys_renameat2 (-1, ".", -1, ".", 0); break;
    case EIO__NO_RESOLVE: eio_sys_openat2 (-1, ".", O_RDONLY, 0, 0); break;
    }
  return errno == error || errno == ENOSYS;
}

/* Sandboxes refuse what they do not know by EPERM or EINVAL, kernels what they
 * know in part by EINVAL, and libc says so of what it cannot emulate. */
static ssize_t
eio__learn_missing (const eio_req *req, unsigned which, ssize_t res)
{
  int error = errno;

  if (res >= 0)
    return res;
  if (error == ENOSYS
      || ((error == EPERM || (error == EINVAL && which & EIO__MAY_BE_EINVAL)
           || (error == EOPNOTSUPP && which == EIO__NO_PREADV2))
          && eio__is_refused (which, error)))
    {
      ecb_or_relaxed (req->eio_pool->missing, which);
      error = ENOSYS;
    }
  errno = error;
  return res;
}

/* The result of a call, or ENOSYS if the system turned out to lack it: then it
 * is not made again. */
#define EIO__TRY(req, which, call) \
  (ecb_load_relaxed ((req)->eio_pool->missing) & (which) \
     ? EIO_ENOSYS () \
     : eio__learn_missing (req, which, call))

static int
eio__is_dot (const char *path)
{
  return path[0] == '.' && !path[1];
}

/* --- custom, nop, busy -------------------------------------------------- */

/* The function leaves its result in req->result; it is taken from there,
 * because that stays 0 until finish. The error is errno, or what it put into
 * errorno. */
static eio_ssize_t
eio__custom (eio_req *req)
{
  eio_ssize_t res;

  if (!req->feed)
    {
      errno = EINVAL;
      return -1;
    }

  req->feed (req);
  res = req->result;
  if (!errno)
    errno = req->errorno;
  req->result = 0;
  req->errorno = 0;
  return res;
}

static eio_ssize_t
eio__nop (eio_req *req)
{
  (void)req;
  return 0;
}

static eio_ssize_t
eio__busy (eio_req *req)
{
  unsigned long long now = eio_sys_now (), end;

  for (end = now + eio_sys_ns (req->nv1); now < end; now = eio_sys_now ())
    {
      struct timespec rest = eio_sys_timespec (end - now);
      nanosleep (&rest, 0);
    }
  return 0;
}

/* --- canonical paths ---------------------------------------------------- */

/* The state of a path's resolution: out is canonical so far, without a slash
 * at its end, and "" for the root; todo is what is left, at the end of a
 * buffer that has room for the contents of links before it. */
typedef struct
{
  char *out;    /* EIO__PATH_BUF bytes, with a 0 */
  size_t len;
  char *todo;
  char *limit;  /* start of todo's buffer */
  char *target; /* EIO__PATH_BUF bytes for a link's contents */
  int links;
} eio__resolver;

enum
{
  EIO__MAX_LINKS = 40,
  EIO__TODO_SIZE = 2 * EIO__PATH_BUF /* at first */
};

static int
eio__too_long (void)
{
  errno = ENAMETOOLONG;
  return -1;
}

/* Whether a slash may follow out, or more: it has to be a directory, and, for
 * "/.", one that we may search. The kernel says so. */
static int
eio__try_suffix (eio__resolver *r, const char *suffix)
{
  size_t n = strlen (suffix);
  struct stat st;
  int res;

  if (!r->len)
    return 0;
  if (r->len + n + 1 > EIO__PATH_BUF)
    return eio__too_long ();
  memcpy (r->out + r->len, suffix, n + 1);
  res = eio_sys_stat (AT_FDCWD, r->out, &st, 0);
  r->out[r->len] = 0;
  return res;
}

/* Puts text before what is left to do. */
static int
eio__prepend (eio__resolver *r, const char *text, size_t n)
{
  size_t room = (size_t)(r->todo - r->limit), left = strlen (r->todo) + 1;

  if (room < n)
    {
      size_t size = n + left + EIO__TODO_SIZE;
      char *limit = eio_sys_realloc (0, size);

      if (!limit)
        return -1;
      r->todo = memcpy (limit + size - left, r->todo, left);
      free (r->limit);
      r->limit = limit;
    }

  r->todo -= n;
  memcpy (r->todo, text, n);
  return 0;
}

static void
eio__strip_last (eio__resolver *r)
{
  while (r->len && r->out[--r->len] != '/')
    ;
  r->out[r->len] = 0;
}

/* Appends the name in front of what is left to out, and if that is a link,
 * takes it away again and puts its contents there. */
static int
eio__resolve_name (eio__resolver *r, size_t n)
{
  ssize_t got;

  if (r->len + n + 2 > EIO__PATH_BUF)
    return eio__too_long ();
  r->out[r->len] = '/';
  memcpy (r->out + r->len + 1, r->todo - n, n);
  r->len += n + 1;
  r->out[r->len] = 0;

  got = eio_sys_readlink (AT_FDCWD, r->out, r->target, EIO__PATH_BUF);
  if (got < 0)
    return errno == EINVAL ? 0 : -1;
  if (!got || ++r->links > EIO__MAX_LINKS)
    {
      errno = got ? ELOOP : ENOENT;
      return -1;
    }
  if (got >= EIO__PATH_BUF)
    return eio__too_long ();
  if (eio__prepend (r, r->target, (size_t)got))
    return -1;

  if (r->target[0] == '/')
    r->len = 0;
  else
    eio__strip_last (r);
  r->out[r->len] = 0;
  return 0;
}

/* Resolves all that is left: names, each followed by slashes or the end. */
static int
eio__resolve_all (eio__resolver *r)
{
  while (*r->todo)
    {
      const char *name = r->todo;
      size_t n = strcspn (name, "/");

      r->todo += n;
      if (!n)
        {
          r->todo += strspn (r->todo, "/");
          if (!*r->todo && eio__try_suffix (r, "/"))
            return -1;
        }
      else if (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))
        {
          if (eio__try_suffix (r, "/."))
            return -1;
          if (n == 2)
            eio__strip_last (r);
        }
      else if (eio__resolve_name (r, n))
        return -1;
    }

  return 0;
}

/* Whether path leads to the directory that fd is open on. */
static int
eio__check_path (int fd, const char *path)
{
  struct stat by_fd, by_path;

  if (eio_sys_fstat (fd, &by_fd)
      || eio_sys_stat (AT_FDCWD, path, &by_path, AT_SYMLINK_NOFOLLOW))
    return -1;
  if (by_fd.st_dev == by_path.st_dev && by_fd.st_ino == by_path.st_ino)
    return 0;
  errno = ENOENT;
  return -1;
}

/* Whether the path that wd was opened by still leads to it: if the directory
 * was moved, something else may be there now. */
static int
eio__check_wd_path (eio_wd wd)
{
  return wd->len ? eio__check_path (wd->fd, wd->str) : eio__too_long ();
}

/* Sets out to the path of wd: the one it was opened by, or, if it was moved,
 * the present one. */
static int
eio__start_from_wd (eio__resolver *r, eio_wd wd)
{
  int error;

  if (!eio__check_wd_path (wd))
    {
      memcpy (r->out, wd->str, wd->len + 1);
      return 0;
    }

  error = errno;
  if (eio_sys_fd_path (wd->fd, r->out, EIO__PATH_BUF) >= 0
      && !eio__check_path (wd->fd, r->out))
    return 0;
  errno = error;
  return -1;
}

static int
eio__start_from_cwd (eio__resolver *r)
{
  if (!getcwd (r->out, EIO__PATH_BUF))
    {
      if (errno == ERANGE)
        errno = ENAMETOOLONG;
      return -1;
    }
  if (r->out[0] == '/')
    return 0;
  errno = ENOENT; /* Linux, outside of our root: "(unreachable)..." */
  return -1;
}

/* Sets out to the directory that a relative path starts from. */
static int
eio__start_from (eio__resolver *r, eio_wd wd)
{
  if (wd ? eio__start_from_wd (r, wd) : eio__start_from_cwd (r))
    return -1;
  r->len = r->out[1] ? strlen (r->out) : 0;
  return 0;
}

/* Writes the canonical absolute form of path to out, EIO__PATH_BUF bytes,
 * with a terminating 0, and returns its length. */
static eio_ssize_t
eio__realpath_to (eio_wd wd, const char *path, char *out)
{
  eio__resolver r;
  size_t n = strlen (path);
  int res, error;

  if (!n)
    {
      errno = ENOENT;
      return -1;
    }
  if (n >= EIO__PATH_MAX)
    return eio__too_long ();

  r.limit = eio_sys_realloc (0, EIO__TODO_SIZE);
  r.target = eio_sys_realloc (0, EIO__PATH_BUF);
  if (!r.limit || !r.target)
    {
      free (r.limit);
      free (r.target);
      errno = ENOMEM;
      return -1;
    }
  r.out = out;
  r.len = 0;
  r.todo = r.limit + EIO__TODO_SIZE - n - 1;
  r.links = 0;
  memcpy (r.todo, path, n + 1);
  out[0] = 0;

  res = path[0] == '/' ? 0 : eio__start_from (&r, wd);
  if (!res)
    res = eio__resolve_all (&r);
  error = errno;
  free (r.limit);
  free (r.target);
  errno = error;
  if (res)
    return -1;

  if (r.len)
    return (eio_ssize_t)r.len;
  memcpy (out, "/", 2);
  return 1;
}

static eio_ssize_t
eio__realpath (eio_req *req)
{
  return eio__realpath_to (req->wd, req->ptr1, req->ptr2);
}

static eio_ssize_t
eio__readlink (eio_req *req)
{
  ssize_t n = readlinkat (eio__dirfd (req->wd), req->ptr1, req->ptr2,
                          EIO__PATH_BUF);
  return n >= EIO__PATH_BUF ? eio__too_long () : n;
}

/* --- working directories ------------------------------------------------ */

static void
eio__wd_free (eio_wd wd)
{
  if (wd == EIO_CWD || wd == EIO_INVALID_WD)
    return;
  eio_sys_close (wd->fd);
  free (wd);
}

/* A directory, but never as descriptor 0, which could be taken for none. */
static int
eio__open_dir (eio_wd wd, const char *path)
{
  return eio_sys_leave_0 (
      eio_sys_open (eio__dirfd (wd), path, EIO__O_SEARCH | O_DIRECTORY));
}

/* The path to keep in a wd, malloced, "" if there is none. Null with errno if
 * it would be worth to try again. */
static char *
eio__path_for_wd (int fd, eio_wd wd, const char *path)
{
  char *str = eio_sys_realloc (0, EIO__PATH_BUF);

  if (str && eio_sys_fd_path (fd, str, EIO__PATH_BUF) < 0
      && eio__realpath_to (wd, path, str) < 0)
    {
      int error = errno;

      str[0] = 0;
      if (error == ENOMEM || error == EINTR)
        {
          free (str);
          errno = error;
          return 0;
        }
    }
  return str;
}

static eio_wd
eio__wd_new (eio_wd wd, const char *path)
{
  eio_wd res = 0;
  int fd = eio__open_dir (wd, path);
  char *str;

  if (fd < 0)
    return 0;

  str = eio__path_for_wd (fd, wd, path);
  if (str)
    res = eio_sys_realloc (0, sizeof *res + strlen (str));
  if (res)
    {
      res->fd = fd;
      res->len = strlen (str);
      memcpy (res->str, str, res->len + 1);
    }
  else
    eio__close_quietly (fd);

  eio__free_quietly (str);
  return res;
}

static eio_ssize_t
eio__wd_open (eio_req *req)
{
  eio_wd wd = eio__wd_new (req->wd, req->ptr1);

  if (!wd)
    return -1;
  req->wd = wd;
  return 0;
}

static eio_ssize_t
eio__wd_close (eio_req *req)
{
  eio__wd_free (req->wd);
  return 0;
}

/* --- descriptors -------------------------------------------------------- */

static eio_ssize_t
eio__open (eio_req *req)
{
  return openat (eio__dirfd (req->wd), req->ptr1, req->int1,
                 (mode_t)req->int2);
}

static eio_ssize_t
eio__close (eio_req *req)
{
  return eio_sys_close (req->int1);
}

static eio_ssize_t
eio__dup2 (eio_req *req)
{
  return dup2 (req->int1, (int)req->int2);
}

static eio_ssize_t
eio__seek (eio_req *req)
{
  int whence = req->int2 == EIO_SEEK_SET   ? SEEK_SET
               : req->int2 == EIO_SEEK_CUR ? SEEK_CUR
               : req->int2 == EIO_SEEK_END ? SEEK_END
                                           : (int)req->int2;
  off_t offset = lseek (req->int1, req->offs, whence);

  if (offset == (off_t)-1)
    return -1;
  req->offs = offset;
  return 0;
}

static eio_ssize_t
eio__read (eio_req *req)
{
  return req->offs >= 0 ? pread (req->int1, req->ptr2, req->size, req->offs)
                        : read (req->int1, req->ptr2, req->size);
}

static eio_ssize_t
eio__write (eio_req *req)
{
  return req->offs >= 0 ? pwrite (req->int1, req->ptr2, req->size, req->offs)
                        : write (req->int1, req->ptr2, req->size);
}

static eio_ssize_t
eio__fcntl (eio_req *req)
{
  return fcntl (req->int1, (int)req->int2, req->ptr2);
}

static eio_ssize_t
eio__ioctl (eio_req *req)
{
  return ioctl (req->int1, (unsigned long)req->int2, req->ptr2);
}

/* --- copying ------------------------------------------------------------ */

enum
{
  EIO__COPY_CHUNK = 65536, /* bytes, by hand */
  EIO__COPY_STEP = 1 << 23 /* between looks whether it was cancelled */
};

/* Not stopped by signals. */
static ssize_t
eio__pread (int fd, void *buf, size_t size, off_t offset)
{
  ssize_t n;

  do
    n = pread (fd, buf, size, offset);
  while (n < 0 && errno == EINTR);
  return n;
}

/* Reads what readahead would have. Like readahead, it tells a descriptor that
 * cannot be read, but nothing of what goes wrong on the way. */
static eio_ssize_t
eio__readahead_by_hand (const eio_req *req)
{
  char *buf = eio_sys_realloc (0, EIO__COPY_CHUNK);
  off_t offset = req->offs;
  size_t size = req->size;
  ssize_t n = eio__pread (req->int1, buf, 0, offset);

  if (n < 0 && (errno == ESPIPE || errno == EISDIR))
    errno = EINVAL;
  if (n < 0 && (errno == EBADF || errno == EINVAL))
    {
      eio__free_quietly (buf);
      return -1;
    }

  for (n = 1; buf && size && n > 0 && !EIO_CANCELLED (req);)
    {
      n = eio__pread (req->int1, buf,
                      size < EIO__COPY_CHUNK ? size : EIO__COPY_CHUNK, offset);
      if (n > 0)
        {
          offset += n;
          size -= (size_t)n;
        }
    }
  free (buf);
  return 0;
}

static eio_ssize_t
eio__readahead (eio_req *req)
{
  ssize_t res
    = EIO__TRY (req, EIO__NO_READAHEAD,
                eio_sys_readahead (req->int1, req->offs, req->size));

  return res < 0 && errno == ENOSYS ? eio__readahead_by_hand (req) : res;
}

/* --- from file to file --------------------------------------------------- */

/* How far a request is, in bytes. */
static void
eio__begin_progress (eio_req *req, unsigned long long total)
{
  ecb_store_count (req->eio_done, 0);
  ecb_store_count (req->eio_total, total);
}

static void
eio__make_progress (eio_req *req, eio_ssize_t bytes)
{
  ecb_add_count (req->eio_done, (uint64_t)bytes);
}

/* A copy on its way. Offsets below 0 stand for the descriptors' positions. */
typedef struct
{
  const eio_req *req; /* may be cancelled meanwhile; or null */
  int in, out;
  off_t in_offset, out_offset;
  enum
  {
    EIO__BY_RANGE,
    EIO__BY_SENDFILE,
    EIO__BY_HAND
  } how;           /* what did not work is not tried again */
  int begun;       /* something has been copied */
  int error;       /* that ended the last eio__copy_bytes, or 0 */
  char *buf;       /* EIO__COPY_CHUNK bytes, when it is done by hand */
  uint64_t *count; /* of bytes, or null; atomic */

  /* Of whole files: */
  int count_all;        /* also holes, and what is shared */
  int flags;            /* EIO_COPY_ */
  struct stat from, to; /* as they were at first */
} eio__copier;

static int
eio__is_given_up (const eio__copier *c)
{
  return c->req && EIO_CANCELLED (c->req);
}

static void
eio__count_copied (const eio__copier *c, off_t bytes)
{
  if (c->count)
    ecb_add_count (*c->count, (uint64_t)bytes);
}

static void
eio__count_skipped (const eio__copier *c, off_t bytes)
{
  if (c->count_all)
    eio__count_copied (c, bytes);
}

/* Errors by which the kernel says that it cannot, not that it failed. */
static int
eio__wants_emulation (int error)
{
  static const int errors[] = {
    ENOSYS,   EINVAL,       ENOTSUP,    EOPNOTSUPP,
    ENOTSOCK, EAFNOSUPPORT, EPROTOTYPE, EXDEV
  };
  size_t i;

  for (i = 0; i < sizeof errors / sizeof *errors; ++i)
    if (error == errors[i])
      return 1;
  return 0;
}

/* Writes all of it, unless it can be read again, so that nothing is lost. */
static ssize_t
eio__write_chunk (const eio__copier *c, size_t size)
{
  size_t put = 0;
  ssize_t n;

  do
    {
      errno = ENOSPC; /* a device that takes no more says nothing */
      n = c->out_offset < 0 ? write (c->out, c->buf + put, size - put)
                            : pwrite (c->out, c->buf + put, size - put,
                                      c->out_offset + (off_t)put);
      if (n > 0)
        put += (size_t)n;
    }
  while (put < size && (n > 0 || (n < 0 && errno == EINTR))
         && (c->in_offset < 0 || !eio__is_given_up (c)));
  return put ? (ssize_t)put : -1;
}

static ssize_t
eio__copy_chunk (const eio__copier *c, size_t size)
{
  ssize_t n, put;

  if (size > EIO__COPY_CHUNK)
    size = EIO__COPY_CHUNK;
  n = c->in_offset < 0 ? read (c->in, c->buf, size)
                       : pread (c->in, c->buf, size, c->in_offset);
  if (n <= 0)
    return n;
  put = eio__write_chunk (c, (size_t)n);
  if (put < n && c->in_offset < 0)
    {
      int saved = errno;

      eio_sys_seek (c->in, (put > 0 ? put : 0) - n, SEEK_CUR);
      errno = saved;
    }
  return put;
}

static ssize_t
eio__copy_step (const eio__copier *c, size_t size)
{
  if (size > EIO__COPY_STEP)
    size = EIO__COPY_STEP;
  if (c->how == EIO__BY_HAND)
    return eio__copy_chunk (c, size);
  if (c->how == EIO__BY_SENDFILE)
    return eio_sys_sendfile (c->out, c->in, c->in_offset, size);
  if (c->req && c->req->eio_pool)
    return EIO__TRY (c->req, EIO__NO_COPY_RANGE,
                     eio_sys_copy_range (c->in, c->in_offset, c->out,
                                         c->out_offset, size));
  return eio_sys_copy_range (c->in, c->in_offset, c->out, c->out_offset, size);
}

/* Whether a step that moved nothing may succeed another way. The first 0 may
 * come from a file that pretends to be empty, as those in /proc; EBADF, from
 * a target that appends. */
static int
eio__may_copy_otherwise (const eio__copier *c, ssize_t n)
{
  if (c->how == EIO__BY_HAND)
    return 0;
  if (!n)
    return !c->begun;
  return eio__wants_emulation (errno)
         || (errno == EBADF && c->out_offset < 0 && eio_sys_appends (c->out));
}

static int
eio__copy_by_hand (eio__copier *c)
{
  c->how = EIO__BY_HAND;
  c->buf = eio_sys_realloc (0, EIO__COPY_CHUNK);
  return c->buf ? 0 : -1;
}

/* Takes the next way; sendfile needs an offset to read at, and none to write
 * at. */
static int
eio__copy_otherwise (eio__copier *c)
{
  if (c->how == EIO__BY_RANGE && c->in_offset >= 0 && c->out_offset < 0)
    {
      c->how = EIO__BY_SENDFILE;
      return 0;
    }
  if (c->out_offset >= 0 && eio_sys_appends (c->out))
    {
      errno = EBADF; /* as copy_file_range says */
      return -1;
    }
  return eio__copy_by_hand (c);
}

/* Returns how many bytes were copied, which are fewer at the end of the file,
 * after an error, or when it was given up; -1 if there were none before an
 * error. */
static eio_ssize_t
eio__copy_bytes (eio__copier *c, size_t count)
{
  size_t done = 0;
  ssize_t n;

  do
    {
      n = eio__copy_step (c, count - done);
      if (n > 0)
        {
          done += (size_t)n;
          c->begun = 1;
          c->in_offset += c->in_offset < 0 ? 0 : n;
          c->out_offset += c->out_offset < 0 ? 0 : n;
          eio__count_copied (c, n);
        }
      else if (n < 0 && errno == EINTR)
        n = 1;
      else if (eio__may_copy_otherwise (c, n))
        n = eio__copy_otherwise (c) ? -1 : 1;
    }
  while (n > 0 && (done < count || !done) && !eio__is_given_up (c));
  c->error = n < 0 ? errno : 0;
  return done || n >= 0 ? (eio_ssize_t)done : -1;
}

/* req may be null. */
static eio_ssize_t
eio__sendfile_to (eio_req *req, int ofd, int ifd, off_t offset, size_t count)
{
  eio__copier c = { .req = req,
                    .in = ifd,
                    .out = ofd,
                    .in_offset = offset,
                    .out_offset = -1,
                    .how = EIO__BY_SENDFILE,
                    .count = req ? &req->eio_done : 0 };
  eio_ssize_t res;

  if (offset < 0)
    {
      errno = EINVAL;
      return -1;
    }
  if (req)
    eio__begin_progress (req, count);
  res = eio__copy_bytes (&c, count);
  eio__free_quietly (c.buf);
  return res;
}

static eio_ssize_t
eio__sendfile (eio_req *req)
{
  return eio__sendfile_to (req, req->int1, (int)req->int2, req->offs,
                           req->size);
}

/* --- slurp -------------------------------------------------------------- */

/* A buffer that a file is read into. */
typedef struct
{
  eio_req *req; /* may be cancelled meanwhile */
  char *buf;
  size_t got;  /* bytes in it */
  size_t cap;  /* bytes that it has room for */
  size_t want; /* bytes that are wanted at most */
} eio__slurper;

/* Makes room for what the file is said to have, and one byte, to see the end;
 * if it has more, doubles that. */
static int
eio__slurp_grow (eio__slurper *s, off_t hint)
{
  size_t cap = s->cap                                      ? s->cap * 2
               : (unsigned long long)hint < (size_t)-1 / 2 ? (size_t)hint + 1
                                                           : s->want;
  char *buf;

  if (cap > s->want)
    cap = s->want;
  buf = eio_sys_realloc (s->buf, cap);
  if (!buf)
    return -1;
  s->buf = buf;
  s->cap = cap;
  return 0;
}

/* An offset below 0 stands for where the file is. */
static ssize_t
eio__slurp_some (eio__slurper *s, int fd, off_t offset)
{
  char *to = s->buf + s->got;
  size_t size = s->cap - s->got;

  if (EIO_CANCELLED (s->req))
    {
      errno = ECANCELED;
      return -1;
    }
  if (size > EIO__COPY_STEP)
    size = EIO__COPY_STEP;
  return offset < 0 ? read (fd, to, size) : pread (fd, to, size, offset);
}

/* Reads from offset until the end or until there is enough. What cannot be
 * read by offset, such as a FIFO, is read from where it is. */
static int
eio__slurp_read (eio__slurper *s, int fd, off_t offset, off_t hint)
{
  int by_offset = 1;

  while (s->got < s->want)
    {
      ssize_t n;

      if (s->got == s->cap && eio__slurp_grow (s, hint))
        return -1;
      n = eio__slurp_some (s, fd, by_offset ? offset + (off_t)s->got : -1);
      if (!n)
        break;
      if (n > 0)
        {
          s->got += (size_t)n;
          eio__make_progress (s->req, n);
        }
      else if (errno == ESPIPE && by_offset && !offset)
        by_offset = 0;
      else if (errno != EINTR)
        return -1;
    }

  return 0;
}

/* Turns an offset from the end into one from the start. Files in /proc do not
 * tell their length, other than by being read. */
static off_t
eio__slurp_start (const eio_req *req, off_t length)
{
  off_t offset = req->offs;

  if (offset >= 0)
    return offset;
  return offset < -length ? 0 : length + offset;
}

/* The last bytes of a file that does not tell its length, such as those in
 * /proc: it is read whole. */
static int
eio__slurp_tail (eio_req *req, eio__slurper *s, int fd)
{
  eio__slurper all = { req, 0, 0, 0, (size_t)-1 / 2 };
  off_t start;
  size_t n;

  if (eio__slurp_read (&all, fd, 0, 4095))
    {
      eio__free_quietly (all.buf);
      return -1;
    }

  start = eio__slurp_start (req, (off_t)all.got);
  n = all.got - (size_t)start;
  s->got = n < s->want ? n : s->want;
  if (s->buf)
    {
      memcpy (s->buf, all.buf + start, s->got);
      free (all.buf);
    }
  else
    {
      s->buf = memmove (all.buf, all.buf + start, s->got);
      s->cap = all.cap;
    }
  return 0;
}

static int
eio__slurp_fd (eio_req *req, eio__slurper *s, int fd)
{
  struct stat st;
  off_t offset, left;
  int res;

  eio__begin_progress (req, 0);
  if (eio_sys_fstat (fd, &st))
    return -1;
  if (req->offs < 0 && !st.st_size)
    return eio__slurp_tail (req, s, fd);

  offset = eio__slurp_start (req, st.st_size);
  left = st.st_size > offset ? st.st_size - offset : 0;
  eio__begin_progress (req, (unsigned long long)left < s->want
                              ? (unsigned long long)left
                              : s->want);
  res = eio__slurp_read (s, fd, offset, left ? left : 4095);

  /* So far behind the end that no file can have bytes there. */
  if (res && S_ISREG (st.st_mode) && !s->got && offset > st.st_size
      && (errno == EINVAL || errno == EOVERFLOW))
    return 0;
  return res;
}

/* The buffer, of the size that is asked for; without one, it grows while the
 * file is read. Pages that are not written cost nothing. */
static int
eio__slurp_begin (eio__slurper *s)
{
  const eio_req *req = s->req;

  s->want = (size_t)-1 / 2;
  if (!req->size)
    return 0;

  s->want = s->cap = req->size;
  s->buf = req->ptr2 ? req->ptr2 : calloc (1, req->size);
  if (s->buf)
    return 0;
  errno = ENOMEM;
  return -1;
}

static int
eio__slurp_path (eio_req *req, eio__slurper *s)
{
  int fd = eio_sys_open (eio__dirfd (req->wd), req->ptr1, O_RDONLY);
  int res;

  if (fd < 0)
    return -1;
  res = eio__slurp_fd (req, s, fd);
  eio__close_quietly (fd);
  return res;
}

static eio_ssize_t
eio__slurp (eio_req *req)
{
  eio__slurper s = { req, 0, 0, 0, 0 };
  int res;

  if (!req->size && req->ptr2)
    {
      errno = EINVAL;
      return -1;
    }

  res = eio__slurp_begin (&s);
  if (!res)
    res = eio__slurp_path (req, &s);

  if (req->ptr2)
    return res ? res : (eio_ssize_t)s.got;
  if (res)
    {
      eio__free_quietly (s.buf);
      return -1;
    }
  if (!req->size && s.got < s.cap)
    memset (s.buf + s.got, 0, s.cap - s.got);
  req->ptr2 = s.buf;
  req->flags |= EIO_FLAG_PTR2_FREE;
  return (eio_ssize_t)s.got;
}

/* --- bringing data to the disk ------------------------------------------ */

static eio_ssize_t
eio__sync (eio_req *req)
{
  (void)req;
  sync ();
  return 0;
}

static eio_ssize_t
eio__fsync (eio_req *req)
{
  return fsync (req->int1);
}

static eio_ssize_t
eio__fdatasync (eio_req *req)
{
  ssize_t res
    = EIO__TRY (req, EIO__NO_FDATASYNC, eio_sys_fdatasync (req->int1));

  return res < 0 && errno == ENOSYS ? fsync (req->int1) : res;
}

static eio_ssize_t
eio__syncfs (eio_req *req)
{
  ssize_t res = EIO__TRY (req, EIO__NO_SYNCFS, eio_sys_syncfs (req->int1));

  if (res < 0 && errno == ENOSYS)
    {
      sync ();
      errno = ENOSYS;
    }
  return res;
}

static eio_ssize_t
eio__sync_file_range (eio_req *req)
{
  ssize_t res = EIO__TRY (req, EIO__NO_SYNC_FILE_RANGE,
                          eio_sys_sync_file_range (req->int1, req->offs,
                                                   (off_t)req->size,
                                                   (unsigned)req->int2));

  return res < 0 && errno == ENOSYS ? eio__fdatasync (req) : res;
}

static eio_ssize_t
eio__fallocate (eio_req *req)
{
  return eio_sys_fallocate (req->int1, (int)req->int2, req->offs,
                            (off_t)req->size);
}

/* --- memory ------------------------------------------------------------- */

/* Widens a range to whole pages. Embedders call it, hence the name. */
static void
eio_page_align (void **addr, size_t *length)
{
  size_t mask = eio_sys_page_size () - 1;
  size_t lead = (size_t)*addr & mask;

  *addr = (void *)((size_t)*addr - lead); /* it may be null */
  *length = (*length + lead + mask) & ~mask;
}

/* eio_page_align, but ENOMEM where that leaves the address space. */
static int
eio__align (void **addr, size_t *length)
{
  size_t mask = eio_sys_page_size () - 1;

  if (*length > (size_t)-1 - (size_t)*addr
      || *length + (size_t)*addr > (size_t)-1 - mask)
    {
      errno = ENOMEM;
      return -1;
    }
  eio_page_align (addr, length);
  return 0;
}

static eio_ssize_t
eio__msync (eio_req *req)
{
  void *addr = req->ptr2;
  size_t length = req->size;
  int flags = (req->int1 & EIO_MS_ASYNC ? MS_ASYNC : 0)
              | (req->int1 & EIO_MS_INVALIDATE ? MS_INVALIDATE : 0)
              | (req->int1 & EIO_MS_SYNC ? MS_SYNC : 0);

  return eio__align (&addr, &length) ? -1 : msync (addr, length, flags);
}

/* Writing back what was read, atomically: others may write meanwhile. */
static void
eio__touch_page (volatile char *page, int modify)
{
  char c = *page;

  if (modify)
    __atomic_compare_exchange_n (page, &c, c, 0, __ATOMIC_RELAXED,
                                 __ATOMIC_RELAXED);
}

/* In steps, so that cancellation is noticed. */
static eio_ssize_t
eio__mtouch (eio_req *req)
{
  enum { EIO__TOUCH_STEP = 1 << 24 };
  void *start = req->ptr2;
  size_t page = eio_sys_page_size (), left = req->size, i;
  int modify = req->int1 & EIO_MT_MODIFY;
  char *addr;

  if (eio__align (&start, &left))
    return -1;
  for (addr = start; left && !EIO_CANCELLED (req);)
    {
      size_t step = left < EIO__TOUCH_STEP ? left : EIO__TOUCH_STEP;

      if (EIO__TRY (req, EIO__NO_POPULATE,
                    eio_sys_populate (addr, step, modify)))
        {
          if (errno != ENOSYS)
            return -1;
          for (i = 0; i < step; i += page)
            eio__touch_page (addr + i, modify);
        }
      addr += step;
      left -= step;
    }
  return 0;
}

static eio_ssize_t
eio__mlock (eio_req *req)
{
  void *addr = req->ptr2;
  size_t length = req->size;

  return eio__align (&addr, &length) ? -1 : mlock (addr, length);
}

static int
eio__mlockall_flags (int flags)
{
  return (flags & EIO_MCL_CURRENT ? MCL_CURRENT : 0)
         | (flags & EIO_MCL_FUTURE ? MCL_FUTURE : 0)
         | (flags & EIO_MCL_ONFAULT ? EIO__MCL_ONFAULT : 0);
}

static eio_ssize_t
eio__mlockall (eio_req *req)
{
  return mlockall (eio__mlockall_flags (req->int1));
}

/* --- status, by descriptor ---------------------------------------------- */

static eio_ssize_t
eio__fstat (eio_req *req)
{
  return fstat (req->int1, EIO_STAT_BUF (req));
}

static eio_ssize_t
eio__fstatvfs (eio_req *req)
{
  return fstatvfs (req->int1, EIO_STATVFS_BUF (req));
}

static eio_ssize_t
eio__ftruncate (eio_req *req)
{
  return ftruncate (req->int1, req->offs);
}

static eio_ssize_t
eio__fchmod (eio_req *req)
{
  return fchmod (req->int1, (mode_t)req->int2);
}

static eio_ssize_t
eio__fchown (eio_req *req)
{
  return fchown (req->int1, (eio_uid_t)req->int2, (eio_gid_t)req->int3);
}

/* Rounds down, also below zero; tv_nsec is never negative. */
static int
eio__to_timespec (eio_tstamp t, struct timespec *ts)
{
  const eio_tstamp max = 9.2e18;

  if (!(t > -max && t < max) || (sizeof ts->tv_sec == 4
                                 && !(t >= -2147483648. && t < 2147483648.)))
    {
      errno = EINVAL;
      return -1;
    }

  ts->tv_sec = (time_t)t;
  if ((eio_tstamp)ts->tv_sec > t)
    --ts->tv_sec;
  ts->tv_nsec = (long)((t - (eio_tstamp)ts->tv_sec) * 1e9);
  if (ts->tv_nsec > 999999999)
    ts->tv_nsec = 999999999;
  return 0;
}

/* What utimensat takes: null for now, or both times. Returns -1 when they
 * are none. */
static int
eio__get_times (const eio_req *req, struct timespec times[2],
                struct timespec **res)
{
  *res = 0;
  if (req->nv1 == -1. && req->nv2 == -1.)
    return 0;
  *res = times;
  return eio__to_timespec (req->nv1, &times[0])
           || eio__to_timespec (req->nv2, &times[1])
         ? -1
         : 0;
}

static eio_ssize_t
eio__futime (eio_req *req)
{
  struct timespec times[2], *arg;

  return eio__get_times (req, times, &arg) ? -1 : futimens (req->int1, arg);
}

/* --- status, by path ---------------------------------------------------- */

static eio_ssize_t
eio__stat (eio_req *req)
{
  return fstatat (eio__dirfd (req->wd), req->ptr1, EIO_STAT_BUF (req), 0);
}

static eio_ssize_t
eio__lstat (eio_req *req)
{
  return fstatat (eio__dirfd (req->wd), req->ptr1, EIO_STAT_BUF (req),
                  AT_SYMLINK_NOFOLLOW);
}

static int
eio__needs_wd (const eio_req *req)
{
  return req->wd && *EIO_PATH (req) != '/';
}

/* For the calls that have no *at form: an absolute path in a malloc block, or
 * null. */
static char *
eio__absolute_path (const eio_req *req)
{
  size_t n = strlen (req->ptr1) + 1;
  char *path;

  if (eio__check_wd_path (req->wd))
    return 0;
  path = eio_sys_realloc (0, req->wd->len + 1 + n);
  if (path)
    {
      memcpy (path, req->wd->str, req->wd->len);
      path[req->wd->len] = '/';
      memcpy (path + req->wd->len + 1, req->ptr1, n);
    }
  return path;
}

static eio_ssize_t
eio__statvfs_absolute (eio_req *req)
{
  char *path = eio__absolute_path (req);
  int res = path ? statvfs (path, EIO_STATVFS_BUF (req)) : -1;

  eio__free_quietly (path);
  return res;
}

static eio_ssize_t
eio__statvfs (eio_req *req)
{
  int fd, res;

  if (!eio__needs_wd (req))
    return statvfs (req->ptr1, EIO_STATVFS_BUF (req));
  if (!EIO__O_NOTHING)
    return eio__statvfs_absolute (req);

  fd = eio_sys_open (req->wd->fd, req->ptr1, EIO__O_NOTHING);
  if (fd < 0)
    return -1;
  res = fstatvfs (fd, EIO_STATVFS_BUF (req));
  eio__close_quietly (fd);

  /* Linux before 3.12 cannot ask such a descriptor. */
  return res < 0 && errno == EBADF ? eio__statvfs_absolute (req) : res;
}

static eio_ssize_t
eio__truncate_absolute (eio_req *req)
{
  char *path = eio__absolute_path (req);
  int res = path ? truncate (path, req->offs) : -1;

  eio__free_quietly (path);
  return res;
}

/* Opening the file for writing would do too much: wait for a FIFO's reader,
 * rewind a tape. Linux lets us name what we have opened to do nothing. */
static eio_ssize_t
eio__truncate (eio_req *req)
{
  char path[40];
  int fd, res;

  if (!eio__needs_wd (req))
    return truncate (req->ptr1, req->offs);
  if (!EIO__O_NOTHING)
    return eio__truncate_absolute (req);
  if (req->offs < 0)
    return eio__fail (EINVAL); /* whatever path, as truncate does */

  fd = eio_sys_open (req->wd->fd, req->ptr1, EIO__O_NOTHING);
  if (fd < 0)
    return -1;
  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  res = truncate (path, req->offs);
  eio__close_quietly (fd);

  /* There may be no /proc. */
  return res < 0 && errno == ENOENT ? eio__truncate_absolute (req) : res;
}

static eio_ssize_t
eio__utime (eio_req *req)
{
  struct timespec times[2], *arg;

  return eio__get_times (req, times, &arg)
         ? -1
         : utimensat (eio__dirfd (req->wd), req->ptr1, arg, 0);
}

static eio_ssize_t
eio__chmod (eio_req *req)
{
  return fchmodat (eio__dirfd (req->wd), req->ptr1, (mode_t)req->int2, 0);
}

static eio_ssize_t
eio__chown (eio_req *req)
{
  return fchownat (eio__dirfd (req->wd), req->ptr1, (eio_uid_t)req->int2,
                   (eio_gid_t)req->int3, 0);
}

/* --- names -------------------------------------------------------------- */

static eio_ssize_t
eio__unlink (eio_req *req)
{
  return unlinkat (eio__dirfd (req->wd), req->ptr1, 0);
}

static eio_ssize_t
eio__mkdir (eio_req *req)
{
  return mkdirat (eio__dirfd (req->wd), req->ptr1, (mode_t)req->int2);
}

static eio_ssize_t
eio__mknod (eio_req *req)
{
  return mknodat (eio__dirfd (req->wd), req->ptr1, (mode_t)req->int2,
                  (dev_t)req->offs);
}

static eio_ssize_t
eio__link (eio_req *req)
{
  return linkat (eio__dirfd (req->wd), req->ptr1,
                 eio__dirfd (eio__new_wd (req)), req->ptr2, 0);
}

static eio_ssize_t
eio__symlink (eio_req *req)
{
  eio_wd wd = req->int3 ? eio__new_wd (req) : req->wd;

  return symlinkat (req->ptr1, eio__dirfd (wd), req->ptr2);
}

/* The kernel neither removes nor renames ".", so for a wd itself its path
 * stands in. */
static int
eio__is_wd_itself (const eio_req *req)
{
  return req->wd && eio__is_dot (req->ptr1);
}

static eio_ssize_t
eio__rmdir (eio_req *req)
{
  if (!eio__is_wd_itself (req))
    return unlinkat (eio__dirfd (req->wd), req->ptr1, AT_REMOVEDIR);

  return eio__check_wd_path (req->wd)
         ? -1
         : unlinkat (AT_FDCWD, req->wd->str, AT_REMOVEDIR);
}

static eio_ssize_t
eio__rename (eio_req *req)
{
  int fd = eio__dirfd (req->wd), new_fd = eio__dirfd (eio__new_wd (req));
  const char *path = req->ptr1;

  if (eio__is_wd_itself (req))
    {
      if (eio__check_wd_path (req->wd))
        return -1;
      fd = AT_FDCWD;
      path = req->wd->str;
    }

  return req->int2 ? eio_sys_renameat2 (fd, path, new_fd, req->ptr2,
                                        (unsigned)req->int2)
                   : renameat (fd, path, new_fd, req->ptr2);
}

/* --- readdir ------------------------------------------------------------ */

/* What was read of a directory so far. */
typedef struct
{
  eio_dirent *dents; /* null unless they are wanted */
  size_t count, dents_cap;
  char *names;
  size_t used, names_cap; /* bytes */
  int flags;              /* EIO_READDIR_* */
} eio__listing;

/* Makes room for need elements of size bytes. Returns the block, which may
 * have moved; null when memory is out, and then it is as it was. */
static void *
eio__grow (void *block, size_t *cap, size_t need, size_t size)
{
  size_t wish = *cap;

  if (block && need <= wish)
    return block;
  while (wish < need)
    wish *= 2;
  if (wish > (size_t)-1 / size)
    {
      errno = ENOMEM;
      return 0;
    }

  block = eio_sys_realloc (block, wish * size);
  if (block)
    *cap = wish;
  return block;
}

static int
eio__reserve_names (eio__listing *l, size_t need)
{
  char *names = eio__grow (l->names, &l->names_cap, need, 1);

  if (!names)
    return -1;
  l->names = names;
  return 0;
}

static int
eio__reserve_dents (eio__listing *l, size_t need)
{
  eio_dirent *dents = eio__grow (l->dents, &l->dents_cap, need,
                                 sizeof *dents);

  if (!dents)
    return -1;
  l->dents = dents;
  return 0;
}

/* eio_dirent.score */
enum
{
  EIO__SCORE_DIR = 126,
  EIO__SCORE_DOT_NAME = 125,
  EIO__SCORE_NO_DOT = 124, /* less the length */
  EIO__SCORE_OTHER = 1,
  EIO__SCORE_NO_DIR = 0
};

/* How likely a directory this is, without asking the file system. */
static signed char
eio__score (const char *name, size_t len, int type)
{
  if (type == EIO_DT_DIR)
    return EIO__SCORE_DIR;
  if (type != EIO_DT_UNKNOWN)
    return EIO__SCORE_NO_DIR;
  if (name[0] == '.')
    return EIO__SCORE_DOT_NAME;
  if (memchr (name, '.', len))
    return EIO__SCORE_OTHER;
  return (signed char)(EIO__SCORE_NO_DOT - (len < 120 ? len : 120));
}

static int
eio__add_entry (eio__listing *l, const EIO_STRUCT_DIRENT *de)
{
  size_t len = strlen (de->d_name);

  if (l->used + len + 1 > EIO__NAMES_MAX || len > USHRT_MAX)
    {
      errno = EOVERFLOW;
      return -1;
    }
  if (eio__reserve_names (l, l->used + len + 1))
    return -1;

  if (l->flags & EIO_READDIR_DENTS)
    {
      eio_dirent *ent;

      if (eio__reserve_dents (l, l->count + 1))
        return -1;
      ent = &l->dents[l->count];
      ent->nameofs = (int)l->used;
      ent->namelen = (unsigned short)len;
      ent->type = eio_sys_dtype (de);
      ent->score = l->flags & EIO_READDIR_DIRS_FIRST
                     ? eio__score (de->d_name, len, ent->type)
                     : 0;
      ent->inode = de->d_ino;
      if (ent->type == EIO_DT_UNKNOWN)
        l->flags |= EIO_READDIR_FOUND_UNKNOWN;
    }

  memcpy (l->names + l->used, de->d_name, len + 1);
  l->used += len + 1;
  ++l->count;
  return 0;
}

/* Whether a belongs before b, or may stay there. */
static int
eio__in_order (const eio_dirent *a, const eio_dirent *b)
{
  return a->score != b->score ? a->score > b->score : a->inode <= b->inode;
}

/* Merges the sorted runs [from, mid) and [mid, end) into dst. */
static void
eio__merge (eio_dirent *dst, const eio_dirent *src, size_t from, size_t mid,
            size_t end)
{
  size_t a = from, b = mid;

  for (; from < end; ++from)
    if (a < mid && (b >= end || eio__in_order (&src[a], &src[b])))
      dst[from] = src[a++];
    else
      dst[from] = src[b++];
}

/* Merge sort from the bottom up: no recursion, never quadratic. (qsort was
 * seen to use megabytes of stack.) */
static int
eio__sort_entries (eio__listing *l)
{
  size_t n = l->count, run, i;
  eio_dirent *src = l->dents, *dst, *tmp;

  if (n < 2)
    return 0;
  dst = eio_sys_realloc (0, n * sizeof *dst);
  if (!dst)
    return -1;

  for (run = 1; run < n; run *= 2)
    {
      for (i = 0; i < n; i += 2 * run)
        eio__merge (dst, src, i, i + run < n ? i + run : n,
                    i + 2 * run < n ? i + 2 * run : n);
      tmp = src;
      src = dst;
      dst = tmp;
    }

  l->dents = src;
  free (dst);
  return 0;
}

static int
eio__is_self_or_parent (const char *name)
{
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int
eio__read_entries (eio_req *req, eio__listing *l, DIR *dir)
{
  for (;;)
    {
      EIO_STRUCT_DIRENT *de;

      if (EIO_CANCELLED (req))
        {
          errno = ECANCELED;
          return -1;
        }
      errno = 0;
      de = readdir (dir);
      if (!de && errno == EINTR)
        continue;
      if (!de)
        return errno ? -1 : 0;
      if (!eio__is_self_or_parent (de->d_name) && eio__add_entry (l, de))
        return -1;
    }
}

/* Opens it for readdir. */
static DIR *
eio__open_listed (const eio_req *req)
{
  int fd = eio_sys_open (eio__dirfd (req->wd), req->ptr1,
                         O_RDONLY | O_DIRECTORY);
  DIR *dir;

  if (fd < 0)
    return 0;
  dir = fdopendir (fd);
  if (!dir)
    eio__close_quietly (fd);
  return dir;
}

/* Opens, reads and closes. */
static int
eio__list_directory (eio_req *req, eio__listing *l)
{
  DIR *dir = eio__open_listed (req);
  int res, saved;

  if (!dir)
    return -1;
  res = eio__read_entries (req, l, dir);
  saved = errno;
  closedir (dir);
  errno = saved;
  return res;
}

enum
{
  EIO__SORTS = EIO_READDIR_DIRS_FIRST | EIO_READDIR_STAT_ORDER
};

/* Empty directories have buffers, too. */
static int
eio__begin_listing (eio__listing *l, int flags)
{
  const eio__listing empty = { 0, 0, 128, 0, 0, 4096, 0 };

  *l = empty;
  l->flags = flags & ~EIO_READDIR_FOUND_UNKNOWN;
  if (!(l->flags & EIO_READDIR_DENTS))
    l->flags &= ~EIO__SORTS;

  if (eio__reserve_names (l, 0))
    return -1;
  return l->flags & EIO_READDIR_DENTS ? eio__reserve_dents (l, 0) : 0;
}

/* Hands the listing to the request, or frees it if that has failed. */
static eio_ssize_t
eio__end_listing (eio_req *req, eio__listing *l, int res)
{
  if (!res && l->flags & EIO__SORTS)
    res = eio__sort_entries (l);
  if (res)
    {
      int saved = errno;

      free (l->dents);
      free (l->names);
      errno = saved;
      return -1;
    }

  if (l->dents)
    {
      if (req->flags & EIO_FLAG_PTR1_FREE)
        free (req->ptr1);
      req->ptr1 = l->dents;
      req->flags |= EIO_FLAG_PTR1_FREE;
    }
  req->ptr2 = l->names;
  req->flags |= EIO_FLAG_PTR2_FREE;
  req->int1 = l->flags;
  return (eio_ssize_t)l->count;
}

static eio_ssize_t
eio__readdir (eio_req *req)
{
  eio__listing l;
  int res = eio__begin_listing (&l, req->int1);

  if (!res)
    res = eio__list_directory (req, &l);
  return eio__end_listing (req, &l, res);
}

/* --- requests 50 to 74: descriptors, ranges, attributes ------------------- */

static eio_ssize_t
eio__invalid (void)
{
  errno = EINVAL;
  return -1;
}

#ifdef IOV_MAX
enum { EIO__IOV_MAX = IOV_MAX };
#else
enum { EIO__IOV_MAX = 1024 };
#endif

/* Whether ptr2 is an array of iovecs that a call may look at. */
static int
eio__has_vector (const eio_req *req)
{
  if (req->size > EIO__IOV_MAX)
    errno = EINVAL;
  else if (req->size && !req->ptr2)
    errno = EFAULT;
  else
    return 1;
  return 0;
}

static eio_ssize_t
eio__readv (eio_req *req)
{
  int n = (int)req->size;

  if (!eio__has_vector (req))
    return -1;
  return req->int2 ? EIO__TRY (req, EIO__NO_PREADV2,
                               eio_sys_readv2 (req->int1, req->ptr2, n,
                                               req->offs, (int)req->int2))
                   : eio_sys_readv (req->int1, req->ptr2, n, req->offs);
}

static eio_ssize_t
eio__writev (eio_req *req)
{
  int n = (int)req->size;

  if (!eio__has_vector (req))
    return -1;
  return req->int2 ? EIO__TRY (req, EIO__NO_PWRITEV2,
                               eio_sys_writev2 (req->int1, req->ptr2, n,
                                                req->offs, (int)req->int2))
                   : eio_sys_writev (req->int1, req->ptr2, n, req->offs);
}

static ssize_t
eio__transfer (const eio_req *req, size_t done, size_t count, int writes)
{
  void *buf = (void *)((size_t)req->ptr2 + done); /* it may be null */
  off_t offset = req->offs + (off_t)done;

  if (req->offs < 0)
    return writes ? write (req->int1, buf, count)
                  : read (req->int1, buf, count);
  return writes ? pwrite (req->int1, buf, count, offset)
                : pread (req->int1, buf, count, offset);
}

/* Leaves in errno what stopped it, 0 if nothing did or the file ended. */
static eio_ssize_t
eio__transfer_all (eio_req *req, int writes)
{
  size_t done = 0;
  int error = 0;
  ssize_t n = 1;

  if (req->size > (size_t)-1 / 2)
    return eio__invalid ();

  eio__begin_progress (req, req->size);
  do
    {
      size_t step = req->size - done;

      if (step > EIO__COPY_STEP)
        step = EIO__COPY_STEP;
      n = eio__transfer (req, done, step, writes);
      if (n > 0)
        {
          done += (size_t)n;
          eio__make_progress (req, n);
        }
      else if (n < 0 && errno == EINTR)
        n = 1;
      else if (n < 0)
        error = errno;
      else if (writes && step)
        error = ENOSPC; /* a device that takes no more, and says nothing */
    }
  while (n > 0 && done < req->size && !EIO_CANCELLED (req));

  if (n > 0 && done < req->size)
    error = ECANCELED;
  errno = error;
  return error && !done ? -1 : (eio_ssize_t)done;
}

static eio_ssize_t
eio__read_all (eio_req *req)
{
  return eio__transfer_all (req, 0);
}

static eio_ssize_t
eio__write_all (eio_req *req)
{
  if (!req->ptr2 && req->size)
    {
      errno = EFAULT;
      return -1;
    }
  return eio__transfer_all (req, 1);
}

static void
eio__fill_statx (const struct stat *st, struct eio_statx *res)
{
  struct timespec times[3];

  memset (res, 0, sizeof *res);
  res->mask = EIO_STATX_BASIC_STATS;
  res->type = (unsigned)(st->st_mode & S_IFMT) >> 12;
  res->mode = (uint32_t)st->st_mode;
  res->uid = (uint32_t)st->st_uid;
  res->gid = (uint32_t)st->st_gid;
  res->nlink = (uint64_t)st->st_nlink;
  res->ino = (uint64_t)st->st_ino;
  res->size = (uint64_t)st->st_size;
  res->dev = (uint64_t)st->st_dev;
  res->rdev = (uint64_t)st->st_rdev;
  eio_sys_get_blocks (st, &res->blksize, &res->blocks);
  eio_sys_get_times (st, times);
  res->atime = times[0];
  res->mtime = times[1];
  res->ctime = times[2];
}

/* Where there is no statx: as far as stat goes. */
static eio_ssize_t
eio__statx_by_stat (eio_req *req)
{
  int flags = eio_sys_fstatat_flags (req->int1);
  struct stat st;
  int res;

  if ((unsigned long)req->int2 & 0x80000000u) /* so says statx */
    return eio__invalid ();
  if (req->type == EIO_FSTATX)
    res = eio_sys_fstat (req->int1, &st);
  else if (flags >= 0)
    res = eio_sys_stat (eio__dirfd (req->wd), req->ptr1, &st, flags);
  else
    return eio__invalid ();
  if (!res)
    eio__fill_statx (&st, EIO_STATX_BUF (req));
  return res;
}

static eio_ssize_t
eio__statx (eio_req *req)
{
  ssize_t res = EIO__TRY (req, EIO__NO_STATX,
                          eio_sys_statx (eio__dirfd (req->wd), req->ptr1,
                                         req->int1, (unsigned)req->int2,
                                         EIO_STATX_BUF (req)));

  return res < 0 && errno == ENOSYS ? eio__statx_by_stat (req) : res;
}

/* No descriptor below 0: one of them stands for the current directory. */
static eio_ssize_t
eio__fstatx (eio_req *req)
{
  ssize_t res;

  if (req->int1 < 0)
    {
      errno = EBADF;
      return -1;
    }
  res = EIO__TRY (req, EIO__NO_STATX,
                  eio_sys_statx (req->int1, "", EIO__AT_EMPTY_PATH,
                                 (unsigned)req->int2, EIO_STATX_BUF (req)));
  return res < 0 && errno == ENOSYS ? eio__statx_by_stat (req) : res;
}

/* ptr2 of requests that have a second offset. */
static off_t
eio__out_offset (const eio_req *req)
{
  return req->ptr2 ? *(const off_t *)req->ptr2 : -1;
}

static int
eio__is_same_file (const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether a file is copied onto itself, and ranges of it overlap: the kernel
 * sees only one step of it. Sets the number of bytes that are to be copied: no
 * more than the file has, lest what is added to it be copied again. */
static int
eio__overlaps (eio_req *req, off_t to, size_t *count)
{
  struct stat in, out;
  off_t from = req->offs, length;

  if (eio_sys_fstat (req->int1, &in) || !S_ISREG (in.st_mode))
    return 0;
  from = from < 0 ? lseek (req->int1, 0, SEEK_CUR) : from;
  length = from < in.st_size ? in.st_size - from : 0;
  if ((unsigned long long)length > *count)
    length = (off_t)*count;
  eio__begin_progress (req, (unsigned long long)length);
  if (!length || eio_sys_fstat ((int)req->int2, &out)
      || !eio__is_same_file (&in, &out))
    return 0;
  *count = (size_t)length;
  to = to < 0 ? lseek ((int)req->int2, 0, SEEK_CUR) : to;
  return to < from ? from - to < length : to - from < length;
}

static eio_ssize_t
eio__copy_range (eio_req *req)
{
  eio__copier c = { .req = req,
                    .in = req->int1,
                    .out = (int)req->int2,
                    .in_offset = req->offs,
                    .out_offset = eio__out_offset (req),
                    .count = &req->eio_done };
  size_t count = req->size;
  eio_ssize_t res;

  eio__begin_progress (req, 0);
  if (eio__overlaps (req, c.out_offset, &count))
    return eio__invalid ();
  res = eio__copy_bytes (&c, count);
  eio__free_quietly (c.buf);
  return res;
}

static eio_ssize_t
eio__clone (eio_req *req)
{
  return eio_sys_clone (req->int1, (int)req->int2);
}

static eio_ssize_t
eio__splice (eio_req *req)
{
  return EIO__TRY (req, EIO__NO_SPLICE,
                   eio_sys_splice (req->int1, req->offs, (int)req->int2,
                                   eio__out_offset (req), req->size,
                                   (unsigned)req->int3));
}

static eio_ssize_t
eio__tee (eio_req *req)
{
  return EIO__TRY (req, EIO__NO_TEE,
                   eio_sys_tee (req->int1, (int)req->int2, req->size,
                                (unsigned)req->int3));
}

/* Whether offs and size are a range of a file. */
static int
eio__is_range (const eio_req *req)
{
  off_t length = (off_t)req->size;

  return req->offs >= 0 && length >= 0 && req->size != (size_t)-1;
}

static eio_ssize_t
eio__fadvise (eio_req *req)
{
  return eio__is_range (req)
           ? eio_sys_fadvise (req->int1, req->offs, (off_t)req->size,
                              (int)req->int2)
           : eio__invalid ();
}

/* What may do harm to neighbours in the same page is not widened. */
static eio_ssize_t
eio__madvise (eio_req *req)
{
  void *addr = req->ptr2;
  size_t length = req->size;

  if (eio_sys_is_mere_advice (req->int1) && eio__align (&addr, &length))
    return -1;
  return eio_sys_madvise (addr, length, req->int1);
}

static eio_ssize_t
eio__munlock (eio_req *req)
{
  void *addr = req->ptr2;
  size_t length = req->size;

  return eio__align (&addr, &length) ? -1 : munlock (addr, length);
}

static eio_ssize_t
eio__munlockall (eio_req *req)
{
  (void)req;
  return munlockall ();
}

/* In steps, so that cancellation is noticed. The other bits of each byte are
 * not the same everywhere. */
static int
eio__look_at_pages (const eio_req *req, size_t addr, size_t count,
                    unsigned char *pages)
{
  enum { EIO__MINCORE_STEP = 1 << 16 };
  size_t page = eio_sys_page_size (), i, n;

  for (i = 0; i < count; i += n)
    {
      if (EIO_CANCELLED (req))
        {
          errno = ECANCELED;
          return -1;
        }
      n = count - i < EIO__MINCORE_STEP ? count - i : EIO__MINCORE_STEP;
      if (eio_sys_mincore ((void *)(addr + i * page), n * page, pages + i))
        return -1;
    }
  for (i = 0; i < count; ++i)
    pages[i] &= 1;
  return 0;
}

/* What was allocated of a result that is given up, or given. */
static eio_ssize_t
eio__give_buffer (eio_req *req, void *buf, eio_ssize_t res)
{
  if (res >= 0)
    {
      req->ptr2 = buf;
      req->flags |= EIO_FLAG_PTR2_FREE;
    }
  else
    eio__free_quietly (buf);
  return res;
}

static eio_ssize_t
eio__mincore (eio_req *req)
{
  void *addr = req->ptr1;
  size_t length = req->size, count;
  unsigned char *pages = req->ptr2;
  int res;

  if (eio__align (&addr, &length))
    return -1;
  count = length / eio_sys_page_size ();
  if (!pages)
    pages = calloc (1, count ? count : 1);
  if (!pages)
    {
      errno = ENOMEM;
      return -1;
    }

  res = eio__look_at_pages (req, (size_t)addr, count, pages);
  if (pages != req->ptr2)
    eio__give_buffer (req, pages, res);
  return res ? res : (eio_ssize_t)count;
}

static eio_ssize_t
eio__fullsync (eio_req *req)
{
  int res = eio_sys_fullsync (req->int1);

  return res < 0 && (eio__wants_emulation (errno) || errno == ENOTTY)
           ? fsync (req->int1)
           : res;
}

/* The extents of a file that were found so far. */
typedef struct
{
  struct eio_extent *list;
  size_t count;
  size_t cap; /* of list */
  uint64_t at, end; /* what is looked for next */
} eio__extents;

enum { EIO__FIEMAP_BATCH = 1024 };

static int
eio__reserve_extents (eio__extents *e, size_t more)
{
  size_t cap = (e->count + more) * 2 + 1;
  struct eio_extent *list;

  if (e->list && e->count + more <= e->cap)
    return 0;
  list = eio_sys_realloc (e->list, cap * sizeof *list);
  if (!list)
    return -1;
  e->list = list;
  e->cap = cap;
  return 0;
}

/* Appends what lies behind what is there already: of a file that changes
 * meanwhile, an extent may have grown towards its front. */
static void
eio__add_extent (eio__extents *e, const eio_sys_extent *x)
{
  uint64_t end = x->logical + x->length;
  uint64_t cut = e->count && x->logical < e->at ? e->at - x->logical : 0;
  struct eio_extent *to = e->list + e->count;

  if (end < x->logical || (e->count && end <= e->at))
    return;
  to->logical = x->logical + cut;
  to->physical = x->physical + cut;
  to->length = x->length - cut;
  to->flags = x->flags;
  e->at = end;
  ++e->count;
}

/* One call. Returns 1 if there is more, 0 at the end, or -1. It is always asked
 * to the end of the file: where it is asked for less, Linux 5.8 on some file
 * systems cuts the extents there, and says of the last that it is that of the
 * file. */
static int
eio__add_extents (eio_req *req, eio__extents *e, eio_sys_extents *map)
{
  enum { EIO__FIEMAP_LAST = 1 };
  uint64_t at = e->at;
  uint32_t i;

  memset (map, 0, sizeof *map);
  map->start = at;
  map->length = (uint64_t)-1 - at;
  map->flags = (uint32_t)req->int2;
  map->count = EIO__FIEMAP_BATCH;
  if (EIO_CANCELLED (req))
    {
      errno = ECANCELED;
      return -1;
    }
  if (eio_sys_fiemap (req->int1, map)
      || eio__reserve_extents (e, map->mapped))
    return -1;

  for (i = 0; i < map->mapped && i < map->count; ++i)
    {
      if (map->extents[i].logical >= e->end)
        return 0;
      eio__add_extent (e, &map->extents[i]);
    }
  if (!i || map->extents[i - 1].flags & EIO__FIEMAP_LAST)
    return 0;
  return e->at > at && e->at < e->end;
}

/* Not in one call: there may be any number of them, and kernels that return
 * some cannot be relied on to return all. */
static eio_ssize_t
eio__fiemap (eio_req *req)
{
  eio__extents e = { 0, 0, 0, 0, 0 };
  eio_sys_extents *map;
  int res = 1;

  if (!eio__is_range (req))
    return eio__invalid ();
  e.at = (uint64_t)req->offs;
  e.end = req->size ? e.at + req->size : (uint64_t)-1;
  map = eio_sys_realloc (0, sizeof *map
                              + EIO__FIEMAP_BATCH * sizeof *map->extents);
  if (!map)
    return -1;
  while (res > 0)
    {
      res = eio__add_extents (req, &e, map);
      if (res < 0 && errno == EINTR)
        res = 1;
    }
  eio__give_buffer (req, e.list, res);
  eio__free_quietly (map);
  return res ? res : (eio_ssize_t)e.count;
}

/* The attribute that a request is about: int3 is a pointer. */
static const char *
eio__attr_name (const eio_req *req)
{
  return (const char *)req->int3;
}

typedef eio_ssize_t (*eio__node_op) (eio_req *req, const eio_sys_node *node);

static eio_ssize_t
eio__on_absolute_path (eio_req *req, eio__node_op act, int nofollow)
{
  eio_sys_node node = { eio__absolute_path (req), -1, nofollow };
  eio_ssize_t res = node.path ? act (req, &node) : -1;
  eio__free_quietly ((char *)node.path);
  return res;
}

/* Does something to what req's path leads to. There are no calls that start
 * from a directory; Linux lets us name what we have opened to do nothing. */
static eio_ssize_t
eio__on_path (eio_req *req, eio__node_op act)
{
  int nofollow = (int)req->int2 & AT_SYMLINK_NOFOLLOW, fd;
  eio_sys_node node = { req->ptr1, -1, nofollow };
  eio_ssize_t res;
  char path[40];

  if (!eio__needs_wd (req))
    return act (req, &node);
  if (!EIO__O_NOTHING)
    return eio__on_absolute_path (req, act, nofollow);

  fd = eio_sys_open (req->wd->fd, req->ptr1,
                     EIO__O_NOTHING | (nofollow ? O_NOFOLLOW : 0));
  if (fd < 0)
    return -1;
  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  node.path = path;
  node.nofollow = 0;
  res = act (req, &node);
  eio__close_quietly (fd);

  /* There may be no /proc. */
  return res < 0 && errno == ENOENT
           ? eio__on_absolute_path (req, act, nofollow)
           : res;
}

/* Runs it on the path or the descriptor of req; flags are those of int2 that
 * it knows, beside the one for paths. */
static eio_ssize_t
eio__on_node (eio_req *req, eio__node_op act, int is_path, long flags)
{
  eio_sys_node node = { 0, req->int1, 0 };

  if (is_path)
    flags |= AT_SYMLINK_NOFOLLOW;
  if (req->int2 & ~flags)
    return eio__invalid ();
  return is_path ? eio__on_path (req, act) : act (req, &node);
}

/* The value of an attribute, or the list of their names. */
static eio_ssize_t
eio__get_attr (const eio_req *req, const eio_sys_node *node, void *buf,
               size_t size)
{
  int lists = req->type == EIO_LISTXATTR || req->type == EIO_FLISTXATTR;
  ssize_t n;

  do
    n = lists ? eio_sys_listxattr (node, buf, size)
              : eio_sys_getxattr (node, eio__attr_name (req), buf, size);
  while (n < 0 && errno == EINTR && !EIO_CANCELLED (req));
  return n;
}

/* A buffer that holds it, however it changes meanwhile; behind it is a 0. */
static eio_ssize_t
eio__fetch_attr (eio_req *req, const eio_sys_node *node)
{
  enum { EIO__ATTR_SIZE = 256, EIO__MAX_ATTR_SIZE = 1 << 24 };
  size_t size = EIO__ATTR_SIZE;
  eio_ssize_t n = -1;
  char *buf = 0, *more;

  if (req->ptr2) /* 0 would ask for the size */
    return req->size ? eio__get_attr (req, node, req->ptr2, req->size)
                     : eio__invalid ();

  while (!EIO_CANCELLED (req))
    {
      more = eio_sys_realloc (buf, size + 1);
      if (!more)
        return eio__give_buffer (req, buf, -1);
      buf = more;
      n = eio__get_attr (req, node, buf, size);
      if (n >= 0)
        {
          memset (buf + n, 0, size + 1 - (size_t)n);
          return eio__give_buffer (req, buf, n);
        }
      if (errno != ERANGE || size >= EIO__MAX_ATTR_SIZE)
        return eio__give_buffer (req, buf, -1);
      n = eio__get_attr (req, node, 0, 0);
      if (n < 0 && !EIO_CANCELLED (req)) /* the name is wrong, not the size */
        return eio__give_buffer (req, buf, -1);
      size = n > 0 && (size_t)n > 2 * size ? (size_t)n : 2 * size;
      n = -1;
    }
  errno = ECANCELED;
  return eio__give_buffer (req, buf, n);
}

static eio_ssize_t
eio__put_attr (eio_req *req, const eio_sys_node *node)
{
  if ((req->size && !req->ptr2) || req->size > (size_t)-1 / 2)
    {
      errno = req->ptr2 ? E2BIG : EFAULT;
      return -1;
    }
  return eio_sys_setxattr (node, eio__attr_name (req), req->ptr2, req->size,
                           (int)req->int2);
}

static eio_ssize_t
eio__drop_attr (eio_req *req, const eio_sys_node *node)
{
  return eio_sys_removexattr (node, eio__attr_name (req));
}

static eio_ssize_t
eio__getxattr (eio_req *req)
{
  return eio__on_node (req, eio__fetch_attr, 1, 0);
}

static eio_ssize_t
eio__setxattr (eio_req *req)
{
  return eio__on_node (req, eio__put_attr, 1,
                       EIO_XATTR_CREATE | EIO_XATTR_REPLACE);
}

static eio_ssize_t
eio__removexattr (eio_req *req)
{
  return eio__on_node (req, eio__drop_attr, 1, 0);
}

static eio_ssize_t
eio__fgetxattr (eio_req *req)
{
  return eio__on_node (req, eio__fetch_attr, 0, 0);
}

static eio_ssize_t
eio__fsetxattr (eio_req *req)
{
  return eio__on_node (req, eio__put_attr, 0,
                       EIO_XATTR_CREATE | EIO_XATTR_REPLACE);
}

static eio_ssize_t
eio__fremovexattr (eio_req *req)
{
  return eio__on_node (req, eio__drop_attr, 0, 0);
}

/* --- requests 75 to 110: paths ------------------------------------------- */

static eio_ssize_t
eio__access (eio_req *req)
{
  return faccessat (eio__dirfd (req->wd), req->ptr1, (int)req->int2, 0);
}

static eio_ssize_t
eio__lchown (eio_req *req)
{
  return fchownat (eio__dirfd (req->wd), req->ptr1, (eio_uid_t)req->int2,
                   (eio_gid_t)req->int3, AT_SYMLINK_NOFOLLOW);
}

static eio_ssize_t
eio__lutime (eio_req *req)
{
  struct timespec times[2], *arg;

  return eio__get_times (req, times, &arg)
         ? -1
         : utimensat (eio__dirfd (req->wd), req->ptr1, arg,
                      AT_SYMLINK_NOFOLLOW);
}

static eio_ssize_t
eio__utimens (eio_req *req)
{
  return utimensat (eio__dirfd (req->wd), req->ptr1, req->ptr2, req->int1);
}

static eio_ssize_t
eio__futimens (eio_req *req)
{
  return futimens (req->int1, req->ptr2);
}

static eio_ssize_t
eio__lchmod (eio_req *req)
{
  return eio_sys_lchmodat (eio__dirfd (req->wd), req->ptr1,
                           (mode_t)req->int2);
}

static eio_ssize_t
eio__rename2 (eio_req *req)
{
  return req->int2 ? EIO__TRY (req, EIO__NO_RENAMEAT2, eio__rename (req))
                   : eio__rename (req);
}

static eio_ssize_t
eio__link2 (eio_req *req)
{
  return linkat (eio__dirfd (req->wd), req->ptr1,
                 eio__dirfd (eio__new_wd (req)), req->ptr2, req->int1);
}

static eio_ssize_t
eio__unlink2 (eio_req *req)
{
  return req->int1 == AT_REMOVEDIR
           ? eio__rmdir (req)
           : unlinkat (eio__dirfd (req->wd), req->ptr1, req->int1);
}

/* Without RESOLVE_ flags it is what every system has. With some, no
 * substitute is safe. */
static eio_ssize_t
eio__open2 (eio_req *req)
{
  return req->int3 ? EIO__TRY (req, EIO__NO_RESOLVE,
                               eio_sys_openat2 (eio__dirfd (req->wd),
                                                req->ptr1, req->int1,
                                                (mode_t)req->int2,
                                                (unsigned)req->int3))
                   : eio__open (req);
}

/* --- temporary files ----------------------------------------------------- */

/* For files that get another name, or none, soon. */
#define EIO__TEMP_NAME ".eio-XXXXXX"

enum
{
  EIO__MARK = 6, /* X at the end of a template */
  EIO__TEMP_TRIES = 1000
};

/* Makes a symbolic link to what is not null, or a file with open's flags, or,
 * if there are none, a directory, of a name that nothing had: puts letters and
 * digits in place of the X at path's end. */
static int
eio__make_temp (int dirfd, char *path, int flags, mode_t mode,
                const char *target)
{
  static const char letters[]
    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  char *mark = path + strlen (path) - EIO__MARK;
  unsigned char random[EIO__MARK];
  int tries, i, res = -1;

  for (tries = 0; tries < EIO__TEMP_TRIES; ++tries)
    {
      eio_sys_random (random, sizeof random);
      for (i = 0; i < EIO__MARK; ++i)
        mark[i] = letters[random[i] % (sizeof letters - 1)];
      res = target  ? symlinkat (target, dirfd, path)
            : flags ? openat (dirfd, path, flags | O_CREAT | O_EXCL, mode)
                    : mkdirat (dirfd, path, mode);
      if (res >= 0 || (errno != EEXIST && errno != EINTR))
        break;
    }
  return res;
}

/* A malloced copy of a template; null if it is none, or memory is out. */
static char *
eio__copy_template (const char *template)
{
  size_t n = strlen (template);
  char *path;

  if (n < EIO__MARK || strcmp (template + n - EIO__MARK, "XXXXXX"))
    {
      errno = EINVAL;
      return 0;
    }
  path = eio_sys_realloc (0, n + 1);
  return path ? memcpy (path, template, n + 1) : 0;
}

/* MKDTEMP and MKSTEMP. The template may be a constant, so the name goes to a
 * block of its own. */
static eio_ssize_t
eio__mktemp (eio_req *req, int flags, mode_t mode)
{
  char *path = eio__copy_template (req->ptr1);
  int res = -1;

  if (path)
    res = eio__make_temp (eio__dirfd (req->wd), path, flags, mode, 0);
  if (res < 0)
    {
      eio__free_quietly (path);
      return -1;
    }

  if (req->flags & EIO_FLAG_PTR1_FREE)
    free (req->ptr1);
  req->ptr1 = path;
  req->flags |= EIO_FLAG_PTR1_FREE;
  return res;
}

static eio_ssize_t
eio__mkdtemp (eio_req *req)
{
  return eio__mktemp (req, 0, 0700);
}

static eio_ssize_t
eio__mkstemp (eio_req *req)
{
  return eio__mktemp (req, O_RDWR | O_CLOEXEC, 0600);
}

/* Not stopped by signals. */
static int
eio__unlink_name (int dirfd, const char *path)
{
  int res;

  do
    res = unlinkat (dirfd, path, 0);
  while (res && errno == EINTR);
  return res;
}

/* The same, for those who have failed already. */
static void
eio__unlink_quietly (int dirfd, const char *path)
{
  int saved = errno;

  eio__unlink_name (dirfd, path);
  errno = saved;
}

/* By hand: somebody may see the name for a moment. */
static int
eio__open_and_unlink (const eio_req *req)
{
  char name[] = EIO__TEMP_NAME;
  int dirfd = eio_sys_open (eio__dirfd (req->wd), req->ptr1,
                            EIO__O_SEARCH | O_DIRECTORY);
  int fd;

  if (dirfd < 0)
    return -1;
  fd = eio__make_temp (dirfd, name, req->int1, (mode_t)req->int2, 0);
  if (fd >= 0 && eio__unlink_name (dirfd, name))
    {
      eio__close_quietly (fd);
      fd = -1;
    }
  eio__close_quietly (dirfd);
  return fd;
}

static eio_ssize_t
eio__tmpfile (eio_req *req)
{
  int mode = req->int1 & O_ACCMODE, fd;

  req->int1 &= ~(O_CREAT | EIO__O_TMPFILE);
  if ((mode != O_WRONLY && mode != O_RDWR) || req->int1 & EIO__O_NOTHING)
    return eio__fail (EINVAL); /* so says Linux; O_PATH would open dir */
  fd = (int)EIO__TRY (req, EIO__NO_TMPFILE,
                      eio_sys_open_unnamed (eio__dirfd (req->wd), req->ptr1,
                                            req->int1, (mode_t)req->int2));
  return fd < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)
           ? eio__open_and_unlink (req)
           : fd;
}

static eio_ssize_t
eio__linkfd (eio_req *req)
{
  if (fcntl (req->int1, F_GETFD) < 0)
    return -1;
  return eio_sys_link_fd (req->int1, eio__dirfd (req->wd), req->ptr1);
}

/* --- making directories -------------------------------------------------- */

/* Returns 1 if the directory was made, 0 if it is there. Systems have several
 * errors that come before EEXIST. */
static int
eio__mkdir_unless_there (int dirfd, const char *path, mode_t mode)
{
  struct stat st;
  int error;

  if (!mkdirat (dirfd, path, mode))
    return 1;
  error = errno;
  if (error != ENOENT && !eio_sys_stat (dirfd, path, &st, 0)
      && S_ISDIR (st.st_mode))
    return 0;
  return eio__fail (error);
}

/* The same of a directory that more is made in, for which its owner needs
 * rights that the umask may have taken. If they cannot be had, the next step
 * fails. */
static int
eio__mkdir_on_the_way (int dirfd, const char *path, mode_t mode)
{
  int made = eio__mkdir_unless_there (dirfd, path, mode | 0300);
  struct stat st;

  if (made > 0 && !eio_sys_stat (dirfd, path, &st, AT_SYMLINK_NOFOLLOW)
      && S_ISDIR (st.st_mode) && (st.st_mode & 0300) != 0300)
    eio_sys_lchmodat (dirfd, path, (st.st_mode & 07777) | 0300);
  return made;
}

/* How long path is without its last name; 0 if there is nothing before. */
static size_t
eio__parent_length (const char *path, size_t len)
{
  while (len && path[len - 1] != '/')
    --len;
  while (len && path[len - 1] == '/')
    --len;
  return len;
}

/* How long path is with the name that follows what is len long. */
static size_t
eio__child_length (const char *path, size_t len)
{
  len += strspn (path + len, "/");
  return len + strcspn (path + len, "/");
}

/* From what there is to the end, but the end is tried first: mostly, little
 * is missing. Others may make or remove directories meanwhile; whoever goes
 * on removing them is given up on. Those on the way are made such that one
 * can go on. */
static int
eio__make_all_dirs (const eio_req *req, char *path, size_t len)
{
  enum { EIO__SPARE_STEPS = 1000 };
  size_t at = len, steps = len + EIO__SPARE_STEPS;
  mode_t mode = (mode_t)req->int2;
  int dirfd = eio__dirfd (req->wd), n = 0;

  for (;;)
    {
      char cut = path[at];
      int made;

      if (EIO_CANCELLED (req))
        return eio__fail (ECANCELED);
      path[at] = 0;
      made = at < len ? eio__mkdir_on_the_way (dirfd, path, mode)
                      : eio__mkdir_unless_there (dirfd, path, mode);
      path[at] = cut;

      if (made >= 0)
        {
          n += made;
          if (at == len)
            return n;
          at = eio__child_length (path, at);
        }
      else if (errno == ENOENT && --steps
               && eio__parent_length (path, at))
        at = eio__parent_length (path, at);
      else if (errno != EINTR)
        return -1;
    }
}

static eio_ssize_t
eio__mkdirs (eio_req *req)
{
  size_t n = strlen (req->ptr1);
  char *path = eio_sys_realloc (0, n + 1);
  int res;

  if (!path)
    return -1;
  memcpy (path, req->ptr1, n + 1);
  while (n > 1 && path[n - 1] == '/')
    path[--n] = 0;

  res = eio__make_all_dirs (req, path, n);
  eio__free_quietly (path);
  return res;
}

/* --- directories in batches ---------------------------------------------- */

/* Who reads it has it alone. It is closed, and freed, by the last of those that
 * hold it: the host, until closedir; and each readdir_next, from its submission
 * to the end of its execution, as a closedir that was submitted after it may
 * overtake it. */
struct eio_dir
{
  DIR *dir;
  EIO_STRUCT_DIRENT *next; /* was read, but did not fit */
  int busy, closed;        /* atomic */
  unsigned holders;        /* atomic */
};

enum { EIO__BATCH_SIZE = 65536 };

static eio_dir *
eio__dir (const eio_req *req)
{
  return (eio_dir *)req->int3;
}

static eio_ssize_t
eio__opendir (eio_req *req)
{
  eio_dir *d = eio_sys_realloc (0, sizeof *d);

  req->int3 = 0;
  if (!d)
    return -1;
  d->dir = eio__open_listed (req);
  d->next = 0;
  d->busy = d->closed = 0;
  d->holders = 1;
  if (!d->dir)
    {
      int saved = errno;

      free (d);
      return eio__fail (saved);
    }
  req->int3 = (long)d;
  return 0;
}

/* A readdir_next that is submitted. */
static void ecb_noinline
eio__hold_dir (const eio_req *req)
{
  eio_dir *d = eio__dir (req);

  if (d)
    ecb_add_seq_cst (d->holders, 1u);
}

/* Returns what closedir does, if this was the last to hold it. */
static int
eio__leave_dir (eio_dir *d)
{
  int res;

  if (ecb_add_seq_cst (d->holders, -1u) > 1)
    return 0;
  res = closedir (d->dir);
  eio__free_quietly (d);
  return res;
}

static eio_ssize_t
eio__closedir (eio_req *req)
{
  eio_dir *d = eio__dir (req);

  if (!d)
    return eio__fail (EINVAL);
  req->int3 = 0;
  return ecb_swap_seq_cst (d->closed, 1) ? eio__fail (EBADF)
                                         : eio__leave_dir (d);
}

/* Sets d->next, to null at the end. */
static int
eio__read_next (eio_dir *d)
{
  do
    {
      errno = 0;
      d->next = readdir (d->dir);
    }
  while (d->next ? eio__is_self_or_parent (d->next->d_name) : errno == EINTR);
  return d->next || !errno ? 0 : -1;
}

/* Bytes that an entry takes. */
static size_t
eio__entry_size (const eio__listing *l, const EIO_STRUCT_DIRENT *de)
{
  return strlen (de->d_name) + 1
         + (l->flags & EIO_READDIR_DENTS ? sizeof (eio_dirent) : 0);
}

/* One entry fits always. What goes wrong behind the first is told the next
 * time. */
static int
eio__read_batch (const eio_req *req, eio__listing *l, eio_dir *d)
{
  size_t max = req->size ? req->size : EIO__BATCH_SIZE, used = 0, n;

  for (;;)
    {
      if (EIO_CANCELLED (req))
        return eio__fail (ECANCELED);
      if (!d->next && eio__read_next (d))
        return l->count ? 0 : -1;
      if (!d->next)
        return 0;
      n = eio__entry_size (l, d->next);
      if (l->count && (used >= max || n > max - used))
        return 0;
      if (eio__add_entry (l, d->next))
        return l->count ? 0 : -1;
      used += n;
      d->next = 0;
    }
}

static eio_ssize_t
eio__readdir_next (eio_req *req)
{
  eio_dir *d = eio__dir (req);
  eio__listing l;
  int res;

  if (!d)
    return eio__fail (EINVAL);
  if (ecb_load_seq_cst (d->closed))
    return eio__fail (EBADF);
  if (ecb_swap_seq_cst (d->busy, 1))
    return eio__fail (EBUSY);

  res = eio__begin_listing (&l, req->int1);
  if (!res)
    res = eio__read_batch (req, &l, d);
  ecb_store_seq_cst (d->busy, 0);
  return eio__end_listing (req, &l, res);
}

/* Asks for the types that the file system did not deliver with the names, the
 * likely directories first, and those in the order of their inodes. How many
 * there are could be told by the directory's link count, where that is more
 * than 1; but then the others would have no type. */
static int
eio__resolve_types (const eio_req *req, eio__listing *l, int dirfd)
{
  size_t i;
  struct stat st;

  if (eio__sort_entries (l))
    return -1;
  l->flags &= ~EIO_READDIR_FOUND_UNKNOWN;
  for (i = 0; i < l->count; ++i)
    {
      eio_dirent *ent = &l->dents[i];
      const char *name = l->names + ent->nameofs;
      int res;

      if (ent->type != EIO_DT_UNKNOWN)
        continue;
      do
        {
          if (EIO_CANCELLED (req))
            return eio__fail (ECANCELED);
          res = fstatat (dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
        }
      while (res && errno == EINTR);

      if (res)
        l->flags |= EIO_READDIR_FOUND_UNKNOWN;
      else
        {
          ent->type = (unsigned char)((st.st_mode & S_IFMT) >> 12);
          ent->score = eio__score (name, ent->namelen, ent->type);
        }
    }
  return 0;
}

static int
eio__scan (eio_req *req, eio__listing *l)
{
  DIR *dir = eio__open_listed (req);
  int res, saved;

  if (!dir)
    return -1;
  res = eio__read_entries (req, l, dir);
  if (!res && l->flags & EIO_READDIR_FOUND_UNKNOWN)
    res = eio__resolve_types (req, l, dirfd (dir));
  saved = errno;
  closedir (dir);
  errno = saved;
  return res;
}

static eio_ssize_t
eio__scandir (eio_req *req)
{
  eio__listing l;
  eio_ssize_t n, i, dirs = 0;
  int res = eio__begin_listing (&l, req->int1 | EIO_READDIR_DENTS
                                      | EIO_READDIR_DIRS_FIRST);

  if (!res)
    res = eio__scan (req, &l);
  n = eio__end_listing (req, &l, res);
  for (i = 0; i < n; ++i)
    dirs += ((eio_dirent *)req->ptr1)[i].type == EIO_DT_DIR;
  req->int3 = (long)dirs;
  return n;
}

/* --- whole files --------------------------------------------------------- */

static eio_ssize_t
eio__load (eio_req *req)
{
  req->size = 0;
  req->offs = 0;
  return eio__slurp (req);
}

/* Opens it without waiting for anybody. What may only be written is opened
 * for that. */
static eio_ssize_t
eio__pathsync (eio_req *req)
{
  int flags = O_NONBLOCK | O_NOCTTY, res;
  int fd = eio_sys_open (eio__dirfd (req->wd), req->ptr1, O_RDONLY | flags);

  if (fd < 0 && errno == EACCES)
    {
      fd = eio_sys_open (eio__dirfd (req->wd), req->ptr1, O_WRONLY | flags);
      if (fd < 0 && errno == EISDIR)
        errno = EACCES;
    }
  if (fd < 0)
    return errno == ENXIO ? eio__fail (EINVAL) : -1; /* a socket */
  do
    res = fsync (fd);
  while (res && errno == EINTR);
  eio__close_quietly (fd);
  return res;
}

/* Where a file is, or will be, under a name: its directory, open, and the
 * name in that. */
typedef struct
{
  int dirfd;
  char *path; /* malloced, cut before the name */
  const char *name;
} eio__place;

static void
eio__leave_place (eio__place *p)
{
  int saved = errno;

  if (p->dirfd >= 0)
    eio_sys_close (p->dirfd);
  free (p->path);
  errno = saved;
}

/* Cuts path in two. The directory is one that can be brought to the disk, if
 * need be. */
static int
eio__find_place (eio__place *p, eio_wd wd, const char *path, int sync)
{
  const char *dir = ".";
  char *slash;

  p->dirfd = -1;
  p->path = eio_sys_realloc (0, strlen (path) + 1);
  if (!p->path)
    return -1;
  p->name = strcpy (p->path, path);
  slash = strrchr (p->path, '/');
  if (slash)
    {
      p->name = slash + 1;
      dir = slash == p->path ? "/" : p->path;
      *slash = 0;
    }

  if (!*path)
    errno = ENOENT;
  else if (!*p->name || eio__is_self_or_parent (p->name))
    errno = EISDIR;
  else
    p->dirfd = eio_sys_open (eio__dirfd (wd), dir,
                             (sync ? O_RDONLY : EIO__O_SEARCH) | O_DIRECTORY);
  if (p->dirfd >= 0)
    return 0;
  eio__leave_place (p);
  return -1;
}

/* The same of what a link at path leads to. */
static int
eio__find_linked_place (eio__place *p, eio_wd wd, const char *path, int sync)
{
  char *real = eio_sys_realloc (0, EIO__PATH_BUF);
  int res = -1;

  if (real && eio__realpath_to (wd, path, real) >= 0)
    res = eio__find_place (p, EIO_CWD, real, sync);
  eio__free_quietly (real);
  return res;
}

/* The place of a file that will be replaced, and its status; mode 0 if there
 * is none yet. Only a regular file can be replaced. */
static int
eio__find_file (eio__place *p, struct stat *st, eio_wd wd, const char *path,
                int sync)
{
  if (eio__find_place (p, wd, path, sync))
    return -1;
  if (eio_sys_stat (p->dirfd, p->name, st, AT_SYMLINK_NOFOLLOW))
    st->st_mode = 0;
  else if (S_ISLNK (st->st_mode))
    {
      eio__leave_place (p);
      if (eio__find_linked_place (p, wd, path, sync))
        return -1;
      if (eio_sys_stat (p->dirfd, p->name, st, AT_SYMLINK_NOFOLLOW))
        st->st_mode = 0;
    }
  if (!st->st_mode ? errno == ENOENT : S_ISREG (st->st_mode))
    return 0;
  if (st->st_mode)
    errno = S_ISDIR (st->st_mode) ? EISDIR : EINVAL;
  eio__leave_place (p);
  return -1;
}

/* Brings a file, or the names of a directory, to the disk. Not all file
 * systems can do the latter, or need to. */
static int
eio__sync_fd (int fd)
{
  int res;

  do
    res = fsync (fd);
  while (res && errno == EINTR);
  return res && errno == EINVAL ? 0 : res;
}

static int
eio__save_bytes (eio_req *req, int fd)
{
  const char *buf = req->ptr2;
  size_t left = req->size;

  eio__begin_progress (req, left);
  while (left)
    {
      ssize_t n;

      if (EIO_CANCELLED (req))
        return eio__fail (ECANCELED);
      n = write (fd, buf, left < EIO__COPY_STEP ? left : EIO__COPY_STEP);
      if (!n)
        return eio__fail (ENOSPC); /* it takes no more, and says nothing */
      if (n < 0 && errno != EINTR)
        return -1;
      if (n > 0)
        {
          buf += n;
          left -= (size_t)n;
          eio__make_progress (req, n);
        }
    }
  return 0;
}

/* Gives a file an owner and group, as far as we may. Nobody gets rights from
 * us by a set-id bit that were meant for others: mode loses it. */
static int
eio__set_owner (int fd, const struct stat *st, mode_t *mode)
{
  struct stat is;

  if (eio_sys_fstat (fd, &is))
    return -1;
  if ((is.st_uid != st->st_uid || is.st_gid != st->st_gid)
      && fchown (fd, st->st_uid, st->st_gid))
    {
      if (is.st_uid != st->st_uid)
        *mode &= ~(mode_t)S_ISUID;
      if (is.st_gid != st->st_gid && fchown (fd, (eio_uid_t)-1, st->st_gid))
        *mode &= ~(mode_t)S_ISGID;
    }
  return 0;
}

static int
eio__set_mode (int fd, mode_t mode)
{
  struct stat is;

  if (eio_sys_fstat (fd, &is))
    return -1;
  return (is.st_mode & 07777) == mode ? 0 : fchmod (fd, mode);
}

/* Fills the new file. The old one's mode is kept, or that is set again which
 * it was made with: writing takes bits away. */
static int
eio__save_to (eio_req *req, int fd, const struct stat *old)
{
  struct stat st;
  mode_t mode;

  if (eio_sys_fstat (fd, &st))
    return -1;
  mode = (old->st_mode && !req->int2 ? old->st_mode : st.st_mode) & 07777;
  if (eio__save_bytes (req, fd)
      || (old->st_mode && eio__set_owner (fd, old, &mode))
      || eio__set_mode (fd, mode))
    return -1;
  return req->int1 & EIO_SAVE_SYNC ? eio__sync_fd (fd) : 0;
}

/* Closing tells of what went wrong before, on some file systems. */
static int
eio__close_written (int fd, int res)
{
  if (res)
    eio__close_quietly (fd);
  else if (eio_sys_close (fd) && errno != EINTR)
    return -1;
  return res;
}

static int
eio__replace (eio_req *req, const eio__place *p, const struct stat *old)
{
  char temp[] = EIO__TEMP_NAME;
  mode_t mode = req->int2     ? (mode_t)req->int2
                : old->st_mode ? 0600
                               : 0666;
  int fd = eio__make_temp (p->dirfd, temp, O_WRONLY | O_CLOEXEC, mode, 0);
  int res;

  if (fd < 0)
    return -1;
  res = eio__close_written (fd, eio__save_to (req, fd, old));
  if (!res && EIO_CANCELLED (req))
    res = eio__fail (ECANCELED);
  if (!res)
    res = renameat (p->dirfd, temp, p->dirfd, p->name);
  if (res)
    {
      eio__unlink_quietly (p->dirfd, temp);
      return -1;
    }
  return req->int1 & EIO_SAVE_SYNC ? eio__sync_fd (p->dirfd) : 0;
}

static eio_ssize_t
eio__save (eio_req *req)
{
  eio__place p;
  struct stat old;
  int res;

  if (req->int1 & ~EIO_SAVE_SYNC || req->int2 & ~07777L)
    return eio__fail (EINVAL);
  if (eio__find_file (&p, &old, req->wd, req->ptr1,
                      req->int1 & EIO_SAVE_SYNC))
    return -1;
  res = eio__replace (req, &p, &old);
  eio__leave_place (&p);
  return res;
}

/* --- copying and moving files -------------------------------------------- */

enum
{
  EIO__COPY_FLAGS = EIO_COPY_EXCL | EIO_COPY_ARCHIVE | EIO_COPY_SYNC
                    | EIO_COPY_CLONE_ONLY
};

/* Errors of what is done as far as it is possible. */
static int
eio__is_forgiven (int error)
{
  return error == EPERM || error == ENOSYS || error == ENOTSUP
         || error == EOPNOTSUPP;
}

/* Copies a range to the same place. Moves *offset on to end, or to the end of
 * the file. */
static int
eio__copy_data_range (eio__copier *c, off_t *offset, off_t end)
{
  c->in_offset = *offset;
  if (eio_sys_seek (c->out, *offset, SEEK_SET) < 0)
    return -1;
  while (c->in_offset < end)
    {
      off_t left = end - c->in_offset;
      eio_ssize_t n = eio__copy_bytes (
        c, left < EIO__COPY_STEP ? (size_t)left : EIO__COPY_STEP);

      if (c->error)
        return eio__fail (c->error);
      if (eio__is_given_up (c))
        return eio__fail (ECANCELED);
      if (!n && !c->begun)
        break;
      c->begun = n > 0; /* else that is to be found out by hand */
    }
  *offset = c->in_offset;
  return 0;
}

/* Of a file that does not tell its length, such as those in /proc. */
static int
eio__copy_to_end (eio__copier *c)
{
  off_t offset = 0, before;

  if (eio__copy_by_hand (c))
    return -1;
  do
    {
      before = offset;
      if (eio__copy_data_range (c, &offset, offset + EIO__COPY_STEP))
        return -1;
    }
  while (offset > before);
  return 0;
}

/* As much as the file had when it was opened, if it still has that. Holes
 * stay holes: the target is empty at first. */
static int
eio__copy_data (eio__copier *c)
{
  off_t offset = 0, size = c->from.st_size, data, hole;
  struct stat now;

  if (!size)
    return eio__copy_to_end (c);

  while (offset < size)
    {
      if (eio_sys_find_data (c->in, offset, &data, &hole))
        {
          if (errno == ENXIO)
            break;
          data = offset;
          hole = size;
        }
      if (data >= size)
        break;
      if (hole > size)
        hole = size;
      eio__count_skipped (c, data - offset);
      offset = data;
      if (eio__copy_data_range (c, &offset, hole))
        return -1;
      if (offset < hole)
        size = offset; /* it has become shorter */
    }
  if (offset == size)
    return 0;

  if (eio_sys_fstat (c->in, &now))
    return -1;
  eio__count_skipped (c, size - offset);
  return ftruncate (c->out, now.st_size < size ? now.st_size : size);
}

/* Shares the blocks, if the file system can. */
static int
eio__clone_or_copy_data (eio__copier *c)
{
  if (eio_sys_clone (c->in, c->out))
    return c->flags & EIO_COPY_CLONE_ONLY ? -1 : eio__copy_data (c);
  eio__count_skipped (c, c->from.st_size);
  return 0;
}

static ssize_t
eio__read_attr (const eio__copier *c, const char *name, char *buf, size_t size)
{
  const eio_sys_node in = { 0, c->in, 0 };
  ssize_t n;

  do
    n = name ? eio_sys_getxattr (&in, name, buf, size)
             : eio_sys_listxattr (&in, buf, size);
  while (n < 0 && errno == EINTR && !eio__is_given_up (c));
  return n;
}

/* The value of an attribute, or, without a name, all names, however long that
 * has become when it is read. Returns the length, or -1; *buf must be freed. */
static ssize_t
eio__take_attr (const eio__copier *c, const char *name, char **buf)
{
  char *more;
  ssize_t n;

  *buf = 0;
  do
    {
      n = eio__read_attr (c, name, 0, 0);
      more = n < 0 ? 0 : eio_sys_realloc (*buf, (size_t)n + 1);
      if (!more)
        return -1;
      *buf = more;
      n = eio__read_attr (c, name, more, (size_t)n + 1);
    }
  while (n < 0 && errno == ERANGE && !eio__is_given_up (c));
  return n;
}

/* What is gone meanwhile, or cannot be set because of who we are, or where, is
 * left out. */
static int
eio__copy_xattr (const eio__copier *c, const char *name)
{
  const eio_sys_node out = { 0, c->out, 0 };
  char *value;
  ssize_t n = eio__take_attr (c, name, &value);
  int res = -1, error;

  if (n >= 0)
    do
      res = eio_sys_setxattr (&out, name, value, (size_t)n, 0);
    while (res && errno == EINTR && !eio__is_given_up (c));
  error = errno;
  free (value);
  return !res || eio__is_forgiven (error) || error == EIO__ENOATTR
             || error == ENOSPC || error == EDQUOT || error == E2BIG
           ? 0
           : eio__fail (error);
}

static int
eio__copy_xattrs (const eio__copier *c)
{
  char *names;
  ssize_t n = eio__take_attr (c, 0, &names), i;
  int res = n < 0 && !eio__is_forgiven (errno) ? -1 : 0;

  for (i = 0; i < n && !res; i += (ssize_t)strlen (names + i) + 1)
    res = eio__copy_xattr (c, names + i);
  eio__free_quietly (names);
  return res;
}

/* In this order: a new owner loses capabilities, which are attributes; those
 * of users cannot be written once the mode forbids it. */
static int
eio__copy_status (const eio__copier *c)
{
  mode_t mode = c->from.st_mode & 07777;
  struct timespec times[3];

  if (c->flags & EIO_COPY_OWNER)
    {
      if (eio__set_owner (c->out, &c->from, &mode))
        return -1;
    }
  else
    {
      mode &= ~(mode_t)(c->from.st_uid == c->to.st_uid ? 0 : S_ISUID);
      mode &= ~(mode_t)(c->from.st_gid == c->to.st_gid ? 0 : S_ISGID);
    }
  if (c->flags & EIO_COPY_XATTR && eio__copy_xattrs (c))
    return -1;
  if (eio__set_mode (c->out, mode) && !eio__is_forgiven (errno))
    return -1;

  eio_sys_get_times (&c->from, times);
  return c->flags & EIO_COPY_TIMES && futimens (c->out, times)
             && !eio__is_forgiven (errno)
           ? -1
           : 0;
}

static int
eio__copy_file (eio__copier *c)
{
  int res = S_ISREG (c->from.st_mode) ? eio__clone_or_copy_data (c) : 0;

  if (!res)
    res = eio__copy_status (c);
  if (!res && c->flags & EIO_COPY_SYNC)
    res = eio__sync_fd (c->out);
  if (!res && eio__is_given_up (c))
    res = eio__fail (ECANCELED);
  eio__free_quietly (c->buf);
  return res;
}

/* Opens it without waiting for anybody. */
static int
eio__open_source (eio__copier *c, int dirfd, const char *path, int flags)
{
  c->in = eio_sys_open (dirfd, path,
                        O_RDONLY | O_NONBLOCK | O_NOCTTY | flags);
  if (c->in < 0)
    return -1;
  if (!eio_sys_fstat (c->in, &c->from))
    {
      if (S_ISREG (c->from.st_mode))
        return 0;
      errno = S_ISDIR (c->from.st_mode) ? EISDIR : EINVAL;
    }
  eio__close_quietly (c->in);
  return -1;
}

/* Sets *made to whether the file is new. Only if it has to be: systems do not
 * let everybody open an existing file with O_CREAT. */
static int
eio__open_target (eio__copier *c, int dirfd, const char *path, int *made)
{
  int flags = O_WRONLY | O_NONBLOCK | O_NOCTTY;

  c->out = eio_sys_open (dirfd, path, flags | O_CREAT | O_EXCL);
  *made = c->out >= 0;
  if (c->out < 0 && errno == EEXIST && !(c->flags & EIO_COPY_EXCL))
    {
      c->out = eio_sys_open (dirfd, path, flags);
      if (c->out < 0 && errno == ENOENT) /* a link that leads nowhere */
        c->out = eio_sys_open (dirfd, path, flags | O_CREAT);
    }
  return c->out < 0 ? -1 : 0;
}

/* Empties it, unless it must not be written to. */
static int
eio__prepare_target (eio__copier *c)
{
  if (eio_sys_fstat (c->out, &c->to))
    return -1;
  if (!S_ISREG (c->to.st_mode) || eio__is_same_file (&c->from, &c->to))
    return eio__fail (EINVAL);
  return ftruncate (c->out, 0);
}

/* Removes a name, if it is still that of this file, which may be null. */
static void
eio__unlink_same (int dirfd, const char *path, const struct stat *file)
{
  int saved = errno;
  struct stat st;

  if (!file
      || (!eio_sys_stat (dirfd, path, &st, AT_SYMLINK_NOFOLLOW)
          && eio__is_same_file (&st, file)))
    eio__unlink_name (dirfd, path);
  errno = saved;
}

/* A target that is not complete is removed; what a link leads to is at least
 * emptied. */
static int
eio__copy_to_target (eio__copier *c, int dirfd, const char *path)
{
  int made, begun = 0, res = eio__open_target (c, dirfd, path, &made);

  if (res)
    return -1;
  res = eio__prepare_target (c);
  if (!res)
    {
      begun = 1;
      res = eio__copy_file (c);
    }
  if (res && begun)
    {
      int saved = errno, ignored = ftruncate (c->out, 0);

      (void)ignored;
      errno = saved;
    }
  res = eio__close_written (c->out, res);
  if (res && (begun || made))
    eio__unlink_same (dirfd, path, begun ? &c->to : 0);
  return res;
}

static eio_ssize_t
eio__copy (eio_req *req)
{
  eio__copier c = { .req = req,
                    .out_offset = -1,
                    .count = &req->eio_done,
                    .count_all = 1,
                    .flags = req->int1 };
  int res;

  if (req->int1 & ~EIO__COPY_FLAGS)
    return eio__fail (EINVAL);
  eio__begin_progress (req, 0);
  if (eio__open_source (&c, eio__dirfd (req->wd), req->ptr1, 0))
    return -1;
  eio__begin_progress (req, (unsigned long long)c.from.st_size);
  res = eio__copy_to_target (&c, eio__dirfd (eio__new_wd (req)), req->ptr2);
  eio__close_quietly (c.in);
  return res;
}

/* Renames to a name that nothing has. If need be, by two names for a while:
 * where there can be two. */
static int
eio__rename_new (const eio_req *req, int fd, const char *path, int new_fd,
                 const char *new_path)
{
  int res = (int)EIO__TRY (req, EIO__NO_RENAMEAT2,
                           eio_sys_renameat2 (fd, path, new_fd, new_path,
                                              EIO_RENAME_NOREPLACE));
  int error = errno;

  if (!res || (error != ENOSYS && error != EINVAL))
    return res;
  if (linkat (fd, path, new_fd, new_path, 0))
    {
      if (eio__is_forgiven (errno))
        errno = error;
      return -1;
    }
  res = eio__unlink_name (fd, path);
  if (res)
    eio__unlink_quietly (new_fd, new_path);
  return res;
}

/* What is across file systems: the places, the source, and a new file that
 * will be the target. */
typedef struct
{
  eio_req *req;
  eio__place from, to;
  struct stat st; /* of the source */
  char temp[sizeof EIO__TEMP_NAME];
} eio__mover;

/* A symbolic link. */
static int
eio__move_link (eio__mover *m)
{
  char *text = eio_sys_realloc (0, EIO__PATH_BUF);
  struct timespec times[3];
  ssize_t n;
  int res = -1;

  if (!text)
    return -1;
  n = eio_sys_readlink (m->from.dirfd, m->from.name, text, EIO__PATH_BUF);
  if (n >= EIO__PATH_BUF)
    errno = ENAMETOOLONG;
  else if (n >= 0)
    {
      text[n] = 0;
      res = eio__make_temp (m->to.dirfd, m->temp, 0, 0, text);
    }
  eio__free_quietly (text);
  if (res)
    return -1;

  eio_sys_get_times (&m->st, times);
  res = fchownat (m->to.dirfd, m->temp, m->st.st_uid, m->st.st_gid,
                  AT_SYMLINK_NOFOLLOW);
  res |= utimensat (m->to.dirfd, m->temp, times, AT_SYMLINK_NOFOLLOW);
  (void)res; /* as far as we may */
  return 0;
}

/* Whether it is as it was when it was opened. */
static int
eio__check_unchanged (const eio__copier *c)
{
  struct timespec then[3], now[3];
  struct stat st;

  if (eio_sys_fstat (c->in, &st))
    return -1;
  eio_sys_get_times (&c->from, then);
  eio_sys_get_times (&st, now);
  if (st.st_size == c->from.st_size && now[1].tv_sec == then[1].tv_sec
      && now[1].tv_nsec == then[1].tv_nsec)
    return 0;
  return eio__fail (EBUSY);
}

static int
eio__move_file (eio__mover *m)
{
  eio__copier c = { .req = m->req,
                    .out_offset = -1,
                    .count = &m->req->eio_done,
                    .count_all = 1,
                    .flags = m->req->int1 | EIO_COPY_ARCHIVE };
  int res;

  if (eio__open_source (&c, m->from.dirfd, m->from.name, O_NOFOLLOW))
    return -1;
  m->st = c.from;
  eio__begin_progress (m->req, (unsigned long long)c.from.st_size);
  c.out = eio__make_temp (m->to.dirfd, m->temp, O_WRONLY | O_CLOEXEC, 0600,
                          0);
  res = c.out < 0 ? -1 : eio_sys_fstat (c.out, &c.to);
  if (!res)
    res = eio__copy_file (&c);
  if (!res)
    res = eio__check_unchanged (&c);
  if (c.out >= 0)
    res = eio__close_written (c.out, res);
  if (res && c.out >= 0)
    eio__unlink_quietly (m->to.dirfd, m->temp);
  eio__close_quietly (c.in);
  return res;
}

/* Says what will fail anyway before all is copied. */
static int
eio__check_move (eio__mover *m)
{
  struct stat from, to;

  if (eio_sys_stat (m->from.dirfd, m->from.name, &from, AT_SYMLINK_NOFOLLOW))
    return -1;
  if (S_ISDIR (from.st_mode))
    return eio__fail (EISDIR);
  if (!S_ISREG (from.st_mode) && !S_ISLNK (from.st_mode))
    return eio__fail (EINVAL);
  m->st = from;
  if (eio_sys_stat (m->to.dirfd, m->to.name, &to, AT_SYMLINK_NOFOLLOW))
    return errno == ENOENT ? 0 : -1;
  return m->req->int1 & EIO_COPY_EXCL     ? eio__fail (EEXIST)
         : S_ISDIR (to.st_mode)           ? eio__fail (EISDIR)
         : eio__is_same_file (&to, &from) ? eio__fail (EINVAL)
                                          : 0;
}

/* The source goes only when the target is there, and on the disk if that was
 * asked for. If another file has its name now, that stays. */
static int
eio__end_move (eio__mover *m)
{
  int sync = m->req->int1 & EIO_COPY_SYNC;
  int res = m->req->int1 & EIO_COPY_EXCL
              ? eio__rename_new (m->req, m->to.dirfd, m->temp, m->to.dirfd,
                                 m->to.name)
              : renameat (m->to.dirfd, m->temp, m->to.dirfd, m->to.name);
  struct stat now;

  if (res)
    {
      eio__unlink_quietly (m->to.dirfd, m->temp);
      return -1;
    }
  if (sync && eio__sync_fd (m->to.dirfd))
    return -1;
  if (eio_sys_stat (m->from.dirfd, m->from.name, &now, AT_SYMLINK_NOFOLLOW))
    return errno == ENOENT ? 0 : -1;
  if (eio__is_same_file (&now, &m->st)
      && eio__unlink_name (m->from.dirfd, m->from.name))
    return -1;
  return sync ? eio__sync_fd (m->from.dirfd) : 0;
}

static int
eio__move_between (eio__mover *m)
{
  int res = eio__check_move (m);

  memcpy (m->temp, EIO__TEMP_NAME, sizeof m->temp);
  if (!res)
    res = S_ISLNK (m->st.st_mode) ? eio__move_link (m) : eio__move_file (m);
  return res ? -1 : eio__end_move (m);
}

/* Opens the places that it is about, and leaves them. */
static int
eio__with_places (eio_req *req, int (*run) (eio__mover *m))
{
  int sync = req->int1 & EIO_COPY_SYNC, res;
  eio__mover m;

  m.req = req;
  if (eio__find_place (&m.from, req->wd, req->ptr1, sync))
    return -1;
  res = eio__find_place (&m.to, eio__new_wd (req), req->ptr2, sync);
  if (!res)
    {
      res = run (&m);
      eio__leave_place (&m.to);
    }
  eio__leave_place (&m.from);
  return res;
}

static int
eio__rename_or_replace (eio_req *req)
{
  return req->int1 & EIO_COPY_EXCL
           ? eio__rename_new (req, eio__dirfd (req->wd), req->ptr1,
                              eio__dirfd (eio__new_wd (req)), req->ptr2)
           : (int)eio__rename (req);
}

/* What is to be brought to the disk is opened before anything is changed. */
static int
eio__move_and_sync (eio__mover *m)
{
  if (eio__rename_or_replace (m->req))
    return errno == EXDEV ? eio__move_between (m) : -1;
  return eio__sync_fd (m->to.dirfd) || eio__sync_fd (m->from.dirfd) ? -1 : 0;
}

static eio_ssize_t
eio__move (eio_req *req)
{
  if (req->int1 & ~EIO__COPY_FLAGS)
    return eio__fail (EINVAL);
  eio__begin_progress (req, 0);
  req->int2 = 0; /* eio__rename would take it for flags */
  if (req->int1 & EIO_COPY_SYNC)
    return eio__with_places (req, eio__move_and_sync);
  if (!eio__rename_or_replace (req))
    return 0;
  return errno == EXDEV ? eio__with_places (req, eio__move_between) : -1;
}

/* --- locks --------------------------------------------------------------- */

static int
eio__is_lock (const eio_req *req)
{
  return req->type == EIO_FLOCK || req->type == EIO_LOCK;
}

/* Whether a lock that was obtained, and then cancelled, may be given back: not
 * if it may be a change to one that was held before. Kept in eio_extra. */
static void
eio__look_for_locks (eio_req *req)
{
  req->eio_extra = eio_sys_has_locks (req->int1) ? req : 0;
}

/* Before the first try: the time begins to run. Returns 0 if that was wrong. */
static int
eio__begin_lock (eio_req *req)
{
  if (req->eio_timed & ETP_LOCK_TIME)
    return 1;
  if (req->nv1 != req->nv1)
    return 0;
  ecb_store_relaxed (req->eio_timed, req->eio_timed | ETP_LOCK_TIME);
  req->eio_t[2] = req->nv1 < 0 ? 0 : eio_sys_now () + eio_sys_ns (req->nv1);
  req->eio_frame = 0;
  eio__look_for_locks (req);
  return 1;
}

/* After a try. When flock(2) has to wait to change a lock, it has given up the
 * one before. */
static eio_ssize_t
eio__end_try (eio_req *req, int res)
{
  if (!res || (errno != EAGAIN && errno != EWOULDBLOCK))
    return res;
  if (!req->eio_frame && req->eio_extra && req->type == EIO_FLOCK)
    eio__look_for_locks (req);
  if (!req->eio_t[2] || eio_sys_now () < req->eio_t[2])
    return ETP_BLOCKED;
  errno = ETIMEDOUT;
  return -1;
}

static eio_ssize_t
eio__flock (eio_req *req)
{
  int operation = (int)req->int2 & ~EIO__LOCK_NB, res;

  if ((operation != EIO__LOCK_SH && operation != EIO__LOCK_EX
       && operation != EIO__LOCK_UN)
      || operation != (req->int2 & ~EIO__LOCK_NB) || !eio__begin_lock (req))
    return eio__invalid ();
  res = eio_sys_flock (req->int1, operation | EIO__LOCK_NB);
  return req->int2 & EIO__LOCK_NB ? res : eio__end_try (req, res);
}

static struct flock
eio__lock_range (const eio_req *req, int type)
{
  struct flock range;

  memset (&range, 0, sizeof range);
  range.l_type = (short)type;
  range.l_whence = SEEK_SET;
  range.l_start = req->offs;
  range.l_len = req->ptr2 ? *(const off_t *)req->ptr2 : 0;
  return range;
}

static eio_ssize_t
eio__lock (eio_req *req)
{
  struct flock range = eio__lock_range (req, (int)req->int2);

  if ((req->int2 != F_RDLCK && req->int2 != F_WRLCK && req->int2 != F_UNLCK)
      || !eio__begin_lock (req))
    return eio__invalid ();
  return eio__end_try (req, eio_sys_set_lock (req->int1, &range));
}

/* --- taking back --------------------------------------------------------- */

/* Removes what MKSTEMP or MKDTEMP has made, unless it is not that any more.
 * [worker] */
static void
eio__remove_temp (eio_req *req)
{
  int dirfd = (int)req->int2;
  struct stat st;

  if (req->int1 < 0)
    unlinkat (dirfd, req->ptr1, AT_REMOVEDIR);
  else
    {
      if (!eio_sys_fstat (req->int1, &st))
        eio__unlink_same (dirfd, req->ptr1, &st);
      eio_sys_close (req->int1);
    }
  free (req->ptr1);
  if (req->int3)
    eio_sys_close (dirfd);
}

/* By the time that a worker does it, the wd may be closed, and the current
 * directory another one: so it gets a descriptor of its own; if there is none
 * to be had, it is done at once. */
static int
eio__undo_mktemp (eio_req *req, eio_req *todo)
{
  int dirfd = eio__dirfd (req->wd);

  todo->type = EIO_CUSTOM;
  todo->feed = eio__remove_temp;
  todo->int1 = req->type == EIO_MKSTEMP ? (int)req->eio_outcome : -1;
  todo->ptr1 = req->ptr1;
  req->ptr1 = 0;
  req->flags &= (unsigned char)~EIO_FLAG_PTR1_FREE;

  if (*EIO_PATH (todo) == '/')
    todo->int2 = AT_FDCWD;
  else
    {
      todo->int2 = req->wd ? fcntl (dirfd, F_DUPFD_CLOEXEC, 3)
                           : eio_sys_open (AT_FDCWD, ".",
                                           EIO__O_SEARCH | O_DIRECTORY);
      todo->int3 = todo->int2 >= 0;
      if (!todo->int3)
        {
          todo->int2 = dirfd;
          eio__remove_temp (todo);
          return 0;
        }
    }
  return 1;
}

/* Unlocks at once, though some file systems ask a server: by the time that a
 * worker came to do it, the host may have locked the same descriptor again. */
static void
eio__undo_lock (eio_req *req)
{
  struct flock range = eio__lock_range (req, F_UNLCK);

  if (req->eio_extra || eio_sys_has_locks (req->int1) <= 0)
    return;
  if (req->type == EIO_LOCK && req->int2 != F_UNLCK)
    eio_sys_set_lock (req->int1, &range);
  else if (req->type == EIO_FLOCK && !(req->int2 & EIO__LOCK_UN))
    eio_sys_flock (req->int1, EIO__LOCK_UN);
}

/* Sets todo to what takes back a request of types 75 to 110 that succeeded and
 * was cancelled; 0 if nothing needs to be done. Called by etp_revoke. */
static int
eio__undo (eio_req *req, eio_req *todo)
{
  switch (req->type)
    {
    case EIO_OPEN2:
    case EIO_TMPFILE:
      todo->type = EIO_CLOSE;
      todo->int1 = (int)req->eio_outcome;
      return 1;
    case EIO_OPENDIR:
      todo->type = EIO_CLOSEDIR;
      todo->int3 = req->int3;
      req->int3 = 0;
      return 1;
    case EIO_MKDTEMP:
    case EIO_MKSTEMP: return eio__undo_mktemp (req, todo);
    case EIO_FLOCK:
    case EIO_LOCK: eio__undo_lock (req); return 0;
    default: return 0;
    }
}

/*****************************************************************************
 * 6  Operation table and execution                                          *
 *****************************************************************************/

/* What the execution of a type needs beside its function. */
enum
{
  EIO__PATH = 0x01,    /* ptr1 is a path */
  EIO__PATH2 = 0x02,   /* ptr2 is a path, int3 the wd it is relative to */
  EIO__ALWAYS = 0x04,  /* executes though it was cancelled */
  EIO__ONCE = 0x08,    /* must not be tried again after EINTR */
  EIO__READS = 0x10,   /* ptr2 is a result buffer of size bytes, */
  EIO__STATS = 0x20,   /* for EIO_STRUCT_STAT, */
  EIO__STATSVFS = 0x40, /* for EIO_STRUCT_STATVFS, */
  EIO__NAMES = 0x80,   /* for a path */
  EIO__STATSX = 0x100, /* for struct eio_statx */
  EIO__VECTOR = 0x200, /* ptr2 is an array of size iovecs */
  EIO__OFFSET = 0x400, /* ptr2 is a pointer to an off_t, or null */
  EIO__NAMED = 0x800,  /* int3 is a pointer to a name */
  EIO__PARTLY = 0x1000, /* errorno tells, after success, what stopped it */
  EIO__TIMES = 0x2000, /* ptr2 is two times, or null */
  EIO__HOLDS = 0x4000, /* int3 is an eio_dir, held since submission */
  EIO__BUFFERS = EIO__READS | EIO__STATS | EIO__STATSVFS | EIO__NAMES
                 | EIO__STATSX
};

typedef struct
{
  const char *name;
  eio_ssize_t (*run) (eio_req *req);
  unsigned short needs;
} eio__op;

/* clang-format off */
static const eio__op eio__ops[EIO_REQ_TYPE_NUM] = {
  [EIO_CUSTOM]          = { "custom",          eio__custom, EIO__ONCE },
  [EIO_WD_OPEN]         = { "wd_open",         eio__wd_open, EIO__PATH },
  [EIO_WD_CLOSE]        = { "wd_close",        eio__wd_close, EIO__ALWAYS },
  [EIO_CLOSE]           = { "close",           eio__close,
                            EIO__ALWAYS | EIO__ONCE },
  [EIO_DUP2]            = { "dup2",            eio__dup2, 0 },
  [EIO_SEEK]            = { "seek",            eio__seek, 0 },
  [EIO_READ]            = { "read",            eio__read, EIO__READS },
  [EIO_WRITE]           = { "write",           eio__write, 0 },
  [EIO_FCNTL]           = { "fcntl",           eio__fcntl, 0 },
  [EIO_IOCTL]           = { "ioctl",           eio__ioctl, 0 },
  [EIO_READAHEAD]       = { "readahead",       eio__readahead, 0 },
  [EIO_SENDFILE]        = { "sendfile",        eio__sendfile, 0 },
  [EIO_FSTAT]           = { "fstat",           eio__fstat, EIO__STATS },
  [EIO_FSTATVFS]        = { "fstatvfs",        eio__fstatvfs, EIO__STATSVFS },
  [EIO_FTRUNCATE]       = { "ftruncate",       eio__ftruncate, 0 },
  [EIO_FUTIME]          = { "futime",          eio__futime, 0 },
  [EIO_FCHMOD]          = { "fchmod",          eio__fchmod, 0 },
  [EIO_FCHOWN]          = { "fchown",          eio__fchown, 0 },
  [EIO_SYNC]            = { "sync",            eio__sync, 0 },
  [EIO_FSYNC]           = { "fsync",           eio__fsync, 0 },
  [EIO_FDATASYNC]       = { "fdatasync",       eio__fdatasync, 0 },
  [EIO_SYNCFS]          = { "syncfs",          eio__syncfs, 0 },
  [EIO_MSYNC]           = { "msync",           eio__msync, 0 },
  [EIO_MTOUCH]          = { "mtouch",          eio__mtouch, 0 },
  [EIO_SYNC_FILE_RANGE] = { "sync_file_range", eio__sync_file_range, 0 },
  [EIO_FALLOCATE]       = { "fallocate",       eio__fallocate, 0 },
  [EIO_MLOCK]           = { "mlock",           eio__mlock, 0 },
  [EIO_MLOCKALL]        = { "mlockall",        eio__mlockall, 0 },
  [EIO_GROUP]           = { "group",           0, 0 }, /* see section 4 */
  [EIO_NOP]             = { "nop",             eio__nop, 0 },
  [EIO_BUSY]            = { "busy",            eio__busy, 0 },
  [EIO_REALPATH]        = { "realpath",        eio__realpath,
                            EIO__PATH | EIO__NAMES },
  [EIO_READDIR]         = { "readdir",         eio__readdir, EIO__PATH },
  [EIO_OPEN]            = { "open",            eio__open, EIO__PATH },
  [EIO_STAT]            = { "stat",            eio__stat,
                            EIO__PATH | EIO__STATS },
  [EIO_LSTAT]           = { "lstat",           eio__lstat,
                            EIO__PATH | EIO__STATS },
  [EIO_STATVFS]         = { "statvfs",         eio__statvfs,
                            EIO__PATH | EIO__STATSVFS },
  [EIO_TRUNCATE]        = { "truncate",        eio__truncate, EIO__PATH },
  [EIO_UTIME]           = { "utime",           eio__utime, EIO__PATH },
  [EIO_CHMOD]           = { "chmod",           eio__chmod, EIO__PATH },
  [EIO_CHOWN]           = { "chown",           eio__chown, EIO__PATH },
  [EIO_UNLINK]          = { "unlink",          eio__unlink, EIO__PATH },
  [EIO_RMDIR]           = { "rmdir",           eio__rmdir, EIO__PATH },
  [EIO_MKDIR]           = { "mkdir",           eio__mkdir, EIO__PATH },
  [EIO_RENAME]          = { "rename",          eio__rename,
                            EIO__PATH | EIO__PATH2 },
  [EIO_MKNOD]           = { "mknod",           eio__mknod, EIO__PATH },
  [EIO_LINK]            = { "link",            eio__link,
                            EIO__PATH | EIO__PATH2 },
  [EIO_SYMLINK]         = { "symlink",         eio__symlink,
                            EIO__PATH | EIO__PATH2 },
  [EIO_READLINK]        = { "readlink",        eio__readlink,
                            EIO__PATH | EIO__NAMES },
  [EIO_SLURP]           = { "slurp",           eio__slurp, EIO__PATH },

  [EIO_READV]           = { "readv",           eio__readv, EIO__VECTOR },
  [EIO_WRITEV]          = { "writev",          eio__writev, EIO__VECTOR },
  [EIO_READ_ALL]        = { "read_all",        eio__read_all,
                            EIO__READS | EIO__PARTLY },
  [EIO_WRITE_ALL]       = { "write_all",       eio__write_all, EIO__PARTLY },
  [EIO_STATX]           = { "statx",           eio__statx,
                            EIO__PATH | EIO__STATSX },
  [EIO_FSTATX]          = { "fstatx",          eio__fstatx, EIO__STATSX },
  [EIO_COPY_RANGE]      = { "copy_range",      eio__copy_range, EIO__OFFSET },
  [EIO_CLONE]           = { "clone",           eio__clone, 0 },
  [EIO_SPLICE]          = { "splice",          eio__splice, EIO__OFFSET },
  [EIO_TEE]             = { "tee",             eio__tee, 0 },
  [EIO_FADVISE]         = { "fadvise",         eio__fadvise, 0 },
  [EIO_MADVISE]         = { "madvise",         eio__madvise, 0 },
  [EIO_MINCORE]         = { "mincore",         eio__mincore, 0 },
  [EIO_MUNLOCK]         = { "munlock",         eio__munlock, 0 },
  [EIO_MUNLOCKALL]      = { "munlockall",      eio__munlockall, 0 },
  [EIO_FULLSYNC]        = { "fullsync",        eio__fullsync, 0 },
  [EIO_FIEMAP]          = { "fiemap",          eio__fiemap, 0 },
  [EIO_GETXATTR]        = { "getxattr",        eio__getxattr,
                            EIO__PATH | EIO__NAMED },
  [EIO_SETXATTR]        = { "setxattr",        eio__setxattr,
                            EIO__PATH | EIO__NAMED },
  [EIO_LISTXATTR]       = { "listxattr",       eio__getxattr, EIO__PATH },
  [EIO_REMOVEXATTR]     = { "removexattr",     eio__removexattr,
                            EIO__PATH | EIO__NAMED },
  [EIO_FGETXATTR]       = { "fgetxattr",       eio__fgetxattr, EIO__NAMED },
  [EIO_FSETXATTR]       = { "fsetxattr",       eio__fsetxattr, EIO__NAMED },
  [EIO_FLISTXATTR]      = { "flistxattr",      eio__fgetxattr, 0 },
  [EIO_FREMOVEXATTR]    = { "fremovexattr",    eio__fremovexattr,
                            EIO__NAMED },

  /* 75 to 110: paths */
  [EIO_ACCESS]          = { "access",          eio__access, EIO__PATH },
  [EIO_LCHOWN]          = { "lchown",          eio__lchown, EIO__PATH },
  [EIO_LUTIME]          = { "lutime",          eio__lutime, EIO__PATH },
  [EIO_UTIMENS]         = { "utimens",         eio__utimens,
                            EIO__PATH | EIO__TIMES },
  [EIO_FUTIMENS]        = { "futimens",        eio__futimens, EIO__TIMES },
  [EIO_LCHMOD]          = { "lchmod",          eio__lchmod, EIO__PATH },
  [EIO_RENAME2]         = { "rename2",         eio__rename2,
                            EIO__PATH | EIO__PATH2 },
  [EIO_LINK2]           = { "link2",           eio__link2,
                            EIO__PATH | EIO__PATH2 },
  [EIO_UNLINK2]         = { "unlink2",         eio__unlink2, EIO__PATH },
  [EIO_OPEN2]           = { "open2",           eio__open2, EIO__PATH },
  [EIO_MKDTEMP]         = { "mkdtemp",         eio__mkdtemp, EIO__PATH },
  [EIO_MKSTEMP]         = { "mkstemp",         eio__mkstemp, EIO__PATH },
  [EIO_TMPFILE]         = { "tmpfile",         eio__tmpfile, EIO__PATH },
  [EIO_LINKFD]          = { "linkfd",          eio__linkfd, EIO__PATH },
  [EIO_MKDIRS]          = { "mkdirs",          eio__mkdirs, EIO__PATH },
  [EIO_OPENDIR]         = { "opendir",         eio__opendir, EIO__PATH },
  [EIO_READDIR_NEXT]    = { "readdir_next",    eio__readdir_next,
                            EIO__HOLDS },
  [EIO_CLOSEDIR]        = { "closedir",        eio__closedir,
                            EIO__ALWAYS | EIO__ONCE },
  [EIO_LOAD]            = { "load",            eio__load, EIO__PATH },
  [EIO_SAVE]            = { "save",            eio__save, EIO__PATH },
  [EIO_PATHSYNC]        = { "pathsync",        eio__pathsync, EIO__PATH },
  [EIO_SCANDIR]         = { "scandir",         eio__scandir, EIO__PATH },
  [EIO_COPY]            = { "copy",            eio__copy,
                            EIO__PATH | EIO__PATH2 },
  [EIO_MOVE]            = { "move",            eio__move,
                            EIO__PATH | EIO__PATH2 },
  [EIO_FLOCK]           = { "flock",           eio__flock, 0 },
  [EIO_LOCK]            = { "lock",            eio__lock, EIO__OFFSET },
};
/* clang-format on */

/* The entry of a type that a worker can execute, or null. */
static const eio__op *
eio__find_op (int type)
{
  return type >= 0 && type < EIO_REQ_TYPE_NUM && eio__ops[type].run
           ? &eio__ops[type]
           : 0;
}

/* What is wrong with a request before it is tried: an errno, or 0. */
static int
eio__check (const eio_req *req, const eio__op *op)
{
  if (EIO_CANCELLED (req) && !(op && op->needs & EIO__ALWAYS))
    return ECANCELED;
  if (!op)
    return ENOSYS;
  if (req->wd == EIO_INVALID_WD && req->type != EIO_CLOSE
      && req->type != EIO_CLOSEDIR) /* lose no fd */
    return ENOENT;
  if (op->needs & EIO__PATH && !req->ptr1)
    return EINVAL;
  if (op->needs & EIO__PATH2 && !req->ptr2)
    return EINVAL;
  if (op->needs & EIO__PATH2 && eio__new_wd (req) == EIO_INVALID_WD)
    return ENOENT;
  if (op->needs & EIO__NAMED && !req->int3)
    return EINVAL;
  return 0;
}

static size_t
eio__buffer_size (const eio_req *req, int needs)
{
  return needs & EIO__READS      ? req->size
         : needs & EIO__STATS    ? sizeof (EIO_STRUCT_STAT)
         : needs & EIO__STATSVFS ? sizeof (EIO_STRUCT_STATVFS)
         : needs & EIO__STATSX   ? sizeof (struct eio_statx)
                                 : EIO__PATH_BUF;
}

/* Runs an operation in a result buffer that will belong to the caller. It
 * shows nothing of what was in that memory before; of a large one, pages that
 * are not written cost nothing. */
static eio_ssize_t
eio__run_in_buffer (eio_req *req, const eio__op *op)
{
  size_t size = eio__buffer_size (req, op->needs);
  eio_ssize_t res;

  if (size > (size_t)-1 / 2) /* as if there were a buffer */
    return eio__invalid ();
  req->ptr2 = calloc (1, size ? size : 1);
  if (!req->ptr2)
    {
      errno = ENOMEM;
      return -1;
    }

  res = op->run (req);
  if (res < 0)
    {
      int saved = errno;

      free (req->ptr2);
      req->ptr2 = 0;
      errno = saved;
      return res;
    }

  if (op->needs & EIO__NAMES) /* it was used on the way */
    memset ((char *)req->ptr2 + res, 0, size - (size_t)res);
  req->flags |= EIO_FLAG_PTR2_FREE;
  return res;
}

/* [worker, or the poll thread if there is none] Leaves the result and errno in
 * eio_outcome and eio_outerrno. Returns 0 if it was cancelled before. */
static int
eio__execute (eio_req *req)
{
  const eio__op *op = eio__find_op (req->type);
  int wrong = eio__check (req, op), error = wrong;
  eio_ssize_t res = -1;

  if (!error)
    {
      do
        {
          errno = 0;
          res = op->needs & EIO__BUFFERS && !req->ptr2
                  ? eio__run_in_buffer (req, op)
                  : op->run (req);
          error = errno;
        }
      while (res == -1 && error == EINTR && !(op->needs & EIO__ONCE)
             && !EIO_CANCELLED (req));
    }

  if (res < 0 && req->type == EIO_WD_OPEN)
    req->wd = EIO_INVALID_WD;
  if (op && op->needs & EIO__HOLDS && eio__dir (req))
    eio__leave_dir (eio__dir (req));
  req->eio_outcome = res;
  req->eio_outerrno
    = res < 0 || (op && op->needs & EIO__PARTLY) ? error : 0;
  return wrong != ECANCELED;
}

/* --- answers at once ---------------------------------------------------- */

/* What eio__*_inline have in common: they run on the submitting thread, must
 * not wait for a device or a server, and either leave the outcome, as
 * eio__execute does, and return 1; or 0, and a worker does it. */

enum
{
  EIO__FS_CREDIT = 4096, /* then it is looked at again: it may be another */
  EIO__FEW = 16,         /* outstanding; with more, workers do it sooner */
  EIO__MAX_FAILS = 6,
  EIO__TRUST = 16
};

static etp_fs *
eio__fs (etp_pool *pool, unsigned dev)
{
  return &pool->fs[dev % (sizeof pool->fs / sizeof *pool->fs)];
}

/* > 0: it is local, < 0: it is not, or somebody finds out, 0: not known. */
static int
eio__fs_credit (etp_pool *pool, unsigned dev)
{
  etp_fs *fs = eio__fs (pool, dev);
  int credit;

  X_LOCK (pool->reqlock);
  credit = fs->dev == dev ? fs->credit : 0;
  if (credit)
    fs->credit += credit > 0 ? -1 : 1;
  X_UNLOCK (pool->reqlock);
  return credit;
}

static void
eio__set_fs_credit (etp_pool *pool, unsigned dev, int credit)
{
  etp_fs *fs = eio__fs (pool, dev);

  X_LOCK (pool->reqlock);
  fs->dev = dev;
  fs->credit = credit;
  X_UNLOCK (pool->reqlock);
}

/* [worker] */
static void
eio__learn_fs (eio_req *req)
{
  eio__set_fs_credit (req->eio_pool, (unsigned)req->int2,
                      eio_sys_is_local (req->int1) ? EIO__FS_CREDIT
                                                   : -EIO__FS_CREDIT);
  eio_sys_close (req->int1);
}

/* Has a worker find out about the file system that fd is on, and close it. */
static void
eio__ask_fs (etp_pool *pool, int fd, unsigned dev)
{
  eio_req todo;

  eio__set_fs_credit (pool, dev, -EIO__FS_CREDIT);
  memset (&todo, 0, sizeof todo);
  todo.type = EIO_CUSTOM;
  todo.feed = eio__learn_fs;
  todo.int1 = fd;
  todo.int2 = (long)dev;
  todo.eio_pool = pool;
  if (!etp_delegate (pool, &todo))
    {
      eio__set_fs_credit (pool, dev, 0);
      eio_sys_close (fd);
    }
}

static int
eio__get_kind (eio_req *req, int fd, eio_sys_kind *kind)
{
  return (int)EIO__TRY (req, EIO__NO_STATX, eio_sys_get_kind (fd, kind));
}

/* Opens what req's path leads to without doing anything to it, if all is in
 * memory and local; else -1. While it is open, it stays in memory. */
static int
eio__find_cached (eio_req *req, int flags, eio_sys_kind *kind)
{
  etp_pool *pool = req->eio_pool;
  int fd, credit;

  if (!EIO__O_NOTHING || ecb_load_relaxed (pool->nreqs) > EIO__FEW)
    return -1;
  fd = (int)EIO__TRY (req, EIO__NO_OPENAT2,
                      eio_sys_open_cached (eio__dirfd (req->wd), req->ptr1,
                                           EIO__O_NOTHING | O_CLOEXEC
                                             | flags));
  if (fd < 0)
    return -1;

  credit = eio__get_kind (req, fd, kind) ? -1
                                         : eio__fs_credit (pool, kind->dev);
  if (credit > 0)
    return fd;
  if (credit)
    eio_sys_close (fd);
  else
    eio__ask_fs (pool, fd, kind->dev);
  return -1;
}

static int
eio__stat_inline (eio_req *req)
{
  eio_sys_kind kind;
  int fd = eio__find_cached (req, req->type == EIO_LSTAT ? O_NOFOLLOW : 0,
                             &kind);

  if (fd < 0)
    return 0;
  eio__execute (req);
  eio_sys_close (fd);
  return 1;
}

static int
eio__has_local_fd (eio_req *req, eio_sys_kind *kind)
{
  etp_pool *pool = req->eio_pool;
  int credit, fd;

  if (!EIO__O_NOTHING || ecb_load_relaxed (pool->nreqs) > EIO__FEW
      || eio__get_kind (req, req->int1, kind))
    return 0;

  credit = eio__fs_credit (pool, kind->dev);
  if (!credit)
    {
      fd = eio_sys_open_same (req->int1);
      if (fd < 0)
        eio__set_fs_credit (pool, kind->dev, -EIO__FS_CREDIT);
      else
        eio__ask_fs (pool, fd, kind->dev);
    }
  return credit > 0;
}

static int
eio__fstat_inline (eio_req *req)
{
  eio_sys_kind kind;

  if (!eio__has_local_fd (req, &kind))
    return 0;
  eio__execute (req);
  return 1;
}

/* A file that was written to, or is deleted by this, may take its time. */
static int
eio__close_inline (eio_req *req)
{
  eio_sys_kind kind;
  int flags;

  if (!eio__has_local_fd (req, &kind) || !S_ISREG (kind.mode) || !kind.nlink)
    return 0;
  flags = fcntl (req->int1, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY)
    return 0;
  eio__execute (req);
  return 1;
}

/* Whether a file just opened is a regular one still, and then makes it wait,
 * as it was not to wait for anybody while it was opened, unless that was asked
 * for. */
static int
eio__end_nonblocking_open (int fd, int flags)
{
  struct stat st;

  return !eio_sys_fstat (fd, &st) && S_ISREG (st.st_mode)
         && (flags & O_NONBLOCK || !fcntl (fd, F_SETFL, 0));
}

/* Only regular files, for reading: to open a FIFO or a device does things. */
static int
eio__open_inline (eio_req *req)
{
  eio_sys_kind kind;
  int path_fd, fd;

  if (req->int1
        & ~(O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_ACCMODE)
      || (req->int1 & O_ACCMODE) != O_RDONLY)
    return 0;
  path_fd = eio__find_cached (req, req->int1 & O_NOFOLLOW, &kind);
  if (path_fd < 0)
    return 0;

  fd = S_ISREG (kind.mode)
         ? eio_sys_open_cached (eio__dirfd (req->wd), req->ptr1,
                                req->int1 | O_NONBLOCK)
         : -1;
  eio_sys_close (path_fd);
  if (fd >= 0 && !eio__end_nonblocking_open (fd, req->int1))
    {
      eio_sys_close (fd);
      fd = -1;
    }
  req->eio_outcome = fd;
  return fd >= 0;
}

/* A device may not have any more what it gave. */
static int
eio__gives_once (int fd)
{
  struct stat st;

  return !eio_sys_fstat (fd, &st) && !S_ISREG (st.st_mode)
         && !S_ISBLK (st.st_mode);
}

/* Reads at an offset, all of it or up to the end of the file, which has to be
 * seen: else less may mean that the rest is not in memory. */
static eio_ssize_t
eio__read_cached (eio_req *req, void *buf)
{
  ssize_t n = EIO__TRY (req, EIO__NO_PREADV2,
                        eio_sys_read_cached (req->int1, buf, req->size,
                                             req->offs));
  char more;

  if (n <= 0 || (size_t)n == req->size || eio__gives_once (req->int1))
    return n;
  return eio_sys_read_cached (req->int1, &more, 1, req->offs + n) ? -1 : n;
}

/* What a try teaches: the more often it failed, the longer until the next. */
static void
eio__learn_read (etp_backoff *b, int failed)
{
  unsigned fails = failed ? ecb_load_relaxed (b->fails) + 1u : 0;
  unsigned hits = failed ? 0 : ecb_load_relaxed (b->hits) + 1u;

  if (fails > EIO__MAX_FAILS)
    fails = EIO__MAX_FAILS;
  if (hits > EIO__TRUST)
    return;
  ecb_store_relaxed (b->hits, (unsigned char)hits);
  ecb_store_relaxed (b->fails, (unsigned char)fails);
  ecb_store_relaxed (b->skip, (unsigned char)((1u << fails) - 1));
}

static int
eio__has_cached (eio_req *req)
{
  return (int)EIO__TRY (req, EIO__NO_CACHESTAT,
                        eio_sys_has_cached (req->int1, req->offs, req->size));
}

/* A try that fails makes the kernel read ahead, which costs far more than
 * asking it first whether it has the data; but it may not say, and where many
 * tries succeeded there is no need to ask. */
static int
eio__try_read (eio_req *req, void *buf)
{
  etp_backoff *b = &req->eio_pool->backoff[req->int1 & 63];
  unsigned skip = ecb_load_relaxed (b->skip);

  if (skip)
    {
      ecb_store_relaxed (b->skip, (unsigned char)(skip - 1));
      return 0;
    }
  if (eio_sys_is_direct (req->int1)
      || (ecb_load_relaxed (b->hits) < EIO__TRUST
          && !eio__has_cached (req)))
    return 0;

  req->eio_outcome = eio__read_cached (req, buf);
  eio__learn_read (b, req->eio_outcome < 0);
  return req->eio_outcome >= 0;
}

static int
eio__read_inline (eio_req *req)
{
  void *buf = req->ptr2;

  if (req->offs < 0 || !req->size
      || req->size > ecb_load_relaxed (req->eio_pool->inline_max))
    return 0;
  if (!buf && !(buf = calloc (1, req->size)))
    return 0;

  if (!eio__try_read (req, buf))
    {
      if (buf != req->ptr2)
        free (buf);
      return 0;
    }
  if (buf != req->ptr2)
    req->flags |= EIO_FLAG_PTR2_FREE;
  req->ptr2 = buf;
  return 1;
}

static int
eio__run_inline (eio_req *req)
{
  switch (req->type)
    {
    case EIO_READ: return eio__read_inline (req);
    case EIO_OPEN: return eio__open_inline (req);
    case EIO_CLOSE: return eio__close_inline (req);
    case EIO_STAT:
    case EIO_LSTAT: return eio__stat_inline (req);
    case EIO_FSTAT: return eio__fstat_inline (req);
    default: return 0;
    }
}

/* [submitting thread] */
static int
eio__answer (eio_req *req)
{
  int saved = errno, answered;

  if (eio__check (req, eio__find_op (req->type)))
    return 0;
  req->eio_outerrno = 0;
  answered = eio__run_inline (req);
  errno = saved;
  return answered;
}

/*****************************************************************************
 * 7  Public API                                                             *
 *****************************************************************************/

/* Those that share the workers of the default pool get those of its next life,
 * and their queued requests are theirs. */
static void
eio__hand_over_crew (etp_pool *old, etp_pool *pool)
{
  etp_pool *first;
  eio_req *req, *last = 0, *kept = 0;
  etp_queue waiting;

  X_LOCK (eio__pools_lock);
  X_LOCK (old->reqlock);
  for (first = eio__pools; first; first = first->next)
    if (etp_crew (first->current) == old)
      ecb_store_release (first->current->crew, pool);
  old->nguests = 0;
  etp_take_rounds_locked (old, &waiting);
  old->nlow_queued = 0;
  while ((req = eio__pop (&old->req_queue)))
    if (req->eio_pool != old)
      {
        req->next = 0;
        if (last)
          last->next = req;
        else
          kept = req;
        last = req;
      }
  X_UNLOCK (old->reqlock);
  X_UNLOCK (eio__pools_lock);

  while ((req = kept))
    {
      kept = (eio_req *)req->next;
      etp_requeue (req, 0);
    }
  while ((req = eio__pop (&waiting)))
    if (req->eio_pool != old)
      etp_keep (req);
}

/* In a process that goes on. */
static etp_pool *
eio__begin_life (etp_pool *old)
{
  etp_pool *pool = calloc (1, sizeof *pool);

  if (!pool)
    return 0;
  X_LOCK (old->reqlock); /* others may set something */
  etp_begin_life (pool, old);
  X_UNLOCK (old->reqlock);
  pool->spare = ecb_load_relaxed (old->spare);
  etp_take_beacon (pool, old);
  ecb_store_release (eio__default_pool, pool);
  eio__hand_over_crew (old, pool);
  etp_abandon (old);
  return pool;
}

/* What a shutdown is about: all pools, if it begins with the default pool; else
 * one. Others than the one that it begins with stay, but at rest. */
static etp_pool *
eio__next_pool (etp_pool *begin, etp_pool *pool)
{
  etp_pool *first = begin->first ? 0
                    : pool->first ? pool->first->next
                                  : eio__pools;

  return first ? first->current : 0;
}

#define EIO__FOR_POOLS(pool, begin) \
  for (pool = (begin); pool; pool = eio__next_pool (begin, pool))

/* In a child: what it inherits is left as it is, whatever it was in; but the
 * descriptor is to be its own, and nothing is to be done yet. */
static void
etp_inherit (etp_pool *pool)
{
  etp_pool *older;

  for (older = pool; older; older = older->older)
    ecb_store_relaxed (older->over, ETP_INHERITED);
  eio_sys_renew_beacon (&pool->beacon);
  pool->signalled = 0;
  memset (&pool->sorted, 0, sizeof pool->sorted);
}

/* Adds what was shelved to waiting. Returns 0 if there is no memory, or if its
 * workers' pool had none. */
static int
etp_begin_childs_life (etp_pool *old, etp_queue *waiting)
{
  etp_pool *crew = etp_crew (old), *pool;
  int nwaiting = waiting->size;
  eio_req *req;

  if (crew != old)
    crew = etp_current_life (crew->first);
  if (crew != old && ecb_load_relaxed (crew->over) == ETP_INHERITED)
    return 0;
  pool = ecb_swap_acquire (old->spare, 0);
  if (!pool)
    pool = calloc (1, sizeof *pool);
  if (!pool)
    return 0;

  etp_begin_life (pool, old);
  if (crew != old)
    pool->crew = crew;
  pool->beacon = old->beacon;
  pool->signalled = old->signalled;
  while ((req = eio__pop (&old->sorted)))
    {
      req->eio_pool = pool;
      eio__push (waiting, req);
    }
  pool->nreqs = (unsigned)(waiting->size - nwaiting);
  ecb_store_release (*(old->first ? &old->first->current : &eio__default_pool),
                     pool);
  return 1;
}

/* All of them begin anew, those with workers of their own first; and later
 * those for which there was no memory, to which requests were submitted
 * meanwhile. Returns the default pool, or null. */
static etp_pool *
eio__begin_childs_lives (void)
{
  etp_pool *begin = ecb_load_acquire (eio__default_pool), *pool;
  int anew = etp_is_inherited (begin), shares, starved = 0;
  etp_queue waiting;
  eio_req *req;

  memset (&waiting, 0, sizeof waiting);
  if (anew)
    {
      eio__forking = eio__stopping = 0;
      X_MUTEX_CREATE (eio__pools_lock);
      for (pool = eio__pools; pool; pool = pool->next)
        pool->npins = 0;
      EIO__FOR_POOLS (pool, begin)
        etp_inherit (pool);
    }

  X_LOCK (eio__pools_lock);
  begin = ecb_load_acquire (eio__default_pool);
  for (shares = 0; shares < 2; ++shares)
    EIO__FOR_POOLS (pool, begin)
      if (ecb_load_relaxed (pool->over) == ETP_INHERITED
          && shares == (etp_crew (pool) != pool)
          && !etp_begin_childs_life (pool, &waiting))
        {
          if (anew)
            etp_wait_for_memory (pool);
          starved = 1;
        }
  begin = ecb_load_acquire (eio__default_pool);
  EIO__FOR_POOLS (pool, begin)
    ecb_store_release (pool->crew, etp_current_life (etp_crew (pool)->first));
  ecb_store_relaxed (eio__starved, starved);
  if (starved)
    ecb_store_relaxed (eio__has_pools, 1); /* so that this is looked at */
  X_UNLOCK (eio__pools_lock);

  while ((req = eio__pop (&waiting)))
    {
      pool = req->eio_pool;
      etp_submit (pool, req);
      ecb_add_relaxed (pool->nreqs, -1u);
    }
  return ecb_load_relaxed (begin->over) ? 0 : begin;
}

static void
eio__atfork_prepare (void)
{
  eio__forking = 1;
}

static void
eio__atfork_parent (void)
{
  eio__forking = 0;
}

/* A forked child starts a new life, unless it already did so in a handler
 * that ran before this one. */
static void
eio__atfork_child (void)
{
  if (etp_is_inherited (ecb_load_acquire (eio__default_pool)))
    eio__begin_childs_lives ();
}

/* Early, where that can be: glibc before 2.36 deadlocks when handlers are
 * registered by a handler, as an eio_init in one would do. Returns whether
 * they are. */
static int ecb_constructor
eio__set_atfork (void)
{
  if (!eio__first_pool.atfork_set)
    eio__first_pool.atfork_set = !X_THREAD_ATFORK (
      eio__atfork_prepare, eio__atfork_parent, eio__atfork_child);
  return eio__first_pool.atfork_set;
}

int ecb_cold
eio_init (void (*want_poll) (void), void (*done_poll) (void))
{
  etp_pool *old = ecb_load_acquire (eio__default_pool), *pool = old;
  int atfork_set = eio__set_atfork ();

  if (etp_is_inherited (old) || etp_waits_for_memory (old))
    pool = eio__begin_childs_lives ();
  else if (old->inited)
    pool = eio__begin_life (old);

  if (!pool || !atfork_set)
    {
      errno = ENOMEM;
      return -1;
    }
  etp_init (pool, want_poll, done_poll);
  return 0;
}

int
eio_poll (void)
{
  return etp_poll (eio__pool ());
}

int
eio_poll_fd (void)
{
  return etp_poll_fd (eio__pool ());
}

/* When so many seconds will be over; 0: never. */
static unsigned long long
eio__end_of (eio_tstamp timeout)
{
  return timeout >= 0 ? eio_sys_now () + eio_sys_ns (timeout) : 0;
}

int
eio_poll_wait (eio_tstamp timeout)
{
  return etp_wait (eio__pool (), eio__end_of (timeout));
}

int
eio_flush (void)
{
  return etp_flush (eio__pool ());
}

/* Whether the caller is where it would wait for itself. */
static int ecb_noinline
etp_is_within (etp_pool *latest)
{
  size_t frame = (size_t)__builtin_alloca (ETP_SCOPE_STACK);
  size_t end = frame + ETP_SCOPE_STACK;
  etp_pool *pool;

  EIO__FOR_LIVES (pool, latest)
    if (eio__working == pool || eio__serving == pool
        || etp_is_in_callback (pool, end))
      return 1;
  etp_settle (latest, frame, end);
  return 0;
}

/* What workers of earlier lives submit belongs to this one. */
static int
etp_join_older (etp_pool *latest, unsigned long long end)
{
  etp_pool *pool;

  EIO__FOR_LIVES (pool, latest->older)
    if (!etp_join_workers (pool, end))
      return 0;
  return 1;
}

static void
eio__free_pool (etp_pool *pool)
{
  if (pool != &eio__first_pool && pool != &eio__second_pool)
    free (pool);
}

/* Frees everything of the default pool that is not inherited, and is as it was
 * in the beginning but for the settings. */
static void
eio__forget_all (etp_pool *pool)
{
  etp_pool kept = *pool, *first = &eio__first_pool, *older, *other;
  int atfork_set = first->atfork_set;

  eio_sys_close_beacon (&pool->beacon);
  eio__free_pool (pool->spare);
  for (older = pool; older && older->over != ETP_INHERITED;)
    {
      etp_pool *next = older->older;

      etp_free_parts (older);
      if (older != pool)
        eio__free_pool (older);
      older = next;
    }

  /* In a child, the static ones may be inherited. */
  if (older)
    first = pool;
  for (other = eio__pools; other; other = other->next)
    if (etp_crew (other->current) == pool)
      ecb_store_release (other->current->crew, first);
  if (first != pool)
    eio__free_pool (pool);
  memset (first, 0, sizeof *first);
  kept.want_poll = kept.done_poll = 0;
  etp_begin_life (first, &kept);
  first->pid = 0;
  first->older = older;
  first->spare = older ? 0 : &eio__second_pool;
  eio__first_pool.atfork_set = atfork_set;
  ecb_store_release (eio__default_pool, first);
}

/* How many requests are outstanding; 0 if the life is over. */
static unsigned
eio__count_left (etp_pool *begin)
{
  etp_pool *pool;
  unsigned n = 0;

  EIO__FOR_POOLS (pool, begin)
    n += ecb_load_relaxed (pool->nreqs);
  return ecb_load_relaxed (begin->over) ? 0 : n;
}

/* Polls them by turns until nothing is outstanding. Returns 0 if time is over
 * before. */
static int
eio__drain (etp_pool *begin, unsigned long long end)
{
  unsigned long long turn = eio__next_pool (begin, begin) ? ETP_NAP / 10
                                                          : 10 * ETP_NAP;
  etp_pool *pool;

  do
    {
      if (eio__is_late (end) && eio__count_left (begin))
        return 0;
      EIO__FOR_POOLS (pool, begin)
        {
          etp_drain (pool, end, turn);
          if (ecb_load_relaxed (begin->over))
            return 1;
        }
    }
  while (eio__count_left (begin));
  return 1;
}

/* Has a pool's workers leave; there may be new ones afterwards, for what hooks
 * submit as they leave. */
static int
etp_dismiss_all (etp_pool *pool, unsigned long long end)
{
  unsigned limit = ecb_load_relaxed (pool->limit);
  int all;

  if (etp_crew (pool) != pool)
    return 1;
  all = etp_join_workers (pool, end);
  etp_set_parallel (pool, limit, limit);
  X_LOCK (pool->reqlock);
  etp_call_keeper_and_unlock (pool); /* those that share it may wait */
  return all;
}

static int
eio__dismiss_all (etp_pool *begin, unsigned long long end)
{
  etp_pool *pool;
  int all = 1;

  EIO__FOR_POOLS (pool, begin)
    all = all && etp_dismiss_all (pool, end);
  return all;
}

/* Brings pools to rest. Returns 0 if time is over before. Hooks may submit as
 * workers leave, and callbacks may begin another life. */
static int ecb_noinline
eio__rest (etp_pool *begin, int how, unsigned long long end)
{
  size_t frame = (size_t)__builtin_alloca (ETP_SCOPE_STACK);
  etp_pool *pool;
  int rests;

  EIO__FOR_POOLS (pool, begin)
    {
      ecb_store_relaxed (pool->drain_thread, eio__self ());
      ecb_store_relaxed (pool->drain_frame, frame);
      ecb_store_release (pool->draining, how);
      if (how == ETP_CLOSE)
        etp_cancel_queued (pool);
    }
  do
    rests = eio__drain (begin, end)
            && (ecb_load_relaxed (begin->over)
                || eio__dismiss_all (begin, end));
  while (rests && eio__count_left (begin));
  if (ecb_load_relaxed (begin->over) == ETP_INHERITED)
    return 1;

  EIO__FOR_POOLS (pool, begin)
    {
      etp_pool *crew = etp_crew (pool);

      if (ecb_load_relaxed (crew->raised)
          && ecb_load_relaxed (crew->limit) == 1)
        etp_set_parallel (crew, 0, 0);
      ecb_store_relaxed (crew->raised, 0);
      ecb_store_relaxed (pool->draining, 0);
    }
  return rests;
}

static int
eio__is_within (etp_pool *begin)
{
  etp_pool *pool;

  EIO__FOR_POOLS (pool, begin)
    if (etp_is_within (pool))
      return 1;
  return 0;
}

int ecb_cold
eio_shutdown (int mode, eio_tstamp timeout)
{
  int how = mode == EIO_SHUTDOWN_CANCEL ? ETP_CLOSE : ETP_DRAIN;
  unsigned long long end = eio__end_of (timeout);
  etp_pool *begin, *pool;

  if (mode != EIO_SHUTDOWN_DRAIN && mode != EIO_SHUTDOWN_CANCEL)
    {
      errno = EINVAL;
      return -1;
    }
  if (eio__is_within (eio__pool ()))
    {
      errno = EDEADLK;
      return -1;
    }
  if (ecb_load_relaxed (eio__starved))
    {
      errno = ENOMEM;
      return -1;
    }

  do
    {
      int rests;

      begin = eio__pool ();
      do
        rests = eio__rest (begin, how, end) && etp_join_older (begin, end);
      while (rests && eio__count_left (begin));
      etp_use (begin);
      if (!rests)
        {
          errno = ETIMEDOUT;
          return -1;
        }
      if (ecb_load_relaxed (begin->over) == ETP_INHERITED)
        return 0; /* a callback forked, and this is the child */
    }
  while (begin != eio__pool ());

  EIO__FOR_POOLS (pool, begin)
    if (pool->first && etp_crew (pool) == pool && !etp_has_threads (pool))
      etp_free_parts (pool);
  if (!begin->first)
    eio__forget_all (begin);
  return 0;
}

static etp_pool *
eio__make_pool (void (*want_poll) (void *), void (*done_poll) (void *),
                void *userdata)
{
  etp_pool *pool = calloc (1, sizeof *pool);
  etp_pool *spare = calloc (1, sizeof *spare);

  if (!pool || !spare || !eio__set_atfork ())
    {
      free (pool);
      free (spare);
      errno = ENOMEM;
      return 0;
    }
  etp_prepare (pool);
  eio_sys_get_traits (&pool->traits);
  eio_sys_get_name (&pool->traits);
  pool->want_poll_of = want_poll;
  pool->done_poll_of = done_poll;
  pool->userdata = userdata;
  pool->spare = spare;
  pool->first = pool->current = pool;
  return pool;
}

/* The first life of a pool that the host made. What is on no list is the
 * default pool, or was: eio_init and eio_shutdown make its address another. */
static etp_pool *
eio__find_pool (const eio_pool *pool)
{
  etp_pool *first;

  X_LOCK (eio__pools_lock);
  for (first = eio__pools; first && first != pool;)
    first = first->next;
  X_UNLOCK (eio__pools_lock);
  return first;
}

static eio_pool *
eio__enlist_pool (etp_pool *pool, etp_pool *workers)
{
  X_LOCK (eio__pools_lock);
  if (workers)
    pool->crew = etp_crew (etp_current_life (workers->first));
  pool->next = eio__pools;
  ecb_store_relaxed (eio__has_pools, 1);
  ecb_store_release (eio__pools, pool);
  X_UNLOCK (eio__pools_lock);
  return pool;
}

eio_pool *
eio_pool_new (void (*want_poll) (void *), void (*done_poll) (void *),
              void *userdata)
{
  etp_pool *pool = eio__make_pool (want_poll, done_poll, userdata);

  return pool ? eio__enlist_pool (pool, 0) : 0;
}

eio_pool *
eio_pool_new_shared (eio_pool *workers, void (*want_poll) (void *),
                     void (*done_poll) (void *), void *userdata)
{
  etp_pool *pool = eio__make_pool (want_poll, done_poll, userdata), *crew;

  if (!pool)
    return 0;
  eio__pool ();
  crew = etp_crew (etp_current_life (eio__find_pool (workers)));
  if (!etp_waits_for_memory (crew))
    return eio__enlist_pool (pool, crew);
  free (pool->spare);
  free (pool);
  errno = ENOMEM;
  return 0;
}

/* Takes a pool off the list, if nobody shares its workers. */
static int
eio__delist_pool (etp_pool *first)
{
  etp_pool **link, **own = 0, *pool = first->current;
  int shared = 0;

  X_LOCK (eio__pools_lock);
  while (first->npins)
    {
      X_UNLOCK (eio__pools_lock);
      eio_sys_nap ();
      X_LOCK (eio__pools_lock);
    }
  for (link = &eio__pools; *link; link = &(*link)->next)
    if (*link == first)
      own = link;
    else
      shared |= etp_crew ((*link)->current) == pool;
  if (own && !shared)
    ecb_store_release (*own, first->next);
  X_UNLOCK (eio__pools_lock);
  return !shared;
}

/* A group that waits for a member that was not submitted counts for none. */
static int
etp_has_requests (etp_pool *pool)
{
  int res;

  etp_lock_groups (pool);
  res = pool->nheld || ecb_load_relaxed (pool->nreqs);
  etp_unlock_groups (pool);
  return res;
}

int ecb_cold
eio_pool_free (eio_pool *first)
{
  etp_pool *pool, *inherited;

  if (!eio__find_pool (first))
    {
      errno = EINVAL;
      return -1;
    }

  pool = first->current;
  if (etp_is_within (pool) || etp_has_requests (pool)
      || !eio__delist_pool (first))
    {
      errno = EBUSY;
      return -1;
    }
  etp_dismiss_all (pool, 0);
  if (etp_has_requests (pool))
    {
      eio__enlist_pool (first, etp_crew (pool));
      errno = EBUSY;
      return -1;
    }

  if (eio__using == first)
    eio__using = 0;
  etp_await_servers (pool);
  eio_sys_close_beacon (&pool->beacon);
  inherited = pool;
  if (ecb_load_relaxed (pool->over) != ETP_INHERITED)
    {
      inherited = pool->older;
      etp_free_parts (pool);
      free (pool->spare);
      free (pool);
    }
  if (inherited) /* a callback that forked may return there */
    {
      inherited->next = eio__inherited;
      eio__inherited = inherited;
    }
  return 0;
}

eio_pool *
eio_pool_current (void)
{
  etp_pool *using = ecb_load_relaxed (eio__has_pools) ? eio__using : 0;

  return using ? using : ecb_load_acquire (eio__default_pool);
}

eio_pool *
eio_pool_use (eio_pool *pool)
{
  etp_pool *before = eio_pool_current ();

  eio__using = eio__find_pool (pool);
  return before;
}

/* Negative values and NaN are no limit; any positive one is, of 1 ns at the
 * least. */
void
eio_set_max_poll_time (eio_tstamp seconds)
{
  unsigned long long ns = eio_sys_ns (seconds);

  ecb_store_relaxed (eio__pool ()->max_poll_sec, (unsigned)(ns / 1000000000u));
  ecb_store_relaxed (eio__pool ()->max_poll_nsec, (unsigned)(ns % 1000000000u));
}

void
eio_set_max_poll_reqs (unsigned int nreqs)
{
  ecb_store_relaxed (eio__pool ()->max_poll_reqs, nreqs);
}

/* The inverse of eio_sys_ns, which adds 1. */
static eio_tstamp
eio__seconds (unsigned long long ns)
{
  return (eio_tstamp)(ns > 1 ? ns - 1 : ns) / 1e9;
}

eio_tstamp
eio_get_max_poll_time (void)
{
  return eio__seconds (etp_get_max_poll_time (eio__pool ()));
}

unsigned int
eio_get_max_poll_reqs (void)
{
  return ecb_load_relaxed (eio__pool ()->max_poll_reqs);
}

void
eio_set_max_outstanding (unsigned int nreqs)
{
  ecb_store_relaxed (eio__pool ()->max_outstanding, nreqs);
}

unsigned int
eio_get_max_outstanding (void)
{
  return ecb_load_relaxed (eio__pool ()->max_outstanding);
}

void
eio_set_submit_limit (unsigned int nreqs)
{
  ecb_store_relaxed (eio__pool ()->submit_limit, nreqs);
}

unsigned int
eio_get_submit_limit (void)
{
  return ecb_load_relaxed (eio__pool ()->submit_limit);
}

void
eio_set_finish_cancelled (int on)
{
  ecb_store_relaxed (eio__pool ()->finish_cancelled, !!on);
}

int
eio_get_finish_cancelled (void)
{
  return ecb_load_relaxed (eio__pool ()->finish_cancelled);
}

void
eio_set_nothreads (int mode)
{
  ecb_store_relaxed (eio__pool ()->nothreads, mode == EIO_NOTHREADS_FAIL);
}

int
eio_get_nothreads (void)
{
  return ecb_load_relaxed (eio__pool ()->nothreads) ? EIO_NOTHREADS_FAIL
                                                    : EIO_NOTHREADS_RUN;
}

void
eio_set_inline (size_t max_bytes)
{
  ecb_store_relaxed (eio__pool ()->inline_max, max_bytes);
}

size_t
eio_get_inline (void)
{
  return ecb_load_relaxed (eio__pool ()->inline_max);
}

void
eio_set_min_parallel (unsigned int nthreads)
{
  etp_set_parallel (eio__pool (), nthreads, UINT_MAX);
}

void
eio_set_max_parallel (unsigned int nthreads)
{
  etp_pool *pool = eio__pool ();

  /* A child's handler may call this before ours ran. */
  if (etp_is_other_process (pool) && eio__begin_childs_lives ())
    pool = eio__pool ();
  etp_set_max_parallel (pool, nthreads);
}

void
eio_set_parallel (unsigned int nthreads)
{
  etp_set_parallel (eio__pool (), nthreads, nthreads);
}

unsigned int
eio_get_parallel (void)
{
  return ecb_load_relaxed (etp_crew (eio__pool ())->limit);
}

void
eio_set_max_idle (unsigned int nthreads)
{
  etp_pool *pool;

  etp_lock_crew (eio__pool (), &pool);
  ecb_store_relaxed (pool->max_idle, nthreads);
  etp_reconsider_and_unlock (pool);
}

void
eio_set_idle_timeout (unsigned int seconds)
{
  etp_pool *pool;

  etp_lock_crew (eio__pool (), &pool);
  ecb_store_relaxed (pool->idle_timeout, seconds);
  etp_reconsider_and_unlock (pool);
}

unsigned int
eio_get_max_idle (void)
{
  return ecb_load_relaxed (etp_crew (eio__pool ())->max_idle);
}

unsigned int
eio_get_idle_timeout (void)
{
  return ecb_load_relaxed (etp_crew (eio__pool ())->idle_timeout);
}

void
eio_set_stack_size (size_t bytes)
{
  etp_pool *pool;

  etp_lock_crew (eio__pool (), &pool);
  ecb_store_relaxed (pool->wishes.stack_size, bytes);
  ecb_store_relaxed (pool->stack_try, 0);
  X_UNLOCK (pool->reqlock);
}

size_t
eio_get_stack_size (void)
{
  return ecb_load_relaxed (etp_crew (eio__pool ())->wishes.stack_size);
}

void
eio_set_thread_name (const char *name)
{
  etp_pool *pool;

  etp_lock_crew (eio__pool (), &pool);
  memset (pool->wishes.name, 0, sizeof pool->wishes.name);
  if (name)
    memcpy (pool->wishes.name, name,
            strnlen (name, sizeof pool->wishes.name - 1));
  X_UNLOCK (pool->reqlock);
}

void
eio_set_thread_hooks (void (*on_start) (void *userdata),
                      void (*on_stop) (void *userdata), void *userdata)
{
  etp_pool *pool;

  etp_lock_crew (eio__pool (), &pool);
  pool->wishes.on_start = on_start;
  pool->wishes.on_stop = on_stop;
  pool->wishes.userdata = userdata;
  X_UNLOCK (pool->reqlock);
}

int
eio_set_affinity (const void *cpuset, size_t size)
{
  etp_pool *pool;
  unsigned long cpus[sizeof pool->wishes.cpus / sizeof (unsigned long)] = { 0 };
  unsigned long any = 0;
  size_t i;

  if (!EIO__AFFINITY)
    return EIO_ENOSYS ();
  if (cpuset)
    {
      memcpy (cpus, cpuset, size < sizeof cpus ? size : sizeof cpus);
      for (i = 0; i < sizeof cpus / sizeof *cpus; ++i)
        any |= cpus[i];
      if (!any || size > sizeof cpus)
        {
          errno = EINVAL;
          return -1;
        }
    }

  etp_lock_crew (eio__pool (), &pool);
  memcpy (pool->wishes.cpus, cpus, sizeof cpus);
  pool->wishes.cpus_size = cpuset ? sizeof cpus : 0;
  X_UNLOCK (pool->reqlock);
  return 0;
}

int
eio_set_ioprio (int ioprio)
{
  etp_pool *pool;

  if (!EIO__IOPRIO)
    return EIO_ENOSYS ();
  if (ioprio < 0 || ioprio >> 13 > 3)
    {
      errno = EINVAL;
      return -1;
    }
  etp_lock_crew (eio__pool (), &pool);
  pool->wishes.ioprio = ioprio;
  X_UNLOCK (pool->reqlock);
  return 0;
}

int
eio_get_ioprio (void)
{
  etp_pool *pool;
  int ioprio;

  etp_lock_crew (eio__pool (), &pool);
  ioprio = pool->wishes.ioprio;
  X_UNLOCK (pool->reqlock);
  return ioprio;
}

void
eio_set_reserved (int pri, unsigned int nthreads)
{
  etp_pool *pool;
  etp_action action;
  etp_worker *w;
  eio_req *req;
  int rank;

  etp_lock_crew (eio__pool (), &pool);
  pool->nreserved = nthreads;
  pool->reserved_rank = nthreads ? eio__clamp_pri (pri) - EIO_PRI_MIN : 0;
  pool->planned = nthreads || pool->ageing;
  pool->nlow = pool->nlow_queued = 0;
  for (w = pool->workers; w; w = w->next)
    pool->nlow += w->rank < pool->reserved_rank;
  for (rank = 0; rank < pool->reserved_rank; ++rank)
    for (req = pool->req_queue.first[rank]; req; req = (eio_req *)req->next)
      ++pool->nlow_queued;
  action = etp_summon_locked (pool, 1);
  X_UNLOCK (pool->reqlock);
  etp_act (pool, action);
}

unsigned int
eio_get_reserved (int *pri)
{
  etp_pool *pool;
  unsigned nthreads;

  etp_lock_crew (eio__pool (), &pool);
  nthreads = pool->nreserved;
  if (pri)
    *pri = nthreads ? pool->reserved_rank + EIO_PRI_MIN : EIO_PRI_MIN;
  X_UNLOCK (pool->reqlock);
  return nthreads;
}

void
eio_set_ageing (eio_tstamp seconds)
{
  etp_pool *pool;
  unsigned long long ns = eio_sys_ns (seconds), now = eio_sys_now ();
  eio_req *req;
  int rank;

  etp_lock_crew (eio__pool (), &pool);
  pool->ageing = ns;
  pool->planned = pool->nreserved || ns;
  for (rank = 0; rank < ETP_NUM_PRI; ++rank)
    for (req = pool->req_queue.first[rank]; req; req = (eio_req *)req->next)
      etp_set_age_time (req, now);
  X_UNLOCK (pool->reqlock);
}

eio_tstamp
eio_get_ageing (void)
{
  etp_pool *pool;
  unsigned long long ns;

  etp_lock_crew (eio__pool (), &pool);
  ns = pool->ageing;
  X_UNLOCK (pool->reqlock);
  return eio__seconds (ns);
}

void
eio_set_timing (int on)
{
  etp_pool *pool = eio__pool ();

  X_LOCK (pool->reqlock);
  etp_watch_locked (pool, ETP_TIMING, on);
  X_UNLOCK (pool->reqlock);
}

int
eio_get_timing (void)
{
  return !!(ecb_load_relaxed (eio__pool ()->watch) & ETP_TIMING);
}

void
eio_set_slow (eio_tstamp seconds,
              void (*cb) (const eio_req *req, eio_tstamp running))
{
  etp_pool *pool = eio__pool ();
  unsigned long long ns = cb ? eio_sys_ns (seconds) : 0;

  X_LOCK (pool->reqlock);
  ecb_store_release (pool->slow_cb, cb);
  ecb_store_count (pool->slow, ns);
  etp_watch_locked (pool, ETP_SLOW, ns != 0);
  X_UNLOCK (pool->reqlock);
}

/* The poll thread keeps it, when it takes results. What has come since counts
 * if the number is exact, and is kept, as marks do not fall. */
static unsigned
etp_max_npending (etp_pool *pool)
{
  unsigned npolls = ecb_load_seq_cst (pool->npolls);
  int exact = etp_is_polling (pool) || !ecb_load_seq_cst (pool->scope);
  unsigned n = (unsigned)etp_npending (pool);
  unsigned most = ecb_load_acquire (pool->max_npending);

  exact = exact && npolls == ecb_load_seq_cst (pool->npolls);
  while (exact && n > most && !ecb_cas_seq_cst (pool->max_npending, most, n))
    ;
  return exact && n > most ? n : most;
}

static void
eio__copy_hist (uint64_t *to, const etp_hist *from)
{
  int i;

  for (i = 0; i < 32; ++i)
    to[i] = from->n[i];
}

int
eio_get_stats (struct eio_stats *stats, size_t size)
{
  struct eio_stats all = { 0 };
  etp_pool *pool = eio__pool (), *crew;
  unsigned long long *count = pool->res_queue.count;

  if (!stats || !size)
    {
      errno = EINVAL;
      return -1;
    }

  /* What comes later in a request's life is read first. */
  X_LOCK (pool->siglock);
  if (etp_is_polling (pool))
    etp_count_finished (pool);
  all.finished = pool->nfinished;
  all.cancelled = pool->ncancelled;
  X_UNLOCK (pool->siglock);

  X_LOCK (pool->reslock);
  all.submitted = count[ETP_INLINED] + count[ETP_GROUPED];
  all.executed = count[ETP_EXECUTED];
  all.inlined = count[ETP_INLINED];
  eio__copy_hist (all.queue_hist, &pool->queue_hist);
  eio__copy_hist (all.exec_hist, &pool->exec_hist);
  eio__copy_hist (all.deliver_hist, &pool->deliver_hist);
  X_UNLOCK (pool->reslock);

  etp_lock_crew (pool, &crew);
  all.submitted += pool->nqueued;
  all.threads_started = crew->nstarted;
  all.threads_reaped = crew->nleft;
  all.start_failures = crew->nrefused;
  all.max_nready = pool->max_nready;
  all.max_nthreads = crew->max_nworkers;
  X_UNLOCK (crew->reqlock);
  all.max_npending = etp_max_npending (pool);

  memset (stats, 0, size);
  memcpy (stats, &all, size < sizeof all ? size : sizeof all);
  return 0;
}

unsigned int
eio_nreqs (void)
{
  return ecb_load_relaxed (eio__pool ()->nreqs);
}

unsigned int
eio_nready (void)
{
  etp_pool *pool = eio__pool ();

  return etp_nready (pool, etp_crew (pool));
}

unsigned int
eio_npending (void)
{
  return (unsigned int)etp_npending (eio__pool ());
}

unsigned int
eio_nthreads (void)
{
  etp_pool *pool;
  unsigned int n;

  etp_lock_crew (eio__pool (), &pool);
  n = pool->nworkers;
  X_UNLOCK (pool->reqlock);
  return n;
}

void
eio_submit (eio_req *req)
{
  if (ecb_expect_false (req->type == EIO_READDIR_NEXT))
    eio__hold_dir (req);
  etp_submit (eio__pool (), req);
}

/* Whether a feeder runs on this thread. */
static int
etp_is_feeding (etp_pool *pool)
{
  eio_req *grp;

  etp_lock_groups (pool);
  for (grp = pool->feeding; grp && !eio__is_own_feeder (grp);)
    grp = grp->eio_chain;
  etp_unlock_groups (pool);
  return !!grp;
}

/* Whether no more may be submitted; then with errno. Feeders have a limit of
 * their own, and would be taken to have nothing more. */
static int
eio__refuses (void)
{
  etp_pool *pool = eio__pool ();
  unsigned limit = ecb_load_relaxed (pool->submit_limit);

  if (!limit || ecb_load_relaxed (pool->nreqs) < limit
      || (ecb_load_relaxed (pool->feeding) && etp_is_feeding (pool)))
    return 0;
  errno = EAGAIN;
  return 1;
}

int
eio_try_submit (eio_req *req)
{
  if (eio__refuses ())
    return -1;
  eio_submit (req);
  return 0;
}

void
eio_cancel (eio_req *req)
{
  etp_pool *pool;

  if (!req)
    return;
  if (req->type != EIO_GROUP || !req->eio_pool)
    {
      eio__mark_cancelled (req);
      if (eio__is_lock (req)
          && ecb_load_relaxed (req->eio_state) == ETP_QUEUED)
        etp_alert_keeper (req->eio_pool);
      return;
    }
  pool = req->eio_pool;
  etp_lock_groups (pool);
  eio__cancel_locked (req);
  etp_unlock_groups (pool);
  etp_alert_keeper (pool);
}

static void
eio__free (eio_req *req)
{
  free (req);
}

eio_req *
eio_grp (eio_cb cb, void *data)
{
  eio_req *grp;

  if (eio__refuses ())
    return 0;
  grp = calloc (1, sizeof *grp);
  if (!grp)
    {
      errno = ENOMEM;
      return 0;
    }

  grp->type = EIO_GROUP;
  grp->pri = EIO_PRI_MAX;
  grp->finish = cb;
  grp->data = data;
  grp->destroy = eio__free;
  eio_submit (grp);
  return grp;
}

void
eio_grp_feed (eio_req *grp, void (*feed) (eio_req *grp), int limit)
{
  etp_lock_groups (eio__grp_pool (grp, eio__pool ()));
  grp->int2 = limit;
  grp->feed = feed;
  grp->flags |= ETP_FLAG_ADDED; /* a call that runs has not seen this */
  eio__feed_locked (grp);
  eio__file_and_unlock (grp);
}

void
eio_grp_limit (eio_req *grp, int limit)
{
  etp_lock_groups (eio__grp_pool (grp, eio__pool ()));
  grp->int2 = limit;
  eio__feed_locked (grp);
  eio__file_and_unlock (grp);
}

/* Whether a request has been submitted, and its finish has not begun. */
static int
eio__is_live (const eio_req *req)
{
  int state = ecb_load_relaxed (req->eio_state);

  return state == ETP_QUEUED || state == ETP_WAITING;
}

/* The pool that a request's outcome will come out of, if that is certain. */
static etp_pool *
eio__bound_pool (eio_req *req)
{
  if (eio__is_live (req))
    return req->eio_pool;
  return req->type == EIO_GROUP && req->eio_pool
             && ecb_load_relaxed (req->eio_state) == ETP_FREE
           ? eio__grp_pool (req, req->eio_pool)
           : 0;
}

int
eio_grp_add (eio_req *grp, eio_req *req)
{
  etp_pool *pool, *bound;
  int finishing, member, cancelled = 0;

  if (!req)
    return 0;

  bound = eio__bound_pool (req);
  pool = eio__grp_pool (grp, bound ? bound : eio__pool ());
  if (bound && bound != pool)
    {
      errno = EINVAL;
      return -1;
    }

  etp_lock_groups (pool);
  finishing = ecb_load_relaxed (grp->eio_state) == ETP_FINISHING;
  member = !!req->grp;
  if (!finishing && !member)
    {
      if (req->type == EIO_GROUP && !bound)
        req->eio_pool = pool; /* its members' */
      eio__link_member_locked (grp, req);
      cancelled = EIO_CANCELLED (grp);
      if (cancelled)
        eio__cancel_locked (req);
    }
  etp_unlock_groups (pool);
  if (cancelled)
    etp_alert_keeper (pool);

  assert (!finishing && "eio_grp_add: this group has begun to finish");
  assert (!member && "eio_grp_add: this request is in a group already");
  if (finishing || member)
    {
      errno = EINVAL;
      return -1;
    }
  return 0;
}

void
eio_grp_cancel (eio_req *grp)
{
  etp_pool *pool = eio__grp_pool (grp, eio__pool ());

  etp_lock_groups (pool);
  eio__cancel_members_locked (grp);
  etp_unlock_groups (pool);
  etp_alert_keeper (pool);
}

eio_wd
eio_wd_open_sync (eio_wd wd, const char *path)
{
  eio_wd res;

  if (wd == EIO_INVALID_WD || !path)
    {
      errno = path ? ENOENT : EINVAL;
      return EIO_INVALID_WD;
    }

  do
    res = eio__wd_new (wd, path);
  while (!res && errno == EINTR);
  return res ? res : EIO_INVALID_WD;
}

void
eio_wd_close_sync (eio_wd wd)
{
  eio__wd_free (wd);
}

eio_ssize_t
eio_sendfile_sync (int ofd, int ifd, off_t offset, size_t count)
{
  return eio__sendfile_to (0, ofd, ifd, offset, count);
}

int
eio_copy_fd_sync (int in_fd, int out_fd, const struct stat *st, int flags,
                  const eio_req *req, uint64_t *done)
{
  eio__copier c = { .req = req,
                    .in = in_fd,
                    .out = out_fd,
                    .out_offset = -1,
                    .count = done,
                    .flags = flags };
  off_t size;

  if (flags & ~EIO__COPY_FLAGS)
    return eio__fail (EINVAL);
  if (eio_sys_fstat (in_fd, &c.from) || eio_sys_fstat (out_fd, &c.to))
    return -1;
  if ((c.from.st_mode & S_IFMT) != (c.to.st_mode & S_IFMT)
      || (!S_ISREG (c.from.st_mode) && !S_ISDIR (c.from.st_mode))
      || eio__is_same_file (&c.from, &c.to))
    return eio__fail (EINVAL);
  size = c.from.st_size;
  if (st)
    c.from = *st;
  c.from.st_mode = (c.from.st_mode & 07777) | (c.to.st_mode & S_IFMT);
  c.from.st_size = size;
  return eio__copy_file (&c);
}

int
eio_mlockall_sync (int flags)
{
  return mlockall (eio__mlockall_flags (flags));
}

int
eio_get_progress (const eio_req *req, struct eio_progress *progress)
{
  memset (progress, 0, sizeof *progress);
  progress->bytes_done = ecb_load_count (req->eio_done);
  progress->bytes_total = ecb_load_count (req->eio_total);
  return 0;
}

int
eio_req_type (const eio_req *req)
{
  return req->type;
}

int
eio_req_cancelled (const eio_req *req)
{
  return EIO_CANCELLED (req);
}

eio_ssize_t
eio_req_result (const eio_req *req)
{
  return req->result;
}

int
eio_req_errno (const eio_req *req)
{
  return req->errorno;
}

void *
eio_req_buf (const eio_req *req)
{
  return req->ptr2;
}

void *
eio_req_data (const eio_req *req)
{
  return req->data;
}

eio_wd
eio_req_wd (const eio_req *req)
{
  return req->wd;
}

off_t
eio_req_offset (const eio_req *req)
{
  return req->offs;
}

eio_dir *
eio_req_dir (const eio_req *req)
{
  return req->type == EIO_OPENDIR || req->type == EIO_READDIR_NEXT
           ? (eio_dir *)req->int3
           : 0;
}

size_t
eio_req_sizeof (void)
{
  return sizeof (eio_req);
}

void *
eio_take_buffer (eio_req *req)
{
  void *buffer = req->ptr2;

  if (!(req->flags & EIO_FLAG_PTR2_FREE))
    {
      errno = EINVAL;
      return 0;
    }
  req->flags &= (unsigned char)~EIO_FLAG_PTR2_FREE;
  req->ptr2 = 0;
  return buffer;
}

const char *
eio_strtype (int type)
{
  return type >= 0 && type < EIO_REQ_TYPE_NUM ? eio__ops[type].name : 0;
}

unsigned int
eio_version (void)
{
  return EIO_VERSION_MAJOR << 16 | EIO_VERSION_MINOR;
}

/*****************************************************************************
 * 8  Wrappers                                                               *
 *****************************************************************************/

#ifndef EIO_NO_WRAPPERS

/* The bytes of what ptr2 points to, if that is to be copied. An array that is
 * too long is refused when it is executed, without a look at it. */
static size_t
eio__array_size (const eio_req *fields, int needs)
{
  return !fields->ptr2          ? 0
         : needs & EIO__OFFSET  ? sizeof (off_t)
         : needs & EIO__TIMES   ? 2 * sizeof (struct timespec)
         : needs & EIO__VECTOR && fields->size <= EIO__IOV_MAX
           ? fields->size * sizeof (struct iovec)
           : 0;
}

/* Submits a copy of these fields, in one block with copies of the paths, the
 * name and the array that it has, and, if the type wants one of fixed size, the
 * result buffer. */
static eio_req *
eio__start (const eio_req *fields)
{
  int needs = eio__ops[fields->type].needs;
  const char *path = needs & EIO__PATH ? fields->ptr1 : 0;
  const char *path2 = needs & EIO__PATH2   ? fields->ptr2
                      : needs & EIO__NAMED ? eio__attr_name (fields)
                                           : 0;
  size_t buffer = needs & (EIO__STATS | EIO__STATSVFS | EIO__STATSX)
                    ? eio__buffer_size (fields, needs)
                    : 0;
  size_t array = eio__array_size (fields, needs);
  size_t size = path ? strlen (path) + 1 : 0;
  size_t size2 = path2 ? strlen (path2) + 1 : 0;
  eio_req *req;
  char *rest;

  if (eio__refuses ())
    return 0;
  req = eio_sys_realloc (0, sizeof *req + buffer + array + size + size2);
  if (!req)
    return 0;

  rest = (char *)(req + 1);
  *req = *fields;
  req->destroy = eio__free;
  if (buffer)
    req->ptr2 = memset (rest, 0, buffer);
  if (array)
    req->ptr2 = memcpy (rest, fields->ptr2, array);
  rest += buffer + array;
  if (path)
    req->ptr1 = memcpy (rest, path, size);
  if (path2 && needs & EIO__NAMED)
    req->int3 = (long)memcpy (rest + size, path2, size2);
  else if (path2)
    req->ptr2 = memcpy (rest + size, path2, size2);

  eio_submit (req);
  return req;
}

/* The common end of every wrapper's parameters, and what else it sets. */
#define EIO__START(req_type, ...) \
  eio__start (&(eio_req){ .type = (req_type), \
                          .pri = (signed char)eio__clamp_pri (pri), \
                          .finish = cb, .data = data, __VA_ARGS__ })

eio_req *
eio_nop (int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_NOP, .wd = EIO_CWD);
}

eio_req *
eio_busy (eio_tstamp delay, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_BUSY, .nv1 = delay);
}

eio_req *
eio_custom (void (*execute) (eio_req *), int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_CUSTOM, .feed = execute);
}

eio_req *
eio_wd_open (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_wd_open_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_wd_close (eio_wd wd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_WD_CLOSE, .wd = wd);
}

eio_req *
eio_open (const char *path, int flags, mode_t mode, int pri, eio_cb cb,
          void *data)
{
  return eio_open_at (EIO_CWD, path, flags, mode, pri, cb, data);
}

eio_req *
eio_close (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_CLOSE, .int1 = fd);
}

eio_req *
eio_dup2 (int fd, int fd2, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_DUP2, .int1 = fd, .int2 = fd2);
}

eio_req *
eio_fcntl (int fd, int cmd, void *arg, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FCNTL, .int1 = fd, .int2 = cmd, .ptr2 = arg);
}

eio_req *
eio_ioctl (int fd, unsigned long request, void *buf, int pri, eio_cb cb,
           void *data)
{
  return EIO__START (EIO_IOCTL, .int1 = fd, .int2 = (long)request,
                     .ptr2 = buf);
}

eio_req *
eio_seek (int fd, off_t offset, int whence, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SEEK, .int1 = fd, .offs = offset, .int2 = whence);
}

eio_req *
eio_read (int fd, void *buf, size_t length, off_t offset, int pri, eio_cb cb,
          void *data)
{
  return EIO__START (EIO_READ, .int1 = fd, .ptr2 = buf, .size = length,
                     .offs = offset);
}

eio_req *
eio_write (int fd, void *buf, size_t length, off_t offset, int pri, eio_cb cb,
           void *data)
{
  return EIO__START (EIO_WRITE, .int1 = fd, .ptr2 = buf, .size = length,
                     .offs = offset);
}

eio_req *
eio_readahead (int fd, off_t offset, size_t length, int pri, eio_cb cb,
               void *data)
{
  return EIO__START (EIO_READAHEAD, .int1 = fd, .offs = offset,
                     .size = length);
}

eio_req *
eio_sendfile (int out_fd, int in_fd, off_t in_offset, size_t length, int pri,
              eio_cb cb, void *data)
{
  return EIO__START (EIO_SENDFILE, .int1 = out_fd, .int2 = in_fd,
                     .offs = in_offset, .size = length);
}

eio_req *
eio_slurp (const char *path, void *buf, size_t length, off_t offset, int pri,
           eio_cb cb, void *data)
{
  return eio_slurp_at (EIO_CWD, path, buf, length, offset, pri, cb, data);
}

eio_req *
eio_sync (int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SYNC, .wd = EIO_CWD);
}

eio_req *
eio_fsync (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FSYNC, .int1 = fd);
}

eio_req *
eio_fdatasync (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FDATASYNC, .int1 = fd);
}

eio_req *
eio_syncfs (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SYNCFS, .int1 = fd);
}

eio_req *
eio_sync_file_range (int fd, off_t offset, size_t nbytes, unsigned int flags,
                     int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SYNC_FILE_RANGE, .int1 = fd, .offs = offset,
                     .size = nbytes, .int2 = (long)flags);
}

eio_req *
eio_fallocate (int fd, int mode, off_t offset, size_t len, int pri, eio_cb cb,
               void *data)
{
  return EIO__START (EIO_FALLOCATE, .int1 = fd, .int2 = mode, .offs = offset,
                     .size = len);
}

eio_req *
eio_msync (void *addr, size_t length, int flags, int pri, eio_cb cb,
           void *data)
{
  return EIO__START (EIO_MSYNC, .ptr2 = addr, .size = length, .int1 = flags);
}

eio_req *
eio_mtouch (void *addr, size_t length, int flags, int pri, eio_cb cb,
            void *data)
{
  return EIO__START (EIO_MTOUCH, .ptr2 = addr, .size = length, .int1 = flags);
}

eio_req *
eio_mlock (void *addr, size_t length, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_MLOCK, .ptr2 = addr, .size = length);
}

eio_req *
eio_mlockall (int flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_MLOCKALL, .int1 = flags);
}

eio_req *
eio_fstat (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FSTAT, .int1 = fd);
}

eio_req *
eio_fstatvfs (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FSTATVFS, .int1 = fd);
}

eio_req *
eio_stat (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_stat_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_lstat (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_lstat_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_statvfs (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_statvfs_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_ftruncate (int fd, off_t offset, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FTRUNCATE, .int1 = fd, .offs = offset);
}

eio_req *
eio_fchmod (int fd, mode_t mode, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FCHMOD, .int1 = fd, .int2 = (long)mode);
}

eio_req *
eio_fchown (int fd, eio_uid_t uid, eio_gid_t gid, int pri, eio_cb cb,
            void *data)
{
  return EIO__START (EIO_FCHOWN, .int1 = fd, .int2 = (long)uid,
                     .int3 = (long)gid);
}

eio_req *
eio_futime (int fd, eio_tstamp atime, eio_tstamp mtime, int pri, eio_cb cb,
            void *data)
{
  return EIO__START (EIO_FUTIME, .int1 = fd, .nv1 = atime, .nv2 = mtime);
}

eio_req *
eio_truncate (const char *path, off_t offset, int pri, eio_cb cb, void *data)
{
  return eio_truncate_at (EIO_CWD, path, offset, pri, cb, data);
}

eio_req *
eio_chmod (const char *path, mode_t mode, int pri, eio_cb cb, void *data)
{
  return eio_chmod_at (EIO_CWD, path, mode, pri, cb, data);
}

eio_req *
eio_chown (const char *path, eio_uid_t uid, eio_gid_t gid, int pri, eio_cb cb,
           void *data)
{
  return eio_chown_at (EIO_CWD, path, uid, gid, pri, cb, data);
}

eio_req *
eio_utime (const char *path, eio_tstamp atime, eio_tstamp mtime, int pri,
           eio_cb cb, void *data)
{
  return eio_utime_at (EIO_CWD, path, atime, mtime, pri, cb, data);
}

eio_req *
eio_readlink (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_readlink_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_realpath (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_realpath_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_unlink (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_unlink_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_rmdir (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_rmdir_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_mkdir (const char *path, mode_t mode, int pri, eio_cb cb, void *data)
{
  return eio_mkdir_at (EIO_CWD, path, mode, pri, cb, data);
}

eio_req *
eio_mknod (const char *path, mode_t mode, dev_t dev, int pri, eio_cb cb,
           void *data)
{
  return eio_mknod_at (EIO_CWD, path, mode, dev, pri, cb, data);
}

eio_req *
eio_link (const char *path, const char *new_path, int pri, eio_cb cb,
          void *data)
{
  return eio_link_at (EIO_CWD, path, EIO_CWD, new_path, pri, cb, data);
}

eio_req *
eio_symlink (const char *path, const char *new_path, int pri, eio_cb cb,
             void *data)
{
  return eio_symlink_at (EIO_CWD, path, EIO_CWD, new_path, pri, cb, data);
}

eio_req *
eio_rename (const char *path, const char *new_path, int pri, eio_cb cb,
            void *data)
{
  return eio_rename_at (EIO_CWD, path, EIO_CWD, new_path, pri, cb, data);
}

eio_req *
eio_readdir (const char *path, int flags, int pri, eio_cb cb, void *data)
{
  return eio_readdir_at (EIO_CWD, path, flags, pri, cb, data);
}

/* --- requests 50 to 74: descriptors, ranges, attributes ------------------- */

eio_req *
eio_readv (int fd, const struct iovec *iov, int iovcnt, off_t offset,
           int rwf_flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_READV, .int1 = fd, .ptr2 = (void *)iov,
                     .size = (size_t)iovcnt, .offs = offset,
                     .int2 = rwf_flags);
}

eio_req *
eio_writev (int fd, const struct iovec *iov, int iovcnt, off_t offset,
            int rwf_flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_WRITEV, .int1 = fd, .ptr2 = (void *)iov,
                     .size = (size_t)iovcnt, .offs = offset,
                     .int2 = rwf_flags);
}

eio_req *
eio_read_all (int fd, void *buf, size_t length, off_t offset, int pri,
              eio_cb cb, void *data)
{
  return EIO__START (EIO_READ_ALL, .int1 = fd, .ptr2 = buf, .size = length,
                     .offs = offset);
}

eio_req *
eio_write_all (int fd, void *buf, size_t length, off_t offset, int pri,
               eio_cb cb, void *data)
{
  return EIO__START (EIO_WRITE_ALL, .int1 = fd, .ptr2 = buf, .size = length,
                     .offs = offset);
}

eio_req *
eio_statx_at (eio_wd wd, const char *path, int at_flags, unsigned int mask,
              int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_STATX, .wd = wd, .ptr1 = (void *)path,
                     .int1 = at_flags, .int2 = (long)mask);
}

eio_req *
eio_statx (const char *path, int at_flags, unsigned int mask, int pri,
           eio_cb cb, void *data)
{
  return eio_statx_at (EIO_CWD, path, at_flags, mask, pri, cb, data);
}

eio_req *
eio_fstatx (int fd, unsigned int mask, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FSTATX, .int1 = fd, .int2 = (long)mask);
}

eio_req *
eio_copy_range (int in_fd, off_t in_offset, int out_fd, off_t out_offset,
                size_t length, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_COPY_RANGE, .int1 = in_fd, .offs = in_offset,
                     .int2 = out_fd, .ptr2 = &out_offset, .size = length);
}

eio_req *
eio_clone (int src_fd, int dst_fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_CLONE, .int1 = src_fd, .int2 = dst_fd);
}

eio_req *
eio_splice (int in_fd, off_t in_offset, int out_fd, off_t out_offset,
            size_t length, unsigned int flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SPLICE, .int1 = in_fd, .offs = in_offset,
                     .int2 = out_fd, .ptr2 = &out_offset, .size = length,
                     .int3 = (long)flags);
}

eio_req *
eio_tee (int in_fd, int out_fd, size_t length, unsigned int flags, int pri,
         eio_cb cb, void *data)
{
  return EIO__START (EIO_TEE, .int1 = in_fd, .int2 = out_fd, .size = length,
                     .int3 = (long)flags);
}

/* The length of a range as a request holds it: 0, to the end, where it is too
 * large for that, and what cannot be one where it is less. */
static size_t
eio__range_size (off_t length)
{
  unsigned long long max = (size_t)-1;

  return length < 0                             ? (size_t)-1
         : (unsigned long long)length < max ? (size_t)length
                                                : 0;
}

eio_req *
eio_fadvise (int fd, off_t offset, off_t length, int advice, int pri,
             eio_cb cb, void *data)
{
  return EIO__START (EIO_FADVISE, .int1 = fd, .offs = offset,
                     .size = eio__range_size (length), .int2 = advice);
}

eio_req *
eio_madvise (void *addr, size_t length, int advice, int pri, eio_cb cb,
             void *data)
{
  return EIO__START (EIO_MADVISE, .ptr2 = addr, .size = length,
                     .int1 = advice);
}

eio_req *
eio_mincore (void *addr, size_t length, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_MINCORE, .ptr1 = addr, .size = length);
}

eio_req *
eio_munlock (void *addr, size_t length, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_MUNLOCK, .ptr2 = addr, .size = length);
}

eio_req *
eio_munlockall (int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_MUNLOCKALL, .wd = EIO_CWD);
}

eio_req *
eio_fullsync (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FULLSYNC, .int1 = fd);
}

eio_req *
eio_fiemap (int fd, off_t start, off_t length, unsigned int flags, int pri,
            eio_cb cb, void *data)
{
  return EIO__START (EIO_FIEMAP, .int1 = fd, .offs = start,
                     .size = eio__range_size (length), .int2 = (long)flags);
}

eio_req *
eio_getxattr_at (eio_wd wd, const char *path, const char *name, int at_flags,
                 int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_GETXATTR, .wd = wd, .ptr1 = (void *)path,
                     .int3 = (long)name, .int2 = at_flags);
}

eio_req *
eio_getxattr (const char *path, const char *name, int at_flags, int pri,
              eio_cb cb, void *data)
{
  return eio_getxattr_at (EIO_CWD, path, name, at_flags, pri, cb, data);
}

eio_req *
eio_setxattr_at (eio_wd wd, const char *path, const char *name,
                 const void *value, size_t size, int flags, int pri,
                 eio_cb cb, void *data)
{
  return EIO__START (EIO_SETXATTR, .wd = wd, .ptr1 = (void *)path,
                     .int3 = (long)name, .ptr2 = (void *)value, .size = size,
                     .int2 = flags);
}

eio_req *
eio_setxattr (const char *path, const char *name, const void *value,
              size_t size, int flags, int pri, eio_cb cb, void *data)
{
  return eio_setxattr_at (EIO_CWD, path, name, value, size, flags, pri, cb,
                          data);
}

eio_req *
eio_listxattr_at (eio_wd wd, const char *path, int at_flags, int pri,
                  eio_cb cb, void *data)
{
  return EIO__START (EIO_LISTXATTR, .wd = wd, .ptr1 = (void *)path,
                     .int2 = at_flags);
}

eio_req *
eio_listxattr (const char *path, int at_flags, int pri, eio_cb cb, void *data)
{
  return eio_listxattr_at (EIO_CWD, path, at_flags, pri, cb, data);
}

eio_req *
eio_removexattr_at (eio_wd wd, const char *path, const char *name, int flags,
                    int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_REMOVEXATTR, .wd = wd, .ptr1 = (void *)path,
                     .int3 = (long)name, .int2 = flags);
}

eio_req *
eio_removexattr (const char *path, const char *name, int flags, int pri,
                 eio_cb cb, void *data)
{
  return eio_removexattr_at (EIO_CWD, path, name, flags, pri, cb, data);
}

eio_req *
eio_fgetxattr (int fd, const char *name, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FGETXATTR, .int1 = fd, .int3 = (long)name);
}

eio_req *
eio_fsetxattr (int fd, const char *name, const void *value, size_t size,
               int flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FSETXATTR, .int1 = fd, .int3 = (long)name,
                     .ptr2 = (void *)value, .size = size, .int2 = flags);
}

eio_req *
eio_flistxattr (int fd, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_FLISTXATTR, .int1 = fd);
}

eio_req *
eio_fremovexattr (int fd, const char *name, int flags, int pri, eio_cb cb,
                  void *data)
{
  return EIO__START (EIO_FREMOVEXATTR, .int1 = fd, .int3 = (long)name,
                     .int2 = flags);
}

/* --- requests 75 to 110: paths ------------------------------------------- */

eio_req *
eio_access_at (eio_wd wd, const char *path, int mode, int pri, eio_cb cb,
               void *data)
{
  return EIO__START (EIO_ACCESS, .wd = wd, .ptr1 = (void *)path,
                     .int2 = mode);
}

eio_req *
eio_access (const char *path, int mode, int pri, eio_cb cb, void *data)
{
  return eio_access_at (EIO_CWD, path, mode, pri, cb, data);
}

eio_req *
eio_lchown_at (eio_wd wd, const char *path, eio_uid_t uid, eio_gid_t gid,
               int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_LCHOWN, .wd = wd, .ptr1 = (void *)path,
                     .int2 = (long)uid, .int3 = (long)gid);
}

eio_req *
eio_lchown (const char *path, eio_uid_t uid, eio_gid_t gid, int pri,
            eio_cb cb, void *data)
{
  return eio_lchown_at (EIO_CWD, path, uid, gid, pri, cb, data);
}

eio_req *
eio_lutime_at (eio_wd wd, const char *path, eio_tstamp atime,
               eio_tstamp mtime, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_LUTIME, .wd = wd, .ptr1 = (void *)path, .nv1 = atime,
                     .nv2 = mtime);
}

eio_req *
eio_lutime (const char *path, eio_tstamp atime, eio_tstamp mtime, int pri,
            eio_cb cb, void *data)
{
  return eio_lutime_at (EIO_CWD, path, atime, mtime, pri, cb, data);
}

eio_req *
eio_utimens_at (eio_wd wd, const char *path, const struct timespec *times,
                int at_flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_UTIMENS, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)times, .int1 = at_flags);
}

eio_req *
eio_utimens (const char *path, const struct timespec *times, int at_flags,
             int pri, eio_cb cb, void *data)
{
  return eio_utimens_at (EIO_CWD, path, times, at_flags, pri, cb, data);
}

eio_req *
eio_futimens (int fd, const struct timespec *times, int pri, eio_cb cb,
              void *data)
{
  return EIO__START (EIO_FUTIMENS, .int1 = fd, .ptr2 = (void *)times);
}

eio_req *
eio_lchmod_at (eio_wd wd, const char *path, mode_t mode, int pri, eio_cb cb,
               void *data)
{
  return EIO__START (EIO_LCHMOD, .wd = wd, .ptr1 = (void *)path,
                     .int2 = (long)mode);
}

eio_req *
eio_lchmod (const char *path, mode_t mode, int pri, eio_cb cb, void *data)
{
  return eio_lchmod_at (EIO_CWD, path, mode, pri, cb, data);
}

eio_req *
eio_rename2_at (eio_wd wd, const char *path, eio_wd new_wd,
                const char *new_path, unsigned int flags, int pri, eio_cb cb,
                void *data)
{
  return EIO__START (EIO_RENAME2, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)new_path, .int3 = (long)new_wd,
                     .int2 = (long)flags);
}

eio_req *
eio_rename2 (const char *path, const char *new_path, unsigned int flags,
             int pri, eio_cb cb, void *data)
{
  return eio_rename2_at (EIO_CWD, path, EIO_CWD, new_path, flags, pri, cb,
                         data);
}

eio_req *
eio_link2_at (eio_wd wd, const char *path, eio_wd new_wd,
              const char *new_path, int at_flags, int pri, eio_cb cb,
              void *data)
{
  return EIO__START (EIO_LINK2, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)new_path, .int3 = (long)new_wd,
                     .int1 = at_flags);
}

eio_req *
eio_link2 (const char *path, const char *new_path, int at_flags, int pri,
           eio_cb cb, void *data)
{
  return eio_link2_at (EIO_CWD, path, EIO_CWD, new_path, at_flags, pri, cb,
                       data);
}

eio_req *
eio_unlink2_at (eio_wd wd, const char *path, int at_flags, int pri, eio_cb cb,
                void *data)
{
  return EIO__START (EIO_UNLINK2, .wd = wd, .ptr1 = (void *)path,
                     .int1 = at_flags);
}

eio_req *
eio_unlink2 (const char *path, int at_flags, int pri, eio_cb cb, void *data)
{
  return eio_unlink2_at (EIO_CWD, path, at_flags, pri, cb, data);
}

eio_req *
eio_open2_at (eio_wd wd, const char *path, int flags, mode_t mode,
              unsigned int resolve, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_OPEN2, .wd = wd, .ptr1 = (void *)path, .int1 = flags,
                     .int2 = (long)mode, .int3 = (long)resolve);
}

eio_req *
eio_open2 (const char *path, int flags, mode_t mode, unsigned int resolve,
           int pri, eio_cb cb, void *data)
{
  return eio_open2_at (EIO_CWD, path, flags, mode, resolve, pri, cb, data);
}

eio_req *
eio_mkdtemp_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                void *data)
{
  return EIO__START (EIO_MKDTEMP, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_mkdtemp (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_mkdtemp_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_mkstemp_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                void *data)
{
  return EIO__START (EIO_MKSTEMP, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_mkstemp (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_mkstemp_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_tmpfile_at (eio_wd wd, const char *dir, int flags, mode_t mode, int pri,
                eio_cb cb, void *data)
{
  return EIO__START (EIO_TMPFILE, .wd = wd, .ptr1 = (void *)dir,
                     .int1 = flags, .int2 = (long)mode);
}

eio_req *
eio_tmpfile (const char *dir, int flags, mode_t mode, int pri, eio_cb cb,
             void *data)
{
  return eio_tmpfile_at (EIO_CWD, dir, flags, mode, pri, cb, data);
}

eio_req *
eio_linkfd_at (eio_wd wd, int fd, const char *path, int pri, eio_cb cb,
               void *data)
{
  return EIO__START (EIO_LINKFD, .wd = wd, .ptr1 = (void *)path, .int1 = fd);
}

eio_req *
eio_linkfd (int fd, const char *path, int pri, eio_cb cb, void *data)
{
  return eio_linkfd_at (EIO_CWD, fd, path, pri, cb, data);
}

eio_req *
eio_mkdirs_at (eio_wd wd, const char *path, mode_t mode, int pri, eio_cb cb,
               void *data)
{
  return EIO__START (EIO_MKDIRS, .wd = wd, .ptr1 = (void *)path,
                     .int2 = (long)mode);
}

eio_req *
eio_mkdirs (const char *path, mode_t mode, int pri, eio_cb cb, void *data)
{
  return eio_mkdirs_at (EIO_CWD, path, mode, pri, cb, data);
}

eio_req *
eio_opendir_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_OPENDIR, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_opendir (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_opendir_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_readdir_next (eio_dir *dir, size_t max_bytes, int flags, int pri,
                  eio_cb cb, void *data)
{
  return EIO__START (EIO_READDIR_NEXT, .int3 = (long)dir, .size = max_bytes,
                     .int1 = flags);
}

eio_req *
eio_closedir (eio_dir *dir, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_CLOSEDIR, .int3 = (long)dir);
}

eio_req *
eio_load_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_LOAD, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_load (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_load_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_save_at (eio_wd wd, const char *path, const void *buf, size_t length,
             mode_t mode, int flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SAVE, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)buf, .size = length, .int2 = (long)mode,
                     .int1 = flags);
}

eio_req *
eio_save (const char *path, const void *buf, size_t length, mode_t mode,
          int flags, int pri, eio_cb cb, void *data)
{
  return eio_save_at (EIO_CWD, path, buf, length, mode, flags, pri, cb, data);
}

eio_req *
eio_pathsync_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_PATHSYNC, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_pathsync (const char *path, int pri, eio_cb cb, void *data)
{
  return eio_pathsync_at (EIO_CWD, path, pri, cb, data);
}

eio_req *
eio_scandir_at (eio_wd wd, const char *path, int flags, int pri, eio_cb cb,
                void *data)
{
  return EIO__START (EIO_SCANDIR, .wd = wd, .ptr1 = (void *)path,
                     .int1 = flags);
}

eio_req *
eio_scandir (const char *path, int flags, int pri, eio_cb cb, void *data)
{
  return eio_scandir_at (EIO_CWD, path, flags, pri, cb, data);
}

eio_req *
eio_copy_at (eio_wd wd, const char *path, eio_wd new_wd, const char *new_path,
             int flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_COPY, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)new_path, .int3 = (long)new_wd,
                     .int1 = flags);
}

eio_req *
eio_copy (const char *path, const char *new_path, int flags, int pri,
          eio_cb cb, void *data)
{
  return eio_copy_at (EIO_CWD, path, EIO_CWD, new_path, flags, pri, cb, data);
}

eio_req *
eio_move_at (eio_wd wd, const char *path, eio_wd new_wd, const char *new_path,
             int flags, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_MOVE, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)new_path, .int3 = (long)new_wd,
                     .int1 = flags);
}

eio_req *
eio_move (const char *path, const char *new_path, int flags, int pri,
          eio_cb cb, void *data)
{
  return eio_move_at (EIO_CWD, path, EIO_CWD, new_path, flags, pri, cb, data);
}

eio_req *
eio_flock (int fd, int operation, eio_tstamp timeout, int pri, eio_cb cb,
           void *data)
{
  return EIO__START (EIO_FLOCK, .int1 = fd, .int2 = operation,
                     .nv1 = timeout);
}

eio_req *
eio_lock (int fd, int type, off_t start, off_t length, eio_tstamp timeout,
          int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_LOCK, .int1 = fd, .int2 = type, .offs = start,
                     .ptr2 = &length, .nv1 = timeout);
}

/* --- the other requests with a wd ---------------------------------------- */

eio_req *
eio_wd_open_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_WD_OPEN, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_open_at (eio_wd wd, const char *path, int flags, mode_t mode, int pri,
             eio_cb cb, void *data)
{
  return EIO__START (EIO_OPEN, .wd = wd, .ptr1 = (void *)path, .int1 = flags,
                     .int2 = (long)mode);
}

eio_req *
eio_slurp_at (eio_wd wd, const char *path, void *buf, size_t length,
              off_t offset, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SLURP, .wd = wd, .ptr1 = (void *)path, .ptr2 = buf,
                     .size = length, .offs = offset);
}

eio_req *
eio_stat_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_STAT, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_lstat_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_LSTAT, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_statvfs_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_STATVFS, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_truncate_at (eio_wd wd, const char *path, off_t offset, int pri,
                 eio_cb cb, void *data)
{
  return EIO__START (EIO_TRUNCATE, .wd = wd, .ptr1 = (void *)path,
                     .offs = offset);
}

eio_req *
eio_chmod_at (eio_wd wd, const char *path, mode_t mode, int pri, eio_cb cb,
              void *data)
{
  return EIO__START (EIO_CHMOD, .wd = wd, .ptr1 = (void *)path,
                     .int2 = (long)mode);
}

eio_req *
eio_chown_at (eio_wd wd, const char *path, eio_uid_t uid, eio_gid_t gid,
              int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_CHOWN, .wd = wd, .ptr1 = (void *)path,
                     .int2 = (long)uid, .int3 = (long)gid);
}

eio_req *
eio_utime_at (eio_wd wd, const char *path, eio_tstamp atime, eio_tstamp mtime,
              int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_UTIME, .wd = wd, .ptr1 = (void *)path, .nv1 = atime,
                     .nv2 = mtime);
}

eio_req *
eio_readlink_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_READLINK, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_realpath_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_REALPATH, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_unlink_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_UNLINK, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_rmdir_at (eio_wd wd, const char *path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_RMDIR, .wd = wd, .ptr1 = (void *)path);
}

eio_req *
eio_mkdir_at (eio_wd wd, const char *path, mode_t mode, int pri, eio_cb cb,
              void *data)
{
  return EIO__START (EIO_MKDIR, .wd = wd, .ptr1 = (void *)path,
                     .int2 = (long)mode);
}

eio_req *
eio_mknod_at (eio_wd wd, const char *path, mode_t mode, dev_t dev, int pri,
              eio_cb cb, void *data)
{
  return EIO__START (EIO_MKNOD, .wd = wd, .ptr1 = (void *)path,
                     .int2 = (long)mode, .offs = (off_t)dev);
}

eio_req *
eio_link_at (eio_wd wd, const char *path, eio_wd new_wd, const char *new_path,
             int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_LINK, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)new_path, .int3 = (long)new_wd);
}

/* Of its two paths, only the new one is looked up. */
eio_req *
eio_symlink_at (eio_wd wd, const char *path, eio_wd new_wd,
                const char *new_path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_SYMLINK, .wd = wd == EIO_INVALID_WD ? wd : new_wd,
                     .ptr1 = (void *)path, .ptr2 = (void *)new_path,
                     .int3 = (long)new_wd);
}

eio_req *
eio_rename_at (eio_wd wd, const char *path, eio_wd new_wd,
               const char *new_path, int pri, eio_cb cb, void *data)
{
  return EIO__START (EIO_RENAME, .wd = wd, .ptr1 = (void *)path,
                     .ptr2 = (void *)new_path, .int3 = (long)new_wd);
}

eio_req *
eio_readdir_at (eio_wd wd, const char *path, int flags, int pri, eio_cb cb,
                void *data)
{
  return EIO__START (EIO_READDIR, .wd = wd, .ptr1 = (void *)path,
                     .int1 = flags);
}

#undef EIO__START

#endif /* EIO_NO_WRAPPERS */

/*****************************************************************************
 * 9  End                                                                    *
 *****************************************************************************/

#undef EIO__PROBE
#undef EIO__TELLS_CANCELLED
#undef EIO__NAMES_MAX
#undef EIO__PATH_BUF
#undef EIO__PATH_MAX
#undef EIO__FUTEX
#undef EIO__AFFINITY
#undef EIO__IOPRIO
#undef EIO__O_SEARCH
#undef EIO__O_NOTHING
#undef EIO__O_TMPFILE
#undef EIO__TEMP_NAME
#undef EIO__TRY
#undef EIO__PREADV
#undef EIO__FOR_LIVES
#undef ETP_APART
#undef ETP_NAP
#undef ETP_NUM_PRI
#undef ETP_SCOPE_STACK
#undef ETP_INNER_SCOPE_STACK
#undef ETP_INLINE_BUDGET
#undef ETP_MAX_IDLE_TIMEOUT
