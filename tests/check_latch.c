/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The lock that one thread passes for next to nothing: eio_sys_latch, of
 * section 2 of eio.c, which is included, with membarrier(2) as the test wants
 * it. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How membarrier fails: as asked for in error, if the command is in refused.
 * What is not refused is asked of the system. */
static atomic_int refused, barriers;

static int
refuses (long number, long command)
{
#ifdef SYS_membarrier
  if (number == SYS_membarrier)
    {
      ++barriers;
      if (refused & command)
        {
          errno = EPERM;
          return 1;
        }
    }
#else
  (void)number, (void)command;
#endif
  return 0;
}

#define FIRST(first, ...)          (long)(first)
#define SECOND(first, second, ...) (long)(second)
#define syscall(...) \
  (refuses (FIRST (__VA_ARGS__, 0), SECOND (__VA_ARGS__, 0, 0)) \
     ? -1L \
     : (long)(syscall) (__VA_ARGS__))
#include "eio.c"
#undef syscall

#include <sched.h>
#include <sys/wait.h>

#include "support.h"

enum
{
  THREADS = 4,
  NO_RIGHT = EIO__MEMBARRIER_REGISTER,
  NO_BARRIER = EIO__MEMBARRIER,
  NEITHER = NO_RIGHT | NO_BARRIER
};

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

/* A latch, and what it guards: with two inside at once, ups gets lost, and
 * holder is another's. */
typedef struct
{
  eio_sys_latch latch;
  long ups;
  int holder;
  atomic_int ready, broken;
} guarded;

static void
hold (guarded *g, int self, int yield)
{
  long ups;

  eio_sys_enter (&g->latch);
  ups = g->ups;
  g->holder = self;
  if (yield)
    sched_yield ();
  g->broken |= g->holder != self || g->ups != ups;
  g->ups = ups + 1;
  eio_sys_leave (&g->latch);
}

/* Threads that come at the same time, and hold the latch so many times. */
typedef struct
{
  guarded *g;
  int self, all, times;
} visitor;

static void *
visit (void *arg)
{
  visitor *v = arg;
  int i, tries = 0;

  ++v->g->ready;
  while (v->g->ready < v->all)
    if (++tries > 1000)
      sched_yield ();
  for (i = 0; i < v->times; ++i)
    hold (v->g, v->self, i % 8 == v->self % 8);
  return 0;
}

/* The same, beside the calling thread, which comes as one of them, or owned it
 * before. */
static void
meet (guarded *g, int threads, int times)
{
  pthread_t tid[THREADS];
  visitor v[THREADS];
  long before = g->ups;
  int i;

  g->ready = 0;
  for (i = 0; i < threads; ++i)
    {
      v[i] = (visitor){ g, i, threads, times };
      if (i)
        ck_assert_int_eq (pthread_create (&tid[i], 0, visit, &v[i]), 0);
    }
  visit (&v[0]);
  for (i = 1; i < threads; ++i)
    pthread_join (tid[i], 0);
  ck_assert_int_eq (g->broken, 0);
  ck_assert_int_eq (g->ups - before, threads * times);
}

static void *
come_in (void *arg)
{
  guarded *g = arg;

  ++g->ready;
  eio_sys_enter (&g->latch);
  ++g->ups;
  eio_sys_leave (&g->latch);
  return 0;
}

static void
run_in_thread (void *(*proc) (void *), void *arg)
{
  pthread_t tid;

  ck_assert_int_eq (pthread_create (&tid, 0, proc, arg), 0);
  pthread_join (tid, 0);
}

static int
has_membarrier (void)
{
#ifdef SYS_membarrier
  return !eio_sys_membarrier (EIO__MEMBARRIER_REGISTER);
#else
  return 0;
#endif
}

/*****************************************************************************
 * Tests                                                                     *
 *****************************************************************************/

START_TEST (first_that_enters_owns_it)
{
  guarded g = { 0 };
  int i;

  if (!has_membarrier ())
    return;
  barriers = 0;
  for (i = 0; i < 1000; ++i)
    hold (&g, 1, 0);
  ck_assert_int_eq (barriers, 1);
  ck_assert_int_eq ((int)g.ups, 1000);
  ck_assert_int_eq (g.latch.shared, 0);
}
END_TEST

