"""Are the unit and the manifests that OPERATING.md shows what systemd and Kubernetes take, and what a worker reads?"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bulk_cancel.worker.config.settings import load_settings
from tests.support.checkout import ROOT

UNIT = ROOT / "examples/systemd/bulk-cancel-worker@.service"
MANIFESTS = list(yaml.safe_load_all((ROOT / "examples/kubernetes/worker.yaml").read_text()))
OLDEST_KUBERNETES = "1.30"


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_kubernetes_knows_every_field(manifest: dict[str, object], version: str) -> None:
    """By its own schemas; a misspelt field is refused."""
    kubernetes_validate.validate(manifest, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**manifest, "sepc": {}}, version, strict=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: the unit is not verified")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Without a word, where the program is."""
    celery = Path(sys.executable).with_name("celery")
    text = UNIT.read_text().replace("/opt/bulk-cancel/bin/celery", str(celery))
    told = verified(tmp_path, text)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert "MemoryMost" in verified(tmp_path, text.replace("MemoryMax", "MemoryMost")).stderr


def verified(directory: Path, text: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of a unit with this text."""
    (unit := directory / UNIT.name).write_text(text)
    return subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", [UNIT, ROOT / "examples/kubernetes/worker.yaml"], ids=lambda path: path.suffix)
def test_a_worker_reads_what_they_set(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting by its name, and each secret from a file."""
    names = re.findall(r"BULK_CANCEL_\w+_FILE", path.read_text())
    assert len(names) == 4
    for name in names:
        (secret := tmp_path / name).write_text("redis://127.0.0.1:6379/0")
        monkeypatch.setenv(name, str(secret))
    assert load_settings(require_accounts=True).accounts.keys() == {"desk1"}
