/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* eiocp: copies files and directory trees as cp -a does, but with many
 * requests in flight, and shows on a terminal how far it is.
 *
 * Each SOURCE is one eio_cptree, whose callback begins the next one: of two
 * SOURCEs of the same name, the later one has to win.  For the line on the
 * terminal, an eio_walk of each adds up meanwhile what there is to copy: "at
 * least", until the last one is done.  Where there is no line, there is no
 * walk.
 *
 * Other than cp, it never writes through a link or into a file that is there:
 * what is no directory is replaced. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <getopt.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "tool.h"

enum
{
  COUNT_JOBS = 2, /* it shall not take much from the copy */

  /* For the line, an entry takes as much time as so many bytes. */
  ENTRY_COST = 32768
};

static struct
{
  int flags; /* EIO_COPY_*, EIO_TREE_XDEV */
  int quiet;
  unsigned int jobs;
} opt = { .flags = EIO_COPY_ARCHIVE, .jobs = 8 };

static struct
{
  char **sources; /* that were not begun yet, */
  char **counts;  /* and not counted */
  const char *target;
  int into; /* the target is a directory that is there */

  eio_req *copy, *count; /* that are under way, or null */

  struct eio_progress done; /* by copies that are over */
  uint64_t entries, bytes;  /* that there are; final without a count */
  double begun;
} cp;

/* Where the last name of a path begins; slashes at its end are not in *end. */
static size_t
find_last_name (const char *path, size_t *end)
{
  size_t begin;

  *end = strlen (path);

  while (*end && path[*end - 1] == '/')
    --*end;

  for (begin = *end; begin && path[begin - 1] != '/';)
    --begin;

  return begin;
}

/* The path that a SOURCE is copied to.  Of one that ends in "..", it is the
 * target itself. */
static char *
make_target (const char *source)
{
  size_t end, begin = find_last_name (source, &end);
  size_t len = strlen (cp.target);
  char *path = malloc (len + end + 2);

  if (!path)
    fail_program ("giving up", ENOMEM);

  strcpy (path, cp.target);

  if (!cp.into)
    return path;

  if (end - begin == 2 && !memcmp (source + begin, "..", 2))
    ++begin;

  path[len++] = '/';
  memcpy (path + len, source + begin, end - begin);
  path[len + end - begin] = 0;
  return path;
}

static int finish_copy (eio_req *copy);

static void
start_copy (void)
{
  char *path;

  cp.copy = 0;

  if (!*cp.sources)
    return;

  path = make_target (*cp.sources);
  cp.copy = eio_cptree (*cp.sources++, path, opt.flags, opt.jobs, finish_copy,
                        0);
  free (path);

  if (!cp.copy)
    fail_program ("giving up", errno);
}

static int
finish_copy (eio_req *copy)
{
  struct eio_progress progress;

  eio_tree_progress (copy, &progress);
  cp.done.entries_done += progress.entries_done;
  cp.done.bytes_done += progress.bytes_done;

  report_tree_errors (copy);
  start_copy ();
  return 0;
}

/* After SIGINT, and another one kills.  What is being copied is removed; the
 * loop waits for that.  No callback is called any more, so this is where the
 * errors are listed. */
static void
cancel_copy (void)
{
  signal (SIGINT, SIG_DFL);

  if (cp.copy)
    {
      report_tree_errors (cp.copy);
      eio_cancel (cp.copy);
    }

  if (cp.count)
    eio_cancel (cp.count);

  cp.copy = cp.count = 0;
}

/* Holes are not copied, and a file that has several names is copied once. */
static uint64_t
get_cost (const struct stat *st)
{
  uint64_t size = (uint64_t)st->st_size;
  uint64_t allocated = (uint64_t)st->st_blocks * 512;

  if (!S_ISREG (st->st_mode))
    return 0;

  if (size > allocated)
    size = allocated;

  return st->st_nlink > 1 ? size / st->st_nlink : size;
}

static int
count_entry (eio_req *walk, const char *dir, const eio_dirent *dirent,
             const char *name, const struct stat *st)
{
  (void)walk, (void)dir, (void)dirent, (void)name;
  ++cp.entries;
  cp.bytes += get_cost (st);
  return 0;
}

static int finish_count (eio_req *walk);

