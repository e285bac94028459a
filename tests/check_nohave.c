/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* eio.c as an embedder on a system without any of the optional calls
 * compiles it: with no HAVE_ name.  The calls that it must not make are
 * caught, those that it has to fall back on are counted. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

/* Before the macros below, which would rename the declarations.  Not those
 * that a HAVE_ name stands for. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* Written by workers, read when they are done. */
static int fsyncs, syncs, preads;
static const char *forbidden;

static int
count_fsync (int fd)
{
  ++fsyncs;
  return fsync (fd);
}

/* The real one can take a while. */
static void
count_sync (void)
{
  ++syncs;
}

static ssize_t
count_pread (int fd, void *buf, size_t size, off_t offs)
{
  ++preads;
  return pread (fd, buf, size, offs);
}

/* Whether no condition variable can be had. */
static int no_conds;

static int
make_cond (pthread_cond_t *cond, const pthread_condattr_t *attr)
{
  return no_conds ? ENOMEM : pthread_cond_init (cond, attr);
}

static long __attribute__ ((unused))
forbid (const char *name)
{
  forbidden = name;
  errno = ENOSYS;
  return -1;
}

#define pthread_cond_init(c, a)  make_cond (c, a)
#define fsync(fd)                count_fsync (fd)
#define sync()                   count_sync ()
#define pread(fd, buf, n, offs)  count_pread (fd, buf, n, offs)
#define fdatasync(fd)            forbid ("fdatasync")
#define sync_file_range(...)     forbid ("sync_file_range")
#define readahead(...)           forbid ("readahead")
#define sendfile(...)            forbid ("sendfile")
#define fallocate(...)           forbid ("fallocate")
#define posix_fallocate(...)     forbid ("posix_fallocate")
#define syncfs(fd)               forbid ("syncfs")
#define renameat2(...)           forbid ("renameat2")
#define futimes(...)             forbid ("futimes")
#define utimes(...)              forbid ("utimes")
#define posix_close(...)         forbid ("posix_close")
#define flistxattr(...)          forbid ("flistxattr")
#define copy_file_range(...)     forbid ("copy_file_range")
#define syscall(...)             forbid ("syscall")
#define prctl(...)               forbid ("prctl")

#undef EIO_CONFIG_H
#define EIO_CONFIG_H "nohave.h"

#include "eio.c"

#undef pthread_cond_init
#undef fsync
#undef sync
#undef pread

#if defined HAVE_UTIMES || defined HAVE_FUTIMES || defined HAVE_READAHEAD \
    || defined HAVE_FDATASYNC || defined HAVE_SENDFILE \
    || defined HAVE_SYNC_FILE_RANGE || defined HAVE_LINUX_FALLOCATE \
    || defined HAVE_SYS_SYNCFS || defined HAVE_PRCTL_SET_NAME \
    || defined HAVE_POSIX_CLOSE || defined HAVE_RENAMEAT2 \
    || defined HAVE_STDINT_H || defined HAVE_SYS_SYSCALL_H \
    || defined HAVE_SYS_PRCTL_H || defined HAVE_COPY_FILE_RANGE \
    || defined HAVE_XATTR
# define SOME_HAVE 1
#else
# define SOME_HAVE 0
#endif

#include "support.h"

#include <dirent.h>

static char file[5000], other[5000], bytes[5000], buf[5000];
static int fd;

/* A file of 5000 bytes, open, and a name that nothing has. */
static void
start (void)
{
  size_t i;
  host_start ();
  for (i = 0; i < sizeof bytes; ++i)
    bytes[i] = (char)(i * 7 % 251);
  strcpy (file, scratch_path ("file"));
  strcpy (other, scratch_path ("other"));
  write_file (file, bytes, sizeof bytes);
  fd = open (file, O_RDWR);
  ck_assert_int_ge (fd, 0);
}

/* Waits until no worker can be counting any more. */
static void
drain (void)
{
  host_drain ();
  eio_set_max_parallel (0);
  eio_set_min_parallel (4);
  ck_assert_msg (!forbidden, "called %s", forbidden);
}

