"""Eyes over a page: axe's rules, what is cut off or covered, and what moves.

axe looks at a page once in full; the rules that depend on a screen's size or on its
colours are run again for each further size and theme.
"""

from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
SIZES = ((1280, 800), (768, 1024), (1920, 1080))
SIZED = [
    *("color-contrast", "link-in-text-block", "target-size", "link-name"),
    *("button-name", "label", "select-name", "scrollable-region-focusable"),
]
"""Rules whose verdict may change with the width: parts are hidden, wrapped, moved."""
COLOURED = ["color-contrast", "link-in-text-block"]
"""Rules whose verdict changes with the theme alone."""

RUN_AXE = """async (only) => (await axe.run(document, {
  resultTypes: ["violations"], preload: false, elementRef: false,
  ...(only ? { runOnly: { type: "rule", values: only } }
           : { rules: { "target-size": { enabled: true } } }),
})).violations.map(({ id, help, nodes }) =>
  `${id}: ${help}: ` + nodes.map(({ target }) => target.join(" ")).join(", "))"""

NARROW = """() => {
  const page = document.documentElement, found = [];
  const short = (node) => node.outerHTML.replace(/\\s+/g, " ").slice(0, 110);
  const all = [...document.body.querySelectorAll("*")].filter((each) =>
    !each.closest("svg, .sr, .sprite, .skip") && each.checkVisibility(
      { visibilityProperty: true }));
  // Inside these a reader scrolls on purpose, by hand or by key.
  const scrolls = (node) => /auto|scroll/.test(getComputedStyle(node).overflowX);
  if (page.scrollWidth > page.clientWidth) {
    found.push(`the page is ${page.scrollWidth} px in ${page.clientWidth} px`, ...all
      .filter((each) => each.getBoundingClientRect().right > page.clientWidth + 1)
      .slice(0, 3).map(short));
  }
  for (const each of all) {
    const style = getComputedStyle(each);
    if (style.animationName !== "none" || /[1-9]/.test(style.transitionDuration)) {
      found.push(`moves: ${short(each)}`);
    }
    // Cut off: a part that hides what does not fit into it.
    if (/hidden|clip/.test(style.overflowX + style.overflowY)
        && !each.matches("input, select, textarea, [data-fits]")
        && (each.scrollWidth > each.clientWidth + 1
          || each.scrollHeight > each.clientHeight + 2)
        && each.textContent.trim()) found.push(`cut off: ${short(each)}`);
    // Over the edge of its own plate, where no region scrolls.
    if (!each.firstElementChild && each.textContent.trim()) {
      const range = document.createRange();
      range.selectNodeContents(each);
      const place = range.getBoundingClientRect();
      let out = each.parentElement;
      while (out && !scrolls(out)) out = out.parentElement;
      if ((!out || out === page || out === document.body)
          && (place.right > page.clientWidth + 1 || place.left < -1)) {
        found.push(`over the edge: ${short(each)}`);
      }
    }
  }
  // Covered: whatever can be pressed is what is met at its own middle.
  const pressed = ["a[href]", "button:not([disabled])", "input:not([type=hidden])",
    "select", "textarea", "summary"].join();
  for (const each of document.querySelectorAll(pressed)) {
    if (!each.checkVisibility({ visibilityProperty: true, opacityProperty: false })
        || each.closest(".skip")) continue;
    each.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const place = (each.closest("label")?.control === each && each.matches(
      "[type=radio], [type=checkbox]") ? each.closest("label") : each)
      .getClientRects()[0];
    if (!place) continue;
    const met = document.elementFromPoint(
      place.left + place.width / 2, place.top + place.height / 2);
    if (!met || !(each.contains(met) || met.contains(each)
        || met.closest("label")?.control === each)) {
      found.push(`covered: ${short(each)} by ${met ? short(met) : "nothing"}`);
    }
  }
  scrollTo(0, 0);
  return found.slice(0, 8);
}"""


def axe(page: Page, *, only: list[str] | None = None) -> list[str]:
    """What axe finds on the page as it stands."""
    return page.evaluate(RUN_AXE, only)


