/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* When threads cannot be had, or come at a bad moment: includes eio.c with a
 * pthread_create that refuses, for ever, for a while, or what has too small a
 * stack, and with locks that are taken when the test says so. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "support.h"

/* Says which error to fail with, 0 for none. */
static int refuse (size_t stack_size);

/* Called, once, before who starts a thread knows that it is there. */
static void (*after_start) (void);

static int
fake_pthread_create (pthread_t *thread, const pthread_attr_t *attr,
                     void *(*proc) (void *), void *arg)
{
  size_t size = default_stack_size ();
  int error;
  if (attr)
    pthread_attr_getstacksize (attr, &size);
  error = refuse (size);
  if (!error)
    error = pthread_create (thread, attr, proc, arg);
  if (!error && after_start)
    {
      void (*call) (void) = after_start;

      after_start = 0;
      call ();
    }
  return error;
}

/* Sees until when the pool waits, and by which clock. */
static int fake_cond_timedwait (pthread_cond_t *cond, pthread_mutex_t *mutex,
                                const struct timespec *end);

/* Something may have to happen before a lock is taken. */
static int late_mutex_lock (pthread_mutex_t *mutex);

/* Without futexes, to see it. */
#include <sys/syscall.h>
#undef SYS_futex

#define pthread_create fake_pthread_create
#define pthread_cond_timedwait fake_cond_timedwait
#define pthread_mutex_lock late_mutex_lock
#include "eio.c"
#undef pthread_create
#undef pthread_cond_timedwait
#undef pthread_mutex_lock

#include <setjmp.h>

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

/* What pthread_create does: lets allowed more threads pass, then fails with
 * failure, and always when the stack is smaller than least_stack. */
static atomic_int failure, allowed, attempts, created;
static void (*_Atomic before_failure) (void); /* called once */
static size_t least_stack;
static size_t sizes_asked[8];

static int
refuse (size_t stack_size)
{
  int n = attempts++;
  if (n < LENGTH (sizes_asked))
    sizes_asked[n] = stack_size;
  if (stack_size < least_stack)
    return EINVAL;
  if (failure && --allowed < 0)
    {
      void (*call) (void) = atomic_exchange (&before_failure, 0);

      if (call)
        call ();
      return failure;
    }
  ++created;
  return 0;
}

static void
fail_after (int n)
{
  allowed = n;
  failure = EAGAIN;
}

static void
fail_no_more (void)
{
  failure = 0;
}

/* How often the pool waited with a time limit, and how often that was not a
 * few seconds ahead on the monotonic clock. */
static atomic_int timed_waits, strange_waits;

static int
fake_cond_timedwait (pthread_cond_t *cond, pthread_mutex_t *mutex,
                     const struct timespec *end)
{
  double ahead = (double)end->tv_sec + (double)end->tv_nsec * 1e-9 - now ();
  ++timed_waits;
  if (ahead < -30 || ahead > 30)
    ++strange_waits;
  return pthread_cond_timedwait (cond, mutex, end);
}

static pthread_t main_thread;

/* Called, once, by the thread of the test, or by another, when it is about to
 * take the default pool's siglock; and by any before it takes the reslock, or
 * that of the queue. */
static void (*_Atomic before_signal_here) (void);
static void (*_Atomic before_signal_there) (void);
static void (*_Atomic before_result) (void);
static void (*_Atomic before_queue) (void);

static int
late_mutex_lock (pthread_mutex_t *mutex)
{
  etp_pool *pool = etp_current_life (0);
  void (*call) (void) = 0;

  if (mutex == &pool->siglock)
    call = pthread_equal (main_thread, pthread_self ())
             ? atomic_exchange (&before_signal_here, 0)
             : atomic_exchange (&before_signal_there, 0);
  else if (mutex == &pool->reslock)
    call = atomic_exchange (&before_result, 0);
  else if (mutex == &pool->reqlock)
    call = atomic_exchange (&before_queue, 0);
  if (call)
    call ();
  return pthread_mutex_lock (mutex);
}

/* How many workers wait for something to do. */
static unsigned int
count_idle (void)
{
  unsigned int n;

  X_LOCK (eio__default_pool->reqlock);
  n = eio__default_pool->nidle;
  X_UNLOCK (eio__default_pool->reqlock);
  return n;
}

/* Who executed what, and in which order. */
static atomic_int executed, executed_here;
static int order[64];
static int finished, destroyed;

static void
execute (eio_req *req)
{
  int turn = executed++;
  if (turn < LENGTH (order))
    order[turn] = req->pri;
  if (pthread_equal (main_thread, pthread_self ()))
    ++executed_here;
  req->result = 7;
}

static int
count_executed (eio_req *req)
{
  if (req->type == EIO_CUSTOM)
    ck_assert_int_eq (req->result, 7);
  ++finished;
  return 0;
}

static void
count_destroy (eio_req *req)
{
  ++destroyed;
  free (req);
}

static eio_req *
submit (int pri)
{
  eio_req *req = calloc (1, sizeof *req);
  req->type = EIO_CUSTOM;
  req->feed = execute;
  req->pri = pri;
  req->finish = count_executed;
  req->destroy = count_destroy;
  eio_submit (req);
  return req;
}

static void
submit_several (int n)
{
  while (n--)
    submit (0);
}

static void
stay_and_tell (eio_req *req)
{
  stay (req);
  req->result = 7;
}

static void
submit_staying (int n)
{
  while (n--)
    eio_custom (stay_and_tell, 0, count_executed, 0);
}

static void
let_all_go (int n)
{
  give (&let_go, n);
  host_drain ();
}

static void
expect_counters (unsigned int nreqs, unsigned int nready,
                 unsigned int npending, unsigned int nthreads)
{
  ck_assert_uint_eq (eio_nreqs (), nreqs);
  ck_assert_uint_eq (eio_nready (), nready);
  ck_assert_uint_eq (eio_npending (), npending);
  ck_assert_uint_eq (eio_nthreads (), nthreads);
}

/* Threads can be had again, and are. */
static void
expect_recovered (void)
{
  int before = finished;
  fail_no_more ();
  submit_staying (4);
  await_arrivals (4);
  ck_assert_uint_eq (eio_nthreads (), 4);
  let_all_go (4);
  ck_assert_int_eq (finished, before + 4);
  ck_assert_uint_eq (eio_nreqs (), 0);
}

