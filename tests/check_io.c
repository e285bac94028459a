/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Requests on descriptors, and slurp: each is compared with what the system
 * call of its name does, or with what the contract says beyond that. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "run.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __GLIBC__
# include <malloc.h>
#endif

#define MIB ((off_t)1 << 20)
#define GIB ((off_t)1 << 30)

/* ThreadSanitizer keeps four bytes for each byte that was read into. */
#if defined __SANITIZE_THREAD__
# define NO_HUGE_BUFFERS 1
#elif defined __has_feature
# if __has_feature(thread_sanitizer)
#  define NO_HUGE_BUFFERS 1
# endif
#endif
#ifndef NO_HUGE_BUFFERS
# define NO_HUGE_BUFFERS (sizeof (size_t) < 8)
#endif

/*****************************************************************************
 * Files, pipes, contents                                                    *
 *****************************************************************************/

/* Bytes whose value tells where they belong. */
static const char *
pattern (size_t size)
{
  static char *bytes;
  static size_t have;
  size_t i;

  if (size > have || !bytes)
    {
      bytes = realloc (bytes, size + 1);
      ck_assert_ptr_nonnull (bytes);
      for (i = have; i < size; ++i)
        bytes[i] = (char)(i * 7 + (i >> 8) * 31 + (i >> 16) * 5 + 1);
      have = size;
    }
  return bytes;
}

static int
open_existing (const char *path, int flags)
{
  int fd = open (path, flags);
  ck_assert_msg (fd >= 0, "%s: %s", path, strerror (errno));
  return fd;
}

/* A new file in the scratch directory that holds the pattern. */
static int
open_pattern (const char *name, size_t size, int flags)
{
  const char *path = scratch_path (name);
  write_file (path, pattern (size), size);
  return open_existing (path, flags);
}

/* A file that is all hole. */
static int
open_sparse (const char *name, off_t size)
{
  int fd = open (scratch_path (name), O_RDWR | O_CREAT | O_TRUNC, 0666);
  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (ftruncate (fd, size), 0);
  return fd;
}

static off_t
position (int fd)
{
  return lseek (fd, 0, SEEK_CUR);
}

static off_t
file_size (int fd)
{
  struct stat st;
  ck_assert_int_eq (fstat (fd, &st), 0);
  return st.st_size;
}

static void
make_pipe (int fds[2], int flags)
{
  ck_assert_int_eq (pipe2 (fds, flags), 0);
}

static void
make_sockets (int fds[2], int flags)
{
  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | flags, 0, fds), 0);
}

/* A descriptor that is not open. */
static int
closed_fd (void)
{
  int fd = dup (0);
  if (fd < 0)
    fd = dup (host_fd ());
  ck_assert_int_eq (close (fd), 0);
  return fd;
}

/* An address that the kernel cannot read or write.  (Not one behind the end of
 * a mapped file: QEMU's user mode looks whether it is mapped, and uses it.) */
