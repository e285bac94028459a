/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Groups in the hands of several threads, while one polls.  A thread that
 * does not poll may count on a request only until it has submitted it, and on
 * a submitted group while something in it cannot end: here a guard, a member
 * that has not been submitted yet. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "support.h"
#include "probe.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

enum { THREADS = 4 };

static pthread_t threads[THREADS];
static atomic_int nrunning;

typedef struct
{
  void (*body) (int n);
  int n;
} job;

static job jobs[THREADS];

static void *
run_job (void *arg)
{
  job *j = arg;

  j->body (j->n);
  --nrunning;
  return 0;
}

static void
start_threads (int n, void (*body) (int n))
{
  int i;

  nrunning = n;
  for (i = 0; i < n; ++i)
    {
      jobs[i] = (job){ body, i };
      ck_assert_int_eq (pthread_create (&threads[i], 0, run_job, &jobs[i]),
                        0);
    }
}

static void
join_threads (int n)
{
  while (n--)
    pthread_join (threads[n], 0);
}

/* Polls while the threads work, and until all is done. */
static void
poll_for (int n)
{
  while (nrunning)
    if (host_wait (1))
      eio_poll ();
  join_threads (n);
  host_drain ();
  ck_assert_int_eq (host_wait (0), 0);
}

/* Runs body (0), ... on n threads, while this one polls. */
static void
on_threads (int n, void (*body) (int n))
{
  start_threads (n, body);
  poll_for (n);
}

/* Adds a request to a group before it is submitted. */
static void
add_and_submit (probe *grp, probe *p, int type)
{
  probe_fill (p, type);
  if (eio_grp_add (&grp->req, &p->req))
    abort ();
  eio_submit (&p->req);
}

/* A group that lasts until its guard is submitted. */
static void
submit_guarded (probe *grp, probe *guard)
{
  probe_fill (grp, EIO_GROUP);
  probe_fill (guard, EIO_NOP);
  if (eio_grp_add (&grp->req, &guard->req))
    abort ();
  eio_submit (&grp->req);
}

static unsigned
a_random (unsigned *seed)
{
  return (unsigned)rand_r (seed);
}

static probe grp, guard, member, inner;
static probe members[THREADS][2000];
static probe groups[THREADS][500], guards[THREADS][500];

static void
start (void)
{
  prepare_stays ();
  host_start ();
}

/*****************************************************************************
 * On one thread, in either order                                            *
 *****************************************************************************/

START_TEST (members_come_before_their_submission)
{
  submit_guarded (&grp, &guard);
  host_poll ();
  assert_live (&grp);
  add_and_submit (&grp, &member, EIO_CUSTOM);
  host_drain ();
  assert_done (&member);
  assert_live (&grp);
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&guard);
  assert_done (&grp);
  ck_assert_int_gt (grp.finish_turn, guard.destroy_turn);
}
END_TEST

/* _i: which are submitted before the group. */
START_TEST (members_come_before_their_groups_submission)
{
  int i;

  probe_fill (&grp, EIO_GROUP);
  for (i = 0; i < 2; ++i)
    {
      probe_fill (&members[0][i], EIO_CUSTOM);
      ck_assert_int_eq (eio_grp_add (&grp.req, &members[0][i].req), 0);
    }
  for (i = 0; i < 2; ++i)
    if (_i & 1 << i)
      {
        eio_submit (&members[0][i].req);
        if (_i & 4)
          host_drain ();
      }
  assert_live (&grp);
  eio_submit (&grp.req);
  for (i = 0; i < 2; ++i)
    if (!(_i & 1 << i))
      {
        while (_i & 4 && eio_nreqs ())
          host_poll ();
        assert_live (&grp);
        eio_submit (&members[0][i].req);
      }
  host_drain ();
  assert_done (&members[0][0]);
  assert_done (&members[0][1]);
  assert_done (&grp);
}
END_TEST

