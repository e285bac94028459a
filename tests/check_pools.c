/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* More than one pool: whose results are whose, what is shared and what is
 * not, and how pools end.  eio.c is included with an allocator that counts,
 * fails on demand and spoils what is freed, a pthread_create that refuses on
 * demand, and locks and naps before which something can happen. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "counting.h"

#include <malloc.h>
#include <sys/wait.h>

/*****************************************************************************
 * What eio.c calls                                                          *
 *****************************************************************************/

/* Allocations, which fails, 0: none, and whether the later ones do, too. */
static atomic_int asked, fail_at, fail_all;

static int
out_of_memory (void)
{
  int n = ++asked;

  if (!fail_at || n < fail_at || (n > fail_at && !fail_all))
    return 0;
  errno = ENOMEM;
  return 1;
}

/* Whoever uses it afterwards crashes. */
static void
spoil_and_free (void *p)
{
  size_t size = p ? malloc_usable_size (p) : 0, i;

  for (i = 0; i < size; ++i)
    ((volatile unsigned char *)p)[i] = 0xa5;
  fault_free (p);
}

static atomic_int no_threads;

static int
fake_pthread_create (pthread_t *thread, const pthread_attr_t *attr,
                     void *(*proc) (void *), void *arg)
{
  return no_threads ? EAGAIN : pthread_create (thread, attr, proc, arg);
}

static void (*_Atomic before_lock) (pthread_mutex_t *mutex);
static void (*_Atomic before_unlock) (pthread_mutex_t *mutex);
static void (*_Atomic before_nap) (void);

static int
fake_mutex_lock (pthread_mutex_t *mutex)
{
  void (*call) (pthread_mutex_t *) = before_lock;

  if (call)
    call (mutex);
  return pthread_mutex_lock (mutex);
}

static int
fake_mutex_unlock (pthread_mutex_t *mutex)
{
  void (*call) (pthread_mutex_t *) = before_unlock;

  if (call)
    call (mutex);
  return pthread_mutex_unlock (mutex);
}

static int
fake_nanosleep (const struct timespec *delay, struct timespec *rest)
{
  void (*call) (void) = before_nap;

  if (call)
    call ();
  return nanosleep (delay, rest);
}

#define malloc fault_malloc
#define calloc fault_calloc
#define realloc fault_realloc
#define free spoil_and_free
#define pthread_create fake_pthread_create
#define pthread_mutex_lock fake_mutex_lock
#define pthread_mutex_unlock fake_mutex_unlock
#define nanosleep fake_nanosleep
#include "eio.c"
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef pthread_create
#undef pthread_mutex_lock
#undef pthread_mutex_unlock
#undef nanosleep

#include "probe.h"

/*****************************************************************************
 * Loops: pools with a host                                                  *
 *****************************************************************************/

typedef struct
{
  eio_pool *pool;
  int fds[2];
  atomic_int mute; /* nothing is written; it is polled without a cause */
  atomic_int inside, wants, dones;
} loop;

/* What they are made of. */
enum { OWN, SHARED, ON_DEFAULT };

static void
die (const loop *l, const char *why)
{
  fprintf (stderr, "loop: %s (want_poll %d, done_poll %d)\n", why, l->wants,
           l->dones);
  abort ();
}

static void
loop_want (void *userdata)
{
  loop *l = userdata;

  if (l->mute)
    return;
  if (atomic_fetch_add (&l->inside, 1))
    die (l, "want_poll while another callback runs");
  if (l->wants != l->dones)
    die (l, "want_poll twice");
  if (write (l->fds[1], "w", 1) != 1)
    die (l, "write");
  ++l->wants;
  atomic_fetch_sub (&l->inside, 1);
}

static void
loop_done (void *userdata)
{
  loop *l = userdata;
  char c;

  if (l->mute)
    return;
  if (atomic_fetch_add (&l->inside, 1))
    die (l, "done_poll while another callback runs");
  if (l->wants != l->dones + 1)
    die (l, "done_poll without want_poll");
  if (read (l->fds[0], &c, 1) != 1)
    die (l, "read");
  ++l->dones;
  atomic_fetch_sub (&l->inside, 1);
}

/* workers: for SHARED. */
static void
loop_open (loop *l, int kind, eio_pool *workers)
{
  memset (l, 0, sizeof *l);
  ck_assert_int_eq (pipe (l->fds), 0);
  l->pool = kind == OWN
              ? eio_pool_new (loop_want, loop_done, l)
              : eio_pool_new_shared (kind == SHARED ? workers : 0, loop_want,
                                     loop_done, l);
  ck_assert_ptr_nonnull (l->pool);
}

static int
loop_wait (loop *l, int ms)
{
  struct pollfd p = { l->fds[0], POLLIN, 0 };
  int n;

  if (l->mute)
    return sched_yield () + 1;
  do
    n = poll (&p, 1, ms < 0 ? 60000 : ms);
  while (n < 0 && errno == EINTR);
  if (n == 0 && ms < 0)
    die (l, "no result in 60 s");
  return n;
}

static int
loop_poll (loop *l)
{
  loop_wait (l, -1);
  eio_pool_use (l->pool);
  return eio_poll ();
}

static unsigned
loop_nreqs (loop *l)
{
  eio_pool *before = eio_pool_use (l->pool);
  unsigned n = eio_nreqs ();

  eio_pool_use (before);
  return n;
}

static void
loop_drain (loop *l)
{
  eio_pool *before = eio_pool_current ();
  double end = now () + 60;

  while (loop_nreqs (l))
    {
      loop_poll (l);
      if (now () > end)
        die (l, "not drained in 60 s");
    }
  eio_pool_use (before);
}

static void
loop_close (loop *l)
{
  ck_assert_msg (eio_pool_free (l->pool) == 0, "errno %d", errno);
  if (!l->mute)
    ck_assert_int_eq (l->wants, l->dones);
  close (l->fds[0]);
  close (l->fds[1]);
}

/* The usual cast: b is made of what the test says. */
static loop a, b;

static void
open_loops (int kind)
{
  loop_open (&a, OWN, 0);
  loop_open (&b, kind, a.pool);
}

static void
close_loops (void)
{
  loop_close (&b);
  loop_close (&a);
}

/* A loop with its own thread: polls until it is told to end, and all is
 * done. */
typedef struct
{
  loop *loop;
  pthread_t thread;
  atomic_int end;
} poller;

static void *
poll_on (void *arg)
{
  poller *p = arg;
  loop *l = p->loop;

  eio_pool_use (l->pool);
  for (;;)
    {
      int end = p->end;

      if (loop_wait (l, 1))
        eio_poll ();
      if (end && !eio_nreqs ())
        break;
    }
  eio_poll ();
  return 0;
}

static void
poller_start (poller *p, loop *l)
{
  memset (p, 0, sizeof *p);
  p->loop = l;
  ck_assert_int_eq (pthread_create (&p->thread, 0, poll_on, p), 0);
}

static void
poller_end (poller *p)
{
  p->end = 1;
  ck_assert_int_eq (pthread_join (p->thread, 0), 0);
}

/* Runs f on a thread of its own to its end. */
static void
on_thread (void *(*f) (void *), void *arg)
{
  pthread_t thread;

  ck_assert_int_eq (pthread_create (&thread, 0, f, arg), 0);
  ck_assert_int_eq (pthread_join (thread, 0), 0);
}

/* A sem_wait that gives up: for tests of what must not block. */
static int
take_in_time (sem_t *sem, int seconds)
{
  struct timespec end;

  clock_gettime (CLOCK_REALTIME, &end);
  end.tv_sec += seconds;
  while (sem_timedwait (sem, &end))
    if (errno != EINTR)
      return 0;
  return 1;
}

static eio_pool *
default_pool (void)
{
  eio_pool *before = eio_pool_use (0), *pool = eio_pool_current ();

  eio_pool_use (before);
  return pool;
}

/* Submits to that pool, whatever is current. */
#define IN(l, request) (go_in (l), come_out (request))

static __thread eio_pool *outside;

static void
go_in (loop *l)
{
  outside = eio_pool_use (l->pool);
}

static eio_req *
come_out (eio_req *req)
{
  ck_assert_ptr_nonnull (req);
  eio_pool_use (outside);
  return req;
}

static void
submit_in (loop *l, eio_req *req)
{
  eio_pool *before = eio_pool_use (l->pool);

  eio_submit (req);
  eio_pool_use (before);
}

/* How many threads there are without any of the library's: a sanitizer may
 * start one of its own beside our first one. */
static int own_threads;

static void *
do_nothing (void *arg)
{
  return arg;
}

static void
start (void)
{
  on_thread (do_nothing, 0);
  if (HAVE_SANITIZER)
    nap (10);
  else
    wait_until (count_threads () == 1);
  own_threads = count_threads ();
  prepare_stays ();
  host_start ();
}

/*****************************************************************************
 * Current pools                                                             *
 *****************************************************************************/

START_TEST (the_default_pool_is_current_at_first)
{
  eio_pool *at_first = eio_pool_current ();

  ck_assert_ptr_nonnull (at_first);
  ck_assert_ptr_eq (at_first, EIO_POOL);
  ck_assert_ptr_eq (eio_pool_use (0), at_first);
  ck_assert_ptr_eq (eio_pool_current (), at_first);
}
END_TEST

START_TEST (use_returns_what_was_current)
{
  eio_pool *at_first = eio_pool_current ();

  open_loops (_i);
  ck_assert_ptr_eq (eio_pool_current (), at_first);
  ck_assert_ptr_eq (eio_pool_use (a.pool), at_first);
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  ck_assert_ptr_eq (eio_pool_use (b.pool), a.pool);
  ck_assert_ptr_eq (eio_pool_use (b.pool), b.pool);
  ck_assert_ptr_eq (eio_pool_use (0), b.pool);
  ck_assert_ptr_eq (eio_pool_current (), at_first);
  ck_assert_ptr_eq (eio_pool_use (a.pool), at_first);
  ck_assert_ptr_eq (eio_pool_use (at_first), a.pool);
  ck_assert_ptr_eq (eio_pool_current (), at_first);
  close_loops ();
}
END_TEST

static void *
look_at_current (void *arg)
{
  ck_assert_ptr_eq (eio_pool_current (), arg);
  eio_pool_use (a.pool);
  return 0;
}

START_TEST (current_is_the_threads_own)
{
  eio_pool *at_first = eio_pool_current ();

  open_loops (_i);
  eio_pool_use (b.pool);
  on_thread (look_at_current, at_first);
  ck_assert_ptr_eq (eio_pool_current (), b.pool);
  close_loops ();
}
END_TEST

START_TEST (results_come_out_of_the_pool_of_submission)
{
  outcome o[3] = { 0 };

  open_loops (_i);
  eio_nop (0, note, &o[0]);
  IN (&a, eio_nop (0, note, &o[1]));
  IN (&b, eio_nop (0, note, &o[2]));
  host_drain ();
  ck_assert_int_eq (o[0].calls, 1);
  ck_assert_int_eq (o[1].calls + o[2].calls, 0);
  loop_wait (&a, -1);
  loop_wait (&b, -1);
  ck_assert_int_eq (eio_poll (), 0);
  loop_drain (&b);
  ck_assert_int_eq (o[1].calls, 0);
  assert_ok (o[2], 0);
  loop_drain (&a);
  assert_ok (o[1], 0);
  ck_assert_int_eq (host_wants (), host_dones ());
  close_loops ();
}
END_TEST

START_TEST (callbacks_of_a_pool_may_be_null)
{
  eio_pool *pool = _i ? eio_pool_new (0, 0, 0)
                      : eio_pool_new_shared (0, 0, 0, 0);
  outcome o = { 0 };

  eio_pool_use (pool);
  eio_nop (0, note, &o);
  ck_assert_int_eq (eio_flush (), 0);
  assert_ok (o, 0);
  ck_assert_int_eq (eio_pool_free (pool), 0);
}
END_TEST

static int
is_readable (int fd)
{
  struct pollfd p = { fd, POLLIN, 0 };

  return poll (&p, 1, 0) == 1;
}

START_TEST (poll_fd_is_the_pools_own)
{
  int fds[3], before = count_fds ();
  outcome o = { 0 };

  fds[0] = eio_poll_fd ();
  open_loops (_i);
  eio_pool_use (a.pool);
  fds[1] = eio_poll_fd ();
  eio_pool_use (b.pool);
  fds[2] = eio_poll_fd ();
  ck_assert_int_eq (fds[2], eio_poll_fd ());
  ck_assert_int_ne (fds[0], fds[1]);
  ck_assert_int_ne (fds[0], fds[2]);
  ck_assert_int_ne (fds[1], fds[2]);

  eio_nop (0, note, &o);
  loop_wait (&b, -1);
  wait_until (is_readable (fds[2]));
  ck_assert (!is_readable (fds[0]) && !is_readable (fds[1]));
  loop_drain (&b);
  ck_assert (!is_readable (fds[2]));
  close_loops ();
  ck_assert_int_le (count_fds (), before + 2);
}
END_TEST

/* As in a daemon that has closed them all, and asks again. */
START_TEST (poll_fd_that_became_another_pools_is_left_to_it)
{
  eio_pool *pool = eio_pool_new (0, 0, 0);
  int i;

  for (i = 0; i < 40; ++i)
    {
      int its, ours = eio_poll_fd ();

      eio_pool_use (pool);
      its = eio_poll_fd ();
      close (ours);
      close (its);
      its = eio_poll_fd ();
      eio_pool_use (0);
      ours = eio_poll_fd ();
      ck_assert_int_ne (its, ours);

      eio_nop (0, count, 0);
      wait_until (is_readable (ours));
      ck_assert (!is_readable (its));
      eio_pool_use (pool);
      eio_nop (0, count, 0);
      wait_until (is_readable (its));
      eio_flush ();
      ck_assert (!is_readable (its) && is_readable (ours));
      eio_pool_use (0);
      eio_flush ();
      ck_assert (!is_readable (ours));
    }
  ck_assert_int_eq (finishes, 80);
  i = eio_poll_fd ();
  ck_assert_int_eq (eio_pool_free (pool), 0);
  ck_assert_int_ge (fcntl (i, F_GETFD), 0);
}
END_TEST

/* What was current where. */
static eio_pool *seen[8];

static int
see_in_finish (eio_req *req)
{
  (void)req;
  seen[0] = eio_pool_current ();
  return 0;
}

static void
see_in_destroy (eio_req *req)
{
  (void)req;
  seen[1] = eio_pool_current ();
}

static void
see_in_worker (eio_req *req)
{
  seen[2] = eio_pool_current ();
  req->result = 7;
}

static void
see_in_feeder (eio_req *grp)
{
  seen[3] = eio_pool_current ();
  eio_grp_add (grp, eio_nop (0, 0, 0));
  eio_grp_limit (grp, 0);
}

START_TEST (pool_is_current_in_everything_of_its_requests)
{
  eio_req req = { 0 }, *grp;
  loop *l = _i == OWN ? &a : &b;

  open_loops (_i);
  req.type = EIO_CUSTOM;
  req.feed = see_in_worker;
  req.finish = see_in_finish;
  req.destroy = see_in_destroy;
  submit_in (l, &req);
  grp = IN (l, eio_grp (0, 0));
  eio_pool_use (_i == OWN ? b.pool : 0);
  eio_grp_feed (grp, see_in_feeder, 1);
  ck_assert_ptr_eq (eio_pool_current (), _i == OWN ? b.pool : default_pool ());
  loop_drain (l);
  ck_assert_ptr_eq (eio_pool_current (), _i == OWN ? b.pool : default_pool ());
  ck_assert_ptr_eq (seen[0], l->pool);
  ck_assert_ptr_eq (seen[1], l->pool);
  ck_assert_ptr_eq (seen[2], l->pool);
  ck_assert_ptr_eq (seen[3], l->pool);
  close_loops ();
}
END_TEST

static void
see_start (void *userdata)
{
  seen[4] = eio_pool_current ();
  seen[5] = userdata;
  eio_pool_use (0);
}

static void
see_stop (void *userdata)
{
  seen[6] = eio_pool_current ();
  seen[7] = userdata;
}

static void
use_another (eio_req *req)
{
  ck_assert_ptr_eq (eio_pool_current (), req->data);
  eio_pool_use (0);
  req->result = 7;
}

