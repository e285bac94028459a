/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* The config.h of a system that has nothing: check_nohave.c. */
