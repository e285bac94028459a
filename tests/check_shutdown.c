/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* eio_shutdown: nothing is lost before it, nothing is left behind it, and the
 * library can begin again. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#ifdef HAVE_CONFIG_H
# include "config.h"
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"
#include "probe.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

static const int modes[] = { EIO_SHUTDOWN_DRAIN, EIO_SHUTDOWN_CANCEL };

static int threads, fds;

static int
return_1 (eio_req *req)
{
  return count (req) + 1;
}

static void *
do_nothing (void *arg)
{
  return arg;
}

/* A sanitizer may start a thread of its own beside our first one; and one that
 * has been joined may be seen for a moment. */
static void
start (void)
{
  pthread_t other;

  pthread_create (&other, 0, do_nothing, 0);
  pthread_join (other, 0);
  if (HAVE_SANITIZER)
    nap (20);
  else
    wait_until (count_threads () == 1);
  threads = count_threads ();
  prepare_stays ();
  host_start ();
  fds = count_fds ();
}

static void
assert_nothing_is_left (void)
{
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  wait_until (count_threads () == threads);
  ck_assert_int_eq (count_fds (), fds);
  ck_assert_int_eq (host_wait (0), 0);
  ck_assert_int_eq (host_wants (), host_dones ());
}

static void
shut_down (int mode)
{
  ck_assert_int_eq (eio_shutdown (mode, 30), 0);
  assert_nothing_is_left ();
}

/* It is as good as new. */
static void
expect_to_work (void)
{
  outcome o = { 0 };

  host_start ();
  ck_assert_ptr_nonnull (eio_nop (0, note, &o));
  host_drain ();
  assert_ok (o, 0);
}

/*****************************************************************************
 * The tests                                                                 *
 *****************************************************************************/

START_TEST (library_that_rests_can_be_shut_down)
{
  int i;

  for (i = 0; i < 3; ++i)
    shut_down (modes[_i]); /* again, too */
  expect_to_work ();
  shut_down (modes[_i]);
  expect_to_work ();
}
END_TEST

START_TEST (draining_executes_and_finishes_all)
{
  eio_req *grp;
  int i;

  eio_set_max_poll_reqs (2);
  for (i = 0; i < 20; ++i)
    eio_busy (0.002, i % 9 - 4, i % 3 ? count : return_1, 0);
  grp = eio_grp (count, 0);
  for (i = 0; i < 10; ++i)
    eio_grp_add (grp, eio_nop (0, return_1, 0));
  shut_down (EIO_SHUTDOWN_DRAIN);
  ck_assert_int_eq (finishes, 31);
}
END_TEST

static int
submit_more (eio_req *req)
{
  if (++finishes < 50)
    eio_nop (0, submit_more, req->data);
  return 0;
}

START_TEST (draining_includes_what_callbacks_submit)
{
  eio_nop (0, submit_more, 0);
  shut_down (EIO_SHUTDOWN_DRAIN);
  ck_assert_int_eq (finishes, 50);
}
END_TEST

START_TEST (draining_executes_what_waits_for_a_worker_to_be_allowed)
{
  int i;

  eio_set_max_parallel (0);
  for (i = 0; i < 5; ++i)
    eio_nop (0, count, 0);
  shut_down (EIO_SHUTDOWN_DRAIN);
  ck_assert_int_eq (finishes, 5);
  ck_assert_uint_eq (eio_get_parallel (), 0); /* a setting, and kept */
}
END_TEST

static int
allow_three (eio_req *req)
{
  eio_set_parallel (3);
  return count (req);
}

/* What a callback sets meanwhile is a setting, too. */
START_TEST (limit_that_is_set_during_a_shutdown_is_kept)
{
  eio_set_parallel (0);
  eio_nop (0, allow_three, 0);
  shut_down (EIO_SHUTDOWN_DRAIN);
  ck_assert_int_eq (finishes, 1);
  ck_assert_uint_eq (eio_get_parallel (), 3);
}
END_TEST

static void *
let_go_later (void *arg)
{
  nap (30);
  give (&let_go, (int)(intptr_t)arg);
  return 0;
}

static void *
let_go_when_cancelled (void *arg)
{
  const eio_req *req = arg;

  wait_until (EIO_CANCELLED (req));
  give (&let_go, 2);
  return 0;
}

