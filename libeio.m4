dnl SPDX-License-Identifier: BSD-2-Clause
dnl Copyright (c) 2026 The libeio authors

dnl What eio.c asks of the system.  A program that vendors eio.c says in its
dnl configure.ac
dnl
dnl   AC_CONFIG_HEADERS([config.h])
dnl   AC_PROG_CC
dnl   m4_include([libeio.m4])
dnl
dnl The checks run where this is included; no macro remains afterwards.  They
dnl add the thread library to LIBS and define the HAVE_ names below, none of
dnl which eio.c needs: each has a substitute.  _GNU_SOURCE and
dnl _FILE_OFFSET_BITS are left to the program; only the test programs here
dnl define the former, for themselves.

AC_LANG_PUSH([C])

dnl Threads.  Not AC_SEARCH_LIBS: its prototype is a warning to Clang, and so
dnl an error under -Werror.
AC_CACHE_CHECK([for library containing pthread_create],
  [ac_cv_search_pthread_create],
  [ac_cv_search_pthread_create=no
   eio_save_LIBS=$LIBS
   for eio_lib in '' -lpthread; do
     LIBS="$eio_lib $eio_save_LIBS"
     AC_LINK_IFELSE(
       [AC_LANG_PROGRAM(
          [[#include <pthread.h>
            static void *proc (void *arg) { return arg; }]],
          [[pthread_t tid;
            return pthread_create (&tid, 0, proc, 0)]])],
       [ac_cv_search_pthread_create=${eio_lib:-none required}
        break])
   done
   LIBS=$eio_save_LIBS])
AS_CASE([$ac_cv_search_pthread_create],
  [no], [AC_MSG_ERROR([libeio needs POSIX threads])],
  [none*], [],
  [LIBS="$ac_cv_search_pthread_create $LIBS"])

AC_CHECK_HEADERS([stdint.h sys/syscall.h sys/prctl.h])

dnl eio_check (HAVE_NAME, what, headers, statement): defines HAVE_NAME when
dnl the statement compiles and links.
m4_pushdef([eio_check],
  [AC_CACHE_CHECK([for $2], [eio_cv_$1],
     [AC_LINK_IFELSE(
        [AC_LANG_PROGRAM([[
#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif
#include <sys/types.h>
]$3], [$4])],
        [eio_cv_$1=yes], [eio_cv_$1=no])])
   AS_IF([test $eio_cv_$1 = yes],
     [AC_DEFINE([$1], [1], [Define to 1 if you have $2.])])])

