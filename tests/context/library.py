# SPDX-License-Identifier: Apache-2.0
"""libretort by ctypes: what retort-context.h declares, with the library's own JSON for outcomes and events."""

import ctypes as c
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("RETORT_BUILD", ROOT / "build")).resolve()
lib = c.CDLL(str(next(BUILD.glob("src/*/libretort.so.0"))))
libc = c.CDLL(None)
LIMITS = ("wall_ms", "cpu_ms", "memory_bytes", "processes", "output_bytes", "file_bytes", "open_files", "disk_bytes")


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("message", c.c_char * 768)]


class Refused(Exception):
    def __init__(self, error, errno=0):
        super().__init__(error.message.decode())
        self.code, self.errno = error.code, errno


class Bytes(c.Structure):
    _fields_ = [("data", c.c_char_p), ("size", c.c_size_t)]

    @classmethod
    def of(cls, data):
        data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        return cls(data, len(data or b""))


class Limits(c.Structure):
    _fields_ = [(name, c.c_uint64) for name in LIMITS]


class File(c.Structure):
    _fields_ = [("path", c.c_char_p), ("content", Bytes)]


class Options(c.Structure):
    _fields_ = [("language", c.c_char_p), ("version", c.c_char_p), ("cwd", c.c_char_p), ("packages", c.c_char_p), ("env", c.POINTER(c.c_char_p)), ("n_env", c.c_size_t), ("limits", Limits), ("files", c.POINTER(File)), ("n_files", c.c_size_t), ("idle_ms", c.c_uint64), ("lifetime_ms", c.c_uint64)]


class Cell(c.Structure):
    _fields_ = [("code", Bytes), ("name", c.c_char_p), ("stdin_data", Bytes), ("env", c.POINTER(c.c_char_p)), ("n_env", c.c_size_t), ("cwd", c.c_char_p), ("formats", c.POINTER(c.c_char_p)), ("n_formats", c.c_size_t), ("silent", c.c_bool), ("wall_ms", c.c_uint64), ("cpu_ms", c.c_uint64), ("output_bytes", c.c_uint64), ("cancel_fd", c.c_int)]


class Command(c.Structure):
    _fields_ = [("argv", c.POINTER(c.c_char_p)), ("n_argv", c.c_size_t), ("shell", c.c_char_p), ("cwd", c.c_char_p), ("env", c.POINTER(c.c_char_p)), ("n_env", c.c_size_t), ("stdin_data", Bytes), ("wall_ms", c.c_uint64), ("output_bytes", c.c_uint64), ("cancel_fd", c.c_int)]


class Info(c.Structure):
    _fields_ = [("state", c.c_int), ("id", c.c_char_p), ("language", c.c_char_p), ("version", c.c_char_p), ("box", c.c_char * 27), ("why", c.c_char * 192), ("execution_count", c.c_uint64), ("age_ms", c.c_uint64), ("idle_ms", c.c_uint64), ("can_fork", c.c_bool), ("can_complete", c.c_bool), ("can_inspect", c.c_bool)]


class Config(c.Structure):
    _fields_ = [("runtimes_dir", c.c_char_p), ("libexec_dir", c.c_char_p), ("scratch_dir", c.c_char_p), ("slots", c.c_uint), ("warm_slots", c.c_uint), ("no_warm", c.c_bool), ("ceilings", Limits), ("minimum", c.c_int), ("disable", c.c_char_p), ("cache_bytes", c.c_uint64), ("no_cache", c.c_bool), ("warm", c.c_char_p)]


EVENT = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p)
DATA = c.CFUNCTYPE(c.c_bool, c.c_void_p, c.c_size_t, c.c_void_p)
lib.retort_context_state_name.restype = c.c_char_p
for name in ("retort_outcome_free", "retort_context_close", "retort_engine_close"):
    getattr(lib, name).argtypes = [c.c_void_p]
    getattr(lib, name).restype = None
libc.free.argtypes = [c.c_void_p]


def texts(values):
    values = [value.encode() for value in values]
    return (c.c_char_p * (len(values) + 1))(*values, None), len(values)


def check(result, error):
    if result < 0:
        raise Refused(error, c.get_errno())


def json_of(call, *arguments):
    """A call whose last results are a text to be freed and an error."""
    text, error = c.c_void_p(), Error()
    check(call(*arguments, c.byref(text), c.byref(error)), error)
    try:
        return json.loads(c.string_at(text))
    finally:
        libc.free(text)


class Engine:
    def __init__(self, runtimes=None, **config):
        error = Error()
        self.at = c.c_void_p()
        made = Config(runtimes_dir=str(runtimes or BUILD / "runtimes").encode(), libexec_dir=str(BUILD / "src/bin").encode())
        for name, value in config.items():
            setattr(made, name, value.encode() if isinstance(value, str) else value)
        check(lib.retort_engine_open(c.byref(self.at), c.byref(made), c.byref(error)), error)

    def warm(self, language, timeout_ms=60000):
        error = Error()
        check(lib.retort_engine_warm(self.at, language.encode(), timeout_ms, c.byref(error)), error)

    def open(self, language, limits=None, env=(), files=None, **options):
        return Context(self, self._options(language, limits, env, files, options))

    @staticmethod
    def _options(language, limits, env, files, options):
        made = Options(language=language.encode(), limits=Limits(**(limits or {})))
        made.env, made.n_env = texts(env)
        if files:
            made.files = (File * len(files))(*[File(path.encode(), Bytes.of(content)) for path, content in files.items()])
            made.n_files = len(files)
        for name, value in options.items():
            setattr(made, name, value.encode() if isinstance(value, str) else value)
        return made

    def close(self):
        lib.retort_engine_close(self.at)


