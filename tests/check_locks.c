/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Locks that wait: includes eio.c with a flock, a fcntl and a pthread_create
 * that fail when they are told to, and looks at when it tries again. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>

static int fake_flock (int fd, int operation);
static int fake_fcntl (int fd, int command, ...);
static int fake_pthread_create (pthread_t *thread, const pthread_attr_t *attr,
                                void *(*proc) (void *), void *arg);
static void *fake_calloc (size_t n, size_t size);

#define flock(fd, operation) fake_flock (fd, operation)
#define fcntl fake_fcntl
#define pthread_create fake_pthread_create
#define calloc fake_calloc
#include "eio.c"
#undef flock
#undef fcntl
#undef pthread_create
#undef calloc

#include "support.h"
#include "probe.h"
#include "run.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

/* The next so many tries after a few fail with this. */
static atomic_int tries, spare, failing, failure;

static int
is_to_fail (void)
{
  ++tries;
  if (spare > 0)
    {
      --spare;
      return 0;
    }
  if (failing <= 0)
    return 0;
  --failing;
  errno = failure;
  return 1;
}

static void
arm (int error, int after, int times)
{
  failure = error;
  spare = after;
  failing = times;
}

/* Called by a worker that has tried a lock in vain. */
static void (*_Atomic after_vain_try) (void);

static int
try_and_call (int fd, int operation)
{
  void (*call) (void) = after_vain_try;
  int res = flock (fd, operation), saved = errno;

  if (res && call)
    {
      after_vain_try = (void (*) (void))0;
      call ();
    }
  errno = saved;
  return res;
}

/* An assertion takes a lock of Check's, even one that holds: a child must not
 * find it taken. */
static void
must_not_wait (int waits)
{
  if (waits)
    ck_abort_msg ("a lock is waited for");
}

static int
fake_flock (int fd, int operation)
{
  must_not_wait (!(operation & (LOCK_NB | LOCK_UN)));
  return is_to_fail () ? -1 : try_and_call (fd, operation);
}

/* Locks of the process that were asked for. */
static atomic_int ordinary;

static int
fake_fcntl (int fd, int command, ...)
{
  va_list list;
  uintptr_t arg;

  va_start (list, command);
  arg = va_arg (list, uintptr_t);
  va_end (list);
  must_not_wait (command == F_SETLKW || command == F_OFD_SETLKW);
  ordinary += command == F_SETLK;
  if (command == F_OFD_SETLK && is_to_fail ())
    return -1;
  return fcntl (fd, command, arg);
}

/* The library's threads, and which ones cannot be had. */
enum { NO_KEEPER = 1, NO_MEMORY, NO_THREAD };
static atomic_int threads, refused;

static void *
fake_calloc (size_t n, size_t size)
{
  return refused == NO_MEMORY ? 0 : calloc (n, size);
}

typedef struct
{
  void *(*proc) (void *);
  void *arg;
} work;

static void *
run_thread (void *arg)
{
  work w = *(work *)arg;
  void *res;

  free (arg);
  res = w.proc (w.arg);
  --threads;
  return res;
}

static int
fake_pthread_create (pthread_t *thread, const pthread_attr_t *attr,
                     void *(*proc) (void *), void *arg)
{
  work *w;

  if (refused == NO_THREAD
      || (refused == NO_KEEPER && proc == eio__keeper_proc))
    return EAGAIN;
  w = malloc (sizeof *w);
  w->proc = proc;
  w->arg = arg;
  ++threads;
  return pthread_create (thread, attr, run_thread, w);
}

/* Two descriptions of one file, and one more that looks. */
static int one, two, other;
static char path[5000]; /* a child's scratch directory is another */

static int
open_file (void)
{
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  ck_assert_int_ge (fd, 3);
  return fd;
}

static void
setup (void)
{
  strcpy (path, scratch_path ("file"));
  one = open_file ();
  two = open_file ();
  other = open_file ();
  host_start ();
}

/* Whether nobody else has locked the file. */
static int
is_free_for (int fd)
{
  if (flock (fd, LOCK_EX | LOCK_NB))
    return 0;
  ck_assert_int_eq (flock (fd, LOCK_UN), 0);
  return 1;
}

static int
is_range_free (off_t start, off_t length)
{
  struct flock range = { .l_type = F_WRLCK, .l_start = start,
                         .l_len = length };

  ck_assert_int_eq (fcntl (other, F_OFD_GETLK, &range), 0);
  return range.l_type == F_UNLCK;
}

/* Locks the file, for all that follow to wait. */
static void
hold (void)
{
  ck_assert_int_eq (flock (one, LOCK_EX), 0);
}

static void
release (void)
{
  ck_assert_int_eq (flock (one, LOCK_UN), 0);
}

/* How many wait. If there are n, puts their next try off for a day: whatever
 * comes of them now does not come of a try. */
static int
count_waiting (etp_pool *pool, int n)
{
  int i, seen = 0;

  X_LOCK (pool->reqlock);
  for (i = 0; i < ETP_NUM_ROUNDS; ++i)
    seen += pool->rounds[i].reqs.size;
  for (i = 0; seen == n && i < ETP_NUM_ROUNDS; ++i)
    pool->rounds[i].due = eio_sys_now () + 86400 * 1000000000ull;
  X_UNLOCK (pool->reqlock);
  return seen;
}

#define put_off(n) wait_until (count_waiting (EIO_POOL, n) == (n))

static int
has_keeper (etp_pool *pool)
{
  return ecb_load_relaxed (pool->has_keeper);
}

static void
fill_flock (probe *p, int fd, int operation, eio_tstamp timeout)
{
  probe_fill (p, EIO_FLOCK);
  p->req.int1 = fd;
  p->req.int2 = operation;
  p->req.nv1 = timeout;
}

/* A lock that waits for ever. */
static void
submit_flock (probe *p)
{
  fill_flock (p, two, LOCK_EX, -1);
  eio_submit (&p->req);
}

static eio_req *
start_flock (eio_tstamp timeout)
{
  return eio_flock (two, LOCK_EX, timeout, KEEP);
}

/* Something goes through while n requests wait. */
static void
passes (unsigned n)
{
  probe p;

  probe_submit (&p, EIO_NOP);
  while (!p.destroys)
    host_poll ();
  assert_done (&p);
  ck_assert_uint_eq (eio_nreqs (), n);
}

/*****************************************************************************
 * Results                                                                   *
 *****************************************************************************/

