/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* fork: with the library anew in the child, and without; the parent never
 * notices.  Children have 20 seconds before an alarm ends them. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

static void
be_child (void (*body) (void))
{
  begin_child ();
  body ();
  _exit (0);
}

static pid_t
spawn (void (*body) (void))
{
  pid_t pid;
  /* What workers did before this is no race with what the child does:
   * ThreadSanitizer has to be told. */
  eio_nthreads ();
  pid = fork ();
  if (pid == 0)
    be_child (body);
  ck_assert_int_gt (pid, 0);
  return pid;
}

static int
await_status (pid_t pid)
{
  int status;
  while (waitpid (pid, &status, 0) != pid)
    ;
  return status;
}

static int submitted;

/* A request of the parent's.  Not allocated: what a child forgets would be
 * a leak there. */
static eio_req *
submit_parents (int type, int pri, void (*feed) (eio_req *), eio_cb finish)
{
  static eio_req reqs[256];
  eio_req *req = &reqs[submitted++];
  ck_assert_int_le (submitted, LENGTH (reqs));
  req->type = type;
  req->pri = (signed char)pri;
  req->feed = feed;
  req->finish = finish;
  eio_submit (req);
  return req;
}

static void
submit_staying (int n)
{
  while (n--)
    submit_parents (EIO_CUSTOM, 0, stay, parents_finish);
}

static void
submit_nops (int n)
{
  while (n--)
    submit_parents (EIO_NOP, n % 9 - 4, 0, parents_finish);
}

static void
prepare (void)
{
  parent = getpid ();
  prepare_stays ();
}

static void
start (void)
{
  prepare ();
  host_start ();
}

/* For children that do not call eio_init: callbacks that share nothing with
 * the parent's host. */
static void
start_silent (void)
{
  prepare ();
  ck_assert_int_eq (eio_init (0, 0), 0);
}

/* Polls without being told to. */
static void
drain_silently (void)
{
  double end = now () + 60;
  while (eio_nreqs () && now () < end)
    {
      eio_poll ();
      sched_yield ();
    }
}

static void
expect_parent_complete (void)
{
  drain_silently ();
  ck_assert_int_eq (finishes, submitted);
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
}

/* What the parent is doing when it forks. */
static void
be_fresh (void)
{
}

static void
have_idle_workers (void)
{
  submit_staying (4);
  await_arrivals (4);
  give (&let_go, 4);
  drain_silently ();
}

static void
have_busy_workers (void)
{
  submit_staying (8);
  submit_nops (4);
  await_arrivals (4);
}

static void
have_results (void)
{
  submit_nops (8);
  wait_until (eio_npending () == 8);
}

static void
have_it_all (void)
{
  eio_req *grp;
  have_results ();
  have_busy_workers ();
  grp = submit_parents (EIO_GROUP, 0, 0, parents_finish);
  eio_grp_add (grp, submit_parents (EIO_NOP, 0, 0, parents_finish));
}

static void
have_limit_0 (void)
{
  eio_set_max_parallel (0);
  submit_nops (4);
}

/* Gone for the library, and, if they are quick, for the system. */
static void
have_timed_out (void)
{
  int before = count_threads ();
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  have_idle_workers ();
  wait_until (eio_nthreads () == 0);
  for (int i = 0; i < 200 && count_threads () > before; ++i)
    nap (1);
}

static void (*const states[]) (void) = {
  be_fresh,    have_idle_workers, have_busy_workers, have_results,
  have_it_all, have_limit_0,      have_timed_out
};

static void
leave_state (void)
{
  give (&let_go, 8);
  eio_set_min_parallel (4);
  expect_parent_complete ();
}

/*****************************************************************************
 * Children that call eio_init                                               *
 *****************************************************************************/

static void
stay_a_little (eio_req *req)
{
  nap (1);
  req->result = 0;
}

