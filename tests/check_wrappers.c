/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Each wrapper end to end: what it delivers when it works and when it fails.
 * All run on a single worker, so that an errno that stays behind after a
 * failure shows in the success that follows. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

/* What the last request delivered. */
static struct
{
  outcome o; /* first, for note */
  eio_req *req;
  int int1;
  unsigned char flags;
  void *buf, *dents; /* taken over from the request when it owned them */
  struct stat st;
  struct statvfs vfs;
} got;

/* Takes the buffers over, as embedders do. */
static int
keep (eio_req *req)
{
  note (req);
  got.req = req;
  got.int1 = req->int1;
  got.flags = req->flags;
  if (req->flags & EIO_FLAG_PTR2_FREE)
    got.buf = EIO_BUF (req);
  if (req->type == EIO_READDIR && req->flags & EIO_FLAG_PTR1_FREE)
    got.dents = req->ptr1;
  if (req->result >= 0)
    switch (req->type)
      {
      case EIO_STAT:
      case EIO_LSTAT:
      case EIO_FSTAT:
        got.st = *EIO_STAT_BUF (req);
        got.buf = 0;
        return 0;
      case EIO_STATVFS:
      case EIO_FSTATVFS:
        got.vfs = *EIO_STATVFS_BUF (req);
        got.buf = 0;
        return 0;
      }
  if (got.buf)
    req->flags &= ~EIO_FLAG_PTR2_FREE;
  if (got.dents)
    req->flags &= ~EIO_FLAG_PTR1_FREE;
  return 0;
}

#define TAIL EIO_PRI_DEFAULT, keep, &got

/* Waits for a wrapper's request. */
static void
finish (eio_req *req)
{
  ck_assert_ptr_nonnull (req);
  free (got.buf);
  free (got.dents);
  memset (&got, 0, sizeof got);
  host_drain ();
  ck_assert_ptr_eq (got.req, req);
}

#define OK(res, ...) \
  do { \
    finish (__VA_ARGS__); \
    assert_ok (got.o, (res)); \
  } while (0)
#define FAILS(err, ...) \
  do { \
    finish (__VA_ARGS__); \
    assert_fails (got.o, (err)); \
  } while (0)

/* Fails, and does not say why: it depends on the system. */
#define FAILS_SOMEHOW(...) \
  do { \
    finish (__VA_ARGS__); \
    ck_assert_int_eq (got.o.calls, 1); \
    ck_assert_int_eq (got.o.result, -1); \
    ck_assert_int_ne (got.o.errorno, 0); \
  } while (0)

static char file[5000], missing[5000], dir[5000];
static int fd;

/* A file with seven bytes, open; a directory; a name that nothing has. */
static void
start (void)
{
  host_start ();
  eio_set_max_parallel (1);
  strcpy (file, scratch_path ("file"));
  strcpy (missing, scratch_path ("missing"));
  strcpy (dir, scratch_path ("dir"));
  write_file (file, "content", 7);
  ck_assert_int_eq (mkdir (dir, 0777), 0);
  fd = open (file, O_RDWR);
  ck_assert_int_ge (fd, 0);
}

static void
finish_test (void)
{
  if (fd >= 0)
    close (fd);
  free (got.buf);
  free (got.dents);
  memset (&got, 0, sizeof got);
}

/* The buffer is the library's, of that many bytes, and has the flag. */
static void
check_buf (const void *bytes, size_t size)
{
  ck_assert_ptr_nonnull (got.buf);
  ck_assert_int_eq (got.flags & EIO_FLAG_PTR2_FREE, EIO_FLAG_PTR2_FREE);
  ck_assert_int_eq (got.o.result, (eio_ssize_t)size);
  ck_assert_int_eq (memcmp (got.buf, bytes, size), 0);
}

START_TEST (nop_busy_and_sync_succeed)
{
  double before;
  start ();
  FAILS (EBADF, eio_close (-1, TAIL));
  OK (0, eio_nop (TAIL));
  FAILS (EBADF, eio_close (-1, TAIL));
  before = now ();
  OK (0, eio_busy (0.05, TAIL));
  ck_assert (now () - before >= 0.05);
  FAILS (EBADF, eio_close (-1, TAIL));
  OK (0, eio_sync (TAIL));
  finish_test ();
}
END_TEST

START_TEST (a_null_callback_is_fine)
{
  eio_req *req;
  start ();
  req = eio_nop (0, 0, 0);
  ck_assert_ptr_nonnull (req);
  ck_assert_ptr_nonnull (eio_unlink (missing, 0, 0, 0));
  ck_assert_ptr_nonnull (eio_readdir (dir, EIO_READDIR_DENTS, 0, 0, 0));
  ck_assert_ptr_nonnull (eio_slurp (file, 0, 0, 0, 0, 0, 0));
  host_drain ();
  ck_assert_uint_eq (eio_nreqs (), 0);
  finish_test ();
}
END_TEST

/* Leaves result alone, but errno behind. */
static void
leave_errno (eio_req *req)
{
  (void)req;
  errno = EDOM;
}

static void
answer_1000 (eio_req *req)
{
  req->result = 1000;
  errno = EDOM;
}

static void
fail_with_erange (eio_req *req)
{
  req->result = -1;
  errno = ERANGE;
}

