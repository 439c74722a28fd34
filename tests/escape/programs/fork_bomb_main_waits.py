# SPDX-License-Identifier: Apache-2.0
# The main process only waits; its children are the bomb, and the main process would end well.
# expect: status=process_limit limit=processes how=pids
# limits: processes=50 wall=8s cpu=10s
import os

if os.fork() == 0:
    while True:
        try:
            os.fork()
        except OSError:
            pass
os.wait()
