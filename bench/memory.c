/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What the library takes of memory: at rest, for a worker that idles, for a
 * request that waits, and what is left of a million of them. */

#include "eio.c"

#include "eio_host.h"

enum
{
  REQUESTS = 1000000,
  WORKERS = 100
};

/* 40 bytes with the 0, as long as paths often are. */
static const char path[40] = "/usr/share/doc/no-such-package/copyrigh";

/* Resident memory of this process in bytes. */
static double
resident (void)
{
  FILE *file = fopen ("/proc/self/statm", "r");
  long all = 0, pages = 0;

  if (!file || fscanf (file, "%ld %ld", &all, &pages) != 2)
    exit (1);
  fclose (file);
  return (double)pages * (double)sysconf (_SC_PAGESIZE);
}

static int finished;

static int
count (eio_req *req)
{
  (void)req;
  ++finished;
  return 0;
}

static void
drain (void)
{
  while (eio_nreqs ())
    poll_once ();
}

static void
print (const char *what, double bytes)
{
  printf ("| %s | %.0f |\n", what, bytes);
}

static void
measure_workers (void)
{
  double before = resident ();

  eio_set_min_parallel (WORKERS);
  eio_set_max_idle (WORKERS);
  for (int i = 0; i < WORKERS; ++i)
    if (!eio_busy (.2, 0, 0, 0))
      exit (1);
  drain ();
  if (eio_nthreads () == WORKERS)
    print ("an idle worker, with its stack", (resident () - before) / WORKERS);
  eio_set_max_parallel (0);
}

static void
measure_requests (void)
{
  double before = resident (), queued;

  for (int i = 0; i < REQUESTS; ++i)
    if (!eio_stat (path, 0, count, 0))
      exit (1);
  queued = resident ();
  print ("a queued eio_stat with a path of 40 bytes",
         (queued - before) / REQUESTS);
  eio_set_min_parallel (4);
  drain ();
  print ("left of a million of them, in all", resident () - before);
  if (finished != REQUESTS)
    exit (1);
}

int
main (void)
{
  double before = resident ();

  wake = eventfd (0, EFD_CLOEXEC);
  if (wake < 0 || eio_init (want_poll, done_poll))
    return 1;
  puts ("| memory of | bytes |\n|---|--:|");
  print ("the library at rest (static)",
         sizeof eio__first_pool + sizeof eio__second_pool);
  print ("the library at rest (resident)", resident () - before);
  print ("an eio_req", sizeof (eio_req));
  measure_workers ();
  measure_requests ();
  return 0;
}
