/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What a pool tells of its work, and in which order it does it: eio_get_stats,
 * eio_set_timing, eio_set_slow, eio_set_reserved, eio_set_ageing.  eio.c is
 * included with a clock that the test can stop, threads that it can refuse,
 * and a page cache that has everything. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Nanoseconds, if it stands still; 0: it is the system's. */
static _Atomic unsigned long long stopped_at;
static atomic_long clock_calls;

static int
fake_clock_gettime (clockid_t id, struct timespec *t)
{
  unsigned long long ns = stopped_at;

  ++clock_calls;
  if (!ns)
    return clock_gettime (id, t);
  t->tv_sec = (time_t)(ns / 1000000000u);
  t->tv_nsec = (long)(ns % 1000000000u);
  return 0;
}

static atomic_int refusing, refusals;

static int
fake_pthread_create (pthread_t *tid, const pthread_attr_t *attr,
                     void *(*proc) (void *), void *arg)
{
  if (!refusing)
    return pthread_create (tid, attr, proc, arg);
  ++refusals;
  return EAGAIN;
}

static ssize_t
fake_preadv2 (int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
  (void)flags;
  return preadv (fd, iov, n, offset);
}

#define clock_gettime  fake_clock_gettime
#define pthread_create fake_pthread_create
#define preadv2        fake_preadv2
#include "eio.c"
#undef clock_gettime
#undef pthread_create
#undef preadv2

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <sys/wait.h>

#include "support.h"
#include "probe.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

static void
stop_clock (void)
{
  stopped_at = 1000000000000ull;
}

static void
advance_us (unsigned long long us)
{
  stopped_at += us * 1000;
}

static void
advance (double seconds)
{
  advance_us ((unsigned long long)(seconds * 1e6));
}

static void
submit_nops (int n)
{
  while (n--)
    ck_assert_ptr_nonnull (eio_nop (0, count, 0));
}

static struct eio_stats
stats (void)
{
  struct eio_stats s;

  memset (&s, 0xff, sizeof s);
  ck_assert_int_eq (eio_get_stats (&s, sizeof s), 0);
  return s;
}

static int
is_zero (const void *block, size_t size)
{
  const unsigned char *p = block;

  while (size && !*p)
    ++p, --size;
  return !size;
}

static uint64_t
sum (const uint64_t *hist)
{
  uint64_t n = 0;
  int i;

  for (i = 0; i < 32; ++i)
    n += hist[i];
  return n;
}

/* At rest, nothing is lost. */
static void
tells_line (int line, unsigned submitted, unsigned executed,
            unsigned cancelled)
{
  struct eio_stats s = stats ();

  ck_assert_msg (s.submitted == submitted && s.executed == executed
                   && s.cancelled == cancelled
                   && s.finished == submitted - cancelled && !eio_nreqs (),
                 "line %d: submitted %u, executed %u, finishes %u, cancelled "
                 "%u; not %u, %u, %u, %u; %u outstanding",
                 line, (unsigned)s.submitted, (unsigned)s.executed,
                 (unsigned)s.finished, (unsigned)s.cancelled, submitted,
                 executed, submitted - cancelled, cancelled, eio_nreqs ());
}
#define tells(...) tells_line (__LINE__, __VA_ARGS__)

static void
is_balanced (void)
{
  struct eio_stats s = stats ();

  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  ck_assert_uint_eq (s.submitted, s.finished + s.cancelled);
}

