/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* MSYNC, MTOUCH, MLOCK and MLOCKALL: on whole pages, whatever the range. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 16 };

#ifndef MADV_POPULATE_READ
# define MADV_POPULATE_READ 22
#endif

static size_t page;
static unsigned char *map; /* PAGES pages of a file, shared */
static int map_fd;

static void
start (void)
{
  const char *path = scratch_path ("mapped");
  page = (size_t)sysconf (_SC_PAGESIZE);
  map_fd = open (path, O_RDWR | O_CREAT | O_TRUNC, 0666);
  ck_assert_int_ge (map_fd, 0);
  ck_assert_int_eq (ftruncate (map_fd, (off_t)(PAGES * page)), 0);
  map = mmap (0, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  ck_assert_ptr_ne (map, MAP_FAILED);
  host_start ();
}

static unsigned char *
map_anonymous (int prot)
{
  unsigned char *p = mmap (0, PAGES * page, prot,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne (p, MAP_FAILED);
  return p;
}

static outcome
finish (eio_req *req, outcome *o)
{
  ck_assert_ptr_nonnull (req);
  host_drain ();
  return *o;
}

#define RUN(call) \
  (o = (outcome){ 0 }, finish (call, &o))

static int
kernel_can_populate (void)
{
  return !madvise (map, 0, MADV_POPULATE_READ);
}

static int
count_resident (void *addr)
{
  unsigned char vec[PAGES];
  int n = 0;
  ck_assert_int_eq (mincore (addr, PAGES * page, vec), 0);
  for (int i = 0; i < PAGES; ++i)
    n += vec[i] & 1;
  return n;
}

static const struct
{
  int flags, error;
} syncs[] = {
  { EIO_MS_SYNC, 0 },
  { EIO_MS_ASYNC, 0 },
  { EIO_MS_SYNC | EIO_MS_INVALIDATE, 0 },
  { EIO_MS_INVALIDATE, 0 },
  { EIO_MS_SYNC | EIO_MS_ASYNC, EINVAL }, /* what msync(2) says */
};

/* An address inside of a page would be EINVAL to the system. */
START_TEST (msync_takes_any_range_and_maps_its_flags)
{
  outcome o;
  start ();
  memset (map, 7, PAGES * page);
  RUN (eio_msync (map + 5, 3 * page + 1, syncs[_i].flags, 0, note, &o));
  if (syncs[_i].error)
    assert_fails (o, syncs[_i].error);
  else
    assert_ok (o, 0);
}
END_TEST

START_TEST (msync_of_nothing_mapped_fails)
{
  outcome o;
  start ();
  ck_assert_int_eq (munmap (map + 4 * page, page), 0);
  RUN (eio_msync (map, 8 * page, EIO_MS_SYNC, 0, note, &o));
  assert_fails (o, ENOMEM);
}
END_TEST

START_TEST (mtouch_makes_pages_resident)
{
  outcome o;
  unsigned char *p;
  start ();
  p = map_anonymous (PROT_READ | PROT_WRITE);
  ck_assert_int_eq (count_resident (p), 0);
  RUN (eio_mtouch (p + page + 1, 2 * page, _i ? EIO_MT_MODIFY : 0, 0, note,
                   &o));
  assert_ok (o, 0);
  ck_assert_int_ge (count_resident (p), 3);
  for (size_t i = 0; i < PAGES * page; ++i)
    ck_assert_uint_eq (p[i], 0);
}
END_TEST

START_TEST (mtouch_changes_no_contents)
{
  outcome o;
  start ();
  for (size_t i = 0; i < PAGES * page; ++i)
    map[i] = (unsigned char)(i * 7 + i / page);
  RUN (eio_mtouch (map, PAGES * page, _i ? EIO_MT_MODIFY : 0, 0, note, &o));
  assert_ok (o, 0);
  for (size_t i = 0; i < PAGES * page; ++i)
    ck_assert_uint_eq (map[i], (unsigned char)(i * 7 + i / page));
}
END_TEST

START_TEST (mtouch_of_nothing_is_fine)
{
  outcome o;
  start ();
  RUN (eio_mtouch (map, 0, _i ? EIO_MT_MODIFY : 0, 0, note, &o));
  assert_ok (o, 0);
}
END_TEST

/* Where the kernel cannot populate, these are signals: the host's. */
START_TEST (mtouch_of_a_truncated_mapping_is_efault)
{
  outcome o;
  start ();
  if (!kernel_can_populate ())
    return;
  ck_assert_int_eq (ftruncate (map_fd, (off_t)page), 0);
  RUN (eio_mtouch (map, PAGES * page, _i ? EIO_MT_MODIFY : 0, 0, note, &o));
  assert_fails (o, EFAULT);
}
END_TEST

START_TEST (mtouch_of_a_hole_fails)
{
  outcome o;
  start ();
  if (!kernel_can_populate ())
    return;
  ck_assert_int_eq (munmap (map + 4 * page, page), 0);
  RUN (eio_mtouch (map, PAGES * page, _i ? EIO_MT_MODIFY : 0, 0, note, &o));
  assert_fails (o, ENOMEM);
}
END_TEST

START_TEST (mtouch_without_the_right_is_an_error)
{
  outcome o;
  unsigned char *p;
  start ();
  if (!kernel_can_populate ())
    return;
  p = map_anonymous (_i ? PROT_READ : PROT_NONE);
  RUN (eio_mtouch (p, PAGES * page, _i ? EIO_MT_MODIFY : 0, 0, note, &o));
  ck_assert_int_eq (o.calls, 1);
  ck_assert_int_eq (o.result, -1);
  ck_assert_msg (o.errorno == EINVAL || o.errorno == EFAULT, "errno %d",
                 o.errorno);
}
END_TEST

static void
set_lock_limit (size_t bytes)
{
  struct rlimit limit = { bytes, bytes };
  if (geteuid () == 0)
    ck_assert_int_eq (seteuid (12345), 0);
  ck_assert_int_eq (setrlimit (RLIMIT_MEMLOCK, &limit), 0);
}

static void
be_root_again (void)
{
  if (getuid () == 0)
    ck_assert_int_eq (seteuid (0), 0);
}

/* VmLck of this process, in bytes. */
static size_t
locked_bytes (void)
{
  char line[256];
  unsigned long kib = 0;
  FILE *f = fopen ("/proc/self/status", "r");
  ck_assert_ptr_nonnull (f);
  while (fgets (line, sizeof line, f))
    if (sscanf (line, "VmLck: %lu", &kib) == 1)
      break;
  fclose (f);
  return kib * 1024;
}

START_TEST (mlock_takes_any_range)
{
  outcome o;
  size_t before;
  start ();
  before = locked_bytes ();
  RUN (eio_mlock (map + page - 1, 2, 0, note, &o));
  assert_ok (o, 0);
  ck_assert_uint_eq (locked_bytes () - before, 2 * page);
}
END_TEST

START_TEST (mlock_obeys_the_limit)
{
  outcome o;
  start ();
  set_lock_limit (page);
  RUN (eio_mlock (map, PAGES * page, 0, note, &o));
  assert_fails (o, ENOMEM);
  be_root_again ();
}
END_TEST

START_TEST (mlockall_maps_its_flags)
{
  outcome o;
  start ();
  RUN (eio_mlockall (0, 0, note, &o));
  assert_fails (o, EINVAL);
  ck_assert_int_eq (eio_mlockall_sync (0), -1);
  ck_assert_int_eq (errno, EINVAL);
  set_lock_limit (0);
  RUN (eio_mlockall (EIO_MCL_CURRENT, 0, note, &o));
  assert_fails (o, EPERM);
  ck_assert_int_eq (eio_mlockall_sync (EIO_MCL_FUTURE), -1);
  ck_assert_int_eq (errno, EPERM);
  be_root_again ();
}
END_TEST

START_TEST (mlockall_locks)
{
  outcome o;
  start ();
  if (geteuid () != 0)
    return;
  RUN (eio_mlockall (EIO_MCL_FUTURE | EIO_MCL_ONFAULT, 0, note, &o));
  assert_ok (o, 0);
  map_anonymous (PROT_READ | PROT_WRITE);
  ck_assert_uint_ge (locked_bytes (), PAGES * page);
  munlockall ();
}
END_TEST

int
main (void)
{
  Suite *s = suite_create ("memory");
  TCase *tc = tcase_create ("memory");
  tcase_add_loop_test (tc, msync_takes_any_range_and_maps_its_flags, 0,
                       (int)(sizeof syncs / sizeof *syncs));
  tcase_add_test (tc, msync_of_nothing_mapped_fails);
  tcase_add_loop_test (tc, mtouch_makes_pages_resident, 0, 2);
  tcase_add_loop_test (tc, mtouch_changes_no_contents, 0, 2);
  tcase_add_loop_test (tc, mtouch_of_nothing_is_fine, 0, 2);
  tcase_add_loop_test (tc, mtouch_of_a_truncated_mapping_is_efault, 0, 2);
  tcase_add_loop_test (tc, mtouch_of_a_hole_fails, 0, 2);
  tcase_add_loop_test (tc, mtouch_without_the_right_is_an_error, 0, 2);
  tcase_add_test (tc, mlock_takes_any_range);
  tcase_add_test (tc, mlock_obeys_the_limit);
  tcase_add_test (tc, mlockall_maps_its_flags);
  tcase_add_test (tc, mlockall_locks);
  suite_add_tcase (s, tc);
  return run_suite (s);
}
