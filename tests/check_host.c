/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What a host has beside want_poll, done_poll and eio_poll: a descriptor,
 * waiting, limits on what is outstanding, finish for cancelled requests,
 * getters, and functions in place of macros. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
# include <sys/eventfd.h>
#endif

#include "support.h"
#include "probe.h"

/*****************************************************************************
 * Helpers                                                                   *
 *****************************************************************************/

/* Waits so long for it to be readable. */
static int
readable_in (int fd, int ms)
{
  struct pollfd watch = { fd, POLLIN, 0 };
  int n;

  do
    n = poll (&watch, 1, ms);
  while (n < 0 && errno == EINTR);
  ck_assert_int_eq (watch.revents & ~POLLIN, 0);
  return n;
}

static int
readable (int fd)
{
  return readable_in (fd, 0);
}

static int
return_data (eio_req *req)
{
  ++finishes;
  return (int)(intptr_t)req->data;
}

static void
submit_nops (int n)
{
  while (n--)
    ck_assert_ptr_nonnull (eio_nop (n % 9 - 4, count, 0));
}

/* No callbacks: the descriptor is all that there is. */
static void
start_silent (void)
{
  prepare_stays ();
  ck_assert_int_eq (eio_init (0, 0), 0);
}

static void
start (void)
{
  prepare_stays ();
  host_start ();
}

/*****************************************************************************
 * The descriptor                                                            *
 *****************************************************************************/

START_TEST (descriptor_is_one_that_a_host_can_use)
{
  int fd = eio_poll_fd ();

  ck_assert_int_gt (fd, 0);
  ck_assert_int_eq (eio_poll_fd (), fd);
  ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);
  ck_assert_int_ne (fcntl (fd, F_GETFL) & O_NONBLOCK, 0);
  ck_assert_int_eq (readable (fd), 0);
}
END_TEST

START_TEST (descriptor_is_never_0)
{
  int saved = dup (0), fd;

  close (0);
  fd = eio_poll_fd ();
  ck_assert_int_gt (fd, 0);
  ck_assert_int_eq (fcntl (0, F_GETFD), -1);
  ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);
  dup2 (saved, 0);
}
END_TEST

START_TEST (descriptor_is_made_when_it_is_asked_for)
{
  int fds = count_fds ();

  submit_nops (1);
  host_drain ();
  ck_assert_int_eq (count_fds (), fds);
  eio_poll_fd ();
  eio_poll_fd ();
  ck_assert_int_eq (count_fds (), fds + 1);
}
END_TEST

/* With the host's callbacks, and without. */
START_TEST (descriptor_is_readable_while_results_are_pending)
{
  int fd = eio_poll_fd (), i;

  for (i = 0; i < 3; ++i)
    {
      submit_nops (1);
      ck_assert_int_eq (readable_in (fd, 10000), 1);
      ck_assert_int_eq (readable (fd), 1);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (finishes, i + 1);
      ck_assert_int_eq (readable (fd), 0);
    }
}
END_TEST

