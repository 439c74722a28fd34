# SPDX-License-Identifier: Apache-2.0
"""Runs the code of one cell in the shell, so that only the program's own code can be interrupted."""

import __future__

import ast
import asyncio
import inspect
import re
import signal
import sys
from functools import partial

from IPython.core.autocall import IPyAutocall
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult
from IPython.core.macro import Macro

from _retort import errors

AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
FUTURES = 0
for _name in __future__.all_feature_names:
    FUTURES |= getattr(__future__, _name).compiler_flag
NEEDS_LOOP = ("create_task", "ensure_future", "get_running_loop")
_word = re.compile(r"\s*([A-Za-z_]\w*)")
_prompts = re.compile(r"\s*(In \[|\.\.\.)")


def armed(call):
    """What this calls can be interrupted; nothing else can be: see on_interrupt. IPython's own work between a cell's parts would be
    left half done, locks and all."""
    if Interrupt.waits:
        Interrupt.waits = False
        raise KeyboardInterrupt
    return call()


class Interrupt:
    waits = False  # one came between the parts of a cell that can be interrupted
    cell = None  # the code of the function that is on the stack as long as a cell runs


def on_interrupt(number, frame):
    """SIGINT. The frames themselves say whether a program runs: there is no flag that could be late."""
    idle = frame is not None and frame.f_code.co_filename == _selectors
    while frame is not None:
        if frame.f_code is armed.__code__:
            if idle and Loop.task is not None and Loop.cancel():
                return
            raise KeyboardInterrupt
        if frame.f_code is Interrupt.cell:
            Interrupt.waits = True
            return
        frame = frame.f_back


class Loop:
    """The event loop of cells that await: one for all, so that tasks outlive their cells."""

    loop = None
    task = None  # of the cell that runs in it
    cancelled = False

    @classmethod
    def get(cls):
        if cls.loop is None or cls.loop.is_closed():
            cls.loop = asyncio.new_event_loop()
        return cls.loop

    @classmethod
    def cancel(cls):
        """An interrupt while the cell waits: the program sees it where it waits. False: it was told before."""
        if cls.cancelled:
            return False
        cls.cancelled = True
        cls.loop.call_soon_threadsafe(cls.task.cancel)
        return True

    @classmethod
    def run(cls, coroutine):
        loop = cls.get()
        asyncio.set_event_loop(loop)
        cls.cancelled = False
        cls.task = task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError as error:
            if not cls.cancelled:
                raise
            raise KeyboardInterrupt().with_traceback(error.__traceback__) from None
        finally:
            cls.task = None

    @classmethod
    def has_work(cls):
        return cls.loop is not None and not cls.loop.is_closed() and bool(asyncio.all_tasks(cls.loop))

    @classmethod
    def wait_for(cls, fd):
        """Runs what cells have begun until the descriptor can be read."""
        cls.loop.add_reader(fd, cls.loop.stop)
        try:
            armed(cls.loop.run_forever)
        finally:
            cls.loop.remove_reader(fd)

    @classmethod
    def renew(cls):
        """In a copy of the process: the kernel's part of the loop would be shared with the original."""
        loop = cls.loop
        if loop is None or loop.is_closed():
            return
        old, loop._selector = loop._selector, sys.modules["selectors"].DefaultSelector()
        own = loop._ssock.fileno()
        for key in list(old.get_map().values()):
            if key.fd != own:
                loop._selector.register(key.fileobj, key.events, key.data)
        old.close()
        loop._ssock.close()
        loop._csock.close()
        loop._internal_fds -= 1
        loop._make_self_pipe()


def _wants_loop(tree):
    """Whether code outside of functions starts tasks, which needs a loop that runs."""
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in NEEDS_LOOP:
                return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            todo.extend(ast.iter_child_nodes(node))
    return False