START_TEST (free_files_are_locked)
{
  gives (0, eio_flock (one, LOCK_SH, 0, KEEP));
  ck_assert_int_eq (flock (two, LOCK_SH | LOCK_NB), 0);
  ck_assert_int_eq (flock (two, LOCK_UN), 0);
  ck_assert (!is_free_for (two));
  gives (0, eio_flock (one, LOCK_EX, -1, KEEP));
  ck_assert_int_eq (flock (two, LOCK_SH | LOCK_NB), -1);
  gives (0, eio_flock (one, LOCK_UN, 0, KEEP));
  ck_assert (is_free_for (two));
  gives (0, eio_flock (one, LOCK_EX | LOCK_NB, 1, KEEP));
  gives (0, eio_flock (one, LOCK_UN | LOCK_NB, 1, KEEP));
  ck_assert (is_free_for (two));
}
END_TEST

START_TEST (free_ranges_are_locked)
{
  gives (0, eio_lock (one, F_WRLCK, 100, 10, 0, KEEP));
  ck_assert (!is_range_free (109, 1));
  ck_assert (is_range_free (0, 100));
  ck_assert (is_range_free (110, 0));
  gives (0, eio_lock (two, F_WRLCK, 110, 10, 0, KEEP));
  gives (0, eio_lock (two, F_RDLCK, 100, -5, 0, KEEP));
  ck_assert (!is_range_free (95, 1));
  ck_assert (is_range_free (90, 5));
  gives (0, eio_lock (one, F_WRLCK, (off_t)1 << 40, 0, -1, KEEP));
  ck_assert (!is_range_free (INT64_MAX - 1, 1));
  gives (0, eio_lock (one, F_UNLCK, 0, 0, 0, KEEP));
  gives (0, eio_lock (two, F_UNLCK, 0, 0, 0, KEEP));
  ck_assert (is_range_free (0, 0));
}
END_TEST

START_TEST (length_may_be_left_out)
{
  eio_req req = { .type = EIO_LOCK, .int2 = F_WRLCK, .offs = 7 };

  req.int1 = one;
  gives (0, submit (req));
  ck_assert (is_range_free (0, 7));
  ck_assert (!is_range_free (1 << 30, 1));
}
END_TEST

START_TEST (locks_are_waited_for)
{
  probe p;

  hold ();
  submit_flock (&p);
  wait_until (count_waiting (EIO_POOL, 0) == 1);
  passes (1);
  assert_live (&p);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  release ();
  host_drain ();
  assert_done (&p);
  ck_assert_int_eq (p.result, 0);
  ck_assert (!is_free_for (one));
}
END_TEST

START_TEST (the_same_lock_again_is_had)
{
  hold ();
  gives (0, eio_flock (one, LOCK_EX, 0, KEEP));
  gives (0, eio_lock (one, F_WRLCK, 0, 0, 0, KEEP));
  gives (0, eio_lock (one, F_WRLCK, 0, 0, 0, KEEP));
}
END_TEST

/* The holder lets go once it has been waited for. */
static void *
let_go_later (void *fd)
{
  int from = tries;

  wait_until (tries > from + 3);
  ck_assert_int_eq (flock (*(int *)fd, LOCK_UN), 0);
  return 0;
}

static void
while_it_lets_go (int *fd, eio_ssize_t want, eio_req *(*start) (void))
{
  pthread_t thread;

  ck_assert_int_eq (pthread_create (&thread, 0, let_go_later, fd), 0);
  gives (want, start ());
  pthread_join (thread, 0);
}

static eio_req *
lock_exclusively (void)
{
  return eio_flock (two, LOCK_EX, 60, KEEP);
}

static eio_req *
lock_shared (void)
{
  return eio_flock (two, LOCK_SH, -1, KEEP);
}

START_TEST (exclusive_and_shared_exclude_each_other)
{
  hold ();
  while_it_lets_go (&one, 0, lock_exclusively);
  ck_assert (!is_free_for (one));
  ck_assert_int_eq (flock (two, LOCK_UN), 0);
  hold ();
  while_it_lets_go (&one, 0, lock_shared);
  ck_assert_int_eq (flock (one, LOCK_SH | LOCK_NB), 0);
  ck_assert_int_eq (flock (two, LOCK_UN), 0);
  while_it_lets_go (&one, 0, lock_exclusively);
}
END_TEST

START_TEST (shared_locks_are_changed_to_exclusive_ones)
{
  ck_assert_int_eq (flock (one, LOCK_SH), 0);
  ck_assert_int_eq (flock (two, LOCK_SH), 0);
  while_it_lets_go (&one, 0, lock_exclusively);
  ck_assert_int_eq (flock (one, LOCK_SH | LOCK_NB), -1);
  gives (0, eio_flock (two, LOCK_SH, 0, KEEP));
  ck_assert_int_eq (flock (one, LOCK_SH | LOCK_NB), 0);
}
END_TEST

START_TEST (ranges_are_waited_for)
{
  probe p[3];
  off_t length = 10;
  int i;

  gives (0, eio_lock (one, F_RDLCK, 0, 10, 0, KEEP));
  gives (0, eio_lock (two, F_RDLCK, 0, 10, 0, KEEP));
  gives (0, eio_lock (one, F_WRLCK, 20, 10, 0, KEEP));
  for (i = 0; i < 3; ++i)
    {
      probe_fill (&p[i], EIO_LOCK);
      p[i].req.int1 = two;
      p[i].req.int2 = i == 1 ? F_RDLCK : F_WRLCK;
      p[i].req.offs = 10 * i;
      p[i].req.ptr2 = &length;
      p[i].req.nv1 = -1;
      eio_submit (&p[i].req);
    }
  while (!p[1].destroys)
    host_poll ();
  assert_done (&p[1]); /* the others wait, this is between them */
  ck_assert_uint_eq (eio_nreqs (), 2);
  wait_until (tries > 12);
  gives (0, eio_lock (one, F_UNLCK, 0, 0, 0, KEEP));
  assert_done (&p[0]); /* changed, ... */
  assert_done (&p[2]); /* and new */
  ck_assert (!is_range_free (0, 10));
  ck_assert (!is_range_free (20, 10));
}
END_TEST

START_TEST (time_may_be_over)
{
  const eio_tstamp times[] = { 0, 1e-9, 0.003, 0.02, 0.11 };
  off_t start;
  int i;

  hold ();
  gives (0, eio_lock (one, F_WRLCK, 0, 10, 0, KEEP));
  for (i = 0; i < LENGTH (times); ++i)
    for (start = 0; start < 2; ++start)
      {
        double begin = now ();

        fails (ETIMEDOUT, start ? eio_flock (two, LOCK_SH, times[i], KEEP)
                                : eio_lock (two, F_RDLCK, 5, 0, times[i],
                                            KEEP));
        ck_assert_double_ge (now () - begin, times[i]);
      }
  gives (0, eio_lock (two, F_RDLCK, 10, 0, 0, KEEP));
}
END_TEST

