/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Groups: membership, nesting, feeders, limits, eio_grp_cancel, and what of
 * a group belongs to its owner.  Most tests pause the pool while they build
 * something, so that nothing depends on how fast the workers are. */

#include "support.h"
#include "probe.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define assert_size(grp, n) ck_assert_uint_eq ((grp)->req.size, (n))

/*****************************************************************************
 * Members                                                                   *
 *****************************************************************************/

START_TEST (empty_group_finishes_on_next_poll)
{
  outcome o = { 0 };
  host_start ();
  ck_assert_ptr_nonnull (eio_grp (note, &o));
  ck_assert_int_eq (o.calls, 0);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (eio_poll (), 0);
  assert_ok (o, 0);
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_int_eq (host_wait (0), 0);
}
END_TEST

START_TEST (null_callbacks_are_fine)
{
  eio_req bare, member;
  memset (&bare, 0, sizeof bare);
  bare.type = EIO_GROUP;
  member = bare;
  member.type = EIO_NOP;
  host_start ();
  ck_assert_ptr_nonnull (eio_grp (0, 0));
  eio_submit (&bare);
  eio_submit (&member);
  ck_assert_int_eq (eio_grp_add (&bare, &member), 0);
  host_drain ();
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_uint_eq (bare.size, 0);
  ck_assert_uint_eq (eio_nreqs (), 0);
}
END_TEST

START_TEST (adding_null_does_nothing)
{
  probe g;
  host_start ();
  probe_submit (&g, EIO_GROUP);
  ck_assert_int_eq (eio_grp_add (&g.req, 0), 0);
  assert_size (&g, 0);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&g);
}
END_TEST

/* The group is owned by the caller, and looked at before it finishes. */
START_TEST (group_waits_for_its_member)
{
  probe g, m;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m, EIO_NOP);
  ck_assert_int_eq (eio_poll (), 0);
  assert_live (&g);
  ck_assert_int_eq (host_wait (0), 0);
  resume (1);
  host_drain ();
  assert_done (&m);
  assert_done (&g);
  ck_assert_int_lt (m.finish_turn, g.finish_turn);
}
END_TEST

enum
{
  MIXED = 12
};

static void
set_result (eio_req *req)
{
  req->result = 5;
}

static int
sum_calls (eio_req *req)
{
  outcome *all = req->data;
  int i, calls = 0;
  for (i = 0; i < MIXED; ++i)
    calls += all[i].calls;
  req->result = calls;
  return 0;
}

static void
add_mixed (eio_req *g, outcome *o, int fd)
{
  const char *file = scratch_path ("file");
  static char buf[3];
  eio_grp_add (g, eio_nop (0, note, &o[0]));
  eio_grp_add (g, eio_busy (0.001, 1, note, &o[1]));
  eio_grp_add (g, eio_custom (set_result, -1, note, &o[2]));
  eio_grp_add (g, eio_stat (file, 2, note, &o[3]));
  eio_grp_add (g, eio_readdir (scratch (), 0, -2, note, &o[4]));
  eio_grp_add (g, eio_realpath (file, 3, note, &o[5]));
  eio_grp_add (g, eio_read (fd, buf, 3, 0, -3, note, &o[6]));
  eio_grp_add (g, eio_fstat (fd, 4, note, &o[7]));
  eio_grp_add (g, eio_slurp (file, 0, 0, 0, -4, note, &o[8]));
  eio_grp_add (g, eio_mkdir (scratch_path ("dir"), 0777, 0, note, &o[9]));
  eio_grp_add (g, eio_unlink (scratch_path ("none"), 0, note, &o[10]));
  eio_grp_add (g, eio_grp (note, &o[11]));
}

static int
sum_and_note (eio_req *req)
{
  outcome *o = req->data;
  sum_calls (req);
  req->data = o + MIXED;
  return note (req);
}

/* With and without a limit that stops eio_poll after each. */
START_TEST (members_of_all_kinds_finish_before_the_group)
{
  outcome o[MIXED + 1] = { { 0 } };
  int fd;
  eio_req *g;
  host_start ();
  eio_set_max_poll_reqs (_i);
  write_file (scratch_path ("file"), "abc", 3);
  fd = open (scratch_path ("file"), O_RDONLY);
  g = eio_grp (sum_and_note, o);
  add_mixed (g, o, fd);
  ck_assert_uint_eq (g->size, MIXED);
  while (!o[MIXED].calls)
    host_poll ();
  assert_ok (o[MIXED], MIXED);
  assert_ok (o[2], 5);
  assert_ok (o[6], 3);
  assert_ok (o[8], 3);
  assert_fails (o[10], ENOENT);
  assert_ok (o[11], 0);
  ck_assert_uint_eq (eio_nreqs (), 0);
  close (fd);
}
END_TEST

enum
{
  CHAIN = 200
};
static probe chain[CHAIN], chain_group;
static int chain_made;

static int
add_next (eio_req *req)
{
  probe *n;
  probe_finished (req);
  if (chain_made == CHAIN)
    return 0;
  n = &chain[chain_made++];
  probe_add (&chain_group, n, chain_made % 3 ? EIO_NOP : EIO_GROUP);
  n->req.finish = add_next;
  return 0;
}

START_TEST (members_can_be_added_from_members_callbacks)
{
  int i;
  host_start ();
  probe_submit (&chain_group, EIO_GROUP);
  add_next (&chain_group.req);
  chain_group.finishes = 0;
  host_drain ();
  assert_done (&chain_group);
  for (i = 0; i < CHAIN; ++i)
    {
      assert_done (&chain[i]);
      ck_assert_int_lt (chain[i].finish_turn, chain_group.finish_turn);
    }
}
END_TEST

/* The group's list is of those that are not finished, and size counts it. */
static void
check_list (probe *g, const probe *members, unsigned n)
{
  unsigned i, live = 0, listed = 0;
  eio_req *r;
  for (i = 0; i < n; ++i)
    live += !members[i].finishes;
  for (r = g->req.grp_first; r && listed <= n; r = r->grp_next, ++listed)
    {
      ck_assert_ptr_eq (r->grp, &g->req);
      ck_assert_int_eq (probe_of (r)->finishes, 0);
    }
  ck_assert_uint_eq (listed, live);
  assert_size (g, live);
}

/* They leave from both ends of the list and from the middle. */
START_TEST (size_and_list_are_the_live_members)
{
  static const int pris[5] = { 3, 0, 1, 4, 2 };
  probe g, m[5];
  int i;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  for (i = 0; i < 5; ++i)
    {
      probe_fill (&m[i], EIO_NOP);
      m[i].req.pri = pris[(i + _i) % 5];
      eio_submit (&m[i].req);
      eio_grp_add (&g.req, &m[i].req);
      check_list (&g, m, i + 1);
    }
  eio_set_max_poll_reqs (1);
  execute_all ();
  while (!g.finishes)
    {
      check_list (&g, m, 5);
      host_poll ();
    }
  assert_size (&g, 0);
  assert_done (&g);
}
END_TEST

START_TEST (an_executed_request_can_still_join)
{
  probe g, m;
  host_start ();
  probe_submit (&m, EIO_NOP);
  wait_until (eio_npending () == 1);
  probe_submit (&g, EIO_GROUP);
  ck_assert_int_eq (eio_grp_add (&g.req, &m.req), 0);
  assert_size (&g, 1);
  host_drain ();
  assert_done (&m);
  assert_done (&g);
  ck_assert_int_lt (m.finish_turn, g.finish_turn);
}
END_TEST

