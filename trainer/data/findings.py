"""The data report and its warnings, and when data is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.contract.outcome import DataReport
from trainer.data.duplicates import Mask, NearPairs, Repeats
from trainer.data.intake import Intake
from trainer.data.problems import MAX_SHOWN
from trainer.data.split import TEST, TRAIN, VALIDATION, Codes
from trainer.data.spool import as_keys
from trainer.data.tokenise import TokenCounts

MAX_OVERLAP_PERCENT = 5
MIN_VALIDATION_GROUPS = 30
IMBALANCE_PERCENT = 80
RARE_LABEL_ROWS = 5


@dataclass(frozen=True)
class Findings:
    """Everything the passes found."""

    intake: Intake
    codes: Codes
    keep: Mask
    repeats: Repeats
    near: NearPairs
    overlap: Mask
    counts: TokenCounts
    labels: Mapping[str, int]

    def report(self) -> DataReport:
        """As it is published."""
        rows = self.counts.rows
        errors = self.intake.problems.errors()
        largest = max(self.labels.values(), default=0)
        return DataReport(
            format=self.intake.kind,
            rows=self.intake.rows,
            train_rows=rows["train"],
            validation_rows=rows["validation"],
            test_rows=rows["test"],
            test_groups=self.groups(TEST),
            tokens=self.counts.train_tokens,
            supervised_tokens=self.counts.supervised,
            truncated_rows=self.counts.truncated,
            invalid_rows=len(self.intake.problems.rows),
            error_count=self.intake.problems.count,
            errors=errors[:MAX_SHOWN],
            duplicate_rows=count(self.repeats.duplicates),
            near_duplicate_rows=self.near_duplicates(),
            contradictory_rows=count(self.repeats.contradictions),
            overlap_rows=count(self.overlap),
            labels=len(self.labels),
            largest_label_percent=round(100 * largest / max(1, sum(self.labels.values())), 1),
            warnings=[text[:300] for text in self.warnings()][:MAX_SHOWN],
        )

    def groups(self, code: int) -> int:
        """Distinct groups of a split."""
        return len(np.unique(as_keys(self.intake.spool.groups)[self.keep & (self.codes == code)]))

    def near_duplicates(self) -> int:
        """Rows with nearly the prompt and exactly the answer of an earlier one."""
        answers, pairs = as_keys(self.intake.spool.answers), self.near.pairs
        is_same = answers[pairs[:, 0]] == answers[pairs[:, 1]]
        return len(np.unique(pairs[is_same, 1]))

    def overlap_error(self) -> str | None:
        """Why so much overlap ends the run; None: it is little."""
        overlap = count(self.overlap)
        train = count(self.keep & (self.codes == TRAIN))
        if 100 * overlap <= MAX_OVERLAP_PERCENT * train:
            return None
        return (
            f"spec.dataset: {overlap} of {train} training rows are also in validation or test "
            f"(same group, or nearly the same prompt; first {self._first(self.overlap)}); remove "
            f"them, or set dataset.split.groupBy to a column that keeps related rows together"
        )

    def warnings(self) -> list[str]:
        """What the user should know though it stops nothing."""
        return [text for text in (*self._row_warnings(), *self._label_warnings()) if text]

    def _row_warnings(self) -> list[str]:
        repeats, validation = self.repeats, self.groups(VALIDATION)
        return [
            counted("Invalid rows left out", len(self.intake.problems.rows)),
            counted(
                "Rows with the prompt of another row but another answer",
                count(repeats.contradictions),
                f", first {self._first(repeats.contradictions)}; decide on one answer",
            ),
            counted(
                "Rows that repeat the prompt and answer of an earlier one",
                count(repeats.duplicates),
                f", first {self._first(repeats.duplicates)}",
            ),
            counted("Rows nearly the same as an earlier one", self.near_duplicates()),
            counted(
                "Training rows left out because they are in validation or test, too",
                count(self.overlap),
            ),
            counted(
                "Rows longer than training.maxSequenceTokens, cut there", self.counts.truncated
            ),
            counted("Validation groups, too few to stop early on (30 are needed)", validation)
            if 0 < validation < MIN_VALIDATION_GROUPS
            else "",
            "" if validation else "No validation rows: no early stop, and the last adapter is used",
        ]

    def _label_warnings(self) -> list[str]:
        total = max(1, sum(self.labels.values()))
        percent = 100 * max(self.labels.values(), default=0) / total
        rare = sum(rows < RARE_LABEL_ROWS for rows in self.labels.values())
        return [
            f"Share of the most frequent answer in train: {percent:.0f} %"
            if percent > IMBALANCE_PERCENT
            else "",
            counted(f"Labels with fewer than {RARE_LABEL_ROWS} training rows", rare),
        ]

    def _first(self, mask: Mask) -> str:
        rows = np.flatnonzero(mask)
        spool, problems = self.intake.spool, self.intake.problems
        return problems.where(spool.place(int(rows[0]))) if len(rows) else ""


def count(mask: Mask) -> int:
    """Rows of a mask."""
    return int(np.count_nonzero(mask))


def counted(what: str, number: int, rest: str = "") -> str:
    """A warning with its number; empty for none."""
    return f"{what}: {number}{rest}" if number else ""
