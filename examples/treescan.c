/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* treescan: prints every path below some directories, as find does, but with
 * many requests in flight, so that the disks (or the network) always have
 * something to do.
 *
 * It is meant to be read as an introduction to libeio.  Everything happens on
 * one thread, in callbacks that eio_poll calls; the threads that wait for the
 * file system are the library's, and never run code of this file, except for
 * want_poll.  Each path found is a node, and this is its life:
 *
 *   PATH argument ────LSTAT────┐            ┌──> not a directory: freed
 *                              ├──> found ──┤
 *   directory entry ──(LSTAT)──┘   printed  └──> pending ──READDIR──┐
 *        ^                                                          │
 *        └──────────────── listed <───────(WD_OPEN)─────────────────┘
 *
 * An entry needs the LSTAT with --stat, or where the file system did not say
 * what it is.  WD_OPEN is for directories with enough entries to make up for
 * it.  "pending" and "listed" are stacks; the feeder of one group takes from
 * them whenever less than --jobs requests are in flight.  So what waits is a
 * short path each, and never more than a few directories' entries are in
 * memory, however large the tree is.
 *
 * In this file: 1 state, 2 messages and output, 3 nodes, 4 requests, 5 the
 * event loop, 6 progress and summary, 7 options, 8 main. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "eio.h"

/*****************************************************************************
 * 1  State                                                                  *
 *****************************************************************************/

enum
{
  JOBS_MAX = 1000,

  /* A directory gets a working directory of its own if at least so many of
   * its entries are going to be visited: below that, resolving a path of one
   * component more is cheaper than opening and closing a descriptor. */
  WD_WORTH = 16,
  WDS_MAX = 1000,

  PROGRESS_MS = 100
};

/* A working directory, shared by all nodes whose path is relative to it. */
struct base
{
  eio_wd wd;
  size_t refs;
};

struct node
{
  struct node *next; /* below it in scan.pending or scan.listed */
  struct base *base; /* a reference; null is the process's directory */
  size_t rel;        /* path + rel is relative to base */

  /* When listed: what READDIR delivered, and what has been visited of it. */
  eio_dirent *dents;
  char *names;
  size_t ndents, nvisited;

  size_t len;  /* of path, without the 0 */
  char path[]; /* as printed */
};

/* What is in flight.  Since the request comes first, the pointer that a
 * callback gets is one to the job, too. */
struct job
{
  eio_req req;
  struct node *node; /* freed with the job, unless finish takes it */
  struct stat st;    /* LSTAT */
};

static struct
{
  int dirs, files; /* print those */
  int stat;
  int summary;
  int quiet;
  int progress;
  int end; /* of a path: newline or 0 */
  size_t jobs;
  size_t wds; /* to have open at most */
} opt = { .end = '\n', .jobs = 16 };

static struct
{
  eio_req *grp; /* all requests but WD_CLOSE; null when it is gone */
  int feeding;  /* the group has its feeder */
  int stop;     /* nothing more shall be begun or printed */
  int interrupted;
  int lost_output;

  char **args;          /* PATHs that were not begun yet */
  struct node *pending; /* directories to be read, deepest first */
  struct node *listed;  /* directories whose entries are to be visited */
  size_t wds;           /* open, or about to be */

  unsigned long long found[EIO_DT_MAX + 1]; /* by type */
  unsigned long long errors;
  unsigned long long bytes;
  double begun;
  double progress_due;

  int epoll, wake, signals; /* descriptors; signals may be -1 */
} scan;

/*****************************************************************************
 * 2  Messages and output                                                    *
 *****************************************************************************/

static double
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
erase_progress (void)
{
  if (opt.progress)
    fputs ("\r\033[K", stderr);
}

/* For what leaves nothing else to do. */
static void
fail_program (const char *what, int errorno)
{
  erase_progress ();
  fprintf (stderr, "treescan: %s: %s\n", what, strerror (errorno));
  exit (EXIT_FAILURE);
}

