# SPDX-License-Identifier: Apache-2.0
# Without descriptors 0 to 3, in another session, with everything blocked: the exit code still arrives.
# expect: status=nonzero exit=42
# limits: wall=5s
import os
import signal

os.closerange(0, 4096)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
os._exit(42)
