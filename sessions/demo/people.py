"""Who works and who is treated in the demo clinic. Every person is invented."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

# Printed at every start, for demo data only.
PASSWORD = "infusion-demo-2026"  # noqa: S105  # nosec B105

STAFF = (
    ("admin", "Robin Clarke", "", "admin"),
    ("prescriber", "Ingrid Halvorsen", "MD", "prescriber"),
    ("pharmacist", "Mei Tanaka", "PharmD", "pharmacist"),
    ("charge", "Joy Adeyemi", "RN", "charge nurse"),
    ("nurse", "Kwame Mensah", "RN", "nurse"),
    ("auditor", "Priya Nair", "", "auditor"),
    ("nurse2", "Sofia Varga", "RN", "nurse"),
    ("nurse3", "Tomás Echeverría", "RN", "nurse"),
    ("nurse4", "Aoife Ní Bhriain", "RN", "nurse"),
    ("nurse5", "Nguyễn Thị Hương", "RN", "nurse"),
    ("prescriber2", "Samuel Okoro", "MD", "prescriber"),
)
"""User name, name, credential and role; the admin comes with the clinic itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is ordered for one kind of patient."""

    product: str
    indication: str
    dose_g_per_kg: str
    phase: str = "maintenance"
    days: int = 1
    interval_weeks: int | None = 4
    reason: str = ""

    @property
    def visits(self) -> int:
        """As many visits as fit in the year that an order is valid."""
        cycles = 48 // self.interval_weeks if self.interval_weeks else 1
        return cycles * self.days


CVID = Course(product="privigen_10", indication="cvid", dose_g_per_kg="0.4")
CVID_2 = Course(product="octagam_10", indication="pi", dose_g_per_kg="0.5")
PI = Course(product="gammagard_liquid_10", indication="pi", dose_g_per_kg="0.5")
PI_3 = Course(
    product="gamunex_c_10", indication="pi", dose_g_per_kg="0.4", interval_weeks=3
)
SECOND = Course(product="privigen_10", indication="secondary_id", dose_g_per_kg="0.4")
CIDP = Course(
    product="gamunex_c_10", indication="cidp", dose_g_per_kg="1", interval_weeks=3
)
CIDP_2 = Course(
    product="privigen_10", indication="cidp", dose_g_per_kg="1", interval_weeks=3
)
CIDP_3 = Course(
    product="panzyga_10", indication="cidp", dose_g_per_kg="1", interval_weeks=3
)
MMN = Course(product="gammagard_liquid_10", indication="mmn", dose_g_per_kg="1")
ITP = Course(
    product="privigen_10",
    indication="itp",
    dose_g_per_kg="1",
    phase="induction",
    interval_weeks=None,
    reason="Platelets 14, gum bleeding: one day now, the second if needed.",
)
RPL = Course(
    product="privigen_10",
    indication="rpl",
    dose_g_per_kg="0.5",
    reason="Four losses; agreed with the clinic for recurrent pregnancy loss.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One invented patient, with what the story needs to know of the body."""

    family: str
    given: str
    born: date
    sex: str
    weight_kg: Decimal
    height_cm: Decimal
    course: Course
    systolic: int
    pulse: int
    allergy: tuple[str, str] | None = None
    risks: tuple[str, ...] = ()


def _people() -> tuple[Person, ...]:
    rows = []
    for number, line in enumerate(_LINES.strip().splitlines()):
        family, given, born, sex, kg, cm, course, *rest = line.split("|")
        risks = tuple(rest[0].split(",")) if rest and rest[0] else ()
        allergy = tuple(rest[1].split(":")) if len(rest) > 1 else None
        rows.append(
            Person(
                family=family,
                given=given,
                born=date.fromisoformat(born),
                sex="female" if sex == "f" else "male",
                weight_kg=Decimal(kg),
                height_cm=Decimal(cm),
                course=_COURSES[course],
                systolic=114 + number * 7 % 24,
                pulse=66 + number * 5 % 19,
                risks=risks,
                allergy=allergy,
            )
        )
    return tuple(rows)