/* The others, after that, need no system call any more. */
START_TEST (second_that_enters_makes_it_shared)
{
  guarded g = { 0 };
  int i;

  hold (&g, 1, 0);
  barriers = 0;
  run_in_thread (come_in, &g);
  ck_assert_int_eq (barriers, 1);
  for (i = 0; i < 10; ++i)
    {
      hold (&g, 1, 0);
      run_in_thread (come_in, &g);
    }
  ck_assert_int_eq (barriers, 1);
  ck_assert_int_eq ((int)g.ups, 22);
}
END_TEST

START_TEST (errno_is_kept)
{
  guarded g = { 0 };

  refused = _i;
  errno = 77;
  hold (&g, 1, 0);
  ck_assert_int_eq (errno, 77);
}
END_TEST

/* It is told to, but it has to be out. */
START_TEST (second_waits_for_the_owner)
{
  guarded g = { 0 };
  pthread_t tid;
  int i;

  refused = _i;
  eio_sys_enter (&g.latch);
  ck_assert_int_eq (pthread_create (&tid, 0, come_in, &g), 0);
  wait_until (g.ready == 1);
  for (i = 0; i < 20; ++i)
    {
      nap (1);
      ck_assert_int_eq ((int)g.ups, 0);
    }
  eio_sys_leave (&g.latch);
  pthread_join (tid, 0);
  ck_assert_int_eq ((int)g.ups, 1);
}
END_TEST

static atomic_int came_in;

static void *
come_in_and_tell (void *arg)
{
  guarded *g = arg;

  ++g->ready;
  eio_sys_enter (&g->latch);
  ++came_in;
  eio_sys_leave (&g->latch);
  return 0;
}

/* That the second has come does not mean that the owner is out. */
START_TEST (third_waits_for_the_owner)
{
  guarded g = { 0 };
  pthread_t tid[THREADS];
  int i;

  eio_sys_enter (&g.latch);
  for (i = 0; i < THREADS; ++i)
    {
      ck_assert_int_eq (
        pthread_create (&tid[i], 0, come_in_and_tell, &g), 0);
      wait_until (g.ready == i + 1);
      wait_until (ecb_load_acquire (g.latch.shared));
    }
  for (i = 0; i < 50 && !came_in; ++i)
    nap (1);
  ck_assert_msg (!came_in, "%d came in while the owner was inside", came_in);
  eio_sys_leave (&g.latch);
  for (i = 0; i < THREADS; ++i)
    pthread_join (tid[i], 0);
  ck_assert_int_eq (came_in, THREADS);
  hold (&g, 0, 0);
}
END_TEST

/* Rounds end early where each yield has to wait for others' programs. */
enum { LONGEST = 20 }; /* seconds */

/* All come at once, again and again; or one of them is there before. */
START_TEST (one_at_a_time_is_inside)
{
  int rounds = HAVE_SANITIZER ? 60 : 200, i;
  double end = now () + LONGEST;

  refused = _i % 2 ? NEITHER : 0;
  for (i = 0; i < rounds && now () < end; ++i)
    {
      guarded g = { 0 };

      if (_i / 2)
        hold (&g, 0, 0);
      meet (&g, 2 + i % (THREADS - 1), 1 + i % 50);
    }
}
END_TEST

/* The owner is in and out all the time when others come. */
START_TEST (owner_is_stopped_at_any_moment)
{
  int rounds = HAVE_SANITIZER ? 30 : 150, i, j;
  double end = now () + LONGEST;

  refused = _i;
  for (i = 0; i < rounds && now () < end; ++i)
    {
      guarded g = { 0 };
      visitor v[2];
      pthread_t tid[2];

      hold (&g, 2, 0);
      for (j = 0; j < 2; ++j)
        {
          v[j] = (visitor){ &g, j, 0, 100 };
          pthread_create (&tid[j], 0, visit, &v[j]);
        }
      for (j = 0; j < 2000; ++j)
        hold (&g, 2, !(j % 64));
      for (j = 0; j < 2; ++j)
        pthread_join (tid[j], 0);
      ck_assert_int_eq (g.broken, 0);
      ck_assert_int_eq ((int)g.ups, 1 + 2000 + 200);
    }
}
END_TEST

/* Whether the system says yes to some threads and no to others, as a sandbox
 * may that is put up late. */
START_TEST (right_is_refused_late)
{
  guarded g = { 0 };

  hold (&g, 0, 0);
  refused = NEITHER;
  meet (&g, THREADS, 100);
  refused = 0;
  meet (&g, THREADS, 100);
}
END_TEST

START_TEST (right_is_granted_late)
{
  guarded g = { 0 };

  refused = NO_RIGHT;
  hold (&g, 0, 0);
  refused = 0;
  meet (&g, THREADS, 100);
}
END_TEST

