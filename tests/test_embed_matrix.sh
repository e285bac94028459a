#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# A program that vendors the five files and includes eio.c, compiled in all
# the ways that such programs are: each compiler, language standard, -DNDEBUG,
# optimisation, and set of definitions of the embedder's own, with warnings
# being errors.  Some are also linked and run.  EIO_OWN_FLAGS=no leaves it out,
# where the suite runs once more for the sake of other flags.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}"

case $EIO_OWN_FLAGS,$CFLAGS in
  no,* | *-fsanitize*)
    echo "skipped: the matrix has flags of its own"
    exit 77
    ;;
esac

top_srcdir=$(cd "$top_srcdir" && pwd) || exit 99
top_builddir=$(cd "$top_builddir" && pwd) || exit 99
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 99
count=0

# Runs a command that has to succeed silently.
try ()
{
  count=$((count + 1))
  "$@" >out 2>&1 && [ ! -s out ] && return
  echo "combination $count failed: $*"
  cat out
  exit 1
}

for file in eio.c eio.h ecb.h xthread.h libeio.m4
do
  cp "$top_srcdir/$file" . || exit 99
done

##############################################################################
# config.h

# What libeio.m4 promises to define and not to define.
names ()
{
  have="F?UTIMES|READAHEAD|FDATASYNC|SENDFILE|SYNC_FILE_RANGE|LINUX_FALLOCATE"
  have="$have|SYS_SYNCFS|PRCTL_SET_NAME|POSIX_CLOSE|RENAMEAT2|STDINT_H"
  have="$have|SYS_SYSCALL_H|SYS_PRCTL_H"
  grep -E "^#define (HAVE_($have)|_GNU_SOURCE|_FILE_OFFSET_BITS) " "$1" | sort
}

if autoconf --version >/dev/null 2>&1 && autoheader --version >/dev/null 2>&1
then
  cat >configure.ac <<'END'
AC_INIT([host], [1])
AC_CONFIG_HEADERS([config.h])
AC_PROG_CC
m4_include([libeio.m4])
AC_CONFIG_FILES([libs])
AC_OUTPUT
END
  echo '@LIBS@' >libs.in
  for tool in autoconf autoheader
  do
    $tool >out 2>&1 || { echo "$tool failed:"; cat out; exit 1; }
  done
  if grep -E '^[^dn#]*(AC_LANG|AC_CACHE|m4_|eio_check)' configure
  then
    echo "unexpanded macros in configure"
    exit 1
  fi

  # Strict flags must not change what is found.
  ./configure CC="$CC" CFLAGS=-O2 >out 2>&1 ||
    { echo "configure failed:"; cat out; exit 1; }
  LIBS=$(cat libs)
  cp config.h plain.h
  ./configure CC="$CC" LIBS= \
    CFLAGS='-Wall -Wextra -Wstrict-prototypes -Werror' >out 2>&1 ||
    { echo "configure with -Werror failed:"; cat out; exit 1; }
  names plain.h >plain
  names config.h >strict
  diff plain strict || { echo "-Werror changes what is found"; exit 1; }
  ! grep -E '_GNU_SOURCE|_FILE_OFFSET_BITS' plain || exit 1
  echo "configured: $(wc -l <plain) names"
else
  cp "$top_builddir/config.h" . || exit 99
  LIBS=-lpthread
  echo "no autoconf: the build's config.h is used"
fi

mkdir own
mv config.h own/config.h
cp own/config.h own/own.h

##############################################################################
# The program.  What varies is said by -DHOST_*.

cat >host.c <<'END'
#ifdef HOST_XTHREAD_FIRST
# include "xthread.h"
#endif

#ifdef HOST_SYSTEM_FIRST /* and without _GNU_SOURCE */
# include <dirent.h>
# include <errno.h>
# include <fcntl.h>
# include <limits.h>
# include <pthread.h>
# include <signal.h>
# include <stdint.h>
# include <stdio.h>
# include <stdlib.h>
# include <string.h>
# include <sys/mman.h>
# include <sys/stat.h>
# include <sys/statvfs.h>
# include <sys/time.h>
# include <sys/types.h>
# include <time.h>
# include <unistd.h>
#endif

#ifdef HOST_LIBECB /* the real one, of which others have vendored a copy */
# define ecb_expect(expr,value) __builtin_expect ((expr), (value))
# define ecb_expect_true(expr) ecb_expect (!!(expr), 1)
# define ecb_expect_false(expr) ecb_expect (!!(expr), 0)
# define ecb_prefetch(addr,rw,locality) __builtin_prefetch (addr, rw, locality)
# define ecb_attribute(attrlist) __attribute__ (attrlist)
# define ecb_cold ecb_attribute ((__cold__))
# define ecb_noinline ecb_attribute ((__noinline__))
# define ecb_unused ecb_attribute ((__unused__))
# define ecb_inline static inline
#endif

#ifdef HOST_OWN
static int host_finished, host_destroyed, host_fed;
# define EIO_REQ_MEMBERS int host_number; void *host_object;
# include "eio.h"
static int host_finish (eio_req *req);
static void host_destroy (eio_req *req);
static void host_feed (eio_req *req);
# define EIO_FINISH(req) host_finish (req)
# define EIO_DESTROY(req) host_destroy (req)
# define EIO_FEED(req) host_feed (req)
#endif

#include "eio.c"

#ifdef HOST_OWN
static int
host_finish (eio_req *req)
{
  ++host_finished;
  return req->finish && !EIO_CANCELLED (req) ? req->finish (req) : 0;
}