START_TEST (pool_of_the_workers_is_current_in_their_hooks)
{
  open_loops (SHARED);
  eio_pool_use (b.pool); /* the hooks are for a's workers */
  eio_set_thread_hooks (see_start, see_stop, &a);
  eio_set_parallel (1);
  eio_custom (use_another, 0, 0, b.pool);
  IN (&a, eio_custom (use_another, 0, 0, a.pool));
  eio_custom (use_another, 0, 0, b.pool);
  loop_drain (&b);
  loop_drain (&a);
  close_loops ();
  ck_assert_ptr_eq (seen[4], a.pool);
  ck_assert_ptr_eq (seen[5], &a);
  ck_assert_ptr_eq (seen[6], a.pool);
  ck_assert_ptr_eq (seen[7], &a);
}
END_TEST

static int
leave_another (eio_req *req)
{
  ck_assert_ptr_eq (eio_pool_current (), req->data);
  eio_pool_use (req->data == a.pool ? b.pool : a.pool);
  ++finishes;
  return 0;
}

static void
leave_another_in_destroy (eio_req *req)
{
  leave_another (req);
}

static int fed;

static void
leave_another_in_feeder (eio_req *grp)
{
  eio_req *req = eio_nop (0, leave_another, eio_pool_current ());

  eio_grp_add (grp, req);
  if (eio_pool_current () != grp->data)
    abort ();
  if (++fed == 10)
    eio_grp_limit (grp, 0);
  eio_pool_use (0);
}

START_TEST (choice_of_a_callback_ends_with_it)
{
  eio_req reqs[4];
  eio_req *grp;
  int i;

  open_loops (_i);
  memset (reqs, 0, sizeof reqs);
  eio_pool_use (a.pool);
  for (i = 0; i < 4; ++i)
    {
      reqs[i].type = EIO_NOP;
      reqs[i].data = a.pool;
      reqs[i].finish = leave_another;
      reqs[i].destroy = leave_another_in_destroy;
      eio_submit (&reqs[i]);
    }
  grp = eio_grp (leave_another, a.pool);
  eio_grp_feed (grp, leave_another_in_feeder, 1);
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  while (loop_nreqs (&a))
    {
      loop_poll (&a);
      ck_assert_ptr_eq (eio_pool_current (), a.pool);
    }
  ck_assert_int_eq (finishes, 4 + 4 + 10 + 1);
  close_loops ();
}
END_TEST

static void
submit_from_worker (eio_req *req)
{
  eio_nop (0, count, 0);
  req->result = 0;
}

static int
submit_from_finish (eio_req *req)
{
  (void)req;
  eio_nop (0, count, 0);
  return 0;
}

START_TEST (what_callbacks_submit_is_their_pools)
{
  loop *l = _i == OWN ? &a : &b;

  open_loops (_i);
  IN (l, eio_custom (submit_from_worker, 0, submit_from_finish, 0));
  loop_drain (l);
  ck_assert_int_eq (finishes, 2);
  ck_assert_uint_eq (eio_nreqs (), 0);
  close_loops ();
}
END_TEST

/*****************************************************************************
 * Settings and counters                                                     *
 *****************************************************************************/

START_TEST (settings_are_the_pools_own)
{
  eio_tstamp time;

  eio_set_parallel (9);
  eio_set_max_idle (8);
  eio_set_idle_timeout (7);
  eio_set_max_poll_reqs (6);
  eio_set_max_poll_time (5);
  eio_set_max_outstanding (4);
  eio_set_submit_limit (3);
  eio_set_inline (2);
  open_loops (OWN);
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_get_parallel (), 4);
  ck_assert_uint_eq (eio_get_max_idle (), 4);
  ck_assert_uint_eq (eio_get_idle_timeout (), 10);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 0);
  ck_assert (eio_get_max_poll_time () == 0);
  ck_assert_uint_eq (eio_get_max_outstanding (), 0);
  ck_assert_uint_eq (eio_get_submit_limit (), 0);
  ck_assert_uint_eq (eio_get_inline (), 0);
  eio_set_parallel (19);
  eio_set_max_idle (18);
  eio_set_idle_timeout (17);
  eio_set_max_poll_reqs (16);
  eio_set_max_poll_time (15);
  eio_set_max_outstanding (14);
  eio_set_submit_limit (13);
  eio_set_inline (12);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_get_parallel (), 4);
  ck_assert_uint_eq (eio_get_max_idle (), 4);
  ck_assert_uint_eq (eio_get_idle_timeout (), 10);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 0);
  ck_assert_uint_eq (eio_get_inline (), 0);
  eio_pool_use (0);
  ck_assert_uint_eq (eio_get_parallel (), 9);
  ck_assert_uint_eq (eio_get_max_idle (), 8);
  ck_assert_uint_eq (eio_get_idle_timeout (), 7);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 6);
  time = eio_get_max_poll_time ();
  ck_assert (time > 4.9 && time < 5.1);
  ck_assert_uint_eq (eio_get_max_outstanding (), 4);
  ck_assert_uint_eq (eio_get_submit_limit (), 3);
  ck_assert_uint_eq (eio_get_inline (), 2);
  close_loops ();
}
END_TEST

START_TEST (settings_of_workers_go_to_those_who_execute)
{
  open_loops (SHARED);
  eio_pool_use (b.pool);
  eio_set_parallel (9);
  eio_set_max_idle (8);
  eio_set_idle_timeout (7);
  eio_set_max_poll_reqs (6);
  eio_set_submit_limit (5);
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_get_parallel (), 9);
  ck_assert_uint_eq (eio_get_max_idle (), 8);
  ck_assert_uint_eq (eio_get_idle_timeout (), 7);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 0);
  ck_assert_uint_eq (eio_get_submit_limit (), 0);
  eio_set_min_parallel (12);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_get_parallel (), 12);
  eio_set_max_parallel (0);
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_get_parallel (), 0);
  eio_pool_use (0);
  ck_assert_uint_eq (eio_get_parallel (), 4);
  close_loops ();
}
END_TEST

START_TEST (counters_are_the_pools_own)
{
  int i;

  open_loops (_i);
  eio_pool_use (b.pool);
  eio_set_parallel (1);
  IN (&b, eio_custom (stay, 0, 0, 0));
  await_arrivals (1);
  for (i = 0; i < 3; ++i)
    IN (&b, eio_nop (0, 0, 0));
  ck_assert_uint_eq (eio_nreqs (), 4);
  ck_assert_uint_eq (eio_nready (), 3);
  ck_assert_uint_eq (eio_nthreads (), 1);
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  ck_assert_uint_eq (eio_nthreads (), _i == SHARED);
  eio_pool_use (0);
  ck_assert_uint_eq (eio_nreqs () + eio_nready () + eio_npending (), 0);
  ck_assert_uint_eq (eio_nthreads (), _i == ON_DEFAULT);
  give (&let_go, 1);
  eio_pool_use (b.pool);
  wait_until (eio_npending () == 4);
  ck_assert_uint_eq (eio_nready (), 0);
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_npending (), 0);
  loop_drain (&b);
  close_loops ();
}
END_TEST

START_TEST (limits_of_polling_are_the_pools_own)
{
  int i;

  open_loops (_i);
  eio_pool_use (b.pool);
  eio_set_max_poll_reqs (1);
  for (i = 0; i < 3; ++i)
    {
      IN (&a, eio_nop (0, count, 0));
      IN (&b, eio_nop (0, count, 0));
    }
  wait_until (eio_npending () == 3);
  ck_assert_int_eq (eio_poll (), -1);
  ck_assert_int_eq (finishes, 1);
  eio_pool_use (a.pool);
  wait_until (eio_npending () == 3);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 4);
  loop_drain (&b);

  eio_pool_use (a.pool);
  eio_set_max_outstanding (1);
  IN (&a, eio_busy (0.01, 0, count, 0));
  IN (&a, eio_busy (0.01, 0, count, 0));
  IN (&b, eio_custom (stay, 0, 0, 0));
  IN (&b, eio_custom (stay, 0, 0, 0));
  eio_poll (); /* goes on for a's, and not for b's */
  ck_assert_uint_le (eio_nreqs (), 1);
  eio_pool_use (b.pool);
  eio_poll ();
  ck_assert_uint_eq (eio_nreqs (), 2);
  give (&let_go, 2);
  loop_drain (&a);
  loop_drain (&b);
  close_loops ();
}
END_TEST

START_TEST (submit_limit_is_the_pools_own)
{
  eio_req mine[3] = { 0 };
  int i;

  open_loops (_i);
  for (i = 0; i < 3; ++i)
    mine[i].type = EIO_NOP;
  eio_pool_use (b.pool);
  eio_set_submit_limit (1);
  ck_assert_ptr_nonnull (eio_nop (0, 0, 0));
  ck_assert_ptr_null (eio_nop (0, 0, 0));
  ck_assert_int_eq (errno, EAGAIN);
  ck_assert_int_eq (eio_try_submit (&mine[0]), -1);
  eio_pool_use (a.pool);
  ck_assert_ptr_nonnull (eio_nop (0, 0, 0));
  ck_assert_ptr_nonnull (eio_nop (0, 0, 0));
  ck_assert_int_eq (eio_try_submit (&mine[1]), 0);
  eio_pool_use (0);
  ck_assert_int_eq (eio_try_submit (&mine[2]), 0);
  host_drain ();
  loop_drain (&a);
  loop_drain (&b);
  close_loops ();
}
END_TEST

START_TEST (finish_cancelled_is_the_pools_own)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  eio_set_finish_cancelled (1);
  eio_pool_use (a.pool);
  eio_cancel (IN (&a, eio_busy (0.01, 0, count, 0)));
  loop_drain (&a);
  ck_assert_int_eq (finishes, 0);
  eio_cancel (IN (&b, eio_busy (0.01, 0, count, 0)));
  loop_drain (&b);
  ck_assert_int_eq (finishes, 1);
  close_loops ();
}
END_TEST

static void
answer_where (eio_req *req)
{
  pthread_attr_t attr;
  size_t size = 0;

  pthread_getattr_np (pthread_self (), &attr);
  pthread_attr_getstacksize (&attr, &size);
  pthread_attr_destroy (&attr);
  req->offs = (off_t)size;
  prctl (PR_GET_NAME, (unsigned long)req->data, 0, 0, 0);
}

static off_t stack_seen;

static int
keep_stack (eio_req *req)
{
  stack_seen = req->offs;
  return 0;
}

START_TEST (workers_are_like_what_their_pool_says)
{
  char name[4][20] = { "" };

  open_loops (OWN);
  eio_pool_use (a.pool);
  eio_set_thread_name ("of-a");
  eio_set_stack_size (1 << 20);
  eio_custom (answer_where, 0, keep_stack, name[0]);
  loop_drain (&a);
  ck_assert_str_eq (name[0], "of-a");
  if (!HAVE_SANITIZER)
    ck_assert_int_ge (stack_seen, 1 << 20);
  IN (&b, eio_custom (answer_where, 0, keep_stack, name[1]));
  loop_drain (&b);
  ck_assert_ptr_nonnull (strstr (name[1], "/eio"));
  if (!HAVE_SANITIZER)
    ck_assert_int_lt (stack_seen, 1 << 20);
  eio_pool_use (0);
  eio_custom (answer_where, 0, keep_stack, name[2]);
  host_drain ();
  ck_assert_ptr_nonnull (strstr (name[2], "/eio"));
  loop_close (&b);
  loop_open (&b, SHARED, a.pool);
  eio_pool_use (b.pool);
  eio_custom (answer_where, 0, keep_stack, name[3]);
  loop_drain (&b);
  ck_assert_str_eq (name[3], "of-a");
  close_loops ();
}
END_TEST

START_TEST (inline_is_the_pools_own)
{
  struct stat st;

  open_loops (_i);
  eio_pool_use (a.pool);
  eio_set_parallel (1);
  eio_set_inline (4096);
  IN (&a, eio_custom (stay, 0, 0, 0));
  await_arrivals (1);
  eio_fstat (0, 0, count, &st);
  loop_drain (&b); /* nothing to do */
  if (eio_npending ())
    ck_assert_uint_eq (eio_nready (), 0);
  eio_pool_use (b.pool);
  eio_set_parallel (1);
  ck_assert_uint_eq (eio_get_inline (), 0);
  if (_i != SHARED)
    {
      IN (&b, eio_custom (stay, 0, 0, 0));
      await_arrivals (1);
    }
  eio_fstat (0, 0, count, &st);
  ck_assert_uint_eq (eio_nready (), 1);
  ck_assert_uint_eq (eio_npending (), 0);
  give (&let_go, 2);
  loop_drain (&a);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 2);
  close_loops ();
}
END_TEST

/*****************************************************************************
 * Two loops                                                                 *
 *****************************************************************************/

static void
stay_unheard (eio_req *req)
{
  take (&let_go);
  req->result = 0;
}

START_TEST (blocked_pool_does_not_hold_up_another)
{
  int i;

  open_loops (OWN);
  for (i = 0; i < 20; ++i)
    IN (&a, eio_custom (stay_unheard, 0, count, 0));
  for (i = 0; i < 20; ++i)
    IN (&b, eio_nop (0, count, 0));
  loop_drain (&b);
  eio_nop (0, count, 0);
  host_drain ();
  ck_assert_int_eq (finishes, 21);
  give (&let_go, 20);
  loop_drain (&a);
  close_loops ();
}
END_TEST

typedef struct
{
  loop *home;
  poller *poller;
  atomic_int *left;
} visit;

static int
come_home (eio_req *req)
{
  visit *v = req->data;

  if (eio_pool_current () != v->home->pool
      || !pthread_equal (pthread_self (), v->poller->thread))
    die (v->home, "a result came out of another pool");
  --*v->left;
  return 0;
}

static void
visit_worker (eio_req *req)
{
  visit *v = req->data;

  if (eio_pool_current () != v->home->pool)
    die (v->home, "executed with another pool current");
  req->result = 3;
}

static void
submit_some_kind (visit *v, unsigned n)
{
  int pri = (int)(n % 9) - 4;
  eio_req *req;

  ++*v->left;
  switch (n % 7)
    {
    case 0: eio_nop (pri, come_home, v); break;
    case 1: eio_custom (visit_worker, pri, come_home, v); break;
    case 2: eio_stat ("/", pri, come_home, v); break;
    case 3: eio_open ("/nowhere/at/all", O_RDONLY, 0, pri, come_home, v); break;
    case 4: eio_busy (0.00001, pri, come_home, v); break;
    case 5: eio_grp (come_home, v); break;
    case 6:
      req = eio_custom (visit_worker, pri, come_home, v);
      (void)req;
      break;
    }
}

typedef struct
{
  visit visits[2];
  unsigned n;
} producer;

static void *
produce (void *arg)
{
  producer *p = arg;
  unsigned i, seed = p->n;

  for (i = 0; i < p->n; ++i)
    {
      unsigned r = (unsigned)rand_r (&seed);
      visit *v = &p->visits[r >> 8 & 1];

      eio_pool_use (v->home->pool);
      submit_some_kind (v, r);
    }
  return 0;
}

START_TEST (results_of_two_loops_never_cross)
{
  enum { N = 3 };
  producer producers[N];
  pthread_t threads[N];
  poller pollers[2];
  atomic_int left[2] = { 0 };
  int i, j;

  if (_i == ON_DEFAULT)
    loop_open (&a, ON_DEFAULT, 0);
  else
    loop_open (&a, OWN, 0);
  loop_open (&b, _i, a.pool);
  poller_start (&pollers[0], &a);
  poller_start (&pollers[1], &b);
  for (i = 0; i < N; ++i)
    {
      producers[i].n = (unsigned)(1500 + i);
      for (j = 0; j < 2; ++j)
        producers[i].visits[j]
          = (visit){ pollers[j].loop, &pollers[j], &left[j] };
      pthread_create (&threads[i], 0, produce, &producers[i]);
    }
  for (i = 0; i < N; ++i)
    pthread_join (threads[i], 0);
  poller_end (&pollers[0]);
  poller_end (&pollers[1]);
  ck_assert_int_eq (left[0], 0);
  ck_assert_int_eq (left[1], 0);
  close_loops ();
}
END_TEST

/*****************************************************************************
 * Shared workers                                                            *
 *****************************************************************************/

static int order[32];
static atomic_int norder;

