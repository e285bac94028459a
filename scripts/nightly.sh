#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# What takes too long for every change: everything that .ci/run does, other
# platforms, static analysis, the model and its mutants, coverage, the unit
# tests that race REPEAT times (100) on all processors, on one, and with a busy
# loop beside them, all unit tests under valgrind, FUZZ seconds (600) of each
# fuzzing target, many orders of what threads do and many chaotic rounds, and
# STRESS seconds (3600) each of 10,000 requests outstanding and of the stress
# test.  FUZZ_CORPUS, a directory, gets what fuzzing found new, and
# FUZZ_ARTIFACTS what fails.  The last line is "N passed, N failed", counting
# programs.

cd "$(dirname "$0")/.." || exit
. scripts/common.sh
need $NEED_BUILD $NEED_TESTS clang libclang-rt-14-dev valgrind util-linux \
  spin || exit

repeat=${REPEAT:-100}
stress=${STRESS:-3600}
racing="signal pool group cancel threads fork embed table wrappers oom inline
host shutdown pools grpthreads insight latch locks"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/libeio-nightly.XXXXXX") || exit
hog=
trap '[ "$hog" ] && kill $hog; rm -rf "$tmp"' EXIT
passed=0 failed=0

# run NAME COMMAND...: counts as one; what it printed is shown if it failed.
run ()
{
  if "${@:2}" >"$tmp/out" 2>&1
  then
    ((passed++))
  else
    ((failed++))
    echo "failed: $1"
    tail -n 30 "$tmp/out" | cut -c 1-300
  fi
}

# many NAME COMMAND...: the racing tests, each by COMMAND, again and again.
many ()
{
  local i test
  echo "== $repeat times $1 ($SECONDS s)"
  for ((i = 1; i <= repeat; i++))
  do
    for test in $racing
    do
      run "$test, $1, round $i" "${@:2}" "$tmp/build/obj/tests/check_$test"
    done
  done
}

export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-300}

if [ -z "$SKIP_CI" ]
then
  .ci/run || ((failed++))
fi

for what in platforms.sh analyse.sh check-model.sh "check-model.sh mutants" \
  coverage.sh
do
  echo "== $what ($SECONDS s)"
  # shellcheck disable=SC2086 # a script, and its argument
  run "$what" scripts/$what
  tail -n 40 "$tmp/out"
done

BUILD=$tmp/build run suite scripts/test.sh --disable-shared

many "on all processors" env
many "on one processor" taskset -c 0
while :; do :; done &
hog=$!
many "beside a busy loop" env
kill $hog
hog=

# Leaks only where memory is lost for certain: a parked worker's thread-local
# storage counts as possibly lost.  Left out are tests that hand bad addresses
# to the system on purpose, and one that is about time.
echo "== valgrind ($SECONDS s)"
for test in "$tmp"/build/obj/tests/check_*
do
  case $test in
    *.* | */check_memory | */check_io | */check_readdir) continue ;;
  esac
  run "$(basename "$test"), valgrind" env CK_DEFAULT_TIMEOUT=1800 \
    EIO_STRESS_SECONDS=20 valgrind -q --error-exitcode=9 --leak-check=full \
    --errors-for-leak-kinds=definite,indirect \
    --show-leak-kinds=definite,indirect "$test"
done

echo "== fuzzing for ${FUZZ:-600} s each ($SECONDS s)"
run fuzz env top_builddir="$tmp/build/obj" EIO_FUZZ_SEED=0 \
  EIO_FUZZ_SECONDS="${FUZZ:-600}" EIO_FUZZ_CORPUS="$FUZZ_CORPUS" EIO_FUZZ_ARTIFACTS="$FUZZ_ARTIFACTS" \
  tests/test_fuzz.sh
tail -n 3 "$tmp/out"

# room NAME VARIABLE=VALUE...: a unit test, with settings of its own.
room ()
{
  echo "== $* ($SECONDS s)"
  run "$1" env "${@:2}" "$tmp/build/obj/tests/check_$1"
  tail -n 3 "$tmp/out"
}

room explore EIO_EXPLORE_DEPTH=3 EIO_EXPLORE_RUNS=50000 \
  EIO_EXPLORE_SEED="$RANDOM"
room chaos EIO_CHAOS_ROUNDS=300
room soak EIO_SOAK_MANY=1 EIO_SOAK_SECONDS="$stress"
room stress EIO_STRESS_SECONDS="$stress"

echo "$passed passed, $failed failed"
((failed == 0))
