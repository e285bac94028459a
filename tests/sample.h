/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Files for a sample of every request, what of their results is compared, and
 * what the library owns afterwards.  Include after counting.h and, because of
 * the macros, eio.c; or after what of both is used. */

#ifndef TESTS_SAMPLE_H_
#define TESTS_SAMPLE_H_

/* Descriptors, fixed so that the samples can be constant.  SPARE is what
 * close closes, DUP what dup2 makes; writes to APPEND have to emulate
 * sendfile. */
enum { DATA = 60, OUT, APPEND, SPARE, DUP };

enum
{
  FILE_PATH,
  DIR_PATH,
  LINK_PATH,
  OLD_PATH,
  NEW_PATH,
  DEEP_PATH,
  SUB_PATH,
  TEMP_PATH,
  PATHS
};
static char path[PATHS][5000];
static const char *const names[PATHS]
  = { "file", "dir", "link", "old", "new", "new/deep", "sub", "x-XXXXXX" };

enum { BYTES = 100000 };
static char content[BYTES];
static char buffer[BYTES];
static char mapped[65536] __attribute__ ((aligned (65536)));
static struct iovec vector[] = { { buffer, 7 }, { buffer + 7, 100 } };
static const struct timespec times[] = { { 1, 2 }, { 3, 4 } };
static off_t start_of_file;

/* clang-format off */
#define P(name)      .ptr1 = path[name##_PATH]
#define TO(name)     .ptr2 = path[name##_PATH]
#define IN(wd_path)  .ptr1 = (void *)(wd_path)
#define FD           .int1 = DATA
#define NAMED        .int3 = (long)"user.name"
#define DENTS        .int1 = EIO_READDIR_DENTS
#define SORTED       .int1 = EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST \
                             | EIO_READDIR_STAT_ORDER
/* clang-format on */

/* Of files whose names have that many digits. */
static void
make_directory (int entries, int digits)
{
  char name[300];
  int i;

  ck_assert_int_eq (mkdir (path[DIR_PATH], 0700), 0);
  for (i = 0; i < entries; ++i)
    {
      snprintf (name, sizeof name, "dir/%0*d", digits, i);
      write_file (scratch_path (name), "", 0);
    }
}

/* What the link is to. */
static const char *linked;

/* All but the directory. */
static void
make_fixture (const char *target)
{
  int i;

  for (i = 0; i < PATHS; ++i)
    strcpy (path[i], scratch_path (names[i]));
  for (i = 0; i < BYTES; ++i)
    content[i] = "abcdefghijklmnopqrstuvwxyz"[i % 26];
  write_file (path[FILE_PATH], content, BYTES);
  linked = target;
  ck_assert_int_eq (symlink (linked, path[LINK_PATH]), 0);

  ck_assert_int_eq (dup2 (open (path[FILE_PATH], O_RDWR), DATA), DATA);
  ck_assert_int_eq (dup2 (open (scratch_path ("out"), O_RDWR | O_CREAT, 0600),
                          OUT), OUT);
  ck_assert_int_eq (dup2 (open (scratch_path ("out"), O_RDWR | O_APPEND),
                          APPEND), APPEND);
}

/* What each run may have used up or left. */
static void
renew_fixture (void)
{
  if (unlink (path[NEW_PATH]) < 0)
    {
      rmdir (path[DEEP_PATH]);
      rmdir (path[NEW_PATH]);
    }
  mkdir (path[SUB_PATH], 0700);
  if (symlink (linked, path[LINK_PATH]) && errno != EEXIST)
    ck_abort ();
  write_file (path[OLD_PATH], content, 5);
  ck_assert_int_eq (ftruncate (OUT, 0), 0);
  ck_assert_int_eq (lseek (OUT, 0, SEEK_SET), 0);
  ck_assert_int_eq (lseek (DATA, 0, SEEK_SET), 0);
  ck_assert_int_eq (dup2 (DATA, SPARE), SPARE);
  ck_assert_int_eq (dup2 (DATA, DUP), DUP);
  memset (buffer, '-', sizeof buffer);
}

static unsigned long
hash (unsigned long h, const void *data, size_t size)
{
  const unsigned char *p = data;

  while (size--)
    h = (h ^ *p++) * 1099511628211UL;
  return h;
}

/* Buffers of the library are never null on success. */
static unsigned long
hash_bytes (const eio_req *req)
{
  ck_assert_ptr_nonnull (req->ptr2);
  return hash (req->result, req->ptr2, req->result);
}