static void
remember_order (eio_req *req)
{
  order[norder++] = (int)(size_t)req->data;
}

START_TEST (shared_workers_execute_by_priority)
{
  eio_pool *workers;
  int i;

  open_loops (_i);
  workers = _i == SHARED ? a.pool : 0;
  eio_pool_use (workers);
  eio_set_parallel (0);
  for (i = 0; i < 9; ++i)
    {
      int pri = (i * 4) % 9 - 4;

      eio_pool_use (workers);
      eio_custom (remember_order, pri, 0, (void *)(size_t)(2 * (4 - pri)));
      eio_pool_use (b.pool);
      eio_custom (remember_order, pri, 0, (void *)(size_t)(2 * (4 - pri) + 1));
    }
  ck_assert_uint_eq (eio_nready (), 9);
  eio_set_parallel (1);
  loop_drain (&b);
  if (workers)
    loop_drain (&a);
  else
    {
      eio_pool_use (0);
      host_drain ();
    }
  ck_assert_int_eq (norder, 18);
  for (i = 0; i < 18; ++i)
    ck_assert_int_eq (order[i], i);
  close_loops ();
}
END_TEST

/* _i: SHARED, ON_DEFAULT. */
START_TEST (numbers_are_right_after_workers_served_others)
{
  eio_pool *workers;

  open_loops (_i);
  workers = _i == SHARED ? a.pool : 0;
  IN (&b, eio_nop (0, count, 0));
  IN (&b, eio_nop (0, count, 0));
  loop_drain (&b);
  eio_pool_use (workers);
  eio_set_parallel (0);
  eio_nop (0, count, 0);
  ck_assert_uint_eq (eio_nready (), 1);
  eio_set_parallel (1);
  if (workers)
    loop_drain (&a);
  else
    host_drain ();
  ck_assert_int_eq (finishes, 3);
  close_loops ();
}
END_TEST

START_TEST (who_shares_with_a_sharer_has_the_same_workers)
{
  loop c;

  open_loops (SHARED);
  loop_open (&c, SHARED, b.pool);
  IN (&c, eio_custom (stay, 0, 0, 0));
  await_arrivals (1);
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_nthreads (), 1);
  give (&let_go, 1);
  loop_drain (&c);
  ck_assert_int_eq (eio_pool_free (a.pool), -1);
  ck_assert_int_eq (errno, EBUSY);
  loop_close (&b); /* which nobody needs */
  IN (&c, eio_nop (0, count, 0));
  loop_drain (&c);
  loop_close (&c);
  loop_close (&a);
}
END_TEST

static void
run_here (eio_req *req)
{
  if (!pthread_equal (pthread_self (), *(pthread_t *)req->data))
    abort ();
  ck_assert (eio_pool_current () == (req->pri ? b.pool : a.pool));
  req->result = 0;
}

START_TEST (lack_of_threads_is_announced_to_all_sharers)
{
  pthread_t self = pthread_self ();
  loop *l = _i ? &b : &a;
  int i;

  open_loops (SHARED);
  no_threads = 1;
  for (i = 0; i < 3; ++i)
    {
      IN (&a, eio_custom (run_here, 0, count, &self));
      IN (&b, eio_custom (run_here, 1, count, &self));
    }
  loop_wait (&a, -1);
  loop_wait (&b, -1);
  for (i = 0; i < 6; ++i)
    loop_poll (l); /* each executes one, whosoever */
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_nready (), 0);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  loop_drain (&a);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 6);
  while (loop_wait (&a, 0))
    loop_poll (&a);
  while (loop_wait (&b, 0))
    loop_poll (&b);
  close_loops ();
}
END_TEST

static int told_again;

static void
submit_to_a_once (void *userdata)
{
  (void)userdata;
  if (!told_again++)
    IN (&a, eio_nop (0, count, 0));
}

/* Which tells all of them once more. */
START_TEST (who_is_told_that_there_is_no_thread_may_submit)
{
  loop_open (&a, OWN, 0);
  b.pool = eio_pool_new_shared (a.pool, submit_to_a_once, 0, 0);
  no_threads = 1;
  IN (&a, eio_nop (0, count, 0));
  ck_assert_int_eq (told_again, 1);
  ck_assert_uint_eq (b.pool->npins, 0);
  loop_drain (&a);
  ck_assert_int_eq (finishes, 2);
  ck_assert_int_eq (eio_pool_free (b.pool), 0);
  loop_close (&a);
}
END_TEST

START_TEST (waiting_executes_for_sharers_without_threads)
{
  pthread_t self = pthread_self ();

  open_loops (SHARED);
  no_threads = 1;
  IN (&a, eio_custom (run_here, 0, count, &self));
  IN (&b, eio_custom (run_here, 1, count, &self));
  eio_pool_use (b.pool);
  while (!eio_poll_wait (30))
    ;
  ck_assert_ptr_eq (eio_pool_current (), b.pool);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_ptr_eq (eio_pool_current (), b.pool);
  loop_drain (&a);
  ck_assert_int_eq (finishes, 2);
  while (loop_wait (&a, 0))
    loop_poll (&a);
  close_loops ();
}
END_TEST

START_TEST (refusal_to_execute_is_the_pools_own)
{
  open_loops (SHARED);
  no_threads = 1;
  eio_pool_use (b.pool);
  eio_set_nothreads (EIO_NOTHREADS_FAIL);
  eio_nop (0, count, 0);
  ck_assert_int_eq (eio_poll (), -1);
  ck_assert_int_eq (eio_poll (), -1);
  ck_assert_uint_eq (eio_nready (), 1);
  loop_poll (&a);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_nready (), 0);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 1);
  while (loop_wait (&a, 0))
    loop_poll (&a);
  close_loops ();
}
END_TEST

START_TEST (embedders_call_does_not_change_the_current_pool)
{
  open_loops (OWN);
  no_threads = 1;
  eio_nop (0, count, 0);
  eio_pool_use (b.pool);
  etp_maybe_start_thread (EIO_POOL);
  ck_assert_ptr_eq (eio_pool_current (), b.pool);
  eio_pool_use (0);
  host_drain ();
  ck_assert_int_eq (finishes, 1);
  close_loops ();
}
END_TEST

static sem_t blocks, goes_on;

static void
block_want (void *userdata)
{
  static atomic_int blocked;

  if (!blocked++)
    {
      sem_post (&blocks);
      take (&goes_on);
    }
  loop_want (userdata);
}

static void *
submit_nop_to_b (void *arg)
{
  eio_pool_use (b.pool);
  eio_nop (0, count, 0);
  return arg;
}

static void *
make_a_pool (void *sem)
{
  eio_pool *pool = eio_pool_new (0, 0, 0);

  ck_assert_int_eq (eio_pool_free (pool), 0);
  sem_post (sem);
  return 0;
}

/* In the list of pools, b comes before a, which is thus told later. */
START_TEST (slow_want_poll_holds_up_no_other_pool)
{
  pthread_t threads[2];
  sem_t made;
  int in_time;

  sem_init (&made, 0, 0);
  sem_init (&blocks, 0, 0);
  sem_init (&goes_on, 0, 0);
  memset (&b, 0, sizeof b);
  loop_open (&a, OWN, 0);
  ck_assert_int_eq (pipe (b.fds), 0);
  b.pool = eio_pool_new_shared (a.pool, block_want, loop_done, &b);
  no_threads = 1;
  pthread_create (&threads[0], 0, submit_nop_to_b, 0);
  take (&blocks);
  pthread_create (&threads[1], 0, make_a_pool, &made);
  in_time = take_in_time (&made, 3);
  give (&goes_on, 1);
  pthread_join (threads[0], 0);
  pthread_join (threads[1], 0);
  no_threads = 0;
  loop_drain (&b);
  while (loop_wait (&a, 0))
    loop_poll (&a);
  close_loops ();
  ck_assert_msg (in_time, "eio_pool_new waits for another pool's want_poll");
}
END_TEST

/*****************************************************************************
 * What the locks guard                                                      *
 *****************************************************************************/

#define GUARDED(lock, first, last) \
  { offsetof (etp_pool, lock), offsetof (etp_pool, first), \
    offsetof (etp_pool, last) + sizeof ((etp_pool *)0)->last }

static const struct
{
  size_t lock, begin, end;
} parts[] = { GUARDED (reqlock, nready, nhere),
              GUARDED (reqlock, req_queue, start_failed),
              GUARDED (reqlock, limit, idle_timeout),
              GUARDED (reslock, res_queue.count, deliver_hist),
              GUARDED (siglock, signalled, has_arrival),
              GUARDED (siglock, want_poll, userdata) };

/* The pool as it was when it could be changed last. */
static etp_pool untouched;

static void
expect_unchanged (size_t lock)
{
  int i;

  for (i = 0; i < LENGTH (parts); ++i)
    if (parts[i].lock == lock)
      ck_assert_mem_eq ((char *)&untouched + parts[i].begin,
                        (char *)a.pool + parts[i].begin,
                        parts[i].end - parts[i].begin);
}

static void
look_before_lock (pthread_mutex_t *mutex)
{
  expect_unchanged ((size_t)((char *)mutex - (char *)a.pool));
}

static void
look_before_unlock (pthread_mutex_t *mutex)
{
  size_t lock = (size_t)((char *)mutex - (char *)a.pool);
  int i;

  for (i = 0; i < LENGTH (parts); ++i)
    if (parts[i].lock == lock)
      memcpy ((char *)&untouched + parts[i].begin,
              (char *)a.pool + parts[i].begin,
              parts[i].end - parts[i].begin);
}

static void
begin_to_look (void)
{
  untouched = *a.pool;
  before_lock = look_before_lock;
  before_unlock = look_before_unlock;
}

static void
end_looking (void)
{
  int i;

  before_lock = before_unlock = (void (*) (pthread_mutex_t *))0;
  for (i = 0; i < LENGTH (parts); ++i)
    expect_unchanged (parts[i].lock);
}

static void
do_nothing_here (void *userdata)
{
  (void)userdata;
}

static void
do_nothing_slowly (const eio_req *req, eio_tstamp running)
{
  (void)req, (void)running;
}

static int
close_and_poll (eio_req *req)
{
  eio_poll ();
  return close ((int)req->result);
}

static void
change_settings (void)
{
  unsigned long cpus[16];

  memset (cpus, 0xff, sizeof cpus);
  eio_set_max_parallel (3);
  eio_set_min_parallel (2);
  eio_set_parallel (1);
  eio_set_max_idle (1);
  eio_set_idle_timeout (3);
  eio_set_stack_size (65536);
  eio_set_thread_name ("name");
  eio_set_thread_hooks (do_nothing_here, do_nothing_here, &a);
  eio_set_affinity (cpus, sizeof cpus);
  eio_set_ioprio (4 | 2 << 13);
  eio_set_reserved (2, 1);
  eio_set_ageing (0.001);
  eio_set_timing (1);
  eio_set_slow (1e-9, do_nothing_slowly);
}

static void
add_one (eio_req *grp)
{
  eio_grp_add (grp, eio_nop (0, count, 0));
  eio_grp_limit (grp, 0);
}

static void
look_at_all (void)
{
  struct eio_stats stats;

  eio_nready ();
  eio_npending ();
  eio_nthreads ();
  eio_poll_fd ();
  ck_assert_int_eq (eio_get_stats (&stats, sizeof stats), 0);
}

/* Nobody else is there who could change it: what is executed, is so here. */
START_TEST (locks_are_had_for_what_they_guard)
{
  int i;

  loop_open (&a, OWN, 0);
  eio_pool_use (a.pool);
  no_threads = 1;
  begin_to_look ();
  for (i = 0; i < 3; ++i)
    {
      change_settings ();
      eio_cancel (eio_nop (0, count, 0));
      eio_open ("/", O_RDONLY, 0, -4, close_and_poll, 0);
      eio_grp_feed (eio_grp (count, 0), add_one, 1);
      look_at_all ();
      eio_poll ();
      look_at_all ();
      eio_poll_wait (0.001);
      eio_flush ();
      etp_maybe_start_thread (EIO_POOL);
    }
  end_looking ();
  eio_flush ();
  ck_assert_int_eq (finishes, 6);
  loop_close (&a);
}
END_TEST

START_TEST (locks_are_had_as_a_life_ends)
{
  static eio_req group = { .type = EIO_GROUP }, nop = { .type = EIO_NOP };

  a.pool = eio__default_pool;
  no_threads = 1;
  eio_submit (&group);
  eio_submit (&nop);
  begin_to_look ();
  host_start ();
  end_looking ();
}
END_TEST

/* As another thread does, until it is locked. */
static void
change_all (pthread_mutex_t *mutex)
{
  etp_pool *pool = a.pool;

  if (mutex == &pool->reqlock)
    {
      pool->nworkers = pool->max_nworkers = 5;
      pool->nstarted = 6, pool->nleft = 7, pool->nrefused = 8;
      pool->nqueued = 9, pool->max_nready = 10;
      pool->nreserved = 11, pool->reserved_rank = 1;
      pool->ageing = 1000001, pool->wishes.ioprio = 12;
    }
  else if (mutex == &pool->reslock)
    {
      pool->res_queue.count[ETP_EXECUTED] = 13;
      pool->res_queue.count[ETP_INLINED] = 14;
      pool->queue_hist.n[1] = pool->exec_hist.n[2] = 15;
      pool->deliver_hist.n[31] = 16;
    }
  else if (mutex == &pool->siglock)
    pool->nfinished = 17, pool->ncancelled = 18;
}

START_TEST (what_is_read_is_locked_before)
{
  struct eio_stats stats;
  etp_pool *pool;
  int pri = 0;

  loop_open (&a, OWN, 0);
  pool = a.pool;
  eio_pool_use (pool);
  before_lock = change_all;
  switch (_i)
    {
    case 0: ck_assert_uint_eq (eio_nthreads (), 5); break;
    case 1:
      ck_assert_uint_eq (eio_get_reserved (&pri), 11);
      ck_assert_int_eq (pri, 1 + EIO_PRI_MIN);
      break;
    case 2: ck_assert_int_eq ((int)(eio_get_ageing () * 1e6 + .5), 1000); break;
    case 3: ck_assert_int_eq (eio_get_ioprio (), 12); break;
    default:
      ck_assert_int_eq (eio_get_stats (&stats, sizeof stats), 0);
      ck_assert_uint_eq (stats.max_nthreads, 5);
      ck_assert_uint_eq (stats.threads_started, 6);
      ck_assert_uint_eq (stats.threads_reaped, 7);
      ck_assert_uint_eq (stats.start_failures, 8);
      ck_assert_uint_eq (stats.submitted, 14 + 9);
      ck_assert_uint_eq (stats.max_nready, 10);
      ck_assert_uint_eq (stats.executed, 13);
      ck_assert_uint_eq (stats.inlined, 14);
      ck_assert_uint_eq (stats.queue_hist[1], 15);
      ck_assert_uint_eq (stats.exec_hist[2], 15);
      ck_assert_uint_eq (stats.deliver_hist[31], 16);
      ck_assert_uint_eq (stats.finished, 17);
      ck_assert_uint_eq (stats.cancelled, 18);
    }
  before_lock = (void (*) (pthread_mutex_t *))0;
  pool->nworkers = 0;
  loop_close (&a);
}
END_TEST

/*****************************************************************************
 * Ends                                                                      *
 *****************************************************************************/

#define assert_not_freed(pool, error) \
  do { \
    errno = 0; \
    ck_assert_int_eq (eio_pool_free (pool), -1); \
    ck_assert_int_eq (errno, error); \
  } while (0)

START_TEST (default_pool_cannot_be_freed)
{
  assert_not_freed (0, EINVAL);
  assert_not_freed (eio_pool_current (), EINVAL);
  open_loops (_i);
  eio_pool_use (b.pool);
  assert_not_freed (0, EINVAL);
  close_loops ();
  assert_not_freed (eio_pool_current (), EINVAL);
}
END_TEST

START_TEST (freeing_makes_the_default_pool_current)
{
  eio_pool *at_first = eio_pool_current ();

  open_loops (_i);
  eio_pool_use (b.pool);
  loop_close (&b);
  ck_assert_ptr_eq (eio_pool_current (), at_first);
  loop_open (&b, _i, a.pool);
  eio_pool_use (a.pool);
  loop_close (&b);
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  loop_close (&a);
  ck_assert_ptr_eq (eio_pool_current (), at_first);
}
END_TEST

