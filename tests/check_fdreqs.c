/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Requests 50 to 74: descriptors, ranges and attributes.  eio.c is included
 * with their system calls replaced by ones that are missing, fail, move fewer
 * bytes, or do something else before, as each test says.  What depends on the
 * file system runs on that of the scratch directory, and on that of /dev/shm,
 * where there is one. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "counting.h"

#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "run.h"

/*****************************************************************************
 * Calls that misbehave                                                      *
 *****************************************************************************/

/* clang-format off */
#define CALLS(X) \
  X (none) X (read) X (write) X (pread) X (pwrite) X (readv) X (writev) \
  X (preadv) X (pwritev) X (preadv2) X (pwritev2) X (sendfile) X (clone) \
  X (fiemap) X (statx) X (copy_range) X (splice) X (tee) X (mincore) \
  X (fadvise) X (madvise) X (munlock) X (munlockall) X (fsync) X (fstatat) \
  X (fstat) X (getxattr) X (setxattr) X (removexattr) X (fcntl)
/* clang-format on */

enum
{
#define SLOT(name) F_##name,
  CALLS (SLOT)
#undef SLOT
  CALL_COUNT
};

#include "faults.h"

/* Bytes that a transfer moves at most, 0: all, -1: none; whether it only
 * pretends to. */
static atomic_long most;
static atomic_int pretends;

/* clang-format off */
#define MOVE(name, params, args) \
  static ssize_t fault_##name params \
  { \
    size = most < 0 ? 0 : most && (size_t)most < size ? (size_t)most : size; \
    return faulty (F_##name) ? -1 : pretends ? (ssize_t)size : name args; \
  }
MOVE (pread, (int fd, void *buf, size_t size, off_t offset),
      (fd, buf, size, offset))
MOVE (pwrite, (int fd, const void *buf, size_t size, off_t offset),
      (fd, buf, size, offset))
MOVE (read, (int fd, void *buf, size_t size), (fd, buf, size))
MOVE (write, (int fd, const void *buf, size_t size), (fd, buf, size))
MOVE (sendfile, (int ofd, int ifd, off_t *offset, size_t size),
      (ofd, ifd, offset, size))
#undef MOVE

#define PLAIN(type, slot, name, params, args) \
  ecb_unused static type fault_##name params \
  { \
    return faulty (F_##slot) ? -1 : name args; \
  }
PLAIN (ssize_t, readv, readv, (int fd, const struct iovec *v, int n),
       (fd, v, n))
PLAIN (ssize_t, writev, writev, (int fd, const struct iovec *v, int n),
       (fd, v, n))
PLAIN (ssize_t, preadv, preadv, (int fd, const struct iovec *v, int n,
                                 off_t o), (fd, v, n, o))
PLAIN (ssize_t, pwritev, pwritev, (int fd, const struct iovec *v, int n,
                                   off_t o), (fd, v, n, o))
#ifdef RWF_NOWAIT /* where they are used */
PLAIN (ssize_t, preadv2, preadv2, (int fd, const struct iovec *v, int n,
                                   off_t o, int f), (fd, v, n, o, f))
PLAIN (ssize_t, pwritev2, pwritev2, (int fd, const struct iovec *v, int n,
                                     off_t o, int f), (fd, v, n, o, f))
#endif
PLAIN (int, madvise, madvise, (void *addr, size_t size, int how),
       (addr, size, how))
PLAIN (int, munlock, munlock, (const void *addr, size_t size), (addr, size))
PLAIN (int, munlockall, munlockall, (void), ())
PLAIN (int, fstatat, fstatat, (int at, const char *p, struct stat *st, int f),
       (at, p, st, f))
PLAIN (int, fstat, fstat, (int fd, struct stat *st), (fd, st))
PLAIN (ssize_t, getxattr, getxattr,
       (const char *p, const char *k, void *v, size_t n), (p, k, v, n))
PLAIN (ssize_t, getxattr, lgetxattr,
       (const char *p, const char *k, void *v, size_t n), (p, k, v, n))
PLAIN (ssize_t, getxattr, fgetxattr,
       (int fd, const char *k, void *v, size_t n), (fd, k, v, n))
PLAIN (ssize_t, getxattr, listxattr, (const char *p, char *v, size_t n),
       (p, v, n))
PLAIN (ssize_t, getxattr, llistxattr, (const char *p, char *v, size_t n),
       (p, v, n))
PLAIN (ssize_t, getxattr, flistxattr, (int fd, char *v, size_t n),
       (fd, v, n))
PLAIN (int, setxattr, setxattr,
       (const char *p, const char *k, const void *v, size_t n, int f),
       (p, k, v, n, f))
PLAIN (int, setxattr, lsetxattr,
       (const char *p, const char *k, const void *v, size_t n, int f),
       (p, k, v, n, f))
PLAIN (int, setxattr, fsetxattr,
       (int fd, const char *k, const void *v, size_t n, int f),
       (fd, k, v, n, f))
PLAIN (int, removexattr, removexattr, (const char *p, const char *k), (p, k))
PLAIN (int, removexattr, lremovexattr, (const char *p, const char *k), (p, k))
PLAIN (int, removexattr, fremovexattr, (int fd, const char *k), (fd, k))
#undef PLAIN
/* clang-format on */

/* How long a disk takes is beside the point here. */
static int
fault_fsync (int fd)
{
  return faulty (F_fsync) ? -1 : fcntl (fd, F_GETFD) < 0 ? -1 : 0;
}

/* It returns the error. */
static int
fault_fadvise (int fd, off_t offset, off_t length, int advice)
{
  int error = error_of (F_fadvise);

  return error ? error : posix_fadvise (fd, offset, length, advice);
}

/* In place of the kernel, if not null. */
static int (*_Atomic fake_fiemap) (void *map);
static atomic_int fake_clone;

static int
fault_ioctl (int fd, unsigned long command, long arg)
{
  int which = (command & 0xffff) == 0x660b   ? F_fiemap
              : (command & 0xffff) == 0x9409 ? F_clone
                                             : F_none;

  if (faulty (which))
    return -1;
  if (which == F_fiemap && fake_fiemap)
    return fake_fiemap ((void *)arg);
  if (which == F_clone && fake_clone)
    return 0;
  return ioctl (fd, command, arg);
}

static int
call_by_number (long number)
{
  switch (number)
    {
    case SYS_statx: return F_statx;
    case SYS_copy_file_range: return F_copy_range;
    case SYS_splice: return F_splice;
    case SYS_tee: return F_tee;
    case SYS_mincore: return F_mincore;
    default: return F_none;
    }
}

/* What statx fills, but says is not valid. */
static atomic_uint statx_denies;

/* What the next call by number returns, if it is not -2. */
static atomic_int fake_copies = -2;

static long
fault_syscall (long number, long a, long b, long c, long d, long e, long f)
{
  int which = call_by_number (number);

  if (faulty (which))
    return -1;
  if (which == F_copy_range && fake_copies != -2)
    return fake_copies;
  if (which == F_copy_range && most && e > most)
    e = most;
  if (which == F_statx && statx_denies)
    {
      long res = syscall (number, a, b, c, d, e, f);

      if (!res)
        *(uint32_t *)e &= ~statx_denies; /* the mask is the first member */
      return res;
    }
  return syscall (number, a, b, c, d, e, f);
}

static int
fault_fcntl (int fd, int command, long arg)
{
  return faulty (F_fcntl) ? -1 : fcntl (fd, command, arg);
}

/* Memory is always to be had. */
static int
out_of_memory (void)
{
  return 0;
}

/* clang-format off */
#define malloc(n)                  fault_malloc (n)
#define calloc(n, m)               fault_calloc (n, m)
#define realloc(p, n)              fault_realloc (p, n)
#define free                       fault_free
#define read(fd, b, n)             fault_read (fd, b, n)
#define write(fd, b, n)            fault_write (fd, b, n)
#define pread(fd, b, n, o)         fault_pread (fd, b, n, o)
#define pwrite(fd, b, n, o)        fault_pwrite (fd, b, n, o)
#define sendfile(o, i, p, n)       fault_sendfile (o, i, p, n)
#define readv(fd, v, n)            fault_readv (fd, v, n)
#define writev(fd, v, n)           fault_writev (fd, v, n)
#define preadv(fd, v, n, o)        fault_preadv (fd, v, n, o)
#define pwritev(fd, v, n, o)       fault_pwritev (fd, v, n, o)
#define preadv2(fd, v, n, o, f)    fault_preadv2 (fd, v, n, o, f)
#define pwritev2(fd, v, n, o, f)   fault_pwritev2 (fd, v, n, o, f)
#define madvise(a, n, how)         fault_madvise (a, n, how)
#define munlock(a, n)              fault_munlock (a, n)
#define munlockall()               fault_munlockall ()
#define fstatat(at, p, st, f)      fault_fstatat (at, p, st, f)
#define fstat(fd, st)              fault_fstat (fd, st)
#define fsync(fd)                  fault_fsync (fd)
#define posix_fadvise(fd, o, n, a) fault_fadvise (fd, o, n, a)
#define ioctl(fd, cmd, arg)        fault_ioctl (fd, cmd, (long)(arg))
#define FCNTL(fd, cmd, arg, ...)   fault_fcntl (fd, cmd, (long)(arg))
#define fcntl(...)                 FCNTL (__VA_ARGS__, 0, 0)
#define getxattr(p, k, v, n)       fault_getxattr (p, k, v, n)
#define lgetxattr(p, k, v, n)      fault_lgetxattr (p, k, v, n)
#define fgetxattr(p, k, v, n)      fault_fgetxattr (p, k, v, n)
#define listxattr(p, v, n)         fault_listxattr (p, v, n)
#define llistxattr(p, v, n)        fault_llistxattr (p, v, n)
#define flistxattr(p, v, n)        fault_flistxattr (p, v, n)
#define setxattr(p, k, v, n, f)    fault_setxattr (p, k, v, n, f)
#define lsetxattr(p, k, v, n, f)   fault_lsetxattr (p, k, v, n, f)
#define fsetxattr(p, k, v, n, f)   fault_fsetxattr (p, k, v, n, f)
#define removexattr(p, k)          fault_removexattr (p, k)
#define lremovexattr(p, k)         fault_lremovexattr (p, k)
#define fremovexattr(p, k)         fault_fremovexattr (p, k)
#define SYSCALL(nr, a, b, c, d, e, f, ...) \
  fault_syscall (nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
                 (long)(f))
#define syscall(...)               SYSCALL (__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
/* clang-format on */

#include "eio.c"

#undef malloc
#undef calloc
#undef realloc
#undef free
#undef read
#undef write
#undef pread
#undef pwrite
#undef sendfile
#undef readv
#undef writev
#undef preadv
#undef pwritev
#undef preadv2
#undef pwritev2
#undef madvise
#undef munlock
#undef munlockall
#undef fstatat
#undef fstat
#undef fsync
#undef posix_fadvise
#undef ioctl
#undef FCNTL
#undef fcntl
#undef getxattr
#undef lgetxattr
#undef fgetxattr
#undef listxattr
#undef llistxattr
#undef flistxattr
#undef setxattr
#undef lsetxattr
#undef fsetxattr
#undef removexattr
#undef lremovexattr
#undef fremovexattr
#undef SYSCALL
#undef syscall

/*****************************************************************************
 * Places, files, contents                                                   *
 *****************************************************************************/

static char shm[32]; /* a directory in /dev/shm */

static void
empty_shm (void)
{
  char path[600];
  DIR *dir = *shm ? opendir (shm) : 0;
  struct dirent *de;

  while (dir && (de = readdir (dir)))
    {
      snprintf (path, sizeof path, "%s/%s", shm, de->d_name);
      if (unlink (path))
        rmdir (path);
    }
  if (dir)
    closedir (dir);
  if (*shm)
    rmdir (shm);
  *shm = 0;
}

/* Starts the library, in the scratch directory or one in memory.  Returns 0 if
 * there is none. */
static int
start_in (int place)
{
  struct stat st;

  host_start ();
  eio_set_max_parallel (1);
  umask (022);
  ck_assert_int_eq (chdir (scratch ()), 0);
  if (!place)
    return 1;
  if (stat ("/dev/shm", &st) || !S_ISDIR (st.st_mode))
    return 0;
  strcpy (shm, "/dev/shm/eio-XXXXXX");
  if (!mkdtemp (shm))
    {
      *shm = 0;
      return 0;
    }
  return !chdir (shm);
}

static void
start (void)
{
  start_in (0);
}

static void
tear_down (void)
{
  before_call = (void (*) (int, int))0;
  ck_assert_int_eq (chdir ("/"), 0);
  empty_shm ();
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nthreads (), 0);
}

enum { BYTES = 300000 };
static char content[BYTES], buffer[BYTES];

/* A new file with the first bytes of content, open. */
static int
make_file (const char *name, size_t size)
{
  size_t i;
  int fd;

  for (i = 0; i < BYTES; ++i)
    content[i] = "abcdefghijklmnopqrstuvwxyz"[i % 26];
  unlink (name);
  write_file (name, content, size);
  fd = open (name, O_RDWR);
  ck_assert_int_ge (fd, 0);
  return fd;
}

static void
make_pipe (int ends[2])
{
  ck_assert_int_eq (pipe (ends), 0);
}

static void
close_both (const int ends[2])
{
  close (ends[0]);
  close (ends[1]);
}

/* The file has these bytes there. */
static void
check_bytes (int fd, off_t offset, const void *bytes, size_t size)
{
  memset (buffer, '?', size);
  ck_assert_int_eq (pread (fd, buffer, size, offset), (ssize_t)size);
  ck_assert_int_eq (memcmp (buffer, bytes, size), 0);
}

static off_t
size_of (int fd)
{
  struct stat st;

  ck_assert_int_eq (fstat (fd, &st), 0);
  return st.st_size;
}

static off_t
position (int fd)
{
  return lseek (fd, 0, SEEK_CUR);
}

/* Runs a request, and cancels it before the nth call of that kind; what it did
 * nevertheless is in got. */
static eio_ssize_t
run_cancelled (int which, int n, eio_req *req)
{
  eio_ssize_t res;

  eio_set_finish_cancelled (1);
  aim (req, which, n);
  eio_set_parallel (1);
  res = run (req);
  victim.req = (eio_req *)0;
  eio_set_finish_cancelled (0);
  return res;
}

enum { PLACES = 2 };

/*****************************************************************************
 * Vectors                                                                   *
 *****************************************************************************/

START_TEST (vectors_are_moved_in_order)
{
  char a[3], b[5], c[1000];
  struct iovec in[] = { { a, 3 }, { b, 5 }, { 0, 0 }, { c, 1000 } };
  struct iovec out[] = { { (char *)"one", 3 }, { (char *)"three", 5 } };
  int fd;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 100);
  gives (100 - 7, eio_readv (fd, in, 4, 7, 0, KEEP));
  ck_assert_int_eq (memcmp (a, content + 7, 3), 0);
  ck_assert_int_eq (memcmp (b, content + 10, 5), 0);
  ck_assert_int_eq (memcmp (c, content + 15, 85), 0);
  ck_assert_int_eq (position (fd), 0);
  gives (0, eio_readv (fd, in, 4, 100, 0, KEEP));

  gives (8, eio_readv (fd, in, 2, -1, 0, KEEP));
  ck_assert_int_eq (position (fd), 8);
  gives (8, eio_writev (fd, out, 2, -1, 0, KEEP));
  ck_assert_int_eq (position (fd), 16);
  check_bytes (fd, 8, "onethree", 8);
  gives (8, eio_writev (fd, out, 2, 0x123456789, 0, KEEP));
  check_bytes (fd, 0x123456789, "onethree", 8);
  ck_assert_int_eq (position (fd), 16);
  gives (0, eio_readv (fd, 0, 0, 0, 0, KEEP));
  gives (0, eio_writev (fd, 0, 0, -1, 0, KEEP));
  close (fd);
}
END_TEST

