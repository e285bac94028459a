/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The request side of a pool, section 3 of eio.c, for spin: who looks at what
 * is queued, who starts, wakes, parks and leaves, and how all are stopped.
 * signal.pml has the results. scripts/check-model.sh runs both.
 *
 * Inlines and processes have the names of the functions whose steps they take;
 * variables those of the members of etp_pool and etp_worker. One atomic block
 * is what the code does under reqlock at a time: nothing of it is touched
 * elsewhere but ndone, which is an atomic, and stalled and start_failed, which
 * others only look at. All else is as fine as the code's atomic operations and
 * system calls. Memory is that of one processor: spin knows no other. What
 * orders the accesses of several is said in eio.c, at each of them.
 *
 * The model simplifies: one pool, one priority, no housekeeping, no plans, no
 * groups, nothing cancelled; lives, forks and hooks are left out. The clock
 * passes a deadline at most TICKS times, and threads are refused at most
 * REFUSALS times: so a request that waits for either alone is found.
 *
 * Every process ends in every run, or spin reports an invalid end state: that
 * is a deadlock or a lost wake-up, as the host stops the pool when it has been
 * delivered all requests. The rest is assertions.
 *
 * Names that begin with BAD_ make mistakes, which have to be found. */

#ifndef REQS
#define REQS 3
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 1
#endif
#ifndef LIMIT
#define LIMIT 2 /* the highest there ever is */
#endif
#ifndef MAX_IDLE
#define MAX_IDLE LIMIT
#endif
#ifndef TICKS
#define TICKS 0
#endif
#ifndef REFUSALS
#define REFUSALS 0
#endif

#define SLOTS (LIMIT + 2) /* worker structs, and threads: enough */
#define NONE  SLOTS
#define MANY  255         /* UINT_MAX */

chan req_queue = [REQS] of { byte };
chan res_queue = [REQS] of { byte };
byte nworkers, nidle, nbusy, ndone, nwaiting;
byte limit = LIMIT;
byte idle[SLOTS];           /* stack of nidle */
bit  stalled, start_failed;
bit  have_corpse;
byte corpse;
bit  waits;                 /* somebody sleeps on the condition `left' */

/* Structs of workers. A struct that was left can be used again at once, which
 * is sooner than in the code. */
bit  used[SLOTS];
bit  woken[SLOTS];
mtype = { UNSET, SET, SLEEPS };
mtype event[SLOTS] = UNSET; /* wakeup.state */
bit  asleep[SLOTS];         /* in the futex */

/* Threads, as the system knows them. */
mtype = { ABSENT, RUNNING, DETACHED, ENDED };
mtype thread[SLOTS] = ABSENT;

/* What has happened to each request. */
mtype = { FREE, QUEUED, EXECUTING, PENDING, DELIVERED };
mtype state[REQS] = FREE;

/* Ghosts, which the code does not have. */
byte nsubmitted, nbegun, npublished, ndelivered;
byte nserving;              /* threads that have not left */
byte nhosts;                /* submitters and resizers that have ended */
byte ticks = TICKS;
byte refusals = REFUSALS;

/* Locals of whoever takes these steps. */
#define LOCALS \
  byte wake = NONE; bit start; /* etp_action */ \
  byte fresh_w, fresh_tid, looking, i; mtype was; bit stalls

/* --- section 2: events -------------------------------------------------- */

inline eio_sys_set_event (w)
{
#ifdef BAD_EVENT_FORGETS
  d_step { was = event[w]; if :: was == SLEEPS -> event[w] = SET :: else fi };
#else
  d_step { was = event[w]; event[w] = SET };      /* the swap */
#endif
  if
  :: was == SLEEPS -> asleep[w] = 0               /* FUTEX_WAKE */
  :: else
  fi;
  was = 0
}

/* Spurious ends of the sleep are those of late wake-ups of the struct's last
 * user. */
inline eio_sys_await_event (w, has_deadline)
{
  if
  :: d_step { event[w] == UNSET -> event[w] = SLEEPS }; /* the cas */
     asleep[w] = (event[w] == SLEEPS);                  /* FUTEX_WAIT */
     if
     :: !asleep[w]
     :: d_step { asleep[w] && has_deadline && ticks ->
                 ticks--; asleep[w] = 0; late = 1 }
     fi
  :: event[w] == SET
  fi;
  event[w] = UNSET                                      /* the swap */
}

/* --- wake and start ----------------------------------------------------- */