static void
prepare (void)
{
  main_thread = pthread_self ();
  prepare_stays ();
  host_start ();
}

/*****************************************************************************
 * No thread at all                                                          *
 *****************************************************************************/

static const int errors[] = { EAGAIN, ENOMEM, EPERM, EINVAL };

/* Each poll executes one request and hands over its result. */
START_TEST (poll_executes_one_request_a_call)
{
  fail_after (0);
  failure = errors[_i];
  submit_several (5);
  expect_counters (5, 5, 0, 0);
  ck_assert_int_eq (executed, 0);
  for (int i = 1; i <= 5; ++i)
    {
      ck_assert_int_eq (host_wait (0), 1);
      errno = 0;
      ck_assert_int_eq (eio_poll (), i < 5 ? -1 : 0);
      if (i < 5)
        ck_assert_int_eq (errno, EAGAIN);
      ck_assert_int_eq (executed_here, i);
      ck_assert_int_eq (finished, i);
      expect_counters (5 - i, 5 - i, 0, 0);
    }
  ck_assert_int_eq (destroyed, 5);
  ck_assert_int_eq (host_wait (0), 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (executed, 5);
  ck_assert_int_eq (EIO_POOL->start_failed, 0);
}
END_TEST

START_TEST (submission_alone_executes_nothing)
{
  fail_after (0);
  submit_several (50);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (executed, 0);
  ck_assert_int_eq (finished, 0);
  host_drain ();
  ck_assert_int_eq (executed_here, 50);
  ck_assert_int_eq (finished, 50);
}
END_TEST

START_TEST (poll_executes_by_priority)
{
  static const int pris[] = { -4, 0, 4, 1, -1, 0, 3, 100, -100, 2 };
  static const int expected[] = { 4, 100, 3, 2, 1, 0, 0, -1, -4, -100 };
  fail_after (0);
  for (int i = 0; i < LENGTH (pris); ++i)
    submit (pris[i]);
  host_drain ();
  ck_assert_mem_eq (order, expected, sizeof expected);
}
END_TEST

static void *
submit_elsewhere (void *arg)
{
  submit_several (1);
  return arg;
}

START_TEST (submission_from_another_thread_is_signalled)
{
  pthread_t thread;
  fail_after (0);
  pthread_create (&thread, 0, submit_elsewhere, 0);
  pthread_join (thread, 0);
  ck_assert_int_eq (host_wait (0), 1);
  host_drain ();
  ck_assert_int_eq (executed_here, 1);
}
END_TEST

START_TEST (limits_and_values_hold_without_threads)
{
  fail_after (0);
  eio_set_max_poll_reqs (1);
  eio_set_max_poll_time (1e-9);
  submit_several (4);
  for (int i = 1; i <= 4; ++i)
    {
      ck_assert_int_eq (eio_poll (), i < 4 ? -1 : 0);
      ck_assert_int_eq (finished, i);
    }
}
END_TEST

static int
return_3 (eio_req *req)
{
  (void)req;
  ++finished;
  return 3;
}

START_TEST (early_return_leaves_the_signal_for_what_is_queued)
{
  fail_after (0);
  for (int i = 0; i < 3; ++i)
    eio_custom (execute, 0, return_3, 0);
  for (int i = 1; i <= 3; ++i)
    {
      ck_assert_int_eq (eio_poll (), 3);
      ck_assert_int_eq (executed, i);
      ck_assert_int_eq (finished, i);
      ck_assert_int_eq (host_wait (0), i < 3);
    }
}
END_TEST

static int
poll_inside (eio_req *req)
{
  int left = eio_nreqs ();
  ck_assert_int_eq (eio_poll (), left > 1 ? -1 : 0);
  ck_assert_uint_lt (eio_nreqs (), left + !left);
  return count_executed (req);
}

START_TEST (nested_poll_executes_too)
{
  eio_req *req;
  fail_after (0);
  req = submit (1);
  req->finish = poll_inside;
  submit_several (3);
  ck_assert_int_eq (eio_poll (), -1);
  ck_assert_int_eq (finished, 2);
  host_drain ();
  ck_assert_int_eq (finished, 4);
  ck_assert_int_eq (executed_here, 4);
}
END_TEST

START_TEST (groups_finish_without_threads)
{
  eio_req *outer = eio_grp (count_executed, 0);
  eio_req *inner = eio_grp (count_executed, 0);
  fail_after (0);
  eio_grp_add (outer, inner);
  for (int i = 0; i < 5; ++i)
    eio_grp_add (i % 2 ? outer : inner, submit (0));
  host_drain ();
  ck_assert_int_eq (finished, 7);
  ck_assert_int_eq (executed_here, 5);
  expect_counters (0, 0, 0, 0);
}
END_TEST

static int fed;

static void
feed (eio_req *grp)
{
  if (fed++ < 10)
    eio_grp_add (grp, submit (0));
}

START_TEST (feeders_are_fed_without_threads)
{
  fail_after (0);
  eio_grp_feed (eio_grp (count_executed, 0), feed, 2);
  host_drain ();
  ck_assert_int_eq (finished, 11);
  ck_assert_int_eq (executed_here, 10);
}
END_TEST

START_TEST (cancelled_requests_do_not_execute_without_threads)
{
  eio_req *reqs[6];
  fail_after (0);
  for (int i = 0; i < 6; ++i)
    reqs[i] = submit (0);
  for (int i = 1; i < 6; i += 2)
    eio_cancel (reqs[i]);
  host_drain ();
  ck_assert_int_eq (executed, 3);
  ck_assert_int_eq (finished, 3);
  ck_assert_int_eq (destroyed, 6);
  expect_counters (0, 0, 0, 0);
}
END_TEST

static void
submit_more (eio_req *req)
{
  execute (req);
  if (executed < 20)
    submit (0)->feed = submit_more;
}

START_TEST (custom_function_on_the_poll_thread_may_submit)
{
  fail_after (0);
  submit (0)->feed = submit_more;
  host_drain ();
  ck_assert_int_eq (finished, 20);
  ck_assert_int_eq (executed_here, 20);
}
END_TEST

static void
lower_to_0 (eio_req *req)
{
  eio_set_max_parallel (0);
  execute (req);
}

START_TEST (custom_function_on_the_poll_thread_may_lower_the_limit)
{
  fail_after (0);
  submit (1)->feed = lower_to_0;
  submit_several (2);
  eio_poll ();
  eio_poll ();
  ck_assert_int_eq (executed, 1);
  ck_assert_int_eq (host_wait (0), 0);
  eio_set_min_parallel (1);
  host_drain ();
  ck_assert_int_eq (finished, 3);
}
END_TEST

static int
resubmit (eio_req *req)
{
  count_executed (req);
  if (finished < 100)
    eio_submit (req);
  return 0;
}

static int said;

static void
shut_down (eio_req *req)
{
  (void)req;
  said = eio_shutdown (EIO_SHUTDOWN_DRAIN, 10) ? errno : 0;
}

/* It would wait for the request that it is in. */
START_TEST (custom_function_on_the_poll_thread_cannot_shut_down)
{
  fail_after (0);
  eio_custom (shut_down, 0, count, 0);
  while (eio_nreqs ())
    eio_poll ();
  ck_assert_int_eq (said, EDEADLK);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 10), 0);
}
END_TEST

