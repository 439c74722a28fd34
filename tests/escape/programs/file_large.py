# SPDX-License-Identifier: Apache-2.0
# Python ignores SIGXFSZ: the error is its own, the status must still tell why.
# expect: status=file_limit limit=file_bytes
# limits: file=1M wall=5s
with open("/tmp/large", "wb") as out:
    while True:
        out.write(b"x" * 65536)
