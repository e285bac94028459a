#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# The tests that doc/guarantees.md names exist, and each promise names one, or
# says that nothing is promised.

: "${top_srcdir:=.}"

awk -F '|' '
  function fail (what) { print FILENAME ":" FNR ": " what; failed = 1 }
  FNR == 1 {
    room = FILENAME
    gsub (/.*check_|\.c$/, "", room)
  }
  FILENAME ~ /\.c$/ {
    if (sub (/^START_TEST \(/, "") && sub (/\)$/, ""))
      there[room ":" $0] = 1
    next
  }
  NF < 4 || $2 ~ /^(-+| promise | what )$/ { next }
  {
    promises++
    held = $(NF - 1)
    gsub (/ /, "", held)
    if (held == "" && $2 !~ /nothing is promised/)
      fail ("nothing holds it")
    n = split (held, rooms, ";")
    for (i = 1; i <= n; ++i)
      {
        split (rooms[i], part, ":")
        m = split (part[2], tests, ",")
        for (k = 1; k <= m; ++k)
          if (part[1] ":" tests[k] in there)
            named++
          else
            fail ("no test " part[1] ": " tests[k])
      }
  }
  END {
    print promises " promises, " named " tests"
    exit failed || promises < 30
  }' "$top_srcdir"/tests/check_*.c "$top_srcdir/doc/guarantees.md"
