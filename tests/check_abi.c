/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The numbers, types, members, macros and prototypes that programs and
 * bindings have compiled in: any failure here breaks them silently. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "support.h"

#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

typedef struct
{
  const char *name;
  long is, want;
} number;

static void
check_numbers (const number *n, int count)
{
  int i;
  for (i = 0; i < count; ++i)
    ck_assert_msg (n[i].is == n[i].want, "%s is %ld, not %ld", n[i].name,
                   n[i].is, n[i].want);
}

/* clang-format off */

#define N(name, value) { #name, (long)(name), (value) }

static const number request_types[] = {
  N (EIO_CUSTOM, 0), N (EIO_WD_OPEN, 1), N (EIO_WD_CLOSE, 2),
  N (EIO_CLOSE, 3), N (EIO_DUP2, 4), N (EIO_SEEK, 5), N (EIO_READ, 6),
  N (EIO_WRITE, 7), N (EIO_FCNTL, 8), N (EIO_IOCTL, 9),
  N (EIO_READAHEAD, 10), N (EIO_SENDFILE, 11), N (EIO_FSTAT, 12),
  N (EIO_FSTATVFS, 13), N (EIO_FTRUNCATE, 14), N (EIO_FUTIME, 15),
  N (EIO_FCHMOD, 16), N (EIO_FCHOWN, 17), N (EIO_SYNC, 18),
  N (EIO_FSYNC, 19), N (EIO_FDATASYNC, 20), N (EIO_SYNCFS, 21),
  N (EIO_MSYNC, 22), N (EIO_MTOUCH, 23), N (EIO_SYNC_FILE_RANGE, 24),
  N (EIO_FALLOCATE, 25), N (EIO_MLOCK, 26), N (EIO_MLOCKALL, 27),
  N (EIO_GROUP, 28), N (EIO_NOP, 29), N (EIO_BUSY, 30),
  N (EIO_REALPATH, 31), N (EIO_READDIR, 32), N (EIO_OPEN, 33),
  N (EIO_STAT, 34), N (EIO_LSTAT, 35), N (EIO_STATVFS, 36),
  N (EIO_TRUNCATE, 37), N (EIO_UTIME, 38), N (EIO_CHMOD, 39),
  N (EIO_CHOWN, 40), N (EIO_UNLINK, 41), N (EIO_RMDIR, 42),
  N (EIO_MKDIR, 43), N (EIO_RENAME, 44), N (EIO_MKNOD, 45),
  N (EIO_LINK, 46), N (EIO_SYMLINK, 47), N (EIO_READLINK, 48),
  N (EIO_SLURP, 49),
};

static const number new_types[] = {
  N (EIO_READV, 50), N (EIO_WRITEV, 51), N (EIO_READ_ALL, 52),
  N (EIO_WRITE_ALL, 53), N (EIO_STATX, 54), N (EIO_FSTATX, 55),
  N (EIO_COPY_RANGE, 56), N (EIO_CLONE, 57), N (EIO_SPLICE, 58),
  N (EIO_TEE, 59), N (EIO_FADVISE, 60), N (EIO_MADVISE, 61),
  N (EIO_MINCORE, 62), N (EIO_MUNLOCK, 63), N (EIO_MUNLOCKALL, 64),
  N (EIO_FULLSYNC, 65), N (EIO_FIEMAP, 66), N (EIO_GETXATTR, 67),
  N (EIO_SETXATTR, 68), N (EIO_LISTXATTR, 69), N (EIO_REMOVEXATTR, 70),
  N (EIO_FGETXATTR, 71), N (EIO_FSETXATTR, 72), N (EIO_FLISTXATTR, 73),
  N (EIO_FREMOVEXATTR, 74),

  N (EIO_STATX_TYPE, 1), N (EIO_STATX_MODE, 2), N (EIO_STATX_NLINK, 4),
  N (EIO_STATX_UID, 8), N (EIO_STATX_GID, 0x10), N (EIO_STATX_ATIME, 0x20),
  N (EIO_STATX_MTIME, 0x40), N (EIO_STATX_CTIME, 0x80),
  N (EIO_STATX_INO, 0x100), N (EIO_STATX_SIZE, 0x200),
  N (EIO_STATX_BLOCKS, 0x400), N (EIO_STATX_BASIC_STATS, 0x7ff),
  N (EIO_STATX_BTIME, 0x800), N (EIO_STATX_MNT_ID, 0x1000),
  N (EIO_STATX_ALL, 0x1fff), N (EIO_FIEMAP_SYNC, 1), N (EIO_FIEMAP_XATTR, 2),
  N (EIO_EXTENT_LAST, 1), N (EIO_EXTENT_SHARED, 0x2000),
  N (EIO_XATTR_CREATE, 1), N (EIO_XATTR_REPLACE, 2),

  N (offsetof (struct eio_extent, flags), 24),
};

