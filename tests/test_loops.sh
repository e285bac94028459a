#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# The examples of event loops work with the real loops.  One whose library is
# not installed is left out with a message; and all but our own where a
# sanitizer would look at libraries that were built without it.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}"
LC_ALL=C
export LC_ALL

tmp=$(mktemp -d "${TMPDIR:-/tmp}/loops.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0 run=0 foreign=yes
case $CFLAGS in *-fsanitize*) foreign= ;; esac

# build NAME FLAG...; the flags are to be split.
# shellcheck disable=SC2086
build ()
{
  source=$top_srcdir/examples/loop_$1.c
  name=$1
  shift
  "$top_builddir/libtool" --silent --mode=link --tag=CC $CC $CPPFLAGS $CFLAGS \
    -Wall -Wextra -Werror -I"$top_srcdir" -o "$tmp/$name" "$source" \
    "$top_builddir/libeio.la" "$@" $LDFLAGS
}

# try NAME FLAG...: compares it with what wc says.
try ()
{
  run=$((run + 1))
  if build "$@" &&
    timeout 60 "$tmp/$1" "$tmp"/files/* "$tmp/none" >"$tmp/got" &&
    sort "$tmp/got" | diff "$tmp/want" - && timeout 60 "$tmp/$1"
  then
    echo "$1: ok"
  else
    echo "$1: failed"
    failed=1
  fi
}

# try_with NAME LIBRARY FLAG...: only if there is one for this machine.
try_with ()
{
  name=$1 library=$2
  shift 2
  if [ "$foreign" ] && [ $# != 0 ] && echo 'int main (void) { return 0; }' |
    $CC -x c - "$@" -o "$tmp/$name" 2>/dev/null
  then
    try "$name" "$@"
  else
    echo "$name: left out, as $library is not there"
  fi
}

# try_module NAME MODULE
try_module ()
{
  # shellcheck disable=SC2046
  try_with "$1" "$2" $(pkg-config --cflags --libs "$2" 2>/dev/null)
}

mkdir "$tmp/files"
i=0
while [ $i -lt 200 ]
do
  i=$((i + 1))
  printf '%*s' $i x >"$tmp/files/$i"
done
{
  for file in "$tmp"/files/*
  do
    echo "$file: $(($(wc -c <"$file"))) bytes"
  done
  echo "$tmp/none: No such file or directory"
} | sort >"$tmp/want"

try poll
[ "$(uname)" != Linux ] || try epoll
try_with ev libev -include ev.h -lev
try_module uv libuv
try_module event libevent_core
try_module glib glib-2.0

echo "$run loops"
exit $failed