START_TEST (pool_with_requests_cannot_be_freed)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  eio_set_parallel (0);
  eio_custom (stay, 0, count, 0);
  assert_not_freed (b.pool, EBUSY); /* ready */
  eio_set_parallel (1);
  await_arrivals (1);
  assert_not_freed (b.pool, EBUSY); /* executing */
  give (&let_go, 1);
  wait_until (eio_npending () == 1);
  assert_not_freed (b.pool, EBUSY); /* pending */
  ck_assert_ptr_eq (eio_pool_current (), b.pool);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 1);
  eio_grp (count, 0);
  assert_not_freed (b.pool, EBUSY);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 2);
  close_loops ();
}
END_TEST

START_TEST (pool_with_a_group_that_waits_cannot_be_freed)
{
  eio_req *grp, member = { 0 };

  open_loops (_i);
  eio_pool_use (b.pool);
  member.type = EIO_NOP;
  member.finish = count;
  grp = eio_grp (count, 0);
  ck_assert_int_eq (eio_grp_add (grp, &member), 0);
  loop_poll (&b);
  ck_assert_int_eq (finishes, 0);
  assert_not_freed (b.pool, EBUSY);
  eio_submit (&member);
  eio_flush ();
  ck_assert_int_eq (finishes, 2);
  close_loops ();
}
END_TEST

static int
free_in_finish (eio_req *req)
{
  assert_not_freed (req->data, EBUSY);
  ++finishes;
  return 0;
}

static void
free_in_destroy (eio_req *req)
{
  free_in_finish (req);
}

static void
free_in_feeder (eio_req *grp)
{
  free_in_finish (grp);
}

static void
free_in_worker (eio_req *req)
{
  free_in_finish (req);
  req->result = 0;
}

START_TEST (pool_cannot_be_freed_in_its_callbacks)
{
  eio_req req = { 0 }, *grp;
  eio_pool *pool;

  open_loops (_i);
  pool = b.pool;
  eio_pool_use (pool);
  req.type = EIO_NOP;
  req.data = pool;
  req.finish = free_in_finish;
  req.destroy = free_in_destroy;
  eio_submit (&req);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 2);
  eio_custom (free_in_worker, 0, free_in_finish, pool);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 4);
  grp = eio_grp (free_in_finish, pool);
  eio_grp_feed (grp, free_in_feeder, 1);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 6);
  close_loops ();
}
END_TEST

static int
free_the_other (eio_req *req)
{
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  eio_pool_use (b.pool);
  loop_close (&b);
  ck_assert_ptr_eq (eio_pool_current (), default_pool ());
  return count (req);
}

START_TEST (pool_can_be_freed_in_anothers_callback)
{
  open_loops (_i);
  IN (&a, eio_nop (0, free_the_other, 0));
  loop_drain (&a);
  ck_assert_int_eq (finishes, 1);
  loop_close (&a);
}
END_TEST

static void
free_b_in_worker (eio_req *req)
{
  req->result = eio_pool_free (b.pool);
}

/* Who executes others' requests at the moment does not matter. */
START_TEST (pool_can_be_freed_in_anothers_request)
{
  outcome o = { 0 };
  loop *l = _i == SHARED ? &a : 0;

  open_loops (_i);
  eio_pool_use (l ? l->pool : 0);
  eio_custom (free_b_in_worker, 0, note, &o);
  ck_assert_int_eq (eio_flush (), 0);
  assert_ok (o, 0);
  eio_pool_use (0);
  loop_close (&a);
}
END_TEST

START_TEST (pool_whose_workers_are_shared_cannot_be_freed)
{
  open_loops (SHARED);
  IN (&b, eio_nop (0, count, 0));
  loop_drain (&b);
  assert_not_freed (a.pool, EBUSY);
  IN (&b, eio_nop (0, count, 0)); /* as good as before */
  IN (&a, eio_nop (0, count, 0));
  loop_drain (&b);
  loop_drain (&a);
  ck_assert_int_eq (finishes, 3);
  close_loops ();
}
END_TEST

/* Once everything that lasts is there. */
static void
use_it_all (int kind)
{
  int i;

  open_loops (kind);
  for (i = 0; i < 30; ++i)
    {
      IN (&a, eio_busy (0.0005, 0, 0, 0));
      IN (&b, eio_busy (0.0005, 0, 0, 0));
    }
  eio_pool_use (a.pool);
  eio_poll_fd ();
  eio_poll_wait (1);
  eio_pool_use (b.pool);
  eio_poll_fd ();
  eio_poll_wait (1);
  eio_cancel (IN (&b, eio_open ("/", O_RDONLY, 0, 0, 0, 0)));
  loop_drain (&a);
  loop_drain (&b);
  close_loops ();
}

START_TEST (nothing_is_left_of_a_pool)
{
  int i, fds;
  long blocks_before;

  use_it_all (_i);
  if (_i == ON_DEFAULT)
    eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
  wait_until (count_threads () == own_threads);
  fds = count_fds ();
  blocks_before = live;
  for (i = 0; i < 10; ++i)
    {
      use_it_all (_i);
      if (_i == ON_DEFAULT)
        eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
      ck_assert_int_eq (live, blocks_before);
      ck_assert_int_eq (count_fds (), fds);
    }
  wait_until (count_threads () == own_threads);
}
END_TEST

static atomic_int load_end;

static int
load_again (eio_req *req)
{
  if (!load_end)
    eio_custom (visit_worker, 0, load_again, req->data);
  return 0;
}

START_TEST (pools_come_and_go_under_load)
{
  int rounds = _i == OWN ? 200 : 1000, i, j;
  visit v = { 0 };
  poller p;

  load_end = 0;
  loop_open (&a, OWN, 0);
  v.home = &a;
  for (i = 0; i < 20; ++i)
    IN (&a, eio_custom (visit_worker, 0, load_again, &v));
  poller_start (&p, &a);
  for (i = 0; i < rounds; ++i)
    {
      eio_pool *pool = _i == OWN ? eio_pool_new (0, 0, 0)
                                 : eio_pool_new_shared (a.pool, 0, 0, 0);

      eio_pool_use (pool);
      for (j = 0; j < i % 4; ++j)
        eio_nop (j, count, 0);
      if (i % 3)
        eio_flush ();
      else
        while (eio_nreqs ())
          eio_poll (); /* before the worker's signal, perhaps */
      ck_assert_int_eq (eio_pool_free (pool), 0);
    }
  ck_assert_int_eq (finishes, rounds / 4 * 6);
  load_end = 1;
  poller_end (&p);
  loop_close (&a);
}
END_TEST

START_TEST (pool_can_be_freed_while_its_workers_work_for_others)
{
  open_loops (_i);
  eio_pool_use (_i == SHARED ? a.pool : 0);
  eio_custom (stay, 0, count, 0);
  await_arrivals (1);
  IN (&b, eio_nop (0, count, 0));
  loop_drain (&b);
  loop_close (&b);
  give (&let_go, 1);
  if (_i == SHARED)
    loop_drain (&a);
  else
    host_drain ();
  ck_assert_int_eq (finishes, 2);
  loop_close (&a);
}
END_TEST

/* a's poll thread executes a request of b's; b's poll thread is fast. */
static pthread_t helper;
static atomic_int freed;

static void
hold_up_publication (pthread_mutex_t *mutex)
{
  int i;

  if (!pthread_equal (pthread_self (), helper) || mutex != &b.pool->reslock)
    return;
  before_unlock = (void (*) (pthread_mutex_t *))0;
  sem_post (&blocks);
  for (i = 0; i < 300 && !freed; ++i)
    nap (1);
  if (freed)
    {
      fprintf (stderr, "freed while a result is being published\n");
      abort ();
    }
}

static void *
poll_a (void *arg)
{
  helper = pthread_self ();
  before_unlock = hold_up_publication;
  eio_pool_use (a.pool);
  eio_poll ();
  return arg;
}

START_TEST (free_waits_for_who_executes_in_place_of_workers)
{
  pthread_t thread;

  sem_init (&blocks, 0, 0);
  open_loops (SHARED);
  no_threads = 1;
  b.mute = 1;
  IN (&b, eio_nop (0, count, 0));
  pthread_create (&thread, 0, poll_a, 0);
  take (&blocks);
  eio_pool_use (b.pool);
  while (eio_nreqs ())
    eio_poll ();
  ck_assert_int_eq (eio_pool_free (b.pool), 0);
  freed = 1;
  pthread_join (thread, 0);
  while (loop_wait (&a, 0))
    loop_poll (&a);
  loop_close (&a);
}
END_TEST

static pthread_t freer;
static int told;

/* Who signals is about to, and goes on when it is waited for. */
static void
hold_up_signal (pthread_mutex_t *mutex)
{
  if (!pthread_equal (pthread_self (), helper) || mutex != &b.pool->siglock)
    return;
  before_lock = (void (*) (pthread_mutex_t *))0;
  sem_post (&blocks);
  take (&goes_on);
  told = 1;
}

static void
let_signal_go (void)
{
  if (!pthread_equal (pthread_self (), freer))
    return;
  before_nap = (void (*) (void))0;
  give (&goes_on, 1);
}

static void *
submit_nop_to_a (void *arg)
{
  helper = pthread_self ();
  before_lock = hold_up_signal;
  eio_pool_use (a.pool);
  eio_nop (0, count, 0);
  return arg;
}

/* b has nothing to do, but is told that nobody executes what a has, by the
 * thread that is returned: it is about to. */
static pthread_t
begin_to_signal_b (void)
{
  pthread_t thread;

  sem_init (&blocks, 0, 0);
  sem_init (&goes_on, 0, 0);
  loop_open (&a, OWN, 0);
  b.pool = eio_pool_new_shared (a.pool, 0, 0, 0);
  no_threads = 1;
  pthread_create (&thread, 0, submit_nop_to_a, 0);
  take (&blocks);
  return thread;
}

START_TEST (free_waits_for_who_signals)
{
  pthread_t thread = begin_to_signal_b ();

  freer = pthread_self ();
  before_nap = let_signal_go;
  ck_assert_int_eq (eio_pool_free (b.pool), 0);
  ck_assert_int_eq (told, 1);
  pthread_join (thread, 0);
  loop_drain (&a);
  ck_assert_int_eq (finishes, 1);
  loop_close (&a);
}
END_TEST

/* Who signals is not there any more. */
START_TEST (child_need_not_wait_for_who_signalled)
{
  pthread_t thread = begin_to_signal_b ();
  pid_t pid = fork ();
  int status;

  if (!pid)
    {
      alarm (20);
      _exit (eio_pool_free (b.pool) != 0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  give (&goes_on, 1);
  pthread_join (thread, 0);
  ck_assert_int_eq (eio_pool_free (b.pool), 0);
  loop_drain (&a);
  ck_assert_int_eq (finishes, 1);
  loop_close (&a);
}
END_TEST

static void
drain_pool (eio_pool *pool)
{
  eio_pool_use (pool);
  while (eio_nreqs ())
    {
      eio_poll ();
      sched_yield ();
    }
}

static void
be_held_up (eio_req *req)
{
  helper = pthread_self ();
  before_lock = hold_up_signal;
  req->result = 0;
}

/* A worker of another pool has handed its last request over, and is about to
 * say so. */
START_TEST (free_waits_for_who_has_served)
{
  sem_init (&blocks, 0, 0);
  sem_init (&goes_on, 0, 0);
  loop_open (&a, OWN, 0);
  b.pool = eio_pool_new_shared (a.pool, 0, 0, 0);
  freer = pthread_self ();
  IN (&b, eio_custom (be_held_up, 0, count, 0));
  take (&blocks);
  drain_pool (b.pool);
  ck_assert_int_eq (finishes, 1);
  before_nap = let_signal_go;
  ck_assert_int_eq (eio_pool_free (b.pool), 0);
  ck_assert_int_eq (told, 1);
  loop_close (&a);
}
END_TEST

static void
let_worker_go (void)
{
  if (!pthread_equal (pthread_self (), freer))
    return;
  before_nap = (void (*) (void))0;
  give (&let_go, 1);
}

/* Of what kind b's file system is; the worker has other things to do. */
START_TEST (free_waits_for_what_the_library_asks)
{
  int fds;

  open_loops (SHARED);
  eio_pool_use (a.pool);
  eio_set_parallel (1);
  freer = pthread_self ();
  IN (&a, eio_custom (stay, 0, count, 0));
  await_arrivals (1);
  fds = count_fds ();
  eio__ask_fs (b.pool, dup (0), 1);
  before_nap = let_worker_go;
  ck_assert_int_eq (eio_pool_free (b.pool), 0);
  ck_assert (before_nap == 0);
  ck_assert_int_eq (count_fds (), fds);
  loop_drain (&a);
  ck_assert_int_eq (finishes, 1);
  loop_close (&a);
}
END_TEST

static void
submit_once (void *left)
{
  if (atomic_exchange ((atomic_int *)left, 0))
    eio_nop (0, count, 0);
}

/* As its last worker ends. */
START_TEST (pool_that_gets_a_request_meanwhile_is_not_freed)
{
  static atomic_int left = 1;

  loop_open (&b, OWN, 0);
  eio_pool_use (b.pool);
  eio_set_thread_hooks (0, submit_once, &left);
  eio_set_parallel (1);
  eio_nop (0, count, 0);
  loop_drain (&b);
  assert_not_freed (b.pool, EBUSY);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 2);
  loop_close (&b);
}
END_TEST

/*****************************************************************************
 * Groups                                                                    *
 *****************************************************************************/

static probe grp, inner, member, other;

START_TEST (group_takes_no_request_of_another_pool)
{
  open_loops (_i);
  eio_pool_use (a.pool);
  probe_submit (&grp, EIO_GROUP);
  eio_pool_use (b.pool);
  probe_submit (&other, EIO_CUSTOM);
  errno = 0;
  ck_assert_int_eq (eio_grp_add (&grp.req, &other.req), -1);
  ck_assert_int_eq (errno, EINVAL);
  probe_submit (&inner, EIO_GROUP);
  errno = 0;
  ck_assert_int_eq (eio_grp_add (&grp.req, &inner.req), -1);
  ck_assert_int_eq (errno, EINVAL);
  ck_assert_uint_eq (grp.req.size, 0);
  loop_drain (&a);
  assert_done (&grp);
  assert_live (&other);
  loop_drain (&b);
  assert_done (&other);
  assert_done (&inner);
  ck_assert_int_eq (other.result, 7);
  close_loops ();
}
END_TEST

START_TEST (member_goes_to_its_groups_pool)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  probe_submit (&grp, EIO_GROUP);
  eio_pool_use (a.pool);
  probe_fill (&member, EIO_CUSTOM);
  ck_assert_int_eq (eio_grp_add (&grp.req, &member.req), 0);
  eio_submit (&member.req);
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  ck_assert_uint_eq (eio_nreqs (), 0);
  loop_drain (&b);
  assert_done (&member);
  assert_done (&grp);
  close_loops ();
}
END_TEST

START_TEST (group_goes_where_its_members_are)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  probe_fill (&grp, EIO_GROUP);
  probe_submit (&member, EIO_CUSTOM);
  ck_assert_int_eq (eio_grp_add (&grp.req, &member.req), 0);
  eio_pool_use (a.pool);
  if (_i == OWN)
    eio_pool_use (0);
  eio_submit (&grp.req);
  ck_assert_uint_eq (eio_nreqs (), 0);
  loop_drain (&b);
  assert_done (&member);
  assert_done (&grp);
  close_loops ();
}
END_TEST

/* ... also if they are gone. */
START_TEST (group_goes_where_its_members_were)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  probe_fill (&grp, EIO_GROUP);
  probe_submit (&member, EIO_CUSTOM);
  ck_assert_int_eq (eio_grp_add (&grp.req, &member.req), 0);
  loop_drain (&b);
  assert_done (&member);
  eio_pool_use (a.pool);
  eio_submit (&grp.req);
  ck_assert_uint_eq (eio_nreqs (), 0);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_nreqs (), 1);
  loop_drain (&b);
  assert_done (&grp);
  close_loops ();
}
END_TEST

