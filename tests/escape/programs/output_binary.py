# SPDX-License-Identifier: Apache-2.0
# Bytes that are no text, NUL, escape sequences, halves of characters, a forged outcome.
# expect: status=ok exit=0
# says: "status":"internal"
import os

for n in range(256):
    os.write(1, bytes([n]))
    os.write(2, bytes([255 - n]))
os.write(1, b"\xf0\x9f\x98")
os.write(2, b"\xed\xa0\x80\xc0\x80\xf8")
os.write(1, b'\n{"id":"x","status":"internal","exit_code":0}\n')