static void
host_destroy (eio_req *req)
{
  ++host_destroyed;
  if (req->destroy)
    req->destroy (req);
}

static void
host_feed (eio_req *req)
{
  ++host_fed;
  req->feed (req);
}
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fds[2];
static int finished, destroyed, fed;

static void
want_poll (void)
{
  if (write (fds[1], "", 1) != 1)
    abort ();
}

static void
done_poll (void)
{
  char c;
  if (read (fds[0], &c, 1) != 1)
    abort ();
}

static void
destroy (eio_req *req)
{
  ++destroyed;
  free (req);
}

static int
finish (eio_req *req)
{
  if (req->result < 0)
    abort ();
  ++finished;
  return 0;
}

static eio_req *
make (int type)
{
  eio_req *req = (eio_req *)calloc (1, sizeof *req);
  if (!req)
    abort ();
  req->type = (signed char)type;
  req->finish = finish;
  req->destroy = destroy;
  return req;
}

static void
execute (eio_req *req)
{
  req->result = 42;
}

static void
feed (eio_req *grp)
{
  if (fed++ < 10)
    {
      eio_req *req = make (EIO_NOP);
      eio_submit (req);
      eio_grp_add (grp, req);
    }
}

/* What the contract lets the includer reach. */
static int
use_internals (void)
{
  void *addr = (void *)fds;
  size_t length = 1;
  int pending;

  eio_page_align (&addr, &length);
  X_LOCK (EIO_POOL->reslock);
  pending = (int)EIO_POOL->res_queue.size;
  X_UNLOCK (EIO_POOL->reslock);
  etp_maybe_start_thread (EIO_POOL);

  return pending || length < 1 || EIO_ENOSYS () != -1 || errno != ENOSYS;
}

int
main (void)
{
  eio_req *req;

  if (pipe (fds) || eio_init (want_poll, done_poll) || use_internals ())
    return 1;

  eio_submit (make (EIO_NOP));

  req = make (EIO_CUSTOM);
  req->feed = execute;
  eio_submit (req);

  req = make (EIO_STAT);
  req->ptr1 = (void *)"/";
  eio_submit (req);

  req = make (EIO_READDIR);
  req->ptr1 = (void *)".";
  req->int1 = EIO_READDIR_DENTS | EIO_READDIR_STAT_ORDER;
  eio_submit (req);

  req = make (EIO_GROUP);
  eio_submit (req);
  eio_grp_feed (req, feed, 2);

#ifndef EIO_NO_WRAPPERS
  eio_nop (EIO_PRI_DEFAULT, 0, 0);
#endif

  while (eio_nreqs ())
    {
      struct pollfd p;
      p.fd = fds[0];
      p.events = POLLIN;
      if (poll (&p, 1, 60000) != 1 || eio_poll ())
        return 2;
    }

#ifdef HOST_OWN
  if (host_finished < 15 || host_destroyed < 15 || host_fed < 10)
    return 3;
#endif
  return !(finished == 15 && destroyed == 15);
}
END

##############################################################################
# The matrix.  To be quick, most combinations are checked for warnings only;
# code, optimised, is made of the oldest and the newest standard.

# The C library of a compiler: glibc's version, or the name of the macro.
libc ()
{
  printf '#include <features.h>\n__GLIBC__\n' | $1 -E -P - 2>/dev/null |
    tail -n 1
}

# What was configured is true of $CC's.
others=
for cc in gcc clang
do
  if [ "$cc" != "$CC" ] && [ "$(libc $cc)" = "$(libc "$CC")" ]
  then
    others="$others $cc"
  fi
done

# variant NAME DEFINITION...
variant ()
{
  name=$1
  shift
  for cc in "$CC" $others
  do
    for std in gnu99 gnu11 gnu17
    do
      for debug in -UNDEBUG -DNDEBUG
      do
        compile="$cc -std=$std $debug -Wall -Wextra -Werror -I. -Iown"
        try $compile -O0 -fsyntax-only "$@" host.c
        case $std$debug in
          gnu99-UNDEBUG | gnu17-DNDEBUG)
            try $compile -O2 "$@" -o host host.c $LIBS
            try ./host
            ;;
          *)
            try $compile -O2 -fsyntax-only "$@" host.c
            ;;
        esac
      done
    done
  done
  echo "$name: ok"
}

variant plain
variant own-members-and-hooks -DHOST_OWN
variant no-wrappers -DEIO_NO_WRAPPERS
variant own-config '-DEIO_CONFIG_H="own.h"'
variant xthread-first -DHOST_XTHREAD_FIRST
variant system-first -DHOST_SYSTEM_FIRST
variant libecb-first -DHOST_LIBECB
variant stack-size -DEIO_STACKSIZE=65536
variant structs \
  '-DEIO_STRUCT_STAT=struct stat' '-DEIO_STRUCT_STATVFS=struct statvfs'
variant all -DHOST_OWN -DEIO_NO_WRAPPERS '-DEIO_CONFIG_H="own.h"' \
  -DHOST_SYSTEM_FIRST -DEIO_STACKSIZE=65536

# The header alone, before all others, of strict standards too.
echo '#include "eio.h"' >header.c
for cc in "$CC" $others
do
  for std in c90 c99 c11 gnu99
  do
    try $cc -std=$std -Wall -Wextra -Werror -I. -fsyntax-only header.c
  done
done
echo "header: ok"

echo "$count compilations and runs"