static void
read_a_file (void)
{
  char path[] = "/proc/self/comm", bytes[64];
  outcome opened = { 0 }, got = { 0 };
  eio_open (path, O_RDONLY, 0, 0, note, &opened);
  host_drain ();
  need (opened.calls == 1 && opened.result >= 0);
  eio_read ((int)opened.result, bytes, sizeof bytes, 0, 0, note, &got);
  host_drain ();
  need (got.calls == 1 && got.result > 0);
  close ((int)opened.result);
}

/* The library works, as in a process where it has just been started. */
static void
use_library (void)
{
  eio_req *grp;
  finishes = 0;
  for (int i = 0; i < 50; ++i)
    need (eio_nop (i % 9 - 4, count, 0));
  grp = eio_grp (count, 0);
  for (int i = 0; i < 10; ++i)
    eio_grp_add (grp, eio_custom (stay_a_little, 0, count, 0));
  host_drain ();
  need (finishes == 61);
  need (eio_nthreads () <= 8);
  read_a_file ();
}

static void
begin_anew (void)
{
  host_start ();
  need (eio_nreqs () == 0);
  need (eio_nready () == 0);
  need (eio_npending () == 0);
  need (eio_nthreads () == 0);
  eio_set_min_parallel (4);
}

static void
init_and_use (void)
{
  begin_anew ();
  use_library ();
  eio_set_max_parallel (0);
  need (eio_nthreads () == 0);
  eio_set_min_parallel (2);
  use_library ();
}

START_TEST (child_works_after_init)
{
  states[_i] ();
  expect_success (spawn (init_and_use));
  leave_state ();
}
END_TEST

START_TEST (two_children_work_one_after_the_other_and_at_once)
{
  pid_t first, second;
  have_it_all ();
  expect_success (spawn (init_and_use));
  first = spawn (init_and_use);
  second = spawn (init_and_use);
  expect_success (second);
  expect_success (first);
  leave_state ();
}
END_TEST

static void
init_use_and_fork (void)
{
  pid_t pid;
  begin_anew ();
  use_library ();
  for (int i = 0; i < 10; ++i)
    eio_custom (stay_a_little, 0, count, 0);
  pid = spawn (init_and_use);
  need (await_status (pid) == 0);
  finishes = 0;
  host_drain ();
  need (finishes == 10);
  use_library ();
}

START_TEST (grandchild_works_after_init_in_both)
{
  have_it_all ();
  expect_success (spawn (init_use_and_fork));
  leave_state ();
}
END_TEST

static void
only_fork (void)
{
  need (await_status (spawn (init_and_use)) == 0);
  init_and_use ();
}

START_TEST (grandchild_works_after_init_in_it_alone)
{
  have_it_all ();
  expect_success (spawn (only_fork));
  leave_state ();
}
END_TEST

static void *
spawn_elsewhere (void *status)
{
  pid_t pid = fork ();
  if (pid == 0)
    be_child (init_and_use);
  *(int *)status = await_status (pid);
  return 0;
}

START_TEST (fork_may_come_from_another_thread)
{
  pthread_t thread;
  int status = -1;
  have_it_all ();
  pthread_create (&thread, 0, spawn_elsewhere, &status);
  pthread_join (thread, 0);
  ck_assert_int_eq (status, 0);
  leave_state ();
}
END_TEST

/* What became of a child of a worker's. */
static atomic_int childs_status = -1;

static void
await_childs_success (void)
{
  while (childs_status == -1)
    nap (1);
  ck_assert_int_eq (childs_status, 0);
}

static void
fork_in_worker (eio_req *req)
{
  int status;
  spawn_elsewhere (&status);
  childs_status = status;
  req->result = 0;
}

START_TEST (fork_may_come_from_a_worker)
{
  have_it_all ();
  submit_parents (EIO_CUSTOM, 4, fork_in_worker, parents_finish);
  eio_set_min_parallel (5);
  await_childs_success ();
  leave_state ();
}
END_TEST

/* The child returns to a thread that begins or ends, and ends with it, as it
 * has nothing to do there. */
