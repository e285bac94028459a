/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Cancellation: at each stage of a request's life, what becomes of what it
 * produced, and who may cancel what, when. */

#include "support.h"
#include "probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*****************************************************************************
 * Requests, and what became of them                                         *
 *****************************************************************************/

static void
probe_path (probe *p, int type, const char *path)
{
  probe_fill (p, type);
  p->req.ptr1 = (char *)path;
}

static void
probe_fd (probe *p, int type, int fd)
{
  probe_fill (p, type);
  p->req.int1 = fd;
}

/* Only destroy was called, once, with what is promised to be there. */
static void
assert_cancelled (const probe *p)
{
  assert_dropped (p);
  ck_assert_int_eq (p->result, -1);
  ck_assert_int_eq (p->errorno, ECANCELED);
}

static void
assert_gave (const probe *p, eio_ssize_t result)
{
  assert_done (p);
  ck_assert_int_eq (p->result, result);
  ck_assert_int_eq (p->errorno, 0);
}

static void
assert_counters_are_zero (void)
{
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
}

static int
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

/* What the library closes on its own, it closes without telling. */
static void
await_fds (int n)
{
  wait_until ((eio_poll (), count_fds () == n));
}

/*****************************************************************************
 * Getting a request to a stage of its life                                  *
 *****************************************************************************/

/* Loop tests: cancelled in the queue, or with the result pending. */
enum
{
  QUEUED,
  EXECUTED,
  STAGES
};

/* Submits to the paused pool. */
static void
submit_until (int stage, probe *p)
{
  eio_submit (&p->req);
  if (stage == EXECUTED)
    execute_all ();
}

/* Brings everything to an end, the library's own work in workers too. */
static void
finish_all (void)
{
  resume (1);
  host_drain ();
  eio_set_max_parallel (0);
  assert_counters_are_zero ();
}

static void
cancel_at (int stage, probe *p)
{
  submit_until (stage, p);
  eio_cancel (&p->req);
  ck_assert (EIO_CANCELLED (&p->req));
  finish_all ();
}

static void
run_held (eio_req *req)
{
  stay (req);
  probe_run (req);
}

/* Has a worker execute a request until sem_post (&let_go). */
static void
hold_worker (probe *p)
{
  prepare_stays ();
  probe_fill (p, EIO_CUSTOM);
  p->req.feed = run_held;
  resume (1);
  eio_submit (&p->req);
  await_arrivals (1);
}

/*****************************************************************************
 * Execution and callbacks                                                   *
 *****************************************************************************/

START_TEST (queued_request_never_executes)
{
  probe p;
  start_paused ();
  probe_fill (&p, EIO_CUSTOM);
  cancel_at (QUEUED, &p);
  assert_cancelled (&p);
  ck_assert_int_eq (p.runs, 0);
}
END_TEST

START_TEST (executed_request_still_counts_as_cancelled)
{
  probe p;
  start_paused ();
  probe_fill (&p, EIO_CUSTOM);
  cancel_at (EXECUTED, &p);
  assert_cancelled (&p);
  ck_assert_int_eq (p.runs, 1);
}
END_TEST

START_TEST (executing_request_goes_on_but_is_not_finished)
{
  probe p;
  start_paused ();
  hold_worker (&p);
  eio_cancel (&p.req);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (p.destroys, 0);
  ck_assert_uint_eq (eio_nreqs (), 1);
  sem_post (&let_go);
  finish_all ();
  assert_cancelled (&p);
  ck_assert_int_eq (p.runs, 1);
}
END_TEST

/* A long-running function of the caller's can stop early itself. */
static void
run_until_cancelled (eio_req *req)
{
  sem_post (&arrived);
  while (!EIO_CANCELLED (req))
    sched_yield ();
  probe_run (req);
}

START_TEST (executing_function_sees_the_mark)
{
  probe p;
  start_paused ();
  prepare_stays ();
  probe_fill (&p, EIO_CUSTOM);
  p.req.feed = run_until_cancelled;
  resume (1);
  eio_submit (&p.req);
  await_arrivals (1);
  eio_cancel (&p.req);
  finish_all ();
  assert_cancelled (&p);
  ck_assert_int_eq (p.runs, 1);
}
END_TEST

START_TEST (failed_request_is_cancelled_like_any_other)
{
  probe p;
  start_paused ();
  probe_path (&p, EIO_STAT, scratch_path ("none"));
  cancel_at (EXECUTED, &p);
  assert_cancelled (&p);
}
END_TEST

/* What must not happen to "file" when the request is cancelled in time. */
enum
{
  EFFECTS = 9
};

static void
fill_effects (probe *p, int fd, char *buf)
{
  const char *file = scratch_path ("file"), *other = scratch_path ("other");
  probe_path (&p[0], EIO_UNLINK, file);
  probe_path (&p[1], EIO_TRUNCATE, file);
  probe_path (&p[2], EIO_CHMOD, file);
  probe_path (&p[3], EIO_RENAME, file);
  p[3].req.ptr2 = (char *)other;
  probe_path (&p[4], EIO_LINK, file);
  p[4].req.ptr2 = (char *)other;
  probe_path (&p[5], EIO_MKDIR, other);
  p[5].req.int2 = 0777;
  probe_fd (&p[6], EIO_FTRUNCATE, fd);
  probe_fd (&p[7], EIO_WRITE, fd);
  p[7].req.ptr2 = buf;
  p[7].req.size = 1;
  probe_fd (&p[8], EIO_READ, fd);
  p[8].req.ptr2 = buf;
  p[8].req.size = 1;
}

