/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Requests on memory: msync, mtouch, mlock, mlockall. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "run.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers turn the locking of memory into nothing, as they have reserved
 * too much of it. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
# define LOCKS_ARE_FAKED 1
#elif defined __has_feature
# if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) \
   || __has_feature(memory_sanitizer)
#  define LOCKS_ARE_FAKED 1
# endif
#endif
#ifndef LOCKS_ARE_FAKED
# define LOCKS_ARE_FAKED 0
#endif

#ifndef MADV_POPULATE_READ
# define MADV_POPULATE_READ 22
#endif

/*****************************************************************************
 * Pages                                                                     *
 *****************************************************************************/

static size_t page;

/* With the one worker that there will be, so that nothing is mapped later
 * where a test needs a hole. */
static void
start (void)
{
  page = (size_t)sysconf (_SC_PAGESIZE);
  host_start ();
  eio_set_max_parallel (1);
  gives (0, eio_nop (KEEP));
}

static char *
map (size_t pages, int prot, int flags, int fd)
{
  char *p = mmap (0, pages * page, prot, flags, fd, 0);
  ck_assert_msg (p != MAP_FAILED, "mmap: %s", strerror (errno));
  return p;
}

/* Fresh memory, with a page behind it that is not there. */
static char *
map_memory (size_t pages, int prot)
{
  char *p = map (pages + 1, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  ck_assert_int_eq (munmap (p + pages * page, page), 0);
#ifdef MADV_NOHUGEPAGE
  madvise (p, pages * page, MADV_NOHUGEPAGE);
#endif
  return p;
}

/* Address space where nothing is. */
static char *
map_nothing (size_t pages)
{
  char *p = map_memory (pages, PROT_NONE);
  ck_assert_int_eq (munmap (p, pages * page), 0);
  return p;
}

/* A new file whose bytes tell which page they are in. */
static int
open_pages (size_t pages)
{
  int fd = open (scratch_path ("f"), O_RDWR | O_CREAT | O_TRUNC, 0666);
  char *buf = malloc (page);
  size_t i;

  ck_assert_int_ge (fd, 0);
  for (i = 0; i < pages; ++i)
    {
      memset (buf, (int)('a' + i % 26), page);
      ck_assert_int_eq (write (fd, buf, page), (ssize_t)page);
    }
  free (buf);
  return fd;
}

static void
expect_pages (const char *p, size_t pages)
{
  size_t i;

  for (i = 0; i < pages * page; i += 97)
    if (p[i] != (char)('a' + i / page % 26))
      ck_abort_msg ("byte %lu is %d", (unsigned long)i, p[i]);
}

/* One character a page: 1 where it is in memory. */
static const char *
residency (char *p, size_t pages)
{
  static unsigned char vec[1000];
  size_t i;

  ck_assert_uint_lt (pages, sizeof vec);
  ck_assert_int_eq (mincore (p, pages * page, vec), 0);
  for (i = 0; i < pages; ++i)
    vec[i] = vec[i] & 1 ? '1' : '0';
  vec[i] = 0;
  return (char *)vec;
}

/* Of this process, in kB, from /proc: a line "name:  n kB"; -1 when there is
 * none. */
static long
status_kb (const char *file, const char *name)
{
  FILE *f = fopen (file, "r");
  char line[256];
  long kb = -1;
  size_t n = strlen (name);

  while (f && fgets (line, sizeof line, f))
    if (!strncmp (line, name, n) && line[n] == ':')
      kb = strtol (line + n + 1, 0, 10);
  if (f)
    fclose (f);
  return kb;
}

/* Whether a page of a private mapping is a copy of its own by now; -1 where
 * the system does not tell. */
static int
is_copied (const char *p)
{
  int fd = open ("/proc/self/pagemap", O_RDONLY);
  uint64_t bits = 0;
  ssize_t n = -1;

  if (fd >= 0)
    {
      n = pread (fd, &bits, sizeof bits, (off_t)((size_t)p / page * 8));
      close (fd);
    }
  if (n != sizeof bits || !(bits >> 63))
    return -1;
  return !(bits >> 61 & 1);
}

/* Whether the kernel can make pages present. */
static int
can_populate (void)
{
  char *p = map_memory (1, PROT_READ);
  return !madvise (p, page, MADV_POPULATE_READ);
}

/*****************************************************************************
 * msync                                                                     *
 *****************************************************************************/

START_TEST (msync_takes_all_flags)
{
  static const int flags[] = {
    0,
    EIO_MS_ASYNC,
    EIO_MS_SYNC,
    EIO_MS_INVALIDATE,
    EIO_MS_ASYNC | EIO_MS_INVALIDATE,
    EIO_MS_SYNC | EIO_MS_INVALIDATE,
    EIO_MS_SYNC | EIO_MS_ASYNC,
  };
  int fd = open_pages (4), i;
  char *p = map (4, PROT_READ | PROT_WRITE, MAP_SHARED, fd);

  for (i = 0; i < LENGTH (flags); ++i)
    {
      int native = (flags[i] & EIO_MS_ASYNC ? MS_ASYNC : 0)
                   | (flags[i] & EIO_MS_SYNC ? MS_SYNC : 0)
                   | (flags[i] & EIO_MS_INVALIDATE ? MS_INVALIDATE : 0);
      memset (p, 'a', page);
      agrees (msync (p, 4 * page, native),
              eio_msync (p, 4 * page, flags[i], KEEP));
    }
  gives (0, eio_msync (p, 4 * page, EIO_MS_SYNC, KEEP));
  fails (EINVAL, eio_msync (p, page, EIO_MS_SYNC | EIO_MS_ASYNC, KEEP));
  expect_pages (p, 4);
}
END_TEST

/* Locked pages cannot be invalidated: this flag arrives. */
START_TEST (msync_invalidate_is_passed_on)
{
  char *p = map (1, PROT_READ | PROT_WRITE, MAP_SHARED, open_pages (1));

  if (LOCKS_ARE_FAKED || mlock (p, page))
    return;
  agrees (msync (p, page, MS_INVALIDATE),
          eio_msync (p, page, EIO_MS_INVALIDATE, KEEP));
  gives (0, eio_msync (p, page, EIO_MS_SYNC, KEEP));
}
END_TEST

/* Ranges, of three pages that are there. */
static const struct
{
  long from, to; /* see place */
  int error;
} ranges[] = {
  { 0, 1, 0 },           { 1, 2, 0 },           { 100, 10100, 0 },
  { 9999, 10001, 0 },    { 1, 29999, 0 },       { 0, 30000, 0 },
  { 20001, 30000, 0 },   { 0, 30001, ENOMEM },  { 29999, 30001, ENOMEM },
  { -1, 1, ENOMEM },     { -1, 30001, ENOMEM }, { 30000, 30001, ENOMEM },
  { 30010, 30020, ENOMEM },
};

/* 10000 is a page, whatever its size is: 20001 is one byte behind two, 19999
 * one before. */
static ptrdiff_t
place (long at)
{
  long n = at < 0 ? -1 : at / 10000, rest = at - n * 10000;
  ptrdiff_t bytes = rest > 5000 ? (ptrdiff_t)page - (10000 - rest) : rest;
  return n * (ptrdiff_t)page + bytes;
}

/* The page before is not there, nor is the one behind. */
static char *
map_island (void)
{
  char *p = map_memory (4, PROT_READ | PROT_WRITE);
  ck_assert_int_eq (munmap (p, page), 0);
  return p + page;
}

/* Valgrind objects to what is not mapped. */
static int
under_valgrind (void)
{
  const char *preload = getenv ("LD_PRELOAD");
  return preload && strstr (preload, "vgpreload");
}

START_TEST (msync_widens_the_range_to_whole_pages)
{
  char *p = map_island () + place (ranges[_i].from);
  size_t size = (size_t)(place (ranges[_i].to) - place (ranges[_i].from));

  if (ranges[_i].error && under_valgrind ())
    return;
  if (ranges[_i].error)
    fails (ranges[_i].error, eio_msync (p, size, EIO_MS_SYNC, KEEP));
  else
    gives (0, eio_msync (p, size, EIO_MS_SYNC, KEEP));
}
END_TEST

/*****************************************************************************
 * mtouch                                                                    *
 *****************************************************************************/

START_TEST (mtouch_brings_pages_in)
{
  static const struct
  {
    long from, to; /* see place */
    const char *want;
  } table[] = {
    { 0, 60000, "111111" },     { 10000, 20000, "010000" },
    { 10000, 10001, "010000" }, { 19999, 20000, "010000" },
    { 19999, 20001, "011000" }, { 10001, 40001, "011110" },
    { 50050, 60000, "000001" }, { 0, 0, "000000" },
    { 30000, 30000, "000000" }, { 50, 50001, "111111" },
  };
  int i;

  if (!advice_is_taken ())
    return;
  for (i = 0; i < LENGTH (table); ++i)
    {
      char *p = map_memory (6, PROT_READ | PROT_WRITE);
      size_t size = (size_t)(place (table[i].to) - place (table[i].from));
      ck_assert_str_eq (residency (p, 6), "000000");
      gives (0, eio_mtouch (p + place (table[i].from), size,
                            _i ? EIO_MT_MODIFY : 0, KEEP));
      ck_assert_msg (!strcmp (residency (p, 6), table[i].want),
                     "[%d]: %s, not %s", i, residency (p, 6), table[i].want);
      munmap (p, 6 * page);
    }
}
END_TEST

START_TEST (mtouch_changes_no_contents)
{
  static const int kinds[] = { MAP_PRIVATE, MAP_SHARED };
  int fd = open_pages (20), i, modify;

  for (i = 0; i < LENGTH (kinds); ++i)
    for (modify = 0; modify < 2; ++modify)
      {
        char *p = map (20, PROT_READ | PROT_WRITE, kinds[i], fd);
        gives (0, eio_mtouch (p + 5, 19 * page, modify ? EIO_MT_MODIFY : 0,
                              KEEP));
        ck_assert_str_eq (residency (p, 20), "11111111111111111111");
        expect_pages (p, 20);
        munmap (p, 20 * page);
      }
  for (i = 0; i < 20; ++i)
    {
      char c;
      ck_assert_int_eq (pread (fd, &c, 1, (off_t)((size_t)i * page)), 1);
      ck_assert_int_eq (c, 'a' + i);
    }
}
END_TEST

START_TEST (mtouch_modifies_only_when_told_to)
{
  char *p = map (2, PROT_READ | PROT_WRITE, MAP_PRIVATE, open_pages (2));

  gives (0, eio_mtouch (p, 2 * page, 0, KEEP));
  ck_assert_int_ne (is_copied (p), 1);
  gives (0, eio_mtouch (p + page, 1, EIO_MT_MODIFY, KEEP));
  ck_assert_int_ne (is_copied (p), 1);
  ck_assert_int_ne (is_copied (p + page), 0);
  expect_pages (p, 2);
}
END_TEST

/* From the disk, if they can be driven out of memory. */
START_TEST (mtouch_reads_files_in)
{
  int fd = open_pages (50);
  char *p = map (50, PROT_READ, MAP_SHARED, fd);

  if (!advice_is_taken ())
    return;
  ck_assert_int_eq (fsync (fd), 0);
  posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED);
  gives (0, eio_mtouch (p, 10 * page, 0, KEEP));
  ck_assert_int_eq (strncmp (residency (p, 50), "1111111111", 10), 0);
  gives (0, eio_mtouch (p, 50 * page, 0, KEEP));
  ck_assert_ptr_null (strchr (residency (p, 50), '0'));
  expect_pages (p, 50);
}
END_TEST

