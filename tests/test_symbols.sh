#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# libeio.so exports the functions that eio.h and eiotree.h declare, each with a
# version, and nothing else; libeio.a has no other global names either.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}" "${NM:=nm}"

if [ "$enable_shared" = no ]
then
  echo "built without a shared library"
  exit 77
fi

tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0

# The names that follow $1, said in $2, are not none.
complain ()
{
  [ -s "$1" ] || return
  failed=1
  echo "$2:"
  sed 's/^/  /' "$1"
}

echo '#include "eiotree.h"' >"$tmp/api.c"
$CC $CPPFLAGS -I"$top_srcdir" -E -P "$tmp/api.c" | tr '\n' ' ' |
  grep -Eo '\beio_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$tmp/api"

# Each line: type, name, version.
$NM -D --defined-only "$top_builddir/.libs/libeio.so" |
  awk '$2 != "A" { split ($3, part, "@+"); print $2, part[1], part[2] }' \
  >"$tmp/nm"
awk '{ print $2 }' "$tmp/nm" | sort >"$tmp/so"

[ "$(wc -l <"$tmp/api")" -ge 72 ] || { echo "eio.h: too few"; exit 99; }

comm -23 "$tmp/api" "$tmp/so" >"$tmp/missing"
complain "$tmp/missing" "declared, but not exported"

comm -13 "$tmp/api" "$tmp/so" >"$tmp/extra"
complain "$tmp/extra" "exported, but not declared"

awk '$1 != "T"' "$tmp/nm" >"$tmp/data"
complain "$tmp/data" "exported, but no functions"

if [ "$version_script" != no ]
then
  awk '$3 !~ /^LIBEIO_2/' "$tmp/nm" >"$tmp/bare"
  complain "$tmp/bare" "exported without a version"
fi

# Sanitizers add names of the implementation's own.
if [ -f "$top_builddir/.libs/libeio.a" ]
then
  $NM -g --defined-only "$top_builddir/.libs/libeio.a" |
    awk 'NF == 3 && $3 !~ /^__/ { print $3 }' | sort >"$tmp/a"
  comm -13 "$tmp/api" "$tmp/a" >"$tmp/global"
  complain "$tmp/global" "global in libeio.a, but not declared"
fi

echo "$(wc -l <"$tmp/so") functions exported"
exit $failed
