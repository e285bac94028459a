# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Makes Markdown tables out of results.csv, which scripts/bench.sh writes.
#
#   awk [-v others="NAME..."] [-v plots=DIR] -f report.awk results.csv
#
# others are further libraries with the same API.  With plots, data for
# plot.gp goes into DIR, a file for each case.
#
# A figure is the median of the rounds, with its spread: the quartiles.  A
# ratio is taken in each round, between runs next to each other in time; then
# come median and quartiles.

BEGIN {
  FS = ","
  OPS = 1; CPU = 2; P50 = 3; P99 = 4; P999 = 5; SWITCHES = 6; SUBMIT = 7
  TOTAL = 8
  SLEEP_US = 20000 # BENCH_SLEEP_MS

  # Over libuv, over another library with the same API; answers at once over
  # libuv.
  target("nop", 1, 2.5, 2, 0); target("nop", 32, 2, 2.4, 0)
  target("nop", 1024, 1.5, 2.5, 0)
  target("read", 1, 2, 2, 10); target("openclose", 1, 2, 2, 10)
  target("stat", 1, 2, 2, 5)
  n = split("stat read openclose", names, " ")
  for (i = 1; i <= n; i++)
    {
      target(names[i], 32, 1.5, 1.5, 0)
      target(names[i], 1024, 1.2, 1.2, 0)
    }
}

function target(what, depth, uv, other, inline)
{
  over_uv[what, depth] = uv
  over_other[what, depth] = other
  inline_over_uv[what, depth] = inline
}

# Fields: round, peer, case, depth, workers, status, figures.
FNR == 1 { next }

# What is not possible is told once for all cases of a peer.
$6 != "ok" {
  why = $2 ": " $6
  if ($5 != "" && $6 !~ /^not possible/)
    why = why " (" $5 " workers, depth " $4 ")"
  if (!(why in without))
    whys[++why_count] = why
  if (index(without[why] ", ", " " $3 ",") == 0)
    without[why] = without[why] (without[why] ? ", " : " ") $3
  next
}

{
  row = $3 SUBSEP $4
  run = row SUBSEP $2 SUBSEP $5
  if (!($3 in depths))
    cases = cases " " $3
  if (!(row in runs))
    depths[$3] = depths[$3] " " $4
  if (!(run in known))
    {
      known[run] = 1
      runs[row] = runs[row] " " $2 ":" $5
    }
  for (i = OPS; i <= TOTAL; i++)
    value[run, i, $1] = $(6 + i)
  if ($1 > rounds)
    rounds = $1
}

# The quartiles of list[1..n]: sets low, mid and high.  Returns n.
function quartiles(n,    i, j, x)
{
  for (i = 2; i <= n; i++)
    {
      x = list[i]
      for (j = i - 1; j >= 1 && list[j] > x; j--)
        list[j + 1] = list[j]
      list[j + 1] = x
    }
  low = quantile(n, .25)
  mid = quantile(n, .5)
  high = quantile(n, .75)
  return n
}

function quantile(n, part,    at, i)
{
  if (!n)
    return 0
  at = 1 + (n - 1) * part
  i = int(at)
  return i >= n ? list[n] : list[i] + (at - i) * (list[i + 1] - list[i])
}

function of_run(run, figure,    round, n)
{
  n = 0
  for (round = 1; round <= rounds; round++)
    if ((run, figure, round) in value)
      list[++n] = value[run, figure, round]
  return quartiles(n)
}

function of_ratio(a, b, figure,    round, n)
{
  n = 0
  for (round = 1; round <= rounds; round++)
    if ((a, figure, round) in value && (b, figure, round) in value \
        && value[b, figure, round] > 0)
      list[++n] = value[a, figure, round] / value[b, figure, round]
  return quartiles(n)
}

# Three significant digits.
function number(x)
{
  if (x >= 999500)
    return number(x / 1e6) " M"
  if (x >= 9995)
    return number(x / 1e3) " k"
  return sprintf(x >= 99.95 ? "%.0f" : x >= 9.995 ? "%.1f" : "%.2f", x)
}

