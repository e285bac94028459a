/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The library in a loop of poll(2). */

#include <poll.h>

#include "sizes.h"

int
main (int argc, char **argv)
{
  struct pollfd watch = { eio_poll_fd (), POLLIN, 0 };

  ask (argc - 1, argv + 1);
  while (left)
    {
      poll (&watch, 1, -1);
      if (watch.revents)
        eio_poll ();
    }
  return eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
}
