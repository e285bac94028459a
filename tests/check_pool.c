/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The pool: counters, order, eio_poll and its limits, callbacks that do
 * unusual things, limits on workers, idling, what workers are like, and
 * eio_init. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1 /* pthread_getattr_np, gettid, cpu_set_t */
#endif

#include <float.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

/* How long wrongdoers get to show themselves, where nothing should happen. */
#define GRACE_MS 50

static int
arrivals (void)
{
  int n;
  sem_getvalue (&arrived, &n);
  return n;
}

/* Submits n requests that stay. */
static void
submit_staying (int n)
{
  while (n--)
    ck_assert_ptr_nonnull (eio_custom (stay, 0, 0, 0));
}

/* ... and waits until all of them execute. */
static void
occupy_workers (int n)
{
  submit_staying (n);
  await_arrivals (n);
}

static void
release_all (int n)
{
  give (&let_go, n);
  host_drain ();
}

/* Makes n workers, which then idle. */
static void
make_workers (int n)
{
  eio_set_min_parallel (n);
  occupy_workers (n);
  release_all (n);
}

static void
expect_counters (unsigned int nreqs, unsigned int nready,
                 unsigned int npending)
{
  ck_assert_uint_eq (eio_nreqs (), nreqs);
  ck_assert_uint_eq (eio_nready (), nready);
  ck_assert_uint_eq (eio_npending (), npending);
}

static int destroyed;

static void
count_destroy (eio_req *req)
{
  (void)req;
  ++destroyed;
}

/* Submits n nops, and waits until they are pending beside what was. */
static void
make_pending (int n, eio_cb cb, void *data)
{
  unsigned int goal = eio_npending () + n;
  while (n--)
    ck_assert_ptr_nonnull (eio_nop (0, cb, data));
  wait_until (eio_npending () == goal);
}

/* A raw request. */
static void
submit_raw (eio_req *req, int type, eio_cb finish,
            void (*destroy) (eio_req *))
{
  memset (req, 0, sizeof *req);
  req->type = type;
  req->finish = finish;
  req->destroy = destroy;
  eio_submit (req);
}

static void
submit_pending (eio_req *req, eio_cb finish)
{
  unsigned int goal = eio_npending () + 1;
  submit_raw (req, EIO_NOP, finish, count_destroy);
  wait_until (eio_npending () == goal);
}

static pthread_t
start_thread (void *(*proc) (void *), void *arg)
{
  pthread_t thread;
  ck_assert_int_eq (pthread_create (&thread, 0, proc, arg), 0);
  return thread;
}

/* The pool does its work, whatever went before. */
static void
expect_usable (void)
{
  outcome outcomes[100];
  memset (outcomes, 0, sizeof outcomes);
  for (int i = 0; i < LENGTH (outcomes); ++i)
    eio_nop (i % 9 - 4, note, &outcomes[i]);
  host_drain ();
  for (int i = 0; i < LENGTH (outcomes); ++i)
    assert_ok (outcomes[i], 0);
  expect_counters (0, 0, 0);
}

static void
start (void)
{
  prepare_stays ();
  host_start ();
}

/*****************************************************************************
 * Counters                                                                  *
 *****************************************************************************/

static int
check_left (eio_req *req)
{
  (void)req;
  ++finishes;
  expect_counters (0, 0, 0);
  return 0;
}

START_TEST (counters_follow_a_request_through_its_life)
{
  expect_counters (0, 0, 0);
  ck_assert_uint_eq (eio_nthreads (), 0);

  eio_set_max_parallel (0);
  eio_custom (stay, 0, check_left, 0);
  expect_counters (1, 1, 0);
  ck_assert_uint_eq (eio_nthreads (), 0);

  eio_set_min_parallel (1);
  await_arrivals (1);
  expect_counters (1, 0, 0);
  ck_assert_uint_eq (eio_nthreads (), 1);

  sem_post (&let_go);
  wait_until (eio_npending () == 1);
  expect_counters (1, 0, 1);

  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (finishes, 1);
  expect_counters (0, 0, 0);
  ck_assert_uint_eq (eio_nthreads (), 1);
}
END_TEST

START_TEST (counters_add_up_over_many_requests)
{
  eio_set_max_parallel (2);
  occupy_workers (2);
  submit_staying (8);
  expect_counters (10, 8, 0);
  ck_assert_uint_eq (eio_nthreads (), 2);
  sem_post (&let_go);
  await_arrivals (1);
  wait_until (eio_npending () == 1);
  expect_counters (10, 7, 1);
  release_all (9);
  expect_counters (0, 0, 0);
}
END_TEST

static int
check_rest (eio_req *req)
{
  int *left = req->data;
  --*left;
  expect_counters (*left, 0, *left);
  return 0;
}

START_TEST (request_is_not_counted_in_its_own_finish)
{
  int left = 5;
  make_pending (5, check_rest, &left);
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (left, 0);
}
END_TEST

START_TEST (group_counts_until_polled_then_its_members_do)
{
  eio_req *grp = eio_grp (check_left, 0);
  ck_assert_uint_eq (eio_nreqs (), 1);
  eio_grp_add (grp, eio_custom (stay, 0, 0, 0));
  eio_grp_add (grp, eio_custom (stay, 0, 0, 0));
  await_arrivals (2);
  ck_assert_uint_eq (eio_nreqs (), 3);
  ck_assert_int_eq (host_poll (), 0);
  expect_counters (2, 0, 0);
  ck_assert_int_eq (finishes, 0);
  release_all (2);
  ck_assert_int_eq (finishes, 1);
  expect_counters (0, 0, 0);
}
END_TEST

static atomic_int stop, strange, looks;

static void *
watch_counters (void *arg)
{
  for (; !stop; ++looks)
    {
      if (eio_nreqs () || eio_nready () || eio_npending ())
        strange = 1;
      if (eio_nthreads () > 8)
        strange = 2;
    }
  return arg;
}

static pthread_t
start_watching (void)
{
  pthread_t watcher;
  stop = 0;
  looks = 0;
  watcher = start_thread (watch_counters, 0);
  wait_until (looks);
  return watcher;
}

static void
stop_watching (pthread_t watcher)
{
  stop = 1;
  pthread_join (watcher, 0);
  ck_assert_int_eq (strange, 0);
}

/* Workers that are dismissed, and ones that idle for too long. */
START_TEST (housekeeping_never_shows_in_counters)
{
  pthread_t watcher;
  make_workers (8);
  watcher = start_watching ();
  eio_set_max_parallel (3);
  eio_set_max_parallel (0);
  stop_watching (watcher);

  make_workers (8);
  watcher = start_watching ();
  eio_set_idle_timeout (0);
  eio_set_max_idle (0);
  wait_until (eio_nthreads () == 0);
  stop_watching (watcher);
}
END_TEST

/*****************************************************************************
 * Order                                                                     *
 *****************************************************************************/

static int order[512], norder;

static void
record_execution (eio_req *req)
{
  order[norder++] = (int)(intptr_t)req->data;
  req->result = 0;
}

static int
record_finish (eio_req *req)
{
  order[norder++] = (int)(intptr_t)req->data;
  return 0;
}

static int
clamped (int pri)
{
  return pri < EIO_PRI_MIN ? EIO_PRI_MIN
         : pri > EIO_PRI_MAX ? EIO_PRI_MAX : pri;
}

/* The recorded order is by priority, then by number. */
static void
expect_order (const int *pris, int n)
{
  ck_assert_int_eq (norder, n);
  for (int i = 1; i < n; ++i)
    {
      int a = order[i - 1], b = order[i];
      int pa = clamped (pris[a]), pb = clamped (pris[b]);
      ck_assert_msg (pa > pb || (pa == pb && a < b),
                     "%d (priority %d) came before %d (priority %d)", a,
                     pris[a], b, pris[b]);
    }
}

/* Each out-of-range value stands beside the values that it might become. */
static const int priorities[] = {
  0,    -4,   4,    1000, 124,  127, 5,       3,       -3, -5, -128,
  -129, -124, 3,    4,    -4,   0,   INT_MAX, INT_MIN, 1,  -1, 2,
  -2,   200,  130,  128,  -130, 300, -300,    256,     -256, 4, -4,
  -1000, 0,   3,    -3,   4,    0,   -4,      252,     -252
};

START_TEST (execution_is_by_priority_then_fifo)
{
  eio_set_max_parallel (0);
  for (int i = 0; i < LENGTH (priorities); ++i)
    eio_custom (record_execution, priorities[i], 0, (void *)(intptr_t)i);
  eio_set_min_parallel (1);
  host_drain ();
  expect_order (priorities, LENGTH (priorities));
}
END_TEST

START_TEST (results_are_handed_over_by_priority_then_fifo)
{
  for (int i = 0; i < LENGTH (priorities); ++i)
    {
      eio_nop (priorities[i], record_finish, (void *)(intptr_t)i);
      wait_until (eio_npending () == (unsigned int)i + 1);
    }
  ck_assert_int_eq (host_poll (), 0);
  expect_order (priorities, LENGTH (priorities));
}
END_TEST

START_TEST (higher_result_that_arrives_between_polls_is_next)
{
  static const int four[] = { -1, -2, 1, 2 };
  static const int expected[] = { 0, 3, 2, 1 };
  eio_set_max_poll_reqs (1);
  for (int i = 0; i < 4; ++i)
    {
      if (i == 2)
        ck_assert_int_eq (host_poll (), -1);
      eio_nop (four[i], record_finish, (void *)(intptr_t)i);
      wait_until (eio_npending () == (i < 2 ? i + 1u : (unsigned int)i));
    }
  host_drain ();
  ck_assert_mem_eq (order, expected, sizeof expected);
}
END_TEST

static int pris[256];

static int
check_pri (eio_req *req)
{
  ck_assert_int_eq (req->pri, pris[(intptr_t)req->data]);
  return count (req);
}

/* Every value of the member, in an order that is none. */
START_TEST (finish_sees_the_priority_that_the_caller_set)
{
  static eio_req reqs[256];
  eio_set_max_parallel (0);
  for (int i = 0; i < 256; ++i)
    {
      eio_req *req = &reqs[i];
      pris[i] = i * 37 % 256 - 128;
      req->pri = pris[i];
      req->type = EIO_CUSTOM;
      req->feed = record_execution;
      req->finish = check_pri;
      req->data = (void *)(intptr_t)i;
      eio_submit (req);
    }
  eio_set_min_parallel (1);
  host_drain ();
  ck_assert_int_eq (finishes, 256);
  expect_order (pris, 256);
}
END_TEST

/*****************************************************************************
 * eio_poll                                                                  *
 *****************************************************************************/