/* Cancelled in the queue, and cancelled with the result pending. */
START_TEST (cancelled_members_do_not_hold_the_group)
{
  probe g, m, other;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m, EIO_NOP);
  probe_add (&g, &other, EIO_NOP);
  if (_i)
    execute_all ();
  eio_cancel (&m.req);
  resume (1);
  host_drain ();
  assert_dropped (&m);
  assert_done (&other);
  assert_done (&g);
  ck_assert_int_lt (other.finish_turn, g.finish_turn);
}
END_TEST

START_TEST (nested_groups_finish_from_the_inside)
{
  probe outer, middle, inner, m;
  start_paused ();
  probe_submit (&outer, EIO_GROUP);
  probe_add (&outer, &middle, EIO_GROUP);
  probe_add (&middle, &inner, EIO_GROUP);
  probe_add (&inner, &m, EIO_NOP);
  assert_size (&outer, 1);
  assert_size (&middle, 1);
  if (_i)
    ck_assert_int_eq (eio_poll (), 0);
  assert_live (&inner);
  assert_live (&outer);
  resume (1);
  host_drain ();
  ck_assert_int_lt (m.finish_turn, inner.finish_turn);
  ck_assert_int_lt (inner.finish_turn, middle.finish_turn);
  ck_assert_int_lt (middle.finish_turn, outer.finish_turn);
  assert_done (&m);
  assert_done (&inner);
  assert_done (&middle);
  assert_done (&outer);
}
END_TEST

START_TEST (groups_use_no_worker)
{
  probe outer, inner, alone;
  host_start ();
  if (_i)
    eio_set_max_parallel (0);
  probe_submit (&outer, EIO_GROUP);
  probe_add (&outer, &inner, EIO_GROUP);
  probe_submit (&alone, EIO_GROUP);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&inner);
  assert_done (&outer);
  assert_done (&alone);
  ck_assert_uint_eq (eio_nthreads (), 0);
}
END_TEST

/*****************************************************************************
 * Depth and width                                                           *
 *****************************************************************************/

enum
{
  MANY = 100000
};

/* One stack frame for each of MANY levels overflows any stack up to 1 MiB. */
static void
on_small_stack (void *(*proc) (void *), void *arg)
{
  size_t size = 64 * 1024;
  pthread_attr_t attr;
  pthread_t tid;
  int err;
  ck_assert_int_eq (pthread_attr_init (&attr), 0);
  do /* 64 KiB may be too small: for aarch64, and sanitizers' static TLS */
    {
      err = pthread_attr_setstacksize (&attr, size);
      if (!err)
        err = pthread_create (&tid, &attr, proc, arg);
      size *= 2;
    }
  while (err && size <= 1024 * 1024);
  ck_assert_int_eq (err, 0);
  ck_assert_int_eq (pthread_join (tid, 0), 0);
  pthread_attr_destroy (&attr);
}

typedef struct
{
  probe *groups; /* each a member of the one before it */
  probe leaf;
} nest;

static void
nest_make (nest *t, int with_leaf)
{
  int i;
  t->groups = calloc (MANY, sizeof *t->groups);
  ck_assert_ptr_nonnull (t->groups);
  for (i = 0; i < MANY; ++i)
    {
      probe_submit (&t->groups[i], EIO_GROUP);
      if (i)
        eio_grp_add (&t->groups[i - 1].req, &t->groups[i].req);
    }
  if (with_leaf)
    probe_add (&t->groups[MANY - 1], &t->leaf, EIO_NOP);
}

/* Counts the groups from the given one on that had these calls. */
static int
nest_count (const nest *t, int from, int finishes, int destroys)
{
  int i, n = 0;
  for (i = from; i < MANY; ++i)
    n += t->groups[i].finishes == finishes
         && t->groups[i].destroys == destroys;
  return n;
}

static int
nest_inner_first (const nest *t)
{
  int i, n = 0;
  for (i = 1; i < MANY; ++i)
    n += t->groups[i].finish_turn < t->groups[i - 1].finish_turn;
  return n == MANY - 1;
}

/* bits of a loop test's _i */
enum
{
  WITH_LEAF = 1,
  LOOKED_AT = 2
};

static void
nest_start (nest *t, int how)
{
  start_paused ();
  nest_make (t, how & WITH_LEAF);
  if (how & LOOKED_AT)
    ck_assert_int_eq (eio_poll (), 0);
}

static void *
finish_nest (void *arg)
{
  nest t;
  nest_start (&t, *(int *)arg);
  resume (1);
  host_drain ();
  ck_assert_int_eq (nest_count (&t, 0, 1, 1), MANY);
  ck_assert (nest_inner_first (&t));
  free (t.groups);
  return 0;
}

START_TEST (deep_nesting_finishes_without_stack)
{
  on_small_stack (finish_nest, &_i);
}
END_TEST

static void *
cancel_nest (void *arg)
{
  nest t;
  int i, marked = 0;
  nest_start (&t, *(int *)arg);
  eio_cancel (&t.groups[0].req);
  for (i = 0; i < MANY; ++i)
    marked += EIO_CANCELLED (&t.groups[i].req);
  ck_assert_int_eq (marked, MANY);
  ck_assert (EIO_CANCELLED (&t.leaf.req));
  resume (1);
  host_drain ();
  assert_dropped (&t.leaf);
  ck_assert_int_eq (nest_count (&t, 0, 0, 1), MANY);
  free (t.groups);
  return 0;
}

START_TEST (deep_nesting_is_cancelled_without_stack)
{
  int how = _i | WITH_LEAF;
  on_small_stack (cancel_nest, &how);
}
END_TEST

static void *
cancel_members_of_nest (void *arg)
{
  nest t;
  nest_start (&t, *(int *)arg);
  eio_grp_cancel (&t.groups[0].req);
  ck_assert (!EIO_CANCELLED (&t.groups[0].req));
  ck_assert (EIO_CANCELLED (&t.groups[1].req));
  ck_assert (EIO_CANCELLED (&t.groups[MANY - 1].req));
  ck_assert (EIO_CANCELLED (&t.leaf.req));
  resume (1);
  host_drain ();
  assert_dropped (&t.leaf);
  ck_assert_int_eq (nest_count (&t, 1, 0, 1), MANY - 1);
  assert_done (&t.groups[0]);
  free (t.groups);
  return 0;
}

START_TEST (members_of_deep_nesting_are_cancelled_without_stack)
{
  int how = _i | WITH_LEAF;
  on_small_stack (cancel_members_of_nest, &how);
}
END_TEST

/* Members that need workers, and members that do not. */
START_TEST (wide_group_finishes_after_all_members)
{
  probe g, *m = calloc (MANY, sizeof *m);
  int i, done = 0, last = 0;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  for (i = 0; i < MANY; ++i)
    {
      probe_submit (&m[i], _i ? EIO_GROUP : EIO_NOP);
      eio_grp_add (&g.req, &m[i].req);
    }
  assert_size (&g, MANY);
  resume (4);
  host_drain ();
  for (i = 0; i < MANY; ++i)
    {
      done += m[i].finishes == 1 && m[i].destroys == 1;
      if (last < m[i].finish_turn)
        last = m[i].finish_turn;
    }
  ck_assert_int_eq (done, MANY);
  assert_done (&g);
  ck_assert_int_lt (last, g.finish_turn);
  free (m);
}
END_TEST

START_TEST (wide_group_is_cancelled)
{
  probe g, *m = calloc (MANY, sizeof *m);
  int i, done = 0;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  for (i = 0; i < MANY; ++i)
    {
      probe_submit (&m[i], EIO_NOP);
      eio_grp_add (&g.req, &m[i].req);
    }
  eio_grp_cancel (&g.req);
  resume (4);
  host_drain ();
  for (i = 0; i < MANY; ++i)
    done += m[i].finishes == 0 && m[i].destroys == 1;
  ck_assert_int_eq (done, MANY);
  assert_done (&g);
  free (m);
}
END_TEST