START_TEST (the_array_is_copied_and_the_buffers_are_not)
{
  char a[3] = "", b[3] = "";
  struct iovec v[] = { { a, 3 }, { b, 3 } };
  eio_req *req;
  int fd;

  start ();
  fd = make_file ("file", 100);
  eio_set_max_parallel (0);
  req = eio_readv (fd, v, 2, 0, 0, KEEP);
  ck_assert_ptr_nonnull (req);
  ck_assert_ptr_ne (req->ptr2, v);
  ck_assert_uint_eq (req->size, 2);
  memset (v, 0, sizeof v);
  eio_set_min_parallel (1);
  gives (6, req);
  ck_assert_int_eq (memcmp (a, "abc", 3), 0);
  ck_assert_int_eq (memcmp (b, "def", 3), 0);
  close (fd);
}
END_TEST

START_TEST (vectors_that_are_none_fail)
{
  static struct iovec many[IOV_MAX + 1];
  struct iovec v = { buffer, 10 };
  int fd, ends[2];

  start ();
  fd = make_file ("file", 100);
  make_pipe (ends);
  fails (EBADF, eio_readv (-1, &v, 1, 0, 0, KEEP));
  fails (EBADF, eio_writev (-1, &v, 1, -1, 0, KEEP));
  fails (EINVAL, eio_readv (fd, &v, -1, 0, 0, KEEP));
  fails (EINVAL, eio_writev (fd, &v, INT_MIN, 0, 0, KEEP));
  fails (EINVAL, eio_readv (fd, many, IOV_MAX + 1, 0, 0, KEEP));
  gives (0, eio_readv (fd, many, IOV_MAX, 0, 0, KEEP));
  fails (EFAULT, eio_readv (fd, 0, 1, 0, 0, KEEP));
  fails (EFAULT, eio_writev (fd, 0, 1, 0, 0, KEEP));
  fails (EFAULT, submit ((eio_req) { .type = EIO_READV, .int1 = fd,
                                     .size = 2 }));
  fails (EINVAL, submit ((eio_req) { .type = EIO_WRITEV, .int1 = fd,
                                     .size = ~(SIZE_MAX / 2),
                                     .ptr2 = &v }));
  fails (ESPIPE, eio_readv (ends[0], &v, 1, 0, 0, KEEP));
  gives (10, submit ((eio_req) { .type = EIO_READV, .int1 = fd, .size = 1,
                                 .ptr2 = &v }));
  close_both (ends);
  close (fd);
}
END_TEST

#if HAVE_PREADV2 && defined RWF_HIPRI
START_TEST (rwf_flags_are_obeyed_or_refused)
{
  struct iovec v = { (char *)"0123456789", 10 };
  char buf[10];
  struct iovec to = { buf, 10 };
  int fd;

  if (!start_in (_i))
    return;
  if (preadv2 (-1, 0, 0, 0, RWF_HIPRI) < 0 && errno != EBADF)
    return; /* as in QEMU's user mode */
  fd = make_file ("file", 100);
  gives (10, eio_writev (fd, &v, 1, 50, RWF_DSYNC, KEEP));
  check_bytes (fd, 50, "0123456789", 10);
  gives (10, eio_writev (fd, &v, 1, -1, RWF_DSYNC, KEEP));
  ck_assert_int_eq (position (fd), 10);
#ifdef RWF_APPEND
  gives (10, eio_writev (fd, &v, 1, 0, RWF_APPEND, KEEP));
  check_bytes (fd, 100, "0123456789", 10);
  check_bytes (fd, 10, content + 10, 10);
#endif
  gives (10, eio_readv (fd, &to, 1, 50, RWF_HIPRI, KEEP));
  fails (EOPNOTSUPP, eio_readv (fd, &to, 1, 0, 1 << 30, KEEP));
  fails (EOPNOTSUPP, eio_writev (fd, &v, 1, 0, 1 << 30, KEEP));
  close (fd);
}
END_TEST
#endif

static const int missing[] = { ENOSYS, EPERM };

#if HAVE_PREADV2 && defined RWF_HIPRI
START_TEST (rwf_flags_where_there_are_none_are_enosys)
{
  struct iovec v = { buffer, 10 };
  int fd, n;

  start ();
  fd = make_file ("file", 100);
  arm (F_preadv2, missing[_i], 0, FOR_EVER);
  arm (F_pwritev2, missing[_i], 0, FOR_EVER);
  arm (F_preadv, 0, 0, 0);
  fails (ENOSYS, eio_readv (fd, &v, 1, 0, RWF_HIPRI, KEEP));
  fails (ENOSYS, eio_writev (fd, &v, 1, 0, RWF_DSYNC, KEEP));
  n = calls_of (F_preadv2);
  fails (ENOSYS, eio_readv (fd, &v, 1, 0, RWF_HIPRI, KEEP));
  fails (ENOSYS, eio_writev (fd, &v, 1, 0, RWF_DSYNC, KEEP));
  ck_assert_int_eq (calls_of (F_preadv2), n);
  ck_assert_int_eq (calls_of (F_preadv), 0);
  gives (10, eio_readv (fd, &v, 1, 0, 0, KEEP));
  gives (10, eio_writev (fd, &v, 1, 0, 0, KEEP));
  close (fd);
}
END_TEST
#endif

START_TEST (vectors_are_moved_one_by_one_where_the_call_is_missing)
{
  char a[3], b[5];
  struct iovec v[] = { { a, 3 }, { 0, 0 }, { b, 5 } };
  struct iovec out[] = { { (char *)"one", 3 }, { (char *)"three", 5 } };
  struct iovec huge[] = { { a, 3 }, { b, SSIZE_MAX } };
  int fd;

  start ();
  fd = make_file ("file", 14);
  ck_assert_int_eq (eio_sys_move_each (fd, v, 3, 5, 0), 8);
  ck_assert_int_eq (memcmp (a, content + 5, 3), 0);
  ck_assert_int_eq (memcmp (b, content + 8, 5), 0);
  ck_assert_int_eq (eio_sys_move_each (fd, v, 3, 10, 0), 4);
  ck_assert_int_eq (eio_sys_move_each (fd, v, 3, 14, 0), 0);
  ck_assert_int_eq (eio_sys_move_each (fd, v, 0, 0, 0), 0);
  ck_assert_int_eq (eio_sys_move_each (fd, out, 2, 20, 1), 8);
  check_bytes (fd, 20, "onethree", 8);
  ck_assert_int_eq (eio_sys_move_each (fd, huge, 2, 0, 0), -1);
  ck_assert_int_eq (errno, EINVAL);
  ck_assert_int_eq (eio_sys_move_each (-1, v, 3, 0, 0), -1);
  ck_assert_int_eq (errno, EBADF);
  ck_assert_int_eq (eio_sys_move_each (-1, v, 0, 0, 1), -1);
  ck_assert_int_eq (errno, EBADF);
  arm (F_pread, EIO, 1, 1);
  ck_assert_int_eq (eio_sys_move_each (fd, v, 1, 0, 0), 3);
  arm (F_pread, EIO, 1, 1);
  v[1] = v[2];
  ck_assert_int_eq (eio_sys_move_each (fd, v, 2, 0, 0), 3);
  close (fd);
}
END_TEST

/*****************************************************************************
 * All of it                                                                 *
 *****************************************************************************/

/* What a transfer gave, and what stopped it. */
#define partly(bytes, error, ...) \
  expect (__LINE__, #__VA_ARGS__, run (__VA_ARGS__), bytes, error)

START_TEST (all_is_moved_however_short_the_steps)
{
  int fd;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 0);
  most = 4099;
  partly (BYTES, 0, eio_write_all (fd, content, BYTES, 5, KEEP));
  check_bytes (fd, 5, content, BYTES);
  memset (buffer, 0, BYTES);
  partly (BYTES, 0, eio_read_all (fd, buffer, BYTES, 5, KEEP));
  ck_assert_int_eq (memcmp (buffer, content, BYTES), 0);
  partly (BYTES - 5, 0, eio_read_all (fd, buffer, BYTES, 10, KEEP));
  partly (0, 0, eio_read_all (fd, buffer, BYTES, BYTES + 5, KEEP));
  ck_assert_int_eq (position (fd), 0);

  partly (BYTES, 0, eio_write_all (fd, content, BYTES, -1, KEEP));
  ck_assert_int_eq (position (fd), BYTES);
  lseek (fd, 3, SEEK_SET);
  partly (BYTES, 0, eio_read_all (fd, 0, BYTES, -1, KEEP));
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, EIO_FLAG_PTR2_FREE);
  ck_assert_int_eq (memcmp (got.ptr2, content + 3, BYTES - 3), 0);
  partly (2, 0, eio_read_all (fd, 0, 100, BYTES + 3, KEEP));
  ck_assert_int_eq (((char *)got.ptr2)[2], 0); /* the rest is zeroed */
  ck_assert_int_eq (((char *)got.ptr2)[99], 0);
  close (fd);
}
END_TEST

START_TEST (nothing_of_all_is_nothing)
{
  int fd;

  start ();
  fd = make_file ("file", 10);
  partly (0, 0, eio_read_all (fd, 0, 0, 0, KEEP));
  ck_assert_ptr_nonnull (got.ptr2);
  partly (0, 0, eio_write_all (fd, 0, 0, 0, KEEP));
  fails (EBADF, eio_read_all (-1, 0, 0, 0, KEEP));
  fails (EBADF, eio_write_all (-1, buffer, 0, -1, KEEP));
  fails (EINVAL, eio_read_all (fd, buffer, (size_t)-1, 0, KEEP));
  fails (EINVAL, eio_read_all (fd, 0, (size_t)-1, 0, KEEP));
  fails (EINVAL, eio_write_all (fd, buffer, (size_t)-1, 0, KEEP));
  fails (EFAULT, eio_write_all (fd, 0, 10, 0, KEEP));
  close (fd);
}
END_TEST

/* The bytes need not be there: the calls only say that they moved them. */
START_TEST (more_than_2_gib_is_moved)
{
  size_t size = ((size_t)5 << 30) + 3;

  start ();
  if (sizeof size < 8)
    return;
  pretends = 1;
  partly ((eio_ssize_t)size, 0, eio_write_all (7, buffer, size, 0, KEEP));
  partly ((eio_ssize_t)size, 0, eio_read_all (7, buffer, size, -1, KEEP));
  arm (F_pread, EIO, 300, 1);
  partly ((eio_ssize_t)300 << 23, EIO,
          eio_read_all (7, buffer, size, 0, KEEP));
}
END_TEST