START_TEST (one_try_is_one_try)
{
  hold ();
  tries = 0;
  fails (ETIMEDOUT, start_flock (0));
  ck_assert_int_eq (tries, 1);
  fails (ETIMEDOUT, start_flock (-0.0));
  fails (EWOULDBLOCK, eio_flock (two, LOCK_EX | LOCK_NB, 0, KEEP));
  fails (EWOULDBLOCK, eio_flock (two, LOCK_SH | LOCK_NB, 60, KEEP));
  fails (EWOULDBLOCK, eio_flock (two, LOCK_EX | LOCK_NB, -1, KEEP));
  ck_assert_int_eq (tries, 5);
  ck_assert (!has_keeper (EIO_POOL));
}
END_TEST

START_TEST (bad_arguments_are_refused)
{
  const double nan = strtod ("nan", 0);
  int reader = open (path, O_RDONLY);
  off_t start;

  tries = 0;
  fails (EINVAL, eio_flock (one, 0, -1, KEEP));
  fails (EINVAL, eio_flock (one, LOCK_NB, -1, KEEP));
  fails (EINVAL, eio_flock (one, LOCK_SH | LOCK_EX, -1, KEEP));
  fails (EINVAL, eio_flock (one, LOCK_EX | 64, -1, KEEP));
  fails (EINVAL, eio_flock (one, -1, -1, KEEP));
  fails (EINVAL, eio_flock (one, LOCK_EX, nan, KEEP));
  fails (EINVAL, eio_lock (one, 77, 0, 0, -1, KEEP));
  fails (EINVAL, eio_lock (one, -1, 0, 0, -1, KEEP));
  fails (EINVAL, eio_lock (one, F_WRLCK, 0, 0, nan, KEEP));
  ck_assert_int_eq (tries, 0);
  fails (EBADF, eio_flock (-1, LOCK_EX, -1, KEEP));
  fails (EBADF, eio_flock (1000000, LOCK_EX, -1, KEEP));
  fails (EBADF, eio_lock (-1, F_WRLCK, 0, 0, -1, KEEP));
  fails (EBADF, eio_lock (reader, F_WRLCK, 0, 0, -1, KEEP));
  gives (0, eio_lock (reader, F_RDLCK, 0, 0, -1, KEEP));
  for (start = -20; start < 30; start += 5)
    {
      struct flock range = { .l_type = F_RDLCK, .l_start = start,
                             .l_len = -10 };

      agrees (fcntl (two, F_OFD_SETLK, &range),
              eio_lock (one, F_RDLCK, start, -10, -1, KEEP));
    }
  fails (EINVAL, eio_lock (one, F_WRLCK, -1, 10, -1, KEEP));
  fails (EOVERFLOW, eio_lock (one, F_WRLCK, INT64_MAX, INT64_MAX, -1, KEEP));
  close (reader);
}
END_TEST

START_TEST (errors_of_the_system_are_told)
{
  const int errors[] = { ENOLCK, EBADF, EIO, EACCES, EPERM };
  int i, after;

  hold ();
  gives (0, eio_lock (one, F_WRLCK, 0, 0, 0, KEEP));
  for (i = 0; i < LENGTH (errors); ++i)
    for (after = 0; after < 4; ++after)
      {
        arm (errors[i], after, 1);
        fails (errors[i], start_flock (-1));
        arm (errors[i], after, 1);
        fails (errors[i], eio_lock (two, F_WRLCK, 0, 0, -1, KEEP));
      }
  arm (ENOSYS, 0, 1);
  fails (ENOSYS, start_flock (-1));
  arm (EINVAL, 2, 1);
  fails (EINVAL, start_flock (-1));
}
END_TEST

START_TEST (interruptions_are_not_noticed)
{
  arm (EINTR, 0, 5);
  gives (0, start_flock (0));
  arm (EINTR, 0, 5);
  gives (0, eio_lock (one, F_WRLCK, 0, 0, 0, KEEP));
  arm (EINTR, 1, 5);
  fails (ETIMEDOUT, eio_lock (two, F_WRLCK, 0, 0, 0.01, KEEP));
}
END_TEST

START_TEST (locks_may_be_the_process_s)
{
  const int errors[] = { EINVAL, ENOSYS };
  struct flock range = { .l_type = F_WRLCK };
  int i;

  for (i = 0; i < 2; ++i)
    {
      ordinary = 0;
      arm (errors[i], 0, 1);
      gives (0, eio_lock (one, F_WRLCK, 0, 10, 0, KEEP));
      ck_assert_int_eq (ordinary, 1);
      ck_assert (!is_range_free (0, 10));
      arm (errors[i], 0, 1);
      gives (0, eio_lock (two, F_WRLCK, 0, 10, 0, KEEP)); /* the same owner */
      ck_assert_int_eq (fcntl (other, F_OFD_SETLK, &range), -1);
      arm (errors[i], 0, 1);
      gives (0, eio_lock (one, F_UNLCK, 0, 0, 0, KEEP));
      ck_assert (is_range_free (0, 0));
    }
  ck_assert_int_eq (fcntl (other, F_OFD_SETLK, &range), 0);
  arm (EINVAL, 0, 1000000);
  fails (ETIMEDOUT, eio_lock (one, F_WRLCK, 0, 0, 0.01, KEEP));
  arm (0, 0, 0);
}
END_TEST

START_TEST (descriptors_may_be_closed)
{
  hold ();
  start_flock (-1);
  wait_until (tries > 1);
  close (two);
  host_drain ();
  ck_assert_int_eq (got.result, -1);
  ck_assert_int_eq (got.errorno, EBADF);
}
END_TEST

START_TEST (other_processes_have_locks)
{
  int killed, status, ends[2];
  char c;
  pid_t pid;

  for (killed = 0; killed < 2; ++killed)
    {
      ck_assert_int_eq (pipe (ends), 0);
      pid = fork ();
      ck_assert_int_ge (pid, 0);
      if (!pid)
        {
          int fd = open_file ();

          _exit (flock (fd, LOCK_EX) || write (ends[1], "x", 1) != 1
                 || pause ());
        }
      ck_assert_int_eq (read (ends[0], &c, 1), 1);
      tries = 0;
      start_flock (-1);
      passes (1);
      wait_until (tries > 2);
      ck_assert_uint_eq (eio_nreqs (), 1);
      kill (pid, killed ? SIGKILL : SIGUSR1);
      host_drain ();
      ck_assert_int_eq (got.result, 0);
      ck_assert_int_eq (waitpid (pid, &status, 0), pid);
      ck_assert_int_eq (flock (two, LOCK_UN), 0);
      close (ends[0]);
      close (ends[1]);
    }
}
END_TEST

/*****************************************************************************
 * Cancellation                                                              *
 *****************************************************************************/

