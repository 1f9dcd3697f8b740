"""Files that are there whole or not at all, and locks that end with their process.

Everything is written beside its place, synced, and renamed into it. Modes do not depend on the umask.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from treecast.base.errors import OperatorError

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644

_STAGE_PREFIX = ".treecast-"

_ADVICE = {
    errno.EACCES: "use another directory or the account that owns this one",
    errno.EPERM: "use another directory or the account that owns this one",
    errno.EROFS: "use a directory that can be written",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.ENOTEMPTY: "choose another directory",
    errno.EEXIST: "choose another directory",
    errno.ENOENT: "use a directory that exists",
    errno.ENOTDIR: "use a directory",
    errno.EISDIR: "remove it",
    errno.ENODEV: "remove it, or put a file there",
    errno.ENXIO: "remove it, or put a file there",
    errno.ENAMETOOLONG: "use a shorter name",
}


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be written."""

    name: str
    content: bytes
    mode: int


def read_file(path: Path, limit_bytes: int) -> bytes:
    """The content of a regular file, or its first ``limit_bytes + 1`` bytes; OSError. Nothing else is waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENODEV, "it is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit_bytes + 1)
    finally:
        os.close(descriptor)


def read_given(path: Path, limit_bytes: int, wanted: str) -> bytes:
    """A file that somebody has named; OperatorError. ``wanted``: which one is meant, in words."""
    with explained(f"read {path}"), opened(path):
        if path.is_dir():
            raise OperatorError(f"{path} is a directory: give {wanted}")
        try:
            return read_file(path, limit_bytes)
        except (FileNotFoundError, NotADirectoryError):
            raise OperatorError(f"there is no file {path}: give {wanted}") from None


def require_place(out: Path, example: str) -> None:
    """OperatorError where no file can be written to ``out``, which somebody has named: a directory is there, or none
    around it. ``example``: what such a file is called.
    """
    with explained(f"write {out}"):
        if out.is_dir():
            raise OperatorError(f"{out} is a directory: give a file as --out, like {out / example}")
        if not out.parent.is_dir():
            raise OperatorError(f"there is no directory {out.parent}: make it, or choose another --out")


Stamp = tuple[int, ...]
"""State of a file: where, of which kind and mode, whose, how long, and since when; or why it cannot be looked at."""


def stamp(path: Path) -> Stamp:
    """Another one whenever somebody has changed the file, its mode or its owner, or put another in its place."""
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    own = (found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid)
    return (*own, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def require_open(path: Path, mode: int) -> None:
    """OSError; OperatorError with the command that mends it where a file is closed to its owner: whoever reads it as
    root, the node that root becomes could not. ``mode``: what it should have.
    """
    found = path.stat()
    if stat.S_ISREG(found.st_mode) and not found.st_mode & stat.S_IRUSR:
        is_now = f"{stat.S_IMODE(found.st_mode):04o}"
        raise OperatorError(f"{path} may not be read by its owner (mode {is_now}): chmod {mode:o} {path}")


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """A PermissionError inside becomes the sentence ``why_closed``."""
    try:
        yield
    except PermissionError as error:
        raise OperatorError(why_closed(path)) from error


def why_closed(path: Path, *, stays: bool = False) -> str:
    """A sentence on what keeps this process from reading the file, and what mends it, by whose it is. ``stays``: a
    process that runs on, where it helps nobody to run it as somebody else.
    """
    me = account_name(os.geteuid())
    owner = os.geteuid()
    for inside in (*reversed(path.parents), path):
        around, owner_around = inside.parent, owner
        try:
            owner = inside.stat().st_uid
        except OSError:
            if owner_around == os.geteuid():
                return f"{around} is closed to {me}, who is to read {path}: chmod u+rwx {around}"
            advice = f"chmod a+x {around}" if stays else _run_as(owner_around)
            return f"{around} belongs to {account_name(owner_around)} and is closed to {me}: {advice}"
    return f"{path} belongs to {account_name(owner)}, and {me} may not read it: chown {me} {path}"


def _run_as(uid: int) -> str:
    name = account_name(uid)
    return f"run this as {name}, with sudo{'' if uid == 0 else f' -u {name}'}"


def is_gone(directory: Path) -> bool:
    """Whether it was moved or deleted."""
    try:
        directory.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def why_unwritable(directory: Path) -> str:
    """A sentence on what keeps this process from making files in the directory, and what mends it; empty where nothing
    is seen to: a full disk shows when something is written.
    """
    if os.access(directory, os.W_OK | os.X_OK):
        return ""
    if is_gone(directory):
        return f"{directory} is gone: put it back, or start the node again where its directory is now"
    me = account_name(os.geteuid())
    try:
        found = directory.stat()
    except OSError:
        return why_closed(directory, stays=True)
    if not stat.S_ISDIR(found.st_mode):
        return ""
    if found.st_uid != os.geteuid():
        return f"{directory} belongs to {account_name(found.st_uid)}, and {me} may not write it: chown {me} {directory}"
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        return f"{directory} is closed to {me} (mode {mode:04o}): chmod u+rwx {directory}"
    return f"the file system of {directory} is read-only: mount it so that it can be written"


def account_name(uid: int) -> str:
    """The account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"account {uid}"


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """``path`` has the new content and mode, or on OSError the old ones."""
    descriptor, name = tempfile.mkstemp(prefix=_STAGE_PREFIX, dir=path.parent)
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            _give_to_owner_of(path.parent, file.fileno())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _give_to_owner_of(directory: Path, descriptor: int) -> None:
    """Root makes a file in it the directory's owner's: a node may run as an account of its own."""
    if (owner := directory.stat()).st_uid != os.geteuid():
        with suppress(PermissionError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


class StagedDirectory:
    """A directory of files that appears whole on ``publish``, and leaves no trace without it.

    A new directory gets mode 0700 and is renamed into place. An existing one must be empty; it stays the same one, and
    the files are linked into it in their order: whoever finds the last one finds all.
    """

    def __init__(self, directory: Path, files: Sequence[NewFile]) -> None:
        self._directory = directory.absolute()
        self._files = files
        self._exists = False
        self._stage: Path | None = None
        self._parents: list[Path] = []
        self._published = False

    def __enter__(self) -> Self:
        """Writes all files next to their place; OSError, among them that the directory is not empty."""
        try:
            self._prepare()
        except BaseException:
            self._discard()
            raise
        return self

    def publish(self) -> None:
        """Renames all into place; OSError, and then nothing is there."""
        if self._stage is None:
            raise RuntimeError("publish belongs inside the with statement")
        if self._exists:
            self._move_files(self._stage)
        else:
            self._stage.rename(self._directory)
        self._published = True
        _sync_directory(self._directory if self._exists else self._directory.parent)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._published:
            self._discard()

    def _prepare(self) -> None:
        self._exists = self._directory.is_dir()
        if self._exists and any(self._directory.iterdir()):
            raise FileExistsError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        if not self._exists and os.path.lexists(self._directory):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        where = self._directory if self._exists else self._directory.parent
        self._make_parents(where)
        self._stage = Path(tempfile.mkdtemp(prefix=_STAGE_PREFIX, dir=where))
        for file in self._files:
            replace_file(self._stage / file.name, file.content, file.mode)

    def _make_parents(self, where: Path) -> None:
        missing = [path for path in (where, *where.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir()
            self._parents.append(path)

    def _move_files(self, stage: Path) -> None:
        moved: list[Path] = []
        try:
            for file in self._files:
                target = self._directory / file.name
                os.link(stage / file.name, target)  # unlike rename it replaces nothing
                moved.append(target)
        except BaseException:
            for target in moved:
                target.unlink(missing_ok=True)
            raise
        with suppress(OSError):  # the links stand whatever becomes of the other names
            for file in self._files:
                (stage / file.name).unlink()
            stage.rmdir()

    def _discard(self) -> None:
        if self._stage is not None:
            shutil.rmtree(self._stage, ignore_errors=True)
        with suppress(OSError):  # somebody else may use them by now
            for path in reversed(self._parents):
                path.rmdir()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock file ``path``, waiting for it as long as another process does; OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class HeldLock:
    """A lock file that this process holds until ``release`` or its end."""

    def __init__(self, path: Path) -> None:
        """BlockingIOError when another process holds it; OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
        try:
            _give_to_owner_of(path.parent, self._descriptor)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise
        self._held = True

    def release(self) -> None:
        if self._held:
            self._held = False
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def explained(what: str) -> Iterator[None]:
    """An OSError inside becomes the sentence ``cannot WHAT (REASON): ADVICE``."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        advice = _ADVICE.get(error.errno or 0, "see to it and try again")
        raise OperatorError(f"cannot {what} ({reason}): {advice}") from error


def _sync_directory(path: Path) -> None:
    """Makes renames in ``path`` survive a power cut. They are done, so a disk that cannot promise it is no error."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