static pthread_t executed_on;

static void
note_thread (eio_req *req)
{
  executed_on = pthread_self ();
  req->result = (eio_ssize_t)(req->data == &got);
}

START_TEST (custom_delivers_what_the_function_set)
{
  start ();
  FAILS (EINVAL, eio_custom (0, TAIL));
  OK (0, eio_custom (leave_errno, TAIL));
  FAILS (ERANGE, eio_custom (fail_with_erange, TAIL));
  OK (1000, eio_custom (answer_1000, TAIL));
  OK (0, eio_nop (TAIL));
  OK (1, eio_custom (note_thread, TAIL));
  ck_assert (!pthread_equal (executed_on, pthread_self ()));
  finish_test ();
}
END_TEST

START_TEST (wd_open_delivers_a_wd_and_wd_close_closes_it)
{
  struct stat st, want;
  eio_wd wd;
  int fds;
  start ();
  fds = count_fds ();
  FAILS (ENOENT, eio_wd_open (missing, TAIL));
  ck_assert_ptr_eq (got.o.wd, EIO_INVALID_WD);
  FAILS (ENOTDIR, eio_wd_open (file, TAIL));
  ck_assert_ptr_eq (got.o.wd, EIO_INVALID_WD);
  FAILS (EINVAL, eio_wd_open (0, TAIL));
  ck_assert_ptr_eq (got.o.wd, EIO_INVALID_WD);
  OK (0, eio_wd_open (dir, TAIL));
  wd = got.o.wd;
  ck_assert_ptr_ne (wd, EIO_INVALID_WD);
  ck_assert_ptr_ne (wd, EIO_CWD);
  ck_assert_int_eq (count_fds (), fds + 1);
  ck_assert_int_gt (*(int *)wd, 0);
  ck_assert_int_eq (fstat (*(int *)wd, &st), 0);
  want = status_of (dir);
  ck_assert_uint_eq (st.st_ino, want.st_ino);
  FAILS (EBADF, eio_close (-1, TAIL));
  OK (0, eio_wd_close (wd, TAIL));
  ck_assert_int_eq (count_fds (), fds);
  finish_test ();
}
END_TEST

START_TEST (open_delivers_a_descriptor_and_close_closes_it)
{
  int made;
  mode_t mask = umask (022);
  start ();
  FAILS (ENOENT, eio_open (missing, O_RDONLY, 0, TAIL));
  finish (eio_open (missing, O_RDWR | O_CREAT | O_EXCL, 0752, TAIL));
  made = (int)got.o.result;
  ck_assert_int_ge (made, 0);
  assert_ok (got.o, made);
  ck_assert_int_eq (fcntl (made, F_GETFL) & O_ACCMODE, O_RDWR);
  ck_assert_int_eq (status_of (missing).st_mode, S_IFREG | 0750);
  FAILS (EEXIST, eio_open (missing, O_RDWR | O_CREAT | O_EXCL, 0752, TAIL));
  OK (0, eio_close (made, TAIL));
  ck_assert_int_eq (fcntl (made, F_GETFD), -1);
  FAILS (EBADF, eio_close (made, TAIL));
  umask (mask);
  finish_test ();
}
END_TEST

START_TEST (dup2_delivers_the_new_descriptor)
{
  struct stat st;
  int fd2;
  start ();
  fd2 = open ("/dev/null", O_RDONLY);
  FAILS (EBADF, eio_dup2 (-1, fd2, TAIL));
  OK (fd2, eio_dup2 (fd, fd2, TAIL));
  ck_assert_int_eq (fstat (fd2, &st), 0);
  ck_assert_uint_eq (st.st_ino, status_of (file).st_ino);
  close (fd2);
  finish_test ();
}
END_TEST

START_TEST (seek_delivers_0_and_the_position)
{
  int ends[2];
  start ();
  ck_assert_int_eq (pipe (ends), 0);
  FAILS (ESPIPE, eio_seek (ends[0], 0, EIO_SEEK_CUR, TAIL));
  OK (0, eio_seek (fd, 5, EIO_SEEK_SET, TAIL));
  ck_assert_int_eq (got.o.offs, 5);
  OK (0, eio_seek (fd, -2, EIO_SEEK_CUR, TAIL));
  ck_assert_int_eq (got.o.offs, 3);
  OK (0, eio_seek (fd, -1, EIO_SEEK_END, TAIL));
  ck_assert_int_eq (got.o.offs, 6);
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 6);
  OK (0, eio_seek (fd, 0x123456789, EIO_SEEK_SET, TAIL));
  ck_assert_int_eq (got.o.offs, 0x123456789);
  FAILS (EINVAL, eio_seek (fd, -1, EIO_SEEK_SET, TAIL));
  FAILS (EBADF, eio_seek (-1, 0, EIO_SEEK_SET, TAIL));
#ifdef SEEK_HOLE
  OK (0, eio_seek (fd, 2, SEEK_HOLE, TAIL));
  ck_assert_int_eq (got.o.offs, 7);
#endif
  close (ends[0]);
  close (ends[1]);
  finish_test ();
}
END_TEST

