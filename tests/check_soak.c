/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Much of it, and for long: thousands outstanding for as long as wanted, with
 * memory, descriptors and threads flat; very many queued at once; very many
 * forks.  (Groups nested 100,000 deep are in check_group.)
 *
 * EIO_SOAK_SECONDS (2) says how long, EIO_SOAK_MANY=1 that the others are to
 * be a million requests and 10,000 forks, and not a few of them. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
# include <sys/prctl.h>
#endif

#include "support.h"

static int
many (int few, int all)
{
  const char *text = getenv ("EIO_SOAK_MANY");

  return text && atoi (text) ? all : few;
}

static double
seconds (void)
{
  const char *text = getenv ("EIO_SOAK_SECONDS");

  return text ? atof (text) : 2;
}

static unsigned int random_state = 1;

static unsigned int
random_below (unsigned int n)
{
  return xorshift32 (&random_state) % n;
}

/* Resident memory in KiB; 0 where it is not told, or not the library's. */
static long
resident (void)
{
  long pages = 0;
  FILE *f = HAVE_SANITIZER ? 0 : fopen ("/proc/self/statm", "r");

  if (!f)
    return 0;
  if (fscanf (f, "%*s %ld", &pages) != 1)
    pages = 0;
  fclose (f);
  return pages * (sysconf (_SC_PAGESIZE) / 1024);
}

/*****************************************************************************
 * Thousands outstanding                                                     *
 *****************************************************************************/

enum
{
  SLOTS = 10000,
  WORKERS = 4,
  WARM = 5 * SLOTS,   /* requests, until memory is what it is */
  GROWTH = 32 * 1024, /* KiB; a byte a request is more in an hour */
  INHERITANCE = 16,   /* KiB; a child keeps the pool of its parent, as it may
                         return to a callback in it */
  FILE_SIZE = 4096
};

/* A request that is outstanding; when it ends, another takes its place.  All
 * callbacks come, those of cancelled requests, too. */
typedef struct
{
  eio_req *req;
  int cancelled;
  int left; /* members of a group */
  atomic_int executed;
} slot;

static slot slots[SLOTS];
static long ended, cancelled;
static int over, file;
static const char *path; /* the file's; children make no names of their own */

static void
custom (eio_req *req)
{
  slot *s = req->data;

  ++s->executed;
  req->result = 7;
}

static int
member_ended (eio_req *req)
{
  slot *s = req->data;

  --s->left;
  return 0;
}

static void occupy (slot *s);

static void
check_result (const slot *s, eio_req *req)
{
  always (req == s->req);
  always (!!EIO_CANCELLED (req) == s->cancelled);
  always (s->left == 0);
  always (s->executed <= 1);
  if (s->cancelled)
    return;
  switch (req->type)
    {
    case EIO_CUSTOM:
      always (s->executed == 1);
      always (req->result == 7);
      break;
    case EIO_READ:
      always (req->result == 64);
      always (*(char *)req->ptr2 == (char)(req->offs % 251));
      break;
    case EIO_READDIR:
      always (req->result == 1); /* the file */
      break;
    default:
      always (req->result == 0);
    }
}

static int
slot_ended (eio_req *req)
{
  slot *s = req->data;
  slot *other = &slots[random_below (SLOTS)];

  check_result (s, req);
  ++ended;
  s->req = 0;
  if (!over)
    occupy (s);
  if (!random_below (16) && other->req && !other->cancelled)
    {
      ++cancelled;
      other->cancelled = 1;
      eio_cancel (other->req);
    }
  return 0;
}

static eio_req *
start_group (slot *s, int pri)
{
  eio_req *grp = eio_grp (slot_ended, s);
  int n = 1 + (int)random_below (3);

  for (s->left = n; n--;)
    eio_grp_add (grp, eio_nop (pri, member_ended, s));
  return grp;
}

static eio_req *
start_any (slot *s)
{
  int pri = (int)random_below (9) - 4;

  switch (random_below (10))
    {
    case 0:
      return start_group (s, pri);
    case 1:
      return eio_stat (path, pri, slot_ended, s);
    case 2:
      return eio_readdir (scratch (), 0, pri, slot_ended, s);
    case 3:
    case 4:
      return eio_read (file, 0, 64, random_below (FILE_SIZE - 64), pri,
                       slot_ended, s);
    case 5:
      return eio_nop (pri, slot_ended, s);
    default:
      return eio_custom (custom, pri, slot_ended, s);
    }
}

static void
occupy (slot *s)
{
  s->cancelled = 0;
  s->executed = 0;
  s->left = 0;
  s->req = start_any (s);
  always (s->req);
}

