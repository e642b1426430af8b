"""The units of systemd: signs that it reads as its own are doubled."""

from pathlib import Path

from etf_trader.cron.job import Job
from etf_trader.cron.systemd import units


def test_a_service_does_one_run_and_a_timer_starts_it() -> None:
    service, timer = units(
        Job(Path("/py"), Path("/50% fund"), Path('/50% fund/a "b"$.toml'), {"H": "/x y"}), "11,41"
    )
    assert service.name.removesuffix(".service") == timer.name.removesuffix(".timer")
    assert 'Environment="H=/x y"\n' in service.text and "WorkingDirectory=/50%% fund\n" in service.text
    config = '"--config" "/50%% fund/a \\"b\\"$$.toml"'
    assert f'ExecStart="/py" "-P" "-m" "etf_trader" {config} "--quiet" "schedule" "run"\n' in service.text
    assert "OnCalendar=*-*-* *:11,41:00\n" in timer.text and "Persistent=true\n" in timer.text
    assert "OnCalendar=*-*-* *:00/5:00\n" in units(Job(Path("/py"), Path("/"), None), "*/5")[1].text
