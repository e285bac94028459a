/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Requests 75 to 110, which are about paths, and the wrappers that take a wd.
 * eio.c is included with its system calls replaced by ones that fail, cancel,
 * or are missing when a test says so. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"
#include "run.h"
#include "counting.h"

/*****************************************************************************
 * Calls that misbehave                                                      *
 *****************************************************************************/

/* clang-format off */
#define CALLS(X) \
  X (openat) X (unnamed) X (created) X (urandom) X (openat2) X (renameat2) \
  X (getrandom) X (copy_file_range) X (write) X (fsync) X (fstat) \
  X (renameat) X (linkat) X (unlinkat) X (mkdirat) X (fstatat) X (close) \
  X (readdir) X (fdopendir) X (fchown) X (fchmod) X (lseek) X (sendfile) \
  X (ioctl) X (pread) X (ftruncate) X (dup) X (fgetxattr) X (fsetxattr)
/* clang-format on */

enum
{
#define C(name) C_##name,
  CALLS (C)
#undef C
  CALL_COUNT
};

static const char *const call_names[CALL_COUNT] = {
#define C(name) #name,
  CALLS (C)
#undef C
};

#include "faults.h"

/* What happens before which call of its kind, from 1; 0: nothing. */
static void (*_Atomic event) (void);
static atomic_int event_at[CALL_COUNT];

static atomic_long most; /* bytes that a transfer moves, 0: all */
static atomic_int untyped; /* readdir tells no types */
static atomic_int untold; /* nobody tells where data are */
static atomic_int cloning; /* files are cloned, the kernel says */
static atomic_int stuck;   /* transfers move nothing, and say nothing */

static void
make_event (int which, int n)
{
  if (n + 1 == event_at[which])
    event ();
}

static void
disarm_all (void)
{
  int i;

  disarm ();
  for (i = 0; i < CALL_COUNT; ++i)
    event_at[i] = 0;
  before_call = make_event;
  most = 0;
  untyped = 0;
  untold = 0;
  cloning = 0;
  stuck = 0;
  victim.req = (eio_req *)0;
}

/* What was brought to the disk, in this order, as it was then. */
static struct
{
  struct stat st;
  int has_file; /* is there still a "file"? */
} synced[8];

static int
watched_fsync (int fd)
{
  int n = calls_of (C_fsync) - 1;

  if (n < LENGTH (synced))
    {
      fstat (fd, &synced[n].st);
      synced[n].has_file = !access ("file", F_OK);
    }
  return fsync (fd);
}

/* Which name this thread is about to make. */
static __thread char created[100];

static int
trip_open (const char *path, int flags, ...)
{
  if (!strcmp (path, "/dev/urandom"))
    return faulty (C_urandom);
  if ((flags & O_TMPFILE) == O_TMPFILE)
    return faulty (C_unnamed);
  if (flags & O_CREAT)
    {
      snprintf (created, sizeof created, "%s", path);
      return faulty (C_created);
    }
  return faulty (C_openat);
}

static int
trip_syscall (long number, ...)
{
  switch (number)
    {
    case SYS_renameat2: return faulty (C_renameat2);
    case SYS_getrandom: return faulty (C_getrandom);
    case SYS_copy_file_range: return faulty (C_copy_file_range);
    case 437: return faulty (C_openat2);
    default: return 0;
    }
}

static off_t
seek (int fd, off_t offset, int whence)
{
  errno = EINVAL;
  return untold && whence == SEEK_DATA ? -1 : lseek (fd, offset, whence);
}

static size_t
shorter (size_t n)
{
  size_t max = (size_t)most;
  return stuck ? 0 : max && max < n ? max : n;
}

static struct dirent *
untype (struct dirent *de)
{
  if (de && untyped)
    de->d_type = DT_UNKNOWN;
  return de;
}

/* The nth allocation fails, if n is not 0. */
static atomic_int asked, fail_at, refused;

static int
out_of_memory (void)
{
  int n = atomic_fetch_add (&asked, 1) + 1;

  if (!fail_at || n != fail_at)
    return 0;
  ++refused;
  errno = ENOMEM;
  return 1;
}

/* Closes of what was not open: it may as well have been somebody else's. */
static atomic_int wrong_closes;

static int
watched_close (int fd)
{
  int res = close (fd);

  wrong_closes += res && errno == EBADF;
  return res || faulty (C_close) ? -1 : 0;
}

/* clang-format off */
#define openat(at, path, ...) \
  (trip_open (path, __VA_ARGS__) ? -1 : openat (at, path, __VA_ARGS__))
#define syscall(...) \
  (trip_syscall (__VA_ARGS__) ? -1 : syscall (__VA_ARGS__))
#define write(fd, buf, n) \
  (faulty (C_write) ? -1 : write (fd, buf, shorter (n)))
#define pread(fd, buf, n, o) \
  (faulty (C_pread) ? -1 : pread (fd, buf, shorter (n), o))
#define sendfile(out, in, o, n) \
  (faulty (C_sendfile) ? -1 : sendfile (out, in, o, shorter (n)))
#define fsync(fd)            (faulty (C_fsync) ? -1 : watched_fsync (fd))
#define fstat(fd, st)        (faulty (C_fstat) ? -1 : fstat (fd, st))
#define renameat(...)        (faulty (C_renameat) ? -1 : renameat (__VA_ARGS__))
#define linkat(...)          (faulty (C_linkat) ? -1 : linkat (__VA_ARGS__))
#define unlinkat(...)        (faulty (C_unlinkat) ? -1 : unlinkat (__VA_ARGS__))
#define mkdirat(...)         (faulty (C_mkdirat) ? -1 : mkdirat (__VA_ARGS__))
#define fstatat(...)         (faulty (C_fstatat) ? -1 : fstatat (__VA_ARGS__))
#define close(fd)            watched_close (fd)
#define posix_close(fd, f)   watched_close (fd)
#define readdir(dir)         untype (faulty (C_readdir) ? 0 : readdir (dir))
#define fdopendir(fd)        (faulty (C_fdopendir) ? 0 : fdopendir (fd))
#define fchown(...)          (faulty (C_fchown) ? -1 : fchown (__VA_ARGS__))
#define fchmod(...)          (faulty (C_fchmod) ? -1 : fchmod (__VA_ARGS__))
#define lseek(...)           (faulty (C_lseek) ? -1 : seek (__VA_ARGS__))
#define ioctl(...) \
  (faulty (C_ioctl) ? -1 : cloning ? 0 : ioctl (__VA_ARGS__))
#define ftruncate(...) \
  (faulty (C_ftruncate) ? -1 : ftruncate (__VA_ARGS__))
#define fgetxattr(...) \
  (faulty (C_fgetxattr) ? -1 : fgetxattr (__VA_ARGS__))
#define fsetxattr(...) \
  (faulty (C_fsetxattr) ? -1 : fsetxattr (__VA_ARGS__))
#define fcntl(fd, cmd, ...) \
  ((cmd) == F_DUPFD_CLOEXEC && faulty (C_dup) \
     ? -1 : fcntl (fd, cmd __VA_OPT__ (,) __VA_ARGS__))
#define malloc  fault_malloc
#define calloc  fault_calloc
#define realloc fault_realloc
#define free    fault_free
/* clang-format on */

#include "eio.c"

#undef openat
#undef syscall
#undef write
#undef pread
#undef sendfile
#undef fsync
#undef fstat
#undef renameat
#undef linkat
#undef unlinkat
#undef mkdirat
#undef fstatat
#undef close
#undef posix_close
#undef readdir
#undef fdopendir
#undef fchown
#undef fchmod
#undef lseek
#undef ioctl
#undef ftruncate
#undef fcntl
#undef malloc
#undef calloc
#undef realloc
#undef free

/*****************************************************************************
 * Files                                                                     *
 *****************************************************************************/

/* run.h frees by free(3) what fault_malloc has counted. */
static void
drop_got (void)
{
  if (got.flags & EIO_FLAG_PTR1_FREE)
    fault_free (got.ptr1);
  if (got.flags & EIO_FLAG_PTR2_FREE)
    fault_free (got.ptr2);
  memset (&got, 0, sizeof got);
}

/* The current directory is the scratch directory. */
static void
start (void)
{
  host_start ();
  disarm_all ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  write_file ("file", "0123456789", 10);
  ck_assert_int_eq (symlink ("file", "link"), 0);
  ck_assert_int_eq (mkdir ("dir", 0777), 0);
}

static void
finish (void)
{
  disarm_all ();
  fail_at = 0;
  drop_got ();
  stop_workers ();
  ck_assert_int_eq (wrong_closes, 0);
}

static mode_t
mode_of (const char *path)
{
  return status_of (path).st_mode & 07777;
}

static void
expect_file (const char *path, const char *want)
{
  static char buf[100000];
  int fd = open (path, O_RDONLY);
  ssize_t n;

  ck_assert_msg (fd >= 0, "%s: %s", path, strerror (errno));
  n = read (fd, buf, sizeof buf - 1);
  close (fd);
  ck_assert_int_ge (n, 0);
  buf[n] = 0;
  ck_assert_str_eq (buf, want);
}

/* Entries of a directory. */
static int
count_names (const char *path)
{
  DIR *d = opendir (path);
  int n = -2;

  ck_assert_ptr_nonnull (d);
  while (readdir (d))
    ++n;
  closedir (d);
  return n;
}

/* Whether the system has openat2; emulators may not. */
static int
have_openat2 (void)
{
  unsigned long long how[3] = { 0 };

  return syscall (EIO__SYS_OPENAT2, -1, ".", how, sizeof how) == -1
         && errno == EBADF;
}

/* Waits until the library owes nothing, its own housekeeping included. */
static void
rest (void)
{
  eio_set_max_parallel (0);
  ck_assert_uint_eq (eio_nreqs (), 0);
  eio_set_min_parallel (4);
}

/* Submits by calling, and cancels it: before it executes, or between that and
 * finish. */
#define cancelled(late, ...) \
  do { \
    eio_req *req_; \
    eio_set_max_parallel (0); \
    req_ = (__VA_ARGS__); \
    ck_assert_ptr_nonnull (req_); \
    if (late) \
      execute_all (); \
    eio_cancel (req_); \
    resume (4); \
    host_drain (); \
    while (eio_poll ()) \
      continue; \
    rest (); \
  } while (0)

/* Submits with a call set up to cancel it while it executes. */
#define cancelled_at(which, n, ...) \
  do { \
    eio_req *req_; \
    eio_set_max_parallel (0); \
    req_ = (__VA_ARGS__); \
    aim (req_, which, (n) - 1); \
    resume (4); \
    host_drain (); \
    while (eio_poll ()) \
      continue; \
    ck_assert_msg (calls_of (which) >= (n), "%s was not called", \
                   call_names[which]); \
    victim.req = (eio_req *)0; \
    rest (); \
  } while (0)

#define TAIL EIO_PRI_DEFAULT, 0, 0

/*****************************************************************************
 * What holds for all of them                                                *
 *****************************************************************************/

static char a_path[] = "some/path", a_new_path[] = "new/path";

/* One of each type that takes paths. */
static const eio_req path_requests[] = {
  { .type = EIO_ACCESS },
  { .type = EIO_LCHOWN, .int2 = -1, .int3 = -1 },
  { .type = EIO_LUTIME },
  { .type = EIO_UTIMENS },
  { .type = EIO_LCHMOD },
  { .type = EIO_RENAME2, .ptr2 = a_new_path },
  { .type = EIO_RENAME2, .ptr2 = a_new_path, .int2 = EIO_RENAME_NOREPLACE },
  { .type = EIO_LINK2, .ptr2 = a_new_path },
  { .type = EIO_UNLINK2 },
  { .type = EIO_UNLINK2, .int1 = AT_REMOVEDIR },
  { .type = EIO_OPEN2 },
  { .type = EIO_OPEN2, .int3 = EIO_RESOLVE_NO_XDEV },
  { .type = EIO_MKDTEMP },
  { .type = EIO_MKSTEMP },
  { .type = EIO_TMPFILE, .int1 = O_RDWR },
  { .type = EIO_LINKFD },
  { .type = EIO_MKDIRS },
  { .type = EIO_OPENDIR },
  { .type = EIO_LOAD },
  { .type = EIO_SAVE },
  { .type = EIO_PATHSYNC },
  { .type = EIO_SCANDIR },
  { .type = EIO_COPY, .ptr2 = a_new_path },
  { .type = EIO_MOVE, .ptr2 = a_new_path },
  { .type = EIO_MOVE, .ptr2 = a_new_path, .int1 = EIO_COPY_EXCL },
};

static void
all_fail (int error, char *path, eio_wd wd)
{
  int i;

  for (i = 0; i < LENGTH (path_requests); ++i)
    {
      eio_req req = path_requests[i];

      req.ptr1 = path;
      req.wd = wd;
      run (submit (req));
      ck_assert_msg (got.result == -1 && got.errorno == error,
                     "%s: %ld, %s; not %s", eio_strtype (req.type),
                     (long)got.result, strerror (got.errorno),
                     strerror (error));
    }
}

START_TEST (null_paths_are_einval)
{
  int i;

  all_fail (EINVAL, 0, 0);
  for (i = 0; i < LENGTH (path_requests); ++i)
    if (path_requests[i].ptr2)
      {
        eio_req req = path_requests[i];

        req.ptr1 = a_path;
        req.ptr2 = 0;
        fails (EINVAL, submit (req));
      }
  fails (EINVAL, eio_access (0, 0, KEEP));
  fails (EINVAL, eio_mkstemp (0, KEEP));
  fails (EINVAL, eio_rename2 ("a", 0, 0, KEEP));
}
END_TEST

START_TEST (invalid_wds_are_enoent)
{
  int i;

  all_fail (ENOENT, a_path, EIO_INVALID_WD);
  for (i = 0; i < LENGTH (path_requests); ++i)
    if (path_requests[i].ptr2)
      {
        eio_req req = path_requests[i];

        req.ptr1 = a_path;
        req.int3 = (long)EIO_INVALID_WD;
        fails (ENOENT, submit (req));
      }
}
END_TEST

START_TEST (missing_files_are_enoent)
{
  char missing[] = "missing/XXXXXX";
  int i;

  for (i = 0; i < LENGTH (path_requests); ++i)
    {
      eio_req req = path_requests[i];

      req.ptr1 = missing;
      if (req.type == EIO_MKDIRS)
        continue;
      if (req.type == EIO_OPEN2 && !have_openat2 ())
        continue;
      fails (ENOENT, submit (req));
    }
  ck_assert_int_eq (count_names ("."), 3);
}
END_TEST

START_TEST (long_paths_are_enametoolong)
{
  static char path[5000];
  int i;

  memset (path, '/', sizeof path);
  memcpy (path + sizeof path - 9, "x-XXXXXX", 9);
  for (i = 0; i < LENGTH (path_requests); ++i)
    {
      eio_req req = path_requests[i];

      req.ptr1 = path;
      if (req.type == EIO_OPEN2 && !have_openat2 ())
        continue;
      fails (ENAMETOOLONG, submit (req));
    }
}
END_TEST

START_TEST (what_is_cancelled_before_does_nothing)
{
  const struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
  struct stat before, after;
  int fds, fd = open ("file", O_RDWR);

  rest ();
  fds = count_fds ();
  before = status_of ("file");
  cancelled (0, eio_utimens ("file", now, 0, TAIL));
  cancelled (0, eio_futimens (fd, now, TAIL));
  cancelled (0, eio_lutime ("file", 1, 1, TAIL));
  cancelled (0, eio_lchmod ("file", 0, TAIL));
  cancelled (0, eio_rename2 ("file", "moved", 0, TAIL));
  cancelled (0, eio_link2 ("file", "linked", 0, TAIL));
  cancelled (0, eio_unlink2 ("file", 0, TAIL));
  cancelled (0, eio_open2 ("file", O_RDWR | O_TRUNC, 0, 0, TAIL));
  cancelled (0, eio_mkdtemp ("x-XXXXXX", TAIL));
  cancelled (0, eio_mkstemp ("x-XXXXXX", TAIL));
  cancelled (0, eio_tmpfile (".", O_RDWR, 0600, TAIL));
  cancelled (0, eio_linkfd (fd, "linked", TAIL));
  cancelled (0, eio_mkdirs ("a/b", 0777, TAIL));
  cancelled (0, eio_opendir ("dir", TAIL));
  cancelled (0, eio_load ("file", TAIL));
  cancelled (0, eio_save ("file", "x", 1, 0, 0, TAIL));
  cancelled (0, eio_scandir ("dir", 0, TAIL));
  cancelled (0, eio_copy ("file", "copied", 0, TAIL));
  cancelled (0, eio_move ("file", "moved", 0, TAIL));
  after = status_of ("file");
  ck_assert_int_eq (memcmp (&before, &after, sizeof after), 0);
  ck_assert_int_eq (count_names ("."), 3);
  ck_assert_int_eq (count_fds (), fds);
  close (fd);
}
END_TEST