START_TEST (what_stops_it_is_told)
{
  int fd, full;

  start ();
  fd = make_file ("file", BYTES);
  full = open ("/dev/full", O_WRONLY);
  most = 1000;
  arm (F_pread, EIO, 7, FOR_EVER);
  partly (7000, EIO, eio_read_all (fd, buffer, BYTES, 0, KEEP));
  arm (F_pwrite, ENOSPC, 3, FOR_EVER);
  partly (3000, ENOSPC, eio_write_all (fd, content, BYTES, 0, KEEP));
  arm (F_pread, EIO, 0, 1);
  fails (EIO, eio_read_all (fd, buffer, BYTES, 0, KEEP));
  arm (F_pread, EINTR, 2, 5);
  partly (BYTES, 0, eio_read_all (fd, buffer, BYTES, 0, KEEP));
  arm (F_pread, EINTR, 0, 5);
  partly (10, 0, eio_read_all (fd, buffer, 10, 0, KEEP));
  if (full >= 0)
    fails (ENOSPC, eio_write_all (full, content, 10, 0, KEEP));
  arm (F_pwrite, 0, 0, 0);
  most = -1; /* without a reason */
  fails (ENOSPC, eio_write_all (fd, content, 10, 0, KEEP));
  fails (EFAULT, eio_write_all (fd, 0, 10, -1, KEEP));
  most = 1000;
  arm (F_pread, EIO, 1, 1);
  partly (1000, EIO, eio_read_all (fd, 0, BYTES, 0, KEEP));
  ck_assert_int_eq (memcmp (got.ptr2, content, 1000), 0);
  close (full);
  close (fd);
}
END_TEST

START_TEST (pipes_are_read_to_their_end_and_written_as_far_as_they_take)
{
  int ends[2];

  start ();
  make_file ("file", 0);
  make_pipe (ends);
  ck_assert_int_eq (write (ends[1], content, 5000), 5000);
  close (ends[1]);
  partly (5000, 0, eio_read_all (ends[0], buffer, BYTES, -1, KEEP));
  ck_assert_int_eq (memcmp (buffer, content, 5000), 0);
  close (ends[0]);

  make_pipe (ends);
  fcntl (ends[1], F_SETFL, O_NONBLOCK);
  run (eio_write_all (ends[1], content, BYTES, -1, KEEP));
  ck_assert_int_gt (got.result, 4000);
  ck_assert_int_lt (got.result, BYTES);
  ck_assert_int_eq (got.errorno, EAGAIN);
  fails (EAGAIN, eio_write_all (ends[1], content, BYTES, -1, KEEP));
  fails (ESPIPE, eio_read_all (ends[0], buffer, 1, 0, KEEP));
  close (ends[0]);
  fails (EPIPE, eio_write_all (ends[1], content, 1, -1, KEEP));
  close (ends[1]);
}
END_TEST

START_TEST (all_can_be_cancelled_between_steps)
{
  eio_req *req;
  int fd;

  start ();
  fd = make_file ("file", BYTES);
  most = 1000;
  eio_set_max_parallel (0);
  req = eio_read_all (fd, buffer, BYTES, 0, KEEP);
  ck_assert_int_eq (run_cancelled (F_pread, 5, req), 6000);
  ck_assert_int_eq (got.errorno, ECANCELED);
  eio_set_max_parallel (0);
  req = eio_write_all (fd, content, BYTES, -1, KEEP);
  ck_assert_int_eq (run_cancelled (F_write, 2, req), 3000);
  ck_assert_int_eq (got.errorno, ECANCELED);
  ck_assert_int_eq (position (fd), 3000);

  /* interrupted for ever, but for this */
  arm (F_pread, EINTR, 0, FOR_EVER);
  eio_set_max_parallel (0);
  req = eio_read_all (fd, 0, BYTES, 0, KEEP);
  ck_assert_int_eq (run_cancelled (F_pread, 9, req), -1);
  ck_assert_int_eq (got.errorno, ECANCELED);
  close (fd);
}
END_TEST

/*****************************************************************************
 * statx                                                                     *
 *****************************************************************************/

static struct eio_statx stx;

static int
keep_statx (eio_req *req)
{
  memset (&stx, 0, sizeof stx);
  if (!req->result)
    stx = *EIO_STATX_BUF (req);
  keep (req);
  got.finish = keep;
  return 0;
}

#define KEEP_STATX EIO_PRI_DEFAULT, keep_statx, 0

static void
check_time (struct timespec is, struct timespec want)
{
  ck_assert_int_eq (is.tv_sec, want.tv_sec);
  ck_assert_int_eq (is.tv_nsec, want.tv_nsec);
}

static void
check_statx (const struct stat *st)
{
  ck_assert_uint_eq (stx.mask & EIO_STATX_BASIC_STATS,
                     EIO_STATX_BASIC_STATS);
  ck_assert_uint_eq (stx.type, (st->st_mode & S_IFMT) >> 12);
  ck_assert_uint_eq (stx.mode, st->st_mode);
  ck_assert_uint_eq (stx.nlink, st->st_nlink);
  ck_assert_uint_eq (stx.uid, st->st_uid);
  ck_assert_uint_eq (stx.gid, st->st_gid);
  ck_assert_uint_eq (stx.ino, st->st_ino);
  ck_assert_uint_eq (stx.size, (uint64_t)st->st_size);
  ck_assert_uint_eq (stx.blocks, (uint64_t)st->st_blocks);
  ck_assert_uint_eq (stx.blksize, (uint64_t)st->st_blksize);
  ck_assert_uint_eq (stx.dev, st->st_dev);
  ck_assert_uint_eq (stx.rdev, st->st_rdev);
  check_time (stx.atime, st->st_atim);
  check_time (stx.mtime, st->st_mtim);
  check_time (stx.ctime, st->st_ctim);
}

/* All that statx does, and stat can do. */
static void
check_all_statx (void)
{
  struct stat st;
  int fd = make_file ("file", 12345), ends[2];
  eio_wd wd = eio_wd_open_sync (EIO_CWD, ".");

  unlink ("link");
  ck_assert_int_eq (symlink ("file", "link"), 0);
  gives (0, eio_statx ("file", 0, EIO_STATX_ALL, KEEP_STATX));
  ck_assert_int_eq (stat ("file", &st), 0);
  check_statx (&st);
  ck_assert_uint_eq (stx.type, EIO_DT_REG);
  gives (0, eio_statx ("link", 0, EIO_STATX_ALL, KEEP_STATX));
  check_statx (&st);
  gives (0, eio_fstatx (fd, EIO_STATX_ALL, KEEP_STATX));
  check_statx (&st);
  gives (0, eio_statx_at (wd, "link", 0, EIO_STATX_ALL, KEEP_STATX));
  check_statx (&st);

  ck_assert_int_eq (lstat ("link", &st), 0);
  gives (0, eio_statx ("link", AT_SYMLINK_NOFOLLOW, EIO_STATX_ALL,
                       KEEP_STATX));
  check_statx (&st);
  ck_assert_uint_eq (stx.type, EIO_DT_LNK);
  ck_assert_int_eq (stat ("/dev/null", &st), 0);
  gives (0, eio_statx ("/dev/null", AT_STATX_DONT_SYNC, EIO_STATX_ALL,
                       KEEP_STATX));
  check_statx (&st);
  ck_assert_int_eq (fstat (*(int *)wd, &st), 0);
  gives (0, eio_statx_at (wd, "", AT_EMPTY_PATH, EIO_STATX_ALL, KEEP_STATX));
  check_statx (&st);
  make_pipe (ends);
  ck_assert_int_eq (fstat (ends[0], &st), 0);
  gives (0, eio_fstatx (ends[0], EIO_STATX_ALL, KEEP_STATX));
  ck_assert_uint_eq (stx.ino, st.st_ino);
  ck_assert_uint_eq (stx.type, EIO_DT_FIFO);

  fails (ENOENT, eio_statx ("none", 0, EIO_STATX_ALL, KEEP));
  fails (ENOENT, eio_statx ("", 0, EIO_STATX_ALL, KEEP));
  fails (ENOTDIR, eio_statx ("file/none", 0, EIO_STATX_ALL, KEEP));
  fails (EINVAL, eio_statx (0, 0, EIO_STATX_ALL, KEEP));
  fails (EINVAL, eio_statx ("file", 1 << 30, EIO_STATX_ALL, KEEP));
  fails (EINVAL, eio_statx ("file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC,
                            EIO_STATX_ALL, KEEP));
  fails (EINVAL, eio_statx ("file", 0, 0x80000000u, KEEP));
  fails (EINVAL, eio_fstatx (fd, 0x80000000u, KEEP));
  fails (EBADF, eio_fstatx (-1, EIO_STATX_ALL, KEEP));
  fails (EBADF, eio_fstatx (AT_FDCWD, EIO_STATX_ALL, KEEP));
  fails (EBADF, eio_fstatx (999, EIO_STATX_ALL, KEEP));
  fails (ENOENT, eio_statx_at (EIO_INVALID_WD, "file", 0, EIO_STATX_ALL,
                               KEEP));
  fails (ENOENT, submit ((eio_req) { .type = EIO_STATX, .ptr1 = "none" }));
  close_both (ends);
  close (fd);
  eio_wd_close_sync (wd);
}

START_TEST (statx_says_what_stat_says)
{
  if (start_in (_i))
    check_all_statx ();
}
END_TEST

START_TEST (statx_shows_only_what_is_valid)
{
  static const struct timespec never;

  start ();
  close (make_file ("file", 10));
  statx_denies = EIO_STATX_ATIME | EIO_STATX_SIZE | EIO_STATX_MODE;
  gives (0, eio_statx ("file", 0, EIO_STATX_ALL, KEEP_STATX));
  ck_assert_uint_eq (stx.mask & statx_denies, 0);
  ck_assert_int_eq (memcmp (&stx.atime, &never, sizeof never), 0);
  ck_assert_int_ne (memcmp (&stx.mtime, &never, sizeof never), 0);
  ck_assert_uint_eq (stx.size, 0);
  ck_assert_uint_eq (stx.mode, S_IFREG);
}
END_TEST

START_TEST (statx_is_made_of_stat_where_it_is_missing)
{
  const int error = _i < 2 ? missing[_i] : EINVAL;
  int n;

  if (!start_in (1))
    start ();
  arm (F_statx, error, 0, FOR_EVER);
  arm (F_fstatat, 0, 0, 0);
  check_all_statx ();
  ck_assert_int_gt (calls_of (F_fstatat), 0);
  n = calls_of (F_statx);
  gives (0, eio_statx ("file", 0, EIO_STATX_ALL, KEEP_STATX));
  ck_assert_uint_eq (stx.mask, EIO_STATX_BASIC_STATS);
  ck_assert_uint_eq (stx.mnt_id, 0);
  ck_assert_int_eq (stx.btime.tv_sec, 0);
  ck_assert_uint_eq (stx.attributes_mask, 0);
  ck_assert_int_eq (calls_of (F_statx), n); /* it is remembered */
}
END_TEST

/* Refused for this file, not in general. */
START_TEST (statx_that_fails_is_not_missing)
{
  start ();
  close (make_file ("file", 10));
  arm (F_statx, EACCES, 0, 1);
  fails (EACCES, eio_statx ("file", 0, EIO_STATX_ALL, KEEP));
  arm (F_statx, EPERM, 0, 1);
  fails (EPERM, eio_statx ("file", 0, EIO_STATX_ALL, KEEP));
  arm (F_statx, EINVAL, 0, 1);
  fails (EINVAL, eio_statx ("file", 0, EIO_STATX_ALL, KEEP));
  arm (F_statx, EINTR, 0, 2);
  gives (0, eio_statx ("file", 0, EIO_STATX_BTIME, KEEP_STATX));
  ck_assert_int_eq (calls_of (F_statx), 3);
}
END_TEST

#ifdef STATX_BASIC_STATS
START_TEST (statx_says_more_than_stat)
{
  struct statx want;
  int fd;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 10);
  if (statx (fd, "", AT_EMPTY_PATH, 0x1fff, &want))
    return;
  gives (0, eio_fstatx (fd, EIO_STATX_ALL, KEEP_STATX));
  ck_assert_uint_eq (stx.mask, want.stx_mask & EIO_STATX_ALL);
  ck_assert_uint_eq (stx.attributes, want.stx_attributes);
  ck_assert_uint_eq (stx.attributes_mask, want.stx_attributes_mask);
  ck_assert_int_eq (stx.btime.tv_sec, want.stx_btime.tv_sec);
  ck_assert_int_eq (stx.btime.tv_nsec, (long)want.stx_btime.tv_nsec);
#ifdef STATX_MNT_ID
  if (want.stx_mask & STATX_MNT_ID)
    ck_assert_uint_eq (stx.mnt_id, want.stx_mnt_id);
#endif
  close (fd);
}
END_TEST
#endif

START_TEST (statx_takes_a_buffer_or_allocates_one)
{
  static struct eio_statx mine;
  int fd;

  start ();
  fd = make_file ("file", 10);
  gives (0, submit ((eio_req) { .type = EIO_FSTATX, .int1 = fd,
                                .int2 = EIO_STATX_SIZE, .ptr2 = &mine }));
  ck_assert_uint_eq (mine.size, 10);
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, 0);
  gives (0, submit ((eio_req) { .type = EIO_STATX, .ptr1 = "file",
                                .int2 = EIO_STATX_SIZE }));
  ck_assert_uint_eq (((struct eio_statx *)got.ptr2)->size, 10);
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, EIO_FLAG_PTR2_FREE);
  close (fd);
}
END_TEST