START_TEST (cancelled_locks_end_at_once)
{
  probe p[3];
  int i;

  hold ();
  for (i = 0; i < 3; ++i)
    submit_flock (&p[i]);
  put_off (3);
  eio_cancel (&p[1].req);
  while (!p[1].destroys)
    host_poll ();
  assert_dropped (&p[1]);
  ck_assert_int_eq (p[1].errorno, ECANCELED);
  assert_live (&p[0]);
  assert_live (&p[2]);
  ck_assert_int_eq (count_waiting (EIO_POOL, 0), 2);
  X_LOCK (EIO_POOL->reqlock);
  ck_assert_int_eq (EIO_POOL->alerted, 0); /* or the keeper would not rest */
  X_UNLOCK (EIO_POOL->reqlock);

  eio_set_finish_cancelled (1);
  eio_cancel (&p[0].req);
  eio_cancel (&p[2].req);
  host_drain ();
  assert_done (&p[0]);
  ck_assert_int_eq (p[0].result, -1);
  ck_assert_int_eq (p[0].errorno, ECANCELED);
  assert_done (&p[2]);
  release ();
  ck_assert (is_free_for (other));
}
END_TEST

START_TEST (groups_of_locks_are_cancelled)
{
  probe grp, inner, p[4];
  int i, how;

  hold ();
  for (how = 0; how < 2; ++how)
    {
      probe_submit (&grp, EIO_GROUP);
      probe_add (&grp, &inner, EIO_GROUP);
      for (i = 0; i < 4; ++i)
        {
          fill_flock (&p[i], two, LOCK_EX, i & 1 ? -1 : 3600);
          ck_assert_int_eq (eio_grp_add (i < 2 ? &grp.req : &inner.req,
                                         &p[i].req),
                            0);
          eio_submit (&p[i].req);
        }
      put_off (4);
      if (how)
        eio_cancel (&grp.req);
      else
        eio_grp_cancel (&grp.req);
      while (!grp.destroys)
        host_poll ();
      for (i = 0; i < 4; ++i)
        assert_dropped (&p[i]);
      ck_assert_int_eq (grp.finishes, !how);
      ck_assert_uint_eq (eio_nreqs (), 0);
    }
}
END_TEST

START_TEST (what_joins_a_cancelled_group_is_cancelled)
{
  probe grp, stays, p;

  hold ();
  probe_fill (&grp, EIO_GROUP);
  probe_fill (&stays, EIO_NOP);
  ck_assert_int_eq (eio_grp_add (&grp.req, &stays.req), 0);
  eio_submit (&grp.req);
  eio_cancel (&grp.req);
  submit_flock (&p);
  put_off (1);
  ck_assert_int_eq (eio_grp_add (&grp.req, &p.req), 0);
  while (!p.destroys)
    host_poll ();
  assert_dropped (&p);
  eio_submit (&stays.req);
  host_drain ();
  assert_dropped (&grp);
}
END_TEST

START_TEST (what_was_cancelled_before_is_not_tried)
{
  probe p;

  tries = 0;
  fill_flock (&p, one, LOCK_EX, -1);
  p.req.cancelled = 1;
  eio_submit (&p.req);
  host_drain ();
  assert_dropped (&p);
  ck_assert_int_eq (tries, 0);
}
END_TEST

/* Cancels a request that was executed before anybody is told. */
static void
cancel_in_time (eio_req *req)
{
  wait_until (eio_npending () == 1);
  eio_cancel (req);
  host_drain ();
}

START_TEST (cancelled_locks_are_given_back)
{
  eio_req *req;

  cancel_in_time (eio_flock (two, LOCK_EX, 0, KEEP));
  ck_assert (is_free_for (other));
  cancel_in_time (eio_flock (two, LOCK_SH | LOCK_NB, 0, KEEP));
  ck_assert (is_free_for (other));
  cancel_in_time (eio_lock (two, F_RDLCK, 20, -10, 0, KEEP));
  ck_assert (is_range_free (0, 0));

  hold ();
  tries = 0;
  req = start_flock (-1);
  wait_until (tries > 2);
  release ();
  cancel_in_time (req);
  ck_assert (is_free_for (other));
}
END_TEST

/* Who unlocked, and locked again since, keeps that. */
START_TEST (cancelled_unlocking_takes_nothing_back)
{
  struct flock range = { .l_type = F_WRLCK, .l_len = 10 };
  int i;

  for (i = 0; i < 2; ++i)
    {
      eio_req *req = i ? eio_lock (two, F_UNLCK, 0, 10, 0, KEEP)
                       : eio_flock (two, LOCK_UN, 0, KEEP);

      ck_assert_int_eq (host_wait (-1), 1);
      if (i)
        ck_assert_int_eq (fcntl (two, F_OFD_SETLK, &range), 0);
      else
        ck_assert_int_eq (flock (two, LOCK_EX), 0);
      eio_cancel (req);
      host_drain ();
      ck_assert (i ? !is_range_free (0, 10) : !is_free_for (other));
      ck_assert_int_eq (flock (two, LOCK_UN), 0);
    }
}
END_TEST

START_TEST (locks_of_before_are_left)
{
  struct rlimit files, few;
  eio_req *req;

  ck_assert_int_eq (flock (two, LOCK_SH), 0);
  cancel_in_time (eio_flock (two, LOCK_EX, 0, KEEP));
  ck_assert (!is_free_for (other));
  cancel_in_time (eio_lock (two, F_WRLCK, 0, 10, 0, KEEP));
  ck_assert (!is_range_free (0, 10));
  cancel_in_time (eio_lock (two, F_UNLCK, 0, 5, 0, KEEP));
  ck_assert (!is_range_free (5, 1));
  cancel_in_time (eio_flock (two, LOCK_UN, 0, KEEP));
  ck_assert (is_free_for (other));
  gives (0, eio_lock (two, F_UNLCK, 0, 0, 0, KEEP));

  /* A change that has to wait gives up the lock. */
  ck_assert_int_eq (flock (one, LOCK_SH), 0);
  ck_assert_int_eq (flock (two, LOCK_SH), 0);
  tries = 0;
  req = start_flock (-1);
  wait_until (tries > 2);
  ck_assert_int_eq (flock (one, LOCK_UN), 0);
  cancel_in_time (req);
  ck_assert (is_free_for (other));

  /* Nobody can say. */
  ck_assert_int_eq (getrlimit (RLIMIT_NOFILE, &files), 0);
  few = files;
  few.rlim_cur = 3;
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &few), 0);
  req = start_flock (-1);
  cancel_in_time (req);
  ck_assert_int_eq (setrlimit (RLIMIT_NOFILE, &files), 0);
  ck_assert (!is_free_for (other));
}
END_TEST

