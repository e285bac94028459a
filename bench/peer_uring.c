/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The benchmark's back end for io_uring, through liburing: the ring as it is
 * set up by default.  What callbacks submit goes to the kernel with the next
 * wait. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <sys/stat.h>

#include "peer.h"

const size_t peer_size = sizeof (struct statx);

static struct io_uring ring;

const char *
peer_start (struct setup *setup)
{
  int error;

  if (setup->ops & OP_BIT (OP_SLEEP))
    return bench_why ("it has no workers to block", 0);
  if (setup->idle >= 0)
    return bench_why ("it has no workers that idle", 0);
  if (setup->shared)
    return bench_why ("a ring is for one thread", 0);
  error = io_uring_queue_init ((unsigned int)setup->depth, &ring, 0);
  return error ? bench_why ("io_uring_setup", -error) : 0;
}

void
peer_submit (struct job *job)
{
  struct io_uring_sqe *sqe = io_uring_get_sqe (&ring);
  unsigned int size = (unsigned int)job->size;
  unsigned long long offs = (unsigned long long)job->offs;

  if (!sqe)
    bench_die ("io_uring_get_sqe", 0);
  switch (job->op)
    {
    case OP_NOP:
    case OP_SLEEP:
      io_uring_prep_nop (sqe);
      break;
    case OP_STAT:
      io_uring_prep_statx (sqe, AT_FDCWD, job->path, 0, STATX_BASIC_STATS,
                           job->peer);
      break;
    case OP_OPEN:
      io_uring_prep_openat (sqe, AT_FDCWD, job->path, O_RDONLY | O_CLOEXEC, 0);
      break;
    case OP_CLOSE:
      io_uring_prep_close (sqe, job->fd);
      break;
    case OP_READ:
      io_uring_prep_read (sqe, job->fd, job->buf, size, offs);
      break;
    case OP_WRITE:
      io_uring_prep_write (sqe, job->fd, job->buf, size, offs);
      break;
    case OP_FSYNC:
      io_uring_prep_fsync (sqe, job->fd, 0);
      break;
    }
  io_uring_sqe_set_data (sqe, job);
}

/* Calls back for all results that there are. */
static void
reap (void)
{
  struct io_uring_cqe *cqe;
  unsigned int head, count = 0;

  io_uring_for_each_cqe (&ring, head, cqe)
  {
    struct job *job = io_uring_cqe_get_data (cqe);

    count++;
    if (bench_done (job, cqe->res))
      peer_submit (job);
  }
  io_uring_cq_advance (&ring, count);
}

void
peer_run (void)
{
  while (bench_live ())
    {
      int error = io_uring_submit_and_wait (&ring, 1);

      if (error < 0 && error != -EINTR)
        bench_die ("io_uring_enter", -error);
      reap ();
    }
}
