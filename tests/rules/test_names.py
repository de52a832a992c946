"""Names that are easily confused, and words that may be a birth date."""

from dataclasses import replace
from datetime import date

import pytest

from sessions.rules.names import NEAR, Named, folded, possible_days, similar, slips

BORN = date(1978, 3, 14)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O'Brien-Núñez", "obrien nunez"),
        ("O\u2019BRIEN", "obrien"),
        ("Øster Łukasz", "oster lukasz"),
        ("Weiß", "weiss"),
        ("  van  der Berg ", "van der berg"),
        ("ＷＩＤＥ", "wide"),
        ("İbrahim", "ibrahim"),
    ],
)
def test_folding_takes_away_case_accents_and_marks(text, expected):
    assert folded(text) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("jansen", "janssen", 1),
        ("smith", "smyth", 1),
        ("maria", "amria", 1),
        ("berg", "bergmann", NEAR + 1),
        ("abc", "xyz", NEAR + 1),
        ("", "ab", 2),
        ("abcd", "abxy", 2),
        ("abcde", "abxyz", NEAR + 1),
        ("ab", "abcd", 2),
        ("ab", "abcde", NEAR + 1),
        ("abc", "cab", 2),
        ("marta", "matra", 1),
        ("same", "same", 0),
    ],
)
def test_slips_of_a_key_are_counted(one, other, expected):
    assert slips(one, other, NEAR) == expected
    assert slips(other, one, NEAR) == expected


@pytest.mark.parametrize(
    ("family", "given", "born", "expected"),
    [
        ("Jansen", "Maria", BORN, "same name and birth date"),
        ("JANSEN", "María", date(1980, 1, 1), "same name"),
        ("Maria", "Jansen", date(1980, 1, 1), "surname and given name swapped"),
        ("Janssen", "Marie", date(1980, 1, 1), "almost the same name"),
        ("Janssen", "Marie", BORN, "almost the same name and same birth date"),
        ("Jansen", "Robert", BORN, "same surname and birth date"),
        ("Okafor", "Robert", BORN, "same birth date"),
        ("Jansen", "Robert", date(1980, 1, 1), ""),
        ("Jansen", "Maria Luise", date(1980, 1, 1), "almost the same name"),
        ("Janssen", "Mara Luise", date(1980, 1, 1), "almost the same name"),
        ("Jansen", "Luise Maria", date(1980, 1, 1), ""),
        ("Johansson", "Maria", date(1980, 1, 1), ""),
        ("Janssens", "Marieke", date(1980, 1, 1), ""),
        ("Janssens", "Mario", date(1980, 1, 1), ""),
        ("Janssens", "Maria", date(1980, 1, 1), "almost the same name"),
        ("Jansen", "Mario", date(1980, 1, 1), "almost the same name"),
        ("Jensen", "Mario", date(1980, 1, 1), "almost the same name"),
    ],
)
def test_similar_names_are_named_with_the_reason(family, given, born, expected):
    one = Named(family_name="Jansen", given_names="Maria", birth_date=BORN)
    other = Named(family_name=family, given_names=given, birth_date=born)

    assert similar(one, other) == expected
    assert similar(other, one) == expected


def test_two_letter_names_two_slips_apart_are_not_similar():
    one = Named(family_name="Li", given_names="Wei", birth_date=BORN)
    other = Named(family_name="Xu", given_names="Wei", birth_date=date(1990, 1, 1))

    assert similar(one, other) == ""


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("Li", "Xu", ""),
        ("Li", "Lu", "almost the same name"),
        ("Lin", "Lux", ""),
        ("Lin", "Lina", "almost the same name"),
        ("Lina", "Luxa", "almost the same name"),
    ],
)
def test_a_short_name_may_differ_by_one_slip_only(one, other, words):
    for one_name, other_name in (
        ({"family_name": one, "given_names": "Wei"}, {"family_name": other}),
        ({"family_name": "Wei", "given_names": one}, {"given_names": other}),
    ):
        first = Named(**one_name, birth_date=BORN)
        second = replace(first, **other_name, birth_date=date(1990, 1, 1))
        assert similar(first, second) == words


@pytest.mark.parametrize(
    ("word", "days"),
    [
        ("1978-03-14", [BORN]),
        ("14.3.1978", [BORN]),
        ("14/03/1978", [BORN]),
        ("03/14/1978", [BORN]),
        ("19780314", [BORN]),
        ("14031978", [BORN]),
        ("04/03/1978", [date(1978, 3, 4), date(1978, 4, 3)]),
        ("1978", []),
        ("31.02.1978", []),
        ("14.3.78", []),
        ("MRN-1978-03", []),
    ],
)
def test_a_word_may_mean_a_birth_date(word, days):
    assert possible_days(word) == days
