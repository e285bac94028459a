/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Everything at once, at random, against a model that knows what has to come
 * out: each request executes and finishes once, or not at all if cancelled,
 * and is destroyed once; groups end after their members.
 *
 * EIO_STRESS_SECONDS (10) says how long, EIO_STRESS_SEED repeats a run's
 * decisions, though not its timing. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

/*****************************************************************************
 * The model                                                                 *
 *****************************************************************************/

/* What is known of a request.  All but the atomics belong to the poll
 * thread, as soon as it has been submitted. */
typedef struct item item;
struct item
{
  eio_req *req; /* its memory is freed in destroy */
  item *group;
  unsigned int salt; /* decides what the worker does */
  int again;        /* how often it submits itself again in finish */
  int self_cancels; /* while it executes */
  atomic_int executed, cancelled;
  int executions, finishes; /* to be expected, if not cancelled */
  int finished, destroyed;
  int closed; /* finish has begun */

  /* Groups. */
  int to_feed, feeding;
  int depth;
};

#define MAX_ITEMS   2000
#define OWN_ITEMS   700
#define SUBMITTERS  2
#define PER_THREAD  150
#define MAX_GROUP_DEPTH 4

static item items[MAX_ITEMS];
static int nitems;
static item foreign[SUBMITTERS][PER_THREAD];

static unsigned int random_state;

static unsigned int
random_below (unsigned int n)
{
  return xorshift32 (&random_state) % n;
}

static int
chance (unsigned int of)
{
  return random_below (of) == 0;
}

static int
is_group (const item *it)
{
  return it->req && it->req->type == EIO_GROUP;
}

static int
is_within (const item *it, const item *group)
{
  while (it && it != group)
    it = it->group;
  return it != 0;
}

/* Something is left in the group that counts. */
static int
has_live_member (const item *group)
{
  for (int i = 0; i < nitems; ++i)
    if (items[i].group == group && !items[i].destroyed
        && !items[i].cancelled && !items[i].closed)
      return 1;
  return 0;
}

/* Marks what eio_cancel marks. */
static void
model_cancel (item *it)
{
  it->cancelled = 1;
  it->feeding = 0;
  for (int i = 0; i < nitems; ++i)
    if (!items[i].destroyed && !items[i].closed && is_within (&items[i], it))
      {
        items[i].cancelled = 1;
        items[i].feeding = 0;
      }
}

/*****************************************************************************
 * Callbacks                                                                 *
 *****************************************************************************/

/* How many may execute at once: raised before the limit is, lowered after. */
static atomic_int allowed, executing, exceeded;

static eio_ssize_t
result_of (const eio_req *req)
{
  const item *it = req->data;
  return it->salt % 5 ? (eio_ssize_t)it->salt : -1;
}

/* Runs in a worker. */
static void
execute (eio_req *req)
{
  item *it = req->data;
  int before = allowed, n = ++executing;
  if (n > before && n > allowed) /* either may have changed by now */
    exceeded = 1;
  ++it->executed;
  if (it->self_cancels)
    {
      it->cancelled = 1;
      eio_cancel (req);
    }
  if (it->salt % 7 == 0)
    sched_yield ();
  req->result = result_of (req);
  --executing;
  errno = EDOM;
}

static int last_value, depth;
static void act (void);
static void checked_poll (void);

/* What EIO_READ reads: byte i is i, modulo 251. */
#define FILE_SIZE 20000
static int file;

static void
make_file (void)
{
  unsigned char bytes[FILE_SIZE];
  for (int i = 0; i < FILE_SIZE; ++i)
    bytes[i] = (unsigned char)(i % 251);
  write_file (scratch_path ("file"), bytes, sizeof bytes);
  file = open (scratch_path ("file"), O_RDONLY);
  ck_assert_int_ge (file, 0);
}

static void
check_read (const eio_req *req)
{
  const unsigned char *bytes = req->ptr2;
  off_t left = FILE_SIZE - req->offs;
  off_t size = (off_t)req->size < left ? (off_t)req->size : left;
  always (req->result == size);
  for (off_t i = 0; i < size; ++i)
    if (bytes[i] != (req->offs + i) % 251)
      ck_abort_msg ("byte %ld", (long)(req->offs + i));
}