START_TEST (who_is_told_keeps_the_lock)
{
  probe p;

  eio_set_finish_cancelled (1);
  fill_flock (&p, two, LOCK_EX, 0);
  eio_submit (&p.req);
  cancel_in_time (&p.req);
  assert_done (&p);
  ck_assert_int_eq (p.result, 0);
  ck_assert (!is_free_for (other));
}
END_TEST

/*****************************************************************************
 * The pool                                                                  *
 *****************************************************************************/

START_TEST (no_worker_waits)
{
  static probe p[100];
  int i;

  eio_set_parallel (1);
  hold ();
  for (i = 0; i < 100; ++i)
    submit_flock (&p[i]);
  for (i = 0; i < 100; ++i)
    passes (100);
  ck_assert_uint_eq (eio_nthreads (), 1);
  ck_assert_int_eq (threads, 2);
  for (i = 0; i < 100; ++i)
    assert_live (&p[i]);
  gives (0, eio_flock (one, LOCK_UN, 0, KEEP)); /* all are of one owner */
  for (i = 0; i < 100; ++i)
    assert_done (&p[i]);
}
END_TEST

/* A lock that was tried that often, and has time until then, or for ever. */
static etp_round *
join_round (etp_pool *pool, eio_req *req, size_t tried,
            unsigned long long end)
{
  etp_round *round;

  memset (req, 0, sizeof *req);
  req->eio_frame = tried;
  req->eio_t[2] = end;
  etp_join_round_locked (pool, req);
  ck_assert_uint_eq (req->eio_frame, tried + 1);
  for (round = pool->rounds; round->reqs.last[0] != req;)
    ck_assert (++round < pool->rounds + ETP_NUM_ROUNDS);
  return round;
}

/* The more often it was, the later it is tried again, but in time. */
START_TEST (locks_are_tried_in_rounds)
{
  enum { N = ETP_NUM_ROUNDS };
  static eio_req reqs[N + 4];
  static etp_pool pool;
  etp_round *round = pool.rounds;
  etp_queue taken;
  int i;

  ck_assert_uint_eq (etp_next_round_locked (&pool), 0);
  for (i = 0; i < N + 2; ++i)
    ck_assert_ptr_eq (join_round (&pool, &reqs[i], (size_t)i, 0),
                      &round[i < N ? i : N - 1]);
  for (i = 1; i < N; ++i)
    ck_assert_uint_ge (round[i].due, round[i - 1].due + (ETP_PAUSE << (i - 1)));
  ck_assert_ptr_eq (join_round (&pool, &reqs[i + 2], N, round[1].due),
                    &round[1]);
  ck_assert_uint_eq (etp_next_round_locked (&pool), round[0].due);
  ck_assert_ptr_eq (join_round (&pool, &reqs[i + 3], N, round[0].due - 1),
                    round);
  ck_assert_uint_eq (round[0].due, reqs[i + 3].eio_t[2]);

  etp_take_round_locked (&pool, &taken, round[0].due - 1);
  ck_assert_int_eq (taken.size, 0);
  etp_take_round_locked (&pool, &taken, round[0].due);
  ck_assert_int_eq (taken.size, 2);
  ck_assert_uint_eq (etp_next_round_locked (&pool), round[1].due);
  reqs[N].cancelled = 1;
  pool.alerted = 1;
  etp_take_round_locked (&pool, &taken, 0);
  ck_assert_int_eq (taken.size, 1);
  ck_assert_ptr_eq (taken.first[0], &reqs[N]);
  etp_take_rounds_locked (&pool, &taken);
  ck_assert_int_eq (taken.size, N + 1);
}
END_TEST

START_TEST (each_gets_the_lock_in_the_end)
{
  static probe p[40];
  int fds[40], i, left = 40;

  for (i = 0; i < 40; ++i)
    {
      fds[i] = open_file ();
      fill_flock (&p[i], fds[i], LOCK_EX, -1);
      eio_submit (&p[i].req);
    }
  while (left)
    {
      host_poll ();
      for (i = 0; i < 40; ++i)
        if (p[i].destroys && fds[i] >= 0)
          {
            assert_done (&p[i]);
            close (fds[i]);
            fds[i] = -1;
            --left;
          }
    }
}
END_TEST

START_TEST (results_come_by_priority)
{
  probe p[3];
  int i;

  hold ();
  for (i = 0; i < 3; ++i)
    {
      fill_flock (&p[i], two, LOCK_EX, 0.02);
      p[i].req.pri = (signed char)(i - 1);
      eio_submit (&p[i].req);
    }
  wait_until (eio_npending () == 3);
  host_drain ();
  for (i = 0; i < 2; ++i)
    ck_assert_int_gt (p[i].finish_turn, p[i + 1].finish_turn);
}
END_TEST

START_TEST (a_request_may_be_submitted_again)
{
  probe p;
  int i;

  hold ();
  for (i = 0; i < 3; ++i)
    {
      fill_flock (&p, two, LOCK_EX, 0.005);
      eio_submit (&p.req);
      host_drain ();
      assert_done (&p);
      ck_assert_int_eq (p.errorno, ETIMEDOUT);
    }
}
END_TEST

START_TEST (locks_count_as_outstanding)
{
  probe p, q;

  hold ();
  submit_flock (&p);
  put_off (1);
  ck_assert_int_eq (eio_poll_wait (0.01), 0);
  ck_assert_uint_eq (eio_nreqs (), 1);
  eio_set_submit_limit (1);
  errno = 0;
  ck_assert_ptr_null (eio_nop (KEEP));
  ck_assert_int_eq (errno, EAGAIN);
  eio_set_submit_limit (0);
  eio_cancel (&p.req);
  ck_assert_int_eq (eio_flush (), 0);
  assert_dropped (&p);

  eio_set_max_outstanding (1);
  submit_flock (&p);
  fill_flock (&q, two, LOCK_EX, 0.01);
  eio_submit (&q.req);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_uint_eq (eio_nreqs (), 1);
  assert_done (&q);
  eio_set_max_outstanding (0);
  eio_cancel (&p.req);
  host_drain ();
}
END_TEST

START_TEST (paused_pools_still_wait)
{
  probe p;

  hold ();
  submit_flock (&p);
  put_off (1);
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  eio_cancel (&p.req);
  host_drain ();
  assert_dropped (&p);
}
END_TEST

static atomic_int starts, stops;

static void
count_start (void *userdata)
{
  (void)userdata;
  ++starts;
}

static void
count_stop (void *userdata)
{
  (void)userdata;
  ++stops;
}

static void
call_keeper (void)
{
  probe p;

  submit_flock (&p);
  put_off (1);
  eio_cancel (&p.req);
  host_drain ();
  assert_dropped (&p);
}