static unsigned long
hash_names (const eio_req *req)
{
  const char *name = req->ptr2;
  unsigned long h = 0;
  int i;

  for (i = 0; i < req->result; ++i, name += strlen (name) + 1)
    h = hash (h, name, strlen (name) + 1);
  return h;
}

/* 0 if there is none. */
static unsigned long
hash_file (const char *file)
{
  static char bytes[BYTES];
  int fd = open (file, O_RDONLY);
  ssize_t n = fd < 0 ? -1 : read (fd, bytes, BYTES);

  if (fd >= 0)
    close (fd);
  return n < 0 ? 0 : hash (n + 1, bytes, n);
}

/* Tells a right result from a wrong one. */
static unsigned long
digest (const eio_req *req)
{
  const struct stat *st = req->ptr2;

  if (req->result < 0)
    return req->errorno;
  switch (req->type)
    {
    case EIO_READ:
    case EIO_SLURP:
    case EIO_READLINK:
    case EIO_READ_ALL:
    case EIO_GETXATTR:
    case EIO_FGETXATTR:
    case EIO_LISTXATTR:
    case EIO_FLISTXATTR:
    case EIO_LOAD:
    case EIO_REALPATH: return hash_bytes (req);
    case EIO_READDIR:
    case EIO_READDIR_NEXT:
    case EIO_SCANDIR: return hash_names (req) + req->int1;
    case EIO_STAT:
    case EIO_LSTAT:
    case EIO_FSTAT: return hash (st->st_size, &st->st_ino, sizeof st->st_ino);
    case EIO_STATVFS:
    case EIO_FSTATVFS: return EIO_STATVFS_BUF (req)->f_bsize;
    case EIO_STATX:
    case EIO_FSTATX: return EIO_STATX_BUF (req)->ino;
    case EIO_SEEK: return req->offs;
    case EIO_SAVE: return hash_file (req->ptr1);
    case EIO_COPY:
    case EIO_MOVE: return hash_file (req->ptr2);
    case EIO_OPEN:
    case EIO_OPEN2:
    case EIO_MKSTEMP:
    case EIO_TMPFILE: return 0;
    default: return req->result;
    }
}

/* What a request needs that reads or closes an open directory. */
static int
needs_dir (const eio_req *req)
{
  return req->type == EIO_READDIR_NEXT || req->type == EIO_CLOSEDIR;
}

static inline int
reads_dir (const eio_req *req)
{
  return req->type == EIO_READDIR || req->type == EIO_READDIR_NEXT
         || req->type == EIO_SCANDIR;
}

static long
open_dir (void)
{
  eio_req req = { .type = EIO_OPENDIR, P (DIR) };

  ck_assert_int_eq (eio__opendir (&req), 0);
  return req.int3;
}

static void
close_dir (long dir)
{
  eio__leave_dir ((eio_dir *)dir);
}

/* What the request opened, or made by a name of its own. */
static void
close_result (const eio_req *req)
{
  if (req->type == EIO_WD_OPEN)
    eio_wd_close_sync (req->wd);
  if (req->result < 0)
    return;
  switch (req->type)
    {
    case EIO_OPEN:
    case EIO_OPEN2:
    case EIO_TMPFILE: close (req->result); break;
    case EIO_MKSTEMP:
      close (req->result);
      unlink (req->ptr1);
      break;
    case EIO_MKDTEMP: rmdir (req->ptr1); break;
    case EIO_OPENDIR: close_dir (req->int3); break;
    default: break;
    }
}

/* A pool without workers is one that owes nothing.  Returns how many blocks
 * it has. */
static long
rest (void)
{
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  return live;
}

typedef struct
{
  long blocks;
  int fds;
  int names; /* in the scratch directory */
} estate;

static int
count_names (void)
{
  DIR *dir = opendir (scratch ());
  int n = 0;

  ck_assert_ptr_nonnull (dir);
  while (readdir (dir))
    ++n;
  closedir (dir);
  return n;
}

static estate
survey (long blocks)
{
  estate e = { blocks, 0, 0 };

  renew_fixture ();
  e.fds = count_fds ();
  e.names = count_names ();
  return e;
}

ecb_unused static estate
take_stock (void)
{
  return survey (rest ());
}

static void
assert_same_estate (estate before, estate after, const char *what)
{
  ck_assert_msg (after.blocks == before.blocks, "%s: %ld blocks, then %ld",
                 what, before.blocks, after.blocks);
  ck_assert_msg (after.fds == before.fds, "%s: %d descriptors, then %d", what,
                 before.fds, after.fds);
  ck_assert_msg (after.names == before.names, "%s: %d names, then %d", what,
                 before.names, after.names);
}

#endif
