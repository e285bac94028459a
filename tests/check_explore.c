/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Small uses of the library, over and over again, each time with another order
 * of what its threads do: see explore.h.  A run that goes wrong, or in which
 * nobody can go on, is reported with what repeats it, and shows its steps:
 * EIO_SCHEDULE='NAME N:K ...'.
 *
 * Runs with one deviation are had, and with more, up to EIO_EXPLORE_DEPTH (2);
 * EIO_EXPLORE_RUNS (500, 100 with sanitizers) of each at most, and as many at
 * random, by EIO_EXPLORE_SEED (1, so that a suite does the same each time). */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "explore.h"
#include "points.h"
#include "eio.c"
#undef pthread_mutex_lock
#undef pthread_mutex_unlock
#undef pthread_cond_wait
#undef pthread_cond_signal
#undef pthread_join
#undef pthread_detach
#undef nanosleep
#undef clock_gettime
#undef syscall

#include <sys/file.h>

#include "support.h"

/*****************************************************************************
 * The host                                                                  *
 *****************************************************************************/

static int told, wanted; /* by want_poll */
static int nended;
static unsigned limit;   /* the highest that there is */

/* What happened to each request. */
enum { REQS = 6 };
static struct
{
  eio_req *req;
  int begun, ended, cancelled;
} seen[REQS];
static int nbegun, executing;

static void
want (void)
{
  must (!told);
  told = 1;
  ++wanted;
  wake (&told, ACTORS);
}

static void
done (void)
{
  must (told);
  told = 0;
}

static int
note_end (eio_req *req)
{
  int i = (int)(size_t)req->data;

  must (!seen[i].ended && !seen[i].cancelled);
  must (req->type != EIO_CUSTOM || seen[i].begun == 1);
  seen[i].ended = 1;
  ++nended;
  return 0;
}

/* Returns how many have begun. */
static int
begin_request (eio_req *req)
{
  int i = (int)(size_t)req->data, n = ++nbegun;

  must (!seen[i].begun++);
  must (++executing <= (int)limit);
  point (__func__);
  return n;
}

static void
work (eio_req *req)
{
  begin_request (req);
  --executing;
}

/* Executes until there is another that does: they are as many as workers. */
static void
meet (eio_req *req)
{
  int n = begin_request (req);

  wake (&nbegun, ACTORS);
  while (nbegun < n + n % 2)
    wait_for (&nbegun, 0);
  --executing;
}

static eio_req *
start (int i, int pri, void (*how) (eio_req *))
{
  return seen[i].req = eio_custom (how, pri, note_end, (void *)(size_t)i);
}

static void
begin (unsigned workers)
{
  told = wanted = nended = nbegun = executing = 0;
  memset (seen, 0, sizeof seen);
  limit = workers;
  must (!eio_init (want, done));
  eio_set_parallel (workers);
  eio_set_max_idle (4);
  eio_set_idle_timeout (10);
}

/* Polls when it is told, and never else. */
static void
poll_until_ended (int n)
{
  while (nended < n)
    {
      while (!told)
        wait_for (&told, 0);
      eio_poll ();
    }
}

/* Nothing came only because time passed. */
static void
nothing_was_late (void)
{
  must (!npauses);
}

static void
shut_down (int mode)
{
  must (eio_nthreads () <= limit);
  must (!eio_shutdown (mode, -1));
  must (!eio_nthreads () && !eio_nreqs () && !executing);
  must (is_alone ());
}

static void
end (void)
{
  shut_down (EIO_SHUTDOWN_DRAIN);
}

/*****************************************************************************
 * Uses                                                                      *
 *****************************************************************************/

/* Requests of several priorities; the host sleeps until it is told. */
static void
all_are_executed (void)
{
  int i;

  begin (2);
  for (i = 0; i < 3; ++i)
    start (i, i % 2, work);
  poll_until_ended (3);
  nothing_was_late ();
  end ();
}

/* Somebody takes a request while another is executed. */
static void
nobody_blocks_others (void)
{
  int i;

  begin (2);
  for (i = 0; i < 4; ++i)
    start (i, 0, meet);
  poll_until_ended (4);
  nothing_was_late ();
  end ();
}

/* The same with workers that are there, asleep. */
static void
sleepers_are_woken (void)
{
  int i;

  begin (2);
  start (0, 0, meet);
  start (1, 0, meet);
  poll_until_ended (2);
  for (i = 2; i < 4; ++i)
    start (i, 0, meet);
  poll_until_ended (4);
  nothing_was_late ();
  end ();
}

/* One after the other never needs two threads. */
static void
one_at_a_time_needs_one_thread (void)
{
  int i;

  begin (2);
  for (i = 0; i < 3; ++i)
    {
      start (i, 0, work);
      poll_until_ended (i + 1);
      must (eio_nthreads () == 1);
    }
  nothing_was_late ();
  end ();
}