static void
hist_is_line (int line, const char *name, const uint64_t *hist, int bucket,
              unsigned n)
{
  ck_assert_msg (hist[bucket] == n && sum (hist) == n,
                 "line %d: %s: %u in bucket %d, %u in all; not %u", line, name,
                 (unsigned)hist[bucket], bucket, (unsigned)sum (hist), n);
}
#define hist_is(hist, bucket, n) \
  hist_is_line (__LINE__, #hist, hist, bucket, n)

/* As many in each. */
static void
times_line (int line, unsigned n)
{
  struct eio_stats s = stats ();

  ck_assert_msg (sum (s.queue_hist) == n && sum (s.exec_hist) == n
                   && sum (s.deliver_hist) == n,
                 "line %d: %u queued, %u executed, %u delivered; not %u", line,
                 (unsigned)sum (s.queue_hist), (unsigned)sum (s.exec_hist),
                 (unsigned)sum (s.deliver_hist), n);
}
#define times(n) times_line (__LINE__, n)

static void
start (void)
{
  prepare_stays ();
  host_start ();
}

static void
start_stopped (void)
{
  stop_clock ();
  start ();
}

static void
start_paused_and_stopped (void)
{
  stop_clock ();
  start_paused ();
}

/* Polls until so many are left, with a clock that may stand still. */
static void
poll_until_left (unsigned n)
{
  double end = now () + 30;

  while (eio_nreqs () > n)
    {
      ck_assert_msg (now () < end, "%u are left, %u ready", eio_nreqs (),
                     eio_nready ());
      host_wait (10);
      eio_poll ();
    }
}

/*****************************************************************************
 * Counters                                                                  *
 *****************************************************************************/

START_TEST (counters_begin_at_0)
{
  struct eio_stats s = stats ();

  ck_assert_int_eq (is_zero (&s, sizeof s), 1);
}
END_TEST

START_TEST (nops_are_counted)
{
  submit_nops (100);
  ck_assert_uint_eq (stats ().submitted, 100);
  ck_assert_uint_eq (stats ().executed, 0);
  ck_assert_uint_eq (stats ().max_nready, 100);
  execute_all ();
  ck_assert_uint_eq (stats ().executed, 100);
  ck_assert_uint_eq (stats ().finished, 0);
  ck_assert_uint_eq (stats ().max_npending, 100);
  host_drain ();
  tells (100, 100, 0);
  ck_assert_uint_eq (stats ().max_nready, 100);
  ck_assert_uint_eq (stats ().max_npending, 100);
  ck_assert_uint_eq (stats ().inlined, 0);
}
END_TEST

static void
nothing (eio_req *req)
{
  req->result = 0;
}

static void
fail_it (eio_req *req)
{
  req->result = -1;
  errno = EIO;
}

START_TEST (failures_count_as_all_others)
{
  probe p;

  eio_custom (fail_it, 0, count, 0);
  eio_close (-1, 0, count, 0);
  eio_open ("/nonexistent/file", O_RDONLY, 0, 0, count, 0);
  eio_open (0, O_RDONLY, 0, 0, count, 0);
  eio_custom (0, 0, count, 0);
  eio_custom (nothing, 0, 0, 0);
  probe_submit (&p, 120);
  host_drain ();
  assert_done (&p);
  tells (7, 7, 0);
}
END_TEST

START_TEST (groups_count_once)
{
  eio_req *outer = eio_grp (count, 0), *inner = eio_grp (count, 0);
  int i;

  eio_grp_add (outer, inner);
  for (i = 0; i < 10; ++i)
    eio_grp_add (i % 2 ? inner : outer, eio_nop (0, count, 0));
  eio_grp (count, 0);
  host_drain ();
  ck_assert_int_eq (finishes, 13);
  tells (13, 10, 0);
}
END_TEST

/* Lets eio_poll look at the group before its members are done, and after. */
START_TEST (groups_that_wait_count_once)
{
  eio_req *grp = eio_grp (count, 0);

  eio_grp_add (grp, eio_custom (stay, 0, count, 0));
  await_arrivals (1);
  eio_poll ();
  ck_assert_uint_eq (stats ().submitted, 2);
  ck_assert_uint_eq (stats ().finished, 0);
  give (&let_go, 1);
  host_drain ();
  tells (2, 1, 0);
}
END_TEST

static int left_to_feed;

static void
feed (eio_req *grp)
{
  if (left_to_feed-- > 0)
    eio_grp_add (grp, eio_nop (0, count, 0));
}

START_TEST (fed_requests_are_counted)
{
  left_to_feed = 50;
  eio_grp_feed (eio_grp (count, 0), feed, 3);
  host_drain ();
  tells (51, 50, 0);
}
END_TEST

static int times_left;

static int
submit_again (eio_req *req)
{
  ++finishes;
  if (times_left-- > 0)
    eio_submit (req);
  return 0;
}

START_TEST (each_submission_counts)
{
  eio_req *req = calloc (1, sizeof *req);

  req->type = _i ? EIO_GROUP : EIO_NOP;
  req->finish = submit_again;
  req->destroy = eio__free;
  times_left = 9;
  eio_submit (req);
  host_drain ();
  ck_assert_int_eq (finishes, 10);
  tells (10, _i ? 0 : 10, 0);
}
END_TEST

START_TEST (cancelled_before_execution)
{
  eio_cancel (eio_nop (0, count, 0));
  submit_nops (1);
  resume (1);
  host_drain ();
  ck_assert_int_eq (finishes, 1);
  tells (2, 1, 1);
}
END_TEST

START_TEST (cancelled_while_it_executes)
{
  eio_req *req = eio_custom (stay, 0, count, 0);

  await_arrivals (1);
  eio_cancel (req);
  give (&let_go, 1);
  host_drain ();
  ck_assert_int_eq (finishes, 0);
  tells (1, 1, 1);
}
END_TEST

START_TEST (cancelled_after_execution)
{
  eio_req *req = eio_nop (0, count, 0);

  execute_all ();
  eio_cancel (req);
  host_drain ();
  tells (1, 1, 1);
}
END_TEST

START_TEST (cancelled_in_its_own_finish_is_not)
{
  probe p;

  probe_submit (&p, EIO_NOP);
  p.req.finish = submit_again;
  times_left = 0;
  resume (1);
  host_drain ();
  eio_cancel (&p.req);
  tells (1, 1, 0);
}
END_TEST

START_TEST (cancelled_counts_as_that_also_where_finish_is_called)
{
  eio_req *req;

  eio_set_finish_cancelled (1);
  eio_cancel (eio_nop (0, count, 0));
  req = eio_nop (0, count, 0);
  eio_nop (0, count, 0);
  execute_all ();
  eio_cancel (req);
  host_drain ();
  ck_assert_int_eq (finishes, 3);
  tells (3, 2, 2);
}
END_TEST

START_TEST (closes_execute_although_cancelled)
{
  int fd = open ("/", O_RDONLY);

  eio_cancel (eio_close (fd, 0, count, 0));
  eio_cancel (eio_wd_close (eio_wd_open_sync (EIO_CWD, "/"), 0, count, 0));
  resume (1);
  host_drain ();
  ck_assert_int_eq (fcntl (fd, F_GETFD), -1);
  tells (2, 2, 2);
}
END_TEST

/* What was opened for nobody is closed by a request of the library's own. */
START_TEST (requests_of_the_librarys_own_are_not_counted)
{
  eio_req *req = eio_open ("/", O_RDONLY, 0, 0, count, 0);
  int fds = count_fds ();

  execute_all ();
  eio_cancel (req);
  resume (1);
  host_drain ();
  wait_until (count_fds () == fds);
  tells (1, 1, 1);
  ck_assert_uint_eq (stats ().max_nready, 1);
}
END_TEST

START_TEST (cancelled_groups_are_counted)
{
  eio_req *outer = eio_grp (count, 0), *inner = eio_grp (count, 0);
  int i;

  eio_grp_add (outer, inner);
  for (i = 0; i < 6; ++i)
    eio_grp_add (i % 2 ? inner : outer, eio_nop (0, count, 0));
  eio_grp_feed (inner, feed, 100);
  if (_i)
    eio_grp_cancel (outer);
  else
    eio_cancel (outer);
  resume (1);
  host_drain ();
  ck_assert_int_eq (finishes, _i);
  tells (8, 0, _i ? 7 : 8);
}
END_TEST

/* Which were answered at once shows in the number of results. */
START_TEST (answers_at_once_are_counted)
{
  static char data[8192];
  unsigned inlined = 0;
  char buf[100];
  int i, fd;

  write_file (scratch_path ("file"), data, sizeof data);
  fd = open (scratch_path ("file"), O_RDONLY);
  eio_set_parallel (1);
  eio_custom (stay, 0, count, 0);
  await_arrivals (1);
  eio_set_inline (4096);
  eio_set_timing (1);
  for (i = 0; i < 20; ++i)
    {
      unsigned before = eio_npending ();

      if (i % 2)
        eio_fstat (fd, 0, count, 0);
      else
        eio_read (fd, buf, sizeof buf, i, 0, count, 0);
      inlined += eio_npending () - before;
    }
  ck_assert_uint_eq (stats ().inlined, inlined);
  ck_assert_uint_eq (stats ().submitted, 21);
  give (&let_go, 1);
  host_drain ();
  tells (21, 21 - inlined, 0);
#ifdef RWF_NOWAIT /* else the reads were not */
  ck_assert_uint_ge (inlined, 1);
#endif
  times (20 - inlined);
  close (fd);
}
END_TEST

/* --- threads ------------------------------------------------------------ */

START_TEST (workers_are_counted)
{
  struct eio_stats s;
  int i;

  eio_set_parallel (3);
  for (i = 0; i < 5; ++i)
    eio_custom (stay, 0, count, 0);
  await_arrivals (3);
  s = stats ();
  ck_assert_uint_eq (s.threads_started, 3);
  ck_assert_uint_eq (s.threads_reaped, 0);
  ck_assert_uint_eq (s.max_nthreads, 3);
  give (&let_go, 5);
  host_drain ();
  eio_set_max_parallel (1);
  ck_assert_uint_eq (stats ().threads_reaped, 2);
  eio_set_max_parallel (0);
  s = stats ();
  ck_assert_uint_eq (s.threads_started, 3);
  ck_assert_uint_eq (s.threads_reaped, 3);
  ck_assert_uint_eq (s.start_failures, 0);
  ck_assert_uint_eq (s.max_nthreads, 3);
  resume (1);
  submit_nops (1);
  host_drain ();
  ck_assert_uint_eq (stats ().threads_started, 4);
  tells (6, 6, 0);
}
END_TEST

/* Then eio_poll executes. */
START_TEST (refused_threads_are_counted)
{
  struct eio_stats s;

  refusing = 1;
  submit_nops (10);
  eio_cancel (eio_nop (0, count, 0));
  host_drain ();
  tells (11, 10, 1);
  s = stats ();
  ck_assert_uint_eq (s.threads_started, 0);
  ck_assert_uint_eq (s.threads_reaped, 0);
  ck_assert_uint_ge (s.start_failures, 1);
  ck_assert_uint_eq (s.start_failures, (unsigned)refusals);
  refusing = 0;
  submit_nops (10);
  host_drain ();
  tells (21, 20, 1);
  s = stats ();
  ck_assert_uint_eq (s.start_failures, (unsigned)refusals);
  ck_assert_uint_ge (s.threads_started, 1);
}
END_TEST

START_TEST (times_are_taken_where_eio_poll_executes)
{
  refusing = 1;
  eio_set_timing (1);
  submit_nops (5);
  host_drain ();
  times (5);
  refusing = 0;
}
END_TEST

/* --- high-water marks --------------------------------------------------- */

START_TEST (marks_are_the_highest_so_far)
{
  int i;

  submit_nops (7);
  execute_all ();
  host_drain ();
  submit_nops (3);
  execute_all ();
  ck_assert_uint_eq (stats ().max_nready, 7);
  ck_assert_uint_eq (stats ().max_npending, 7);
  for (i = 0; i < 6; ++i)
    eio_grp (count, 0);
  ck_assert_uint_eq (eio_npending (), 9);
  ck_assert_uint_eq (stats ().max_npending, 9);
  ck_assert_uint_eq (stats ().max_nready, 7);
  host_drain ();
  ck_assert_uint_eq (stats ().max_npending, 9);
}
END_TEST

/* Whatever eio_npending says in callbacks is not above the mark. */
static unsigned most_pending;

static void
compare_pending (void)
{
  unsigned n = eio_npending ();

  if (n > most_pending)
    most_pending = n;
  ck_assert_uint_ge (stats ().max_npending, n);
}

static int
look_at_pending (eio_req *req)
{
  (void)req;
  compare_pending ();
  if (times_left-- > 0)
    {
      eio_grp (look_at_pending, 0);
      if (times_left % 3 == 0)
        eio_grp (look_at_pending, 0);
    }
  compare_pending ();
  if (times_left == 5)
    eio_poll ();
  return 0;
}

START_TEST (mark_of_results_is_exact_in_callbacks)
{
  int i;

  times_left = 30;
  for (i = 0; i < 4; ++i)
    eio_grp (look_at_pending, 0);
  most_pending = eio_npending ();
  host_drain ();
  ck_assert_uint_eq (stats ().max_npending, most_pending);
}
END_TEST

/* --- sizes -------------------------------------------------------------- */

START_TEST (size_says_how_much_is_filled)
{
  struct eio_stats all, some;
  size_t size;

  submit_nops (3);
  execute_all ();
  host_drain ();
  all = stats ();
  for (size = 1; size <= sizeof all; ++size)
    {
      memset (&some, 0xaa, sizeof some);
      ck_assert_int_eq (eio_get_stats (&some, size), 0);
      ck_assert_int_eq (memcmp (&some, &all, size), 0);
      if (size < sizeof all)
        ck_assert_int_eq (((unsigned char *)&some)[size], 0xaa);
    }
}
END_TEST

START_TEST (larger_struct_is_zeroed_at_its_end)
{
  struct
  {
    struct eio_stats known;
    unsigned char more[100], beyond;
  } later;

  memset (&later, 0xaa, sizeof later);
  ck_assert_int_eq (
    eio_get_stats (&later.known, sizeof later.known + sizeof later.more), 0);
  ck_assert_int_eq (is_zero (&later, sizeof later.known), 1);
  ck_assert_int_eq (is_zero (later.more, sizeof later.more), 1);
  ck_assert_int_eq (later.beyond, 0xaa);
}
END_TEST

START_TEST (nothing_to_fill_is_refused)
{
  struct eio_stats s;

  memset (&s, 0xaa, sizeof s);
  errno = 0;
  ck_assert_int_eq (eio_get_stats (&s, 0), -1);
  ck_assert_int_eq (errno, EINVAL);
  ck_assert_int_eq (*(unsigned char *)&s, 0xaa);
  errno = 0;
  ck_assert_int_eq (eio_get_stats (0, sizeof s), -1);
  ck_assert_int_eq (errno, EINVAL);
  errno = 0;
  ck_assert_int_eq (eio_get_stats (0, 0), -1);
  ck_assert_int_eq (errno, EINVAL);
  errno = 77;
  ck_assert_int_eq (eio_get_stats (&s, sizeof s), 0);
  ck_assert_int_eq (errno, 77);
}
END_TEST

/* --- who, when and where ------------------------------------------------ */

static int
look_at_stats (eio_req *req)
{
  struct eio_stats s = stats ();

  (void)req;
  ++finishes;
  ck_assert_uint_eq (s.finished + s.cancelled, (unsigned)finishes);
  ck_assert_uint_eq (s.submitted, 6);
  if (finishes == 3)
    eio_poll ();
  return 0;
}

START_TEST (counters_are_exact_in_callbacks)
{
  int i;

  for (i = 0; i < 6; ++i)
    eio_nop (0, look_at_stats, 0);
  execute_all ();
  host_drain ();
  tells (6, 6, 0);
}
END_TEST

static int
stop_here (eio_req *req)
{
  (void)req;
  ++finishes;
  return 5;
}

START_TEST (counters_are_exact_wherever_eio_poll_stops)
{
  int i;

  for (i = 0; i < 6; ++i)
    eio_nop (0, i % 2 ? stop_here : count, 0);
  execute_all ();
  eio_set_max_poll_reqs (1);
  while (eio_nreqs ())
    {
      eio_poll ();
      ck_assert_uint_eq (stats ().finished, (unsigned)finishes);
    }
  tells (6, 6, 0);
}
END_TEST

static jmp_buf out;

static int
leave (eio_req *req)
{
  (void)req;
  ++finishes;
  longjmp (out, 1);
}

START_TEST (callbacks_that_are_left_are_counted)
{
  eio_nop (0, leave, 0);
  execute_all ();
  if (!setjmp (out))
    eio_poll ();
  if (_i == 1)
    ck_assert_uint_eq (stats ().finished, 1);
  if (_i == 2)
    eio_poll_wait (0);
  else
    eio_poll ();
  tells (1, 1, 0);
}
END_TEST

START_TEST (eio_init_begins_anew)
{
  struct eio_stats s;

  submit_nops (5);
  execute_all ();
  host_drain ();
  host_start ();
  s = stats ();
  ck_assert_int_eq (is_zero (&s, sizeof s), 1);
  resume (1);
  submit_nops (2);
  host_drain ();
  tells (2, 2, 0);
}
END_TEST

START_TEST (shutdown_begins_anew)
{
  struct eio_stats s;

  eio_set_timing (1);
  submit_nops (5);
  ck_assert_int_eq (eio_shutdown (_i, -1), 0);
  s = stats ();
  ck_assert_int_eq (is_zero (&s, sizeof s), 1);
  ck_assert_int_eq (eio_get_timing (), 1);
  host_start ();
  resume (1);
  submit_nops (2);
  host_drain ();
  tells (2, 2, 0);
  times (2);
}
END_TEST

START_TEST (shutdown_of_a_pool_leaves_its_counters)
{
  eio_pool *pool = eio_pool_new (0, 0, 0);
  struct eio_stats s;
  int i;

  eio_pool_use (pool);
  eio_set_max_parallel (0);
  for (i = 0; i < 5; ++i)
    eio_nop (0, count, 0);
  eio_grp (count, 0);
  ck_assert_int_eq (eio_shutdown (_i, -1), 0);
  tells (6, _i ? 0 : 5, _i ? 5 : 0);
  s = stats ();
  ck_assert_uint_eq (s.threads_started, s.threads_reaped);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (pool), 0);
}
END_TEST

/* Asserts by its status, which its parent looks at. */
static void
is_0_in_child (void)
{
  struct eio_stats s = stats ();

  ck_assert_int_eq (is_zero (&s, sizeof s), 1);
  if (HAVE_SANITIZER)
    return;
  host_start ();
  resume (1);
  submit_nops (3);
  host_drain ();
  tells (3, 3, 0);
}

START_TEST (child_begins_at_0)
{
  int status;
  pid_t pid;

  submit_nops (5);
  execute_all ();
  host_drain ();
  submit_nops (2);
  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      is_0_in_child ();
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  resume (1);
  host_drain ();
  tells (7, 7, 0);
}
END_TEST

/* --- pools -------------------------------------------------------------- */

static void
drain_pool (eio_pool *pool)
{
  eio_pool_use (pool);
  ck_assert_int_eq (eio_flush (), 0);
}

START_TEST (each_pool_counts_its_own)
{
  eio_pool *own = eio_pool_new (0, 0, 0);
  eio_pool *shared = eio_pool_new_shared (_i ? own : 0, 0, 0, 0);

  eio_set_parallel (1);
  eio_pool_use (own);
  eio_set_parallel (2);
  submit_nops (3);
  eio_pool_use (shared);
  submit_nops (4);
  eio_cancel (eio_grp (count, 0));
  drain_pool (own);
  drain_pool (shared);
  tells (5, 4, 1);
  ck_assert_uint_le (stats ().max_nready, 4);
  ck_assert_uint_ge (stats ().max_nready, 1);
  ck_assert_uint_le (stats ().max_npending, 5);
  ck_assert_uint_ge (stats ().threads_started, 1);
  ck_assert_uint_ge (stats ().max_nthreads, 1);
  eio_pool_use (own);
  tells (3, 3, 0);
  ck_assert_uint_le (stats ().max_nthreads, 2);
  eio_set_max_parallel (0);
  eio_pool_use (0);
  tells (0, 0, 0);
  ck_assert_uint_eq (stats ().threads_started, !_i);
  ck_assert_int_eq (eio_pool_free (shared), 0);
  ck_assert_int_eq (eio_pool_free (own), 0);
}
END_TEST

