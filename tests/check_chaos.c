/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Threads that dawdle where it matters: eio.c, included, with a yield or a
 * delay, at random, before each atomic operation and around each lock, wait and
 * wake-up, and in some of its functions, other ones each time, nearly always.
 * check_stress's random use goes on over that, and several pools at once.
 *
 * There are EIO_CHAOS_ROUNDS (10) of each, with a seed of their own: the first
 * has EIO_CHAOS_SEED, the others those that follow.  A seed repeats all
 * decisions, though not what the system makes of them. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned int chaos_seed;
static atomic_uint chaos_threads;
static __thread unsigned int chaos_state;

static unsigned int
mix (unsigned int n)
{
  n = (n ^ n >> 16) * 0x45d9f3bu;
  n = (n ^ n >> 16) * 0x45d9f3bu;
  return (n ^ n >> 16) | 1;
}

unsigned int xorshift32 (unsigned int *state); /* support.h */

static unsigned int
next_chaos (void)
{
  if (!chaos_state)
    chaos_state = mix (chaos_seed + 1000 * ++chaos_threads);
  return xorshift32 (&chaos_state);
}

/* One of ten functions is slow. */
static int
is_slow (const char *where)
{
  unsigned int hash = chaos_seed;

  while (*where)
    hash = hash * 31 + (unsigned char)*where++;
  return mix (hash) % 11 == 0;
}

/* Before a step of this function. */
static void
point (const char *where)
{
  unsigned int n = next_chaos ();
  struct timespec delay = { 0, n / 1024 % 64 * 1000 };
  int saved = errno;

  if (n % 512 == 0 || (n % 8 == 0 && is_slow (where)))
    nanosleep (&delay, 0);
  else if (n % 256 == 0)
    sched_yield ();
  errno = saved;
}

static int
chaotic_unlock (pthread_mutex_t *lock, const char *where)
{
  pthread_mutex_unlock (lock);
  point (where);
  return 0;
}

#include "points.h"

#define pthread_mutex_lock(lock) \
  (point (__func__), pthread_mutex_lock (lock))
#define pthread_mutex_unlock(lock) chaotic_unlock (lock, __func__)
#define pthread_cond_wait(cond, lock) \
  (point (__func__), pthread_cond_wait (cond, lock))
#define pthread_cond_broadcast(cond) \
  (point (__func__), pthread_cond_broadcast (cond))
#define syscall(...) (point (__func__), (syscall) (__VA_ARGS__))
#include "eio.c"
#undef pthread_mutex_lock
#undef pthread_mutex_unlock
#undef pthread_cond_wait
#undef pthread_cond_broadcast
#undef syscall

/* The room's model, and not its suite. */
#define main main_of_stress
#include "check_stress.c"
#undef main

#include <sys/file.h>

/* The seed of a test. */
static void
begin_chaos (int round)
{
  chaos_seed = random_state = mix (chaos_seed + (unsigned int)round);
}

/*****************************************************************************
 * Everything at once                                                        *
 *****************************************************************************/

START_TEST (dawdling_changes_nothing)
{
  int fds, threads;

  begin_chaos (_i);
  make_file ();
  allowed = 4;
  host_start ();
  fds = count_fds ();
  threads = count_threads ();
  play_round ();
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  ck_assert_int_eq (count_fds (), fds);
  wait_until (count_threads () <= threads + HAVE_SANITIZER);
}
END_TEST

/*****************************************************************************
 * Several pools                                                             *
 *****************************************************************************/

enum
{
  USERS = 4,
  JOBS = 200
};

typedef struct user user;

typedef struct
{
  eio_req req;
  user *whose;
  atomic_int executed;
  int finished, destroyed, cancelled;
} job;

/* A thread that polls its own pool. */
struct user
{
  eio_pool *pool;
  unsigned int random;
  atomic_int told;
  int njobs, fd, locking;
  job jobs[JOBS];
};

static user users[USERS];
static atomic_int holders; /* of the lock that all want */

static unsigned int
below (user *u, unsigned int n)
{
  u->random = mix (u->random + 1);
  return u->random % n;
}

static void
want_user (void *userdata)
{
  user *u = userdata;

  ck_assert_int_eq (u->told++, 0);
}

static void
done_user (void *userdata)
{
  user *u = userdata;

  ck_assert_int_eq (u->told--, 1);
}

static void
execute_job (eio_req *req)
{
  ++((job *)req->data)->executed;
}

static int
finish_job (eio_req *req)
{
  job *j = req->data;

  ck_assert_int_eq (j->cancelled, 0);
  ck_assert_int_eq (j->finished++, 0);
  ck_assert_int_eq (j->executed, req->type == EIO_CUSTOM);
  if (req->type == EIO_FLOCK && !req->result)
    {
      ck_assert_int_eq (holders++, 0);
      --holders;
      flock (j->whose->fd, LOCK_UN);
    }
  return 0;
}

static void
destroy_job (eio_req *req)
{
  job *j = req->data;

  ck_assert_int_eq (j->destroyed++, 0);
  if (req->type == EIO_FLOCK)
    {
      flock (j->whose->fd, LOCK_UN);
      j->whose->locking = 0;
    }
}

