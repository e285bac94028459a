/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1 /* nftw */
#endif

#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fds[2] = { -1, -1 };
static atomic_int inside, wants, dones;

static void
die (const char *why)
{
  fprintf (stderr, "host: %s (want_poll %d, done_poll %d)\n", why, wants,
           dones);
  abort ();
}

static void
want_poll (void)
{
  if (atomic_fetch_add (&inside, 1))
    die ("want_poll while another callback runs");
  if (wants != dones)
    die ("want_poll twice");
  if (write (fds[1], "w", 1) != 1)
    die ("write");
  atomic_fetch_sub (&inside, 1);
  ++wants; /* the last: who has seen it may begin anew */
}

static void
done_poll (void)
{
  char c;
  if (atomic_fetch_add (&inside, 1))
    die ("done_poll while another callback runs");
  if (wants != dones + 1)
    die ("done_poll without want_poll");
  if (read (fds[0], &c, 1) != 1)
    die ("read");
  ++dones;
  atomic_fetch_sub (&inside, 1);
}

void
host_start (void)
{
  if (fds[0] >= 0)
    {
      close (fds[0]);
      close (fds[1]);
    }
  ck_assert_int_eq (pipe (fds), 0);
  inside = wants = dones = 0;
  ck_assert_int_eq (eio_init (want_poll, done_poll), 0);
}

int
host_fd (void)
{
  return fds[0];
}

int
host_wants (void)
{
  return wants;
}

int
host_dones (void)
{
  return dones;
}

int
host_wait (int ms)
{
  struct pollfd p = { fds[0], POLLIN, 0 };
  int n;
  do
    n = poll (&p, 1, ms < 0 ? 60000 : ms);
  while (n < 0 && errno == EINTR);
  if (n == 0 && ms < 0)
    die ("no result in 60 s");
  return n;
}

int
host_poll (void)
{
  host_wait (-1);
  return eio_poll ();
}

void
host_drain (void)
{
  double end = now () + 60;
  while (eio_nreqs ())
    {
      host_poll ();
      if (now () > end)
        die ("not drained in 60 s");
    }
}

void
start_paused (void)
{
  host_start ();
  eio_set_max_parallel (0);
}

void
resume (unsigned int workers)
{
  eio_set_min_parallel (workers);
}

void
execute_all (void)
{
  resume (1);
  wait_until (eio_nready () == 0);
  eio_set_max_parallel (0);
}

void
take (sem_t *sem)
{
  while (sem_wait (sem))
    ;
}

void
give (sem_t *sem, int n)
{
  while (n--)
    sem_post (sem);
}

sem_t arrived, let_go;

void
prepare_stays (void)
{
  sem_init (&arrived, 0, 0);
  sem_init (&let_go, 0, 0);
}

void
stay (eio_req *req)
{
  sem_post (&arrived);
  take (&let_go);
  req->result = 0;
}

void
await_arrivals (int n)
{
  while (n--)
    {
      struct timespec end;
      clock_gettime (CLOCK_REALTIME, &end);
      end.tv_sec += 30;
      while (sem_timedwait (&arrived, &end))
        ck_assert_msg (errno == EINTR, "nothing executes");
    }
}

unsigned int
xorshift32 (unsigned int *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

/* Only then: Check counts a test's microseconds in 31 bits, and fails one that
 * has more. What ends by itself has passed. */
void
end_long_test (double seconds)
{
  if (seconds < 2000)
    return;
  fflush (0);
  _exit (0);
}

int finishes;

int
count (eio_req *req)
{
  (void)req;
  ++finishes;
  return 0;
}

/* The alarm has to get through in a child of a worker, too, and not to the
 * handler of Check's. */
void
begin_child (void)
{
  sigset_t none;

  sigemptyset (&none);
  signal (SIGALRM, SIG_DFL);
  pthread_sigmask (SIG_SETMASK, &none, 0);
  alarm (20);
  finishes = 0;
}

static void
end_process (void *value)
{
  (void)value;
  _exit (0);
}

void
end_with_thread (void)
{
  pthread_key_t key;

  pthread_key_create (&key, end_process);
  pthread_setspecific (key, &key);
}

void
expect_success (pid_t pid)
{
  int status;

  ck_assert_int_gt (pid, 0);
  while (waitpid (pid, &status, 0) != pid)
    continue;
  ck_assert_msg (WIFEXITED (status) && WEXITSTATUS (status) == 0,
                 "child: status %#x (signal %d)", status,
                 WIFSIGNALED (status) ? WTERMSIG (status) : 0);
}

pid_t parent;

int
parents_finish (eio_req *req)
{
  if (getpid () != parent)
    {
      fprintf (stderr, "child: got a result of the parent's\n");
      _exit (2);
    }
  return count (req);
}

int
note (eio_req *req)
{
  outcome *o = req->data;
  ++o->calls;
  o->result = req->result;
  o->errorno = req->errorno;
  o->offs = req->offs;
  o->wd = req->wd;
  return 0;
}

static char dir[4096];
static pid_t dir_owner;

static int
remove_entry (const char *path, const struct stat *st, int type,
              struct FTW *ftw)
{
  (void)st, (void)type, (void)ftw;
  return remove (path);
}

void
remove_tree (const char *path)
{
  nftw (path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void
remove_scratch (void)
{
  if (dir_owner == getpid ())
    remove_tree (dir);
}

const char *
scratch (void)
{
  if (dir_owner != getpid ())
    {
      const char *tmp = getenv ("TMPDIR");
      snprintf (dir, sizeof dir, "%s/eiotest.XXXXXX", tmp ? tmp : "/tmp");
      if (!mkdtemp (dir))
        die ("mkdtemp");
      dir_owner = getpid ();
      atexit (remove_scratch);
    }
  return dir;
}

const char *
scratch_path (const char *name)
{
  static char paths[8][5000];
  static int turn;
  char *path = paths[turn++ % 8];
  snprintf (path, sizeof paths[0], "%s/%s", scratch (), name);
  return path;
}

void
write_file (const char *path, const void *data, size_t size)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  ck_assert_msg (fd >= 0, "%s: %s", path, strerror (errno));
  ck_assert_int_eq (write (fd, data, size), (ssize_t)size);
  close (fd);
}

int
exists (const char *path)
{
  struct stat st;
  return !lstat (path, &st);
}

struct stat
status_of (const char *path)
{
  struct stat st;
  ck_assert_msg (!lstat (path, &st), "%s: %s", path, strerror (errno));
  return st;
}

static int
count_entries (const char *path)
{
  DIR *d = opendir (path);
  int n = 0;
  ck_assert_ptr_nonnull (d);
  while (readdir (d))
    ++n;
  closedir (d);
  return n - 2;
}

int
count_fds (void)
{
  return count_entries ("/proc/self/fd") - 1;
}

/* What is there before the program begins, beside its only thread: QEMU's user
 * mode has one of its own.  Those of sanitizers come and go. */
static int foreign_threads;

#if defined __linux__ && !HAVE_SANITIZER
__attribute__ ((constructor)) static void
count_foreign_threads (void)
{
  struct stat st;

  /* Its links; some rooms have a readdir of their own. */
  if (!stat ("/proc/self/task", &st))
    foreign_threads = (int)st.st_nlink - 2 - 1;
}
#endif

int
count_threads (void)
{
  return count_entries ("/proc/self/task") - foreign_threads;
}

size_t
default_stack_size (void)
{
  pthread_attr_t attr;
  size_t size;

  pthread_attr_init (&attr);
  pthread_attr_getstacksize (&attr, &size);
  pthread_attr_destroy (&attr);
  return size;
}

int
advice_is_taken (void)
{
  return madvise (0, (size_t)sysconf (_SC_PAGESIZE), 12345) != 0;
}

static void *
wait_for (void *semaphore)
{
  take (semaphore);
  return 0;
}

static void
start_and_end_thread (sem_t *end)
{
  pthread_t thread;

  need (!pthread_create (&thread, 0, wait_for, end));
  give (end, 1);
  pthread_join (thread, 0);
}

int
child_may_start_threads (void)
{
  sem_t end;
  pthread_t thread;
  pid_t pid;
  int status;

  sem_init (&end, 0, 0);
  if (pthread_create (&thread, 0, wait_for, &end) || (pid = fork ()) < 0)
    abort (); /* also outside of tests, where nothing can be asserted */
  if (!pid)
    {
      begin_child ();
      start_and_end_thread (&end);
      _exit (0);
    }
  while (waitpid (pid, &status, 0) != pid)
    ;
  give (&end, 1);
  pthread_join (thread, 0);
  sem_destroy (&end);
  return !status;
}

void
in_another_life (int life, void (*what) (void))
{
  if (life >= 3)
    {
      pid_t pid;

      if (!child_may_start_threads ())
        return;
      pid = fork ();
      if (pid)
        {
          expect_success (pid);
          return;
        }
      begin_child ();
    }
  if (life % 3 == 1)
    ck_assert_int_eq (eio_init (0, 0), 0);
  if (life % 3 == 2)
    ck_assert_int_eq (eio_shutdown (EIO_SHUTDOWN_DRAIN, -1), 0);
  what ();
  if (life >= 3)
    _exit (0);
}

void
nap (int ms)
{
  struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
  nanosleep (&t, 0);
}

double
now (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

TCase *
add_case (Suite *suite, const char *name, int seconds, void (*setup) (void),
          void (*teardown) (void))
{
  TCase *tc = tcase_create (name);
  tcase_set_timeout (tc, seconds);
  tcase_add_checked_fixture (tc, setup, teardown);
  suite_add_tcase (suite, tc);
  return tc;
}

void
stop_workers (void)
{
  eio_set_max_parallel (0);
}

int
run_suite (Suite *suite)
{
  SRunner *runner = srunner_create (suite);
  int failed;
  srunner_run_all (runner, CK_ENV);
  failed = srunner_ntests_failed (runner);
  srunner_free (runner);
  return failed != 0;
}