START_TEST (poll_without_results_returns_0)
{
  ck_assert_int_eq (eio_poll (), 0);
  eio_set_max_parallel (0);
  eio_nop (0, count, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 0);
  ck_assert_int_eq (host_dones (), 0);
}
END_TEST

/* One poll after the other: each handles at most limit of the pending. */
START_TEST (max_poll_reqs_limits_each_poll)
{
  static const struct { int pending, limit; } rows[] = {
    { 1, 0 }, { 10, 0 }, { 10, 1 }, { 10, 3 }, { 9, 3 }, { 10, 10 },
    { 10, 9 }, { 10, 11 }, { 1, 1 }, { 10, INT_MAX }
  };
  for (int i = 0; i < LENGTH (rows); ++i)
    {
      int left = rows[i].pending;
      int step = rows[i].limit ? rows[i].limit : left;
      eio_set_max_poll_reqs (rows[i].limit);
      make_pending (left, count, 0);
      while (left)
        {
          int some = left < step ? left : step;
          finishes = 0;
          errno = 0;
          left -= some;
          ck_assert_int_eq (eio_poll (), left ? -1 : 0);
          if (left)
            ck_assert_int_eq (errno, EAGAIN);
          ck_assert_int_eq (finishes, some);
          expect_counters (left, 0, left);
        }
    }
}
END_TEST

START_TEST (largest_max_poll_reqs_is_no_hindrance)
{
  eio_set_max_poll_reqs (UINT_MAX);
  make_pending (10, count, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 10);
}
END_TEST

static int
count_slowly (eio_req *req)
{
  nap (1);
  return count (req);
}

static const struct { double seconds; int limits; } poll_times[] = {
  { 0, 0 }, { -0.0, 0 }, { -1, 0 }, { -1e-9, 0 }, { -DBL_MAX, 0 },
  { -INFINITY, 0 }, { NAN, 0 }, { -NAN, 0 }, { 1000, 0 }, { 1e18, 0 },
  { DBL_MAX, 0 }, { INFINITY, 0 }, { 0.0009, 1 }, { 0.0005, 1 },
  { 1e-6, 1 }, { 1e-9, 1 }, { 1e-12, 1 }, { DBL_MIN, 1 }, { 5e-324, 1 }
};

START_TEST (max_poll_time_stops_after_a_callback)
{
  int n = 4;
  eio_set_max_poll_time (poll_times[_i].seconds);
  make_pending (n, count_slowly, 0);
  if (poll_times[_i].limits)
    while (--n)
      {
        errno = 0;
        ck_assert_int_eq (eio_poll (), -1);
        ck_assert_int_eq (errno, EAGAIN);
        ck_assert_int_eq (finishes, 4 - n);
      }
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 4);
}
END_TEST

START_TEST (max_poll_time_lets_several_pass_when_there_is_time)
{
  eio_set_max_poll_time (30);
  make_pending (20, count_slowly, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 20);
}
END_TEST

static int
return_data (eio_req *req)
{
  ++finishes;
  return (int)(intptr_t)req->data;
}

START_TEST (value_of_a_callback_is_returned_at_once)
{
  static const int values[] = { 0, 42, 0, -7, -1, INT_MIN, INT_MAX };
  static const int polls[] = { 42, -7, -1, INT_MIN, INT_MAX };
  static const int handled[] = { 2, 4, 5, 6, 7 };
  eio_req reqs[LENGTH (values)];
  for (int i = 0; i < LENGTH (values); ++i)
    {
      submit_pending (&reqs[i], return_data);
      reqs[i].data = (void *)(intptr_t)values[i];
    }
  for (int i = 0; i < LENGTH (polls); ++i)
    {
      ck_assert_int_eq (eio_poll (), polls[i]);
      ck_assert_int_eq (finishes, handled[i]);
      ck_assert_int_eq (destroyed, handled[i]);
    }
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, LENGTH (values));
}
END_TEST

START_TEST (value_beats_the_limit_reached_with_it)
{
  eio_set_max_poll_reqs (1);
  make_pending (3, return_data, (void *)(intptr_t)5);
  for (int i = 0; i < 3; ++i)
    ck_assert_int_eq (eio_poll (), 5);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 3);
}
END_TEST

static int nested_result, nested_errno, nested_calls;

static int
poll_once (eio_req *req)
{
  int before = finishes++;
  errno = 0;
  nested_result = eio_poll ();
  nested_errno = errno;
  nested_calls = finishes - before - 1;
  return record_finish (req);
}

START_TEST (nested_poll_handles_what_is_pending)
{
  make_pending (1, poll_once, 0);
  make_pending (4, count, 0);
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (nested_result, 0);
  ck_assert_int_eq (nested_calls, 4);
  ck_assert_int_eq (finishes, 5);
  expect_counters (0, 0, 0);
}
END_TEST

START_TEST (nested_poll_keeps_the_limits)
{
  make_pending (1, poll_once, 0);
  make_pending (9, count, 0);
  eio_set_max_poll_reqs (2);
  ck_assert_int_eq (host_poll (), -1);
  ck_assert_int_eq (nested_result, -1);
  ck_assert_int_eq (nested_errno, EAGAIN);
  ck_assert_int_eq (nested_calls, 2);
  host_drain ();
  ck_assert_int_eq (finishes, 10);
}
END_TEST

START_TEST (value_in_a_nested_poll_is_the_nested_polls)
{
  make_pending (1, poll_once, 0);
  make_pending (1, return_data, (void *)(intptr_t)9);
  make_pending (1, count, 0);
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (nested_result, 9);
  ck_assert_int_eq (nested_calls, 1);
  ck_assert_int_eq (finishes, 3);
}
END_TEST

static int
record_and_nest (eio_req *req)
{
  order[norder++] = (int)(intptr_t)req->data;
  ck_assert_int_eq (eio_poll (), 0);
  ++finishes;
  return 0;
}

START_TEST (polls_nest_deeply_and_keep_the_order)
{
  for (int i = 0; i < 200; ++i)
    {
      pris[i] = i * 7 % 9 - 4;
      eio_nop (pris[i], record_and_nest, (void *)(intptr_t)i);
      wait_until (eio_npending () == (unsigned int)i + 1);
    }
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (finishes, 200);
  expect_order (pris, 200);
}
END_TEST

static int
submit_next (eio_req *req)
{
  intptr_t left = (intptr_t)req->data;
  ++finishes;
  if (left)
    eio_nop ((int)(left % 9) - 4, submit_next, (void *)(left - 1));
  return 0;
}

START_TEST (callback_may_submit)
{
  eio_nop (0, submit_next, (void *)(intptr_t)999);
  host_drain ();
  ck_assert_int_eq (finishes, 1000);
}
END_TEST

static void
submit_in_destroy (eio_req *req)
{
  (void)req;
  ++destroyed;
  eio_nop (0, count, 0);
}

START_TEST (destroy_may_submit)
{
  static eio_req reqs[100];
  for (int i = 0; i < 100; ++i)
    submit_raw (&reqs[i], EIO_NOP, 0, submit_in_destroy);
  host_drain ();
  ck_assert_int_eq (destroyed, 100);
  ck_assert_int_eq (finishes, 100);
}
END_TEST

static void
poll_in_destroy (eio_req *req)
{
  int before = destroyed++;
  (void)req;
  ck_assert_int_eq (eio_poll (), 0);
  if (!before)
    ck_assert_int_eq (destroyed, 10);
}

START_TEST (destroy_may_poll)
{
  static eio_req reqs[10];
  for (int i = 0; i < 10; ++i)
    submit_raw (&reqs[i], EIO_NOP, count, poll_in_destroy);
  wait_until (eio_npending () == 10);
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (finishes, 10);
  ck_assert_int_eq (destroyed, 10);
  expect_counters (0, 0, 0);
}
END_TEST

/* Who ran callbacks, and did so while nobody was polling. */
static pthread_t poller;
static int polling, elsewhere;

static int
check_poller (eio_req *req)
{
  if (!polling || !pthread_equal (poller, pthread_self ()))
    ++elsewhere;
  return count (req);
}

static void
check_poller_destroy (eio_req *req)
{
  if (!polling || !pthread_equal (poller, pthread_self ()))
    ++elsewhere;
  count_destroy (req);
}

static void *
poll_all (void *arg)
{
  double end = now () + 30;
  poller = pthread_self ();
  while (eio_nreqs () && now () < end)
    {
      host_wait (-1);
      polling = 1;
      eio_poll ();
      polling = 0;
    }
  return arg;
}

static void *
submit_array (void *arg)
{
  eio_req *reqs = arg;
  for (int i = 0; i < 100; ++i)
    submit_raw (&reqs[i], EIO_NOP, check_poller, check_poller_destroy);
  return 0;
}

START_TEST (callbacks_run_once_and_only_inside_poll)
{
  static eio_req reqs[4][100];
  pthread_t thread = start_thread (submit_array, reqs[0]);
  submit_array (reqs[1]);
  pthread_join (thread, 0);
  wait_until (eio_npending () == 200);
  submit_array (reqs[2]);
  ck_assert_int_eq (finishes, 0);
  poll_all (0);
  ck_assert_int_eq (finishes, 300);
  ck_assert_int_eq (destroyed, 300);
  ck_assert_int_eq (elsewhere, 0);
}
END_TEST

START_TEST (polling_thread_may_change)
{
  static eio_req reqs[2][100];
  submit_array (reqs[0]);
  pthread_join (start_thread (poll_all, 0), 0);
  ck_assert_int_eq (finishes, 100);
  submit_array (reqs[1]);
  poll_all (0);
  ck_assert_int_eq (finishes, 200);
  ck_assert_int_eq (elsewhere, 0);
}
END_TEST

START_TEST (requests_without_callbacks_just_end)
{
  static eio_req reqs[10];
  for (int i = 0; i < 10; ++i)
    submit_raw (&reqs[i], EIO_NOP, 0, 0);
  host_drain ();
  expect_counters (0, 0, 0);
}
END_TEST

/*****************************************************************************
 * A request submitted again from its own finish                             *
 *****************************************************************************/

static int rounds;

static int
resubmit (eio_req *req)
{
  ++finishes;
  ck_assert_int_eq (destroyed, 0);
  if (finishes < rounds)
    eio_submit (req);
  return 0;
}

START_TEST (request_may_be_resubmitted_from_its_finish)
{
  static eio_req req;
  rounds = 1000;
  submit_raw (&req, EIO_NOP, resubmit, count_destroy);
  host_drain ();
  ck_assert_int_eq (finishes, 1000);
  ck_assert_int_eq (destroyed, 1);
}
END_TEST

static void *buffer;

static int
resubmit_with_buffer (eio_req *req)
{
  if (finishes)
    ck_assert_ptr_eq (req->ptr2, buffer);
  memset (req->ptr2, ++finishes, 100);
  if (finishes < rounds)
    eio_submit (req);
  return 0;
}