START_TEST (the_keeper_comes_and_goes)
{
  int fds = count_fds (), i;

  eio_set_thread_hooks (count_start, count_stop, 0);
  eio_set_parallel (1);
  eio_set_idle_timeout (0);
  hold ();
  for (i = 1; i <= 5; ++i)
    {
      call_keeper ();
      wait_until (!has_keeper (EIO_POOL) && stops == i);
      wait_until (threads == 1);
      ck_assert_ptr_null (EIO_POOL->keeper);
      ck_assert_int_eq (starts, i + 1); /* the worker, too */
    }
  ck_assert_uint_eq (eio_nthreads (), 1);
  ck_assert_int_eq (count_fds (), fds);
  eio_set_idle_timeout (1000);
  call_keeper ();
  ck_assert (has_keeper (EIO_POOL));
  eio_set_idle_timeout (0);
  wait_until (!has_keeper (EIO_POOL));
  eio_set_idle_timeout (1000);
  call_keeper ();
  eio_set_max_parallel (0);
  wait_until (!has_keeper (EIO_POOL));
}
END_TEST

/* It has nothing to do, but would wait for that for long. */
START_TEST (a_keeper_at_rest_leaves_with_its_life)
{
  etp_pool *old = EIO_POOL;

  eio_set_idle_timeout (1000);
  hold ();
  call_keeper ();
  ck_assert (has_keeper (old));
  host_start ();
  wait_until (!has_keeper (old));
  release ();
}
END_TEST

START_TEST (statistics_show_one_execution)
{
  struct eio_stats stats;
  int i, n = 0;

  eio_set_timing (1);
  hold ();
  fails (ETIMEDOUT, start_flock (0.02));
  eio_get_stats (&stats, sizeof stats);
  ck_assert_int_eq ((int)stats.submitted, 1);
  ck_assert_int_eq ((int)stats.executed, 1);
  ck_assert_int_eq ((int)stats.finished, 1);
  for (i = 0; i < 32; ++i)
    {
      n += (int)stats.exec_hist[i];
      ck_assert (!stats.exec_hist[i] || i >= 14); /* 16384 us */
    }
  ck_assert_int_eq (n, 1);
  ck_assert_uint_eq (stats.max_nthreads, 1);
  ck_assert_int_eq ((int)stats.threads_started, 1);
}
END_TEST

static int slow_ones;

static void
is_slow (const eio_req *req, eio_tstamp running)
{
  ck_assert_int_eq (req->type, EIO_FLOCK);
  ck_assert_double_ge (running, 0.01);
  ++slow_ones;
}

START_TEST (slow_locks_are_reported)
{
  eio_set_slow (0.01, is_slow);
  hold ();
  fails (ETIMEDOUT, start_flock (0.02));
  ck_assert_int_eq (slow_ones, 1);
}
END_TEST

START_TEST (shutdown_waits_for_locks)
{
  probe p;

  hold ();
  submit_flock (&p);
  put_off (1);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.01), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  assert_live (&p);
  passes (1);
  eio_cancel (&p.req);
  host_drain ();
  assert_dropped (&p);
  fill_flock (&p, two, LOCK_EX, 0.02);
  eio_submit (&p.req);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  assert_done (&p);
  ck_assert_int_eq (p.errorno, ETIMEDOUT);
  ck_assert_int_eq (threads, 0);
}
END_TEST

static int
count_in_last_round (void)
{
  int n;

  X_LOCK (EIO_POOL->reqlock);
  n = EIO_POOL->rounds[ETP_NUM_ROUNDS - 1].reqs.size;
  X_UNLOCK (EIO_POOL->reqlock);
  return n;
}

/* However often they were tried. */
START_TEST (shutdown_cancels_locks)
{
  static probe p[20];
  int round, i;

  hold ();
  for (round = 0; round < 3; ++round)
    {
      for (i = 0; i < 20; ++i)
        submit_flock (&p[i]);
      if (round == 2)
        wait_until (count_in_last_round () == 20);
      if (round)
        put_off (20);
      ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, -1), 0);
      for (i = 0; i < 20; ++i)
        assert_dropped (&p[i]);
      ck_assert_int_eq (threads, 0);
      host_start ();
    }
}
END_TEST

static void
await_closing (void)
{
  wait_until (ecb_load_relaxed (EIO_POOL->draining) == ETP_CLOSE);
}

/* It is nowhere when all that waits is cancelled. */
START_TEST (shutdown_cancels_a_lock_that_is_tried)
{
  probe p;

  hold ();
  after_vain_try = await_closing;
  submit_flock (&p);
  wait_until (!ecb_load_relaxed (EIO_POOL->req_queue.size));
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, 60), 0);
  assert_dropped (&p);
  release ();
}
END_TEST

static sem_t tried, begun;

static void
await_life (void)
{
  sem_post (&tried);
  take (&begun);
}

/* It is dropped, as all of that life. */
START_TEST (another_life_drops_a_lock_that_is_tried)
{
  etp_pool *old = EIO_POOL;
  probe p;

  sem_init (&tried, 0, 0);
  sem_init (&begun, 0, 0);
  hold ();
  after_vain_try = await_life;
  submit_flock (&p);
  take (&tried);
  host_start ();
  sem_post (&begun);
  passes (0);
  wait_until (threads == 1); /* the new life's */
  ck_assert (!has_keeper (old));
  ck_assert_int_eq (count_waiting (old, -1), 0);
  assert_live (&p);
  release ();
}
END_TEST

START_TEST (pools_with_locks_are_not_freed)
{
  eio_pool *pool = eio_pool_new (0, 0, 0);
  probe p;

  ck_assert_ptr_nonnull (pool);
  eio_pool_use (pool);
  hold ();
  submit_flock (&p);
  wait_until (count_waiting (pool, 0) == 1);
  ck_assert_int_eq (eio_pool_free (pool), -1);
  ck_assert_int_eq (errno, EBUSY);
  release ();
  ck_assert_int_eq (eio_flush (), 0);
  assert_done (&p);
  ck_assert_int_eq (eio_pool_free (pool), 0);
  ck_assert_int_eq (threads, 0);
}
END_TEST

START_TEST (pools_that_share_workers_share_the_keeper)
{
  eio_pool *own = eio_pool_new (0, 0, 0);
  eio_pool *guests[2];
  probe p[3];
  int i;

  hold ();
  guests[0] = eio_pool_new_shared (own, 0, 0, 0);
  guests[1] = eio_pool_new_shared (own, 0, 0, 0);
  for (i = 0; i < 3; ++i)
    {
      eio_pool_use (i < 2 ? guests[i] : own);
      submit_flock (&p[i]);
    }
  wait_until (count_waiting (own, 0) == 3);
  ck_assert (!has_keeper (EIO_POOL));

  /* The pool whose workers they share is brought to rest. */
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, -1), 0);
  assert_dropped (&p[2]);
  assert_live (&p[0]);
  assert_live (&p[1]);
  ck_assert_int_eq (eio_pool_free (guests[0]), -1);

  eio_pool_use (guests[0]);
  eio_cancel (&p[0].req);
  ck_assert_int_eq (eio_flush (), 0);
  assert_dropped (&p[0]);
  ck_assert_int_eq (eio_pool_free (guests[0]), 0);

  eio_pool_use (guests[1]);
  release ();
  ck_assert_int_eq (eio_flush (), 0);
  assert_done (&p[1]);
  ck_assert_int_eq (p[1].result, 0);
  ck_assert_int_eq (eio_pool_free (guests[1]), 0);
  ck_assert_int_eq (eio_pool_free (own), 0);
}
END_TEST