START_TEST (queued_requests_leave_no_trace)
{
  probe p[EFFECTS];
  struct stat before, after;
  char text[4] = "", buf[] = "x";
  int i, fd;
  start_paused ();
  write_file (scratch_path ("file"), "abc", 3);
  fd = open (scratch_path ("file"), O_RDWR);
  ck_assert_int_eq (fstat (fd, &before), 0);
  fill_effects (p, fd, buf);
  for (i = 0; i < EFFECTS; ++i)
    eio_submit (&p[i].req);
  for (i = 0; i < EFFECTS; ++i)
    eio_cancel (&p[i].req);
  finish_all ();
  for (i = 0; i < EFFECTS; ++i)
    assert_cancelled (&p[i]);
  ck_assert_int_eq (stat (scratch_path ("file"), &after), 0);
  ck_assert_int_eq (after.st_mode, before.st_mode);
  ck_assert_int_eq (after.st_nlink, 1);
  ck_assert_int_eq (pread (fd, text, 4, 0), 3);
  ck_assert_str_eq (text, "abc");
  ck_assert_str_eq (buf, "x");
  ck_assert_int_eq (access (scratch_path ("other"), F_OK), -1);
  close (fd);
}
END_TEST

START_TEST (wrapped_requests_are_cancelled)
{
  outcome o = { 0 };
  eio_req *reqs[3];
  int i, before;
  start_paused ();
  before = count_fds ();
  reqs[0] = eio_open (scratch (), O_RDONLY, 0, 0, note, &o);
  reqs[1] = eio_stat (scratch (), 0, note, &o);
  reqs[2] = eio_readdir (scratch (), EIO_READDIR_DENTS, 0, note, &o);
  if (_i == EXECUTED)
    execute_all ();
  for (i = 0; i < 3; ++i)
    eio_cancel (reqs[i]);
  finish_all ();
  ck_assert_int_eq (o.calls, 0);
  await_fds (before);
}
END_TEST

START_TEST (null_callbacks_are_fine)
{
  eio_req req;
  host_start ();
  eio_cancel (0);
  eio_set_max_parallel (0);
  memset (&req, 0, sizeof req);
  req.type = EIO_NOP;
  eio_submit (&req);
  if (_i == EXECUTED)
    execute_all ();
  eio_cancel (&req);
  finish_all ();
  ck_assert_int_eq (req.result, -1);
  ck_assert_int_eq (req.errorno, ECANCELED);
}
END_TEST

START_TEST (cancelled_requests_leave_the_counters)
{
  probe p[4];
  int i;
  start_paused ();
  for (i = 0; i < 4; ++i)
    {
      probe_submit (&p[i], EIO_CUSTOM);
      if (i == 1)
        execute_all ();
    }
  eio_cancel (&p[0].req); /* executed, like 1 */
  eio_cancel (&p[2].req); /* queued, like 3 */
  while (!p[1].destroys)
    host_poll ();
  resume (1);
  while (!p[3].destroys)
    host_poll ();
  assert_counters_are_zero ();
  assert_cancelled (&p[0]);
  assert_cancelled (&p[2]);
  assert_gave (&p[1], 7);
  assert_gave (&p[3], 7);
}
END_TEST

/*****************************************************************************
 * Cancelling twice, late, and from callbacks                                *
 *****************************************************************************/

/* A second release of the descriptor would hit the file that is opened in
 * its place. */
START_TEST (cancelling_twice_is_harmless)
{
  probe p;
  int fd, before;
  start_paused ();
  before = count_fds ();
  probe_path (&p, EIO_OPEN, scratch ());
  submit_until (_i, &p);
  eio_cancel (&p.req);
  eio_cancel (&p.req);
  resume (1);
  host_drain ();
  assert_cancelled (&p);
  await_fds (before);
  fd = open (scratch (), O_RDONLY);
  eio_poll ();
  eio_set_max_parallel (0);
  ck_assert (is_open (fd));
  close (fd);
}
END_TEST

static int
cancel_itself (eio_req *req)
{
  eio_cancel (req);
  return probe_finished (req);
}

START_TEST (cancelling_in_its_own_finish_is_harmless)
{
  probe p, g;
  start_paused ();
  probe_fill (&p, EIO_CUSTOM);
  p.req.finish = cancel_itself;
  probe_fill (&g, EIO_GROUP);
  g.req.finish = cancel_itself;
  eio_submit (&g.req);
  eio_submit (&p.req);
  ck_assert_int_eq (eio_grp_add (&g.req, &p.req), 0);
  finish_all ();
  assert_gave (&p, 7);
  assert_gave (&g, 0);
}
END_TEST

/* The callback got the descriptor, so it is not the library's to close. */
START_TEST (what_finish_received_is_not_released)
{
  probe p;
  start_paused ();
  probe_path (&p, EIO_OPEN, scratch ());
  p.req.finish = cancel_itself;
  eio_submit (&p.req);
  finish_all ();
  ck_assert_int_ge (p.result, 0);
  assert_gave (&p, p.result);
  ck_assert (is_open (p.result));
  close (p.result);
}
END_TEST

START_TEST (wd_that_finish_received_is_not_released)
{
  probe p;
  start_paused ();
  probe_path (&p, EIO_WD_OPEN, scratch ());
  p.req.finish = cancel_itself;
  eio_submit (&p.req);
  finish_all ();
  assert_gave (&p, 0);
  ck_assert_ptr_ne (p.wd, EIO_INVALID_WD);
  ck_assert (is_open (*(int *)p.wd));
  eio_wd_close_sync (p.wd);
}
END_TEST

static int
take_buffer (eio_req *req)
{
  req->flags &= ~EIO_FLAG_PTR2_FREE;
  return cancel_itself (req);
}

START_TEST (buffer_that_finish_took_is_not_freed)
{
  probe p;
  start_paused ();
  write_file (scratch_path ("file"), "abc", 3);
  probe_path (&p, EIO_SLURP, scratch_path ("file"));
  p.req.finish = take_buffer;
  eio_submit (&p.req);
  finish_all ();
  assert_gave (&p, 3);
  ck_assert_mem_eq (p.req.ptr2, "abc", 3);
  free (p.req.ptr2);
}
END_TEST

static probe sibling;

static int
cancel_sibling (eio_req *req)
{
  eio_cancel (&sibling.req);
  return probe_finished (req);
}