/* A name may hold any byte but 0 and the slash.  Control bytes are escaped,
 * so that an error is one line and a terminal does not obey file names. */
static void
report_error (const char *path, int errorno)
{
  erase_progress ();
  fputs ("treescan: ", stderr);

  for (; *path; ++path)
    if ((unsigned char)*path < ' ' || *path == '\177')
      fprintf (stderr, "\\%03o", (unsigned char)*path);
    else
      putc (*path, stderr);

  fprintf (stderr, ": %s\n", strerror (errorno));
  ++scan.errors;
}

/* A scan whose output goes nowhere is of no use to anybody: it stops. */
static void
report_lost_output (int errorno)
{
  if (!scan.lost_output)
    report_error ("standard output", errorno);

  scan.lost_output = scan.stop = 1;
}

static void
print_path (const struct node *node)
{
  if (scan.stop)
    return;

  if (fwrite (node->path, 1, node->len, stdout) < node->len
      || putchar (opt.end) == EOF)
    report_lost_output (errno);
}

/*****************************************************************************
 * 3  Nodes                                                                  *
 *****************************************************************************/

/* Returns zeroed memory.  An event loop that has to survive the lack of it
 * would pass the error on; a tool like this one may give up. */
static void *
alloc_memory (size_t size)
{
  void *memory = calloc (1, size);

  if (!memory)
    fail_program ("giving up", ENOMEM);

  return memory;
}

static int
count_closed_wd (eio_req *req)
{
  (void)req;
  --scan.wds;
  return 0;
}

/* Closing may block, so it is a request like any other.  It is not a member
 * of the group: what is cancelled is closed all the same. */
static void
unref_base (struct base *base)
{
  if (!base || --base->refs)
    return;

  if (!eio_wd_close (base->wd, EIO_PRI_MAX, count_closed_wd, 0))
    fail_program ("giving up", errno);

  free (base);
}

static struct node *
make_node (struct base *base, size_t rel, size_t len)
{
  struct node *node = alloc_memory (sizeof (struct node) + len + 1);

  node->base = base;
  node->rel = rel;
  node->len = len;

  if (base)
    ++base->refs;

  return node;
}

static void
free_node (struct node *node)
{
  if (!node)
    return;

  unref_base (node->base);
  free (node->dents);
  free (node->names);
  free (node);
}

/* The length of a directory's path with the slash that its entries need. */
static size_t
get_prefix_length (const struct node *dir)
{
  return dir->len + (dir->path[dir->len - 1] != '/');
}

static struct node *
make_child (struct node *dir, const char *name, size_t namelen)
{
  size_t prefix = get_prefix_length (dir);
  struct node *node = make_node (dir->base, dir->rel, prefix + namelen);

  memcpy (node->path, dir->path, dir->len);
  node->path[prefix - 1] = '/';
  memcpy (node->path + prefix, name, namelen);
  return node;
}

static struct node *
make_argument (const char *path)
{
  struct node *node = make_node (0, 0, strlen (path));

  memcpy (node->path, path, node->len);
  return node;
}

static void
push_node (struct node **stack, struct node *node)
{
  node->next = *stack;
  *stack = node;
}

static struct node *
pop_node (struct node **stack)
{
  struct node *node = *stack;

  *stack = node->next;
  return node;
}

/*****************************************************************************
 * 4  Requests                                                               *
 *                                                                           *
 * The wrappers of eio.h (eio_lstat, ...) are the short way to a request.    *
 * Here requests are filled by hand, because that way they can be relative   *
 * to a working directory and bring their own memory along.                  *
 *****************************************************************************/

static void feed_scan (eio_req *grp);

/* The library calls this when it is done with a request, whether finish was
 * called or, after eio_cancel, was not. */
static void
destroy_job (eio_req *req)
{
  struct job *job = (struct job *)req;

  free_node (job->node);
  free (job);
}

static struct node *
take_node (eio_req *req)
{
  struct job *job = (struct job *)req;
  struct node *node = job->node;

  job->node = 0;
  return node;
}

