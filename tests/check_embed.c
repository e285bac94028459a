/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* eio.c included into a program's own file, with members and callbacks of
 * its own, as extensions of interpreters do, and every name that such
 * programs reach. */

#include "xthread.h" /* first of all, as some do */

#define EIO_REQ_MEMBERS \
  int (*on_finish) (eio_req *req); \
  int finishes, destroys, destroys_at_finish, feeds; \
  char mark[16];
#define EIO_NO_WRAPPERS 1
#define EIO_STACKSIZE (768 * 1024)
#define EIO_PATH_MIN 30000

/* As releases are built: what is an assertion elsewhere is an error here. */
#ifndef NDEBUG
# define NDEBUG 1
#endif

#include "eio.h"

static int embed_finish (eio_req *req);
static void embed_destroy (eio_req *req);
static void embed_feed (eio_req *req);

static int results_left; /* EIO_POOL is there in these, too */

#define EIO_FINISH(req) \
  (results_left = EIO_POOL->res_queue.size, embed_finish (req))
#define EIO_DESTROY(req) \
  (results_left = EIO_POOL->res_queue.size, embed_destroy (req))
#define EIO_FEED(req) \
  (results_left = EIO_POOL->res_queue.size, embed_feed (req))

#include "eio.c"

#include "support.h"

#include <fcntl.h>
#ifdef __GLIBC__
# include <malloc.h>
#endif
#include <sys/stat.h>
#include <sys/wait.h>

static int
embed_finish (eio_req *req)
{
  ++req->finishes;
  req->destroys_at_finish = req->destroys;
  return req->on_finish ? req->on_finish (req) : 0;
}

static void
embed_destroy (eio_req *req)
{
  ++req->destroys;
}

/* What finish, destroy and the feed of groups are set to: the library has
 * to leave them alone. */
static int
never_finish (eio_req *req)
{
  (void)req;
  ck_abort_msg ("finish was called, not EIO_FINISH");
}

static void
never_called (eio_req *req)
{
  (void)req;
  ck_abort_msg ("a callback was called, not its replacement");
}

/* The program's own: without wrappers the names are free. */
static eio_req *
eio_nop (eio_req *req)
{
  req->type = EIO_NOP;
  eio_submit (req);
  return req;
}

/* As found in embedders: sleeps until there are results. */
static void
poll_wait (void)
{
  while (eio_nreqs ())
    {
      int size;

      X_LOCK (EIO_POOL->reslock);
      size = (int)EIO_POOL->res_queue.size;
      X_UNLOCK (EIO_POOL->reslock);

      if (size)
        return;

      etp_maybe_start_thread (EIO_POOL);
      host_wait (-1);
    }
}

static void
flush (void)
{
  while (eio_nreqs ())
    {
      poll_wait ();
      eio_poll ();
    }
}

static unsigned int
pending (void)
{
  unsigned int size;
  X_LOCK (EIO_POOL->reslock);
  size = (unsigned int)EIO_POOL->res_queue.size;
  X_UNLOCK (EIO_POOL->reslock);
  return size;
}

/* Lets the request execute, and then cancels it. */
static void
cancel_executed (eio_req *req)
{
  unsigned int before = pending ();
  eio_submit (req);
  wait_until (pending () == before + 1);
  eio_cancel (req);
}

static int nleft[5], nnoted;

static int
note_left (eio_req *req)
{
  (void)req;
  nleft[nnoted++] = results_left;
  return 0;
}

START_TEST (replacements_see_the_pool)
{
  enum { N = LENGTH (nleft) };
  eio_req reqs[N] = { 0 };
  int i;

  for (i = 0; i < N; ++i)
    {
      reqs[i].on_finish = note_left;
      eio_nop (&reqs[i]);
    }
  wait_until (pending () == N);
  flush ();
  for (i = 0; i < N; ++i)
    ck_assert_int_eq (nleft[i], N - 1 - i);
}
END_TEST

static void
check_done (const eio_req *req)
{
  ck_assert_int_eq (req->finishes, 1);
  ck_assert_int_eq (req->destroys_at_finish, 0);
  ck_assert_int_eq (req->destroys, 1);
}