static void
start_count (void)
{
  int flags
      = EIO_WALK_STAT | (opt.flags & EIO_TREE_XDEV ? EIO_WALK_XDEV : 0);

  cp.count = 0;

  if (!*cp.counts)
    return;

  cp.count = eio_walk (*cp.counts++, flags, COUNT_JOBS, count_entry,
                       finish_count, 0);

  if (!cp.count)
    fail_program ("giving up", errno);
}

/* Errors are those of the copy, too, which reports them. */
static int
finish_count (eio_req *walk)
{
  (void)walk;
  start_count ();
  return 0;
}

struct text
{
  char chars[32];
};

static struct text
show_bytes (double n)
{
  static const char units[] = "KMGTPE";
  struct text text;
  size_t unit = 0;

  if (n < 1024)
    {
      snprintf (text.chars, sizeof text.chars, "%.0f B", n);
      return text;
    }

  n /= 1024;
  while (n >= 1024 && units[unit + 1])
    {
      n /= 1024;
      ++unit;
    }

  snprintf (text.chars, sizeof text.chars, "%.1f %ciB", n, units[unit]);
  return text;
}

static struct text
show_time (double seconds)
{
  unsigned long n = (unsigned long)seconds;
  struct text text;

  if (n < 3600)
    snprintf (text.chars, sizeof text.chars, "%lu:%02lu", n / 60, n % 60);
  else
    snprintf (text.chars, sizeof text.chars, "%lu:%02lu:%02lu", n / 3600,
              n / 60 % 60, n % 60);

  return text;
}

/* How much of the time is over, by what is done: not more than all. */
static double
get_fraction (const struct eio_progress *now)
{
  double done = (double)now->bytes_done
                + (double)now->entries_done * ENTRY_COST;
  double all = (double)cp.bytes + (double)cp.entries * ENTRY_COST;

  return done < all ? done / all : 1;
}

static size_t
get_columns (void)
{
  struct winsize size;

  return !ioctl (fileno (tool.line), TIOCGWINSZ, &size) && size.ws_col
             ? size.ws_col
             : 80;
}

/* As much of a bar as there is room for beside the text. */
static void
draw_bar (const char *text, double fraction)
{
  size_t room = get_columns () - 1, len = strlen (text), bar = 0;

  if (cp.count || len + 10 > room)
    fprintf (tool.line, "\r%.*s\033[K", (int)room, text);
  else
    {
      bar = room - len - 8;
      fprintf (tool.line, "\r%3d%% [", (int)(100 * fraction));

      for (size_t i = 0; i < bar; ++i)
        putc ((double)i < fraction * (double)bar ? '#' : ' ', tool.line);

      fprintf (tool.line, "] %s\033[K", text);
    }
}

static void
draw_progress (void)
{
  const char *of = cp.count ? "of at least" : "of";
  double elapsed = get_time () - cp.begun, fraction;
  struct eio_progress now = { 0 };
  char text[256];
  int len;

  if (cp.copy)
    eio_tree_progress (cp.copy, &now);

  now.entries_done += cp.done.entries_done;
  now.bytes_done += cp.done.bytes_done;
  fraction = get_fraction (&now);

  len = snprintf (text, sizeof text, "%s %s %s, %llu %s %llu entries, %s/s",
                  show_bytes ((double)now.bytes_done).chars, of,
                  show_bytes ((double)cp.bytes).chars,
                  (unsigned long long)now.entries_done, of,
                  (unsigned long long)cp.entries,
                  show_bytes ((double)now.bytes_done / elapsed).chars);

  if (!cp.count && fraction > 0)
    snprintf (text + len, sizeof text - (size_t)len, ", %s left",
              show_time (elapsed * (1 - fraction) / fraction).chars);

  draw_bar (text, fraction);
}

