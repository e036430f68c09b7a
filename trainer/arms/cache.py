"""A key/value cache for one batch: room for every token is set aside once.

transformers' ``DynamicCache`` copies the whole cache at every step to append one column; here a
step writes its column in place, and a row that has finished gives its place to the last row.
"""

import torch
from transformers.cache_utils import Cache, DynamicLayer


class RoomyLayer(DynamicLayer):
    """One layer's keys and values: [rows, heads, capacity, dim], filled up to ``length``."""

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__()
        self.shape = (rows, capacity)
        self.window = slice(0, rows)
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Set the room aside, once heads and dimensions are known."""
        rows, capacity = self.shape
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = (
            states.new_empty(rows, states.shape[1], capacity, states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: object, **_kw: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new columns of the window's rows; returns all their columns so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self.length = self.length, self.length + key_states.shape[-2]
        self.keys[self.window, :, start : self.length] = key_states
        self.values[self.window, :, start : self.length] = value_states
        filled = (self.window, slice(None), slice(0, self.length))
        return self.keys[filled], self.values[filled]

    def get_seq_length(self) -> int:
        """Columns filled so far."""
        return self.length


class RoomyCache(Cache):
    """The layers of one batch, and the rows of it that the next forward pass is about."""

    def __init__(self, layers: int, *, rows: int, capacity: int) -> None:
        super().__init__(layers=[RoomyLayer(rows, capacity) for _ in range(layers)])
        self.layers: list[RoomyLayer]

    def look_at(self, window: slice, length: int) -> None:
        """The next pass is about these rows, whose first ``length`` columns are filled."""
        for layer in self.layers:
            layer.window, layer.length = window, length

    def begin_with(self, prefix: "RoomyCache") -> None:
        """Every row starts with the one row of ``prefix``."""
        for layer, shared in zip(self.layers, prefix.layers, strict=True):
            layer.lazy_initialization(shared.keys, shared.values)
            layer.keys[:, :, : shared.length] = shared.keys[:, :, : shared.length]
            layer.values[:, :, : shared.length] = shared.values[:, :, : shared.length]
            layer.length = shared.length

    def move(self, source: int, target: int) -> None:
        """Row ``source`` takes the place of row ``target``."""
        for layer in self.layers:
            for states in (layer.keys, layer.values):
                states[target, :, : layer.length] = states[source, :, : layer.length]
