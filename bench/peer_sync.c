/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The benchmark's back end for plain system calls: `workers` threads, each of
 * which makes one call after the other, whatever the depth. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"

enum
{
  THREADS_MAX = 64
};

const size_t peer_size = sizeof (pthread_t);

static struct job *jobs[THREADS_MAX];
static int job_count;

const char *
peer_start (struct setup *setup)
{
  if (setup->ops & (OP_BIT (OP_NOP) | OP_BIT (OP_SLEEP)))
    return bench_why ("there is nothing to call", 0);
  if (setup->idle >= 0)
    return bench_why ("it has no workers that idle", 0);
  if (setup->workers > THREADS_MAX)
    return bench_why ("it has 64 threads at most", 0);
  setup->depth = setup->recorders = setup->workers;
  setup->shared = false;
  return 0;
}

void
peer_submit (struct job *job)
{
  jobs[job_count++] = job;
}

static long
execute (struct job *job)
{
  struct stat st;

  switch (job->op)
    {
    case OP_STAT:
      return stat (job->path, &st);
    case OP_OPEN:
      return open (job->path, O_RDONLY | O_CLOEXEC);
    case OP_CLOSE:
      return close (job->fd);
    case OP_READ:
      return pread (job->fd, job->buf, job->size, job->offs);
    case OP_WRITE:
      return pwrite (job->fd, job->buf, job->size, job->offs);
    case OP_FSYNC:
      return fsync (job->fd);
    case OP_NOP:
    case OP_SLEEP:
      break;
    }
  return 0;
}

static void *
execute_all (void *arg)
{
  struct job *job = arg;
  long result;

  do
    result = execute (job);
  while (bench_done (job, result < 0 ? -errno : result));
  return 0;
}

void
peer_run (void)
{
  for (int i = 1; i < job_count; i++)
    if (pthread_create (jobs[i]->peer, 0, execute_all, jobs[i]))
      bench_die ("pthread_create", EAGAIN);
  execute_all (jobs[0]);
  for (int i = 1; i < job_count; i++)
    pthread_join (*(pthread_t *)jobs[i]->peer, 0);
}
