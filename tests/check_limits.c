/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The library as it is built, where the system denies it something: system
 * calls, by a filter as sandboxes have them, whose supervisor is a thread of
 * the test; threads; descriptors; room on the disk; the right to write there.
 * A sample of every request is run meanwhile: it ends with its usual result,
 * or with the error, and leaves nothing behind.  check_sysfault does the same
 * by macros, which see no calls of libc's own. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#ifdef HAVE_CONFIG_H
# include "config.h"
#endif

#include "support.h"

#include "ecb.h"
#include "eiotree.h"
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

/* The kernel's headers are not where musl's are. */
#ifdef __has_include
# if __has_include (<linux/filter.h>) && __has_include (<linux/seccomp.h>)
#  include <linux/filter.h>
#  include <linux/seccomp.h>
# endif
#endif

/*****************************************************************************
 * A supervisor                                                              *
 *****************************************************************************/

enum { CALL_COUNT = 1024 }; /* by number */
#include "faults.h"

#if defined SECCOMP_FILTER_FLAG_NEW_LISTENER \
    && defined SECCOMP_USER_NOTIF_FLAG_CONTINUE
# define HAVE_SUPERVISOR 1

/* What threads need, and sanitizers: not supervised. */
static const int exempt[] = {
  SYS_brk, SYS_clone, SYS_exit, SYS_exit_group, SYS_futex, SYS_getpid,
  SYS_gettid, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap, SYS_nanosleep,
  SYS_clock_gettime, SYS_clock_nanosleep, SYS_prctl, SYS_restart_syscall,
  SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait,
  SYS_sched_getaffinity, SYS_sched_yield, SYS_set_robust_list,
  SYS_sigaltstack, SYS_tgkill,
# ifdef SYS_clone3
  SYS_clone3,
# endif
# ifdef SYS_rseq
  SYS_rseq,
# endif
# ifdef SYS_membarrier
  SYS_membarrier,
# endif
# ifdef SYS_mmap2
  SYS_mmap2,
# endif
# ifdef SYS_futex_time64
  SYS_futex_time64, SYS_clock_gettime64, SYS_clock_nanosleep_time64,
  SYS_rt_sigtimedwait_time64,
# endif
};

/* Those that succeed without being made: how long a disk takes, and how much
 * memory may be locked, is beside the point. */
static const int idle[] = {
  SYS_sync, SYS_fsync, SYS_fdatasync, SYS_syncfs, SYS_mlock, SYS_mlockall,
  SYS_munlock, SYS_munlockall,
# ifdef SYS_sync_file_range
  SYS_sync_file_range,
# endif
};

static int listener, stop_fd;
static int host_end; /* what want_poll writes to, which may not fail */
static sem_t confined;
static pthread_t supervisor;

/* Of the thread that executes this, and of those that it starts. */
static void
confine (eio_req *req)
{
  struct sock_filter code[2 * LENGTH (exempt) + 2];
  struct sock_fprog program = { LENGTH (code), code };
  int i, n = 0;

  code[n++] = (struct sock_filter)BPF_STMT (
    BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr));
  for (i = 0; i < LENGTH (exempt); ++i)
    {
      code[n++] = (struct sock_filter)BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K,
                                                (unsigned)exempt[i], 0, 1);
      code[n++] = (struct sock_filter)BPF_STMT (BPF_RET | BPF_K,
                                                SECCOMP_RET_ALLOW);
    }
  code[n++] = (struct sock_filter)BPF_STMT (BPF_RET | BPF_K,
                                            SECCOMP_RET_USER_NOTIF);

  listener = -1;
  if (!prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    listener = (int)syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                             SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  req->result = listener;
  give (&confined, 1);
}

/* The other end of the pipe. */
static int
find_host_end (void)
{
  struct stat pipe = { 0 }, st;
  int fd = 0;

  ck_assert_int_eq (fstat (host_fd (), &pipe), 0);
  while (fd == host_fd () || fstat (fd, &st) || st.st_ino != pipe.st_ino
         || st.st_dev != pipe.st_dev)
    ck_assert_int_lt (++fd, 1000);
  return fd;
}