function spread(n)
{
  return n ? number(mid) " (" number(low) "–" number(high) ")" : "–"
}

function figure_of(run, figure)
{
  return spread(of_run(run, figure))
}

# What is faster is said only when the quartiles agree.
function ratio_of(a, b, figure,    n)
{
  if (!(a in known) || !(b in known) || a == b \
      || !(n = of_ratio(a, b, figure)))
    return "–"
  if (low <= 1 && high >= 1)
    return "no difference shown (" number(low) "–" number(high) ")"
  return "× " spread(n)
}

# A cell with a ratio, and one that compares it with a target: at least, or at
# most.
function judged(text, limit, most)
{
  if (text == "–" || !limit)
    return text " | " (limit ? (most ? "≤ " : "≥ ") limit : "–")
  return text " | " (most ? "≤ " : "≥ ") limit ": " verdict(limit, most)
}

# About the median and quartiles that were computed last.
function verdict(limit, most)
{
  if (most ? high <= limit : low >= limit)
    return "met"
  if (most ? low > limit : high < limit)
    return "**missed**"
  return (most ? mid <= limit : mid >= limit) ? "met, just" : "missed, just"
}

# As judged, of a ratio; the ratio is printed even where it covers 1.
function judged_ratio(a, b, figure, limit, most)
{
  if (!(a in known) || !(b in known) || !of_ratio(a, b, figure))
    return judged("–", limit, most)
  return judged(spread(1), limit, most)
}

function judged_figure(run, figure, limit, most)
{
  if (!(run in known) || !of_run(run, figure))
    return judged("–", limit, most)
  return judged(spread(1), limit, most)
}

# The run of a peer with the most operations a second, of those numbers of
# workers, or of all.
function best(row, peer, allowed,    list_, n, i, part, run, top, found)
{
  n = split(runs[row], list_, " ")
  found = ""
  top = 0
  for (i = 1; i <= n; i++)
    {
      split(list_[i], part, ":")
      if (part[1] != peer || (allowed && !index(allowed, " " part[2] " ")))
        continue
      run = row SUBSEP peer SUBSEP part[2]
      of_run(run, OPS)
      if (mid > top)
        {
          top = mid
          found = run
        }
    }
  return found
}

function workers_of(run,    part)
{
  split(run, part, SUBSEP)
  return run == "" ? "–" : part[4]
}

function cell_of_workers(peer, count)
{
  return peer ~ /^uring$/ ? "–" : count
}

function print_case(what,    n, i, list_)
{
  print "## " what "\n"
  if (plots && write_plot(what))
    print "![" what "](" what ".svg)\n"
  print "| depth | peer | workers | operations/s | CPU µs | p50 µs | p99 µs" \
    " | p99.9 µs | switches | speed of eio over it |"
  print "|---|---|---|---|---|---|---|---|---|---|"
  n = split(depths[what], list_, " ")
  for (i = 1; i <= n; i++)
    print_row(what SUBSEP list_[i], list_[i])
  print ""
}

function print_row(row, depth,    n, i, list_, part, run, ours)
{
  n = split(runs[row], list_, " ")
  for (i = 1; i <= n; i++)
    {
      split(list_[i], part, ":")
      run = row SUBSEP part[1] SUBSEP part[2]
      ours = row SUBSEP "eio" SUBSEP part[2]
      if (part[1] == "uring" || part[1] == "sync" || !(ours in known))
        ours = best(row, "eio", "")
      print "| " depth " | " part[1] " | " \
        cell_of_workers(part[1], part[2]) " | " figure_of(run, OPS) " | " \
        figure_of(run, CPU) " | " figure_of(run, P50) " | " \
        figure_of(run, P99) " | " figure_of(run, P999) " | " \
        figure_of(run, SWITCHES) " | " ratio_of(ours, run, OPS) " |"
    }
}