/* _i: in which order the three are submitted. */
START_TEST (inner_groups_come_in_any_order)
{
  static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                   { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
  probe *all[] = { &grp, &inner, &member };
  int i;

  probe_fill (&grp, EIO_GROUP);
  probe_fill (&inner, EIO_GROUP);
  probe_fill (&member, EIO_CUSTOM);
  if (_i % 2)
    ck_assert_int_eq (eio_grp_add (&inner.req, &member.req), 0);
  ck_assert_int_eq (eio_grp_add (&grp.req, &inner.req), 0);
  if (_i % 2 == 0)
    ck_assert_int_eq (eio_grp_add (&inner.req, &member.req), 0);
  for (i = 0; i < 3; ++i)
    {
      eio_submit (&all[orders[_i / 2][i]]->req);
      while (eio_nreqs ())
        host_poll ();
      ck_assert_int_eq (grp.finishes, i == 2);
    }
  host_drain ();
  assert_done (&member);
  assert_done (&inner);
  assert_done (&grp);
  ck_assert_int_lt (member.destroy_turn, inner.finish_turn);
  ck_assert_int_lt (inner.destroy_turn, grp.finish_turn);
}
END_TEST

/* _i: what is cancelled when; the group by eio_cancel or eio_grp_cancel. */
START_TEST (cancelled_group_cancels_what_is_added)
{
  int whole = _i & 1, submitted = _i & 2, before = _i & 4;

  probe_fill (&grp, EIO_GROUP);
  probe_fill (&guard, EIO_NOP);
  ck_assert_int_eq (eio_grp_add (&grp.req, &guard.req), 0);
  if (submitted)
    {
      eio_submit (&grp.req);
      host_poll ();
    }
  probe_fill (&inner, EIO_GROUP);
  probe_fill (&member, EIO_CUSTOM);
  if (before)
    {
      eio_grp_add (&grp.req, &inner.req);
      eio_grp_add (&inner.req, &member.req);
    }
  if (whole)
    eio_cancel (&grp.req);
  else
    eio_grp_cancel (&grp.req);
  if (!before)
    {
      eio_grp_add (&inner.req, &member.req);
      eio_grp_add (&grp.req, &inner.req);
    }
  ck_assert_int_eq (!EIO_CANCELLED (&member.req), !before && !whole);
  eio_submit (&member.req);
  eio_submit (&inner.req);
  eio_submit (&guard.req);
  if (!submitted)
    eio_submit (&grp.req);
  host_drain ();
  ck_assert_int_eq (grp.finishes, !whole);
  ck_assert_int_eq (grp.destroys, 1);
  ck_assert_int_eq (inner.finishes, !before && !whole);
  ck_assert_int_eq (inner.destroys, 1);
  ck_assert_int_eq (member.finishes, !before && !whole);
  ck_assert_int_eq (member.runs, !before && !whole);
  ck_assert_int_eq (member.destroys, 1);
  assert_dropped (&guard);
}
END_TEST

static probe second;
static int rounds;

static int
join_group_again (eio_req *req)
{
  if (!rounds++)
    {
      eio_grp_add (&second.req, req);
      eio_submit (req);
    }
  else
    ++probe_of (req)->finishes;
  return 0;
}

/* As who submits to another pool has to. */
START_TEST (finish_may_add_its_request_before_it_submits_it)
{
  submit_guarded (&second, &guard);
  probe_fill (&member, EIO_NOP);
  member.req.finish = join_group_again;
  eio_submit (&member.req);
  host_drain ();
  ck_assert_int_eq (rounds, 2);
  assert_done (&member);
  assert_live (&second);
  ck_assert_uint_eq (second.req.size, 1);
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&second);
}
END_TEST

static int
fill_group_again (eio_req *req)
{
  probe *p = probe_of (req);

  if (!rounds++)
    {
      memset (req, 0, sizeof *req);
      req->type = EIO_GROUP;
      req->finish = fill_group_again;
      req->destroy = probe_destroyed;
      add_and_submit (p, &member, EIO_CUSTOM);
      add_and_submit (p, &inner, EIO_GROUP);
      eio_submit (req);
    }
  else
    ++p->finishes;
  return 0;
}

START_TEST (finish_may_fill_its_group_anew)
{
  probe_fill (&grp, EIO_GROUP);
  grp.req.finish = fill_group_again;
  eio_submit (&grp.req);
  host_drain ();
  ck_assert_int_eq (rounds, 2);
  assert_done (&member);
  assert_done (&inner);
  assert_done (&grp);
}
END_TEST

/*****************************************************************************
 * On many                                                                   *
 *****************************************************************************/

