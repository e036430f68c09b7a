"""Asks a running stage for its progress. The answer is hostile input: bounded, timed, checked."""

import aiohttp

from controller.core.heard import MAX_PROGRESS_BYTES, Speaker, heard_progress
from trainer.contract.progress import Progress
from trainer.contract.request import StageRequest

TIMEOUT_S = 1.0


async def read_progress(port: int, request: StageRequest) -> Progress | None:
    """The progress of exactly this attempt; None when it cannot be had right now."""
    body = await _get(f"http://127.0.0.1:{port}/progress")
    asked = Speaker(request.job.uid, request.run, request.stage, request.attempt)
    return None if body is None else heard_progress(body, asked)


async def _get(url: str) -> bytes | None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004 - OK
                return None
            return await _bounded(answer.content)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    """The body, or one byte more than is allowed."""
    body = b""
    while len(body) <= MAX_PROGRESS_BYTES:
        chunk = await stream.read(MAX_PROGRESS_BYTES + 1 - len(body))
        if not chunk:
            break
        body += chunk
    return body
