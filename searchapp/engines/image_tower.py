"""Embed pictures with the image tower of a two-tower model, in batches of tensors.

vLLM prepares, schedules and collects each input separately. A large GPU has to wait for that, and a
tower does not need it. vLLM loads the model; this module calls the method with which vLLM itself
runs the tower.

The model's processor crops the center of a picture and scales each channel linearly. The scales are
fitted to what vLLM renders for pictures of noise. All of this is used only if the pixels and the
vectors are those of vLLM.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines.base import Refusal, Vector
from searchapp.engines.pixels import (
    MAX_PIXEL_DIFFERENCE,
    PIXEL_VALUES_KEY,
    get_only_picture,
    make_noise_picture,
)
from searchapp.engines.tensors import ChannelPicture, picture_to_channels
from searchapp.engines.tower_graph import TowerGraph
from searchapp.pictures.model_size import ImageInput

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

MIN_COSINE = 0.999  # of a vector to vLLM's: batches of other sizes round otherwise

Render = Callable[["Picture"], Any]


@dataclass(frozen=True, slots=True)
class TowerPixels:
    """The pixels of a picture as the tower takes them: uint8, [3, side, side]."""

    channels: Any

    def to_picture(self) -> Picture:
        """Return the pixels as a picture."""
        return ChannelPicture(self.channels)


class ImageTower:
    """The image tower of a model that vLLM has loaded."""

    def __init__(self, llm: Any, target: ImageInput, batch_size: int, example: Any) -> None:
        """Fit the scales of the channels.

        batch_size: pictures that the tower takes at once. example: what vLLM renders for
        make_noise_picture(side, side). Raises any exception if the model is of another kind.
        """
        self._llm, self._side, self._fit = llm, target.side, target.fit
        self._batch_size = batch_size
        self._graph: TowerGraph | None = None
        values = _get_pixel_values(example)
        self._dtype = values.dtype
        self._fitted = _fit_channels(make_noise_picture(self._side, self._side), values)
        self._scale, self._shift = self._fitted

    @classmethod
    def start(
        cls,
        llm: Any,
        target: ImageInput,
        batch_size: int,
        render: Render,
        embed: Callable[[Any], Vector | Refusal],
    ) -> ImageTower | None:
        """Return the tower of a model; None if its pixels or vectors would differ from vLLM's.

        render: renders a picture with vLLM. embed: embeds what `render` returns.
        """
        side = target.side
        sizes = [(side, side)]
        if target.fit == "crop":
            sizes += [(side + 37, side), (side, side + 3), (side + 10, side)]
        try:
            tower = cls(llm, target, batch_size, render(make_noise_picture(side, side)))
            pictures = [make_noise_picture(*size, seed=1) for size in sizes]
            rendered = [render(picture) for picture in pictures]
            difference = max(map(tower._compare_pixels, pictures, rendered))
            if difference >= MAX_PIXEL_DIFFERENCE:
                logger.info("vLLM renders each picture: its pixels differ by %.3f", difference)
                return None
            # Two pictures: a tower that mixes them up must not pass.
            pair = [tower.prepare(make_noise_picture(side, side, seed=seed)) for seed in (2, 1)]
            expected = embed(rendered[0])
            if isinstance(expected, Refusal):
                raise ValueError(expected.reason)
            cosine = _compute_cosine(tower.embed(pair)[1], expected)
        except Exception as error:  # Another version of vLLM, or another kind of model.
            logger.info("vLLM renders each picture: %r", error)
            return None
        if not cosine >= MIN_COSINE:
            logger.info("vLLM renders each picture: the tower's vector differs (%.4f)", cosine)
            return None
        return tower

    def can_embed(self, image: Picture) -> bool:
        """Return whether a picture has a size and a mode that this tower takes."""
        if self._fit == "squash" and image.width != image.height:
            return False
        return min(image.size) == self._side and image.mode == "RGB"

    def prepare(self, image: Picture) -> TowerPixels:
        """Return the pixels of the center of a picture; any thread may call this method."""
        width, height = image.size
        left, top = (width - self._side) // 2, (height - self._side) // 2
        channels = picture_to_channels(image)
        return TowerPixels(channels[:, top : top + self._side, left : left + self._side])

    def embed(self, pictures: Sequence[TowerPixels]) -> Vector:
        """Return the vectors of pictures as the model computes them: float32, [n, dimensions]."""
        (vectors,) = self._llm.apply_model(lambda model: self._embed_batches(model, pictures))
        return np.asarray(vectors)

    def record_graph(self) -> None:
        """Run full batches as a CUDA graph from now on, if that gives the same vectors.

        No other thread of this process may use CUDA meanwhile.
        """
        noise = [self.prepare(make_noise_picture(self._side, self._side, seed=s)) for s in (1, 2)]
        pictures = (noise * self._batch_size)[: self._batch_size]
        expected = self.embed(noise)
        try:
            self._llm.apply_model(lambda model: self._record_batch(model, pictures))
            made = self.embed(pictures)
        except Exception as error:  # A kernel cannot be recorded, or memory is exhausted.
            import torch

            self._graph = None
            torch.cuda.empty_cache()  # The batches need what torch keeps for the graph.
            logger.info("The image tower runs without a CUDA graph: %r", error)
            return
        cosine = min(_compute_cosine(made[n], expected[n % 2]) for n in range(len(made)))
        if not cosine >= MIN_COSINE:
            self._graph = None
            logger.info("The image tower runs without a CUDA graph: its vectors differ (%.4f)",
                        cosine)  # fmt: skip

    def _record_batch(self, model: Any, pictures: Sequence[TowerPixels]) -> None:
        device = next(model.parameters()).device
        self._graph = TowerGraph(lambda channels: self._run(model, channels),
                                 _stack_channels(pictures).to(device))  # fmt: skip

    def _embed_batches(self, model: Any, pictures: Sequence[TowerPixels]) -> Vector:
        import torch

        vectors = []
        with torch.inference_mode():
            for start in range(0, len(pictures), self._batch_size):
                channels = _stack_channels(pictures[start : start + self._batch_size])
                # A graph computes a full batch, also for fewer pictures.
                if self._graph is not None and 2 * len(channels) > self._batch_size:
                    made = self._graph(channels)
                else:
                    made = self._run(model, channels.to(next(model.parameters()).device))
                vectors.append(made.cpu())
            result: Vector = torch.cat(vectors).numpy()
            return result

    def _run(self, model: Any, channels: Any) -> Any:
        """Return the vectors of pictures: float32, [n, dimensions]. channels: uint8."""
        import torch

        made = model.embed_multimodal(**{PIXEL_VALUES_KEY: self._scale_channels(channels)})
        vectors = list(made)  # a tensor or a list: for each picture, [1, dimensions]
        (single,) = {tuple(vector.shape[:-1]) for vector in vectors}
        if single != (1,):
            raise ValueError("the model returns several vectors for a picture")
        return torch.cat(vectors).float()

    def _scale_channels(self, channels: Any) -> Any:
        """Return what vLLM would render: [n, 3, side, side]. channels: uint8."""
        import torch

        if self._scale.device != channels.device:  # A CUDA graph must not contain this copy.
            self._scale, self._shift = (each.to(channels.device) for each in self._fitted)
        return channels.to(torch.float32).mul_(self._scale).add_(self._shift).to(self._dtype)

    def _compare_pixels(self, picture: Picture, rendered: Any) -> float:
        """Return the largest difference to the pixels that vLLM has rendered."""
        made = self._scale_channels(self.prepare(picture).channels[None])[0]
        return float((made - _get_pixel_values(rendered)).abs().max())


def _stack_channels(pictures: Sequence[TowerPixels]) -> Any:
    import torch

    return torch.stack([each.channels for each in pictures])


def _get_pixel_values(rendered: Any) -> Any:
    """Return the tensor of a rendered picture, [3, side, side].

    Raises KeyError if the rendered picture contains more than this tensor.
    """
    item = get_only_picture(rendered)
    if set(item) != {PIXEL_VALUES_KEY}:
        raise KeyError(f"unexpected parts of a rendered picture: {sorted(item)}")
    return item[PIXEL_VALUES_KEY].data


def _fit_channels(image: Picture, values: Any) -> tuple[Any, Any]:
    """Return the scale and the shift of the channels, [3, 1, 1] each, fitted by least squares.

    image: the picture; values: the picture's channels as vLLM renders them.
    """
    import torch

    lines = [
        np.polyfit(channel.ravel().astype(np.float64), target.double().numpy().ravel(), 1)
        for channel, target in zip(np.moveaxis(np.array(image), 2, 0), values, strict=True)
    ]
    scale, shift = torch.tensor(np.array(lines), dtype=torch.float32).T.reshape(2, 3, 1, 1)
    return scale, shift


def _compute_cosine(first: Vector, second: Vector) -> float:
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