/* The second life uses the buffer of the first. */
START_TEST (resubmission_keeps_buffers)
{
  static eio_req req;
  rounds = 100;
  buffer = malloc (100);
  req.type = EIO_NOP;
  req.ptr2 = buffer;
  req.flags = EIO_FLAG_PTR2_FREE;
  req.finish = resubmit_with_buffer;
  req.destroy = count_destroy;
  eio_submit (&req);
  host_drain ();
  ck_assert_int_eq (finishes, 100);
  ck_assert_int_eq (destroyed, 1);
}
END_TEST

static int group_calls;

static int
finish_group (eio_req *grp)
{
  ck_assert_uint_eq (grp->size, 0);
  ++group_calls;
  return 0;
}

static int
resubmit_alone (eio_req *req)
{
  /* The group goes on without the member once it has been resubmitted. */
  ck_assert_int_eq (group_calls, finishes > 0);
  return resubmit (req);
}

START_TEST (resubmitted_member_leaves_its_group)
{
  static eio_req req;
  eio_req *grp = eio_grp (finish_group, 0);
  rounds = 1000;
  submit_raw (&req, EIO_NOP, resubmit_alone, count_destroy);
  eio_grp_add (grp, &req);
  host_drain ();
  ck_assert_int_eq (finishes, 1000);
  ck_assert_int_eq (destroyed, 1);
  ck_assert_int_eq (group_calls, 1);
}
END_TEST

static eio_req *the_group;

static int
resubmit_and_add (eio_req *req)
{
  ck_assert_int_eq (group_calls, 0);
  if (++finishes < rounds)
    {
      eio_submit (req);
      eio_grp_add (the_group, req);
    }
  return 0;
}

START_TEST (resubmitted_member_may_join_its_group_again)
{
  static eio_req req;
  the_group = eio_grp (finish_group, 0);
  rounds = 1000;
  submit_raw (&req, EIO_NOP, resubmit_and_add, count_destroy);
  eio_grp_add (the_group, &req);
  host_drain ();
  ck_assert_int_eq (finishes, 1000);
  ck_assert_int_eq (destroyed, 1);
  ck_assert_int_eq (group_calls, 1);
}
END_TEST

/* Submits itself, and lets a nested poll finish that for good. */
static int
resubmit_and_poll (eio_req *req)
{
  if (++finishes % 2)
    {
      eio_submit (req);
      wait_until (eio_npending () == 1);
      eio_poll ();
    }
  return 0;
}

/* What is destroyed is the caller's again, who uses it for something else:
 * any write of the library would show. */
static void
reuse_memory (eio_req *req)
{
  memset (req, 0xa5, sizeof *req);
  ++destroyed;
}

static void
expect_untouched (const eio_req *req)
{
  const unsigned char *bytes = (const unsigned char *)req;
  for (size_t i = 0; i < sizeof *req; ++i)
    ck_assert_msg (bytes[i] == 0xa5, "byte %zu was written", i);
}

START_TEST (resubmitted_request_may_be_gone_after_a_nested_poll)
{
  static eio_req req;
  for (int i = 0; i < 1000; ++i)
    {
      submit_raw (&req, EIO_NOP, resubmit_and_poll, reuse_memory);
      host_drain ();
      ck_assert_int_eq (destroyed, i + 1);
      expect_untouched (&req);
    }
  ck_assert_int_eq (finishes, 2000);
}
END_TEST

START_TEST (resubmitted_member_may_be_gone_after_a_nested_poll)
{
  static eio_req req;
  for (int i = 0; i < 1000; ++i)
    {
      eio_req *grp = eio_grp (finish_group, 0);
      submit_raw (&req, EIO_NOP, resubmit_and_poll, reuse_memory);
      eio_grp_add (grp, &req);
      host_drain ();
      ck_assert_int_eq (destroyed, i + 1);
      ck_assert_int_eq (group_calls, i + 1);
      expect_untouched (&req);
    }
  ck_assert_int_eq (finishes, 2000);
}
END_TEST

/* The same with memory that really is gone, and another request there. */
static void
free_request (eio_req *req)
{
  ++destroyed;
  free (req);
}

START_TEST (resubmitted_request_may_be_freed_in_a_nested_poll)
{
  for (int i = 0; i < 1000; ++i)
    {
      submit_raw (malloc (sizeof (eio_req)), EIO_NOP, resubmit_and_poll,
                  free_request);
      host_drain ();
    }
  ck_assert_int_eq (finishes, 2000);
  ck_assert_int_eq (destroyed, 1000);
}
END_TEST

static int
resubmit_and_nest (eio_req *req)
{
  if (++finishes < rounds)
    {
      eio_submit (req);
      wait_until (eio_npending () == 1);
      eio_poll ();
    }
  return 0;
}

START_TEST (resubmissions_nest_deeply)
{
  static eio_req req;
  rounds = 300;
  submit_raw (&req, EIO_NOP, resubmit_and_nest, reuse_memory);
  host_drain ();
  ck_assert_int_eq (finishes, 300);
  ck_assert_int_eq (destroyed, 1);
  expect_untouched (&req);
}
END_TEST

/* The callback of another, in a poll that its finish makes, submits it. */
static eio_req *outer_req;

static int
poll_in_first_life (eio_req *req)
{
  outer_req = req;
  if (!finishes++)
    {
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (finishes, 2);
      ck_assert_int_eq (destroyed, 1);
    }
  return 0;
}

static int
resubmit_outer (eio_req *req)
{
  eio_submit (outer_req);
  return count (req);
}

START_TEST (request_may_be_resubmitted_by_a_nested_callback)
{
  static eio_req reqs[2];
  eio_req *grp = eio_grp (finish_group, 0);
  submit_raw (&reqs[0], EIO_NOP, poll_in_first_life, count_destroy);
  eio_grp_add (grp, &reqs[0]);
  wait_until (eio_npending () == 2);
  submit_pending (&reqs[1], resubmit_outer);
  eio_set_max_parallel (0);
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (finishes, 2);
  ck_assert_int_eq (destroyed, 1);
  ck_assert_int_eq (group_calls, 1);
  expect_counters (1, 1, 0);

  eio_set_min_parallel (1);
  host_drain ();
  ck_assert_int_eq (finishes, 3);
  ck_assert_int_eq (destroyed, 2);
}
END_TEST

/* Nobody may finish the new life on behalf of the old one. */
START_TEST (resubmitted_request_waits_for_its_turn)
{
  static eio_req req;
  rounds = 2;
  submit_pending (&req, resubmit);
  eio_set_max_parallel (0);
  eio_poll ();
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (destroyed, 0);
  expect_counters (1, 1, 0);
  eio_set_min_parallel (1);
  host_drain ();
  ck_assert_int_eq (finishes, 2);
  ck_assert_int_eq (destroyed, 1);
}
END_TEST

/*****************************************************************************
 * A finish that leaves by longjmp                                           *
 *****************************************************************************/

static jmp_buf outside, between;

static int
jump_outside (eio_req *req)
{
  count (req);
  longjmp (outside, 1);
}

static int
jump_between (eio_req *req)
{
  count (req);
  longjmp (between, 1);
}

/* Polls when told to, until a callback jumps.  (A group that is to be fed
 * because its last member jumped is not counted: so nobody asks here.) */
static void
poll_and_land (void)
{
  double end = now () + 30;
  if (setjmp (outside))
    return;
  while (now () < end)
    host_poll ();
  ck_abort_msg ("no callback jumped");
}

/* ... and without waiting to be told. */
static void
busily_poll_and_land (void)
{
  double end = now () + 30;
  if (setjmp (outside))
    return;
  while (now () < end)
    eio_poll ();
  ck_abort_msg ("no callback jumped");
}

START_TEST (jump_leaves_a_finished_request_to_the_next_poll)
{
  static eio_req req;
  for (int i = 0; i < 1000; ++i)
    {
      finishes = destroyed = 0;
      submit_pending (&req, jump_outside);
      make_pending (2, count, 0);
      poll_and_land ();
      ck_assert_int_eq (finishes, 1);
      expect_counters (2, 0, 2);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (finishes, 3);
      ck_assert_int_eq (destroyed, 1);
      expect_counters (0, 0, 0);
    }
  expect_usable ();
}
END_TEST

