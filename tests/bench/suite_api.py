"""The REST API under two web workers, row-level security on, at two sizes, with a second organisation beside.

Figures: list_ms, filter_ms, search_ms, detail_ms, create_ms, transition_ms; parameters rows (of signals, candidates and
pursuits each, per organisation), clients (concurrent connections), stat (p50, p95). Times are taken at the client, from
the first byte sent to the last byte read. Lists are pages of 50.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from flowledger.embedded.servers import EmbeddedServers
from tests.bench.figures import Figures

ROOT = Path(__file__).resolve().parents[2]
SIZES = (1_000, 100_000)
CLIENTS = (1, 4)
REQUESTS = 300
SEED = 7
WEB = "-m gunicorn flowledger.wsgi --workers 2 --worker-class gthread --threads 2 --keep-alive 30 --log-level warning"

Request = tuple[str, str, dict[str, Any] | None]


def run(figures: Figures, *, quick: bool) -> None:
    sizes = (200, 1_000) if quick else SIZES
    requests = 40 if quick else REQUESTS
    for rows in sizes:
        print(f"== {rows:,} signals, candidates and pursuits in each of two organisations", flush=True)
        with tempfile.TemporaryDirectory(prefix="flowledger-bench-") as directory, application(Path(directory)) as app:
            measure(figures, app, rows=rows, requests=requests)


def measure(figures: Figures, app: Application, *, rows: int, requests: int) -> None:
    began = time.perf_counter()
    fill(app.database_url, app.org_id, rows)
    fill(app.database_url, app.other_org_id, rows)
    print(f"   filled in {time.perf_counter() - began:.1f} s", flush=True)
    chance = random.Random(SEED)
    ids = app.first_ids()
    kinds = ("signals", "candidates", "pursuits")

    def reading(make: Callable[[str], str]) -> Callable[[int], list[Request]]:
        return lambda count: [("GET", make(kinds[n % 3]), None) for n in range(count)]

    filters = {
        "signals": lambda: f"source_type={chance.choice(['email', 'web_form', 'ad'])}&disposition=new",
        "candidates": lambda: f"status=triaged&value_band={chance.choice(['low', 'med', 'high'])}",
        "pursuits": lambda: f"stage={chance.choice(['qual', 'pink', 'qual,pink'])}",
    }

    def word() -> str:
        # A third in one row, a third in one row of fifty, a third in every fourth.
        rare, uncommon = f"ref{chance.randrange(rows) + 1:07d}", f"topic{chance.randrange(50)}"
        return chance.choice([rare, uncommon, chance.choice(SECTORS)])

    plans: dict[str, Callable[[int], list[Request]]] = {
        "list_ms": reading(lambda kind: f"/api/{kind}?page={chance.randrange(1, 4)}"),
        "filter_ms": reading(lambda kind: f"/api/{kind}?{filters[kind]()}"),
        "search_ms": reading(lambda kind: f"/api/{kind}?q={word()}"),
        "detail_ms": reading(lambda kind: f"/api/{kind}/{ids[kind] + chance.randrange(rows)}"),
    }
    for clients in CLIENTS:
        for figure, plan in plans.items():
            app.play(plan(60), clients=clients)  # warm
            figures.add_times(figure, app.play(plan(requests), clients=clients), rows=rows, clients=clients)
    new_candidates = app.new_candidates()
    for clients in CLIENTS:
        app.play([creation(chance) for _ in range(20)], clients=clients)
        creations = [creation(chance) for _ in range(requests)]
        figures.add_times("create_ms", app.play(creations, clients=clients), rows=rows, clients=clients)
        moves = [("POST", f"/api/candidates/{next(new_candidates)}/triage", {}) for _ in range(min(requests, 100))]
        figures.add_times("transition_ms", app.play(moves, clients=clients), rows=rows, clients=clients)


SECTORS = ("logistics", "healthcare", "finance", "retail")


def creation(chance: random.Random) -> Request:
    """A signal from one of many senders, some of them known by then."""
    number = chance.randrange(2_000)
    return (
        "POST",
        "/api/signals",
        {
            "source_type": "web_form",
            "snippet": f"We need help with topic{number % 50} before the end of the quarter.",
            "contact_email": f"person{number}@company{number % 700}.example.com",
            "contact_name": f"Person {number}",
            "company_name": f"Company {number % 700}",
            "attributes": {"industry": chance.choice(SECTORS)},
        },
    )


def fill(database_url: str, org_id: int, rows: int) -> None:
    """Rows of one organisation, made in SQL through the same policies: spread over states, owners and a year."""
    sectors = "(ARRAY['" + "','".join(SECTORS) + "'])[1 + n %% 4]"
    text = f"{sectors} || ' topic' || (n %% 50) || ' ref' || lpad(n::text, 7, '0') || ' asks for an offer'"
    base = "org_id, created_at, updated_at, row_version"
    stamps = "%(org)s, now() - n * interval '1 minute', now(), 1"
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT set_config('role', 'flowledger_tenant', true)")
        connection.execute("SELECT set_config('flowledger.org_id', %s, true)", [str(org_id)])
        parameters = {"org": org_id, "rows": rows, "clients": max(rows // 20, 1)}
        connection.execute(
            f"""INSERT INTO clients_client ({base}, name, domain, industry, size_band, country, is_active, attributes)
                SELECT {stamps}, 'Company ' || n, 'company' || n || '.example', {sectors}, '', '', true, '{{}}'
                FROM generate_series(1, %(clients)s) n""",
            parameters,
        )
        connection.execute(
            f"""INSERT INTO workstream_signal ({base}, source_type, source_ref, ts, snippet, problem_phrase,
                    solution_hint, contact_email, contact_phone, contact_name, company_name, company_domain,
                    attributes, identity_resolution, disposition, reject_reason)
                SELECT {stamps}, (ARRAY['email','web_form','ad','call'])[1 + n %% 4], 'ref-' || n,
                    now() - n * interval '5 minutes', {text}, '', '', 'person' || n || '@example.com', '',
                    'Person ' || n, 'Company ' || (n %% 500), '', '{{}}',
                    '{{"status": "linked", "contact_id": null, "client_id": null, "confidence_score": 1, "rules": []}}',
                    CASE WHEN n %% 3 = 0 THEN 'linked' ELSE 'new' END, ''
                FROM generate_series(1, %(rows)s) n""",
            parameters,
        )
        connection.execute(
            f"""INSERT INTO workstream_candidate ({base}, client_id, title, one_liner_scope, confidence, value_band,
                    currency, next_step, status, hold_reason, archive_reason, last_touch_at, state_entered_at,
                    icp_band, promoted_at)
                SELECT {stamps}, (SELECT min(id) FROM clients_client WHERE org_id = %(org)s) + n %% %(clients)s,
                    {text}, 'scope ' || n, 0.5, (ARRAY['low','med','high'])[1 + n %% 3], 'USD', '', state, '', '',
                    now() - n * interval '1 minute', now() - n * interval '1 minute', '',
                    CASE WHEN state = 'promoted' THEN now() END
                FROM generate_series(1, %(rows)s) n
                CROSS JOIN LATERAL (SELECT CASE WHEN n %% 2 = 0 THEN 'promoted'
                    WHEN n <= 2000 AND n %% 4 = 1 THEN 'new' ELSE 'triaged' END AS state) s""",
            parameters,
        )
        # Every candidate has its pursuit, so that there are as many; the odd ones are triaged again for the filters.
        connection.execute(
            f"""INSERT INTO workstream_pursuit ({base}, candidate_id, client_id, title, due_date, stage,
                    forecast_value, currency, probability, pink_done, pink_required, red_done, red_required,
                    compliance_score, cost_hours, cost_amount, outcome_reason, last_touch_at, state_entered_at)
                SELECT {stamps}, c.id, c.client_id, c.title, current_date + n %% 90, (ARRAY['qual','pink'])[1 + n %% 2],
                    1000 + n, 'USD', 0.5, 1, 4, 0, 4, 0.125, 0, 0, '', now(), now()
                FROM (SELECT *, row_number() OVER (ORDER BY id)::int AS n
                      FROM workstream_candidate WHERE org_id = %(org)s) c""",
            parameters,
        )
        connection.execute(
            """INSERT INTO workstream_tag (org_id, created_at, updated_at, row_version, name)
               SELECT %(org)s, now(), now(), 1, 'tag' || n FROM generate_series(1, 20) n""",
            parameters,
        )
        for item in ("candidate", "pursuit"):
            connection.execute(
                f"""INSERT INTO workstream_{item}tag (org_id, created_at, updated_at, row_version, {item}_id, tag_id)
                    SELECT %(org)s, now(), now(), 1, i.id,
                        (SELECT min(id) FROM workstream_tag WHERE org_id = %(org)s) + i.id %% 20
                    FROM workstream_{item} i WHERE i.org_id = %(org)s""",
                parameters,
            )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


class Application:
    """The application on its own servers: two organisations, two web workers, one administrator's token."""

    def __init__(self, environment: dict[str, str], port: int) -> None:
        self.environment = environment
        self.port = port
        self.database_url = environment["DATABASE_URL"]
        self.org_id = self.manage("bootstrap_org", "Bench", "--username", "bench", "--password", "bench-password")[
            "org_id"
        ]
        other = self.manage("bootstrap_org", "Beside", "--username", "beside", "--password", "bench-password")
        self.other_org_id = other["org_id"]
        self.token = ""

    def manage(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True)
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if words[0] == "bootstrap_org" else {}
        return answer

    def sign_in(self) -> None:
        status, answer = self.ask(
            self.connect(), "POST", "/api/auth/token", {"username": "bench", "password": "bench-password"}
        )
        assert status == 200, answer
        self.token = json.loads(answer)["access"]

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        payload = None if body is None else json.dumps(body)
        if payload is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def play(self, requests: list[Request], *, clients: int) -> list[float]:
        """Seconds per request, `clients` of them in flight; any answer but success ends the benchmark."""
        times: list[float] = []
        errors: list[str] = []
        queue = iter(requests)
        lock = threading.Lock()

        def client() -> None:
            connection = self.connect()
            while not errors:
                with lock:
                    request = next(queue, None)
                if request is None:
                    return
                began = time.perf_counter()
                status, answer = self.ask(connection, *request)
                times.append(time.perf_counter() - began)
                if status not in {200, 201}:
                    errors.append(f"{request[0]} {request[1]} → {status}: {answer[:500]!r}")

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise SystemExit(errors[0])
        return times

    def first_ids(self) -> dict[str, int]:
        """The smallest id of each kind; the rows of an organisation were inserted in one go."""
        with self._scoped() as connection:
            return {
                f"{kind}s": int(connection.execute(f"SELECT min(id) FROM workstream_{kind}").fetchone()[0])
                for kind in ("signal", "candidate", "pursuit")
            }

    def new_candidates(self) -> Iterator[int]:
        """Candidates that can be triaged."""
        with self._scoped() as connection:
            found = connection.execute(
                "SELECT id FROM workstream_candidate WHERE status = 'new' ORDER BY id LIMIT 1000"
            )
            return iter([row[0] for row in found])

    @contextmanager
    def _scoped(self) -> Iterator[Any]:
        with psycopg.connect(self.database_url) as connection:
            connection.execute("SELECT set_config('role', 'flowledger_tenant', true)")
            connection.execute("SELECT set_config('flowledger.org_id', %s, true)", [str(self.org_id)])
            yield connection


@contextmanager
def application(directory: Path) -> Iterator[Application]:
    with EmbeddedServers(directory / "data", durable=True) as servers:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            **os.environ,
            **servers.environment,
            "THROTTLE_USER_PER_MINUTE": "0",
            "THROTTLE_ADDRESS_PER_MINUTE": "0",
            "LOG_LEVEL": "WARNING",
        }
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=environment, check=True
        )
        app = Application(environment, port)
        web = subprocess.Popen(
            [sys.executable, *WEB.split(), f"--bind=127.0.0.1:{port}"],
            cwd=ROOT,
            env=environment,
        )
        try:
            _wait_for(port)
            app.sign_in()
            yield app
        finally:
            web.terminate()
            web.wait(timeout=30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The web workers did not come up.")