START_TEST (resubmission_works_without_threads)
{
  fail_after (0);
  submit (0)->finish = resubmit;
  host_drain ();
  ck_assert_int_eq (executed_here, 100);
  ck_assert_int_eq (destroyed, 1);
}
END_TEST

static sigset_t mask_there;

static void
examine_mask (eio_req *req)
{
  pthread_sigmask (SIG_SETMASK, 0, &mask_there);
  execute (req);
}

/* Those that the request's own instructions cause: blocked, they would kill,
 * whatever handler the host has. */
START_TEST (poll_thread_leaves_synchronous_signals_open)
{
  static const int open[] = { SIGSEGV, SIGBUS, SIGFPE,
                              SIGILL,  SIGTRAP, SIGSYS };
  sigset_t expected, before, after;

  sigfillset (&expected); /* but not all are, and QEMU has fewer */
  pthread_sigmask (SIG_SETMASK, &expected, &before);
  pthread_sigmask (SIG_SETMASK, &before, &expected);
  for (int i = 0; i < LENGTH (open); ++i)
    sigdelset (&expected, open[i]);
  fail_after (0);
  submit (0)->feed = examine_mask;
  host_drain ();
  ck_assert_int_eq (executed_here, 1);
  pthread_sigmask (SIG_SETMASK, 0, &after);
  for (int sig = 1; sig <= SIGRTMAX; ++sig)
    {
      ck_assert_msg (sigismember (&mask_there, sig)
                       == sigismember (&expected, sig),
                     "signal %d", sig);
      ck_assert_int_eq (sigismember (&after, sig),
                        sigismember (&before, sig));
    }
}
END_TEST

/* In eio_poll. */
static void
write_to_nobody (void)
{
  outcome o = { 0 };
  int fds[2];

  fail_after (0);
  ck_assert_int_eq (pipe (fds), 0);
  close (fds[0]);
  eio_write (fds[1], "x", 1, -1, 0, note, &o);
  host_drain ();
  assert_fails (o, EPIPE);
  close (fds[1]);
}

/* The signal would kill: workers block it. */
START_TEST (broken_pipe_is_an_error_without_threads)
{
  sigset_t pending, blocked;
  write_to_nobody ();
  sigpending (&pending);
  ck_assert_int_eq (sigismember (&pending, SIGPIPE), 0);
  pthread_sigmask (SIG_SETMASK, 0, &blocked);
  ck_assert_int_eq (sigismember (&blocked, SIGPIPE), 0);
}
END_TEST

/* Sent to the thread, where it is one with that of the write, or to all. */
START_TEST (pending_sigpipe_of_the_host_stays)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &set, 0);
  if (_i)
    kill (getpid (), SIGPIPE);
  else
    pthread_kill (main_thread, SIGPIPE);
  sigpending (&set);
  ck_assert_int_eq (sigismember (&set, SIGPIPE), 1);

  write_to_nobody ();
  sigpending (&set);
  ck_assert_int_eq (sigismember (&set, SIGPIPE), 1);
  pthread_sigmask (SIG_SETMASK, 0, &set);
  ck_assert_int_eq (sigismember (&set, SIGPIPE), 1);
}
END_TEST

/* Real operations, not only custom functions. */
START_TEST (files_are_read_without_threads)
{
  const char *path = scratch_path ("file");
  outcome opened = { 0 }, read = { 0 }, closed = { 0 };
  char bytes[16] = "";
  write_file (path, "hello", 5);
  fail_after (0);
  eio_open (path, O_RDONLY, 0, 0, note, &opened);
  host_drain ();
  ck_assert_int_ge (opened.result, 0);
  eio_read ((int)opened.result, bytes, sizeof bytes, 0, 0, note, &read);
  host_drain ();
  assert_ok (read, 5);
  ck_assert_str_eq (bytes, "hello");
  eio_close ((int)opened.result, 0, note, &closed);
  host_drain ();
  assert_ok (closed, 0);
}
END_TEST

/*****************************************************************************
 * Threads after a while                                                     *
 *****************************************************************************/

START_TEST (later_poll_starts_a_worker)
{
  fail_after (0);
  submit_several (3);
  eio_poll ();
  ck_assert_int_eq (executed_here, 1);
  fail_no_more ();
  host_drain ();
  ck_assert_int_eq (executed, 3);
  ck_assert_int_eq (executed_here, 1);
  ck_assert_int_ge (created, 1);
  ck_assert_uint_eq (eio_nthreads (), created);
  expect_recovered ();
}
END_TEST

START_TEST (later_submission_starts_a_worker)
{
  fail_after (0);
  submit_several (3);
  fail_no_more ();
  submit_several (1);
  wait_until (executed == 4);
  ck_assert_int_eq (executed_here, 0);
  host_drain ();
  ck_assert_int_eq (finished, 4);
  expect_recovered ();
}
END_TEST

static void
await_its_end (void)
{
  wait_until (!eio_nthreads ());
}