/* Both results are pending when the first is handed out. */
START_TEST (a_callback_can_cancel_a_sibling)
{
  probe p;
  int before;
  start_paused ();
  before = count_fds ();
  probe_fill (&p, EIO_CUSTOM);
  p.req.finish = cancel_sibling;
  probe_path (&sibling, EIO_OPEN, scratch ());
  eio_submit (&p.req);
  eio_submit (&sibling.req);
  if (_i == EXECUTED)
    execute_all ();
  finish_all ();
  assert_gave (&p, 7);
  assert_cancelled (&sibling);
  await_fds (before);
}
END_TEST

START_TEST (a_callback_can_cancel_a_sibling_group)
{
  probe p, m;
  start_paused ();
  probe_fill (&p, EIO_CUSTOM);
  p.req.pri = EIO_PRI_MAX;
  p.req.finish = cancel_sibling;
  probe_fill (&sibling, EIO_GROUP);
  probe_fill (&m, EIO_CUSTOM);
  eio_submit (&p.req);
  eio_submit (&sibling.req);
  eio_submit (&m.req);
  ck_assert_int_eq (eio_grp_add (&sibling.req, &m.req), 0);
  if (_i == EXECUTED)
    execute_all ();
  finish_all ();
  assert_gave (&p, 7);
  assert_cancelled (&m);
  assert_dropped (&sibling);
}
END_TEST

/*****************************************************************************
 * Groups                                                                    *
 *****************************************************************************/

enum
{
  FAN = 4,
  TREE = 1 + FAN + FAN * FAN
};

/* A group of FAN groups of FAN customs; root first, then breadth first. */
static void
submit_tree (probe *t)
{
  int i;
  for (i = 0; i < TREE; ++i)
    {
      probe_submit (&t[i], i <= FAN ? EIO_GROUP : EIO_CUSTOM);
      if (i)
        eio_grp_add (&t[(i - 1) / FAN].req, &t[i].req);
    }
}

START_TEST (group_is_cancelled_with_all_its_members)
{
  probe t[TREE];
  int i;
  start_paused ();
  submit_tree (t);
  if (_i == EXECUTED)
    execute_all ();
  eio_cancel (&t[0].req);
  for (i = 0; i < TREE; ++i)
    ck_assert (EIO_CANCELLED (&t[i].req));
  finish_all ();
  for (i = 0; i < TREE; ++i)
    {
      assert_dropped (&t[i]);
      ck_assert_int_eq (t[i].runs, _i == EXECUTED && i > FAN);
      if (i > FAN)
        assert_cancelled (&t[i]);
    }
}
END_TEST

/* After eio_poll looked at the groups and some members are gone. */
START_TEST (cancelling_an_inner_group_spares_the_others)
{
  probe t[TREE];
  int i, inner;
  start_paused ();
  submit_tree (t);
  ck_assert_int_eq (eio_poll (), 0);
  eio_cancel (&t[1].req);
  finish_all ();
  for (i = 0; i < TREE; ++i)
    {
      inner = i == 1 || (i > FAN && (i - 1) / FAN == 1);
      ck_assert_int_eq (t[i].finishes, !inner);
      ck_assert_int_eq (t[i].destroys, 1);
      ck_assert_int_eq (t[i].runs, !inner && i > FAN);
    }
}
END_TEST

START_TEST (cancelled_group_waits_for_a_member_that_executes)
{
  probe g, m;
  start_paused ();
  hold_worker (&m);
  probe_submit (&g, EIO_GROUP);
  ck_assert_int_eq (eio_grp_add (&g.req, &m.req), 0);
  eio_cancel (&g.req);
  ck_assert_int_eq (eio_poll (), 0);
  assert_live (&m);
  assert_live (&g);
  sem_post (&let_go);
  finish_all ();
  assert_cancelled (&m);
  assert_dropped (&g);
}
END_TEST

START_TEST (empty_group_is_cancelled)
{
  probe g;
  host_start ();
  probe_submit (&g, EIO_GROUP);
  eio_cancel (&g.req);
  ck_assert_int_eq (eio_poll (), 0);
  assert_dropped (&g);
  assert_counters_are_zero ();
}
END_TEST

START_TEST (descriptors_of_a_cancelled_group_are_released)
{
  probe g, m[8];
  int i, before;
  start_paused ();
  before = count_fds ();
  probe_submit (&g, EIO_GROUP);
  for (i = 0; i < 8; ++i)
    {
      probe_path (&m[i], i & 1 ? EIO_WD_OPEN : EIO_OPEN, scratch ());
      eio_submit (&m[i].req);
      eio_grp_add (&g.req, &m[i].req);
      if (i == 3)
        execute_all ();
    }
  eio_cancel (&g.req);
  finish_all ();
  for (i = 0; i < 8; ++i)
    assert_cancelled (&m[i]);
  await_fds (before);
}
END_TEST

/*****************************************************************************
 * Descriptors and working directories                                       *
 *****************************************************************************/

START_TEST (close_executes_although_cancelled)
{
  probe p;
  int fd = open (scratch (), O_RDONLY);
  start_paused ();
  probe_fd (&p, EIO_CLOSE, fd);
  cancel_at (_i, &p);
  assert_dropped (&p);
  ck_assert (!is_open (fd));
}
END_TEST

START_TEST (wd_close_executes_although_cancelled)
{
  probe p;
  eio_wd wd = eio_wd_open_sync (EIO_CWD, scratch ());
  int fd;
  ck_assert_ptr_ne (wd, EIO_INVALID_WD);
  fd = *(int *)wd;
  ck_assert (is_open (fd));
  start_paused ();
  probe_fill (&p, EIO_WD_CLOSE);
  p.req.wd = wd;
  cancel_at (_i, &p);
  assert_dropped (&p);
  ck_assert (!is_open (fd));
}
END_TEST

START_TEST (cancelled_open_leaves_no_descriptor)
{
  probe p;
  int before;
  start_paused ();
  before = count_fds ();
  probe_path (&p, EIO_OPEN, scratch ());
  cancel_at (_i, &p);
  assert_cancelled (&p);
  await_fds (before);
}
END_TEST

