"""The same rules written a second time, naively, straight from the published rows.

It shares nothing with the engine: no policy document, no classes, plain `if`s on plain
numbers (temperatures in tenths of a degree). It answers the highest action only.
"""

SCALE = ["continue", "observe", "reduce", "pause", "stop", "emergency"]

REACTION_ACTIONS = {
    # mild, moderate, severe: c(ontinue) r(educe) p(ause) s(top) e(mergency)
    "headache": "rps",
    "chills": "rss",
    "nausea": "rps",
    "vomiting": "rps",
    "fever": "rse",
    "flushing": "rpe",
    "urticaria": "rss",
    "pruritus": "rps",
    "rash": "sss",
    "myalgia_back_pain": "rps",
    "chest_tightness": "sse",
    "dyspnoea": "eee",
    "hypotension": "rse",
    "hypertension": "rse",
    "tachycardia": "rse",
    "anaphylaxis": "eee",
    "angioedema": "eee",
    "thrombosis": "eee",
    "haemolysis": "sse",
    "aseptic_meningitis": "sse",
    "renal": "sse",
    "trali": "eee",
    "taco": "eee",
    "other": "rps",
    "extravasation": "sss",
}
LETTERS = {"r": "reduce", "p": "pause", "s": "stop", "e": "emergency"}
ALLERGIC = {"urticaria", "pruritus", "flushing", "rash", "angioedema", "anaphylaxis"}
SIX = ["temperature", "pulse", "systolic", "diastolic", "respiratory_rate", "spo2"]


def reaction_action(reaction, severity):
    if severity == "life-threatening":
        return "emergency"
    place = ["mild", "moderate", "severe"].index(severity)
    return LETTERS[REACTION_ACTIONS[reaction][place]]


def band(value, *edges):
    """`edges` are (highest value, score) pairs; the last score is for the rest."""
    for highest, score in edges[:-1]:
        if value <= highest:
            return score
    return edges[-1]


def news2_parts(v):
    parts = {}
    if v["respiratory_rate"] is not None:
        parts["respiratory_rate"] = band(
            v["respiratory_rate"], (8, 3), (11, 1), (20, 0), (24, 2), 3
        )
    if v["spo2"] is not None and v["scale"] == 1:
        parts["spo2"] = band(v["spo2"], (91, 3), (93, 2), (95, 1), 0)
    elif v["spo2"] is not None and v["on_oxygen"] is not None:
        low = [(83, 3), (85, 2), (87, 1), (92, 0)]
        high = [(94, 1), (96, 2), 3] if v["on_oxygen"] else [0]
        parts["spo2"] = band(v["spo2"], *low, *high)
    if v["on_oxygen"] is not None:
        parts["oxygen"] = 2 if v["on_oxygen"] else 0
    if v["systolic"] is not None:
        parts["systolic"] = band(
            v["systolic"], (90, 3), (100, 2), (110, 1), (219, 0), 3
        )
    if v["pulse"] is not None:
        parts["pulse"] = band(
            v["pulse"], (40, 3), (50, 1), (90, 0), (110, 1), (130, 2), 3
        )
    if v["consciousness"] is not None:
        parts["consciousness"] = 0 if v["consciousness"] == "A" else 3
    if v["temperature"] is not None:
        parts["temperature"] = band(
            v["temperature"], (350, 3), (360, 1), (380, 0), (390, 1), 2
        )
    return parts