START_TEST (types_have_names_and_holes_are_unknown)
{
  static const char *const names[] = {
    "access", "lchown", "lutime", "utimens", "futimens", "lchmod", "rename2",
    "link2", "unlink2", "open2", "mkdtemp", "mkstemp", "tmpfile", "linkfd",
    "mkdirs", "opendir", "readdir_next", "closedir", "load", "save",
    "pathsync", "scandir", "copy", "move",
  };
  int i;

  ck_assert_int_eq (EIO_REQ_TYPE_NUM, 111);
  for (i = 0; i < LENGTH (names); ++i)
    ck_assert_str_eq (eio_strtype (EIO_ACCESS + i), names[i]);
  for (i = 50; i < 128; ++i)
    if (!eio_strtype (i))
      fails (ENOSYS, submit ((eio_req){ .type = (signed char)i }));
}
END_TEST

/*****************************************************************************
 * Status                                                                    *
 *****************************************************************************/

static void
try_access (void)
{
  int mode;

  write_file ("open/mine", "", 0);
  ck_assert_int_eq (chmod ("open/mine", 0400), 0);
  for (mode = 0; mode < 8; ++mode)
    {
      agrees (access ("open/mine", mode), eio_access ("open/mine", mode, KEEP));
      agrees (access ("/", mode), eio_access ("/", mode, KEEP));
      agrees (access ("missing", mode), eio_access ("missing", mode, KEEP));
    }
  fails (EINVAL, eio_access ("open", 8, KEEP));
  fails (EINVAL, eio_access ("open", -1, KEEP));
  gives (0, eio_lchown ("open/mine", (eio_uid_t)-1, (eio_gid_t)-1, KEEP));
  if (geteuid ())
    fails (EPERM, eio_lchown ("open/mine", 0, 0, KEEP));
}

START_TEST (access_is_that_of_the_user)
{
  as_user (try_access);
}
END_TEST

START_TEST (lchown_does_not_follow)
{
  struct stat st;

  if (geteuid ())
    return;
  gives (0, eio_lchown ("link", 1001, 1002, KEEP));
  st = status_of ("link");
  ck_assert_uint_eq (st.st_uid, 1001);
  ck_assert_uint_eq (st.st_gid, 1002);
  ck_assert_uint_eq (status_of ("file").st_uid, 0);
  gives (0, eio_lchown ("link", (eio_uid_t)-1, 1003, KEEP));
  ck_assert_uint_eq (status_of ("link").st_uid, 1001);
}
END_TEST

static void
expect_times (const char *path, time_t atime, long ansec, time_t mtime,
              long mnsec)
{
  struct stat st = status_of (path);

  ck_assert_int_eq (st.st_atim.tv_sec, atime);
  ck_assert_int_eq (st.st_atim.tv_nsec, ansec);
  ck_assert_int_eq (st.st_mtim.tv_sec, mtime);
  ck_assert_int_eq (st.st_mtim.tv_nsec, mnsec);
}

START_TEST (lutime_does_not_follow)
{
  struct stat file = status_of ("file");

  gives (0, eio_lutime ("link", 1000000000.5, -1.75, KEEP));
  expect_times ("link", 1000000000, 500000000, -2, 250000000);
  ck_assert_int_eq (status_of ("file").st_mtim.tv_sec, file.st_mtim.tv_sec);
  gives (0, eio_lutime ("link", -1, -1, KEEP));
  ck_assert_int_ge (status_of ("link").st_mtim.tv_sec, time (0) - 60);
  fails (EINVAL, eio_lutime ("link", 1e300, 0, KEEP));
}
END_TEST

START_TEST (times_are_exact_to_the_nanosecond)
{
  struct timespec t[2] = { { 1234567890, 123456789 }, { -5, 999999999 } };
  int fd = open ("file", O_RDWR);
  eio_req *req;

  gives (0, eio_utimens ("file", t, 0, KEEP));
  expect_times ("file", 1234567890, 123456789, -5, 999999999);
  t[0].tv_nsec = UTIME_OMIT;
  t[1].tv_sec = 77;
  gives (0, eio_futimens (fd, t, KEEP));
  expect_times ("file", 1234567890, 123456789, 77, 999999999);
  t[1].tv_nsec = UTIME_NOW;
  gives (0, eio_utimens ("link", t, AT_SYMLINK_NOFOLLOW, KEEP));
  ck_assert_int_ge (status_of ("link").st_mtim.tv_sec, time (0) - 60);
  ck_assert_int_eq (status_of ("file").st_mtim.tv_sec, 77);
  gives (0, eio_utimens ("link", 0, 0, KEEP));
  ck_assert_int_ge (status_of ("file").st_atim.tv_sec, time (0) - 60);

  /* Wrappers copy the times; a request that is filled does not. */
  t[0] = (struct timespec){ 1, 1 };
  t[1] = (struct timespec){ 2, 2 };
  eio_set_max_parallel (0);
  req = eio_futimens (fd, t, KEEP);
  memset (t, 0xff, sizeof t);
  eio_set_min_parallel (1);
  gives (0, req);
  expect_times ("file", 1, 1, 2, 2);
  t[0] = t[1] = (struct timespec){ 3, 4 };
  gives (0, submit ((eio_req){ .type = EIO_UTIMENS, .ptr1 = (char[]){ "file" },
                               .ptr2 = t }));
  expect_times ("file", 3, 4, 3, 4);
  gives (0, submit ((eio_req){ .type = EIO_FUTIMENS, .int1 = fd }));
  ck_assert_int_ge (status_of ("file").st_atim.tv_sec, time (0) - 60);

  fails (EINVAL, eio_utimens ("file", t, 1 << 20, KEEP));
  t[0].tv_nsec = -3;
  fails (EINVAL, eio_utimens ("file", t, 0, KEEP));
  fails (EINVAL, eio_futimens (fd, t, KEEP));
  close (fd);
  fails (EBADF, eio_futimens (fd, 0, KEEP));
}
END_TEST

START_TEST (lchmod_does_not_follow)
{
  gives (0, eio_lchmod ("file", 0640, KEEP));
  ck_assert_uint_eq (mode_of ("file"), 0640);
  fails (EOPNOTSUPP, eio_lchmod ("link", 0600, KEEP));
  ck_assert_uint_eq (mode_of ("file"), 0640);
}
END_TEST

/*****************************************************************************
 * Names                                                                     *
 *****************************************************************************/

START_TEST (rename2_takes_flags)
{
  gives (0, eio_rename2 ("file", "new", 0, KEEP));
  write_file ("file", "second", 6);
  fails (EEXIST, eio_rename2 ("file", "new", EIO_RENAME_NOREPLACE, KEEP));
  gives (0, eio_rename2 ("file", "new", EIO_RENAME_EXCHANGE, KEEP));
  expect_file ("new", "second");
  expect_file ("file", "0123456789");
  fails (EINVAL, eio_rename2 ("file", "new", 1u << 20, KEEP));
}
END_TEST

/* A call that is missing is tried once; one that a sandbox refuses is told
 * from a file that is refused. */
START_TEST (rename2_remembers_that_the_system_lacks_it)
{
  int error = _i ? EPERM : ENOSYS;

  arm (C_renameat2, error, 0, FOR_EVER);
  fails (ENOSYS, eio_rename2 ("file", "a", EIO_RENAME_NOREPLACE, KEEP));
  arm (C_renameat2, error, 0, FOR_EVER);
  fails (ENOSYS, eio_rename2 ("file", "a", EIO_RENAME_NOREPLACE, KEEP));
  ck_assert_int_eq (calls_of (C_renameat2), 0);
  gives (0, eio_rename2 ("file", "b", 0, KEEP));
  ck_assert (exists ("b") && !exists ("a"));
}
END_TEST

START_TEST (rename2_keeps_an_eperm_of_the_file)
{
  arm (C_renameat2, EPERM, 0, 1);
  fails (EPERM, eio_rename2 ("file", "a", EIO_RENAME_NOREPLACE, KEEP));
  gives (0, eio_rename2 ("file", "a", EIO_RENAME_NOREPLACE, KEEP));
}
END_TEST

START_TEST (link2_and_unlink2_take_flags)
{
  gives (0, eio_link2 ("link", "linked", 0, KEEP));
  ck_assert (S_ISLNK (status_of ("linked").st_mode));
  gives (0, eio_link2 ("link", "followed", AT_SYMLINK_FOLLOW, KEEP));
  ck_assert_uint_eq (status_of ("followed").st_ino, status_of ("file").st_ino);
  fails (EEXIST, eio_link2 ("link", "followed", 0, KEEP));
  fails (EINVAL, eio_link2 ("link", "x", 1 << 20, KEEP));

  fails (EISDIR, eio_unlink2 ("dir", 0, KEEP));
  fails (ENOTDIR, eio_unlink2 ("file", AT_REMOVEDIR, KEEP));
  fails (EINVAL, eio_unlink2 ("file", 1 << 20, KEEP));
  gives (0, eio_unlink2 ("dir", AT_REMOVEDIR, KEEP));
  gives (0, eio_unlink2 ("file", 0, KEEP));
  ck_assert (!exists ("dir") && !exists ("file"));
}
END_TEST

START_TEST (unlink2_removes_a_wd_itself)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, "dir");

  gives (0, eio_unlink2_at (wd, ".", AT_REMOVEDIR, KEEP));
  ck_assert (!exists ("dir"));
  eio_wd_close_sync (wd);
}
END_TEST

static void
opens (eio_req *req)
{
  ck_assert_msg (run (req) >= 0, "%s", strerror (got.errorno));
  ck_assert_int_ge (fcntl ((int)got.result, F_GETFD), 0);
  close ((int)got.result);
}