START_TEST (group_with_members_elsewhere_is_no_member)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  probe_fill (&inner, EIO_GROUP);
  probe_submit (&member, EIO_CUSTOM);
  ck_assert_int_eq (eio_grp_add (&inner.req, &member.req), 0);
  eio_pool_use (a.pool);
  probe_submit (&grp, EIO_GROUP);
  errno = 0;
  ck_assert_int_eq (eio_grp_add (&grp.req, &inner.req), -1);
  ck_assert_int_eq (errno, EINVAL);
  eio_submit (&inner.req);
  loop_drain (&a);
  assert_done (&grp);
  assert_live (&inner);
  loop_drain (&b);
  assert_done (&member);
  assert_done (&inner);
  close_loops ();
}
END_TEST

START_TEST (members_of_inner_groups_go_to_the_outer_ones_pool)
{
  open_loops (_i);
  eio_pool_use (a.pool);
  probe_submit (&grp, EIO_GROUP);
  eio_pool_use (b.pool);
  probe_fill (&inner, EIO_GROUP);
  probe_fill (&member, EIO_CUSTOM);
  ck_assert_int_eq (eio_grp_add (&grp.req, &inner.req), 0);
  ck_assert_int_eq (eio_grp_add (&inner.req, &member.req), 0);
  eio_submit (&member.req);
  eio_submit (&inner.req);
  ck_assert_uint_eq (eio_nreqs (), 0);
  loop_drain (&a);
  assert_done (&member);
  assert_done (&inner);
  assert_done (&grp);
  close_loops ();
}
END_TEST

/*****************************************************************************
 * The lock of groups                                                        *
 *****************************************************************************/

static eio_sys_latch latch;
static atomic_int entered;

static void *
enter_and_leave (void *arg)
{
  eio_sys_enter (&latch);
  ++entered;
  eio_sys_leave (&latch);
  return arg;
}

/* The second to come tells the first to stop, and waits for it.  So does the
 * third, who has nobody to tell. */
START_TEST (nobody_enters_a_latch_while_its_owner_is_inside)
{
  pthread_t comers[3];
  int i, early = 0;

  memset (&latch, 0, sizeof latch);
  eio_sys_enter (&latch);
  if (_i)
    {
      eio_sys_leave (&latch);
      eio_sys_enter (&latch);
    }
  for (i = 0; i < 3; ++i)
    {
      pthread_create (&comers[i], 0, enter_and_leave, 0);
      wait_until (ecb_load_acquire (latch.shared));
    }
  for (i = 0; i < 100 && !early; ++i, nap (1))
    early = entered;
  eio_sys_leave (&latch);
  for (i = 0; i < 3; ++i)
    pthread_join (comers[i], 0);
  ck_assert_int_eq (entered, 3);
  ck_assert_int_eq (early, 0);
  enter_and_leave (0);
}
END_TEST

enum { COMERS = 4 };
static pthread_barrier_t gate;
static unsigned guarded; /* by the latch */

static void *
come_and_go (void *arg)
{
  int i;

  pthread_barrier_wait (&gate);
  for (i = 0; i < 20; ++i)
    {
      eio_sys_enter (&latch);
      ++guarded;
      eio_sys_leave (&latch);
    }
  return arg;
}

START_TEST (latch_keeps_out_whoever_comes)
{
  pthread_t comers[COMERS];
  int round, i;

  for (round = 0; round < 300; ++round)
    {
      memset (&latch, 0, sizeof latch);
      guarded = 0;
      if (round % 2)
        enter_and_leave (0);
      pthread_barrier_init (&gate, 0, COMERS + 1);
      for (i = 0; i < COMERS; ++i)
        pthread_create (&comers[i], 0, come_and_go, 0);
      come_and_go (0);
      for (i = 0; i < COMERS; ++i)
        pthread_join (comers[i], 0);
      pthread_barrier_destroy (&gate);
      ck_assert_uint_eq (guarded, 20 * (COMERS + 1));
    }
}
END_TEST

/*****************************************************************************
 * Callbacks that do unusual things                                          *
 *****************************************************************************/

static void
run_nothing (eio_req *req)
{
  req->result = 0;
}

static loop *next_home;
static int times;
static eio_req twice;

static int
submit_self_again (eio_req *req)
{
  if (times++)
    {
      ck_assert_ptr_eq (eio_pool_current (), next_home->pool);
      return 0;
    }
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  if (req->data) /* zeroed, and filled anew */
    {
      memset (req, 0, sizeof *req);
      req->type = EIO_CUSTOM;
      req->feed = run_nothing;
      req->finish = submit_self_again;
    }
  req->destroy = see_in_destroy;
  eio_pool_use (next_home->pool);
  eio_submit (req);
  return 0;
}

/* _i: kind of the other pool, whether zeroed, whether member of a group. */
START_TEST (requests_can_be_submitted_to_another_pool_from_finish)
{
  int kind = _i % 3, zeroed = _i / 3 % 2, in_group = _i / 6 % 2;
  int same = _i / 12;

  open_loops (kind);
  next_home = same ? &a : &b;
  times = 0;
  eio_pool_use (a.pool);
  memset (&twice, 0, sizeof twice);
  if (in_group)
    probe_submit (&grp, EIO_GROUP);
  twice.type = EIO_CUSTOM;
  twice.feed = run_nothing;
  twice.data = zeroed ? &twice : 0;
  twice.finish = submit_self_again;
  if (in_group)
    eio_grp_add (&grp.req, &twice);
  eio_submit (&twice);
  loop_drain (&a);
  if (in_group)
    assert_done (&grp);
  loop_drain (&b);
  ck_assert_int_eq (times, 2);
  ck_assert_ptr_eq (seen[1], next_home->pool);
  close_loops ();
}
END_TEST

static int
finish_and_go_to_b (eio_req *req)
{
  probe *p = probe_of (req);

  if (p->finishes)
    {
      ck_assert_ptr_eq (eio_pool_current (), b.pool);
      return probe_finished (req);
    }
  ck_assert_ptr_eq (eio_pool_current (), default_pool ());
  eio_pool_use (b.pool);
  eio_submit (req);
  return probe_finished (req);
}

/* The default pool is on no list. */
START_TEST (request_of_the_default_pool_goes_on_in_another)
{
  probe p;

  open_loops (_i % 3);
  probe_fill (&p, _i / 3 ? EIO_GROUP : EIO_CUSTOM);
  p.req.finish = finish_and_go_to_b;
  eio_pool_use (0);
  eio_submit (&p.req);
  host_drain ();
  ck_assert_int_eq (p.finishes, 1);
  ck_assert_int_eq (p.destroys, 0);
  loop_drain (&b);
  ck_assert_int_eq (p.finishes, 2);
  ck_assert_int_eq (p.destroys, 1);
  ck_assert_int_eq (p.runs, _i / 3 ? 0 : 2);
  close_loops ();
}
END_TEST

/* The request of a's, submitted again in a callback of b's, which a's finish
 * polls. */
static probe once_more;
static int again;

static int
submit_outer_again (eio_req *req)
{
  (void)req;
  eio_pool_use (next_home->pool);
  eio_submit (&once_more.req);
  return 0;
}

static int
poll_b_inside (eio_req *req)
{
  ++probe_of (req)->finishes;
  if (again++)
    return 0;
  eio_pool_use (b.pool);
  eio_nop (0, submit_outer_again, 0);
  while (eio_nreqs () && again == 1 && next_home != &b)
    eio_poll ();
  if (next_home == &b)
    eio_flush ();
  return 0;
}

START_TEST (resubmission_in_a_nested_poll_of_another_pool)
{
  loop *homes[] = { &a, &b };

  open_loops (_i % 3);
  next_home = homes[_i / 3];
  again = 0;
  probe_fill (&once_more, EIO_NOP);
  once_more.req.finish = poll_b_inside;
  submit_in (&a, &once_more.req);
  while (!again)
    loop_poll (&a);
  loop_drain (&a);
  loop_drain (&b);
  ck_assert_int_eq (once_more.finishes, 2);
  ck_assert_int_eq (once_more.destroys, 1);
  close_loops ();
}
END_TEST

static int
poll_the_other (eio_req *req)
{
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  IN (&b, eio_nop (0, count, 0));
  IN (&b, eio_nop (0, count, 0));
  loop_drain (&b);
  ck_assert_int_eq (finishes, 2);
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_nreqs (), 0);
  (void)req;
  return 0;
}

START_TEST (callbacks_may_poll_another_pool)
{
  open_loops (_i);
  IN (&a, eio_nop (0, poll_the_other, 0));
  loop_drain (&a);
  ck_assert_int_eq (finishes, 2);
  close_loops ();
}
END_TEST

static int
deeper (eio_req *req)
{
  loop *l = eio_pool_current () == a.pool ? &b : &a;

  if (++finishes < 40)
    {
      IN (l, eio_nop (0, deeper, 0));
      loop_drain (l);
    }
  (void)req;
  return 0;
}

START_TEST (pools_poll_each_other_in_callbacks)
{
  open_loops (_i);
  IN (&a, eio_nop (0, deeper, 0));
  loop_drain (&a);
  ck_assert_int_eq (finishes, 40);
  loop_drain (&b);
  close_loops ();
}
END_TEST

static int
cancel_the_other (eio_req *req)
{
  eio_cancel (req->data);
  return 0;
}

START_TEST (cancelling_works_across_pools)
{
  eio_req *req;

  open_loops (_i);
  eio_pool_use (b.pool);
  eio_set_parallel (_i != SHARED);
  probe_submit (&grp, EIO_GROUP);
  if (_i != SHARED)
    {
      req = eio_custom (stay, 0, 0, 0);
      await_arrivals (1);
      eio_grp_add (&grp.req, req);
    }
  probe_add (&grp, &member, EIO_CUSTOM);
  IN (&a, eio_nop (0, cancel_the_other, &grp.req));
  eio_pool_use (a.pool);
  eio_set_parallel (1);
  loop_drain (&a);
  give (&let_go, 1);
  loop_drain (&b);
  ck_assert_int_eq (member.finishes + grp.finishes, 0);
  ck_assert_int_eq (member.destroys + grp.destroys, 2);
  close_loops ();
}
END_TEST

/*****************************************************************************
 * longjmp                                                                   *
 *****************************************************************************/

static jmp_buf out;

static int
jump_out (eio_req *req)
{
  ++probe_of (req)->finishes;
  longjmp (out, 1);
}

/* Leaves a request of this loop's behind. */
static void
leave_behind (loop *l, probe *p)
{
  probe_fill (p, EIO_NOP);
  p->req.finish = jump_out;
  submit_in (l, &p->req);
  if (!setjmp (out))
    {
      loop_drain (l);
      ck_abort_msg ("it returned");
    }
}

START_TEST (callback_that_is_left_ends_with_its_own_pools_poll)
{
  open_loops (_i);
  eio_pool_use (a.pool);
  leave_behind (&a, &member);
  ck_assert_int_eq (member.finishes, 1);
  ck_assert_int_eq (member.destroys, 0);
  IN (&b, eio_nop (0, count, 0));
  loop_drain (&b);
  ck_assert_int_eq (member.destroys, 0);
  ck_assert_int_eq (loop_wait (&a, 0), 1);
  loop_poll (&a);
  ck_assert_int_eq (member.destroys, 1);
  ck_assert_int_eq (finishes, 1);
  close_loops ();
}
END_TEST

static int
jump_out_of_both (eio_req *req)
{
  ++probe_of (req)->finishes;
  probe_fill (&other, EIO_NOP);
  other.req.finish = jump_out;
  submit_in (&b, &other.req);
  loop_drain (&b);
  abort ();
}

START_TEST (callbacks_of_two_pools_are_left_at_once)
{
  open_loops (_i);
  probe_fill (&member, EIO_NOP);
  member.req.finish = jump_out_of_both;
  submit_in (&a, &member.req);
  if (!setjmp (out))
    loop_drain (&a);
  eio_pool_use (0);
  loop_poll (&b);
  ck_assert_int_eq (other.destroys, 1);
  ck_assert_int_eq (member.destroys, 0);
  loop_poll (&a);
  ck_assert_int_eq (member.destroys, 1);
  eio_pool_use (0);
  close_loops ();
}
END_TEST

static int
free_after_a_jump (eio_req *req)
{
  ++probe_of (req)->finishes;
  leave_behind (&b, &other);
  if (eio_pool_free (b.pool) != -1 || errno != EBUSY)
    {
      fprintf (stderr, "freed in its own callback\n");
      _exit (3);
    }
  return 0;
}

START_TEST (pool_cannot_be_freed_after_a_jump_within_its_callback)
{
  open_loops (_i);
  probe_fill (&member, EIO_NOP);
  member.req.finish = free_after_a_jump;
  submit_in (&b, &member.req);
  loop_drain (&b);
  ck_assert_int_eq (member.finishes, 1);
  ck_assert_int_eq (member.destroys, 1);
  ck_assert_int_eq (other.destroys, 1);
  close_loops ();
}
END_TEST

static void
pool_must_not_be_freed (eio_req *req)
{
  ++probe_of (req)->destroys;
  seen[1] = eio_pool_current ();
  if (eio_pool_free (b.pool) != -1 || errno != EBUSY)
    {
      fprintf (stderr, "freed in its own callback\n");
      _exit (3);
    }
}

START_TEST (pool_cannot_be_freed_in_destroy_of_what_was_left)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  leave_behind (&b, &member);
  member.req.destroy = pool_must_not_be_freed;
  loop_poll (&b);
  ck_assert_int_eq (member.destroys, 1);
  close_loops ();
}
END_TEST

static void
see_and_count (eio_req *req)
{
  ++probe_of (req)->destroys;
  seen[1] = eio_pool_current ();
}

START_TEST (freeing_completes_what_was_left)
{
  open_loops (_i);
  eio_pool_use (b.pool);
  leave_behind (&b, &member);
  member.req.destroy = see_and_count;
  eio_pool_use (a.pool);
  b.mute = 1;
  loop_close (&b);
  ck_assert_int_eq (member.destroys, 1);
  ck_assert_ptr_eq (eio_pool_current (), a.pool);
  ck_assert_ptr_eq (seen[1], b.pool);
  loop_close (&a);
}
END_TEST

START_TEST (shutdown_completes_what_was_left_and_ends_all)
{
  open_loops (OWN);
  IN (&a, eio_nop (0, count, 0));
  loop_drain (&a);
  eio_pool_use (b.pool);
  leave_behind (&b, &member);
  member.req.destroy = see_and_count;
  eio_pool_use (0);
  eio_nop (0, count, 0);
  b.mute = 1;
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 30), 0);
  ck_assert_ptr_eq (eio_pool_current (), default_pool ());
  ck_assert_int_eq (member.destroys, 1);
  ck_assert_int_eq (finishes, 2);
  eio_pool_use (a.pool);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_ptr_eq (seen[1], b.pool);
  close_loops ();
}
END_TEST

static void *
free_b (void *arg)
{
  b.mute = 1;
  loop_close (&b);
  return arg;
}

/* The thread that left it has nothing to do with it any more. */
START_TEST (pool_that_was_left_can_be_freed_elsewhere)
{
  outcome o = { 0 };

  open_loops (_i);
  eio_pool_use (b.pool);
  leave_behind (&b, &member);
  eio_pool_use (0);
  on_thread (free_b, 0);
  ck_assert_int_eq (member.destroys, 1);
  eio_nop (0, note, &o);
  host_drain ();
  assert_ok (o, 0);
  loop_close (&a);
}
END_TEST

/*****************************************************************************
 * eio_init again                                                            *
 *****************************************************************************/

static eio_req lost;

static int
must_not_finish (eio_req *req)
{
  (void)req;
  abort ();
}

