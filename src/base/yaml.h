/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML files that describe something of ours, read strictly. A file becomes a tree of nodes that know their
 * line and column; a table of keys says what a mapping may hold and where each value goes in a struct.
 * Unknown, missing and repeated keys, wrong types, anchors, aliases and tags are RETORT_E_INPUT with
 * "<file>:<line>:<column>: <what>, and what would be right".
 *
 * Everything lives in the arena. Knows nothing of what the files are about.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum rt_yaml_kind { RT_YAML_SCALAR, RT_YAML_LIST, RT_YAML_MAP };

struct rt_yaml_node {
        enum rt_yaml_kind kind;
        bool plain;       /* SCALAR: written without quotes */
        unsigned line;    /* from 1 */
        unsigned column;  /* from 1 */
        const char *text; /* SCALAR; NUL-terminated, without a NUL inside */
        size_t n;         /* children */
        struct rt_yaml_node *first;
        struct rt_yaml_node *next; /* in the parent's order */
        struct rt_yaml_node *key;  /* of a value in a mapping: its key, a scalar */
};

/* One file being read: what every reader needs. */
struct rt_yaml {
        const char *file; /* as named in messages */
        struct rt_arena *arena;
        struct retort_error *err;
        void *userdata; /* for readers of one's own */
};

/* Reads text into a tree. An empty document is an error. At most 16 levels deep. */
int rt_yaml_parse(const struct rt_yaml *yaml, const char *text, size_t size,
                  const struct rt_yaml_node **ret_root);

struct rt_yaml_key;
/* Reads node into *target, which is of the type the reader says. */
typedef int (*rt_yaml_reader)(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                              const struct rt_yaml_key *key, void *target);

/* One key of a mapping. Tables end with a zero entry. */
struct rt_yaml_key {
        const char *name;
        rt_yaml_reader read;
        size_t offset; /* of the target in the mapping's struct */
        bool required;
        const struct rt_yaml_key *keys; /* for rt_yaml_read_map: the keys inside */
};

/* Reads a mapping into *target, a struct, by the table. */
int rt_yaml_walk(const struct rt_yaml *yaml, const struct rt_yaml_node *map, const struct rt_yaml_key *keys,
                 void *target);

/* Readers. The target's type is named behind each. */
int rt_yaml_read_map(const struct rt_yaml *, const struct rt_yaml_node *, const struct rt_yaml_key *,
                     void *target); /* the struct itself, at offset */
int rt_yaml_read_text(const struct rt_yaml *, const struct rt_yaml_node *, const struct rt_yaml_key *,
                      void *target); /* const char *; not empty */
int rt_yaml_read_texts(const struct rt_yaml *, const struct rt_yaml_node *, const struct rt_yaml_key *,
                       void *target); /* const char *const *, NULL-terminated; empty texts need quotes */
int rt_yaml_read_uint(const struct rt_yaml *, const struct rt_yaml_node *, const struct rt_yaml_key *,
                      void *target); /* uint64_t; "64", or with a unit "64 KiB", "64 MiB", "1 GiB" */
int rt_yaml_read_bool(const struct rt_yaml *, const struct rt_yaml_node *, const struct rt_yaml_key *,
                      void *target); /* bool; true or false */

/* RETORT_E_INPUT with the node's position in front. */
int rt_yaml_fail(const struct rt_yaml *yaml, const struct rt_yaml_node *node, const char *format, ...)
        __attribute__((format(printf, 3, 4), cold));
/* Demands a kind: 0, or RETORT_E_INPUT saying what is there and what is wanted. */
int rt_yaml_expect(const struct rt_yaml *yaml, const struct rt_yaml_node *node, enum rt_yaml_kind kind);