START_TEST (open2_confines_the_lookup)
{
  eio_wd wd;

  umask (0);
  write_file ("dir/x", "", 0);
  opens (eio_open2 ("file", O_RDONLY, 0777, 0, KEEP));
  opens (eio_open2 ("new", O_RDWR | O_CREAT | O_EXCL, 0652, 0, KEEP));
  ck_assert_uint_eq (mode_of ("new"), 0652);
  if (!have_openat2 ())
    return;
  wd = eio_wd_open_sync (EIO_CWD, "dir");
  opens (eio_open2_at (wd, "x", O_RDONLY, 0, EIO_RESOLVE_BENEATH, KEEP));
  opens (eio_open2_at (wd, "made", O_RDWR | O_CREAT, 0625,
                       EIO_RESOLVE_BENEATH, KEEP));
  ck_assert_uint_eq (mode_of ("dir/made"), 0625);
  opens (eio_open2 ("file", O_RDONLY, 0777, EIO_RESOLVE_NO_XDEV, KEEP));
  opens (eio_open2 ("dir", O_PATH, 0, EIO_RESOLVE_NO_XDEV, KEEP));
  opens (eio_open2 (".", O_TMPFILE | O_RDWR, 0600, EIO_RESOLVE_BENEATH, KEEP));
  opens (eio_open2_at (wd, "/x", O_RDONLY, 0, EIO_RESOLVE_IN_ROOT, KEEP));
  fails (EXDEV, eio_open2_at (wd, "../file", O_RDONLY, 0, EIO_RESOLVE_BENEATH,
                              KEEP));
  fails (ELOOP, eio_open2 ("link", O_RDONLY, 0, EIO_RESOLVE_NO_SYMLINKS,
                           KEEP));
  fails (EINVAL, eio_open2 ("file", O_RDONLY, 0, 1u << 20, KEEP));
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (open2_is_never_less_safe_than_asked_for)
{
  arm (C_openat2, _i ? EPERM : ENOSYS, 0, FOR_EVER);
  fails (ENOSYS, eio_open2 ("file", O_RDWR | O_TRUNC, 0, EIO_RESOLVE_BENEATH,
                            KEEP));
  arm (C_openat2, 0, 0, 0);
  fails (ENOSYS, eio_open2 ("file", O_RDWR | O_TRUNC, 0, EIO_RESOLVE_BENEATH,
                            KEEP));
  ck_assert_int_eq (calls_of (C_openat2), 0);
  expect_file ("file", "0123456789");
  opens (eio_open2 ("file", O_RDONLY, 0, 0, KEEP));
}
END_TEST

START_TEST (open2_keeps_an_eperm_of_the_file)
{
  if (!have_openat2 ())
    return;
  arm (C_openat2, EPERM, 0, 1);
  fails (EPERM, eio_open2 ("file", O_RDONLY, 0, EIO_RESOLVE_BENEATH, KEEP));
  opens (eio_open2 ("file", O_RDONLY, 0, EIO_RESOLVE_BENEATH, KEEP));
}
END_TEST

START_TEST (files_opened_by_cancelled_requests_are_closed)
{
  int fds;

  rest ();
  fds = count_fds ();
  cancelled (1, eio_open2 ("file", O_RDONLY, 0, 0, TAIL));
  cancelled (1, eio_open2 ("file", O_RDONLY, 0, EIO_RESOLVE_BENEATH, TAIL));
  cancelled (1, eio_tmpfile (".", O_RDWR, 0600, TAIL));
  cancelled (1, eio_opendir (".", TAIL));
  cancelled (1, eio_mkstemp ("x-XXXXXX", TAIL));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* What opens or makes something. */
static const eio_req makers[] = {
  { .type = EIO_OPEN2, .ptr1 = "file" },
  { .type = EIO_OPEN2, .ptr1 = "file", .int3 = EIO_RESOLVE_BENEATH },
  { .type = EIO_TMPFILE, .ptr1 = ".", .int1 = O_RDWR, .int2 = 0600 },
  { .type = EIO_OPENDIR, .ptr1 = "dir" },
  { .type = EIO_MKSTEMP, .ptr1 = "x-XXXXXX" },
  { .type = EIO_MKDTEMP, .ptr1 = "x-XXXXXX" },
};

/* Nobody may take a number for a descriptor of his, or close what is there
 * twice. */
static void
expect_nothing (const eio_req *req)
{
  const char *name = eio_strtype (req->type);

  ck_assert_msg (req->result == -1 && req->errorno == ECANCELED,
                 "%s: %ld, %s", name, (long)req->result,
                 strerror (req->errorno));
  ck_assert_msg (!eio_req_dir (req), "%s: a directory", name);
}

static int destroys;
static void *left; /* in ptr1 */

static void
destroy_nothing (eio_req *req)
{
  expect_nothing (req);
  left = req->ptr1;
  ++destroys;
}

static int
finish_nothing (eio_req *req)
{
  expect_nothing (req);
  return count (req);
}

static eio_req *
submit_maker (const eio_req *req)
{
  static eio_req mine;

  mine = *req;
  mine.finish = finish_nothing;
  mine.destroy = destroy_nothing;
  destroys = finishes = 0;
  eio_submit (&mine);
  return &mine;
}

START_TEST (cancelled_requests_tell_of_nothing)
{
  const eio_req *req = &makers[_i];
  int makes_name = req->type == EIO_MKSTEMP || req->type == EIO_MKDTEMP;

  cancelled (0, submit_maker (req));
  ck_assert (destroys == 1 && !finishes);
  ck_assert_ptr_eq (left, req->ptr1);
  cancelled (1, submit_maker (req));
  ck_assert (destroys == 1 && !finishes);
  ck_assert_ptr_eq (left, makes_name ? 0 : req->ptr1);
  eio_set_finish_cancelled (1);
  cancelled (0, submit_maker (req));
  ck_assert (destroys == 1 && finishes == 1);
  ck_assert_ptr_eq (left, req->ptr1);
  eio_set_finish_cancelled (0);
}
END_TEST

/*****************************************************************************
 * Temporary files                                                           *
 *****************************************************************************/

/* Whether a name has its template's shape, and letters in place of the X. */
static void
expect_name (const char *name, const char *template)
{
  size_t n = strlen (template) - 6;

  ck_assert_uint_eq (strlen (name), n + 6);
  ck_assert_int_eq (strncmp (name, template, n), 0);
  ck_assert_str_ne (name + n, "XXXXXX");
  ck_assert_uint_eq (strspn (name + n, "abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
                     6);
}

START_TEST (mkstemp_makes_a_file)
{
  char first[] = "x-XXXXXX", template[] = "XXXXXX";
  int fd;

  umask (0);
  run (eio_mkstemp (first, KEEP));
  ck_assert_int_ge (got.result, 0);
  ck_assert (got.flags & EIO_FLAG_PTR1_FREE);
  expect_name (got.ptr1, "x-XXXXXX");
  ck_assert_uint_eq (mode_of (got.ptr1), 0600);
  fd = (int)got.result;
  ck_assert_int_eq (fcntl (fd, F_GETFL) & O_ACCMODE, O_RDWR);
  ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);
  ck_assert_int_eq (write (fd, "x", 1), 1);
  close (fd);
  strcpy (first, got.ptr1);

  run (submit ((eio_req){ .type = EIO_MKSTEMP, .ptr1 = template }));
  ck_assert_str_eq (template, "XXXXXX");
  expect_name (got.ptr1, template);
  close ((int)got.result);
  run (eio_mkstemp ("x-XXXXXX", KEEP));
  ck_assert_str_ne (got.ptr1, first);
  close ((int)got.result);
  ck_assert_int_eq (count_names ("."), 6);
}
END_TEST

static char taken[100];

static void
take_the_name (void)
{
  strcpy (taken, created);
  write_file (taken, "mine", 4);
}

START_TEST (names_that_others_take_are_left_to_them)
{
  event = take_the_name;
  event_at[C_created] = 1;
  run (eio_mkstemp ("x-XXXXXX", KEEP));
  ck_assert_int_ge (got.result, 0);
  close ((int)got.result);
  expect_file (got.ptr1, "");
  expect_file (taken, "mine");
}
END_TEST

START_TEST (mkdtemp_makes_a_directory)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, "dir");
  char path[100];

  umask (0);
  gives (0, eio_mkdtemp_at (wd, "abcXXXXXXXX", KEEP));
  expect_name (got.ptr1, "abcXXXXXXXX");
  snprintf (path, sizeof path, "dir/%s", (char *)got.ptr1);
  ck_assert (S_ISDIR (status_of (path).st_mode));
  ck_assert_uint_eq (mode_of (path), 0700);
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (templates_end_in_six_x)
{
  static const char *const wrong[]
    = { "", "x", "XXXXX", "x-XXXXX", "XXXXXXx", "x-XXXXX/" };
  int i;

  for (i = 0; i < LENGTH (wrong); ++i)
    {
      fails (EINVAL, eio_mkstemp (wrong[i], KEEP));
      fails (EINVAL, eio_mkdtemp (wrong[i], KEEP));
    }
  ck_assert_int_eq (count_names ("."), 3);
}
END_TEST

START_TEST (names_that_are_taken_are_not_used)
{
  arm (C_created, EEXIST, 0, 5);
  run (eio_mkstemp ("x-XXXXXX", KEEP));
  ck_assert_int_ge (got.result, 0);
  close ((int)got.result);
  ck_assert_int_eq (calls_of (C_created), 6);
  arm (C_mkdirat, EEXIST, 0, FOR_EVER);
  fails (EEXIST, eio_mkdtemp ("x-XXXXXX", KEEP));
  arm (C_mkdirat, EINTR, 0, 3);
  gives (0, eio_mkdtemp ("x-XXXXXX", KEEP));
}
END_TEST

START_TEST (names_differ_without_a_source_of_chance)
{
  int i;

  arm (C_getrandom, ENOSYS, 0, FOR_EVER);
  if (_i)
    arm (C_urandom, ENOENT, 0, FOR_EVER);
  for (i = 0; i < 100; ++i)
    {
      gives (0, eio_mkdtemp ("x-XXXXXX", KEEP));
      ck_assert_uint_eq (strlen (got.ptr1), 8);
    }
  ck_assert_int_eq (count_names ("."), 103);
  ck_assert_int_ge (calls_of (C_urandom), 100);
}
END_TEST

START_TEST (what_cancelled_requests_made_is_removed)
{
  char absolute[5000];
  eio_wd wd;
  int fds;

  snprintf (absolute, sizeof absolute, "%s/x-XXXXXX", scratch ());
  rest ();
  fds = count_fds ();
  if (_i) /* no descriptor for the directory */
    {
      arm (C_dup, EMFILE, 0, FOR_EVER);
      arm (C_openat, EMFILE, 0, FOR_EVER);
    }
  cancelled (1, eio_mkstemp ("x-XXXXXX", TAIL));
  cancelled (1, eio_mkdtemp ("x-XXXXXX", TAIL));
  cancelled (1, eio_mkstemp (absolute, TAIL));
  cancelled (1, eio_mkdtemp (absolute, TAIL));
  disarm_all ();
  wd = eio_wd_open_sync (EIO_CWD, "dir");
  if (_i)
    arm (C_dup, EMFILE, 0, FOR_EVER);
  cancelled (1, eio_mkstemp_at (wd, "x-XXXXXX", TAIL));
  cancelled (1, eio_mkdtemp_at (wd, "x-XXXXXX", TAIL));
  eio_wd_close_sync (wd);
  cancelled_at (C_created, 1, eio_mkstemp ("x-XXXXXX", TAIL));
  ck_assert_int_eq (count_fds (), fds);
  ck_assert_int_eq (count_names ("."), 3);
  ck_assert_int_eq (count_names ("dir"), 0);
}
END_TEST

/* The wd may be closed, and the current directory be another, when a worker
 * gets there. */
START_TEST (what_cancelled_requests_made_is_found_again)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, "dir");
  eio_req *one, *two;

  eio_set_max_parallel (0);
  one = eio_mkstemp ("x-XXXXXX", TAIL);
  two = eio_mkdtemp_at (wd, "x-XXXXXX", TAIL);
  execute_all ();
  ck_assert_int_eq (count_names ("."), 4);
  ck_assert_int_eq (count_names ("dir"), 1);
  eio_cancel (one);
  eio_cancel (two);
  prepare_stays ();
  eio_custom (stay, TAIL); /* the housekeeping has to wait */
  resume (1);
  await_arrivals (1);
  while (eio_nreqs () > 1)
    host_poll ();
  eio_wd_close_sync (wd);
  ck_assert_int_eq (chdir ("/"), 0);
  give (&let_go, 1);
  host_drain ();
  rest ();
  ck_assert_int_eq (chdir (scratch ()), 0);
  ck_assert_int_eq (count_names ("."), 3);
  ck_assert_int_eq (count_names ("dir"), 0);
}
END_TEST

static int
keep_it (eio_req *req)
{
  ck_assert_int_eq (req->cancelled, 1);
  got.result = req->result;
  return 0;
}

START_TEST (hosts_that_are_told_own_the_file)
{
  eio_req *req;

  eio_set_finish_cancelled (1);
  eio_set_max_parallel (0);
  req = eio_mkstemp ("x-XXXXXX", 0, keep_it, 0);
  execute_all ();
  eio_cancel (req);
  resume (1);
  host_drain ();
  ck_assert_int_ge (got.result, 0);
  close ((int)got.result);
  ck_assert_int_eq (count_names ("."), 4);
  eio_set_finish_cancelled (0);
}
END_TEST

static void
expect_unnamed (eio_req *req)
{
  struct stat st;
  int fd = (int)run (req);

  ck_assert_msg (fd >= 0, "%s", strerror (got.errorno));
  ck_assert_int_eq (fstat (fd, &st), 0);
  ck_assert_uint_eq (st.st_nlink, 0);
  ck_assert_uint_eq (st.st_mode, S_IFREG | 0640);
  ck_assert_int_eq (write (fd, "x", 1), 1);
  close (fd);
  ck_assert_int_eq (count_names ("dir"), 0);
}

START_TEST (tmpfile_makes_a_file_without_a_name)
{
  umask (022);
  expect_unnamed (eio_tmpfile ("dir", O_RDWR, 0660, KEEP));
  expect_unnamed (eio_tmpfile ("dir", O_WRONLY | O_CREAT | O_EXCL, 0660, KEEP));
  fails (EINVAL, eio_tmpfile ("dir", O_RDONLY, 0600, KEEP));
  fails (EINVAL, eio_tmpfile ("dir", O_ACCMODE, 0600, KEEP));
  fails (EINVAL, eio_tmpfile ("dir", O_PATH | O_RDWR, 0600, KEEP));
  fails (ENOTDIR, eio_tmpfile ("file", O_RDWR, 0600, KEEP));
}
END_TEST

START_TEST (tmpfile_removes_the_name_where_it_has_to)
{
  static const int errors[] = { EOPNOTSUPP, EISDIR, ENOSYS };
  int fds = count_fds ();

  umask (022);
  arm (C_unnamed, errors[_i], 0, FOR_EVER);
  expect_unnamed (eio_tmpfile ("dir", O_RDWR, 0660, KEEP));
  expect_unnamed (eio_tmpfile ("dir", O_RDWR, 0660, KEEP));
  ck_assert_int_eq (calls_of (C_unnamed), errors[_i] == EOPNOTSUPP ? 2 : 1);
  fails (EINVAL, eio_tmpfile ("dir", O_RDONLY, 0600, KEEP));
  fails (ENOTDIR, eio_tmpfile ("file", O_RDWR, 0600, KEEP));
  arm (C_unlinkat, EIO, 0, 1);
  fails (EIO, eio_tmpfile (".", O_RDWR, 0600, KEEP));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

static void
try_linkfd (void)
{
  int fd = (int)run (eio_tmpfile ("open", O_RDWR, 0600, KEEP));

  ck_assert_int_ge (fd, 0);
  ck_assert_int_eq (write (fd, "abc", 3), 3);
  gives (0, eio_linkfd (fd, "open/named", KEEP));
  expect_file ("open/named", "abc");
  fails (EEXIST, eio_linkfd (fd, "open/named", KEEP));
  fails (ENOENT, eio_linkfd (fd, "open/missing/x", KEEP));
  close (fd);
  fails (EBADF, eio_linkfd (fd, "open/x", KEEP));
  fails (EBADF, eio_linkfd (AT_FDCWD, "open/x", KEEP));

  fd = (int)run (eio_tmpfile ("open", O_RDWR | O_EXCL, 0600, KEEP));
  fails (ENOENT, eio_linkfd (fd, "open/x", KEEP));
  close (fd);
  ck_assert_int_eq (count_names ("open"), 1);
}

START_TEST (linkfd_gives_a_name)
{
  as_user (try_linkfd);
}
END_TEST

/* There may be no /proc: then it takes the right to go by descriptor. */
START_TEST (linkfd_does_without_proc)
{
  int fd = open ("file", O_RDONLY);

  if (geteuid ())
    return;
  arm (C_linkat, ENOENT, 0, 1);
  gives (0, eio_linkfd (fd, "named", KEEP));
  ck_assert_int_eq (calls_of (C_linkat), 2);
  expect_file ("named", "0123456789");
  close (fd);
}
END_TEST

/*****************************************************************************
 * Making directories                                                        *
 *****************************************************************************/

START_TEST (mkdirs_makes_what_is_missing)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, "dir");
  char path[5000];

  umask (0);
  gives (3, eio_mkdirs ("a/b/c", 0500, KEEP));
  ck_assert_uint_eq (mode_of ("a"), 0700);
  ck_assert_uint_eq (mode_of ("a/b"), 0700);
  ck_assert_uint_eq (mode_of ("a/b/c"), 0500);
  gives (0, eio_mkdirs ("a/b/c", 0777, KEEP));
  gives (0, eio_mkdirs ("a//b///c//", 0777, KEEP));
  gives (1, eio_mkdirs ("a/b/d", 0777, KEEP));
  gives (2, eio_mkdirs ("e/../f", 0777, KEEP));
  gives (1, eio_mkdirs ("./g/.", 0777, KEEP));
  gives (1, eio_mkdirs ("h///", 0777, KEEP));
  gives (2, eio_mkdirs_at (wd, "i/j", 0777, KEEP));
  ck_assert (exists ("dir/i/j"));
  gives (0, eio_mkdirs ("/", 0777, KEEP));
  gives (0, eio_mkdirs (".", 0777, KEEP));
  snprintf (path, sizeof path, "%s/k/l", scratch ());
  gives (2, eio_mkdirs (path, 0777, KEEP));
  ck_assert_int_eq (symlink ("dir", "to_dir"), 0);
  gives (1, eio_mkdirs ("to_dir/m", 0777, KEEP));
  gives (0, eio_mkdirs ("to_dir", 0777, KEEP));
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (mkdirs_fails_where_it_cannot_go_on)
{
  char name[300];

  memset (name, 'x', 299);
  name[299] = 0;
  ck_assert_int_eq (symlink ("nowhere", "dangling"), 0);
  fails (EEXIST, eio_mkdirs ("file", 0777, KEEP));
  fails (ENOTDIR, eio_mkdirs ("file/x/y", 0777, KEEP));
  fails (EEXIST, eio_mkdirs ("dangling", 0777, KEEP));
  fails (EEXIST, eio_mkdirs ("dangling/x", 0777, KEEP));
  fails (ENOENT, eio_mkdirs ("", 0777, KEEP));
  fails (ENAMETOOLONG, eio_mkdirs (name, 0777, KEEP));
  arm (C_mkdirat, ENOSPC, 2, 1);
  fails (ENOSPC, eio_mkdirs ("a/b/c", 0777, KEEP));
  arm (C_mkdirat, EINTR, 0, 3);
  gives (3, eio_mkdirs ("a/b/c", 0777, KEEP));
}
END_TEST

static void
try_mkdirs (void)
{
  ck_assert_int_eq (mkdir ("open/closed", 0500), 0);
  fails (geteuid () ? EACCES : 0, eio_mkdirs ("open/closed/x/y", 0777, KEEP));
  /* of what is there already, it does not matter who may write to it */
  gives (0, eio_mkdirs ("/usr", 0777, KEEP));
  gives (2, eio_mkdirs ("open/a/b", 0777, KEEP));
}

START_TEST (mkdirs_needs_rights_only_where_it_makes_something)
{
  if (geteuid ())
    return;
  as_user (try_mkdirs);
}
END_TEST

/* As mkdir -p does. */
static void
try_mkdirs_masked (void)
{
  umask (0777);
  gives (3, eio_mkdirs ("open/a/b/c", 0755, KEEP));
  ck_assert_uint_eq (mode_of ("open/a"), 0300);
  ck_assert_uint_eq (mode_of ("open/a/b"), 0300);
  ck_assert_uint_eq (mode_of ("open/a/b/c"), 0);
  ck_assert_int_eq (chmod ("open/a", 0700), 0); /* else it cannot be removed */
  ck_assert_int_eq (chmod ("open/a/b", 0700), 0);
}

START_TEST (mkdirs_goes_on_whatever_the_umask)
{
  as_user (try_mkdirs_masked);
}
END_TEST

static void
make_a (void)
{
  ck_assert_int_eq (mkdir ("a", 0777), 0);
}

static void
remove_a (void)
{
  ck_assert_int_eq (rmdir ("a"), 0);
}