/*****************************************************************************
 * Copying                                                                   *
 *****************************************************************************/

/* How copy_file_range may fail for reasons of its own; 0: it does not. */
static const int refusals[]
  = { 0, ENOSYS, EXDEV, EINVAL, EOPNOTSUPP, EPERM };
enum { REFUSALS = LENGTH (refusals) };

static void
refuse_copying (int i)
{
  if (refusals[i])
    arm (F_copy_range, refusals[i], 0, FOR_EVER);
}

START_TEST (ranges_are_copied_by_offset_and_by_position)
{
  int in, out, place;

  for (place = 0; place < 2; ++place)
    {
      if (!start_in (place))
        return;
      refuse_copying (_i);
      in = make_file ("in", BYTES);
      out = make_file ("out", 0);
      gives (BYTES - 7, eio_copy_range (in, 7, out, 3, BYTES, KEEP));
      check_bytes (out, 3, content + 7, BYTES - 7);
      ck_assert_int_eq (size_of (out), BYTES - 4);
      ck_assert_int_eq (position (in), 0);
      ck_assert_int_eq (position (out), 0);

      gives (100000, eio_copy_range (in, 7, out, -1, 100000, KEEP));
      check_bytes (out, 0, content + 7, 100000);
      ck_assert_int_eq (position (in), 0);
      ck_assert_int_eq (position (out), 100000);

      gives (100000, eio_copy_range (in, -1, out, -1, 100000, KEEP));
      check_bytes (out, 100000, content, 100000);
      ck_assert_int_eq (position (in), 100000);
      ck_assert_int_eq (position (out), 200000);

      gives (1000, eio_copy_range (in, -1, out, 50, 1000, KEEP));
      check_bytes (out, 50, content + 100000, 1000);
      ck_assert_int_eq (position (in), 101000);
      ck_assert_int_eq (position (out), 200000);

      gives (10, eio_copy_range (in, BYTES - 10, out, 0, (size_t)-1, KEEP));
      gives (0, eio_copy_range (in, BYTES, out, 0, 10, KEEP));
      gives (0, eio_copy_range (in, 0, out, 0, 0, KEEP));
      gives (10, submit ((eio_req) { .type = EIO_COPY_RANGE, .int1 = in,
                                     .int2 = out, .size = 10 }));
      ck_assert_int_eq (position (out), 200010);
      close (in);
      close (out);
    }
}
END_TEST

START_TEST (bad_copies_fail)
{
  int in, out, rd, wr;

  start ();
  refuse_copying (_i);
  in = make_file ("in", 1000);
  out = make_file ("out", 0);
  rd = open ("in", O_RDONLY);
  wr = open ("out", O_WRONLY);
  fails (EBADF, eio_copy_range (-1, 0, out, 0, 10, KEEP));
  fails (EBADF, eio_copy_range (in, 0, -1, 0, 10, KEEP));
  fails (EBADF, eio_copy_range (-1, 0, out, 0, 0, KEEP));
  fails (EBADF, eio_copy_range (wr, 0, out, 0, 10, KEEP));
  fails (EBADF, eio_copy_range (in, 0, rd, 2000, 10, KEEP));
  close (rd);
  rd = open (".", O_RDONLY);
  fails (EISDIR, eio_copy_range (rd, 0, out, 0, 10, KEEP));
  ck_assert_int_eq (size_of (out), 0);
  close (rd);
  close (wr);
  close (in);
  close (out);
}
END_TEST

START_TEST (ranges_of_one_file_must_not_overlap)
{
  int fd;

  start ();
  refuse_copying (_i);
  fd = make_file ("file", 1000);
  fails (EINVAL, eio_copy_range (fd, 0, fd, 0, 1, KEEP));
  fails (EINVAL, eio_copy_range (fd, 0, fd, 999, 1000, KEEP));
  fails (EINVAL, eio_copy_range (fd, 500, fd, 400, 101, KEEP));
  fails (EINVAL, eio_copy_range (fd, -1, fd, 9, (size_t)-1, KEEP));
  check_bytes (fd, 0, content, 1000);
  gives (100, eio_copy_range (fd, 500, fd, 400, 100, KEEP));
  check_bytes (fd, 400, content + 500, 100);
  gives (1000, eio_copy_range (fd, 0, fd, 1000, 5000, KEEP));
  gives (0, eio_copy_range (fd, 5000, fd, 5000, 1, KEEP));
  close (fd);
}
END_TEST

/* copy_file_range is for files only. */
START_TEST (pipes_and_devices_are_copied_by_hand)
{
  int in, out, from[2], to[2];

  start ();
  refuse_copying (_i);
  in = make_file ("in", BYTES);
  out = make_file ("out", 0);
  make_pipe (from);
  make_pipe (to);
  ck_assert_int_eq (write (from[1], content, 5000), 5000);
  gives (3000, eio_copy_range (from[0], -1, out, 10, 3000, KEEP));
  check_bytes (out, 10, content, 3000);
  gives (2000, eio_copy_range (from[0], -1, to[1], -1, 2000, KEEP));
  ck_assert_int_eq (read (to[0], buffer, BYTES), 2000);
  ck_assert_int_eq (memcmp (buffer, content + 3000, 2000), 0);
  gives (40000, eio_copy_range (in, 5, to[1], -1, 40000, KEEP));
  ck_assert_int_eq (read (to[0], buffer, BYTES), 40000);
  ck_assert_int_eq (memcmp (buffer, content + 5, 40000), 0);
  close (from[1]);
  gives (0, eio_copy_range (from[0], -1, out, 0, 10, KEEP));
  fails (ESPIPE, eio_copy_range (to[0], 5, out, 0, 10, KEEP));
  fails (ESPIPE, eio_copy_range (in, 5, to[1], 0, 10, KEEP));
  close (from[0]);
  close_both (to);
  close (in);
  close (out);
}
END_TEST

/* A non-blocking target takes what it can; what it did not take is read again
 * later. */
START_TEST (what_the_target_did_not_take_is_not_lost)
{
  eio_ssize_t first;
  int in, to[2];

  start ();
  refuse_copying (_i);
  in = make_file ("in", BYTES);
  make_pipe (to);
  fcntl (to[1], F_SETFL, O_NONBLOCK);
  first = run (eio_copy_range (in, -1, to[1], -1, BYTES, KEEP));
  ck_assert_int_gt (first, 4000);
  ck_assert_int_lt (first, BYTES);
  ck_assert_int_eq (got.errorno, 0);
  ck_assert_int_eq (position (in), first);
  fails (EAGAIN, eio_copy_range (in, -1, to[1], -1, 10, KEEP));
  ck_assert_int_eq (position (in), first);
  close_both (to);
  close (in);
}
END_TEST

/* It cannot be read again: so it is written when that was interrupted, and
 * when the request is cancelled. */
START_TEST (what_a_pipe_gave_is_not_lost)
{
  int out, from[2];
  eio_req *req;

  start ();
  out = make_file ("out", 0);
  make_pipe (from);
  ck_assert_int_eq (write (from[1], content, 5000), 5000);
  arm (F_pwrite, EINTR, 0, 1);
  gives (2000, eio_copy_range (from[0], -1, out, 0, 2000, KEEP));
  arm (F_pwrite, EINTR, 0, 1);
  eio_set_max_parallel (0);
  req = eio_copy_range (from[0], -1, out, 2000, 2000, KEEP);
  run_cancelled (F_pwrite, 0, req);
  check_bytes (out, 0, content, 4000);
  close_both (from);
  close (out);
}
END_TEST

START_TEST (targets_that_append_take_it_at_their_end)
{
  int in, out;

  start ();
  refuse_copying (_i);
  in = make_file ("in", 1000);
  close (make_file ("out", 10));
  out = open ("out", O_RDWR | O_APPEND);
  gives (500, eio_copy_range (in, 100, out, -1, 500, KEEP));
  check_bytes (out, 10, content + 100, 500);
  fails (EBADF, eio_copy_range (in, 100, out, 0, 500, KEEP));
  ck_assert_int_eq (size_of (out), 510);
  close (in);
  close (out);
}
END_TEST

START_TEST (files_that_pretend_to_be_empty_are_copied)
{
  int in = open ("/proc/self/status", O_RDONLY), out;

  if (in < 0)
    return;
  start ();
  refuse_copying (_i);
  out = make_file ("out", 0);
  ck_assert_int_gt (run (eio_copy_range (in, 0, out, 0, BYTES, KEEP)), 100);
  ck_assert_int_eq (size_of (out), got.result);
  ck_assert_int_gt (run (eio_copy_range (in, 0, out, -1, BYTES, KEEP)), 100);
  fake_copies = 0; /* as Linux 5.3 to 5.18 say */
  ck_assert_int_gt (run (eio_copy_range (in, 0, out, 0, BYTES, KEEP)), 100);
  close (in);
  close (out);
}
END_TEST

START_TEST (copies_go_on_after_short_steps)
{
  int in, out, way;

  start ();
  in = make_file ("in", BYTES);
  out = make_file ("out", 0);
  most = 999;
  refuse_copying (_i);
  arm (F_write, EINTR, 3, 2);
  arm (F_pwrite, EINTR, 3, 2);
  arm (F_pread, EINTR, 3, 2);
  arm (F_sendfile, EINTR, 3, 2);
  for (way = 0; way < 2; ++way)
    {
      ck_assert_int_eq (ftruncate (out, 0), 0);
      gives (BYTES, eio_copy_range (in, 0, out, way ? -1 : 0, BYTES, KEEP));
      check_bytes (out, 0, content, BYTES);
    }
  close (in);
  close (out);
}
END_TEST

/* An error behind the first step shows in what was copied, one before it is
 * the result; neither makes it try another way. */
START_TEST (copies_that_fail_say_how_far_they_came)
{
  int in, out;

  start ();
  in = make_file ("in", BYTES);
  out = make_file ("out", 0);
  most = 1000;
  arm (F_pwrite, 0, 0, 0);
  arm (F_copy_range, EIO, 5, FOR_EVER);
  gives (5000, eio_copy_range (in, 0, out, 0, BYTES, KEEP));
  arm (F_copy_range, ENOSPC, 0, 1);
  fails (ENOSPC, eio_copy_range (in, 0, out, 0, BYTES, KEEP));
  arm (F_copy_range, EPERM, 0, 1); /* of this file */
  fails (EPERM, eio_copy_range (in, 0, out, 0, BYTES, KEEP));
  arm (F_copy_range, EINTR, 0, 2);
  gives (BYTES, eio_copy_range (in, 0, out, 0, BYTES, KEEP));
  ck_assert_int_eq (calls_of (F_pwrite), 0);

  arm (F_copy_range, ENOSYS, 0, FOR_EVER);
  arm (F_pwrite, ENOSPC, 5, FOR_EVER);
  gives (5000, eio_copy_range (in, 0, out, 0, BYTES, KEEP));
  ck_assert_int_eq (calls_of (F_copy_range), 1);
  arm (F_pwrite, ENOSPC, 0, FOR_EVER);
  fails (ENOSPC, eio_copy_range (in, 0, out, 0, BYTES, KEEP));
  fails (ENOSPC, eio_copy_range (in, -1, out, 0, BYTES, KEEP));
  ck_assert_int_eq (position (in), 0);
  ck_assert_int_eq (calls_of (F_copy_range), 1); /* it is remembered */
  arm (F_sendfile, EIO, 0, 1);
  fails (EIO, eio_copy_range (in, 0, out, -1, BYTES, KEEP));
  close (in);
  close (out);
}
END_TEST

START_TEST (copies_can_be_cancelled_between_steps)
{
  int in, out;
  eio_req *req;

  start ();
  in = make_file ("in", BYTES);
  out = make_file ("out", 0);
  most = 1000;
  eio_set_max_parallel (0);
  req = eio_copy_range (in, 0, out, 0, BYTES, KEEP);
  ck_assert_int_eq (run_cancelled (F_copy_range, 3, req), 4000);
  arm (F_copy_range, ENOSYS, 0, FOR_EVER);
  eio_set_max_parallel (0);
  req = eio_copy_range (in, 0, out, 0, BYTES, KEEP);
  ck_assert_int_eq (run_cancelled (F_pread, 3, req), 4000);
  eio_set_max_parallel (0);
  req = eio_copy_range (in, 0, out, -1, BYTES, KEEP);
  ck_assert_int_eq (run_cancelled (F_sendfile, 3, req), 4000);
  close (in);
  close (out);
}
END_TEST

START_TEST (clones_are_made_where_the_file_system_can)
{
  int in, out, res, ends[2];

  if (!start_in (_i))
    return;
  in = make_file ("in", 10000);
  out = make_file ("out", 0);
  make_pipe (ends);
  res = ioctl (out, _IOW (0x94, 9, int), in);
  run (eio_clone (in, out, KEEP));
  ck_assert_int_eq (got.result, res);
  if (!res)
    check_bytes (out, 0, content, 10000);
  else
    ck_assert_int_eq (got.errorno, EOPNOTSUPP);
  fails (EBADF, eio_clone (-1, out, KEEP));
  fails (EBADF, eio_clone (in, -1, KEEP));
  fails (EXDEV, (arm (F_clone, EXDEV, 0, 1), eio_clone (in, out, KEEP)));
  fails (EOPNOTSUPP, (arm (F_clone, ENOTTY, 0, 1),
                      eio_clone (in, out, KEEP)));
  run (eio_clone (ends[0], out, KEEP));
  ck_assert_int_eq (got.result, -1);
  fake_clone = 1;
  gives (0, (arm (F_clone, EINTR, 0, 2), eio_clone (in, out, KEEP)));
  close_both (ends);
  close (in);
  close (out);
}
END_TEST