static const number path_request_types[] = {
  N (EIO_ACCESS, 75), N (EIO_LCHOWN, 76), N (EIO_LUTIME, 77),
  N (EIO_UTIMENS, 78), N (EIO_FUTIMENS, 79), N (EIO_LCHMOD, 80),
  N (EIO_RENAME2, 81), N (EIO_LINK2, 82), N (EIO_UNLINK2, 83),
  N (EIO_OPEN2, 84), N (EIO_MKDTEMP, 85), N (EIO_MKSTEMP, 86),
  N (EIO_TMPFILE, 87), N (EIO_LINKFD, 88), N (EIO_MKDIRS, 89),
  N (EIO_OPENDIR, 90), N (EIO_READDIR_NEXT, 91), N (EIO_CLOSEDIR, 92),
  N (EIO_LOAD, 93), N (EIO_SAVE, 94), N (EIO_PATHSYNC, 95),
  N (EIO_SCANDIR, 96), N (EIO_COPY, 97), N (EIO_MOVE, 98),
  N (EIO_FLOCK, 99), N (EIO_LOCK, 100),
  N (EIO_REQ_TYPE_NUM, 111),

  N (EIO_RESOLVE_NO_XDEV, 0x01), N (EIO_RESOLVE_NO_MAGICLINKS, 0x02),
  N (EIO_RESOLVE_NO_SYMLINKS, 0x04), N (EIO_RESOLVE_BENEATH, 0x08),
  N (EIO_RESOLVE_IN_ROOT, 0x10), N (EIO_RESOLVE_CACHED, 0x20),
  N (EIO_SAVE_SYNC, 1),

  N (EIO_COPY_EXCL, 1), N (EIO_COPY_XATTR, 2), N (EIO_COPY_OWNER, 4),
  N (EIO_COPY_TIMES, 8), N (EIO_COPY_SYNC, 16), N (EIO_COPY_CLONE_ONLY, 32),
  N (EIO_COPY_ARCHIVE, 14),
};

static const number other_enums[] = {
  N (EIO_PRI_MIN, -4), N (EIO_PRI_DEFAULT, 0), N (EIO_PRI_MAX, 4),

  N (EIO_READDIR_DENTS, 0x01), N (EIO_READDIR_DIRS_FIRST, 0x02),
  N (EIO_READDIR_STAT_ORDER, 0x04), N (EIO_READDIR_FOUND_UNKNOWN, 0x80),
  N (EIO_READDIR_CUSTOM1, 0x100), N (EIO_READDIR_CUSTOM2, 0x200),

  N (EIO_DT_UNKNOWN, 0), N (EIO_DT_FIFO, 1), N (EIO_DT_CHR, 2),
  N (EIO_DT_MPC, 3), N (EIO_DT_DIR, 4), N (EIO_DT_NAM, 5),
  N (EIO_DT_BLK, 6), N (EIO_DT_MPB, 7), N (EIO_DT_REG, 8),
  N (EIO_DT_NWK, 9), N (EIO_DT_CMP, 9), N (EIO_DT_LNK, 10),
  N (EIO_DT_SOCK, 12), N (EIO_DT_DOOR, 13), N (EIO_DT_WHT, 14),
  N (EIO_DT_MAX, 15),

  N (EIO_MS_ASYNC, 1), N (EIO_MS_INVALIDATE, 2), N (EIO_MS_SYNC, 4),
  N (EIO_MT_MODIFY, 1),

  N (EIO_SYNC_FILE_RANGE_WAIT_BEFORE, 1), N (EIO_SYNC_FILE_RANGE_WRITE, 2),
  N (EIO_SYNC_FILE_RANGE_WAIT_AFTER, 4),

  N (EIO_FALLOC_FL_KEEP_SIZE, 0x01), N (EIO_FALLOC_FL_PUNCH_HOLE, 0x02),
  N (EIO_FALLOC_FL_COLLAPSE_RANGE, 0x08), N (EIO_FALLOC_FL_ZERO_RANGE, 0x10),
  N (EIO_FALLOC_FL_INSERT_RANGE, 0x20),
  N (EIO_FALLOC_FL_UNSHARE_RANGE, 0x40),

  N (EIO_RENAME_NOREPLACE, 1), N (EIO_RENAME_EXCHANGE, 2),
  N (EIO_RENAME_WHITEOUT, 4),

  N (EIO_SEEK_SET, 0), N (EIO_SEEK_CUR, 1), N (EIO_SEEK_END, 2),
  N (EIO_MCL_CURRENT, 1), N (EIO_MCL_FUTURE, 2), N (EIO_MCL_ONFAULT, 4),
  N (EIO_FLAG_PTR1_FREE, 0x01), N (EIO_FLAG_PTR2_FREE, 0x02),
};