/* What a host may do to a worker's signal. */
static void
on_signal (int sig)
{
  (void)sig;
  _exit (77);
}

/* Runs it in a child.  Returns 1 when it did its checks and ended, 0 when a
 * signal reached the host's handler. */
static int
survives (void (*test) (void))
{
  int status;
  pid_t pid = fork ();

  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      struct sigaction action = { .sa_handler = on_signal };
      sigaction (SIGSEGV, &action, 0);
      sigaction (SIGBUS, &action, 0);
      start ();
      test ();
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_msg (WIFEXITED (status), "signal %d", WTERMSIG (status));
  ck_assert_msg (WEXITSTATUS (status) == 0 || WEXITSTATUS (status) == 77,
                 "exit status %d", WEXITSTATUS (status));
  return WEXITSTATUS (status) == 0;
}

/* A file of four pages, opened before it comes to children. */
static int four_pages;

static void
touch_truncated (void)
{
  char *p = map (4, PROT_READ | PROT_WRITE, MAP_SHARED, four_pages);
  int flags;

  ck_assert_int_eq (ftruncate (four_pages, (off_t)page), 0);
  for (flags = 0; flags <= EIO_MT_MODIFY; ++flags)
    {
      fails (EFAULT, eio_mtouch (p, 4 * page, flags, KEEP));
      fails (EFAULT, eio_mtouch (p + page, 1, flags, KEEP));
      gives (0, eio_mtouch (p, page, flags, KEEP));
    }
}

