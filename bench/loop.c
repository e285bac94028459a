/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* loop: how late the ticks of an event loop are while it works with files.
 *
 *   loop WAY SECONDS JOBS WORKERS KINDS
 *
 * The loop has a tick each millisecond, by absolute deadlines, and each tick
 * begins JOBS jobs with files, which are below the current directory.  A tick
 * is late by the time from its deadline to when the loop gets to it.  So a
 * stall of 5 ms makes several ticks late, by 5, 4, 3, 2 and 1 ms; they begin
 * jobs as one tick, or plain calls would fall behind without end.
 *
 * WAY is how the jobs are done: "idle", not at all, which is the floor;
 * "plain", by plain calls in the loop; "libeio"; "libuv", if compiled with
 * -DLOOP_UV.  KINDS are the letters of jobs (see below), one after the other,
 * over and over.  The output is the lateness of each tick in microseconds, and
 * a last line, "# JOBS WALL CPU": so many jobs were done; the longest turn of
 * the loop, from one wait to the next, took WALL microseconds, and CPU of the
 * processor's.  "loop forget" drops the contents of the files from memory.
 *
 * scripts/bench-loop.sh makes the files, runs all this, and draws the table.
 * In this file: 1 jobs, 2 ways, 3 the loop, 4 main. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "eio.h"
#ifdef LOOP_UV
# include <uv.h>
#endif

/*****************************************************************************
 * 1  Jobs                                                                   *
 *****************************************************************************/

enum
{
  JOBS = 256,      /* in flight at most */
  BUFFER = 65536,  /* bytes */
  TICK = 1000000,  /* nanoseconds */
  TICKS = 60000,   /* in a run at most */
  PRIME = 15485863 /* spreads the jobs over the files */
};

/* clang-format off */

enum op { OPEN = 1, READ, WRITE, FSYNC, CLOSE, STAT, READDIR };

/* The files of a kind are NAME/DIRECTORY/FILE, numbered from 00. */
static const struct kind
{
  char letter;
  const char *name;
  unsigned int dirs, files;  /* files in each directory */
  unsigned int blocks, size; /* of each file; a job reads or writes a block */
  enum op ops[5];            /* up to 0 */
} kinds[] = {
  { 'o', "small", 64, 64,    1,    4096,   { OPEN, READ, CLOSE } },
  { 'b', "large", 1,  1,     1024, BUFFER, { OPEN, READ, CLOSE } },
  { 'f', "saved", 1,  64,    1,    4096,   { OPEN, WRITE, FSYNC, CLOSE } },
  { 's', "big",   1,  20000, 1,    0,      { STAT } },
  { 'd', "big",   1,  20000, 1,    0,      { READDIR } },
  { 0,   0,       0,  0,     0,    0,      { 0 } }
};

/* clang-format on */

static struct
{
  int ticks, jobs, workers;
  const char *kinds;
} opt;

static struct job
{
  const enum op *op; /* the current one */
  int fd;
  off_t offs;
  unsigned int size;
  char path[64];
  char buf[BUFFER];
#ifdef LOOP_UV
  uv_fs_t uv;
#endif
} jobs[JOBS], *unused[JOBS];

static int nunused;
static unsigned long begun, done;

static void
die (const char *what)
{
  fprintf (stderr, "loop: %s: %s\n", what, strerror (errno));
  exit (1);
}

static const struct kind *
find_kind (char letter)
{
  const struct kind *kind = kinds;

  while (kind->letter != letter)
    kind++;
  return kind;
}

static void
set_path (char path[64], const struct kind *kind, unsigned long file)
{
  snprintf (path, 64, "%s/%02lu/%02lu", kind->name, file % kind->dirs,
            file / kind->dirs);
}

/* The nth job is the same in each way. */
static struct job *
new_job (void)
{
  unsigned long n = begun++, place = n * PRIME;
  const struct kind *kind = find_kind (opt.kinds[n % strlen (opt.kinds)]);
  struct job *job = unused[--nunused];

  job->op = kind->ops;
  job->size = kind->size;
  job->offs = (off_t)(place % kind->blocks) * kind->size;
  set_path (job->path, kind, place % (kind->dirs * kind->files));
  if (*job->op == READDIR)
    *strrchr (job->path, '/') = 0;
  return job;
}

/*****************************************************************************
 * 2  Ways                                                                   *
 *****************************************************************************/

struct way
{
  const char *name;
  int (*init) (void);              /* returns a descriptor to watch, or -1 */
  void (*start) (struct job *job); /* has advance called with the result */
  int (*poll) (void);              /* when the descriptor is readable */
};

static const struct way *way;