static void
fork_in_hook (void *userdata)
{
  static atomic_flag forked = ATOMIC_FLAG_INIT;
  pid_t pid;

  (void)userdata;
  if (atomic_flag_test_and_set (&forked))
    return;
  pid = fork ();
  if (pid)
    {
      childs_status = await_status (pid);
      return;
    }
  begin_child ();
  end_with_thread ();
}

static void
be_the_parent (eio_req *req)
{
  if (getpid () != parent)
    _exit (2);
  req->result = 0;
}

START_TEST (fork_may_come_from_a_hook)
{
  eio_set_thread_hooks (_i ? 0 : fork_in_hook, _i ? fork_in_hook : 0, 0);
  submit_parents (EIO_CUSTOM, 4, be_the_parent, parents_finish);
  host_drain ();
  stop_workers ();
  await_childs_success ();
}
END_TEST

static int
fork_in_finish (eio_req *req)
{
  expect_success (spawn (init_and_use));
  return parents_finish (req);
}

START_TEST (fork_may_come_from_a_finish_callback)
{
  submit_parents (EIO_NOP, 4, 0, fork_in_finish);
  wait_until (eio_npending () == 1);
  have_busy_workers ();
  leave_state ();
}
END_TEST

/* The child returns from the callback into the eio_poll that the parent had
 * called: what was pending there is not the child's. */
static pid_t returning_child;

static int
fork_and_return (eio_req *req)
{
  returning_child = fork ();
  if (returning_child)
    return parents_finish (req);
  begin_child ();
  host_start ();
  eio_nop (0, count, 0);
  return 0;
}

START_TEST (child_may_return_from_the_callback)
{
  have_results ();
  submit_parents (EIO_NOP, 4, 0, fork_and_return);
  wait_until (eio_npending () == 9);
  eio_poll ();
  if (!returning_child)
    {
      host_drain ();
      need (finishes == 1);
      init_and_use ();
      _exit (0);
    }
  expect_success (returning_child);
  leave_state ();
}
END_TEST

static void
expect_settings (void)
{
  host_start ();
  for (int i = 0; i < 5; ++i)
    eio_custom (stay_a_little, 0, count, 0);
  while (eio_npending () < 5)
    {
      need (eio_nthreads () <= 2);
      nap (1);
    }
  need (eio_poll () == -1);
  need (finishes == 3);
  need (eio_poll () == 0);
  need (finishes == 5);
}

START_TEST (child_keeps_the_settings)
{
  eio_set_max_parallel (2);
  eio_set_max_poll_reqs (3);
  expect_success (spawn (expect_settings));
}
END_TEST

static void
expect_limit_0 (void)
{
  host_start ();
  eio_nop (0, count, 0);
  nap (50);
  need (eio_nready () == 1);
  eio_set_min_parallel (1);
  host_drain ();
  need (finishes == 1);
}

START_TEST (child_keeps_a_limit_of_0)
{
  have_limit_0 ();
  expect_success (spawn (expect_limit_0));
  leave_state ();
}
END_TEST

/* To the parent its workers are its own, still: they leave when it begins
 * anew itself. */
START_TEST (parent_may_begin_anew_after_a_fork)
{
  int before = count_threads ();
  have_idle_workers ();
  expect_success (spawn (init_and_use));
  expect_parent_complete ();
  ck_assert_uint_eq (eio_nthreads (), 4);
  host_start ();
  wait_until (count_threads () <= before + 1 /* a sanitizer's */);
  submit_nops (10);
  expect_parent_complete ();
}
END_TEST

/* Nothing was ever started in the parent. */
START_TEST (child_may_be_the_first_to_use_the_library)
{
  expect_success (spawn (init_and_use));
  host_start ();
  submit_nops (10);
  expect_parent_complete ();
}
END_TEST

/*****************************************************************************
 * eio_init in a handler of pthread_atfork                                   *
 *****************************************************************************/

/* Which handlers act in the next fork, what they began, and what they
 * submitted to that. */
enum { EARLY = 1, LATE = 2, EARLY_AND_LATE = EARLY | LATE, LOWER = 4 };
static int armed, begun, expected, have_early;
static outcome in_handlers;

