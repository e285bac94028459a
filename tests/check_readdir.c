/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* readdir: against the system's own view of directories of all sizes, in all
 * combinations of flags; and with a readdir(3) of our own beneath, which
 * hides types, makes up entries, fails, and waits. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum
{
  DENTS = EIO_READDIR_DENTS,
  DIRS_FIRST = EIO_READDIR_DIRS_FIRST,
  STAT_ORDER = EIO_READDIR_STAT_ORDER,
  UNKNOWN = EIO_READDIR_FOUND_UNKNOWN,
  CUSTOM = EIO_READDIR_CUSTOM1 | EIO_READDIR_CUSTOM2
};

/*****************************************************************************
 * A readdir(3) that does as it is told                                      *
 *****************************************************************************/

/* For threads other than the test's own. */
static struct
{
  int hide;     /* types are not known: 1 of all, 2 of names with a "u" */
  long entries; /* that many are made up, in place of the real ones */
  unsigned long (*inode) (unsigned long i, unsigned long n);
  long fail_at; /* this call, counted from 1, fails once ... */
  int error;    /* ... with this errno */
  long wait_at; /* this call posts reached, and waits for go */
  sem_t reached, go;
  atomic_long calls;
  pthread_t self; /* the test's own thread */
} fake;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static struct dirent *
next_entry (DIR *dir)
{
  static _Thread_local struct dirent entry;
  struct dirent *res = 0;
  int error = readdir_r (dir, &entry, &res);

  if (error)
    errno = error;
  return res;
}
#pragma GCC diagnostic pop

static struct dirent *
made_up_entry (long i)
{
  static _Thread_local struct dirent entry;

  snprintf (entry.d_name, sizeof entry.d_name, "n%07ld", i);
  entry.d_type = i % 10 ? DT_REG : DT_DIR;
  entry.d_ino = fake.inode ((unsigned long)i, (unsigned long)fake.entries);
  return i < fake.entries ? &entry : 0;
}

static struct dirent *
faked_entry (DIR *dir)
{
  long call = ++fake.calls;
  struct dirent *res;

  if (call == fake.wait_at)
    {
      sem_post (&fake.reached);
      take (&fake.go);
    }
  if (call == fake.fail_at)
    {
      errno = fake.error;
      return 0;
    }
  if (fake.entries)
    return made_up_entry (call - 1);

  res = next_entry (dir);
  if (res && (fake.hide == 1 || (fake.hide && strchr (res->d_name, 'u'))))
    res->d_type = DT_UNKNOWN;
  return res;
}

/* Takes the place of the C library's, also for the library under test. */
struct dirent *
readdir (DIR *dir)
{
  return pthread_equal (pthread_self (), fake.self) ? next_entry (dir)
                                                    : faked_entry (dir);
}

/*****************************************************************************
 * The system's view of a directory                                          *
 *****************************************************************************/

typedef struct
{
  char *name;
  int type;
  unsigned long long inode;
  int seen;
} entry;

/* A hash table of its entries. */
typedef struct
{
  entry *slots;
  size_t nslots;
  long count;
  int unknown; /* there is a type that is not known */
} view;

static entry *
view_slot (const view *v, const char *name)
{
  size_t hash = 5381;
  const char *p;

  for (p = name; *p; ++p)
    hash = hash * 33 + (unsigned char)*p;
  for (hash %= v->nslots;; hash = (hash + 1) % v->nslots)
    if (!v->slots[hash].name || !strcmp (v->slots[hash].name, name))
      return &v->slots[hash];
}

static view
view_of (const char *path, long size)
{
  view v = { 0, (size_t)size * 2 + 10, 0, 0 };
  DIR *dir = opendir (path);
  struct dirent *de;

  ck_assert_ptr_nonnull (dir);
  v.slots = calloc (v.nslots, sizeof *v.slots);
  ck_assert_ptr_nonnull (v.slots);
  while ((de = readdir (dir)))
    if (strcmp (de->d_name, ".") && strcmp (de->d_name, ".."))
      {
        entry *e = view_slot (&v, de->d_name);
        ck_assert_ptr_null (e->name);
        *e = (entry) { strdup (de->d_name), de->d_type, de->d_ino, 0 };
        v.unknown |= de->d_type == DT_UNKNOWN;
        ++v.count;
      }
  closedir (dir);
  ck_assert_int_eq (v.count, size);
  return v;
}

