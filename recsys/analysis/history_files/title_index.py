"""An index of films by title and year, tolerant of articles, accents, numbers, years off by one and typing errors.

The following searches are tried in this order, and the first that finds films is used:

1. Films with an equal title, as compared by `recsys.data.titles`, from the same year, else from the year before or
   after.
2. Films whose title is equal after articles, numbers, parts and brackets have been unified (see `plainer_title`), again
   from the same year, else from the year before or after.
3. Films whose title differs only by typing errors, that is, has a similarity of at least `SIMILAR`, from the same year
   or the year before or after. The first and last letter and all numbers must be equal, so that parts of a series are
   not confused.

If the year to search for is unknown, films with an equal title (as in 1) from any year are found. If the data have no
year for any of the films with an equal title, searches 1 and 2 find all films with an equal title.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from recsys.data.titles import title_keys

SIMILAR = 0.88  # least similarity of titles: one wrong character in nine
N_SIMILAR = 5  # largest number of titles with a typing error that are considered

TITLE_AND_YEAR, TITLE_ALONE = "title and year", "title alone"  # ways in which a film is found

_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_ROMAN_NUMBERS = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"]
_DIGITS = {word: str(number) for words in (_NUMBERS, _ROMAN_NUMBERS) for number, word in enumerate(words, start=1)}
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "\u2019": "'"}
)
_ARTICLES = "le|la|les|los|las|el|il|lo|gli|o|os|as|der|die|das|den|det|de|het|ein|eine|een|en|un|une|una"
_LEADING_ARTICLE = re.compile(rf"(^|\()(?:(?:{_ARTICLES}) +|l' *)")
_TRAILING_ARTICLE = re.compile(rf", (?:{_ARTICLES}|i|l'|the|an?)(?=\)|$| \()")
_ENGLISH_ARTICLE = re.compile(r"\b(?:the|an?) ")
_ALSO_KNOWN_AS = re.compile(r"\ba\.k\.a\. ")
_PART = re.compile(r"\b(?:part|pt|vol|volume|chapter|episode)\b[. ]+(?=\d)")
_WORD = re.compile(r"[^\W_]+")
# "Star Wars: Episode V - The Empire Strikes Back" is also known by the parts before and after "Episode V"
_EPISODE = re.compile(r"(.+): Episode \w+ - (.+)")


@dataclass(frozen=True)
class TitleKeys:
    """The normalised forms (keys) of a title that are compared with those of other titles.

    Attributes:
        equal: normalised forms of the title itself.
        plainer: normalised forms of the title after it was simplified by `plainer_title`.
    """

    equal: tuple[str, ...]
    plainer: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Films that a title may stand for.

    Attributes:
        items: codes of the films that match equally well; empty if no film matches.
        way: how these films were found: `TITLE_AND_YEAR`, `TITLE_ALONE`, or a description of a less certain way. It has
            no meaning if `items` is empty.
        others: codes of films that have an equal title, but do not match since their years differ too much.
    """

    items: tuple[int, ...]
    way: str
    others: tuple[int, ...] = ()


