// SPDX-License-Identifier: Apache-2.0
// Memory outside of node's heap, which node itself does not limit.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=256M wall=10s
const all = [];
for (;;) all.push(Buffer.alloc(8 << 20, 1));
