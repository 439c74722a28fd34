# SPDX-License-Identifier: Apache-2.0
# Kills everything it can see, itself at the end.
# expect: status=signal signal=9
# limits: wall=5s
sleep 50 &
sleep 50 &
kill -9 -1
kill -9 1 $PPID
kill -9 $$
