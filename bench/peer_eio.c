/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The benchmark's back end for this library, and for any with the same API:
 * eio.c is the one that the include path leads to.
 *
 * -DPEER_INLINE=BYTES: answers at once, up to so many bytes. */

#include "eio.c"

#include "eio_host.h"
#include "peer.h"

const size_t peer_size = sizeof (eio_req);

static bool own_requests;

/* Has `count` workers started, all at once, and lets them become idle. */
static const char *
start_idle (unsigned int count)
{
  for (int attempt = 0; attempt < 10 && eio_nthreads () < count; attempt++)
    {
      for (unsigned int i = 0; i < count; i++)
        if (!eio_busy (.1, 0, 0, 0))
          bench_die ("eio_busy", errno);
      while (eio_nreqs ())
        poll_once ();
    }
  return eio_nthreads () < count
             ? bench_why ("no threads enough could be started", 0)
             : 0;
}

const char *
peer_start (struct setup *setup)
{
  unsigned int workers = setup->idle < 0 ? (unsigned int)setup->workers : 1000;

  if (setup->shared && setup->ops & ~(OP_BIT (OP_NOP) | OP_BIT (OP_READ)))
    return bench_why ("own requests are nop and read only", 0);
  own_requests = setup->shared;
  wake = eventfd (0, EFD_CLOEXEC);
  if (wake < 0 || eio_init (want_poll, done_poll))
    bench_die ("eio_init", errno);

  eio_set_min_parallel (workers);
  eio_set_max_parallel (workers);
  eio_set_max_idle (workers);
#ifdef PEER_INLINE
  eio_set_inline (PEER_INLINE);
#endif
  return start_idle (setup->idle > 0 ? (unsigned int)setup->idle : 0);
}

static int
done (eio_req *req)
{
  struct job *job = req->data;

  if (bench_done (job, req->result < 0 ? -(long)req->errorno : req->result))
    peer_submit (job);
  return 0;
}

/* Only in destroy is a request its owner's again. */
static void
destroyed (eio_req *req)
{
  done (req);
}

static void
submit_own (struct job *job)
{
  eio_req *req = job->peer;

  memset (req, 0, sizeof *req);
  req->data = job;
  req->destroy = destroyed;
  if (job->op == OP_NOP)
    req->type = EIO_NOP;
  else
    {
      req->type = EIO_READ;
      req->int1 = job->fd;
      req->ptr2 = job->buf;
      req->size = job->size;
      req->offs = job->offs;
    }
  eio_submit (req);
}

static eio_req *
call_wrapper (struct job *job)
{
  switch (job->op)
    {
    case OP_NOP:
      return eio_nop (0, done, job);
    case OP_STAT:
      return eio_stat (job->path, 0, done, job);
    case OP_OPEN:
      return eio_open (job->path, O_RDONLY | O_CLOEXEC, 0, 0, done, job);
    case OP_CLOSE:
      return eio_close (job->fd, 0, done, job);
    case OP_READ:
      return eio_read (job->fd, job->buf, job->size, job->offs, 0, done, job);
    case OP_WRITE:
      return eio_write (job->fd, job->buf, job->size, job->offs, 0, done, job);
    case OP_FSYNC:
      return eio_fsync (job->fd, 0, done, job);
    case OP_SLEEP:
      return eio_busy (BENCH_SLEEP_MS / 1e3, 0, done, job);
    }
  return 0;
}

void
peer_submit (struct job *job)
{
  if (own_requests)
    submit_own (job);
  else if (!call_wrapper (job))
    bench_die ("a wrapper", errno);
}

void
peer_run (void)
{
  while (bench_live ())
    poll_once ();
}
