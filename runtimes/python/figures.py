# SPDX-License-Identifier: Apache-2.0
"""matplotlib in cells: figures become items by plt.show(), and at the end of a cell those that were left open.

The back end stays Agg, so that subprocesses of a program's and matplotlib.use("Agg") mean the same. What is put in place when a
program first imports it: its show(), a figure's own show(), and a note of every box plot (charts.py).
"""

import sys

from _retort import charts

FORMATS = {"png": "image/png", "svg": "image/svg+xml", "jpeg": "image/jpeg", "pdf": "application/pdf"}
MODULES = ("matplotlib.axes._axes", "matplotlib.backends.backend_agg", "matplotlib.backend_bases")


class Figures:
    def __init__(self, shell):
        self._shell, self.formats, self._shown = shell, ("png",), []
        for kind, mime in FORMATS.items():
            formatter = shell.display_formatter.formatters[mime]
            formatter.for_type_by_name("matplotlib.figure", "Figure", self._drawer(kind))

    def _drawer(self, kind):
        def draw(figure):
            if kind not in self.formats:
                return None
            from IPython.core.pylabtools import print_figure

            return print_figure(figure, fmt=kind, base64=kind != "svg")

        return draw

    def choose(self, formats):
        wanted = [kind for kind in FORMATS if isinstance(formats, list) and kind in formats]
        self.formats = tuple(wanted or ("png",))

    def settle(self, name):
        """A module of matplotlib's has been imported."""
        module = sys.modules[name]
        if name == "matplotlib.axes._axes":
            charts.note_boxes(module.Axes)
        elif name == "matplotlib.backend_bases":
            module.FigureManagerBase.show = lambda manager: self.show_one(manager.canvas.figure)
        else:
            module.show = self.show

    def show_one(self, figure):
        self._shell.display_figure(figure)

    def show(self, *arguments, **keywords):
        """What plt.show() does: shows all figures, and closes them."""
        self.flush(again=True)

    def displayed(self, figure):
        """It has been shown, by whomever."""
        self._shown.append(figure)
        figure.stale = False  # drawing and looking at it have left it so

    def flush(self, again=False):
        """Shows and closes the figures that are open. One that was shown in this cell is shown again only if it has changed,
        or if the program asks."""
        helpers = sys.modules.get("matplotlib._pylab_helpers")
        if helpers is None or not helpers.Gcf.figs:
            self._shown.clear()
            return
        figures = [manager.canvas.figure for manager in helpers.Gcf.get_all_fig_managers()]
        try:
            for figure in figures:
                if again or figure.stale or not any(figure is shown for shown in self._shown):
                    self._shell.display_figure(figure)
        finally:
            self._shown.clear()
            helpers.Gcf.destroy_all()
