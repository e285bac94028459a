#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# "make installcheck": a program finds the installed library by pkg-config,
# compiles, links and runs; the manual page is there.

command -v pkg-config >/dev/null ||
  { echo "installcheck: skipped, there is no pkg-config"; exit 0; }

tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/prog.c" <<'END'
#include <eio.h>

static int done;

static int
finished (eio_req *req)
{
  done = req->result == 0;
  return 0;
}

int
main (void)
{
  if (eio_init (0, 0))
    return 1;
  eio_nop (EIO_PRI_DEFAULT, finished, 0);
  while (eio_nreqs ())
    eio_poll ();
  return !done;
}
END

set -e
export PKG_CONFIG_PATH="$libdir/pkgconfig"
flags=$(pkg-config --define-variable=prefix="$prefix" --cflags libeio)
libs=$(pkg-config --define-variable=prefix="$prefix" --libs libeio)

set -x
$CC $CPPFLAGS $CFLAGS $flags -o "$tmp/prog" "$tmp/prog.c" $LDFLAGS $libs
LD_LIBRARY_PATH="$libdir" "$tmp/prog"
test -s "$mandir/man3/eio.3"
