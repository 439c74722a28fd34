// SPDX-License-Identifier: Apache-2.0
// Programs that start programs, from node.
// expect: status=process_limit limit=processes how=pids
// limits: processes=60 wall=10s memory=1G
const { spawn } = require('child_process');
process.on('uncaughtException', () => {});
setInterval(() => {
    for (let i = 0; i < 20; i++) spawn('/bin/sleep', ['100']).on('error', () => {});
}, 1);