def expected_action(chart):
    """The highest action for a chart of plain values, phase infusing."""
    calls = ["continue"]
    now, then = chart["now"], chart["then"]
    age, weight = chart["age"], chart["weight"]
    scored = age >= 16 and not chart["pregnant"]
    seen = {reaction for reaction, _ in chart["symptoms"]}

    def new(value, before, crossed):
        """An absolute limit speaks unless the accepted baseline already crosses it."""
        if value is None or not crossed(value):
            return False
        return before is None or not crossed(before)

    def change(name):
        if now[name] is None or then[name] is None:
            return 0
        return now[name] - then[name]

    needed = [*SIX, "consciousness"] + (["on_oxygen"] if scored else [])
    if any(now[name] is None for name in needed):
        calls.append("observe")
    if any(then[name] is None for name in SIX):
        calls.append("observe")

    t, t0 = now["temperature"], then["temperature"]
    if change("temperature") >= 10 or new(t, t0, lambda x: x >= 380):
        calls.append("reduce")
    if change("temperature") >= 15 or new(t, t0, lambda x: x >= 390):
        calls.append("stop")
    if change("temperature") > 0 and "chills" in seen:
        calls.append("stop")
    if new(t, t0, lambda x: x > 400):
        calls.append("emergency")

    s, s0 = now["systolic"], then["systolic"]
    fall = -change("systolic")
    if fall >= 20:
        calls.append("reduce")
    if fall >= 30:
        calls.append("stop")
        if (age >= 18 and s <= 80) or seen & ALLERGIC:
            calls.append("emergency")
    infant = age < 1 or weight < 12
    if (1 <= age < 18 or infant) and s0 and fall * 4 > s0:
        calls.append("emergency")
    d, d0 = now["diastolic"], then["diastolic"]
    if infant and d0 and -change("diastolic") * 4 > d0:
        calls.append("emergency")
    if change("systolic") >= 30:
        calls.append("reduce")
    if age >= 18:
        if new(s, s0, lambda x: x >= 140) or new(s, s0, lambda x: x >= 160):
            calls.append("observe")
        if new(d, d0, lambda x: x >= 90) or new(d, d0, lambda x: x >= 100):
            calls.append("observe")
    if change("diastolic") > 20 and seen:
        calls.append("observe")
    if abs(change("pulse")) >= 20 or -change("spo2") >= 3:
        calls.append("observe")

    o, o0 = now["spo2"], then["spo2"]
    if now["scale"] == 1:
        if new(o, o0, lambda x: x < 90):
            calls.append("emergency")
        if o is not None and o < 94 and seen & ALLERGIC:
            calls.append("emergency")
    ladder = "ACVPU"
    if now["consciousness"] not in (None, "A"):
        before = then["consciousness"] or "A"
        if ladder.index(now["consciousness"]) > ladder.index(before):
            calls.append("emergency")

    if scored:
        p, p0 = now["pulse"], then["pulse"]
        r, r0 = now["respiratory_rate"], then["respiratory_rate"]
        if new(s, s0, lambda x: x <= 100):
            calls.append("observe")
        if new(s, s0, lambda x: x <= 90) or new(s, s0, lambda x: x >= 220):
            calls.append("stop")
        if new(p, p0, lambda x: x >= 111) or new(r, r0, lambda x: x >= 21):
            calls.append("observe")
        if new(p, p0, lambda x: x >= 131) or new(p, p0, lambda x: x <= 40):
            calls.append("stop")
        if new(r, r0, lambda x: x >= 25) or new(r, r0, lambda x: x <= 8):
            calls.append("emergency")
        if now["scale"] == 1:
            if new(o, o0, lambda x: x <= 93):
                calls.append("stop")
            if new(o, o0, lambda x: x <= 91):
                calls.append("emergency")
        parts, before = news2_parts(now), news2_parts(then)
        if len(parts) == 7:
            total, least = sum(parts.values()), sum(before.values())
            for limit, action in [(1, "observe"), (5, "stop"), (7, "emergency")]:
                if total >= limit > least:
                    calls.append(action)
            if any(parts[n] == 3 and before.get(n) != 3 for n in parts):
                calls.append("pause")
            if sum(parts[name] - score for name, score in before.items()) >= 2:
                calls.append("observe")

    calls += [reaction_action(*symptom) for symptom in chart["symptoms"]]
    if chart["recurrence"]:
        calls.append("stop")
    if chart["new_lot"]:
        calls.append("observe")
    return max(calls, key=SCALE.index)
