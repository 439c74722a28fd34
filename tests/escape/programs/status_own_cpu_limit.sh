# SPDX-License-Identifier: Apache-2.0
# A limit the guest set itself, far below ours.
# expect: status=signal signal=24
# limits: wall=8s
ulimit -S -t 1
while :; do :; done