START_TEST (read_reads_at_an_offset_or_at_the_position)
{
  char buf[16] = "................";
  start ();
  FAILS (EBADF, eio_read (-1, buf, 3, 0, TAIL));
  OK (3, eio_read (fd, buf, 3, 2, TAIL));
  ck_assert_int_eq (memcmp (buf, "nte.", 4), 0);
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 0);
  OK (2, eio_read (fd, buf, 2, -1, TAIL));
  ck_assert_int_eq (memcmp (buf, "coe.", 4), 0);
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 2);
  OK (5, eio_read (fd, buf, 16, -1, TAIL));
  OK (0, eio_read (fd, buf, 16, -1, TAIL));
  FAILS (EISDIR, eio_slurp (dir, buf, 16, 0, TAIL));
  OK (0, eio_read (fd, buf, 0, 0, TAIL));
  finish_test ();
}
END_TEST

START_TEST (read_allocates_a_missing_buffer_and_zeroes_its_rest)
{
  start ();
  FAILS (EBADF, eio_read (-1, 0, 3, 0, TAIL));
  OK (7, eio_read (fd, 0, 5000, 0, TAIL));
  check_buf ("content", 7);
  {
    const char *rest = (char *)got.buf + 7;
    int i;
    for (i = 0; i < 5000 - 7; ++i)
      ck_assert_int_eq (rest[i], 0);
  }
  OK (0, eio_read (fd, 0, 5000, 7, TAIL));
  check_buf ("\0\0\0", 0);
  ck_assert_int_eq (((char *)got.buf)[4999], 0);
  finish_test ();
}
END_TEST

START_TEST (write_writes_at_an_offset_or_at_the_position)
{
  char bytes[] = "WRITE", buf[16] = "";
  start ();
  FAILS (EBADF, eio_write (-1, bytes, 5, 0, TAIL));
  OK (5, eio_write (fd, bytes, 5, 4, TAIL));
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 0);
  OK (2, eio_write (fd, bytes, 2, -1, TAIL));
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 2);
  ck_assert_int_eq (pread (fd, buf, 16, 0), 9);
  ck_assert_str_eq (buf, "WRntWRITE");
  OK (0, eio_write (fd, bytes, 0, 0, TAIL));
  finish_test ();
}
END_TEST

START_TEST (fcntl_passes_command_and_argument)
{
  struct flock lock
      = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 2 };
  start ();
  FAILS (EBADF, eio_fcntl (-1, F_GETFD, 0, TAIL));
  OK (0, eio_fcntl (fd, F_SETFD, (void *)(long)FD_CLOEXEC, TAIL));
  ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);
  OK (FD_CLOEXEC, eio_fcntl (fd, F_GETFD, 0, TAIL));
  OK (0, eio_fcntl (fd, F_SETLK, &lock, TAIL));
  lock.l_type = F_RDLCK;
  OK (0, eio_fcntl (fd, F_GETLK, &lock, TAIL));
  ck_assert_int_eq (lock.l_type, F_UNLCK); /* no one else's */
  FAILS (EINVAL, eio_fcntl (fd, F_DUPFD, (void *)-1L, TAIL));
  finish_test ();
}
END_TEST

START_TEST (ioctl_passes_request_and_argument)
{
  struct termios tio;
  int ends[2], n = 0;
  start ();
  ck_assert_int_eq (pipe (ends), 0);
  ck_assert_int_eq (write (ends[1], "12345", 5), 5);
  FAILS (ENOTTY, eio_ioctl (fd, TCGETS, &tio, TAIL));
  OK (0, eio_ioctl (ends[0], FIONREAD, &n, TAIL));
  ck_assert_int_eq (n, 5);
  FAILS (EBADF, eio_ioctl (-1, FIONREAD, &n, TAIL));
  close (ends[0]);
  close (ends[1]);
  finish_test ();
}
END_TEST

START_TEST (readahead_succeeds_on_files)
{
  start ();
  FAILS (EBADF, eio_readahead (-1, 0, 7, TAIL));
  OK (0, eio_readahead (fd, 2, 3, TAIL));
  OK (0, eio_readahead (fd, 100000, 100000, TAIL));
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 0);
  finish_test ();
}
END_TEST

START_TEST (sendfile_delivers_the_bytes_written)
{
  char buf[16] = "";
  int out;
  start ();
  out = open (missing, O_RDWR | O_CREAT, 0666);
  FAILS (EBADF, eio_sendfile (-1, fd, 0, 7, TAIL));
  FAILS (EBADF, eio_sendfile (out, -1, 0, 7, TAIL));
  OK (4, eio_sendfile (out, fd, 2, 4, TAIL));
  OK (6, eio_sendfile (out, fd, 1, 100, TAIL));
  OK (0, eio_sendfile (out, fd, 7, 100, TAIL));
  OK (0, eio_sendfile (out, fd, 0, 0, TAIL));
  ck_assert_int_eq (pread (out, buf, 16, 0), 10);
  ck_assert_str_eq (buf, "ntenontent");
  close (out);
  finish_test ();
}
END_TEST

