#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# check-model.sh [mutants]: has spin search all interleavings of doc/model, in
# several settings, and prints how many states each has.  With "mutants", has it
# search models that make one mistake each, and fails unless all are found.

: "${CC:=cc}"
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/../doc/model" || exit

if ! command -v spin >/dev/null 2>&1
then
  echo "check-model: SKIPPED, nothing was checked: spin is not installed"
  exit 0
fi

models=$(pwd)
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
cd "$tmp" || exit 99
failed=0

fail ()
{
  failed=$((failed + 1))
  echo "check-model: $*"
}

# search PAN-MACRO PAN-ARGUMENT MODEL MACRO...: leaves what it found in out.
search ()
{
  how=$1 argument=$2 model=$3
  shift 3
  rm -f pan.* pan "$model.pml.trail"
  cp "$models/$model.pml" . &&
    spin -a "$@" "$model.pml" >out 2>&1 &&
    $CC -O1 -w "$how" -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >out 2>&1 &&
    ./pan -m1000000 $argument >out 2>&1
}

# The search has been to the end, and found nothing.
is_clean ()
{
  grep -q 'errors: 0$' out && ! grep -q -e 'Search not completed' \
    -e 'max search depth too small' -e 'out of memory' out
}

# holds MODEL MACRO...: nothing is wrong; also, with loops before MODEL, no
# interleaving goes on for ever.
holds ()
{
  how=-DSAFETY argument= what=states
  if [ "$1" = loops ]
  then
    how=-DNP argument=-l what="states, no endless loop"
    shift
  fi
  search "$how" "$argument" "$@" || :
  states=$(awk '/states, stored/ { print $1; exit }' out)
  if is_clean
  then
    printf '%9s %s: %s\n' "$states" "$what" "$*"
  else
    fail "$*: not clean"
    cat out
    if [ -f "$1.pml.trail" ]
    then
      spin -t -p "$1.pml" | tail -n 150
    fi
  fi
}

# finds NAME MODEL MACRO...: BAD_NAME is found.
finds ()
{
  mistake=BAD_$1
  shift
  grep -q "$mistake\$" "$models/$1.pml" || fail "$mistake: no such mistake"
  search -DSAFETY "" "$@" "-D$mistake" || :
  if grep -q '^pan:1:' out && grep -q 'errors: 1$' out
  then
    printf '%-22s %s\n' "$mistake" "$(sed -n 's/^pan:1: //p' out)"
  else
    fail "$mistake: not found by $*"
  fi
}

burst="engine -DBLOCKING -DREQS=4"
crowd="engine -DBLOCKING -DREQS=4 -DSUBMITTERS=2"
patient="engine -DPATIENT"
reap="engine -DMAX_IDLE=0 -DTICKS=2"
reap_one="engine -DMAX_IDLE=1 -DTICKS=1 -DSUBMITTERS=2"
shrink="engine -DRESIZE=1"
halt="engine -DRESIZE=0"
refuse="engine -DREFUSALS=1 -DSUBMITTERS=2"
lonely="engine -DREQS=2 -DREFUSALS=2"
told="signal -DREQS=3"
at_once="signal -DREQS=2 -DAT_ONCE"
by_fd="signal -DREQS=2 -DBY_FD"
waiting="signal -DREQS=2 -DWAITING"
stall="signal -DREQS=2 -DPUBLISHERS=1 -DSTALL"

# shellcheck disable=SC2086 # these variables hold several words
case $1 in
  "")
    holds $burst
    holds loops $burst
    holds $crowd
    holds $patient
    holds $reap
    holds $reap_one
    holds $shrink
    holds $halt
    holds $refuse
    holds $lonely
    holds $told
    holds $at_once
    holds $by_fd
    holds $waiting
    holds $stall
    holds $stall -DWAITING ;;
  mutants)
    finds NO_WAKE $crowd
    finds EVENT_FORGETS $crowd
    finds PARK_LATER $crowd
    finds NO_CHAIN $burst
    finds COUNT_LATER $crowd
    finds DONE_LATER $patient
    finds REAP_BLIND $reap
    finds LEAVE_SILENT $shrink
    finds RAISE_SILENT $halt
    finds NO_BROADCAST $halt
    finds STOP_WAKES_ONE $crowd
    finds NO_JOIN $halt
    finds NO_STALL $lonely
    finds FAILURE_SILENT $refuse
    finds DONE_FIRST $told
    finds NO_SECOND_LOOK $told
    finds LOOK_BEFORE_PUSH $told
    finds RAISE_TWICE $told
    finds RAISE_UNLOCKED $told
    finds NO_ANNOUNCE $told
    finds BEACON_STAYS $by_fd
    finds WAIT_UNSETTLED $waiting ;;
  *)
    echo "usage: $0 [mutants]" >&2
    exit 2 ;;
esac

[ $failed = 0 ] || {
  echo "check-model: $failed failed"
  exit 1
}
echo "check-model: all as expected"
