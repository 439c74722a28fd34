<?php
// SPDX-License-Identifier: Apache-2.0
//
// Tells Retort what ended a PHP program: PHP runs this before the program (auto_prepend_file), and when an uncaught exception
// or a fatal error ends the process it writes {"name", "value", "traceback"} to descriptor 3. It only looks: what PHP
// prints, and its exit code, are as without it. No object is made before the program is (they are numbered, and var_dump
// shows it), and no variable is left.

namespace Retort;

function report(int $owner): void
{
    $last = \error_get_last();
    $fatal = \E_ERROR | \E_PARSE | \E_CORE_ERROR | \E_COMPILE_ERROR | \E_USER_ERROR | \E_RECOVERABLE_ERROR;
    if ($last === null || !($last['type'] & $fatal) || \getmypid() !== $owner) {
        return;
    }
    // A chain of exceptions is told from the first cause on: the last of them is what nobody took.
    [$name, $value, $traceback] = [$last['type'] === \E_PARSE ? 'ParseError' : 'Error', $last['message'], ''];
    if (\strncmp($value, 'Uncaught ', 9) === 0) {
        $value = \substr($value, 9);
        $next = \strrpos($value, "\n\nNext ");
        $shown = \preg_replace('/\n  thrown$/', '', $next === false ? $value : \substr($value, $next + 7));
        $at = \strrpos($shown, "\nStack trace:\n");
        $traceback = $value;
        $value = $at === false ? $shown : \substr($shown, 0, $at);
        if (\preg_match('/^([\w\\\\\x80-\xff]+)(?:: |(?= in ))/', $value, $found)) {
            [$name, $value] = [$found[1], \substr($value, \strlen($found[0]))];
        }
        $place = "in {$last['file']}:{$last['line']}";
        if (\str_ends_with($value, $place)) {
            $value = \rtrim(\substr($value, 0, -\strlen($place)), ' ');
        }
    }
    // A report is at most 256 KiB, and JSON may write one byte as six.
    $cut = static fn ($text, $most) => \strlen($text) > $most
        ? \substr($text, 0, $most >> 1) . "\n[...]\n" . \substr($text, -($most >> 1)) : $text;
    $report = \json_encode(
        ['name' => $cut($name, 256), 'value' => $cut($value, 16384), 'traceback' => $cut($traceback, 24576)],
        \JSON_INVALID_UTF8_SUBSTITUTE
    );
    $to = @\fopen('php://fd/3', 'wb');
    if ($to !== false && $report !== false) {
        @\fwrite($to, $report);
    }
}

if (\is_link('/proc/self/fd/3') && \preg_match('/^(pipe|socket):/', \readlink('/proc/self/fd/3'))) {
    \register_shutdown_function('Retort\report', \getmypid());
}
