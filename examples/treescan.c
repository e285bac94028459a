/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* treescan: prints every path below some directories, as find does, but with
 * many requests in flight, so that the disks (or the network) always have
 * something to do.
 *
 * It is meant to be read as an introduction to libeio.  Everything happens on
 * one thread, in callbacks that eio_poll calls; the threads that wait for the
 * file system are the library's, and never run code of this file.  Each PATH
 * is a walk, which calls show_entry for everything that it finds.  The walks
 * are members of one group, whose feeder begins the next one when there is
 * room, and whose callback is called when the last one is done.
 *
 * In this file: 1 state, 2 the scan, 3 progress and summary, 4 options,
 * 5 main. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <getopt.h>
#include <sys/resource.h>

#include "tool.h"

/*****************************************************************************
 * 1  State                                                                  *
 *****************************************************************************/

static struct
{
  int dirs, files; /* print those */
  int stat;
  int summary;
  int quiet;
  int end; /* of a path: newline or 0 */
  unsigned int jobs;
} opt = { .end = '\n', .jobs = 16 };

static struct
{
  eio_req *grp; /* all walks; null when it is gone */
  int stop;     /* nothing more shall be begun or printed */
  char **args;  /* PATHs that were not begun yet */

  unsigned long long found[EIO_DT_MAX + 1]; /* by type */
  unsigned long long bytes;
  double begun;
} scan;

/*****************************************************************************
 * 2  The scan                                                               *
 *****************************************************************************/

/* A scan whose output goes nowhere is of no use to anybody: it stops. */
static void
stop_without_output (int errorno)
{
  report_error ("standard output", errorno);
  scan.stop = 1;
}

/* Of a PATH itself, dir is empty; and it may end in a slash. */
static void
print_path (const char *dir, const char *name, size_t namelen)
{
  size_t len = strlen (dir);

  fwrite (dir, 1, len, stdout);
  if (len && dir[len - 1] != '/')
    putchar ('/');
  fwrite (name, 1, namelen, stdout);
  putchar (opt.end);

  if (ferror (stdout))
    stop_without_output (errno);
}

/* Called by the walk for each entry, and for a directory before anything that
 * is in it. */
static int
show_entry (eio_req *walk, const char *dir, const eio_dirent *dirent,
            const char *name, const struct stat *st)
{
  (void)walk;

  if (scan.stop)
    return EIO_WALK_STOP;

  ++scan.found[dirent->type & EIO_DT_MAX];

  if (st && S_ISREG (st->st_mode))
    scan.bytes += (unsigned long long)st->st_size;

  if (dirent->type == EIO_DT_DIR ? opt.dirs : opt.files)
    print_path (dir, name, dirent->namelen);

  return scan.stop ? EIO_WALK_STOP : 0;
}

static int
finish_walk (eio_req *walk)
{
  report_tree_errors (walk);
  return 0;
}

/* The group's feeder, called while it has room: adds one walk, or none when
 * there are no more, and then it is not called again. */
static void
feed_scan (eio_req *grp)
{
  eio_req *walk;

  if (scan.stop || !*scan.args)
    return;

  walk = eio_walk (*scan.args++, opt.stat ? EIO_WALK_STAT : 0, opt.jobs,
                   show_entry, finish_walk, 0);

  if (!walk)
    fail_program ("giving up", errno);

  eio_grp_add (grp, walk);
}

static int
finish_scan (eio_req *grp)
{
  (void)grp;
  scan.grp = 0;
  return 0;
}

/* A walk holds descriptors: as many walks at a time as there can be. */
static int
count_walks (void)
{
  size_t each = 64 + 4 * (size_t)opt.jobs, n = 1;
  struct rlimit limit;

  if (!getrlimit (RLIMIT_NOFILE, &limit))
    n = (size_t)limit.rlim_cur / each;

  return n < 1 ? 1 : n > opt.jobs ? (int)opt.jobs : (int)n;
}

static void
start_scan (char **args)
{
  scan.begun = get_time ();
  scan.args = args;
  scan.grp = eio_grp (finish_scan, 0);

  if (!scan.grp)
    fail_program ("giving up", errno);

  eio_grp_feed (scan.grp, feed_scan, count_walks ());
}

/* After SIGINT.  Requests that a worker has not begun never execute, and what
 * executes is waited for by the loop; nobody is told of the end. */
static void
cancel_scan (void)
{
  scan.stop = 1;

  if (scan.grp)
    eio_cancel (scan.grp);
}

/*****************************************************************************
 * 3  Progress and summary                                                   *
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
draw_progress (void)
{
  fprintf (tool.line, "\r%llu entries, %.0f/s, %u requests in flight\033[K",
           count_found (),
           (double)count_found () / (get_time () - scan.begun), eio_nreqs ());
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
           nfound, ndirs, nfiles, nfound - ndirs - nfiles, tool.nerrors,
           scan.stop ? " (stopped)" : "");

  if (opt.stat)
    fprintf (stderr, "%llu bytes in files\n", scan.bytes);

  fprintf (stderr, "%.3f s, %.0f entries/s, %u requests in flight\n", elapsed,
           elapsed > 0 ? (double)nfound / elapsed : 0., opt.jobs);
}

/*****************************************************************************
 * 4  Options                                                                *
 *****************************************************************************/

static const char usage[] =
    "Usage: treescan [OPTION]... PATH...\n"
    "Print each PATH and everything below it.  Symbolic links are not"
    " followed.\n"
    "\n"
    "  -0, --print0    end each path with a 0 byte instead of a newline\n"
    "      --dirs      print directories only\n"
    "      --files     print everything but directories\n"
    "      --stat      stat everything\n"
    "  -j, --jobs=N    have up to N requests in flight, 1 to 256;"
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
take_option (int option)
{
  switch (option)
    {
    case 0: break;
    case '0': opt.end = 0; break;
    case 'j': opt.jobs = parse_jobs (optarg); break;
    case 'q': opt.quiet = 1; break;
    case 'h': print_help (usage); break;
    default: refuse_usage (0);
    }
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
    take_option (option);

  if (optind == argc)
    refuse_usage ("no PATH given");

  if (!opt.dirs && !opt.files)
    opt.dirs = opt.files = 1;

  if (opt.quiet)
    opt.dirs = opt.files = 0;

  /* On a terminal, the line would get in between the paths. */
  if (isatty (STDERR_FILENO) && (opt.quiet || !isatty (STDOUT_FILENO)))
    tool.line = stderr;

  return argv + optind;
}

/*****************************************************************************
 * 5  Main                                                                   *
 *****************************************************************************/

int
main (int argc, char **argv)
{
  char **paths;

  tool.name = "treescan";
  reserve_std_descriptors ();
  paths = parse_options (argc, argv);

  /* A reader that went away is an error like others: EPIPE. */
  signal (SIGPIPE, SIG_IGN);

  init_tool (opt.jobs);
  start_scan (paths);
  run_tool (cancel_scan, draw_progress);

  if (fclose (stdout) && !scan.stop)
    stop_without_output (errno);

  if (opt.summary)
    print_summary ();

  eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);

  if (tool.interrupted)
    return 128 + SIGINT;

  return tool.nerrors ? EXIT_FAILURE : EXIT_SUCCESS;
}
