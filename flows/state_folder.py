"""The state folder of one installation: it holds keys and what people typed, so it is its owner's alone."""

from pathlib import Path

from flows.errors import OrderlyError


class FolderOpenToOthers(OrderlyError):
    """The state folder can be read by others; it holds keys and what people typed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"The state folder {folder} is open to other users of this machine. Run: chmod 700 {folder}")
        self.folder = folder


def make_state_folder(folder: Path) -> None:
    """Make the state folder, for its owner only. Raises FolderOpenToOthers when it is there and is open."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise FolderOpenToOthers(folder)