START_TEST (cancelling_drops_what_is_queued_and_finishes_what_runs)
{
  probe run[2], wait[20];
  pthread_t other;
  int i;

  eio_set_parallel (2);
  for (i = 0; i < 2; ++i)
    {
      probe_fill (&run[i], EIO_CUSTOM);
      run[i].req.feed = stay;
      eio_submit (&run[i].req);
    }
  await_arrivals (2);
  for (i = 0; i < LENGTH (wait); ++i)
    probe_submit (&wait[i], EIO_CUSTOM);
  pthread_create (&other, 0, let_go_when_cancelled,
                  &wait[LENGTH (wait) - 1].req);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, -1), 0);
  pthread_join (other, 0);
  assert_nothing_is_left ();
  for (i = 0; i < 2; ++i)
    assert_done (&run[i]);
  for (i = 0; i < LENGTH (wait); ++i)
    {
      assert_dropped (&wait[i]);
      ck_assert_int_eq (wait[i].runs, 0);
    }
}
END_TEST

static int
submit_for_ever (eio_req *req)
{
  eio_nop (0, submit_for_ever, req->data);
  return count (req);
}

static void
feed_for_ever (eio_req *grp)
{
  while (grp->size < 10)
    eio_grp_add (grp, eio_nop (0, count, 0));
}

START_TEST (cancelling_ends_what_would_go_on_for_ever)
{
  int i;

  for (i = 0; i < 8; ++i)
    eio_nop (0, submit_for_ever, 0);
  eio_grp_feed (eio_grp (count, 0), feed_for_ever, 10);
  for (i = 0; i < 100; ++i)
    {
      host_wait (10);
      eio_poll ();
    }
  shut_down (EIO_SHUTDOWN_CANCEL);
}
END_TEST

static int fed;

static void
count_feeding (eio_req *grp)
{
  ++fed;
  eio_grp_add (grp, eio_nop (0, count, 0));
}

static int
submit_all_kinds (eio_req *req)
{
  eio_req *grp = eio_grp (count, 0);

  eio_grp_feed (grp, count_feeding, 1);
  eio_grp_add (grp, eio_nop (0, count, 0));
  eio_nop (0, count, 0);
  return note (req);
}

/* What has been executed is finished; what that submits is not. */
START_TEST (cancelling_includes_what_callbacks_submit)
{
  outcome o = { 0 };

  eio_nop (0, submit_all_kinds, &o);
  wait_until (eio_npending () == 1);
  shut_down (EIO_SHUTDOWN_CANCEL);
  assert_ok (o, 0);
  ck_assert_int_eq (finishes, 0);
  ck_assert_int_eq (fed, 0);
}
END_TEST

static int
close_result (eio_req *req)
{
  if (req->type == EIO_OPEN && req->result >= 0)
    close ((int)req->result);
  if (req->type == EIO_WD_OPEN && !req->result)
    eio_wd_close_sync (req->wd);
  return 0;
}

/* Neither those that are opened, nor those that are to be closed. */
START_TEST (cancelled_requests_leave_no_descriptor)
{
  int i;

  for (i = 0; i < 50; ++i)
    {
      eio_open ("/", O_RDONLY, 0, 0, close_result, 0);
      eio_wd_open ("/", 0, close_result, 0);
      eio_close (dup (0), 0, 0, 0);
    }
  shut_down (EIO_SHUTDOWN_CANCEL);
}
END_TEST

START_TEST (time_may_be_over)
{
  probe p;
  double begin = now ();
  int i;

  probe_fill (&p, EIO_CUSTOM);
  p.req.feed = stay;
  eio_submit (&p.req);
  await_arrivals (1);
  errno = 0;
  ck_assert_int_eq (eio_shutdown (modes[_i], 0.03), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  ck_assert (now () - begin >= 0.03);
  errno = 0;
  ck_assert_int_eq (eio_shutdown (modes[_i], 0), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  assert_live (&p);

  eio_nop (0, count, 0); /* goes on as before */
  wait_until ((eio_poll (), finishes == 1));
  for (i = 0; i < 3; ++i)
    eio_nop (0, count, 0);
  wait_until (eio_npending () == 3);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 4);
  give (&let_go, 1);
  shut_down (modes[_i]);
  assert_done (&p);
}
END_TEST

static int
count_slowly (eio_req *req)
{
  nap (10);
  return count (req);
}

/* What eio_poll may take does not count where there is less. */
START_TEST (time_may_be_over_among_results)
{
  int i;

  eio_set_max_poll_time (_i ? 100 : 0);
  for (i = 0; i < 100; ++i)
    eio_nop (0, count_slowly, 0);
  wait_until (eio_npending () == 100);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.05), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  ck_assert_int_lt (finishes, 20);
  shut_down (EIO_SHUTDOWN_DRAIN);
  ck_assert_int_eq (finishes, 100);
}
END_TEST