#define IS(expr, type) _Generic ((expr), type: 1, default: 0)
#define MEMBER(m) (((eio_req *)0)->m)
#define M(m, type) { "eio_req." #m, IS (&MEMBER (m), type *), 1 }
#define D(m, type) \
  { "eio_dirent." #m, IS (&((eio_dirent *)0)->m, type *), 1 }

static const number types[] = {
  { "eio_cb", IS ((eio_cb)0, int (*) (eio_req *)), 1 },
  { "eio_tstamp", IS ((eio_tstamp)0, double), 1 },
  { "eio_ssize_t", IS ((eio_ssize_t)0, ssize_t), 1 },
  { "eio_uid_t", IS ((eio_uid_t)0, uid_t), 1 },
  { "eio_gid_t", IS ((eio_gid_t)0, gid_t), 1 },
  { "eio_ino_t", IS ((eio_ino_t)0, ino_t), 1 },
  { "eio_wd", IS ((eio_wd)0, struct eio_pwd *), 1 },
  { "EIO_STRUCT_STAT", IS ((EIO_STRUCT_STAT *)0, struct stat *), 1 },
  { "EIO_STRUCT_STATVFS", IS ((EIO_STRUCT_STATVFS *)0, struct statvfs *), 1 },
  { "EIO_STRUCT_DIRENT", IS ((EIO_STRUCT_DIRENT *)0, struct dirent *), 1 },
  { "enum eio_dtype", sizeof (enum eio_dtype), sizeof (int) },

  M (next, eio_req volatile *), M (wd, eio_wd), M (result, eio_ssize_t),
  M (offs, off_t), M (size, size_t), M (ptr1, void *), M (ptr2, void *),
  M (nv1, eio_tstamp), M (nv2, eio_tstamp), M (int1, int), M (int2, long),
  M (int3, long), M (errorno, int), M (flags, unsigned char),
  M (type, signed char), M (pri, signed char), M (data, void *),
  M (finish, eio_cb), M (grp, eio_req *), M (grp_prev, eio_req *),
  M (grp_next, eio_req *), M (grp_first, eio_req *),
  { "eio_req.destroy", IS (MEMBER (destroy), void (*) (eio_req *)), 1 },
  { "eio_req.feed", IS (MEMBER (feed), void (*) (eio_req *)), 1 },
#if defined __i386__ || defined __x86_64__
  M (cancelled, unsigned char),
#else
  M (cancelled, sig_atomic_t),
#endif

  D (nameofs, int), D (namelen, unsigned short), D (type, unsigned char),
  D (score, signed char), D (inode, eio_ino_t),
};

#define O(m, value) { "offset of " #m, offsetof (eio_req, m), (value) }
#define AFTER(m, before) \
  { #m " after " #before, offsetof (eio_req, m) > offsetof (eio_req, before), \
    1 }

static const number order[] = {
  O (next, 0), AFTER (wd, next), AFTER (result, wd), AFTER (offs, result),
  AFTER (size, offs), AFTER (ptr1, size), AFTER (ptr2, ptr1),
  AFTER (nv1, ptr2), AFTER (nv2, nv1), AFTER (int1, nv2), AFTER (int2, int1),
  AFTER (int3, int2), AFTER (errorno, int3), AFTER (flags, errorno),
  AFTER (type, flags), AFTER (pri, type), AFTER (cancelled, pri),
  AFTER (data, cancelled), AFTER (finish, data), AFTER (destroy, finish),
  AFTER (feed, destroy), AFTER (grp, feed), AFTER (grp_prev, grp),
  AFTER (grp_next, grp_prev), AFTER (grp_first, grp_next),
};

#if defined __x86_64__ && defined __LP64__
# define KNOWN_OFFSETS 1
static const number offsets[] = {
  O (next, 0), O (wd, 8), O (result, 16), O (offs, 24), O (size, 32),
  O (ptr1, 40), O (ptr2, 48), O (nv1, 56), O (nv2, 64), O (int1, 72),
  O (int2, 80), O (int3, 88), O (errorno, 96), O (flags, 100), O (type, 101),
  O (pri, 102), O (cancelled, 103), O (data, 104), O (finish, 112),
  O (destroy, 120), O (feed, 128), O (grp, 136), O (grp_prev, 144),
  O (grp_next, 152), O (grp_first, 160),
  { "offset of eio_dirent.nameofs", offsetof (eio_dirent, nameofs), 0 },
  { "offset of eio_dirent.namelen", offsetof (eio_dirent, namelen), 4 },
  { "offset of eio_dirent.type", offsetof (eio_dirent, type), 6 },
  { "offset of eio_dirent.score", offsetof (eio_dirent, score), 7 },
  { "offset of eio_dirent.inode", offsetof (eio_dirent, inode), 8 },
  { "sizeof (eio_dirent)", sizeof (eio_dirent), 16 },
  { "sizeof (off_t)", sizeof (off_t), 8 },
};
#endif

/* Each function's prototype.  Taking the address links it, too. */
typedef struct
{
  const char *name;
  int fits;
  void (*address) (void);
} function;

#define F(f, ...) \
  { #f, IS (f, __VA_ARGS__), (void (*) (void))(f) }
#define W(f, ...) F (f, eio_req *(*)(__VA_ARGS__, int, eio_cb, void *))

static const function functions[] = {
  F (eio_init, int (*) (void (*) (void), void (*) (void))),
  F (eio_poll, int (*) (void)),
  F (eio_set_max_poll_time, void (*) (eio_tstamp)),
  F (eio_set_max_poll_reqs, void (*) (unsigned int)),
  F (eio_poll_fd, int (*) (void)),
  F (eio_poll_wait, int (*) (eio_tstamp)),
  F (eio_flush, int (*) (void)),
  F (eio_shutdown, int (*) (int, eio_tstamp)),
  F (eio_pool_new,
     eio_pool *(*) (void (*) (void *), void (*) (void *), void *)),
  F (eio_pool_new_shared, eio_pool *(*) (eio_pool *, void (*) (void *),
                                         void (*) (void *), void *)),
  F (eio_pool_free, int (*) (eio_pool *)),
  F (eio_pool_use, eio_pool *(*) (eio_pool *)),
  F (eio_pool_current, eio_pool *(*) (void)),
  F (eio_get_finish_cancelled, int (*) (void)),
  F (eio_get_nothreads, int (*) (void)),
  F (eio_get_stack_size, size_t (*) (void)),
  F (eio_get_ioprio, int (*) (void)),
  F (eio_set_reserved, void (*) (int, unsigned int)),
  F (eio_get_reserved, unsigned int (*) (int *)),
  F (eio_set_ageing, void (*) (eio_tstamp)),
  F (eio_get_ageing, eio_tstamp (*) (void)),
  F (eio_get_stats, int (*) (struct eio_stats *, size_t)),
  F (eio_set_timing, void (*) (int)),
  F (eio_get_timing, int (*) (void)),
  F (eio_set_slow, void (*) (eio_tstamp,
                             void (*) (const eio_req *, eio_tstamp))),
  F (eio_get_max_poll_time, eio_tstamp (*) (void)),
  F (eio_get_max_poll_reqs, unsigned int (*) (void)),
  F (eio_set_max_outstanding, void (*) (unsigned int)),
  F (eio_get_max_outstanding, unsigned int (*) (void)),
  F (eio_set_submit_limit, void (*) (unsigned int)),
  F (eio_get_submit_limit, unsigned int (*) (void)),
  F (eio_set_finish_cancelled, void (*) (int)),
  F (eio_set_nothreads, void (*) (int)),
  F (eio_set_inline, void (*) (size_t)),
  F (eio_get_inline, size_t (*) (void)),
  F (eio_set_parallel, void (*) (unsigned int)),
  F (eio_get_parallel, unsigned int (*) (void)),
  F (eio_get_max_idle, unsigned int (*) (void)),
  F (eio_get_idle_timeout, unsigned int (*) (void)),
  F (eio_set_stack_size, void (*) (size_t)),
  F (eio_set_thread_name, void (*) (const char *)),
  F (eio_set_thread_hooks,
     void (*) (void (*) (void *), void (*) (void *), void *)),
  F (eio_set_affinity, int (*) (const void *, size_t)),
  F (eio_set_ioprio, int (*) (int)),
  F (eio_try_submit, int (*) (eio_req *)),
  F (eio_version, unsigned int (*) (void)),
  F (eio_strtype, const char *(*)(int)),
  F (eio_req_sizeof, size_t (*) (void)),
  F (eio_req_result, eio_ssize_t (*) (const eio_req *)),
  F (eio_req_errno, int (*) (const eio_req *)),
  F (eio_req_buf, void *(*)(const eio_req *)),
  F (eio_req_data, void *(*)(const eio_req *)),
  F (eio_req_type, int (*) (const eio_req *)),
  F (eio_req_cancelled, int (*) (const eio_req *)),
  F (eio_req_wd, eio_wd (*) (const eio_req *)),
  F (eio_req_offset, off_t (*) (const eio_req *)),
  F (eio_take_buffer, void *(*)(eio_req *)),
  F (eio_set_min_parallel, void (*) (unsigned int)),
  F (eio_set_max_parallel, void (*) (unsigned int)),
  F (eio_set_max_idle, void (*) (unsigned int)),
  F (eio_set_idle_timeout, void (*) (unsigned int)),
  F (eio_nreqs, unsigned int (*) (void)),
  F (eio_nready, unsigned int (*) (void)),
  F (eio_npending, unsigned int (*) (void)),
  F (eio_nthreads, unsigned int (*) (void)),
  F (eio_submit, void (*) (eio_req *)),
  F (eio_cancel, void (*) (eio_req *)),
  F (eio_grp, eio_req *(*)(eio_cb, void *)),
  F (eio_grp_feed, void (*) (eio_req *, void (*) (eio_req *), int)),
  F (eio_grp_limit, void (*) (eio_req *, int)),
  /* void for callers of before, int since a member can be refused */
  F (eio_grp_add, int (*) (eio_req *, eio_req *)),
  F (eio_grp_cancel, void (*) (eio_req *)),
  F (eio_wd_open_sync, eio_wd (*) (eio_wd, const char *)),
  F (eio_wd_close_sync, void (*) (eio_wd)),
  F (eio_sendfile_sync, eio_ssize_t (*) (int, int, off_t, size_t)),
  F (eio_copy_fd_sync, int (*) (int, int, const struct stat *, int,
                                const eio_req *, uint64_t *)),
  F (eio_get_progress, int (*) (const eio_req *, struct eio_progress *)),
  F (eio_mlockall_sync, int (*) (int)),

  F (eio_nop, eio_req *(*)(int, eio_cb, void *)),
  F (eio_sync, eio_req *(*)(int, eio_cb, void *)),
  W (eio_busy, eio_tstamp),
  W (eio_custom, void (*) (eio_req *)),
  W (eio_wd_open, const char *),
  W (eio_wd_close, eio_wd),
  W (eio_open, const char *, int, mode_t),
  W (eio_close, int),
  W (eio_fsync, int),
  W (eio_fdatasync, int),
  W (eio_syncfs, int),
  W (eio_fstat, int),
  W (eio_fstatvfs, int),
  W (eio_dup2, int, int),
  W (eio_seek, int, off_t, int),
  W (eio_read, int, void *, size_t, off_t),
  W (eio_write, int, void *, size_t, off_t),
  W (eio_readahead, int, off_t, size_t),
  W (eio_sendfile, int, int, off_t, size_t),
  W (eio_fcntl, int, int, void *),
  W (eio_ioctl, int, unsigned long, void *),
  W (eio_ftruncate, int, off_t),
  W (eio_fchmod, int, mode_t),
  W (eio_fchown, int, eio_uid_t, eio_gid_t),
  W (eio_futime, int, eio_tstamp, eio_tstamp),
  W (eio_truncate, const char *, off_t),
  W (eio_chmod, const char *, mode_t),
  W (eio_chown, const char *, eio_uid_t, eio_gid_t),
  W (eio_utime, const char *, eio_tstamp, eio_tstamp),
  W (eio_sync_file_range, int, off_t, size_t, unsigned int),
  W (eio_fallocate, int, int, off_t, size_t),
  W (eio_msync, void *, size_t, int),
  W (eio_mtouch, void *, size_t, int),
  W (eio_mlock, void *, size_t),
  W (eio_mlockall, int),
  W (eio_stat, const char *),
  W (eio_lstat, const char *),
  W (eio_statvfs, const char *),
  W (eio_readlink, const char *),
  W (eio_realpath, const char *),
  W (eio_unlink, const char *),
  W (eio_rmdir, const char *),
  W (eio_mkdir, const char *, mode_t),
  W (eio_mknod, const char *, mode_t, dev_t),
  W (eio_link, const char *, const char *),
  W (eio_symlink, const char *, const char *),
  W (eio_rename, const char *, const char *),
  W (eio_readdir, const char *, int),
  W (eio_slurp, const char *, void *, size_t, off_t),

  W (eio_readv, int, const struct iovec *, int, off_t, int),
  W (eio_writev, int, const struct iovec *, int, off_t, int),
  W (eio_read_all, int, void *, size_t, off_t),
  W (eio_write_all, int, void *, size_t, off_t),
  W (eio_statx, const char *, int, unsigned int),
  W (eio_statx_at, eio_wd, const char *, int, unsigned int),
  W (eio_fstatx, int, unsigned int),
  W (eio_copy_range, int, off_t, int, off_t, size_t),
  W (eio_clone, int, int),
  W (eio_splice, int, off_t, int, off_t, size_t, unsigned int),
  W (eio_tee, int, int, size_t, unsigned int),
  W (eio_fadvise, int, off_t, off_t, int),
  W (eio_madvise, void *, size_t, int),
  W (eio_mincore, void *, size_t),
  W (eio_munlock, void *, size_t),
  F (eio_munlockall, eio_req *(*)(int, eio_cb, void *)),
  W (eio_fullsync, int),
  W (eio_fiemap, int, off_t, off_t, unsigned int),
  W (eio_getxattr, const char *, const char *, int),
  W (eio_getxattr_at, eio_wd, const char *, const char *, int),
  W (eio_setxattr, const char *, const char *, const void *, size_t, int),
  W (eio_setxattr_at, eio_wd, const char *, const char *, const void *,
     size_t, int),
  W (eio_listxattr, const char *, int),
  W (eio_listxattr_at, eio_wd, const char *, int),
  W (eio_removexattr, const char *, const char *, int),
  W (eio_removexattr_at, eio_wd, const char *, const char *, int),
  W (eio_fgetxattr, int, const char *),
  W (eio_fsetxattr, int, const char *, const void *, size_t, int),
  W (eio_flistxattr, int),
  W (eio_fremovexattr, int, const char *, int),

  F (eio_req_dir, eio_dir *(*)(const eio_req *)),
  W (eio_access, const char *, int),
  W (eio_lchown, const char *, eio_uid_t, eio_gid_t),
  W (eio_lutime, const char *, eio_tstamp, eio_tstamp),
  W (eio_utimens, const char *, const struct timespec *, int),
  W (eio_futimens, int, const struct timespec *),
  W (eio_lchmod, const char *, mode_t),
  W (eio_rename2, const char *, const char *, unsigned int),
  W (eio_link2, const char *, const char *, int),
  W (eio_unlink2, const char *, int),
  W (eio_open2, const char *, int, mode_t, unsigned int),
  W (eio_mkdtemp, const char *),
  W (eio_mkstemp, const char *),
  W (eio_tmpfile, const char *, int, mode_t),
  W (eio_linkfd, int, const char *),
  W (eio_mkdirs, const char *, mode_t),
  W (eio_opendir, const char *),
  W (eio_readdir_next, eio_dir *, size_t, int),
  W (eio_closedir, eio_dir *),
  W (eio_load, const char *),
  W (eio_save, const char *, const void *, size_t, mode_t, int),
  W (eio_pathsync, const char *),
  W (eio_scandir, const char *, int),
  W (eio_copy, const char *, const char *, int),
  W (eio_move, const char *, const char *, int),
  W (eio_flock, int, int, eio_tstamp),
  W (eio_lock, int, int, off_t, off_t, eio_tstamp),
  W (eio_wd_open_at, eio_wd, const char *),
  W (eio_open_at, eio_wd, const char *, int, mode_t),
  W (eio_slurp_at, eio_wd, const char *, void *, size_t, off_t),
  W (eio_stat_at, eio_wd, const char *),
  W (eio_lstat_at, eio_wd, const char *),
  W (eio_statvfs_at, eio_wd, const char *),
  W (eio_truncate_at, eio_wd, const char *, off_t),
  W (eio_chmod_at, eio_wd, const char *, mode_t),
  W (eio_chown_at, eio_wd, const char *, eio_uid_t, eio_gid_t),
  W (eio_utime_at, eio_wd, const char *, eio_tstamp, eio_tstamp),
  W (eio_readlink_at, eio_wd, const char *),
  W (eio_realpath_at, eio_wd, const char *),
  W (eio_unlink_at, eio_wd, const char *),
  W (eio_rmdir_at, eio_wd, const char *),
  W (eio_mkdir_at, eio_wd, const char *, mode_t),
  W (eio_mknod_at, eio_wd, const char *, mode_t, dev_t),
  W (eio_link_at, eio_wd, const char *, eio_wd, const char *),
  W (eio_symlink_at, eio_wd, const char *, eio_wd, const char *),
  W (eio_rename_at, eio_wd, const char *, eio_wd, const char *),
  W (eio_readdir_at, eio_wd, const char *, int),
  W (eio_access_at, eio_wd, const char *, int),
  W (eio_lchown_at, eio_wd, const char *, eio_uid_t, eio_gid_t),
  W (eio_lutime_at, eio_wd, const char *, eio_tstamp, eio_tstamp),
  W (eio_utimens_at, eio_wd, const char *, const struct timespec *, int),
  W (eio_lchmod_at, eio_wd, const char *, mode_t),
  W (eio_rename2_at, eio_wd, const char *, eio_wd, const char *, unsigned int),
  W (eio_link2_at, eio_wd, const char *, eio_wd, const char *, int),
  W (eio_unlink2_at, eio_wd, const char *, int),
  W (eio_open2_at, eio_wd, const char *, int, mode_t, unsigned int),
  W (eio_mkdtemp_at, eio_wd, const char *),
  W (eio_mkstemp_at, eio_wd, const char *),
  W (eio_tmpfile_at, eio_wd, const char *, int, mode_t),
  W (eio_linkfd_at, eio_wd, int, const char *),
  W (eio_mkdirs_at, eio_wd, const char *, mode_t),
  W (eio_opendir_at, eio_wd, const char *),
  W (eio_load_at, eio_wd, const char *),
  W (eio_save_at, eio_wd, const char *, const void *, size_t, mode_t, int),
  W (eio_pathsync_at, eio_wd, const char *),
  W (eio_scandir_at, eio_wd, const char *, int),
  W (eio_copy_at, eio_wd, const char *, eio_wd, const char *, int),
  W (eio_move_at, eio_wd, const char *, eio_wd, const char *, int),
};

/* clang-format on */

START_TEST (request_types_have_their_numbers)
{
  ck_assert_int_eq (LENGTH (request_types), 50);
  check_numbers (request_types, LENGTH (request_types));
  check_numbers (new_types, LENGTH (new_types));
  check_numbers (path_request_types, LENGTH (path_request_types));
}
END_TEST

START_TEST (the_type_list_ends_behind_the_last_type)
{
  /* Later types follow from 50 on, those above 110 stay unknown. */
  ck_assert_int_ge (EIO_REQ_TYPE_NUM, 50);
  ck_assert_int_le (EIO_REQ_TYPE_NUM, 111);
}
END_TEST

START_TEST (other_enums_have_their_numbers)
{
  check_numbers (other_enums, LENGTH (other_enums));
}
END_TEST

START_TEST (types_and_members_have_their_types)
{
  check_numbers (types, LENGTH (types));
}
END_TEST

START_TEST (members_are_in_order)
{
  check_numbers (order, LENGTH (order));
}
END_TEST

#ifdef KNOWN_OFFSETS
START_TEST (members_have_their_offsets)
{
  check_numbers (offsets, LENGTH (offsets));
}
END_TEST
#endif

START_TEST (private_members_follow_the_public_ones)
{
  size_t end = offsetof (eio_req, grp_first) + sizeof (eio_req *);
  ck_assert_uint_gt (sizeof (eio_req), end);
}
END_TEST

START_TEST (functions_have_their_prototypes)
{
  int i;
  for (i = 0; i < LENGTH (functions); ++i)
    {
      ck_assert_msg (functions[i].fits, "%s", functions[i].name);
      ck_assert_msg (functions[i].address != 0, "%s", functions[i].name);
    }
}
END_TEST

START_TEST (wd_constants_have_their_values)
{
  /* Plain 0: a binding compares it with a wd, and with a wd's descriptor. */
  eio_wd wd = EIO_CWD;
  int fd = 5;

  ck_assert_ptr_null (wd);
  ck_assert_int_eq (fd == EIO_CWD, 0);
  ck_assert_int_eq ((intptr_t)EIO_INVALID_WD, -1);
  ck_assert_int_eq (IS (EIO_INVALID_WD, eio_wd), 1);
  /* RENAME, LINK and SYMLINK pass it through a long. */
  ck_assert_ptr_eq ((eio_wd)(long)EIO_INVALID_WD, EIO_INVALID_WD);
}
END_TEST

START_TEST (a_wd_begins_with_its_descriptor)
{
  eio_wd wd = eio_wd_open_sync (EIO_CWD, scratch ());
  struct stat by_fd, by_path;
  ck_assert_ptr_ne (wd, EIO_INVALID_WD);
  ck_assert_int_eq (fstat (*(int *)wd, &by_fd), 0);
  ck_assert_int_eq (stat (scratch (), &by_path), 0);
  ck_assert_uint_eq (by_fd.st_ino, by_path.st_ino);
  ck_assert_uint_eq (by_fd.st_dev, by_path.st_dev);
  eio_wd_close_sync (wd);
}
END_TEST

START_TEST (result_and_buf_are_lvalues)
{
  eio_req r = { 0 };
  char byte;
  EIO_RESULT (&r) = 7;
  ck_assert_int_eq (r.result, 7);
  EIO_RESULT (&r) += 2;
  ck_assert_int_eq (r.result, 9);
  EIO_BUF (&r) = &byte;
  ck_assert_ptr_eq (r.ptr2, &byte);
  ck_assert_ptr_eq (&EIO_BUF (&r), &r.ptr2);
  ck_assert_ptr_eq (&EIO_RESULT (&r), &r.result);
}
END_TEST

START_TEST (accessors_take_any_expression)
{
  struct stat st[2] = { { .st_size = 10 }, { .st_size = 11 } };
  struct statvfs vfs = { .f_bsize = 12 };
  char path[] = "path";
  eio_req r[2] = { { .result = 1, .ptr2 = st, .cancelled = 1 },
                   { .result = 2, .ptr2 = st + 1, .ptr1 = path } };
  eio_req *a = r, *b = r + 1;
  int cond;

  for (cond = 0; cond < 2; ++cond)
    {
      ck_assert_int_eq (EIO_RESULT (cond ? a : b), cond ? 1 : 2);
      ck_assert_ptr_eq (EIO_BUF (cond ? a : b), cond ? st : st + 1);
      ck_assert_int_eq (EIO_STAT_BUF (cond ? a : b)->st_size,
                        cond ? 10 : 11);
      ck_assert_int_eq (EIO_CANCELLED (cond ? a : b), cond);
      ck_assert_int_eq (!EIO_CANCELLED (cond ? a : b), !cond);
    }

  ck_assert_int_eq (EIO_RESULT (r + 1), 2);
  ck_assert_int_eq (EIO_CANCELLED (r + 1), 0);
  ck_assert_ptr_eq (EIO_BUF (r + 1), st + 1);
  ck_assert_int_eq (EIO_PATH (r + 1)[1], 'a');
  ck_assert_str_eq (EIO_PATH (r + 1) + 2, "th");
  b->ptr2 = &vfs;
  ck_assert_uint_eq (EIO_STATVFS_BUF (r + 1)->f_bsize, 12);
}
END_TEST

START_TEST (accessors_can_stand_in_any_expression)
{
  struct stat st[2] = { { .st_size = 10 }, { .st_size = 11 } };
  char path[] = "path";
  eio_req r = { .result = 3, .ptr1 = path, .ptr2 = st };

  ck_assert_int_eq (2 * EIO_RESULT (&r) + 1, 7);
  ck_assert_int_eq (-EIO_RESULT (&r), -3);
  ck_assert_int_eq ((EIO_STAT_BUF (&r) + 1)->st_size, 11);
  ck_assert_int_eq (EIO_STAT_BUF (&r)[1].st_size, 11);
  ck_assert_int_eq (*EIO_PATH (&r), 'p');
  ck_assert_uint_eq (sizeof *EIO_PATH (&r), 1);
  ck_assert_uint_eq (sizeof *EIO_STAT_BUF (&r), sizeof (struct stat));
  ck_assert_uint_eq (sizeof *EIO_STATVFS_BUF (&r), sizeof (struct statvfs));
  ck_assert_int_eq (EIO_CANCELLED (&r) + 1, 1);
  ck_assert_int_eq (IS (EIO_PATH (&r), char *), 1);
  ck_assert_int_eq (IS (EIO_BUF (&r), void *), 1);
}
END_TEST

START_TEST (cancelled_is_seen_by_the_macro)
{
  eio_req *req;
  host_start ();
  eio_set_max_parallel (0);
  req = eio_nop (0, 0, 0);
  ck_assert_ptr_nonnull (req);
  ck_assert_int_eq (EIO_CANCELLED (req), 0);
  eio_cancel (req);
  ck_assert_int_eq (EIO_CANCELLED (req) != 0, 1);
  eio_set_min_parallel (1);
  host_drain ();
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("abi");
  TCase *tc = add_case (suite, "abi", 100, 0, stop_workers);
  tcase_add_test (tc, request_types_have_their_numbers);
  tcase_add_test (tc, the_type_list_ends_behind_the_last_type);
  tcase_add_test (tc, other_enums_have_their_numbers);
  tcase_add_test (tc, types_and_members_have_their_types);
  tcase_add_test (tc, members_are_in_order);
#ifdef KNOWN_OFFSETS
  tcase_add_test (tc, members_have_their_offsets);
#endif
  tcase_add_test (tc, private_members_follow_the_public_ones);
  tcase_add_test (tc, functions_have_their_prototypes);
  tcase_add_test (tc, wd_constants_have_their_values);
  tcase_add_test (tc, a_wd_begins_with_its_descriptor);
  tcase_add_test (tc, result_and_buf_are_lvalues);
  tcase_add_test (tc, accessors_take_any_expression);
  tcase_add_test (tc, accessors_can_stand_in_any_expression);
  tcase_add_test (tc, cancelled_is_seen_by_the_macro);
  return run_suite (suite);
}
