/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* want_poll and done_poll: exactly what they say while nothing else moves,
 * and what a host may rely on while everything does.  That the two alternate
 * and never overlap is checked by the host of support.c all the time. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "support.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

static unsigned int random_state = 1;

static unsigned int
random_below (unsigned int n)
{
  return xorshift32 (&random_state) % n;
}

static int
random_pri (void)
{
  return (int)random_below (9) - 4;
}

/* Makes n results pending, and then sees to it that nothing else happens. */
static void
freeze_pending (unsigned int n, eio_cb cb)
{
  unsigned int goal = eio_npending () + n;
  eio_set_min_parallel (4);
  while (n--)
    ck_assert_ptr_nonnull (eio_nop (random_pri (), cb, 0));
  wait_until (eio_npending () == goal);
  eio_set_max_parallel (0);
}

/* While nothing else happens: readable exactly if anything is left. */
static void
expect_left (unsigned int left)
{
  ck_assert_uint_eq (eio_npending (), left);
  ck_assert_int_eq (host_wants () - host_dones (), left > 0);
  ck_assert_int_eq (host_wait (0), left > 0);
}

/* ... as it is when all workers have gone. */
static void
expect_quiet (void)
{
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nreqs (), 0);
  expect_left (0);
}

/*****************************************************************************
 * While nothing else happens                                                *
 *****************************************************************************/

START_TEST (nothing_is_signalled_without_results)
{
  expect_left (0);
  ck_assert_int_eq (eio_poll (), 0);
  eio_set_max_parallel (0);
  eio_nop (0, count, 0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (host_wants (), 0);
  ck_assert_int_eq (host_dones (), 0);
}
END_TEST

START_TEST (want_once_for_many_and_done_once)
{
  for (int i = 0; i < 10; ++i)
    {
      freeze_pending (20, count);
      ck_assert_int_eq (host_wants (), i + 1);
      expect_left (20);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (host_dones (), i + 1);
      expect_left (0);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (host_dones (), i + 1);
    }
}
END_TEST

START_TEST (readable_between_polls_limited_in_number)
{
  for (unsigned int limit = 1; limit <= 13; ++limit)
    for (unsigned int left = 1; left <= 12; ++left)
      {
        unsigned int rest = left;
        eio_set_max_poll_reqs (limit);
        freeze_pending (left, count);
        do
          {
            rest = rest > limit ? rest - limit : 0;
            ck_assert_int_eq (eio_poll (), rest ? -1 : 0);
            expect_left (rest);
          }
        while (rest);
      }
}
END_TEST

static int
count_slowly (eio_req *req)
{
  nap (1);
  return count (req);
}

START_TEST (readable_between_polls_limited_in_time)
{
  eio_set_max_poll_time (1e-6);
  freeze_pending (20, count_slowly);
  for (int left = 20; left--;)
    {
      ck_assert_int_eq (eio_poll (), left ? -1 : 0);
      expect_left (left);
    }
}
END_TEST

static int value;

static int
return_value (eio_req *req)
{
  count (req);
  return value;
}

START_TEST (readable_after_early_return_unless_it_was_the_last)
{
  value = 3;
  freeze_pending (20, return_value);
  for (int left = 20; left--;)
    {
      ck_assert_int_eq (eio_poll (), 3);
      expect_left (left);
    }
  ck_assert_int_eq (eio_poll (), 0);
  expect_left (0);
}
END_TEST

/* Polls inside, and then the rules hold as they do outside. */
static int
poll_inside (eio_req *req)
{
  unsigned int left;
  count (req);
  eio_poll ();
  left = eio_npending ();
  expect_left (left);
  return 0;
}

START_TEST (nested_polls_leave_the_signal_right)
{
  for (unsigned int limit = 0; limit < 10; ++limit)
    {
      eio_set_max_poll_reqs (limit);
      freeze_pending (25, poll_inside);
      for (int polls = 0; eio_nreqs (); ++polls)
        {
          int result = eio_poll ();
          unsigned int left = eio_npending ();
          ck_assert_int_eq (result, left ? -1 : 0);
          expect_left (left);
          ck_assert_int_lt (polls, 25);
        }
    }
  ck_assert_int_eq (finishes, 250);
}
END_TEST

START_TEST (empty_group_signals_and_is_done_after_a_poll)
{
  eio_set_max_parallel (0);
  for (int i = 1; i <= 10; ++i)
    {
      ck_assert_ptr_nonnull (eio_grp (count, 0));
      ck_assert_int_eq (host_wait (0), 1);
      ck_assert_int_eq (host_wants (), i);
      ck_assert_int_eq (eio_poll (), 0);
      expect_left (0);
      ck_assert_int_eq (finishes, i);
    }
}
END_TEST

START_TEST (waiting_group_is_nothing_to_poll_for)
{
  eio_req *grp;
  eio_set_max_parallel (0);
  grp = eio_grp (count, 0);
  eio_grp_add (grp, eio_nop (0, count, 0));
  ck_assert_int_eq (eio_poll (), 0);
  expect_left (0);
  ck_assert_int_eq (finishes, 0);
  eio_set_min_parallel (1);
  host_drain ();
  ck_assert_int_eq (finishes, 2);
  expect_quiet ();
}
END_TEST

START_TEST (group_left_by_an_early_return_is_signalled)
{
  eio_req *grp = eio_grp (count, 0);
  int result;
  value = 5;
  eio_grp_add (grp, eio_nop (0, return_value, 0));
  do
    result = host_poll ();
  while (!finishes);
  ck_assert_int_eq (result, 5);
  eio_set_max_parallel (0);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (host_wants () - host_dones (), 1);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 2);
  expect_left (0);
}
END_TEST