inline etp_pop_idle_locked (w)
{
  i = 0;
  do
  :: idle[i] == w -> break
  :: else -> i++
  od;
  nidle--;
  do
  :: i < nidle -> idle[i] = idle[i + 1]; i++
  :: else -> break
  od;
  idle[nidle] = 0;
  i = 0;
  woken[w] = 1
}

/* Under reqlock, the event is set in one step. */
inline etp_dismiss_locked (n)
{
#ifdef BAD_STOP_WAKES_ONE
  looking = 1;
#else
  looking = n;
#endif
  do
  :: looking && nidle ->
     wake = idle[nidle - 1];
     etp_pop_idle_locked (wake);
     event[wake] = SET;
     asleep[wake] = 0;
     looking--
  :: else -> break
  od;
  wake = NONE;
  looking = 0
}

inline etp_summon_locked (enough)
{
  assert (nidle + nbusy <= nworkers && ndone <= nbusy);
  looking = nworkers - nidle - nbusy;
  if
  :: looking >= enough || looking >= len (req_queue)
  :: else ->
     if
     :: nidle -> wake = idle[nidle - 1]; etp_pop_idle_locked (wake)
     :: !nidle && len (req_queue) > looking + ndone && nworkers < limit ->
#ifndef BAD_COUNT_LATER
        nworkers++;
#endif
        start = 1
     :: else
     fi
  fi;
  looking = 0
}

inline etp_start_failed ()
{
  atomic {
    nworkers--;
#ifndef BAD_FAILURE_SILENT
    if
    :: nidle -> etp_summon_locked (1)
    :: else
    fi;
#endif
    used[fresh_w] = 0;
    start_failed = 1;
    stalls = (!nworkers && limit && len (req_queue));
#ifndef BAD_NO_STALL
    if
    :: stalls -> stalled = 1 /* the poller sees it: etp_raise_signals */
    :: else
    fi;
#endif
    stalls = 0;
    waits = 0
  };
  if
  :: wake != NONE -> eio_sys_set_event (wake); wake = NONE
  :: else
  fi
}

inline etp_end_stall ()
{
  atomic {
    if
    :: nworkers || !limit || !len (req_queue) -> stalled = 0
    :: else
    fi
  }
}

inline etp_new_worker ()
{
  d_step {
    do
    :: used[fresh_w] -> fresh_w++
    :: else -> break
    od;
    used[fresh_w] = 1
  }
}

inline etp_create_thread ()
{
  atomic {
    do
    :: thread[fresh_tid] != ABSENT -> fresh_tid++
    :: else -> break
    od;
    thread[fresh_tid] = RUNNING;
    nserving++;
    assert (nserving <= LIMIT);
    run eio__worker_proc (fresh_w, fresh_tid);
    fresh_tid = 0
  }
}

inline etp_act ()
{
  if
  :: wake != NONE ->
#ifndef BAD_NO_WAKE
     eio_sys_set_event (wake);
#endif
     wake = NONE
  :: else
  fi;
  if
  :: start ->
     start = 0;
#ifdef BAD_COUNT_LATER
     nworkers++;
#endif
     etp_new_worker ();
     /* The guard is needed: etp_create_thread begins with a loop, whose `else'
      * spin would take for one to `refusals'. */
     if
     :: refusals -> refusals--; etp_start_failed ()
     :: true ->
        etp_create_thread ();
        if
        :: stalled -> etp_end_stall ()
        :: else
        fi
     fi;
     fresh_w = 0
  :: else
  fi
}

/* --- workers ------------------------------------------------------------ */

/* With BLOCKING, requests block until another executes, by twos: nobody may
 * wait for one that blocks while there can be a worker. */
inline eio__execute (req)
{
  atomic {
    assert (state[req] == QUEUED);
    state[req] = EXECUTING;
    nbegun++
#ifdef BLOCKING
    ;
    i = nbegun + nbegun % 2
  };
  d_step { nbegun >= i -> i = 0 }
#else
  }
#endif
}

/* Without refused threads, there is nothing for a poller here but to take it,
 * which is left out: see signal.pml. */
inline etp_publish (req)
{
  atomic {
    assert (state[req] == EXECUTING);
#if REFUSALS
    state[req] = PENDING;
    res_queue!req;
#else
    state[req] = DELIVERED;
    ndelivered++;
#endif
    npublished++
  }
}

inline pthread_join (tid)
{
  assert (thread[tid] == RUNNING || thread[tid] == ENDED);
  d_step { thread[tid] == ENDED -> thread[tid] = ABSENT }
}