static void
submit_job (int type, int flags, struct node *node, eio_cb finish)
{
  struct job *job = alloc_memory (sizeof (struct job));
  eio_req *req = &job->req;

  job->node = node;
  req->type = (signed char)type;
  req->wd = node->base ? node->base->wd : EIO_CWD;
  req->ptr1 = node->path + node->rel;
  req->ptr2 = type == EIO_LSTAT ? &job->st : 0;
  req->int1 = flags;
  req->finish = finish;
  req->destroy = destroy_job;

  eio_submit (req);
  eio_grp_add (scan.grp, req);
}

/* A feeder that finds nothing to do is removed.  Whatever may give it new
 * work ends with this. */
static void
resume_feeding (void)
{
  if (scan.feeding)
    return;

  scan.feeding = 1;
  eio_grp_feed (scan.grp, feed_scan, (int)opt.jobs);
}

/* Takes a node whose type is known now, EIO_DT_*.  Its path is printed before
 * anything below it can be. */
static void
accept_node (struct node *node, int type)
{
  ++scan.found[type & EIO_DT_MAX];

  if (type == EIO_DT_DIR ? opt.dirs : opt.files)
    print_path (node);

  if (type == EIO_DT_DIR)
    push_node (&scan.pending, node);
  else
    free_node (node);
}

static int
finish_lstat (eio_req *req)
{
  const struct stat *st = EIO_STAT_BUF (req);
  struct node *node = take_node (req);

  if (EIO_RESULT (req) < 0)
    {
      report_error (node->path, req->errorno);
      free_node (node);
    }
  else
    {
      if (S_ISREG (st->st_mode))
        scan.bytes += (unsigned long long)st->st_size;

      accept_node (node, IFTODT (st->st_mode));
    }

  resume_feeding ();
  return scan.stop;
}

/* From here on, the entries of a directory are relative to its own wd. */
static void
set_own_wd (struct node *dir, eio_wd wd)
{
  struct base *base = alloc_memory (sizeof (struct base));

  base->wd = wd;
  base->refs = 1;

  unref_base (dir->base);
  dir->base = base;
  dir->rel = get_prefix_length (dir);
}

static int
finish_wd_open (eio_req *req)
{
  struct node *dir = take_node (req);

  /* Failing is no error: paths relative to what is above it are longer, but
   * do as well.  What they do not reach will say so itself. */
  if (EIO_RESULT (req) < 0)
    --scan.wds;
  else
    set_own_wd (dir, req->wd);

  push_node (&scan.listed, dir);
  resume_feeding ();
  return scan.stop;
}

static int
needs_lstat (const eio_dirent *dent)
{
  return opt.stat || dent->type == EIO_DT_UNKNOWN;
}

/* Each open wd holds a descriptor.  Half of what there may be is kept for
 * directories so deep that the paths of their entries would otherwise be too
 * long for the system: so a tree may be deeper than PATH_MAX. */
static int
wants_wd (const struct node *dir)
{
  size_t nvisits = 0;

  if (dir->len - dir->rel + 1 + NAME_MAX >= PATH_MAX)
    return scan.wds < opt.wds;

  for (size_t i = 0; i < dir->ndents && nvisits < WD_WORTH; ++i)
    nvisits += needs_lstat (&dir->dents[i])
               || dir->dents[i].type == EIO_DT_DIR;

  return nvisits == WD_WORTH && scan.wds < opt.wds / 2;
}

static int
finish_readdir (eio_req *req)
{
  struct node *dir = take_node (req);

  if (EIO_RESULT (req) < 0)
    {
      report_error (dir->path, req->errorno);
      free_node (dir);
    }
  else
    {
      /* Clearing the flags makes the two buffers ours. */
      dir->dents = req->ptr1;
      dir->names = req->ptr2;
      dir->ndents = (size_t)EIO_RESULT (req);
      req->flags &= (unsigned char)~(EIO_FLAG_PTR1_FREE | EIO_FLAG_PTR2_FREE);

      if (wants_wd (dir))
        {
          ++scan.wds;
          submit_job (EIO_WD_OPEN, 0, dir, finish_wd_open);
        }
      else
        push_node (&scan.listed, dir);
    }

  resume_feeding ();
  return scan.stop;
}