static void
make_file (void)
{
  char bytes[FILE_SIZE];
  int i;

  for (i = 0; i < FILE_SIZE; ++i)
    bytes[i] = (char)(i % 251);
  path = scratch_path ("file");
  write_file (path, bytes, sizeof bytes);
  file = open (path, O_RDONLY);
  ck_assert_int_ge (file, 0);
}

/* What there is of each: at most, but for memory. */
typedef struct
{
  int fds, threads;
  long memory, most_memory; /* when it was warm, and most since; KiB */
} level;

static void
look (level *l)
{
  int fds = count_fds (), threads = count_threads ();
  long memory = resident ();

  l->fds = fds > l->fds ? fds : l->fds;
  l->threads = threads > l->threads ? threads : l->threads;
  if (ended < WARM)
    return;
  if (!l->memory)
    l->memory = l->most_memory = memory;
  l->most_memory = memory > l->most_memory ? memory : l->most_memory;
}

START_TEST (thousands_outstanding_keep_everything_flat)
{
  double begin = now (), end = begin + seconds (), next = begin;
  int fds, threads, i;
  level l = { 0 };

  host_start ();
  make_file ();
  eio_set_parallel (WORKERS);
  eio_set_finish_cancelled (1);
  eio_set_max_poll_reqs (SLOTS / 10); /* or the first poll lasts for ever */
  fds = count_fds ();
  threads = count_threads ();
  for (i = 0; i < SLOTS; ++i)
    occupy (&slots[i]);
  while (now () < end)
    {
      host_poll ();
      always (eio_nreqs () >= SLOTS);
      if (now () < next)
        continue;
      look (&l);
      next = now () + seconds () / 20;
    }
  over = 1;
  host_drain ();
  stop_workers ();

  printf ("%ld requests, %ld cancelled; %ld KiB, then %ld at most; "
          "%d descriptors, %d threads\n",
          ended, cancelled, l.memory, l.most_memory, l.fds, l.threads);
  ck_assert_int_eq (count_fds (), fds);
  wait_until (count_threads () <= threads + HAVE_SANITIZER);
  ck_assert_int_le (l.fds, fds + WORKERS);
  /* Those that left are the system's for a moment. */
  ck_assert_int_le (l.threads, threads + 2 * WORKERS);
  ck_assert_int_le (l.most_memory, l.memory + GROWTH);
  end_long_test (seconds ());
}
END_TEST

/*****************************************************************************
 * A million at once                                                         *
 *****************************************************************************/

typedef struct
{
  eio_req req;
  atomic_char executed;
  char finished, destroyed, cancelled;
} entry;

static entry *entries;
static int nentries, turn, last[EIO_PRI_MAX - EIO_PRI_MIN + 1];

static entry *
entry_of (eio_req *req)
{
  return (entry *)((char *)req - offsetof (entry, req));
}

static void
execute_entry (eio_req *req)
{
  ++entry_of (req)->executed;
}

/* _i: with one worker, those of a priority come in the order in which they
 * were submitted, and when all are there, the highest first. */
static int
finish_entry (eio_req *req)
{
  entry *e = entry_of (req);

  ++e->finished;
  always (e->executed == 1);
  always (e->cancelled == 0);
  if (turn)
    {
      int n = (int)(e - entries) + 1, rank = req->pri - EIO_PRI_MIN;

      always (n > last[rank]);
      last[rank] = n;
    }
  return 0;
}

static void
destroy_entry (eio_req *req)
{
  ++entry_of (req)->destroyed;
}

static void
cancel_some (int n)
{
  while (n--)
    {
      entry *e = &entries[random_below ((unsigned)nentries)];

      if (e->finished || e->destroyed)
        continue;
      e->cancelled = 1;
      eio_cancel (&e->req);
    }
}

static void
submit_entries (void)
{
  int i;

  for (i = 0; i < nentries; ++i)
    {
      eio_req *req = &entries[i].req;

      req->type = EIO_CUSTOM;
      req->pri = (signed char)((int)random_below (9) + EIO_PRI_MIN);
      req->feed = execute_entry;
      req->finish = finish_entry;
      req->destroy = destroy_entry;
      eio_submit (req);
    }
}

static void
check_entries (void)
{
  int i;

  for (i = 0; i < nentries; ++i)
    {
      const entry *e = &entries[i];

      if (e->destroyed != 1 || e->finished != !e->cancelled || e->executed > 1)
        ck_abort_msg ("request %d: executed %d, finished %d, destroyed %d, "
                      "cancelled %d",
                      i, e->executed, e->finished, e->destroyed, e->cancelled);
    }
}

/* _i: none is cancelled, and there is one worker; or some are, before and
 * while they are executed, by several. */
