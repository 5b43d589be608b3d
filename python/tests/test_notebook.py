"""The notebook of the documents, executed cell by cell."""

import importlib.util
import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "docs" / "python.ipynb"


def test_every_cell_of_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 8
    names = {}
    for cell in cells:
        tags = cell["metadata"].get("tags", [])
        if all(importlib.util.find_spec(library) for library in tags):
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
