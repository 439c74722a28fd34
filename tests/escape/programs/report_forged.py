# SPDX-License-Identifier: Apache-2.0
# Descriptor 3 is for reports of uncaught errors. What a guest writes there is data: bounded, parsed with care.
# expect: status=nonzero exit=5
# limits: wall=8s
# each: rubbish huge valid deep truncated nul types surrogate endless-key
import os
import sys

texts = {
    "rubbish": b"\x00\xff\x1b[2J}{][" * 1000,
    "huge": b"x" * (64 << 20),
    "valid": b'{"name":"E","value":"v","traceback":"' + b"t" * (10 << 20) + b'"}',
    "deep": b'{"name":' * 100000,
    "truncated": b'{"name":"E","value":"v","trac',
    "nul": b'{"name":"a\\u0000b","value":"\x00","traceback":""}\x00\x00',
    "types": b'{"name":[1,2],"value":{"a":1e999},"traceback":null,"status":"ok","exit_code":0}',
    "surrogate": b'{"name":"\\ud800","value":"\xed\xa0\x80","traceback":"\xff"}',
    "endless-key": b'{"' + b"k" * (1 << 20) + b'":1}',
}
data = texts[sys.argv[1]]
while data:
    data = data[os.write(3, data):]
os._exit(5)
