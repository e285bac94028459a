/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The result side of a pool, section 3 of eio.c, for spin: how a result is
 * published, how the host is told, and how the poll thread takes it. engine.pml
 * is about the request side, and says how both are to be read.
 *
 * Here the accesses are not those of one lock: signalled, the stack of fresh
 * results, the number of sorted ones and the two counters are read and written
 * one by one, as the code does. A stack of results is a channel, which hands
 * them out in the order in which the poller sorts them, and its top.
 *
 * Results come from PUBLISHERS threads; with AT_ONCE from callbacks, too, for
 * requests that are answered at once; with STALL from one request that waits
 * for a thread which cannot be had. A callback returns, or ends the poll, or
 * does not return at all.
 *
 * The host polls when want_poll has told it; with BY_FD when the descriptor is
 * readable, with WAITING when eio_poll_wait returns. Once it may poll without
 * any reason. */

#ifndef REQS
#define REQS 3
#endif
#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifdef STALL
#define ENDED PUBLISHERS + 1
#else
#define ENDED PUBLISHERS
#endif
#define NONE 255

chan fresh = [REQS] of { byte };
byte top = NONE;
chan sorted = [REQS] of { byte };
byte nsorted;               /* sorted.size */
byte ntaken;
short size;                 /* res_queue.size */
bit  reslock, siglock;
bit  signalled, beacon, stalled, start_failed;
bit  has_arrival;
mtype = { UNSET, SET, SLEEPS };
mtype arrival = UNSET;
bit  asleep;

/* Ghosts. */
bit  told;                  /* want_poll came after done_poll */
bit  calling;               /* one of them runs */
byte npublishing;           /* requests that somebody has */
byte ndelivered;
bit  delivered[REQS];
bit  rescued;               /* the one that waits for a thread is executed */
byte nended;

#define LOCALS byte first = NONE; bit work

#define X_LOCK(lock) atomic { !lock -> lock = 1 }
#define X_UNLOCK(lock) lock = 0

/* --- signal ------------------------------------------------------------- */

/* Three looks, one after the other. */
inline etp_has_work ()
{
  if
  :: top != NONE -> work = 1
  :: else ->
     if
     :: nsorted -> work = 1
     :: else -> work = stalled
     fi
  fi
}

inline want_poll ()
{
  d_step { assert (!calling && !told); calling = 1 };
  d_step { told = 1; calling = 0 }
}

inline done_poll ()
{
  d_step { assert (!calling && told); calling = 1 };
  d_step { told = 0; calling = 0 }
}

inline etp_call_want ()
{
  signalled = 1;
  beacon = 1;
  if
  :: has_arrival ->             /* eio_sys_set_event */
     d_step { asleep = asleep && arrival != SLEEPS; arrival = SET }
  :: else
  fi;
  want_poll ()
}

inline etp_call_done ()
{
  done_poll ();
#ifndef BAD_BEACON_STAYS
  beacon = 0;
#endif
  signalled = 0
}

inline etp_raise_signal ()
{
  if
  :: signalled
  :: else ->
#ifndef BAD_RAISE_UNLOCKED
     X_LOCK (siglock);
#endif
     etp_has_work ();
     if
#ifdef BAD_RAISE_TWICE
     :: work -> etp_call_want ()
#else
     :: !signalled && work -> etp_call_want ()
#endif
     :: else
     fi;
     work = 0;
#ifndef BAD_RAISE_UNLOCKED
     assert (told == signalled && beacon == signalled);
     X_UNLOCK (siglock)
#endif
  fi
}

/* Leaves in work what it returns. */
inline etp_settle_signal ()
{
  X_LOCK (siglock);
#ifdef BAD_DONE_FIRST
  work = 0;
#else
  etp_has_work ();
#endif
  if
  :: !work && signalled ->
     etp_call_done ();
#if !defined BAD_DONE_FIRST && !defined BAD_NO_SECOND_LOOK
     etp_has_work ()
#endif
  :: else
  fi;
  if
  :: work && !signalled -> etp_call_want ()
  :: else
  fi;
  assert (told == signalled && beacon == signalled);
  X_UNLOCK (siglock)
}

inline etp_announce ()
{
  X_LOCK (siglock);
  if
  :: !signalled -> etp_call_want ()
  :: else
  fi;
  X_UNLOCK (siglock)
}

/* --- results ------------------------------------------------------------ */

inline etp_publish (req)
{
  first = top;                  /* before the lock: may be old */
#ifdef BAD_LOOK_BEFORE_PUSH
  work = signalled;
#endif
  X_LOCK (reslock);
  do                            /* the cas */
  :: atomic { top == first -> fresh!req; top = req; break }
  :: atomic { top != first -> first = top }
  od;
  size++;
  atomic {
    assert (len (fresh) + len (sorted) <= size);
    X_UNLOCK (reslock)
  };
  if
#ifdef BAD_LOOK_BEFORE_PUSH
  :: first == NONE && !work -> etp_raise_signal ()
#else
  :: first == NONE -> etp_raise_signal ()
#endif
  :: else
  fi;
  first = NONE;
  work = 0
}

