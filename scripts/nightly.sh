#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# What takes too long for every change.
#
#   scripts/nightly.sh [PART...]
#
# All parts, or those named:
#
#   ci         what .ci/run does
#   platforms  other platforms
#   analysis   static analysis
#   model      the model, and whether its mutants are found
#   coverage   which lines and branches the unit tests execute
#   races      the unit tests that race, REPEAT times (100) each on all
#              processors, on one, and beside a busy loop
#   valgrind   the unit tests under valgrind
#   fuzzing    each target for FUZZ seconds (600).  FUZZ_CORPUS, a directory,
#              gets what is new, and FUZZ_ARTIFACTS what fails
#   orders     many orders of what threads do, and chaos
#   soak       10,000 requests outstanding, and the stress test, STRESS seconds
#              (3600) each.  They begin first and go on beside the other parts
#
# The last line, "N passed, N failed", counts programs.

cd "$(dirname "$0")/.." || exit
. scripts/common.sh
need $NEED_BUILD $NEED_TESTS clang libclang-rt-14-dev valgrind util-linux \
  spin || exit

repeat=${REPEAT:-100}
stress=${STRESS:-3600}
parts=" ${*:-ci platforms analysis model coverage races valgrind fuzzing \
orders soak} "
racing="signal pool group cancel threads fork embed table wrappers oom inline
host shutdown pools grpthreads insight latch locks"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/libeio-nightly.XXXXXX") || exit
rooms=$tmp/build/obj/tests
trap 'for job in $(jobs -p); do kill -- -$job; done 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 130' HUP INT TERM
set -m # jobs end with all that they started
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-300}

wanted ()
{
  [[ $parts == *" $1 "* ]]
}

banner ()
{
  echo "== $* ($SECONDS s)"
}

# attempt NAME COMMAND...: counts as one in $tmp/results, and shows the end of
# what was printed: LINES lines of it (0), or more if it failed.
attempt ()
{
  local out result=passed lines=${LINES_SHOWN:-0}
  out=$(mktemp "$tmp/out.XXXXXX")
  if ! "${@:2}" >"$out" 2>&1
  then
    result=failed lines=40
  fi
  {
    [ $result = passed ] || echo "failed: $1"
    tail -n "$lines" "$out" | cut -c 1-300
  } >"$out.shown"
  cat "$out.shown"
  echo $result >>"$tmp/results"
  rm "$out" "$out.shown"
}
export -f attempt
export tmp

# show LINES NAME COMMAND...: announces it, and shows how it ended.
show ()
{
  banner "$2"
  LINES_SHOWN=$1 attempt "${@:2}"
}

# room NAME VARIABLE=VALUE...: a unit test, with settings of its own.
room ()
{
  show 4 "$*" env "${@:2}" "$rooms/check_$1"
}

# each N COMMAND...: the tests that standard input names, each by COMMAND, N at a
# time.  A name may be followed by a comma, and more.
each ()
{
  xargs -P "$1" -d '\n' -I '{}' bash -c '
    attempt "$1" "${@:3}" "$2/check_${1%%,*}"' - '{}' "$rooms" "${@:2}"
}

# many NAME COMMAND...: the racing tests, each by COMMAND, again and again.
many ()
{
  local i
  banner "$repeat times $1"
  for ((i = 1; i <= repeat; i++))
  do
    # shellcheck disable=SC2086 # a list
    printf "%s, $1, round $i\n" $racing
  done |
    each $((2 * $(nproc))) "${@:2}"
}

part_ci ()
{
  show 40 ci .ci/run
}

part_platforms ()
{
  show 20 platforms scripts/platforms.sh
}

part_analysis ()
{
  show 60 analysis scripts/analyse.sh
}

part_model ()
{
  show 20 model scripts/check-model.sh
  show 30 "model's mutants" scripts/check-model.sh mutants
}

part_coverage ()
{
  show 10 coverage scripts/coverage.sh
}

part_races ()
{
  local hog
  many "on all processors" env
  many "on one processor" taskset -c 0
  while :; do :; done &
  hog=$!
  many "beside a busy loop" env
  kill $hog
}

# Leaks only where memory is lost for certain: a parked worker's thread-local
# storage counts as possibly lost.  Left out are tests that hand bad addresses
# to the system on purpose, one that is about time, and one that takes away what
# valgrind needs itself.  Of threads that spin, none may keep the others waiting.
part_valgrind ()
{
  banner valgrind
  find "$rooms" -name 'check_*' -type f ! -name '*.*' ! -name check_memory \
    ! -name check_io ! -name check_readdir ! -name check_limits \
    -printf '%f, valgrind\n' | sed 's/check_//' | sort |
    CK_DEFAULT_TIMEOUT=450 CK_TIMEOUT_MULTIPLIER=4 \
    CK_EXCLUDE_TAGS=not-valgrind EIO_STRESS_SECONDS=20 each "$(nproc)" \
      valgrind -q --fair-sched=try --error-exitcode=9 --leak-check=full \
      --errors-for-leak-kinds=definite,indirect \
      --show-leak-kinds=definite,indirect
}

part_fuzzing ()
{
  show 3 fuzzing env top_builddir="$tmp/build/obj" EIO_FUZZ_SEED=0 \
    EIO_FUZZ_SECONDS="${FUZZ:-600}" EIO_FUZZ_CORPUS="$FUZZ_CORPUS" \
    EIO_FUZZ_ARTIFACTS="${FUZZ_ARTIFACTS:-.}" tests/test_fuzz.sh
}

part_orders ()
{
  room explore EIO_EXPLORE_DEPTH=3 EIO_EXPLORE_RUNS=50000 \
    EIO_EXPLORE_SEED="$RANDOM"
  room chaos EIO_CHAOS_ROUNDS=300
}

# With what time the others leave: these hand over from thread to thread, and
# would wait for it each time, however nice it was.
part_soak ()
{
  (chrt --idle --pid 0 $BASHPID; room soak EIO_SOAK_MANY=1 \
    EIO_SOAK_SECONDS="$stress") &
  (chrt --idle --pid 0 $BASHPID; room stress EIO_STRESS_SECONDS="$stress") &
}

for part in $parts
do
  declare -F "part_$part" >/dev/null || {
    echo "$0: $part: no such part" >&2
    exit 2
  }
done
: >"$tmp/results"
if wanted races || wanted valgrind || wanted fuzzing || wanted orders ||
  wanted soak
then
  BUILD=$tmp/build EIO_OWN_FLAGS=no show 1 suite scripts/test.sh \
    --disable-shared
fi
if wanted soak
then
  part_soak
fi
for part in ${parts/ soak / }
do
  "part_$part"
done
wait

banner all
echo "$(grep -c passed "$tmp/results") passed," \
  "$(grep -c failed "$tmp/results") failed"
! grep -q failed "$tmp/results"
