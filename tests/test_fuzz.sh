#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# The fuzzing targets find nothing: with clang and libFuzzer, under the address
# and undefined-behaviour sanitizers, in EIO_FUZZ_SECONDS seconds each (5) from
# the corpus on, by the random numbers that EIO_FUZZ_SEED begins (1; 0: others
# each time); with other compilers, in the corpus.  What fails is left in
# EIO_FUZZ_ARTIFACTS (here), and EIO_FUZZ_CORPUS, if set, is a directory whose
# api and names get what is new.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}"
LC_ALL=C
export LC_ALL

# Memory is faster than a disk.
[ "$TMPDIR" ] || [ ! -w /dev/shm ] || TMPDIR=/dev/shm
tmp=$(mktemp -d "${TMPDIR:-/tmp}/fuzz.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
TMPDIR=$tmp
export TMPDIR
artifacts=$(cd "${EIO_FUZZ_ARTIFACTS:-.}" && pwd) || exit 99
seconds=${EIO_FUZZ_SECONDS:-5}
corpus=${EIO_FUZZ_CORPUS:-$tmp}
failed=0 built='' link=''

# shellcheck disable=SC2086
if ! printf '#include <features.h>\n#ifndef __GLIBC__\n#error\n#endif\n' |
  $CC -E - >/dev/null 2>&1 || [ "$(uname -s)" != Linux ]
then
  echo "skipped: the shadow is made of Linux's system calls, by glibc"
  exit 77
fi

# Of the machine that a compiler makes programs for, the processor.
processor ()
{
  "$@" -dumpmachine 2>/dev/null | sed 's/-.*//'
}

# build TARGET CC FLAG...; the flags are to be split.  The library is compiled
# once.
# shellcheck disable=SC2086
build ()
{
  target=$1
  shift
  set -- "$@" -std=gnu11 -I"$top_srcdir" -I"$top_builddir" $CPPFLAGS
  if [ "$built" != "$how" ]
  then
    "$@" -c -o "$tmp/eio.o" "$top_srcdir/eio.c" || return 2
    built=$how
  fi
  "$@" -o "$tmp/$target" "$top_srcdir/fuzz/$target.c" "$tmp/eio.o" \
    $LDFLAGS $link -lpthread || return 2
}

fuzz ()
{
  link=-fsanitize=fuzzer
  build "$1" clang -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
    -fno-sanitize-recover=undefined >"$tmp/log" 2>&1 || return 2
  mkdir -p "$corpus/$2"
  ASAN_OPTIONS=quarantine_size_mb=32:$ASAN_OPTIONS \
    "$tmp/$1" -seed="${EIO_FUZZ_SEED:-1}" -max_total_time="$seconds" \
    -max_len=1024 -timeout=60 \
    -artifact_prefix="$artifacts/$1-" "$corpus/$2" \
    "$top_srcdir/fuzz/corpus/$2" >"$tmp/log" 2>&1
}

# shellcheck disable=SC2086
replay ()
{
  link=
  build "$1" $CC $CFLAGS -DFUZZ_REPLAY >"$tmp/log" 2>&1 &&
    timeout 300 "$tmp/$1" "$top_srcdir/fuzz/corpus/$2" >"$tmp/log" 2>&1
}

# What configure found, and its flags, are of the machine of $CC.
usual=fuzz
case $CFLAGS in *-fsanitize*) usual=replay ;; esac
# shellcheck disable=SC2086
[ "$(processor clang)" = "$(processor $CC)" ] || usual=replay

for kind in api names
do
  how=$usual
  $how fuzz_$kind $kind
  status=$?
  if [ $how$status = fuzz2 ] # there is no such compiler
  then
    how=replay
    replay fuzz_$kind $kind
    status=$?
  fi
  if [ $status != 0 ]
  then
    failed=1
    echo "$kind failed"
    grep -a -v '^#[0-9]' "$tmp/log" | tail -n 50 | cut -c 1-500
  else
    echo "$kind, $how: $(tail -n 1 "$tmp/log")"
  fi
done
exit $failed