static void
make_groups (int n)
{
  int i, j;

  for (i = 0; i < 100; ++i)
    {
      probe *g = &groups[n][i];

      probe_fill (g, EIO_GROUP);
      for (j = 0; j < 5; ++j)
        {
          probe *p = &members[n][5 * i + j];

          probe_fill (p, j % 2 ? EIO_CUSTOM : EIO_NOP);
          eio_grp_add (&g->req, &p->req);
          if (i % 3 == 0)
            eio_submit (&p->req);
        }
      if (i % 3 == 1)
        for (j = 0; j < 5; ++j)
          eio_submit (&members[n][5 * i + j].req);
      eio_submit (&g->req);
      if (i % 3 == 2)
        for (j = 0; j < 5; ++j)
          eio_submit (&members[n][5 * i + j].req);
    }
}

START_TEST (threads_make_groups)
{
  int i, n;

  on_threads (THREADS, make_groups);
  for (n = 0; n < THREADS; ++n)
    {
      for (i = 0; i < 100; ++i)
        assert_done (&groups[n][i]);
      for (i = 0; i < 500; ++i)
        {
          assert_done (&members[n][i]);
          ck_assert_int_lt (members[n][i].destroy_turn,
                            groups[n][i / 5].finish_turn);
        }
    }
}
END_TEST

static void
make_empty_groups (int n)
{
  int i;

  for (i = 0; i < 300; ++i)
    if (!eio_grp (count, 0))
      abort ();
  (void)n;
}

START_TEST (threads_make_empty_groups)
{
  on_threads (THREADS, make_empty_groups);
  ck_assert_int_eq (finishes, THREADS * 300);
}
END_TEST

static void
add_members (int n)
{
  int i;

  for (i = 0; i < 500; ++i)
    add_and_submit (&grp, &members[n][i], i % 3 ? EIO_NOP : EIO_GROUP);
}

START_TEST (threads_add_to_one_group)
{
  int i, n;

  submit_guarded (&grp, &guard);
  on_threads (THREADS, add_members);
  assert_live (&grp);
  ck_assert_uint_eq (grp.req.size, 1);
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&grp);
  for (n = 0; n < THREADS; ++n)
    for (i = 0; i < 500; ++i)
      assert_done (&members[n][i]);
}
END_TEST

/* One thread submits the group, others its members. */
static pthread_barrier_t barrier;

static void
submit_parts (int n)
{
  int i;

  for (i = 0; i < 200; ++i)
    {
      if (!n)
        {
          int j;

          probe_fill (&groups[0][i], EIO_GROUP);
          for (j = 1; j < THREADS; ++j)
            {
              probe_fill (&members[j][i], EIO_NOP);
              eio_grp_add (&groups[0][i].req, &members[j][i].req);
            }
        }
      pthread_barrier_wait (&barrier);
      eio_submit (n ? &members[n][i].req : &groups[0][i].req);
    }
}

START_TEST (group_and_members_are_submitted_at_the_same_time)
{
  int i, n;

  pthread_barrier_init (&barrier, 0, THREADS);
  on_threads (THREADS, submit_parts);
  for (i = 0; i < 200; ++i)
    {
      assert_done (&groups[0][i]);
      for (n = 1; n < THREADS; ++n)
        assert_done (&members[n][i]);
    }
}
END_TEST

/* Inner groups whose guards last are added after they were submitted. */
static void
add_live_groups (int n)
{
  int i;

  for (i = 0; i < 300; ++i)
    {
      submit_guarded (&groups[n][i], &guards[n][i]);
      if (i % 2)
        sched_yield ();
      if (eio_grp_add (&grp.req, &groups[n][i].req))
        abort ();
      eio_submit (&guards[n][i].req);
    }
}

START_TEST (threads_add_groups_that_wait)
{
  int i, n;

  submit_guarded (&grp, &guard);
  on_threads (THREADS, add_live_groups);
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&grp);
  for (n = 0; n < THREADS; ++n)
    for (i = 0; i < 300; ++i)
      {
        assert_done (&groups[n][i]);
        assert_done (&guards[n][i]);
        ck_assert_int_lt (groups[n][i].destroy_turn, grp.finish_turn);
      }
}
END_TEST

/* A chain: each group in the one before; half of the threads submit every
 * other one at last, from the inside. */
