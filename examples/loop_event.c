/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The library in a loop of libevent. */

#include <event2/event.h>

#include "sizes.h"

static void
readable (evutil_socket_t fd, short what, void *base)
{
  (void)fd, (void)what;
  eio_poll ();
  if (!left)
    event_base_loopbreak (base);
}

int
main (int argc, char **argv)
{
  struct event_base *base = event_base_new ();
  struct event *watcher
    = event_new (base, eio_poll_fd (), EV_READ | EV_PERSIST, readable, base);

  ask (argc - 1, argv + 1);
  event_add (watcher, 0);
  if (left)
    event_base_dispatch (base);
  event_free (watcher);
  event_base_free (base);
  return eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
}
