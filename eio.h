/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* libeio: file I/O that never blocks the caller.
 *
 * A request (eio_req) names an operation.  Submitting it returns at once; a
 * worker thread executes it; eio_poll, called by the host's event loop after
 * want_poll told it to, hands the result to the request's finish callback.
 *
 *   static int opened (eio_req *req) { use (req->result); return 0; }
 *   ...
 *   eio_init (want_poll, done_poll);
 *   eio_open ("/etc/passwd", O_RDONLY, 0, EIO_PRI_DEFAULT, opened, 0);
 *
 * Each function is marked with the threads that may call it: [any thread],
 * at the same time as everything else, or [poll thread], the one thread that
 * calls eio_poll (it may change, but is one at a time).  No function may be
 * called from want_poll or done_poll.
 *
 * In this file: 1 types and constants, 2 requests, 3 the pool, 4 submitting,
 * 5 groups, 6 synchronous helpers, 7 wrappers. */

#ifndef EIO_H_
#define EIO_H_

#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>
#ifdef _WIN32
# include <sys/stat.h> /* where stat is a macro */
#endif

struct iovec; /* of <sys/uio.h> */
struct stat;  /* of <sys/stat.h> */

#ifdef __cplusplus
extern "C" {
#endif

/*****************************************************************************
 * 1  Types and constants                                                    *
 *****************************************************************************/

#define EIO_VERSION_MAJOR 2
#define EIO_VERSION_MINOR 0

/* An embedder may define these, and EIO_REQ_MEMBERS, before inclusion. */
#ifndef EIO_STRUCT_DIRENT
# define EIO_STRUCT_DIRENT struct dirent
#endif
#ifndef EIO_STRUCT_STAT
# define EIO_STRUCT_STAT struct stat
#endif
#ifndef EIO_STRUCT_STATVFS
# define EIO_STRUCT_STATVFS struct statvfs
#endif

struct timespec;
typedef struct eio_req    eio_req;
typedef struct eio_dirent eio_dirent;
typedef struct eio_dir    eio_dir;  /* see EIO_OPENDIR */
typedef struct etp_pool   eio_pool; /* see eio_pool_new */

/* Called inside eio_poll.  Non-zero makes eio_poll return that value. */
typedef int (*eio_cb)(eio_req *req);

typedef double  eio_tstamp; /* seconds: since the epoch, or a duration */
typedef ssize_t eio_ssize_t;
#ifdef _WIN32
typedef int     eio_uid_t;
typedef int     eio_gid_t;
#else
typedef uid_t   eio_uid_t;
typedef gid_t   eio_gid_t;
#endif
typedef ino_t   eio_ino_t;

/* A directory that paths can be relative to, made by EIO_WD_OPEN.  Its first
 * member is `int fd`; the rest is private. */
typedef struct eio_pwd *eio_wd;

#define EIO_CWD        0                 /* the process's, at execution */
#define EIO_INVALID_WD ((eio_wd)(int)-1) /* fails requests with ENOENT */

/* clang-format off */

/* Request types.  In a comment: inputs → outputs beside result and errorno.
 * Where none is said, result is 0, or -1 with errorno set.  "path" is ptr1,
 * relative to wd; "buffer" is ptr2.  A result buffer given as null is allocated
 * and flagged EIO_FLAG_PTR2_FREE. */
enum {
  EIO_CUSTOM          =  0, /* feed: what a worker calls → what it set */
  EIO_WD_OPEN         =  1, /* path → wd, or EIO_INVALID_WD */
  EIO_WD_CLOSE        =  2, /* wd; executes even when cancelled */
  EIO_CLOSE           =  3, /* int1 fd; executes whatever else is wrong */
  EIO_DUP2            =  4, /* int1 fd, int2 new fd → result new fd */
  EIO_SEEK            =  5, /* int1 fd, offs, int2 whence → offs position */
  EIO_READ            =  6, /* int1 fd, buffer, size, offs (< 0: at the
                               position) → result bytes */
  EIO_WRITE           =  7, /* int1 fd, ptr2 data, size, offs (< 0: at the
                               position) → result bytes */
  EIO_FCNTL           =  8, /* int1 fd, int2 command, ptr2 argument → result
                               of the call */
  EIO_IOCTL           =  9, /* int1 fd, int2 request, ptr2 argument → result
                               of the call */
  EIO_READAHEAD       = 10, /* int1 fd, offs, size */
  EIO_SENDFILE        = 11, /* int1 out fd, int2 in fd, offs, size → result
                               bytes */
  EIO_FSTAT           = 12, /* int1 fd → EIO_STAT_BUF */
  EIO_FSTATVFS        = 13, /* int1 fd → EIO_STATVFS_BUF */
  EIO_FTRUNCATE       = 14, /* int1 fd, offs length */
  EIO_FUTIME          = 15, /* int1 fd, nv1 atime, nv2 mtime */
  EIO_FCHMOD          = 16, /* int1 fd, int2 mode */
  EIO_FCHOWN          = 17, /* int1 fd, int2 uid, int3 gid */
  EIO_SYNC            = 18,
  EIO_FSYNC           = 19, /* int1 fd */
  EIO_FDATASYNC       = 20, /* int1 fd */
  EIO_SYNCFS          = 21, /* int1 fd */
  EIO_MSYNC           = 22, /* ptr2 address, size, int1 EIO_MS_* */
  EIO_MTOUCH          = 23, /* ptr2 address, size, int1 EIO_MT_* */
  EIO_SYNC_FILE_RANGE = 24, /* int1 fd, offs, size, int2 flags */
  EIO_FALLOCATE       = 25, /* int1 fd, int2 EIO_FALLOC_*, offs, size */
  EIO_MLOCK           = 26, /* ptr2 address, size */
  EIO_MLOCKALL        = 27, /* int1 EIO_MCL_* */
  EIO_GROUP           = 28, /* no worker: finishes when it has no members */
  EIO_NOP             = 29,
  EIO_BUSY            = 30, /* nv1 seconds that a worker sleeps */
  EIO_REALPATH        = 31, /* path → result length, buffer without a 0 */
  EIO_READDIR         = 32, /* path, int1 flags → result entries, ptr2 names,
                               ptr1 dirents, int1 flags */
  EIO_OPEN            = 33, /* path, int1 flags, int2 mode → result fd */
  EIO_STAT            = 34, /* path → EIO_STAT_BUF */
  EIO_LSTAT           = 35, /* path → EIO_STAT_BUF */
  EIO_STATVFS         = 36, /* path → EIO_STATVFS_BUF */
  EIO_TRUNCATE        = 37, /* path, offs length */
  EIO_UTIME           = 38, /* path, nv1 atime, nv2 mtime */
  EIO_CHMOD           = 39, /* path, int2 mode */
  EIO_CHOWN           = 40, /* path, int2 uid, int3 gid */
  EIO_UNLINK          = 41, /* path */
  EIO_RMDIR           = 42, /* path */
  EIO_MKDIR           = 43, /* path, int2 mode */
  EIO_RENAME          = 44, /* path, ptr2 new path, int3 wd of the new path,
                               int2 EIO_RENAME_* */
  EIO_MKNOD           = 45, /* path, int2 mode, offs device */
  EIO_LINK            = 46, /* path, ptr2 new path, int3 its wd */
  EIO_SYMLINK         = 47, /* ptr1 contents, ptr2 new path, int3 its wd (0:
                               wd) */
  EIO_READLINK        = 48, /* path → result length, buffer without a 0 */
  EIO_SLURP           = 49, /* path, buffer, size (0: all), offs (< 0: from
                               the end) → result bytes */

  /* Descriptors, ranges and attributes.  A name is int3, as (long)(char *);
   * an offset below 0 means the descriptor's position. */
  EIO_READV           = 50, /* int1 fd, ptr2 struct iovec [size], offs, int2
                               RWF_* → result bytes */
  EIO_WRITEV          = 51, /* int1 fd, ptr2 struct iovec [size], offs, int2
                               RWF_* → result bytes */
  EIO_READ_ALL        = 52, /* int1 fd, buffer, size, offs → result bytes,
                               errorno also after success: what stopped it */
  EIO_WRITE_ALL       = 53, /* int1 fd, ptr2 data, size, offs → result bytes,
                               errorno also after success */
  EIO_STATX           = 54, /* path, int1 AT_*, int2 EIO_STATX_* →
                               EIO_STATX_BUF */
  EIO_FSTATX          = 55, /* int1 fd, int2 EIO_STATX_* → EIO_STATX_BUF */
  EIO_COPY_RANGE      = 56, /* int1 in fd, offs, int2 out fd, ptr2 off_t * its
                               offset (null: position), size → result bytes */
  EIO_CLONE           = 57, /* int1 source fd, int2 target fd */
  EIO_SPLICE          = 58, /* int1 in fd, offs, int2 out fd, ptr2 off_t * its
                               offset (null: position), size, int3 SPLICE_F_*
                               → result bytes */
  EIO_TEE             = 59, /* int1 in fd, int2 out fd, size, int3 SPLICE_F_*
                               → result bytes */
  EIO_FADVISE         = 60, /* int1 fd, offs, size (0: to the end), int2
                               POSIX_FADV_* */
  EIO_MADVISE         = 61, /* ptr2 address, size, int1 MADV_* */
  EIO_MINCORE         = 62, /* ptr1 address, size, buffer → result pages,
                               buffer a byte each, 1: in memory */
  EIO_MUNLOCK         = 63, /* ptr2 address, size */
  EIO_MUNLOCKALL      = 64,
  EIO_FULLSYNC        = 65, /* int1 fd */
  EIO_FIEMAP          = 66, /* int1 fd, offs, size (0: to the end), int2
                               EIO_FIEMAP_* → result extents, ptr2 struct
                               eio_extent [result] */
  EIO_GETXATTR        = 67, /* path, name, int2 0 or AT_SYMLINK_NOFOLLOW →
                               result bytes, buffer of size or allocated */
  EIO_SETXATTR        = 68, /* path, name, ptr2 value, size, int2 EIO_XATTR_*
                               | AT_SYMLINK_NOFOLLOW */
  EIO_LISTXATTR       = 69, /* path, int2 0 or AT_SYMLINK_NOFOLLOW → result
                               bytes, buffer of size or allocated */
  EIO_REMOVEXATTR     = 70, /* path, name, int2 0 or AT_SYMLINK_NOFOLLOW */
  EIO_FGETXATTR       = 71, /* int1 fd, name → as EIO_GETXATTR */
  EIO_FSETXATTR       = 72, /* int1 fd, name, ptr2 value, size, int2
                               EIO_XATTR_* */
  EIO_FLISTXATTR      = 73, /* int1 fd → as EIO_LISTXATTR */
  EIO_FREMOVEXATTR    = 74, /* int1 fd, name, int2 0 */

  /* Paths */
  EIO_ACCESS          = 75, /* path, int2 mode */
  EIO_LCHOWN          = 76, /* path, int2 uid, int3 gid */
  EIO_LUTIME          = 77, /* path, nv1 atime, nv2 mtime */
  EIO_UTIMENS         = 78, /* path, ptr2 times (two struct timespec; null:
                               now), int1 AT_* */
  EIO_FUTIMENS        = 79, /* int1 fd, ptr2 times (null: now) */
  EIO_LCHMOD          = 80, /* path, int2 mode */
  EIO_RENAME2         = 81, /* path, ptr2 new path, int3 its wd, int2
                               EIO_RENAME_* */
  EIO_LINK2           = 82, /* path, ptr2 new path, int3 its wd, int1 AT_* */
  EIO_UNLINK2         = 83, /* path, int1 AT_* */
  EIO_OPEN2           = 84, /* path, int1 flags, int2 mode, int3
                               EIO_RESOLVE_* → result fd */
  EIO_MKDTEMP         = 85, /* path template → ptr1 name */
  EIO_MKSTEMP         = 86, /* path template → result fd, ptr1 name */
  EIO_TMPFILE         = 87, /* path of a directory, int1 flags, int2 mode →
                               result fd */
  EIO_LINKFD          = 88, /* int1 fd, path */
  EIO_MKDIRS          = 89, /* path, int2 mode → result directories made */
  EIO_OPENDIR         = 90, /* path → eio_req_dir */
  EIO_READDIR_NEXT    = 91, /* int3 eio_dir, size in bytes (0: 65536), int1
                               EIO_READDIR_* → as EIO_READDIR, 0: the end */
  EIO_CLOSEDIR        = 92, /* int3 eio_dir; executes even when cancelled */
  EIO_LOAD            = 93, /* path → result bytes, ptr2 buffer */
  EIO_SAVE            = 94, /* path, ptr2 data, size, int2 mode (0: as it is,
                               or 0666), int1 EIO_SAVE_* */
  EIO_PATHSYNC        = 95, /* path */
  EIO_SCANDIR         = 96, /* path, int1 flags → as EIO_READDIR, int3
                               directories */
  EIO_COPY            = 97, /* path, ptr2 new path, int3 its wd, int1
                               EIO_COPY_* */
  EIO_MOVE            = 98, /* the same */

  /* Locks */
  EIO_FLOCK           = 99, /* int1 fd, int2 LOCK_*, nv1 seconds that it may
                               wait (< 0: any) */
  EIO_LOCK            = 100, /* int1 fd, int2 F_RDLCK, F_WRLCK or F_UNLCK, offs
                               start, ptr2 off_t * length (null: to the end),
                               nv1 as above */

  EIO_REQ_TYPE_NUM    = 111 /* not all of those before are types */
};

/* Priorities.  Others are clamped to the nearest of these. */
enum {
  EIO_PRI_MIN     = -4,
  EIO_PRI_DEFAULT =  0,
  EIO_PRI_MAX     =  4
};

/* EIO_READDIR, int1 */
enum {
  EIO_READDIR_DENTS         = 0x001, /* ptr1: an eio_dirent for each name */
  EIO_READDIR_DIRS_FIRST    = 0x002, /* likely directories first */
  EIO_READDIR_STAT_ORDER    = 0x004, /* in the order that stats fastest */
  EIO_READDIR_FOUND_UNKNOWN = 0x080, /* output: some type is not known */
  EIO_READDIR_CUSTOM1       = 0x100, /* the caller's, passed through */
  EIO_READDIR_CUSTOM2       = 0x200
};

enum eio_dtype {
  EIO_DT_UNKNOWN =  0, /* the file system does not say: stat it */
  EIO_DT_FIFO    =  1,
  EIO_DT_CHR     =  2,
  EIO_DT_MPC     =  3, /* multiplexed character device (v7) */
  EIO_DT_DIR     =  4,
  EIO_DT_NAM     =  5, /* named special file (Xenix) */
  EIO_DT_BLK     =  6,
  EIO_DT_MPB     =  7, /* multiplexed block device (v7) */
  EIO_DT_REG     =  8,
  EIO_DT_NWK     =  9, /* network special file (HP-UX) */
  EIO_DT_CMP     =  9, /* compressed (VxFS) */
  EIO_DT_LNK     = 10,
  EIO_DT_SOCK    = 12,
  EIO_DT_DOOR    = 13, /* Solaris */
  EIO_DT_WHT     = 14, /* whiteout */
  EIO_DT_MAX     = 15  /* larger than any of these */
};

/* EIO_MSYNC, int1; EIO_MTOUCH, int1 */
enum {
  EIO_MS_ASYNC      = 1,
  EIO_MS_INVALIDATE = 2,
  EIO_MS_SYNC       = 4
};
enum {
  EIO_MT_MODIFY = 1 /* dirty the pages instead of only reading them */
};

/* EIO_SYNC_FILE_RANGE, int2 */
enum {
  EIO_SYNC_FILE_RANGE_WAIT_BEFORE = 1,
  EIO_SYNC_FILE_RANGE_WRITE       = 2,
  EIO_SYNC_FILE_RANGE_WAIT_AFTER  = 4
};

/* EIO_FALLOCATE, int2 */
enum {
  EIO_FALLOC_FL_KEEP_SIZE      = 0x01,
  EIO_FALLOC_FL_PUNCH_HOLE     = 0x02,
  EIO_FALLOC_FL_COLLAPSE_RANGE = 0x08,
  EIO_FALLOC_FL_ZERO_RANGE     = 0x10,
  EIO_FALLOC_FL_INSERT_RANGE   = 0x20,
  EIO_FALLOC_FL_UNSHARE_RANGE  = 0x40
};

/* EIO_RENAME, int2 */
enum {
  EIO_RENAME_NOREPLACE = 1,
  EIO_RENAME_EXCHANGE  = 2,
  EIO_RENAME_WHITEOUT  = 4
};

/* EIO_SEEK, int2.  Other values go to lseek(2) as they are. */
enum {
  EIO_SEEK_SET = 0,
  EIO_SEEK_CUR = 1,
  EIO_SEEK_END = 2
};

/* EIO_MLOCKALL, int1 */
enum {
  EIO_MCL_CURRENT = 1,
  EIO_MCL_FUTURE  = 2,
  EIO_MCL_ONFAULT = 4
};

/* EIO_STATX, EIO_FSTATX, int2: what is wanted; eio_statx.mask: what there is */
enum {
  EIO_STATX_TYPE        = 0x0001,
  EIO_STATX_MODE        = 0x0002,
  EIO_STATX_NLINK       = 0x0004,
  EIO_STATX_UID         = 0x0008,
  EIO_STATX_GID         = 0x0010,
  EIO_STATX_ATIME       = 0x0020,
  EIO_STATX_MTIME       = 0x0040,
  EIO_STATX_CTIME       = 0x0080,
  EIO_STATX_INO         = 0x0100,
  EIO_STATX_SIZE        = 0x0200,
  EIO_STATX_BLOCKS      = 0x0400,
  EIO_STATX_BASIC_STATS = 0x07ff, /* those above, which are what stat says */
  EIO_STATX_BTIME       = 0x0800,
  EIO_STATX_MNT_ID      = 0x1000,
  EIO_STATX_ALL         = 0x1fff
};

/* eio_statx.attributes */
enum {
  EIO_STATX_ATTR_COMPRESSED = 0x000004,
  EIO_STATX_ATTR_IMMUTABLE  = 0x000010,
  EIO_STATX_ATTR_APPEND     = 0x000020,
  EIO_STATX_ATTR_NODUMP     = 0x000040,
  EIO_STATX_ATTR_ENCRYPTED  = 0x000800,
  EIO_STATX_ATTR_AUTOMOUNT  = 0x001000,
  EIO_STATX_ATTR_MOUNT_ROOT = 0x002000,
  EIO_STATX_ATTR_VERITY     = 0x100000,
  EIO_STATX_ATTR_DAX        = 0x200000
};

/* EIO_FIEMAP, int2 */
enum {
  EIO_FIEMAP_SYNC  = 1, /* write the file to the disk before */
  EIO_FIEMAP_XATTR = 2  /* the extents of its attributes */
};

/* eio_extent.flags */
enum {
  EIO_EXTENT_LAST           = 0x0001, /* of the file */
  EIO_EXTENT_UNKNOWN        = 0x0002, /* physical is not known */
  EIO_EXTENT_DELALLOC       = 0x0004, /* ... as it is not on the disk yet */
  EIO_EXTENT_ENCODED        = 0x0008, /* is not on the disk as it is read */
  EIO_EXTENT_DATA_ENCRYPTED = 0x0080,
  EIO_EXTENT_NOT_ALIGNED    = 0x0100, /* to blocks */
  EIO_EXTENT_DATA_INLINE    = 0x0200, /* mixed with metadata */
  EIO_EXTENT_DATA_TAIL      = 0x0400, /* mixed with other files' data */
  EIO_EXTENT_UNWRITTEN      = 0x0800, /* is read as zeroes */
  EIO_EXTENT_MERGED         = 0x1000, /* is what only looks like an extent */
  EIO_EXTENT_SHARED         = 0x2000  /* with other files */
};

/* EIO_SETXATTR, EIO_FSETXATTR, int2 */
enum {
  EIO_XATTR_CREATE  = 1, /* fail if there is one */
  EIO_XATTR_REPLACE = 2  /* fail if there is none */
};

/* EIO_OPEN2, int3: those of openat2(2) */
enum {
  EIO_RESOLVE_NO_XDEV       = 0x01,
  EIO_RESOLVE_NO_MAGICLINKS = 0x02,
  EIO_RESOLVE_NO_SYMLINKS   = 0x04,
  EIO_RESOLVE_BENEATH       = 0x08,
  EIO_RESOLVE_IN_ROOT       = 0x10,
  EIO_RESOLVE_CACHED        = 0x20
};

/* EIO_SAVE, int1 */
enum {
  EIO_SAVE_SYNC = 1 /* it is on the disk when the request is done */
};

/* EIO_COPY, EIO_MOVE, int1 */
enum {
  EIO_COPY_EXCL       = 1,  /* the new path must not exist */
  EIO_COPY_XATTR      = 2,  /* extended attributes, */
  EIO_COPY_OWNER      = 4,  /* owner and group, */
  EIO_COPY_TIMES      = 8,  /* and times are copied, as far as we may */
  EIO_COPY_SYNC       = 16, /* it is on the disk when the request is done */
  EIO_COPY_CLONE_ONLY = 32, /* share blocks, or fail */
  EIO_COPY_ARCHIVE    = 14  /* EIO_COPY_XATTR, _OWNER and _TIMES */
};

/* eio_req.flags: what the library frees between finish and destroy.  The
 * bits 0x04 and 0x08 are the library's, the higher ones the embedder's. */
enum {
  EIO_FLAG_PTR1_FREE = 0x01,
  EIO_FLAG_PTR2_FREE = 0x02
};

/* clang-format on */

/* One directory entry.  EIO_READDIR with EIO_READDIR_DENTS delivers as many as
 * its result says in ptr1. */
struct eio_dirent
{
  int nameofs;            /* of the 0-terminated name, in bytes, in ptr2 */
  unsigned short namelen; /* in bytes, without the 0 */
  unsigned char type;     /* EIO_DT_* */
  signed char score;      /* private */
  eio_ino_t inode;
};

/* What EIO_STATX and EIO_FSTATX deliver.  What is not in mask is 0.  C99
 * without POSIX has no struct timespec; then this is incomplete. */
#if !defined __STRICT_ANSI__ || defined _POSIX_C_SOURCE \
  || defined _XOPEN_SOURCE || defined _GNU_SOURCE || defined _DEFAULT_SOURCE \
  || (defined __STDC_VERSION__ && __STDC_VERSION__ >= 201112L) \
  || (defined __cplusplus && __cplusplus >= 201103L)
struct eio_statx
{
  uint32_t mask;    /* EIO_STATX_*: what of the rest is filled */
  uint32_t type;    /* EIO_DT_* */
  uint32_t mode;    /* type and permissions, as st_mode */
  uint32_t uid;
  uint32_t gid;
  uint32_t blksize; /* bytes, for efficient transfers; always filled */
  uint64_t nlink;
  uint64_t ino;
  uint64_t size;    /* bytes */
  uint64_t blocks;  /* of 512 bytes */
  uint64_t dev;     /* as dev_t; always filled, like rdev */
  uint64_t rdev;
  uint64_t mnt_id;
  uint64_t attributes;      /* EIO_STATX_ATTR_*, ... */
  uint64_t attributes_mask; /* and those of them that the file can have */
  struct timespec atime;    /* access */
  struct timespec btime;    /* birth */
  struct timespec ctime;    /* change of status */
  struct timespec mtime;    /* change of contents */
};
#else
struct eio_statx;
#endif

/* A part of a file that is in one piece on the disk; in bytes. */
struct eio_extent
{
  uint64_t logical;  /* offset in the file */
  uint64_t physical; /* offset on the device */
  uint64_t length;
  uint32_t flags;    /* EIO_EXTENT_* */
};

/* How far a request is.  The totals are 0 while they are not known. */
struct eio_progress
{
  uint64_t bytes_done, bytes_total;
  uint64_t entries_done, entries_total;
};

/*****************************************************************************
 * 2  Requests                                                               *
 *****************************************************************************/

#ifndef EIO_REQ_MEMBERS
# define EIO_REQ_MEMBERS
#endif

#if defined __i386__ || defined __x86_64__
# define EIO_CANCEL_T unsigned char
#else
# define EIO_CANCEL_T sig_atomic_t
#endif

/* Zero it, fill it, submit it.  It belongs to the library from eio_submit
 * until destroy has been called; it may be the first member of a larger
 * struct.  result and errorno stay 0 until finish runs. */
struct eio_req
{
  eio_req volatile *next; /* private */

  eio_wd wd;          /* what a relative ptr1 is relative to */
  eio_ssize_t result; /* of the call, -1: see errorno */
  off_t offs;         /* file offset, length, device */
  size_t size;        /* bytes; EIO_GROUP: number of live members */
  void *ptr1;         /* path */
  void *ptr2;         /* new path or buffer */
  eio_tstamp nv1;     /* atime, delay */
  eio_tstamp nv2;     /* mtime */
  int int1;           /* file descriptor, flags */
  long int2;          /* see the request types; EIO_GROUP: feed limit */
  long int3;
  int errorno;         /* errno of the call; 0 after success */
  unsigned char flags; /* EIO_FLAG_* */
  signed char type;    /* EIO_* */
  signed char pri;     /* EIO_PRI_* */
  EIO_CANCEL_T cancelled; /* see EIO_CANCELLED */

  void *data;    /* the caller's */
  eio_cb finish; /* [poll thread] may be null */

  /* [poll thread] last act of the library on a request, may be null */
  void (*destroy)(eio_req *req);

  /* EIO_GROUP: adds members [who feeds]; EIO_CUSTOM: [worker] */
  void (*feed)(eio_req *req);

  EIO_REQ_MEMBERS

  /* private: the group that holds this, and the list of its members */
  eio_req *grp, *grp_prev, *grp_next, *grp_first;

  /* private: zero them.  Their places are fixed, their meaning is not. */
  eio_ssize_t eio_outcome;   /* result, until finish */
  struct etp_pool *eio_pool; /* whose result queue it comes out of */
  int eio_outerrno;          /* errorno, until finish */
  signed char eio_rank;      /* priority queue */
  unsigned char eio_state;   /* see eio.c, section 3 */
  unsigned char eio_reported; /* to eio_set_slow's function */
  unsigned char eio_timed;    /* which of eio_t are */
  eio_req *eio_chain;        /* of groups whose feeders run: another, */
  size_t eio_frame;          /* ... where on the stack, */
  void *eio_extra;           /* ... and on which thread; locks: section 5 */
  unsigned long long eio_t[3]; /* monotonic times in ns */
  uint64_t eio_done, eio_total; /* see eio_get_progress */
};

/* Non-zero when cancelled.  [any thread] */
#if defined __GNUC__ || defined __clang__
# define EIO_CANCELLED(req) \
  (__atomic_load_n (&(req)->cancelled, __ATOMIC_RELAXED) != 0)
#else
# define EIO_CANCELLED(req) (*(volatile EIO_CANCEL_T *)&(req)->cancelled != 0)
#endif

#define EIO_RESULT(req)      ((req)->result)
#define EIO_BUF(req)         ((req)->ptr2)
#define EIO_STAT_BUF(req)    ((EIO_STRUCT_STAT *)((req)->ptr2))
#define EIO_STATVFS_BUF(req) ((EIO_STRUCT_STATVFS *)((req)->ptr2))
#define EIO_STATX_BUF(req)   ((struct eio_statx *)((req)->ptr2))
#define EIO_PATH(req)        ((char *)((req)->ptr1))

/* The same for languages that have no C compiler at hand: the members type,
 * cancelled, result, errorno, ptr2, data, wd and offs.  [who has the request]
 */
int eio_req_type (const eio_req *req);
int eio_req_cancelled (const eio_req *req);
eio_ssize_t eio_req_result (const eio_req *req);
int eio_req_errno (const eio_req *req);
void *eio_req_buf (const eio_req *req);
void *eio_req_data (const eio_req *req);
eio_wd eio_req_wd (const eio_req *req);
off_t eio_req_offset (const eio_req *req);

/* How far a request that copies, reads or writes is: EIO_COPY, EIO_MOVE,
 * EIO_COPY_RANGE, EIO_READ_ALL, EIO_WRITE_ALL, EIO_LOAD, EIO_SAVE, EIO_SLURP
 * and EIO_SENDFILE count bytes; others have zeros.  Holes count as if they had
 * been copied.  Returns 0.  [any thread], from submission to finish */
int eio_get_progress (const eio_req *req, struct eio_progress *progress);

/* The directory that EIO_OPENDIR opened, or that EIO_READDIR_NEXT reads; null
 * for other types, and where that failed.  [who has the request] */
eio_dir *eio_req_dir (const eio_req *req);

/* sizeof (eio_req), to allocate one.  [any thread] */
size_t eio_req_sizeof (void);

/* Takes ptr2 out of a request whose finish runs: the caller frees it by
 * free().  Null with errno EINVAL if it is not the library's to free, as a
 * buffer that the caller passed, or one in the request's own block: EIO_STAT's
 * and its like.  [poll thread] */
void *eio_take_buffer (eio_req *req);

/* The name of a request type, such as "read", or null.  [any thread] */
const char *eio_strtype (int type);

/* EIO_VERSION_MAJOR << 16 | EIO_VERSION_MINOR of the library that runs.
 * [any thread] */
unsigned int eio_version (void);

/*****************************************************************************
 * 3  The pool                                                               *
 *****************************************************************************/

/* Starts the library, or starts it anew: requests and workers of before are
 * abandoned, settings are kept.  Call it before anything but the settings
 * below; in a forked child, before anything else.  It may be called from a
 * pthread_atfork handler.
 *
 * want_poll: called on any thread when eio_poll has something to do.
 * done_poll: called inside eio_poll, or what polls or waits for you, when
 * nothing is left to do.
 * The two alternate strictly, want_poll first, never two at once; neither
 * may call the library.  Either may be null.
 *
 * Returns 0, or -1 with errno ENOMEM.  [poll thread] */
int eio_init (void (*want_poll) (void), void (*done_poll) (void));

/* Finishes requests that have been executed: calls finish and destroy, with
 * the highest priority first, and feeds and finishes groups.  Callbacks may
 * submit, cancel, and call eio_poll again.
 *
 * Returns 0 when nothing is left; -1 with errno EAGAIN when a limit (see
 * below) stopped it, or when requests wait for it because no worker could be
 * started; or else the first non-zero value that a callback returned, at
 * once.  When no thread can be had at all, each call also executes one
 * queued request itself.  [poll thread] */
int eio_poll (void);

/* A descriptor that is readable while eio_poll has something to do: to be
 * watched, beside want_poll and done_poll or in their place, and never to be
 * read, written or closed.  It is made by the first call, which initialises
 * the library if need be, and lasts.  In a forked child the same number is a
 * descriptor of the child's own, so sets of epoll's have to be made anew.
 * Returns -1 with errno if none can be had.  An eventfd(2), or the end of a
 * pipe(2).  [any thread] */
int eio_poll_fd (void);

/* Blocks until there are results for eio_poll, and returns how many; or until
 * nothing is outstanding, or for so many seconds (< 0 or NaN: no limit), and
 * returns 0.  It calls no callbacks; where no thread can be had, it executes
 * a request.  [poll thread] */
int eio_poll_wait (eio_tstamp timeout);

/* Polls and waits until nothing is outstanding.  Returns 0, or at once the
 * first non-zero value that a callback returned; -1 with errno EAGAIN in a
 * forked child that got no memory yet.  [poll thread] */
int eio_flush (void);

/* Ends the library's work: has workers leave, joins them, and frees all that
 * the library has of its own, so that it may be unloaded.  Before that, with
 * EIO_SHUTDOWN_DRAIN, everything that is outstanding is executed and finished,
 * what callbacks submit included; with EIO_SHUTDOWN_CANCEL, what is queued is
 * cancelled, and so are what callbacks submit, and groups that thereby lose
 * members or feeders; what executes is finished.  Values of callbacks are
 * ignored.
 *
 * timeout: seconds; < 0 or NaN: no limit.
 * Returns 0: eio_poll_fd's descriptor is closed, want_poll and done_poll are
 * forgotten, settings are kept, and eio_init begins anew; or -1 with errno
 * ETIMEDOUT, and the library goes on as before; EDEADLK in a callback, on a
 * worker, or in a request that eio_poll executes; ENOMEM in a forked child that
 * got none yet; EINVAL for an unknown mode.  No other thread may use the library
 * meanwhile.  [poll thread] */
enum {
  EIO_SHUTDOWN_DRAIN  = 0,
  EIO_SHUTDOWN_CANCEL = 1
};
int eio_shutdown (int mode, eio_tstamp timeout);

/* More than one pool: each has its own results, limits, settings, counters
 * and descriptor, and its own workers, or those of another.  A thread has one
 * current pool, which all functions here work on: at first the default pool,
 * which is the one that eio_init is about.  A request's outcome comes out of
 * the pool that was current when it was submitted; that pool is current in its
 * callbacks, and on the worker that executes it. */

/* Makes a pool with the initial settings.  want_poll and done_poll are called
 * with userdata, and otherwise as those of eio_init; either may be null.
 * eio_pool_new_shared: its requests are executed by the workers of that pool
 * (null: the default pool), in the order of their priorities among its; what
 * is said below of workers is then said of those.
 *
 * The pool's poll thread is whoever has it current and calls eio_poll.  In a
 * forked child it is a pool without requests, under the same address.
 * Returns null with errno ENOMEM.  The caller frees it by eio_pool_free.
 * [any thread] */
eio_pool *eio_pool_new (void (*want_poll) (void *userdata),
                        void (*done_poll) (void *userdata), void *userdata);
eio_pool *eio_pool_new_shared (eio_pool *workers,
                               void (*want_poll) (void *userdata),
                               void (*done_poll) (void *userdata),
                               void *userdata);

/* Ends the pool's workers, waits for them, and frees it.  On the calling
 * thread, the default pool becomes current if this was.  Returns 0, or -1 with
 * errno EBUSY while it has requests, or a callback of it runs, or another pool
 * shares its workers; EINVAL for the default pool, also as null.  No other
 * thread may use it, or have it current, any more.  [any thread] */
int eio_pool_free (eio_pool *pool);

/* Makes a pool the calling thread's current one (null: the default pool), and
 * returns which was, for another eio_pool_use to restore.  A callback's choice
 * ends with it.  [any thread] */
eio_pool *eio_pool_use (eio_pool *pool);
eio_pool *eio_pool_current (void);

/* Limits of one eio_poll: seconds, looked at after each callback, and number
 * of requests; 0 (time: also negative or NaN) means none.  Initially 0.
 * [any thread] */
void eio_set_max_poll_time (eio_tstamp seconds);
void eio_set_max_poll_reqs (unsigned int nreqs);
eio_tstamp eio_get_max_poll_time (void);
unsigned int eio_get_max_poll_reqs (void);

/* While more requests than nreqs are outstanding, eio_poll goes on polling
 * and waiting, until a callback returns non-zero.  0 (initially) means no
 * limit.  [any thread] */
void eio_set_max_outstanding (unsigned int nreqs);
unsigned int eio_get_max_outstanding (void);

/* While nreqs requests are outstanding, eio_grp and the wrappers return null
 * and eio_try_submit -1, with errno EAGAIN; but not in feeders, which have
 * limits of their own.  0 (initially) means no limit.  [any thread] */
void eio_set_submit_limit (unsigned int nreqs);
unsigned int eio_get_submit_limit (void);

/* Has finish called for cancelled requests, too: with result -1 and errorno
 * ECANCELED, or with the real outcome of one that had executed; what that
 * produced is the host's then.  Initially 0: it is not called.
 * [any thread] */
void eio_set_finish_cancelled (int on);
int eio_get_finish_cancelled (void);

/* What happens while no thread at all can be had: EIO_NOTHREADS_RUN
 * (initially): each eio_poll executes a request.  EIO_NOTHREADS_FAIL: it tries
 * again to start a thread, and returns -1 with errno EAGAIN if it cannot; it
 * is not asked for, so call it from time to time.  [any thread] */
enum {
  EIO_NOTHREADS_RUN  = 0,
  EIO_NOTHREADS_FAIL = 1
};
void eio_set_nothreads (int mode);
int eio_get_nothreads (void);

/* Has requests that the kernel can answer without waiting for a device or a
 * server answered at once, by the thread that submits them: EIO_READ at an
 * offset, of up to max_bytes bytes, from the page cache; EIO_STAT, EIO_LSTAT,
 * EIO_FSTAT, EIO_CLOSE, and EIO_OPEN for reading, of files on local file
 * systems whose names are in memory, while few requests are outstanding.
 * Results come out of eio_poll as ever; but such requests pass by those that
 * wait for a worker, whatever their priority.  0 (initially) means none.
 * Linux; elsewhere it changes nothing.  [any thread] */
void eio_set_inline (size_t max_bytes);
size_t eio_get_inline (void);

/* Raises the limit on workers (initially 4) to at least nthreads.
 * [any thread] */
void eio_set_min_parallel (unsigned int nthreads);

/* Lowers the limit on workers to at most nthreads, and blocks until no more
 * exist, each having finished what it executed, or until somebody raises the
 * limit.  With 0, requests wait until it is raised again.  [any thread] */
void eio_set_max_parallel (unsigned int nthreads);

/* Sets the limit on workers.  Those that are too many leave as soon as they
 * are done, but it does not wait for that.  [any thread] */
void eio_set_parallel (unsigned int nthreads);
unsigned int eio_get_parallel (void);

/* How many workers may idle for ever (initially 4), and for how many seconds
 * any further one may (initially 10).  [any thread] */
void eio_set_max_idle (unsigned int nthreads);
void eio_set_idle_timeout (unsigned int seconds);
unsigned int eio_get_max_idle (void);
unsigned int eio_get_idle_timeout (void);

/* What workers that are started from now on are like; those that exist stay
 * as they are.  [any thread] */

/* Bytes of stack, beside static TLS; 0 (initially) means what the library was
 * built with.  Where the system refuses so few, they get more. */
void eio_set_stack_size (size_t bytes);
size_t eio_get_stack_size (void);

/* Their name, of which systems take 15 bytes; null (initially) means the
 * process's name with "/eio". */
void eio_set_thread_name (const char *name);

/* Functions that each worker calls, with userdata, before its first request
 * and after its last; null (initially) for none.  They may do what a request
 * may do.  A worker calls the pair that was set when it was started. */
void eio_set_thread_hooks (void (*on_start) (void *userdata),
                           void (*on_stop) (void *userdata), void *userdata);

/* The CPUs that they run on: size bytes of a cpu_set_t, null for those of the
 * thread that called eio_init (initially).  Returns 0, or -1 with errno EINVAL
 * for a set that is too large or empty, or ENOSYS where there is no such
 * thing.  sched_setaffinity(2) */
int eio_set_affinity (const void *cpuset, size_t size);

/* Their I/O priority, as ioprio_set(2) takes it, 0 (initially) for the
 * process's.  Returns 0, or -1 with errno EINVAL for a class that there is
 * not, or ENOSYS where there is no such thing.  The system may refuse it
 * silently. */
int eio_set_ioprio (int ioprio);
int eio_get_ioprio (void);

/* Keeps nthreads of the limit on workers for requests of at least priority
 * pri, so that slow work of lower priority cannot take them all; one worker at
 * least takes everything.  0 workers (initially): none is kept.
 * [any thread] */
void eio_set_reserved (int pri, unsigned int nthreads);
unsigned int eio_get_reserved (int *pri);

/* Has each queued request gain one priority in so many seconds, up to
 * EIO_PRI_MAX, so that none waits for ever.  eio_set_reserved goes by the
 * priority that it had.  0 (initially), negative or NaN: none gains any.
 * [any thread] */
void eio_set_ageing (eio_tstamp seconds);
eio_tstamp eio_get_ageing (void);

/* Requests submitted and not yet handed to finish.  A group counts until
 * eio_poll has looked at it, and again once its members are done.
 * [any thread] */
unsigned int eio_nreqs (void);

/* Requests not yet taken by a worker.  [any thread] */
unsigned int eio_nready (void);

/* Requests executed, and groups that wait for eio_poll to look at them, not
 * yet handed to finish.  [any thread]; while eio_poll runs, others than it may
 * see some counted that it has finished. */
unsigned int eio_npending (void);

/* Workers alive.  [any thread] */
unsigned int eio_nthreads (void);

/* What a pool has done, since it was made (the default pool: since eio_init).
 * When nothing is outstanding, submitted is finished + cancelled. */
struct eio_stats
{
  uint64_t submitted; /* groups, and what is executed at once, included */
  uint64_t executed;  /* by a worker, or by eio_poll in its place */
  uint64_t finished;  /* handed to finish, and not cancelled */
  uint64_t cancelled; /* ended as cancelled, whether executed or not */
  uint64_t inlined;   /* answered at once: see eio_set_inline */
  uint64_t threads_started; /* workers that began, ... */
  uint64_t threads_reaped;  /* and that left, for whatever reason */
  uint64_t start_failures;  /* threads that the system refused */
  unsigned int max_nready;  /* the most that eio_nready, ... */
  unsigned int max_npending;
  unsigned int max_nthreads; /* eio_nthreads would have said */

  /* Requests that were submitted while eio_set_timing was on, by the time from
   * submission to execution, of the execution, and from there to finish: in the
   * i-th those from 2^i up to 2^(i+1) us; in the first also shorter ones, in
   * the last longer ones.  Requests answered at once, or cancelled before, are
   * in none. */
  uint64_t queue_hist[32], exec_hist[32], deliver_hist[32];
};

/* Copies them into the first size bytes of stats; size is sizeof *stats, so
 * that the struct can grow: what the library does not know is set to 0.
 * Returns 0, or -1 with errno EINVAL if size is 0 or stats null.  On other
 * threads than the one that polls, finished and cancelled may lack what a
 * running eio_poll has done.  [any thread] */
int eio_get_stats (struct eio_stats *stats, size_t size);

/* Switches on (1) or off (0, initially) the histograms, for requests that are
 * submitted from now on.  [any thread] */
void eio_set_timing (int on);
int eio_get_timing (void);

/* Has eio_poll call cb, once for a request, for each that executes, or was
 * executing, for longer than so many seconds, if it began after this call;
 * running is for how long.  cb may
 * read what the request was filled with, and cancel it.  A loop that wants to
 * know in time calls eio_poll by a timer.  0 (initially), negative or NaN
 * seconds, or a null cb: none is reported, but by an eio_poll that goes on in
 * another thread.  [any thread] */
void eio_set_slow (eio_tstamp seconds,
                   void (*cb) (const eio_req *req, eio_tstamp running));

/*****************************************************************************
 * 4  Submitting                                                             *
 *****************************************************************************/

/* Submits a filled request.  It never fails and never blocks on I/O; errors
 * arrive in finish.  A request may be submitted again from its own finish:
 * it has then left its group, and its buffers and destroy are skipped this
 * time.  [any thread] */
void eio_submit (eio_req *req);

/* The same, but refuses when as many requests are outstanding as
 * eio_set_submit_limit says: -1 with errno EAGAIN, else 0.  [any thread] */
int eio_try_submit (eio_req *req);

/* Cancels a request and, if it is a group, its members of any depth.  What
 * did not execute yet never will (except EIO_CLOSE and EIO_WD_CLOSE, which
 * always do); what executes may stop early; finish is not called, destroy
 * is.  A file or wd that was opened is closed by the library.  Null is
 * ignored.  [any thread], while it is certain that the request has not been
 * destroyed. */
void eio_cancel (eio_req *req);

/*****************************************************************************
 * 5  Groups                                                                 *
 *****************************************************************************/

/* On another thread than the one that polls, a group may finish as soon as it
 * has no members, and a request as soon as it has been submitted: something
 * has to keep the group, such as a member that waits, and requests are filled
 * by hand and added before they are submitted. */

/* Makes and submits a group, with EIO_PRI_MAX.  It finishes in eio_poll once
 * it has no members, even if it never had any.  result, errorno, ptr1, ptr2
 * and int1 are the caller's to set.  Null and errno ENOMEM when memory is
 * out.  [any thread] */
eio_req *eio_grp (eio_cb cb, void *data);

/* Sets a feeder: it is called now, and whenever a member has finished, while
 * the group has less than limit members and is not cancelled; it is expected
 * to add some, and is removed when it adds none.  limit <= 0 pauses it.
 * [any thread] */
void eio_grp_feed (eio_req *grp, void (*feed) (eio_req *grp), int limit);

/* Changes the feeder's limit.  [any thread] */
void eio_grp_limit (eio_req *grp, int limit);

/* Adds a request, also a group, to a group whose finish has not begun; either
 * may have been submitted, or not yet.  A null request is ignored; to a
 * cancelled group, the request is added as cancelled.  Returns 0, or -1 with
 * errno EINVAL when they are of different pools, or when the group has begun to
 * finish, or the request is in a group already (these are asserted against);
 * then the request runs alone, or where it is.  [any thread] */
int eio_grp_add (eio_req *grp, eio_req *req);

/* Cancels the members and drops the feeder, but not the group itself, which
 * finishes when they are gone.  [any thread] */
void eio_grp_cancel (eio_req *grp);

/*****************************************************************************
 * 6  Synchronous helpers: these block                                       *
 *****************************************************************************/

/* Opens a directory for use as eio_req.wd.  path is relative to wd.  Returns
 * EIO_INVALID_WD with errno on failure.  The caller closes it.
 * openat(2) with O_PATH or O_SEARCH.  [any thread] */
eio_wd eio_wd_open_sync (eio_wd wd, const char *path);

/* Closes a wd that no request uses; EIO_CWD and EIO_INVALID_WD are ignored.
 * [any thread] */
void eio_wd_close_sync (eio_wd wd);

/* Copies count bytes from ifd at offset to ofd.  Returns the bytes written,
 * 0 at the end of ifd, or -1 with errno on failure before the first; EINVAL
 * if offset is negative.  sendfile(2), or pread and write where that refuses
 * the descriptors.  [any thread] */
eio_ssize_t eio_sendfile_sync (int ofd, int ifd, off_t offset, size_t count);

/* Copies what a regular file has to another, which is empty, as EIO_COPY does,
 * and then, also of a directory, the mode, and by EIO_COPY_* flags the owner,
 * extended attributes and times; EIO_COPY_SYNC brings it to the disk.  st is
 * the status of in_fd whose mode, owner and times are copied; null: as it is
 * now.  Bytes, but not of holes, nor those that could be shared, are added to
 * *done on the way, atomically; it may be null, as may req, whose cancellation
 * ends it with ECANCELED.
 * Returns 0, or -1 with errno: that of a call, or EINVAL for unknown flags,
 * the same file twice, or anything but two files or two directories; then the
 * target is in no good state.  [any thread] */
int eio_copy_fd_sync (int in_fd, int out_fd, const struct stat *st, int flags,
                      const eio_req *req, uint64_t *done);

/* mlockall(2) with EIO_MCL_* flags.  Returns 0, or -1 with errno.
 * [any thread] */
int eio_mlockall_sync (int flags);

/*****************************************************************************
 * 7  Wrappers [any thread]                                                  *
 *                                                                           *
 * Each makes a request of the type of its name, submits it, and returns it, *
 * or returns null with errno ENOMEM when memory is out.  The request frees  *
 * itself.  Paths are copied, buffers are not: they must live until finish   *
 * or destroy.  pri is EIO_PRI_*; cb may be null; data ends up in req->data. *
 * What arrives in result, errorno and the buffers is said at the types      *
 * above and, at length, in eio(3); beyond what is said here, errno is that  *
 * of the system call of the same name.                                      *
 *****************************************************************************/

#ifndef EIO_NO_WRAPPERS

/* Nothing, by way of a worker: measures latency, orders callbacks. */
eio_req *eio_nop (int pri, eio_cb cb, void *data);

/* A worker sleeps for delay seconds. */
eio_req *eio_busy (eio_tstamp delay, int pri, eio_cb cb, void *data);

/* execute runs in a worker [worker] and sets req->result and errno. */
eio_req *eio_custom (void (*execute) (eio_req *), int pri, eio_cb cb,
                     void *data);

/* Working directories: the result is req->wd, close it with eio_wd_close. */
eio_req *eio_wd_open (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_wd_close (eio_wd wd, int pri, eio_cb cb, void *data);

/* Descriptors.  The caller owns what open returns.  dup2: result is fd2.
 * fcntl, ioctl: result is the call's; arg and buf must live until destroy. */
eio_req *eio_open (const char *path, int flags, mode_t mode, int pri,
                   eio_cb cb, void *data);
eio_req *eio_close (int fd, int pri, eio_cb cb, void *data);
eio_req *eio_dup2 (int fd, int fd2, int pri, eio_cb cb, void *data);
eio_req *eio_fcntl (int fd, int cmd, void *arg, int pri, eio_cb cb,
                    void *data);
eio_req *eio_ioctl (int fd, unsigned long request, void *buf, int pri,
                    eio_cb cb, void *data);

/* lseek(2).  result is 0, the new position is in req->offs. */
eio_req *eio_seek (int fd, off_t offset, int whence, int pri, eio_cb cb,
                   void *data);

/* pread(2), pwrite(2); offset < 0: read(2), write(2).  buf null: EIO_BUF
 * holds length bytes, zeroed behind the result. */
eio_req *eio_read (int fd, void *buf, size_t length, off_t offset, int pri,
                   eio_cb cb, void *data);
eio_req *eio_write (int fd, void *buf, size_t length, off_t offset, int pri,
                    eio_cb cb, void *data);

/* readahead(2), by reading where that is missing. */
eio_req *eio_readahead (int fd, off_t offset, size_t length, int pri,
                        eio_cb cb, void *data);

/* As eio_sendfile_sync. */
eio_req *eio_sendfile (int out_fd, int in_fd, off_t in_offset, size_t length,
                       int pri, eio_cb cb, void *data);

/* Open, read from offset (< 0: from the end) and close in one.  length 0
 * reads to the end, and wants buf to be null. */
eio_req *eio_slurp (const char *path, void *buf, size_t length, off_t offset,
                    int pri, eio_cb cb, void *data);

/* Bringing data to the disk.  fdatasync becomes fsync, sync_file_range
 * becomes fdatasync, syncfs becomes sync and ENOSYS, where missing.
 * fallocate: mode is 0 or EIO_FALLOC_FL_*; ENOSYS where missing. */
eio_req *eio_sync (int pri, eio_cb cb, void *data);
eio_req *eio_fsync (int fd, int pri, eio_cb cb, void *data);
eio_req *eio_fdatasync (int fd, int pri, eio_cb cb, void *data);
eio_req *eio_syncfs (int fd, int pri, eio_cb cb, void *data);
eio_req *eio_sync_file_range (int fd, off_t offset, size_t nbytes,
                              unsigned int flags, int pri, eio_cb cb,
                              void *data);
eio_req *eio_fallocate (int fd, int mode, off_t offset, size_t len, int pri,
                        eio_cb cb, void *data);

/* Memory.  The range is widened to whole pages.  mtouch: EFAULT beyond the end
 * of the file, or SIGBUS where the kernel cannot populate. */
eio_req *eio_msync (void *addr, size_t length, int flags, int pri, eio_cb cb,
                    void *data);
eio_req *eio_mtouch (void *addr, size_t length, int flags, int pri,
                     eio_cb cb, void *data);
eio_req *eio_mlock (void *addr, size_t length, int pri, eio_cb cb,
                    void *data);
eio_req *eio_mlockall (int flags, int pri, eio_cb cb, void *data);

/* Status of files, by descriptor and by path.  The buffer is part of the
 * request: copy it in finish. */
eio_req *eio_fstat (int fd, int pri, eio_cb cb, void *data);
eio_req *eio_fstatvfs (int fd, int pri, eio_cb cb, void *data);
eio_req *eio_stat (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_lstat (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_statvfs (const char *path, int pri, eio_cb cb, void *data);

/* Changing it.  utime: both times -1 mean now.  chown: an id of -1 leaves it as
 * it is. */
eio_req *eio_ftruncate (int fd, off_t offset, int pri, eio_cb cb, void *data);
eio_req *eio_fchmod (int fd, mode_t mode, int pri, eio_cb cb, void *data);
eio_req *eio_fchown (int fd, eio_uid_t uid, eio_gid_t gid, int pri, eio_cb cb,
                     void *data);
eio_req *eio_futime (int fd, eio_tstamp atime, eio_tstamp mtime, int pri,
                     eio_cb cb, void *data);
eio_req *eio_truncate (const char *path, off_t offset, int pri, eio_cb cb,
                       void *data);
eio_req *eio_chmod (const char *path, mode_t mode, int pri, eio_cb cb,
                    void *data);
eio_req *eio_chown (const char *path, eio_uid_t uid, eio_gid_t gid, int pri,
                    eio_cb cb, void *data);
eio_req *eio_utime (const char *path, eio_tstamp atime, eio_tstamp mtime,
                    int pri, eio_cb cb, void *data);

/* Names.  readlink and realpath: EIO_BUF, result bytes, no terminating 0. */
eio_req *eio_readlink (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_realpath (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_unlink (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_rmdir (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_mkdir (const char *path, mode_t mode, int pri, eio_cb cb,
                    void *data);
eio_req *eio_mknod (const char *path, mode_t mode, dev_t dev, int pri,
                    eio_cb cb, void *data);
eio_req *eio_link (const char *path, const char *new_path, int pri, eio_cb cb,
                   void *data);
eio_req *eio_symlink (const char *path, const char *new_path, int pri,
                      eio_cb cb, void *data);
eio_req *eio_rename (const char *path, const char *new_path, int pri,
                     eio_cb cb, void *data);

/* A whole directory without "." and "..": flags are EIO_READDIR_*. */
eio_req *eio_readdir (const char *path, int flags, int pri, eio_cb cb,
                      void *data);

/* preadv2(2), pwritev2(2); offset < 0: at the position.  The array iov is
 * copied, the buffers are not.  rwf_flags are RWF_*, which the system may
 * refuse: EOPNOTSUPP, or ENOSYS where it knows none. */
eio_req *eio_readv (int fd, const struct iovec *iov, int iovcnt, off_t offset,
                    int rwf_flags, int pri, eio_cb cb, void *data);
eio_req *eio_writev (int fd, const struct iovec *iov, int iovcnt, off_t offset,
                     int rwf_flags, int pri, eio_cb cb, void *data);

/* As eio_read and eio_write, but go on until all is done.  errorno is what
 * stopped it, with the result of what was done before; 0 at the end of the
 * file.  -1 if there was an error before the first byte. */
eio_req *eio_read_all (int fd, void *buf, size_t length, off_t offset, int pri,
                       eio_cb cb, void *data);
eio_req *eio_write_all (int fd, void *buf, size_t length, off_t offset,
                        int pri, eio_cb cb, void *data);

/* statx(2), or what stat(2) says of it.  The buffer, EIO_STATX_BUF, is part of
 * the request: copy it in finish. */
eio_req *eio_statx (const char *path, int at_flags, unsigned int mask, int pri,
                    eio_cb cb, void *data);
eio_req *eio_statx_at (eio_wd wd, const char *path, int at_flags,
                       unsigned int mask, int pri, eio_cb cb, void *data);
eio_req *eio_fstatx (int fd, unsigned int mask, int pri, eio_cb cb,
                     void *data);

/* copy_file_range(2), sendfile(2), or reading and writing: any two
 * descriptors.  An offset < 0 is the position, which moves.  Ranges of one file
 * that overlap are EINVAL. */
eio_req *eio_copy_range (int in_fd, off_t in_offset, int out_fd,
                         off_t out_offset, size_t length, int pri, eio_cb cb,
                         void *data);

/* ioctl_ficlone(2): dst_fd gets src_fd's contents without copying, or
 * EOPNOTSUPP, EXDEV; ENOSYS where the system has no such thing. */
eio_req *eio_clone (int src_fd, int dst_fd, int pri, eio_cb cb, void *data);

/* splice(2), tee(2); an offset < 0 is a null one.  ENOSYS where missing. */
eio_req *eio_splice (int in_fd, off_t in_offset, int out_fd, off_t out_offset,
                     size_t length, unsigned int flags, int pri, eio_cb cb,
                     void *data);
eio_req *eio_tee (int in_fd, int out_fd, size_t length, unsigned int flags,
                  int pri, eio_cb cb, void *data);

/* posix_fadvise(2), madvise(2); ENOSYS where missing.  madvise widens the range
 * to whole pages for MADV_NORMAL, _RANDOM, _SEQUENTIAL and _WILLNEED only. */
eio_req *eio_fadvise (int fd, off_t offset, off_t length, int advice, int pri,
                      eio_cb cb, void *data);
eio_req *eio_madvise (void *addr, size_t length, int advice, int pri,
                      eio_cb cb, void *data);

/* mincore(2), of whole pages: the result is how many, and EIO_BUF has a byte
 * for each, 1 if it is in memory.  ENOSYS where missing. */
eio_req *eio_mincore (void *addr, size_t length, int pri, eio_cb cb,
                      void *data);

/* munlock(2), of whole pages, and munlockall(2). */
eio_req *eio_munlock (void *addr, size_t length, int pri, eio_cb cb,
                      void *data);
eio_req *eio_munlockall (int pri, eio_cb cb, void *data);

/* fsync(2), down to the disk's platter: F_FULLFSYNC where fsync does less. */
eio_req *eio_fullsync (int fd, int pri, eio_cb cb, void *data);

/* ioctl_fiemap(2), of all extents: the result is how many, EIO_BUF is an array
 * of struct eio_extent.  length 0: to the end.  flags are EIO_FIEMAP_*.
 * EOPNOTSUPP, or ENOSYS, where missing. */
eio_req *eio_fiemap (int fd, off_t start, off_t length, unsigned int flags,
                     int pri, eio_cb cb, void *data);

/* Extended attributes: getxattr(2), setxattr(2), listxattr(2) and
 * removexattr(2).  Name and path are copied, value is not.  at_flags and flags
 * are 0 or AT_SYMLINK_NOFOLLOW; of setxattr also EIO_XATTR_*.  get, list:
 * EIO_BUF, result bytes, and a 0 behind.  ENOSYS where missing. */
eio_req *eio_getxattr (const char *path, const char *name, int at_flags,
                       int pri, eio_cb cb, void *data);
eio_req *eio_getxattr_at (eio_wd wd, const char *path, const char *name,
                          int at_flags, int pri, eio_cb cb, void *data);
eio_req *eio_setxattr (const char *path, const char *name, const void *value,
                       size_t size, int flags, int pri, eio_cb cb,
                       void *data);
eio_req *eio_setxattr_at (eio_wd wd, const char *path, const char *name,
                          const void *value, size_t size, int flags, int pri,
                          eio_cb cb, void *data);
eio_req *eio_listxattr (const char *path, int at_flags, int pri, eio_cb cb,
                        void *data);
eio_req *eio_listxattr_at (eio_wd wd, const char *path, int at_flags, int pri,
                           eio_cb cb, void *data);
eio_req *eio_removexattr (const char *path, const char *name, int flags,
                          int pri, eio_cb cb, void *data);
eio_req *eio_removexattr_at (eio_wd wd, const char *path, const char *name,
                             int flags, int pri, eio_cb cb, void *data);
eio_req *eio_fgetxattr (int fd, const char *name, int pri, eio_cb cb,
                        void *data);
eio_req *eio_fsetxattr (int fd, const char *name, const void *value,
                        size_t size, int flags, int pri, eio_cb cb,
                        void *data);
eio_req *eio_flistxattr (int fd, int pri, eio_cb cb, void *data);
eio_req *eio_fremovexattr (int fd, const char *name, int flags, int pri,
                           eio_cb cb, void *data);

/* Requests 75 to 110.  at_flags are AT_* of fcntl.h, which the system call of
 * the name takes, or that which takes flags. */

/* faccessat(2): as the real user.  lchown, lutime and lchmod are as those
 * above, but do not follow a link; lchmod: EOPNOTSUPP where links have no
 * mode.  utimensat(2), futimens(2): times are two, which are copied; or null,
 * for now. */
eio_req *eio_access (const char *path, int mode, int pri, eio_cb cb,
                     void *data);
eio_req *eio_lchown (const char *path, eio_uid_t uid, eio_gid_t gid, int pri,
                     eio_cb cb, void *data);
eio_req *eio_lutime (const char *path, eio_tstamp atime, eio_tstamp mtime,
                     int pri, eio_cb cb, void *data);
eio_req *eio_utimens (const char *path, const struct timespec *times,
                      int at_flags, int pri, eio_cb cb, void *data);
eio_req *eio_futimens (int fd, const struct timespec *times, int pri,
                       eio_cb cb, void *data);
eio_req *eio_lchmod (const char *path, mode_t mode, int pri, eio_cb cb,
                     void *data);

/* renameat2(2): ENOSYS where that is missing, unless flags are 0.  linkat(2),
 * unlinkat(2). */
eio_req *eio_rename2 (const char *path, const char *new_path,
                      unsigned int flags, int pri, eio_cb cb, void *data);
eio_req *eio_link2 (const char *path, const char *new_path, int at_flags,
                    int pri, eio_cb cb, void *data);
eio_req *eio_unlink2 (const char *path, int at_flags, int pri, eio_cb cb,
                      void *data);

/* openat2(2) if there are resolve flags, EIO_RESOLVE_*: ENOSYS where that is
 * missing; else openat(2).  The result is a descriptor that the caller owns. */
eio_req *eio_open2 (const char *path, int flags, mode_t mode,
                    unsigned int resolve, int pri, eio_cb cb, void *data);

/* A new directory, or a new file, open for reading and writing and
 * close-on-exec, whose name is path with other characters in place of the
 * XXXXXX at its end; EINVAL without these.  The name is req->ptr1, a block of
 * its own with EIO_FLAG_PTR1_FREE.  Cancelled ones are removed. */
eio_req *eio_mkdtemp (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_mkstemp (const char *path, int pri, eio_cb cb, void *data);

/* A file in dir that has no name; flags are open's, O_RDWR or O_WRONLY among
 * them.  linkfd gives it one, unless there was O_EXCL, or the system could only
 * remove its name: ENOENT. */
eio_req *eio_tmpfile (const char *dir, int flags, mode_t mode, int pri,
                      eio_cb cb, void *data);
eio_req *eio_linkfd (int fd, const char *path, int pri, eio_cb cb,
                     void *data);

/* Makes path, and what is missing on the way, with the rights to go on.  The
 * result is how many directories it made; those stay if it fails. */
eio_req *eio_mkdirs (const char *path, mode_t mode, int pri, eio_cb cb,
                     void *data);

/* A directory in batches: opendir's callback gets it by eio_req_dir.
 * readdir_next delivers, as eio_readdir does, entries that take max_bytes, but
 * at least one, and 0 of them at the end; flags sort within the batch.  EBUSY:
 * it is being read by another.  closedir frees it; a readdir_next that was
 * submitted before, but begins after it, fails with EBADF. */
eio_req *eio_opendir (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_readdir_next (eio_dir *dir, size_t max_bytes, int flags, int pri,
                           eio_cb cb, void *data);
eio_req *eio_closedir (eio_dir *dir, int pri, eio_cb cb, void *data);

/* A whole file, even in /proc.  save replaces it by a new one, at once; mode 0
 * leaves it its mode.  EISDIR, EINVAL: it is no regular file. */
eio_req *eio_load (const char *path, int pri, eio_cb cb, void *data);
eio_req *eio_save (const char *path, const void *buf, size_t length,
                   mode_t mode, int flags, int pri, eio_cb cb, void *data);

/* Opens, syncs and closes: mostly a directory, after its names changed. */
eio_req *eio_pathsync (const char *path, int pri, eio_cb cb, void *data);

/* As eio_readdir with EIO_READDIR_DENTS: directories first, the type of each
 * is known, and req->int3 is how many directories there are. */
eio_req *eio_scandir (const char *path, int flags, int pri, eio_cb cb,
                      void *data);

/* Of one regular file.  copy fills the target, and removes it if that fails;
 * move renames, or, across file systems, copies to a new file with
 * EIO_COPY_ARCHIVE and only then replaces the target and removes the source:
 * also of a symbolic link.  flags are EIO_COPY_*.  EINVAL, EISDIR: it is no
 * file, or both are the same. */
eio_req *eio_copy (const char *path, const char *new_path, int flags, int pri,
                   eio_cb cb, void *data);
eio_req *eio_move (const char *path, const char *new_path, int flags, int pri,
                   eio_cb cb, void *data);

/* flock(2), and locks of a range as fcntl(2) sets them: of the open file
 * description (F_OFD_SETLK), or, where the system has none, of the process,
 * which loses them when it closes any descriptor of the file.  length may be 0,
 * to the end and beyond, or negative, as there.  While others have it locked,
 * they try again, for timeout seconds from the first time on (< 0: for ever; 0:
 * not at all), then -1 with errno ETIMEDOUT; LOCK_NB: EWOULDBLOCK.  No worker
 * waits meanwhile, and who gets it first is not defined.  Keep fd open until
 * destroy.  A cancelled one that had got its lock gives it back, unless fd had
 * locks before, or the system does not say; unlock it then.  EINVAL: timeout is
 * NaN. */
eio_req *eio_flock (int fd, int operation, eio_tstamp timeout, int pri,
                    eio_cb cb, void *data);
eio_req *eio_lock (int fd, int type, off_t start, off_t length,
                   eio_tstamp timeout, int pri, eio_cb cb, void *data);

/* The same, and those of the requests before, with paths that are relative to a
 * wd.  With two paths, there is one for each; what a symlink contains is
 * relative to nothing. */
eio_req *eio_wd_open_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                         void *data);
eio_req *eio_open_at (eio_wd wd, const char *path, int flags, mode_t mode,
                      int pri, eio_cb cb, void *data);
eio_req *eio_slurp_at (eio_wd wd, const char *path, void *buf, size_t length,
                       off_t offset, int pri, eio_cb cb, void *data);
eio_req *eio_stat_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                      void *data);
eio_req *eio_lstat_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                       void *data);
eio_req *eio_statvfs_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                         void *data);
eio_req *eio_truncate_at (eio_wd wd, const char *path, off_t offset, int pri,
                          eio_cb cb, void *data);
eio_req *eio_chmod_at (eio_wd wd, const char *path, mode_t mode, int pri,
                       eio_cb cb, void *data);
eio_req *eio_chown_at (eio_wd wd, const char *path, eio_uid_t uid,
                       eio_gid_t gid, int pri, eio_cb cb, void *data);
eio_req *eio_utime_at (eio_wd wd, const char *path, eio_tstamp atime,
                       eio_tstamp mtime, int pri, eio_cb cb, void *data);
eio_req *eio_readlink_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                          void *data);
eio_req *eio_realpath_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                          void *data);
eio_req *eio_unlink_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                        void *data);
eio_req *eio_rmdir_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                       void *data);
eio_req *eio_mkdir_at (eio_wd wd, const char *path, mode_t mode, int pri,
                       eio_cb cb, void *data);
eio_req *eio_mknod_at (eio_wd wd, const char *path, mode_t mode, dev_t dev,
                       int pri, eio_cb cb, void *data);
eio_req *eio_link_at (eio_wd wd, const char *path, eio_wd new_wd,
                      const char *new_path, int pri, eio_cb cb, void *data);
eio_req *eio_symlink_at (eio_wd wd, const char *path, eio_wd new_wd,
                         const char *new_path, int pri, eio_cb cb,
                         void *data);
eio_req *eio_rename_at (eio_wd wd, const char *path, eio_wd new_wd,
                        const char *new_path, int pri, eio_cb cb, void *data);
eio_req *eio_readdir_at (eio_wd wd, const char *path, int flags, int pri,
                         eio_cb cb, void *data);
eio_req *eio_access_at (eio_wd wd, const char *path, int mode, int pri,
                        eio_cb cb, void *data);
eio_req *eio_lchown_at (eio_wd wd, const char *path, eio_uid_t uid,
                        eio_gid_t gid, int pri, eio_cb cb, void *data);
eio_req *eio_lutime_at (eio_wd wd, const char *path, eio_tstamp atime,
                        eio_tstamp mtime, int pri, eio_cb cb, void *data);
eio_req *eio_utimens_at (eio_wd wd, const char *path,
                         const struct timespec *times, int at_flags,
                         int pri, eio_cb cb, void *data);
eio_req *eio_lchmod_at (eio_wd wd, const char *path, mode_t mode, int pri,
                        eio_cb cb, void *data);
eio_req *eio_rename2_at (eio_wd wd, const char *path, eio_wd new_wd,
                         const char *new_path, unsigned int flags, int pri,
                         eio_cb cb, void *data);
eio_req *eio_link2_at (eio_wd wd, const char *path, eio_wd new_wd,
                       const char *new_path, int at_flags, int pri, eio_cb cb,
                       void *data);
eio_req *eio_unlink2_at (eio_wd wd, const char *path, int at_flags, int pri,
                         eio_cb cb, void *data);
eio_req *eio_open2_at (eio_wd wd, const char *path, int flags, mode_t mode,
                       unsigned int resolve, int pri, eio_cb cb, void *data);
eio_req *eio_mkdtemp_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                         void *data);
eio_req *eio_mkstemp_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                         void *data);
eio_req *eio_tmpfile_at (eio_wd wd, const char *dir, int flags, mode_t mode,
                         int pri, eio_cb cb, void *data);
eio_req *eio_linkfd_at (eio_wd wd, int fd, const char *path, int pri,
                        eio_cb cb, void *data);
eio_req *eio_mkdirs_at (eio_wd wd, const char *path, mode_t mode, int pri,
                        eio_cb cb, void *data);
eio_req *eio_opendir_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                         void *data);
eio_req *eio_load_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                      void *data);
eio_req *eio_save_at (eio_wd wd, const char *path, const void *buf,
                      size_t length, mode_t mode, int flags, int pri,
                      eio_cb cb, void *data);
eio_req *eio_pathsync_at (eio_wd wd, const char *path, int pri, eio_cb cb,
                          void *data);
eio_req *eio_scandir_at (eio_wd wd, const char *path, int flags, int pri,
                         eio_cb cb, void *data);
eio_req *eio_copy_at (eio_wd wd, const char *path, eio_wd new_wd,
                      const char *new_path, int flags, int pri, eio_cb cb,
                      void *data);
eio_req *eio_move_at (eio_wd wd, const char *path, eio_wd new_wd,
                      const char *new_path, int flags, int pri, eio_cb cb,
                      void *data);

#endif /* EIO_NO_WRAPPERS */

#ifdef __cplusplus
}
#endif

#endif /* EIO_H_ */