START_TEST (jump_of_the_last_result_leaves_its_destroy_to_the_next_poll)
{
  static eio_req req;
  submit_pending (&req, jump_outside);
  poll_and_land ();
  ck_assert_int_eq (destroyed, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (destroyed, 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (destroyed, 1);
  expect_usable ();
}
END_TEST

START_TEST (jumps_in_a_row_are_all_destroyed)
{
  static eio_req reqs[100];
  for (int i = 0; i < 100; ++i)
    submit_pending (&reqs[i], jump_outside);
  for (int i = 0; i < 100; ++i)
    {
      poll_and_land ();
      ck_assert_int_eq (finishes, i + 1);
      ck_assert_int_ge (destroyed, i);
    }
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (destroyed, 100);
  expect_usable ();
}
END_TEST

/* The next poll may find itself anywhere on the stack, or on another. */
static int __attribute__ ((__noinline__))
poll_below (int depth)
{
  volatile char room[4096];
  room[0] = room[4095] = (char)depth;
  return depth ? poll_below (depth - 1) + room[0] - (char)depth
               : eio_poll ();
}

static void __attribute__ ((__noinline__))
land_below (int depth)
{
  volatile char room[4096];
  room[0] = room[4095] = (char)depth;
  if (depth)
    land_below (depth - 1);
  else
    poll_and_land ();
  ck_assert_int_eq (room[0], (char)depth);
}

static void *
poll_in_thread (void *arg)
{
  *(int *)arg = eio_poll ();
  return 0;
}

START_TEST (poll_after_a_jump_may_be_anywhere)
{
  static eio_req req;
  int result = 1;
  submit_pending (&req, jump_outside);
  poll_and_land ();
  ck_assert_int_eq (poll_below (0), 0);
  ck_assert_int_eq (destroyed, 1);

  submit_pending (&req, jump_outside);
  land_below (10);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (destroyed, 2);

  submit_pending (&req, jump_outside);
  poll_and_land ();
  pthread_join (start_thread (poll_in_thread, &result), 0);
  ck_assert_int_eq (result, 0);
  ck_assert_int_eq (destroyed, 3);
  expect_usable ();
}
END_TEST

/* From far down it cannot be told from a nested poll, and is one more; the
 * next from above finds what was left, once. */
START_TEST (poll_far_below_a_jump_leaves_it_to_the_next)
{
  static eio_req req;
  submit_pending (&req, jump_outside);
  poll_and_land ();
  make_pending (2, count, 0);
  ck_assert_int_eq (poll_below (10), 0);
  ck_assert_int_eq (finishes, 3);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (destroyed, 1);
  ck_assert_int_eq (poll_below (10), 0);
  ck_assert_int_eq (destroyed, 1);
  expect_usable ();
}
END_TEST

/* Polls until the group is done; its host polls only when told to. */
static void
await_group (int n)
{
  while (group_calls < n)
    host_poll ();
  ck_assert_int_eq (group_calls, n);
}

START_TEST (group_goes_on_after_its_only_member_jumped)
{
  static eio_req req;
  for (int i = 1; i <= 100; ++i)
    {
      eio_req *grp = eio_grp (finish_group, 0);
      submit_raw (&req, EIO_NOP, jump_outside, count_destroy);
      eio_grp_add (grp, &req);
      poll_and_land ();
      ck_assert_int_eq (group_calls, i - 1);
      await_group (i);
      ck_assert_int_eq (destroyed, i);
      expect_counters (0, 0, 0);
    }
  expect_usable ();
}
END_TEST

/* The poll may be so early that want_poll has not been called yet. */
START_TEST (group_goes_on_after_a_member_jumped_in_an_unasked_poll)
{
  for (int i = 1; i <= 200; ++i)
    {
      eio_grp_add (eio_grp (finish_group, 0), eio_nop (0, jump_outside, 0));
      busily_poll_and_land ();
      await_group (i);
    }
}
END_TEST

START_TEST (group_waits_for_the_others_after_a_member_jumped)
{
  eio_req *outer = eio_grp (finish_group, 0);
  eio_req *grp = eio_grp (finish_group, 0);
  eio_grp_add (outer, grp);
  eio_grp_add (grp, eio_custom (stay, 0, count, 0));
  eio_grp_add (grp, eio_nop (0, jump_outside, 0));
  await_arrivals (1);
  poll_and_land ();
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (group_calls, 0);
  expect_counters (1, 0, 0);
  release_all (1);
  await_group (2);
  ck_assert_int_eq (finishes, 2);
}
END_TEST

static void
jump_in_destroy (eio_req *req)
{
  count_destroy (req);
  longjmp (outside, 1);
}

START_TEST (destroy_may_jump_too)
{
  static eio_req req;
  for (int i = 1; i <= 100; ++i)
    {
      eio_req *grp = eio_grp (finish_group, 0);
      submit_raw (&req, EIO_NOP, _i ? jump_outside : count, jump_in_destroy);
      eio_grp_add (grp, &req);
      if (_i)
        poll_and_land ();
      poll_and_land ();
      ck_assert_int_eq (finishes, i);
      ck_assert_int_eq (destroyed, i);
      ck_assert_int_eq (group_calls, i - 1);
      await_group (i);
      expect_counters (0, 0, 0);
    }
  ck_assert_int_eq (destroyed, 100);
  expect_usable ();
}
END_TEST

static void
poll_in_left_destroy (eio_req *req)
{
  int groups = group_calls;
  count_destroy (req);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (group_calls, groups);
}

static void *
await_one_group (void *arg)
{
  (void)arg;
  while (!group_calls)
    eio_poll ();
  return 0;
}

/* What has been left is completed once, also by another thread. */
START_TEST (poll_in_destroy_does_not_complete_what_is_being_completed)
{
  static eio_req req;
  submit_raw (&req, EIO_NOP, jump_outside, poll_in_left_destroy);
  eio_grp_add (eio_grp (finish_group, 0), &req);
  poll_and_land ();
  if (_i)
    pthread_join (start_thread (await_one_group, 0), 0);
  await_group (1);
  ck_assert_int_eq (destroyed, 1);
  expect_counters (0, 0, 0);
  expect_usable ();
}
END_TEST

/* A poll within, which comes back by longjmp. */
static void
catch_in_destroy (eio_req *req)
{
  static eio_req inner;

  count_destroy (req);
  submit_raw (&inner, EIO_NOP, jump_between, count_destroy);
  eio_grp_add (eio_grp (finish_group, 0), &inner);
  if (!setjmp (between))
    for (;;)
      eio_poll ();
}

START_TEST (poll_in_destroy_may_be_left)
{
  static eio_req req;

  submit_raw (&req, EIO_NOP, _i ? jump_outside : count, catch_in_destroy);
  if (_i)
    poll_and_land ();
  await_group (1);
  ck_assert_int_eq (finishes, 2);
  ck_assert_int_eq (destroyed, 2);
  expect_counters (0, 0, 0);
  expect_usable ();
}
END_TEST

static int
jump_from_group (eio_req *grp)
{
  ck_assert_uint_eq (grp->size, 0);
  return jump_outside (grp);
}

START_TEST (groups_finish_may_jump_too)
{
  eio_req *outer = eio_grp (finish_group, 0);
  eio_req *grp = eio_grp (jump_from_group, 0);
  eio_grp_add (outer, grp);
  eio_grp_add (grp, eio_nop (0, count, 0));
  poll_and_land ();
  ck_assert_int_eq (finishes, 2);
  await_group (1);
  expect_usable ();
}
END_TEST

static int fed;

static void
feed_jumper (eio_req *grp)
{
  if (fed++ < 20)
    eio_grp_add (grp, eio_nop (0, jump_outside, 0));
}

START_TEST (feeder_goes_on_after_its_members_jumped)
{
  eio_grp_feed (eio_grp (finish_group, 0), feed_jumper, 1);
  for (int i = 1; i <= 20; ++i)
    {
      poll_and_land ();
      ck_assert_int_eq (finishes, i);
      ck_assert_int_eq (group_calls, 0);
    }
  await_group (1);
  ck_assert_int_eq (fed, 21);
}
END_TEST

START_TEST (host_is_told_of_what_a_jump_left)
{
  make_pending (1, jump_outside, 0);
  make_pending (1, count, 0);
  poll_and_land ();
  ck_assert_int_eq (host_wait (0), 1);
  host_drain ();
  ck_assert_int_eq (finishes, 2);
}
END_TEST

/* The callback of an outer poll catches what a nested poll throws. */
static int
catch_inside (eio_req *req)
{
  (void)req;
  if (!setjmp (between))
    {
      eio_poll ();
      ck_abort_msg ("the callback did not jump");
    }
  ++finishes;
  return 0;
}

/* What the outer callback has left behind is gone as soon as it returns. */
static int
count_behind_two (eio_req *req)
{
  ck_assert_int_eq (destroyed, 2);
  return count (req);
}

START_TEST (jump_out_of_a_nested_poll_leaves_the_outer_one_usable)
{
  static eio_req reqs[3];
  for (int i = 0; i < 100; ++i)
    {
      finishes = destroyed = 0;
      submit_pending (&reqs[0], catch_inside);
      submit_pending (&reqs[1], jump_between);
      submit_pending (&reqs[2], count_behind_two);
      ck_assert_int_eq (host_poll (), 0);
      ck_assert_int_eq (finishes, 3);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (destroyed, 3);
    }
  expect_usable ();
}
END_TEST

/* The nested poll comes again before the outer callback has returned: it
 * destroys the one that jumped, not the one that still runs. */
static int
catch_and_poll_again (eio_req *req)
{
  catch_inside (req);
  ck_assert_int_eq (destroyed, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (destroyed, 2);
  ck_assert_int_eq (req->type, EIO_NOP);
  return 0;
}

START_TEST (poll_after_a_nested_jump_spares_the_running_callback)
{
  static eio_req reqs[3];
  submit_pending (&reqs[0], catch_and_poll_again);
  submit_pending (&reqs[1], jump_between);
  submit_pending (&reqs[2], count);
  ck_assert_int_eq (host_poll (), 0);
  ck_assert_int_eq (finishes, 3);
  ck_assert_int_eq (destroyed, 3);
  expect_usable ();
}
END_TEST

static int
nest (eio_req *req)
{
  (void)req;
  ++finishes;
  eio_poll ();
  ck_abort_msg ("the nested callback did not jump");
  return 0;
}

START_TEST (jump_out_of_several_polls_finishes_all_of_them)
{
  static eio_req reqs[4];
  for (int i = 0; i < 100; ++i)
    {
      finishes = destroyed = 0;
      submit_pending (&reqs[0], nest);
      submit_pending (&reqs[1], nest);
      submit_pending (&reqs[2], jump_outside);
      submit_pending (&reqs[3], count);
      poll_and_land ();
      ck_assert_int_eq (finishes, 3);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (finishes, 4);
      ck_assert_int_eq (destroyed, 4);
    }
  expect_usable ();
}
END_TEST

/*****************************************************************************
 * Limits on workers                                                         *
 *****************************************************************************/

/* That many execute, and no more. */
static void
expect_executing (int n, int of)
{
  await_arrivals (n);
  nap (GRACE_MS);
  ck_assert_int_eq (arrivals (), 0);
  expect_counters (of, of - n, 0);
  ck_assert_uint_eq (eio_nthreads (), n);
}

START_TEST (limit_is_four_by_default)
{
  submit_staying (10);
  expect_executing (4, 10);
  release_all (10);
  ck_assert_uint_eq (eio_nthreads (), 4);
}
END_TEST

START_TEST (workers_start_only_on_demand)
{
  eio_set_min_parallel (16);
  nap (GRACE_MS);
  ck_assert_uint_eq (eio_nthreads (), 0);
  for (int i = 1; i <= 3; ++i)
    {
      occupy_workers (1);
      ck_assert_uint_eq (eio_nthreads (), i);
    }
  release_all (3);
  for (int i = 0; i < 100; ++i)
    {
      eio_nop (0, count, 0);
      host_drain ();
    }
  ck_assert_uint_eq (eio_nthreads (), 3);
}
END_TEST

START_TEST (min_parallel_raises_and_starts_what_is_queued)
{
  submit_staying (10);
  wait_until (eio_nready () == 6);
  eio_set_min_parallel (7);
  expect_executing (7, 10);
  release_all (10);
}
END_TEST

START_TEST (min_parallel_never_lowers)
{
  eio_set_min_parallel (6);
  eio_set_min_parallel (2);
  eio_set_min_parallel (0);
  submit_staying (8);
  expect_executing (6, 8);
  release_all (8);
}
END_TEST

START_TEST (max_parallel_never_raises)
{
  eio_set_max_parallel (2);
  eio_set_max_parallel (10);
  submit_staying (5);
  expect_executing (2, 5);
  release_all (5);
}
END_TEST

static atomic_int lowered;

static void *
lower_limit (void *n)
{
  eio_set_max_parallel ((unsigned int)(uintptr_t)n);
  lowered = 1;
  return 0;
}

START_TEST (max_parallel_blocks_until_no_more_workers_exist)
{
  pthread_t thread;
  occupy_workers (4);
  thread = start_thread (lower_limit, (void *)(uintptr_t)2);
  nap (GRACE_MS);
  ck_assert_int_eq (lowered, 0);
  sem_post (&let_go);
  wait_until (eio_nthreads () <= 3);
  nap (GRACE_MS);
  ck_assert_int_eq (lowered, 0);
  ck_assert_uint_eq (eio_nthreads (), 3);
  sem_post (&let_go);
  pthread_join (thread, 0);
  ck_assert_uint_eq (eio_nthreads (), 2);
  release_all (2);
  submit_staying (5);
  expect_executing (2, 5);
  release_all (5);
}
END_TEST

START_TEST (max_parallel_removes_idle_workers_before_it_returns)
{
  int before = count_threads ();
  make_workers (8);
  eio_set_max_parallel (3);
  ck_assert_uint_le (eio_nthreads (), 3);
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  wait_until (count_threads () <= before + 1 /* a sanitizer's */);
}
END_TEST

START_TEST (limit_0_queues_and_raising_it_starts_at_once)
{
  make_workers (4);
  for (int i = 0; i < 100; ++i)
    {
      eio_set_max_parallel (0);
      ck_assert_uint_eq (eio_nthreads (), 0);
      submit_staying (4);
      if (i == 0)
        nap (GRACE_MS);
      expect_counters (4, 4, 0);
      ck_assert_uint_eq (eio_nthreads (), 0);
      eio_set_min_parallel (3);
      await_arrivals (3);
      ck_assert_uint_eq (eio_nthreads (), 3);
      release_all (4);
      await_arrivals (1);
    }
}
END_TEST

static void
lower_to_0 (eio_req *req)
{
  eio_set_max_parallel (0);
  req->result = 0;
}

START_TEST (worker_may_lower_the_limit_to_0)
{
  make_workers (4);
  eio_custom (lower_to_0, 0, count, 0);
  host_drain ();
  ck_assert_int_eq (finishes, 1);
  wait_until (eio_nthreads () == 0);
  submit_staying (1);
  expect_counters (1, 1, 0);
  eio_set_min_parallel (1);
  await_arrivals (1);
  release_all (1);
}
END_TEST

static void
lower_to_1 (eio_req *req)
{
  eio_set_max_parallel (1);
  req->result = (eio_ssize_t)eio_nthreads ();
}

static int
expect_1 (eio_req *req)
{
  ck_assert_int_eq (req->result, 1);
  return count (req);
}

/* It counts itself, and waits for the other. */
START_TEST (worker_that_lowers_the_limit_to_1_is_the_one)
{
  make_workers (2);
  eio_set_max_parallel (2);
  occupy_workers (1);
  eio_custom (lower_to_1, 0, expect_1, 0);
  wait_until (eio_nready () == 0);
  nap (GRACE_MS);
  ck_assert_uint_eq (eio_npending (), 0);
  release_all (1);
  ck_assert_int_eq (finishes, 1);
}
END_TEST

static pthread_barrier_t meeting;

static void
meet_and_lower_to_0 (eio_req *req)
{
  pthread_barrier_wait (&meeting);
  lower_to_0 (req);
}

START_TEST (two_workers_and_the_host_may_lower_the_limit_at_once)
{
  pthread_barrier_init (&meeting, 0, 3);
  for (int i = 1; i <= 50; ++i)
    {
      eio_set_min_parallel (4);
      for (int k = 0; k < 2; ++k)
        eio_custom (meet_and_lower_to_0, 0, count, 0);
      pthread_barrier_wait (&meeting);
      if (i % 2)
        eio_set_max_parallel (0);
      host_drain ();
      ck_assert_int_eq (finishes, 2 * i);
      wait_until (eio_nthreads () == 0);
    }
  eio_set_min_parallel (4);
  expect_usable ();
}
END_TEST

static void
lower_to_0_and_meet (eio_req *req)
{
  meet_and_lower_to_0 (req);
  pthread_barrier_wait (&meeting);
}

/* Not even to be let go one after the other. */
START_TEST (workers_that_lower_the_limit_may_wait_for_each_other)
{
  pthread_barrier_init (&meeting, 0, 3);
  for (int i = 1; i <= 50; ++i)
    {
      eio_set_min_parallel (4);
      for (int k = 0; k < 3; ++k)
        eio_custom (lower_to_0_and_meet, 0, count, 0);
      host_drain ();
      ck_assert_int_eq (finishes, 3 * i);
      wait_until (eio_nthreads () == 0);
    }
  eio_set_min_parallel (4);
  expect_usable ();
}
END_TEST

START_TEST (concurrent_raise_ends_the_wait_of_max_parallel)
{
  pthread_t thread;
  occupy_workers (2);
  thread = start_thread (lower_limit, 0);
  /* Again and again: the first may come before the other thread does. */
  wait_until ((eio_set_min_parallel (2), lowered));
  pthread_join (thread, 0);
  ck_assert_uint_eq (eio_nthreads (), 2);
  release_all (2);
  expect_usable ();
}
END_TEST

/* What executes at one time, and what the pool and the system say of it. */
static atomic_int executing, most_executing;
static atomic_uint most_threads;
static atomic_int most_tasks;

static void
raise_to (atomic_int *max, int n)
{
  int old = *max;
  while (old < n && !atomic_compare_exchange_weak (max, &old, n))
    ;
}

static void
take_census (eio_req *req)
{
  int n = ++executing;
  raise_to (&most_executing, n);
  if ((intptr_t)req->data % 64 == 0)
    raise_to (&most_tasks, count_threads ());
  if (eio_nthreads () > most_threads)
    most_threads = eio_nthreads ();
  sched_yield ();
  --executing;
  req->result = 0;
}

static void *
submit_census (void *arg)
{
  for (intptr_t i = 0; i < 500; ++i)
    {
      eio_custom (take_census, (int)(i % 9) - 4, 0, (void *)i);
      if (i % 8 == 0)
        sched_yield ();
    }
  pthread_barrier_wait (&meeting);
  return arg;
}

/* For each limit anew: four threads submit while the host polls. */
START_TEST (workers_never_exceed_the_limit)
{
  pthread_t threads[4];
  int limit = _i;
  int others;
  pthread_barrier_init (&meeting, 0, 5);
  /* A thread of a sanitizer's may come with the first that is started. */
  others = count_threads () + 5;
  eio_set_max_parallel (limit);
  for (int i = 0; i < 4; ++i)
    threads[i] = start_thread (submit_census, 0);
  host_drain ();
  pthread_barrier_wait (&meeting);
  for (int i = 0; i < 4; ++i)
    pthread_join (threads[i], 0);
  host_drain ();
  ck_assert_int_ge (most_executing, 1);
  ck_assert_int_le (most_executing, limit);
  ck_assert_uint_le (most_threads, limit);
  ck_assert_int_le (most_tasks, others + limit);
}
END_TEST

/* Exits for want of work and for a lowered limit at the same time: nobody
 * may be counted twice. */
START_TEST (lowered_limits_and_idle_exits_count_each_worker_once)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  for (int i = 0; i < 500; ++i)
    {
      eio_set_min_parallel (8);
      for (int k = 0; k < 16; ++k)
        eio_custom (take_census, 0, 0, (void *)1);
      ck_assert_uint_le (eio_nthreads (), 8);
      eio_set_max_parallel (i % 3);
      ck_assert_uint_le (eio_nthreads (), i % 3);
      if (i % 2)
        eio_poll ();
    }
  eio_set_min_parallel (8);
  host_drain ();
  ck_assert_int_le (most_executing, 8);
  wait_until (eio_nthreads () == 0);
  eio_set_min_parallel (4);
  occupy_workers (4);
  release_all (4);
}
END_TEST

static void *
change_limits (void *arg)
{
  for (unsigned int i = 0; i < 1000; ++i)
    {
      if (i % 2)
        eio_set_min_parallel (i % 7);
      else
        eio_set_max_parallel (i % 5);
      eio_set_max_idle (i % 3);
      eio_set_idle_timeout (i % 2);
      eio_set_max_poll_reqs (i % 4);
      eio_set_max_poll_time (i % 4 * 1e-4);
    }
  eio_set_min_parallel (6);
  return arg;
}

START_TEST (settings_may_change_on_any_thread_at_any_time)
{
  pthread_t changers[2];
  for (int i = 0; i < 2; ++i)
    changers[i] = start_thread (change_limits, 0);
  for (int i = 0; i < 2000; ++i)
    {
      eio_nop (i % 9 - 4, count, 0);
      if (i % 16 == 0)
        eio_poll ();
    }
  for (int i = 0; i < 2; ++i)
    pthread_join (changers[i], 0);
  host_drain ();
  ck_assert_int_eq (finishes, 2000);
  ck_assert_uint_le (eio_nthreads (), 6);
}
END_TEST

/*****************************************************************************
 * Idle workers                                                              *
 *****************************************************************************/

START_TEST (idle_workers_beyond_max_idle_exit)
{
  static const unsigned int rows[][2] = { { 0, 0 }, { 2, 0 }, { 1, 1 } };
  int before = count_threads ();
  eio_set_max_idle (rows[_i][0]);
  eio_set_idle_timeout (rows[_i][1]);
  eio_set_min_parallel (8);
  occupy_workers (8);
  release_all (8);
  wait_until (eio_nthreads () == rows[_i][0]);
  wait_until (count_threads () <= before + (int)rows[_i][0] + 1);
  nap (2 * GRACE_MS);
  ck_assert_uint_eq (eio_nthreads (), rows[_i][0]);
  expect_usable ();
}
END_TEST

/* Of address space, in KiB. */
static long
mapped (void)
{
  FILE *f = fopen ("/proc/self/statm", "r");
  long pages = 0;
  ck_assert_ptr_nonnull (f);
  ck_assert_int_eq (fscanf (f, "%ld", &pages), 1);
  fclose (f);
  return pages * (sysconf (_SC_PAGESIZE) / 1024);
}

/* One life of four workers, which leave because they idle, because they are
 * told to while they do, or because they are told to while they execute. */
static void
live_and_leave (int how)
{
  eio_set_max_idle (how == 0 ? 0 : 4);
  eio_set_min_parallel (4);
  occupy_workers (4);
  give (&let_go, 4);
  if (how == 0)
    wait_until (eio_nthreads () == 0);
  else if (how == 1)
    host_drain ();
  eio_set_max_parallel (0);
  host_drain ();
}

/* Threads that nobody joins or detaches keep their stacks. What an allocator
 * takes for threads of its own comes once. */
START_TEST (workers_that_have_left_leave_no_stack_behind)
{
  enum { LIVES = 50 };
  long before, after, least = LONG_MAX;
  int round, i;

  eio_set_idle_timeout (0);
  for (i = 0; i < 5; ++i)
    live_and_leave (_i);
  after = mapped ();
  for (round = 0; round < 3; ++round)
    {
      before = after;
      for (i = 0; i < LIVES; ++i)
        live_and_leave (_i);
      after = mapped ();
      if (after - before < least)
        least = after - before;
    }
  ck_assert_msg (least < LIVES * 4 * 256 / 2, "%ld KiB more each time", least);
}
END_TEST

START_TEST (four_workers_may_idle_by_default)
{
  eio_set_idle_timeout (0);
  make_workers (8);
  wait_until (eio_nthreads () == 4);
  nap (2 * GRACE_MS);
  ck_assert_uint_eq (eio_nthreads (), 4);
}
END_TEST

START_TEST (idle_workers_stay_for_seconds_by_default)
{
  make_workers (8);
  nap (1000);
  ck_assert_uint_eq (eio_nthreads (), 8);
}
END_TEST

/* Those that idle already follow new settings, too. */
START_TEST (lowered_max_idle_applies_to_who_idles)
{
  make_workers (4);
  eio_set_idle_timeout (0);
  eio_set_max_idle (1);
  wait_until (eio_nthreads () == 1);
  nap (GRACE_MS);
  ck_assert_uint_eq (eio_nthreads (), 1);
  eio_set_max_idle (0);
  wait_until (eio_nthreads () == 0);
}
END_TEST

START_TEST (lowered_idle_timeout_applies_to_who_idles)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (1000);
  make_workers (4);
  nap (GRACE_MS);
  ck_assert_uint_eq (eio_nthreads (), 4);
  eio_set_idle_timeout (0);
  wait_until (eio_nthreads () == 0);
}
END_TEST

START_TEST (longest_idle_timeout_does_not_wrap)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (UINT_MAX);
  make_workers (4);
  nap (2 * GRACE_MS);
  ck_assert_uint_eq (eio_nthreads (), 4);
}
END_TEST

