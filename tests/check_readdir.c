/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* EIO_READDIR against what opendir and readdir say. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct
{
  char *name;
  unsigned char type;
  ino_t inode;
} entry;

typedef struct
{
  entry *entries; /* sorted by name */
  size_t count;
} view;

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const entry *)a)->name, ((const entry *)b)->name);
}

/* The system's own view of a directory. */
static view
look (const char *path)
{
  view v = { 0, 0 };
  size_t room = 0;
  struct dirent *de;
  DIR *d = opendir (path);
  ck_assert_ptr_nonnull (d);
  while ((de = readdir (d)))
    {
      if (!strcmp (de->d_name, ".") || !strcmp (de->d_name, ".."))
        continue;
      if (v.count == room)
        v.entries = realloc (v.entries,
                             (room = room * 2 + 16) * sizeof *v.entries);
      v.entries[v.count].name = strdup (de->d_name);
      v.entries[v.count].type = de->d_type;
      v.entries[v.count++].inode = de->d_ino;
    }
  closedir (d);
  if (v.count)
    qsort (v.entries, v.count, sizeof *v.entries, compare_names);
  return v;
}

static void
release (view *v)
{
  while (v->count)
    free (v->entries[--v->count].name);
  free (v->entries);
}

static const entry *
find (const view *v, const char *name)
{
  entry key = { (char *)name, 0, 0 };
  return v->count ? bsearch (&key, v->entries, v->count, sizeof key,
                             compare_names)
                  : 0;
}

/* Every seventh entry is a directory, every eleventh a link; names of several
 * lengths, with and without dots. */
static void
make_entry (int dir, int i)
{
  static const char *const forms[] = { "%d",    ".%d",         "file-%d.txt",
                                       "d%dir", "long-name-%d-that-goes-on" };
  char name[80];
  int fd;
  snprintf (name, sizeof name, forms[i % 5], i);
  if (i % 7 == 3)
    ck_assert_int_eq (mkdirat (dir, name, 0777), 0);
  else if (i % 11 == 5)
    ck_assert_int_eq (symlinkat ("nowhere", dir, name), 0);
  else
    {
      fd = openat (dir, name, O_CREAT | O_EXCL | O_WRONLY, 0666);
      ck_assert_int_ge (fd, 0);
      close (fd);
    }
}

static const char *
make_directory (int count)
{
  const char *path = scratch_path ("dir");
  int dir;
  ck_assert_int_eq (mkdir (path, 0777), 0);
  dir = open (path, O_RDONLY | O_DIRECTORY);
  ck_assert_int_ge (dir, 0);
  for (int i = 0; i < count; ++i)
    make_entry (dir, i);
  close (dir);
  return path;
}

/* What is expected of the listing that check_listing is given. */
static const view *expected;
static int asked_flags, listings;

/* All names are there, once, one after the other, each with a 0. */
static int
check_names (eio_req *req)
{
  const char *name = req->ptr2;
  char *seen = calloc (expected->count + 1, 1);
  for (size_t i = 0; i < expected->count; ++i)
    {
      const entry *e = find (expected, name);
      ck_assert_msg (e != 0, "invented: %s", name);
      ck_assert_msg (!seen[e - expected->entries]++, "twice: %s", name);
      name += strlen (name) + 1;
    }
  free (seen);
  return 0;
}

static void
check_dent (const eio_dirent *ent, const char *names, int *offset)
{
  const char *name = names + ent->nameofs;
  const entry *e = find (expected, name);
  ck_assert_msg (e != 0, "invented: %s", name);
  ck_assert_uint_eq (ent->namelen, strlen (name));
  ck_assert_uint_eq (ent->type, e->type);
  ck_assert_uint_eq (ent->inode, e->inode);
  *offset += ent->namelen + 1;
}

