#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# How long clients of examples/fileserver wait for small files that are in
# memory, while others pull large ones that are not: once as it is, and once
# with -s, which does the same file work in its loop.  wrk asks for the small
# ones, bench/pull.py for the large ones.  On a fresh Debian machine too: as
# root it installs what is missing, otherwise it says what that is.
#
#   scripts/bench-fileserver.sh OUTPUT
#
# The directory OUTPUT gets a table (fileserver.md) and the numbers of each run
# (fileserver.csv).  From the environment:
#
#   ROUNDS    the two servers take turns, so many times (5)
#   TIME      of a run, in seconds (4)
#   CLIENTS   of small files: connections of wrk (8)
#   DELAY     milliseconds between an answer and the next request of each (2)
#   PULLERS   of large files (8)
#   WORKERS   of libeio (4)
#   SLOW      bytes a second that the server may read from the disk in the runs
#             called slow (20000000); empty: no such runs
#   WORK      where the files are made, and removed: a directory on a disk
#             (that of OUTPUT)
#   BUILD     where the library was built: without it, it is built here
#
# The slow runs throttle the server by a control group (io.max, or version 1's
# blkio), which needs root; they are left out where that does not work.

source=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$source/scripts/common.sh"
LC_ALL=C
export LC_ALL

if [ $# != 1 ]
then
  echo "Usage: $0 OUTPUT" >&2
  exit 2
fi
rounds=${ROUNDS:-5} time=${TIME:-4} clients=${CLIENTS:-8} delay=${DELAY:-2}
pullers=${PULLERS:-8} workers=${WORKERS:-4} slow=${SLOW-20000000}

# shellcheck disable=SC2086 # a list
need $NEED_BUILD coreutils wrk python3 || exit
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit
work=$(mktemp -d "${WORK:-$out/..}/libeio-fileserver.XXXXXX") || exit
server='' group=''

stop_server ()
{
  [ "$server" ] && kill "$server" && wait "$server"
  server=
}

clean_up ()
{
  cd /
  stop_server
  [ "$group" ] && rmdir "$group"
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

prepare_bench

${CC:-cc} -O2 -D_FILE_OFFSET_BITS=64 -I "$source" -o "$work/fileserver" \
  "$source/examples/fileserver.c" "$BUILD/.libs/libeio.a" -pthread || exit

make_files ()
{
  mkdir "$work/root" && cd "$work/root" &&
    head -c 262144 /dev/urandom | split -b 4096 -a 2 -d - small &&
    for i in $(seq "$pullers")
    do
      head -c 67108864 /dev/urandom >"large$i" || return
    done
  sync
}

# Makes a control group whose processes read no faster than $slow.
make_group ()
{
  device=$(stat -c %d "$work")
  device=$((device >> 8)):$((device & 255))
  if grep -qw io /sys/fs/cgroup/cgroup.subtree_control
  then
    group=/sys/fs/cgroup/libeio-bench.$$
    mkdir "$group" && echo "$device rbps=$slow" >"$group/io.max"
  else
    group=/sys/fs/cgroup/blkio/libeio-bench.$$
    mkdir "$group" &&
      echo "$device $slow" >"$group/blkio.throttle.read_bps_device"
  fi
}

# wrk counts the time from the request to the end of the answer.
make_wrk_script ()
{
  cat >"$work/small.lua" <<END
local n = 0
function request ()
  n = (n + 1) % 64
  return wrk.format ("GET", string.format ("/small%02d", n))
end
function delay () return $delay end
function done (summary, latency)
  local errors = summary.errors
  io.write (string.format ("RESULT %d,%d,%d,%d,%d,%.0f\n",
    latency:percentile (50), latency:percentile (99),
    latency:percentile (99.9), latency.max,
    errors.connect + errors.read + errors.write + errors.status
      + errors.timeout, summary.requests * 1e6 / summary.duration))
end
END
}

# run ROUND DISK WAY
run ()
{
  options=
  [ "$3" = libeio ] || options=-s
  : >"$work/address" # not the last one's
  # shellcheck disable=SC2086 # none or one
  "$work/fileserver" -p 0 -w "$workers" $options "$work/root" \
    >"$work/address" &
  server=$!
  [ "$2" != slow ] || echo "$server" >"$group/cgroup.procs" || exit
  until grep -q : "$work/address"
  do
    sleep 0.1
  done
  port=$(sed 's/.*://' "$work/address")
  cat "$work"/root/small* >/dev/null

  pulled=0
  if [ "$2" != none ]
  then
    python3 "$source/bench/pull.py" 127.0.0.1 "$port" $((time + 1)) \
      "$work"/root/large* >"$work/pulled" &
    puller=$!
    sleep 0.5
  fi
  wrk -t1 -c"$clients" -d"$time" -s "$work/small.lua" \
    "http://127.0.0.1:$port/" >"$work/wrk" || exit
  if [ "$2" != none ]
  then
    wait "$puller" || exit
    pulled=$(cat "$work/pulled")
  fi
  stop_server
  echo "$1,$2,$3,$(sed -n 's/^RESULT //p' "$work/wrk"),$pulled" \
    >>"$out/fileserver.csv"
}

# The medians of the rounds
print_table ()
{
  echo "| large files | file work | p50, ms | p99 | p99.9 | max | errors |" \
    "small files/s | large, MB/s |"
  echo "|---|---|--:|--:|--:|--:|--:|--:|--:|"
  for disk in $disks
  do
    for way in libeio here
    do
      row="| $disk | $way |"
      for column in 4 5 6 7 8 9 10
      do
        row="$row $(grep ",$disk,$way," "$out/fileserver.csv" |
          cut -d, -f $column | sort -g | awk -v column=$column '
            { x[NR] = $1 }
            END {
              y = (x[int ((NR + 1) / 2)] + x[int (NR / 2) + 1]) / 2
              printf column < 8 ? "%.2f" : "%.0f", column < 8 ? y / 1000 : y
            }') |"
      done
      echo "$row"
    done
  done
}

print_report ()
{
  echo "# How long clients wait for small files"
  echo
  {
    echo "$(uname -sr), $(nproc) CPUs, $fstype; medians of $rounds rounds of" \
      "$time s. $clients clients ask for files of 4 KiB in memory, each" \
      "$delay ms after the last answer; $pullers pull cold files of 64 MiB."
    [ "$workers" = 1 ] || echo "$workers workers."
    case $disks in
      *slow*) echo "slow: the server reads $slow bytes a second at most" \
        "from the disk, by a control group." ;;
    esac
  } | fold -s -w 79 | sed 's, *$,,'
  echo
  print_table
}

echo "Making files ..."
make_files && make_wrk_script || exit
disks="none disk"
if [ "$slow" ]
then
  if make_group 2>/dev/null
  then
    disks="$disks slow"
  else
    echo "The slow runs are left out: there are no control groups for that."
  fi
fi

echo "round,disk,way,p50_us,p99_us,p999_us,max_us,errors,per_s,large_mb_s" \
  >"$out/fileserver.csv"
round=1
while [ $round -le "$rounds" ]
do
  echo "Round $round of $rounds ..."
  for disk in $disks
  do
    for way in libeio here
    do
      run $round "$disk" $way
    done
  done
  round=$((round + 1))
done

print_report >"$out/fileserver.md"
cat "$out/fileserver.md"
