#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Compares the library with its peers: libuv's thread pool, POSIX AIO,
# io_uring, and plain system calls.  On a fresh Debian machine too: as root it
# installs what is missing, otherwise it says what that is, and goes on
# without the peer.
#
#   scripts/bench.sh [OPTION...] [WORKDIR]
#
#   --quick          3 short rounds, to see that everything works
#   --rounds N       so many rounds (11)
#   --ms N           so many milliseconds a run (what four minutes allow)
#   --case LIST      of nop stat read open openclose write cold fsync idle-nop
#                    idle-read submit4-nop submit4-read burst; or "all" (all
#                    but open)
#   --depth LIST     requests outstanding, for the cases up to fsync
#   --workers LIST   numbers of workers, for the same
#   --libeio DIR     also compares the eio.c in DIR; may be given again
#   --out DIR        where results go (bench-results)
#
# Lists are words in one argument, such as --depth "1 32".  The files that the
# runs read and write are made in a new directory in WORKDIR (the output's),
# and removed.  Results: report.md, results.csv, an SVG plot for each case.
# What is compiled is in DIR/build, and is used again.

source=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$source/scripts/common.sh"
LC_ALL=C
export LC_ALL

BUDGET=230 # seconds for all runs, where --ms does not say otherwise
ALL_CASES="nop stat read openclose write cold fsync idle-nop idle-read \
submit4-nop submit4-read burst"

usage ()
{
  sed -n 's/^# \{0,1\}//; /scripts\/bench.sh \[/,/^What is/p' "$0" >&2
  exit 2
}

is_number ()
{
  case $1 in
    '' | 0* | *[!0-9]*) usage ;;
  esac
}

rounds=11 ms='' cases=$ALL_CASES depths='' workers='' out=bench-results
dirs='' # one a line
while [ $# -gt 0 ]
do
  case $1 in
    --quick) rounds=3 ms=${ms:-20}; shift; continue ;;
    --rounds | --ms | --case | --depth | --workers | --libeio | --out)
      [ $# -gt 1 ] || usage ;;
    -*) usage ;;
    *) [ $# = 1 ] || usage; break ;;
  esac
  case $1 in
    --rounds) is_number "$2"; rounds=$2 ;;
    --ms) is_number "$2"; ms=$2 ;;
    --case) [ "$2" = all ] || cases=$2 ;;
    --depth) depths=$2 ;;
    --workers) workers=$2 ;;
    --out) out=$2 ;;
    --libeio)
      [ -f "$2/eio.c" ] || { echo "$0: no eio.c in $2" >&2; exit 2; }
      dirs="$dirs$(cd "$2" && pwd)
" ;;
  esac
  shift 2
done

mkdir -p "$out/build" && out=$(cd "$out" && pwd) || exit
build=$out/build
work=$(mktemp -d "${1:-$out}/bench.XXXXXX") && work=$(cd "$work" && pwd) ||
  exit
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

need gcc libc6-dev autoconf pkg-config || exit
for package in libuv1-dev liburing-dev gnuplot-nox
do
  need $package || echo "Going on without $package."
done

# A config.h, as a program gets it that vendors eio.c.
configure_here ()
{
  [ -z "$(find "$build/config.h" -newer "$source/libeio.m4" 2>/dev/null)" ] ||
    return 0
  cat >"$build/configure.ac" <<END
AC_INIT([bench], [0])
AC_CONFIG_HEADERS([config.h])
AC_PROG_CC
m4_include([$source/libeio.m4])
AC_OUTPUT
END
  (cd "$build" && autoheader && autoconf && ./configure) \
    >"$build/log" 2>&1 || { tail -n 20 "$build/log" >&2; return 1; }
}

# leave_out PEER WHY: says so, now and in the results.  Fails.
leave_out ()
{
  echo "$1 is left out: $2." >&2
  absent="${absent}0,$1,,,,left out: $2,,,,,,,,
"
  false
}

# compile NAME SOURCE FLAG...: makes bench-NAME, and notes that there is one.
compile ()
{
  name=$1 file=$2
  shift 2
  if ${CC:-cc} -O2 -pthread -D_FILE_OFFSET_BITS=64 -o "$build/bench-$name" \
    "$source/bench/driver.c" "$source/bench/$file" "$@" >"$build/log" 2>&1
  then
    peers="$peers $name"
  else
    grep -m 3 'error' "$build/log" >&2
    leave_out "$name" "it does not compile"
  fi
}

