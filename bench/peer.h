/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Between driver.c and the back ends: one peer_*.c is linked to the driver,
 * and makes an executable that can measure this one peer.
 *
 * A job is one of the requests that are outstanding at a time.  The driver
 * hands each to peer_submit.  When it is done, the peer calls bench_done, and
 * submits it again when that says so: a job may then be something else than
 * before, such as a close after an open.  peer_run waits for results, asleep,
 * until bench_live says that no job is left. */

#ifndef BENCH_PEER_H_
#define BENCH_PEER_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum op
{
  OP_NOP,
  OP_STAT,  /* path */
  OP_OPEN,  /* path, for reading → result fd */
  OP_CLOSE, /* fd */
  OP_READ,  /* fd, buf, size, offs → result bytes */
  OP_WRITE, /* fd, buf, size, offs → result bytes */
  OP_FSYNC, /* fd */
  OP_SLEEP  /* blocks a worker for BENCH_SLEEP_MS */
};

#define OP_BIT(op) (1u << (op))

enum
{
  BENCH_SLEEP_MS = 20
};

struct job
{
  enum op op;
  int fd;
  const char *path;
  void *buf;
  size_t size;
  off_t offs;
  void *peer; /* peer_size bytes, zeroed once */

  /* the driver's */
  uint64_t begun; /* ns */
  struct recorder *recorder;
  struct job *next;
};

struct setup
{
  unsigned int ops; /* OP_BIT of all that jobs will be */
  int depth;        /* jobs; peer_start may change it */
  int workers;      /* the most that there may be */
  int idle;         /* present when it begins, or -1: not a matter */
  bool shared;      /* peer_submit will be called by several threads at once,
                       and not by that of peer_run */
  int recorders; /* threads that call bench_done; peer_start may change it */
};

/*****************************************************************************
 * The peer's                                                                *
 *****************************************************************************/

extern const size_t peer_size;

/* Returns null, or why the peer cannot do this. */
const char *peer_start (struct setup *setup);

void peer_submit (struct job *job);
void peer_run (void);

/*****************************************************************************
 * The driver's                                                              *
 *****************************************************************************/

/* result is -errno after a failure.  Returns whether to submit the job
 * again, by the thread that asks; otherwise it is not the peer's any more. */
bool bench_done (struct job *job, long result);

/* Jobs that have not ended. */
int bench_live (void);

/* Ends the process with a message.  error is an errno or 0. */
_Noreturn void bench_die (const char *what, int error);

/* Returns a string for peer_start to return. */
const char *bench_why (const char *what, int error);

#endif /* BENCH_PEER_H_ */
