"""Looks up finished runs that a study can reuse, by the settings that determine their results."""

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
        config_of: function that returns the complete, resolved config of a job.
    """

    def __init__(self, root: Path, config_of: Callable[[Job], Mapping[str, Any]]) -> None:
        self.config_of = config_of
        self.runs: dict[str, list[Run]] = defaultdict(list)  # by identity
        for manifest in sorted(root.rglob(MANIFEST)):
            run = read_run(manifest.parent)
            self.runs[run.identity].append(run)

    def reusable_run(self, job: Job, fingerprint: str) -> Run | None:
        """Return a finished run with a job's settings and split, made by the current code; None if there is none.

        A run in the job's own directory takes precedence.

        Args:
            job: the job.
            fingerprint: fingerprint of the job's split.
        """
        code = code_digest(self.config_of(job))
        reusable = [
            run
            for run in self._runs_of_job(job)
            if (run.manifest.get("code"), run.manifest["split"]["fingerprint"]) == (code, fingerprint)
        ]
        return min(reusable, key=lambda run: run.directory != job.directory, default=None)

    def latest_run(self, job: Job) -> Run | None:
        """Return the latest finished run with a job's settings, made by any version of the code, or None."""
        return max(self._runs_of_job(job), key=lambda run: str(run.manifest["finished"]), default=None)

    def _runs_of_job(self, job: Job) -> list[Run]:
        return self.runs.get(identity(self.config_of(job)), []) if self.runs else []  # composing a config takes long
