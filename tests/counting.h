/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* For rooms that include eio.c with its calls replaced: an allocator that
 * counts blocks, and fails when the room says so.  Include after support.h
 * and before eio.c. */

#ifndef TESTS_COUNTING_H_
#define TESTS_COUNTING_H_

#include "ecb.h"

/* Whatever eio.c includes has to come before its names are replaced. */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

/* Says whether an allocation fails; then with errno. */
static int out_of_memory (void);

static atomic_long live; /* blocks handed out and not freed */

static void *
counted (void *p)
{
  if (p)
    ++live;
  return p;
}

/* Not zero, as fresh memory is by chance. */
ecb_unused static void *
fault_malloc (size_t size)
{
  void *p = out_of_memory () ? 0 : counted (malloc (size));

  return p ? memset (p, 0x55, size) : 0;
}

ecb_unused static void *
fault_calloc (size_t count, size_t size)
{
  return out_of_memory () ? 0 : counted (calloc (count, size));
}

ecb_unused static void *
fault_realloc (void *p, size_t size)
{
  if (!p)
    return fault_malloc (size);
  return out_of_memory () ? 0 : realloc (p, size);
}

ecb_unused static char *
fault_strdup (const char *s)
{
  return out_of_memory () ? 0 : counted (strdup (s));
}

ecb_unused static void
fault_free (void *p)
{
  if (p)
    --live;
  free (p);
}

/* Extended attributes, which file systems may not have: any list of them, and
 * any value, is this.  Larger than what eio.c tries first. */
enum { ATTRS_SIZE = 300 };

ecb_unused static ssize_t
fake_attrs (void *buf, size_t size)
{
  if (size && size < ATTRS_SIZE)
    {
      errno = ERANGE;
      return -1;
    }
  if (size)
    {
      memset (buf, 'a', ATTRS_SIZE);
      ((char *)buf)[ATTRS_SIZE - 1] = 0;
    }
  return ATTRS_SIZE;
}

#endif