static pthread_key_t key;

/* A thread is still there in what it does at its very end. */
static void
stay_at_the_end (void *arg)
{
  stay (arg);
}

static void
prepare_to_stay (eio_req *req)
{
  static eio_req ignored;

  pthread_setspecific (key, &ignored);
  req->result = 0;
}

START_TEST (threads_that_end_are_waited_for)
{
#if defined HAVE_CONFIG_H && !HAVE_SYS_SYSCALL_H
  printf ("skipped: the library cannot ask for a thread by its number\n");
  return;
#endif
  ck_assert_int_eq (pthread_key_create (&key, stay_at_the_end), 0);
  eio_set_idle_timeout (0);
  eio_set_max_idle (0);
  eio_custom (prepare_to_stay, 0, count, 0);
  host_drain ();
  await_arrivals (1); /* in the end of its thread, which nobody joins */
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.05), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  give (&let_go, 1);
  shut_down (EIO_SHUTDOWN_DRAIN);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (pthread_key_delete (key), 0);
}
END_TEST

/* A worker of an earlier life is one, too. */
START_TEST (workers_of_earlier_lives_are_waited_for)
{
  static eio_req req = { .type = EIO_CUSTOM, .feed = stay };

  eio_submit (&req);
  await_arrivals (1);
  ck_assert_int_eq (eio_init (0, 0), 0);
  ck_assert_int_eq (eio_shutdown (modes[_i], 0.02), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  give (&let_go, 1);
  ck_assert_int_eq (eio_shutdown (modes[_i], -1), 0);
  wait_until (count_threads () == threads);
  expect_to_work ();
}
END_TEST

static int result, error;

static int
shut_down_within (eio_req *req)
{
  if (req->type == EIO_NOP)
    {
      errno = 0;
      result = eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
      error = errno;
    }
  return count (req);
}

static void
shut_down_on_a_worker (eio_req *req)
{
  errno = 0;
  result = eio_shutdown (EIO_SHUTDOWN_CANCEL, -1);
  error = errno;
  req->result = 0;
}

static int
begin_anew_and_shut_down (eio_req *req)
{
  eio_init (0, 0);
  return shut_down_within (req);
}

START_TEST (nobody_waits_for_himself)
{
  static eio_req req = { .type = EIO_NOP, .finish = begin_anew_and_shut_down };

  eio_nop (0, shut_down_within, 0);
  host_drain ();
  ck_assert_int_eq (result, -1);
  ck_assert_int_eq (error, EDEADLK);

  result = error = 0;
  eio_custom (shut_down_on_a_worker, 0, count, 0);
  host_drain ();
  ck_assert_int_eq (result, -1);
  ck_assert_int_eq (error, EDEADLK);

  result = error = 0;
  eio_submit (&req);
  host_poll ();
  ck_assert_int_eq (result, -1);
  ck_assert_int_eq (error, EDEADLK);
  ck_assert_int_eq (finishes, 3);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  wait_until (count_threads () == threads);
}
END_TEST

static jmp_buf out;

static int
leave (eio_req *req)
{
  count (req);
  longjmp (out, 1);
}

START_TEST (callback_that_was_left_is_no_obstacle)
{
  probe p;

  probe_fill (&p, EIO_NOP);
  p.req.finish = leave;
  eio_submit (&p.req);
  if (!setjmp (out))
    {
      host_drain ();
      ck_abort_msg ("not reached");
    }
  shut_down (modes[_i]);
  ck_assert_int_eq (p.destroys, 1);
}
END_TEST

/* Not even after a poll within it came back by longjmp. */
static int
shut_down_after_a_jump (eio_req *req)
{
  probe p;

  probe_fill (&p, EIO_NOP);
  p.req.finish = leave;
  eio_submit (&p.req);
  if (!setjmp (out))
    for (;;)
      eio_poll ();
  shut_down_within (req);
  while (!p.destroys)
    eio_poll ();
  return 0;
}

START_TEST (nobody_waits_for_himself_after_a_jump)
{
  eio_nop (0, shut_down_after_a_jump, 0);
  host_drain ();
  ck_assert_int_eq (result, -1);
  ck_assert_int_eq (error, EDEADLK);
  shut_down (modes[_i]);
}
END_TEST

static void
leave_destroy (eio_req *req)
{
  probe_of (req)->destroys++;
  longjmp (out, 1);
}

/* Calls it from further down the stack. */
static int __attribute__ ((noinline))
from_below (int (*call) (void), size_t depth)
{
  volatile char *space = __builtin_alloca (depth);
  int res;

  space[0] = space[depth - 1] = 1;
  res = call ();
  space[0] = 0;
  return res;
}

static int
drain_and_shut_down (void)
{
  return eio_shutdown (EIO_SHUTDOWN_DRAIN, 30);
}

static int
poll_some (void)
{
  int i;

  for (i = 0; i < 100 && !finishes; ++i)
    {
      eio_poll ();
      nap (1);
    }
  return finishes;
}

/* What finish and destroy left, by a poll and then by a poll or a shutdown, is
 * gone on with by others than are at the very place. */
START_TEST (destroy_may_leave_a_shutdown)
{
  probe p;

  probe_fill (&p, EIO_NOP);
  p.req.finish = leave;
  p.req.destroy = leave_destroy;
  eio_grp_add (eio_grp (count, 0), &p.req);
  eio_submit (&p.req);
  if (!setjmp (out))
    host_drain ();
  if (!setjmp (out))
    {
      if (_i & 1)
        eio_shutdown (EIO_SHUTDOWN_DRAIN, 30);
      else
        eio_poll ();
      ck_abort_msg ("not reached");
    }
  ck_assert_int_eq (p.destroys, 1);
  finishes = 0; /* of the member */
  if (_i & 2)
    ck_assert_int_eq (from_below (drain_and_shut_down, 2000), 0);
  else
    ck_assert_int_eq (from_below (poll_some, 2000), 1);
  ck_assert_int_eq (finishes, 1);
  shut_down (EIO_SHUTDOWN_DRAIN);
}
END_TEST

/* It is over then, and what comes is executed, as is what was there. */
START_TEST (shutdown_that_was_left_is_over)
{
  static eio_req req
    = { .type = EIO_NOP, .pri = EIO_PRI_MAX, .finish = leave };
  eio_req *grp;
  int i;

  eio_submit (&req);
  for (i = 0; i < 5; ++i)
    eio_nop (0, count, 0);
  wait_until (eio_npending () == 6);
  if (!setjmp (out))
    {
      eio_shutdown (modes[_i & 1], 0.1);
      ck_abort_msg ("not reached");
    }
  finishes = 0;
  nap (200);
  if (_i & 2)
    {
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (finishes, 5);
    }
  for (i = 0; i < 5; ++i)
    eio_nop (0, count, 0);
  grp = eio_grp (count, 0);
  eio_grp_add (grp, eio_nop (0, count, 0));
  wait_until (eio_npending () == (_i & 2 ? 7 : 12));
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 12);
  shut_down (modes[_i & 1]);
}
END_TEST