START_TEST (the_loop_of_embedders_drains)
{
  static eio_req reqs[200];
  int i;
  host_start ();
  for (i = 0; i < 200; ++i)
    {
      reqs[i].pri = (signed char)(i % 9 - 4);
      eio_nop (reqs + i);
    }
  flush ();
  ck_assert_uint_eq (pending (), 0);
  for (i = 0; i < 200; ++i)
    check_done (reqs + i);
}
END_TEST

START_TEST (the_loop_waits_while_the_worker_is_busy)
{
  eio_req req = { .type = EIO_BUSY, .nv1 = 0.1 };
  double begin;
  host_start ();
  begin = now ();
  eio_submit (&req);
  poll_wait ();
  ck_assert_uint_eq (pending (), 1);
  ck_assert (now () - begin >= 0.1);
  flush ();
  check_done (&req);
}
END_TEST

START_TEST (queue_size_is_the_number_of_pending_results)
{
  static eio_req reqs[5];
  unsigned int i;
  host_start ();
  ck_assert_uint_eq (pending (), 0);
  for (i = 0; i < 5; ++i)
    {
      eio_nop (reqs + i);
      wait_until (eio_npending () == i + 1);
      ck_assert_uint_eq (pending (), i + 1);
    }
  eio_set_max_poll_reqs (2);
  ck_assert_int_eq (eio_poll (), -1);
  ck_assert_uint_eq (pending (), 3);
  eio_set_max_poll_reqs (0);
  ck_assert_int_eq (eio_poll (), 0);
  ck_assert_uint_eq (pending (), 0);
}
END_TEST

START_TEST (a_group_with_members_is_no_pending_result)
{
  eio_req grp = { .type = EIO_GROUP }, member = { 0 };
  host_start ();
  eio_set_max_parallel (0);
  eio_submit (&grp);
  ck_assert_uint_eq (pending (), 1);
  eio_grp_add (&grp, eio_nop (&member));
  eio_poll ();
  ck_assert_uint_eq (pending (), 0);
  eio_set_min_parallel (1);
  while (!grp.finishes)
    {
      poll_wait ();
      eio_poll ();
    }
  eio_poll ();
  ck_assert_uint_eq (pending (), 0);
  check_done (&grp);
  check_done (&member);
}
END_TEST

START_TEST (maybe_start_thread_respects_the_limit)
{
  eio_req req = { 0 };
  int i;
  host_start ();
  eio_set_max_parallel (0);
  eio_nop (&req);
  for (i = 0; i < 3; ++i)
    etp_maybe_start_thread (EIO_POOL);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_uint_eq (eio_nready (), 1);
  ck_assert_uint_eq (pending (), 0);
  eio_set_min_parallel (1);
  flush ();
  check_done (&req);
}
END_TEST

START_TEST (own_finish_and_destroy_replace_the_members)
{
  eio_req req = { .finish = never_finish, .destroy = never_called };
  eio_req grp = { .type = EIO_GROUP, .finish = never_finish,
                  .destroy = never_called };
  host_start ();
  eio_nop (&req);
  eio_submit (&grp);
  flush ();
  check_done (&req);
  check_done (&grp);
}
END_TEST

static int
return_12 (eio_req *req)
{
  (void)req;
  return 12;
}

START_TEST (the_value_of_finish_is_the_polls)
{
  eio_req one = { .on_finish = return_12, .pri = 1 }, two = { 0 };
  host_start ();
  eio_set_max_parallel (0);
  eio_nop (&two);
  eio_nop (&one);
  eio_set_min_parallel (1);
  wait_until (pending () == 2);
  ck_assert_int_eq (eio_poll (), 12);
  ck_assert_int_eq (two.finishes, 0);
  flush ();
  eio_poll ();
  check_done (&one);
  check_done (&two);
}
END_TEST

START_TEST (own_members_are_kept)
{
  eio_req req = { .mark = "embedder's" };
  size_t members = offsetof (eio_req, on_finish);
  ck_assert_uint_gt (members, offsetof (eio_req, feed));
  ck_assert_uint_lt (offsetof (eio_req, mark), offsetof (eio_req, grp));
#if defined __x86_64__ && defined __LP64__
  ck_assert_uint_eq (members, 136);
#endif
  host_start ();
  eio_nop (&req);
  flush ();
  ck_assert_str_eq (req.mark, "embedder's");
  check_done (&req);
}
END_TEST

