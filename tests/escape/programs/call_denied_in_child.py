# SPDX-License-Identifier: Apache-2.0
# The call is made by a grandchild in a session of its own, and the main process would end well: the run still ends, and
# says why.
# expect: status=denied limit=syscall how=chroot
# limits: wall=5s
import ctypes
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).chroot(b"/tmp")
    os._exit(0)
time.sleep(20)
