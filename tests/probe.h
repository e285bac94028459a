/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Requests that the test owns, and that tell what happened to them.  Include
 * after support.h. */

#ifndef TESTS_PROBE_H_
#define TESTS_PROBE_H_

#include <stdatomic.h>
#include <stddef.h>

typedef struct
{
  int before; /* a request need not be at the head of what embeds it */
  eio_req req;
  atomic_int runs; /* of probe_run, in a worker */
  int finishes, destroys;
  int finish_turn, destroy_turn; /* of all calls, which one was it */
  int ret;                       /* what finish returns */
  unsigned nreqs;                /* as finish saw it */
  int asked; /* whether it was cancelled: in tests with many requests */

  /* as destroy saw them */
  eio_ssize_t result;
  int errorno;
  eio_wd wd;
} probe;

static int turns;

static inline probe *
probe_of (eio_req *req)
{
  return (probe *)((char *)req - offsetof (probe, req));
}

/* What custom requests do here. */
static inline void
probe_run (eio_req *req)
{
  ++probe_of (req)->runs;
  req->result = 7;
}

static inline int
probe_finished (eio_req *req)
{
  probe *p = probe_of (req);
  ++p->finishes;
  p->finish_turn = ++turns;
  p->nreqs = eio_nreqs ();
  return p->ret;
}

static inline void
probe_destroyed (eio_req *req)
{
  probe *p = probe_of (req);
  ++p->destroys;
  p->destroy_turn = ++turns;
  p->result = req->result;
  p->errorno = req->errorno;
  p->wd = req->wd;
}

static inline void
probe_fill (probe *p, int type)
{
  memset (p, 0, sizeof *p);
  p->req.type = type;
  p->req.finish = probe_finished;
  p->req.destroy = probe_destroyed;
  if (type == EIO_CUSTOM)
    p->req.feed = probe_run;
}

static inline void
probe_submit (probe *p, int type)
{
  probe_fill (p, type);
  eio_submit (&p->req);
}

/* Submits a request as a member of the group. */
static inline void
probe_add (probe *grp, probe *p, int type)
{
  probe_submit (p, type);
  ck_assert_int_eq (eio_grp_add (&grp->req, &p->req), 0);
}

/* All of it happened, once, in order. */
#define assert_done(p) \
  do { \
    ck_assert_int_eq ((p)->finishes, 1); \
    ck_assert_int_eq ((p)->destroys, 1); \
    ck_assert_int_lt ((p)->finish_turn, (p)->destroy_turn); \
  } while (0)

/* It was cancelled, and is gone. */
#define assert_dropped(p) \
  do { \
    ck_assert_int_eq ((p)->finishes, 0); \
    ck_assert_int_eq ((p)->destroys, 1); \
  } while (0)

/* The library is not done with it. */
#define assert_live(p) \
  do { \
    ck_assert_int_eq ((p)->finishes, 0); \
    ck_assert_int_eq ((p)->destroys, 0); \
  } while (0)

#endif