# compile_eio NAME DIR FLAG...
compile_eio ()
{
  name=$1 dir=$2
  shift 2
  compile "$name" peer_eio.c "-I$dir" "-I$build" "$@" && pools="$pools $name"
}

compile_package ()
{
  if pkg-config --exists "$3"
  then
    # shellcheck disable=SC2046 # a list
    compile "$1" "$2" $(pkg-config --cflags --libs "$3")
  else
    leave_out "$1" "there is no $3"
  fi
}

# The other directories are called by their last component.
compile_others ()
{
  while read -r dir
  do
    [ "$dir" ] || continue
    other=$(basename "$dir" | tr -c 'A-Za-z0-9._\n-' _)
    case " $peers aio uv uring sync eio-inline " in
      *" $other "*) other=$other-other ;;
    esac
    compile_eio "$other" "$dir" && others="$others $other"
  done <<END
$dirs
END
}

echo "Building in $build ..."
peers='' pools='' others='' absent=''
configure_here && compile_eio eio "$source" || exit
if grep -q 'eio_set_inline *(' "$source/eio.h"
then
  compile_eio eio-inline "$source" -DPEER_INLINE=16384
fi
compile_others
compile_package uv peer_uv.c libuv && pools="$pools uv"
compile_package uring peer_uring.c liburing
compile aio peer_aio.c
compile sync peer_sync.c || exit

# What is measured: depths of a case, numbers of workers of a case and depth.
depths_of ()
{
  case $1 in
    idle-*) echo 1 32 ;;
    submit4-*) echo 32 ;;
    burst) echo 512 ;;
    *) [ "$depths" ] && echo "$depths" && return
       case $1 in
         cold) echo 1 128 ;;
         write | fsync) echo 1 32 ;;
         *) echo 1 32 1024 ;;
       esac ;;
  esac
}

workers_of ()
{
  case $1 in
    idle-*) echo 0 1000 ;;
    submit4-*) echo 4 ;;
    burst) echo 512 ;;
    *) [ "$workers" ] && echo "$workers" && return
       case $1-$2 in
         cold-128) echo 64 ;;
         nop-* | stat-* | read-* | open-* | openclose-*) echo 1 4 ;;
         *) echo 4 ;;
       esac ;;
  esac
}

# PEER:WORKERS... of a case and depth.  io_uring has no workers; plain calls
# have no depth, and so are compared at depth 1, or with submitting threads.
entries_of ()
{
  for n in $(workers_of "$1" "$2")
  do
    for peer in $pools aio
    do
      case " $peers " in
        *" $peer "*) echo "$peer:$n" ;;
      esac
    done
  done
  case " $peers " in
    *" uring "*) echo uring:0 ;;
  esac
  case $1-$2 in
    submit4-*) echo sync:4 ;;
    idle-*-* | burst-*) echo sync:1 ;;
    *-1) echo sync:1 sync:2 ;;
  esac
}

# Runs one: ROUND PEER:WORKERS CASE DEPTH MS.  Fails when it is not to be tried
# again, and says in the results why.  A peer that hangs a second time is not
# tried with anything any more.
run ()
{
  peer=${2%%:*} count=${2##*:}
  case "$hung " in
    *" $peer "*" $peer "*) return 1 ;;
  esac
  line=$(timeout --foreground -k 1 $((5 + $5 / 100)) "$build/bench-$peer" \
    "$peer" "$3" "$4" "$count" "$5" "$work" 2>"$build/log" </dev/null)
  case $? in
    0) ;;
    3) echo "$1,$line" >>"$results"; return 1 ;;
    124 | 137) hung="$hung $peer "
         line=$peer,$3,$4,$count,'hung: killed',,,,,,,, ;;
    *) line=$peer,$3,$4,$count,"failed: $(head -n 1 "$build/log" |
         tr ',"' '; ')",,,,,,,, ;;
  esac
  echo "$1,$line" >>"$results"
  case $line in
    *,ok,*) ;;
    *) echo "$line" | tr -s , ' ' >&2; return 1 ;;
  esac
}