enum { DEEP = 400 };

static void
link_of_chain (int n, int i)
{
  probe_fill (&groups[n][i], EIO_GROUP);
  eio_grp_add (i ? &groups[n][i - 1].req : &grp.req, &groups[n][i].req);
}

static void
make_chain (int n)
{
  int i;

  link_of_chain (n, 0);
  for (i = 0; i < DEEP; ++i)
    {
      add_and_submit (&groups[n][i], &members[n][i], EIO_NOP);
      if (i + 1 < DEEP)
        link_of_chain (n, i + 1); /* before i is out of our hands */
      if (n % 2 || i % 2)
        eio_submit (&groups[n][i].req);
    }
  for (i = DEEP; i-- && n % 2 == 0;)
    if (i % 2 == 0)
      eio_submit (&groups[n][i].req);
}

START_TEST (threads_make_deep_trees)
{
  int i, n;

  submit_guarded (&grp, &guard);
  on_threads (THREADS, make_chain);
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&grp);
  for (n = 0; n < THREADS; ++n)
    for (i = 0; i < DEEP; ++i)
      {
        assert_done (&groups[n][i]);
        assert_done (&members[n][i]);
        if (i)
          ck_assert_int_lt (groups[n][i].destroy_turn,
                            groups[n][i - 1].finish_turn);
      }
}
END_TEST

/*****************************************************************************
 * Cancellation                                                              *
 *****************************************************************************/

/* Thread 0 makes a tree below grp, the others cancel parts of it. */
static atomic_int nmade;

static void
make_or_cancel (int n)
{
  unsigned seed = (unsigned)n;
  int i;

  if (!n)
    {
      for (i = 0; i < 300; ++i)
        {
          int above = (int)(a_random (&seed) % (unsigned)(i + 1)) - 1;

          probe_fill (&groups[0][i], EIO_GROUP);
          probe_fill (&guards[0][i], EIO_NOP);
          eio_grp_add (&groups[0][i].req, &guards[0][i].req);
          eio_grp_add (above < 0 ? &grp.req : &groups[0][above].req,
                       &groups[0][i].req);
          add_and_submit (&groups[0][i], &members[0][i], EIO_CUSTOM);
          eio_submit (&groups[0][i].req);
          nmade = i + 1;
        }
      return;
    }

  while (nmade < 300)
    {
      unsigned r = a_random (&seed);

      if (!nmade)
        sched_yield ();
      else if (r & 64)
        eio_grp_cancel (&groups[0][r % (unsigned)nmade].req);
      else if ((r & 0x380) == 0)
        eio_cancel (&groups[0][r % (unsigned)nmade].req);
      else
        eio_grp_limit (&groups[0][r % (unsigned)nmade].req, (int)(r & 3));
    }
}

static void
assert_ended (probe *p)
{
  ck_assert_int_le (p->finishes, 1);
  ck_assert_int_eq (p->destroys, 1);
}

START_TEST (threads_cancel_parts_of_a_tree)
{
  int i;

  submit_guarded (&grp, &guard);
  on_threads (THREADS, make_or_cancel);
  for (i = 0; i < 300; ++i)
    eio_submit (&guards[0][i].req);
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&grp);
  for (i = 0; i < 300; ++i)
    {
      assert_ended (&groups[0][i]);
      assert_ended (&members[0][i]);
      assert_ended (&guards[0][i]);
    }
}
END_TEST

static void
add_or_cancel_all (int n)
{
  int i;

  if (n)
    add_members (n);
  else
    for (i = 0; i < 50; ++i)
      {
        if (i < 49)
          eio_grp_cancel (&grp.req);
        else if (rounds)
          eio_cancel (&grp.req);
        sched_yield ();
      }
}

START_TEST (group_is_cancelled_while_threads_add)
{
  int i, n;

  rounds = _i;
  submit_guarded (&grp, &guard);
  on_threads (THREADS, add_or_cancel_all);
  eio_submit (&guard.req);
  host_drain ();
  ck_assert_int_eq (grp.finishes, !_i);
  ck_assert_int_eq (grp.destroys, 1);
  for (n = 1; n < THREADS; ++n)
    for (i = 0; i < 500; ++i)
      assert_ended (&members[n][i]);
}
END_TEST