/*****************************************************************************
 * Feeders                                                                   *
 *****************************************************************************/

enum
{
  TOTAL = 40
};

/* What feed_source adds: step at a time, until there are total. */
static struct
{
  probe group, nodes[TOTAL];
  int type, step, total, made, calls;
} source;

static probe *
source_add (void)
{
  probe *n = &source.nodes[source.made++];
  probe_add (&source.group, n, source.type);
  return n;
}

static void
feed_source (eio_req *grp)
{
  int i;
  ck_assert_ptr_eq (grp, &source.group.req);
  ++source.calls;
  for (i = 0; i < source.step && source.made < source.total; ++i)
    source_add ();
}

static int
source_finished (void)
{
  int i, n = 0;
  for (i = 0; i < source.made; ++i)
    n += source.nodes[i].finishes;
  return n;
}

static void
source_start (int step, int total)
{
  start_paused ();
  memset (&source, 0, sizeof source);
  source.type = EIO_NOP;
  source.step = step;
  source.total = total;
  probe_submit (&source.group, EIO_GROUP);
}

static void
source_feed (int limit)
{
  eio_grp_feed (&source.group.req, feed_source, limit);
}

/* The group went through all of its members. */
static void
assert_fed (int made)
{
  int i;
  ck_assert_int_eq (source.made, made);
  for (i = 0; i < made; ++i)
    {
      assert_done (&source.nodes[i]);
      ck_assert_int_lt (source.nodes[i].finish_turn, source.group.finish_turn);
    }
  assert_done (&source.group);
}

START_TEST (feeder_is_called_while_live_members_are_below_the_limit)
{
  int left;
  source_start (1, TOTAL);
  source_feed (4);
  ck_assert_int_eq (source.calls, 4);
  assert_size (&source.group, 4);
  ck_assert_int_eq (source.group.req.int2, 4);
  eio_set_max_poll_reqs (1);
  resume (1);
  while (!source.group.finishes)
    {
      left = TOTAL - source_finished ();
      ck_assert_uint_eq (source.group.req.size, left < 4 ? left : 4);
      host_poll ();
    }
  host_drain ();
  assert_fed (TOTAL);
  ck_assert_int_eq (source.calls, TOTAL + 1);
}
END_TEST

START_TEST (feeder_may_exceed_the_limit)
{
  source_start (10, TOTAL);
  source_feed (4);
  ck_assert_int_eq (source.calls, 1);
  assert_size (&source.group, 10);
  eio_set_max_poll_reqs (1);
  execute_all ();
  while (source_finished () < 6)
    {
      ck_assert_int_eq (source.calls, 1);
      host_poll ();
    }
  assert_size (&source.group, 4);
  ck_assert_int_eq (source.calls, 1);
  while (source_finished () < 7)
    host_poll ();
  ck_assert_int_eq (source.calls, 2);
  assert_size (&source.group, 13);
  resume (1);
  host_drain ();
  assert_fed (TOTAL);
}
END_TEST

START_TEST (a_member_that_exists_counts_against_the_limit)
{
  probe m;
  source_start (1, TOTAL);
  probe_add (&source.group, &m, EIO_NOP);
  source_feed (1);
  ck_assert_int_eq (source.calls, 0);
  eio_grp_limit (&source.group.req, 2);
  ck_assert_int_eq (source.calls, 1);
  resume (1);
  host_drain ();
  assert_done (&m);
  assert_fed (TOTAL);
}
END_TEST

START_TEST (feeder_that_adds_nothing_is_removed)
{
  source_start (1, 0);
  source_feed (4);
  ck_assert_int_eq (source.calls, 1);
  eio_grp_limit (&source.group.req, 8);
  ck_assert_int_eq (source.calls, 1);
  source_add ();
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.calls, 1);
  assert_fed (1);
}
END_TEST

START_TEST (a_feeder_can_follow_a_removed_one)
{
  source_start (1, 0);
  source_feed (4);
  source.total = 3;
  source_feed (2);
  ck_assert_int_eq (source.calls, 3);
  resume (1);
  host_drain ();
  assert_fed (3);
}
END_TEST

/* Limits that pause: as a size_t, a negative one would feed for ever. */
static const int pauses[] = { 0, -1, INT_MIN };
enum
{
  PAUSES = sizeof pauses / sizeof *pauses
};

START_TEST (paused_feeder_is_not_called)
{
  source_start (1, TOTAL);
  source_add ();
  source_feed (pauses[_i]);
  ck_assert_int_eq (source.calls, 0);
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.calls, 0);
  assert_fed (1);
}
END_TEST

START_TEST (paused_group_without_members_finishes)
{
  source_start (1, TOTAL);
  source_feed (pauses[_i]);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (source.calls, 0);
  assert_fed (0);
}
END_TEST

START_TEST (raising_the_limit_resumes)
{
  source_start (1, TOTAL);
  source_add ();
  source_feed (pauses[_i]);
  eio_grp_limit (&source.group.req, 3);
  ck_assert_int_eq (source.group.req.int2, 3);
  ck_assert_int_eq (source.calls, 2);
  assert_size (&source.group, 3);
  eio_grp_limit (&source.group.req, 5);
  ck_assert_int_eq (source.calls, 4);
  assert_size (&source.group, 5);
  resume (1);
  host_drain ();
  assert_fed (TOTAL);
}
END_TEST

START_TEST (lowering_the_limit_pauses)
{
  source_start (1, TOTAL);
  source_feed (3);
  eio_grp_limit (&source.group.req, pauses[_i]);
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.calls, 3);
  assert_fed (3);
}
END_TEST

static int
raise_limit (eio_req *req)
{
  int calls = source.calls;
  eio_grp_limit (&source.group.req, 6);
  ck_assert_int_gt (source.calls, calls);
  return probe_finished (req);
}

START_TEST (limit_can_be_raised_in_a_members_callback)
{
  source_start (1, TOTAL);
  source_add ()->req.finish = raise_limit;
  source_feed (0);
  resume (1);
  host_drain ();
  assert_fed (TOTAL);
}
END_TEST

static void
feed_and_pause (eio_req *grp)
{
  feed_source (grp);
  eio_grp_limit (grp, 0);
}

static void
feed_and_raise (eio_req *grp)
{
  feed_source (grp);
  eio_grp_limit (grp, 8);
}

START_TEST (feeder_may_change_the_limit)
{
  source_start (2, TOTAL);
  eio_grp_feed (&source.group.req, feed_and_pause, 10);
  ck_assert_int_eq (source.calls, 1);
  assert_size (&source.group, 2);
  eio_grp_feed (&source.group.req, feed_and_raise, 3);
  assert_size (&source.group, 8);
  resume (1);
  host_drain ();
  assert_fed (TOTAL);
}
END_TEST

static void
feed_and_replace (eio_req *grp)
{
  feed_source (grp);
  source.calls = 0;
  eio_grp_feed (grp, feed_source, 2);
}

START_TEST (feeder_may_replace_itself)
{
  source_start (1, TOTAL);
  eio_grp_feed (&source.group.req, feed_and_replace, 2);
  ck_assert_int_eq (source.calls, 1);
  assert_size (&source.group, 2);
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.calls, TOTAL);
  assert_fed (TOTAL);
}
END_TEST

static void
hand_over (eio_req *grp)
{
  eio_grp_feed (grp, feed_source, 2);
}

/* The call adds nothing, but not for lack of a feeder. */
START_TEST (feeder_may_hand_over_to_another)
{
  source_start (1, TOTAL);
  eio_grp_feed (&source.group.req, hand_over, 2);
  ck_assert_int_eq (source.calls, 2);
  assert_size (&source.group, 2);
  resume (1);
  host_drain ();
  assert_fed (TOTAL);
}
END_TEST