# Runs a row: ROUND CASE DEPTH MS ENTRY...  What can be tried again is added to
# $plan, and in another order: the first comes last.
run_row ()
{
  round=$1 case=$2 depth=$3 length=$4 kept=''
  shift 4
  for entry
  do
    run "$round" "$entry" "$case" "$depth" "$length" && kept="$kept $entry"
  done
  # shellcheck disable=SC2086 # a list
  set -- $kept
  if [ "$round" -gt 0 ] && [ $# -gt 1 ]
  then
    first=$1
    shift
    set -- "$@" "$first"
  fi
  [ $# = 0 ] || plan="$plan$case $depth $*
"
}

# Runs all rows of the plan: ROUND MS.  What failed is not in the plan after.
run_round ()
{
  rows=$plan plan=
  while read -r case depth entries
  do
    # shellcheck disable=SC2086 # a list
    [ -z "$case" ] || run_row "$1" "$case" "$depth" "$2" $entries
  done <<END
$rows
END
}

plan="" hung=""
for case in $cases
do
  for depth in $(depths_of "$case")
  do
    plan="$plan$case $depth $(entries_of "$case" "$depth" | tr '\n' ' ')
"
  done
done

now ()
{
  date +%s.%N
}

results=$out/results.csv
echo "round,peer,case,depth,workers,status,ops_s,cpu_us,p50_us,p99_us,\
p999_us,switches,submit_us,total_us" >"$results"
printf %s "$absent" >>"$results"
"$build/bench-sync" --prepare "$cases" "$work" || exit

# Each once, very short: that shows what is not possible, and how long it takes
# to begin and to end.
echo "Trying out ..."
begun=$(now)
run_round 0 1
sed -i '/^0,.*,ok,/d' "$results"
runs=$(echo "$plan" | awk 'NF { n += NF - 2 } END { print n + 0 }')
ms=${ms:-$(awk -v budget=$BUDGET -v rounds="$rounds" -v runs="$runs" \
  -v begun="$begun" -v ended="$(now)" 'BEGIN {
    # The warm-up is a quarter more.
    ms = 1000 * (budget / rounds - (ended - begun)) / (runs + !runs) / 1.25
    print int (ms < 10 ? 10 : ms > 250 ? 250 : ms)
  }')}

round=1
while [ $round -le "$rounds" ]
do
  echo "Round $round of $rounds: $runs runs of $ms ms ..."
  run_round $round "$ms"
  round=$((round + 1))
done

# The head of the report: what was measured, where.
version_of ()
{
  pkg-config --modversion "$1" 2>/dev/null || echo none
}

print_memory ()
{
  printf '\n## Memory of this library\n\n'
  ${CC:-cc} -O2 -pthread -D_FILE_OFFSET_BITS=64 "-I$source" "-I$build" \
    -o "$build/bench-memory" "$source/bench/memory.c" && "$build/bench-memory"
}

print_head ()
{
  cat <<END
# Benchmark

$(date -u +%F); $(uname -srm); $(nproc) of $(getconf _NPROCESSORS_ONLN) CPUs,\
 $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1);\
 file system $(stat -f -c %T "$work");\
 $(${CC:-cc} --version | head -n 1), -O2; libuv $(version_of libuv); liburing\
 $(version_of liburing); $(getconf GNU_LIBC_VERSION 2>/dev/null).

$rounds rounds of $runs runs of $ms ms each, after a warm-up of a quarter of
that.

END
}

{
  print_head
  plots=$build
  command -v gnuplot >/dev/null || plots=
  rm -f "$build"/plot-*.dat "$out"/*.svg
  awk -v others="$others" -v plots="$plots" -f "$source/bench/report.awk" \
    "$results"
  print_memory
} >"$out/report.md"

if command -v gnuplot >/dev/null
then
  for data in "$build"/plot-*.dat
  do
    [ -f "$data" ] || continue
    case=${data##*/plot-} case=${case%.dat}
    gnuplot -e "data = '$data'; what = '$case'; file = '$out/$case.svg'" \
      "$source/bench/plot.gp" || echo "There is no plot of $case." >&2
  done
else
  echo "There are no plots: gnuplot is missing." >&2
fi
echo "Results are in $out/report.md"