START_TEST (pools_outlive_a_life_of_the_default_pool)
{
  probe queued[6], executing, pending;
  int i;

  open_loops (_i);
  eio_pool_use (b.pool);
  probe_submit (&pending, EIO_CUSTOM);
  wait_until (eio_npending () == 1);
  eio_set_parallel (1);
  probe_fill (&executing, EIO_CUSTOM);
  executing.req.feed = stay;
  eio_submit (&executing.req);
  await_arrivals (1);
  for (i = 0; i < 6; ++i)
    {
      probe_fill (&queued[i], EIO_CUSTOM);
      queued[i].req.feed = remember_order;
      queued[i].req.data = (void *)(size_t)(i % 2 ? 3 + i / 2 : i / 2);
      queued[i].req.pri = i % 2 ? -1 : 1;
      eio_submit (&queued[i].req);
    }
  eio_pool_use (0);
  if (_i != ON_DEFAULT)
    eio_set_parallel (0);
  lost.type = EIO_NOP;
  lost.finish = must_not_finish;
  eio_submit (&lost);
  host_start ();
  ck_assert_uint_eq (eio_nreqs (), 0);
  if (_i != ON_DEFAULT)
    eio_set_parallel (4);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_nreqs (), 8);
  ck_assert_uint_eq (eio_get_parallel (), 1);
  give (&let_go, 1);
  loop_drain (&b);
  ck_assert_uint_eq (eio_nready (), 0);
  assert_done (&pending);
  assert_done (&executing);
  for (i = 0; i < 6; ++i)
    {
      assert_done (&queued[i]);
      if (_i != OWN)
        ck_assert_int_eq (order[i], i);
    }
  eio_pool_use (0);
  eio_nop (0, count, 0);
  host_drain ();
  close_loops ();
}
END_TEST

START_TEST (default_pool_may_begin_anew_under_load)
{
  int i, n = 0;
  poller p;

  loop_open (&b, ON_DEFAULT, 0);
  poller_start (&p, &b);
  for (i = 0; i < 40; ++i)
    {
      int j;

      for (j = 0; j < 25; ++j, ++n)
        IN (&b, eio_nop (j % 9 - 4, count, 0));
      if (i % 4)
        eio_init (0, 0);
    }
  poller_end (&p);
  ck_assert_int_eq (finishes, n);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
  loop_close (&b);
}
END_TEST

enum { MANY = 20000 };
static eio_req many[2 * MANY];

static void *
submit_many (void *arg)
{
  int i;

  eio_pool_use (b.pool);
  sem_post (arg);
  for (i = MANY; i < 2 * MANY; ++i)
    eio_submit (&many[i]);
  return 0;
}

/* Those that another thread submits meanwhile are counted right. */
START_TEST (requests_that_change_workers_are_counted)
{
  pthread_t thread;
  sem_t begins;
  int i;

  sem_init (&begins, 0, 0);
  memset (many, 0, sizeof many);
  for (i = 0; i < 2 * MANY; ++i)
    many[i].type = EIO_NOP;
  loop_open (&b, ON_DEFAULT, 0);
  eio_set_parallel (0);
  eio_pool_use (b.pool);
  for (i = 0; i < MANY; ++i)
    eio_submit (&many[i]);
  pthread_create (&thread, 0, submit_many, &begins);
  take (&begins);
  for (i = 0; i < 5; ++i)
    eio_init (0, 0);
  pthread_join (thread, 0);
  ck_assert_uint_eq (eio_nreqs (), 2 * MANY);
  ck_assert_uint_eq (eio_nready (), 2 * MANY);
  eio_set_parallel (2);
  loop_drain (&b);
  ck_assert_uint_eq (eio_nready (), 0);
  loop_close (&b);
}
END_TEST

static void
begin_anew_once (pthread_mutex_t *mutex)
{
  (void)mutex;
  before_lock = (void (*) (pthread_mutex_t *))0;
  host_start ();
}

/* Between the look at whose workers these are, and their lock. */
START_TEST (workers_may_change_in_the_midst_of_a_submission)
{
  loop_open (&b, ON_DEFAULT, 0);
  eio_set_parallel (0);
  go_in (&b);
  before_lock = begin_anew_once;
  come_out (eio_nop (0, count, 0));
  ck_assert (before_lock == 0);
  ck_assert_uint_eq (loop_nreqs (&b), 1);
  eio_set_parallel (2);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 1);
  loop_close (&b);
}
END_TEST

static void
begin_anew_second (pthread_mutex_t *mutex)
{
  (void)mutex;
  before_lock = begin_anew_once;
}

/* Between the look at whose workers these are, and the list. */
START_TEST (workers_may_change_while_a_sharer_is_made)
{
  before_lock = begin_anew_second;
  b.pool = eio_pool_new_shared (0, 0, 0, 0);
  ck_assert (before_lock == 0);
  ck_assert_ptr_eq (b.pool->crew, eio__default_pool);
  ck_assert_int_eq (eio_pool_free (b.pool), 0);
}
END_TEST

/* By the pool's own workers, if there were any. */
START_TEST (life_that_ends_without_workers_closes_files)
{
  int fds = count_fds ();
  eio_req *req;

  no_threads = 1;
  req = eio_open ("/", O_RDONLY, 0, 0, count, 0);
  etp_maybe_start_thread (EIO_POOL); /* which executes it */
  ck_assert_uint_eq (eio_npending (), 1);
  ck_assert_int_eq (count_fds (), fds + 1);
  eio_cancel (req);
  while (eio_nreqs ())
    eio_poll ();
  host_start ();
  ck_assert_int_eq (count_fds (), fds);
  ck_assert_int_eq (finishes, 0);
}
END_TEST

/* A group that was not submitted is the caller's. */
START_TEST (group_that_was_filled_outlives_a_life)
{
  probe_fill (&grp, EIO_GROUP);
  probe_fill (&member, EIO_CUSTOM);
  ck_assert_int_eq (eio_grp_add (&grp.req, &member.req), 0);
  host_start ();
  eio_submit (&member.req);
  eio_submit (&grp.req);
  ck_assert_uint_eq (eio_nreqs (), 2);
  host_drain ();
  assert_done (&member);
  assert_done (&grp);
}
END_TEST

/* The default pool's address may change, but it can be used again. */
START_TEST (what_use_returned_can_be_used_after_a_shutdown)
{
  eio_pool *before;

  loop_open (&b, OWN, 0);
  host_start ();
  before = eio_pool_use (b.pool);
  eio_pool_use (0);
  host_start ();
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  eio_pool_use (before);
  ck_assert_uint_eq (eio_nreqs (), 0);
  eio_nop (0, count, 0);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (finishes, 1);
  loop_close (&b);
}
END_TEST

/*****************************************************************************
 * fork                                                                      *
 *****************************************************************************/

static void
be_child (void)
{
  begin_child ();
  a.mute = b.mute = 1;
  no_threads = 0;
}

/* ThreadSanitizer has to be told that what workers did is no race with what a
 * child does. */
static void
settle_for_fork (void)
{
  eio_pool *before = eio_pool_use (a.pool);

  eio_nthreads ();
  eio_pool_use (b.pool);
  eio_nthreads ();
  eio_pool_use (0);
  eio_nthreads ();
  eio_pool_use (before);
  if (HAVE_SANITIZER)
    nap (30);
}

static int childs;

static int
childs_finish (eio_req *req)
{
  need (getpid () != parent);
  (void)req;
  ++childs;
  return 0;
}

/* In a child: the pool is clean, and works. */
static void
need_clean (eio_pool *pool)
{
  eio_req *group;

  eio_pool_use (pool);
  if (pool)
    need (eio_pool_current () == pool);
  need (eio_nreqs () == 0);
  need (eio_nready () == 0);
  need (eio_npending () == 0);
  childs = 0;
  group = eio_grp (childs_finish, 0);
  need (eio_grp_add (group, eio_stat ("/", 0, childs_finish, 0)) == 0);
  eio_nop (3, childs_finish, 0);
  drain_pool (pool);
  need (childs == 3);
  eio_set_max_parallel (0);
  need (eio_nthreads () == 0);
  eio_set_parallel (4);
}

static void
need_no_workers (void)
{
  loop *loops[] = { &a, &b };
  int i;

  for (i = 0; i < 2; ++i)
    {
      eio_pool_use (loops[i]->pool);
      need (eio_nthreads () == 0);
    }
  eio_pool_use (0);
  need (eio_nthreads () == 0);
}

static void
need_all_clean (void)
{
  need_clean (b.pool);
  need_clean (a.pool);
  need_clean (0);
}

static void
free_all_in_child (void)
{
  need (eio_pool_free (b.pool) == 0);
  need (eio_pool_free (a.pool) == 0);
  need (eio_pool_current () == default_pool ());
}

static eio_req parents[64];
static int nparents;

static eio_req *
submit_parents (loop *l, int type, void (*feed) (eio_req *))
{
  eio_req *req = &parents[nparents++];

  memset (req, 0, sizeof *req);
  req->type = (signed char)type;
  req->feed = feed;
  req->finish = parents_finish;
  submit_in (l, req);
  return req;
}

/* Ready, executing and pending requests, and groups. */
static void
make_parent_busy (loop *l)
{
  int i;

  eio_pool_use (l->pool);
  for (i = 0; i < 3; ++i)
    submit_parents (l, EIO_NOP, 0);
  wait_until (eio_nready () == 0);
  for (i = 0; i < 2; ++i)
    submit_parents (l, EIO_CUSTOM, stay);
  await_arrivals (2);
  eio_grp_add (submit_parents (l, EIO_GROUP, 0),
               submit_parents (l, EIO_CUSTOM, stay_unheard));
  for (i = 0; i < 6; ++i)
    submit_parents (l, EIO_CUSTOM, stay_unheard);
}

static void
expect_parent_complete (void)
{
  give (&let_go, 64);
  loop_drain (&a);
  loop_drain (&b);
  ck_assert_int_eq (finishes, nparents);
  finishes = nparents = 0;
}

static void
prepare_fork (int kind)
{
  parent = getpid ();
  nparents = 0;
  open_loops (kind);
}

static pid_t
fork_now (void)
{
  pid_t pid;

  settle_for_fork ();
  pid = fork ();
  if (!pid)
    be_child ();
  return pid;
}

/* _i: kind; what is going on. */
START_TEST (child_has_clean_pools)
{
  pid_t pids[2];
  int i, busy = _i / 3;

  prepare_fork (_i % 3);
  if (busy)
    {
      make_parent_busy (&a);
      if (_i % 3 != SHARED)
        make_parent_busy (&b);
      else
        for (i = 0; i < 3; ++i)
          submit_parents (&b, EIO_NOP, 0);
    }
  for (i = 0; i < 2; ++i)
    if (!(pids[i] = fork_now ()))
      {
        pid_t grandchild;

        need_no_workers ();
        need_all_clean ();
        eio_pool_use (b.pool);
        eio_nop (0, 0, 0);
        grandchild = fork_now ();
        if (!grandchild)
          {
            need_no_workers ();
            need_all_clean ();
            free_all_in_child ();
            need_clean (0);
            _exit (0);
          }
        waitpid (grandchild, &busy, 0);
        need (busy == 0);
        drain_pool (b.pool);
        free_all_in_child ();
        need_clean (0);
        _exit (0);
      }
  expect_success (pids[0]);
  expect_success (pids[1]);
  expect_parent_complete ();
  close_loops ();
}
END_TEST

/* Another thread of the parent may be at the list. */
START_TEST (child_finds_the_list_of_pools_unlocked)
{
  pid_t pid;

  X_LOCK (eio__pools_lock);
  pid = fork ();
  if (!pid)
    {
      eio_pool *pool;

      begin_child ();
      pool = eio_pool_new (0, 0, 0);
      need (pool != 0);
      need (eio_pool_free (pool) == 0);
      _exit (0);
    }
  X_UNLOCK (eio__pools_lock);
  expect_success (pid);
}
END_TEST

START_TEST (child_has_the_pools_settings_and_callbacks)
{
  prepare_fork (_i);
  eio_pool_use (b.pool);
  eio_set_parallel (3);
  eio_set_max_poll_reqs (17);
  eio_set_submit_limit (18);
  eio_set_inline (19);
  eio_poll_fd ();
  {
    pid_t pid = fork_now ();

    if (!pid)
      {
        int fd = eio_poll_fd ();

        need (eio_get_parallel () == 3);
        need (eio_get_max_poll_reqs () == 17);
        need (eio_get_submit_limit () == 18);
        need (eio_get_inline () == 19);
        need (eio_pool_current () == b.pool);
        eio_nop (0, childs_finish, 0);
        while (!is_readable (fd))
          nap (1);
        drain_pool (b.pool);
        need (!is_readable (fd));
        if (_i == SHARED)
          {
            need (eio_pool_free (a.pool) == -1 && errno == EBUSY);
            need (eio_nthreads () == 1);
            eio_pool_use (a.pool);
            need (eio_nthreads () == 1);
          }
        free_all_in_child ();
        need (fcntl (fd, F_GETFD) == -1);
        _exit (0);
      }
    expect_success (pid);
  }
  ck_assert (!is_readable (eio_poll_fd ()));
  close_loops ();
}
END_TEST

/* What the child does before its copy of the callback returns. */
enum { RETURN, USE, FREE, CHILD_PLANS };
static int plan;
static pid_t child;

static void
fork_somewhere (void)
{
  child = fork_now ();
  if (child)
    return;
  need_no_workers ();
  if (plan == USE)
    need_all_clean ();
  if (plan == FREE)
    free_all_in_child ();
  eio_pool_use (plan == FREE ? 0 : b.pool);
}

/* In the child, after all callbacks. */
static void
end_child (void)
{
  need (eio_nreqs () == 0);
  eio_nop (0, childs_finish, 0);
  drain_pool (plan == FREE ? 0 : eio_pool_current ());
  need (childs);
  if (plan != FREE)
    {
      need_all_clean ();
      free_all_in_child ();
    }
  need_clean (0);
  _exit (0);
}

static int
fork_in_finish (eio_req *req)
{
  fork_somewhere ();
  return child ? parents_finish (req) : 0;
}

START_TEST (callback_may_fork)
{
  loop *l = _i / 3 % 2 ? &a : &b;

  prepare_fork (_i % 3);
  plan = _i / 6;
  submit_parents (l, EIO_NOP, 0)->finish = fork_in_finish;
  submit_parents (l, EIO_NOP, 0);
  submit_parents (&a, EIO_NOP, 0);
  while (!child && getpid () == parent)
    loop_poll (l);
  if (!child)
    end_child ();
  expect_success (child);
  expect_parent_complete ();
  close_loops ();
}
END_TEST

static void
fork_in_want (void *userdata)
{
  (void)userdata;
  if (child >= 0)
    return;
  child = fork ();
  if (!child)
    be_child ();
}

/* It is called because there is no thread. */
START_TEST (want_poll_may_fork)
{
  eio_pool *pool;

  prepare_fork (OWN);
  pool = eio_pool_new_shared (a.pool, fork_in_want, 0, 0);
  no_threads = 1;
  child = -1;
  eio_pool_use (pool);
  eio_nop (0, count, 0);
  ck_assert_int_ge (child, 0);
  if (!child)
    {
      need (eio_pool_free (pool) == 0);
      free_all_in_child ();
      _exit (0);
    }
  expect_success (child);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (finishes, 1);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (pool), 0);
  while (loop_wait (&a, 0))
    loop_poll (&a);
  close_loops ();
}
END_TEST

static atomic_int wanting, wanted;

static void
want_slowly (void *userdata)
{
  (void)userdata;
  wanted += wanting;
  while (wanting)
    nap (1);
}

static void
done_at_once (void *userdata)
{
  (void)userdata;
}

static int
poll_and_jump_out (eio_req *req)
{
  eio_poll (); /* tells that there is nothing left */
  return jump_out (req);
}

static void
fork_in_destroy (eio_req *req)
{
  ++probe_of (req)->destroys;
  child = fork ();
  if (!child)
    be_child ();
  wanting = 0;
}

/* While another thread is in want_poll. */
START_TEST (destroy_of_what_was_left_may_fork)
{
  eio_pool *pool = eio_pool_new (want_slowly, done_at_once, 0);

  parent = getpid ();
  eio_pool_use (pool);
  probe_fill (&member, EIO_NOP);
  member.req.finish = poll_and_jump_out;
  member.req.destroy = fork_in_destroy;
  eio_submit (&member.req);
  if (!setjmp (out))
    for (;;)
      eio_poll ();
  wanting = 1;
  eio_nop (0, count, 0);
  wait_until (wanted);
  eio_poll ();
  if (!child)
    {
      need (member.destroys == 1);
      eio_pool_use (0);
      need (eio_pool_free (pool) == 0);
      _exit (0);
    }
  expect_success (child);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (member.destroys, 1);
  ck_assert_int_eq (finishes, 1);
  eio_pool_use (0);
  ck_assert_int_eq (eio_pool_free (pool), 0);
}
END_TEST

