/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The host that the benchmarks give the library: to be included after eio.c,
 * with wake set to an eventfd before eio_init. */

#ifndef EIO_HOST_H_
#define EIO_HOST_H_

#include <poll.h>
#include <sys/eventfd.h>

static int wake;

static void
want_poll (void)
{
  eventfd_write (wake, 1);
}

static void
done_poll (void)
{
  eventfd_t value;

  eventfd_read (wake, &value);
}

/* Sleeps until there is something to do, and does it. */
static void
poll_once (void)
{
  struct pollfd fds[1] = { { .fd = wake, .events = POLLIN } };

  if (poll (fds, 1, -1) < 0 && errno != EINTR)
    {
      perror ("poll");
      _exit (1);
    }
  eio_poll ();
}

#endif
