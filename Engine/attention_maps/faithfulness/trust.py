"""Runs the tests of a map, one after the other."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attention_maps.errors import AttentionMapsError, Cancelled, MethodError
from attention_maps.faithfulness import thresholds
from attention_maps.faithfulness.findings import Finding, TrustReport
from attention_maps.faithfulness.subject import INPUT, Subject, part_of
from attention_maps.progress import Progress
from attention_maps.registry import find_method, find_trust_test, split_options, trust_tests
from attention_maps.targets import expand_targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_maps.explainer import Explainer
    from attention_maps.passes import Passes
    from attention_maps.registry import Method, TrustTest
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
    item, chosen, given = _asked(method, layer, tests, seed, options)
    made = session.explain(
        method, layer, target, part_of(report, 0.0, 0.05).callback, batch_size=batch_size,
        **given[item.name],
    )  # fmt: skip
    if isinstance(made, list):
        raise MethodError(f"Expected one question, got {len(made)}: a report is about one map.")
    subject = Subject(session.model, passes, item, given[item.name], made.layer, seed, batch_size)
    subject.map = made
    answer = passes.answer((), Progress(None))
    subject.question = expand_targets(target, answer)[0][0].resolve(answer)
    costs = _costs(subject, chosen, given)
    findings, done, total = [], 0, sum(costs.values())
    for test in chosen:
        begin, done = done, done + costs[test.name]
        start, end = (0.05 + 0.95 * share / total for share in (begin, done))
        subject.report = part_of(report, start, end, test.label)
        subject.report.stage(test.label, 0.0, 0.0, 1)
        findings.append(_find(test, subject, given[test.name]))
    report.finish()
    tested = {
        "seed": seed, "tests": {test.name: given[test.name] for test in chosen}, "passes": costs,
        "thresholds": {name.lower(): value for name, value in vars(thresholds).items()
                       if name.isupper()},
        "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip
    provenance = {**made.provenance, "trust": tested}
    return TrustReport(made, tuple(findings), provenance, session.image)


def count_passes(
    session: Explainer, passes: Passes, method: str, layer: str,
    tests: str | Sequence[str] | None, options: Mapping[str, Any],
) -> dict[str, int]:  # fmt: skip
    """What `Explainer.trust_passes` gives."""
    item, chosen, given = _asked(method, layer, tests, 0, options)
    name = INPUT
    if item.has_layer:
        asked = session.model.spec.layer if layer == "auto" else None
        name = session.model.resolve_layers(asked or layer, session.geometry())[0]
    subject = Subject(session.model, passes, item, given[item.name], name)
    return _costs(subject, chosen, given)


def _costs(
    subject: Subject, chosen: Sequence[TrustTest], given: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    return {test.name: max(1, test.passes(subject, **given[test.name])) for test in chosen}


def _asked(
    method: str, layer: str, tests: str | Sequence[str] | None, seed: int,
    options: Mapping[str, Any],
) -> tuple[Method, list[TrustTest], dict[str, dict[str, Any]]]:  # fmt: skip
    """The method, the tests, and their options by name; those of tests in full."""
    if not isinstance(method, str) or not isinstance(layer, str) or layer == "all":
        raise MethodError("Expected one method and one layer: a report is about one map.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise MethodError(f"Expected the seed to be a whole number of at least 0, got {seed!r}.")
    item, chosen = find_method(method), _tests(tests)
    given = split_options([item, *chosen], options)
    for test in chosen:
        defaults = {name: option.default for name, option in test.options.items()}
        given[test.name] = defaults | given[test.name]
    return item, chosen, given


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