static int
submit_group (eio_req *req)
{
  count (req);
  eio_grp (count, 0);
  return 0;
}

START_TEST (group_submitted_by_a_callback_is_signalled_or_done)
{
  for (unsigned int limit = 0; limit < 4; ++limit)
    {
      eio_set_max_poll_reqs (limit);
      freeze_pending (5, submit_group);
      for (int polls = 0; eio_nreqs (); ++polls)
        {
          int result = eio_poll ();
          ck_assert_int_eq (result, host_wait (0) ? -1 : 0);
          ck_assert_int_eq (host_wants () - host_dones (), -result);
          ck_assert_int_lt (polls, 11);
        }
      expect_left (0);
    }
  ck_assert_int_eq (finishes, 40);
}
END_TEST

static eio_req *kept[20];

START_TEST (cancelled_results_are_signalled_too)
{
  for (int i = 0; i < 20; ++i)
    kept[i] = eio_nop (0, count, 0);
  wait_until (eio_npending () == 20);
  eio_set_max_parallel (0);
  for (int i = 0; i < 20; ++i)
    eio_cancel (kept[i]);
  ck_assert_int_eq (host_wait (0), 1);
  eio_set_max_poll_reqs (15);
  eio_poll ();
  ck_assert_int_eq (host_wait (0), eio_nreqs () > 0);
  host_drain ();
  expect_left (0);
  ck_assert_int_eq (finishes, 0);
}
END_TEST

START_TEST (cancelled_requests_end_without_a_worker_or_with_one)
{
  eio_set_max_parallel (0);
  for (int i = 0; i < 20; ++i)
    kept[i] = eio_nop (0, count, 0);
  for (int i = 0; i < 20; ++i)
    eio_cancel (kept[i]);
  eio_set_min_parallel (2);
  host_drain ();
  expect_quiet ();
  ck_assert_int_eq (finishes, 0);
}
END_TEST

/*****************************************************************************
 * While everything happens                                                  *
 *****************************************************************************/

typedef struct
{
  int submitters; /* 0: the host submits */
  unsigned int workers;
  unsigned int max_reqs;
  double max_time;
  int chaos; /* callbacks do what they like */
} load;

static const load loads[] = {
  { 0, 4, 0, 0, 0 },   { 0, 1, 1, 0, 0 },   { 1, 4, 0, 0, 0 },
  { 1, 1, 1, 0, 0 },   { 1, 4, 3, 0, 0 },   { 4, 4, 0, 0, 0 },
  { 4, 8, 1, 0, 0 },   { 4, 2, 7, 1e-6, 0 }, { 0, 4, 0, 0, 1 },
  { 0, 4, 1, 0, 1 },   { 1, 2, 2, 0, 1 },   { 4, 4, 5, 1e-5, 1 },
  { 4, 8, 0, 0, 1 }
};

#define PER_SUBMITTER 1500

static int depth, extra, last_value, groups;
static int polls, vain_polls;