static void
feed_and_cancel (eio_req *grp)
{
  feed_source (grp);
  eio_grp_cancel (grp);
}

START_TEST (feeder_may_cancel_the_members)
{
  source_start (1, TOTAL);
  eio_grp_feed (&source.group.req, feed_and_cancel, 3);
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.calls, 1);
  assert_dropped (&source.nodes[0]);
  assert_done (&source.group);
}
END_TEST

/* Members without workers finish while the feeder's caller runs. */
START_TEST (feeder_may_add_groups)
{
  source_start (1, TOTAL);
  source.type = EIO_GROUP;
  source_feed (2);
  ck_assert_int_eq (source.calls, 2);
  host_drain ();
  assert_fed (TOTAL);
}
END_TEST

START_TEST (a_cancelled_member_makes_room_for_the_feeder)
{
  source_start (1, 5);
  source_feed (1);
  eio_cancel (&source.nodes[0].req);
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.made, 5);
  assert_dropped (&source.nodes[0]);
  ck_assert_int_eq (source_finished (), 4);
  assert_done (&source.group);
}
END_TEST

static int early; /* the group finished before it might */

/* The member that a call added is gone when the call returns, which still
 * is not a call that added nothing. */
static void
feed_and_wait (eio_req *grp)
{
  probe *n;
  ++source.calls;
  if (source.made == source.total)
    return;
  n = source_add ();
  while (!n->finishes)
    {
      eio_poll_wait (-1);
      eio_poll ();
    }
  eio_poll ();
  early += source.group.finishes;
  (void)grp;
}

START_TEST (feeder_may_poll_until_its_member_is_done)
{
  source_start (1, 20);
  resume (1);
  eio_grp_feed (&source.group.req, feed_and_wait, 1);
  host_drain ();
  while (!source.group.finishes)
    host_poll ();
  ck_assert_int_eq (early, 0);
  assert_fed (20);
}
END_TEST

static atomic_uint outstanding; /* as want_poll saw it last */

static void
see_outstanding (void)
{
  outstanding = eio_nreqs ();
}

/* What was found out about it counts again before anybody is told. */
START_TEST (group_counts_when_its_feeder_ends_it)
{
  eio_init (see_outstanding, 0);
  memset (&source, 0, sizeof source);
  source.type = EIO_NOP;
  source.total = 1;
  probe_submit (&source.group, EIO_GROUP);
  eio_grp_feed (&source.group.req, feed_and_wait, 1);
  ck_assert_uint_eq (outstanding, 1);
  ck_assert_uint_eq (eio_nreqs (), 1);
  ck_assert_int_eq (eio_poll (), 0);
  assert_fed (1);
}
END_TEST

/* Here the group has no member at the nested eio_poll, but a feeder at work
 * that is about to add one. */
static void
poll_and_feed (eio_req *grp)
{
  eio_poll ();
  early += source.group.finishes;
  if (!source.group.finishes)
    feed_source (grp);
}

START_TEST (group_does_not_finish_while_its_feeder_polls)
{
  source_start (1, 20);
  resume (1);
  eio_grp_feed (&source.group.req, poll_and_feed, 1);
  while (!source.group.finishes)
    host_poll ();
  ck_assert_int_eq (early, 0);
  assert_fed (20);
}
END_TEST

/* All members' callbacks end eio_poll, and none loses the feeder its turn. */
START_TEST (feeder_goes_on_after_callbacks_that_return_early)
{
  int i, returned = 0;
  source_start (1, 5);
  source_feed (1);
  resume (1);
  while (!source.group.finishes)
    {
      for (i = 0; i < source.made; ++i)
        source.nodes[i].ret = 3;
      returned += host_poll () == 3;
    }
  ck_assert_int_eq (returned, 5);
  assert_fed (5);
}
END_TEST

/*****************************************************************************
 * eio_grp_cancel                                                            *
 *****************************************************************************/

/* Members that are queued, and members whose results are pending. */
START_TEST (grp_cancel_cancels_members_and_not_the_group)
{
  probe g, inner, m[3];
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  g.req.result = 11;
  probe_add (&g, &m[0], EIO_NOP);
  probe_add (&g, &inner, EIO_GROUP);
  probe_add (&inner, &m[1], EIO_NOP);
  probe_add (&g, &m[2], EIO_NOP);
  if (_i)
    execute_all ();
  eio_grp_cancel (&g.req);
  ck_assert (!EIO_CANCELLED (&g.req));
  ck_assert (EIO_CANCELLED (&inner.req));
  ck_assert (EIO_CANCELLED (&m[1].req));
  resume (1);
  host_drain ();
  assert_dropped (&m[0]);
  assert_dropped (&m[1]);
  assert_dropped (&m[2]);
  assert_dropped (&inner);
  assert_done (&g);
  ck_assert_int_eq (g.req.result, 11);
}
END_TEST

START_TEST (grp_cancel_of_an_empty_group_changes_nothing)
{
  probe g;
  host_start ();
  probe_submit (&g, EIO_GROUP);
  eio_grp_cancel (&g.req);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&g);
}
END_TEST

START_TEST (grp_cancel_drops_the_feeder)
{
  source_start (1, TOTAL);
  source_feed (3);
  eio_grp_cancel (&source.group.req);
  eio_grp_limit (&source.group.req, 9);
  ck_assert_int_eq (source.calls, 3);
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.calls, 3);
  ck_assert_int_eq (source_finished (), 0);
  assert_done (&source.group);
}
END_TEST

START_TEST (cancelled_group_is_not_fed)
{
  source_start (1, TOTAL);
  source_feed (3);
  eio_cancel (&source.group.req);
  eio_grp_limit (&source.group.req, 9);
  source_feed (12);
  ck_assert_int_eq (source.calls, 3);
  resume (1);
  host_drain ();
  ck_assert_int_eq (source.calls, 3);
  ck_assert_int_eq (source_finished (), 0);
  assert_dropped (&source.group);
}
END_TEST

static int
cancel_the_rest (eio_req *req)
{
  eio_grp_cancel (&source.group.req);
  return probe_finished (req);
}

/* "I have what I was looking for." */
START_TEST (first_result_can_cancel_the_other_members)
{
  int i;
  source_start (1, TOTAL);
  source_feed (8);
  for (i = 0; i < 8; ++i)
    source.nodes[i].req.finish = cancel_the_rest;
  execute_all ();
  host_drain ();
  ck_assert_int_eq (source.calls, 8);
  ck_assert_int_eq (source_finished (), 1);
  for (i = 0; i < 8; ++i)
    ck_assert_int_eq (source.nodes[i].destroys, 1);
  assert_done (&source.group);
}
END_TEST

/* The group itself is not cancelled, so members may still be added. */
START_TEST (group_waits_for_what_is_added_after_grp_cancel)
{
  probe g, old, late;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &old, EIO_NOP);
  eio_grp_cancel (&g.req);
  probe_add (&g, &late, EIO_NOP);
  ck_assert_int_eq (eio_poll (), 0);
  assert_live (&g);
  resume (1);
  host_drain ();
  assert_dropped (&old);
  ck_assert_int_eq (late.destroys, 1);
  assert_done (&g);
}
END_TEST

START_TEST (what_joins_a_cancelled_group_is_cancelled)
{
  probe g, old, late;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &old, EIO_NOP);
  eio_cancel (&g.req);
  probe_add (&g, &late, EIO_NOP);
  ck_assert (EIO_CANCELLED (&late.req));
  resume (1);
  host_drain ();
  assert_dropped (&old);
  assert_dropped (&late);
  assert_dropped (&g);
}
END_TEST

/*****************************************************************************
 * The end of a group                                                        *
 *****************************************************************************/

static probe late;
static int late_result, late_errno;
static int trail; /* 'b' before the call, 'a' after it */

