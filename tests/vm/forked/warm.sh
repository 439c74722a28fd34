# SPDX-License-Identifier: Apache-2.0
exec 8</retort/park 8<&-
exec 9</retort/go
IFS= read -r -d '' count <&9
set --
while [ "$count" -gt 0 ]; do
        IFS= read -r -d '' word <&9
        set -- "$@" "$word"
        count=$((count - 1))
done
exec 9<&-
program=$1
shift
. "./$program"
