"""CUDA graphs: the hundreds of kernels of a call recorded once per shape and launched together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

GRAPHS = 16
"""Shapes that are kept; each holds its inputs and outputs on the GPU."""


class Graphed:
    """A call on one tensor, replayed from a graph of its shape; the result is a copy.

    What the call reads beside its input must stay where it is: weights, and tensors that are kept for good.
    """

    def __init__(self, call: Callable[..., list[Tensor]]) -> None:
        self.call, self.graphs, self.lock = call, OrderedDict(), Lock()
        self.beside: torch.cuda.Stream | None = None  # of the device of the first call
        self.pool: tuple[int, int] | None = None

    @torch.no_grad()
    def __call__(self, x: Tensor, **options: Any) -> list[Tensor]:
        key = (x.shape, x.dtype, *sorted(options.items()))
        with self.lock:  # all callers share inputs and outputs
            if key not in self.graphs:
                with torch.inference_mode(False):  # a graph that was recorded there also serves outside
                    self.graphs[key] = self.record(x, options)
                while len(self.graphs) > GRAPHS:
                    self.graphs.popitem(last=False)
            self.graphs.move_to_end(key)
            graph, given, made = self.graphs[key]
            given.copy_(x)
            graph.replay()
            return [one.clone() for one in made]

    def record(self, x: Tensor, options: dict[str, Any]) -> tuple[torch.cuda.CUDAGraph, Tensor, list[Tensor]]:
        """Runs the call beside the main stream until everything it keeps is there, then records it.

        All graphs share what lies between, which is safe because one is replayed at a time and its results are copied.
        Other threads may go on with their work on the GPU.
        """
        given = torch.empty_like(x).copy_(x)
        with torch.cuda.device(x.device):
            if self.beside is None:
                self.beside, self.pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
            self.beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.beside):
                for _ in range(3):
                    self.call(given, **options)
            torch.cuda.current_stream().wait_stream(self.beside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, self.pool, self.beside, capture_error_mode="thread_local"):
                made = self.call(given, **options)
        return graph, given, made
