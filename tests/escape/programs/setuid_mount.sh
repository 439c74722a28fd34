# SPDX-License-Identifier: Apache-2.0
# mount(8) is set-user-id on the host; here it is a program like any other, and what it asks for is denied.
# expect: status=denied limit=syscall how=mount
# limits: wall=5s
mount -t tmpfs x /tmp </dev/null
sleep 3