def _interrupt_behind(error):
    """An interrupt in the midst of IPython's own work, whose finally clauses then fail, is an interrupt."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    first = error.__context__
    if isinstance(first, KeyboardInterrupt) and tb is not None and errors.is_hidden(tb.tb_frame.f_code.co_filename):
        return first
    return error


class Cells:
    def __init__(self, shell):
        self._shell = shell
        manager = shell.input_transformer_manager
        self._transformers = (manager.cleanup_transforms, manager.line_transforms, manager.token_transformers,
                              shell.input_transformers_post)
        self._usual = [list(each) for each in self._transformers]
        self._program_handler = None
        self._silent = 0

    # ---- signals ----

    def take_signals(self):
        """Once: SIGINT is ours, and what Python calls its default is ours too (asyncio compares with it)."""
        signal.default_int_handler = on_interrupt
        signal.signal(signal.SIGINT, on_interrupt)

    def _give_signals(self):
        if self._program_handler is not None:
            signal.signal(signal.SIGINT, self._program_handler)

    def _keep_signals(self):
        """A handler of the program's is in force while a cell runs; between them nothing is."""
        handler = signal.getsignal(signal.SIGINT)
        if handler is not on_interrupt:
            signal.signal(signal.SIGINT, on_interrupt)
        debugger = type(getattr(handler, "__self__", None)).__module__ in ("pdb", "IPython.core.debugger")  # which forgets to put it back
        self._program_handler = None if handler is on_interrupt or debugger else handler

    # ---- code ----

    def _parse(self, code, name):
        return compile(code, name, "exec", (self._shell.compile.flags & FUTURES) | AWAIT | ast.PyCF_ONLY_AST, True)

    def _is_plain(self, code):
        """Whether IPython would leave code that is Python as it is."""
        shell = self._shell
        if _prompts.match(code) or any(list(each) != usual for each, usual in zip(self._transformers, self._usual)):
            return False
        if "\n" in code.strip():
            return True
        word = _word.match(code)
        if word is None:
            return True
        word = word.group(1)
        if word in shell.user_ns:
            return not isinstance(shell.user_ns[word], (IPyAutocall, Macro))
        return word not in shell.magics_manager.magics["line"]

    def _translate(self, code, name):
        """(Python, its tree): magics, commands, indentation and the like are translated, if there are any."""
        if self._is_plain(code):
            try:
                return code, self._parse(code, name)
            except SyntaxError:
                pass
        translated = self._shell.transform_cell(code)
        return translated, self._parse(translated, name)

    def _compile(self, tree, name, kind):
        compiler = self._shell.compile
        with compiler.extra_flags(AWAIT if self._shell.autoawait else 0):
            return compiler(tree, name, kind)

    def trigger(self, event, code=None):
        """IPython's events, of which programs may be told. What they do wrong is not the cell's fault."""
        for function in list(self._shell.events.callbacks[event]):
            try:
                if code is None:
                    armed(function)
                    continue
                told = ExecutionInfo(code, True, False, True, None)
                if event == "post_run_cell":
                    told = ExecutionResult(told)
                    told.execution_count = self._shell.execution_count
                armed(partial(function, told))
            except Exception as error:
                errors.report(error)

    def name_of(self, given, silent):
        """The file name in tracebacks."""
        if given:
            return given
        if silent:
            self._silent += 1
            return f"<silent cell {self._silent}>"
        return f"<cell {self._shell.execution_count}>"

    def run(self, code, name, silent):
        """Raises what the program raises."""
        shell = self._shell
        self.trigger("pre_execute")
        if not silent:
            self.trigger("pre_run_cell", code)
        if not code or code.isspace():
            self._note(code, code, silent)
            return
        shell.compile.name = name
        try:
            python, tree = armed(lambda: self._translate(code, name))
        except BaseException:
            shell.compile.cache(code, shell.execution_count, raw_code=code)
            self._note(code, code, silent)
            raise
        shell.compile.cache(python, shell.execution_count, raw_code=code)
        shell.compile.name = None
        self._note(python, code, silent)
        tree = armed(partial(shell.transform_ast, tree)) if shell.ast_transformers else tree
        in_loop = any(word in python for word in NEEDS_LOOP) and _wants_loop(tree)
        last = None
        if not silent and tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Interactive([tree.body.pop()])
        codes = [self._compile(tree, name, "exec")] if tree.body else []  # C, which nobody interrupts
        if last is not None:
            codes.append(self._compile(last, name, "single"))
        sys.displayhook = hook = shell.displayhook
        hook.source, hook.code = python, codes[-1] if last is not None and codes else None
        try:
            armed(lambda: self._execute(codes, in_loop))
        finally:
            hook.code = None

    def _note(self, python, code, silent):
        """In, _i and their like; events."""
        if not silent:
            self._shell.history_manager.store_inputs(self._shell.execution_count, python, code)
            self._shell.history_manager.db_input_cache.clear()
            self._shell.logger.log(python, code)

    def _execute(self, codes, in_loop):
        names = self._shell.user_ns
        if in_loop or any(code.co_flags & inspect.CO_COROUTINE for code in codes):
            Loop.run(self._execute_in_loop(codes))
            return
        for code in codes:
            exec(code, names)

    async def _execute_in_loop(self, codes):
        for code in codes:
            if code.co_flags & inspect.CO_COROUTINE:
                await eval(code, self._shell.user_ns)
            else:
                exec(code, self._shell.user_ns)

    def guarded(self, call):
        """Calls it as a part of a cell; the error that ended it, or None. Code of the program's in it is to be armed."""
        try:
            self._give_signals()
            call()
            return None
        except BaseException as error:
            return _interrupt_behind(error)
        finally:
            self._keep_signals()
            Interrupt.waits = False


_selectors = sys.modules["selectors"].__file__