START_TEST (splice_moves_between_pipes_and_files)
{
  int in, out, ends[2];

  if (!start_in (_i))
    return;
  in = make_file ("in", 20000);
  out = make_file ("out", 0);
  make_pipe (ends);
  gives (5000, eio_splice (in, 7, ends[1], -1, 5000, 0, KEEP));
  ck_assert_int_eq (position (in), 0);
  gives (5000, eio_splice (ends[0], -1, out, 3, 9000, 0, KEEP));
  check_bytes (out, 3, content + 7, 5000);
  ck_assert_int_eq (position (out), 0);
  gives (100, eio_splice (in, -1, ends[1], -1, 100, 1, KEEP));
  ck_assert_int_eq (position (in), 100);
  gives (100, submit ((eio_req) { .type = EIO_SPLICE, .int1 = ends[0],
                                  .offs = -1, .int2 = out, .size = 100 }));
  ck_assert_int_eq (position (out), 100);
  gives (0, eio_splice (in, 20000, ends[1], -1, 100, 0, KEEP));
  fails (EAGAIN, eio_splice (ends[0], -1, out, 0, 100, 2, KEEP));
  fails (EINVAL, eio_splice (in, 0, out, 0, 100, 0, KEEP));
  fails (ESPIPE, eio_splice (in, 0, ends[1], 0, 100, 0, KEEP));
  fails (EBADF, eio_splice (-1, -1, ends[1], -1, 100, 0, KEEP));
  fails (EINVAL, eio_splice (in, 0, ends[1], -1, 100, 1u << 31, KEEP));
  arm (F_splice, EINTR, 0, 2);
  gives (100, eio_splice (in, 0, ends[1], -1, 100, 0, KEEP));
  close_both (ends);
  close (in);
  close (out);
}
END_TEST

START_TEST (tee_copies_what_a_pipe_has)
{
  int a[2], b[2];

  start ();
  make_pipe (a);
  make_pipe (b);
  ck_assert_int_eq (write (a[1], "something", 9), 9);
  gives (9, eio_tee (a[0], b[1], 100, 0, KEEP));
  ck_assert_int_eq (read (b[0], buffer, 100), 9);
  ck_assert_int_eq (memcmp (buffer, "something", 9), 0);
  gives (4, eio_tee (a[0], b[1], 4, 0, KEEP));
  ck_assert_int_eq (read (a[0], buffer, 100), 9);
  fails (EAGAIN, eio_tee (a[0], b[1], 4, 2, KEEP));
  fails (EINVAL, eio_tee (a[0], a[1], 4, 0, KEEP));
  fails (EBADF, eio_tee (-1, b[1], 4, 0, KEEP));
  fails (EINVAL, eio_tee (a[0], b[1], 4, 1u << 31, KEEP));
  close_both (a);
  close_both (b);
}
END_TEST

START_TEST (splice_and_tee_that_are_missing_are_enosys)
{
  int a[2], b[2];

  start ();
  make_pipe (a);
  make_pipe (b);
  arm (F_splice, missing[_i], 0, FOR_EVER);
  arm (F_tee, missing[_i], 0, FOR_EVER);
  fails (ENOSYS, eio_splice (a[0], -1, b[1], -1, 9, 2, KEEP));
  fails (ENOSYS, eio_splice (a[0], -1, b[1], -1, 9, 2, KEEP));
  ck_assert_int_eq (calls_of (F_splice), 1 + (missing[_i] == EPERM));
  fails (ENOSYS, eio_tee (a[0], b[1], 9, 2, KEEP));
  fails (ENOSYS, eio_tee (a[0], b[1], 9, 2, KEEP));
  ck_assert_int_eq (calls_of (F_tee), 1 + (missing[_i] == EPERM));
  close_both (a);
  close_both (b);
}
END_TEST

/*****************************************************************************
 * Advice, memory, disk                                                      *
 *****************************************************************************/

START_TEST (fadvise_passes_advice_on)
{
  static const int advice[] = { POSIX_FADV_NORMAL,     POSIX_FADV_RANDOM,
                                POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED,
                                POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE };
  int fd, ends[2], i;

  if (!start_in (_i))
    return;
  fd = make_file ("file", BYTES);
  make_pipe (ends);
  for (i = 0; i < LENGTH (advice); ++i)
    gives (0, eio_fadvise (fd, 0, 0, advice[i], KEEP));
  gives (0, eio_fadvise (fd, 5, 0x123456789, POSIX_FADV_WILLNEED, KEEP));
  fails (EINVAL, eio_fadvise (fd, 0, 0, 77, KEEP));
  fails (EINVAL, eio_fadvise (fd, 0, -1, POSIX_FADV_NORMAL, KEEP));
  fails (EINVAL, eio_fadvise (fd, -1, 0, POSIX_FADV_NORMAL, KEEP));
  if (sizeof (size_t) == sizeof (off_t)) /* else it is a length */
    fails (EINVAL, submit ((eio_req) { .type = EIO_FADVISE, .int1 = fd,
                                       .size = (size_t)-5 }));
  fails (EBADF, eio_fadvise (-1, 0, 0, POSIX_FADV_NORMAL, KEEP));
  fails (ESPIPE, eio_fadvise (ends[0], 0, 0, POSIX_FADV_NORMAL, KEEP));
  arm (F_fadvise, ENOSYS, 0, 1);
  fails (ENOSYS, eio_fadvise (fd, 0, 0, POSIX_FADV_NORMAL, KEEP));
  arm (F_fadvise, EINTR, 0, 1);
  gives (0, eio_fadvise (fd, 0, 0, POSIX_FADV_NORMAL, KEEP));
  close_both (ends);
  close (fd);
}
END_TEST

static char *
map_pages (int n)
{
  char *p = mmap (0, eio_sys_page_size () * n, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  ck_assert_ptr_ne (p, MAP_FAILED);
  return p;
}

/* Systems keep the lowest addresses free.  (A hole elsewhere is soon filled,
 * by musl's malloc for one.) */
static void *
nowhere (void)
{
  return (void *)eio_sys_page_size ();
}

START_TEST (madvise_spares_the_neighbours)
{
  size_t page = eio_sys_page_size ();
  char *p;

  start ();
  p = map_pages (3);
  memset (p, 'x', 3 * page);
  gives (0, eio_madvise (p + 5, page, MADV_WILLNEED, KEEP));
  gives (0, eio_madvise (p + 5, page, MADV_RANDOM, KEEP));
  fails (EINVAL, eio_madvise (p + 5, page, MADV_DONTNEED, KEEP));
  ck_assert_int_eq (p[0], 'x');
  gives (0, eio_madvise (p + page, page, MADV_DONTNEED, KEEP));
  ck_assert_int_eq (p[page - 1], 'x');
  ck_assert_int_eq (p[page], 0);
  ck_assert_int_eq (p[2 * page], 'x');
  agrees (madvise (p, page, 12345), eio_madvise (p, page, 12345, KEEP));
  fails (ENOMEM, eio_madvise (p, (size_t)-1, MADV_WILLNEED, KEEP));
  agrees (madvise (nowhere (), page, MADV_WILLNEED),
          eio_madvise (nowhere (), page, MADV_WILLNEED, KEEP));
  arm (F_madvise, ENOSYS, 0, 1);
  fails (ENOSYS, eio_madvise (p, page, MADV_NORMAL, KEEP));
  munmap (p, 3 * page);
}
END_TEST

START_TEST (mincore_tells_of_whole_pages)
{
  size_t page = eio_sys_page_size ();
  unsigned char *pages, mine[4] = { 9, 9, 9, 9 };
  char *p;

  start ();
  p = map_pages (8);
  p[2 * page] = p[3 * page] = 1;
  gives (8, eio_mincore (p, 8 * page, KEEP));
  pages = got.ptr2;
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, EIO_FLAG_PTR2_FREE);
  ck_assert_int_eq (memcmp (pages, "\0\0\1\1\0\0\0\0", 8), 0);
  gives (2, eio_mincore (p + 2 * page - 1, 2, KEEP));
  ck_assert_int_eq (memcmp (got.ptr2, "\0\1", 2), 0);
  gives (0, eio_mincore (p, 0, KEEP));
  ck_assert_ptr_nonnull (got.ptr2);
  gives (3, submit ((eio_req) { .type = EIO_MINCORE, .ptr1 = p + page,
                                .size = 3 * page, .ptr2 = mine }));
  ck_assert_int_eq (memcmp (mine, "\0\1\1\11", 4), 0);
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, 0);

  munmap (p + page, page);
  fails (ENOMEM, eio_mincore (p, 8 * page, KEEP));
  ck_assert_ptr_null (got.ptr2);
  fails (ENOMEM, eio_mincore (p, (size_t)-1, KEEP));
  fails (ENOMEM, eio_mincore (p, (size_t)-1 - (size_t)p, KEEP));
  if (!HAVE_SANITIZER) /* they do not return from such an allocation */
    fails (ENOMEM, eio_mincore (p, (size_t)-1 / 2, KEEP));
  fails (ENOMEM, eio_mincore (0, page, KEEP));
  arm (F_mincore, ENOSYS, 0, 1);
  fails (ENOSYS, eio_mincore (p, page, KEEP));
  munmap (p, 8 * page);
}
END_TEST

START_TEST (mincore_can_be_cancelled_between_steps)
{
  size_t page = eio_sys_page_size (), size = page * 300000;
  eio_req *req;
  char *p;

  start ();
  p = mmap (0, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            -1, 0);
  ck_assert_ptr_ne (p, MAP_FAILED);
  gives (300000, eio_mincore (p, size, KEEP));
  eio_set_max_parallel (0);
  req = eio_mincore (p, size, KEEP);
  ck_assert_int_eq (run_cancelled (F_mincore, 1, req), -1);
  ck_assert_int_eq (got.errorno, ECANCELED);
  ck_assert_int_eq (calls_of (F_mincore), 2);
  munmap (p, size);
}
END_TEST

/* Memory of this process that is locked, in KiB. */
static long
locked (void)
{
  FILE *f = fopen ("/proc/self/status", "r");
  char line[200];
  long n = -1;

  while (f && fgets (line, sizeof line, f))
    if (!strncmp (line, "VmLck:", 6))
      n = atol (line + 6);
  if (f)
    fclose (f);
  return n;
}

START_TEST (locked_memory_is_unlocked)
{
  size_t page = eio_sys_page_size ();
  char *p;

  start ();
  p = map_pages (4);
  gives (0, eio_munlock (p, 4 * page, KEEP));
  if (mlock (p, 4 * page) || locked () <= 0)
    return;
  gives (0, eio_munlock (p + 1, 2 * page, KEEP)); /* three of them */
  ck_assert_int_eq (locked (), (long)page / 1024);
  gives (0, eio_munlockall (KEEP));
  ck_assert_int_eq (locked (), 0);
  fails (ENOMEM, eio_munlock (p, (size_t)-1, KEEP));
  fails (ENOMEM, eio_munlock (nowhere (), page, KEEP));
  arm (F_munlockall, ENOSYS, 0, 1);
  fails (ENOSYS, eio_munlockall (KEEP));
  munmap (p, 4 * page);
}
END_TEST

START_TEST (fullsync_is_fsync_where_that_is_enough)
{
  int fd;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 10);
  arm (F_fsync, 0, 0, 0);
  gives (0, eio_fullsync (fd, KEEP));
  ck_assert_int_eq (calls_of (F_fsync), 1);
  fails (EBADF, eio_fullsync (-1, KEEP));
  arm (F_fsync, EIO, 0, 1);
  fails (EIO, eio_fullsync (fd, KEEP));
  arm (F_fsync, EINTR, 0, 3);
  gives (0, eio_fullsync (fd, KEEP));
  close (fd);
}
END_TEST

/*****************************************************************************
 * Extents                                                                   *
 *****************************************************************************/

/* What a fake file has: n extents of that length, with as long gaps; and what
 * fakes count. */
enum { FAKE_LENGTH = 4096 };
static int fake_extents, fake_limit, fake_calls;

static void
put_extent (eio_sys_extents *map, uint64_t logical, uint64_t length,
            uint32_t flags)
{
  eio_sys_extent *x = &map->extents[map->mapped++];

  memset (x, 0, sizeof *x);
  x->logical = logical;
  x->physical = logical + (1 << 20);
  x->length = length;
  x->flags = flags;
}

/* A kernel that returns at most fake_limit at once, and, as some do, says of
 * none that it is the last if that is not 0. */
