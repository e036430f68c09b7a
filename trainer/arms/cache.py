"""A key/value cache for one batch: room for every token is set aside once.

transformers' ``DynamicCache`` copies the whole cache at every step to append one column; here a
step writes its column in place, and a row that has finished gives its place to the last row.
"""

import torch
from transformers.cache_utils import Cache, DynamicLayer


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's keys and values: [rows, heads, capacity, dim] each, filled up to ``length``."""

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shape = (rows, capacity)
        self.room: list[torch.Tensor] = []
        self.window = slice(0, rows)
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Set the room aside, once heads and dimensions are known."""
        rows, capacity = self.shape
        self.room = [
            # Zeros: a masked column weighs 0, and 0 times whatever memory held could be NaN.
            states.new_zeros(rows, states.shape[1], capacity, states.shape[3])
            for states in (key_states, value_states)
        ]
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: object, **_kw: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new columns of the window's rows; returns all their columns so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self.length = self.length, self.length + key_states.shape[-2]
        keys, values = self.room
        keys[self.window, :, start : self.length] = key_states
        values[self.window, :, start : self.length] = value_states
        return keys[self.window, :, : self.length], values[self.window, :, : self.length]

    def get_seq_length(self) -> int:
        """Columns filled so far."""
        return self.length


class RoomyCache(Cache):
    """The layers of one batch, and the rows of it that the next forward pass is about."""

    def __init__(self, layers: int, *, rows: int, capacity: int) -> None:
        self.roomy = [RoomyLayer(rows, capacity) for _ in range(layers)]
        super().__init__(layers=[*self.roomy])

    def look_at(self, window: slice, length: int) -> None:
        """The next pass is about these rows, whose first ``length`` columns are filled."""
        for layer in self.roomy:
            layer.window, layer.length = window, length

    def begin_with(self, prefix: "RoomyCache") -> None:
        """Every row starts with the one row of ``prefix``."""
        for layer, shared in zip(self.roomy, prefix.roomy, strict=True):
            layer.lazy_initialization(*shared.room)
            for room, states in zip(layer.room, shared.room, strict=True):
                room[:, :, : shared.length] = states[:, :, : shared.length]

    def move(self, source: int, target: int) -> None:
        """Row ``source`` takes the place of row ``target``."""
        for layer in self.roomy:
            for room in layer.room:
                room[target, :, : layer.length] = room[source, :, : layer.length]
