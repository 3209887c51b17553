"""The Models page in a real Chromium, its server pointed at a loopback Hub through HF_ENDPOINT."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.settle import PATIENCE_MS, arrive
from tests.dashboard import Dashboard, running_dashboard
from tests.hub_server import HubServer

TINY = {
    "model_type": "llama", "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 4,
    "hidden_size": 2048,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "num_hidden_layers": 32, "num_attention_heads": 71, "hidden_size": 4544,
    "multi_query": True, "new_decoder_architecture": False, "vocab_size": 65024,
}  # fmt: skip
PLANTED = "hf_planted9secret"  # must be seen by the Hub alone
HEADLINE = "Falcon-7B keeps 8 KiB per token, Llama-1 7B 512 KiB: 64 times more."


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        server.add("tiiuae/falcon-7b", config=FALCON)
        server.add("tiiuae/falcon-40b", fault="server_error")
        server.add("meta-llama/Llama-2-70b-hf", fault="gated")
        server.add("NousResearch/Llama-2-70b-hf", config={**TINY, "num_hidden_layers": 80})
        server.add("acme/new-model", config=TINY)
        server.add("acme/silent", fault="hang")
        yield server


@pytest.fixture(scope="module")
def dashboard(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("models")
    secrets = {"HF_TOKEN": PLANTED, "HEADROOM_ASK_KEY": PLANTED}
    with running_dashboard(folder, {"HF_ENDPOINT": hub.url, **secrets}) as running:
        yield running
        assert "Traceback (most recent call last)" not in running.log(), running.log()
    holding = [path for path in folder.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]
    assert holding == []  # neither the log, nor SQLite, nor the Hub's cache


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def seen(what: Locator) -> None:
    expect(what).to_be_visible()


def settled(page: Page) -> None:
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=PATIENCE_MS)


def opened(page: Page, dashboard: Dashboard, query: str = "") -> Page:
    arrive(page, f"{dashboard.url}/models?{query}")
    seen(page.get_by_role("heading", name="Models", exact=True))
    return page


def test_it_opens_on_recorded_facts_without_asking_the_hub(page: Page, dashboard: Dashboard, hub: HubServer) -> None:
    before = len(hub.asked)
    opened(page, dashboard)
    seen(page.get_by_text(HEADLINE))
    settled(page)
    seen(page.get_by_role("heading", name="The registry"))
    assert len(hub.asked) == before
    names = page.locator('[data-testid="stVegaLiteChart"]').first.get_by_text("Falcon-180B")
    expect(names).to_have_count(1)


def test_a_family_is_taken_and_the_link_says_so(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard)
    settled(page)
    page.get_by_role("button", name="Choose a family").click()
    page.locator(".st-key-models_family").get_by_text("DeepSeek", exact=True).click()
    sentence = "DeepSeek-V2-Lite keeps 30.4 KiB per token, DeepSeek-V3.2 83.9 KiB: 2.8 times more."
    seen(page.get_by_text(sentence))  # 27 layers of 576 x 2 bytes; 61 of (576 + 128 of index keys) x 2
    picked = parse_qs(urlsplit(page.url).query)["models_pick"]
    assert picked == [
        "DeepSeek-V2", "DeepSeek-V2-Lite", "DeepSeek-V3", "DeepSeek-V3.2", "DeepSeek-V4-Flash", "DeepSeek-V4-Pro",
    ]  # fmt: skip
    page.goto(page.url)
    seen(page.get_by_text(sentence))


def test_a_pull_shows_progress_and_keeps_what_fails(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard, "models_pick=Falcon-7B&models_pick=Falcon-40B&models_pick=Llama-2+70B")
    page.get_by_role("button", name="Pull these 3 from the Hub").click()
    seen(page.get_by_text("2 of 3 pulled, 1 failed"))
    seen(page.get_by_text("Falcon-40B: the recorded facts are shown. The Hub answered 500"))
    page.get_by_text("2 of 3 pulled, 1 failed").click()
    seen(page.get_by_text("NousResearch/Llama-2-70b-hf at 0123456, read"))
    assert PLANTED not in page.content()


def test_the_token_goes_to_the_hub_and_into_nothing_that_leaves(
    page: Page, dashboard: Dashboard, hub: HubServer
) -> None:
    opened(page, dashboard, "models_pick=Falcon-7B&models_pick=acme/new-model&models_pick=no/such")
    seen(page.get_by_text("The Hub shows no no/such").first)
    assert {asked.authorization for asked in hub.asked} == {f"Bearer {PLANTED}"}
    settled(page)
    page.get_by_role("button", name="Share").click()
    with page.expect_download(timeout=60_000) as download:
        page.get_by_test_id("stDownloadButton").filter(has_text="Report, one HTML file").get_by_role("button").click()
    assert PLANTED not in download.value.path().read_text(encoding="utf-8")
    assert PLANTED not in page.content() + page.url


def test_a_link_with_a_typed_id_shows_recorded_rows_while_the_hub_is_silent(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard, "models_pick=Falcon-7B&models_pick=Llama-1+7B&models_pick=acme/silent")
    seen(page.get_by_text(HEADLINE))
    seen(page.get_by_text("Asking the Hub for 1 config.json files"))
    error = page.get_by_test_id("stAlert").filter(has_text="did not answer for acme/silent in time. Try again.")
    seen(error.first)
    seen(page.get_by_text(HEADLINE))


def test_an_id_is_typed_into_the_field_and_joins_the_comparison(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard, "models_pick=Falcon-7B")
    settled(page)
    field = page.locator(".st-key-models_pick").get_by_role("combobox")
    field.fill("acme/new-model")
    field.press("Enter")
    # 16 layers x 4 heads x 128 x 4 bytes = 32 KiB; Falcon-7B has 8
    seen(page.get_by_text("Falcon-7B keeps 8 KiB per token, acme/new-model 32 KiB: 4 times more."))
    assert "acme" in page.url


def test_a_pasted_config_is_text_only_and_leaves_no_trace_in_the_link(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard, "models_pick=")
    seen(page.get_by_text("Pick a model, type a repository id, or paste a config.json."))
    page.get_by_role("button", name="Paste or upload").click()
    nasty = '<img src="x" onerror="document.title=1">'
    field = page.get_by_label("Paste a config.json")
    field.fill(json.dumps({**TINY, "_name_or_path": nasty, "architectures": [nasty]}, indent=2))
    field.press("Control+Enter")
    seen(page.get_by_text("Pasted config keeps 32 KiB per token."))
    seen(page.get_by_text('"_name_or_path": "<img src=').first)
    assert page.locator('[data-testid="stMain"] img[src="x"]').count() == 0
    assert "architectures" not in page.url


def test_the_check_really_runs_transformers(page: Page, dashboard: Dashboard) -> None:
    opened(page, dashboard, "models_pick=Falcon-7B")
    settled(page)
    page.get_by_role("button", name="Check against transformers").click()
    # 32 layers x 128 tokens x 1 head x (64 + 64) x 2 bytes = 1 MiB
    said = page.get_by_text("Our payload is 1 MiB: equal on 32 of 32 layers.")
    seen(said)
    seen(page.get_by_text("built FalconForCausalLM"))
