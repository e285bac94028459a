/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The benchmark's driver.  One execution is one run: one case, by the back
 * end that is linked in (see peer.h), at one depth, for some milliseconds.
 * It prints one line of CSV; scripts/bench.sh makes many such runs.
 *
 * A run is a closed loop: `depth` jobs are outstanding, and when one is done
 * it is submitted again, in the callback.  After a warm-up, what counts is
 * what is done between two completions, the first after the warm-up and the
 * first after the end; so slow requests are not cut off.
 *
 * In this file: 1 cases, 2 jobs, 3 submitting threads, 4 files, 5 a run,
 * 6 main. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"
#include "recorder.h"

enum
{
  BLOCK = 4096,
  MIB = 1 << 20,
  MS = 1000000, /* in ns */
  FILES = 64,   /* small ones, for stat and open */
  SUBMITTERS = 4,
  EXIT_CANNOT = 3
};

/*****************************************************************************
 * 1  Cases                                                                  *
 *****************************************************************************/

enum file
{
  FILE_NONE,
  FILE_CACHED, /* in the page cache */
  FILE_WRITE,
  FILE_COLD /* to be read from the disk */
};

static const struct
{
  const char *name;
  int flags;
  size_t size;
} files[] = {
  [FILE_NONE] = { 0, 0, BLOCK },
  [FILE_CACHED] = { "cached", O_RDONLY, 16 * MIB },
  [FILE_WRITE] = { "write", O_RDWR, 16 * MIB },
  [FILE_COLD] = { "cold", O_RDONLY | O_DIRECT, 256 * MIB },
};

struct what
{
  const char *name;
  enum op first;
  unsigned int ops;
  enum file file;
  bool idle;   /* the number of workers is how many idle ones there are */
  bool shared; /* SUBMITTERS threads submit */
};

#define ONE(op)       .first = (op), .ops = OP_BIT (op)
#define TWO(op, then) .first = (op), .ops = OP_BIT (op) | OP_BIT (then)

static const struct what cases[] = {
  { "nop", ONE (OP_NOP) },
  { "stat", ONE (OP_STAT) },
  { "read", ONE (OP_READ), .file = FILE_CACHED },
  { "write", ONE (OP_WRITE), .file = FILE_WRITE },
  { "cold", ONE (OP_READ), .file = FILE_COLD },

  /* Open, and a plain close of what was opened, in the callback. */
  { "open", ONE (OP_OPEN) },

  /* Two requests in sequence, which count once. */
  { "openclose", TWO (OP_OPEN, OP_CLOSE) },
  { "fsync", TWO (OP_WRITE, OP_FSYNC), .file = FILE_WRITE },

  { "idle-nop", ONE (OP_NOP), .idle = true },
  { "idle-read", ONE (OP_READ), .file = FILE_CACHED, .idle = true },
  { "submit4-nop", ONE (OP_NOP), .shared = true },
  { "submit4-read", ONE (OP_READ), .file = FILE_CACHED, .shared = true },

  /* Each job once, on a pool without threads. */
  { "burst", ONE (OP_SLEEP) },
};

static struct
{
  const struct what *what;
  char paths[FILES][16];
  int fd;
  uint64_t warm_until, measure; /* ns */
  struct recorder **recorders;
  int recorder_count;
  bool shared;
  _Atomic int live;
} run;

void
bench_die (const char *what, int error)
{
  fprintf (stderr, "%s%s%s\n", what, error ? ": " : "",
           error ? strerror (error) : "");
  _exit (1);
}

const char *
bench_why (const char *what, int error)
{
  static char why[100];

  snprintf (why, sizeof why, "%s%s%s", what, error ? ": " : "",
            error ? strerror (error) : "");
  return why;
}

static void *
allocate (size_t size)
{
  void *block = calloc (1, size);

  if (!block)
    bench_die ("memory", ENOMEM);
  return block;
}

/*****************************************************************************
 * 2  Jobs                                                                   *
 *****************************************************************************/

static bool hand_over (struct job *job);

int
bench_live (void)
{
  return atomic_load_explicit (&run.live, memory_order_relaxed);
}

