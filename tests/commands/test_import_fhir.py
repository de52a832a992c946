import gzip
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from sessions.models import Patient, Weight
from tests.services.test_importing import bundle, everything, patient

SAMPLES = sorted((Path(__file__).parents[2] / ".." / "shared" / "fhir").glob("*.gz"))


def text(document):
    return json.dumps(document, default=float)


def run(*args):
    out, err = StringIO(), StringIO()
    call_command("import_fhir", *map(str, args), stdout=out, stderr=err)
    return out.getvalue()


def test_import_fhir_says_for_each_file_what_it_brought(clinic, tmp_path):
    plain, packed = tmp_path / "a.json", tmp_path / "b.json.gz"
    plain.write_text(text(everything()))
    packed.write_bytes(gzip.compress(text(everything()).encode()))

    said = run(plain, packed)

    assert "a.json: created 1 patient, 1 weight" in said
    assert "b.json.gz: created nothing; unchanged 1 patient" in said
    assert Patient.objects.get().created_by.name == "FHIR import"


def test_import_fhir_fails_when_one_file_is_refused_and_keeps_the_others(
    clinic, tmp_path
):
    good, bad, gone = (tmp_path / name for name in ("good.json", "bad.json", "gone"))
    good.write_text(text(everything()))
    bad.write_text(text(bundle(patient(birthDate=None))))
    err = StringIO()

    with pytest.raises(CommandError, match="2 of 3 files refused") as failed:
        call_command(
            "import_fhir", str(bad), str(gone), str(good), stdout=StringIO(), stderr=err
        )

    assert failed.value.returncode == 1
    assert "bad.json: REFUSED, nothing of it kept. entry 1" in err.getvalue()
    assert "gone: REFUSED" in err.getvalue()
    assert Weight.objects.count() == 1


def test_import_fhir_names_the_author(clinic, nurse, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(text(everything()))

    run(path, "--clinic", clinic.code, "--user", nurse.username)

    assert Patient.objects.get().created_by == nurse


@pytest.mark.parametrize(
    "wrong", [["--clinic", "nowhere"], ["--user", "nobody"], ["--user", "auditor"]]
)
def test_import_fhir_refuses_an_unknown_clinic_or_author(
    clinic, auditor, tmp_path, wrong
):
    path = tmp_path / "a.json"
    path.write_text(text(everything()))

    with pytest.raises(CommandError) as failed:
        run(path, *wrong)

    assert failed.value.returncode == 2
    assert not Patient.objects.exists()


def test_import_fhir_asks_which_clinic_when_there_are_several(
    clinic, other_clinic, tmp_path
):
    with pytest.raises(CommandError, match="several clinics"):
        run(tmp_path / "a.json")


@pytest.mark.skipif(not SAMPLES, reason="the sample bundles are not here")
def test_import_fhir_takes_every_sample_twice_without_change(clinic):
    run(*SAMPLES)
    before = Patient.objects.count(), Weight.objects.count()

    said = run(*SAMPLES)

    assert before == (10, 73)
    assert (Patient.objects.count(), Weight.objects.count()) == before
    assert said.count("created nothing") == len(SAMPLES) == 10