static int
begin_anew (eio_req *req)
{
  eio_init (0, 0);
  eio_nop (0, count, 0);
  return count (req);
}

/* Of the life that there is then. */
START_TEST (callbacks_may_begin_another_life)
{
  static eio_req req = { .type = EIO_NOP, .finish = begin_anew };

  eio_submit (&req);
  wait_until (eio_npending () == 1);
  ck_assert_int_eq (eio_shutdown (modes[_i], -1), 0);
  if (modes[_i] == EIO_SHUTDOWN_DRAIN)
    ck_assert_int_eq (finishes, 2);
  else
    ck_assert_int_ge (finishes, 1);
  ck_assert_uint_eq (eio_nreqs (), 0);
  wait_until (count_threads () == threads);
  expect_to_work ();
}
END_TEST

static pid_t child = -1;

static int
fork_within (eio_req *req)
{
  child = fork ();
  if (!child)
    alarm (20);
  return count (req);
}

START_TEST (callbacks_may_fork)
{
  int status;

  if (!child_may_start_threads ())
    return;
  eio_nop (0, fork_within, 0);
  wait_until (eio_npending () == 1);
  ck_assert_int_eq (eio_shutdown (modes[_i], -1), 0);
  if (!child)
    {
      finishes = 0;
      eio_init (0, 0);
      eio_nop (0, count, 0);
      if (eio_flush () || finishes != 1 || eio_shutdown (modes[_i], -1)
          || eio_shutdown (modes[_i], -1) || eio_init (0, 0))
        _exit (1);
      _exit (0);
    }
  ck_assert_int_eq (waitpid (child, &status, 0), child);
  ck_assert_int_eq (status, 0);
  assert_nothing_is_left ();
}
END_TEST