/* A worker that leaves while a request arrives: the request must not count
 * on it.  The pause sweeps over the time in which the worker leaves. */
static void
spin (int n)
{
  volatile int i = 0;
  while (i < n)
    ++i;
}

START_TEST (request_that_arrives_while_a_worker_leaves_is_executed)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  for (int i = 0; i < 6000; ++i)
    {
      eio_nop (0, count, 0);
      if (i % 3 == 0)
        eio_nop (1, 0, 0);
      host_drain ();
      spin (i % 512 * 32);
    }
  ck_assert_int_eq (finishes, 6000);
  wait_until (eio_nthreads () == 0);
}
END_TEST

static void *
lower_limit_often (void *arg)
{
  for (int i = 0; i < 500; ++i)
    {
      pthread_barrier_wait (&meeting);
      eio_set_max_parallel (1);
      pthread_barrier_wait (&meeting);
    }
  return arg;
}

/* The same with workers that leave because the limit was lowered. */
START_TEST (request_that_arrives_while_the_limit_falls_is_executed)
{
  pthread_t thread;
  pthread_barrier_init (&meeting, 0, 2);
  thread = start_thread (lower_limit_often, 0);
  for (int i = 1; i <= 500; ++i)
    {
      make_workers (4);
      pthread_barrier_wait (&meeting);
      spin (i % 64 * 64);
      eio_nop (0, count, 0);
      host_drain ();
      ck_assert_int_eq (finishes, i);
      pthread_barrier_wait (&meeting);
    }
  pthread_join (thread, 0);
}
END_TEST

