"""The page that shows what an evaluation found: one folder, ``index.html`` in it, nothing from elsewhere."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from avatar.atomic import replacing

from .causes import Findings
from .charts import number, training_charts
from .diagnosis_page import diagnosis_section
from .gallery import ENLARGED, ERROR_FULL_SCALE, Example, error_gradient, save_pictures, slug
from .protocol import METRICS, ImageResult, Report
from .surface_page import surface_section

NOT_COMPUTED = "not computed (avatar assets fetch lpips)"

# What each figure is called, its decimals, which way is better, and what it means.
COLUMNS: Mapping[str, tuple[str, int, str, str]] = {
    "psnr": ("PSNR", 2, "↑", "dB, whole image"),
    "psnr_box": ("PSNR box", 2, "↑", "dB, inside the person's bounding box"),
    "psnr_mask": ("PSNR mask", 2, "↑", "dB, on the person's pixels"),
    "ssim": ("SSIM", 4, "↑", "whole image, data range 1, window 11, sigma 1.5"),
    "ms_ssim": ("MS-SSIM", 4, "↑", "whole image, data range 1"),
    "flip": ("FLIP", 4, "↓", "whole image, 67 pixels per degree"),
    "lpips_alex": ("LPIPS-Alex", 4, "↓", "whole image"),
    "lpips_vgg": ("LPIPS-VGG", 4, "↓", "whole image, mean of up to ten images evenly spread"),
}

CARD_METRICS = ("psnr", "psnr_mask", "ssim", "flip")


def write_report(
    folder: Path,
    *,
    subject: str,
    reports: Sequence[Report],
    facts: Mapping[str, str] | None = None,
    examples: Sequence[Example] = (),
    events: Sequence[Mapping[str, object]] = (),
    turntable: Path | None = None,
    findings: Sequence[Findings] = (),
) -> Path:
    """Write the page and its pictures into ``folder``; returns the path of its ``index.html``.

    Args:
        subject: who was fitted; the title.
        reports: the evaluated splits, the most telling first.
        facts: short lines for the header, such as the recipe and the device.
        examples: images to show, from ``collect_examples``.
        events: rows of the training log; ``seconds``, ``step``, ``psnr``, ``loss`` and ``num_gaussians`` are drawn.
        turntable: a video to copy into the folder and show.
        findings: why renderings are not sharper, split by split; one of them may hold the coverage of the body.

    Raises:
        FileNotFoundError: there is no ``turntable``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if turntable is not None and turntable.resolve() != (folder / turntable.name).resolve():
        shutil.copyfile(turntable, folder / turntable.name)
    body = [
        _header(subject, facts or {}, reports, turntable.name if turntable else None),
        _section("Figures", _means(reports)),
        _section("Shape", surface_section(reports, folder)),
        _section("Why it is not sharper", "".join(diagnosis_section(found, folder) for found in findings)),
        *(
            _section(r.split, _gallery(r, examples, folder) + _details(r, examples, folder) + _every_image(r))
            for r in reports
        ),
        _section("Training", _joined('<div class="charts">', training_charts(events), "</div>")),
    ]
    template = Template(files("avatar.evaluate").joinpath("page.html").read_text("utf-8"))
    theme = files("avatar").joinpath("theme.css").read_text("utf-8")
    text = "\n".join(filter(None, body))
    index = folder / "index.html"
    with replacing(index) as temporary:
        page = template.substitute(title=escape(subject), theme=theme, gradient=error_gradient(), body=text)
        temporary.write_text(page, "utf-8")
    return index


def _header(subject: str, facts: Mapping[str, str], reports: Sequence[Report], video: str | None) -> str:
    """Name, facts, one tile a split with its PSNR, speed, and the turntable."""
    tiles = [
        _tile(f"{report.split} · {len(report.images)} images", _value(report.mean("psnr"), 2), "dB", _aside(report))
        for report in reports
    ]
    if reports:
        seconds = reports[0].seconds_per_image
        tiles.append(
            _tile(
                "time to render", _value(1000 * seconds, 1), "ms", f"{number(1 / max(seconds, 1e-9))} images a second"
            )
        )
    lines = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()]
    film = f'<video src="{escape(video)}" autoplay muted loop playsinline controls></video>' if video else ""
    text = f"<h1>{escape(subject)}</h1>{_joined('<dl>', lines, '</dl>')}{_joined('<div class=tiles>', tiles, '</div>')}"
    return f"<header><div>{text}</div>{film}</header>"


def _tile(name: str, value: str, unit: str, aside: str) -> str:
    return (
        f'<div class="tile"><span>{escape(name)}</span><b>{value} <i>{unit}</i></b><span>{escape(aside)}</span></div>'
    )


def _aside(report: Report) -> str:
    return f"SSIM {_value(report.mean('ssim'), 4)} · mask {_value(report.mean('psnr_mask'), 2)} dB"