static void
view_free (view *v)
{
  size_t i;

  for (i = 0; i < v->nslots; ++i)
    free (v->slots[i].name);
  free (v->slots);
}

/* Finds an entry that was not found before in this turn. */
static entry *
view_find (const view *v, const char *name, int turn)
{
  entry *e = view_slot (v, name);

  if (!e->name || e->seen == turn)
    ck_abort_msg ("\"%s\" %s", name, e->name ? "is there twice"
                                             : "is not there");
  e->seen = turn;
  return e;
}

/*****************************************************************************
 * What the library says                                                     *
 *****************************************************************************/

static int turn; /* see view_find */

/* The names are those of the view, one after the other. */
static void
check_names (const view *v)
{
  const char *name = got.ptr2;
  long i;

  ++turn;
  for (i = 0; i < v->count; ++i, name += strlen (name) + 1)
    view_find (v, name, turn);
}

static void
check_dents (const view *v)
{
  const eio_dirent *d = got.ptr1;
  long i;

  ++turn;
  for (i = 0; i < v->count; ++i)
    {
      const char *name = (char *)got.ptr2 + d[i].nameofs;
      entry *e = view_find (v, name, turn);
      if (d[i].namelen != strlen (name) || d[i].type != e->type
          || d[i].inode != e->inode
          || (d[i].nameofs && name[-1] != 0))
        ck_abort_msg ("\"%s\": length %d, type %d, inode %llu, at %d; not %d,"
                      " %llu", name, d[i].namelen, d[i].type,
                      (unsigned long long)d[i].inode, d[i].nameofs, e->type,
                      e->inode);
    }
}

/* Sorted as the flags say; types are known. */
static void
check_order (long n, int flags)
{
  const eio_dirent *d = got.ptr1;
  long i;

  for (i = 1; i < n; ++i)
    {
      int was_dir = d[i - 1].type == EIO_DT_DIR;
      int is_dir = d[i].type == EIO_DT_DIR;
      int up = d[i - 1].inode <= d[i].inode;

      if (flags & DIRS_FIRST && is_dir && !was_dir)
        ck_abort_msg ("a directory at %ld is behind a file", i);
      if (flags & DIRS_FIRST && is_dir && was_dir && !up)
        ck_abort_msg ("the directory at %ld is not in order", i);
      if (flags & STAT_ORDER && (is_dir == was_dir || !(flags & DIRS_FIRST))
          && !up)
        ck_abort_msg ("the inode at %ld is not in order", i);
    }
}

static int
expected_flags (int flags, int unknown)
{
  flags &= ~UNKNOWN;
  if (!(flags & DENTS))
    return flags & ~(DIRS_FIRST | STAT_ORDER);
  return unknown ? flags | UNKNOWN : flags;
}

static void
check_listing (const view *v, const char *path, int flags)
{
  gives (v->count, eio_readdir (path, flags, KEEP));
  ck_assert_int_eq (got.int1, expected_flags (flags, v->unknown));
  ck_assert_ptr_nonnull (got.ptr2);
  ck_assert (got.flags & EIO_FLAG_PTR2_FREE);
  check_names (v);

  ck_assert_int_eq (!!(got.flags & EIO_FLAG_PTR1_FREE), flags & DENTS);
  if (flags & DENTS)
    {
      ck_assert_ptr_nonnull (got.ptr1);
      check_dents (v);
      if (!v->unknown)
        check_order (v->count, flags);
    }
}

/* All combinations of the first three flags. */
static void
check_all_listings (const view *v, const char *path)
{
  int flags;

  for (flags = 0; flags < 8; ++flags)
    check_listing (v, path, flags | (flags & 1 ? 0 : CUSTOM));
}

/*****************************************************************************
 * Directories                                                               *
 *****************************************************************************/

/* Some file systems take long to make an inode: in large directories, most
 * files are links to the one before. */
static int
make_plain_file (int dir, const char *name, long links)
{
  static char last[30];
  static long made;

  if (made++ % links)
    return linkat (dir, last, dir, name, 0);
  strcpy (last, name);
  return mknodat (dir, name, S_IFREG | 0666, 0);
}