/* Before who started it looks whether there is one now. */
START_TEST (worker_that_leaves_at_once_leaves_no_lack)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  fail_after (0);
  submit_several (1);
  fail_no_more ();
  after_start = await_its_end;
  host_drain ();
  ck_assert_ptr_null (after_start);
  ck_assert_int_eq (executed, 1);
  ck_assert_int_eq (executed_here, 0);
  ck_assert_int_eq (finished, 1);
  ck_assert_int_eq (EIO_POOL->stalled, 0);
}
END_TEST

START_TEST (raised_limit_starts_a_worker)
{
  fail_after (0);
  submit_several (3);
  fail_no_more ();
  eio_set_min_parallel (8);
  wait_until (executed == 3);
  ck_assert_int_eq (executed_here, 0);
  host_drain ();
  ck_assert_int_eq (finished, 3);
}
END_TEST

static void
wait_in_hook (void *userdata)
{
  (void)userdata;
  take (&let_go);
}

/* It starts others itself, when it looks: nobody else does. */
START_TEST (one_worker_on_its_way_is_enough_for_who_submits)
{
  eio_set_thread_hooks (wait_in_hook, 0, 0);
  submit_several (3);
  ck_assert_uint_eq (eio_nthreads (), 1);
  ck_assert_int_eq (attempts, 1);
  let_all_go (3);
  ck_assert_int_eq (finished, 3);
}
END_TEST

/* What there is, a worker has, or looks for. */
START_TEST (nobody_is_woken_for_nothing)
{
  etp_action action;

  submit_several (1);
  host_drain ();
  wait_until (count_idle () == 1);
  X_LOCK (EIO_POOL->reqlock);
  action = etp_summon_locked (EIO_POOL, UINT_MAX);
  X_UNLOCK (EIO_POOL->reqlock);
  ck_assert_ptr_null (action.wake);
  ck_assert_int_eq (action.start, 0);
}
END_TEST

/* Else polls would end with EAGAIN, and the signal stay up, for ever. */
START_TEST (poll_has_nothing_to_do_once_there_is_a_worker)
{
  eio_set_max_parallel (1);
  fail_after (0);
  submit_staying (2);
  ck_assert_int_eq (host_wait (0), 1);
  fail_no_more ();
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (host_wait (0), 0);
  let_all_go (2);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (host_wait (0), 0);
}
END_TEST

/* The only worker parks, and then does not take what trusts in the start. */
static void
submit_to_the_start (void)
{
  give (&let_go, 1);
  wait_until (executed == 2 && count_idle () == 1);
  submit (0);
}

START_TEST (parked_worker_is_woken_when_a_start_fails)
{
  submit (0);
  host_drain ();
  submit_staying (1);
  await_arrivals (1);
  fail_after (0);
  before_failure = submit_to_the_start;
  submit (0);
  wait_until (executed == 3);
  host_drain ();
  ck_assert_int_eq (finished, 4);
}
END_TEST

static void
start_one (void)
{
  fail_no_more ();
  submit (0);
}

static void
start_one_next (void)
{
  before_queue = start_one;
}

static void
start_one_after_the_next (void)
{
  before_queue = start_one_next;
}

/* Another thread starts one when eio_poll has failed to, and is about to take
 * a request itself. */
START_TEST (poll_leaves_requests_to_a_worker_that_came_meanwhile)
{
  fail_after (0);
  submit (0);
  before_failure = start_one_after_the_next;
  eio_poll ();
  ck_assert (!before_queue);
  host_drain ();
  ck_assert_int_eq (executed, 2);
  ck_assert_int_eq (executed_here, 0);
}
END_TEST

START_TEST (later_poll_starts_one_more_worker)
{
  fail_after (1);
  submit_staying (1);
  await_arrivals (1);
  submit (0);
  ck_assert_int_eq (attempts, 2);
  fail_no_more ();
  ck_assert_int_eq (eio_poll (), 0);
  wait_until (executed == 1);
  ck_assert_int_eq (executed_here, 0);
  let_all_go (1);
  ck_assert_int_eq (finished, 2);
}
END_TEST

/* Each failure gives back what it reserved. */
START_TEST (failures_use_up_no_part_of_the_limit)
{
  fail_after (0);
  submit_several (100);
  for (int i = 0; i < 50; ++i)
    eio_poll ();
  ck_assert_int_ge (attempts, 5);
  ck_assert_uint_eq (eio_nthreads (), 0);
  fail_no_more ();
  host_drain ();
  expect_recovered ();
  ck_assert_int_le (created, 4);
}
END_TEST

/* Requests wait for the worker that exists: nobody else executes them. */
START_TEST (requests_wait_for_the_only_worker)
{
  int wants;
  fail_after (1);
  submit_staying (1);
  await_arrivals (1);
  submit_several (3);
  expect_counters (4, 3, 0, 1);
  wants = host_wants ();
  for (int i = 0; i < 5; ++i)
    ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (executed, 0);
  ck_assert_int_eq (host_wants (), wants);
  ck_assert_int_eq (host_wait (0), 0);
  let_all_go (1);
  ck_assert_int_eq (executed, 3);
  ck_assert_int_eq (executed_here, 0);
  ck_assert_int_eq (finished, 4);
  expect_counters (0, 0, 0, 1);
  expect_recovered ();
}
END_TEST

/* The last worker leaves, and then none can be had. */
START_TEST (poll_executes_after_the_last_worker_has_left)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  submit_several (1);
  host_drain ();
  wait_until (eio_nthreads () == 0);
  fail_after (0);
  submit_several (3);
  host_drain ();
  ck_assert_int_eq (executed_here, 3);
  ck_assert_int_eq (finished, 4);
}
END_TEST

/* A worker that leaves while no other can be had: somebody executes it. */
START_TEST (nothing_is_lost_while_workers_leave_and_starts_fail)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  for (int i = 1; i <= 4000; ++i)
    {
      fail_after (i % 2);
      submit_several (1);
      if (i % 3 == 0)
        submit_several (2);
      host_drain ();
    }
  ck_assert_int_eq (finished, 4000 + 1333 * 2);
  ck_assert_int_eq (executed, finished);
  fail_no_more ();
  wait_until (eio_nthreads () == 0);
}
END_TEST

/* As above, but with a host that only waits, and submissions from others. */
static void *
submit_many (void *arg)
{
  for (int i = 0; i < 300; ++i)
    {
      fail_after (i % 3 ? 0 : 1);
      submit_several (1);
      sched_yield ();
    }
  return arg;
}

