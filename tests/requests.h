/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* A sample of every request, which succeeds where nothing is short. Include
 * after sample.h. */

#ifndef TESTS_REQUESTS_H_
#define TESTS_REQUESTS_H_

#include <sys/file.h>

static void
answer (eio_req *req)
{
  req->result = 42;
}

/* WD: the request has a wd, so there is no wrapper for it; POOR: the system
 * is. */
enum { PLAIN, WD, POOR };

typedef struct
{
  const char *name;
  int how;
  eio_req req;
} sample;

/* clang-format off */
#define S(name, how, ...) { #name, how, { .type = EIO_##name, __VA_ARGS__ } }

static const sample samples[] = {
  S (CUSTOM,          PLAIN, .feed = answer),
  S (WD_OPEN,         PLAIN, P (DIR)),
  S (WD_OPEN,         POOR,  P (DIR)),
  S (WD_OPEN,         WD,    IN (".")),
  S (WD_CLOSE,        PLAIN),
  S (CLOSE,           PLAIN, .int1 = SPARE),
  S (DUP2,            PLAIN, FD, .int2 = DUP),
  S (SEEK,            PLAIN, FD, .offs = 5),
  S (READ,            PLAIN, FD, .size = BYTES, .ptr2 = buffer),
  S (READ,            PLAIN, FD, .size = BYTES + 100),
  S (READ,            PLAIN, FD, .size = 0),
  S (WRITE,           PLAIN, FD, .size = 9, .ptr2 = content),
  S (FCNTL,           PLAIN, FD, .int2 = F_GETFL),
  S (IOCTL,           PLAIN, FD, .int2 = FIONREAD, .ptr2 = buffer),
  S (READAHEAD,       PLAIN, FD, .size = BYTES),
  S (READAHEAD,       POOR,  FD, .size = BYTES),
  S (SENDFILE,        PLAIN, .int1 = OUT, .int2 = DATA, .size = BYTES),
  S (SENDFILE,        PLAIN, .int1 = APPEND, .int2 = DATA, .size = BYTES),
  S (FSTAT,           PLAIN, FD),
  S (FSTAT,           PLAIN, FD, .ptr2 = buffer),
  S (FSTATVFS,        PLAIN, FD),
  S (FTRUNCATE,       PLAIN, FD, .offs = BYTES),
  S (FUTIME,          PLAIN, FD, .nv1 = 1, .nv2 = 2),
  S (FCHMOD,          PLAIN, FD, .int2 = 0640),
  S (FCHOWN,          PLAIN, FD, .int2 = -1, .int3 = -1),
  S (SYNC,            PLAIN),
  S (FSYNC,           PLAIN, FD),
  S (FDATASYNC,       PLAIN, FD),
  S (SYNCFS,          PLAIN, FD),
  S (MSYNC,           PLAIN, .ptr2 = mapped, .size = 9, .int1 = EIO_MS_ASYNC),
  S (MTOUCH,          PLAIN, .ptr2 = mapped, .size = sizeof mapped),
  S (SYNC_FILE_RANGE, PLAIN, FD, .size = 9),
  S (FALLOCATE,       PLAIN, FD, .size = 9),
  S (MLOCK,           PLAIN, .ptr2 = mapped, .size = 9),
  S (MLOCKALL,        PLAIN, .int1 = EIO_MCL_CURRENT),
  S (NOP,             PLAIN),
  S (BUSY,            PLAIN, .nv1 = 1e-4),
  S (REALPATH,        PLAIN, P (LINK)),
  S (REALPATH,        PLAIN, P (LINK), .ptr2 = buffer),
  S (REALPATH,        WD,    IN ("../link")),
  S (READDIR,         PLAIN, P (DIR)),
  S (READDIR,         PLAIN, P (DIR), DENTS),
  S (READDIR,         PLAIN, P (DIR), SORTED),
  S (READDIR,         WD,    IN ("../dir"), SORTED),
  S (OPEN,            PLAIN, P (FILE)),
  S (OPEN,            WD,    IN ("../file")),
  S (STAT,            PLAIN, P (LINK)),
  S (STAT,            WD,    IN ("../link"), .ptr2 = buffer),
  S (LSTAT,           PLAIN, P (LINK)),
  S (STATVFS,         PLAIN, P (FILE)),
  S (STATVFS,         WD,    IN ("../file")),
  S (STATVFS,         WD | POOR, IN ("../file")),
  S (TRUNCATE,        PLAIN, P (FILE), .offs = BYTES),
  S (TRUNCATE,        WD,    IN ("../file"), .offs = BYTES),
  S (TRUNCATE,        WD | POOR, IN ("../file"), .offs = BYTES),
  S (UTIME,           PLAIN, P (FILE), .nv1 = 1, .nv2 = 2),
  S (CHMOD,           PLAIN, P (FILE), .int2 = 0640),
  S (CHOWN,           PLAIN, P (FILE), .int2 = -1, .int3 = -1),
  S (UNLINK,          PLAIN, P (OLD)),
  S (RMDIR,           PLAIN, P (SUB)),
  S (RMDIR,           WD,    IN (".")),
  S (MKDIR,           PLAIN, P (NEW), .int2 = 0700),
  S (RENAME,          PLAIN, P (OLD), TO (NEW)),
  S (RENAME,          WD,    IN ("."), TO (NEW)),
  S (MKNOD,           PLAIN, P (NEW), .int2 = S_IFIFO | 0600),
  S (LINK,            PLAIN, P (OLD), TO (NEW)),
  S (SYMLINK,         PLAIN, IN ("anything"), TO (NEW)),
  S (READLINK,        PLAIN, P (LINK)),
  S (READLINK,        PLAIN, P (LINK), .ptr2 = buffer),
  S (READLINK,        WD,    IN ("../link")),
  S (SLURP,           PLAIN, P (FILE)),
  S (SLURP,           PLAIN, P (FILE), .size = 5, .offs = -7),
  S (SLURP,           PLAIN, P (FILE), .size = 5, .ptr2 = buffer),
  S (SLURP,           POOR,  P (FILE)),
  S (SLURP,           POOR,  P (FILE), .size = 5, .offs = -7),

  S (READV,           PLAIN, FD, .ptr2 = vector, .size = 2),
  S (WRITEV,          PLAIN, .int1 = OUT, .ptr2 = vector, .size = 2),
  S (READ_ALL,        PLAIN, FD, .size = BYTES + 100),
  S (WRITE_ALL,       PLAIN, .int1 = OUT, .size = 9, .ptr2 = content),
  S (STATX,           PLAIN, P (LINK)),
  S (STATX,           WD,    IN ("../link"), .ptr2 = buffer),
  S (FSTATX,          PLAIN, FD),
  S (COPY_RANGE,      PLAIN, FD, .int2 = OUT, .size = BYTES),
  S (COPY_RANGE,      POOR,  FD, .int2 = OUT, .size = BYTES,
                             .ptr2 = &start_of_file),
  S (CLONE,           PLAIN, FD, .int2 = OUT),
  S (SPLICE,          PLAIN, FD, .int2 = OUT, .size = 9),
  S (TEE,             PLAIN, FD, .int2 = OUT, .size = 9),
  S (FADVISE,         PLAIN, FD, .size = 9),
  S (MADVISE,         PLAIN, .ptr2 = mapped, .size = 9),
  S (MINCORE,         PLAIN, .ptr1 = mapped, .size = sizeof mapped),
  S (MUNLOCK,         PLAIN, .ptr2 = mapped, .size = 9),
  S (MUNLOCKALL,      PLAIN),
  S (FULLSYNC,        PLAIN, FD),
  S (FIEMAP,          PLAIN, FD),
  S (GETXATTR,        PLAIN, P (FILE), NAMED),
  S (GETXATTR,        WD,    IN ("../file"), NAMED),
  S (SETXATTR,        PLAIN, P (FILE), NAMED, .ptr2 = content, .size = 9),
  S (LISTXATTR,       PLAIN, P (FILE)),
  S (REMOVEXATTR,     PLAIN, P (FILE), NAMED),
  S (FGETXATTR,       PLAIN, FD, NAMED),
  S (FSETXATTR,       PLAIN, FD, NAMED, .ptr2 = content, .size = 9),
  S (FLISTXATTR,      PLAIN, FD),
  S (FREMOVEXATTR,    PLAIN, FD, NAMED),
  S (ACCESS,          PLAIN, P (FILE)),
  S (LCHOWN,          PLAIN, P (LINK), .int2 = -1, .int3 = -1),
  S (LUTIME,          PLAIN, P (LINK), .nv1 = 1, .nv2 = 2),
  S (UTIMENS,         PLAIN, P (FILE), .ptr2 = (void *)times),
  S (UTIMENS,         PLAIN, P (FILE)),
  S (FUTIMENS,        PLAIN, FD, .ptr2 = (void *)times),
  S (LCHMOD,          PLAIN, P (FILE), .int2 = 0640),
  S (RENAME2,         PLAIN, P (OLD), TO (NEW)),
  S (RENAME2,         WD,    IN ("."), TO (NEW)),
  S (LINK2,           PLAIN, P (OLD), TO (NEW)),
  S (UNLINK2,         PLAIN, P (SUB), .int1 = AT_REMOVEDIR),
  S (OPEN2,           PLAIN, P (FILE)),
  S (MKDTEMP,         PLAIN, P (TEMP)),
  S (MKSTEMP,         PLAIN, P (TEMP)),
  S (TMPFILE,         PLAIN, P (DIR), .int1 = O_RDWR),
  S (LINKFD,          PLAIN, FD, P (NEW)),
  S (MKDIRS,          PLAIN, P (DEEP), .int2 = 0700),
  S (OPENDIR,         PLAIN, P (DIR)),
  S (READDIR_NEXT,    PLAIN, SORTED, .size = 1 << 20),
  S (CLOSEDIR,        PLAIN),
  S (LOAD,            PLAIN, P (FILE)),
  S (LOAD,            POOR,  P (FILE)),
  S (SAVE,            PLAIN, P (OLD), .ptr2 = content, .size = 9),
  S (SAVE,            PLAIN, P (LINK), .ptr2 = content, .size = 9),
  S (PATHSYNC,        PLAIN, P (DIR)),
  S (SCANDIR,         PLAIN, P (DIR)),
  S (SCANDIR,         POOR,  P (DIR)),
  S (COPY,            PLAIN, P (FILE), TO (NEW)),
  S (COPY,            POOR,  P (FILE), TO (NEW), .int1 = EIO_COPY_ARCHIVE),
  S (MOVE,            PLAIN, P (OLD), TO (NEW)),
  S (MOVE,            PLAIN, P (OLD), TO (NEW), .int1 = EIO_COPY_SYNC),
  S (MOVE,            POOR,  P (OLD), TO (NEW)),
  S (MOVE,            POOR,  P (LINK), TO (NEW)),
  S (FLOCK,           PLAIN, FD, .int2 = LOCK_SH, .nv1 = -1),
  S (LOCK,            PLAIN, FD, .int2 = F_RDLCK, .nv1 = -1),
};
/* clang-format on */

enum { SAMPLES = LENGTH (samples) };

#endif
