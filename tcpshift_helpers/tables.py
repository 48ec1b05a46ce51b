"""A `metav1.Table` as kubectl prints it, and objects' life in words.

Pure: it turns the server's rows into text and computes nothing of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_PADDING = 3
_MINIMUM = 6


def table_lines(
    table: dict[str, Any], *, wide: bool = False, with_namespace: bool = False, with_labels: bool = False
) -> list[str]:
    """Lines of a server-side table: a header in capitals, then the rows.

    Args:
        table: `meta.k8s.io/v1` Table.
        wide: also the columns that kubectl shows with `-o wide`.
        with_namespace: a first column NAMESPACE, as `-A` gives.
        with_labels: a last column LABELS, as `--show-labels` gives.

    Source: kubectl get, measured: columns padded to the longest cell + 3, at least 6 wide, the last one not padded.
    """
    shown = [index for index, column in enumerate(table["columnDefinitions"]) if wide or column.get("priority", 0) == 0]
    header = [table["columnDefinitions"][index]["name"].upper() for index in shown]
    rows = [[_cell(row["cells"][index]) for index in shown] for row in table.get("rows") or []]
    for row, source in zip(rows, table.get("rows") or [], strict=True):
        metadata = source["object"]["metadata"]
        if with_namespace:
            row.insert(0, metadata["namespace"])
        if with_labels:
            own = metadata.get("labels") or {}
            row.append(",".join(f"{key}={own[key]}" for key in sorted(own)) or "<none>")
    header = [*(["NAMESPACE"] if with_namespace else []), *header, *(["LABELS"] if with_labels else [])]
    return align([header, *rows])


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, in columns."""
    widths = [max(_MINIMUM, *(len(row[index]) + _PADDING for row in rows)) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        lines.append("".join([*padded, row[-1]]))
    return lines


def _cell(value: object) -> str:
    if value is None or value == "":
        return "<none>" if value is None else ""
    return str(value).lower() if isinstance(value, bool) else str(value)
