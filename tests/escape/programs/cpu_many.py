# SPDX-License-Identifier: Apache-2.0
# Forty busy children, each well below the limit: their sum counts. The main process only waits.
# expect: status=cpu_limit limit=cpu_ms how=cpu
# limits: cpu=600ms wall=8s
import os

for _ in range(40):
    if os.fork() == 0:
        while True:
            pass
os.wait()