static outcome
finished (eio_req *req)
{
  outcome o = { 0 };
  ck_assert_ptr_nonnull (req);
  req->data = &o; /* only finish uses it */
  drain ();
  return o;
}

#define OK(res, ...) \
  do { \
    outcome o_ = finished (__VA_ARGS__); \
    assert_ok (o_, (res)); \
  } while (0)
#define FAILS(err, ...) \
  do { \
    outcome o_ = finished (__VA_ARGS__); \
    assert_fails (o_, (err)); \
  } while (0)
#define TAIL 0, note, 0

START_TEST (no_have_name_is_defined)
{
  ck_assert_int_eq (SOME_HAVE, 0);
}
END_TEST

START_TEST (readahead_is_emulated_by_reading)
{
  int out;
  start ();
  OK (0, eio_readahead (fd, 100, 3000, TAIL));
  ck_assert_int_gt (preads, 0);
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 0);
  OK (0, eio_readahead (fd, 4000, 100000, TAIL)); /* over the end */
  OK (0, eio_readahead (fd, 1000000, 1, TAIL));
  OK (0, eio_readahead (fd, 0, 0, TAIL));
  FAILS (EBADF, eio_readahead (-1, 0, 1, TAIL));
  out = open (other, O_WRONLY | O_CREAT, 0666);
  FAILS (EBADF, eio_readahead (out, 0, 1, TAIL));
  close (out);
}
END_TEST

START_TEST (sendfile_is_emulated_between_files)
{
  int out;
  start ();
  out = open (other, O_RDWR | O_CREAT, 0666);
  OK (3000, eio_sendfile (out, fd, 1000, 3000, TAIL));
  ck_assert_int_eq (lseek (out, 0, SEEK_CUR), 3000);
  ck_assert_int_eq (lseek (fd, 0, SEEK_CUR), 0);
  OK (100, eio_sendfile (out, fd, 4900, 100000, TAIL));
  OK (0, eio_sendfile (out, fd, 5000, 10, TAIL));
  ck_assert_int_eq (pread (out, buf, sizeof buf, 0), 3100);
  ck_assert_int_eq (memcmp (buf, bytes + 1000, 3000), 0);
  ck_assert_int_eq (memcmp (buf + 3000, bytes + 4900, 100), 0);
  FAILS (EBADF, eio_sendfile (-1, fd, 0, 10, TAIL));
  FAILS (EBADF, eio_sendfile (out, -1, 0, 10, TAIL));
  close (out);
}
END_TEST

START_TEST (sendfile_is_emulated_on_sockets)
{
  int ends[2];
  start ();
  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), 0);
  OK (5000, eio_sendfile (ends[0], fd, 0, 5000, TAIL));
  ck_assert_int_eq (recv (ends[1], buf, sizeof buf, MSG_WAITALL), 5000);
  ck_assert_int_eq (memcmp (buf, bytes, 5000), 0);
  ck_assert_int_eq (eio_sendfile_sync (ends[0], fd, 4000, 5000), 1000);
  ck_assert_int_eq (recv (ends[1], buf, 1000, MSG_WAITALL), 1000);
  ck_assert_int_eq (memcmp (buf, bytes + 4000, 1000), 0);
  close (ends[0]);
  close (ends[1]);
}
END_TEST

START_TEST (fdatasync_becomes_fsync)
{
  start ();
  OK (0, eio_fdatasync (fd, TAIL));
  ck_assert_int_eq (fsyncs, 1);
  FAILS (EBADF, eio_fdatasync (-1, TAIL));
}
END_TEST

START_TEST (sync_file_range_becomes_fdatasync)
{
  start ();
  OK (0, eio_sync_file_range (fd, 0, 100, EIO_SYNC_FILE_RANGE_WRITE, TAIL));
  ck_assert_int_eq (fsyncs, 1);
  FAILS (EBADF, eio_sync_file_range (-1, 0, 100, EIO_SYNC_FILE_RANGE_WRITE,
                                     TAIL));
}
END_TEST