/* Many workers reach their timeout one after the other, while requests come
 * in without pause. */
START_TEST (requests_that_arrive_while_many_time_out_are_executed)
{
  double end;
  int n = 0;
  eio_set_max_idle (0);
  eio_set_idle_timeout (1);
  eio_set_min_parallel (32);
  occupy_workers (32);
  for (int i = 0; i < 32; ++i)
    {
      sem_post (&let_go);
      nap (5);
    }
  host_drain ();
  nap (700);
  for (end = now () + 0.5; now () < end; ++n)
    {
      eio_nop (0, count, 0);
      eio_nop (0, count, 0);
      host_drain ();
      spin (n % 512 * 16);
    }
  ck_assert_int_eq (finishes, 2 * n);
  wait_until (eio_nthreads () == 0);
}
END_TEST

/* Which worker served, and whether it sleeps again. */
static struct { pid_t tid; int served; } servers[16];
static atomic_int last_server;

static void
record_server (eio_req *req)
{
  last_server = gettid ();
  req->result = 0;
}

static int
sleeps (int tid)
{
  char path[64], line[256], *state;
  FILE *f;
  snprintf (path, sizeof path, "/proc/self/task/%d/stat", tid);
  f = fopen (path, "r");
  if (!f)
    return 1;
  state = fgets (line, sizeof line, f) ? strrchr (line, ')') : 0;
  fclose (f);
  return state && state[2] == 'S';
}

static void
serve_one (void)
{
  ck_assert_ptr_nonnull (eio_custom (record_server, 0, 0, 0));
  host_drain ();
}

static void
count_service (pid_t tid)
{
  int i = 0;
  while (servers[i].tid && servers[i].tid != tid)
    ck_assert_int_lt (++i, LENGTH (servers));
  servers[i].tid = tid;
  ++servers[i].served;
}

/* In turns, none of the eight would serve more than 25.  One that sleeps may
 * do so over a lock, and not idle yet: so it is not always the same. */
START_TEST (last_idle_worker_is_woken_first)
{
  int most = 0;
  make_workers (8);
  for (int i = 0; i < 200; ++i)
    {
      serve_one ();
      count_service (last_server);
      wait_until (sleeps (last_server));
    }
  for (int i = 0; i < LENGTH (servers); ++i)
    if (most < servers[i].served)
      most = servers[i].served;
  ck_assert_int_ge (most, 60);
}
END_TEST

START_TEST (idle_workers_are_reaped_although_requests_keep_coming)
{
  double end;
  make_workers (8);
  eio_set_max_idle (1);
  eio_set_idle_timeout (1);
  for (end = now () + 20; eio_nthreads () > 2 && now () < end; nap (1))
    serve_one ();
  ck_assert_uint_le (eio_nthreads (), 2);
}
END_TEST

/*****************************************************************************
 * What workers are like                                                     *
 *****************************************************************************/

typedef struct
{
  sigset_t mask;
  char name[16];
  size_t stack_size;
  cpu_set_t cpus;
  int policy, nice;
} traits;

static void
examine_self (traits *t)
{
  pthread_attr_t attr;
  void *stack;
  pthread_sigmask (SIG_SETMASK, 0, &t->mask);
  prctl (PR_GET_NAME, t->name);
  pthread_getattr_np (pthread_self (), &attr);
  pthread_attr_getstack (&attr, &stack, &t->stack_size);
  pthread_attr_destroy (&attr);
  sched_getaffinity (0, sizeof t->cpus, &t->cpus);
  t->policy = sched_getscheduler (0);
  t->nice = getpriority (PRIO_PROCESS, gettid ());
}

static void
examine_worker (eio_req *req)
{
  examine_self (req->data);
  req->result = 0;
}

/* What a worker is like that starts now, as all others are busy. */
static void
examine_new_worker (traits *t)
{
  memset (t, 0, sizeof *t);
  eio_custom (examine_worker, 0, count, t);
}

static void
await_examinations (int n)
{
  while (finishes < n)
    host_poll ();
}

static void
expect_name (const traits *t, const char *name)
{
  ck_assert_str_eq (t->name, name);
}

START_TEST (workers_block_all_but_synchronous_signals)
{
  static const int open[] = { SIGSEGV, SIGBUS, SIGFPE,
                              SIGILL,  SIGTRAP, SIGSYS };
  sigset_t expected, before, blockable;
  traits t, host;
  sigfillset (&blockable); /* but not all are, and QEMU has fewer */
  pthread_sigmask (SIG_SETMASK, &blockable, &before);
  pthread_sigmask (SIG_SETMASK, &before, &blockable);
  sigemptyset (&expected);
  for (int i = 0; i < LENGTH (open); ++i)
    sigaddset (&expected, open[i]);
  /* What the creator blocks does not matter, and comes back. */
  pthread_sigmask (SIG_BLOCK, &expected, 0);
  pthread_sigmask (SIG_SETMASK, 0, &before);
  examine_new_worker (&t);
  host_drain ();
  for (int sig = 1; sig <= SIGRTMAX; ++sig)
    if (sigismember (&blockable, sig))
      ck_assert_msg (sigismember (&t.mask, sig)
                     == !sigismember (&expected, sig), "signal %d", sig);
  examine_self (&host);
  for (int sig = 1; sig <= SIGRTMAX; ++sig)
    ck_assert_int_eq (sigismember (&host.mask, sig),
                      sigismember (&before, sig));
}
END_TEST

static const char *const names[][2] = {
  { "abc", "abc/eio" },
  { "x", "x/eio" },
  { "abcdefghij", "abcdefghij/eio" },
  { "abcdefghijk", "abcdefghijk/eio" },
  { "abcdefghijkl", "abcdefghijk/eio" },
  { "abcdefghijklmno", "abcdefghijk/eio" },
  { "with a/slash", "with a/slas/eio" }
};

START_TEST (workers_are_named_after_the_process)
{
  traits t[2];
  prctl (PR_SET_NAME, names[_i][0]);
  start ();
  examine_new_worker (&t[0]);
  host_drain ();
  expect_name (&t[0], names[_i][1]);
  occupy_workers (1);
  examine_new_worker (&t[1]);
  await_examinations (2);
  expect_name (&t[1], names[_i][1]);
  release_all (1);
}
END_TEST

static void *
examine_from_named_thread (void *t)
{
  prctl (PR_SET_NAME, "somebody");
  examine_new_worker (t);
  return 0;
}

START_TEST (worker_is_not_named_after_who_submits)
{
  traits t;
  prctl (PR_SET_NAME, "process");
  start ();
  pthread_join (start_thread (examine_from_named_thread, &t), 0);
  host_drain ();
  expect_name (&t, "process/eio");
}
END_TEST

/* Some may only be nicer, and not as nice as before again. */
static int may_change_nice;

static void *
try_nice (void *arg)
{
  int nice = getpriority (PRIO_PROCESS, gettid ());
  may_change_nice = !setpriority (PRIO_PROCESS, gettid (), nice + 1)
                    && !setpriority (PRIO_PROCESS, gettid (), nice)
                    && nice < 19;
  return arg;
}

/* A worker changes what a thread that it starts would inherit, and submits:
 * who executes that has to be started, as the worker is busy itself. */
