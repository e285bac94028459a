/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Answers at once: eio_set_inline.  eio.c is included with the system calls
 * that these take replaced.  They pretend a kernel that has them all, and all
 * files in memory, on a local file system, whatever the tests run on; each
 * test says what is not so.  Only the last room asks the real kernel. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "counting.h"

#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>

#ifndef RWF_NOWAIT /* musl before 1.2.4: nothing is answered at once */
int
main (void)
{
  puts ("eio.c cannot ask the C library for RWF_NOWAIT");
  return 77;
}
#else

/*****************************************************************************
 * A kernel as the tests want it                                             *
 *****************************************************************************/

enum
{
  C_look,  /* openat2 of nothing but the place, */
  C_open,  /* or of the file */
  C_read,  /* preadv2 */
  C_count, /* cachestat */
  C_kind,  /* statx */
  C_fs,    /* fstatfs */
  C_fcntl,
  C_fstat,
  C_close,
  CALL_COUNT
};

#include "faults.h"

/* Headers may be older than the kernel. */
enum { NR_OPENAT2 = 437, NR_CACHESTAT = 451, CACHED_ONLY = 0x20 };

/* Set in threads that submit: workers are the others. */
static _Thread_local int submits;

/* Calls of threads that submit. */
static atomic_int here[CALL_COUNT];

static void
count_here (int which, int n)
{
  (void)n;
  here[which] += submits;
}

static void
forget_calls (void)
{
  int i;

  for (i = 0; i < CALL_COUNT; ++i)
    faults[i].calls = here[i] = 0;
}

/* Calls are the real ones, and pretend nothing. */
static atomic_int real;

/* What is behind this offset, in any file, is not in memory. */
static atomic_long cold_from = LONG_MAX;

/* A read without waiting moves no more than this, when it is the first. */
static atomic_long most = LONG_MAX;

/* What file systems say they are, and what their numbers are too high by. */
static atomic_long magic = 0xef53; /* ext4 */
static atomic_uint dev_lie;

/* Called between the look at a file and its opening. */
static void (*before_open) (void);

/* Files are block devices. */
static atomic_int are_blocks;

static void
disguise (mode_t *mode)
{
  if (are_blocks && S_ISREG (*mode))
    *mode ^= S_IFREG ^ S_IFBLK;
}

/* A read of a device delivers five bytes of something that is gone then. */
static atomic_int device_reads;

/* How often each descriptor was closed, and any that was not open. */
static atomic_int closes[1024], bad_closes;

/* 1: in threads that submit, 2: everywhere. */
static atomic_int no_memory;

static int
out_of_memory (void)
{
  if (no_memory > 1 - submits)
    errno = ENOMEM;
  return no_memory > 1 - submits;
}

static long
size_of (int fd)
{
  struct stat st;

  return fstat (fd, &st) ? 0 : st.st_size;
}

static int
is_device (int fd)
{
  struct stat st;

  return !fstat (fd, &st) && S_ISCHR (st.st_mode);
}

static ssize_t
fault_preadv2 (int fd, const struct iovec *iov, int n, off_t offset,
               int flags)
{
  long size = iov->iov_len, room = cold_from - offset;
  int turn = calls_of (C_read);

  ck_assert_int_eq (n, 1);
  ck_assert_int_eq (flags, RWF_NOWAIT);
  if (faulty (C_read))
    return -1;
  if (real)
    return preadv2 (fd, iov, n, offset, flags);

  if (is_device (fd))
    {
      ++device_reads;
      memcpy (iov->iov_base, "abcde", size < 5 ? size : 5);
      return size < 5 ? size : 5;
    }
  if (room <= 0 && offset < size_of (fd))
    {
      errno = EAGAIN;
      return -1;
    }
  if (room > 0 && size > room)
    size = room;
  if (!turn && size > most)
    size = most;
  return pread (fd, iov->iov_base, size, offset);
}

static long
fault_cachestat (int fd, const unsigned long long range[2],
                 unsigned long long *count)
{
  long from = range[0], end = range[0] + range[1], size = size_of (fd);

  if (faulty (C_count) || fcntl (fd, F_GETFD) < 0)
    return -1;
  if (real)
    return syscall (NR_CACHESTAT, fd, range, count, 0);

  if (end > size || !range[1])
    end = size;
  if (end > cold_from)
    end = cold_from;
  count[0] = end > from ? (end + 4095) / 4096 - from / 4096 : 0;
  return 0;
}

static int
fault_openat2 (int dirfd, const char *path, const unsigned long long how[3])
{
  int looks = how[0] & O_PATH;
  void (*act) (void) = looks ? 0 : before_open;

  ck_assert_uint_eq (how[1], 0);
  ck_assert_uint_eq (how[2], CACHED_ONLY);
  if (act)
    act ();
  if (faulty (looks ? C_look : C_open))
    return -1;
  return real ? (int)syscall (NR_OPENAT2, dirfd, path, how, 24)
              : openat (dirfd, path, (int)how[0]);
}

static int
fault_statx (int fd, const char *path, int flags, unsigned mask,
             struct statx *stx)
{
  struct stat st;

  ck_assert_str_eq (path, "");
  ck_assert_int_ne (flags & AT_STATX_DONT_SYNC, 0);
  if (faulty (C_kind))
    return -1;
  if (real)
    return statx (fd, path, flags, mask, stx);

  if (fstat (fd, &st))
    return -1;
  memset (stx, 0, sizeof *stx);
  stx->stx_mask = STATX_BASIC_STATS;
  stx->stx_dev_major = major (st.st_dev);
  stx->stx_dev_minor = minor (st.st_dev) + dev_lie;
  disguise (&st.st_mode);
  stx->stx_mode = (unsigned short)st.st_mode;
  stx->stx_nlink = st.st_nlink;
  stx->stx_size = st.st_size;
  return 0;
}

static int
fault_fstatfs (int fd, struct statfs *st)
{
  int res = faulty (C_fs) ? -1 : fstatfs (fd, st);

  if (!real)
    st->f_type = magic;
  return res;
}

static int
fault_fcntl (int fd, int command, void *arg)
{
  return faulty (C_fcntl) ? -1 : fcntl (fd, command, arg);
}

static int
fault_fstat (int fd, struct stat *st)
{
  int res = faulty (C_fstat) ? -1 : fstat (fd, st);

  if (!res)
    disguise (&st->st_mode);
  return res;
}

/* Closes even when it fails. */
static int
fault_close (int fd)
{
  if (close (fd))
    {
      ++bad_closes;
      return -1;
    }
  if (fd < LENGTH (closes))
    ++closes[fd];
  return faulty (C_close) ? -1 : 0;
}

static long
fault_syscall (long number, long a, long b, long c, long d, long e, long f)
{
  switch (number)
    {
    case NR_OPENAT2:
      return fault_openat2 ((int)a, (const char *)b,
                            (const unsigned long long *)c);
    case NR_CACHESTAT:
      return fault_cachestat ((int)a, (const unsigned long long *)b,
                              (unsigned long long *)c);
    case SYS_statx:
      return fault_statx ((int)a, (const char *)b, (int)c, (unsigned)d,
                          (struct statx *)e);
    default: return syscall (number, a, b, c, d, e, f);
    }
}

/* clang-format off */
#define close(fd)    fault_close (fd)
#define posix_close(fd, flags) fault_close (fd)
#define fcntl(...)   FAULT_FCNTL (__VA_ARGS__, 0, 0)
#define fstat(...)   fault_fstat (__VA_ARGS__)
#define fstatfs(...) fault_fstatfs (__VA_ARGS__)
#define preadv2(...) fault_preadv2 (__VA_ARGS__)
#define statx(...)   fault_statx (__VA_ARGS__)
#define syscall(...) FAULT_SYSCALL (__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define FAULT_FCNTL(fd, command, arg, ...) \
  fault_fcntl (fd, command, (void *)(intptr_t)(arg))
#define FAULT_SYSCALL(nr, a, b, c, d, e, f, ...) \
  fault_syscall (nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
                 (long)(f))

#define malloc  fault_malloc
#define calloc  fault_calloc
#define realloc fault_realloc
#define free    fault_free
/* clang-format on */

#include "eio.c"

#undef close
#undef posix_close
#undef fcntl
#undef fstat
#undef fstatfs
#undef preadv2
#undef statx
#undef syscall
#undef malloc
#undef calloc
#undef realloc
#undef free

#include "run.h"
#include "probe.h"

/*****************************************************************************
 * Files, one busy worker, and who answered                                  *
 *****************************************************************************/

enum { MAX = 16384, SIZE = 40000 };

static char content[SIZE];
static char buffer[65536] __attribute__ ((aligned (4096)));
static char path[5000];    /* of a file with that content */
static char missing[5000]; /* of nothing */
static int data;           /* open on the file for reading */

static void
make_files (void)
{
  int i;

  for (i = 0; i < SIZE; ++i)
    content[i] = (char)("abcdefghijklmnopqrstuvwxyz"[i % 26] + i / 4096);
  strcpy (path, scratch_path ("file"));
  strcpy (missing, scratch_path ("missing"));
  write_file (path, content, SIZE);
  data = open (path, O_RDONLY);
  ck_assert_int_ge (data, 0);
}

/* No more than one worker, and none yet. */
static void
prepare_off (void)
{
  before_call = count_here;
  submits = 1;
  prepare_stays ();
  make_files ();
  host_start ();
  eio_set_max_parallel (1);
  forget_calls ();
}

static void
prepare (void)
{
  prepare_off ();
  eio_set_inline (MAX);
}

/* The worker is busy until it is let go: what waits for it waits, and what
 * comes out was answered at once. */
static int held;

static void
hold (void)
{
  ck_assert_ptr_nonnull (eio_custom (stay, 0, 0, 0));
  await_arrivals (1);
  held = 1;
}

static void
let_work (void)
{
  give (&let_go, held);
  held = 0;
}

/* Everything that waits is done. */
static void
release (void)
{
  let_work ();
  host_drain ();
}

/* Has the file system known: the worker asks it before it does the rest. */
static void
learn (const char *name)
{
  run (eio_lstat (name, KEEP));
}

static void
prepare_held (void)
{
  prepare ();
  learn (path);
  hold ();
  forget_calls ();
}

/* Nothing is left to do, and the host knows. */
static void
tear_down (void)
{
  release ();
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  ck_assert_int_eq (host_wants (), host_dones ());
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_int_eq (bad_closes, 0);
}

/* The worker is held, the request was answered when it had been submitted,
 * and eio_poll delivers it. */
static eio_ssize_t
finish_here (int line, const char *call, eio_req *req)
{
  ck_assert_ptr_nonnull (req);
  ck_assert_msg (eio_nready () == 0, "line %d: %s waits for a worker", line,
                 call);
  ck_assert_int_eq (req->result, 0);
  ck_assert_int_eq (req->errorno, 0);
  if (got.flags & EIO_FLAG_PTR2_FREE)
    free (got.ptr2);
  memset (&got, 0, sizeof got);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_msg (got.finish == keep, "line %d: %s is lost", line, call);
  return got.result;
}

/* The worker is held, and the request waits for it. */
static eio_ssize_t
finish_there (int line, const char *call, eio_req *req)
{
  eio_ssize_t result;

  ck_assert_msg (eio_nready () == 1, "line %d: %s was answered at once", line,
                 call);
  ck_assert_int_eq (eio_poll (), 0);
  let_work ();
  result = run (req);
  hold ();
  return result;
}