/* Makes the entry with that number, of n: most are files. */
static void
make_entry (int dir, long i, long n)
{
  char name[30];
  int res;

  snprintf (name, sizeof name, "%s%ld%s", i % 500 == 7 ? "." : "f", i,
            i % 3 ? "" : ".ext");
  if (i % 500 == 3)
    res = mkdirat (dir, name, 0777);
  else if (i % 997 == 5)
    res = symlinkat (i & 1 ? "nowhere" : ".", dir, name);
  else if (i % 997 == 6)
    res = mkfifoat (dir, name, 0666);
  else
    res = make_plain_file (dir, name, n / 1000 + 1);
  ck_assert_msg (!res, "%s: %s", name, strerror (errno));
}

/* In no good order of names and inodes. */
static const char *
make_entries (long n)
{
  const char *path = scratch_path ("dir");
  long i, step = n % 7 ? 7 : 11;
  int dir;

  ck_assert_int_eq (mkdir (path, 0777), 0);
  dir = open (path, O_RDONLY | O_DIRECTORY);
  ck_assert_int_ge (dir, 0);
  for (i = 0; i < n; ++i)
    make_entry (dir, i * step % n, n);
  close (dir);
  return path;
}

static const long sizes[] = { 0, 1, 2, 3, 59, 60, 61, 1000, 10000 };

START_TEST (directories_are_as_the_system_sees_them)
{
  const char *path = make_entries (sizes[_i]);
  view v = view_of (path, sizes[_i]);

  check_all_listings (&v, path);
  view_free (&v);
}
END_TEST

/* Seconds of processor time, so that other programs do not count. */
static double
cpu_time (void)
{
  return (double)clock () / CLOCKS_PER_SEC;
}

/* A few seconds, most of them to make and remove the files.  Sorting takes a
 * twentieth of one, and would take tens of them if it were quadratic. */
START_TEST (a_directory_of_200000_entries_is_as_the_system_sees_it)
{
  const char *path = make_entries (200000);
  view v = view_of (path, 200000);
  double start = cpu_time ();

  gives (200000, eio_readdir (path, DENTS | DIRS_FIRST | STAT_ORDER, KEEP));
  ck_assert_double_lt (cpu_time () - start, 10);
  check_all_listings (&v, path);
  view_free (&v);
}
END_TEST

START_TEST (flags_in_and_out)
{
  static const int table[][2] = {
    { 0, 0 },
    { UNKNOWN, 0 },
    { DENTS | UNKNOWN, DENTS },
    { DIRS_FIRST, 0 },
    { STAT_ORDER | CUSTOM, CUSTOM },
    { DIRS_FIRST | STAT_ORDER | EIO_READDIR_CUSTOM1, EIO_READDIR_CUSTOM1 },
    { DENTS | STAT_ORDER | EIO_READDIR_CUSTOM2,
      DENTS | STAT_ORDER | EIO_READDIR_CUSTOM2 },
    { DENTS | DIRS_FIRST | STAT_ORDER | CUSTOM,
      DENTS | DIRS_FIRST | STAT_ORDER | CUSTOM },
  };
  const char *path = make_entries (20);
  view v = view_of (path, 20);
  int i;

  for (i = 0; i < LENGTH (table) && !v.unknown; ++i)
    {
      gives (20, eio_readdir (path, table[i][0], KEEP));
      ck_assert_int_eq (got.int1, table[i][1]);
    }
  view_free (&v);
}
END_TEST

/* A path that the caller owns stays what it is, unless there are dents. */
START_TEST (path_stays_without_dents)
{
  static char path[100];

  snprintf (path, sizeof path, "%s", make_entries (5));
  gives (5, submit ((eio_req) { .type = EIO_READDIR, .ptr1 = path }));
  ck_assert_ptr_eq (got.ptr1, path);
  ck_assert (!(got.flags & EIO_FLAG_PTR1_FREE));
  gives (5, submit ((eio_req) { .type = EIO_READDIR, .ptr1 = path,
                                .int1 = DENTS }));
  ck_assert_ptr_ne (got.ptr1, path);
  ck_assert (got.flags & EIO_FLAG_PTR1_FREE);
}
END_TEST

