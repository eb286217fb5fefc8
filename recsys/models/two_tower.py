"""Two towers: a film is placed by what is told of it and by its id, a user by the films watched, in one space.

Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019. The user tower
averages films, as in Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys 2016. Ids
are hidden at random while training, so that a film without ratings is placed well by the rest: Volkovs, Yu and
Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from scipy import sparse
from sklearn.preprocessing import normalize
from torch import Tensor, nn

from recsys.data.dataset import Dataset, History, Holdout
from recsys.data.features import features, vocabulary
from recsys.data.text import FIELDS, documents, make_encoder
from recsys.errors import UserError
from recsys.files import as_arrays, from_arrays
from recsys.models.base import FitContext
from recsys.models.content import dense, film_vectors
from recsys.models.history import HistoryModule, HistoryRecommender, pooled
from recsys.models.losses import shared_softmax_loss, softmax_loss
from recsys.models.memory import check_memory
from recsys.models.neural import one_of
from recsys.models.optimizers import refuse_clipping
from recsys.models.sampling import UserBatch, entries, shared_candidates

USER_FACTS = ("age_group", "gender", "occupation")
INPUTS = ("text", "facts", "user_facts")
FACTS_WEIGHT = 0.3  # beside the sentence embedding
COPIES_OF_WEIGHTS = 4  # with gradients and Adam's two moments
COPIES_OF_FILMS = 7  # placed, with their texts and gradients
COPIES_OF_LOGITS = 3  # with gradients and the softmax


class Films(NamedTuple):
    """Some films, as the film tower places them."""

    vectors: Tensor  # float32 (C, d) what users are compared with
    watched: Tensor  # float32 (C, d) what a film says of somebody who watched it
    popularity: Tensor  # float32 (C,) what everybody thinks of it


class FactEmbedding(nn.Module):
    """The sum of the vectors of a row's facts, over the root of how many they are.

    Args:
        facts: (n, f), not zero where a fact is true of a row.
        table: (f, d), a vector a fact.
    """

    indptr: Tensor
    indices: Tensor

    def __init__(self, facts: sparse.csr_matrix, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("indptr", torch.from_numpy(facts.indptr).long(), persistent=False)
        self.register_buffer("indices", torch.from_numpy(facts.indices).long(), persistent=False)
        self.table = nn.Parameter(table)

    def forward(self, chosen: Tensor) -> Tensor:
        """Some rows, int64 (B,) -> (B, d)."""
        rows, positions = entries(self.indptr, chosen)
        lengths = self.indptr[chosen + 1] - self.indptr[chosen]
        return pooled(self.table, self.indices[positions], lengths, lengths.rsqrt()[rows])


class TwoTowerModule(HistoryModule):
    """Logit = u . v_i / T + b_i.

    Film tower: v_i, b_i and h_i, the film as a part of histories, are one linear map of the film's sentence embedding
    and facts, plus numbers of the film's own. User tower: u is the mean h of the films watched plus the user's facts,
    scaled to length one, plus numbers of the user's own.

    Args:
        text: float32 (n_items, d_text) embeddings, frozen.
        facts: (n_items, f) of films.
        user_facts: (n_users + 1, g); somebody unknown has the last row.
        settings: the hyperparameters.
    """

    text: Tensor
    item_counts: Tensor
    draw: Tensor

    def __init__(
        self, text: np.ndarray, facts: sparse.csr_matrix, user_facts: sparse.csr_matrix, settings: TwoTower
    ) -> None:
        n_items, d = len(text), settings.embedding_dim
        super().__init__(user_facts.shape[0] - 1, d)
        self.settings: TwoTower = settings
        self.register_buffer("text", torch.from_numpy(text), persistent=False)
        self.register_buffer("item_counts", torch.zeros(n_items, dtype=torch.long), persistent=False)
        self.register_buffer("draw", torch.zeros(n_items), persistent=False)
        self.text_map = nn.Parameter(_random_map(text.shape[1], d))
        self.facts = FactEmbedding(facts, _random_map(facts.shape[1], d))
        self.user_facts = FactEmbedding(user_facts, torch.zeros(user_facts.shape[1], d))
        sparse_gradients = settings.loss == "sampled_softmax" and settings.optimizer == "adam"  # a step needs few rows
        self.ids = nn.Embedding(n_items, 2 * d + 1, sparse=sparse_gradients)
        self.user_ids = nn.Embedding(user_facts.shape[0], d, sparse=sparse_gradients)
        for own in (self.ids, self.user_ids):
            nn.init.zeros_(own.weight)
        self.log_scale = nn.Parameter(-torch.tensor(settings.temperature).log(), settings.learn_temperature)
        self._placed: Films | None = None

    def train(self, mode: bool = True) -> Self:
        """Switch between training and use; films are placed anew, since weights may have changed."""
        self._placed = None
        return super().train(mode)

    def learn_from(self, train: Dataset, negative_power: float) -> None:
        """Only films with ratings are told apart in training: others would be learned to be unpopular."""
        self.item_counts.copy_(torch.from_numpy(train.item_counts))
        weights = torch.where(self.item_counts > 0, self.item_counts.double() ** negative_power, 0.0)
        self.draw.copy_(weights / weights.sum())
        self.n_training_users = int((train.user_counts > 0).sum())

    def films(self, items: Tensor) -> Films:
        """The film tower, for some films (C,)."""
        text = F.dropout(self.text[items], self.settings.text_dropout, self.training)
        ids = self._hidden(self.ids(items), self.settings.id_dropout)
        placed = text @ self.text_map + FACTS_WEIGHT * self.facts(items) + ids  # (C, 2 d + 1)
        d = self.settings.embedding_dim
        vectors, watched, popularity = placed.split([d, d, 1], dim=1)
        if self.settings.normalized == "both":
            vectors = F.normalize(vectors)
        return Films(vectors, watched, popularity.squeeze(1))

    def catalogue(self) -> Films:
        """All films; placed once while weights stay."""
        if self.training or self._placed is None:
            with torch.set_grad_enabled(self.training):
                self._placed = self.films(torch.arange(len(self.text), device=self.device))
        return self._placed

    def users(self, batch: UserBatch, watched: Tensor) -> Tensor:
        """The user tower, (B, d): the batch's items are rows of watched (C, d)."""
        settings = self.settings
        weights = F.dropout(1 / batch.lengths[batch.rows], settings.history_dropout, self.training)  # (P,)
        own = self._hidden(self.user_ids(batch.users), settings.user_id_dropout)
        users = pooled(watched, batch.items, batch.lengths, weights) + self.user_facts(batch.users)
        if settings.normalized != "neither":
            users = F.normalize(users)
        return F.dropout(users, settings.dropout, self.training) + own

    def logits(self, users: Tensor, films: Films) -> Tensor:
        """(B, C) of users (B, d)."""
        return self.log_scale.exp() * users @ films.vectors.T + films.popularity

    def encode(self, batch: UserBatch) -> Tensor:
        """See `HistoryModule.encode`."""
        return self.users(batch, self.catalogue().watched)

    def forward(self, batch: UserBatch) -> Tensor:
        """Logits of all films, (B, n_items), for what the users of a batch watched."""
        return self.logits(self.encode(batch), self.catalogue())

    def training_step(self, batch: UserBatch, batch_index: int) -> Tensor:  # type: ignore[override]
        """The loss of one batch: what was watched is both read and to be told."""
        if self.settings.loss == "softmax":
            items = self.item_counts.nonzero().squeeze(1)
            return softmax_loss(*self._among(batch, items))
        n_users, n_negatives = self.n_training_users, self.settings.n_negatives
        items, log_included = shared_candidates(batch, self.item_counts, self.draw, n_users, n_negatives)
        return shared_softmax_loss(*self._among(batch, items), log_included)

    def user_tables(self) -> set[str]:
        """See `NeuralModule.user_tables`."""
        return super().user_tables() | {"user_ids.weight"}

    def item_embeddings(self) -> Tensor:
        """v, (n_items, d)."""
        return self.catalogue().vectors

    def _among(self, batch: UserBatch, items: Tensor) -> tuple[Tensor, UserBatch]:
        """Logits (B, C) for some films (C,), ascending, and the batch with its items as columns of them."""
        films = self.films(items)
        columns = batch._replace(items=torch.searchsorted(items, batch.items))
        return self.logits(self.users(columns, films.watched), films), columns

    def _hidden(self, own: Tensor, share: float) -> Tensor:
        """Rows (B, d) of ids, some of them zero in training as they are where nothing was learned."""
        return own * (torch.rand(len(own), 1, device=own.device) >= share) if self.training else own