static int
is_in_order (const eio_dirent *a, const eio_dirent *b)
{
  int a_dir = a->type == EIO_DT_DIR, b_dir = b->type == EIO_DT_DIR;
  if (asked_flags & EIO_READDIR_DIRS_FIRST)
    {
      if (a_dir != b_dir)
        return a_dir;
      if (a_dir)
        return a->inode <= b->inode;
      return !(asked_flags & EIO_READDIR_STAT_ORDER) || a->inode <= b->inode;
    }
  return !(asked_flags & EIO_READDIR_STAT_ORDER) || a->inode <= b->inode;
}

static int
check_listing (eio_req *req)
{
  const int sorts = EIO_READDIR_DIRS_FIRST | EIO_READDIR_STAT_ORDER;
  int dents = asked_flags & EIO_READDIR_DENTS, offset = 0;
  ++listings;
  ck_assert_int_eq (req->errorno, 0);
  ck_assert_uint_eq ((size_t)req->result, expected->count);
  ck_assert_ptr_nonnull (req->ptr2);
  ck_assert_int_ne (req->flags & EIO_FLAG_PTR2_FREE, 0);
  ck_assert_int_eq (req->int1, dents ? asked_flags : asked_flags & ~sorts);
  check_names (req);
  if (!dents)
    return 0;
  ck_assert_ptr_nonnull (req->ptr1);
  ck_assert_int_ne (req->flags & EIO_FLAG_PTR1_FREE, 0);
  for (eio_ssize_t i = 0; i < req->result; ++i)
    {
      const eio_dirent *ent = (eio_dirent *)req->ptr1 + i;
      check_dent (ent, req->ptr2, &offset);
      ck_assert_msg (!i || is_in_order (ent - 1, ent),
                     "flags %x: entry %ld is out of order", asked_flags,
                     (long)i);
    }
  return 0;
}

static void
list (const char *path, int flags)
{
  int before = listings;
  asked_flags = flags;
  ck_assert_ptr_nonnull (eio_readdir (path, flags, 0, check_listing, 0));
  host_drain ();
  ck_assert_int_eq (listings, before + 1);
}

static const int sizes[] = { 0, 1, 59, 60, 61, 127, 128, 129, 10000, 200000 };

START_TEST (listing_is_the_systems_in_all_flag_combinations)
{
  const char *path = make_directory (sizes[_i]);
  view v = look (path);
  double start;
  ck_assert_uint_eq (v.count, (size_t)sizes[_i]);
  expected = &v;
  host_start ();
  start = now ();
  for (int flags = 0; flags < 8; ++flags)
    {
      list (path, flags);
      if (sizes[_i] <= 10000)
        list (path, flags | EIO_READDIR_CUSTOM1 | EIO_READDIR_CUSTOM2);
    }
  ck_assert_msg (now () - start < 100, "%g s", now () - start);
  release (&v);
}
END_TEST

/* The flag is the library's to set. */
START_TEST (found_unknown_is_no_input)
{
  const char *path = make_directory (3);
  view v = look (path);
  expected = &v;
  host_start ();
  asked_flags = EIO_READDIR_DENTS;
  eio_readdir (path, EIO_READDIR_DENTS | EIO_READDIR_FOUND_UNKNOWN, 0,
               check_listing, 0);
  host_drain ();
  ck_assert_int_eq (listings, 1);
  release (&v);
}
END_TEST

START_TEST (hostile_names_are_listed)
{
  static const char *const names[] = {
    "new\nline", "-rf", " ", "\xff\xfe", "...", ".hidden", "tab\tname",
    "a*b?", "\\", "'\"",
  };
  char longest[256];
  const char *path = make_directory (0);
  int dir = open (path, O_RDONLY | O_DIRECTORY);
  view v;
  memset (longest, 'x', 255);
  longest[255] = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    close (openat (dir, names[i], O_CREAT | O_WRONLY, 0666));
  close (openat (dir, longest, O_CREAT | O_WRONLY, 0666));
  close (dir);
  v = look (path);
  ck_assert_uint_eq (v.count, 11);
  expected = &v;
  host_start ();
  for (int flags = 0; flags < 8; ++flags)
    list (path, flags);
  release (&v);
}
END_TEST

