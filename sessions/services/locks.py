"""Taking the lock of a visit, and the chart as it stands under it."""

from django.db.models import F

from sessions.charts import SessionChart, charts_of, for_charts
from sessions.models import InfusionSession
from sessions.services.acts import Actor, Refused, Stale


def locked_chart(
    session: InfusionSession,
    *,
    by: Actor,
    chart: SessionChart | None = None,
    seen_version: int | None = None,
) -> SessionChart:
    """Lock a visit inside an act, count its version up, and read it under the lock.

    A chart that was read just before is used again when nobody changed the visit in
    between: each act on a visit counts its version up, so the same version means the
    same rows. One statement then does for the lock, the check and the new version.

    Raises `Stale` when the screen was drawn from another version (`seen_version`).
    Refuses when the server's clock went back: an entry would stand in the wrong order,
    a pause before the start it ends (H14).
    """
    header = InfusionSession.objects.filter(pk=session.pk)
    unchanged = (
        chart is not None
        and header.filter(version=session.version, stage=session.stage).update(
            version=F("version") + 1
        )
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
            f"This visit was changed in the meantime (version {before}, your screen "
            f"shows {seen_version}). It now runs at "
            f"{chart.rate_ml_per_h.normalize():f} mL/h. Look again, then press again."
        )
    if newest := chart.recorded_after(by.at):
        zone = chart.session.clinic.zone
        raise Refused(
            "NOT SAVED: the server's clock went back. It shows "
            f"{by.at.astimezone(zone):%H:%M}, the last entry of this visit was "
            f"recorded at {newest.astimezone(zone):%H:%M}. Chart on paper until it is "
            "set right."
        )
    if chart.session.entered_in_error:
        raise Refused("This visit was entered in error. Nothing can be added to it.")
    return chart