def _means(reports: Sequence[Report]) -> str:
    """The means of all splits, a row each, and what the columns mean."""
    if not reports:
        return ""
    heads = "".join(
        f'<th title="{escape(meaning)}">{name} <i>{better}</i></th>' for name, _, better, meaning in COLUMNS.values()
    )
    rows = [
        f"<tr><th>{escape(r.split)}</th><td>{len(r.images)}</td>{''.join(_mean_cell(r, m) for m in METRICS)}</tr>"
        for r in reports
    ]
    meanings = "; ".join(f"{name}: {meaning}" for name, _, _, meaning in COLUMNS.values())
    return (
        f'<div class="wide"><table><tr><th></th><th>images</th>{heads}</tr>{"".join(rows)}</table></div>'
        f'<p class="note">Means over images of the person on black, rounded to 8 bits. {escape(meanings)}.</p>'
    )


def _mean_cell(report: Report, metric: str) -> str:
    """A mean, with the number of images behind it where that is not all of them."""
    num_measured = sum(image.metrics[metric] is not None for image in report.images)
    text = _value(report.mean(metric), COLUMNS[metric][1])
    if not num_measured:
        missing = NOT_COMPUTED if metric.startswith("lpips") else "none"
        return f'<td class="missing">{escape(missing)}</td>'
    return (
        f"<td>{text}</td>"
        if num_measured == len(report.images)
        else f"<td>{text}<small>{num_measured} images</small></td>"
    )


def _gallery(report: Report, examples: Iterable[Example], folder: Path) -> str:
    """The examples of one split as cards, after a legend of the error colours."""
    cards = [_card(example, folder) for example in examples if example.split == report.split]
    legend = f'<p class="legend">error, mean over channels <span>0</span><em></em><span>≥ {ERROR_FULL_SCALE}</span></p>'
    return _joined(f'{legend}<div class="cards">', cards, "</div>")


def _card(example: Example, folder: Path) -> str:
    """Ground truth, rendering, error and clothed surface of one image, with its figures."""
    result = example.result
    names = save_pictures(folder, _stem(example), example)
    label = f'<b class="{example.label}">{example.label}</b> ' if example.label else ""
    figures = [f"{COLUMNS[m][0]} {_value(result.metrics[m], COLUMNS[m][1])}" for m in CARD_METRICS]
    caption = f"{label}frame {result.frame_id} · {escape(result.camera)}<small>{escape(' · '.join(figures))}</small>"
    return f'<button class="card" type="button">{_triple(names)}<span>{caption}</span></button>'


def _details(report: Report, examples: Iterable[Example], folder: Path) -> str:
    """Face, hands, sleeves and hem of one split, enlarged."""
    shown = [(e, name) for e in examples if e.split == report.split for name in e.details]
    cards = [_detail_card(*pair, folder) for pair in sorted(shown, key=lambda pair: pair[1])]
    return _joined(f'<h4>Close-ups, enlarged {ENLARGED} times</h4><div class="cards details">', cards, "</div>")


def _detail_card(example: Example, name: str, folder: Path) -> str:
    names = save_pictures(folder, f"{_stem(example)}_{slug(name)}", example, example.details[name], ENLARGED)
    caption = f"<b>{escape(name)}</b> frame {example.result.frame_id} · {escape(example.result.camera)}"
    return f'<button class="card" type="button">{_triple(names)}<span>{caption}</span></button>'


def _triple(names: Mapping[str, str]) -> str:
    """The pictures side by side."""
    titles = {"truth": "ground truth", "render": "rendering", "error": "error", "normals": "clothed surface"}
    pictures = "".join(
        f'<span><img src="{name}" alt="{titles[kind]}" loading="lazy"><i>{titles[kind]}</i></span>'
        for kind, name in names.items()
    )
    return f'<span class="triple">{pictures}</span>'


def _stem(example: Example) -> str:
    return f"{slug(example.split)}_{example.result.frame_id:06d}_{example.result.camera_id:03d}"


def _every_image(report: Report) -> str:
    """All images of a split, worst first, folded away."""
    heads = "".join(f"<th>{COLUMNS[m][0]}</th>" for m in METRICS)
    ordered = sorted(report.images, key=lambda image: image.metrics["psnr_box"] or 0.0)
    rows = "".join(_image_row(image) for image in ordered)
    return (
        f"<details><summary>All {len(report.images)} images, worst first</summary>"
        f'<div class="wide"><table><tr><th>image</th>{heads}</tr>{rows}</table></div></details>'
    )


def _image_row(image: ImageResult) -> str:
    cells = "".join(f"<td>{_value(image.metrics[m], COLUMNS[m][1])}</td>" for m in METRICS)
    return f"<tr><th>frame {image.frame_id} · {escape(image.camera)}</th>{cells}</tr>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _joined(before: str, parts: Sequence[str], after: str) -> str:
    """The parts in their wrapping, or nothing when there are none."""
    return f"{before}{''.join(parts)}{after}" if parts else ""


def _value(value: float | None, decimals: int) -> str:
    return "—" if value is None else f"{value:.{decimals}f}"