/* Makes the job a new request. */
static void
prepare_job (struct job *job)
{
  uint64_t random = random_next (job->recorder) >> 8;
  uint64_t blocks = files[run.what->file].size / BLOCK;

  job->op = run.what->first;
  job->fd = run.fd;
  job->path = run.paths[random % FILES];
  job->offs = (off_t)(random % blocks * BLOCK);
}

/* Returns whether a further request belongs to what the job just did. */
static bool
prepare_step (struct job *job, long result)
{
  if (job->op == OP_OPEN && !(run.what->ops & OP_BIT (OP_CLOSE)))
    close ((int)result);
  else if (job->op == OP_OPEN)
    {
      job->op = OP_CLOSE;
      job->fd = (int)result;
      return true;
    }
  else if (job->op == OP_WRITE && run.what->ops & OP_BIT (OP_FSYNC))
    {
      job->op = OP_FSYNC;
      return true;
    }
  return false;
}

/* Returns whether this was the last one that counts. */
static bool
record (struct recorder *recorder, uint64_t begun, uint64_t now)
{
  if (recorder->ended || now < run.warm_until)
    return recorder->ended;
  if (!recorder->begun)
    {
      recorder->begun = now;
      getrusage (RUSAGE_SELF, &recorder->before);
      return false;
    }

  recorder->count++;
  recorder->buckets[bucket_of (now - begun)]++;
  if (now < recorder->begun + run.measure)
    return false;
  recorder->ended = now;
  getrusage (RUSAGE_SELF, &recorder->after);
  return true;
}

bool
bench_done (struct job *job, long result)
{
  uint64_t now;

  if (result < 0)
    bench_die (run.what->name, (int)-result);
  if ((job->op == OP_READ || job->op == OP_WRITE) && result != (long)job->size)
    bench_die ("a short read or write", 0);
  if (prepare_step (job, result))
    return true;

  now = clock_ns ();
  if (record (job->recorder, job->begun, now) || job->op == OP_SLEEP)
    {
      run.live--;
      return false;
    }
  prepare_job (job);
  job->begun = now;
  return !run.shared || hand_over (job);
}

static struct job *
make_jobs (const struct setup *setup)
{
  struct job *jobs = allocate ((size_t)setup->depth * sizeof *jobs);

  run.recorder_count = setup->recorders;
  run.recorders = allocate ((size_t)setup->recorders * sizeof *run.recorders);
  for (int i = 0; i < setup->recorders; i++)
    {
      run.recorders[i] = allocate (sizeof **run.recorders);
      run.recorders[i]->random = clock_ns () | 1;
    }

  for (int i = 0; i < setup->depth; i++)
    {
      struct job *job = jobs + i;

      job->recorder = run.recorders[i % setup->recorders];
      job->peer = allocate (peer_size);
      job->size = BLOCK;
      if (posix_memalign (&job->buf, BLOCK, BLOCK))
        bench_die ("memory", ENOMEM);
      memset (job->buf, i, BLOCK);
      prepare_job (job);
    }
  return jobs;
}

/*****************************************************************************
 * 3  Submitting threads                                                     *
 *****************************************************************************/

/* Each submits its part of the jobs, whenever the thread of peer_run gave
 * them back. */
static struct submitter
{
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t filled;
  struct job *jobs; /* to submit */
  bool over;
} submitters[SUBMITTERS];

static struct job *all_jobs;

/* Always false: it is not for the caller to submit. */
static bool
hand_over (struct job *job)
{
  struct submitter *submitter = submitters + (job - all_jobs) % SUBMITTERS;
  bool was_empty;

  pthread_mutex_lock (&submitter->lock);
  was_empty = !submitter->jobs;
  job->next = submitter->jobs;
  submitter->jobs = job;
  pthread_mutex_unlock (&submitter->lock);
  if (was_empty)
    pthread_cond_signal (&submitter->filled);
  return false;
}

static struct job *
await_jobs (struct submitter *submitter)
{
  struct job *jobs;

  pthread_mutex_lock (&submitter->lock);
  while (!submitter->jobs && !submitter->over)
    pthread_cond_wait (&submitter->filled, &submitter->lock);
  jobs = submitter->jobs;
  submitter->jobs = 0;
  pthread_mutex_unlock (&submitter->lock);
  return jobs;
}

