/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* For rooms that include eio.c with something happening between the steps of
 * its protocols, whose names are those of its functions, and of doc/model:
 * before each atomic operation, point () is called with the function's name.
 * The room has it declared before it includes this, and replaces locks,
 * threads and what else it likes itself.  Include before support.h. */

#ifndef TESTS_POINTS_H_
#define TESTS_POINTS_H_

#include "ecb.h"

#undef ecb_load_relaxed
#undef ecb_store_relaxed
#undef ecb_load_acquire
#undef ecb_store_release
#undef ecb_load_seq_cst
#undef ecb_store_seq_cst
#undef ecb_add_relaxed
#undef ecb_or_relaxed
#undef ecb_swap_acquire
#undef ecb_swap_seq_cst
#undef ecb_add_seq_cst
#undef ecb_cas_seq_cst

/* Those that are read over and over again, and are for nobody to wait for,
 * count only where they are written. */
#define ecb_load_relaxed(lvalue) __atomic_load_n (&(lvalue), __ATOMIC_RELAXED)
#define ecb_store_relaxed(lvalue, value) \
  (point (__func__), __atomic_store_n (&(lvalue), (value), __ATOMIC_RELAXED))
#define ecb_load_acquire(lvalue) \
  (point (__func__), __atomic_load_n (&(lvalue), __ATOMIC_ACQUIRE))
#define ecb_store_release(lvalue, value) \
  (point (__func__), __atomic_store_n (&(lvalue), (value), __ATOMIC_RELEASE))
#define ecb_load_seq_cst(lvalue) \
  (point (__func__), __atomic_load_n (&(lvalue), __ATOMIC_SEQ_CST))
#define ecb_store_seq_cst(lvalue, value) \
  (point (__func__), __atomic_store_n (&(lvalue), (value), __ATOMIC_SEQ_CST))
#define ecb_add_relaxed(lvalue, value) \
  (point (__func__), __atomic_fetch_add (&(lvalue), (value), __ATOMIC_RELAXED))
#define ecb_or_relaxed(lvalue, value) \
  (point (__func__), __atomic_fetch_or (&(lvalue), (value), __ATOMIC_RELAXED))
#define ecb_add_seq_cst(lvalue, value) \
  (point (__func__), __atomic_fetch_add (&(lvalue), (value), __ATOMIC_SEQ_CST))
#define ecb_swap_acquire(lvalue, value) \
  (point (__func__), \
   __atomic_exchange_n (&(lvalue), (value), __ATOMIC_ACQUIRE))
#define ecb_swap_seq_cst(lvalue, value) \
  (point (__func__), \
   __atomic_exchange_n (&(lvalue), (value), __ATOMIC_SEQ_CST))
/* This one fails for no other reason, so that a run can be repeated. */
#define ecb_cas_seq_cst(lvalue, expected, value) \
  (point (__func__), \
   __atomic_compare_exchange_n (&(lvalue), &(expected), (value), 0, \
                                __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))

#endif
