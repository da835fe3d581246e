"""The flow of courses through the schedule, as a CONSORT diagram: boxes, arrows, who left where and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from matplotlib.patches import FancyArrowPatch, Rectangle

from mesostats.layout import by_columns, count, label, labels_of
from mesostats.plots.wrapping import wrapped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_FONT: Final = 8.0  # points
_LINE: Final = 0.155  # inches
_PAD: Final = 0.07
_GAP: Final = 0.24
_BETWEEN: Final = 0.35
_MOST_COLUMNS: Final = 4
_MOST_REASONS: Final = 8
_TITLE: Final = 0.75
_ALL_PHASES: Final = "all phases"
_ALL_REASONS: Final = "all reasons"
_AFTER: Final = "after the plan"
_INDENT: Final = "   "
_STATES: Final = {"dropped_out": "Dropped out", "ongoing": "Still going on", "completed": "Completed early"}


class _Line(NamedTuple):
    """A line of text in a box."""

    text: str
    bold: bool = False


class _Shape(NamedTuple):
    """Where things stand in a column, in inches from its left edge."""

    main: float  # the width of the boxes of the line
    spine: float  # where the line runs down
    side: float  # where the boxes of those who left begin
    side_width: float

    @property
    def width(self) -> float:
        """The width of the column."""
        return max(self.main, self.side + self.side_width)


_ROOMY: Final = _Shape(2.5, 1.25, 1.6, 2.6)
_NARROW: Final = _Shape(2.65, 0.25, 0.55, 2.1)


@dataclass(frozen=True)
class _Step:
    """One step of a column: the lines of its box, those of the box of who left before the next, and whether the line holds."""

    main: list[_Line]
    left: list[_Line]
    holds: bool = True


@dataclass(frozen=True)
class _Column:
    """One group: its name, its steps from the top downwards."""

    name: list[_Line]
    steps: list[_Step]


@dataclass(frozen=True)
class _Plan:
    """The whole diagram: columns, their shape, the heights of the rows of boxes, and what stands above and beneath."""

    columns: list[_Column]
    shape: _Shape
    above: list[_Line]
    remarks: list[str]

    @property
    def width(self) -> float:
        """The width in inches."""
        return len(self.columns) * self.shape.width + (len(self.columns) - 1) * _BETWEEN

    @property
    def rows(self) -> list[tuple[float, float]]:
        """The heights of the boxes of each step, and of those who left, at least as high as any column needs."""
        found = []
        for level in range(max(len(column.steps) for column in self.columns)):
            steps = [column.steps[level] for column in self.columns if level < len(column.steps)]
            found.append(
                (max(_height(step.main) for step in steps), max(_height(step.left) for step in steps))
            )
        return found

    @property
    def head(self) -> float:
        """The height of the names of the groups."""
        return max(_height(column.name) for column in self.columns)

    @property
    def height(self) -> float:
        """The height in inches."""
        boxes = sum(main + left + (2 * _GAP if left else _GAP) for main, left in self.rows)
        above = _height(self.above) + 2 * _GAP if self.above else 0.0
        return above + self.head + boxes + _LINE * (len(self.remarks) + 0.5)


def _height(lines: list[_Line]) -> float:
    return len(lines) * _LINE + 2 * _PAD if lines else 0.0


def flow_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    plan = _plan(result)
    return plan.width + 0.3, plan.height + _TITLE


def flow(ax: Axes, result: Result, _most: int) -> None:
    """Draw the flow of each group from the top downwards: who was due and came, and beside the line who left and why."""
    plan = _plan(result)
    ax.set_xlim(-0.03, plan.width + 0.03)
    ax.set_ylim(-plan.height, 0)
    ax.set_aspect("equal", anchor="NW")
    ax.set_axis_off()
    place = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    scale = min(1.0, place.width / (plan.width + 0.06), place.height / plan.height)
    pen = _Pen(ax, _FONT * scale)
    top = _overall(pen, plan)
    for number, column in enumerate(plan.columns):
        _draw_column(pen, plan, column, number * (plan.shape.width + _BETWEEN), top)
    for line, remark in enumerate(plan.remarks):
        pen.text(0.0, -plan.height + _LINE * (len(plan.remarks) - line - 0.5), remark, style="italic")


@dataclass(frozen=True)
class _Pen:
    """What draws boxes, lines and texts on the axes, in inches."""

    ax: Axes
    font: float

    def box(
        self, left: float, top: float, size: tuple[float, float], lines: list[_Line], **look: Any
    ) -> None:
        """Draw a box with its lines of text."""
        width, height = size
        face = look.pop("facecolor", "white")
        self.ax.add_patch(
            Rectangle(
                (left, top - height), width, height, facecolor=face, edgecolor="0.25", linewidth=0.9, zorder=2
            )
        )
        step = (height - len(lines) * _LINE) / 2
        for place, line in enumerate(lines):
            weight = "bold" if line.bold else "normal"
            self.text(left + _PAD, top - step - (place + 0.5) * _LINE, line.text, fontweight=weight, **look)

    def text(self, x: float, y: float, text: str, **look: Any) -> None:
        """Write a line of text, its middle at y."""
        own: dict[str, Any] = {
            "fontsize": self.font,
            "ha": "left",
            "va": "center",
            "zorder": 3,
            "parse_math": False,
        }
        self.ax.text(x, y, text, **(own | look))

    def arrow(self, start: tuple[float, float], end: tuple[float, float], *, line: str = "-") -> None:
        """Draw an arrow."""
        self.ax.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=9,
                linewidth=0.9,
                color="0.25",
                linestyle=line,
                shrinkA=0,
                shrinkB=0,
                zorder=1,
            )
        )

    def line(self, xs: list[float], ys: list[float]) -> None:
        """Draw a line without a head."""
        self.ax.plot(xs, ys, color="0.25", linewidth=0.9, zorder=1)


def _overall(pen: _Pen, plan: _Plan) -> float:
    """Draw the box of all groups and the arrows to each; return where the groups begin."""
    if not plan.above:
        return 0.0
    height, width = _height(plan.above), min(plan.width, 3.4)
    middle = plan.width / 2
    pen.box(middle - width / 2, 0.0, (width, height), plan.above, facecolor="0.93")
    fork, top = -height - _GAP, -height - 2 * _GAP
    spines = [
        number * (plan.shape.width + _BETWEEN) + plan.shape.spine for number in range(len(plan.columns))
    ]
    pen.line([middle, middle], [-height, fork])
    pen.line([min(*spines, middle), max(*spines, middle)], [fork, fork])
    for spine in spines:
        pen.arrow((spine, fork), (spine, top))
    return top


def _draw_column(pen: _Pen, plan: _Plan, column: _Column, left: float, top: float) -> None:
    shape, y = plan.shape, top
    spine = left + shape.spine
    if column.name:
        pen.box(left, y, (shape.main, plan.head), column.name, facecolor="0.93")
        y -= plan.head
        pen.arrow((spine, y), (spine, y - _GAP))
        y -= _GAP
    for number, (step, (main, side)) in enumerate(zip(column.steps, plan.rows, strict=False)):
        pen.box(left, y, (shape.main, main), step.main)
        y -= main
        if number + 1 == len(column.steps):
            return
        below = y - side - (2 * _GAP if side else _GAP)
        pen.arrow((spine, y), (spine, below), line="-" if step.holds else "--")
        if step.left:
            middle = y - _GAP - _height(step.left) / 2
            pen.arrow((spine, middle), (left + shape.side, middle))
            pen.box(left + shape.side, y - _GAP, (shape.side_width, _height(step.left)), step.left)
        y = below


def _plan(result: Result) -> _Plan:
    """Lay out the diagram: what every box says."""
    by = by_columns(result)
    frame = result.estimates
    blocks = [rows for _, rows in frame.groupby(by, sort=False, dropna=False)] if by else [frame]
    kept = sorted(range(len(blocks)), key=lambda place: -_number(blocks[place], "started"))[:_MOST_COLUMNS]
    shape = _ROOMY if len(kept) <= 2 else _NARROW  # noqa: PLR2004 - more columns would be too wide a page
    columns = [_column(result, blocks[place], by, shape) for place in sorted(kept)]
    above: list[_Line] = []
    remarks: list[str] = []
    if len(blocks) > 1:
        started = sum(_number(rows, "started") for rows in blocks)
        above = [_Line(f"{count(started)} courses started", bold=True), _Line(f"in {len(blocks)} groups")]
    if len(kept) < len(blocks):
        remarks.append(f"the {len(kept)} largest of {len(blocks)} groups; the others in the table")
    if not all(step.holds for column in columns for step in column.steps):
        remarks.append("dashed: courses of several protocols, whose phases do not follow one another;")
        remarks.append("group by the protocol for numbers that add up line by line")
    return _Plan(
        columns,
        shape,
        above,
        [line for each in remarks for line in wrapped(each, _wide(columns, shape), _FONT)],
    )


def _wide(columns: list[_Column], shape: _Shape) -> float:
    return len(columns) * shape.width + (len(columns) - 1) * _BETWEEN


def _column(result: Result, rows: pd.DataFrame, by: list[str], shape: _Shape) -> _Column:
    """Return the boxes of one group."""
    width = shape.main - 2 * _PAD
    name = labels_of(result, by, rows.iloc[0])
    started, came = (_number(rows, each) for each in ("started", "attended_first_session"))
    top = [f"{count(started)} courses started", f"{count(_number(rows, 'registered'))} patients registered"]
    phases = [phase for phase in dict.fromkeys(rows["phase"]) if phase not in {_ALL_PHASES, _AFTER}]
    if not phases:
        top.append(f"{count(came)} came to the first session")
    steps = [_Step(_broken(top, width), [])]
    due = [_number(rows, "due", phase) for phase in phases]
    for place, phase in enumerate(phases):
        heading = label(result, "phase", phase)
        came_here = f"{count(_number(rows, 'reached', phase))} came to its first session"
        lines = _broken([f"{heading}: {count(due[place])} due", came_here], width)
        rest = due[place] - sum(_number(rows, state, phase) for state in _STATES)
        following = due[place + 1] if place + 1 < len(phases) else _after(rows)
        steps.append(_Step(lines, _left(result, rows, phase, shape), holds=rest == following))
    steps.append(_Step(_broken(_final(rows), width), []))
    if phases and due[0] != started:
        steps[0] = _Step(steps[0].main, [], holds=False)
    return _Column(_broken([name], width) if name else [], steps)


def _final(rows: pd.DataFrame) -> list[str]:
    """Return what the last box says: who came to the end of the plan, and what became of all."""
    lines = [f"{count(_number(rows, 'completed', _AFTER))} completed the plan"]
    for state, words in (("dropped_out", "discontinued after the plan"), ("ongoing", "go on after the plan")):
        number = _number(rows, state, _AFTER)
        lines += [f"{count(number)} {words}"] if number else []
    names = {"completed": "completed", "dropped_out": "dropped out", "ongoing": "going on"}
    parts = [f"{count(_number(rows, state))} {words}" for state, words in names.items()]
    return [*lines, f"In all: {', '.join(parts)}"]


def _after(rows: pd.DataFrame) -> float:
    return sum(_number(rows, state, _AFTER) for state in _STATES)


def _left(result: Result, rows: pd.DataFrame, phase: str, shape: _Shape) -> list[_Line]:
    """Return the lines of the box of those who left in a phase: dropped out, by reason, still going on, completed early."""
    width = shape.side_width - 2 * _PAD
    lines: list[_Line] = []
    for state, name in _STATES.items():
        number = _number(rows, state, phase)
        if number or state == "dropped_out":
            lines += _broken([f"{name}: {count(number)}"], width)
        if state == "dropped_out":
            for text in _reasons(result, rows, phase):
                lines += [_Line(line) for line in wrapped(text, width, _FONT, indent=_INDENT)]
    return lines


def _reasons(result: Result, rows: pd.DataFrame, phase: str) -> list[str]:
    """Return why courses were given up in a phase, the most frequent reasons first."""
    chosen = rows["estimand"].eq("dropped_out") & rows["phase"].eq(phase) & rows["reason"].ne(_ALL_REASONS)
    own = rows[chosen & rows["numerator"].gt(0)].sort_values("numerator", ascending=False, kind="stable")
    shown = own if len(own) <= _MOST_REASONS else own.head(_MOST_REASONS - 1)
    texts = [
        f"{label(result, 'reason', row['reason'])}: {count(row['numerator'])}" for _, row in shown.iterrows()
    ]
    rest = own.iloc[len(shown) :]
    return [*texts, *([f"{len(rest)} other reasons: {count(rest['numerator'].sum())}"] if len(rest) else [])]


def _broken(texts: list[str], width: float) -> list[_Line]:
    """Break paragraphs into lines, the first paragraph in bold."""
    first, *others = texts
    lines = [_Line(line, bold=True) for line in wrapped(first, width, _FONT, bold=True)]
    return lines + [_Line(line) for text in others for line in wrapped(text, width, _FONT)]


def _number(rows: pd.DataFrame, estimand: str, phase: str = _ALL_PHASES) -> float:
    """Return one number of the flow; 0 where the result has none."""
    own = rows[rows["estimand"].eq(estimand) & rows["phase"].eq(phase) & rows["reason"].eq(_ALL_REASONS)]
    return float(own["numerator"].sum())