static void
change_self_and_submit (eio_req *req)
{
  struct sched_param param = { 0 };
  cpu_set_t one;
  int cpu = 0;
  traits mine;
  examine_self (&mine);
  while (!CPU_ISSET (cpu, &mine.cpus))
    ++cpu;
  CPU_ZERO (&one);
  CPU_SET (cpu, &one);
  sched_setaffinity (0, sizeof one, &one);
  sched_setscheduler (0, SCHED_BATCH, &param);
  if (may_change_nice)
    setpriority (PRIO_PROCESS, gettid (), mine.nice + 1);
  prctl (PR_SET_NAME, "changed");
  examine_new_worker (req->data);
  stay (req);
}

START_TEST (worker_inherits_nothing_from_the_worker_that_starts_it)
{
  traits host, t;
  prctl (PR_SET_NAME, "process");
  pthread_join (start_thread (try_nice, 0), 0);
  start ();
  examine_self (&host);
  eio_custom (change_self_and_submit, 0, 0, &t);
  await_examinations (1);
  expect_name (&t, "process/eio");
  ck_assert_int_eq (t.policy, host.policy);
  ck_assert_int_eq (t.nice, host.nice);
  ck_assert (CPU_EQUAL (&t.cpus, &host.cpus));
  await_arrivals (1);
  release_all (1);
}
END_TEST

static sem_t nicer;

static void *
examine_when_others_are_nicer (void *t)
{
  take (&nicer);
  examine_new_worker (t);
  return 0;
}

/* Anybody may be nicer. */
START_TEST (worker_is_as_nice_as_its_pool)
{
  int nice = getpriority (PRIO_PROCESS, gettid ());
  pthread_t thread;
  traits t;
  sem_init (&nicer, 0, 0);
  thread = start_thread (examine_when_others_are_nicer, &t);
  if (nice < 19)
    ck_assert_int_eq (setpriority (PRIO_PROCESS, gettid (), ++nice), 0);
  start ();
  give (&nicer, 1);
  pthread_join (thread, 0);
  host_drain ();
  ck_assert_int_eq (t.nice, nice);
}
END_TEST

/* What is reset on fork is not meant to spread. */
START_TEST (worker_does_not_inherit_what_is_reset_on_fork)
{
  struct sched_param param = { 0 };
  traits t;
  if (sched_getscheduler (0) != SCHED_OTHER
      || sched_setscheduler (0, SCHED_OTHER | SCHED_RESET_ON_FORK, &param))
    return; /* an unusual system */
  start ();
  examine_new_worker (&t);
  host_drain ();
  ck_assert_int_eq (t.policy, SCHED_OTHER);
}
END_TEST

START_TEST (stack_is_neither_small_nor_the_default)
{
  pthread_attr_t attr;
  size_t default_size;
  traits t;
  pthread_attr_init (&attr);
  pthread_attr_getstacksize (&attr, &default_size);
  examine_new_worker (&t);
  host_drain ();
  ck_assert_uint_ge (t.stack_size, 256 * 1024);
  if (default_size >= 8 << 20)
    ck_assert_uint_lt (t.stack_size, 2 << 20);
}
END_TEST

static void
use_stack (eio_req *req)
{
  volatile char room[192 * 1024];
  for (size_t i = 0; i < sizeof room; i += 512)
    room[i] = 1;
  for (size_t i = 0; i < sizeof room; i += 512)
    req->result += room[i];
}

START_TEST (custom_functions_may_use_192_kib_of_stack)
{
  outcome o = { 0 };
  eio_custom (use_stack, 0, note, &o);
  host_drain ();
  assert_ok (o, 192 * 2);
}
END_TEST

/*****************************************************************************
 * Memory                                                                    *
 *****************************************************************************/

typedef struct
{
  int given[16], taken[16];
} parcel;

static void
work_on_parcel (eio_req *req)
{
  parcel *p = req->data;
  for (int i = 0; i < 16; ++i)
    p->taken[i] = p->given[i] + 1;
  req->result = 0;
}

static int
check_parcel (eio_req *req)
{
  parcel *p = req->data;
  for (int i = 0; i < 16; ++i)
    ck_assert_int_eq (p->taken[i], p->given[i] + 1);
  return count (req);
}

/* Plain memory: ThreadSanitizer sees what the values do not show. */
START_TEST (writes_are_visible_to_worker_and_finish)
{
  static parcel parcels[2000];
  eio_set_max_poll_reqs (7);
  for (int i = 0; i < LENGTH (parcels); ++i)
    {
      for (int k = 0; k < 16; ++k)
        parcels[i].given[k] = i * 16 + k;
      eio_custom (work_on_parcel, i % 9 - 4, check_parcel, &parcels[i]);
      if (i % 32 == 0)
        eio_poll ();
    }
  host_drain ();
  ck_assert_int_eq (finishes, LENGTH (parcels));
}
END_TEST

START_TEST (cancelling_null_is_harmless)
{
  eio_cancel (0);
  expect_counters (0, 0, 0);
  expect_usable ();
}
END_TEST

/*****************************************************************************
 * eio_init                                                                  *
 *****************************************************************************/

static atomic_int wants;

static void
count_want (void)
{
  ++wants;
}

static void
drain_busily (void)
{
  double end = now () + 30;
  while (eio_nreqs ())
    {
      ck_assert_msg (now () < end, "not drained");
      eio_poll ();
      sched_yield ();
    }
}

/* One bit for each callback that is there. */
START_TEST (callbacks_of_init_may_be_null)
{
  prepare_stays ();
  ck_assert_int_eq (eio_init (_i & 1 ? count_want : 0,
                              _i & 2 ? count_want : 0), 0);
  for (int i = 0; i < 100; ++i)
    {
      eio_nop (0, count, 0);
      eio_grp (count, 0);
      eio_poll ();
    }
  drain_busily ();
  ck_assert_int_eq (finishes, 200);
  ck_assert_int_eq (wants != 0, _i != 0);
}
END_TEST

START_TEST (settings_before_init_are_remembered)
{
  eio_set_max_parallel (2);
  eio_set_max_poll_reqs (3);
  eio_set_max_idle (1);
  eio_set_idle_timeout (0);
  start ();
  submit_staying (5);
  expect_executing (2, 5);
  give (&let_go, 5);
  wait_until (eio_npending () == 5);
  ck_assert_int_eq (eio_poll (), -1);
  expect_counters (2, 0, 2);
  wait_until (eio_nthreads () == 1);
}
END_TEST

START_TEST (limit_0_before_init_is_remembered)
{
  eio_set_max_parallel (0);
  start ();
  submit_staying (1);
  nap (GRACE_MS);
  expect_counters (1, 1, 0);
  eio_set_min_parallel (1);
  await_arrivals (1);
  release_all (1);
}
END_TEST

START_TEST (raised_limit_and_poll_time_before_init_are_remembered)
{
  eio_set_min_parallel (6);
  eio_set_max_poll_time (1e-9);
  start ();
  submit_staying (8);
  expect_executing (6, 8);
  give (&let_go, 8);
  wait_until (eio_npending () == 8);
  ck_assert_int_eq (eio_poll (), -1);
}
END_TEST

