# SPDX-License-Identifier: Apache-2.0
# The host's own sockets, the cloud's metadata, the world: none can be reached, and no bytes can be sent.
# expect: status=ok exit=0
# limits: wall=8s
# says: done
import os
import socket

port = int(os.environ["CANARY_PORT"])
tries = [(socket.AF_INET, a) for a in (("127.0.0.1", port), ("0.0.0.0", port), ("127.1.2.3", port),
                                       ("169.254.169.254", 80), ("10.0.0.1", 22), ("192.168.0.1", 80), ("8.8.8.8", 53))]
tries += [(socket.AF_INET6, a) for a in (("::1", port), ("::ffff:127.0.0.1", port), ("fe80::1", 80), ("2001:db8::1", 80))]
tries += [(socket.AF_UNIX, a) for a in (os.environ["CANARY_UNIX"], "\0" + os.environ["CANARY_ABSTRACT"],
                                        "/run/systemd/private", "/run/dbus/system_bus_socket", "/var/run/docker.sock",
                                        "/proc/1/root" + os.environ["CANARY_UNIX"])]
for family, address in tries:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as one:
            one.settimeout(1)
            try:
                one.connect(address)
                if kind == socket.SOCK_STREAM or family == socket.AF_UNIX:
                    print("open:", address)
                else:
                    one.send(b"hello")
                    if not address[0].endswith(("127.0.0.1", "0.0.0.0", "127.1.2.3", "::1")):
                        print("open: sent to", address)  # to our own loopback it may be sent
            except OSError:
                pass
if [name for _, name in socket.if_nameindex()] != ["lo"]:
    print("open:", socket.if_nameindex())
print("done")