static void
check_outcome (const eio_req *req)
{
  if (req->type == EIO_READ)
    check_read (req);
  if (req->type != EIO_CUSTOM)
    return;
  always (req->result == result_of (req));
  always (req->errorno == (req->result == -1 ? EDOM : 0));
}

static int
misbehave (void)
{
  int value = chance (20) ? 1 + (int)random_below (100) : 0;
  if (chance (12))
    act ();
  if (depth < 4 && chance (12))
    checked_poll ();
  last_value = value;
  return value;
}

static void
add_to_group (item *group, item *it);

/* Leaves its group by that, and may join it again. */
static void
submit_again (item *it)
{
  item *group = it->group;
  --it->again;
  ++it->executions;
  ++it->finishes;
  it->closed = 0;
  it->group = 0;
  eio_submit (it->req);
  if (group && chance (2))
    add_to_group (group, it);
}

static int
finish (eio_req *req)
{
  item *it = req->data;
  always (it->cancelled == 0);
  always (it->destroyed == 0);
  always (it->closed == 0);
  always (++it->finished == it->finishes);
  always (it->executed == it->executions);
  it->closed = 1;
  check_outcome (req);
  if (it->again)
    submit_again (it);
  return misbehave ();
}

static void
destroy (eio_req *req)
{
  item *it = req->data;
  always (!it->destroyed++);
  if (req->type == EIO_GROUP)
    always (!has_live_member (it));
  it->req = 0;
  free (req);
}

static int
finish_group (eio_req *req)
{
  item *it = req->data;
  always (req->size == 0);
  always (!has_live_member (it));
  /* A feeder that still had to be called would be forgotten. */
  always (!(it->feeding && req->int2 > 0));
  return finish (req);
}

/*****************************************************************************
 * Actions                                                                   *
 *****************************************************************************/

static void
fill_request (item *it, int type, unsigned int salt)
{
  eio_req *req = calloc (1, sizeof *req);
  always (req);
  it->req = req;
  it->salt = salt;
  it->finishes = 1;
  it->executions = type == EIO_CUSTOM;
  req->data = it;
  req->type = type;
  req->destroy = destroy;
  req->finish = type == EIO_GROUP ? finish_group : finish;
  req->feed = type == EIO_CUSTOM ? execute : 0;
  req->pri = (signed char)((int)(salt % 13) - 6);
  if (type == EIO_READ)
    {
      req->int1 = file;
      req->size = 1 + salt * 10;
      req->offs = (off_t)(salt * 19);
    }
}

/* What is submitted most, and what may be answered at once. */
static int
any_type (void)
{
  return !chance (5) ? EIO_CUSTOM : chance (3) ? EIO_READ : EIO_NOP;
}

static item *
new_item (int type)
{
  item *it;
  if (nitems == MAX_ITEMS)
    return 0;
  it = &items[nitems++];
  fill_request (it, type, random_below (1000));
  if (type == EIO_CUSTOM && chance (10))
    it->again = (int)random_below (4);
  else
    it->self_cancels = type == EIO_CUSTOM && chance (15);
  eio_submit (it->req);
  return it;
}

/* One that has not begun to finish, of all or of the groups; or null. */
static item *
pick (int group)
{
  for (int tries = 0; tries < 20 && nitems; ++tries)
    {
      item *it = &items[random_below ((unsigned int)nitems)];
      if (!it->destroyed && !it->closed && (!group || is_group (it)))
        return it;
    }
  return 0;
}

static void
add_to_group (item *group, item *it)
{
  if (!it)
    return;
  it->group = group;
  it->depth = group->depth + 1;
  if (group->cancelled)
    model_cancel (it);
  eio_grp_add (group->req, it->req);
}

static void
feed (eio_req *req)
{
  item *it = req->data;
  int n = 1 + (int)random_below (3);
  always (it->cancelled == 0);
  always (it->feeding == 1);
  always (it->closed == 0);
  always (req->int2 > 0);
  always (req->size < (size_t)req->int2);
  if (it->to_feed <= 0 || nitems > MAX_ITEMS - 10)
    {
      it->feeding = 0; /* adds nothing, so it is removed */
      return;
    }
  it->to_feed -= n;
  while (n--)
    add_to_group (it, new_item (any_type ()));
}