START_TEST (sendfile_sync_copies_and_fails_as_the_request_does)
{
  int ends[2];
  char buf[16] = "";
  start ();
  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ck_assert_int_eq (eio_sendfile_sync (ends[0], fd, 1, 100), 6);
  ck_assert_int_eq (read (ends[1], buf, 16), 6);
  ck_assert_str_eq (buf, "ontent");
  errno = 0;
  ck_assert_int_eq (eio_sendfile_sync (-1, fd, 1, 100), -1);
  ck_assert_int_eq (errno, EBADF);
  close (ends[0]);
  close (ends[1]);
  finish_test ();
}
END_TEST

static void
check_stat (const struct stat *want)
{
  ck_assert_uint_eq (got.st.st_ino, want->st_ino);
  ck_assert_uint_eq (got.st.st_dev, want->st_dev);
  ck_assert_uint_eq (got.st.st_mode, want->st_mode);
  ck_assert_int_eq (got.st.st_size, want->st_size);
  ck_assert_int_eq (got.st.st_mtim.tv_nsec, want->st_mtim.tv_nsec);
}

START_TEST (stat_follows_links_and_lstat_does_not)
{
  struct stat of_file, of_link;
  char *name;
  start ();
  name = strdup (scratch_path ("link"));
  ck_assert_int_eq (symlink (file, name), 0);
  of_file = status_of (file);
  of_link = status_of (name);
  FAILS (ENOENT, eio_stat (missing, TAIL));
  OK (0, eio_stat (name, TAIL));
  check_stat (&of_file);
  FAILS (ENOENT, eio_lstat (missing, TAIL));
  OK (0, eio_lstat (name, TAIL));
  check_stat (&of_link);
  FAILS (EBADF, eio_fstat (-1, TAIL));
  OK (0, eio_fstat (fd, TAIL));
  check_stat (&of_file);
  free (name);
  finish_test ();
}
END_TEST

START_TEST (statvfs_describes_the_file_system)
{
  struct statvfs want;
  start ();
  ck_assert_int_eq (statvfs (file, &want), 0);
  FAILS (ENOENT, eio_statvfs (missing, TAIL));
  OK (0, eio_statvfs (file, TAIL));
  ck_assert_uint_eq (got.vfs.f_bsize, want.f_bsize);
  ck_assert_uint_eq (got.vfs.f_blocks, want.f_blocks);
  ck_assert_uint_eq (got.vfs.f_fsid, want.f_fsid);
  FAILS (EBADF, eio_fstatvfs (-1, TAIL));
  OK (0, eio_fstatvfs (fd, TAIL));
  ck_assert_uint_eq (got.vfs.f_bsize, want.f_bsize);
  ck_assert_uint_eq (got.vfs.f_blocks, want.f_blocks);
  ck_assert_uint_eq (got.vfs.f_namemax, want.f_namemax);
  finish_test ();
}
END_TEST

START_TEST (truncate_sets_the_length)
{
  start ();
  FAILS (ENOENT, eio_truncate (missing, 3, TAIL));
  OK (0, eio_truncate (file, 3, TAIL));
  ck_assert_int_eq (status_of (file).st_size, 3);
  FAILS (EBADF, eio_ftruncate (-1, 3, TAIL));
  OK (0, eio_ftruncate (fd, 5000, TAIL));
  ck_assert_int_eq (status_of (file).st_size, 5000);
  FAILS (EINVAL, eio_truncate (file, -1, TAIL));
  FAILS (EINVAL, eio_ftruncate (fd, -1, TAIL));
  finish_test ();
}
END_TEST

START_TEST (chmod_sets_the_mode)
{
  start ();
  FAILS (ENOENT, eio_chmod (missing, 0600, TAIL));
  OK (0, eio_chmod (file, 0604, TAIL));
  ck_assert_uint_eq (status_of (file).st_mode, S_IFREG | 0604);
  FAILS (EBADF, eio_fchmod (-1, 0600, TAIL));
  OK (0, eio_fchmod (fd, 04711, TAIL));
  ck_assert_uint_eq (status_of (file).st_mode, S_IFREG | 04711);
  finish_test ();
}
END_TEST

/* -1 stands for "as it is", and a gid of -1 is no working directory. */
START_TEST (chown_leaves_what_is_minus_1)
{
  struct stat st;
  start ();
  FAILS (ENOENT, eio_chown (missing, (uid_t)-1, (gid_t)-1, TAIL));
  OK (0, eio_chown (file, (uid_t)-1, (gid_t)-1, TAIL));
  FAILS (EBADF, eio_fchown (-1, (uid_t)-1, (gid_t)-1, TAIL));
  OK (0, eio_fchown (fd, (uid_t)-1, (gid_t)-1, TAIL));
  OK (0, eio_chown (file, getuid (), getgid (), TAIL));
  OK (0, eio_fchown (fd, getuid (), getgid (), TAIL));
  st = status_of (file);
  ck_assert_uint_eq (st.st_uid, getuid ());
  ck_assert_uint_eq (st.st_gid, getgid ());
  if (geteuid ())
    {
      FAILS (EPERM, eio_chown (file, 0, (gid_t)-1, TAIL));
      FAILS (EPERM, eio_fchown (fd, 0, (gid_t)-1, TAIL));
    }
  finish_test ();
}
END_TEST