static void *
submit_jobs (void *arg)
{
  struct job *job, *next;

  while ((job = await_jobs (arg)))
    for (; job; job = next)
      {
        next = job->next;
        job->begun = clock_ns ();
        peer_submit (job);
      }
  return 0;
}

static void
start_submitters (int depth)
{
  for (int i = 0; i < SUBMITTERS; i++)
    {
      pthread_mutex_init (&submitters[i].lock, 0);
      pthread_cond_init (&submitters[i].filled, 0);
    }
  for (int i = 0; i < depth; i++)
    hand_over (all_jobs + i);
  for (int i = 0; i < SUBMITTERS; i++)
    if (pthread_create (&submitters[i].thread, 0, submit_jobs, submitters + i))
      bench_die ("pthread_create", EAGAIN);
}

static void
stop_submitters (void)
{
  for (int i = 0; i < SUBMITTERS; i++)
    {
      pthread_mutex_lock (&submitters[i].lock);
      submitters[i].over = true;
      pthread_mutex_unlock (&submitters[i].lock);
      pthread_cond_signal (&submitters[i].filled);
      pthread_join (submitters[i].thread, 0);
    }
}

/*****************************************************************************
 * 4  Files                                                                  *
 *****************************************************************************/

/* Makes a file of that size, unless it is there. */
static void
make_file (const char *name, size_t size)
{
  char *chunk = allocate (MIB);
  int fd = open (name, O_WRONLY | O_CREAT, 0600);
  struct stat st;

  if (fd < 0 || fstat (fd, &st))
    bench_die (name, errno);
  memset (chunk, 'x', MIB);
  while ((size_t)st.st_size < size)
    {
      size_t rest = size - (size_t)st.st_size;
      ssize_t n = pwrite (fd, chunk, rest < MIB ? rest : MIB, st.st_size);

      if (n <= 0)
        bench_die (name, errno);
      st.st_size += n;
    }
  if (fsync (fd) || close (fd))
    bench_die (name, errno);
  free (chunk);
}

static void
make_files (bool cold)
{
  for (int i = FILE_CACHED; i <= (cold ? FILE_COLD : FILE_WRITE); i++)
    make_file (files[i].name, files[i].size);
  for (int i = 0; i < FILES; i++)
    make_file (run.paths[i], 1);
}

/* Sees to it that all of the file is in the page cache. */
static void
fill_cache (int fd)
{
  char *chunk = allocate (BLOCK * 16);
  ssize_t n;

  while ((n = read (fd, chunk, BLOCK * 16)) > 0)
    continue;
  if (n < 0)
    bench_die ("read", errno);
  free (chunk);
}

/* Returns null, or why it cannot be opened as the case wants it. */
static const char *
open_file (enum file file)
{
  if (file == FILE_NONE)
    return 0;
  run.fd = open (files[file].name, files[file].flags | O_CLOEXEC);
  if (run.fd < 0 && file == FILE_COLD)
    return bench_why ("open with O_DIRECT", errno);
  if (run.fd < 0)
    bench_die (files[file].name, errno);
  if (file == FILE_CACHED)
    fill_cache (run.fd);
  return 0;
}

/*****************************************************************************
 * 5  A run                                                                  *
 *****************************************************************************/

/* Makes room for a thousand open files now: once there are threads, the kernel
 * takes milliseconds to enlarge the table. */
static void
reserve_descriptors (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit))
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  close (fcntl (0, F_DUPFD, 2000));
}

/* Adds all up in the first; returns the requests per second. */
static double
sum_up (struct recorder *sum)
{
  double rate = 0;

  for (int i = 0; i < run.recorder_count; i++)
    {
      const struct recorder *one = run.recorders[i];

      rate += 1e9 * (double)one->count / (double)(one->ended - one->begun);
      if (one == sum)
        continue;
      sum->count += one->count;
      for (int b = 0; b < BUCKETS; b++)
        sum->buckets[b] += one->buckets[b];
    }
  return rate;
}

