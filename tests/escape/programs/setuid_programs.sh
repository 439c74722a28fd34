# SPDX-License-Identifier: Apache-2.0
# Programs that are set-user-id or carry capabilities on the host give nothing here, nor do ones the guest makes.
# expect: status=ok exit=0
# limits: wall=15s
# says: done
# never: uid=0
for one in su sudo pkexec; do
        timeout 2 "$one" -c id </dev/null 2>/dev/null
        timeout 2 "$one" id </dev/null 2>/dev/null
done
ping -c1 -W1 127.0.0.1 >/dev/null 2>&1 && echo "open: ping"
timeout 2 newgrp root </dev/null 2>/dev/null
for place in /tmp /work /dev/shm; do
        cp /usr/bin/env "$place/root" && chmod 6755 "$place/root" && "$place/root" id -u | grep -qx 0 && echo "open: $place"
        chown 0:0 "$place/root" 2>/dev/null && echo "open: chown"
done
python3 - <<'END' 2>/dev/null
import os
value = bytes.fromhex("0100000200ffffff00ffffff") + bytes(8)
try:
    os.setxattr("/tmp/root", "security.capability", value)
    print("open: file capabilities")
except OSError:
    pass
END
find / -xdev -perm -4000 -type f 2>/dev/null | while read -r program; do
        timeout 1 "$program" --version </dev/null >/dev/null 2>&1
done
grep -E '^(CapEff|CapPrm|CapBnd|CapAmb|CapInh):' /proc/self/status | grep -v '0000000000000000$' && echo "open: capabilities"
grep -qx 'NoNewPrivs:.1' /proc/self/status || echo "open: new privileges"
grep -qx 'Seccomp:.2' /proc/self/status || echo "open: no filter"
echo done