static eio_ssize_t result_seen;
static int errorno_seen, cancelled_seen;
static eio_wd wd_seen;
static void *ptr1_seen, *ptr2_seen;

static int
look (eio_req *req)
{
  result_seen = req->result;
  errorno_seen = req->errorno;
  cancelled_seen = EIO_CANCELLED (req);
  wd_seen = req->wd;
  ptr1_seen = req->ptr1;
  ptr2_seen = req->ptr2;
  return 0;
}

static int
look_and_take (eio_req *req)
{
  req->flags &= ~(EIO_FLAG_PTR1_FREE | EIO_FLAG_PTR2_FREE);
  return look (req);
}

/* Submits, and cancels before anything can execute. */
static void
run_cancelled (eio_req *req)
{
  req->on_finish = look;
  eio_set_max_parallel (0);
  eio_submit (req);
  eio_cancel (req);
  eio_set_min_parallel (1);
  flush ();
  check_done (req);
  ck_assert_int_ne (cancelled_seen, 0);
}

START_TEST (finish_sees_requests_cancelled_before_execution)
{
  char path[] = "/";
  /* whatever else would have been wrong with them */
  eio_req reqs[] = {
    { .type = EIO_OPEN, .ptr1 = path },
    { .type = EIO_OPEN, .ptr1 = 0 },
    { .type = EIO_OPEN, .ptr1 = path, .wd = EIO_INVALID_WD },
    { .type = EIO_NOP },
    { .type = EIO_CUSTOM },
    { .type = 127 },
  };
  size_t i;
  host_start ();
  for (i = 0; i < sizeof reqs / sizeof *reqs; ++i)
    {
      run_cancelled (reqs + i);
      ck_assert_int_eq (result_seen, -1);
      ck_assert_int_eq (errorno_seen, ECANCELED);
    }
}
END_TEST

