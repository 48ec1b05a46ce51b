"""Small lessons to make handouts of, in a folder like the course's."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from nbformat import v4, write

if TYPE_CHECKING:
    from pathlib import Path

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c63f8ffffff7f0009fb03fd05434582680000000049454e44ae426082"
    )
).decode("ascii")

ENGLISH = {
    "head": "# First steps\n\n**What you need.** Nothing.\n\n**Time.** 7 minutes.\n\nRead on.",
    "steps": "## 1. Predict\n\nSee [the task](https://istio.io/task) and [Next](02-next.ipynb).\n\n```text\n## no step\n```\n\n## 2. Run\n\nGo.",
    "exercise": "## 3. Your turn\n\nHow many?\n\n<details><summary>A solution</summary>\n\n```python\nsecret_answer(42)\n```\nForty-two, for a reason.\n</details>\n\nGo on.",
    "words": "In words",
    "second": "# Next\n\n**Time.** 5 minutes.\n\nBack to [First](01-first.ipynb).",
}
CHINESE = {
    "head": "# 流量转移\n\n**需要什么。** 无。\n\n**时间。** 约 7 分钟。\n\n继续阅读。",
    "steps": "## 1. 预测\n\n见[任务](https://istio.io/task)和[下一课](02-next.ipynb)。\n\n## 2. 运行\n\n把权重设为 20。",
    "exercise": "## 3. 轮到你了\n\n多少？\n\n<details><summary>参考答案</summary>\n\n```python\nsecret_answer(42)\n```\n四十二，自有道理。\n</details>\n\n继续。",
    "words": "文字说明",
    "second": "# 下一课\n\n**时间。** 5 分钟。\n\n回到[第一课](01-first.ipynb)。",
}
# What stands in the solution and nowhere else.
SECRETS = {"en": ("secret_answer", "Forty-two"), "zh-CN": ("secret_answer", "四十二", "自有道理")}


def make(notebooks: Path, language: str) -> None:
    """Two lessons in a language: `01-first.ipynb` has all that a page knows, `02-next.ipynb` a link back."""
    text = CHINESE if language == "zh-CN" else ENGLISH
    figure = v4.new_output("display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": "3 & 4", "width": 9}})
    in_words = f"<style>p {{}}</style><details><summary>{text['words']}</summary>3 of 7</details>"
    first = [
        v4.new_markdown_cell(text["head"]),
        v4.new_code_cell("cluster = connect()", outputs=[stream("same each "), stream("time <1>\n")]),
        v4.new_markdown_cell(text["steps"]),
        v4.new_code_cell("probe(1)", outputs=[stream("lots drawn")], metadata={"tags": ["nbval-ignore-output"]}),
        v4.new_code_cell("%kubectl get pods", outputs=[figure, v4.new_output("display_data", {"text/html": in_words})]),
        v4.new_markdown_cell(text["exercise"]),
        v4.new_code_cell("# Your code here."),
    ]
    save(notebooks / language / "01-first.ipynb", first)
    save(notebooks / language / "02-next.ipynb", [v4.new_markdown_cell(text["second"])])


def stream(text: str) -> Any:
    return v4.new_output("stream", name="stdout", text=text)


def save(path: Path, cells: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(v4.new_notebook(cells=cells), path)