WIDER = """() => {
  const page = document.documentElement;
  return page.scrollWidth > page.clientWidth
    ? [`the page is ${page.scrollWidth} px wide`] : [];
}"""


def in_every_size(page: Page) -> list[str]:
    """Violations of axe's rules in three sizes and both themes."""
    page.evaluate(AXE)
    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            first = theme == "light" and (width, height) == SIZES[0]
            rules = None if first else SIZED if theme == "light" else COLOURED
            found += [f"{width} {theme}: {each}" for each in axe(page, only=rules)]
            found += [f"{width} {theme}: {each}" for each in page.evaluate(WIDER)]
    page.emulate_media(color_scheme="light")
    return found


def in_both_themes(page: Page) -> list[str]:
    """Violations of axe's rules as the page stands, light and dark."""
    page.evaluate(AXE)
    page.emulate_media(color_scheme="light")
    found = [f"light: {each}" for each in axe(page)]
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {each}" for each in axe(page, only=COLOURED)]
    page.emulate_media(color_scheme="light")
    return found


FORCED = """() => {
  const short = (node) => node.outerHTML.replace(/\\s+/g, " ").slice(0, 110);
  const seen = (node) => node.checkVisibility({ visibilityProperty: true });
  const parts = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = (colour) => parts(colour).slice(0, 3).reduce((sum, part, place) => {
    const share = part / 255;
    const linear = share <= .04045 ? share / 12.92 : ((share + .055) / 1.055) ** 2.4;
    return sum + linear * [.2126, .7152, .0722][place];
  }, 0);
  const ground = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if ((parts(colour)[3] ?? 1) > .5) return colour;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const found = [];
  for (const icon of document.querySelectorAll("svg.ico")) {
    if (!seen(icon)) continue;
    const [one, two] = [light(getComputedStyle(icon).color), light(ground(icon))]
      .sort((a, b) => b - a);
    if ((one + .05) / (two + .05) < 3) found.push(`icon not seen: ${short(icon)}`);
  }
  for (const part of document.querySelectorAll("[data-state]")) {
    if (seen(part) && !part.innerText?.trim() && !part.closest("svg")) {
      found.push(`a state without a word: ${short(part)}`);
    }
  }
  // What is chosen or current is told by more than a colour that is taken away.
  const looks = (node) => {
    const style = getComputedStyle(node);
    return [style.backgroundColor, style.borderWidth, style.outlineStyle,
      style.textDecorationLine, getComputedStyle(node, "::before").content].join();
  };
  const pairs = [
    [".pick input:checked + span", ".pick input:not(:checked, :disabled) + span"],
    ["nav a[aria-current]", "nav a:not([aria-current])"],
    [".btn[aria-pressed=true]", ".btn[aria-pressed=false]"],
    [".events a[aria-current]", ".events a:not([aria-current])"],
  ];
  for (const [chosen, other] of pairs) {
    for (const one of document.querySelectorAll(chosen)) {
      const two = [...(one.closest(".segs, .picks, .parts, nav, .events") ?? document)
        .querySelectorAll(other)].find(seen);
      if (seen(one) && two && looks(one) === looks(two)) {
        found.push(`chosen looks like not chosen: ${short(one)}`);
      }
    }
  }
  return found.slice(0, 6);
}"""


def in_forced_colours(page: Page) -> list[str]:
    """What is no longer told once the system chose all colours."""
    found = []
    page.set_viewport_size({"width": 1280, "height": 800})
    for theme in ("light", "dark"):
        page.emulate_media(forced_colors="active", color_scheme=theme)
        found += [f"forced colours, {theme}: {each}" for each in page.evaluate(FORCED)]
    page.emulate_media(forced_colors="none", color_scheme="light")
    return found


def narrow(page: Page) -> list[str]:
    """What is lost at 320 px and at 640 (1280 zoomed to 200 %), and what moves."""
    found = []
    page.emulate_media(reduced_motion="reduce")
    for width, height in ((640, 400), (320, 640)):
        page.set_viewport_size({"width": width, "height": height})
        found += [f"{width} px: {each}" for each in page.evaluate(NARROW)]
    return found
