"""The catalog imports sqlite_utils, but never pandas."""

from pathlib import Path

from support.processes import run_python


def test_the_catalog_never_imports_pandas(tmp_path: Path) -> None:
    """sqlite_utils would import an installed pandas; the user's own import of it still works."""
    (tmp_path / "pandas.py").write_text("print('pandas was imported')\nSeries = list\n")
    result = run_python(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from searchapp.catalog import Catalog
        print("the catalog was imported")
        import pandas
    """)
    assert result.stdout.splitlines() == ["the catalog was imported", "pandas was imported"]
