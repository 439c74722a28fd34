# SPDX-License-Identifier: Apache-2.0
"""Told "start" or "cell" by the measuring program, a line each: does it with ipykernel over ZeroMQ, answers with nanoseconds.

start: from starting a kernel until its kernel_info_reply. cell: print(1) in a kernel that has run cells before, until its
output, its reply and its "idle" are all here.
"""
import sys
import time

from jupyter_client import KernelManager

PATIENCE_S = 60


class Kernel:
    def __init__(self):
        begun = time.monotonic_ns()
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        asked = self.client.kernel_info()
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE_S)
            if message["msg_type"] == "kernel_info_reply" and message["parent_header"]["msg_id"] == asked:
                break
        self.took_ns = time.monotonic_ns() - begun

    def settle(self):
        """Until what it prints reaches us: the subscription takes a while."""
        self.client.wait_for_ready(timeout=PATIENCE_S)

    def cell(self):
        begun = time.monotonic_ns()
        asked = self.client.execute("print(1)")
        output, idle = "", False
        while not idle:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "stream":
                output += message["content"]["text"]
            idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
        reply = self.client.get_shell_msg(timeout=PATIENCE_S)
        took_ns = time.monotonic_ns() - begun
        if reply["parent_header"]["msg_id"] != asked or reply["content"]["status"] != "ok" or output != "1\n":
            raise RuntimeError(f"the kernel answered {reply['content']['status']}, output {output!r}")
        return took_ns

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def main():
    kernel = None
    try:
        for word in sys.stdin:
            try:
                if word.strip() == "start":
                    fresh = Kernel()
                    took_ns = fresh.took_ns
                    fresh.end()
                else:
                    if not kernel:
                        kernel = Kernel()
                        kernel.settle()
                    took_ns = kernel.cell()
                print(took_ns, flush=True)
            except Exception as error:  # told to the measuring program, which drops this contender
                print("failed:", str(error).replace("\n", " ") or type(error).__name__, flush=True)
    finally:
        if kernel:
            kernel.end()


main()