START_TEST (mkdirs_lives_with_others)
{
  /* "a/b/c" and "a/b" fail, and then somebody makes "a". */
  event = make_a;
  arm (C_mkdirat, 0, 0, 0);
  event_at[C_mkdirat] = 3;
  gives (2, eio_mkdirs ("a/b/c", 0777, KEEP));

  /* It has made "a", and somebody removes it. */
  ck_assert_int_eq (rmdir ("a/b/c") || rmdir ("a/b") || rmdir ("a"), 0);
  event = remove_a;
  arm (C_mkdirat, 0, 0, 0);
  event_at[C_mkdirat] = 4;
  gives (4, eio_mkdirs ("a/b/c", 0777, KEEP));

  /* For ever. */
  arm (C_mkdirat, ENOENT, 0, FOR_EVER);
  fails (ENOENT, eio_mkdirs ("x/y", 0777, KEEP));
  arm (C_mkdirat, EROFS, 0, FOR_EVER);
  gives (0, eio_mkdirs ("a/b", 0777, KEEP));
}
END_TEST

START_TEST (mkdirs_stops_when_cancelled)
{
  cancelled_at (C_mkdirat, 4, eio_mkdirs ("a/b/c", 0777, TAIL));
  ck_assert (exists ("a/b") && !exists ("a/b/c"));
}
END_TEST

/*****************************************************************************
 * Directories                                                               *
 *****************************************************************************/

static eio_dir *
open_dir (const char *path)
{
  gives (0, eio_opendir (path, KEEP));
  ck_assert_ptr_nonnull (eio_req_dir (&got));
  return eio_req_dir (&got);
}

/* Files with numbers of four digits for names, and two directories. */
static void
fill_dir (int files)
{
  char name[100];
  int i;

  for (i = 0; i < files; ++i)
    {
      snprintf (name, sizeof name, "dir/%04d", i);
      write_file (name, "", 0);
    }
  ck_assert_int_eq (mkdir ("dir/dir.1", 0777), 0);
  ck_assert_int_eq (mkdir ("dir/dir.2", 0777), 0);
  ck_assert_int_eq (symlink ("dir.1", "dir/link"), 0);
}

static char seen[10000];

/* Of the batch that was got: each file once. */
static void
note_entries (void)
{
  const eio_dirent *ent = got.ptr1;
  eio_ssize_t i;

  for (i = 0; i < got.result; ++i)
    {
      const char *name = (char *)got.ptr2 + ent[i].nameofs;
      ck_assert_uint_eq (strlen (name), ent[i].namelen);
      ck_assert_int_ne (name[0], '.');
      if (strlen (name) == 4 && strspn (name, "0123456789") == 4)
        ck_assert_int_eq (seen[atoi (name)]++, 0);
    }
}

START_TEST (directories_are_read_in_batches)
{
  static const size_t sizes[] = { 1, 100, 1000, 0, 1 << 20 };
  size_t max = sizes[_i], bytes;
  int i, entries = 0, batches = 0;
  eio_dir *dir;

  fill_dir (1000);
  dir = open_dir ("dir");
  for (;;)
    {
      run (eio_readdir_next (dir, max, EIO_READDIR_DENTS, KEEP));
      ck_assert_int_ge (got.result, 0);
      ck_assert_ptr_nonnull (got.ptr1);
      ck_assert_ptr_nonnull (got.ptr2);
      ck_assert_ptr_eq (eio_req_dir (&got), dir);
      if (!got.result)
        break;
      ++batches;
      entries += (int)got.result;
      for (bytes = 0, i = 0; i < got.result; ++i)
        bytes += sizeof (eio_dirent) + 1 + ((eio_dirent *)got.ptr1)[i].namelen;
      ck_assert (bytes <= (max ? max : 65536) || got.result == 1);
      note_entries ();
    }
  gives (0, eio_readdir_next (dir, max, 0, KEEP));
  ck_assert_ptr_null (got.ptr1);
  gives (0, eio_closedir (dir, KEEP));
  ck_assert_int_eq (entries, 1003);
  for (i = 0; i < 1000; ++i)
    ck_assert_int_eq (seen[i], 1);
  if (max)
    ck_assert_int_eq (batches, max == 1 ? 1003 : batches);
}
END_TEST

START_TEST (batch_may_be_full)
{
  eio_dir *dir;

  write_file ("dir/a", "", 0);
  write_file ("dir/b", "", 0);
  dir = open_dir ("dir");
  gives (2, eio_readdir_next (dir, 4, 0, KEEP));
  gives (0, eio_closedir (dir, KEEP));
  dir = open_dir ("dir");
  gives (1, eio_readdir_next (dir, 3, 0, KEEP));
  gives (1, eio_readdir_next (dir, 3, 0, KEEP));
  gives (0, eio_closedir (dir, KEEP));
}
END_TEST

START_TEST (batches_are_sorted)
{
  eio_dir *dir;

  fill_dir (100);
  dir = open_dir ("dir");
  gives (103, eio_readdir_next (dir, 0,
                                EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST
                                  | EIO_READDIR_CUSTOM1, KEEP));
  ck_assert_int_eq (((eio_dirent *)got.ptr1)[0].type, EIO_DT_DIR);
  ck_assert_int_eq (((eio_dirent *)got.ptr1)[1].type, EIO_DT_DIR);
  ck_assert_int_eq (got.int1, EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST
                                | EIO_READDIR_CUSTOM1);
  gives (0, eio_closedir (dir, KEEP));
}
END_TEST

START_TEST (opendir_fails_as_it_should)
{
  fails (ENOTDIR, eio_opendir ("file", KEEP));
  ck_assert_ptr_null (eio_req_dir (&got));
  fails (ENOENT, eio_opendir ("", KEEP));
  arm (C_fdopendir, ENOMEM, 0, 1);
  fails (ENOMEM, eio_opendir ("dir", KEEP));
  fails (EINVAL, eio_readdir_next (0, 0, 0, KEEP));
  fails (EINVAL, eio_closedir (0, KEEP));
  gives (0, eio_nop (KEEP));
  ck_assert_ptr_null (eio_req_dir (&got));
}
END_TEST

START_TEST (errors_in_a_batch_come_after_what_was_read)
{
  eio_dir *dir;

  fill_dir (100);
  dir = open_dir ("dir");
  arm (C_readdir, EIO, 50, 2);
  run (eio_readdir_next (dir, 0, 0, KEEP));
  ck_assert_int_ge (got.result, 48);
  ck_assert_int_le (got.result, 50);
  fails (EIO, eio_readdir_next (dir, 0, 0, KEEP));
  arm (C_readdir, EINTR, 0, 3);
  run (eio_readdir_next (dir, 0, 0, KEEP));
  ck_assert_int_gt (got.result, 50);
  gives (0, eio_closedir (dir, KEEP));
}
END_TEST

static eio_dir *shared_dir;
static atomic_int went_in;

static void
busy_event (void)
{
  went_in = 1;
  nap (200);
}

START_TEST (a_directory_is_read_by_one_at_a_time)
{
  eio_req *first;

  fill_dir (10);
  shared_dir = open_dir ("dir");
  went_in = 0;
  event = busy_event;
  arm (C_readdir, 0, 0, 0);
  event_at[C_readdir] = 3;
  first = eio_readdir_next (shared_dir, 0, 0, TAIL);
  ck_assert_ptr_nonnull (first);
  wait_until (went_in);
  if (_i)
    {
      /* The last one out closes it. */
      gives (0, eio_closedir (shared_dir, KEEP));
    }
  else
    {
      fails (EBUSY, eio_readdir_next (shared_dir, 0, 0, KEEP));
      gives (0, eio_closedir (shared_dir, KEEP));
    }
}
END_TEST

