#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# summary.sh BUILDDIR: what "make check" found there: of each program that
# failed, what it said, and then
#
#   N passed, N failed, N skipped
#
# Each unit test of a Check program counts, by the program's own summary; a
# script counts as one, and so does a program that died before its summary.

cd "$1/tests" || exit

# Lines of a log that say what is wrong, or else its end.
complaints ()
{
  echo "$1:"
  {
    grep -aE ':[FE]:|runtime error:|(ERROR|SUMMARY|WARNING): |^FAILED' "$1" ||
      tail -n 20 "$1"
  } | head -n 60 | cut -c 1-300
}

exec 3>&1
for trs in *.trs
do
  [ -f "$trs" ] || continue
  log=${trs%.trs}.log
  result=$(sed -n 's/^:test-result: \([A-Z]*\).*/\1/p' "$trs")
  # "95%: Checks: 20, Failures: 1, Errors: 0", one line for each suite
  sed -n '/^[0-9]*%: Checks:/ {
    s/^[^ ]*/CHECKS/
    s/ [^0-9]*\([0-9]*\)[^ ]*/ \1/g
    p
  }' "$log"
  echo "RESULT $result"
  case $result in
    PASS | SKIP) ;;
    *) complaints "$log" >&3 ;;
  esac
done |
  awk '
    $1 == "CHECKS" {
      bad += $3 + $4
      passed += $2 - $3 - $4
      counted = 1
      next
    }
    {
      if ($2 == "SKIP")
        skipped++
      else if ($2 == "PASS")
        passed += !counted
      else if (!bad)
        bad = 1
      failed += bad
      counted = bad = 0
    }
    END {
      printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    }'