/*****************************************************************************
 * Feeders                                                                   *
 *****************************************************************************/

/* Feeders take members from a heap that all groups share. */
static probe heap[4000];
static atomic_int taken;
static int in_heap;

static void
feed_one (eio_req *req)
{
  int i = taken++;

  if (i >= in_heap)
    return;
  probe_fill (&heap[i], i % 2 ? EIO_CUSTOM : EIO_NOP);
  if (eio_grp_add (req, &heap[i].req))
    abort ();
  eio_submit (&heap[i].req);
}

static void
assert_heap_is_done (void)
{
  int i;

  for (i = 0; i < in_heap; ++i)
    assert_done (&heap[i]);
}

static void
feed_own_group (int n)
{
  submit_guarded (&groups[n][0], &guards[n][0]);
  eio_grp_feed (&groups[n][0].req, feed_one, 5);
  eio_submit (&guards[n][0].req);
}

static void
feed_unsubmitted (int n)
{
  probe_fill (&groups[n][0], EIO_GROUP);
  eio_grp_feed (&groups[n][0].req, feed_one, 5);
  eio_submit (&groups[n][0].req);
}

START_TEST (threads_feed_groups_of_their_own)
{
  int n;

  in_heap = LENGTH (heap);
  on_threads (THREADS, _i ? feed_unsubmitted : feed_own_group);
  for (n = 0; n < THREADS; ++n)
    assert_done (&groups[n][0]);
  assert_heap_is_done ();
}
END_TEST

static void
change_limit (int n)
{
  unsigned seed = (unsigned)n;
  int i;

  for (i = 0; i < 300; ++i)
    {
      unsigned r = a_random (&seed);

      if (r & 1)
        eio_grp_limit (&grp.req, (int)(r >> 8 & 7));
      else
        eio_grp_feed (&grp.req, feed_one, (int)(r >> 8 & 7));
    }
}

START_TEST (threads_change_one_groups_feeder)
{
  in_heap = LENGTH (heap);
  submit_guarded (&grp, &guard);
  on_threads (THREADS, change_limit);
  eio_grp_feed (&grp.req, feed_one, 10);
  host_drain ();
  assert_live (&grp);
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&grp);
  assert_heap_is_done ();
}
END_TEST

/* A feeder that looks, finds nothing, and takes its time to say so. */
static sem_t looked, may_return;
static atomic_int looks;
static atomic_int slow;

static void
feed_slowly (eio_req *req)
{
  if (++looks == 1)
    {
      slow = 1;
      sem_post (&looked);
      take (&may_return);
      slow = 0;
    }
  else
    feed_one (req);
}

static void
start_slow_feeder (int n)
{
  (void)n;
  eio_grp_feed (&grp.req, feed_slowly, 4);
}

/* Something has come, so it is set again: it has to look again. */
START_TEST (feeder_that_is_set_while_it_runs_is_called_again)
{
  sem_init (&looked, 0, 0);
  sem_init (&may_return, 0, 0);
  submit_guarded (&grp, &guard);
  host_drain ();
  start_threads (1, start_slow_feeder);
  take (&looked);
  in_heap = 3;
  eio_grp_feed (&grp.req, feed_slowly, 4);
  give (&may_return, 1);
  poll_for (1);
  ck_assert_int_gt (looks, 1);
  assert_heap_is_done ();
  eio_submit (&guard.req);
  host_drain ();
  assert_done (&grp);
}
END_TEST

/* The group has nothing else any more, and waits only for it. */
START_TEST (group_waits_for_a_feeder_on_another_thread)
{
  sem_init (&looked, 0, 0);
  sem_init (&may_return, 0, 0);
  submit_guarded (&grp, &guard);
  start_threads (1, start_slow_feeder);
  take (&looked);
  eio_submit (&guard.req);
  while (!guard.destroys)
    host_poll ();
  assert_live (&grp);
  if (_i == 1)
    eio_cancel (&grp.req);
  if (_i == 2)
    eio_grp_cancel (&grp.req);
  assert_live (&grp);
  give (&may_return, 1);
  poll_for (1);
  ck_assert_int_eq (grp.finishes, _i != 1);
  ck_assert_int_eq (grp.destroys, 1);
}
END_TEST

static sem_t begins[2], inside[2], leaves[2], outside[2];
static atomic_int fed[2];

