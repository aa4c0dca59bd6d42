"""The widget: what the browser asks for is handed to `Exploration`, and what that says is handed to the browser."""

from pathlib import Path
from typing import Any

import traitlets
from anywidget import AnyWidget

from proxyalign.decoding.generate import Generation
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.exploring.exploration import Exploration

HERE = Path(__file__).parent


class Explorer(AnyWidget):
    """An answer to look into; view.js draws it.

    settings and position are the browser's to change: the rule's name and parameters, temperature and seed, and the
    token that is looked at (-1 for none). Every change of the one gives an answer, of either a step. Where a setting is
    refused, `answer` keeps the text that was there and tells why in its "message".
    """

    _esm = HERE / "view.js"
    _css = HERE / "view.css"
    controls = traitlets.Dict().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    position = traitlets.Int(-1).tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)
    step = traitlets.Dict().tag(sync=True)

    def __init__(self, exploration: Exploration, rule: Rule, *, temperature: float, seed: int) -> None:
        self._exploration = exploration
        controls = exploration.controls()
        names = [one["name"] for one in controls["rules"]]
        name = getattr(rule, "name", None)
        if name not in names:
            raise InputError(
                f"explore: rule must be one that the pair can take, {', '.join(names)}, got {rule!r}; choose one"
            )
        settings = {"rule": name, "parameters": rule.parameters(), "temperature": temperature, "seed": seed}
        answer = {**exploration.write(settings), "message": "", "n_changes": 0}
        super().__init__(controls=controls, settings=settings, answer=answer)
        self.observe(self._write, "settings")
        self.observe(self._look, "position")

    @property
    def generation(self) -> Generation:
        """The answer that is shown."""
        generation = self._exploration.generation
        assert generation is not None  # one is written before the widget is there
        return generation

    def __repr__(self) -> str:
        return f"Explorer({self._exploration.rule}: {self.generation.texts[0]!r})"

    def _write(self, change: Any) -> None:
        """Answer anew. What is looked at is closed, since the text is another one."""
        n_changes = self.answer["n_changes"] + 1  # so that the browser is told that this is done, whatever came of it
        try:
            answer = {**self._exploration.write(change["new"]), "message": "", "n_changes": n_changes}
        except InputError as error:
            self.answer = {**self.answer, "message": str(error), "n_changes": n_changes}
            return
        with self.hold_sync():
            self.position, self.step, self.answer = -1, {}, answer

    def _look(self, change: Any) -> None:
        self.step = self._exploration.step(change["new"]) if change["new"] >= 0 else {}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and for where no kernel runs the trace."""
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": self._exploration.trace._repr_html_()}, metadata