START_TEST (hostile_names_are_listed)
{
  static const char *const names[] = {
    "...",  "..x", ".x",     " ",     "-rf",   "*",      "a\nb", "a\tb",
    "\x01", "\xff\xfe", "\xc3\xa4", "%s%n", "\\", "\"", "a b ", "x.", "~",
  };
  const char *path = scratch_path ("dir");
  char longest[256];
  int dir, i;
  view v;

  ck_assert_int_eq (mkdir (path, 0777), 0);
  dir = open (path, O_RDONLY | O_DIRECTORY);
  for (i = 0; i < LENGTH (names); ++i)
    ck_assert_int_eq (mkdirat (dir, names[i], 0777), 0);
  memset (longest, 'l', 255);
  for (i = 255; i > 250; --i)
    {
      longest[i] = 0;
      ck_assert_int_eq (mknodat (dir, longest, S_IFREG | 0666, 0), 0);
    }
  close (dir);
  v = view_of (path, LENGTH (names) + 5);
  check_all_listings (&v, path);
  view_free (&v);
}
END_TEST

START_TEST (every_type_is_told)
{
  const char *path = scratch_path ("dir");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int s = socket (AF_UNIX, SOCK_STREAM, 0);
  view v;

  ck_assert_int_eq (mkdir (path, 0777), 0);
  ck_assert_int_eq (chdir (path), 0);
  strcpy (address.sun_path, "socket");
  ck_assert_int_eq (bind (s, (struct sockaddr *)&address, sizeof address), 0);
  write_file ("file", "", 0);
  ck_assert_int_eq (mkfifo ("fifo", 0666), 0);
  ck_assert_int_eq (symlink ("file", "link"), 0);
  ck_assert_int_eq (mkdir ("sub", 0777), 0);
  v = view_of (".", 5);
  check_all_listings (&v, path);
  ck_assert_int_eq (chdir ("/"), 0);
  close (s);
  view_free (&v);

  ck_assert_int_gt (run (eio_readdir ("/dev", DENTS | DIRS_FIRST, KEEP)), 0);
  check_order (got.result, DIRS_FIRST);
}
END_TEST

/*****************************************************************************
 * Errors                                                                    *
 *****************************************************************************/

static void
try_rights (void)
{
  ck_assert_int_eq (mkdir ("open/dir", 0300), 0);
  fails (EACCES, eio_readdir ("open/dir", 0, KEEP));
  fails (EACCES, eio_readdir ("open/dir", DENTS, KEEP));
  ck_assert_int_eq (chmod ("open/dir", 0400), 0);
  gives (0, eio_readdir ("open/dir", DENTS, KEEP));
  ck_assert_int_eq (rmdir ("open/dir"), 0);
}

START_TEST (unreadable_directories_are_eacces)
{
  as_user (try_rights);
}
END_TEST

