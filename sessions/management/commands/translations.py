"""Bring the files of translators up to date with the code."""

from django.core.management.base import BaseCommand

from sessions import translations


class Command(BaseCommand):
    help = (
        "Find every text of the screens, write locale/<language>/LC_MESSAGES/django.po "
        "anew (texts that are gone go, new ones are empty), compile, and name what is "
        "not translated yet."
    )

    def handle(self, *args, **options) -> None:
        for language in translations.languages():
            catalog = translations.update(language)
            open_texts = [
                each for each in catalog if each.id and not any(each.string or ())
            ]
            self.stdout.write(
                f"{language}: {len(catalog)} texts, {len(open_texts)} not translated"
            )
            for each in open_texts[:40]:
                self.stdout.write(f"  {each.id!r}")
        translations.compile_newer()
