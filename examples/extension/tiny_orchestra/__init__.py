"""Components for orchestra, one file each; `pyproject.toml` names them."""