/* Adds one member, once. */
static void
feed_in_turn (eio_req *req)
{
  int n = req != &groups[0][0].req;

  if (fed[n]++)
    return;
  sem_post (&inside[n]);
  take (&leaves[n]);
  add_and_submit (&groups[n][0], &members[n][0], EIO_CUSTOM);
}

static void
feed_when_told (int n)
{
  take (&begins[n]);
  eio_grp_feed (&groups[n][0].req, feed_in_turn, 2);
  sem_post (&outside[n]);
}

/* Feeders end in the order in which they began, or in the other. */
START_TEST (feeders_of_two_threads_end_in_any_order)
{
  int n, first = _i;

  for (n = 0; n < 2; ++n)
    {
      sem_init (&begins[n], 0, 0);
      sem_init (&inside[n], 0, 0);
      sem_init (&leaves[n], 0, 0);
      sem_init (&outside[n], 0, 0);
      submit_guarded (&groups[n][0], &guards[n][0]);
    }
  start_threads (2, feed_when_told);
  for (n = 0; n < 2; ++n)
    {
      give (&begins[n], 1);
      take (&inside[n]);
    }
  give (&leaves[first], 1);
  take (&outside[first]);
  give (&leaves[!first], 1);
  take (&outside[!first]);
  for (n = 0; n < 2; ++n)
    eio_submit (&guards[n][0].req);
  poll_for (2);
  for (n = 0; n < 2; ++n)
    {
      assert_done (&members[n][0]);
      assert_done (&groups[n][0]);
      ck_assert_int_eq (fed[n], 2);
    }
}
END_TEST

/* A feeder may submit what it likes, but others have a limit. */
START_TEST (feeder_on_another_thread_lifts_no_limit)
{
  eio_req *req;

  sem_init (&looked, 0, 0);
  sem_init (&may_return, 0, 0);
  submit_guarded (&grp, &guard);
  host_drain ();
  start_threads (1, start_slow_feeder);
  take (&looked);
  eio_set_submit_limit (1);
  ck_assert_ptr_nonnull (eio_nop (0, 0, 0));
  errno = 0;
  req = eio_nop (0, 0, 0);
  give (&may_return, 1);
  poll_for (1);
  eio_submit (&guard.req);
  host_drain ();
  ck_assert_ptr_null (req);
}
END_TEST

/* A feeder on this thread, for whose sake the limit is lifted. */
static int refused;

static void
feed_above_limit (eio_req *req)
{
  eio_req *one = eio_nop (0, count, 0);

  refused += !one;
  if (one)
    eio_grp_add (req, one);
  if (++looks == 5)
    eio_grp_limit (req, 0);
}

START_TEST (feeder_is_not_limited_on_its_own_thread)
{
  submit_guarded (&grp, &guard);
  host_drain ();
  eio_set_submit_limit (1);
  eio_grp_feed (&grp.req, feed_above_limit, 10);
  eio_submit (&guard.req);
  host_drain ();
  ck_assert_int_eq (refused, 0);
  ck_assert_int_eq (finishes, 5);
}
END_TEST

/*****************************************************************************
 * Everything, in several pools                                              *
 *****************************************************************************/

static eio_pool *pools[2];

static int
finish_quietly (eio_req *req)
{
  ++probe_of (req)->finishes;
  return 0;
}

static void
destroy_quietly (eio_req *req)
{
  ++probe_of (req)->destroys;
}

/* Probes count their turns, which two poll threads must not do at once. */
static void
fill_quiet (probe *p, int type)
{
  probe_fill (p, type);
  p->req.finish = finish_quietly;
  p->req.destroy = destroy_quietly;
}

static void
feed_quietly (eio_req *req)
{
  int i = taken++;

  if (i >= in_heap)
    return;
  fill_quiet (&heap[i], EIO_CUSTOM);
  if (eio_grp_add (req, &heap[i].req))
    abort ();
  eio_submit (&heap[i].req);
}

