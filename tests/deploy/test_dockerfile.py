"""What can be known of the Dockerfile without building it."""

import re

from service.settings import Settings, variable_of
from tests.deploy.programs import REPOSITORY, program, run

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
TARGETS = ("cpu", "gpu")
# What only one of the two has, or has otherwise.
OF_ONE_TARGET = {"NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "FOCALPOINT_PROVIDER"}


def stage(name: str) -> str:
    """The instructions of a stage, continued lines joined."""
    (found,) = re.findall(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    return str(found).replace("\\\n", " ")


def environment(name: str) -> dict[str, str]:
    """The variables that a stage sets."""
    (line,) = re.findall(r"^ENV (.*)$", stage(name), re.MULTILINE)
    return dict(pair.split("=", 1) for pair in line.split())


def test_hadolint_has_no_complaint() -> None:
    assert run([program("hadolint"), "Dockerfile"]) == ""


def test_the_command_is_the_one_of_make_serve() -> None:
    serve = re.search(r"^\t\.venv/bin/(focalpoint) (serve) \$\(MODEL\)", _makefile(), re.MULTILINE)
    assert serve
    for target in TARGETS:
        assert f'ENTRYPOINT ["{serve[1]}"]\nCMD ["{serve[2]}"]' in stage(target)


def test_both_targets_have_the_same_environment() -> None:
    cpu, gpu = (environment(target) for target in TARGETS)
    assert {name for name in cpu | gpu if cpu.get(name) != gpu.get(name)} == OF_ONE_TARGET
    assert (cpu["FOCALPOINT_PROVIDER"], gpu["FOCALPOINT_PROVIDER"]) == ("cpu", "cuda")


def test_every_variable_is_a_setting_and_the_bounds_agree() -> None:
    settings = {variable_of(name) for name in Settings.model_fields}
    for target in TARGETS:
        set_here = environment(target)
        assert {name for name in set_here if name.startswith("FOCALPOINT_")} <= settings
        # The second bound refuses nothing that the first allows.
        assert int(set_here["OPENCV_IO_MAX_IMAGE_PIXELS"]) == Settings.model_fields["max_pixels"].default
        assert set_here["ORT_DISABLE_TELEMETRY"] == "1"


def test_the_cpu_target_is_built_where_none_is_named() -> None:
    assert re.findall(r"^FROM .*", DOCKERFILE, re.MULTILINE)[-1] == "FROM cpu"


def test_neither_target_is_root_or_lacks_a_health_check() -> None:
    for target in TARGETS:
        assert "\nUSER 10001:10001\n" in stage(target)
        assert 'CMD ["python", "-I", "/app/healthcheck.py"]' in stage(target)
        assert "curl" not in stage(target)


def _makefile() -> str:
    return (REPOSITORY / "Makefile").read_text(encoding="utf-8")
