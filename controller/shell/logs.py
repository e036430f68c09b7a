"""Logs as JSON lines: time, level, message, and of which job, run and attempt."""

import json
import logging
import sys
from datetime import UTC, datetime

FIELDS = ("job", "run", "attempt", "basemodel", "number")
"""What ``extra`` may say of where a line comes from."""

OF = {
    "FineTuneJob": "job",
    "finetunejobs": "job",
    "BaseModel": "basemodel",
    "basemodels": "basemodel",
}
"""The field for an object that the runtime, which knows no kind of ours, names by ``of``."""

MAX_MESSAGE = 4000


class JsonLines(logging.Formatter):
    """One line, one object; a traceback is a string in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        time = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_MESSAGE],
        }
        kind, name_of_it = getattr(record, "of", ("", ""))
        line |= {OF[kind]: name_of_it} if kind in OF else {}
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(level: str) -> None:
    """Everything goes to standard error; libraries only when something is wrong."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonLines())
    logging.basicConfig(handlers=[lines], level=logging.WARNING, force=True)
    logging.getLogger("controller").setLevel(level.upper())
