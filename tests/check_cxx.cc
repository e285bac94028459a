/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* eio.h in C++: that it compiles, and that callbacks may throw through
 * eio_poll. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "eio.h"

extern "C" {
#include "support.h"
}

namespace
{

enum { COUNT = 20 };

/* A request of the program's own: the library's part comes first. */
struct job
{
  eio_req req;
  int finished, destroyed;
  bool throws;

  explicit job (int type = EIO_NOP, bool thrower = false)
    : finished (0), destroyed (0), throws (thrower)
  {
    memset (&req, 0, sizeof req);
    req.type = (signed char)type;
    req.finish = finish;
    req.destroy = destroy;
  }

  static int
  finish (eio_req *req)
  {
    job *self = reinterpret_cast<job *> (req);
    ++self->finished;
    if (self->throws)
      throw std::runtime_error ("finish");
    return 0;
  }

  static void
  destroy (eio_req *req)
  {
    ++reinterpret_cast<job *> (req)->destroyed;
  }
};

/* One eio_poll; whether it threw. */
bool
poll_throws ()
{
  try
    {
      eio_poll ();
    }
  catch (const std::runtime_error &)
    {
      return true;
    }
  return false;
}

/* Polls, as events come, until nothing is outstanding; counts what was
 * thrown. */
int
drain ()
{
  double end = now () + 60;
  int thrown = 0;
  while (eio_nreqs ())
    {
      host_wait (-1);
      thrown += poll_throws ();
      ck_assert_msg (now () < end, "not drained in 60 s");
    }
  return thrown;
}

/* Executes what is queued, without polling. */
void
execute (unsigned int n)
{
  eio_set_min_parallel (2);
  while (eio_npending () < n)
    nap (1);
}

/* The same as poll_throws, but from further down the stack. */
__attribute__ ((noinline)) bool
poll_throws_deep (int depth)
{
  volatile char frame[4096];
  frame[0] = frame[sizeof frame - 1] = (char)depth;
  bool thrown = depth ? poll_throws_deep (depth - 1) : poll_throws ();
  return thrown && frame[0] == (char)depth;
}

int
note_string (eio_req *req)
{
  std::string *s = static_cast<std::string *> (req->data);
  if (EIO_RESULT (req) > 0)
    s->assign (static_cast<char *> (EIO_BUF (req)),
               (size_t)EIO_RESULT (req));
  return 0;
}

START_TEST (the_header_compiles_as_cxx)
{
  eio_req req;
  struct stat st;
  memset (&req, 0, sizeof req);
  EIO_RESULT (&req) = 3;
  EIO_BUF (&req) = &st;
  st.st_size = 5;
  ck_assert_int_eq (req.result, 3);
  ck_assert_int_eq (EIO_STAT_BUF (&req)->st_size, 5);
  ck_assert_int_eq (EIO_CANCELLED (&req), 0);
  ck_assert_ptr_null (EIO_PATH (&req));
  ck_assert (EIO_STATVFS_BUF (&req) == req.ptr2);
  ck_assert_int_eq ((intptr_t)EIO_INVALID_WD, -1);
  ck_assert (EIO_CWD == 0);
  eio_cb cb = note_string;
  ck_assert (cb != 0);
#if defined __x86_64__ && defined __LP64__
  ck_assert_uint_eq (offsetof (eio_req, grp_first), 160);
  ck_assert_uint_eq (sizeof (eio_dirent), 16);
#endif
}
END_TEST

START_TEST (wrappers_work_from_cxx)
{
  std::string contents;
  outcome failed = outcome ();
  host_start ();
  write_file (scratch_path ("file"), "contents", 8);
  ck_assert (eio_slurp (scratch_path ("file"), 0, 0, 0, 0, note_string,
                        &contents));
  ck_assert (eio_open (scratch_path ("missing"), O_RDONLY, 0, EIO_PRI_MAX,
                       note, &failed));
  host_drain ();
  ck_assert_str_eq (contents.c_str (), "contents");
  assert_fails (failed, ENOENT);
}
END_TEST

START_TEST (requests_can_be_part_of_an_object)
{
  job one, two (EIO_CUSTOM);
  host_start ();
  eio_submit (&one.req);
  eio_submit (&two.req);
  ck_assert_int_eq (drain (), 0);
  ck_assert_int_eq (one.finished, 1);
  ck_assert_int_eq (one.destroyed, 1);
  ck_assert_int_eq (one.req.result, 0);
  ck_assert_int_eq (two.destroyed, 1);
  ck_assert_int_eq (two.req.errorno, EINVAL);
}
END_TEST

int fed;

void
feed_four (eio_req *grp)
{
  if (fed < 4)
    {
      ++fed;
      eio_grp_add (grp, eio_nop (0, 0, 0));
    }
}

START_TEST (groups_work_from_cxx)
{
  outcome done = outcome ();
  job member;
  host_start ();
  eio_req *grp = eio_grp (note, &done);
  eio_submit (&member.req);
  eio_grp_add (grp, &member.req);
  eio_grp_feed (grp, feed_four, 2);
  ck_assert_int_eq (drain (), 0);
  ck_assert_int_eq (member.finished, 1);
  ck_assert_int_eq (fed, 4);
  assert_ok (done, 0);
}
END_TEST

START_TEST (a_thrown_request_is_destroyed_by_the_next_poll)
{
  job thrower (EIO_NOP, true);
  host_start ();
  eio_submit (&thrower.req);
  host_wait (-1);
  ck_assert (poll_throws ());
  ck_assert_int_eq (thrower.finished, 1);
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_npending (), 0);