/* One eio_poll, and what a host may rely on afterwards. */
static void
checked_poll (void)
{
  int before = finishes, result;
  last_value = 0;
  errno = 0;
  result = eio_poll ();
  if (!depth)
    {
      ++polls;
      vain_polls += finishes == before;
    }
  if (result == -1)
    {
      /* Something is left, so the signal stands, and stands already. */
      ck_assert_int_eq (errno, EAGAIN);
      ck_assert_int_eq (host_wants () - host_dones (), 1);
      ck_assert_int_eq (host_wait (0), 1);
    }
  else
    ck_assert_int_eq (result, last_value);
  /* Only this thread takes results, so these wait for it. */
  if (eio_npending ())
    ck_assert_int_eq (host_wait (20000), 1);
}

static int cause_chaos (eio_req *req);

static void
submit_chaotic_group (void)
{
  eio_req *grp = eio_grp (cause_chaos, 0);
  ++groups;
  for (int n = random_below (4); n--; ++extra)
    eio_grp_add (grp, eio_nop (random_pri (), cause_chaos, 0));
}

static int
cause_chaos (eio_req *req)
{
  int mine = 0;
  count (req);
  switch (random_below (16))
    {
    case 0:
      mine = 1 + random_below (100);
      break;
    case 1:
      if (depth++ < 5)
        checked_poll ();
      --depth;
      break;
    case 2:
      eio_nop (random_pri (), count, 0);
      ++extra;
      break;
    case 3:
      if (groups < 500)
        submit_chaotic_group ();
      break;
    }
  last_value = mine;
  return mine;
}

static eio_cb callback;

static void *
submit_load (void *arg)
{
  unsigned int pri = (unsigned int)(uintptr_t)arg;
  for (int i = 0; i < PER_SUBMITTER; ++i)
    {
      pri = pri * 1103515245 + 12345;
      eio_nop ((int)(pri / 65536 % 9) - 4, callback, 0);
      if (pri / 65536 % 64 == 0)
        sched_yield ();
    }
  return 0;
}

static void
start_load (const load *l, pthread_t *threads)
{
  callback = l->chaos ? cause_chaos : count;
  eio_set_max_parallel (l->workers);
  eio_set_min_parallel (l->workers);
  eio_set_max_poll_reqs (l->max_reqs);
  eio_set_max_poll_time (l->max_time);
  for (int i = 0; i < l->submitters; ++i)
    pthread_create (&threads[i], 0, submit_load, (void *)(uintptr_t)(i + 1));
}

static int
goal (const load *l)
{
  return (l->submitters ? l->submitters : 1) * PER_SUBMITTER + extra + groups;
}

static void
end_load (const load *l, pthread_t *threads)
{
  for (int i = 0; i < l->submitters; ++i)
    pthread_join (threads[i], 0);
  ck_assert_int_eq (finishes, goal (l));
  expect_quiet ();
}

/* A host that polls only when told to: it gets everything, and is not woken
 * for nothing. */
START_TEST (host_that_polls_when_told_gets_everything)
{
  const load *l = &loads[_i];
  pthread_t threads[4];
  random_state = _i + 1;
  start_load (l, threads);
  if (!l->submitters)
    submit_load (0);
  while (finishes < goal (l))
    {
      host_wait (-1);
      checked_poll ();
    }
  end_load (l, threads);
  /* A poll may see nothing but a group that waits for its members, or find
   * that a nested one has done it all. */
  ck_assert_msg (vain_polls <= 2 * groups + polls / 20 + 5,
                 "%d of %d polls were in vain", vain_polls, polls);
}
END_TEST

/* A host that polls all the time, told or not. */
START_TEST (host_that_polls_unasked_gets_everything)
{
  const load *l = &loads[_i];
  pthread_t threads[4];
  random_state = _i + 1;
  start_load (l, threads);
  if (!l->submitters)
    for (int i = 0; i < PER_SUBMITTER; ++i)
      {
        eio_nop (random_pri (), callback, 0);
        checked_poll ();
      }
  while (finishes < goal (l))
    {
      checked_poll ();
      sched_yield ();
    }
  end_load (l, threads);
}
END_TEST