static void *
submit_two (void *arg)
{
  (void)arg;
  start (2, 1, meet);
  start (3, 0, meet);
  return 0;
}

/* Another thread submits meanwhile. */
static void
two_threads_submit (void)
{
  pthread_t tid;

  begin (2);
  must (!explored_create (&tid, 0, submit_two, 0));
  start (0, 0, meet);
  start (1, 0, meet);
  poll_until_ended (4);
  must (!explored_join (tid, 0));
  nothing_was_late ();
  end ();
}

/* Idle workers leave, at once or in a while, and new ones come. */
static void
workers_come_and_go (void)
{
  int i;

  begin (2);
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  for (i = 0; i < 4; ++i)
    {
      start (i, 0, i < 2 ? meet : work);
      if (i)
        poll_until_ended (i + 1);
    }
  end ();
}

/* Of two, one may stay: the other is on its way when requests come; and in the
 * end they are one. */
static void
timeouts_race_with_requests (void)
{
  int i;

  begin (2);
  eio_set_max_idle (1);
  eio_set_idle_timeout (1);
  start (0, 0, meet);
  start (1, 0, meet);
  poll_until_ended (2);
  for (i = 2; i < 4; ++i)
    start (i, 0, meet);
  poll_until_ended (4);
  do
    wait_for (acting, the_time + NAP);
  while (eio_nthreads () > 1);
  must (eio_nthreads () == 1);
  end ();
}

/* Down, up, and down again. */
static void
the_limit_changes (void)
{
  begin (2);
  start (0, 0, work);
  start (1, 0, work);
  eio_set_max_parallel (1);
  must (eio_nthreads () <= 1);
  start (2, 0, work);
  eio_set_max_parallel (0);
  must (eio_nthreads () == 0);
  must (is_alone ());
  start (3, 0, work);
  must (!seen[3].begun);
  eio_set_min_parallel (2);
  poll_until_ended (4);
  end ();
}

/* Who was woken to leave does not take what comes then: another has to. */
static void
who_leaves_takes_nothing (void)
{
  begin (2);
  start (0, 0, meet);
  start (1, 0, meet);
  poll_until_ended (2);
  eio_set_parallel (1);
  start (2, 0, work);
  poll_until_ended (3);
  nothing_was_late ();
  end ();
}

static void *
lower_limit (void *arg)
{
  (void)arg;
  eio_set_max_parallel (1);
  must (eio_nthreads () <= 1);
  eio_set_min_parallel (2);
  return 0;
}

/* Another thread does that. */
static void
the_limit_changes_meanwhile (void)
{
  pthread_t tid;
  int i;

  begin (2);
  must (!explored_create (&tid, 0, lower_limit, 0));
  for (i = 0; i < 3; ++i)
    start (i, 0, work);
  poll_until_ended (3);
  must (!explored_join (tid, 0));
  end ();
}

/* Threads are refused: the first, or the second. */
static void
some_threads_are_refused (void)
{
  int i;

  begin (2);
  refused_from = creations;
  refused = 2;
  for (i = 0; i < 3; ++i)
    start (i, 0, work);
  poll_until_ended (3);
  end ();
}

/* All are, and eio_poll executes, which the host has to be told. */
static void
all_threads_are_refused (void)
{
  int i;

  begin (2);
  refused_from = creations;
  refused = 100;
  for (i = 0; i < 3; ++i)
    start (i, 0, work);
  poll_until_ended (3);
  end ();
}

/* One is there, and parks while another is refused. */
static void
refused_threads_are_made_up_for (void)
{
  begin (2);
  start (0, 0, work);
  poll_until_ended (1);
  refused_from = creations;
  refused = 100;
  start (1, 0, work);
  start (2, 0, work);
  poll_until_ended (3);
  end ();
}

/* Executes until a thread is refused. */
static void
outlast_refusal (eio_req *req)
{
  begin_request (req);
  while (creations == refused_from)
    wait_for (&creations, 0);
  --executing;
}

static void *
submit_and_be_refused (void *arg)
{
  (void)arg;
  start (1, 0, outlast_refusal);
  start (2, 0, work);
  return 0;
}

/* While another thread is being refused one, the host submits, and no worker is
 * woken for that, as one is about to start. */
static void
refusals_meet_submissions (void)
{
  pthread_t tid;

  begin (2);
  start (0, 0, work);
  poll_until_ended (1);
  refused_from = creations + 1; /* that thread itself */
  refused = 100;
  must (!explored_create (&tid, 0, submit_and_be_refused, 0));
  poll_until_ended (3);
  start (3, 0, work);
  poll_until_ended (4);
  must (!explored_join (tid, 0));
  end ();
}

