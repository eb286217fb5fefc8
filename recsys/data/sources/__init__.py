"""Sources of ratings in files: MovieLens releases, a user's own files, RecBole's atomic files, and other layouts.

A source finds or downloads its files, and describes how to read each of them into a raw table. `recsys.data.prepare`
then reads and cleans the files, and caches the result.
"""

from recsys.data.sources.files import Files
from recsys.data.sources.movielens import RELEASES, MovieLens
from recsys.data.sources.ncf_release import NCFRelease
from recsys.data.sources.published import Published
from recsys.data.sources.recbole import RecBole

__all__ = ["RELEASES", "Files", "MovieLens", "NCFRelease", "Published", "RecBole"]