/* Exactly, as nobody executes. */
START_TEST (pools_that_share_workers_have_marks_of_their_own)
{
  eio_pool *a = eio_pool_new_shared (0, 0, 0, 0);
  eio_pool *b = eio_pool_new_shared (a, 0, 0, 0);

  submit_nops (2);
  eio_pool_use (a);
  submit_nops (3);
  eio_pool_use (b);
  submit_nops (4);
  ck_assert_uint_eq (eio_nready (), 4);
  ck_assert_uint_eq (stats ().max_nready, 4);
  eio_pool_use (a);
  ck_assert_uint_eq (eio_nready (), 3);
  eio_pool_use (0);
  ck_assert_uint_eq (eio_nready (), 2);
  resume (1);
  eio_pool_use (b);
  wait_until (!eio_nready ());
  eio_set_max_parallel (0);
  eio_pool_use (a);
  ck_assert_uint_eq (stats ().max_npending, 3);
  ck_assert_uint_eq (stats ().threads_started, 1);
  ck_assert_uint_eq (stats ().threads_reaped, 1);
  drain_pool (b);
  tells (4, 4, 0);
  drain_pool (a);
  tells (3, 3, 0);
  drain_pool (0);
  tells (2, 2, 0);
  ck_assert_int_eq (eio_pool_free (b), 0);
  ck_assert_int_eq (eio_pool_free (a), 0);
}
END_TEST

/* Requests of a pool whose workers' pool begins anew go on, and count once. */
START_TEST (requests_that_are_handed_over_count_once)
{
  eio_pool *shared = eio_pool_new_shared (0, 0, 0, 0);
  int i;

  eio_pool_use (shared);
  submit_nops (5);
  for (i = 0; i < 3; ++i)
    host_start ();
  ck_assert_uint_eq (eio_nready (), 5);
  ck_assert_uint_eq (stats ().submitted, 5);
  ck_assert_uint_eq (stats ().max_nready, 5);
  resume (1);
  drain_pool (shared);
  tells (5, 5, 0);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (shared), 0);
}
END_TEST

static eio_pool *busy_pool;
static atomic_int submitting;

static void *
submit_to_shared (void *arg)
{
  int i, n = HAVE_SANITIZER ? 300 : 3000;

  (void)arg;
  eio_pool_use (busy_pool);
  for (i = 0; i < n; ++i)
    eio_nop (0, 0, 0);
  --submitting;
  return 0;
}

/* While others submit. */
START_TEST (requests_that_are_handed_over_meanwhile_count_once)
{
  pthread_t tid[2];
  int i, n = HAVE_SANITIZER ? 600 : 6000;

  busy_pool = eio_pool_new_shared (0, 0, 0, 0);
  submitting = LENGTH (tid);
  for (i = 0; i < LENGTH (tid); ++i)
    pthread_create (&tid[i], 0, submit_to_shared, 0);
  while (submitting)
    host_start ();
  for (i = 0; i < LENGTH (tid); ++i)
    pthread_join (tid[i], 0);
  eio_pool_use (busy_pool);
  ck_assert_uint_eq (eio_nready (), n);
  ck_assert_uint_eq (stats ().submitted, (unsigned)n);
  resume (4);
  drain_pool (busy_pool);
  is_balanced ();
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (busy_pool), 0);
}
END_TEST

/* --- under load --------------------------------------------------------- */

static atomic_int reading;
static atomic_long wrong_looks;
static char what_was_wrong[200];

static void
find_fault (const char *what, uint64_t a, uint64_t b)
{
  if (!wrong_looks++)
    snprintf (what_was_wrong, sizeof what_was_wrong, "%s: %llu, %llu", what,
              (unsigned long long)a, (unsigned long long)b);
}

/* Counters never fall, and what comes later in a request's life is never
 * ahead. */
static void *
read_stats (void *arg)
{
  struct eio_stats s, old = { 0 };

  (void)arg;
  while (reading)
    {
      eio_get_stats (&s, sizeof s);
      if (s.finished + s.cancelled > s.submitted)
        find_fault ("more have ended than were submitted",
                    s.finished + s.cancelled, s.submitted);
      if (s.executed + s.inlined > s.submitted)
        find_fault ("more were executed than submitted", s.executed,
                    s.submitted);
      if (s.submitted < old.submitted || s.finished < old.finished
          || s.executed < old.executed || s.max_nready < old.max_nready)
        find_fault ("a counter fell", old.submitted, s.submitted);
      if (s.threads_reaped > s.threads_started)
        find_fault ("more have left than began", s.threads_reaped,
                    s.threads_started);
      old = s;
    }
  return 0;
}

/* The most there ever was does not become less. */
static void *
read_mark (void *arg)
{
  struct eio_stats s;
  unsigned mark = 0;

  (void)arg;
  while (reading)
    {
      eio_get_stats (&s, sizeof s);
      if (s.max_npending < mark)
        find_fault ("the mark of results fell", mark, s.max_npending);
      mark = s.max_npending;
    }
  return 0;
}

static void
work_while_read (void *(*reader) (void *), int n)
{
  int rounds = HAVE_SANITIZER ? 300 : 3000, i;
  pthread_t tid;

  reading = 1;
  pthread_create (&tid, 0, reader, 0);
  for (i = 0; i < rounds; ++i)
    {
      submit_nops (i % n);
      if (i % 4 == 0)
        eio_grp (count, 0);
      eio_poll ();
    }
  host_drain ();
  reading = 0;
  pthread_join (tid, 0);
  ck_assert_msg (!wrong_looks, "%ld times, first: %s", (long)wrong_looks,
                 what_was_wrong);
  is_balanced ();
}

START_TEST (other_threads_see_counters_that_fit)
{
  eio_set_timing (1);
  work_while_read (read_stats, 4);
}
END_TEST

START_TEST (other_threads_see_marks_rise)
{
  work_while_read (read_mark, 9);
}
END_TEST

/* Anything, from several threads; what they did is added up. */
enum { SUBMITTERS = 3 };
static atomic_ullong groups, others;

static unsigned
randomize (unsigned *state)
{
  *state = *state * 1103515245u + 12345u;
  return *state >> 16 & 0x7fff;
}

static void *
submit_at_random (void *arg)
{
  unsigned state = (unsigned)(uintptr_t)arg;
  int n = HAVE_SANITIZER ? 300 : 1500, i;

  for (i = 0; i < n; ++i)
    {
      int pri = (int)(randomize (&state) % 9) - 4;
      eio_req *req;

      switch (randomize (&state) % 6)
        {
        case 0: req = eio_grp (0, 0); break;
        case 1: req = eio_close (-1, pri, 0, 0); break;
        case 2: req = eio_custom (fail_it, pri, 0, 0); break;
        case 3: req = eio_stat ("/", pri, 0, 0); break;
        default: req = eio_nop (pri, 0, 0); break;
        }
      ck_assert_ptr_nonnull (req);
    }
  return 0;
}

static int
cancel_or_add (eio_req *req)
{
  static unsigned state;
  int i;

  (void)req;
  if (others < 3000 && randomize (&state) % 2)
    {
      eio_req *grp = eio_grp (cancel_or_add, 0);

      ++groups;
      for (i = (int)(randomize (&state) % 4); i; --i)
        {
          ++others;
          eio_grp_add (grp, eio_nop (0, cancel_or_add, 0));
        }
      if (randomize (&state) % 4 == 0)
        eio_cancel (grp);
      if (randomize (&state) % 8 == 0)
        eio_poll ();
    }
  return 0;
}

START_TEST (random_work_is_balanced)
{
  unsigned long long n = SUBMITTERS * (HAVE_SANITIZER ? 300 : 1500);
  pthread_t tid[SUBMITTERS];
  double end = now () + 1.5;
  uintptr_t i;

  eio_set_inline (_i ? 4096 : 0);
  eio_set_timing (1);
  for (i = 0; i < SUBMITTERS; ++i)
    pthread_create (&tid[i], 0, submit_at_random, (void *)(i * 7 + 1));
  while (others < 3000 && now () < end)
    {
      ++others;
      eio_nop (1, cancel_or_add, 0);
      eio_poll ();
    }
  for (i = 0; i < SUBMITTERS; ++i)
    pthread_join (tid[i], 0);
  host_drain ();
  is_balanced ();
  ck_assert_uint_eq (stats ().submitted, n + groups + others);
  ck_assert_uint_eq (sum (stats ().queue_hist), stats ().executed);
  ck_assert_uint_eq (sum (stats ().exec_hist), stats ().executed);
}
END_TEST

/*****************************************************************************
 * Times                                                                     *
 *****************************************************************************/

/* Executes for so many microseconds of the clock that stands still. */
static void
take_time (eio_req *req)
{
  advance_us ((unsigned long long)(uintptr_t)req->data);
  req->result = 0;
}

static eio_req *
submit_taking (unsigned long long us, int pri)
{
  return eio_custom (take_time, pri, count, (void *)(uintptr_t)us);
}

/* Where [2^i, 2^(i+1)) us belong. */
START_TEST (times_are_in_their_buckets)
{
  unsigned long long us = 1ull << _i;
  struct eio_stats s;
  int bucket = _i < 31 ? _i : 31;

  eio_set_timing (1);
  submit_taking (us, 0);
  submit_taking (2 * us - 1, 0);
  advance_us (us);
  resume (1);
  wait_until (eio_npending () == 2);
  stop_workers ();
  advance_us (2 * us - 1);
  host_drain ();
  s = stats ();
  hist_is (s.exec_hist, bucket, 2);
  ck_assert_uint_eq (sum (s.queue_hist), 2);
  ck_assert_uint_eq (s.queue_hist[bucket], _i < 31 ? 1 : 2);
  ck_assert_uint_eq (s.deliver_hist[bucket], _i < 31 ? 1 : 2);
}
END_TEST

START_TEST (shortest_times_are_in_the_first_bucket)
{
  struct eio_stats s;

  eio_set_timing (1);
  submit_taking (0, 0);
  submit_taking (1, 0);
  resume (1);
  poll_until_left (0);
  s = stats ();
  hist_is (s.queue_hist, 0, 2);
  hist_is (s.exec_hist, 0, 2);
  hist_is (s.deliver_hist, 0, 2);
}
END_TEST

/* Each for what it is: in the queue behind another, executing, waiting for
 * eio_poll. */
START_TEST (each_time_counts_where_it_is_spent)
{
  struct eio_stats s;

  eio_set_timing (1);
  submit_taking (1 << 10, 1);
  submit_taking (1 << 5, 0);
  resume (1);
  wait_until (eio_npending () == 2);
  advance_us (1 << 15);
  host_drain ();
  s = stats ();
  ck_assert_uint_eq (s.queue_hist[0], 1);
  ck_assert_uint_eq (s.queue_hist[10], 1);
  ck_assert_uint_eq (s.exec_hist[10], 1);
  ck_assert_uint_eq (s.exec_hist[5], 1);
  hist_is (s.deliver_hist, 15, 2);
}
END_TEST

/* By the system's clock. */
START_TEST (sleeping_takes_its_time)
{
  struct eio_stats s;
  uint64_t n = 0;
  int i;

  eio_set_timing (1);
  eio_set_parallel (1);
  eio_busy (0.02, 0, count, 0);
  eio_nop (0, count, 0);
  wait_until (eio_npending () == 2);
  nap (20);
  host_drain ();
  times (2);
  s = stats ();
  for (i = 14; i < 32; ++i)
    n += s.exec_hist[i];
  ck_assert_uint_ge (n, 1);
  for (n = 0, i = 13; i < 32; ++i)
    n += s.queue_hist[i];
  ck_assert_uint_ge (n, 1);
  for (n = 0, i = 14; i < 32; ++i)
    n += s.deliver_hist[i];
  ck_assert_uint_eq (n, 2);
}
END_TEST

START_TEST (groups_have_no_times)
{
  eio_req *grp;

  eio_set_timing (1);
  grp = eio_grp (count, 0);
  eio_grp_add (grp, eio_nop (0, count, 0));
  host_drain ();
  times (1);
}
END_TEST

static int
become_a_group (eio_req *req)
{
  ++finishes;
  if (req->type != EIO_GROUP)
    {
      req->type = EIO_GROUP;
      eio_submit (req);
    }
  return 0;
}

/* Also not one that has been something else. */
START_TEST (groups_have_no_times_of_before)
{
  eio_req *req = calloc (1, sizeof *req);

  req->type = EIO_NOP;
  req->finish = become_a_group;
  req->destroy = eio__free;
  eio_set_timing (1);
  eio_submit (req);
  poll_until_left (0);
  ck_assert_int_eq (finishes, 2);
  times (1);
}
END_TEST