static void
touch_unmapped (void)
{
  char *island = map_island (), *nothing = map_nothing (3);
  int flags;

  for (flags = 0; flags <= EIO_MT_MODIFY; ++flags)
    {
      ck_assert_int_eq (run (eio_mtouch (nothing, page, flags, KEEP)), -1);
      ck_assert (got.errorno == ENOMEM || got.errorno == EFAULT);
      ck_assert_int_eq (run (eio_mtouch (island, 4 * page, flags, KEEP)), -1);
      ck_assert (got.errorno == ENOMEM || got.errorno == EFAULT);
      ck_assert_int_eq (run (eio_mtouch (island - 1, 2, flags, KEEP)), -1);
      ck_assert (got.errorno == ENOMEM || got.errorno == EFAULT);
    }
}

static void
touch_protected (void)
{
  char *none = map_memory (2, PROT_NONE);
  char *readable = map_memory (2, PROT_READ);

  ck_assert_int_eq (run (eio_mtouch (none, page, 0, KEEP)), -1);
  ck_assert_int_ne (got.errorno, 0);
  gives (0, eio_mtouch (readable, page, 0, KEEP));
  ck_assert_int_eq (run (eio_mtouch (readable, page, EIO_MT_MODIFY, KEEP)),
                    -1);
  ck_assert_int_ne (got.errorno, 0);
}