inline etp_run (req)
{
  eio__execute (req);
#ifdef BAD_DONE_LATER
  etp_publish (req);
  ndone = ndone + counts
#else
  ndone = ndone + counts;
  etp_publish (req)
#endif
}

inline etp_come_back_locked ()
{
  nbusy--;
  ndone = ndone - counts;
  counts = 0;
  busy = 0;
  req = 0
}

/* With what the worker does next under the same lock. */
inline etp_take_locked ()
{
  req_queue?req;
  busy = 1;
  nbusy++;
  counts = (nworkers < limit);
  if
  :: is_new -> etp_summon_locked (MANY)
#ifdef BAD_NO_CHAIN
  :: !is_new
#else
  :: !is_new -> etp_summon_locked (1)
#endif
  fi
}

inline etp_recruit ()
{
  atomic { etp_summon_locked (MANY) };
  etp_act ()
}

/* The first half. */
inline etp_park_locked ()
{
  parked = 1;
  woken[w] = 0;
  idle[nidle] = w;
  nidle++;
  timed = (nidle > MAX_IDLE)
}

/* etp_leave_and_unlock, until it unlocks. */
inline etp_leave_locked ()
{
  join = have_corpse;
  dead = corpse;
  nworkers--;
  nserving--;
#ifndef BAD_LEAVE_SILENT
  etp_summon_locked (1);
#endif
#ifndef BAD_NO_BROADCAST
  waits = 0;
#endif
  have_corpse = (nwaiting > 0);
  if
  :: have_corpse -> corpse = self
  :: else -> corpse = 0; thread[self] = DETACHED
  fi;
  used[w] = 0
}

inline etp_leave_late_locked ()
{
  etp_pop_idle_locked (w);
  parked = 0;
  late = 0;
  etp_leave_locked ()
}

/* Each turn of the loop is one time that the worker has reqlock: it comes back
 * from a request or from its sleep; then it takes one, parks, sleeps on, or
 * leaves. */
proctype eio__worker_proc (byte w, self)
{
  LOCALS;
  byte req, dead;
  bit is_new = 1, busy, counts, parked, timed, late, join;
#ifdef BAD_PARK_LATER
  bit looked;
#endif

  start_failed = 0;             /* etp_begin_work: etp_enlist_locked */

  do
  :: atomic {
       if
       :: busy -> etp_come_back_locked ()
       :: else
       fi;
       if
#ifdef BAD_REAP_BLIND
       :: parked && late -> etp_leave_late_locked (); break
#endif
       :: parked && !woken[w] ->                /* etp_park_locked */
          timed = (nidle > MAX_IDLE);
          if
          :: timed && late -> etp_leave_late_locked (); break
          :: else
          fi
       :: else ->                               /* etp_take_locked */
          parked = 0;
          late = 0;
          if
          :: nworkers > limit -> etp_leave_locked (); break
#ifdef BAD_PARK_LATER
          :: nworkers <= limit && !len (req_queue) && !looked -> looked = 1
          :: looked -> looked = 0; etp_park_locked ()
          :: nworkers <= limit && len (req_queue) && !looked ->
             etp_take_locked ()
#else
          :: nworkers <= limit && len (req_queue) -> etp_take_locked ()
          :: nworkers <= limit && !len (req_queue) -> etp_park_locked ()
#endif
          fi
       fi
     };
     if
     :: busy ->
        etp_act ();
        if
        :: is_new -> is_new = 0; etp_recruit ()
        :: else
        fi;
        etp_run (req)
     :: parked -> eio_sys_await_event (w, timed)
     :: else
     fi
  od;

  etp_act ();                                   /* etp_leave_and_unlock */
  if
#ifdef BAD_NO_JOIN
  :: join
#else
  :: join -> pthread_join (dead)
#endif
  :: else
  fi;
  d_step {
    join = 0;
    dead = 0;
    if
    :: thread[self] == DETACHED -> thread[self] = ABSENT
    :: else -> thread[self] = ENDED
    fi
  }
}

/* --- submit ------------------------------------------------------------- */

/* etp_submit, for each of the requests. With PATIENT, the next one only when
 * the last has been published: that needs one thread, never two. */
