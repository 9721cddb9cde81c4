"""A page of metrics as text, read into points. Pure.

Only lines that an analysis needs go to the parser: of the page of a model server that is a third.
"""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from dfastllm_operator.analysis.series import NAMES, Flaw, Point, Unusable


def points(page: bytes) -> Iterator[Point]:
    """The samples of a page in Prometheus' text format; Unusable where it is something else."""
    try:
        lines = [line for line in page.decode().splitlines() if line.startswith(NAMES)]
        # Without its HELP and TYPE lines each sample is a family of its own, named as it is.
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                yield Point(sample.name, sample.labels, float(sample.value))
    except ValueError as error:
        raise Unusable(Flaw.MALFORMED, f"the page is not in the text format: {error}") from None