/* What it took to submit, and until all was done: in µs, or 0. */
static void
print_result (double rate, double submit, double total)
{
  const struct recorder *sum = run.recorders[0];

  printf (",%.1f,%.3f,%.2f,%.2f,%.2f,%.3f,%.1f,%.1f\n", rate,
          (cpu_us (&sum->after) - cpu_us (&sum->before)) / (double)sum->count,
          percentile (sum, .5) / 1e3, percentile (sum, .99) / 1e3,
          percentile (sum, .999) / 1e3,
          (switches (&sum->after) - switches (&sum->before))
              / (double)sum->count,
          submit / 1e3, total / 1e3);
}

static void
submit_all (const struct setup *setup)
{
  for (int i = 0; i < setup->depth; i++)
    {
      all_jobs[i].begun = clock_ns ();
      peer_submit (all_jobs + i);
    }
}

/* Everything counts from the first submission on. */
static void
run_once (const struct setup *setup)
{
  uint64_t begun = clock_ns (), submitted, ended;

  getrusage (RUSAGE_SELF, &run.recorders[0]->before);
  run.measure = UINT64_MAX / 2;
  run.recorders[0]->begun = begun;
  submit_all (setup);
  submitted = clock_ns ();
  peer_run ();
  run.recorders[0]->ended = ended = clock_ns ();
  getrusage (RUSAGE_SELF, &run.recorders[0]->after);

  print_result (sum_up (run.recorders[0]), (double)(submitted - begun),
                (double)(ended - begun));
}

static void
run_loop (const struct setup *setup, int ms)
{
  run.measure = (uint64_t)ms * MS;
  if (setup->shared)
    start_submitters (setup->depth);
  else
    submit_all (setup);

  /* Threads may be started by the first submission, so that the warm-up
   * begins after it.  A thousand take a while to go to sleep. */
  run.warm_until = clock_ns () + run.measure / 4
                   + (setup->idle > 0 ? 50 * MS : 0);
  peer_run ();
  if (setup->shared)
    stop_submitters ();

  print_result (sum_up (run.recorders[0]), 0, 0);
}

static void
run_case (int depth, int workers, int ms)
{
  struct setup setup = { .ops = run.what->ops,
                         .depth = depth,
                         .workers = workers,
                         .idle = run.what->idle ? workers : -1,
                         .shared = run.what->shared,
                         .recorders = 1 };
  const char *why = open_file (run.what->file);

  if (!why)
    why = peer_start (&setup);
  if (why)
    {
      printf (",not possible: %s,,,,,,,,\n", why);
      fflush (stdout);
      _exit (EXIT_CANNOT);
    }

  printf (",ok");
  all_jobs = make_jobs (&setup);
  run.live = setup.depth;
  run.shared = setup.shared;
  if (run.what->first == OP_SLEEP)
    run_once (&setup);
  else
    run_loop (&setup, ms);
}

/*****************************************************************************
 * 6  Main                                                                   *
 *****************************************************************************/

static _Noreturn void
print_usage (void)
{
  fputs ("Usage: bench-PEER NAME CASE DEPTH WORKERS MS WORKDIR\n"
         "       bench-PEER --prepare CASES WORKDIR\n",
         stderr);
  exit (2);
}

static const struct what *
find_case (const char *name)
{
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (!strcmp (cases[i].name, name))
      return cases + i;
  print_usage ();
}

int
main (int argc, char **argv)
{
  if (argc != 4 && argc != 7)
    print_usage ();
  if (chdir (argv[argc - 1]))
    bench_die (argv[argc - 1], errno);
  for (int i = 0; i < FILES; i++)
    snprintf (run.paths[i], sizeof run.paths[i], "small-%02d", i);

  if (argc == 4)
    make_files (strstr (argv[2], "cold"));
  else
    {
      run.what = find_case (argv[2]);
      reserve_descriptors ();
      printf ("%s,%s,%s,%s", argv[1], argv[2], argv[3], argv[4]);
      run_case (atoi (argv[3]), atoi (argv[4]), atoi (argv[5]));
      fflush (stdout);
    }

  /* Not exit: what a peer would do with a thousand threads at the end is not
   * to be waited for. */
  _exit (0);
}