static int
group_after_group (eio_req *grp)
{
  (void)grp;
  ++finishes;
  eio_grp (group_after_group, 0);
  return 0;
}

START_TEST (groups_without_end_do_not_outlast_time)
{
  double begin = now ();

  eio_grp (group_after_group, 0);
  do /* a busy machine may let none finish in that time */
    {
      ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.05), -1);
      ck_assert_int_eq (errno, ETIMEDOUT);
    }
  while (finishes < 2 && now () - begin < 60);
  ck_assert_int_gt (finishes, 1);
  shut_down (EIO_SHUTDOWN_CANCEL);
}
END_TEST

START_TEST (groups_that_lose_members_are_cancelled)
{
  probe outer, grp, member, whole, done;

  probe_submit (&whole, EIO_GROUP);
  probe_add (&whole, &done, EIO_NOP);
  wait_until (eio_nready () == 0);
  eio_set_max_parallel (0);
  probe_submit (&outer, EIO_GROUP);
  probe_add (&outer, &grp, EIO_GROUP);
  probe_add (&grp, &member, EIO_NOP);
  shut_down (EIO_SHUTDOWN_CANCEL);
  assert_dropped (&member);
  assert_dropped (&grp);
  assert_dropped (&outer);
  assert_done (&done);
  assert_done (&whole);
}
END_TEST

static int feeds;

static void
feed_one (eio_req *grp)
{
  ++feeds;
  eio_grp_add (grp, eio_custom (stay, 0, 0, 0));
}

static int
let_it_go (eio_req *req)
{
  (void)req;
  give (&let_go, 1);
  return 0;
}

/* A member executes, and is not cancelled, but is the last. */
START_TEST (groups_are_fed_no_more)
{
  eio_req *grp = eio_grp (count, 0);

  eio_grp_feed (grp, feed_one, 1);
  await_arrivals (1);
  eio_nop (0, let_it_go, 0);
  wait_until (eio_npending () == 2);
  shut_down (EIO_SHUTDOWN_CANCEL);
  ck_assert_int_eq (feeds, 1);
  ck_assert_int_eq (finishes, 0);
}
END_TEST

static eio_req late = { .type = EIO_NOP, .finish = count };

static void
stay_and_submit (eio_req *req)
{
  stay (req);
  eio_submit (&late);
}

START_TEST (what_workers_of_earlier_lives_submit_is_not_lost)
{
  static eio_req req = { .type = EIO_CUSTOM, .feed = stay_and_submit };
  pthread_t other;

  eio_submit (&req);
  await_arrivals (1);
  ck_assert_int_eq (eio_init (0, 0), 0);
  pthread_create (&other, 0, let_go_later, (void *)1);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  pthread_join (other, 0);
  ck_assert_int_eq (finishes, 1);
}
END_TEST

static int
allow_no_worker (eio_req *req)
{
  eio_set_parallel (0);
  eio_nop (0, count, 0);
  return count (req);
}

START_TEST (limit_of_0_does_not_keep_it_from_draining)
{
  eio_nop (0, allow_no_worker, 0);
  eio_nop (0, allow_no_worker, 0);
  shut_down (EIO_SHUTDOWN_DRAIN);
  ck_assert_int_eq (finishes, 4);
  ck_assert_uint_eq (eio_get_parallel (), 0);
}
END_TEST

START_TEST (unknown_modes_are_refused)
{
  static const int wrong[] = { -1, 2, INT_MAX };
  int i;

  for (i = 0; i < LENGTH (wrong); ++i)
    {
      errno = 0;
      ck_assert_int_eq (eio_shutdown (wrong[i], -1), -1);
      ck_assert_int_eq (errno, EINVAL);
    }
  expect_to_work ();
}
END_TEST