static int
poll_and_fork (eio_req *req)
{
  eio_req *inner_req = submit_parents (&b, EIO_NOP, 0);

  inner_req->finish = fork_in_finish;
  while (!child && getpid () == parent)
    loop_poll (&b);
  return child ? parents_finish (req) : 0;
}

START_TEST (callback_may_fork_within_anothers)
{
  prepare_fork (_i % 3);
  plan = _i / 3;
  submit_parents (&a, EIO_NOP, 0)->finish = poll_and_fork;
  while (!child && getpid () == parent)
    loop_poll (&a);
  if (!child)
    end_child ();
  expect_success (child);
  expect_parent_complete ();
  close_loops ();
}
END_TEST

/* When there is nothing else that the group waits for. Another thread of the
 * parent may have locked the results meanwhile. */
static void
fork_in_feeder (eio_req *group)
{
  etp_pool *pool = group->eio_pool;

  eio_poll ();
  X_LOCK (pool->reslock);
  fork_somewhere ();
  if (getpid () == parent)
    X_UNLOCK (pool->reslock);
}

START_TEST (feeder_may_fork)
{
  eio_req *group;

  prepare_fork (_i % 3);
  plan = _i / 3;
  group = submit_parents (&b, EIO_GROUP, 0);
  eio_pool_use (plan == FREE ? b.pool : a.pool);
  eio_grp_feed (group, fork_in_feeder, 1);
  if (!child)
    end_child ();
  expect_success (child);
  expect_parent_complete ();
  close_loops ();
}
END_TEST

static void
fork_in_worker (eio_req *req)
{
  child = fork_now ();
  if (!child)
    {
      need_all_clean ();
      free_all_in_child ();
      need_clean (0);
      _exit (0);
    }
  req->result = 0;
}

START_TEST (custom_request_may_fork)
{
  prepare_fork (_i);
  make_parent_busy (&a);
  eio_pool_use (b.pool);
  eio_set_min_parallel (10);
  submit_parents (&b, EIO_CUSTOM, fork_in_worker);
  loop_poll (&b);
  expect_success (child);
  expect_parent_complete ();
  close_loops ();
}
END_TEST

static void
fork_in_poll (eio_req *req)
{
  fork_somewhere ();
  if (!child)
    no_threads = 0;
  req->result = 0;
}

/* In eio_poll, to which the child returns. */
START_TEST (custom_request_may_fork_without_threads)
{
  prepare_fork (_i % 2);
  plan = _i / 2;
  no_threads = 1;
  submit_parents (&b, EIO_CUSTOM, fork_in_poll);
  while (!child && getpid () == parent)
    loop_poll (&b);
  if (!child)
    end_child ();
  expect_success (child);
  expect_parent_complete ();
  while (loop_wait (&a, 0))
    loop_poll (&a);
  close_loops ();
}
END_TEST

static pthread_key_t end_of_thread;

static void
end_well (void *arg)
{
  (void)arg;
  if (getpid () != parent)
    _exit (0);
}

static void
fork_and_return (eio_req *req)
{
  child = fork_now ();
  pthread_setspecific (end_of_thread, req);
  req->result = 0;
}

/* It has a thread that was a worker, and ends. */
START_TEST (childs_copy_of_a_worker_ends)
{
  prepare_fork (_i);
  ck_assert_int_eq (pthread_key_create (&end_of_thread, end_well), 0);
  submit_parents (&b, EIO_CUSTOM, fork_and_return);
  loop_drain (&b);
  expect_success (child);
  expect_parent_complete ();
  close_loops ();
}
END_TEST

static void
stay_and_fork (eio_req *req)
{
  stay (req);
  fork_and_return (req);
}

static void
stop_in_parent (void *userdata)
{
  (void)userdata;
  need (getpid () == parent);
}

/* Nor does it end as a worker of the parent would. */
START_TEST (childs_copy_of_an_earlier_lifes_worker_ends)
{
  static eio_req req = { .type = EIO_CUSTOM, .feed = stay_and_fork };
  etp_pool *old = eio__default_pool;

  parent = getpid ();
  ck_assert_int_eq (pthread_key_create (&end_of_thread, end_well), 0);
  eio_set_thread_hooks (0, stop_in_parent, 0);
  eio_submit (&req);
  await_arrivals (1);
  host_start ();
  give (&let_go, 1);
  wait_until (!etp_has_threads (old));
  expect_success (child);
}
END_TEST

static atomic_int forks_end;

static int
nop_again (eio_req *req)
{
  if (getpid () != parent)
    _exit (2);
  if (!forks_end)
    eio_submit (req);
  return 0;
}

START_TEST (thread_may_fork_under_load)
{
  static eio_req reqs[40];
  poller pollers[2];
  int i;

  prepare_fork (_i);
  memset (reqs, 0, sizeof reqs);
  forks_end = 0;
  for (i = 0; i < 40; ++i)
    {
      reqs[i].type = EIO_NOP;
      reqs[i].finish = nop_again;
      submit_in (i % 2 ? &a : &b, &reqs[i]);
    }
  poller_start (&pollers[0], &a);
  poller_start (&pollers[1], &b);
  for (i = 0; i < 10; ++i)
    {
      pid_t pid = fork_now ();

      if (!pid)
        {
          need_all_clean ();
          free_all_in_child ();
          _exit (0);
        }
      expect_success (pid);
    }
  forks_end = 1;
  poller_end (&pollers[0]);
  poller_end (&pollers[1]);
  close_loops ();
}
END_TEST

static void *
make_and_free (void *arg)
{
  while (!forks_end)
    {
      eio_pool *pool = eio_pool_new_shared (b.pool, 0, 0, 0);

      eio_pool_use (pool);
      eio_nop (0, 0, 0);
      eio_flush ();
      if (eio_pool_free (pool))
        abort ();
    }
  return arg;
}

START_TEST (thread_may_fork_while_pools_come_and_go)
{
  pthread_t thread;
  int i;

  prepare_fork (_i);
  forks_end = 0;
  pthread_create (&thread, 0, make_and_free, 0);
  for (i = 0; i < 20; ++i)
    {
      pid_t pid = fork_now ();

      int status;

      /* Ends without being looked at: the pool that the other thread was
       * about to make is a leak there. */
      if (!pid)
        {
          need_all_clean ();
          kill (getpid (), SIGKILL);
        }
      ck_assert_int_eq (waitpid (pid, &status, 0), pid);
      ck_assert (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
    }
  forks_end = 1;
  pthread_join (thread, 0);
  close_loops ();
}
END_TEST

START_TEST (group_that_was_filled_goes_to_the_childs_pool)
{
  pid_t pid;

  prepare_fork (_i);
  eio_pool_use (b.pool);
  probe_fill (&grp, EIO_GROUP);
  probe_fill (&member, EIO_CUSTOM);
  ck_assert_int_eq (eio_grp_add (&grp.req, &member.req), 0);
  pid = fork_now ();
  if (!pid)
    {
      eio_submit (&member.req);
      eio_submit (&grp.req);
      need (eio_nreqs () == 2);
      drain_pool (b.pool);
      need (member.destroys == 1 && grp.destroys == 1);
      _exit (0);
    }
  expect_success (pid);
  eio_submit (&member.req);
  eio_submit (&grp.req);
  loop_drain (&b);
  assert_done (&grp);
  close_loops ();
}
END_TEST

/*****************************************************************************
 * Shutdown                                                                  *
 *****************************************************************************/

static void
submit_everywhere (void)
{
  int i;

  for (i = 0; i < 30; ++i)
    {
      IN (&a, eio_busy (0.0005, 0, count, 0));
      IN (&b, eio_busy (0.0005, 0, count, 0));
      eio_busy (0.0005, 0, count, 0);
    }
}

static void
assert_at_rest (eio_pool *pool)
{
  eio_pool *before = eio_pool_use (pool);

  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  eio_pool_use (before);
}

static void
assert_usable (loop *l)
{
  outcome o = { 0 };

  IN (l, eio_nop (0, note, &o));
  loop_drain (l);
  assert_ok (o, 0);
}

START_TEST (shutdown_brings_all_pools_to_rest)
{
  int kind = _i % 3, mode = _i / 3, i;

  open_loops (kind);
  for (i = 0; i < 3; ++i)
    {
      finishes = 0;
      submit_everywhere ();
      ck_assert_int_eq (eio_shutdown (mode, 30), 0);
      ck_assert_ptr_eq (eio_pool_current (), default_pool ());
      if (mode == EIO_SHUTDOWN_DRAIN)
        ck_assert_int_eq (finishes, 90);
      assert_at_rest (a.pool);
      assert_at_rest (b.pool);
      assert_at_rest (0);
      wait_until (count_threads () == own_threads);
      ck_assert_int_eq (loop_wait (&a, 0), 0);
      ck_assert_int_eq (loop_wait (&b, 0), 0);
      assert_usable (&a);
      assert_usable (&b);
      host_start ();
    }
  eio_nop (0, count, 0);
  host_drain ();
  close_loops ();
}
END_TEST

START_TEST (shutdown_of_a_pool_is_its_own)
{
  int kind = _i % 3, mode = _i / 3;

  open_loops (kind);
  submit_everywhere ();
  eio_pool_use (b.pool);
  ck_assert_int_eq (eio_shutdown (mode, 30), 0);
  ck_assert_ptr_eq (eio_pool_current (), b.pool);
  ck_assert_uint_eq (eio_nreqs (), 0);
  if (kind == OWN)
    assert_at_rest (b.pool);
  assert_usable (&b);
  finishes = 0;
  loop_drain (&a);
  ck_assert_int_eq (finishes, 30);
  eio_pool_use (0);
  host_drain ();
  ck_assert_int_eq (finishes, 60);
  close_loops ();
}
END_TEST

START_TEST (shutdown_in_time_or_not_at_all)
{
  open_loops (_i);
  IN (&b, eio_custom (stay, 0, count, 0));
  await_arrivals (1);
  eio_nop (0, count, 0);
  errno = 0;
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.05), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  ck_assert_ptr_eq (eio_pool_current (), default_pool ());
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_CANCEL, 0.05), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  ck_assert_uint_eq (eio_get_parallel (), 4);
  assert_usable (&a);
  eio_pool_use (b.pool);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.05), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  ck_assert_ptr_eq (eio_pool_current (), b.pool);
  give (&let_go, 1);
  loop_drain (&b);
  ck_assert_int_eq (finishes, 2);
  assert_usable (&b);
  eio_pool_use (0);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  close_loops ();
}
END_TEST

static int deadlocks;

static int
shut_down_here (eio_req *req)
{
  eio_pool_use (req->data ? 0 : eio_pool_current ());
  if (eio_shutdown (EIO_SHUTDOWN_DRAIN, 1) == -1 && errno == EDEADLK)
    ++deadlocks;
  req->result = 0;
  return 0;
}

static void
shut_down_in_worker (eio_req *req)
{
  shut_down_here (req);
}

START_TEST (shutdown_within_a_pool_would_deadlock)
{
  void *all = _i / 3 ? &a : 0;

  open_loops (_i % 3);
  IN (&b, eio_custom (run_nothing, 0, shut_down_here, all));
  loop_drain (&b);
  ck_assert_int_eq (deadlocks, 1);
  IN (&b, eio_custom (shut_down_in_worker, 0, 0, all));
  loop_drain (&b);
  ck_assert_int_eq (deadlocks, 2);
  close_loops ();
}
END_TEST

static atomic_int stops;

static void
shut_down_in_hook (void *userdata)
{
  (void)userdata;
  if (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.3) == -1 && errno == EDEADLK)
    ++deadlocks;
  ++stops;
}

START_TEST (shutdown_in_a_hook_would_deadlock)
{
  loop_open (&b, OWN, 0);
  eio_pool_use (b.pool);
  if (_i)
    eio_set_thread_hooks (shut_down_in_hook, 0, 0);
  else
    eio_set_thread_hooks (0, shut_down_in_hook, 0);
  eio_set_parallel (1);
  eio_nop (0, 0, 0);
  loop_drain (&b);
  eio_set_max_parallel (0);
  wait_until (stops == 1);
  ck_assert_int_eq (deadlocks, 1);
  loop_close (&b);
}
END_TEST

static int
shut_down_the_other (eio_req *req)
{
  (void)req;
  eio_pool_use (b.pool);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 30), 0);
  ck_assert_int_eq (finishes, 1);
  return 0;
}

START_TEST (shutdown_of_a_pool_in_anothers_callback)
{
  open_loops (_i);
  IN (&b, eio_busy (0.001, 0, count, 0));
  IN (&a, eio_nop (0, shut_down_the_other, 0));
  loop_drain (&a);
  assert_usable (&b);
  close_loops ();
}
END_TEST

static int
let_the_other_go (eio_req *req)
{
  give (&let_go, 1);
  return count (req);
}

/* A worker of the life before executes a request that waits for a callback of
 * its pool, which still lives. */
START_TEST (shutdown_polls_while_it_waits_for_earlier_lives)
{
  loop_open (&b, ON_DEFAULT, 0);
  IN (&b, eio_custom (stay, 0, count, 0));
  await_arrivals (1);
  host_start ();
  IN (&b, eio_nop (0, let_the_other_go, 0));
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 3), 0);
  ck_assert_int_eq (finishes, 2);
  loop_close (&b);
}
END_TEST

START_TEST (callbacks_during_a_shutdown_are_in_their_pool)
{
  open_loops (_i);
  IN (&b, eio_nop (0, see_in_finish, 0));
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 30), 0);
  ck_assert_ptr_eq (seen[0], b.pool);
  close_loops ();
}
END_TEST

static int
free_during_shutdown (eio_req *req)
{
  b.mute = 1;
  if (eio_pool_free (b.pool) == 0)
    ++deadlocks;
  else
    eio_nop (0, free_during_shutdown, 0);
  return count (req);
}

START_TEST (pools_may_be_freed_during_a_shutdown)
{
  open_loops (_i);
  IN (&b, eio_busy (0.001, 0, count, 0));
  IN (&a, eio_nop (0, free_during_shutdown, 0));
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 30), 0);
  ck_assert_int_eq (deadlocks, 1);
  loop_close (&a);
}
END_TEST

static loop made;

static int
make_during_shutdown (eio_req *req)
{
  loop_open (&made, ON_DEFAULT, 0);
  IN (&made, eio_busy (0.001, 0, count, 0));
  return count (req);
}

START_TEST (pools_may_be_made_during_a_shutdown)
{
  open_loops (_i);
  IN (&b, eio_nop (0, make_during_shutdown, 0));
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 30), 0);
  ck_assert_int_eq (finishes, 2);
  assert_at_rest (made.pool);
  assert_usable (&made);
  loop_close (&made);
  close_loops ();
}
END_TEST

START_TEST (shutdown_works_with_a_limit_of_0)
{
  open_loops (_i);
  eio_set_parallel (0);
  eio_pool_use (a.pool);
  eio_set_parallel (0);
  eio_pool_use (b.pool);
  eio_set_parallel (0);
  eio_pool_use (0);
  submit_everywhere ();
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 30), 0);
  ck_assert_int_eq (finishes, 90);
  ck_assert_uint_eq (eio_get_parallel (), 0);
  eio_pool_use (b.pool);
  ck_assert_uint_eq (eio_get_parallel (), 0);
  eio_set_parallel (1);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 30), 0);
  ck_assert_uint_eq (eio_get_parallel (), 1);
  close_loops ();
}
END_TEST

static void
wait_in_hook (void *userdata)
{
  (void)userdata;
  take (&let_go);
}

/* A hook of its worker takes too long. */
START_TEST (shutdown_that_failed_waits_no_more)
{
  loop_open (&a, OWN, 0);
  eio_pool_use (a.pool);
  eio_set_thread_hooks (0, wait_in_hook, 0);
  eio_nop (0, count, 0);
  loop_drain (&a);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.02), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  ck_assert_uint_eq (a.pool->nwaiting, 0);
  give (&let_go, 1);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  loop_close (&a);
}
END_TEST

/* Those of a second life, which is no more. */
START_TEST (pool_that_shares_workers_outlives_a_shutdown)
{
  loop_open (&b, ON_DEFAULT, 0);
  host_start ();
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  IN (&b, eio_nop (0, count, 0));
  loop_drain (&b);
  ck_assert_int_eq (finishes, 1);
  loop_close (&b);
}
END_TEST