START_TEST (chown_sets_both_ids)
{
  struct stat st;
  start ();
  if (chown (file, 4000000003u, 4000000003u))
    return; /* not permitted */
  OK (0, eio_chown (file, 1001, 4000000001u, TAIL));
  st = status_of (file);
  ck_assert_uint_eq (st.st_uid, 1001);
  ck_assert_uint_eq (st.st_gid, 4000000001u);
  OK (0, eio_fchown (fd, 4000000002u, (gid_t)-1, TAIL));
  st = status_of (file);
  ck_assert_uint_eq (st.st_uid, 4000000002u);
  ck_assert_uint_eq (st.st_gid, 4000000001u);
  finish_test ();
}
END_TEST

static void
check_times (long atime, long ansec, long mtime, long mnsec)
{
  struct stat st = status_of (file);
  ck_assert_int_eq (st.st_atim.tv_sec, atime);
  ck_assert_int_eq (st.st_atim.tv_nsec, ansec);
  ck_assert_int_eq (st.st_mtim.tv_sec, mtime);
  ck_assert_int_eq (st.st_mtim.tv_nsec, mnsec);
}

START_TEST (utime_sets_both_times)
{
  start ();
  FAILS (ENOENT, eio_utime (missing, 1.5, 2.25, TAIL));
  OK (0, eio_utime (file, 1000000001.5, 1000000002.25, TAIL));
  check_times (1000000001, 500000000, 1000000002, 250000000);
  FAILS (EBADF, eio_futime (-1, 1.5, 2.25, TAIL));
  OK (0, eio_futime (fd, 3.125, 4.0, TAIL));
  check_times (3, 125000000, 4, 0);
  OK (0, eio_utime (file, -1, -1, TAIL));
  ck_assert_int_gt (status_of (file).st_mtim.tv_sec, 1000000002);
  finish_test ();
}
END_TEST

START_TEST (sync_requests_succeed_on_files)
{
  start ();
  FAILS (EBADF, eio_fsync (-1, TAIL));
  OK (0, eio_fsync (fd, TAIL));
  FAILS (EBADF, eio_fdatasync (-1, TAIL));
  OK (0, eio_fdatasync (fd, TAIL));
  FAILS (EBADF, eio_sync_file_range (-1, 0, 7, EIO_SYNC_FILE_RANGE_WRITE,
                                     TAIL));
  OK (0, eio_sync_file_range (fd, 0, 7,
                              EIO_SYNC_FILE_RANGE_WAIT_BEFORE
                                  | EIO_SYNC_FILE_RANGE_WRITE
                                  | EIO_SYNC_FILE_RANGE_WAIT_AFTER,
                              TAIL));
#ifdef __linux__
  FAILS (EBADF, eio_syncfs (-1, TAIL));
  OK (0, eio_syncfs (fd, TAIL));
#endif
  finish_test ();
}
END_TEST

START_TEST (fallocate_allocates)
{
  int error;
  start ();
#ifdef __linux__
  error = fallocate (fd, 0, 0, 1) ? errno : 0;
#else
  error = ENOSYS;
#endif
  FAILS_SOMEHOW (eio_fallocate (-1, 0, 0, 5000, TAIL));
  if (error)
    FAILS (error, eio_fallocate (fd, 0, 0, 5000, TAIL));
  else
    {
      ck_assert_int_eq (got.o.errorno, EBADF);
      OK (0, eio_fallocate (fd, EIO_FALLOC_FL_KEEP_SIZE, 0, 100000, TAIL));
      ck_assert_int_eq (status_of (file).st_size, 7);
      OK (0, eio_fallocate (fd, 0, 10, 5000, TAIL));
      ck_assert_int_eq (status_of (file).st_size, 5010);
      FAILS (EINVAL, eio_fallocate (fd, 0, -1, 5000, TAIL));
    }
  finish_test ();
}
END_TEST

