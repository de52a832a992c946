"""The run over faults fails when too few of them were noticed."""

import json

import pytest

from tests.mutation import __main__ as mutation


@pytest.mark.parametrize(
    ("noticed", "least", "failed"),
    [(9, None, 0), (8, None, 1), (8, "80", 0), (8, "80.1", 1), (0, None, 1)],
)
def test_it_fails_below_ninety_in_a_hundred(
    tmp_path, monkeypatch, capsys, noticed, least, failed
):
    names = [f"sessions.rules.news2.x_score__mutmut_{number}" for number in range(10)]
    meta = tmp_path / "mutants" / "sessions" / "rules" / "news2.py.meta"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"exit_code_by_key": dict.fromkeys(names)}))
    by_name = {name: "a test" if at < noticed else "" for at, name in enumerate(names)}
    lines = [json.dumps({"name": n, "noticed": by}) for n, by in by_name.items()]
    (tmp_path / mutation.TRIED).write_text("\n".join(lines))
    monkeypatch.setattr(mutation, "attempt", lambda *_given: None)
    monkeypatch.setattr(mutation.os, "nice", lambda _by: None)

    asked = ["rules", "--sample", "10", "--keep", str(tmp_path)]
    assert mutation.main(asked + (["--least", least] if least else [])) == failed

    said = capsys.readouterr().out
    assert f"10 tried {noticed * 10:6.1f} % noticed" in said
    assert said.count("unnoticed:") == 10 - noticed
    assert ("FAILED" in said) == bool(failed)
