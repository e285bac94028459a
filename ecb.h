/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What the library needs of the compiler beyond ISO C.  Names that other
 * vendored libraries bring too are defined only if they are not yet. */

#ifndef EIO_ECB_H_
#define EIO_ECB_H_

#if defined __GNUC__ || defined __clang__
# define EIO_ECB_ATTRIBUTE(list) __attribute__ (list)
# define EIO_ECB_EXPECT(expr, value) __builtin_expect ((expr), (value))
#else
# define EIO_ECB_ATTRIBUTE(list)
# define EIO_ECB_EXPECT(expr, value) (expr)
#endif

#ifndef ecb_cold
# define ecb_cold EIO_ECB_ATTRIBUTE ((__cold__))
#endif
#ifndef ecb_noinline
# define ecb_noinline EIO_ECB_ATTRIBUTE ((__noinline__))
#endif
#ifndef ecb_unused
# define ecb_unused EIO_ECB_ATTRIBUTE ((__unused__))
#endif

/* Runs when the program or library is loaded, where that can be. */
#ifndef ecb_constructor
# define ecb_constructor EIO_ECB_ATTRIBUTE ((__constructor__))
#endif

#ifndef ecb_inline
# if defined __GNUC__ || defined __clang__
#  define ecb_inline static __inline__
# elif defined __cplusplus || __STDC_VERSION__ >= 199901L
#  define ecb_inline static inline
# else
#  define ecb_inline static
# endif
#endif

#ifndef ecb_expect_true
# define ecb_expect_true(expr) EIO_ECB_EXPECT (!!(expr), 1)
#endif
#ifndef ecb_expect_false
# define ecb_expect_false(expr) EIO_ECB_EXPECT (!!(expr), 0)
#endif

/* Memory will be read soon. */
#ifndef ecb_prefetch
# if defined __GNUC__ || defined __clang__
#  define ecb_prefetch(addr, rw, locality) \
    __builtin_prefetch (addr, rw, locality)
# else
#  define ecb_prefetch(addr, rw, locality) ((void)(addr))
# endif
#endif

/* The number of the highest bit that is set, of an unsigned that is not 0. */
#ifndef ecb_top_bit
# define ecb_top_bit(x) \
  ((int)(sizeof (unsigned) * 8 - 1) - __builtin_clz (x))
#endif

/* Atomic access to plain integers of int size or less, and pointers.
 * <stdatomic.h> is not used because some live in structs that C++ and old C
 * dialects see too.  Order comes from the locks, so relaxed is enough; where
 * it is not, the use names its partner. */
#define ecb_load_relaxed(lvalue) \
  __atomic_load_n (&(lvalue), __ATOMIC_RELAXED)
#define ecb_store_relaxed(lvalue, value) \
  __atomic_store_n (&(lvalue), (value), __ATOMIC_RELAXED)
#define ecb_load_acquire(lvalue) \
  __atomic_load_n (&(lvalue), __ATOMIC_ACQUIRE)
#define ecb_store_release(lvalue, value) \
  __atomic_store_n (&(lvalue), (value), __ATOMIC_RELEASE)
#define ecb_load_seq_cst(lvalue) \
  __atomic_load_n (&(lvalue), __ATOMIC_SEQ_CST)
#define ecb_store_seq_cst(lvalue, value) \
  __atomic_store_n (&(lvalue), (value), __ATOMIC_SEQ_CST)
#define ecb_add_relaxed(lvalue, value) \
  __atomic_fetch_add (&(lvalue), (value), __ATOMIC_RELAXED)
#define ecb_or_relaxed(lvalue, value) \
  __atomic_fetch_or (&(lvalue), (value), __ATOMIC_RELAXED)

/* Counts of 64 bits that another thread looks at. Where the machine cannot do
 * that at once, it may see a wrong one for a moment. */
#if defined __LP64__ || defined _WIN64 || __GCC_ATOMIC_LLONG_LOCK_FREE == 2
# define ecb_load_count(lvalue) ecb_load_relaxed (lvalue)
# define ecb_store_count(lvalue, value) ecb_store_relaxed (lvalue, value)
# define ecb_add_count(lvalue, value) ((void)ecb_add_relaxed (lvalue, value))
#else
# define ecb_load_count(lvalue) (lvalue)
# define ecb_store_count(lvalue, value) ((void)((lvalue) = (value)))
# define ecb_add_count(lvalue, value) ((void)((lvalue) += (value)))
#endif

#define ecb_compiler_fence() __atomic_signal_fence (__ATOMIC_SEQ_CST)
#define ecb_swap_acquire(lvalue, value) \
  __atomic_exchange_n (&(lvalue), (value), __ATOMIC_ACQUIRE)
#define ecb_swap_seq_cst(lvalue, value) \
  __atomic_exchange_n (&(lvalue), (value), __ATOMIC_SEQ_CST)
#define ecb_add_seq_cst(lvalue, value) \
  __atomic_fetch_add (&(lvalue), (value), __ATOMIC_SEQ_CST)
/* True if lvalue was expected and is now value; else expected is what it was.
 * May fail for no reason. */
#define ecb_cas_seq_cst(lvalue, expected, value) \
  __atomic_compare_exchange_n (&(lvalue), &(expected), (value), 1, \
                               __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)

#endif
