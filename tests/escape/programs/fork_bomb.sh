# SPDX-License-Identifier: Apache-2.0
# The classic.
# expect: status=process_limit limit=processes how=pids
# limits: wall=5s cpu=10s
bomb() { bomb | bomb & }
bomb
sleep 60
