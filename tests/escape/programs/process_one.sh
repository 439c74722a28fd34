# SPDX-License-Identifier: Apache-2.0
# A single process is allowed; the second is refused, whatever the program does about it.
# expect: status=process_limit limit=processes how=pids
# limits: processes=1 wall=5s
/bin/true || true
exit 0