START_TEST (each_submission_has_its_times)
{
  eio_req *req = calloc (1, sizeof *req);

  req->type = EIO_NOP;
  req->finish = submit_again;
  req->destroy = eio__free;
  times_left = 9;
  eio_set_timing (1);
  eio_submit (req);
  host_drain ();
  times (10);
}
END_TEST

START_TEST (requests_that_did_not_execute_have_no_times)
{
  eio_set_timing (1);
  eio_cancel (eio_nop (0, count, 0));
  submit_nops (2);
  resume (1);
  host_drain ();
  tells (3, 2, 1);
  times (2);
}
END_TEST

START_TEST (cancelled_while_they_execute_have_times)
{
  eio_req *req;

  eio_set_timing (1);
  req = eio_custom (stay, 0, count, 0);
  await_arrivals (1);
  eio_cancel (req);
  give (&let_go, 1);
  host_drain ();
  times (1);
}
END_TEST

/* Nobody asks for the time who does not need it. */
START_TEST (off_asks_no_clock)
{
  long before;
  int i;

  submit_nops (1);
  host_drain ();
  before = clock_calls;
  for (i = 0; i < 100; ++i)
    {
      submit_nops (1);
      eio_grp (count, 0);
      host_drain ();
    }
  ck_assert_int_eq (clock_calls, before);
  times (0);

  eio_set_timing (1);
  eio_set_slow (1, 0);
  eio_set_timing (0);
  eio_set_slow (0, 0);
  eio_set_ageing (1);
  eio_set_ageing (0);
  before = clock_calls;
  submit_nops (100);
  host_drain ();
  ck_assert_int_eq (clock_calls, before);
  times (0);

  eio_set_timing (1);
  submit_nops (1);
  host_drain ();
  ck_assert_int_eq (clock_calls, before + 4);
  times (1);
}
END_TEST

/* "For requests that are submitted from now on". */
START_TEST (switched_on_in_mid_flight)
{
  submit_nops (3);
  eio_set_timing (1);
  submit_nops (2);
  if (_i)
    execute_all ();
  resume (1);
  host_drain ();
  times (2);
}
END_TEST

START_TEST (switched_on_after_execution)
{
  submit_nops (3);
  execute_all ();
  eio_set_timing (1);
  host_drain ();
  times (0);
}
END_TEST

/* They were submitted while it was on; at the least they are in all of the
 * histograms or in none. */
START_TEST (switched_off_before_execution)
{
  struct eio_stats s;

  eio_set_timing (1);
  submit_nops (3);
  eio_set_timing (0);
  submit_nops (2);
  if (_i)
    eio_set_timing (1);
  execute_all ();
  if (!_i)
    eio_set_timing (1);
  host_drain ();
  s = stats ();
  ck_assert_uint_eq (sum (s.queue_hist), sum (s.exec_hist));
  ck_assert_uint_eq (sum (s.exec_hist), sum (s.deliver_hist));
  if (_i || sum (s.exec_hist))
    ck_assert_uint_eq (sum (s.exec_hist), 3);
}
END_TEST

START_TEST (switched_off_between_execution_and_delivery)
{
  struct eio_stats s;

  eio_set_timing (1);
  submit_nops (3);
  execute_all ();
  eio_set_timing (0);
  if (_i)
    eio_set_timing (1);
  host_drain ();
  s = stats ();
  ck_assert_uint_eq (sum (s.exec_hist), 3);
  ck_assert_uint_eq (sum (s.deliver_hist), 3);
}
END_TEST

/* While it executes: whatever it counts as, it counts once. */
START_TEST (switched_off_during_execution)
{
  struct eio_stats s;

  eio_set_timing (1);
  eio_custom (stay, 0, count, 0);
  await_arrivals (1);
  eio_set_timing (0);
  give (&let_go, 1);
  wait_until (eio_npending () == 1);
  eio_set_timing (1);
  host_drain ();
  s = stats ();
  ck_assert_uint_eq (sum (s.queue_hist), sum (s.exec_hist));
  ck_assert_uint_eq (sum (s.exec_hist), sum (s.deliver_hist));
}
END_TEST

/* Ageing takes times for itself. */
START_TEST (ageing_does_not_make_times)
{
  if (_i == 0)
    eio_set_ageing (1);
  submit_nops (3);
  if (_i == 1)
    eio_set_ageing (1);
  if (_i == 2)
    eio_set_ageing (0);
  eio_set_timing (1);
  execute_all ();
  host_drain ();
  times (0);
}
END_TEST

START_TEST (times_are_a_pools_own)
{
  eio_pool *shared = eio_pool_new_shared (0, 0, 0, 0);

  eio_set_timing (1);
  submit_nops (3);
  eio_pool_use (shared);
  ck_assert_int_eq (eio_get_timing (), 0);
  submit_nops (4);
  eio_pool_use (0);
  resume (2);
  drain_pool (shared);
  times (0);
  drain_pool (0);
  times (3);
  ck_assert_int_eq (eio_pool_free (shared), 0);
}
END_TEST

/*****************************************************************************
 * Slow requests                                                             *
 *****************************************************************************/

static struct
{
  const eio_req *req;
  double running;
  int type, pri, int1;
  eio_pool *pool;
} reported[16];
static int reports;

static void
report (const eio_req *req, eio_tstamp running)
{
  int i = reports++;

  ck_assert_int_lt (i, LENGTH (reported));
  reported[i].req = req;
  reported[i].running = running;
  reported[i].type = req->type;
  reported[i].pri = req->pri;
  reported[i].int1 = req->int1;
  reported[i].pool = eio_pool_current ();
}

static eio_req *
begin_stay (void)
{
  eio_req *req = eio_custom (stay, 0, count, 0);

  await_arrivals (1);
  return req;
}

/* A request has taken two seconds, and has ended, or executes still. */
static void
be_slow (int ended)
{
  if (ended)
    {
      submit_taking (2000000, 0);
      wait_until (eio_npending () == 1 && host_wants () > host_dones ());
    }
  else
    {
      begin_stay ();
      advance (2);
    }
}

static void
is_about (double value, double want)
{
  ck_assert_msg (fabs (value - want) < 1e-6, "%.9f, not %.9f", value, want);
}

START_TEST (slow_request_is_reported_while_it_executes)
{
  eio_req *req;

  eio_set_slow (1.5, report);
  req = begin_stay ();
  ck_assert_int_eq (eio_poll (), 0);
  advance (1.5);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (reports, 0);
  advance (0.25);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (reports, 1);
  ck_assert_ptr_eq (reported[0].req, req);
  is_about (reported[0].running, 1.75);
  advance (100);
  ck_assert_int_eq (eio_poll (), 0);
  give (&let_go, 1);
  poll_until_left (0);
  ck_assert_int_eq (reports, 1);
  ck_assert_int_eq (finishes, 1);
}
END_TEST

START_TEST (slow_request_is_reported_when_it_has_ended)
{
  eio_set_slow (1.5, report);
  submit_taking (1750000, 0);
  submit_taking (1500000, 0);
  submit_taking (1000, 0);
  execute_all ();
  advance (10);
  ck_assert_int_eq (reports, 0);
  host_drain ();
  ck_assert_int_eq (reports, 1);
  is_about (reported[0].running, 1.75);
  ck_assert_int_eq (finishes, 3);
}
END_TEST

/* What is queued, or waits for eio_poll, is not slow. */
START_TEST (waiting_is_not_slow)
{
  eio_set_slow (1, report);
  submit_nops (3);
  advance (10);
  eio_poll ();
  execute_all ();
  advance (10);
  host_drain ();
  ck_assert_int_eq (reports, 0);
}
END_TEST

START_TEST (slow_requests_are_reported_by_eio_poll_only)
{
  struct eio_stats s;

  eio_set_slow (1, report);
  begin_stay ();
  advance (2);
  ck_assert_int_eq (eio_poll_wait (0), 0);
  ck_assert_uint_eq (eio_nreqs (), 1);
  eio_npending ();
  eio_get_stats (&s, sizeof s);
  submit_nops (2);
  eio_set_slow (1, report);
  ck_assert_int_eq (reports, 0);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  give (&let_go, 1);
  poll_until_left (0);
}
END_TEST

static atomic_int told_of_slow, switching;

static void
be_told (const eio_req *req, eio_tstamp running)
{
  (void)req;
  told_of_slow += running > 0;
}

static void *
switch_slow (void *arg)
{
  (void)arg;
  while (switching)
    {
      eio_set_slow (1e-9, be_told);
      eio_set_slow (0, 0);
    }
  return 0;
}

START_TEST (slow_is_set_by_any_thread)
{
  pthread_t thread;
  int n = 0;

  stopped_at = 0;
  switching = 1;
  ck_assert_int_eq (pthread_create (&thread, 0, switch_slow, 0), 0);
  while (n < 10000 || !told_of_slow)
    {
      submit_nops (50);
      n += 50;
      host_drain ();
    }
  switching = 0;
  pthread_join (thread, 0);
  ck_assert_int_eq (finishes, n);
}
END_TEST

static int set_before;

static void
look_at_what_was_set (const eio_req *req, eio_tstamp running)
{
  (void)req;
  told_of_slow += set_before && running > 0;
}

static void *
set_both (void *pool)
{
  eio_pool_use (pool);
  set_before = 1;
  eio_set_slow (1e-3, look_at_what_was_set);
  return 0;
}

/* Of a pool that has other locks than its workers. */
START_TEST (slow_callback_sees_what_was_before_it)
{
  eio_pool *pool = eio_pool_new_shared (0, 0, 0, 0);
  pthread_t thread;

  stopped_at = 0;
  eio_pool_use (pool);
  eio_set_timing (1);
  eio_busy (0.2, 0, count, 0);
  ck_assert_int_eq (pthread_create (&thread, 0, set_both, pool), 0);
  nap (100); /* and nothing that it would have to do */
  ck_assert_int_eq (eio_flush (), 0);
  pthread_join (thread, 0);
  ck_assert_int_eq (told_of_slow, 1);
  ck_assert_int_eq (finishes, 1);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (pool), 0);
}
END_TEST

/* Nor are these reported when they are. */
START_TEST (librarys_own_requests_are_not_slow)
{
  int i, k;

  stopped_at = 0;
  eio_set_inline (1);
  eio_set_slow (1e-9, be_told);
  for (i = 0; i < 2000; ++i)
    {
      int fd = open (".", O_RDONLY);

      ck_assert_int_ge (fd, 0);
      eio__ask_fs (EIO_POOL, fd, 7);
      for (k = 0; k < 20; ++k)
        eio_poll ();
    }
  ck_assert_int_eq (told_of_slow, 0);
}
END_TEST

START_TEST (slow_request_can_be_read)
{
  probe p;

  eio_set_slow (1, report);
  probe_fill (&p, EIO_CUSTOM);
  p.req.feed = stay;
  p.req.pri = 3;
  p.req.int1 = 4711;
  eio_submit (&p.req);
  await_arrivals (1);
  advance (2);
  eio_poll ();
  ck_assert_ptr_eq (reported[0].req, &p.req);
  ck_assert_int_eq (reported[0].type, EIO_CUSTOM);
  ck_assert_int_eq (reported[0].pri, 3);
  ck_assert_int_eq (reported[0].int1, 4711);
  ck_assert_ptr_eq (reported[0].pool, eio_pool_current ());
  give (&let_go, 1);
  poll_until_left (0);
  assert_done (&p);
}
END_TEST

START_TEST (several_slow_requests_are_reported)
{
  eio_req *reqs[4];
  int i, j;

  eio_set_slow (1, report);
  for (i = 0; i < 4; ++i)
    {
      reqs[i] = begin_stay ();
      advance (0.5);
    }
  eio_poll ();
  ck_assert_int_eq (reports, 2); /* of 2, 1.5, 1 and 0.5 s */
  advance (1);
  eio_poll ();
  ck_assert_int_eq (reports, 4);
  for (i = 0; i < 4; ++i)
    {
      for (j = 0; j < 4 && reported[j].req != reqs[i]; ++j)
        ;
      ck_assert_int_lt (j, 4);
      is_about (reported[j].running, j < 2 ? 2 - 0.5 * i : 3 - 0.5 * i);
    }
  give (&let_go, 4);
  poll_until_left (0);
  ck_assert_int_eq (reports, 4);
}
END_TEST

