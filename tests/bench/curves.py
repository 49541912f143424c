"""curves.py - lines over a logarithmic scale, as SVG that needs nothing to be shown."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 240, 44, 50
COLOURS = ("#1b6ca8", "#c44e2d", "#3a8a4f", "#8a5fb0", "#b8860b", "#5b6770")


def amount(value):
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def nice_steps(top):
    """Round numbers from 0 to at least `top`, about five of them."""
    raw = top / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * times for times in (1, 2, 5, 10) if size * times >= raw)
    return [step * i for i in range(math.ceil(top / step) + 1)]


class Plane:
    """Where points are: x logarithmic, y from 0 or logarithmic."""

    def __init__(self, series, log_y):
        points = [point for line in series.values() for point in line]
        self.low, self.high = min(x for x, _ in points), max(x for x, _ in points)
        self.log_y = log_y
        if log_y:
            lowest, highest = (pick(y for _, y in points) for pick in (min, max))
            first = math.floor(math.log10(lowest))
            last = max(math.ceil(math.log10(highest)), first + 1)
            self.steps = [10.0**power for power in range(first, last + 1)]
        else:
            self.steps = nice_steps(max(y for _, y in points) or 1)

    def x(self, value):
        span = math.log10(self.high / self.low) or 1
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(value / self.low) / span

    def y(self, value):
        low, high = self.steps[0], self.steps[-1]
        part = math.log10(value / low) / math.log10(high / low) if self.log_y else value / high
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part


def text(x, y, content, anchor="middle", size=12, colour="#333"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}">{escape(content)}</text>')


def axes(plane, x_title, ticks):
    for step in plane.steps:
        y = plane.y(step)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield text(LEFT - 8, y + 4, amount(step) if plane.log_y else f"{step:g}", "end")
    for tick in ticks:
        x = plane.x(tick)
        yield f'<path d="M{x:.1f} {HEIGHT - BOTTOM}v5" stroke="#333"/>'
        yield text(x, HEIGHT - BOTTOM + 20, amount(tick))
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_title)


def lines(plane, series, dots):
    """Names of lines stand at their ends, moved apart."""
    names = []
    for at, (name, points) in enumerate(series.items()):
        colour, dash = COLOURS[at % len(COLOURS)], ' stroke-dasharray="5 4"' if at >= 6 else ""
        places = [(plane.x(x), plane.y(y)) for x, y in sorted(points)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        for x, y in places if dots else []:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        names.append([places[-1][1], name, colour])
    below = 0.0
    for place, name, colour in sorted(names):
        below = max(place, below + 15)
        yield text(WIDTH - RIGHT + 12, below + 4, name, "start", colour=colour)


def decades(low, high):
    """Powers of ten between."""
    return [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def chart(path, title, x_title, series, log_y=False, dots=True):
    """`series` is name → [(x, y)]; without dots, its points are many."""
    plane = Plane(series, log_y)
    ticks = sorted({x for points in series.values() for x, _ in points}) if dots else \
        decades(plane.low, plane.high)
    body = "\n".join([text(LEFT - 40, 22, title, "start", 14), *axes(plane, x_title, ticks),
                      *lines(plane, series, dots)])
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                    f'font-family="sans-serif">\n<rect width="{WIDTH}" height="{HEIGHT}" '
                    f'fill="#fff"/>\n{body}\n</svg>\n')