static int
check_failure (eio_req *req)
{
  ck_assert_ptr_null (req->ptr2);
  ck_assert_int_eq (req->flags & EIO_FLAG_PTR2_FREE, 0);
  return note (req);
}

static void
expect_failure (const char *path, int error)
{
  outcome o = { 0 };
  int fds = count_fds ();
  eio_readdir (path, EIO_READDIR_DENTS, 0, check_failure, &o);
  host_drain ();
  assert_fails (o, error);
  ck_assert_int_eq (count_fds (), fds);
}

START_TEST (failures_are_those_of_open)
{
  const char *file = scratch_path ("file"), *link = scratch_path ("link");
  write_file (file, "", 0);
  ck_assert_int_eq (symlink ("link", link), 0);
  host_start ();
  expect_failure (scratch_path ("missing"), ENOENT);
  expect_failure (file, ENOTDIR);
  expect_failure (link, ELOOP);
  expect_failure ("", ENOENT);
}
END_TEST

START_TEST (unreadable_directory_fails)
{
  const char *path = make_directory (1);
  if (geteuid () == 0)
    {
      ck_assert_int_eq (chmod (scratch (), 0711), 0);
      ck_assert_int_eq (chown (path, 12345, 12345), 0);
    }
  ck_assert_int_eq (chmod (path, 0), 0);
  if (geteuid () == 0)
    ck_assert_int_eq (seteuid (12345), 0);
  host_start ();
  expect_failure (path, EACCES);
  if (getuid () == 0)
    ck_assert_int_eq (seteuid (0), 0);
  ck_assert_int_eq (chmod (path, 0700), 0);
}
END_TEST

START_TEST (no_descriptor_is_left)
{
  const char *path = make_directory (100);
  view v = look (path);
  int fds;
  expected = &v;
  host_start ();
  fds = count_fds ();
  for (int i = 0; i < 50; ++i)
    list (path, i % 8);
  ck_assert_int_eq (count_fds (), fds);
  release (&v);
}
END_TEST

/* A path that the request owns makes room for the entries. */
START_TEST (own_path_is_freed_when_entries_replace_it)
{
  static eio_req req;
  const char *path = make_directory (20);
  view v = look (path);
  expected = &v;
  host_start ();
  asked_flags = EIO_READDIR_DENTS;
  req.type = EIO_READDIR;
  req.ptr1 = strdup (path);
  req.flags = EIO_FLAG_PTR1_FREE;
  req.int1 = asked_flags;
  req.finish = check_listing;
  eio_submit (&req);
  host_drain ();
  ck_assert_int_eq (listings, 1);
  release (&v);
}
END_TEST

static int never;

static int
count_finish (eio_req *req)
{
  (void)req;
  ++never;
  return 0;
}

START_TEST (cancellation_while_reading_leaves_nothing)
{
  const char *path = make_directory (10000);
  int fds;
  host_start ();
  fds = count_fds ();
  for (int i = 0; i < 100; ++i)
    {
      eio_req *req = eio_readdir (path, i % 8, 0, count_finish, 0);
      double end = now () + i * 5e-5;
      while (eio_nready () || now () < end)
        ;
      eio_cancel (req);
      host_drain ();
    }
  ck_assert_int_eq (never, 0);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

int
main (void)
{
  Suite *s = suite_create ("readdir");
  TCase *tc = tcase_create ("readdir");
  tcase_set_timeout (tc, 240);
  tcase_add_loop_test (tc, listing_is_the_systems_in_all_flag_combinations, 0,
                       (int)(sizeof sizes / sizeof *sizes));
  tcase_add_test (tc, found_unknown_is_no_input);
  tcase_add_test (tc, hostile_names_are_listed);
  tcase_add_test (tc, failures_are_those_of_open);
  tcase_add_test (tc, unreadable_directory_fails);
  tcase_add_test (tc, no_descriptor_is_left);
  tcase_add_test (tc, own_path_is_freed_when_entries_replace_it);
  tcase_add_test (tc, cancellation_while_reading_leaves_nothing);
  suite_add_tcase (s, tc);
  return run_suite (s);
}
