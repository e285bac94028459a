/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The benchmark's back end for POSIX AIO as the GNU C library has it.  Results
 * are announced by queued signals, which the host waits for: the other ways
 * are a thread for each result, and aio_suspend, which looks at all requests
 * each time. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "peer.h"

const size_t peer_size = sizeof (struct aiocb);

static sigset_t signals;

const char *
peer_start (struct setup *setup)
{
  struct aioinit init = { .aio_threads = setup->workers,
                          .aio_num = setup->depth,
                          .aio_idle_time = 10 };
  unsigned int can = OP_BIT (OP_READ) | OP_BIT (OP_WRITE) | OP_BIT (OP_FSYNC);

  if (setup->ops & ~can)
    return bench_why ("it has no such request", 0);
  if (setup->idle >= 0)
    return bench_why ("its threads cannot be started ahead", 0);
  aio_init (&init);
  sigemptyset (&signals);
  sigaddset (&signals, SIGRTMIN);
  sigprocmask (SIG_BLOCK, &signals, 0);
  return 0;
}

void
peer_submit (struct job *job)
{
  struct aiocb *cb = job->peer;
  int error;

  memset (cb, 0, sizeof *cb);
  cb->aio_fildes = job->fd;
  cb->aio_buf = job->buf;
  cb->aio_nbytes = job->size;
  cb->aio_offset = job->offs;
  cb->aio_sigevent.sigev_notify = SIGEV_SIGNAL;
  cb->aio_sigevent.sigev_signo = SIGRTMIN;
  cb->aio_sigevent.sigev_value.sival_ptr = job;
  if (job->op == OP_READ)
    error = aio_read (cb);
  else if (job->op == OP_WRITE)
    error = aio_write (cb);
  else
    error = aio_fsync (O_SYNC, cb);
  if (error)
    bench_die ("aio", errno);
}

void
peer_run (void)
{
  siginfo_t info;
  struct job *job;
  long result;

  while (bench_live ())
    {
      if (sigwaitinfo (&signals, &info) < 0)
        continue;
      job = info.si_value.sival_ptr;
      result = -aio_error (job->peer);
      if (!result)
        result = aio_return (job->peer);
      if (bench_done (job, result))
        peer_submit (job);
    }
}
