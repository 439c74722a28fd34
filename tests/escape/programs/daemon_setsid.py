# SPDX-License-Identifier: Apache-2.0
# A daemon by the book: double fork, a session of its own, deaf; it goes on writing after the main process ended well.
# Everything it wrote until then is in the outcome; it is dead before the outcome is.
# expect: status=ok exit=0
# limits: wall=10s
# says: main ends
# never: later
# within: 3
import os
import signal
import sys
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(1, 65):
            try:
                signal.signal(n, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        time.sleep(0.5)
        while True:
            os.write(1, b"later\n")
    os._exit(0)
os.wait()
print("main ends")
sys.stdout.flush()
os._exit(0)