static int
many_extents (void *arg)
{
  eio_sys_extents *map = arg;
  int i;

  ++fake_calls;
  for (i = 0; i < fake_extents && map->mapped < map->count; ++i)
    {
      uint64_t at = (uint64_t)i * 2 * FAKE_LENGTH;

      if (fake_limit && (int)map->mapped == fake_limit)
        break;
      if (at + FAKE_LENGTH > map->start && at < map->start + map->length)
        put_extent (map, at, FAKE_LENGTH,
                    !fake_limit && i == fake_extents - 1);
    }
  return 0;
}

static void
check_extents (int from, int count)
{
  struct eio_extent *x = got.ptr2;
  int i;

  ck_assert_ptr_nonnull (x);
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, EIO_FLAG_PTR2_FREE);
  for (i = 0; i < count; ++i)
    {
      uint64_t at = (uint64_t)(from + i) * 2 * FAKE_LENGTH;

      ck_assert_uint_eq (x[i].logical, at);
      ck_assert_uint_eq (x[i].physical, at + (1 << 20));
      ck_assert_uint_eq (x[i].length, FAKE_LENGTH);
    }
}

static const struct
{
  int extents, limit;
} crowds[] = { { 0, 0 }, { 1, 0 }, { 1023, 0 }, { 1024, 0 }, { 1025, 0 },
               { 100000, 0 }, { 0, 7 }, { 7, 7 }, { 8, 7 }, { 5000, 7 } };

START_TEST (all_extents_are_found_however_many)
{
  int n = crowds[_i].extents;

  start ();
  fake_fiemap = many_extents;
  fake_extents = n;
  fake_limit = crowds[_i].limit;
  gives (n, eio_fiemap (0, 0, 0, 0, KEEP));
  check_extents (0, n);
  if (n < 9)
    return;
  gives (n - 4, eio_fiemap (0, 4 * 2 * FAKE_LENGTH + 1, 0, 0, KEEP));
  check_extents (4, n - 4);
  gives (3, eio_fiemap (0, 4 * 2 * FAKE_LENGTH + 1, 4 * FAKE_LENGTH, 0,
                        KEEP));
  check_extents (4, 3);
}
END_TEST

/* Between the calls, two extents have become one. */
static int
merging_extents (void *arg)
{
  eio_sys_extents *map = arg;
  uint64_t i;

  if (!fake_calls++)
    for (i = 0; map->mapped < map->count; ++i)
      put_extent (map, i * FAKE_LENGTH, FAKE_LENGTH, 0);
  else
    put_extent (map, 0, (uint64_t)10000 * FAKE_LENGTH, 1);
  return 0;
}

START_TEST (extents_that_grow_meanwhile_are_not_told_twice)
{
  struct eio_extent *x;
  int i, n;

  start ();
  fake_fiemap = merging_extents;
  n = (int)run (eio_fiemap (0, 0, 0, 0, KEEP));
  ck_assert_int_gt (n, 2);
  x = got.ptr2;
  for (i = 1; i < n; ++i)
    {
      ck_assert_uint_eq (x[i].logical, x[i - 1].logical + x[i - 1].length);
      ck_assert_uint_eq (x[i].physical, x[i].logical + (1 << 20));
    }
  ck_assert_uint_eq (x[n - 1].logical + x[n - 1].length,
                     (uint64_t)10000 * FAKE_LENGTH);
  ck_assert_uint_eq (x[n - 1].flags, EIO_EXTENT_LAST);
}
END_TEST

/* A kernel that says the same again and again, or what cannot be. */
static int
stuck_extents (void *arg)
{
  eio_sys_extents *map = arg;

  put_extent (map, 0, FAKE_LENGTH, 0);
  return ++fake_calls < 1000 ? 0 : (errno = EDEADLK, -1);
}

static int
endless_extent (void *arg)
{
  put_extent (arg, (uint64_t)-10, 100, 0);
  return ++fake_calls < 1000 ? 0 : (errno = EDEADLK, -1);
}

START_TEST (kernels_that_make_no_progress_are_left)
{
  start ();
  fake_fiemap = stuck_extents;
  gives (1, eio_fiemap (0, 0, 0, 0, KEEP));
  fake_fiemap = endless_extent;
  gives (0, eio_fiemap (0, 0, 0, 0, KEEP));
}
END_TEST

START_TEST (fiemap_can_be_cancelled_between_steps)
{
  eio_req *req;

  start ();
  fake_fiemap = many_extents;
  fake_extents = 100000;
  eio_set_max_parallel (0);
  req = eio_fiemap (0, 0, 0, 0, KEEP);
  ck_assert_int_eq (run_cancelled (F_fiemap, 3, req), -1);
  ck_assert_int_eq (got.errorno, ECANCELED);
  ck_assert_int_eq (fake_calls, 4);
  arm (F_fiemap, EINTR, 0, FOR_EVER);
  eio_set_max_parallel (0);
  req = eio_fiemap (0, 0, 0, 0, KEEP);
  ck_assert_int_eq (run_cancelled (F_fiemap, 3, req), -1);
  ck_assert_int_eq (got.errorno, ECANCELED);
}
END_TEST

START_TEST (fiemap_that_cannot_says_so)
{
  int fd, ends[2];

  start_in (1);
  fd = make_file ("file", 10);
  make_pipe (ends);
  fails (EBADF, eio_fiemap (-1, 0, 0, 0, KEEP));
  fails (EINVAL, eio_fiemap (fd, -1, 0, 0, KEEP));
  fails (EINVAL, eio_fiemap (fd, 0, -1, 0, KEEP));
  fails (EOPNOTSUPP, eio_fiemap (ends[0], 0, 0, 0, KEEP));
  arm (F_fiemap, ENOTTY, 0, 1);
  fails (EOPNOTSUPP, eio_fiemap (fd, 0, 0, 0, KEEP));
  arm (F_fiemap, EBADR, 0, 1);
  fails (EBADR, eio_fiemap (fd, 0, 0, 0, KEEP));
  arm (F_fiemap, ENOSYS, 0, 1);
  fails (ENOSYS, eio_fiemap (fd, 0, 0, 0, KEEP));
  arm (F_fiemap, EIO, 1, 1);
  fake_fiemap = many_extents;
  fake_extents = 100000;
  fails (EIO, eio_fiemap (fd, 0, 0, 0, KEEP));
  ck_assert_ptr_null (got.ptr2);
  arm (F_fiemap, EINTR, 0, 3);
  gives (100000, eio_fiemap (fd, 0, 0, 0, KEEP));
  close_both (ends);
  close (fd);
}
END_TEST

/* The lines of filefrag that tell of extents: their starts and ends, in
 * bytes. */
static int
ask_filefrag (const char *name, uint64_t (*extents)[2], int max)
{
  char command[200], line[400];
  int n = 0;
  FILE *f;

  snprintf (command, sizeof command, "filefrag -b1 -v %s 2>/dev/null", name);
  f = popen (command, "r");
  while (f && n < max && fgets (line, sizeof line, f))
    {
      unsigned long long from, to;
      int number;

      if (sscanf (line, " %d: %llu.. %llu:", &number, &from, &to) == 3)
        {
          extents[n][0] = from;
          extents[n++][1] = to + 1;
        }
    }
  if (f)
    pclose (f);
  return n;
}

START_TEST (extents_of_a_real_file_are_those_of_filefrag)
{
  enum { PIECES = 3000 };
  static uint64_t want[PIECES + 10][2];
  struct eio_extent *x, second;
  int fd, i, n;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 0);
  for (i = 0; i < PIECES; ++i)
    ck_assert_int_eq (pwrite (fd, "x", 1, (off_t)i * 65536), 1);
  run (eio_fiemap (fd, 0, 0, EIO_FIEMAP_SYNC, KEEP));
  if (got.result < 0)
    {
      ck_assert_int_eq (got.errorno, EOPNOTSUPP);
      return;
    }
  x = got.ptr2;
  n = (int)got.result;
  ck_assert_int_ge (n, PIECES);
  ck_assert_uint_eq (x[n - 1].flags & EIO_EXTENT_LAST, EIO_EXTENT_LAST);
  for (i = 0; i < n; ++i)
    ck_assert_uint_eq (x[i].logical, (uint64_t)i * 65536);
  if (ask_filefrag ("file", want, PIECES + 10) == n)
    for (i = 0; i < n; ++i)
      {
        ck_assert_uint_eq (x[i].logical, want[i][0]);
        ck_assert_uint_eq (x[i].logical + x[i].length, want[i][1]);
      }
  second = x[1];
  gives (1, eio_fiemap (fd, 65536, 1, 0, KEEP));
  ck_assert_int_eq (memcmp (got.ptr2, &second, sizeof second), 0);
  ck_assert_int_eq (ftruncate (fd, 0), 0);
  gives (0, eio_fiemap (fd, 0, 0, 0, KEEP));
  ck_assert_ptr_nonnull (got.ptr2);
  close (fd);
}
END_TEST

/*****************************************************************************
 * Attributes                                                                *
 *****************************************************************************/

/* Whether files here can have any. */
static int
has_attributes (int fd)
{
  return !fsetxattr (fd, "user.probe", "", 0, 0)
         && !fremovexattr (fd, "user.probe");
}

/* EIO_BUF has these bytes, and a 0 behind. */
static void
check_value (const void *want, size_t size)
{
  ck_assert_int_eq (got.result, (eio_ssize_t)size);
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, EIO_FLAG_PTR2_FREE);
  ck_assert_ptr_nonnull (got.ptr2);
  ck_assert_int_eq (memcmp (got.ptr2, want, size), 0);
  ck_assert_int_eq (((char *)got.ptr2)[size], 0);
}

static void
check_path_attributes (eio_wd wd, const char *path)
{
  const int create = EIO_XATTR_CREATE, replace = EIO_XATTR_REPLACE;

  fails (ENODATA, eio_getxattr_at (wd, path, "user.a", 0, KEEP));
  fails (ENODATA, eio_removexattr_at (wd, path, "user.a", 0, KEEP));
  fails (ENODATA, eio_setxattr_at (wd, path, "user.a", "x", 1, replace,
                                   KEEP));
  gives (0, eio_setxattr_at (wd, path, "user.a", "one", 3, create, KEEP));
  fails (EEXIST, eio_setxattr_at (wd, path, "user.a", "x", 1, create, KEEP));
  gives (3, eio_getxattr_at (wd, path, "user.a", 0, KEEP));
  check_value ("one", 3);
  gives (0, eio_setxattr_at (wd, path, "user.a", "", 0, replace, KEEP));
  gives (0, eio_getxattr_at (wd, path, "user.a", 0, KEEP));
  check_value ("", 0);
  gives (0, eio_setxattr_at (wd, path, "user.a", 0, 0, 0, KEEP));
  run (eio_listxattr_at (wd, path, 0, KEEP));
  ck_assert_int_ge (got.result, 7);
  ck_assert_ptr_nonnull (memmem (got.ptr2, (size_t)got.result, "user.a", 7));
  gives (0, eio_removexattr_at (wd, path, "user.a", 0, KEEP));
  fails (ENODATA, eio_getxattr_at (wd, path, "user.a", 0, KEEP));
}

static void
check_fd_attributes (int fd)
{
  fails (ENODATA, eio_fgetxattr (fd, "user.a", KEEP));
  gives (0, eio_fsetxattr (fd, "user.a", "one", 3, EIO_XATTR_CREATE, KEEP));
  fails (EEXIST, eio_fsetxattr (fd, "user.a", "", 0, EIO_XATTR_CREATE, KEEP));
  gives (3, eio_fgetxattr (fd, "user.a", KEEP));
  check_value ("one", 3);
  run (eio_flistxattr (fd, KEEP));
  ck_assert_ptr_nonnull (memmem (got.ptr2, (size_t)got.result, "user.a", 7));
  gives (0, eio_fremovexattr (fd, "user.a", 0, KEEP));
  fails (ENODATA, eio_fremovexattr (fd, "user.a", 0, KEEP));
}

static void
check_attributes (void)
{
  int fd = make_file ("attrs", 10);
  eio_wd wd;

  if (has_attributes (fd))
    {
      wd = eio_wd_open_sync (EIO_CWD, ".");
      ck_assert_ptr_ne (wd, EIO_INVALID_WD);
      unlink ("alink");
      ck_assert_int_eq (symlink ("attrs", "alink"), 0);
      check_path_attributes (EIO_CWD, "attrs");
      check_path_attributes (EIO_CWD, "alink");
      check_path_attributes (wd, "attrs");
      check_path_attributes (wd, "alink");
      check_path_attributes (wd, ".");
      check_fd_attributes (fd);
      eio_wd_close_sync (wd);
    }
  close (fd);
}

START_TEST (attributes_are_set_got_listed_and_removed)
{
  if (start_in (_i))
    check_attributes ();
}
END_TEST

/* What follows the link, and what does not.  Links cannot have attributes of
 * users; trusted ones take rights. */
