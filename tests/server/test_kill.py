# SPDX-License-Identifier: Apache-2.0
"""An accepted job survives kill -9 at any instant. The real retortd is killed again and again under load, restarted on
its store, and in the end everything is counted. RETORT_KILLS says how often (./test: 40; the promise is 200)."""
import collections
import http.client
import json
import os
import pathlib
import random
import sqlite3
import threading
import time
import uuid

import pytest
from conftest import BIN, Server, wait_for
from leftovers import orphaned_cgroups, processes_with

KILLS = int(os.environ.get("RETORT_KILLS", "40"))
PENDING_MAX = 150  # accepted and not seen done: more would only be waited for at the end
SETTLE_S = 120

# What they print differs each time they run: an outcome that was made twice and read twice would show. They are ended by
# a kill at all stages: before they begin, while they sleep, while their outcome is being stored.
PROGRAMS = [
    ("bash", "echo $1 $SRANDOM"),
    ("bash", "echo $1 $SRANDOM"),
    ("bash", "echo $1 $SRANDOM; read -t 0.05 < <(:) || :; exit 3"),
    ("bash", "for i in 1 2 3; do echo $1 $SRANDOM; /bin/sleep 0.02; done"),
    ("python", "import sys, random\nprint(sys.argv[1], random.random())"),
]