static void
answer_call (const struct seccomp_data *call, struct seccomp_notif_resp *reply)
{
  int error = 0, i;

  if (call->nr >= 0 && call->nr < CALL_COUNT
      && (call->nr != SYS_write || (int)call->args[0] != host_end))
    error = error_of (call->nr);
  reply->error = -error;

  /* It is closed, whatever is said. (ThreadSanitizer knows nothing of how the
   * two threads are synchronised.) */
  if (error && call->nr == SYS_close)
    syscall (SYS_close, (int)call->args[0]);
  for (i = 0; !error && i < LENGTH (idle); ++i)
    if (call->nr == idle[i])
      return;
  if (!error)
    reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

static void *
supervise (void *arg)
{
  /* The kernel's may be larger than those of the headers. */
  static union
  {
    struct seccomp_notif it;
    char room[4096];
  } call;
  static union
  {
    struct seccomp_notif_resp it;
    char room[4096];
  } reply;

  take (&confined);
  for (;;)
    {
      struct pollfd p[] = { { listener, POLLIN, 0 }, { stop_fd, POLLIN, 0 } };

      if (listener < 0 || (poll (p, 2, -1) < 0 && errno != EINTR)
          || p[1].revents || p[0].revents & ~POLLIN)
        return arg;
      memset (&call, 0, sizeof call);
      if (ioctl (listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
        continue;
      memset (&reply, 0, sizeof reply);
      reply.it.id = call.it.id;
      answer_call (&call.it.data, &reply.it);
      ioctl (listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

/* The only worker, from now on.  Returns whether it can be. */
static int
begin_supervision (void)
{
  sem_init (&confined, 0, 0);
  stop_fd = eventfd (0, 0);
  ck_assert_int_ge (stop_fd, 0);
  host_end = find_host_end ();
  ck_assert_int_eq (pthread_create (&supervisor, 0, supervise, 0), 0);
  eio_set_max_parallel (1);
  if (run (eio_custom (confine, KEEP)) >= 0)
    return 1;
  pthread_join (supervisor, 0);
  printf ("skipped: no filter can be supervised here\n");
  return 0;
}

static void
end_supervision (void)
{
  disarm ();
  eio_set_max_parallel (0);
  ck_assert_int_eq (eventfd_write (stop_fd, 1), 0);
  pthread_join (supervisor, 0);
}

#else
# define HAVE_SUPERVISOR 0
#endif

/*****************************************************************************
 * Samples                                                                   *
 *****************************************************************************/

/* What sample.h has of rooms that include eio.c. */
enum { live }; /* blocks are not counted here */
static int eio__opendir (eio_req *req);
static void eio__leave_dir (eio_dir *dir);

#include "sample.h"
#include "requests.h"

static int
opened (eio_req *req)
{
  *(eio_dir **)req->data = eio_req_dir (req);
  return 0;
}

static int
eio__opendir (eio_req *req)
{
  eio_dir *dir = 0;

  eio_opendir (req->ptr1, 0, opened, &dir);
  host_drain ();
  req->int3 = (long)dir;
  return dir ? 0 : -1;
}

static void
eio__leave_dir (eio_dir *dir)
{
  eio_closedir (dir, 0, 0, 0);
}

typedef struct
{
  eio_ssize_t result;
  int errorno;
  unsigned long digest;
} ending;

/* What is done just before, and after. */
static void (*before_sample) (void), (*after_sample) (void);

static ending
execute (const eio_req *req)
{
  ending e;

  if (before_sample)
    before_sample ();
  e.result = run (submit (*req));
  if (after_sample)
    after_sample ();
  e.errorno = got.errorno;
  e.digest = digest (&got);
  close_result (&got);
  host_drain ();
  return e;
}

static ending
execute_sample (const sample *s)
{
  eio_req req = s->req;
  ending e;

  if (s->how & WD || req.type == EIO_WD_CLOSE)
    req.wd = eio_wd_open_sync (0, path[SUB_PATH]);
  ck_assert_ptr_ne (req.wd, EIO_INVALID_WD);
  if (needs_dir (&req))
    req.int3 = open_dir ();
  e = execute (&req);
  if (req.type != EIO_WD_CLOSE)
    eio_wd_close_sync (req.wd);
  if (req.type == EIO_READDIR_NEXT)
    close_dir (req.int3);
  host_drain ();
  return e;
}

/* Whether what could be done may be a success. */
static int
may_be_partial (int type)
{
  return type == EIO_SENDFILE || type == EIO_COPY_RANGE || type == EIO_SCANDIR
         || type == EIO_READDIR_NEXT || type == EIO_WRITE_ALL
         || type == EIO_WRITEV || type == EIO_WRITE || type == EIO_READ_ALL;
}

/* Neither the old nor the new file may be lost. */
static void
assert_nothing_lost (const sample *s, unsigned long saved)
{
  unsigned long old = hash (6, content, 5);

  if (s->req.type == EIO_MOVE && s->req.ptr1 == path[OLD_PATH])
    ck_assert (hash_file (path[OLD_PATH]) == old
               || hash_file (path[NEW_PATH]) == old);
  if (s->req.type == EIO_SAVE && s->req.ptr1 == path[OLD_PATH])
    ck_assert (hash_file (path[OLD_PATH]) == old
               || hash_file (path[OLD_PATH]) == saved);
}

/* It ended as always, or with the error; or so that what sandboxes refuse is
 * taken for what the system lacks. */
static void
assert_ending (const sample *s, ending e, ending clean, int error,
               const char *what)
{
  ck_assert_msg (e.digest == clean.digest
                   || (e.result == -1 && e.errorno == error)
                   || (error == EPERM && e.errorno == ENOSYS)
                   || (may_be_partial (s->req.type) && e.result > 0),
                 "%s, %s: %s: %ld, %s", s->name, what, strerror (error),
                 (long)e.result, strerror (e.errorno));
  assert_nothing_lost (s, clean.digest);
}

static void
start (int entries)
{
  host_start ();
  make_fixture ("file");
  make_directory (entries, 1);
  renew_fixture ();
}

/*****************************************************************************
 * Calls that fail                                                           *
 *****************************************************************************/

#if HAVE_SUPERVISOR

static int calls[CALL_COUNT]; /* which the last sample made, and how often */

static void
begin_counting (void)
{
  int i;

  for (i = 0; i < CALL_COUNT; ++i)
    faults[i].calls = 0;
}

static void
end_counting (void)
{
  int i;

  for (i = 0; i < CALL_COUNT; ++i)
    calls[i] = calls_of (i);
  disarm ();
}

static char what[50]; /* fails, and how */

static ending
execute_faulty (const sample *s, int nr, int error, int first, int times)
{
  ending e;

  snprintf (what, sizeof what, "call %d, %s after %d, %d times", nr,
            strerror (error), first, times);
  arm (nr, error, first, times);
  before_sample = begin_counting;
  after_sample = end_counting;
  e = execute_sample (s);
  before_sample = after_sample = 0;
  return e;
}

/* Nobody notices an interruption, but of close, which is not repeated. */
static void
check_interrupted (const sample *s, int nr, int nth, ending clean)
{
  ending e = execute_faulty (s, nr, EINTR, nth, 2);
  int tells = s->req.type == EIO_CLOSE || s->req.type == EIO_CLOSEDIR;

  ck_assert_msg (e.digest == clean.digest || (tells && e.errorno == EINTR),
                 "%s, %s: %ld, %s", s->name, what, (long)e.result,
                 strerror (e.errorno));
}

static void
check_call (const sample *s, int nr, int times, ending clean)
{
  static const int errors[] = { EIO, EMFILE, ENOSYS };
  static const int refusals[] = { EPERM, ENOSYS };
  estate before = survey (0);
  int i, n;

  for (n = 0; n < times; n += n < 2 || n == times - 1 ? 1 : times - 1 - n)
    {
      check_interrupted (s, nr, n, clean);
      assert_same_estate (before, survey (0), what);
      for (i = 0; i < LENGTH (errors); ++i)
        {
          ending e = execute_faulty (s, nr, errors[i], n, 1);

          assert_ending (s, e, clean, errors[i], what);
          assert_same_estate (before, survey (0), what);
        }
    }
  for (i = 0; i < LENGTH (refusals); ++i)
    {
      ending e = execute_faulty (s, nr, refusals[i], 0, FOR_EVER);

      assert_ending (s, e, clean, refusals[i], what);
      survey (0);
      e = execute_sample (s);
      ck_assert_msg (e.digest == clean.digest || e.errorno == ENOSYS,
                     "%s after %s", s->name, what);
      assert_same_estate (before, survey (0), what);
    }
}

/* Each system call that a sample makes: its first, second, third and last
 * one, then all of them. */
START_TEST (each_call_fails)
{
  const sample *s = &samples[_i];
  int made[CALL_COUNT];
  ending clean;
  int nr;

  start (reads_dir (&s->req) ? 40 : 0);
  if (s->how & POOR || !begin_supervision ())
    return;
  execute_sample (s);
  survey (0);
  clean = execute_faulty (s, 0, 0, 0, 0);
  memcpy (made, calls, sizeof made);
  for (nr = 0; nr < CALL_COUNT; ++nr)
    if (made[nr])
      check_call (s, nr, made[nr], clean);
  end_supervision ();
}
END_TEST

/* --- trees -------------------------------------------------------------- */

static const char *const leaves[] = { "a", "b/c", "b/d/e" };
enum { WHOLE = (1 << LENGTH (leaves)) - 1, ENTRIES = 7 };
static int entries;

/* Which files are below the root, complete. */
static int
leaves_of (const char *root)
{
  char file[6000];
  int i, res = 0;

  for (i = 0; i < LENGTH (leaves); ++i)
    {
      snprintf (file, sizeof file, "%s/%s", root, leaves[i]);
      res |= (hash_file (file) == hash (6, content, 5)) << i;
    }
  return res;
}

static void
plant (void)
{
  char file[6000];
  int i;

  for (i = 0; i < 2; ++i)
    if (exists (path[i ? NEW_PATH : SUB_PATH]))
      remove_tree (path[i ? NEW_PATH : SUB_PATH]);
  ck_assert_int_eq (mkdir (path[SUB_PATH], 0700), 0);
  for (i = 0; i < 3; ++i)
    {
      static const char *const links[] = { "b", "b/d", "l" };

      snprintf (file, sizeof file, "%s/%s", path[SUB_PATH], links[i]);
      ck_assert_int_eq (i < 2 ? mkdir (file, 0700) : symlink ("b", file), 0);
    }
  for (i = 0; i < LENGTH (leaves); ++i)
    {
      snprintf (file, sizeof file, "%s/%s", path[SUB_PATH], leaves[i]);
      write_file (file, content, 5);
    }
  entries = 0;
}

static int
see (eio_req *walk, const char *dir, const eio_dirent *dirent,
     const char *name, const struct stat *st)
{
  (void)walk, (void)dir, (void)dirent, (void)name, (void)st;
  ++entries;
  return 0;
}

static int
keep_tree (eio_req *req)
{
  keep (req);
  got.finish = keep;
  return 0;
}

enum { WALK, REMOVE, COPY, MOVE, MOVE_NEW, KINDS };

static eio_req *
submit_tree (int kind)
{
  const char *from = path[SUB_PATH], *to = path[NEW_PATH];

  switch (kind)
    {
    case WALK: return eio_walk (from, EIO_WALK_STAT, 3, see, keep_tree, 0);
    case REMOVE: return eio_rmtree (from, 0, 3, keep_tree, 0);
    case COPY:
      return eio_cptree (from, to, EIO_COPY_ARCHIVE, 3, keep_tree, 0);
    default:
      return eio_mvtree (from, to, kind == MOVE ? 0 : EIO_COPY_EXCL, 3,
                         keep_tree, 0);
    }
}

/* What was done is all of it if it says so; what was to be kept is there. */
static void
assert_tree (int kind)
{
  int old = leaves_of (path[SUB_PATH]), copied = leaves_of (path[NEW_PATH]);
  int all = !got.result;

  ck_assert_int_eq (got.result, got.errorno ? -1 : 0);
  switch (kind)
    {
    case WALK: ck_assert (old == WHOLE && (!all || entries == ENTRIES)); break;
    case REMOVE: ck_assert (!all || !exists (path[SUB_PATH])); break;
    case COPY: ck_assert (old == WHOLE && (!all || copied == WHOLE)); break;
    default:
      ck_assert_msg ((old | copied) == WHOLE, "lost by %s", what);
      ck_assert (!all || (copied == WHOLE && !exists (path[SUB_PATH])));
      break;
    }
}

static void
run_tree (int kind, int nr, int error, int first, int times)
{
  int fds;

  plant ();
  snprintf (what, sizeof what, "call %d, %s after %d, %d times", nr,
            strerror (error), first, times);
  fds = count_fds ();
  begin_counting ();
  arm (SYS_renameat2, EXDEV, 0, FOR_EVER); /* to another file system */
# ifdef SYS_renameat
  arm (SYS_renameat, EXDEV, 0, FOR_EVER);
# endif
  arm (nr, error, first, times);
  run (submit_tree (kind));
  end_counting ();
  assert_tree (kind);
  ck_assert_msg (count_fds () == fds, "descriptors after %s", what);
}

/* Calls that may be, though hardly with all signals blocked. */
static int
is_interruptible (int nr)
{
  return nr == SYS_openat || nr == SYS_close || nr == SYS_copy_file_range
         || nr == SYS_pread64 || nr == SYS_pwrite64 || nr == SYS_write
         || nr == SYS_lseek || nr == SYS_fcntl;
}

START_TEST (each_call_of_trees_fails)
{
  static int made[CALL_COUNT];
  int nr, n;

  start (0);
  if (!begin_supervision ())
    return;
  run_tree (_i, 0, 0, 0, 0);
  ck_assert_int_eq (got.result, 0);
  memcpy (made, calls, sizeof made);
  for (nr = 1; nr < CALL_COUNT; ++nr)
    for (n = 0; n < made[nr]; ++n)
      {
        if (is_interruptible (nr))
          {
            run_tree (_i, nr, EINTR, n, 1);
            ck_assert_msg (!got.result, "%s: %s", what,
                           strerror (got.errorno));
          }
        run_tree (_i, nr, EIO, n, 1);
        if (!n)
          run_tree (_i, nr, EPERM, n, FOR_EVER);
      }
  run_tree (_i, 0, 0, 0, 0);
  ck_assert_int_eq (got.result, 0);
  end_supervision ();
}
END_TEST

/* --- others, meanwhile -------------------------------------------------- */

static atomic_int when;

static void
remove_directory (int nr, int n)
{
  if (nr == SYS_getdents64 && n == when)
    remove_tree (path[DIR_PATH]);
}

/* A directory vanishes before its entries are read, or after some. */
START_TEST (directories_vanish)
{
  const sample *s = &samples[_i];
  estate before;
  ending e;

  start (0);
  if (s->how & POOR || !reads_dir (&s->req) || !begin_supervision ())
    return;
  before = survey (0);
  before_call = remove_directory;
  for (when = 0; when < 3; ++when)
    {
      remove_tree (path[DIR_PATH]);
      make_directory (300, 200);
      before_sample = begin_counting;
      e = execute_sample (s);
      before_sample = 0;
      ck_assert_msg (e.result >= 0 || e.errorno == ENOENT, "%s: %s", s->name,
                     strerror (e.errorno));
      ck_assert_int_le (e.result, 300);
      if (!exists (path[DIR_PATH]))
        ck_assert_int_eq (mkdir (path[DIR_PATH], 0700), 0);
      assert_same_estate (before, survey (0), s->name);
    }
  end_supervision ();
}
END_TEST

static void
truncate_data (int nr, int n)
{
  if (nr == SYS_madvise && !n && ftruncate (DATA, 0))
    abort ();
}

/* A file shrinks below a mapping that is being touched: an error, where the
 * kernel touches. */
START_TEST (mapped_file_shrinks)
{
  static const int flags[] = { 0, EIO_MT_MODIFY };
  char *p;

  start (0);
  p = mmap (0, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, DATA, 0);
  ck_assert_ptr_ne (p, MAP_FAILED);
  if (madvise (p, 1, 22) || !begin_supervision ())
    return;
  begin_counting ();
  before_call = truncate_data;
  fails (EFAULT, eio_mtouch (p, BYTES, flags[_i], KEEP));
  ck_assert_int_eq (ftruncate (DATA, BYTES), 0);
  gives (0, eio_mtouch (p, BYTES, flags[_i], KEEP));
  end_supervision ();
}
END_TEST

#endif

/*****************************************************************************
 * No threads                                                                *
 *****************************************************************************/

static int limited; /* which resource */
static rlim_t usual;

static int
limit_resource (int which, rlim_t most)
{
  struct rlimit limit;

  limited = which;
  if (getrlimit (which, &limit))
    return 0;
  usual = limit.rlim_cur;
  limit.rlim_cur = most;
  return !setrlimit (which, &limit);
}

static void
unlimit_resource (void)
{
  struct rlimit limit;

  ck_assert_int_eq (getrlimit (limited, &limit), 0);
  limit.rlim_cur = usual;
  ck_assert_int_eq (setrlimit (limited, &limit), 0);
}

/* The following refuse threads to this process, and return whether they may
 * have. There is no limit to root's number of threads. */
static int
refuse_by_number (void)
{
  return limit_resource (RLIMIT_NPROC, 1);
}

/* Stacks find no room. */
static int
refuse_by_memory (void)
{
  char line[100] = "";
  int fd = open ("/proc/self/statm", O_RDONLY);
  ssize_t n = read (fd, line, sizeof line - 1);

  close (fd);
  eio_set_stack_size ((size_t)1 << 28);
  return n > 0
         && limit_resource (RLIMIT_AS, strtoul (line, 0, 10)
                                         * (rlim_t)sysconf (_SC_PAGESIZE)
                                         + (1 << 26));
}

static int
refuse_by_filter (void)
{
#if HAVE_SUPERVISOR && defined SYS_clone3
  struct sock_filter code[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { LENGTH (code), code };

  limited = -1; /* for ever */
  return !prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
         && !prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#else
  return 0;
#endif
}

static int (*const refuse[]) (void)
  = { refuse_by_number, refuse_by_memory, refuse_by_filter };

static void *
do_nothing (void *arg)
{
  return arg;
}

static int
has_threads (void)
{
  pthread_t thread;
  pthread_attr_t attr;
  int error;

  pthread_attr_init (&attr);
  pthread_attr_setstacksize (&attr, (size_t)1 << 28);
  error = pthread_create (&thread, &attr, do_nothing, 0);
  if (!error)
    pthread_join (thread, 0);
  pthread_attr_destroy (&attr);
  return !error;
}

/* Those that may take long on a busy disk, or depend on what others did or
 * could not do. */
static int
is_left_out (const sample *s)
{
  switch (s->req.type)
    {
    case EIO_SYNC:
    case EIO_SYNCFS:
    case EIO_FULLSYNC:
    case EIO_MLOCKALL:
    case EIO_MUNLOCKALL:
    case EIO_GETXATTR:
    case EIO_FGETXATTR:
    case EIO_LISTXATTR:
    case EIO_FLISTXATTR:
    case EIO_REMOVEXATTR:
    case EIO_FREMOVEXATTR: return 1;
    case EIO_SAVE: return s->req.ptr1 == path[LINK_PATH];
    default: return s->how & POOR;
    }
}

static ending usually[SAMPLES];

static void
run_all_samples (void (*check) (const sample *, ending e, ending usual))
{
  int i;

  for (i = 0; i < SAMPLES; ++i)
    if (!is_left_out (&samples[i]))
      {
        ending e = execute_sample (&samples[i]);

        if (check)
          check (&samples[i], e, usually[i]);
        else
          usually[i] = e;
        renew_fixture ();
      }
}

static void
assert_usual (const sample *s, ending e, ending usual)
{
  ck_assert_msg (e.digest == usual.digest, "%s: %ld, %s", s->name,
                 (long)e.result, strerror (e.errorno));
}

/* eio_poll executes everything; later, workers can be had. (Sanitizers need
 * threads themselves.) */
START_TEST (requests_run_without_threads)
{
  const char *tmp = getenv ("TMPDIR");

  if (HAVE_SANITIZER)
    return;
  if (!_i && !geteuid ()
      && (setgroups (0, 0) || setgid (NOBODY) || setuid (NOBODY)))
    return;
  if (access (tmp ? tmp : "/tmp", W_OK | X_OK))
    return;
  start (9);
  run_all_samples (0);
  eio_set_max_parallel (0);
  if (!refuse[_i] () || has_threads ())
    return;

  eio_set_min_parallel (4);
  run_all_samples (assert_usual);
  ck_assert_uint_eq (eio_nthreads (), 0);
  if (limited < 0)
    return;
  unlimit_resource ();
  eio_set_stack_size (0);
  run_all_samples (assert_usual);
  ck_assert_uint_ne (eio_nthreads (), 0);
}
END_TEST

/*****************************************************************************
 * Calls that the host answers                                               *
 *****************************************************************************/

/* Where a handler puts the result of the call that the kernel left to it. */
#if defined __x86_64__
# define RESULT_REGISTER(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined __i386__
# define RESULT_REGISTER(context) ((context)->uc_mcontext.gregs[REG_EAX])
#elif defined __aarch64__
# define RESULT_REGISTER(context) ((context)->uc_mcontext.regs[0])
#endif

#if HAVE_SUPERVISOR && HAVE_STATX && defined SYS_statx \
    && defined RESULT_REGISTER
# define HAVE_TRAPS 1

static atomic_int traps;
static char trapped[5000]; /* what the requests are about */

static void
answer_trap (int signal, siginfo_t *info, void *context)
{
  (void)signal, (void)info;
  ++traps;
  RESULT_REGISTER ((ucontext_t *)context) = -ENOSYS;
}

/* From now on, and in children.  Returns whether it can be. */
static int
set_trap (void)
{
  struct sigaction act = { .sa_sigaction = answer_trap,
                           .sa_flags = SA_SIGINFO };
  struct sock_filter code[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_statx, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { LENGTH (code), code };

  strcpy (trapped, scratch_path ("trapped"));
  write_file (trapped, content, 5);
  ck_assert_int_eq (sigaction (SIGSYS, &act, 0), 0);
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
      || prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    {
      printf ("skipped: no calls can be trapped here\n");
      return 0;
    }
  return 1;
}

static int
look_at_size (eio_req *req)
{
  ck_assert_int_eq (req->result, 0);
  ck_assert_int_eq ((int)EIO_STATX_BUF (req)->size, 5);
  return count (req);
}

/* Returns how many calls were trapped. */
static int
trap_statx (void)
{
  int before = traps;

  finishes = 0;
  eio_statx (trapped, 0, EIO_STATX_ALL, 0, look_at_size, 0);
  ck_assert_int_eq (eio_flush (), 0);
  ck_assert_int_eq (finishes, 1);
  return traps - before;
}

/* On a worker, or in eio_poll. (See requests_run_without_threads.) */
START_TEST (trapped_calls_reach_the_hosts_handler)
{
  if (_i && HAVE_SANITIZER)
    return;
  ck_assert_int_eq (eio_init (0, 0), 0);
  if (!set_trap () || (_i && (!refuse_by_filter () || has_threads ())))
    return;
  ck_assert_int_ge (trap_statx (), 1);
  ck_assert_uint_eq (eio_nthreads (), !_i);
}
END_TEST

static int traps_later;

static void
expect_no_more_traps (void)
{
  ck_assert_int_eq (trap_statx (), traps_later);
}

/* Where libc's stat is a statx, that is made again each time. */
START_TEST (missing_call_is_remembered_in_other_lives)
{
  int first;

  ck_assert_int_eq (eio_init (0, 0), 0);
  if (!set_trap ())
    return;
  first = trap_statx ();
  traps_later = trap_statx ();
  ck_assert_int_lt (traps_later, first);
  in_another_life (_i, expect_no_more_traps);
}
END_TEST

#else
# define HAVE_TRAPS 0
#endif

/*****************************************************************************
 * No descriptors                                                            *
 *****************************************************************************/

enum { TOP = 100 }; /* how many there may be */
static int fillers[TOP], few;

static void
use_up_descriptors (void)
{
  int n = 0, i;

  while ((fillers[n] = dup (DATA)) >= 0)
    ++n;
  ck_assert_int_eq (errno, EMFILE);
  ck_assert_int_gt (n, few);
  for (i = 0; i < few; ++i)
    close (fillers[--n]);
  fillers[n] = -1;
}

static void
give_back_descriptors (void)
{
  int n = 0;

  while (fillers[n] >= 0)
    close (fillers[n++]);
}

static estate estate_before;
static int shortage; /* its error number */

static void
assert_fair (const sample *s, ending e, ending usual)
{
  assert_ending (s, e, usual, shortage, "shortage");
  assert_same_estate (estate_before, survey (0), s->name);
}

/* All samples while something is short, and after. */
static void
run_short (int error, void (*before) (void), void (*after) (void))
{
  run_all_samples (0);
  estate_before = survey (0);
  shortage = error;
  before_sample = before;
  after_sample = after;
  run_all_samples (assert_fair);
  before_sample = after_sample = 0;
  run_all_samples (assert_usual);
}

/* With none left, one, two, … */
START_TEST (descriptors_run_out)
{
  few = _i;
  start (9);
  ck_assert (limit_resource (RLIMIT_NOFILE, TOP));
  run_short (EMFILE, use_up_descriptors, give_back_descriptors);
}
END_TEST

/*****************************************************************************
 * Disks                                                                     *
 *****************************************************************************/

static void
write_proc (const char *file, const char *text)
{
  int fd = open (file, O_WRONLY);

  if (fd >= 0 && write (fd, text, strlen (text)) < 0)
    printf ("%s: %s\n", file, strerror (errno));
  close (fd);
}

/* Has mounts of its own, by its right or as root of a namespace. */
static int
may_mount (void)
{
  char map[100];

  snprintf (map, sizeof map, "0 %d 1", (int)geteuid ());
  if (unshare (CLONE_NEWNS))
    {
      int gid = (int)getegid ();

      if (unshare (CLONE_NEWUSER | CLONE_NEWNS))
        return 0;
      write_proc ("/proc/self/setgroups", "deny");
      write_proc ("/proc/self/uid_map", map);
      snprintf (map, sizeof map, "0 %d 1", gid);
      write_proc ("/proc/self/gid_map", map);
    }
  return !mount (0, "/", 0, MS_REC | MS_PRIVATE, 0);
}

static void
unmount (void)
{
  umount2 (scratch (), MNT_DETACH);
}

/* A small disk in the place of the scratch directory. */
static int
mount_disk (void)
{
  if (!may_mount ()
      || mount ("none", scratch (), "tmpfs", 0, "size=600k,nr_inodes=60"))
    {
      printf ("skipped: no file system may be mounted here\n");
      return 0;
    }
  atexit (unmount);
  return 1;
}

static void
fill_blocks (void)
{
  int fd = open (scratch_path ("filler"), O_WRONLY | O_CREAT, 0600);

  while (write (fd, content, 1000) > 0)
    continue;
  ck_assert_int_eq (errno, ENOSPC);
  close (fd);
}

static void
free_blocks (void)
{
  ck_assert_int_eq (unlink (scratch_path ("filler")), 0);
}

static int names_made;

static const char *
nth_name (int n)
{
  char name[20];

  snprintf (name, sizeof name, "filler-%d", n);
  return scratch_path (name);
}

static void
fill_names (void)
{
  while (!mkdir (nth_name (names_made), 0700))
    ++names_made;
  ck_assert_int_eq (errno, ENOSPC);
}

static void
free_names (void)
{
  while (names_made)
    ck_assert_int_eq (rmdir (nth_name (--names_made)), 0);
}

/* Descriptors stay what they are. */
static void
forbid_writing (void)
{
  const char *dir = scratch ();

  ck_assert_int_eq (mount (dir, dir, 0, MS_BIND, 0), 0);
  ck_assert_int_eq (mount (0, dir, 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0), 0);
}

static void
limit_files (void)
{
  ck_assert (limit_resource (RLIMIT_FSIZE, 3));
}

static const struct
{
  int error, mounts;
  void (*begin) (void);
  void (*end) (void);
} troubles[] = {
  { ENOSPC, 1, fill_blocks, free_blocks },
  { ENOSPC, 1, fill_names, free_names },
  { EROFS, 1, forbid_writing, unmount },
  { EFBIG, 0, limit_files, unlimit_resource },
};

START_TEST (disks_are_full_or_read_only)
{
  if (troubles[_i].mounts && !mount_disk ())
    return;
  signal (SIGXFSZ, SIG_IGN);
  start (9);
  run_short (troubles[_i].error, troubles[_i].begin, troubles[_i].end);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

int
main (void)
{
  Suite *suite = suite_create ("limits");
#if HAVE_SUPERVISOR
  TCase *calls = add_case (suite, "calls", 300, 0, 0);
#endif
  TCase *others = add_case (suite, "others", 300, 0, stop_workers);

#if HAVE_SUPERVISOR
  tcase_add_loop_test (calls, each_call_fails, 0, SAMPLES);
  tcase_add_loop_test (calls, each_call_of_trees_fails, 0, KINDS);
  tcase_add_loop_test (calls, directories_vanish, 0, SAMPLES);
  tcase_add_loop_test (calls, mapped_file_shrinks, 0, 2);
#endif
  tcase_add_loop_test (others, requests_run_without_threads, 0,
                       LENGTH (refuse));
#if HAVE_TRAPS
  tcase_add_loop_test (others, trapped_calls_reach_the_hosts_handler, 0, 2);
  tcase_add_loop_test (others, missing_call_is_remembered_in_other_lives, 1,
                       OTHER_LIVES);
#endif
  tcase_add_loop_test (others, descriptors_run_out, 0, 6);
  tcase_add_loop_test (others, disks_are_full_or_read_only, 0,
                       LENGTH (troubles));
  return run_suite (suite);
}
