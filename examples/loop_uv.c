/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The library in a loop of libuv. */

#include <uv.h>

#include "sizes.h"

static void
readable (uv_poll_t *watcher, int status, int events)
{
  (void)status, (void)events;
  eio_poll ();
  if (!left)
    uv_close ((uv_handle_t *)watcher, 0); /* the last one: uv_run returns */
}

int
main (int argc, char **argv)
{
  uv_loop_t *loop = uv_default_loop ();
  uv_poll_t watcher;

  ask (argc - 1, argv + 1);
  if (left)
    {
      uv_poll_init (loop, &watcher, eio_poll_fd ());
      uv_poll_start (&watcher, UV_READABLE, readable);
    }
  uv_run (loop, UV_RUN_DEFAULT);
  uv_loop_close (loop);
  return eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
}
