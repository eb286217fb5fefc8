"""Reports errors that the user can correct, as one sentence and an exit status in place of a traceback."""

from __future__ import annotations

import errno
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from recsys.errors import UserError
from recsys.extras import naming_extras

UNWRITABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
}
DISK_IS_FULL = "free some space and continue with resume=DIR, or choose another place with hydra.run.dir=DIR."
# torch raises RuntimeError, on a GPU a subclass of it
TORCH_OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory|Storage size calculation overflowed")


@contextmanager
def one_sentence() -> Iterator[None]:
    """If the `with` block raises an error that the user can correct, report it in one sentence on stderr, and exit.

    Such errors are invalid input, a missing extra, files that cannot be written, and too little memory. Other errors
    are raised unchanged.

    Raises:
        SystemExit: with status 2, in place of an error that the user can correct.
    """
    try:
        with _threads_that_pass_errors_on(), naming_extras():
            yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        message = " ".join(str(error).split())
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = error.filename or "A file"
        advice = DISK_IS_FULL if error.errno == errno.ENOSPC else "hydra.run.dir=DIR chooses another place for outputs."
        message = f"{place} cannot be used ({error.strerror}): {advice}"
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not TORCH_OUT_OF_MEMORY.search(str(error)):
            raise
        message = f"This needs more memory than there is ({error}): choose a smaller model, data set or batch."
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


@contextmanager
def _threads_that_pass_errors_on() -> Iterator[None]:
    """During the `with` block, print no traceback for a thread that passes its error to the main thread.

    TensorBoard's writer has such a thread.
    """
    report = threading.excepthook

    def report_unless_passed_on(failed: threading.ExceptHookArgs) -> None:
        if getattr(failed.thread, "exception", None) is not failed.exc_value:
            report(failed)

    threading.excepthook = report_unless_passed_on
    try:
        yield
    finally:
        threading.excepthook = report