START_TEST (a_million_queued_at_once_end_once)
{
  nentries = many (50000, 1000000);
  entries = calloc ((size_t)nentries, sizeof *entries);
  ck_assert_ptr_nonnull (entries);
  turn = !_i;
  start_paused ();
  submit_entries ();
  ck_assert_uint_eq (eio_nreqs (), nentries);
  ck_assert_uint_eq (eio_nready (), nentries);
  if (_i)
    cancel_some (nentries / 3);
  resume (_i ? WORKERS : 1);
  while (eio_nreqs ())
    {
      host_poll ();
      if (_i)
        cancel_some (16);
    }
  stop_workers ();
  check_entries ();
  free (entries);
}
END_TEST

/*****************************************************************************
 * Thousands of forks                                                        *
 *****************************************************************************/

static int
count_success (eio_req *req)
{
  need (req->result == 0);
  return count (req);
}

/* Does a bit of work, some of it left to do or to be taken.  Returns how many
 * were submitted. */
static int
keep_busy (void)
{
  int i;

  for (i = 0; i < 4; ++i)
    eio_nop (i, count, 0);
  for (i = 0; i < 4; ++i)
    eio_stat (path, i, count_success, 0);
  return 8;
}

/* The process works as one in which the library has just been started. */
static int
works_alone (int n)
{
  if (n % 2 && eio_init (0, 0))
    return 0;
  finishes = 0;
  keep_busy ();
  return !eio_flush () && finishes == 8;
}

static void
prepare_forks (void)
{
  ck_assert_int_eq (eio_init (0, 0), 0);
  make_file ();
  eio_set_parallel (2);
}

/* The parent goes on. */
START_TEST (thousands_of_children_change_nothing_in_the_parent)
{
  int n = many (100, 10000), fds, threads, i, submitted = 0;
  long memory = 0;

  prepare_forks ();
  fds = count_fds ();
  threads = count_threads ();
  for (i = 0; i < n; ++i)
    {
      pid_t pid;

      submitted += keep_busy ();
      pid = fork ();
      if (!pid)
        {
          begin_child ();
          need (works_alone (i));
          _exit (0);
        }
      expect_success (pid);
      if (i % 3)
        eio_flush ();
      if (i == n / 10)
        memory = resident ();
    }
  eio_flush ();
  stop_workers ();
  ck_assert_int_eq (finishes, submitted);
  ck_assert_int_eq (count_fds (), fds);
  wait_until (count_threads () <= threads + HAVE_SANITIZER);
  printf ("%d children; %ld KiB, then %ld\n", n, memory, resident ());
  ck_assert_int_le (resident (), memory + GROWTH);
}
END_TEST

/* What the last of many generations tells. */
typedef struct
{
  int fds;
  long memory;
} report;

/* Each generation works, and leaves something undone to its parent, which
 * ends; as daemons do.  Does not return. */
static void
go_on (int generations, int to)
{
  static report r;
  int i;

  for (i = 0; i < generations; ++i)
    {
      pid_t pid;

      begin_child ();
      need (works_alone (i));
      keep_busy ();
      pid = fork ();
      need (pid >= 0);
      if (pid)
        _exit (0);
    }
  need (works_alone (i));
  r.fds = count_fds ();
  r.memory = resident ();
  need (write (to, &r, sizeof r) == sizeof r);
  _exit (0);
}

START_TEST (thousands_of_generations_follow_each_other)
{
  int n = many (100, 10000), fds, ends[2], status;
  long memory;
  report r;
  pid_t pid;

  prepare_forks ();
#ifdef PR_SET_CHILD_SUBREAPER
  prctl (PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#endif
  ck_assert_int_eq (pipe (ends), 0);
  fds = count_fds ();
  memory = resident ();
  pid = fork ();
  if (!pid)
    go_on (n, ends[1]);
  close (ends[1]);
  while (wait (&status) > 0)
    ck_assert_int_eq (status, 0);
  ck_assert_int_eq (read (ends[0], &r, sizeof r), sizeof r);
  printf ("%d generations; %d descriptors, %ld KiB\n", n, r.fds, r.memory);
  ck_assert_int_le (r.fds, fds);
  ck_assert_int_le (r.memory, memory + GROWTH + n * INHERITANCE);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

int
main (void)
{
  Suite *suite = suite_create ("soak");
  TCase *tc = add_case (suite, "outstanding", (int)seconds () + 120, 0, 0);

  tcase_add_test (tc, thousands_outstanding_keep_everything_flat);
  tc = add_case (suite, "at once", many (120, 1200), 0, 0);
  tcase_add_loop_test (tc, a_million_queued_at_once_end_once, 0, 2);
  tc = add_case (suite, "forks", many (120, 3600), 0, 0);
  if (!HAVE_SANITIZER && child_may_start_threads ())
    {
      tcase_add_test (tc, thousands_of_children_change_nothing_in_the_parent);
      tcase_add_test (tc, thousands_of_generations_follow_each_other);
    }
  else
    puts ("skipped: forks, as children could start no threads");
  return run_suite (suite);
}