START_TEST (descriptor_made_late_knows_of_results)
{
  submit_nops (1);
  wait_until (eio_npending () == 1);
  ck_assert_int_eq (readable_in (eio_poll_fd (), 10000), 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (readable (eio_poll_fd ()), 0);
}
END_TEST

START_TEST (descriptor_stays_readable_where_eio_poll_stops_early)
{
  int fd = eio_poll_fd (), left;

  submit_nops (5);
  wait_until (eio_npending () == 5);
  eio_set_max_poll_reqs (2);
  for (left = 5; left; left = left > 2 ? left - 2 : 0)
    {
      ck_assert_int_eq (readable_in (fd, 10000), 1);
      ck_assert_int_eq (eio_poll (), left > 2 ? -1 : 0);
    }
  ck_assert_int_eq (readable (fd), 0);
}
END_TEST

START_TEST (descriptor_tells_of_groups)
{
  int fd = eio_poll_fd ();

  eio_grp (count, 0);
  ck_assert_int_eq (readable (fd), 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (readable (fd), 0);
}
END_TEST

static int
look_and_count (eio_req *req)
{
  ck_assert_int_eq (readable (eio_poll_fd ()), 1);
  return count (req);
}

START_TEST (descriptor_is_lowered_last)
{
  eio_poll_fd ();
  eio_nop (0, look_and_count, 0);
  host_drain ();
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (readable (eio_poll_fd ()), 0);
}
END_TEST

START_TEST (descriptor_lasts_over_eio_init)
{
  int fd = eio_poll_fd (), fds = count_fds ();

  static eio_req lost = { .type = EIO_NOP };

  eio_submit (&lost);
  ck_assert_int_eq (readable_in (fd, 10000), 1);
  ck_assert_int_eq (eio_init (0, 0), 0);
  ck_assert_int_eq (readable (fd), 0);
  ck_assert_int_eq (eio_poll_fd (), fd);
  ck_assert_int_eq (count_fds (), fds);

  submit_nops (1);
  ck_assert_int_eq (readable_in (fd, 10000), 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (readable (fd), 0);
  ck_assert_int_eq (finishes, 1);
}
END_TEST

START_TEST (lack_of_descriptors_is_told)
{
  struct rlimit all, none;
  int fd;

  getrlimit (RLIMIT_NOFILE, &all);
  none = all;
  none.rlim_cur = (rlim_t)dup (0);
  close ((int)none.rlim_cur);
  setrlimit (RLIMIT_NOFILE, &none);
  ck_assert_int_eq (eio_poll_fd (), -1);
  ck_assert_int_eq (errno, EMFILE);

  submit_nops (10); /* it waits all the same */
  while (eio_nreqs ())
    {
      ck_assert_int_gt (eio_poll_wait (10), 0);
      eio_poll ();
    }
  setrlimit (RLIMIT_NOFILE, &all);
  fd = eio_poll_fd ();
  ck_assert_int_gt (fd, 0);
  submit_nops (1);
  ck_assert_int_eq (readable_in (fd, 10000), 1);
}
END_TEST

/* A host that has nothing but the descriptor loses nothing, and is not woken
 * for nothing. */
START_TEST (descriptor_alone_drives_a_loop)
{
  enum { DEPTH = 64, N = 20000 };
  int fd = eio_poll_fd (), submitted = DEPTH;

  eio_set_min_parallel (4);
  submit_nops (DEPTH);
  while (finishes < N)
    {
      int before = finishes;

      ck_assert_msg (readable_in (fd, 20000) == 1, "lost after %d", finishes);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_msg (finishes > before, "woken for nothing");
      for (; submitted < finishes + DEPTH && submitted < N; ++submitted)
        submit_nops (1);
    }
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_int_eq (readable_in (fd, 20), 0);
}
END_TEST

/* With eio_init in the child, and without. */
START_TEST (child_has_a_descriptor_of_its_own)
{
  int fd = eio_poll_fd (), fds = count_fds (), status;
  pid_t pid;

  if (!child_may_start_threads ())
    return;
  submit_nops (1);
  ck_assert_int_eq (readable_in (fd, 10000), 1);

  pid = fork ();
  if (!pid)
    {
      alarm (20);
      need (!_i || eio_init (0, 0) == 0);
      need (eio_poll_fd () == fd);
      need (count_fds () == fds);
      need (fcntl (fd, F_GETFD) == FD_CLOEXEC);
      need (fcntl (fd, F_GETFL) & O_NONBLOCK);
      need (readable (fd) == 0);
      submit_nops (1);
      need (readable_in (fd, 10000) == 1);
      finishes = 0;
      need (eio_poll () == 0);
      need (finishes == 1);
      need (readable (fd) == 0);
      _exit (0);
    }

  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  ck_assert_int_eq (readable (fd), 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (readable (fd), 0);
}
END_TEST

/* As daemons do, while it is readable: the number is then a file's. The group
 * is dropped by the second eio_init. */
START_TEST (descriptor_that_was_closed_is_let_alone)
{
  static eio_req *volatile group; /* valgrind finds it here */
  const char *path = scratch_path ("mine"); /* the parent removes it */
  int fd = eio_poll_fd (), file, status;
  pid_t pid = fork ();

  if (!pid)
    {
      char bytes[16];

      alarm (20);
      need (eio_init (0, 0) == 0);
      need ((group = eio_grp (0, 0)) != 0);
      need (readable (fd) == 1);
      close (fd);
      file = open (path, O_RDWR | O_CREAT, 0600);
      need (file == fd);
      need (pwrite (file, "abc", 3, 0) == 3);
      need (eio_init (0, 0) == 0);
      submit_nops (3);
      need (eio_flush () == 0);
      fd = eio_poll_fd ();
      need (fd != file);
      close (fd);
      need (dup (file) == fd);
      need (eio_poll_fd () != fd);
      need (lseek (file, 0, SEEK_CUR) == 0);
      need (pread (file, bytes, sizeof bytes, 0) == 3);
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
}
END_TEST

#ifdef __linux__

/* The host's own, which is under the descriptor's number: a file, or what
 * differs from the library's as little as may be. */
static int hosts;

static void
put_in_place (int fd, const char *path)
{
  hosts = path ? open (path, O_RDWR) : eventfd (5, EFD_NONBLOCK);
  need (hosts >= 0);
  if (hosts == fd)
    return;
  need (dup2 (hosts, fd) == fd);
  close (hosts);
  hosts = fd;
}

static void
expect_in_place (const char *path)
{
  char bytes[16] = "";
  eventfd_t n = 0;

  need (fcntl (hosts, F_GETFD) == 0);
  if (path)
    {
      need (lseek (hosts, 0, SEEK_CUR) == 0);
      need (pread (hosts, bytes, sizeof bytes, 0) == 3);
      need (!strcmp (bytes, "abc"));
      need (pwrite (hosts, "abc", 3, 0) == 3);
      return;
    }
  need (eventfd_read (hosts, &n) == 0);
  need (n == 5);
  need (eventfd_write (hosts, n) == 0);
}

static void
expect_in_place_in_child (const char *path)
{
  int status;
  pid_t pid = fork ();

  if (!pid)
    {
      alarm (20);
      expect_in_place (path);
      need (eio_poll_fd () != hosts);
      expect_in_place (path);
      _exit (0);
    }
  need (waitpid (pid, &status, 0) == pid);
  need (status == 0);
}

/* With a file and with an eventfd; of the default pool, and of another. */
START_TEST (descriptor_that_became_the_hosts_is_left_to_it)
{
  const char *path = _i & 1 ? scratch_path ("mine") : 0;
  eio_pool *pool = 0;
  int status;
  pid_t pid;

  if (path)
    write_file (path, "abc", 3);
  if (_i & 2)
    {
      pool = eio_pool_new (0, 0, 0);
      ck_assert_ptr_nonnull (pool);
      eio_pool_use (pool);
    }
  ck_assert_int_gt (eio_poll_fd (), 0);

  pid = fork ();
  if (!pid)
    {
      int fd = eio_poll_fd ();

      alarm (20);
      close (fd);
      put_in_place (fd, path);
      expect_in_place_in_child (path);
      expect_in_place (path);
      eio_pool_use (0);
      if (pool)
        need (eio_pool_free (pool) == 0);
      else
        need (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1) == 0);
      expect_in_place (path);
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
  eio_pool_use (0);
  if (pool)
    ck_assert_int_eq (eio_pool_free (pool), 0);
}
END_TEST
#endif

/*****************************************************************************
 * Waiting                                                                   *
 *****************************************************************************/

START_TEST (wait_returns_how_many_results_there_are)
{
  ck_assert_int_eq (eio_poll_wait (-1), 0); /* nothing is outstanding */
  submit_nops (7);
  wait_until (eio_npending () == 7);
  ck_assert_int_eq (eio_poll_wait (-1), 7);
  ck_assert_int_eq (eio_poll_wait (0), 7);
  ck_assert_int_eq (finishes, 0);
  eio_poll ();
  ck_assert_int_eq (eio_poll_wait (-1), 0);
}
END_TEST

START_TEST (wait_ends_when_a_result_comes)
{
  static const eio_tstamp limits[] = { -1, 50, NAN, INFINITY, 1e300 };
  int i;

  for (i = 0; i < 5; ++i)
    {
      double begin = now ();

      eio_busy (0.02, 0, count, 0);
      ck_assert_int_eq (eio_poll_wait (limits[i]), 1);
      ck_assert (now () - begin >= 0.015);
      ck_assert (now () - begin < 10);
      ck_assert_int_eq (eio_poll (), 0);
      ck_assert_int_eq (finishes, i + 1);
    }
}
END_TEST

START_TEST (wait_ends_when_time_is_over)
{
  static const eio_tstamp limits[] = { 0, 1e-9, 0.03 };
  int i;

  eio_custom (stay, 0, count, 0);
  await_arrivals (1);
  for (i = 0; i < LENGTH (limits); ++i)
    {
      double begin = now ();

      ck_assert_int_eq (eio_poll_wait (limits[i]), 0);
      ck_assert (now () - begin >= limits[i]);
      ck_assert (now () - begin < limits[i] + 5);
    }
  give (&let_go, 1);
  ck_assert_int_eq (eio_poll_wait (-1), 1);
  eio_poll ();
}
END_TEST

static void
ignore (int signal)
{
  (void)signal;
}

START_TEST (wait_is_not_ended_by_a_signal)
{
  struct sigaction act = { .sa_handler = ignore };
  struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
  struct itimerval never = { { 0, 0 }, { 0, 0 } };

  sigaction (SIGALRM, &act, 0);
  setitimer (ITIMER_REAL, &often, 0);
  eio_busy (0.1, 0, count, 0);
  ck_assert_int_eq (eio_poll_wait (-1), 1);
  setitimer (ITIMER_REAL, &never, 0);
  eio_poll ();
}
END_TEST

/* The signal is up there, although what it told of is being finishes. */
static int
wait_within (eio_req *req)
{
  (void)req;
  ++finishes;
  eio_busy (0.02, 0, count, 0);
  ck_assert_int_eq (eio_poll_wait (10), 1);
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_int_eq (finishes, 2);
  return 0;
}

START_TEST (wait_works_in_a_callback)
{
  eio_nop (0, wait_within, 0);
  host_drain ();
  ck_assert_int_eq (finishes, 2);
}
END_TEST

START_TEST (waiting_takes_no_descriptor)
{
  int fds = count_fds ();

  eio_busy (0.01, 0, count, 0);
  ck_assert_int_eq (eio_poll_wait (-1), 1);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (flush_leaves_nothing)
{
  eio_req *grp;
  int i;

  ck_assert_int_eq (eio_flush (), 0);
  submit_nops (100);
  grp = eio_grp (count, 0);
  for (i = 0; i < 10; ++i)
    eio_grp_add (grp, eio_busy (0.003 * i, 0, count, 0));
  eio_set_max_poll_reqs (3);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (finishes, 111);
  ck_assert_uint_eq (eio_nreqs (), 0);
}
END_TEST

START_TEST (flush_returns_what_a_callback_does)
{
  static const int values[] = { 1, -1, 77, INT_MIN };
  int i;

  for (i = 0; i < LENGTH (values); ++i)
    {
      finishes = 0;
      errno = EAGAIN;
      eio_nop (EIO_PRI_MAX, return_data, (void *)(intptr_t)values[i]);
      wait_until (eio_npending () == 1);
      submit_nops (3);
      ck_assert_int_eq (eio_flush (), values[i]);
      ck_assert_int_lt (finishes, 4);
      ck_assert_int_eq (eio_flush (), 0);
      ck_assert_int_eq (finishes, 4);
    }
}
END_TEST

/* The values of what a callback polls are that callback's. */
static int
poll_within (eio_req *req)
{
  ++finishes;
  eio_nop (0, return_data, (void *)5);
  ck_assert_int_eq (eio_flush (), 5);
  return (int)(intptr_t)req->data;
}

START_TEST (flush_is_not_ended_by_values_of_inner_polls)
{
  eio_nop (0, poll_within, 0);
  wait_until (eio_npending () == 1);
  eio_busy (0.02, 0, count, 0);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (finishes, 3);
  eio_nop (0, poll_within, (void *)6);
  ck_assert_int_eq (eio_flush (), 6);
}
END_TEST

/*****************************************************************************
 * Limits on what is outstanding                                             *
 *****************************************************************************/

START_TEST (poll_blocks_while_too_many_are_outstanding)
{
  int i;

  ck_assert_uint_eq (eio_get_max_outstanding (), 0);
  eio_set_max_outstanding (5);
  ck_assert_uint_eq (eio_get_max_outstanding (), 5);
  for (i = 0; i < 40; ++i)
    eio_busy (0.001, 0, count, 0);
  eio_poll ();
  ck_assert_uint_le (eio_nreqs (), 5);
  ck_assert_int_ge (finishes, 35);
  host_drain ();
}
END_TEST

START_TEST (poll_does_not_block_below)
{
  double begin = now ();
  int i;

  eio_set_max_outstanding (2);
  for (i = 0; i < 2; ++i)
    eio_custom (stay, 0, count, 0);
  await_arrivals (2);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert (now () - begin < 10);
  give (&let_go, 2);
  host_drain ();
}
END_TEST

START_TEST (blocking_poll_is_ended_by_a_callback)
{
  int i;

  eio_set_max_outstanding (1);
  for (i = 0; i < 3; ++i)
    eio_custom (stay, 0, count, 0);
  eio_nop (0, return_data, (void *)9);
  ck_assert_int_eq (eio_poll (), 9);
  ck_assert_int_eq (finishes, 1);
  give (&let_go, 3);
  host_drain ();
}
END_TEST

/* Nobody would ever do what is outstanding. */
START_TEST (poll_does_not_block_while_no_worker_is_allowed)
{
  eio_set_max_outstanding (1);
  eio_set_max_parallel (0);
  submit_nops (3);
  ck_assert_int_eq (eio_poll (), 0);
  eio_set_parallel (1);
  eio_poll ();
  ck_assert_uint_le (eio_nreqs (), 1);
  host_drain ();
}
END_TEST

START_TEST (submissions_are_refused_at_the_limit)
{
  static eio_req reqs[3];
  int i;

  for (i = 0; i < 3; ++i)
    reqs[i].type = EIO_NOP;
  ck_assert_uint_eq (eio_get_submit_limit (), 0);
  eio_set_submit_limit (2);
  ck_assert_uint_eq (eio_get_submit_limit (), 2);
  eio_set_max_parallel (0);
  ck_assert_int_eq (eio_try_submit (&reqs[0]), 0);
  submit_nops (1);

  errno = 0;
  ck_assert_ptr_null (eio_nop (0, count, 0));
  ck_assert_int_eq (errno, EAGAIN);
  errno = 0;
  ck_assert_ptr_null (eio_open ("/", O_RDONLY, 0, 0, count, 0));
  ck_assert_int_eq (errno, EAGAIN);
  errno = 0;
  ck_assert_ptr_null (eio_grp (count, 0));
  ck_assert_int_eq (errno, EAGAIN);
  errno = 0;
  ck_assert_int_eq (eio_try_submit (&reqs[1]), -1);
  ck_assert_int_eq (errno, EAGAIN);
  ck_assert_uint_eq (eio_nreqs (), 2);

  eio_submit (&reqs[2]); /* never refuses */
  ck_assert_uint_eq (eio_nreqs (), 3);
  resume (1);
  host_drain ();
  ck_assert_int_eq (finishes, 1);
  ck_assert_int_eq (eio_try_submit (&reqs[1]), 0);
  host_drain ();
}
END_TEST

static void
feed_20 (eio_req *grp)
{
  static int fed;

  if (fed++ < 20)
    eio_grp_add (grp, eio_nop (0, count, 0));
}

START_TEST (feeders_are_exempt_from_the_limit)
{
  eio_req *grp = eio_grp (count, 0);

  eio_set_submit_limit (1);
  eio_grp_feed (grp, feed_20, 5);
  host_drain ();
  ck_assert_int_eq (finishes, 21);
}
END_TEST

/*****************************************************************************
 * Cancelled requests that are told of                                       *
 *****************************************************************************/

static void
assert_told (const probe *p, int told)
{
  if (told)
    assert_done (p);
  else
    assert_dropped (p);
}

/* Off, and on. */
START_TEST (cancelled_requests_are_told_of_on_demand)
{
  probe p;

  eio_set_finish_cancelled (_i);
  eio_set_max_parallel (0);
  probe_submit (&p, EIO_NOP);
  eio_cancel (&p.req);
  eio_cancel (&p.req);
  resume (1);
  host_drain ();
  assert_told (&p, _i);
  ck_assert_int_eq (p.result, -1);
  ck_assert_int_eq (p.errorno, ECANCELED);
  ck_assert_int_eq (eio_req_cancelled (&p.req), 1);
}
END_TEST

/* What it produced is the host's, or closed by the library. */
START_TEST (cancelled_open_that_had_executed_gives_its_descriptor)
{
  int fds = count_fds ();
  probe p;

  eio_set_finish_cancelled (_i);
  probe_fill (&p, EIO_OPEN);
  p.req.ptr1 = (void *)"/";
  p.req.int1 = O_RDONLY;
  eio_submit (&p.req);
  wait_until (eio_npending () == 1);
  eio_cancel (&p.req);
  host_drain ();
  assert_told (&p, _i);
  if (_i)
    {
      ck_assert_int_gt (p.result, 0);
      ck_assert_int_eq (p.errorno, 0);
      ck_assert_int_eq (close ((int)p.result), 0);
    }
  wait_until ((eio_poll (), count_fds () == fds));
}
END_TEST

START_TEST (cancelled_groups_are_told_of)
{
  probe grp, member;

  eio_set_finish_cancelled (_i);
  eio_set_max_parallel (0);
  probe_submit (&grp, EIO_GROUP);
  probe_add (&grp, &member, EIO_NOP);
  eio_cancel (&grp.req);
  resume (1);
  host_drain ();
  assert_told (&grp, _i);
  assert_told (&member, _i);
  ck_assert_int_eq (member.errorno, ECANCELED);
}
END_TEST

/*****************************************************************************
 * Settings                                                                  *
 *****************************************************************************/

START_TEST (parallel_is_set_exactly)
{
  ck_assert_uint_eq (eio_get_parallel (), 4);
  eio_set_parallel (7);
  ck_assert_uint_eq (eio_get_parallel (), 7);
  eio_set_parallel (2);
  ck_assert_uint_eq (eio_get_parallel (), 2);
  eio_set_min_parallel (3);
  ck_assert_uint_eq (eio_get_parallel (), 3);
  eio_set_max_parallel (1);
  ck_assert_uint_eq (eio_get_parallel (), 1);
}
END_TEST

START_TEST (parallel_is_lowered_without_waiting)
{
  double begin = now ();
  int i;

  eio_set_parallel (3);
  for (i = 0; i < 5; ++i)
    eio_custom (stay, 0, count, 0);
  await_arrivals (3);
  eio_set_parallel (1);
  ck_assert (now () - begin < 10);
  ck_assert_uint_eq (eio_nthreads (), 3);
  give (&let_go, 3);
  wait_until (eio_nthreads () == 1);
  await_arrivals (1);
  ck_assert_uint_eq (eio_nready (), 1);
  eio_set_parallel (0);
  give (&let_go, 1);
  wait_until (eio_nthreads () == 0);
  ck_assert_uint_eq (eio_nready (), 1);
  eio_set_parallel (1); /* what waits is done now */
  await_arrivals (1);
  give (&let_go, 1);
  host_drain ();
  ck_assert_int_eq (finishes, 5);
}
END_TEST

START_TEST (idle_workers_leave_when_parallel_is_lowered)
{
  int i;

  eio_set_parallel (4);
  for (i = 0; i < 4; ++i)
    eio_custom (stay, 0, count, 0);
  await_arrivals (4);
  give (&let_go, 4);
  host_drain ();
  eio_set_parallel (2);
  wait_until (eio_nthreads () <= 2);
  eio_set_parallel (0);
  wait_until (eio_nthreads () == 0);
}
END_TEST

START_TEST (settings_are_read_back)
{
  static const eio_tstamp times[] = { 0.1, 1, 2.5, 1e-9, 0.001, 1e6, 0 };
  int i;

  ck_assert_uint_eq (eio_get_max_idle (), 4);
  ck_assert_uint_eq (eio_get_idle_timeout (), 10);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 0);
  ck_assert (eio_get_max_poll_time () == 0);

  eio_set_max_idle (11);
  eio_set_idle_timeout (12);
  eio_set_max_poll_reqs (13);
  ck_assert_uint_eq (eio_get_max_idle (), 11);
  ck_assert_uint_eq (eio_get_idle_timeout (), 12);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 13);
  for (i = 0; i < LENGTH (times); ++i)
    {
      eio_set_max_poll_time (times[i]);
      ck_assert_msg (fabs (eio_get_max_poll_time () - times[i])
                       <= 1e-9 + 1e-15 * times[i],
                     "%g for %g", eio_get_max_poll_time (), times[i]);
      ck_assert_int_eq (eio_get_max_poll_time () == 0, times[i] == 0);
    }
  eio_set_max_poll_time (-1);
  ck_assert (eio_get_max_poll_time () == 0);
  eio_set_max_poll_time (0.25);

  eio_set_max_outstanding (14);
  eio_set_submit_limit (15);
  eio_set_parallel (16);
  eio_init (0, 0); /* keeps them */
  ck_assert_uint_eq (eio_get_max_idle (), 11);
  ck_assert_uint_eq (eio_get_idle_timeout (), 12);
  ck_assert_uint_eq (eio_get_max_poll_reqs (), 13);
  ck_assert (eio_get_max_poll_time () == 0.25);
  ck_assert_uint_eq (eio_get_max_outstanding (), 14);
  ck_assert_uint_eq (eio_get_submit_limit (), 15);
  ck_assert_uint_eq (eio_get_parallel (), 16);
}
END_TEST

/*****************************************************************************
 * What workers are like                                                     *
 *****************************************************************************/

static atomic_int starts, stops, stops_of_others;
static int hook_data;
static pthread_key_t started;

static void
hook_start (void *data)
{
  if (data == &hook_data)
    ++starts;
  pthread_setspecific (started, data);
}

static void
hook_stop (void *data)
{
  if (data == &hook_data && pthread_getspecific (started) == data)
    ++stops;
}

static void
hook_stop_other (void *data)
{
  (void)data;
  ++stops_of_others;
}

static void
expect_start (eio_req *req)
{
  req->result = pthread_getspecific (started) == &hook_data;
}

START_TEST (hooks_run_around_the_work_of_each_worker)
{
  outcome o = { 0 };
  int i;

  pthread_key_create (&started, 0);
  eio_set_thread_hooks (hook_start, hook_stop, &hook_data);
  eio_custom (expect_start, 0, note, &o);
  host_drain ();
  assert_ok (o, 1);
  for (i = 0; i < 4; ++i)
    eio_custom (stay, 0, count, 0);
  await_arrivals (4);
  ck_assert_int_eq (starts, 4);
  ck_assert_int_eq (stops, 0);
  give (&let_go, 4);
  host_drain ();

  /* Those that exist stop as they were started. */
  eio_set_thread_hooks (0, hook_stop_other, 0);
  eio_set_parallel (2);
  wait_until (stops == 2);
  eio_set_max_parallel (0);
  wait_until (stops == 4);
  ck_assert_int_eq (starts, 4);
  ck_assert_int_eq (stops_of_others, 0);

  eio_set_parallel (1);
  submit_nops (1);
  host_drain ();
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  ck_assert_int_eq (stops_of_others, 1); /* it has been waited for */
}
END_TEST

static void
hook_stop_slowly (void *data)
{
  nap (50);
  hook_stop (data);
}

START_TEST (shutdown_waits_for_slow_hooks)
{
  pthread_key_create (&started, 0);
  eio_set_thread_hooks (hook_start, hook_stop_slowly, &hook_data);
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  submit_nops (1);
  host_drain ();
  wait_until (eio_nthreads () == 0);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  ck_assert_int_eq (starts, 1);
  ck_assert_int_eq (stops, 1);
}
END_TEST

static void
hook_stop_when_let (void *data)
{
  take (&let_go);
  hook_stop (data);
}

START_TEST (shutdown_does_not_wait_too_long_for_hooks)
{
  pthread_key_create (&started, 0);
  eio_set_thread_hooks (hook_start, hook_stop_when_let, &hook_data);
  submit_nops (1);
  host_drain ();
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, 0.01), -1);
  ck_assert_int_eq (errno, ETIMEDOUT);
  ck_assert_int_eq (stops, 0);
  give (&let_go, 1);
  ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  ck_assert_int_eq (stops, 1);
}
END_TEST

START_TEST (shutdown_waits_for_hooks)
{
  int i;

  pthread_key_create (&started, 0);
  eio_set_thread_hooks (hook_start, hook_stop, &hook_data);
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  for (i = 1; i <= 100; ++i)
    {
      submit_nops (3);
      ck_assert_int_eq (eio_shutdown (i % 2, -1), 0);
      ck_assert_int_eq (starts, stops);
      host_start (); /* keeps them */
    }
  ck_assert_int_ge (starts, 100);
}
END_TEST

static void
lower_in_hook (void *data)
{
  eio_set_max_parallel (0);
  hook_stop (data);
}

/* While others wait for all of them, or nobody does: they do not wait for each
 * other. */
START_TEST (hooks_may_lower_the_limit)
{
  int i;

  pthread_key_create (&started, 0);
  eio_set_thread_hooks (hook_start, lower_in_hook, &hook_data);
  for (i = 0; i < 200; ++i)
    {
      eio_set_min_parallel (4);
      submit_nops (8);
      host_drain ();
      if (_i)
        eio_set_max_parallel (0);
      else
        eio_set_parallel (0);
      wait_until (stops == starts && eio_nthreads () == 0);
    }
  ck_assert_int_ge (starts, 200);
}
END_TEST

#ifdef __linux__
static char worker_name[64];
static size_t stack;
static cpu_set_t cpus;
static int ioprio;

static void
look_around (eio_req *req)
{
  pthread_attr_t attr;

  pthread_getname_np (pthread_self (), worker_name, sizeof worker_name);
  pthread_getattr_np (pthread_self (), &attr);
  pthread_attr_getstacksize (&attr, &stack);
  pthread_attr_destroy (&attr);
  sched_getaffinity (0, sizeof cpus, &cpus);
  ioprio = (int)syscall (SYS_ioprio_get, 1, 0);
  req->result = 0;
}

static void
look_at_a_new_worker (void)
{
  unsigned parallel = eio_get_parallel ();

  eio_set_max_parallel (0);
  eio_set_parallel (parallel);
  eio_custom (look_around, 0, count, 0);
  host_drain ();
}

START_TEST (workers_are_named)
{
  char usual[64];

  look_at_a_new_worker ();
  strcpy (usual, worker_name);
  eio_set_thread_name ("io");
  look_at_a_new_worker ();
  ck_assert_str_eq (worker_name, "io");
  eio_set_thread_name ("a name that is much too long");
  look_at_a_new_worker ();
  ck_assert_str_eq (worker_name, "a name that is ");
  eio_init (0, 0);
  host_start ();
  look_at_a_new_worker ();
  ck_assert_str_eq (worker_name, "a name that is ");
  eio_set_thread_name (0);
  look_at_a_new_worker ();
  ck_assert_str_eq (worker_name, usual);
}
END_TEST

START_TEST (workers_have_the_stack_that_was_asked_for)
{
  size_t usual;

  look_at_a_new_worker ();
  usual = stack;
  eio_set_stack_size (3 * 1024 * 1024);
  look_at_a_new_worker ();
  ck_assert_uint_ge (stack, 3 * 1024 * 1024);
  ck_assert_uint_lt (stack, 4 * 1024 * 1024);
  eio_set_stack_size (1); /* as few as there may be */
  look_at_a_new_worker ();
  ck_assert_uint_gt (stack, 1);
  eio_set_stack_size (0);
  look_at_a_new_worker ();
  ck_assert_uint_eq (stack, usual);
}
END_TEST

START_TEST (workers_run_on_the_cpus_that_were_chosen)
{
  cpu_set_t all, one;
  int cpu;

  sched_getaffinity (0, sizeof all, &all);
  for (cpu = CPU_SETSIZE - 1; !CPU_ISSET (cpu, &all); --cpu)
    ;
  CPU_ZERO (&one);
  CPU_SET (cpu, &one);
  ck_assert_int_eq (eio_set_affinity (&one, sizeof one), 0);
  look_at_a_new_worker ();
  ck_assert_int_eq (CPU_EQUAL (&cpus, &one), 1);

  errno = 0;
  CPU_ZERO (&one);
  ck_assert_int_eq (eio_set_affinity (&one, sizeof one), -1);
  ck_assert_int_eq (errno, EINVAL);
  errno = 0;
  ck_assert_int_eq (eio_set_affinity (&all, 1 << 20), -1);
  ck_assert_int_eq (errno, EINVAL);

  ck_assert_int_eq (eio_set_affinity (0, 0), 0);
  look_at_a_new_worker ();
  ck_assert_int_eq (CPU_EQUAL (&cpus, &all), 1);
}
END_TEST

START_TEST (workers_have_an_io_priority)
{
  static const int wrong[] = { -1, 4 << 13, INT_MAX };
  enum { BEST_EFFORT_7 = 2 << 13 | 7, IDLE = 3 << 13 };
  int usual, i;

  look_at_a_new_worker ();
  usual = ioprio;
  ck_assert_int_eq (eio_set_ioprio (BEST_EFFORT_7), 0);
  look_at_a_new_worker ();
  ck_assert_int_eq (ioprio, BEST_EFFORT_7);
  ck_assert_int_eq (eio_set_ioprio (IDLE), 0);
  look_at_a_new_worker ();
  ck_assert_int_eq (ioprio, IDLE);
  for (i = 0; i < LENGTH (wrong); ++i)
    {
      errno = 0;
      ck_assert_int_eq (eio_set_ioprio (wrong[i]), -1);
      ck_assert_int_eq (errno, EINVAL);
    }
  ck_assert_int_eq (eio_set_ioprio (0), 0);
  look_at_a_new_worker ();
  ck_assert_int_eq (ioprio, usual);
}
END_TEST
#endif

/*****************************************************************************
 * Functions in place of macros                                              *
 *****************************************************************************/

static int looked;

static int
look (eio_req *req)
{
  ++looked;
  ck_assert_int_eq (eio_req_type (req), EIO_READ);
  ck_assert_int_eq (eio_req_cancelled (req), 0);
  ck_assert_int_eq (eio_req_result (req), 5);
  ck_assert_int_eq (eio_req_errno (req), 0);
  ck_assert_ptr_eq (eio_req_buf (req), EIO_BUF (req));
  ck_assert_ptr_eq (eio_req_data (req), &looked);
  ck_assert_ptr_eq (eio_req_wd (req), EIO_CWD);
  ck_assert_int_eq (eio_req_offset (req), 2);
  ck_assert_int_eq (memcmp (eio_req_buf (req), "cdefg", 5), 0);
  return 0;
}

START_TEST (accessors_give_the_members)
{
  const char *path = scratch_path ("letters");
  int fd;

  write_file (path, "abcdefghij", 10);
  fd = open (path, O_RDONLY);
  ck_assert_int_ge (fd, 0);
  eio_read (fd, 0, 5, 2, 0, look, &looked);
  host_drain ();
  ck_assert_int_eq (looked, 1);
  ck_assert_uint_eq (eio_req_sizeof (), sizeof (eio_req));
  close (fd);
}
END_TEST

static int
look_at_failure (eio_req *req)
{
  ++looked;
  ck_assert_int_eq (eio_req_type (req), EIO_CLOSE);
  ck_assert_int_eq (eio_req_result (req), -1);
  ck_assert_int_eq (eio_req_errno (req), EBADF);
  return 0;
}

START_TEST (accessors_tell_of_failure)
{
  eio_close (-1, 0, look_at_failure, 0);
  host_drain ();
  ck_assert_int_eq (looked, 1);
}
END_TEST

static void *taken;

static int
take_it (eio_req *req)
{
  errno = 0;
  taken = eio_take_buffer (req);
  if (taken)
    {
      ck_assert_ptr_null (eio_req_buf (req));
      ck_assert_ptr_null (eio_take_buffer (req));
    }
  ck_assert_int_eq (errno, EINVAL);
  return 0;
}

START_TEST (buffers_can_be_taken)
{
  char mine[1];

  write_file (scratch_path ("x"), "x", 1);
  eio_slurp (scratch_path ("x"), 0, 0, 0, 0, take_it, 0);
  host_drain ();
  ck_assert_ptr_nonnull (taken);
  ck_assert_int_eq (*(char *)taken, 'x');
  free (taken);

  eio_stat ("/", 0, take_it, 0); /* in the request's block */
  host_drain ();
  ck_assert_ptr_null (taken);
  eio_slurp (scratch_path ("x"), mine, 0, 1, 0, take_it, 0);
  host_drain ();
  ck_assert_ptr_null (taken);
}
END_TEST

START_TEST (types_have_names)
{
  int type;

  ck_assert_str_eq (eio_strtype (EIO_READ), "read");
  ck_assert_str_eq (eio_strtype (EIO_GROUP), "group");
  ck_assert_str_eq (eio_strtype (EIO_SYNC_FILE_RANGE), "sync_file_range");
  for (type = 0; type < EIO_REQ_TYPE_NUM; ++type)
    {
      const char *name = eio_strtype (type);
      int other;

      if (!name && type > EIO_SLURP)
        continue; /* not all numbers are taken */
      ck_assert_msg (name && *name, "type %d", type);
      for (other = 0; other < type; ++other)
        if (eio_strtype (other))
          ck_assert_str_ne (name, eio_strtype (other));
    }
  ck_assert_ptr_null (eio_strtype (-1));
  ck_assert_ptr_null (eio_strtype (111));
  ck_assert_ptr_null (eio_strtype (127));
  ck_assert_ptr_null (eio_strtype (128));
  ck_assert_ptr_null (eio_strtype (INT_MAX));
  ck_assert_ptr_null (eio_strtype (INT_MIN));
}
END_TEST

START_TEST (version_is_that_of_the_header)
{
  ck_assert_uint_eq (eio_version (),
                     (unsigned)EIO_VERSION_MAJOR << 16 | EIO_VERSION_MINOR);
  ck_assert_int_eq (EIO_VERSION_MAJOR, 2);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_descriptor (TCase *tc)
{
  tcase_add_test (tc, descriptor_is_one_that_a_host_can_use);
  tcase_add_test (tc, descriptor_is_never_0);
  tcase_add_test (tc, descriptor_is_readable_while_results_are_pending);
  tcase_add_test (tc, descriptor_made_late_knows_of_results);
  tcase_add_test (tc, descriptor_stays_readable_where_eio_poll_stops_early);
  tcase_add_test (tc, descriptor_tells_of_groups);
  tcase_add_test (tc, descriptor_lasts_over_eio_init);
  tcase_add_test (tc, lack_of_descriptors_is_told);
  tcase_add_test (tc, descriptor_alone_drives_a_loop);
  tcase_add_loop_test (tc, child_has_a_descriptor_of_its_own, 0, 2);
  tcase_add_test (tc, descriptor_that_was_closed_is_let_alone);
#ifdef __linux__
  tcase_add_loop_test (tc, descriptor_that_became_the_hosts_is_left_to_it, 0,
                       4);
#endif
}

static void
add_waiting (TCase *tc)
{
  tcase_add_test (tc, wait_returns_how_many_results_there_are);
  tcase_add_test (tc, wait_ends_when_a_result_comes);
  tcase_add_test (tc, wait_ends_when_time_is_over);
  tcase_add_test (tc, wait_is_not_ended_by_a_signal);
  tcase_add_test (tc, wait_works_in_a_callback);
  tcase_add_test (tc, waiting_takes_no_descriptor);
  tcase_add_test (tc, flush_leaves_nothing);
  tcase_add_test (tc, flush_returns_what_a_callback_does);
  tcase_add_test (tc, flush_is_not_ended_by_values_of_inner_polls);
}

static void
add_limits (TCase *tc)
{
  tcase_add_test (tc, poll_blocks_while_too_many_are_outstanding);
  tcase_add_test (tc, poll_does_not_block_below);
  tcase_add_test (tc, blocking_poll_is_ended_by_a_callback);
  tcase_add_test (tc, poll_does_not_block_while_no_worker_is_allowed);
  tcase_add_test (tc, submissions_are_refused_at_the_limit);
  tcase_add_test (tc, feeders_are_exempt_from_the_limit);
}

static void
add_cancelled (TCase *tc)
{
  tcase_add_loop_test (tc, cancelled_requests_are_told_of_on_demand, 0, 2);
  tcase_add_loop_test (
    tc, cancelled_open_that_had_executed_gives_its_descriptor, 0, 2);
  tcase_add_loop_test (tc, cancelled_groups_are_told_of, 0, 2);
}

static void
add_settings (TCase *tc)
{
  tcase_add_test (tc, parallel_is_set_exactly);
  tcase_add_test (tc, parallel_is_lowered_without_waiting);
  tcase_add_test (tc, idle_workers_leave_when_parallel_is_lowered);
  tcase_add_test (tc, settings_are_read_back);
}

static void
add_workers (TCase *tc)
{
  tcase_add_test (tc, hooks_run_around_the_work_of_each_worker);
  tcase_add_test (tc, shutdown_waits_for_hooks);
  tcase_add_loop_test (tc, hooks_may_lower_the_limit, 0, 2);
  tcase_add_test (tc, shutdown_does_not_wait_too_long_for_hooks);
  tcase_add_test (tc, shutdown_waits_for_slow_hooks);
#ifdef __linux__
  tcase_add_test (tc, workers_are_named);
  tcase_add_test (tc, workers_have_the_stack_that_was_asked_for);
  tcase_add_test (tc, workers_run_on_the_cpus_that_were_chosen);
  tcase_add_test (tc, workers_have_an_io_priority);
#endif
}

static void
add_functions (TCase *tc)
{
  tcase_add_test (tc, accessors_give_the_members);
  tcase_add_test (tc, accessors_tell_of_failure);
  tcase_add_test (tc, buffers_can_be_taken);
  tcase_add_test (tc, types_have_names);
  tcase_add_test (tc, version_is_that_of_the_header);
}

int
main (void)
{
  Suite *suite = suite_create ("host");
  TCase *beside = add_case (suite, "beside callbacks", 60, start,
                            stop_workers);
  add_descriptor (
    add_case (suite, "descriptor", 60, start_silent, stop_workers));
  tcase_add_test (beside, descriptor_is_made_when_it_is_asked_for);
  tcase_add_test (beside, descriptor_is_readable_while_results_are_pending);
  tcase_add_test (beside, descriptor_is_lowered_last);
  add_waiting (add_case (suite, "waiting", 60, start, stop_workers));
  add_limits (add_case (suite, "limits", 60, start, stop_workers));
  add_cancelled (add_case (suite, "cancelled", 60, start, stop_workers));
  add_settings (add_case (suite, "settings", 60, start, stop_workers));
  add_workers (add_case (suite, "workers", 60, start, stop_workers));
  add_functions (add_case (suite, "functions", 60, start, stop_workers));
  return run_suite (suite);
}