class TwoTower(HistoryRecommender):
    """Two towers on sentence embeddings, facts, histories and ids; see `TwoTowerModule`.

    Args:
        encoder: of documents, to dense vectors: the class in `_target_`, its settings beside.
        fields: what a document tells, in this order.
        min_count: films with ratings that a fact must be true of.
        embedding_dim: length of the vectors d.
        normalized: to length one: the vectors of `users` before ids, of `both` users and films, or of `neither`.
        temperature: T, at first.
        learn_temperature: whether training changes it; weight decay draws it to one.
        text_dropout: share of a sentence embedding's elements that is hidden while training.
        history_dropout: of the films watched.
        dropout: of the elements of u.
        id_dropout: of the films' ids; 1 learns none.
        user_id_dropout: of the users' ids; 1 learns none.
        loss: `softmax` over all films with ratings, or `sampled_softmax` over those of a batch and `n_negatives` more;
            `batch_size` counts users.
        n_negatives: films drawn for all users of a batch.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: another loss or normalisation, a temperature or a share that is none.
    """

    module: TwoTowerModule

    def __init__(
        self,
        encoder: Mapping[str, Any],
        fields: Sequence[str] = FIELDS,
        min_count: int = 3,
        embedding_dim: int = 256,
        normalized: str = "users",
        temperature: float = 0.2,
        learn_temperature: bool = True,
        text_dropout: float = 0.3,
        history_dropout: float = 0.5,
        dropout: float = 0.4,
        id_dropout: float = 0.5,
        user_id_dropout: float = 1.0,
        loss: str = "softmax",
        n_negatives: int = 1000,
        **training: Any,
    ) -> None:
        super().__init__(one_of("loss", loss, ("softmax", "sampled_softmax")), n_negatives, **training)
        self.encoder = dict(encoder)
        self.fields = list(fields)
        self.min_count = min_count
        self.embedding_dim = embedding_dim
        self.normalized = one_of("normalized", normalized, ("users", "both", "neither"))
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.text_dropout = text_dropout
        self.history_dropout = history_dropout
        self.dropout = dropout
        self.id_dropout = id_dropout
        self.user_id_dropout = user_id_dropout
        if not temperature > 0:
            raise UserError(f"temperature={temperature} divides nothing: give a number above zero.")
        for name in ("text_dropout", "history_dropout", "dropout", "id_dropout", "user_id_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name}={getattr(self, name)} is no share: give a number from 0 to 1.")

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Encode the films, then see `NeuralRecommender.fit`.

        Raises:
            UserError: the encoder's vectors are sparse, weights or a batch's logits do not fit in memory, or gradients
                are to be clipped that are sparse.
        """
        if self.loss == "sampled_softmax":
            refuse_clipping(context, "model.loss")
        of_film, of_user = 2 * self.embedding_dim + 1, self.embedding_dim
        numbers = COPIES_OF_WEIGHTS * (of_film * train.n_items + of_user * train.n_users)
        if self.loss == "softmax":  # then every step places all films and scores them
            numbers += train.n_items * (COPIES_OF_FILMS * of_film + COPIES_OF_LOGITS * self.batch_size)
        check_memory(
            4 * numbers,
            f"Training {of_film} numbers for each of {train.n_items:,} films, {of_user} for each of {train.n_users:,} "
            "users",
            "lower model.embedding_dim, or take model.loss=sampled_softmax",
        )
        rated = train.item_counts > 0
        self.text_encoder = make_encoder(self.encoder)
        vectors = dense(film_vectors(train, self.text_encoder, self.fields, context))
        if self.earlier is None:
            self.average = vectors[rated].mean(axis=0)
            self.fact_names = vocabulary(train.item_frame[rated], min_count=self.min_count)
        else:  # weights go on to mean what they meant
            self.average, self.fact_names = self.earlier[0].average, self.earlier[0].fact_names
        self.text = self._seen_from_average(vectors)
        self.facts = features(train.item_frame, self.fact_names)
        told = features(train.user_frame, vocabulary(train.user_frame, USER_FACTS, min_count=1))
        self.user_facts = sparse.vstack([told, sparse.csr_matrix((1, told.shape[1]))], format="csr")
        return super().fit(train, valid, context)

    def user_vectors(self, users: np.ndarray, history: History) -> np.ndarray:
        """See `ScoresByProducts`: u / T and 1."""
        with torch.inference_mode():
            vectors = self.module.log_scale.exp() * self.module.encode(self._batch(users, history))
        return np.pad(vectors.cpu().numpy(), ((0, 0), (0, 1)), constant_values=1)

    def item_vectors(self) -> np.ndarray:
        """See `ScoresByProducts`: v and the film's popularity."""
        with torch.inference_mode():
            films = self.module.catalogue()
        return np.column_stack([films.vectors.cpu().numpy(), films.popularity.cpu().numpy()])

    def build(self, n_users: int, n_items: int) -> TwoTowerModule:
        """See `NeuralRecommender.build`."""
        return TwoTowerModule(self.text, self.facts, self.user_facts, self)

    def initialise(self, train: Dataset) -> None:
        """See `NeuralRecommender.initialise`."""
        self.module.learn_from(train, self.negative_power)

    def add_items(self, films: pd.DataFrame) -> None:
        """See `HasOpenCatalogue`: new films are placed by their text and facts."""
        vectors = dense(self.text_encoder.encode(documents(films, self.fields)))
        weights = self.module.state_dict()
        self.text = np.concatenate([self.text, self._seen_from_average(vectors)])
        self.facts = sparse.vstack([self.facts, features(films, self.fact_names)], format="csr")
        weights["ids.weight"] = F.pad(weights["ids.weight"], (0, 0, 0, len(films)))
        self._prepare(self.n_items + len(films), self.trained_users, self.trained_on)
        self.module.load_state_dict(weights)
        self.module.eval()

    def arrays(self) -> dict[str, np.ndarray]:
        """See `NeuralRecommender.arrays`; also what new films are read with."""
        own = {"average": self.average, "fact_names": self.fact_names}
        for name in INPUTS:
            own |= as_arrays(name, getattr(self, name))
        own |= {f"encoder.{name}": array for name, array in self.text_encoder.arrays().items()}
        return super().arrays() | own

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`."""
        for name in INPUTS:
            setattr(self, name, from_arrays(name, arrays))
        self.average, self.fact_names = arrays["average"], arrays["fact_names"]
        learned = {
            name.removeprefix("encoder."): array for name, array in arrays.items() if name.startswith("encoder.")
        }
        self.text_encoder = make_encoder(self.encoder).restore(learned)
        super().restore(arrays)

    def _seen_from_average(self, vectors: np.ndarray) -> np.ndarray:
        """Directions from the average film, float32 (n, d_text): what all films share tells nothing of a taste."""
        return normalize(np.where(vectors.any(axis=1, keepdims=True), vectors - self.average, 0.0)).astype(np.float32)


def _random_map(n_inputs: int, d: int) -> Tensor:
    """(n_inputs, 2 d + 1): keeps cosines, in expectation, and places films alike in both roles; none is popular yet."""
    vectors = torch.randn(n_inputs, d) / d**0.5
    return torch.cat([vectors, vectors, torch.zeros(n_inputs, 1)], dim=1)
