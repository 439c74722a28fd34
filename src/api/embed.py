# SPDX-License-Identifier: Apache-2.0
"""embed.py openapi.json openapi.c: the file, without its spaces, as C."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    data = json.dumps(json.load(file), separators=(",", ":"), ensure_ascii=False).encode()
with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write('/* made by embed.py */\n#include "api/openapi.h"\n\nconst char rt_openapi_json[] = {\n')
    for i in range(0, len(data), 16):
        out.write("        " + ", ".join(str(byte if byte < 128 else byte - 256) for byte in data[i:i + 16]) + ",\n")
    out.write("        0,\n};\nconst size_t rt_openapi_size = sizeof rt_openapi_json - 1;\n")