  ck_assert (!poll_throws ());
  ck_assert_int_eq (thrower.finished, 1);
  ck_assert_int_eq (thrower.destroyed, 1);

  ck_assert (!poll_throws ());
  ck_assert_int_eq (thrower.destroyed, 1);
  ck_assert_int_eq (host_wants (), host_dones ());
}
END_TEST

START_TEST (the_next_poll_may_be_called_from_deeper)
{
  job thrower (EIO_NOP, true);
  host_start ();
  eio_submit (&thrower.req);
  host_wait (-1);
  ck_assert (poll_throws ());
  ck_assert (!poll_throws_deep (0));
  ck_assert_int_eq (thrower.finished, 1);
  ck_assert_int_eq (thrower.destroyed, 1);
}
END_TEST

START_TEST (the_next_poll_may_be_called_from_further_up)
{
  job thrower (EIO_NOP, true);
  host_start ();
  eio_submit (&thrower.req);
  host_wait (-1);
  ck_assert (poll_throws_deep (8));
  ck_assert (!poll_throws ());
  ck_assert_int_eq (thrower.finished, 1);
  ck_assert_int_eq (thrower.destroyed, 1);
}
END_TEST

START_TEST (others_are_not_lost_when_some_throw)
{
  std::vector<job> jobs;
  int i, thrown;
  host_start ();
  for (i = 0; i < COUNT; ++i)
    jobs.push_back (job (EIO_NOP, i % 3 == 0));
  for (i = 0; i < COUNT; ++i)
    eio_submit (&jobs[i].req);
  thrown = drain ();
  while (poll_throws ())
    continue;
  ck_assert_int_eq (thrown, (COUNT + 2) / 3);
  for (i = 0; i < COUNT; ++i)
    {
      ck_assert_int_eq (jobs[i].finished, 1);
      ck_assert_int_eq (jobs[i].destroyed, 1);
    }
}
END_TEST

START_TEST (the_descriptor_stays_readable_while_results_are_left)
{
  job thrower (EIO_NOP, true), other;
  host_start ();
  eio_set_max_parallel (0);
  thrower.req.pri = 1;
  eio_submit (&other.req);
  eio_submit (&thrower.req);
  execute (2);
  ck_assert_int_eq (host_wait (-1), 1);
  ck_assert (poll_throws ());
  ck_assert_int_eq (other.finished, 0);
  ck_assert_uint_eq (eio_npending (), 1);
  ck_assert_int_eq (host_wait (0), 1);
  ck_assert_int_eq (drain (), 0);
  ck_assert_int_eq (other.finished, 1);
  ck_assert (!poll_throws ());
  ck_assert_int_eq (thrower.destroyed, 1);
  ck_assert_int_eq (other.destroyed, 1);
  ck_assert_int_eq (host_wait (0), 0);
}
END_TEST

START_TEST (the_group_of_a_thrower_goes_on)
{
  job members[3] = { job (EIO_NOP, true), job (), job (EIO_NOP, true) };
  outcome done = outcome ();
  int i;
  host_start ();
  eio_set_max_parallel (0);
  eio_req *grp = eio_grp (note, &done);
  for (i = 0; i < 3; ++i)
    {
      eio_submit (&members[i].req);
      eio_grp_add (grp, &members[i].req);
    }
  eio_grp_feed (grp, feed_four, 6);
  eio_set_min_parallel (1);
  for (i = 0; i < 1000 && !done.calls; ++i)
    {
      host_wait (100);
      poll_throws ();
    }
  assert_ok (done, 0);
  ck_assert_int_eq (fed, 4);
  ck_assert_int_eq (eio_poll (), 0);
  for (i = 0; i < 3; ++i)
    {
      ck_assert_int_eq (members[i].finished, 1);
      ck_assert_int_eq (members[i].destroyed, 1);
    }
  ck_assert_uint_eq (eio_nreqs (), 0);
}
END_TEST

START_TEST (a_group_whose_last_member_throws_finishes)
{
  job member (EIO_NOP, true);
  outcome done = outcome ();
  host_start ();
  eio_req *grp = eio_grp (note, &done);
  eio_submit (&member.req);
  eio_grp_add (grp, &member.req);
  while (!member.finished)
    {
      host_wait (-1);
      poll_throws ();
    }
  ck_assert (!poll_throws ());
  assert_ok (done, 0);
  ck_assert_int_eq (member.destroyed, 1);
}
END_TEST