proctype etp_enqueue ()
{
  LOCALS;

  do
  :: atomic {
#ifdef PATIENT
       npublished == nsubmitted;
#endif
       if
       :: nsubmitted < REQS
       :: else -> break
       fi;
       state[nsubmitted] = QUEUED;
       req_queue!nsubmitted;
       nsubmitted++;
       etp_summon_locked (1)
     };
     etp_act ();
#ifdef PATIENT
     assert (nworkers <= 1)
#endif
  od;
  nhosts++
}

/* --- poll, and without workers ------------------------------------------ */

/* It polls when it has been told: signal.pml. */
#if REFUSALS
proctype etp_poll ()
{
  LOCALS;
  byte req = NONE;

  do
  :: len (res_queue) || stalled ->
     if
     :: start_failed ->         /* etp_maybe_start_thread */
        atomic {
          etp_summon_locked (1);
          if
          :: !start -> start_failed = 0
          :: else
          fi
        };
        etp_act ();
        if
        :: stalled ->           /* etp_run_here */
           atomic {
             if
             :: !nworkers && limit && len (req_queue) -> req_queue?req
             :: else
             fi;
             if
             :: !len (req_queue) -> stalled = 0
             :: else
             fi
           };
           if
           :: req != NONE -> eio__execute (req); etp_publish (req); req = NONE
           :: else
           fi
        :: else
        fi
     :: else
     fi;
     do
     :: atomic {
          res_queue?req ->
          assert (state[req] == PENDING);
          state[req] = DELIVERED;
          ndelivered++;
          req = NONE
        }
     :: !len (res_queue) -> break
     od
  :: ndelivered == REQS && !len (res_queue) && !stalled -> break
  od
}
#endif

/* --- settings ----------------------------------------------------------- */

inline etp_limit_locked (n)
{
  limit = n;
  if
  :: !limit -> stalled = 0
  :: else
  fi;
  if
  :: nworkers > limit -> etp_dismiss_locked (nworkers - limit)
  :: else
  fi;
  waits = 0
}

inline etp_set_parallel (n)
{
  atomic {
    etp_limit_locked (n);
#ifndef BAD_RAISE_SILENT
    etp_summon_locked (1)
#endif
  };
  etp_act ()
}

inline etp_set_max_parallel (n)
{
  atomic { etp_limit_locked (n); nwaiting++ };
  do                            /* etp_wait_parallel_locked */
  :: atomic { nworkers > n -> waits = 1 };
     !waits                     /* X_COND_WAIT */
  :: atomic {
       nworkers <= n ->
       assert (nserving <= n);
       nwaiting--;
       join = have_corpse;
       dead = corpse;
       have_corpse = 0;
       corpse = 0;
       break
     }
  od;
  if
  :: join -> pthread_join (dead); join = 0; dead = 0
  :: else
  fi
}

#ifdef RESIZE
proctype eio_set_parallel ()
{
  LOCALS;
  byte dead;
  bit join;

#if RESIZE
  if
  :: etp_set_max_parallel (RESIZE)
  :: etp_set_parallel (RESIZE)
  fi;
#else
  etp_set_max_parallel (0);
  etp_set_parallel (LIMIT);
#endif
  nhosts++
}
#endif

/* --- shutdown ----------------------------------------------------------- */

/* When all is drained. Workers may still be on their way back. */
proctype etp_join_workers ()
{
  LOCALS;
  byte dead;
  bit join;

#ifdef RESIZE
  nhosts == SUBMITTERS + 1 && ndelivered == REQS;
#else
  nhosts == SUBMITTERS && ndelivered == REQS;
#endif
  atomic { etp_limit_locked (0); nwaiting++ };
  atomic {
    !nworkers ->                /* naps until then */
    nwaiting--;
    join = have_corpse;
    dead = corpse;
    have_corpse = 0
  };
  if
  :: join -> pthread_join (dead)
  :: else
  fi;
  i = 0;
  do                            /* eio__is_leaving */
  :: i < SLOTS -> thread[i] != DETACHED; i++
  :: else -> break
  od;

  i = 0;
  do
  :: i < SLOTS -> assert (thread[i] == ABSENT && !used[i]); i++
  :: else -> break
  od;
  assert (!nserving && !nidle && !nbusy && !ndone && !stalled);
  assert (!len (req_queue) && !len (res_queue))
}

init
{
  byte n;

  atomic {
    do
    :: n < SUBMITTERS -> run etp_enqueue (); n++
    :: else -> break
    od;
#if REFUSALS
    run etp_poll ();
#endif
#ifdef RESIZE
    run eio_set_parallel ();
#endif
    run etp_join_workers ()
  }
}
