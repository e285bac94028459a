/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What the examples of event loops have in common, whose loops do nothing but
 * this: they print the size of each file that is named. */

#include <eio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int left; /* how many have not been printed */

static int
print_size (eio_req *req)
{
  if (EIO_RESULT (req) < 0)
    printf ("%s: %s\n", EIO_PATH (req), strerror (req->errorno));
  else
    printf ("%s: %lld bytes\n", EIO_PATH (req),
            (long long)EIO_STAT_BUF (req)->st_size);
  --left;
  return 0;
}

/* Asks for all sizes. */
static void
ask (int n, char **paths)
{
  while (n--)
    left += !!eio_stat (*paths++, EIO_PRI_DEFAULT, print_size, 0);
}
