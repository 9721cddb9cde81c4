import pytest

from dfastllm_operator.sizing.quantity import GI, MI, canonical, memory, shown, value


@pytest.mark.parametrize(
    ("said", "written"),
    [
        # What k8s.io/apimachinery's Quantity makes of it.
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1.1Gi", "1181116006400m"),
        ("1024Mi", "1Gi"),
        ("100000", "100k"),
        ("4000", "4k"),
        ("1000k", "1M"),
        ("0.5Ki", "512"),
        ("2000M", "2G"),
        ("0", "0"),
        ("512", "512"),
        ("0.1m", "100u"),
        ("0.0000001m", "1n"),
        ("1023Ki", "1023Ki"),
        ("1.7Ki", "1740800m"),
        ("1024Pi", "1Ei"),
        ("1000P", "1E"),
    ],
)
def test_a_quantity_is_spelled_as_go_spells_it(said: str, written: str) -> None:
    assert canonical(said) == written


def test_canonical_quantities_compare_by_amount() -> None:
    amounts = ["100u", "500m", "2", "1k", "1Ki", "1M", "1Mi", "1G", "1Gi", "1E", "1Ei"]
    assert sorted(amounts, key=value) == amounts


def test_memory_is_rounded_up_to_round_numbers() -> None:
    assert memory(1) == "256Mi"
    assert memory(GI) == "1Gi"
    assert memory(GI + 1) == "1280Mi"
    assert memory(18 * GI + 1) == "19Gi"


def test_people_read_three_digits() -> None:
    assert [shown(n) for n in (512, 1536, 247 * MI, int(16.11 * GI), 16 * GI, 1500 * GI)] == [
        "512",
        "1.5Ki",
        "247Mi",
        "16.1Gi",
        "16Gi",
        "1500Gi",
    ]
