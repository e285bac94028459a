#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# style.sh [BUILDDIR]: prints numbers that tell how readable eio.c is.
# BUILDDIR is where configure left config.h; without it, eio.c is compiled
# with every HAVE_ name off.

here=$(pwd)
cd "$(dirname "$0")/.." || exit
LC_ALL=C
export LC_ALL
functions=$(mktemp) || exit
trap 'rm -f "$functions"' EXIT

awk -v functions="$functions" '
  # A banner begins with a line of stars; its title is " * N  Title  *".
  /^\/\*\*\*\*\*\*\*\*\*\*/ { banner = 1 }
  banner && /^ \* [0-9]  / {
    section = $2
    title[section] = $3
    for (i = 4; i < NF; i++)
      title[section] = title[section] " " $i
    if (section > last)
      last = section
    banner = 0
  }

  # Comments: lines that hold nothing else.
  {
    comment = inside || /^[ \t]*\/\*/
    if (comment)
      inside = !/\*\//
    if (NF)
      {
        lines[section]++
        comments[section] += comment
      }
  }

  !comment && /^[ \t]*#[ \t]*if/ { ifs[section]++ }

  # UTF-8: only the first byte of a character counts.
  {
    text = $0
    gsub (/[\200-\277]/, "", text)
    if (length (text) > 80)
      wide++
  }

  # Functions: from the line with the name, which begins in the first column,
  # to the closing brace.
  !comment && /^[a-zA-Z_][a-zA-Z_0-9]* \(/ { name = $1; start = NR }
  /^}/ {
    if (name && body)
      print NR - start + 1, name >functions
    name = ""
    body = 0
  }
  /^{/ { body = 1 }
  /^$/ && !body { name = "" }

  END {
    printf "%-34s %6s %9s %5s\n", "eio.c", "lines", "comments", "#ifs"
    for (s = 0; s <= last; s++)
      {
        printf "%2d  %-30s %6d %8d%% %5d\n", s, title[s], lines[s],
          lines[s] ? 100 * comments[s] / lines[s] : 0, ifs[s]
        all += lines[s]
        all_comments += comments[s]
        if (s != 1 && s != 2)
          stray += ifs[s]
      }
    printf "%-34s %6d %8d%%\n\n", "all", all,
      all ? 100 * all_comments / all : 0
    printf "#ifs outside sections 1 and 2: %d\n", stray
    printf "lines over 80: %d\n", wide
  }' eio.c

sort -n "$functions" | awk '
  { length_of[NR] = $1; name[NR] = $2 }
  END {
    if (NR)
      printf "functions: %d; lines: median %d, p90 %d, longest %d (%s)\n", NR,
        length_of[int ((NR + 1) / 2)], length_of[int (NR * 0.9 + 0.999)],
        length_of[NR], name[NR]
  }'

case $1 in
  "") config='"tests/nohave.h"' ;;
  /*) config="\"$1/config.h\"" ;;
  *) config="\"$here/$1/config.h\"" ;;
esac
for cc in ${CC:-gcc clang}
do
  command -v "$cc" >/dev/null || continue
  printf 'warnings of %s -Wall -Wextra: ' "$cc"
  $cc -Wall -Wextra -O2 -I. "-DEIO_CONFIG_H=$config" -c -o /dev/null eio.c \
    2>&1 | grep -c 'warning:\|error:'
done
exit 0
