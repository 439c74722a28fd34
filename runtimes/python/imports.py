# SPDX-License-Identifier: Apache-2.0
"""What is imported when: of IPython only what a runner needs, and what programs import is set up when they do so."""

import sys
import types


def ipython():
    """IPython without its terminal and jedi, which take two thirds of its start: programs that want them import them then."""
    if "IPython" in sys.modules:
        return
    name = "IPython.terminal.embed"
    stand_in = types.ModuleType(name)

    def real(attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        import importlib

        sys.modules.pop(name, None)
        return getattr(importlib.import_module(name), attribute)

    stand_in.embed = lambda *arguments, **keywords: real("embed")(*arguments, **keywords)
    stand_in.__getattr__ = real
    absent = "jedi" not in sys.modules
    if absent:
        sys.modules["jedi"] = None
    sys.modules[name] = stand_in
    import IPython.core.completer
    import IPython.core.interactiveshell  # noqa: F401

    if absent:
        del sys.modules["jedi"]


class _Loader:
    """A module's own loader; afterwards somebody is told."""

    def __init__(self, loader, told):
        self._loader, self._told = loader, told

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._told(module.__name__)


class Watch:
    """Calls told(name) after the import of each of these modules."""

    def __init__(self, names, told):
        self._names, self._told = set(names), told
        for name in sorted(self._names & set(sys.modules)):
            self._names.discard(name)
            told(name)
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name not in self._names:
            return None
        self._names.discard(name)
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None) if finder is not self else None
            spec = find(name, path, target) if find else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._told)
                return spec
        return None