START_TEST (syncfs_syncs_all_and_is_enosys)
{
  start ();
  FAILS (ENOSYS, eio_syncfs (fd, TAIL));
  ck_assert_int_eq (syncs, 1);
  OK (0, eio_sync (TAIL));
  ck_assert_int_eq (syncs, 2);
}
END_TEST

START_TEST (fallocate_is_enosys)
{
  struct stat st;
  start ();
  FAILS (ENOSYS, eio_fallocate (fd, 0, 0, 100000, TAIL));
  FAILS (ENOSYS, eio_fallocate (fd, EIO_FALLOC_FL_KEEP_SIZE, 0, 100000,
                                TAIL));
  ck_assert_int_eq (fstat (fd, &st), 0);
  ck_assert_int_eq (st.st_size, 5000);
}
END_TEST

START_TEST (rename_with_flags_is_enosys)
{
  static const int flags[]
      = { EIO_RENAME_NOREPLACE, EIO_RENAME_EXCHANGE, EIO_RENAME_WHITEOUT };
  size_t i;
  start ();
  for (i = 0; i < sizeof flags / sizeof *flags; ++i)
    {
      eio_req req = { .type = EIO_RENAME, .ptr1 = file, .ptr2 = other,
                      .int2 = flags[i], .finish = note };
      eio_submit (&req);
      FAILS (ENOSYS, &req);
      ck_assert_int_eq (access (file, F_OK), 0);
      ck_assert_int_eq (access (other, F_OK), -1);
    }
  OK (0, eio_rename (file, other, TAIL));
  ck_assert_int_eq (access (other, F_OK), 0);
}
END_TEST

START_TEST (paths_need_no_have_names)
{
  const struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
  const char *template = scratch_path ("x-XXXXXX");
  outcome o;
  start ();
  FAILS (ENOSYS, eio_rename2 (file, other, EIO_RENAME_NOREPLACE, TAIL));
  OK (0, eio_rename2 (file, other, 0, TAIL));
  FAILS (ENOSYS, eio_open2 (other, O_RDONLY, 0, EIO_RESOLVE_BENEATH, TAIL));
  o = finished (eio_open2 (other, O_RDONLY, 0, 0, TAIL));
  ck_assert_int_ge (o.result, 0);
  close ((int)o.result);
  o = finished (eio_mkstemp (template, TAIL));
  ck_assert_int_ge (o.result, 0);
  close ((int)o.result);
  OK (0, eio_mkdtemp (template, TAIL));
  o = finished (eio_tmpfile (scratch (), O_RDWR, 0600, TAIL));
  ck_assert_int_ge (o.result, 0);
  close ((int)o.result);
  OK (0, eio_save (file, "abc", 3, 0, EIO_SAVE_SYNC, TAIL));
  OK (3, eio_load (file, TAIL));
  OK (0, eio_utimens (file, times, 0, TAIL));
  OK (0, eio_pathsync (scratch (), TAIL));
  OK (4, eio_scandir (scratch (), 0, TAIL));
  OK (0, eio_copy (other, file, EIO_COPY_ARCHIVE, TAIL));
  OK (5000, eio_load (file, TAIL));
  OK (0, eio_move (file, scratch_path ("moved"), EIO_COPY_EXCL, TAIL));
  FAILS (ENOENT, eio_load (file, TAIL));
}
END_TEST

START_TEST (times_can_be_set)
{
  struct stat st;
  start ();
  OK (0, eio_utime (file, 1000000001.5, -2.25, TAIL));
  ck_assert_int_eq (stat (file, &st), 0);
  ck_assert_int_eq (st.st_atim.tv_sec, 1000000001);
  ck_assert_int_eq (st.st_mtim.tv_sec, -3);
  OK (0, eio_futime (fd, 3.5, 4, TAIL));
  ck_assert_int_eq (stat (file, &st), 0);
  ck_assert_int_eq (st.st_atim.tv_sec, 3);
  ck_assert_int_eq (st.st_mtim.tv_sec, 4);
}
END_TEST

