/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* A scheduler for rooms that include eio.c: threads run one at a time, and
 * where they lock, wait, wake, end, or use an atomic, it is chosen who goes
 * on.  So a run is what is chosen, and can be repeated, and all runs that
 * differ from the usual one in a few places can be had in turn.
 *
 * Usually a thread goes on until it cannot; then the next one does; time passes
 * when nobody can.  Each other choice is a deviation "N:K": at the Nth place
 * where there is a choice, take the Kth other one.  Letting time pass is one,
 * too: a wait with a deadline may end whenever others could run.
 *
 * Memory is that of one processor, as it is to spin.  Include before points.h,
 * and that before eio.c. */

#ifndef TESTS_EXPLORE_H_
#define TESTS_EXPLORE_H_

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum
{
  ACTORS = 32,     /* threads of a run */
  CHOICES = 20000, /* more, */
  STEPS = 200000,  /* or more of these, are a run without end */
  NAP = 10000000   /* nanoseconds, whatever was asked for */
};

typedef struct
{
  sem_t turn;
  pthread_t tid;
  void *(*proc) (void *);
  void *arg;
  const char *where;        /* the step that it is at */
  const void *waits_for;    /* lock, condition, futex, actor; null: it runs */
  unsigned long long until; /* ends its wait, 0: nothing but a wake-up does */
  int late, ended, released; /* joined, or detached */
} actor;

static actor actors[ACTORS];
static int nactors;
static __thread actor *acting; /* which runs; null: nothing is explored */
static unsigned long long the_time;
static int npauses; /* how often it passed as nobody else could go on */

/* What was chosen, and how many there were to choose from. */
static struct
{
  int chosen, of;
} choices[CHOICES];
static int nchoices, nsteps;

/* What is to be: these, and then what is usual, or at random. */
static struct
{
  int at, option;
} plan[CHOICES];
static int nplan;
static unsigned random_state, deviate; /* one of so many; 0: never */

static const char *run_name;
static int traces;

static int creations, refused_from, refused; /* threads */

unsigned int xorshift32 (unsigned int *state); /* support.h */

/*****************************************************************************
 * Reports                                                                   *
 *****************************************************************************/

_Noreturn static void
give_up (const char *what, const char *detail)
{
  int i;

  fprintf (stderr, "%s: %s %s\nEIO_SCHEDULE='%s", run_name, what, detail,
           run_name);
  for (i = 0; i < nchoices; ++i)
    if (choices[i].chosen)
      fprintf (stderr, " %d:%d", i, choices[i].chosen);
  fprintf (stderr, "'\n");
  for (i = 0; i < nactors; ++i)
    fprintf (stderr, "  thread %d%s: %s%s\n", i,
             &actors[i] == acting ? " (runs)" : "",
             actors[i].ended ? "has ended" : actors[i].where,
             actors[i].waits_for && !actors[i].ended ? ", waits" : "");
  abort ();
}

