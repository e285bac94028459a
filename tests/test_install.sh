#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# "make installcheck": programs find the installed library by pkg-config,
# compile as C, as strict C99 and as C++, link and run; there is a manual page.

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

# The header alone has to do, also where there are no names but those of C99.
cat >"$tmp/tree.c" <<'END'
#include <eiotree.h>

static int done, entries;

static int
entered (eio_req *walk, const char *dir, const eio_dirent *dirent,
         const char *name, const struct stat *st)
{
  (void)walk, (void)dirent, (void)name;
  ++entries;
  return st || *dir ? EIO_WALK_STOP : 0;
}

static int
finished (eio_req *req)
{
  const char *path;
  struct eio_progress progress;

  done = req->result == 0 && !eio_tree_errors (req, 0, &path) && !path
         && !eio_tree_progress (req, &progress) && !progress.bytes_done;
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc != 2 || eio_init (0, 0)
      || !eio_walk (argv[1], 0, 0, entered, finished, 0))
    return 1;
  while (eio_nreqs ())
    eio_poll ();
  return !done || entries != 2;
}
END
cp "$tmp/tree.c" "$tmp/tree.cc"

set -e
export PKG_CONFIG_PATH="$libdir/pkgconfig"
flags=$(pkg-config --define-variable=prefix="$prefix" --cflags libeio)
libs=$(pkg-config --define-variable=prefix="$prefix" --libs libeio)

set -x
LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH

# shellcheck disable=SC2086 # these variables hold several words
{
  $CC $CPPFLAGS $CFLAGS $flags -o "$tmp/prog" "$tmp/prog.c" $LDFLAGS $libs
  $CC $CPPFLAGS $CFLAGS $flags -std=c99 -pedantic -Wall -Wextra -Werror \
    -o "$tmp/tree99" "$tmp/tree.c" $LDFLAGS $libs
  ! command -v "${CXX%% *}" >/dev/null ||
    $CXX $CPPFLAGS $CXXFLAGS $flags -pedantic -Wall -Wextra -Werror \
      -o "$tmp/treexx" "$tmp/tree.cc" $LDFLAGS $libs
}
"$tmp/prog"
"$tmp/tree99" "$tmp"
[ ! -x "$tmp/treexx" ] || "$tmp/treexx" "$tmp"
test -s "$mandir/man3/eio.3"