START_TEST (files_are_read_and_written)
{
  outcome o;
  int made;
  start ();
  o = finished (eio_open (other, O_RDWR | O_CREAT, 0666, TAIL));
  made = (int)o.result;
  ck_assert_int_ge (made, 0);
  OK (5000, eio_write (made, bytes, 5000, 0, TAIL));
  OK (1000, eio_read (made, buf, 3000, 4000, TAIL));
  ck_assert_int_eq (memcmp (buf, bytes + 4000, 1000), 0);
  OK (0, eio_seek (made, 10, EIO_SEEK_SET, TAIL));
  OK (10, eio_read (made, buf, 10, -1, TAIL));
  ck_assert_int_eq (memcmp (buf, bytes + 10, 10), 0);
  OK (5000, eio_slurp (other, 0, 0, 0, TAIL));
  OK (0, eio_fsync (made, TAIL));
  OK (0, eio_ftruncate (made, 10, TAIL));
  OK (10, eio_slurp (other, buf, 100, 0, TAIL));
  OK (0, eio_stat (other, TAIL));
  OK (0, eio_close (made, TAIL));
  FAILS (EBADF, eio_close (made, TAIL));
  OK (0, eio_unlink (other, TAIL));
  FAILS (ENOENT, eio_stat (other, TAIL));
}
END_TEST

static int names_seen;

static int
look_at_names (eio_req *req)
{
  const eio_dirent *ent = req->ptr1;
  int i;
  for (i = 0; i < (int)req->result; ++i)
    {
      const char *name = (char *)req->ptr2 + ent[i].nameofs;
      names_seen += !strcmp (name, "file") && ent[i].namelen == 4;
      names_seen += !strcmp (name, "sub") && ent[i].namelen == 3;
    }
  return note (req);
}

START_TEST (directories_are_read)
{
  start ();
  ck_assert_int_eq (mkdir (scratch_path ("sub"), 0777), 0);
  OK (2, eio_readdir (scratch (), EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST,
                      0, look_at_names, 0));
  ck_assert_int_eq (names_seen, 2);
  FAILS (ENOTDIR, eio_readdir (file, 0, TAIL));
}
END_TEST

static char path_seen[5000];

static int
look_at_path (eio_req *req)
{
  if (req->result >= 0)
    memcpy (path_seen, EIO_BUF (req), (size_t)req->result);
  return note (req);
}

START_TEST (paths_are_resolved)
{
  char *want;
  start ();
  want = realpath (file, 0);
  ck_assert_int_eq (symlink ("./file", other), 0);
  OK ((eio_ssize_t)strlen (want), eio_realpath (other, 0, look_at_path, 0));
  ck_assert_str_eq (path_seen, want);
  FAILS (ENOENT, eio_realpath (scratch_path ("none"), TAIL));
  OK (6, eio_readlink (other, TAIL));
  free (want);
}
END_TEST