#define TEXT(x)  #x
#define TEXT2(x) TEXT (x)
#define must(expr) \
  ((expr) ? (void)0 : give_up ("not " #expr, "in line " TEXT2 (__LINE__)))

/*****************************************************************************
 * Who is next                                                               *
 *****************************************************************************/

/* Those who can go on, *nready, the usual one first; and those who wait for
 * time to pass, the earliest first if there is nobody else. */
static int
find_options (int first, int options[], int *nready)
{
  int n = 0, i;

  for (i = 0; i < nactors; ++i)
    {
      actor *a = &actors[(first + i) % nactors];

      if (!a->ended && !a->waits_for)
        options[n++] = (int)(a - actors);
    }
  *nready = n;
  for (i = 0; i < nactors; ++i)
    if (!actors[i].ended && actors[i].waits_for && actors[i].until)
      {
        options[n++] = i;
        if (actors[i].until < actors[options[*nready]].until)
          {
            options[n - 1] = options[*nready];
            options[*nready] = i;
          }
      }
  return n;
}

static int
choose (int n)
{
  static int next;
  int option = 0;

  if (!nchoices)
    next = 0;
  if (next < nplan)
    option = plan[next].at == nchoices ? plan[next++].option : 0;
  else if (deviate && xorshift32 (&random_state) % deviate == 0)
    option = (int)(xorshift32 (&random_state) % (unsigned)n);
  choices[nchoices].chosen = option < n ? option : 0;
  choices[nchoices].of = n;
  return choices[nchoices++].chosen;
}

static actor *
pick_next (int first)
{
  int options[ACTORS], nready, n = find_options (first, options, &nready);
  actor *next;

  if (!n)
    give_up ("deadlock", "");
  npauses += !nready;
  next = &actors[options[n > 1 ? choose (n) : 0]];
  if (next->waits_for)
    {
      the_time = next->until > the_time ? next->until : the_time;
      next->late = 1;
      next->waits_for = 0;
    }
  return next;
}

/* Lets another run, or not; returns when it is this one's turn again. */
static void
yield (int first)
{
  actor *me = acting, *next = pick_next (first);
  int ends = me->ended; /* then it may be another's, once that one runs */

  if (++nsteps == STEPS || nchoices == CHOICES)
    give_up ("no end", "");
  if (traces)
    fprintf (stderr, "%6d  %d %s%s\n", nchoices, (int)(next - actors),
             next->where, next->late ? ", late" : "");
  if (next == me)
    return;
  sem_post (&next->turn);
  while (!ends && sem_wait (&me->turn))
    continue;
}

static void
point (const char *where)
{
  if (!acting)
    return;
  acting->where = where;
  yield ((int)(acting - actors));
}

/* Returns whether it was woken. */
static int
wait_for (const void *what, unsigned long long until)
{
  acting->waits_for = what;
  acting->until = until;
  acting->late = 0;
  yield ((int)(acting - actors) + 1);
  return !acting->late;
}

static int
wake (const void *what, int n)
{
  int i, woken = 0;

  for (i = 0; i < nactors && woken < n; ++i)
    if (actors[i].waits_for == what)
      {
        actors[i].waits_for = 0;
        ++woken;
      }
  return woken;
}

/*****************************************************************************
 * What takes the place of the system                                        *
 *****************************************************************************/

static int
explored_lock (pthread_mutex_t *lock, const char *where)
{
  if (!acting)
    return pthread_mutex_lock (lock);
  point (where);
  while (pthread_mutex_trylock (lock))
    wait_for (lock, 0);
  return 0;
}

static int
explored_unlock (pthread_mutex_t *lock, const char *where)
{
  pthread_mutex_unlock (lock);
  wake (lock, ACTORS);
  point (where);
  return 0;
}

static int
explored_timedwait (pthread_cond_t *cond, pthread_mutex_t *lock,
                    const struct timespec *end, const char *where)
{
  int woken;

  acting->where = where;
  pthread_mutex_unlock (lock);
  wake (lock, ACTORS);
  woken = wait_for (cond, end ? (unsigned long long)end->tv_sec * 1000000000u
                                  + (unsigned long long)end->tv_nsec + 1
                              : 0);
  explored_lock (lock, where);
  return woken ? 0 : ETIMEDOUT;
}

static void *
run_actor (void *arg)
{
  actor *a = arg;

  while (sem_wait (&a->turn))
    continue;
  acting = a;
  a->proc (a->arg);
  point ("thread-specific data is destroyed");
  a->ended = 1;
  wake (a, ACTORS);
  yield ((int)(a - actors) + 1);
  return 0;
}

static int
explored_create (pthread_t *tid, const pthread_attr_t *attr,
                 void *(*proc) (void *), void *arg)
{
  actor *a;
  int error;

  if (!acting)
    return pthread_create (tid, attr, proc, arg);
  point (__func__);
  if (++creations > refused_from && creations <= refused_from + refused)
    {
      wake (&creations, ACTORS);
      wait_for (acting, the_time + NAP); /* others get further meanwhile */
      return EAGAIN;
    }
  if (nactors == ACTORS)
    give_up ("too many threads", "");
  a = &actors[nactors];
  memset (a, 0, sizeof *a);
  sem_init (&a->turn, 0, 0);
  a->proc = proc;
  a->arg = arg;
  a->where = "begins";
  error = pthread_create (&a->tid, attr, run_actor, a);
  if (error)
    give_up ("no thread", strerror (error));
  *tid = a->tid;
  ++nactors;
  point (__func__);
  return 0;
}

/* Whether the calling thread is the last. */
static int
is_alone (void)
{
  int i, n = 0;

  for (i = 0; i < nactors; ++i)
    n += !actors[i].ended;
  return n == 1;
}

/* The latest that has the number, which may be used again. */
static actor *
find_actor (pthread_t tid)
{
  int i = nactors - 1;

  while (i && !pthread_equal (actors[i].tid, tid))
    --i;
  if (actors[i].released++)
    give_up ("joined or detached twice", "");
  return &actors[i];
}

static int
explored_join (pthread_t tid, void **res)
{
  actor *a;

  if (!acting)
    return pthread_join (tid, res);
  acting->where = __func__;
  for (a = find_actor (tid); !a->ended;)
    wait_for (a, 0);
  return pthread_join (tid, res);
}

static int
explored_detach (pthread_t tid)
{
  if (acting)
    find_actor (tid);
  return pthread_detach (tid);
}

static int
explored_nanosleep (const struct timespec *t, struct timespec *left)
{
  if (!acting)
    return nanosleep (t, left);
  acting->where = __func__;
  wait_for (acting, the_time + NAP);
  return 0;
}

static int
explored_gettime (clockid_t clock, struct timespec *t)
{
  if (!acting)
    return clock_gettime (clock, t);
  t->tv_sec = (time_t)(the_time / 1000000000u);
  t->tv_nsec = (long)(the_time % 1000000000u);
  return 0;
}

static long
explored_futex (int *state, va_list args)
{
  int wakes = va_arg (args, int), value = va_arg (args, int);
  const long *left;

  if (wakes)
    return wake (state, value);
  left = va_arg (args, const long *);
  if (__atomic_load_n (state, __ATOMIC_RELAXED) != value)
    errno = EAGAIN;
  else if (wait_for (state, left ? the_time + 1
                                     + (unsigned long long)left[0] * 1000000000u
                                     + (unsigned long long)left[1]
                                 : 0))
    return 0;
  else
    errno = ETIMEDOUT;
  return -1;
}

/* Whether it is one of those that follow. */
static int
is_explored (long number)
{
  return acting
         && (number == SYS_futex || number == SYS_membarrier
             || number == SYS_gettid || number == SYS_tgkill);
}

static long
explored_syscall (const char *where, long number, ...)
{
  va_list args;
  long res = 0;
  int id;

  point (where);
  va_start (args, number);
  if (number == SYS_futex)
    {
      int *state = va_arg (args, int *);

      res = explored_futex (state, args);
    }
  else if (number == SYS_gettid)
    res = acting - actors + 1;
  else if (number == SYS_tgkill)
    {
      (void)va_arg (args, int);
      id = (int)va_arg (args, long);
      res = actors[id - 1].ended ? -1 : 0;
    }
  va_end (args);
  return res;
}

#define pthread_mutex_lock(lock)     explored_lock (lock, __func__)
#define pthread_mutex_unlock(lock)   explored_unlock (lock, __func__)
#define pthread_cond_wait(cond, lock) \
  explored_timedwait (cond, lock, 0, __func__)
#define pthread_cond_timedwait(cond, lock, end) \
  explored_timedwait (cond, lock, end, __func__)
#define pthread_cond_signal(cond)    (point (__func__), wake (cond, 1))
#define pthread_cond_broadcast(cond) (point (__func__), wake (cond, ACTORS))
#define pthread_create               explored_create
#define pthread_join                 explored_join
#define pthread_detach               explored_detach
#define nanosleep                    explored_nanosleep
#define clock_gettime                explored_gettime
#define FIRST(first, ...)            (long)(first)
#define syscall(...) \
  (is_explored (FIRST (__VA_ARGS__, 0)) \
     ? explored_syscall (__func__, __VA_ARGS__) \
     : (long)(syscall) (__VA_ARGS__))

/*****************************************************************************
 * Runs                                                                      *
 *****************************************************************************/

/* The calling thread begins as the only one, and ends so. */
static void
run_once (void (*scenario) (void))
{
  actor *me = &actors[0];

  memset (me, 0, sizeof *me);
  sem_init (&me->turn, 0, 0);
  me->tid = pthread_self ();
  me->where = "begins";
  nactors = 1;
  nchoices = nsteps = 0;
  the_time = 1;
  npauses = 0;
  creations = refused_from = refused = 0;
  acting = me;
  scenario ();
  while (nactors > 1)
    {
      actor *a = &actors[nactors - 1];

      while (!a->ended)
        wait_for (a, 0);
      if (!a->released)
        give_up ("a thread was not joined", "");
      --nactors;
    }
  acting = 0;
}

/* All runs with so many deviations, as long as they are no more than most.
 * The next is what the last was up to where it has one more option. */
static int
run_all (void (*scenario) (void), int deviations, int most)
{
  int runs, i;

  nplan = 0;
  deviate = 0;
  for (runs = 1; runs <= most; ++runs)
    {
      int spent = 0;

      run_once (scenario);
      for (i = 0; i < nchoices; ++i)
        spent += choices[i].chosen > 0;
      for (i = nchoices - 1; i >= 0; --i)
        {
          spent -= choices[i].chosen > 0;
          if (spent < deviations && choices[i].chosen + 1 < choices[i].of)
            break;
        }
      if (i < 0)
        return runs;
      nchoices = i;
      for (nplan = 0, i = 0; i < nchoices; ++i)
        if (choices[i].chosen)
          {
            plan[nplan].at = i;
            plan[nplan++].option = choices[i].chosen;
          }
      plan[nplan].at = nchoices;
      plan[nplan++].option = choices[nchoices].chosen + 1;
    }
  return most;
}

/* So many at random: some wild, some that deviate seldom. */
static void
run_at_random (void (*scenario) (void), unsigned seed, int runs)
{
  nplan = 0;
  for (random_state = seed ? seed : 1; runs--;)
    {
      deviate = 1u << (1 + xorshift32 (&random_state) % 6);
      run_once (scenario);
    }
  deviate = 0;
}

/* One again, as it was reported. */
static void
run_again (void (*scenario) (void), const char *schedule)
{
  int read;

  nplan = 0;
  deviate = 0;
  while (sscanf (schedule, "%d:%d%n", &plan[nplan].at, &plan[nplan].option,
                 &read) == 2)
    {
      schedule += read;
      ++nplan;
    }
  traces = 1;
  run_once (scenario);
  traces = 0;
}

#endif