/* Visits the entries of a directory up to one that needs an LSTAT, and
 * submits that.  Returns 0 if there was none left. */
static int
visit_entries (struct node *dir)
{
  while (dir->nvisited < dir->ndents)
    {
      const eio_dirent *dent = &dir->dents[dir->nvisited++];
      struct node *node = make_child (dir, dir->names + dent->nameofs,
                                      dent->namelen);

      if (needs_lstat (dent))
        {
          submit_job (EIO_LSTAT, 0, node, finish_lstat);
          return 1;
        }

      accept_node (node, dent->type);
    }

  return 0;
}

/* The group's feeder: adds one request.  What is begun comes first, in order
 * not to collect directories that are half done. */
static void
feed_scan (eio_req *grp)
{
  int flags = EIO_READDIR_DENTS;

  (void)grp;

  while (!scan.stop && scan.listed)
    {
      if (visit_entries (scan.listed))
        return;

      free_node (pop_node (&scan.listed));
    }

  if (opt.stat)
    flags |= EIO_READDIR_STAT_ORDER;

  if (scan.stop)
    scan.feeding = 0;
  else if (scan.pending)
    submit_job (EIO_READDIR, flags, pop_node (&scan.pending), finish_readdir);
  else if (*scan.args)
    submit_job (EIO_LSTAT, 0, make_argument (*scan.args++), finish_lstat);
  else
    scan.feeding = 0;
}

static int
finish_scan (eio_req *grp)
{
  (void)grp;
  scan.grp = 0;
  return 0;
}

static void
start_scan (char **args)
{
  scan.args = args;
  scan.grp = eio_grp (finish_scan, 0);

  if (!scan.grp)
    fail_program ("giving up", errno);

  resume_feeding ();
}

/* Requests that a worker has not begun never execute; no finish is called
 * any more, but destroy is.  What executes is waited for by the loop. */
static void
cancel_scan (void)
{
  eio_cancel (scan.grp);
  scan.grp = 0;

  while (scan.pending)
    free_node (pop_node (&scan.pending));

  while (scan.listed)
    free_node (pop_node (&scan.listed));
}

/*****************************************************************************
 * 5  The event loop                                                         *
 *                                                                           *
 * The library asks for eio_poll by want_poll and takes that back by         *
 * done_poll: the eventfd is readable from the one to the other.  If a limit *
 * makes eio_poll return early, it stays so, and the loop comes back to it.  *
 *****************************************************************************/

/* On any thread.  The counter is 0 before, so the write cannot block. */
static void
want_poll (void)
{
  eventfd_write (scan.wake, 1);
}

static void
done_poll (void)
{
  eventfd_t value;

  eventfd_read (scan.wake, &value);
}

static void
watch_descriptor (int fd)
{
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

  if (epoll_ctl (scan.epoll, EPOLL_CTL_ADD, fd, &event))
    fail_program ("epoll_ctl", errno);
}

/* Turns SIGINT into something that epoll can wait for: signalfd gets it only
 * where it is blocked, which it is in workers anyway.  Where it is ignored, as
 * in the background jobs of a shell, it stays ignored. */
static void
catch_interrupt (void)
{
  struct sigaction old;
  sigset_t set;

  scan.signals = -1;

  if (sigaction (SIGINT, 0, &old) || old.sa_handler == SIG_IGN)
    return;

  sigemptyset (&set);
  sigaddset (&set, SIGINT);
  pthread_sigmask (SIG_BLOCK, &set, 0);
  scan.signals = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

  if (scan.signals < 0)
    fail_program ("signalfd", errno);

  watch_descriptor (scan.signals);
}

static void
take_interrupt (void)
{
  struct signalfd_siginfo info;

  if (read (scan.signals, &info, sizeof info) == sizeof info)
    scan.interrupted = scan.stop = 1;
}

