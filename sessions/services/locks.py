"""Taking the lock of a visit, and the chart as it stands under it."""

from datetime import datetime

from django.db.models import F

from sessions.charts import CLOCK_SLACK, SessionChart, charts_of, for_charts
from sessions.models import IdentityCheck, InfusionSession, SessionRow
from sessions.services.acts import Actor, Refused, Stale


def locked_chart(
    session: InfusionSession,
    *,
    by: Actor,
    chart: SessionChart | None = None,
    seen_version: int | None = None,
) -> SessionChart:
    """Lock a visit inside an act, count its version up, and read it under the lock.

    A chart that was read just before is used again when nobody changed the visit or its
    order in between: each act on one counts its version up, so the same versions mean
    the same rows. One statement then does for the lock, the check and the new version.

    Raises `Stale` when the screen was drawn from another version (`seen_version`).
    Refuses when the server's clock went back: an entry would stand in the wrong order,
    a pause before the start it ends (H14).
    """
    header = InfusionSession.objects.filter(pk=session.pk)
    unchanged = (
        chart is not None
        and header.filter(
            version=session.version,
            stage=session.stage,
            order__version=session.order.version,
        ).update(version=F("version") + 1)
        == 1
    )
    if unchanged:
        session.version += 1
        chart.at = by.at
        chart.derive()
    else:
        header.update(version=F("version") + 1)
        fresh = for_charts(InfusionSession.objects).get(pk=session.pk)
        chart = charts_of([fresh], at=by.at)[0]
    before = chart.session.version - 1
    if seen_version is not None and seen_version != before:
        raise Stale(
            "This visit was changed in the meantime (version {before}, "
            "your screen shows {seen_version}). It now runs at "
            "{rate_ml_per_h} mL/h. Look again, then press again.",
            before=before,
            seen_version=seen_version,
            rate_ml_per_h=f"{chart.rate_ml_per_h.normalize():f}",
        )
    if newest := chart.recorded_after(by.at):
        raise _went_back(chart.session, newest, by)
    if chart.session.entered_in_error:
        raise Refused("This visit was entered in error. Nothing can be added to it.")
    return chart


def refuse_backwards(header: InfusionSession, *, by: Actor) -> None:
    """Refuse an act when anything of the visit was recorded after now (H14).

    For acts that read no chart: check-in, what is done before the Start, vials,
    medicines, the end and the discharge. One query, whatever was recorded.
    """
    newest = max(_newest_row(header) or header.created_at, header.created_at)
    if newest - by.at > CLOCK_SLACK:
        raise _went_back(header, newest, by)


def _newest_row(header: InfusionSession) -> datetime | None:
    """When the newest row of a visit was recorded, of whatever kind it is."""
    first, *others = (
        kind.objects.filter(session=header).order_by().values_list("recorded_at")
        for kind in (IdentityCheck, *SessionRow.__subclasses__())
    )
    newest = first.union(*others, all=True).order_by("-recorded_at").first()
    return newest[0] if newest else None


def _went_back(header: InfusionSession, newest: datetime, by: Actor) -> Refused:
    zone = header.clinic.zone
    return Refused(
        "NOT SAVED: the server's clock went back. It shows {now}, the last entry of "
        "this visit was recorded at {newest}. Chart on paper until it is set right.",
        now=f"{by.at.astimezone(zone):%H:%M}",
        newest=f"{newest.astimezone(zone):%H:%M}",
    )