static void *
bad_address (void)
{
  void *p = mmap (0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne (p, MAP_FAILED);
  return p;
}

/* A thread that reads a descriptor to its end. */
typedef struct
{
  pthread_t thread;
  int fd;
  char *data;
  size_t size;
} reader;

static void *
read_all (void *arg)
{
  reader *r = arg;
  size_t room = 0;
  ssize_t got_now;

  do
    {
      if (r->size == room)
        r->data = realloc (r->data, room += 65536);
      got_now = read (r->fd, r->data + r->size, room - r->size);
      if (got_now > 0)
        r->size += (size_t)got_now;
    }
  while (got_now > 0);
  return 0;
}

static void
reader_start (reader *r, int fd)
{
  memset (r, 0, sizeof *r);
  r->fd = fd;
  ck_assert_int_eq (pthread_create (&r->thread, 0, read_all, r), 0);
}

static void
reader_expect (reader *r, const char *data, size_t size)
{
  pthread_join (r->thread, 0);
  ck_assert_uint_eq (r->size, size);
  ck_assert_int_eq (memcmp (r->data, data, size), 0);
  free (r->data);
}

/* The whole of a file, by the system's own read. */
static reader
contents (const char *path)
{
  reader r = { .fd = open_existing (path, O_RDONLY) };
  read_all (&r);
  close (r.fd);
  return r;
}

static void
expect_contents (const char *path, const char *data, size_t size)
{
  reader r = contents (path);
  ck_assert_uint_eq (r.size, size);
  ck_assert_int_eq (memcmp (r.data, data, size), 0);
  free (r.data);
}

/* The result buffer is the library's, and holds these bytes. */
static void
expect_buffer (const char *data, size_t size)
{
  ck_assert_ptr_nonnull (EIO_BUF (&got));
  ck_assert (got.flags & EIO_FLAG_PTR2_FREE);
  ck_assert_int_eq (memcmp (EIO_BUF (&got), data, size), 0);
}

/* Has malloc deliver memory that is not zero, where it can. */
static void
spoil_malloc (void)
{
#ifdef M_PERTURB
  mallopt (M_PERTURB, 0x5a);
#endif
}

/*****************************************************************************
 * read, write                                                               *
 *****************************************************************************/

START_TEST (read_at_an_offset_leaves_the_position)
{
  int fd = open_pattern ("f", 5000, O_RDONLY);
  char buf[100];

  lseek (fd, 10, SEEK_SET);
  gives (100, eio_read (fd, buf, 100, 4000, KEEP));
  ck_assert_int_eq (memcmp (buf, pattern (5000) + 4000, 100), 0);
  gives (1, eio_read (fd, buf, 1, 0, KEEP));
  ck_assert_int_eq (buf[0], pattern (1)[0]);
  ck_assert_int_eq (position (fd), 10);
}
END_TEST

START_TEST (read_at_a_negative_offset_reads_at_the_position)
{
  int fd = open_pattern ("f", 5000, O_RDONLY);
  char buf[100];

  lseek (fd, 10, SEEK_SET);
  gives (100, eio_read (fd, buf, 100, -1, KEEP));
  ck_assert_int_eq (memcmp (buf, pattern (5000) + 10, 100), 0);
  gives (100, eio_read (fd, buf, 100, -4000, KEEP));
  ck_assert_int_eq (memcmp (buf, pattern (5000) + 110, 100), 0);
  ck_assert_int_eq (position (fd), 210);
}
END_TEST

START_TEST (write_at_an_offset_leaves_the_position)
{
  int fd = open_pattern ("f", 10, O_RDWR);
  lseek (fd, 3, SEEK_SET);
  gives (2, eio_write (fd, (char *)"ab", 2, 6, KEEP));
  ck_assert_int_eq (position (fd), 3);

  gives (1, eio_write (fd, (char *)"c", 1, 0, KEEP));
  gives (1, eio_write (fd, (char *)"d", 1, 12, KEEP));
  gives (13, eio_read (fd, 0, 20, 0, KEEP));
  ck_assert_int_eq (memcmp ((char *)got.ptr2 + 6, "ab", 2), 0);
  ck_assert_int_eq (memcmp ((char *)got.ptr2 + 10, "\0\0d", 3), 0);
  ck_assert_int_eq (((char *)got.ptr2)[0], 'c');
}
END_TEST

START_TEST (write_at_a_negative_offset_writes_at_the_position)
{
  int fd = open_pattern ("f", 10, O_RDWR);
  lseek (fd, 3, SEEK_SET);
  gives (2, eio_write (fd, (char *)"ab", 2, -1, KEEP));
  gives (2, eio_write (fd, (char *)"cd", 2, -100, KEEP));
  ck_assert_int_eq (position (fd), 7);
  gives (4, eio_read (fd, 0, 4, 3, KEEP));
  ck_assert_int_eq (memcmp (got.ptr2, "abcd", 4), 0);
}
END_TEST

START_TEST (pipes_are_read_and_written_at_the_position_only)
{
  int fds[2];
  make_pipe (fds, 0);
  gives (5, eio_write (fds[1], (char *)"hello", 5, -1, KEEP));
  gives (5, eio_read (fds[0], 0, 100, -1, KEEP));
  expect_buffer ("hello", 5);
  fails (ESPIPE, eio_read (fds[0], 0, 1, 0, KEEP));
  fails (ESPIPE, eio_write (fds[1], (char *)"x", 1, 0, KEEP));
}
END_TEST

/* The offset is beyond what 32 bits hold. */
START_TEST (offsets_have_64_bits)
{
  int fd = open_sparse ("f", 0);
  gives (3, eio_write (fd, (char *)"end", 3, 5 * GIB, KEEP));
  ck_assert_int_eq (file_size (fd), 5 * GIB + 3);
  gives (3, eio_read (fd, 0, 10, 5 * GIB, KEEP));
  expect_buffer ("end\0\0\0\0\0\0", 10);
}
END_TEST

START_TEST (short_read_zeroes_the_rest_of_the_buffer)
{
  static const char zeros[8000];
  static const size_t sizes[] = { 24, 100, 1000, 8000 };
  int fd = open_pattern ("f", 3, O_RDONLY), i, round;

  spoil_malloc ();
  for (round = 0; round < 3; ++round)
    for (i = 0; i < LENGTH (sizes); ++i)
      {
        gives (3, eio_read (fd, 0, sizes[i], 0, KEEP));
        expect_buffer (pattern (3), 3);
        ck_assert_int_eq (
          memcmp ((char *)got.ptr2 + 3, zeros, sizes[i] - 3), 0);
        gives (0, eio_read (fd, 0, sizes[i], 3, KEEP));
        expect_buffer (zeros, sizes[i]);
      }
}
END_TEST

START_TEST (read_leaves_the_rest_of_the_callers_buffer)
{
  int fd = open_pattern ("f", 3, O_RDONLY);
  char buf[10] = "xxxxxxxxx";
  gives (3, eio_read (fd, buf, sizeof buf, 0, KEEP));
  ck_assert_ptr_eq (got.ptr2, buf);
  ck_assert (!(got.flags & EIO_FLAG_PTR2_FREE));
  ck_assert_int_eq (memcmp (buf, pattern (3), 3), 0);
  ck_assert_str_eq (buf + 3, "xxxxxx");
}
END_TEST

START_TEST (zero_bytes_are_read_and_written)
{
  int fd = open_pattern ("f", 3, O_RDWR);
  char buf[1] = "x";
  gives (0, eio_read (fd, 0, 0, 0, KEEP));
  expect_buffer ("", 0);
  gives (0, eio_read (fd, buf, 0, 0, KEEP));
  ck_assert_int_eq (buf[0], 'x');
  gives (0, eio_read (fd, 0, 0, -1, KEEP));
  expect_buffer ("", 0);
  gives (0, eio_write (fd, buf, 0, 1, KEEP));
  gives (0, eio_write (fd, buf, 0, -1, KEEP));
  ck_assert_int_eq (position (fd), 0);
  ck_assert_int_eq (file_size (fd), 3);
}
END_TEST

START_TEST (read_and_write_report_the_systems_errors)
{
  int fd = open_pattern ("f", 3, O_RDONLY);
  int out = open_existing (scratch_path ("f"), O_WRONLY);
  int dir = open_existing (scratch (), O_RDONLY | O_DIRECTORY);
  int bad = closed_fd ();
  char buf[1] = "";

  fails (EBADF, eio_read (bad, 0, 1, 0, KEEP));
  fails (EBADF, eio_read (-1, 0, 1, -1, KEEP));
  fails (EBADF, eio_write (bad, buf, 1, 0, KEEP));
  fails (EBADF, eio_read (out, 0, 1, 0, KEEP));
  fails (EBADF, eio_write (fd, buf, 1, 0, KEEP));
  fails (EISDIR, eio_read (dir, 0, 1, 0, KEEP));
  fails (EFAULT, eio_read (fd, bad_address (), 1, 0, KEEP));
  fails (EFAULT, eio_write (out, bad_address (), 1, 0, KEEP));
}
END_TEST

/* The signal of a broken pipe goes to the thread that writes, where it is
 * blocked; the host is never killed by it. */
START_TEST (write_to_a_broken_pipe_fails_without_a_signal)
{
  int fds[2], sockets[2], file = open_pattern ("f", 100, O_RDONLY);
  make_pipe (fds, 0);
  close (fds[0]);
  fails (EPIPE, eio_write (fds[1], (char *)"x", 1, -1, KEEP));

  make_sockets (sockets, 0);
  close (sockets[0]);
  fails (EPIPE, eio_sendfile (sockets[1], file, 0, 100, KEEP));
}
END_TEST

START_TEST (success_shows_no_errno_of_an_earlier_request)
{
  int fd = open_pattern ("f", 3, O_RDONLY);
  int fds[2];

  make_pipe (fds, 0);
  eio_set_max_parallel (1);
  fails (EBADF, eio_fsync (closed_fd (), KEEP));
  gives (0, eio_nop (KEEP));
  fails (ESPIPE, eio_seek (fds[0], 0, EIO_SEEK_SET, KEEP));
  gives (3, eio_read (fd, 0, 10, 0, KEEP));
  fails (ENOENT, eio_slurp ("/nonexistent", 0, 0, 0, KEEP));
  gives (0, eio_busy (0, KEEP));
  gives (0, eio_fstat (fd, KEEP));
}
END_TEST

/*****************************************************************************
 * seek, ftruncate                                                           *
 *****************************************************************************/

START_TEST (seek_gives_the_new_position_in_offs)
{
  static const struct
  {
    int whence;
    off_t offs, want;
  } table[] = {
    { EIO_SEEK_SET, 7, 7 },         { EIO_SEEK_CUR, 3, 10 },
    { EIO_SEEK_CUR, -10, 0 },       { EIO_SEEK_END, -1, 99 },
    { EIO_SEEK_END, 0, 100 },       { EIO_SEEK_END, 5 * GIB, 5 * GIB + 100 },
    { EIO_SEEK_CUR, -GIB, 4 * GIB + 100 }, { EIO_SEEK_SET, 0, 0 },
  };
  int fd = open_pattern ("f", 100, O_RDONLY), i;

  for (i = 0; i < LENGTH (table); ++i)
    {
      gives (0, eio_seek (fd, table[i].offs, table[i].whence, KEEP));
      ck_assert_int_eq (got.offs, table[i].want);
      ck_assert_int_eq (position (fd), table[i].want);
    }
}
END_TEST

START_TEST (seek_reports_the_systems_errors)
{
  int fd = open_pattern ("f", 100, O_RDONLY), fds[2];
  make_pipe (fds, 0);
  fails (EINVAL, eio_seek (fd, -1, EIO_SEEK_SET, KEEP));
  fails (EINVAL, eio_seek (fd, -101, EIO_SEEK_END, KEEP));
  fails (EINVAL, eio_seek (fd, 0, 99, KEEP));
  fails (ESPIPE, eio_seek (fds[0], 0, EIO_SEEK_CUR, KEEP));
  fails (EBADF, eio_seek (closed_fd (), 0, EIO_SEEK_CUR, KEEP));
  ck_assert_int_eq (position (fd), 0);
}
END_TEST

#ifdef SEEK_DATA
START_TEST (seek_passes_other_whences_on)
{
  static const int whences[] = { SEEK_DATA, SEEK_HOLE };
  static const off_t offsets[] = { 0, MIB, MIB + 5, 2 * MIB, 4 * MIB };
  int fd = open_sparse ("f", 3 * MIB), i, j;

  ck_assert_int_eq (pwrite (fd, "x", 1, MIB), 1);
  for (i = 0; i < LENGTH (whences); ++i)
    for (j = 0; j < LENGTH (offsets); ++j)
      {
        off_t want = lseek (fd, offsets[j], whences[i]);
        if (want == -1)
          {
            fails (errno, eio_seek (fd, offsets[j], whences[i], KEEP));
            continue;
          }
        lseek (fd, 0, SEEK_SET);
        gives (0, eio_seek (fd, offsets[j], whences[i], KEEP));
        ck_assert_int_eq (got.offs, want);
        ck_assert_int_eq (position (fd), want);
      }
}
END_TEST
#endif

START_TEST (ftruncate_shrinks_and_grows)
{
  int fd = open_pattern ("f", 100, O_RDWR);
  gives (0, eio_ftruncate (fd, 10, KEEP));
  ck_assert_int_eq (file_size (fd), 10);
  gives (0, eio_ftruncate (fd, 20, KEEP));
  gives (20, eio_read (fd, 0, 100, 0, KEEP));
  ck_assert_int_eq (memcmp (got.ptr2, pattern (10), 10), 0);
  ck_assert_int_eq (memcmp ((char *)got.ptr2 + 10, "\0\0\0\0\0\0\0\0\0", 10),
                    0);
  gives (0, eio_ftruncate (fd, 5 * GIB, KEEP));
  ck_assert_int_eq (file_size (fd), 5 * GIB);
  gives (0, eio_ftruncate (fd, 0, KEEP));
  ck_assert_int_eq (file_size (fd), 0);
}
END_TEST

START_TEST (ftruncate_reports_the_systems_errors)
{
  int fd = open_pattern ("f", 100, O_RDWR), fds[2];
  int in = open_existing (scratch_path ("f"), O_RDONLY);
  make_pipe (fds, 0);
  agrees (ftruncate (in, 1), eio_ftruncate (in, 1, KEEP));
  agrees (ftruncate (fds[1], 0), eio_ftruncate (fds[1], 0, KEEP));
  fails (EINVAL, eio_ftruncate (fd, -1, KEEP));
  fails (EBADF, eio_ftruncate (closed_fd (), 0, KEEP));
  ck_assert_int_eq (file_size (fd), 100);
}
END_TEST

/*****************************************************************************
 * slurp                                                                     *
 *****************************************************************************/

/* Of a file of ten bytes. */
static const struct
{
  size_t size;
  off_t offs;
  const char *want;
} slurps[] = {
  { 0, 0, "0123456789" },      { 0, 4, "456789" },
  { 0, 9, "9" },               { 0, 10, "" },
  { 0, 11, "" },               { 0, 5 * GIB, "" },
  { 0, INT64_MAX, "" },        { 0, -1, "9" },
  { 0, -10, "0123456789" },    { 0, -11, "0123456789" },
  { 0, -5 * GIB, "0123456789" }, { 0, INT64_MIN, "0123456789" },
  { 4, 0, "0123" },            { 4, 3, "3456" },
  { 4, 8, "89" },              { 4, 10, "" },
  { 4, 1000, "" },             { 4, INT64_MAX, "" },
  { 4, -3, "789" },            { 2, -3, "78" },
  { 4, -10, "0123" },          { 4, -11, "0123" },
  { 4, -1000, "0123" },        { 4, INT64_MIN, "0123" },
  { 10, 0, "0123456789" },     { 11, 0, "0123456789" },
  { 5000, 0, "0123456789" },   { 5000, -2, "89" },
  { 1, 0, "0" },               { 1, -1, "9" },
};

START_TEST (slurp_reads_the_range)
{
  const char *path = scratch_path ("f");
  eio_ssize_t n = (eio_ssize_t)strlen (slurps[_i].want);
  int fds;

  write_file (path, "0123456789", 10);
  gives (0, eio_nop (KEEP));
  fds = count_fds ();
  gives (n, eio_slurp (path, 0, slurps[_i].size, slurps[_i].offs, KEEP));
  expect_buffer (slurps[_i].want, (size_t)n);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

#ifdef __GLIBC__
/* A buffer of the size that was asked for, as with read. */
START_TEST (slurp_zeroes_the_rest_of_a_buffer_of_that_size)
{
  static const size_t sizes[] = { 1, 10, 11, 5000, 100000 };
  const char *path = scratch_path ("f");
  size_t i, k;

  write_file (path, "0123456789", 10);
  for (i = 0; i < LENGTH (sizes); ++i)
    {
      size_t n = sizes[i] < 10 ? sizes[i] : 10;
      gives ((eio_ssize_t)n, eio_slurp (path, 0, sizes[i], 0, KEEP));
      ck_assert_uint_ge (malloc_usable_size (got.ptr2), sizes[i]);
      for (k = n; k < sizes[i]; ++k)
        ck_assert_int_eq (((char *)got.ptr2)[k], 0);
    }
}
END_TEST
#endif

START_TEST (slurp_fills_the_callers_buffer)
{
  const char *path = scratch_path ("f");
  eio_ssize_t n = (eio_ssize_t)strlen (slurps[_i].want);
  size_t size = slurps[_i].size, i;
  char buf[5001];

  write_file (path, "0123456789", 10);
  memset (buf, 'x', sizeof buf);
  if (!size)
    fails (EINVAL, eio_slurp (path, buf, size, slurps[_i].offs, KEEP));
  else
    {
      gives (n, eio_slurp (path, buf, size, slurps[_i].offs, KEEP));
      ck_assert_int_eq (memcmp (buf, slurps[_i].want, (size_t)n), 0);
    }
  ck_assert (!(got.flags & EIO_FLAG_PTR2_FREE));
  for (i = size ? (size_t)n : 0; i < sizeof buf; ++i)
    ck_assert_int_eq (buf[i], 'x');
}
END_TEST

START_TEST (slurp_reads_empty_and_large_files)
{
  static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 65536, 1234567 };
  int i;

  for (i = 0; i < LENGTH (sizes); ++i)
    {
      eio_ssize_t size = (eio_ssize_t)sizes[i];
      close (open_pattern ("f", sizes[i], O_RDONLY));
      gives (size, eio_slurp (scratch_path ("f"), 0, 0, 0, KEEP));
      expect_buffer (pattern (sizes[i]), sizes[i]);
    }
}
END_TEST

START_TEST (slurp_reports_errors_and_leaks_no_descriptor)
{
  const char *path = scratch_path ("f"), *fifo = scratch_path ("locked");
  void *bad = bad_address ();
  char buf[4];
  int fds;

  write_file (path, "x", 1);
  write_file (fifo, "x", 1);
  chmod (fifo, 0);
  gives (0, eio_nop (KEEP));
  fds = count_fds ();
  fails (ENOENT, eio_slurp (scratch_path ("none"), 0, 0, 0, KEEP));
  fails (ENOENT, eio_slurp ("", 0, 0, 0, KEEP));
  fails (EINVAL, eio_slurp (path, buf, 0, 0, KEEP));
  fails (ENOTDIR, eio_slurp (scratch_path ("f/x"), 0, 0, 0, KEEP));
  fails (EISDIR, eio_slurp (scratch (), 0, 0, 0, KEEP));
  fails (EISDIR, eio_slurp (scratch (), 0, 10, 0, KEEP));
  fails (EISDIR, eio_slurp (scratch (), buf, 4, 0, KEEP));
  fails (EFAULT, eio_slurp (path, bad, 1, 0, KEEP));
  fails (EINVAL, submit ((eio_req) { .type = EIO_SLURP }));
  if (geteuid ())
    fails (EACCES, eio_slurp (fifo, 0, 0, 0, KEEP));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (slurp_far_behind_any_end_gives_nothing)
{
  static const char *const paths[] = { "/proc/self/status", "/proc/version",
                                       0 };
  static const off_t offsets[] = { 1 << 30, 5 * GIB, INT64_MAX - 4096,
                                   INT64_MAX - 1, INT64_MAX };
  const char *empty = scratch_path ("f");
  char buf[10] = "xxxxxxxxx";
  int i, j;

  write_file (empty, "", 0);
  for (i = 0; i < LENGTH (paths); ++i)
    for (j = 0; j < LENGTH (offsets); ++j)
      {
        const char *path = paths[i] ? paths[i] : empty;
        gives (0, eio_slurp (path, 0, 0, offsets[j], KEEP));
        expect_buffer ("", 0);
        gives (0, eio_slurp (path, buf, sizeof buf, offsets[j], KEEP));
        ck_assert_str_eq (buf, "xxxxxxxxx");
      }
}
END_TEST

/* A process with so many mappings that their list is far longer than a page
 * and than what one read of /proc delivers; it sleeps, so the list stays. */
static pid_t
start_mapped_process (void)
{
  int fds[2], i, page = (int)sysconf (_SC_PAGESIZE);
  char c = 0, *map;
  pid_t pid;

  make_pipe (fds, 0);
  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      map = mmap (0, (size_t)page * 2000, PROT_READ,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (map != MAP_FAILED)
        for (i = 0; i < 2000; i += 2)
          mprotect (map + (size_t)page * (size_t)i, (size_t)page, PROT_NONE);
      if (write (fds[1], &c, 1) == 1)
        pause ();
      _exit (1);
    }

  ck_assert_int_eq (read (fds[0], &c, 1), 1);
  close (fds[0]);
  close (fds[1]);
  return pid;
}

static void
stop_process (pid_t pid)
{
  kill (pid, SIGKILL);
  waitpid (pid, 0, 0);
}

START_TEST (slurp_reads_proc_files_to_their_end)
{
  pid_t pid = start_mapped_process ();
  char path[100], buf[10000];
  reader want;

  snprintf (path, sizeof path, "/proc/%d/maps", (int)pid);
  want = contents (path);
  ck_assert_uint_gt (want.size, 20000);

  gives ((eio_ssize_t)want.size, eio_slurp (path, 0, 0, 0, KEEP));
  expect_buffer (want.data, want.size);
  gives ((eio_ssize_t)want.size,
         eio_slurp (path, 0, want.size + 5000, 0, KEEP));
  expect_buffer (want.data, want.size);
  gives (15000, eio_slurp (path, 0, 15000, 0, KEEP));
  expect_buffer (want.data, 15000);
  gives ((eio_ssize_t)want.size - 100, eio_slurp (path, 0, 0, 100, KEEP));
  expect_buffer (want.data + 100, want.size - 100);
  gives (0, eio_slurp (path, 0, 0, (off_t)want.size, KEEP));
  gives (9000, eio_slurp (path, 0, 0, -9000, KEEP));
  expect_buffer (want.data + want.size - 9000, 9000);
  gives (9000, eio_slurp (path, buf, sizeof buf, -9000, KEEP));
  ck_assert_int_eq (memcmp (buf, want.data + want.size - 9000, 9000), 0);
  gives (10000, eio_slurp (path, buf, sizeof buf, -12000, KEEP));
  ck_assert_int_eq (memcmp (buf, want.data + want.size - 12000, 10000), 0);

  stop_process (pid);
  free (want.data);
}
END_TEST

/* What cannot be read by offset is read from where it is. */
static const struct
{
  size_t size;
  off_t offs;
  int to_buffer;
  eio_ssize_t got, from;
} fifo_slurps[] = {
  { 0, 0, 0, 9000, 0 },
  { 4000, 0, 0, 4000, 0 },
  { 10000, 0, 0, 9000, 0 },
  { 4000, 0, 1, 4000, 0 },
  { 10000, 0, 1, 9000, 0 },
  { 0, -100, 0, 100, 8900 },
  { 10, -100, 0, 10, 8900 },
  { 4000, -100, 1, 100, 8900 },
  { 4000, -10000, 1, 4000, 0 },
};

static void *
write_fifo (void *path)
{
  int fd = open (path, O_WRONLY);
  if (write (fd, pattern (9000), 9000) != 9000)
    return path;
  close (fd);
  return 0;
}

START_TEST (slurp_reads_fifos)
{
  char path[5000], buf[10000];
  pthread_t thread;
  void *failed;

  strcpy (path, scratch_path ("fifo"));
  ck_assert_int_eq (mkfifo (path, 0666), 0);
  pattern (9000);
  ck_assert_int_eq (pthread_create (&thread, 0, write_fifo, path), 0);
  gives (fifo_slurps[_i].got,
         eio_slurp (path, fifo_slurps[_i].to_buffer ? buf : 0,
                    fifo_slurps[_i].size, fifo_slurps[_i].offs, KEEP));
  ck_assert_int_eq (memcmp (got.ptr2, pattern (9000) + fifo_slurps[_i].from,
                            (size_t)fifo_slurps[_i].got), 0);
  pthread_join (thread, &failed);
  ck_assert_ptr_null (failed);
}
END_TEST

/* Others than the first byte of what cannot be read by offset are not had. */
START_TEST (slurp_skips_nothing_of_fifos)
{
  const char *path = scratch_path ("fifo");
  char buf[5];
  int fd;

  ck_assert_int_eq (mkfifo (path, 0666), 0);
  fd = open (path, O_RDWR);
  ck_assert_int_eq (write (fd, "0123456789", 10), 10);
  fails (ESPIPE, eio_slurp (path, 0, sizeof buf, 5, KEEP));
  fails (ESPIPE, eio_slurp (path, buf, sizeof buf, 5, KEEP));
  gives (5, eio_slurp (path, buf, sizeof buf, 0, KEEP));
  ck_assert_int_eq (memcmp (buf, "01234", 5), 0);
  close (fd);
}
END_TEST

/* Files of sysfs claim the size of a page and hold less. */
START_TEST (slurp_reads_files_that_are_shorter_than_they_claim)
{
  const char *path = "/sys/devices/system/cpu/possible";
  reader want;

  if (access (path, R_OK))
    return;
  want = contents (path);
  gives ((eio_ssize_t)want.size, eio_slurp (path, 0, 0, 0, KEEP));
  expect_buffer (want.data, want.size);
  gives (0, eio_slurp (path, 0, 0, (off_t)want.size, KEEP));
  free (want.data);
}
END_TEST

enum { GROWN_SIZE = 4 << 20 };
static _Atomic size_t grown;

static void *
grow_file (void *arg)
{
  const char *data = pattern (GROWN_SIZE);
  size_t n;

  for (n = 0; n < GROWN_SIZE; n += 512)
    {
      if (write (*(int *)arg, data + n, 512) != 512)
        break;
      grown = n + 512;
    }
  return 0;
}

START_TEST (slurp_reads_a_growing_file_to_its_end)
{
  const char *path = scratch_path ("f");
  int fd = open (path, O_WRONLY | O_CREAT | O_APPEND, 0666);
  size_t before;
  pthread_t thread;

  pattern (GROWN_SIZE);
  ck_assert_int_eq (pthread_create (&thread, 0, grow_file, &fd), 0);
  do
    {
      before = grown;
      ck_assert_int_ge (run (eio_slurp (path, 0, 0, 0, KEEP)), 0);
      ck_assert_int_eq (got.errorno, 0);
      ck_assert_int_ge (got.result, (eio_ssize_t)before);
      ck_assert_int_le (got.result, (eio_ssize_t)(grown + 512));
      expect_buffer (pattern (GROWN_SIZE), (size_t)got.result);
    }
  while (before < GROWN_SIZE);
  ck_assert_int_eq (got.result, GROWN_SIZE);
  pthread_join (thread, 0);
}
END_TEST

static atomic_int stop_changing;

static void *
change_size (void *arg)
{
  while (!stop_changing)
    if (ftruncate (*(int *)arg, 10) || ftruncate (*(int *)arg, MIB))
      break;
  return 0;
}

START_TEST (slurp_reads_a_file_that_changes_its_size)
{
  int fd = open_sparse ("f", MIB), i;
  char *zeros = calloc (1, (size_t)MIB);
  pthread_t thread;

  ck_assert_int_eq (pthread_create (&thread, 0, change_size, &fd), 0);
  for (i = 0; i < 100; ++i)
    {
      run (eio_slurp (scratch_path ("f"), 0, 0, i & 1 ? -4000 : 0, KEEP));
      ck_assert_int_eq (got.errorno, 0);
      ck_assert_int_ge (got.result, 0);
      ck_assert_int_le (got.result, MIB);
      expect_buffer (zeros, (size_t)got.result);
    }
  stop_changing = 1;
  pthread_join (thread, 0);
  free (zeros);
}
END_TEST

START_TEST (slurp_reads_parts_of_huge_files)
{
  int fd = open_sparse ("f", 5 * GIB);
  const char *path = scratch_path ("f");

  ck_assert_int_eq (pwrite (fd, "marker", 6, 5 * GIB - 1006), 6);
  gives (6, eio_slurp (path, 0, 6, 5 * GIB - 1006, KEEP));
  expect_buffer ("marker", 6);
  gives (6, eio_slurp (path, 0, 6, -1006, KEEP));
  expect_buffer ("marker", 6);
  gives (1006, eio_slurp (path, 0, 0, -1006, KEEP));
  expect_buffer ("marker\0", 8);
  gives (1000, eio_slurp (path, 0, 100000, -1000, KEEP));
  expect_buffer ("\0\0\0\0\0\0\0", 8);
}
END_TEST

/* Address space of a size that is backed by one page file again and again. */
static char *
map_repeatedly (size_t size)
{
  const size_t step = 16 * (size_t)MIB;
  int fd = open_sparse ("backing", (off_t)step);
  char *map = mmap (0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  size_t at;

  ck_assert_ptr_ne (map, MAP_FAILED);
  for (at = 0; at < size; at += step)
    ck_assert_ptr_eq (mmap (map + at, step, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_FIXED, fd, 0), map + at);
  close (fd);
  return map;
}

/* The kernel reads at most 2 GiB less a page at once. */
START_TEST (slurp_continues_beyond_2_gib)
{
  const off_t size = 2 * GIB + 32 * MIB;
  char *buf;

  if (NO_HUGE_BUFFERS)
    return;
  buf = map_repeatedly ((size_t)size);
  buf[size - 1] = 'x';
  gives (size, eio_slurp ("/dev/zero", buf, (size_t)size, 0, KEEP));
  ck_assert_int_eq (buf[size - 1], 0);
  munmap (buf, (size_t)size);
}
END_TEST

/*****************************************************************************
 * sendfile                                                                  *
 *****************************************************************************/

enum { SENT_SIZE = 300000, SENT_FROM = 1234, SENT_BYTES = 250000 };

static eio_ssize_t
send_async (int ofd, int ifd, off_t offs, size_t size)
{
  run (eio_sendfile (ofd, ifd, offs, size, KEEP));
  errno = got.errorno;
  return got.result;
}

static eio_ssize_t (*const senders[]) (int, int, off_t, size_t) = {
  send_async,
  eio_sendfile_sync,
};

START_TEST (sendfile_copies_to_files)
{
  static const int flags[] = { O_WRONLY, O_RDWR, O_WRONLY | O_APPEND };
  int in = open_pattern ("in", SENT_SIZE, O_RDONLY), i;
  const char *path = scratch_path ("out");
  reader r;

  lseek (in, 77, SEEK_SET);
  for (i = 0; i < LENGTH (flags); ++i)
    {
      int out;
      write_file (path, "1234567", 7);
      out = open_existing (path, flags[i]);
      lseek (out, 7, SEEK_SET);
      ck_assert_int_eq (senders[_i] (out, in, SENT_FROM, SENT_BYTES),
                        SENT_BYTES);
      ck_assert_int_eq (position (in), 77);
      ck_assert_int_eq (position (out), 7 + SENT_BYTES);
      r = contents (path);
      ck_assert_uint_eq (r.size, 7 + SENT_BYTES);
      ck_assert_int_eq (memcmp (r.data, "1234567", 7), 0);
      ck_assert_int_eq (memcmp (r.data + 7, pattern (SENT_SIZE) + SENT_FROM,
                                SENT_BYTES), 0);
      free (r.data);
      close (out);
    }
}
END_TEST

START_TEST (sendfile_appends_in_append_mode)
{
  int in = open_pattern ("in", 1000, O_RDONLY);
  const char *path = scratch_path ("out");
  int out;

  write_file (path, pattern (500), 500);
  out = open_existing (path, O_WRONLY | O_APPEND);
  ck_assert_int_eq (senders[_i] (out, in, 500, 1000), 500);
  expect_contents (path, pattern (1000), 1000);
}
END_TEST

START_TEST (sendfile_copies_to_pipes_and_sockets)
{
  int in = open_pattern ("in", SENT_SIZE, O_RDONLY), fds[2], i;
  reader r;

  for (i = 0; i < 2; ++i)
    {
      if (i)
        make_pipe (fds, 0);
      else
        make_sockets (fds, 0);
      reader_start (&r, fds[0]);
      ck_assert_int_eq (senders[_i] (fds[1], in, SENT_FROM, SENT_BYTES),
                        SENT_BYTES);
      close (fds[1]);
      reader_expect (&r, pattern (SENT_SIZE) + SENT_FROM, SENT_BYTES);
      close (fds[0]);
    }
}
END_TEST

/* sendfile(2) refuses most of /proc. */
START_TEST (sendfile_copies_what_the_system_refuses)
{
  pid_t pid = start_mapped_process ();
  char path[100];
  reader want, r;
  int in, fds[2];

  snprintf (path, sizeof path, "/proc/%d/maps", (int)pid);
  want = contents (path);
  in = open_existing (path, O_RDONLY);
  make_pipe (fds, 0);

  reader_start (&r, fds[0]);
  ck_assert_int_eq (senders[_i] (fds[1], in, 0, want.size + 9999),
                    (eio_ssize_t)want.size);
  ck_assert_int_eq (position (in), 0);
  ck_assert_int_eq (senders[_i] (fds[1], in, (off_t)want.size, 10), 0);
  close (fds[1]);
  reader_expect (&r, want.data, want.size);
  stop_process (pid);
  free (want.data);
}
END_TEST

START_TEST (sendfile_stops_at_the_end_of_the_file)
{
  int in = open_pattern ("in", 1000, O_RDONLY);
  const char *path = scratch_path ("out");
  int out = open (path, O_WRONLY | O_CREAT, 0666);

  ck_assert_int_eq (senders[_i] (out, in, 1000, 10), 0);
  ck_assert_int_eq (senders[_i] (out, in, 5 * GIB, 10), 0);
  ck_assert_int_eq (senders[_i] (out, in, 0, 0), 0);
  ck_assert_int_eq (file_size (out), 0);
  ck_assert_int_eq (senders[_i] (out, in, 990, 100), 10);
  expect_contents (path, pattern (1000) + 990, 10);
}
END_TEST

static void
send_fails (int i, int error, int ofd, int ifd, off_t offs, size_t size)
{
  errno = 0;
  ck_assert_int_eq (senders[i] (ofd, ifd, offs, size), -1);
  ck_assert_msg (errno == error, "%s, not %s", strerror (errno),
                 strerror (error));
}

START_TEST (sendfile_reports_the_callers_mistakes)
{
  int in = open_pattern ("in", 1000, O_RDONLY);
  int out = open (scratch_path ("out"), O_WRONLY | O_CREAT, 0666);
  int append = open (scratch_path ("out"), O_WRONLY | O_APPEND);
  int dir = open_existing (scratch (), O_RDONLY | O_DIRECTORY);
  int fds[2];

  make_pipe (fds, O_NONBLOCK);
  ck_assert_int_eq (write (fds[1], "x", 1), 1);
  send_fails (_i, EBADF, closed_fd (), in, 0, 10);
  send_fails (_i, EBADF, out, closed_fd (), 0, 10);
  send_fails (_i, EBADF, -1, -1, 0, 10);
  send_fails (_i, EBADF, in, in, 0, 10);
  send_fails (_i, EBADF, out, out, 0, 10);
  send_fails (_i, EINVAL, out, in, -1, 10);
  send_fails (_i, EINVAL, append, in, -5, 10);
  send_fails (_i, EINVAL, fds[1], in, INT64_MIN, 10);
  send_fails (_i, ESPIPE, out, fds[0], 0, 10);
  send_fails (_i, EISDIR, out, dir, 0, 10);
  ck_assert_int_eq (file_size (out), 0);
  ck_assert_int_eq (position (in), 0);
}
END_TEST

/* Sends until no more goes; returns how much went. */
static eio_ssize_t
send_until_full (int i, int ofd, int ifd, size_t size)
{
  eio_ssize_t total = 0, n;

  while ((n = senders[i] (ofd, ifd, total, size - (size_t)total)) > 0)
    total += n;
  ck_assert_int_eq (n, -1);
  ck_assert_int_eq (errno, EAGAIN);
  return total;
}

START_TEST (sendfile_to_nonblocking_gives_what_went_or_eagain)
{
  const size_t size = 8 << 20;
  int in = open_pattern ("in", size, O_RDONLY), fds[2], i;

  for (i = 0; i < 2; ++i)
    {
      eio_ssize_t total;
      char *data = malloc (size);
      if (i)
        make_pipe (fds, O_NONBLOCK);
      else
        make_sockets (fds, SOCK_NONBLOCK);
      total = send_until_full (_i, fds[1], in, size);
      ck_assert_int_gt (total, 0);
      ck_assert_int_lt (total, (eio_ssize_t)size);

      close (fds[1]);
      {
        reader r = { .fd = fds[0] };
        read_all (&r);
        ck_assert_int_eq (total, (eio_ssize_t)r.size);
        ck_assert_int_eq (memcmp (r.data, pattern (size), r.size), 0);
        free (r.data);
      }
      close (fds[0]);
      free (data);
    }
}
END_TEST

START_TEST (emulated_sendfile_to_nonblocking_gives_what_went_or_eagain)
{
  pid_t pid = start_mapped_process ();
  char path[100];
  int in, fds[2];
  eio_ssize_t total;
  reader want, r = { .size = 0 };

  snprintf (path, sizeof path, "/proc/%d/maps", (int)pid);
  want = contents (path);
  in = open_existing (path, O_RDONLY);
  make_pipe (fds, O_NONBLOCK);
  ck_assert_int_gt (fcntl (fds[1], F_SETPIPE_SZ, 4096), 0);

  total = send_until_full (_i, fds[1], in, want.size);
  ck_assert_int_gt (total, 0);
  ck_assert_int_lt (total, (eio_ssize_t)want.size);
  close (fds[1]);
  r.fd = fds[0];
  read_all (&r);
  ck_assert_int_eq (total, (eio_ssize_t)r.size);
  ck_assert_int_eq (memcmp (r.data, want.data, r.size), 0);
  stop_process (pid);
  free (r.data);
  free (want.data);
}
END_TEST

/* A limit on file sizes makes the second part of a transfer fail. */
START_TEST (partial_transfer_is_a_success)
{
  static const int flags[] = { O_WRONLY, O_WRONLY | O_APPEND };
  int in = open_pattern ("in", SENT_SIZE, O_RDONLY), out, i;
  struct rlimit limit = { 100000, RLIM_INFINITY };

  signal (SIGXFSZ, SIG_IGN);
  ck_assert_int_eq (setrlimit (RLIMIT_FSIZE, &limit), 0);
  for (i = 0; i < LENGTH (flags); ++i)
    {
      const char *path = scratch_path ("out");
      write_file (path, "", 0);
      out = open_existing (path, flags[i]);
      ck_assert_int_eq (senders[_i] (out, in, 0, SENT_SIZE), 100000);
      expect_contents (path, pattern (SENT_SIZE), 100000);
      send_fails (_i, EFBIG, out, in, 100000, 1000);
      close (out);
    }
  gives (100000, eio_write (open_existing (scratch_path ("out"), O_WRONLY),
                            (char *)pattern (SENT_SIZE), SENT_SIZE, 0, KEEP));
}
END_TEST

/* The kernel sends at most 2 GiB less a page at once. */
START_TEST (sendfile_continues_beyond_2_gib)
{
  const off_t size = 2 * GIB + 32 * MIB;
  int null = open_existing ("/dev/null", O_WRONLY);
  int zero = open_existing ("/dev/zero", O_RDONLY);

  if (sizeof (size_t) > 4)
    gives (size, eio_sendfile (null, zero, 100, (size_t)size, KEEP));
}
END_TEST

START_TEST (sendfile_reads_from_offsets_of_64_bits)
{
  int in = open_sparse ("in", 5 * GIB);
  int out = open (scratch_path ("out"), O_WRONLY | O_CREAT, 0666);

  ck_assert_int_eq (pwrite (in, "marker", 6, 5 * GIB - 6), 6);
  ck_assert_int_eq (senders[_i] (out, in, 5 * GIB - 6, 100), 6);
  expect_contents (scratch_path ("out"), "marker", 6);
}
END_TEST

static atomic_int destroyed;

static void
note_destroy (eio_req *req)
{
  (void)req;
  ++destroyed;
}

/* Not stopped, it would go on for days. */
START_TEST (cancelled_sendfile_stops)
{
  static eio_req req;

  req.type = EIO_SENDFILE;
  req.int1 = open_existing ("/dev/null", O_WRONLY);
  req.int2 = open_existing ("/dev/zero", O_RDONLY);
  req.size = SIZE_MAX / 4;
  req.finish = keep;
  req.destroy = note_destroy;
  eio_submit (&req);
  wait_until (eio_nready () == 0);
  eio_cancel (&req);
  host_drain ();
  ck_assert_int_eq (destroyed, 1);
  ck_assert_msg (!got.finish, "finish was called");
}
END_TEST

/*****************************************************************************
 * readahead, sync, fallocate                                                *
 *****************************************************************************/

#ifdef __linux__
START_TEST (readahead_gives_what_the_system_gives)
{
  int fds[2], sockets[2], i, j;
  int files[8];
  static const struct
  {
    off_t offs;
    size_t size;
  } ranges[] = { { 0, 100000 }, { 5000, 1 }, { 0, 0 }, { 5 * GIB, 4096 } };

  make_pipe (fds, 0);
  make_sockets (sockets, 0);
  files[0] = open_pattern ("f", SENT_SIZE, O_RDONLY);
  files[1] = open_existing (scratch_path ("f"), O_WRONLY);
  files[2] = open_existing (scratch (), O_RDONLY | O_DIRECTORY);
  files[3] = fds[0];
  files[4] = sockets[0];
  files[5] = open_existing ("/dev/null", O_RDWR);
  files[6] = closed_fd ();
  files[7] = -1;

  for (i = 0; i < LENGTH (files); ++i)
    for (j = 0; j < LENGTH (ranges); ++j)
      agrees (readahead (files[i], ranges[j].offs, ranges[j].size),
              eio_readahead (files[i], ranges[j].offs, ranges[j].size, KEEP));
  ck_assert_int_eq (position (files[0]), 0);
  fails (EBADF, eio_readahead (closed_fd (), 0, 1, KEEP));
}
END_TEST

START_TEST (sync_requests_give_what_the_system_gives)
{
  int fds[2], files[6], i;

  make_pipe (fds, 0);
  files[0] = open_pattern ("f", 5000, O_RDWR);
  files[1] = open_existing (scratch_path ("f"), O_RDONLY);
  files[2] = open_existing (scratch (), O_RDONLY | O_DIRECTORY);
  files[3] = fds[0];
  files[4] = closed_fd ();
  files[5] = -1;

  for (i = 0; i < LENGTH (files); ++i)
    {
      int fd = files[i];
      agrees (fsync (fd), eio_fsync (fd, KEEP));
      agrees (fdatasync (fd), eio_fdatasync (fd, KEEP));
    }
  gives (0, eio_fsync (files[0], KEEP));
  gives (0, eio_fdatasync (files[0], KEEP));
  fails (EBADF, eio_fsync (files[4], KEEP));
}
END_TEST

START_TEST (syncfs_and_sync_succeed)
{
  int fd = open_pattern ("f", 5000, O_RDONLY);
  gives (0, eio_syncfs (fd, KEEP));
  gives (0, eio_sync (KEEP));
  fails (EBADF, eio_syncfs (closed_fd (), KEEP));
  fails (EBADF, eio_syncfs (-1, KEEP));
}
END_TEST

START_TEST (sync_file_range_gives_what_the_system_gives)
{
  static const struct
  {
    off_t offs;
    size_t size;
    unsigned flags;
  } table[] = {
    { 0, 0, 0 },
    { 0, 0, EIO_SYNC_FILE_RANGE_WRITE },
    { 100, 3000, EIO_SYNC_FILE_RANGE_WAIT_BEFORE },
    { 100, 3000, EIO_SYNC_FILE_RANGE_WAIT_AFTER },
    { 0, 5000, 7 },
    { 0, 5000, 8 },
    { -1, 5000, EIO_SYNC_FILE_RANGE_WRITE },
    { 5 * GIB, 5000, EIO_SYNC_FILE_RANGE_WRITE },
  };
  int fds[2], files[3], i, j;

  make_pipe (fds, 0);
  files[0] = open_pattern ("f", 5000, O_RDWR);
  files[1] = fds[0];
  files[2] = closed_fd ();
  for (i = 0; i < LENGTH (files); ++i)
    for (j = 0; j < LENGTH (table); ++j)
      agrees (sync_file_range (files[i], table[j].offs,
                               (off_t)table[j].size, table[j].flags),
              eio_sync_file_range (files[i], table[j].offs, table[j].size,
                                   table[j].flags, KEEP));
  gives (0, eio_sync_file_range (files[0], 0, 5000, 7, KEEP));
}
END_TEST

/* Does it to one file, and has the library do it to its twin. */
START_TEST (fallocate_does_what_the_system_does)
{
  static const struct
  {
    int mode;
    off_t offs;
    size_t size;
  } table[] = {
    { 0, 0, 50000 },
    { 0, 90000, 50000 },
    { EIO_FALLOC_FL_KEEP_SIZE, 90000, 50000 },
    { EIO_FALLOC_FL_PUNCH_HOLE | EIO_FALLOC_FL_KEEP_SIZE, 5000, 30000 },
    { EIO_FALLOC_FL_PUNCH_HOLE, 5000, 30000 },
    { EIO_FALLOC_FL_ZERO_RANGE, 5000, 30000 },
    { EIO_FALLOC_FL_ZERO_RANGE, 90000, 50000 },
    { EIO_FALLOC_FL_ZERO_RANGE | EIO_FALLOC_FL_KEEP_SIZE, 90000, 50000 },
    { EIO_FALLOC_FL_COLLAPSE_RANGE, 4096, 8192 },
    { EIO_FALLOC_FL_COLLAPSE_RANGE, 1, 2 },
    { EIO_FALLOC_FL_INSERT_RANGE, 4096, 8192 },
    { EIO_FALLOC_FL_UNSHARE_RANGE, 0, 8192 },
    { 0x4000, 0, 10 },
    { 0, -1, 10 },
    { 0, 0, 0 },
  };
  int i;

  for (i = 0; i < LENGTH (table); ++i)
    {
      int fd = open_pattern ("a", 100000, O_RDWR);
      int twin = open_pattern ("b", 100000, O_RDWR);
      reader want;
      agrees (fallocate (fd, table[i].mode, table[i].offs,
                         (off_t)table[i].size),
              eio_fallocate (twin, table[i].mode, table[i].offs,
                             table[i].size, KEEP));
      want = contents (scratch_path ("a"));
      expect_contents (scratch_path ("b"), want.data, want.size);
      free (want.data);
      close (fd);
      close (twin);
    }
}
END_TEST

START_TEST (fallocate_reports_the_systems_errors)
{
  int fd = open_pattern ("f", 100, O_RDONLY), fds[2];
  make_pipe (fds, 0);
  fails (EBADF, eio_fallocate (fd, 0, 0, 10, KEEP));
  fails (EBADF, eio_fallocate (closed_fd (), 0, 0, 10, KEEP));
  agrees (fallocate (fds[1], 0, 0, 10),
          eio_fallocate (fds[1], 0, 0, 10, KEEP));
}
END_TEST
#endif

/*****************************************************************************
 * fcntl, ioctl, dup2, close                                                 *
 *****************************************************************************/

START_TEST (splice_moves_bytes_to_where_it_is_told)
{
  const char *path = scratch_path ("out");
  int out = open (path, O_WRONLY | O_CREAT, 0666), fds[2];

  make_pipe (fds, 0);
  ck_assert_int_eq (write (fds[1], "abcdef", 6), 6);
  gives (2, eio_splice (fds[0], -1, out, 1, 2, 0, KEEP));
  gives (4, eio_splice (fds[0], -1, out, -1, 9, 0, KEEP));
  ck_assert_int_eq (position (out), 4);
  expect_contents (path, "cdef", 4);
  close (out);
}
END_TEST

START_TEST (fcntl_passes_command_and_argument_on)
{
  int fd = open_pattern ("f", 100, O_RDWR | O_APPEND), copy;

  gives (fcntl (fd, F_GETFL), eio_fcntl (fd, F_GETFL, 0, KEEP));
  ck_assert (got.result & O_APPEND);
  gives (0, eio_fcntl (fd, F_SETFD, (void *)(intptr_t)FD_CLOEXEC, KEEP));
  ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);

  copy = (int)run (eio_fcntl (fd, F_DUPFD, (void *)(intptr_t)50, KEEP));
  ck_assert_int_ge (copy, 50);
  ck_assert_int_eq (file_size (copy), 100);

  fails (EINVAL, eio_fcntl (fd, 12345678, 0, KEEP));
  fails (EBADF, eio_fcntl (closed_fd (), F_GETFL, 0, KEEP));
}
END_TEST

/* Locks are a process's: another one has to hold it. */
static pid_t
start_locking_process (int fd, off_t from, off_t size)
{
  struct flock lock = { .l_type = F_WRLCK, .l_start = from, .l_len = size };
  int fds[2];
  char c = 0;
  pid_t pid;

  make_pipe (fds, 0);
  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      if (!fcntl (fd, F_SETLK, &lock) && write (fds[1], &c, 1) == 1)
        pause ();
      _exit (1);
    }
  close (fds[1]);
  ck_assert_int_eq (read (fds[0], &c, 1), 1);
  close (fds[0]);
  return pid;
}

START_TEST (fcntl_fills_a_struct)
{
  int fd = open_pattern ("f", 100, O_RDWR);
  pid_t pid = start_locking_process (fd, 10, 20);
  struct flock lock = { .l_type = F_RDLCK };

  gives (0, eio_fcntl (fd, F_GETLK, &lock, KEEP));
  ck_assert_int_eq (lock.l_type, F_WRLCK);
  ck_assert_int_eq (lock.l_pid, pid);
  ck_assert_int_eq (lock.l_start, 10);
  ck_assert_int_eq (lock.l_len, 20);

  lock = (struct flock) { .l_type = F_RDLCK };
  run (eio_fcntl (fd, F_SETLK, &lock, KEEP));
  ck_assert_int_eq (got.result, -1);
  ck_assert (got.errorno == EAGAIN || got.errorno == EACCES);
  stop_process (pid);
  gives (0, eio_fcntl (fd, F_SETLK, &lock, KEEP));
}
END_TEST

START_TEST (ioctl_passes_request_and_argument_on)
{
  int fds[2], count = -1;
  make_pipe (fds, 0);
  ck_assert_int_eq (write (fds[1], "12345", 5), 5);
  gives (0, eio_ioctl (fds[0], FIONREAD, &count, KEEP));
  ck_assert_int_eq (count, 5);

  fails (ENOTTY, eio_ioctl (fds[0], TIOCGWINSZ, &count, KEEP));
  fails (EBADF, eio_ioctl (closed_fd (), FIONREAD, &count, KEEP));
  fails (EFAULT, eio_ioctl (fds[0], FIONREAD, bad_address (), KEEP));
}
END_TEST

#ifdef TIOCGPTN
/* The number of this one has bit 31 set. */
START_TEST (ioctl_passes_large_request_numbers_on)
{
  int fd = posix_openpt (O_RDWR | O_NOCTTY);
  unsigned want = 0, number = 12345;

  if (fd < 0)
    return;
  ck_assert_int_eq (ioctl (fd, TIOCGPTN, &want), 0);
  gives (0, eio_ioctl (fd, TIOCGPTN, &number, KEEP));
  ck_assert_uint_eq (number, want);
}
END_TEST
#endif

static int
is_open (int fd)
{
  return fcntl (fd, F_GETFD) != -1;
}

START_TEST (dup2_duplicates)
{
  int fd = open_pattern ("f", 100, O_RDONLY);
  int fd2 = open_existing ("/dev/null", O_RDONLY);
  int fds = count_fds ();

  gives (fd2, eio_dup2 (fd, fd2, KEEP));
  ck_assert_int_eq (file_size (fd2), 100);
  lseek (fd, 33, SEEK_SET);
  ck_assert_int_eq (position (fd2), 33);
  gives (fd, eio_dup2 (fd, fd, KEEP));
  ck_assert_int_eq (count_fds (), fds);

  fails (EBADF, eio_dup2 (closed_fd (), fd2, KEEP));
  fails (EBADF, eio_dup2 (fd, -1, KEEP));
  ck_assert_int_eq (file_size (fd2), 100);
}
END_TEST

START_TEST (close_closes_every_kind)
{
  static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
  int fds[2], sockets[2], i;
  char c;

  for (i = 0; i < LENGTH (modes); ++i)
    {
      int fd = open_pattern ("f", 10, modes[i]);
      gives (0, eio_close (fd, KEEP));
      ck_assert (!is_open (fd));
      fails (EBADF, eio_close (fd, KEEP));
    }

  make_pipe (fds, 0);
  make_sockets (sockets, 0);
  gives (0, eio_close (fds[1], KEEP));
  gives (0, eio_close (sockets[1], KEEP));
  ck_assert_int_eq (read (fds[0], &c, 1), 0);
  ck_assert_int_eq (read (sockets[0], &c, 1), 0);
  gives (0, eio_close (fds[0], KEEP));
  gives (0, eio_close (sockets[0], KEEP));
}
END_TEST

START_TEST (close_reports_its_own_error)
{
  int fd = closed_fd ();
  fails (EBADF, eio_close (fd, KEEP));
  fails (EBADF, eio_close (-1, KEEP));
  fails (EBADF, eio_close (INT_MAX, KEEP));
}
END_TEST

/* Locks that a process holds on a file go when any descriptor of the file is
 * closed, so the library may not make and close copies of one. */
START_TEST (descriptors_are_not_duplicated_behind_the_scenes)
{
  int fd = open_pattern ("f", 100, O_RDWR), status;
  struct flock lock = { .l_type = F_WRLCK };
  int out = open_existing ("/dev/null", O_WRONLY);
  pid_t pid;

  ck_assert_int_eq (fcntl (fd, F_SETLK, &lock), 0);
  gives (100, eio_read (fd, 0, 1000, 0, KEEP));
  gives (100, eio_sendfile (out, fd, 0, 1000, KEEP));
  gives (0, eio_fsync (fd, KEEP));
  gives (0, eio_seek (fd, 0, EIO_SEEK_END, KEEP));
  gives (0, eio_fstat (fd, KEEP));
  gives (0, eio_futime (fd, 1, 2, KEEP));

  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    _exit (fcntl (fd, F_SETLK, &lock) ? 7 : 0);
  waitpid (pid, &status, 0);
  ck_assert_int_eq (WEXITSTATUS (status), 7);
}
END_TEST

/*****************************************************************************
 * busy, nop, custom, unknown types                                          *
 *****************************************************************************/

START_TEST (busy_sleeps_at_least_its_time)
{
  static const double delays[] = { 0.05, 0.1234, 0.001, 1e-6 };
  int i;

  for (i = 0; i < LENGTH (delays); ++i)
    {
      double start = now ();
      gives (0, eio_busy (delays[i], KEEP));
      ck_assert_double_ge (now () - start, delays[i]);
    }
}
END_TEST

START_TEST (busy_without_a_delay_returns)
{
  gives (0, eio_busy (0, KEEP));
  gives (0, eio_busy (-1, KEEP));
  gives (0, eio_busy (-INFINITY, KEEP));
  gives (0, eio_busy (NAN, KEEP));
  gives (0, eio_nop (KEEP));
}
END_TEST

/* What the two threads of a custom request saw. */
static pthread_t custom_thread;
static int custom_errno;
static eio_ssize_t custom_result;

static void
custom (eio_req *req)
{
  custom_thread = pthread_self ();
  errno = custom_errno;
  req->result = custom_result;
}

START_TEST (custom_runs_in_a_worker_and_sets_the_result)
{
  custom_result = 4711;
  gives (4711, eio_custom (custom, KEEP));
  ck_assert (!pthread_equal (custom_thread, pthread_self ()));

  custom_result = 0;
  custom_errno = EPERM;
  gives (0, eio_custom (custom, KEEP));
  custom_result = -1;
  fails (EPERM, eio_custom (custom, KEEP));
  custom_errno = 4712;
  fails (4712, eio_custom (custom, KEEP));
}
END_TEST

static atomic_int tries;

static void
be_interrupted (eio_req *req)
{
  ++tries;
  req->result = -1;
  errno = EINTR;
}

/* Whoever writes it knows whether to try again. */
START_TEST (custom_that_was_interrupted_is_not_run_again)
{
  fails (EINTR, eio_custom (be_interrupted, KEEP));
  ck_assert_int_eq (tries, 1);
}
END_TEST

START_TEST (custom_without_a_function_fails)
{
  fails (EINVAL, eio_custom (0, KEEP));
  fails (EINVAL, submit ((eio_req) { .type = EIO_CUSTOM }));
}
END_TEST

START_TEST (unknown_types_fail_with_enosys)
{
  static const signed char types[] = { EIO_REQ_TYPE_NUM, 127, -1, -128 };
  int i;

  for (i = 0; i < LENGTH (types); ++i)
    fails (ENOSYS, submit ((eio_req) { .type = types[i] }));
}
END_TEST

/*****************************************************************************
 * Interruption: workers leave one of the synchronous signals unblocked      *
 *****************************************************************************/

static atomic_int interruptions;

static void
interrupted (int sig)
{
  (void)sig;
  ++interruptions;
}

/* From now on there is one worker, in custom_thread. */
static void
start_interruptible_worker (void)
{
  struct sigaction action = { .sa_handler = interrupted };

  sigemptyset (&action.sa_mask);
  ck_assert_int_eq (sigaction (SIGSYS, &action, 0), 0);
  eio_set_max_parallel (1);
  gives (0, eio_custom (custom, KEEP));
}

/* Interrupts what the worker executes, some times. */
static void
interrupt (int times)
{
  wait_until (eio_nready () == 0);
  while (times--)
    {
      int before = interruptions;
      ck_assert_int_eq (pthread_kill (custom_thread, SIGSYS), 0);
      wait_until (interruptions > before);
      nap (1);
    }
}

START_TEST (interrupted_reads_are_tried_again)
{
  int fds[2];
  eio_req *req;

  start_interruptible_worker ();
  make_pipe (fds, 0);
  req = eio_read (fds[0], 0, 100, -1, KEEP);
  interrupt (30);
  ck_assert_int_eq (host_wait (0), 0);
  ck_assert_int_eq (write (fds[1], "data", 4), 4);
  gives (4, req);
  expect_buffer ("data", 4);
}
END_TEST

START_TEST (interrupted_opens_are_tried_again)
{
  const char *path = scratch_path ("fifo");
  eio_req *req;
  int fd;

  start_interruptible_worker ();
  ck_assert_int_eq (mkfifo (path, 0600), 0);
  req = eio_open (path, O_RDONLY, 0, KEEP);
  interrupt (30);
  ck_assert_int_eq (host_wait (0), 0);
  fd = open_existing (path, O_WRONLY);
  ck_assert_int_ge (run (req), 0);
  ck_assert_int_eq (write (fd, "x", 1), 1);
}
END_TEST

START_TEST (interrupted_waits_for_locks_are_tried_again)
{
  int fd = open_pattern ("f", 100, O_RDWR);
  struct flock lock = { .l_type = F_WRLCK };
  pid_t pid = start_locking_process (fd, 0, 0);
  eio_req *req;

  start_interruptible_worker ();
  req = eio_fcntl (fd, F_SETLKW, &lock, KEEP);
  interrupt (30);
  ck_assert_int_eq (host_wait (0), 0);
  stop_process (pid);
  gives (0, req);
}
END_TEST

START_TEST (interrupted_busy_sleeps_its_time)
{
  double start = now ();
  eio_req *req;

  start_interruptible_worker ();
  req = eio_busy (0.2, KEEP);
  interrupt (20);
  gives (0, req);
  ck_assert_double_ge (now () - start, 0.2);
}
END_TEST

/* Nobody reads: the request gets stuck when the pipe is full. */
START_TEST (interrupted_write_gives_what_went)
{
  const size_t size = 1 << 20;
  int fds[2];
  eio_req *req;
  reader r;

  start_interruptible_worker ();
  make_pipe (fds, 0);
  req = eio_write (fds[1], (char *)pattern (size), size, -1, KEEP);
  while (!host_wait (1))
    interrupt (1);
  ck_assert_int_gt (run (req), 0);
  ck_assert_int_lt (got.result, (eio_ssize_t)size);
  ck_assert_int_eq (got.errorno, 0);

  reader_start (&r, fds[0]);
  close (fds[1]);
  reader_expect (&r, pattern (size), (size_t)got.result);
}
END_TEST

/* Whether it returns then or goes on, it is no error, and nothing is lost or
 * sent twice. */
START_TEST (interrupted_sendfile_gives_what_went)
{
  const size_t size = 1 << 20;
  int in = open_pattern ("in", size, O_RDONLY), fds[2];
  eio_req *req;
  reader r;

  start_interruptible_worker ();
  make_pipe (fds, 0);
  req = eio_sendfile (fds[1], in, 0, size, KEEP);
  interrupt (30);
  reader_start (&r, fds[0]);
  ck_assert_int_gt (run (req), 0);
  ck_assert_int_eq (got.errorno, 0);
  close (fds[1]);
  reader_expect (&r, pattern (size), (size_t)got.result);
}
END_TEST

/*****************************************************************************
 * Suite                                                                     *
 *****************************************************************************/

static void
add_transfer_tests (Suite *suite)
{
  TCase *tc = add_case (suite, "read, write", 120, host_start, 0);
  tcase_add_test (tc, read_at_an_offset_leaves_the_position);
  tcase_add_test (tc, read_at_a_negative_offset_reads_at_the_position);
  tcase_add_test (tc, write_at_an_offset_leaves_the_position);
  tcase_add_test (tc, write_at_a_negative_offset_writes_at_the_position);
  tcase_add_test (tc, pipes_are_read_and_written_at_the_position_only);
  tcase_add_test (tc, offsets_have_64_bits);
  tcase_add_test (tc, short_read_zeroes_the_rest_of_the_buffer);
  tcase_add_test (tc, read_leaves_the_rest_of_the_callers_buffer);
  tcase_add_test (tc, zero_bytes_are_read_and_written);
  tcase_add_test (tc, read_and_write_report_the_systems_errors);
  tcase_add_test (tc, write_to_a_broken_pipe_fails_without_a_signal);
  tcase_add_test (tc, success_shows_no_errno_of_an_earlier_request);

  tc = add_case (suite, "seek, ftruncate", 120, host_start, 0);
  tcase_add_test (tc, seek_gives_the_new_position_in_offs);
  tcase_add_test (tc, seek_reports_the_systems_errors);
#ifdef SEEK_DATA
  tcase_add_test (tc, seek_passes_other_whences_on);
#endif
  tcase_add_test (tc, ftruncate_shrinks_and_grows);
  tcase_add_test (tc, ftruncate_reports_the_systems_errors);
}

static void
add_slurp_tests (Suite *suite)
{
  TCase *tc = add_case (suite, "slurp", 120, host_start, 0);
  tcase_add_loop_test (tc, slurp_reads_the_range, 0, LENGTH (slurps));
#ifdef __GLIBC__
  tcase_add_test (tc, slurp_zeroes_the_rest_of_a_buffer_of_that_size);
#endif
  tcase_add_loop_test (tc, slurp_fills_the_callers_buffer, 0,
                       LENGTH (slurps));
  tcase_add_test (tc, slurp_reads_empty_and_large_files);
  tcase_add_test (tc, slurp_reports_errors_and_leaks_no_descriptor);
  tcase_add_test (tc, slurp_far_behind_any_end_gives_nothing);
  tcase_add_test (tc, slurp_reads_proc_files_to_their_end);
  tcase_add_loop_test (tc, slurp_reads_fifos, 0, LENGTH (fifo_slurps));
  tcase_add_test (tc, slurp_skips_nothing_of_fifos);
  tcase_add_test (tc, slurp_reads_files_that_are_shorter_than_they_claim);
  tcase_add_test (tc, slurp_reads_a_growing_file_to_its_end);
  tcase_add_test (tc, slurp_reads_a_file_that_changes_its_size);
  tcase_add_test (tc, slurp_reads_parts_of_huge_files);
  tcase_add_test (tc, slurp_continues_beyond_2_gib);
}

static void
add_sendfile_tests (Suite *suite)
{
  const int n = LENGTH (senders);
  TCase *tc = add_case (suite, "sendfile", 120, host_start, 0);
  tcase_add_loop_test (tc, sendfile_copies_to_files, 0, n);
  tcase_add_loop_test (tc, sendfile_appends_in_append_mode, 0, n);
  tcase_add_loop_test (tc, sendfile_copies_to_pipes_and_sockets, 0, n);
  tcase_add_loop_test (tc, sendfile_copies_what_the_system_refuses, 0, n);
  tcase_add_loop_test (tc, sendfile_stops_at_the_end_of_the_file, 0, n);
  tcase_add_loop_test (tc, sendfile_reports_the_callers_mistakes, 0, n);
  tcase_add_loop_test (tc, sendfile_to_nonblocking_gives_what_went_or_eagain,
                       0, n);
  tcase_add_loop_test (
    tc, emulated_sendfile_to_nonblocking_gives_what_went_or_eagain, 0, n);
  tcase_add_loop_test (tc, partial_transfer_is_a_success, 0, n);
  tcase_add_test (tc, sendfile_continues_beyond_2_gib);
  tcase_add_loop_test (tc, sendfile_reads_from_offsets_of_64_bits, 0, n);
  tcase_add_test (tc, cancelled_sendfile_stops);
}

static void
add_descriptor_tests (Suite *suite)
{
  TCase *tc = add_case (suite, "descriptors", 120, host_start, 0);
#ifdef __linux__
  tcase_add_test (tc, readahead_gives_what_the_system_gives);
  tcase_add_test (tc, sync_requests_give_what_the_system_gives);
  tcase_add_test (tc, syncfs_and_sync_succeed);
  tcase_add_test (tc, sync_file_range_gives_what_the_system_gives);
  tcase_add_test (tc, fallocate_does_what_the_system_does);
  tcase_add_test (tc, fallocate_reports_the_systems_errors);
  tcase_add_test (tc, splice_moves_bytes_to_where_it_is_told);
#endif
  tcase_add_test (tc, fcntl_passes_command_and_argument_on);
  tcase_add_test (tc, fcntl_fills_a_struct);
  tcase_add_test (tc, ioctl_passes_request_and_argument_on);
#ifdef TIOCGPTN
  tcase_add_test (tc, ioctl_passes_large_request_numbers_on);
#endif
  tcase_add_test (tc, dup2_duplicates);
  tcase_add_test (tc, close_closes_every_kind);
  tcase_add_test (tc, close_reports_its_own_error);
  tcase_add_test (tc, descriptors_are_not_duplicated_behind_the_scenes);
}

/* Valgrind (3.19) fails an assertion of its own when such a signal, sent by
 * somebody, interrupts a system call. */
static int
under_valgrind (void)
{
  const char *preload = getenv ("LD_PRELOAD");
  return preload && strstr (preload, "vgpreload");
}

static void
add_other_tests (Suite *suite)
{
  TCase *tc = add_case (suite, "busy, custom", 120, host_start, 0);
  tcase_add_test (tc, busy_sleeps_at_least_its_time);
  tcase_add_test (tc, busy_without_a_delay_returns);
  tcase_add_test (tc, custom_runs_in_a_worker_and_sets_the_result);
  tcase_add_test (tc, custom_that_was_interrupted_is_not_run_again);
  tcase_add_test (tc, custom_without_a_function_fails);
  tcase_add_test (tc, unknown_types_fail_with_enosys);

  if (under_valgrind ())
    return;
  tc = add_case (suite, "interruption", 120, host_start, 0);
  tcase_add_test (tc, interrupted_reads_are_tried_again);
  tcase_add_test (tc, interrupted_opens_are_tried_again);
  tcase_add_test (tc, interrupted_waits_for_locks_are_tried_again);
  tcase_add_test (tc, interrupted_busy_sleeps_its_time);
  tcase_add_test (tc, interrupted_write_gives_what_went);
  tcase_add_test (tc, interrupted_sendfile_gives_what_went);
}

int
main (void)
{
  Suite *suite = suite_create ("io");
  add_transfer_tests (suite);
  add_slurp_tests (suite);
  add_sendfile_tests (suite);
  add_descriptor_tests (suite);
  add_other_tests (suite);
  return run_suite (suite);
}