START_TEST (submitted_again_it_is_reported_again)
{
  eio_req *req = calloc (1, sizeof *req);

  eio_set_slow (1, report);
  req->type = EIO_CUSTOM;
  req->feed = take_time;
  req->data = (void *)2000000;
  req->finish = submit_again;
  req->destroy = eio__free;
  times_left = 2;
  eio_submit (req);
  poll_until_left (0);
  ck_assert_int_eq (reports, 3);
}
END_TEST

static int
become_a_group_and_lower (eio_req *req)
{
  eio_set_slow (1, report);
  return become_a_group (req);
}

START_TEST (groups_are_not_slow_by_what_they_were)
{
  eio_req *req = calloc (1, sizeof *req);

  req->type = EIO_CUSTOM;
  req->feed = take_time;
  req->data = (void *)2000000;
  req->finish = become_a_group_and_lower;
  req->destroy = eio__free;
  eio_set_slow (3, report);
  eio_submit (req);
  poll_until_left (0);
  ck_assert_int_eq (finishes, 2);
  ck_assert_int_eq (reports, 0);
}
END_TEST

START_TEST (slow_is_off_where_it_is_no_time)
{
  static const double none[] = { 0, -1, -INFINITY, NAN };
  int i;

  for (i = 0; i < LENGTH (none); ++i)
    {
      eio_set_slow (1, report);
      eio_set_slow (none[i], report);
      submit_taking (5000000, 0);
      poll_until_left (0);
    }
  eio_set_slow (1, report);
  eio_set_slow (1, 0);
  submit_taking (5000000, 0);
  poll_until_left (0);
  eio_set_slow (1e300, report);
  submit_taking (5000000, 0);
  poll_until_left (0);
  eio_set_slow (INFINITY, report);
  submit_taking (5000000, 0);
  poll_until_left (0);
  ck_assert_int_eq (reports, 0);
  eio_set_slow (1e-9, report);
  submit_taking (5, 0);
  poll_until_left (0);
  ck_assert_int_eq (reports, 1);
}
END_TEST

/* What is told later is up to what is set then. */
START_TEST (slow_is_switched_off_in_mid_flight)
{
  eio_set_slow (1, report);
  submit_taking (5000000, 0);
  execute_all ();
  eio_set_slow (0, 0);
  host_drain ();
  ck_assert_int_eq (reports, 0);
}
END_TEST

static void
cancel_slow (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  eio_cancel ((eio_req *)req);
}

START_TEST (slow_request_is_cancelled_while_it_executes)
{
  probe p;

  eio_set_slow (1, cancel_slow);
  probe_fill (&p, EIO_CUSTOM);
  p.req.feed = stay;
  eio_submit (&p.req);
  await_arrivals (1);
  advance (2);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  ck_assert_int_eq (EIO_CANCELLED (&p.req), 1);
  give (&let_go, 1);
  poll_until_left (0);
  assert_dropped (&p);
  tells (1, 1, 1);
}
END_TEST

START_TEST (slow_request_is_cancelled_when_it_has_ended)
{
  eio_set_slow (1, cancel_slow);
  submit_taking (2000000, 0);
  poll_until_left (0);
  ck_assert_int_eq (reports, 1);
  ck_assert_int_eq (finishes, 0);
  tells (1, 1, 1);
}
END_TEST

START_TEST (slow_requests_are_reported_to_their_own_pool)
{
  eio_pool *shared = eio_pool_new_shared (0, 0, 0, 0);
  eio_req *req;

  eio_set_slow (1, report);
  eio_pool_use (shared);
  eio_set_slow (2, report);
  req = begin_stay ();
  advance (10);
  eio_pool_use (0);
  eio_poll ();
  ck_assert_int_eq (reports, 0);
  eio_pool_use (shared);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  ck_assert_ptr_eq (reported[0].req, req);
  ck_assert_ptr_eq (reported[0].pool, shared);
  give (&let_go, 1);
  eio_flush ();
  eio_set_slow (0, 0);
  submit_taking (10000000, 0);
  eio_flush ();
  ck_assert_int_eq (reports, 1);
  eio_pool_use (0);
  submit_taking (10000000, 0);
  eio_flush ();
  ck_assert_int_eq (reports, 2);
  ck_assert_int_eq (eio_pool_free (shared), 0);
}
END_TEST

/* Those workers serve it as they did. */
START_TEST (slow_request_outlives_a_life_of_its_workers_pool)
{
  eio_pool *shared = eio_pool_new_shared (0, 0, 0, 0);

  eio_pool_use (shared);
  eio_set_slow (1, report);
  begin_stay ();
  host_start ();
  advance (2);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  give (&let_go, 1);
  eio_flush ();
  ck_assert_int_eq (reports, 1);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (shared), 0);
}
END_TEST

static void
poll_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  if (reports > 1)
    return;
  give (&let_go, 2);
  poll_until_left (0);
}

/* The reported one is finishes by it. */
START_TEST (slow_callback_polls_while_it_executes)
{
  eio_set_slow (1, poll_in_report);
  begin_stay ();
  begin_stay ();
  advance (2);
  eio_poll ();
  ck_assert_int_eq (reports, 2);
  ck_assert_int_eq (finishes, 2);
  tells (2, 2, 0);
}
END_TEST

static void
poll_once_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  eio_poll ();
}

START_TEST (slow_callback_polls_when_it_has_ended)
{
  int i;

  eio_set_slow (1, poll_once_in_report);
  for (i = 0; i < 5; ++i)
    submit_taking (2000000, 0);
  execute_all ();
  eio_poll ();
  ck_assert_int_eq (reports, 5);
  ck_assert_int_eq (finishes, 5);
  ck_assert_uint_eq (eio_npending (), 0);
  tells (5, 5, 0);
}
END_TEST

static void
submit_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  eio_nop (0, count, 0);
  eio_grp_add (eio_grp (count, 0), eio_nop (0, count, 0));
}

START_TEST (slow_callback_submits)
{
  eio_set_slow (1, submit_in_report);
  be_slow (!_i);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  give (&let_go, 1);
  poll_until_left (0);
  ck_assert_int_eq (finishes, 4);
  tells (4, 3, 0);
}
END_TEST

static void
set_slow_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  eio_set_slow (0, 0);
}

START_TEST (slow_callback_switches_it_off)
{
  eio_set_slow (1, set_slow_in_report);
  begin_stay ();
  begin_stay ();
  advance (2);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  give (&let_go, 2);
  poll_until_left (0);
  ck_assert_int_eq (reports, 1);
}
END_TEST

static void
use_another_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  eio_pool_use (req->data);
}

static int
note_pool (eio_req *req)
{
  *(eio_pool **)req->data = eio_pool_current ();
  return 0;
}

START_TEST (slow_callbacks_choice_of_a_pool_ends_with_it)
{
  eio_pool *other = eio_pool_new (0, 0, 0), *seen = 0;
  eio_pool *mine = eio_pool_current ();

  eio_set_slow (1, use_another_in_report);
  eio_custom (stay, 0, count, other);
  await_arrivals (1);
  eio_nop (0, note_pool, &seen);
  wait_until (eio_npending () == 1);
  advance (2);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  ck_assert_ptr_eq (eio_pool_current (), mine);
  ck_assert_ptr_eq (seen, mine);
  give (&let_go, 1);
  poll_until_left (0);
  ck_assert_int_eq (eio_pool_free (other), 0);
}
END_TEST

static int shutdown_result, shutdown_errno;

static void
shut_down_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  give (&let_go, 1);
  errno = 0;
  shutdown_result = eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
  shutdown_errno = errno;
}

/* It is a callback as any other: eio_shutdown would wait for itself. */
START_TEST (slow_callback_cannot_shut_down)
{
  if (_i / 2)
    host_start (); /* not the first pool */
  eio_set_slow (1, shut_down_in_report);
  be_slow (_i % 2);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  ck_assert_int_eq (shutdown_result, -1);
  ck_assert_int_eq (shutdown_errno, EDEADLK);
  poll_until_left (0);
  ck_assert_int_eq (finishes, 1);
}
END_TEST

static int free_result, free_errno;

static void
free_pool_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  give (&let_go, 1);
  eio_flush ();
  errno = 0;
  free_result = eio_pool_free (busy_pool);
  free_errno = errno;
}

/* "EBUSY while a callback of it runs". */
START_TEST (slow_callback_cannot_free_its_pool)
{
  eio_pool_use (busy_pool = eio_pool_new (0, 0, 0));
  eio_set_slow (1, free_pool_in_report);
  begin_stay ();
  advance (2);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  ck_assert_int_eq (free_result, -1);
  ck_assert_int_eq (free_errno, EBUSY);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (busy_pool), 0);
}
END_TEST

static void
leave_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  longjmp (out, 1);
}

/* "A callback that leaves by longjmp is allowed". */
START_TEST (slow_callback_is_left_while_it_executes)
{
  eio_set_slow (1, leave_report);
  begin_stay ();
  advance (2);
  if (!setjmp (out))
    eio_poll ();
  ck_assert_int_eq (reports, 1);
  eio_poll ();
  give (&let_go, 1);
  poll_until_left (0);
  ck_assert_int_eq (reports, 1);
  ck_assert_int_eq (finishes, 1);
  tells (1, 1, 0);
}
END_TEST

/* The request is not lost by that. */
START_TEST (slow_callback_is_left_when_it_has_ended)
{
  static probe p;

  eio_set_slow (1, leave_report);
  probe_fill (&p, EIO_CUSTOM);
  p.req.feed = take_time;
  p.req.data = (void *)2000000;
  eio_submit (&p.req);
  wait_until (eio_npending () == 1);
  if (!setjmp (out))
    eio_poll ();
  ck_assert_int_eq (reports, 1);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  ck_assert_int_eq (p.destroys, 1);
  tells (1, 1, 0);
}
END_TEST

static void
init_in_report (const eio_req *req, eio_tstamp running)
{
  report (req, running);
  host_start ();
}

/* "Requests of before are abandoned". */
START_TEST (slow_callback_begins_anew)
{
  eio_set_slow (1, init_in_report);
  be_slow (_i);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  give (&let_go, 1);
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_int_eq (finishes, 0);
  submit_nops (1);
  host_drain ();
  ck_assert_int_eq (finishes, 1);
  tells (1, 1, 0);
}
END_TEST

START_TEST (slow_request_of_another_life_is_reported)
{
  eio_set_slow (1, report);
  host_start ();
  submit_taking (2000000, 0);
  execute_all ();
  host_drain ();
  ck_assert_int_eq (reports, 1);
}
END_TEST

static int in_child;

static void
fork_in_report (const eio_req *req, eio_tstamp running)
{
  pid_t pid = fork ();
  int status;

  report (req, running);
  ck_assert_int_ge (pid, 0);
  in_child = !pid;
  if (pid)
    {
      ck_assert_int_eq (waitpid (pid, &status, 0), pid);
      ck_assert_int_eq (status, 0);
    }
}

/* The request stays the parent's. */
START_TEST (slow_callback_forks)
{
  eio_set_timing (1);
  eio_set_slow (1, fork_in_report);
  be_slow (_i);
  eio_poll ();
  ck_assert_int_eq (reports, 1);
  if (in_child)
    _exit (finishes != 0 || eio_nreqs ());
  give (&let_go, 1);
  poll_until_left (0);
  ck_assert_int_eq (finishes, 1);
}
END_TEST

/* A clock that is no monotonic one, as some systems have, may go back. */
static void
go_back (eio_req *req)
{
  stopped_at -= 5000000000ull;
  req->result = 0;
}

START_TEST (clock_that_goes_back_makes_nothing_slow)
{
  struct eio_stats s;

  eio_set_slow (1, report);
  eio_set_timing (1);
  eio_custom (go_back, 0, count, 0);
  execute_all ();
  stopped_at -= 1000000000ull;
  host_drain ();
  ck_assert_int_eq (reports, 0);
  s = stats ();
  ck_assert_uint_eq (s.exec_hist[31], 0);
  ck_assert_uint_eq (s.deliver_hist[31], 0);
  times (1);
}
END_TEST

