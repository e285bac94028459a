#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# summary.sh BUILDDIR: what "make check" found there, as one line
#
#   N passed, N failed, N skipped
#
# Each unit test of a Check program counts, by the program's own summary; a
# script counts as one, and so does a program that died before its summary.

cd "$1/tests" || exit

for trs in *.trs
do
  [ -f "$trs" ] || continue
  result=$(sed -n 's/^:test-result: \([A-Z]*\).*/\1/p' "$trs")
  # "95%: Checks: 20, Failures: 1, Errors: 0", one line for each suite
  sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/CHECKS \1 \2 \3/p' \
    "${trs%.trs}.log"
  echo "RESULT $result"
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