START_TEST (msync_writes_a_mapping_back)
{
  size_t page = (size_t)sysconf (_SC_PAGESIZE);
  char *map;
  start ();
  ck_assert_int_eq (ftruncate (fd, (off_t)(2 * page)), 0);
  map = mmap (0, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ck_assert_ptr_ne (map, MAP_FAILED);
  map[page + 1] = 'm';
  FAILS (EINVAL, eio_msync (map, page, EIO_MS_SYNC | EIO_MS_ASYNC, TAIL));
  OK (0, eio_msync (map + page + 1, 1, EIO_MS_SYNC, TAIL));
  OK (0, eio_msync (map + 1, page, EIO_MS_ASYNC, TAIL));
  OK (0, eio_msync (map, page, EIO_MS_SYNC | EIO_MS_INVALIDATE, TAIL));
  munmap (map, 2 * page);
  finish_test ();
}
END_TEST

START_TEST (mtouch_touches_and_changes_nothing)
{
  size_t page = (size_t)sysconf (_SC_PAGESIZE);
  unsigned char in_core[4] = { 0 };
  char *map;
  int i;
  if (!advice_is_taken ())
    return;
  start ();
  map = mmap (0, 4 * page, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne (map, MAP_FAILED);
  map[7] = 'm';
  FAILS (EBADF, eio_close (-1, TAIL));
  OK (0, eio_mtouch (map + 5, 3 * page, EIO_MT_MODIFY, TAIL));
  ck_assert_int_eq (mincore (map, 4 * page, in_core), 0);
  for (i = 0; i < 4; ++i)
    ck_assert_msg (in_core[i] & 1, "page %d", i);
  ck_assert_int_eq (map[7], 'm');
  ck_assert_int_eq (map[2 * page], 0);
  OK (0, eio_mtouch (map, 4 * page, 0, TAIL));
  OK (0, eio_mtouch (map, 0, 0, TAIL));
  munmap (map, 4 * page);
  finish_test ();
}
END_TEST

#ifdef MADV_POPULATE_READ
START_TEST (mtouch_of_a_truncated_mapping_is_efault)
{
  size_t page = (size_t)sysconf (_SC_PAGESIZE);
  char *map;
  start ();
  ck_assert_int_eq (ftruncate (fd, (off_t)(2 * page)), 0);
  map = mmap (0, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ck_assert_ptr_ne (map, MAP_FAILED);
  if (advice_is_taken ()
      && !madvise (map, page, MADV_POPULATE_READ)) /* the kernel has it */
    {
      ck_assert_int_eq (ftruncate (fd, (off_t)page), 0);
      FAILS (EFAULT, eio_mtouch (map, 2 * page, 0, TAIL));
      FAILS (EFAULT, eio_mtouch (map, 2 * page, EIO_MT_MODIFY, TAIL));
      OK (0, eio_mtouch (map, page, EIO_MT_MODIFY, TAIL));
    }
  munmap (map, 2 * page);
  finish_test ();
}
END_TEST
#endif

/* What the system itself says: a limit may be low, a sanitizer may answer in
 * its place. */
#define AS_THE_SYSTEM(call, ...) \
  do { \
    int error_ = (call) ? errno : 0; \
    if (error_) \
      FAILS (error_, __VA_ARGS__); \
    else \
      OK (0, __VA_ARGS__); \
  } while (0)

START_TEST (mlock_answers_as_the_system_does)
{
  size_t page = (size_t)sysconf (_SC_PAGESIZE);
  /* systems keep the lowest addresses free */
  char *map, *hole = (char *)page;
  start ();
  AS_THE_SYSTEM (mlock (hole, page), eio_mlock (hole, page, TAIL));
  map = mmap (0, 2 * page, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne (map, MAP_FAILED);
  AS_THE_SYSTEM (mlock (map, 2 * page),
                 eio_mlock (map + page - 1, 2, TAIL));
  munlock (map, 2 * page);
  munmap (map, 2 * page);
  AS_THE_SYSTEM (mlockall (0), eio_mlockall (0, TAIL));
#ifdef MCL_ONFAULT
  AS_THE_SYSTEM (mlockall (MCL_CURRENT | MCL_ONFAULT),
                 eio_mlockall (EIO_MCL_CURRENT | EIO_MCL_ONFAULT, TAIL));
  {
    int want = mlockall (MCL_CURRENT | MCL_ONFAULT);
    ck_assert_int_eq (eio_mlockall_sync (EIO_MCL_CURRENT | EIO_MCL_ONFAULT),
                      want);
  }
  munlockall ();
#endif
  finish_test ();
}
END_TEST

START_TEST (readlink_delivers_the_contents)
{
  start ();
  ck_assert_int_eq (symlink ("some contents", missing), 0);
  FAILS (EINVAL, eio_readlink (file, TAIL));
  OK (13, eio_readlink (missing, TAIL));
  check_buf ("some contents", 13);
  FAILS (ENOENT, eio_readlink (scratch_path ("none"), TAIL));
  finish_test ();
}
END_TEST

START_TEST (realpath_delivers_the_canonical_path)
{
  char *want, *name;
  start ();
  want = realpath (file, 0);
  name = strdup (scratch_path ("dir/../link"));
  ck_assert_int_eq (symlink ("dir/../file", scratch_path ("link")), 0);
  FAILS (ENOENT, eio_realpath (missing, TAIL));
  finish (eio_realpath (name, TAIL));
  check_buf (want, strlen (want));
  ck_assert_int_eq (got.o.errorno, 0);
  FAILS (ENOENT, eio_realpath ("", TAIL));
  OK (1, eio_realpath ("/", TAIL));
  check_buf ("/", 1);
  free (want);
  free (name);
  finish_test ();
}
END_TEST

START_TEST (unlink_and_rmdir_remove)
{
  start ();
  FAILS (ENOENT, eio_unlink (missing, TAIL));
  OK (0, eio_unlink (file, TAIL));
  ck_assert (!exists (file));
  FAILS (ENOENT, eio_rmdir (missing, TAIL));
  write_file (scratch_path ("dir/entry"), "", 0);
  FAILS (ENOTEMPTY, eio_rmdir (dir, TAIL));
  OK (0, eio_unlink (scratch_path ("dir/entry"), TAIL));
  OK (0, eio_rmdir (dir, TAIL));
  ck_assert (!exists (dir));
  finish_test ();
}
END_TEST

START_TEST (mkdir_and_mknod_create)
{
  mode_t mask = umask (022);
  char *fifo;
  start ();
  fifo = strdup (scratch_path ("fifo"));
  FAILS (EEXIST, eio_mkdir (dir, 0777, TAIL));
  OK (0, eio_mkdir (missing, 0771, TAIL));
  ck_assert_uint_eq (status_of (missing).st_mode & 01777, 0751);
  ck_assert (S_ISDIR (status_of (missing).st_mode));
  FAILS (EEXIST, eio_mknod (file, S_IFIFO | 0666, 0, TAIL));
  OK (0, eio_mknod (fifo, S_IFIFO | 0666, 0, TAIL));
  ck_assert_uint_eq (status_of (fifo).st_mode, S_IFIFO | 0644);
  umask (mask);
  free (fifo);
  finish_test ();
}
END_TEST

START_TEST (mknod_carries_the_device)
{
  dev_t dev = makedev (1, 3);
  if (mknod (scratch_path ("probe"), S_IFCHR | 0600, dev))
    return; /* not permitted */
  start ();
  OK (0, eio_mknod (missing, S_IFCHR | 0600, makedev (1, 5), TAIL));
  ck_assert_uint_eq (status_of (missing).st_rdev, makedev (1, 5));
  ck_assert (S_ISCHR (status_of (missing).st_mode));
  finish_test ();
}
END_TEST

START_TEST (link_symlink_and_rename_go_from_path_to_new_path)
{
  char *hard, *soft, buf[16] = "";
  ino_t inode;
  start ();
  hard = strdup (scratch_path ("hard"));
  soft = strdup (scratch_path ("soft"));
  inode = status_of (file).st_ino;

  FAILS (ENOENT, eio_link (missing, hard, TAIL));
  OK (0, eio_link (file, hard, TAIL));
  ck_assert_uint_eq (status_of (hard).st_ino, inode);
  FAILS (EEXIST, eio_link (file, hard, TAIL));

  OK (0, eio_symlink ("anything", soft, TAIL));
  ck_assert_int_eq (readlink (soft, buf, sizeof buf), 8);
  ck_assert_str_eq (buf, "anything");
  FAILS (EEXIST, eio_symlink ("other", soft, TAIL));

  FAILS (ENOENT, eio_rename (missing, hard, TAIL));
  OK (0, eio_rename (hard, missing, TAIL));
  ck_assert (!exists (hard));
  ck_assert_uint_eq (status_of (missing).st_ino, inode);
  free (hard);
  free (soft);
  finish_test ();
}
END_TEST

START_TEST (readdir_delivers_names_and_dirents)
{
  const eio_dirent *ent;
  start ();
  write_file (scratch_path ("dir/entry"), "", 0);
  FAILS (ENOENT, eio_readdir (missing, 0, TAIL));
  OK (1, eio_readdir (dir, 0, TAIL));
  ck_assert_str_eq (got.buf, "entry");
  ck_assert_ptr_null (got.dents);
  FAILS (ENOTDIR, eio_readdir (file, 0, TAIL));
  OK (1, eio_readdir (dir, EIO_READDIR_DENTS | EIO_READDIR_CUSTOM2, TAIL));
  ent = got.dents;
  ck_assert_ptr_nonnull (ent);
  ck_assert_str_eq ((char *)got.buf + ent->nameofs, "entry");
  ck_assert_uint_eq (ent->namelen, 5);
  ck_assert_uint_eq (ent->inode, status_of (scratch_path ("dir/entry")).st_ino);
  ck_assert (ent->type == EIO_DT_REG || ent->type == EIO_DT_UNKNOWN);
  ck_assert_int_eq (got.int1 & ~EIO_READDIR_FOUND_UNKNOWN,
                    EIO_READDIR_DENTS | EIO_READDIR_CUSTOM2);
  finish_test ();
}
END_TEST

START_TEST (slurp_reads_all_or_a_part)
{
  char buf[16] = "................";
  start ();
  FAILS (ENOENT, eio_slurp (missing, 0, 0, 0, TAIL));
  OK (7, eio_slurp (file, 0, 0, 0, TAIL));
  check_buf ("content", 7);
  FAILS (EISDIR, eio_slurp (dir, 0, 0, 0, TAIL));
  OK (3, eio_slurp (file, 0, 3, 2, TAIL));
  check_buf ("nte", 3);
  OK (2, eio_slurp (file, buf, 2, -3, TAIL));
  ck_assert_int_eq (memcmp (buf, "en.", 3), 0);
  FAILS (EINVAL, eio_slurp (file, buf, 0, 0, TAIL));
  finish_test ();
}
END_TEST

START_TEST (buffers_of_0_bytes_are_not_null)
{
  start ();
  OK (0, eio_read (fd, 0, 0, 0, TAIL));
  check_buf ("", 0);
  OK (0, eio_read (fd, 0, 0, -1, TAIL));
  check_buf ("", 0);
  OK (0, eio_read (fd, 0, 10, 100, TAIL));
  check_buf ("", 0);
  OK (0, eio_slurp ("/dev/null", 0, 0, 0, TAIL));
  check_buf ("", 0);
  OK (0, eio_slurp (file, 0, 0, 7, TAIL));
  check_buf ("", 0);
  OK (0, eio_slurp (file, 0, 5, 100, TAIL));
  check_buf ("", 0);
  OK (0, eio_readdir (dir, 0, TAIL));
  check_buf ("", 0);
  OK (0, eio_readdir (dir, EIO_READDIR_DENTS, TAIL));
  check_buf ("", 0);
  ck_assert_ptr_nonnull (got.dents);
  finish_test ();
}
END_TEST

static int
check_whole (eio_req *req)
{
  ck_assert_ptr_eq (req->data, file);
  ck_assert_int_eq (req->type, EIO_STAT);
  ck_assert_str_eq (EIO_PATH (req), file);
  ck_assert_int_eq (EIO_STAT_BUF (req)->st_size, 7);
  ck_assert_int_eq (EIO_RESULT (req), 0);
  return 77;
}

START_TEST (finish_sees_the_whole_request)
{
  start ();
  ck_assert_ptr_nonnull (eio_stat (file, 0, check_whole, file));
  ck_assert_int_eq (host_poll (), 77);
  ck_assert_int_eq (eio_poll (), 0);
  finish_test ();
}
END_TEST

START_TEST (no_descriptor_or_thread_is_left)
{
  int fds, threads;
  start ();
  fds = count_fds ();
  OK (0, eio_nop (TAIL));
  eio_set_max_parallel (0); /* what a sanitizer starts has been started */
  nap (20);                 /* what has been joined may be seen for a moment */
  threads = count_threads ();
  eio_set_min_parallel (1);
  FAILS (ENOENT, eio_slurp (missing, 0, 0, 0, TAIL));
  OK (7, eio_slurp (file, 0, 0, 0, TAIL));
  FAILS (EISDIR, eio_slurp (dir, 0, 0, 0, TAIL));
  OK (0, eio_readdir (dir, 0, TAIL));
  FAILS (ENOTDIR, eio_readdir (file, 0, TAIL));
  OK (0, eio_stat (file, TAIL));
  OK (0, eio_statvfs (file, TAIL));
  OK (0, eio_truncate (file, 1, TAIL));
  finish (eio_realpath (file, TAIL));
  ck_assert_int_eq (got.o.errorno, 0);
  ck_assert_int_eq (count_fds (), fds);
  ck_assert_int_eq (count_threads (), threads + 1);
  eio_set_max_parallel (0);
  wait_until (count_threads () == threads);
  finish_test ();
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("wrappers");
  TCase *tc = add_case (suite, "wrappers", 100, 0, stop_workers);
  tcase_add_test (tc, nop_busy_and_sync_succeed);
  tcase_add_test (tc, a_null_callback_is_fine);
  tcase_add_test (tc, custom_delivers_what_the_function_set);
  tcase_add_test (tc, wd_open_delivers_a_wd_and_wd_close_closes_it);
  tcase_add_test (tc, open_delivers_a_descriptor_and_close_closes_it);
  tcase_add_test (tc, dup2_delivers_the_new_descriptor);
  tcase_add_test (tc, seek_delivers_0_and_the_position);
  tcase_add_test (tc, read_reads_at_an_offset_or_at_the_position);
  tcase_add_test (tc, read_allocates_a_missing_buffer_and_zeroes_its_rest);
  tcase_add_test (tc, write_writes_at_an_offset_or_at_the_position);
  tcase_add_test (tc, fcntl_passes_command_and_argument);
  tcase_add_test (tc, ioctl_passes_request_and_argument);
  tcase_add_test (tc, readahead_succeeds_on_files);
  tcase_add_test (tc, sendfile_delivers_the_bytes_written);
  tcase_add_test (tc, sendfile_sync_copies_and_fails_as_the_request_does);
  tcase_add_test (tc, stat_follows_links_and_lstat_does_not);
  tcase_add_test (tc, statvfs_describes_the_file_system);
  tcase_add_test (tc, truncate_sets_the_length);
  tcase_add_test (tc, chmod_sets_the_mode);
  tcase_add_test (tc, chown_leaves_what_is_minus_1);
  tcase_add_test (tc, chown_sets_both_ids);
  tcase_add_test (tc, utime_sets_both_times);
  tcase_add_test (tc, sync_requests_succeed_on_files);
  tcase_add_test (tc, fallocate_allocates);
  tcase_add_test (tc, msync_writes_a_mapping_back);
  tcase_add_test (tc, mtouch_touches_and_changes_nothing);
#ifdef MADV_POPULATE_READ
  tcase_add_test (tc, mtouch_of_a_truncated_mapping_is_efault);
#endif
  tcase_add_test (tc, mlock_answers_as_the_system_does);
  tcase_add_test (tc, readlink_delivers_the_contents);
  tcase_add_test (tc, realpath_delivers_the_canonical_path);
  tcase_add_test (tc, unlink_and_rmdir_remove);
  tcase_add_test (tc, mkdir_and_mknod_create);
  tcase_add_test (tc, mknod_carries_the_device);
  tcase_add_test (tc, link_symlink_and_rename_go_from_path_to_new_path);
  tcase_add_test (tc, readdir_delivers_names_and_dirents);
  tcase_add_test (tc, slurp_reads_all_or_a_part);
  tcase_add_test (tc, buffers_of_0_bytes_are_not_null);
  tcase_add_test (tc, finish_sees_the_whole_request);
  tcase_add_test (tc, no_descriptor_or_thread_is_left);
  return run_suite (suite);
}