static void
init_loop (void)
{
  scan.epoll = epoll_create1 (EPOLL_CLOEXEC);
  scan.wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (scan.epoll < 0 || scan.wake < 0)
    fail_program ("event loop", errno);

  watch_descriptor (scan.wake);
  catch_interrupt ();

  if (eio_init (want_poll, done_poll))
    fail_program ("eio_init", errno);

  eio_set_min_parallel ((unsigned int)opt.jobs);

  /* Other events get their turn at least this often. */
  eio_set_max_poll_time (PROGRESS_MS / 1000. / 2);
}

static void show_progress (void);

static void
run_loop (void)
{
  while (eio_nreqs ())
    {
      struct epoll_event event = { .data.fd = -1 };
      int timeout = opt.progress ? PROGRESS_MS : -1;

      if (epoll_wait (scan.epoll, &event, 1, timeout) < 0 && errno != EINTR)
        fail_program ("epoll_wait", errno);

      if (event.data.fd == scan.wake)
        eio_poll ();
      else if (event.data.fd >= 0)
        take_interrupt ();

      if (scan.stop && scan.grp)
        cancel_scan ();

      if (opt.progress)
        show_progress ();
    }
}

/*****************************************************************************
 * 6  Progress and summary                                                   *
 *****************************************************************************/

static unsigned long long
count_found (void)
{
  unsigned long long sum = 0;

  for (int type = 0; type <= EIO_DT_MAX; ++type)
    sum += scan.found[type];

  return sum;
}

static void
show_progress (void)
{
  double now = get_time ();

  if (now < scan.progress_due)
    return;

  scan.progress_due = now + PROGRESS_MS / 1000.;
  fprintf (stderr, "\r%llu entries, %.0f/s, %u requests in flight\033[K",
           count_found (), (double)count_found () / (now - scan.begun),
           eio_nreqs ());
}

static void
print_summary (void)
{
  double elapsed = get_time () - scan.begun;
  unsigned long long nfound = count_found ();
  unsigned long long ndirs = scan.found[EIO_DT_DIR];
  unsigned long long nfiles = scan.found[EIO_DT_REG];

  fprintf (stderr,
           "%llu entries: %llu directories, %llu files, %llu others;"
           " %llu errors%s\n",
           nfound, ndirs, nfiles, nfound - ndirs - nfiles, scan.errors,
           scan.stop ? " (stopped)" : "");

  if (opt.stat)
    fprintf (stderr, "%llu bytes in files\n", scan.bytes);

  fprintf (stderr, "%.3f s, %.0f entries/s, %zu requests in flight\n", elapsed,
           elapsed > 0 ? (double)nfound / elapsed : 0., opt.jobs);
}

/*****************************************************************************
 * 7  Options                                                                *
 *****************************************************************************/

static const char usage[] =
    "Usage: treescan [OPTION]... PATH...\n"
    "Print each PATH and everything below it.  Symbolic links are not"
    " followed.\n"
    "\n"
    "  -0, --print0    end each path with a 0 byte instead of a newline\n"
    "      --dirs      print directories only\n"
    "      --files     print everything but directories\n"
    "      --stat      stat everything, in the order in which it is fast\n"
    "  -j, --jobs=N    have up to N requests in flight, 1 to 1000;"
    " initially 16;\n"
    "                  fewer where few files may be open (ulimit -n)\n"
    "      --summary   print counts, bytes (with --stat) and time to"
    " stderr\n"
    "  -q, --quiet     print no paths\n"
    "  -h, --help      print this\n"
    "\n"
    "While paths do not go to the terminal, but errors do, a progress line"
    " is shown.\n"
    "Exit status: 0, 1 after errors, 2 for wrong usage, 130 after"
    " SIGINT.\n";

static void
refuse_usage (const char *message)
{
  if (message)
    fprintf (stderr, "treescan: %s\n", message);

  fputs ("Try treescan --help.\n", stderr);
  exit (2);
}

