/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What submission does, for every type alike: wrappers put each parameter
 * into its member, and types, paths, wds and priorities are checked once for
 * all.  With a limit of no workers, requests stay queued and can be read. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the requests of the table work on. */
typedef struct
{
  int fd, fd2, close_fd;
  eio_wd wd;
  char *path, *new_path;
  void *page;
} inputs;

/* What became of one of them.  The outcome comes first, for note. */
typedef struct
{
  outcome o;
  int destroys;
  void (*destroy) (eio_req *);
} slot;

/* A wrapper's call, the request that it submitted, and what that has to be;
 * the latter can be submitted itself. */
typedef struct
{
  const char *call;
  eio_req *req;
  eio_req want;
} entry;

enum { MAX_ENTRIES = 64 };
static entry table[MAX_ENTRIES];
static slot slots[MAX_ENTRIES];
static int nentries;

static void
answer_42 (eio_req *req)
{
  req->result = 42;
}

/* clang-format off */

#define PRI 3
#define TAIL PRI, note, slots
#define OFFS 0x123456789
#define E(call, ...) { #call, call, { __VA_ARGS__ } }
#define PATH .ptr1 = in->path
#define PATHS .ptr1 = in->path, .ptr2 = in->new_path

static void
call_wrappers (const inputs *in)
{
  const int fd = in->fd, fd2 = in->fd2;
  void *page = in->page;
  const char *path = in->path, *new_path = in->new_path;
  entry all[] = {
    E (eio_nop (TAIL), .type = EIO_NOP),
    E (eio_sync (TAIL), .type = EIO_SYNC),
    E (eio_busy (0.0078125, TAIL), .type = EIO_BUSY, .nv1 = 0.0078125),
    E (eio_custom (answer_42, TAIL), .type = EIO_CUSTOM, .feed = answer_42),
    E (eio_wd_open (path, TAIL), .type = EIO_WD_OPEN, PATH),
    E (eio_wd_close (in->wd, TAIL), .type = EIO_WD_CLOSE, .wd = in->wd),
    E (eio_open (path, O_RDWR | O_CREAT, 0641, TAIL), .type = EIO_OPEN,
       PATH, .int1 = O_RDWR | O_CREAT, .int2 = 0641),
    E (eio_close (in->close_fd, TAIL), .type = EIO_CLOSE,
       .int1 = in->close_fd),
    E (eio_fsync (fd, TAIL), .type = EIO_FSYNC, .int1 = fd),
    E (eio_fdatasync (fd, TAIL), .type = EIO_FDATASYNC, .int1 = fd),
    E (eio_syncfs (fd, TAIL), .type = EIO_SYNCFS, .int1 = fd),
    E (eio_fstat (fd, TAIL), .type = EIO_FSTAT, .int1 = fd),
    E (eio_fstatvfs (fd, TAIL), .type = EIO_FSTATVFS, .int1 = fd),
    E (eio_dup2 (fd, fd2, TAIL), .type = EIO_DUP2, .int1 = fd, .int2 = fd2),
    E (eio_seek (fd, -OFFS, EIO_SEEK_END, TAIL), .type = EIO_SEEK,
       .int1 = fd, .offs = -OFFS, .int2 = EIO_SEEK_END),
    E (eio_write (fd, page, 101, OFFS, TAIL), .type = EIO_WRITE, .int1 = fd,
       .ptr2 = page, .size = 101, .offs = OFFS),
    E (eio_read (fd, page, 102, OFFS, TAIL), .type = EIO_READ, .int1 = fd,
       .ptr2 = page, .size = 102, .offs = OFFS),
    E (eio_readahead (fd, OFFS, 103, TAIL), .type = EIO_READAHEAD,
       .int1 = fd, .offs = OFFS, .size = 103),
    E (eio_sendfile (fd, fd2, OFFS, 104, TAIL), .type = EIO_SENDFILE,
       .int1 = fd, .int2 = fd2, .offs = OFFS, .size = 104),
    E (eio_fcntl (fd, F_GETFL, page, TAIL), .type = EIO_FCNTL, .int1 = fd,
       .int2 = F_GETFL, .ptr2 = page),
    E (eio_ioctl (fd, FIONREAD, page, TAIL), .type = EIO_IOCTL, .int1 = fd,
       .int2 = FIONREAD, .ptr2 = page),
    E (eio_ftruncate (fd, OFFS, TAIL), .type = EIO_FTRUNCATE, .int1 = fd,
       .offs = OFFS),
    E (eio_fchmod (fd, 0642, TAIL), .type = EIO_FCHMOD, .int1 = fd,
       .int2 = 0642),
    E (eio_fchown (fd, 1001, 1002, TAIL), .type = EIO_FCHOWN, .int1 = fd,
       .int2 = 1001, .int3 = 1002),
    E (eio_futime (fd, 1.5, 2.5, TAIL), .type = EIO_FUTIME, .int1 = fd,
       .nv1 = 1.5, .nv2 = 2.5),
    E (eio_truncate (path, OFFS, TAIL), .type = EIO_TRUNCATE, PATH,
       .offs = OFFS),
    E (eio_chmod (path, 0643, TAIL), .type = EIO_CHMOD, PATH, .int2 = 0643),
    E (eio_chown (path, 1003, 1004, TAIL), .type = EIO_CHOWN, PATH,
       .int2 = 1003, .int3 = 1004),
    E (eio_utime (path, 3.5, 4.5, TAIL), .type = EIO_UTIME, PATH, .nv1 = 3.5,
       .nv2 = 4.5),
    E (eio_sync_file_range (fd, OFFS, 105, EIO_SYNC_FILE_RANGE_WRITE, TAIL),
       .type = EIO_SYNC_FILE_RANGE, .int1 = fd, .offs = OFFS, .size = 105,
       .int2 = EIO_SYNC_FILE_RANGE_WRITE),
    E (eio_fallocate (fd, EIO_FALLOC_FL_KEEP_SIZE, OFFS, 106, TAIL),
       .type = EIO_FALLOCATE, .int1 = fd, .int2 = EIO_FALLOC_FL_KEEP_SIZE,
       .offs = OFFS, .size = 106),
    E (eio_msync (page, 107, EIO_MS_ASYNC, TAIL), .type = EIO_MSYNC,
       .ptr2 = page, .size = 107, .int1 = EIO_MS_ASYNC),
    E (eio_mtouch (page, 108, EIO_MT_MODIFY, TAIL), .type = EIO_MTOUCH,
       .ptr2 = page, .size = 108, .int1 = EIO_MT_MODIFY),
    E (eio_mlock (page, 109, TAIL), .type = EIO_MLOCK, .ptr2 = page,
       .size = 109),
    E (eio_mlockall (1 << 20, TAIL), .type = EIO_MLOCKALL, .int1 = 1 << 20),
    E (eio_stat (path, TAIL), .type = EIO_STAT, PATH),
    E (eio_lstat (path, TAIL), .type = EIO_LSTAT, PATH),
    E (eio_statvfs (path, TAIL), .type = EIO_STATVFS, PATH),
    E (eio_readlink (path, TAIL), .type = EIO_READLINK, PATH),
    E (eio_realpath (path, TAIL), .type = EIO_REALPATH, PATH),
    E (eio_slurp (path, page, 110, OFFS, TAIL), .type = EIO_SLURP, PATH,
       .ptr2 = page, .size = 110, .offs = OFFS),
    E (eio_readdir (path, EIO_READDIR_DENTS | EIO_READDIR_CUSTOM1, TAIL),
       .type = EIO_READDIR, PATH,
       .int1 = EIO_READDIR_DENTS | EIO_READDIR_CUSTOM1),
    E (eio_mkdir (path, 0751, TAIL), .type = EIO_MKDIR, PATH, .int2 = 0751),
    E (eio_mknod (path, S_IFIFO | 0644, 0x801, TAIL), .type = EIO_MKNOD,
       PATH, .int2 = S_IFIFO | 0644, .offs = 0x801),
    E (eio_link (path, new_path, TAIL), .type = EIO_LINK, PATHS),
    E (eio_symlink (path, new_path, TAIL), .type = EIO_SYMLINK, PATHS),
    E (eio_rename (path, new_path, TAIL), .type = EIO_RENAME, PATHS),
    E (eio_rmdir (path, TAIL), .type = EIO_RMDIR, PATH),
    E (eio_unlink (path, TAIL), .type = EIO_UNLINK, PATH),
  };

  ck_assert_int_le (LENGTH (all), MAX_ENTRIES);
  nentries = LENGTH (all);
  memcpy (table, all, sizeof all);
}