inline etp_sort_results ()
{
  d_step {                      /* the swap */
    n = len (fresh);
    do
    :: len (fresh) -> fresh?req; sorted!req
    :: else -> break
    od;
    top = NONE;
    req = NONE
  };
  d_step { nsorted = nsorted + n; n = 0 }
}

inline etp_discount_results ()
{
  d_step { n = ntaken; ntaken = 0 };
  d_step { size = size - n; n = 0 }
}

inline etp_next_result ()
{
  if
  :: top != NONE -> etp_sort_results ()
  :: else
  fi;
  if
  :: nsorted ->
     d_step { sorted?req; nsorted-- };
     ntaken++;
     if
     :: !nsorted -> etp_discount_results ()
     :: else
     fi
  :: else
  fi
}

/* --- without workers ---------------------------------------------------- */

/* A request that is queued, and no thread. Later one may be had after all. */
proctype etp_start_failed ()
{
  LOCALS;

  d_step { start_failed = 1; stalled = 1 };
  etp_raise_signal ();
  if
  :: skip
  :: atomic { !rescued -> rescued = 1; stalled = 0 }; /* etp_end_stall */
     etp_publish (0)
  :: rescued
  fi;
  nended++
}

/* etp_maybe_start_thread, which fails once more. */
inline etp_run_here ()
{
  start_failed = 0;
  if
  :: atomic { stalled && !rescued -> rescued = 1; stalled = 0 };
     etp_publish (0)
  :: else
  fi
}

/* --- workers ------------------------------------------------------------ */

proctype eio__worker_proc ()
{
  LOCALS;
  byte req;

  do
  :: atomic {
       if
       :: npublishing < REQS -> req = npublishing; npublishing++
       :: else -> break
       fi
     };
     etp_publish (req);
     req = 0
  od;
  nended++
}

/* --- poll --------------------------------------------------------------- */

/* The callback of one: a request may be submitted, and answered at once. The
 * host has been told to poll again, or is just being told, in case that it
 * never returns. */
inline etp_finish ()
{
  d_step {
    assert (signalled && (told || siglock));
    assert (!delivered[req]);
    delivered[req] = 1;
    ndelivered++;
    req = NONE
  }
#ifdef AT_ONCE
  ;
  if
  :: skip
  :: atomic { npublishing < REQS -> req = npublishing; npublishing++ };
     etp_publish (req);
     req = NONE
  fi
#endif
}

/* etp_poll_once and what it calls. */
inline etp_poll ()
{
  etp_discount_results ();
  if
  :: start_failed -> etp_run_here ()
  :: else
  fi;
  do                            /* etp_poll_in_scope */
  :: etp_next_result ();
     if
     :: req == NONE ->
        etp_settle_signal ();   /* etp_end_poll */
        if
        :: work && top != NONE -> work = 0
        :: else -> break
        fi
     :: else ->
#ifndef BAD_NO_ANNOUNCE
        if
        :: !signalled -> etp_announce ()
        :: else
        fi;
#endif
        etp_finish ();
        if
        :: skip                 /* to the next one */
        :: goto left            /* never returned */
        :: skip;                /* a limit, or what finish returned */
           etp_settle_signal ();
           break
        fi
     fi
  od;
  etp_discount_results ();
left:
  work = 0
}

/* Until there are results, or nothing is outstanding. */
inline etp_wait ()
{
  do
  :: size > 0 || ndelivered == REQS -> break
  :: else ->
     if
     :: start_failed -> etp_run_here ()
     :: else
     fi;
     X_LOCK (siglock);          /* etp_await_signal: etp_has_arrival */
     has_arrival = 1;
     X_UNLOCK (siglock);
#ifdef BAD_WAIT_UNSETTLED
     etp_has_work ();
#else
     etp_settle_signal ();
#endif
     if
     :: work -> work = 0        /* naps, until that is counted */
     :: else ->                 /* eio_sys_await_event */
        if
        :: d_step { arrival == UNSET -> arrival = SLEEPS };
           asleep = (arrival == SLEEPS);
           !asleep || stalled   /* which has a deadline */
        :: arrival == SET
        fi;
        d_step { arrival = UNSET; asleep = 0 }
     fi
  od
}

/* The event loop. */
proctype host ()
{
  LOCALS;
  byte req = NONE, n;
  bit spurious = 1;

  do
  :: if
#if defined WAITING
     :: ndelivered < REQS -> etp_wait ()
     :: ndelivered == REQS && told
#elif defined BY_FD
     :: beacon
#else
     :: told
#endif
     :: spurious -> spurious = 0
     :: nended == ENDED && ndelivered == REQS && !told && !beacon ->
        break
     fi;
     etp_poll ()
  od;

  assert (!signalled && !stalled && !size && !ntaken && !nsorted);
  assert (top == NONE && !len (fresh) && !len (sorted))
}

init
{
  byte n;

  atomic {
#ifdef STALL
    npublishing = 1;            /* 0 is etp_start_failed's */
    run etp_start_failed ();
#endif
    do
    :: n < PUBLISHERS -> run eio__worker_proc (); n++
    :: else -> break
    od;
    run host ()
  }
}