# Each peer with its best number of workers.  The first line names the peers.
function write_plot(what,    file, n, m, i, j, list_, names, run)
{
  file = plots "/plot-" what ".dat"
  m = peers_of(what, names)
  printf "#" >file
  for (j = 1; j <= m; j++)
    printf " %s", names[j] >file
  n = split(depths[what], list_, " ")
  for (i = 1; i <= n; i++)
    {
      printf "\n%s", list_[i] >file
      for (j = 1; j <= m; j++)
        {
          run = best(what SUBSEP list_[i], names[j], "")
          printf " %s %s", plotted(run, OPS), plotted(run, CPU) >file
        }
    }
  print "" >file
  close(file)
  return 1
}

function plotted(run, figure)
{
  if (run == "")
    return "- - -"
  of_run(run, figure)
  return mid " " low " " high
}

function peers_of(what, names,    n, i, j, k, m, list_, entry, part, seen)
{
  m = 0
  n = split(depths[what], list_, " ")
  for (i = 1; i <= n; i++)
    {
      k = split(runs[what, list_[i]], entry, " ")
      for (j = 1; j <= k; j++)
        {
          split(entry[j], part, ":")
          if (!(part[1] in seen))
            names[++m] = part[1]
          seen[part[1]] = 1
        }
    }
  return m
}

function print_targets(    n, i, m, j, what, list_, names)
{
  print "## Targets\n"
  print "Ratios of operations/s; for each pool, the better of 1 and 4" \
    " workers. A target is\nmet, or missed, where the quartiles agree about" \
    " it, and else \"just\".\n"
  m = split(others, names, " ")
  printf "| case | depth | workers eio : uv | eio over uv | target |"
  for (j = 1; j <= m; j++)
    printf " eio over %s | target |", names[j]
  print " eio-inline over uv | target |"
  printf "|---|---|---|---|---|---|---|"
  for (j = 1; j <= m; j++)
    printf "---|---|"
  print ""
  n = split("nop 1 nop 32 nop 1024 read 1 read 32 read 1024 openclose 1" \
            " openclose 32 openclose 1024 stat 1 stat 32 stat 1024", list_,
            " ")
  for (i = 1; i < n; i += 2)
    if ((list_[i], list_[i + 1]) in runs)
      print_target_row(list_[i], list_[i + 1], names, m)
  print ""
}

function print_target_row(what, depth, names, m,    j, row, ours, uv)
{
  row = what SUBSEP depth
  ours = best(row, "eio", " 1 4 ")
  uv = best(row, "uv", " 1 4 ")
  printf "| %s | %s | %s : %s | %s |", what, depth, workers_of(ours),
    workers_of(uv), judged_ratio(ours, uv, OPS, over_uv[row])
  for (j = 1; j <= m; j++)
    printf " %s |", judged_ratio(ours, best(row, names[j], " 1 4 "), OPS,
                                 over_other[row])
  printf " %s |\n", judged_ratio(best(row, "eio-inline", " 1 4 "), uv, OPS,
                                 inline_over_uv[row])
}

# CPU a request and context switches, of the same runs.
function print_costs(    n, i, list_, row, part, ours, uv)
{
  print "CPU time a request, and context switches a request; open+close is" \
    " two requests.\n"
  print "| case | depth | CPU µs eio | CPU µs uv | eio over uv | target |" \
    " switches eio | target |"
  print "|---|---|---|---|---|---|---|---|"
  n = split("nop 1 nop 32 nop 1024 read 1 read 32 read 1024 openclose 1" \
            " openclose 32 openclose 1024 stat 1 stat 32 stat 1024", list_,
            " ")
  for (i = 1; i < n; i += 2)
    {
      row = list_[i] SUBSEP list_[i + 1]
      if (!(row in runs))
        continue
      ours = best(row, "eio", " 1 4 ")
      uv = best(row, "uv", " 1 4 ")
      print "| " list_[i] " | " list_[i + 1] " | " figure_of(ours, CPU) \
        " | " figure_of(uv, CPU) " | " judged_ratio(ours, uv, CPU, 1, 1) \
        " | " judged_figure(ours, SWITCHES, list_[i + 1] != 1 ? 0 \
                            : list_[i] == "openclose" ? 4.2 : 2.1, 1) " |"
    }
  print ""
}

