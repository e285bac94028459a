/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The system misbehaves.  eio.c is included with its system calls replaced by
 * ones that fail, are interrupted, move fewer bytes or are missing, as each
 * test says. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "counting.h"

#include <sys/file.h>
#include <sys/wait.h>

/*****************************************************************************
 * Calls that misbehave                                                      *
 *****************************************************************************/

/* clang-format off */

/* Calls that say -1 and errno: return type, name, parameters, arguments. */
#define PLAIN_CALLS(X) \
  X (int, dup, (int fd), (fd)) \
  X (int, dup2, (int fd, int fd2), (fd, fd2)) \
  X (int, eventfd, (unsigned int value, int flags), (value, flags)) \
  X (int, faccessat, (int at, const char *p, int mode, int flags), \
     (at, p, mode, flags)) \
  X (int, fchmod, (int fd, mode_t mode), (fd, mode)) \
  X (int, fchmodat, (int at, const char *p, mode_t mode, int flags), \
     (at, p, mode, flags)) \
  X (int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid)) \
  X (int, fchownat, (int at, const char *p, uid_t u, gid_t g, int flags), \
     (at, p, u, g, flags)) \
  X (int, flock, (int fd, int operation), (fd, operation)) \
  X (int, fstatat, (int at, const char *p, struct stat *st, int flags), \
     (at, p, st, flags)) \
  X (int, fstatvfs, (int fd, struct statvfs *st), (fd, st)) \
  X (int, ftruncate, (int fd, off_t length), (fd, length)) \
  X (int, futimens, (int fd, const struct timespec *times), (fd, times)) \
  X (int, linkat, (int at, const char *p, int at2, const char *q, int flags), \
     (at, p, at2, q, flags)) \
  X (off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence)) \
  X (int, madvise, (void *addr, size_t size, int how), (addr, size, how)) \
  X (int, mkdirat, (int at, const char *p, mode_t mode), (at, p, mode)) \
  X (int, mknodat, (int at, const char *p, mode_t mode, dev_t dev), \
     (at, p, mode, dev)) \
  X (int, msync, (void *addr, size_t size, int flags), (addr, size, flags)) \
  X (int, pipe, (int *ends), (ends)) \
  X (ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t offset), \
     (fd, v, n, offset)) \
  X (ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t offset), \
     (fd, v, n, offset)) \
  X (ssize_t, readahead, (int fd, off_t offset, size_t size), \
     (fd, offset, size)) \
  X (ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n)) \
  X (ssize_t, readlinkat, (int at, const char *p, char *buf, size_t size), \
     (at, p, buf, size)) \
  X (int, renameat, (int at, const char *p, int at2, const char *q), \
     (at, p, at2, q)) \
  X (int, statvfs, (const char *p, struct statvfs *st), (p, st)) \
  X (int, symlinkat, (const char *p, int at, const char *q), (p, at, q)) \
  X (int, truncate, (const char *p, off_t length), (p, length)) \
  X (int, unlinkat, (int at, const char *p, int flags), (at, p, flags)) \
  X (int, utimensat, (int at, const char *p, const struct timespec *times, \
                      int flags), (at, p, times, flags)) \
  X (ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))

/* Those that pretend to work: how long a disk takes, what its file system can
 * do, and how much memory this user may lock, is beside the point here. */
#define IDLE_CALLS(X) \
  X (int, fallocate, (int fd, int mode, off_t offset, off_t length), \
     ((void)fd, (void)mode, (void)offset, (void)length)) \
  X (int, fdatasync, (int fd), ((void)fd)) \
  X (int, fsync, (int fd), ((void)fd)) \
  X (int, mlock, (const void *addr, size_t size), \
     ((void)addr, (void)size)) \
  X (int, mlockall, (int flags), ((void)flags)) \
  X (int, munlock, (const void *addr, size_t size), \
     ((void)addr, (void)size)) \
  X (int, munlockall, (void), (void)0) \
  X (int, sync_file_range, (int fd, off_t offset, off_t size, unsigned how), \
     ((void)fd, (void)offset, (void)size, (void)how))

/* Those that return an error number. */
#define ERROR_CALLS(X) \
  X (int, posix_fadvise, (int fd, off_t offset, off_t size, int advice), \
     (fd, offset, size, advice)) \
  X (int, pthread_attr_init, (pthread_attr_t *attr), (attr)) \
  X (int, pthread_attr_setstacksize, (pthread_attr_t *attr, size_t size), \
     (attr, size)) \
  X (int, pthread_cond_init, \
     (pthread_cond_t *cond, const pthread_condattr_t *attr), (cond, attr)) \
  X (int, pthread_condattr_init, (pthread_condattr_t *attr), (attr)) \
  X (int, pthread_condattr_setclock, \
     (pthread_condattr_t *attr, clockid_t clock), (attr, clock)) \
  X (int, pthread_getschedparam, \
     (pthread_t thread, int *policy, struct sched_param *param), \
     (thread, policy, param)) \
  X (int, pthread_setschedparam, \
     (pthread_t thread, int policy, const struct sched_param *param), \
     (thread, policy, param))

#define OTHER_CALLS(X) \
  X (, close, , ) X (, closedir, , ) X (, copy_file_range, , ) \
  X (, fcntl, , ) X (, fdopendir, , ) X (, fstat, , ) X (, getcwd, , ) \
  X (, getrandom, , ) X (, getxattr, , ) X (, ioctl, , ) \
  X (, listxattr, , ) X (, mincore, , ) X (, nanosleep, , ) \
  X (, openat, , ) X (, openat2, , ) X (, prctl, , ) X (, pread, , ) \
  X (, preadv2, , ) X (, pthread_create, , ) X (, pwrite, , ) \
  X (, pwritev2, , ) X (, read, , ) X (, readdir, , ) \
  X (, removexattr, , ) X (, renameat2, , ) X (, sched_getaffinity, , ) \
  X (, sched_setaffinity, , ) X (, sendfile, , ) X (, setxattr, , ) \
  X (, splice, , ) X (, statx, , ) X (, sync, , ) X (, syncfs, , ) \
  X (, tee, , ) X (, write, , )

enum
{
  F_none,
#define SLOT(type, name, params, args) F_##name,
  PLAIN_CALLS (SLOT) IDLE_CALLS (SLOT) ERROR_CALLS (SLOT) OTHER_CALLS (SLOT)
#undef SLOT
  CALL_COUNT
};

static const char *const call_names[CALL_COUNT] = {
#define NAME(type, name, params, args) [F_##name] = #name,
  PLAIN_CALLS (NAME) IDLE_CALLS (NAME) ERROR_CALLS (NAME) OTHER_CALLS (NAME)
#undef NAME
};

/* clang-format on */

#include "faults.h"

static struct
{
  atomic_long most;  /* bytes that a transfer moves, 0: all */
  atomic_long asked; /* bytes that the last transfer was to move */
} transfers[CALL_COUNT];

static void
arm_short (int which, long most)
{
  faults[which].calls = 0;
  transfers[which].most = most;
}

static void
disarm_all (void)
{
  int i;

  disarm ();
  for (i = 0; i < CALL_COUNT; ++i)
    transfers[i].most = 0;
}

static size_t
shorten (int which, size_t size)
{
  size_t most = transfers[which].most;

  transfers[which].asked = (long)size;
  return most && most < size ? most : size;
}

