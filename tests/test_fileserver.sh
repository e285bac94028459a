#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# examples/fileserver, as tests/fileserver.py sees it from the other side of
# its sockets, once as it is and once with -s.  With FILESERVER_VALGRIND=1,
# under valgrind.

: "${top_srcdir:=.}" "${top_builddir:=.}"
LC_ALL=C.UTF-8
export LC_ALL

skip ()
{
  echo "skipped: $*"
  exit 77
}

server=$top_builddir/examples/fileserver
[ -x "$server" ] || skip "there is no $server"
[ -e /proc/self/fd ] || skip "there is no /proc"
python3 -c 'import random; random.Random (1).randbytes (1)' 2>/dev/null ||
  skip "there is no python3, 3.9 or later"

# Beside a shared library, libtool puts a script in the program's place, which
# would get the signals.
if [ -x "$top_builddir/examples/.libs/fileserver" ]
then
  server=$top_builddir/examples/.libs/fileserver
  LD_LIBRARY_PATH=$top_builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
fi

tmp=$(mktemp -d "${TMPDIR:-/tmp}/fileserver.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

runner=
if [ "$FILESERVER_VALGRIND" ]
then
  runner="valgrind -q --error-exitcode=99 --leak-check=full \
    --errors-for-leak-kinds=definite,indirect,possible"
fi

# shellcheck disable=SC2086 # a list
timeout -k 9 900 python3 -B "$top_srcdir/tests/fileserver.py" "$tmp" \
  $runner "$server"
