"""Sources of ratings in files: MovieLens, a user's own files, RecBole's atomic files, other publishers' layouts.

A source locates or downloads its files, and states how to read each into a raw table; `recsys.data.prepare` reads,
cleans and caches them.
"""

from recsys.data.sources.files import Files
from recsys.data.sources.movielens import RELEASES, MovieLens
from recsys.data.sources.ncf_release import NCFRelease
from recsys.data.sources.published import Published
from recsys.data.sources.recbole import RecBole

__all__ = ["RELEASES", "Files", "MovieLens", "NCFRelease", "Published", "RecBole"]