/* clang-format off */
#define PLAIN(type, name, params, args) \
  ecb_unused static type fault_##name params \
  { \
    return faulty (F_##name) ? -1 : name args; \
  }
#define IDLE(type, name, params, args) \
  ecb_unused static type fault_##name params \
  { \
    args; \
    return faulty (F_##name) ? -1 : 0; \
  }
#define ERROR(type, name, params, args) \
  ecb_unused static type fault_##name params \
  { \
    int error = error_of (F_##name); \
    return error ? error : name args; \
  }
PLAIN_CALLS (PLAIN)
IDLE_CALLS (IDLE)
ERROR_CALLS (ERROR)
#undef PLAIN
#undef IDLE
#undef ERROR

#define TRANSFER(name, params, args) \
  ecb_unused static ssize_t fault_##name params \
  { \
    size = shorten (F_##name, size); \
    return faulty (F_##name) ? -1 : name args; \
  }
TRANSFER (pread, (int fd, void *buf, size_t size, off_t offset),
          (fd, buf, size, offset))
TRANSFER (pwrite, (int fd, const void *buf, size_t size, off_t offset),
          (fd, buf, size, offset))
TRANSFER (read, (int fd, void *buf, size_t size), (fd, buf, size))
TRANSFER (write, (int fd, const void *buf, size_t size), (fd, buf, size))
TRANSFER (sendfile, (int ofd, int ifd, off_t *offset, size_t size),
          (ofd, ifd, offset, size))
#undef TRANSFER
/* clang-format on */

/* Descriptors are closed even when close fails; closing one that is not open
 * is a bug of the caller's that would hit another's descriptor. */
static atomic_int bad_closes;

static int
fault_close (int fd)
{
  if (close (fd))
    ++bad_closes;
  return faulty (F_close) ? -1 : 0;
}

/* Streams that are open: what they occupy is the C library's. */
static atomic_int open_dirs;

static int
fault_closedir (DIR *dir)
{
  --open_dirs;
  if (closedir (dir))
    ++bad_closes;
  return faulty (F_closedir) ? -1 : 0;
}

static int
fault_openat (int at, const char *path, int flags, mode_t mode)
{
  return faulty (F_openat) ? -1 : openat (at, path, flags, mode);
}

static int
fault_fcntl (int fd, int command, void *arg)
{
  return faulty (F_fcntl) ? -1 : fcntl (fd, command, arg);
}

/* Any file can be cloned, and has no extents. */
static int
fault_ioctl (int fd, unsigned long command, void *arg)
{
  off_t offset = 0;

  if (faulty (F_ioctl))
    return -1;
  switch (command & 0xffff)
    {
    case 0x660b: return 0;
    case 0x9409:
      while (sendfile (fd, (int)(intptr_t)arg, &offset, 1 << 20) > 0)
        continue;
      return 0;
    default: return ioctl (fd, command, arg);
    }
}

static DIR *
fault_fdopendir (int fd)
{
  DIR *dir = faulty (F_fdopendir) ? 0 : fdopendir (fd);

  open_dirs += !!dir;
  return dir;
}

/* What fstat adds to the size of files, and to numbers of directories. */
static _Atomic off_t size_lie;
static atomic_int dev_lie, ino_lie;

static int
fault_fstat (int fd, struct stat *st)
{
  int res = faulty (F_fstat) ? -1 : fstat (fd, st);

  if (!res && S_ISREG (st->st_mode))
    st->st_size += size_lie;
  if (!res && S_ISDIR (st->st_mode))
    {
      st->st_dev += dev_lie;
      st->st_ino += ino_lie;
    }
  return res;
}

/* Whose names begin with one of these are of unknown type. */
static const char *_Atomic untyped;

static struct dirent *
fault_readdir (DIR *dir)
{
  const char *firsts = untyped;
  struct dirent *de = faulty (F_readdir) ? 0 : readdir (dir);

  if (de && firsts && strchr (firsts, de->d_name[0]))
    de->d_type = DT_UNKNOWN;
  return de;
}

/* What the kernel says of a directory that is not below the root. */
static atomic_int unreachable;

static char *
fault_getcwd (char *buf, size_t size)
{
  if (faulty (F_getcwd))
    return 0;
  if (unreachable)
    return strcpy (buf, "(unreachable)/x");
  return getcwd (buf, size);
}

static int
fault_nanosleep (const struct timespec *delay, struct timespec *rest)
{
  if (!faulty (F_nanosleep))
    return nanosleep (delay, rest);
  if (rest)
    *rest = *delay;
  return -1;
}

static int
fault_prctl (int option, unsigned long a, unsigned long b, unsigned long c,
             unsigned long d)
{
  return faulty (F_prctl) ? -1 : prctl (option, a, b, c, d);
}

static void
fault_sync (void)
{
  ++faults[F_sync].calls;
}

static int
call_by_number (long number)
{
  switch (number)
    {
    case SYS_copy_file_range: return F_copy_file_range;
    case SYS_getrandom: return F_getrandom;
    case SYS_mincore: return F_mincore;
    case 437: return F_openat2;
    case SYS_renameat2: return F_renameat2;
    case SYS_sched_getaffinity: return F_sched_getaffinity;
    case SYS_sched_setaffinity: return F_sched_setaffinity;
    case SYS_splice: return F_splice;
    case SYS_statx: return F_statx;
    case SYS_syncfs: return F_syncfs;
    case SYS_tee: return F_tee;
    default: return F_none;
    }
}

static atomic_int no_futexes;

/* What one wake-up fails with, and how many go well before, -1: it has
 * failed. */
static atomic_int wake_error, good_wakes = -1;

/* Pages may be larger than those of this system; then they are all in
 * memory. */
static long page_size;

static long
find_pages (long addr, long length, unsigned char *pages)
{
  if (!page_size)
    return syscall (SYS_mincore, addr, length, pages);
  memset (pages, 0xff, (size_t)(length / page_size));
  return 0;
}

static long
fault_syscall (long number, long a, long b, long c, long d, long e, long f)
{
  int which = call_by_number (number);

  if (number == SYS_futex && no_futexes)
    {
      errno = ENOSYS;
      return -1;
    }
  if (number == SYS_futex && b == 1 && good_wakes >= 0 && !good_wakes--)
    {
      errno = wake_error;
      return -1;
    }
  if (faulty (which))
    return -1;
  switch (which)
    {
    case F_mincore: return find_pages (a, b, (unsigned char *)c);
    case F_openat2: /* which may be missing */
      return openat ((int)a, (const char *)b, (int)*(const uint64_t *)c);
    case F_splice:
    case F_tee: return 5; /* of pipes */
    case F_syncfs: return 0;
    default: return syscall (number, a, b, c, d, e, f);
    }
}

/* A thread that has a stack of less than this is refused. */
static atomic_size_t stack_wanted;

static int
fault_pthread_create (pthread_t *thread, const pthread_attr_t *attr,
                      void *(*proc) (void *), void *arg)
{
  int error = error_of (F_pthread_create);
  size_t size = 0;

  if (!error && attr && !pthread_attr_getstacksize (attr, &size)
      && size < stack_wanted)
    error = EINVAL;
  return error ? error : pthread_create (thread, attr, proc, arg);
}

static int
change_attr (int which, ...)
{
  return faulty (which) ? -1 : 0;
}

/* If not 0, links are that many slashes. */
static atomic_long link_length;

/* If not 0, all names are of directories, but for "more", a link in each that
 * leads so many bytes down, some of them at a time, and ends with a dot. */
static atomic_int depth;

static ssize_t
lead_down (const char *path, char *buf)
{
  int len = (int)strlen (path) - 5, left = depth - len, n = 0;

  if (len < 0 || strcmp (path + len, "/more"))
    {
      errno = EINVAL;
      return -1;
    }
  while (left > 1 && n < 2000)
    {
      int step = left > 200 ? 100 : left;

      memset (buf + n, 'x', (size_t)step - 1);
      buf[n + step - 1] = '/';
      n += step;
      left -= step;
    }
  return n + sprintf (buf + n, "%s", left ? "more" : ".");
}

static ssize_t
fill_link (int at, const char *path, char *buf, size_t size)
{
  ssize_t n = depth ? lead_down (path, buf)
                    : fault_readlinkat (at, path, buf, size);
  size_t length = link_length;

  if (n < 0 || !length || !strncmp (path, "/proc", 5))
    return n;
  length = length < size ? length : size;
  memset (buf, '/', length);
  return (ssize_t)length;
}

static long
fault_sysconf (int name)
{
  return name == _SC_PAGESIZE && page_size ? page_size : sysconf (name);
}

/* The size of the last block that was asked for, and of the largest one that
 * is to be had. */
static atomic_size_t last_size, largest_size = SIZE_MAX;

static void *
sized_realloc (void *p, size_t size)
{
  last_size = size;
  if (size <= largest_size)
    return fault_realloc (p, size);
  errno = ENOMEM;
  return 0;
}

/* So many bytes pread says that there are, and writes none of them. */
static off_t claimed;

static ssize_t
claim (size_t n, off_t offset)
{
  return offset < claimed ? (ssize_t)n : 0;
}

/* How many bytes of names a directory may have. */
static size_t names_max = INT_MAX;

/* Memory is always to be had. */
static int
out_of_memory (void)
{
  return 0;
}

/* clang-format off */
#define close(fd)               fault_close (fd)
#define closedir(dir)           fault_closedir (dir)
#define dup(fd)                 fault_dup (fd)
#define dup2(fd, fd2)           fault_dup2 (fd, fd2)
#define eventfd(...)            fault_eventfd (__VA_ARGS__)
#define faccessat(...)          fault_faccessat (__VA_ARGS__)
#define fallocate(...)          fault_fallocate (__VA_ARGS__)
#define fchmod(...)             fault_fchmod (__VA_ARGS__)
#define fchmodat(...)           fault_fchmodat (__VA_ARGS__)
#define fchown(...)             fault_fchown (__VA_ARGS__)
#define fchownat(...)           fault_fchownat (__VA_ARGS__)
#define fdatasync(fd)           fault_fdatasync (fd)
#define fdopendir(fd)           fault_fdopendir (fd)
#define flock(...)              fault_flock (__VA_ARGS__)
#define fstat(...)              fault_fstat (__VA_ARGS__)
#define fstatat(...)            fault_fstatat (__VA_ARGS__)
#define fstatvfs(...)           fault_fstatvfs (__VA_ARGS__)
#define fsync(fd)               fault_fsync (fd)
#define ftruncate(...)          fault_ftruncate (__VA_ARGS__)
#define futimens(...)           fault_futimens (__VA_ARGS__)
#define getcwd(...)             fault_getcwd (__VA_ARGS__)
#define ioctl(fd, command, arg) \
  fault_ioctl (fd, command, (void *)(intptr_t)(arg))
#define linkat(...)             fault_linkat (__VA_ARGS__)
#define lseek(...)              fault_lseek (__VA_ARGS__)
#define madvise(...)            fault_madvise (__VA_ARGS__)
#define mkdirat(...)            fault_mkdirat (__VA_ARGS__)
#define mknodat(...)            fault_mknodat (__VA_ARGS__)
#define mlock(...)              fault_mlock (__VA_ARGS__)
#define mlockall(flags)         fault_mlockall (flags)
#define msync(...)              fault_msync (__VA_ARGS__)
#define munlock(...)            fault_munlock (__VA_ARGS__)
#define munlockall()            fault_munlockall ()
#define nanosleep(...)          fault_nanosleep (__VA_ARGS__)
#define pipe(ends)              fault_pipe (ends)
#define posix_close(fd, flags)  fault_close (fd)
#define posix_fadvise(...)      fault_posix_fadvise (__VA_ARGS__)
#define pread(fd, buf, n, offset) \
  (claimed ? claim (n, offset) : fault_pread (fd, buf, n, offset))
#define preadv(...)             fault_preadv (__VA_ARGS__)
#define preadv2(fd, v, n, o, f) \
  (faulty (F_preadv2) || (f) != 1 ? -1 : preadv (fd, v, n, o))
#define pwrite(...)             fault_pwrite (__VA_ARGS__)
#define pwritev(...)            fault_pwritev (__VA_ARGS__)
#define pwritev2(fd, v, n, o, f) \
  (faulty (F_pwritev2) || (f) != 1 ? -1 : pwritev (fd, v, n, o))
#define read(...)               fault_read (__VA_ARGS__)
#define readahead(...)          fault_readahead (__VA_ARGS__)
#define readdir(dir)            fault_readdir (dir)
#define readv(...)              fault_readv (__VA_ARGS__)
#define readlinkat(...)         fill_link (__VA_ARGS__)
#define renameat(...)           fault_renameat (__VA_ARGS__)
#define sendfile(...)           fault_sendfile (__VA_ARGS__)
#define statvfs(...)            fault_statvfs (__VA_ARGS__)
#define symlinkat(...)          fault_symlinkat (__VA_ARGS__)
#define sync()                  fault_sync ()
#define sysconf(name)           fault_sysconf (name)
#define sync_file_range(...)    fault_sync_file_range (__VA_ARGS__)
#define truncate(...)           fault_truncate (__VA_ARGS__)
#define unlinkat(...)           fault_unlinkat (__VA_ARGS__)
#define utimensat(...)          fault_utimensat (__VA_ARGS__)
#define write(...)              fault_write (__VA_ARGS__)
#define writev(...)             fault_writev (__VA_ARGS__)

#define GET_ATTRS(call, name, buf, size) \
  ((void)(name), faulty (F_##call) ? -1 : fake_attrs (buf, size))
#define getxattr(p, k, v, n)    GET_ATTRS (getxattr, k, v, n)
#define lgetxattr(p, k, v, n)   GET_ATTRS (getxattr, k, v, n)
#define fgetxattr(fd, k, v, n)  GET_ATTRS (getxattr, k, v, n)
#define listxattr(p, v, n)      GET_ATTRS (listxattr, 0, v, n)
#define llistxattr(p, v, n)     GET_ATTRS (listxattr, 0, v, n)
#define flistxattr(fd, v, n)    GET_ATTRS (listxattr, 0, v, n)
#define setxattr(...)           change_attr (F_setxattr, __VA_ARGS__)
#define lsetxattr(...)          change_attr (F_setxattr, __VA_ARGS__)
#define fsetxattr(...)          change_attr (F_setxattr, __VA_ARGS__)
#define removexattr(...)        change_attr (F_removexattr, __VA_ARGS__)
#define lremovexattr(...)       change_attr (F_removexattr, __VA_ARGS__)
#define fremovexattr(...)       change_attr (F_removexattr, __VA_ARGS__)

#define pthread_attr_init(a)             fault_pthread_attr_init (a)
#define pthread_attr_setstacksize(a, n)  fault_pthread_attr_setstacksize (a, n)
#define pthread_cond_init(c, a)          fault_pthread_cond_init (c, a)
#define pthread_condattr_init(a)         fault_pthread_condattr_init (a)
#define pthread_condattr_setclock(a, c)  fault_pthread_condattr_setclock (a, c)
#define pthread_create(...)              fault_pthread_create (__VA_ARGS__)
#define pthread_getschedparam(...)       \
  fault_pthread_getschedparam (__VA_ARGS__)
#define pthread_setschedparam(...)       \
  fault_pthread_setschedparam (__VA_ARGS__)

/* Those with a variable number of arguments. */
#define openat(...)  FAULT_OPENAT (__VA_ARGS__, 0, 0)
#define fcntl(...)   FAULT_FCNTL (__VA_ARGS__, 0, 0)
#define prctl(...)   FAULT_PRCTL (__VA_ARGS__, 0, 0, 0, 0, 0)
#define syscall(...) FAULT_SYSCALL (__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define FAULT_OPENAT(at, path, flags, mode, ...) \
  fault_openat (at, path, flags, mode)
#define FAULT_FCNTL(fd, command, arg, ...) \
  fault_fcntl (fd, command, (void *)(intptr_t)(arg))
#define FAULT_PRCTL(option, a, b, c, d, ...) fault_prctl (option, a, b, c, d)
#define FAULT_SYSCALL(nr, a, b, c, d, e, f, ...) \
  fault_syscall (nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
                 (long)(f))

#define malloc  fault_malloc
#define calloc  fault_calloc
#define realloc sized_realloc
#define free    fault_free
/* clang-format on */

#define EIO__NAMES_MAX names_max

#include "eio.c"

#undef close
#undef posix_close
#undef closedir
#undef dup
#undef dup2
#undef fallocate
#undef fchmod
#undef fchmodat
#undef fchown
#undef fchownat
#undef fdatasync
#undef fdopendir
#undef fstat
#undef fstatat
#undef fstatvfs
#undef fsync
#undef ftruncate
#undef futimens
#undef getcwd
#undef ioctl
#undef linkat
#undef lseek
#undef madvise
#undef mkdirat
#undef mknodat
#undef mlock
#undef mlockall
#undef msync
#undef nanosleep
#undef pread
#undef pwrite
#undef read
#undef readahead
#undef readdir
#undef readlinkat
#undef renameat
#undef sendfile
#undef statvfs
#undef symlinkat
#undef sync
#undef sysconf
#undef sync_file_range
#undef truncate
#undef unlinkat
#undef utimensat
#undef write
#undef pthread_attr_init
#undef pthread_attr_setstacksize
#undef pthread_cond_init
#undef pthread_condattr_init
#undef pthread_condattr_setclock
#undef pthread_create
#undef pthread_getschedparam
#undef pthread_setschedparam
#undef openat
#undef fcntl
#undef prctl
#undef syscall
#undef malloc
#undef calloc
#undef realloc
#undef free

#include "sample.h"

/*****************************************************************************
 * A sample of every request that makes a call                               *
 *****************************************************************************/

/* call: the one whose error becomes the request's, if there is one; errors:
 * such errors, 0 at the end; missing: a call that the system lacks; renameat
 * finds out that it would lead to another file system, readdir tells no types,
 * and where there is no sendfile, there are no newer calls that copy. */
typedef struct
{
  const char *name;
  int call, missing, in_wd;
  const int *errors;
  eio_req req;
} sample;

/* clang-format off */
#define S(name, call, errors, ...) \
  { #name, F_##call, 0, 0, errors, { .type = EIO_##name, __VA_ARGS__ } }
#define WITHOUT(missing, name, call, errors, ...) \
  { #name, F_##call, F_##missing, 0, errors, \
    { .type = EIO_##name, __VA_ARGS__ } }
#define WD(name, call, errors, ...) \
  { #name, F_##call, 0, 1, errors, { .type = EIO_##name, __VA_ARGS__ } }
#define BUF(bytes)   .ptr2 = buffer, .size = (bytes)
#define MEM          .ptr2 = mapped, .size = sizeof mapped
#define COPY         .int1 = OUT, .int2 = DATA, .size = BYTES
#define RANGE        .int1 = DATA, .int2 = OUT, .size = BYTES
#define VECTOR       .ptr2 = vector, .size = LENGTH (vector)

static const int none[] = { 0 };
static const int open_errors[]
  = { EACCES, EIO, ELOOP, EMFILE, ENFILE, ENOMEM, ENXIO, ETXTBSY, 0 };
static const int path_errors[]
  = { EACCES, EIO, ELOOP, ENOENT, ENOMEM, ENOTDIR, EPERM, EROFS, 0 };
static const int make_errors[]
  = { EACCES, EDQUOT, EEXIST, EIO, EMLINK, ENOSPC, EROFS, EXDEV, 0 };
static const int fd_errors[] = { EBADF, EINVAL, EIO, ENOMEM, EPERM, 0 };
static const int read_errors[] = { EAGAIN, EBADF, EIO, EISDIR, ENOMEM, 0 };
static const int write_errors[]
  = { EAGAIN, EBADF, EDQUOT, EFBIG, EIO, ENOSPC, EPIPE, 0 };
static const int sync_errors[] = { EBADF, EDQUOT, EIO, ENOSPC, EROFS, 0 };
static const int alloc_errors[]
  = { EFBIG, EIO, ENODEV, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, ETXTBSY, 0 };
static const int lock_errors[] = { EAGAIN, ENOMEM, EPERM, 0 };
static const int populate_errors[] = { EFAULT, EIO, ENOMEM, 0 };
static const int flag_errors[] = { EEXIST, EINVAL, ENOSYS, EXDEV, 0 };
static const int ahead_errors[] = { EBADF, EINVAL, 0 };

/* Where ENOSYS, EPERM or EINVAL would be taken for a call that is missing. */
static const int ask_errors[] = { EACCES, EIO, ELOOP, ENOENT, ENOTDIR, 0 };
static const int name_errors[] = { EACCES, EEXIST, EINVAL, EROFS, EXDEV, 0 };
static const int move_errors[] = { EACCES, EDQUOT, EEXIST, EMLINK, EROFS, 0 };
static const int copy_errors[] = { EDQUOT, EFBIG, EIO, ENOSPC, ETXTBSY, 0 };
static const int pipe_errors[] = { EAGAIN, EBADF, EINVAL, ENOMEM, ESPIPE, 0 };
static const int clone_errors[]
  = { EBADF, EINVAL, EISDIR, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV, 0 };
static const int map_errors[] = { EAGAIN, EBADF, EFAULT, EINVAL, ENOMEM, 0 };
static const int attr_errors[]
  = { E2BIG, EACCES, EDQUOT, ENODATA, ENOSPC, EOPNOTSUPP, EPERM, 0 };
static const int range_errors[] = { EBADF, EDEADLK, EINVAL, ENOLCK, 0 };
static const int status_errors[] = { EBADF, EIO, EROFS, 0 };

static const sample samples[] = {
  S  (WD_OPEN,  openat, open_errors, P (DIR)),
  S  (WD_OPEN,  none, none, P (LINK)),
  S  (WD_OPEN,  none, none, IN (".")),
  WD (WD_OPEN,  openat, open_errors, IN ("../dir")),
  S  (DUP2,     dup2, fd_errors, FD, .int2 = DUP),
  S  (SEEK,     lseek, fd_errors, FD, .offs = 5),
  S  (READ,     pread, read_errors, FD, BUF (BYTES)),
  S  (READ,     pread, read_errors, FD, .size = BYTES + 9),
  S  (READ,     read, read_errors, FD, BUF (BYTES), .offs = -1),
  S  (WRITE,    pwrite, write_errors, FD, .ptr2 = content, .size = 9),
  S  (WRITE,    write, write_errors, .int1 = OUT, BUF (9), .offs = -1),
  S  (FCNTL,    fcntl, fd_errors, FD, .int2 = F_GETFL),
  S  (IOCTL,    ioctl, fd_errors, FD, .int2 = FIONREAD, BUF (0)),
  S  (READAHEAD, readahead, ahead_errors, FD, .size = BYTES),
  WITHOUT (readahead, READAHEAD, none, none, FD, .size = BYTES),
  S  (SENDFILE, sendfile, write_errors, COPY),
  WITHOUT (sendfile, SENDFILE, pread, read_errors, COPY),
  WITHOUT (sendfile, SENDFILE, write, write_errors, COPY),
  S  (FSTAT,    fstat, fd_errors, FD),
  S  (FSTATVFS, fstatvfs, fd_errors, FD),
  S  (FTRUNCATE, ftruncate, fd_errors, FD, .offs = BYTES),
  S  (FUTIME,   futimens, fd_errors, FD, .nv1 = 1, .nv2 = 2),
  S  (FCHMOD,   fchmod, fd_errors, FD, .int2 = 0640),
  S  (FCHOWN,   fchown, fd_errors, FD, .int2 = -1, .int3 = -1),
  S  (FSYNC,    fsync, sync_errors, FD),
  S  (FDATASYNC, fdatasync, sync_errors, FD),
  WITHOUT (fdatasync, FDATASYNC, fsync, sync_errors, FD),
  S  (SYNCFS,   syncfs, sync_errors, FD),
  S  (SYNC_FILE_RANGE, sync_file_range, sync_errors, FD, .size = 9),
  WITHOUT (sync_file_range, SYNC_FILE_RANGE, fdatasync, sync_errors, FD),
  S  (MSYNC,    msync, lock_errors, MEM, .int1 = EIO_MS_ASYNC),
  S  (MTOUCH,   madvise, populate_errors, MEM),
  S  (MTOUCH,   madvise, populate_errors, MEM, .int1 = EIO_MT_MODIFY),
  S  (FALLOCATE, fallocate, alloc_errors, FD, .size = 9),
  S  (MLOCK,    mlock, lock_errors, MEM),
  S  (MLOCKALL, mlockall, lock_errors, .int1 = EIO_MCL_CURRENT),
  S  (REALPATH, readlinkat, path_errors, P (LINK)),
  S  (REALPATH, getcwd, path_errors, IN (".")),
  WD (REALPATH, fstatat, path_errors, IN ("..")),
  WD (REALPATH, fstat, path_errors, IN ("../link")),
  S  (READDIR,  openat, open_errors, P (DIR)),
  S  (READDIR,  fdopendir, open_errors, P (DIR), SORTED),
  S  (READDIR,  readdir, fd_errors, P (DIR), SORTED),
  S  (OPEN,     openat, open_errors, P (FILE)),
  S  (STAT,     fstatat, path_errors, P (LINK)),
  S  (LSTAT,    fstatat, path_errors, P (LINK)),
  S  (STATVFS,  statvfs, path_errors, P (FILE)),
  WD (STATVFS,  fstatvfs, path_errors, IN ("../file")),
  S  (TRUNCATE, truncate, path_errors, P (FILE), .offs = BYTES),
  WD (TRUNCATE, openat, open_errors, IN ("../file"), .offs = BYTES),
  S  (UTIME,    utimensat, path_errors, P (FILE), .nv1 = 1, .nv2 = 2),
  S  (CHMOD,    fchmodat, path_errors, P (FILE), .int2 = 0640),
  S  (CHOWN,    fchownat, path_errors, P (FILE), .int2 = -1, .int3 = -1),
  S  (UNLINK,   unlinkat, path_errors, P (OLD)),
  S  (RMDIR,    unlinkat, path_errors, P (SUB)),
  WD (RMDIR,    unlinkat, path_errors, IN (".")),
  S  (MKDIR,    mkdirat, make_errors, P (NEW), .int2 = 0700),
  S  (RENAME,   renameat, make_errors, P (OLD), TO (NEW)),
  WD (RENAME,   renameat, make_errors, IN ("."), TO (NEW)),
  S  (RENAME,   renameat2, flag_errors, P (OLD), TO (NEW),
                .int2 = EIO_RENAME_NOREPLACE),
  S  (MKNOD,    mknodat, make_errors, P (NEW), .int2 = S_IFIFO | 0600),
  S  (LINK,     linkat, make_errors, P (OLD), TO (NEW)),
  S  (SYMLINK,  symlinkat, make_errors, IN ("anything"), TO (NEW)),
  S  (READLINK, readlinkat, path_errors, P (LINK)),
  S  (SLURP,    openat, open_errors, P (FILE)),
  S  (SLURP,    fstat, fd_errors, P (FILE), .offs = -5),
  S  (SLURP,    pread, read_errors, P (FILE)),
  S  (SLURP,    pread, read_errors, P (FILE), BUF (10)),

  S  (READV,    preadv, read_errors, FD, VECTOR),
  S  (READV,    readv, read_errors, FD, VECTOR, .offs = -1),
  S  (WRITEV,   pwritev, write_errors, .int1 = OUT, VECTOR),
  S  (WRITEV,   writev, write_errors, .int1 = OUT, VECTOR, .offs = -1),
#if HAVE_PREADV2 && defined RWF_NOWAIT
  S  (READV,    preadv2, read_errors, FD, VECTOR, .int2 = 1),
  S  (WRITEV,   pwritev2, write_errors, .int1 = OUT, VECTOR, .int2 = 1),
#endif
  S  (READ_ALL, pread, read_errors, FD, .size = BYTES),
  S  (READ_ALL, read, read_errors, FD, BUF (BYTES), .offs = -1),
  S  (WRITE_ALL, pwrite, write_errors, .int1 = OUT, BUF (BYTES)),
  S  (WRITE_ALL, write, write_errors, .int1 = OUT, BUF (BYTES), .offs = -1),
  S  (STATX,    statx, ask_errors, P (FILE)),
  WITHOUT (statx, STATX, fstatat, path_errors, P (FILE)),
  S  (FSTATX,   statx, ask_errors, FD),
  WITHOUT (statx, FSTATX, fstat, fd_errors, FD),
  S  (COPY_RANGE, copy_file_range, copy_errors, RANGE),
  WITHOUT (copy_file_range, COPY_RANGE, sendfile, write_errors, RANGE),
  WITHOUT (copy_file_range, COPY_RANGE, pwrite, write_errors, RANGE,
           .ptr2 = &start_of_file),
  WITHOUT (copy_file_range, COPY_RANGE, pread, read_errors, RANGE,
           .ptr2 = &start_of_file),
  S  (CLONE,    ioctl, clone_errors, FD, .int2 = OUT),
  S  (SPLICE,   splice, pipe_errors, RANGE),
  S  (TEE,      tee, pipe_errors, RANGE),
  S  (FADVISE,  posix_fadvise, ahead_errors, FD),
  S  (MADVISE,  madvise, map_errors, MEM),
  S  (MINCORE,  mincore, map_errors, .ptr1 = mapped, .size = sizeof mapped),
  S  (MUNLOCK,  munlock, lock_errors, MEM),
  S  (MUNLOCKALL, munlockall, lock_errors, .int1 = 0),
  S  (FULLSYNC, fsync, sync_errors, FD),
  S  (FIEMAP,   ioctl, clone_errors, FD),
  S  (GETXATTR, getxattr, attr_errors, P (FILE), NAMED),
  WD (GETXATTR, getxattr, attr_errors, IN ("../file"), NAMED),
  S  (SETXATTR, setxattr, attr_errors, P (FILE), NAMED, BUF (9)),
  S  (LISTXATTR, listxattr, attr_errors, P (FILE)),
  S  (REMOVEXATTR, removexattr, attr_errors, P (FILE), NAMED),
  S  (FGETXATTR, getxattr, attr_errors, FD, NAMED),
  S  (FSETXATTR, setxattr, attr_errors, FD, NAMED, BUF (9)),
  S  (FLISTXATTR, listxattr, attr_errors, FD),
  S  (FREMOVEXATTR, removexattr, attr_errors, FD, NAMED),

  S  (ACCESS,   faccessat, path_errors, P (FILE), .int2 = R_OK),
  S  (LCHOWN,   fchownat, path_errors, P (LINK), .int2 = -1, .int3 = -1),
  S  (LUTIME,   utimensat, path_errors, P (LINK), .nv1 = 1, .nv2 = 2),
  S  (UTIMENS,  utimensat, path_errors, P (FILE), .ptr2 = (void *)times),
  S  (FUTIMENS, futimens, fd_errors, FD, .ptr2 = (void *)times),
  S  (LCHMOD,   fchmodat, path_errors, P (FILE), .int2 = 0640),
  S  (RENAME2,  renameat, make_errors, P (OLD), TO (NEW)),
  S  (RENAME2,  renameat2, name_errors, P (OLD), TO (NEW),
                .int2 = EIO_RENAME_NOREPLACE),
  S  (LINK2,    linkat, make_errors, P (OLD), TO (NEW)),
  S  (UNLINK2,  unlinkat, path_errors, P (SUB), .int1 = AT_REMOVEDIR),
  S  (OPEN2,    openat, open_errors, P (FILE)),
  S  (OPEN2,    openat2, open_errors, P (FILE), .int3 = EIO_RESOLVE_NO_XDEV),
  S  (MKDTEMP,  mkdirat, make_errors, P (TEMP)),
  WITHOUT (getrandom, MKDTEMP, mkdirat, make_errors, P (TEMP)),
  S  (MKSTEMP,  openat, open_errors, P (TEMP)),
  S  (TMPFILE,  openat, open_errors, P (DIR), .int1 = O_RDWR),
  S  (LINKFD,   linkat, make_errors, FD, P (NEW)),
  S  (MKDIRS,   mkdirat, make_errors, P (DEEP), .int2 = 0700),
  S  (OPENDIR,  openat, open_errors, P (DIR)),
  S  (OPENDIR,  fdopendir, open_errors, P (DIR)),
  S  (READDIR_NEXT, readdir, fd_errors, SORTED),
  S  (CLOSEDIR, closedir, fd_errors),
  S  (LOAD,     pread, read_errors, P (FILE)),
  S  (SAVE,     write, write_errors, P (OLD), BUF (9)),
  S  (SAVE,     fsync, sync_errors, P (OLD), BUF (9), .int1 = EIO_SAVE_SYNC),
  S  (SAVE,     renameat, make_errors, P (OLD), BUF (9), .int2 = 0600),
  S  (PATHSYNC, fsync, sync_errors, P (DIR)),
  S  (SCANDIR,  openat, open_errors, P (DIR)),
  WITHOUT (readdir, SCANDIR, fdopendir, open_errors, P (DIR)),
  S  (COPY,     ioctl, clone_errors, P (FILE), TO (NEW),
                .int1 = EIO_COPY_CLONE_ONLY),
  WITHOUT (ioctl, COPY, openat, open_errors, P (FILE), TO (NEW)),
  WITHOUT (sendfile, COPY, pread, read_errors, P (FILE), TO (NEW)),
  WITHOUT (sendfile, COPY, write, write_errors, P (FILE), TO (NEW)),
  WITHOUT (ioctl, COPY, futimens, status_errors, P (FILE), TO (NEW),
           .int1 = EIO_COPY_ARCHIVE),
  WITHOUT (ioctl, COPY, fsync, sync_errors, P (FILE), TO (NEW),
           .int1 = EIO_COPY_SYNC),
  S  (MOVE,     renameat, move_errors, P (OLD), TO (NEW)),
  S  (MOVE,     renameat2, move_errors, P (OLD), TO (NEW),
                .int1 = EIO_COPY_EXCL | EIO_COPY_SYNC),
  WITHOUT (renameat, MOVE, fsync, sync_errors, P (OLD), TO (NEW),
           .int1 = EIO_COPY_SYNC),
  WITHOUT (renameat, MOVE, symlinkat, make_errors, P (LINK), TO (NEW)),

  S  (FLOCK,    flock, range_errors, FD, .int2 = LOCK_SH, .nv1 = -1),
  S  (LOCK,     fcntl, range_errors, FD, .int2 = F_RDLCK, .nv1 = -1),
};
/* clang-format on */

enum { SAMPLES = LENGTH (samples) };

/*****************************************************************************
 * Running one                                                               *
 *****************************************************************************/

typedef struct
{
  outcome seen; /* first, for note */
  unsigned long digest;
  int flags; /* int1 at the end */
  int calls[CALL_COUNT];
  eio_req req;
} run;

static int
ended (eio_req *req)
{
  run *r = req->data;

  r->digest = digest (req);
  r->flags = req->int1;
  close_result (req);
  return note (req);
}

/* Runs the request to its end, whatever is armed, and disarms it. */
static void
execute (const eio_req *req, run *r)
{
  int i;

  memset (r, 0, sizeof *r);
  r->req = *req;
  r->req.data = r;
  r->req.finish = ended;
  eio_submit (&r->req);
  host_drain ();
  ck_assert_int_eq (r->seen.calls, 1);
  for (i = 0; i < CALL_COUNT; ++i)
    r->calls[i] = calls_of (i);
  disarm_all ();
}

static void
arm_missing (int call)
{
  untyped = call == F_readdir ? "0123456789" : 0;
  if (call == F_renameat)
    arm (call, EXDEV, 0, 1);
  else if (call && call != F_readdir)
    arm (call, ENOSYS, 0, FOR_EVER);
  if (call == F_sendfile)
    {
      arm (F_copy_file_range, ENOSYS, 0, FOR_EVER);
      arm (F_ioctl, ENOSYS, 0, FOR_EVER);
    }
}

static int
is_missing (const sample *s, int call)
{
  return call == s->missing
         || (s->missing == F_sendfile
             && (call == F_copy_file_range || call == F_ioctl));
}

/* Runs a sample while one call has some errors. */
static void
execute_sample (const sample *s, int call, int error, int first, int times,
                run *r)
{
  eio_req req = s->req;

  renew_fixture ();
  if (s->in_wd)
    req.wd = eio_wd_open_sync (0, path[SUB_PATH]);
  ck_assert_ptr_ne (req.wd, EIO_INVALID_WD);
  if (needs_dir (&req))
    req.int3 = open_dir ();

  disarm_all ();
  arm_missing (s->missing);
  if (call)
    arm (call, error, first, times);
  execute (&req, r);
  eio_wd_close_sync (req.wd);
  if (req.type == EIO_READDIR_NEXT)
    close_dir (req.int3);
}

static void
execute_clean (const sample *s, run *r)
{
  execute_sample (s, F_none, 0, 0, 0, r);
  ck_assert_msg (r->seen.result >= 0, "%s: %s", s->name,
                 strerror (r->seen.errorno));
}

/* Lets one worker start, so that no test meets what that calls. */
static void
wake (void)
{
  outcome o = { 0 };

  eio_set_min_parallel (1);
  eio_nop (0, note, &o);
  host_drain ();
  disarm_all ();
}

/* What the library owns while it rests; then there is a worker again. */
static estate
recess (void)
{
  estate e = take_stock ();

  ck_assert_int_eq (bad_closes, 0);
  ck_assert_int_eq (open_dirs, 0);
  wake ();
  return e;
}

enum { ENTRIES = 40 };

static void
start_with (int entries)
{
  host_start ();
  eio_set_max_parallel (1);
  make_fixture ("dir");
  make_directory (entries, 1);
  wake ();
}

static void
start (void)
{
  start_with (0);
}

static void
start_for (const sample *s)
{
  start_with (reads_dir (&s->req) ? ENTRIES : 0);
}

/*****************************************************************************
 * Failing and interrupted calls                                             *
 *****************************************************************************/

/* But those that make no call, or none that fails, or have tests below. */
START_TEST (all_types_have_a_sample)
{
  static const char none[EIO_REQ_TYPE_NUM]
    = { [EIO_CUSTOM] = 1, [EIO_WD_CLOSE] = 1, [EIO_CLOSE] = 1, [EIO_SYNC] = 1,
        [EIO_GROUP] = 1,  [EIO_NOP] = 1,      [EIO_BUSY] = 1 };
  int type, i;

  for (type = 0; type < EIO_REQ_TYPE_NUM; ++type)
    {
      for (i = 0; i < SAMPLES && samples[i].req.type != type; ++i)
        continue;
      ck_assert_msg (i < SAMPLES || !eio_strtype (type) || none[type],
                     "%s has none", eio_strtype (type));
    }
}
END_TEST

START_TEST (error_of_the_call_is_the_requests)
{
  const sample *s = &samples[_i];
  const int *error;
  estate before;
  run r, clean;

  start_for (s);
  execute_clean (s, &clean);
  if (s->call)
    ck_assert_msg (clean.calls[s->call] > 0, "%s does not call %s", s->name,
                   call_names[s->call]);
  before = recess ();

  for (error = s->errors; *error; ++error)
    {
      execute_sample (s, s->call, *error, 0, FOR_EVER, &r);
      assert_fails (r.seen, *error);
      execute_clean (s, &r);
      ck_assert_int_eq (r.digest, clean.digest);
      assert_same_estate (before, recess (), s->name);
    }
}
END_TEST

/* What is opened on the way may be it, in a daemon. */
START_TEST (descriptor_0_is_as_good_as_any)
{
  const sample *s = &samples[_i];
  estate before;
  run r, clean;

  start_for (s);
  execute_clean (s, &clean);
  ck_assert_int_eq (close (STDIN_FILENO), 0);
  before = recess ();
  execute_clean (s, &r);
  ck_assert_int_eq (r.digest, clean.digest);
  assert_same_estate (before, recess (), s->name);
}
END_TEST

/* Calls check with each call that the sample makes failing in turn: the first
 * one of its kind, the second, the third and the last. */
static void
for_each_call (const sample *s,
               void (*check) (const sample *, int call, int nth,
                              const run *clean))
{
  run clean;
  int call, n;

  start_for (s);
  execute_clean (s, &clean);
  for (call = 1; call < CALL_COUNT; ++call)
    for (n = 0; n < clean.calls[call]; ++n)
      if (!is_missing (s, call) && (n < 3 || n == clean.calls[call] - 1))
        {
          estate before = recess ();

          check (s, call, n, &clean);
          assert_same_estate (before, recess (), call_names[call]);
        }
}

/* Whether a request makes do without what a call would have told, or done; or,
 * tried again, goes another way: to rename succeeds then. */
static int
is_dispensable (int type, int call)
{
  switch (type)
    {
    case EIO_MKDTEMP:
      return call == F_getrandom || call == F_openat || call == F_read;
    case EIO_MKSTEMP:
    case EIO_SAVE: return call == F_getrandom;
    case EIO_GETXATTR:
    case EIO_FGETXATTR: return call == F_getxattr;
    case EIO_LISTXATTR:
    case EIO_FLISTXATTR: return call == F_listxattr;
    case EIO_COPY_RANGE: return call == F_fstat || call == F_fcntl;
    case EIO_COPY: return call == F_lseek;
    case EIO_MOVE: return call != F_renameat;
    case EIO_MKDIRS: return call == F_fstatat;
    case EIO_FLOCK:
    case EIO_LOCK: return call == F_read;
    default: return 0;
    }
}

static void
check_interrupted (const sample *s, int call, int nth, const run *clean)
{
  int closes = call == F_close || call == F_closedir;
  int tells = s->req.type == EIO_CLOSEDIR;
  int times;
  run r;

  for (times = 1; times <= 3; times += 2)
    {
      execute_sample (s, call, EINTR, nth, times, &r);
      ck_assert_msg (r.digest == (tells ? EINTR : clean->digest)
                       && r.seen.result >= -tells,
                     "%s: %s interrupted: %ld, %s", s->name, call_names[call],
                     (long)r.seen.result, strerror (r.seen.errorno));
      if (closes)
        ck_assert_int_eq (r.calls[call], clean->calls[call]);
      else if (!is_dispensable (s->req.type, call))
        ck_assert_int_ge (r.calls[call], clean->calls[call] + times);
    }
}

START_TEST (interruption_is_not_noticed)
{
  for_each_call (&samples[_i], check_interrupted);
}
END_TEST

/* What begins again as a whole would never come to an end. */
static void
check_interrupted_often (const sample *s, int call, int nth, const run *clean)
{
  run r;

  if (nth == 1 || nth > 2 || s->req.type == EIO_CLOSEDIR)
    return;
  execute_sample (s, call, EINTR, nth, nth ? EVERY_THIRD : EVERY_SECOND, &r);
  ck_assert_msg (r.digest == clean->digest, "%s: %s interrupted: %ld, %s",
                 s->name, call_names[call], (long)r.seen.result,
                 strerror (r.seen.errorno));
}

START_TEST (interruptions_may_go_on)
{
  for_each_call (&samples[_i], check_interrupted_often);
}
END_TEST

/* Whether what could be done may be a success. */
static int
may_be_partial (int type)
{
  return type == EIO_SENDFILE || type == EIO_COPY_RANGE || type == EIO_SCANDIR
         || type == EIO_READDIR_NEXT;
}

static void
check_failed_somewhere (const sample *s, int call, int nth, const run *clean)
{
  unsigned long old = hash (6, content, 5);
  run r;

  execute_sample (s, call, EIO, nth, 1, &r);
  ck_assert_msg (r.digest == clean->digest || r.digest == EIO
                 || (may_be_partial (s->req.type) && r.seen.result > 0),
                 "%s: %s fails: %ld, %s", s->name, call_names[call],
                 (long)r.seen.result, strerror (r.seen.errorno));
  if (s->req.type == EIO_MOVE && s->req.ptr1 == path[OLD_PATH])
    ck_assert (hash_file (path[OLD_PATH]) == old
               || hash_file (path[NEW_PATH]) == old);
  if (s->req.type == EIO_SAVE)
    ck_assert (hash_file (path[OLD_PATH]) == old
               || hash_file (path[OLD_PATH]) == clean->digest);
}

START_TEST (failure_anywhere_leaves_nothing_behind)
{
  for_each_call (&samples[_i], check_failed_somewhere);
}
END_TEST

START_TEST (close_is_never_repeated)
{
  static const int errors[] = { EINTR, EIO, ENOSPC, EDQUOT };
  static const eio_req req = { .type = EIO_CLOSE, .int1 = SPARE };
  run r;

  start ();
  renew_fixture ();
  arm (F_close, errors[_i], 0, FOR_EVER);
  execute (&req, &r);
  assert_fails (r.seen, errors[_i]);
  ck_assert_int_eq (r.calls[F_close], 1);
  ck_assert_int_eq (bad_closes, 0);
  ck_assert_int_eq (fcntl (SPARE, F_GETFD), -1);
}
END_TEST

START_TEST (wd_close_hides_what_close_says)
{
  static const int errors[] = { EINTR, EIO };
  eio_req req = { .type = EIO_WD_CLOSE };
  estate before;
  run r;

  start ();
  before = recess ();
  req.wd = eio_wd_open_sync (0, path[DIR_PATH]);
  arm (F_close, errors[_i], 0, FOR_EVER);
  execute (&req, &r);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (r.calls[F_close], 1);
  assert_same_estate (before, recess (), "WD_CLOSE");
}
END_TEST

START_TEST (busy_sleeps_on_after_an_interruption)
{
  static const eio_req req = { .type = EIO_BUSY, .nv1 = 0.05 };
  double begin;
  run r;

  host_start ();
  arm (F_nanosleep, EINTR, 0, 3);
  begin = now ();
  execute (&req, &r);
  ck_assert (now () - begin >= 0.05);
  ck_assert_int_gt (r.calls[F_nanosleep], 3);
  assert_ok (r.seen, 0);
}
END_TEST

START_TEST (readdir_failing_in_mid_scan_frees_everything)
{
  static const int flags[]
    = { 0, EIO_READDIR_DENTS, EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST };
  eio_req req = { .type = EIO_READDIR, .ptr1 = path[DIR_PATH] };
  estate before;
  run r;

  start_with (ENTRIES);
  before = recess ();
  req.int1 = flags[_i];
  arm (F_readdir, EIO, ENTRIES / 2, 1);
  execute (&req, &r);
  assert_fails (r.seen, EIO);
  ck_assert_int_eq (r.calls[F_readdir], ENTRIES / 2 + 1);
  ck_assert_int_eq (r.calls[F_closedir], 1);
  assert_same_estate (before, recess (), "READDIR");
}
END_TEST

START_TEST (wd_open_sync_says_why_it_fails)
{
  estate before;

  start ();
  before = recess ();
  arm (F_openat, EMFILE, 0, FOR_EVER);
  ck_assert_ptr_eq (eio_wd_open_sync (0, path[DIR_PATH]), EIO_INVALID_WD);
  ck_assert_int_eq (errno, EMFILE);
  disarm_all ();
  arm (F_openat, EINTR, 0, 3);
  eio_wd_close_sync (eio_wd_open_sync (0, path[DIR_PATH]));
  ck_assert_int_eq (calls_of (F_openat), 4);
  disarm_all ();
  assert_same_estate (before, recess (), "eio_wd_open_sync");
}
END_TEST

START_TEST (mlockall_sync_says_why_it_fails)
{
  host_start ();
  arm (F_mlockall, EPERM, 0, 1);
  ck_assert_int_eq (eio_mlockall_sync (EIO_MCL_CURRENT), -1);
  ck_assert_int_eq (errno, EPERM);
  ck_assert_int_eq (eio_mlockall_sync (EIO_MCL_CURRENT), 0);
}
END_TEST

/*****************************************************************************
 * Short transfers                                                           *
 *****************************************************************************/

START_TEST (short_read_is_a_success)
{
  eio_req req = { .type = EIO_READ, FD, BUF (BYTES), .offs = _i ? -1 : 3 };
  int call = _i ? F_read : F_pread;
  run r;

  start ();
  renew_fixture ();
  arm_short (call, 7);
  execute (&req, &r);
  assert_ok (r.seen, 7);
  ck_assert_int_eq (r.calls[call], 1);
  ck_assert_mem_eq (buffer, content + (_i ? 0 : 3), 7);
  ck_assert_int_eq (buffer[7], '-');
}
END_TEST

static int
check_rest_is_zero (eio_req *req)
{
  const char *p = EIO_BUF (req);
  size_t i;

  ck_assert_int_eq (req->result, 7);
  ck_assert_mem_eq (p, content, 7);
  for (i = 7; i < req->size; ++i)
    ck_assert_int_eq (p[i], 0);
  return note (req);
}

START_TEST (short_read_zeroes_the_rest_of_our_buffer)
{
  outcome o = { 0 };

  start ();
  arm_short (F_pread, 7);
  eio_read (DATA, 0, 100, 0, 0, check_rest_is_zero, &o);
  host_drain ();
  assert_ok (o, 7);
}
END_TEST

START_TEST (short_write_is_a_success)
{
  eio_req req = { .type = EIO_WRITE, .int1 = OUT, .ptr2 = content,
                  .size = BYTES, .offs = _i ? -1 : 0 };
  int call = _i ? F_write : F_pwrite;
  run r;

  start ();
  renew_fixture ();
  arm_short (call, 7);
  execute (&req, &r);
  assert_ok (r.seen, 7);
  ck_assert_int_eq (r.calls[call], 1);
  ck_assert_int_eq (lseek (OUT, 0, SEEK_END), 7);
}
END_TEST

static int
check_slurped (eio_req *req)
{
  off_t offset = req->offs < 0 ? BYTES + req->offs : req->offs;

  if (req->result > 0)
    ck_assert_mem_eq (EIO_BUF (req), content + offset, req->result);
  return note (req);
}

/* What is wanted of a file of BYTES bytes, and what that gives. */
static const struct
{
  eio_req req;
  eio_ssize_t result;
} slurps[] = {
  { { .size = 0 }, BYTES },
  { { .size = BYTES + 10 }, BYTES },
  { { .size = 5000 }, 5000 },
  { { .size = 0, .offs = 3 }, BYTES - 3 },
  { { .size = 0, .offs = -30000 }, 30000 },
  { { .size = 0, .offs = BYTES + 1 }, 0 },
  { { BUF (BYTES) }, BYTES },
  { { BUF (5000), .offs = -30000 }, 5000 },
};

enum { SLURPS = LENGTH (slurps) };

static void
slurp (int which, outcome *o)
{
  static eio_req req;

  memset (o, 0, sizeof *o);
  req = slurps[which].req;
  req.type = EIO_SLURP;
  req.ptr1 = path[FILE_PATH];
  req.finish = check_slurped;
  req.data = o;
  eio_submit (&req);
  host_drain ();
}

START_TEST (slurp_continues_short_reads)
{
  outcome o;

  start ();
  arm_short (F_pread, 997);
  slurp (_i, &o);
  assert_ok (o, slurps[_i].result);
}
END_TEST

/* By the time of reading it is longer, shorter, or not empty as files in
 * /proc say that they are. */
START_TEST (slurp_reads_on_when_the_size_was_wrong)
{
  static const off_t lies[] = { -1, +1, -50000, 50000, -BYTES, 1 << 20 };
  outcome o;
  int i;

  if (slurps[_i].req.offs < 0)
    return; /* counts from whatever end there seems to be */
  start ();
  for (i = 0; i < LENGTH (lies); ++i)
    {
      size_lie = lies[i];
      slurp (_i, &o);
      assert_ok (o, slurps[_i].result);
    }
}
END_TEST

/* Where a block of twice the size would be too large. */
START_TEST (slurp_never_asks_for_more_than_is_wanted)
{
  eio__slurper s = { .cap = 3000, .want = 5000 };

  s.buf = fault_malloc (s.cap);
  ck_assert_int_eq (eio__slurp_grow (&s, 0), 0);
  ck_assert_uint_eq (s.cap, s.want);
  ck_assert_uint_eq (last_size, s.want);
  fault_free (s.buf);
}
END_TEST

#if SIZE_MAX > 0xffffffff
/* Not of the kind that the bytes of one call are: there may be more than an
 * int says. */
START_TEST (slurp_to_the_end_has_no_limit)
{
  eio_req req = { .type = EIO_SLURP };
  eio__slurper s = { .req = &req };

  ck_assert_int_eq (eio__slurp_begin (&s), 0);
  ck_assert_ptr_null (s.buf);
  ck_assert_uint_gt (s.want, (size_t)5 << 30);

  s.buf = fault_malloc (1);
  s.cap = (size_t)3 << 29;
  largest_size = 1;
  ck_assert_int_eq (eio__slurp_grow (&s, 0), -1);
  ck_assert_int_eq (errno, ENOMEM);
  ck_assert_uint_eq (last_size, (size_t)3 << 30);
  ck_assert_uint_eq (s.cap, (size_t)3 << 29);
  fault_free (s.buf);
}
END_TEST

START_TEST (files_may_be_larger_than_an_int)
{
  eio_req req = { .type = _i ? EIO_LOAD : EIO_SLURP, P (FILE) };
  estate before;
  run r;

  start ();
  before = recess ();
  size_lie = (off_t)5 << 30;
  largest_size = BYTES;
  execute (&req, &r);
  size_lie = 0;
  assert_fails (r.seen, ENOMEM);
  ck_assert_uint_eq (last_size, BYTES + ((size_t)5 << 30) + 1);
  ck_assert_int_eq (r.calls[F_pread], 0);
  assert_same_estate (before, recess (), "SLURP");
}
END_TEST

/* It goes on after one GiB, by another, and not by what is left of an int. */
START_TEST (tail_without_a_length_has_no_limit)
{
  eio_req req = { .type = EIO_SLURP, P (FILE), .offs = -1 };
  estate before;
  run r;

  start ();
  before = recess ();
  size_lie = -BYTES; /* none */
  claimed = (off_t)5 << 30;
  largest_size = (size_t)1 << 30;
  execute (&req, &r);
  assert_fails (r.seen, ENOMEM);
  ck_assert_uint_eq (last_size, (size_t)1 << 31);
  size_lie = claimed = 0;
  assert_same_estate (before, recess (), "SLURP");
}
END_TEST
#endif

/* Half a file looks like a whole one, so this is no partial success. */
START_TEST (slurp_that_fails_half_way_fails)
{
  estate before;
  outcome o;

  start ();
  before = recess ();
  arm_short (F_pread, 997);
  arm (F_pread, EIO, 2, 1);
  slurp (_i, &o);
  assert_fails (o, EIO);
  disarm_all ();
  assert_same_estate (before, recess (), "SLURP");
}
END_TEST

static const eio_req copy
  = { .type = EIO_SENDFILE, .int1 = OUT, .int2 = DATA, .size = BYTES };

static void
check_copied (const run *r, eio_ssize_t length)
{
  assert_ok (r->seen, length);
  ck_assert_int_eq (lseek (OUT, 0, SEEK_CUR), length);
  ck_assert_int_eq (lseek (OUT, 0, SEEK_END), length);
  ck_assert_int_eq (lseek (DATA, 0, SEEK_CUR), 0);
  ck_assert_int_eq (pread (OUT, buffer, BYTES, 0), length);
  ck_assert_mem_eq (buffer, content, length);
}

START_TEST (sendfile_continues_short_transfers)
{
  run r;

  start ();
  renew_fixture ();
  arm_short (F_sendfile, 997);
  execute (&copy, &r);
  check_copied (&r, BYTES);
}
END_TEST

START_TEST (sendfile_by_hand_continues_short_transfers)
{
  run r;

  start ();
  renew_fixture ();
  arm (F_sendfile, ENOSYS, 0, FOR_EVER);
  arm_short (F_pread, 1009);
  arm_short (F_write, 500);
  execute (&copy, &r);
  check_copied (&r, BYTES);
}
END_TEST

/* What goes wrong after 2000 bytes: natively, then by hand on either side. */
static const struct
{
  int missing, call, error;
} late[] = {
  { 0, F_sendfile, EIO },
  { 0, F_sendfile, EAGAIN },
  { 0, F_sendfile, EPIPE },
  { F_sendfile, F_pread, EIO },
  { F_sendfile, F_write, EIO },
  { F_sendfile, F_write, EAGAIN },
  { F_sendfile, F_write, ENOSPC },
};

START_TEST (sendfile_that_fails_late_reports_what_went)
{
  run r;

  start ();
  renew_fixture ();
  if (late[_i].missing)
    arm (late[_i].missing, ENOSYS, 0, FOR_EVER);
  arm_short (late[_i].call, 1000);
  arm (late[_i].call, late[_i].error, 2, FOR_EVER);
  execute (&copy, &r);
  check_copied (&r, 2000);
}
END_TEST

START_TEST (sendfile_stops_at_the_end_of_the_file)
{
  eio_req req = copy;
  run r;

  start ();
  renew_fixture ();
  req.size = BYTES + 10;
  if (_i)
    arm (F_sendfile, ENOSYS, 0, FOR_EVER);
  execute (&req, &r);
  check_copied (&r, BYTES);

  renew_fixture ();
  req.offs = BYTES + 5;
  if (_i)
    arm (F_sendfile, ENOSYS, 0, FOR_EVER);
  execute (&req, &r);
  check_copied (&r, 0);
}
END_TEST

enum { HOLE = 1 << 20 };

/* A file of BYTES bytes, a hole, and BYTES bytes again. */
static void
make_sparse_file (void)
{
  int fd = open (path[FILE_PATH], O_WRONLY);

  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (pwrite (fd, content, BYTES, HOLE), BYTES);
  ck_assert_int_eq (close (fd), 0);
}

/* Up to size. */
static void
check_same (const char *file, const char *other, off_t size)
{
  static char there[BYTES];
  int fd = open (file, O_RDONLY), fd2 = open (other, O_RDONLY);
  off_t at;

  for (at = 0; at < size; at += BYTES)
    {
      int n = size - at < BYTES ? (int)(size - at) : BYTES;

      ck_assert_int_eq (pread (fd, buffer, n, at), n);
      ck_assert_int_eq (pread (fd2, there, n, at), n);
      ck_assert_int_eq (memcmp (buffer, there, n), 0);
    }
  close (fd);
  close (fd2);
}

static const eio_req copy_to_new
  = { .type = EIO_COPY, P (FILE), TO (NEW) };

/* The file that is copied grows meanwhile: within its data, in a hole, and
 * behind that. */
START_TEST (copy_is_of_the_size_that_the_file_had)
{
  static const off_t sizes[] = { BYTES / 2, HOLE / 2, HOLE + BYTES / 2 };
  struct stat st;
  run r;

  start ();
  make_sparse_file ();
  size_lie = sizes[_i] - (HOLE + BYTES);
  arm (F_ioctl, EOPNOTSUPP, 0, FOR_EVER); /* no clones */
  execute (&copy_to_new, &r);
  size_lie = 0;
  assert_ok (r.seen, 0);
  ck_assert_int_eq (stat (path[NEW_PATH], &st), 0);
  ck_assert_int_eq (st.st_size, sizes[_i]);
  check_same (path[NEW_PATH], path[FILE_PATH], sizes[_i]);
}
END_TEST

/* A file that ends with a hole, and one that does not tell its length: each
 * look at how long it is fails, and each at where data is, which can be done
 * without. */
START_TEST (copy_that_fails_late_leaves_no_target)
{
  int call = _i % 2 ? F_lseek : F_fstat, n;
  estate before;
  run r, clean;

  start ();
  if (_i / 2)
    size_lie = -BYTES;
  else
    ck_assert_int_eq (truncate (path[FILE_PATH], HOLE), 0);
  before = recess ();
  arm (F_ioctl, EOPNOTSUPP, 0, FOR_EVER);
  execute (&copy_to_new, &clean);
  assert_ok (clean.seen, 0);
  ck_assert_int_gt (clean.calls[call], 1);

  for (n = 0; n < clean.calls[call]; ++n)
    {
      renew_fixture ();
      arm (F_ioctl, EOPNOTSUPP, 0, FOR_EVER);
      arm (call, EIO, n, 1);
      execute (&copy_to_new, &r);
      if (r.seen.result)
        {
          assert_fails (r.seen, EIO);
          ck_assert (!exists (path[NEW_PATH]));
        }
      else
        ck_assert (call == F_lseek && r.digest == clean.digest);
    }
  assert_same_estate (before, recess (), "COPY");
}
END_TEST

/*****************************************************************************
 * Buffers                                                                   *
 *****************************************************************************/

enum { PATH_BYTES = PATH_MAX > EIO_PATH_MIN ? PATH_MAX : EIO_PATH_MIN };

/* A link that is longer than any buffer, as other systems have them, reads as
 * one that fills it.  This one is of slashes: cut, it would be a path, too. */
START_TEST (links_longer_than_the_buffer_are_not_cut)
{
  eio_req req = { .type = _i / 2 ? EIO_REALPATH : EIO_READLINK, P (LINK) };
  estate before;
  run r;

  start ();
  before = recess ();
  renew_fixture ();
  if (_i % 2)
    req.ptr2 = buffer;
  link_length = PATH_BYTES + 1;
  execute (&req, &r);
  assert_fails (r.seen, ENAMETOOLONG);
  ck_assert_int_eq (buffer[PATH_BYTES], '-');
  assert_same_estate (before, recess (), "a long link");

  renew_fixture ();
  link_length = PATH_BYTES - 1;
  execute (&req, &r);
  assert_ok (r.seen, _i / 2 ? 1 : PATH_BYTES - 1);
  ck_assert_int_eq (buffer[PATH_BYTES], '-');
}
END_TEST

/* To another file system. */
START_TEST (links_longer_than_the_buffer_are_not_moved)
{
  eio_req req = { .type = EIO_MOVE, P (LINK), TO (NEW) };
  estate before;
  run r;

  start ();
  before = recess ();
  renew_fixture ();
  link_length = PATH_BYTES + 1;
  arm (F_renameat, EXDEV, 0, 1);
  execute (&req, &r);
  link_length = 0;
  assert_fails (r.seen, ENAMETOOLONG);
  ck_assert (exists (path[LINK_PATH]) && !exists (path[NEW_PATH]));
  assert_same_estate (before, recess (), "MOVE");
}
END_TEST

/* By one byte in a name, by one in what is looked up there, and by none: then
 * it is for the kernel to say. */
START_TEST (results_longer_than_the_buffer_are_not_cut)
{
  static const int depths[] = { PATH_BYTES, PATH_BYTES - 2, PATH_BYTES - 3 };
  eio_req req = { .type = EIO_REALPATH, .ptr1 = "/more" };
  run r;

  start ();
  depth = depths[_i];
  execute (&req, &r);
  depth = 0;
  assert_fails (r.seen, ENAMETOOLONG);
  ck_assert_int_eq (r.calls[F_fstatat], _i == 2);
}
END_TEST

static int
check_rest_of_path (eio_req *req)
{
  const char *p = EIO_BUF (req);
  int i;

  for (i = req->result; i < PATH_BYTES; ++i)
    ck_assert_int_eq (p[i], 0);
  return note (req);
}

START_TEST (readlink_zeroes_the_rest_of_our_buffer)
{
  outcome o = { 0 };

  start ();
  eio_readlink (path[LINK_PATH], 0, check_rest_of_path, &o);
  host_drain ();
  assert_ok (o, 3);
}
END_TEST

/* Nor is anything left of the way there. */
START_TEST (realpath_zeroes_the_rest_of_our_buffer)
{
  outcome o = { 0 };

  start ();
  link_length = 1;
  eio_realpath (path[LINK_PATH], 0, check_rest_of_path, &o);
  host_drain ();
  assert_ok (o, 1);
}
END_TEST

static int
check_rest_of_slurp (eio_req *req)
{
  const char *p = EIO_BUF (req);
  size_t i;

  ck_assert_mem_eq (p, content, BYTES);
  ck_assert_uint_gt (last_size, BYTES + 40000);
  for (i = BYTES; i < last_size; ++i)
    ck_assert_int_eq (p[i], 0);
  return note (req);
}

/* The file is shorter than it said. */
START_TEST (slurp_zeroes_the_rest_of_our_buffer)
{
  outcome o = { 0 };

  start ();
  size_lie = 50000;
  eio_slurp (path[FILE_PATH], 0, 0, 0, 0, check_rest_of_slurp, &o);
  host_drain ();
  assert_ok (o, BYTES);
}
END_TEST

static int
check_untouched (eio_req *req)
{
  const char *p = EIO_BUF (req);
  size_t i;

  for (i = 0; i < sizeof (struct stat); ++i)
    ck_assert_int_eq (p[i], 0);
  return note (req);
}

START_TEST (failed_stat_shows_nothing_of_our_memory)
{
  outcome o = { 0 };

  start ();
  eio_stat (path[NEW_PATH], 0, check_untouched, &o);
  host_drain ();
  assert_fails (o, ENOENT);
}
END_TEST

/* Whatever the headers say. */
START_TEST (pages_are_those_of_the_running_system)
{
  char *base = (char *)((size_t)1 << 30);
  long sizes[] = { 4096, 8192, 16384, 65536 };
  int i;

  for (i = 0; i < LENGTH (sizes); ++i)
    {
      void *addr = base + sizes[i] - 1;
      size_t length = 2;

      page_size = sizes[i];
      eio_page_align (&addr, &length);
      ck_assert_ptr_eq (addr, base);
      ck_assert_uint_eq (length, 2 * sizes[i]);
    }
}
END_TEST

/* More than there can be. */
START_TEST (room_beyond_all_memory_is_enomem)
{
  size_t cap = 64;

  errno = 0;
  ck_assert_ptr_null (eio__grow (0, &cap, SIZE_MAX / 4 + 1, 8));
  ck_assert_int_eq (errno, ENOMEM);
  ck_assert_uint_eq (cap, 64);
}
END_TEST

/* Of the host, which has room for no more, and of ours. */
START_TEST (mincore_counts_pages_of_the_running_system)
{
  eio_req req = { .type = EIO_MINCORE, .size = 65536 + 2 };
  run r;
  int i;

  start ();
  renew_fixture ();
  req.ptr1 = (char *)((size_t)1 << 30) + 65535;
  req.ptr2 = _i ? buffer : 0;
  page_size = 65536;
  execute (&req, &r);
  page_size = 0;
  assert_ok (r.seen, 3);
  if (!_i)
    return;
  for (i = 0; i < 3; ++i)
    ck_assert_int_eq (buffer[i], 1);
  ck_assert_int_eq (buffer[3], '-');
}
END_TEST

/*****************************************************************************
 * Cancellation                                                              *
 *****************************************************************************/

/* Runs a request that is cancelled when it makes the given call, and is to
 * make no other after it. */
static void
run_victim (const eio_req *req, int call, int at)
{
  static eio_req mine;

  mine = *req;
  aim (&mine, call, at);
  eio_submit (&mine);
  host_drain ();
  victim.req = (eio_req *)0;
  ck_assert (EIO_CANCELLED (&mine));
  ck_assert_int_eq (calls_of (call), at + 1);
  ck_assert_int_eq (mine.result, -1);
  ck_assert_int_eq (mine.errorno, ECANCELED);
  disarm_all ();
}

/* What copies in a loop, the call that it makes again and again, and a call
 * that is missing. */
static const struct
{
  eio_req req;
  int call, missing;
} loops[] = {
  { { .type = EIO_SENDFILE, COPY }, F_sendfile, 0 },
  { { .type = EIO_SENDFILE, COPY }, F_write, F_sendfile },
  { { .type = EIO_READAHEAD, FD, .size = BYTES }, F_pread, F_readahead },
  { { .type = EIO_SLURP, P (FILE) }, F_pread, 0 },
  { { .type = EIO_SLURP, P (FILE), BUF (BYTES) }, F_pread, 0 },
};

START_TEST (copying_loops_notice_that_they_are_cancelled)
{
  estate before;

  start ();
  before = recess ();
  renew_fixture ();
  arm_short (loops[_i].call, 500);
  if (loops[_i].missing)
    arm (loops[_i].missing, ENOSYS, 0, FOR_EVER);
  run_victim (&loops[_i].req, loops[_i].call, 3);
  assert_same_estate (before, recess (), call_names[loops[_i].call]);
}
END_TEST

/* One call must not copy for minutes before anybody looks. */
START_TEST (sendfile_copies_in_parts)
{
  eio_req req = { .type = EIO_SENDFILE, .int1 = OUT, .int2 = DATA,
                  .size = SIZE_MAX / 2 };
  run r;

  start ();
  renew_fixture ();
  if (_i)
    arm (F_sendfile, ENOSYS, 0, FOR_EVER);
  execute (&req, &r);
  assert_ok (r.seen, BYTES);
  ck_assert_int_gt (transfers[_i ? F_pread : F_sendfile].asked, 0);
  ck_assert_int_le (transfers[_i ? F_pread : F_sendfile].asked, 1 << 26);
}
END_TEST

/* It would go on for ever. */
START_TEST (request_that_is_always_interrupted_can_be_cancelled)
{
  static const eio_req req = { .type = EIO_READ, FD, BUF (BYTES) };

  start ();
  arm (F_pread, EINTR, 0, FOR_EVER);
  run_victim (&req, F_pread, 5);
}
END_TEST

/*****************************************************************************
 * Missing calls                                                             *
 *****************************************************************************/

START_TEST (sendfile_is_emulated_where_it_cannot)
{
  static const int errors[] = { ENOSYS, EINVAL, ENOTSUP, EOPNOTSUPP, ENOTSOCK,
                                EAFNOSUPPORT, EPROTOTYPE };
  estate before;
  size_t i;
  run r;

  start ();
  before = recess ();
  for (i = 0; i < sizeof errors / sizeof *errors; ++i)
    {
      renew_fixture ();
      arm (F_sendfile, errors[i], 0, FOR_EVER);
      execute (&copy, &r);
      check_copied (&r, BYTES);
      ck_assert_int_gt (r.calls[F_write], 0);
      assert_same_estate (before, recess (), strerror (errors[i]));
    }
}
END_TEST

/* The emulation would not know better. */
START_TEST (sendfile_is_not_emulated_where_it_failed)
{
  static const int errors[] = { EAGAIN, EBADF, EIO, ENOMEM, EPIPE };
  size_t i;
  run r;

  start ();
  for (i = 0; i < sizeof errors / sizeof *errors; ++i)
    {
      renew_fixture ();
      arm (F_sendfile, errors[i], 0, FOR_EVER);
      execute (&copy, &r);
      assert_fails (r.seen, errors[i]);
      ck_assert_int_eq (r.calls[F_write], 0);
      ck_assert_int_eq (r.calls[F_pread], 0);
    }
}
END_TEST

/* sendfile says EINVAL to both: the emulation must, too. */
START_TEST (sendfile_tells_the_callers_own_mistakes)
{
  eio_req req = copy;
  run r;

  start ();
  renew_fixture ();
  req.offs = -1;
  execute (&req, &r);
  assert_fails (r.seen, EINVAL);
  ck_assert_int_eq (lseek (OUT, 0, SEEK_END), 0);

  req = copy;
  req.int2 = 1000;
  arm (F_sendfile, ENOSYS, 0, FOR_EVER);
  execute (&req, &r);
  assert_fails (r.seen, EBADF);
}
END_TEST

START_TEST (sendfile_sync_does_all_that_sendfile_does)
{
  run r = { .seen = { .calls = 1 } };

  start ();
  renew_fixture ();
  arm (F_sendfile, ENOSYS, 0, FOR_EVER);
  arm (F_pread, EINTR, 0, 3);
  arm (F_write, EINTR, 0, 3);
  arm_short (F_write, 40000);
  r.seen.result = eio_sendfile_sync (OUT, DATA, 0, BYTES);
  disarm_all ();
  check_copied (&r, BYTES);

  arm (F_sendfile, EIO, 0, FOR_EVER);
  ck_assert_int_eq (eio_sendfile_sync (OUT, DATA, 0, BYTES), -1);
  ck_assert_int_eq (errno, EIO);
}
END_TEST

/* Runs one request with up to two calls missing. */
static run
execute_without (const eio_req *req, int call, int error, int call2,
                 int error2)
{
  run r;

  if (call)
    arm (call, error, 0, FOR_EVER);
  if (call2)
    arm (call2, error2, 0, FOR_EVER);
  execute (req, &r);
  return r;
}

START_TEST (fdatasync_becomes_fsync)
{
  static const eio_req req = { .type = EIO_FDATASYNC, FD };
  run r;

  start ();
  r = execute_without (&req, F_fdatasync, ENOSYS, 0, 0);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (r.calls[F_fsync], 1);

  r = execute_without (&req, F_fdatasync, ENOSYS, F_fsync, EIO);
  assert_fails (r.seen, EIO);
}
END_TEST

START_TEST (sync_file_range_becomes_fdatasync)
{
  static const eio_req req = { .type = EIO_SYNC_FILE_RANGE, FD, .size = 1 };
  static const int missing[] = { ENOSYS, EPERM, EINVAL };
  run r;

  start ();
  r = execute_without (&req, F_sync_file_range, missing[_i], 0, 0);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (r.calls[F_fdatasync], 1);

  r = execute_without (&req, F_sync_file_range, missing[_i], F_fdatasync, EIO);
  assert_fails (r.seen, EIO);

  r = execute_without (&req, F_sync_file_range, missing[_i], F_fdatasync,
                       ENOSYS);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (r.calls[F_fsync], 1);
}
END_TEST

START_TEST (sync_is_called)
{
  static const eio_req req = { .type = EIO_SYNC };
  run r;

  start ();
  execute (&req, &r);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (r.calls[F_sync], 1);
}
END_TEST

START_TEST (syncfs_becomes_sync_and_says_so)
{
  static const eio_req req = { .type = EIO_SYNCFS, FD };
  static const int missing[] = { ENOSYS, EPERM };
  run r;

  start ();
  r = execute_without (&req, F_syncfs, EIO, 0, 0);
  assert_fails (r.seen, EIO);
  ck_assert_int_eq (r.calls[F_sync], 0);

  r = execute_without (&req, F_syncfs, missing[_i], 0, 0);
  assert_fails (r.seen, ENOSYS);
  ck_assert_int_eq (r.calls[F_sync], 1);
}
END_TEST

/* What a system lacks, and how it says so. */
static const struct
{
  eio_req req;
  int call, error;
  int times;
  int remembered; /* else it was the file's fault */
} lacks[] = {
  { { .type = EIO_FDATASYNC, FD }, F_fdatasync, ENOSYS, FOR_EVER, 1 },
  { { .type = EIO_FDATASYNC, FD }, F_fdatasync, EPERM, FOR_EVER, 1 },
  { { .type = EIO_FDATASYNC, FD }, F_fdatasync, EPERM, 1, 0 },
  { { .type = EIO_SYNCFS, FD }, F_syncfs, ENOSYS, FOR_EVER, 1 },
  { { .type = EIO_SYNCFS, FD }, F_syncfs, EPERM, FOR_EVER, 1 },
  { { .type = EIO_SYNCFS, FD }, F_syncfs, EPERM, 1, 0 },
  { { .type = EIO_SYNCFS, FD }, F_syncfs, EIO, FOR_EVER, 0 },
  { { .type = EIO_SYNC_FILE_RANGE, FD }, F_sync_file_range, ENOSYS, FOR_EVER,
    1 },
  { { .type = EIO_SYNC_FILE_RANGE, FD }, F_sync_file_range, EPERM, FOR_EVER,
    1 },
  { { .type = EIO_SYNC_FILE_RANGE, FD }, F_sync_file_range, EPERM, 1, 0 },
  { { .type = EIO_SYNC_FILE_RANGE, FD }, F_sync_file_range, EINVAL, FOR_EVER,
    1 },
  { { .type = EIO_SYNC_FILE_RANGE, FD }, F_sync_file_range, EINVAL, 1, 0 },
  { { .type = EIO_SYNC_FILE_RANGE, FD }, F_sync_file_range, EIO, FOR_EVER, 0 },
  { { .type = EIO_READAHEAD, FD, .size = 1 }, F_readahead, ENOSYS, FOR_EVER,
    1 },
  { { .type = EIO_READAHEAD, FD, .size = 1 }, F_readahead, EPERM, FOR_EVER, 1 },
  { { .type = EIO_READAHEAD, FD, .size = 1 }, F_readahead, EPERM, 1, 0 },
  { { .type = EIO_READAHEAD, FD, .size = 1 }, F_readahead, EINVAL, FOR_EVER,
    0 },
};

/* Executes one of these while its call misbehaves. */
static run
execute_lacking (int i)
{
  run r;

  arm (lacks[i].call, lacks[i].error, 0, lacks[i].times);
  execute (&lacks[i].req, &r);
  return r;
}

START_TEST (missing_calls_are_not_made_again)
{
  int call = lacks[_i].call, remembered = lacks[_i].remembered;
  run first, second, later;

  start ();
  first = execute_lacking (_i);
  ck_assert_int_ge (first.calls[call], 1);
  if (!remembered)
    assert_fails (first.seen, lacks[_i].error);
  second = execute_lacking (_i);
  ck_assert_int_eq (second.calls[call] == 0, remembered);
  ck_assert_int_eq (second.seen.result, first.seen.result);
  ck_assert_int_eq (second.seen.errorno, first.seen.errorno);

  host_start ();
  later = execute_lacking (_i);
  ck_assert_int_eq (later.calls[call] == 0, remembered);
}
END_TEST

/* With a wd: by path where descriptors that give no rights cannot be asked,
 * or have no names. */
START_TEST (statvfs_and_truncate_find_another_way)
{
  eio_req req = { .type = EIO_STATVFS, .ptr1 = "../file" };
  run r;

  start ();
  renew_fixture ();
  req.wd = eio_wd_open_sync (0, path[SUB_PATH]);
  r = execute_without (&req, F_fstatvfs, EBADF, 0, 0);
  assert_ok (r.seen, 0);

  req.type = EIO_TRUNCATE;
  req.offs = 5;
  arm (F_truncate, ENOENT, 0, 1);
  execute (&req, &r);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (lseek (DATA, 0, SEEK_END), 5);

  /* But not that of another directory. */
  req.offs = 3;
  ino_lie = 1;
  arm (F_truncate, ENOENT, 0, 1);
  execute (&req, &r);
  ino_lie = 0;
  assert_fails (r.seen, ENOENT);
  ck_assert_int_eq (lseek (DATA, 0, SEEK_END), 5);
  eio_wd_close_sync (req.wd);
}
END_TEST

START_TEST (rename_needs_renameat2_for_flags_only)
{
  eio_req req = { .type = EIO_RENAME, P (OLD), TO (NEW) };
  run r;

  start ();
  renew_fixture ();
  req.int2 = EIO_RENAME_NOREPLACE;
  r = execute_without (&req, F_renameat2, ENOSYS, 0, 0);
  assert_fails (r.seen, ENOSYS);
  ck_assert_int_eq (access (path[OLD_PATH], F_OK), 0);
  ck_assert_int_eq (access (path[NEW_PATH], F_OK), -1);

  req.int2 = 0;
  r = execute_without (&req, F_renameat2, ENOSYS, 0, 0);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (access (path[NEW_PATH], F_OK), 0);
}
END_TEST

static int
pages_in (void *addr, size_t pages, size_t page)
{
  unsigned char in[64];
  int n = 0;

  ck_assert_uint_le (pages, sizeof in);
  ck_assert_int_eq (mincore (addr, pages * page, in), 0);
  while (pages--)
    n += in[pages] & 1;
  return n;
}

/* What is wrong, and how the pages are touched. */
START_TEST (mtouch_touches_by_hand)
{
  static const int missing[] = { ENOSYS, EINVAL, EPERM };
  enum { PAGES = 16 };
  size_t page = sysconf (_SC_PAGESIZE);
  eio_req req = { .type = EIO_MTOUCH, .size = PAGES * page };
  run r;

  host_start ();
  req.int1 = _i / 3 ? EIO_MT_MODIFY : 0;
  req.ptr2 = mmap (0, req.size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne (req.ptr2, MAP_FAILED);
  madvise (req.ptr2, req.size, MADV_NOHUGEPAGE);
  ck_assert_int_eq (pages_in (req.ptr2, PAGES, page), 0);

  r = execute_without (&req, F_madvise, missing[_i % 3], 0, 0);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (pages_in (req.ptr2, PAGES, page), PAGES);
  ck_assert_int_gt (r.calls[F_madvise], 0);

  strcpy (req.ptr2, "as it was");
  r = execute_without (&req, F_madvise, missing[_i % 3], 0, 0);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (r.calls[F_madvise], 0);
  ck_assert_str_eq (req.ptr2, "as it was");
  munmap (req.ptr2, req.size);
}
END_TEST

/* Pages that the first write makes writable. */
static void *guarded;
static size_t guarded_size;
static atomic_int writes;

static void
let_write (int signal)
{
  (void)signal;
  if (mprotect (guarded, guarded_size, PROT_READ | PROT_WRITE))
    _exit (99);
  ++writes;
}

START_TEST (mtouch_by_hand_writes_only_when_told_to)
{
  struct sigaction act = { .sa_handler = let_write };
  eio_req req = { .type = EIO_MTOUCH, .size = 1,
                  .int1 = _i ? EIO_MT_MODIFY : 0 };
  run r;

  host_start ();
  guarded_size = sysconf (_SC_PAGESIZE);
  guarded = mmap (0, guarded_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                  0);
  ck_assert_ptr_ne (guarded, MAP_FAILED);
  sigaction (SIGSEGV, &act, 0);
  req.ptr2 = guarded;
  r = execute_without (&req, F_madvise, ENOSYS, 0, 0);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (writes, _i);
}
END_TEST

/* Of which none is touched twice, if they are larger than the system's. */
START_TEST (mtouch_by_hand_steps_by_pages_of_the_running_system)
{
  enum { PAGE = 65536, PAGES = 3, SPACE = (PAGES + 1) * PAGE };
  size_t part = sysconf (_SC_PAGESIZE);
  char *space = mmap (0, SPACE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *start = space + (-(size_t)space & (PAGE - 1));
  eio_req req = { .type = EIO_MTOUCH, .size = PAGES * PAGE,
                  .int1 = _i ? EIO_MT_MODIFY : 0 };
  run r;
  int i;

  ck_assert_ptr_ne (space, MAP_FAILED);
  madvise (space, SPACE, MADV_NOHUGEPAGE);
  req.ptr2 = start;
  host_start ();
  wake ();
  page_size = PAGE;
  r = execute_without (&req, F_madvise, ENOSYS, 0, 0);
  page_size = 0;
  assert_ok (r.seen, 0);
  for (i = 0; i < PAGES; ++i)
    {
      ck_assert_int_eq (pages_in (start + i * PAGE, 1, part), 1);
      ck_assert_int_eq (pages_in (start + i * PAGE, PAGE / part, part), 1);
    }
  munmap (space, SPACE);
}
END_TEST

/* A file that was cut while it was mapped, which the first signal mends. */
static int cut_fd;
static off_t cut_size;
static atomic_int mends;

static void
mend (int signal)
{
  (void)signal;
  if (ftruncate (cut_fd, cut_size))
    _exit (99);
  ++mends;
}

/* Be it a worker that touches, or eio_poll. */
START_TEST (mtouch_by_hand_leaves_bus_errors_to_the_host)
{
  struct sigaction act = { .sa_handler = mend };
  int here = _i / 2;
  eio_req req = { .type = EIO_MTOUCH, .int1 = _i % 2 ? EIO_MT_MODIFY : 0 };
  run r;

  host_start ();
  cut_size = 2 * sysconf (_SC_PAGESIZE);
  cut_fd = open (scratch_path ("cut"), O_RDWR | O_CREAT, 0600);
  ck_assert_int_ge (cut_fd, 0);
  req.size = (size_t)cut_size;
  req.ptr2 = mmap (0, req.size, PROT_READ | PROT_WRITE, MAP_SHARED, cut_fd, 0);
  ck_assert_ptr_ne (req.ptr2, MAP_FAILED);
  sigaction (SIGBUS, &act, 0);
  r = execute_without (&req, F_madvise, ENOSYS, here ? F_pthread_create : 0,
                       EAGAIN);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (mends, 1);
  ck_assert_uint_eq (eio_nthreads (), !here);
  munmap (req.ptr2, req.size);
  close (cut_fd);
}
END_TEST

static int
is_readable (int fd)
{
  struct pollfd watch = { fd, POLLIN, 0 };

  return poll (&watch, 1, 0);
}

START_TEST (poll_fd_becomes_a_pipe)
{
  int fds, fd, i;

  host_start ();
  fds = count_fds ();
  arm (F_eventfd, ENOSYS, 0, FOR_EVER);
  arm (F_pipe, EMFILE, 0, 1);
  ck_assert_int_eq (eio_poll_fd (), -1);
  ck_assert_int_eq (errno, EMFILE);
  ck_assert_int_eq (count_fds (), fds);

  fd = eio_poll_fd ();
  ck_assert_int_gt (fd, 0);
  ck_assert_int_eq (eio_poll_fd (), fd);
  ck_assert_int_eq (count_fds (), fds + 2);
  ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);
  ck_assert_int_ne (fcntl (fd, F_GETFL) & O_NONBLOCK, 0);
  for (i = 0; i < 3; ++i)
    {
      outcome o = { 0 };

      ck_assert_int_eq (is_readable (fd), 0);
      eio_nop (0, note, &o);
      wait_until (is_readable (fd));
      host_drain ();
      assert_ok (o, 0);
    }

  ck_assert_int_eq (eio_init (0, 0), 0);
  ck_assert_int_eq (eio_poll_fd (), fd);
  ck_assert_int_eq (count_fds (), fds + 2);
}
END_TEST

/* Of an eventfd, and of a pipe: they do not fail by themselves, but who
 * watches is not told twice. */
START_TEST (poll_fd_survives_single_failures)
{
  static const int errors[] = { EIO, EAGAIN, EPERM };
  int fd, i;

  start ();
  if (_i / 3)
    arm (F_eventfd, ENOSYS, 0, 1);
  fd = eio_poll_fd ();
  ck_assert_int_gt (fd, 0);
  for (i = 0; i < 3; ++i)
    {
      outcome o = { 0 };

      arm (F_write, errors[_i % 3], 0, 1);
      arm (F_read, errors[_i % 3], 0, 1);
      eio_nop (0, note, &o);
      wait_until (is_readable (fd));
      host_drain ();
      assert_ok (o, 0);
      ck_assert_int_eq (is_readable (fd), 0);
      ck_assert_int_eq (calls_of (F_write), 2);
      ck_assert_int_eq (calls_of (F_read), 2);
    }
}
END_TEST

/* Puts an eventfd of the host's in the place of ours, a pipe in that of ours,
 * or its end in that of the end that is written to, with a token inside.
 * Returns where that comes out. */
static int
replace_ends (int kind, const int ends[2])
{
  const uint64_t token = 1;
  int hosts[2];

  if (kind < 2)
    close (ends[0]);
  if (kind == 1)
    close (ends[1]);
  if (kind)
    ck_assert_int_eq (pipe (hosts), 0);
  else
    hosts[0] = hosts[1] = eventfd (0, 0);
  ck_assert_int_eq (fcntl (hosts[0], F_SETFL, O_NONBLOCK), 0);

  if (kind < 2)
    {
      ck_assert_int_eq (hosts[0], ends[0]);
      ck_assert_int_eq (hosts[1], ends[1]);
    }
  else
    {
      ck_assert_int_eq (dup2 (hosts[1], ends[1]), ends[1]);
      close (hosts[1]);
    }
  ck_assert_int_eq (write (ends[1], &token, sizeof token), sizeof token);
  return hosts[0];
}

/* Whoever finds out: eio_poll_fd, eio_init, which drops what is outstanding,
 * or eio_shutdown. */
START_TEST (poll_fd_that_became_the_hosts_is_left_alone)
{
  int kind = _i % 3, way = _i / 3, ends[2], out, fd;
  eio_req req = { .type = EIO_NOP, .finish = note };
  uint64_t tokens[8] = { 0 };
  outcome o = { 0 };

  start ();
  ck_assert_int_eq (pipe (ends), 0);
  close (ends[0]);
  close (ends[1]);
  arm (F_eventfd, ENOSYS, 0, kind > 0);
  ck_assert_int_eq (eio_poll_fd (), ends[0]);
  if (!kind)
    ends[1] = ends[0];
  if (way < 2)
    {
      req.data = &o;
      eio_submit (&req);
      wait_until (is_readable (ends[0]));
      eio_set_max_parallel (0); /* who wrote is gone */
    }
  out = replace_ends (kind, ends);
  if (way == 2)
    ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  if (way > 0)
    host_start ();
  eio_set_parallel (4);

  fd = eio_poll_fd ();
  ck_assert_int_gt (fd, 0);
  ck_assert_int_ne (fd, ends[0]);
  ck_assert_int_ne (fd, ends[1]);
  ck_assert_int_eq (is_readable (fd), !way);
  if (way > 0)
    eio_nop (0, note, &o);
  wait_until (is_readable (fd));
  host_drain ();
  assert_ok (o, 0);
  ck_assert_int_eq (is_readable (fd), 0);

  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  ck_assert_int_eq (fcntl (fd, F_GETFD), -1);
  ck_assert_int_ge (fcntl (ends[1], F_GETFD), 0);
  ck_assert_int_eq (read (out, tokens, sizeof tokens), sizeof *tokens);
  ck_assert_uint_eq (*tokens, 1);
}
END_TEST

/* Whose number is taken for none. */
START_TEST (poll_fd_is_never_descriptor_0)
{
  int fds, fd;

  host_start ();
  close (0);
  fds = count_fds ();
  arm (F_eventfd, ENOSYS, 0, FOR_EVER);
  arm (F_fcntl, EMFILE, 0, 1);
  ck_assert_int_eq (eio_poll_fd (), -1);
  ck_assert_int_eq (errno, EMFILE);
  ck_assert_int_eq (count_fds (), fds);

  fd = eio_poll_fd ();
  ck_assert_int_gt (fd, 0);
  ck_assert_int_eq (fcntl (0, F_GETFD), -1);
  ck_assert_int_eq (count_fds (), fds + 2);
}
END_TEST

/* Where there is no descriptor to make room with. */
START_TEST (poll_fd_may_change_its_number_in_a_child)
{
  int lower = dup (1), fd, status;
  pid_t pid;

  host_start ();
  fd = eio_poll_fd ();
  close (lower);
  arm (F_eventfd, ENOSYS, 0, 1); /* a pipe has both numbers */
  arm (F_fcntl, EMFILE, 0, FOR_EVER);
  pid = fork ();
  if (!pid)
    {
      int childs, wrong;

      disarm_all ();
      childs = eio_poll_fd ();
      wrong = childs != lower;
      eio_nop (0, 0, 0);
      while (!is_readable (childs))
        nap (1);
      wrong |= eio_poll () != 0 || is_readable (childs);
      _exit (wrong);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  ck_assert_int_eq (eio_poll_fd (), fd);
}
END_TEST

/* What could not be told from others' descriptors is none. */
START_TEST (poll_fd_is_known_again)
{
  int fds, fd;

  host_start ();
  fds = count_fds ();
  arm (F_fstat, EIO, 0, 1);
  ck_assert_int_eq (eio_poll_fd (), -1);
  ck_assert_int_eq (errno, EIO);
  ck_assert_int_eq (count_fds (), fds);
  fd = eio_poll_fd ();
  ck_assert_int_eq (eio_poll_fd (), fd);
  ck_assert_int_eq (count_fds (), fds + 1);
}
END_TEST

/* In a child, with an eventfd in a pipe's place, and the other way round; and
 * also if a lower number is to be had. */
START_TEST (poll_fd_keeps_its_number_in_a_child)
{
  int is_event = _i % 2, lower = _i / 2 ? dup (1) : -1, fds, fd, status;
  pid_t pid;

  if (!child_may_start_threads ())
    return;
  host_start ();
  fds = count_fds () - (lower >= 0);
  arm (F_eventfd, ENOSYS, is_event, 1);
  fd = eio_poll_fd ();
  ck_assert_int_gt (fd, lower);
  if (lower >= 0)
    close (lower);
  ck_assert_int_eq (count_fds (), fds + 2 - is_event);
  pid = fork ();
  if (!pid)
    {
      int wrong = eio_poll_fd () != fd || count_fds () != fds + 1 + is_event
                  || fcntl (fd, F_GETFD) != FD_CLOEXEC || is_readable (fd);

      eio_nop (0, 0, 0);
      while (!is_readable (fd))
        nap (1);
      wrong |= eio_poll () != 0 || is_readable (fd);
      _exit (wrong);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  ck_assert_int_eq (is_readable (fd), 0);
}
END_TEST

START_TEST (readahead_becomes_reading)
{
  static const eio_req req = { .type = EIO_READAHEAD, FD, .size = BYTES };
  static const int missing[] = { ENOSYS, EPERM };
  eio_req behind = req;
  run r;

  start ();
  arm_short (F_pread, BYTES / 10 + 1);
  r = execute_without (&req, F_readahead, missing[_i], 0, 0);
  assert_ok (r.seen, 0);
  ck_assert_int_ge (r.calls[F_pread], 10);
  ck_assert_int_eq (lseek (DATA, 0, SEEK_CUR), 0);

  behind.offs = BYTES + 1;
  r = execute_without (&behind, F_readahead, missing[_i], 0, 0);
  assert_ok (r.seen, 0);
}
END_TEST

START_TEST (readahead_by_hand_hides_failing_reads)
{
  static const eio_req req = { .type = EIO_READAHEAD, FD, .size = BYTES };
  run r;

  start ();
  arm (F_readahead, ENOSYS, 0, FOR_EVER);
  arm (F_pread, EIO, _i, FOR_EVER);
  execute (&req, &r);
  assert_ok (r.seen, 0);
}
END_TEST

/* readahead(2) has only two complaints: EBADF, when the descriptor is not
 * open for reading, and EINVAL, when it has no pages to fill. */
START_TEST (readahead_by_hand_complains_as_the_call_does)
{
  eio_req req = { .type = EIO_READAHEAD, .size = 10 };
  int ends[2], dir;
  run r;

  start ();
  req.int1 = 1000;
  r = execute_without (&req, F_readahead, ENOSYS, 0, 0);
  assert_fails (r.seen, EBADF);

  req.int1 = open (path[FILE_PATH], O_WRONLY);
  r = execute_without (&req, F_readahead, ENOSYS, 0, 0);
  assert_fails (r.seen, EBADF);

  ck_assert_int_eq (pipe (ends), 0);
  req.int1 = ends[0];
  r = execute_without (&req, F_readahead, ENOSYS, 0, 0);
  assert_fails (r.seen, EINVAL);

  req.int1 = dir = open (path[DIR_PATH], O_RDONLY);
  r = execute_without (&req, F_readahead, ENOSYS, 0, 0);
  if (r.seen.result)
    assert_fails (r.seen, EINVAL);
  close (dir);
}
END_TEST

/*****************************************************************************
 * Directories                                                               *
 *****************************************************************************/

enum { NAMES = 12 };

typedef struct
{
  outcome seen;
  int flags, count;
  char name[NAMES][64];
  int type[NAMES];
} listing;

static int
list (eio_req *req)
{
  listing *l = req->data;
  const eio_dirent *ents = req->ptr1;
  int i;

  l->flags = req->int1;
  l->count = req->result;
  ck_assert_int_le (l->count, NAMES);
  for (i = 0; i < l->count; ++i)
    {
      strcpy (l->name[i], (char *)req->ptr2 + ents[i].nameofs);
      l->type[i] = ents[i].type;
    }
  return note (req);
}

/* A directory of files whose names begin with a letter of firsts gets no
 * types. */
static listing
list_untyped (const char *firsts, int flags, const char *const *made, int n)
{
  listing l = { .count = 0 };
  char name[100];
  int i;

  host_start ();
  ck_assert_int_eq (mkdir (scratch_path ("untyped"), 0700), 0);
  for (i = 0; i < n; ++i)
    {
      snprintf (name, sizeof name, "untyped/%s", made[i]);
      if (strncmp (made[i], "dir", 3))
        write_file (scratch_path (name), "", 0);
      else
        ck_assert_int_eq (mkdir (scratch_path (name), 0700), 0);
    }

  untyped = firsts;
  eio_readdir (scratch_path ("untyped"), flags, 0, list, &l);
  host_drain ();
  ck_assert_int_eq (l.count, n);
  return l;
}

START_TEST (unknown_types_are_said_to_be_found)
{
  static const char *const made[] = { "a", "b" };
  static const char *const firsts[] = { "", "b", "ab" };
  listing l = list_untyped (firsts[_i], EIO_READDIR_DENTS, made, 2);

  ck_assert_int_eq (l.flags,
                    EIO_READDIR_DENTS | (_i ? EIO_READDIR_FOUND_UNKNOWN : 0));
  ck_assert_int_eq ((l.type[0] == EIO_DT_UNKNOWN)
                      + (l.type[1] == EIO_DT_UNKNOWN),
                    _i);
}
END_TEST

/* From the least likely to the most, so that no order of making them helps.
 * Of those that begin with a dot, and those with one inside, the order is
 * not said. */
START_TEST (unknown_types_come_in_order_of_likelihood)
{
  static const char *const made[] = {
    "name.c", "a.b", "rather_a_long_name_for_a_directory", "fifteen_letters",
    "eleven_then", "sixsix", "four", "abc", "ab", "a", ".long_hidden_name",
    ".x"
  };
  listing l = list_untyped (".abefnrs",
                            EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST, made,
                            NAMES);
  int i;

  ck_assert (l.flags & EIO_READDIR_FOUND_UNKNOWN);
  for (i = 0; i < 2; ++i)
    ck_assert_msg (l.name[i][0] == '.', "%d: %s", i, l.name[i]);
  for (; i < NAMES - 2; ++i)
    ck_assert_str_eq (l.name[i], made[NAMES - 1 - i]);
  for (; i < NAMES; ++i)
    ck_assert_msg (strchr (l.name[i], '.') > l.name[i], "%s", l.name[i]);
}
END_TEST

/* And only those. */
START_TEST (scandir_asks_for_types_that_are_unknown)
{
  static const char *const made[] = { "file", "x", "dir.2", "y", "dir1" };
  listing l = list_untyped (_i ? "xd" : "", EIO_READDIR_DENTS, made, 5);
  int i;

  arm (F_fstatat, 0, 0, 0);
  eio_scandir (scratch_path ("untyped"), 0, 0, list, &l);
  host_drain ();
  ck_assert_int_eq (l.count, 5);
  ck_assert_int_eq (calls_of (F_fstatat), _i ? 3 : 0);
  for (i = 0; i < 5; ++i)
    ck_assert_int_eq (l.type[i],
                      l.name[i][0] == 'd' ? EIO_DT_DIR : EIO_DT_REG);
}
END_TEST

START_TEST (known_directories_come_before_unknown_types_and_files_last)
{
  static const char *const made[]
    = { "file", "x.c", "unknown", ".unknown", "dir.2", "dir1" };
  listing l = list_untyped ("xu.", EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST
                                     | EIO_READDIR_STAT_ORDER,
                            made, 6);

  ck_assert_int_eq (l.type[0], EIO_DT_DIR);
  ck_assert_int_eq (l.type[1], EIO_DT_DIR);
  ck_assert_str_eq (l.name[2], ".unknown");
  ck_assert_str_eq (l.name[3], "unknown");
  ck_assert_str_eq (l.name[4], "x.c");
  ck_assert_str_eq (l.name[5], "file");
}
END_TEST

/* eio_dirent.nameofs is an int: so many bytes of names, and no more. */
START_TEST (directories_with_too_many_bytes_of_names_are_eoverflow)
{
  static const int flags[]
    = { 0, EIO_READDIR_DENTS, EIO_READDIR_DENTS | EIO_READDIR_STAT_ORDER };
  enum { NAME_BYTES = 10 * 2 + (ENTRIES - 10) * 3 };
  eio_req req = { .type = EIO_READDIR, .ptr1 = path[DIR_PATH],
                  .int1 = flags[_i] };
  estate before;
  run r;

  start_with (ENTRIES);
  before = recess ();
  names_max = NAME_BYTES;
  execute (&req, &r);
  assert_ok (r.seen, ENTRIES);

  names_max = NAME_BYTES - 1;
  execute (&req, &r);
  assert_fails (r.seen, EOVERFLOW);
  ck_assert_int_eq (r.calls[F_closedir], 1);
  assert_same_estate (before, recess (), "READDIR");
}
END_TEST

/* Between the look where a link leads, and at what is there. */
START_TEST (file_behind_a_link_that_vanishes_is_made_anew)
{
  eio_req req = { .type = EIO_SAVE, BUF (9), .int2 = 0640 };
  struct stat st;
  run r;

  start ();
  renew_fixture ();
  req.ptr1 = (void *)scratch_path ("to-old");
  ck_assert_int_eq (symlink ("old", req.ptr1), 0);
  arm (F_fstatat, ENOENT, 1, 1);
  execute (&req, &r);
  assert_ok (r.seen, 0);
  ck_assert_int_eq (lstat (req.ptr1, &st), 0);
  ck_assert (S_ISLNK (st.st_mode));
  ck_assert_uint_eq (hash_file (path[OLD_PATH]), hash (10, buffer, 9));
}
END_TEST

static long closed_dir;
static int first_close, second_close;

static void
close_it_twice (int which, int n)
{
  eio_req req = { .type = EIO_CLOSEDIR, .int3 = closed_dir };

  if (which != F_readdir || n)
    return;
  first_close = (int)eio__closedir (&req);
  req.int3 = closed_dir;
  errno = 0;
  second_close = eio__closedir (&req) == -1 ? errno : 0;
}

/* While it is read, nothing is freed. */
START_TEST (directory_that_is_closed_is_not_closed_again)
{
  eio_req req = { .type = EIO_READDIR_NEXT, SORTED };
  estate before;
  run r;

  start_with (ENTRIES);
  before = recess ();
  req.int3 = closed_dir = open_dir ();
  before_call = close_it_twice;
  execute (&req, &r);
  before_call = (void (*) (int, int))0;
  assert_ok (r.seen, ENTRIES);
  ck_assert_int_eq (first_close, 0);
  ck_assert_int_eq (second_close, EBADF);
  ck_assert_int_eq (r.calls[F_closedir], 1);
  assert_same_estate (before, recess (), "CLOSEDIR");
}
END_TEST

/* Where the path of a wd leads to another directory, be it one of the same
 * number on another device, nothing happens to that. */
START_TEST (dot_is_known_by_device_and_number)
{
  eio_req reqs[] = {
    { .type = EIO_RENAME, IN ("."), TO (NEW) },
    { .type = EIO_RMDIR, IN (".") },
  };
  int i;
  run r;

  start ();
  renew_fixture ();
  for (i = 0; i < LENGTH (reqs); ++i)
    {
      eio_wd wd = eio_wd_open_sync (0, path[SUB_PATH]);

      ck_assert_ptr_ne (wd, EIO_INVALID_WD);
      reqs[i].wd = wd;
      dev_lie = !_i;
      ino_lie = _i;
      execute (&reqs[i], &r);
      dev_lie = ino_lie = 0;
      assert_fails (r.seen, ENOENT);
      ck_assert_int_eq (access (path[SUB_PATH], F_OK), 0);
      ck_assert_int_eq (access (path[NEW_PATH], F_OK), -1);
      eio_wd_close_sync (wd);
    }
}
END_TEST

/*****************************************************************************
 * Descriptor 0                                                              *
 *****************************************************************************/

static int
check_wd_fd (eio_req *req)
{
  ck_assert_ptr_ne (req->wd, EIO_INVALID_WD);
  ck_assert_int_gt (req->wd->fd, 0);
  eio_wd_close_sync (req->wd);
  return note (req);
}

START_TEST (wd_is_never_descriptor_0)
{
  outcome o = { 0 };
  eio_wd wd;
  int fds;

  start ();
  close (0);
  fds = count_fds ();
  eio_wd_open (path[DIR_PATH], 0, check_wd_fd, &o);
  host_drain ();
  assert_ok (o, 0);
  ck_assert_int_eq (fcntl (0, F_GETFD), -1);
  ck_assert_int_eq (count_fds (), fds);

  wd = eio_wd_open_sync (0, path[DIR_PATH]);
  ck_assert_int_gt (wd->fd, 0);
  eio_wd_close_sync (wd);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* Whichever call is used to get another one. */
START_TEST (wd_that_gets_no_other_descriptor_than_0_fails)
{
  static const int calls[] = { F_dup, F_fcntl, F_dup2 };
  eio_req req = { .type = EIO_WD_OPEN, P (DIR) };
  estate before;
  int i, tried = 0;
  run r;

  start ();
  close (0);
  before = recess ();
  for (i = 0; i < 3; ++i)
    arm (calls[i], EMFILE, 0, FOR_EVER);
  execute (&req, &r);
  for (i = 0; i < 3; ++i)
    tried += r.calls[calls[i]];
  ck_assert_int_gt (tried, 0);
  assert_fails (r.seen, EMFILE);
  ck_assert_ptr_eq (r.seen.wd, EIO_INVALID_WD);
  ck_assert_int_eq (fcntl (0, F_GETFD), -1);
  assert_same_estate (before, recess (), "WD_OPEN");
}
END_TEST

/* Unlike those of open, which are the caller's own business. */
START_TEST (open_may_return_descriptor_0)
{
  outcome o = { 0 };

  start ();
  close (0);
  eio_open (path[FILE_PATH], O_RDONLY, 0, 0, note, &o);
  host_drain ();
  assert_ok (o, 0);
}
END_TEST

/* A path that does not begin with a slash would be taken for a relative
 * one. */
START_TEST (unreachable_directories_have_no_path)
{
  eio_req req = { .type = EIO_REALPATH, .ptr1 = "." };
  run r;

  start ();
  unreachable = 1;
  execute (&req, &r);
  assert_fails (r.seen, ENOENT);
  unreachable = 0;
}
END_TEST

/*****************************************************************************
 * Threads                                                                   *
 *****************************************************************************/

enum { CROWD = 20 };

static pthread_t executor[CROWD];

static void
note_executor (eio_req *req)
{
  executor[(intptr_t)req->ptr1] = pthread_self ();
}

static int
executed_here (void)
{
  int i, n = 0;

  for (i = 0; i < CROWD; ++i)
    n += !!pthread_equal (executor[i], pthread_self ());
  return n;
}

/* Runs requests, and checks that none is lost. */
static void
execute_crowd (void)
{
  static eio_req reqs[CROWD];
  static outcome seen[CROWD];
  int i;

  memset (reqs, 0, sizeof reqs);
  memset (seen, 0, sizeof seen);
  for (i = 0; i < CROWD; ++i)
    {
      reqs[i].type = EIO_CUSTOM;
      reqs[i].feed = note_executor;
      reqs[i].ptr1 = (void *)(intptr_t)i;
      reqs[i].finish = note;
      reqs[i].data = &seen[i];
      eio_submit (&reqs[i]);
    }
  host_drain ();
  for (i = 0; i < CROWD; ++i)
    assert_ok (seen[i], 0);
}

/* Whatever is needed for a thread, and how it fails. */
static const struct
{
  int call, error;
} no_thread[] = {
  { F_pthread_create, EAGAIN },
  { F_pthread_create, ENOMEM },
  { F_pthread_create, EPERM },
  { F_pthread_create, EINVAL },
  { F_pthread_attr_init, ENOMEM },
#ifndef SYS_futex
  { F_pthread_cond_init, ENOMEM },
  { F_pthread_cond_init, EAGAIN },
  { F_pthread_condattr_init, ENOMEM },
#endif
};

START_TEST (without_any_thread_eio_poll_executes)
{
  long blocks;

  host_start ();
  blocks = live;
  arm (no_thread[_i].call, no_thread[_i].error, 0, FOR_EVER);
  execute_crowd ();
  ck_assert_int_gt (calls_of (no_thread[_i].call), 1);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_int_eq (executed_here (), CROWD);
  ck_assert_int_ge (host_wants (), 1);
  ck_assert_int_eq (host_wants (), host_dones ());
  ck_assert_int_le (live - blocks, 1); /* a worker's, for reuse */

  disarm_all ();
  execute_crowd ();
  ck_assert_uint_gt (eio_nthreads (), 0);
  ck_assert_int_lt (executed_here (), CROWD);
}
END_TEST

START_TEST (failed_starts_are_tried_again)
{
  host_start ();
  arm (no_thread[_i].call, no_thread[_i].error, 0, CROWD / 4);
  execute_crowd ();
  ck_assert_int_gt (calls_of (no_thread[_i].call), CROWD / 4);
  ck_assert_uint_gt (eio_nthreads (), 0);
}
END_TEST

START_TEST (one_worker_does_all_when_there_is_no_second)
{
  host_start ();
  arm (no_thread[_i].call, no_thread[_i].error, 1, FOR_EVER);
  execute_crowd ();
  execute_crowd ();
  ck_assert_uint_eq (eio_nthreads (), 1);
  ck_assert_int_eq (executed_here (), 0);
}
END_TEST

/* Nothing runs while the limit is 0, even where threads are not to be had;
 * set before the submission, or after it. */
START_TEST (limit_of_0_holds_without_threads)
{
  eio_req req = { .type = EIO_NOP, .finish = note };
  outcome o = { 0 };

  host_start ();
  arm (F_pthread_create, EAGAIN, 0, FOR_EVER);
  req.data = &o;
  if (_i)
    eio_submit (&req);
  eio_set_max_parallel (0);
  if (!_i)
    eio_submit (&req);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (host_wait (0), 0);
  ck_assert_uint_eq (eio_nready (), 1);

  eio_set_min_parallel (1);
  host_drain ();
  assert_ok (o, 0);
}
END_TEST

/* After so many failures. */
START_TEST (refused_stack_size_is_raised_and_remembered)
{
  outcome o = { 0 };

  if (_i)
    stack_wanted = eio_sys_stack_size (_i * (size_t)EIO_STACKSIZE) + 1;
  if (default_stack_size () < stack_wanted)
    return; /* musl's is less than what is tried before */
  host_start ();
  eio_set_max_parallel (1);
  eio_nop (0, note, &o);
  host_drain ();
  assert_ok (o, 0);
  ck_assert_uint_eq (eio_nthreads (), 1);
  ck_assert_int_eq (calls_of (F_pthread_create), _i + 1);

  eio_set_max_parallel (0);
  eio_set_min_parallel (1);
  eio_nop (0, note, &o);
  host_drain ();
  ck_assert_uint_eq (eio_nthreads (), 1);
  ck_assert_int_eq (calls_of (F_pthread_create), _i + 2);
}
END_TEST

START_TEST (stack_size_that_cannot_be_asked_for_is_left_alone)
{
  host_start ();
  arm (F_pthread_attr_setstacksize, EINVAL, 0, FOR_EVER);
  execute_crowd ();
  ck_assert_uint_gt (eio_nthreads (), 0);
  ck_assert_int_eq (executed_here (), 0);
}
END_TEST

START_TEST (refused_name_affinity_and_scheduling_do_no_harm)
{
  static const int calls[]
    = { F_prctl, F_sched_getaffinity, F_sched_setaffinity,
        F_pthread_getschedparam, F_pthread_setschedparam };
  static const int errors[] = { EPERM, ENOSYS, EINVAL };
  size_t i;

  for (i = 0; i < sizeof calls / sizeof *calls; ++i)
    arm (calls[i], errors[_i], 0, FOR_EVER);
  host_start ();
  execute_crowd ();
  ck_assert_int_gt (calls_of (F_prctl), 0);
  ck_assert_uint_gt (eio_nthreads (), 0);
  ck_assert_int_eq (executed_here (), 0);
}
END_TEST

/* They look again and again, rather than never. */
START_TEST (workers_wait_without_futexes)
{
  host_start ();
  no_futexes = 1;
  execute_crowd ();
  wait_until (calls_of (F_nanosleep) > 2);
  execute_crowd ();
  ck_assert_int_eq (executed_here (), 0);
}
END_TEST

static void
doze (eio_req *req)
{
  nap (1);
  req->result = 0;
}

/* The first, the second or the third, of a worker or of eio_flush. */
START_TEST (single_wake_ups_may_fail)
{
  static const int errors[] = { EINTR, EAGAIN, ENOMEM, EPERM };
  int flushes = _i / LENGTH (errors), nth;

  start ();
  wake_error = errors[_i % LENGTH (errors)];
  for (nth = 0; nth < 3; ++nth)
    for (good_wakes = nth; good_wakes >= 0;)
      {
        outcome o = { 0 };

        nap (2); /* for the worker to sleep */
        eio_custom (doze, 0, note, &o);
        if (flushes)
          ck_assert_int_eq (eio_flush (), 0);
        else
          host_drain ();
        assert_ok (o, 0);
      }
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

/* Every test has to leave a pool that can be brought to rest.  (And
 * ThreadSanitizer waits a second for threads that are left.) */
static void
tear_down (void)
{
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_int_eq (bad_closes, 0);
  ck_assert_int_eq (open_dirs, 0);
}

static void
add_failures (TCase *tc)
{
  tcase_add_test (tc, all_types_have_a_sample);
  tcase_add_loop_test (tc, error_of_the_call_is_the_requests, 0, SAMPLES);
  tcase_add_loop_test (tc, descriptor_0_is_as_good_as_any, 0, SAMPLES);
  tcase_add_loop_test (tc, interruption_is_not_noticed, 0, SAMPLES);
  tcase_add_loop_test (tc, interruptions_may_go_on, 0, SAMPLES);
  tcase_add_loop_test (tc, failure_anywhere_leaves_nothing_behind, 0, SAMPLES);
  tcase_add_loop_test (tc, close_is_never_repeated, 0, 4);
  tcase_add_loop_test (tc, wd_close_hides_what_close_says, 0, 2);
  tcase_add_test (tc, busy_sleeps_on_after_an_interruption);
  tcase_add_loop_test (tc, readdir_failing_in_mid_scan_frees_everything, 0, 3);
  tcase_add_test (tc, wd_open_sync_says_why_it_fails);
  tcase_add_test (tc, mlockall_sync_says_why_it_fails);
}

static void
add_short_transfers (TCase *tc)
{
  tcase_add_loop_test (tc, short_read_is_a_success, 0, 2);
  tcase_add_test (tc, short_read_zeroes_the_rest_of_our_buffer);
  tcase_add_loop_test (tc, short_write_is_a_success, 0, 2);
  tcase_add_loop_test (tc, slurp_continues_short_reads, 0, SLURPS);
  tcase_add_loop_test (tc, slurp_reads_on_when_the_size_was_wrong, 0, SLURPS);
  tcase_add_test (tc, slurp_never_asks_for_more_than_is_wanted);
#if SIZE_MAX > 0xffffffff
  tcase_add_test (tc, slurp_to_the_end_has_no_limit);
  tcase_add_test (tc, tail_without_a_length_has_no_limit);
  tcase_add_loop_test (tc, files_may_be_larger_than_an_int, 0, 2);
#endif
  tcase_add_loop_test (tc, slurp_that_fails_half_way_fails, 0, 5);
  tcase_add_test (tc, sendfile_continues_short_transfers);
  tcase_add_test (tc, sendfile_by_hand_continues_short_transfers);
  tcase_add_loop_test (tc, sendfile_that_fails_late_reports_what_went, 0,
                       LENGTH (late));
  tcase_add_loop_test (tc, sendfile_stops_at_the_end_of_the_file, 0, 2);
  tcase_add_loop_test (tc, copy_is_of_the_size_that_the_file_had, 0, 3);
  tcase_add_loop_test (tc, copy_that_fails_late_leaves_no_target, 0, 4);
}

static void
add_buffers (TCase *tc)
{
  tcase_add_loop_test (tc, links_longer_than_the_buffer_are_not_cut, 0, 4);
  tcase_add_test (tc, links_longer_than_the_buffer_are_not_moved);
  tcase_add_loop_test (tc, results_longer_than_the_buffer_are_not_cut, 0, 3);
  tcase_add_test (tc, readlink_zeroes_the_rest_of_our_buffer);
  tcase_add_test (tc, realpath_zeroes_the_rest_of_our_buffer);
  tcase_add_test (tc, slurp_zeroes_the_rest_of_our_buffer);
  tcase_add_test (tc, failed_stat_shows_nothing_of_our_memory);
  tcase_add_test (tc, pages_are_those_of_the_running_system);
  tcase_add_test (tc, room_beyond_all_memory_is_enomem);
  tcase_add_loop_test (tc, mincore_counts_pages_of_the_running_system, 0, 2);
}

static void
add_cancellation (TCase *tc)
{
  tcase_add_loop_test (tc, copying_loops_notice_that_they_are_cancelled, 0,
                       LENGTH (loops));
  tcase_add_loop_test (tc, sendfile_copies_in_parts, 0, 2);
  tcase_add_test (tc, request_that_is_always_interrupted_can_be_cancelled);
}

static void
add_missing (TCase *tc)
{
  tcase_add_test (tc, sendfile_is_emulated_where_it_cannot);
  tcase_add_test (tc, sendfile_is_not_emulated_where_it_failed);
  tcase_add_test (tc, sendfile_tells_the_callers_own_mistakes);
  tcase_add_test (tc, sendfile_sync_does_all_that_sendfile_does);
  tcase_add_test (tc, fdatasync_becomes_fsync);
  tcase_add_loop_test (tc, sync_file_range_becomes_fdatasync, 0, 3);
  tcase_add_test (tc, sync_is_called);
  tcase_add_loop_test (tc, syncfs_becomes_sync_and_says_so, 0, 2);
  tcase_add_loop_test (tc, missing_calls_are_not_made_again, 0,
                       LENGTH (lacks));
  tcase_add_test (tc, statvfs_and_truncate_find_another_way);
  tcase_add_test (tc, rename_needs_renameat2_for_flags_only);
  tcase_add_loop_test (tc, mtouch_touches_by_hand, 0, 6);
  tcase_add_loop_test (tc, mtouch_by_hand_writes_only_when_told_to, 0, 2);
  tcase_add_loop_test (
    tc, mtouch_by_hand_steps_by_pages_of_the_running_system, 0, 2);
  tcase_add_loop_test (tc, mtouch_by_hand_leaves_bus_errors_to_the_host, 0, 4);
  tcase_add_test (tc, poll_fd_becomes_a_pipe);
  tcase_add_loop_test (tc, poll_fd_survives_single_failures, 0, 6);
  tcase_add_loop_test (tc, poll_fd_that_became_the_hosts_is_left_alone, 0, 9);
  tcase_add_loop_test (tc, poll_fd_keeps_its_number_in_a_child, 0, 4);
  tcase_add_test (tc, poll_fd_may_change_its_number_in_a_child);
  tcase_add_test (tc, poll_fd_is_never_descriptor_0);
  tcase_add_test (tc, poll_fd_is_known_again);
  tcase_add_loop_test (tc, readahead_becomes_reading, 0, 2);
  tcase_add_loop_test (tc, readahead_by_hand_hides_failing_reads, 0, 3);
  tcase_add_test (tc, readahead_by_hand_complains_as_the_call_does);
}

static void
add_directories (TCase *tc)
{
  tcase_add_loop_test (tc, unknown_types_are_said_to_be_found, 0, 3);
  tcase_add_test (tc, unknown_types_come_in_order_of_likelihood);
  tcase_add_loop_test (tc, scandir_asks_for_types_that_are_unknown, 0, 2);
  tcase_add_test (
    tc, known_directories_come_before_unknown_types_and_files_last);
  tcase_add_loop_test (tc,
                       directories_with_too_many_bytes_of_names_are_eoverflow,
                       0, 3);
  tcase_add_test (tc, file_behind_a_link_that_vanishes_is_made_anew);
  tcase_add_test (tc, directory_that_is_closed_is_not_closed_again);
  tcase_add_loop_test (tc, dot_is_known_by_device_and_number, 0, 2);
  tcase_add_test (tc, wd_is_never_descriptor_0);
  tcase_add_test (tc, wd_that_gets_no_other_descriptor_than_0_fails);
  tcase_add_test (tc, open_may_return_descriptor_0);
  tcase_add_test (tc, unreachable_directories_have_no_path);
}

static void
add_threads (TCase *tc)
{
  tcase_add_loop_test (tc, without_any_thread_eio_poll_executes, 0,
                       LENGTH (no_thread));
  tcase_add_loop_test (tc, failed_starts_are_tried_again, 0,
                       LENGTH (no_thread));
  tcase_add_loop_test (tc, one_worker_does_all_when_there_is_no_second, 0,
                       LENGTH (no_thread));
  tcase_add_loop_test (tc, limit_of_0_holds_without_threads, 0, 2);
  tcase_add_loop_test (tc, refused_stack_size_is_raised_and_remembered, 0, 3);
  tcase_add_test (tc, stack_size_that_cannot_be_asked_for_is_left_alone);
  tcase_add_loop_test (tc, refused_name_affinity_and_scheduling_do_no_harm, 0,
                       3);
  tcase_add_test (tc, workers_wait_without_futexes);
  tcase_add_loop_test (tc, single_wake_ups_may_fail, 0, 8);
}

int
main (void)
{
  Suite *suite = suite_create ("sysfault");

  add_failures (add_case (suite, "failures", 60, 0, tear_down));
  add_short_transfers (add_case (suite, "short transfers", 60, 0, tear_down));
  add_buffers (add_case (suite, "buffers", 60, 0, tear_down));
  add_cancellation (add_case (suite, "cancellation", 60, 0, tear_down));
  add_missing (add_case (suite, "missing calls", 60, 0, tear_down));
  add_directories (add_case (suite, "directories", 60, 0, tear_down));
  add_threads (add_case (suite, "threads", 60, 0, tear_down));
  return run_suite (suite);
}