/* One after the other: each result is signalled, each poll finds one. */
START_TEST (each_of_many_single_results_is_signalled)
{
  for (int i = 1; i <= 3000; ++i)
    {
      eio_nop (random_pri (), count, 0);
      ck_assert_int_eq (host_poll (), 0);
      ck_assert_int_eq (finishes, i);
    }
  ck_assert_int_eq (host_wants (), 3000);
  expect_quiet ();
}
END_TEST

/*****************************************************************************
 * Hosts of other kinds                                                      *
 *****************************************************************************/

/* A host with a blocking pipe, whose callbacks take their time. */
static int ends[2];
static int want_ms, done_ms;
static atomic_int in_want, in_done, signalled, mistakes, in_poll;
static pthread_t poll_thread;

static void
mistake (int bit)
{
  atomic_fetch_or (&mistakes, bit);
}

static void
dawdling_want (void)
{
  if (in_want++ || in_done)
    mistake (1);
  if (signalled)
    mistake (2);
  if (want_ms)
    nap (want_ms);
  if (write (ends[1], "w", 1) != 1)
    mistake (4);
  if (want_ms)
    nap (want_ms);
  signalled = 1;
  --in_want;
}

static void
dawdling_done (void)
{
  char c;
  if (in_want || in_done++)
    mistake (8);
  if (!signalled)
    mistake (16);
  if (!in_poll || !pthread_equal (poll_thread, pthread_self ()))
    mistake (32);
  if (done_ms)
    nap (done_ms);
  if (read (ends[0], &c, 1) != 1)
    mistake (64);
  signalled = 0;
  --in_done;
}

static void
start_dawdler (int want, int done)
{
  want_ms = want;
  done_ms = done;
  poll_thread = pthread_self ();
  ck_assert_int_eq (pipe (ends), 0);
  ck_assert_int_eq (eio_init (dawdling_want, dawdling_done), 0);
}

static int
dawdler_readable (int ms)
{
  struct pollfd p = { ends[0], POLLIN, 0 };
  return poll (&p, 1, ms) == 1;
}

static int
poll_dawdler (void)
{
  int result;
  ++in_poll;
  result = eio_poll ();
  --in_poll;
  ck_assert_int_eq (mistakes, 0);
  /* With something left, want_poll has not only been called. */
  if (result == -1)
    {
      ck_assert_int_eq (signalled, 1);
      ck_assert_int_eq (in_want, 0);
    }
  return result;
}

static const struct { int want_ms, done_ms, unasked; unsigned int reqs; }
dawdlers[] = {
  { 0, 0, 0, 0 }, { 0, 0, 1, 1 }, { 5, 0, 0, 0 }, { 5, 0, 0, 1 },
  { 5, 0, 1, 0 }, { 5, 0, 1, 1 }, { 0, 5, 0, 0 }, { 0, 5, 1, 1 },
  { 2, 2, 0, 3 }, { 2, 2, 1, 2 }
};

static void *
submit_in_bursts (void *arg)
{
  for (int i = 0; i < 100; ++i)
    {
      eio_nop (i % 9 - 4, count, 0);
      if (i % 4 == 3)
        nap (1);
    }
  return arg;
}

START_TEST (slow_callbacks_neither_overlap_nor_get_lost)
{
  pthread_t threads[4];
  int n = 1 + _i % 2 * 3;
  start_dawdler (dawdlers[_i].want_ms, dawdlers[_i].done_ms);
  eio_set_max_poll_reqs (dawdlers[_i].reqs);
  for (int i = 0; i < n; ++i)
    pthread_create (&threads[i], 0, submit_in_bursts, 0);
  while (finishes < 100 * n)
    {
      if (!dawdlers[_i].unasked)
        ck_assert_msg (dawdler_readable (20000), "%d of %d finishes", finishes,
                       100 * n);
      poll_dawdler ();
      sched_yield ();
    }
  for (int i = 0; i < n; ++i)
    pthread_join (threads[i], 0);
  eio_set_max_parallel (0);
  ck_assert_int_eq (mistakes, 0);
  ck_assert_int_eq (signalled, 0);
  ck_assert_int_eq (dawdler_readable (0), 0);
}
END_TEST

/* The poll comes while want_poll sleeps: it may take the result, but may
 * not say that it is done before want_poll has returned. */