static void *
cancel_third (void *arg)
{
  (void)arg;
  seen[2].cancelled = 1;
  eio_cancel (seen[2].req);
  return 0;
}

/* What was cancelled is not finished, and what was not is.  The third is
 * there until the poll thread polls. */
static void
some_are_cancelled (void)
{
  pthread_t tid;
  int i;

  begin (2);
  for (i = 0; i < 4; ++i)
    start (i, 0, work);
  must (!explored_create (&tid, 0, cancel_third, 0));
  seen[1].cancelled = 1;
  eio_cancel (seen[1].req);
  must (!explored_join (tid, 0));
  poll_until_ended (2);
  end ();
  must (nended == 2 && seen[0].ended && seen[3].ended);
}

static int to_feed;

static void
feed_group (eio_req *grp)
{
  if (to_feed < REQS)
    {
      start (to_feed, 0, work);
      eio_grp_add (grp, seen[to_feed].req);
      ++to_feed;
    }
}

static int
group_ended (eio_req *grp)
{
  must (grp->size == 0);
  must (EIO_CANCELLED (grp) || nended == REQS - 1);
  return note_end (grp);
}

static eio_req *
start_group (void)
{
  eio_req *grp = eio_grp (group_ended, 0);

  to_feed = 2;
  start (1, 0, work);
  eio_grp_add (grp, seen[1].req);
  eio_grp_feed (grp, feed_group, 2);
  return grp;
}

/* A group is fed until it has had enough. */
static void
groups_end_last (void)
{
  begin (2);
  start_group ();
  poll_until_ended (REQS);
  nothing_was_late ();
  end ();
}

static void *
cancel_group (void *arg)
{
  eio_cancel (arg);
  return 0;
}

/* Another thread cancels it, while the poll thread keeps it there. */
static void
a_group_is_cancelled (void)
{
  pthread_t tid;
  eio_req *grp;

  begin (2);
  grp = start_group ();
  must (!explored_create (&tid, 0, cancel_group, grp));
  must (!explored_join (tid, 0));
  end ();
  must (!seen[0].ended);
}

/* Without callbacks. */
static void
the_host_waits_for_results (void)
{
  int i;

  begin (2);
  for (i = 0; i < 4; ++i)
    start (i, 0, meet);
  while (nended < 4)
    {
      eio_poll_wait (-1);
      eio_poll ();
    }
  nothing_was_late ();
  end ();
}

/* A few results a poll: it is told again. */
static void
polls_are_limited (void)
{
  int i;

  begin (2);
  eio_set_max_poll_reqs (1);
  for (i = 0; i < 4; ++i)
    start (i, 0, work);
  poll_until_ended (4);
  eio_set_max_poll_reqs (0);
  nothing_was_late ();
  end ();
}

static void
want_of (void *userdata)
{
  (void)userdata;
}

/* Pools that share workers, one of which is freed in between. */
static void
pools_share_workers (void)
{
  eio_pool *pool, *before;
  int i;

  begin (2);
  must ((pool = eio_pool_new_shared (0, want_of, want_of, 0)));
  start (0, 0, work);
  before = eio_pool_use (pool);
  for (i = 1; i < 3; ++i)
    start (i, i, work);
  must (!eio_flush ());
  must (seen[1].ended && seen[2].ended);
  eio_pool_use (before);
  must (!eio_pool_free (pool));
  poll_until_ended (3);
  end ();
}

static void
want_here (void *userdata)
{
  (void)userdata;
  want ();
}

static void
done_here (void *userdata)
{
  (void)userdata;
  done ();
}

/* There is no thread for the workers' own pool, nor for another that shares
 * them, and that other is told so. */
static void
all_pools_hear_of_refusals (void)
{
  eio_pool *pool, *before;
  int i;

  begin (2);
  must (!eio_init (0, 0));
  must ((pool = eio_pool_new_shared (0, want_here, done_here, 0)));
  before = eio_pool_use (pool);
  refused_from = creations;
  refused = 100;
  for (i = 0; i < 3; ++i)
    start (i, 0, work);
  poll_until_ended (3);
  eio_pool_use (before);
  must (!eio_pool_free (pool));
  end ();
}

/* Whatever still waits is cancelled. */
static void
shutdown_cancels (void)
{
  int i;

  begin (2);
  for (i = 0; i < 3; ++i)
    start (i, 0, work);
  shut_down (EIO_SHUTDOWN_CANCEL);
}

/* The library begins anew while workers of before are at work; what those have
 * is nobody's any more. */