START_TEST (pools_are_freed_after_their_last_lock)
{
  int i;

  hold ();
  for (i = 0; i < 100; ++i)
    {
      eio_pool *guest = eio_pool_new_shared (0, 0, 0, 0);
      probe p;

      eio_pool_use (guest);
      fill_flock (&p, two, LOCK_EX, i % 3 * 0.001 + 1e-5);
      eio_submit (&p.req);
      ck_assert_int_eq (eio_flush (), 0);
      assert_done (&p);
      ck_assert_int_eq (p.errorno, ETIMEDOUT);
      ck_assert_int_eq (eio_pool_free (guest), 0);
    }
}
END_TEST

/* Of many at a time, some are cancelled by another thread, some time out, and
 * some get the lock. */
enum { MANY = 64 };
static probe many[MANY];

static void *
cancel_some (void *arg)
{
  int i;

  for (i = 0; i < MANY; i += 2)
    {
      if (i % 3)
        sched_yield ();
      eio_cancel (&many[i].req);
    }
  return arg;
}

START_TEST (everything_may_happen_at_once)
{
  pthread_t thread;
  int round, i;

  for (round = 0; round < 20; ++round)
    {
      hold ();
      for (i = 0; i < MANY; ++i)
        {
          fill_flock (&many[i], two, LOCK_SH + i % 5 % 2,
                      i % 4 == 1 ? 1e-4 * i : -1);
          many[i].req.pri = (signed char)(i % 9 - 4);
          eio_submit (&many[i].req);
        }
      ck_assert_int_eq (pthread_create (&thread, 0, cancel_some, 0), 0);
      host_poll ();
      pthread_join (thread, 0);
      if (round & 1)
        eio_set_idle_timeout ((unsigned)round & 2);
      release ();
      host_drain ();
      for (i = 0; i < MANY; ++i)
        {
          ck_assert_int_eq (many[i].destroys, 1);
          ck_assert_int_eq (many[i].finishes, i & 1);
        }
      ck_assert_int_eq (flock (two, LOCK_UN), 0);
    }
}
END_TEST

START_TEST (another_life_takes_guests_over)
{
  eio_pool *guest = eio_pool_new_shared (0, 0, 0, 0);
  probe mine, its;

  hold ();
  submit_flock (&mine);
  eio_pool_use (guest);
  submit_flock (&its);
  put_off (2);
  eio_pool_use (0);
  host_start ();
  ck_assert_uint_eq (eio_nreqs (), 0);
  passes (0);
  release ();
  eio_pool_use (guest);
  ck_assert_int_eq (eio_flush (), 0);
  assert_done (&its);
  ck_assert_int_eq (its.result, 0);
  assert_live (&mine);
  ck_assert_int_eq (eio_pool_free (guest), 0);
  eio_pool_use (0);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  ck_assert_int_eq (threads, 0);
}
END_TEST

START_TEST (children_begin_without_them)
{
  probe p, its;
  pid_t pid;

  if (!child_may_start_threads ())
    return;
  hold ();
  submit_flock (&p);
  wait_until (tries > 1); /* the keeper has begun */
  pid = fork ();
  if (!pid)
    {
      begin_child ();
      host_start ();
      two = open_file ();
      need (!eio_nreqs () && !has_keeper (EIO_POOL));
      fill_flock (&its, two, LOCK_EX, 0.01);
      eio_submit (&its.req);
      host_drain ();
      need (its.finishes == 1 && its.errorno == ETIMEDOUT);
      submit_flock (&its);
      put_off (1);
      eio_cancel (&its.req);
      host_drain ();
      need (!its.finishes && its.destroys == 1);
      need (!p.finishes && !p.destroys);
      _exit (0);
    }
  expect_success (pid);
  release ();
  host_drain ();
  assert_done (&p);
  ck_assert_int_eq (p.result, 0);
}
END_TEST

static int keepers_childs_status = -1;

/* The child ends with its only thread. */
static void
fork_in_keeper (void *userdata)
{
  pid_t pid = fork ();
  int status;

  (void)userdata;
  if (!pid)
    {
      begin_child ();
      end_with_thread ();
      return;
    }
  waitpid (pid, &status, 0);
  ecb_store_release (keepers_childs_status, status);
}

START_TEST (keepers_child_keeps_nothing)
{
  probe p;

  eio_set_parallel (1);
  eio_nop (0, 0, 0);
  host_drain ();
  eio_set_thread_hooks (fork_in_keeper, 0, 0);
  hold ();
  submit_flock (&p);
  wait_until (tries > 1);
  ck_assert_int_eq (ecb_load_acquire (keepers_childs_status), 0);
  release ();
  host_drain ();
  assert_done (&p);
}
END_TEST

/*****************************************************************************
 * Without a thread                                                          *
 *****************************************************************************/

/* Who waits does not keep who unlocks from being executed, whatever their
 * priorities are. */
static void
unlock_behind (void)
{
  probe p[3];
  int i;

  hold ();
  for (i = 0; i < 3; ++i)
    {
      fill_flock (&p[i], two, LOCK_EX, -1);
      p[i].req.pri = EIO_PRI_MAX;
      eio_submit (&p[i].req);
    }
  passes (3);
  wait_until ((refused != NO_THREAD || eio_poll ()) && tries > 12);
  passes (3);
  for (i = 0; i < 3; ++i)
    assert_live (&p[i]);
  eio_flock (one, LOCK_UN, -1, EIO_PRI_MIN, 0, 0);
  host_drain ();
  for (i = 0; i < 3; ++i)
    {
      assert_done (&p[i]);
      ck_assert_int_eq (p[i].result, 0);
    }
}

START_TEST (workers_try_again_where_no_keeper_can_be_had)
{
  struct eio_stats stats;

  eio_set_parallel (1);
  passes (0);
  refused = _i;
  unlock_behind ();
  ck_assert (!has_keeper (EIO_POOL));
  eio_get_stats (&stats, sizeof stats);
  ck_assert_int_gt ((int)stats.start_failures, 0);
}
END_TEST

