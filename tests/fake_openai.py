"""A hostile OpenAI-compatible server on loopback, for tests and benchmarks.

Real sockets; every request is appended to a file before it is answered. What happens to a request
is chosen by a script in its text, `[fake: 500 429/0.3 ok]` (one word per attempt, the last one
stays), or by a rule. Words:

    ok           a valid answer                 400 401 ... 503   that status (429/0.3: Retry-After)
    hang         no answer at all               reset             connection reset in mid-body
    close        closed before any byte         halfbody          a body whose JSON is cut off
    html         200, but a page                nochoices         200, a JSON without choices
    empty        an empty text                  fenced prose think   JSON wrapped that way
    cutjson      the answer's JSON is cut off   refusal           the model declines
    wrong duplicate extra                       ids that were not asked for
    noformat     400 while a response_format is sent, then ok;  nobounds: 400 while it has maxLength
    echo         401 that repeats the key       nousage           no token counts
    escaped      the same, JSON-escaped         echo200           an answer that repeats the key
    usage/X      X as the counts of tokens      redirect          307 to `elsewhere`
    counts/JSON  that as the usage              as/STATUS         a valid answer with that status
    packed       an answer in gzip
    deep         nested 100,000 times           huge/MIB bomb/MIB a body of that size, plain or gzip

Run as a program (`python tests/fake_openai.py --log FILE`) it prints its URL and serves on.
"""

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPT = re.compile(r"\[fake: ([^\]]+)\]")
WRAPPED = {
    "fenced": "Here it is:\n```json\n{}\n```\nAnything else?",
    "prose": "Sure! {} I hope this helps {{or not}}.",
    "think": '<think>Maybe {{"a": 1}}? No.</think>\n{}',
}


@dataclass(frozen=True)
class Received:
    """One chat request: its body, which time this very body comes, and its headers."""

    body: dict[str, Any]
    key: str
    attempt: int
    authorization: str = ""

    @property
    def text(self) -> str:
        return "\n".join(message["content"] for message in self.body["messages"])

    @property
    def schema(self) -> dict[str, Any]:
        sent = (self.body.get("response_format") or {}).get("json_schema")
        if sent:
            return sent["schema"]
        found = re.search(r"^(\{.*\"properties\".*\})$", self.text, re.MULTILINE)
        return json.loads(found.group(1)) if found else {"type": "object", "properties": {}}


def scripted(received: Received) -> str:
    """The word for this attempt in the request's own script; `ok` without one."""
    found = SCRIPT.findall(received.text)
    words = found[-1].split() if found else ["ok"]
    return words[min(received.attempt, len(words)) - 1]


