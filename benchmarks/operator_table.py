"""What `operator_cost` found, against the goals and as a table."""

from benchmarks.report import Result, goal

IDLE_MB = 80.0
MANY_MB = 130.0
WRITES_PER_CHANGE = 3.0
DRIFT_P99_S = 1.0


def goals(results: Result) -> Result:
    many = results["many"]
    found = {
        "rss_mb_idle": goal(many["idle"]["rss_mb"], at_most=IDLE_MB),
        "rss_mb_after_cold": goal(many["cold"]["rss_mb"], at_most=MANY_MB),
        "rss_mb_after_restart": goal(many["restart"]["rss_mb"], at_most=MANY_MB),
        "writes_at_restart": goal(many["restart"]["writes"], at_most=0),
    }
    for name in ("many", "ready"):
        part = results[name]
        writes = part["changes"]["ingress.timeout"]["writes"]
        found |= {
            f"{name}_writes_at_rest": goal(part["steady"]["writes"], at_most=0),
            f"{name}_writes_for_two_children": goal(writes, at_most=WRITES_PER_CHANGE),
            f"{name}_drift_p99_s": goal(part["drift"]["p99_s"], at_most=DRIFT_P99_S),
        }
    return found


def table(results: Result) -> str:
    """Markdown: the services alone, and fewer of them with KServe and all."""
    many, ready = results["many"], results["ready"]
    cold, restart = many["cold"], many["restart"]
    rows = [
        ("RSS idle", f"{many['idle']['rss_mb']} MB", ""),
        ("RSS after cold, after a restart", f"{cold['rss_mb']}, {restart['rss_mb']} MB", ""),
        ("cold: until all is applied", f"{cold['seconds']} s", f"{ready['ready_s']} s to Ready"),
        ("cold: time per write against a bare apply", f"{many['bare']['operator_times_bare']}", ""),
        ("cold: CPU per service", f"{cold['cpu_ms_per_service']} ms", ""),
        ("cold: writes per service", _sum(cold), _sum(ready)),
        ("restart: until all are looked at", f"{restart['looked_at_all_s']} s", ""),
        ("restart: writes", f"{restart['writes']}", ""),
        ("at rest: writes, CPU", *(_rest(part["steady"]) for part in (many, ready))),
        *(_change(name, many, ready) for name in many["changes"]),
        ("drift repaired: p50, p99", *(_drift(part["drift"]) for part in (many, ready))),
    ]
    head = ("", f"{cold['services']} services, API server alone", f"{ready['services']}, KServe")
    lines = [head, ("---", "---", "---"), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sum(part: Result) -> str:
    return f"{sum(part['writes_per_service'].values()):.1f}"


def _rest(steady: Result) -> str:
    return f"{steady['writes']}, {steady['cpu_percent']} %"


def _change(name: str, *parts: Result) -> tuple[str, ...]:
    each = [part["changes"][name] for part in parts]
    texts = (f"{change['writes']}, {change['cpu_ms']} ms" for change in each)
    return (f"change of `{name}`: writes, CPU", *texts)


def _drift(drift: Result) -> str:
    return f"{drift['p50_s']} s, {drift['p99_s']} s"