START_TEST (links_have_attributes_of_their_own)
{
  eio_wd wds[2];
  int fd, i, own;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 10);
  ck_assert_int_eq (symlink ("file", "link"), 0);
  own = !lsetxattr ("link", "trusted.probe", "", 0, 0)
        && !lremovexattr ("link", "trusted.probe");
  wds[0] = EIO_CWD;
  wds[1] = eio_wd_open_sync (EIO_CWD, ".");
  for (i = 0; own && i < 2; ++i)
    {
      const int no = AT_SYMLINK_NOFOLLOW;
      eio_wd wd = wds[i];

      gives (0, eio_setxattr_at (wd, "link", "trusted.l", "link", 4, no,
                                 KEEP));
      gives (4, eio_getxattr_at (wd, "link", "trusted.l", no, KEEP));
      check_value ("link", 4);
      fails (ENODATA, eio_getxattr_at (wd, "link", "trusted.l", 0, KEEP));
      run (eio_listxattr_at (wd, "link", no, KEEP));
      ck_assert_ptr_nonnull (memmem (got.ptr2, (size_t)got.result,
                                     "trusted.l", 10));
      fails (EEXIST, eio_setxattr_at (wd, "link", "trusted.l", "x", 1,
                                      no | EIO_XATTR_CREATE, KEEP));
      gives (0, eio_removexattr_at (wd, "link", "trusted.l", no, KEEP));
      fails (ENODATA, eio_getxattr_at (wd, "link", "trusted.l", no, KEEP));
    }
  eio_wd_close_sync (wds[1]);
  close (fd);
}
END_TEST

START_TEST (bad_attributes_fail)
{
  static char huge[1 << 17];
  eio_wd wd;
  int fd;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 10);
  wd = eio_wd_open_sync (EIO_CWD, ".");
  fails (EINVAL, eio_getxattr (0, "user.a", 0, KEEP));
  fails (EINVAL, eio_getxattr ("file", 0, 0, KEEP));
  fails (EINVAL, eio_getxattr ("file", "user.a", 1, KEEP));
  fails (EINVAL, eio_getxattr ("file", "user.a", AT_EMPTY_PATH, KEEP));
  fails (ENOENT, eio_getxattr ("none", "user.a", 0, KEEP));
  fails (ENOENT, eio_getxattr_at (wd, "none", "user.a", 0, KEEP));
  fails (ENOENT, eio_getxattr_at (wd, "", "user.a", 0, KEEP));
  fails (ENOENT, eio_getxattr_at (EIO_INVALID_WD, "file", "user.a", 0, KEEP));
  fails (EINVAL, eio_listxattr (0, 0, KEEP));
  fails (EINVAL, eio_listxattr ("file", 2, KEEP));
  fails (ENOENT, eio_listxattr_at (wd, "none", 0, KEEP));
  fails (EINVAL, eio_setxattr ("file", 0, "", 0, 0, KEEP));
  fails (EINVAL, eio_setxattr (0, "user.a", "", 0, 0, KEEP));
  fails (EINVAL, eio_setxattr ("file", "user.a", "", 0, 4, KEEP));
  fails (EFAULT, eio_setxattr ("file", "user.a", 0, 5, 0, KEEP));
  fails (E2BIG, eio_setxattr ("file", "user.a", huge, sizeof huge, 0, KEEP));
  fails (E2BIG, eio_setxattr ("file", "user.a", huge, (size_t)-1, 0, KEEP));
  arm (F_getxattr, 0, 0, 0);
  fails (ERANGE, eio_getxattr ("file", "", 0, KEEP));
  ck_assert_int_le (calls_of (F_getxattr), 2); /* no longer buffer helps */
  fails (EOPNOTSUPP, eio_getxattr ("file", "nonsense", 0, KEEP));
  fails (EINVAL, eio_removexattr ("file", 0, 0, KEEP));
  fails (EINVAL, eio_removexattr ("file", "user.a", 1, KEEP));
  fails (EBADF, eio_fgetxattr (-1, "user.a", KEEP));
  fails (EINVAL, eio_fgetxattr (fd, 0, KEEP));
  fails (EBADF, eio_flistxattr (-1, KEEP));
  fails (EBADF, eio_fsetxattr (-1, "user.a", "", 0, 0, KEEP));
  fails (EINVAL, eio_fsetxattr (fd, "user.a", "", 0, AT_SYMLINK_NOFOLLOW,
                                KEEP));
  fails (EINVAL, eio_fsetxattr (fd, 0, "", 0, 0, KEEP));
  fails (EBADF, eio_fremovexattr (-1, "user.a", 0, KEEP));
  fails (EINVAL, eio_fremovexattr (fd, "user.a", 1, KEEP));
  fails (EINVAL, eio_fremovexattr (fd, 0, 0, KEEP));
  eio_wd_close_sync (wd);
  close (fd);
}
END_TEST

START_TEST (attributes_that_are_missing_are_told)
{
  int fd;

  start ();
  fd = make_file ("file", 10);
  arm (F_getxattr, missing[_i], 0, FOR_EVER);
  arm (F_setxattr, missing[_i], 0, FOR_EVER);
  arm (F_removexattr, missing[_i], 0, FOR_EVER);
  fails (missing[_i], eio_getxattr ("file", "user.a", 0, KEEP));
  fails (missing[_i], eio_flistxattr (fd, KEEP));
  fails (missing[_i], eio_setxattr ("file", "user.a", "", 0, 0, KEEP));
  fails (missing[_i], eio_fremovexattr (fd, "user.a", 0, KEEP));
  arm (F_getxattr, EOPNOTSUPP, 0, FOR_EVER);
  fails (EOPNOTSUPP, eio_fgetxattr (fd, "user.a", KEEP));
  close (fd);
}
END_TEST

/* Between two calls, the value becomes longer. */
static size_t grown[4];

static void
grow_attribute (int which, int n)
{
  if (which == F_getxattr && n < LENGTH (grown) && grown[n])
    ck_assert_int_eq (setxattr ("file", "user.a", content, grown[n], 0), 0);
}

START_TEST (values_that_grow_meanwhile_are_whole)
{
  int fd;

  if (!start_in (_i))
    return;
  fd = make_file ("file", 10);
  if (has_attributes (fd))
    {
      ck_assert_int_eq (setxattr ("file", "user.a", content, 200, 0), 0);
      grown[0] = 300; /* too long for the first buffer */
      grown[2] = 900; /* ... and for the second */
      grown[3] = 1900;
      before_call = grow_attribute;
      arm (F_getxattr, 0, 0, 0);
      gives (1900, eio_getxattr ("file", "user.a", 0, KEEP));
      check_value (content, 1900);
      ck_assert_int_gt (calls_of (F_getxattr), 3);
      before_call = (void (*) (int, int))0;
      gives (1900, eio_fgetxattr (fd, "user.a", KEEP));
      check_value (content, 1900);
    }
  close (fd);
}
END_TEST

START_TEST (a_value_that_never_fits_is_given_up)
{
  int fd;

  start ();
  fd = make_file ("file", 10);
  arm (F_getxattr, ERANGE, 0, FOR_EVER);
  fails (ERANGE, eio_fgetxattr (fd, "user.a", KEEP));
  ck_assert_int_lt (calls_of (F_getxattr), 100);
  close (fd);
}
END_TEST

START_TEST (attributes_can_be_cancelled_between_steps)
{
  eio_req *req;
  int fd;

  start ();
  fd = make_file ("file", 10);
  arm (F_getxattr, ERANGE, 0, FOR_EVER);
  eio_set_max_parallel (0);
  req = eio_fgetxattr (fd, "user.a", KEEP);
  ck_assert_int_eq (run_cancelled (F_getxattr, 1, req), -1);
  ck_assert_int_eq (got.errorno, ECANCELED);
  ck_assert_int_le (calls_of (F_getxattr), 4);
  close (fd);
}
END_TEST

START_TEST (a_buffer_of_the_callers_is_used)
{
  char mine[8] = "-------";
  int fd;

  start ();
  fd = make_file ("file", 10);
  if (has_attributes (fd))
    {
      gives (0, eio_fsetxattr (fd, "user.a", "value", 5, 0, KEEP));
      gives (5, submit ((eio_req) { .type = EIO_FGETXATTR, .int1 = fd,
                                    .int3 = (long)"user.a", .ptr2 = mine,
                                    .size = 5 }));
      ck_assert_str_eq (mine, "value--");
      ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, 0);
      fails (ERANGE, submit ((eio_req) { .type = EIO_GETXATTR,
                                         .ptr1 = "file",
                                         .int3 = (long)"user.a",
                                         .ptr2 = mine, .size = 4 }));
      fails (EINVAL, submit ((eio_req) { .type = EIO_FLISTXATTR, .int1 = fd,
                                         .ptr2 = mine }));
    }
  close (fd);
}
END_TEST

START_TEST (attributes_are_those_of_getfattr)
{
  char line[100];
  FILE *f;
  int fd;

  start ();
  fd = make_file ("file", 10);
  if (has_attributes (fd))
    {
      gives (0, eio_setxattr ("file", "user.a", "value", 5, 0, KEEP));
      f = popen ("getfattr -n user.a --only-values file 2>/dev/null", "r");
      if (f && fgets (line, sizeof line, f))
        ck_assert_str_eq (line, "value");
      if (f)
        pclose (f);
    }
  close (fd);
}
END_TEST

/* Without /proc, the wd's path leads to the file. */
START_TEST (wd_without_proc_goes_by_path)
{
  eio_wd wd;
  int fd;

  start ();
  fd = make_file ("file", 10);
  if (has_attributes (fd))
    {
      wd = eio_wd_open_sync (EIO_CWD, ".");
      arm (F_setxattr, ENOENT, 0, 1);
      gives (0, eio_setxattr_at (wd, "file", "user.a", "v", 1, 0, KEEP));
      ck_assert_int_eq (calls_of (F_setxattr), 2);
      arm (F_getxattr, ENOENT, 0, 1);
      gives (1, eio_getxattr_at (wd, "file", "user.a", 0, KEEP));
      arm (F_removexattr, ENOENT, 0, FOR_EVER);
      fails (ENOENT, eio_removexattr_at (wd, "file", "user.a", 0, KEEP));
      eio_wd_close_sync (wd);
    }
  close (fd);
}
END_TEST

/*****************************************************************************
 * All of them                                                               *
 *****************************************************************************/

static void
as_an_ordinary_user (void)
{
  struct iovec v = { buffer, 10 };
  int fd, other;

  ck_assert_int_eq (chdir ("open"), 0);
  fd = make_file ("mine", 1000);
  other = make_file ("other", 0);
  check_all_statx ();
  check_attributes ();
  gives (10, eio_readv (fd, &v, 1, 0, 0, KEEP));
  gives (1000, eio_copy_range (fd, 0, other, 0, 5000, KEEP));
  gives (0, eio_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED, KEEP));
  gives (0, eio_munlockall (KEEP));
  gives (0, eio_fullsync (fd, KEEP));
  run (eio_fiemap (fd, 0, 0, 0, KEEP));
  ck_assert (got.result >= 0 || got.errorno == EOPNOTSUPP);
  if (has_attributes (fd))
    {
      fails (EPERM, eio_fsetxattr (fd, "trusted.a", "", 0, 0, KEEP));
      run (eio_setxattr ("../root", "user.a", "", 0, 0, KEEP));
      ck_assert_int_eq (got.result, geteuid () ? -1 : 0);
      fails (EACCES, eio_getxattr ("../closed/file", "user.a", 0, KEEP));
    }
  fails (EACCES, eio_statx ("../closed/file", 0, EIO_STATX_ALL, KEEP));
  close (fd);
  close (other);
}

START_TEST (an_ordinary_user_gets_no_more_than_his_rights)
{
  start ();
  close (make_file ("root", 10));
  ck_assert_int_eq (mkdir ("closed", 0700), 0);
  close (make_file ("closed/file", 10));
  if (!geteuid ())
    as_user (as_an_ordinary_user);
}
END_TEST

static const char *const type_names[] = {
  "readv", "writev", "read_all", "write_all", "statx", "fstatx",
  "copy_range", "clone", "splice", "tee", "fadvise", "madvise", "mincore",
  "munlock", "munlockall", "fullsync", "fiemap", "getxattr", "setxattr",
  "listxattr", "removexattr", "fgetxattr", "fsetxattr", "flistxattr",
  "fremovexattr",
};

START_TEST (types_have_their_names)
{
  int i;

  for (i = 0; i < LENGTH (type_names); ++i)
    ck_assert_str_eq (eio_strtype (EIO_READV + i), type_names[i]);
  ck_assert_int_eq (LENGTH (type_names), EIO_FREMOVEXATTR - EIO_READV + 1);
}
END_TEST

/* Every wrapper, for a file that is open as fd, and another. */
enum { WRAPPERS = 25 };
static struct iovec vector = { buffer, 10 };
static int some_fd, other_fd;
static char *some_page;