START_TEST (calls_before_init_do_no_harm)
{
  eio_req *grp;
  expect_counters (0, 0, 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  eio_cancel (0);
  eio_poll ();
  eio_nop (0, 0, 0);
  grp = eio_grp (0, 0);
  if (grp)
    eio_grp_add (grp, eio_nop (0, 0, 0));
  /* They may work or not, but if so, they should not leak. */
  for (int i = 0; i < 1000 && eio_nreqs (); ++i)
    {
      eio_poll ();
      nap (1);
    }
  start ();
  expect_counters (0, 0, 0);
  expect_usable ();
}
END_TEST

START_TEST (second_init_abandons_requests_and_keeps_settings)
{
  static eio_req reqs[7];
  eio_set_max_parallel (2);
  eio_set_max_poll_reqs (1);
  for (int i = 0; i < 3; ++i)
    submit_pending (&reqs[i], count);
  eio_set_max_parallel (0);
  for (int i = 3; i < 6; ++i)
    submit_raw (&reqs[i], EIO_NOP, count, count_destroy);
  submit_raw (&reqs[6], EIO_GROUP, count, count_destroy);
  host_start ();
  expect_counters (0, 0, 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (host_wants (), 0);

  submit_staying (4);
  nap (GRACE_MS);
  expect_counters (4, 4, 0);
  eio_set_min_parallel (2);
  expect_executing (2, 4);
  give (&let_go, 4);
  wait_until (eio_npending () == 4);
  ck_assert_int_eq (host_poll (), -1);
  expect_counters (3, 0, 3);
  host_drain ();
  ck_assert_int_eq (finishes, 0);
  ck_assert_int_eq (destroyed, 0);
}
END_TEST

START_TEST (second_init_keeps_the_rest_of_the_settings)
{
  double begin;
  eio_set_min_parallel (8);
  eio_set_max_idle (1);
  eio_set_idle_timeout (0);
  eio_set_max_poll_time (1e-9);
  host_start ();

  begin = now ();
  submit_staying (8);
  expect_executing (8, 8);
  give (&let_go, 8);
  wait_until (eio_npending () == 8);
  ck_assert_int_eq (host_poll (), -1);
  wait_until (eio_nthreads () == 1);
  ck_assert_double_lt (now () - begin, 8); /* not the initial 10 */
  nap (GRACE_MS);
  ck_assert_uint_eq (eio_nthreads (), 1);
}
END_TEST

/* Workers of the old life end what they do, and bother nobody. */
static int
init_again (eio_req *req)
{
  host_start ();
  return count (req);
}

/* What is pending beside it is of the old life. */
START_TEST (init_in_a_callback_begins_a_new_life)
{
  static eio_req reqs[3];
  for (int i = 1; i <= 20; ++i)
    {
      memset (reqs, 0, sizeof reqs);
      submit_pending (&reqs[0], init_again);
      submit_pending (&reqs[1], count);
      submit_pending (&reqs[2], count);
      eio_poll ();
      ck_assert_int_eq (finishes, i);
      expect_counters (0, 0, 0);
      ck_assert_int_eq (eio_poll (), 0);
      expect_usable ();
    }
  ck_assert_int_eq (destroyed, 0);
}
END_TEST

START_TEST (second_init_abandons_workers_that_execute)
{
  static eio_req reqs[5];
  for (int i = 0; i < 3; ++i)
    {
      reqs[i].type = EIO_CUSTOM;
      reqs[i].feed = stay;
      reqs[i].finish = count;
      reqs[i].destroy = count_destroy;
      eio_submit (&reqs[i]);
    }
  await_arrivals (3);
  eio_set_max_poll_reqs (1);
  submit_pending (&reqs[3], count);
  submit_pending (&reqs[4], count);
  ck_assert_int_eq (host_poll (), -1);
  host_start ();
  expect_counters (0, 0, 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  occupy_workers (1);
  ck_assert_uint_eq (eio_nthreads (), 1);
  give (&let_go, 4);
  host_drain ();
  nap (GRACE_MS);
  expect_counters (0, 0, 0);
  ck_assert_uint_eq (eio_nthreads (), 1);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (destroyed, 1);
  expect_usable ();
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nthreads (), 0);
}
END_TEST

START_TEST (init_may_come_again_and_again)
{
  for (int i = 0; i < 50; ++i)
    {
      host_start ();
      expect_usable ();
    }
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_counters (Suite *suite)
{
  TCase *tc = add_case (suite, "counters", 60, start, 0);
  tcase_add_test (tc, counters_follow_a_request_through_its_life);
  tcase_add_test (tc, counters_add_up_over_many_requests);
  tcase_add_test (tc, request_is_not_counted_in_its_own_finish);
  tcase_add_test (tc, group_counts_until_polled_then_its_members_do);
  tcase_add_test (tc, housekeeping_never_shows_in_counters);
}

static void
add_order (Suite *suite)
{
  TCase *tc = add_case (suite, "order", 60, start, 0);
  tcase_add_test (tc, execution_is_by_priority_then_fifo);
  tcase_add_test (tc, results_are_handed_over_by_priority_then_fifo);
  tcase_add_test (tc, higher_result_that_arrives_between_polls_is_next);
  tcase_add_test (tc, finish_sees_the_priority_that_the_caller_set);
}

static void
add_poll (Suite *suite)
{
  TCase *tc = add_case (suite, "poll", 60, start, 0);
  tcase_add_test (tc, poll_without_results_returns_0);
  tcase_add_test (tc, max_poll_reqs_limits_each_poll);
  tcase_add_test (tc, largest_max_poll_reqs_is_no_hindrance);
  tcase_add_loop_test (tc, max_poll_time_stops_after_a_callback,
                       0, LENGTH (poll_times));
  tcase_add_test (tc, max_poll_time_lets_several_pass_when_there_is_time);
  tcase_add_test (tc, value_of_a_callback_is_returned_at_once);
  tcase_add_test (tc, value_beats_the_limit_reached_with_it);
  tcase_add_test (tc, nested_poll_handles_what_is_pending);
  tcase_add_test (tc, nested_poll_keeps_the_limits);
  tcase_add_test (tc, value_in_a_nested_poll_is_the_nested_polls);
  tcase_add_test (tc, polls_nest_deeply_and_keep_the_order);
  tcase_add_test (tc, callback_may_submit);
  tcase_add_test (tc, destroy_may_submit);
  tcase_add_test (tc, destroy_may_poll);
  tcase_add_test (tc, callbacks_run_once_and_only_inside_poll);
  tcase_add_test (tc, polling_thread_may_change);
  tcase_add_test (tc, requests_without_callbacks_just_end);
}

static void
add_resubmit (Suite *suite)
{
  TCase *tc = add_case (suite, "resubmit", 60, start, 0);
  tcase_add_test (tc, request_may_be_resubmitted_from_its_finish);
  tcase_add_test (tc, resubmission_keeps_buffers);
  tcase_add_test (tc, resubmitted_member_leaves_its_group);
  tcase_add_test (tc, resubmitted_member_may_join_its_group_again);
  tcase_add_test (tc, resubmitted_request_may_be_gone_after_a_nested_poll);
  tcase_add_test (tc, resubmitted_member_may_be_gone_after_a_nested_poll);
  tcase_add_test (tc, resubmitted_request_may_be_freed_in_a_nested_poll);
  tcase_add_test (tc, resubmissions_nest_deeply);
  tcase_add_test (tc, request_may_be_resubmitted_by_a_nested_callback);
  tcase_add_test (tc, resubmitted_request_waits_for_its_turn);
}

static void
add_jump (Suite *suite)
{
  TCase *tc = add_case (suite, "jump", 60, start, 0);
  tcase_add_test (tc, jump_leaves_a_finished_request_to_the_next_poll);
  tcase_add_test (tc,
                  jump_of_the_last_result_leaves_its_destroy_to_the_next_poll);
  tcase_add_test (tc, jumps_in_a_row_are_all_destroyed);
  tcase_add_test (tc, poll_after_a_jump_may_be_anywhere);
  tcase_add_test (tc, poll_far_below_a_jump_leaves_it_to_the_next);
  tcase_add_test (tc, group_goes_on_after_its_only_member_jumped);
  tcase_add_test (tc,
                  group_goes_on_after_a_member_jumped_in_an_unasked_poll);
  tcase_add_test (tc, group_waits_for_the_others_after_a_member_jumped);
  tcase_add_test (tc, groups_finish_may_jump_too);
  tcase_add_loop_test (tc, destroy_may_jump_too, 0, 2);
  tcase_add_loop_test (tc, poll_in_destroy_may_be_left, 0, 2);
  tcase_add_loop_test (
    tc, poll_in_destroy_does_not_complete_what_is_being_completed, 0, 2);
  tcase_add_test (tc, feeder_goes_on_after_its_members_jumped);
  tcase_add_test (tc, host_is_told_of_what_a_jump_left);
  tcase_add_test (tc, jump_out_of_a_nested_poll_leaves_the_outer_one_usable);
  tcase_add_test (tc, poll_after_a_nested_jump_spares_the_running_callback);
  tcase_add_test (tc, jump_out_of_several_polls_finishes_all_of_them);
}

static void
add_limits (Suite *suite)
{
  TCase *tc = add_case (suite, "limits", 60, start, 0);
  tcase_add_test (tc, limit_is_four_by_default);
  tcase_add_test (tc, workers_start_only_on_demand);
  tcase_add_test (tc, min_parallel_raises_and_starts_what_is_queued);
  tcase_add_test (tc, min_parallel_never_lowers);
  tcase_add_test (tc, max_parallel_never_raises);
  tcase_add_test (tc, max_parallel_blocks_until_no_more_workers_exist);
  tcase_add_test (tc, max_parallel_removes_idle_workers_before_it_returns);
  tcase_add_test (tc, limit_0_queues_and_raising_it_starts_at_once);
  tcase_add_test (tc, worker_may_lower_the_limit_to_0);
  tcase_add_test (tc, worker_that_lowers_the_limit_to_1_is_the_one);
  tcase_add_test (tc, two_workers_and_the_host_may_lower_the_limit_at_once);
  tcase_add_test (tc, workers_that_lower_the_limit_may_wait_for_each_other);
  tcase_add_test (tc, concurrent_raise_ends_the_wait_of_max_parallel);
  tcase_add_loop_test (tc, workers_never_exceed_the_limit, 1, 4);
  tcase_add_test (tc, lowered_limits_and_idle_exits_count_each_worker_once);
  tcase_add_test (tc, settings_may_change_on_any_thread_at_any_time);
}

static void
add_idle (Suite *suite)
{
  TCase *tc = add_case (suite, "idle", 60, start, 0);
  tcase_add_loop_test (tc, idle_workers_beyond_max_idle_exit, 0, 3);
  tcase_add_loop_test (tc, workers_that_have_left_leave_no_stack_behind, 0, 3);
  tcase_add_test (tc, four_workers_may_idle_by_default);
  tcase_add_test (tc, idle_workers_stay_for_seconds_by_default);
  tcase_add_test (tc, lowered_max_idle_applies_to_who_idles);
  tcase_add_test (tc, lowered_idle_timeout_applies_to_who_idles);
  tcase_add_test (tc, longest_idle_timeout_does_not_wrap);
  tcase_add_test (tc, request_that_arrives_while_a_worker_leaves_is_executed);
  tcase_add_test (tc, request_that_arrives_while_the_limit_falls_is_executed);
  tcase_add_test (tc, requests_that_arrive_while_many_time_out_are_executed);
  tcase_add_test (tc, last_idle_worker_is_woken_first);
  tcase_add_test (tc, idle_workers_are_reaped_although_requests_keep_coming);
}

static void
add_workers (Suite *suite)
{
  TCase *tc = add_case (suite, "workers", 60, start, 0);
  tcase_add_test (tc, workers_block_all_but_synchronous_signals);
  tcase_add_test (tc, stack_is_neither_small_nor_the_default);
  tcase_add_test (tc, custom_functions_may_use_192_kib_of_stack);
}

static void
add_workers_before_init (Suite *suite)
{
  TCase *tc = add_case (suite, "workers before init", 60, 0, 0);
  tcase_add_loop_test (tc, workers_are_named_after_the_process,
                       0, LENGTH (names));
  tcase_add_test (tc, worker_is_not_named_after_who_submits);
  tcase_add_test (tc, worker_inherits_nothing_from_the_worker_that_starts_it);
  tcase_add_test (tc, worker_is_as_nice_as_its_pool);
  tcase_add_test (tc, worker_does_not_inherit_what_is_reset_on_fork);
}

static void
add_memory (Suite *suite)
{
  TCase *tc = add_case (suite, "memory", 60, start, 0);
  tcase_add_test (tc, writes_are_visible_to_worker_and_finish);
  tcase_add_test (tc, cancelling_null_is_harmless);
}

static void
add_init (Suite *suite)
{
  TCase *tc = add_case (suite, "init", 60, start, 0);
  tcase_add_test (tc, second_init_abandons_requests_and_keeps_settings);
  tcase_add_test (tc, second_init_keeps_the_rest_of_the_settings);
  tcase_add_test (tc, second_init_abandons_workers_that_execute);
  tcase_add_test (tc, init_in_a_callback_begins_a_new_life);
  tcase_add_test (tc, init_may_come_again_and_again);
}

static void
add_init_before_init (Suite *suite)
{
  TCase *tc = add_case (suite, "init before init", 60, 0, 0);
  tcase_add_loop_test (tc, callbacks_of_init_may_be_null, 0, 4);
  tcase_add_test (tc, settings_before_init_are_remembered);
  tcase_add_test (tc, limit_0_before_init_is_remembered);
  tcase_add_test (tc, raised_limit_and_poll_time_before_init_are_remembered);
  tcase_add_test (tc, calls_before_init_do_no_harm);
}

int
main (void)
{
  Suite *suite = suite_create ("pool");
  add_counters (suite);
  add_order (suite);
  add_poll (suite);
  add_resubmit (suite);
  add_jump (suite);
  add_limits (suite);
  add_idle (suite);
  add_workers (suite);
  add_workers_before_init (suite);
  add_memory (suite);
  add_init (suite);
  add_init_before_init (suite);
  return run_suite (suite);
}