START_TEST (nothing_is_lost_while_starts_fail_in_several_threads)
{
  pthread_t threads[3];
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  for (int i = 0; i < 3; ++i)
    pthread_create (&threads[i], 0, submit_many, 0);
  while (finished < 900)
    host_poll ();
  for (int i = 0; i < 3; ++i)
    pthread_join (threads[i], 0);
  ck_assert_int_eq (executed, 900);
  expect_recovered ();
}
END_TEST

/*****************************************************************************
 * Signals that come late                                                    *
 *****************************************************************************/

static jmp_buf out;

static void
wait_for_the_test (void)
{
  take (&let_go);
}

static int
jump_out (eio_req *req)
{
  (void)req;
  longjmp (out, 1);
}

/* The worker has published, and not signalled yet: but the callback, which may
 * never return, is announced. There is one worker only, which takes them in
 * turn. */
START_TEST (poll_that_is_faster_than_the_signal_announces_itself)
{
  eio_set_parallel (1);
  before_signal_there = wait_for_the_test;
  eio_nop (0, jump_out, 0);
  eio_nop (0, count, 0);
  wait_until (eio_npending () == 1);
  ck_assert_int_eq (host_wants (), 0);
  if (!setjmp (out))
    {
      eio_poll ();
      ck_abort_msg ("the callback returned");
    }
  ck_assert_int_eq (host_wants (), 1);
  ck_assert_int_eq (host_wait (0), 1);
  give (&let_go, 1);
  host_drain ();
  ck_assert_int_eq (finishes, 1);
}
END_TEST

static void
submit_and_await (void)
{
  eio_nop (0, count, 0);
  wait_until (eio_npending () == 1);
}

/* As it ends, before it makes the signal say whether there is more. */
START_TEST (poll_handles_what_comes_at_the_last_moment)
{
  eio_nop (0, count, 0);
  ck_assert_int_eq (host_wait (-1), 1);
  before_signal_here = submit_and_await;
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 2);
  ck_assert_int_eq (host_wait (0), 0);
}
END_TEST

/* The default pool's life ends when those who submit to another pool have seen
 * whose workers it shares, but not locked that yet. */
START_TEST (workers_that_are_replaced_get_no_requests)
{
  eio_pool *sharer = eio_pool_new_shared (0, 0, 0, 0);

  ck_assert_ptr_nonnull (sharer);
  eio_pool_use (sharer);
  before_queue = host_start;
  eio_nop (0, count, 0);
  wait_until (eio_npending () == 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 1);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (sharer), 0);
}
END_TEST

/* A worker has looked whether its life is over just before that is. The
 * descriptor is the next life's. */
START_TEST (nobody_is_told_of_what_an_earlier_life_did)
{
  etp_pool *old = eio__default_pool;
  struct pollfd fd = { eio_poll_fd (), POLLIN, 0 };

  before_result = wait_for_the_test;
  eio_nop (0, count, 0);
  wait_until (!before_result);
  host_start ();
  give (&let_go, 1);
  wait_until (!etp_has_threads (old));
  ck_assert_int_eq (host_wants (), 0);
  ck_assert_int_eq (finishes, 0);
  ck_assert_int_eq (eio_poll_fd (), fd.fd);
  ck_assert_int_eq (poll (&fd, 1, 0), 0);
}
END_TEST

/*****************************************************************************
 * Settings                                                                  *
 *****************************************************************************/

START_TEST (poll_may_fail_instead_of_executing)
{
  eio_set_nothreads (EIO_NOTHREADS_FAIL);
  fail_after (0);
  submit_several (3);
  for (int i = 0; i < 3; ++i)
    {
      errno = 0;
      ck_assert_int_eq (host_wait (0), 0); /* or the host would spin */
      ck_assert_int_eq (eio_poll (), -1);
      ck_assert_int_eq (errno, EAGAIN);
    }
  etp_maybe_start_thread (EIO_POOL);
  ck_assert_int_eq (eio_poll_wait (0.02), 0);
  eio_set_max_outstanding (1);
  ck_assert_int_eq (eio_poll (), -1);
  ck_assert_int_eq (executed, 0);

  fail_no_more ();
  ck_assert_int_gt (eio_poll_wait (-1), 0);
  host_drain ();
  ck_assert_int_eq (executed_here, 0);
  ck_assert_int_eq (finished, 3);
}
END_TEST

/* Not even eio_poll may execute, but eio_shutdown does. */
START_TEST (shutdown_needs_no_thread)
{
  eio_set_nothreads (_i);
  fail_after (0);
  submit_several (3);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  ck_assert_int_eq (executed_here, 3);
  ck_assert_int_eq (finished, 3);
  host_start ();
  submit_several (3);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, -1), 0);
  ck_assert_int_eq (executed_here, 3);
  ck_assert_int_eq (finished, 3);
  fail_no_more ();
}
END_TEST

START_TEST (waiting_executes_where_there_is_no_thread)
{
  fail_after (0);
  submit_several (3);
  ck_assert_int_eq (eio_poll_wait (-1), 1);
  ck_assert_int_eq (executed_here, 1);
  ck_assert_int_eq (finished, 0);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (executed_here, 3);
  ck_assert_int_eq (finished, 3);
}
END_TEST

START_TEST (nothing_executes_while_the_limit_is_0)
{
  eio_set_max_parallel (0);
  fail_after (0);
  submit_several (3);
  ck_assert_int_eq (host_wait (0), 0);
  for (int i = 0; i < 3; ++i)
    ck_assert_int_eq (eio_poll (), 0);
  etp_maybe_start_thread (EIO_POOL);
  ck_assert_int_eq (executed, 0);
  ck_assert_int_eq (host_wants (), 0);
  expect_counters (3, 3, 0, 0);

  eio_set_min_parallel (1);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (executed, 0);
  host_drain ();
  ck_assert_int_eq (executed_here, 3);
}
END_TEST

