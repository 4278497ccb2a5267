"""Rows of a results file, and the medians over its rounds."""

import json
import statistics

ORDER = ["direct", "nginx", "haproxy", "apirouter-off", "apirouter", "apirouter-pg", "vllm-router", "sglang-router", "litellm", "litellm-db"]


class Results:
    def __init__(self, path, earlier=()):
        """`earlier` are files of the same run's earlier sittings: of a case that was measured again, the last measurement counts."""
        self.header, self.rows, self.setups, self.unavailable, self.ended = {}, [], {}, {}, None
        self.sittings = []
        self.paths = [*earlier, path]
        for sitting in (*earlier, path):
            before, self.rows, self.ended = self.rows, [], None
            self.read(sitting)
            again = {row["case"] for row in self.rows}
            self.rows = [row for row in before if row["case"] not in again] + self.rows
            self.sittings.append((self.header, sorted(again)))

    def read(self, path):
        with open(path) as file:
            for line in file:
                row = json.loads(line)
                kind = row.pop("kind")
                if kind == "header":
                    self.header = row
                elif kind == "row":
                    self.rows.append(row)
                elif kind == "gateway":
                    self.setups[row["gateway"]] = row
                elif kind == "unavailable":
                    self.unavailable[row["gateway"]] = row["reason"]
                elif kind == "end":
                    self.ended = row["seconds"]

    def cases_of(self, sitting):
        """The cases whose rows are of this sitting and no later one."""
        later = [cases for header, cases in self.sittings[[header for header, _ in self.sittings].index(sitting) + 1:]]
        mine = next(cases for header, cases in self.sittings if header is sitting)
        return [case for case in mine if not any(case in cases for cases in later)]

    def of(self, case, **equal):
        return [row for row in self.rows if row["case"] == case and all(row.get(k) == v for k, v in equal.items())]

    def gateways(self, case, **equal):
        seen = {row["gateway"] for row in self.of(case, **equal)}
        return [name for name in ORDER if name in seen] + sorted(seen - set(ORDER))

    def values(self, case, column, **equal):
        return [row[column] for row in self.of(case, **equal) if row.get(column) is not None]

    def median(self, case, column, **equal):
        values = self.values(case, column, **equal)
        return statistics.median(values) if values else None

    def distinct(self, case, *columns, **equal):
        """The combinations of columns that occur, in the order in which they were first measured."""
        return list(dict.fromkeys(tuple(row.get(c) for c in columns) for row in self.of(case, **equal)))

    def spread(self, case, column, form="{:.0f}", **equal):
        """`median (least–most)`; the median alone where they print the same."""
        values = self.values(case, column, **equal)
        if not values:
            return "–"
        middle, low, high = (form.format(v) for v in (statistics.median(values), min(values), max(values)))
        return middle if low == high else f"{middle} ({low}–{high})"

    def merged(self, case, column, **equal):
        """Histogram buckets of all rounds together: value -> count."""
        total = {}
        for row in self.of(case, **equal):
            for value, count in (row.get(column) or {}).get("buckets", []):
                total[value] = total.get(value, 0) + count
        return dict(sorted(total.items()))


def exceedance(buckets):
    """Points (latency, share of requests that took longer) of a merged histogram."""
    total, left, points = sum(buckets.values()), sum(buckets.values()), []
    for value, count in buckets.items():
        left -= count
        if left > 0:
            points.append((value, left / total))
    return points


def table(head, rows):
    if not rows:
        return ""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join("–" if cell is None else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