static const char usage[] =
    "Usage: eiocp [OPTION]... SOURCE... TARGET\n"
    "Copy each SOURCE, and everything below it, to TARGET, or into TARGET if"
    " that is a\n"
    "directory.  Links, modes, holes, and what the options do not exclude are"
    " kept.\n"
    "\n"
    "  -e, --exclusive        replace nothing, add to no directory\n"
    "  -x, --one-file-system  leave directories on other file systems empty\n"
    "      --no-owner         do not copy owner and group,\n"
    "      --no-times         nor times,\n"
    "      --no-xattrs        nor extended attributes\n"
    "      --sync             put each file on the disk at once\n"
    "      --clone            share blocks with SOURCE, or fail\n"
    "  -j, --jobs=N           have up to N requests in flight, 1 to 256;"
    " initially 8\n"
    "      --no-progress      show nothing on the terminal\n"
    "  -h, --help             print this\n"
    "\n"
    "Exit status: 0, 1 after errors, 2 for wrong usage, 130 after SIGINT.\n";

/* Those that have no letter, from 256 on. */
enum
{
  OPTION_NO_OWNER = 256,
  OPTION_NO_TIMES,
  OPTION_NO_XATTRS,
  OPTION_SYNC,
  OPTION_CLONE
};

static void
take_option (int option)
{
  switch (option)
    {
    case 0: break;
    case 'e': opt.flags |= EIO_COPY_EXCL; break;
    case 'x': opt.flags |= EIO_TREE_XDEV; break;
    case 'j': opt.jobs = parse_jobs (optarg); break;
    case 'h': print_help (usage); break;
    case OPTION_NO_OWNER: opt.flags &= ~EIO_COPY_OWNER; break;
    case OPTION_NO_TIMES: opt.flags &= ~EIO_COPY_TIMES; break;
    case OPTION_NO_XATTRS: opt.flags &= ~EIO_COPY_XATTR; break;
    case OPTION_SYNC: opt.flags |= EIO_COPY_SYNC; break;
    case OPTION_CLONE: opt.flags |= EIO_COPY_CLONE_ONLY; break;
    default: refuse_usage (0);
    }
}

static void
parse_options (int argc, char **argv)
{
  static const struct option options[] = {
    { "exclusive", no_argument, 0, 'e' },
    { "one-file-system", no_argument, 0, 'x' },
    { "no-owner", no_argument, 0, OPTION_NO_OWNER },
    { "no-times", no_argument, 0, OPTION_NO_TIMES },
    { "no-xattrs", no_argument, 0, OPTION_NO_XATTRS },
    { "sync", no_argument, 0, OPTION_SYNC },
    { "clone", no_argument, 0, OPTION_CLONE },
    { "jobs", required_argument, 0, 'j' },
    { "no-progress", no_argument, &opt.quiet, 1 },
    { "help", no_argument, 0, 'h' },
    { 0, 0, 0, 0 }
  };
  int option;

  while ((option = getopt_long (argc, argv, "exj:h", options, 0)) != -1)
    take_option (option);

  if (argc - optind < 2)
    refuse_usage (argc > optind ? "no TARGET given" : "no SOURCE given");

  if (!opt.quiet && isatty (STDOUT_FILENO))
    tool.line = stdout;
}

/* The loop has nothing to do yet, so this may block.  A target must be a
 * directory if it gets several SOURCEs, and else be in one: -1 if not. */
static int
set_target (char *target, int several)
{
  size_t end, begin = find_last_name (target, &end);
  struct stat st;
  int res = stat (target, &st);
  char saved = target[begin];

  cp.target = target;
  cp.into = !res && S_ISDIR (st.st_mode);

  if (!several && res && errno == ENOENT)
    {
      target[begin] = 0;
      res = begin ? stat (target, &st) : 0;
      target[begin] = saved;
    }
  else if (several && !res && !cp.into)
    {
      errno = ENOTDIR;
      res = -1;
    }

  if (res)
    report_error (target, errno);

  return res;
}

int
main (int argc, char **argv)
{
  tool.name = "eiocp";
  reserve_std_descriptors ();
  parse_options (argc, argv);

  if (set_target (argv[argc - 1], argc - optind > 2))
    return EXIT_FAILURE;

  argv[argc - 1] = 0;
  cp.sources = cp.counts = argv + optind;
  cp.begun = get_time ();

  init_tool (opt.jobs + (tool.line ? COUNT_JOBS : 0));
  start_copy ();

  if (tool.line)
    start_count ();

  run_tool (cancel_copy, draw_progress);
  eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);

  if (tool.interrupted)
    return 128 + SIGINT;

  return tool.nerrors ? EXIT_FAILURE : EXIT_SUCCESS;
}