START_TEST (finish_sees_that_a_cancelled_close_closed)
{
  eio_req file = { .type = EIO_CLOSE }, dir = { .type = EIO_WD_CLOSE };
  int fds;
  host_start ();
  fds = count_fds ();
  file.int1 = dup (host_fd ());
  dir.wd = eio_wd_open_sync (EIO_CWD, "/");
  ck_assert_int_eq (count_fds (), fds + 2);
  run_cancelled (&file);
  ck_assert_int_eq (result_seen, 0);
  ck_assert_int_eq (errorno_seen, 0);
  run_cancelled (&dir);
  ck_assert_int_eq (result_seen, 0);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (finish_owns_the_descriptor_of_a_cancelled_open)
{
  char path[] = "/";
  eio_req req = { .type = EIO_OPEN, .ptr1 = path, .int1 = O_RDONLY,
                  .on_finish = look };
  int fds;
  host_start ();
  fds = count_fds ();
  cancel_executed (&req);
  flush ();
  check_done (&req);
  ck_assert_int_ne (cancelled_seen, 0);
  ck_assert_int_ge (result_seen, 0);
  eio_set_max_parallel (0); /* nothing is closed behind our back */
  ck_assert_int_eq (count_fds (), fds + 1);
  ck_assert_int_eq (close ((int)result_seen), 0);
}
END_TEST

START_TEST (finish_owns_the_wd_of_a_cancelled_wd_open)
{
  char path[] = "/";
  eio_req req = { .type = EIO_WD_OPEN, .ptr1 = path, .on_finish = look };
  struct stat st;
  host_start ();
  cancel_executed (&req);
  flush ();
  check_done (&req);
  eio_set_max_parallel (0);
  ck_assert_int_ne (cancelled_seen, 0);
  ck_assert_int_eq (result_seen, 0);
  ck_assert_ptr_ne (wd_seen, EIO_INVALID_WD);
  ck_assert_int_eq (fstat (wd_seen->fd, &st), 0);
  eio_wd_close_sync (wd_seen);
}
END_TEST

/* What the new wd would have been relative to is no result. */
START_TEST (a_wd_open_that_never_ran_has_no_wd)
{
  char path[] = ".";
  eio_req req = { .type = EIO_WD_OPEN, .ptr1 = path };
  eio_wd base;
  host_start ();
  base = eio_wd_open_sync (EIO_CWD, "/");
  ck_assert_ptr_ne (base, EIO_INVALID_WD);
  req.wd = base;
  run_cancelled (&req);
  ck_assert_int_eq (result_seen, -1);
  ck_assert_int_eq (errorno_seen, ECANCELED);
  ck_assert_ptr_eq (wd_seen, EIO_INVALID_WD);
  eio_wd_close_sync (base);
}
END_TEST

START_TEST (finish_can_take_the_buffers_of_a_cancelled_readdir)
{
  eio_req req = { .type = EIO_READDIR, .int1 = EIO_READDIR_DENTS,
                  .on_finish = look_and_take };
  const eio_dirent *ent;
  host_start ();
  write_file (scratch_path ("entry"), "", 0);
  req.ptr1 = (void *)scratch ();
  cancel_executed (&req);
  flush ();
  check_done (&req);
  ck_assert_int_ne (cancelled_seen, 0);
  ck_assert_int_eq (result_seen, 1);
  ent = ptr1_seen;
  ck_assert_str_eq ((char *)ptr2_seen + ent->nameofs, "entry");
  free (ptr1_seen);
  free (ptr2_seen);
}
END_TEST

static int nfrees;

static int
count_flags (eio_req *req)
{
  nfrees += !!(req->flags & EIO_FLAG_PTR1_FREE);
  nfrees += !!(req->flags & EIO_FLAG_PTR2_FREE);
  return 0;
}

/* The library frees these, which leak checkers verify. */
START_TEST (flagged_memory_is_freed_though_cancelled)
{
  eio_req dir = { .type = EIO_READDIR, .int1 = EIO_READDIR_DENTS,
                  .on_finish = count_flags };
  eio_req file = { .type = EIO_SLURP, .flags = EIO_FLAG_PTR1_FREE,
                   .on_finish = count_flags };
  host_start ();
  write_file (scratch_path ("file"), "contents", 8);
  dir.ptr1 = (void *)scratch ();
  file.ptr1 = strdup (scratch_path ("file"));
  cancel_executed (&dir);
  cancel_executed (&file);
  flush ();
  check_done (&dir);
  check_done (&file);
  ck_assert_int_eq (nfrees, 4);
}
END_TEST

static int flags_seen;

static int
look_at_flags (eio_req *req)
{
  flags_seen = req->flags;
  return 0;
}

START_TEST (the_higher_flags_are_the_embedders)
{
  eio_req req = { .flags = 0xf0, .on_finish = look_at_flags };
  host_start ();
  eio_nop (&req);
  flush ();
  ck_assert_int_eq (flags_seen & 0xf0, 0xf0);
  check_done (&req);
}
END_TEST

/* Twice from finish: the request is destroyed once, in the end. */
static int
submit_again (eio_req *req)
{
  ck_assert_int_eq (req->destroys, 0);
  if (req->finishes < 3)
    eio_nop (req);
  return 0;
}

START_TEST (a_request_can_be_submitted_from_its_finish)
{
  eio_req grp = { .type = EIO_GROUP };
  eio_req req = { .on_finish = submit_again, .type = EIO_NOP };
  host_start ();
  eio_submit (&grp);
  eio_submit (&req);
  eio_grp_add (&grp, &req);
  flush ();
  eio_poll ();
  ck_assert_int_eq (req.finishes, 3);
  ck_assert_int_eq (req.destroys, 1);
  check_done (&grp);
}
END_TEST

static eio_req to_feed[10];
static int nfed;

static void
embed_feed (eio_req *grp)
{
  ++grp->feeds;
  if (nfed < 10)
    {
      eio_nop (to_feed + nfed);
      eio_grp_add (grp, to_feed + nfed++);
    }
}

START_TEST (own_feed_replaces_the_feeder)
{
  eio_req grp = { .type = EIO_GROUP };
  int i;
  host_start ();
  eio_submit (&grp);
  eio_grp_feed (&grp, never_called, 3);
  ck_assert_int_eq (nfed, 3);
  ck_assert_int_eq (grp.int2, 3);
  flush ();
  eio_poll ();
  ck_assert_int_eq (nfed, 10);
  ck_assert_int_eq (grp.feeds, 11); /* the last call added nothing */
  for (i = 0; i < 10; ++i)
    check_done (to_feed + i);
  check_done (&grp);
}
END_TEST

static void
answer_5 (eio_req *req)
{
  req->result = 5;
}

START_TEST (own_feed_does_not_replace_the_custom_function)
{
  eio_req req = { .type = EIO_CUSTOM, .feed = answer_5, .on_finish = look };
  host_start ();
  eio_submit (&req);
  flush ();
  check_done (&req);
  ck_assert_int_eq (result_seen, 5);
  ck_assert_int_eq (req.feeds, 0);
}
END_TEST

START_TEST (the_members_of_a_group_can_be_walked)
{
  eio_req grp = { .type = EIO_GROUP }, reqs[3] = { { 0 } }, *r;
  int i, n = 0;
  host_start ();
  eio_set_max_parallel (0);
  eio_submit (&grp);
  eio_grp_limit (&grp, 7);
  ck_assert_int_eq (grp.int2, 7);
  for (i = 0; i < 3; ++i)
    eio_grp_add (&grp, eio_nop (reqs + i));
  for (r = grp.grp_first; r; r = r->grp_next)
    {
      ck_assert_ptr_eq (r->grp, &grp);
      ++n;
    }
  ck_assert_int_eq (n, 3);
  ck_assert_uint_eq (grp.size, 3);
  eio_set_min_parallel (1);
  flush ();
  ck_assert_ptr_null (grp.grp_first);
}
END_TEST

START_TEST (page_align_widens_to_whole_pages)
{
  const size_t page = (size_t)sysconf (_SC_PAGESIZE);
  const struct
  {
    size_t addr, length, want_addr, want_length;
  } cases[] = {
    { 8 * page, 0, 8 * page, 0 },
    { 8 * page, 1, 8 * page, page },
    { 8 * page, page, 8 * page, page },
    { 8 * page, page + 1, 8 * page, 2 * page },
    { 8 * page + 1, page - 1, 8 * page, page },
    { 8 * page + 1, page, 8 * page, 2 * page },
    { 9 * page - 1, 1, 8 * page, page },
    { 9 * page - 1, 2, 8 * page, 2 * page },
    { 8 * page + 100, 10 * page, 8 * page, 11 * page },
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof *cases; ++i)
    {
      void *addr = (void *)cases[i].addr;
      size_t length = cases[i].length;
      eio_page_align (&addr, &length);
      ck_assert_uint_eq ((size_t)addr, cases[i].want_addr);
      ck_assert_uint_eq (length, cases[i].want_length);
    }
}
END_TEST

START_TEST (enosys_is_an_expression)
{
  int have = 0, value;
  errno = 0;
  value = have ? 0 : EIO_ENOSYS ();
  ck_assert_int_eq (value, -1);
  ck_assert_int_eq (errno, ENOSYS);
}
END_TEST

START_TEST (a_wd_has_a_descriptor)
{
  struct stat st, want;
  eio_wd wd;
  host_start ();
  wd = eio_wd_open_sync (EIO_CWD, scratch ());
  ck_assert_ptr_ne (wd, EIO_INVALID_WD);
  ck_assert_int_eq (HAVE_AT, 1);
  ck_assert_ptr_eq (&wd->fd, (int *)wd);
  ck_assert_int_gt (wd->fd, 0);
  ck_assert_int_eq (fstat (wd->fd, &st), 0);
  ck_assert_int_eq (stat (scratch (), &want), 0);
  ck_assert_uint_eq (st.st_ino, want.st_ino);
  eio_wd_close_sync (wd);
}
END_TEST

/* Attributes may stand before static, behind it, and at the end. */
ecb_cold static int
cold_before (int x)
{
  return x + 1;
}

static ecb_cold int
cold_behind (int x)
{
  return x + 2;
}

ecb_noinline static int
noinline_before (int x)
{
  return x + 3;
}

static int ecb_noinline
noinline_behind (int x)
{
  return x + 4;
}

static int cold_at_end (int x) ecb_cold;
static int
cold_at_end (int x)
{
  return x + 5;
}

static int noinline_at_end (int x) ecb_noinline;
static int
noinline_at_end (int x)
{
  return x + 6;
}

ecb_inline int
inlined (int x)
{
  return x + 7;
}

ecb_unused static int
never_used (void)
{
  return 0;
}

START_TEST (compiler_names_work)
{
  int unused_variable ecb_unused;
  void *pointer = &unused_variable;
  int zero = 0, five = 5;
  ck_assert_int_eq (cold_before (1) + cold_behind (1) + cold_at_end (1), 11);
  ck_assert_int_eq (noinline_before (1) + noinline_behind (1), 9);
  ck_assert_int_eq (noinline_at_end (1) + inlined (1), 15);
  ck_assert (ecb_expect_true (five) && ecb_expect_true (pointer));
  ck_assert (!ecb_expect_true (zero));
  ck_assert (ecb_expect_false (five == 5) && !ecb_expect_false (zero));
}
END_TEST

static struct
{
  xmutex_t lock;
  xcond_t cond;
  int turn;
  int in_thread;
} baton;

X_THREAD_PROC (baton_thread)
{
  int *result = thr_arg;
  X_LOCK (baton.lock);
  while (baton.turn != 1)
    X_COND_WAIT (baton.cond, baton.lock);
  baton.turn = 2;
  X_COND_SIGNAL (baton.cond);
  X_UNLOCK (baton.lock);
  *result = 17;
  return 0;
}

static struct timespec
in_seconds (int seconds)
{
  struct timespec t;
  clock_gettime (CLOCK_REALTIME, &t);
  t.tv_sec += seconds;
  return t;
}

START_TEST (threads_and_conditions_work)
{
  struct timespec past = in_seconds (-10), future = in_seconds (100);
  xthread_t tid;
  int result = 0, timed_out = 0;

  X_MUTEX_CREATE (baton.lock);
  X_COND_CREATE (baton.cond);
  ck_assert_int_ne (xthread_create (&tid, baton_thread, &result), 0);

  X_LOCK (baton.lock);
  ck_assert_int_ne (X_COND_TIMEDWAIT (baton.cond, baton.lock, past), 0);
  baton.turn = 1;
  X_COND_SIGNAL (baton.cond);
  while (baton.turn != 2 && !timed_out)
    timed_out = X_COND_TIMEDWAIT (baton.cond, baton.lock, future);
  X_UNLOCK (baton.lock);
  ck_assert_int_eq (timed_out, 0);

  ck_assert_int_eq (pthread_join (tid, 0), 0);
  ck_assert_int_eq (result, 17);
}
END_TEST

static X_TLS_DECLARE (tls);

X_THREAD_PROC (tls_thread)
{
  int *seen = thr_arg;
  *seen = X_TLS_GET (tls) != 0;
  X_TLS_SET (tls, seen);
  *seen += 2 * (X_TLS_GET (tls) == seen);
  return 0;
}

START_TEST (thread_local_pointers_are_each_threads_own)
{
  xthread_t tid;
  int mine, seen = -1;
  X_TLS_INIT (tls);
  ck_assert_ptr_null (X_TLS_GET (tls));
  X_TLS_SET (tls, &mine);
  ck_assert_int_ne (xthread_create (&tid, tls_thread, &seen), 0);
  ck_assert_int_eq (pthread_join (tid, 0), 0);
  ck_assert_int_eq (seen, 2);
  ck_assert_ptr_eq (X_TLS_GET (tls), &mine);
}
END_TEST

static int prepared, in_parent, in_child;

static void
on_prepare (void)
{
  ++prepared;
}

static void
on_parent (void)
{
  ++in_parent;
}

/* Embedders start anew here. */
static void
on_child (void)
{
  ++in_child;
  host_start ();
}

static int
child_works (void)
{
  eio_req req = { .on_finish = look };
  eio_nop (&req);
  flush ();
  return in_child == 1 && prepared == 1 && req.destroys == 1
         && result_seen == 0;
}

START_TEST (the_library_starts_anew_in_an_atfork_handler)
{
  eio_req req = { 0 };
  int status = -1;
  pid_t pid;
  if (!child_may_start_threads ())
    return;
  host_start ();
  X_THREAD_ATFORK (on_prepare, on_parent, on_child);
  eio_nop (&req);
  flush ();
  check_done (&req);

  pid = fork ();
  if (!pid)
    _exit (child_works () ? 0 : 1);
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert (WIFEXITED (status));
  ck_assert_int_eq (WEXITSTATUS (status), 0);
  ck_assert_int_eq (prepared, 1);
  ck_assert_int_eq (in_parent, 1);
}
END_TEST

static size_t stack_size;

static void
measure_stack (eio_req *req)
{
#ifdef __linux__
  pthread_attr_t attr;
  if (!pthread_getattr_np (pthread_self (), &attr))
    {
      pthread_attr_getstacksize (&attr, &stack_size);
      pthread_attr_destroy (&attr);
    }
#else
  stack_size = EIO_STACKSIZE;
#endif
  req->result = 0;
}

START_TEST (workers_have_the_stack_asked_for)
{
  eio_req req = { .type = EIO_CUSTOM, .feed = measure_stack };
  host_start ();
  eio_submit (&req);
  flush ();
  ck_assert_uint_ge (stack_size, EIO_STACKSIZE);
  ck_assert_uint_le (stack_size, 3 * EIO_STACKSIZE);
}
END_TEST

/* The buffers of the types that deliver a path have room for so much. */
START_TEST (results_have_room_for_the_path_asked_for)
{
  static const int types[] = { EIO_READLINK, EIO_REALPATH };
  char path[5000];
  size_t i;
  host_start ();
  strcpy (path, scratch_path ("link"));
  ck_assert_int_eq (symlink ("/", path), 0);
  for (i = 0; i < 2; ++i)
    {
      eio_req req = { .type = (signed char)types[i], .ptr1 = path,
                      .on_finish = look_and_take };
      eio_submit (&req);
      flush ();
      ck_assert_int_eq (result_seen, 1);
      ck_assert_int_eq (*(char *)ptr2_seen, '/');
#ifdef __GLIBC__
      ck_assert_uint_ge (malloc_usable_size (ptr2_seen), EIO_PATH_MIN);
#endif
      free (ptr2_seen);
    }
}
END_TEST

static eio_req late = { .type = EIO_NOP };
static int late_result, late_errno;

static int
add_late (eio_req *grp)
{
  eio_submit (&late);
  errno = 0;
  late_result = eio_grp_add (grp, &late);
  late_errno = errno;
  return 0;
}

/* The request runs alone; the group neither counts it nor waits for it. */
START_TEST (adding_to_a_finishing_group_is_refused)
{
  eio_req grp = { .type = EIO_GROUP, .on_finish = add_late };
  host_start ();
  eio_set_max_parallel (0);
  eio_submit (&grp);
  eio_poll ();
  check_done (&grp);
  ck_assert_int_eq (late_result, -1);
  ck_assert_int_eq (late_errno, EINVAL);
  ck_assert_uint_eq (grp.size, 0);
  ck_assert_ptr_null (grp.grp_first);
  ck_assert_ptr_null (late.grp);
  eio_set_min_parallel (1);
  flush ();
  check_done (&late);
  check_done (&grp);
}
END_TEST

/* It stays where it is. */
START_TEST (adding_a_member_of_another_group_is_refused)
{
  eio_req grps[2] = { { .type = EIO_GROUP }, { .type = EIO_GROUP } };
  eio_req req = { 0 };
  int i;
  host_start ();
  eio_set_max_parallel (0);
  for (i = 0; i < 2; ++i)
    eio_submit (grps + i);
  ck_assert_int_eq (eio_grp_add (grps, eio_nop (&req)), 0);
  ck_assert_int_eq (eio_grp_add (grps + 1, &req), -1);
  ck_assert_int_eq (errno, EINVAL);
  ck_assert_ptr_eq (req.grp, grps);
  ck_assert_uint_eq (grps[0].size, 1);
  ck_assert_uint_eq (grps[1].size, 0);
  eio_poll ();
  ck_assert_int_eq (grps[0].finishes, 0);
  check_done (grps + 1);
  eio_set_min_parallel (1);
  while (!grps[0].finishes)
    {
      poll_wait ();
      eio_poll ();
    }
  check_done (grps);
  check_done (&req);
}
END_TEST

/* All members that embedders read and write, in a request of each family. */
START_TEST (requests_are_filled_and_read_by_hand)
{
  char path[5000], target[] = "target";
  eio_req link = { .type = EIO_SYMLINK, .ptr1 = target, .on_finish = look };
  eio_req stat_ = { .type = EIO_LSTAT, .on_finish = look_and_take };
  eio_req time_ = { .type = EIO_UTIME, .nv1 = 1.5, .nv2 = 2.5,
                    .on_finish = look };
  host_start ();
  write_file (scratch_path ("file"), "contents", 8);

  strcpy (path, scratch_path ("link"));
  link.ptr2 = path;
  eio_submit (&link);
  flush ();
  ck_assert_int_eq (result_seen, 0);

  stat_.ptr1 = path;
  eio_submit (&stat_);
  flush ();
  ck_assert_int_eq (result_seen, 0);
  ck_assert (S_ISLNK (((struct stat *)ptr2_seen)->st_mode));
  free (ptr2_seen);

  strcpy (path, scratch_path ("missing"));
  time_.ptr1 = path;
  eio_submit (&time_);
  flush ();
  ck_assert_int_eq (result_seen, -1);
  ck_assert_int_eq (errorno_seen, ENOENT);
}
END_TEST

static void
add_hook_tests (TCase *tc)
{
  tcase_add_test (tc, replacements_see_the_pool);
  tcase_add_test (tc, own_finish_and_destroy_replace_the_members);
  tcase_add_test (tc, the_value_of_finish_is_the_polls);
  tcase_add_test (tc, own_members_are_kept);
  tcase_add_test (tc, finish_sees_requests_cancelled_before_execution);
  tcase_add_test (tc, finish_sees_that_a_cancelled_close_closed);
  tcase_add_test (tc, finish_owns_the_descriptor_of_a_cancelled_open);
  tcase_add_test (tc, finish_owns_the_wd_of_a_cancelled_wd_open);
  tcase_add_test (tc, a_wd_open_that_never_ran_has_no_wd);
  tcase_add_test (tc, finish_can_take_the_buffers_of_a_cancelled_readdir);
  tcase_add_test (tc, flagged_memory_is_freed_though_cancelled);
  tcase_add_test (tc, the_higher_flags_are_the_embedders);
  tcase_add_test (tc, a_request_can_be_submitted_from_its_finish);
  tcase_add_test (tc, own_feed_replaces_the_feeder);
  tcase_add_test (tc, own_feed_does_not_replace_the_custom_function);
}

static void
add_name_tests (TCase *tc)
{
  tcase_add_test (tc, the_members_of_a_group_can_be_walked);
  tcase_add_test (tc, page_align_widens_to_whole_pages);
  tcase_add_test (tc, enosys_is_an_expression);
  tcase_add_test (tc, a_wd_has_a_descriptor);
  tcase_add_test (tc, compiler_names_work);
  tcase_add_test (tc, threads_and_conditions_work);
  tcase_add_test (tc, thread_local_pointers_are_each_threads_own);
  tcase_add_test (tc, the_library_starts_anew_in_an_atfork_handler);
  tcase_add_test (tc, workers_have_the_stack_asked_for);
  tcase_add_test (tc, results_have_room_for_the_path_asked_for);
  tcase_add_test (tc, adding_to_a_finishing_group_is_refused);
  tcase_add_test (tc, adding_a_member_of_another_group_is_refused);
  tcase_add_test (tc, requests_are_filled_and_read_by_hand);
}

int
main (void)
{
  Suite *suite = suite_create ("embed");
  TCase *tc = add_case (suite, "embed", 100, 0, stop_workers);
  tcase_add_test (tc, the_loop_of_embedders_drains);
  tcase_add_test (tc, the_loop_waits_while_the_worker_is_busy);
  tcase_add_test (tc, queue_size_is_the_number_of_pending_results);
  tcase_add_test (tc, a_group_with_members_is_no_pending_result);
  tcase_add_test (tc, maybe_start_thread_respects_the_limit);
  add_hook_tests (tc);
  add_name_tests (tc);
  return run_suite (suite);
}