/* Groups are added to the one before, if they can. */
static void
submit_job (user *u)
{
  static const int types[] = { EIO_CUSTOM, EIO_CUSTOM, EIO_NOP, EIO_GROUP,
                               EIO_FLOCK };
  job *j = &u->jobs[u->njobs++], *before = j - 1;
  int type = types[below (u, LENGTH (types))];

  if (type == EIO_FLOCK && u->locking)
    type = EIO_CUSTOM;
  j->whose = u;
  j->req.data = j;
  j->req.type = type;
  j->req.pri = (signed char)((int)below (u, 9) - 4);
  j->req.finish = finish_job;
  j->req.destroy = destroy_job;
  if (type == EIO_CUSTOM)
    j->req.feed = execute_job;
  if (type == EIO_FLOCK)
    {
      u->locking = 1;
      j->req.int1 = u->fd;
      j->req.int2 = LOCK_EX;
      j->req.nv1 = 0.001 * below (u, 8);
    }
  eio_submit (&j->req);
  if (u->njobs > 1 && before->req.type == EIO_GROUP && !before->destroyed
      && !before->finished)
    {
      j->cancelled |= before->cancelled;
      eio_grp_add (&before->req, &j->req);
    }
}

static void
cancel_job (user *u)
{
  job *j = &u->jobs[below (u, (unsigned int)u->njobs)], *k = j;

  if (j->finished || j->destroyed)
    return;
  eio_cancel (&j->req);
  for (; k < u->jobs + u->njobs && !k->cancelled && !k->finished
         && !k->destroyed;
       ++k)
    {
      k->cancelled = 1;
      if (k->req.type != EIO_GROUP)
        break;
    }
}

static void *
use_pool (void *arg)
{
  user *u = arg;

  eio_pool_use (u->pool);
  while (u->njobs < JOBS)
    {
      unsigned int what = below (u, 12);

      submit_job (u);
      if (what == 0)
        cancel_job (u);
      else if (what == 1)
        eio_set_parallel (1 + below (u, 4));
      else if (what == 2)
        eio_set_max_idle (below (u, 3));
      else if (what < 5)
        eio_poll_wait (1e-4);
      else if (what < 8)
        eio_poll ();
    }
  if (below (u, 2))
    eio_flush ();
  while (eio_nreqs ())
    {
      eio_poll_wait (-1);
      eio_poll ();
    }
  eio_pool_use (0);
  return 0;
}

static void
check_user (const user *u)
{
  int i;

  for (i = 0; i < u->njobs; ++i)
    {
      const job *j = &u->jobs[i];

      ck_assert_int_eq (j->destroyed, 1);
      ck_assert_int_eq (j->finished, !j->cancelled);
    }
  ck_assert_int_eq (u->told, 0);
}

/* Pools of their own, or that share workers with the default pool, or with the
 * first. */
static void
make_user (int i)
{
  user *u = &users[i];

  u->random = mix (random_state + (unsigned int)i);
  u->fd = open (scratch_path ("lock"), O_RDWR | O_CREAT, 0666);
  ck_assert_int_ge (u->fd, 0);
  u->pool = i < 2 ? eio_pool_new (want_user, done_user, u)
                  : eio_pool_new_shared (i == 2 ? 0 : users[0].pool, want_user,
                                         done_user, u);
  ck_assert_ptr_nonnull (u->pool);
}

START_TEST (pools_dawdle_side_by_side)
{
  pthread_t tids[USERS];
  outcome seen[8] = { { 0 } };
  int i, threads = count_threads ();

  begin_chaos (_i);
  host_start ();
  for (i = 0; i < USERS; ++i)
    make_user (i);
  for (i = 0; i < USERS; ++i)
    ck_assert_int_eq (pthread_create (&tids[i], 0, use_pool, &users[i]), 0);
  for (i = 0; i < USERS; ++i)
    pthread_join (tids[i], 0);
  for (i = USERS; i--;)
    {
      check_user (&users[i]);
      ck_assert_int_eq (eio_pool_free (users[i].pool), 0);
      close (users[i].fd);
    }

  for (i = 0; i < LENGTH (seen); ++i)
    eio_nop (i, note, &seen[i]);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  for (i = 0; i < LENGTH (seen); ++i)
    assert_ok (seen[i], 0);
  wait_until (count_threads () <= threads + HAVE_SANITIZER);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

int
main (void)
{
  const char *text = getenv ("EIO_CHAOS_ROUNDS");
  int rounds = text ? atoi (text) : 10;
  Suite *suite = suite_create ("chaos");
  TCase *tc = add_case (suite, "random", 120, 0, 0);

  text = getenv ("EIO_CHAOS_SEED");
  chaos_seed = text ? (unsigned int)strtoul (text, 0, 0) : seed ();
  printf ("EIO_CHAOS_SEED=%u\n", chaos_seed);
  fflush (stdout);
  tcase_add_loop_test (tc, dawdling_changes_nothing, 0, rounds);
  tc = add_case (suite, "pools", 120, 0, 0);
  tcase_add_loop_test (tc, pools_dawdle_side_by_side, 0, rounds);
  return run_suite (suite);
}