static void
add_late (eio_req *grp)
{
  probe_submit (&late, EIO_NOP);
  if (write (trail, "b", 1) != 1)
    _exit (10);
  errno = 0;
  late_result = eio_grp_add (grp, &late.req);
  late_errno = errno;
  if (write (trail, "a", 1) != 1)
    _exit (11);
}

static int
add_in_finish (eio_req *grp)
{
  add_late (grp);
  return 0;
}

static void
add_nothing (eio_req *grp)
{
  (void)grp;
}

/* Runs in a child of its own.  Returns its exit status. */
static int
add_to_finished_group (int in_destroy)
{
  static probe g;
  double end = now () + 60;
  host_start ();
  probe_fill (&g, EIO_GROUP);
  g.req.finish = in_destroy ? 0 : add_in_finish;
  g.req.destroy = in_destroy ? add_late : add_nothing;
  eio_submit (&g.req);
  eio_poll ();
  if (late_result != -1 || late_errno != EINVAL)
    return 12;
  if (late.req.grp || g.req.size)
    return 13;
  while (!late.destroys && now () < end)
    if (host_wait (100))
      eio_poll ();
  return late.finishes == 1 && late.destroys == 1 ? 0 : 14;
}

static pid_t
start_late_child (int in_destroy, int fds[2])
{
  struct rlimit none = { 0, 0 };
  pid_t pid = fork ();
  if (pid)
    return pid;
  setrlimit (RLIMIT_CORE, &none);
  dup2 (open ("/dev/null", O_WRONLY), 2); /* the assertion is expected */
  trail = fds[1];
  _exit (add_to_finished_group (in_destroy));
}

/* The library is built as this is: with assertions or without. */
#ifdef NDEBUG
enum { ASSERTIONS = 0 };
#else
enum { ASSERTIONS = 1 };
#endif

START_TEST (adding_to_a_finished_group_is_diagnosed)
{
  char seen[4] = "";
  int fds[2], status;
  pid_t pid;
  ssize_t n;
  ck_assert_int_eq (pipe (fds), 0);
  pid = start_late_child (_i, fds);
  ck_assert_int_gt (pid, 0);
  close (fds[1]);
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  n = read (fds[0], seen, 3);
  if (ASSERTIONS)
    {
      ck_assert (WIFSIGNALED (status));
      ck_assert_int_eq (WTERMSIG (status), SIGABRT);
      ck_assert_int_eq (n, 1);
      ck_assert_str_eq (seen, "b");
    }
  else
    {
      ck_assert (WIFEXITED (status));
      ck_assert_int_eq (WEXITSTATUS (status), 0);
      ck_assert_str_eq (seen, "ba");
    }
  close (fds[0]);
}
END_TEST

START_TEST (last_members_value_ends_poll_before_the_group)
{
  probe g, m;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m, EIO_NOP);
  m.ret = 7;
  ck_assert_int_eq (eio_poll (), 0);
  resume (1);
  ck_assert_int_eq (host_poll (), 7);
  ck_assert_int_eq (m.finishes, 1);
  assert_live (&g);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&m);
  assert_done (&g);
}
END_TEST

START_TEST (inner_groups_value_ends_poll_before_the_outer_group)
{
  probe outer, inner, m;
  start_paused ();
  probe_submit (&outer, EIO_GROUP);
  probe_add (&outer, &inner, EIO_GROUP);
  probe_add (&inner, &m, EIO_NOP);
  inner.ret = -9;
  resume (1);
  while (!inner.finishes)
    ck_assert_int_eq (host_poll (), m.finishes ? -9 : 0);
  assert_live (&outer);
  ck_assert_int_eq (host_wait (0), 1);
  outer.ret = 4;
  ck_assert_int_eq (eio_poll (), 4);
  assert_done (&inner);
  ck_assert_int_eq (outer.finishes, 1);
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&outer);
  ck_assert_uint_eq (eio_nreqs (), 0);
}
END_TEST

/* Its finish has not started: it is still a group to add to. */
START_TEST (a_group_that_is_about_to_finish_takes_members)
{
  probe g, m, more;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m, EIO_NOP);
  m.ret = 7;
  resume (1);
  while (!m.finishes)
    host_poll ();
  assert_live (&g);
  eio_set_max_parallel (0);
  probe_add (&g, &more, EIO_NOP);
  ck_assert_int_eq (eio_poll (), 0);
  assert_live (&g);
  resume (1);
  host_drain ();
  assert_done (&more);
  assert_done (&g);
  ck_assert_int_lt (more.finish_turn, g.finish_turn);
}
END_TEST

static int
poll_on (eio_req *req)
{
  while (eio_nreqs ())
    host_poll ();
  eio_poll ();
  early += chain_group.finishes;
  return probe_finished (req);
}

/* Of three members, one or all wait for the others in their callbacks. */
START_TEST (nested_poll_in_a_member_never_finishes_the_group)
{
  probe m[3];
  int i;
  start_paused ();
  probe_submit (&chain_group, EIO_GROUP);
  for (i = 0; i < 3; ++i)
    {
      probe_add (&chain_group, &m[i], EIO_NOP);
      if (i == 0 || _i)
        m[i].req.finish = poll_on;
    }
  resume (1);
  host_drain ();
  while (!chain_group.finishes)
    host_poll ();
  ck_assert_int_eq (early, 0);
  for (i = 0; i < 3; ++i)
    {
      assert_done (&m[i]);
      ck_assert_int_lt (m[i].finish_turn, chain_group.finish_turn);
    }
  assert_done (&chain_group);
}
END_TEST

START_TEST (nested_poll_in_a_group_never_finishes_the_outer_one)
{
  probe inner, m;
  start_paused ();
  probe_submit (&chain_group, EIO_GROUP);
  probe_add (&chain_group, &inner, EIO_GROUP);
  probe_add (&inner, &m, EIO_NOP);
  inner.req.finish = poll_on;
  resume (1);
  while (!chain_group.finishes)
    host_poll ();
  ck_assert_int_eq (early, 0);
  assert_done (&m);
  assert_done (&inner);
  assert_done (&chain_group);
}
END_TEST

START_TEST (nested_poll_in_its_own_finish_leaves_a_group_alone)
{
  probe g;
  host_start ();
  probe_submit (&g, EIO_GROUP);
  g.req.finish = poll_on;
  ck_assert_int_eq (eio_poll (), 0);
  assert_done (&g);
}
END_TEST

static jmp_buf away;

static int
leave (eio_req *req)
{
  probe_finished (req);
  longjmp (away, 1);
}

/* After a callback jumped away, nothing else tells the host to poll. */
static void
poll_to_the_end (probe *g)
{
  eio_poll ();
  wait_until ((eio_poll (), g->finishes));
  assert_done (g);
  ck_assert_uint_eq (eio_nreqs (), 0);
}

START_TEST (a_callback_that_jumps_away_does_not_stick_the_group)
{
  static probe g, m;
  host_start ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m, EIO_NOP);
  m.req.finish = leave;
  if (!setjmp (away))
    for (;;)
      host_poll ();
  assert_live (&g);
  eio_poll ();
  assert_done (&m);
  poll_to_the_end (&g);
}
END_TEST

START_TEST (an_inner_group_that_jumps_away_does_not_stick_the_outer)
{
  static probe outer, inner, m;
  host_start ();
  probe_submit (&outer, EIO_GROUP);
  probe_add (&outer, &inner, EIO_GROUP);
  probe_add (&inner, &m, EIO_NOP);
  inner.req.finish = leave;
  if (!setjmp (away))
    for (;;)
      host_poll ();
  assert_done (&m);
  assert_live (&outer);
  eio_poll ();
  assert_done (&inner);
  poll_to_the_end (&outer);
}
END_TEST