static size_t
parse_jobs (const char *arg)
{
  char *end;
  long n;

  errno = 0;
  n = strtol (arg, &end, 10);

  if (errno || end == arg || *end || n < 1 || n > JOBS_MAX)
    refuse_usage ("--jobs: not a number from 1 to 1000");

  return (size_t)n;
}

static void
print_help (void)
{
  if (fputs (usage, stdout) == EOF || fflush (stdout))
    fail_program ("standard output", errno);

  exit (EXIT_SUCCESS);
}

/* Returns the PATHs. */
static char **
parse_options (int argc, char **argv)
{
  static const struct option options[] = {
    { "print0", no_argument, &opt.end, 0 },
    { "dirs", no_argument, &opt.dirs, 1 },
    { "files", no_argument, &opt.files, 1 },
    { "stat", no_argument, &opt.stat, 1 },
    { "summary", no_argument, &opt.summary, 1 },
    { "quiet", no_argument, &opt.quiet, 1 },
    { "jobs", required_argument, 0, 'j' },
    { "help", no_argument, 0, 'h' },
    { 0, 0, 0, 0 }
  };
  int option;

  while ((option = getopt_long (argc, argv, "0j:qh", options, 0)) != -1)
    if (option == '0')
      opt.end = 0;
    else if (option == 'j')
      opt.jobs = parse_jobs (optarg);
    else if (option == 'q')
      opt.quiet = 1;
    else if (option == 'h')
      print_help ();
    else if (option != 0)
      refuse_usage (0);

  if (optind == argc)
    refuse_usage ("no PATH given");

  if (!opt.dirs && !opt.files)
    opt.dirs = opt.files = 1;

  if (opt.quiet)
    opt.dirs = opt.files = 0;

  /* On a terminal, the line would get in between the paths. */
  opt.progress = isatty (STDERR_FILENO)
                 && (opt.quiet || !isatty (STDOUT_FILENO));

  return argv + optind;
}

/* A request needs a descriptor while it reads a directory, and so does each
 * open wd.  Both have to fit into what the process may have. */
static void
fit_descriptor_limit (void)
{
  struct rlimit limit;
  size_t nfiles = 4 * JOBS_MAX + 8;

  if (!getrlimit (RLIMIT_NOFILE, &limit) && limit.rlim_cur < nfiles)
    nfiles = (size_t)limit.rlim_cur;

  /* The standard ones, the loop's, and some that were inherited. */
  nfiles = nfiles > 8 + 4 ? nfiles - 8 : 4;

  if (opt.jobs > nfiles / 4)
    opt.jobs = nfiles / 4;

  opt.wds = nfiles / 2 < WDS_MAX ? nfiles / 2 : WDS_MAX;
}

/*****************************************************************************
 * 8  Main                                                                   *
 *****************************************************************************/

/* Where a standard descriptor is closed, the next one opened would take its
 * number, and get the output.  Reading from or writing to what is put there
 * instead fails with EBADF. */
static void
reserve_std_descriptors (void)
{
  int fd;

  do
    fd = open ("/dev/null", O_PATH);
  while (fd >= 0 && fd <= STDERR_FILENO);

  if (fd >= 0)
    close (fd);
}

int
main (int argc, char **argv)
{
  char **paths;

  reserve_std_descriptors ();
  paths = parse_options (argc, argv);
  fit_descriptor_limit ();

  /* A reader that went away is an error like others: EPIPE. */
  signal (SIGPIPE, SIG_IGN);

  scan.begun = get_time ();
  init_loop ();
  start_scan (paths);
  run_loop ();

  /* The workers end here, so that none is in the way of the exit. */
  eio_set_max_parallel (0);
  erase_progress ();

  if (fclose (stdout))
    report_lost_output (errno);

  if (opt.summary)
    print_summary ();

  if (scan.interrupted)
    return 128 + SIGINT;

  return scan.errors ? EXIT_FAILURE : EXIT_SUCCESS;
}