/*****************************************************************************
 * Reserved workers                                                          *
 *****************************************************************************/

/* Requests of low priority, and how many execute at once. */
static atomic_int low_now, low_most, low_done;

static void
count_low (void)
{
  int n = ++low_now, most = low_most;

  while (n > most && !atomic_compare_exchange_weak (&low_most, &most, n))
    ;
}

static void
stay_low (eio_req *req)
{
  count_low ();
  stay (req);
  --low_now;
  ++low_done;
}

static void
submit_stays (int n, int pri)
{
  while (n--)
    eio_custom (stay_low, pri, count, 0);
}

/* That something does not happen shows only by time. */
static void
nobody_else_arrives (void)
{
  int i;

  for (i = 0; i < 10; ++i)
    {
      nap (1);
      ck_assert_int_eq (sem_trywait (&arrived), -1);
    }
}

static int
pass (eio_req *req)
{
  *(int *)req->data = 1;
  return count (req);
}

static void
nop_goes_through (int pri)
{
  double end = now () + 30;
  int passed = 0;

  eio_nop (pri, pass, &passed);
  while (!passed)
    {
      ck_assert_msg (now () < end, "no worker for priority %d", pri);
      host_wait (10);
      eio_poll ();
    }
}

START_TEST (reserved_workers_stay_free)
{
  eio_set_parallel (4);
  eio_set_reserved (1, 2);
  submit_stays (6, 0);
  await_arrivals (2);
  nobody_else_arrives ();
  ck_assert_uint_eq (eio_nthreads (), 2); /* more would have nothing to do */
  ck_assert_uint_eq (eio_nready (), 4);
  nop_goes_through (1);
  nop_goes_through (4);
  ck_assert_uint_eq (eio_nready (), 4);
  submit_stays (2, 1);
  await_arrivals (2);
  ck_assert_uint_eq (eio_nthreads (), 4);
  ck_assert_uint_eq (eio_nready (), 4);
  give (&let_go, 8);
  poll_until_left (0);
  ck_assert_int_eq (finishes, 10);
}
END_TEST

/* All threads have been there before, and are idle. */
START_TEST (reserved_workers_stay_idle)
{
  eio_set_parallel (4);
  submit_stays (4, 0);
  await_arrivals (4);
  give (&let_go, 4);
  poll_until_left (0);
  eio_set_reserved (1, 3);
  submit_stays (3, 0);
  await_arrivals (1);
  nobody_else_arrives ();
  nop_goes_through (1);
  give (&let_go, 3);
  poll_until_left (0);
}
END_TEST

START_TEST (one_worker_takes_everything)
{
  int n = 1 + _i / 3, k = n + _i % 3;

  eio_set_parallel ((unsigned)n);
  eio_set_reserved (0, k == n + 2 ? UINT_MAX : (unsigned)k);
  submit_stays (3, -1);
  await_arrivals (1);
  nobody_else_arrives ();
  if (n > 1)
    nop_goes_through (0);
  give (&let_go, 3);
  poll_until_left (0);
  ck_assert_int_eq (low_most, 1);
}
END_TEST

START_TEST (more_are_taken_when_the_limit_rises)
{
  eio_set_parallel (3);
  eio_set_reserved (1, 2);
  submit_stays (6, 0);
  await_arrivals (1);
  eio_set_parallel (5);
  await_arrivals (2);
  nobody_else_arrives ();
  eio_set_reserved (1, 1);
  await_arrivals (1);
  nobody_else_arrives ();
  eio_set_reserved (0, 1);
  await_arrivals (1);
  ck_assert_uint_eq (eio_nready (), 1);
  eio_set_reserved (1, 0);
  nobody_else_arrives ();
  give (&let_go, 6);
  poll_until_left (0);
  ck_assert_int_eq (low_most, 5);
}
END_TEST

/* What executes already counts. */
START_TEST (reserved_while_low_ones_execute)
{
  eio_set_parallel (4);
  submit_stays (8, 0);
  await_arrivals (4);
  eio_set_reserved (1, 2);
  give (&let_go, 2);
  wait_until (low_done == 2);
  nobody_else_arrives ();
  ck_assert_uint_eq (eio_nready (), 4);
  nop_goes_through (1);
  give (&let_go, 1);
  await_arrivals (1);
  nobody_else_arrives ();
  give (&let_go, 5);
  poll_until_left (0);
}
END_TEST

START_TEST (limit_falls_while_low_ones_execute)
{
  eio_set_parallel (6);
  eio_set_reserved (1, 2);
  submit_stays (8, 0);
  await_arrivals (4);
  eio_set_parallel (3);
  give (&let_go, 3);
  wait_until (low_done == 3);
  nobody_else_arrives ();
  nop_goes_through (1);
  give (&let_go, 1);
  await_arrivals (1);
  nobody_else_arrives ();
  give (&let_go, 4);
  poll_until_left (0);
}
END_TEST

START_TEST (border_itself_is_high)
{
  eio_set_parallel (2);
  eio_set_reserved (_i, 1);
  submit_stays (1, _i);
  submit_stays (1, _i);
  await_arrivals (2);
  give (&let_go, 2);
  poll_until_left (0);
  if (_i == EIO_PRI_MIN)
    return;
  submit_stays (2, _i - 1);
  await_arrivals (1);
  nobody_else_arrives ();
  nop_goes_through (_i);
  give (&let_go, 2);
  poll_until_left (0);
}
END_TEST

/* Of the border, and of requests, which are what they are clamped to. */
START_TEST (reserved_priorities_are_clamped)
{
  int pri = 77;

  eio_set_parallel (2);
  eio_set_reserved (100, 1);
  ck_assert_uint_eq (eio_get_reserved (&pri), 1);
  ck_assert_int_eq (pri, EIO_PRI_MAX);
  submit_stays (1, 3);
  await_arrivals (1);
  submit_stays (1, 100);
  await_arrivals (1);
  give (&let_go, 2);
  poll_until_left (0);

  eio_set_reserved (-100, 1);
  ck_assert_uint_eq (eio_get_reserved (&pri), 1);
  ck_assert_int_eq (pri, EIO_PRI_MIN);
  submit_stays (2, -100);
  await_arrivals (2);
  give (&let_go, 2);
  poll_until_left (0);

  eio_set_reserved (INT_MIN, 1);
  eio_set_reserved (INT_MAX, 1);
  eio_get_reserved (&pri);
  ck_assert_int_eq (pri, EIO_PRI_MAX);
}
END_TEST

/* A worker that has begun, but not yet taken anything, executes nothing. */
static sem_t in_hook, leave_hook;

static void
wait_in_hook (void *userdata)
{
  (void)userdata;
  sem_post (&in_hook);
  take (&leave_hook);
}

START_TEST (reserved_while_a_worker_begins)
{
  sem_init (&in_hook, 0, 0);
  sem_init (&leave_hook, 0, 0);
  eio_set_thread_hooks (wait_in_hook, 0, 0);
  eio_set_parallel (2);
  eio_nop (1, count, 0);
  take (&in_hook);
  eio_set_reserved (1, 1);
  give (&leave_hook, 2);
  nop_goes_through (0);
  poll_until_left (0);
  ck_assert_int_eq (finishes, 2);
}
END_TEST

START_TEST (reserved_without_threads)
{
  refusing = 1;
  eio_set_parallel (3);
  eio_set_reserved (1, 5);
  submit_nops (5);
  eio_nop (2, count, 0);
  poll_until_left (0);
  refusing = 0;
  submit_stays (2, 0);
  await_arrivals (1);
  nobody_else_arrives ();
  nop_goes_through (1);
  give (&let_go, 2);
  poll_until_left (0);
}
END_TEST

/* Theirs is the workers' pool's. */
START_TEST (reserved_among_pools_that_share_workers)
{
  eio_pool *shared = eio_pool_new_shared (0, 0, 0, 0);
  int pri;

  eio_set_parallel (3);
  eio_pool_use (shared);
  eio_set_reserved (2, 1);
  submit_stays (2, 0);
  eio_pool_use (0);
  ck_assert_uint_eq (eio_get_reserved (&pri), 1);
  ck_assert_int_eq (pri, 2);
  submit_stays (2, 1);
  await_arrivals (2);
  nobody_else_arrives ();
  eio_pool_use (shared);
  eio_nop (2, count, 0);
  wait_until (eio_npending () == 1);
  give (&let_go, 4);
  eio_flush ();
  drain_pool (0);
  ck_assert_int_le (low_most, 2);
  ck_assert_int_eq (finishes, 5);
  ck_assert_int_eq (eio_pool_free (shared), 0);
}
END_TEST

START_TEST (reserved_is_kept_by_eio_init)
{
  int pri;

  eio_set_parallel (2);
  eio_set_reserved (2, 1);
  host_start ();
  ck_assert_uint_eq (eio_get_reserved (&pri), 1);
  ck_assert_int_eq (pri, 2);
  submit_stays (2, 1);
  await_arrivals (1);
  nobody_else_arrives ();
  nop_goes_through (2);
  give (&let_go, 2);
  poll_until_left (0);
}
END_TEST

/* --- at random ---------------------------------------------------------- */

static int border;

static void
work_a_bit (eio_req *req)
{
  int is_low = req->pri < border;

  if (is_low)
    count_low ();
  if ((uintptr_t)req->data % 8 == 0)
    eio_sys_nap ();
  else
    sched_yield ();
  if (is_low)
    --low_now;
  req->result = 0;
}

static void
submit_work (unsigned *state, int n)
{
  while (n--)
    eio_custom (work_a_bit, (int)(randomize (state) % 9) - 4, count,
                (void *)(uintptr_t)randomize (state));
}

START_TEST (reserved_holds_whatever_comes)
{
  unsigned state = (unsigned)_i + 1;
  int round;

  for (round = 0; round < 12; ++round)
    {
      unsigned n = 1 + randomize (&state) % 6, k = randomize (&state) % 8;
      int most = n > k ? (int)(n - k) : 1;

      border = (int)(randomize (&state) % 9) - 4;
      low_most = 0;
      eio_set_parallel (n);
      eio_set_reserved (border, k);
      if (k == 0)
        most = (int)n;
      submit_work (&state, 60);
      poll_until_left (30);
      submit_work (&state, 60);
      poll_until_left (0);
      ck_assert_msg (low_most <= most, "%d of %u, %u reserved", low_most, n,
                     k);
    }
  ck_assert_int_eq (finishes, 12 * 120);
}
END_TEST

/* Nothing is stuck in the end. */
START_TEST (settings_change_while_they_work)
{
  unsigned state = (unsigned)_i + 100;
  int i, n = HAVE_SANITIZER ? 100 : 400;

  eio_set_idle_timeout (0);
  for (i = 0; i < n; ++i)
    {
      submit_work (&state, (int)(randomize (&state) % 6));
      switch (randomize (&state) % 6)
        {
        case 0: eio_set_parallel (randomize (&state) % 6); break;
        case 1: eio_set_max_parallel (randomize (&state) % 6); break;
        case 2:
          eio_set_reserved ((int)(randomize (&state) % 11) - 5,
                            randomize (&state) % 7);
          break;
        case 3: eio_set_ageing (randomize (&state) % 2 * 1e-5); break;
        case 4: eio_set_max_idle (randomize (&state) % 4); break;
        default: eio_poll (); break;
        }
      if (i % 50 == 49)
        {
          eio_set_parallel (1 + randomize (&state) % 5);
          poll_until_left (0);
        }
    }
  is_balanced ();
}
END_TEST

/*****************************************************************************
 * Ageing                                                                    *
 *****************************************************************************/

/* What executed, in its order. */
static int executed[400];
static atomic_int nexecuted;

static void
keep_order (eio_req *req)
{
  int i = nexecuted++;

  ck_assert_int_lt (i, LENGTH (executed));
  executed[i] = (int)(intptr_t)req->data;
  req->result = 0;
}

/* Letters tell them apart. */
static void
submit_letter (int letter, int pri)
{
  eio_custom (keep_order, pri, count, (void *)(intptr_t)letter);
}

