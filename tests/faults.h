/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* For rooms that replace system calls, or have them answered: calls that fail,
 * or before which something happens, when a test says so.  Include after
 * counting.h, or ecb.h, and after an enum of the calls that ends with
 * CALL_COUNT; before eio.c.  A substitute asks faulty () or error_of (). */

#ifndef TESTS_FAULTS_H_
#define TESTS_FAULTS_H_

#include <limits.h>
#include <stdatomic.h>

enum { FOR_EVER = INT_MAX, EVERY_SECOND = -2, EVERY_THIRD = -3 };

static struct
{
  atomic_int calls; /* since it was armed */
  atomic_int error; /* what it fails with, 0: it does not */
  atomic_int first; /* how many calls go well before */
  atomic_int times; /* how many fail; -n: each nth of those that come */
} faults[CALL_COUNT];

/* A request that is cancelled before it makes a call, and which one of which
 * kind that is, from 0. */
static struct
{
  _Atomic (eio_req *) req;
  atomic_int which, at;
} victim;

/* Called before every call, with its number of its kind, from 0, if not
 * null. */
static void (*_Atomic before_call) (int which, int n);

static void
arm (int which, int error, int first, int times)
{
  faults[which].calls = 0;
  faults[which].first = first;
  faults[which].times = times;
  faults[which].error = error;
}

ecb_unused static void
disarm (void)
{
  int i;

  for (i = 0; i < CALL_COUNT; ++i)
    arm (i, 0, 0, 0);
}

ecb_unused static int
calls_of (int which)
{
  return faults[which].calls;
}

ecb_unused static void
aim (eio_req *req, int which, int at)
{
  faults[which].calls = 0;
  victim.which = which;
  victim.at = at;
  victim.req = req;
}

/* Returns the error that this call has to fail with, or 0. */
static int
error_of (int which)
{
  int n = atomic_fetch_add (&faults[which].calls, 1);
  int after = n - faults[which].first, times = faults[which].times;
  void (*before) (int, int) = before_call;

  if (before)
    before (which, n);
  if (which == victim.which && n == victim.at && victim.req)
    eio_cancel (victim.req);
  return after >= 0 && (times < 0 ? !(after % times) : after < times)
           ? faults[which].error
           : 0;
}

/* Whether this call has to fail, then with errno. */
ecb_unused static int
faulty (int which)
{
  int error = error_of (which);

  if (error)
    errno = error;
  return error != 0;
}

#endif