START_TEST (tries_without_a_keeper_are_few)
{
  probe p;
  double begin = now ();

  refused = NO_KEEPER;
  hold ();
  submit_flock (&p);
  wait_until (tries > 20);
  ck_assert (now () - begin >= 0.018); /* a thousandth between two */
  release ();
  host_drain ();
  assert_done (&p);
}
END_TEST

START_TEST (eio_poll_tries_again_where_no_thread_can_be_had)
{
  refused = NO_THREAD;
  unlock_behind ();
  ck_assert_uint_eq (eio_nthreads (), 0);
}
END_TEST

static void
end_without_keeper (void)
{
  probe p[4];
  int i;

  hold ();
  for (i = 0; i < 4; ++i)
    {
      fill_flock (&p[i], two, LOCK_EX, i & 1 ? -1 : 0.02);
      p[i].req.pri = (signed char)(i / 2);
      eio_submit (&p[i].req);
    }
  wait_until ((refused != NO_THREAD || eio_poll ()) && tries > 8);
  eio_cancel (&p[1].req);
  eio_cancel (&p[3].req);
  host_drain ();
  for (i = 0; i < 4; ++i)
    if (i & 1)
      assert_dropped (&p[i]);
    else
      {
        assert_done (&p[i]);
        ck_assert_int_eq (p[i].errorno, ETIMEDOUT);
        ck_assert_int_eq (p[i].req.eio_rank, i / 2 - EIO_PRI_MIN);
      }
}

START_TEST (locks_end_without_a_keeper)
{
  refused = NO_KEEPER;
  end_without_keeper ();
  refused = NO_THREAD;
  eio_set_max_parallel (0);
  eio_set_parallel (4);
  end_without_keeper ();
}
END_TEST

START_TEST (a_keeper_is_had_later)
{
  probe p;

  refused = NO_KEEPER;
  hold ();
  submit_flock (&p);
  wait_until (tries > 3);
  refused = 0;
  wait_until (has_keeper (EIO_POOL));
  put_off (1);
  eio_cancel (&p.req);
  host_drain ();
  assert_dropped (&p);
}
END_TEST

START_TEST (guests_have_none_either)
{
  eio_pool *own = eio_pool_new (0, 0, 0);
  eio_pool *guest = eio_pool_new_shared (own, 0, 0, 0);
  probe p;

  refused = NO_KEEPER;
  hold ();
  eio_pool_use (guest);
  submit_flock (&p);
  wait_until (tries > 3);
  ck_assert_uint_le (eio_nready (), 1);
  release ();
  ck_assert_int_eq (eio_flush (), 0);
  assert_done (&p);
  ck_assert_uint_eq (eio_nready (), 0);
  submit_flock (&p);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, -1), 0);
  ck_assert_int_eq (eio_pool_free (guest), 0);
  ck_assert_int_eq (eio_pool_free (own), 0);
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("locks");
  TCase *tc;

  tc = add_case (suite, "results", 60, setup, stop_workers);
  tcase_add_test (tc, free_files_are_locked);
  tcase_add_test (tc, free_ranges_are_locked);
  tcase_add_test (tc, length_may_be_left_out);
  tcase_add_test (tc, locks_are_waited_for);
  tcase_add_test (tc, the_same_lock_again_is_had);
  tcase_add_test (tc, exclusive_and_shared_exclude_each_other);
  tcase_add_test (tc, shared_locks_are_changed_to_exclusive_ones);
  tcase_add_test (tc, ranges_are_waited_for);
  tcase_add_test (tc, time_may_be_over);
  tcase_add_test (tc, one_try_is_one_try);
  tcase_add_test (tc, bad_arguments_are_refused);
  tcase_add_test (tc, errors_of_the_system_are_told);
  tcase_add_test (tc, interruptions_are_not_noticed);
  tcase_add_test (tc, locks_may_be_the_process_s);
  tcase_add_test (tc, descriptors_may_be_closed);
  tcase_add_test (tc, other_processes_have_locks);

  tc = add_case (suite, "cancellation", 60, setup, stop_workers);
  tcase_add_test (tc, cancelled_locks_end_at_once);
  tcase_add_test (tc, groups_of_locks_are_cancelled);
  tcase_add_test (tc, what_joins_a_cancelled_group_is_cancelled);
  tcase_add_test (tc, what_was_cancelled_before_is_not_tried);
  tcase_add_test (tc, cancelled_locks_are_given_back);
  tcase_add_test (tc, cancelled_unlocking_takes_nothing_back);
  tcase_add_test (tc, locks_of_before_are_left);
  tcase_add_test (tc, who_is_told_keeps_the_lock);

  tc = add_case (suite, "pool", 60, setup, stop_workers);
  tcase_add_test (tc, no_worker_waits);
  tcase_add_test (tc, locks_are_tried_in_rounds);
  tcase_add_test (tc, each_gets_the_lock_in_the_end);
  tcase_add_test (tc, results_come_by_priority);
  tcase_add_test (tc, a_request_may_be_submitted_again);
  tcase_add_test (tc, locks_count_as_outstanding);
  tcase_add_test (tc, paused_pools_still_wait);
  tcase_add_test (tc, the_keeper_comes_and_goes);
  tcase_add_test (tc, a_keeper_at_rest_leaves_with_its_life);
  tcase_add_test (tc, statistics_show_one_execution);
  tcase_add_test (tc, slow_locks_are_reported);
  tcase_add_test (tc, shutdown_waits_for_locks);
  tcase_add_test (tc, shutdown_cancels_locks);
  tcase_add_test (tc, shutdown_cancels_a_lock_that_is_tried);
  tcase_add_test (tc, another_life_drops_a_lock_that_is_tried);
  tcase_add_test (tc, pools_with_locks_are_not_freed);
  tcase_add_test (tc, pools_that_share_workers_share_the_keeper);
  tcase_add_test (tc, pools_are_freed_after_their_last_lock);
  tcase_add_test (tc, everything_may_happen_at_once);
  tcase_add_test (tc, another_life_takes_guests_over);
  tcase_add_test (tc, children_begin_without_them);
  tcase_add_test (tc, keepers_child_keeps_nothing);

  tc = add_case (suite, "no thread", 60, setup, stop_workers);
  tcase_add_loop_test (tc, workers_try_again_where_no_keeper_can_be_had,
                       NO_KEEPER, NO_MEMORY + 1);
  tcase_add_test (tc, tries_without_a_keeper_are_few);
  tcase_add_test (tc, eio_poll_tries_again_where_no_thread_can_be_had);
  tcase_add_test (tc, locks_end_without_a_keeper);
  tcase_add_test (tc, a_keeper_is_had_later);
  tcase_add_test (tc, guests_have_none_either);
  return run_suite (suite);
}