START_TEST (working_directories_work)
{
  static char relative[] = "file";
  eio_req req = { .type = EIO_LSTAT, .ptr1 = relative, .finish = note };
  outcome o;
  int fds;
  start ();
  fds = count_fds ();
  o = finished (eio_wd_open (scratch (), TAIL));
  assert_ok (o, 0);
  ck_assert_ptr_ne (o.wd, EIO_INVALID_WD);
  req.wd = o.wd;
  eio_submit (&req);
  OK (0, &req);
  OK (0, eio_wd_close (o.wd, TAIL));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

static int
count_call (eio_req *req)
{
  ++*(int *)req->data;
  return 0;
}

START_TEST (groups_cancellation_and_counters_work)
{
  int finished_ = 0, cancelled = 0, i;
  eio_req *grp;
  start ();
  grp = eio_grp (count_call, &finished_);
  for (i = 0; i < 50; ++i)
    eio_grp_add (grp, eio_nop (i % 9 - 4, count_call, &finished_));
  eio_set_max_parallel (0);
  for (i = 0; i < 5; ++i)
    eio_cancel (eio_nop (0, count_call, &cancelled));
  ck_assert_uint_ge (eio_nready (), 5);
  eio_set_min_parallel (4);
  host_drain ();
  eio_poll ();
  ck_assert_int_eq (finished_, 51);
  ck_assert_int_eq (cancelled, 0);
  ck_assert_uint_eq (eio_nready () + eio_npending (), 0);
}
END_TEST

/* Of the requests from 50 on, those that can be done otherwise are. */
START_TEST (ranges_and_status_have_substitutes)
{
  struct iovec v[] = { { buf, 1000 }, { buf + 2000, 3000 } };
  struct eio_statx stx = { 0 };
  eio_req req = { .type = EIO_FSTATX, .finish = note, .ptr2 = &stx };
  outcome o = { 0 };
  int out;

  start ();
  out = open (other, O_RDWR | O_CREAT, 0600);
  ck_assert_int_ge (out, 0);
  OK (4000, eio_readv (fd, v, 2, 0, 0, 0, note, 0));
  ck_assert_int_eq (memcmp (buf, bytes, 1000), 0);
  ck_assert_int_eq (memcmp (buf + 2000, bytes + 1000, 3000), 0);
  OK (4000, eio_writev (out, v, 2, 7, 0, 0, note, 0));
  OK (5000, eio_copy_range (fd, 0, out, 0, 9999, 0, note, 0));
  ck_assert_int_eq (pread (out, buf, 5000, 0), 5000);
  ck_assert_int_eq (memcmp (buf, bytes, 5000), 0);
  fsyncs = 0;
  OK (0, eio_fullsync (fd, 0, note, 0));
  ck_assert_int_eq (fsyncs, 1);
  req.int1 = fd;
  req.data = &o;
  eio_submit (&req);
  drain ();
  assert_ok (o, 0);
  ck_assert_uint_eq (stx.size, 5000);
  ck_assert_uint_eq (stx.mask, EIO_STATX_BASIC_STATS);
  close (out);
}
END_TEST

START_TEST (what_has_no_substitute_is_enosys)
{
  struct iovec v = { buf, 10 };

  start ();
  FAILS (ENOSYS, eio_readv (fd, &v, 1, 0, 1, 0, note, 0));
  FAILS (ENOSYS, eio_writev (fd, &v, 1, 0, 1, 0, note, 0));
  FAILS (ENOSYS, eio_splice (fd, -1, fd, -1, 1, 0, 0, note, 0));
  FAILS (ENOSYS, eio_tee (fd, fd, 1, 0, 0, note, 0));
  FAILS (ENOSYS, eio_fadvise (fd, 0, 0, 0, 0, note, 0));
  FAILS (ENOSYS, eio_madvise (buf, 1, 0, 0, note, 0));
  FAILS (ENOSYS, eio_mincore (buf, 1, 0, note, 0));
  FAILS (ENOSYS, eio_getxattr (file, "user.a", 0, 0, note, 0));
  FAILS (ENOSYS, eio_fsetxattr (fd, "user.a", "", 0, 0, 0, note, 0));
  FAILS (ENOSYS, eio_flistxattr (fd, 0, note, 0));
  FAILS (ENOSYS, eio_removexattr (file, "user.a", 0, 0, note, 0));
}
END_TEST

/* Nobody can tell what of paths needs no waiting. */
START_TEST (paths_are_not_answered_at_once)
{
  outcome o;

  start ();
  eio_set_inline (4096);
  OK (0, eio_stat (file, TAIL));
  OK (0, eio_lstat (file, TAIL));
  o = finished (eio_open (file, O_RDONLY, 0, TAIL));
  ck_assert_int_gt (o.result, 0);
  OK (0, eio_close ((int)o.result, TAIL));
  ck_assert_uint_eq (EIO_POOL->res_queue.count[ETP_INLINED], 0);
}
END_TEST

/* Nor what of files is in memory; a read finds out. */
START_TEST (reads_need_no_look_before)
{
  int i;

  start ();
  eio_set_inline (4096);
  for (i = 0; i < 3; ++i)
    {
      memset (buf, 0, 100);
      OK (100, eio_read (fd, buf, 100, 7, TAIL));
      ck_assert_int_eq (memcmp (buf, bytes + 7, 100), 0);
    }
}
END_TEST

START_TEST (workers_are_as_the_system_makes_them)
{
  start ();
  errno = 0;
  ck_assert_int_eq (eio_set_ioprio (0), -1);
  ck_assert_int_eq (errno, ENOSYS);
  errno = 0;
  ck_assert_int_eq (eio_set_affinity (0, 0), -1);
  ck_assert_int_eq (errno, ENOSYS);
}
END_TEST

/* Nobody can tell whether a thread is at its end; so what it had is used
 * again at once. */
START_TEST (structs_of_workers_are_used_again)
{
  int i;

  start ();
  eio_set_max_idle (0);
  eio_set_idle_timeout (0);
  for (i = 0; i < 5; ++i)
    {
      eio_nop (0, 0, 0);
      host_drain ();
      wait_until (eio_nthreads () == 0);
    }
  ck_assert_ptr_nonnull (EIO_POOL->made);
  ck_assert_ptr_null (EIO_POOL->made->made_before);
}
END_TEST

START_TEST (workers_need_condition_variables)
{
  outcome o = { 0 };

  start ();
  no_conds = 1;
  eio_nop (0, note, &o);
  while (!o.calls)
    {
      eio_poll_wait (-1);
      eio_poll ();
    }
  assert_ok (o, 0);
  ck_assert_uint_eq (eio_nthreads (), 0);
  ck_assert_ptr_null (EIO_POOL->made);

  /* To wait for the signal takes one, too. */
  no_conds = 0;
  OK (0, eio_nop (TAIL));
  no_conds = 1;
  memset (&o, 0, sizeof o);
  eio_read (fd, buf, 10, 0, 0, note, &o);
  while (!o.calls)
    {
      eio_poll_wait (-1);
      eio_poll ();
    }
  assert_ok (o, 10);
  ck_assert (!EIO_POOL->has_arrival);
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("nohave");
  TCase *tc = add_case (suite, "nohave", 100, 0, stop_workers);
  tcase_add_test (tc, no_have_name_is_defined);
  tcase_add_test (tc, readahead_is_emulated_by_reading);
  tcase_add_test (tc, sendfile_is_emulated_between_files);
  tcase_add_test (tc, sendfile_is_emulated_on_sockets);
  tcase_add_test (tc, fdatasync_becomes_fsync);
  tcase_add_test (tc, sync_file_range_becomes_fdatasync);
  tcase_add_test (tc, syncfs_syncs_all_and_is_enosys);
  tcase_add_test (tc, fallocate_is_enosys);
  tcase_add_test (tc, rename_with_flags_is_enosys);
  tcase_add_test (tc, paths_need_no_have_names);
  tcase_add_test (tc, times_can_be_set);
  tcase_add_test (tc, files_are_read_and_written);
  tcase_add_test (tc, directories_are_read);
  tcase_add_test (tc, paths_are_resolved);
  tcase_add_test (tc, working_directories_work);
  tcase_add_test (tc, groups_cancellation_and_counters_work);
  tcase_add_test (tc, ranges_and_status_have_substitutes);
  tcase_add_test (tc, what_has_no_substitute_is_enosys);
  tcase_add_test (tc, paths_are_not_answered_at_once);
  tcase_add_test (tc, reads_need_no_look_before);
  tcase_add_test (tc, workers_are_as_the_system_makes_them);
  tcase_add_test (tc, structs_of_workers_are_used_again);
  tcase_add_test (tc, workers_need_condition_variables);
  return run_suite (suite);
}
