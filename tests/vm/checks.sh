#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine (Linux 6.1, cgroup version 2 only, Landlock ABI 2). One line of TAP a check; the output
# of a check that fails follows as comments. tests/vm/test_vm.py reads the names of the checks out of this file.
#
# shellcheck disable=SC2015,SC2016,SC2046,SC2086,SC2119,SC2120
# (words that are meant to split, texts for other shells)
retort=/opt/retort/retort
groups=/sys/fs/cgroup
n=0

check() {
        local name=$1
        shift
        n=$((n + 1))
        if "$@" >/tmp/check.log 2>&1; then
                echo "ok $n - $name"
        else
                echo "not ok $n - $name"
                sed 's/^/# /' /tmp/check.log
        fi
}

# run WORDS...: one run as JSON into $json. Retort's exit status is the program's, and does not matter here.
run() {
        json=$("$retort" run --json "$@" </dev/null)
        printf '%s\n' "$json"
}

program() { run -l bash -c "$@"; }
pooled() { run --warm -l pooled -c "$@" && is start pool; }
forked() { run --warm -l forked -c "$@" && is start fork; }

# what KEY: the first value of this key in $json; last KEY: the last number. Without other programs: they are slow here.
what() { [[ $json =~ \"$1\":\"?([^,}\"]*) ]] && printf '%s' "${BASH_REMATCH[1]}"; }
last() { [[ $json =~ .*\"$1\":([0-9]+) ]] && printf '%s' "${BASH_REMATCH[1]}"; }
is() { [ "$(what "$1")" = "$2" ] || { echo "$1 is $(what "$1"), not $2"; return 1; }; }
between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ] || { echo "$1 is not between $2 and $3"; return 1; }; }
missing() { [[ $json =~ \"missing\":\[[^]]*$1 ]] || { echo "$1 is not missing"; return 1; }; }

# Process ids by name, and by the beginning of their command line; this shell is not among them. Fails when there are none.
named() {
        local one name found=1
        for one in /proc/[0-9]*; do
                { read -r name <"$one/comm"; } 2>/dev/null && [ "$name" = "$1" ] && echo "${one#/proc/}" && found=0
        done
        return $found
}
running() {
        local one words found=1
        for one in /proc/[0-9]*; do
                [ "$one" != /proc/$$ ] && { mapfile -d '' -t words <"$one/cmdline"; } 2>/dev/null || continue
                [[ "${words[*]}" == "$1"* ]] && echo "${one#/proc/} ${words[*]}" && found=0
        done
        return $found
}

# Nothing of Retort is left: no process, no group below the given one, no mount, no directory.
clean() {
        local bad=0 name
        for name in retort-jailer retort-keeper retort-init; do named $name && bad=1; done
        find "${1:-$groups}" -mindepth 1 -type d -name 'retort*' | grep . && bad=1
        grep retort /proc/mounts && bad=1
        ls -d /tmp/retort-* 2>/dev/null && bad=1
        return $bad
}
eventually() {
        for _ in $(seq 100); do
                "$@" && return 0
                usleep 50000
        done >/dev/null
        "$@"
}

# ---- as root ----

kernel() { uname -r && [ "$(uname -r | cut -d. -f1,2)" = 6.1 ] && cat $groups/cgroup.controllers; }
check "the kernel is 6.1 with cgroup version 2" kernel

strong() { "$retort" doctor --isolation strong && "$retort" doctor --json | tr -d ' \n' | grep 'cgroup2memory.peak.*cgroup2'; }
check "root: strong, measured by cgroup2" strong

plain() { program 'echo hello; exit 3' && is status nonzero && is exit_code 3 && is level strong; }
check "root: a plain run" plain
check "root: nothing is left of it" clean

memory() { program 'guest hog 300' -L memory=64M && is status memory_limit && between "$(what measured)" 60000000 67108864; }
check "root: memory limit" memory

oom_child() { program 'guest hog 300; sleep 1; echo alive' -L memory=64M && is status memory_limit; }
check "root: a child that takes too much memory ends the run" oom_child

peak() { program 'guest hog 40' -L memory=256M && is status ok && between "$(last peak_memory_bytes)" 41943040 52000000; }
check "root: peak memory" peak

two_peaks() { program 'guest hog 90' -L memory=256M && program 'true' && between "$(last peak_memory_bytes)" 1 20000000; }
check "root: the peak of one run is not the next one's" two_peaks

processes() { program 'guest forks 40; exit 1' -L processes=20 && is status process_limit; }
check "root: processes limit" processes

counted() {
        local how=pids.current
        mkdir $groups/probe && [ -e $groups/probe/pids.peak ] && how=pids.peak
        rmdir $groups/probe
        program 'guest forks 12' && is status ok && between "$(last processes)" 13 16 && [[ $json == *"cgroup2 $how"* ]]
}
check "root: processes are counted, as the kernel can" counted

cpu() { program 'guest spin' -L cpu=700ms && is status cpu_limit && between "$(what measured)" 700 1500; }
check "root: CPU limit" cpu

cpu_children() { program 'guest spin & guest spin & wait' -L cpu=700ms && is status cpu_limit; }
check "root: CPU limit of several processes together" cpu_children

wall() { program 'sleep 30' -L wall=700ms && is status wall_limit; }
check "root: wall limit" wall

output() { program 'yes' -L output=100K && is status output_limit; }
check "root: output limit" output

file() { program 'head -c 3000000 /dev/zero >big' -L file=1M && is status file_limit; }
check "root: file limit" file

disk() { program 'for i in 1 2 3 4 5 6; do head -c 900000 /dev/zero >big$i || exit 1; done' -L disk=2M && is status file_limit; }
check "root: disk limit" disk

denied() { program 'mount -t tmpfs x /mnt' && is status denied; }
check "root: a denied call" denied

signal() { program 'kill -11 $$' && is status signal && is signal 11; }
check "root: a signal" signal

daemon() { program 'guest daemon 1234' && is status ok && ! running 'guest daemon 1234'; }
check "root: a daemon does not outlive its run" daemon
check "root: nothing is left of all these" clean

group_file() { program 'echo $((1+1)); cat /proc/self/cgroup' && printf '%s' "$json" | grep '0::/'; }
check "root: the box sees itself at the top of its groups" group_file

# ---- guests that are forks ----

fork_plain() { forked 'echo hello; exit 3' && is status nonzero && is exit_code 3 && is level strong; }
check "root: a fork of a frozen interpreter" fork_plain

fork_memory() { forked 'guest hog 300' -L memory=64M && is status memory_limit && between "$(what measured)" 60000000 67108864; }
check "root: memory limit of a fork" fork_memory

fork_peak() { forked 'guest hog 40' -L memory=256M && is status ok && between "$(last peak_memory_bytes)" 41943040 52000000; }
check "root: peak memory of a fork" fork_peak

fork_processes() { forked 'guest forks 40; exit 1' -L processes=20 && is status process_limit; }
check "root: processes limit of a fork" fork_processes

fork_cpu() { forked 'guest spin & guest spin & wait' -L cpu=700ms && is status cpu_limit && between "$(what measured)" 700 1500; }
check "root: CPU limit of a fork's processes together" fork_cpu

fork_group() { forked 'echo $((1+1)); cat /proc/self/cgroup' && printf '%s' "$json" | grep '0::/'; }
check "root: a fork's box sees itself at the top of its groups" fork_group

# Two requests on one engine: the second has a box, counters and a process number as if there had been no first.
fork_twice() {
        local line='{"language":"forked","code":"CODE","limits":{"memory_bytes":268435456}}'
        printf '%s\n' "${line/CODE/guest hog 90}" "${line/CODE/:}" | "$retort" batch --jobs 1 --warm forked >/tmp/twice &&
                json=$(tail -n 1 /tmp/twice) && printf '%s\n' "$json" && is status ok && between "$(last peak_memory_bytes)" 1 20000000
}
check "root: the peak of one fork is not the next one's" fork_twice
check "root: nothing is left of the forks" clean

# ---- guests that were started ahead ----

pool_plain() { pooled 'echo hello; exit 3' && is status nonzero && is exit_code 3 && is level strong; }
check "root: an interpreter that was started ahead" pool_plain

pool_memory() { pooled 'guest hog 300' -L memory=64M && is status memory_limit && between "$(what measured)" 60000000 67108864; }
check "root: memory limit of one that was started ahead" pool_memory

pool_processes() { pooled 'guest forks 40; exit 1' -L processes=20 && is status process_limit; }
check "root: processes limit of one that was started ahead" pool_processes

pool_cpu() { pooled 'guest spin & guest spin & wait' -L cpu=700ms && is status cpu_limit && between "$(what measured)" 700 1500; }
check "root: CPU limit of one that was started ahead" pool_cpu

# It was busy for longer than that before there was a program.
pool_free() { pooled ':' -L cpu=200ms && is status ok; }
check "root: what it used before it had a program is not charged" pool_free

pool_nice() {
        pooled 'read -r -a stat </proc/$$/stat; echo "before $warm_nice after ${stat[18]}"; ulimit -e; renice -n -1 $$ && echo urgent' &&
                [[ $json == *'"stdout":"before 19 after 0\n0\n"'* ]]
}
check "root: it is less urgent until it has a program, and cannot be so again" pool_nice
check "root: nothing is left of those that were started ahead" clean

check "root: a context keeps its state, and stands still when it is paused" contexts
check "root: nothing is left of it, though it stood still" clean

# ---- less ----

minimal() {
        program 'echo x >/home/stray; echo x >/tmp/stray; echo x >/opt/retort/stray; echo x >own && cat own; guest daemon 4321' \
                --isolation minimal --without mount-namespace &&
                is status ok && is level minimal && [ ! -e /home/stray ] && [ ! -e /tmp/stray ] && [ ! -e /opt/retort/stray ] &&
                ! running 'guest daemon 4321'
}
chmod 777 /home /opt/retort
check "without mount namespace: Landlock keeps the guest in, its daemon dies" minimal
chmod 755 /home /opt/retort

minimal_memory() { program 'guest hog 300' -L memory=64M --isolation minimal --without mount-namespace && is status memory_limit; }
check "without mount namespace: memory limit" minimal_memory

no_groups() { program 'guest hog 300' -L memory=64M --without cgroup-memory,cgroup-pids,cgroup-cpu && is status memory_limit && is level reduced; }
check "without groups: memory limit" no_groups
check "without: nothing is left" clean

# ---- an ordinary user ----

as_worker() { HOME=/home/worker guest as 1500 "$@"; }

worker_plain() {
        json=$(as_worker "$retort" run --json -l bash -c 'echo hello' </dev/null)
        echo "$json"
        is status ok && is level reduced && missing cgroup-memory && ! missing landlock
}
check "user: without delegation" worker_plain

# As systemd's Delegate= does: the directory and three files are the user's, and the user's shell is in it.
delegate() {
        mkdir -p $groups/$1 && echo "+memory +pids +cpu" >$groups/cgroup.subtree_control
        chown worker:worker $groups/$1 $groups/$1/cgroup.procs $groups/$1/cgroup.subtree_control $groups/$1/cgroup.threads
}
# in_group NAME COMMAND...: as the user, in that group, replaced by the command
in_group() {
        local name=$1
        shift
        (echo $BASHPID >$groups/$name/cgroup.procs && export HOME=/home/worker && exec guest as 1500 "$@")
}
delegate scope

worker_delegated() {
        json=$(in_group scope "$retort" run --json -L memory=64M -l bash -c 'guest hog 300' </dev/null)
        echo "$json"
        is status memory_limit && is level reduced && ! missing cgroup- && printf '%s' "$json" | grep 'cgroup2 memory.peak'
}
check "user: a delegated group limits memory" worker_delegated

worker_pids() {
        json=$(in_group scope "$retort" run --json -L processes=20 -l bash -c 'guest forks 40; exit 1' </dev/null)
        echo "$json"
        is status process_limit && printf '%s' "$json" | grep 'cgroup2 pids'
}
check "user: a delegated group limits processes" worker_pids

worker_shell() {
        in_group scope bash -c "$retort run --json -L memory=64M -l bash -c 'guest hog 300'; $retort run --json -l bash -c 'guest hog 20'" </dev/null >/tmp/two
        cat /tmp/two
        json=$(head -n 1 /tmp/two)
        is status memory_limit && ! missing cgroup- || return
        json=$(tail -n 1 /tmp/two)
        is status ok && ! missing cgroup- && between "$(last peak_memory_bytes)" 20971520 30000000
}
check "user: two runs from a shell in the delegated group" worker_shell
check "user: nothing is left in the delegated group" clean $groups/scope

worker_stranger() {
        (echo $BASHPID >$groups/scope/cgroup.procs && exec sleep 50) >/dev/null 2>&1 &
        local stranger=$!
        usleep 300000
        json=$(in_group scope "$retort" run --json -l bash -c 'echo hello' </dev/null)
        echo "$json"
        grep "^$stranger\$" $groups/scope/cgroup.procs
        local kept=$?
        kill $stranger
        is status ok && missing cgroup-memory && [ $kept = 0 ]
}
check "user: a delegated group with a stranger in it is left alone" worker_stranger

# ---- killed ----

victim() {
        "$retort" run -q -l bash -c 'guest daemon 5678; sleep 5678' </dev/null >/dev/null 2>&1 &
        command=$!
        eventually running 'sleep 5678' >/dev/null || { echo "it did not start"; return 1; }
        eventually running 'guest daemon 5678' >/dev/null
}
guests() { running 'guest daemon 5678' || running 'sleep 5678'; } >/dev/null
gone() { ! guests; }

kill_command() { victim && kill -9 $command && eventually gone && eventually clean; }
check "kill -9 of the command leaves nothing" kill_command

kill_keeper() { victim && kill -9 $(named retort-keeper) && wait $command; local status=$?; eventually gone && [ $status = 125 ] && eventually clean; }
check "kill -9 of the keeper: 125, nothing left" kill_keeper

kill_init() { victim && kill -9 $(named retort-init | head -n 1); wait $command; local status=$?; eventually gone && [ $status = 125 ] && eventually clean; }
check "kill -9 of the box's first process: 125, nothing left" kill_init

kill_jailer() {
        victim && kill -9 $(named retort-jailer); wait $command; local status=$?
        eventually gone && [ $status = 125 ] || return
        find $groups -type d -name 'retort.*' | grep . || { echo "there were no groups to clean"; return 1; }
        program true && is status ok && clean
}
check "kill -9 of the jailer: 125, the next start removes its groups" kill_jailer

kill_all() {
        "$retort" run -q --isolation minimal --without pid-namespace -l bash -c 'guest daemon 5678; sleep 5678' </dev/null >/dev/null 2>&1 &
        command=$!
        eventually running 'sleep 5678' >/dev/null || return
        usleep 300000
        kill -9 $command $(named retort-jailer) $(named retort-keeper) $(named retort-init)
        wait $command
        program true --isolation minimal --without pid-namespace && is status ok && eventually gone && clean
}
check "kill -9 of everything at once, without pid namespace: the next start kills and removes the rest" kill_all

echo "1..$n"