static void
begin_life (void)
{
  if (!begun++)
    host_start ();
  eio_nop (0, note, &in_handlers);
}

static void
init_early (void)
{
  if (armed & EARLY)
    begin_life ();
  if (armed & LOWER)
    eio_set_max_parallel (0);
}

static void
init_late (void)
{
  if (armed & LATE)
    begin_life ();
}

/* To come before the library's own handler, which a constructor may have
 * registered, and that of a shared library runs before any of ours. musl runs
 * nothing that early, but is here linked with a library that is not shared. */
static void
register_early (void)
{
  have_early = !pthread_atfork (0, 0, init_early);
}

#if defined __GLIBC__ && !HAVE_SANITIZER
__attribute__ ((used, section (".preinit_array")))
static void (*const first_of_all) (void) = register_early;
#else
__attribute__ ((constructor (101)))
static void
before_others (void)
{
  register_early ();
}
#endif

static void
arm (int handlers)
{
  armed = handlers;
  begun = in_handlers.calls = 0;
  expected = (handlers & EARLY) + (handlers & LATE) / LATE;
}

static void
expect_life_of_handlers (void)
{
  armed = 0;
  host_drain ();
  need (in_handlers.calls == expected);
  use_library ();
}

/* What either submitted survives the other, and the library's own. */
START_TEST (init_works_in_handlers_before_and_after_ours)
{
  ck_assert_int_eq (have_early, 1);
  start ();
  pthread_atfork (0, 0, init_late);
  have_it_all ();
  arm (_i);
  for (int i = 0; i < 3; ++i)
    expect_success (spawn (expect_life_of_handlers));
  armed = 0;
  leave_state ();
}
END_TEST

static void
fork_after_handler (void)
{
  expect_life_of_handlers ();
  arm (EARLY_AND_LATE);
  need (await_status (spawn (expect_life_of_handlers)) == 0);
  armed = 0;
  use_library ();
}

START_TEST (init_works_in_a_grandchilds_handler)
{
  start ();
  pthread_atfork (0, 0, init_late);
  have_it_all ();
  arm (LATE);
  expect_success (spawn (fork_after_handler));
  armed = 0;
  leave_state ();
}
END_TEST

/* The parent's workers, all of them busy, are none that a child waits for. */
START_TEST (lowering_the_limit_in_an_early_handler_waits_for_nobody)
{
  start ();
  have_it_all ();
  arm (LOWER);
  expect_success (spawn (expect_limit_0));
  armed = 0;
  leave_state ();
}
END_TEST

/*****************************************************************************
 * Children that do not call eio_init                                        *
 *****************************************************************************/

static void
call_counters (void)
{
  eio_nreqs ();
  eio_nready ();
  eio_npending ();
  need (eio_nthreads () == 0);
}

static void
call_max_parallel_0 (void)
{
  eio_set_max_parallel (0);
  need (eio_nthreads () == 0);
}

static void
call_limits (void)
{
  eio_set_max_parallel (2);
  eio_set_min_parallel (8);
  eio_set_max_parallel (1);
  eio_set_max_parallel (0);
  eio_set_min_parallel (1);
}

static void
call_settings (void)
{
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  eio_set_max_poll_time (1);
  eio_set_max_poll_reqs (1);
}

static void
call_poll (void)
{
  eio_poll ();
  eio_poll ();
}

static void
call_loop (void)
{
  while (eio_nreqs ())
    eio_poll ();
}

/* Either it is refused, or it is done. */
static void
call_wrapper (void)
{
  eio_set_min_parallel (1);
  if (eio_nop (0, count, 0))
    while (!finishes)
      eio_poll ();
  call_loop ();
}

static void
call_submit (void)
{
  static eio_req req;
  req.type = EIO_NOP;
  req.finish = count;
  eio_set_min_parallel (1);
  eio_submit (&req);
  call_loop ();
  need (finishes == 1);
}

