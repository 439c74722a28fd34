<?php
// SPDX-License-Identifier: Apache-2.0
// expect: status=ok exit=0
// never: open:
// says: looked
// What PHP that was started ahead still holds of whoever started it: nothing.
foreach (scandir('/proc/self/fd') as $fd) {
    $to = @readlink("/proc/self/fd/$fd");
    if ($to !== false && preg_match('/^(socket:|\/memfd:)/', $to)) {
        echo "open: descriptor $fd $to\n";
    }
}
foreach (getenv() as $name => $value) {
    if (preg_match('/^(RETORT|LD_)/', $name)) {
        echo "open: environment $name\n";
    }
}
if (file_exists('/retort/go') || @file_get_contents('/retort/park') !== false) {
    echo "open: the way to its program\n";
}
foreach (['/proc/1/mem', '/proc/1/environ', '/proc/1/fd/3', '/proc/1/exe'] as $path) {
    if (@fopen($path, 'r')) {
        echo "open: $path\n";
    }
}
if (pcntl_getpriority() !== 0 || @pcntl_setpriority(-5)) {
    echo "open: urgency\n";
}
if (@posix_kill(1, 9)) {
    echo "open: the box's first process\n";
}
echo "looked\n";