static eio_req *
call_wrapper (int i, eio_cb cb, void *data)
{
  const char *path = "sub/../file", *name = "user.name";

#define TAIL 2, cb, data
  switch (EIO_READV + i)
    {
    case EIO_READV: return eio_readv (some_fd, &vector, 1, 5, 0, TAIL);
    case EIO_WRITEV: return eio_writev (some_fd, &vector, 1, 6, 0, TAIL);
    case EIO_READ_ALL: return eio_read_all (some_fd, 0, 10, 7, TAIL);
    case EIO_WRITE_ALL:
      return eio_write_all (some_fd, content, 10, 8, TAIL);
    case EIO_STATX: return eio_statx (path, 0, EIO_STATX_SIZE, TAIL);
    case EIO_FSTATX: return eio_fstatx (some_fd, EIO_STATX_SIZE, TAIL);
    case EIO_COPY_RANGE:
      return eio_copy_range (some_fd, 9, other_fd, 10, 11, TAIL);
    case EIO_CLONE: return eio_clone (some_fd, other_fd, TAIL);
    case EIO_SPLICE:
      return eio_splice (some_fd, 12, other_fd, 13, 14, 2, TAIL);
    case EIO_TEE: return eio_tee (some_fd, other_fd, 15, 2, TAIL);
    case EIO_FADVISE:
      return eio_fadvise (some_fd, 16, 17, POSIX_FADV_RANDOM, TAIL);
    case EIO_MADVISE: return eio_madvise (some_page, 18, MADV_RANDOM, TAIL);
    case EIO_MINCORE: return eio_mincore (some_page, 19, TAIL);
    case EIO_MUNLOCK: return eio_munlock (some_page, 20, TAIL);
    case EIO_MUNLOCKALL: return eio_munlockall (TAIL);
    case EIO_FULLSYNC: return eio_fullsync (some_fd, TAIL);
    case EIO_FIEMAP: return eio_fiemap (some_fd, 21, 22, 1, TAIL);
    case EIO_GETXATTR: return eio_getxattr (path, name, 0x100, TAIL);
    case EIO_SETXATTR:
      return eio_setxattr (path, name, content, 23, 0x100, TAIL);
    case EIO_LISTXATTR: return eio_listxattr (path, 0x100, TAIL);
    case EIO_REMOVEXATTR: return eio_removexattr (path, name, 0x100, TAIL);
    case EIO_FGETXATTR: return eio_fgetxattr (some_fd, name, TAIL);
    case EIO_FSETXATTR:
      return eio_fsetxattr (some_fd, name, content, 24, 1, TAIL);
    case EIO_FLISTXATTR: return eio_flistxattr (some_fd, TAIL);
    default: return eio_fremovexattr (some_fd, name, 0, TAIL);
    }
#undef TAIL
}

/* What its request has to be; addresses of copies aside. */
static eio_req
want_of (int i)
{
#define R(name, ...) \
  [EIO_##name - EIO_READV] = { .type = EIO_##name, __VA_ARGS__ }
#define FD .int1 = some_fd
  const eio_req all[WRAPPERS] = {
    R (READV, FD, .size = 1, .offs = 5),
    R (WRITEV, FD, .size = 1, .offs = 6),
    R (READ_ALL, FD, .size = 10, .offs = 7),
    R (WRITE_ALL, FD, .size = 10, .offs = 8, .ptr2 = content),
    R (STATX, .int2 = EIO_STATX_SIZE),
    R (FSTATX, FD, .int2 = EIO_STATX_SIZE),
    R (COPY_RANGE, FD, .int2 = other_fd, .offs = 9, .size = 11),
    R (CLONE, FD, .int2 = other_fd),
    R (SPLICE, FD, .int2 = other_fd, .offs = 12, .size = 14, .int3 = 2),
    R (TEE, FD, .int2 = other_fd, .size = 15, .int3 = 2),
    R (FADVISE, FD, .offs = 16, .size = 17, .int2 = POSIX_FADV_RANDOM),
    R (MADVISE, .ptr2 = some_page, .size = 18, .int1 = MADV_RANDOM),
    R (MINCORE, .ptr1 = some_page, .size = 19),
    R (MUNLOCK, .ptr2 = some_page, .size = 20),
    R (MUNLOCKALL, .int1 = 0),
    R (FULLSYNC, FD),
    R (FIEMAP, FD, .offs = 21, .size = 22, .int2 = 1),
    R (GETXATTR, .int2 = 0x100),
    R (SETXATTR, .ptr2 = content, .size = 23, .int2 = 0x100),
    R (LISTXATTR, .int2 = 0x100),
    R (REMOVEXATTR, .int2 = 0x100),
    R (FGETXATTR, FD),
    R (FSETXATTR, FD, .ptr2 = content, .size = 24, .int2 = 1),
    R (FLISTXATTR, FD),
    R (FREMOVEXATTR, FD),
  };
#undef R
#undef FD

  return all[i];
}

static void
prepare_wrappers (void)
{
  some_fd = make_file ("file", 1000);
  other_fd = make_file ("other", 0);
  some_page = map_pages (1);
  ck_assert_int_eq (mkdir ("sub", 0700), 0);
}

/* They are queued, and can be read. */
START_TEST (wrappers_put_parameters_into_their_members)
{
  int needs = eio__ops[EIO_READV + _i].needs, dummy;
  eio_req want, *req;

  start ();
  eio_set_max_parallel (0);
  prepare_wrappers ();
  want = want_of (_i);
  req = call_wrapper (_i, keep, &dummy);
  ck_assert_ptr_nonnull (req);
  ck_assert_int_eq (req->type, EIO_READV + _i);
  ck_assert_int_eq (req->offs, want.offs);
  ck_assert_uint_eq (req->size, want.size);
  ck_assert_int_eq (req->int1, want.int1);
  ck_assert_int_eq (req->int2, want.int2);
  ck_assert_int_eq (req->pri, 2);
  ck_assert_ptr_eq (req->data, &dummy);
  ck_assert_ptr_eq (req->wd, EIO_CWD);
  ck_assert_int_eq (req->flags, 0);
  if (needs & EIO__PATH)
    ck_assert_str_eq (req->ptr1, "sub/../file");
  else
    ck_assert_ptr_eq (req->ptr1, want.ptr1);
  if (needs & EIO__NAMED)
    ck_assert_str_eq ((char *)req->int3, "user.name");
  else
    ck_assert_int_eq (req->int3, want.int3);
  if (needs & EIO__OFFSET)
    ck_assert_int_eq (*(off_t *)req->ptr2,
                      req->type == EIO_SPLICE ? 13 : 10);
  else if (needs & EIO__VECTOR)
    ck_assert_ptr_eq (((struct iovec *)req->ptr2)->iov_base, buffer);
  else if (!(needs & EIO__STATSX))
    ck_assert_ptr_eq (req->ptr2, want.ptr2);
  eio_cancel (req);
  eio_set_min_parallel (1);
  host_drain ();
}
END_TEST

static int
never (eio_req *req)
{
  (void)req;
  ck_abort_msg ("finish of a cancelled request");
  return 0;
}

START_TEST (cancelled_before_they_execute_nothing_happens)
{
  eio_req *req;
  int i;

  start ();
  eio_set_max_parallel (0);
  prepare_wrappers ();
  memset (faults, 0, sizeof faults);
  req = call_wrapper (_i, never, 0);
  eio_cancel (req);
  eio_set_min_parallel (1);
  host_drain ();
  for (i = F_none + 1; i < CALL_COUNT; ++i)
    ck_assert_msg (i == F_fcntl || i == F_read || i == F_write
                     || i == F_fstat || !calls_of (i),
                   "call %d was made", i);
  ck_assert_uint_eq (eio_nreqs (), 0);

  eio_set_max_parallel (0);
  eio_set_finish_cancelled (1);
  req = call_wrapper (_i, keep, 0);
  eio_cancel (req);
  eio_set_min_parallel (1);
  fails (ECANCELED, req);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_transfers (TCase *tc)
{
  tcase_add_loop_test (tc, vectors_are_moved_in_order, 0, PLACES);
  tcase_add_test (tc, the_array_is_copied_and_the_buffers_are_not);
  tcase_add_test (tc, vectors_that_are_none_fail);
#if HAVE_PREADV2 && defined RWF_HIPRI
  tcase_add_loop_test (tc, rwf_flags_are_obeyed_or_refused, 0, PLACES);
  tcase_add_loop_test (tc, rwf_flags_where_there_are_none_are_enosys, 0, 2);
#endif
  tcase_add_test (tc, vectors_are_moved_one_by_one_where_the_call_is_missing);
  tcase_add_loop_test (tc, all_is_moved_however_short_the_steps, 0, PLACES);
  tcase_add_test (tc, nothing_of_all_is_nothing);
  tcase_add_test (tc, more_than_2_gib_is_moved);
  tcase_add_test (tc, what_stops_it_is_told);
  tcase_add_test (
    tc, pipes_are_read_to_their_end_and_written_as_far_as_they_take);
  tcase_add_test (tc, all_can_be_cancelled_between_steps);
}

static void
add_statx (TCase *tc)
{
  tcase_add_loop_test (tc, statx_says_what_stat_says, 0, PLACES);
  tcase_add_test (tc, statx_shows_only_what_is_valid);
  tcase_add_loop_test (tc, statx_is_made_of_stat_where_it_is_missing, 0, 3);
  tcase_add_test (tc, statx_that_fails_is_not_missing);
#ifdef STATX_BASIC_STATS
  tcase_add_loop_test (tc, statx_says_more_than_stat, 0, PLACES);
#endif
  tcase_add_test (tc, statx_takes_a_buffer_or_allocates_one);
}

static void
add_copies (TCase *tc)
{
  tcase_add_loop_test (tc, ranges_are_copied_by_offset_and_by_position,
                       0, REFUSALS);
  tcase_add_loop_test (tc, bad_copies_fail, 0, REFUSALS);
  tcase_add_loop_test (tc, ranges_of_one_file_must_not_overlap,
                       0, REFUSALS);
  tcase_add_loop_test (tc, pipes_and_devices_are_copied_by_hand,
                       0, REFUSALS);
  tcase_add_loop_test (tc, what_the_target_did_not_take_is_not_lost,
                       0, REFUSALS);
  tcase_add_test (tc, what_a_pipe_gave_is_not_lost);
  tcase_add_loop_test (tc, targets_that_append_take_it_at_their_end,
                       0, REFUSALS);
  tcase_add_loop_test (tc, files_that_pretend_to_be_empty_are_copied,
                       0, REFUSALS);
  tcase_add_loop_test (tc, copies_go_on_after_short_steps, 0, REFUSALS);
  tcase_add_test (tc, copies_that_fail_say_how_far_they_came);
  tcase_add_test (tc, copies_can_be_cancelled_between_steps);
  tcase_add_loop_test (tc, clones_are_made_where_the_file_system_can,
                       0, PLACES);
  tcase_add_loop_test (tc, splice_moves_between_pipes_and_files, 0, PLACES);
  tcase_add_test (tc, tee_copies_what_a_pipe_has);
  tcase_add_loop_test (tc, splice_and_tee_that_are_missing_are_enosys, 0, 2);
}

static void
add_memory (TCase *tc)
{
  tcase_add_loop_test (tc, fadvise_passes_advice_on, 0, PLACES);
  tcase_add_test (tc, madvise_spares_the_neighbours);
  tcase_add_test (tc, mincore_tells_of_whole_pages);
  tcase_add_test (tc, mincore_can_be_cancelled_between_steps);
  tcase_add_test (tc, locked_memory_is_unlocked);
  tcase_add_loop_test (tc, fullsync_is_fsync_where_that_is_enough,
                       0, PLACES);
}

static void
add_extents (TCase *tc)
{
  tcase_add_loop_test (tc, all_extents_are_found_however_many, 0,
                       LENGTH (crowds));
  tcase_add_test (tc, extents_that_grow_meanwhile_are_not_told_twice);
  tcase_add_test (tc, kernels_that_make_no_progress_are_left);
  tcase_add_test (tc, fiemap_can_be_cancelled_between_steps);
  tcase_add_test (tc, fiemap_that_cannot_says_so);
  tcase_add_loop_test (tc, extents_of_a_real_file_are_those_of_filefrag,
                       0, PLACES);
}

static void
add_attributes (TCase *tc)
{
  tcase_add_loop_test (tc, attributes_are_set_got_listed_and_removed,
                       0, PLACES);
  tcase_add_loop_test (tc, links_have_attributes_of_their_own, 0, PLACES);
  tcase_add_loop_test (tc, bad_attributes_fail, 0, PLACES);
  tcase_add_loop_test (tc, attributes_that_are_missing_are_told, 0, 2);
  tcase_add_loop_test (tc, values_that_grow_meanwhile_are_whole, 0, PLACES);
  tcase_add_test (tc, a_value_that_never_fits_is_given_up);
  tcase_add_test (tc, attributes_can_be_cancelled_between_steps);
  tcase_add_test (tc, a_buffer_of_the_callers_is_used);
  tcase_add_test (tc, attributes_are_those_of_getfattr);
  tcase_add_test (tc, wd_without_proc_goes_by_path);
}

static void
add_all (TCase *tc)
{
  tcase_add_test (tc, an_ordinary_user_gets_no_more_than_his_rights);
  tcase_add_test (tc, types_have_their_names);
  tcase_add_loop_test (tc, wrappers_put_parameters_into_their_members, 0,
                       WRAPPERS);
  tcase_add_loop_test (tc, cancelled_before_they_execute_nothing_happens, 0,
                       WRAPPERS);
}

int
main (void)
{
  Suite *suite = suite_create ("fdreqs");

  add_transfers (add_case (suite, "transfers", 60, 0, tear_down));
  add_statx (add_case (suite, "statx", 60, 0, tear_down));
  add_copies (add_case (suite, "copies", 60, 0, tear_down));
  add_memory (add_case (suite, "memory", 60, 0, tear_down));
  add_extents (add_case (suite, "extents", 60, 0, tear_down));
  add_attributes (add_case (suite, "attributes", 60, 0, tear_down));
  add_all (add_case (suite, "all", 60, 0, tear_down));
  return run_suite (suite);
}