class Context:
    def __init__(self, engine, options=None, call=None, first=None):
        error = Error()
        self.engine, self.at = engine, c.c_void_p()
        if call is not None:
            check(call(first.at, c.byref(self.at), c.byref(error)), error)
        elif first is not None:
            check(lib.retort_context_open_beside(first.at, c.byref(options), c.byref(self.at), c.byref(error)), error)
        else:
            check(lib.retort_context_open(engine.at, c.byref(options), c.byref(self.at), c.byref(error)), error)

    def beside(self, language, env=(), **options):
        return Context(self.engine, Engine._options(language, None, env, None, options), first=self)

    def fork(self):
        return Context(self.engine, call=lib.retort_context_fork, first=self)

    def _perform(self, call, what, events):
        outcome, error = c.c_void_p(), Error()

        def on_event(event, _):
            events.append(json_of(lib.retort_event_json, c.c_void_p(event)))

        callback = EVENT(on_event) if events is not None else EVENT()
        check(call(self.at, c.byref(what), callback, None, c.byref(outcome), c.byref(error)), error)
        made = json_of(lib.retort_outcome_json, outcome)
        lib.retort_outcome_free(outcome)
        return made

    def run(self, code, events=None, stdin=b"", env=(), formats=(), **options):
        cell = Cell(code=Bytes.of(code), stdin_data=Bytes.of(stdin))
        cell.env, cell.n_env = texts(env)
        cell.formats, cell.n_formats = texts(formats)
        for name, value in options.items():
            setattr(cell, name, value.encode() if isinstance(value, str) else value)
        return self._perform(lib.retort_context_run, cell, events)

    def command(self, *argv, shell=None, events=None, stdin=b"", env=(), **options):
        command = Command(stdin_data=Bytes.of(stdin), shell=shell.encode() if shell else None)
        if argv:
            command.argv, command.n_argv = texts(argv)
        command.env, command.n_env = texts(env)
        for name, value in options.items():
            setattr(command, name, value.encode() if isinstance(value, str) else value)
        return self._perform(lib.retort_context_command, command, events)

    def info(self):
        made = Info()
        lib.retort_context_info(self.at, c.byref(made))
        found = {name: getattr(made, name) for name, _ in Info._fields_}
        found.update({name: value.decode() for name, value in found.items() if isinstance(value, bytes)})
        found["state"] = lib.retort_context_state_name(found["state"]).decode()
        return found

    def interrupt(self):
        lib.retort_context_interrupt(self.at)

    def restart(self):
        error, kept = Error(), c.c_bool()
        check(lib.retort_context_restart(self.at, c.byref(kept), c.byref(error)), error)
        return kept.value

    def _call(self, name, *arguments):
        error = Error()
        c.set_errno(0)
        check(getattr(lib, name)(self.at, *arguments, c.byref(error)), error)

    def pause(self):
        self._call("retort_context_pause")

    def resume(self):
        self._call("retort_context_resume")

    def complete(self, code, cursor=None):
        return json_of(lib.retort_context_complete, self.at, Bytes.of(code), c.c_uint64(len(code) if cursor is None else cursor))

    def inspect(self, code, cursor=None, detail=0):
        return json_of(lib.retort_context_inspect, self.at, Bytes.of(code), c.c_uint64(len(code) if cursor is None else cursor), detail)

    def read(self, path, offset=0, most=0):
        parts, size = [], c.c_uint64()
        callback = DATA(lambda data, n, _: parts.append(c.string_at(data, n)) or True)
        self._call("retort_context_read", path.encode(), c.c_uint64(offset), c.c_uint64(most), callback, None, c.byref(size))
        self.size = size.value
        return b"".join(parts)

    def write(self, path, content, how=0, mode=0):
        self._call("retort_context_write", path.encode(), Bytes.of(content), how, mode)

    def stat(self, path):
        return json_of(lib.retort_context_stat, self.at, path.encode())

    def list(self, path, depth=1):
        return json_of(lib.retort_context_list, self.at, path.encode(), depth)

    def make_directory(self, path):
        self._call("retort_context_make_directory", path.encode())

    def move(self, path, to):
        self._call("retort_context_move", path.encode(), to.encode())

    def remove(self, path):
        self._call("retort_context_remove", path.encode())

    def watch(self, path, on_change, recursive=False, cancel_fd=0):
        callback = DATA(lambda data, n, _: bool(on_change(json.loads(c.string_at(data, n)))))
        self._call("retort_context_watch", path.encode(), c.c_bool(recursive), cancel_fd, callback, None)

    def close(self):
        at, self.at = self.at, None
        if at:
            lib.retort_context_close(at)
