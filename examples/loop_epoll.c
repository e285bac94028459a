/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The library in a loop of epoll(7). */

#include <sys/epoll.h>
#include <unistd.h>

#include "sizes.h"

int
main (int argc, char **argv)
{
  int epfd = epoll_create1 (EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN };

  epoll_ctl (epfd, EPOLL_CTL_ADD, eio_poll_fd (), &event);
  ask (argc - 1, argv + 1);
  while (left)
    if (epoll_wait (epfd, &event, 1, -1) > 0)
      eio_poll ();
  close (epfd);
  return eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
}