START_TEST (cancelled_open_that_failed_closes_nothing)
{
  probe p;
  int before;
  start_paused ();
  before = count_fds ();
  probe_path (&p, EIO_OPEN, scratch_path ("none"));
  cancel_at (EXECUTED, &p);
  assert_cancelled (&p);
  await_fds (before);
}
END_TEST

START_TEST (descriptor_0_of_a_cancelled_open_is_closed)
{
  probe p;
  start_paused ();
  close (0);
  probe_path (&p, EIO_OPEN, scratch ());
  submit_until (EXECUTED, &p);
  ck_assert (is_open (0));
  eio_cancel (&p.req);
  finish_all ();
  assert_cancelled (&p);
  wait_until (!is_open (0));
}
END_TEST

/* Opening a FIFO waits for a writer.  Where the mark arrives before the
 * worker gets to open, it does not execute at all, which is right too. */
static int
cancel_blocked_open (const char *fifo)
{
  probe p;
  int writer = -1;
  probe_path (&p, EIO_OPEN, fifo);
  resume (1);
  eio_submit (&p.req);
  wait_until (eio_nready () == 0);
  nap (1); /* more likely, it waits by now; either way is right */
  eio_cancel (&p.req);
  wait_until ((writer = open (fifo, O_WRONLY | O_NONBLOCK)) >= 0
              || eio_npending ());
  finish_all ();
  assert_cancelled (&p);
  if (writer >= 0)
    close (writer);
  return writer >= 0;
}

START_TEST (open_cancelled_while_it_executes_leaves_no_descriptor)
{
  const char *fifo = scratch_path ("fifo");
  int round, before, blocked = 0;
  ck_assert_int_eq (mkfifo (fifo, 0666), 0);
  start_paused ();
  before = count_fds ();
  for (round = 0; round < 10 || (!blocked && round < 1000); ++round)
    {
      blocked += cancel_blocked_open (fifo);
      await_fds (before);
    }
  ck_assert_int_gt (blocked, 0);
}
END_TEST

START_TEST (cancelled_wd_open_leaves_no_descriptor)
{
  probe p;
  int before;
  start_paused ();
  before = count_fds ();
  probe_path (&p, EIO_WD_OPEN, scratch ());
  cancel_at (_i, &p);
  assert_cancelled (&p);
  ck_assert_ptr_eq (p.wd, EIO_INVALID_WD);
  await_fds (before);
}
END_TEST

START_TEST (cancelled_wd_open_that_failed_closes_nothing)
{
  probe p;
  int before;
  start_paused ();
  before = count_fds ();
  probe_path (&p, EIO_WD_OPEN, scratch_path ("none"));
  cancel_at (EXECUTED, &p);
  assert_cancelled (&p);
  ck_assert_ptr_eq (p.wd, EIO_INVALID_WD);
  await_fds (before);
}
END_TEST

/* wd is where the request takes the base from, and leaves the result. */
START_TEST (cancelled_wd_open_spares_its_base)
{
  probe p;
  eio_wd base = eio_wd_open_sync (EIO_CWD, scratch ());
  int before;
  ck_assert_ptr_ne (base, EIO_INVALID_WD);
  start_paused ();
  before = count_fds ();
  probe_path (&p, EIO_WD_OPEN, ".");
  p.req.wd = base;
  cancel_at (_i, &p);
  assert_cancelled (&p);
  ck_assert_ptr_eq (p.wd, EIO_INVALID_WD);
  await_fds (before);
  ck_assert (is_open (*(int *)base));
  eio_wd_close_sync (base);
}
END_TEST

static const int openers[] = { EIO_OPEN, EIO_WD_OPEN };

/* The only worker is held, so nobody but the poll thread could close. */
START_TEST (what_was_opened_is_closed_by_a_worker)
{
  probe p, held;
  int before;
  start_paused ();
  before = count_fds ();
  probe_path (&p, openers[_i], scratch ());
  submit_until (EXECUTED, &p);
  hold_worker (&held);
  eio_cancel (&p.req);
  ck_assert_int_eq (host_poll (), 0);
  assert_cancelled (&p);
  ck_assert_int_eq (count_fds (), before + 1);
  ck_assert_uint_eq (eio_nreqs (), 1);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  sem_post (&let_go);
  while (count_fds () > before)
    ck_assert_uint_le (eio_npending (), 1);
  ck_assert_uint_eq (eio_npending (), 1); /* the one that was held */
  ck_assert_uint_eq (eio_nreqs (), 1);
  finish_all ();
  assert_gave (&held, 7);
  ck_assert_uint_eq (eio_npending (), 0);
}
END_TEST

/* The limit becomes 0 before eio_poll finds the request cancelled, or right
 * after it. */
START_TEST (what_was_opened_is_closed_without_workers_too)
{
  probe p;
  int before, after = _i & 2;
  start_paused ();
  before = count_fds ();
  probe_path (&p, openers[_i & 1], scratch ());
  submit_until (EXECUTED, &p);
  ck_assert_int_eq (count_fds (), before + 1);
  eio_cancel (&p.req);
  if (after)
    resume (1);
  ck_assert_int_eq (host_poll (), 0);
  eio_set_max_parallel (0);
  await_fds (before);
  assert_cancelled (&p);
  ck_assert_uint_eq (eio_nthreads (), 0);
}
END_TEST

/*****************************************************************************
 * Memory and long operations                                                *
 *****************************************************************************/

/* Requests whose results are in memory of the library's; leaks show under a
 * leak checker. */
static const struct
{
  int type;
  const char *path; /* null: the descriptor of "file" */
  int flags;
} producers[] = {
  { EIO_READ, 0, 0 },
  { EIO_FSTAT, 0, 0 },
  { EIO_FSTATVFS, 0, 0 },
  { EIO_STAT, "file", 0 },
  { EIO_LSTAT, "link", 0 },
  { EIO_STATVFS, "file", 0 },
  { EIO_SLURP, "file", 0 },
  { EIO_READLINK, "link", 0 },
  { EIO_REALPATH, "link", 0 },
  { EIO_READDIR, ".", 0 },
  { EIO_READDIR, ".", EIO_READDIR_DENTS },
  { EIO_READDIR, ".",
    EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST | EIO_READDIR_STAT_ORDER },
};
enum
{
  PRODUCERS = sizeof producers / sizeof *producers
};