#define at_once(want, ...) \
  expect (__LINE__, #__VA_ARGS__, \
          finish_here (__LINE__, #__VA_ARGS__, __VA_ARGS__), want, 0)
#define by_worker(want, error, ...) \
  expect (__LINE__, #__VA_ARGS__, \
          finish_there (__LINE__, #__VA_ARGS__, __VA_ARGS__), want, error)

static void
expect_bytes (const void *bytes, int offset, int size)
{
  ck_assert_mem_eq (bytes, content + offset, size);
}

static void
expect_same (const struct stat *a, const struct stat *b)
{
  ck_assert_uint_eq (a->st_dev, b->st_dev);
  ck_assert_uint_eq (a->st_ino, b->st_ino);
  ck_assert_uint_eq (a->st_mode, b->st_mode);
  ck_assert_uint_eq (a->st_nlink, b->st_nlink);
  ck_assert_uint_eq (a->st_uid, b->st_uid);
  ck_assert_uint_eq (a->st_rdev, b->st_rdev);
  ck_assert_int_eq (a->st_size, b->st_size);
  ck_assert_int_eq (a->st_mtim.tv_nsec, b->st_mtim.tv_nsec);
  ck_assert_int_eq (a->st_ctim.tv_nsec, b->st_ctim.tv_nsec);
}

/* What the library closes by itself, a worker closes some time. */
static void
await_fds (int n)
{
  release ();
  wait_until (count_fds () == n);
}

/* A descriptor that the library has not closed yet. */
static int
fresh (int fd)
{
  ck_assert_int_ge (fd, 0);
  closes[fd] = 0;
  return fd;
}

static void
fill (probe *p, int type)
{
  probe_fill (p, type);
  p->req.int1 = type == EIO_OPEN ? O_RDONLY : data;
  p->req.ptr1 = path;
  if (type == EIO_READ)
    {
      p->req.ptr2 = buffer;
      p->req.size = 100;
    }
}

static void
start (probe *p, int type)
{
  fill (p, type);
  eio_submit (&p->req);
}

static void
expect_counters (unsigned nreqs, unsigned nready, unsigned npending)
{
  ck_assert_uint_eq (eio_nreqs (), nreqs);
  ck_assert_uint_eq (eio_nready (), nready);
  ck_assert_uint_eq (eio_npending (), npending);
}

/* Every kind of request that may be answered at once, by whoever, comes out
 * right and leaves no descriptor behind. */
static void
try_everything (void)
{
  int fds = count_fds (), fd;

  memset (buffer, '-', sizeof buffer);
  gives (MAX, eio_read (data, buffer, MAX, 5, KEEP));
  expect_bytes (buffer, 5, MAX);
  gives (100, eio_read (data, 0, 4096, SIZE - 100, KEEP));
  expect_bytes (got.ptr2, SIZE - 100, 100);
  gives (0, eio_read (data, buffer, 10, SIZE, KEEP));
  fails (EBADF, eio_read (-1, buffer, 10, 0, KEEP));

  fd = (int)run (eio_open (path, O_RDONLY | O_CLOEXEC, 0, KEEP));
  ck_assert_msg (fd >= 0, "open: %s", strerror (got.errorno));
  ck_assert_int_eq (pread (fd, buffer, SIZE, 0), SIZE);
  expect_bytes (buffer, 0, SIZE);
  ck_assert_int_eq (fcntl (fd, F_GETFL) & O_NONBLOCK, 0);
  ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);
  gives (0, eio_fstat (fd, KEEP));
  ck_assert_int_eq (got_stat.st_size, SIZE);
  gives (0, eio_close (fd, KEEP));
  ck_assert_int_eq (fcntl (fd, F_GETFD), -1);

  gives (0, eio_stat (path, KEEP));
  ck_assert_int_eq (got_stat.st_size, SIZE);
  gives (0, eio_lstat (path, KEEP));
  ck_assert_int_eq (got_stat.st_size, SIZE);
  fails (ENOENT, eio_stat (missing, KEEP));
  fails (ENOENT, eio_open (missing, O_RDONLY, 0, KEEP));
  wait_until (count_fds () == fds);
}

/*****************************************************************************
 * The setting                                                               *
 *****************************************************************************/

static void
expect_no_calls (void)
{
  int i;

  for (i = 0; i < CALL_COUNT; ++i)
    ck_assert_msg (!here[i], "call %d, by who submits", i);
  ck_assert_int_eq (calls_of (C_look) + calls_of (C_open) + calls_of (C_read)
                      + calls_of (C_count) + calls_of (C_kind)
                      + calls_of (C_fs), 0);
}

static void
expect_nothing_at_once (void)
{
  int fd;

  hold ();
  forget_calls ();
  by_worker (100, 0, eio_read (data, buffer, 100, 0, KEEP));
  by_worker (0, 0, eio_stat (path, KEEP));
  by_worker (0, 0, eio_lstat (path, KEEP));
  by_worker (0, 0, eio_fstat (data, KEEP));
  fd = (int)finish_there (__LINE__, "open", eio_open (path, 0, 0, KEEP));
  ck_assert_int_ge (fd, 0);
  by_worker (0, 0, eio_close (fd, KEEP));
  expect_no_calls ();
}

START_TEST (nothing_is_answered_at_once_by_default)
{
  ck_assert_uint_eq (eio_get_inline (), 0);
  expect_nothing_at_once ();
}
END_TEST

START_TEST (zero_switches_it_off_again)
{
  eio_set_inline (MAX);
  try_everything ();
  ck_assert_int_gt (here[C_read], 0);
  ck_assert_int_gt (here[C_look], 0);
  eio_set_inline (0);
  ck_assert_uint_eq (eio_get_inline (), 0);
  expect_nothing_at_once ();
}
END_TEST

START_TEST (setting_is_read_back)
{
  static const size_t values[] = { 1, 4096, 16384, SIZE_MAX, 0 };
  int i;

  for (i = 0; i < LENGTH (values); ++i)
    {
      eio_set_inline (values[i]);
      ck_assert_uint_eq (eio_get_inline (), values[i]);
    }
}
END_TEST

static void
expect_reads_at_once (void)
{
  ck_assert_uint_eq (eio_get_inline (), MAX);
  gives (100, eio_read (data, buffer, 100, 7, KEEP));
  expect_bytes (buffer, 7, 100);
  ck_assert_uint_eq (eio_nthreads (), 0);
}

START_TEST (setting_is_kept_by_eio_init)
{
  expect_reads_at_once ();
  host_start ();
  expect_reads_at_once ();
}
END_TEST

/* What the parent knows and has outstanding is nothing to the child. */
START_TEST (setting_is_kept_in_a_forked_child)
{
  int status;
  pid_t pid;

  if (!child_may_start_threads ())
    return;
  learn (path);
  hold ();
  eio_read (data, buffer, 100, 0, 0, 0, 0);
  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      host_start ();
      expect_reads_at_once ();
      eio_set_min_parallel (1);
      try_everything ();
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
}
END_TEST

/*****************************************************************************
 * Reads                                                                     *
 *****************************************************************************/

START_TEST (cached_read_is_answered_without_a_worker)
{
  probe p;

  memset (buffer, '-', sizeof buffer);
  fill (&p, EIO_READ);
  p.req.size = 5000;
  p.req.offs = 300;
  eio_submit (&p.req);
  ck_assert_uint_eq (eio_nthreads (), 0);
  expect_counters (1, 0, 1);
  assert_live (&p);
  ck_assert_int_eq (p.req.result, 0);
  ck_assert_int_eq (p.req.errorno, 0);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (host_wants (), 1);
  ck_assert_int_eq (host_dones (), 0);

  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&p);
  ck_assert_int_eq (p.result, 5000);
  ck_assert_int_eq (p.errorno, 0);
  ck_assert_uint_eq (p.nreqs, 0);
  expect_bytes (buffer, 300, 5000);
  ck_assert_int_eq (buffer[5000], '-');
  expect_counters (0, 0, 0);
  ck_assert_int_eq (host_wants (), 1);
  ck_assert_int_eq (host_dones (), 1);
  ck_assert_int_eq (host_wait (0), 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
}
END_TEST

/* One signal for all of them, and order by priority. */
START_TEST (answers_wait_for_eio_poll)
{
  static const int pris[] = { 0, -4, 4, 0 };
  probe p[LENGTH (pris)];
  int i;

  for (i = 0; i < LENGTH (pris); ++i)
    {
      fill (&p[i], EIO_READ);
      p[i].req.pri = (signed char)pris[i];
      eio_submit (&p[i].req);
    }
  expect_counters (4, 0, 4);
  for (i = 0; i < LENGTH (pris); ++i)
    assert_live (&p[i]);
  ck_assert_int_eq (host_wants (), 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (host_dones (), 1);
  ck_assert_int_lt (p[2].finish_turn, p[0].finish_turn);
  ck_assert_int_lt (p[0].finish_turn, p[3].finish_turn);
  ck_assert_int_lt (p[3].finish_turn, p[1].finish_turn);
}
END_TEST

START_TEST (reads_go_at_once_up_to_max_bytes)
{
  int max = _i ? MAX : 1;

  eio_set_inline (max);
  at_once (max, eio_read (data, buffer, max, 11, KEEP));
  expect_bytes (buffer, 11, max);
  by_worker (max + 1, 0, eio_read (data, buffer, max + 1, 11, KEEP));
  expect_bytes (buffer, 11, max + 1);
  ck_assert_int_eq (calls_of (C_read), 1);
}
END_TEST

START_TEST (reads_that_are_not_for_this_go_to_a_worker)
{
  ck_assert_int_eq (lseek (data, 50, SEEK_SET), 50);
  by_worker (10, 0, eio_read (data, buffer, 10, -1, KEEP));
  expect_bytes (buffer, 50, 10);
  ck_assert_int_eq (lseek (data, 0, SEEK_CUR), 60);
  by_worker (0, 0, eio_read (data, buffer, 0, 0, KEEP));
  by_worker (0, 0, eio_read (data, 0, 0, 0, KEEP));
  ck_assert_ptr_nonnull (got.ptr2);
  ck_assert_int_eq (calls_of (C_read), 0);
}
END_TEST

START_TEST (reads_do_not_move_the_position)
{
  ck_assert_int_eq (lseek (data, 50, SEEK_SET), 50);
  at_once (10, eio_read (data, buffer, 10, 0, KEEP));
  at_once (100, eio_read (data, buffer, 4096, SIZE - 100, KEEP));
  ck_assert_int_eq (lseek (data, 0, SEEK_CUR), 50);
}
END_TEST

/* Requests wait until there may be workers again. */
START_TEST (nothing_is_answered_while_no_worker_is_allowed)
{
  static const int types[] = { EIO_READ, EIO_STAT, EIO_LSTAT, EIO_FSTAT,
                               EIO_OPEN, EIO_CLOSE };
  probe p[LENGTH (types)];
  int i;

  learn (path);
  eio_set_max_parallel (0);
  forget_calls ();
  for (i = 0; i < LENGTH (types); ++i)
    start (&p[i], types[i]);
  expect_counters (LENGTH (types), LENGTH (types), 0);
  expect_no_calls ();
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (host_wait (0), 0);
  resume (1);
  host_drain ();
  for (i = 0; i < LENGTH (types); ++i)
    {
      assert_done (&p[i]);
      ck_assert_int_ge (p[i].result, 0);
    }
}
END_TEST

static const struct
{
  int fd, error;
} bad_reads[] = { { -1, EBADF }, { 1000, EBADF }, { 60, EISDIR },
                  { 61, EBADF }, { 62, ESPIPE } };

START_TEST (reads_that_fail_fail_as_ever)
{
  int ends[2];

  ck_assert_int_eq (dup2 (open (scratch (), O_RDONLY), 60), 60);
  ck_assert_int_eq (dup2 (open (path, O_WRONLY), 61), 61);
  ck_assert_int_eq (pipe (ends), 0);
  ck_assert_int_eq (dup2 (ends[0], 62), 62);
  arm (C_count, EPERM, 0, FOR_EVER);
  fails (bad_reads[_i].error,
         eio_read (bad_reads[_i].fd, buffer, 10, 0, KEEP));
  fails (bad_reads[_i].error, eio_read (bad_reads[_i].fd, 0, 10, 0, KEEP));
  ck_assert_ptr_null (got.ptr2);
  gives (10, eio_read (data, buffer, 10, 0, KEEP));
}
END_TEST

/* --- the library's buffers ---------------------------------------------- */

START_TEST (buffer_of_the_library_is_the_requests_and_freed_once)
{
  long before = live;
  probe p;

  fill (&p, EIO_READ);
  p.req.ptr2 = 0;
  p.req.size = 5000;
  eio_submit (&p.req);
  ck_assert_int_eq (live, before + 1);
  ck_assert_ptr_nonnull (p.req.ptr2);
  ck_assert_int_eq (p.req.flags & EIO_FLAG_PTR2_FREE, EIO_FLAG_PTR2_FREE);
  expect_bytes (p.req.ptr2, 0, 5000);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&p);
  ck_assert_int_eq (live, before);
}
END_TEST

START_TEST (short_read_zeroes_the_rest_of_our_buffer)
{
  static const char zeros[3996];

  at_once (100, eio_read (data, 0, 4096, SIZE - 100, KEEP));
  expect_bytes (got.ptr2, SIZE - 100, 100);
  ck_assert_mem_eq ((char *)got.ptr2 + 100, zeros, sizeof zeros);
}
END_TEST

/* What the try has allocated, the worker does not find. */
START_TEST (buffer_is_null_again_where_a_worker_takes_over)
{
  long before = live;
  probe p;

  cold_from = 4096;
  fill (&p, EIO_READ);
  p.req.ptr2 = 0;
  p.req.size = 8192;
  eio_submit (&p.req);
  ck_assert_int_gt (here[C_read], 0);
  expect_counters (2, 1, 0);
  ck_assert_ptr_null (p.req.ptr2);
  ck_assert_int_eq (p.req.flags, 0);
  ck_assert_int_eq (live, before);
  release ();
  assert_done (&p);
  ck_assert_int_eq (p.result, 8192);
  ck_assert_int_eq (live, before - 1); /* the one that held the worker */
}
END_TEST

START_TEST (without_memory_for_a_buffer_the_worker_says_so)
{
  probe p;

  no_memory = 2;
  fill (&p, EIO_READ);
  p.req.ptr2 = 0;
  eio_submit (&p.req);
  expect_counters (2, 1, 0);
  release ();
  no_memory = 0;
  assert_done (&p);
  ck_assert_int_eq (p.result, -1);
  ck_assert_int_eq (p.errorno, ENOMEM);
}
END_TEST

/* --- short counts ------------------------------------------------------- */

START_TEST (less_is_delivered_at_the_end_of_the_file_only)
{
  at_once (100, eio_read (data, buffer, 4096, SIZE - 100, KEEP));
  expect_bytes (buffer, SIZE - 100, 100);
  at_once (100, eio_read (data, buffer, 100, SIZE - 100, KEEP));
  expect_bytes (buffer, SIZE - 100, 100);
}
END_TEST

/* The rest is not in memory, or could not be had for another reason; of a file
 * or a block device, or of what cannot be told. */
START_TEST (worker_delivers_what_is_not_all_in_memory)
{
  memset (buffer, '-', sizeof buffer);
  if (_i == 0)
    most = 1000;
  else
    cold_from = 8192;
  are_blocks = _i == 2;
  if (_i == 3)
    {
      arm (C_fstat, EIO, 0, FOR_EVER);
      arm (C_kind, EIO, 0, FOR_EVER);
    }
  by_worker (8192, 0, eio_read (data, buffer, 8192, 4096, KEEP));
  expect_bytes (buffer, 4096, 8192);
  ck_assert_int_eq (buffer[8192], '-');
}
END_TEST

START_TEST (end_that_cannot_be_seen_is_left_to_a_worker)
{
  arm (C_read, EIO, 1, FOR_EVER);
  arm (C_kind, EIO, 0, FOR_EVER);
  gives (100, eio_read (data, buffer, 4096, SIZE - 100, KEEP));
  expect_bytes (buffer, SIZE - 100, 100);
}
END_TEST

/* Also when the kernel is not asked any more what it has in memory: then who
 * looks for the end again and again has it at once. */
START_TEST (behind_the_end_of_the_file_is_nothing)
{
  int i;

  for (i = 0; i < 40; ++i)
    {
      gives (0, eio_read (data, buffer, 100, SIZE + i % 2 * 100000, KEEP));
      gives (10, eio_read (data, buffer, 10, 0, KEEP));
    }
  hold ();
  at_once (0, eio_read (data, buffer, 100, SIZE, KEEP));
  at_once (0, eio_read (data, buffer, 100, SIZE + 100000, KEEP));
}
END_TEST

/* What comes short from a device is all of it: to look for more would take
 * the next. */
START_TEST (device_is_read_once)
{
  int fd = open ("/dev/null", O_RDONLY);

  arm (C_count, EPERM, 0, FOR_EVER);
  gives (5, eio_read (fd, buffer, 100, 0, KEEP));
  ck_assert_mem_eq (buffer, "abcde", 5);
  ck_assert_int_eq (device_reads, 1);
}
END_TEST

/* --- cold data ---------------------------------------------------------- */

/* Reads a little, by whoever; returns whether it was answered at once. */
static int
try_read_of (int fd)
{
  eio_req *req = eio_read (fd, buffer, 100, 9, KEEP);
  int here = !eio_nready ();

  memset (buffer, '-', 100);
  expect (__LINE__, "read", here ? finish_here (__LINE__, "read", req)
                                 : finish_there (__LINE__, "read", req),
          100, 0);
  if (!here)
    expect_bytes (buffer, 9, 100);
  return here;
}

/* Of so many reads, how many are answered at once. */
static int
count_hits (int reads)
{
  int hits = 0;

  while (reads--)
    hits += try_read_of (data);
  return hits;
}

START_TEST (cold_data_is_not_asked_for_by_the_submitter)
{
  cold_from = 0;
  ck_assert_int_eq (count_hits (40), 0);
  ck_assert_int_eq (here[C_read], 0);
  cold_from = LONG_MAX;
  ck_assert_int_eq (count_hits (5), 5);
}
END_TEST

/* After many hits, there is no need to ask; after a miss, there is. */
START_TEST (what_is_in_memory_is_not_asked_for_ever)
{
  ck_assert_int_eq (count_hits (200), 200);
  ck_assert_int_lt (calls_of (C_count), 100);
  cold_from = 0;
  forget_calls ();
  ck_assert_int_eq (count_hits (40), 0);
  ck_assert_int_le (here[C_read], 3);
  cold_from = LONG_MAX;
  ck_assert_int_ge (count_hits (10), 5);
}
END_TEST

static const int refusals[] = { ENOSYS, EPERM, EOPNOTSUPP };

/* Where the kernel does not say what it has in memory, misses teach. */
START_TEST (misses_become_rare_and_end)
{
  int tries, i;

  arm (C_count, refusals[_i], 0, FOR_EVER);
  cold_from = 0;
  ck_assert_int_eq (count_hits (300), 0);
  tries = here[C_read];
  ck_assert_int_ge (tries, 3);
  ck_assert_int_le (tries, 20);

  cold_from = LONG_MAX;
  for (i = 0; !count_hits (1); ++i)
    ck_assert_int_lt (i, 100);
  ck_assert_int_eq (count_hits (100), 100);
}
END_TEST

START_TEST (one_miss_is_soon_forgotten)
{
  int i;

  arm (C_count, EPERM, 0, FOR_EVER);
  for (i = 0; i < 3; ++i)
    {
      arm (C_read, EAGAIN, 0, 1);
      ck_assert_int_eq (count_hits (1), 0);
      ck_assert_int_ge (count_hits (4), 2);
      ck_assert_int_eq (count_hits (10), 10);
    }
}
END_TEST

START_TEST (misses_of_a_descriptor_are_its_own)
{
  int other = dup (data);

  arm (C_count, EPERM, 0, FOR_EVER);
  cold_from = 0;
  count_hits (100);
  cold_from = LONG_MAX;
  ck_assert_int_eq (try_read_of (other), 1);
}
END_TEST

/* RWF_NOWAIT does not keep a read from waiting for the device there. */
START_TEST (direct_reads_go_to_a_worker)
{
  int fd = open (path, O_RDONLY | O_DIRECT), i;

  if (fd < 0)
    return; /* a file system that has none */
  if (_i)
    { /* a descriptor whose number has been trusted */
      ck_assert_int_eq (count_hits (100), 100);
      ck_assert_int_eq (dup2 (fd, data), data);
      fd = data;
    }
  forget_calls ();
  for (i = 0; i < 3; ++i)
    {
      by_worker (4096, 0, eio_read (fd, buffer, 4096, 8192, KEEP));
      expect_bytes (buffer, 8192, 4096);
    }
  ck_assert_int_eq (here[C_read], 0);
}
END_TEST

/*****************************************************************************
 * Calls that are missing, refused, or fail                                  *
 *****************************************************************************/

static const struct
{
  int call, error, first;
} obstacles[] = {
  { C_look, ENOSYS, 0 },  { C_look, EPERM, 0 },      { C_look, EAGAIN, 0 },
  { C_look, EINVAL, 0 },
  { C_look, EMFILE, 0 },  { C_look, EINTR, 0 },      { C_open, ENOSYS, 0 },
  { C_open, EAGAIN, 0 },  { C_open, EMFILE, 0 },     { C_open, EPERM, 1 },
  { C_read, ENOSYS, 0 },  { C_read, EOPNOTSUPP, 0 }, { C_read, EAGAIN, 0 },
  { C_read, EINVAL, 0 },  { C_read, EINTR, 0 },      { C_read, EIO, 1 },
  { C_count, ENOSYS, 0 }, { C_count, EPERM, 0 },     { C_count, EINTR, 0 },
  { C_kind, ENOSYS, 0 },  { C_kind, EPERM, 0 },      { C_kind, EIO, 1 },
  { C_fs, ENOSYS, 0 },    { C_fs, EIO, 0 },          { C_fcntl, EPERM, 0 },
  { C_fcntl, EINVAL, 1 }
};

START_TEST (everything_works_all_the_same)
{
  int i;

  arm (obstacles[_i].call, obstacles[_i].error, obstacles[_i].first,
       FOR_EVER);
  for (i = 0; i < 3; ++i)
    try_everything ();
  ck_assert_int_gt (calls_of (obstacles[_i].call), 0);
  arm (obstacles[_i].call, 0, 0, 0);
  for (i = 0; i < 3; ++i)
    try_everything ();
}
END_TEST

static const struct
{
  int call, error, times; /* how often it is made then, the look without a
                             file included; -1: again and again */
} absent[] = {
  { C_look, ENOSYS, 1 },  { C_look, EPERM, 2 },  { C_look, EINVAL, 2 },
  { C_look, ENOENT, -1 }, { C_kind, ENOSYS, 1 }, { C_kind, EPERM, 2 },
  { C_kind, EINVAL, 2 },  { C_kind, EIO, -1 },
};

START_TEST (missing_calls_are_not_made_again)
{
  int i;

  arm (absent[_i].call, absent[_i].error, 0, FOR_EVER);
  for (i = 0; i < 20; ++i)
    {
      by_worker (0, 0, eio_stat (path, KEEP));
      if (absent[_i].call == C_kind)
        by_worker (0, 0, eio_fstat (data, KEEP));
    }
  if (absent[_i].times < 0)
    ck_assert_int_ge (calls_of (absent[_i].call), 20);
  else
    ck_assert_int_eq (calls_of (absent[_i].call), absent[_i].times);
}
END_TEST

START_TEST (reads_remember_what_is_missing)
{
  arm (C_read, refusals[_i], 0, FOR_EVER);
  ck_assert_int_eq (count_hits (300), 0);
  ck_assert_int_eq (calls_of (C_read), refusals[_i] == ENOSYS ? 1 : 2);
}
END_TEST

/* As a name may have that its directory does not allow. */
START_TEST (errors_of_one_file_are_not_remembered)
{
  static const int errors[] = { EPERM, EINVAL, EOPNOTSUPP };

  arm (_i % 2 ? C_look : C_read, errors[_i / 2], 0, 1);
  if (_i % 2)
    {
      by_worker (0, 0, eio_stat (path, KEEP));
      at_once (0, eio_stat (path, KEEP));
    }
  else
    {
      ck_assert_int_eq (count_hits (1), 0);
      ck_assert_int_ge (count_hits (20), 15);
    }
}
END_TEST

START_TEST (reads_do_without_being_told_what_is_in_memory)
{
  static const int errors[] = { ENOSYS, EPERM, EINVAL };

  arm (C_count, errors[_i], 0, FOR_EVER);
  ck_assert_int_eq (count_hits (10), 10);
  ck_assert_int_eq (calls_of (C_count), _i ? 2 : 1);
}
END_TEST

/* Whatever fails for opens and stats is nothing to reads. */
START_TEST (reads_need_no_more_than_their_call)
{
  int i;

  for (i = 0; i < CALL_COUNT; ++i)
    if (i != C_read && i != C_fcntl)
      arm (i, ENOSYS, 0, FOR_EVER);
  at_once (100, eio_read (data, buffer, 100, 3, KEEP));
  expect_bytes (buffer, 3, 100);
}
END_TEST

/* Everywhere: between the look and the opening, and after it. */
START_TEST (open_that_fails_half_way_leaves_nothing)
{
  static const int steps[] = { C_kind, C_open, C_fcntl, C_fstat };
  int fds = count_fds (), fd;

  arm (steps[_i], EIO, 0, FOR_EVER);
  fd = (int)finish_there (__LINE__, "open", eio_open (path, 0, 0, KEEP));
  arm (steps[_i], 0, 0, 0);
  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (fcntl (fd, F_GETFL) & O_NONBLOCK, 0);
  close (fd);
  await_fds (fds);
}
END_TEST

/*****************************************************************************
 * Open                                                                      *
 *****************************************************************************/

static const int open_flags[]
  = { O_RDONLY, O_CLOEXEC, O_NOFOLLOW, O_NOCTTY, O_NONBLOCK,
      O_CLOEXEC | O_NOFOLLOW | O_NOCTTY };

static void
expect_open_as (int fd, int like)
{
  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (fcntl (fd, F_GETFL), fcntl (like, F_GETFL));
  ck_assert_int_eq (fcntl (fd, F_GETFD), fcntl (like, F_GETFD));
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 0);
  ck_assert_int_eq (read (fd, buffer, SIZE), SIZE);
  expect_bytes (buffer, 0, SIZE);
}

START_TEST (cached_file_is_opened_at_once)
{
  int fds = count_fds (), flags = open_flags[_i], like = open (path, flags);
  int fd = (int)finish_here (__LINE__, "open",
                             eio_open (path, flags, 0, KEEP));

  expect_open_as (fd, like);
  close (fd);
  close (like);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* At once too: by a link, and relative to a directory. */
START_TEST (file_is_found_from_where_it_is_named)
{
  const char *link = scratch_path ("link");
  eio_wd wd = eio_wd_open_sync (EIO_CWD, scratch ());
  int fds = count_fds (), fd, like = open (path, O_RDONLY);
  eio_req todo = { .type = EIO_OPEN, .wd = wd, .ptr1 = "file" };

  ck_assert_int_eq (symlink ("file", link), 0);
  fd = (int)finish_here (__LINE__, "link", eio_open (link, 0, 0, KEEP));
  expect_open_as (fd, like);
  close (fd);
  fd = (int)finish_here (__LINE__, "wd", submit (todo));
  expect_open_as (fd, like);
  close (fd);
  todo.type = EIO_STAT;
  at_once (0, submit (todo));
  ck_assert_int_eq (got_stat.st_size, SIZE);
  close (like);
  ck_assert_int_eq (count_fds (), fds);
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (wd_that_is_invalid_is_for_a_worker_to_say)
{
  static const int types[] = { EIO_OPEN, EIO_STAT, EIO_LSTAT };
  eio_req todo = { .type = types[_i], .wd = EIO_INVALID_WD, .ptr1 = path };

  by_worker (-1, ENOENT, submit (todo));
  todo.wd = EIO_CWD;
  todo.ptr1 = 0;
  by_worker (-1, EINVAL, submit (todo));
  expect_no_calls ();
}
END_TEST

static void
make_socket (const char *name)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM, 0);

  ck_assert_int_lt (snprintf (a.sun_path, sizeof a.sun_path, "%s", name),
                    sizeof a.sun_path);
  ck_assert_int_eq (bind (fd, (struct sockaddr *)&a, sizeof a), 0);
  close (fd);
}

/* Of all kinds, in the scratch directory. */
static void
make_odd_files (void)
{
  ck_assert_int_eq (mkfifo (scratch_path ("fifo"), 0600), 0);
  make_socket (scratch_path ("socket"));
  ck_assert_int_eq (mkdir (scratch_path ("dir"), 0700), 0);
  ck_assert_int_eq (symlink ("file", scratch_path ("link")), 0);
  ck_assert_int_eq (symlink ("nothing", scratch_path ("dangling")), 0);
  ck_assert_int_eq (symlink ("loop", scratch_path ("loop")), 0);
  ck_assert_int_eq (symlink ("/dev/null", scratch_path ("device")), 0);
}

/* clang-format off */
static const struct
{
  const char *name;
  int flags;
} odd_opens[] = {
  { "fifo", O_RDWR }, { "fifo", O_RDONLY | O_NONBLOCK },
  { "fifo", O_WRONLY | O_NONBLOCK }, { "socket", O_RDONLY },
  { "dir", O_RDONLY }, { "dir", O_RDONLY | O_DIRECTORY }, { "dir", O_RDWR },
  { ".", O_RDONLY }, { "", O_RDONLY }, { "file", O_RDONLY | O_DIRECTORY },
  { "link", O_NOFOLLOW }, { "loop", O_RDONLY }, { "dangling", O_RDONLY },
  { "missing", O_RDONLY }, { "file/", O_RDONLY }, { "file/x", O_RDONLY },
  { "device", O_RDONLY }, { "device", O_RDWR }, { "file", O_WRONLY },
  { "file", O_RDWR }, { "file", O_RDONLY | O_APPEND },
  { "file", O_RDONLY | O_SYNC },
  { "file", O_RDONLY | O_NOATIME }, { "file", O_RDONLY | O_DIRECT },
  { "file", O_PATH }, { "file", O_ACCMODE }, { "new", O_RDONLY | O_CREAT },
  { "newer", O_WRONLY | O_CREAT }, { "file", O_CREAT | O_EXCL },
  { "file", O_RDONLY | O_TRUNC }, { "file", O_RDWR | O_TRUNC }
};
/* clang-format on */

/* With the result that the system has for it, but never opened by who submits:
 * that may wait, or do things. */
START_TEST (other_opens_go_to_a_worker)
{
  const char *name = odd_opens[_i].name;
  int flags = odd_opens[_i].flags, fds, like, error, fd;

  if (geteuid () && flags & O_NOATIME)
    return;
  make_odd_files ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  errno = 0;
  like = open (name, flags, 0600);
  error = errno;
  fds = count_fds ();

  fd = (int)finish_there (__LINE__, name, eio_open (name, flags, 0600, KEEP));
  ck_assert_int_eq (got.errorno, error);
  ck_assert_int_eq (fd >= 0, like >= 0);
  ck_assert_int_eq (here[C_open], 0);
  if (fd >= 0)
    {
      ck_assert_int_eq (fcntl (fd, F_GETFL), fcntl (like, F_GETFL));
      ck_assert_int_eq (fcntl (fd, F_GETFD), fcntl (like, F_GETFD));
      close (fd);
    }
  await_fds (fds);
}
END_TEST

/* Opens the other end as soon as somebody waits for it. */
static int
await_reader (const char *fifo)
{
  int fd;

  wait_until ((fd = open (fifo, O_WRONLY | O_NONBLOCK)) >= 0);
  return fd;
}

static void
expect_reading_end (int fd, int writer)
{
  char c = 0;

  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (fcntl (fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), 0);
  ck_assert_int_eq (write (writer, "x", 1), 1);
  ck_assert_int_eq (read (fd, &c, 1), 1);
  ck_assert_int_eq (c, 'x');
}

START_TEST (fifo_is_opened_when_a_writer_comes)
{
  static const char *const names[] = { "fifo", "dir/../fifo", "to_fifo" };
  const char *fifo = scratch_path (names[_i]);
  int writer;
  probe p;

  make_odd_files ();
  ck_assert_int_eq (symlink ("fifo", scratch_path ("to_fifo")), 0);
  fill (&p, EIO_OPEN);
  p.req.ptr1 = (char *)fifo;
  eio_submit (&p.req);
  expect_counters (2, 1, 0);
  let_work ();
  wait_until ((eio_poll (), eio_nready () == 0 && eio_nreqs () == 1));
  assert_live (&p);
  ck_assert_int_eq (calls_of (C_open), 0);

  writer = await_reader (fifo);
  host_drain ();
  assert_done (&p);
  expect_reading_end ((int)p.result, writer);
}
END_TEST

/* --- swapped between look and open -------------------------------------- */

static char in_its_place[5000]; /* "" for nothing */

static void
swap (void)
{
  before_open = 0;
  ck_assert_int_eq (unlink (path), 0);
  if (in_its_place[0])
    ck_assert_int_eq (rename (in_its_place, path), 0);
}

static eio_req *
open_swapped (const char *name)
{
  make_odd_files ();
  strcpy (in_its_place, name ? scratch_path (name) : "");
  before_open = swap;
  return eio_open (path, O_RDONLY, 0, KEEP);
}

START_TEST (file_that_becomes_a_fifo_does_not_block)
{
  int fds = count_fds (), fd, writer;

  open_swapped ("fifo");
  ck_assert_uint_eq (eio_nready (), 1);
  let_work ();
  writer = await_reader (path);
  host_drain ();
  fd = (int)got.result;
  expect_reading_end (fd, writer);
  close (fd);
  close (writer);
  await_fds (fds);
}
END_TEST

static const struct
{
  const char *name;
  int error;
} swaps[] = { { "dir", 0 }, { "device", 0 }, { 0, ENOENT },
              { "dangling", ENOENT }, { "socket", ENXIO }, { "link", ELOOP } };

START_TEST (file_that_becomes_another_is_opened_by_a_worker)
{
  int fds = count_fds (), fd;
  struct stat st, like;

  fd = (int)finish_there (__LINE__, "open", open_swapped (swaps[_i].name));
  ck_assert_int_eq (got.errorno, swaps[_i].error);
  ck_assert_int_eq (fd >= 0, !swaps[_i].error);
  if (fd >= 0)
    {
      ck_assert_int_eq (fcntl (fd, F_GETFL) & O_NONBLOCK, 0);
      ck_assert_int_eq (fstat (fd, &st), 0);
      ck_assert_int_eq (stat (path, &like), 0);
      expect_same (&st, &like);
      close (fd);
    }
  await_fds (fds);
}
END_TEST

START_TEST (file_in_the_place_of_another_is_opened)
{
  int fds = count_fds (), fd;

  write_file (scratch_path ("other"), "other", 5);
  fd = (int)finish_here (__LINE__, "open", open_swapped ("other"));
  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (read (fd, buffer, 10), 5);
  ck_assert_mem_eq (buffer, "other", 5);
  close (fd);
  await_fds (fds);
}
END_TEST

/* The one who has it is asked to give it up, and takes its time. */
START_TEST (leased_file_does_not_block)
{
  const char *name = scratch_path ("leased");
  int holder, fd;
  eio_req *req;

  signal (SIGIO, SIG_IGN);
  holder = open (name, O_RDWR | O_CREAT, 0600);
  if (fcntl (holder, F_SETLEASE, F_WRLCK))
    return; /* a file system that has none */
  req = eio_open (name, O_RDONLY, 0, KEEP);
  ck_assert_uint_eq (eio_nready (), 1);
  ck_assert_int_eq (fcntl (holder, F_SETLEASE, F_UNLCK), 0);
  fd = (int)finish_there (__LINE__, "open", req);
  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (fcntl (fd, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

/* A look takes one, which another open may be in need of. */
START_TEST (one_free_descriptor_is_enough)
{
  struct rlimit limit;
  int last = -1, fd;
  eio_req *req;

  ck_assert_int_eq (getrlimit (RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 64;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
  while ((fd = dup (data)) >= 0)
    last = fd;
  ck_assert_int_eq (errno, EMFILE);
  release ();
  gives (0, eio_stat (path, KEEP));
  ck_assert_int_eq (close (last), 0);
  req = eio_open (path, O_RDONLY, 0, KEEP);
  ck_assert_int_eq (run (req), last);
  gives (0, eio_close (last, KEEP));
  gives (0, eio_stat (path, KEEP));
  ck_assert_int_eq (fcntl (last, F_GETFD), -1);
}
END_TEST

/*****************************************************************************
 * Status and close                                                          *
 *****************************************************************************/

/* clang-format off */
static const char *const stat_names[] = {
  "file", "dir", ".", "dir/..", "fifo", "socket", "link", "device", "/",
  "/dev/null", "/dev", "/proc/self/stat"
};
/* clang-format on */

START_TEST (status_is_told_at_once_as_the_system_tells_it)
{
  const char *name = stat_names[_i];
  int fds;
  struct stat st;

  make_odd_files ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  fds = count_fds ();
  release ();
  learn (name);
  hold ();
  ck_assert_int_eq (lstat (name, &st), 0);
  at_once (0, eio_lstat (name, KEEP));
  expect_same (&got_stat, &st);

  release ();
  gives (0, eio_stat (name, KEEP));
  hold ();
  ck_assert_int_eq (stat (name, &st), 0);
  at_once (0, eio_stat (name, KEEP));
  expect_same (&got_stat, &st);
  await_fds (fds);
}
END_TEST

START_TEST (status_of_nothing_is_told_by_a_worker)
{
  struct stat st;

  make_odd_files ();
  by_worker (-1, ENOENT, eio_stat (missing, KEEP));
  by_worker (-1, ENOENT, eio_lstat (missing, KEEP));
  by_worker (-1, ENOENT, eio_stat (scratch_path ("dangling"), KEEP));
  by_worker (-1, ELOOP, eio_stat (scratch_path ("loop"), KEEP));
  by_worker (-1, ENOTDIR, eio_stat (scratch_path ("file/"), KEEP));
  at_once (0, eio_lstat (scratch_path ("dangling"), KEEP));
  ck_assert_int_eq (lstat (scratch_path ("dangling"), &st), 0);
  expect_same (&got_stat, &st);
  ck_assert (S_ISLNK (got_stat.st_mode));
}
END_TEST

/* A FIFO has a place on a file system, a pipe and a socket have not. */
START_TEST (status_by_descriptor_is_told_as_the_system_tells_it)
{
  int all[6], ends[2], i;
  struct stat st;

  make_odd_files ();
  ck_assert_int_eq (pipe (ends), 0);
  all[0] = data;
  all[1] = open (scratch (), O_RDONLY);
  all[2] = open (scratch_path ("fifo"), O_RDWR);
  all[3] = open (path, O_PATH);
  all[4] = socket (AF_UNIX, SOCK_STREAM, 0);
  all[5] = ends[0];
  for (i = 0; i < LENGTH (all); ++i)
    {
      ck_assert_int_eq (fstat (all[i], &st), 0);
      if (i < 4)
        at_once (0, eio_fstat (all[i], KEEP));
      else
        by_worker (0, 0, eio_fstat (all[i], KEEP));
      expect_same (&got_stat, &st);
    }
  by_worker (-1, EBADF, eio_fstat (-1, KEEP));
  by_worker (-1, EBADF, eio_fstat (1000, KEEP));
}
END_TEST

START_TEST (buffers_for_status_are_freed_once)
{
  static const int types[] = { EIO_STAT, EIO_LSTAT, EIO_FSTAT };
  long before = live;
  struct stat mine;
  probe p;

  start (&p, types[_i]);
  expect_counters (2, 0, 1);
  ck_assert_int_eq (live, before + 1);
  ck_assert_int_eq (EIO_STAT_BUF (&p.req)->st_size, SIZE);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&p);
  ck_assert_int_eq (live, before);

  fill (&p, types[_i]);
  p.req.ptr2 = &mine;
  eio_submit (&p.req);
  ck_assert_int_eq (live, before);
  ck_assert_int_eq (p.req.flags, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (mine.st_size, SIZE);
}
END_TEST

/* --- close -------------------------------------------------------------- */

START_TEST (file_opened_for_reading_is_closed_at_once)
{
  int fd = fresh (open (path, O_RDONLY));

  at_once (0, eio_close (fd, KEEP));
  ck_assert_int_eq (fcntl (fd, F_GETFD), -1);
  ck_assert_int_eq (closes[fd], 1);
  release ();
  ck_assert_int_eq (closes[fd], 1);
}
END_TEST

/* Whatever close says, the descriptor may be another's by now. */
START_TEST (close_that_fails_is_not_repeated)
{
  static const int errors[] = { EIO, EINTR, EDQUOT };
  int fd = fresh (open (path, O_RDONLY));

  arm (C_close, errors[_i], 0, 1);
  expect (__LINE__, "close",
          finish_here (__LINE__, "close", eio_close (fd, KEEP)), -1,
          errors[_i]);
  release ();
  ck_assert_int_eq (closes[fd], 1);
}
END_TEST

START_TEST (close_of_a_bad_descriptor_fails)
{
  static const int bad[] = { -1, 63, 1000 };

  by_worker (-1, EBADF, eio_close (bad[_i], KEEP));
  ck_assert_int_eq (bad_closes, 1);
  bad_closes = 0;
}
END_TEST

static int
open_odd (int kind)
{
  const char *name = scratch_path ("victim");
  int ends[2], fd;

  write_file (name, "x", 1);
  switch (kind)
    {
    case 0: return open (name, O_WRONLY);
    case 1: return open (name, O_RDWR);
    case 2: return open (name, O_WRONLY | O_APPEND);
    case 3: return open (scratch (), O_RDONLY);
    case 4: return open ("/dev/null", O_RDONLY);
    case 5: return socket (AF_UNIX, SOCK_STREAM, 0);
    case 6: return pipe (ends) ? -1 : ends[0];
    case 7: return open (scratch_path ("fifo"), O_RDWR);
    default:
      fd = open (name, O_RDONLY);
      unlink (name);
      return fd;
    }
}

/* What was written to, is deleted by it, or is no file may take its time. */
START_TEST (other_descriptors_are_closed_by_a_worker)
{
  int fd;

  make_odd_files ();
  fd = fresh (open_odd (_i));
  by_worker (0, 0, eio_close (fd, KEEP));
  ck_assert_int_eq (fcntl (fd, F_GETFD), -1);
  ck_assert_int_eq (closes[fd], 1);
  ck_assert_int_eq (here[C_close], 0);
}
END_TEST

/* As it always does; by whoever. */
START_TEST (close_executes_whatever_else_is_wrong)
{
  int fd = fresh (open (path, O_RDONLY));
  probe p;

  fill (&p, EIO_CLOSE);
  p.req.int1 = fd;
  if (_i)
    p.req.wd = EIO_INVALID_WD;
  else
    p.req.cancelled = 1;
  eio_submit (&p.req);
  release ();
  ck_assert_int_eq (p.finishes, _i);
  ck_assert_int_eq (p.destroys, 1);
  ck_assert_int_eq (closes[fd], 1);
}
END_TEST

/*****************************************************************************
 * File systems                                                              *
 *****************************************************************************/

START_TEST (unknown_file_system_is_asked_by_a_worker)
{
  static const int types[] = { EIO_STAT, EIO_LSTAT, EIO_OPEN };
  int fds = count_fds ();
  probe p;

  hold ();
  forget_calls ();
  start (&p, types[_i]);
  expect_counters (2, 1, 0);
  ck_assert_int_eq (calls_of (C_fs), 0);
  release ();
  assert_done (&p);
  if (types[_i] == EIO_OPEN)
    close ((int)p.result);
  wait_until (count_fds () == fds);
  ck_assert_int_eq (calls_of (C_fs), 1);
  ck_assert_int_eq (here[C_fs], 0);

  hold ();
  at_once (0, eio_stat (path, KEEP));
  at_once (0, eio_fstat (data, KEEP));
}
END_TEST

/* And without ending the process's locks on the file. */
START_TEST (unknown_file_system_is_asked_about_by_descriptor_too)
{
  int fds = count_fds (), fd = open (path, O_RDWR), status;
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  pid_t child;
  probe p;

  ck_assert_int_eq (fcntl (fd, F_SETLK, &lock), 0);
  hold ();
  forget_calls ();
  fill (&p, EIO_FSTAT);
  p.req.int1 = fd;
  eio_submit (&p.req);
  expect_counters (2, 1, 0);
  ck_assert_int_eq (calls_of (C_fs), 0);
  release ();
  assert_done (&p);
  wait_until (count_fds () == fds + 1);
  ck_assert_int_eq (calls_of (C_fs), 1);
  ck_assert_int_eq (here[C_fs], 0);

  child = fork ();
  if (!child)
    _exit (fcntl (fd, F_SETLK, &lock) == 0);
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);

  hold ();
  at_once (0, eio_fstat (fd, KEEP));
  at_once (0, eio_stat (path, KEEP));
  close (fd);
}
END_TEST

/* Asking takes a descriptor. */
START_TEST (unknown_file_system_is_not_asked_about_without_descriptors)
{
  struct rlimit limit;
  int first = dup (data), i;

  close (first);
  ck_assert_int_eq (getrlimit (RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = (rlim_t)first;
  forget_calls ();
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
  release ();
  for (i = 0; i < 5; ++i)
    {
      gives (0, eio_fstat (data, KEEP));
      ck_assert_int_eq (got_stat.st_size, SIZE);
    }
  ck_assert_int_eq (calls_of (C_fs), 0);
  limit.rlim_cur = limit.rlim_max;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &limit), 0);
}
END_TEST

/* The others do not wait for the answer, but for a worker. */
START_TEST (file_system_is_asked_once)
{
  int fds = count_fds (), i;
  probe p[5];

  hold ();
  for (i = 0; i < LENGTH (p); ++i)
    start (&p[i], i % 2 ? EIO_STAT : EIO_FSTAT);
  expect_counters (6, 5, 0);
  await_fds (fds);
  ck_assert_int_eq (calls_of (C_fs), 1);
  ck_assert_int_eq (here[C_fs], 0);
}
END_TEST

START_TEST (without_memory_the_submitter_asks_no_file_system)
{
  int fds = count_fds ();
  probe p;

  hold ();
  no_memory = 1;
  start (&p, EIO_STAT);
  no_memory = 0;
  ck_assert_int_eq (here[C_fs], 0);
  await_fds (fds);
  assert_done (&p);
  ck_assert_int_eq (p.result, 0);
  learn (path); /* the next one has it asked */
  hold ();
  at_once (0, eio_stat (path, KEEP));
}
END_TEST

static const long remote[] = { 0x6969 /* NFS */, 0x65735546 /* FUSE */,
                               0xff534d42 /* CIFS */, 0x01021997 /* 9p */,
                               0x794c7630 /* overlay: of any of these */,
                               0xadfadfad /* of the future */ };

static void
expect_by_workers (void)
{
  int fd;

  hold ();
  by_worker (0, 0, eio_stat (path, KEEP));
  by_worker (0, 0, eio_lstat (path, KEEP));
  by_worker (0, 0, eio_fstat (data, KEEP));
  fd = (int)finish_there (__LINE__, "open", eio_open (path, 0, 0, KEEP));
  by_worker (0, 0, eio_close (fd, KEEP));
  release ();
  ck_assert_int_eq (here[C_open], 0);
  ck_assert_int_eq (here[C_fs], 0);
}

START_TEST (what_is_not_local_goes_to_workers)
{
  int fds = count_fds ();

  magic = remote[_i];
  learn (path);
  expect_by_workers ();
  expect_by_workers ();
  ck_assert_int_eq (calls_of (C_fs), 1);
  await_fds (fds);
}
END_TEST

/* Makes so many requests, or less if the file system is asked once more. */
static int
count_until_asked (int limit)
{
  int asked = calls_of (C_fs), n = 0;

  while (calls_of (C_fs) == asked && n < limit)
    {
      gives (0, eio_stat (path, KEEP));
      ++n;
    }
  return n;
}

/* Something else may have come to be there. */
START_TEST (file_systems_are_asked_again_after_a_while)
{
  int n;

  if (_i)
    magic = remote[0];
  learn (path);
  n = count_until_asked (20000);
  ck_assert_int_ge (n, 500);
  ck_assert_int_lt (n, 20000);

  magic = _i ? 0xef53 : remote[0];
  count_until_asked (20000);
  if (_i)
    {
      hold ();
      at_once (0, eio_stat (path, KEEP));
    }
  else
    expect_by_workers ();
}
END_TEST

/* However many there are, none is taken for another. */
START_TEST (file_systems_are_told_apart)
{
  static const unsigned devs[] = { 0, 1, 16, 17, 32, 5, 48, 8, 64, 33 };
  int i;

  for (i = 0; i < 4 * LENGTH (devs); ++i)
    {
      dev_lie = devs[i * 3 % LENGTH (devs)];
      magic = dev_lie % 3 ? remote[0] : 0xef53;
      learn (path);
      hold ();
      forget_calls ();
      if (dev_lie % 3)
        {
          by_worker (0, 0, eio_stat (path, KEEP));
          by_worker (0, 0, eio_fstat (data, KEEP));
        }
      else
        {
          at_once (0, eio_stat (path, KEEP));
          at_once (0, eio_fstat (data, KEEP));
        }
      release ();
    }
}
END_TEST

/*****************************************************************************
 * eio_poll                                                                  *
 *****************************************************************************/

enum { ENOUGH = 1000 }; /* in one eio_poll */

static int rounds, last_round;

static int
start_again (eio_req *req)
{
  if (rounds++ < last_round)
    eio_submit (req);
  return 0;
}

/* Resubmits itself from its finish, as a read that goes on and on does. */
static void
start_for_ever (probe *p, int type, int limit)
{
  fill (p, type);
  p->req.finish = start_again;
  rounds = 0;
  last_round = limit;
  eio_submit (&p->req);
}

START_TEST (callback_that_submits_for_ever_leaves_eio_poll)
{
  static const int types[] = { EIO_READ, EIO_STAT, EIO_LSTAT, EIO_FSTAT };
  int i, before;
  probe p;

  start_for_ever (&p, types[_i], INT_MAX);
  for (i = 0; i < 20; ++i)
    {
      before = rounds;
      errno = 0;
      ck_assert_int_eq (host_wait (0), 1);
      ck_assert_int_eq (eio_poll (), -1);
      ck_assert_int_eq (errno, EAGAIN);
      ck_assert_int_gt (rounds, before);
      ck_assert_int_lt (rounds, before + ENOUGH);
      expect_counters (2, 0, 1);
    }
  last_round = before = rounds;
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (rounds, before + 1);
  ck_assert_int_eq (p.destroys, 1);
}
END_TEST

static int done_once;

static int
count_right (eio_req *req)
{
  ck_assert_int_eq (req->result, 100);
  expect_bytes (req->ptr2, (int)req->offs, 100);
  ++done_once;
  return 0;
}

enum { CROWD = 500 };

static int
submit_crowd (eio_req *req)
{
  int i;

  for (i = 0; i < CROWD; ++i)
    eio_read (data, 0, 100, i, 0, count_right, 0);
  return count_right (req);
}

/* Beyond the callback's share, workers do it. */
START_TEST (nothing_of_what_a_callback_submits_is_lost)
{
  eio_read (data, 0, 100, 0, 0, submit_crowd, 0);
  host_drain ();
  ck_assert_int_eq (done_once, CROWD + 1);
  ck_assert_int_gt (here[C_read], 10);
}
END_TEST

START_TEST (outside_of_eio_poll_there_is_no_share)
{
  int i;

  for (i = 0; i < CROWD; ++i)
    eio_read (data, 0, 100, i, 0, count_right, 0);
  expect_counters (CROWD + 1, 0, CROWD);
  ck_assert_int_eq (done_once, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (done_once, CROWD);
}
END_TEST

static int left_to_feed;

static void
feed_reads (eio_req *grp)
{
  if (left_to_feed--)
    eio_grp_add (grp, eio_read (data, 0, 100, 0, 0, count_right, 0));
}

START_TEST (feeder_leaves_eio_poll)
{
  eio_req *grp = eio_grp (0, 0);
  int before, n = 0;

  left_to_feed = 5000;
  eio_grp_feed (grp, feed_reads, 4);
  while (eio_nreqs ())
    {
      before = done_once;
      host_poll ();
      ck_assert_int_lt (done_once, before + ENOUGH);
      ck_assert_int_lt (++n, 20000);
    }
  ck_assert_int_eq (done_once, 5000);
  ck_assert_int_gt (n, 3);
}
END_TEST

/* --- nested ------------------------------------------------------------- */

static int
submit_and_poll (eio_req *req)
{
  int i, before = done_once;

  for (i = 0; i < 3; ++i)
    eio_read (data, 0, 100, i, 0, count_right, 0);
  ck_assert_int_eq (done_once, before);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (done_once, before + 3);
  expect_counters (1, 0, 0);
  return count_right (req);
}

START_TEST (nested_eio_poll_delivers)
{
  eio_read (data, 0, 100, 0, 0, submit_and_poll, 0);
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (done_once, 4);
}
END_TEST

static int
poll_on (eio_req *req)
{
  if (rounds++ < last_round)
    {
      eio_submit (req);
      eio_poll ();
    }
  return 0;
}

/* Leaves nothing of the share to the polls within, which take what there is
 * all the same. */
static int
use_up_and_poll (eio_req *req)
{
  while (!eio_nready ())
    {
      ck_assert_uint_lt (eio_npending (), ENOUGH);
      eio_read (data, 0, 100, 0, 0, count_right, 0);
    }
  ck_assert_uint_gt (eio_npending (), 1);
  ck_assert_int_eq (eio_poll (), 0);
  expect_counters (2, 1, 0);
  return count_right (req);
}

START_TEST (nested_eio_poll_takes_all_that_was_answered)
{
  eio_read (data, 0, 100, 0, 0, use_up_and_poll, 0);
  host_poll ();
  release ();
  ck_assert_int_gt (done_once, 3);
}
END_TEST

/* A callback may run a whole loop. */
static int
run_a_loop (eio_req *req)
{
  int i;

  for (i = 0; i < CROWD; ++i)
    eio_read (data, 0, 100, i, 0, count_right, 0);
  while (eio_nreqs ())
    host_poll ();
  return count_right (req);
}

START_TEST (loop_within_a_callback_goes_on)
{
  eio_read (data, 0, 100, 0, 0, run_a_loop, 0);
  host_drain ();
  ck_assert_int_eq (done_once, CROWD + 1);
}
END_TEST

/* Each level of the stack has the next one's result to wait for. */
START_TEST (polls_that_nest_ever_deeper_lose_nothing)
{
  probe p;

  start_for_ever (&p, EIO_READ, 300);
  p.req.finish = poll_on;
  host_drain ();
  ck_assert_int_eq (rounds, 301);
  ck_assert_int_eq (p.destroys, 1);
}
END_TEST

/* --- limits ------------------------------------------------------------- */

START_TEST (limits_of_eio_poll_hold)
{
  probe p[4];
  int i;

  if (_i)
    eio_set_max_poll_time (1e-9);
  else
    eio_set_max_poll_reqs (1);
  for (i = 0; i < LENGTH (p); ++i)
    start (&p[i], i % 2 ? EIO_READ : EIO_STAT);
  for (i = 0; i < LENGTH (p); ++i)
    {
      int last = i == LENGTH (p) - 1;

      ck_assert_int_eq (host_wait (0), 1);
      errno = 0;
      ck_assert_int_eq (eio_poll (), last ? 0 : -1);
      ck_assert_int_eq (errno, last ? 0 : EAGAIN);
      assert_done (&p[i]);
      expect_counters (LENGTH (p) - i, 0, LENGTH (p) - 1 - i);
    }
  ck_assert_int_eq (host_wait (0), 0);
}
END_TEST

START_TEST (what_a_callback_returns_ends_eio_poll)
{
  probe p[2];

  start (&p[0], EIO_READ);
  start (&p[1], EIO_READ);
  p[0].ret = 7;
  ck_assert_int_eq (eio_poll (), 7);
  assert_done (&p[0]);
  assert_live (&p[1]);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&p[1]);
}
END_TEST

START_TEST (requests_that_wait_are_passed_by)
{
  probe first, second;

  fill (&first, EIO_NOP);
  first.req.pri = EIO_PRI_MAX;
  eio_submit (&first.req);
  fill (&second, EIO_READ);
  second.req.pri = EIO_PRI_MIN;
  eio_submit (&second.req);
  expect_counters (3, 1, 1);
  ck_assert_int_eq (eio_poll (), 0);
  assert_live (&first);
  assert_done (&second);
  release ();
  assert_done (&first);
}
END_TEST

/* --- groups, cancellation, resubmission --------------------------------- */

static void
start_group (probe *grp, probe *members, int n)
{
  probe_submit (grp, EIO_GROUP);
  for (; n--; ++members)
    {
      start (members, n % 2 ? EIO_READ : EIO_STAT);
      ck_assert_int_eq (eio_grp_add (&grp->req, &members->req), 0);
    }
}

START_TEST (members_may_have_been_answered_at_once)
{
  probe grp, p[5];
  int i;

  start_group (&grp, p, LENGTH (p));
  expect_counters (7, 0, 6);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&grp);
  for (i = 0; i < LENGTH (p); ++i)
    {
      assert_done (&p[i]);
      ck_assert_int_lt (p[i].destroy_turn, grp.finish_turn);
    }
}
END_TEST

START_TEST (answered_members_can_be_cancelled)
{
  long before = live;
  probe grp, p[5];
  int i;

  start_group (&grp, p, LENGTH (p));
  if (_i)
    eio_cancel (&grp.req);
  else
    eio_grp_cancel (&grp.req);
  ck_assert_int_eq (eio_poll (), 0);
  for (i = 0; i < LENGTH (p); ++i)
    assert_dropped (&p[i]);
  ck_assert_int_eq (grp.finishes, !_i);
  ck_assert_int_eq (grp.destroys, 1);
  ck_assert_int_eq (live, before);
}
END_TEST

START_TEST (what_was_cancelled_before_is_not_tried)
{
  static const int types[] = { EIO_READ, EIO_STAT, EIO_LSTAT, EIO_FSTAT,
                               EIO_OPEN };
  int fds = count_fds ();
  probe p;

  memset (buffer, '-', 100);
  fill (&p, types[_i]);
  p.req.cancelled = 1;
  eio_submit (&p.req);
  release ();
  assert_dropped (&p);
  ck_assert_int_eq (p.errorno, ECANCELED);
  ck_assert_int_eq (buffer[0], '-');
  expect_no_calls ();
  await_fds (fds);
}
END_TEST

START_TEST (what_was_answered_can_be_cancelled)
{
  static const int types[] = { EIO_READ, EIO_STAT, EIO_LSTAT, EIO_FSTAT };
  long before = live;
  probe p;

  fill (&p, types[_i]);
  p.req.ptr2 = 0;
  eio_submit (&p.req);
  expect_counters (2, 0, 1);
  ck_assert_int_eq (live, before + 1);
  eio_cancel (&p.req);
  ck_assert_int_eq (eio_poll (), 0);
  assert_dropped (&p);
  ck_assert_int_eq (p.result, -1);
  ck_assert_int_eq (p.errorno, ECANCELED);
  ck_assert_int_eq (live, before);
}
END_TEST

START_TEST (file_opened_at_once_is_closed_when_cancelled)
{
  int fds = count_fds ();
  probe p;

  start (&p, EIO_OPEN);
  expect_counters (2, 0, 1);
  ck_assert_int_eq (count_fds (), fds + 1);
  eio_cancel (&p.req);
  ck_assert_int_eq (eio_poll (), 0);
  assert_dropped (&p);
  ck_assert_int_eq (p.result, -1);
  await_fds (fds);
}
END_TEST

/* Resubmitted from its own finish, a request leaves its group, keeps its
 * buffer, and is destroyed once. */
START_TEST (request_can_be_submitted_again_from_its_finish)
{
  long before = live;
  probe grp, p;

  probe_submit (&grp, EIO_GROUP);
  fill (&p, EIO_READ);
  p.req.ptr2 = 0;
  p.req.finish = start_again;
  rounds = 0;
  last_round = 10;
  eio_submit (&p.req);
  eio_grp_add (&grp.req, &p.req);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (rounds, 11);
  ck_assert_int_eq (p.destroys, 1);
  assert_done (&grp);
  ck_assert_int_lt (grp.finish_turn, p.destroy_turn);
  ck_assert_int_eq (live, before);
}
END_TEST

/* Of the failure, nothing is left. */
static int
start_better (eio_req *req)
{
  probe *p = probe_of (req);

  if (++p->finishes == 1)
    {
      ck_assert_int_eq (req->result, -1);
      ck_assert_int_eq (req->errorno, EBADF);
      req->int1 = data;
      eio_submit (req);
      ck_assert_int_eq (req->result, 0);
      ck_assert_int_eq (req->errorno, 0);
    }
  return 0;
}

START_TEST (request_that_failed_can_be_submitted_again)
{
  probe p;

  fill (&p, EIO_READ);
  p.req.int1 = 1000;
  p.req.finish = start_better;
  eio_submit (&p.req);
  let_work ();
  host_drain ();
  ck_assert_int_eq (p.finishes, 2);
  ck_assert_int_eq (p.destroys, 1);
  ck_assert_int_eq (p.result, 100);
  ck_assert_int_eq (p.errorno, 0);
  ck_assert_int_eq (here[C_read], 2);
}
END_TEST

/* --- errno -------------------------------------------------------------- */

START_TEST (errno_of_the_submitter_is_left_alone)
{
  static const int types[] = { EIO_READ, EIO_STAT, EIO_LSTAT, EIO_FSTAT,
                               EIO_OPEN, EIO_CLOSE };
  int fds, at, i;
  probe p[12];

  make_odd_files ();
  fds = count_fds ();
  for (i = 0; i < LENGTH (p); ++i)
    {
      fill (&p[i], types[i / 2]);
      if (types[i / 2] == EIO_CLOSE)
        p[i].req.int1 = dup (data);
      if (i % 2)
        { /* these fail */
          p[i].req.ptr1 = missing;
          if (types[i / 2] != EIO_OPEN)
            p[i].req.int1 = 999;
        }
      errno = at = 1000 + i;
      eio_submit (&p[i].req);
      ck_assert_int_eq (errno, at);
    }
  cold_from = 0;
  errno = 7;
  eio_read (data, buffer, 10, 0, 0, 0, 0);
  ck_assert_int_eq (errno, 7);
  release ();
  ck_assert_int_ge (p[8].result, 0);
  close ((int)p[8].result);
  close (p[11].req.int1 == 999 ? -1 : p[11].req.int1);
  bad_closes = 0;
  await_fds (fds + 1); /* the dup that 999 stands for */
}
END_TEST

/* --- many --------------------------------------------------------------- */

/* Then workers are quicker, but for reads. */
START_TEST (with_many_outstanding_workers_do_opens_and_stats)
{
  static const int types[] = { EIO_STAT, EIO_LSTAT, EIO_FSTAT, EIO_OPEN,
                               EIO_CLOSE };
  probe many[60], p[LENGTH (types)];
  int i;

  for (i = 0; i < LENGTH (many); ++i)
    start (&many[i], EIO_READ);
  expect_counters (61, 0, 60);
  forget_calls ();
  for (i = 0; i < LENGTH (p); ++i)
    {
      fill (&p[i], types[i]);
      if (types[i] == EIO_CLOSE)
        p[i].req.int1 = dup (data);
      eio_submit (&p[i].req);
    }
  expect_counters (66, 5, 60);
  expect_no_calls ();
  release ();
  for (i = 0; i < LENGTH (many); ++i)
    ck_assert_int_eq (many[i].result, 100);
  for (i = 0; i < LENGTH (p); ++i)
    ck_assert_int_ge (p[i].result, 0);

  hold ();
  at_once (0, eio_stat (path, KEEP));
}
END_TEST

/*****************************************************************************
 * Threads                                                                   *
 *****************************************************************************/

static pthread_t main_thread;
static atomic_int here_after; /* how many it left to workers */
static char inner_buffer[100];

static int
finish_in_main (eio_req *req)
{
  ck_assert (pthread_equal (pthread_self (), main_thread));
  ck_assert_int_eq (req->result, 100);
  ++done_once;
  return 0;
}

static void
submit_from_elsewhere (void)
{
  submits = 1;
  eio_read (data, inner_buffer, 100, 17, 0, finish_in_main, 0);
  here_after = (int)eio_nready ();
  submits = 0;
}

static void
submit_in_custom (eio_req *req)
{
  submit_from_elsewhere ();
  req->result = 0;
}

static void *
submit_in_thread (void *arg)
{
  submit_from_elsewhere ();
  return arg;
}

/* Also by a worker, in a custom request, which is the only one. */
START_TEST (any_thread_may_submit)
{
  pthread_t thread;

  main_thread = pthread_self ();
  if (_i)
    eio_custom (submit_in_custom, 0, 0, 0);
  else
    {
      ck_assert_int_eq (pthread_create (&thread, 0, submit_in_thread, 0), 0);
      ck_assert_int_eq (host_wait (-1), 1);
      pthread_join (thread, 0);
      ck_assert_uint_eq (eio_nthreads (), 0);
    }
  host_drain ();
  ck_assert_int_eq (done_once, 1);
  ck_assert_int_eq (here_after, 0);
  ck_assert_int_eq (here[C_read], 1);
  expect_bytes (inner_buffer, 17, 100);
}
END_TEST

enum { SUBMITTERS = 2, EACH = 1500, AHEAD = 6 };

static sem_t permits[SUBMITTERS];
static atomic_int wrong;

static int
check_one (eio_req *req)
{
  sem_t *permit = req->data;

  switch (req->type)
    {
    case EIO_READ:
      wrong += req->result != 100
               || memcmp (req->ptr2, content + req->offs, 100);
      break;
    case EIO_OPEN:
      wrong += req->result < 0 || close ((int)req->result);
      break;
    case EIO_CLOSE: wrong += req->result != 0; break;
    default:
      wrong += req->result || EIO_STAT_BUF (req)->st_size != SIZE;
    }
  if (++done_once % 100 == 0)
    cold_from = done_once % 200 ? 20000 : LONG_MAX;
  sem_post (permit);
  return 0;
}

static void *
submit_many (void *permit)
{
  int i;

  submits = 1;
  for (i = 0; i < EACH; ++i)
    {
      take (permit);
      switch (i % 7)
        {
        case 0: eio_open (path, O_RDONLY, 0, 0, check_one, permit); break;
        case 1: eio_stat (path, 0, check_one, permit); break;
        case 2: eio_lstat (path, 0, check_one, permit); break;
        case 3: eio_fstat (data, 0, check_one, permit); break;
        case 4: eio_close (dup (data), 0, check_one, permit); break;
        default:
          eio_read (data, 0, 100, i * 20, 0, check_one, permit);
        }
    }
  return 0;
}

START_TEST (threads_submit_at_the_same_time)
{
  pthread_t threads[SUBMITTERS];
  int fds = count_fds (), i;

  for (i = 0; i < SUBMITTERS; ++i)
    {
      sem_init (&permits[i], 0, AHEAD);
      ck_assert_int_eq (
        pthread_create (&threads[i], 0, submit_many, &permits[i]), 0);
    }
  while (done_once < SUBMITTERS * EACH)
    host_poll ();
  for (i = 0; i < SUBMITTERS; ++i)
    pthread_join (threads[i], 0);
  host_drain ();
  ck_assert_int_eq (wrong, 0);
  ck_assert_int_eq (here[C_fs], 0);
  ck_assert_int_gt (here[C_read], 0);
  wait_until (count_fds () == fds);
}
END_TEST

/*****************************************************************************
 * The real kernel                                                           *
 *                                                                           *
 * What it does at once depends on it, and on where the files are; what comes *
 * out does not.                                                             *
 *****************************************************************************/

static void
prepare_real (void)
{
  real = 1;
  prepare ();
  learn (path);
}

static int
kernel_reads (void)
{
  struct iovec iov = { buffer, 100 };

  return preadv2 (data, &iov, 1, 0, RWF_NOWAIT) == 100;
}

static int
kernel_opens (void)
{
  int fd = eio_sys_open_cached (AT_FDCWD, path, O_PATH);
  int res = fd >= 0 && eio_sys_is_local (fd);

  if (fd >= 0)
    close (fd);
  return res;
}

/* By whoever, as the kernel may be disturbed; returns how often at once. */
static int
count_real_hits (int type)
{
  int hits = 0, i;

  for (i = 0; i < 50; ++i)
    {
      eio_req *req = type == EIO_READ
                       ? eio_read (data, buffer, MAX, 100, KEEP)
                     : type == EIO_STAT  ? eio_stat (path, KEEP)
                     : type == EIO_LSTAT ? eio_lstat (path, KEEP)
                     : type == EIO_FSTAT ? eio_fstat (data, KEEP)
                     : type == EIO_OPEN
                       ? eio_open (path, O_RDONLY | O_CLOEXEC, 0, KEEP)
                       : eio_close (open (path, O_RDONLY), KEEP);

      hits += !eio_nready ();
      let_work ();
      ck_assert_int_ge (run (req), 0);
      if (type == EIO_OPEN)
        {
          ck_assert_int_eq (fcntl (got.result, F_GETFL) & O_NONBLOCK, 0);
          ck_assert_int_eq (fcntl (got.result, F_GETFD), FD_CLOEXEC);
          close ((int)got.result);
        }
      hold ();
    }
  return hits;
}

START_TEST (kernel_answers_at_once_what_it_can)
{
  static const int types[] = { EIO_READ, EIO_STAT, EIO_LSTAT, EIO_FSTAT,
                               EIO_OPEN, EIO_CLOSE };
  int fds = count_fds ();

  hold ();
  if (types[_i] == EIO_READ ? kernel_reads () : kernel_opens ())
    ck_assert_int_ge (count_real_hits (types[_i]), 10);
  else
    count_real_hits (types[_i]);
  expect_bytes (buffer, types[_i] == EIO_READ ? 100 : 0,
                types[_i] == EIO_READ ? MAX : 0);
  await_fds (fds);
}
END_TEST

START_TEST (everything_works_with_the_kernel_as_it_is)
{
  int i;

  for (i = 0; i < 30; ++i)
    try_everything ();
}
END_TEST

static void
evict (off_t from)
{
  ck_assert_int_eq (fsync (data), 0);
  posix_fadvise (data, from, 0, POSIX_FADV_DONTNEED);
}

/* All of it, or what is behind the first two pages. */
START_TEST (cold_data_comes_out_right)
{
  int i;

  for (i = 0; i < 20; ++i)
    {
      evict (_i ? 8192 : 0);
      memset (buffer, '-', MAX);
      gives (MAX, eio_read (data, buffer, MAX, 100, KEEP));
      expect_bytes (buffer, 100, MAX);
      gives (SIZE - 30000, eio_read (data, 0, MAX, 30000, KEEP));
      expect_bytes (got.ptr2, 30000, SIZE - 30000);
    }
}
END_TEST

static long
blocks_read_here (void)
{
  struct rusage usage;

  ck_assert_int_eq (getrusage (RUSAGE_THREAD, &usage), 0);
  return usage.ru_inblock;
}

/* Where the kernel says what it has, not even readahead is started. */
START_TEST (who_submits_does_not_read_from_the_disk)
{
  long before;
  int i;

  if (eio_sys_has_cached (data, 0, SIZE) < 0)
    return;
  before = blocks_read_here ();
  for (i = 0; i < 20; ++i)
    {
      evict (0);
      gives (4096, eio_read (data, buffer, 4096, i % 4 * 8192, KEEP));
      expect_bytes (buffer, i % 4 * 8192, 4096);
    }
  ck_assert_int_eq (blocks_read_here (), before);
}
END_TEST

START_TEST (direct_reads_keep_nobody_waiting)
{
  int fd = open (path, O_RDONLY | O_DIRECT), i;
  long before;

  if (fd < 0)
    return;
  fsync (data);
  ck_assert_int_eq (pread (data, buffer, SIZE, 0), SIZE);
  before = blocks_read_here ();
  for (i = 0; i < 20; ++i)
    {
      gives (4096, eio_read (fd, buffer, 4096, i % 8 * 4096, KEEP));
      expect_bytes (buffer, i % 8 * 4096, 4096);
    }
  ck_assert_int_eq (blocks_read_here (), before);
}
END_TEST

static unsigned long
next_random (unsigned long *state)
{
  *state = *state * 6364136223846793005UL + 1442695040888963407UL;
  return *state >> 33;
}

/* Against pread, on a file that grows, shrinks and has holes. */
START_TEST (reads_at_random_are_as_by_pread)
{
  static char want[65536];
  unsigned long state = (unsigned long)_i + 1;
  int fd = open (scratch_path ("sparse"), O_RDWR | O_CREAT | O_TRUNC, 0600);
  int i;

  for (i = 0; i < 500; ++i)
    {
      off_t offset = (off_t)(next_random (&state) % 50000);
      size_t size = next_random (&state) % 20000 + 1;

      switch (next_random (&state) % 8)
        {
        case 0: ck_assert_int_eq (ftruncate (fd, offset), 0); break;
        case 1:
          ck_assert_int_gt (pwrite (fd, content, size, offset), 0);
          break;
        case 2: posix_fadvise (fd, offset, 0, POSIX_FADV_DONTNEED); break;
        default:
          memset (buffer, '-', size);
          agrees (pread (fd, want, size, offset),
                  eio_read (fd, buffer, size, offset, KEEP));
          ck_assert_mem_eq (buffer, want, got.result);
        }
    }
}
END_TEST

/* With a writer there, so that nothing waits; and what comes out. */
START_TEST (files_of_all_kinds_are_as_by_the_system)
{
  int fds, like, fd, i;
  struct stat st;

  make_odd_files ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  ck_assert_int_ge (open ("fifo", O_RDWR), 0);
  fds = count_fds ();
  for (i = 0; i < 3 * LENGTH (stat_names); ++i)
    {
      const char *name = stat_names[i % LENGTH (stat_names)];

      agrees (stat (name, &st), eio_stat (name, KEEP));
      expect_same (&got_stat, &st);
      agrees (lstat (name, &st), eio_lstat (name, KEEP));
      expect_same (&got_stat, &st);
      like = open (name, O_RDONLY);
      fd = (int)run (eio_open (name, O_RDONLY, 0, KEEP));
      ck_assert_int_eq (fd < 0, like < 0);
      if (fd >= 0)
        {
          ck_assert_int_eq (fcntl (fd, F_GETFL), fcntl (like, F_GETFL));
          gives (0, eio_close (fd, KEEP));
        }
      close (like);
    }
  wait_until (count_fds () == fds);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_reads (TCase *held_case, TCase *tc)
{
  tcase_add_test (tc, cached_read_is_answered_without_a_worker);
  tcase_add_test (tc, answers_wait_for_eio_poll);
  tcase_add_test (tc, nothing_is_answered_while_no_worker_is_allowed);
  tcase_add_loop_test (tc, reads_that_fail_fail_as_ever, 0,
                       LENGTH (bad_reads));
  tcase_add_test (tc, buffer_of_the_library_is_the_requests_and_freed_once);
  tcase_add_test (tc, end_that_cannot_be_seen_is_left_to_a_worker);
  tcase_add_test (tc, behind_the_end_of_the_file_is_nothing);
  tcase_add_test (tc, device_is_read_once);

  tc = held_case;
  tcase_add_loop_test (tc, reads_go_at_once_up_to_max_bytes, 0, 2);
  tcase_add_test (tc, reads_that_are_not_for_this_go_to_a_worker);
  tcase_add_test (tc, reads_do_not_move_the_position);
  tcase_add_test (tc, short_read_zeroes_the_rest_of_our_buffer);
  tcase_add_test (tc, buffer_is_null_again_where_a_worker_takes_over);
  tcase_add_test (tc, without_memory_for_a_buffer_the_worker_says_so);
  tcase_add_test (tc, less_is_delivered_at_the_end_of_the_file_only);
  tcase_add_loop_test (tc, worker_delivers_what_is_not_all_in_memory, 0, 4);
  tcase_add_test (tc, cold_data_is_not_asked_for_by_the_submitter);
  tcase_add_test (tc, what_is_in_memory_is_not_asked_for_ever);
  tcase_add_loop_test (tc, misses_become_rare_and_end, 0, LENGTH (refusals));
  tcase_add_test (tc, one_miss_is_soon_forgotten);
  tcase_add_test (tc, misses_of_a_descriptor_are_its_own);
  tcase_add_loop_test (tc, direct_reads_go_to_a_worker, 0, 2);
  tcase_add_loop_test (tc, missing_calls_are_not_made_again, 0,
                       LENGTH (absent));
  tcase_add_loop_test (tc, reads_remember_what_is_missing, 0,
                       LENGTH (refusals));
  tcase_add_loop_test (tc, errors_of_one_file_are_not_remembered, 0, 6);
  tcase_add_loop_test (tc, reads_do_without_being_told_what_is_in_memory, 0, 3);
  tcase_add_test (tc, reads_need_no_more_than_their_call);
}

static void
add_opens (TCase *tc)
{
  tcase_add_loop_test (tc, open_that_fails_half_way_leaves_nothing, 0, 4);
  tcase_add_loop_test (tc, cached_file_is_opened_at_once, 0,
                       LENGTH (open_flags));
  tcase_add_test (tc, file_is_found_from_where_it_is_named);
  tcase_add_loop_test (tc, wd_that_is_invalid_is_for_a_worker_to_say, 0, 3);
  tcase_add_loop_test (tc, other_opens_go_to_a_worker, 0, LENGTH (odd_opens));
  tcase_add_loop_test (tc, fifo_is_opened_when_a_writer_comes, 0, 3);
  tcase_add_test (tc, file_that_becomes_a_fifo_does_not_block);
  tcase_add_loop_test (tc, file_that_becomes_another_is_opened_by_a_worker, 0,
                       LENGTH (swaps));
  tcase_add_test (tc, file_in_the_place_of_another_is_opened);
  tcase_add_test (tc, leased_file_does_not_block);
  tcase_add_test (tc, one_free_descriptor_is_enough);
}

static void
add_status (TCase *tc)
{
  tcase_add_loop_test (tc, status_is_told_at_once_as_the_system_tells_it, 0,
                       LENGTH (stat_names));
  tcase_add_test (tc, status_of_nothing_is_told_by_a_worker);
  tcase_add_test (tc, status_by_descriptor_is_told_as_the_system_tells_it);
  tcase_add_loop_test (tc, buffers_for_status_are_freed_once, 0, 3);
  tcase_add_test (tc, file_opened_for_reading_is_closed_at_once);
  tcase_add_loop_test (tc, close_that_fails_is_not_repeated, 0, 3);
  tcase_add_loop_test (tc, close_of_a_bad_descriptor_fails, 0, 3);
  tcase_add_loop_test (tc, other_descriptors_are_closed_by_a_worker, 0, 9);
  tcase_add_loop_test (tc, close_executes_whatever_else_is_wrong, 0, 2);
}

static void
add_file_systems (TCase *tc)
{
  tcase_add_loop_test (tc, unknown_file_system_is_asked_by_a_worker, 0, 3);
  tcase_add_test (tc, unknown_file_system_is_asked_about_by_descriptor_too);
  tcase_add_test (tc,
                  unknown_file_system_is_not_asked_about_without_descriptors);
  tcase_add_test (tc, file_system_is_asked_once);
  tcase_add_test (tc, without_memory_the_submitter_asks_no_file_system);
  tcase_add_loop_test (tc, what_is_not_local_goes_to_workers, 0,
                       LENGTH (remote));
  tcase_add_loop_test (tc, file_systems_are_asked_again_after_a_while, 0, 2);
  tcase_add_test (tc, file_systems_are_told_apart);
}

static void
add_polls (TCase *held_case, TCase *tc)
{
  tcase_add_test (tc, nothing_of_what_a_callback_submits_is_lost);
  tcase_add_test (tc, feeder_leaves_eio_poll);
  tcase_add_test (tc, loop_within_a_callback_goes_on);
  tcase_add_test (tc, polls_that_nest_ever_deeper_lose_nothing);

  tc = held_case;
  tcase_add_loop_test (tc, callback_that_submits_for_ever_leaves_eio_poll, 0,
                       4);
  tcase_add_test (tc, outside_of_eio_poll_there_is_no_share);
  tcase_add_test (tc, nested_eio_poll_delivers);
  tcase_add_test (tc, nested_eio_poll_takes_all_that_was_answered);
  tcase_add_loop_test (tc, limits_of_eio_poll_hold, 0, 2);
  tcase_add_test (tc, what_a_callback_returns_ends_eio_poll);
  tcase_add_test (tc, requests_that_wait_are_passed_by);
  tcase_add_test (tc, members_may_have_been_answered_at_once);
  tcase_add_loop_test (tc, answered_members_can_be_cancelled, 0, 2);
  tcase_add_loop_test (tc, what_was_cancelled_before_is_not_tried, 0, 5);
  tcase_add_loop_test (tc, what_was_answered_can_be_cancelled, 0, 4);
  tcase_add_test (tc, file_opened_at_once_is_closed_when_cancelled);
  tcase_add_test (tc, request_can_be_submitted_again_from_its_finish);
  tcase_add_test (tc, request_that_failed_can_be_submitted_again);
  tcase_add_test (tc, errno_of_the_submitter_is_left_alone);
  tcase_add_test (tc, with_many_outstanding_workers_do_opens_and_stats);
}

static void
add_real (TCase *tc)
{
  tcase_add_loop_test (tc, kernel_answers_at_once_what_it_can, 0, 6);
  tcase_add_test (tc, everything_works_with_the_kernel_as_it_is);
  tcase_add_loop_test (tc, cold_data_comes_out_right, 0, 2);
  tcase_add_test (tc, who_submits_does_not_read_from_the_disk);
  tcase_add_test (tc, direct_reads_keep_nobody_waiting);
  tcase_add_loop_test (tc, reads_at_random_are_as_by_pread, 0, 4);
  tcase_add_test (tc, files_of_all_kinds_are_as_by_the_system);
}

int
main (void)
{
  Suite *suite = suite_create ("inline");
  TCase *off = add_case (suite, "setting", 60, prepare_off, tear_down);
  TCase *held_case = add_case (suite, "held", 60, prepare_held, tear_down);
  TCase *tc = add_case (suite, "free", 60, prepare, tear_down);

  tcase_add_test (off, nothing_is_answered_at_once_by_default);
  tcase_add_test (off, zero_switches_it_off_again);
  tcase_add_test (off, setting_is_read_back);
  tcase_add_test (tc, setting_is_kept_by_eio_init);
  tcase_add_test (tc, setting_is_kept_in_a_forked_child);
  add_reads (held_case, tc);
  tcase_add_loop_test (tc, everything_works_all_the_same, 0,
                       LENGTH (obstacles));
  add_opens (held_case);
  add_status (held_case);
  add_file_systems (tc);
  add_polls (held_case, tc);
  tcase_add_loop_test (tc, any_thread_may_submit, 0, 2);
  tcase_add_test (tc, threads_submit_at_the_same_time);
  add_real (add_case (suite, "kernel", 60, prepare_real, tear_down));
  return run_suite (suite);
}

#endif
