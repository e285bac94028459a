#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# With --enable-probes, tracers find submit, start, done and finish of provider
# libeio, with three arguments each; without it there is nothing to be found.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}" "${READELF:=readelf}"
LC_ALL=C
export LC_ALL

skip ()
{
  echo "skipped: $*"
  exit 77
}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/probes.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT

# Whatever this tree was configured for.
cat >"$tmp/probes.h" <<'END'
#include "config.h"
#undef EIO_PROBES
#if PROBES
# define EIO_PROBES 1
#endif
END

cat >"$tmp/use.c" <<'END'
#define EIO_CONFIG_H "probes.h"
#include "eio.c"

static int finished;

static int
count (eio_req *req)
{
  (void)req;
  ++finished;
  return 0;
}

int
main (void)
{
  eio_req *grp;

  if (eio_init (0, 0))
    return 1;
  grp = eio_grp (count, 0);
  eio_grp_add (grp, eio_nop (0, count, 0));
  eio_nop (EIO_PRI_MIN, count, 0);
  eio_close (-1, EIO_PRI_MAX, count, 0);
  eio_cancel (eio_nop (0, count, 0));
  return eio_flush () || finished < 4 || eio_shutdown (0, -1);
}
END

# Compiles to $tmp/$1, with the flags that follow, and runs it.
build ()
{
  program=$tmp/$1
  shift
  $CC $CPPFLAGS $CFLAGS -I"$tmp" -I"$top_srcdir" -I"$top_builddir" \
    "$@" -o "$program" "$tmp/use.c" $LDFLAGS -lpthread >"$tmp/log" 2>&1 || {
    cat "$tmp/log"
    echo "it does not compile: $*"
    exit 1
  }
  "$program" || {
    echo "it does not run: $*"
    exit 1
  }
}

echo '#include <sys/sdt.h>' >"$tmp/header.c"
$CC $CPPFLAGS $CFLAGS -c -o "$tmp/header.o" "$tmp/header.c" 2>/dev/null ||
  skip "there is no sys/sdt.h"
$READELF --version >/dev/null 2>&1 || skip "there is no readelf"

build without -DPROBES=0
case $($READELF -h "$tmp/without" 2>/dev/null) in
  *ELF*) ;;
  *) skip "programs are not ELF files" ;;
esac

$READELF -S -W "$tmp/without" | grep -F .note.stapsdt && {
  echo "there are probes that nobody asked for"
  exit 1
}

# Each line: name, number of arguments.
build with -DPROBES=1
$READELF -n -W "$tmp/with" | awk '
  /Provider:/ { ours = $NF == "libeio" }
  $1 == "Name:" { name = $2 }
  $1 == "Arguments:" && ours { print name, gsub (/@/, "@") }' |
  sort -u >"$tmp/got"

printf '%s 3\n' done finish start submit >"$tmp/want"
diff "$tmp/want" "$tmp/got"