/* Callbacks do no more than this: what holds up the loop is the way. */
static void
advance (struct job *job, long result)
{
  if (result < 0)
    die (job->path);
  if (*job->op == OPEN)
    job->fd = (int)result;

  if (*++job->op)
    way->start (job);
  else
    {
      done++;
      unused[nunused++] = job;
    }
}

/* clang-format off */

/* --- plain calls -------------------------------------------------------- */

static int
init_nothing (void)
{
  return -1;
}

static int
list_directory (const char *path)
{
  DIR *dir = opendir (path);

  if (!dir)
    return -1;
  while (readdir (dir))
    ;
  return closedir (dir);
}

static void
start_plain (struct job *job)
{
  struct stat st;
  long res = -1;
  int fd = job->fd;

  switch (*job->op)
    {
    case OPEN: res = open (job->path, O_RDWR); break;
    case READ: res = pread (fd, job->buf, job->size, job->offs); break;
    case WRITE: res = pwrite (fd, job->buf, job->size, job->offs); break;
    case FSYNC: res = fsync (fd); break;
    case CLOSE: res = close (fd); break;
    case STAT: res = stat (job->path, &st); break;
    case READDIR: res = list_directory (job->path); break;
    }
  advance (job, res);
}

/* --- libeio ------------------------------------------------------------- */

static int eio_fd;

static void
want_poll (void)
{
  if (eventfd_write (eio_fd, 1))
    die ("eventfd");
}

static void
done_poll (void)
{
  eventfd_t value;

  if (eventfd_read (eio_fd, &value))
    die ("eventfd");
}

static int
init_eio (void)
{
  eio_fd = eventfd (0, 0);
  if (eio_fd < 0 || eio_init (want_poll, done_poll))
    die ("eio_init");
  eio_set_max_parallel ((unsigned int)opt.workers);
  eio_set_min_parallel ((unsigned int)opt.workers);
  eio_set_max_poll_time (TICK / 4 / 1e9);
  return eio_fd;
}

static int
finished_eio (eio_req *req)
{
  errno = req->errorno;
  advance (req->data, EIO_RESULT (req));
  return 0;
}

static void
start_eio (struct job *job)
{
  const eio_cb cb = finished_eio;
  eio_req *req = 0;
  int fd = job->fd;

  switch (*job->op)
    {
    case OPEN: req = eio_open (job->path, O_RDWR, 0, 0, cb, job); break;
    case READ:
      req = eio_read (fd, job->buf, job->size, job->offs, 0, cb, job); break;
    case WRITE:
      req = eio_write (fd, job->buf, job->size, job->offs, 0, cb, job); break;
    case FSYNC: req = eio_fsync (fd, 0, cb, job); break;
    case CLOSE: req = eio_close (fd, 0, cb, job); break;
    case STAT: req = eio_stat (job->path, 0, cb, job); break;
    case READDIR: req = eio_readdir (job->path, 0, 0, cb, job); break;
    }
  if (!req)
    die (job->path);
}

/* --- libuv -------------------------------------------------------------- */

#ifdef LOOP_UV
static uv_loop_t uv;

static int
poll_uv (void)
{
  return uv_run (&uv, UV_RUN_NOWAIT);
}

/* The loop of libuv is inside ours.  Only its first turn, and only if there is
 * something active, makes it watch its own descriptors. */
static int
init_uv (void)
{
  static uv_async_t active;
  char workers[12];

  snprintf (workers, sizeof workers, "%d", opt.workers);
  setenv ("UV_THREADPOOL_SIZE", workers, 1);
  if (uv_loop_init (&uv) || uv_async_init (&uv, &active, 0))
    die ("uv_loop_init");
  poll_uv ();
  return uv_backend_fd (&uv);
}

static void
finished_uv (uv_fs_t *req)
{
  long result = (long)req->result;

  errno = result < 0 ? (int)-result : 0;
  uv_fs_req_cleanup (req);
  advance (req->data, result);
}

static void
start_uv (struct job *job)
{
  uv_buf_t buf = uv_buf_init (job->buf, job->size);
  const uv_fs_cb cb = finished_uv;
  uv_fs_t *req = &job->uv;
  int res = 0, fd = job->fd;

  req->data = job;
  switch (*job->op)
    {
    case OPEN: res = uv_fs_open (&uv, req, job->path, O_RDWR, 0, cb); break;
    case READ: res = uv_fs_read (&uv, req, fd, &buf, 1, job->offs, cb); break;
    case WRITE:
      res = uv_fs_write (&uv, req, fd, &buf, 1, job->offs, cb); break;
    case FSYNC: res = uv_fs_fsync (&uv, req, fd, cb); break;
    case CLOSE: res = uv_fs_close (&uv, req, fd, cb); break;
    case STAT: res = uv_fs_stat (&uv, req, job->path, cb); break;
    case READDIR: res = uv_fs_scandir (&uv, req, job->path, 0, cb); break;
    }
  if (res)
    die (job->path);
}
#endif