static void
call_groups (void)
{
  eio_req *grp = eio_grp (count, 0);
  eio_set_min_parallel (1);
  eio_grp_add (grp, eio_nop (0, count, 0));
  eio_grp_limit (grp, 1);
  eio_cancel (0);
  call_loop ();
  need (finishes == 2);
}

static void
call_cancel (void)
{
  eio_req *req;
  eio_set_min_parallel (1);
  req = eio_nop (0, count, 0);
  eio_cancel (req);
  call_loop ();
  need (finishes == 0);
}

static void
call_poll_fd (void)
{
  int fd = eio_poll_fd ();

  need (fd > 0);
  need (eio_poll_fd () == fd);
}

static void
call_poll_wait (void)
{
  need (eio_poll_wait (0) == 0);
  eio_set_min_parallel (1);
  eio_nop (0, count, 0);
  need (eio_poll_wait (-1) == 1);
  call_loop ();
  need (finishes == 1);
}

static void
call_flush (void)
{
  eio_set_min_parallel (1);
  eio_nop (0, count, 0);
  need (eio_flush () == 0);
  need (finishes == 1);
}

static void
call_get_stats (void)
{
  struct eio_stats stats;

  need (eio_get_stats (&stats, sizeof stats) == 0);
  need (stats.finished == 0);
}

static void
call_set_parallel (void)
{
  eio_set_parallel (2);
  eio_set_parallel (0);
  need (eio_nthreads () == 0);
  eio_set_parallel (1);
}

static void
call_try_submit (void)
{
  static eio_req req;
  req.type = EIO_NOP;
  req.finish = count;
  eio_set_min_parallel (1);
  need (eio_try_submit (&req) == 0);
  call_loop ();
  need (finishes == 1);
}

static void
feed_twice (eio_req *grp)
{
  static int fed;

  if (fed++ < 2)
    eio_grp_add (grp, eio_nop (0, count, 0));
}

static void
call_grp_feed (void)
{
  eio_set_min_parallel (1);
  eio_grp_feed (eio_grp (count, 0), feed_twice, 1);
  call_loop ();
  need (finishes == 3);
}

/* What comes after an end is a beginning. */
static void
call_shutdown (void)
{
  need (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1) == 0);
  need (eio_shutdown (EIO_SHUTDOWN_CANCEL, -1) == 0);
  call_flush ();
  need (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1) == 0);
}

static void
call_sync (void)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, "/");
  need (wd != EIO_INVALID_WD);
  eio_wd_close_sync (wd);
}

static void
fork_again (void)
{
  need (await_status (spawn (call_max_parallel_0)) == 0);
  call_wrapper ();
}

static void (*const uses[]) (void) = {
  call_counters,   call_max_parallel_0, call_limits,    call_settings,
  call_poll,       call_loop,           call_wrapper,   call_submit,
  call_groups,     call_cancel,         call_sync,      call_poll_fd,
  call_poll_wait,  call_flush,          call_get_stats, call_set_parallel,
  call_try_submit, call_grp_feed,       call_shutdown,  fork_again
};

START_TEST (nothing_hangs_in_a_child_without_init)
{
  states[_i % LENGTH (states)] ();
  for (int i = 0; i < LENGTH (uses); ++i)
    expect_success (spawn (uses[i]));
  leave_state ();
}
END_TEST

static void
lower_limit_and_use (void)
{
  call_max_parallel_0 ();
  call_wrapper ();
}

/* A child of a worker: the only thread that is left is one. */
static void
fork_without_init (eio_req *req)
{
  pid_t pid = fork ();
  if (pid == 0)
    be_child (lower_limit_and_use);
  childs_status = await_status (pid);
  req->result = 0;
}

START_TEST (nothing_hangs_in_a_workers_child_without_init)
{
  submit_parents (EIO_CUSTOM, 0, fork_without_init, parents_finish);
  await_childs_success ();
  expect_parent_complete ();
}
END_TEST

static void *
lower_limit (void *arg)
{
  eio_set_max_parallel (0);
  return arg;
}