function print_others(    row)
{
  print "| | figure | target |"
  print "|---|---|---|"
  print "| answers at once over io_uring: read, depth 1 | " \
    judged_ratio(best("read" SUBSEP 1, "eio-inline", ""),
                 best("read" SUBSEP 1, "uring", ""), OPS, .9) " |"
  row = "cold" SUBSEP 128
  print "| eio over io_uring: cold, depth 128, 64 workers | " \
    judged_ratio(best(row, "eio", " 64 "), best(row, "uring", ""), OPS,
                 .9) " |"
  print ""
}

function print_idle(    n, i, k, j, list_, entry, part, row, none)
{
  print "## 1000 idle workers\n"
  print "eio: a limit of 1000 workers, and none or 1000 started ahead; uv: a" \
    " pool of 4, or\nof 1000.\n"
  print "| case | depth | peer | operations/s, none | 1000 idle" \
    " | 1000 idle over none | target |"
  print "|---|---|---|---|---|---|---|"
  n = split("idle-nop 1 idle-nop 32 idle-read 1 idle-read 32", list_, " ")
  for (i = 1; i < n; i += 2)
    {
      row = list_[i] SUBSEP list_[i + 1]
      k = split(runs[row], entry, " ")
      for (j = 1; j <= k; j++)
        {
          split(entry[j], part, ":")
          if (part[2] != 0)
            continue
          none = row SUBSEP part[1] SUBSEP 0
          run = row SUBSEP part[1] SUBSEP 1000
          print "| " list_[i] " | " list_[i + 1] " | " part[1] " | " \
            figure_of(none, OPS) " | " figure_of(run, OPS) " | " \
            judged_ratio(run, none, OPS, part[1] ~ /^eio/ ? .9 : 0) " |"
        }
    }
  print ""
}

function print_burst(    n, i, entry, part, run, ours)
{
  print "## Burst\n"
  print "512 requests at once, each of which blocks its worker for 20 ms, on" \
    " a pool of up to\n512 workers, none of which has been started.  The" \
    " ideal is 20 ms for all.\n"
  print "| peer | µs to submit all | target | all done, in ideals | target |" \
    " CPU µs | speed of eio over it |"
  print "|---|---|---|---|---|---|---|"
  n = split(runs["burst", 512], entry, " ")
  ours = "burst" SUBSEP 512 SUBSEP "eio" SUBSEP 512
  for (i = 1; i <= n; i++)
    {
      split(entry[i], part, ":")
      run = "burst" SUBSEP 512 SUBSEP part[1] SUBSEP part[2]
      print "| " part[1] " | " \
        judged_figure(run, SUBMIT, part[1] ~ /^eio/ ? 1000 : 0, 1) " | " \
        judged_ideals(run, part[1] ~ /^eio/ ? 1.3 : 0) " | " \
        figure_of(run, CPU) " | " ratio_of(ours, run, OPS) " |"
    }
  print ""
}

function judged_ideals(run, limit,    n)
{
  n = of_run(run, TOTAL)
  low /= SLEEP_US
  mid /= SLEEP_US
  high /= SLEEP_US
  return judged(spread(n), limit, 1)
}

function print_notes(    i)
{
  if (why_count)
    print "## Left out\n"
  for (i = 1; i <= why_count; i++)
    print "- " whys[i] \
      (without[whys[i]] != " " ? ":" without[whys[i]] : "")
}

END {
  print "A figure is the median of the rounds (and its quartiles). A ratio is" \
    " taken\nwithin each round, where the runs to be compared follow each" \
    " other, in an order\nthat rotates; \"no difference shown\" is where" \
    " its quartiles include 1.\n"
  print "CPU µs and switches are a request's, of the whole process. eio is" \
    " this library;\nsync is plain system calls, by so many threads; workers" \
    " of io_uring are the\nkernel's.\n"
  print_targets()
  print_costs()
  print_others()

  n = split(cases, names, " ")
  for (c = 1; c <= n; c++)
    if (names[c] == "burst")
      print_burst()
    else if (names[c] == "idle-nop" || (names[c] == "idle-read" \
             && cases !~ / idle-nop/))
      print_idle()
    else if (names[c] != "idle-read")
      print_case(names[c])
  print_notes()
}