static const struct way ways[] = {
  { "idle", init_nothing, 0, 0 },
  { "plain", init_nothing, start_plain, 0 },
  { "libeio", init_eio, start_eio, eio_poll },
#ifdef LOOP_UV
  { "libuv", init_uv, start_uv, poll_uv },
#endif
  { 0, 0, 0, 0 }
};

/* clang-format on */

/*****************************************************************************
 * 3  The loop                                                               *
 *****************************************************************************/

static long long late[TICKS], begin, longest_wall, longest_cpu; /* ns */
static int ticks;

static long long
get_time (clockid_t clock)
{
  struct timespec now;

  clock_gettime (clock, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void
tick (int timer)
{
  unsigned long long count;
  long long now = get_time (CLOCK_MONOTONIC), ns;

  while (ticks < opt.ticks
         && (ns = now - begin - (long long)ticks * TICK) >= 0)
    late[ticks++] = ns;

  if (read (timer, &count, sizeof count) < 0)
    die ("timerfd");
  for (int i = 0; way->start && nunused && i < opt.jobs; i++)
    way->start (new_job ());
}

static int
start_timer (void)
{
  int timer = timerfd_create (CLOCK_MONOTONIC, 0);
  long long ns = begin = get_time (CLOCK_MONOTONIC) + 20 * TICK;
  struct itimerspec spec = { { 0, TICK },
                             { ns / 1000000000, ns % 1000000000 } };

  if (timer < 0 || timerfd_settime (timer, TFD_TIMER_ABSTIME, &spec, 0))
    die ("timerfd");
  return timer;
}

static void
watch (int epoll, int fd)
{
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

  if (fd >= 0 && epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &event))
    die ("epoll");
}

static void
turn (int epoll, int timer)
{
  struct epoll_event events[2];
  int n = epoll_wait (epoll, events, 2, -1);
  long long wall = get_time (CLOCK_MONOTONIC);
  long long cpu = get_time (CLOCK_THREAD_CPUTIME_ID);

  for (int i = 0; i < n; i++)
    if (events[i].data.fd == timer)
      tick (timer);
    else
      way->poll ();
  cpu = get_time (CLOCK_THREAD_CPUTIME_ID) - cpu;
  wall = get_time (CLOCK_MONOTONIC) - wall;
  longest_wall = wall > longest_wall ? wall : longest_wall;
  longest_cpu = cpu > longest_cpu ? cpu : longest_cpu;
}

static void
run_loop (int way_fd)
{
  int epoll = epoll_create1 (0), timer = start_timer ();

  watch (epoll, timer);
  watch (epoll, way_fd);
  while (ticks < opt.ticks)
    turn (epoll, timer);
}

/*****************************************************************************
 * 4  Main                                                                   *
 *****************************************************************************/

static int
forget_files (void)
{
  for (const struct kind *kind = kinds; kind->letter; kind++)
    for (unsigned int i = 0; kind->size && i < kind->dirs * kind->files; i++)
      {
        char path[64];
        int fd;

        set_path (path, kind, i);
        fd = open (path, O_RDONLY);
        if (fd < 0 || posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED))
          die (path);
        close (fd);
      }
  return 0;
}

/* What the process has mapped is locked into memory, if it may do that: the
 * loop shall not wait for its own code.  The end does not wait for jobs. */
static void
run_way (void)
{
  int fd = way->init ();

  for (nunused = 0; nunused < JOBS; nunused++)
    unused[nunused] = &jobs[nunused];
  mlockall (MCL_CURRENT);
  run_loop (fd);
  for (int i = 0; i < opt.ticks; i++)
    printf ("%.1f\n", (double)late[i] / 1e3);
  printf ("# %lu %.1f %.1f\n", done, (double)longest_wall / 1e3,
          (double)longest_cpu / 1e3);
  fflush (stdout);
  _exit (0);
}

int
main (int argc, char **argv)
{
  if (argc == 2 && !strcmp (argv[1], "forget"))
    return forget_files ();
  if (argc == 6)
    {
      opt.ticks = atoi (argv[2]) * 1000;
      opt.jobs = atoi (argv[3]);
      opt.workers = atoi (argv[4]);
      opt.kinds = argv[5];
      for (way = ways; way->name; way++)
        if (!strcmp (way->name, argv[1]) && opt.ticks <= TICKS && *opt.kinds
            && !opt.kinds[strspn (opt.kinds, "obfsd")])
          run_way ();
    }
  fputs ("Usage: loop WAY SECONDS JOBS WORKERS KINDS\n", stderr);
  return 2;
}