START_TEST (shutdown_works_without_threads)
{
  open_loops (_i % 3);
  no_threads = 1;
  eio_pool_use (b.pool);
  eio_set_nothreads (EIO_NOTHREADS_FAIL);
  eio_pool_use (0);
  submit_everywhere ();
  ck_assert_int_eq (eio_shutdown (_i / 3, 30), 0);
  if (_i / 3 == EIO_SHUTDOWN_DRAIN)
    ck_assert_int_eq (finishes, 90);
  close_loops ();
}
END_TEST

/*****************************************************************************
 * Memory                                                                    *
 *****************************************************************************/

START_TEST (lack_of_memory_makes_no_pool)
{
  long blocks_before = live;
  int fds = count_fds (), n = 0;
  eio_pool *pool;

  for (;;)
    {
      asked = 0;
      fail_at = ++n;
      errno = 0;
      pool = _i == OWN ? eio_pool_new (0, 0, 0)
                       : eio_pool_new_shared (0, 0, 0, 0);
      fail_at = 0;
      if (pool)
        break;
      ck_assert_int_eq (errno, ENOMEM);
      ck_assert_int_eq (live, blocks_before);
      ck_assert_int_eq (count_fds (), fds);
    }
  ck_assert_int_gt (n, 1);
  eio_pool_use (pool);
  eio_nop (0, count, 0);
  eio_flush ();
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (eio_pool_free (pool), 0);
}
END_TEST

static void
make_worker_meanwhile (pthread_mutex_t *mutex)
{
  (void)mutex;
  before_lock = (void (*) (pthread_mutex_t *))0;
  ck_assert_ptr_nonnull (etp_make_worker (a.pool));
}

/* In a child, which has used its spare, two workers are started at once. */
START_TEST (one_spare_is_kept)
{
  long blocks_before = live;

  a.pool = eio_pool_new (0, 0, 0);
  spoil_and_free (a.pool->spare);
  a.pool->spare = 0;
  before_lock = make_worker_meanwhile;
  ck_assert_ptr_nonnull (etp_make_worker (a.pool));
  ck_assert (before_lock == 0);
  ck_assert_ptr_nonnull (a.pool->spare);
  ck_assert_int_eq (eio_pool_free (a.pool), 0);
  ck_assert_int_eq (live, blocks_before);
}
END_TEST

/* In a child whose default pool works: what is submitted to another waits for
 * memory, and that there is some is noticed by whatever is called. */
static void
use_pool_without_memory (eio_pool *pool)
{
  static eio_req reqs[] = { { .type = EIO_NOP, .finish = count },
                            { .type = EIO_NOP, .finish = count } };

  eio_pool_use (pool);
  eio_submit (&reqs[0]);
  need (eio_poll () == -1 && errno == EAGAIN && eio_nreqs () == 1);
  eio_pool_use (0);
  eio_submit (&reqs[1]);
  need (eio_flush () == 0 && finishes == 1);
  fail_at = 0;
  need (eio_nreqs () == 0);
  eio_pool_use (pool);
  need (eio_nreqs () == 1 && eio_flush () == 0 && finishes == 2);
}

/* The first child takes what its parent had kept for it; its own child gets
 * memory for the default pool only. */
START_TEST (childs_pools_wait_for_memory)
{
  eio_pool *pools[2];
  pid_t pid;

  pools[0] = eio_pool_new (0, 0, 0);
  pools[1] = eio_pool_new_shared (_i == SHARED ? pools[0] : 0, 0, 0, 0);
  pid = fork ();
  if (!pid)
    {
      begin_child ();
      need (eio_init (0, 0) == 0); /* with memory for the next */
      asked = 0;
      fail_at = 1;
      fail_all = 1;
      pid = fork ();
      if (pid)
        {
          expect_success (pid);
          _exit (0);
        }
      need (asked == (_i == SHARED ? 1 : 2)); /* not without workers */
      use_pool_without_memory (pools[_i == SHARED]);
      _exit (0);
    }
  expect_success (pid);
  ck_assert_int_eq (eio_pool_free (pools[1]), 0);
  ck_assert_int_eq (eio_pool_free (pools[0]), 0);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_current (Suite *suite)
{
  TCase *tc = add_case (suite, "current", 60, start, 0);

  tcase_add_test (tc, the_default_pool_is_current_at_first);
  tcase_add_loop_test (tc, use_returns_what_was_current, 0, 3);
  tcase_add_loop_test (tc, current_is_the_threads_own, 0, 3);
  tcase_add_loop_test (tc, results_come_out_of_the_pool_of_submission, 0, 3);
  tcase_add_loop_test (tc, callbacks_of_a_pool_may_be_null, 0, 2);
  tcase_add_loop_test (tc, poll_fd_is_the_pools_own, 0, 3);
  tcase_add_test (tc, poll_fd_that_became_another_pools_is_left_to_it);
  tcase_add_loop_test (tc, pool_is_current_in_everything_of_its_requests, 0,
                       3);
  tcase_add_test (tc, pool_of_the_workers_is_current_in_their_hooks);
  tcase_add_loop_test (tc, choice_of_a_callback_ends_with_it, 0, 3);
  tcase_add_loop_test (tc, what_callbacks_submit_is_their_pools, 0, 3);
}

static void
add_settings (Suite *suite)
{
  TCase *tc = add_case (suite, "settings", 60, start, 0);

  tcase_add_test (tc, settings_are_the_pools_own);
  tcase_add_test (tc, settings_of_workers_go_to_those_who_execute);
  tcase_add_loop_test (tc, counters_are_the_pools_own, 0, 3);
  tcase_add_loop_test (tc, limits_of_polling_are_the_pools_own, 0, 3);
  tcase_add_loop_test (tc, submit_limit_is_the_pools_own, 0, 3);
  tcase_add_loop_test (tc, finish_cancelled_is_the_pools_own, 0, 3);
  tcase_add_test (tc, workers_are_like_what_their_pool_says);
  tcase_add_loop_test (tc, inline_is_the_pools_own, 0, 3);
}

static void
add_loops (Suite *suite)
{
  TCase *tc = add_case (suite, "loops", 120, start, 0);

  tcase_add_test (tc, blocked_pool_does_not_hold_up_another);
  tcase_add_loop_test (tc, results_of_two_loops_never_cross, 0, 3);
}

static void
add_shared (Suite *suite)
{
  TCase *tc = add_case (suite, "shared", 60, start, 0);

  tcase_add_loop_test (tc, shared_workers_execute_by_priority, 1, 3);
  tcase_add_loop_test (tc, numbers_are_right_after_workers_served_others, 1,
                       3);
  tcase_add_test (tc, who_shares_with_a_sharer_has_the_same_workers);
  tcase_add_loop_test (tc, lack_of_threads_is_announced_to_all_sharers, 0, 2);
  tcase_add_test (tc, who_is_told_that_there_is_no_thread_may_submit);
  tcase_add_test (tc, waiting_executes_for_sharers_without_threads);
  tcase_add_test (tc, refusal_to_execute_is_the_pools_own);
  tcase_add_test (tc, embedders_call_does_not_change_the_current_pool);
  tcase_add_test (tc, slow_want_poll_holds_up_no_other_pool);
}

static void
add_guarded (Suite *suite)
{
  TCase *tc = add_case (suite, "guarded", 60, start, 0);

  tcase_add_test (tc, locks_are_had_for_what_they_guard);
  tcase_add_test (tc, locks_are_had_as_a_life_ends);
  tcase_add_loop_test (tc, what_is_read_is_locked_before, 0, 5);
}

static void
add_ends (Suite *suite)
{
  TCase *tc = add_case (suite, "ends", 60, start, 0);

  tcase_add_loop_test (tc, default_pool_cannot_be_freed, 0, 3);
  tcase_add_loop_test (tc, freeing_makes_the_default_pool_current, 0, 3);
  tcase_add_loop_test (tc, pool_with_requests_cannot_be_freed, 0, 3);
  tcase_add_loop_test (tc, pool_with_a_group_that_waits_cannot_be_freed, 0, 3);
  tcase_add_loop_test (tc, pool_cannot_be_freed_in_its_callbacks, 0, 3);
  tcase_add_loop_test (tc, pool_can_be_freed_in_anothers_callback, 0, 3);
  tcase_add_loop_test (tc, pool_can_be_freed_in_anothers_request, 0, 3);
  tcase_add_test (tc, pool_whose_workers_are_shared_cannot_be_freed);
  tcase_add_loop_test (tc, nothing_is_left_of_a_pool, 0, 3);
  tcase_add_loop_test (tc, pools_come_and_go_under_load, 0, 2);
  tcase_add_loop_test (tc, pool_can_be_freed_while_its_workers_work_for_others,
                       1, 3);
  tcase_add_test (tc, free_waits_for_who_executes_in_place_of_workers);
  tcase_add_test (tc, free_waits_for_who_signals);
  tcase_add_test (tc, child_need_not_wait_for_who_signalled);
  tcase_add_test (tc, free_waits_for_who_has_served);
  tcase_add_test (tc, free_waits_for_what_the_library_asks);
  tcase_add_test (tc, pool_that_gets_a_request_meanwhile_is_not_freed);
}

static void
add_groups (Suite *suite)
{
  TCase *tc = add_case (suite, "groups", 60, start, 0);

  tcase_add_loop_test (tc, group_takes_no_request_of_another_pool, 0, 3);
  tcase_add_loop_test (tc, member_goes_to_its_groups_pool, 0, 3);
  tcase_add_loop_test (tc, group_goes_where_its_members_are, 0, 3);
  tcase_add_loop_test (tc, group_goes_where_its_members_were, 0, 3);
  tcase_add_loop_test (tc, group_with_members_elsewhere_is_no_member, 0, 3);
  tcase_add_loop_test (tc, members_of_inner_groups_go_to_the_outer_ones_pool,
                       0, 3);
}

static void
add_latch (Suite *suite)
{
  TCase *tc = add_case (suite, "latch", 60, start, 0);

  tcase_add_loop_test (tc, nobody_enters_a_latch_while_its_owner_is_inside, 0,
                       2);
  tcase_add_test (tc, latch_keeps_out_whoever_comes);
}

static void
add_callbacks (Suite *suite)
{
  TCase *tc = add_case (suite, "callbacks", 60, start, 0);

  tcase_add_loop_test (
    tc, requests_can_be_submitted_to_another_pool_from_finish, 0, 24);
  tcase_add_loop_test (tc, request_of_the_default_pool_goes_on_in_another, 0,
                       6);
  tcase_add_loop_test (tc, resubmission_in_a_nested_poll_of_another_pool, 0,
                       6);
  tcase_add_loop_test (tc, callbacks_may_poll_another_pool, 0, 3);
  tcase_add_loop_test (tc, pools_poll_each_other_in_callbacks, 0, 3);
  tcase_add_loop_test (tc, cancelling_works_across_pools, 0, 3);
}

static void
add_longjmp (Suite *suite)
{
  TCase *tc = add_case (suite, "longjmp", 60, start, 0);

  tcase_add_loop_test (
    tc, callback_that_is_left_ends_with_its_own_pools_poll, 0, 3);
  tcase_add_loop_test (tc, callbacks_of_two_pools_are_left_at_once, 0, 3);
  tcase_add_loop_test (tc, pool_cannot_be_freed_in_destroy_of_what_was_left,
                       0, 3);
  tcase_add_loop_test (
    tc, pool_cannot_be_freed_after_a_jump_within_its_callback, 0, 3);
  tcase_add_loop_test (tc, freeing_completes_what_was_left, 0, 3);
  tcase_add_test (tc, shutdown_completes_what_was_left_and_ends_all);
  tcase_add_loop_test (tc, pool_that_was_left_can_be_freed_elsewhere, 0, 3);
}

static void
add_lives (Suite *suite)
{
  TCase *tc = add_case (suite, "lives", 60, start, 0);

  tcase_add_loop_test (tc, pools_outlive_a_life_of_the_default_pool, 0, 3);
  tcase_add_test (tc, default_pool_may_begin_anew_under_load);
  tcase_add_test (tc, requests_that_change_workers_are_counted);
  tcase_add_test (tc, workers_may_change_in_the_midst_of_a_submission);
  tcase_add_test (tc, workers_may_change_while_a_sharer_is_made);
  tcase_add_test (tc, life_that_ends_without_workers_closes_files);
  tcase_add_test (tc, group_that_was_filled_outlives_a_life);
  tcase_add_test (tc, what_use_returned_can_be_used_after_a_shutdown);
}

static void
add_fork (Suite *suite)
{
  TCase *tc = add_case (suite, "fork", 60, start, 0);

  tcase_add_loop_test (tc, child_has_clean_pools, 0, 6);
  tcase_add_test (tc, child_finds_the_list_of_pools_unlocked);
  tcase_add_loop_test (tc, child_has_the_pools_settings_and_callbacks, 0, 3);
  tcase_add_test (tc, want_poll_may_fork);
  tcase_add_test (tc, destroy_of_what_was_left_may_fork);
  tcase_add_loop_test (tc, callback_may_fork, 0, 6 * CHILD_PLANS);
  tcase_add_loop_test (tc, callback_may_fork_within_anothers, 0,
                       3 * CHILD_PLANS);
  tcase_add_loop_test (tc, feeder_may_fork, 0, 3 * CHILD_PLANS);
  tcase_add_loop_test (tc, custom_request_may_fork, 0, 3);
  tcase_add_loop_test (tc, custom_request_may_fork_without_threads, 0,
                       2 * CHILD_PLANS);
  tcase_add_loop_test (tc, childs_copy_of_a_worker_ends, 0, 3);
  tcase_add_test (tc, childs_copy_of_an_earlier_lifes_worker_ends);
  tcase_add_loop_test (tc, group_that_was_filled_goes_to_the_childs_pool, 0,
                       3);
  if (!HAVE_SANITIZER)
    {
      tcase_add_loop_test (tc, thread_may_fork_under_load, 0, 3);
      tcase_add_loop_test (tc, thread_may_fork_while_pools_come_and_go, 0, 3);
    }
}

static void
add_shutdown (Suite *suite)
{
  TCase *tc = add_case (suite, "shutdown", 60, start, 0);

  tcase_add_loop_test (tc, shutdown_brings_all_pools_to_rest, 0, 6);
  tcase_add_loop_test (tc, shutdown_of_a_pool_is_its_own, 0, 6);
  tcase_add_loop_test (tc, shutdown_in_time_or_not_at_all, 0, 3);
  tcase_add_loop_test (tc, shutdown_within_a_pool_would_deadlock, 0, 6);
  tcase_add_loop_test (tc, shutdown_in_a_hook_would_deadlock, 0, 2);
  tcase_add_loop_test (tc, shutdown_of_a_pool_in_anothers_callback, 0, 3);
  tcase_add_test (tc, shutdown_polls_while_it_waits_for_earlier_lives);
  tcase_add_loop_test (tc, callbacks_during_a_shutdown_are_in_their_pool, 0, 3);
  tcase_add_loop_test (tc, pools_may_be_freed_during_a_shutdown, 0, 3);
  tcase_add_loop_test (tc, pools_may_be_made_during_a_shutdown, 0, 3);
  tcase_add_loop_test (tc, shutdown_works_with_a_limit_of_0, 0, 3);
  tcase_add_test (tc, shutdown_that_failed_waits_no_more);
  tcase_add_test (tc, pool_that_shares_workers_outlives_a_shutdown);
  tcase_add_loop_test (tc, shutdown_works_without_threads, 0, 6);
}

static void
add_memory (Suite *suite)
{
  TCase *tc = add_case (suite, "memory", 60, start, 0);

  tcase_add_loop_test (tc, lack_of_memory_makes_no_pool, 0, 2);
  tcase_add_test (tc, one_spare_is_kept);
  tcase_add_loop_test (tc, childs_pools_wait_for_memory, 1, 3);
}

int
main (void)
{
  Suite *suite = suite_create ("pools");

  add_current (suite);
  add_settings (suite);
  add_loops (suite);
  add_shared (suite);
  add_guarded (suite);
  add_ends (suite);
  add_groups (suite);
  add_latch (suite);
  add_callbacks (suite);
  add_longjmp (suite);
  add_lives (suite);
  if (child_may_start_threads ())
    add_fork (suite);
  add_shutdown (suite);
  add_memory (suite);
  return run_suite (suite);
}