START_TEST (fork_while_somebody_waits_for_workers_to_leave)
{
  pthread_t thread;
  have_busy_workers ();
  pthread_create (&thread, 0, lower_limit, 0);
  nap (50);
  for (int i = 0; i < LENGTH (uses); ++i)
    expect_success (spawn (uses[i]));
  give (&let_go, 8);
  pthread_join (thread, 0);
  leave_state ();
}
END_TEST

/* A want_poll that blocks until the test lets it go: whatever the library
 * holds during it is held in the child for ever. */
static atomic_int in_want;

static void
blocked_want (void)
{
  if (getpid () != parent)
    return;
  in_want = 1;
  take (&let_go);
}

static void
init_quietly_and_use (void)
{
  need (eio_init (0, 0) == 0);
  for (int i = 0; i < 20; ++i)
    eio_nop (0, count, 0);
  call_loop ();
  need (finishes == 20);
}

START_TEST (fork_while_want_poll_runs)
{
  prepare ();
  ck_assert_int_eq (eio_init (blocked_want, 0), 0);
  submit_nops (1);
  wait_until (in_want);
  expect_success (spawn (init_quietly_and_use));
  for (int i = 0; i < LENGTH (uses); ++i)
    expect_success (spawn (uses[i]));
  give (&let_go, 10);
  expect_parent_complete ();
}
END_TEST

/*****************************************************************************
 * Under load                                                                *
 *****************************************************************************/

/* What the submitters use over and over again.  They do not allocate, as the
 * allocators of some tools do not survive that beside a fork. */
static struct
{
  eio_req req;
  atomic_int in_use;
} slots[2][64];

static atomic_int stop, loaded;

static void
free_slot (eio_req *req)
{
  atomic_int *in_use = req->data;
  *in_use = 0;
}

static void
submit_slot (eio_req *req, atomic_int *in_use)
{
  *in_use = 1;
  memset (req, 0, sizeof *req);
  req->type = EIO_NOP;
  req->pri = (signed char)(loaded++ % 9 - 4);
  req->finish = parents_finish;
  req->destroy = free_slot;
  req->data = in_use;
  eio_submit (req);
}

static void *
submit_on_and_on (void *arg)
{
  int n = (int)(intptr_t)arg;
  sem_post (&arrived);
  for (int i = 0; !stop; i = (i + 1) % LENGTH (slots[0]))
    if (slots[n][i].in_use)
      sched_yield ();
    else
      submit_slot (&slots[n][i].req, &slots[n][i].in_use);
  return 0;
}

static void
init_and_use_briefly (void)
{
  begin_anew ();
  for (int i = 0; i < 3; ++i)
    eio_nop (i, count, 0);
  host_drain ();
  need (finishes == 3);
}

/* Workers and submitters are anywhere in the library when it forks. */
static void
fork_under_load (int n, void (*const *bodies) (void), int nbodies)
{
  pthread_t threads[2];
  if (!HAVE_SANITIZER)
    {
      eio_set_max_idle (1);
      eio_set_idle_timeout (0);
    }
  have_idle_workers ();
  for (int i = 0; i < 2; ++i)
    pthread_create (&threads[i], 0, submit_on_and_on, (void *)(intptr_t)i);
  await_arrivals (2);
  for (int i = 0; i < n; ++i)
    {
      pid_t pid = spawn (bodies[i % nbodies]);
      int status;
      while (waitpid (pid, &status, WNOHANG) == 0)
        {
          eio_poll ();
          sched_yield ();
        }
      ck_assert_msg (status == 0, "child %d: status %#x", i, status);
    }
  stop = 1;
  for (int i = 0; i < 2; ++i)
    pthread_join (threads[i], 0);
  submitted += loaded;
  expect_parent_complete ();
}

START_TEST (children_work_after_init_under_load)
{
  static void (*const bodies[]) (void) = { init_and_use_briefly };
  fork_under_load (200, bodies, 1);
}
END_TEST

