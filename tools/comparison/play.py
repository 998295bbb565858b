"""Plays scenarios against one program and judges them."""

import asyncio
import os
import time

from model import MAY, Answer, Seen
from wire import LIMIT, Broken, filled, read_response

PATIENCE = max(12, float(os.environ.get("LARDER_TEST_PATIENCE", "0")))
AT_ONCE = 32


class Play:
    """One scenario before one program: what the origin is to say, and what came."""

    def __init__(self, origin, port, scenario, name, pause):
        self.origin, self.port, self.scenario, self.pause = origin, port, scenario, pause
        self.path = f"/c/{name}"
        self.values = {"P": self.path + "/", "H": origin.authority}
        self.scripts, self.step = {}, None
        self.requests, self.served = [], 0
        self.connections, self.seen, self.said = {}, [], []
        self.lasts = 0
        origin.plays[name] = self
        self.name = name

    # ---- the origin's side ----

    def continues(self, _request):
        """Whether the origin asks for the body of a request with Expect."""
        return not (self.step and self.step.refuses)

    def arrived(self, request):
        """Notes a request; the answer and its number."""
        self.requests.append(request)
        path = request.target.partition("://")[2] if "://" in request.target else request.target
        path = path[path.find("/c/"):]
        script = self.scripts.get(path) or self.scripts.get("") or [[Answer(404)], None, None]
        queue, validation, ranged = script
        conditional = request.get("If-None-Match") or request.get("If-Modified-Since")
        if validation is not None and conditional:
            answer = validation
        elif ranged is not None and request.get("Range"):
            answer = ranged
        else:
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
        self.served += 1
        return answer, self.served

    # ---- the client's side ----

    def url(self, step):
        """The request target."""
        return f"{self.path}/{step.sub}"

    def text(self, step):
        """The request in bytes."""
        values = {**self.values, "P": self.url(step)}
        if step.raw is not None:
            return filled(step.raw, values).encode("latin-1")
        fields = [filled(f, values) for f in step.fields]
        names = {f.partition(":")[0].lower() for f in fields}
        if step.body and not names & {"content-length", "transfer-encoding"} or step.method == "POST" and not step.body:
            fields.append(f"Content-Length: {len(step.body)}")
        if "host" not in names:
            fields.insert(0, f"Host: {self.origin.authority}")
        if not step.connection and "connection" not in names:
            fields.append("Connection: close")
        held = step.body if "expect" not in names else b""
        return (f"{step.method} {self.url(step)} HTTP/1.1\r\n" + "".join(f"{f}\r\n" for f in fields) + "\r\n").encode("latin-1") + held

    async def connect(self, step):
        """A connection, and whether it served a request before."""
        kept = self.connections.pop(step.connection, None) if step.connection else None
        if kept and not kept[0].at_eof():
            return *kept, True
        return *await asyncio.open_connection("127.0.0.1", self.port, limit=LIMIT), False

    async def one(self, step, seen):
        """One request and its answer."""
        reader = writer = message = None
        try:
            reader, writer, seen.reused = await self.connect(step)
            writer.write(self.text(step))
            if step.hangs:
                await asyncio.sleep(step.hangs)
            elif any(f.lower().startswith("expect:") for f in step.fields):
                message = await self.expecting(step, seen, reader, writer)
            else:
                message, seen.interim = await asyncio.wait_for(read_response(reader, step.method), PATIENCE)
        except (Broken, ConnectionError, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError) as e:
            self.said.append(f"{type(e).__name__} {e}".strip())
        if step.connection and message is not None and message.whole and not message.closes:
            self.connections[step.connection] = (reader, writer)
        elif writer is not None:
            writer.close()
        seen.answers.append(message)

    async def expecting(self, step, seen, reader, writer):
        """Sends the body when it is asked for, or after a while."""
        waiting = asyncio.ensure_future(read_response(reader, step.method))
        for _ in range(30):
            await asyncio.sleep(0.1)
            if waiting.done() or self.requests and not step.refuses:
                break
        if not waiting.done():
            writer.write(step.body)
        message, seen.interim = await asyncio.wait_for(waiting, PATIENCE)
        return message

    async def run_step(self, step):
        """One step."""
        await asyncio.sleep(step.pause + (self.pause if self.seen else 0) + (self.lasts + 1.3 if self.lasts else 0))
        self.lasts = 0
        if step.origin is not None:
            queue = list(step.origin) if isinstance(step.origin, list) else [step.origin]
            self.scripts[self.url(step)] = self.scripts[""] = [queue, step.validated, step.ranged]
            self.lasts = max(a.lasts for a in queue)
        self.step = step
        begun = len(self.requests)
        seen = Seen(numbers=set(range(1, self.served + 1)), before=list(self.seen), host=self.origin.authority)
        await asyncio.gather(*(self.one(step, seen) for _ in range(step.copies)))
        seen.requests, seen.total = self.requests[begun:], len(self.requests)
        self.seen.append(seen)
        return seen

    async def run(self):
        """The verdict and why."""
        level = self.scenario.level
        good, bad = ("yes", "no") if level == MAY else ("right", "wrong")
        try:
            for at, step in enumerate(self.scenario.steps, 1):
                seen = await self.run_step(step)
                for check in step.checks:
                    if not check.holds(seen):
                        return "untested" if check.given else bad, f"step {at}: not so: {check.name}" + self.tell(seen)
            return good, ""
        finally:
            for _, writer in self.connections.values():
                writer.close()
            # A late request of the program, in the background, finds the script still there.
            self.step = None

    def tell(self, seen):
        """What was seen, in short."""
        what = f"{seen.answer.status}, answer {seen.number}" if seen.answer else "no answer"
        return f" (got {what}; origin got {len(seen.requests)} requests" + (f"; {self.said[-1]}" if self.said else "") + ")"

    def story(self):
        """All that happened, for people."""
        out = []
        for step, seen in zip(self.scenario.steps, self.seen):
            out += ["", "> " + self.text(step).decode("latin-1").replace("\r\n", "\n> ").rstrip("> \n")]
            for r in seen.requests:
                out.append("    origin: " + r.raw.decode("latin-1").replace("\r\n", "\n            "))
            for a in seen.answers:
                body = f"\n< [{a.body[:60]!r}{'' if a.whole else ', cut off'}]" if a else ""
                out.append("< " + (a.raw.decode("latin-1").replace("\r\n", "\n< ") if a else "nothing") + body)
        return "\n".join(out)


async def play_all(origin, server, scenarios, say, stories=False):
    """{name: (verdict, why)}. What is not right is played again with longer pauses, on a URL of its own, and counts as it is then."""
    results, gate = {}, asyncio.Semaphore(AT_ONCE)

    async def one(index, scenario, round_, pause):
        async with gate:
            play = Play(origin, server.port, scenario, f"{server.name}.{int(time.time())}.{round_}.{index}", pause)
            results[scenario.name] = await play.run()
            if stories:
                say(f"==== {server.name} {scenario.name}: {' '.join(results[scenario.name])}\n{play.story()}\n")

    await asyncio.gather(*(one(i, s, 1, 0.15) for i, s in enumerate(scenarios)))
    doubtful = [s for s in scenarios if results[s.name][0] not in ("right", "yes")]
    await asyncio.gather(*(one(i, s, 2, 0.6) for i, s in enumerate(doubtful)))
    return results