_COURSES = {
    "cvid": CVID,
    "cvid2": CVID_2,
    "pi": PI,
    "pi3": PI_3,
    "second": SECOND,
    "cidp": CIDP,
    "cidp2": CIDP_2,
    "cidp3": CIDP_3,
    "mmn": MMN,
    "itp": ITP,
    "rpl": RPL,
}
_LINES = """
Okonkwo-Featherstonehaugh|Adaeze Marie|1978-03-14|f|72.4|168|cidp||penicillin:rash
Müller-Lüdenscheidt|Jörg Maximilian|1961-11-02|m|91.5|181|cidp2|diabetes
Nguyễn|Thị Minh Khai|1989-06-21|f|54.2|157|cvid
van der Westhuizen|Pieter|1955-01-30|m|84|178|mmn|over_65
Ó Súilleabháin|Caoimhín|1993-09-09|m|78.6|183|pi
Þórðardóttir|Sigríður|1984-12-05|f|66.3|171|cidp3
García-Márquez de la Vega|María del Carmen|1970-07-19|f|63.8|162|cvid||latex:itch
Balasubramaniam|Venkataraghavan|1966-04-27|m|70.1|169|cidp|diabetes
Al-Khwārizmī|Fāṭima|1991-02-11|f|59.5|160|rpl
Papadopoulou-Konstantinidou|Eleftheria|1958-08-23|f|68|159|mmn|over_65,migraine
Łączkowska|Zofia|1999-10-16|f|57.7|166|pi3
Szentgyörgyi|Árpád|1963-05-03|m|88.2|176|cidp2
Nakamura|Haruto|2001-03-28|m|64.9|172|cvid2
Oyelaran|Oluwaseun Temitope|1987-11-11|m|80.4|179|pi
De Souza e Silva|João Vitor|1996-01-07|m|75|177|cvid
Håkansson|Björn|1952-06-14|m|82.7|180|cidp3|over_65,heart_failure
Čapek|Ludmila|1949-09-30|f|61.6|156|second|over_65,renal_impairment
Wójcik|Stanisław|1972-12-24|m|94.3|185|cidp
Kowalczyk-Brzęczyszczykiewicz|Grzegorz|1980-02-29|m|77.1|174|mmn
Tremblay|Marie-Ève|1994-08-08|f|58.4|164|cvid
Hernández|José Ángel|1959-03-17|m|86.9|173|cidp2||ibuprofen:wheeze
O'Brien|Siobhán|1986-05-25|f|69.2|167|rpl
Kim|Seo-yeon|1997-07-01|f|52.8|161|pi3
Ivanova|Yekaterina Alexandrovna|1975-10-10|f|73.5|165|cidp3|migraine
Singh|Harpreet Kaur|1968-01-19|f|78.8|163|mmn|diabetes
Fernandes|Luís Filipe|1990-04-04|m|71.3|175|pi
MacGillivray|Hamish|1947-11-27|m|76.2|177|second|over_65
Abdi|Hodan Warsame|1992-09-13|f|62.1|170|cvid2
Bianchi|Gianfranco|1964-06-06|m|83.6|171|cidp
Dvořáková|Markéta|1982-03-03|f|67.4|168|cvid
Yılmaz|Çağlar|1985-12-12|m|79.9|180|pi
Petrosyan|Anahit|1973-02-20|f|64.7|158|cidp2
Lindqvist|Åsa|1960-08-15|f|70.6|169|mmn
Mbeki|Thandiwe|1995-05-18|f|60.3|165|pi3
Rasmussen|Søren Kierulf|1957-07-22|m|89.1|184|cidp3|over_65
Cohen|Miriam Esther|1981-10-29|f|65|163|cvid
Haddad|Georges|1969-09-05|m|92.8|178|cidp
Tupou|Sione|1988-01-14|m|104.5|186|pi
Jovanović|Dragana|1977-06-30|f|71.9|170|second
Castellanos|Esperanza|1954-12-08|f|74.4|155|mmn|over_65,diabetes
Suzuki|Aiko|1983-04-11|f|50.9|156|cidp2
Beaumont|Théodore|1998-11-20|m|73.2|181|cvid2
Andersen|Freja|2003-02-02|f|61.2|172|pi
Nwosu|Chidinma|1979-08-26|f|82.3|169|cidp
Rossi|Alessandra|1990-10-03|f|58.8|164|rpl
Walker|Dorothy May|1944-05-09|f|63.3|157|second|over_65
Petrov|Nikolai|1967-03-23|m|87.4|179|cidp3
Chatterjee|Arundhati|1986-07-15|f|56.6|159|cvid
Zimmermann|Karl-Heinz|1953-01-25|m|90.7|176|mmn|over_65
Reyes|Maria Luisa|1971-09-17|f|66.8|154|pi
Park|Min-jun|1994-06-08|m|76.5|178|pi3
Keita|Mamadou|1962-04-30|m|81|182|cidp2
Hughes|Gwenllian|1989-12-31|f|64.1|166|itp
Baptiste|Jean-Claude|1974-10-21|m|85.3|175|cidp
Novak|Mateja|2000-08-04|f|55.5|167|cvid2
Elmasri|Rania|1992-03-06|f|60.9|161|itp
Thompson|Isaiah|1956-02-17|m|88.8|180|cidp3|over_65
Virtanen|Päivi|1976-11-13|f|69.7|170|mmn
Delacroix|Amélie|1985-05-28|f|57.3|165|rpl
Gunawardena|Nimal|1965-07-09|m|68.4|168|cvid
Sørensen|Ulla Britt|1950-10-18|f|72.1|164|second|over_65
Mazur|Katarzyna|1993-01-22|f|62.6|169|pi
"""

PEOPLE = _people()
