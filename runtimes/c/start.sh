#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Becomes the compiler proper of GCC, as gcc would start it, so that it can be frozen: start.sh SAMPLE GCC ARGUMENT..., where
# one argument is SAMPLE. What gcc would start after it is asked of gcc itself, and handed to frozen.so in the environment.
preload=$LD_PRELOAD
unset LD_PRELOAD
sample=$1
gcc=$2
shift 2

# What gcc makes of it, to compare.
for word; do
        shift
        [ "$word" = "$sample" ] && word=main.c
        set -- "$@" "$word"
done
cp "$sample" main.c && "$gcc" "$@" && mv program plain || exit 1

# A name longer than any of a source: the source's own is written over it.
name=main.c
while [ ${#name} -lt 300 ]; do name=./$name; done
for word; do
        shift
        [ "$word" = main.c ] && word=$name
        set -- "$@" "$word"
done
linker=$(command -v "$("$gcc" -print-prog-name=ld.gold)") || { echo "gcc has no gold" >&2; exit 1; }
said=$("$gcc" '-###' "$@" 2>&1 | sed -n 's/^ //p')

# Three commands, a line each, written so that a shell reads them: cc1 |, as, collect2.
[ "$(printf '%s\n' "$said" | wc -l)" -eq 3 ] || { echo "gcc does not start three programs" >&2; exit 1; }
words() {
        eval "set -- $(printf '%s\n' "$said" | sed -n "$1{s/ |\$//;p}")"
        printf '%s\n' "$@"
}
RETORT_CC_SOURCE=$name
RETORT_CC_ASSEMBLER=$(words 2)
RETORT_CC_LINKER=$linker'
'$(words 3)
RETORT_CC_BUGS=$("$gcc" --help | sed -n 's/^\(<.*>\)\.$/\1/p')
export RETORT_CC_SOURCE RETORT_CC_ASSEMBLER RETORT_CC_LINKER RETORT_CC_BUGS

eval "set -- $(printf '%s\n' "$said" | sed -n '1{s/ |$//;p}')"
LD_PRELOAD=$preload
export LD_PRELOAD
exec "$@"