static void
start_feeding (item *group)
{
  if (group->cancelled || group->feeding)
    return;
  group->to_feed = (int)random_below (20);
  group->feeding = 1;
  eio_grp_feed (group->req, feed, (int)random_below (6) - 1);
}

/* Groups are added while they are empty, and filled then. */
static void
make_group (void)
{
  item *outer = chance (2) ? pick (1) : 0;
  item *group = new_item (EIO_GROUP);
  if (!group)
    return;
  if (outer && outer->depth < MAX_GROUP_DEPTH)
    add_to_group (outer, group);
  for (unsigned int n = random_below (5); n--;)
    add_to_group (group, new_item (EIO_CUSTOM));
  if (chance (3))
    start_feeding (group);
}

static void
cancel_one (void)
{
  item *it = pick (0);
  if (!it)
    return;
  model_cancel (it);
  eio_cancel (it->req);
}

static void
cancel_members (item *group)
{
  for (int i = 0; i < nitems; ++i)
    if (items[i].group == group && !items[i].destroyed && !items[i].closed)
      model_cancel (&items[i]);
  group->feeding = 0;
  eio_grp_cancel (group->req);
}

static void
change_group (void)
{
  item *group = pick (1);
  if (!group)
    return;
  switch (random_below (4))
    {
    case 0:
      add_to_group (group, new_item (EIO_CUSTOM));
      break;
    case 1:
      start_feeding (group);
      break;
    case 2:
      eio_grp_limit (group->req, (int)random_below (6) - 1);
      break;
    case 3:
      cancel_members (group);
      break;
    }
}

static void
raise_limit (int n)
{
  if (allowed < n)
    allowed = n;
  eio_set_min_parallel ((unsigned int)n);
}

static void
lower_limit (int n)
{
  eio_set_max_parallel ((unsigned int)n);
  always ((int)eio_nthreads () <= n);
  if (allowed > n)
    allowed = n;
}

static void
change_setting (void)
{
  switch (random_below (7))
    {
    case 0:
      raise_limit ((int)random_below (9));
      break;
    case 1:
      lower_limit ((int)random_below (9));
      break;
    case 2:
      eio_set_max_idle (random_below (5));
      break;
    case 3:
      eio_set_idle_timeout (random_below (2));
      break;
    case 4:
      eio_set_max_poll_reqs (random_below (6));
      break;
    case 5:
      eio_set_max_poll_time (((int)random_below (5) - 1) * 1e-5);
      break;
    case 6:
      eio_set_inline (random_below (2) * 4096);
      break;
    }
}

static void
be_child (void)
{
  outcome seen[4] = { { 0 } };
  host_start ();
  eio_set_min_parallel (2);
  for (int i = 0; i < LENGTH (seen); ++i)
    eio_nop (i, note, &seen[i]);
  host_drain ();
  for (int i = 0; i < LENGTH (seen); ++i)
    if (seen[i].calls != 1 || seen[i].result)
      _exit (1);
  _exit (0);
}

static int may_fork;

/* The child begins anew, and the parent does not notice.  While submitters
 * run, one of them may hold a lock of Check's. */
static void
fork_child (void)
{
  int status;
  pid_t pid = fork ();
  always (pid >= 0);
  if (!pid)
    be_child ();
  while (waitpid (pid, &status, 0) < 0)
    always (errno == EINTR);
  always (status == 0);
}

/* One step of the program that uses the library. */
static void
act (void)
{
  unsigned int n = random_below (100);
  if (n < 55)
    new_item (any_type ());
  else if (n < 63)
    make_group ();
  else if (n < 75)
    change_group ();
  else if (n < 83)
    cancel_one ();
  else if (n < 88)
    change_setting ();
  else if (n < 90)
    sched_yield ();
  else if (depth < 4)
    checked_poll ();
}