static int jumps_left;

static void
jump_or_add (eio_req *grp)
{
  (void)grp;
  if (jumps_left-- > 0)
    longjmp (away, 1);
  if (chain_made < 5)
    probe_add (&chain_group, &chain[chain_made++], EIO_NOP);
}

/* Called by eio_poll, after a member's finish.  The feeder stays, and is
 * called again when the next occasion comes. */
START_TEST (a_feeder_that_jumps_away_is_called_again)
{
  volatile int landed = 0;
  probe m;
  start_paused ();
  probe_submit (&chain_group, EIO_GROUP);
  probe_add (&chain_group, &m, EIO_NOP);
  eio_grp_feed (&chain_group.req, jump_or_add, 2);
  ck_assert_int_eq (chain_made, 1);
  jumps_left = 1;
  resume (1);
  if (setjmp (away))
    ++landed;
  while (!chain_group.finishes)
    host_poll ();
  ck_assert_int_eq (landed, 1);
  ck_assert_int_eq (chain_made, 5);
  assert_done (&m);
  assert_done (&chain_group);
}
END_TEST

/* Out of eio_grp_feed, and not of eio_poll: the next poll comes from below. */
START_TEST (a_feeder_that_jumps_out_of_eio_grp_feed_is_called_again)
{
  probe m;
  start_paused ();
  probe_submit (&chain_group, EIO_GROUP);
  probe_add (&chain_group, &m, EIO_NOP);
  jumps_left = 1;
  if (!setjmp (away))
    {
      eio_grp_feed (&chain_group.req, jump_or_add, 2);
      ck_abort_msg ("the feeder did not jump");
    }
  ck_assert_int_eq (chain_made, 0);
  resume (1);
  while (!chain_group.finishes)
    host_poll ();
  ck_assert_int_eq (chain_made, 5);
  assert_done (&m);
  assert_done (&chain_group);
}
END_TEST

/* Nobody else would wake the group any more. */
START_TEST (an_empty_group_whose_feeder_jumps_away_finishes)
{
  host_start ();
  probe_submit (&chain_group, EIO_GROUP);
  chain_made = 5;
  jumps_left = 1;
  if (!setjmp (away))
    {
      eio_grp_feed (&chain_group.req, jump_or_add, 2);
      ck_abort_msg ("the feeder did not jump");
    }
  poll_to_the_end (&chain_group);
}
END_TEST

static int
poll_until_it_jumps (eio_req *req)
{
  probe_finished (req);
  while (host_poll () >= 0)
    ;
  return 0;
}

/* One callback jumps out of the other's nested eio_poll, and of that. */
START_TEST (a_jump_out_of_nested_callbacks_ends_both)
{
  static probe g, m[3];
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m[0], EIO_NOP);
  m[0].req.finish = poll_until_it_jumps;
  probe_add (&g, &m[1], EIO_NOP);
  m[1].req.finish = leave;
  probe_add (&g, &m[2], EIO_NOP);
  resume (1);
  if (!setjmp (away))
    for (;;)
      host_poll ();
  assert_live (&g);
  eio_poll ();
  assert_done (&m[0]);
  assert_done (&m[1]);
  poll_to_the_end (&g);
  assert_done (&m[2]);
}
END_TEST

static probe extra;

static void
add_extra (eio_req *req)
{
  probe_destroyed (req);
  probe_add (&chain_group, &extra, EIO_NOP);
}

START_TEST (a_members_destroy_can_add_another)
{
  probe m;
  host_start ();
  probe_submit (&chain_group, EIO_GROUP);
  probe_add (&chain_group, &m, EIO_NOP);
  m.req.destroy = add_extra;
  while (!chain_group.finishes)
    host_poll ();
  assert_done (&m);
  assert_done (&extra);
  assert_done (&chain_group);
  ck_assert_int_lt (extra.finish_turn, chain_group.finish_turn);
}
END_TEST

/*****************************************************************************
 * Members submitted again                                                   *
 *****************************************************************************/

static sem_t gate;

static void
pass_gate (eio_req *req)
{
  (void)req;
  take (&gate);
}

static void
fill_gated (probe *n, eio_cb finish)
{
  probe_fill (n, EIO_CUSTOM);
  n->req.feed = pass_gate;
  n->req.finish = finish;
}

static int
submit_again (eio_req *req)
{
  probe_finished (req);
  if (probe_of (req)->finishes == 1)
    eio_submit (req);
  return 0;
}

/* Fills it from scratch, as any other request. */
static int
zero_and_submit_again (eio_req *req)
{
  probe_finished (req);
  if (probe_of (req)->finishes > 1)
    return 0;
  memset (req, 0, sizeof *req);
  req->type = EIO_CUSTOM;
  req->feed = pass_gate;
  req->finish = zero_and_submit_again;
  req->destroy = probe_destroyed;
  eio_submit (req);
  return 0;
}

/* The member between two others goes round again; the gate lets it through
 * once. */
static void
check_submitted_again (eio_cb again)
{
  probe g, m[3];
  start_paused ();
  sem_init (&gate, 0, 1);
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m[0], EIO_NOP);
  fill_gated (&m[1], again);
  eio_submit (&m[1].req);
  eio_grp_add (&g.req, &m[1].req);
  probe_add (&g, &m[2], EIO_NOP);
  resume (2);
  while (!g.finishes)
    host_poll ();
  assert_done (&g);
  ck_assert_int_eq (m[1].finishes, 1);
  ck_assert_int_eq (m[1].destroys, 0);
  ck_assert_ptr_null (m[1].req.grp);
  sem_post (&gate);
  host_drain ();
  ck_assert_int_eq (m[1].finishes, 2);
  ck_assert_int_eq (m[1].destroys, 1);
  assert_done (&m[0]);
  assert_done (&m[2]);
}

START_TEST (member_submitted_again_leaves_its_group)
{
  check_submitted_again (submit_again);
}
END_TEST

START_TEST (member_zeroed_and_submitted_again_leaves_its_group)
{
  check_submitted_again (zero_and_submit_again);
}
END_TEST

/* The group has no other member, and its feeder a turn to take. */
START_TEST (member_submitted_again_makes_room_for_the_feeder)
{
  probe *m;
  source_start (1, 5);
  sem_init (&gate, 0, 1);
  m = &source.nodes[source.made++];
  fill_gated (m, submit_again);
  eio_submit (&m->req);
  ck_assert_int_eq (eio_grp_add (&source.group.req, &m->req), 0);
  source_feed (1);
  ck_assert_int_eq (source.calls, 0);
  resume (2);
  while (!source.group.finishes)
    host_poll ();
  ck_assert_int_eq (source.made, 5);
  assert_done (&source.group);
  ck_assert_int_eq (m->destroys, 0);
  sem_post (&gate);
  host_drain ();
  ck_assert_int_eq (m->finishes, 2);
  ck_assert_int_eq (m->destroys, 1);
}
END_TEST

static int
rejoin (eio_req *req)
{
  if (++probe_of (req)->finishes < 5)
    {
      eio_submit (req);
      ck_assert_int_eq (eio_grp_add (&chain_group.req, req), 0);
    }
  return 0;
}

START_TEST (member_submitted_again_may_join_again)
{
  probe m;
  host_start ();
  probe_submit (&chain_group, EIO_GROUP);
  probe_add (&chain_group, &m, EIO_NOP);
  m.req.finish = rejoin;
  while (!chain_group.finishes)
    host_poll ();
  ck_assert_int_eq (m.finishes, 5);
  ck_assert_int_eq (m.destroys, 1);
  assert_done (&chain_group);
}
END_TEST

static probe another;

static int
join_another (eio_req *req)
{
  probe_submit (&another, EIO_GROUP);
  probe_fill (probe_of (req), EIO_NOP);
  ck_assert_int_eq (eio_grp_add (&another.req, req), 0);
  eio_submit (req);
  return 0;
}

