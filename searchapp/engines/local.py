"""Run a model with vLLM in this process."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from searchapp.engines import vllm_settings
from searchapp.engines.base import Refusal, Vector, normalize_vector, summarize_error
from searchapp.engines.captured_output import capture_output
from searchapp.engines.image_tower import ImageTower, TowerPixels
from searchapp.engines.picture_layouts import choose_layout
from searchapp.engines.pixels import make_picture_id
from searchapp.engines.resize import resize_picture
from searchapp.engines.sized_renderer import SizedRenderer
from searchapp.engines.start_vllm import create_llm, prepare_start, watch_start
from searchapp.engines.vllm_settings import MAX_CONCURRENT_INPUTS
from searchapp.errors import EngineError
from searchapp.models import EngineInput, ModelSpec, has_gpu, make_document_prompt
from searchapp.pictures import model_size

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

MAX_SLICE_INPUTS = 256  # inputs that vLLM holds at once
CPU_TOWER_PICTURES = 32  # that an image tower takes at once on a CPU
# The engine gives up after this many inputs in a row have exceeded the memory, each alone.
MAX_OUT_OF_MEMORY_INPUTS = 3


class _EngineFailedError(Exception):
    """The running model failed on a batch; vLLM did not reject one input only."""


class _OutOfMemoryError(_EngineFailedError):
    """A batch of inputs exceeds the memory; the engine still works."""


class LocalEngine:
    """A model run by vLLM in this process."""

    _task = "embed"  # vLLM's pooling task
    _max_pictures = 1  # of a prompt

    def __init__(
        self, spec: ModelSpec, *, seed: int = 0, verbose: bool = False, bulk: bool = False
    ) -> None:
        """Load the model, which takes from seconds to a minute.

        verbose: show what vLLM prints. bulk: reserve more GPU memory, for full batches of long
        prompts. Raises ModelError if the model cannot run, EngineError if vLLM cannot.
        """
        self._spec, self._seed, self._verbose, self._bulk = spec, seed, verbose, bulk
        self._llm: Any = None
        self._image_tower: ImageTower | None = None
        self._sized_renderer: SizedRenderer | None = None
        self._requests = itertools.count()
        self._slice_inputs = MAX_SLICE_INPUTS  # reduced after memory was exhausted
        self._out_of_memory_count = 0
        self._render_lock = threading.Lock()
        self._start()

    @property
    def spec(self) -> ModelSpec:
        """Return the model's specification."""
        return self._spec

    @property
    def llm(self) -> Any:
        """Return vLLM's LLM object, for measurements."""
        return self._llm

    def prepare(self, item: EngineInput) -> EngineInput:
        """Render an input into the tokens and the picture tensor that vLLM takes."""
        if isinstance(item.rendered, TowerPixels) and self._image_tower is None:
            # An engine that restarts without its tower gets pictures of the engine before.
            item = replace(item, image=item.rendered.to_picture(), rendered=None)
        if item.rendered is not None:
            return item
        try:
            rendered = self._render_input(item)
        except Exception as error:  # A model's processor raises any type for a bad input.
            rendered = Refusal(summarize_error(error))
        return replace(item, image=None, question_image=None, rendered=rendered)

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed inputs slice by slice: see Engine.embed.

        If a slice exceeds the memory, this slice and all later slices are smaller. If the engine
        fails otherwise, it restarts, and embeds the inputs of the slice one by one.
        """
        results: list[Vector | Refusal] = []
        while len(results) < len(inputs):
            start = len(results)
            part = [self.prepare(item) for item in inputs[start : start + self._slice_inputs]]
            try:
                results += self._run_model(part)
                self._out_of_memory_count = 0
            except _EngineFailedError as error:
                if isinstance(error, _OutOfMemoryError) and len(part) > 1:
                    self._slice_inputs = min(len(part), MAX_CONCURRENT_INPUTS) // 2
                    logger.info(
                        "Reduced the batch to %d inputs: %d inputs exceed the memory (%s)",
                        self._slice_inputs, len(part), error,
                    )  # fmt: skip
                    continue
                logger.info(
                    "The engine of the model %s failed (%s); restarting it", self._spec.name, error
                )
                self._start()
                results += self._run_one_by_one(part)
        return results

    def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt with the model's tokenizer."""
        return len(self._llm.get_tokenizer()(prompt)["input_ids"])

    def count_image_tokens(self, image: Picture) -> int:
        """Return the number of tokens or patches into which the model divides a picture."""
        prepared = self._render_with_vllm(EngineInput(self._spec.prompts.document, image))
        if self._spec.pooling is None:
            vision = self._llm.model_config.hf_config.vision_config
            return int(vision.image_size // vision.patch_size) ** 2
        (placeholder,) = prepared["mm_placeholders"]["image"]
        return int(placeholder.get_num_embeds())

    def close(self) -> None:
        """Free the model's memory."""
        if self._llm is None:
            return
        self._llm = None
        gc.collect()
        # An error during cleanup must not replace the result or the error of `embed`.
        with suppress(Exception), capture_output(self._verbose):
            from vllm.distributed import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()

    def _run_one_by_one(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed each input alone; return a refusal for an input on which the engine fails.

        Raises EngineError if several inputs in a row exceed the memory.
        """
        results: list[Vector | Refusal] = []
        for single in inputs:
            try:
                results += self._run_model([self.prepare(single)])
                self._out_of_memory_count = 0
            except _EngineFailedError as error:
                self._out_of_memory_count = (
                    self._out_of_memory_count + 1 if isinstance(error, _OutOfMemoryError) else 0
                )
                if self._out_of_memory_count >= MAX_OUT_OF_MEMORY_INPUTS:
                    raise EngineError(
                        f"{self._spec.name} exceeds the memory with a single input ({error}). "
                        "Check what else uses the memory (nvidia-smi), or use fewer --replicas "
                        "or a smaller --model."
                    ) from error
                logger.info("The engine failed on a single input (%s); restarting it", error)
                results.append(Refusal(f"the engine failed on this input: {error}"))
                self._start()
        return results

    def _start(self) -> None:
        """Load the model, or load it again; raises ModelError or EngineError if that fails."""
        self.close()
        folder = prepare_start(self._spec, verbose=self._verbose)
        with watch_start(self._spec, verbose=self._verbose):
            self._llm, arguments = create_llm(
                self._spec, folder, seed=self._seed, bulk=self._bulk,
                max_pictures=self._max_pictures,
            )  # fmt: skip
            self._prepare_rendering()
        logger.debug("Arguments of vLLM: %s", arguments)

    def _prepare_rendering(self) -> None:
        """Choose the fastest way to render pictures, and embed a first one on a GPU."""
        model_size.set_resize_function(resize_picture)
        if not self._spec.prompts.document:  # a two-tower model: its input is only the picture
            self._image_tower = ImageTower.start(
                self._llm,
                self._spec.image,
                vllm_settings.MAX_CONCURRENT_INPUTS if has_gpu() else CPU_TOWER_PICTURES,
                lambda image: self._render_with_vllm(EngineInput("", image)),
                lambda rendered: self._run_requests({0: rendered})[0],
            )
            if self._image_tower is not None and self._bulk and has_gpu():
                self._image_tower.record_graph()
        with suppress(AttributeError, KeyError):  # an unusual configuration
            layout = choose_layout(self._spec, self._llm.model_config.hf_config)
            if layout is not None:
                prompt = make_document_prompt(self._spec)
                self._sized_renderer = SizedRenderer(
                    lambda image: self._render_with_vllm(EngineInput(prompt, image)), layout
                )
        if has_gpu():  # The first use compiles CUDA kernels, which takes a second.
            gray = model_size.make_blank_picture(self._spec.image)
            self._run_model([self.prepare(EngineInput(make_document_prompt(self._spec), gray))])

    def _render_input(self, item: EngineInput) -> Any:
        image = item.image
        if (
            self._image_tower
            and image is not None
            and not item.prompt
            and self._image_tower.can_embed(image)
        ):
            return self._image_tower.prepare(image)
        if (
            self._sized_renderer
            and image is not None
            and item.question_image is None
            and item.prompt == make_document_prompt(self._spec)
        ):
            rendered = self._sized_renderer.render_picture(image)
            if rendered is not None:
                return rendered
        return self._render_with_vllm(item)

    def _render_with_vllm(self, item: EngineInput) -> Any:
        """Render an input with vLLM and the model's own processor."""
        from vllm.renderers.inputs.preprocess import parse_model_prompt

        prompt: dict[str, Any] = {"prompt": item.prompt}
        if images := [each for each in (item.question_image, item.image) if each is not None]:
            prompt["multi_modal_data"] = {"image": images if len(images) > 1 else images[0]}
            prompt["multi_modal_uuids"] = {"image": [make_picture_id() for _ in images]}
        renderer = self._llm.llm_engine.renderer
        tokenization = renderer.default_cmpl_tok_params
        if self._spec.pad_text and item.image is None:
            tokenization = tokenization.with_kwargs(padding="max_length")
        parsed = parse_model_prompt(self._llm.model_config, prompt)
        # The renderer changes torch's number of threads and restores it, so that two renderings
        # at once could leave the wrong number.
        with self._render_lock:
            (rendered,) = renderer.render_cmpl([parsed], tokenization)
        return rendered

    def _run_model(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Run the model on prepared inputs; raises _EngineFailedError if the engine fails."""
        results: list[Vector | Refusal] = [Refusal("the engine returned no result")] * len(inputs)
        pictures, requests = dict[int, TowerPixels](), dict[int, Any]()
        for number, item in enumerate(inputs):
            if isinstance(item.rendered, Refusal):
                results[number] = item.rendered
            elif isinstance(item.rendered, TowerPixels):
                pictures[number] = item.rendered
            else:
                requests[number] = item.rendered
        started: list[str] = []
        try:
            outputs = self._run_tower(pictures) | self._run_requests(requests, started)
        except Exception as error:  # EngineDeadError, or any error of the running model
            is_out_of_memory = vllm_settings.is_out_of_memory(error)
            if is_out_of_memory and self._abort_requests(started):
                raise _OutOfMemoryError(summarize_error(error)) from error
            raise _EngineFailedError(summarize_error(error)) from error
        for number, output in outputs.items():
            results[number] = output if isinstance(output, Refusal) else self._read_output(output)
        return results

    def _run_tower(self, pictures: dict[int, TowerPixels]) -> dict[int, Vector]:
        """Run the image tower; return the output for each picture, by its number."""
        if not pictures or self._image_tower is None:
            return {}
        vectors = self._image_tower.embed(list(pictures.values()))
        return dict(zip(pictures, vectors, strict=True))

    def _run_requests(
        self, inputs: dict[int, Any], started: list[str] | None = None
    ) -> dict[int, Vector | Refusal]:
        """Run vLLM's engine on rendered inputs; return its output for each one, by its number.

        The names of the requests are added to `started`.
        """
        from vllm import PoolingParams

        engine, numbers = self._llm.llm_engine, dict[str, int]()
        outputs = dict[int, Vector | Refusal]()
        for number, rendered in inputs.items():
            name = str(next(self._requests))
            try:
                engine.add_request(name, rendered, PoolingParams(task=self._task))
            except Exception as error:  # vLLM rejects the input, for example as too long.
                outputs[number] = Refusal(summarize_error(error))
                continue
            numbers[name] = number
            if started is not None:
                started.append(name)
        while engine.has_unfinished_requests():
            for output in engine.step():
                outputs[numbers[output.request_id]] = output.outputs.data.float().numpy()
        return outputs

    def _read_output(self, values: Vector) -> Vector | Refusal:
        """Return the result of an input from the model's output for it."""
        return normalize_vector(values, self._spec)

    def _abort_requests(self, requests: list[str]) -> bool:
        """Abort requests and free their memory; return False if the engine cannot continue."""
        try:
            engine = self._llm.llm_engine
            engine.abort_request(requests)
            with suppress(ImportError):
                import torch

                torch.cuda.empty_cache()
            return not engine.has_unfinished_requests()
        except Exception:  # The engine has failed completely: the caller restarts it.
            return False