static int
make_files (void)
{
  write_file (scratch_path ("file"), "abc", 3);
  ck_assert_int_eq (symlink ("file", scratch_path ("link")), 0);
  return open (scratch_path ("file"), O_RDONLY);
}

START_TEST (memory_of_a_cancelled_request_is_freed)
{
  probe p;
  int fd = make_files (), before;
  start_paused ();
  before = count_fds ();
  probe_fd (&p, producers[_i].type, fd);
  p.req.size = 3;
  if (producers[_i].path)
    {
      p.req.ptr1 = (char *)scratch_path (producers[_i].path);
      p.req.int1 = producers[_i].flags;
    }
  submit_until (EXECUTED, &p);
  eio_cancel (&p.req);
  finish_all ();
  assert_cancelled (&p);
  await_fds (before);
  close (fd);
}
END_TEST

/* In bytes. */
static double
resident_memory (void)
{
  long pages = 0;
  FILE *f = fopen ("/proc/self/statm", "r");
  ck_assert_ptr_nonnull (f);
  ck_assert_int_eq (fscanf (f, "%*d %ld", &pages), 1);
  fclose (f);
  return (double)pages * (double)sysconf (_SC_PAGESIZE);
}

static const int fillers[] = { EIO_READ, EIO_SLURP };

/* Also without a leak checker: 512 MiB would add up. */
START_TEST (big_buffers_do_not_pile_up)
{
  enum
  {
    ROUNDS = 64,
    SIZE = 8 << 20
  };
  const char *file = scratch_path ("sparse");
  probe p;
  int round, fd = open (file, O_RDWR | O_CREAT, 0666);
  double before;
  ck_assert_int_eq (ftruncate (fd, SIZE), 0);
  start_paused ();
  before = resident_memory ();
  for (round = 0; round < ROUNDS; ++round)
    {
      probe_path (&p, fillers[_i], file);
      p.req.int1 = fd;
      p.req.size = SIZE;
      submit_until (EXECUTED, &p);
      ck_assert_int_eq (p.req.result, 0);
      eio_cancel (&p.req);
      finish_all ();
      assert_cancelled (&p);
    }
  ck_assert (resident_memory () - before < 0.75 * ROUNDS * SIZE);
  close (fd);
}
END_TEST

START_TEST (the_callers_buffer_is_left_alone)
{
  probe p;
  char buf[4] = "xyz";
  int fd = make_files ();
  start_paused ();
  probe_fd (&p, EIO_READ, fd);
  p.req.ptr2 = buf;
  p.req.size = 3;
  cancel_at (_i, &p);
  assert_cancelled (&p);
  ck_assert_str_eq (buf, _i == EXECUTED ? "abc" : "xyz");
  close (fd);
}
END_TEST

enum
{
  NAMES = 8000
};

/* Makes a directory that takes some time to read: long names, which are
 * links to one file because that is faster. */
static const char *
make_big_directory (void)
{
  const char *path = scratch_path ("big");
  int i, dir;
  char name[256];
  ck_assert_int_eq (mkdir (path, 0777), 0);
  dir = open (path, O_RDONLY);
  ck_assert_int_ge (dir, 0);
  ck_assert_int_eq (mknodat (dir, "0", S_IFREG | 0666, 0), 0);
  for (i = 1; i < NAMES; ++i)
    {
      snprintf (name, sizeof name, "%0200d", i);
      ck_assert_int_eq (linkat (dir, "0", dir, name, 0), 0);
    }
  close (dir);
  return path;
}

/* Shares the read position of the worker that has this directory open: -1
 * when none has.  Goes past the C library, for tools that take a look at
 * another thread's descriptor for a race. */
static int
dup_of_directory (const struct stat *st)
{
  char name[32];
  struct stat now;
  int fd, copy;
  for (fd = 3; fd < 64; ++fd)
    {
      snprintf (name, sizeof name, "/proc/self/fd/%d", fd);
      if (stat (name, &now) || now.st_ino != st->st_ino
          || now.st_dev != st->st_dev)
        continue;
      copy = (int)syscall (SYS_dup, fd);
      if (copy >= 0 && !fstat (copy, &now) && now.st_ino == st->st_ino)
        return copy;
      if (copy >= 0)
        close (copy);
    }
  return -1;
}

/* Closes the descriptor. */
static int
entries_left (int fd)
{
  int n = 0;
  DIR *d = fdopendir (fd);
  ck_assert_ptr_nonnull (d);
  while (readdir (d))
    ++n;
  closedir (d);
  return n;
}

/* Cancels as soon as the directory is seen to be open.  Returns how many
 * entries the request has left unread; 0 also when it was too fast. */
static int
cancel_running_readdir (const char *path, const struct stat *st, int flags)
{
  probe p;
  int fd = -1;
  probe_path (&p, EIO_READDIR, path);
  p.req.int1 = flags;
  resume (1);
  eio_submit (&p.req);
  while ((fd = dup_of_directory (st)) < 0 && !eio_npending ())
    sched_yield ();
  eio_cancel (&p.req);
  finish_all ();
  assert_cancelled (&p);
  return fd >= 0 ? entries_left (fd) : 0;
}

START_TEST (readdir_cancelled_while_it_executes_stops_early)
{
  const int flags = EIO_READDIR_DENTS | EIO_READDIR_STAT_ORDER;
  const char *path = make_big_directory ();
  struct stat st;
  int round, before, stopped = 0;
  ck_assert_int_eq (stat (path, &st), 0);
  start_paused ();
  before = count_fds ();
  for (round = 0; round < 100 && !stopped; ++round)
    {
      stopped = cancel_running_readdir (path, &st, round & 1 ? flags : 0);
      await_fds (before);
    }
  ck_assert_int_gt (stopped, 0);
}
END_TEST

static int
is_resident (char *page)
{
  unsigned char vec = 0;
  ck_assert_int_eq (mincore (page, (size_t)sysconf (_SC_PAGESIZE), &vec), 0);
  return vec & 1;
}