/* It is in the other one before it is submitted. */
START_TEST (member_filled_anew_may_join_another_group)
{
  probe g, m;

  host_start ();
  probe_submit (&g, EIO_GROUP);
  probe_fill (&m, EIO_NOP);
  m.req.finish = join_another;
  eio_submit (&m.req);
  ck_assert_int_eq (eio_grp_add (&g.req, &m.req), 0);
  host_drain ();
  assert_done (&m);
  assert_done (&g);
  assert_done (&another);
  ck_assert_int_lt (m.finish_turn, another.finish_turn);
}
END_TEST

START_TEST (member_that_was_destroyed_may_join_another_group)
{
  probe g, m;

  host_start ();
  probe_submit (&g, EIO_GROUP);
  probe_add (&g, &m, EIO_NOP);
  host_drain ();
  assert_done (&m);
  probe_submit (&another, EIO_GROUP);
  eio_submit (&m.req);
  ck_assert_int_eq (eio_grp_add (&another.req, &m.req), 0);
  host_drain ();
  ck_assert_int_eq (m.destroys, 2);
  assert_done (&another);
  ck_assert_int_lt (m.finish_turn, another.finish_turn);
}
END_TEST

/*****************************************************************************
 * What belongs to the owner; priorities; counters                           *
 *****************************************************************************/

static int mark1, mark2, kept;

static void
set_values (eio_req *req)
{
  req->result = 42;
  req->errorno = EXDEV;
  req->ptr1 = &mark1;
  req->ptr2 = &mark2;
  req->int1 = 7;
}

static void
check_values (eio_req *req)
{
  ++kept;
  ck_assert_int_eq (req->result, 42);
  ck_assert_int_eq (req->errorno, EXDEV);
  ck_assert_ptr_eq (req->ptr1, &mark1);
  ck_assert_ptr_eq (req->ptr2, &mark2);
  ck_assert_int_eq (req->int1, 7);
}

static int
check_in_finish (eio_req *req)
{
  check_values (req);
  return 0;
}

static int
set_in_callback (eio_req *req)
{
  set_values (&chain_group.req);
  return probe_finished (req);
}

enum
{
  SET_BEFORE,
  SET_AFTER,
  SET_LOOKED_AT,
  SET_IN_CALLBACK,
  SETS
};

static eio_req *
start_owned_group (void)
{
  eio_req *g = &chain_group.req;
  start_paused ();
  probe_fill (&chain_group, EIO_GROUP);
  g->finish = check_in_finish;
  g->destroy = check_values;
  return g;
}

/* The member fails, which is no concern of the group's. */
START_TEST (what_the_owner_sets_is_there_at_the_end)
{
  probe m;
  eio_req *g = start_owned_group ();
  if (_i == SET_BEFORE)
    set_values (g);
  eio_submit (g);
  probe_add (&chain_group, &m, EIO_UNLINK);
  if (_i == SET_AFTER)
    set_values (g);
  ck_assert_int_eq (eio_poll (), 0);
  if (_i == SET_LOOKED_AT)
    set_values (g);
  if (_i == SET_IN_CALLBACK)
    m.req.finish = set_in_callback;
  resume (1);
  host_drain ();
  ck_assert_int_eq (kept, 2);
  assert_done (&m);
}
END_TEST

START_TEST (an_empty_group_keeps_the_owners_values)
{
  probe_fill (&chain_group, EIO_GROUP);
  set_values (&chain_group.req);
  chain_group.req.finish = check_in_finish;
  chain_group.req.destroy = check_values;
  host_start ();
  eio_submit (&chain_group.req);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (kept, 2);
}
END_TEST

/* Cancelled before its member is done, or with nothing left to do. */
START_TEST (a_cancelled_group_keeps_the_owners_values)
{
  probe m;
  eio_req *g = start_owned_group ();
  eio_submit (g);
  if (_i)
    probe_add (&chain_group, &m, EIO_NOP);
  set_values (g);
  eio_cancel (g);
  resume (1);
  host_drain ();
  eio_poll ();
  ck_assert_int_eq (kept, 1); /* finish was not called */
}
END_TEST

static int
check_zero (eio_req *req)
{
  ck_assert_int_eq (req->result, 0);
  ck_assert_int_eq (req->errorno, 0);
  ck_assert_ptr_null (req->ptr1);
  ck_assert_ptr_null (req->ptr2);
  ck_assert_int_eq (req->int1, 0);
  return probe_finished (req);
}

START_TEST (what_nobody_sets_stays_zero)
{
  probe g, m;
  start_paused ();
  probe_submit (&g, EIO_GROUP);
  g.req.finish = check_zero;
  probe_add (&g, &m, EIO_UNLINK);
  ck_assert_int_eq (eio_poll (), 0);
  resume (1);
  host_drain ();
  assert_done (&g);
}
END_TEST

static int
check_buffers (eio_req *req)
{
  ck_assert_str_eq (req->ptr1, "one");
  ck_assert_str_eq (req->ptr2, "two");
  return probe_finished (req);
}

/* Leaks show under a leak checker. */
START_TEST (flagged_buffers_of_a_group_are_freed)
{
  probe g;
  host_start ();
  probe_submit (&g, EIO_GROUP);
  g.req.ptr1 = strdup ("one");
  g.req.ptr2 = strdup ("two");
  g.req.flags |= EIO_FLAG_PTR1_FREE | EIO_FLAG_PTR2_FREE;
  g.req.finish = check_buffers;
  host_drain ();
  assert_done (&g);
}
END_TEST

static int
note_pri (eio_req *req)
{
  *(int *)req->data = req->pri;
  return 0;
}

START_TEST (eio_grp_submits_with_the_highest_priority)
{
  int seen = -100;
  eio_req *g;
  host_start ();
  g = eio_grp (note_pri, &seen);
  ck_assert_int_eq (g->pri, EIO_PRI_MAX);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (seen, EIO_PRI_MAX);
}
END_TEST

/* From EIO_PRI_MIN to EIO_PRI_MAX. */
START_TEST (eio_submit_keeps_a_groups_priority)
{
  probe g;
  int seen = -100;
  host_start ();
  probe_fill (&g, EIO_GROUP);
  g.req.pri = _i;
  g.req.data = &seen;
  g.req.finish = note_pri;
  eio_submit (&g.req);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (seen, _i);
}
END_TEST

static int
finished_last (eio_req *req)
{
  int *last = req->data;
  *last = ++turns;
  return 0;
}

/* Pending: requests of 3, 0 and -3; empty groups of 4, 1 and -4. */
START_TEST (groups_take_their_turn_by_priority)
{
  static const int pris[5] = { -4, 0, 1, -3, 3 };
  static const int types[5] = { EIO_GROUP, EIO_NOP, EIO_GROUP, EIO_NOP,
                                EIO_NOP };
  probe n[5];
  int i, top = 0;
  host_start ();
  for (i = 0; i < 5; ++i)
    {
      probe_fill (&n[i], types[i]);
      n[i].req.pri = pris[i];
      eio_submit (&n[i].req);
    }
  ck_assert_ptr_nonnull (eio_grp (finished_last, &top));
  execute_all ();
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_gt (top, 0);
  ck_assert_int_lt (top, n[4].finish_turn);
  ck_assert_int_lt (n[4].finish_turn, n[2].finish_turn);
  ck_assert_int_lt (n[2].finish_turn, n[1].finish_turn);
  ck_assert_int_lt (n[1].finish_turn, n[3].finish_turn);
  ck_assert_int_lt (n[3].finish_turn, n[0].finish_turn);
}
END_TEST