/*****************************************************************************
 * Rounds                                                                    *
 *****************************************************************************/

static void
checked_poll (void)
{
  int result;
  last_value = 0;
  errno = 0;
  ++depth;
  result = eio_poll ();
  --depth;
  if (result == -1)
    {
      always (errno == EAGAIN);
      always (host_wants () - host_dones () == 1);
      always (host_wait (0) == 1);
    }
  else
    always (result == last_value);
  always ((int)eio_nthreads () <= allowed);
}

/* Fills what it submits from an array of its own. */
static void *
submit_foreign (void *arg)
{
  item *mine = arg;
  for (int i = 0; i < PER_THREAD; ++i)
    {
      fill_request (&mine[i], i % 4 ? EIO_CUSTOM : EIO_NOP, i);
      mine[i].self_cancels = i % 16 == 1;
      eio_submit (mine[i].req);
      if (i % 8 == 0)
        sched_yield ();
    }
  return 0;
}

static void
check_end (const item *it)
{
  always (it->destroyed == 1);
  if (it->cancelled)
    {
      always (it->finished < it->finishes);
      always (it->executed <= it->executions);
    }
  else
    {
      always (it->finished == it->finishes);
      always (it->executed == it->executions);
    }
}

/* Everything comes out, to a host that polls only when told to; and then
 * all is quiet. */
static void
settle (void)
{
  raise_limit (1 + (int)random_below (8));
  while (eio_nreqs ())
    {
      host_wait (-1);
      checked_poll ();
      if (!allowed)
        raise_limit (1);
      if (chance (40) && may_fork)
        fork_child ();
    }
  lower_limit (0);
  always (host_wait (0) == 0);
  always (host_wants () == host_dones ());
  always (eio_nready () == 0);
  always (eio_npending () == 0);
  always (eio_nthreads () == 0);
  always (exceeded == 0);
  always (executing == 0);
}

/* Checks all items of a round; returns how many. */
static int
check_round (void)
{
  for (int i = 0; i < nitems; ++i)
    check_end (&items[i]);
  for (int i = 0; i < SUBMITTERS; ++i)
    for (int k = 0; k < PER_THREAD; ++k)
      check_end (&foreign[i][k]);
  return nitems + SUBMITTERS * PER_THREAD;
}

static int
play_round (void)
{
  pthread_t threads[SUBMITTERS];
  memset (items, 0, sizeof items);
  memset (foreign, 0, sizeof foreign);
  nitems = 0;
  raise_limit ((int)random_below (6));
  for (int i = 0; i < SUBMITTERS; ++i)
    pthread_create (&threads[i], 0, submit_foreign, foreign[i]);
  while (nitems < OWN_ITEMS)
    act ();
  for (int i = 0; i < SUBMITTERS; ++i)
    pthread_join (threads[i], 0);
  settle ();
  return check_round ();
}

static double
seconds (void)
{
  const char *text = getenv ("EIO_STRESS_SECONDS");
  return text ? atof (text) : 10;
}

static unsigned int
seed (void)
{
  const char *text = getenv ("EIO_STRESS_SEED");
  return text ? (unsigned int)strtoul (text, 0, 0)
              : (unsigned int)getpid () * 2654435761u
                ^ (unsigned int)(unsigned long long)(now () * 1e6);
}

START_TEST (random_use_agrees_with_the_model)
{
  double end = now () + seconds ();
  unsigned int start = seed ();
  long rounds = 0, done = 0;
  printf ("EIO_STRESS_SEED=%u\n", start);
  fflush (stdout);
  random_state = start ? start : 1;
  may_fork = !HAVE_SANITIZER && child_may_start_threads ();
  allowed = 4;
  make_file ();
  host_start ();
  do
    {
      done += play_round ();
      ++rounds;
    }
  while (now () < end);
  printf ("%ld requests in %ld rounds\n", done, rounds);
  end_long_test (seconds ());
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("stress");
  TCase *tc = tcase_create ("random");
  tcase_set_timeout (tc, seconds () + 120);
  tcase_add_test (tc, random_use_agrees_with_the_model);
  suite_add_tcase (suite, tc);
  return run_suite (suite);
}
