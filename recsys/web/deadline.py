"""A time limit for calls to the feedback store, so that a slow store cannot delay requests that do not use it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import TypeVar

from recsys.web.store import StoreError

SECONDS = 1.0
N_CALLS = 24  # concurrent calls, fewer than the 40 threads in which FastAPI answers requests

Result = TypeVar("Result")


class Deadline:
    """Calls functions with a time limit, each call in a thread of its own.

    A call that exceeds the limit is not cancelled: when a locked database becomes available, the call may still store
    an event although the caller got an error. Events have keys, so a client can safely send the same event again.

    Args:
        seconds: time limit of a call.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._free = BoundedSemaphore(N_CALLS)

    def __call__(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function in a new thread, and return its result or raise its exception.

        Raises:
            StoreError: the function did not return in time, or `N_CALLS` earlier calls have not returned yet.
        """
        if not self._free.acquire(blocking=False):
            raise StoreError(f"The feedback store has not answered {N_CALLS} earlier requests: try again later.")
        answer: Future[Result] = Future()
        Thread(target=self._answer, args=(answer, function, arguments), daemon=True).start()
        try:
            return answer.result(self.seconds)
        except TimeoutError:
            raise StoreError(f"The feedback store did not answer within {self.seconds:g} s: try again later.") from None

    def _answer(self, answer: Future[Result], function: Callable[..., Result], arguments: tuple[object, ...]) -> None:
        try:
            answer.set_result(function(*arguments))
        except BaseException as error:  # which the caller raises
            answer.set_exception(error)
        finally:
            self._free.release()
