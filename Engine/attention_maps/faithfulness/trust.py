"""Runs the tests of a map, one after the other."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attention_maps.errors import AttentionMapsError, Cancelled, MethodError
from attention_maps.faithfulness import thresholds
from attention_maps.faithfulness.findings import Finding, TrustReport
from attention_maps.faithfulness.subject import Subject, part_of
from attention_maps.registry import find_method, find_trust_test, split_options, trust_tests
from attention_maps.targets import expand_targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_maps.explainer import Explainer
    from attention_maps.passes import Passes
    from attention_maps.progress import Progress
    from attention_maps.registry import TrustTest
    from attention_maps.types import ProgressCallback

NO_EVIDENCE = "the map is zero everywhere: there is nothing to test"


def trust(
    model: Any,
    image: Any,
    method: str = "grad_cam",
    layer: str = "auto",
    target: Any = None,
    *,
    tests: str | Sequence[str] | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    spec: Any = None,
    device: Any = "auto",
    batch_size: int | None = None,
    **options: Any,
) -> TrustReport:
    """Make a map and test whether it can be trusted.

    Args:
        model: A LoadedModel, or what `load_model` takes.
        image: An Image, a path, a list of paths (one per channel), or an array (C, *spatial).
        method: Name of the method.
        layer: Name of a layer, "auto" or "auto:bottleneck".
        target: What is asked, one question; None for the likeliest class.
        tests: Names of tests (`attention_maps.trust_tests()` lists them); None for all.
        seed: Of random weights, maps and noise.
        progress: Called with a fraction in 0..1 and a message; returning False cancels.
        spec: What the network expects, where `model` is not loaded yet.
        device: Where it runs, where `model` is not loaded yet.
        batch_size: Inputs per batch; None for as many as fit.
        options: Options of the method and of the tests.

    Returns:
        The map, and one finding per test.

    Raises:
        AttentionMapsError: One of its kinds, saying what was expected, what came, what to do.
    """
    from attention_maps.explainer import Explainer

    session = Explainer(model, image, spec=spec, device=device)
    return session.trust(
        method, layer, target, tests=tests, seed=seed, progress=progress, batch_size=batch_size,
        **options,
    )  # fmt: skip


def examine(
    session: Explainer, passes: Passes, method: str, layer: str, target: Any,
    tests: str | Sequence[str] | None, seed: int, report: Progress, batch_size: int | None,
    options: Mapping[str, Any],
) -> TrustReport:  # fmt: skip
    """What `Explainer.trust` does, with how the image goes through the network."""
    started = time.perf_counter()
    subject, chosen, given = _prepare(
        session, passes, method, layer, target, tests, seed, report, batch_size, options
    )
    costs = [max(1, item.passes(subject, **given[item.name])) for item in chosen]
    share, total = report.fraction, sum(costs)
    findings = []
    for item, cost in zip(chosen, costs, strict=True):
        end = share + (1 - report.fraction) * cost / total
        subject.report = part_of(report, share, end)
        findings.append(_find(item, subject, given[item.name]))
        share = end
    report.finish()
    limits = {name.lower(): value for name, value in vars(thresholds).items() if name.isupper()}
    tested = {
        "seed": seed, "tests": given, "passes": total, "thresholds": limits,
        "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip
    provenance = {**subject.map.provenance, "trust": tested}
    return TrustReport(subject.map, tuple(findings), provenance, session.image)


def _prepare(
    session: Explainer, passes: Passes, method: str, layer: str, target: Any,
    tests: str | Sequence[str] | None, seed: int, report: Progress, batch_size: int | None,
    options: Mapping[str, Any],
) -> tuple[Subject, list[TrustTest], dict[str, dict[str, Any]]]:  # fmt: skip
    """The map, the tests, and their options in full."""
    if not isinstance(method, str) or not isinstance(layer, str) or layer == "all":
        raise MethodError("Expected one method and one layer: a report is about one map.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise MethodError(f"Expected the seed to be a whole number of at least 0, got {seed!r}.")
    item, chosen = find_method(method), _tests(tests)
    split = split_options([item, *chosen], options)
    part = part_of(report, 0.0, 0.05)
    made = session.explain(
        method, layer, target, part.callback, batch_size=batch_size, **split[item.name]
    )
    if isinstance(made, list):
        raise MethodError(f"Expected one question, got {len(made)}: a report is about one map.")
    report.stage("Testing the map", 0.05, 0.05, 1)
    answer = passes.answer((), part_of(report, 0.05, 0.05))
    question = expand_targets(target, answer)[0][0].resolve(answer)
    subject = Subject(
        session.model, passes, made, item, split[item.name], question, seed, batch_size
    )
    given = {
        test.name: {name: option.default for name, option in test.options.items()}
        | split[test.name]
        for test in chosen
    }
    return subject, chosen, given


def _tests(names: str | Sequence[str] | None) -> list[TrustTest]:
    if names is None:
        return list(trust_tests().values())
    chosen = [find_trust_test(name) for name in ([names] if isinstance(names, str) else names)]
    if not chosen:
        raise MethodError("Expected at least one test, got an empty list.")
    return chosen


def _find(item: TrustTest, subject: Subject, options: Mapping[str, Any]) -> Finding:
    """What a test finds; where it cannot be done, why."""
    if not subject.map.has_evidence:
        return _not_tested(item, NO_EVIDENCE)
    try:
        found: Finding = item.function(subject, **options)
    except Cancelled:
        raise
    except AttentionMapsError as error:
        if isinstance(error, ImportError):  # a package is missing, which is easily helped
            raise
        return _not_tested(item, str(error))
    return replace(found, label=item.label, reference=item.reference)


def _not_tested(item: TrustTest, reason: str) -> Finding:
    reason = reason.rstrip(".")
    return Finding(
        item.name, item.label, "not tested", f"Not tested: {reason}.", reason=reason,
        reference=item.reference,
    )  # fmt: skip
