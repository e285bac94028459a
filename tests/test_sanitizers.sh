#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Unit tests under gcc's or clang's sanitizers: those that race under
# ThreadSanitizer, and those with most memory of their own under the others.
# (.ci/run has all tests there.)  EIO_OWN_FLAGS=no leaves it out, where the
# suite runs once more for the sake of other flags.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}"

case $EIO_OWN_FLAGS,$CFLAGS in
  no,* | *-fsanitize* | *--coverage*)
    echo "skipped: they are there already, or were asked before"
    exit 77 ;;
esac

tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

# The addresses that ThreadSanitizer takes for its own may be taken where they
# are random.
fixed="setarch $(uname -m) -R"
$fixed true 2>/dev/null || fixed=

# compile NAME SANITIZER ARGUMENT...: makes $tmp/NAME.
# shellcheck disable=SC2086 # flags
compile ()
{
  name=$1 sanitizer=$2
  shift 2
  $CC -std=gnu11 -g -O1 -fno-omit-frame-pointer "-fsanitize=$sanitizer" \
    -fno-sanitize-recover=all -I"$top_builddir" -I"$top_srcdir" \
    -I"$top_srcdir/tests" $CPPFLAGS $CHECK_CFLAGS -o "$tmp/$name" "$@" \
    >"$tmp/log" 2>&1
}

# room NAME SANITIZER: builds a unit test, and runs it.
# shellcheck disable=SC2086 # flags
room ()
{
  source=$top_srcdir/tests/check_$1.c core=$tmp/eio.o
  if grep -q '# *include "eio\.c"' "$source"
  then
    core=
  fi
  compile "$1" "$2" "$source" "$tmp/support.o" $core $LDFLAGS $CHECK_LIBS \
    -ldl -lpthread || {
    cat "$tmp/log"
    return 1
  }
  $fixed "$tmp/$1" >"$tmp/log" 2>&1 || {
    tail -n 50 "$tmp/log"
    return 1
  }
}

# under SANITIZER ROOM...
under ()
{
  sanitizer=$1
  shift
  echo 'int main (void) { return 0; }' >"$tmp/nothing.c"
  if ! compile nothing "$sanitizer" "$tmp/nothing.c" || ! $fixed "$tmp/nothing"
  then
    echo "$sanitizer: there is none"
    return
  fi
  compile eio.o "$sanitizer" -c "$top_srcdir/eio.c" &&
    compile support.o "$sanitizer" -c "$top_srcdir/tests/support.c" || {
    cat "$tmp/log"
    failed=1
    return
  }
  for name
  do
    ran=$((ran + 1))
    room "$name" "$sanitizer" || {
      echo "failed: $name, $sanitizer"
      failed=1
    }
  done
}

failed=0 ran=0
# die_after_fork=0: the tests fork while workers run, which is their purpose.
TSAN_OPTIONS=die_after_fork=0:halt_on_error=1:atexit_sleep_ms=0
UBSAN_OPTIONS=print_stacktrace=1
EIO_STRESS_SECONDS=2
export TSAN_OPTIONS UBSAN_OPTIONS EIO_STRESS_SECONDS
under thread pool signal group cancel grpthreads host shutdown stress pools \
  locks latch insight inline threads
under address,undefined group cancel io readdir realpath wd
echo "$ran unit tests"
[ $failed$ran != 00 ] || exit 77
exit $failed