START_TEST (group_counts_until_it_is_looked_at)
{
  probe outer, inner, m;
  start_paused ();
  probe_submit (&outer, EIO_GROUP);
  ck_assert_uint_eq (eio_nreqs (), 1);
  probe_add (&outer, &inner, EIO_GROUP);
  probe_add (&inner, &m, EIO_NOP);
  ck_assert_uint_eq (eio_nreqs (), 3);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_uint_eq (eio_nreqs (), 1);
  ck_assert_uint_eq (eio_nready (), 1);
  ck_assert_uint_eq (eio_npending (), 0);
  resume (1);
  host_drain ();
  assert_done (&outer);
  ck_assert_uint_eq (m.nreqs, 0);
  ck_assert_uint_eq (inner.nreqs, 0);
  ck_assert_uint_eq (outer.nreqs, 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_members (Suite *s)
{
  TCase *tc = add_case (s, "members", 120, 0, 0);
  tcase_add_test (tc, empty_group_finishes_on_next_poll);
  tcase_add_test (tc, null_callbacks_are_fine);
  tcase_add_test (tc, adding_null_does_nothing);
  tcase_add_test (tc, group_waits_for_its_member);
  tcase_add_loop_test (tc, members_of_all_kinds_finish_before_the_group, 0, 2);
  tcase_add_test (tc, members_can_be_added_from_members_callbacks);
  tcase_add_loop_test (tc, size_and_list_are_the_live_members, 0, 5);
  tcase_add_test (tc, an_executed_request_can_still_join);
  tcase_add_loop_test (tc, cancelled_members_do_not_hold_the_group, 0, 2);
  tcase_add_loop_test (tc, nested_groups_finish_from_the_inside, 0, 2);
  tcase_add_loop_test (tc, groups_use_no_worker, 0, 2);
  tcase_add_test (tc, member_submitted_again_leaves_its_group);
  tcase_add_test (tc, member_zeroed_and_submitted_again_leaves_its_group);
  tcase_add_test (tc, member_submitted_again_makes_room_for_the_feeder);
  tcase_add_test (tc, member_submitted_again_may_join_again);
  tcase_add_test (tc, member_filled_anew_may_join_another_group);
  tcase_add_test (tc, member_that_was_destroyed_may_join_another_group);
}

static void
add_sizes (Suite *s)
{
  TCase *tc = add_case (s, "sizes", 120, 0, 0);
  tcase_add_loop_test (tc, deep_nesting_finishes_without_stack, 0, 4);
  tcase_add_test (tc, deep_nesting_is_cancelled_without_stack);
  tcase_add_test (tc, members_of_deep_nesting_are_cancelled_without_stack);
  tcase_add_loop_test (tc, wide_group_finishes_after_all_members, 0, 2);
  tcase_add_test (tc, wide_group_is_cancelled);
}

static void
add_feeders (Suite *s)
{
  TCase *tc = add_case (s, "feeders", 120, 0, 0);
  tcase_add_test (tc, feeder_is_called_while_live_members_are_below_the_limit);
  tcase_add_test (tc, feeder_may_exceed_the_limit);
  tcase_add_test (tc, a_member_that_exists_counts_against_the_limit);
  tcase_add_test (tc, feeder_that_adds_nothing_is_removed);
  tcase_add_test (tc, a_feeder_can_follow_a_removed_one);
  tcase_add_loop_test (tc, paused_feeder_is_not_called, 0, PAUSES);
  tcase_add_loop_test (tc, paused_group_without_members_finishes, 0, PAUSES);
  tcase_add_loop_test (tc, raising_the_limit_resumes, 0, PAUSES);
  tcase_add_loop_test (tc, lowering_the_limit_pauses, 0, PAUSES);
  tcase_add_test (tc, limit_can_be_raised_in_a_members_callback);
  tcase_add_test (tc, feeder_may_change_the_limit);
  tcase_add_test (tc, feeder_may_replace_itself);
  tcase_add_test (tc, feeder_may_hand_over_to_another);
  tcase_add_test (tc, feeder_may_cancel_the_members);
  tcase_add_test (tc, feeder_may_add_groups);
  tcase_add_test (tc, a_cancelled_member_makes_room_for_the_feeder);
  tcase_add_test (tc, feeder_may_poll_until_its_member_is_done);
  tcase_add_test (tc, group_counts_when_its_feeder_ends_it);
  tcase_add_test (tc, group_does_not_finish_while_its_feeder_polls);
  tcase_add_test (tc, feeder_goes_on_after_callbacks_that_return_early);
}

static void
add_cancelling (Suite *s)
{
  TCase *tc = add_case (s, "cancelling", 120, 0, 0);
  tcase_add_loop_test (tc, grp_cancel_cancels_members_and_not_the_group, 0, 2);
  tcase_add_test (tc, grp_cancel_of_an_empty_group_changes_nothing);
  tcase_add_test (tc, grp_cancel_drops_the_feeder);
  tcase_add_test (tc, cancelled_group_is_not_fed);
  tcase_add_test (tc, first_result_can_cancel_the_other_members);
  tcase_add_test (tc, group_waits_for_what_is_added_after_grp_cancel);
  tcase_add_test (tc, what_joins_a_cancelled_group_is_cancelled);
}

static void
add_endings (Suite *s)
{
  TCase *tc = add_case (s, "endings", 120, 0, 0);
  tcase_add_loop_test (tc, adding_to_a_finished_group_is_diagnosed, 0, 2);
  tcase_add_test (tc, last_members_value_ends_poll_before_the_group);
  tcase_add_test (tc, inner_groups_value_ends_poll_before_the_outer_group);
  tcase_add_test (tc, a_group_that_is_about_to_finish_takes_members);
  tcase_add_loop_test (tc, nested_poll_in_a_member_never_finishes_the_group, 0,
                       2);
  tcase_add_test (tc, nested_poll_in_a_group_never_finishes_the_outer_one);
  tcase_add_test (tc, nested_poll_in_its_own_finish_leaves_a_group_alone);
  tcase_add_test (tc, a_callback_that_jumps_away_does_not_stick_the_group);
  tcase_add_test (tc, an_inner_group_that_jumps_away_does_not_stick_the_outer);
  tcase_add_test (tc, a_feeder_that_jumps_away_is_called_again);
  tcase_add_test (tc, a_feeder_that_jumps_out_of_eio_grp_feed_is_called_again);
  tcase_add_test (tc, an_empty_group_whose_feeder_jumps_away_finishes);
  tcase_add_test (tc, a_jump_out_of_nested_callbacks_ends_both);
  tcase_add_test (tc, a_members_destroy_can_add_another);
}

static void
add_owners (Suite *s)
{
  TCase *tc = add_case (s, "owners", 120, 0, 0);
  tcase_add_loop_test (tc, what_the_owner_sets_is_there_at_the_end, 0, SETS);
  tcase_add_test (tc, an_empty_group_keeps_the_owners_values);
  tcase_add_loop_test (tc, a_cancelled_group_keeps_the_owners_values, 0, 2);
  tcase_add_test (tc, what_nobody_sets_stays_zero);
  tcase_add_test (tc, flagged_buffers_of_a_group_are_freed);
  tcase_add_test (tc, eio_grp_submits_with_the_highest_priority);
  tcase_add_loop_test (tc, eio_submit_keeps_a_groups_priority, EIO_PRI_MIN,
                       EIO_PRI_MAX + 1);
  tcase_add_test (tc, groups_take_their_turn_by_priority);
  tcase_add_test (tc, group_counts_until_it_is_looked_at);
}

int
main (void)
{
  Suite *suite = suite_create ("group");
  add_members (suite);
  add_sizes (suite);
  add_feeders (suite);
  add_cancelling (suite);
  add_endings (suite);
  add_owners (suite);
  return run_suite (suite);
}