static void
executes_line (int line, const char *letters)
{
  char did[LENGTH (executed) + 1];
  int i;

  resume (1);
  poll_until_left (0);
  for (i = 0; i < nexecuted; ++i)
    did[i] = (char)executed[i];
  did[i] = 0;
  nexecuted = 0;
  stop_workers ();
  ck_assert_msg (!strcmp (did, letters), "line %d: %s, not %s", line, did,
                 letters);
}
#define executes(letters) executes_line (__LINE__, letters)

START_TEST (waiting_raises_priorities)
{
  eio_set_ageing (1);
  submit_letter ('a', -1);
  advance (1.5);
  submit_letter ('b', 0);
  submit_letter ('c', 1);
  executes ("cab");
  submit_letter ('a', -1);
  advance (2.5);
  submit_letter ('b', 0);
  submit_letter ('c', 1);
  submit_letter ('d', 2);
  executes ("dacb");
}
END_TEST

START_TEST (waiting_raises_nothing_by_default)
{
  submit_letter ('a', -1);
  advance (1e6);
  submit_letter ('b', 0);
  executes ("ba");
  eio_set_ageing (1);
  eio_set_ageing (0);
  submit_letter ('a', -1);
  advance (1e6);
  submit_letter ('b', 0);
  executes ("ba");
}
END_TEST

/* Beyond the highest there is nothing to gain. */
START_TEST (highest_priority_is_the_end)
{
  eio_set_ageing (1);
  submit_letter ('a', 4);
  advance (1);
  submit_letter ('b', -4);
  submit_letter ('c', -4);
  advance (1);
  submit_letter ('d', 4);
  advance (1e6);
  submit_letter ('e', 4);
  executes ("abcde");
}
END_TEST

START_TEST (equals_are_taken_in_turn)
{
  eio_set_ageing (1);
  submit_letter ('a', 0);
  advance (0.1);
  submit_letter ('b', 1);
  advance (0.1);
  submit_letter ('c', 0);
  advance (0.85);
  executes ("abc");
  submit_letter ('a', 0);
  advance (0.1);
  submit_letter ('b', 1);
  advance (0.1);
  submit_letter ('c', 0);
  advance (0.7);
  executes ("bac");
}
END_TEST

/* They begin to wait when it is switched on. */
START_TEST (queued_requests_begin_to_age)
{
  submit_letter ('a', -1);
  submit_letter ('b', 0);
  advance (100);
  eio_set_ageing (1);
  advance (1.5);
  submit_letter ('c', 0);
  submit_letter ('d', 1);
  executes ("bdac");
}
END_TEST

START_TEST (ageing_is_changed_in_mid_flight)
{
  eio_set_ageing (10);
  submit_letter ('a', -1);
  advance (2.5);
  submit_letter ('b', 0);
  eio_set_ageing (1);
  submit_letter ('c', 1);
  executes ("acb");
  eio_set_ageing (1);
  submit_letter ('a', -1);
  advance (2.5);
  eio_set_ageing (0);
  submit_letter ('b', 0);
  executes ("ba");
}
END_TEST

/* Whether somebody else wants to know the times does not matter. */
START_TEST (order_does_not_depend_on_timing)
{
  eio_set_timing (_i);
  submit_letter ('a', -1);
  advance (100);
  submit_letter ('b', 2);
  eio_set_ageing (1);
  executes ("ba");
}
END_TEST

static int
finish_in_order (eio_req *req)
{
  keep_order (req);
  return 0;
}

START_TEST (results_come_by_their_own_priority)
{
  int i;

  eio_set_ageing (1);
  for (i = 0; i < 9; ++i)
    {
      eio_custom (keep_order, i - 4, finish_in_order,
                  (void *)(intptr_t)('a' + i));
      advance (2);
    }
  execute_all ();
  ck_assert_int_eq (executed[0], 'a');
  nexecuted = 0;
  host_drain ();
  for (i = 0; i < 9; ++i)
    ck_assert_int_eq (executed[i], 'i' - i);
}
END_TEST

/* A reserved worker does not take what has become of higher priority. */
START_TEST (aged_requests_take_no_reserved_worker)
{
  eio_set_ageing (1);
  eio_set_parallel (2);
  eio_set_reserved (1, 1);
  submit_stays (3, 0);
  await_arrivals (1);
  advance (100);
  nobody_else_arrives ();
  nop_goes_through (1);
  nobody_else_arrives ();
  eio_set_reserved (1, 0);
  await_arrivals (1);
  give (&let_go, 3);
  poll_until_left (0);
}
END_TEST

/* Among those that it may take, it goes by age. */
START_TEST (aged_requests_pass_higher_ones_while_workers_are_reserved)
{
  eio_set_ageing (1);
  eio_set_reserved (1, 1);
  submit_letter ('a', -4);
  advance (6.5);
  submit_letter ('b', 1);
  submit_letter ('c', 3);
  executes ("cab");
}
END_TEST

START_TEST (extreme_ageing)
{
  static const double off[] = { 0, -1, -INFINITY, NAN };
  int i;

  for (i = 0; i < LENGTH (off); ++i)
    {
      eio_set_ageing (1);
      eio_set_ageing (off[i]);
      ck_assert_double_eq (eio_get_ageing (), 0);
      submit_letter ('a', -1);
      advance (1e6);
      submit_letter ('b', 0);
      executes ("ba");
    }
  eio_set_ageing (1e-300);
  ck_assert_double_gt (eio_get_ageing (), 0);
  submit_letter ('a', -4);
  advance_us (1);
  submit_letter ('b', 4);
  executes ("ab");
  eio_set_ageing (INFINITY);
  ck_assert_double_gt (eio_get_ageing (), 0);
  submit_letter ('a', -1);
  advance (1e6);
  submit_letter ('b', 0);
  executes ("ba");
}
END_TEST

/* By a model that looks at all of them each time. */
typedef struct
{
  unsigned long long t;
  int rank;
} waiting;

static int
goes_before (const waiting *a, const waiting *b, unsigned long long t,
             unsigned long long ageing)
{
  unsigned long long x = (unsigned)a->rank + (t - a->t) / ageing;
  unsigned long long y = (unsigned)b->rank + (t - b->t) / ageing;

  x = x < 8 ? x : 8;
  y = y < 8 ? y : 8;
  if (x != y)
    return x > y;
  return a->t != b->t ? a->t < b->t : a->rank > b->rank;
}

enum { STEP_US = 130 };

static void
keep_order_slowly (eio_req *req)
{
  keep_order (req);
  advance_us (STEP_US);
}

START_TEST (order_is_that_of_the_model)
{
  enum { N = 200 };
  static waiting all[N];
  unsigned state = (unsigned)_i * 977 + 5;
  unsigned long long ageing = eio_sys_ns (0.0007 * (_i + 1)), since = 0, t;
  int i, j, best, late = _i % 3 == 2;

  if (!late)
    eio_set_ageing (0.0007 * (_i + 1));
  for (i = 0; i < N; ++i)
    {
      all[i].rank = (int)(randomize (&state) % 9);
      all[i].t = stopped_at;
      eio_custom (keep_order_slowly, all[i].rank - 4, count,
                  (void *)(intptr_t)i);
      if (randomize (&state) % 3)
        advance_us (randomize (&state) % 100);
      if (late && i == N / 2)
        {
          eio_set_ageing (0.0007 * (_i + 1));
          since = stopped_at;
        }
    }
  t = stopped_at;
  resume (1);
  poll_until_left (0);
  for (i = 0; i < N; ++i)
    if (all[i].t < since)
      all[i].t = since;
  for (i = 0; i < N; ++i, t += STEP_US * 1000)
    {
      for (best = -1, j = 0; j < N; ++j)
        if (all[j].rank >= 0
            && (best < 0 || goes_before (&all[j], &all[best], t, ageing)))
          best = j;
      ck_assert_msg (executed[i] == best, "%d: %d, not %d", i, executed[i],
                     best);
      all[best].rank = -1;
    }
}
END_TEST

/*****************************************************************************
 * Getters                                                                   *
 *****************************************************************************/

static void
has_initial_settings (void)
{
  int pri = 77;

  ck_assert_double_eq (eio_get_max_poll_time (), 0);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 0);
  ck_assert_uint_eq (eio_get_max_outstanding (), 0);
  ck_assert_uint_eq (eio_get_submit_limit (), 0);
  ck_assert_int_eq (eio_get_finish_cancelled (), 0);
  ck_assert_int_eq (eio_get_nothreads (), EIO_NOTHREADS_RUN);
  ck_assert_uint_eq (eio_get_inline (), 0);
  ck_assert_uint_eq (eio_get_parallel (), 4);
  ck_assert_uint_eq (eio_get_max_idle (), 4);
  ck_assert_uint_eq (eio_get_idle_timeout (), 10);
  ck_assert_uint_eq (eio_get_stack_size (), 0);
  ck_assert_int_eq (eio_get_ioprio (), 0);
  ck_assert_uint_eq (eio_get_reserved (&pri), 0);
  ck_assert_int_eq (pri, EIO_PRI_MIN);
  ck_assert_double_eq (eio_get_ageing (), 0);
  ck_assert_int_eq (eio_get_timing (), 0);
}

static void
change_settings (unsigned n)
{
  eio_set_max_poll_time (0.25 * n);
  eio_set_max_poll_reqs (n);
  eio_set_max_outstanding (n + 1);
  eio_set_submit_limit (n + 2);
  eio_set_finish_cancelled (7);
  eio_set_nothreads (EIO_NOTHREADS_FAIL);
  eio_set_inline (n + 3);
  eio_set_parallel (n + 4);
  eio_set_max_idle (n + 5);
  eio_set_idle_timeout (n + 6);
  eio_set_stack_size (65536 * n);
  eio_set_ioprio (2 << 13 | (int)n % 8);
  eio_set_reserved ((int)n % 4, n);
  eio_set_ageing (0.5 * n);
  eio_set_timing (-1);
}

/* Those of pools whose workers are another's are in part that one's. */
static void
has_settings (unsigned n, unsigned workers)
{
  int pri;

  ck_assert_double_eq (eio_get_max_poll_time (), 0.25 * n);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), n);
  ck_assert_uint_eq (eio_get_max_outstanding (), n + 1);
  ck_assert_uint_eq (eio_get_submit_limit (), n + 2);
  ck_assert_int_eq (eio_get_finish_cancelled (), 1);
  ck_assert_int_eq (eio_get_nothreads (), EIO_NOTHREADS_FAIL);
  ck_assert_uint_eq (eio_get_inline (), n + 3);
  ck_assert_int_eq (eio_get_timing (), 1);
  n = workers;
  ck_assert_uint_eq (eio_get_parallel (), n + 4);
  ck_assert_uint_eq (eio_get_max_idle (), n + 5);
  ck_assert_uint_eq (eio_get_idle_timeout (), n + 6);
  ck_assert_uint_eq (eio_get_stack_size (), 65536 * n);
#ifdef __linux__
  ck_assert_int_eq (eio_get_ioprio (), 2 << 13 | (int)n % 8);
#endif
  ck_assert_uint_eq (eio_get_reserved (&pri), n);
  ck_assert_int_eq (pri, (int)n % 4);
  ck_assert_uint_eq (eio_get_reserved (0), n);
  ck_assert_double_eq (eio_get_ageing (), 0.5 * n);
}

START_TEST (settings_are_what_they_were_set_to)
{
  eio_pool *own, *shared;

  has_initial_settings ();
  change_settings (1);
  has_settings (1, 1);
  own = eio_pool_new (0, 0, 0);
  shared = eio_pool_new_shared (own, 0, 0, 0);
  eio_pool_use (own);
  has_initial_settings ();
  change_settings (2);
  eio_pool_use (shared);
  change_settings (3);
  has_settings (3, 3);
  eio_pool_use (own);
  has_settings (2, 3);
  eio_pool_use (0);
  has_settings (1, 1);
  host_start ();
  has_settings (1, 1);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  has_settings (1, 1);
  ck_assert_int_eq (eio_pool_free (shared), 0);
  ck_assert_int_eq (eio_pool_free (own), 0);
}
END_TEST

static int were_changed;

static void *
change_settings_elsewhere (void *arg)
{
  change_settings (1);
  ecb_store_relaxed (were_changed, 1);
  return arg;
}