static void
do_anything (int n)
{
  unsigned seed = (unsigned)n + 7;
  int i;

  for (i = 0; i < 300; ++i)
    {
      probe *g = &groups[n][i];
      unsigned r = a_random (&seed), j;

      eio_pool_use (pools[r & 1]);
      fill_quiet (g, EIO_GROUP);
      fill_quiet (&guards[n][i], EIO_NOP);
      eio_grp_add (&g->req, &guards[n][i].req);
      if (r & 2)
        eio_submit (&g->req);
      eio_pool_use (pools[r >> 2 & 1]); /* does not matter */
      for (j = 0; j < 4; ++j)
        {
          probe *p = &members[n][4 * i + (int)j];

          fill_quiet (p, j & 1 ? EIO_NOP : EIO_CUSTOM);
          eio_grp_add (&g->req, &p->req);
          eio_submit (&p->req);
        }
      if ((r & 0x30) == 0)
        eio_cancel (&g->req);
      if ((r & 0x30) == 0x10)
        eio_grp_cancel (&g->req);
      if ((r & 0x30) == 0x20)
        eio_grp_feed (&g->req, feed_quietly, 3);
      if (!(r & 2))
        eio_submit (&g->req);
      eio_submit (&guards[n][i].req);
    }
}

static atomic_int second_ends;

static void *
poll_second (void *arg)
{
  int end;

  eio_pool_use (arg);
  do
    {
      end = second_ends;
      eio_poll_wait (0.001);
      eio_poll ();
    }
  while (!end || eio_nreqs ());
  return 0;
}

START_TEST (groups_of_several_threads_and_pools)
{
  pthread_t poller;
  int i, n;

  in_heap = LENGTH (heap);
  pools[0] = 0;
  pools[1] = _i ? eio_pool_new_shared (0, 0, 0, 0) : eio_pool_new (0, 0, 0);
  pthread_create (&poller, 0, poll_second, pools[1]);
  on_threads (THREADS, do_anything);
  second_ends = 1;
  pthread_join (poller, 0);
  ck_assert_int_eq (eio_pool_free (pools[1]), 0);
  for (n = 0; n < THREADS; ++n)
    for (i = 0; i < 300; ++i)
      {
        assert_ended (&groups[n][i]);
        assert_ended (&guards[n][i]);
      }
  for (i = 0; i < taken && i < in_heap; ++i)
    assert_ended (&heap[i]);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

int
main (void)
{
  Suite *suite = suite_create ("grpthreads");
  TCase *tc = add_case (suite, "orders", 60, start, 0);

  tcase_add_test (tc, members_come_before_their_submission);
  tcase_add_loop_test (tc, members_come_before_their_groups_submission, 0, 8);
  tcase_add_loop_test (tc, inner_groups_come_in_any_order, 0, 12);
  tcase_add_loop_test (tc, cancelled_group_cancels_what_is_added, 0, 8);
  tcase_add_test (tc, finish_may_add_its_request_before_it_submits_it);
  tcase_add_test (tc, finish_may_fill_its_group_anew);

  tc = add_case (suite, "threads", 60, start, 0);
  tcase_add_test (tc, threads_make_groups);
  tcase_add_test (tc, threads_make_empty_groups);
  tcase_add_test (tc, threads_add_to_one_group);
  tcase_add_test (tc, group_and_members_are_submitted_at_the_same_time);
  tcase_add_test (tc, threads_add_groups_that_wait);
  tcase_add_test (tc, threads_make_deep_trees);

  tc = add_case (suite, "cancel", 60, start, 0);
  tcase_add_test (tc, threads_cancel_parts_of_a_tree);
  tcase_add_loop_test (tc, group_is_cancelled_while_threads_add, 0, 2);

  tc = add_case (suite, "feeders", 60, start, 0);
  tcase_add_loop_test (tc, threads_feed_groups_of_their_own, 0, 2);
  tcase_add_test (tc, threads_change_one_groups_feeder);
  tcase_add_test (tc, feeder_that_is_set_while_it_runs_is_called_again);
  tcase_add_loop_test (tc, group_waits_for_a_feeder_on_another_thread, 0, 3);
  tcase_add_loop_test (tc, feeders_of_two_threads_end_in_any_order, 0, 2);
  tcase_add_test (tc, feeder_on_another_thread_lifts_no_limit);
  tcase_add_test (tc, feeder_is_not_limited_on_its_own_thread);

  tc = add_case (suite, "pools", 60, start, 0);
  tcase_add_loop_test (tc, groups_of_several_threads_and_pools, 0, 2);
  return run_suite (suite);
}