START_TEST (errors_are_the_systems_and_nothing_leaks)
{
  static const struct
  {
    const char *path;
    int error;
  } table[] = {
    { "missing", ENOENT }, { "", ENOENT },     { "file", ENOTDIR },
    { "file/", ENOTDIR },  { "loop", ELOOP },  { "dangling", ENOENT },
    { "fifo", ENOTDIR },   { "file/x", ENOTDIR },
  };
  int i, fds;

  ck_assert_int_eq (chdir (scratch ()), 0);
  write_file ("file", "", 0);
  ck_assert_int_eq (mkfifo ("fifo", 0666), 0);
  ck_assert_int_eq (symlink ("loop", "loop"), 0);
  ck_assert_int_eq (symlink ("nowhere", "dangling"), 0);
  gives (0, eio_nop (KEEP));
  fds = count_fds ();
  for (i = 0; i < LENGTH (table); ++i)
    {
      fails (table[i].error, eio_readdir (table[i].path, 0, KEEP));
      fails (table[i].error, eio_readdir (table[i].path, DENTS | STAT_ORDER,
                                          KEEP));
    }
  fails (EINVAL, submit ((eio_req) { .type = EIO_READDIR }));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (links_to_directories_are_followed)
{
  const char *path = make_entries (10), *link = scratch_path ("link");
  view v = view_of (path, 10);

  ck_assert_int_eq (symlink (path, link), 0);
  check_all_listings (&v, link);
  view_free (&v);
}
END_TEST

START_TEST (descriptors_are_closed)
{
  const char *path = make_entries (100);
  int fds, i;

  gives (0, eio_nop (KEEP));
  fds = count_fds ();
  for (i = 0; i < 8; ++i)
    gives (100, eio_readdir (path, i, KEEP));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/*****************************************************************************
 * With our own readdir(3)                                                   *
 *****************************************************************************/

START_TEST (an_error_in_the_middle_fails_and_leaks_nothing)
{
  static const long places[] = { 1, 2, 50, 500, 1003 };
  const char *path = make_entries (1000);
  int fds, i;

  gives (0, eio_nop (KEEP));
  fds = count_fds ();
  fake.error = EIO;
  for (i = 0; i < LENGTH (places); ++i)
    {
      fake.fail_at = places[i];
      fake.calls = 0;
      fails (EIO, eio_readdir (path, _i, KEEP));
      ck_assert_int_eq (fake.calls, fake.fail_at);
      ck_assert_int_eq (count_fds (), fds);
    }
}
END_TEST

START_TEST (an_interruption_in_the_middle_is_tried_again)
{
  const char *path = make_entries (1000);
  view v = view_of (path, 1000);

  fake.error = EINTR;
  fake.fail_at = 50;
  check_listing (&v, path, DENTS | STAT_ORDER);
  ck_assert_int_ge (fake.calls, 1001);
  view_free (&v);
}
END_TEST

/* How likely a directory is here, 0 most; unknown types are hidden from the
 * names with a "u". */
static int
rank (const eio_dirent *d)
{
  const char *name = (char *)got.ptr2 + d->nameofs;

  if (d->type == EIO_DT_DIR)
    return 0;
  if (d->type != EIO_DT_UNKNOWN)
    return 1000;
  return name[0] == '.' ? 1 : strchr (name, '.') ? 1000 : 1 + d->namelen;
}

START_TEST (unknown_types_are_sorted_by_likelihood)
{
  static const char *const dirs[] = { "a", "u", ".u", "dir", "uuuuu", ".dir",
                                      "u.ext", ".u.ext", "long-directory",
                                      "duu", "uu" };
  static const char *const files[] = { "b", "uuu", ".uu", "file", "uuuuuuuu",
                                       ".file", "f.u", ".f.u",
                                       "unknown-long-file", "fu", "c.x" };
  const int n = LENGTH (dirs) + LENGTH (files);
  const eio_dirent *d;
  int i;

  ck_assert_int_eq (chdir (scratch ()), 0);
  for (i = 0; i < LENGTH (files); ++i)
    {
      write_file (files[i], "", 0);
      ck_assert_int_eq (mkdir (dirs[i], 0777), 0);
    }

  fake.hide = 1 + _i;
  gives (n, eio_readdir (".", DENTS | DIRS_FIRST, KEEP));
  ck_assert_msg (fake.calls > 0, "the library does not use our readdir");
  ck_assert_int_eq (got.int1, DENTS | DIRS_FIRST | UNKNOWN);
  d = got.ptr1;
  for (i = 1; i < n; ++i)
    {
      int was = rank (&d[i - 1]), is = rank (&d[i]);
      ck_assert_msg (was <= is, "\"%s\" is before \"%s\"",
                     (char *)got.ptr2 + d[i - 1].nameofs,
                     (char *)got.ptr2 + d[i].nameofs);
      if (was == is && is < 1000)
        ck_assert_uint_le (d[i - 1].inode, d[i].inode);
    }
}
END_TEST

START_TEST (stat_order_sorts_unknown_types_by_inode)
{
  const char *path = make_entries (500);

  fake.hide = 1;
  gives (500, eio_readdir (path, DENTS | STAT_ORDER, KEEP));
  ck_assert_int_eq (got.int1, DENTS | STAT_ORDER | UNKNOWN);
  check_order (500, STAT_ORDER);
}
END_TEST

/* Orders that make simple sorts slow, or deep. */
static unsigned long
same (unsigned long i, unsigned long n)
{
  return (void)i, (void)n, 42;
}

static unsigned long
upward (unsigned long i, unsigned long n)
{
  return (void)n, i;
}

static unsigned long
downward (unsigned long i, unsigned long n)
{
  return n - i;
}

static unsigned long
pipes (unsigned long i, unsigned long n)
{
  return i < n / 2 ? i : n - i;
}

static unsigned long
scattered (unsigned long i, unsigned long n)
{
  return (void)n, i * 2654435761u % 4294967291u;
}

static unsigned long
few (unsigned long i, unsigned long n)
{
  return (void)n, i * 7919 % 3;
}

static unsigned long
huge (unsigned long i, unsigned long n)
{
  return (void)n, i & 1 ? ~0ul - i : i;
}

static const struct
{
  unsigned long (*inode) (unsigned long, unsigned long);
  long n;
} orders[] = {
  { same, 200000 },  { upward, 200000 },     { downward, 200000 },
  { pipes, 200000 }, { scattered, 1000000 }, { few, 200000 },
  { huge, 200000 },
};

START_TEST (many_entries_are_sorted_whatever_their_order)
{
  const long n = orders[_i].n;
  double start = cpu_time ();

  fake.entries = n;
  fake.inode = orders[_i].inode;
  gives (n, eio_readdir (scratch (), DENTS | STAT_ORDER, KEEP));
  check_order (n, STAT_ORDER);

  fake.calls = 0;
  gives (n, eio_readdir (scratch (), DENTS | STAT_ORDER | DIRS_FIRST, KEEP));
  check_order (n, STAT_ORDER | DIRS_FIRST);
  ck_assert_double_lt (cpu_time () - start, n < 1000000 ? 10 : 40);
}
END_TEST

static atomic_int finished, destroyed;

static int
note_finish (eio_req *req)
{
  (void)req;
  ++finished;
  return 0;
}

static void
note_destroy (eio_req *req)
{
  (void)req;
  ++destroyed;
}

START_TEST (cancellation_stops_it_and_leaks_nothing)
{
  static eio_req req;
  int fds;

  gives (0, eio_nop (KEEP));
  fds = count_fds ();
  fake.entries = 1000000;
  fake.inode = upward;
  fake.wait_at = 10 * _i + 1;
  req.type = EIO_READDIR;
  req.ptr1 = (char *)scratch ();
  req.int1 = DENTS | STAT_ORDER;
  req.finish = note_finish;
  req.destroy = note_destroy;
  eio_submit (&req);
  take (&fake.reached);
  eio_cancel (&req);
  sem_post (&fake.go);
  host_drain ();

  ck_assert_int_eq (finished, 0);
  ck_assert_int_eq (destroyed, 1);
  ck_assert_int_le (fake.calls, fake.wait_at + 1000);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/*****************************************************************************
 * Suite                                                                     *
 *****************************************************************************/

static void
start (void)
{
  fake.self = pthread_self ();
  sem_init (&fake.reached, 0, 0);
  sem_init (&fake.go, 0, 0);
  host_start ();
}

int
main (void)
{
  Suite *suite = suite_create ("readdir");
  TCase *tc = add_case (suite, "listing", 300, start, 0);
  tcase_add_loop_test (tc, directories_are_as_the_system_sees_them, 0,
                       LENGTH (sizes));
  tcase_add_test (tc, a_directory_of_200000_entries_is_as_the_system_sees_it);
  tcase_add_test (tc, flags_in_and_out);
  tcase_add_test (tc, path_stays_without_dents);
  tcase_add_test (tc, hostile_names_are_listed);
  tcase_add_test (tc, every_type_is_told);

  tc = add_case (suite, "errors", 300, start, 0);
  tcase_add_test (tc, unreadable_directories_are_eacces);
  tcase_add_test (tc, errors_are_the_systems_and_nothing_leaks);
  tcase_add_test (tc, links_to_directories_are_followed);
  tcase_add_test (tc, descriptors_are_closed);

  tc = add_case (suite, "odd systems", 300, start, 0);
  tcase_add_loop_test (tc, an_error_in_the_middle_fails_and_leaks_nothing, 0,
                       8);
  tcase_add_test (tc, an_interruption_in_the_middle_is_tried_again);
  tcase_add_loop_test (tc, unknown_types_are_sorted_by_likelihood, 0, 2);
  tcase_add_test (tc, stat_order_sorts_unknown_types_by_inode);
  tcase_add_loop_test (tc, many_entries_are_sorted_whatever_their_order, 0,
                       LENGTH (orders));
  tcase_add_loop_test (tc, cancellation_stops_it_and_leaks_nothing, 0, 3);
  return run_suite (suite);
}
