"""Distributions of times as an SVG: a violin for each row, on a logarithmic axis."""

import html
import math
import statistics

WIDTH, LEFT, RIGHT, TOP = 1040, 250, 860, 106  # the plot lies between LEFT and RIGHT
ROW, HEADING, GAP = 24, 28, 8
VIOLIN = 10.5  # half its height
FONT = "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif\""
INK, SOFT, GRID, LIGHT_GRID = "#1f2328", "#656d76", "#d8dee4", "#eef1f4"

# What a row shows -> its colour and its name in the legend.
KINDS = {
    "other": ("#8c959f", "for comparison"),
    "cold": ("#3273b8", "fnrun, cold"),
    "restored": ("#e0562b", "fnrun, restored"),
    "warm": ("#2f9462", "fnrun, warm"),
}


class Axis:
    """Nanoseconds -> pixels."""

    def __init__(self, least, most):
        self.low, self.high = math.log10(least) - 0.06, math.log10(most) + 0.06
        self.scale = (RIGHT - LEFT) / (self.high - self.low)

    def place(self, log_ns):
        return LEFT + (log_ns - self.low) * self.scale

    def x(self, ns):
        return self.place(math.log10(ns))

    def ticks(self):
        """(ns, is a power of ten)"""
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for digit in range(1, 10):
                if self.low <= math.log10(digit * 10**power) <= self.high:
                    yield digit * 10**power, digit == 1


def time_text(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size or unit == "µs":
            value = ns / size
            return f"{value:.0f} {unit}" if value >= 99.5 else f"{value:.3g} {unit}"
    return ""


def text(x, y, content, size=12, anchor="start", fill=INK, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}" '
            f'font-weight="{weight}">{html.escape(content)}</text>')


def line(x1, y1, x2, y2, stroke, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
            f'stroke-width="{width}" stroke-linecap="round"/>')


def density(logs, axis):
    """[(x, share of the highest)] of a smoothed histogram, one value for each pixel from the least to the most."""
    spread = statistics.pstdev(logs)
    width = min(max(0.9 * spread * len(logs) ** -0.2, 1.6 / axis.scale), 12 / axis.scale)
    bins = {}
    for value in logs:
        pixel = round(axis.place(value))
        bins[pixel] = bins.get(pixel, 0) + 1
    reach = math.ceil(3 * width * axis.scale)
    kernel = [math.exp(-0.5 * (d / (width * axis.scale)) ** 2) for d in range(-reach, reach + 1)]
    smooth = {}
    for pixel, count in bins.items():
        for d, weight in enumerate(kernel, -reach):
            smooth[pixel + d] = smooth.get(pixel + d, 0) + count * weight
    most = max(smooth.values())
    return [(x, smooth.get(x, 0) / most) for x in range(min(bins), max(bins) + 1)]


def violin(row, y, axis):
    """The shape, a line from the least to the most, the median as a dot and p99 as a stroke."""
    colour = KINDS[row["kind"]][0]
    shape = density([math.log10(v) for v in row["samples_ns"]], axis)
    points = [(x, y - VIOLIN * h) for x, h in shape] + [(x, y + VIOLIN * h) for x, h in reversed(shape)]
    path = "M" + "L".join(f"{x} {v:.1f}" for x, v in points) + "Z"
    least, most, p50, p99 = (axis.x(v) for v in (min(row["samples_ns"]), max(row["samples_ns"]), row["p50"], row["p99"]))
    return [line(least, y, most, y, colour, 1.2),
            f'<path d="{path}" fill="{colour}" fill-opacity="0.45" stroke="{colour}" stroke-width="0.8"/>',
            line(p99, y - 5, p99, y + 5, colour, 1.6),
            f'<circle cx="{p50:.1f}" cy="{y}" r="3.1" fill="#fff" stroke="{INK}" stroke-width="1.4"/>']


def grid(axis, bottom):
    out = []
    for ns, power in axis.ticks():
        x = axis.x(ns)
        out.append(line(x, TOP, x, bottom, GRID if power else LIGHT_GRID))
        if power:
            out += [text(x, TOP - 6, time_text(ns), 11, "middle", SOFT), text(x, bottom + 16, time_text(ns), 11, "middle", SOFT)]
    return out


def legend(y):
    out, x = [], LEFT
    for colour, name in KINDS.values():
        out += [f'<rect x="{x}" y="{y - 9}" width="12" height="10" rx="2" fill="{colour}" fill-opacity="0.7"/>',
                text(x + 17, y, name, 11.5, fill=SOFT)]
        x += 34 + 6.3 * len(name)
    return out + [f'<circle cx="{x + 5:.1f}" cy="{y - 4}" r="3.1" fill="#fff" stroke="{INK}" stroke-width="1.4"/>',
                  text(x + 14, y, "median", 11.5, fill=SOFT), line(x + 70, y - 9, x + 70, y + 1, INK, 1.6),
                  text(x + 78, y, "p99", 11.5, fill=SOFT)]


def draw(title, subtitle, groups):
    """The SVG's text. `groups`: [(heading, [{"name", "kind", "samples_ns", "p50", "p99"}])]"""
    every = [v for _, rows in groups for row in rows for v in row["samples_ns"]]
    axis = Axis(min(every), max(every))
    bottom = TOP + sum(HEADING + GAP + ROW * len(rows) for _, rows in groups)
    height = bottom + 28
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" {FONT}>',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           text(20, 30, title, 18, weight="600"), text(20, 50, subtitle, 11.5, fill=SOFT), *legend(72),
           text(938, TOP - 6, "p50", 11, "end", SOFT), text(1020, TOP - 6, "p99", 11, "end", SOFT), *grid(axis, bottom)]
    y = TOP
    for heading, rows in groups:
        out.append(text(20, y + HEADING - 8, heading, 13, weight="600"))
        out.append(line(20, y, 1020, y, GRID))
        y += HEADING
        for row in rows:
            middle = y + ROW / 2
            out += violin(row, middle, axis)
            out += [text(34, middle + 4, row["name"]), text(938, middle + 4, time_text(row["p50"]), 12, "end", weight="600"),
                    text(1020, middle + 4, time_text(row["p99"]), 12, "end", SOFT)]
            y += ROW
        y += GAP
    return "\n".join([*out, line(20, bottom, 1020, bottom, GRID), "</svg>", ""])