/* Cancels as soon as the first page has been touched.  Returns whether the
 * last one has not. */
static int
cancel_running_mtouch (size_t size)
{
  probe p;
  char *m, *last;
  int stopped;
  m = mmap (0, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            -1, 0);
  ck_assert_ptr_ne (m, MAP_FAILED);
#ifdef MADV_NOHUGEPAGE
  madvise (m, size, MADV_NOHUGEPAGE);
#endif
  last = m + size - sysconf (_SC_PAGESIZE);
  if (is_resident (last)) /* some sandboxes say so of everything */
    return 1;
  probe_fill (&p, EIO_MTOUCH);
  p.req.ptr2 = m;
  p.req.size = size;
  resume (1);
  eio_submit (&p.req);
  while (!is_resident (m) && !eio_npending ())
    sched_yield ();
  eio_cancel (&p.req);
  finish_all ();
  assert_cancelled (&p);
  stopped = !is_resident (last);
  munmap (m, size);
  return stopped;
}

START_TEST (mtouch_cancelled_while_it_executes_stops_early)
{
  int round, stopped = 0;
  start_paused ();
  for (round = 0; round < 50 && !stopped; ++round)
    stopped = cancel_running_mtouch ((size_t)512 << 20);
  ck_assert_int_eq (stopped, 1);
}
END_TEST

static off_t
size_of (int fd)
{
  struct stat st;
  ck_assert_int_eq (fstat (fd, &st), 0);
  return st.st_size;
}

/* Cancels as soon as something has been copied.  Returns how much is there
 * in the end.  sendfile(2) does not append, so it is done by hand. */
static off_t
cancel_running_sendfile (int in, off_t size)
{
  probe p;
  off_t copied;
  int out = open (scratch_path ("copy"), O_RDWR | O_CREAT | O_APPEND, 0666);
  ck_assert_int_ge (out, 0);
  probe_fd (&p, EIO_SENDFILE, out);
  p.req.int2 = in;
  p.req.size = size;
  resume (1);
  eio_submit (&p.req);
  while (!size_of (out) && !eio_npending ())
    sched_yield ();
  eio_cancel (&p.req);
  finish_all ();
  assert_cancelled (&p);
  copied = size_of (out);
  ck_assert_int_eq (ftruncate (out, 0), 0);
  close (out);
  return copied;
}

START_TEST (sendfile_cancelled_while_it_executes_stops_early)
{
  const off_t size = (off_t)128 << 20;
  int round, in = open (scratch_path ("in"), O_RDWR | O_CREAT, 0666);
  off_t copied = size;
  ck_assert_int_eq (ftruncate (in, size), 0);
  start_paused ();
  for (round = 0; round < 20 && copied == size; ++round)
    copied = cancel_running_sendfile (in, size);
  ck_assert_int_lt (copied, size);
  close (in);
}
END_TEST

/*****************************************************************************
 * Requests whose memory is gone                                             *
 *****************************************************************************/

static const int paged_types[]
  = { EIO_NOP, EIO_CUSTOM, EIO_OPEN, EIO_READ, EIO_GROUP };

/* What becomes of a request.  AGAIN: its finish submits it once more; NESTED:
 * and polls until it is gone. */
enum
{
  CANCELLED_QUEUED,
  CANCELLED_EXECUTED,
  FINISHED,
  AGAIN,
  NESTED,
  FATES
};

enum
{
  PAGED_MEMBERS = 2
};

static eio_req *resubmitted;
static int poll_nested, pages_gone, file_to_read;

static void
take_page (eio_req *req)
{
  ++pages_gone;
  ck_assert_int_eq (mprotect (req, (size_t)sysconf (_SC_PAGESIZE), PROT_NONE),
                    0);
}

static void
execute_nothing (eio_req *req)
{
  (void)req;
}

static int finish_paged (eio_req *req);

static void
fill_paged (eio_req *req, int type)
{
  memset (req, 0, sizeof *req);
  req->type = type;
  req->finish = finish_paged;
  req->destroy = take_page;
  req->ptr1 = type == EIO_OPEN ? (char *)scratch () : 0;
  req->int1 = type == EIO_READ ? file_to_read : 0;
  req->size = type == EIO_READ ? 3 : 0;
  req->feed = type == EIO_CUSTOM ? execute_nothing : 0;
}

static int
finish_paged (eio_req *req)
{
  ++finishes;
  ck_assert_int_ge (req->result, 0);
  if (req->type == EIO_OPEN)
    close (req->result);
  if (req != resubmitted)
    return 0;
  resubmitted = 0;
  free (eio_take_buffer (req));
  fill_paged (req, req->type);
  eio_submit (req);
  if (poll_nested)
    {
      host_drain ();
      ck_assert_int_eq (finishes, pages_gone + 1);
    }
  return 0;
}