class TitleIndex:
    """An index of films by title and year; several threads can use the same object.

    Args:
        titles: the title of each film, or None.
        years: the year of each film, or None.
    """

    def __init__(self, titles: Sequence[str | None], years: Sequence[int | None]) -> None:
        self.years = years
        self._equal: dict[str, list[int]] = defaultdict(list)
        self._plainer: dict[str, list[int]] = defaultdict(list)
        names = [(item, name) for item, title in enumerate(titles) if title for name in _names(title)]
        keys = keys_of([name for _, name in names])
        for item, name in names:
            for key in keys[name].plainer:
                self._plainer[key].append(item)
            if name == titles[item]:
                for key in keys[name].equal:
                    self._equal[key].append(item)
        self._keys_by_part: dict[tuple[int | None, str], list[str]] = defaultdict(list)  # by year and `_fixed_part`
        for key, items in self._plainer.items():
            for year in {years[item] for item in items}:
                self._keys_by_part[year, _fixed_part(key)].append(key)

    def find(self, titles: Sequence[TitleKeys], year: int | None, is_possible: Callable[[int], bool]) -> Found:
        """Find the films that a title may stand for.

        Args:
            titles: keys of the title, and of other titles of the same film.
            year: year of release, or None if it is unknown.
            is_possible: function of an item code that returns whether this film may be found.
        """
        equal = [key for title in titles for key in title.equal]
        plainer = [key for title in titles for key in title.plainer]
        if year is None:
            return Found(tuple(_items(self._equal, equal, is_possible)), TITLE_ALONE)
        others: list[int] = []
        for items_by_key, keys in ((self._equal, equal), (self._plainer, plainer)):
            items = _items(items_by_key, keys, is_possible)
            if near := self._near(items, year):
                return near
            others += items
        similar = sorted({item for key in plainer for item in self._similar(key, year) if is_possible(item)})
        return Found(tuple(similar), "similar title and year", tuple(dict.fromkeys(others)))

    def _near(self, items: Sequence[int], year: int) -> Found | None:
        """Return the films from a year or, if there are none, from the year before or after.

        If none of the films has a year, all of them are returned. The result is None if no film is near the year.
        """
        years = {item: self.years[item] for item in items}
        for distance, way in ((0, TITLE_AND_YEAR), (1, "title, year off by one")):
            near = tuple(item for item, other in years.items() if other is not None and abs(other - year) == distance)
            if near:
                return Found(near, way)
        is_unknown = bool(items) and not any(years.values())
        return Found(tuple(items), "title, year unknown") if is_unknown else None

    def _similar(self, key: str, year: int) -> list[int]:
        """Return the films whose title is most similar to a title's key, among films at most one year from `year`."""
        part = _fixed_part(key)
        keys = [other for near in (year - 1, year, year + 1) for other in self._keys_by_part.get((near, part), ())]
        scored = extract(key, keys, scorer=OSA.normalized_similarity, score_cutoff=SIMILAR, limit=N_SIMILAR)
        best = [other for other, score, _ in scored if score == scored[0][1]]
        return [item for other in best for item in self._plainer[other] if self._is_near(item, year)]

    def _is_near(self, item: int, year: int) -> bool:
        own = self.years[item]
        return own is not None and abs(own - year) <= 1


def _items(
    items_by_key: Mapping[str, Sequence[int]], keys: Sequence[str], is_possible: Callable[[int], bool]
) -> list[int]:
    return sorted({item for key in keys for item in items_by_key.get(key, ()) if is_possible(item)})


def keys_of(titles: Sequence[str]) -> dict[str, TitleKeys]:
    """Return the keys of each distinct title, as a mapping from title to keys."""
    distinct = list(dict.fromkeys(titles))
    plain = [plainer_title(title) for title in distinct]
    without_brackets = [re.sub("[()]", "", title) for title in plain]
    keys = title_keys(distinct + plain + without_brackets)
    n = len(distinct)
    equal, inside, whole = (list(map(_names_only, part)) for part in (keys[:n], keys[n : 2 * n], keys[2 * n :]))
    return {
        title: TitleKeys(tuple(own), (*first, *second))
        for title, own, first, second in zip(distinct, equal, inside, whole, strict=True)
    }


def _names_only(keys: list[str]) -> list[str]:
    """Return the keys of a title, leaving out the keys of text in brackets that has no letters, such as "(1)".

    Args:
        keys: key of the whole title, followed by the keys of alternative titles in brackets.
    """
    return keys[:1] + [key for key in keys[1:] if re.search(r"[^\W\d_]", key)]


def plainer_title(title: str) -> str:
    """Return a title in lower case without articles, accents and words such as "part", and with numbers in digits."""
    text = unicodedata.normalize("NFKD", title.lower().translate(_LETTERS))
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = _ALSO_KNOWN_AS.sub("", text)
    text = _LEADING_ARTICLE.sub(r"\1", _TRAILING_ARTICLE.sub("", text))
    text = _WORD.sub(lambda word: _DIGITS.get(word[0], word[0]), _ENGLISH_ARTICLE.sub("", text))
    return _PART.sub("", text)


def _names(title: str) -> list[str]:
    """Return the names by which a film is known: its title and, for "A: Episode V - B", also "A" and "B"."""
    match = _EPISODE.fullmatch(title)
    return [title, *match.groups()] if match else [title]


def _fixed_part(key: str) -> str:
    """Return the parts of a key in which similar titles must agree: the first and last character, and the numbers.

    The last character distinguishes a plural from its singular.
    """
    return " ".join((key[0], key[-1], *re.findall(r"\d+", key)))