START_TEST (settings_are_kept_and_callbacks_forgotten)
{
  int wants;

  eio_set_parallel (7);
  eio_set_max_idle (3);
  eio_set_idle_timeout (5);
  eio_set_max_poll_reqs (9);
  ck_assert_int_gt (eio_poll_fd (), 0);
  shut_down (modes[_i]);
  ck_assert_uint_eq (eio_get_parallel (), 7);
  ck_assert_uint_eq (eio_get_max_idle (), 3);
  ck_assert_uint_eq (eio_get_idle_timeout (), 5);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 9);

  wants = host_wants ();
  eio_nop (0, count, 0);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (host_wants (), wants);
  ck_assert_int_eq (eio_shutdown (modes[_i], -1), 0);
  assert_nothing_is_left ();
}
END_TEST

START_TEST (it_can_be_shut_down_a_thousand_times_under_load)
{
  int rounds = HAVE_SANITIZER ? 200 : 1000, i, k;

  for (i = 0; i < rounds; ++i)
    {
      if (i)
        host_start ();
      eio_set_parallel ((unsigned)(1 + i % 7));
      eio_set_max_idle ((unsigned)(i % 3));
      eio_set_idle_timeout (0);
      for (k = 0; k < 30; ++k)
        eio_nop (k % 9 - 4, count, 0);
      if (i % 2)
        eio_poll ();
      if (i % 5 == 0)
        eio_poll_fd ();
      ck_assert_int_eq (eio_shutdown (i / 2 % 2, -1), 0);
      ck_assert_uint_eq (eio_nthreads (), 0);
    }
  assert_nothing_is_left ();
}
END_TEST

