#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs esbuild and puts its messages as compilers do (FILE:LINE:COLUMN: error: MESSAGE): build.sh ESBUILD ARGUMENT...
# Modules have no require, module, __filename and __dirname; programs in TypeScript often take them for granted, and
# some ask whether require.main is their module.
banner='import { createRequire as __from } from "module"; import { fileURLToPath as __path } from "url"; import { dirname as __directory } from "path"; '
banner=$banner'Object.assign(globalThis, { require: __from(import.meta.url), module: { exports: {} }, __filename: __path(import.meta.url), __dirname: __directory(__path(import.meta.url)) });'
said=$("$@" "--banner:js=$banner" --define:require.main=module --color=false --log-level=warning 2>&1)
status=$?
[ -z "$said" ] || printf '%s\n' "$said" | awk '
        function tell() { if (what != "") print kind ": " what; what = "" }
        /^[^ ]+ \[(ERROR|WARNING)\] / {
                tell()
                kind = $2 == "[ERROR]" ? "error" : "warning"
                what = $0
                sub(/^[^ ]+ \[[A-Z]+\] /, "", what)
                next
        }
        what != "" && /^$/ { next }
        what != "" && /^    .*:[0-9]+:[0-9]+:$/ {
                n = split($0, part, ":")
                place = substr($0, 5, length($0) - 6 - length(part[n - 1]))
                print place ":" part[n - 1] + 1 ": " kind ": " what
                what = ""
                next
        }
        { tell(); print }
        END { tell() }' >&2
exit $status
