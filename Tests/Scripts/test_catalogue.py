"""Scripts/import-models.py on lists of a few models: `python3 -m unittest discover -s Tests/Scripts`."""
import json
import subprocess
import sys
import tempfile
import unittest
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Scripts"))
from catalogue import files, genai, litellm, openrouter, prices  # noqa: E402

PROVIDER = """# Groq.
name: groq
adaptor: openai
base_url: https://api.groq.example/v1
endpoints: { chat: true, transcriptions: true, models: true }   # by hand
models:
  - id: old
    context_length: 1
    endpoints: [chat]
    price: { input: "9", output: "9" }
  - id: openai/both
    display_name: "Its name"
    endpoints: [chat]
    price: { input: "9", output: "9" }
"""
GENAI = """
providers: list[Provider] = [
    Provider(id='groq', models=[
        ModelInfo(id='openai/both', match=ClauseStartsWith(starts_with='openai/both'), name='Both', context_window=1000,
            prices=[ConditionalPrice(constraint=None, prices=ModelPrice(input_mtok=Decimal('9'), output_mtok=Decimal('9'))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 2, 1)), prices=ModelPrice(
                    input_mtok=TieredPrices(base=Decimal('0.2'), tiers=[Tier(start=200000, price=Decimal('0.4'))]),
                    output_mtok=Decimal('1')))],
            price_variants=[PriceVariant(when={'processing': 'batch'}, prices=ModelPrice(input_mtok=Decimal('0.1'),
                output_mtok=Decimal('0.5')), constraint=StartDateConstraint(start_date=datetime.date(2026, 2, 1)))])])]
"""


def token(**figures) -> dict:
    return {"litellm_provider": "groq", "mode": "chat", **figures}


LITELLM = {
    "groq/openai/both": token(input_cost_per_token="1e-07", output_cost_per_token="0.000001", cache_read_input_token_cost="5e-08",
                              max_input_tokens=128000, max_output_tokens=8192, supports_reasoning=True),
    "groq/retired": token(input_cost_per_token="1e-06", output_cost_per_token="1e-06", deprecation_date="2026-05-01"),
    "groq/nothing": token(input_cost_per_token="0.0", output_cost_per_token="0"),
    "groq/film": {"litellm_provider": "groq", "mode": "video_generation", "output_cost_per_second": "0.1"},
    "groq/ear": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": "3.083e-05"},
    "groq/mouth": {"litellm_provider": "groq", "mode": "audio_speech", "input_cost_per_character": "2.2e-05"},
    "other/model": {"litellm_provider": "other", "mode": "chat", "input_cost_per_token": "1", "output_cost_per_token": "1"},
}  # yapf: disable


def written(figures: dict) -> str:
    """As JSON numbers, which must be read by their text."""
    text = json.dumps(figures)
    for entry in figures.values():
        for key, value in entry.items():
            if "cost" in key:
                text = text.replace(json.dumps(value), value)
    return text


class ScriptTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("providers", "docs", "data"):
            (self.root / name).mkdir()
        self.file = self.root / "providers" / "groq.yaml"
        self.file.write_text(PROVIDER, encoding="utf-8")
        (self.root / "data" / "litellm-prices.json").write_text(written(LITELLM), encoding="utf-8")
        (self.root / "data" / "data.py").write_text(GENAI, encoding="utf-8")

    def run_script(self, *arguments: str, day: str = "2026-11-29") -> int:
        command = [sys.executable, str(ROOT / "Scripts" / "import-models.py"), "--root", str(self.root), "--day", day]
        return subprocess.run([*command, "--data", str(self.root / "data"), *arguments], stdout=subprocess.DEVNULL, check=False).returncode

    def test_a_file_is_renewed_once_and_keeps_what_people_wrote(self):
        self.assertEqual(self.run_script("--check"), 1)
        self.assertEqual(self.file.read_text(encoding="utf-8"), PROVIDER)
        self.assertEqual(self.run_script(), 0)
        text = self.file.read_text(encoding="utf-8")
        head, models = text.split("models:\n")
        self.assertTrue(head.startswith(PROVIDER.split("models:")[0]))
        self.assertIn("of 2026-11-29", head)
        self.assertEqual(models, """\
  - id: ear
    endpoints: [transcriptions]
    price: { input: "0", output: "0", audio_second: "0.00003083" }
  - id: openai/both
    display_name: "Its name"
    context_length: 128000
    max_output_tokens: 8192
    endpoints: [chat]
    reasoning: true
    price: { input: "0.2", output: "1", cache_read: "0.05", tiers: [{ above: 200000, input: "0.4", output: "1", cache_read: "0.1" }], \
service_tiers: { batch: { input: "0.1", output: "0.5", cache_read: "0.025", tiers: [{ above: 200000, input: "0.2", output: "0.5", \
cache_read: "0.05" }] } } }
""")
        self.assertEqual(self.run_script("--check"), 0)
        # A later day alone is no change.
        self.assertEqual(self.run_script("--check", day="2026-12-24"), 0)
        report = (self.root / "docs" / "catalogue.md").read_text(encoding="utf-8")
        self.assertIn("| `groq` | 2 | 1 chat, 1 transcriptions | 2026-11-29 | litellm and genai-prices |", report)
        self.assertIn("| `groq` | `openai/both` | input | 0.1 | 0.2 |", report)
        self.assertIn("| `groq` | `openai/both` | above 200000: input | – | 0.4 |", report)
        self.assertIn("- `groq`: `nothing`", report)
        self.assertIn("1 of `groq`", report)

    def test_a_price_that_changes_is_a_new_day(self):
        self.run_script()
        changed = {**LITELLM, "groq/ear": {**LITELLM["groq/ear"], "input_cost_per_second": "0.0001"}}
        (self.root / "data" / "litellm-prices.json").write_text(written(changed), encoding="utf-8")
        self.assertEqual(self.run_script("--check", day="2026-12-24"), 1)
        self.run_script(day="2026-12-24")
        text = self.file.read_text(encoding="utf-8")
        self.assertIn("of 2026-12-24", text)
        self.assertNotIn("2026-11-29", text)
        self.assertIn('audio_second: "0.0001"', text)

    def test_the_day_of_the_list_decides_what_is_retired(self):
        self.run_script(day="2026-04-30")
        self.assertIn("id: retired", self.file.read_text(encoding="utf-8"))


