/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The benchmark's back end for libuv's thread pool. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "peer.h"

union request
{
  uv_fs_t fs;
  uv_work_t work;
};

const size_t peer_size = sizeof (union request);

static uv_loop_t *loop;

const char *
peer_start (struct setup *setup)
{
  char workers[16];
  int count = setup->idle < 0   ? setup->workers
              : setup->idle > 0 ? setup->idle
                                : 4;

  if (setup->shared)
    return bench_why ("only the loop's thread may submit", 0);
  if (count > 1024)
    return bench_why ("it has 1024 threads at most", 0);
  snprintf (workers, sizeof workers, "%d", count);
  setenv ("UV_THREADPOOL_SIZE", workers, 1);

  /* From 1.45 on, the loop may pass the pool by. */
  setenv ("UV_USE_IO_URING", "0", 1);
  loop = uv_default_loop ();
  return 0;
}

static void
done_fs (uv_fs_t *req)
{
  struct job *job = req->data;
  long result = (long)req->result;

  uv_fs_req_cleanup (req);
  if (bench_done (job, result))
    peer_submit (job);
}

static void
done_work (uv_work_t *req, int status)
{
  struct job *job = req->data;

  if (bench_done (job, status))
    peer_submit (job);
}

static void
do_nothing (uv_work_t *req)
{
  (void)req;
}

static void
do_sleep (uv_work_t *req)
{
  struct timespec time = { .tv_nsec = BENCH_SLEEP_MS * 1000000 };

  (void)req;
  nanosleep (&time, 0);
}

/* Returns 0, or a negative error number. */
static int
submit (struct job *job, uv_fs_t *fs, uv_work_t *work)
{
  uv_buf_t buf = uv_buf_init (job->buf, (unsigned int)job->size);

  switch (job->op)
    {
    case OP_NOP:
      return uv_queue_work (loop, work, do_nothing, done_work);
    case OP_SLEEP:
      return uv_queue_work (loop, work, do_sleep, done_work);
    case OP_STAT:
      return uv_fs_stat (loop, fs, job->path, done_fs);
    case OP_OPEN:
      return uv_fs_open (loop, fs, job->path, O_RDONLY | O_CLOEXEC, 0,
                         done_fs);
    case OP_CLOSE:
      return uv_fs_close (loop, fs, job->fd, done_fs);
    case OP_READ:
      return uv_fs_read (loop, fs, job->fd, &buf, 1, job->offs, done_fs);
    case OP_WRITE:
      return uv_fs_write (loop, fs, job->fd, &buf, 1, job->offs, done_fs);
    case OP_FSYNC:
      return uv_fs_fsync (loop, fs, job->fd, done_fs);
    }
  return UV_ENOSYS;
}

void
peer_submit (struct job *job)
{
  union request *req = job->peer;
  int error;

  if (job->op == OP_NOP || job->op == OP_SLEEP)
    req->work.data = job;
  else
    req->fs.data = job;
  error = submit (job, &req->fs, &req->work);
  if (error)
    bench_die ("libuv", -error);
}

void
peer_run (void)
{
  while (bench_live ())
    uv_run (loop, UV_RUN_ONCE);
}
