"""Finished runs that a study can reuse, found by the settings that determine their results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recsys.studies.identity import code_digest, identity
from recsys.studies.plan import Job
from recsys.studies.runs import MANIFEST, Run, read_run


class FinishedRuns:
    """An index of all finished runs below a directory.

    Args:
        root: the directory.
        config_of: function that returns the complete config of a job.
    """

    def __init__(self, root: Path, config_of: Callable[[Job], Mapping[str, Any]]) -> None:
        self.config_of = config_of
        self.runs: dict[str, list[Run]] = defaultdict(list)  # by identity
        for manifest in sorted(root.rglob(MANIFEST)):
            run = read_run(manifest.parent)
            self.runs[run.identity].append(run)

    def reusable_run(self, job: Job, fingerprint: str) -> Run | None:
        """Return a run with a job's settings, made by the current code on the split with this fingerprint, or None.

        A run in the job's own directory takes precedence.
        """
        code = code_digest(self.config_of(job))
        reusable = [
            run
            for run in self._runs_of_job(job)
            if (run.manifest.get("code"), run.manifest["split"]["fingerprint"]) == (code, fingerprint)
        ]
        return min(reusable, key=lambda run: run.directory != job.directory, default=None)

    def latest_run(self, job: Job) -> Run | None:
        """Return the latest finished run with a job's settings, whatever version of the code made it, or None."""
        return max(self._runs_of_job(job), key=lambda run: str(run.manifest["finished"]), default=None)

    def _runs_of_job(self, job: Job) -> list[Run]:
        return self.runs.get(identity(self.config_of(job)), []) if self.runs else []  # composing a config takes long