START_TEST (the_finish_of_a_group_may_throw)
{
  job grp (EIO_GROUP, true), member;
  outcome done = outcome ();
  host_start ();
  eio_req *outer = eio_grp (note, &done);
  eio_submit (&grp.req);
  eio_grp_add (outer, &grp.req);
  eio_submit (&member.req);
  eio_grp_add (&grp.req, &member.req);
  while (!grp.finished)
    {
      host_wait (-1);
      poll_throws ();
    }
  ck_assert (!poll_throws ());
  ck_assert_int_eq (grp.finished, 1);
  ck_assert_int_eq (grp.destroyed, 1);
  ck_assert_int_eq (member.destroyed, 1);
  assert_ok (done, 0);
}
END_TEST

struct nesting
{
  job thrower, *outer;
  int outer_destroyed, inner_thrown;
} *nest;

/* Polls inside a finish: the inner request throws, this one does not. */
int
poll_inside (eio_req *req)
{
  job *self = reinterpret_cast<job *> (req);
  ++self->finished;
  nest->thrower.throws = true;
  eio_submit (&nest->thrower.req);
  while (!nest->thrower.finished)
    {
      host_wait (-1);
      nest->inner_thrown += poll_throws ();
    }
  nest->inner_thrown += poll_throws ();
  nest->outer_destroyed = self->destroyed;
  return 0;
}

START_TEST (a_nested_poll_may_throw_into_the_outer_callback)
{
  nesting n = nesting ();
  job outer;
  host_start ();
  nest = &n;
  n.outer = &outer;
  outer.req.finish = poll_inside;
  eio_submit (&outer.req);
  ck_assert_int_eq (drain (), 0);
  ck_assert_int_eq (n.inner_thrown, 1);
  ck_assert_int_eq (n.outer_destroyed, 0); /* not while it was running */
  ck_assert_int_eq (n.thrower.destroyed, 1);
  ck_assert_int_eq (n.thrower.finished, 1);
  while (poll_throws ())
    continue;
  ck_assert_int_eq (outer.finished, 1);
  ck_assert_int_eq (outer.destroyed, 1);
}
END_TEST

/* Leaves through both callbacks at once. */
int
poll_inside_and_pass_on (eio_req *req)
{
  ++reinterpret_cast<job *> (req)->finished;
  nest->thrower.throws = true;
  eio_submit (&nest->thrower.req);
  for (;;)
    {
      host_wait (-1);
      eio_poll ();
    }
}

START_TEST (an_exception_may_pass_through_two_polls)
{
  nesting n = nesting ();
  job outer, after;
  host_start ();
  nest = &n;
  outer.req.finish = poll_inside_and_pass_on;
  eio_submit (&outer.req);
  ck_assert_int_eq (drain (), 1);
  ck_assert_int_eq (n.thrower.finished, 1);
  ck_assert (!poll_throws ());
  ck_assert_int_eq (n.thrower.destroyed, 1);
  ck_assert_int_eq (outer.destroyed, 1);
  ck_assert_int_eq (outer.finished, 1);

  eio_submit (&after.req);
  ck_assert_int_eq (drain (), 0);
  ck_assert_int_eq (after.finished, 1);
  ck_assert_int_eq (after.destroyed, 1);
  ck_assert_int_eq (outer.destroyed, 1);
}
END_TEST

START_TEST (buffers_of_a_thrower_are_freed)
{
  job thrower (EIO_SLURP, true);
  std::string path;
  host_start ();
  write_file (scratch_path ("file"), "contents", 8);
  path = scratch_path ("file");
  thrower.req.ptr1 = strdup (path.c_str ());
  thrower.req.flags = EIO_FLAG_PTR1_FREE; /* leak checkers look */
  eio_submit (&thrower.req);
  ck_assert_int_eq (drain (), 1);
  ck_assert (!poll_throws ());
  ck_assert_int_eq (thrower.destroyed, 1);
  ck_assert_int_eq (thrower.req.result, 8);
}
END_TEST

} // namespace

int
main ()
{
  Suite *suite = suite_create ("cxx");
  TCase *tc = add_case (suite, "cxx", 100, 0, stop_workers);
  tcase_add_test (tc, the_header_compiles_as_cxx);
  tcase_add_test (tc, wrappers_work_from_cxx);
  tcase_add_test (tc, requests_can_be_part_of_an_object);
  tcase_add_test (tc, groups_work_from_cxx);
  tcase_add_test (tc, a_thrown_request_is_destroyed_by_the_next_poll);
  tcase_add_test (tc, the_next_poll_may_be_called_from_deeper);
  tcase_add_test (tc, the_next_poll_may_be_called_from_further_up);
  tcase_add_test (tc, others_are_not_lost_when_some_throw);
  tcase_add_test (tc, the_descriptor_stays_readable_while_results_are_left);
  tcase_add_test (tc, the_group_of_a_thrower_goes_on);
  tcase_add_test (tc, a_group_whose_last_member_throws_finishes);
  tcase_add_test (tc, the_finish_of_a_group_may_throw);
  tcase_add_test (tc, a_nested_poll_may_throw_into_the_outer_callback);
  tcase_add_test (tc, an_exception_may_pass_through_two_polls);
  tcase_add_test (tc, buffers_of_a_thrower_are_freed);
  return run_suite (suite);
}