static void (*const bad_touches[]) (void) = {
  touch_truncated, touch_unmapped, touch_protected,
};

START_TEST (mtouch_of_bad_memory_is_an_error_or_the_hosts_signal)
{
  int survived;

  if (!advice_is_taken ())
    return;
  four_pages = open_pages (4);
  survived = survives (bad_touches[_i]);
  if (can_populate ())
    ck_assert_msg (survived, "a signal came, in spite of MADV_POPULATE");
}
END_TEST

static int destroys;

static void
note_destroy (eio_req *req)
{
  (void)req;
  ++destroys;
}

/* So much that it would take long, and the last page would be there. */
START_TEST (cancelled_mtouch_stops)
{
  static eio_req req;
  size_t pages = ((size_t)128 << 30) / page;
  unsigned char vec;
  char *p;

  if (sizeof (size_t) < 8)
    return;
  p = mmap (0, pages * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS
            | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED)
    return;
#ifdef MADV_NOHUGEPAGE
  madvise (p, pages * page, MADV_NOHUGEPAGE);
#endif
  got.finish = 0;
  req.type = EIO_MTOUCH;
  req.ptr2 = p;
  req.size = pages * page;
  req.finish = keep;
  req.destroy = note_destroy;
  eio_submit (&req);
  wait_until (eio_nready () == 0);
  eio_cancel (&req);
  host_drain ();
  ck_assert_int_eq (destroys, 1);
  ck_assert_msg (!got.finish, "finish was called");
  ck_assert_int_eq (mincore (p + (pages - 1) * page, page, &vec), 0);
  ck_assert_int_eq (vec & 1, 0);
  munmap (p, pages * page);
}
END_TEST

/*****************************************************************************
 * mlock, mlockall                                                           *
 *****************************************************************************/

static long
locked_pages (void)
{
  long kb = status_kb ("/proc/self/status", "VmLck");
  return kb < 0 ? -1 : kb / (long)(page / 1024);
}

/* Whether this process may lock that many bytes at all. */
static int
can_lock (size_t size)
{
  struct rlimit limit;

  if (LOCKS_ARE_FAKED || locked_pages () < 0)
    return 0;
  ck_assert_int_eq (getrlimit (RLIMIT_MEMLOCK, &limit), 0);
  return !geteuid () || limit.rlim_cur == RLIM_INFINITY
         || limit.rlim_cur >= size;
}

