/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What one thread of driver.c records: a clock, a histogram of latencies, and
 * random numbers; and what it reads from getrusage. */

#ifndef BENCH_RECORDER_H_
#define BENCH_RECORDER_H_

#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

/* Log-linear: a bucket is at most a 32nd of its value wide. */
enum
{
  SUB_BITS = 5,
  SUBS = 1 << SUB_BITS,
  BUCKETS = (64 - SUB_BITS + 1) * SUBS
};

/* What one thread sees done. */
struct recorder
{
  uint64_t random;
  uint64_t begun, ended; /* ns, or 0: not yet */
  uint64_t count;
  struct rusage before, after; /* when it began and ended */
  uint64_t buckets[BUCKETS];
};

static uint64_t
clock_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int
bucket_of (uint64_t value)
{
  int shift;

  if (value < SUBS)
    return (int)value;
  shift = 63 - __builtin_clzll (value) - SUB_BITS;
  return (shift + 1) * SUBS + (int)(value >> shift & (SUBS - 1));
}

/* The middle of a bucket. */
static double
value_of (int bucket)
{
  int shift = bucket / SUBS - 1;

  if (shift < 0)
    return bucket;
  return (SUBS + bucket % SUBS + .5) * (double)(1ull << shift);
}

static double
percentile (const struct recorder *sum, double part)
{
  double rank = part * (double)sum->count;
  uint64_t seen = 0;
  int bucket;

  for (bucket = 0; bucket < BUCKETS - 1; bucket++)
    {
      seen += sum->buckets[bucket];
      if ((double)seen >= rank && seen)
        break;
    }
  return value_of (bucket);
}

static uint64_t
random_next (struct recorder *recorder)
{
  uint64_t x = recorder->random;

  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return recorder->random = x;
}

static double
cpu_us (const struct rusage *usage)
{
  return 1e6 * (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec)
         + (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static double
switches (const struct rusage *usage)
{
  return (double)(usage->ru_nvcsw + usage->ru_nivcsw);
}

#endif /* BENCH_RECORDER_H_ */
