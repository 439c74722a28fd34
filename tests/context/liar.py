#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A supervisor that lies: the real one does the work, what it answers goes through here. /work/lie says how."""

import array
import os
import socket
import struct
import subprocess
import sys

engine = socket.socket(fileno=os.dup(0))
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
subprocess.Popen([os.path.dirname(os.path.abspath(sys.argv[0])) + "/supervisor.real"], stdin=theirs.fileno())
theirs.close()
kept = []


def receive(sock):
    data, rights, _, _ = sock.recvmsg(20000, socket.CMSG_SPACE(4 * 16))
    fds = array.array("i")
    for _, _, part in rights:
        fds.frombytes(part)
    return data, list(fds)


def send(sock, data, fds=()):
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


while True:
    data, fds = receive(engine)
    if not data:
        break
    try:
        with open("/work/lie") as file:
            lie = file.read()
    except OSError:
        lie = ""
    op = struct.unpack("I", data[:4])[0]
    kept[:0] = fds if lie == "keeps" else []
    if lie == "tells" and kept:
        with open("/work/kept", "w") as file:
            file.write(" ".join(str(os.fstat(fd).st_size) for fd in kept))
    if lie == "lists" and op == 7:
        os.write(fds[0], bytes(31 << 20))
        send(engine, struct.pack("iiQ", 0, 0, 10**6))
        continue
    if lie == "lists nothing" and op == 7:
        send(engine, bytes(16))
        continue
    send(ours, data, fds)
    if lie != "keeps":
        for fd in fds:
            os.close(fd)
    answer, back = receive(ours)
    many = [os.open("/dev/null", 0) for _ in range(200)] if lie == "hands over more" else back
    answer = {"is short": b"abc", "is long": answer + bytes(5000), "says nothing": b""}.get(lie, answer)
    if lie == "fails oddly":
        answer = struct.pack("iiQ", -(1 << 31), -1, 0)
    if lie != "is silent":
        send(engine, answer, many)
    if lie == "answers twice":
        send(engine, answer)
    for fd in {*many, *back}:
        os.close(fd)