/* What orders both threads are the library's locks alone. */
START_TEST (settings_of_another_thread_are_the_next_lifes)
{
  pthread_t tid;

  were_changed = 0;
  pthread_create (&tid, 0, change_settings_elsewhere, 0);
  while (!ecb_load_relaxed (were_changed))
    sched_yield ();
  host_start ();
  pthread_join (tid, 0);
  has_settings (1, 1);
}
END_TEST

START_TEST (settings_are_a_childs_too)
{
  int status;
  pid_t pid;

  change_settings (2);
  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      has_settings (2, 2);
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
}
END_TEST

/* But for what no nanosecond makes a difference in. */
START_TEST (seconds_are_what_they_were_set_to)
{
  static const double some[] = { 1,    0.1,  0.29,  0.57,  1e-6, 1e-3, 4.35,
                                 3600, 1e-9, 0.001, 12.34, 1e6,  1.1 };
  int i;

  for (i = 0; i < LENGTH (some); ++i)
    {
      eio_set_ageing (some[i]);
      eio_set_max_poll_time (some[i]);
      is_about (eio_get_ageing (), some[i]);
      ck_assert_msg (fabs (eio_get_ageing () - some[i]) < 2e-9, "%.17g: %.17g",
                     some[i], eio_get_ageing ());
      ck_assert_double_eq_tol (eio_get_max_poll_time (), eio_get_ageing (),
                               1e-12);
    }
}
END_TEST

START_TEST (flags_are_0_or_1)
{
  eio_set_timing (2);
  ck_assert_int_eq (eio_get_timing (), 1);
  eio_set_timing (0);
  ck_assert_int_eq (eio_get_timing (), 0);
  eio_set_slow (1, report);
  ck_assert_int_eq (eio_get_timing (), 0);
  eio_set_timing (1);
  eio_set_slow (0, 0);
  ck_assert_int_eq (eio_get_timing (), 1);
  eio_set_nothreads (77);
  ck_assert_int_eq (eio_get_nothreads (), EIO_NOTHREADS_RUN);
}
END_TEST

/*****************************************************************************
 * All of it                                                                 *
 *****************************************************************************/

static void
add_counters (Suite *suite)
{
  TCase *tc = add_case (suite, "counters", 60, start, stop_workers);

  tcase_add_test (tc, counters_begin_at_0);
  tcase_add_test (tc, failures_count_as_all_others);
  tcase_add_test (tc, groups_count_once);
  tcase_add_test (tc, groups_that_wait_count_once);
  tcase_add_test (tc, fed_requests_are_counted);
  tcase_add_loop_test (tc, each_submission_counts, 0, 2);
  tcase_add_test (tc, cancelled_while_it_executes);
  tcase_add_test (tc, answers_at_once_are_counted);
  tcase_add_test (tc, workers_are_counted);
  tcase_add_test (tc, refused_threads_are_counted);
  tcase_add_test (tc, times_are_taken_where_eio_poll_executes);
  tcase_add_test (tc, nothing_to_fill_is_refused);
  tcase_add_test (tc, larger_struct_is_zeroed_at_its_end);
  tcase_add_loop_test (tc, each_pool_counts_its_own, 0, 2);
  tcase_add_test (tc, other_threads_see_counters_that_fit);
  tcase_add_test (tc, other_threads_see_marks_rise);
  tcase_add_loop_test (tc, random_work_is_balanced, 0, 2);
}

static void
add_paused_counters (Suite *suite)
{
  TCase *tc = add_case (suite, "counters, paused", 60, start_paused,
                        stop_workers);

  tcase_add_test (tc, nops_are_counted);
  tcase_add_test (tc, cancelled_before_execution);
  tcase_add_test (tc, cancelled_after_execution);
  tcase_add_test (tc, cancelled_in_its_own_finish_is_not);
  tcase_add_test (tc, cancelled_counts_as_that_also_where_finish_is_called);
  tcase_add_test (tc, closes_execute_although_cancelled);
  tcase_add_test (tc, requests_of_the_librarys_own_are_not_counted);
  tcase_add_loop_test (tc, cancelled_groups_are_counted, 0, 2);
  tcase_add_test (tc, marks_are_the_highest_so_far);
  tcase_add_test (tc, mark_of_results_is_exact_in_callbacks);
  tcase_add_test (tc, size_says_how_much_is_filled);
  tcase_add_test (tc, counters_are_exact_in_callbacks);
  tcase_add_test (tc, counters_are_exact_wherever_eio_poll_stops);
  tcase_add_loop_test (tc, callbacks_that_are_left_are_counted, 0, 3);
  tcase_add_test (tc, eio_init_begins_anew);
  tcase_add_loop_test (tc, shutdown_begins_anew, 0, 2);
  tcase_add_loop_test (tc, shutdown_of_a_pool_leaves_its_counters, 0, 2);
  tcase_add_test (tc, child_begins_at_0);
  tcase_add_test (tc, pools_that_share_workers_have_marks_of_their_own);
  tcase_add_test (tc, requests_that_are_handed_over_count_once);
  tcase_add_test (tc, requests_that_are_handed_over_meanwhile_count_once);
}

static void
add_times (Suite *suite)
{
  TCase *still = add_case (suite, "times, by a clock that stands still", 60,
                           start_paused_and_stopped, stop_workers);
  TCase *tc = add_case (suite, "times", 60, start, stop_workers);
  TCase *paused = add_case (suite, "times, paused", 60, start_paused,
                            stop_workers);

  tcase_add_loop_test (still, times_are_in_their_buckets, 0, 32);
  tcase_add_test (still, shortest_times_are_in_the_first_bucket);
  tcase_add_test (still, each_time_counts_where_it_is_spent);
  tcase_add_test (tc, sleeping_takes_its_time);
  tcase_add_test (tc, groups_have_no_times);
  tcase_add_test (tc, groups_have_no_times_of_before);
  tcase_add_test (tc, each_submission_has_its_times);
  tcase_add_test (tc, cancelled_while_they_execute_have_times);
  tcase_add_test (tc, off_asks_no_clock);
  tcase_add_test (tc, switched_off_during_execution);
  tcase_add_test (paused, requests_that_did_not_execute_have_no_times);
  tcase_add_loop_test (paused, switched_on_in_mid_flight, 0, 2);
  tcase_add_test (paused, switched_on_after_execution);
  tcase_add_loop_test (paused, switched_off_before_execution, 0, 2);
  tcase_add_loop_test (paused, switched_off_between_execution_and_delivery, 0,
                       2);
  tcase_add_loop_test (paused, ageing_does_not_make_times, 0, 3);
  tcase_add_test (paused, times_are_a_pools_own);
}

static void
add_slow (Suite *suite)
{
  TCase *tc = add_case (suite, "slow", 60, start_stopped, stop_workers);
  TCase *paused = add_case (suite, "slow, paused", 60,
                            start_paused_and_stopped, stop_workers);

  tcase_add_test (tc, slow_request_is_reported_while_it_executes);
  tcase_add_test (tc, slow_requests_are_reported_by_eio_poll_only);
  tcase_add_test (tc, slow_is_set_by_any_thread);
  tcase_add_test (tc, slow_callback_sees_what_was_before_it);
  tcase_add_test (tc, librarys_own_requests_are_not_slow);
  tcase_add_test (tc, slow_request_can_be_read);
  tcase_add_test (tc, several_slow_requests_are_reported);
  tcase_add_test (tc, submitted_again_it_is_reported_again);
  tcase_add_test (tc, groups_are_not_slow_by_what_they_were);
  tcase_add_test (tc, slow_is_off_where_it_is_no_time);
  tcase_add_test (tc, slow_request_is_cancelled_while_it_executes);
  tcase_add_test (tc, slow_request_is_cancelled_when_it_has_ended);
  tcase_add_test (tc, slow_requests_are_reported_to_their_own_pool);
  tcase_add_test (tc, slow_request_outlives_a_life_of_its_workers_pool);
  tcase_add_test (tc, slow_callback_polls_while_it_executes);
  tcase_add_loop_test (tc, slow_callback_submits, 0, 2);
  tcase_add_test (tc, slow_callback_switches_it_off);
  tcase_add_test (tc, slow_callbacks_choice_of_a_pool_ends_with_it);
  tcase_add_loop_test (tc, slow_callback_cannot_shut_down, 0, 4);
  tcase_add_test (tc, slow_callback_cannot_free_its_pool);
  tcase_add_test (tc, slow_callback_is_left_while_it_executes);
  tcase_add_test (tc, slow_callback_is_left_when_it_has_ended);
  tcase_add_loop_test (tc, slow_callback_begins_anew, 0, 2);
  tcase_add_test (tc, slow_request_of_another_life_is_reported);
  tcase_add_loop_test (tc, slow_callback_forks, 0, 2);
  tcase_add_test (paused, slow_request_is_reported_when_it_has_ended);
  tcase_add_test (paused, waiting_is_not_slow);
  tcase_add_test (paused, slow_is_switched_off_in_mid_flight);
  tcase_add_test (paused, slow_callback_polls_when_it_has_ended);
  tcase_add_test (paused, clock_that_goes_back_makes_nothing_slow);
}

static void
add_reserved (Suite *suite)
{
  TCase *tc = add_case (suite, "reserved", 60, start, stop_workers);

  tcase_add_test (tc, reserved_workers_stay_free);
  tcase_add_test (tc, reserved_workers_stay_idle);
  tcase_add_loop_test (tc, one_worker_takes_everything, 0, 6);
  tcase_add_test (tc, more_are_taken_when_the_limit_rises);
  tcase_add_test (tc, reserved_while_low_ones_execute);
  tcase_add_test (tc, limit_falls_while_low_ones_execute);
  tcase_add_loop_test (tc, border_itself_is_high, EIO_PRI_MIN,
                       EIO_PRI_MAX + 1);
  tcase_add_test (tc, reserved_priorities_are_clamped);
  tcase_add_test (tc, reserved_while_a_worker_begins);
  tcase_add_test (tc, reserved_without_threads);
  tcase_add_test (tc, reserved_among_pools_that_share_workers);
  tcase_add_test (tc, reserved_is_kept_by_eio_init);
  tcase_add_loop_test (tc, reserved_holds_whatever_comes, 0, 4);
  tcase_add_loop_test (tc, settings_change_while_they_work, 0, 4);
}

static void
add_ageing (Suite *suite)
{
  TCase *tc = add_case (suite, "ageing", 60, start_paused_and_stopped,
                        stop_workers);
  TCase *running = add_case (suite, "ageing and reserved", 60, start_stopped,
                             stop_workers);

  tcase_add_test (tc, waiting_raises_priorities);
  tcase_add_test (tc, waiting_raises_nothing_by_default);
  tcase_add_test (tc, highest_priority_is_the_end);
  tcase_add_test (tc, equals_are_taken_in_turn);
  tcase_add_test (tc, queued_requests_begin_to_age);
  tcase_add_test (tc, ageing_is_changed_in_mid_flight);
  tcase_add_loop_test (tc, order_does_not_depend_on_timing, 0, 2);
  tcase_add_test (tc, results_come_by_their_own_priority);
  tcase_add_test (running, aged_requests_take_no_reserved_worker);
  tcase_add_test (
    tc, aged_requests_pass_higher_ones_while_workers_are_reserved);
  tcase_add_test (tc, extreme_ageing);
  tcase_add_loop_test (tc, order_is_that_of_the_model, 0, 12);
}

static void
add_getters (Suite *suite)
{
  TCase *tc = add_case (suite, "getters", 60, start, stop_workers);

  tcase_add_test (tc, settings_are_what_they_were_set_to);
  tcase_add_test (tc, settings_of_another_thread_are_the_next_lifes);
  tcase_add_test (tc, settings_are_a_childs_too);
  tcase_add_test (tc, seconds_are_what_they_were_set_to);
  tcase_add_test (tc, flags_are_0_or_1);
}

int
main (void)
{
  Suite *suite = suite_create ("insight");

  add_counters (suite);
  add_paused_counters (suite);
  add_times (suite);
  add_slow (suite);
  add_reserved (suite);
  add_ageing (suite);
  add_getters (suite);
  return run_suite (suite);
}