START_TEST (mlock_locks_whole_pages)
{
  static const struct
  {
    long from, to;
    long pages;
  } table[] = {
    { 0, 10000, 1 }, { 0, 1, 1 },      { 1, 2, 1 },    { 9999, 10001, 2 },
    { 1, 20001, 3 }, { 0, 30000, 3 },  { 10000, 10000, 0 },
  };
  int i;

  if (!can_lock (3 * page))
    return;
  for (i = 0; i < LENGTH (table); ++i)
    {
      char *p = map_memory (3, PROT_READ | PROT_WRITE);
      size_t size = (size_t)(place (table[i].to) - place (table[i].from));
      long before = locked_pages ();
      gives (0, eio_mlock (p + place (table[i].from), size, KEEP));
      ck_assert_int_eq (locked_pages () - before, table[i].pages);
      munmap (p, 3 * page);
    }
}
END_TEST

START_TEST (mlock_of_nothing_is_enomem)
{
  if (!can_lock (3 * page))
    return;
  fails (ENOMEM, eio_mlock (map_nothing (2), page, KEEP));
  fails (ENOMEM, eio_mlock (map_island (), 4 * page, KEEP));
  fails (ENOMEM, eio_mlock (map_island () - 1, 2, KEEP));
}
END_TEST

/* A length that leaves the address space is that of nothing that is there. */
START_TEST (lengths_do_not_wrap)
{
  char *addr = map_nothing (2);

  fails (ENOMEM, eio_mlock (addr, (size_t)-1, KEEP));
  fails (ENOMEM, eio_munlock (addr, (size_t)-1, KEEP));
  fails (ENOMEM, eio_msync (addr, (size_t)-1, EIO_MS_SYNC, KEEP));
  fails (ENOMEM, eio_mtouch (addr, (size_t)-1, 0, KEEP));
  fails (ENOMEM, eio_mlock (addr, (size_t)0 - (size_t)addr, KEEP));
}
END_TEST

/* As an ordinary user, for whom limits hold. */
static void
in_child_as_user (void (*test) (void))
{
  int status;
  pid_t pid = fork ();

  ck_assert_int_ge (pid, 0);
  if (!pid)
    {
      if (!geteuid ()
          && (setgroups (0, 0) || setgid (NOBODY) || setuid (NOBODY)))
        _exit (99);
      start ();
      test ();
      _exit (0);
    }
  ck_assert_int_eq (waitpid (pid, &status, 0), pid);
  ck_assert_int_eq (status, 0);
}

static void
lock_within_limits (void)
{
  struct rlimit limit = { 4 * page, 4 * page };
  char *p = map_memory (10, PROT_READ | PROT_WRITE);

  if (setrlimit (RLIMIT_MEMLOCK, &limit))
    return;
  gives (0, eio_mlock (p, 3 * page, KEEP));
  agrees (mlock (p, 10 * page), eio_mlock (p, 10 * page, KEEP));
  fails (ENOMEM, eio_mlock (p, 10 * page, KEEP));
  ck_assert_int_eq (munlock (p, 10 * page), 0);
  gives (0, eio_mlock (p + 1, 4 * page - 1, KEEP));
  fails (ENOMEM, eio_mlockall (EIO_MCL_CURRENT, KEEP));
  ck_assert_int_eq (eio_mlockall_sync (EIO_MCL_CURRENT), -1);
  ck_assert_int_eq (errno, ENOMEM);
}

START_TEST (locking_obeys_the_limit)
{
  if (can_lock (4 * page) && child_may_start_threads ())
    in_child_as_user (lock_within_limits);
}
END_TEST

static int
lock_all (int flags)
{
  run (eio_mlockall (flags, KEEP));
  errno = got.errorno;
  return (int)got.result;
}

static int (*const all_lockers[]) (int) = { lock_all, eio_mlockall_sync };

/* This process is the test's own, so what it locks goes with it. */
START_TEST (mlockall_locks_what_is_and_what_will_be)
{
  char *p = map_memory (10, PROT_READ | PROT_WRITE), *later;
  long before = locked_pages ();

  if (LOCKS_ARE_FAKED || before < 0 || all_lockers[_i] (EIO_MCL_CURRENT))
    {
      ck_assert (LOCKS_ARE_FAKED || before < 0 || errno == ENOMEM
                 || errno == EPERM);
      return;
    }
  ck_assert_int_gt (locked_pages (), before + 10);
  ck_assert_str_eq (residency (p, 10), "1111111111");
  later = map_memory (10, PROT_READ | PROT_WRITE);
  ck_assert_str_eq (residency (later, 10), "0000000000");

  ck_assert_int_eq (munlockall (), 0);
  ck_assert_int_eq (all_lockers[_i] (EIO_MCL_FUTURE), 0);
  later = map_memory (10, PROT_READ | PROT_WRITE);
  ck_assert_str_eq (residency (later, 10), "1111111111");
  munlockall ();
}
END_TEST