def example(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """The smallest value that fits a JSON schema."""
    root = root or schema
    if "$ref" in schema:
        return example(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "anyOf" in schema:
        return example(schema["anyOf"][0], root)
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: example(one, root) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"], root) for _ in range(max(1, schema.get("minItems", 0)))]
    if kind == "string":
        return "text".ljust(schema.get("minLength", 0), "x")
    return {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0)}.get(kind)


def respond(received: Received) -> dict[str, Any]:
    """The default answer: the smallest that fits the schema."""
    return example(received.schema)


@dataclass
class FakeOpenAI:
    """The server; a context manager that serves from a thread of its own.

    Attributes:
        log: file to which every request is appended, a JSON line each.
        rule: chooses the word for a request.
        answer: the right answer to a request, as an object.
        latency: seconds before any answer.
        batch_looks: looks at a batch before it is done.
        elsewhere: address that redirects lead to.
    """

    log: Path
    rule: Callable[[Received], str] = scripted
    answer: Callable[[Received], dict[str, Any]] = respond
    latency: float = 0.0
    batch_looks: int = 2
    port: int = 0
    elsewhere: str = ""
    attempts: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def requests(self) -> list[dict[str, Any]]:
        """Every request so far, from the file; a line that is being written is none yet."""
        if not self.log.exists():
            return []
        complete = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in complete.splitlines()]

    def __enter__(self) -> "FakeOpenAI":
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve_forever(self) -> None:
        self._ready = threading.Event()
        serving = asyncio.create_task(self._run())
        while not self._ready.is_set():
            await asyncio.sleep(0.01)
        print(self.url, flush=True)
        await serving

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client is gone, or the server stops
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: Any, writer: Any) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        headers = dict(
            line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
        )
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if path.endswith("/chat/completions"):
            authorization = re.search(r"(?im)^authorization: (.*?)\r", head)
            return await self._chat(json.loads(body), authorization, writer)
        status, answer = self._batch(method, path.partition("?")[0], headers, body)
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return await _reply(writer, status, raw)

    def _note(self, body: dict[str, Any], authorization: str = "") -> tuple[Received, str]:
        text = json.dumps([body.get("messages"), body.get("max_tokens")], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        self.attempts[key] += 1
        received = Received(body, key, self.attempts[key], authorization)
        word = self.rule(received)
        line = {
            "t": time.time(), "key": key, "attempt": received.attempt, "word": word,
            "in_flight": self.in_flight, "max_tokens": body.get("max_tokens"),
            "format": "response_format" in body, "parameters": sorted(body),
            "last": body["messages"][-1]["content"][-300:],
        }  # fmt: skip
        with self.log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        return received, word

    async def _chat(self, body: dict[str, Any], authorization: Any, writer: Any) -> bool:
        self.in_flight += 1
        try:
            received, word = self._note(body, authorization.group(1) if authorization else "")
            await asyncio.sleep(self.latency)
            if word == "hang":
                await asyncio.sleep(3600)
            if word == "close":
                return False
            status, raw, extra = self.outcome(received, word)
            return await _reply(writer, status, raw, extra, reset=word == "reset")
        finally:
            self.in_flight -= 1

    def outcome(self, received: Received, word: str) -> tuple[int, bytes, str]:
        """Status, body and further headers for a request that met `word`."""
        word, _, argument = word.partition("/")
        for special in (self._rejected, self._hostile):
            if (found := special(received, word, argument)) is not None:
                return found
        if word in {"html", "nochoices"}:
            return 200, b"<html></html>" if word == "html" else b'{"object": "nothing"}', ""
        raw = json.dumps(self._completion(received, word)).encode()
        return 200, raw[: len(raw) // 2] if word == "halfbody" else raw, ""

    def _rejected(
        self, received: Received, word: str, argument: str
    ) -> tuple[int, bytes, str] | None:
        if word == "noformat" and "response_format" in received.body:
            return 400, b'{"error": {"message": "response_format is not supported"}}', ""
        if word == "nobounds" and "maxLength" in json.dumps(received.body.get("response_format")):
            return 400, b'{"error": {"message": "Invalid schema: maxLength is not permitted"}}', ""
        if word == "echo":
            message = f"Incorrect API key provided: {received.authorization}"
            return 401, json.dumps({"error": {"message": message}}).encode(), ""
        if word.isdigit():
            wait = f"retry-after: {argument}\r\n" if argument else ""
            return int(word), json.dumps({"error": {"message": f"status {word}"}}).encode(), wait
        return None

    def _hostile(
        self, received: Received, word: str, argument: str
    ) -> tuple[int, bytes, str] | None:
        if word == "escaped":
            escaped = "".join(f"\\u{ord(one):04x}" for one in received.authorization)
            return 401, f'{{"error": {{"message": "no such key: {escaped}"}}}}'.encode(), ""
        if word == "redirect":
            return 307, b"", f"location: {self.elsewhere}/chat/completions\r\n"
        if word == "deep":
            return 200, b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""
        if word == "huge":
            return 200, b" " * (2**20 * int(argument)), ""
        if word == "bomb":
            packed = gzip.compress(b" " * (2**20 * int(argument)), 1)
            return 200, packed, "content-encoding: gzip\r\n"
        return self._odd(self._completion(received, word), received, word, argument)

    @staticmethod
    def _odd(
        completion: dict[str, Any], received: Received, word: str, argument: str
    ) -> tuple[int, bytes, str] | None:
        if word == "packed":
            packed = gzip.compress(json.dumps(completion).encode())
            return 200, packed, "content-encoding: gzip\r\n"
        if word == "echo200":
            completion["choices"][0]["message"]["content"] = f"Key {received.authorization}"
            return 200, json.dumps(completion).encode(), ""
        if word == "counts":
            return 200, json.dumps(completion | {"usage": json.loads(argument)}).encode(), ""
        if word == "as":
            return int(argument), json.dumps(completion).encode(), ""
        if word == "usage":
            told = rf'"\1_tokens": {argument}'
            counts = r'"(prompt|completion)_tokens": \d+'
            return 200, re.sub(counts, told, json.dumps(completion)).encode(), ""
        return None

    def _completion(self, received: Received, word: str) -> dict[str, Any]:
        value = _with_ids(self.answer(received), word)
        text = WRAPPED.get(word, "{}").format(json.dumps(value))
        cut = word == "cutjson"
        if cut:
            text = text[: 2 * len(text) // 3]
        message = {"role": "assistant", "content": "" if word == "empty" else text}
        if word == "refusal":
            message = {"role": "assistant", "content": None, "refusal": "I cannot do that."}
        tokens = {"prompt_tokens": len(received.text) // 4, "completion_tokens": len(text) // 4 + 1}
        tokens["total_tokens"] = sum(tokens.values())
        completion = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "usage": tokens,
            "model": received.body["model"],
            "choices": [
                {"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}
            ],
        }  # fmt: skip
        if word == "nousage":
            del completion["usage"]
        return completion

    def _batch(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        parts = path.removeprefix("/v1/").strip("/").split("/")
        if parts[0] == "files" and method == "POST":
            boundary = headers["content-type"].partition("boundary=")[2].encode()
            found = [part for part in body.lower().split(b"--" + boundary) if b"filename=" in part]
            start = body.lower().index(found[0]) + found[0].index(b"\r\n\r\n") + 4
            name = f"file-{len(self.files) + 1}"
            self.files[name] = body[start:].partition(b"\r\n--")[0]
            return 200, _file(name)
        if parts[0] == "files":
            return 200, self.files[parts[1]] if len(parts) > 2 else _file(parts[1])
        if method == "POST":
            return 200, self._new_batch(json.loads(body))
        if len(parts) > 1:
            return 200, self._look(self.batches[parts[1]])
        return 200, {"object": "list", "data": list(self.batches.values()), "has_more": False}

    def _new_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = f"batch_{len(self.batches) + 1}"
        self.batches[name] = {
            "id": name, "object": "batch", "endpoint": asked["endpoint"], "created_at": 1,
            "input_file_id": asked["input_file_id"], "completion_window": "24h",
            "status": "in_progress", "metadata": asked.get("metadata"),
        }  # fmt: skip
        return self.batches[name]

    def _look(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.attempts[batch["id"]] += 1
        if batch["status"] == "in_progress" and self.attempts[batch["id"]] >= self.batch_looks:
            made = [
                self._line(json.loads(one))
                for one in self.files[batch["input_file_id"]].splitlines()
            ]
            self.files[f"{batch['id']}-out"] = b"\n".join(line for line in made if line)
            batch |= {"status": "completed", "output_file_id": f"{batch['id']}-out"}
        return batch

    def _line(self, line: dict[str, Any]) -> bytes:
        received, word = self._note(line["body"])
        if word == "lost":
            return b""
        if word.startswith("huge/"):
            return b" " * (int(word[5:]) << 20)
        status, raw, _ = self.outcome(received, word)
        response = {"status_code": status, "request_id": "r", "body": json.loads(raw)}
        made = {"id": "l", "custom_id": line["custom_id"], "response": response, "error": None}
        return json.dumps(made).encode()


def _file(name: str) -> dict[str, Any]:
    return {
        "id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "f.jsonl",
        "purpose": "batch", "status": "processed",
    }  # fmt: skip


def _with_ids(value: dict[str, Any], word: str) -> dict[str, Any]:
    for name, rows in value.items():
        if word in {"wrong", "duplicate", "extra"} and isinstance(rows, list) and rows:
            if word == "wrong":
                rows = [{**rows[0], "id": "no such id"}, *rows[1:]]
            else:
                more = rows[0] if word == "duplicate" else {**rows[0], "id": "one too many"}
                rows = [*rows, more]
            return {**value, name: rows}
    return value


async def _reply(
    writer: Any, status: int, raw: bytes, extra: str = "", *, reset: bool = False
) -> bool:
    head = f"HTTP/1.1 {status} Fake\r\ncontent-type: application/json\r\n{extra}"
    writer.write(f"{head}content-length: {len(raw)}\r\n\r\n".encode())
    if reset:
        writer.write(raw[: len(raw) // 2])
        await writer.drain()
        writer.transport.abort()
        return False
    writer.write(raw)
    await writer.drain()
    return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    asked = parser.parse_args()
    server = FakeOpenAI(asked.log, latency=asked.latency, port=asked.port)
    asyncio.run(server.serve_forever())


if __name__ == "__main__":
    main()
