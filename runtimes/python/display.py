# SPDX-License-Identifier: Apache-2.0
"""IPython's display machinery, with items in the place of a terminal."""

import io
import sys
import tokenize
import warnings

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import BaseFormatter, DisplayFormatter, PlainTextFormatter
from traitlets import ObjectName, Unicode

from _retort import charts, tables

CHART = charts.CHART
_plain_types = {int, float, str, bool, bytes, complex}


class PlainText(PlainTextFormatter):
    def __call__(self, obj):
        """Without what makes of a failing repr() a printed traceback: it is an error of the program's."""
        return getattr(PlainTextFormatter.__call__, "__wrapped__", PlainTextFormatter.__call__)(self, obj)


class ChartFormatter(BaseFormatter):
    format_type = Unicode(CHART)
    print_method = ObjectName("_repr_retort_chart_")
    _return_type = (dict, type(None))


class DataFormatter(BaseFormatter):
    format_type = Unicode(tables.DATA)
    print_method = ObjectName("_repr_retort_data_")
    _return_type = (dict, type(None))


class Formatter(DisplayFormatter):
    _altair = False

    def _formatters_default(self):
        formatters = super()._formatters_default()
        for kind in (PlainText, DataFormatter, ChartFormatter):
            formatter = kind(parent=self)
            formatters[formatter.format_type] = formatter
        as_json = formatters["application/json"].type_printers
        as_json[dict] = as_json[list] = tables.json_value
        data = formatters[tables.DATA].deferred_printers
        data["pandas.core.frame", "DataFrame"] = tables.frame_data
        data["pandas.core.series", "Series"] = tables.series_data
        return formatters

    def _is_plain(self, obj):
        """Whether text is all there is: nobody has taught a formatter more of it."""
        kind = type(obj)
        return kind in _plain_types and not any(
            kind in formatter.type_printers or id(obj) in formatter.singleton_printers
            for mime, formatter in self.formatters.items() if mime != "text/plain"
        ) and kind not in self.mimebundle_formatter.type_printers and kind not in self.ipython_display_formatter.type_printers

    def format(self, obj, include=None, exclude=None):
        if include is None and exclude is None and self._is_plain(obj):
            return {"text/plain": self.formatters["text/plain"](obj)}, {}
        if not self._altair and "altair" in sys.modules:
            self._settle_altair()
        drawing = sys.modules.get("matplotlib.figure")
        if drawing is None or not isinstance(obj, drawing.Figure):
            return super().format(obj, include, exclude)
        self.formatters[CHART].type_printers.setdefault(drawing.Figure, charts.of_figure)  # IPython's choice of formats takes it away
        formatted = super().format(obj, include, exclude)
        self.parent.figures.displayed(obj)
        return formatted

    def _settle_altair(self):
        """Its charts as what they are, not as a page that loads scripts from elsewhere; unless the program wants otherwise."""
        self._altair = True
        try:
            renderers = sys.modules["altair"].renderers
            if renderers.active in ("default", "html", ""):
                renderers.enable("mimetype")
        except Exception:
            pass


class Publisher(DisplayPublisher):
    def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **more):
        name = (transient or {}).get("display_id")
        self.shell.session.show(data, metadata, name, update)

    def clear_output(self, wait=False):
        """There is no screen to clear."""


class Hook(DisplayHook):
    """Keeps the value of a cell's last expression: it is the last item, after the figures that are still open."""

    code = None  # of the last expression, while it runs
    source = ""  # of the cell
    value = None  # (data, metadata, name)

    def quiet(self):
        """Whether the cell ends in a semicolon."""
        text = self.source.rstrip()
        if not text.endswith(";") and ";" not in text[text.rfind("\n") + 1 :]:
            return False
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(self.source).readline))
        except (tokenize.TokenError, SyntaxError):
            return False
        ignored = (tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.DEDENT)
        return next((token.string == ";" for token in reversed(tokens) if token.type not in ignored), False)

    def __call__(self, result=None):
        last = sys._getframe(1).f_code is self.code
        self.check_for_underscore()
        if result is None or last and self.quiet():
            return
        with self.shell.session.collecting() as shown:  # an object may show itself instead
            data, metadata = self.shell.display_formatter.format(result)
        self.update_user_ns(result)
        self.fill_exec_result(result)
        if data:
            self.log_output(data)
            shown.append((data, metadata, None))
        if last and shown:
            self.value = shown.pop()
        for item in shown:
            self.shell.session.show(*item)

    def cull_cache(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().cull_cache()