#ifdef MCL_ONFAULT
START_TEST (mlockall_on_fault_does_not_fault)
{
  char *later;

  if (LOCKS_ARE_FAKED || geteuid () || mlockall (MCL_FUTURE | MCL_ONFAULT)
      || munlockall ())
    return;
  ck_assert_int_eq (all_lockers[_i] (EIO_MCL_FUTURE | EIO_MCL_ONFAULT), 0);
  later = map_memory (10, PROT_READ | PROT_WRITE);
  ck_assert_str_eq (residency (later, 10), "0000000000");
  later[3 * page] = 1;
  ck_assert_str_eq (residency (later, 10), "0001000000");
  munlockall ();
}
END_TEST
#endif

START_TEST (mlockall_refuses_what_the_system_refuses)
{
  if (LOCKS_ARE_FAKED)
    return;
  fails (EINVAL, eio_mlockall (0, KEEP));
  errno = 0;
  ck_assert_int_eq (eio_mlockall_sync (0), -1);
  ck_assert_int_eq (errno, EINVAL);
#ifdef MCL_ONFAULT
  fails (EINVAL, eio_mlockall (EIO_MCL_ONFAULT, KEEP));
  ck_assert_int_eq (eio_mlockall_sync (EIO_MCL_ONFAULT), -1);
#endif
}
END_TEST

START_TEST (no_bytes_are_no_work)
{
  char *p = map_memory (1, PROT_READ | PROT_WRITE);

  gives (0, eio_msync (p, 0, EIO_MS_SYNC, KEEP));
  gives (0, eio_mtouch (p, 0, 0, KEEP));
  gives (0, eio_mtouch (p, 0, EIO_MT_MODIFY, KEEP));
  gives (0, eio_mlock (p, 0, KEEP));
  ck_assert_str_eq (residency (p, 1), "0");
}
END_TEST

/*****************************************************************************
 * Suite                                                                     *
 *****************************************************************************/

int
main (void)
{
  Suite *suite = suite_create ("memory");
  TCase *tc = add_case (suite, "msync", 60, start, 0);
  tcase_add_test (tc, msync_takes_all_flags);
  tcase_add_test (tc, msync_invalidate_is_passed_on);
  tcase_add_loop_test (tc, msync_widens_the_range_to_whole_pages, 0,
                       LENGTH (ranges));

  tc = add_case (suite, "mtouch", 60, start, 0);
  tcase_add_loop_test (tc, mtouch_brings_pages_in, 0, 2);
  tcase_add_test (tc, mtouch_changes_no_contents);
  tcase_add_test (tc, mtouch_modifies_only_when_told_to);
  tcase_add_test (tc, mtouch_reads_files_in);
  tcase_add_loop_test (tc,
                       mtouch_of_bad_memory_is_an_error_or_the_hosts_signal,
                       0, LENGTH (bad_touches));
  tcase_add_test (tc, cancelled_mtouch_stops);
  tcase_add_test (tc, no_bytes_are_no_work);

  tc = add_case (suite, "mlock", 60, start, 0);
  tcase_add_test (tc, mlock_locks_whole_pages);
  tcase_add_test (tc, mlock_of_nothing_is_enomem);
  tcase_add_test (tc, lengths_do_not_wrap);
  tcase_add_test (tc, locking_obeys_the_limit);
  tcase_add_loop_test (tc, mlockall_locks_what_is_and_what_will_be, 0,
                       LENGTH (all_lockers));
#ifdef MCL_ONFAULT
  tcase_add_loop_test (tc, mlockall_on_fault_does_not_fault, 0,
                       LENGTH (all_lockers));
#endif
  tcase_add_test (tc, mlockall_refuses_what_the_system_refuses);
  return run_suite (suite);
}
