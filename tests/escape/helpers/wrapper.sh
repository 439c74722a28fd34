# SPDX-License-Identifier: Apache-2.0
# gcc -wrapper runs this in place of each of its programs, with the program and its arguments. After the linker, the
# last one, `program` is no longer what was linked.
way=$1
shift
"$@" || exit
case $1 in
*collect2) ;;
*) exit 0 ;;
esac
case $way in
symlink) ln -sf /bin/sh program ;;
fifo) rm program && mkfifo program ;;
directory) rm program && mkdir program ;;
missing) rm program ;;
text) echo 'rubbish' >program ;;
loop) rm program && ln -s program program ;;
script) printf '#!/work/program\n' >program && chmod +x program ;;
interpreter) printf '#!/no/such/thing\n' >program && chmod +x program ;;
closed) chmod 0 program ;;
watcher)
        # A daemon that puts one program after the other in the place of the compiled one.
        cat >p <<'END'
#!/bin/bash
before=$(stat -c %i program)
sleep 0.3
[ "$before" = "$(stat -c %i program)" ] || echo "open: program was swapped"
for one in /proc/[0-9]*; do
        case ${one#/proc/} in
        1 | $$) ;;
        *) echo "open: process $one" ;;
        esac
done
echo alone
END
        chmod +x p
        setsid bash -c 'trap "" HUP TERM; while :; do cp -p p q; mv q program; done' </dev/null >/dev/null 2>&1 &
        sleep 0.2
        ;;
esac
exit 0