/* clang-format on */

static void
start_without_workers (void)
{
  host_start ();
  eio_set_max_parallel (0);
}

static int
is_two_path (int type)
{
  return type == EIO_RENAME || type == EIO_LINK || type == EIO_SYMLINK;
}

static int
is_stat (int type)
{
  return type == EIO_STAT || type == EIO_LSTAT || type == EIO_FSTAT
         || type == EIO_STATVFS || type == EIO_FSTATVFS;
}

/* These execute whatever happens, and their wd is not a path's. */
static int
is_close (int type)
{
  return type == EIO_CLOSE || type == EIO_WD_CLOSE;
}

/* Descriptors that nothing has open, but for the one that is closed. */
static inputs
inert_inputs (void)
{
  inputs in = { 71, 72, dup (0), 0, strdup ("some/path"),
                strdup ("another/path"), slots };
  in.wd = eio_wd_open_sync (EIO_CWD, "/");
  ck_assert_int_ge (in.close_fd, 0);
  ck_assert_ptr_ne (in.wd, EIO_INVALID_WD);
  return in;
}

/* A directory of that name with one file, open. */
static inputs
live_inputs (const char *name)
{
  inputs in = { 0 };
  char file[64], other[64];
  ck_assert_int_eq (mkdir (scratch_path (name), 0777), 0);
  snprintf (file, sizeof file, "%s/file", name);
  snprintf (other, sizeof other, "%s/other", name);
  in.path = strdup (scratch_path (file));
  in.new_path = strdup (scratch_path (other));
  write_file (in.path, "content", 7);
  in.fd = open (in.path, O_RDWR);
  in.fd2 = dup (in.fd);
  in.close_fd = dup (in.fd);
  ck_assert_int_ge (in.close_fd, 0);
  in.wd = eio_wd_open_sync (EIO_CWD, "/");
  ck_assert_ptr_ne (in.wd, EIO_INVALID_WD);
  in.page = mmap (0, 4096, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne (in.page, MAP_FAILED);
  return in;
}

static void
free_inputs (inputs *in, int closed)
{
  free (in->path);
  free (in->new_path);
  if (!closed)
    {
      close (in->close_fd);
      eio_wd_close_sync (in->wd);
    }
}

static void
count_destroy (eio_req *req)
{
  slot *s = req->data;
  ++s->destroys;
  s->destroy (req);
}

/* Gives each queued request of the table a slot of its own. */
static void
spread_slots (void)
{
  int i;
  memset (slots, 0, sizeof slots);
  for (i = 0; i < nentries; ++i)
    {
      eio_req *req = table[i].req;
      ck_assert_ptr_nonnull (req->destroy);
      slots[i].destroy = req->destroy;
      req->destroy = count_destroy;
      req->data = slots + i;
    }
}

static void
cancel_all_and_drain (void)
{
  int i;
  spread_slots ();
  for (i = 0; i < nentries; ++i)
    eio_cancel (table[i].req);
  eio_set_min_parallel (4);
  host_drain ();
  while (eio_poll ()) /* the last one's destroy may be this call's */
    continue;
}

/* Fills the table, but nothing is executed or queued any more. */
static void
fill_table (const inputs *in)
{
  inputs closed = *in;
  int i;
  closed.close_fd = dup (in->close_fd);
  closed.wd = eio_wd_open_sync (EIO_CWD, "/");
  call_wrappers (&closed);
  cancel_all_and_drain ();
  eio_set_max_parallel (0);
  for (i = 0; i < nentries; ++i)
    {
      eio_req *want = &table[i].want;
      if (want->type == EIO_CLOSE)
        want->int1 = in->close_fd;
      else if (want->type == EIO_WD_CLOSE)
        want->wd = in->wd;
    }
}

/* Submits one request, filled, and waits for it. */
static outcome
run_filled (eio_req req)
{
  outcome o = { 0 };
  req.data = &o;
  req.finish = note;
  eio_set_min_parallel (1);
  eio_submit (&req);
  host_drain ();
  return o;
}

/* The same, of a wrapper's request, which is still queued. */
static outcome
run_wrapper (eio_req *req)
{
  outcome o = { 0 };
  ck_assert_ptr_nonnull (req);
  req->data = &o;
  eio_set_min_parallel (1);
  host_drain ();
  eio_set_max_parallel (0);
  return o;
}

#define SAME(member) \
  ck_assert_msg (req->member == want->member, "%s: %s is %lld, not %lld", \
                 e->call, #member, (long long)req->member, \
                 (long long)want->member)

static void
check_path (const entry *e, const void *is, const char *want)
{
  ck_assert_msg (!want == !is, "%s: path is %s", e->call, is ? "set" : "null");
  if (!want)
    return;
  ck_assert_msg (is != want, "%s: path not copied", e->call);
  ck_assert_msg (!strcmp (is, want), "%s: path %s", e->call,
                 (const char *)is);
}

static void
check_pointers (const entry *e)
{
  const eio_req *req = e->req, *want = &e->want;
  check_path (e, req->ptr1, want->ptr1);
  if (is_two_path (want->type))
    check_path (e, req->ptr2, want->ptr2);
  else if (!is_stat (want->type))
    {
      /* a caller's buffer stays his */
      ck_assert_msg (req->ptr2 == want->ptr2, "%s: ptr2", e->call);
      ck_assert_msg (!want->ptr2 || !(req->flags & EIO_FLAG_PTR2_FREE),
                     "%s: would free the caller's buffer", e->call);
    }
}

static void
check_entry (const entry *e)
{
  const eio_req *req = e->req, *want = &e->want;
  SAME (type);
  SAME (wd);
  SAME (result);
  SAME (offs);
  SAME (size);
  SAME (nv1);
  SAME (nv2);
  SAME (int1);
  SAME (int2);
  SAME (int3);
  SAME (errorno);
  SAME (cancelled);
  check_pointers (e);
  ck_assert_msg (req->feed == want->feed, "%s: feed", e->call);
  ck_assert_msg (req->pri == PRI, "%s: pri %d", e->call, req->pri);
  ck_assert_msg (req->data == slots, "%s: data", e->call);
  ck_assert_msg (req->finish == note, "%s: finish", e->call);
  ck_assert_msg (req->destroy != 0, "%s: destroy", e->call);
  ck_assert_msg (!(req->flags & 0xf0), "%s: flags %x", e->call, req->flags);
  ck_assert_msg (!req->grp, "%s: in a group", e->call);
}

START_TEST (every_wrapper_submits_its_type_with_its_parameters)
{
  inputs in;
  int i;
  start_without_workers ();
  in = inert_inputs ();
  call_wrappers (&in);
  ck_assert_uint_eq (eio_nreqs (), nentries);
  ck_assert_uint_eq (eio_nready (), nentries);
  for (i = 0; i < nentries; ++i)
    {
      ck_assert_msg (table[i].req != 0, "%s: null", table[i].call);
      check_entry (table + i);
    }
  cancel_all_and_drain ();
  free_inputs (&in, 1);
}
END_TEST

START_TEST (the_table_has_every_type_once)
{
  int seen[EIO_REQ_TYPE_NUM] = { 0 }, i;
  inputs in;
  start_without_workers ();
  in = inert_inputs ();
  fill_table (&in);
  for (i = 0; i < nentries; ++i)
    ++seen[table[i].want.type];
  for (i = 0; i <= EIO_SLURP; ++i)
    ck_assert_msg (seen[i] == (i != EIO_GROUP), "type %d: %d", i, seen[i]);
  free_inputs (&in, 0);
}
END_TEST

START_TEST (queued_requests_are_cancelled_without_a_trace)
{
  inputs in;
  int i, fds = count_fds ();
  start_without_workers ();
  in = inert_inputs ();
  call_wrappers (&in);
  cancel_all_and_drain ();

  for (i = 0; i < nentries; ++i)
    {
      ck_assert_msg (slots[i].o.calls == 0, "%s: finish", table[i].call);
      ck_assert_msg (slots[i].destroys == 1, "%s: destroyed %d times",
                     table[i].call, slots[i].destroys);
    }
  ck_assert_uint_eq (eio_nreqs (), 0);
  ck_assert_uint_eq (eio_nready (), 0);
  ck_assert_uint_eq (eio_npending (), 0);
  /* close and wd_close were executed nevertheless; the host has two */
  ck_assert_int_eq (count_fds (), fds + 2);
  free_inputs (&in, 1);
}
END_TEST

START_TEST (a_group_has_the_highest_priority_and_its_parameters)
{
  eio_req *grp;
  outcome o = { 0 };
  start_without_workers ();
  grp = eio_grp (note, &o);
  ck_assert_ptr_nonnull (grp);
  ck_assert_int_eq (grp->type, EIO_GROUP);
  ck_assert_int_eq (grp->pri, EIO_PRI_MAX);
  ck_assert_ptr_eq (grp->data, &o);
  ck_assert_ptr_eq (grp->finish, note);
  ck_assert_int_eq (grp->result, 0);
  ck_assert_int_eq (grp->errorno, 0);
  host_drain ();
  ck_assert_int_eq (o.calls, 1);
}
END_TEST

/* So that what reads them later reads something else. */
static void
free_early (char *path, char *new_path)
{
  memset (path, 'x', strlen (path));
  memset (new_path, 'x', strlen (new_path));
  free (path);
  free (new_path);
}

START_TEST (the_caller_may_free_paths_right_after_the_call)
{
  static const size_t lengths[] = { 0, 1, 7, 255, 4095, 100000 };
  int i;
  start_without_workers ();
  for (i = 0; i < LENGTH (lengths); ++i)
    {
      size_t n = lengths[i];
      char *path = malloc (n + 1), *new_path = malloc (2 * n + 1);
      eio_req *one, *two;
      memset (path, 'p', n);
      memset (new_path, 'n', 2 * n);
      path[n] = new_path[2 * n] = 0;
      one = eio_unlink (path, 0, 0, 0);
      two = eio_rename (path, new_path, 0, 0, 0);
      free_early (path, new_path);

      ck_assert_uint_eq (strlen (one->ptr1), n);
      ck_assert_uint_eq (strspn (one->ptr1, "p"), n);
      ck_assert_uint_eq (strlen (two->ptr1), n);
      ck_assert_uint_eq (strspn (two->ptr1, "p"), n);
      ck_assert_uint_eq (strlen (two->ptr2), 2 * n);
      ck_assert_uint_eq (strspn (two->ptr2, "n"), 2 * n);
      eio_cancel (one);
      eio_cancel (two);
    }
  eio_set_min_parallel (1);
  host_drain ();
}
END_TEST

START_TEST (requests_execute_on_copied_paths)
{
  char *path = strdup (scratch_path ("before"));
  char *new_path = strdup (scratch_path ("after"));
  outcome renamed = { 0 };
  write_file (path, "x", 1);
  start_without_workers ();
  ck_assert_ptr_nonnull (eio_rename (path, new_path, 0, note, &renamed));
  free_early (path, new_path);
  eio_set_min_parallel (1);
  host_drain ();
  assert_ok (renamed, 0);
  ck_assert_int_eq (access (scratch_path ("after"), F_OK), 0);
}
END_TEST

static const struct
{
  int asked, clamped;
} priorities[] = {
  { -4, -4 },       { -3, -3 },      { -1, -1 },      { 0, 0 },
  { 1, 1 },         { 3, 3 },        { 4, 4 },        { 5, 4 },
  { -5, -4 },       { 100, 4 },      { 124, 4 },      { 127, 4 },
  { 128, 4 },       { 129, 4 },      { 255, 4 },      { 256, 4 },
  { 1000, 4 },      { -100, -4 },    { -125, -4 },    { -128, -4 },
  { -129, -4 },     { -252, -4 },    { -256, -4 },    { -1000, -4 },
  { INT_MAX, 4 },   { INT_MIN, -4 }, { INT_MAX - 3, 4 },
  { INT_MIN + 4, -4 },
};

START_TEST (wrappers_clamp_priorities)
{
  int i;
  start_without_workers ();
  for (i = 0; i < LENGTH (priorities); ++i)
    {
      int pri = priorities[i].asked, want = priorities[i].clamped;
      eio_req *nop = eio_nop (pri, 0, 0);
      eio_req *path = eio_unlink ("some/path", pri, 0, 0);
      ck_assert_msg (nop->pri == want, "%d: %d", pri, nop->pri);
      ck_assert_msg (path->pri == want, "%d: %d", pri, path->pri);
      eio_cancel (nop);
      eio_cancel (path);
    }
  eio_set_min_parallel (1);
  host_drain ();
}
END_TEST

static int executed[2 * LENGTH (priorities)], nexecuted;

/* int1: which of the requests this is.  Only one worker runs. */
static void
record_execution (eio_req *req)
{
  executed[nexecuted++] = req->int1;
}

static int
check_pri (eio_req *req)
{
  int asked = *(int *)req->data;
  ck_assert_int_eq (req->pri, asked);
  return 0;
}

START_TEST (out_of_range_priorities_queue_as_the_nearest)
{
  int i, pri, n = 0;
  start_without_workers ();
  for (i = 0; i < LENGTH (priorities); ++i)
    eio_custom (record_execution, priorities[i].asked, 0, 0)->int1 = i;
  eio_set_min_parallel (1);
  host_drain ();

  ck_assert_int_eq (nexecuted, LENGTH (priorities));
  for (pri = EIO_PRI_MAX; pri >= EIO_PRI_MIN; --pri)
    for (i = 0; i < LENGTH (priorities); ++i)
      if (priorities[i].clamped == pri)
        {
          ck_assert_msg (executed[n] == i, "number %d: priority %d, not %d",
                         n, priorities[executed[n]].asked,
                         priorities[i].asked);
          ++n;
        }
}
END_TEST

START_TEST (filled_requests_are_clamped_too)
{
  static const signed char asked[] = { 0, 124, 4, 5, -128, -4, 127, -5 };
  static const int order[] = { 1, 2, 3, 6, 0, 4, 5, 7 };
  static eio_req reqs[LENGTH (asked)];
  int i;
  start_without_workers ();
  for (i = 0; i < LENGTH (asked); ++i)
    {
      reqs[i].feed = record_execution;
      reqs[i].pri = asked[i];
      reqs[i].int1 = i;
      eio_submit (reqs + i);
    }
  eio_set_min_parallel (1);
  host_drain ();
  ck_assert_int_eq (nexecuted, LENGTH (asked));
  for (i = 0; i < LENGTH (asked); ++i)
    ck_assert_int_eq (executed[i], order[i]);
}
END_TEST

START_TEST (pri_is_the_callers_in_finish)
{
  static int asked[9];
  static eio_req reqs[9];
  int i;
  host_start ();
  for (i = 0; i < 9; ++i)
    {
      asked[i] = i - 4;
      reqs[i].type = EIO_NOP;
      reqs[i].pri = (signed char)asked[i];
      reqs[i].data = asked + i;
      reqs[i].finish = check_pri;
      eio_submit (reqs + i);
      ck_assert_ptr_nonnull (eio_nop (asked[i], check_pri, asked + i));
    }
  host_drain ();
}
END_TEST

/* Each has finished; results that are descriptors become 0. */
static void
check_finished (outcome *out)
{
  int i;
  for (i = 0; i < nentries; ++i)
    {
      int type = table[i].want.type;
      ck_assert_msg (out[i].calls == 1, "%s: %d calls", table[i].call,
                     out[i].calls);
      if (type == EIO_OPEN && out[i].result >= 0)
        close ((int)out[i].result);
      if ((type == EIO_OPEN || type == EIO_DUP2) && out[i].result > 0)
        out[i].result = 0;
    }
}

static void
run_by_wrappers (const inputs *in, outcome *out)
{
  int i;
  eio_set_max_parallel (0);
  call_wrappers (in);
  for (i = 0; i < nentries; ++i)
    table[i].req->data = out + i;
  eio_set_min_parallel (1);
  host_drain ();
  check_finished (out);
}

static void
run_by_hand (const inputs *in, outcome *out)
{
  static eio_req reqs[MAX_ENTRIES];
  int i;
  eio_set_max_parallel (0);
  fill_table (in);
  for (i = 0; i < nentries; ++i)
    {
      reqs[i] = table[i].want;
      reqs[i].pri = PRI;
      reqs[i].data = out + i;
      reqs[i].finish = note;
      eio_submit (reqs + i);
    }
  eio_set_min_parallel (1);
  host_drain ();
  check_finished (out);
}

START_TEST (a_filled_request_does_what_its_wrapper_does)
{
  static outcome by_wrapper[MAX_ENTRIES], by_hand[MAX_ENTRIES];
  inputs one = live_inputs ("one"), two = live_inputs ("two");
  int i, succeeded = 0, failed = 0;
  start_without_workers ();
  run_by_wrappers (&one, by_wrapper);
  run_by_hand (&two, by_hand);
  for (i = 0; i < nentries; ++i)
    {
      const outcome *w = by_wrapper + i, *h = by_hand + i;
      ck_assert_msg (w->result == h->result && w->errorno == h->errorno,
                     "%s: %ld (%s) and %ld (%s)", table[i].call,
                     (long)w->result, strerror (w->errorno), (long)h->result,
                     strerror (h->errorno));
      ck_assert_msg (w->offs == h->offs, "%s: offs", table[i].call);
      ck_assert_msg ((w->result == -1) == !!w->errorno, "%s: errno %d",
                     table[i].call, w->errorno);
      if (w->result >= 0)
        ++succeeded;
      else
        ++failed;
    }
  /* else the comparison would be worth little */
  ck_assert_int_ge (succeeded, 30);
  ck_assert_int_ge (failed, 5);
  free_inputs (&one, 1);
  free_inputs (&two, 1);
}
END_TEST

START_TEST (unknown_types_fail_with_enosys)
{
  static const signed char unknown[] = {
    EIO_REQ_TYPE_NUM, EIO_REQ_TYPE_NUM + 1, 111, 112, 127, -1, -2, -128, -50,
  };
  int i;
  host_start ();
  for (i = 0; i < LENGTH (unknown); ++i)
    {
      outcome o = run_filled ((eio_req){ .type = unknown[i] });
      assert_fails (o, ENOSYS);
    }
  for (i = EIO_REQ_TYPE_NUM; i <= 110; ++i)
    {
      outcome o = run_filled ((eio_req){ .type = (signed char)i });
      assert_fails (o, ENOSYS);
    }
}
END_TEST

START_TEST (a_zeroed_request_is_valid)
{
  static eio_req bare;
  outcome o;
  host_start ();
  eio_submit (&bare);
  ck_assert_uint_eq (eio_nreqs (), 1);
  host_drain ();
  ck_assert_uint_eq (eio_nreqs (), 0);
  o = run_filled ((eio_req){ 0 });
  assert_fails (o, EINVAL); /* custom, without a function */
}
END_TEST

START_TEST (a_null_path_is_einval)
{
  inputs in;
  int i, n = 0;
  start_without_workers ();
  in = live_inputs ("null");
  fill_table (&in);
  for (i = 0; i < nentries; ++i)
    if (table[i].want.ptr1)
      {
        eio_req req = table[i].want;
        outcome o;
        req.ptr1 = 0;
        o = run_filled (req);
        ck_assert_msg (o.calls == 1 && o.result == -1 && o.errorno == EINVAL,
                       "%s: result %ld, errno %d", table[i].call,
                       (long)o.result, o.errorno);
        ++n;
      }
  ck_assert_int_eq (n, 20);
  free_inputs (&in, 0);
}
END_TEST

#define NULL_PATH(...) \
  do { \
    outcome o_ = run_wrapper (__VA_ARGS__); \
    assert_fails (o_, EINVAL); \
  } while (0)

START_TEST (wrappers_take_null_paths)
{
  const char *name;
  start_without_workers ();
  name = scratch_path ("name");
  NULL_PATH (eio_wd_open (0, 0, note, 0));
  NULL_PATH (eio_open (0, O_RDONLY, 0, 0, note, 0));
  NULL_PATH (eio_truncate (0, 0, 0, note, 0));
  NULL_PATH (eio_chmod (0, 0644, 0, note, 0));
  NULL_PATH (eio_chown (0, 0, 0, 0, note, 0));
  NULL_PATH (eio_utime (0, 1, 2, 0, note, 0));
  NULL_PATH (eio_stat (0, 0, note, 0));
  NULL_PATH (eio_lstat (0, 0, note, 0));
  NULL_PATH (eio_statvfs (0, 0, note, 0));
  NULL_PATH (eio_readlink (0, 0, note, 0));
  NULL_PATH (eio_realpath (0, 0, note, 0));
  NULL_PATH (eio_unlink (0, 0, note, 0));
  NULL_PATH (eio_rmdir (0, 0, note, 0));
  NULL_PATH (eio_mkdir (0, 0777, 0, note, 0));
  NULL_PATH (eio_mknod (0, S_IFIFO | 0600, 0, 0, note, 0));
  NULL_PATH (eio_readdir (0, 0, 0, note, 0));
  NULL_PATH (eio_slurp (0, 0, 0, 0, 0, note, 0));
  NULL_PATH (eio_link (0, name, 0, note, 0));
  NULL_PATH (eio_symlink (0, name, 0, note, 0));
  NULL_PATH (eio_rename (0, name, 0, note, 0));
  NULL_PATH (eio_link (name, 0, 0, note, 0));
  NULL_PATH (eio_symlink (name, 0, 0, note, 0));
  NULL_PATH (eio_rename (name, 0, 0, note, 0));
  NULL_PATH (eio_link (0, 0, 0, note, 0));
  NULL_PATH (eio_symlink (0, 0, 0, note, 0));
  NULL_PATH (eio_rename (0, 0, 0, note, 0));
}
END_TEST

static const int two_path_types[] = { EIO_RENAME, EIO_LINK, EIO_SYMLINK };

START_TEST (a_null_second_path_is_einval)
{
  char file[] = "/dev/null";
  int i;
  host_start ();
  for (i = 0; i < LENGTH (two_path_types); ++i)
    {
      eio_req req = { .type = (signed char)two_path_types[i], .ptr1 = file };
      outcome o = run_filled (req);
      assert_fails (o, EINVAL);
    }
}
END_TEST

/* Submits each of the table's requests with that wd, and expects ENOENT. */
static void
check_invalid_wd (char *path)
{
  int i;
  for (i = 0; i < nentries; ++i)
    if (!is_close (table[i].want.type))
      {
        eio_req req = table[i].want;
        outcome o;
        req.wd = EIO_INVALID_WD;
        if (req.ptr1 && path)
          req.ptr1 = path;
        o = run_filled (req);
        ck_assert_msg (o.calls == 1 && o.result == -1 && o.errorno == ENOENT,
                       "%s: result %ld, errno %d", table[i].call,
                       (long)o.result, o.errorno);
        if (req.type == EIO_WD_OPEN)
          ck_assert_ptr_eq (o.wd, EIO_INVALID_WD);
      }
}

START_TEST (an_invalid_wd_fails_every_request_with_enoent)
{
  char relative[] = ".";
  inputs in;
  start_without_workers ();
  in = live_inputs ("wd");
  fill_table (&in);
  check_invalid_wd (0);
  check_invalid_wd (relative);
  /* none of them had an effect */
  ck_assert_int_eq (access (in.path, F_OK), 0);
  ck_assert_int_eq (access (in.new_path, F_OK), -1);
  free_inputs (&in, 0);
}
END_TEST

START_TEST (an_invalid_second_wd_is_enoent)
{
  static char relative[] = "new";
  inputs in;
  int i, absolute;
  host_start ();
  in = live_inputs ("wd2");
  for (i = 0; i < LENGTH (two_path_types); ++i)
    for (absolute = 0; absolute < 2; ++absolute)
      {
        eio_req req = { .type = (signed char)two_path_types[i],
                        .ptr1 = in.path,
                        .ptr2 = absolute ? in.new_path : relative,
                        .int3 = (long)EIO_INVALID_WD };
        outcome o = run_filled (req);
        assert_fails (o, ENOENT);
      }
  ck_assert_int_eq (access (in.path, F_OK), 0);
  ck_assert_int_eq (access (in.new_path, F_OK), -1);
  free_inputs (&in, 0);
}
END_TEST

/* Of any other type int3 is something else: here, a gid left as it is. */
START_TEST (minus_1_in_int3_is_a_wd_for_two_paths_only)
{
  inputs in;
  outcome o;
  host_start ();
  in = live_inputs ("gid");
  o = run_filled ((eio_req){ .type = EIO_CHOWN, .ptr1 = in.path, .int2 = -1,
                             .int3 = -1 });
  assert_ok (o, 0);
  o = run_filled ((eio_req){ .type = EIO_UNLINK, .ptr1 = in.path,
                             .int3 = -1 });
  assert_ok (o, 0);
  free_inputs (&in, 0);
}
END_TEST

static void
fail_with_eperm (eio_req *req)
{
  req->result = -1;
  errno = EPERM;
}

/* What it puts into errorno does not count, and is not to be seen. */
static void
fail_with_members_too (eio_req *req)
{
  req->result = -1;
  req->errorno = EXDEV;
  errno = EPERM;
}

static void
add_custom (const char *call, void (*execute) (eio_req *))
{
  ck_assert_int_lt (nentries, MAX_ENTRIES);
  table[nentries].call = call;
  table[nentries].want.type = EIO_CUSTOM;
  table[nentries].req = eio_custom (execute, PRI, note, 0);
  ++nentries;
}

/* Until finish, whoever tests result for failure sees none. */
START_TEST (result_and_errorno_are_0_until_finish)
{
  static outcome out[MAX_ENTRIES];
  inputs in = live_inputs ("pending");
  unsigned int n;
  int i;
  start_without_workers ();
  call_wrappers (&in);
  add_custom ("eio_custom (fail_with_eperm, …)", fail_with_eperm);
  add_custom ("eio_custom (fail_with_members_too, …)", fail_with_members_too);
  n = (unsigned int)nentries;
  for (i = 0; i < nentries; ++i)
    table[i].req->data = out + i;

  eio_set_min_parallel (2);
  wait_until (eio_npending () == n);
  eio_set_max_parallel (0);
  for (i = 0; i < nentries; ++i)
    ck_assert_msg (!table[i].req->result && !table[i].req->errorno,
                   "%s: result %ld, errno %d", table[i].call,
                   (long)table[i].req->result, table[i].req->errorno);
  for (i = 0; i < nentries; ++i)
    ck_assert_int_eq (out[i].calls, 0);

  host_drain ();
  assert_fails (out[nentries - 2], EPERM);
  assert_fails (out[nentries - 1], EPERM);
  ck_assert_int_eq (table[3].want.type, EIO_CUSTOM);
  assert_ok (out[3], 42);
  check_finished (out);
  free_inputs (&in, 1);
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("table");
  TCase *tc = add_case (suite, "table", 100, 0, stop_workers);
  tcase_add_test (tc, every_wrapper_submits_its_type_with_its_parameters);
  tcase_add_test (tc, the_table_has_every_type_once);
  tcase_add_test (tc, queued_requests_are_cancelled_without_a_trace);
  tcase_add_test (tc, a_group_has_the_highest_priority_and_its_parameters);
  tcase_add_test (tc, the_caller_may_free_paths_right_after_the_call);
  tcase_add_test (tc, requests_execute_on_copied_paths);
  tcase_add_test (tc, wrappers_clamp_priorities);
  tcase_add_test (tc, out_of_range_priorities_queue_as_the_nearest);
  tcase_add_test (tc, filled_requests_are_clamped_too);
  tcase_add_test (tc, pri_is_the_callers_in_finish);
  tcase_add_test (tc, a_filled_request_does_what_its_wrapper_does);
  tcase_add_test (tc, unknown_types_fail_with_enosys);
  tcase_add_test (tc, a_zeroed_request_is_valid);
  tcase_add_test (tc, a_null_path_is_einval);
  tcase_add_test (tc, wrappers_take_null_paths);
  tcase_add_test (tc, a_null_second_path_is_einval);
  tcase_add_test (tc, an_invalid_wd_fails_every_request_with_enoent);
  tcase_add_test (tc, an_invalid_second_wd_is_enoent);
  tcase_add_test (tc, minus_1_in_int3_is_a_wd_for_two_paths_only);
  tcase_add_test (tc, result_and_errorno_are_0_until_finish);
  return run_suite (suite);
}