static void *
be_another (void *arg)
{
  visitor v = { arg, 1, 0, 50 };

  return visit (&v);
}

/* Threads that follow each other may have the same number. */
START_TEST (number_of_a_thread_is_used_again)
{
  guarded g = { 0 };
  int i;

  for (i = 0; i < 20; ++i)
    {
      g.ready = 0;
      run_in_thread (be_another, &g);
    }
  ck_assert_int_eq (g.broken, 0);
  meet (&g, THREADS, 50);
  for (i = 0; i < 20; ++i)
    run_in_thread (be_another, &g);
  ck_assert_int_eq (g.broken, 0);
}
END_TEST

/* The same without anybody who joins them: it is the latch alone that orders
 * what they do. */
START_TEST (number_of_a_detached_thread_is_used_again)
{
  static guarded g, other;
  int i, threads;

  run_in_thread (be_another, &other); /* sanitizers may start one then */
  threads = count_threads ();
  for (i = 1; i <= 10; ++i)
    {
      pthread_t tid;

      ck_assert_int_eq (pthread_create (&tid, 0, be_another, &g), 0);
      pthread_detach (tid);
      wait_until (count_threads () <= threads);
    }
  run_in_thread (be_another, &g);
  ck_assert_int_eq (g.broken, 0);
  ck_assert_int_eq ((int)g.ups, 550);
}
END_TEST

/*****************************************************************************
 * With groups                                                               *
 *****************************************************************************/

/* Each thread makes groups with members; the poll thread finishes them. */
enum { GROUPS = 200 };

static void *
make_groups (void *arg)
{
  int i, j;

  (void)arg;
  for (i = 0; i < GROUPS; ++i)
    {
      eio_req *grp = eio_grp (count, 0);
      eio_req *outer = eio_grp (count, 0);

      eio_grp_limit (outer, 1);
      eio_grp_limit (grp, 1);
      for (j = 0; j < 2; ++j)
        if (i % 3)
          eio_nop (0, count, 0);
    }
  return 0;
}

static void
make_groups_from_threads (void)
{
  pthread_t tid[THREADS];
  int i;

  finishes = 0;
  for (i = 0; i < THREADS; ++i)
    pthread_create (&tid[i], 0, make_groups, 0);
  for (i = 0; i < THREADS; ++i)
    pthread_join (tid[i], 0);
}

/* In a child, too, whoever the owner was, and whatever it was in. */
START_TEST (forked_child_has_a_latch_of_its_own)
{
  int status;
  pid_t pid;

  host_start ();
  eio_grp_limit (eio_grp (count, 0), 1);
  host_drain ();
  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      host_start ();
      if (!HAVE_SANITIZER)
        make_groups_from_threads ();
      else
        make_groups (0);
      host_drain ();
      _exit (finishes ? 0 : 1);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  make_groups (0);
  host_drain ();
  eio_set_max_parallel (0);
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("latch");
  TCase *tc = add_case (suite, "latch", 300, 0, 0);

  tcase_add_test (tc, first_that_enters_owns_it);
  tcase_add_test (tc, second_that_enters_makes_it_shared);
  tcase_add_loop_test (tc, errno_is_kept, 0, 1);
  tcase_add_loop_test (tc, errno_is_kept, NEITHER, NEITHER + 1);
  tcase_add_loop_test (tc, second_waits_for_the_owner, 0, 1);
  tcase_add_loop_test (tc, second_waits_for_the_owner, NO_BARRIER,
                       NO_BARRIER + 1);
  tcase_add_test (tc, third_waits_for_the_owner);
  tcase_add_loop_test (tc, one_at_a_time_is_inside, 0, 4);
  tcase_add_loop_test (tc, owner_is_stopped_at_any_moment, 0, 1);
  tcase_add_loop_test (tc, owner_is_stopped_at_any_moment, NO_BARRIER,
                       NO_BARRIER + 1);
  tcase_add_loop_test (tc, owner_is_stopped_at_any_moment, NEITHER,
                       NEITHER + 1);
  tcase_add_test (tc, right_is_refused_late);
  tcase_add_test (tc, right_is_granted_late);
  tcase_add_test (tc, number_of_a_thread_is_used_again);
  tcase_add_test (tc, number_of_a_detached_thread_is_used_again);
  tcase_add_test (tc, forked_child_has_a_latch_of_its_own);
  return run_suite (suite);
}
