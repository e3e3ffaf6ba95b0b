"""The dashboard shows what was promised, from the data source that is provisioned."""

import json
from typing import Any

import yaml

from tests.deploy.programs import REPOSITORY

GRAFANA = REPOSITORY / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "focalpoint.json").read_text(encoding="utf-8"))
# What somebody on duty must be able to see, and a metric that shows it.
SHOWN = {
    "rate": "focalpoint_requests_total",
    "codes": "sum by (code)",
    "stage latencies": "focalpoint_stage_seconds_bucket",
    "batch size": "focalpoint_batch_size_sum",
    "batch fill": "focalpoint_batch_fill_ratio_sum",
    "queue": "focalpoint_queue_depth",
    "queue wait": "focalpoint_queue_wait_seconds_bucket",
    "rejections": "focalpoint_rejected_total",
    "score drift": "focalpoint:keypoint_score:mean1h",
}


def queries(rate_interval: str = "1m") -> dict[str, str]:
    """Every query by its panel and letter, as Grafana would send it for all instances."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        .replace("$__rate_interval", rate_interval)
        .replace("$instance", ".*")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }


def test_everything_promised_is_shown() -> None:
    together = "\n".join(queries().values())
    assert not {what for what, sign in SHOWN.items() if sign not in together}
    assert "$" not in together


def test_every_panel_has_a_place_of_its_own() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_data_source_is_the_one_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    (source,) = provisioned["datasources"]
    asked = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert asked == {source["uid"]}
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/focalpoint.yml").read_text(encoding="utf-8"))
    (folder,) = [one["options"]["path"] for one in provider["providers"]]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in compose["grafana"]["volumes"]
    assert "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro" in compose["grafana"]["volumes"]
