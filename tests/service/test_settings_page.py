"""`docs/settings.md` says of every setting what `service/settings.py` says.

After a change of the settings:
    python -c "from tests.service.test_settings_page import write; write()"
"""

from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le

from service.settings import Settings, flag_of, variable_of

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
HEADER = "| flag | variable | unit | default | values | meaning | how to choose |\n|---|---|---|---|---|---|---|\n"
UNITS = {
    "_per_second": "per second", "_ms": "milliseconds", "bytes": "bytes", "pixels": "pixels", "threads": "threads",
    "batch": "crops", "queue": "crops", "in_memory": "pixels", "flight": "images", "images": "images", "boxes": "boxes",
    "connections": "connections", "workers": "processes",
}  # fmt: skip


def table() -> str:
    """Every setting as a row of a Markdown table."""
    rows = []
    for name, field in Settings.model_fields.items():
        flag = "first argument" if name == "model" else f"`{flag_of(name)}`"
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        default = "none" if field.default is None else f"`{field.default}`"
        unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
        cells = [flag, f"`{variable_of(name)}`", unit, default, values_of(name), field.description, extra["choose"]]
        rows.append(f"| {' | '.join(map(str, cells))} |\n")
    return HEADER + "".join(rows)


def values_of(name: str) -> str:
    """What a setting may be: its words, or its least and greatest number."""
    field = Settings.model_fields[name]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    least = [str(limit.ge) for limit in field.metadata if isinstance(limit, Ge)]
    greatest = [str(limit.le) for limit in field.metadata if isinstance(limit, Le)]
    if least and greatest:
        return f"{least[0]} to {greatest[0]}"
    if least:
        return f"{least[0]} or more"
    return "path" if "Path" in str(field.annotation) else "text"


def write() -> None:
    """Put the table as it is now into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(HEADER)
    after = rest.partition("\n\n")[2]
    PAGE.write_text(f"{before}{table()}\n{after}", encoding="utf-8")


def test_the_page_says_what_the_settings_say() -> None:
    assert table() in PAGE.read_text(encoding="utf-8")
