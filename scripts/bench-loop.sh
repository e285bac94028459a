#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Builds the library and measures how late the ticks of an event loop are that
# works with cold files by plain calls, by libeio and by libuv; bench/loop.c
# says how.  On a fresh Debian machine too: as root it installs what is
# missing, otherwise it says what that is; libuv and gnuplot are left out then.
#
#   scripts/bench-loop.sh OUTPUT
#
# The directory OUTPUT gets a table (loop.md), the numbers of each run
# (loop.csv), a plot of the share of ticks that are later than a time
# (loop.svg), and its points (loop.dat).  From the environment:
#
#   ROUNDS   one run of each way follows the other, so many times (7)
#   TIME     of a run, in seconds (1)
#   JOBS     that each tick begins (1)
#   WORKERS  of libeio and libuv (4)
#   KINDS    of jobs, one after the other, over and over: o opens and reads a
#            file, s stats, b reads a large block, f writes and fsyncs, d lists
#            a directory of 20000 entries
#   WORK     where the files are made, and removed: a directory on a disk
#            (that of OUTPUT)
#   BUILD    where the library was built: without it, it is built here
#
# Root's runs begin with all caches dropped, of the whole system.  Others only
# get the contents of files dropped; directories and inodes stay in memory.

source=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$source/scripts/common.sh"
LC_ALL=C
export LC_ALL

if [ $# != 1 ]
then
  echo "Usage: $0 OUTPUT" >&2
  exit 2
fi
rounds=${ROUNDS:-7}
time=${TIME:-1}
jobs=${JOBS:-1}
workers=${WORKERS:-4}
kinds=${KINDS:-osbosfosbosbosbdosbosbosfosbosbo}
cc=${CC:-gcc}

# shellcheck disable=SC2086 # a list
need $NEED_BUILD coreutils || exit
need libuv1-dev
need gnuplot-nox # without these, a part is left out
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit
work=$(mktemp -d "${WORK:-$out/..}/libeio-loop.XXXXXX") || exit
trap 'cd / && rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
prepare_bench

# compile [FLAG...]
compile ()
{
  $cc -O2 -Wall -Wextra -D_FILE_OFFSET_BITS=64 -I "$source" -o "$work/loop" \
    "$source/bench/loop.c" "$BUILD/.libs/libeio.a" -pthread "$@"
}

ways="idle plain libeio"
if compile -DLOOP_UV -luv 2>"$work/log"
then
  ways="$ways libuv"
else
  echo "libuv is left out: it was not found."
  compile || exit
fi

# make_small DIRECTORY: with 64 files of 4 KiB.
make_small ()
{
  mkdir -p "$1" &&
    head -c 262144 /dev/urandom | split -b 4096 -a 2 -d - "$1/"
}

make_files ()
{
  mkdir "$work/files" && cd "$work/files" &&
    mkdir -p large/00 big/00 &&
    head -c 67108864 /dev/urandom >large/00/00 &&
    make_small saved/00 &&
    seq -f big/00/%02g 0 19999 | xargs touch || return
  for i in $(seq -f %02g 0 63)
  do
    make_small "small/$i" || return
  done
}

# Says by its result whether directories and inodes are forgotten, too.
forget ()
{
  sync
  { echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null && return
  "$work/loop" forget || exit
  return 1
}

# evaluate ROUND WAY: makes a line of the CSV of the ticks, sorted, and the
# last line.
evaluate ()
{
  sort -g "$work/ticks" | awk -v round="$1" -v way="$2" -v time="$time" '
    function quantile (q) { return late[int (q * (n - 1) + 0.5)] }
    /^#/ { jobs = $2; wall = $3; cpu = $4; next }
    { late[n++] = $1; above += $1 > 1000 }
    END {
      printf "%d,%s,%.1f,%.1f,%.1f,%.1f,%.1f,%.2f,%.1f,%.1f,%.1f\n", round,
        way, quantile(0.5), quantile(0.9), quantile(0.99), quantile(0.999),
        quantile(1), 100 * above / n, jobs / time, wall, cpu
    }'
}

# The medians of the rounds
print_table ()
{
  echo "| µs | p50 | p90 | p99 | p99.9 | max | > 1 ms, % |" \
    "jobs/s | longest turn | longest turn, CPU |"
  echo "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
  for way in $ways
  do
    row="| $way |"
    for column in 3 4 5 6 7 8 9 10 11
    do
      row="$row $(grep ",$way," "$out/loop.csv" | cut -d, -f $column |
        sort -g | awk -v digits=$((column == 8 ? 2 : 0)) '
          { x[NR] = $1 }
          END {
            printf "%.*f", digits,
              (x[int ((NR + 1) / 2)] + x[int (NR / 2) + 1]) / 2
          }') |"
    done
    echo "$row"
  done
}

print_notes ()
{
  echo "$(uname -sr), $(nproc) CPUs, $fstype; medians of $rounds rounds of" \
    "$time s. 1000 ticks a second; jobs that each begins: $jobs, of the kinds" \
    "\`$kinds\`; workers: $workers. Before each run, $forgotten dropped from" \
    "memory. A turn of the loop is from one wait to the next; its time holds" \
    "that of threads which preempted it."
  awk -F, '
    $2 == "idle" { runs++; late += $8 }
    END {
      if (late > runs)
        printf "**Of an idle loop, %.1f %% of the ticks were late by more " \
          "than 1 ms: something else uses this machine.**\n", late / runs
    }' "$out/loop.csv"
}

print_report ()
{
  echo "# How late the ticks of an event loop are"
  echo
  print_notes | fold -s -w 79 | sed 's, *$,,'
  echo
  print_table
}

# Two empty lines end a block.  Every point is a tick, thinned out: the next one
# is 2 % further down.
print_curves ()
{
  for way in $ways
  do
    echo "\"$way\""
    n=$(wc -l <"$work/$way")
    sort -gr "$work/$way" | awk -v n="$n" '
      NR >= next_one { print $1, NR / n; next_one = NR * 1.02 }'
    printf '\n\n'
  done
}

plot ()
{
  LC_ALL=C.UTF-8 gnuplot <<END
    set terminal svg size 800,500 font "sans-serif,13" background "white"
    set output "$out/loop.svg"
    set encoding utf8
    set logscale xy
    set xlabel "lateness, µs"
    set ylabel "share of ticks at least so late"
    set format y "%g"
    set yrange [:1]
    set key bottom left
    set grid
    plot for [i = 0:$(($(echo "$ways" | wc -w) - 1))] "$out/loop.dat" \
      index i using 1:2 with lines linewidth 2 title columnheader(1)
END
}

echo "Making files ..."
make_files || exit
forgotten="all caches were"
forget || forgotten="the contents of files, but no directories and inodes, were"

echo "round,way,p50_us,p90_us,p99_us,p999_us,max_us,late_percent,jobs_per_s,\
longest_turn_us,longest_turn_cpu_us" >"$out/loop.csv"
round=1
while [ $round -le "$rounds" ]
do
  echo "Round $round of $rounds ..."
  for way in $ways
  do
    forget
    "$work/loop" "$way" "$time" "$jobs" "$workers" "$kinds" >"$work/ticks" ||
      exit
    grep -v '#' "$work/ticks" >>"$work/$way"
    evaluate $round "$way" >>"$out/loop.csv"
  done
  round=$((round + 1))
done

print_report >"$out/loop.md"
print_curves >"$out/loop.dat"
if command -v gnuplot >/dev/null
then
  plot
else
  echo "The plot is left out: there is no gnuplot."
fi
cat "$out/loop.md"