START_TEST (lowering_the_limit_to_0_ends_execution_by_poll)
{
  fail_after (0);
  submit_several (4);
  ck_assert_int_eq (eio_poll (), -1);
  eio_set_max_parallel (0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (executed, 1);
  ck_assert_int_eq (host_wait (0), 0);
  expect_counters (3, 3, 0, 0);
  fail_no_more ();
  eio_set_min_parallel (2);
  host_drain ();
  ck_assert_int_eq (executed_here, 1);
  ck_assert_int_eq (finished, 4);
}
END_TEST

START_TEST (settings_do_not_block_without_threads)
{
  fail_after (0);
  submit_several (2);
  eio_set_max_parallel (1);
  eio_set_min_parallel (3);
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  eio_set_max_parallel (0);
  eio_set_min_parallel (3);
  expect_counters (2, 2, 0, 0);
  host_drain ();
  ck_assert_int_eq (finished, 2);
  fail_no_more ();
}
END_TEST

/* How many threads wait for workers to leave. */
static unsigned int
count_waiting (void)
{
  unsigned int n;

  X_LOCK (eio__default_pool->reqlock);
  n = eio__default_pool->nwaiting;
  X_UNLOCK (eio__default_pool->reqlock);
  return n;
}

static void
wait_for_a_waiter (void)
{
  wait_until (count_waiting () == 1);
}

/* A start that was under way counts as a worker until it has failed. */
START_TEST (waiting_for_workers_ends_when_a_start_fails)
{
  pthread_t thread;

  fail_after (0);
  before_failure = wait_for_a_waiter;
  pthread_create (&thread, 0, submit_elsewhere, 0);
  wait_until (attempts == 1);
  eio_set_max_parallel (0);
  pthread_join (thread, 0);
  fail_no_more ();
  eio_set_min_parallel (1);
  host_drain ();
  ck_assert_int_eq (finished, 1);
}
END_TEST

/*****************************************************************************
 * What embedders do                                                         *
 *****************************************************************************/

static int
results (void)
{
  int n;
  X_LOCK (EIO_POOL->reslock);
  n = (int)EIO_POOL->res_queue.size;
  X_UNLOCK (EIO_POOL->reslock);
  return n;
}

START_TEST (maybe_start_thread_executes_one_request)
{
  fail_after (0);
  submit_several (3);
  for (int i = 1; i <= 3; ++i)
    {
      etp_maybe_start_thread (EIO_POOL);
      ck_assert_int_eq (executed_here, i);
      ck_assert_int_eq (finished, 0);
      ck_assert_int_eq (results (), i);
      expect_counters (3, 3 - i, i, 0);
    }
  etp_maybe_start_thread (EIO_POOL);
  ck_assert_int_eq (results (), 3);
  host_drain ();
  ck_assert_int_eq (finished, 3);
  ck_assert_int_eq (results (), 0);
}
END_TEST

/* As programs wait that must not sleep on a descriptor for ever. */
START_TEST (waiting_for_results_ends_without_threads)
{
  fail_after (0);
  submit_several (20);
  while (eio_nreqs ())
    {
      while (!results ())
        {
          etp_maybe_start_thread (EIO_POOL);
          host_wait (-1);
        }
      eio_poll ();
    }
  ck_assert_int_eq (finished, 20);
  ck_assert_int_eq (executed_here, 20);
}
END_TEST

START_TEST (maybe_start_thread_starts_one_when_it_can)
{
  fail_after (0);
  submit_several (3);
  fail_no_more ();
  etp_maybe_start_thread (EIO_POOL);
  wait_until (results () == 3);
  ck_assert_int_eq (executed_here, 0);
  host_drain ();
  ck_assert_int_eq (finished, 3);
}
END_TEST

START_TEST (maybe_start_thread_leaves_requests_to_existing_workers)
{
  fail_after (1);
  submit_staying (1);
  await_arrivals (1);
  submit_several (2);
  for (int i = 0; i < 5; ++i)
    etp_maybe_start_thread (EIO_POOL);
  ck_assert_int_eq (executed, 0);
  let_all_go (1);
  ck_assert_int_eq (executed_here, 0);
  ck_assert_int_eq (executed, 2);
}
END_TEST

static int left;

static int
count_down (eio_req *req)
{
  (void)req;
  ck_assert_int_eq (results (), --left);
  ck_assert_uint_eq (eio_npending (), (unsigned)left);
  return 0;
}

START_TEST (res_queue_size_is_exact_in_callbacks)
{
  enum { N = 20 };
  int i;

  for (i = 0; i < N; ++i)
    eio_nop (i % 9 - 4, count_down, 0);
  wait_until (eio_npending () == N);
  left = N;
  eio_set_max_poll_reqs (7);
  while (left)
    {
      eio_poll ();
      ck_assert_int_eq (results (), left);
    }
}
END_TEST

START_TEST (res_queue_size_is_exact)
{
  ck_assert_int_eq (results (), 0);
  submit_several (8);
  wait_until (eio_npending () == 8);
  ck_assert_int_eq (results (), 8);
  eio_set_max_poll_reqs (3);
  for (int left = 8; left;)
    {
      left = left > 3 ? left - 3 : 0;
      eio_poll ();
      ck_assert_int_eq (results (), left);
    }
}
END_TEST

/*****************************************************************************
 * Threads that have left, and are there                                     *
 *****************************************************************************/

static pthread_key_t at_exit;
static sem_t may_exit;

static void
stay_at_exit (void *key)
{
  (void)key;
  take (&may_exit);
}

static void
stay_later (eio_req *req)
{
  execute (req);
  ck_assert_int_eq (pthread_setspecific (at_exit, &at_exit), 0);
}

static int
count_structs (void)
{
  etp_worker *w;
  int n = 0;

  X_LOCK (eio__default_pool->reqlock);
  for (w = eio__default_pool->made; w; w = w->made_before)
    ++n;
  X_UNLOCK (eio__default_pool->reqlock);
  return n;
}

/* Runs one request on a new worker, and returns that, which has left. */
static etp_worker *
run_and_leave (void (*feed) (eio_req *))
{
  etp_worker *w;

  eio_custom (feed, 0, count_executed, 0);
  host_drain ();
  wait_until (eio_nthreads () == 0);
  X_LOCK (eio__default_pool->reqlock);
  w = eio__default_pool->gone;
  X_UNLOCK (eio__default_pool->reqlock);
  return w;
}

/* A host's destructor of thread-specific data holds a worker up that has left:
 * its struct is nobody else's as long as the thread is there. */
START_TEST (struct_is_the_threads_to_its_end)
{
  etp_worker *first, *second;

  ck_assert_int_eq (pthread_key_create (&at_exit, stay_at_exit), 0);
  sem_init (&may_exit, 0, 0);
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  first = run_and_leave (stay_later);
  second = run_and_leave (execute);
  ck_assert_ptr_ne (second, first);
  ck_assert_int_eq (count_structs (), 2);
  ck_assert (eio_sys_has_thread (first->id));

  give (&may_exit, 1);
  wait_until (!eio_sys_has_thread (first->id));
  wait_until (!eio_sys_has_thread (second->id));
  run_and_leave (execute);
  ck_assert_int_eq (count_structs (), 2);
}
END_TEST

/*****************************************************************************
 * Stacks                                                                    *
 *****************************************************************************/

static size_t
first_size (void)
{
  return eio_sys_stack_size (EIO_STACKSIZE);
}

static size_t
second_size (void)
{
  return eio_sys_stack_size (2 * (size_t)EIO_STACKSIZE);
}

/* Four workers; the first needed that many attempts, each other one. */
static void
expect_attempts (int first)
{
  for (int i = 0; i < 4; ++i)
    {
      submit_staying (1);
      await_arrivals (1);
      ck_assert_int_eq (attempts, first + i);
    }
  ck_assert_uint_eq (eio_nthreads (), 4);
  let_all_go (4);
  ck_assert_uint_eq (sizes_asked[0], first_size ());
  for (int i = first; i < first + 3; ++i)
    ck_assert_uint_eq (sizes_asked[i], sizes_asked[first - 1]);
}

START_TEST (usual_stack_is_asked_for_once)
{
  expect_attempts (1);
}
END_TEST

START_TEST (twice_the_stack_is_tried_and_remembered)
{
  least_stack = first_size () + 1;
  expect_attempts (2);
  ck_assert_uint_eq (sizes_asked[1], second_size ());
}
END_TEST

START_TEST (default_stack_is_tried_and_remembered)
{
  least_stack = second_size () + 1;
  if (default_stack_size () < least_stack)
    return; /* musl's is less than what is tried before */
  expect_attempts (3);
  ck_assert_uint_eq (sizes_asked[1], second_size ());
  ck_assert_uint_eq (sizes_asked[2], default_stack_size ());
}
END_TEST

/* Of the first worker of a life. */
static void
expect_second_size (void)
{
  attempts = finishes = 0;
  eio_nop (0, count, 0);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (attempts, 1);
  ck_assert_uint_eq (sizes_asked[0], second_size ());
}

START_TEST (refused_stack_is_remembered_in_other_lives)
{
  ck_assert_int_eq (eio_init (0, 0), 0); /* the host's pipe is shared */
  least_stack = first_size () + 1;
  eio_nop (0, count, 0);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (attempts, 2);
  in_another_life (_i, expect_second_size);
}
END_TEST

START_TEST (refusal_of_every_stack_is_no_thread_at_all)
{
  least_stack = SIZE_MAX;
  submit_several (3);
  ck_assert_int_eq (host_wait (0), 1);
  host_drain ();
  ck_assert_int_eq (executed_here, 3);
  least_stack = 0;
  expect_recovered ();
}
END_TEST

/* What another error says is no matter of the stack. */
START_TEST (lack_of_threads_is_not_taken_for_lack_of_stack)
{
  fail_after (0);
  submit_several (1);
  host_drain ();
  fail_no_more ();
  attempts = 0;
  submit_staying (1);
  await_arrivals (1);
  ck_assert_uint_eq (sizes_asked[0], first_size ());
  let_all_go (1);
}
END_TEST

/* Whatever size is configured, the system's least is asked for at least. */
START_TEST (stack_is_never_smaller_than_the_system_allows)
{
  pthread_t thread;
  fail_after (0);
  ck_assert_int_eq (xthread_start (&thread, eio__worker_proc, 0, 1), EAGAIN);
  ck_assert_int_eq (attempts, 1);
  ck_assert_uint_ge (sizes_asked[0], (size_t)PTHREAD_STACK_MIN);
  ck_assert_uint_lt (sizes_asked[0], default_stack_size ());
}
END_TEST

/* The stack of each thread holds this, too. */
static __thread char tls[65536];

/* Goes down that far, and says how much that was. */
static ssize_t ecb_noinline
descend (size_t depth)
{
  char page[2048];
  ssize_t res;

  memset (page, 1, sizeof page);
  res = depth < sizeof page ? 0 : descend (depth - sizeof page);
  return res + (ssize_t)sizeof page * page[depth % sizeof page];
}

static size_t depth;

static void
use_stack (eio_req *req)
{
  memset (tls, 1, sizeof tls);
  req->result = descend (depth);
}

/* What static TLS takes of a stack is not the worker's part of it: with any
 * size that is asked for, nearly all of it can be used. */
START_TEST (static_tls_is_beside_the_stack)
{
  enum { STEP = 4096, SPARE = 16384 }; /* guard, libc, our own frames */
  size_t size = (size_t)(_i + 1) * STEP;
  outcome o = { 0 };

  depth = size < SPARE || HAVE_SANITIZER ? 0 : size - SPARE;
  eio_set_stack_size (size);
  eio_custom (use_stack, 0, note, &o);
  host_drain ();
  ck_assert_int_eq (o.calls, 1);
  ck_assert_int_ge (o.result, (ssize_t)depth);
  ck_assert_int_eq (created, 1);
}
END_TEST

/*****************************************************************************
 * Clocks                                                                    *
 *****************************************************************************/

/* Steps of the wall clock must not matter; nor may a wait return at once, as
 * it would if the condition itself went by another clock. */
START_TEST (idle_workers_wait_by_the_monotonic_clock)
{
  double begin;
  eio_set_max_idle (0);
  eio_set_idle_timeout (1);
  submit_staying (4);
  await_arrivals (4);
  begin = now ();
  let_all_go (4);
  wait_until (eio_nthreads () == 0);
  ck_assert_double_ge (now () - begin, 1);
  ck_assert_int_ge (timed_waits, 1);
  ck_assert_int_le (timed_waits, 100);
  ck_assert_int_eq (strange_waits, 0);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_no_thread (Suite *suite)
{
  TCase *tc = add_case (suite, "no_thread", 60, prepare, 0);
  tcase_add_loop_test (tc, poll_executes_one_request_a_call, 0,
                       LENGTH (errors));
  tcase_add_test (tc, submission_alone_executes_nothing);
  tcase_add_test (tc, poll_executes_by_priority);
  tcase_add_test (tc, submission_from_another_thread_is_signalled);
  tcase_add_test (tc, limits_and_values_hold_without_threads);
  tcase_add_test (tc, early_return_leaves_the_signal_for_what_is_queued);
  tcase_add_test (tc, nested_poll_executes_too);
  tcase_add_test (tc, groups_finish_without_threads);
  tcase_add_test (tc, feeders_are_fed_without_threads);
  tcase_add_test (tc, cancelled_requests_do_not_execute_without_threads);
  tcase_add_test (tc, custom_function_on_the_poll_thread_may_submit);
  tcase_add_test (tc, custom_function_on_the_poll_thread_may_lower_the_limit);
  tcase_add_test (tc, custom_function_on_the_poll_thread_cannot_shut_down);
  tcase_add_test (tc, resubmission_works_without_threads);
  tcase_add_test (tc, files_are_read_without_threads);
  tcase_add_test (tc, poll_thread_leaves_synchronous_signals_open);
  tcase_add_test (tc, broken_pipe_is_an_error_without_threads);
  tcase_add_loop_test (tc, pending_sigpipe_of_the_host_stays, 0, 2);
}

static void
add_later (Suite *suite)
{
  TCase *tc = add_case (suite, "later", 60, prepare, 0);
  tcase_add_test (tc, later_poll_starts_a_worker);
  tcase_add_test (tc, later_submission_starts_a_worker);
  tcase_add_test (tc, worker_that_leaves_at_once_leaves_no_lack);
  tcase_add_test (tc, raised_limit_starts_a_worker);
  tcase_add_test (tc, one_worker_on_its_way_is_enough_for_who_submits);
  tcase_add_test (tc, nobody_is_woken_for_nothing);
  tcase_add_test (tc, poll_has_nothing_to_do_once_there_is_a_worker);
  tcase_add_test (tc, parked_worker_is_woken_when_a_start_fails);
  tcase_add_test (tc, poll_leaves_requests_to_a_worker_that_came_meanwhile);
  tcase_add_test (tc, later_poll_starts_one_more_worker);
  tcase_add_test (tc, failures_use_up_no_part_of_the_limit);
  tcase_add_test (tc, requests_wait_for_the_only_worker);
  tcase_add_test (tc, poll_executes_after_the_last_worker_has_left);
  tcase_add_test (tc, nothing_is_lost_while_workers_leave_and_starts_fail);
  tcase_add_test (tc, nothing_is_lost_while_starts_fail_in_several_threads);
}

static void
add_signals (Suite *suite)
{
  TCase *tc = add_case (suite, "signals", 60, prepare, 0);
  tcase_add_test (tc, poll_that_is_faster_than_the_signal_announces_itself);
  tcase_add_test (tc, poll_handles_what_comes_at_the_last_moment);
  tcase_add_test (tc, workers_that_are_replaced_get_no_requests);
  tcase_add_test (tc, nobody_is_told_of_what_an_earlier_life_did);
}

static void
add_settings (Suite *suite)
{
  TCase *tc = add_case (suite, "settings", 60, prepare, 0);
  tcase_add_test (tc, poll_may_fail_instead_of_executing);
  tcase_add_loop_test (tc, shutdown_needs_no_thread, 0, 2);
  tcase_add_test (tc, waiting_executes_where_there_is_no_thread);
  tcase_add_test (tc, nothing_executes_while_the_limit_is_0);
  tcase_add_test (tc, lowering_the_limit_to_0_ends_execution_by_poll);
  tcase_add_test (tc, settings_do_not_block_without_threads);
  tcase_add_test (tc, waiting_for_workers_ends_when_a_start_fails);
}

static void
add_embedder (Suite *suite)
{
  TCase *tc = add_case (suite, "embedder", 60, prepare, 0);
  tcase_add_test (tc, maybe_start_thread_executes_one_request);
  tcase_add_test (tc, waiting_for_results_ends_without_threads);
  tcase_add_test (tc, maybe_start_thread_starts_one_when_it_can);
  tcase_add_test (tc, maybe_start_thread_leaves_requests_to_existing_workers);
  tcase_add_test (tc, res_queue_size_is_exact);
  tcase_add_test (tc, res_queue_size_is_exact_in_callbacks);
}

static void
add_leaving (Suite *suite)
{
  TCase *tc = add_case (suite, "leaving", 60, prepare, 0);
  tcase_add_test (tc, struct_is_the_threads_to_its_end);
}

static void
add_stacks (Suite *suite)
{
  TCase *tc = add_case (suite, "stacks", 60, prepare, 0);
  tcase_add_test (tc, usual_stack_is_asked_for_once);
  tcase_add_test (tc, twice_the_stack_is_tried_and_remembered);
  tcase_add_test (tc, default_stack_is_tried_and_remembered);
  tcase_add_loop_test (tc, refused_stack_is_remembered_in_other_lives, 1,
                       OTHER_LIVES);
  tcase_add_test (tc, refusal_of_every_stack_is_no_thread_at_all);
  tcase_add_test (tc, lack_of_threads_is_not_taken_for_lack_of_stack);
  tcase_add_test (tc, stack_is_never_smaller_than_the_system_allows);
#if HAVE_DL_ITERATE_PHDR
  tcase_add_loop_test (tc, static_tls_is_beside_the_stack, 0, 40);
#else
  (void)static_tls_is_beside_the_stack;
#endif
}

static void
add_clocks (Suite *suite)
{
  TCase *tc = add_case (suite, "clocks", 60, prepare, 0);
  tcase_add_test (tc, idle_workers_wait_by_the_monotonic_clock);
}

int
main (void)
{
  Suite *suite = suite_create ("threads");
  add_no_thread (suite);
  add_later (suite);
  add_signals (suite);
  add_settings (suite);
  add_embedder (suite);
  add_leaving (suite);
  add_stacks (suite);
  add_clocks (suite);
  return run_suite (suite);
}
