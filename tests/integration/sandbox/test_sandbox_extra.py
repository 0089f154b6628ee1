"""The sandbox is an extra: without its packages it says what to install."""

import subprocess
import sys
from pathlib import Path

import flows


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    source = Path(flows.__file__).parent.parent
    # -S: no site-packages, so nothing but the standard library and our own modules is there.
    ours = f"import runpy, sys; sys.path.insert(0, {str(source)!r})"
    start = f"{ours}; runpy.run_module('flows.sandbox', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start, "--state", str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "pip install 'orderly[sandbox]'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "state").exists()