static void
lives_follow_each_other (void)
{
  static eio_req lost[2];
  int i;

  begin (2);
  memset (lost, 0, sizeof lost);
  for (i = 0; i < 2; ++i)
    {
      lost[i].type = EIO_CUSTOM;
      lost[i].data = (void *)(size_t)i;
      lost[i].feed = work;
      lost[i].finish = note_end;
      eio_submit (&lost[i]);
    }
  must (!eio_init (want, done));
  told = 0; /* to those of before */
  for (i = 2; i < 4; ++i)
    seen[i].req = eio_nop (0, note_end, (void *)(size_t)i);
  poll_until_ended (2);
  must (seen[2].ended && seen[3].ended && nended == 2);
  end ();
}

static void *
use_shared_pool (void *pool)
{
  eio_pool_use (pool);
  start (0, 0, work);
  start (1, 0, work);
  must (!eio_flush ());
  must (seen[0].ended && seen[1].ended);
  return 0;
}

/* The default pool begins anew, and a pool that shares its workers has those of
 * its next life, while another thread submits there. */
static void
workers_are_handed_over (void)
{
  eio_pool *pool;
  pthread_t tid;

  begin (2);
  must ((pool = eio_pool_new_shared (0, want_of, want_of, 0)));
  must (!explored_create (&tid, 0, use_shared_pool, pool));
  point (__func__);
  must (!eio_init (want, done));
  must (!explored_join (tid, 0));
  must (!eio_pool_free (pool));
  end ();
}

static int lock_file, other_file;

/* A lock that others have waits for the keeper; the other way in which it ends
 * is that it is cancelled. */
static void
locks_wait (void)
{
  begin (1);
  must (!flock (lock_file, LOCK_EX));
  seen[0].req = eio_flock (other_file, LOCK_EX, -1, 0, note_end, 0);
  seen[1].req = eio_flock (other_file, LOCK_EX, -1, 0, note_end,
                           (void *)(size_t)1);
  start (2, 0, work);
  poll_until_ended (1);
  seen[1].cancelled = 1;
  eio_cancel (seen[1].req);
  must (!flock (lock_file, LOCK_UN));
  poll_until_ended (2);
  end ();
  must (!flock (other_file, LOCK_UN));
}

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static const struct
{
  const char *name;
  void (*run) (void);
} uses[] = {
#define USE(name) { #name, name }
  USE (all_are_executed),
  USE (nobody_blocks_others),
  USE (sleepers_are_woken),
  USE (one_at_a_time_needs_one_thread),
  USE (two_threads_submit),
  USE (workers_come_and_go),
  USE (timeouts_race_with_requests),
  USE (the_limit_changes),
  USE (the_limit_changes_meanwhile),
  USE (who_leaves_takes_nothing),
  USE (some_threads_are_refused),
  USE (all_threads_are_refused),
  USE (refused_threads_are_made_up_for),
  USE (refusals_meet_submissions),
  USE (some_are_cancelled),
  USE (groups_end_last),
  USE (a_group_is_cancelled),
  USE (the_host_waits_for_results),
  USE (polls_are_limited),
  USE (pools_share_workers),
  USE (all_pools_hear_of_refusals),
  USE (shutdown_cancels),
  USE (lives_follow_each_other),
  USE (workers_are_handed_over),
  USE (locks_wait),
};

static int
number (const char *name, int usual)
{
  const char *text = getenv (name);

  return text ? atoi (text) : usual;
}

static int
most_runs (void)
{
  return number ("EIO_EXPLORE_RUNS", HAVE_SANITIZER ? 100 : 500);
}

START_TEST (no_order_of_steps_does_harm)
{
  const char *schedule = getenv ("EIO_SCHEDULE");
  size_t len = strlen (uses[_i].name);
  int most = most_runs (), n = 0, depth;

  run_name = uses[_i].name;
  write_file (scratch_path ("locks"), "", 0);
  lock_file = open (scratch_path ("locks"), O_RDWR);
  other_file = open (scratch_path ("locks"), O_RDWR);
  if (schedule)
    {
      if (!strncmp (schedule, run_name, len)
          && (schedule[len] == ' ' || !schedule[len]))
        run_again (uses[_i].run, schedule + len);
      return;
    }
  run_once (uses[_i].run); /* what is made once, is */
  for (depth = 1; depth <= number ("EIO_EXPLORE_DEPTH", 2); ++depth)
    n += run_all (uses[_i].run, depth, most);
  run_at_random (uses[_i].run, (unsigned)number ("EIO_EXPLORE_SEED", 1), most);
  printf ("%s: %d runs in turn, %d at random, of %d choices\n", run_name, n,
          most, nchoices);
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("explore");
  TCase *tc = add_case (suite, "orders", 120 + most_runs () / 50, 0, 0);

  tcase_add_loop_test (tc, no_order_of_steps_does_harm, 0, LENGTH (uses));
  return run_suite (suite);
}
