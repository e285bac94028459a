/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* What all tests share: a host with a descriptor that want_poll makes
 * readable and done_poll drains, requests that wait in the queue or in a
 * worker, children, a scratch directory, and counting of callbacks,
 * descriptors and threads.  Not linked against libeio, so that tests that
 * include eio.c can use it too. */

#ifndef TESTS_SUPPORT_H_
#define TESTS_SUPPORT_H_

#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "eio.h"

#ifndef __has_feature
# define __has_feature(feature) 0
#endif

/* The bookkeeping of sanitizers survives neither a fork beside threads that
 * start or end, nor a call before their own start. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ \
    || __has_feature (address_sanitizer) || __has_feature (thread_sanitizer)
# define HAVE_SANITIZER 1
#else
# define HAVE_SANITIZER 0
#endif

#define LENGTH(array) ((int)(sizeof (array) / sizeof *(array)))

/* Starts the library with the host's callbacks, which abort the test when
 * they do not strictly alternate or overlap. */
void host_start (void);

/* The descriptor that is readable between want_poll and done_poll. */
int host_fd (void);

/* Number of want_poll and done_poll calls so far. */
int host_wants (void);
int host_dones (void);

/* Waits until the descriptor is readable, at most ms milliseconds (-1: 60 s,
 * then aborts).  Returns 1 when it is, 0 when time is over. */
int host_wait (int ms);

/* host_wait (-1), then eio_poll; returns what that returned. */
int host_poll (void);

/* host_poll until eio_nreqs is 0; aborts after 60 s. */
void host_drain (void);

/* host_start, but requests queue until resume. */
void start_paused (void);
void resume (unsigned int workers);

/* Executes what is queued, and leaves the results pending and the pool
 * paused: the limit of 0 waits for what executes. */
void execute_all (void);

/* sem_wait that no signal ends; sem_post, n times. */
void take (sem_t *sem);
void give (sem_t *sem, int n);

/* For eio_custom: executes until it is let go, with the result 0.  To be
 * prepared before the first one. */
extern sem_t arrived, let_go;
void prepare_stays (void);
void stay (eio_req *req);

/* Waits until n more have arrived; aborts after 30 s. */
void await_arrivals (int n);

/* What a callback saw; give it as data with cb note. */
typedef struct
{
  int calls;
  eio_ssize_t result;
  int errorno;
  off_t offs;
  eio_wd wd;
} outcome;
int note (eio_req *req);

/* The next of a sequence of numbers that seem random; the state,
 * which is the number, is not 0. */
unsigned int xorshift32 (unsigned int *state);

/* The last of a test that is to pass after so many seconds, if Check cannot
 * count them. */
void end_long_test (double seconds);

/* A callback that counts its calls. */
extern int finishes;
int count (eio_req *req);

/* Checks one outcome. */
#define assert_ok(o, res) \
  do { \
    ck_assert_int_eq ((o).calls, 1); \
    ck_assert_msg ((o).result == (res), "result %ld, errno %d (%s)", \
                   (long)(o).result, (o).errorno, strerror ((o).errorno)); \
    ck_assert_int_eq ((o).errorno, (o).result == -1 ? (o).errorno : 0); \
  } while (0)
#define assert_fails(o, err) \
  do { \
    ck_assert_int_eq ((o).calls, 1); \
    ck_assert_int_eq ((o).result, -1); \
    ck_assert_msg ((o).errorno == (err), "errno %d (%s), not %d (%s)", \
                   (o).errorno, strerror ((o).errorno), (err), \
                   strerror (err)); \
  } while (0)

/* Fork.  In a child: says what is wrong; its status tells the parent. */
#define need(expr) \
  do { \
    if (!(expr)) \
      { \
        fprintf (stderr, "child, line %d: not %s (errno %d)\n", __LINE__, \
                 #expr, errno); \
        _exit (1); \
      } \
  } while (0)

/* Gives a child 20 seconds, whatever thread forked it, and a new count. */
void begin_child (void);

/* Ends a child, well, when the calling thread, its only one, ends. */
void end_with_thread (void);

/* Waits for a child, which has to have ended well. */
void expect_success (pid_t pid);

/* The process of whose requests this is the callback, which no child may ever
 * run; it counts as count does. */
extern pid_t parent;
int parents_finish (eio_req *req);

/* A scratch directory of this process, made on first use and removed with
 * everything in it at exit; and a path in it (static, the last 8 stay
 * valid). */
const char *scratch (void);
const char *scratch_path (const char *name);

/* Makes a file with these bytes. */
void write_file (const char *path, const void *data, size_t size);

/* Of a link, not of what it leads to; a path without a status fails. */
int exists (const char *path);
struct stat status_of (const char *path);

/* Removes it, and all that is below it. */
void remove_tree (const char *path);

/* Open descriptors and threads of this process. */
int count_fds (void);
int count_threads (void);

/* Bytes of the stack of a thread that asks for none. */
size_t default_stack_size (void);

/* Whether madvise does something.  QEMU's user mode only says so, and refuses
 * no advice. */
int advice_is_taken (void);

/* Whether the child of a process with threads can start some.  QEMU's user mode
 * aborts there. */
int child_may_start_threads (void);

/* Runs what in another life: 1: after eio_init; 2: after eio_shutdown; 3: in a
 * child, which is another life as it is, 4 and 5: in a child after these.  In
 * no child that may start no threads. */
enum
{
  OTHER_LIVES = 6
};
void in_another_life (int life, void (*what) (void));

/* For what is asserted millions of times: Check writes down every assertion of
 * its own. */
#define always(expr) \
  do { \
    if (!(expr)) \
      ck_abort_msg ("not %s", #expr); \
  } while (0)

/* Waits, at most 10 s, until the expression holds; aborts if it never does.
 * For what the library does on threads of its own, without an event. */
#define wait_until(expr) \
  do { \
    int tries_ = 0; \
    while (!(expr)) \
      { \
        if (++tries_ == 10000) \
          ck_abort_msg ("never: %s", #expr); \
        nap (1); \
      } \
  } while (0)
void nap (int ms);

/* Monotonic time in seconds. */
double now (void);

/* Adds a case to the suite: how long each test may take, and what is called
 * before and after it in the same process; either may be null. */
TCase *add_case (Suite *suite, const char *name, int seconds,
                 void (*setup) (void), void (*teardown) (void));

/* The usual teardown. */
void stop_workers (void);

/* Runs a suite as the program's whole work; returns main's result. */
int run_suite (Suite *suite);

#endif
