#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# examples/slurp.py, which uses the shared library from Python, says of files
# what the system's own tools say.

: "${top_srcdir:=.}" "${top_builddir:=.}"
LC_ALL=C.UTF-8
export LC_ALL

skip ()
{
  echo "skipped: $*"
  exit 77
}

LIBEIO=$top_builddir/.libs/libeio.so
export LIBEIO
[ -r "$LIBEIO" ] || skip "there is no shared library"
python3 -c 'import ctypes' 2>/dev/null || skip "there is no python3"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/ctypes.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT

i=0
while [ $i -lt 300 ]
do
  i=$((i + 1))
  printf 'file %d\n%*s' $i $((i * i)) x >"$tmp/$i"
done
: >"$tmp/empty"
for file in "$tmp"/*
do
  echo "$file: $(($(wc -c <"$file"))) bytes: $(head -n 1 "$file")"
done | sort >"$tmp.want"
trap 'rm -rf "$tmp" "$tmp".*' EXIT

python3 "$top_srcdir/examples/slurp.py" "$tmp"/* >"$tmp.got" || exit 1
sort "$tmp.got" | diff "$tmp.want" - || exit 1

if python3 "$top_srcdir/examples/slurp.py" "$tmp/none" "$tmp/7" \
  >"$tmp.got" 2>"$tmp.errors"
then
  echo "slurp.py: a missing file is no failure"
  exit 1
fi
echo "$tmp/7: 56 bytes: file 7" | diff - "$tmp.got" &&
  echo "$tmp/none: No such file or directory" | diff - "$tmp.errors"