class Load:
    """Clients that do not mind a server that comes and goes, and remember what it promised."""

    def __init__(self, marker):
        self.marker, self.stopping, self.lock = marker, threading.Event(), threading.Lock()
        self.server = None  # the one that lives, or lived last
        self.ids = {}       # job -> the word it must print
        self.by_key = {}    # idempotency key -> (body, id)
        self.first = {}     # job -> its outcome as it was read first
        self.counts = collections.Counter()
        self.wrong = []
        self.random = random.Random()

    def ask(self, method, path, body=None, **headers):
        """(status, JSON), or None where the server died before it had said all of it."""
        server = self.server
        if server is None or not server.port:
            time.sleep(0.005)
            return None
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json",
                       **{name.replace("_", "-"): value for name, value in headers.items()}}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.getheader("Content-Type") == "application/x-ndjson":
                return answer.status, text.decode()
            return answer.status, json.loads(text)
        except (OSError, http.client.HTTPException):
            self.counts["unanswered"] += 1
            time.sleep(0.005)
            return None
        finally:
            connection.close()

    def must(self, good, *words):
        if not good:
            self.wrong.append(" ".join(str(word) for word in words)[:2000])
        return good

    def request(self, word):
        language, code = self.random.choice(PROGRAMS)
        return {"language": language, "code": code, "args": [word, self.marker]}

    def accepted(self, id, word):
        with self.lock:
            self.ids[id] = word
        self.counts["accepted"] += 1

    def post_with_key(self, n):
        """The same request under the same key, until it was answered; now and then once more."""
        key = f"key-{n}"
        body = json.dumps({"request": self.request(key), "priority": self.random.randint(-3, 3)})
        left = 1 + (self.random.random() < 0.3)
        while left and not self.stopping.is_set():
            answer = self.ask("POST", "/v1/jobs", body, Idempotency_Key=key)
            if answer is None or answer[0] in (429, 503):
                continue
            if not self.must(answer[0] == 202, "POST", key, answer):
                return
            id, known = answer[1]["id"], self.by_key.get(key)
            left -= 1
            if known:
                self.counts["retries"] += 1
                self.must(known[1] == id and answer[1]["existed"], "another id for", key, known[1], answer)
            else:
                self.counts["existed"] += answer[1]["existed"]  # kept, but the server died before it could say so
                self.by_key[key] = (body, id)
                self.accepted(id, key)

    def post_batch(self, n):
        words = [f"batch-{n}-{i}" for i in range(self.random.randint(2, 10))]
        answer = self.ask("POST", "/v1/jobs", json.dumps({"jobs": [{"request": self.request(word)} for word in words]}))
        if answer and answer[0] == 202 and self.must(len(answer[1]["jobs"]) == len(words), "a batch of", answer):
            for word, job in zip(words, answer[1]["jobs"]):
                self.accepted(job["id"], word)

    def saw(self, id, job):
        """What was read of a job: once it is done it never changes."""
        self.must(job.get("id") == id, id, "is", job)
        if job["state"] != "done":
            self.must(id not in self.first, id, "was done, and is", job["state"])
            return
        with self.lock:
            first = self.first.setdefault(id, (job["outcome"], job["attempts"], job["finished_at"]))
        self.must(first == (job["outcome"], job["attempts"], job["finished_at"]), id, "changed:", first, job)

    def read(self, id, wait=None):
        answer = self.ask("GET", f"/v1/jobs/{id}" + (f"?wait={wait}" if wait else ""))
        if answer and answer[0] != 503 and self.must(answer[0] == 200, "GET", id, answer):
            self.saw(id, answer[1])

    def read_events(self, id):
        answer = self.ask("GET", f"/v1/jobs/{id}/events", Accept="application/x-ndjson")
        if not answer or answer[0] != 200:
            self.must(not answer or answer[0] == 503, "events of", id, answer)
            return
        lines = answer[1].splitlines()
        last = json.loads(lines[-1]) if lines else {}
        if last.get("type") == "end":  # else the server died, or stopped, in the middle
            with self.lock:
                first = self.first.get(id)
            self.must(first is None or first[0] == last["outcome"], id, "ends otherwise in its events:", first, last)
            self.counts["streams"] += 1

    def pending(self):
        with self.lock:
            return [id for id in self.ids if id not in self.first]

    def one_of(self, ids):
        return self.random.choice(ids) if ids else None

    def post(self, number):
        n = 0
        while not self.stopping.is_set():
            n += 1
            if len(self.ids) - len(self.first) > PENDING_MAX:
                time.sleep(0.02)
            elif n % 10 == 0:
                self.post_batch(f"{number}-{n}")
            else:
                self.post_with_key(f"{number}-{n}")

    def poll(self, _):
        while not self.stopping.is_set():
            with self.lock:
                done = list(self.first)[-300:]
            waiting = self.pending()
            for id in self.random.sample(waiting, min(len(waiting), 20)) + self.random.sample(done, min(len(done), 3)):
                self.read(id)
            time.sleep(0.01)

    def follow(self, _):
        while not self.stopping.is_set():
            id = self.one_of(self.pending())
            if id and self.random.random() < 0.5:
                self.read(id, wait="300ms")
            elif id:
                self.read_events(id)
            self.ask("POST", "/v1/runs", json.dumps(self.request("run")))
            time.sleep(0.01)

    def start(self):
        jobs = [(self.post, 1), (self.post, 2), (self.post, 3), (self.poll, 1), (self.follow, 1), (self.follow, 2)]
        self.threads = [threading.Thread(target=self.guarded, args=job, daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def guarded(self, what, number):
        try:
            what(number)
        except Exception as error:  # a client that dies unseen would make the test say less than it seems to
            self.wrong.append(f"{what.__name__}: {error!r}")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


class Mortal:
    """A server on one store, killed and started again."""

    def __init__(self, folder, marker, mode, load):
        self.folder, self.marker, self.load, self.servers = folder, marker, load, []
        self.words = ["--set", f"jobs.running_at_crash={mode}", "--set", "quotas.requests_per_minute=0", "--set",
                      "log.level=warning"]

    def start(self, wait=True):
        one = Server(self.folder, *self.words, env={"MARKER": self.marker}, wait=wait)
        self.servers.append(one)
        if wait:
            self.load.server = one
        return one

    def kill(self):
        one = self.servers[-1]
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()

    def kill_at_random(self, n):
        """n times: while it serves, or (one time of six) while it starts."""
        for _ in range(n):
            starting = random.random() < 1 / 6
            one = self.start(wait=not starting)
            time.sleep(random.uniform(0, 0.04) if starting else random.uniform(0, 0.5))
            assert one.process.poll() is None, one.errors[-3000:]
            self.kill()
            self.load.counts["kills while starting" if starting else "kills while serving"] += 1


def look_into(path):
    """The store itself: sound, nothing left to do, nothing there twice."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("SELECT count(*) FROM job WHERE state != 2").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM job WHERE seq NOT IN (SELECT seq FROM job_outcome)").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM (SELECT 1 FROM job WHERE idempotency_key IS NOT NULL "
                          "GROUP BY tenant_id, idempotency_key HAVING count(*) > 1)").fetchone() == (0,)
        return dict(db.execute("SELECT id, attempts FROM job"))


def judge(load, mode, attempts):
    """Each accepted job ended once, rightly, or says why not."""
    counts = load.counts
    for id, word in load.ids.items():
        outcome, tries, _ = load.first[id]
        if outcome["status"] == "internal":
            counts["internal"] += 1
            assert "the server died while the job ran" in outcome["message"], outcome
            assert tries == 3 if mode == "rerun" else tries == 1, (tries, outcome)
        else:
            assert outcome["status"] in ("ok", "nonzero") and outcome["id"] == id, outcome
            lines = outcome["stdout"].splitlines()
            assert lines and all(line.split()[0] == word for line in lines), (word, outcome)
        counts["run again"] += tries > 1
        assert attempts[id] == tries
    assert counts["run again"] == 0 or mode == "rerun"  # with `fail` no program was ever begun twice


@pytest.mark.parametrize("mode", ["rerun", "fail"])
def test_nothing_is_lost(tmp_path, mode, capsys):
    if not (BIN / "retortd").exists():
        pytest.skip("there is no retortd in this build")
    kills = (KILLS + 1) // 2
    marker = f"marker-{uuid.uuid4()}"
    mounts, orphans = pathlib.Path("/proc/self/mountinfo").read_text(), orphaned_cgroups()
    load = Load(marker)
    mortal = Mortal(tmp_path, marker, mode, load)
    try:
        load.key = mortal.start().key
        assert load.key
        load.start()
        time.sleep(0.3)
        mortal.kill()
        mortal.kill_at_random(kills - 1)
        last = mortal.start()
        time.sleep(0.3)
        load.stop()
        wait_for(lambda: [load.read(id, wait="1s") for id in load.pending()[:50]] is not None and not load.pending(), SETTLE_S)
        for id in load.ids:  # once more, from a server that ran none of the first ones
            load.read(id)
        for id in random.sample(sorted(load.ids), min(len(load.ids), 100)):
            load.read_events(id)
        for key, (body, id) in random.sample(sorted(load.by_key.items()), min(len(load.by_key), 100)):
            status, said = load.ask("POST", "/v1/jobs", body, Idempotency_Key=key)
            assert status == 202 and said["existed"] and said["id"] == id, (key, id, said)
        wait_for(lambda: last.get("/v1/status", key=load.key).json["jobs_waiting"] == 0 and
                 last.get("/v1/jobs?state=running", key=load.key).json["jobs"] == [], SETTLE_S)  # those not acknowledged
        assert last.stop() == 0, last.errors[-3000:]
    finally:
        load.stopping.set()
        for one in mortal.servers:
            if one.process.poll() is None:
                one.process.kill()
                one.process.wait()
    assert load.wrong == []
    attempts = look_into(tmp_path / "retort.db")
    judge(load, mode, attempts)
    load.counts["kept but not acknowledged"] = len(attempts) - len(load.ids)
    load.counts["done"] = len(load.first)
    assert load.counts["kills while serving"] + load.counts["kills while starting"] + 1 == kills
    assert load.counts["accepted"] == len(load.ids) == load.counts["done"] > kills
    with capsys.disabled():
        print(f"\n{mode}: {kills} kills: " + ", ".join(f"{n} {what}" for what, n in sorted(load.counts.items())))
    wait_for(lambda: not processes_with(marker))
    wait_for(lambda: not orphaned_cgroups() - orphans)
    assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts
