/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Running one request at a time and looking at what came out: for the rooms
 * whose tests are about results.  Include after support.h. */

#ifndef TESTS_RUN_H_
#define TESTS_RUN_H_

#include <grp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 }; /* an ordinary user */

/* The last request as its finish saw it.  Its buffers are ours until the
 * next one, but for those of stat and statvfs, which may be in the request's
 * own memory. */
static eio_req got;
static struct stat got_stat;
static struct statvfs got_statvfs;

static int
keep (eio_req *req)
{
  got = *req;
  if (!req->result
      && (req->type == EIO_STAT || req->type == EIO_LSTAT
          || req->type == EIO_FSTAT))
    got_stat = *EIO_STAT_BUF (req);
  if (!req->result
      && (req->type == EIO_STATVFS || req->type == EIO_FSTATVFS))
    got_statvfs = *EIO_STATVFS_BUF (req);
  req->flags &= (unsigned char)~(EIO_FLAG_PTR1_FREE | EIO_FLAG_PTR2_FREE);
  return 0;
}

/* The end of a wrapper's parameters. */
#define KEEP EIO_PRI_DEFAULT, keep, 0

static eio_ssize_t
run (eio_req *req)
{
  if (got.flags & EIO_FLAG_PTR1_FREE)
    free (got.ptr1);
  if (got.flags & EIO_FLAG_PTR2_FREE)
    free (got.ptr2);
  memset (&got, 0, sizeof got);

  ck_assert_ptr_nonnull (req);
  host_drain ();
  ck_assert_msg (got.finish == keep, "finish was not called");
  return got.result;
}

/* Submits a request that was filled by hand. */
static inline eio_req *
submit (eio_req req)
{
  static eio_req mine;
  mine = req;
  mine.finish = keep;
  eio_submit (&mine);
  return &mine;
}

static inline void
expect (int line, const char *call, eio_ssize_t result, long long want,
        int error)
{
  ck_assert_msg (result == want && got.errorno == error,
                 "line %d: %s: result %lld, errno %d (%s); not %lld, %d (%s)",
                 line, call, (long long)result, got.errorno,
                 strerror (got.errorno), want, error, strerror (error));
}

/* The request succeeds with this result, or fails with this errno. */
#define gives(want, ...) \
  expect (__LINE__, #__VA_ARGS__, run (__VA_ARGS__), want, 0)
#define fails(error, ...) \
  expect (__LINE__, #__VA_ARGS__, run (__VA_ARGS__), -1, error)

/* The request does what the system call, made here and now, does. */
#define agrees(call, ...) \
  do { \
    long long res_ = (errno = 0, (long long)(call)); \
    int errno_ = res_ == -1 ? errno : 0; \
    expect (__LINE__, #__VA_ARGS__, run (__VA_ARGS__), res_, errno_); \
  } while (0)

/* Runs a test as an ordinary user, in the scratch directory, which it may go
 * through, and in whose directory "open" it may make files.  (In a child, the
 * names of the scratch directory are not to be had.) */
static inline void
as_user (void (*test) (void))
{
  int status;
  pid_t pid;

  ck_assert_int_eq (chdir (scratch ()), 0);
  ck_assert_int_eq (chmod (".", 0755), 0);
  ck_assert_int_eq (mkdir ("open", 0777), 0);
  ck_assert_int_eq (chmod ("open", 0777), 0);
  if (geteuid ())
    {
      test ();
      return;
    }

  pid = fork ();
  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      if (setgroups (0, 0) || setgid (NOBODY) || setuid (NOBODY))
        _exit (99);
      host_start ();
      test ();
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
}

#endif
