/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The library in a loop of libev. */

#include <ev.h>

#include "sizes.h"

static void
readable (struct ev_loop *loop, ev_io *watcher, int events)
{
  (void)events;
  eio_poll ();
  if (!left)
    ev_io_stop (loop, watcher); /* the last one: ev_run returns */
}

int
main (int argc, char **argv)
{
  struct ev_loop *loop = ev_default_loop (0);
  ev_io watcher;

  ask (argc - 1, argv + 1);
  ev_io_init (&watcher, readable, eio_poll_fd (), EV_READ);
  ev_io_start (loop, &watcher);
  if (left)
    ev_run (loop, 0);
  ev_loop_destroy (loop);
  return eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
}