START_TEST (children_without_init_do_not_hang_under_load)
{
  fork_under_load (8 * LENGTH (uses), uses, LENGTH (uses));
}
END_TEST

static void *
fork_on_and_on (void *arg)
{
  (void)arg;
  sem_post (&arrived);
  while (!stop)
    {
      pid_t pid = fork ();
      if (!pid)
        _exit (0);
      if (pid > 0)
        await_status (pid);
    }
  return 0;
}

static void *
look_on_and_on (void *arg)
{
  (void)arg;
  sem_post (&arrived);
  while (!stop)
    {
      eio_nthreads ();
      eio_set_max_idle (4);
      eio_set_idle_timeout (10);
    }
  return 0;
}

static void *(*const others[]) (void *) = { fork_on_and_on, look_on_and_on };

/* Each life is ended properly, whatever other threads are at. */
START_TEST (new_lives_begin_beside_forks_and_looks)
{
  pthread_t other;
  int threads;
  pthread_create (&other, 0, others[_i], 0);
  await_arrivals (1);
  threads = count_threads ();
  for (int i = 0; i < 500; ++i)
    {
      ck_assert_int_eq (eio_init (0, 0), 0);
      eio_nop (0, 0, 0);
      while (eio_nreqs ())
        eio_poll ();
    }
  stop = 1;
  pthread_join (other, 0);
  eio_set_max_parallel (0);
  wait_until (count_threads () < threads);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_init (Suite *suite)
{
  TCase *tc = add_case (suite, "init", 90, start, 0);
  tcase_add_loop_test (tc, child_works_after_init, 0, LENGTH (states));
  tcase_add_test (tc, two_children_work_one_after_the_other_and_at_once);
  tcase_add_test (tc, grandchild_works_after_init_in_both);
  tcase_add_test (tc, grandchild_works_after_init_in_it_alone);
  tcase_add_test (tc, fork_may_come_from_another_thread);
  tcase_add_test (tc, fork_may_come_from_a_worker);
  tcase_add_loop_test (tc, fork_may_come_from_a_hook, 0, 2);
  tcase_add_test (tc, fork_may_come_from_a_finish_callback);
  tcase_add_test (tc, child_may_return_from_the_callback);
  tcase_add_test (tc, child_keeps_the_settings);
  tcase_add_test (tc, child_keeps_a_limit_of_0);
  tcase_add_test (tc, parent_may_begin_anew_after_a_fork);
  tcase_add_test (tc, children_work_after_init_under_load);
  tcase_add_loop_test (tc, new_lives_begin_beside_forks_and_looks, 0,
                       LENGTH (others));
}

static void
add_handlers (Suite *suite)
{
  TCase *tc = add_case (suite, "handlers", 90, prepare, 0);
  tcase_add_test (tc, child_may_be_the_first_to_use_the_library);
  tcase_add_loop_test (tc, init_works_in_handlers_before_and_after_ours,
                       EARLY, EARLY_AND_LATE + 1);
  tcase_add_test (tc, init_works_in_a_grandchilds_handler);
  tcase_add_test (tc, lowering_the_limit_in_an_early_handler_waits_for_nobody);
  tcase_add_test (tc, fork_while_want_poll_runs);
}

static void
add_no_init (Suite *suite)
{
  TCase *tc = add_case (suite, "no init", 90, start_silent, 0);
  tcase_add_loop_test (tc, nothing_hangs_in_a_child_without_init, 0,
                       LENGTH (states));
  tcase_add_test (tc, nothing_hangs_in_a_workers_child_without_init);
  tcase_add_test (tc, fork_while_somebody_waits_for_workers_to_leave);
  tcase_add_test (tc, children_without_init_do_not_hang_under_load);
}

int
main (void)
{
  Suite *suite = suite_create ("fork");

  if (!child_may_start_threads ())
    {
      puts ("children of processes with threads cannot start any, as in QEMU");
      return 77;
    }
  add_init (suite);
  add_handlers (suite);
  add_no_init (suite);
  return run_suite (suite);
}