dnl Times of files, to the microsecond.
eio_check([HAVE_UTIMES], [utimes],
  [[#include <sys/time.h>]],
  [[return utimes ("/", 0)]])
eio_check([HAVE_FUTIMES], [futimes],
  [[#include <sys/time.h>]],
  [[return futimes (0, 0)]])

dnl Linux: fills the page cache.
eio_check([HAVE_READAHEAD], [readahead],
  [[#include <fcntl.h>]],
  [[return readahead (0, 0, 1) < 0]])

dnl Bringing data to the disk: of a file, a range (Linux), a file system
dnl (Linux, by number, since C libraries came later).
eio_check([HAVE_FDATASYNC], [fdatasync],
  [[#include <unistd.h>]],
  [[return fdatasync (0)]])
eio_check([HAVE_SYNC_FILE_RANGE], [sync_file_range],
  [[#include <fcntl.h>]],
  [[return sync_file_range (0, 0, 0, SYNC_FILE_RANGE_WRITE)]])
eio_check([HAVE_SYS_SYNCFS], [the system call syncfs],
  [[#include <unistd.h>
#include <sys/syscall.h>]],
  [[return syscall (SYS_syncfs, 0) != 0]])

dnl Linux and Solaris, macOS, and the BSDs each have their own sendfile.
eio_check([HAVE_SENDFILE], [sendfile],
  [[#if defined __linux__ || defined __sun
# include <sys/sendfile.h>
#else
# include <sys/socket.h>
# include <sys/uio.h>
#endif]],
  [[off_t n = 0;
#if defined __linux__ || defined __sun
  return sendfile (1, 0, &n, 1) < 0;
#elif defined __APPLE__
  return sendfile (0, 1, 0, &n, 0, 0);
#else
  return sendfile (0, 1, 0, 1, 0, &n, 0);
#endif]])

dnl Linux: fallocate with a mode, unlike posix_fallocate.
eio_check([HAVE_LINUX_FALLOCATE], [Linux fallocate],
  [[#include <fcntl.h>]],
  [[return fallocate (0, 0, 0, 1)]])

dnl Linux: rename with flags, by number, since C libraries came later.
eio_check([HAVE_RENAMEAT2], [the system call renameat2],
  [[#include <unistd.h>
#include <sys/syscall.h>]],
  [[return syscall (SYS_renameat2, -1, "", -1, "", 0) != 0]])

dnl Linux: a thread names itself.
eio_check([HAVE_PRCTL_SET_NAME], [prctl with PR_SET_NAME],
  [[#include <sys/prctl.h>]],
  [[return prctl (PR_SET_NAME, "name", 0, 0, 0)]])

dnl What is loaded, which says how much of each stack is thread-local storage.
eio_check([HAVE_DL_ITERATE_PHDR], [dl_iterate_phdr],
  [[#include <link.h>
static int
add (struct dl_phdr_info *object, size_t size, void *sum)
{
  return *(size_t *)sum += size * object->dlpi_phnum;
}]],
  [[size_t sum = 0;
  return dl_iterate_phdr (add, &sum) && PT_TLS]])

dnl POSIX 2024: says whether close leaves the descriptor open on EINTR.
eio_check([HAVE_POSIX_CLOSE], [posix_close],
  [[#include <unistd.h>]],
  [[return posix_close (0, 0)]])

dnl Requests 50 to 74: vectors, without and with flags (Linux); ranges (Linux,
dnl FreeBSD), pipes (Linux); advice; what is in memory; all of a file's status
dnl (Linux); attributes (Linux's functions, as others take more parameters).
eio_check([HAVE_PREADV], [preadv and pwritev],
  [[#include <sys/uio.h>]],
  [[struct iovec v = { 0, 0 };
  return preadv (0, &v, 1, 0) < pwritev (1, &v, 1, 0)]])
eio_check([HAVE_PREADV2], [preadv2 and pwritev2],
  [[#include <sys/uio.h>]],
  [[struct iovec v = { 0, 0 };
  return preadv2 (0, &v, 1, 0, 0) < pwritev2 (1, &v, 1, 0, 0)]])
eio_check([HAVE_COPY_FILE_RANGE], [copy_file_range],
  [[#include <unistd.h>
#ifdef __linux__
# include <sys/syscall.h>
#endif]],
  [[
#ifdef __linux__
  return syscall (SYS_copy_file_range, 0, 0, 1, 0, 1, 0) < 0;
#else
  return copy_file_range (0, 0, 1, 0, 1, 0) < 0;
#endif]])
eio_check([HAVE_SPLICE], [the system calls splice and tee],
  [[#include <unistd.h>
#include <sys/syscall.h>]],
  [[return syscall (SYS_splice, 0, 0, 1, 0, 1, 0)
         < syscall (SYS_tee, 0, 1, 1, 0)]])
eio_check([HAVE_POSIX_FADVISE], [posix_fadvise],
  [[#include <fcntl.h>]],
  [[return posix_fadvise (0, 0, 0, POSIX_FADV_NORMAL)]])
eio_check([HAVE_MADVISE], [madvise],
  [[#include <sys/mman.h>]],
  [[return madvise (0, 0, MADV_NORMAL)]])
eio_check([HAVE_MINCORE], [mincore],
  [[#include <sys/mman.h>]],
  [[return mincore (0, 0, 0)]])
eio_check([HAVE_STATX], [the system call statx],
  [[#include <unistd.h>
#include <sys/syscall.h>]],
  [[char st[256];
  return syscall (SYS_statx, 0, "", 0, 0, st) != 0]])
eio_check([HAVE_XATTR], [Linux extended attributes],
  [[#include <sys/xattr.h>]],
  [[return getxattr ("/", "", 0, 0) + lgetxattr ("/", "", 0, 0)
         + setxattr ("/", "", 0, 0, XATTR_CREATE | XATTR_REPLACE)
         + llistxattr ("/", 0, 0) + fremovexattr (0, "") < 0]])

m4_popdef([eio_check])

AC_LANG_POP([C])