class PriceTests(unittest.TestCase):
    def test_figures_are_exact_and_the_noise_of_floats_is_not_kept(self):
        figures = {"8.900000000000001e-07": "0.89", "1e-07": "0.1", "0.0000000170301": "0.0170301", "2.5e-6": "2.5", "30": "30000000"}
        for given, text in figures.items():
            self.assertEqual(prices.text(prices.per_million(Decimal(given))), text)
        # What is finer than the gateway keeps is rounded up.
        self.assertEqual(prices.text(prices.per_million("8.333333333333334e-08")), "0.083333334")

    def test_the_dearer_of_two_figures_wins_and_rounding_is_no_dispute(self):
        left = prices.Price(prices.Rates({"input": Decimal("0.0833"), "output": Decimal(2), "cache_read": Decimal(1)}))
        right = prices.Price(prices.Rates({"input": Decimal("0.08333"), "output": Decimal(3), "cache_read": Decimal("0.5")}))
        price, apart = prices.merged(left, right)
        self.assertEqual(price.rates.base, {"input": Decimal("0.0833"), "output": Decimal(3), "cache_read": Decimal(1)})
        self.assertEqual([path for path, *_ in apart], ["output", "cache_read"])

    def test_a_tier_from_a_number_on_is_the_one_above_it(self):
        left, right = (prices.Price(prices.Rates({"input": Decimal(1)}, {above: {"input": Decimal(2)}})) for above in (200_000, 199_999))
        price, apart = prices.merged(left, right)
        self.assertEqual((list(price.rates.tiers), apart), ([199_999], []))

    def test_tiers_of_size_and_service_come_from_the_names_of_figures(self):
        price = prices.completed(litellm.price({
            "mode": "chat", "input_cost_per_token": "2e-6", "output_cost_per_token": "8e-6", "cache_read_input_token_cost": "2e-7",
            "input_cost_per_token_above_272k_tokens": "4e-6", "output_cost_per_token_above_272k_tokens": "1.2e-5",
            "input_cost_per_token_priority": "4e-6", "output_cost_per_token_priority": "1.6e-5",
        }, None))  # yapf: disable
        self.assertEqual(prices.inline(price), (
            '{ input: "2", output: "8", cache_read: "0.2", tiers: [{ above: 272000, input: "4", output: "12", cache_read: "0.4" }], '
            'service_tiers: { priority: { input: "4", output: "16", cache_read: "0.4", '
            'tiers: [{ above: 272000, input: "8", output: "24", cache_read: "0.8" }] } } }'))

    def test_a_row_has_tokens_or_a_unit(self):
        entry = {"mode": "audio_transcription", "input_cost_per_second": "1e-4"}
        self.assertEqual(litellm.price(entry, None).units, {"audio_second": Decimal("0.0001")})
        self.assertEqual(litellm.price({**entry, "input_cost_per_token": "1e-6", "output_cost_per_token": "2e-6"}, None).units, {})

    def test_pictures_that_are_edited_have_a_price_and_an_endpoint_of_their_own(self):
        entry = {"mode": "image_generation", "input_cost_per_token": "5e-6", "input_cost_per_image_token": "8e-6",
                 "output_cost_per_image_token": "3e-5", "supported_endpoints": ["/v1/images/generations", "/v1/images/edits"]}
        self.assertEqual(prices.inline(prices.completed(litellm.price(entry, None))), '{ input: "5", output: "30", image_input: "8" }')
        self.assertEqual(litellm.endpoints(entry), ["images", "image_edits"])
        self.assertEqual(litellm.endpoints({"mode": "image_generation"}), ["images"])

    def test_a_search_is_charged_by_one_figure_or_not_at_all(self):
        entry = {"mode": "chat", "input_cost_per_token": "1e-6", "output_cost_per_token": "2e-6"}
        same = {**entry, "search_context_cost_per_query": dict.fromkeys(("search_context_size_low", "search_context_size_high"), "0.01")}
        apart = {**entry, "search_context_cost_per_query": {"search_context_size_low": "0.005", "search_context_size_high": "0.012"}}
        self.assertEqual(litellm.price(same, "search").units, {"search": Decimal("0.01")})
        self.assertEqual(litellm.price(same, None).units, {})
        self.assertEqual(litellm.price(apart, "search").units, {})
        self.assertEqual(litellm.price(apart, "request").units, {"request": Decimal("0.005")})

    def test_prices_by_the_time_of_day_are_the_dearest(self):
        parts = [{"prices": {"input_mtok": Decimal(value), "_": "ModelPrice"}, "constraint": constraint} for value, constraint in (
            ("1", None), ("3", {"_": "StartDateConstraint", "start_date": "2027-01-01"}), ("2", {"_": "TimeOfDateConstraint"}))]
        model = genai.Model("m", {"_": "ClauseEquals", "equals": "m"}, None, None, False, parts, [])
        price, is_timed = model.price("2026-11-29")
        self.assertEqual((price.rates.base, is_timed), ({"input": Decimal(2)}, True))

    def test_a_rule_names_versions_of_a_model_and_no_other(self):
        clause = {"_": "ClauseStartsWith", "starts_with": "gpt-4o"}
        for name, is_named in (("gpt-4o", True), ("gpt-4o-2024-08-06", True), ("gpt-4o-mini", False), ("gpt-4o-latest", True)):
            self.assertEqual(genai.matches(clause, name), is_named, name)
        self.assertFalse(genai.matches({"_": "ClauseContains", "contains": "gpt"}, "gpt-4o"))

    def test_openrouters_own_list(self):
        self.assertEqual(prices.inline(openrouter.price({"prompt": "-1", "completion": "-1"})), "upstream_cost")
        self.assertEqual(prices.inline(openrouter.price({"prompt": "0.00000001703012", "completion": "0.0000002", "web_search": "0.01",
                                                         "overrides": [{"min_prompt_tokens": 200000, "prompt": "0.0000001"}]})), (
            '{ input: "0.01703012", output: "0.2", search: "0.01", tiers: [{ above: 200000, input: "0.1", output: "0.2" }] }'))
        self.assertEqual(prices.inline(openrouter.price({"prompt": "1e-6", "completion": "2e-6", "image_output": "3e-5"})), "upstream_cost")


class ShippedFileTests(unittest.TestCase):
    def test_shipped_files_are_written_as_the_script_writes_them(self):
        """A row that was changed by hand in a list that is the script's would be lost with the next renewal."""
        for path in sorted((ROOT / "providers").glob("*.yaml")):
            file = files.read(path)
            if file.day:
                self.assertEqual(files.text(file, file.blocks, "2000-01-01"), path.read_text(encoding="utf-8"), path.name)


if __name__ == "__main__":
    unittest.main()
