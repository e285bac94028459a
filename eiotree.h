/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* Whole trees of files as one request each, made of the requests of eio.h.
 *
 * Each function makes a group, submits it, and returns it: one callback, one
 * status, eio_cancel for all of it.  result is 0, or -1 with the errno of the
 * first error in errorno; what can be done is done also after errors.  At most
 * maxreq requests are in flight for it (0: 8, and 256 at most).  Directories
 * are gone through by descriptors, so that nothing that happens meanwhile leads
 * out of the tree: at most 64 and four for each of those requests are open, or
 * twice as many where a tree is copied.  What vanishes meanwhile is no error.
 *
 * They return null with errno ENOMEM when memory is out.  Paths are copied.
 * cb may be null; data ends up in req->data.  [any thread] */

#ifndef EIOTREE_H_
#define EIOTREE_H_

#include "eio.h"

#ifdef __cplusplus
extern "C" {
#endif

/* eio_walk, flags */
enum {
  EIO_WALK_STAT      = 1, /* entry gets the status of everything */
  EIO_WALK_XDEV      = 2, /* directories on other devices are not read */
  EIO_WALK_POSTORDER = 4, /* a directory comes after what is in it */
  EIO_WALK_FOLLOW    = 8  /* symbolic links are taken for what they lead to */
};

/* What a walk's entry returns, or 0 */
enum {
  EIO_WALK_SKIP = 1, /* do not read this directory */
  EIO_WALK_STOP = 2  /* end the walk, successfully */
};

/* eio_rmtree, eio_cptree, eio_mvtree, flags */
enum {
  EIO_TREE_XDEV = 0x100 /* directories on other devices are left alone */
};

/* Removes path and all that is below it.  Symbolic links are not followed.
 * flags are 0 or EIO_TREE_XDEV, with which what is on another device than path
 * is left, and is EXDEV. */
eio_req *eio_rmtree (const char *path, int flags, unsigned int maxreq,
                     eio_cb cb, void *data);

/* Copies path and all that is below it to new_path.  flags are EIO_COPY_* and
 * EIO_TREE_XDEV.  Links are copied as links, special files are made anew; with
 * all of EIO_COPY_ARCHIVE a file with several names in the tree stays one,
 * else it becomes several.  Holes stay holes, modes are kept.  Directories
 * that exist are filled further, other things are replaced, but with
 * EIO_COPY_EXCL, EEXIST.  What had been copied before an error stays. */
eio_req *eio_cptree (const char *path, const char *new_path, int flags,
                     unsigned int maxreq, eio_cb cb, void *data);

/* Renames path to new_path, or, across file systems, copies it and all that is
 * below it, as eio_cptree does with EIO_COPY_ARCHIVE, and then removes what it
 * has copied.  It replaces what rename(2) does: a directory only an empty one,
 * and with EIO_COPY_EXCL nothing: EEXIST.  The first error of copying ends it,
 * or cancellation: then the source is whole, and what has been copied stays.
 * What has been changed since, or added, is not removed: EBUSY.  EINVAL: path
 * is new_path, or above it.  flags are EIO_COPY_*, and EIO_TREE_XDEV, with
 * which a directory on another device than path is EXDEV.  With EIO_COPY_SYNC
 * nothing is removed before the copy is on the disk. */
eio_req *eio_mvtree (const char *path, const char *new_path, int flags,
                     unsigned int maxreq, eio_cb cb, void *data);

/* Calls entry for path, and for everything below it, in eio_poll, in no
 * particular order but that a directory comes before what is in it, or after
 * that.  dir is the path of the directory that name is in, and "" for path
 * itself; both live until entry returns or polls, as do the dirent and the
 * status, which is null without EIO_WALK_STAT.  The dirent's type is known.
 * entry may cancel the walk, which is the group. */
eio_req *eio_walk (const char *path, int flags, unsigned int maxreq,
                   int (*entry) (eio_req *walk, const char *dir,
                                 const eio_dirent *dirent, const char *name,
                                 const struct stat *st),
                   eio_cb cb, void *data);

/* The i-th error, from 0 on, of a group that was made here: its errno, and
 * what it is about, which lives as long as the group does, and is "" when
 * memory was out.  0 with null past the last; 10000 are kept.  path may be
 * null.  [poll thread] */
int eio_tree_errors (const eio_req *req, unsigned int i, const char **path);

/* How far it is.  Entries are files and directories, twice if they are copied
 * and then removed; the totals are 0 until they are known: when all has been
 * copied, or done.  Returns 0.  [any thread], until its destroy. */
int eio_tree_progress (const eio_req *req, struct eio_progress *progress);

#ifdef __cplusplus
}
#endif

#endif /* EIOTREE_H_ */