/* The later request overtakes the one that it takes the directory from. */
START_TEST (a_directory_may_be_closed_before_it_is_read)
{
  outcome read = { 0 }, closed = { 0 };
  eio_req *req;
  eio_dir *dir;
  int fds;

  rest ();
  fds = count_fds ();
  dir = open_dir ("dir");
  eio_set_max_parallel (0);
  req = eio_readdir_next (dir, 0, 0, EIO_PRI_MIN, note, &read);
  req->wd = _i == 1 ? EIO_INVALID_WD : EIO_CWD;
  eio_closedir (dir, EIO_PRI_MAX, note, &closed);
  if (_i == 2)
    eio_cancel (req);
  resume (1);
  host_drain ();
  assert_ok (closed, 0);
  if (_i == 2)
    ck_assert_int_eq (read.calls, 0);
  else
    assert_fails (read, _i ? ENOENT : EBADF);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (batches_stop_when_cancelled)
{
  eio_dir *dir;
  int fds;

  rest ();
  fds = count_fds ();
  fill_dir (100);
  dir = open_dir ("dir");
  cancelled_at (C_readdir, 50, eio_readdir_next (dir, 0, 0, TAIL));
  ck_assert_int_lt (calls_of (C_readdir), 60);
  run (eio_readdir_next (dir, 0, 0, KEEP));
  ck_assert_int_gt (got.result, 40);
  cancelled (0, eio_closedir (dir, TAIL)); /* closes it all the same */
  cancelled_at (C_fdopendir, 1, eio_opendir ("dir", TAIL));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (a_directory_of_a_bad_request_is_closed)
{
  eio_dir *dir = open_dir ("dir");
  int fds = count_fds ();

  gives (0, submit ((eio_req){ .type = EIO_CLOSEDIR, .wd = EIO_INVALID_WD,
                               .int3 = (long)dir }));
  ck_assert_int_eq (got.int3, 0); /* there is none any more */
  ck_assert_int_eq (count_fds (), fds - 1);
}
END_TEST

/* What a scan of fill_dir's directory has to find. */
static void
expect_scan (int files)
{
  const eio_dirent *ent = got.ptr1;
  int i, dirs = 0, links = 0, regular = 0;

  ck_assert_int_eq (got.result, files + 3);
  for (i = 0; i < files + 3; ++i)
    {
      dirs += ent[i].type == EIO_DT_DIR && i < 2;
      links += ent[i].type == EIO_DT_LNK;
      regular += ent[i].type == EIO_DT_REG;
    }
  ck_assert_int_eq (dirs, 2);
  ck_assert_int_eq (links, 1);
  ck_assert_int_eq (regular, files);
  ck_assert_int_eq (got.int3, 2);
  note_entries ();
  ck_assert (!(got.int1 & EIO_READDIR_FOUND_UNKNOWN));
  ck_assert (got.int1 & EIO_READDIR_DENTS);
}

START_TEST (scandir_puts_directories_first)
{
  fill_dir (500);
  untyped = _i;
  run (eio_scandir ("dir", EIO_READDIR_CUSTOM2, KEEP));
  ck_assert (got.int1 & EIO_READDIR_CUSTOM2);
  expect_scan (500);
  gives (0, eio_scandir ("dir/dir.1", 0, KEEP));
  ck_assert_int_eq (got.int3, 0);
  ck_assert_ptr_nonnull (got.ptr1);
  fails (ENOTDIR, eio_scandir ("file", 0, KEEP));
}
END_TEST

START_TEST (scandir_asks_only_where_it_has_to)
{
  struct stat st;

  fill_dir (20);
  arm (C_fstatat, 0, 0, 0);
  run (eio_scandir ("dir", 0, KEEP));
  expect_scan (20);
  ck_assert_int_eq (calls_of (C_fstatat), 0);
  memset (seen, 0, sizeof seen);
  untyped = 1;
  arm (C_fstatat, EINTR, 5, 2);
  run (eio_scandir ("dir", 0, KEEP));
  expect_scan (20);
  ck_assert_int_eq (calls_of (C_fstatat), 25);

  /* What cannot be told stays unknown. */
  arm (C_fstatat, ENOENT, 3, 1);
  gives (23, eio_scandir ("dir", 0, KEEP));
  ck_assert (got.int1 & EIO_READDIR_FOUND_UNKNOWN);
  ck_assert_int_eq (stat ("dir", &st), 0);
}
END_TEST

START_TEST (scandir_stops_when_cancelled)
{
  int fds;

  fill_dir (100);
  rest ();
  fds = count_fds ();
  untyped = 1;
  cancelled_at (C_readdir, 50, eio_scandir ("dir", 0, TAIL));
  ck_assert_int_lt (calls_of (C_readdir), 60);
  untyped = 1;
  cancelled_at (C_fstatat, 50, eio_scandir ("dir", 0, TAIL));
  ck_assert_int_lt (calls_of (C_fstatat), 60);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/*****************************************************************************
 * Whole files                                                               *
 *****************************************************************************/

START_TEST (load_reads_all)
{
  gives (10, eio_load ("link", KEEP));
  ck_assert_int_eq (memcmp (got.ptr2, "0123456789", 10), 0);
  ck_assert (got.flags & EIO_FLAG_PTR2_FREE);
  write_file ("empty", "", 0);
  gives (0, eio_load ("empty", KEEP));
  ck_assert_ptr_nonnull (got.ptr2);
  run (eio_load ("/proc/self/status", KEEP));
  ck_assert_int_gt (got.result, 100);
  fails (EISDIR, eio_load ("dir", KEEP));
  fails (ENOENT, eio_load ("missing", KEEP));
}
END_TEST

START_TEST (save_replaces_a_file_at_once)
{
  int fd = open ("file", O_RDONLY), flags = _i;
  char old[11] = "";

  umask (027);
  ck_assert_int_eq (chmod ("file", 0604), 0);
  gives (0, eio_save ("file", "abc", 3, 0, flags, KEEP));
  expect_file ("file", "abc");
  ck_assert_uint_eq (mode_of ("file"), 0604);
  ck_assert_int_eq (read (fd, old, 10), 10); /* readers have the old one */
  ck_assert_str_eq (old, "0123456789");
  close (fd);

  gives (0, eio_save ("file", "", 0, 0444, flags, KEEP));
  ck_assert_uint_eq (mode_of ("file"), 0440);
  gives (0, eio_save ("new", "x", 1, 0, flags, KEEP));
  ck_assert_uint_eq (mode_of ("new"), 0640);
  gives (0, eio_save ("new2", 0, 0, 04711, flags, KEEP));
  ck_assert_uint_eq (mode_of ("new2"), 04710);
  gives (0, eio_save ("dir/new", "x", 1, 0, flags, KEEP));
  ck_assert_int_eq (count_names ("."), 5);
  ck_assert_int_eq (count_names ("dir"), 1);
}
END_TEST

START_TEST (save_follows_links)
{
  char path[5000];

  gives (0, eio_save ("link", "abc", 3, 0, 0, KEEP));
  ck_assert (S_ISLNK (status_of ("link").st_mode));
  expect_file ("file", "abc");
  snprintf (path, sizeof path, "%s/link", scratch ());
  gives (0, eio_save (path, "def", 3, 0, 0, KEEP));
  expect_file ("file", "def");
  ck_assert_int_eq (symlink ("nowhere", "dangling"), 0);
  fails (ENOENT, eio_save ("dangling", "abc", 3, 0, 0, KEEP));
  ck_assert_int_eq (symlink ("loop", "loop"), 0);
  fails (ELOOP, eio_save ("loop", "abc", 3, 0, 0, KEEP));
}
END_TEST

START_TEST (save_replaces_only_files)
{
  ck_assert_int_eq (mkfifo ("fifo", 0600), 0);
  fails (EISDIR, eio_save ("dir", "x", 1, 0, 0, KEEP));
  fails (EISDIR, eio_save ("dir/", "x", 1, 0, 0, KEEP));
  fails (EISDIR, eio_save (".", "x", 1, 0, 0, KEEP));
  fails (EISDIR, eio_save ("/", "x", 1, 0, 0, KEEP));
  fails (ENOENT, eio_save ("", "x", 1, 0, 0, KEEP));
  fails (EINVAL, eio_save ("fifo", "x", 1, 0, 0, KEEP));
  fails (EINVAL, eio_save ("/dev/null", "x", 1, 0, 0, KEEP));
  fails (ENOENT, eio_save ("missing/x", "x", 1, 0, 0, KEEP));
  fails (ENOTDIR, eio_save ("file/x", "x", 1, 0, 0, KEEP));
  fails (EINVAL, eio_save ("file", "x", 1, 0, 2, KEEP));
  fails (EINVAL, eio_save ("file", "x", 1, 010000, 0, KEEP));
  expect_file ("file", "0123456789");
  ck_assert_int_eq (count_names ("."), 4);
}
END_TEST

START_TEST (save_leaves_nothing_behind)
{
  static const struct
  {
    int call, error, first;
  } steps[] = {
    { C_openat, EMFILE, 0 },  { C_created, EDQUOT, 0 }, { C_fstat, EIO, 0 },
    { C_fstat, EIO, 1 },      { C_write, ENOSPC, 0 },   { C_write, ENOSPC, 1 },
    { C_fsync, EIO, 0 },      { C_close, EDQUOT, 0 },   { C_renameat, EIO, 0 },
    { C_fstatat, EACCES, 0 }, { C_fchmod, EPERM, 0 },
  };
  int i, fds = count_fds ();

  ck_assert_int_eq (chmod ("file", 0604), 0);
  for (i = 0; i < LENGTH (steps); ++i)
    {
      arm (steps[i].call, steps[i].error, steps[i].first, 1);
      most = 2;
      fails (steps[i].error, eio_save ("file", "abcd", 4, 0, EIO_SAVE_SYNC,
                                       KEEP));
      ck_assert_int_gt (faults[steps[i].call].calls, steps[i].first);
      disarm_all ();
      expect_file ("file", "0123456789");
      ck_assert_int_eq (count_names ("."), 3);
      ck_assert_int_eq (count_fds (), fds);
    }

  stuck = 1;
  fails (ENOSPC, eio_save ("file", "abcd", 4, 0, 0, KEEP));
  disarm_all ();
  ck_assert_int_eq (count_names ("."), 3);

  /* That it cannot be brought to the disk is told, but it is there. */
  arm (C_fsync, EIO, 1, 1);
  fails (EIO, eio_save ("file", "abcd", 4, 0, EIO_SAVE_SYNC, KEEP));
  expect_file ("file", "abcd");
  arm (C_fsync, EINVAL, 1, 1);
  gives (0, eio_save ("file", "efgh", 4, 0, EIO_SAVE_SYNC, KEEP));
  ck_assert_int_eq (calls_of (C_fsync), 2);
  arm (C_fsync, EIO, 0, FOR_EVER);
  gives (0, eio_save ("file", "ijkl", 4, 0, 0, KEEP));
}
END_TEST

START_TEST (save_goes_on_after_interruptions)
{
  most = 3;
  arm (C_write, EINTR, 1, 2);
  arm (C_fsync, EINTR, 0, 2);
  gives (0, eio_save ("file", "abcdefghij", 10, 0, EIO_SAVE_SYNC, KEEP));
  expect_file ("file", "abcdefghij");
  ck_assert_int_eq (calls_of (C_fsync), 4);
  arm (C_close, EINTR, 0, 1);
  gives (0, eio_save ("file", "abc", 3, 0, 0, KEEP));
  expect_file ("file", "abc");
}
END_TEST

START_TEST (save_stops_when_cancelled)
{
  int fds;

  rest ();
  fds = count_fds ();
  most = 2;
  cancelled_at (C_write, 2, eio_save ("file", "abcdef", 6, 0, 0, TAIL));
  ck_assert_int_eq (calls_of (C_write), 2);
  cancelled_at (C_fsync, 1, eio_save ("file", "abcdef", 6, 0, EIO_SAVE_SYNC,
                                      TAIL));
  expect_file ("file", "0123456789");
  ck_assert_int_eq (count_names ("."), 3);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (save_keeps_the_owner)
{
  struct stat st;

  if (geteuid ())
    return;
  ck_assert_int_eq (chown ("file", 1001, 1002), 0);
  ck_assert_int_eq (chmod ("file", 06755), 0);
  gives (0, eio_save ("file", "abc", 3, 0, 0, KEEP));
  st = status_of ("file");
  ck_assert_uint_eq (st.st_uid, 1001);
  ck_assert_uint_eq (st.st_gid, 1002);
  ck_assert_uint_eq (mode_of ("file"), 06755);

  /* Or else nobody gets its rights. */
  arm (C_fchown, EPERM, 0, 1);
  gives (0, eio_save ("file", "abc", 3, 0, 0, KEEP));
  ck_assert_uint_eq (status_of ("file").st_gid, 1002);
  ck_assert_uint_eq (mode_of ("file"), 02755);
  ck_assert_int_eq (chown ("file", 1001, 1002), 0);
  ck_assert_int_eq (chmod ("file", 06755), 0);
  arm (C_fchown, EPERM, 0, 2);
  gives (0, eio_save ("file", "abc", 3, 0, 0, KEEP));
  ck_assert_uint_eq (mode_of ("file"), 0755);
}
END_TEST

static void
try_save (void)
{
  gives (0, eio_save ("open/x", "abc", 3, 0, EIO_SAVE_SYNC, KEEP));
  gives (0, eio_save ("open/x", "def", 3, 0, EIO_SAVE_SYNC, KEEP));
  expect_file ("open/x", "def");
  ck_assert_int_eq (count_names ("open"), 1);
  if (geteuid ())
    {
      ck_assert_int_eq (mkdir ("open/r", 0500), 0);
      fails (EACCES, eio_save ("open/r/x", "abc", 3, 0, 0, KEEP));
      rmdir ("open/r");
      ck_assert_int_eq (chmod ("open/x", 0200), 0);
      gives (0, eio_pathsync ("open/x", KEEP)); /* writable is enough */
      ck_assert_int_eq (chmod ("open/x", 0), 0);
      fails (EACCES, eio_pathsync ("open/x", KEEP));
      ck_assert_int_eq (mkdir ("open/d", 0300), 0);
      fails (EACCES, eio_pathsync ("open/d", KEEP));
      gives (0, eio_save ("open/d/x", "abc", 3, 0, 0, KEEP));
      fails (EACCES, eio_save ("open/d/x", "abc", 3, 0, EIO_SAVE_SYNC, KEEP));
      unlink ("open/d/x");
      rmdir ("open/d");
    }
}

START_TEST (users_save_where_they_may)
{
  as_user (try_save);
}
END_TEST

START_TEST (pathsync_syncs)
{
  int fds = count_fds ();

  ck_assert_int_eq (mkfifo ("fifo", 0600), 0);
  arm (C_fsync, EINTR, 0, 2);
  gives (0, eio_pathsync ("dir", KEEP));
  ck_assert_int_eq (calls_of (C_fsync), 3);
  gives (0, eio_pathsync ("file", KEEP));
  gives (0, eio_pathsync (".", KEEP));
  fails (EINVAL, eio_pathsync ("fifo", KEEP)); /* does not wait for writers */
  ck_assert_int_eq (mknod ("socket", S_IFSOCK | 0600, 0), 0);
  fails (EINVAL, eio_pathsync ("socket", KEEP));
  fails (ENOENT, eio_pathsync ("missing", KEEP));
  arm (C_fsync, EIO, 0, 1);
  fails (EIO, eio_pathsync ("dir", KEEP));
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/*****************************************************************************
 * Copying and moving                                                        *
 *****************************************************************************/

enum { LARGE = 300000 };
static char large[LARGE + 1];

static void
make_large (const char *path)
{
  int i;

  for (i = 0; i < LARGE; ++i)
    large[i] = "abcdefghijklmnopqrstuvwxyz"[i * 7 % 26];
  write_file (path, large, LARGE);
}

static void
expect_large (const char *path, size_t size)
{
  static char buf[2 * LARGE];
  int fd = open (path, O_RDONLY);

  ck_assert_msg (fd >= 0, "%s: %s", path, strerror (errno));
  ck_assert_int_eq (read (fd, buf, sizeof buf), (ssize_t)size);
  close (fd);
  ck_assert_int_eq (memcmp (buf, large, size < LARGE ? size : LARGE), 0);
}

/* How the kernel does not copy: 0 anything goes, 1 not by copy_file_range, 2
 * by hand, 3 by hand in small pieces and with interruptions. */
static void
refuse_ways (int ways)
{
  static const int errors[] = { 0, EXDEV, ENOSYS, EINVAL };

  if (ways > 0)
    arm (C_copy_file_range, errors[ways], 0, FOR_EVER);
  if (ways > 1)
    arm (C_sendfile, EINVAL, 0, FOR_EVER);
  if (ways > 2)
    {
      most = 7000;
      arm (C_pread, EINTR, 3, 2);
      arm (C_write, EINTR, 5, 2);
    }
}

START_TEST (copies_are_complete)
{
  int fds = count_fds ();

  umask (0);
  make_large ("large");
  ck_assert_int_eq (chmod ("large", 0654), 0);
  refuse_ways (_i);
  gives (0, eio_copy ("large", "new", 0, KEEP));
  expect_large ("new", LARGE);
  ck_assert_uint_eq (mode_of ("new"), 0654);
  write_file ("long", large, LARGE);
  gives (0, eio_copy ("file", "long", EIO_COPY_SYNC, KEEP));
  expect_file ("long", "0123456789");
  gives (0, eio_copy ("link", "dir/new", EIO_COPY_EXCL, KEEP));
  expect_file ("dir/new", "0123456789");
  write_file ("empty", "", 0);
  gives (0, eio_copy ("empty", "long", EIO_COPY_ARCHIVE, KEEP));
  expect_file ("long", "");
  gives (0, eio_copy ("/proc/self/status", "long", EIO_COPY_TIMES, KEEP));
  ck_assert_int_gt (status_of ("long").st_size, 100);
  ck_assert_int_eq (symlink ("nowhere", "dangling"), 0);
  gives (0, eio_copy ("file", "dangling", 0, KEEP));
  expect_file ("nowhere", "0123456789");
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (missing_calls_are_remembered)
{
  static const int refusals[] = { ENOSYS, EPERM, EINVAL };

  arm (C_copy_file_range, refusals[_i], 0, FOR_EVER);
  gives (0, eio_copy ("file", "a", 0, KEEP));
  arm (C_copy_file_range, 0, 0, 0);
  gives (0, eio_copy ("file", "b", 0, KEEP));
  ck_assert_int_eq (calls_of (C_copy_file_range), 0);
  expect_file ("b", "0123456789");
}
END_TEST

START_TEST (copies_share_blocks_where_they_can)
{
  struct eio_progress progress;

  make_large ("large");
  cloning = 1;
  gives (0, eio_copy ("large", "new", EIO_COPY_CLONE_ONLY, KEEP));
  ck_assert_int_eq (status_of ("new").st_size, 0); /* nobody copied */
  eio_get_progress (&got, &progress);
  ck_assert_uint_eq (progress.bytes_done, LARGE);
  ck_assert_uint_eq (progress.bytes_total, LARGE);
  cloning = 0;
  arm (C_ioctl, _i ? ENOTTY : EOPNOTSUPP, 0, FOR_EVER);
  fails (EOPNOTSUPP, eio_copy ("large", "new2", EIO_COPY_CLONE_ONLY, KEEP));
  ck_assert (!exists ("new2"));
  gives (0, eio_copy ("large", "new2", 0, KEEP));
  expect_large ("new2", LARGE);
}
END_TEST

START_TEST (copies_have_what_was_asked_for)
{
  const struct timespec t[2] = { { 1000, 123456789 }, { 2000, 987654321 } };
  char value[10] = "";
  struct stat st;
  int xattr;

  xattr = !setxattr ("file", "user.a", "value", 5, 0)
          && !setxattr ("file", "user.b", "", 0, 0);
  ck_assert_int_eq (chmod ("file", 0444), 0);
  ck_assert_int_eq (utimensat (AT_FDCWD, "file", t, 0), 0);
  gives (0, eio_copy ("file", "plain", 0, KEEP));
  st = status_of ("plain");
  ck_assert_int_ge (st.st_mtim.tv_sec, 3000);
  if (xattr)
    ck_assert_int_eq (getxattr ("plain", "user.a", value, 10), -1);
  ck_assert_int_eq (utimensat (AT_FDCWD, "file", t, 0), 0);
  gives (0, eio_copy ("file", "new", EIO_COPY_ARCHIVE, KEEP));
  expect_times ("new", 1000, 123456789, 2000, 987654321);
  ck_assert_uint_eq (mode_of ("new"), 0444);
  if (xattr)
    {
      ck_assert_int_eq (getxattr ("new", "user.a", value, 10), 5);
      ck_assert_str_eq (value, "value");
      ck_assert_int_eq (getxattr ("new", "user.b", value, 10), 0);
    }
}
END_TEST

/* One that was removed, or has grown, between two calls; and those that the
 * target's file system has no room for. */
START_TEST (attributes_are_copied_as_far_as_they_can)
{
  static const struct
  {
    int call, error, first;
  } steps[] = {
    { C_fgetxattr, ENODATA, 0 }, { C_fgetxattr, ENODATA, 1 },
    { C_fgetxattr, ERANGE, 1 },  { C_fsetxattr, ENOSPC, 0 },
    { C_fsetxattr, E2BIG, 0 },
  };
  char value[8];

  if (setxattr ("file", "user.a", "value", 5, 0))
    return;
  arm (steps[_i].call, steps[_i].error, steps[_i].first, 1);
  gives (0, eio_copy ("file", "new", EIO_COPY_XATTR, KEEP));
  ck_assert_int_gt (faults[steps[_i].call].calls, steps[_i].first);
  ck_assert_int_eq (getxattr ("new", "user.a", value, sizeof value),
                    steps[_i].error == ERANGE ? 5 : -1);
}
END_TEST

START_TEST (copies_give_no_rights_to_others)
{
  if (geteuid ())
    return;
  ck_assert_int_eq (chown ("file", 1001, 1002), 0);
  ck_assert_int_eq (chmod ("file", 06755), 0);
  gives (0, eio_copy ("file", "new", 0, KEEP));
  ck_assert_uint_eq (mode_of ("new"), 0755);
  ck_assert_uint_eq (status_of ("new").st_uid, 0);
  gives (0, eio_copy ("file", "new", EIO_COPY_OWNER, KEEP));
  ck_assert_uint_eq (mode_of ("new"), 06755);
  ck_assert_uint_eq (status_of ("new").st_uid, 1001);
  ck_assert_uint_eq (status_of ("new").st_gid, 1002);
  arm (C_fchown, EPERM, 0, 2);
  gives (0, eio_copy ("file", "new2", EIO_COPY_OWNER, KEEP));
  ck_assert_uint_eq (mode_of ("new2"), 0755);
}
END_TEST

START_TEST (holes_stay_holes)
{
  int fd = open ("sparse", O_RDWR | O_CREAT, 0600);

  ck_assert_int_eq (pwrite (fd, "x", 1, 10 << 20), 1);
  ck_assert_int_eq (pwrite (fd, "y", 1, 20 << 20), 1);
  ck_assert_int_eq (ftruncate (fd, 30 << 20), 0);
  close (fd);
  refuse_ways (_i);
  gives (0, eio_copy ("sparse", "new", 0, KEEP));
  ck_assert_int_eq (status_of ("new").st_size, 30 << 20);
  ck_assert_int_le (status_of ("new").st_blocks, 200);
  fd = open ("new", O_RDONLY);
  ck_assert_int_eq (lseek (fd, 0, SEEK_DATA) & ~0xffff, (10 << 20) & ~0xffff);
  ck_assert_int_eq (pread (fd, large, 1, 20 << 20), 1);
  ck_assert_int_eq (large[0], 'y');
  close (fd);

  /* Where they cannot be found, zeroes are as good. */
  ck_assert_int_eq (truncate ("sparse", 11 << 20), 0);
  arm (C_lseek, EINVAL, 0, 1);
  gives (0, eio_copy ("sparse", "new", 0, KEEP));
  ck_assert_int_eq (status_of ("new").st_size, 11 << 20);
  fd = open ("new", O_RDONLY);
  ck_assert_int_eq (pread (fd, large, 1, 10 << 20), 1);
  ck_assert_int_eq (large[0], 'x');
  close (fd);
}
END_TEST

static void
shrink_large (void)
{
  ck_assert_int_eq (truncate ("large", 100000), 0);
}

static void
get_stuck_or_not (void)
{
  stuck ^= 1;
}

/* As some file systems do: in the middle, the kernel says that this is all. */
START_TEST (copies_go_on_by_hand)
{
  make_large ("large");
  refuse_ways (1);
  most = 70000;
  event = get_stuck_or_not;
  event_at[C_sendfile] = 2;
  event_at[C_pread] = 1;
  gives (0, eio_copy ("large", "new", 0, KEEP));
  ck_assert_int_ge (calls_of (C_sendfile), 2);
  expect_large ("new", LARGE);
}
END_TEST

/* Not by hand once more, where the kernel has moved something. */
START_TEST (end_of_a_file_is_believed)
{
  int in, out;

  make_large ("large");
  in = open ("large", O_RDONLY);
  out = open ("new", O_WRONLY | O_CREAT, 0600);
  gives (LARGE, eio_sendfile (out, in, 0, LARGE + 1, KEEP));
  ck_assert_int_eq (calls_of (C_sendfile), 2);
  ck_assert_int_eq (calls_of (C_pread), 0);
  close (in);
  close (out);
  expect_large ("new", LARGE);
}
END_TEST

static void
grow_large (void)
{
  int fd = open ("large", O_WRONLY | O_APPEND);
  ck_assert_int_eq (write (fd, large, 5000), 5000);
  close (fd);
}

START_TEST (sources_may_change_meanwhile)
{
  make_large ("large");
  refuse_ways (2);
  untold = _i > 1;
  event = _i % 2 ? grow_large : shrink_large;
  arm (C_pread, 0, 0, 0);
  event_at[C_pread] = 2;
  gives (0, eio_copy ("large", "new", 0, KEEP));
  expect_large ("new", _i % 2 ? LARGE : 100000);
}
END_TEST

/* Behind all data, where the file system tells of holes. */
START_TEST (sources_may_become_shorter_than_their_last_hole)
{
  make_large ("large");
  ck_assert_int_eq (truncate ("large", 10 * LARGE), 0);
  event = shrink_large;
  event_at[C_lseek] = 4;
  gives (0, eio_copy ("large", "new", 0, KEEP));
  if (calls_of (C_lseek) > 3)
    expect_large ("new", 100000);
}
END_TEST

START_TEST (sources_may_grow_behind_their_last_hole)
{
  make_large ("large");
  ck_assert_int_eq (truncate ("large", 1 << 24), 0);
  event = grow_large;
  event_at[C_lseek] = 4;
  gives (0, eio_copy ("large", "new", 0, KEEP));
  ck_assert_int_eq (status_of ("new").st_size, 1 << 24);
  ck_assert_int_eq (truncate ("new", LARGE), 0);
  expect_large ("new", LARGE);
}
END_TEST

START_TEST (only_files_are_copied)
{
  ck_assert_int_eq (mkfifo ("fifo", 0600), 0);
  ck_assert_int_eq (link ("file", "hard"), 0);
  fails (EISDIR, eio_copy ("dir", "new", 0, KEEP));
  fails (EISDIR, eio_copy ("file", "dir", 0, KEEP));
  fails (EINVAL, eio_copy ("fifo", "new", 0, KEEP));
  fails (EINVAL, eio_copy ("/dev/null", "new", 0, KEEP));
  fails (EINVAL, eio_copy ("file", "/dev/null", 0, KEEP));
  fails (EINVAL, eio_copy ("file", "file", 0, KEEP));
  fails (EINVAL, eio_copy ("file", "hard", 0, KEEP));
  fails (EINVAL, eio_copy ("file", "link", 0, KEEP));
  fails (EEXIST, eio_copy ("file", "hard", EIO_COPY_EXCL, KEEP));
  fails (ENXIO, eio_copy ("file", "fifo", 0, KEEP));
  fails (EINVAL, eio_copy ("file", "new", 64, KEEP));
  fails (EINVAL, eio_move ("file", "new", 64, KEEP));
  fails (ENOENT, eio_copy ("file", "missing/new", 0, KEEP));
  expect_file ("file", "0123456789");
  ck_assert (!exists ("new") && exists ("/dev/null"));
}
END_TEST

/* The status of what was synced first. */
static void
expect_synced_file (void)
{
  ck_assert_int_eq (synced[0].st.st_size, 10);
  ck_assert_uint_eq (synced[0].st.st_mode & 07777, 0604);
  ck_assert_int_eq (synced[0].st.st_mtime, 2000);
}

/* The nth is that of a directory. */
static void
expect_synced_dir (int n, const char *path)
{
  ck_assert_uint_eq (synced[n].st.st_ino, status_of (path).st_ino);
}

/* So that no crash leaves less than one whole file. */
START_TEST (all_is_synced_in_order)
{
  const struct timespec t[2] = { { 1000, 0 }, { 2000, 0 } };

  ck_assert_int_eq (chmod ("file", 0604), 0);
  ck_assert_int_eq (utimensat (AT_FDCWD, "file", t, 0), 0);
  gives (0, eio_copy ("file", "new", EIO_COPY_ARCHIVE | EIO_COPY_SYNC, KEEP));
  ck_assert_int_eq (calls_of (C_fsync), 1);
  expect_synced_file ();

  disarm_all ();
  gives (0, eio_move ("new", "dir/new", EIO_COPY_SYNC, KEEP));
  ck_assert_int_eq (calls_of (C_fsync), 2);
  expect_synced_dir (0, "dir");
  expect_synced_dir (1, ".");

  disarm_all ();
  arm (C_renameat, EXDEV, 0, 1); /* across file systems */
  gives (0, eio_move ("file", "dir/file", EIO_COPY_SYNC, KEEP));
  ck_assert_int_eq (calls_of (C_fsync), 3);
  expect_synced_file ();
  expect_synced_dir (1, "dir");
  ck_assert_int_eq (synced[1].has_file, 1);
  expect_synced_dir (2, ".");
  ck_assert_int_eq (synced[2].has_file, 0);
}
END_TEST

/* They could not be written any more once the mode forbids that. */
static void
expect_attributes (void)
{
  char value[4];

  ck_assert_int_eq (getxattr ("new", "user.a", value, sizeof value), 1);
}

START_TEST (attributes_are_copied_before_the_mode)
{
  if (setxattr ("file", "user.a", "1", 1, 0))
    return;
  ck_assert_int_eq (chmod ("file", 0400), 0);
  event = expect_attributes;
  event_at[C_fchmod] = 1;
  gives (0, eio_copy ("file", "new", EIO_COPY_ARCHIVE, KEEP));
  ck_assert_int_eq (calls_of (C_fchmod), 1);
}
END_TEST

START_TEST (partial_copies_are_removed)
{
  static const struct
  {
    int call, error, first;
  } steps[] = {
    { C_pread, EIO, 0 },     { C_pread, EIO, 2 },     { C_write, ENOSPC, 0 },
    { C_write, ENOSPC, 2 }, { C_fsync, EIO, 0 },     { C_close, EDQUOT, 0 },
    { C_fchmod, EIO, 0 },    { C_ftruncate, EIO, 0 }, { C_fstat, EIO, 1 },
    { C_fstat, EIO, 2 },     { C_created, EDQUOT, 0 },
  };
  int fds = count_fds (), i;

  make_large ("large");
  ck_assert_int_eq (chmod ("large", 0640), 0);
  for (i = 0; i < LENGTH (steps); ++i)
    {
      disarm_all ();
      refuse_ways (2);
      arm (steps[i].call, steps[i].error, steps[i].first, 1);
      fails (steps[i].error, eio_copy ("large", "new", EIO_COPY_SYNC, KEEP));
      ck_assert_int_gt (faults[steps[i].call].calls, steps[i].first);
      ck_assert_msg (!exists ("new"), "step %d", i);
      ck_assert_int_eq (count_fds (), fds);
    }
  disarm_all ();

  /* Through a link, only what it leads to is gone. */
  refuse_ways (2);
  arm (C_write, ENOSPC, 2, 1);
  fails (ENOSPC, eio_copy ("large", "link", 0, KEEP));
  ck_assert (exists ("link"));
  expect_file ("file", "");
}
END_TEST

START_TEST (copies_stop_when_cancelled)
{
  int fds;

  make_large ("large");
  rest ();
  fds = count_fds ();
  refuse_ways (2);
  cancelled_at (C_pread, 2, eio_copy ("large", "new", 0, TAIL));
  ck_assert_int_eq (calls_of (C_pread), 2);
  cancelled_at (C_fsync, 1, eio_copy ("large", "new", EIO_COPY_SYNC, TAIL));
  ck_assert (!exists ("new"));
  arm (C_renameat, EXDEV, 0, 1);
  cancelled_at (C_pread, 2, eio_move ("large", "new", 0, TAIL));
  ck_assert (!exists ("new"));
  ck_assert_int_eq (count_names ("."), 4);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* How far a request is when it makes the nth call, from 1. */
static eio_req watched;
static struct eio_progress far;

static void
look (void)
{
  ck_assert_int_eq (eio_get_progress (&watched, &far), 0);
}

static void
expect_progress (eio_req req, int call, int n, uint64_t done, uint64_t total)
{
  watched = req;
  watched.finish = keep;
  watched.eio_done = watched.eio_total = total; /* of an earlier submission */
  memset (&far, 0xff, sizeof far);
  arm (call, 0, 0, 0);
  event_at[call] = n;
  event = look;
  eio_submit (&watched);
  host_drain ();
  event_at[call] = 0;
  ck_assert_int_ge (got.result, 0);
  ck_assert_msg (far.bytes_done == done && far.bytes_total == total,
                 "%s: %llu of %llu", eio_strtype (req.type),
                 (unsigned long long)far.bytes_done,
                 (unsigned long long)far.bytes_total);
  ck_assert_uint_eq (far.entries_done + far.entries_total, 0);
  look ();
  ck_assert_uint_eq (far.bytes_done, total);
  if (got.flags & EIO_FLAG_PTR2_FREE)
    free (got.ptr2);
  got.flags = 0;
}

START_TEST (requests_tell_how_far_they_are)
{
  enum { CHUNK = 65536 };
  eio_req req = { .type = EIO_COPY, .ptr1 = "large", .ptr2 = "new" };
  struct stat st;
  int in, out;

  make_large ("large");
  ck_assert_int_eq (chmod ("large", 0640), 0);
  expect_progress (req, C_fchmod, 1, LARGE, LARGE);
  refuse_ways (2);
  expect_progress (req, C_pread, 3, 2 * CHUNK, LARGE);
  req.type = EIO_MOVE;
  arm (C_renameat, EXDEV, 0, 1);
  expect_progress (req, C_pread, 3, 2 * CHUNK, LARGE);
  expect_progress ((eio_req){ .type = EIO_LOAD, .ptr1 = "new" }, C_pread, 2,
                   LARGE, LARGE);
  req = (eio_req){ .type = EIO_SAVE, .ptr1 = "large", .ptr2 = large,
                   .size = LARGE };
  most = 1000;
  expect_progress (req, C_write, 3, 2000, LARGE);
  most = 0;

  in = open ("large", O_RDWR);
  out = open ("new", O_RDWR | O_TRUNC);
  ck_assert (in >= 0 && out >= 0);
  req = (eio_req){ .type = EIO_COPY_RANGE, .int1 = in, .int2 = out,
                   .size = (size_t)-1 / 2 };
  expect_progress (req, C_pread, 2, CHUNK, LARGE);
  req = (eio_req){ .type = EIO_SENDFILE, .int1 = out, .int2 = in,
                   .size = LARGE };
  expect_progress (req, C_pread, 2, CHUNK, LARGE);
  most = 1000;
  req = (eio_req){ .type = EIO_READ_ALL, .int1 = in, .ptr2 = large,
                   .size = LARGE };
  expect_progress (req, C_pread, 3, 2000, LARGE);
  req.type = EIO_WRITE_ALL;
  req.offs = -1;
  expect_progress (req, C_write, 3, 2000, LARGE);
  close (in);
  close (out);
  disarm_all ();

  /* Holes count; what has nothing to tell has zeros. */
  ck_assert_int_eq (truncate ("large", 10 * LARGE), 0);
  refuse_ways (2);
  req = (eio_req){ .type = EIO_COPY, .ptr1 = "large", .ptr2 = "new" };
  expect_progress (req, C_fchmod, 1, 10 * LARGE, 10 * LARGE);
  st = status_of ("new");
  ck_assert_int_eq (st.st_size, 10 * LARGE);
  ck_assert_int_lt (st.st_blocks * 512, 2 * LARGE);
  req.type = EIO_MOVE;
  arm (C_renameat, EXDEV, 0, 1);
  expect_progress (req, C_fchmod, 1, 10 * LARGE, 10 * LARGE);
  expect_progress ((eio_req){ .type = EIO_MKDIR, .ptr1 = "d", .int2 = 0700 },
                   C_mkdirat, 1, 0, 0);
}
END_TEST

/* What it told when it was submitted before is over. */
START_TEST (progress_begins_anew)
{
  eio_req req = { .type = EIO_COPY, .ptr1 = "missing", .ptr2 = "new",
                  .eio_done = 7, .eio_total = 9 };
  struct eio_progress progress;

  fails (ENOENT, submit (req));
  eio_get_progress (&got, &progress);
  ck_assert_uint_eq (progress.bytes_done + progress.bytes_total, 0);
  req.type = EIO_MOVE;
  req.ptr1 = "file";
  gives (0, submit (req));
  eio_get_progress (&got, &progress);
  ck_assert_uint_eq (progress.bytes_done + progress.bytes_total, 0);
}
END_TEST

/* Those before data and between them. */
START_TEST (holes_count_as_progress)
{
  struct eio_progress progress;
  int fd = open ("sparse", O_RDWR | O_CREAT, 0600);

  ck_assert_int_eq (pwrite (fd, "x", 1, 10 << 20), 1);
  ck_assert_int_eq (pwrite (fd, "x", 1, 20 << 20), 1);
  close (fd);
  gives (0, eio_copy ("sparse", "new", 0, KEEP));
  eio_get_progress (&got, &progress);
  ck_assert_uint_eq (progress.bytes_done, (20 << 20) + 1);
  ck_assert_uint_eq (progress.bytes_total, (20 << 20) + 1);
}
END_TEST

static void
give_up (void)
{
  watched.cancelled = 1;
}

START_TEST (descriptors_are_copied_at_once)
{
  const int all = EIO_COPY_ARCHIVE | EIO_COPY_SYNC;
  struct timespec times[2] = { { 1000, 123456789 }, { 2000, 987654321 } };
  int in, out, dir, fds = count_fds ();
  uint64_t done = 7;
  struct stat st;

  make_large ("large");
  write_file ("new", "", 0);
  ck_assert_int_eq (mkdir ("dir2", 0700), 0);
  in = open ("large", O_RDONLY);
  out = open ("new", O_WRONLY);
  dir = open ("dir2", O_RDONLY);
  ck_assert (in >= 0 && out >= 0 && dir >= 0);

  st = status_of ("large");
  st.st_mode = S_IFREG | 0604;
  st.st_atim = times[0];
  st.st_mtim = times[1];
  st.st_size = 5; /* that is not for it to say */
  ck_assert_int_eq (eio_copy_fd_sync (in, out, &st, all, 0, &done), 0);
  ck_assert_uint_eq (done, 7 + LARGE);
  ck_assert_uint_eq (mode_of ("new"), 0604);
  expect_times ("new", 1000, 123456789, 2000, 987654321);
  expect_large ("new", LARGE);

  st.st_mode = 0705;
  close (out);
  out = open ("dir", O_RDONLY);
  ck_assert_int_eq (eio_copy_fd_sync (dir, out, &st, all, 0, 0), 0);
  ck_assert_uint_eq (mode_of ("dir"), 0705);
  expect_times ("dir", 1000, 123456789, 2000, 987654321);
  ck_assert_int_eq (eio_copy_fd_sync (dir, out, 0, 0, 0, 0), 0);
  ck_assert_uint_eq (mode_of ("dir"), 0700);

#define REFUSES(error, ...) \
  ck_assert (eio_copy_fd_sync (__VA_ARGS__) == -1 && errno == error)
  REFUSES (EINVAL, in, in, 0, 0, 0, 0);
  REFUSES (EINVAL, in, dir, 0, 0, 0, 0);
  REFUSES (EINVAL, dir, out, 0, 64, 0, 0);
  REFUSES (EBADF, -1, out, 0, 0, 0, 0);
  REFUSES (EBADF, in, -1, 0, 0, 0, 0);
  close (out);
  out = open ("new", O_WRONLY | O_TRUNC);
  event = give_up;
  memset (&watched, 0, sizeof watched);
  refuse_ways (2);
  event_at[C_pread] = 2;
  REFUSES (ECANCELED, in, out, 0, 0, &watched, 0);
#undef REFUSES
  ck_assert_int_eq (calls_of (C_pread), 2);
  close (in);
  close (out);
  close (dir);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

START_TEST (holes_are_not_counted)
{
  int in = open ("sparse", O_RDWR | O_CREAT, 0600);
  int out = open ("new", O_RDWR | O_CREAT, 0600);
  uint64_t done = 0;

  ck_assert_int_eq (pwrite (in, "x", 1, 10 << 20), 1);
  ck_assert_int_eq (ftruncate (in, 30 << 20), 0);
  ck_assert_int_eq (eio_copy_fd_sync (in, out, 0, 0, 0, &done), 0);
  ck_assert_int_eq (status_of ("new").st_size, 30 << 20);
  ck_assert_uint_ge (done, 1);
  ck_assert_uint_le (done, 200 * 512);
  close (in);
  close (out);
}
END_TEST

START_TEST (moves_are_renames)
{
  ino_t ino = status_of ("file").st_ino;

  write_file ("old", "", 0);
  gives (0, eio_move ("file", "old", EIO_COPY_SYNC, KEEP));
  ck_assert_uint_eq (status_of ("old").st_ino, ino);
  write_file ("file", "", 0);
  fails (EEXIST, eio_move ("old", "file", EIO_COPY_EXCL, KEEP));
  gives (0, eio_move ("old", "new", EIO_COPY_EXCL | EIO_COPY_SYNC, KEEP));
  ck_assert_int_eq (calls_of (C_fsync), 4);
  gives (0, eio_move ("dir", "dir2", 0, KEEP));
  fails (ENOENT, eio_move ("missing", "x", 0, KEEP));

  /* Without the flag of rename, by another name. */
  arm (C_renameat2, _i ? EINVAL : ENOSYS, 0, FOR_EVER);
  gives (0, eio_move ("new", "newer", EIO_COPY_EXCL, KEEP));
  ck_assert (!exists ("new"));
  fails (EEXIST, eio_move ("newer", "file", EIO_COPY_EXCL, KEEP));
  fails (_i ? EINVAL : ENOSYS, eio_move ("dir2", "dir3", EIO_COPY_EXCL, KEEP));
  arm (C_unlinkat, EACCES, 0, 1);
  fails (EACCES, eio_move ("newer", "new", EIO_COPY_EXCL, KEEP));
  ck_assert (exists ("newer") && !exists ("new"));
}
END_TEST

/* The next move is across file systems. */
static void
go_across (int flags)
{
  disarm_all ();
  arm (flags & EIO_COPY_EXCL ? C_renameat2 : C_renameat, EXDEV, 0, 1);
}

START_TEST (moves_go_across_file_systems)
{
  const struct timespec t[2] = { { 1000, 123456789 }, { 2000, 987654321 } };
  int flags = _i ? EIO_COPY_EXCL | EIO_COPY_SYNC : 0;
  int fds = count_fds ();
  uid_t owner;

  make_large ("large");
  ck_assert_int_eq (chmod ("large", 0604), 0);
  ck_assert_int_eq (utimensat (AT_FDCWD, "large", t, 0), 0);
  go_across (flags);
  gives (0, eio_move ("large", "dir/new", flags, KEEP));
  ck_assert_int_eq (calls_of (C_fsync), _i ? 3 : 0);
  ck_assert_uint_eq (mode_of ("dir/new"), 0604);
  expect_times ("dir/new", 1000, 123456789, 2000, 987654321);
  expect_large ("dir/new", LARGE);
  ck_assert (!exists ("large"));

  if (!geteuid ())
    ck_assert_int_eq (lchown ("link", NOBODY, NOBODY), 0);
  owner = status_of ("link").st_uid;
  go_across (flags);
  gives (0, eio_move ("link", "dir/link", flags, KEEP));
  ck_assert (S_ISLNK (status_of ("dir/link").st_mode));
  ck_assert_uint_eq (status_of ("dir/link").st_uid, owner);
  ck_assert (!exists ("link"));
  go_across (flags);
  if (_i)
    fails (EEXIST, eio_move ("file", "dir/new", flags, KEEP));
  else
    gives (0, eio_move ("file", "dir/new", flags, KEEP));
  ck_assert_int_eq (exists ("file"), _i);

  go_across (flags);
  fails (EISDIR, eio_move ("dir", "dir2", flags, KEEP));
  ck_assert_int_eq (mkfifo ("fifo", 0600), 0);
  go_across (flags);
  fails (EINVAL, eio_move ("fifo", "dir/fifo", flags, KEEP));
  ck_assert_int_eq (count_names ("dir"), 2);
  ck_assert_int_eq (count_fds (), fds);
}
END_TEST

/* They are not begun again, as they would find their own target. */
START_TEST (interrupted_moves_go_on)
{
  static const int calls[] = { C_fstatat, C_unlinkat, C_fsync };
  const int flags = EIO_COPY_EXCL | EIO_COPY_SYNC;
  int n;

  for (n = 0;; ++n)
    {
      write_file ("file", "0123456789", 10);
      go_across (flags);
      arm (calls[_i], EINTR, n, 1);
      gives (0, eio_move ("file", "dir/new", flags, KEEP));
      ck_assert (!exists ("file"));
      expect_file ("dir/new", "0123456789");
      ck_assert_int_eq (unlink ("dir/new"), 0);
      if (calls_of (calls[_i]) <= n)
        break;
    }
  ck_assert_int_gt (n, 0);
}
END_TEST

/* Where there is one at hand. */
START_TEST (moves_go_to_another_file_system)
{
  char name[] = "/dev/shm/eiotest.XXXXXX", path[100];
  struct stat st;

  if (!mkdtemp (name))
    return;
  snprintf (path, sizeof path, "%s/new", name);
  make_large ("large");
  st = status_of ("large");
  run (eio_move ("large", path, EIO_COPY_SYNC, KEEP));
  if (!got.result && status_of (path).st_dev != st.st_dev)
    {
      expect_large (path, LARGE);
      ck_assert (!exists ("large"));
      ck_assert_int_eq (status_of (path).st_mtim.tv_nsec, st.st_mtim.tv_nsec);
      gives (0, eio_copy (path, "large", EIO_COPY_ARCHIVE, KEEP));
      expect_large ("large", LARGE);
      fails (EXDEV, eio_copy (path, "new", EIO_COPY_CLONE_ONLY, KEEP));
      ck_assert (!exists ("new"));
    }
  unlink (path);
  ck_assert_int_eq (rmdir (name), 0);
}
END_TEST

START_TEST (moves_across_never_lose_the_source)
{
  static const struct
  {
    int call, error, first;
  } steps[] = {
    { C_openat, EMFILE, 0 },    { C_openat, EMFILE, 1 },
    { C_openat, EACCES, 2 },    { C_created, EDQUOT, 0 },
    { C_pread, EIO, 1 },        { C_write, ENOSPC, 2 },
    { C_fsync, EIO, 0 },        { C_close, EDQUOT, 0 },
    { C_fchmod, EIO, 0 },       { C_fstat, EIO, 0 },
    { C_fstat, EIO, 1 },        { C_fstat, EIO, 2 },
    { C_fstatat, EACCES, 0 },   { C_fstatat, EACCES, 1 },
  };
  int fds = count_fds (), i;

  make_large ("large");
  ck_assert_int_eq (chmod ("large", 0640), 0);
  for (i = 0; i < LENGTH (steps); ++i)
    {
      go_across (0);
      refuse_ways (2);
      arm (steps[i].call, steps[i].error, steps[i].first, 1);
      fails (steps[i].error, eio_move ("large", "file", EIO_COPY_SYNC, KEEP));
      ck_assert_int_gt (faults[steps[i].call].calls, steps[i].first);
      disarm_all ();
      expect_large ("large", LARGE);
      expect_file ("file", "0123456789");
      ck_assert_int_eq (count_names ("."), 4);
      ck_assert_int_eq (count_fds (), fds);
    }

  /* The new file is there, but cannot be given its name, */
  arm (C_renameat, EXDEV, 0, 2);
  fails (EXDEV, eio_move ("large", "file", 0, KEEP));
  expect_file ("file", "0123456789");
  ck_assert_int_eq (count_names ("."), 4);

  /* or the name cannot be brought to the disk. */
  go_across (0);
  arm (C_fsync, EIO, 1, 1);
  fails (EIO, eio_move ("large", "file", EIO_COPY_SYNC, KEEP));
  expect_large ("large", LARGE);
  expect_large ("file", LARGE);
}
END_TEST

/* The same number of bytes, written at another time. */
static void
change_time_of_large (long seconds, long ns)
{
  struct timespec times[2] = { { 0, UTIME_OMIT } };

  times[1] = status_of ("large").st_mtim;
  times[1].tv_sec -= seconds;
  times[1].tv_nsec = (times[1].tv_nsec + ns) % 1000000000;
  ck_assert_int_eq (utimensat (AT_FDCWD, "large", times, 0), 0);
}

static void
write_large_earlier (void)
{
  change_time_of_large (1, 0);
}

static void
write_large_now (void)
{
  change_time_of_large (0, 500000000);
}

static void
replace_large (void)
{
  ck_assert_int_eq (rename ("file", "large"), 0);
}

START_TEST (moves_across_leave_what_has_changed)
{
  static void (*const changes[]) (void)
    = { write_large_earlier, write_large_now, grow_large };
  int i;

  make_large ("large");
  for (i = 0; i < LENGTH (changes); ++i)
    {
      go_across (0);
      event = changes[i];
      event_at[C_copy_file_range] = 1;
      fails (EBUSY, eio_move ("large", "new", 0, KEEP));
      ck_assert (exists ("large") && !exists ("new"));
    }

  /* Another file has its name now. */
  go_across (0);
  event = replace_large;
  event_at[C_copy_file_range] = 1;
  gives (0, eio_move ("large", "new", 0, KEEP));
  expect_file ("large", "0123456789");
  ck_assert_int_eq (status_of ("new").st_size, LARGE + 5000);

  /* By another mount, it is the same file. */
  go_across (0);
  fails (EINVAL, eio_move ("large", "./large", 0, KEEP));
  expect_file ("large", "0123456789");
}
END_TEST

static void
try_copy (void)
{
  write_file ("open/mine", "abc", 3);
  gives (0, eio_copy ("/etc/passwd", "open/new", EIO_COPY_ARCHIVE, KEEP));
  if (!geteuid ())
    return;
  ck_assert_uint_eq (status_of ("open/new").st_uid, geteuid ());
  ck_assert_int_eq (chmod ("open/mine", 06755), 0);
  gives (0, eio_copy ("open/mine", "open/new2", EIO_COPY_ARCHIVE, KEEP));
  ck_assert_uint_eq (mode_of ("open/new2"), 06755);
  go_across (0);
  gives (0, eio_move ("open/mine", "open/moved", 0, KEEP));
  expect_file ("open/moved", "abc");
  fails (EACCES, eio_copy ("open/moved", "/eio-test", 0, KEEP));
  ck_assert_int_eq (chmod ("open/moved", 0), 0);
  fails (EACCES, eio_copy ("open/moved", "open/x", 0, KEEP));
  ck_assert (!exists ("open/x"));
}

START_TEST (users_copy_what_they_may)
{
  as_user (try_copy);
}
END_TEST

/*****************************************************************************
 * Memory                                                                    *
 *****************************************************************************/

START_TEST (batches_live_with_lack_of_memory)
{
  int n, entries = 0;
  eio_dir *dir;

  fill_dir (1000);
  dir = open_dir ("dir");
  for (n = 2; n < 6; ++n)
    {
      refused = asked = 0;
      fail_at = n;
      run (eio_readdir_next (dir, 1 << 20, EIO_READDIR_DENTS, KEEP));
      fail_at = 0;
      if (refused && got.result < 0)
        ck_assert_int_eq (got.errorno, ENOMEM);
      else
        entries += (int)got.result;
    }
  while (run (eio_readdir_next (dir, 1 << 20, EIO_READDIR_DENTS, KEEP)) > 0)
    entries += (int)got.result;
  ck_assert_int_eq (entries, 1003);
  gives (0, eio_closedir (dir, KEEP));
}
END_TEST

/*****************************************************************************
 * Twins                                                                     *
 *****************************************************************************/

static void
expect_copy (const void *copy, const void *data, size_t size)
{
  ck_assert_ptr_ne (copy, data);
  ck_assert_mem_eq (copy, data, size);
}

/* Which types had a wrapper. */
static char wrapped[128];

static void
expect_same_numbers (int line, const eio_req *a, const eio_req *b)
{
  ck_assert_msg (a && b, "line %d: null", line);
#define SAME(m) ck_assert_msg (a->m == b->m, "line %d: " #m " differs", line)
  SAME (type);
  SAME (offs);
  SAME (size);
  SAME (nv1);
  SAME (nv2);
  SAME (int1);
  SAME (int2);
  SAME (pri);
  SAME (finish);
  SAME (data);
#undef SAME
}

/* A wrapper's request, not executed.  What its pointers point to was copied,
 * but for a buffer. */
static void
expect_members (int line, eio_req *req, eio_req want)
{
  expect_same_numbers (line, req, &want);
  ck_assert_msg (req->wd == want.wd, "line %d: wd", line);
  ck_assert_msg (req->int3 == want.int3, "line %d: int3", line);
  ck_assert_pstr_eq (req->ptr1, want.ptr1);
  switch (want.type)
    {
    case EIO_SAVE: ck_assert_ptr_eq (req->ptr2, want.ptr2); break;
    case EIO_LOCK: expect_copy (req->ptr2, want.ptr2, sizeof (off_t)); break;
    case EIO_UTIMENS:
    case EIO_FUTIMENS:
      expect_copy (req->ptr2, want.ptr2, 2 * sizeof (struct timespec));
      break;
    default: ck_assert_pstr_eq (req->ptr2, want.ptr2); break;
    }
  wrapped[want.type] = 1;
  eio_cancel (req);
}

/* A wrapper's request and its twin's, not executed. */
static void
expect_twin (int line, eio_req *plain, eio_req *twin, eio_wd wd)
{
  expect_same_numbers (line, plain, twin);
  ck_assert_ptr_eq (plain->wd, EIO_CWD);
  ck_assert_msg (twin->wd == wd, "line %d: wd", line);
  ck_assert_str_eq (plain->ptr1, twin->ptr1);
  if (eio__ops[plain->type].needs & EIO__PATH2)
    {
      ck_assert_str_eq (plain->ptr2, twin->ptr2);
      ck_assert_int_eq (plain->int3, 0);
    }
  else
    ck_assert_int_eq (plain->int3, twin->int3);
  if (eio__ops[plain->type].needs & EIO__TIMES)
    ck_assert_int_eq (memcmp (plain->ptr2, twin->ptr2,
                              2 * sizeof (struct timespec)), 0);
  if (plain->type == EIO_SAVE || plain->type == EIO_SLURP)
    ck_assert_ptr_eq (plain->ptr2, twin->ptr2);
  eio_cancel (plain);
  eio_cancel (twin);
}

/* clang-format off */
#define END -3, keep, &got
#define ONE(name, ...) \
  expect_twin (__LINE__, eio_##name (__VA_ARGS__, END), \
               eio_##name##_at (wd, __VA_ARGS__, END), wd)
#define TWO(name, path, new_path, ...) \
  do { \
    eio_req *twin_ \
      = eio_##name##_at (wd, path, wd2, new_path __VA_ARGS__, END); \
    ck_assert_int_eq (twin_->int3, (long)wd2); \
    expect_twin (__LINE__, eio_##name (path, new_path __VA_ARGS__, END), \
                 twin_, twin_->type == EIO_SYMLINK ? wd2 : wd); \
  } while (0)

START_TEST (twins_differ_in_the_wd_only)
{
  const struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
  eio_wd wd = eio_wd_open_sync (EIO_CWD, "dir");
  eio_wd wd2 = eio_wd_open_sync (EIO_CWD, ".");
  char buf[10];

  eio_set_max_parallel (0);
  ONE (wd_open, "path");
  ONE (open, "path", O_RDWR, 0641);
  ONE (slurp, "path", buf, 10, 11);
  ONE (stat, "path");
  ONE (lstat, "path");
  ONE (statvfs, "path");
  ONE (truncate, "path", 12);
  ONE (chmod, "path", 0642);
  ONE (chown, "path", 13, 14);
  ONE (utime, "path", 15, 16);
  ONE (readlink, "path");
  ONE (realpath, "path");
  ONE (unlink, "path");
  ONE (rmdir, "path");
  ONE (mkdir, "path", 0643);
  ONE (mknod, "path", 0644, 17);
  ONE (readdir, "path", 18);
  TWO (link, "path", "new", );
  TWO (symlink, "path", "new", );
  TWO (rename, "path", "new", );

  ONE (access, "path", 3);
  ONE (lchown, "path", 19, 20);
  ONE (lutime, "path", 21, 22);
  ONE (utimens, "path", times, 23);
  ONE (lchmod, "path", 0645);
  TWO (rename2, "path", "new", , 24);
  TWO (link2, "path", "new", , 25);
  TWO (copy, "path", "new", , 34);
  TWO (move, "path", "new", , 35);
  ONE (unlink2, "path", 26);
  ONE (open2, "path", 27, 0646, 28);
  ONE (mkdtemp, "path");
  ONE (mkstemp, "path");
  ONE (tmpfile, "path", 29, 0647);
  ONE (linkfd, 30, "path");
  ONE (mkdirs, "path", 0650);
  ONE (opendir, "path");
  ONE (load, "path");
  ONE (save, "path", buf, 31, 0651, 32);
  ONE (pathsync, "path");
  ONE (scandir, "path", 33);
  resume (1);
  host_drain ();
  eio_wd_close_sync (wd);
  eio_wd_close_sync (wd2);
}
END_TEST
/* clang-format on */

/* clang-format off */
#define PUTS(req_type, call, ...) \
  expect_members (__LINE__, call, \
                  (eio_req){ .type = EIO_##req_type, .pri = -3, \
                             .finish = keep, .data = &got, __VA_ARGS__ })
#define P     .ptr1 = "path"
#define P_NEW .ptr1 = "path", .ptr2 = "new"

START_TEST (wrappers_put_parameters_into_their_members)
{
  struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
  eio_dir *dir = open_dir ("dir");
  off_t length = 5;
  char buf[10];
  int type;

  eio_set_max_parallel (0);
  PUTS (ACCESS, eio_access ("path", 3, END), P, .int2 = 3);
  PUTS (LCHOWN, eio_lchown ("path", 19, 20, END), P, .int2 = 19, .int3 = 20);
  PUTS (LUTIME, eio_lutime ("path", 21, 22, END), P, .nv1 = 21, .nv2 = 22);
  PUTS (UTIMENS, eio_utimens ("path", times, 23, END), P, .ptr2 = times,
        .int1 = 23);
  PUTS (FUTIMENS, eio_futimens (24, times, END), .ptr2 = times, .int1 = 24);
  PUTS (LCHMOD, eio_lchmod ("path", 0645, END), P, .int2 = 0645);
  PUTS (RENAME2, eio_rename2 ("path", "new", 25, END), P_NEW, .int2 = 25);
  PUTS (LINK2, eio_link2 ("path", "new", 26, END), P_NEW, .int1 = 26);
  PUTS (UNLINK2, eio_unlink2 ("path", 27, END), P, .int1 = 27);
  PUTS (OPEN2, eio_open2 ("path", 28, 0646, 29, END), P, .int1 = 28,
        .int2 = 0646, .int3 = 29);
  PUTS (MKDTEMP, eio_mkdtemp ("path", END), P);
  PUTS (MKSTEMP, eio_mkstemp ("path", END), P);
  PUTS (TMPFILE, eio_tmpfile ("path", 30, 0647, END), P, .int1 = 30,
        .int2 = 0647);
  PUTS (LINKFD, eio_linkfd (31, "path", END), P, .int1 = 31);
  PUTS (MKDIRS, eio_mkdirs ("path", 0650, END), P, .int2 = 0650);
  PUTS (OPENDIR, eio_opendir ("path", END), P);
  PUTS (READDIR_NEXT, eio_readdir_next (dir, 32, 33, END), .size = 32,
        .int1 = 33, .int3 = (long)dir);
  PUTS (CLOSEDIR, eio_closedir (dir, END), .int3 = (long)dir);
  PUTS (LOAD, eio_load ("path", END), P);
  PUTS (SAVE, eio_save ("path", buf, 34, 0651, 35, END), P, .ptr2 = buf,
        .size = 34, .int1 = 35, .int2 = 0651);
  PUTS (PATHSYNC, eio_pathsync ("path", END), P);
  PUTS (SCANDIR, eio_scandir ("path", 36, END), P, .int1 = 36);
  PUTS (COPY, eio_copy ("path", "new", 37, END), P_NEW, .int1 = 37);
  PUTS (MOVE, eio_move ("path", "new", 38, END), P_NEW, .int1 = 38);
  PUTS (FLOCK, eio_flock (39, 40, 41, END), .nv1 = 41, .int1 = 39, .int2 = 40);
  PUTS (LOCK, eio_lock (42, 43, 44, length, 45, END), .offs = 44,
        .ptr2 = &length, .nv1 = 45, .int1 = 42, .int2 = 43);
  for (type = EIO_ACCESS; type < EIO_REQ_TYPE_NUM; ++type)
    ck_assert_int_eq (wrapped[type], eio_strtype (type) != 0);
  resume (1);
  host_drain ();
}
END_TEST
/* clang-format on */

START_TEST (twins_look_paths_up_in_the_wd)
{
  eio_wd dir = eio_wd_open_sync (EIO_CWD, "dir");
  eio_wd base = eio_wd_open_sync (EIO_CWD, ".");

  ck_assert_int_eq (mkdir ("cwd", 0777), 0);
  ck_assert_int_eq (chdir ("cwd"), 0);
  gives (0, eio_rename_at (base, "file", dir, "moved", KEEP));
  gives (0, eio_link_at (dir, "moved", base, "file", KEEP));
  gives (0, eio_link_at (dir, "moved", EIO_CWD, "here", KEEP));
  gives (0, eio_symlink_at (EIO_CWD, "moved", dir, "sym", KEEP));
  gives (0, eio_symlink_at (dir, "x", EIO_CWD, "sym", KEEP));
  fails (ENOENT, eio_symlink_at (EIO_INVALID_WD, "x", EIO_CWD, "y", KEEP));
  fails (ENOENT, eio_symlink_at (EIO_CWD, "x", EIO_INVALID_WD, "y", KEEP));
  fails (ENOENT, eio_rename_at (EIO_INVALID_WD, "x", EIO_CWD, "y", KEEP));
  gives (0, eio_rename2_at (dir, "moved", EIO_CWD, "there",
                            EIO_RENAME_NOREPLACE, KEEP));
  gives (0, eio_link2_at (EIO_CWD, "there", dir, "linked", 0, KEEP));
  gives (0, eio_save_at (dir, "saved", "x", 1, 0, 0, KEEP));
  gives (1, eio_load_at (dir, "saved", KEEP));
  gives (0, eio_stat_at (dir, "linked", KEEP));
  ck_assert_int_eq (chdir (".."), 0);
  ck_assert (exists ("cwd/here") && exists ("cwd/sym"));
  ck_assert (exists ("cwd/there") && exists ("dir/sym"));
  ck_assert (exists ("dir/saved") && !exists ("cwd/saved"));
  eio_wd_close_sync (dir);
  eio_wd_close_sync (base);
}
END_TEST

/*****************************************************************************
 * The suite                                                                 *
 *****************************************************************************/

static void
add_all (TCase *tc)
{
  tcase_add_test (tc, null_paths_are_einval);
  tcase_add_test (tc, invalid_wds_are_enoent);
  tcase_add_test (tc, missing_files_are_enoent);
  tcase_add_test (tc, long_paths_are_enametoolong);
  tcase_add_test (tc, what_is_cancelled_before_does_nothing);
  tcase_add_test (tc, types_have_names_and_holes_are_unknown);
  tcase_add_test (tc, wrappers_put_parameters_into_their_members);
  tcase_add_test (tc, twins_differ_in_the_wd_only);
  tcase_add_test (tc, twins_look_paths_up_in_the_wd);
}

static void
add_status (TCase *tc)
{
  tcase_add_test (tc, access_is_that_of_the_user);
  tcase_add_test (tc, lchown_does_not_follow);
  tcase_add_test (tc, lutime_does_not_follow);
  tcase_add_test (tc, times_are_exact_to_the_nanosecond);
  tcase_add_test (tc, lchmod_does_not_follow);
}

static void
add_names (TCase *tc)
{
  tcase_add_test (tc, rename2_takes_flags);
  tcase_add_loop_test (tc, rename2_remembers_that_the_system_lacks_it, 0, 2);
  tcase_add_test (tc, rename2_keeps_an_eperm_of_the_file);
  tcase_add_test (tc, link2_and_unlink2_take_flags);
  tcase_add_test (tc, unlink2_removes_a_wd_itself);
  tcase_add_test (tc, open2_confines_the_lookup);
  tcase_add_loop_test (tc, open2_is_never_less_safe_than_asked_for, 0, 2);
  tcase_add_test (tc, open2_keeps_an_eperm_of_the_file);
  tcase_add_test (tc, files_opened_by_cancelled_requests_are_closed);
  tcase_add_loop_test (tc, cancelled_requests_tell_of_nothing, 0,
                       LENGTH (makers));
}

static void
add_temp (TCase *tc)
{
  tcase_add_test (tc, mkstemp_makes_a_file);
  tcase_add_test (tc, names_that_others_take_are_left_to_them);
  tcase_add_test (tc, mkdtemp_makes_a_directory);
  tcase_add_test (tc, templates_end_in_six_x);
  tcase_add_test (tc, names_that_are_taken_are_not_used);
  tcase_add_loop_test (tc, names_differ_without_a_source_of_chance, 0, 2);
  tcase_add_loop_test (tc, what_cancelled_requests_made_is_removed, 0, 2);
  tcase_add_test (tc, what_cancelled_requests_made_is_found_again);
  tcase_add_test (tc, hosts_that_are_told_own_the_file);
  tcase_add_test (tc, tmpfile_makes_a_file_without_a_name);
  tcase_add_loop_test (tc, tmpfile_removes_the_name_where_it_has_to, 0, 3);
  tcase_add_test (tc, linkfd_gives_a_name);
  tcase_add_test (tc, linkfd_does_without_proc);
}

static void
add_directories (TCase *tc)
{
  tcase_add_test (tc, mkdirs_makes_what_is_missing);
  tcase_add_test (tc, mkdirs_fails_where_it_cannot_go_on);
  tcase_add_test (tc, mkdirs_needs_rights_only_where_it_makes_something);
  tcase_add_test (tc, mkdirs_goes_on_whatever_the_umask);
  tcase_add_test (tc, mkdirs_lives_with_others);
  tcase_add_test (tc, mkdirs_stops_when_cancelled);
  tcase_add_loop_test (tc, directories_are_read_in_batches, 0, 5);
  tcase_add_test (tc, batch_may_be_full);
  tcase_add_test (tc, batches_are_sorted);
  tcase_add_test (tc, opendir_fails_as_it_should);
  tcase_add_test (tc, errors_in_a_batch_come_after_what_was_read);
  tcase_add_loop_test (tc, a_directory_is_read_by_one_at_a_time, 0, 2);
  tcase_add_loop_test (tc, a_directory_may_be_closed_before_it_is_read, 0, 3);
  tcase_add_test (tc, batches_stop_when_cancelled);
  tcase_add_test (tc, batches_live_with_lack_of_memory);
  tcase_add_test (tc, a_directory_of_a_bad_request_is_closed);
  tcase_add_loop_test (tc, scandir_puts_directories_first, 0, 2);
  tcase_add_test (tc, scandir_asks_only_where_it_has_to);
  tcase_add_test (tc, scandir_stops_when_cancelled);
}

static void
add_files (TCase *tc)
{
  tcase_add_test (tc, load_reads_all);
  tcase_add_loop_test (tc, save_replaces_a_file_at_once, 0, 2);
  tcase_add_test (tc, save_follows_links);
  tcase_add_test (tc, save_replaces_only_files);
  tcase_add_test (tc, save_leaves_nothing_behind);
  tcase_add_test (tc, save_goes_on_after_interruptions);
  tcase_add_test (tc, save_stops_when_cancelled);
  tcase_add_test (tc, save_keeps_the_owner);
  tcase_add_test (tc, users_save_where_they_may);
  tcase_add_test (tc, pathsync_syncs);
}

static void
add_copying (TCase *tc)
{
  tcase_add_loop_test (tc, copies_are_complete, 0, 4);
  tcase_add_loop_test (tc, missing_calls_are_remembered, 0, 3);
  tcase_add_loop_test (tc, copies_share_blocks_where_they_can, 0, 2);
  tcase_add_test (tc, copies_have_what_was_asked_for);
  tcase_add_loop_test (tc, attributes_are_copied_as_far_as_they_can, 0, 5);
  tcase_add_test (tc, copies_give_no_rights_to_others);
  tcase_add_loop_test (tc, holes_stay_holes, 0, 3);
  tcase_add_test (tc, copies_go_on_by_hand);
  tcase_add_test (tc, end_of_a_file_is_believed);
  tcase_add_loop_test (tc, sources_may_change_meanwhile, 0, 4);
  tcase_add_test (tc, sources_may_become_shorter_than_their_last_hole);
  tcase_add_test (tc, sources_may_grow_behind_their_last_hole);
  tcase_add_test (tc, only_files_are_copied);
  tcase_add_test (tc, all_is_synced_in_order);
  tcase_add_test (tc, attributes_are_copied_before_the_mode);
  tcase_add_test (tc, partial_copies_are_removed);
  tcase_add_test (tc, copies_stop_when_cancelled);
  tcase_add_test (tc, requests_tell_how_far_they_are);
  tcase_add_test (tc, progress_begins_anew);
  tcase_add_test (tc, holes_count_as_progress);
  tcase_add_test (tc, descriptors_are_copied_at_once);
  tcase_add_test (tc, holes_are_not_counted);
  tcase_add_loop_test (tc, moves_are_renames, 0, 2);
  tcase_add_loop_test (tc, moves_go_across_file_systems, 0, 2);
  tcase_add_loop_test (tc, interrupted_moves_go_on, 0, 3);
  tcase_add_test (tc, moves_go_to_another_file_system);
  tcase_add_test (tc, moves_across_never_lose_the_source);
  tcase_add_test (tc, moves_across_leave_what_has_changed);
  tcase_add_test (tc, users_copy_what_they_may);
}

int
main (void)
{
  Suite *suite = suite_create ("pathreqs");

  add_all (add_case (suite, "all", 60, start, finish));
  add_status (add_case (suite, "status", 30, start, finish));
  add_names (add_case (suite, "names", 30, start, finish));
  add_temp (add_case (suite, "temp", 30, start, finish));
  add_directories (add_case (suite, "directories", 60, start, finish));
  add_files (add_case (suite, "files", 30, start, finish));
  add_copying (add_case (suite, "copying", 60, start, finish));
  return run_suite (suite);
}