/* Of a parent that has workers; then the child forks in turn. */
START_TEST (children_can_shut_down)
{
  pid_t pid;
  int status;

  if (!child_may_start_threads ())
    return;
  eio_nop (0, count, 0);
  host_drain ();
  pid = fork ();
  if (!pid)
    {
      int wrong = 0, i;

      alarm (20);
      for (i = 0; i < 3; ++i)
        {
          if (_i)
            wrong |= eio_init (0, 0) != 0;
          eio_nop (0, count, 0);
          wrong |= eio_shutdown (modes[i % 2], -1) != 0;
          while (!HAVE_SANITIZER && count_threads () != 1)
            nap (1); /* or the alarm comes */
          if (i == 1 && (pid = fork ()))
            {
              wrong |= waitpid (pid, &status, 0) != pid || status;
              _exit (wrong);
            }
        }
      _exit (wrong);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  shut_down (modes[_i]);
}
END_TEST

/* Its code may be unmapped then. */
START_TEST (library_can_be_unloaded)
{
  int i, k;

  if (access (".libs/libeio.so", R_OK))
    return; /* built without */
  shut_down (EIO_SHUTDOWN_DRAIN);
  for (i = 0; i < 100; ++i)
    {
      void *lib = dlopen ("./.libs/libeio.so", RTLD_NOW | RTLD_LOCAL);
      int (*init) (void (*) (void), void (*) (void));
      eio_req *(*nop) (int, eio_cb, void *);
      int (*shutdown) (int, eio_tstamp);

      ck_assert_msg (lib != 0, "%s", dlerror ());
      *(void **)&init = dlsym (lib, "eio_init");
      *(void **)&nop = dlsym (lib, "eio_nop");
      *(void **)&shutdown = dlsym (lib, "eio_shutdown");
      ck_assert (init && nop && shutdown);
      ck_assert_int_eq (init (0, 0), 0);
      for (k = 0; k < 20; ++k)
        ck_assert_ptr_nonnull (nop (0, count, 0));
      ck_assert_int_eq (shutdown (modes[i % 2], -1), 0);
      ck_assert_int_eq (dlclose (lib), 0);
    }
  nap (5);
  assert_nothing_is_left ();
}
END_TEST

static const char *program;

/* Whether a pool without workers of its own has those that there are now. */
static int
has_workers (eio_pool *sharer)
{
  unsigned limit = eio_get_parallel (), seen;
  int res;

  eio_pool_use (sharer);
  finishes = 0;
  seen = eio_get_parallel ();
  eio_set_parallel (limit + 1);
  res = !eio_nop (0, count, 0) || eio_flush () || finishes != 1;
  eio_pool_use (0);
  res = res || seen != limit || eio_get_parallel () != limit + 1;
  eio_set_parallel (limit);
  return !res;
}

/* In a process of its own, that nobody forked and where Check is not used:
 * returns what is wrong. */
static int
end_lives (int lives)
{
  eio_pool *sharer = eio_pool_new_shared (0, 0, 0, 0);
  int round, i;

  for (round = 0; round < 3; ++round)
    {
      finishes = 0;
      for (i = 0; i < lives; ++i)
        if (eio_init (0, 0) || !eio_nop (0, count, 0) || eio_flush ())
          return 2;
      eio_set_parallel (3);
      if (!eio_nop (0, count, 0) || eio_shutdown (EIO_SHUTDOWN_DRAIN, 60)
          || finishes != lives + 1)
        return 3;
      if (eio_nreqs () || eio_nthreads () || eio_get_parallel () != 3)
        return 4;
      if (!has_workers (sharer))
        return 5;
    }
  return 0;
}

/* The others of these tests run in children of Check's, which have a life
 * that they inherited. */
START_TEST (lives_that_were_not_inherited_end_as_well)
{
  const char *lives[] = { "1", "2", "3" };
  int status;
  pid_t pid = fork ();

  if (!pid)
    {
      execl (program, program, lives[_i], (char *)0);
      _exit (errno == ENOEXEC ? 77 : 1);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 77)
    return; /* an emulator's program, which the system does not know */
  ck_assert_int_eq (status, 0);
  shut_down (EIO_SHUTDOWN_DRAIN);
}
END_TEST

int
main (int argc, char **argv)
{
  Suite *suite;
  TCase *tc;

  if (argc > 1)
    return end_lives (atoi (argv[1]));
  program = argv[0];
  suite = suite_create ("shutdown");
  tc = add_case (suite, "shutdown", 90, start, 0);

  tcase_add_loop_test (tc, library_that_rests_can_be_shut_down, 0, 2);
  tcase_add_test (tc, draining_executes_and_finishes_all);
  tcase_add_test (tc, draining_includes_what_callbacks_submit);
  tcase_add_test (tc,
                  draining_executes_what_waits_for_a_worker_to_be_allowed);
  tcase_add_test (tc, limit_that_is_set_during_a_shutdown_is_kept);
  tcase_add_test (tc, cancelling_drops_what_is_queued_and_finishes_what_runs);
  tcase_add_test (tc, cancelling_ends_what_would_go_on_for_ever);
  tcase_add_test (tc, cancelling_includes_what_callbacks_submit);
  tcase_add_test (tc, cancelled_requests_leave_no_descriptor);
  tcase_add_loop_test (tc, time_may_be_over_among_results, 0, 2);
  tcase_add_loop_test (tc, time_may_be_over, 0, 2);
  tcase_add_test (tc, threads_that_end_are_waited_for);
  tcase_add_loop_test (tc, workers_of_earlier_lives_are_waited_for, 0, 2);
  tcase_add_test (tc, nobody_waits_for_himself);
  tcase_add_loop_test (tc, callback_that_was_left_is_no_obstacle, 0, 2);
  tcase_add_loop_test (tc, nobody_waits_for_himself_after_a_jump, 0, 2);
  tcase_add_loop_test (tc, destroy_may_leave_a_shutdown, 0, 4);
  tcase_add_loop_test (tc, shutdown_that_was_left_is_over, 0, 4);
  tcase_add_loop_test (tc, callbacks_may_begin_another_life, 0, 2);
  tcase_add_loop_test (tc, callbacks_may_fork, 0, 2);
  tcase_add_test (tc, groups_without_end_do_not_outlast_time);
  tcase_add_test (tc, groups_that_lose_members_are_cancelled);
  tcase_add_test (tc, groups_are_fed_no_more);
  tcase_add_test (tc, what_workers_of_earlier_lives_submit_is_not_lost);
  tcase_add_test (tc, limit_of_0_does_not_keep_it_from_draining);
  tcase_add_test (tc, unknown_modes_are_refused);
  tcase_add_loop_test (tc, settings_are_kept_and_callbacks_forgotten, 0, 2);
  tcase_add_test (tc, it_can_be_shut_down_a_thousand_times_under_load);
  tcase_add_loop_test (tc, children_can_shut_down, 0, 2);
  tcase_add_test (tc, library_can_be_unloaded);
  tcase_add_loop_test (tc, lives_that_were_not_inherited_end_as_well, 0, 3);
  return run_suite (suite);
}
