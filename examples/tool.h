/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What treescan and eiocp have in common: messages, a line that shows how far
 * they are, and the loop.  Each is one source file, which includes this. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "eio.h"
#include "eiotree.h"

enum { TOOL_JOBS_MAX = 256 }; /* as eiotree.h has it */

/* The line is drawn so often, and signals are looked at. */
static const double tool_tick = 0.1;

static struct
{
  const char *name; /* of the program */
  FILE *line; /* where it is drawn; null: nowhere */
  double line_due;
  unsigned long long nerrors;
  volatile sig_atomic_t interrupted;
} tool;

static double
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
erase_line (void)
{
  if (!tool.line)
    return;
  fputs ("\r\033[K", tool.line);
  fflush (tool.line);
}

/* A name may hold any byte but 0 and the slash.  Control bytes are escaped,
 * so that an error is one line and a terminal does not obey file names. */
static void
report_error (const char *path, int errorno)
{
  erase_line ();
  fprintf (stderr, "%s: ", tool.name);

  for (; *path; ++path)
    if ((unsigned char)*path < ' ' || *path == '\177')
      fprintf (stderr, "\\%03o", (unsigned char)*path);
    else
      putc (*path, stderr);

  fprintf (stderr, ": %s\n", strerror (errorno));
  ++tool.nerrors;
}

/* For what leaves nothing else to do. */
static void
fail_program (const char *what, int errorno)
{
  report_error (what, errorno);
  exit (EXIT_FAILURE);
}

/* All that went wrong in a tree. */
static void
report_tree_errors (const eio_req *tree)
{
  const char *path;
  int errorno;

  for (unsigned int i = 0; (errorno = eio_tree_errors (tree, i, &path)); ++i)
    report_error (path, errorno);
}

static void
refuse_usage (const char *message)
{
  if (message)
    fprintf (stderr, "%s: %s\n", tool.name, message);

  fprintf (stderr, "Try %s --help.\n", tool.name);
  exit (2);
}

static void
print_help (const char *usage)
{
  if (fputs (usage, stdout) == EOF || fflush (stdout))
    fail_program ("standard output", errno);

  exit (EXIT_SUCCESS);
}

static unsigned int
parse_jobs (const char *arg)
{
  char *end;
  long n;

  errno = 0;
  n = strtol (arg, &end, 10);

  if (errno || end == arg || *end || n < 1 || n > TOOL_JOBS_MAX)
    refuse_usage ("--jobs: not a number from 1 to 256");

  return (unsigned int)n;
}

static void
note_interrupt (int number)
{
  (void)number;
  tool.interrupted = 1;
}

/* SIGINT is noted; where it is ignored, as in the background jobs of a shell,
 * it stays ignored. */
static void
catch_interrupt (void)
{
  struct sigaction action;

  if (sigaction (SIGINT, 0, &action) || action.sa_handler == SIG_IGN)
    return;

  memset (&action, 0, sizeof action);
  action.sa_handler = note_interrupt;
  action.sa_flags = SA_RESTART;
  sigaction (SIGINT, &action, 0);
}

/* Where a standard descriptor is closed, the next one opened would take its
 * number, and get the output.  Writing to what is put there instead fails with
 * EBADF. */
static void
reserve_std_descriptors (void)
{
  int fd;

  do
    fd = open ("/dev/null", O_RDONLY);
  while (fd >= 0 && fd <= STDERR_FILENO);

  if (fd >= 0)
    close (fd);
}

/* Starts the library, with as many workers as requests can be in flight. */
static void
init_tool (unsigned int jobs)
{
  if (eio_init (0, 0))
    fail_program ("eio_init", errno);

  eio_set_parallel (jobs);

  /* Other things get their turn at least this often. */
  eio_set_max_poll_time (tool_tick / 2);
  catch_interrupt ();
}

/* The loop, until nothing is outstanding.  stop is called once if there was a
 * SIGINT; draw, when the line is to be drawn. */
static void
run_tool (void (*stop) (void), void (*draw) (void))
{
  while (eio_nreqs ())
    {
      if (eio_poll_wait (tool_tick) > 0)
        eio_poll ();

      if (tool.interrupted && stop)
        {
          stop ();
          stop = 0;
        }

      if (tool.line && get_time () >= tool.line_due)
        {
          tool.line_due = get_time () + tool_tick;
          draw ();
          fflush (tool.line);
        }
    }

  erase_line ();
}