/* Alone in a page. */
static eio_req *
submit_paged (int type)
{
  eio_req *req = mmap (0, (size_t)sysconf (_SC_PAGESIZE),
                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
  ck_assert_ptr_ne (req, MAP_FAILED);
  fill_paged (req, type);
  eio_submit (req);
  return req;
}

/* Any access ends the test, also one while later requests are under way. */
START_TEST (nothing_is_touched_after_destroy)
{
  int type = paged_types[_i % LENGTH (paged_types)];
  int fate = _i / LENGTH (paged_types), before, i, pages = 1;
  eio_req *req;
  file_to_read = make_files ();
  start_paused ();
  before = count_fds ();
  req = submit_paged (type);
  for (i = 0; type == EIO_GROUP && i < PAGED_MEMBERS; ++i, ++pages)
    ck_assert_int_eq (eio_grp_add (req, submit_paged (EIO_NOP)), 0);
  if (fate != CANCELLED_QUEUED)
    execute_all ();
  if (fate < FINISHED)
    eio_cancel (req);
  resubmitted = fate > FINISHED ? req : 0;
  poll_nested = fate == NESTED;
  finish_all ();
  ck_assert_int_eq (pages_gone, pages);
  ck_assert_int_eq (finishes, fate < FINISHED ? 0 : pages + (fate > FINISHED));
  resume (1);
  for (i = 0; i < 10; ++i)
    eio_nop (i % 9 - 4, 0, 0);
  finish_all ();
  await_fds (before);
  close (file_to_read);
}
END_TEST

/*****************************************************************************
 * Many                                                                      *
 *****************************************************************************/

enum
{
  CROWD = 6000
};
static probe crowd[CROWD];
static int crowd_fd;

static unsigned
random_below (unsigned n)
{
  static unsigned state = 12345;
  state = state * 1103515245 + 12345;
  return (state >> 8) % n;
}

static int
close_result (eio_req *req)
{
  if (req->type == EIO_OPEN && req->result >= 0)
    close (req->result);
  if (req->type == EIO_WD_OPEN && !req->result)
    eio_wd_close_sync (req->wd);
  return probe_finished (req);
}

static void
crowd_submit (int i)
{
  static const int types[] = { EIO_CUSTOM, EIO_OPEN, EIO_WD_OPEN, EIO_READ,
                               EIO_STAT,   EIO_NOP,  EIO_READDIR, EIO_CUSTOM };
  probe *p = &crowd[i];
  probe_path (p, types[i % 8], scratch ());
  p->req.finish = close_result;
  p->req.pri = i % 3 - 1;
  if (p->req.type == EIO_READ)
    {
      p->req.int1 = crowd_fd;
      p->req.size = 3;
    }
  eio_submit (&p->req);
}

static int
crowd_start (void)
{
  host_start ();
  eio_set_min_parallel (8);
  crowd_fd = make_files ();
  return count_fds ();
}

/* On the poll thread it is certain: cancelled before finish means never
 * finished. */
START_TEST (under_load_each_is_finished_or_cancelled)
{
  int i, k, before = crowd_start (), cancelled = 0;
  for (i = 0; i < CROWD; ++i)
    {
      crowd_submit (i);
      for (k = 0; k < 3; ++k)
        {
          probe *p = &crowd[i - (int)random_below (i < 100 ? i + 1 : 100)];
          if (random_below (4) || p->destroys)
            continue;
          eio_cancel (&p->req);
          p->asked = 1;
        }
      if (!random_below (8))
        eio_poll ();
    }
  host_drain ();
  for (i = 0; i < CROWD; ++i)
    {
      ck_assert_int_eq (crowd[i].finishes, !crowd[i].asked);
      ck_assert_int_eq (crowd[i].destroys, 1);
      cancelled += crowd[i].asked;
    }
  ck_assert_int_gt (cancelled, 0);
  ck_assert_int_lt (cancelled, CROWD);
  assert_counters_are_zero ();
  await_fds (before);
  close (crowd_fd);
}
END_TEST

/* Guards destroys and asked of the crowd: who holds it knows which requests
 * are not destroyed yet. */
static pthread_mutex_t crowd_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int submitted;

static void
destroy_locked (eio_req *req)
{
  pthread_mutex_lock (&crowd_lock);
  probe_destroyed (req);
  pthread_mutex_unlock (&crowd_lock);
}

static void
cancel_one (int i)
{
  pthread_mutex_lock (&crowd_lock);
  if (!crowd[i].destroys)
    {
      eio_cancel (&crowd[i].req);
      crowd[i].asked = 1;
    }
  pthread_mutex_unlock (&crowd_lock);
}

/* Follows the submitter, and cancels every third of what was submitted. */
static void *
cancel_some (void *arg)
{
  int i;
  for (i = 0; i < CROWD; ++i)
    {
      while (submitted <= i)
        sched_yield ();
      if (i % 3 == 0)
        cancel_one (i);
    }
  return arg;
}

static void
submit_and_poll (void)
{
  int i;
  for (i = 0; i < CROWD; ++i)
    {
      probe *p = &crowd[i];
      probe_path (p, i % 2 ? EIO_OPEN : EIO_CUSTOM, scratch ());
      p->req.finish = close_result;
      p->req.destroy = destroy_locked;
      eio_submit (&p->req);
      submitted = i + 1;
      if (i % 16 == 0)
        eio_poll ();
    }
}

START_TEST (any_thread_may_cancel_plain_requests)
{
  int i, before = crowd_start ();
  pthread_t tid;
  ck_assert_int_eq (pthread_create (&tid, 0, cancel_some, 0), 0);
  submit_and_poll ();
  host_drain ();
  ck_assert_int_eq (pthread_join (tid, 0), 0);
  for (i = 0; i < CROWD; ++i)
    {
      const probe *p = &crowd[i];
      ck_assert_int_eq (p->destroys, 1);
      ck_assert_int_le (p->finishes, 1);
      ck_assert_int_le (p->runs, 1);
      if (!p->asked)
        ck_assert_int_eq (p->finishes, 1);
      if (!p->finishes)
        assert_cancelled (p);
    }
  assert_counters_are_zero ();
  await_fds (before);
  close (crowd_fd);
}
END_TEST

static atomic_int gone; /* requests of the crowd, in order */

static void
destroy_in_order (eio_req *req)
{
  destroy_locked (req);
  ++gone;
}

/* Aims at the request that eio_poll is at, or comes to next. */
static void *
chase_poll (void *arg)
{
  int next;
  for (next = 0; (next = gone + next % 2) < CROWD; ++next)
    cancel_one (next);
  return arg;
}

/* Each of them was either handed to finish as it was, or dropped as
 * cancelled; never half of this and half of that. */
START_TEST (cancelling_while_finish_is_near_is_all_or_nothing)
{
  pthread_t tid;
  int i;
  start_paused ();
  for (i = 0; i < CROWD; ++i)
    {
      probe_fill (&crowd[i], EIO_CUSTOM);
      crowd[i].req.destroy = destroy_in_order;
      eio_submit (&crowd[i].req);
    }
  execute_all ();
  ck_assert_int_eq (pthread_create (&tid, 0, chase_poll, 0), 0);
  host_drain ();
  ck_assert_int_eq (pthread_join (tid, 0), 0);
  for (i = 0; i < CROWD; ++i)
    if (crowd[i].finishes)
      assert_gave (&crowd[i], 7);
    else
      assert_cancelled (&crowd[i]);
}
END_TEST

/* Queued when they are cancelled, so the outcome is certain. */
START_TEST (any_thread_may_cancel_queued_requests)
{
  int i;
  pthread_t tid;
  start_paused ();
  for (i = 0; i < CROWD; ++i)
    probe_submit (&crowd[i], EIO_CUSTOM);
  submitted = CROWD;
  ck_assert_int_eq (pthread_create (&tid, 0, cancel_some, 0), 0);
  ck_assert_int_eq (pthread_join (tid, 0), 0);
  eio_set_min_parallel (4);
  host_drain ();
  for (i = 0; i < CROWD; ++i)
    {
      ck_assert_int_eq (crowd[i].finishes, i % 3 != 0);
      ck_assert_int_eq (crowd[i].runs, i % 3 != 0);
      ck_assert_int_eq (crowd[i].destroys, 1);
    }
  assert_counters_are_zero ();
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_life (Suite *s)
{
  TCase *tc = add_case (s, "life", 120, 0, 0);
  tcase_add_test (tc, queued_request_never_executes);
  tcase_add_test (tc, executed_request_still_counts_as_cancelled);
  tcase_add_test (tc, executing_request_goes_on_but_is_not_finished);
  tcase_add_test (tc, executing_function_sees_the_mark);
  tcase_add_test (tc, failed_request_is_cancelled_like_any_other);
  tcase_add_test (tc, queued_requests_leave_no_trace);
  tcase_add_loop_test (tc, wrapped_requests_are_cancelled, 0, STAGES);
  tcase_add_loop_test (tc, null_callbacks_are_fine, 0, STAGES);
  tcase_add_test (tc, cancelled_requests_leave_the_counters);
}

static void
add_callbacks (Suite *s)
{
  TCase *tc = add_case (s, "callbacks", 120, 0, 0);
  tcase_add_loop_test (tc, cancelling_twice_is_harmless, 0, STAGES);
  tcase_add_test (tc, cancelling_in_its_own_finish_is_harmless);
  tcase_add_test (tc, what_finish_received_is_not_released);
  tcase_add_test (tc, wd_that_finish_received_is_not_released);
  tcase_add_test (tc, buffer_that_finish_took_is_not_freed);
  tcase_add_loop_test (tc, a_callback_can_cancel_a_sibling, 0, STAGES);
  tcase_add_loop_test (tc, a_callback_can_cancel_a_sibling_group, 0, STAGES);
}

static void
add_groups (Suite *s)
{
  TCase *tc = add_case (s, "groups", 120, 0, 0);
  tcase_add_loop_test (tc, group_is_cancelled_with_all_its_members, 0, STAGES);
  tcase_add_test (tc, cancelling_an_inner_group_spares_the_others);
  tcase_add_test (tc, cancelled_group_waits_for_a_member_that_executes);
  tcase_add_test (tc, empty_group_is_cancelled);
  tcase_add_test (tc, descriptors_of_a_cancelled_group_are_released);
}

static void
add_descriptors (Suite *s)
{
  TCase *tc = add_case (s, "descriptors", 120, 0, 0);
  tcase_add_loop_test (tc, close_executes_although_cancelled, 0, STAGES);
  tcase_add_loop_test (tc, wd_close_executes_although_cancelled, 0, STAGES);
  tcase_add_loop_test (tc, cancelled_open_leaves_no_descriptor, 0, STAGES);
  tcase_add_test (tc, cancelled_open_that_failed_closes_nothing);
  tcase_add_test (tc, descriptor_0_of_a_cancelled_open_is_closed);
  tcase_add_test (tc, open_cancelled_while_it_executes_leaves_no_descriptor);
  tcase_add_loop_test (tc, cancelled_wd_open_leaves_no_descriptor, 0, STAGES);
  tcase_add_test (tc, cancelled_wd_open_that_failed_closes_nothing);
  tcase_add_loop_test (tc, cancelled_wd_open_spares_its_base, 0, STAGES);
  tcase_add_loop_test (tc, what_was_opened_is_closed_by_a_worker, 0, 2);
  tcase_add_loop_test (tc, what_was_opened_is_closed_without_workers_too, 0,
                       4);
}

static void
add_memory (Suite *s)
{
  TCase *tc = add_case (s, "memory", 120, 0, 0);
  tcase_add_loop_test (tc, memory_of_a_cancelled_request_is_freed, 0,
                       PRODUCERS);
  tcase_add_loop_test (tc, big_buffers_do_not_pile_up, 0, 2);
  tcase_add_loop_test (tc, the_callers_buffer_is_left_alone, 0, STAGES);
  tcase_add_test (tc, readdir_cancelled_while_it_executes_stops_early);
  tcase_add_test (tc, mtouch_cancelled_while_it_executes_stops_early);
  tcase_add_test (tc, sendfile_cancelled_while_it_executes_stops_early);
}

static void
add_destroyed (Suite *s)
{
  TCase *tc = add_case (s, "destroyed", 120, 0, 0);
  tcase_add_loop_test (tc, nothing_is_touched_after_destroy, 0,
                       FATES * LENGTH (paged_types));
}

static void
add_load (Suite *s)
{
  TCase *tc = add_case (s, "load", 120, 0, 0);
  tcase_add_test (tc, under_load_each_is_finished_or_cancelled);
  tcase_add_test (tc, any_thread_may_cancel_plain_requests);
  tcase_add_loop_test (tc, cancelling_while_finish_is_near_is_all_or_nothing,
                       0, 10);
  tcase_add_test (tc, any_thread_may_cancel_queued_requests);
}

int
main (void)
{
  Suite *suite = suite_create ("cancel");
  add_life (suite);
  add_callbacks (suite);
  add_groups (suite);
  add_descriptors (suite);
  add_memory (suite);
  add_destroyed (suite);
  add_load (suite);
  return run_suite (suite);
}