START_TEST (done_waits_for_a_want_that_sleeps)
{
  start_dawdler (20, 0);
  for (int i = 1; i <= 20; ++i)
    {
      eio_nop (0, count, 0);
      wait_until (in_want || signalled);
      while (finishes < i)
        poll_dawdler ();
      eio_set_max_parallel (0);
      eio_set_min_parallel (4);
      ck_assert_int_eq (signalled, 0);
      ck_assert_int_eq (dawdler_readable (0), 0);
    }
}
END_TEST

static sem_t want_began, want_may_end;

static void
blocked_want (void)
{
  sem_post (&want_began);
  take (&want_may_end);
}

/* A want_poll that blocks, as on a full pipe, until the host comes round. */
START_TEST (submission_and_counters_do_not_wait_for_want)
{
  sem_init (&want_began, 0, 0);
  sem_init (&want_may_end, 0, 0);
  ck_assert_int_eq (eio_init (blocked_want, 0), 0);
  eio_nop (0, count, 0);
  take (&want_began);
  eio_nop (0, count, 0);
  ck_assert_uint_eq (eio_nreqs (), 2);
  ck_assert_uint_ge (eio_nthreads (), 1);
  ck_assert_uint_le (eio_nready (), 1);
  ck_assert_uint_ge (eio_npending (), 1);
  sem_post (&want_may_end);
  while (eio_nreqs ())
    {
      sem_post (&want_may_end);
      eio_poll ();
    }
  ck_assert_int_eq (finishes, 2);
}
END_TEST

/* One worker is in it; the others go on. */
START_TEST (blocked_want_keeps_no_other_worker_from_work)
{
  prepare_stays ();
  sem_init (&want_began, 0, 0);
  sem_init (&want_may_end, 0, 0);
  ck_assert_int_eq (eio_init (blocked_want, 0), 0);
  eio_nop (0, count, 0);
  take (&want_began);
  for (int i = 0; i < 4; ++i)
    eio_custom (stay, 0, count, 0);
  await_arrivals (3);
  give (&want_may_end, 1);
  await_arrivals (1);
  give (&let_go, 4);
  while (eio_nreqs ())
    {
      sem_post (&want_may_end);
      eio_poll ();
    }
  ck_assert_int_eq (finishes, 5);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_frozen (Suite *suite)
{
  TCase *tc = add_case (suite, "frozen", 60, host_start, 0);
  tcase_add_test (tc, nothing_is_signalled_without_results);
  tcase_add_test (tc, want_once_for_many_and_done_once);
  tcase_add_test (tc, readable_between_polls_limited_in_number);
  tcase_add_test (tc, readable_between_polls_limited_in_time);
  tcase_add_test (tc, readable_after_early_return_unless_it_was_the_last);
  tcase_add_test (tc, nested_polls_leave_the_signal_right);
  tcase_add_test (tc, empty_group_signals_and_is_done_after_a_poll);
  tcase_add_test (tc, waiting_group_is_nothing_to_poll_for);
  tcase_add_test (tc, group_left_by_an_early_return_is_signalled);
  tcase_add_test (tc, group_submitted_by_a_callback_is_signalled_or_done);
  tcase_add_test (tc, cancelled_results_are_signalled_too);
  tcase_add_test (tc, cancelled_requests_end_without_a_worker_or_with_one);
}

static void
add_loads (Suite *suite)
{
  TCase *tc = add_case (suite, "loads", 300, host_start, 0);
  tcase_add_loop_test (tc, host_that_polls_when_told_gets_everything, 0,
                       LENGTH (loads));
  tcase_add_loop_test (tc, host_that_polls_unasked_gets_everything, 0,
                       LENGTH (loads));
  tcase_add_test (tc, each_of_many_single_results_is_signalled);
}

static void
add_hosts (Suite *suite)
{
  TCase *tc = add_case (suite, "hosts", 60, 0, 0);
  tcase_add_loop_test (tc, slow_callbacks_neither_overlap_nor_get_lost, 0,
                       LENGTH (dawdlers));
  tcase_add_test (tc, done_waits_for_a_want_that_sleeps);
  tcase_add_test (tc, submission_and_counters_do_not_wait_for_want);
  tcase_add_test (tc, blocked_want_keeps_no_other_worker_from_work);
}

int
main (void)
{
  Suite *suite = suite_create ("signal");
  add_frozen (suite);
  add_loads (suite);
  add_hosts (suite);
  return run_suite (suite);
}
