/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The library in a loop of GLib. */

#include <glib-unix.h>

#include "sizes.h"

static gboolean
readable (gint fd, GIOCondition condition, gpointer loop)
{
  (void)fd, (void)condition;
  eio_poll ();
  if (!left)
    g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  GMainLoop *loop = g_main_loop_new (0, FALSE);
  guint watcher = g_unix_fd_add (eio_poll_fd (), G_IO_IN, readable, loop);

  ask (argc - 1, argv + 1);
  if (left)
    g_main_loop_run (loop);
  g_source_remove (watcher);
  g_main_loop_unref (loop);
  return eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
}
