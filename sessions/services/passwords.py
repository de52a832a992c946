"""What is easily guessed by who knows the clinic (beside the common passwords)."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from sessions.catalogue.products import products
from sessions.models import Clinic, User

OF_THE_PRODUCT = frozenset({"ivig", "clinic", "infusion", "immunoglobulin", "password"})
SHORTEST_WORD = 4
LETTERS_LEFT = 8
"""How many letters a password must have beside such words."""


class KnownHereValidator:
    """Refuses a password that is little more than words everybody here knows.

    Those are the clinic's name, the words an admin added in the settings, and the names
    of the product and of what is infused. Beside other words they may be used.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        left = password.casefold()
        words = known_here(user.clinic if user else None)
        for word in sorted(words, key=len, reverse=True):
            left = left.replace(word, " ")
        if left == password.casefold():
            return
        if sum(letter.isalpha() for letter in left) < LETTERS_LEFT:
            raise ValidationError(
                _("Too easily guessed by who knows this clinic. Add other words."),
                code="password_known_here",
            )

    def get_help_text(self) -> str:
        return _("Not the clinic's name or words that everybody here knows.")


def known_here(clinic: Clinic | None) -> set[str]:
    """Such words, in small letters."""
    texts = [product.brand for product in products().values()]
    if clinic is not None:
        texts += [clinic.name, clinic.code, clinic.password_words]
    found = set(re.findall(r"[^\W\d_]+", " ".join(texts).casefold())) | OF_THE_PRODUCT
    return {word for word in found if len(word) >= SHORTEST_WORD}
