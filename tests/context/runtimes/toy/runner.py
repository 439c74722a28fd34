# SPDX-License-Identifier: Apache-2.0
"""The least runner there can be, which also tells every lie there is: what the engine must make of those is tested with it.

A cell is Python, run by exec; the value of `it` is its main item. `send(...)` and `raw(...)` say anything to the engine.
"""

import array
import json
import os
import signal
import socket
import sys
import time

time.sleep(float(os.environ.get("TOY_STARTS_S", "0")))
for fd in (1, 2):  # what is said before a runner is ready is no cell's
    os.write(fd, b"noise\n" * int(os.environ.get("TOY_NOISE", "1")))
pipe = socket.socket(fileno=os.dup(3))
os.close(3)
os.set_inheritable(pipe.fileno(), False)
MARK = "\0toy's own mark\1"
count = 0
running = False


def raw(data):
    pipe.sendall(data)


def send(**message):
    sys.stdout.flush()
    sys.stderr.flush()
    body = json.dumps(message).encode()
    if message["type"] == "item":
        os.write(1, MARK.encode())
    raw(len(body).to_bytes(4, "big") + body)


def receive():
    fds = array.array("i")
    head, rights, _, _ = pipe.recvmsg(4, socket.CMSG_SPACE(12), socket.MSG_WAITALL)
    if not head:
        os._exit(0)
    for level, kind, data in rights:
        fds.frombytes(data)
    size = int.from_bytes(head, "big")
    body = b""
    while len(body) < size:
        body += pipe.recv(size - len(body))
    return json.loads(body), list(fds)


def ask(prompt=""):
    send(type="input_request", id=current, prompt=prompt, password=False)
    answer, _ = receive()
    if answer.get("eof"):
        raise EOFError
    return answer["text"]


def show(**data):
    send(type="item", id=current, main=False, data=data)


def interrupted(*_):
    if running:
        raise KeyboardInterrupt


if os.environ.get("TOY_SAYS_RUBBISH"):
    raw(b"\xff" * 100)
    signal.pause()
names = {"send": send, "raw": raw, "ask": ask, "show": show, "pipe": pipe}
signal.signal(signal.SIGINT, interrupted)
send(type="ready", protocol=1, language="toy", version="1", features=["complete", "fork", "input"], mark=MARK)
while True:
    message, fds = receive()
    current = message.get("id", 0)
    kind = message["type"]
    if kind == "shutdown":
        break
    if kind == "complete":
        send(type="completions", id=current, matches=sorted(n for n in names if n.startswith(message["code"])), start=0, end=len(message["code"]), secret=1)
    if kind == "fork":
        told, tell = os.pipe()
        if os.fork() == 0:
            if (copy := os.fork()) > 0:
                os.write(tell, b"%d" % copy)
                os._exit(0)
            os.setpgid(0, 0)
            for fd, to in zip(fds, (1, 2, pipe.fileno())):
                os.dup2(fd, to, inheritable=to < 3)
            send(type="ready", protocol=1, language="toy", version="1", features=["fork"], mark=MARK)
        else:
            os.wait()
            send(type="forked", id=current, pid=int(os.read(told, 20)))
        for fd in (*fds, told, tell):
            os.close(fd)
    if kind != "run":
        continue
    names["current"] = current
    names.pop("it", None)
    status, extra = "ok", {}
    os.environ.update(message.get("env", {}))
    try:
        if "cwd" in message:
            os.chdir(message["cwd"])
        running = True
        exec(compile(message["code"], "cell", "exec"), names)
    except KeyboardInterrupt:
        status = "interrupted"
        send(type="error", id=current, name="KeyboardInterrupt", value="", traceback="")
    except SystemExit as error:
        status, extra = "exit", {"exit_code": error.code or 0}
    except BaseException as error:
        status = "error"
        send(type="error", id=current, name=type(error).__name__, value=str(error), traceback="somewhere")
    running = False
    for name in message.get("env", {}):
        del os.environ[name]
    if "it" in names:
        send(type="item", id=current, main=True, data={"text/plain": repr(names["it"])})
    count += 1
    send(type="done", id=current, status=status, execution_count=count, **extra)
