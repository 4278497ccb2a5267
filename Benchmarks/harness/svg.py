"""Plots as SVG, by hand: lines and bars on linear or logarithmic axes."""

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 80, 170, 42, 48
COLOURS = {"direct": "#8c8c8c", "nginx": "#2a9d3a", "haproxy": "#1f6fb4", "apirouter": "#d6301d", "apirouter-off": "#f2894b", "vllm-router": "#8a5fbf",
           "sglang-router": "#b8619f", "litellm": "#6b4b2a", "litellm-db": "#a58a66", "apirouter-pg": "#e0b000"}
OTHERS = ["#d6301d", "#1f6fb4", "#2a9d3a", "#8a5fbf", "#f2894b", "#6b4b2a", "#b8619f", "#8c8c8c", "#e0b000"]


def short(value):
    if value == 0:
        return "0"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


class Axis:
    def __init__(self, values, low, high, log):
        values = [v for v in values if not log or v > 0]
        self.log, self.low, self.high = log, low, high
        least, most = (min(values), max(values)) if values else (1, 10)
        if log:
            self.start, self.end = math.floor(math.log10(least)), math.ceil(math.log10(most * 1.0001))
            if self.start == self.end:
                self.end += 1
            self.ticks = [10.0 ** e for e in range(self.start, self.end + 1)]
        else:
            self.start, step = min(0, least), 10 ** math.floor(math.log10(max(most, 1e-9)))
            step = next(s for s in (step / 5, step / 2, step, step * 2) if most / s <= 6)
            self.end = math.ceil(most / step) * step or 1
            self.ticks = [i * step for i in range(int(self.end / step) + 1)]

    def at(self, value):
        if self.log:
            value = math.log10(max(value, 10.0 ** self.start))
        return self.low + (value - self.start) / (self.end - self.start) * (self.high - self.low)


def frame(title, x_label, y_label, parts):
    text = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{html.escape(title)}</text>',
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_label)}</text>',
            f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{html.escape(y_label)}</text>']
    return "\n".join(text + parts + ["</svg>\n"])


def y_grid(axis):
    return [piece for tick in axis.ticks for piece in (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axis.at(tick):.1f}" y2="{axis.at(tick):.1f}" stroke="#e4e4e4"/>',
        f'<text x="{LEFT - 6}" y="{axis.at(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>')]


def colour(name, number):
    return COLOURS.get(name, OTHERS[number % len(OTHERS)])


def lines(title, x_label, y_label, series, log_x=False, log_y=False):
    """`series`: name -> points (x, y)."""
    series = {name: [p for p in points if p[1] is not None] for name, points in series.items()}
    series = {name: points for name, points in series.items() if points}
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x, y = Axis(xs, LEFT, WIDTH - RIGHT, log_x), Axis(ys, HEIGHT - BOTTOM, TOP, log_y)
    parts = y_grid(y)
    for tick in x.ticks:
        parts.append(f'<text x="{x.at(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{short(tick)}</text>')
    for number, (name, points) in enumerate(series.items()):
        shade = colour(name, number)
        path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{shade}" stroke-width="2"/>')
        if len(points) < 30:
            parts += [f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3" fill="{shade}"/>' for a, b in points]
        parts += legend(name, number, shade)
    return frame(title, x_label, y_label, parts)


def legend(name, number, shade):
    top = TOP + 8 + number * 18
    return [f'<rect x="{WIDTH - RIGHT + 12}" y="{top}" width="12" height="12" fill="{shade}"/>',
            f'<text x="{WIDTH - RIGHT + 30}" y="{top + 10}">{html.escape(str(name))}</text>']


def bars(title, y_label, groups, log_y=False):
    """`groups`: label -> {name: value}; a bar for each name in each group."""
    groups = {label: group for label, group in groups.items() if any(v is not None for v in group.values())}
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    values = [v for group in groups.values() for v in group.values() if v is not None]
    y = Axis(values, HEIGHT - BOTTOM, TOP, log_y)
    parts, span = y_grid(y), (WIDTH - RIGHT - LEFT) / max(1, len(groups))
    for place, (label, group) in enumerate(groups.items()):
        left, thick = LEFT + place * span + span * 0.08, span * 0.84 / max(1, len(names))
        for number, name in enumerate(names):
            value = group.get(name)
            if value is None:
                continue
            top = y.at(value)
            parts.append(f'<rect x="{left + number * thick:.1f}" y="{top:.1f}" width="{thick * 0.9:.1f}" height="{max(0.5, HEIGHT - BOTTOM - top):.1f}" '
                         f'fill="{colour(name, number)}"><title>{html.escape(f"{name}, {label}: {value:g}")}</title></rect>')
        for line, words in enumerate(str(label).split("\n")):
            parts.append(f'<text x="{LEFT + (place + 0.5) * span:.1f}" y="{HEIGHT - BOTTOM + 15 + line * 14}" text-anchor="middle" font-size="11">'
                         f'{html.escape(words)}</text>')
    for number, name in enumerate(names):
        parts += legend(name, number, colour(name, number))
    return frame(title, "", y_label, parts)
