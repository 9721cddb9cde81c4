from pathlib import Path

import yaml

from dfastllm.settings import leaves
from dfastllm.settings_docs import effective_yaml, markdown
from dfastllm.settings_sources import load

PAGE = Path(__file__).parents[3] / "docs" / "08-config.md"


def test_the_reference_page_is_up_to_date() -> None:
    """Renew it with `python -m dfastllm config --markdown > docs/08-config.md`."""
    assert PAGE.read_text() == markdown()


def test_the_page_names_every_setting_in_its_three_spellings() -> None:
    page = markdown()
    for _, leaf, _ in leaves():
        assert f"| `{leaf}` | `--{leaf.replace('_', '-')}` | `DFASTLLM_{leaf.upper()}` |" in page


def test_printed_settings_are_a_file_that_says_the_same(tmp_path: Path) -> None:
    said = load(
        {"port": "9000", "trusted_proxies": "10.0.0.0/8", "served_model_name": "a,b"}, environ={}
    )
    printed = effective_yaml(said)
    assert "  port: 9000  # flag --port\n" in printed
    file = tmp_path / "printed.yaml"
    file.write_text(printed)
    assert load({}, environ={}, config=file).settings == said.settings
    assert set(yaml.safe_load(printed)["server"]) > {"port", "host"}
