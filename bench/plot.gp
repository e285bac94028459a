# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Draws a case: gnuplot -e "data = '...'; what = '...'; file = '...'".  The
# data begins with a comment that names the peers.  Each line is a depth, and
# for each peer 3 columns of operations/s (median, quartiles) and 3 of CPU µs.

set terminal svg size 960, 400 dynamic font "sans-serif,13" background "white"
set output file
set datafile missing "-"
set style data histograms
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.8 noborder
set errorbars linecolor rgb "black"
set logscale y
set format y "%.0s%c"
set grid y
set key noenhanced outside above horizontal
set xlabel "requests outstanding"

peers = system ("sed -n '1s/^# //p' '" . data . "'")

set multiplot layout 1, 2 title what noenhanced
set title "operations/s: more is better"
plot for [i = 1 : words (peers)] data \
  using (column (6 * i - 4)):\
    (column (6 * i - 3)):(column (6 * i - 2)):xtic (1) \
  title word (peers, i) linecolor i
set title "CPU µs a request: less is better"
set format y "%g"
plot for [i = 1 : words (peers)] data \
  using (column (6 * i - 1)):\
    (column (6 * i)):(column (6 * i + 1)):xtic (1) \
  title word (peers, i) linecolor i
unset multiplot
