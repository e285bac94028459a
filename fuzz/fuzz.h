/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What both targets share: bytes, a scratch directory, comparing, and, with
 * FUZZ_REPLAY, a main that runs the files and directories that it is given,
 * for who has no libFuzzer.  A target includes this once, and defines
 * run_bytes. */

#ifndef FUZZ_H_
#define FUZZ_H_

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eio.h"

#define LENGTH(array) ((int)(sizeof (array) / sizeof *(array)))

/* What the bytes mean; what is wrong ends the process. */
static void run_bytes (const uint8_t *data, size_t size);

#define MUST(expr, ...) \
  do { \
    if (!(expr)) \
      { \
        fprintf (stderr, "line %d: not %s: ", __LINE__, #expr); \
        fprintf (stderr, __VA_ARGS__); \
        fprintf (stderr, " (errno %d)\n", errno); \
        abort (); \
      } \
  } while (0)

/* A file's contents, names and the like, as one number (FNV-1a). */
static inline uint64_t
hash (uint64_t h, const void *data, size_t size)
{
  const unsigned char *p = data;

  while (size--)
    h = (h ^ *p++) * 0x100000001b3u;
  return h;
}

/* --- names of a directory ------------------------------------------------ */

typedef struct
{
  char *list[512];
  int n;
} names;

static inline int
compare_names (const void *a, const void *b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

static inline void
add_name (names *to, const char *name)
{
  MUST (to->n < LENGTH (to->list), "too many names");
  to->list[to->n++] = strdup (name);
}

/* Returns their hash. */
static inline uint64_t
sort_names (names *of)
{
  uint64_t h = 0;

  qsort (of->list, (size_t)of->n, sizeof *of->list, compare_names);
  for (int i = 0; i < of->n; ++i)
    h = hash (h, of->list[i], strlen (of->list[i]) + 1);
  return h;
}

static inline void
free_names (names *of)
{
  while (of->n)
    free (of->list[--of->n]);
}

/* As readdir(3) has them.  Returns -1 with errno if there is no such
 * directory. */
static inline int
read_names (names *to, int dirfd, const char *path)
{
  int fd = openat (dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? 0 : fdopendir (fd);
  struct dirent *entry;

  if (!dir)
    return -1;
  while ((entry = readdir (dir)))
    if (strcmp (entry->d_name, ".") && strcmp (entry->d_name, ".."))
      add_name (to, entry->d_name);
  closedir (dir);
  return to->n;
}

/* As EIO_READDIR has them: the entries say the same as the names. */
static inline void
take_names (names *to, const eio_req *req)
{
  const eio_dirent *entries = req->ptr1;
  const char *name = req->ptr2;

  for (int i = 0; i < req->result; ++i, name += strlen (name) + 1)
    if (!(req->int1 & EIO_READDIR_DENTS))
      add_name (to, name);
    else
      {
        const char *own = (char *)req->ptr2 + entries[i].nameofs;

        MUST (strlen (own) == entries[i].namelen, "%s", own);
        add_name (to, own);
      }
}

/* --- the scratch directory ----------------------------------------------- */

static char top[PATH_MAX - 8];
static pid_t top_owner;

/* Removes it, and all that is in it, whatever the modes. */
static void
remove_at (int dirfd, const char *path)
{
  names list = { .n = 0 };
  int fd;

  if (!unlinkat (dirfd, path, 0) || errno == ENOENT)
    return;
  fchmodat (dirfd, path, 0700, 0);
  read_names (&list, dirfd, path);
  fd = openat (dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < list.n; ++i)
    remove_at (fd, list.list[i]);
  close (fd);
  free_names (&list);
  unlinkat (dirfd, path, AT_REMOVEDIR);
}

static inline void
remove_tree (const char *path)
{
  remove_at (AT_FDCWD, path);
}

static void
remove_top (void)
{
  if (top_owner == getpid ())
    remove_tree (top);
}

/* Makes it, once. */
static inline void
need_top (void)
{
  const char *tmp = getenv ("TMPDIR");
  char name[PATH_MAX], real[PATH_MAX];

  if (top_owner == getpid ())
    return;
  snprintf (name, sizeof name, "%s/eiofuzz.XXXXXX",
            tmp ? tmp : access ("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
  MUST (mkdtemp (name) && realpath (name, real)
          && strlen (real) < sizeof top - 100,
        "%s", name);
  strcpy (top, real);
  top_owner = getpid ();
  atexit (remove_top);
  umask (022);
}

/* How many descriptors are open; there are never many. */
static inline int
count_fds (void)
{
  struct pollfd fds[256];
  int n = 0;

  for (int i = 0; i < LENGTH (fds); ++i)
    fds[i] = (struct pollfd){ i, 0, 0 };
  poll (fds, LENGTH (fds), 0);
  for (int i = 0; i < LENGTH (fds); ++i)
    n += !(fds[i].revents & POLLNVAL);
  return n;
}

/* --- running ------------------------------------------------------------- */

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  int before;

  need_top ();
  before = count_fds ();
  run_bytes (data, size);
  MUST (count_fds () == before, "%d descriptors, not %d", count_fds (),
        before);
  return 0;
}

#ifdef FUZZ_REPLAY
static int replayed;

static int
replay (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  size_t size = (size_t)st->st_size;
  uint8_t *data;
  int fd;

  (void)ftw;
  if (type != FTW_F)
    return 0;
  data = malloc (size + 1);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  MUST (data && fd >= 0 && read (fd, data, size) == st->st_size, "%s", path);
  close (fd);
  if (getenv ("FUZZ_VERBOSE"))
    fprintf (stderr, "%s\n", path);
  LLVMFuzzerTestOneInput (data, size);
  free (data);
  ++replayed;
  return 0;
}

int
main (int argc, char **argv)
{
  for (int i = 1; i < argc; ++i)
    MUST (!nftw (argv[i], replay, 16, FTW_PHYS), "%s", argv[i]);
  printf ("%d inputs\n", replayed);
  return !replayed;
}
#endif

#endif
