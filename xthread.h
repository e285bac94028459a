/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Threads as the library and those who embed it see them: thin names for
 * pthreads, and the start of a worker thread with its stack size and signal
 * mask.  May be included before any other header. */

#ifndef XTHREAD_H_
#define XTHREAD_H_

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

/* Windows sends no signals to threads. */
#ifdef _WIN32
typedef _sigset_t sigset_t;
# define sigfillset(set) ((void)(*(set) = 0))
# define sigdelset(set, number) ((void)(set))
#endif

/* Behind a function's parameters: which mutex it takes, gives back, or is to
 * be called with.  With X_CHECK_LOCKS, clang -Wthread-safety checks that, and
 * that what takes a mutex gives it back (scripts/analyse.sh). */
#ifdef X_CHECK_LOCKS
# define X_ATTRIBUTE(...) __attribute__ ((__VA_ARGS__))
#else
# define X_ATTRIBUTE(...)
#endif
#define X_TAKES(mutex) X_ATTRIBUTE (acquire_capability (mutex))
#define X_GIVES(mutex) X_ATTRIBUTE (release_capability (mutex))
#define X_NEEDS(mutex) X_ATTRIBUTE (requires_capability (mutex))

/* Mutexes.  All macros take lvalues, not pointers.  They are held for some
 * tens of nanoseconds: where there is a kind that tries again for a moment
 * before it sleeps, it is that. */
typedef pthread_mutex_t xmutex_t X_ATTRIBUTE (capability ("mutex"));
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
# define X_MUTEX_INIT         PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
#else
# define X_MUTEX_INIT         PTHREAD_MUTEX_INITIALIZER
#endif
#define X_MUTEX_CREATE(mutex) xmutex_create (&(mutex))
#define X_LOCK(mutex)         pthread_mutex_lock (&(mutex))
#define X_UNLOCK(mutex)       pthread_mutex_unlock (&(mutex))

#ifdef X_CHECK_LOCKS
int pthread_mutex_lock (xmutex_t *mutex) X_TAKES (*mutex);
int pthread_mutex_unlock (xmutex_t *mutex) X_GIVES (*mutex);
#endif

/* Condition variables.  TIMEDWAIT takes an absolute time of the realtime
 * clock, as a struct timespec. */
typedef pthread_cond_t xcond_t;
#define X_COND_INIT               PTHREAD_COND_INITIALIZER
#define X_COND_CREATE(cond)       pthread_cond_init (&(cond), 0)
#define X_COND_SIGNAL(cond)       pthread_cond_signal (&(cond))
#define X_COND_BROADCAST(cond)    pthread_cond_broadcast (&(cond))
#define X_COND_WAIT(cond, mutex)  pthread_cond_wait (&(cond), &(mutex))
#define X_COND_TIMEDWAIT(cond, mutex, to) \
  pthread_cond_timedwait (&(cond), &(mutex), &(to))

/* Thread-local pointers. */
#define X_TLS_DECLARE(varname)    pthread_key_t varname
#define X_TLS_INIT(varname)       pthread_key_create (&(varname), 0)
#define X_TLS_SET(varname, value) pthread_setspecific (varname, (value))
#define X_TLS_GET(varname)        pthread_getspecific (varname)

/* Threads. */
typedef pthread_t xthread_t;
#define X_THREAD_PROC(name) static void *name (void *thr_arg)
#define X_THREAD_ATFORK(prepare, parent, child) \
  pthread_atfork (prepare, parent, child)

#ifndef X_STACKSIZE
# define X_STACKSIZE (256 * 1024)
#endif

/* The signals that a worker leaves to the host: all, except those that its
 * own instructions cause (SIGSYS: a sandbox answers a system call with it). */
static inline void
xthread_sigmask (sigset_t *set)
{
  sigfillset (set);
  sigdelset (set, SIGSEGV);
  sigdelset (set, SIGBUS);
  sigdelset (set, SIGFPE);
  sigdelset (set, SIGILL);
  sigdelset (set, SIGTRAP);
#ifdef SIGSYS
  sigdelset (set, SIGSYS);
#endif
}

static inline void
xmutex_create (xmutex_t *mutex)
{
  static const xmutex_t initial = X_MUTEX_INIT;

  *mutex = initial;
}

/* Starts a joinable thread with a stack of at least stacksize bytes (0: the
 * system's default), and only synchronous signals unblocked.  Returns 0, or
 * an error number as pthread_create does; EINVAL means that the size is
 * refused. */
static inline int
xthread_start (xthread_t *tid, void *(*proc) (void *), void *arg,
               size_t stacksize)
{
  pthread_attr_t attr;
  sigset_t blocked, saved;
  int error = pthread_attr_init (&attr);

  if (error)
    return error;

#ifdef PTHREAD_STACK_MIN
  if (stacksize && stacksize < (size_t)PTHREAD_STACK_MIN)
    stacksize = (size_t)PTHREAD_STACK_MIN;
#endif

  if (stacksize)
    error = pthread_attr_setstacksize (&attr, stacksize);

  if (!error)
    {
      xthread_sigmask (&blocked);
      pthread_sigmask (SIG_SETMASK, &blocked, &saved);
      error = pthread_create (tid, &attr, proc, arg);
      pthread_sigmask (SIG_SETMASK, &saved, 0);
    }

  pthread_attr_destroy (&attr);
  return error;
}

/* Starts a joinable thread with X_STACKSIZE.  Returns non-zero on success. */
static inline int
xthread_create (xthread_t *tid, void *(*proc) (void *), void *arg)
{
  return !xthread_start (tid, proc, arg, X_STACKSIZE);
}

/* A condition variable whose deadlines are of the monotonic clock, where the
 * system has them (X_CLOCK says which).  Returns 0 or an error number. */
#if defined CLOCK_MONOTONIC && !defined __APPLE__
# define X_CLOCK CLOCK_MONOTONIC
#else
# define X_CLOCK CLOCK_REALTIME
#endif

static inline int
xcond_create_monotonic (xcond_t *cond)
{
#if defined CLOCK_MONOTONIC && !defined __APPLE__
  pthread_condattr_t attr;
  int error = pthread_condattr_init (&attr);

  if (error)
    return error;

  error = pthread_condattr_setclock (&attr, X_CLOCK);
  if (!error)
    error = pthread_cond_init (cond, &attr);
  pthread_condattr_destroy (&attr);
  return error;
#else
  return pthread_cond_init (cond, 0);
#endif
}

#endif
