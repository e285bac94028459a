/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Fuzzing names: bytes make a tree, with links, loops, depth and odd names,
 * and paths into it.  EIO_REALPATH has to say what realpath(3) says, and
 * EIO_READDIR and EIO_SCANDIR what readdir(3) does. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "fuzz.h"

static const uint8_t *at, *end;

static unsigned
take (void)
{
  return at < end ? *at++ : 0;
}

/* Adds a name of few or of many bytes, all but 0 and '/'. */
static size_t
take_name (char *to)
{
  static const char *const usual[] = { "a", "b", "c", ".", "..", "a.b", ".a" };
  unsigned n = take ();
  size_t len;

  if (n < 200)
    return (size_t)sprintf (to, "%s", usual[n % 7]);
  len = n < 250 ? n % 8 + 1 : 255 - (n & 1);
  for (size_t i = 0; i < len; ++i)
    {
      unsigned byte = n < 250 ? take () : 'n';
      to[i] = (char)(!byte || byte == '/' ? 'x' : byte);
    }
  to[len] = 0;
  return len;
}

/* Some names with one slash or more between, before and after them; relative,
 * or below the top. */
static void
take_path (char *to)
{
  unsigned n = take (), slashes = take ();
  size_t len = n & 128 ? (size_t)sprintf (to, "%s/t/", top) : 0;

  to[len] = 0;
  if (n & 64 && !(n & 63)) /* as good as too long */
    for (unsigned i = 2000 + take (); i; --i)
      len += (size_t)sprintf (to + len, "./");
  n &= 15; /* mostly few, as many will not exist */
  for (n = n < 12 ? n & 3 : n; n && len < PATH_MAX; --n, slashes >>= 1)
    {
      len += take_name (to + len);
      if (n > 1 || slashes & 1)
        len += (size_t)sprintf (to + len, slashes & 2 ? "//" : "/");
    }
}

/* Whether it is in the tree, and not where a link or ".." leads; -1 if it
 * does not exist. */
static int
is_inside (const char *path)
{
  char real[PATH_MAX];
  size_t len = strlen (top);

  if (!realpath (path, real))
    return -1;
  return !strncmp (real, top, len) && !strncmp (real + len, "/t", 2);
}

static int
is_new_inside (const char *path)
{
  char dir[3 * PATH_MAX];
  char *slash = strrchr (strcpy (dir, path), '/');

  if (slash)
    slash[1] = 0;
  return is_inside (slash ? dir : ".") > 0;
}

/* Links may lead anywhere, but nothing is made there. */
static void
make_something (void)
{
  char path[3 * PATH_MAX], target[3 * PATH_MAX];
  unsigned what = take ();
  int fd;

  take_path (path);
  if (!is_new_inside (path))
    return;
  switch (what % 4)
    {
    case 0: mkdir (path, 0755); break;
    case 1:
      fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
      if (fd >= 0)
        close (fd);
      break;
    case 2:
      take_path (target);
      fd = symlink (target, path);
      break;
    default:
      for (unsigned n = take () % 40; n; --n)
        {
          snprintf (target, sizeof target, "%.*s%u", PATH_MAX, path, n);
          if (mknod (target, (n & 1 ? S_IFREG : S_IFSOCK) | 0644, 0))
            break;
        }
    }
}

/* --- looking at it ------------------------------------------------------ */

static eio_wd wd;
static char *real;
static int error, result;
static names listed;

static int
keep_real (eio_req *req)
{
  result = (int)req->result;
  error = req->errorno;
  real = req->result < 0 ? 0 : strndup (req->ptr2, (size_t)req->result);
  return 0;
}

static int
keep_names (eio_req *req)
{
  const eio_dirent *entry = req->ptr1;
  int dirs = 0;

  result = (int)req->result;
  error = req->errorno;
  if (result < 0)
    return 0;
  take_names (&listed, req);
  if (req->type == EIO_SCANDIR)
    {
      for (int i = 0; i < result; ++i)
        {
          dirs += entry[i].type == EIO_DT_DIR;
          MUST (entry[i].type && (entry[i].type != EIO_DT_DIR || dirs == i + 1),
                "entry %d: type %d", i, entry[i].type);
        }
      MUST (req->int3 == dirs, "%d directories, not %ld", dirs, req->int3);
    }
  return 0;
}

static void
check_realpath (const char *path)
{
  char want[PATH_MAX];
  int want_error = strlen (path) >= PATH_MAX ? ENAMETOOLONG
                   : realpath (path, want)   ? 0
                                             : errno;

  for (int i = 0; i < 2; ++i)
    {
      eio_realpath_at (i ? wd : EIO_CWD, path, 0, keep_real, 0);
      eio_flush ();
      MUST (error == want_error && !strcmp (real ? real : "",
                                            want_error ? "" : want),
            "realpath %s: %s, errno %d; not %s, %d", path, real, error, want,
            want_error);
      free (real);
    }
}

static void
check_readdir (const char *path)
{
  int flags = (int)take () % 8;
  names want = { .n = 0 };
  int n = read_names (&want, AT_FDCWD, path), want_error = n < 0 ? errno : 0;
  uint64_t h = sort_names (&want);

  free_names (&want);
  for (int i = 0; i < 4; ++i)
    {
      if (i & 1)
        eio_scandir_at (i & 2 ? wd : EIO_CWD, path, flags, 0, keep_names, 0);
      else
        eio_readdir_at (i & 2 ? wd : EIO_CWD, path, flags, 0, keep_names, 0);
      eio_flush ();
      MUST (result == n && error == want_error && sort_names (&listed) == h,
            "readdir %s: %d, errno %d; not %d, %d", path, result, error, n,
            want_error);
      free_names (&listed);
    }
}

static void
run_bytes (const uint8_t *data, size_t size)
{
  char path[3 * PATH_MAX];
  int home = open (".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  at = data;
  end = data + size;
  snprintf (path, sizeof path, "%s/t", top);
  remove_tree (path);
  MUST (!mkdir (path, 0755) && !chdir (path), "%s", path);
  MUST (!eio_init (0, 0), "init");
  wd = eio_wd_open_sync (EIO_CWD, ".");

  for (unsigned n = take () % 32; n; --n)
    make_something ();
  check_readdir (".");
  while (at < end)
    {
      take_path (path);
      check_realpath (path);
      if (is_inside (path)) /* outside, others act */
        check_readdir (path);
    }

  eio_wd_close_sync (wd);
  MUST (!eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), "shutdown");
  MUST (!fchdir (home), "chdir");
  close (home);
}
